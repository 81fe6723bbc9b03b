"""Images read at any places: grid_sample, and the places of an affine map: affine_grid (Jaderberg et al. 2015)."""

import itertools
import warnings

from tensorlite import errors
from tensorlite.creation import arange
from tensorlite.ops.conv import times
from tensorlite.ops.index import gather
from tensorlite.ops.join import stack
from tensorlite.ops.select import where
from tensorlite.tensor import Tensor, mode as state, path

__all__ = ["affine_grid", "grid_sample"]

MODES, PADDING = ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection")


def _refuse(kind, name, fault, input, grid):
    table = errors.argument_table(("input", "grid"), (input, grid))
    raise kind(errors.compose(name, fault, table, path()))


def _checked(input, grid, mode, padding_mode):
    name = "grid_sample"
    if mode not in MODES or padding_mode not in PADDING:
        what, value, known = ("mode", mode, MODES) if mode not in MODES else ("padding_mode", padding_mode, PADDING)
        raise errors.ArgumentError(f"{name}: {what} must be one of {', '.join(map(repr, known))}, not {value!r}")
    for what, x in (("input", input), ("grid", grid)):
        if not isinstance(x, Tensor):
            raise errors.DTypeError(f"{name}: {what} must be a Tensor, not {type(x).__name__}")
        if not x.dtype.is_floating_point:
            raise errors.DTypeError(f"{name}: {what} must be floating point, got {errors.describe(x)}")
    rank = input.ndim - 2
    if input.dtype is not grid.dtype:
        _refuse(errors.DTypeError, name, "input and grid must have the same dtype", input, grid)
    if input.device is not grid.device:
        _refuse(errors.DeviceError, name, "input and grid must be on the same device", input, grid)
    if rank not in (2, 3) or grid.ndim != input.ndim:
        fault = "input (N, C, H, W) needs a grid (N, H', W', 2), input (N, C, D, H, W) a grid (N, D', H', W', 3)"
        _refuse(errors.ShapeError, name, fault, input, grid)
    if grid.shape[0] != input.shape[0] or grid.shape[-1] != rank:
        fault = f"grid must be of the same batch and end with size {rank}: ({input.shape[0]}, ..., {rank})"
        _refuse(errors.ShapeError, name, fault, input, grid)
    if 0 in input.shape[2:]:
        _refuse(errors.ShapeError, name, "input has no elements in a spatial dimension", input, grid)
    if mode == "bicubic" and rank == 3:
        raise errors.ArgumentError(f"{name}: mode 'bicubic' is for input (N, C, H, W), got {errors.describe(input)}")


# ---------------------------------------------------------------- one axis: which positions, with which weights
def _clipped(x, size):
    """x within 0..size - 1; no gradient at the edges and beyond."""
    return where(x > 0, where(x < size - 1, x, float(size - 1)), 0.0)


def _reflected(x, size, align_corners):
    """x reflected at the centres of the outermost pixels (align_corners), or at their outer edges, as often as needed."""
    low, span = (0.0, float(size - 1)) if align_corners else (-0.5, float(size))
    if not span:
        return where(x < x, x, 0.0)  # one pixel: there is nowhere else
    x = (x - low).abs()
    flips = (x.detach() / span).floor()
    rest = x - flips * span
    return where(flips % 2 == 0, rest + low, span - rest + low)


def _padded(x, size, padding_mode, align_corners):
    if padding_mode == "reflection":
        x = _reflected(x, size, align_corners)
    return x if padding_mode == "zeros" else _clipped(x, size)


def _tap(at, size):
    """(position, whether it lies inside) of whole numbers `at`, which may be anything, nan too."""
    inside = (at >= 0) & (at < size)
    return where(inside, at, 0.0).long(), inside


def _taps(x, size, mode, padding_mode, align_corners):
    """[(position, inside, weight)] for places x, (N, P), along an axis of that size: -1 and 1 are its ends."""
    x = (x + 1) / 2 * (size - 1) if align_corners else ((x + 1) * size - 1) / 2
    if mode == "bicubic":
        below = x.detach().floor()
        t, a = x - below, -0.75
        near = lambda t: ((a + 2) * t - (a + 3)) * t * t + 1  # noqa: E731  (0 <= t <= 1)
        far = lambda t: ((a * t - 5 * a) * t + 8 * a) * t - 4 * a  # noqa: E731  (1 <= t <= 2)
        weights = (far(t + 1), near(t), near(1 - t), far(2 - t))
        return [
            (*_tap(_padded(below + k, size, padding_mode, align_corners), size), w)
            for k, w in zip((-1, 0, 1, 2), weights, strict=True)
        ]
    x = _padded(x, size, padding_mode, align_corners)
    if mode == "nearest":
        return [(*_tap(x.detach().round(), size), None)]
    below = x.detach().floor()
    t = x - below
    return [(*_tap(below, size), 1 - t), (*_tap(below + 1, size), t)]


