"""Activations against PyTorch at three orders, at kinks and extremes, in place, as modules, and what they refuse."""

import numpy as np
import pytest
from layer_check import check, ids, normal
from numeric import host
from orders import same_orders

import tensorlite as tl
from tensorlite import errors, nn
from tensorlite.nn import functional as F


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


ELEMENTS = {  # call: (function, in place too)
    "relu": (lambda f, x, **k: f.relu(x, **k), True),
    "relu6": (lambda f, x, **k: f.relu6(x, **k), True),
    "leaky_relu": (lambda f, x, **k: f.leaky_relu(x, **k), True),
    "leaky_relu 0.3": (lambda f, x, **k: f.leaky_relu(x, 0.3, **k), True),
    "rrelu evaluation": (lambda f, x, **k: f.rrelu(x, 0.1, 0.5, **k), True),
    "threshold": (lambda f, x, **k: f.threshold(x, 0.5, -2.0, **k), True),
    "hardtanh": (lambda f, x, **k: f.hardtanh(x, -0.5, 2.0, **k), True),
    "hardsigmoid": (lambda f, x, **k: f.hardsigmoid(x, **k), True),
    "hardswish": (lambda f, x, **k: f.hardswish(x, **k), True),
    "hardshrink": (lambda f, x: f.hardshrink(x, 0.7), False),
    "softshrink": (lambda f, x: f.softshrink(x, 0.7), False),
    "elu": (lambda f, x, **k: f.elu(x, **k), True),
    "elu 0.4": (lambda f, x, **k: f.elu(x, 0.4, **k), True),
    "celu": (lambda f, x, **k: f.celu(x, 0.4, **k), True),
    "selu": (lambda f, x, **k: f.selu(x, **k), True),
    "silu": (lambda f, x, **k: f.silu(x, **k), True),
    "mish": (lambda f, x, **k: f.mish(x, **k), True),
    "gelu": (lambda f, x: f.gelu(x), False),
    "gelu tanh": (lambda f, x: f.gelu(x, approximate="tanh"), False),
    "softplus": (lambda f, x: f.softplus(x), False),
    "softplus options": (lambda f, x: f.softplus(x, 2.0, 3.0), False),
    "logsigmoid": (lambda f, x: f.logsigmoid(x), False),
    "softsign": (lambda f, x: f.softsign(x), False),
    "tanhshrink": (lambda f, x: f.tanhshrink(x), False),
    "sigmoid": (lambda f, x: f.sigmoid(x), False),
    "tanh": (lambda f, x: f.tanh(x), False),
    "glu": (lambda f, x: f.glu(x, 0), False),
    "softmax": (lambda f, x: f.softmax(x, 0), False),
    "softmin": (lambda f, x: f.softmin(x, -1), False),
    "log_softmax": (lambda f, x: f.log_softmax(x, 0), False),
}
KINKS = np.array([-1e4, -50.0, -3.0, -1.0, -0.7, -0.5, 0.0, 0.5, 0.7, 2.0, 3.0, 6.0, 50.0, 1e4])


@pytest.mark.parametrize(
    "name", ["softplus", "logsigmoid", "relu", "relu6", "elu", "tanh", "sigmoid", "hardtanh", "mish"]
)
def test_infinities(torch, device, name):
    """(PyTorch's mish of -inf is nan as well.)"""
    found = []
    for lib in (torch, tl):
        x = lib.tensor([float("inf"), -float("inf"), 1e300], dtype=lib.float64, requires_grad=True)
        y = getattr(lib.nn.functional, name)(x)
        found.append((y, *lib.autograd.grad(y.sum(), x)))
    for theirs, mine in zip(*found, strict=True):
        np.testing.assert_array_equal(host(mine), theirs.detach().numpy())


@pytest.mark.parametrize("name", ELEMENTS, ids=ids)
def test_three_orders(torch, device, name):
    """PyTorch has no second derivative of hardsigmoid; it is 0 but at the kinks."""
    function, _ = ELEMENTS[name]
    for shape in ((4, 3), (2, 2, 5), (0, 3), (6,)):
        same_orders(torch, lambda n, f, x: function(f, x), [normal(*shape, scale=3.0)], second=name != "hardsigmoid")


@pytest.mark.parametrize("name", ELEMENTS, ids=ids)
def test_kinks_and_extremes(torch, device, name):
    """The slopes at the kinks are PyTorch's, and nothing overflows at +-1e4 up to the second order."""
    function, _ = ELEMENTS[name]
    if name == "hardsigmoid":  # PyTorch's slope is the 1/6 of float32
        kinks = KINKS[np.abs(KINKS) >= 3]
    else:
        kinks = KINKS
    same_orders(torch, lambda n, f, x: function(f, x), [kinks], second=False)
    x = tl.tensor(kinks, requires_grad=True)
    (g,) = tl.autograd.grad(function(F, x).sum(), [x], create_graph=True)
    assert np.isfinite(host(g)).all()
    if g.requires_grad:
        assert np.isfinite(host(tl.autograd.grad(g.sum(), [x])[0])).all()


