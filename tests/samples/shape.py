"""Records of diagonals, windows, free strides, pieces, joins, grids, rolls, repeats and padding."""

import itertools

import numpy as np
from numpy.lib.stride_tricks import as_strided, sliding_window_view

from samples.base import Case, Record, values
from tensorlite import errors
from tensorlite.op import registry


def _v(rng, *shape):
    return values(rng, shape)


def _on(*shapes, **args):
    """Cases of one tensor: each shape with each row of args (lists taken side by side)."""
    rows = [dict(zip(args, row, strict=True)) for row in zip(*args.values(), strict=True)] or [{}]
    return lambda rng: [Case((values(rng, s),), row) for s in shapes for row in rows]


def _all(*makers):
    return lambda rng: [case for make in makers for case in make(rng)]


def _composed(name, op, call, ref, cases, **kw):
    """A function that is composed: `op` runs inside."""
    return Record(op, call, ref, cases, **{"ints": True, "name": name, **kw})


def _zero_d(name, text=" at least 1 dimension is needed", call=None):
    return (call or (lambda t: getattr(t, name)(t.tensor(1.0))), errors.ShapeError, f"{name}:{text}")


# ---------------------------------------------------------------- diagonals
_OFFSETS = [0, 1, -1, 3, -2]


def _diag_embed_ref(x, offset=0, dim1=-2, dim2=-1):
    n = x.shape[-1] + abs(offset)
    out = np.zeros((*x.shape[:-1], n, n))
    i = np.arange(x.shape[-1])
    out[..., i - min(offset, 0), i + max(offset, 0)] = x
    return np.moveaxis(out, (-2, -1), (dim1, dim2))


def _scattered_diagonal(x, v, offset):
    y = x.copy()
    i = np.arange(len(v))
    y[i - min(offset, 0), i + max(offset, 0)] = v
    return y


def _put(x, v, key):
    y = x.copy()
    y[key] = v
    return y


diagonals = [
    Record("diagonal", lambda t, x, offset=0, dim1=0, dim2=1: x.diagonal(offset, dim1, dim2), lambda x, offset=0, dim1=0, dim2=1:
           np.diagonal(x, offset, dim1, dim2), _all(_on((3, 4), offset=_OFFSETS), _on((0, 3), (2, 0), offset=[0]),
           _on((2, 3, 4), offset=[0, 1, -1], dim1=[1, 2, -1], dim2=[2, 0, 0])), ints=True, errors=(
               _zero_d("diagonal", " at least 2 dimensions are needed", lambda t: t.ones(3).diagonal()),
               (lambda t: t.ones(2, 3).diagonal(0, 1, -1), errors.ArgumentError, "diagonal: dim1 and dim2 are the same: 1 and -1"),
               (lambda t: t.ones(2, 3).diagonal(0, 1, 2), errors.IndexRangeError, "diagonal: dim 2 is out of range"))),
    Record("diag_embed", lambda t, x, offset=0, dim1=-2, dim2=-1: t.diag_embed(x, offset, dim1, dim2), _diag_embed_ref, _all(
        _on((3,), (2, 3), offset=[0, 1, -2]), _on((2, 3), offset=[0, 1, 0], dim1=[0, 2, 1], dim2=[1, 0, 2]),
        _on((0,), (2, 0), offset=[0, 1])), ints=True, errors=(_zero_d("diag_embed"),)),
    _composed("diag", "diagonal", lambda t, x, diagonal=0: t.diag(x, diagonal), lambda x, diagonal=0: np.diag(x, diagonal),
              _on((3, 4), (3,), diagonal=[0, 1, -2]),
              errors=((lambda t: t.diag(t.ones(1, 1, 1)), errors.ShapeError, "diag: a vector or a matrix is needed"),)),
    _composed("diagflat", "diag_embed", lambda t, x, offset=0: t.diagflat(x, offset), lambda x, offset=0: np.diagflat(x, offset),
              _on((2, 2), (3,), (), offset=[0, 1])),
    _composed("diagonal_scatter", "assign", lambda t, x, v, offset: t.diagonal_scatter(x, v, offset), _scattered_diagonal,
              lambda rng: [Case((_v(rng, 3, 4), _v(rng, n)), {"offset": k}) for k, n in ((0, 3), (2, 2), (-1, 2))], errors=(
                  (lambda t: t.ones(3, 3).diagonal_scatter(t.ones(2)), errors.ShapeError,
                   "diagonal_scatter: src must have the shape (3,) of the part it replaces, got float32 (2,)"),)),
    _composed("select_scatter", "assign", lambda t, x, v, dim, index: t.select_scatter(x, v, dim, index),
              lambda x, v, dim, index: _put(x, v, (slice(None),) * dim + (index,)),
              lambda rng: [Case((_v(rng, 3, 4), _v(rng, 4)), {"dim": 0, "index": -1}),
                           Case((_v(rng, 3, 4), _v(rng, 3)), {"dim": 1, "index": 2})], errors=(
                  (lambda t: t.ones(3).select_scatter(t.tensor(1.0), 0, 3), errors.IndexRangeError,
                   "select_scatter: index 3 is out of range for dimension 0 of size 3"),)),
    _composed("slice_scatter", "assign", lambda t, x, v, dim, start, end, step: t.slice_scatter(x, v, dim, start, end, step),
              lambda x, v, dim, start, end, step: _put(x, v, (slice(None),) * dim + (slice(start, end, step),)),
              lambda rng: [Case((_v(rng, 3, 4), _v(rng, 2, 4)), {"dim": 0, "start": 1, "end": None, "step": 1}),
                           Case((_v(rng, 3, 4), _v(rng, 3, 2)), {"dim": 1, "start": None, "end": 9, "step": 2})], errors=(
                  (lambda t: t.slice_scatter(t.ones(3), t.ones(3), step=0), errors.ArgumentError,
                   "slice_scatter: step must be positive, got 0"),)),
]  # fmt: skip


