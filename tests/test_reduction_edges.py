"""Reductions, scans, sorting and counting at their edges, beside PyTorch: empty, 0-d, nan, infinities, ties, every dtype.

Where PyTorch gives a value ours is the same, in the same dtype; where it refuses ours may give one, or refuses in words.
"""

import math

import numpy as np
import pytest
from numeric import as_tuple, host, telling

import tensorlite as tl
from tensorlite import errors

torch = pytest.importorskip("torch")

inf, nan = math.inf, math.nan
DATA = {
    "nothing": lambda t: t.zeros(0), "no rows": lambda t: t.zeros(0, 3), "no columns": lambda t: t.zeros(3, 0),
    "no integers": lambda t: t.zeros(0, dtype=t.int64), "0-d": lambda t: t.tensor(2.0),
    "vector": lambda t: t.tensor([3.0, 1.0, 2.0, 1.0]), "nan": lambda t: t.tensor([1.0, nan, 2.0, nan, 0.0]),
    "infinite": lambda t: t.tensor([inf, 1.0, -inf, 2.0]), "matrix": lambda t: t.tensor([[1.0, 2.0, 2.0], [0.0, -1.0, 5.0]]),
    "bools": lambda t: t.tensor([[True, False], [True, True]]), "integers": lambda t: t.tensor([3, 1, 1, 2]),
}  # fmt: skip
REDUCTIONS = (
    "sum", "mean", "prod", "amax", "amin", "argmax", "argmin", "var", "std", "norm", "logsumexp", "all", "any",
    "nansum", "nanmean", "median", "nanmedian", "mode", "max", "min", "var_mean", "std_mean", "aminmax",
)  # fmt: skip
OTHERS = (
    "cumsum", "cumprod", "cummax", "cummin", "logcumsumexp", "diff", "sort", "argsort", "count_nonzero",
    "trapezoid", "cumulative_trapezoid", "unique", "unique_consecutive",
)  # fmt: skip
DIMS = (None, 0, -1, 1, (0, 1), ())
DIFFERENT = {  # where PyTorch gives something odd
    ("median", "no integers"), ("nanmedian", "no integers"),  # the least int64
    ("trapezoid", "no integers"),  # int64
    ("cummax", "nothing"), ("cummin", "nothing"), ("cummax", "no integers"), ("cummin", "no integers"),  # takes any dim
    ("unique", "nan"),  # along a dim its order of nan is not that of sort
}  # fmt: skip


def _compare(call):
    """Both refuse, or PyTorch alone, or both give the same."""
    try:
        wanted = as_tuple(call(torch))
    except (RuntimeError, TypeError, IndexError, NotImplementedError):
        wanted = None
    try:
        got = as_tuple(call(tl))
    except (errors.TensorliteError, TypeError):
        assert wanted is None, "PyTorch gives a value here"
        return 0
    if wanted is None:
        return 0
    assert len(got) == len(wanted)
    for a, b in zip(got, wanted, strict=True):
        assert a.dtype.name == str(b.dtype).removeprefix("torch.")
        assert tuple(a.shape) == tuple(b.shape)
        rtol = 1e-2 if a.dtype.itemsize == 2 else 1e-5
        np.testing.assert_allclose(host(a).astype(float), b.detach().double().numpy(), rtol=rtol, atol=1e-6)
    return 1


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", REDUCTIONS + OTHERS)
def test_edges(name, device):
    compared = 0
    for kind, make in DATA.items():
        for dim in DIMS:
            for kw in ({}, {"keepdim": True}) if name in REDUCTIONS else ({},):
                if (name, kind) in DIFFERENT and (name.startswith("unique") or dim in (1, None)):
                    continue
                if name == "trapezoid" and kind == "no integers":
                    continue
                args = kw if dim is None else {"dim": dim, **kw}
                with telling(f"{name} of {kind} {args}"):
                    compared += _compare(lambda t, make=make, args=args: getattr(t, name)(make(t), **args))
    assert compared > 5


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("interpolation", ["linear", "lower", "higher", "midpoint", "nearest"])
@pytest.mark.parametrize("name", ["quantile", "nanquantile"])
def test_quantiles(name, interpolation, device):
    compared = 0
    for kind, make in DATA.items():
        if kind == "infinite":  # PyTorch takes inf - inf
            continue
        for dim in (None, 0, 1):
            for q in (0.0, 0.3, 0.5, 1.0, [0.25, 0.8], []):

                def call(t, make=make, dim=dim, q=q):
                    x = make(t)
                    q = t.tensor(q, dtype=x.dtype) if isinstance(q, list) else q
                    return getattr(t, name)(x, q, dim=dim, keepdim=bool(dim), interpolation=interpolation)

                with telling(f"{kind} {dim} {q}"):
                    compared += _compare(call)
    assert compared > 30


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("p", [0, 1, 2, 3, 0.5, -1, inf, -inf, "fro"])
def test_norms(p, device):
    for kind, make in DATA.items():
        for dim in (None, 0, 1, (0, 1)):
            with telling(f"{kind} {dim}"):
                _compare(lambda t, make=make, dim=dim: t.norm(make(t), p, dim=dim))


