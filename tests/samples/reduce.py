"""Records of the reductions, their inverse (sum_to), and matrix products."""

import numpy as np
import scipy.special

from samples.base import Case, Record, distinct, values
from tensorlite import errors

_DIMS = (None, 0, 1, -1, (0, 2), (-1, 0), (0, 1, 2))


def _np(f, **fixed):
    """A NumPy reduction under PyTorch's argument names."""
    return lambda x, dim=None, keepdim=False, **kw: f(x, axis=dim if x.ndim else None, keepdims=keepdim, **fixed, **kw)


def _cases(make, empty=True, dims=_DIMS, more=()):
    def cases(rng):
        made = [Case((make(rng, (2, 3, 4)),), {"dim": d, "keepdim": k}) for d in dims for k in (False, True)]
        made += [
            Case((make(rng, (5,)),)),
            Case((make(rng, ()),)),
            Case((make(rng, ()),), {"dim": 0}),
            Case((make(rng, (1, 1)),)),
        ]
        if empty:
            made += [Case((np.zeros(s),), a) for s in ((0,), (2, 0), (0, 3)) for a in ({}, {"dim": -1}, {"dim": 0})]
        else:
            made += [Case((np.zeros((0, 3)),), {"dim": 1}), Case((np.zeros((2, 0, 3)),), {"dim": -1, "keepdim": True})]
        return [*made, *more]

    return cases


def _out_of_range(op):
    return (lambda t: getattr(t, op)(t.ones(2, 3), 2), errors.IndexRangeError,
            f"{op}: dim 2 is out of range for a tensor of 2 dimensions (it may be -2 to 1)")  # fmt: skip


def _twice(op):
    return (
        lambda t: getattr(t, op)(t.ones(2, 3), (0, -2)),
        errors.ArgumentError,
        f"{op}: a dimension appears twice in dim=(0, -2)",
    )


def _empty(op):
    return (lambda t: getattr(t, op)(t.ones(0, 3)), errors.ShapeError, f"{op}: the tensor is empty, float32 (0, 3)")


def _not_float(op):
    return (lambda t: getattr(t, op)(t.tensor([1, 2])), errors.DTypeError,
            f"{op}: a floating-point tensor is needed, got int64 (2,); use x.float()")  # fmt: skip


def _reduced(op):
    return lambda t, x, **kw: getattr(t, op)(x, **kw)


def _var_ref(x, dim=None, keepdim=False, correction=1):
    with np.errstate(all="ignore"):
        return np.var(x, axis=dim, keepdims=keepdim, ddof=correction)


def _var_cases(rng):
    made = [Case((values(rng, (2, 3, 4)),), {"dim": d, "keepdim": k}) for d in _DIMS for k in (False, True)]
    made += [Case((values(rng, (3, 4)),), {"dim": d, "correction": c}) for d in (0, -1) for c in (0, 1, 2)]
    return [*made, Case((values(rng, (5,)),))]


def _lse_ref(x, dim, keepdim=False):
    return scipy.special.logsumexp(x, axis=dim, keepdims=keepdim)


def _lse_cases(rng):
    made = [Case((values(rng, (2, 3, 4)),), {"dim": d, "keepdim": k}) for d in _DIMS[1:] for k in (False, True)]
    made += [
        Case((values(rng, (3,)) * 1e4,), {"dim": 0, "keepdim": True}, "large"),
        Case((values(rng, ()),), {"dim": 0}),
    ]
    return [*made, Case((np.zeros((0, 3)),), {"dim": 1})]


def _arg_ref(f):
    def ref(x, dim=None, keepdim=False):
        return f(x) if dim is None or not x.ndim else f(x, axis=dim, keepdims=keepdim)

    return ref


def _arg_cases(rng):
    ties = rng.integers(0, 3, (4, 5)).astype(float)
    made = [Case((distinct(rng, (2, 3, 4)),), {"dim": d, "keepdim": k}) for d in (0, 1, -1) for k in (False, True)]
    made += [Case((ties,), {"dim": d}, f"ties {d}") for d in (0, 1)]
    return [*made, Case((distinct(rng, (3, 4)),)), Case((np.array(1.0),)), Case((np.array(1.0),), {"dim": 0}),
            Case((np.array([0.0, np.nan, 2.0, np.nan]),), {"dim": 0}, "nan"), Case((np.zeros((0, 3)),), {"dim": 1})]  # fmt: skip


