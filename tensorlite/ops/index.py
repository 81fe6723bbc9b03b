"""Reading by index: x[...] in every form NumPy and PyTorch share, gather, take, masks, rows of a table. Writing stands in scatter.py."""

from tensorlite import errors
from tensorlite.backend import keys
from tensorlite.backend.places import basic as _basic
from tensorlite.op import Op
from tensorlite.ops import dims
from tensorlite.tensor import Tensor, mode, path

__all__ = ["argwhere", "gather", "index_select", "masked_select", "nonzero", "take", "take_along_dim"]


class Index(Op):
    name, formula, local = "index", "x[key]", "1 at the places read"
    view, extras = True, ("shape",)

    def forward(b, x, *, key, basic):
        try:
            out = x[key]
            if (
                not basic and not out.flags.c_contiguous
            ):  # NumPy lets the dimensions of index arrays come first in memory
                out = b.xp.ascontiguousarray(out)
            return out, (x.shape,)
        except (IndexError, ValueError) as e:
            raise keys.explain(b, x.shape, key, e) from None

    def add_into(b, total, g, key, basic):
        if basic:
            total[key] += g
        else:
            b.add_at(total, key, g)

    rules = lambda m, g, shape, key: m.index_add(g, key=key, shape=shape)  # noqa: E731


class IndexAdd(Op):
    name, formula, local = "index_add", "zeros; out[key] += x", "g[key]"
    lends = True

    def forward(b, x, *, key, shape):
        return b.index_add(shape, key, x)

    rules = lambda m, g, key: m.index(g, key=key, basic=_basic(key))  # noqa: E731


class KeepLast(Op):
    """For an assignment with repeated places: only the last value of each place is in the result, and has a gradient."""

    name, formula, local = "keep_last", "x where key names a place for the last time, else 0", "1 there"

    def forward(b, x, *, key, shape):
        return b.xp.where(b.is_last(shape, key), x, b.number(0, x.dtype))

    rules = lambda m, g, key, shape: m.keep_last(g, key=key, shape=shape)  # noqa: E731


class Nonzero(Op):
    name, formula = "nonzero", "the indices of the elements that are not 0"

    def forward(b, x):
        if not x.ndim:
            return b.xp.zeros((int(x != 0), 0), dtype=b.xp.int64)
        return b.xp.stack(b.xp.nonzero(x)).T  # so each column lies in order


class TakeAlong(Op):
    """One element of x along dim for each element of index."""

    name, formula, local = "take_along", "x[..., index[...], ...]", ("1 at the places read", "")
    extras = ("shape",)
    ordered = True

    def forward(b, x, index, *, dim):
        return x[_along(b, x.shape, index, dim)], (x.shape,)

    rules = (lambda m, g, index, shape, dim: m.put_along(g, index, shape=shape, dim=dim), None)


class PutAlong(Op):
    name, formula, local = "put_along", "zeros; out[..., index[...], ...] += x", ("g at the places written", "")

    def forward(b, x, index, *, shape, dim):
        return b.index_add(shape, _along(b, shape, index, dim), x)

    rules = (lambda m, g, index, dim: m.take_along(g, index, dim=dim), None)


def _along(b, shape, index, dim):
    """The index expression of take_along: index in dimension dim, 0, 1, 2, ... in the others."""
    key = []
    for d in range(len(shape)):
        ones = [1] * len(shape)
        ones[d] = index.shape[d]
        key.append(index if d == dim else b.xp.arange(index.shape[d]).reshape(ones))
    return tuple(key)


class Embedding(Op):
    """Rows of a table. Out-of-range and negative numbers are refused on every device."""

    name, formula, local = "embedding", "weight[index]", ("1 at the rows read", "")
    extras = ("rows",)

    def forward(b, weight, index):
        b.check_range(index, weight.shape[0], "token id")
        return b.embedding(weight, index), (weight.shape[0],)

    rules = (lambda m, g, index, rows: m.embedding_backward(g, index, rows=rows), None)


class EmbeddingBackward(Op):
    name, formula, local = "embedding_backward", "zeros; out[index] += g", ("rows of g", "")

    def forward(b, g, index, *, rows):
        return b.embedding_backward(g, index, rows)

    rules = (lambda m, g, index: m.embedding(g, index), None)


def integers(op, index, name="index"):
    """Refuse an index that is not an integer tensor."""
    if not isinstance(index, Tensor) or index.dtype.category != 1:
        raise errors.DTypeError(f"{op}: {name} must be an integer tensor, got {errors.describe(index)}")
    return index


