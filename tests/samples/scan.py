"""Records of the running results along a dimension, differences and integrals, and the recurrence that is their derivative."""

import numpy as np
import scipy.integrate

from samples.base import Case, Record, distinct, values
from tensorlite import errors
from tensorlite.op import registry


def _call(op):
    return lambda t, x, **kw: getattr(t, op)(x, **kw)


def _np(f):
    return lambda x, dim: f(x, axis=dim) if x.ndim else x


def _cases(make):
    def cases(rng):
        made = [Case((make(rng, (2, 3, 4)),), {"dim": d}) for d in (0, 1, -1)]
        return [*made, Case((make(rng, (6,)),), {"dim": 0}), Case((make(rng, ()),), {"dim": -1}),
                Case((np.zeros((0, 2)),), {"dim": 0}), Case((np.zeros((0, 2)),), {"dim": 1})]  # fmt: skip

    return cases


def _cumprod_cases(rng):
    made = _cases(values)(rng)
    for zeros in (1, 2, 3):
        x = values(rng, (2, 5), 0.5, 2.0)
        x[0, rng.permutation(5)[:zeros]] = 0.0
        made.append(Case((x,), {"dim": 1}, f"{zeros} zeros"))
    return made


def _logcumsumexp_ref(x, dim):
    return np.logaddexp.accumulate(x, axis=dim) if x.ndim and x.size else x


def _logcumsumexp_cases(rng):
    x = values(rng, (5,))
    x[[1, 3]] = -np.inf
    wide = np.array([-900.0, 800.0, 801.0, -5.0, 2.0])
    return [*_cases(values)(rng), Case((x,), {"dim": 0}, "-inf"), Case((wide,), {"dim": 0}, "large")]


def _running(better):
    """The latest index of the best element up to each place, and nan as the best of all."""

    def ref(x, dim):
        if not x.ndim:
            return np.zeros((), np.int64)
        moved, out = np.moveaxis(x, dim, 0), np.zeros(np.moveaxis(x, dim, 0).shape, np.int64)
        for place in np.ndindex(*moved.shape[1:]):
            best = 0
            for i in range(len(moved)):
                new, old = moved[(i, *place)], moved[(best, *place)]
                best = i if np.isnan(new) or (not np.isnan(old) and better(new, old)) else best
                out[(i, *place)] = best
        return np.moveaxis(out, 0, dim)

    return ref


def _running_cases(rng):
    ties = rng.integers(0, 3, (3, 6)).astype(float)
    return [*_cases(distinct)(rng), Case((ties,), {"dim": 1}, "ties")]


def _nan_cases(rng):
    return [*_running_cases(rng), Case((np.array([1.0, np.nan, 2.0, np.nan, 5.0]),), {"dim": 0}, "nan")]


def _values_ref(f):
    return lambda x, dim: f.accumulate(x, axis=dim) if x.ndim and x.size else x


def _scan_ref(a, x, dim, reverse):
    a, x = np.moveaxis(a, dim, 0), np.moveaxis(x, dim, 0)
    a, x = (a[::-1], x[::-1]) if reverse else (a, x)
    out, h = [], 0.0
    for s, v in zip(a, x, strict=True):
        h = s * h + v
        out.append(h)
    out = np.stack(out) if out else x
    return np.moveaxis(out[::-1] if reverse else out, 0, dim)


def _scan_torch(t, a, x, dim, reverse):
    n = x.shape[dim]
    out, h = [None] * n, 0.0
    for i in range(n)[::-1] if reverse else range(n):
        out[i] = h = a.select(dim, i) * h + x.select(dim, i)
    return t.stack(out, dim) if n else x + a


def _shift_ref(x, n, dim, fill):
    out, size = np.full(x.shape, fill), x.shape[dim]
    moved, old = np.moveaxis(out, dim, 0), np.moveaxis(x, dim, 0)
    for i in range(size):
        if 0 <= i - n < size:
            moved[i] = old[i - n]
    return out


def _shift_torch(t, x, n, dim, fill):
    size = x.shape[dim]
    cut = x.narrow(dim, max(-n, 0), max(size - abs(n), 0)) if abs(n) < size else x.narrow(dim, 0, 0)
    shape = list(x.shape)
    shape[dim] = size - cut.shape[dim]
    edge = t.full(shape, fill, dtype=x.dtype)
    return t.cat([edge, cut] if n > 0 else [cut, edge], dim)


def _diff_cases(rng):
    x = values(rng, (3, 4))
    made = [Case((x,), {"dim": d, "n": n}) for d in (0, -1) for n in (1, 2)] + [Case((x,)), Case((values(rng, (1,)),))]
    return [*made, Case((np.zeros((0, 2)),), {"dim": 1})]


def _joined(t, x, before, after):
    return t.diff(x, prepend=before, append=after)


