"""Elementwise functions at their edges: zeros with a sign, subnormal and huge numbers, nan, ties, poles; precision; operators."""

import math
import operator
import warnings

import numpy as np
import pytest
import scipy.special
from numeric import host

import tensorlite as tl
from tensorlite import errors

inf, nan = math.inf, math.nan
TINY, SUBNORMAL, HUGE = 2.2250738585072014e-308, 5e-324, 1e300
ODD = [0.0, -0.0, 1.0, -1.0, 0.5, SUBNORMAL, -TINY, HUGE, -HUGE, inf, -inf, nan]

POINTS = {
    "exp2": (lambda t, x: t.exp2(x), [0.0, -1080.0, 2000.0, -inf, inf, nan]),
    "sinh": (lambda t, x: t.sinh(x), [0.0, -0.0, SUBNORMAL, 800.0, -inf, nan]),
    "cosh": (lambda t, x: t.cosh(x), [0.0, -800.0, inf, nan]),
    "asin": (lambda t, x: t.asin(x), [0.0, -0.0, 1.0, -1.0, 2.0, SUBNORMAL, nan]),
    "acos": (lambda t, x: t.acos(x), [0.0, 1.0, -1.0, 2.0, nan]),
    "atan": (lambda t, x: t.atan(x), ODD),
    "asinh": (lambda t, x: t.asinh(x), [0.0, -0.0, SUBNORMAL, 1e150, inf, -inf, nan]),
    "acosh": (lambda t, x: t.acosh(x), [1.0, 1e150, inf, nan]),
    "atanh": (lambda t, x: t.atanh(x), [0.0, -0.0, 1.0, -1.0, 2.0, SUBNORMAL, nan]),
    "sigmoid": (lambda t, x: t.sigmoid(x), [0.0, -40.0, -700.0, -1e300, 1e300, inf, -inf, nan]),
    "logit": (lambda t, x: t.logit(x), [0.0, 1.0, 0.5, 1e-300, 2.0, -1.0, nan]),
    "logit with eps": (lambda t, x: t.logit(x, 0.1), [0.0, 1.0, 0.5, 0.1, 2.0, -1.0]),
    "erf": (lambda t, x: t.erf(x), ODD),
    "erfc": (lambda t, x: t.erfc(x), [0.0, -0.0, 26.0, 30.0, -30.0, SUBNORMAL, inf, -inf, nan]),
    "erfinv": (lambda t, x: t.erfinv(x), [0.0, 1.0, -1.0, 2.0, SUBNORMAL, 1 - 1e-16, nan]),
    "lgamma": (lambda t, x: t.lgamma(x), [1.0, 2.0, 0.5, -0.5, 1e10, 1e-300, inf, nan]),
    "digamma": (lambda t, x: t.digamma(x), [1.0, 2.0, 0.5, -0.5, -10.5, 1e10]),
    "polygamma 2": (lambda t, x: t.polygamma(2, x), [1.0, 2.0, 0.5, 40.0]),
    "i0": (lambda t, x: t.i0(x), [0.0, -0.0, 1.0, -0.5, SUBNORMAL, nan]),
    "sinc": (lambda t, x: t.sinc(x), [0.0, -0.0, 1.0, 0.5, SUBNORMAL, inf, nan]),
    "trunc": (lambda t, x: t.trunc(x), [0.0, -0.0, -0.5, 1.5, HUGE, inf, nan]),
    "frac": (lambda t, x: t.frac(x), [0.0, -0.5, 1.5, HUGE, SUBNORMAL, inf, nan]),
    "nan_to_num": (lambda t, x: t.nan_to_num(x), ODD),
    "nan_to_num to numbers": (lambda t, x: t.nan_to_num(x, 1.0, 2.0, -2.0), ODD),
    "xlogy by a number": (lambda t, x: t.xlogy(x, 0.0), [0.0, 1.0, -1.0, nan]),
    "deg2rad": (lambda t, x: t.deg2rad(x), ODD),
    "clamp by one tensor": (lambda t, x: t.clamp(x, t.ones((), dtype=t.float64) * 0.5), ODD),
    "clamp_min": (lambda t, x: t.clamp_min(x, 0.5), ODD),
    "square": (lambda t, x: t.square(x), [SUBNORMAL, HUGE, -inf]),
    "sqrt": (lambda t, x: t.sqrt(x), [0.0, SUBNORMAL, HUGE, inf, -1.0]),
    "log1p": (lambda t, x: t.log1p(x), [SUBNORMAL, -1e-300, HUGE]),
    "fmod": (lambda t, x: t.fmod(x, 0.5), [0.0, -0.0, 0.75, -0.75, SUBNORMAL, inf, nan]),
}


