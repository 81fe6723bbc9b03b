"""Writing by index, out of place: scatter, index_add, index_put, masked_scatter and their kin. Reading stands in index.py.

Each function ends in `_write(op, input, value, ...)`. Run in place (`x.scatter_`), it is given a Target instead of a tensor,
and the same call writes into the memory itself.
"""

import math

from tensorlite import errors
from tensorlite.backend.dtypes import iinfo
from tensorlite.backend.places import IDENTITY
from tensorlite.op import Fused, Op, registry
from tensorlite.ops import dims
from tensorlite.ops.convert import cast, number
from tensorlite.ops.index import Index, a_mask, along, broadcast, in_range, integers, make_key, moved, vector, watch
from tensorlite.ops.views import Assign
from tensorlite.tensor import Tensor, mode, wrap

__all__ = [
    "index_add", "index_copy", "index_fill", "index_put", "index_reduce", "masked_scatter", "put", "scatter",
    "scatter_add", "scatter_reduce",
]  # fmt: skip


class AddAt(Op):
    name, formula, local = "add_at", "x; x[key] += value", ("1", "1 at the places written")
    lends = True

    def forward(b, x, value, *, key):
        out = b.as_array(x.copy())
        b.add_at(out, key, value)
        return out

    def into(b, out, value, *, key):
        """Add to `out` itself."""
        b.add_at(out, key, value)

    rules = (lambda m, g: g, lambda m, g, key: m.index(g, key=key, basic=False))


class ReduceAt(Fused):
    """Several values for one place, all of them count. Ties of a maximum share the gradient evenly."""

    name, formula = "reduce_at", "x; x[key] = how(x[key], value): prod, amax or amin"
    local = ("of a product: the other factors; of an extreme: 1 where reached (ties share)",) * 2

    def forward(b, x, value, *, key, how):
        out = b.as_array(x.copy())
        b.reduce_at(out, key, value, how)
        return out

    def into(b, out, value, *, key, how):
        """Reduce into `out` itself."""
        b.reduce_at(out, key, value, how)

    def backward(b, g, needs, into, x, value, out, key, how):
        if how != "prod":
            hit, hits = x == out, value == out[key]
            ties = b.as_array(hit.astype(g.dtype))
            b.add_at(ties, key, hits.astype(g.dtype))
            share = g / ties
            return share * hit, share[key] * hits
        zero, zeros = x == 0, value == 0
        count = b.as_array(zero.astype(g.dtype))
        b.add_at(count, key, zeros.astype(g.dtype))
        one = b.xp.ones((), dtype=x.dtype)
        x, value = b.xp.where(zero, one, x), b.xp.where(zeros, one, value)
        rest = b.as_array(x.copy())  # the product of all factors that are not 0
        b.reduce_at(rest, key, value, "prod")
        rest = g * rest
        gx = rest / x * (count == zero)  # no factor but this one may be 0
        return gx, rest[key] / value * (count[key] == zeros)

    def plain(x, value, *, key, how):
        """One row for each place: x and the values for it, side by side; reduced along the row."""
        b, n, size = x.device.backend, math.prod(value.shape), math.prod(x.shape)
        xp = b.xp
        places = xp.arange(size).reshape(x.shape)[key].reshape(-1)
        order = xp.sort(places * n + xp.arange(n))
        run, order = order // max(n, 1), order % max(n, 1)
        column = xp.arange(n) - xp.searchsorted(run, run)
        width = int(column.max()) + 1 if n else 0
        width = (1 << width.bit_length()) - 1  # with x a power of two
        empty = wrap(xp.full((size, width), IDENTITY[how], dtype=x.array.dtype), x.device)
        value = Index.apply(registry["reshape"].apply(value, shape=(n,)), key=(order,), basic=False)
        rows = Assign.apply(empty, value, steps=((Index, {"key": (run, column), "basic": False}),))
        rows = registry["cat"].apply(registry["reshape"].apply(x, shape=(size, 1)), rows, dim=1)
        if how != "prod":
            rows = registry[how].apply(rows, dim=(1,), keepdim=False)
        while rows.ndim > 1 and rows.shape[1] > 1:
            half = rows.shape[1] // 2
            rows = rows[:, :half] * rows[:, half:]
        return registry["reshape"].apply(rows, shape=tuple(x.shape))


