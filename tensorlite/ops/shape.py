"""Operations that move elements but do not compute: reshape, permute, expand, cat, split, triangles. Views where possible."""

import math

from tensorlite import errors
from tensorlite.op import Op, registry
from tensorlite.ops import dims
from tensorlite.tensor import Tensor

__all__ = [
    "broadcast_to", "cat", "chunk", "concat", "concatenate", "flatten", "flip", "movedim", "narrow", "permute",
    "reshape", "select", "split", "squeeze", "stack", "swapaxes", "swapdims", "t", "transpose", "tril", "triu",
    "unbind", "unflatten", "unsqueeze",
]  # fmt: skip


class Reshape(Op):
    name, formula, local = "reshape", "x in another shape", "1"
    view = lends = True
    extras = ("old",)

    def forward(b, x, *, shape):
        return x.reshape(shape), (x.shape,)

    rules = lambda m, g, old: m.reshape(g, shape=old)  # noqa: E731


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
        return b.xp.concatenate(inputs, axis=dim), (starts,)

    def rule(m, g, i, starts, dim):
        key = (slice(None),) * dim + (slice(starts[i], starts[i + 1]), ...)
        return m.index(g, key=key, basic=True)


class Tril(Op):
    name, formula, local = "tril", "x on and below a diagonal, else 0", "1 on and below the diagonal"

    def forward(b, x, *, diagonal):
        return b.xp.tril(x, diagonal)

    rules = lambda m, g, diagonal: m.tril(g, diagonal=diagonal)  # noqa: E731


class Triu(Op):
    name, formula, local = "triu", "x on and above a diagonal, else 0", "1 on and above the diagonal"

    def forward(b, x, *, diagonal):
        return b.xp.triu(x, diagonal)

    rules = lambda m, g, diagonal: m.triu(g, diagonal=diagonal)  # noqa: E731


def reshape(input, *shape) -> Tensor:
    """input with the same elements in another shape; one size may be -1. A view where the memory allows it."""
    return Reshape.apply(input, shape=dims.infer("reshape", dims.shape_of("reshape", shape), input.array.size))


def view(input, *shape) -> Tensor:
    """As reshape, but never a copy; also view(dtype) for a dtype of the same size is refused: use .to(dtype)."""
    if len(shape) == 1 and not hasattr(shape[0], "__index__") and not isinstance(shape[0], (tuple, list)):
        raise errors.DTypeError(
            "view: reinterpreting the bytes as another dtype is not supported; use .to(dtype) to convert"
        )
    sizes = dims.infer("view", dims.shape_of("view", shape), input.array.size)
    out = Reshape.apply(input, shape=sizes)
    if out.version is not input.version and input.array.size:
        raise errors.ShapeError(
            f"view: shape {sizes} needs a copy of this non-contiguous tensor {errors.describe(input)}; use reshape"
        )
    return out


def view_as(input, other) -> Tensor:
    """input viewed in the shape of other."""
    return view(input, tuple(other.shape))


def reshape_as(input, other) -> Tensor:
    """input in the shape of other."""
    return reshape(input, tuple(other.shape))


def flatten(input, start_dim=0, end_dim=-1) -> Tensor:
    """Join the dimensions start_dim..end_dim into one."""
    n = input.ndim
    first, last = dims.one("flatten", start_dim, n), dims.one("flatten", end_dim, n)
    if first > last:
        raise errors.ArgumentError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim}")
    if not n:
        return reshape(input, 1)
    middle = 1
    for s in input.shape[first : last + 1]:
        middle *= s
    return reshape(input, (*input.shape[:first], middle, *input.shape[last + 1 :]))


def unflatten(input, dim, sizes) -> Tensor:
    """Split dimension dim into `sizes` (one may be -1)."""
    d = dims.one("unflatten", dim, input.ndim)
    sizes = dims.infer("unflatten", dims.shape_of("unflatten", (sizes,)), input.shape[d])
    return reshape(input, (*input.shape[:d], *sizes, *input.shape[d + 1 :]))


