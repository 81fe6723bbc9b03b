"""Variances, medians, modes and quantiles; counts of integers and histograms."""

import collections
import math

from tensorlite import errors
from tensorlite.backend import dtypes
from tensorlite.op import Op
from tensorlite.ops import dims
from tensorlite.ops.convert import cast
from tensorlite.ops.extreme import values_at
from tensorlite.ops.index import TakeAlong
from tensorlite.ops.reduce import axis, back, line, mean, need_elements, need_float, need_tensor, shared, spread, wide
from tensorlite.ops.select import where
from tensorlite.ops.sort import Searchsorted, sort
from tensorlite.tensor import Tensor, mode as now, wrap

__all__ = [
    "bincount", "histc", "histogram", "median", "mode", "nanmedian", "nanquantile", "quantile", "std", "std_mean", "var",
    "var_mean",
]  # fmt: skip


# ---------------------------------------------------------------- spread
class Var(Op):
    name, formula, local = "var", "sum of (x - mean)^2 over dim / (n - correction)", "2 (x - mean) / (n - correction)"
    extras = ("scale",)
    ordered = True

    def forward(b, x, *, dim, keepdim, correction):
        n = math.prod(x.shape[d] for d in dim)
        scale = 1 / (n - correction) if n > correction else math.inf  # 0 times inf is nan
        z = wide(b, x)
        centred = z - z.mean(axis=dim, keepdims=True)
        y = (centred * centred).sum(axis=dim, keepdims=keepdim) * b.number(scale, z.dtype)
        return back(y, x), (scale,)

    def _rule(m, g, x, scale, dim):
        return spread(m, g, x.shape, dim) * ((x - m.mean(x, dim=dim, keepdim=True)) * (2 * scale))

    rules = _rule


def var(input, dim=None, unbiased=None, keepdim=False, *, correction=None, **kw) -> Tensor:
    """The variance over `dim`, divided by n - correction (1 unless given; `unbiased=False` is correction 0)."""
    return _var("var", input, dim, unbiased, keepdim, correction, kw)[0]


def _var(name, input, dim, unbiased, keepdim, correction, kw):
    """The variance, and the dim and keepdim that it was asked for in one form or the other."""
    dim, keepdim = axis(kw, dim, keepdim)
    if isinstance(dim, bool):  # var(unbiased)
        dim, unbiased = None, dim
    if correction is not None and unbiased is not None:
        raise errors.ArgumentError(f"{name}: give either unbiased or correction, not both")
    if correction is None:
        correction = 1 if unbiased is None else int(unbiased)
    need_float(name, input)
    dim = dims.several(name, dim, input.ndim)
    return Var.apply(input, dim=dim, keepdim=keepdim, correction=correction), dim, keepdim


def std(input, dim=None, unbiased=None, keepdim=False, *, correction=None, **kw) -> Tensor:
    """The square root of var, with its arguments. Where all elements are equal the gradient is chosen as 0."""
    return _std("std", input, dim, unbiased, keepdim, correction, kw)[0]


def _std(name, input, dim, unbiased, keepdim, correction, kw):
    need_float(name, input)
    x = cast(input, dtypes.float32) if input.dtype.itemsize == 2 else input  # a variance in 16 bits overflows
    v, dim, keepdim = _var(name, x, dim, unbiased, keepdim, correction, kw)
    constant = v == 0
    return cast(v.masked_fill(constant, 1.0).sqrt().masked_fill(constant, 0.0), input.dtype), dim, keepdim


def var_mean(input, dim=None, unbiased=None, keepdim=False, *, correction=None, **kw):
    """(var, mean) over `dim`, with the arguments of var."""
    v, dim, keepdim = _var("var_mean", input, dim, unbiased, keepdim, correction, kw)
    return v, mean(input, dim, keepdim)


def std_mean(input, dim=None, unbiased=None, keepdim=False, *, correction=None, **kw):
    """(std, mean) over `dim`, with the arguments of std."""
    s, dim, keepdim = _std("std_mean", input, dim, unbiased, keepdim, correction, kw)
    return s, mean(input, dim, keepdim)


# ---------------------------------------------------------------- the middle, and the most frequent
class Median(Op):
    """Of an even number of elements the lower of the two in the middle. Ties share the gradient evenly."""

    name, formula, local = "median", "the middle of x in order", "1 at the median (ties share)"

    def forward(b, x, *, skip):
        xp = b.xp
        if not x.size:
            return xp.full((), xp.nan, dtype=x.dtype)
        flat = x.reshape(-1)
        return xp.take(flat, _middle(b, wide(b, flat), 0, skip)).reshape(())

    def _rule(m, g, x, out):
        hit = (x == out) | ((x != x) & (out != out))
        return shared(m, g, hit, (1,) * len(x.shape), tuple(range(len(x.shape))))

    rules = _rule