class Target(Tensor):
    """Stands for a tensor that is to be changed in place: _write writes into its memory, and leaves the new node."""

    written = False

    def write(self, op, value, args):
        """Run op.into on this memory; the node of the change goes to `new`."""
        b, raw, parents = self.device.backend, value, [self.node, None]
        if isinstance(value, Tensor):
            if value.device is not self.device:
                if value.ndim:
                    raise op.mixture((self, value))
                value = value.to(self.device)
            raw, parents[1] = value.array, value.node
            if value.version is self.version:  # a view of this memory
                raw = raw.copy()
        wanted = [p is not None for p in parents]
        record = mode.grad and any(wanted)
        kept = op.kept(wanted) if record else ()
        before = self.array.copy() if record and kept[0] else None
        op.into(b, self.array, raw, **args)
        self.written, self.new = True, None
        if record:
            out = self.array.copy() if kept[2] else self.array
            value = value if raw is getattr(value, "array", None) else None
            self.new = op.record((None, value), (before, raw), parents, out, (), args, self.device)


def _write(op, input, value, used, **args):
    """op(input, value), in place where input is a Target. used: the index tensors, whose later changes are noticed."""
    if type(input) is Target:
        input.write(op, value, args)
        if input.new is not None:
            input.new.versions = (*input.new.versions, *[k.version for k in used])
        return input
    return watch(op.apply(input, value, **args), used)


def _assign(input, key, value, used):
    """input[key] = value."""
    return _write(Assign, input, value, used, steps=((Index, {"key": key, "basic": False}),))


def _alike(op, input, name, value):
    """Refuse a tensor of another dtype than input's, as PyTorch does; a number as one of input's dtype."""
    if not isinstance(value, Tensor):
        if type(value).__module__ == "numpy" and getattr(value, "ndim", 1) == 0:
            value = value.item()
        if not isinstance(value, (bool, int, float)):
            raise errors.DTypeError(f"{op}: {name} must be a tensor or a number, not {type(value).__name__}")
        return number(op, value, input.dtype)
    if value.array.dtype != input.array.dtype:
        raise errors.DTypeError(
            f"{op}: {name} is {value.dtype.name}, input {input.dtype.name}; they must be equal: use {name}.to(input.dtype)"
        )
    return value


# ---------------------------------------------------------------- scatter: an index for each element
def _scattered(op, input, dim, index, src):
    """The key, src cut to the shape of index, and the dimension, after all checks."""
    d = along(op, input, dim, index)
    if not index.array.size:  # nothing is written, whatever the shapes are
        shape = (0,) * input.ndim
        index, none = (
            wrap(input.device.backend.xp.zeros(shape, dtype=d), input.device) for d in ("int64", input.array.dtype)
        )
        src = src.reshape(-1)[:0].reshape(shape) if isinstance(src, Tensor) else none
    if isinstance(src, Tensor) and src.ndim:
        if src.ndim != index.ndim or any(n > m for n, m in zip(index.shape, src.shape, strict=True)):
            raise errors.ShapeError(
                f"{op}: src {tuple(src.shape)} is smaller than index {tuple(index.shape)}, or has other dimensions"
            )
        if src.shape != index.shape:
            src = src[tuple(slice(n) for n in index.shape)]
    raw, key, xp = moved(input, index), [], input.device.backend.xp
    for k, n in enumerate(raw.shape):
        key.append(raw if k == d else xp.arange(n).reshape((n,) + (1,) * (raw.ndim - k - 1)))
    return tuple(key), src


def _as_vector(function, op, input, dim, index, src, **kw):
    """A 0-d input counts as a vector of one."""
    dims.one(op, dim, 0)
    src = src.reshape(-1) if isinstance(src, Tensor) else src
    return function(input.reshape(1), 0, integers(op, index).reshape(-1), src, **kw).reshape(())