def squeeze(input, dim=None) -> Tensor:
    """Without dimensions of size 1: all of them, or only `dim` (an int or a tuple) where it has size 1."""
    which = dims.several("squeeze", dim, input.ndim) if dim != () else ()
    return Reshape.apply(input, shape=tuple(n for i, n in enumerate(input.shape) if n != 1 or i not in which))


def unsqueeze(input, dim) -> Tensor:
    """With a new dimension of size 1 at dim."""
    d = dims.one("unsqueeze", dim, input.ndim + 1)
    return Reshape.apply(input, shape=(*input.shape[:d], 1, *input.shape[d:]))


def permute(input, *order) -> Tensor:
    """The dimensions in another order: permute(2, 0, 1) or permute((2, 0, 1))."""
    order = dims.shape_of("permute", order)
    which = tuple(dims.one("permute", d, input.ndim) for d in order)
    if sorted(which) != list(range(input.ndim)):
        raise errors.ArgumentError(f"permute: {order} must name each of the {input.ndim} dimensions once")
    return Permute.apply(input, dims=which)


def transpose(input, dim0, dim1) -> Tensor:
    """The dimensions dim0 and dim1 swapped; a view."""
    a, b = dims.one("transpose", dim0, input.ndim), dims.one("transpose", dim1, input.ndim)
    order = list(range(input.ndim))
    if order:
        order[a], order[b] = order[b], order[a]
    return Permute.apply(input, dims=tuple(order))


swapaxes = swapdims = transpose


def t(input) -> Tensor:
    """The transpose of a matrix; vectors and numbers as they are."""
    if input.ndim > 2:
        raise errors.ShapeError(f"t: at most 2 dimensions, got {errors.describe(input)}; use transpose or mT")
    return transpose(input, 0, 1) if input.ndim == 2 else input


def movedim(input, source, destination) -> Tensor:
    """Dimensions moved to new places, the others keeping their order."""
    source, destination = (dims.several("movedim", d, input.ndim) for d in (source, destination))
    if len(source) != len(destination):
        raise errors.ArgumentError(f"movedim: {len(source)} sources but {len(destination)} destinations")
    rest = [d for d in range(input.ndim) if d not in source]
    for to, d in sorted(zip(destination, source, strict=True)):
        rest.insert(to, d)
    return Permute.apply(input, dims=tuple(rest))


def expand(input, *sizes) -> Tensor:
    """input repeated (without copying) to a larger shape; -1 keeps a size."""
    sizes = dims.shape_of("expand", sizes)
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


def flip(input, *which) -> Tensor:
    """input reversed along the given dimensions."""
    return Flip.apply(input, dims=dims.several("flip", dims.shape_of("flip", which), input.ndim))


def contiguous(input) -> Tensor:
    """input itself if its memory is in order, else a copy that is."""
    return input if input.array.flags.c_contiguous else registry["clone"].apply(input)


def cat(tensors, dim=0) -> Tensor:
    """The tensors joined along an existing dimension. Raises ShapeError naming the one that does not fit."""
    tensors = tuple(tensors)
    if not tensors:
        raise errors.ArgumentError("cat: at least one tensor is needed")
    full = [x for x in tensors if tuple(x.shape) != (0,)] or tensors[:1]  # PyTorch lets empty vectors pass
    first = full[0]
    d = dims.one("cat", dim, first.ndim)
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
    return Cat.apply(*_alike(full), dim=d)


concat = concatenate = cat


