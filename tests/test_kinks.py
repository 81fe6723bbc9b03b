"""Where slopes jump or are infinite, and where NaN and infinity come in: chosen values, compared with PyTorch's."""

import math

import numpy as np
import pytest
import scipy.special
from numeric import host

import tensorlite as tl
from tensorlite import errors

inf, nan = math.inf, math.nan
ODD = [0.0, -0.0, 1.0, -1.0, 0.5, inf, -inf, nan]

POINTS = {
    "abs": (lambda t, x: t.abs(x), ODD[:-1]),
    "relu": (lambda t, x: t.relu(x), ODD[:-1]),
    "sign": (lambda t, x: t.sign(x), ODD[:-1]),
    "sqrt": (lambda t, x: t.sqrt(x), [0.0, 4.0, inf, nan, -1.0]),
    "rsqrt": (lambda t, x: t.rsqrt(x), [0.0, 4.0, inf, nan]),
    "log": (lambda t, x: t.log(x), [0.0, 1.0, inf, nan, -1.0]),
    "log1p": (lambda t, x: t.log1p(x), [-1.0, 0.0, inf, nan, 1e-18]),
    "expm1": (lambda t, x: t.expm1(x), [0.0, 1e-18, -inf, 800.0, nan]),
    "exp": (lambda t, x: t.exp(x), [-inf, 0.0, 800.0, nan]),
    "reciprocal": (lambda t, x: t.reciprocal(x), [0.0, 2.0, inf, nan]),
    "tanh": (lambda t, x: t.tanh(x), [-inf, -1e3, 0.0, 1e3, inf, nan]),
    "sigmoid": (lambda t, x: t.sigmoid(x), [-inf, -1e3, -40.0, 0.0, 1e3, inf, nan]),
    "erf": (lambda t, x: t.erf(x), [-inf, -9.0, 0.0, 9.0, inf, nan]),
    "floor": (lambda t, x: t.floor(x), [-1.0, 0.0, 1.0, 1.5, inf, nan]),
    "round": (lambda t, x: t.round(x), [0.5, 1.5, 2.5, -0.5, -1.5, nan]),
    "square": (lambda t, x: t.square(x), [0.0, inf, nan]),
    "clamp": (lambda t, x: t.clamp(x, -1, 0.5), ODD),
    "clamp low": (lambda t, x: t.clamp(x, min=0.5), ODD),
    "clamp high": (lambda t, x: t.clamp(x, max=-1.0), ODD),
    "pow 0": (lambda t, x: x**0, ODD),
    "pow 0.0": (lambda t, x: x**0.0, ODD),
    "pow 1": (lambda t, x: x**1, ODD),
    "pow 2": (lambda t, x: x**2, ODD),
    "pow 3": (lambda t, x: x**3, ODD),
    "pow 0.5": (lambda t, x: x**0.5, [0.0, 4.0, inf, nan, -1.0]),
    "pow -1": (lambda t, x: x**-1, [0.0, 2.0, -2.0, inf]),
    "pow 1.5": (lambda t, x: x**1.5, [0.0, 4.0, -1.0]),
    "0 to the": (lambda t, x: 0.0**x, [0.0, 1.0, 2.5]),
    "2 to the": (lambda t, x: 2.0**x, [0.0, -inf, inf, nan, 3.0]),
    "whole remainders": (lambda t, x: t.fmod(x, 2.0 + x.detach()), [0.0, 5.0, -3.0]),
    "over 0": (lambda t, x: 1.0 / x, [0.0, 2.0]),
    "divided by 0": (lambda t, x: x / 0.0, [0.0, 1.0, -1.0]),
    "max": (lambda t, x: t.max(x), [1.0, 3.0, 3.0, 2.0]),
    "min": (lambda t, x: t.min(x), [1.0, 3.0, 1.0, 1.0]),
    "amax": (lambda t, x: t.amax(x, 0), [1.0, 3.0, 3.0, 3.0]),
    "amin": (lambda t, x: t.amin(x, 0), [2.0, 2.0]),
    "max of infinities": (lambda t, x: t.amax(x, 0), [inf, 1.0, inf]),
    "max of -inf": (lambda t, x: t.amax(x, 0), [-inf, -inf]),
    "max dim": (lambda t, x: t.max(x.reshape(2, 2), 1)[0], [1.0, 3.0, 4.0, 2.0]),
    "logsumexp of large": (lambda t, x: t.logsumexp(x, 0), [1e4, 1e4 - 1, -1e4]),
    "logsumexp with -inf": (lambda t, x: t.logsumexp(x, 0), [-inf, 0.0, 1.0]),
    "logsumexp of one": (lambda t, x: t.logsumexp(x, 0), [5.0]),
    "std of a constant": (lambda t, x: t.std(x), [2.0, 2.0, 2.0]),
    "std": (lambda t, x: t.std(x.reshape(2, 2), 1), [2.0, 2.0, 1.0, 3.0]),
    "var of a constant": (lambda t, x: t.var(x), [2.0, 2.0]),
    "softmax with -inf": (lambda t, x: t.softmax(x, 0)[1:], [-inf, 0.0, 1.0]),
    "softmax of large": (lambda t, x: t.softmax(x, 0)[:2], [1e4, 1e4, -1e4]),
    "softmax of -inf only": (lambda t, x: t.softmax(x, 0), [-inf, -inf]),
    "log_softmax with -inf": (lambda t, x: t.log_softmax(x, 0)[1:], [-inf, 0.0, 1.0]),
    "log_softmax of large": (lambda t, x: t.log_softmax(x, 0), [1e4, 1e4 - 1]),
    "gelu": (lambda t, x: t.nn.functional.gelu(x), [-40.0, 0.0, 40.0, nan, inf]),
    "gelu tanh": (lambda t, x: t.nn.functional.gelu(x, approximate="tanh"), [-40.0, 0.0, 40.0, nan]),
    "layer_norm of a constant": (lambda t, x: t.nn.functional.layer_norm(x, (3,)), [2.0, 2.0, 2.0]),
    "where": (lambda t, x: t.where(x > 0, x, 0.0), ODD),
    "masked_fill": (lambda t, x: x.masked_fill(x != x, 0.0), ODD),
    "remainder": (lambda t, x: x % 0.5, [0.0, 0.5, -0.25, 1.0]),
    "mean of one": (lambda t, x: t.mean(x), [3.0]),
    # the slope of a root at 0 is infinite; what is cut off before it still gets 0, not 0 times infinity
    "root of relu": (lambda t, x: t.sqrt(t.relu(x)), [-1.0, 0.0, 4.0]),
    "root of clamp": (lambda t, x: t.sqrt(t.clamp(x, min=0)), [-1.0, 4.0]),
    "root of clamp below": (lambda t, x: t.sqrt(-t.clamp(x, max=-0.0)), [1.0, -4.0]),
    "root of clamp between": (lambda t, x: t.sqrt(t.clamp(x, 0, 2)), [-1.0, 1.0, 4.0]),
    "root of clamp by a tensor": (lambda t, x: t.sqrt(t.clamp(x, t.zeros(()).double())), [-1.0, 4.0]),
    "root of maximum": (lambda t, x: t.sqrt(t.maximum(x, 0 * x.detach())), [-1.0, 4.0]),
    "root of minimum": (lambda t, x: t.sqrt(-t.minimum(x, 0 * x.detach())), [1.0, -4.0]),
    "root of the largest": (lambda t, x: t.sqrt(t.max(x)), [-1.0, 0.0, -2.0]),
    "root of the smallest": (lambda t, x: t.sqrt(t.min(x)), [1.0, 0.0, 2.0]),
    "root of the median": (lambda t, x: t.sqrt(t.median(x)), [1.0, 0.0, -2.0]),
    "root of floor": (lambda t, x: t.sqrt(t.floor(x)), [0.5, 1.5]),
    "root of round": (lambda t, x: t.sqrt(t.round(x, decimals=1)), [0.01, 1.5]),
    "root of sign": (lambda t, x: t.sqrt(t.sign(x)), [0.0, 1.5]),
    "root of whole quotients": (lambda t, x: t.sqrt(t.div(x, 2.0, rounding_mode="floor")), [0.5, 5.0]),
    "root of x to the 0": (lambda t, x: t.sqrt(x**0 - 1), [2.0, 3.0]),
    "root of x to the tensor 0": (lambda t, x: t.sqrt(x ** (0 * x.detach()) - 1), [2.0, 3.0]),
    "logit of what eps cuts off": (lambda t, x: t.logit(x, 0.0), [-1.0, 0.5, 2.0]),
    "largest is nan": (lambda t, x: t.max(x), [1.0, nan, 3.0, nan]),
    "smallest is nan": (lambda t, x: t.min(x), [1.0, nan, 3.0, nan]),
    "relu of nan": (lambda t, x: t.relu(x), [nan, 1.0]),
}


