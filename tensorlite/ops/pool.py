"""Pooling: the maximum, mean or power mean of windows, and of as many windows as wanted (adaptive).

Means are sums with fixed weights along one dimension after the other: Resample, an op that its own transpose differentiates
(interpolation in resize.py is the same op with other weights). Maxima are found once, and then read by index.
"""

import functools
import itertools

from tensorlite import errors
from tensorlite.op import Op
from tensorlite.ops.conv import batched, per_axis, times
from tensorlite.ops.reduce import mean
from tensorlite.ops.scatter import scatter
from tensorlite.ops.select import where
from tensorlite.tensor import here, mode, path, wrap

__all__ = [
    "adaptive_avg_pool1d", "avg_pool1d", "max_pool1d", "max_pool1d_with_indices", "max_pool2d",
    "max_pool3d",
]  # fmt: skip


class Resample(Op):
    """Along each spatial dimension in turn: out[..., o, ...] = sum over k of weights[k][o] x[..., positions[k][o], ...].

    taps: for each dimension (positions, weights), or None where it stays as it is; sizes: those of x.
    """

    name, formula = "resample", "weighted sums of windows of x"
    local = "the same with the tables transposed"
    ordered = True

    def forward(b, x, *, taps, sizes):
        return b.resample(x, taps)

    def _rule(m, g, taps, sizes):
        back = tuple(None if t is None else transposed(t, n) for t, n in zip(taps, sizes, strict=True))
        return m.resample(g, taps=back, sizes=tuple(g.shape[2:]))

    rules = _rule


class MaxPoolIndex(Op):
    name, formula = "max_pool_index", "index of the maximum of each window of x"
    ordered = True

    def forward(b, x, *, positions):
        return b.max_window(x, positions)


class MaxPool(Op):
    """x (N, C, *size) at index (N, C, *out), which counts through the flattened spatial dimensions."""

    name, formula, local = "max_pool", "max of windows of x", ("1 at the maximum", "")
    extras = ("size",)

    def forward(b, x, index, *, apart):
        return b.take_flat(x, index), (x.shape[2:],)

    rules = (lambda m, g, index, apart, size: m.max_unpool(g, index, apart=apart, size=size), None)


class MaxUnpool(Op):
    """The transpose of MaxPool. apart: no place is named twice."""

    name, formula, local = "max_unpool", "zeros; out[index] += x", ("g[index]", "")

    def forward(b, x, index, *, apart, size):
        return b.put_flat(x, index, size, apart)

    rules = (lambda m, g, index, apart: m.max_pool(g, index, apart=apart), None)


# ---------------------------------------------------------------- tables: which window sees which positions
def table(rows):
    """For each window a list of (position, weight), as the two tables (positions, weights) of Resample.

    Where windows differ in length the last position of the short ones is repeated, its weight divided among the copies: so no
    element is counted that does not belong to the window, not even with weight 0 (0 times inf is nan).
    """
    longest = max((len(r) for r in rows), default=1) or 1
    full = []
    for row in rows:
        position, weight = row[-1] if row else (0, 0.0)
        copies = longest - len(row) + bool(row)
        full.append([*row[:-1], *[(position, weight / copies)] * copies])
    columns = [[row[k] for row in full] for k in range(longest)]
    return tuple(tuple(p for p, _ in c) for c in columns), tuple(tuple(w for _, w in c) for c in columns)


@functools.lru_cache(512)
def transposed(taps, size):
    """The table that sends each window's value back to the `size` positions it came from."""
    rows = [[] for _ in range(size)]
    for positions, weights in zip(*taps, strict=True):
        for window, (p, w) in enumerate(zip(positions, weights, strict=True)):
            rows[p].append((window, w))
    rows = [sorted(r) for r in rows]
    return table([_merged(r) for r in rows])


def _merged(row):
    """Several entries for the same window as one."""
    total = {}
    for window, w in row:
        total[window] = total.get(window, 0.0) + w
    return list(total.items())