@pytest.mark.parametrize("name", POINTS)
def test_point(name, device):
    """Value and slope are PyTorch's, also under create_graph; a zero has PyTorch's sign."""
    torch = pytest.importorskip("torch")
    f, points = POINTS[name]
    found = []
    for lib in (torch, tl):
        x = lib.tensor(points, dtype=lib.float64, requires_grad=True)
        y = f(lib, x)
        (g,) = lib.autograd.grad(y.sum(), x)
        (h,) = lib.autograd.grad(f(lib, x).sum(), x, create_graph=True)
        found.append((y, g, h))
    tolerance = 1e-9 if name == "digamma" else 1e-11  # PyTorch's trigamma has ten digits
    for i, what in enumerate(("value", "slope", "slope under create_graph")):
        want = found[0][i].detach().numpy(force=True)
        np.testing.assert_allclose(host(found[1][i]), want, rtol=tolerance, atol=1e-305, err_msg=what)
    value, want = host(found[1][0]), found[0][0].detach().numpy(force=True)
    zero = want == 0
    np.testing.assert_array_equal(np.signbit(value[zero]), np.signbit(want[zero]), err_msg="the sign of zero")


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_lgamma_of_negative_numbers_near_a_pole_and_far_away(dtype, device):
    points = [-1e-45, -1e-40, -1e-30, -1e-10, -1e-6, -0.0, -2.5, -170.5, -1.0, -1e7, -1e20, -1e38, -3.4e38, -inf]
    with np.errstate(over="ignore"):
        points = np.array(points, dtype=dtype)
    want = scipy.special.gammaln(points.astype(np.float64))
    want[np.isinf(want)] = inf  # SciPy has -inf at -inf
    np.testing.assert_allclose(host(tl.lgamma(tl.tensor(points))), want, rtol=1e-3 if dtype == "float16" else 4e-6)