def in_range(op, index, size, dim=None, negative=False):
    """Raise IndexRangeError for an index outside 0..size-1 (or -size..size-1). Waits for the device."""
    if index.array.size:
        xp = index.device.backend.xp
        low, high = index.device.backend.to_host(xp.stack([index.array.min(), index.array.max()])).tolist()
        if low < (-size if negative else 0) or high >= size:
            wrong = high if high >= size else low
            where = f" for dim {dim} of size {size}" if dim is not None else f" for {size} elements"
            least = -size if negative else 0
            raise errors.IndexRangeError(
                f"{op}: index {wrong} is out of range{where}: it must be {least} to {size - 1}"
            )


def along(op, input, dim, index):
    """The dimension of a gather or scatter, after all checks of the index."""
    d = dims.one(op, dim, input.ndim)
    integers(op, index)
    if index.ndim != input.ndim:
        if not index.array.size:  # it names no place, whatever its shape
            return d
        raise errors.ShapeError(f"{op}: index has {index.ndim} dimensions, input {input.ndim}; they must be equal")
    if any(i > n for k, (i, n) in enumerate(zip(index.shape, input.shape, strict=True)) if k != d):
        raise errors.ShapeError(
            f"{op}: index {tuple(index.shape)} is larger than input {tuple(input.shape)} beside dim {d}"
        )
    in_range(op, index, input.shape[d], d)
    return d


def gather(input, dim, index, *, sparse_grad=False) -> Tensor:
    """out[i][j][k] = input[index[i][j][k]][j][k] for dim 0, and so on; index may be smaller in the other dimensions.

    sparse_grad is accepted and does nothing: gradients are dense.

    Raises:
        DTypeError: an index that is not of integers. ShapeError: dimensions that do not fit. IndexRangeError: an index
            outside of dim; negative ones too.

    Example:
        >>> import tensorlite as tl
        >>> tl.gather(tl.tensor([[1, 2], [3, 4]]), 1, tl.tensor([[0, 0], [1, 0]]))
        tensor([[1, 1],
                [4, 3]])
    """
    if not input.ndim and isinstance(index, Tensor) and index.ndim < 2:  # a number counts as a vector of one
        return gather(input.reshape(1), dim, index.reshape(-1)).reshape(index.shape)
    dim = along("gather", input, dim, index)
    if index.ndim != input.ndim:  # an empty index
        return input.reshape(-1)[:0].reshape(index.shape)
    return TakeAlong.apply(input, index, dim=dim)


def take_along_dim(input, indices, dim=None, *, axis=None) -> Tensor:
    """The elements at `indices` along dim; input and indices broadcast in the other dimensions. Without dim: of the flat
    input. Negative indices count from the end. For what argsort, argmax and the like return.

    Example:
        >>> import tensorlite as tl
        >>> x = tl.tensor([[3, 1, 2], [6, 5, 4]])
        >>> tl.take_along_dim(x, x.argmax(dim=1, keepdim=True), dim=1)
        tensor([[3],
                [6]])
    """
    integers("take_along_dim", indices, "indices")
    dim = dim if axis is None else axis
    if dim is None:
        return take_along_dim(input.reshape(-1), indices.reshape(-1), 0)
    if input.ndim != indices.ndim:
        raise errors.ShapeError(
            f"take_along_dim: indices has {indices.ndim} dimensions, input {input.ndim}; they must be equal"
        )
    d = dims.one("take_along_dim", dim, input.ndim)
    if not input.ndim:
        return take_along_dim(input.reshape(1), indices.reshape(1), 0).reshape(())
    if any(
        m != n and 1 not in (m, n) for k, (m, n) in enumerate(zip(input.shape, indices.shape, strict=True)) if k != d
    ):
        raise errors.ShapeError(
            f"take_along_dim: input {tuple(input.shape)} and indices {tuple(indices.shape)} do not broadcast beside dim {d}"
        )
    rest = [n if m == 1 else m for m, n in zip(input.shape, indices.shape, strict=True)]
    in_range("take_along_dim", indices, input.shape[d], d, negative=True)
    input = input.expand((*rest[:d], input.shape[d], *rest[d + 1 :]))
    return TakeAlong.apply(input, indices.expand((*rest[:d], indices.shape[d], *rest[d + 1 :])), dim=d)


def vector(op, index):
    """The index of an index_* function as a vector; a 0-d one counts as a vector of one."""
    integers(op, index)
    if index.ndim > 1:
        raise errors.ShapeError(f"{op}: index must be a vector, got {errors.describe(index)}")
    return index if index.ndim else index.reshape(1)


def index_select(input, dim, index) -> Tensor:
    """The slices of input at the places `index` (a vector of ints, none negative) of dimension dim; always a copy.

    Raises:
        DTypeError, ShapeError: an index that is no vector of integers. IndexRangeError: an index outside of dim.
    """
    d = dims.one("index_select", dim, input.ndim)
    index = vector("index_select", index)
    if not input.ndim:
        return index_select(input.reshape(1), 0, index).reshape(())
    in_range("index_select", index, input.shape[d], d)
    out = Index.apply(input, key=(slice(None),) * d + (moved(input, index),), basic=False)
    return watch(out, (index,))