def scatter(input, dim, index, src=None, *, value=None, reduce=None) -> Tensor:
    """A copy of input with out[index[i][j]][j] = src[i][j] for dim 0, and so on; src is a tensor or a number (`value`).

    index may be smaller than src, and smaller than input beside dim. reduce: "add" or "multiply" to join src to what is
    there. Where index names a place twice the last value is kept, and only it has a gradient. (PyTorch does not say which
    value it keeps, and gives all of them a gradient; nor has its reduce= one at all.)

    Raises:
        DTypeError: an index that is not of integers, src of another dtype. ShapeError: shapes that do not fit.
        IndexRangeError: an index outside of dim; negative ones too.

    Example:
        >>> import tensorlite as tl
        >>> tl.zeros(2, 3).scatter(1, tl.tensor([[2], [0]]), 1.0)
        tensor([[0., 0., 1.],
                [1., 0., 0.]])
    """
    src = value if src is None else src
    if src is None:
        raise errors.ArgumentError("scatter: src (a tensor or a number) is missing")
    if reduce not in (None, "add", "multiply"):
        raise errors.ArgumentError(f"scatter: reduce must be 'add' or 'multiply', got {reduce!r}; see scatter_reduce")
    src = _alike("scatter", input, "src", src)
    if not input.ndim:
        return _as_vector(scatter, "scatter", input, dim, index, src, reduce=reduce)
    key, src = _scattered("scatter", input, dim, index, src)
    if reduce is None:
        return _assign(input, key, src, (index,))
    if reduce == "add":
        return _write(AddAt, input, _full(input, src, index.shape), (index,), key=key)
    return _write(ReduceAt, input, _full(input, src, index.shape), (index,), key=key, how="prod")


def _full(input, value, shape):
    """A value for each place."""
    if not isinstance(value, Tensor):
        value = wrap(input.device.backend.xp.full((), value, dtype=input.array.dtype), input.device)
    return value if value.shape == tuple(shape) or not value.array.size else value.expand(tuple(shape))


def scatter_add(input, dim, index, src) -> Tensor:
    """A copy of input with out[index[i][j]][j] += src[i][j] for dim 0, and so on; repeated places add up.

    Shapes and errors as of scatter.
    """
    if not isinstance(src, Tensor):
        raise errors.DTypeError(
            f"scatter_add: src must be a tensor, not {type(src).__name__}; use scatter(reduce='add')"
        )
    return scatter_reduce(input, dim, index, src, "sum", _op="scatter_add")


_HOW = ("sum", "mean", "prod", "amax", "amin")


def scatter_reduce(input, dim, index, src, reduce, *, include_self=True, _op="scatter_reduce") -> Tensor:
    """As scatter, but all values for one place count: their "sum", "mean", "prod", "amax" or "amin", together with what
    input has there if include_self. Places that index does not name keep input's value. Ties of amax and amin share the
    gradient evenly; means of integers are rounded down.

    Example:
        >>> import tensorlite as tl
        >>> i, v = tl.tensor([0, 0, 2]), tl.tensor([1.0, 5.0, 7.0])
        >>> tl.zeros(3).scatter_reduce(0, i, v, "mean", include_self=False)
        tensor([3., 0., 7.])
    """
    if reduce not in _HOW:
        raise errors.ArgumentError(f"{_op}: reduce must be one of {', '.join(_HOW)}, got {reduce!r}")
    src = _alike(_op, input, "src", src)
    if not input.ndim:
        return _as_vector(scatter_reduce, _op, input, dim, index, src, reduce=reduce, include_self=include_self)
    key, src = _scattered(_op, input, dim, index, src)
    return _reduced(input, key, src, index, reduce, include_self)


def _reduced(input, key, src, index, how, include_self):
    """input[key] = how(src, and input[key] if include_self), for scatter_reduce and index_reduce."""
    used = (index,)
    if how == "sum" and include_self:
        return _write(AddAt, input, src, used, key=key)
    if how in ("sum", "mean"):
        start = input if include_self else _assign(_plain(input), key, 0, used)
        total = _write(AddAt, _plain(start), src, used, key=key)
        if how == "sum":
            return total
        ones = lambda x: wrap(input.device.backend.xp.ones(x.array.shape, input.array.dtype), input.device)  # noqa: E731
        counts = ones(input) if include_self else _assign(ones(input), key, 0, used)
        counts = _write(AddAt, counts, ones(src), used, key=key)
        return total / counts if input.dtype.is_floating_point else total // counts
    if not include_self:
        limit = {"prod": 1, "amax": -math.inf, "amin": math.inf}[how]
        if not input.dtype.is_floating_point and how != "prod":
            info = iinfo(input.dtype) if input.dtype.category else None
            limit = (how == "amin") if info is None else info.min if how == "amax" else info.max
        input = _assign(_plain(input), key, limit, used)
    return _write(ReduceAt, input, src, used, key=key, how=how)


