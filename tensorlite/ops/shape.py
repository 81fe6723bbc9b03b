"""Operations that move elements but do not compute: reshape, permute, expand, cat, triangles. Views where possible."""

import math

from tensorlite import errors
from tensorlite.backend import dtypes
from tensorlite.op import Op, registry
from tensorlite.ops.convert import cast
from tensorlite.ops.dims import infer, of_dims, one, several, shape_of
from tensorlite.tensor import Tensor

__all__ = [
    "adjoint", "broadcast_to", "cat", "concat", "concatenate", "flatten", "flip", "moveaxis", "movedim", "permute",
    "ravel", "reshape", "squeeze", "stack", "swapaxes", "swapdims", "t", "transpose", "tril", "triu", "unflatten",
    "unsqueeze",
]  # fmt: skip


class Reshape(Op):
    name, formula, local = "reshape", "x in another shape", "1"
    view = lends = True
    extras = ("old",)

    def forward(b, x, *, shape):
        return x.reshape(shape), (x.shape,)

    rules = lambda m, g, old: m.reshape(g, shape=old)  # noqa: E731


class ViewDtype(Op):
    """The bytes of x read as another dtype: no gradient, as in PyTorch."""

    name, formula, view = "view_dtype", "the bytes of x as another dtype", True

    def forward(b, x, *, dtype):
        return x.view(dtype.dtype)


class Permute(Op):
    name, formula, local = "permute", "x with its dimensions in another order", "1"
    view = lends = True

    def forward(b, x, *, dims):
        return x.transpose(dims)

    def _rule(m, g, dims):
        back = [0] * len(dims)
        for i, d in enumerate(dims):
            back[d] = i
        return m.permute(g, dims=tuple(back))

    rules = _rule


class Expand(Op):
    name, formula, local = "expand", "x repeated to a larger shape", "1; backward sums the repeats"
    view = lends = True
    extras = ("old",)

    def forward(b, x, *, shape):
        grown = math.prod(shape) != x.size  # broadcast_to gives a read-only array, also where nothing is repeated
        return b.xp.broadcast_to(x, shape) if grown else x.reshape(shape), (x.shape,)

    rules = lambda m, g, old: m.sum_to(g, shape=old)  # noqa: E731


class Flip(Op):
    name, formula, local = "flip", "x reversed along dims", "1"

    def forward(b, x, *, dims):
        return b.xp.flip(x, dims).copy()

    rules = lambda m, g, dims: m.flip(g, dims=dims)  # noqa: E731


class Cat(Op):
    """Any number of inputs; the share of each is its slice of g."""

    name, formula, local = "cat", "inputs joined along dim", ("the slice of g",)
    lends = variadic = True
    extras = ("starts",)

    def forward(b, *inputs, dim):
        starts = [0]
        for x in inputs:
            starts.append(starts[-1] + x.shape[dim])
        out = b.xp.concatenate(inputs, axis=dim)  # NumPy keeps the order that all inputs have, transposed ones too
        return out if out.flags.c_contiguous else b.xp.ascontiguousarray(out), (starts,)

    def rule(m, g, i, starts, dim):
        key = (slice(None),) * dim + (slice(starts[i], starts[i + 1]), ...)
        return m.index(g, key=key, basic=True)


class Tril(Op):
    name, formula, local = "tril", "x on and below a diagonal, else 0", "1 on and below the diagonal"
    ordered = True

    def forward(b, x, *, diagonal):
        return b.xp.tril(x, diagonal)

    rules = lambda m, g, diagonal: m.tril(g, diagonal=diagonal)  # noqa: E731


class Triu(Op):
    name, formula, local = "triu", "x on and above a diagonal, else 0", "1 on and above the diagonal"
    ordered = True

    def forward(b, x, *, diagonal):
        return b.xp.triu(x, diagonal)

    rules = lambda m, g, diagonal: m.triu(g, diagonal=diagonal)  # noqa: E731