def take(input, index) -> Tensor:
    """The elements of the flat input at `index`, in the shape of index; negative ones count from the end."""
    integers("take", index)
    in_range("take", index, input.array.size, negative=True)
    if not index.ndim:
        return take(input, index.reshape(1)).reshape(())
    return watch(Index.apply(input.reshape(-1), key=(moved(input, index),), basic=False), (index,))


def masked_select(input, mask) -> Tensor:
    """The elements of input where the bool tensor mask holds, as a vector; input and mask broadcast."""
    mask = a_mask("masked_select", mask)
    shape = broadcast("masked_select", input, mask) or (1,)
    mask = mask.expand(shape)
    return watch(Index.apply(input.expand(shape), key=(moved(input, mask),), basic=False), (mask,))


def a_mask(op, mask):
    """Refuse a mask that is not a bool tensor."""
    if not isinstance(mask, Tensor) or mask.dtype.category != 0:
        raise errors.DTypeError(f"{op}: mask must be a bool tensor, got {errors.describe(mask)}; use mask.bool()")
    return mask


def broadcast(op, input, mask):
    """The shape of input and mask together. Raises ShapeError."""
    a, c = tuple(input.shape), tuple(mask.shape)
    n = max(len(a), len(c))
    pairs = list(zip((1,) * (n - len(a)) + a, (1,) * (n - len(c)) + c, strict=True))
    if any(x != y and 1 not in (x, y) for x, y in pairs):
        raise errors.ShapeError(f"{op}: {errors.broadcast_fault(a, c)}")
    return tuple(y if x == 1 else x for x, y in pairs)


def nonzero(input, *, as_tuple=False):
    """The indices of the elements that are not 0: one row for each, (n, ndim) int64. as_tuple: one vector for each
    dimension, fit to be an index: x[x.nonzero(as_tuple=True)].

    Waits for the device, which has to count them.
    """
    if not as_tuple:
        return Nonzero.apply(input)
    return Nonzero.apply(input if input.ndim else input.reshape(1)).unbind(1)


def argwhere(input) -> Tensor:
    """The indices of the elements that are not 0, one row for each. (numpy.argwhere)"""
    return Nonzero.apply(input)


# ---------------------------------------------------------------- x[key]
def getitem(x, key) -> Tensor:
    """x[key]: ints, slices, None, Ellipsis, bool and integer tensors or arrays, lists, and mixtures of them.

    Where ints stand beside index arrays they select first, as in PyTorch: x[0, :, i] is x[0][:, i]. (NumPy counts an int
    as one more array.) Negative steps are allowed, as in NumPy. A uint8 tensor is refused: to PyTorch it is a mask, to
    NumPy numbers.

    Raises:
        IndexRangeError: out of range, too many indices, a mask of another shape. DTypeError: what cannot be an index.
    """
    if mode.vmap is not None and (out := mode.vmap.getitem(x, key)) is not None:
        return out
    steps, used = make_key(x, key)
    for key, basic in steps:
        x = Index.apply(x, key=key, basic=basic)
    return watch(x, used) if used else x


def watch(out, used):
    """Let the node of `out` notice later changes of the tensors `used` in its index: their memory is saved."""
    if out.batched is None and out.node is not None:
        out.node.versions = (*out.node.versions, *[k.version for k in used])
    return out


_PLAIN = (int, type(None))