def _plain(x):
    """A tensor as an operation out of place takes it: of a Target, its memory and node."""
    if type(x) is not Target:
        return x
    out = wrap(x.array, x.device, x.node)
    out.version = x.version
    return out


# ---------------------------------------------------------------- index_*: an index for each slice
def _slices(op, input, dim, index, source, name="source", negative=False):
    """The key of the slices `index` of dimension dim; source must have their shape."""
    d = dims.one(op, dim, input.ndim)
    index = vector(op, index)
    in_range(op, index, input.shape[d], d, negative)
    if isinstance(source, Tensor):
        shape = (*input.shape[:d], index.shape[0], *input.shape[d + 1 :])
        if tuple(source.shape) != shape:
            raise errors.ShapeError(
                f"{op}: {name} must have shape {shape}, that of input {tuple(input.shape)} with {index.shape[0]} indices "
                f"in dim {d}; got {errors.describe(source)}"
            )
    return (slice(None),) * d + (moved(input, index),)


def index_add(input, dim, index, source, *, alpha=1) -> Tensor:
    """A copy of input with alpha * source[j] added to its slice index[j] of dimension dim; repeated ones add up.

    Raises:
        ShapeError: source is not of input's shape with len(index) in dim. IndexRangeError: an index outside of dim;
            negative ones too. DTypeError: source of another dtype.

    Example:
        >>> import tensorlite as tl
        >>> tl.zeros(3).index_add(0, tl.tensor([0, 2, 0]), tl.ones(3), alpha=2)
        tensor([4., 0., 2.])
    """
    source = _alike("index_add", input, "source", _a_tensor("index_add", "source", source))
    if not input.ndim:
        return _as_vector(index_add, "index_add", input, dim, index, source, alpha=alpha)
    key = _slices("index_add", input, dim, index, source)
    if alpha != 1:
        source = source * (alpha if input.dtype.is_floating_point else int(alpha))
    return _write(AddAt, input, source, (index,), key=key)


def index_copy(input, dim, index, source) -> Tensor:
    """A copy of input whose slices `index` of dimension dim are those of source; of a repeated one the last is kept.

    Errors as of index_add.
    """
    if mode.now.casts:
        input, source = mode.casts.alike("index_copy", input, source)
    source = _alike("index_copy", input, "source", _a_tensor("index_copy", "source", source))
    if not input.ndim:
        return _as_vector(index_copy, "index_copy", input, dim, index, source)
    return _assign(input, _slices("index_copy", input, dim, index, source), source, (index,))


def index_fill(input, dim, index, value) -> Tensor:
    """A copy of input whose slices `index` of dimension dim are `value` (a number or a 0-d tensor); negative ones count
    from the end."""
    if isinstance(value, Tensor):
        if value.ndim:
            raise errors.ShapeError(
                f"index_fill: value must be a number or 0-dimensional, got {errors.describe(value)}"
            )
        value = cast(value, input.dtype)
    value = _alike("index_fill", input, "value", value)
    if not input.ndim:
        return index_fill(input.reshape(1), dim, index, value).reshape(())
    return _assign(input, _slices("index_fill", input, dim, index, None, negative=True), value, (index,))


def index_reduce(input, dim, index, source, reduce, *, include_self=True) -> Tensor:
    """As index_add, but with the "prod", "mean", "amax" or "amin" of the slices; see scatter_reduce."""
    if reduce not in _HOW or reduce == "sum":
        raise errors.ArgumentError(f"index_reduce: reduce must be one of prod, mean, amax, amin, got {reduce!r}")
    source = _alike("index_reduce", input, "source", _a_tensor("index_reduce", "source", source))
    if not input.ndim:
        return _as_vector(
            index_reduce, "index_reduce", input, dim, index, source, reduce=reduce, include_self=include_self
        )
    key = _slices("index_reduce", input, dim, index, source)
    return _reduced(input, key, source, index, reduce, include_self)


