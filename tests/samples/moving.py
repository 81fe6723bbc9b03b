"""Records of the operations that move elements: shapes, joining, triangles, reading and writing by index."""

import numpy as np

import tensorlite as tl
from samples.base import Case, Record, distinct, values
from tensorlite import errors
from tensorlite.op import registry


def _one(shape, **args):
    """Cases of one tensor of `shape`: one for each value in the lists of args, taken side by side."""
    rows = [dict(zip(args, row, strict=True)) for row in zip(*args.values(), strict=True)]
    return lambda rng: [Case((values(rng, shape),), row) for row in rows]


def _several(*lists):
    return lambda rng: [case for make in lists for case in make(rng)]


def _sized(name):
    """For torch, whose reshape and the like want their sizes, when there are none, as a tuple."""
    return lambda t, x, a: getattr(x, name)(a)


def _method(name):
    """x.name(*a): the arguments are one tuple."""
    return lambda t, x, a=(): getattr(x, name)(*a)


shapes = [
    Record("reshape", _method("reshape"), lambda x, a: x.reshape(a), _several(
        _one((2, 6), a=[(3, 4), (-1,), (2, -1, 3), (12, 1)]), _one((), a=[(1,), (1, 1), ()]), _one((0, 3), a=[(3, 0), (0,)]),
        _one((1,), a=[()])), ints=True, torch=_sized("reshape"), errors=(
            (lambda t: t.ones(2, 3).reshape(4, 2), errors.ShapeError, "reshape: 6 elements do not fill the shape (4, 2)"),
            (lambda t: t.ones(2, 3).reshape(-1, 4), errors.ShapeError, "reshape: 6 elements do not fill the shape (-1, 4)"),
            (lambda t: t.ones(2, 3).reshape(-1, -1), errors.ShapeError, "reshape: at most one size may be -1"),
            (lambda t: t.ones(2, 3).reshape(2.0, 3), errors.DTypeError, "reshape: sizes must be ints"))),
    Record("reshape", _method("view"), lambda x, a: x.reshape(a), _several(
        _one((2, 6), a=[(3, 4), (-1,)]), _one((), a=[(1,)]), _one((0, 3), a=[(3, 0)])), name="view", errors=(
            (lambda t: t.ones(2, 3).T.view(6), errors.ShapeError,
             "view: shape (6,) needs a copy of this non-contiguous tensor float32 (3, 2); use reshape"),)),
    Record("reshape", _method("flatten"), lambda x, a=(): x.reshape(
        {(): (-1,), (1,): (2, -1), (0, 1): (6, 4), (-2, -1): (2, 12)}[a]),
        _one((2, 3, 4), a=[(), (1,), (0, 1), (-2, -1)]), name="flatten", errors=(
            (lambda t: t.ones(2, 3).flatten(1, 0), errors.ArgumentError, "flatten: start_dim 1 comes after end_dim 0"),)),
    Record("reshape", _method("unflatten"), lambda x, a: x.reshape((2, 3, 2) if a[0] else (2, 1, 6)),
           _one((2, 6), a=[(1, (3, -1)), (0, (2, 1))]), name="unflatten"),
    Record("reshape", _method("squeeze"), lambda x, a=(): np.squeeze(x, a[0]) if a else np.squeeze(x),
           _several(_one((1, 3, 1), a=[(), (0,), (-1,), ((0, 2),)]), _one((), a=[()])), name="squeeze"),
    Record("reshape", _method("squeeze"), lambda x, a: x, _one((2, 3), a=[(0,), (-1,)]), name="squeeze_nothing"),
    Record("reshape", _method("unsqueeze"), lambda x, a: np.expand_dims(x, a[0]),
           _several(_one((2, 3), a=[(0,), (1,), (2,), (-1,), (-3,)]), _one((), a=[(0,), (-1,)])), name="unsqueeze", errors=(
               (lambda t: t.ones(2).unsqueeze(2), errors.IndexRangeError, "unsqueeze: dim 2 is out of range"),)),
    Record("permute", _method("permute"), lambda x, a: np.transpose(x, a), _several(
        _one((2, 3, 4), a=[(2, 0, 1), (0, 2, 1), (-1, -3, -2), (0, 1, 2)]), _one((0, 2), a=[(1, 0)]), _one((), a=[()])),
        ints=True, torch=_sized("permute"), errors=(
            (lambda t: t.ones(2, 3).permute(0, 0), errors.ArgumentError,
                "permute: (0, 0) must name each of the 2 dimensions once"),
            (lambda t: t.ones(2, 3).permute(0, 2), errors.IndexRangeError, "permute: dim 2 is out of range"))),
    Record("permute", _method("transpose"), lambda x, a: np.swapaxes(x, *a) if x.ndim else x,
           _several(_one((2, 3, 4), a=[(0, 1), (-1, -2), (1, 1)]), _one((), a=[(0, -1)])), name="transpose"),
    Record("permute", _method("movedim"), lambda x, a: np.moveaxis(x, *a),
           _one((2, 3, 4), a=[(0, 2), (-1, 0), ((0, 1), (2, 0))]), name="movedim", errors=(
               (lambda t: t.ones(2, 3).movedim((0, 1), (0,)), errors.ArgumentError, "movedim: 2 sources but 1 destinations"),)),
    Record("permute", lambda t, x: (x.T, x.mT, x.t()), lambda x: (x.T, x.T, x.T),
        lambda rng: [Case((values(rng, (2, 3)),))], name="T"),
    Record("expand", _method("expand"), lambda x, a: np.broadcast_to(x, tuple(
        n if n >= 0 else x.shape[i - len(a)] for i, n in enumerate(a))),
        _several(_one((3, 1), a=[(3, 4), (2, 3, 4), (-1, 4), (3, 1), (3, 0)]), _one((), a=[(2, 2), ()])), ints=True,
        torch=_sized("expand"), errors=(
            (lambda t: t.ones(2, 3).expand(2, 4), errors.ShapeError,
             "expand: shape (2, 3) does not expand to (2, 4): only sizes of 1 can grow"),
            (lambda t: t.ones(2, 3).expand(3), errors.ShapeError, "expand: shape (2, 3) does not expand to (3,)"))),
    Record("expand", lambda t, x, a: x.repeat(*a), lambda x, a: np.tile(x, a),
           _several(_one((2, 3), a=[(2, 1), (1, 2), (2, 3, 2), (0, 1)]), _one((), a=[(2,)])), name="repeat", errors=(
               (lambda t: t.ones(2, 3).repeat(2), errors.ShapeError, "repeat: 1 counts for 2 dimensions"),)),
    Record("flip", lambda t, x, a: x.flip(a), lambda x, a: np.flip(x, a),
           _several(_one((2, 3, 4), a=[(0,), (1, 2), (-1,), (0, 1, 2)]), _one((0, 2), a=[(1,)])), ints=True, errors=(
               (lambda t: t.ones(2).flip(1), errors.IndexRangeError, "flip: dim 1 is out of range"),)),
    Record("tril", lambda t, x, k=0: t.tril(x, k), lambda x, k: np.tril(x, k),
           _several(_one((3, 4), k=[0, 1, -1, 5]), _one((2, 3, 3), k=[0]), _one((0, 3), k=[0])), ints=True, errors=(
               (lambda t: t.tril(t.ones(3)), errors.ShapeError, "tril: at least 2 dimensions are needed, got float32 (3,)"),)),
    Record("triu", lambda t, x, k=0: t.triu(x, k), lambda x, k: np.triu(x, k),
           _several(_one((3, 4), k=[0, 1, -1, 5]), _one((2, 3, 3), k=[0]), _one((0, 3), k=[0])), ints=True, errors=(
               (lambda t: t.triu(t.ones(3)), errors.ShapeError, "triu: at least 2 dimensions are needed, got float32 (3,)"),)),
]  # fmt: skip


