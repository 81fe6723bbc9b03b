"""Records of reading and writing by index tensors: scatter, index_add, take, masks and their kin. x[...] stands in moving.py."""

import numpy as np

import tensorlite as tl
from samples.base import Case, Record, distinct, values
from tensorlite import errors
from tensorlite.op import registry

I = np.array  # noqa: E741
LAST = {"last": lambda v: v[-1], "sum": sum, "mean": lambda v: sum(v) / len(v), "prod": lambda v: np.prod(v, axis=0),
        "amax": lambda v: np.max(v, axis=0), "amin": lambda v: np.min(v, axis=0)}  # fmt: skip


def joined(x, pairs, how, include_self=True):
    """x with x[place] = how(all values for it), from (place, value) pairs; the definition, place by place."""
    out, groups = np.array(x), {}
    for place, value in pairs:
        groups.setdefault(place, []).append(value)
    for place, found in groups.items():
        own = [x[place]] if include_self and how != "last" else []
        out[place] = LAST[how]([*own, *found])
    return out


def scattered(x, i, src, dim, how="last", include_self=True):
    """What scatter and its kin do."""
    pairs = []
    for place in np.ndindex(*i.shape):
        target = list(place)
        if target:
            target[dim] = int(i[place])
        pairs.append((tuple(target), src[place] if np.ndim(src) else src))
    return joined(x, pairs, how, include_self)


def sliced(x, i, src, dim, how="last", include_self=True):
    """What index_add and its kin do."""
    y, s = (np.moveaxis(x, dim, 0), np.moveaxis(src, dim, 0) if np.ndim(src) else src) if x.ndim else (x[None], src)
    pairs = [(int(k), s[j] if np.ndim(s) else np.full(y.shape[1:], s)) for j, k in enumerate(np.atleast_1d(i))]
    out = joined(y, [(k % len(y), v) for k, v in pairs], how, include_self)
    return np.moveaxis(out, 0, dim) if x.ndim else out[0]


# ---------------------------------------------------------------- cases
UNIQUE = (
    ((3, 4), I([[2, 0, 1, 0], [0, 1, 2, 2]]), 0),
    ((3, 4), I([[3, 1], [0, 2], [1, 0]]), 1),
    ((5,), I([4, 0, 2]), -1),
)
REPEATED = ((3, 4), I([[2, 0, 1, 0], [2, 0, 0, 1], [2, 1, 1, 0]]), 0), ((2, 3), I([[1, 1, 0, 1], [2, 2, 2, 0]]), 1)
EDGES = ((), I(0), 0), ((2, 3), np.zeros((0, 3), int), 0), ((0, 3), np.zeros((0, 2), int), 0)


def _written(shapes, make=values, larger=False, **args):
    """Cases (x, index, src): no two numbers of a case are near to each other if make is distinct."""

    def cases(rng):
        made = []
        for shape, i, dim in shapes:
            src = tuple(n + larger for n in i.shape)
            both = make(rng, (int(np.prod(shape)) + int(np.prod(src)),))
            x, v = both[: int(np.prod(shape))].reshape(shape), both[int(np.prod(shape)) :].reshape(src)
            made.append(Case((x, i, v), {"dim": dim, **args}))
        return made

    return cases


def _several(*makers):
    return lambda rng: [case for make in makers for case in make(rng)]


def _zeros(rng):
    """Products with one, and with several factors of 0."""
    x, v = values(rng, (3,), 0.5), values(rng, (6,), 0.5)
    x[1] = v[0] = v[5] = 0
    return [Case((x, I([0, 0, 1, 1, 2, 2]), v), {"dim": 0, "reduce": "prod", "include_self": s}) for s in (True, False)] + [
        Case((x, I([0, 0, 2, 2, 2, 0]), v), {"dim": 0, "reduce": "prod"})]  # fmt: skip


