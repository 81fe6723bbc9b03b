"""Pieces of a tensor: split, chunk, tensor_split and their kin, narrow, select, unbind; all of them views by an index."""

import itertools

from tensorlite import errors
from tensorlite.op import registry
from tensorlite.ops.convert import clone
from tensorlite.ops.dims import of_dims, one, shape_of
from tensorlite.tensor import Tensor

__all__ = [
    "chunk", "dsplit", "hsplit", "narrow", "narrow_copy", "select", "split", "split_with_sizes", "tensor_split", "unbind",
    "vsplit",
]  # fmt: skip


def split(tensor, split_size_or_sections=None, dim=0, *, split_size=None) -> tuple:
    """Views of equal pieces (the last may be smaller), or of pieces of the sizes given; x.split(split_size=2) too."""
    d, how = of_dims("split", tensor, dim), split_size_or_sections if split_size is None else split_size
    if how is None:
        raise errors.ArgumentError("split: the size of a piece, or a list of sizes, must be given")
    n = tensor.shape[d]
    if hasattr(how, "__index__"):
        how = how.__index__()
        if how < 0 or (how == 0 and n):
            raise errors.ArgumentError(f"split: the size of a piece must be positive, got {how}")
        how = [min(how, n - i) for i in range(0, n, how or 1)] or [0]
    if sum(how) != n:
        raise errors.ShapeError(f"split: the sizes {list(how)} add up to {sum(how)}, dimension {d} has {n}")
    pieces, start = [], 0
    for size in how:
        pieces.append(narrow(tensor, d, start, size))
        start += size
    return tuple(pieces)


def chunk(input, chunks, dim=0, *, axis=None) -> tuple:
    """At most `chunks` pieces of equal size (the last may be smaller)."""
    dim = dim if axis is None else axis
    if chunks <= 0:
        raise errors.ArgumentError(f"chunk: the number of pieces must be positive, got {chunks}")
    n = input.shape[of_dims("chunk", input, dim)]
    return split(input, -(-n // chunks) if n else [0] * chunks, dim)


def unbind(input, dim=0, *, axis=None) -> tuple:
    """The slices along dim, each without it; views."""
    dim = dim if axis is None else axis
    return tuple(select(input, dim, i) for i in range(input.shape[of_dims("unbind", input, dim)]))


def narrow(input, dim, start, length) -> Tensor:
    """The view start..start+length of dimension dim."""
    d = of_dims("narrow", input, dim)
    n, (start, length) = input.shape[d], shape_of("narrow", (start, length))
    if not -n <= start <= n or length < 0 or (start % n if start < 0 else start) + length > n:
        raise errors.IndexRangeError(f"narrow: {start} + {length} is outside of dimension {d} of size {n}")
    start = start + n if start < 0 else start
    return registry["index"].apply(input, key=(slice(None),) * d + (slice(start, start + length), ...), basic=True)


def select(input, dim, index) -> Tensor:
    """The view at `index` of dimension dim, without it."""
    d = one("select", dim, input.ndim)
    n = input.shape[d] if input.ndim else 0
    if not -n <= index < n:
        raise errors.IndexRangeError(f"select: index {index} is out of range for dimension {d} of size {n}")
    return registry["index"].apply(input, key=(slice(None),) * d + (int(index), ...), basic=True)


def narrow_copy(input, dim, start, length) -> Tensor:
    """narrow, with memory of its own."""
    return clone(narrow(input, dim, start, length))


def split_with_sizes(input, split_sizes, dim=0) -> tuple:
    """Views of pieces of the sizes given."""
    return split(input, list(shape_of("split_with_sizes", (split_sizes,))), dim)


def tensor_split(input, indices_or_sections, dim=0, *, axis=None) -> tuple:
    """Views of pieces: n of nearly equal size, the larger ones first; or cut at the indices given. (numpy.array_split)

    Example:
        >>> import tensorlite as tl
        >>> tl.arange(5).tensor_split(2), tl.arange(5).tensor_split((1, 3))
        ((tensor([0, 1, 2]), tensor([3, 4])), (tensor([0]), tensor([1, 2]), tensor([3, 4])))
    """
    if not input.ndim:
        raise errors.ShapeError("tensor_split: at least 1 dimension is needed, got a 0-dimensional tensor")
    d, how = one("tensor_split", dim if axis is None else axis, input.ndim), indices_or_sections
    if isinstance(how, Tensor):
        how = how.tolist()
    n = input.shape[d]
    if hasattr(how, "__index__"):
        if how <= 0:
            raise errors.ArgumentError(f"tensor_split: the number of pieces must be positive, got {how}")
        cuts = [n // how * i + min(i, n % how) for i in range(how + 1)]
    else:
        cuts = [0, *(slice(0, i).indices(n)[1] for i in shape_of("tensor_split", (how,))), n]
    return tuple(narrow(input, d, a, max(b - a, 0)) for a, b in itertools.pairwise(cuts))


def hsplit(input, indices_or_sections) -> tuple:
    """tensor_split along the second dimension (of a vector: the first) into equal pieces, or at indices."""
    return _nsplit("hsplit", input, indices_or_sections, 0 if input.ndim == 1 else 1, 1)


def vsplit(input, indices_or_sections) -> tuple:
    """tensor_split along the first dimension into equal pieces, or at indices."""
    return _nsplit("vsplit", input, indices_or_sections, 0, 2)


def dsplit(input, indices_or_sections) -> tuple:
    """tensor_split along the third dimension into equal pieces, or at indices."""
    return _nsplit("dsplit", input, indices_or_sections, 2, 3)


def _nsplit(op, input, how, dim, least):
    if input.ndim < least:
        raise errors.ShapeError(f"{op}: at least {least} dimensions are needed, got {errors.describe(input)}")
    if hasattr(how, "__index__") and not isinstance(how, Tensor) and (how <= 0 or input.shape[dim] % how):
        raise errors.ShapeError(
            f"{op}: dimension {dim} of size {input.shape[dim]} cannot be cut into {how} equal pieces"
        )
    return tensor_split(input, how, dim)
