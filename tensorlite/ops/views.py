"""Views of a part of a tensor's memory: diagonals, sliding windows, free strides, pieces; and x with one part replaced.

Reshapes and permutations stand in shape.py, reading by x[...] in index.py.
"""

from tensorlite import errors
from tensorlite.backend.places import repeats
from tensorlite.op import Op, registry
from tensorlite.ops.convert import cast, clone
from tensorlite.ops.dims import one, shape_of
from tensorlite.ops.shape import permute, ravel, reshape
from tensorlite.tensor import Tensor

__all__ = [
    "as_strided", "diag", "diag_embed", "diagflat", "diagonal", "diagonal_scatter", "select_scatter", "slice_scatter",
]  # fmt: skip


# ---------------------------------------------------------------- diagonals
def _diagonal_of(b, x, offset, dim1, dim2):
    """The diagonal of an array as a view; its dimension is the last."""
    rows, columns = x.shape[dim1], x.shape[dim2]
    n = max(0, min(rows + min(offset, 0), columns - max(offset, 0)))
    rest = [d for d in range(x.ndim) if d not in (dim1, dim2)]
    key = [slice(None)] * x.ndim
    if n:  # the first element of the diagonal comes first
        key[dim1 if offset < 0 else dim2] = slice(abs(offset), None)
    part = x[tuple(key)]
    shape = (*[x.shape[d] for d in rest], n)
    return b.strided(part, shape, (*[x.strides[d] for d in rest], x.strides[dim1] + x.strides[dim2]))


class Diagonal(Op):
    name, formula, local = "diagonal", "x[..., i, i + offset]", "1 on the diagonal"
    view, extras = True, ("shape",)

    def forward(b, x, *, offset, dim1, dim2):
        return _diagonal_of(b, x, offset, dim1, dim2), (x.shape,)

    rules = lambda m, g, shape, offset, dim1, dim2: m.diag_embed(g, shape=shape, offset=offset, dim1=dim1, dim2=dim2)  # noqa: E731


class DiagEmbed(Op):
    name, formula, local = "diag_embed", "zeros; out[..., i, i + offset] = x", "g[..., i, i + offset]"
    lends = True

    def forward(b, x, *, shape, offset, dim1, dim2):
        out = b.xp.zeros(shape, dtype=x.dtype)
        _diagonal_of(b, out, offset, dim1, dim2)[...] = x
        return out

    rules = lambda m, g, offset, dim1, dim2: m.diagonal(g, offset=offset, dim1=dim1, dim2=dim2)  # noqa: E731


def diagonal(input, offset=0, dim1=0, dim2=1) -> Tensor:
    """The elements input[i, i + offset] of dimensions dim1 and dim2, as a new last dimension; a view.

    Raises:
        ShapeError: fewer than two dimensions. ArgumentError: dim1 and dim2 are the same.

    Example:
        >>> import tensorlite as tl
        >>> tl.arange(9).reshape(3, 3).diagonal(1)
        tensor([1, 5])
    """
    first, second = _pair("diagonal", input.ndim, dim1, dim2)
    return Diagonal.apply(input, offset=offset, dim1=first, dim2=second)


def diag_embed(input, offset=0, dim1=-2, dim2=-1) -> Tensor:
    """Matrices with input's last dimension on their diagonals, else 0; dim1, dim2: where their dimensions stand."""
    if not input.ndim:
        raise errors.ShapeError("diag_embed: at least 1 dimension is needed, got a 0-dimensional tensor")
    first, second = _pair("diag_embed", input.ndim + 1, dim1, dim2)
    size = input.shape[-1] + abs(offset)
    shape = list(input.shape[:-1])
    for d in sorted((first, second)):
        shape.insert(d, size)
    return DiagEmbed.apply(input, shape=tuple(shape), offset=offset, dim1=first, dim2=second)


def diag(input, diagonal=0) -> Tensor:
    """A vector: the matrix with it on a diagonal. A matrix: a copy of its diagonal."""
    if input.ndim == 1:
        return diag_embed(input, diagonal)
    if input.ndim != 2:
        raise errors.ShapeError(f"diag: a vector or a matrix is needed, got {errors.describe(input)}; use diagonal")
    return clone(Diagonal.apply(input, offset=diagonal, dim1=0, dim2=1))


def diagflat(input, offset=0) -> Tensor:
    """The matrix with all elements of input on a diagonal."""
    return diag_embed(ravel(input), offset)


def _pair(op, ndim, dim1, dim2):
    if ndim < 2:
        raise errors.ShapeError(f"{op}: at least 2 dimensions are needed, got {ndim}")
    first, second = one(op, dim1, ndim), one(op, dim2, ndim)
    if first == second:
        raise errors.ArgumentError(f"{op}: dim1 and dim2 are the same: {dim1} and {dim2}")
    return first, second


