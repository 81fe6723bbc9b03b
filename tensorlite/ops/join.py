"""Several tensors together: side by side in one, broadcast to one shape, on a grid. cat and stack stand in shape.py."""

from tensorlite import errors
from tensorlite.backend import dtypes, host
from tensorlite.op import registry
from tensorlite.ops.convert import cast
from tensorlite.ops.dims import shape_of
from tensorlite.ops.pad import constant_pad_nd
from tensorlite.ops.shape import cat, expand, ravel, reshape, stack, tensors_of
from tensorlite.tensor import Size, Tensor

__all__ = [
    "atleast_1d", "atleast_2d", "atleast_3d", "block_diag", "broadcast_shapes", "broadcast_tensors", "cartesian_prod",
    "column_stack", "combinations", "dstack", "hstack", "meshgrid", "row_stack", "vstack",
]  # fmt: skip


# ---------------------------------------------------------------- at least so many dimensions
def _each(function, tensors):
    """function of one tensor, or of each of several (given as arguments or as one list)."""
    if len(tensors) == 1:
        if isinstance(tensors[0], Tensor):
            return function(tensors[0])
        tensors = tensors[0]
    return tuple(function(x) for x in tensors_of(function.__name__.strip("_"), tensors))


def _atleast_1d(x):
    return x if x.ndim else reshape(x, 1)


def _atleast_2d(x):
    return x if x.ndim > 1 else reshape(x, (1, x.array.size))


def _atleast_3d(x):
    return x if x.ndim > 2 else reshape(x, (1, x.array.size, 1) if x.ndim < 2 else (*x.shape, 1))


def atleast_1d(*tensors):
    """A tensor with at least 1 dimension; of several tensors (or a list of them) a tuple."""
    return _each(_atleast_1d, tensors)


def atleast_2d(*tensors):
    """A tensor with at least 2 dimensions, new ones first: (n,) -> (1, n); of several tensors a tuple."""
    return _each(_atleast_2d, tensors)


def atleast_3d(*tensors):
    """A tensor with at least 3 dimensions: (n,) -> (1, n, 1), (m, n) -> (m, n, 1); of several tensors a tuple."""
    return _each(_atleast_3d, tensors)


# ---------------------------------------------------------------- side by side
def hstack(tensors) -> Tensor:
    """Joined along the second dimension (vectors and numbers: along the first)."""
    tensors = [_atleast_1d(x) for x in tensors_of("hstack", tensors)]
    return cat(tensors, 0 if tensors[0].ndim == 1 else 1)


def vstack(tensors) -> Tensor:
    """Joined along the first dimension, vectors as rows. Also row_stack."""
    return cat([_atleast_2d(x) for x in tensors_of("vstack", tensors)], 0)


row_stack = vstack


def dstack(tensors) -> Tensor:
    """Joined along the third dimension."""
    return cat([_atleast_3d(x) for x in tensors_of("dstack", tensors)], 2)


def column_stack(tensors) -> Tensor:
    """Joined along the second dimension, vectors as columns.

    Example:
        >>> import tensorlite as tl
        >>> tl.column_stack((tl.tensor([1, 2]), tl.tensor([3, 4])))
        tensor([[1, 3],
                [2, 4]])
    """
    tensors = tensors_of("column_stack", tensors)
    return cat([x if x.ndim > 1 else reshape(x, (x.array.size, 1)) for x in tensors], 1)


def block_diag(*tensors) -> Tensor:
    """The matrix with the given matrices along its diagonal, 0 elsewhere; vectors count as rows.

    Example:
        >>> import tensorlite as tl
        >>> tl.block_diag(tl.ones(1, 2), tl.tensor(3.0))
        tensor([[1., 1., 0.],
                [0., 0., 3.]])
    """
    if not tensors:
        raise errors.ArgumentError("block_diag: at least one tensor is needed")
    tensors = tensors_of("block_diag", tensors)
    dtype = dtypes.result_type(*[x.array for x in tensors])  # where a number among matrices counts less than these
    blocks = [_atleast_2d(cast(x, dtype)) for x in tensors]
    for i, x in enumerate(blocks):
        if x.ndim > 2:
            raise errors.ShapeError(f"block_diag: at most 2 dimensions, but tensor {i} is {errors.describe(x)}")
    rows, left, width = [], 0, sum(x.shape[1] for x in blocks)
    for x in blocks:
        rows.append(constant_pad_nd(x, (left, width - left - x.shape[1])))
        left += x.shape[1]
    return cat(rows)