@pytest.mark.parametrize("name", POINTS)
def test_point(name, device):
    """Value and slope are PyTorch's: nan where it has nan, inf where it has inf."""
    torch = pytest.importorskip("torch")
    f, points = POINTS[name]
    found = []
    for lib in (torch, tl):
        x = lib.tensor(points, dtype=lib.float64, requires_grad=True)
        y = f(lib, x)
        (g,) = lib.autograd.grad(y.sum(), x)
        (h,) = lib.autograd.grad(f(lib, x).sum(), x, create_graph=True)
        found.append((y, g, h))
    for i, what in enumerate(("value", "slope", "slope under create_graph")):
        want = found[0][i].detach().numpy(force=True)
        np.testing.assert_allclose(host(found[1][i]), want, rtol=1e-12, atol=1e-300, err_msg=what)


PAIRS = {
    "maximum": (lambda t, x, y: t.maximum(x, y), [1.0, 2.0, 2.0, inf], [2.0, 2.0, 1.0, 0.0]),
    "minimum": (lambda t, x, y: t.minimum(x, y), [1.0, 2.0, 2.0, -inf], [2.0, 2.0, 1.0, 0.0]),
    "pow": (lambda t, x, y: x**y, [0.0, 0.0, 0.0, 2.0, -2.0, 1.0, 0.0], [0.0, 1.0, 2.0, 0.0, 2.0, 5.0, 0.5]),
    "div": (lambda t, x, y: x / y, [1.0, 0.0, inf, 1.0], [2.0, 1.0, 2.0, inf]),
    "where": (lambda t, x, y: t.where(x > y, x, y), [1.0, 2.0, inf], [2.0, 2.0, -inf]),
}