PAIRS = {
    "atan2": (lambda t, x, y: t.atan2(x, y), [0.0, -0.0, 0.0, 1.0, -0.0, 0.0], [0.0, 0.0, 1.0, 0.0, -1.0, -1.0]),
    "hypot": (lambda t, x, y: t.hypot(x, y), [3.0, 0.0, HUGE, 1e-200], [4.0, 2.0, HUGE, 1e-200]),
    "logaddexp": (lambda t, x, y: t.logaddexp(x, y), [1.0, 1e4, -1e4, 0.0, -inf], [1.0, 1e4, -1e4, -inf, 0.0]),
    "logaddexp2": (lambda t, x, y: t.logaddexp2(x, y), [1.0, 1e4, -1e4, 0.0, -inf], [1.0, 1e4, -1e4, -inf, 0.0]),
    "fmax": (lambda t, x, y: t.fmax(x, y), [1.0, 2.0, nan, 1.0, nan, 3.0], [1.0, 1.0, 1.0, nan, nan, inf]),
    "fmin": (lambda t, x, y: t.fmin(x, y), [1.0, 2.0, nan, 1.0, nan, 3.0], [1.0, 1.0, 1.0, nan, nan, -inf]),
    "copysign": (lambda t, x, y: t.copysign(x, y), [0.0, -0.0, 1.0, -2.0, 3.0], [1.0, -1.0, -0.0, 0.0, nan]),
    "xlogy": (lambda t, x, y: t.xlogy(x, y), [0.0, 1.0, 0.0, 2.0], [1.0, 0.0, -1.0, inf]),
    "nextafter": (lambda t, x, y: t.nextafter(x, y), [0.0, 1.0, -0.0, 1.0, inf], [1.0, 1.0, -1.0, inf, 0.0]),
    "fmod": (lambda t, x, y: t.fmod(x, y), [5.0, -5.0, 5.0, -5.0, 5.0], [3.0, 3.0, -3.0, -3.0, inf]),
    "remainder": (lambda t, x, y: t.remainder(x, y), [5.0, -5.0, 5.0, -5.0], [3.0, 3.0, -3.0, -3.0]),
    "div trunc": (lambda t, x, y: t.div(x, y, rounding_mode="trunc"), [5.0, -5.0, 5.0, 1.0], [3.0, 3.0, -3.0, 0.0]),
    "div floor": (lambda t, x, y: t.div(x, y, rounding_mode="floor"), [5.0, -5.0, 5.0, 1.0], [3.0, 3.0, -3.0, 0.0]),
    "clamp below": (lambda t, x, y: t.clamp(x, y), [1.0, 2.0, 2.0, nan], [2.0, 2.0, 1.0, 0.0]),
    "clamp above": (lambda t, x, y: t.clamp(x, max=y), [1.0, 2.0, 2.0, nan], [2.0, 2.0, 1.0, 0.0]),
    "clamp between": (lambda t, x, y: t.clamp(x, y, 2 - y), [0.0, 1.0, 2.0, 3.0, 1.5], [1.0, 1.0, 0.0, 0.0, 2.0]),
    "lerp": (lambda t, x, y: t.lerp(x, y, x), [0.0, 1.0, 0.5, 2.0], [7.0, 0.1, 3.0, inf]),
    "pow": (lambda t, x, y: x**y, [0.0, -0.0, 0.0, -1.0, inf, 1.0], [2.0, 3.0, 0.0, 2.0, 0.5, nan]),
    "float_power": (lambda t, x, y: t.float_power(x, y), [0.0, 2.0, -2.0], [2.0, -2.0, 2.0]),
    "sub of infinities": (lambda t, x, y: x - y, [inf, -0.0, SUBNORMAL], [inf, -0.0, TINY]),
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


# ---------------------------------------------------------------- chosen otherwise than in PyTorch
def _slopes(f, *values):
    xs = [tl.tensor(v, dtype=tl.float64, requires_grad=True) for v in values]
    return [host(g).tolist() for g in tl.autograd.grad(f(*xs).sum(), xs)]


def test_slopes_that_are_nan_in_pytorch(device):
    assert _slopes(tl.hypot, [0.0], [0.0]) == [[0.0], [0.0]]
    assert _slopes(tl.logaddexp, [-inf, inf], [-inf, inf]) == [[0.5, 0.5], [0.5, 0.5]]
    assert _slopes(tl.xlogy, [0.0], [0.0]) == [[0.0], [0.0]]
    assert _slopes(lambda x: tl.copysign(x, -1.0), [inf, -inf]) == [[-1.0, 1.0]]
    assert tl.polygamma(2, tl.tensor([inf])).item() == 0
    assert tl.polygamma(1, tl.tensor([-1.0])).item() == inf


def test_sinc_at_0_has_derivatives_of_every_order(device):
    x = tl.tensor(0.0, dtype=tl.float64, requires_grad=True)
    y, found = tl.sinc(x), []
    for _ in range(4):
        (y,) = tl.autograd.grad(y, x, create_graph=True)
        found.append(y.item())
    np.testing.assert_allclose(found, [0, -(math.pi**2) / 3, 0, math.pi**4 / 5], atol=1e-12)


def test_logaddexp_at_a_tie_has_a_second_derivative(device):
    x = tl.tensor(1.0, dtype=tl.float64, requires_grad=True)
    (g,) = tl.autograd.grad(tl.logaddexp(x, tl.tensor(1.0, dtype=tl.float64)), x, create_graph=True)
    assert tl.autograd.grad(g, x)[0].item() == 0.25


def test_second_slope_of_fmod_at_0_over_0(device):
    x, y = (tl.tensor(0.0, dtype=tl.float64, requires_grad=True) for _ in range(2))
    (g,) = tl.autograd.grad(tl.fmod(x, y), y, create_graph=True)
    assert math.isnan(g.item()) and tl.autograd.grad(g, x)[0].item() == 0


def test_where_beside_the_number_0(device):
    """Its quick way through the bits: nan and infinities are gone, not multiplied; a zero keeps its sign."""
    condition = tl.tensor([True, False, True, False])
    for dtype in (tl.float16, tl.float32, tl.float64):
        x = tl.tensor([-1.5, nan, -0.0, -inf], dtype=dtype)
        for y, (a, b) in (
            (tl.where(condition, x, 0.0), ([-1.5, 0.0, -0.0, 0.0], [True, False, True, False])),
            (tl.where(~condition, 0.0, x), ([-1.5, 0.0, -0.0, 0.0], [True, False, True, False])),
            (tl.where(condition, x, -0.0), ([-1.5, -0.0, -0.0, -0.0], [True] * 4)),
        ):
            assert y.dtype is dtype
            np.testing.assert_array_equal(host(y), a)
            np.testing.assert_array_equal(np.signbit(host(y)), b)
        assert tl.where(condition.reshape(4, 1), x[:2], 0.0).shape == (4, 2)
    assert tl.where(condition[0], tl.tensor(2.0), 0.0).item() == 2


def test_whole_quotients_of_nothing(device):
    """Nothing is divided by the zero."""
    x, y = tl.zeros(0, 3, dtype=tl.int64), tl.tensor([[0, 1, 2]])
    for f in (tl.floor_divide, tl.remainder, tl.fmod, lambda x, y: tl.div(x, y, rounding_mode="trunc")):
        assert f(x, y).shape == (0, 3)


def test_heaviside(device):
    x = [-1.0, 0.0, 1.0, nan]
    assert tl.heaviside(tl.tensor(x), tl.tensor(0.5)).tolist() == [0.0, 0.5, 1.0, 0.0]
    assert _slopes(tl.heaviside, x, [0.5] * 4) == [[0.0] * 4, [0.0, 1.0, 0.0, 0.0]]


# ---------------------------------------------------------------- precision: what backend/special.py states
SMALL = np.concatenate([np.linspace(0.01, 12, 4001), np.logspace(-12, 12, 97), [1.0, 2.0, 1.4616321449683622, 10.0]])
PRECISE = {
    "erf": (tl.erf, scipy.special.erf, np.linspace(-7, 7, 3001), 4e-15),
    "erfc": (tl.erfc, scipy.special.erfc, np.linspace(-6, 25, 4001), 6e-14),  # SciPy's own tail is no better
    "erfinv": (
        tl.erfinv,
        scipy.special.erfinv,
        np.r_[np.linspace(-1, 1, 2001), 1 - np.logspace(-15, -1, 99), 1e-300],
        3e-15,
    ),
    "lgamma": (tl.lgamma, scipy.special.gammaln, SMALL[(abs(SMALL - 1) > 0.01) & (abs(SMALL - 2) > 0.01)], 3e-14),
    "digamma": (tl.digamma, scipy.special.psi, SMALL[abs(SMALL - 1.4616) > 1e-3], 3e-14),
    "polygamma 1": (lambda x: tl.polygamma(1, x), lambda x: scipy.special.polygamma(1, x), SMALL, 1e-14),
    "polygamma 3": (lambda x: tl.polygamma(3, x), lambda x: scipy.special.polygamma(3, x), SMALL, 1e-14),
    "sigmoid": (tl.sigmoid, scipy.special.expit, np.linspace(-700, 700, 4001), 5e-16),
    "logit": (tl.logit, scipy.special.logit, np.r_[np.linspace(0.001, 0.999, 999), 1e-300, 0.5 + 1e-9], 1e-15),
    "i0": (tl.i0, scipy.special.i0, np.r_[np.linspace(-80, 80, 1001), 1e-300], 1e-13),
    "i1": (tl.special.i1, scipy.special.i1, np.r_[np.linspace(-80, 80, 1001), 1e-300], 1e-13),
    "sinc": (tl.sinc, np.sinc, np.r_[np.linspace(-0.99, 0.99, 401), 1e-9], 5e-15),
}


@pytest.mark.parametrize("name", PRECISE)
def test_precision(name, device):
    f, ref, x, tolerance = PRECISE[name]
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(host(f(tl.tensor(x))), ref(x), rtol=tolerance)
        small = x[(abs(x) > 1e-4) & (abs(x) < 1e3)].astype("f4")
        want = ref(small.astype("f8"))
    kept = abs(want) > 1e-36
    got = host(f(tl.tensor(small)))
    assert got.dtype == np.float32
    np.testing.assert_allclose(got[kept], want[kept], rtol=5e-6 if name in ("lgamma", "digamma") else 1e-6, atol=1e-7)


def test_bessel_functions_up_to_the_largest_numbers(device):
    x = np.array([300.0, -500.0, 709.0])
    for f, ref in ((tl.i0, scipy.special.i0), (tl.special.i1, scipy.special.i1)):
        np.testing.assert_allclose(host(f(tl.tensor(x))), ref(x), rtol=3e-13)
    assert tl.i0(tl.tensor([713.0, float("inf")], dtype=tl.float64)).tolist()[1] == np.inf  # PyTorch has nan there


def test_roots_of_the_gamma_functions_keep_their_digits(device):
    """Near 1 and 2 ln Gamma is (x - 1) digamma(1) and (x - 2) digamma(2); digamma near its root is its slope times the distance."""
    e = 1e-9
    x = np.array([1 + e, 2 + e])
    slope = np.array([-0.5772156649015329, 0.42278433509846713])
    np.testing.assert_allclose(host(tl.lgamma(tl.tensor(x))), (x - [1, 2]) * slope, rtol=3e-9)
    root = 1.4616321449683622  # the true root is 9.549995429965697e-17 further
    np.testing.assert_allclose(host(tl.digamma(tl.tensor(root, dtype=tl.float64))), -9.241265521729427e-17, rtol=1e-7)


def test_negative_arguments_of_the_gamma_functions(device):
    x = -np.linspace(0.0137, 12.0137, 1501)
    for f, ref in ((tl.lgamma, scipy.special.gammaln), (tl.digamma, scipy.special.psi)):
        want = ref(x)
        np.testing.assert_allclose(host(f(tl.tensor(x))), want, rtol=1e-12, atol=1e-13)
    assert host(tl.lgamma(tl.tensor([0.0, -1.0, -inf]))).tolist() == [inf, inf, inf]
    got = host(tl.digamma(tl.tensor([0.0, -0.0, -1.0, inf])))
    np.testing.assert_array_equal(got, [-inf, inf, nan, inf])


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_no_warnings(dtype):
    """Whatever the numbers, and whatever the filters of the user."""
    x = tl.tensor([0.0, -0.0, 1.0, -1.0, 6e4, -6e4, inf, -inf, nan], dtype=getattr(tl, dtype))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for f in (tl.sigmoid, tl.erf, tl.erfc, tl.erfinv, tl.lgamma, tl.digamma, tl.sinc, lambda x: tl.polygamma(1, x)):
            assert f(x).dtype == x.dtype


# ---------------------------------------------------------------- Python's operators
SYMBOLS = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "eq", "ne", "lt", "le", "gt", "ge")
BITS = ("and_", "or_", "xor", "lshift", "rshift")