class MedianIndex(Op):
    name, formula = "median_index", "index of the middle of x in order along dim"
    ordered = True

    def forward(b, x, *, dim, skip):
        return _middle(b, wide(b, x), dim, skip)


def _middle(b, x, dim, skip):
    """The index of the median along dim (kept): of the first nan where there is one, unless nans are skipped."""
    xp, n = b.xp, x.shape[dim]
    order = b.argsort(x, dim)
    whole = xp.sum(x == x, axis=dim, keepdims=True)  # nan is sorted behind them
    middle = xp.maximum(whole - 1, 0) // 2 if skip else xp.where(whole < n, whole, xp.full_like(whole, (n - 1) // 2))
    return xp.take_along_axis(order, middle, axis=dim)


class Mode(Op):
    """Lengths of the runs of equal elements in order, by their running starts; the first of the longest."""

    name, formula = "mode", "index of the most frequent element of x along dim"
    ordered = True

    def forward(b, x, *, dim):
        xp, n = b.xp, x.shape[dim]
        z = xp.moveaxis(wide(b, x), dim, -1)
        order = b.argsort(z, z.ndim - 1)
        z = xp.take_along_axis(z, order, axis=-1)
        new = xp.ones(z.shape, dtype=bool)
        new[..., 1:] = z[..., 1:] != z[..., :-1]
        places = xp.arange(n)
        run = places - b.accumulate("maximum", xp.where(new, places, xp.zeros_like(places)), z.ndim - 1)
        last = xp.expand_dims(xp.argmax(run, axis=-1), -1)
        return xp.moveaxis(xp.take_along_axis(order, last, axis=-1), -1, dim)


Medians = {n: collections.namedtuple(n, "values indices") for n in ("median", "nanmedian")}
Modes = collections.namedtuple("mode", "values indices")


def _median(name, input, dim, keepdim, kw, skip):
    dim, keepdim = axis(kw, dim, keepdim)
    need_tensor(name, input)
    if dim is None:
        if not input.dtype.is_floating_point:
            need_elements(name, input, range(input.ndim))  # there is no nan to give
        return Median.apply(input, skip=skip)
    x, dim = line(name, input, dim)
    need_elements(name, x, (dim,))
    return values_at(Medians[name], input, MedianIndex.apply(x.detach(), dim=dim, skip=skip), dim, keepdim)


def median(input, dim=None, keepdim=False, **kw):
    """The median of all; or along `dim` a pair (values, indices), the gradient going to the index returned, the first of
    several. Of an even number of elements the lower of the two in the middle (see quantile for their mean). A nan makes
    the result nan.

    Raises:
        ShapeError: no integers at all, or nothing along dim (the median of no floating-point numbers is nan).

    Example:
        >>> import tensorlite as tl
        >>> tl.median(tl.tensor([4.0, 1.0, 3.0, 2.0]))
        tensor(2.)
    """
    return _median("median", input, dim, keepdim, kw, skip=False)


def nanmedian(input, dim=None, keepdim=False, **kw):
    """The median of what is not nan; forms as of median. nan where all is."""
    return _median("nanmedian", input, dim, keepdim, kw, skip=True)


def mode(input, dim=-1, keepdim=False, **kw):
    """(values, indices) of the most frequent element along `dim`, the smallest of several, at the last place where it
    stands; the gradient goes there. (PyTorch leaves the place open.)"""
    dim, keepdim = axis(kw, dim, keepdim)
    x, dim = line("mode", input, dim)
    need_elements("mode", x, (dim,))
    return values_at(Modes, input, Mode.apply(x.detach(), dim=dim), dim, keepdim)


# ---------------------------------------------------------------- quantiles
_RULES = ("linear", "lower", "higher", "midpoint", "nearest")


def quantile(input, q, dim=None, keepdim=False, *, interpolation="linear", **kw) -> Tensor:
    """The value below which a share q of the elements along `dim` (None: of all) lies.

    q: a number, or a vector whose results stand along a new dimension 0. Place q (n - 1) of the sorted elements lies
    between two of them: interpolation is "linear", "lower", "higher", "midpoint" or "nearest". A nan makes the result nan;
    an inf just where q falls on it does not (in PyTorch it does).

    Raises:
        ArgumentError: q outside 0..1, an unknown interpolation. ShapeError: no elements. DTypeError: integers.

    Example:
        >>> import tensorlite as tl
        >>> tl.quantile(tl.tensor([1.0, 2.0, 4.0]), tl.tensor([0.25, 0.5]))
        tensor([1.5000, 2.0000])
    """
    return _quantile("quantile", input, q, dim, keepdim, interpolation, kw, skip=False)


