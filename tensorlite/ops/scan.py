"""Running results along a dimension: cumsum, cumprod, cummax, logcumsumexp; and differences and integrals of samples.

The derivative of a running product is a linear recurrence h_i = a_i h_(i-1) + b_i, and the derivative of a linear
recurrence is another one, run backwards. So `linear_scan` closes the circle: no rule here divides, all are linear in
the length, and zeros are right at every order.
"""

import collections
import math

from tensorlite import errors
from tensorlite.op import Op
from tensorlite.ops import dims
from tensorlite.ops.extreme import values_at
from tensorlite.ops.reduce import axis, back, line, need_float, need_tensor, summand, wide
from tensorlite.tensor import Tensor

__all__ = [
    "cummax", "cummin", "cumprod", "cumsum", "cumulative_trapezoid", "diff", "logcumsumexp", "trapezoid", "trapz",
]  # fmt: skip


class Shift(Op):
    """The elements pushed over the edge are lost, `fill` comes in on the other side."""

    name, formula, local = "shift", "x moved n places along dim, fill behind it", "1, moved back"

    def forward(b, x, *, n, dim, fill):
        y, size = b.xp.full(x.shape, fill, dtype=x.dtype), x.shape[dim]
        if abs(n) < size:
            y[_part(dim, max(n, 0), size + min(n, 0))] = x[_part(dim, max(-n, 0), size - max(n, 0))]
        return y

    rules = lambda m, g, n, dim: m.shift(g, n=-n, dim=dim, fill=0.0)  # noqa: E731


def _part(dim, start, stop):
    return (slice(None),) * dim + (slice(start, stop), ...)


class Cumsum(Op):
    name, formula, local = "cumsum", "sum of x up to i", "1 up to i"
    ordered = True

    def forward(b, x, *, dim, reverse=False):
        z = wide(b, x)
        z = b.xp.flip(b.xp.cumsum(b.xp.flip(z, dim), axis=dim), dim) if reverse else b.xp.cumsum(z, axis=dim)
        return back(z, x)

    rules = lambda m, g, dim, reverse: m.cumsum(g, dim=dim, reverse=not reverse)  # noqa: E731


class Cumprod(Op):
    """out_i = x_i out_(i-1), so the gradient is that of a linear recurrence with a = x, b = 0 and 1 before the start."""

    name, formula, local = "cumprod", "product of x up to i", "product of the others up to i"
    ordered = True

    def forward(b, x, *, dim):
        return back(b.xp.cumprod(wide(b, x), axis=dim), x)

    def _rule(m, g, x, out, dim):
        sums = m.linear_scan(m.shift(x, n=-1, dim=dim, fill=0.0), g, dim=dim, reverse=True)
        return sums * m.shift(out, n=1, dim=dim, fill=1.0)

    rules = _rule


class LinearScan(Op):
    """h_i = a_i h_(i-1) + b_i, from 0. By doubling (Hillis and Steele 1986): two steps of a recurrence are one step of
    another, with a = a_i a_(i-1) and b = b_i + a_i b_(i-1); so log2(n) rounds on whole arrays."""

    name, formula = "linear_scan", "h_i = a_i h_(i-1) + b_i"
    local = ("lambda_i h_(i-1), lambda_i = g_i + a_(i+1) lambda_(i+1)", "lambda_i")

    def forward(b, a, x, *, dim, reverse):
        xp = b.xp
        s, h = (xp.moveaxis(wide(b, v), dim, 0) for v in (a, x))
        s, h = (v[::-1].copy() if reverse else v.copy() for v in (s, h))
        k = 1
        while k < len(h):
            h[k:] = h[k:] + s[k:] * h[:-k]
            s[k:] = s[k:] * s[:-k]
            k *= 2
        return xp.moveaxis(h[::-1] if reverse else h, 0, dim).astype(x.dtype, order="C")

    def _back(m, g, a, dim, reverse):
        return m.linear_scan(m.shift(a, n=1 if reverse else -1, dim=dim, fill=0.0), g, dim=dim, reverse=not reverse)

    def _slope(m, g, a, out, dim, reverse):
        return LinearScan._back(m, g, a, dim, reverse) * m.shift(out, n=-1 if reverse else 1, dim=dim, fill=0.0)

    rules = (_slope, _back)


