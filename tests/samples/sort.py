"""Records of sorting and searching, medians, modes, quantiles, and of what counts: unique, bincount, histograms."""

import numpy as np
import scipy.stats

from samples.base import Case, Record, distinct, values
from tensorlite import errors

DIMS = (0, 1, -1)


def _call(op, result=None):
    if result:
        return lambda t, *x, **kw: getattr(getattr(t, op)(*x, **kw), result)
    return lambda t, *x, **kw: getattr(t, op)(*x, **kw)


def _cases(keepdim=False, empty=True, **args):
    def cases(rng):
        made = [Case((distinct(rng, (2, 3, 4)),), {"dim": d, **args}) for d in DIMS]
        made += [Case((distinct(rng, (2, 3)),), {"dim": 0, "keepdim": True, **args})] if keepdim else []
        made += [Case((distinct(rng, (5,)),), args), Case((np.array(1.5),), args)]
        return made + ([Case((np.zeros((2, 0)),), args)] if empty else [Case((np.zeros((0, 2)),), {"dim": 1, **args})])

    return cases


def _with_ties(cases, odd=True, **args):
    """Also ties, which come in their order, and nan, which comes last."""

    def more(rng):
        nan = [Case((np.array([2.0, np.nan, 1.0, np.nan, 3.0]),), args, "nan")] if odd else []
        return [*cases(rng), Case((rng.integers(0, 3, (2, 7)).astype(float),), args, "ties"), *nan]

    return more


def _order(x, dim=-1, descending=False):
    if not x.ndim:
        return np.zeros((), np.int64)
    rank = np.where(np.isnan(x), np.inf, x)
    return np.argsort(-rank if descending else rank, axis=dim, kind="stable")


def _sorted(x, dim=-1, descending=False):
    return np.take_along_axis(x, _order(x, dim, descending), dim) if x.ndim else x


def _first(f):
    """The first k of what f gives."""

    def ref(x, k, dim=-1, largest=True):
        return np.take(f(x, dim, largest), np.arange(k), axis=dim) if x.ndim else f(x, dim)

    return ref


def _kth(f):
    def ref(x, k, dim=-1, keepdim=False):
        found = np.take(f(x, dim), [k - 1], axis=dim) if x.ndim else f(x, dim)
        return found if keepdim or not x.ndim else found.squeeze(dim)

    return ref


