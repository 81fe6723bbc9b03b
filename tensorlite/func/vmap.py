"""vmap: a function of one example, turned into a function of all of them at once. The rules stand in batching.py."""

import functools

from tensorlite import tree
from tensorlite.errors import ArgumentError, DTypeError, IndexRangeError, VmapError, dim_fault
from tensorlite.func import batching  # noqa: F401  (fills the table of rules)
from tensorlite.func.batched import Batched, Level, check_size, levels
from tensorlite.ops.shape import cat, stack
from tensorlite.tensor import Tensor, mode


def vmap(func, in_dims=0, out_dims=0, randomness="error", *, chunk_size=None):
    """The function that maps `func` over a dimension of its inputs; func itself sees one example at a time.

    in_dims: the dimension of the examples, None for an argument that all share: an int for all arguments, or a tuple with
    an entry for each, which may be nested as the argument is; keyword arguments are shared by all.
    out_dims: where the examples go in each result.
    randomness: "error" refuses random numbers inside, "same" draws once for all examples, "different" for each (func is
    then called once for each example). chunk_size: at most so many examples at a time.

    Operations run once on all examples. One without a rule for it is called for each example inside, which is right but
    slower. What looks at values (`if`, .item(), a number of elements that depends on values) is refused in words; as in
    PyTorch, one tensor shared by all examples cannot be changed in place by values that differ.

    Raises:
        ArgumentError: in_dims or out_dims do not fit, or the numbers of examples differ. VmapError: see above.

    Example:
        >>> import tensorlite as tl
        >>> loss = lambda w, x: (w @ x).tanh()
        >>> w, xs = tl.ones(3), tl.tensor([[1.0, 0.0, 0.0], [0.5, 0.25, 0.25]])
        >>> per_example = tl.func.vmap(tl.func.grad(loss), in_dims=(None, 0))(w, xs)  # a gradient for each
        >>> per_example.shape
        (2, 3)
    """
    if randomness not in ("error", "same", "different"):
        raise ArgumentError(f"vmap: randomness must be 'error', 'same' or 'different', not {randomness!r}")
    if chunk_size is not None and chunk_size <= 0:
        raise ArgumentError(f"vmap: chunk_size must be positive, got {chunk_size}")

    @functools.wraps(func)
    def mapped(*args, **kwargs):
        leaves, skeleton, where, n = _inputs(in_dims, args)
        call = functools.partial(func, **kwargs) if kwargs else func
        step = n if chunk_size is None else chunk_size
        if randomness == "different":
            return _one_by_one(call, leaves, skeleton, where, n, out_dims)
        if step >= n:
            return _at_once(call, leaves, skeleton, where, n, out_dims, randomness)
        parts = []
        for start in range(0, n, step):
            size = min(step, n - start)
            some = [x if d is None else x.narrow(d, start, size) for x, d in zip(leaves, where, strict=True)]
            parts.append(_at_once(call, some, skeleton, where, size, 0, randomness))
        return _join(parts, out_dims, lambda pieces: cat(pieces))

    return mapped


def _inputs(in_dims, args):
    """The leaves of all arguments, their skeleton, the dimension of each (or None), the number of examples."""
    if not isinstance(in_dims, (int, tuple, list)):
        raise ArgumentError(f"vmap: in_dims must be an int, or a tuple as long as the arguments, not {in_dims!r}")
    if not args:
        raise ArgumentError("vmap: the function needs at least one positional argument")
    if isinstance(in_dims, (tuple, list)) and len(in_dims) != len(args):
        raise ArgumentError(f"vmap: in_dims {in_dims} has {len(in_dims)} entries for {len(args)} arguments")
    leaves, skeleton = tree.flatten(tuple(args))
    where = tree.spread(tuple(in_dims) if isinstance(in_dims, (tuple, list)) else in_dims, tuple(args))
    if where is None:
        raise ArgumentError(f"vmap: in_dims {in_dims} is not nested as the arguments are")
    sizes = []
    for i, (x, d) in enumerate(zip(leaves, where, strict=True)):
        if d is None:
            continue
        if not isinstance(x, Tensor):
            raise DTypeError(
                f"vmap: argument {i} is {type(x).__name__}, no tensor, and has no dimension {d} of examples; "
                "give None for it in in_dims"
            )
        if isinstance(d, bool) or not isinstance(d, int):
            raise ArgumentError(f"vmap: in_dims holds {d!r}; an int or None is needed")
        if not -x.ndim <= d < x.ndim:
            raise IndexRangeError(f"vmap: in_dims of argument {i}: {dim_fault(d, x.ndim)}")
        where[i] = d % x.ndim
        sizes.append((i, x.shape[d]))
    return leaves, skeleton, where, check_size(sizes)


