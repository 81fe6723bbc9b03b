"""Sorting, the k largest, searching in what is sorted, and what is there at all (unique, isin).

Sorting is always stable here: equal elements stay in their order, also with descending=True; nan counts as larger than
everything. So of equal elements the first comes first in sort, topk and kthvalue on every device (PyTorch leaves it open
for topk and kthvalue).
"""

import collections
import math

from tensorlite import errors
from tensorlite.backend import dtypes
from tensorlite.op import Op
from tensorlite.ops.convert import cast
from tensorlite.ops.extreme import values_at
from tensorlite.ops.reduce import axis, line, need_elements, need_tensor, wide
from tensorlite.tensor import Tensor, wrap

__all__ = [
    "argsort", "bucketize", "isin", "kthvalue", "msort", "searchsorted", "sort", "topk", "unique", "unique_consecutive",
]  # fmt: skip


def take(x, dim, start, stop):
    """x[start:stop] in dimension dim, of a raw array."""
    return x[(slice(None),) * dim + (slice(start, stop),)]


class Argsort(Op):
    name, formula = "argsort", "indices that sort x along dim"

    def forward(b, x, *, dim, descending):
        return b.argsort(wide(b, x), dim, descending)


class Topk(Op):
    name, formula = "topk", "indices of the k largest of x along dim"

    def forward(b, x, *, dim, k, largest):
        return b.topk(wide(b, x), k, dim, largest)


class Kthvalue(Op):
    name, formula = "kthvalue", "index of the k-th smallest of x along dim"
    ordered = True

    def forward(b, x, *, dim, k):
        return take(b.argsort(wide(b, x), dim), dim, k - 1, k).copy()


class Searchsorted(Op):
    """Each row of values in its own row of the sequence: by bisection, log2(n) rounds on all values at once."""

    name, formula = "searchsorted", "number of elements of s that are < x (right: <= x)"

    def forward(b, s, x, *, right):
        xp, n = b.xp, s.shape[-1]
        s, x = wide(b, s), wide(b, x)
        if s.ndim == 1:
            return xp.searchsorted(s, x, side="right" if right else "left")
        low, high = xp.zeros(x.shape, dtype=xp.int64), xp.full(x.shape, n, dtype=xp.int64)
        rows = [xp.arange(k).reshape((k,) + (1,) * (s.ndim - 1 - d)) for d, k in enumerate(s.shape[:-1])]
        for _ in range(n.bit_length()):
            middle = (low + high) // 2
            place = xp.minimum(middle, n - 1)
            found = s[(*rows, place)]
            behind = ~_less(x, found) if right else _less(found, x)
            behind = behind & (middle < high)
            low, high = xp.where(behind, middle + 1, low), xp.where(behind, high, middle)
        return low


class Isin(Op):
    name, formula = "isin", "whether x is among the elements of s"

    def forward(b, x, s):
        if not s.shape[0]:
            return b.xp.zeros(x.shape, dtype=bool)
        x, s = wide(b, x), b.xp.sort(wide(b, s))
        place = b.xp.searchsorted(s, x)  # where x would stand
        return s[b.xp.minimum(place, s.shape[0] - 1)] == x


def _less(x, y):
    """x < y in the order of sort: nan is larger than everything."""
    return (x < y) | ((x == x) & (y != y))


# ---------------------------------------------------------------- sorting
Sorted, Largest, Kth = (collections.namedtuple(n, "values indices") for n in ("sort", "topk", "kthvalue"))


def sort(input, dim=-1, descending=False, stable=False, **kw):
    """(values, indices) in ascending (descending) order along `dim`. Always stable; nan is larger than everything.

    Example:
        >>> import tensorlite as tl
        >>> tl.sort(tl.tensor([3, 1, 2]))
        sort(values=tensor([1, 2, 3]), indices=tensor([1, 2, 0]))
    """
    dim, _ = axis(kw, dim, False)
    x, dim = line("sort", input, dim)
    return values_at(Sorted, input, Argsort.apply(x.detach(), dim=dim, descending=descending), dim, keepdim=True)


def argsort(input, dim=-1, descending=False, stable=False, **kw) -> Tensor:
    """The indices that sort input along `dim`, as sort."""
    dim, _ = axis(kw, dim, False)
    x, dim = line("argsort", input, dim)
    return Argsort.apply(x.detach(), dim=dim, descending=descending).reshape(input.shape)


def msort(input) -> Tensor:
    """The values sorted along dimension 0."""
    return sort(input, dim=0).values