def reshape(input, *sizes, shape=None) -> Tensor:
    """input with the same elements in another shape: reshape(2, 3), reshape((2, 3)) or reshape(shape=(2, 3)).

    One size may be -1: it is worked out from the others. A view where the memory allows it, else a copy.

    Example:
        >>> import tensorlite as tl
        >>> tl.arange(6).reshape(2, -1)
        tensor([[0, 1, 2],
                [3, 4, 5]])
    """
    sizes = shape_of("reshape", sizes if shape is None else (shape,))
    return Reshape.apply(input, shape=infer("reshape", sizes, input.array.size))


def view(input, *shape, size=None) -> Tensor:
    """As reshape, but never a copy. view(dtype) reads the same bytes as another dtype: the last dimension shrinks or grows
    where the sizes of the dtypes differ, and no gradient passes.

    Raises:
        ShapeError: a shape that the elements do not fill, or one that would need a copy of a non-contiguous tensor; for a
            dtype: a last dimension that is not contiguous or not divisible.
    """
    shape = shape if size is None else (size,)
    if len(shape) == 1 and not hasattr(shape[0], "__index__") and not isinstance(shape[0], (tuple, list)):
        return _view_dtype(input, dtypes.as_dtype(shape[0]))
    sizes = infer("view", shape_of("view", shape), input.array.size)
    out = Reshape.apply(input, shape=sizes)
    if out.version is not input.version and input.array.size:
        raise errors.ShapeError(
            f"view: shape {sizes} needs a copy of this non-contiguous tensor {errors.describe(input)}; use reshape"
        )
    return out


def _view_dtype(x, dtype):
    old, new, a = x.array.itemsize, dtype.itemsize, x.array
    if old != new:
        fault = ""
        if not x.ndim:
            fault = "a 0-dimensional tensor can only be viewed as a dtype of the same size"
        elif a.shape[-1] > 1 and a.strides[-1] != old:
            fault = "the last dimension must be contiguous; call contiguous() first"
        elif a.shape[-1] * old % new:
            fault = f"the last dimension has {a.shape[-1] * old} bytes, which elements of {new} bytes do not fill"
        if fault:
            raise errors.ShapeError(f"view: {fault}: {errors.describe(x)} as {dtype.name}")
    return ViewDtype.apply(x, dtype=dtype)


def view_as(input, other) -> Tensor:
    """input viewed in the shape of other."""
    return view(input, tuple(other.shape))


def reshape_as(input, other) -> Tensor:
    """input in the shape of other."""
    return reshape(input, tuple(other.shape))


def flatten(input, start_dim=0, end_dim=-1) -> Tensor:
    """Join the dimensions start_dim..end_dim into one; input itself where that is one already."""
    n = input.ndim
    first, last = one("flatten", start_dim, n), one("flatten", end_dim, n)
    if first > last:
        raise errors.ArgumentError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim}")
    if not n:
        return reshape(input, 1)
    if first == last:
        return input
    middle = 1
    for s in input.shape[first : last + 1]:
        middle *= s
    return reshape(input, (*input.shape[:first], middle, *input.shape[last + 1 :]))


def ravel(input) -> Tensor:
    """All elements in one dimension; a view where the memory allows it."""
    return reshape(input, -1) if input.array.size else reshape(input, 0)


def unflatten(input, dim, sizes) -> Tensor:
    """Split dimension dim into `sizes` (one may be -1)."""
    d = of_dims("unflatten", input, dim)
    sizes = infer("unflatten", shape_of("unflatten", (sizes,)), input.shape[d])
    return reshape(input, (*input.shape[:d], *sizes, *input.shape[d + 1 :]))


def squeeze(input, dim=None, *, axis=None) -> Tensor:
    """Without dimensions of size 1: all of them, or only `dim` (an int or a tuple) where it has size 1. A view."""
    dim = dim if axis is None else axis
    which = several("squeeze", dim, input.ndim) if dim != () else ()
    return Reshape.apply(input, shape=tuple(n for i, n in enumerate(input.shape) if n != 1 or i not in which))