@pytest.mark.parametrize("name", PAIRS)
def test_pair(name, device):
    torch = pytest.importorskip("torch")
    f, a, b = PAIRS[name]
    found = []
    for lib in (torch, tl):
        x, y = (lib.tensor(v, dtype=lib.float64, requires_grad=True) for v in (a, b))
        z = f(lib, x, y)
        found.append((z, *lib.autograd.grad(z.sum(), (x, y))))
    for theirs, mine in zip(*found, strict=True):
        np.testing.assert_allclose(host(mine), theirs.detach().numpy(force=True), rtol=1e-12, atol=1e-300)


# ---------------------------------------------------------------- chosen otherwise than in PyTorch, or where it varies
NAN = [
    tl.abs, tl.relu, tl.sign, tl.exp, tl.sqrt, tl.tanh, tl.sigmoid, tl.floor, tl.round, tl.sum, tl.mean, tl.max, tl.min,
    tl.amax, tl.var,
    lambda x: x.clamp(-1, 1), lambda x: tl.maximum(x, tl.zeros(3)), lambda x: tl.minimum(tl.zeros(3), x), lambda x: x.max(0)[0],
    lambda x: x.softmax(0), lambda x: x.logsumexp(0), tl.nn.functional.gelu, lambda x: x % 2, lambda x: x // 2, lambda x: x**2.5,
]  # fmt: skip