@pytest.mark.parametrize("symbol", SYMBOLS + BITS)
def test_operators_in_both_orders(symbol):
    """Tensor with tensor, NumPy array, NumPy scalar and Python number, on either side."""
    f = getattr(operator, symbol)
    a, b = (np.array([5, 2, 7]), np.array([1, 2, 3]))
    if symbol in SYMBOLS:
        a, b = a.astype("f8"), b.astype("f8")
    x, y = tl.tensor(a), tl.tensor(b)
    for left, right, want in (
        (x, y, f(a, b)), (a, y, f(a, b)), (x, b, f(a, b)), (a[0], y, f(a[0], b)), (x, b[1], f(a, b[1])),
        (a[0].item(), y, f(a[0], b)), (x, b[1].item(), f(a, b[1])),
    ):  # fmt: skip
        out = f(left, right)
        assert isinstance(out, tl.Tensor), (type(left), type(right))
        np.testing.assert_array_equal(host(out), want)


@pytest.mark.parametrize("symbol", ("iadd", "isub", "imul", "itruediv", "ifloordiv", "imod", "ipow"))
def test_operators_in_place(symbol, device):
    f, a = getattr(operator, symbol), np.array([5.0, 2.0, 7.0])
    x = tl.tensor(a)
    kept, view = x, x[1:]
    x = f(x, 2.0)
    assert x is kept
    np.testing.assert_array_equal(host(x), f(a.copy(), 2.0))
    np.testing.assert_array_equal(host(view), f(a.copy(), 2.0)[1:])
    leaf = tl.tensor(a, requires_grad=True)
    z = leaf * 1.0
    z = f(z, tl.tensor([2.0, 3.0, 4.0], dtype=tl.float64))
    (g,) = tl.autograd.grad(z.sum(), leaf)
    w = getattr(operator, symbol[1:])(leaf, tl.tensor([2.0, 3.0, 4.0], dtype=tl.float64))
    np.testing.assert_array_equal(host(g), host(tl.autograd.grad(w.sum(), leaf)[0]))
    with pytest.raises(errors.InplaceError, match="a leaf that requires grad cannot be changed in place"):
        f(leaf, 2.0)