def stack(tensors, dim=0) -> Tensor:
    """The tensors, all of one shape, joined along a new dimension."""
    tensors = tuple(tensors)
    if not tensors:
        raise errors.ArgumentError("stack: at least one tensor is needed")
    for i, x in enumerate(tensors):
        if x.shape != tensors[0].shape:
            raise errors.ShapeError(
                f"stack: tensor {i} has shape {tuple(x.shape)}, the first {tuple(tensors[0].shape)}; they must be equal"
            )
    d = dims.one("stack", dim, tensors[0].ndim + 1)
    return Cat.apply(*_alike([unsqueeze(x, d) for x in tensors]), dim=d)


def _alike(tensors):
    """All in the promoted dtype."""
    from tensorlite.backend import dtypes
    from tensorlite.ops.convert import cast

    if all(x.array.dtype == tensors[0].array.dtype for x in tensors):
        return tensors
    dtype = dtypes.result_type(*[x.array for x in tensors])
    return [cast(x, dtype) for x in tensors]


def split(tensor, split_size_or_sections, dim=0) -> tuple:
    """Views of equal pieces (the last may be smaller), or of pieces of the sizes given."""
    d, how = dims.one("split", dim, tensor.ndim), split_size_or_sections
    n = tensor.shape[d] if tensor.ndim else 1
    if hasattr(how, "__index__"):
        if how <= 0:
            raise errors.ArgumentError(f"split: the size of a piece must be positive, got {how}")
        how = [min(how, n - i) for i in range(0, n, how)] or [0]
    if sum(how) != n:
        raise errors.ShapeError(f"split: the sizes {list(how)} add up to {sum(how)}, dimension {d} has {n}")
    pieces, start = [], 0
    for size in how:
        pieces.append(narrow(tensor, d, start, size))
        start += size
    return tuple(pieces)


def chunk(input, chunks, dim=0) -> tuple:
    """At most `chunks` pieces of equal size (the last may be smaller)."""
    if chunks <= 0:
        raise errors.ArgumentError(f"chunk: the number of pieces must be positive, got {chunks}")
    n = input.shape[dims.one("chunk", dim, input.ndim)]
    return split(input, max(1, -(-n // chunks)), dim)


def unbind(input, dim=0) -> tuple:
    """The slices along dim, each without it."""
    return tuple(select(input, dim, i) for i in range(input.shape[dims.one("unbind", dim, input.ndim)]))


def narrow(input, dim, start, length) -> Tensor:
    """The view start..start+length of dimension dim."""
    d = dims.one("narrow", dim, input.ndim)
    n = input.shape[d]
    if not -n <= start <= n or length < 0 or (start % n if start < 0 else start) + length > n:
        raise errors.IndexRangeError(f"narrow: {start} + {length} is outside of dimension {d} of size {n}")
    start = start + n if start < 0 else start
    return registry["index"].apply(input, key=(slice(None),) * d + (slice(start, start + length), ...), basic=True)


def select(input, dim, index) -> Tensor:
    """The view at `index` of dimension dim, without it."""
    d = dims.one("select", dim, input.ndim)
    n = input.shape[d] if input.ndim else 0
    if not -n <= index < n:
        raise errors.IndexRangeError(f"select: index {index} is out of range for dimension {d} of size {n}")
    return registry["index"].apply(input, key=(slice(None),) * d + (int(index), ...), basic=True)


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


def repeat(input, *sizes) -> Tensor:
    """input copied sizes[i] times along dimension i; new leading dimensions where there are more sizes."""
    sizes = dims.shape_of("repeat", sizes)
    if len(sizes) < input.ndim:
        raise errors.ShapeError(f"repeat: {len(sizes)} counts for {input.ndim} dimensions")
    shape = (1,) * (len(sizes) - input.ndim) + tuple(input.shape)
    if all(s == 1 for s in sizes):
        return reshape(registry["clone"].apply(input), shape)
    pairs = reshape(input, [v for n in shape for v in (1, n)])
    wide = expand(pairs, [v for s, n in zip(sizes, shape, strict=True) for v in (s, n)])
    return reshape(wide, [s * n for s, n in zip(sizes, shape, strict=True)])