def topk(input, k, dim=-1, largest=True, sorted=True, *, axis=None):
    """(values, indices) of the k largest (or smallest) elements along `dim`, in order; of equal ones the first.

    Raises:
        ArgumentError: a k that is negative or above the size of dim.

    Example:
        >>> import tensorlite as tl
        >>> tl.topk(tl.tensor([3.0, 1.0, 2.0]), 2)
        topk(values=tensor([3., 2.]), indices=tensor([0, 2]))
    """
    x, dim = line("topk", input, dim if axis is None else axis)
    if not hasattr(k, "__index__"):
        raise errors.DTypeError(f"topk: k must be an int, not {type(k).__name__}")
    if not 0 <= k.__index__() <= x.shape[dim]:
        raise errors.ArgumentError(
            f"topk: k={k} is out of range: dim {dim} of {errors.describe(input)} has {x.shape[dim]} elements"
        )
    indices = Topk.apply(x.detach(), dim=dim, k=k.__index__(), largest=largest)
    if not input.ndim and not k:  # as in PyTorch: none of a 0-d tensor is the tensor itself
        indices = Topk.apply(x.detach(), dim=dim, k=1, largest=largest)
    return values_at(Largest, input, indices, dim, keepdim=True)


def kthvalue(input, k, dim=-1, keepdim=False, **kw):
    """(values, indices) of the k-th smallest element along `dim`, counted from 1; of equal ones the first first.

    Raises:
        ArgumentError: a k that is not 1 to the size of dim.
    """
    dim, keepdim = axis(kw, dim, keepdim)
    x, dim = line("kthvalue", input, dim)
    need_elements("kthvalue", x, (dim,))
    if not 1 <= k <= x.shape[dim]:
        raise errors.ArgumentError(
            f"kthvalue: k={k} is out of range: it is counted from 1, and dim {dim} of {errors.describe(input)} has "
            f"{x.shape[dim]} elements"
        )
    return values_at(Kth, input, Kthvalue.apply(x.detach(), dim=dim, k=k), dim, keepdim)


# ---------------------------------------------------------------- searching
def searchsorted(sorted_sequence, input, *, out_int32=False, right=False, side=None, sorter=None) -> Tensor:
    """Where input would go in sorted_sequence so that it stays sorted: before equal elements, or behind (right=True).

    sorted_sequence: (n,), or (..., n) with the leading dimensions of input, each row searched for its own; input may be a
    number. sorter: the indices that sort sorted_sequence (of argsort), where it is not sorted itself.

    Example:
        >>> import tensorlite as tl
        >>> tl.searchsorted(tl.tensor([1, 3, 5]), tl.tensor([0, 3, 9]))
        tensor([0, 1, 3])
    """
    name = "searchsorted"
    need_tensor(name, sorted_sequence)
    if side not in (None, "left", "right"):
        raise errors.ArgumentError(f"{name}: side must be 'left' or 'right', got {side!r}")
    if right and side == "left":
        raise errors.ArgumentError(f"{name}: side='left' and right=True contradict each other")
    s, x = sorted_sequence.detach(), _tensor(name, input, sorted_sequence)
    if not s.ndim:
        raise errors.ShapeError(f"{name}: sorted_sequence needs at least one dimension, got {errors.describe(s)}")
    if s.ndim > 1 and (x.ndim != s.ndim or x.shape[:-1] != s.shape[:-1]):
        raise errors.ShapeError(
            f"{name}: sorted_sequence {tuple(s.shape)} must be a vector, or have the leading dimensions of input "
            f"{tuple(x.shape)}"
        )
    if sorter is not None:
        from tensorlite.ops.index import gather

        if sorter.shape != s.shape:
            raise errors.ShapeError(
                f"{name}: sorter {tuple(sorter.shape)} must have the shape of sorted_sequence {tuple(s.shape)}"
            )
        s = gather(s, -1, sorter)
    s, x = _alike(s, x)
    out = Searchsorted.apply(s, x, right=right or side == "right")
    return cast(out, dtypes.int32) if out_int32 else out


def bucketize(input, boundaries, *, out_int32=False, right=False) -> Tensor:
    """For each element the number of the interval that it lies in, between sorted boundaries (n,): searchsorted with its
    first arguments the other way round."""
    need_tensor("bucketize", boundaries)
    if boundaries.ndim != 1:
        raise errors.ShapeError(f"bucketize: boundaries must be a vector, got {errors.describe(boundaries)}")
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


def isin(elements, test_elements, *, assume_unique=False, invert=False) -> Tensor:
    """Whether each of `elements` is among `test_elements` (or is not: invert); either may be a number. nan is in nothing."""
    if not isinstance(elements, Tensor) and not isinstance(test_elements, Tensor):
        raise errors.DTypeError("isin: one of elements and test_elements must be a tensor")
    x = _tensor("isin", elements, test_elements)
    s = _tensor("isin", test_elements, elements).reshape(-1)
    x, s = _alike(x, s)
    found = Isin.apply(x, s)
    return ~found if invert else found