@pytest.mark.parametrize("name", [n for n, (_, also) in ELEMENTS.items() if also], ids=ids)
def test_in_place(device, name):
    function, _ = ELEMENTS[name]
    x = tl.tensor(normal(4, 3, scale=3.0), requires_grad=True)
    y = x * 1
    assert function(F, y, inplace=True) is y
    assert np.array_equal(host(y), host(function(F, x)))
    a, b = (tl.autograd.grad((v * v).sum(), [x])[0] for v in (y, function(F, x)))
    np.testing.assert_allclose(host(a), host(b), rtol=1e-12)


@pytest.mark.parametrize("name", ELEMENTS, ids=ids)
def test_the_dtype_stays(device, name):
    for dtype in (tl.float16, tl.float32, tl.float64):
        assert ELEMENTS[name][0](F, tl.tensor(normal(4, 2)).to(dtype)).dtype == dtype
    x = tl.tensor([-1.0], dtype=tl.float64)
    assert float(F.leaky_relu(x, 0.3)) == -0.3  # no rounding to float32 on the way


def test_names_with_an_underscore(device):
    for name, args in {"relu_": (), "leaky_relu_": (0.2,), "threshold_": (0.1, 3.0), "hardtanh_": (-0.1, 0.1), "elu_": (),
                       "selu_": (), "celu_": (), "rrelu_": (0.2, 0.3)}.items():  # fmt: skip
        x = tl.tensor(normal(5))
        wanted = getattr(F, name[:-1])(x, *args)
        assert getattr(F, name)(x, *args) is x and np.array_equal(host(x), host(wanted))


@pytest.mark.parametrize(
    "shape, weights", [((4, 3), 1), ((4, 3), 3), ((2, 3, 2, 2), 3), ((5,), 1), ((), 1), ((0, 3), 3)]
)
def test_prelu(torch, device, shape, weights):
    same_orders(torch, lambda n, f, x, w: f.prelu(x, w), [np.asarray(normal(*shape)), normal(weights, seed=1)])


LAYERS = {
    "ReLU": lambda n: n.ReLU(), "ReLU in place": lambda n: n.Sequential(n.LeakyReLU(0.5), n.ReLU(inplace=True)),
    "ReLU6": lambda n: n.ReLU6(), "LeakyReLU": lambda n: n.LeakyReLU(0.2), "PReLU": lambda n: n.PReLU(3),
    "PReLU of one": lambda n: n.PReLU(init=0.1), "ELU": lambda n: n.ELU(0.7), "CELU": lambda n: n.CELU(0.7),
    "SELU": lambda n: n.SELU(), "GELU": lambda n: n.GELU("tanh"), "SiLU": lambda n: n.SiLU(), "Mish": lambda n: n.Mish(),
    "Softplus": lambda n: n.Softplus(2, 1), "Softsign": lambda n: n.Softsign(), "Softshrink": lambda n: n.Softshrink(0.2),
    "Hardshrink": lambda n: n.Hardshrink(0.2), "Hardtanh": lambda n: n.Hardtanh(-0.5, 0.7), "Tanh": lambda n: n.Tanh(),
    "Hardswish": lambda n: n.Hardswish(), "Tanhshrink": lambda n: n.Tanhshrink(), "Sigmoid": lambda n: n.Sigmoid(),
    "LogSigmoid": lambda n: n.LogSigmoid(), "GLU": lambda n: n.GLU(), "Threshold": lambda n: n.Threshold(0.1, 20),
    "Softmax": lambda n: n.Softmax(1), "Softmin": lambda n: n.Softmin(dim=-1), "LogSoftmax": lambda n: n.LogSoftmax(dim=1),
    "Softmax2d": lambda n: n.Softmax2d(), "Hardsigmoid": lambda n: n.Hardsigmoid(),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS, ids=ids)
def test_layers(torch, device, name):
    check(torch, LAYERS[name], normal(2, 3, 2, 4) * (10 if name == "Hardsigmoid" else 1), steps=1)


@pytest.mark.parametrize("make", [
    lambda n: n.ReLU(True), lambda n: n.LeakyReLU(0.1, True), lambda n: n.ELU(inplace=True), lambda n: n.CELU(2.0, True),
    lambda n: n.SELU(True), lambda n: n.SiLU(True), lambda n: n.Mish(True), lambda n: n.Hardtanh(inplace=True),
    lambda n: n.ReLU6(True), lambda n: n.Threshold(1.0, 2.0, True), lambda n: n.RReLU(), lambda n: n.RReLU(inplace=True),
    lambda n: n.Hardswish(True), lambda n: n.Hardsigmoid(True), lambda n: n.Softmax(), lambda n: n.Softplus(),
])  # fmt: skip
def test_text(torch, make):
    assert repr(make(nn)) == repr(make(torch.nn))