SEVERAL = {
    "topk": lambda t, x, n: t.topk(x, n)[0],
    "topk smallest": lambda t, x, n: t.topk(x, n, dim=0, largest=False)[0],
    "kthvalue": lambda t, x, n: t.kthvalue(x, n)[0],
    "diff": lambda t, x, n: t.diff(x, n=n),
    "histc": lambda t, x, n: t.histc(x, n),
    "histogram": lambda t, x, n: tuple(t.histogram(x, n)),
    "sort descending": lambda t, x, n: tuple(t.sort(x, descending=True, stable=True)),
    "sort of bytes": lambda t, x, n: tuple(t.sort(x.to(t.uint8), dim=0, stable=True)),
    "bincount": lambda t, x, n: t.bincount(x, minlength=n),
    "isin": lambda t, x, n: t.isin(x, n),
    "searchsorted": lambda t, x, n: t.searchsorted(t.tensor([1.0, 2.0, 3.0]), n),
    "bucketize": lambda t, x, n: t.bucketize(x, t.tensor([1.0, 2.0, 3.0]), right=n > 1, out_int32=True),
    "unique_consecutive": lambda t, x, n: t.unique_consecutive(x, return_inverse=True, return_counts=True),
    "var": lambda t, x, n: t.var(x, 0, correction=n),
    "std": lambda t, x, n: t.std(x, False) if n == 1 else t.std(x, 0, False, True),
    "sum": lambda t, x, n: t.sum(x, 0, dtype=(t.float64, t.int32, t.float16)[n % 3]),
    "prod": lambda t, x, n: t.prod(x, 0, dtype=(t.float64, t.int64, t.float64)[n % 3]),
    "cumsum": lambda t, x, n: t.cumsum(x, 0, dtype=(t.float64, t.float32, t.float16)[n % 3]),
    "nanmean": lambda t, x, n: t.nanmean(x, 0, dtype=(t.float64, t.int32, t.float32)[n % 3]),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SEVERAL)
def test_with_a_number(name, device):
    compared = 0
    for kind, make in DATA.items():
        if kind in ("nan", "infinite") and name in ("sum", "sort of bytes"):
            continue  # nan as an integer is anything
        for n in (0, 1, 2, 5):
            with telling(f"{kind} {n}"):
                compared += _compare(lambda t, make=make, n=n: SEVERAL[name](t, make(t), n))
    assert compared