@functools.lru_cache(512)
def adaptive_rows(size, out):
    """The positions of the windows that cut `size` elements into `out` nearly equal parts, overlapping where they must."""
    return tuple(tuple(range(i * size // out, -(-(i + 1) * size // out))) for i in range(out))


def _windows(name, input, kernel, stride, padding, dilation, ceil_mode):
    """How many windows each dimension has. With ceil_mode one more may hang over the end, if it begins inside."""
    out = []
    for n, k, s, p, d in zip(input.shape[-len(kernel) :], kernel, stride, padding, dilation, strict=True):
        free = n + 2 * p - d * (k - 1) - 1
        count = (-(-free // s) if ceil_mode else free // s) + 1
        if ceil_mode and (count - 1) * s >= n + p:
            count -= 1
        out.append(count)
    if min(out) < 1:
        spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
        full = [n + 2 * p for n, p in zip(input.shape[-len(kernel) :], padding, strict=True)]
        fault = f"the window {times(spans)} is larger than the input{' after padding' if any(padding) else ''}: {times(full)}"
        raise errors.ShapeError(errors.compose(name, fault, errors.argument_table(("input",), (input,)), path()))
    return tuple(out)


def _geometry(name, rank, input, kernel_size, stride, padding, dilation):
    input = mode.casts.one(name, input) if mode.now.casts else input
    x, many = batched(name, input, rank)
    kernel = per_axis(name, "kernel_size", kernel_size, rank, 1)
    stride = kernel if stride is None or stride == () or stride == [] else per_axis(name, "stride", stride, rank, 1)
    padding, dilation = per_axis(name, "padding", padding, rank), per_axis(name, "dilation", dilation, rank, 1)
    if any(2 * p > d * (k - 1) + 1 for p, k, d in zip(padding, kernel, dilation, strict=True)):
        raise errors.ArgumentError(
            f"{name}: padding may be at most half of the window: padding {times(padding)}, window {times(kernel)}"
        )
    return x, many, kernel, stride, padding, dilation


# ---------------------------------------------------------------- maxima
def _max_pool(name, rank, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices):
    x, many, kernel, stride, padding, dilation = _geometry(name, rank, input, kernel_size, stride, padding, dilation)
    out = _windows(name, input, kernel, stride, padding, dilation, ceil_mode)
    rows = tuple(_seen(*each) for each in zip(x.shape[2:], out, kernel, stride, padding, dilation, strict=True))
    if any(not r for axis in rows for r in axis):
        raise errors.ShapeError(
            here(
                f"{name}: some windows see nothing but padding: input {errors.describe(input)}, window {times(kernel)} with "
                f"dilation {times(dilation)}, padding {times(padding)}"
            )
        )
    return _maxima(x, rows, many, return_indices)


@functools.lru_cache(512)
def _seen(size, out, kernel, stride, padding, dilation):
    """For each window the positions inside of the input that it sees."""
    starts = [o * stride - padding for o in range(out)]
    return tuple(tuple(p for p in range(s, s + dilation * (kernel - 1) + 1, dilation) if 0 <= p < size) for s in starts)


def _maxima(x, rows, many, return_indices):
    """The maximum over windows that see the given positions, and where it is; the gradient goes there."""
    index = MaxPoolIndex.apply(x, positions=tuple(_columns(r) for r in rows))
    y = MaxPool.apply(x, index, apart=all(_apart(r) for r in rows))
    if not many:
        y, index = y.squeeze(0), index.squeeze(0)
    return (y, index) if return_indices else y


@functools.lru_cache(512)
def _columns(rows):
    """Row k holds the k-th position of each window; short windows repeat their last."""
    longest = max(map(len, rows), default=1)
    return tuple(tuple(r[min(k, len(r) - 1)] for r in rows) for k in range(longest))


@functools.lru_cache(512)
def _apart(rows) -> bool:
    """Whether no position is seen by two windows."""
    return all(a[-1] < b[0] for a, b in itertools.pairwise(rows))


def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """The maxima of windows of sequences (N, C, L) or (C, L). See max_pool2d."""
    return _max_pool("max_pool1d", 1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """The maximum of each window of images (N, C, H, W) or (C, H, W).

    stride: as the window unless given. padding: of minus infinity. ceil_mode: windows that hang over the end count too.
    return_indices: also where each maximum is, counted through the flattened H, W (what F.max_unpool2d takes).
    Of equal values the first counts, and gets the gradient; nan wins over all.

    Raises:
        ShapeError: a window larger than the padded input. ArgumentError: padding of more than half a window, stride 0.
    """
    return _max_pool("max_pool2d", 2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool3d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """The maxima of windows of volumes (N, C, D, H, W) or (C, D, H, W). See max_pool2d."""
    return _max_pool("max_pool3d", 3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def _with_indices(rank):
    name = f"max_pool{rank}d_with_indices"

    def function(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
        return _max_pool(f"max_pool{rank}d", rank, input, kernel_size, stride, padding, dilation, ceil_mode, True)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"max_pool{rank}d with return_indices=True: (values, indices)."
    return function


max_pool1d_with_indices, max_pool2d_with_indices, max_pool3d_with_indices = map(_with_indices, (1, 2, 3))


def _adaptive(name, rank, input, output_size):
    """(input with batch, whether it had one, for each dimension the positions of its windows)."""
    input = mode.casts.one(name, input) if mode.now.casts else input
    x, many = batched(name, input, rank)
    wanted = tuple(output_size) if isinstance(output_size, (tuple, list)) else (output_size,) * rank
    if len(wanted) != rank:
        raise errors.ArgumentError(f"{name}: output_size must be an int or {rank} ints or None, got {output_size!r}")
    out = per_axis(name, "output_size", [n if o is None else o for o, n in zip(wanted, x.shape[2:], strict=True)], rank)
    if 0 in x.shape[1:]:
        raise errors.ShapeError(here(f"{name}: the input has no elements in a dimension: {errors.describe(input)}"))
    return x, many, tuple(adaptive_rows(n, o) for n, o in zip(x.shape[2:], out, strict=True))


def _adaptive_max(name, rank, input, output_size, return_indices):
    x, many, rows = _adaptive(name, rank, input, output_size)
    return _maxima(x, rows, many, return_indices)


def adaptive_max_pool1d(input, output_size, return_indices=False):
    """The maxima of output_size windows of sequences. See adaptive_max_pool2d."""
    return _adaptive_max("adaptive_max_pool1d", 1, input, output_size, return_indices)


def adaptive_max_pool2d(input, output_size, return_indices=False):
    """The maxima of output_size (an int or (H', W'); None: as the input) nearly equal windows of images.

    Window i of n along a dimension of size L goes from floor(i L / n) up to ceil((i + 1) L / n).
    """
    return _adaptive_max("adaptive_max_pool2d", 2, input, output_size, return_indices)


def adaptive_max_pool3d(input, output_size, return_indices=False):
    """The maxima of output_size windows of volumes. See adaptive_max_pool2d."""
    return _adaptive_max("adaptive_max_pool3d", 3, input, output_size, return_indices)


# ---------------------------------------------------------------- back to where the maxima were
def _max_unpool(name, rank, input, indices, kernel_size, stride, padding, output_size):
    x, many, kernel, stride, padding, _ = _geometry(name, rank, input, kernel_size, stride, padding, 1)
    if indices.dtype.category != 1 or tuple(indices.shape) != tuple(input.shape):
        raise errors.ShapeError(
            here(
                f"{name}: indices must be integers of the shape of input {tuple(input.shape)}, got {errors.describe(indices)}"
            )
        )
    least = [(n - 1) * s - 2 * p + k for n, s, p, k in zip(x.shape[2:], stride, padding, kernel, strict=True)]
    size = tuple(least if output_size is None else output_size)[-rank:]
    if any(not n - s < m < n + s for n, m, s in zip(least, size, stride, strict=True)):
        raise errors.ShapeError(
            here(f"{name}: output_size must be within a stride of {tuple(least)}, got {tuple(output_size)}")
        )
    plane = 1
    for n in size:
        plane *= n
    index = indices if many else indices.unsqueeze(0)
    index.device.backend.check_range(index.array, plane, f"{name}: index")
    y = MaxUnpool.apply(where(_last(index.detach(), plane), x, 0.0), index.detach(), apart=False, size=size)
    return y if many else y.squeeze(0)


def _last(index, plane):
    """Whether no later element of a plane names the same place."""
    places, xp = index.flatten(2), index.device.backend.xp
    n = places.shape[2]
    order = wrap(xp.arange(n).reshape(1, 1, n), index.device).expand(places.shape)
    seen = wrap(xp.zeros((*places.shape[:2], plane), order.array.dtype), index.device)
    return (scatter(seen, 2, places, order).gather(2, places) == order).reshape(index.shape)


def max_unpool1d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Zeros, with the values of max_pool1d back at their indices. See max_unpool2d."""
    return _max_unpool("max_unpool1d", 1, input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Zeros, with the values of max_pool2d back at their indices; where one index occurs twice the last value counts, and
    only it has a gradient (PyTorch does not say which one counts, and gives all of them a gradient)."""
    return _max_unpool("max_unpool2d", 2, input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Zeros, with the values of max_pool3d back at their indices. See max_unpool2d."""
    return _max_unpool("max_unpool3d", 3, input, indices, kernel_size, stride, padding, output_size)


# ---------------------------------------------------------------- means
def resampled(x, taps, many):
    """Resample, and without the batch dimension if there was none."""
    y = Resample.apply(x, taps=tuple(taps), sizes=tuple(x.shape[2:]))
    return y if many else y.squeeze(0)


def _need_float(name, x):
    if not x.dtype.is_floating_point:
        raise errors.DTypeError(
            here(f"{name}: a floating-point tensor is needed, got {errors.describe(x)}; use x.float()")
        )


@functools.lru_cache(512)
def _means(size, out, kernel, stride, padding, include_pad, whole):
    """The table of mean windows; `whole`: divide by nothing here."""
    rows = []
    for o, seen in enumerate(_seen(size, out, kernel, stride, padding, 1)):
        start = o * stride - padding
        count = min(start + kernel, size + padding) - start if include_pad else len(seen)
        rows.append([(p, 1.0 if whole else 1 / count) for p in seen])
    return table(rows)


def _avg_pool(name, rank, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor=None):
    x, many, kernel, stride, padding, ones = _geometry(name, rank, input, kernel_size, stride, padding, 1)
    _need_float(name, input)
    if divisor == 0:
        raise errors.ArgumentError(f"{name}: divisor_override must not be 0")
    out = _windows(name, input, kernel, stride, padding, ones, ceil_mode)
    sizes = zip(x.shape[2:], out, kernel, stride, padding, strict=True)
    y = resampled(x, [_means(*each, bool(count_include_pad), divisor is not None) for each in sizes], many)
    return y if divisor is None else y / divisor


def avg_pool1d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """The means of windows of sequences (N, C, L) or (C, L). See avg_pool2d."""
    return _avg_pool("avg_pool1d", 1, input, kernel_size, stride, padding, ceil_mode, count_include_pad)


def avg_pool2d(
    input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
):
    """The mean of each window of images (N, C, H, W) or (C, H, W).

    stride: as the window unless given. padding: of zeros, which count in the mean if count_include_pad. ceil_mode: windows
    that hang over the end count too. divisor_override: divide the sums by this number.

    Raises:
        ShapeError: a window larger than the padded input. ArgumentError: padding of more than half a window, stride 0.
        DTypeError: integers (PyTorch cuts their means off to integers, for int64 only).
    """
    return _avg_pool(
        "avg_pool2d", 2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )  # fmt: skip


def avg_pool3d(
    input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
):
    """The means of windows of volumes (N, C, D, H, W) or (C, D, H, W). See avg_pool2d."""
    return _avg_pool(
        "avg_pool3d", 3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )  # fmt: skip


@functools.lru_cache(512)
def adaptive_means(size, out):
    """The table of the means of adaptive windows; None where nothing changes."""
    return None if size == out else table([[(p, 1 / len(r)) for p in r] for r in adaptive_rows(size, out)])


def _adaptive_avg(name, rank, input, output_size):
    x, many, rows = _adaptive(name, rank, input, output_size)
    _need_float(name, input)
    if all(len(r) == 1 for r in rows):  # one window: the mean of all
        y = mean(x, tuple(range(2, x.ndim)), keepdim=True)
        return y if many else y.squeeze(0)
    return resampled(x, [adaptive_means(n, len(r)) for n, r in zip(x.shape[2:], rows, strict=True)], many)


def adaptive_avg_pool1d(input, output_size):
    """The means of output_size windows of sequences. See adaptive_avg_pool2d."""
    return _adaptive_avg("adaptive_avg_pool1d", 1, input, output_size)


def adaptive_avg_pool2d(input, output_size):
    """The means of output_size (an int or (H', W'); None: as the input) nearly equal windows of images.

    Window i of n along a dimension of size L goes from floor(i L / n) up to ceil((i + 1) L / n).
    """
    return _adaptive_avg("adaptive_avg_pool2d", 2, input, output_size)


def adaptive_avg_pool3d(input, output_size):
    """The means of output_size windows of volumes. See adaptive_avg_pool2d."""
    return _adaptive_avg("adaptive_avg_pool3d", 3, input, output_size)


def _lp_pool(name, rank, input, norm_type, kernel_size, stride, ceil_mode):
    kernel = per_axis(name, "kernel_size", kernel_size, rank, 1)
    count = 1
    for k in kernel:
        count *= k
    powers = _avg_pool(name, rank, input**norm_type, kernel, stride, 0, ceil_mode, True)
    return (powers.sign() * powers.abs().relu() * count) ** (1.0 / norm_type)


def lp_pool1d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """(sum of x^p)^(1/p) over windows of sequences, p = norm_type (Gulcehre et al. 2014). Its gradient where the sum is 0 is
    0, as in PyTorch."""
    return _lp_pool("lp_pool1d", 1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """(sum of x^p)^(1/p) over windows of images. See lp_pool1d."""
    return _lp_pool("lp_pool2d", 2, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """(sum of x^p)^(1/p) over windows of volumes. See lp_pool1d."""
    return _lp_pool("lp_pool3d", 3, input, norm_type, kernel_size, stride, ceil_mode)