def _mean_ref(x, dim=None, keepdim=False, correction=1):
    return np.mean(x, axis=dim, keepdims=keepdim)


def _prod_cases(rng):
    made = _cases(values, dims=(None, 0, 1, -1))(rng)
    for zeros in (1, 2, 3):
        x = values(rng, (2, 5), 0.5, 2.0)
        x[0, rng.permutation(5)[:zeros]] = 0.0
        made += [Case((x,), {"dim": 1}, f"{zeros} zeros"), Case((x,), {}, f"{zeros} zeros of all")]
    return made


def _prod_torch(t, x, dim=None, keepdim=False):
    return t.prod(x, dim, keepdim) if dim is not None else t.prod(x).reshape((1,) * x.ndim if keepdim else ())


def _norm_ref(x, p="fro", dim=None, keepdim=False):
    a, p = np.abs(x), 2 if p == "fro" else p
    how = {"axis": dim if x.ndim else None, "keepdims": keepdim}
    if p == 0:
        return (x != 0).astype(float).sum(**how)
    if np.isinf(p):
        return a.max(**how) if p > 0 else a.min(**how)
    return (a**p).sum(**how) ** (1.0 / p)


def _norm_cases(rng):
    made = [Case((values(rng, (2, 3, 4), away=(0,)),), {"dim": d, "keepdim": k}) for d in _DIMS for k in (False, True)
            if not isinstance(d, tuple) or len(d) == 2]  # fmt: skip
    for p in (0, 1, 2, 3, 4, 2.5, 0.5, -1, np.inf, -np.inf):
        x = distinct(rng, (3, 4), 0.3, 2.0) * rng.choice([-1.0, 1.0], (3, 4))
        made += [Case((x,), {"p": p}), Case((x,), {"p": p, "dim": 1})]
    x = values(rng, (2, 3), away=(0,))
    x[0, 1] = 0.0  # smooth there, as the norm is not 0
    made += [Case((x,), {"p": p, "dim": -1}, f"a 0 among others, p={p}") for p in (2, 4)]
    return [*made, Case((values(rng, (5,), away=(0,)),)), Case((np.array(-1.5),)), Case((np.zeros((0, 3)),), {"dim": 1}),
            Case((np.zeros((2, 0)),), {"p": 1})]  # fmt: skip


def _nan_cases(rng):
    x = values(rng, (3, 4))
    x[0, 1] = x[2, 3] = np.nan
    made = [Case((x,), {"dim": d, "keepdim": k}, f"nan {d} {k}") for d in (None, 0, -1, (0, 1)) for k in (False, True)]
    return [*made, Case((values(rng, (2, 3)),)), Case((values(rng, ()),))]


def _bools(rng, shape):
    return rng.integers(0, 2, shape).astype(bool)


def _sum_to_ref(x, shape):
    y = x.sum(axis=tuple(range(x.ndim - len(shape))))
    return y.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True)


