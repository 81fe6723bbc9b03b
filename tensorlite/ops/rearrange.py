"""Elements in another order or several times: rolls, rotations, mirrorings, repeats. Shapes and joins stand elsewhere."""

from tensorlite import errors
from tensorlite.backend import host
from tensorlite.op import Op, registry
from tensorlite.ops.convert import clone
from tensorlite.ops.dims import one, several, shape_of
from tensorlite.ops.shape import contiguous, expand, flip, ravel, reshape, transpose
from tensorlite.tensor import Tensor, wrap

__all__ = ["fliplr", "flipud", "repeat_interleave", "roll", "rot90", "tile"]


class Roll(Op):
    name, formula, local = "roll", "x[i - shift], around the end", "g[i + shift]"

    def forward(b, x, *, shifts, dims):
        return b.xp.ascontiguousarray(b.xp.roll(x, shifts, dims)).reshape(x.shape)

    rules = lambda m, g, shifts, dims: m.roll(g, shifts=tuple(-s for s in shifts), dims=dims)  # noqa: E731


def roll(input, shifts, dims=None) -> Tensor:
    """The elements moved by `shifts` places along `dims`; those that leave at one end come in at the other.

    shifts, dims: ints or tuples of equal length. Without dims the tensor is rolled as if it were flat.

    Example:
        >>> import tensorlite as tl
        >>> tl.arange(4).roll(1)
        tensor([3, 0, 1, 2])
    """
    shifts = shape_of("roll", (shifts,))
    if dims is None or dims == ():
        if len(shifts) != 1:
            raise errors.ArgumentError(f"roll: without dims there is one shift, got {shifts}")
        return reshape(Roll.apply(ravel(input), shifts=shifts, dims=(0,)), tuple(input.shape))
    which = shape_of("roll", (dims,))
    if len(which) != len(shifts):
        raise errors.ArgumentError(f"roll: {len(shifts)} shifts but {len(which)} dims")
    which = tuple(one("roll", d, input.ndim) for d in which)
    return Roll.apply(input, shifts=shifts, dims=which) if input.ndim else clone(input)


def rot90(input, k=1, dims=(0, 1)) -> Tensor:
    """Rotated by 90 degrees k times in the plane of two dimensions, from the first towards the second; a copy.

    Example:
        >>> import tensorlite as tl
        >>> tl.arange(4).reshape(2, 2).rot90()
        tensor([[1, 3],
                [0, 2]])
    """
    if len(dims) != 2 or input.ndim < 2:
        raise errors.ShapeError(
            f"rot90: two dims of at least 2 dimensions are needed, got {tuple(dims)} of {input.ndim}"
        )
    a, b = several("rot90", tuple(dims), input.ndim)
    k %= 4
    if k == 0:
        return clone(input)
    if k == 2:
        return flip(input, (a, b))
    return transpose(flip(input, b if k == 1 else a), a, b)


def fliplr(input) -> Tensor:
    """flip along the second dimension; at least 2 dimensions."""
    if input.ndim < 2:
        raise errors.ShapeError(f"fliplr: at least 2 dimensions are needed, got {errors.describe(input)}")
    return flip(input, 1)


def flipud(input) -> Tensor:
    """flip along the first dimension."""
    if not input.ndim:
        raise errors.ShapeError("flipud: at least 1 dimension is needed, got a 0-dimensional tensor")
    return flip(input, 0)


def repeat(input, *sizes, repeats=None) -> Tensor:
    """input copied sizes[i] times along dimension i; new leading dimensions where there are more sizes."""
    sizes = shape_of("repeat", sizes if repeats is None else (repeats,))
    if len(sizes) < input.ndim:
        raise errors.ShapeError(f"repeat: {len(sizes)} counts for {input.ndim} dimensions")
    shape = (1,) * (len(sizes) - input.ndim) + tuple(input.shape)
    if all(s == 1 for s in sizes):
        return reshape(clone(input), shape)
    pairs = reshape(input, [v for n in shape for v in (1, n)])
    wide = expand(pairs, [v for s, n in zip(sizes, shape, strict=True) for v in (s, n)])
    return contiguous(
        reshape(wide, [s * n for s, n in zip(sizes, shape, strict=True)])
    )  # ones repeated are still a view