def unsqueeze(input, dim=None, *, axis=None) -> Tensor:
    """With a new dimension of size 1 at dim (-ndim - 1 to ndim). A view."""
    dim = dim if axis is None else axis
    n = input.ndim
    if hasattr(dim, "__index__") and not -n - 1 <= dim <= n:
        fault = f"dim {dim} is out of range: in a tensor of {n} dimensions a new one may stand at {-n - 1} to {n}"
        raise errors.IndexRangeError(f"unsqueeze: {fault}")
    d = one("unsqueeze", dim, n + 1)
    return Reshape.apply(input, shape=(*input.shape[:d], 1, *input.shape[d:]))


def permute(input, *order, dims=None) -> Tensor:
    """The dimensions in another order: permute(2, 0, 1), permute((2, 0, 1)) or permute(dims=(2, 0, 1)). A view."""
    order = shape_of("permute", order if dims is None else (dims,))
    which = tuple(one("permute", d, input.ndim) for d in order)
    if sorted(which) != list(range(input.ndim)):
        raise errors.ArgumentError(f"permute: {order} must name each of the {input.ndim} dimensions once")
    return Permute.apply(input, dims=which)


def transpose(input, dim0, dim1) -> Tensor:
    """The dimensions dim0 and dim1 swapped; a view."""
    a, b = one("transpose", dim0, input.ndim), one("transpose", dim1, input.ndim)
    order = list(range(input.ndim))
    if order:
        order[a], order[b] = order[b], order[a]
    return Permute.apply(input, dims=tuple(order))


swapdims = transpose


def swapaxes(input, axis0, axis1) -> Tensor:
    """transpose, with NumPy's name."""
    return transpose(input, axis0, axis1)


def adjoint(input) -> Tensor:
    """The last two dimensions swapped: of real numbers the adjoint is the transpose. Also x.mH, x.mT."""
    if input.ndim == 1:
        raise errors.ShapeError(f"adjoint: at least 2 dimensions are needed, got {errors.describe(input)}")
    return transpose(input, -2, -1) if input.ndim else input


def t(input) -> Tensor:
    """The transpose of a matrix; vectors and numbers as they are."""
    if input.ndim > 2:
        raise errors.ShapeError(f"t: at most 2 dimensions, got {errors.describe(input)}; use transpose or mT")
    return transpose(input, 0, 1) if input.ndim == 2 else input


def movedim(input, source, destination) -> Tensor:
    """Dimensions moved to new places, the others keeping their order."""
    source, destination = (several("movedim", d, input.ndim) for d in (source, destination))
    if len(source) != len(destination):
        raise errors.ArgumentError(f"movedim: {len(source)} sources but {len(destination)} destinations")
    rest = [d for d in range(input.ndim) if d not in source]
    for to, d in sorted(zip(destination, source, strict=True)):
        rest.insert(to, d)
    return Permute.apply(input, dims=tuple(rest))


moveaxis = movedim


def expand(input, *sizes, size=None) -> Tensor:
    """input repeated (without copying) to a larger shape; -1 keeps a size. New dimensions come first."""
    sizes = shape_of("expand", sizes if size is None else (size,))
    old = (1,) * (len(sizes) - input.ndim) + tuple(input.shape)
    new = tuple(o if n == -1 else n for n, o in zip(sizes, old, strict=False))
    if len(old) != len(new) or any(o not in (1, n) for n, o in zip(new, old, strict=True)):
        raise errors.ShapeError(
            f"expand: shape {tuple(input.shape)} does not expand to {sizes}: only sizes of 1 can grow"
        )
    return Expand.apply(input, shape=new)


def expand_as(input, other) -> Tensor:
    """input expanded to the shape of other."""
    return expand(input, tuple(other.shape))


broadcast_to = expand


def flip(input, *which, dims=None) -> Tensor:
    """input reversed along the given dimensions: flip(0), flip(0, 1) or flip((0, 1)). A copy, as in PyTorch."""
    which = shape_of("flip", which if dims is None else (dims,))
    return Flip.apply(input, dims=several("flip", which, input.ndim) if which else ())