@pytest.mark.parametrize("f", NAN, ids=lambda f: f.__name__)
def test_nan_is_not_hidden(f, device):
    y = host(f(tl.tensor([1.0, nan, 2.0])))
    assert np.isnan(y if y.ndim == 0 else y[1])


def test_ties_of_max_along_a_dimension_go_to_the_index_returned(device):
    x = tl.tensor([[3.0, 1.0, 3.0], [2.0, 2.0, 2.0]], requires_grad=True)
    for f in (tl.max, tl.min):
        values, indices = f(x, 1)
        (g,) = tl.autograd.grad(values.sum(), x)
        assert g.sum(1).tolist() == [1.0, 1.0]
        assert g.gather(1, indices.unsqueeze(1)).tolist() == [[1.0], [1.0]]


def test_max_of_0d_along_a_dimension(device):
    x = tl.tensor(2.0, requires_grad=True)
    values, indices = tl.max(x, 0)
    assert values is not x
    assert values.item() == 2 and indices.item() == 0
    assert tl.autograd.grad(values, x)[0].item() == 1


# ---------------------------------------------------------------- cross-entropy
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy_where_all_rows_are_ignored(reduction, weighted, smoothing, device):
    """The mean of nothing is nan, as in PyTorch; its gradient is 0, so that one such batch does not spoil the weights."""
    x = tl.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], requires_grad=True)
    w = tl.tensor([1.0, 2.0, 3.0]) if weighted else None
    loss = tl.nn.functional.cross_entropy(x, tl.tensor([-100, -100]), w, reduction=reduction, label_smoothing=smoothing)
    assert np.isnan(host(loss)).all() if reduction == "mean" else (host(loss) == 0).all()
    loss.sum().backward()
    assert (host(x.grad) == 0).all()


def test_cross_entropy_of_ignored_rows(device):
    torch = pytest.importorskip("torch")
    for target, ignored in (([0, -100, 2], -100), ([0, 1, 1], 1), ([0, 7, 2], 7), ([0, -1, 2], -1)):
        for weighted in (False, True):
            found = []
            for lib in (torch, tl):
                x = lib.tensor(
                    [[1.0, 2.0, 3.0], [3.0, 2.0, -1.0], [0.5, 0.0, 1e4]], dtype=lib.float64, requires_grad=True
                )
                w = lib.tensor([0.5, 1.0, 2.0], dtype=lib.float64) if weighted else None
                loss = lib.nn.functional.cross_entropy(x, lib.tensor(target), w, ignore_index=ignored)
                found.append((loss, lib.autograd.grad(loss, x)[0]))
            for theirs, mine in zip(*found, strict=True):
                np.testing.assert_allclose(host(mine), theirs.detach().numpy(), rtol=1e-12, atol=1e-15)


def test_cross_entropy_with_a_forbidden_class(device):
    """A logit of -inf is a class that cannot be: probability and gradient 0."""
    x = tl.tensor([[0.0, -inf, 1.0]], requires_grad=True)
    loss = tl.nn.functional.cross_entropy(x, tl.tensor([2]))
    loss.backward()
    p = 1 / (1 + math.e)
    np.testing.assert_allclose(host(loss), math.log(1 + math.exp(-1)), rtol=1e-6)
    np.testing.assert_allclose(host(x.grad), [[p, 0, -p]], rtol=1e-6)


# ---------------------------------------------------------------- attention
def _qkv(length=3, keys=4):
    rng = np.random.default_rng(0)
    return [tl.tensor(rng.normal(size=(2, n, 2)), requires_grad=True) for n in (length, keys, keys)]