class Logcumsumexp(Op):
    """The gradient sums g_i e^(x_j - out_i) over i >= j. As out never falls, it is a linear recurrence whose factors
    e^(out_j - out_(j+1)) are at most 1: nothing overflows. Where out is -inf the gradient is 0."""

    name, formula, local = "logcumsumexp", "ln sum e^x up to i", "e^(x - out_i)"
    ordered = True

    def forward(b, x, *, dim):
        return back(b.accumulate("logaddexp", wide(b, x), dim), x)

    def _rule(m, g, x, out, dim):
        none = out == -math.inf
        step = m.where(none, 0.0, out - m.shift(out, n=-1, dim=dim, fill=math.inf))
        sums = m.linear_scan(m.where(none, 0.0, m.exp(step)), g, dim=dim, reverse=True)
        return sums * m.exp(m.where(none, -math.inf, x - out))

    rules = _rule


def _latest(b, x, best, dim):
    """The index of the latest element up to each place that equals `best` there, the running extreme of x."""
    xp, n = b.xp, x.shape[dim]
    places = xp.arange(n).reshape([n if d == dim else 1 for d in range(x.ndim)])
    return b.accumulate("maximum", xp.where((x == best) | (x != x), places, xp.zeros_like(places)), dim)


class Cummax(Op):
    name, formula = "cummax", "index of the maximum of x up to i"
    ordered = True

    def forward(b, x, *, dim):
        return _latest(b, x, b.accumulate("maximum", x, dim), dim)


class Cummin(Op):
    name, formula = "cummin", "index of the minimum of x up to i"
    ordered = True

    def forward(b, x, *, dim):
        return _latest(b, x, b.accumulate("minimum", x, dim), dim)


# ---------------------------------------------------------------- the public functions
def cumsum(input, dim=None, *, dtype=None, **kw) -> Tensor:
    """The sum of the elements up to each place along `dim`; integers are summed as int64, 16-bit floats in float32.

    Example:
        >>> import tensorlite as tl
        >>> tl.cumsum(tl.tensor([1, 2, 3]), dim=0)
        tensor([1, 3, 6])
    """
    x, dim = line("cumsum", input, axis(kw, dim, False)[0])
    out = Cumsum.apply(summand("cumsum", x, dtype), dim=dim, reverse=False)
    return out if input.ndim else out.reshape(())


def cumprod(input, dim=None, *, dtype=None, **kw) -> Tensor:
    """The product of the elements up to each place along `dim`; integers are multiplied as int64. The gradient is right
    where elements are 0, and so are the higher ones."""
    x, dim = line("cumprod", input, axis(kw, dim, False)[0])
    out = Cumprod.apply(summand("cumprod", x, dtype), dim=dim)
    return out if input.ndim else out.reshape(())


def logcumsumexp(input, dim=None, **kw) -> Tensor:
    """ln of the sum of exp(input) up to each place along `dim`, without overflow. Raises DTypeError for integers."""
    need_float("logcumsumexp", input)
    x, dim = line("logcumsumexp", input, axis(kw, dim, False)[0])
    out = Logcumsumexp.apply(x, dim=dim)
    return out if input.ndim else out.reshape(())


CumMax = {name: collections.namedtuple(name, "values indices") for name in ("cummax", "cummin")}


def _running(op, input, dim, kw):
    x, dim = line(op.name, input, axis(kw, dim, False)[0])
    indices = op.apply(x.detach(), dim=dim)
    return values_at(CumMax[op.name], input, indices, dim, keepdim=True)