# ---------------------------------------------------------------- windows, strides, pieces
def _windows(x, dim, size, step):
    return sliding_window_view(x, size, dim)[(slice(None),) * (dim % x.ndim) + (slice(None, None, step),)]


def _windows_added(x, shape, dim, step):
    out = np.zeros(shape)
    for i, k in itertools.product(range(x.shape[dim]), range(x.shape[-1])):
        out[(slice(None),) * dim + (i * step + k,)] += x[..., k][(slice(None),) * dim + (i,)]
    return out


def _unfold_add(t, x, shape, dim, step):
    return registry["unfold_add"].apply(x, shape=shape, dim=dim, step=step)


def _laid_back(t, x, shape, view):
    """The adjoint of a view, from PyTorch's own gradient of it."""
    y = t.zeros(shape, dtype=x.dtype, requires_grad=True)
    return t.autograd.grad(view(y), y, x, create_graph=True)[0]


def _strided(x, size, stride, offset):
    flat = np.ascontiguousarray(x).reshape(-1)[offset:]
    return as_strided(flat, size, tuple(8 * s for s in stride)).copy()


def _strided_added(x, shape, stride, offset):
    out = np.zeros(int(np.prod(shape)))
    for place in np.ndindex(*x.shape):
        out[offset + sum(i * s for i, s in zip(place, stride, strict=True))] += x[place]
    return out.reshape(shape)


def _pieces(rng):
    empty = Case((_v(rng, 0, 2),), {"how": 2, "dim": 0})
    return [empty] + [Case((_v(rng, 6, 3),), {"how": h, "dim": d}) for h, d in (
        (2, 0), (4, 0), (2, -1), (9, 1), ((1, 4), 0), ((2, 1), 1), ((-1,), 0), ((), 0))]  # fmt: skip


_CUTS = ((2, 0), (1, 2), (3, 1))

