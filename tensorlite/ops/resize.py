"""Images made larger or smaller: interpolate in all modes, and pixels moved between channels and space (pixel_shuffle).

Every mode of interpolate is linear in the input and works along one dimension after the other: pool.py's Resample, with the
tables of weights made here.
"""

import functools
import math
import struct

from tensorlite import errors
from tensorlite.ops.conv import AXES, per_axis
from tensorlite.ops.pool import adaptive_means, resampled, table
from tensorlite.tensor import Tensor, here

__all__ = ["channel_shuffle", "pixel_shuffle", "pixel_unshuffle"]

_RANKS = {"linear": (1,), "bilinear": (2,), "bicubic": (2,), "trilinear": (3,)}
_MODES = ("nearest", "nearest-exact", *_RANKS, "area")


# ---------------------------------------------------------------- tables of weights
def _single(v):
    """v rounded to float32: PyTorch finds the nearest neighbour in that precision, also of float64."""
    return struct.unpack("f", struct.pack("f", v))[0]


def _nearest(size, out, scale, exact):
    if size == out and not scale:
        return None
    step = _single(1 / scale if scale else size / out)
    shift = 0.5 if exact else 0.0
    return [[(min(math.floor(_single((o + shift) * step)), size - 1), 1.0)] for o in range(out)]


def _sources(size, out, scale, align_corners, clamp):
    """Where each output lies among the inputs: (the input below, how far beyond it)."""
    if align_corners:
        step = (size - 1) / (out - 1) if out > 1 else 0.0
        real = [step * o for o in range(out)]
    else:
        step = 1 / scale if scale else size / out
        real = [step * (o + 0.5) - 0.5 for o in range(out)]
    real = [max(v, 0.0) for v in real] if clamp else real
    below = [min(math.floor(v), size - 1) for v in real]
    return [(p, min(max(v - p, 0.0), 1.0)) for p, v in zip(below, real, strict=True)]


def _linear(size, out, scale, align_corners):
    if size == out:
        return None
    return [
        [(p, 1 - t), (min(p + 1, size - 1), t)] for p, t in _sources(size, out, scale, align_corners, clamp=True)
    ]  # fmt: skip


def _cubic(size, out, scale, align_corners):
    """Keys' cubic convolution (1981) with a = -0.75; positions beyond the edge are those of the edge."""
    a = -0.75
    near = lambda t: ((a + 2) * t - (a + 3)) * t * t + 1  # noqa: E731  (0 <= t <= 1)
    far = lambda t: ((a * t - 5 * a) * t + 8 * a) * t - 4 * a  # noqa: E731  (1 <= t <= 2)
    rows = []
    for p, t in _sources(size, out, scale, align_corners, clamp=False):
        weights = (far(t + 1), near(t), near(1 - t), far(2 - t))
        rows.append([(min(max(p + k, 0), size - 1), w) for k, w in zip((-1, 0, 1, 2), weights, strict=True)])
    return rows


def _antialiased(mode, size, out, scale, align_corners):
    """The filter of the mode made as wide as the step between outputs, where that is more than 1; bicubic has a = -0.5 here."""
    if align_corners:
        step = (size - 1) / (out - 1) if out > 1 else 0.0
    else:
        step = 1 / scale if scale else size / out
    wide, a, rows = max(step, 1.0), -0.5, []
    reach = wide * (2 if mode == "bicubic" else 1)

    def weight(x):
        if mode == "bilinear":
            return max(1 - x, 0.0)
        if x < 1:
            return ((a + 2) * x - (a + 3)) * x * x + 1
        return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a if x < 2 else 0.0

    for o in range(out):
        centre = step * (o + 0.5)
        seen = range(max(int(centre - reach + 0.5), 0), min(int(centre + reach + 0.5), size))
        weights = [weight(abs((p - centre + 0.5) / wide)) for p in seen]
        rows.append([(p, w / sum(weights)) for p, w in zip(seen, weights, strict=True)])
    return rows