def nanquantile(input, q, dim=None, keepdim=False, *, interpolation="linear", **kw) -> Tensor:
    """As quantile, of what is not nan; nan where all is."""
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation, kw, skip=True)


def _quantile(name, input, q, dim, keepdim, interpolation, kw, skip):
    dim, keepdim = axis(kw, dim, keepdim)
    need_float(name, input)
    if interpolation not in _RULES:
        raise errors.ArgumentError(f"{name}: interpolation must be one of {', '.join(_RULES)}, got {interpolation!r}")
    if now.casts:
        input, q = now.casts.to(name, input, q)
    q = _shares(name, q, input)
    x, d = (input.reshape(-1), 0) if dim is None else line(name, input, dim)
    need_elements(name, x, range(x.ndim))
    kept, many = [1 if dim is None or i == d else n for i, n in enumerate(input.shape)], q.ndim > 0
    x = sort(cast(x, dtypes.float32) if x.dtype.itemsize == 2 else x, d).values.movedim(d, -1)
    q, n = cast(q, x.dtype).reshape(-1), x.shape[-1]
    whole = cast((x == x).sum(-1, keepdim=True), x.dtype)  # nan comes behind them
    if skip:
        place = q * (whole - 1).clamp(min=0)
    else:
        place = (q * (n - 1)).expand(*whole.shape[:-1], -1).masked_fill(whole < n, n - 1)
    place = place.round() if interpolation == "nearest" else place  # (..., number of q)
    low, high = place.detach().floor(), place.detach().ceil()
    out = _at(x, high if interpolation == "higher" else low)
    if interpolation in ("linear", "midpoint"):
        weight = place - low if interpolation == "linear" else 0.5
        above = _at(x, high)
        gap = (above - out).masked_fill(low == high, 0.0)
        near = place - low < 0.5  # from the nearer of the two, as in PyTorch
        out = where(near, out + gap * weight, above - gap * (1 - weight))
    out = cast(out, input.dtype).movedim(-1, 0)
    out = out if many else out.squeeze(0)
    return out.reshape((*q.shape, *kept) if many else kept) if keepdim else out


def _at(x, place):
    """The elements of x at whole places along the last dimension."""
    return TakeAlong.apply(x, cast(place, dtypes.int64), dim=x.ndim - 1)


def _shares(name, q, input):
    """q as a tensor, each in 0..1."""
    if not isinstance(q, Tensor):
        if not isinstance(q, (int, float)):
            raise errors.DTypeError(f"{name}: q must be a number or a tensor, not {type(q).__name__}")
        right, q = 0 <= q <= 1, wrap(input.device.backend.xp.full((), q, dtype=input.array.dtype), input.device)
    else:
        if q.dtype is not input.dtype:
            raise errors.DTypeError(
                f"{name}: q must have the dtype of input, {input.dtype.name}, got {errors.describe(q)}"
            )
        if q.ndim > 1:
            raise errors.ShapeError(f"{name}: q must be a number or a vector, got {errors.describe(q)}")
        right = not q.array.size or bool((q.array.min() >= 0) & (q.array.max() <= 1))
    if not right:
        raise errors.ArgumentError(f"{name}: q must lie in 0 to 1, got {q.tolist()}")
    return q


# ---------------------------------------------------------------- counts
class Bincount(Op):
    """The host waits for the device: the largest number decides the length."""

    name, formula = "bincount", "how often (with weights: with which sum) each of 0, 1, 2, ... is in x"

    def forward(b, x, weights, *, minlength):
        if x.size and int(x.min()) < 0:
            raise errors.ArgumentError(f"the numbers must not be negative, the least is {int(x.min())}")
        n = max(int(x.max()) + 1 if x.size else 0, minlength)
        if weights is None:
            weights = b.xp.ones(x.shape, dtype=b.xp.int64)
        return b.index_add((n,), (x.astype(b.xp.int64),), weights)


class Histogram(Op):
    """Elements outside of the edges, and nan, count nowhere; the last bin has its right edge too."""

    name, formula = "histogram", "sum of the weights of the x in each bin between edges"

    def forward(b, x, edges, weight):
        xp, n = b.xp, edges.shape[0] - 1
        x = x.reshape(-1)
        bin_ = Searchsorted.forward(b, edges, x, right=True) - 1
        bin_ = xp.where(x == edges[n:], n - 1, bin_)
        bin_ = xp.where((x >= edges[:1]) & (x <= edges[n:]), bin_, n)  # n: the bin of what is outside
        weight = xp.ones(x.shape, dtype=x.dtype) if weight is None else weight.reshape(-1)
        return b.index_add((n + 1,), (bin_,), weight)[:n].copy()