def test_rrelu_draws_slopes(device):
    x = -tl.ones(4000, dtype=tl.float64)
    x.requires_grad_()
    y = nn.RReLU(0.1, 0.4)(x)
    (g,) = tl.autograd.grad(y.sum(), [x])
    slope = host(g)
    assert np.allclose(host(y), -slope) and slope.min() >= 0.1 and slope.max() <= 0.4
    assert abs(slope.mean() - 0.25) < 5 * 0.3 / np.sqrt(12 * 4000) and not np.array_equal(
        slope, -host(nn.RReLU(0.1, 0.4)(x))
    )
    assert np.allclose(host(nn.RReLU(0.1, 0.4).eval()(x)), -0.25)
    assert np.array_equal(host(nn.RReLU()(tl.ones(3))), np.ones(3))


def test_gumbel_softmax_samples_the_classes(device):
    p = np.array([0.1, 0.2, 0.7])
    logits = tl.tensor(np.log(p), requires_grad=True)
    rows = logits.expand(8000, 3)
    hard = F.gumbel_softmax(rows, hard=True)
    one = host(hard)
    assert np.allclose(one.sum(1), 1) and np.allclose(one.max(1), 1)
    assert np.abs(one.mean(0) - p).max() < 5 * 0.5 / np.sqrt(8000)
    (g,) = tl.autograd.grad((hard * tl.tensor(normal(8000, 3))).sum(), [logits])
    assert np.abs(host(g)).max() > 0
    soft = host(F.gumbel_softmax(rows, tau=0.5, dim=0))
    assert np.allclose(soft.sum(0), 1)


@pytest.mark.parametrize("call, kind, text", [
    (lambda: F.glu(tl.ones(2, 3)), errors.ShapeError, "glu: dimension -1 must be even to be halved, it is 3: input float32 (2, 3)"),
    (lambda: F.glu(tl.ones(2, 4), 2), errors.IndexRangeError, "glu: dim 2 is out of range for a tensor of 2 dimensions"),
    (lambda: F.glu(tl.tensor(1.0)), errors.ShapeError, "glu: a 0-dimensional input has no halves"),
    (lambda: F.prelu(tl.ones(2, 3), tl.ones(2)), errors.ShapeError, "each of the 3 channels (dimension 1 of input): input float32 (2, 3)"),
    (lambda: F.prelu(tl.ones(2, 3), tl.ones(3).double()), errors.DTypeError, "prelu: input is float32, weight float64"),
    (lambda: F.celu(tl.ones(2), 0), errors.ArgumentError, "celu: alpha cannot be 0"),
    (lambda: F.softshrink(tl.ones(2), -1), errors.ArgumentError, "softshrink: lambd must not be negative, got -1"),
    (lambda: F.rrelu(tl.ones(2), 1, 0.5), errors.ArgumentError, "rrelu: lower 1 is greater than upper 0.5"),
    (lambda: F.hardtanh(tl.ones(2), 1, -1), errors.ArgumentError, "hardtanh: min_val 1 is greater than max_val -1"),
    (lambda: nn.Hardtanh(1, 1), errors.ArgumentError, "Hardtanh: max_val 1 must be above min_val 1"),
    (lambda: F.gumbel_softmax(tl.ones(2), 0), errors.ArgumentError, "gumbel_softmax: tau must be positive, got 0"),
    (lambda: F.elu([1.0]), errors.DTypeError, "elu: input must be a Tensor, not list"),
    (lambda: F.mish(tl.tensor([1])), errors.DTypeError, "mish: input must be floating point, got int64 (1,); use input.float()"),
    (lambda: nn.Sequential(nn.Softmax2d())(tl.ones(2, 3)), errors.ShapeError,
     "Softmax2d: input must be (N, C, H, W) or (C, H, W), got float32 (2, 3), in 0"),
])  # fmt: skip
def test_refused(call, kind, text):
    with pytest.raises(kind) as caught:
        call()
    assert text in str(caught.value)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "softmin"])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 3, 4), (2, 3, 2, 2)])
def test_softmax_without_dim_as_pytorchs(name, shape):
    torch = pytest.importorskip("torch")
    x, layer = np.random.default_rng(0).standard_normal(shape), {"softmax": "Softmax", "log_softmax": "LogSoftmax"}
    results = []
    for t in (tl, torch):
        for call in (getattr(t.nn.functional, name), getattr(t.nn, layer.get(name, "Softmin"))()):
            with pytest.warns(UserWarning, match=f"{name}") as said:
                results.append(call(t.tensor(x)).numpy())
            assert len(said) == 1
    for other in results[1:]:
        np.testing.assert_allclose(results[0], other, rtol=1e-12)


@pytest.mark.parametrize("name", ["silu", "mish", "hardswish", "softshrink", "hardshrink", "softplus", "logsigmoid"])
@pytest.mark.parametrize("g", [float("inf"), -float("inf"), 0.0])
def test_infinite_gradients(torch, device, name, g):
    """An infinite gradient times the slope, with the sign of the slope: no nan where PyTorch has none."""
    found = []
    for lib in (tl, torch):
        x = lib.tensor([-20.0, -2.0, -1.0, -0.3, 0.0, 0.4, 2.5, 20.0], dtype=lib.float64, requires_grad=True)
        (h,) = lib.autograd.grad(getattr(lib.nn.functional, name)(x), x, lib.full((8,), g, dtype=lib.float64))
        found.append(h.tolist())
    np.testing.assert_array_equal(*found)