# ---------------------------------------------------------------- windows and free strides
class Unfold(Op):
    name, formula, local = "unfold", "x[..., i step : i step + size]", "1 at each place read; overlaps add up"
    view, extras = True, ("shape",)

    def forward(b, x, *, dim, size, step):
        n = (x.shape[dim] - size) // step + 1
        shape = (*x.shape[:dim], n, *x.shape[dim + 1 :], size)
        s = x.strides
        return b.strided(x, shape, (*s[:dim], s[dim] * step, *s[dim + 1 :], s[dim])), (x.shape,)

    rules = lambda m, g, shape, dim, step: m.unfold_add(g, shape=shape, dim=dim, step=step)  # noqa: E731


class UnfoldAdd(Op):
    """Windows laid back where `unfold` read them, added up: one addition for each place in a window, or for each window."""

    name, formula, local = "unfold_add", "zeros; out[..., i step : i step + size] += x", "windows of g"
    lends = True

    def forward(b, x, *, shape, dim, step):
        out = b.xp.zeros(shape, dtype=x.dtype)
        lead, n, size = (slice(None),) * dim, x.shape[dim], x.shape[-1]
        if size <= n:
            for k in range(size):
                out[(*lead, slice(k, k + (n - 1) * step + 1, step))] += x[..., k]
        else:
            last = b.xp.moveaxis(out, dim, -1)
            for i in range(n):
                last[..., i * step : i * step + size] += x[(*lead, i)]
        return out

    rules = lambda m, g, x, dim, step: m.unfold(g, dim=dim, size=x.shape[-1], step=step)  # noqa: E731


def unfold(self, dimension, size, step) -> Tensor:
    """Sliding windows of `size` elements along a dimension, each `step` after the last: a view with a new last dimension.

    (..., n, ...) -> (..., (n - size) // step + 1, ..., size)

    Raises:
        ShapeError: size larger than the dimension. ArgumentError: a negative size, or a step that is not positive.

    Example:
        >>> import tensorlite as tl
        >>> tl.arange(5).unfold(0, 3, 1)
        tensor([[0, 1, 2],
                [1, 2, 3],
                [2, 3, 4]])
    """
    if not self.ndim:
        return unfold(reshape(self, 1), one("unfold", dimension, 0), size, step)[0]
    d = one("unfold", dimension, self.ndim)
    if size < 0 or step <= 0:
        raise errors.ArgumentError(f"unfold: size must be 0 or more and step positive, got {size} and {step}")
    if size > self.shape[d]:
        raise errors.ShapeError(f"unfold: windows of {size} do not fit into dimension {d} of size {self.shape[d]}")
    return Unfold.apply(self, dim=d, size=size, step=step)


class AsStrided(Op):
    """x lies in order in memory; `offset` and `stride` count elements from its first."""

    name, formula, local = "as_strided", "x.ravel()[offset + i . stride]", "1 at each place read; overlaps add up"
    view, extras = True, ("shape",)

    def forward(b, x, *, size, stride, offset):
        x = b.xp.ascontiguousarray(x)
        part = x.reshape(-1)[offset:] if 0 not in size else x.reshape(-1)
        return b.strided(part, size, tuple(s * x.itemsize for s in stride)), (x.shape,)

    rules = lambda m, g, shape, stride, offset: m.strided_add(g, shape=shape, stride=stride, offset=offset)  # noqa: E731


class StridedAdd(Op):
    name, formula, local = (
        "strided_add",
        "zeros; out.ravel()[offset + i . stride] += x",
        "g.ravel()[offset + i . stride]",
    )
    lends = True

    def forward(b, x, *, shape, stride, offset):
        places = b.xp.full((), offset, dtype=b.xp.int64)
        for d, (n, s) in enumerate(zip(x.shape, stride, strict=True)):
            places = places + (b.xp.arange(n) * s).reshape((n,) + (1,) * (x.ndim - d - 1))
        total = 1
        for n in shape:
            total *= n
        return b.index_add((total,), (places.reshape(-1),), x.reshape(-1)).reshape(shape)

    rules = lambda m, g, x, stride, offset: m.as_strided(g, size=x.shape, stride=stride, offset=offset)  # noqa: E731


