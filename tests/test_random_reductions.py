"""Reductions, scans and sorting on random shapes, axes and keepdim: value and gradient against PyTorch's.

Without PyTorch: the value against NumPy's, the gradient along a random direction against the difference of NumPy's values.
Below: the places that random numbers do not find: zeros, ties, nan, infinities, 16 bits.
"""

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings, strategies as st
from numeric import host

import tensorlite as tl

try:
    import torch
except ImportError:
    torch = None

inf, nan = math.inf, math.nan
ALL = None  # "over all dimensions"


def _kept(f):
    """A NumPy function of (x, axis) without keepdims."""
    return lambda x, axis, keepdims: np.expand_dims(f(x, axis=axis), axis) if keepdims else f(x, axis=axis)


def _lower_median(x, axis, keepdims):
    y = np.take(np.sort(x, axis=axis), [(x.shape[axis] - 1) // 2], axis=axis)
    return y if keepdims else np.squeeze(y, axis)


def _norm(p):
    return lambda x, axis, keepdims: (np.abs(x) ** p).sum(axis=axis, keepdims=keepdims) ** (1 / p)


# name -> (the call, NumPy's) over several dimensions
REDUCED = {
    "sum": (lambda t, x, d, k: t.sum(x, d, k), np.sum),
    "mean": (lambda t, x, d, k: t.mean(x, d, k), np.mean),
    "nansum": (lambda t, x, d, k: t.nansum(x, d, k), np.nansum),
    "amax": (lambda t, x, d, k: t.amax(x, d, k), np.max),
    "amin": (lambda t, x, d, k: t.amin(x, d, k), np.min),
    "var": (lambda t, x, d, k: t.var(x, d, correction=0, keepdim=k), np.var),
    "std": (lambda t, x, d, k: t.std(x, d, correction=0, keepdim=k), np.std),
    "logsumexp": (lambda t, x, d, k: t.logsumexp(x, d, k), lambda x, **kw: np.log(np.exp(x).sum(**kw))),
    "norm 2": (lambda t, x, d, k: t.norm(x, 2, d, k), _norm(2)),
    "norm 3": (lambda t, x, d, k: t.norm(x, 3, d, k), _norm(3)),
    "norm 0.5": (lambda t, x, d, k: t.norm(x, 0.5, d, k), _norm(0.5)),
    "norm inf": (lambda t, x, d, k: t.norm(x, inf, d, k), lambda x, **kw: np.abs(x).max(**kw)),
}
# the same along one dimension
ALONG = {
    "prod": (lambda t, x, d, k: t.prod(x, d, k), np.prod),
    "max": (lambda t, x, d, k: t.max(x, d, k)[0], np.max),
    "min": (lambda t, x, d, k: t.min(x, d, k)[0], np.min),
    "median": (lambda t, x, d, k: t.median(x, d, k)[0], _lower_median),
    "kthvalue": (lambda t, x, d, k: t.kthvalue(x, 1, d, k)[0], np.min),
    "quantile": (lambda t, x, d, k: t.quantile(x, 0.3, d, k), lambda x, **kw: np.quantile(x, 0.3, **kw)),
    "cumsum": (lambda t, x, d, k: t.cumsum(x, d), lambda x, axis, keepdims: np.cumsum(x, axis)),
    "cumprod": (lambda t, x, d, k: t.cumprod(x, d), lambda x, axis, keepdims: np.cumprod(x, axis)),
    "cummax": (lambda t, x, d, k: t.cummax(x, d)[0], lambda x, axis, keepdims: np.maximum.accumulate(x, axis)),
    "logcumsumexp": (
        lambda t, x, d, k: t.logcumsumexp(x, d), lambda x, axis, keepdims: np.logaddexp.accumulate(x, axis)),
    "sort": (lambda t, x, d, k: t.sort(x, d)[0], lambda x, axis, keepdims: np.sort(x, axis)),
    "topk": (lambda t, x, d, k: t.topk(x, 1, d)[0], lambda x, axis, keepdims: np.max(x, axis, keepdims=True)),
    "diff": (lambda t, x, d, k: t.diff(x, dim=d), lambda x, axis, keepdims: np.diff(x, axis=axis)),
    "trapezoid": (lambda t, x, d, k: t.trapezoid(x, dim=d), _kept(np.trapezoid if hasattr(np, "trapezoid") else np.trapz)),
}  # fmt: skip


def _distinct(shape, seed):
    n = math.prod(shape)
    places = np.random.default_rng(seed).permutation(n)
    return np.asarray((np.linspace(0.4, 1.9, max(n, 1))[:n] * (-1.0) ** places)[places].reshape(shape))


def _compare(call, reference, x, dim, keepdim, seed):
    rng = np.random.default_rng(seed)
    mine = tl.tensor(x, requires_grad=True)
    out = call(tl, mine, dim, keepdim)
    w, v = np.asarray(rng.uniform(-1, 1, out.shape)), np.asarray(rng.uniform(-1, 1, x.shape))
    (g,) = tl.autograd.grad((out * tl.tensor(w)).sum(), mine, create_graph=True)
    if torch is not None:
        theirs = torch.tensor(x, requires_grad=True)
        want = call(torch, theirs, dim, keepdim)
        (wanted,) = torch.autograd.grad((want * torch.tensor(w)).sum(), theirs, create_graph=True)
        np.testing.assert_allclose(host(out), want.detach().numpy(), rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(host(g), wanted.detach().numpy(), rtol=1e-8, atol=1e-10)
        if g.requires_grad and wanted.requires_grad:
            (h,) = tl.autograd.grad((g * tl.tensor(v)).sum(), mine, materialize_grads=True)
            (second,) = torch.autograd.grad((wanted * torch.tensor(v)).sum(), theirs, materialize_grads=True)
            np.testing.assert_allclose(host(h), second.numpy(force=True), rtol=1e-7, atol=1e-8)
        return
    axis = tuple(range(x.ndim)) if dim is None else dim
    value = lambda x: reference(x, axis=axis, keepdims=keepdim)  # noqa: E731
    np.testing.assert_allclose(host(out).reshape(np.shape(value(x))), value(x), rtol=1e-10, atol=1e-12)
    slope = (value(x + 1e-6 * v) - value(x - 1e-6 * v)) / 2e-6
    np.testing.assert_allclose((host(g) * v).sum(), (slope * w.reshape(slope.shape)).sum(), rtol=1e-5, atol=1e-6)


random = settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", REDUCED)
@random
@given(data=st.data(), shape=st.lists(st.integers(0, 4), max_size=4), keepdim=st.booleans(), seed=st.integers(0, 99))
def test_over_random_dimensions(name, data, shape, keepdim, seed):
    n = len(shape)
    dim = data.draw(st.lists(st.integers(0, n - 1), unique=True, min_size=1).map(tuple) | st.integers(-n, n - 1)
                    if n else st.just(0))  # fmt: skip
    if isinstance(dim, tuple):
        dim = tuple(d - n if data.draw(st.booleans()) else d for d in dim)
    over = dim if isinstance(dim, tuple) else (dim,)
    assume(not shape or math.prod(shape[d] for d in over) > (0 if name in ("sum", "nansum") else 1))
    if not shape and name in ("std", "var"):
        return  # the deviation of one number: its slope is chosen, see below
    call, reference = REDUCED[name]
    x = _distinct(shape, seed)
    _compare(
        call,
        reference if shape else (lambda x, axis, keepdims: reference(x, axis=(), keepdims=False)),
        x,
        dim,
        keepdim,
        seed,
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ALONG)
@random
@given(data=st.data(), shape=st.lists(st.integers(0, 4), min_size=1, max_size=4), keepdim=st.booleans(),
       seed=st.integers(0, 99))  # fmt: skip
def test_along_a_random_dimension(name, data, shape, keepdim, seed):
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    assume(shape[dim] or name in ("prod", "cumsum", "cumprod", "sort", "diff"))
    assume(math.prod(shape) or name != "quantile")
    keepdim = keepdim and name != "trapezoid"
    call, reference = ALONG[name]
    _compare(call, reference, _distinct(shape, seed), dim, keepdim, seed)


@random
@given(values=st.lists(st.integers(0, 4), max_size=12), descending=st.booleans(), seed=st.integers(0, 9))
def test_sorting_of_ties_is_stable(values, descending, seed):
    x = np.array(values, dtype=np.int64)
    order = sorted(range(len(x)), key=lambda i: (-x[i] if descending else x[i], i))
    got, where = tl.sort(tl.tensor(x), descending=descending)
    assert where.tolist() == order and got.tolist() == [values[i] for i in order]
    k = len(x) // 2
    assert tl.topk(tl.tensor(x), k, largest=descending).indices.tolist() == order[:k]
    found, back, counts = tl.unique(tl.tensor(x), return_inverse=True, return_counts=True)
    assert found.tolist() == sorted(set(values)) and [found.tolist()[i] for i in back.tolist()] == values
    assert counts.tolist() == [values.count(v) for v in sorted(set(values))]


@random
@given(k=st.integers(1, 30), largest=st.booleans(), ties=st.booleans(), seed=st.integers(0, 99))
def test_topk_of_long_rows_is_the_start_of_argsort(k, largest, ties, seed):
    x = np.random.default_rng(seed).normal(size=(2, 400))
    x = tl.tensor(np.round(x * 3) if ties else x)
    for dim, y in ((1, x), (0, x.T)):
        want = tl.argsort(y, dim, descending=largest).narrow(dim, 0, k)
        assert tl.equal(tl.topk(y, k, dim, largest).indices, want)


# ---------------------------------------------------------------- zeros, at every order
def _chain(t, f, x, orders=3):
    """The value of f and its derivatives along fixed directions, orders times."""
    rng, found = np.random.default_rng(3), []
    x = t.tensor(x, dtype=t.float64, requires_grad=True)
    y = f(t, x)
    y = (y * t.tensor(rng.uniform(-1, 1, tuple(y.shape)))).sum()
    for _ in range(orders):
        found.append(y.item())
        if not y.requires_grad:
            return found
        (g,) = t.autograd.grad(y, x, create_graph=True)
        y = (g * t.tensor(rng.uniform(-1, 1, tuple(g.shape)))).sum()
    return [*found, y.item()]


@pytest.mark.parametrize("zeros", [0, 1, 2, 3])
@pytest.mark.parametrize("name", ["prod", "cumprod"])
def test_third_derivative_of_products_with_zeros(name, zeros, device):
    x = np.array([2.0, -1.5, 0.5, 3.0, 0.7])
    x[[1, 3, 4][:zeros]] = 0.0

    def plain(t, x):
        parts = [x[0]]
        for i in range(1, 5):
            parts.append(parts[-1] * x[i])
        return parts[-1] if name == "prod" else t.stack(parts)

    np.testing.assert_allclose(_chain(tl, lambda t, x: getattr(t, name)(x, 0), x), _chain(tl, plain, x), atol=1e-12)


@pytest.mark.parametrize("p", [0, 0.5, 1, 1.5, 2, 3, 4, inf])
def test_norm_at_zero_has_gradient_zero(p, device):
    x = tl.zeros(2, 3, requires_grad=True)
    (g,) = tl.autograd.grad(tl.norm(x, p, dim=1).sum(), x, create_graph=True)
    assert not g.tolist()[0][0] and not g.any()
    (h,) = tl.autograd.grad(g.sum(), x, allow_unused=True, materialize_grads=True)
    assert not h.any()


def test_std_of_constants_has_gradient_zero(device):
    x = tl.ones(4, requires_grad=True)
    for f in (tl.std, lambda x: tl.std_mean(x)[0]):
        assert tl.autograd.grad(f(x), x)[0].tolist() == [0.0] * 4


# ---------------------------------------------------------------- infinities, nan
def test_logsumexp_of_nothing_but_minus_infinity(device):
    x = tl.tensor([[-inf, -inf], [1e4, 1e4]], dtype=tl.float64, requires_grad=True)
    for f in (lambda: tl.logsumexp(x, 1), lambda: tl.logcumsumexp(x, 1)[:, 1]):
        y = f()
        np.testing.assert_allclose(host(y), [-inf, 1e4 + math.log(2)])
        (g,) = tl.autograd.grad(y.sum(), x, create_graph=True)
        np.testing.assert_allclose(host(g), [[0.0, 0.0], [0.5, 0.5]], rtol=1e-11)
        (h,) = tl.autograd.grad(g[:, 0].sum(), x)
        np.testing.assert_allclose(host(h), [[0.0, 0.0], [0.25, -0.25]], rtol=1e-11)


def test_logcumsumexp_over_a_wide_range(device):
    x = np.array([-2000.0, 3.0, 1000.0, -5.0, 1001.0])
    f = lambda t, x: t.logcumsumexp(x, 0)  # noqa: E731
    slow = lambda t, x: t.stack([t.logsumexp(x[: i + 1], 0) for i in range(5)])  # noqa: E731
    np.testing.assert_allclose(_chain(tl, f, x), _chain(tl, slow, x), rtol=1e-12, atol=1e-12)


def test_nan_is_larger_than_everything(device):
    x = tl.tensor([1.0, nan, 3.0, nan, 2.0])
    assert tl.sort(x).indices.tolist() == [0, 4, 2, 1, 3]
    assert tl.sort(x, descending=True).indices.tolist() == [1, 3, 2, 4, 0]
    assert tl.topk(x, 3).indices.tolist() == [1, 3, 2]
    assert tl.argmax(x).item() == tl.argmin(x).item() == tl.max(x, 0).indices.item() == 1
    assert tl.median(x, 0).indices.item() == 1 and tl.nanmedian(x, 0).indices.item() == 4
    assert math.isnan(tl.median(x).item()) and tl.nanmedian(x).item() == 2
    assert tl.cummax(x, 0).indices.tolist() == [0, 1, 1, 3, 3]
    assert math.isnan(tl.quantile(x, 0.5).item()) and tl.nanquantile(x, 0.5).item() == 2
    assert len(tl.unique(x)) == 5
    for f in (tl.amax, tl.amin, tl.sum, tl.mean, tl.std, tl.norm, tl.prod):
        assert math.isnan(f(x).item())


def test_median_of_all_shares_ties_evenly(device):
    x = tl.tensor([2.0, 1.0, 2.0, 3.0], requires_grad=True)
    assert tl.autograd.grad(tl.median(x), x)[0].tolist() == [0.5, 0.0, 0.5, 0.0]
    x = tl.tensor([nan, 1.0, nan], requires_grad=True)
    assert tl.autograd.grad(tl.median(x), x)[0].tolist() == [0.5, 0.0, 0.5]


def test_quantile_at_infinity(device):
    x = tl.tensor([inf, 1.0, -inf])
    assert [tl.quantile(x, q).item() for q in (0.0, 0.5, 1.0)] == [-inf, 1.0, inf]


# ---------------------------------------------------------------- 16 bits, nothing
@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_sixteen_bits_are_summed_in_thirty_two(kind, device):
    if kind == "bfloat16":
        pytest.importorskip("ml_dtypes")
    dtype = getattr(tl, kind)
    x = tl.full((3, 3000), 0.1, dtype=dtype)
    one = float(x[0, 0].item())
    for f, want in (
        (lambda x: x.sum(1), 3000 * one), (lambda x: x.cumsum(1)[:, -1], 3000 * one), (lambda x: x.mean(1), one),
        (lambda x: x.norm(dim=1), one * math.sqrt(3000)), (lambda x: x.logsumexp(1), one + math.log(3000)),
        (lambda x: x.sort(1).values[:, 0], one), (lambda x: x.median(1).values, one), (lambda x: x.quantile(0.5, 1), one),
    ):  # fmt: skip
        y = f(x)
        assert y.dtype is dtype
        np.testing.assert_allclose(host(y).astype(float), want, rtol=float(tl.finfo(dtype).eps))
    y = (x * 3000).std(1)
    assert y.dtype is dtype and not y.any()


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_every_function_takes_sixteen_bits(kind, device):
    if kind == "bfloat16":
        pytest.importorskip("ml_dtypes")
    dtype, x = getattr(tl, kind), np.array([[2.0, 0.5, 1.0], [4.0, 8.0, 0.25]])
    for name in (*REDUCED, *ALONG):
        call, _ = {**REDUCED, **ALONG}[name]
        small = tl.tensor(x, dtype=dtype, requires_grad=True)
        out = call(tl, small, 1, True)
        assert out.dtype is dtype
        np.testing.assert_allclose(
            host(out).astype(float), host(call(tl, tl.tensor(x), 1, True)), rtol=3 * float(tl.finfo(dtype).eps)
        )
        assert tl.autograd.grad(out.sum(), small)[0].dtype is dtype


def test_of_nothing(device):
    none = tl.zeros(0)
    assert tl.prod(none).item() == 1 and tl.norm(none).item() == 0 and tl.nansum(none).item() == 0
    assert math.isnan(tl.median(none).item()) and math.isnan(tl.nanmean(none).item())
    for f in (tl.cumsum, tl.cumprod, tl.cummax, tl.cummin, tl.logcumsumexp, tl.sort, tl.argsort):
        out = f(none, 0)
        assert all(tuple(o.shape) == (0,) for o in (out if isinstance(out, tuple) else (out,)))
    for f in (tl.amax, tl.argmin, tl.aminmax, tl.mode, lambda x: x.kthvalue(1), lambda x: x.median(0)):
        with pytest.raises(tl.errors.ShapeError, match="the tensor is empty"):
            f(none)
    assert tl.count_nonzero(tl.zeros(0, 3), dim=0).tolist() == [0, 0, 0]


def test_in_place_scans(device):
    x = tl.tensor([1.0, 2.0, 3.0])
    assert x.cumsum_(0) is x and x.tolist() == [1.0, 3.0, 6.0]
    assert x.cumprod_(0).tolist() == [1.0, 3.0, 18.0]