@pytest.mark.parametrize("kind", ["bool", "float"])
@pytest.mark.parametrize("create", [False, True], ids=["plain", "create_graph"])
def test_attention_of_a_row_that_may_attend_nowhere(kind, create, device):
    """Zeros and gradients of zero for that row; the other rows as if it were not there."""
    q, k, v = _qkv()
    keep = np.array([[1, 1, 0, 1], [0, 0, 0, 0], [0, 1, 1, 1]], bool)
    mask = tl.tensor(keep) if kind == "bool" else tl.tensor(np.where(keep, 0.0, -inf))
    out = tl.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    assert (host(out)[:, 1] == 0).all()
    w = tl.tensor(np.random.default_rng(1).normal(size=out.shape))
    gq, gk, gv = tl.autograd.grad((out * w).sum(), (q, k, v), create_graph=create)
    assert (host(gq)[:, 1] == 0).all()
    rows = tl.tensor([0, 2])
    other = tl.nn.functional.scaled_dot_product_attention(q[:, rows], k, v, attn_mask=mask[rows])
    np.testing.assert_allclose(host(out)[:, [0, 2]], host(other), rtol=1e-12)
    for mine, want in zip((gq, gk, gv), tl.autograd.grad((other * w[:, rows]).sum(), (q, k, v)), strict=True):
        np.testing.assert_allclose(host(mine), host(want), rtol=1e-10, atol=1e-14)
    if create:
        second = tl.autograd.grad(sum((g * g).sum() for g in (gq, gk, gv)), (q, k, v))
        assert all(np.isfinite(host(g)).all() for g in second)


@pytest.mark.parametrize("kind", ["bool", "float"])
def test_attention_where_no_row_may_attend(kind, device):
    q, k, v = _qkv()
    mask = tl.zeros(3, 4, dtype=tl.bool) if kind == "bool" else tl.full((3, 4), -inf, dtype=tl.float64)
    out = tl.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    out.sum().backward()
    for x in (out, q.grad, k.grad, v.grad):
        assert (host(x) == 0).all()


def test_attention_of_large_scores(device):
    q, k, v = _qkv()
    out = tl.nn.functional.scaled_dot_product_attention(q * 1e3, k * 1e3, v)
    picked = (host(q) @ host(k).swapaxes(-1, -2)).argmax(-1)
    np.testing.assert_allclose(host(out), np.take_along_axis(host(v), picked[..., None], 1), rtol=1e-9)
    assert all(np.isfinite(host(g)).all() for g in tl.autograd.grad(out.sum(), (q, k, v)))


def test_attention_without_queries(device):
    q, k, v = _qkv(length=0)
    out = tl.nn.functional.scaled_dot_product_attention(q, k, v)
    assert out.shape == (2, 0, 2)
    out.sum().backward()
    assert (host(k.grad) == 0).all() and (host(v.grad) == 0).all()


# ---------------------------------------------------------------- precision
def test_erf_to_the_last_digits(device):
    x = np.concatenate([np.linspace(-7, 7, 20001), [1e-300, 1e-20, -1e-9, 0.4999999, 0.5, 0.5000001, 27.0]])
    got = host(tl.erf(tl.tensor(x)))
    np.testing.assert_allclose(got, scipy.special.erf(x), rtol=1e-15 * 4)
    got = host(tl.erf(tl.tensor(x.astype("f4"))))
    np.testing.assert_allclose(got, scipy.special.erf(x.astype("f4").astype("f8")), rtol=3e-7, atol=1e-45)


def test_gelu_of_far_negative_numbers_keeps_relative_precision_of_the_sum(device):
    x = np.linspace(-6, 6, 2001)
    np.testing.assert_allclose(
        host(tl.nn.functional.gelu(tl.tensor(x))), x * scipy.special.ndtr(x), rtol=1e-9, atol=1e-15
    )