reductions = [
    Record("sum", _reduced("sum"), _np(np.sum), _cases(values), ints=True, result="sum",
           errors=(_out_of_range("sum"), _twice("sum"))),
    Record("mean", _reduced("mean"), _np(np.mean), _cases(values, empty=False),
        errors=(_not_float("mean"), _out_of_range("mean"))),
    Record("var", _reduced("var"), _var_ref, _var_cases, errors=(_not_float("var"),)),
    Record("var", _reduced("std"), lambda *a, **k: np.sqrt(_var_ref(*a, **k)), _var_cases, name="std",
           kinks="a constant row"),
    Record("amax", _reduced("amax"), _np(np.max), _cases(distinct, empty=False, dims=_DIMS[1:]), ints=True, kinks="ties",
           errors=(_empty("amax"), _out_of_range("amax"))),
    Record("amin", _reduced("amin"), _np(np.min), _cases(distinct, empty=False, dims=_DIMS[1:]), ints=True, kinks="ties",
           errors=(_empty("amin"),)),
    Record("amax", lambda t, x: t.max(x), np.max, lambda rng: [Case((distinct(rng, s),)) for s in ((2, 3), (4,), ())],
           ints=True, kinks="ties", name="max", errors=(
               (lambda t: t.max(t.ones(0)), errors.ShapeError, "max: the tensor is empty, float32 (0,)"),)),
    Record("amin", lambda t, x: t.min(x), np.min, lambda rng: [Case((distinct(rng, s),)) for s in ((2, 3), (4,), ())],
           ints=True, kinks="ties", name="min"),
    Record("logsumexp", _reduced("logsumexp"), _lse_ref, _lse_cases, ints=True, result="float",
           errors=(_out_of_range("logsumexp"),)),
    Record("argmax", _reduced("argmax"), _arg_ref(np.argmax), _arg_cases, order=0, ints=True, result="int64",
           errors=(_empty("argmax"), _out_of_range("argmax"))),
    Record("argmin", _reduced("argmin"), _arg_ref(np.argmin), _arg_cases, order=0, ints=True, result="int64",
           errors=(_empty("argmin"),)),
    Record("prod", _reduced("prod"), _np(np.prod), _prod_cases, ints=True, result="sum", torch=_prod_torch, errors=(
        _out_of_range("prod"), (lambda t: t.prod(t.ones(2, 3), (0, 1)), errors.DTypeError,
                                "prod: dim must be an int, not tuple"))),
    Record("norm", _reduced("norm"), _norm_ref, _norm_cases, kinks="0; ties of p = inf", low_precision=8.0, errors=(
        _not_float("norm"), (lambda t: t.norm(t.ones(2, 3), dim=2), errors.IndexRangeError, "norm: dim 2 is out of range"),
        (lambda t: t.norm(t.ones(2), "nuc"), errors.ArgumentError, "norm: p must be a number or 'fro', got 'nuc'"),
        (lambda t: t.norm(t.ones(0, 3), float("inf")), errors.ShapeError, "norm: the tensor is empty, float32 (0, 3)"))),
    Record("var", _reduced("var_mean"), lambda *a, **k: (_var_ref(*a, **k), _mean_ref(*a, **k)), _var_cases,
           name="var_mean", errors=(_not_float("var_mean"),)),
    Record("var", _reduced("std_mean"), lambda *a, **k: (np.sqrt(_var_ref(*a, **k)), _mean_ref(*a, **k)), _var_cases,
           name="std_mean", kinks="a constant row", errors=(
               (lambda t: t.std_mean(t.ones(2), 0, True, correction=1), errors.ArgumentError,
                "std_mean: give either unbiased or correction, not both"),)),
    Record("amax", _reduced("aminmax"), lambda x, dim=None, keepdim=False: tuple(
        f(x, axis=dim if x.ndim else None, keepdims=keepdim) for f in (np.min, np.max)), lambda rng: [
            Case((distinct(rng, (2, 3, 4)),), {"dim": d, "keepdim": k}) for d in (0, -1) for k in (False, True)] + [
            Case((distinct(rng, (3, 2)),)), Case((np.array(1.0),)), Case((np.array(1.0),), {"dim": 0})],
           name="aminmax", ints=True, kinks="ties", errors=(_empty("aminmax"),)),
    *[Record("take_along", lambda t, x, dim, keepdim=False, f=f: getattr(t, f)(x, dim, keepdim).values,
             lambda x, dim, keepdim=False, f=f: getattr(np, f)(x, axis=dim if x.ndim else None, keepdims=keepdim and x.ndim),
             lambda rng: [Case((distinct(rng, (2, 3, 4)),), {"dim": d, "keepdim": k}) for d in (0, -1) for k in (
                 False, True)] + [Case((np.array(1.0),), {"dim": 0, "keepdim": True}), Case((np.zeros((0, 3)),), {"dim": 1})],
             name=f"{f}_along", ints=True, kinks="ties", errors=(
                 (lambda t, f=f: getattr(t, f)(t.ones(0, 3), 0), errors.ShapeError, f"{f}: the tensor is empty"),
                 (lambda t, f=f: getattr(t, f)(t.ones(2, 3), 2), errors.IndexRangeError, f"{f}: dim 2 is out of range")))
      for f in ("max", "min")],
    Record("sum", _reduced("nansum"), _np(np.nansum), _nan_cases, name="nansum", ints=True, result="sum"),
    Record("sum", _reduced("nanmean"), _np(np.nanmean), _nan_cases, name="nanmean", errors=(_not_float("nanmean"),)),
    Record("ne", _reduced("count_nonzero"), lambda x, dim=None: np.count_nonzero(x, axis=dim), lambda rng: [
        Case((rng.integers(0, 3, s).astype(float),), {"dim": d}) for s in ((2, 3), (0, 2)) for d in (None, 0, -1, (0, 1))] + [
        Case((np.array(2.0),))], name="count_nonzero", order=0, ints=True, result="int64",
           errors=(_out_of_range("count_nonzero"),)),
    Record("all", _reduced("all"), _np(np.all), _cases(_bools, dims=_DIMS[:6]), order=0, ints=True, result="bool"),
    Record("any", _reduced("any"), _np(np.any), _cases(_bools, dims=_DIMS[:6]), order=0, ints=True, result="bool"),
    Record("sum_to", lambda t, x, shape: x.sum_to_size(shape), _sum_to_ref, lambda rng: [
        Case((values(rng, (2, 3, 4)),), {"shape": s}) for s in ((2, 3, 4), (3, 4), (4,), (1, 3, 1), (3, 1), (1, 1, 1), ())],
        errors=((lambda t: t.ones(2, 3).sum_to_size(2), errors.ShapeError,
                 "sum_to_size: (2,) does not broadcast to float32 (2, 3): each size must be 1 or equal"),)),
]  # fmt: skip