@pytest.mark.parametrize("symbol", ("iand", "ior", "ixor", "ilshift", "irshift"))
def test_bit_operators_in_place(symbol, device):
    f, a = getattr(operator, symbol), np.array([5, -2, 7])
    x = kept = tl.tensor(a)
    x = f(x, 2)
    assert x is kept and x.dtype == tl.int64
    np.testing.assert_array_equal(host(x), f(a.copy(), 2))


def test_in_place_forms(device):
    """Those of several arguments, and those whose result has another dtype."""
    x = tl.tensor([0.5, 1.5, -2.5])
    assert x.clone().lerp_(tl.zeros(3), 0.5).tolist() == [0.25, 0.75, -1.25]
    assert x.clone().addcmul_(x, x, value=2).tolist() == [1.0, 6.0, 10.0]
    assert x.clone().gt_(0).tolist() == [1.0, 1.0, 0.0] and x.clone().gt_(0).dtype == tl.float32
    assert x.clone().clamp_(min=tl.zeros(3)).tolist() == [0.5, 1.5, 0.0]
    assert x.clone().round_(decimals=0).tolist() == [0.0, 2.0, -2.0]
    assert x.clone().div_(0.5, rounding_mode="floor").tolist() == [1.0, 3.0, -5.0]
    assert x.clone().polygamma_(1).tolist() == tl.polygamma(1, x).tolist()
    with pytest.raises(errors.DTypeError, match=r"exp_: the result is float32, it cannot be stored in a int64 tensor"):
        tl.arange(3).exp_()