windows = [
    Record("unfold", lambda t, x, dim, size, step: x.unfold(dim, size, step), _windows, _all(
        _on((5,), dim=[0, 0, -1, 0], size=[2, 3, 2, 5], step=[1, 2, 3, 1]), _on((2, 5, 3), dim=[1, 1, 2], size=[3, 2, 3],
        step=[1, 2, 1])), ints=True, errors=(
            (lambda t: t.ones(2, 3).unfold(1, 4, 1), errors.ShapeError, "unfold: windows of 4 do not fit into dimension 1 of size 3"),
            (lambda t: t.ones(3).unfold(0, 2, 0), errors.ArgumentError, "unfold: size must be 0 or more and step positive, got 2 and 0"),
            (lambda t: t.ones(3).unfold(1, 2, 1), errors.IndexRangeError, "unfold: dim 1 is out of range"))),
    Record("unfold_add", _unfold_add, _windows_added, lambda rng: [
        Case((_v(rng, 4, 2),), {"shape": (5,), "dim": 0, "step": 1}), Case((_v(rng, 2, 2, 4),), {"shape": (2, 7), "dim": 1, "step": 3}),
        Case((_v(rng, 2, 3, 2),), {"shape": (5, 3), "dim": 0, "step": 3})],
        torch=lambda t, x, shape, dim, step: _laid_back(t, x, shape, lambda y: y.unfold(dim, x.shape[-1], step))),
    Record("as_strided", lambda t, x, size, stride, offset: x.contiguous().as_strided(size, stride, offset), _strided,
           _on((3, 4), size=[(2, 3), (3, 2), (4,), (), (2, 2), (0, 2)], stride=[(4, 1), (1, 1), (0,), (), (5, 2), (1, 1)],
               offset=[0, 5, 2, 7, 1, 0]), errors=(
            (lambda t: t.ones(2, 3).as_strided((4,), (2,)), errors.IndexRangeError,
             "as_strided: size (4,), stride (2,), storage_offset 0 reach element 6; the memory of float32 (2, 3) has 6"),
            (lambda t: t.ones(6).as_strided((2, 2), (1,)), errors.ShapeError, "as_strided: 2 sizes but 1 strides"),
            (lambda t: t.ones(6).as_strided((2,), (-1,), 1), errors.ArgumentError,
             "as_strided: sizes, strides and the offset cannot be negative"),
            (lambda t: t.ones(4, 4)[:, ::2].as_strided((2,), (1,)), errors.ShapeError,
             "as_strided: float32 (4, 2) does not fill its memory without gaps; use contiguous() first"))),
    Record("strided_add", lambda t, x, shape, stride, offset: registry["strided_add"].apply(x, shape=shape, stride=stride,
           offset=offset), _strided_added, lambda rng: [
               Case((_v(rng, *s),), {"shape": (3, 4), "stride": k, "offset": o}) for s, k, o in (
                   ((2, 3), (4, 1), 0), ((3, 2), (1, 1), 5), ((4,), (0,), 2), ((), (), 7))],
        torch=lambda t, x, shape, stride, offset: _laid_back(t, x, shape, lambda y: y.as_strided(x.shape, stride, offset))),
    _composed("tensor_split", "index", lambda t, x, how, dim: t.tensor_split(x, how, dim),
              lambda x, how, dim: tuple(np.array_split(x, how, dim)), _pieces, errors=(
                  _zero_d("tensor_split", call=lambda t: t.tensor(1.0).tensor_split(2)),
                  (lambda t: t.ones(3).tensor_split(0), errors.ArgumentError,
                   "tensor_split: the number of pieces must be positive, got 0"))),
    _composed("hsplit", "index", lambda t, x, how: (*t.hsplit(x, how), *t.vsplit(x, how), *t.dsplit(x, how)),
              lambda x, how: (*np.hsplit(x, how), *np.vsplit(x, how), *np.dsplit(x, how)), _on((2, 4, 6), how=[2, (1, 2), 1]),
              errors=((lambda t: t.ones(2, 3).hsplit(2), errors.ShapeError, "hsplit: dimension 1 of size 3 cannot be cut into 2 equal"),
                      (lambda t: t.ones(3).vsplit(3), errors.ShapeError, "vsplit: at least 2 dimensions are needed, got float32 (3,)"))),
    _composed("split_with_sizes", "index", lambda t, x, sizes, dim: (*x.split_with_sizes(sizes, dim), x.narrow_copy(dim, 1, 1)),
              lambda x, sizes, dim: (*np.split(x, np.cumsum(sizes)[:-1], dim), np.take(x, [1], dim)),
              _on((3, 3), sizes=[(1, 2), (0, 2, 1)], dim=[0, 1])),
    Record("view_dtype", lambda t, x: x.view(t.int32), lambda x: x.view("i4"), lambda rng: [
        Case((_v(rng, *n).astype("f4"),)) for n in ((3, 4), (2, 0))], order=0, result="int32", errors=(
               (lambda t: t.ones(2, 3).view(t.int64), errors.ShapeError,
                "view: the last dimension has 12 bytes, which elements of 8 bytes do not fill: float32 (2, 3) as int64"),
               (lambda t: t.ones(4, 2).T.view(t.int64), errors.ShapeError, "view: the last dimension must be contiguous"),
               (lambda t: t.tensor(1.0).view(t.int64), errors.ShapeError, "view: a 0-dimensional tensor can only be viewed as"))),
]  # fmt: skip


# ---------------------------------------------------------------- rolls, rotations, repeats
def _repeated(x, repeats, dim=None):
    return np.repeat(x, np.asarray(repeats) if not isinstance(repeats, int) else repeats, dim)