@functools.lru_cache(512)
def _taps(mode, size, out, scale, align_corners, antialias=False):
    """The table of one dimension for Resample; None where nothing changes."""
    if antialias:
        return table(_antialiased(mode, size, out, scale, align_corners))
    if mode == "area":
        return adaptive_means(size, out)
    if mode.startswith("nearest"):
        rows = _nearest(size, out, scale, mode == "nearest-exact")
    else:
        rows = (_cubic if mode == "bicubic" else _linear)(size, out, scale, bool(align_corners))
    return None if rows is None else table(rows)


# ---------------------------------------------------------------- interpolate
def _sizes(input, rank, size, scale_factor, recompute):
    """The output's spatial sizes, and the scale of each dimension where it is not simply their ratio (else None)."""
    if (size is None) == (scale_factor is None):
        both = "both" if size is not None else "none"
        raise errors.ArgumentError(f"interpolate: give size or scale_factor, {both} was given")
    if size is not None:
        if recompute:
            raise errors.ArgumentError("interpolate: recompute_scale_factor makes no sense with size")
        return per_axis("interpolate", "size", size, rank, 1), (None,) * rank
    scales = tuple(scale_factor) if isinstance(scale_factor, (tuple, list)) else (scale_factor,) * rank
    if len(scales) != rank or any(not isinstance(s, (int, float)) or s <= 0 for s in scales):
        raise errors.ArgumentError(
            f"interpolate: scale_factor must be a positive number or {rank} of them, got {scale_factor!r}"
        )
    out = tuple(math.floor(n * s) for n, s in zip(input.shape[2:], scales, strict=True))
    if min(out) < 1:
        raise errors.ShapeError(
            here(f"interpolate: nothing is left of {errors.describe(input)} with scale_factor {scale_factor!r}")
        )
    return out, (None,) * rank if recompute else tuple(float(s) for s in scales)


def interpolate(input, size=None, scale_factor=None, mode="nearest", align_corners=None, recompute_scale_factor=None,
                antialias=False) -> Tensor:  # fmt: skip
    """input (N, C, *sizes) with 1 to 3 spatial dimensions, made larger or smaller.

    size, or scale_factor: an int (a number), or one for each spatial dimension. mode: "nearest", "nearest-exact", "area",
    "linear" (N, C, L), "bilinear" and "bicubic" (N, C, H, W), "trilinear" (N, C, D, H, W).
    align_corners: the outermost pixels' centres stay where they are; else their outer edges do.
    antialias: for "bilinear" and "bicubic": the filter is as wide as the step, so that all of a large image counts in a small one.
    recompute_scale_factor: take the ratio of the sizes as the scale and not the scale_factor given.
    A scale_factor such as 1.1 or 2.1 that happens to give the same or twice the size is followed in value and gradient alike;
    PyTorch takes it for 1 or 2 in some of its "nearest" and "bicubic" kernels, so that its gradient is not that of its value.

    Raises:
        ArgumentError: an unknown mode, size and scale_factor both or neither, align_corners with a mode that has none.
        ShapeError: a mode for another number of dimensions. DTypeError: integers, but for the nearest modes.
    """
    rank = _checked(input, mode, align_corners, antialias)
    out, scales = _sizes(input, rank, size, scale_factor, recompute_scale_factor)
    each = zip(input.shape[2:], out, scales, strict=True)
    return resampled(input, [_taps(mode, n, o, s, align_corners, bool(antialias)) for n, o, s in each], True)


def _checked(input, mode, align_corners, antialias):
    """The number of spatial dimensions, once all is well."""
    if mode not in _MODES:
        raise errors.ArgumentError(f"interpolate: mode must be one of {', '.join(map(repr, _MODES))}, not {mode!r}")
    if not isinstance(input, Tensor):
        raise errors.DTypeError(here(f"interpolate: input must be a Tensor, not {type(input).__name__}"))
    rank = input.ndim - 2
    if rank not in _RANKS.get(mode, (1, 2, 3)):
        fits = " or ".join(f"(N, C, {AXES[r]})" for r in _RANKS.get(mode, (1, 2, 3)))
        raise errors.ShapeError(here(f"interpolate: mode {mode!r} takes input {fits}, got {errors.describe(input)}"))
    if 0 in input.shape[1:]:
        raise errors.ShapeError(
            here(f"interpolate: the input has no elements in a dimension: {errors.describe(input)}")
        )
    if align_corners is not None and mode not in _RANKS:
        raise errors.ArgumentError(f"interpolate: align_corners is for {', '.join(map(repr, _RANKS))}, not {mode!r}")
    if antialias and mode not in ("bilinear", "bicubic"):
        raise errors.ArgumentError(f"interpolate: antialias is for 'bilinear' and 'bicubic', not {mode!r}")
    if not input.dtype.is_floating_point and not mode.startswith("nearest"):
        raise errors.DTypeError(
            here(
                f"interpolate: mode {mode!r} needs a floating-point tensor, got {errors.describe(input)}; use x.float()"
            )
        )
    return rank