def _joined(rng):
    v = lambda *s: values(rng, s)  # noqa: E731
    return [
        Case((v(2, 3), v(1, 3)), {"dim": 0}), Case((v(2, 3), v(2, 1), v(2, 4)), {"dim": 1}),
        Case((v(2, 3), v(2, 2)), {"dim": -1}),
        Case((v(3),), {"dim": 0}), Case((v(0, 3), v(2, 3)), {"dim": 0}), Case((v(0), v(2, 3)), {"dim": 1}),
        Case((v(0), v(0)), {"dim": 0}),
    ]  # fmt: skip


def _cat_ref(*xs, dim):
    return np.concatenate([x for x in xs if x.shape != (0,)] or [xs[0]], axis=dim)


joins = [
    Record("cat", lambda t, *xs, dim: t.cat(xs, dim), _cat_ref, _joined, ints=True, errors=(
        (lambda t: t.cat([t.ones(2, 3), t.ones(2, 3), t.ones(2, 4)]), errors.ShapeError,
         "cat: tensor 2 has shape (2, 4), the first (2, 3); they must be equal except in dim 0"),
        (lambda t: t.cat([t.tensor(1.0)]), errors.ShapeError, "cat: 0-dimensional tensors cannot be joined; use stack"),
        (lambda t: t.cat([]), errors.ArgumentError, "cat: at least one tensor is needed"),
        (lambda t: t.cat([t.ones(2)], dim=1), errors.IndexRangeError, "cat: dim 1 is out of range"))),
    Record("cat", lambda t, *xs, dim: t.stack(xs, dim), lambda *xs, dim: np.stack(xs, dim), lambda rng: [
        Case((values(rng, (2, 3)), values(rng, (2, 3))), {"dim": d}) for d in (0, 1, 2, -1, -3)] + [
        Case((values(rng, ()), values(rng, ()), values(rng, ())), {"dim": 0})], name="stack", errors=(
        (lambda t: t.stack([t.ones(2), t.ones(3)]), errors.ShapeError,
         "stack: tensor 1 has shape (3,), the first (2,); they must be equal"),
        (lambda t: t.stack([]), errors.ArgumentError, "stack: at least one tensor is needed"),)),
]  # fmt: skip


