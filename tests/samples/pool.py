"""Records of pooling, interpolation and pixel_shuffle. The references go from window to window, in plain Python."""

import itertools
import math

import numpy as np

from samples.base import Case, Record, distinct, values
from samples.conv import tupled
from tensorlite import errors


def _functional(name):
    return lambda t, x, *more, **kw: getattr(t.nn.functional, name)(x, *more, **kw)


# ---------------------------------------------------------------- windows
def _fixed(size, *, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    """For each dimension and window: the positions it sees, and how many it has with the padding."""
    rank = len(size)
    kernel = tupled(kernel_size, rank)
    step = kernel if stride is None else tupled(stride, rank)
    axes = []
    for n, k, s, p, d in zip(size, kernel, step, tupled(padding, rank), tupled(dilation, rank), strict=True):
        windows, start = [], -p
        while start + d * (k - 1) < n + p or (ceil_mode and start < n and start + d * (k - 1) < n + p + s):
            seen = [i for i in range(start, start + d * k, d) if 0 <= i < n]
            windows.append((seen, len([i for i in range(start, start + d * k, d) if i < n + p])))
            start += s
        axes.append(windows)
    return axes


def _adaptive(size, output_size):
    out = [n if o is None else o for n, o in zip(size, tupled(output_size, len(size)), strict=True)]
    return [
        [(list(range(math.floor(i * n / o), math.ceil((i + 1) * n / o))), 0) for i in range(o)]
        for n, o in zip(size, out, strict=True)
    ]


def _over(x, axes, value):
    """value(the elements of one plane as {position: number}, how many with padding) for every window and plane."""
    rank = len(axes)
    planes = x.reshape(-1, *x.shape[-rank:])
    out = [len(a) for a in axes]
    y = np.zeros((len(planes), *out))
    for n, plane in enumerate(planes):
        for place in np.ndindex(*out):
            seen = [axes[i][o] for i, o in enumerate(place)]
            elements = {p: plane[p] for p in itertools.product(*[s[0] for s in seen])}
            y[(n, *place)] = value(elements, math.prod(s[1] for s in seen))
    return y.reshape(*x.shape[:-rank], *out)


def _max_value(elements, _):
    return max(elements.values())


def _max_place(size):
    def place(elements, _):
        best = None
        for p, v in elements.items():
            if best is None or v > elements[best] or v != v:
                best = p
        return np.ravel_multi_index(best, size)

    return place


def _max_ref(rank):
    return lambda x, **kw: _over(x, _fixed(x.shape[-rank:], **kw), _max_value)


def _index_ref(x, **kw):
    return _over(x, _fixed(x.shape[-2:], **kw), _max_place(x.shape[-2:])).astype(int)


def _adaptive_index_ref(x, output_size):
    return _over(x, _adaptive(x.shape[-2:], output_size), _max_place(x.shape[-2:])).astype(int)


def _avg_ref(rank):
    def ref(x, *, count_include_pad=True, divisor_override=None, **kw):
        def mean(elements, full):
            return sum(elements.values()) / (divisor_override or (full if count_include_pad else len(elements)))

        return _over(x, _fixed(x.shape[-rank:], **kw), mean)

    return ref


def _adaptive_ref(rank, value):
    return lambda x, output_size: _over(x, _adaptive(x.shape[-rank:], output_size), value)


def _mean(elements, _):
    return sum(elements.values()) / len(elements)


def _lp_ref(rank):
    def ref(x, *, norm_type, **kw):
        def norm(elements, full):
            total = sum(v**norm_type for v in elements.values())
            return (total / full * math.prod(tupled(kw["kernel_size"], rank))) ** (1 / norm_type)

        return _over(x, _fixed(x.shape[-rank:], **kw), norm)

    return ref


def _unpool_ref(x, index, *, output_size, **_):
    y = np.zeros((math.prod(x.shape[:2]), math.prod(output_size)))
    flat = (len(y), math.prod(x.shape[2:]))
    for row, to, v in zip(y, index.reshape(flat), x.reshape(flat), strict=True):
        row[to] = v
    return y.reshape(*x.shape[:2], *output_size)


def _unpool_cases(rng):
    index = np.stack([rng.choice(12, 4, replace=False) for _ in range(4)]).reshape(2, 2, 2, 2)
    return [Case((values(rng, (2, 2, 2, 2)), index), {"kernel_size": 2, "output_size": (4, 3)}),
            Case((values(rng, (0, 2, 2, 2)), index[:0]), {"kernel_size": 2, "output_size": (4, 4)})]  # fmt: skip


# ---------------------------------------------------------------- cases
def _pool_cases(rank, draw, more=()):
    def cases(rng):
        size = (7,) if rank == 1 else (4, 5) if rank == 2 else (3, 2, 4)
        window = (3, 2, 2)[:rank]
        batch = (2, 2) if rank < 3 else (1, 2)
        made = [
            Case((draw(rng, (*batch, *size)),), {"kernel_size": 2}),
            Case((draw(rng, (2, *size)),), {"kernel_size": window, "stride": (1, 2, 2)[:rank], "padding": 1}),
            Case((draw(rng, (1, 1, *size)),), {"kernel_size": 2, "ceil_mode": True}),
            Case((draw(rng, (1, 1, *size)),), {"kernel_size": 2, "stride": 3, "padding": 1, "ceil_mode": True}),
            Case((draw(rng, (0, 2, *size)),), {"kernel_size": 2}),
        ]
        return made + [Case((draw(rng, (1, 2, *size)),), kw) for kw in more]

    return cases


def _adaptive_cases(rank, draw):
    def cases(rng):
        size = (7,) if rank == 1 else (4, 5) if rank == 2 else (3, 2, 4)
        outs = [(3,), (1,), (9,)] if rank == 1 else [(2, 3), (None, 1), (7, 2), 2] if rank == 2 else [(2, None, 3), 1]
        made = [Case((draw(rng, (2, 1, *size)),), {"output_size": o}) for o in outs]
        return [*made, Case((draw(rng, (2, *size)),), {"output_size": outs[0]})]

    return cases


def _index_cases(rng):
    ties = np.round(values(rng, (1, 1, 5, 5)) / 2)
    nans = values(rng, (1, 1, 5, 5))
    nans[0, 0, [1, 1, 2, 4], [1, 2, 1, 4]] = np.nan
    low = np.full((1, 1, 4, 4), -np.inf)
    args = {"kernel_size": 3, "stride": 2, "padding": 1}
    return [
        Case((distinct(rng, (2, 2, 4, 5)),), {"kernel_size": 2}), Case((ties,), args, "ties"), Case((nans,), args, "nan"),
        Case((nans,), {"kernel_size": 2, "ceil_mode": True}, "nan, over the end"), Case((low,), args, "minus infinity"),
        Case((distinct(rng, (2, 6, 6)),), {"kernel_size": 2, "dilation": (2, 3), "stride": 1}),
    ]  # fmt: skip


# ---------------------------------------------------------------- interpolate
def _interpolate_ref(
    x, *, size=None, scale_factor=None, mode="nearest", align_corners=None, recompute_scale_factor=None
):
    """One output after the other, from the position it has among the inputs."""
    rank = x.ndim - 2
    given = tupled(scale_factor, rank)
    sizes = [math.floor(n * s) for n, s in zip(x.shape[2:], given, strict=True)] if size is None else tupled(size, rank)
    for axis, (n, o, s) in enumerate(zip(x.shape[2:], sizes, given, strict=True), 2):
        step = n / o if s is None or recompute_scale_factor else 1 / s
        if align_corners:
            step = (n - 1) / (o - 1) if o > 1 else 0
        weights = np.zeros((o, n))
        for i in range(o):
            if mode == "area":
                a, b = math.floor(i * n / o), math.ceil((i + 1) * n / o)
                weights[i, a:b] = 1 / (b - a)
            elif mode.startswith("nearest"):
                weights[i, min(math.floor((i + (0.5 if mode == "nearest-exact" else 0)) * step), n - 1)] = 1
            else:
                at = i * step if align_corners else (i + 0.5) * step - 0.5
                at = at if mode == "bicubic" else max(at, 0)
                near = math.floor(at)
                for k in range(near - 1, near + 3):
                    d = abs(at - k)
                    if mode != "bicubic":
                        w = max(1 - d, 0)
                    elif d <= 1:
                        w = 1.25 * d**3 - 2.25 * d**2 + 1
                    else:
                        w = -0.75 * (d**3 - 5 * d**2 + 8 * d - 4) if d < 2 else 0
                    weights[i, min(max(k, 0), n - 1)] += w
        x = np.moveaxis(np.moveaxis(x, axis, -1) @ weights.T, -1, axis)
    return x


def _interpolate_cases(rng):
    made, v = [], lambda *s: values(rng, s)
    for mode in ("nearest", "nearest-exact", "area"):
        made += [Case((v(1, 2, 3, 4),), {"size": (5, 3), "mode": mode}), Case((v(2, 1, 5),), {"scale_factor": 1.5, "mode": mode}),
                 Case((v(1, 1, 2, 3, 2),), {"scale_factor": (2, 1, 0.5), "mode": mode})]  # fmt: skip
    for mode, size in (("linear", (5,)), ("bilinear", (3, 4)), ("bicubic", (3, 4)), ("trilinear", (2, 3, 2))):
        rank = len(size)
        made += [
            Case((v(1, 2, *size),), {"size": (7, 2, 3)[:rank], "mode": mode, "align_corners": True}),
            Case((v(1, 1, *size),), {"scale_factor": (2, 1.4, 2)[:rank], "mode": mode, "align_corners": False}),
            Case((v(1, 1, *size),), {"scale_factor": 1.7, "mode": mode, "recompute_scale_factor": True}),
            Case((v(0, 1, *size),), {"scale_factor": 2, "mode": mode}),
        ]
    return made


def _shuffle_ref(x, r):
    *batch, c, h, w = x.shape
    y = np.zeros((*batch, c // r**2, h * r, w * r))
    for k, i, j in np.ndindex(*y.shape[-3:]):
        y[..., k, i, j] = x[..., k * r * r + i % r * r + j % r, i // r, j // r]
    return y


def _unshuffle_ref(x, r):
    *batch, c, h, w = x.shape
    y = np.zeros((*batch, c * r**2, h // r, w // r))
    for k, i, j in np.ndindex(c, h, w):
        y[..., k * r * r + i % r * r + j % r, i // r, j // r] = x[..., k, i, j]
    return y


def _channels_ref(x, groups):
    per = x.shape[1] // groups
    return np.stack([x[:, i % groups * per + i // groups] for i in range(x.shape[1])], 1)


def _moved(name, argument, ref, *shapes):
    """A record of a function that only moves elements; it is made of reshape and permute."""

    def call(t, x, by):
        return getattr(t, name)(x, by)

    return Record("permute", call, ref, lambda rng: [Case((values(rng, s),), {"by": r}) for s, r in shapes], name=name,
                  errors=_MOVED_ERRORS[name], ints=True)  # fmt: skip


# ---------------------------------------------------------------- errors
_image = lambda t, *s: t.ones(*(s or (1, 3, 8, 8)))  # noqa: E731


def _pool_errors(name):
    f = lambda t: getattr(t.nn.functional, name)  # noqa: E731
    return (
        (lambda t: f(t)(t.ones(8, 8), 2), errors.ShapeError,
         f"{name}: input must be (N, C, H, W) or, of one sample, (C, H, W), got float32 (8, 8)"),
        (lambda t: f(t)(_image(t), 9), errors.ShapeError,
         f"{name}: the window 9 x 9 is larger than the input: 8 x 8: input float32 (1, 3, 8, 8)"),
        (lambda t: f(t)(_image(t), 2, padding=2), errors.ArgumentError,
         f"{name}: padding may be at most half of the window: padding 2 x 2, window 2 x 2"),
        (lambda t: f(t)(_image(t), 2, stride=0), errors.ArgumentError, f"{name}: stride must be at least 1, got 0"),
        (lambda t: f(t)(_image(t), (2, 2, 2)), errors.ArgumentError, f"{name}: kernel_size must be an int or 2 ints, got (2, 2, 2)"),
    )  # fmt: skip


_F = lambda t: t.nn.functional  # noqa: E731
_avg_errors = (
    *_pool_errors("avg_pool2d"),
    (lambda t: _F(t).avg_pool2d(_image(t).long(), 2), errors.DTypeError,
     "avg_pool2d: a floating-point tensor is needed, got int64 (1, 3, 8, 8); use x.float()"),
    (lambda t: _F(t).avg_pool2d(_image(t), 2, divisor_override=0), errors.ArgumentError, "avg_pool2d: divisor_override must not be 0"),
)  # fmt: skip
_adaptive_errors = (
    (lambda t: _F(t).adaptive_avg_pool2d(_image(t), (1, 2, 3)), errors.ArgumentError,
     "adaptive_avg_pool2d: output_size must be an int or 2 ints or None, got (1, 2, 3)"),
    (lambda t: _F(t).adaptive_avg_pool2d(_image(t, 1, 3, 0, 2), 1), errors.ShapeError,
     "adaptive_avg_pool2d: the input has no elements in a dimension: float32 (1, 3, 0, 2)"),
)  # fmt: skip
_unpool_errors = (
    (lambda t: _F(t).max_unpool2d(t.ones(1, 1, 2, 2), t.zeros(1, 1, 2, 2), 2), errors.ShapeError,
     "max_unpool2d: indices must be integers of the shape of input (1, 1, 2, 2), got float32 (1, 1, 2, 2)"),
    (lambda t: _F(t).max_unpool2d(t.ones(1, 1, 1, 1), t.tensor([[[[4]]]]), 2), errors.IndexRangeError,
     "max_unpool2d: index 4 is out of range: it must be 0 to 3"),
    (lambda t: _F(t).max_unpool2d(t.ones(1, 1, 2, 2), t.zeros(1, 1, 2, 2).long(), 2, output_size=(9, 4)), errors.ShapeError,
     "max_unpool2d: output_size must be within a stride of (4, 4), got (9, 4)"),
)  # fmt: skip
_interpolate_errors = (
    (lambda t: _F(t).interpolate(_image(t)), errors.ArgumentError, "interpolate: give size or scale_factor, none was given"),
    (lambda t: _F(t).interpolate(_image(t), 4, 2), errors.ArgumentError, "interpolate: give size or scale_factor, both was given"),
    (lambda t: _F(t).interpolate(_image(t), 4, mode="cubic"), errors.ArgumentError, "interpolate: mode must be one of 'nearest',"),
    (lambda t: _F(t).interpolate(_image(t), 4, mode="linear"), errors.ShapeError,
     "interpolate: mode 'linear' takes input (N, C, L), got float32 (1, 3, 8, 8)"),
    (lambda t: _F(t).interpolate(_image(t), 4, align_corners=True), errors.ArgumentError,
     "interpolate: align_corners is for 'linear', 'bilinear', 'bicubic', 'trilinear', not 'nearest'"),
    (lambda t: _F(t).interpolate(_image(t), scale_factor=(1, 2, 3)), errors.ArgumentError,
     "interpolate: scale_factor must be a positive number or 2 of them, got (1, 2, 3)"),
    (lambda t: _F(t).interpolate(_image(t), scale_factor=0.1), errors.ShapeError, "interpolate: nothing is left of float32 (1, 3, 8, 8)"),
    (lambda t: _F(t).interpolate(_image(t).long(), 4, mode="bilinear"), errors.DTypeError,
     "interpolate: mode 'bilinear' needs a floating-point tensor, got int64 (1, 3, 8, 8); use x.float()"),
)  # fmt: skip
_MOVED_ERRORS = {
    "pixel_shuffle": ((lambda t: t.pixel_shuffle(_image(t), 2), errors.ShapeError,
                       "pixel_shuffle: 3 channels are no multiple of upscale_factor squared, 4: float32 (1, 3, 8, 8)"),
                      (lambda t: t.pixel_shuffle(t.ones(2, 2), 2), errors.ShapeError, "pixel_shuffle: at least 3 dimensions are needed"),
                      (lambda t: t.pixel_shuffle(_image(t), 0), errors.ArgumentError,
                       "pixel_shuffle: upscale_factor must be an int of at least 1, got 0")),
    "pixel_unshuffle": ((lambda t: t.pixel_unshuffle(_image(t), 3), errors.ShapeError,
                         "pixel_unshuffle: height 8 and width 8 must be multiples of downscale_factor 3"),),
    "channel_shuffle": ((lambda t: t.channel_shuffle(_image(t), 2), errors.ShapeError,
                         "channel_shuffle: groups=2 does not divide 3 channels: float32 (1, 3, 8, 8)"),),
}  # fmt: skip

_avg_more = ({"kernel_size": 2, "padding": 1, "count_include_pad": False, "ceil_mode": True, "stride": 3},)
_positive = lambda rng, shape: values(rng, shape, 0.5, 2.0)  # noqa: E731
_index = lambda name: lambda t, x, **kw: getattr(t.nn.functional, name)(x, return_indices=True, **kw)[1]  # noqa: E731
RECORDS = [
    *[Record("max_pool", _functional(f"max_pool{r}d"), _max_ref(r), _pool_cases(r, distinct, ({"kernel_size": 2, "dilation": 1},)),
             name=f"max_pool{r}d", ints=r == 2, errors=_pool_errors("max_pool2d") if r == 2 else ()) for r in (1, 2, 3)],
    *[Record("resample", _functional(f"avg_pool{r}d"), _avg_ref(r),
             _pool_cases(r, values, (*_avg_more, *[{"kernel_size": 2, "divisor_override": 3}][: r - 1])),
             name=f"avg_pool{r}d", errors=_avg_errors if r == 2 else ()) for r in (1, 2, 3)],
    *[Record("resample", _functional(f"adaptive_avg_pool{r}d"), _adaptive_ref(r, _mean), _adaptive_cases(r, values),
             name=f"adaptive_avg_pool{r}d", errors=_adaptive_errors if r == 2 else ()) for r in (1, 2, 3)],
    *[Record("max_pool", _functional(f"adaptive_max_pool{r}d"), _adaptive_ref(r, _max_value), _adaptive_cases(r, distinct),
             name=f"adaptive_max_pool{r}d") for r in (1, 2, 3)],
    Record("max_pool_index", _index("max_pool2d"), _index_ref, _index_cases, order=0, result="int64", ints=True),
    Record("max_pool_index", _index("adaptive_max_pool2d"), _adaptive_index_ref, _adaptive_cases(2, distinct), order=0,
           result="int64", name="adaptive_max_pool_index"),
    Record("max_unpool", _functional("max_unpool2d"), _unpool_ref, _unpool_cases, errors=_unpool_errors),
    *[Record("resample", _functional(f"lp_pool{r}d"), _lp_ref(r), lambda rng, r=r: [
        Case((_positive(rng, (1, 2, 5, 4, 2)[: r + 2]),), {"norm_type": p, "kernel_size": 2, **kw})
        for p, kw in ((2, {}), (3, {"stride": 1}), (1.5, {"ceil_mode": True}))], name=f"lp_pool{r}d", low_precision=16.0)
      for r in (1, 2, 3)],
    Record("resample", _functional("interpolate"), _interpolate_ref, _interpolate_cases, name="interpolate",
           errors=_interpolate_errors),
    _moved("pixel_shuffle", "upscale_factor", lambda x, by: _shuffle_ref(x, by), ((1, 8, 2, 3), 2), ((4, 1, 2), 2)),
    _moved("pixel_unshuffle", "downscale_factor", lambda x, by: _unshuffle_ref(x, by), ((1, 2, 4, 2), 2), ((1, 3, 6), 3)),
    _moved("channel_shuffle", "groups", lambda x, by: _channels_ref(x, by), ((2, 6, 2, 2), 3), ((1, 4, 1, 3), 2)),
]  # fmt: skip