def make_key(x, key):
    """An index expression as steps [(raw key, whether it is basic, that is a view)], and the tensors among its arrays.

    Two steps where ints or bools stand beside arrays: first what selects, then the arrays. A basic key ends with an
    Ellipsis, so that NumPy gives a 0-d view and not a copied number.
    """
    shape, b = x.array.shape, x.device.backend
    if type(key) is int and shape and -shape[0] <= key < shape[0]:
        return (((key, ...), True),), ()
    given = key if isinstance(key, tuple) else (key,)
    if len(given) <= len(shape) and all(type(k) is slice and k.step is None and type(k.stop) in _PLAIN for k in given):
        if all(type(k.start) in _PLAIN for k in given):  # slices alone, the commonest
            return (((*given, ...), True),), ()
    parts = [_part(x, k) for k in given]
    taken = sum(keys.dimensions(k) for k in parts if not isinstance(k, bool))
    if taken > len(shape):
        raise errors.IndexRangeError(
            f"index: too many indices: {taken} for the {len(shape)} dimensions of {errors.describe(x)}"
        )
    if sum(k is Ellipsis for k in parts) > 1:
        raise errors.IndexRangeError("index: an index can have only one ellipsis ('...')")
    once, first, then, sizes = [], [], [], []  # all in one step; or in two, and the shape between them
    arrays = split = False
    dim, whole = 0, slice(None)
    for k in parts:
        n = len(shape) - taken if k is Ellipsis else 0 if isinstance(k, bool) else keys.dimensions(k)
        here = shape[dim : dim + n]
        dim += n
        if isinstance(k, int) and not isinstance(k, bool):
            if not -here[0] <= k < here[0]:
                raise errors.IndexRangeError(f"index: {keys.fault(k, dim - 1, here[0])}")
            first.append(k)
            split = True
        elif k is None or isinstance(k, (slice, bool)):
            first.append(None if isinstance(k, bool) else k)
            then.append(b.xp.zeros(int(k), dtype=b.xp.int64) if isinstance(k, bool) else whole)
            sizes.append(len(range(*k.indices(*here))) if isinstance(k, slice) else 1)
            arrays, split = arrays or isinstance(k, bool), split or isinstance(k, bool)
        elif k is Ellipsis:
            first += [whole] * n
            then += [whole] * n
            sizes += here
        else:
            if k.dtype.kind == "b" and k.shape != here:
                raise errors.IndexRangeError(
                    f"index: a mask of shape {tuple(k.shape)} does not fit the dimensions it is for, {here} of {tuple(shape)}"
                )
            first += [whole] * n
            then.append(k)
            sizes += here
            arrays = True
        once += [whole] * n if k is Ellipsis else [k]
    if not arrays:
        return ((tuple(parts if ... in parts else [*parts, ...]), True),), ()
    used = [k for k in given if isinstance(k, Tensor) and k.ndim]
    if not split:
        _check(x, shape, tuple(once))
        return ((tuple(once), False),), used
    _check(x, tuple(sizes), tuple(then))
    return ((tuple([*first, ...]), True), (tuple(then), False)), used


def _check(x, shape, key):
    """Refuse numbers out of range, on devices that would not."""
    try:
        x.device.backend.check_key(shape, key)
    except errors.IndexRangeError as e:
        raise errors.IndexRangeError(
            errors.compose("index", str(e), errors.argument_table(("x",), (x,)), path())
        ) from None


def moved(x, index):
    """The raw array of an index tensor on the device of x. Raises DeviceError for one on another device than the CPU."""
    if index.device is not x.device:
        if str(index.device) != "cpu":
            raise errors.DeviceError(
                f"index: the tensor is on {x.device}, the index on {index.device}; use index.to({str(x.device)!r})"
            )
        index = index.to(x.device)
    return index.array


def _part(x, k):
    """One part of an index expression: an int, bool, slice, None, Ellipsis, or a raw array of integers or bools."""
    if k is None or k is Ellipsis or type(k) is int or type(k) is bool:
        return k
    if isinstance(k, slice):
        ends = (k.start, k.stop, k.step)
        if any(v is not None and not hasattr(v, "__index__") for v in ends):
            raise errors.DTypeError(f"index: the ends and the step of a slice must be ints, got {k}")
        start, stop, step = (v if v is None else v.__index__() for v in ends)
        if step == 0:
            raise errors.ArgumentError("index: the step of a slice cannot be 0")
        return slice(start, stop, step)
    if isinstance(k, Tensor):
        if k.dtype.category == 2:
            raise errors.DTypeError(f"index: an index must hold integers or bools, got {errors.describe(k)}")
        _refuse_bytes(k)
        if k.ndim == 0:
            return bool(k.array) if k.dtype.category == 0 else int(k.array)
        return moved(x, k)
    if isinstance(k, (list, range)) or (type(k).__module__ == "numpy" and hasattr(k, "dtype")):
        b = x.device.backend
        try:
            host = b.host_index([v.tolist() if isinstance(v, Tensor) else v for v in k] if isinstance(k, list) else k)
        except ValueError:
            raise errors.ShapeError(f"index: the lists in an index must be of equal length, got {k}") from None
        if host.dtype.kind not in "iub":
            raise errors.DTypeError(f"index: an index must hold integers or bools, got {errors.describe(host)}")
        _refuse_bytes(host)
        if host.ndim == 0:
            return host.item()
        # the graph keeps it: the caller may change his own
        return b.from_host(host.copy() if host is k and x.node is not None and mode.grad else host)
    if hasattr(k, "__index__"):
        return k.__index__()
    raise errors.DTypeError(
        f"index: {type(k).__name__} cannot be an index; use ints, slices, None, ..., or int/bool tensors"
    )


def _refuse_bytes(k):
    """uint8 is ambiguous: to PyTorch (which warns) it is a mask, to NumPy it is numbers."""
    if k.dtype.name == "uint8" and k.ndim:
        raise errors.DTypeError(
            f"index: a uint8 index could be a mask or numbers, got {errors.describe(k)}; use .bool() or .long() to say which"
        )