# ---------------------------------------------------------------- by index
def _assigned(t, x, v, key):
    y = x.clone()
    y[key] = v
    return y


def _assigned_ref(x, v, key):
    y = np.array(x)
    y[key] = v
    return y


def _through_views(t, x, v):
    y = x.clone()
    y[1].T[1:].mul_(v)
    return y


def _through_views_ref(x, v):
    y = np.array(x)
    y[1].T[1:] *= v
    return y


_ROWS = [0, 2, 0]
_S = slice
_KEYS = (
    1,
    -1,
    _S(1, None),
    _S(None, None, 2),
    (_S(None), 1),
    (Ellipsis, 0),
    (None, 2),
    _ROWS,
    (_ROWS, [1, 1, 2]),
    (_ROWS, _S(0, 2)),
)


def _read(rng):
    made = [Case((values(rng, (3, 4)),), {"key": k}) for k in _KEYS]
    return [*made, Case((values(rng, (0, 4)),), {"key": _S(1)}), Case((values(rng, ()),), {"key": None}),
            Case((values(rng, ()),), {"key": Ellipsis}), Case((values(rng, (3, 4)),), {"key": []})]  # fmt: skip


def _written(rng):
    once = [k for k in _KEYS if k is not _ROWS and not (isinstance(k, tuple) and k[0] is _ROWS)]
    x = np.zeros((3, 4))
    made = [Case((values(rng, (3, 4)), values(rng, x[k].shape)), {"key": k}) for k in [*once, [2, 0], ([0, 2], [1, 1])]]
    return [*made, Case((values(rng, (3, 4)), values(rng, ())), {"key": 1}), Case((values(rng, (3, 4)), 0.5), {"key": _S(2)}),
            Case((values(rng, (3, 4)), values(rng, (1, 4))), {"key": _S(2)}),
            Case((values(rng, ()), values(rng, ())), {"key": ...})]  # fmt: skip


def _add_at(x, key, shape):
    out = np.zeros(shape, x.dtype)
    np.add.at(out, key, x)
    return out


def _raw_key(key):
    """The key on raw arrays of the default device."""
    part = lambda k: tl.tensor(k).array if isinstance(k, list) else k  # noqa: E731
    return tuple(map(part, key)) if isinstance(key, tuple) else part(key)


def _index_add(t, x, key, shape):
    return registry["index_add"].apply(x, key=_raw_key(key), shape=shape)