_PRODUCTS = (
    ((3, 4), (4, 2)), ((4,), (4,)), ((3, 4), (4,)), ((4,), (4, 2)), ((2, 3, 4), (2, 4, 5)), ((2, 3, 4), (4, 5)),
    ((3, 4), (2, 4, 5)), ((2, 1, 3, 4), (3, 4, 2)), ((2, 3, 4), (4,)), ((4,), (2, 4, 3)), ((1, 1), (1, 1)),
    ((3, 0), (0, 2)), ((0, 3), (3, 2)), ((2, 3, 0), (0, 2)), ((0, 2, 3), (3, 2)), ((2, 0, 3), (2, 3, 1)),
)  # fmt: skip


def _ranked(op, *shapes):
    return Record("matmul", lambda t, x, y: getattr(t, op)(x, y), np.matmul,
                  lambda rng: [Case((values(rng, shapes[0]), values(rng, shapes[1])))], name=op, errors=(
                      (lambda t: getattr(t, op)(t.ones(2, 2, 2, 2), t.ones(2, 2, 2, 2)), errors.ShapeError,
                          f"{op}: expects "),))  # fmt: skip


products = [
    Record("matmul", lambda t, x, y: t.matmul(x, y), np.matmul,
           lambda rng: [Case((values(rng, a), values(rng, b))) for a, b in _PRODUCTS], ints=True, errors=(
               (lambda t: t.ones(2, 3) @ t.ones(4, 3), errors.ShapeError,
                "matmul: inner dimensions differ: (2, 3) has 3, (4, 3) expects 4; other.T would fit"),
               (lambda t: t.ones(2) @ t.ones(3), errors.ShapeError,
                   "matmul: inner dimensions differ: (2,) has 2, (3,) expects 3"),
               (lambda t: t.ones(2, 3, 4) @ t.ones(3, 4, 5), errors.ShapeError, "do not broadcast"),
               (lambda t: t.tensor(1.0) @ t.ones(2), errors.ShapeError,
                "matmul: both operands need at least 1 dimension; use * for numbers"),
               (lambda t: t.matmul(t.ones(2), 3), errors.DTypeError, "matmul: a Tensor is needed, not int"))),
    Record("matmul", lambda t, x, y: x @ y, np.matmul, lambda rng: [Case((values(rng, (2, 3)), values(rng, (3, 2))))],
           name="matmul_operator"),
    _ranked("mm", (2, 3), (3, 4)),
    _ranked("bmm", (2, 3, 4), (2, 4, 1)),
    _ranked("mv", (2, 3), (3,)),
    _ranked("dot", (3,), (3,)),
]  # fmt: skip

RECORDS = [*reductions, *products]