def _repeat(t, x, repeats, dim=None):
    return t.repeat_interleave(x, t.tensor(repeats) if isinstance(repeats, list) else repeats, dim)


turns = [
    Record("roll", lambda t, x, shifts, dims=None: t.roll(x, shifts, dims), lambda x, shifts, dims=None: np.roll(x, shifts, dims), _all(
        _on((3, 4), shifts=[1, -2, (1, 2), (1, 1), 7], dims=[0, -1, (0, 1), (1, 1), 0]), _on((3, 4), (), (0, 2), shifts=[3])), ints=True,
        errors=((lambda t: t.ones(3).roll((1, 2)), errors.ArgumentError, "roll: without dims there is one shift, got (1, 2)"),
                (lambda t: t.ones(3).roll((1, 2), 0), errors.ArgumentError, "roll: 2 shifts but 1 dims"),
                (lambda t: t.ones(3).roll(1, 1), errors.IndexRangeError, "roll: dim 1 is out of range"))),
    _composed("rot90", "flip", lambda t, x, k, dims=(0, 1): t.rot90(x, k, dims), lambda x, k, dims=(0, 1): np.rot90(x, k, dims),
              _on((2, 3), (2, 2, 3), k=[1, 2, -1], dims=[(0, 1), (1, 0), (-1, 0)]), errors=(
                  (lambda t: t.ones(3).rot90(), errors.ShapeError, "rot90: two dims of at least 2 dimensions are needed"),)),
    _composed("fliplr", "flip", lambda t, x: (t.fliplr(x), t.flipud(x)), lambda x: (np.fliplr(x), np.flipud(x)), _on((2, 3), (2, 2, 2)),
              errors=((lambda t: t.fliplr(t.ones(2)), errors.ShapeError, "fliplr: at least 2 dimensions are needed"), _zero_d("flipud"))),
    _composed("tile", "expand", lambda t, x, dims: t.tile(x, dims), lambda x, dims: np.tile(x, dims),
              _on((2, 3), dims=[(2,), (2, 1), (2, 1, 2)])),
    _composed("repeat_interleave", "expand", _repeat, _repeated, _on((2, 3), repeats=[2, 3, 0], dim=[None, 1, 0]), errors=(
        (lambda t: t.ones(3).repeat_interleave(-1), errors.ArgumentError, "repeat_interleave: repeats cannot be negative, got -1"),
        (lambda t: t.ones(3).repeat_interleave(2, output_size=5), errors.ArgumentError,
         "repeat_interleave: output_size is 5, the repeats add up to 6"))),
    _composed("repeat_interleave_by_tensor", "index", _repeat, _repeated, _on((3, 3), repeats=[[1, 0, 2], [2, 1, 1]], dim=[0, -1]),
              errors=((lambda t: t.ones(3).repeat_interleave(t.tensor([1, 2])), errors.ShapeError,
                       "repeat_interleave: 2 repeats for 3 slices; they must be equal in number"),
                      (lambda t: t.ones(2).repeat_interleave(t.ones(2)), errors.DTypeError,
                       "repeat_interleave: repeats must be integers in a vector, got float32 (2,)"))),
]  # fmt: skip


# ---------------------------------------------------------------- several tensors
def _two(*shapes):
    return lambda rng: [Case((values(rng, a), values(rng, b))) for a, b in shapes]


def _stacks(t, x, y):
    return t.hstack((x, y)), t.vstack((x, y)), t.dstack((x, y)), t.column_stack((x, y)), t.row_stack((x, y))


def _block_diag_ref(*blocks):
    blocks = [np.atleast_2d(b) for b in blocks]
    out = np.zeros((sum(b.shape[0] for b in blocks), sum(b.shape[1] for b in blocks)))
    i = j = 0
    for b in blocks:
        out[i : i + b.shape[0], j : j + b.shape[1]] = b
        i, j = i + b.shape[0], j + b.shape[1]
    return out


def _chosen(x, r, with_replacement):
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    return x[np.array(list(choose(range(len(x)), r)), dtype=int).reshape(-1, r)]