def tile(input, *sizes, dims=None) -> Tensor:
    """repeat, but with fewer counts than dimensions the counts are those of the last ones."""
    counts = shape_of("tile", sizes if dims is None else (dims,))
    return repeat(input, (1,) * (input.ndim - len(counts)) + counts)


def repeat_interleave(input, repeats=None, dim=None, *, output_size=None, axis=None) -> Tensor:
    """Each element (slice along dim) repeated: `repeats` times, or repeats[i] times the i-th. dim None: of the flat input.

    repeat_interleave(counts) alone gives the numbers 0, 0, 1, ...: i as often as counts[i].
    output_size: the sum of the repeats, which is checked.

    Raises:
        ArgumentError: negative repeats, or an output_size that is not their sum. ShapeError: not one count for each slice.

    Example:
        >>> import tensorlite as tl
        >>> tl.tensor([7, 8]).repeat_interleave(tl.tensor([1, 3]))
        tensor([7, 8, 8, 8])
    """
    if repeats is None:
        if input.ndim != 1:
            raise errors.ShapeError(f"repeat_interleave: counts must be a vector, got {errors.describe(input)}")
        places = _places(input, input.array.size, output_size)
        return wrap(input.device.backend.from_host(places).astype(input.array.dtype), input.device)
    dim = dim if axis is None else axis
    if dim is None:
        input, dim = ravel(input), 0
    elif not input.ndim:
        input = reshape(input, 1)
    d = one("repeat_interleave", dim, input.ndim)
    n, shape = input.shape[d], tuple(input.shape)
    if isinstance(repeats, (list, tuple)):
        repeats = wrap(host().xp.array(repeats, dtype=host().xp.int64), input.device)
    if isinstance(repeats, Tensor) and repeats.array.size != 1:
        key = (slice(None),) * d + (input.device.backend.from_host(_places(repeats, n, output_size)),)
        return registry["index"].apply(input, key=key, basic=False)
    times = int(repeats.array.item() if isinstance(repeats, Tensor) else repeats)
    if times < 0:
        raise errors.ArgumentError(f"repeat_interleave: repeats cannot be negative, got {times}")
    if output_size is not None and output_size != n * times:
        raise errors.ArgumentError(
            f"repeat_interleave: output_size is {output_size}, the repeats add up to {n * times}"
        )
    if times == 1:
        return clone(input)
    wide = expand(reshape(input, (*shape[: d + 1], 1, *shape[d + 1 :])), (*shape[: d + 1], times, *shape[d + 1 :]))
    return contiguous(reshape(wide, (*shape[:d], n * times, *shape[d + 1 :])))  # ones repeated are still a view


def _places(repeats, n, output_size):
    """The number i as often as repeats[i] says, on the host (how long the result is must be known there)."""
    if repeats.dtype.category != 1 or repeats.ndim > 1:
        raise errors.DTypeError(
            f"repeat_interleave: repeats must be integers in a vector, got {errors.describe(repeats)}"
        )
    if repeats.array.size != n:
        raise errors.ShapeError(
            f"repeat_interleave: {repeats.array.size} repeats for {n} slices; they must be equal in number"
        )
    counts = repeats.device.backend.to_host(repeats.array)
    if (counts < 0).any():
        raise errors.ArgumentError(f"repeat_interleave: repeats cannot be negative, got {counts.min()}")
    if output_size is not None and output_size != counts.sum():
        raise errors.ArgumentError(
            f"repeat_interleave: output_size is {output_size}, the repeats add up to {counts.sum()}"
        )
    xp = host().xp
    return xp.repeat(xp.arange(n), counts)