@pytest.mark.parametrize("f", ["softmax", "log_softmax"])
def test_softmax_of_wide_rows_in_single_precision(f, device):
    x = np.random.default_rng(0).normal(size=(4, 5000)).astype("f4") * 5
    got = host(getattr(tl, f)(tl.tensor(x), -1))
    np.testing.assert_allclose(got, getattr(scipy.special, f)(x.astype("f8"), axis=-1), rtol=2e-5, atol=1e-12)


def test_layer_norm_of_rows_far_from_zero(device):
    """Mean and variance in two passes: no cancellation where the mean is large against the deviation."""
    x = np.random.default_rng(0).normal(size=(3, 64)) + 1000.0
    got = host(tl.nn.functional.layer_norm(tl.tensor(x.astype("f4")), (64,)))
    y = x.astype("f4").astype("f8")
    np.testing.assert_allclose(got, (y - y.mean(1, keepdims=True)) / np.sqrt(y.var(1, keepdims=True) + 1e-5), atol=1e-3)


# ---------------------------------------------------------------- integers
@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
@pytest.mark.parametrize(("op", "f"), [("floor_divide", lambda x, y: x // y), ("remainder", lambda x, y: x % y)])
def test_integer_division_by_zero_is_an_error(op, f, dtype, device):
    x = tl.tensor([1, 2], dtype=getattr(tl, dtype))
    for zero in (0, tl.tensor([1, 0], dtype=x.dtype), tl.tensor(0, dtype=x.dtype)):
        with pytest.raises(errors.ArgumentError, match=f"{op}: an integer was divided by zero"):
            f(x, zero)
    assert f(x, tl.tensor([1, 2], dtype=x.dtype)).dtype == x.dtype
    assert f(x, tl.tensor([0.0, 1.0])).dtype == tl.float32  # floats have inf and nan


def test_negative_powers_of_integers_are_an_error(device):
    for exponent in (-1, tl.tensor([1, -1])):
        with pytest.raises(
            errors.ArgumentError, match=r"pow: integers have no negative integer powers; use x.float\(\)"
        ):
            tl.tensor([1, 2]) ** exponent


def test_numbers_that_do_not_fit_an_integer_dtype(device):
    with pytest.raises(errors.ArgumentError, match="pow: Python integer 300 out of bounds for uint8"):
        tl.ones(2, dtype=tl.uint8) ** 300
    with pytest.raises(errors.ArgumentError, match="add: 300 cannot be stored in a tensor of uint8"):
        tl.add(tl.ones(2, dtype=tl.uint8), tl.ones(2, dtype=tl.uint8), alpha=300)
    assert tl.add(tl.ones(2, dtype=tl.int32), tl.ones(2, dtype=tl.uint8), alpha=300).tolist() == [301, 301]
    assert (tl.ones(2, dtype=tl.uint8) < 300).all()  # compared as it is, where PyTorch wraps the 300


@pytest.mark.parametrize("f", ["var", "std"])
def test_spread_of_a_single_number(f, device):
    x = tl.tensor([3.0], requires_grad=True)
    assert math.isnan(getattr(tl, f)(x).item())
    assert getattr(tl, f)(x, correction=0).item() == 0


def test_reductions_of_nothing(device):
    x = tl.zeros(0, 3)
    assert x.sum().item() == 0 and x.sum(0).tolist() == [0, 0, 0]
    assert math.isnan(x.mean().item())
    assert x.all().item() is True and x.any().item() is False
    assert tl.logsumexp(tl.zeros(2, 0), 1).tolist() == [-inf, -inf]


def test_embedding_padding_gets_no_gradient(device):
    torch = pytest.importorskip("torch")
    for padding in (0, 2, -1):
        grads = []
        for lib in (tl, torch):
            w = lib.arange(12, dtype=lib.float64).reshape(4, 3).clone().requires_grad_()
            y = lib.nn.functional.embedding(lib.tensor([[0, 2, 3], [2, 3, 3]]), w, padding_idx=padding)
            (y * y).sum().backward()
            grads.append(w.grad.tolist())
        assert grads[0] == grads[1]