AXIS = {
    **{n: (lambda t, x, n=n, **kw: getattr(t, n)(x, **kw)) for n in ("softmax", "log_softmax", "logsumexp", "count_nonzero")},
    "chunk": lambda t, x, **kw: t.chunk(x, 2, **kw), "topk": lambda t, x, **kw: tuple(t.topk(x, 1, **kw)),
    "take_along_dim": lambda t, x, **kw: t.take_along_dim(x, t.tensor([[0, 0, 0]]) if kw["axis"] == 0 else t.tensor([[0]]), **kw),
    "repeat_interleave": lambda t, x, **kw: t.repeat_interleave(x, 2, **kw),
    "tensor_split": lambda t, x, **kw: t.tensor_split(x, 2, **kw)[1],
    "trapezoid": lambda t, x, **kw: t.trapezoid(x, **kw),
    "cumulative_trapezoid": lambda t, x, **kw: t.cumulative_trapezoid(x, **kw),
    "gradient": lambda t, x, **kw: t.gradient(x, **kw)[0],
    "histogram": lambda t, x, **kw: t.histogram(x + kw["axis"]),
    "cross": lambda t, x, **kw: t.cross(x[:, :3] if kw["axis"] else x[:, :3].T, (x + 1)[:, :3] if kw["axis"] else (x + 1)[:, :3].T, **kw),
    "linalg.norm": lambda t, x, **kw: t.linalg.norm(x, keepdims=True, **kw),
    "linalg.vector_norm": lambda t, x, **kw: t.linalg.vector_norm(x, 1, keepdims=True, **kw),
}  # fmt: skip


@pytest.mark.parametrize("name", AXIS)
def test_axis_is_dim(name, device):
    for axis in (0, 1):
        assert _compare(lambda t, axis=axis: AXIS[name](t, t.tensor([[1.0, 0.0, -2.0], [3.0, 5.0, 4.0]]), axis=axis))


BY_DTYPE = {
    **{n: lambda t, x, n=n: getattr(t, n)(x, 1) for n in (*REDUCTIONS, *OTHERS)
       if n not in ("norm", "var_mean", "std_mean", "aminmax", "mode", "trapezoid", "cumulative_trapezoid", "unique",
                    "unique_consecutive")},
    "norm": lambda t, x: t.norm(x, dim=1), "aminmax": lambda t, x: tuple(t.aminmax(x)), "mode": lambda t, x: t.mode(x)[0],
    "trapezoid": lambda t, x: t.trapezoid(x), "trapezoid over x": lambda t, x: t.trapezoid(x, x),
    "cumulative_trapezoid": lambda t, x: t.cumulative_trapezoid(x), "var_mean": lambda t, x: t.var_mean(x, 1),
    "unique": lambda t, x: t.unique(x, return_inverse=True), "unique rows": lambda t, x: t.unique(x, dim=0),
    "unique_consecutive": lambda t, x: t.unique_consecutive(x), "topk": lambda t, x: t.topk(x, 1)[0],
    "kthvalue": lambda t, x: t.kthvalue(x, 2)[0], "median of all": lambda t, x: t.median(x),
    "quantile": lambda t, x: t.quantile(x, 0.5), "histc": lambda t, x: t.histc(x, 3),
    "bincount": lambda t, x: t.bincount(x[0]), "weights": lambda t, x: t.bincount(t.tensor([0, 1, 1, 2]), x[0]),
    "isin": lambda t, x: t.isin(x, x[0]), "searchsorted": lambda t, x: t.searchsorted(t.sort(x[0])[0], x),
    "bucketize": lambda t, x: t.bucketize(x, t.tensor([1, 2])), "msort": lambda t, x: t.msort(x),
}  # fmt: skip
KINDS = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", BY_DTYPE)
def test_every_dtype(name, device):
    compared = 0
    for kind in KINDS:
        if kind == "uint8" and name in ("all", "any"):
            continue  # there PyTorch gives uint8, for old programs' sake
        if kind == "bfloat16":
            pytest.importorskip("ml_dtypes")
        values = [[1, 0, 1, 0], [1, 1, 0, 0]] if kind == "bool" else [[3, 1, 2, 2], [0, 5, 1, 9]]
        with telling(f"{name} of {kind}"):
            compared += _compare(lambda t, kind=kind, v=values: BY_DTYPE[name](t, t.tensor(v, dtype=getattr(t, kind))))
    assert compared >= 2