def _a_tensor(op, name, value):
    if not isinstance(value, Tensor):
        raise errors.DTypeError(f"{op}: {name} must be a tensor, not {type(value).__name__}")
    return value


# ---------------------------------------------------------------- any index, flat index, masks
def index_put(input, indices, values, accumulate=False) -> Tensor:
    """A copy of input with out[indices] = values, or += if accumulate (repeated places add up, else the last is kept).

    indices: a tuple of integer or bool tensors (None for a whole dimension); values broadcasts.

    Example:
        >>> import tensorlite as tl
        >>> tl.zeros(3).index_put((tl.tensor([0, 0, 2]),), tl.ones(3), accumulate=True)
        tensor([2., 0., 1.])
    """
    if not isinstance(indices, (tuple, list)):
        raise errors.DTypeError(f"index_put: indices must be a tuple of tensors, not {type(indices).__name__}")
    values = _alike("index_put", input, "values", values)
    if accumulate:  # a 0-d index is an array, too
        indices = [k.reshape(1) if isinstance(k, Tensor) and not k.ndim and k.dtype.category else k for k in indices]
    steps, used = make_key(input, tuple(slice(None) if k is None else k for k in indices))
    steps = tuple((Index, {"key": key, "basic": basic}) for key, basic in steps)
    if not accumulate:
        return _write(Assign, input, values, used, steps=steps)
    if len(steps) > 1 or steps[0][1]["basic"]:
        raise errors.DTypeError("index_put: with accumulate the indices must be tensors with dimensions")
    part = Index.apply(_plain(input).detach(), **steps[0][1])  # NumPy's add.at goes astray where values only broadcast
    return _write(AddAt, input, _full(input, values, part.shape), used, key=steps[0][1]["key"])


def put(input, index, source, accumulate=False) -> Tensor:
    """A copy of input whose elements `index` (of the flat tensor; negative ones count from the end) are those of source, or
    have them added. Of repeated ones the last is kept."""
    source = _alike("put", input, "source", _a_tensor("put", "source", source))
    integers("put", index)
    if mode.vmap is not None and (out := mode.vmap.each(put, (input, index, source, accumulate))) is not None:
        return out
    if math.prod(source.shape) != math.prod(index.shape):
        raise errors.ShapeError(
            f"put: source {tuple(source.shape)} and index {tuple(index.shape)} must have as many elements as each other"
        )
    if not input.ndim:
        return put(input.reshape(1), index, source, accumulate).reshape(())
    size = input.array.size
    in_range("put", index, size, negative=True)
    flat, key = moved(input, index).reshape(-1), []
    if size:
        flat = flat % size  # negative ones too
    for n in reversed(input.shape):
        key.insert(0, flat % max(n, 1))
        flat = flat // max(n, 1)
    source = source.reshape(-1)
    if accumulate:
        return _write(AddAt, input, source, (), key=tuple(key))
    return _assign(input, tuple(key), source, ())


def masked_scatter(input, mask, source) -> Tensor:
    """A copy of input with the first elements of source, in order, where the bool tensor mask holds; input and mask
    broadcast.

    Raises:
        ShapeError: source has fewer elements than mask has True, or input and mask do not broadcast.
    """
    a_mask("masked_scatter", mask)
    if mode.vmap is not None and (out := mode.vmap.each(masked_scatter, (input, mask, source))) is not None:
        return out
    source = _alike("masked_scatter", input, "source", _a_tensor("masked_scatter", "source", source))
    shape = broadcast("masked_scatter", input, mask)
    if not shape:
        return masked_scatter(input.reshape(1), mask.reshape(1), source).reshape(())
    if tuple(input.shape) != shape:
        input = _plain(input).expand(shape)
    raw = moved(input, mask.expand(shape))
    n, size = int(raw.sum()), math.prod(source.shape)
    if size < n:
        raise errors.ShapeError(f"masked_scatter: source has {size} elements, mask {n} True; it needs as many")
    return _assign(input, (raw,), source.reshape(-1)[:n], (mask,))