def as_strided(input, size, stride, storage_offset=None) -> Tensor:
    """The view out[i, j, ...] = memory[storage_offset + i stride[0] + j stride[1] + ...] inside the memory of input.

    Elements may be seen more than once; their gradients add up. Unlike PyTorch, which reads anywhere in the storage that
    input is a part of, this stays within input: storage_offset counts from the first element of input, and input must fill
    its memory without gaps (in any order of its dimensions).

    Raises:
        IndexRangeError: the view would reach outside of input. ShapeError: input has gaps, or size and stride differ in length.

    Example:
        >>> import tensorlite as tl
        >>> tl.arange(4).as_strided((3, 2), (1, 1))
        tensor([[0, 1],
                [1, 2],
                [2, 3]])
    """
    size, stride = shape_of("as_strided", (size,)), shape_of("as_strided", (stride,))
    offset = 0 if storage_offset is None else storage_offset
    if len(size) != len(stride):
        raise errors.ShapeError(f"as_strided: {len(size)} sizes but {len(stride)} strides")
    if any(n < 0 for n in (*size, *stride, offset)):
        raise errors.ArgumentError(
            f"as_strided: sizes, strides and the offset cannot be negative: {size}, {stride}, {offset}"
        )
    last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    if 0 not in size and last >= input.array.size:
        raise errors.IndexRangeError(
            f"as_strided: size {size}, stride {stride}, storage_offset {offset} reach element {last}; "
            f"the memory of {errors.describe(input)} has {input.array.size}"
        )
    ordered = input
    if not input.array.flags.c_contiguous:
        strides = input.array.strides
        ordered = permute(input, *sorted(range(input.ndim), key=lambda d: -strides[d]))
        if not ordered.array.flags.c_contiguous:
            raise errors.ShapeError(
                f"as_strided: {errors.describe(input)} does not fill its memory without gaps; use contiguous() first, "
                "or as_strided of the tensor it is a view of"
            )
    return AsStrided.apply(ordered, size=size, stride=stride, offset=offset)


# ---------------------------------------------------------------- one part replaced
class Assign(Op):
    """x with one part replaced; `steps` are the view operations that lead to the part, the last may be any index."""

    name, formula, local = "assign", "x; x[part] = value", ("1 outside of the part", "1 at the part")
    lends = True

    def forward(b, x, value, *, steps):
        out = b.as_array(x.copy())
        Assign.into(b, out, value, steps=steps)
        return out

    def into(b, out, value, *, steps):
        """Write into `out` itself; of several values for one place the last is kept."""
        for op, args in steps[:-1]:
            out = op.forward(b, out, **args)
            out = out[0] if op.extras else out
        op, args = steps[-1]
        if op.name == "index":
            b.put(b.writable(out), args["key"], value)
        else:
            out = op.forward(b, out, **args)
            b.writable(out[0] if op.extras else out)[...] = value

    def _value(m, g, steps):
        for op, args in steps:
            shape = tuple(g.shape)
            g = getattr(m, op.name)(g, **args)
        if op.name == "index" and not args["basic"] and repeats(shape, args["key"]):
            g = m.keep_last(g, key=args["key"], shape=shape)  # the others were overwritten
        return g

    rules = (lambda m, g, steps: m.assign(g, 0.0, steps=steps), _value)


def _replaced(op, input, src, shape, step):
    """input with the part that one view operation leads to replaced by src, which has its shape."""
    if tuple(src.shape) != tuple(shape):
        raise errors.ShapeError(
            f"{op}: src must have the shape {tuple(shape)} of the part it replaces, got {errors.describe(src)}"
        )
    return Assign.apply(input, cast(src, input.dtype), steps=(step,))


def diagonal_scatter(input, src, offset=0, dim1=0, dim2=1) -> Tensor:
    """A copy of input whose diagonal (see diagonal) is src."""
    first, second = _pair("diagonal_scatter", input.ndim, dim1, dim2)
    args = {"offset": offset, "dim1": first, "dim2": second}
    shape = Diagonal.apply(input.detach(), **args).shape
    return _replaced("diagonal_scatter", input, src, shape, (Diagonal, args))


def select_scatter(input, src, dim, index) -> Tensor:
    """A copy of input whose part select(dim, index) is src."""
    d = one("select_scatter", dim, input.ndim)
    n = input.shape[d] if input.ndim else 0
    if not -n <= index < n:
        raise errors.IndexRangeError(f"select_scatter: index {index} is out of range for dimension {d} of size {n}")
    shape = (*input.shape[:d], *input.shape[d + 1 :])
    return _replaced("select_scatter", input, src, shape, _at(d, int(index)))


def slice_scatter(input, src, dim=0, start=None, end=None, step=1) -> Tensor:
    """A copy of input whose part start:end:step of dimension dim is src."""
    d = one("slice_scatter", dim, input.ndim)
    if step < 1:
        raise errors.ArgumentError(f"slice_scatter: step must be positive, got {step}")
    part = slice(start, end, step)
    shape = (*input.shape[:d], len(range(*part.indices(input.shape[d]))), *input.shape[d + 1 :])
    return _replaced("slice_scatter", input, src, shape, _at(d, part))


def _at(d, k):
    return registry["index"], {"key": ((slice(None),) * d + (k, ...)), "basic": True}