def _median_index(x, dim=-1, keepdim=False):
    if not x.ndim:
        return np.zeros((), np.int64)
    nans = np.isnan(x)
    middle = np.take(_order(x, dim), [(x.shape[dim] - 1) // 2], axis=dim)
    found = np.where(nans.any(axis=dim, keepdims=True), np.argmax(nans, axis=dim, keepdims=True), middle)
    return found if keepdim else found.squeeze(dim)


def _median(x):
    return np.array(np.nan) if np.isnan(x).any() or not x.size else np.sort(x, axis=None)[(x.size - 1) // 2]


def _at(index):
    def ref(x, dim=-1, keepdim=False):
        if not x.ndim:
            return x
        found = np.take_along_axis(x, index(x, dim, True), dim)
        return found if keepdim else found.squeeze(dim)

    return ref


def _mode_index(x, dim=-1, keepdim=False):
    if not x.ndim:
        return np.zeros((), np.int64)
    best = scipy.stats.mode(x, axis=dim, keepdims=True).mode
    last = x.shape[dim] - 1 - np.argmax(np.flip(x == best, dim), axis=dim)
    return np.expand_dims(last, dim) if keepdim else last


def _mode_cases(rng):
    return [Case((rng.integers(0, 3, (2, 3, 9)).astype(float),), {"dim": d}) for d in DIMS] + [
        Case((np.array(1.5),)), Case((rng.integers(0, 2, (3, 5)).astype(float),), {"keepdim": True})]  # fmt: skip


def _quantile_ref(x, q, dim=None, keepdim=False, interpolation="linear", skip=False):
    f = np.nanquantile if skip else np.quantile
    return f(x, q, axis=dim if x.ndim else None, keepdims=keepdim, method=interpolation)


def _quantile_cases(rng):
    made = [
        Case((distinct(rng, (2, 3, 4)), 0.3), {"dim": d, "keepdim": k}) for d in (None, 1, -1) for k in (False, True)
    ]
    made += [Case((distinct(rng, (3, 5)), 0.37), {"dim": 1, "interpolation": i}) for i in (
        "linear", "lower", "higher", "midpoint", "nearest")]  # fmt: skip
    made += [Case((distinct(rng, (7,)), q)) for q in (0.0, 0.5, 1.0)] + [Case((np.array(1.5), 0.2))]
    return made


def _quantile_vectors(rng):
    q = np.array([0.1, 0.5, 0.95])
    return [Case((distinct(rng, (2, 6)), q), {"dim": d, "keepdim": k}) for d in (None, 1) for k in (False, True)]


def _nanquantile_cases(rng):
    x = distinct(rng, (2, 5))
    x[0, 2] = np.nan
    return [Case((x, 0.3), {"dim": 1}, "nan"), Case((x, 0.3), {}, "nan of all"), Case((distinct(rng, (2, 3)), 0.6))]


def _rows(s, x, right=False):
    if s.ndim == 1:
        return np.searchsorted(s, x, side="right" if right else "left")
    found = [_rows(a, b, right) for a, b in zip(s, x, strict=True)]
    return np.stack(found)


def _search_cases(rng):
    s, x = np.sort(rng.integers(0, 6, 7).astype(float)), rng.integers(0, 7, (2, 3)).astype(float)
    rows = np.sort(rng.integers(0, 6, (2, 5)).astype(float), axis=1)
    made = [Case((s, x), {"right": r}) for r in (False, True)] + [Case((rows, x), {"right": r}) for r in (False, True)]
    return [*made, Case((s, np.array(3.0))), Case((s, np.zeros((0, 2)))), Case((np.zeros(0), x))]


def _unique(place):
    def ref(x, dim=None):
        found = np.unique(x, return_inverse=True, return_counts=True, axis=dim)
        return found[place].reshape(x.shape) if place == 1 and dim is None else found[place].reshape(
            -1) if place == 1 else found[place]  # fmt: skip

    return ref


def _unique_call(op, place):
    return lambda t, x, dim=None: getattr(t, op)(x, return_inverse=True, return_counts=True, dim=dim)[place]


def _consecutive(place):
    def ref(x, dim=None):
        y = x.reshape(-1) if dim is None else np.moveaxis(x, dim, 0)
        new = np.array([i == 0 or bool((y[i] != y[i - 1]).any()) for i in range(len(y))], dtype=bool)
        number = np.cumsum(new) - 1
        if place == 0:
            return y[new] if dim is None else np.moveaxis(y[new], 0, dim)
        inverse = number.reshape(x.shape) if dim is None else number
        return inverse if place == 1 else np.bincount(number) if len(y) else np.zeros(0, np.int64)

    return ref


def _unique_cases(rng):
    x = rng.integers(0, 3, (3, 4)).astype(float)
    rows = rng.integers(0, 2, (6, 2)).astype(float)
    return [Case((x,)), Case((rows,), {"dim": 0}), Case((rows.T,), {"dim": 1}), Case((x[0],), {"dim": 0}),
            Case((np.array(2.0),)), Case((np.zeros(0),)), Case((np.zeros((0, 3)),), {"dim": 0})]  # fmt: skip


def _histc_ref(x, bins=100, min=0, max=0):
    low, high = (min, max) if min != max else (x.min(), x.max())
    return np.histogram(x, bins, (low, high) if low != high else (low - 1, high + 1))[0].astype(float)


def _range(op, *more):
    return ((lambda t: getattr(t, op)(t.ones(2, 3), *more, dim=2), errors.IndexRangeError, f"{op}: dim 2 is out of range"),
            (lambda t: getattr(t, op)(t.ones(2, 3), *more, dim=(0, 1)), errors.DTypeError,
             f"{op}: dim must be an int, not tuple"))  # fmt: skip


def _empty(op):
    return (
        lambda t: getattr(t, op)(t.ones(0, 3), dim=0),
        errors.ShapeError,
        f"{op}: the tensor is empty, float32 (0, 3)",
    )


def _q(text, kind, *args, **kw):
    return (lambda t: t.quantile(t.ones(3), *args, **kw), kind, f"quantile: {text}")


_INDEX = {"order": 0, "ints": True, "result": "int64"}
_OPEN = {"order": 0, "result": "int64"}  # which of equal elements PyTorch takes is left open
_PICK = {"ints": True, "kinks": "ties"}


def _theirs_stable(t, x, **kw):
    return t.argsort(x, stable=True, **kw)


sorting = [
    Record("argsort", _call("argsort"), _order, _with_ties(_cases()), **_INDEX, torch=_theirs_stable, errors=_range("argsort")),
    Record("argsort", _call("argsort"), _order, _with_ties(_cases(descending=True), descending=True), **_INDEX,
           torch=_theirs_stable, name="argsort_descending"),
    Record("take_along", _call("sort", "values"), _sorted, _cases(), **_PICK, name="sort", errors=_range("sort")),
    Record("take_along", _call("sort", "values"), _sorted, _cases(descending=True), **_PICK, name="sort_descending"),
    Record("take_along", _call("msort"), lambda x: np.sort(x, axis=0) if x.ndim else x, lambda rng: [
        Case((distinct(rng, (3, 2)),)), Case((distinct(rng, (4,)),))], **_PICK, name="msort"),
    Record("topk", _call("topk", "indices"), _first(lambda x, d, down=True: _order(x, d, down)), lambda rng: [
        *[Case((distinct(rng, (3, 4)),), {"k": k, "dim": d}) for k in (0, 1, 3) for d in (0, -1)],
        Case((distinct(rng, (5,)),), {"k": 2, "largest": False}), Case((distinct(rng, (2, 300)),), {"k": 5}),
        Case((distinct(rng, (300,)),), {"k": 5, "largest": False}), Case((np.array(1.0),), {"k": 1})], **_OPEN,
        errors=(*_range("topk", 1), (lambda t: t.topk(t.ones(2, 3), 4), errors.ArgumentError,
                                     "topk: k=4 is out of range: dim 1 of float32 (2, 3) has 3 elements"))),
    Record("take_along", _call("topk", "values"), _first(lambda x, d, down=True: _sorted(x, d, down)), lambda rng: [
        Case((distinct(rng, (3, 4)),), {"k": 2, "dim": d, "largest": g}) for d in (0, -1) for g in (True, False)], **_PICK,
        name="topk_values"),
    Record("kthvalue", _call("kthvalue", "indices"), _kth(_order), _cases(True, False, k=1), **_OPEN, errors=(
        *_range("kthvalue", 1), (
            lambda t: t.kthvalue(t.ones(3), 4), errors.ArgumentError,
            "kthvalue: k=4 is out of range: it is counted from 1, and dim 0 of float32 (3,) has 3 elements"))),
    Record("take_along", _call("kthvalue", "values"), _kth(_sorted), _cases(True, False, k=1), **_PICK,
           name="kthvalue_values"),
    Record("searchsorted", _call("searchsorted"), _rows, _search_cases, **_INDEX, errors=(
        (lambda t: t.searchsorted(t.ones(2, 3), t.ones(2)), errors.ShapeError,
         "searchsorted: sorted_sequence (2, 3) must be a vector, or have the leading dimensions of input (2,)"),
        (lambda t: t.searchsorted(t.ones(2), t.ones(2), side="middle"), errors.ArgumentError,
         "searchsorted: side must be 'left' or 'right', got 'middle'"))),
    Record("searchsorted", lambda t, x, s, **kw: t.bucketize(x, s, **kw), lambda x, s, right=False: _rows(s, x, right),
           lambda rng: [Case(c.arrays[::-1], c.args) for c in _search_cases(rng) if c.arrays[0].ndim == 1], **_INDEX,
           name="bucketize", errors=((lambda t: t.bucketize(t.ones(2), t.ones(2, 2)), errors.ShapeError,
                                      "bucketize: boundaries must be a vector, got float32 (2, 2)"),)),
    Record("isin", lambda t, x, s, **kw: t.isin(x, s, **kw),
           lambda x, s, invert=False: np.isin(x, s, invert=invert), lambda rng: [
               Case((rng.integers(0, 6, (3, 4)).astype(float), rng.integers(0, 6, (2, 2)).astype(float)), {"invert": i})
               for i in (False, True)] + [Case((np.array([1.0, np.nan]), np.array([np.nan, 1.0])), {}, "nan")],
           order=0, ints=True, result="bool", name="isin", errors=((lambda t: t.isin(1, 2), errors.DTypeError,
                "isin: one of elements and test_elements must be a tensor"),)),
]  # fmt: skip

statistics = [
    Record("median", _call("median"), _median, lambda rng: [
        Case((distinct(rng, s),)) for s in ((2, 3), (4,), ())], **_PICK),
    Record("median", _call("nanmedian"), lambda x: _median(x[~np.isnan(x)]), lambda rng: [
        Case((distinct(rng, (2, 3)),)), Case((np.array([4.0, np.nan, 1.0, 2.0, 5.0]),), {}, "nan")], **_PICK,
        name="nanmedian"),
    Record("median_index", _call("median", "indices"), _median_index, lambda rng: [
        *[Case((distinct(rng, (2, 3, 4)),), {"dim": d, "keepdim": k}) for d in DIMS for k in (False, True)],
        Case((np.array([[2.0, np.nan, 1.0, np.nan], [4.0, 3.0, 2.0, 1.0]]),), {"dim": 1}, "nan"),
        Case((np.array(1.0),), {"dim": 0})], **_INDEX, errors=(*_range("median"), _empty("median"))),
    Record("take_along", _call("median", "values"), _at(_median_index), lambda rng: [
        Case((distinct(rng, (2, 3, 4)),), {"dim": d, "keepdim": k}) for d in DIMS for k in (False, True)], **_PICK,
        name="median_dim"),
    Record("take_along", _call("nanmedian", "values"), lambda x, dim: np.nanmedian(x, axis=dim), lambda rng: [
        Case((np.array([[2.0, np.nan, 1.0, 4.0], [4.0, 3.0, np.nan, 1.0]]),), {"dim": 1}, "nan")], name="nanmedian_dim"),
    Record("mode", _call("mode", "indices"), _mode_index, _mode_cases, **_INDEX, errors=(*_range("mode"), _empty("mode"))),
    Record("take_along", _call("mode", "values"), _at(_mode_index), lambda rng: [
        Case((distinct(rng, (2, 3)),), {"dim": d}) for d in (0, 1)], **_PICK, name="mode_values"),
    Record("take_along", _call("quantile"), _quantile_ref, _quantile_cases, kinks="ties", name="quantile", errors=(
        _q("q must lie in 0 to 1, got 1.5", errors.ArgumentError, 1.5),
        _q("interpolation must be one of linear, lower, higher, midpoint, nearest, got 'cubic'", errors.ArgumentError, 0.5,
           interpolation="cubic"),
        _q("dim 1 is out of range", errors.IndexRangeError, 0.5, dim=1),
        (lambda t: t.quantile(t.tensor([1, 2]), 0.5), errors.DTypeError,
         "quantile: a floating-point tensor is needed, got int64 (2,); use x.float()"),
        (lambda t: t.quantile(t.ones(2), t.ones(1, dtype=t.float64)), errors.DTypeError,
         "quantile: q must have the dtype of input, float32, got float64 (1,)"),
        (lambda t: t.quantile(t.ones(0), 0.5), errors.ShapeError, "quantile: the tensor is empty"))),
    Record("take_along", _call("quantile"), _quantile_ref, _quantile_vectors, kinks="ties", name="quantile_of_vectors"),
    Record("take_along", _call("nanquantile"), lambda *a, **k: _quantile_ref(*a, **k, skip=True), _nanquantile_cases,
           name="nanquantile"),
]  # fmt: skip

counting = [
    *[Record(op, _unique_call(op, place), ref(place), _unique_cases, order=0, ints=True,
             result="int64" if place else "same", name=f"{op}{kind}")
      for op, ref in (("unique", _unique), ("unique_consecutive", _consecutive))
      for place, kind in enumerate(("", "_inverse", "_counts"))],
    Record("bincount", lambda t, x, *w, **kw: t.bincount(x, *w, **kw), lambda x, w=None, minlength=0: np.bincount(
        x, w, minlength), lambda rng: [Case((rng.integers(0, 5, 8),)), Case((rng.integers(0, 3, 4),), {"minlength": 6}),
        Case((np.zeros(0, np.int64),), {"minlength": 2}), Case((rng.integers(0, 5, 8), rng.integers(0, 5, 8)))], order=0,
        result="float64", errors=(
            (lambda t: t.bincount(t.tensor([1, -2])), errors.ArgumentError, "bincount: the numbers must not be negative"),
            (lambda t: t.bincount(t.ones(2)), errors.DTypeError,
             "bincount: a vector of integers is needed, got float32 (2,)"),
            (lambda t: t.bincount(t.tensor([1, 2]), t.ones(3)), errors.ShapeError,
             "bincount: weights (3,) must have the shape of input (2,)"))),
    Record("histogram", _call("histc"), _histc_ref, lambda rng: [
        Case((values(rng, (3, 4)),), {"bins": 5}), Case((values(rng, (9,)),), {"bins": 4, "min": -1, "max": 1}),
        Case((np.array([0.0, 1.0, 2.0, 3.0]),), {"bins": 3}), Case((np.ones(3),), {"bins": 2})], order=0, name="histc",
        errors=((lambda t: t.histc(t.tensor([1, 2]), 3), errors.DTypeError, "histc: a floating-point tensor is needed"),
                (lambda t: t.histc(t.ones(2), 0), errors.ArgumentError, "histc: bins must be a positive int, got 0"),
                (lambda t: t.histc(t.ones(2), 2, 3, 1), errors.ArgumentError,
                 "histc: the range must be finite and increasing, got 3 to 1"))),
    Record("histogram", lambda t, x, *w, **kw: tuple(t.histogram(x, *w, **kw)), lambda x, bins, **kw: np.histogram(
        x, bins, **kw), lambda rng: [Case((values(rng, (3, 4)), 5)), Case((values(rng, (9,)), 4), {"range": (-1.0, 1.0)}),
        Case((values(rng, (9,)), np.array([-1.0, 0.0, 0.5, 2.0])), {"density": True})], order=0, errors=(
            (lambda t: t.histogram(t.ones(2), t.ones(1)), errors.ShapeError,
             "histogram: bins must be a vector of at least 2 edges in float32, got float32 (1,)"),)),
]  # fmt: skip

RECORDS = [*sorting, *statistics, *counting]