def cummax(input, dim=None, **kw):
    """(values, indices) of the largest element up to each place along `dim`, the latest of several; once there was a nan
    it stays nan. The gradient goes to the index returned.

    Example:
        >>> import tensorlite as tl
        >>> tl.cummax(tl.tensor([1, 3, 2, 3]), dim=0)
        cummax(values=tensor([1, 3, 3, 3]), indices=tensor([0, 1, 1, 3]))
    """
    return _running(Cummax, input, dim, kw)


def cummin(input, dim=None, **kw):
    """(values, indices) of the smallest element up to each place along `dim`, as cummax."""
    return _running(Cummin, input, dim, kw)


def _slice(x, dim, start, stop):
    return x[(slice(None),) * dim + (slice(start, stop),)]


def diff(input, n=1, dim=-1, prepend=None, append=None, **kw) -> Tensor:
    """input[i + 1] - input[i] along `dim`, n times over; bools are compared. prepend, append: tensors joined on first.

    Raises:
        ShapeError: a 0-d tensor. ArgumentError: n < 0.
    """
    from tensorlite.ops.shape import cat

    dim, _ = axis(kw, dim, False)
    need_tensor("diff", input)
    if not input.ndim:
        raise errors.ShapeError(f"diff: at least one dimension is needed, got {errors.describe(input)}")
    if n < 0:
        raise errors.ArgumentError(f"diff: n must not be negative, got {n}")
    dim = dims.one("diff", dim, input.ndim)
    parts = [v for v in (prepend, input, append) if v is not None]
    out = cat(parts, dim) if len(parts) > 1 else input
    for _ in range(min(n, out.shape[dim])):
        later, earlier = _slice(out, dim, 1, None), _slice(out, dim, None, -1)
        out = later != earlier if out.dtype.category == 0 else later - earlier
    return out if n else out.clone()


def _areas(name, y, x, dx, dim):
    """The trapezoids between neighbours along dim, and dim."""
    need_tensor(name, y)
    if not y.ndim:
        raise errors.ShapeError(f"{name}: at least one dimension is needed, got {errors.describe(y)}")
    dim = dims.one(name, dim, y.ndim)
    heights = _slice(y, dim, 1, None) + _slice(y, dim, None, -1)
    if x is None:
        return heights * dx / 2, dim
    if not isinstance(x, Tensor):
        raise errors.DTypeError(f"{name}: x must be a tensor of places, not {type(x).__name__}; a distance is dx={x!r}")
    if x.ndim == 1:
        if x.shape[0] != y.shape[dim]:
            raise errors.ShapeError(
                f"{name}: x has {x.shape[0]} places, y {tuple(y.shape)} has {y.shape[dim]} samples along dim {dim}"
            )
        widths = diff(x).reshape([-1 if d == dim else 1 for d in range(y.ndim)])
    else:
        widths = diff(x, dim=dim - y.ndim)
    return heights * widths / 2, dim


def trapezoid(y, x=None, *, dx=1, dim=-1, axis=None) -> Tensor:
    """The integral of samples y along `dim` by the trapezoidal rule, at places x (a vector, or a tensor that broadcasts
    with y) or at a distance dx.

    Example:
        >>> import tensorlite as tl
        >>> tl.trapezoid(tl.tensor([1.0, 2.0, 4.0]), dx=2)
        tensor(9.)
    """
    areas, dim = _areas("trapezoid", y, x, dx, dim if axis is None else axis)
    return areas.sum(dim - y.ndim)


trapz = trapezoid


def cumulative_trapezoid(y, x=None, *, dx=1, dim=-1, axis=None) -> Tensor:
    """The integral up to each place but the first, as trapezoid."""
    areas, dim = _areas("cumulative_trapezoid", y, x, dx, dim if axis is None else axis)
    return cumsum(areas, dim - y.ndim)
