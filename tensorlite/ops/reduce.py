"""Reductions: sums, means, products, norms, logsumexp, all, any. The public functions take PyTorch's arguments.

Maxima stand in extreme.py, variances and medians in statistics.py, running sums in scan.py.
"""

import math

from tensorlite import errors
from tensorlite.backend import dtypes
from tensorlite.op import Op
from tensorlite.ops import dims
from tensorlite.ops.compare import ne
from tensorlite.ops.convert import cast
from tensorlite.tensor import Tensor

__all__ = ["all", "any", "count_nonzero", "logsumexp", "mean", "nanmean", "nansum", "norm", "prod", "sum"]


# ---------------------------------------------------------------- what reductions have in common
def wide(b, x):
    """16-bit floats as float32, in which they are summed; all else as it is."""
    return x.astype(b.xp.float32) if x.dtype.itemsize == 2 and x.dtype.kind not in "iu" else x


def back(y, x):
    """A result that was computed from wide(x), in the dtype of x."""
    return y if y.dtype is x.dtype else y.astype(x.dtype)


def spread(m, g, shape, dim):
    """A reduced gradient, repeated over the dimensions that were summed."""
    return m.expand(m.reshape(g, shape=dims.kept(shape, dim)), shape=shape)


def shared(m, g, hit, k, dim):
    """A reduced gradient, shared evenly among the elements where `hit`; k is the shape with keepdim."""
    count = m.sum(m.cast(hit, dtype=g.dtype), dim=dim, keepdim=True)
    return m.where(hit, m.reshape(g, shape=k) / count, 0.0)  # not times hit: inf times 0 is nan


def axis(kw, dim, keepdim):
    """NumPy's names axis and keepdims beside PyTorch's."""
    if kw:
        dim, keepdim = kw.pop("axis", dim), kw.pop("keepdims", keepdim)
        if kw:
            raise TypeError(f"unexpected keyword argument {next(iter(kw))!r}")
    return dim, keepdim


def need_tensor(name, x):
    """Refuse what is no tensor."""
    if not isinstance(x, Tensor):
        raise errors.DTypeError(f"{name}: a Tensor is needed, not {type(x).__name__}")


def need_float(name, x):
    """Refuse integers and bools."""
    need_tensor(name, x)
    if not x.dtype.is_floating_point:
        raise errors.DTypeError(f"{name}: a floating-point tensor is needed, got {errors.describe(x)}; use x.float()")


def need_elements(name, x, over):
    """No extreme without elements: a dimension of size 0 may only be one that is not reduced."""
    if 0 in [x.shape[d] for d in over]:
        raise errors.ShapeError(f"{name}: the tensor is empty, {errors.describe(x)}")


def summand(name, input, dtype):
    """The input in the dtype of its sum: the one asked for; else int64 for integers and bools."""
    need_tensor(name, input)
    if dtype is None and input.dtype.category < 2:
        dtype = dtypes.int64
    return input if dtype is None else cast(input, dtype)


# ---------------------------------------------------------------- the operations
class Sum(Op):
    name, formula, local = "sum", "sum of x over dim", "1, repeated over dim"
    lends, ordered, extras = True, True, ("shape",)

    def forward(b, x, *, dim, keepdim):
        return back(wide(b, x).sum(axis=dim, keepdims=keepdim), x), (x.shape,)

    rules = lambda m, g, shape, dim: spread(m, g, shape, dim)  # noqa: E731


class SumTo(Op):
    """Undo broadcasting: sum over the dimensions that were repeated."""

    name, formula, local = "sum_to", "sum of x down to a smaller shape", "1, repeated"
    view = lends = True  # x itself where nothing was repeated
    extras = ("old",)

    def forward(b, x, *, shape):
        return b.sum_to(x, shape), (x.shape,)

    rules = lambda m, g, old: m.expand(g, shape=old)  # noqa: E731