Histograms = collections.namedtuple("histogram", "hist bin_edges")


def bincount(input, weights=None, minlength=0) -> Tensor:
    """How often each of 0, 1, 2, ... is in the vector `input` of non-negative integers; with `weights`, their sum there.
    At least `minlength` numbers; without a gradient.

    Example:
        >>> import tensorlite as tl
        >>> tl.bincount(tl.tensor([0, 2, 2]))
        tensor([1, 0, 2])
    """
    need_tensor("bincount", input)
    if input.dtype.category != 1 or input.ndim != 1:
        raise errors.DTypeError(f"bincount: a vector of integers is needed, got {errors.describe(input)}")
    if minlength < 0:
        raise errors.ArgumentError(f"bincount: minlength must not be negative, got {minlength}")
    if weights is not None:
        if weights.shape != input.shape:
            raise errors.ShapeError(
                f"bincount: weights {tuple(weights.shape)} must have the shape of input {tuple(input.shape)}"
            )
        weights = weights.detach() if weights.dtype is dtypes.float32 else cast(weights.detach(), dtypes.float64)
    return Bincount.apply(input, weights, minlength=minlength)


def _edges(name, input, bins, low, high):
    """bins + 1 edges from low to high; where these are equal, from the least to the largest element."""
    if not hasattr(bins, "__index__") or bins < 1:
        raise errors.ArgumentError(f"{name}: bins must be a positive int, got {bins!r}")
    if low == high:
        x = input.detach()
        low, high = (x.min().item(), x.max().item()) if input.array.size else (0.0, 1.0)
    if low == high:
        low, high = low - (0.5 if name == "histogram" else 1), high + (0.5 if name == "histogram" else 1)
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise errors.ArgumentError(f"{name}: the range must be finite and increasing, got {low} to {high}")
    b = input.device.backend
    edges = b.xp.linspace(low, high, bins + 1, dtype=b.xp.float64).astype(input.array.dtype)
    return wrap(edges, input.device)


def histc(input, bins=100, min=0, max=0) -> Tensor:
    """How many elements lie in each of `bins` equal intervals between min and max (both 0: the least and the largest
    element), in the dtype of input; what is outside, and nan, counts nowhere. Without a gradient.

    Raises:
        DTypeError: integers. ArgumentError: a range that is not finite or not increasing, bins < 1.

    Example:
        >>> import tensorlite as tl
        >>> tl.histc(tl.tensor([1.0, 2.0, 1.0]), bins=4, min=0, max=3)
        tensor([0., 2., 1., 0.])
    """
    need_float("histc", input)
    if now.vmap is not None and (out := now.vmap.each(histc, (input, bins, min, max))) is not None:
        return out
    return Histogram.apply(input.detach(), _edges("histc", input, bins, min, max), None)


def histogram(input, bins=100, *, range=None, weight=None, density=False):
    """(hist, bin_edges): how many elements (or the sum of their weights) lie in each of `bins` equal intervals between
    the least and the largest element, or over `range` (low, high); or between given edges, an increasing vector.

    density: divided by the sum and the widths of the bins, so that the integral is 1. Without a gradient.
    """
    need_float("histogram", input)
    if weight is not None and weight.shape != input.shape:
        raise errors.ShapeError(
            f"histogram: weight {tuple(weight.shape)} must have the shape of input {tuple(input.shape)}"
        )
    if isinstance(bins, Tensor):
        if bins.ndim != 1 or bins.shape[0] < 2 or bins.dtype is not input.dtype:
            raise errors.ShapeError(
                f"histogram: bins must be a vector of at least 2 edges in {input.dtype.name}, got {errors.describe(bins)}"
            )
        edges = bins.detach()
    else:
        call = lambda x, w: histogram(x, bins, range=range, weight=w, density=density)  # noqa: E731
        if now.vmap is not None and (out := now.vmap.each(call, (input, weight))) is not None:
            return out
        edges = _edges("histogram", input, bins, *(range or (0, 0)))
    weight = None if weight is None else cast(weight.detach(), input.dtype)
    hist = Histogram.apply(input.detach(), edges, weight)
    if density:
        hist = hist / hist.sum() / (edges[1:] - edges[:-1])
    return Histograms(hist, edges)
