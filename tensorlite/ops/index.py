"""Reading by index: x[...] in every form NumPy and PyTorch share, gather, embedding. Assignment stands in inplace.py."""

from tensorlite import errors
from tensorlite.backend.base import _basic
from tensorlite.op import Op
from tensorlite.ops import dims
from tensorlite.tensor import Tensor

__all__ = ["gather", "index_select"]


class Index(Op):
    name, formula, local = "index", "x[key]", "1 at the places read"
    view, extras = True, ("shape",)

    def forward(b, x, *, key, basic):
        return x[key], (x.shape,)

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


class TakeAlong(Op):
    """One element of x along dim for each element of index."""

    name, formula, local = "take_along", "x[..., index[...], ...]", ("1 at the places read", "")
    extras = ("shape",)

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


def embedding(input, weight, padding_idx=None) -> Tensor:
    """weight[input]: a row of `weight` (V, D) for each token id of `input` (...) -> (..., D).

    padding_idx: the row that gets no gradient.

    Raises:
        DTypeError: ids that are not integers. IndexRangeError: an id outside 0..V-1.
    """
    if not isinstance(input, Tensor) or input.dtype.category != 1:
        raise errors.DTypeError(f"embedding: token ids must be an integer tensor, got {errors.describe(input)}")
    if weight.ndim != 2:
        raise errors.ShapeError(f"embedding: weight must have shape (rows, features), got {errors.describe(weight)}")
    out = Embedding.apply(weight, input)
    if padding_idx is not None and weight.requires_grad:
        padding = (input == padding_idx % weight.shape[0]).unsqueeze(-1)
        from tensorlite.ops.select import where

        out = where(padding, out.detach(), out)
    return out


def gather(input, dim, index) -> Tensor:
    """out[i][j][k] = input[index[i][j][k]][j][k] for dim 0, and so on; index may be smaller in the other dimensions."""
    d = dims.one("gather", dim, input.ndim)
    if index.dtype.category != 1:
        raise errors.DTypeError(f"gather: index must be an integer tensor, got {errors.describe(index)}")
    if index.ndim != input.ndim:
        raise errors.ShapeError(f"gather: index has {index.ndim} dimensions, input {input.ndim}; they must be equal")
    if any(i > n for k, (i, n) in enumerate(zip(index.shape, input.shape, strict=True)) if k != d):
        raise errors.ShapeError(
            f"gather: index {tuple(index.shape)} is larger than input {tuple(input.shape)} beside dim {d}"
        )
    input.device.backend.check_range(index.array, input.shape[d], "gather: index")
    return TakeAlong.apply(input, index, dim=d)


def index_select(input, dim, index) -> Tensor:
    """The slices of input at the places `index` (a vector of ints) of dimension dim."""
    d = dims.one("index_select", dim, input.ndim)
    return getitem(input, (slice(None),) * d + (index,))


def getitem(x, key) -> Tensor:
    """x[key]: ints, slices, None, Ellipsis, bool and integer tensors or arrays, lists, and mixtures of them."""
    key, basic = make_key(x, key)
    return Index.apply(x, key=key, basic=basic)


def make_key(x, key):
    """An index expression on raw arrays of x's device, and whether it is basic (a view).

    A basic one ends with an Ellipsis, so that NumPy gives a 0-d view and not a copied number.
    """
    parts = key if isinstance(key, tuple) else (key,)
    parts = tuple(_part(x, k) for k in parts)
    basic = _basic(parts)
    if basic and not any(k is Ellipsis for k in parts):
        parts = (*parts, Ellipsis)
    if not basic:
        x.device.backend.check_key(x.array.shape, parts)
    return parts, basic


def _part(x, k):
    if k is None or k is Ellipsis or type(k) is int:
        return k
    if isinstance(k, slice):
        ends = (k.start, k.stop, k.step)
        if any(v is not None and not hasattr(v, "__index__") for v in ends):
            raise errors.DTypeError(f"index: the ends and the step of a slice must be ints, got {k}")
        return slice(*(v if v is None else v.__index__() for v in ends))
    if isinstance(k, Tensor):
        if k.device is not x.device:
            if str(k.device) != "cpu":
                raise errors.DeviceError(
                    f"index: the tensor is on {x.device}, the index on {k.device}; use index.to({str(x.device)!r})"
                )
            k = k.to(x.device)
        if k.dtype.category == 2:
            raise errors.DTypeError(f"index: an index must hold integers or bools, got {errors.describe(k)}")
        if k.dtype.category == 1 and k.ndim == 0:
            return int(k.array)
        return k.array
    b = x.device.backend
    if isinstance(k, bool):
        return b.xp.asarray(k)
    if isinstance(k, (list, range)) or (type(k).__module__ == "numpy" and getattr(k, "ndim", 0)):
        host = b.host_index(k)
        if host.dtype.kind not in "iub":
            raise errors.DTypeError(f"index: an index must hold integers or bools, got {errors.describe(host)}")
        return b.from_host(host)
    if hasattr(k, "__index__"):
        return k.__index__()
    raise errors.DTypeError(
        f"index: {type(k).__name__} cannot be an index; use ints, slices, None, ..., or int/bool tensors"
    )