class Mean(Op):
    name, formula, local = "mean", "sum of x over dim / n", "1/n, repeated over dim"
    lends, ordered, extras = True, True, ("shape", "n")

    def forward(b, x, *, dim, keepdim):
        y = back(wide(b, x).mean(axis=dim, keepdims=keepdim), x)
        return y, (x.shape, x.size // y.size if y.size else 1)

    rules = lambda m, g, shape, n, dim: spread(m, g / n, shape, dim)  # noqa: E731


class Prod(Op):
    """The product of the others is the running product from the left times the one from the right, each without the
    element itself: nothing is divided, so zeros are right at every order."""

    name, formula, local = "prod", "product of x along dim", "product of the others"
    ordered = True

    def forward(b, x, *, dim, keepdim):
        return back(wide(b, x).prod(axis=dim, keepdims=keepdim), x)

    def _rule(m, g, x, dim):
        left = m.shift(m.cumprod(x, dim=dim), n=1, dim=dim, fill=1.0)
        right = m.shift(m.cumprod(m.flip(x, dims=(dim,)), dim=dim), n=1, dim=dim, fill=1.0)
        return m.reshape(g, shape=dims.kept(x.shape, (dim,))) * (left * m.flip(right, dims=(dim,)))

    rules = _rule


class Logsumexp(Op):
    """Exact for large values too: the maximum is taken out first; a row of -inf gives -inf, with gradient 0."""

    name, formula, local = "logsumexp", "ln sum e^x over dim", "e^(x - out)"
    ordered = True

    def forward(b, x, *, dim, keepdim):
        xp = b.xp
        if 0 in [x.shape[d] for d in dim]:  # the sum of nothing is 0
            shape = dims.kept(x.shape, dim) if keepdim else tuple(n for i, n in enumerate(x.shape) if i not in dim)
            return xp.full(shape, -xp.inf, dtype=x.dtype)
        z = wide(b, x)
        top = z.max(axis=dim, keepdims=True)
        top = xp.where(xp.isfinite(top), top, xp.zeros_like(top))
        y = back(xp.log(xp.exp(z - top).sum(axis=dim, keepdims=True)) + top, x)
        return y if keepdim else y.reshape(tuple(n for i, n in enumerate(x.shape) if i not in dim))

    def _rule(m, g, x, out, dim):
        k = dims.kept(x.shape, dim)
        out = m.where(out == -math.inf, 0.0, out)  # e^(-inf - 0) is 0, where e^(-inf + inf) would be nan
        return m.reshape(g, shape=k) * m.exp(x - m.reshape(out, shape=k))

    rules = _rule


class VectorNorm(Op):
    """At 0 the gradient is chosen as 0, for every p; ties of p = inf share evenly. p = 0 counts what is not 0."""

    name, formula = "norm", "(sum of |x|^p over dim)^(1/p)"
    local = "sign(x) (|x| / out)^(p - 1)"
    ordered = True

    def forward(b, x, *, p, dim, keepdim):
        xp, how = b.xp, {"axis": dim, "keepdims": keepdim}
        z = wide(b, x)
        if p == 2:
            y = xp.sqrt((z * z).sum(**how))
        elif p == 0:
            y = (z != 0).sum(**how)
        elif p in (math.inf, -math.inf):
            y = xp.abs(z).max(**how) if p > 0 else xp.abs(z).min(**how)
        elif p == 1:
            y = xp.abs(z).sum(**how)
        else:
            y = (xp.abs(z) ** b.number(p, z.dtype)).sum(**how) ** b.number(1 / p, z.dtype)
        return back(y, x)

    def _rule(m, g, x, out, p, dim):
        k = dims.kept(x.shape, dim)
        out = m.reshape(out, shape=k)
        if p in (math.inf, -math.inf):
            return m.sign(x) * shared(m, g, m.abs(x) == out, k, dim)
        g = m.reshape(g, shape=k)
        if p in (0, 1):
            return m.sign(x) * (g * p)
        flat = out == 0
        g, out = m.where(flat, 0.0, g), m.where(flat, 1.0, out)
        if p == 2:
            return g * (x / out)
        if p > 0 and p % 2 == 0:  # |x|^p is smooth at 0, at every order
            return g * (x / out) ** (p - 1)
        size = m.abs(x)
        size = m.where(size == 0, 1.0, size)  # 0 to a negative power is inf; there sign(x) makes it 0
        return g * m.sign(x) * (size / out) ** (p - 1)

    rules = _rule


class All(Op):
    name, formula = "all", "whether all elements over dim are true"
    ordered = True

    def forward(b, x, *, dim, keepdim):
        return b.xp.all(x, axis=dim, keepdims=keepdim)


class Any(Op):
    name, formula = "any", "whether any element over dim is true"
    ordered = True

    def forward(b, x, *, dim, keepdim):
        return b.xp.any(x, axis=dim, keepdims=keepdim)


# ---------------------------------------------------------------- the public functions
def sum(input, dim=None, keepdim=False, *, dtype=None, **kw) -> Tensor:
    """The sum over `dim` (an int, a tuple, or None for all); integers are summed as int64, 16-bit floats in float32.

    Example:
        >>> import tensorlite as tl
        >>> tl.sum(tl.tensor([[1.0, 2.0], [3.0, 4.0]]), dim=1)
        tensor([3., 7.])
    """
    dim, keepdim = axis(kw, dim, keepdim)
    input = summand("sum", input, dtype)
    return Sum.apply(input, dim=dims.several("sum", dim, input.ndim), keepdim=keepdim)


def sum_to_size(input, *size) -> Tensor:
    """The sum of input down to a shape that broadcasts to that of input: the inverse of expand.

    Raises:
        ShapeError: a size that is neither 1 nor that of input.
    """
    need_tensor("sum_to_size", input)
    shape = dims.shape_of("sum_to_size", size)
    lead = input.ndim - len(shape)
    if lead < 0 or [n for n, m in zip(shape, input.shape[lead:], strict=True) if n not in (1, m)]:
        raise errors.ShapeError(
            f"sum_to_size: {tuple(shape)} does not broadcast to {errors.describe(input)}: each size must be 1 or equal"
        )
    return SumTo.apply(input, shape=shape)


def mean(input, dim=None, keepdim=False, *, dtype=None, **kw) -> Tensor:
    """The mean over `dim` (an int, a tuple, or None for all). Raises DTypeError for integers."""
    dim, keepdim = axis(kw, dim, keepdim)
    need_tensor("mean", input)
    input = input if dtype is None else cast(input, dtype)
    need_float("mean", input)
    return Mean.apply(input, dim=dims.several("mean", dim, input.ndim), keepdim=keepdim)


def prod(input, dim=None, keepdim=False, *, dtype=None, **kw) -> Tensor:
    """The product of all elements, or along one `dim`; integers are multiplied as int64. The gradient is right where
    elements are 0, and so are the higher ones.

    Example:
        >>> import tensorlite as tl
        >>> x = tl.tensor([2.0, 0.0, 5.0], requires_grad=True)
        >>> x.prod().backward()
        >>> x.grad
        tensor([ 0., 10.,  0.])
    """
    dim, keepdim = axis(kw, dim, keepdim)
    input = summand("prod", input, dtype)
    if dim is None:
        shape = (1,) * input.ndim if keepdim else ()
        return Prod.apply(input.reshape(-1), dim=0, keepdim=False).reshape(shape)
    x, dim = line("prod", input, dim)
    return Prod.apply(x, dim=dim, keepdim=keepdim and input.ndim > 0)


def line(name, input, dim):
    """(input, dim) for an operation along one dimension: dim counted from 0, a 0-d tensor as one of a single element."""
    need_tensor(name, input)
    dim = dims.one(name, dim, input.ndim)
    return (input if input.ndim else input.reshape(1)), dim


def logsumexp(input, dim=None, keepdim=False, **kw) -> Tensor:
    """ln sum exp(input) over dim (an int, a tuple, or None for all), without overflow. Rows of -inf give -inf, with
    gradient 0 (PyTorch: nan)."""
    dim, keepdim = axis(kw, dim, keepdim)
    need_tensor("logsumexp", input)
    input = input if input.dtype.is_floating_point else cast(input, dtypes.get_default_dtype())
    return Logsumexp.apply(input, dim=dims.several("logsumexp", dim, input.ndim), keepdim=keepdim)


def norm(input, p="fro", dim=None, keepdim=False, out=None, dtype=None, **kw) -> Tensor:
    """(sum |input|^p)^(1/p) over `dim` (an int, a tuple, or None for all): the norm of a vector.

    p: any number; 2 or "fro" is the Euclidean norm, inf the largest and -inf the smallest |x|, 0 the number of elements
    that are not 0. The gradient at 0 is chosen as 0. For norms of matrices see tl.linalg.

    Raises:
        DTypeError: integers. ArgumentError: an unknown p. ShapeError: p < 0 or inf, of nothing.

    Example:
        >>> import tensorlite as tl
        >>> tl.norm(tl.tensor([3.0, 4.0])), tl.norm(tl.tensor([3.0, -4.0]), p=1)
        (tensor(5.), tensor(7.))
    """
    dim, keepdim = axis(kw, dim, keepdim)
    if out is not None:
        raise errors.ArgumentError("norm: out= is not supported; assign the result")
    need_tensor("norm", input)
    input = input if dtype is None else cast(input, dtype)
    need_float("norm", input)
    if p is None or p == "fro":
        p = 2
    if isinstance(p, Tensor):
        p = p.item()
    if isinstance(p, str) or not isinstance(p, (int, float)) or p != p:
        raise errors.ArgumentError(
            f"norm: p must be a number or 'fro', got {p!r}; for the nuclear norm use tl.linalg.matrix_norm"
        )
    dim = dims.several("norm", dim, input.ndim)
    if p < 0 or p == math.inf:
        need_elements("norm", input, dim)
    return VectorNorm.apply(input, p=p, dim=dim, keepdim=keepdim)


def nansum(input, dim=None, keepdim=False, *, dtype=None, **kw) -> Tensor:
    """The sum over `dim` with every nan counted as 0."""
    need_tensor("nansum", input)
    if input.dtype.is_floating_point:
        input = input.masked_fill(input.isnan(), 0.0)
    return sum(input, dim, keepdim, dtype=dtype, **kw)


def nanmean(input, dim=None, keepdim=False, *, dtype=None, **kw) -> Tensor:
    """The mean over `dim` of what is not nan; nan where all is. Raises DTypeError for integers."""
    dim, keepdim = axis(kw, dim, keepdim)
    need_tensor("nanmean", input)
    input = input if dtype is None else cast(input, dtype)
    need_float("nanmean", input)
    return nansum(input, dim, keepdim) / cast(sum(~input.isnan(), dim, keepdim), input.dtype)


def _over(name, input, dim):
    need_tensor(name, input)
    return () if isinstance(dim, (tuple, list)) and not dim else dims.several(name, dim, input.ndim)


def all(input, dim=None, keepdim=False, **kw) -> Tensor:
    """Whether all elements over dim are true (not 0), as bool (of uint8 PyTorch gives uint8); over dim=() nothing is reduced."""
    dim, keepdim = axis(kw, dim, keepdim)
    return All.apply(input, dim=_over("all", input, dim), keepdim=keepdim)


def any(input, dim=None, keepdim=False, **kw) -> Tensor:
    """Whether any element over dim is true (not 0), as bool (of uint8 PyTorch gives uint8); over dim=() nothing is reduced."""
    dim, keepdim = axis(kw, dim, keepdim)
    return Any.apply(input, dim=_over("any", input, dim), keepdim=keepdim)


def count_nonzero(input, dim=None, *, axis=None) -> Tensor:
    """How many elements over dim (an int, a tuple, or None for all) are not 0, as int64; nan counts."""
    need_tensor("count_nonzero", input)
    dim = dims.several("count_nonzero", dim if axis is None else axis, input.ndim)
    return Sum.apply(cast(ne(input, 0), dtypes.int64), dim=dim, keepdim=False)
