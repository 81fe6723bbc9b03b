"""Reductions: sums, means, variances, extremes, and where the extremes are. The public functions take PyTorch's arguments."""

import collections

from tensorlite import errors
from tensorlite.backend import dtypes
from tensorlite.op import Op
from tensorlite.ops import dims
from tensorlite.ops.convert import cast
from tensorlite.tensor import Tensor

__all__ = ["all", "amax", "amin", "any", "argmax", "argmin", "logsumexp", "max", "mean", "min", "std", "sum", "var"]


def _spread(m, g, shape, dim):
    """A reduced gradient, repeated over the dimensions that were summed."""
    return m.expand(m.reshape(g, shape=dims.kept(shape, dim)), shape=shape)


class Sum(Op):
    name, formula, local = "sum", "sum of x over dim", "1, repeated over dim"
    lends, extras = True, ("shape",)

    def forward(b, x, *, dim, keepdim):
        return x.sum(axis=dim, keepdims=keepdim), (x.shape,)

    rules = lambda m, g, shape, dim: _spread(m, g, shape, dim)  # noqa: E731


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
    lends, extras = True, ("shape", "n")

    def forward(b, x, *, dim, keepdim):
        y = x.mean(axis=dim, keepdims=keepdim)
        return y, (x.shape, x.size // y.size if y.size else 1)

    rules = lambda m, g, shape, n, dim: _spread(m, g / n, shape, dim)  # noqa: E731


class Var(Op):
    name, formula, local = "var", "sum of (x - mean)^2 over dim / (n - correction)", "2 (x - mean) / (n - correction)"
    extras = ("shape", "scale")

    def forward(b, x, *, dim, keepdim, correction):
        n = 1
        for d in dim:
            n *= x.shape[d]
        scale = 1 / (n - correction) if n > correction else float("nan")
        centred = x - x.mean(axis=dim, keepdims=True)
        return (centred * centred).sum(axis=dim, keepdims=keepdim) * b.number(scale, x.dtype), (x.shape, scale)

    def _rule(m, g, x, shape, scale, dim):
        return _spread(m, g, shape, dim) * ((x - m.mean(x, dim=dim, keepdim=True)) * (2 * scale))

    rules = _rule


def _ties(m, g, x, out, dim):
    """The gradient of an extreme, shared evenly among the elements that reach it."""
    k = dims.kept(x.shape, dim)
    hit = m.cast(x == m.reshape(out, shape=k), dtype=g.dtype)
    return m.reshape(g, shape=k) * hit / m.sum(hit, dim=dim, keepdim=True)


class Amax(Op):
    """Ties share the gradient evenly, as in torch.amax."""

    name, formula, local = "amax", "max of x over dim", "1 at the maximum (ties share)"

    def forward(b, x, *, dim, keepdim):
        return x.max(axis=dim, keepdims=keepdim)

    rules = lambda m, g, x, out, dim: _ties(m, g, x, out, dim)  # noqa: E731


class Amin(Op):
    """Ties share the gradient evenly, as in torch.amin."""

    name, formula, local = "amin", "min of x over dim", "1 at the minimum (ties share)"

    def forward(b, x, *, dim, keepdim):
        return x.min(axis=dim, keepdims=keepdim)

    rules = lambda m, g, x, out, dim: _ties(m, g, x, out, dim)  # noqa: E731


class Logsumexp(Op):
    """Exact for large values too: the maximum is taken out first; a row of -inf gives -inf."""

    name, formula, local = "logsumexp", "ln sum e^x over dim", "e^(x - out)"

    def forward(b, x, *, dim, keepdim):
        xp = b.xp
        if 0 in [x.shape[d] for d in dim]:  # the sum of nothing is 0
            shape = dims.kept(x.shape, dim) if keepdim else tuple(n for i, n in enumerate(x.shape) if i not in dim)
            return xp.full(shape, -xp.inf, dtype=x.dtype)
        top = x.max(axis=dim, keepdims=True)
        top = xp.where(xp.isfinite(top), top, xp.zeros_like(top))
        y = xp.log(xp.exp(x - top).sum(axis=dim, keepdims=True)) + top
        return y if keepdim else y.reshape(tuple(n for i, n in enumerate(x.shape) if i not in dim))

    def _rule(m, g, x, out, dim):
        k = dims.kept(x.shape, dim)
        return m.reshape(g, shape=k) * m.exp(x - m.reshape(out, shape=k))

    rules = _rule


class Argmax(Op):
    name, formula = "argmax", "index of the maximum of x along dim"

    def forward(b, x, *, dim, keepdim):
        y = b.xp.argmax(x, axis=dim)
        return b.xp.expand_dims(y, dim) if keepdim else y


class Argmin(Op):
    name, formula = "argmin", "index of the minimum of x along dim"

    def forward(b, x, *, dim, keepdim):
        y = b.xp.argmin(x, axis=dim)
        return b.xp.expand_dims(y, dim) if keepdim else y


class All(Op):
    name, formula = "all", "whether all elements over dim are true"

    def forward(b, x, *, dim, keepdim):
        return b.xp.all(x, axis=dim, keepdims=keepdim)


class Any(Op):
    name, formula = "any", "whether any element over dim is true"

    def forward(b, x, *, dim, keepdim):
        return b.xp.any(x, axis=dim, keepdims=keepdim)


def _axis(kw, dim, keepdim):
    """NumPy's names axis and keepdims beside PyTorch's."""
    if kw:
        dim, keepdim = kw.pop("axis", dim), kw.pop("keepdims", keepdim)
        if kw:
            raise TypeError(f"unexpected keyword argument {next(iter(kw))!r}")
    return dim, keepdim


def sum(input, dim=None, keepdim=False, *, dtype=None, **kw) -> Tensor:
    """The sum over `dim` (an int, a tuple, or None for all); integers are summed as int64."""
    dim, keepdim = _axis(kw, dim, keepdim)
    if dtype is None and input.dtype.category < 2:
        dtype = dtypes.int64
    input = input if dtype is None else cast(input, dtype)
    return Sum.apply(input, dim=dims.several("sum", dim, input.ndim), keepdim=keepdim)


def mean(input, dim=None, keepdim=False, *, dtype=None, **kw) -> Tensor:
    """The mean over `dim` (an int, a tuple, or None for all). Raises DTypeError for integers."""
    dim, keepdim = _axis(kw, dim, keepdim)
    input = input if dtype is None else cast(input, dtype)
    _need_float("mean", input)
    return Mean.apply(input, dim=dims.several("mean", dim, input.ndim), keepdim=keepdim)


def var(input, dim=None, unbiased=None, keepdim=False, *, correction=None, **kw) -> Tensor:
    """The variance over `dim`, divided by n - correction (1 unless given; `unbiased=False` is correction 0)."""
    dim, keepdim = _axis(kw, dim, keepdim)
    if isinstance(dim, bool):  # var(unbiased)
        dim, unbiased = None, dim
    if correction is None:
        correction = 1 if unbiased is None else int(unbiased)
    _need_float("var", input)
    return Var.apply(input, dim=dims.several("var", dim, input.ndim), keepdim=keepdim, correction=correction)


def std(input, dim=None, unbiased=None, keepdim=False, *, correction=None, **kw) -> Tensor:
    """The square root of var, with its arguments. Where all elements are equal the gradient is chosen as 0."""
    v = var(input, dim, unbiased, keepdim, correction=correction, **kw)
    constant = v == 0
    return v.masked_fill(constant, 1.0).sqrt().masked_fill(constant, 0.0)


def amax(input, dim=(), keepdim=False, **kw) -> Tensor:
    """The maximum over `dim`; ties share the gradient evenly."""
    dim, keepdim = _axis(kw, dim, keepdim)
    dim = dims.several("amax", dim, input.ndim)
    _need_elements("amax", input, dim)
    return Amax.apply(input, dim=dim, keepdim=keepdim)


def amin(input, dim=(), keepdim=False, **kw) -> Tensor:
    """The minimum over `dim`; ties share the gradient evenly."""
    dim, keepdim = _axis(kw, dim, keepdim)
    dim = dims.several("amin", dim, input.ndim)
    _need_elements("amin", input, dim)
    return Amin.apply(input, dim=dim, keepdim=keepdim)


MinMax = {name: collections.namedtuple(name, "values indices") for name in ("max", "min")}


def _extreme(name, elementwise, full, arg, input, dim, keepdim, kw):
    dim, keepdim = _axis(kw, dim, keepdim)
    if isinstance(dim, Tensor):
        return elementwise(input, dim)
    if dim is None:
        return full(input)
    from tensorlite.ops.index import TakeAlong

    dim = dims.one(name, dim, input.ndim)
    indices = arg(input, dim, keepdim=True)
    values = TakeAlong.apply(input, indices, dim=dim) if input.ndim else input.clone()
    if not keepdim and input.ndim:
        values, indices = values.squeeze(dim), indices.squeeze(dim)
    return MinMax[name](values, indices)


def max(input, dim=None, keepdim=False, **kw):
    """The maximum of all; or along `dim` a pair (values, indices), the gradient going to the index returned; or, with a
    tensor as second argument, the elementwise maximum."""
    from tensorlite.ops.elementwise import maximum

    return _extreme("max", maximum, amax, argmax, input, dim, keepdim, kw)


def min(input, dim=None, keepdim=False, **kw):
    """The minimum; forms as of max."""
    from tensorlite.ops.elementwise import minimum

    return _extreme("min", minimum, amin, argmin, input, dim, keepdim, kw)


def _arg(op, input, dim, keepdim):
    if dim is None:
        _need_elements(op.name, input, range(input.ndim))
        return op.apply(input.reshape(-1), dim=0, keepdim=False).reshape((1,) * input.ndim if keepdim else ())
    dim = dims.one(op.name, dim, input.ndim)
    if not input.ndim:
        return op.apply(input.reshape(1), dim=0, keepdim=False)
    _need_elements(op.name, input, (dim,))
    return op.apply(input, dim=dim, keepdim=keepdim)


def argmax(input, dim=None, keepdim=False, **kw) -> Tensor:
    """The index of the (first) maximum along dim, or in the flattened tensor."""
    return _arg(Argmax, input, *_axis(kw, dim, keepdim))


def argmin(input, dim=None, keepdim=False, **kw) -> Tensor:
    """The index of the (first) minimum along dim, or in the flattened tensor."""
    return _arg(Argmin, input, *_axis(kw, dim, keepdim))


def all(input, dim=None, keepdim=False, **kw) -> Tensor:
    """Whether all elements over dim are true (not 0)."""
    dim, keepdim = _axis(kw, dim, keepdim)
    return All.apply(input, dim=dims.several("all", dim, input.ndim), keepdim=keepdim)


def any(input, dim=None, keepdim=False, **kw) -> Tensor:
    """Whether any element over dim is true (not 0)."""
    dim, keepdim = _axis(kw, dim, keepdim)
    return Any.apply(input, dim=dims.several("any", dim, input.ndim), keepdim=keepdim)


def logsumexp(input, dim, keepdim=False, **kw) -> Tensor:
    """ln sum exp(input) over dim, without overflow."""
    dim, keepdim = _axis(kw, dim, keepdim)
    input = input if input.dtype.is_floating_point else cast(input, dtypes.get_default_dtype())
    return Logsumexp.apply(input, dim=dims.several("logsumexp", dim, input.ndim), keepdim=keepdim)


def _need_float(name, x):
    if not x.dtype.is_floating_point:
        raise errors.DTypeError(f"{name}: a floating-point tensor is needed, got {errors.describe(x)}; use x.float()")


def _need_elements(name, x, over):
    """No extreme without elements: a dimension of size 0 may only be one that is not reduced."""
    if 0 in [x.shape[d] for d in over]:
        raise errors.ShapeError(f"{name}: the tensor is empty, {errors.describe(x)}")