def _one_by_one(t, x, i, src, dim):
    """For torch: scatter with repeated places, one assignment after the other, so that the last is kept."""
    y = x.clone()
    for place in np.ndindex(*i.shape):
        target = list(place)
        target[dim] = int(i[place])
        y[tuple(target)] = src[place]
    return y


def _cut(v, i):
    """For torch, which has no gradient for a src larger than index."""
    return v[tuple(slice(n) for n in i.shape)]


def _kept(x, key, shape):
    numbers = np.full(shape, -1)
    own = np.arange(x.size).reshape(x.shape)
    for k, place in enumerate(np.arange(numbers.size).reshape(shape)[key].reshape(-1)):
        numbers.flat[place] = k
    return numbers[key] == own


_HOW = [(how, s) for how in ("sum", "mean", "prod", "amax", "amin") for s in (True, False)]
_z = lambda t, *s: t.zeros(*s, dtype=t.int64)  # noqa: E731

scatters = [
    Record("assign", lambda t, x, i, v, dim: t.scatter(x, dim, i, v), scattered,
           _several(_written(UNIQUE), _written(EDGES), _written(UNIQUE[:1], larger=True)), name="scatter",
           torch=lambda t, x, i, v, dim: x.scatter(dim, i, _cut(v, i)), errors=(
        (lambda t: t.ones(3).scatter(0, t.tensor([3]), 1.0), errors.IndexRangeError,
         "scatter: index 3 is out of range for dim 0 of size 3: it must be 0 to 2"),
        (lambda t: t.ones(3).scatter(0, t.tensor([-1]), 1.0), errors.IndexRangeError, "scatter: index -1 is out of range"),
        (lambda t: t.ones(3).scatter(1, t.tensor([0]), 1.0), errors.IndexRangeError, "scatter: dim 1 is out of range"),
        (lambda t: t.ones(3).scatter(0, t.tensor([0.0]), 1.0), errors.DTypeError,
         "scatter: index must be an integer tensor, got float32 (1,)"),
        (lambda t: t.ones(3).scatter(0, t.tensor([[0]]), 1.0), errors.ShapeError,
         "scatter: index has 2 dimensions, input 1; they must be equal"),
        (lambda t: t.ones(3).scatter(0, t.tensor([0, 1]), t.ones(1)), errors.ShapeError,
         "scatter: src (1,) is smaller than index (2,)"),
        (lambda t: t.ones(3).scatter(0, t.tensor([0]), t.ones(1, dtype=t.float64)), errors.DTypeError,
         "scatter: src is float64, input float32; they must be equal: use src.to(input.dtype)"),
        (lambda t: t.ones(3).scatter(0, t.tensor([0]), 1.0, reduce="max"), errors.ArgumentError,
         "scatter: reduce must be 'add' or 'multiply', got 'max'; see scatter_reduce"),
        (lambda t: t.ones(3).scatter(0, t.tensor([0])), errors.ArgumentError, "scatter: src (a tensor or a number) is missing"))),
    Record("assign", lambda t, x, i, dim: t.scatter(x, dim, i, value=2.5), lambda x, i, dim: scattered(x, i, 2.5, dim),
           lambda rng: [Case((values(rng, s), i), {"dim": d}) for s, i, d in (*UNIQUE, *REPEATED, *EDGES)], name="scatter_value"),
    Record("assign", lambda t, x, i, v, dim: t.scatter(x, dim, i, v), scattered, _written(REPEATED), name="scatter_repeated",
           torch=_one_by_one),
    Record("keep_last", lambda t, x, key, shape: registry["keep_last"].apply(
        x, key=tuple(tl.tensor(k).array for k in key), shape=shape),
        lambda x, key, shape: x * _kept(x, key, shape), lambda rng: [
            Case((values(rng, (2, 3)),), {"key": (I([[0, 1, 0], [1, 1, 3]]),), "shape": (4,)}),
            Case((values(rng, (3, 2)),), {"key": (I([0, 1, 0]),), "shape": (2, 2)})],
        torch=lambda t, x, key, shape: x * t.tensor(_kept(x.detach().numpy(), key, shape))),
    Record("add_at", lambda t, x, i, v, dim: t.scatter_add(x, dim, i, v), lambda *a, dim: scattered(*a, dim, "sum"),
           _several(_written(UNIQUE), _written(REPEATED), _written(EDGES), _written(REPEATED[:1], larger=True)),
           torch=lambda t, x, i, v, dim: x.scatter_add(dim, i, _cut(v, i)), errors=(
        (lambda t: t.ones(3).scatter_add(0, t.tensor([0]), 1.0), errors.DTypeError, "scatter_add: src must be a tensor, not float"),
        (lambda t: t.ones(2, 3).scatter_add(0, _z(t, 1, 4), t.ones(1, 4)), errors.ShapeError,
         "scatter_add: index (1, 4) is larger than input (2, 3) beside dim 0"),
        (lambda t: t.ones(3).scatter_add(0, t.tensor([5]), t.ones(1)), errors.IndexRangeError, "scatter_add: index 5 is out"))),
    Record("add_at", lambda t, x, i, v, dim: t.scatter(x, dim, i, v, reduce="add"), lambda *a, dim: scattered(*a, dim, "sum"),
           _written(REPEATED), name="scatter_with_add", torch=lambda t, x, i, v, dim: x.scatter_add(dim, i, v)),
    Record("reduce_at", lambda t, x, i, v, dim: t.scatter(x, dim, i, v, reduce="multiply"),
           lambda *a, dim: scattered(*a, dim, "prod"), _several(_written(REPEATED), _written(EDGES[1:])),
           name="scatter_with_multiply", torch=lambda t, x, i, v, dim: x.scatter_reduce(dim, i, v, "prod")),
    Record("reduce_at", lambda t, x, i, v, dim, reduce, include_self=True: t.scatter_reduce(
        x, dim, i, v, reduce, include_self=include_self), lambda *a, dim, reduce, include_self=True: scattered(
            *a, dim, reduce, include_self), _several(*[_written((*UNIQUE[:1], *REPEATED, EDGES[h == "amax"]), distinct, reduce=h,
                                                                include_self=s) for h, s in _HOW if h in ("prod", "amax", "amin")]),
           kinks="ties of amax and amin", errors=(
        (lambda t: t.ones(3).scatter_reduce(0, t.tensor([0]), t.ones(1), "max"), errors.ArgumentError,
         "scatter_reduce: reduce must be one of sum, mean, prod, amax, amin, got 'max'"),
        (lambda t: t.ones(3).scatter_reduce(0, t.tensor([3]), t.ones(1), "amax"), errors.IndexRangeError,
         "scatter_reduce: index 3 is out of range for dim 0 of size 3"))),
    Record("reduce_at", lambda t, x, i, v, dim, reduce, include_self=True: t.scatter_reduce(
        x, dim, i, v, reduce, include_self=include_self), lambda *a, dim, reduce, include_self=True: scattered(
            *a, dim, reduce, include_self), _zeros, name="scatter_reduce_zeros", torch="value"),
    Record("add_at", lambda t, x, i, v, dim, reduce, include_self: t.scatter_reduce(
        x, dim, i, v, reduce, include_self=include_self), lambda *a, dim, reduce, include_self: scattered(
            *a, dim, reduce, include_self), _several(*[_written((*UNIQUE[:1], *REPEATED, *EDGES), reduce=h, include_self=s)
                                                       for h, s in _HOW[:4]]), name="scatter_mean"),
]  # fmt: skip