several = [
    _composed("hstack", "cat", _stacks, lambda x, y: (np.hstack((x, y)), np.vstack((x, y)), np.dstack((x, y)), np.column_stack((x, y)),
              np.vstack((x, y))), _two(((3,), (3,)), ((2, 3), (2, 3)), ((2, 2, 2), (2, 2, 2))), errors=(
                  (lambda t: t.vstack((t.ones(2), t.ones(3))), errors.ShapeError, "cat: tensor 1 has shape (1, 3), the first (1, 2)"),
                  (lambda t: t.hstack([]), errors.ArgumentError, "hstack: at least one tensor is needed"),
                  (lambda t: t.hstack(3), errors.DTypeError, "hstack: a tuple or list of tensors is needed, not int"),
                  (lambda t: t.cat([t.ones(2), 3]), errors.DTypeError, "cat: item 1 is not a tensor but int"))),
    _composed("hstack_of_numbers", "cat", _stacks, lambda x, y: (np.hstack((x, y)), np.vstack((x, y)), np.dstack((x, y)),
              np.column_stack((x, y)), np.vstack((x, y))), _two(((), ()))),
    _composed("atleast", "reshape", lambda t, x: (t.atleast_1d(x), t.atleast_2d(x), t.atleast_3d(x)), lambda x: (
        np.atleast_1d(x), np.atleast_2d(x), np.atleast_3d(x)), _on((), (3,), (2, 3), (0,))),
    _composed("block_diag", "pad", lambda t, *xs: t.block_diag(*xs), _block_diag_ref, lambda rng: [
        Case((_v(rng, 2, 3), _v(rng, 2), _v(rng))), Case((_v(rng, 1, 1),)), Case((_v(rng, 0, 2), _v(rng, 2, 0)))], errors=(
            (lambda t: t.block_diag(t.ones(1, 1, 1)), errors.ShapeError, "block_diag: at most 2 dimensions, but tensor 0 is"),)),
    _composed("broadcast_tensors", "expand", lambda t, x, y: t.broadcast_tensors(x, y), lambda x, y: tuple(np.broadcast_arrays(x, y)),
              _two(((3, 1), (4,)), ((), (2,))), errors=(
                  (lambda t: t.broadcast_tensors(t.ones(2), t.ones(3)), errors.ShapeError,
                   "broadcast_shapes: shapes (2,) and (3,) do not broadcast"),)),
    _composed("meshgrid", "expand", lambda t, x, y, indexing: t.meshgrid(x, y, indexing=indexing),
              lambda x, y, indexing: tuple(np.meshgrid(x, y, indexing=indexing)), lambda rng: [
                  Case((_v(rng, 2), _v(rng, 3)), {"indexing": i}) for i in ("ij", "xy")] + [
                  Case((_v(rng), _v(rng, 2)), {"indexing": "ij"})], errors=(
                  (lambda t: t.meshgrid(t.ones(2), t.ones(2, 2)), errors.ShapeError, "meshgrid: vectors are needed, but tensor 1 is"),
                  (lambda t: t.meshgrid(t.ones(2), indexing="yx"), errors.ArgumentError, "meshgrid: indexing must be 'ij' or 'xy'"))),
    _composed("cartesian_prod", "expand", lambda t, x, y: t.cartesian_prod(x, y), lambda x, y: np.stack(
        [np.repeat(x, len(y)), np.tile(y, len(x))], 1), _two(((2,), (3,)), ((1,), (2,))), errors=(
            (lambda t: t.cartesian_prod(t.ones(2), t.ones(1, 1)), errors.ShapeError,
             "cartesian_prod: vectors are needed, but tensor 1 is"),)),
    _composed("combinations", "index", lambda t, x, r, with_replacement: t.combinations(x, r, with_replacement), _chosen,
              _on((4,), r=[2, 3, 1, 5], with_replacement=[False, True, False, False]), errors=(
                  (lambda t: t.combinations(t.ones(2, 2)), errors.ShapeError, "combinations: a vector is needed"),)),
]  # fmt: skip


# ---------------------------------------------------------------- padding
def _pad(t, x, pad, mode="constant", value=None):
    return t.nn.functional.pad(x, pad, mode, value)