# ---------------------------------------------------------------- one shape for all
def broadcast_shapes(*shapes) -> Size:
    """The shape that tensors of the given shapes broadcast to. Raises ShapeError naming the dimension that does not fit.

    Example:
        >>> import tensorlite as tl
        >>> tl.broadcast_shapes((2, 1), (3,))
        (2, 3)
    """
    shapes = [shape_of("broadcast_shapes", (s,)) for s in shapes]
    rank = max((len(s) for s in shapes), default=0)
    out = []
    for back in range(rank, 0, -1):
        sizes = {s[-back] for s in shapes if len(s) >= back} - {1}
        if len(sizes) > 1:
            raise errors.ShapeError(f"broadcast_shapes: {errors.broadcast_fault(*shapes)}")
        out.append(sizes.pop() if sizes else 1)
    return Size(out)


def broadcast_tensors(*tensors) -> tuple:
    """All the tensors expanded to their common shape; views."""
    if len(tensors) == 1 and not isinstance(tensors[0], Tensor):
        tensors = tensors[0]
    tensors = tensors_of("broadcast_tensors", tensors)
    shape = broadcast_shapes(*[tuple(x.shape) for x in tensors])
    return tuple(expand(x, shape) for x in tensors)


# ---------------------------------------------------------------- grids
def meshgrid(*tensors, indexing="ij") -> tuple:
    """Coordinates on a grid: out[k][i, j, ...] is the element of tensor k at place (i, j, ...)[k]; views.

    indexing: "ij" (PyTorch's default, kept without its warning) or "xy", where the first two dimensions are swapped as in NumPy.

    Raises:
        ShapeError: a tensor with more than one dimension. DTypeError: different dtypes. ArgumentError: another indexing.

    Example:
        >>> import tensorlite as tl
        >>> tl.meshgrid(tl.arange(2), tl.arange(3))[0]
        tensor([[0, 0, 0],
                [1, 1, 1]])
    """
    if indexing not in ("ij", "xy"):
        raise errors.ArgumentError(f"meshgrid: indexing must be 'ij' or 'xy', not {indexing!r}")
    if len(tensors) == 1 and not isinstance(tensors[0], Tensor):
        tensors = tensors[0]
    tensors = tensors_of("meshgrid", tensors)
    for i, x in enumerate(tensors):
        if x.ndim > 1:
            raise errors.ShapeError(f"meshgrid: vectors are needed, but tensor {i} is {errors.describe(x)}")
        if x.dtype != tensors[0].dtype:
            raise errors.DTypeError(
                f"meshgrid: one dtype for all, but tensor {i} is {x.dtype.name} and the first {tensors[0].dtype.name}"
            )
    swap, n = indexing == "xy" and len(tensors) > 1, len(tensors)
    if swap:
        tensors = (tensors[1], tensors[0], *tensors[2:])
    shape = tuple(x.array.size for x in tensors)
    grids = [
        expand(reshape(x, (-1 if x.array.size else 0,) + (1,) * (n - i - 1)), shape) for i, x in enumerate(tensors)
    ]
    return (grids[1], grids[0], *grids[2:]) if swap else tuple(grids)


def cartesian_prod(*tensors) -> Tensor:
    """All choices of one element from each vector, one in each row; of a single vector the vector itself."""
    for i, x in enumerate(tensors_of("cartesian_prod", tensors)):
        if x.ndim != 1:
            raise errors.ShapeError(f"cartesian_prod: vectors are needed, but tensor {i} is {errors.describe(x)}")
    if len(tensors) == 1:
        return tensors[0]
    return stack([ravel(x) for x in meshgrid(*tensors)], 1)


def combinations(input, r=2, with_replacement=False) -> Tensor:
    """All choices of r elements of a vector, in its order, one in each row; with_replacement: an element may come again.

    Example:
        >>> import tensorlite as tl
        >>> tl.combinations(tl.tensor([1, 2, 3]))
        tensor([[1, 2],
                [1, 3],
                [2, 3]])
    """
    if input.ndim != 1:
        raise errors.ShapeError(f"combinations: a vector is needed, got {errors.describe(input)}")
    if r < 0:
        raise errors.ArgumentError(f"combinations: the number of elements r cannot be negative, got {r}")
    if r == 0:
        return input[:0]
    xp, n = host().xp, input.array.size
    rows = xp.arange(n).reshape(n, 1)
    for _ in range(r - 1):  # each row of places grows by every place that may follow its last
        follow = n - rows[:, -1] - (0 if with_replacement else 1)
        grown = xp.repeat(rows, follow, axis=0)
        starts = xp.repeat(xp.cumsum(follow) - follow, follow)
        last = grown[:, -1] + (0 if with_replacement else 1) + xp.arange(len(grown)) - starts
        rows = xp.concatenate([grown, last[:, None]], axis=1)
    return registry["index"].apply(input, key=(input.device.backend.from_host(rows),), basic=False)