# ---------------------------------------------------------------- slices
ROWS = ((3, 4), I([2, 0]), 0), ((3, 4), I([1, 3]), -1), ((2, 3, 2), I([1]), 1)
AGAIN = ((3, 4), I([2, 0, 2, 2]), 0), ((2, 3), I([1, 1, 0]), 1)
NONE = ((3, 4), np.zeros(0, int), 1), ((0, 4), np.zeros(0, int), 0)


def _rows(shapes, make=values, **args):
    """Cases (x, index, source) of index_add and its kin."""

    def cases(rng):
        made = []
        for shape, i, dim in shapes:
            size = list(shape)
            size[dim] = len(i)
            both = make(rng, (int(np.prod(shape)) + int(np.prod(size)),))
            x, v = both[: int(np.prod(shape))].reshape(shape), both[int(np.prod(shape)) :].reshape(size)
            made.append(Case((x, i, v), {"dim": dim, **args}))
        return made

    return cases


slices = [
    Record("add_at", lambda t, x, i, v, dim, alpha=1: t.index_add(x, dim, i, v, alpha=alpha),
           lambda x, i, v, dim, alpha=1: sliced(x, i, v * alpha, dim, "sum"),
           _several(_rows((*ROWS, *AGAIN, *NONE)), _rows(AGAIN, alpha=-0.5), lambda rng: [
               Case((values(rng, ()), I(0), values(rng, ())), {"dim": 0})]), name="index_add_", errors=(
        (lambda t: t.ones(3, 2).index_add(0, t.tensor([0, 1]), t.ones(3, 2)), errors.ShapeError,
         "index_add: source must have shape (2, 2), that of input (3, 2) with 2 indices in dim 0; got float32 (3, 2)"),
        (lambda t: t.ones(3).index_add(0, t.tensor([-1]), t.ones(1)), errors.IndexRangeError, "index_add: index -1 is out of range"),
        (lambda t: t.ones(3).index_add(0, t.tensor([[0]]), t.ones(1)), errors.ShapeError,
         "index_add: index must be a vector, got int64 (1, 1)"),
        (lambda t: t.ones(3).index_add(0, t.tensor([0]), t.ones(1).double()), errors.DTypeError,
         "index_add: source is float64, input float32"))),
    Record("assign", lambda t, x, i, v, dim: t.index_copy(x, dim, i, v), sliced, _rows((*ROWS, *NONE)), name="index_copy", errors=(
        (lambda t: t.ones(3).index_copy(0, t.tensor([3]), t.ones(1)), errors.IndexRangeError, "index_copy: index 3 is out of range"),)),
    Record("assign", lambda t, x, i, dim, v=2.0: t.index_fill(x, dim, i, v), lambda x, i, dim: sliced(x, i, 2.0, dim),
           lambda rng: [Case((values(rng, s), i), {"dim": d}) for s, i, d in (*ROWS, *AGAIN, *NONE, ((3, 2), I([-1, 0]), 0),
                                                                            ((), I(0), 0))], name="index_fill", errors=(
        (lambda t: t.ones(3).index_fill(0, t.tensor([0]), t.ones(2)), errors.ShapeError,
         "index_fill: value must be a number or 0-dimensional, got float32 (2,)"),
        (lambda t: t.ones(3).index_fill(0, t.tensor([-4]), 1.0), errors.IndexRangeError,
         "index_fill: index -4 is out of range for dim 0 of size 3: it must be -3 to 2"))),
    Record("assign", lambda t, x, i, v, dim: t.index_fill(x, dim, i, v), sliced,
           lambda rng: [Case((values(rng, s), i, values(rng, ())), {"dim": d}) for s, i, d in ROWS], name="index_fill_tensor"),
    Record("reduce_at", lambda t, x, i, v, dim, reduce, include_self: t.index_reduce(x, dim, i, v, reduce, include_self=include_self),
           lambda x, i, v, dim, reduce, include_self: sliced(x, i, v, dim, reduce, include_self),
           _several(*[_rows((ROWS[0], *AGAIN), distinct, reduce=h, include_self=s) for h, s in _HOW[4:]]),
           name="index_reduce", kinks="ties of amax and amin", errors=(
        (lambda t: t.ones(3).index_reduce(0, t.tensor([0]), t.ones(1), "sum"), errors.ArgumentError,
         "index_reduce: reduce must be one of prod, mean, amax, amin, got 'sum'"),)),
    Record("add_at", lambda t, x, i, v, dim, include_self: t.index_reduce(x, dim, i, v, "mean", include_self=include_self),
           lambda x, i, v, dim, include_self: sliced(x, i, v, dim, "mean", include_self),
           _several(_rows((ROWS[0], *AGAIN), include_self=True), _rows(AGAIN, include_self=False)), name="index_reduce_mean"),
]  # fmt: skip