_NUMPY_MODE = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def _pad_ref(x, pad, mode="constant", value=None):
    pairs = [(0, 0)] * (x.ndim - len(pad) // 2) + list(zip(pad[-2::-2], pad[::-2], strict=True))
    if mode == "circular":
        x, pairs = x[tuple(slice(max(-p, 0), n + min(q, 0)) for n, (p, q) in zip(x.shape, pairs, strict=True))], [
            (max(p, 0), max(q, 0)) for p, q in pairs]  # fmt: skip
    more = [(max(p, 0), max(q, 0)) for p, q in pairs]
    kw = {"constant_values": value or 0} if mode == "constant" else {}
    y = np.pad(x, more, _NUMPY_MODE.get(mode, mode), **kw)
    return y[tuple(slice(max(-p, 0), n + min(q, 0)) for n, (p, q) in zip(y.shape, pairs, strict=True))]


def _wrapped(mode):
    def cases(rng):
        made = [Case((_v(rng, 2, 4),), {"pad": p, "mode": mode}) for p in ((1, 2), (3, 0), (-1, 2), (2, -1), (-1, -1))]
        made += [Case((_v(rng, 1, 3, 4),), {"pad": (1, 2, 2, 1), "mode": mode})]
        return [*made, Case((_v(rng, 1, 2, 2, 3),), {"pad": (1, 0, 0, 1, 1, 1), "mode": mode})]

    return cases


_f = lambda t, *a, **k: t.nn.functional.pad(*a, **k)  # noqa: E731

padding = [
    Record("pad", _pad, _pad_ref, _all(
        _on((3, 4), pad=[(1, 2), (0, 1, 2, 0), (-1, 2), (-2, -2, 1, -1), ()], value=[None, 1.5, -2.0, None, None]),
        _on((0, 2), (2,), pad=[(1, 1)], value=[0.5])), errors=(
            (lambda t: _f(t, t.ones(2, 3), (1,)), errors.ShapeError,
             "pad: two numbers for each of the last dimensions are needed, got (1,) for float32 (2, 3)"),
            (lambda t: _f(t, t.ones(3).int(), (1, 0), value=float("inf")), errors.ArgumentError,
             "pad: inf cannot be stored in a tensor of int32"),
            (lambda t: _f(t, t.ones(2, 3), (-2, -2)), errors.ShapeError, "pad: (-2, -2) takes away more than dimension 1 of size 3 has"),
            (lambda t: _f(t, t.ones(3), (1, 1), "mirror"), errors.ArgumentError,
             "pad: mode must be one of constant, reflect, replicate, circular, not 'mirror'"))),
    _composed("pad_reflect", "flip", _pad, _pad_ref, _wrapped("reflect"), ints=False, errors=(
        (lambda t: _f(t, t.ones(2, 3), (3, 0), "reflect"), errors.ShapeError,
         "pad: mode 'reflect' can add at most 2 to dimension 1 of size 3, not (3, 0)"),
        (lambda t: _f(t, t.ones(2, 3), (1, 0), "reflect", 1.0), errors.ArgumentError, "pad: mode 'reflect' takes no value, got 1.0"))),
    _composed("pad_replicate", "expand", _pad, _pad_ref, _wrapped("replicate"), ints=False),
    _composed("pad_circular", "cat", _pad, _pad_ref, _wrapped("circular"), ints=False, errors=(
        (lambda t: _f(t, t.ones(2, 3), (4, 0), "circular"), errors.ShapeError, "pad: mode 'circular' can add at most 3"),)),
]  # fmt: skip

# ---------------------------------------------------------------- names beside those in moving.py
names = [
    _composed("adjoint", "permute", lambda t, x: (t.adjoint(x), x.mH, x.mT),
              lambda x: (np.swapaxes(x, -1, -2),) * 3, _on((2, 3), (2, 2, 3)),
              errors=((lambda t: t.adjoint(t.ones(3)), errors.ShapeError, "adjoint: at least 2 dimensions are needed"),)),
    _composed("ravel", "reshape", lambda t, x: (t.ravel(x), t.moveaxis(x, 0, -1).ravel()),
              lambda x: (x.ravel(), np.moveaxis(x, 0, -1).ravel()),
              _on((2, 3), (0, 2), (2, 1, 2))),
    _composed("swapaxes", "permute", lambda t, x: (t.swapaxes(x, 0, 1), x.swapdims(0, 1), x.H), lambda x: (x.T, x.T, x.T), _on((2, 3))),
    _composed("keywords", "reshape", lambda t, x: (t.reshape(x, shape=(3, 2)), t.permute(x, dims=(1, 0)), t.flip(x, dims=(0,)),
              t.cat((x, x), axis=1), t.unsqueeze(x, axis=1), t.tile(x, dims=(2,))), lambda x: (x.reshape(3, 2), x.T, x[::-1],
              np.hstack((x, x)), x[:, None], np.tile(x, 2)), _on((2, 3))),
]  # fmt: skip

RECORDS = [*diagonals, *windows, *turns, *several, *padding, *names]