def _along(rng):
    x, i = values(rng, (3, 4)), rng.integers(0, 3, (2, 4))
    return [Case((x, i), {"dim": 0}), Case((x, rng.integers(0, 4, (3, 6))), {"dim": 1}),
            Case((x, rng.integers(0, 4, (2, 2))), {"dim": -1}), Case((values(rng, (3,)), np.array([1, 1, 0, 2])), {"dim": 0}),
            Case((values(rng, (2, 3)), np.zeros((0, 3), int)), {"dim": 0})]  # fmt: skip


def _gather_ref(x, i, dim):
    part = tuple(slice(None) if d == dim % x.ndim else slice(n) for d, n in enumerate(i.shape))
    return np.take_along_axis(x[part], i, dim)


def _scattered(rng):
    return [Case((values(rng, (2, 4)), rng.integers(0, 3, (2, 4))), {"shape": (3, 4), "dim": 0}),
            Case((values(rng, (3, 6)), rng.integers(0, 4, (3, 6))), {"shape": (3, 4), "dim": 1})]  # fmt: skip


def _scattered_ref(x, i, shape, dim):
    out = np.zeros(shape)
    for place in np.ndindex(*i.shape):
        target = list(place)
        target[dim] = i[place]
        out[tuple(target)] += x[place]
    return out


def _tokens(rng):
    w = values(rng, (5, 3))
    return [Case((w, rng.integers(0, 5, s))) for s in ((4,), (2, 3), (), (0,))] + [
        Case((w, np.array([1, 1, 4], "int32")))
    ]


def _embedding_backward_ref(g, i, rows):
    out = np.zeros((rows, g.shape[-1]))
    for place in np.ndindex(*i.shape):
        out[i[place]] += g[place]
    return out