def grid_sample(input, grid, mode="bilinear", padding_mode="zeros", align_corners=None) -> Tensor:
    """out[n, c, h', w'] = input[n, c] read at the place (x, y) = grid[n, h', w'], between its pixels too.

    input (N, C, H, W), grid (N, H', W', 2) -> (N, C, H', W'); with depth: (N, C, D, H, W), (N, D', H', W', 3), places (x, y, z).
    -1 and 1 are the outer edges of the image, with align_corners the centres of its outermost pixels.
    mode: "bilinear" (of 8 pixels with depth), "nearest", or "bicubic" (Keys 1981 with a = -0.75, without depth).
    padding_mode: beyond the edges are "zeros", the pixel of the "border", or the image's "reflection".
    Derivatives of every order, of bilinear and bicubic also to the grid; that of nearest is 0.

    Raises:
        ArgumentError: an unknown mode. ShapeError: shapes that do not fit. DTypeError: integers, different dtypes.

    Example:
        >>> import tensorlite as tl
        >>> image = tl.arange(4.0).reshape(1, 1, 2, 2)
        >>> tl.nn.functional.grid_sample(image, tl.zeros(1, 1, 1, 2), align_corners=False)
        tensor([[[[1.5000]]]])
    """
    if align_corners is None:
        _warn_of_default()
    if state.now.casts:
        input, grid = state.casts.to("grid_sample", input, grid)
    _checked(input, grid, mode, padding_mode)
    sizes, n, c = input.shape[2:], *input.shape[:2]
    places = grid.reshape(n, -1, len(sizes))  # (N, P, rank): x first, the last dimension of input
    axes = [_taps(places[..., -1 - i], size, mode, padding_mode, bool(align_corners)) for i, size in enumerate(sizes)]
    flat = input.reshape(n, c, -1)
    total = None
    for taps in itertools.product(*axes):
        at, inside, weight = 0, None, None
        for size, (position, within, w) in zip(sizes, taps, strict=True):
            at = at * size + position
            inside = within if inside is None else inside & within
            weight = w if weight is None else weight * w
        values = gather(flat, 2, at.unsqueeze(1).expand(n, c, at.shape[1]))  # (N, C, P)
        values = where(inside.unsqueeze(1), values, 0.0)
        values = values if weight is None else values * weight.unsqueeze(1)
        total = values if total is None else total + values
    if mode == "nearest" and grid.requires_grad:  # a gradient of zeros, as PyTorch has it
        total = where(inside.unsqueeze(1) | True, total, places.sum(-1).unsqueeze(1))
    return total.reshape(n, c, *grid.shape[1:-1])


# ---------------------------------------------------------------- affine maps
def affine_grid(theta, size, align_corners=None) -> Tensor:
    """The grid for grid_sample whose places are theta (x, y, 1): for each pixel of an output of that size where to read.

    theta (N, 2, 3), size (N, C, H, W) -> (N, H, W, 2); theta (N, 3, 4), size (N, C, D, H, W) -> (N, D, H, W, 3).
    align_corners: as in grid_sample. A dimension of size 1 lies at 0.

    Raises:
        ShapeError: theta of another shape, a size below 1. DTypeError: theta of integers.

    Example:
        >>> import tensorlite as tl
        >>> same = tl.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
        >>> tl.nn.functional.affine_grid(same, (1, 1, 1, 2), align_corners=False)
        tensor([[[[-0.5000,  0.0000],
                  [ 0.5000,  0.0000]]]])
    """
    if align_corners is None:
        _warn_of_default()
    if not isinstance(theta, Tensor) or not theta.dtype.is_floating_point:
        got = errors.describe(theta) if isinstance(theta, Tensor) else type(theta).__name__
        raise errors.ArgumentError(f"affine_grid: theta must be a floating-point Tensor, not {got}")
    size = tuple(size)
    if len(size) not in (4, 5):
        raise NotImplementedError(f"affine_grid: size must be (N, C, H, W) or (N, C, D, H, W), got {size}")
    rank = len(size) - 2
    if tuple(theta.shape) != (size[0], rank, rank + 1):
        fault = f"for size {times(size)} theta must be ({size[0]}, {rank}, {rank + 1})"
        raise errors.ShapeError(
            errors.compose("affine_grid", fault, errors.argument_table(("theta",), (theta,)), path())
        )
    if min(size) <= 0:
        raise errors.ShapeError(f"affine_grid: the sizes must be at least 1, got {size}")
    if align_corners and min(size[2:]) == 1:
        warnings.warn("affine_grid: with align_corners a dimension of size 1 lies at 0", stacklevel=2)
    like, lines = {"dtype": theta.dtype, "device": theta.device}, []
    for i, n in enumerate(size[2:]):
        steps = arange(n, **like) * 2 - (n - 1)
        line = steps / max(n - 1 if align_corners else n, 1)
        lines.append(line.reshape(*[-1 if k == i else 1 for k in range(rank)]).expand(*size[2:]))
    base = stack([*reversed(lines), lines[0] * 0 + 1], -1).reshape(1, -1, rank + 1)
    return (base @ theta.transpose(1, 2)).reshape(size[0], *size[2:], rank)


def _warn_of_default():
    warnings.warn(
        "grid_sample and affine_grid: align_corners=False is the default since PyTorch 1.3; name it to be clear",
        stacklevel=3,
    )