def contiguous(input, *, memory_format=None) -> Tensor:
    """input itself if its memory is in order, else a copy that is. memory_format is accepted without effect."""
    return input if input.array.flags.c_contiguous else registry["clone"].apply(input)


def cat(tensors, dim=0, *, axis=None) -> Tensor:
    """The tensors joined along an existing dimension; their dtypes are promoted. Empty vectors (0,) are passed over.

    Raises:
        ShapeError: naming the first tensor that does not fit. ArgumentError: no tensors.

    Example:
        >>> import tensorlite as tl
        >>> tl.cat([tl.ones(1, 2), tl.zeros(2, 2)]).shape
        (3, 2)
    """
    tensors, dim = tensors_of("cat", tensors), dim if axis is None else axis
    full = [x for x in tensors if tuple(x.shape) != (0,)] or tensors[:1]  # PyTorch lets empty vectors pass
    first = full[0]
    d = one("cat", dim, first.ndim)
    for i, x in enumerate(full):
        if x.ndim != first.ndim or any(
            a != b for j, (a, b) in enumerate(zip(x.shape, first.shape, strict=True)) if j != d
        ):
            raise errors.ShapeError(
                f"cat: tensor {i} has shape {tuple(x.shape)}, the first {tuple(first.shape)}; "
                f"they must be equal except in dim {d}"
            )
    if not first.ndim:
        raise errors.ShapeError("cat: 0-dimensional tensors cannot be joined; use stack")
    return Cat.apply(*_alike(full, tensors), dim=d)


concat = concatenate = cat


def stack(tensors, dim=0, *, axis=None) -> Tensor:
    """The tensors, all of one shape, joined along a new dimension."""
    tensors, dim = tensors_of("stack", tensors), dim if axis is None else axis
    for i, x in enumerate(tensors):
        if x.shape != tensors[0].shape:
            raise errors.ShapeError(
                f"stack: tensor {i} has shape {tuple(x.shape)}, the first {tuple(tensors[0].shape)}; they must be equal"
            )
    d = one("stack", dim, tensors[0].ndim + 1)
    return Cat.apply(*_alike([unsqueeze(x, d) for x in tensors], tensors), dim=d)


def tensors_of(op, tensors):
    """The argument of cat and its kin as a tuple of at least one tensor."""
    if isinstance(tensors, Tensor) and tensors.ndim:
        return tuple(tensors)
    if not isinstance(tensors, (tuple, list)) and not hasattr(tensors, "__next__"):
        raise errors.DTypeError(f"{op}: a tuple or list of tensors is needed, not {type(tensors).__name__}")
    tensors = tuple(tensors)
    for i, x in enumerate(tensors):
        if not isinstance(x, Tensor):
            raise errors.DTypeError(f"{op}: item {i} is not a tensor but {type(x).__name__}")
    if not tensors:
        raise errors.ArgumentError(f"{op}: at least one tensor is needed")
    return tensors


def _alike(tensors, all_of_them):
    """The tensors in the dtype that all together are promoted to (empty ones and those without dimensions count too)."""
    if all(x.array.dtype == tensors[0].array.dtype for x in all_of_them):
        return tensors
    dtype = dtypes.result_type(*[x.array for x in all_of_them])
    return [cast(x, dtype) for x in tensors]


def tril(input, diagonal=0) -> Tensor:
    """The lower triangle of the last two dimensions, the rest 0."""
    _need_matrix("tril", input)
    return Tril.apply(input, diagonal=diagonal)


def triu(input, diagonal=0) -> Tensor:
    """The upper triangle of the last two dimensions, the rest 0."""
    _need_matrix("triu", input)
    return Triu.apply(input, diagonal=diagonal)


def _need_matrix(name, x):
    if x.ndim < 2:
        raise errors.ShapeError(f"{name}: at least 2 dimensions are needed, got {errors.describe(x)}")