indexing = [
    Record("index", lambda t, x, key: x[key], lambda x, key: x[key], _read, ints=True, errors=(
        (lambda t: t.ones(3)[3], errors.IndexRangeError, "index: index 3 is out of range for dim 0 of size 3 (it may be -3 to 2)"),
        (lambda t: t.ones(3)[0, 0], errors.IndexRangeError, "index: too many indices: 2 for the 1 dimensions of float32 (3,)"),
        (lambda t: t.ones(3)[[0, 3]], errors.IndexRangeError, "index"),
        (lambda t: t.ones(3)[1.5], errors.DTypeError,
         "index: float cannot be an index; use ints, slices, None, ..., or int/bool tensors"),
        (lambda t: t.ones(3)[t.ones(2)], errors.DTypeError, "index: an index must hold integers or bools, got float32 (2,)"),
        (lambda t: t.ones(3)[t.tensor([True, False])], errors.IndexRangeError,
         "index: a mask of shape (2,) does not fit the dimensions it is for, (3,) of (3,)"))),
    Record("index", lambda t, x: (*x.split(2), *x.chunk(2, 1), *x.unbind(0), *x.split([1, 3], dim=1), x.narrow(0, 1, 2),
        x.select(1, -1)),
           lambda x: (x[:2], x[2:], x[:, :2], x[:, 2:], x[0], x[1], x[2], x[:, :1], x[:, 1:], x[1:], x[:, -1]),
           lambda rng: [Case((values(rng, (3, 4)),))], name="split", errors=(
               (lambda t: t.ones(3).split([1, 1]), errors.ShapeError, "split: the sizes [1, 1] add up to 2, dimension 0 has 3"),
               (lambda t: t.ones(3).split(0), errors.ArgumentError, "split: the size of a piece must be positive, got 0"),
               (lambda t: t.ones(3).chunk(0), errors.ArgumentError, "chunk: the number of pieces must be positive, got 0"),
               (lambda t: t.ones(3).narrow(0, 2, 2), errors.IndexRangeError, "narrow: 2 + 2 is outside of dimension 0 of size 3"),
               (lambda t: t.ones(3).select(0, 3), errors.IndexRangeError,
                "select: index 3 is out of range for dimension 0 of size 3"))),
    Record("index", lambda t, x, i, dim: t.index_select(x, dim, i), lambda x, i, dim: np.take(x, i, dim), lambda rng: [
        Case((values(rng, (3, 4)), np.array([0, 2, 0])), {"dim": d}) for d in (0, 1, -1)], name="index_select"),
    Record("index_add", _index_add, _add_at, lambda rng: [
        Case((values(rng, np.zeros((3, 4))[k].shape),), {"key": k, "shape": (3, 4)}) for k in (1, (..., 0), _ROWS,
        (_ROWS, [1, 1, 1]))],
        torch=False),
    Record("take_along", lambda t, x, i, dim: t.gather(x, dim, i), _gather_ref, _along, errors=(
        (lambda t: t.gather(t.ones(3), 0, t.tensor([3])), errors.IndexRangeError,
            "gather: index 3 is out of range for dim 0 of size 3: it must be 0 to 2"),
        (lambda t: t.gather(t.ones(3), 0, t.ones(1)), errors.DTypeError,
         "gather: index must be an integer tensor, got float32 (1,)"),
        (lambda t: t.gather(t.ones(3), 0, t.tensor([[1]])), errors.ShapeError,
         "gather: index has 2 dimensions, input 1; they must be equal"),
        (lambda t: t.gather(t.ones(2, 3), 1, t.zeros(3, 3, dtype=t.int64)), errors.ShapeError,
         "gather: index (3, 3) is larger than input (2, 3) beside dim 1"))),
    Record("take_along", lambda t, x, dim, keepdim=False: (t.max(x, dim, keepdim)[0], t.min(x, dim=dim, keepdim=keepdim)[0]),
           lambda x, dim, keepdim=False: (np.max(x, axis=dim, keepdims=keepdim), np.min(x, axis=dim, keepdims=keepdim)),
           lambda rng: [Case((distinct(rng, (2, 3, 4)),), {"dim": d, "keepdim": k}) for d in (0, 1, -1) for k in (False, True)],
           name="max_dim", kinks="ties"),
    Record("put_along", lambda t, x, i, shape, dim: registry["put_along"].apply(x, i, shape=shape, dim=dim), _scattered_ref,
           _scattered, torch=lambda t, x, i, shape, dim: t.zeros(shape, dtype=x.dtype).scatter_add(dim, i, x)),
    Record("embedding", lambda t, w, i: t.nn.functional.embedding(i, w), lambda w, i: w[i], _tokens, errors=(
        (lambda t: t.nn.functional.embedding(t.tensor([0, 5]), t.ones(5, 2)), errors.IndexRangeError,
         "embedding: token id 5 is out of range: it must be 0 to 4"),
        (lambda t: t.nn.functional.embedding(t.tensor([-1]), t.ones(5, 2)), errors.IndexRangeError,
         "embedding: token id -1 is out of range: it must be 0 to 4"),
        (lambda t: t.nn.functional.embedding(t.tensor([1.0]), t.ones(5, 2)), errors.DTypeError,
         "embedding: token ids must be an integer tensor, got float32 (1,)"),
        (lambda t: t.nn.functional.embedding(t.tensor([1]), t.ones(5)), errors.ShapeError,
         "embedding: weight must have shape (rows, features), got float32 (5,)"))),
    Record("embedding_backward", lambda t, g, i, rows: registry["embedding_backward"].apply(g, i, rows=rows),
           _embedding_backward_ref, lambda rng: [
               Case((values(rng, (*s, 3)), rng.integers(0, 5, s)), {"rows": 5}) for s in ((4,), (2, 3), (), (0,))],
           torch=lambda t, g, i, rows: t.zeros(rows, 3, dtype=g.dtype).index_add(0, i.reshape(-1), g.reshape(-1, 3))),
    Record("assign", _assigned, _assigned_ref, _written, errors=(
        (lambda t: t.zeros(3).__setitem__(slice(2), t.ones(3)), errors.ShapeError, "assign: shapes"),
        (lambda t: t.zeros(3).__setitem__(3, 1.0), errors.IndexRangeError, "index 3 is out of range for dim 0 of size 3"))),
    Record("assign", _through_views, _through_views_ref,
           lambda rng: [Case((values(rng, (2, 3, 4)), values(rng, (3, 3)))), Case((values(rng, (2, 3, 4)), values(rng, ())))],
           name="assign_through_views"),
]  # fmt: skip

RECORDS = [*shapes, *joins, *indexing]