def test_shifts_beyond_the_width_of_the_dtype(device):
    x = tl.tensor([5, -3])
    assert (x << tl.tensor([64, -1])).tolist() == [0, 0] and (x >> tl.tensor([64, -1])).tolist() == [0, -1]
    y = tl.tensor([255, 1], dtype=tl.uint8)
    assert (y >> 8).tolist() == [0, 0] and (y << 7).tolist() == [128, 128] and (1 << y).tolist() == [0, 2]


# ---------------------------------------------------------------- aliases, numbers that lose digits, errors
ALIASES = {
    "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh",
    "arctan2": "atan2", "fix": "trunc", "sgn": "sign", "greater": "gt", "greater_equal": "ge", "less": "lt", "less_equal": "le",
    "not_equal": "ne", "clip": "clamp", "absolute": "abs", "negative": "neg", "subtract": "sub", "multiply": "mul",
    "divide": "div", "true_divide": "div",
}  # fmt: skip


def test_aliases():
    for alias, name in ALIASES.items():
        assert getattr(tl, alias) is getattr(tl, name) and getattr(tl.Tensor, alias) is getattr(tl.Tensor, name)
        assert hasattr(tl.Tensor, alias + "_")


def test_whole_numbers_keep_their_digits(device):
    """div by "trunc" and "floor" does not go through floating point; uint8 does not wrap in isclose."""
    big = 2**62 + 1
    x = tl.tensor([big, -big])
    assert tl.div(x, 1, rounding_mode="trunc").tolist() == [big, -big]
    assert tl.div(x, 2, rounding_mode="trunc").tolist() == [big // 2, -(big // 2)]
    assert tl.div(x, 2, rounding_mode="floor").tolist() == [big // 2, -(big // 2) - 1]
    assert not tl.isclose(tl.tensor(1, dtype=tl.uint8), tl.tensor(2, dtype=tl.uint8)).item()
    assert tl.isclose(tl.tensor([True, False]), tl.tensor([True, True])).tolist() == [True, False]


def test_positive_and_isreal(device):
    x = tl.tensor([1.0, nan])
    assert tl.positive(x) is x and +x is x and tl.isreal(x).tolist() == [True, True]
    with pytest.raises(errors.DTypeError, match=r"positive: a bool tensor has no sign; convert it first"):
        +tl.tensor([True])


def test_errors_of_numbers(device):
    with pytest.raises(errors.DTypeError, match="exp: a tensor is needed, not float"):
        tl.exp(2.0)
    with pytest.raises(errors.DTypeError, match="add: one of the two must be a tensor, got numbers"):
        tl.add(1, 2)
    with pytest.raises(errors.DTypeError, match="atan2: a tensor or a number is needed, not list"):
        tl.atan2(tl.ones(2), [1.0, 2.0])
    with pytest.raises(errors.ArgumentError, match="div: rounding_mode must be None, 'floor' or 'trunc', not 'ceil'"):
        tl.div(tl.ones(2), 2, rounding_mode="ceil")
    with pytest.raises(errors.DTypeError, match="add: alpha must be an integer where integers are added"):
        tl.add(tl.arange(2), tl.arange(2), alpha=0.5)
    with pytest.raises(errors.ArgumentError, match="isclose: rtol and atol must not be negative"):
        tl.isclose(tl.ones(2), tl.ones(2), rtol=-1)