def upsample(input, size=None, scale_factor=None, mode="nearest", align_corners=None) -> Tensor:
    """interpolate, under its old name."""
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input, size=None, scale_factor=None) -> Tensor:
    """interpolate with mode "nearest", under its old name."""
    return interpolate(input, size, scale_factor)


def upsample_bilinear(input, size=None, scale_factor=None) -> Tensor:
    """interpolate with mode "bilinear" and align_corners, under its old name."""
    return interpolate(input, size, scale_factor, "bilinear", align_corners=True)


# ---------------------------------------------------------------- channels and space
def _factor(name, what, input, value, least):
    if not isinstance(input, Tensor):
        raise errors.DTypeError(here(f"{name}: input must be a Tensor, not {type(input).__name__}"))
    if not hasattr(value, "__index__") or value < 1:
        raise errors.ArgumentError(f"{name}: {what} must be an int of at least 1, got {value!r}")
    if input.ndim < least:
        raise errors.ShapeError(here(f"{name}: at least {least} dimensions are needed, got {errors.describe(input)}"))
    return value.__index__()


def pixel_shuffle(input, upscale_factor) -> Tensor:
    """Channels to pixels (Shi et al. 2016): input (..., C r^2, H, W) -> (..., C, H r, W r), r = upscale_factor.

    Raises:
        ShapeError: a number of channels that r^2 does not divide.
    """
    r = _factor("pixel_shuffle", "upscale_factor", input, upscale_factor, 3)
    *batch, c, h, w = input.shape
    if c % (r * r):
        raise errors.ShapeError(
            here(
                f"pixel_shuffle: {c} channels are no multiple of upscale_factor squared, {r * r}: {errors.describe(input)}"
            )
        )
    n = len(batch)
    x = input.reshape(*batch, c // (r * r), r, r, h, w)
    return x.permute(*range(n + 1), n + 3, n + 1, n + 4, n + 2).reshape(*batch, c // (r * r), h * r, w * r)


def pixel_unshuffle(input, downscale_factor) -> Tensor:
    """Pixels to channels, the inverse of pixel_shuffle: input (..., C, H r, W r) -> (..., C r^2, H, W).

    Raises:
        ShapeError: a height or width that r does not divide.
    """
    r = _factor("pixel_unshuffle", "downscale_factor", input, downscale_factor, 3)
    *batch, c, h, w = input.shape
    if h % r or w % r:
        raise errors.ShapeError(
            here(
                f"pixel_unshuffle: height {h} and width {w} must be multiples of downscale_factor {r}: {errors.describe(input)}"
            )
        )
    n = len(batch)
    x = input.reshape(*batch, c, h // r, r, w // r, r)
    return x.permute(*range(n + 1), n + 2, n + 4, n + 1, n + 3).reshape(*batch, c * r * r, h // r, w // r)


def channel_shuffle(input, groups) -> Tensor:
    """Channels of different groups taken in turn (Zhang et al. 2018): input (N, C, *), groups of C / groups channels.

    Raises:
        ShapeError: a number of channels that groups does not divide.
    """
    g = _factor("channel_shuffle", "groups", input, groups, 3)
    n, c, *rest = input.shape
    if c % g:
        raise errors.ShapeError(
            here(f"channel_shuffle: groups={g} does not divide {c} channels: {errors.describe(input)}")
        )
    return input.reshape(n, g, c // g, *rest).transpose(1, 2).reshape(n, c, *rest)