def _trapezoid_cases(rng):
    y, x = values(rng, (3, 4)), np.sort(values(rng, (4,)))
    return [Case((y,)), Case((y,), {"dim": 0}), Case((y,), {"dx": 0.5}), Case((y, x)), Case((y, values(rng, (3, 4)))),
            Case((values(rng, (1,)),))]  # fmt: skip


def _trapezoid(op):
    return lambda t, y, *x, **kw: getattr(t, op)(y, *x, **kw)


def _trapezoid_ref(y, x=None, dx=1.0, dim=-1):
    return scipy.integrate.trapezoid(y, x, dx=dx, axis=dim)


def _cumulative_ref(y, x=None, dx=1.0, dim=-1):
    return scipy.integrate.cumulative_trapezoid(y, x, dx=dx, axis=dim)


def _faults(op):
    return (
        (lambda t: getattr(t, op)(t.ones(2, 3), 2), errors.IndexRangeError, f"{op}: dim 2 is out of range"),
        (lambda t: getattr(t, op)(t.ones(2, 3), (0, 1)), errors.DTypeError, f"{op}: dim must be an int, not tuple"),
        (lambda t: getattr(t, op)([1.0], 0), errors.DTypeError, f"{op}: a Tensor is needed, not list"),
    )


RECORDS = [
    Record("cumsum", _call("cumsum"), _np(np.cumsum), _cases(values), ints=True, result="sum", errors=_faults("cumsum")),
    Record("cumprod", _call("cumprod"), _np(np.cumprod), _cumprod_cases, ints=True, result="sum",
           errors=_faults("cumprod")),
    Record("logcumsumexp", _call("logcumsumexp"), _logcumsumexp_ref, _logcumsumexp_cases, errors=(
        *_faults("logcumsumexp"), (lambda t: t.logcumsumexp(t.tensor([1, 2]), 0), errors.DTypeError,
                                   "logcumsumexp: a floating-point tensor is needed, got int64 (2,); use x.float()"))),
    Record("cummax", lambda t, x, dim: t.cummax(x, dim).indices, _running(np.greater_equal), _nan_cases, order=0,
           ints=True, result="int64", errors=_faults("cummax")),
    Record("cummin", lambda t, x, dim: t.cummin(x, dim).indices, _running(np.less_equal), _nan_cases, order=0, ints=True,
           result="int64", errors=_faults("cummin")),
    Record("take_along", lambda t, x, dim: t.cummax(x, dim).values, _values_ref(np.maximum), _cases(distinct),
           name="cummax_values", ints=True, kinks="ties"),
    Record("take_along", lambda t, x, dim: t.cummin(x, dim).values, _values_ref(np.minimum), _cases(distinct),
           name="cummin_values", ints=True, kinks="ties"),
    Record("linear_scan", lambda t, a, x, **kw: registry["linear_scan"].apply(a, x, **kw), _scan_ref, lambda rng: [
        Case((values(rng, s), values(rng, s)), {"dim": d, "reverse": r}) for s, d in (
            ((6,), 0), ((2, 5), 1), ((3, 2), 0), ((1,), 0), ((0, 2), 0)) for r in (False, True)], torch=_scan_torch),
    Record("shift", lambda t, x, **kw: registry["shift"].apply(x, **kw), _shift_ref, lambda rng: [
        Case((values(rng, (2, 3)),), {"n": n, "dim": d, "fill": 1.0}) for n in (1, -1, 2, -3, 5) for d in (0, 1)],
        torch=_shift_torch),
    Record("sub", _call("diff"), lambda x, n=1, dim=-1: np.diff(x, n=n, axis=dim), _diff_cases, name="diff", ints=True,
           errors=((lambda t: t.diff(t.tensor(1.0)), errors.ShapeError,
                    "diff: at least one dimension is needed, got float32 ()"),
                   (lambda t: t.diff(t.ones(2), n=-1), errors.ArgumentError, "diff: n must not be negative, got -1"),
                   (lambda t: t.diff(t.ones(2), dim=1), errors.IndexRangeError, "diff: dim 1 is out of range"))),
    Record("sub", _joined, lambda x, a, b: np.diff(x, prepend=a, append=b), lambda rng: [
        Case((values(rng, (2, 3)), values(rng, (2, 1)), values(rng, (2, 2))))], name="diff_joined"),
    Record("sum", _trapezoid("trapezoid"), _trapezoid_ref, _trapezoid_cases, name="trapezoid", errors=(
        (lambda t: t.trapezoid(t.ones(2, 3), t.ones(2)), errors.ShapeError,
         "trapezoid: x has 2 places, y (2, 3) has 3 samples along dim 1"),
        (lambda t: t.trapz(t.tensor(1.0)), errors.ShapeError, "trapezoid: at least one dimension is needed"))),
    Record("cumsum", _trapezoid("cumulative_trapezoid"), _cumulative_ref, _trapezoid_cases, name="cumulative_trapezoid"),
]  # fmt: skip