def _at_once(func, leaves, skeleton, where, n, out_dims, randomness):
    with Level(n, randomness) as level:
        inner = [x if d is None else Batched(x.movedim(d, 0), level) for x, d in zip(leaves, where, strict=True)]
        out = func(*tree.unflatten(inner, skeleton))
    results, shape = tree.flatten(out)
    places = _out_dims(out_dims, out)
    return tree.unflatten([_leave(x, level, d) for x, d in zip(results, places, strict=True)], shape)


def _leave(x, level, d):
    """A result outside of the vmap, with its examples in dimension d."""
    if not isinstance(x, Tensor):
        raise DTypeError(f"vmap: the function must return tensors, or trees of tensors; it returned {type(x).__name__}")
    if x.batched is not None and x.level is level:
        x = x.value
    elif level in levels(x):
        raise VmapError("vmap: a tensor of an inner vmap was returned from the outer one")
    else:
        x = x.unsqueeze(0).expand(level.size, *x.shape)
    if d is None:
        raise ArgumentError("vmap: out_dims None is not supported for a result that has examples")
    if not -x.ndim <= d < x.ndim:
        raise IndexRangeError(f"vmap: out_dims: {dim_fault(d, x.ndim)}")
    return x if d % x.ndim == 0 else x.movedim(0, d)


def _out_dims(out_dims, out):
    places = tree.spread(tuple(out_dims) if isinstance(out_dims, list) else out_dims, out)
    if places is None and isinstance(out_dims, tuple) and len(out_dims) == 1 and not tree.is_node(out):
        places = list(out_dims)
    if places is None:
        raise ArgumentError(f"vmap: out_dims {out_dims} does not fit what the function returned")
    return places


def _one_by_one(func, leaves, skeleton, where, n, out_dims):
    """randomness="different": the function is called for each example."""
    if not n:
        raise VmapError("vmap: randomness='different' needs at least one example")
    parts, before = [], mode.vmap
    mode.vmap = Drawing(before)
    try:
        for i in range(n):
            one = [x if d is None else x.select(d, i) for x, d in zip(leaves, where, strict=True)]
            parts.append(func(*tree.unflatten(one, skeleton)))
    finally:
        mode.vmap = before
    return _join(parts, out_dims, lambda pieces: stack(pieces))


class Drawing(Level):
    """A vmap that goes example by example: random functions may draw, there is nothing to meet."""

    holds = False

    def __init__(self, outer):
        super().__init__(1, "different")
        self.outer = outer


def _join(parts, out_dims, together):
    """The results of several calls, put together in dimension 0, and that moved to its place."""
    columns = [tree.flatten(p) for p in parts]
    skeleton = columns[0][1]
    for x in columns[0][0]:
        if not isinstance(x, Tensor):
            raise DTypeError(
                f"vmap: the function must return tensors, or trees of tensors; it returned {type(x).__name__}"
            )
    results = [together(list(c)) for c in zip(*[leaves for leaves, _ in columns], strict=True)]
    places = _out_dims(out_dims, parts[0])
    moved = [x if d == 0 else x.movedim(0, d) for x, d in zip(results, places, strict=True)]
    return tree.unflatten(moved, skeleton)