# ---------------------------------------------------------------- any index, flat, masks
def _put_ref(x, v, key, accumulate):
    y = np.array(x)
    if accumulate:
        np.add.at(y, key, v)
    else:
        y[key] = v
    return y


def _flat(x, i, v, accumulate):
    y, pairs = np.array(x), zip(i.reshape(-1), v.reshape(-1), strict=True)
    for k, value in pairs:
        y.reshape(-1)[k] = value + (y.reshape(-1)[k] if accumulate else 0)
    return y


def _masked(x, m, v):
    shape = np.broadcast_shapes(x.shape, m.shape)
    y, m = np.array(np.broadcast_to(x, shape)), np.broadcast_to(m, shape)
    y[m] = v.reshape(-1)[: m.sum()]
    return y


MASK = I([[True, False, True], [False, False, True]])
_keyed = lambda t, x, v, key, accumulate: t.index_put(x, tuple(t.tensor(k) for k in key), v, accumulate)  # noqa: E731

others = [
    Record("assign", _keyed, _put_ref, lambda rng: [
        Case((values(rng, (2, 3)), values(rng, s)), {"key": k, "accumulate": False}) for k, s in (
            ((I([0, 1]), I([2, 0])), (2,)), ((I([1]),), (1, 3)), ((MASK,), (3,)), ((I([[0], [1]]), I([0, 2])), (2, 2)), ((MASK,), ()),
            ((I([-1]),), (3,)))], name="index_put", errors=(
        (lambda t: t.ones(3).index_put((t.tensor([3]),), t.ones(1)), errors.IndexRangeError,
         "index 3 is out of range for dim 0 of size 3"),
        (lambda t: t.ones(3).index_put((t.tensor([0]),), t.ones(1).double()), errors.DTypeError, "index_put: values is float64"),
        (lambda t: t.ones(3).index_put(t.tensor([0]), t.ones(1)), errors.DTypeError, "index_put: indices must be a tuple of tensors"),
        (lambda t: t.ones(3).index_put((t.tensor([0, 1]),), t.ones(3)), errors.ShapeError, "assign: "))),
    Record("add_at", _keyed, _put_ref, lambda rng: [
        Case((values(rng, (2, 3)), values(rng, s)), {"key": k, "accumulate": True}) for k, s in (
            ((I([0, 1, 0]), I([2, 0, 2])), (3,)), ((I([1, 1]),), (2, 3)), ((MASK,), (3,)), ((I([1, 1]),), (3,)))],
           name="index_put_accumulate"),
    Record("assign", lambda t, x, i, v, accumulate: t.put(x, i, v, accumulate) if t is tl else x.put(i, v, accumulate), _flat,
           lambda rng: [Case((values(rng, (2, 3)), i, values(rng, i.shape)), {"accumulate": a})
                        for i in (I([0, 5, 3]), I([[1], [-1]]), np.zeros(0, int)) for a in (False, True)], name="put", errors=(
        (lambda t: t.ones(3).put(t.tensor([3]), t.ones(1)), errors.IndexRangeError,
         "put: index 3 is out of range for 3 elements: it must be -3 to 2"),
        (lambda t: t.ones(3).put(t.tensor([0, 1]), t.ones(3)), errors.ShapeError,
         "put: source (3,) and index (2,) must have as many elements as each other"))),
    Record("index", lambda t, x, i: t.take(x, i), lambda x, i: np.take(x, i), lambda rng: [
        Case((values(rng, (2, 3)), i)) for i in (I([0, 5, 0]), I([[1], [-1]]), I(2), np.zeros((0, 2), int))], name="take", errors=(
        (lambda t: t.take(t.ones(2, 3), t.tensor([6])), errors.IndexRangeError,
         "take: index 6 is out of range for 6 elements: it must be -6 to 5"),
        (lambda t: t.take(t.ones(2, 3), t.tensor([0.5])), errors.DTypeError, "take: index must be an integer tensor"))),
    Record("take_along", lambda t, x, i, dim=None: t.take_along_dim(x, i, dim), lambda x, i, dim=None: np.take_along_axis(
        x if dim is not None else x.reshape(-1), i if dim is not None else i.reshape(-1), dim or 0), lambda rng: [
        Case((values(rng, (3, 4)), I([[0, -1], [1, 1], [3, 2]])), {"dim": 1}), Case((values(rng, (3, 4)), I([[0], [5]]))),
        Case((values(rng, (3, 1)), I([[0, 2], [1, 1]])), {"dim": 0}), Case((values(rng, (3, 4)), I([[2]])), {"dim": 1})],
        name="take_along_dim", errors=(
        (lambda t: t.take_along_dim(t.ones(3), t.tensor([3]), 0), errors.IndexRangeError, "take_along_dim: index 3 is out of range"),
        (lambda t: t.take_along_dim(t.ones(3), t.tensor([[0]]), 0), errors.ShapeError, "take_along_dim: indices has 2 dimensions"),
        (lambda t: t.take_along_dim(t.ones(2, 3), _z(t, 3, 3), 1), errors.ShapeError,
         "take_along_dim: input (2, 3) and indices (3, 3) do not broadcast beside dim 1"))),
    Record("index", lambda t, x, m: t.masked_select(x, m), lambda x, m: np.broadcast_to(x, np.broadcast_shapes(x.shape, m.shape))[
        np.broadcast_to(m, np.broadcast_shapes(x.shape, m.shape))], lambda rng: [
        Case((values(rng, s), m)) for s, m in (((2, 3), MASK), ((3,), MASK), ((2, 1), MASK), ((2, 3), MASK[0]), ((), I(True)),
                                              ((2, 3), np.zeros((2, 3), bool)), ((0, 3), MASK[0]))], name="masked_select", errors=(
        (lambda t: t.masked_select(t.ones(3), t.ones(3)), errors.DTypeError,
         "masked_select: mask must be a bool tensor, got float32 (3,); use mask.bool()"),
        (lambda t: t.masked_select(t.ones(3), t.ones(2) > 0), errors.ShapeError,
         "masked_select: shapes (3,) and (2,) do not broadcast"))),
    Record("assign", lambda t, x, m, v: t.masked_scatter(x, m, v), _masked, lambda rng: [
        Case((values(rng, s), m, values(rng, v))) for s, m, v in (((2, 3), MASK, (4,)), ((3,), MASK, (3, 1)), ((2, 3), MASK[0], (2, 2)),
                                                                  ((), I(True), (2,)))], name="masked_scatter", errors=(
        (lambda t: t.masked_scatter(t.ones(3), t.ones(3) > 0, t.ones(2)), errors.ShapeError,
         "masked_scatter: source has 2 elements, mask 3 True; it needs as many"),
        (lambda t: t.masked_scatter(t.ones(3), t.ones(3), t.ones(2)), errors.DTypeError, "masked_scatter: mask must be a bool tensor"))),
    Record("nonzero", lambda t, x: (t.nonzero(x), t.argwhere(x), *t.nonzero(x, as_tuple=True)), lambda x: (
        np.argwhere(x), np.argwhere(x), *np.nonzero(np.atleast_1d(x))), lambda rng: [
        Case((np.asarray(np.rint(values(rng, s))),)) for s in ((3, 4), (5,), (0,), (2, 0), ())], order=0, ints=True, result="int64"),
    Record("nonzero", lambda t, m: t.where(m), lambda m: np.nonzero(m), lambda rng: [Case((MASK,)), Case((MASK[0],))], order=0,
           name="where_alone"),
]  # fmt: skip

RECORDS = [*scatters, *slices, *others]