def _tensor(name, value, like):
    """value, detached; a number as a 0-d tensor beside `like`."""
    if isinstance(value, Tensor):
        return value.detach()
    if type(value).__module__ == "numpy" and getattr(value, "ndim", 1) == 0:
        value = value.item()
    if not isinstance(value, (bool, int, float)):
        raise errors.DTypeError(f"{name}: a tensor or a number is needed, not {type(value).__name__}")
    dtype = dtypes.result_type(like.array, value)
    if dtype.category == 1 and not dtypes.iinfo(dtype).min <= value <= dtypes.iinfo(dtype).max:
        dtype = dtypes.int64
    return wrap(like.device.backend.xp.full((), value, dtype=dtype.dtype), like.device)


def _alike(x, y):
    """Both in the dtype in which they can be compared."""
    dtype = dtypes.promote_types(x.dtype, y.dtype)
    return cast(x, dtype), cast(y, dtype)


# ---------------------------------------------------------------- what there is
class Unique(Op):
    """The host waits for the device here: the number of results depends on the values."""

    name, formula = "unique", "the different values, where each went, how often each is there"
    outputs = 3

    def forward(b, x, *, dim):
        """x sorted by its values (dim None: a vector), or by its slices along dim 0."""
        return runs(b, x, by_value(b, x))


class UniqueConsecutive(Op):
    name, formula = "unique_consecutive", "x without repeats in a row, where each went, how often each was there"
    outputs = 3

    def forward(b, x, *, dim):
        return runs(b, x, None)


def by_value(b, x):
    """The indices that sort the vector x; or the rows of x, by their first element, then the next."""
    xp, n = b.xp, x.shape[0]
    if x.ndim == 1:
        return xp.argsort(wide(b, x), kind="stable")
    rows = wide(b, x).reshape(n, math.prod(x.shape[1:]))
    return xp.lexsort(rows.T[::-1].copy()) if rows.size else xp.arange(n)


def runs(b, x, order):
    """(the first of each run of equal slices, the number of the run that each slice is in, the length of each run) of x
    in the given order (None: as it is)."""
    xp, n = b.xp, x.shape[0]
    y = x if order is None else x[order]
    new = xp.ones(n, dtype=bool)
    if n > 1:
        other = wide(b, y[1:]) != wide(b, y[:-1])
        new[1:] = xp.any(other.reshape(n - 1, -1), axis=1) if other.size else False
    starts = xp.nonzero(new)[0]
    number = xp.cumsum(new.astype(xp.int64)) - 1
    if order is not None:
        back = xp.zeros(n, dtype=xp.int64)
        back[order] = number
        number = back
    lengths = xp.concatenate([starts[1:], xp.full(1, n, dtype=starts.dtype)]) - starts if n else starts
    return y[starts], number, lengths


def _unique(op, input, return_inverse, return_counts, dim):
    need_tensor(op.name, input)
    if dim is None:
        out, inverse, counts = op.apply(input.detach().reshape(-1), dim=None)
        inverse = inverse.reshape(input.shape)
    else:
        x, dim = line(op.name, input, dim)
        if x.shape[dim] and 0 in x.shape:
            raise errors.ShapeError(f"{op.name}: another dimension than dim {dim} is empty, {errors.describe(input)}")
        out, inverse, counts = op.apply(x.detach().movedim(dim, 0), dim=dim)
        out = out.movedim(0, dim)
    wanted = (out, *((inverse,) if return_inverse else ()), *((counts,) if return_counts else ()))
    return wanted if len(wanted) > 1 else out


def unique(input, sorted=True, return_inverse=False, return_counts=False, dim=None):
    """The different elements, in ascending order; with `dim`, the different slices along it. Each nan is one of its own.

    return_inverse: also, for each element, the place of its value in the result. return_counts: also how often each is
    there. Without a gradient (PyTorch raises in backward).

    Example:
        >>> import tensorlite as tl
        >>> tl.unique(tl.tensor([3, 1, 3]), return_counts=True)
        (tensor([1, 3]), tensor([1, 2]))
    """
    return _unique(Unique, input, return_inverse, return_counts, dim)


def unique_consecutive(input, return_inverse=False, return_counts=False, dim=None):
    """The elements (with `dim`, the slices along it) without those equal to the one before; results as of unique."""
    return _unique(UniqueConsecutive, input, return_inverse, return_counts, dim)
