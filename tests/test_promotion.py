"""Dtype promotion of the elementwise functions: for every pair of dtypes, dimensions and numbers what PyTorch gives."""

import itertools
import operator

import numpy as np
import pytest
from numeric import host, telling

import tensorlite as tl

torch = pytest.importorskip("torch")

DTYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64")
TENSORS = [(d, s) for d in DTYPES for s in ((2,), ())]
NUMBERS = [(k, None) for k in (bool, int, float)]
REFUSED = (RuntimeError, NotImplementedError, TypeError)  # how PyTorch says that it has no such kernel


def _operand(lib, what):
    kind, shape = what
    return kind(1) if shape is None else lib.ones(shape, dtype=getattr(lib, kind))


def _same(call, *operands):
    """Whether PyTorch computes it; if so, ours has the same dtype, shape and value."""
    try:
        want = call(torch, *[_operand(torch, o) for o in operands])
    except REFUSED:
        return False
    got = call(tl, *[_operand(tl, o) for o in operands])
    assert got.dtype.name == str(want.dtype).removeprefix("torch.")
    assert tuple(got.shape) == tuple(want.shape)
    tolerance = 2e-3 if got.dtype == tl.float16 else 1e-6
    np.testing.assert_allclose(host(got).astype("f8"), want.double().numpy(), rtol=tolerance)
    return True


def _named(name):
    return lambda t, *operands: getattr(t, name)(*operands)


BINARY = {
    name: _named(name)
    for name in (
        "fmod", "remainder", "floor_divide", "true_divide", "float_power", "atan2", "hypot", "logaddexp", "logaddexp2", "fmax",
        "fmin", "copysign", "xlogy", "nextafter", "bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_left_shift", "rsub",
        "bitwise_right_shift", "logical_and", "logical_or", "clamp", "clamp_max", "maximum", "greater",
    )
}  # fmt: skip
BINARY |= {
    "div trunc": lambda t, x, y: t.div(x, y, rounding_mode="trunc"),
    "div floor": lambda t, x, y: t.div(x, y, rounding_mode="floor"),
    "<<": lambda t, x, y: operator.lshift(x, y),
    ">>": lambda t, x, y: operator.rshift(x, y),
    "&": lambda t, x, y: operator.and_(x, y),
    "|": lambda t, x, y: operator.or_(x, y),
    "^": lambda t, x, y: operator.xor(x, y),
    "add alpha": lambda t, x, y: t.add(x, y, alpha=1.5),
    "sub alpha": lambda t, x, y: t.sub(x, y, alpha=2),
    "rsub alpha": lambda t, x, y: t.rsub(x, y, alpha=1.5),
    "addcdiv": lambda t, x, y: t.addcdiv(x, y, y),
    "addcmul": lambda t, x, y: t.addcmul(x, y, x, value=2),
    "clamp by both": lambda t, x, y: t.clamp(x, y, y),
    "heaviside": lambda t, x, y: t.heaviside(x, y),
    "lerp": lambda t, x, y: t.lerp(1.0 * x, 1.0 * x, y),  # PyTorch takes integers with some weights, by accident
}


@pytest.mark.parametrize("name", BINARY)
def test_two_operands(name, device):
    compared = 0
    for left, right in itertools.product(TENSORS + NUMBERS, TENSORS + NUMBERS):
        if left[1] is None and right[1] is None:
            continue
        with telling(f"{name} {left} {right}"):
            compared += _same(BINARY[name], left, right)
    assert compared >= {"lerp": 12, "nextafter": 12, "heaviside": 9}.get(name, 40)


UNARY = (
    "exp2", "sinh", "cosh", "asin", "acos", "atan", "asinh", "acosh", "atanh", "sgn", "trunc", "fix", "frac", "erf", "erfc",
    "erfinv", "lgamma", "digamma", "sinc", "logit", "deg2rad", "rad2deg", "sigmoid", "relu", "sign", "floor", "ceil",
    "round", "square", "reciprocal", "rsqrt", "nan_to_num", "signbit", "isposinf", "isneginf", "isreal", "isnan",
    "logical_not", "positive", "neg",
)  # fmt: skip


@pytest.mark.parametrize("name", UNARY)
def test_one_operand(name, device):
    compared = sum(_same(_named(name), operand) for operand in TENSORS)
    assert compared >= 6


def test_polygamma(device):
    assert all(_same(lambda t, x: t.polygamma(1, x), operand) for operand in TENSORS)


NUMPY_NUMBERS = {  # NumPy's numbers are taken as Python's: they raise the category of a dtype, but not its width
    "add": lambda t, x, v: x + v,
    "radd": lambda t, x, v: v + x,
    "div": lambda t, x, v: t.div(x, v),
    "where": lambda t, x, v: t.where(x > 0, x, v),
    "masked_fill": lambda t, x, v: x.masked_fill(x > 0, v),
    "clamp": lambda t, x, v: t.clamp(x, v),
    "maximum of a sum": lambda t, x, v: (x * v).sum(),
    "in place": lambda t, x, v: x.double().mul_(v),
    "index_fill": lambda t, x, v: x.index_fill(0, t.tensor([0]), v),
    "scatter": lambda t, x, v: x.scatter(0, t.tensor([0]), v),
    "isin": lambda t, x, v: t.isin(x, v),
    "bucketize": lambda t, x, v: t.bucketize(v, x),
    "result_type": lambda t, x, v: t.zeros(1, dtype=t.result_type(x, v)),
}


@pytest.mark.parametrize("name", NUMPY_NUMBERS)
def test_numbers_of_numpy(name, device):
    for d, kind in itertools.product(DTYPES[1:], ("float64", "float32", "float16", "int64", "int32")):
        _same(lambda t, x, kind=kind: NUMPY_NUMBERS[name](t, x, getattr(np, kind)(3)), (d, (2,)))


WRAPPED = {  # arithmetic with a number that the integer dtype does not hold takes it modulo the size of the dtype
    "add": lambda x, v: x + v, "radd": lambda x, v: v + x, "sub": lambda x, v: x - v, "rsub": lambda x, v: v - x,
    "mul": lambda x, v: x * v, "floor_divide": lambda x, v: x // (v | 2), "remainder": lambda x, v: x % (v | 2),
    "and": lambda x, v: x & v, "or": lambda x, v: x | v, "xor": lambda x, v: v ^ x, "and not": lambda x, v: x & ~v,
    "add_": lambda x, v: x.clone().add_(v), "bitwise_and_": lambda x, v: x.clone().bitwise_and_(v),
}  # fmt: skip


@pytest.mark.parametrize("name", WRAPPED)
@pytest.mark.parametrize("dtype, numbers", [("uint8", (-1, 1, 300, -301, 2**40 + 3)), ("int8", (130, -131, 300)),
                                            ("int32", (2**40 + 5, -(2**35) - 7))])  # fmt: skip
def test_numbers_beyond_an_integer_dtype_wrap(name, dtype, numbers, device):
    torch = pytest.importorskip("torch")
    for v in numbers:
        mine, theirs = (WRAPPED[name](t.tensor([0, 1, 100], dtype=getattr(t, dtype)), v) for t in (tl, torch))
        assert (mine.tolist(), mine.dtype.name) == (theirs.tolist(), dtype), v


BEYOND_HALF = {
    "mul": lambda t, x: x * 65536.0, "rmul": lambda t, x: 1e5 * x, "mul by an int": lambda t, x: x * 70000,
    "tiny": lambda t, x: x * 1e-7, "div": lambda t, x: x / 1e5, "rdiv": lambda t, x: 1e5 / x, "inf": lambda t, x: x * 1e39,
    "0-d tensor": lambda t, x: x * t.tensor(65536.0), "mul_": lambda t, x: x.clone().mul_(65536.0),
    "div_": lambda t, x: x.clone().div_(1e5),
}  # fmt: skip


@pytest.mark.parametrize("name", BEYOND_HALF)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_halves_with_a_number_beyond_their_range(name, dtype, device):
    """The number counts in float32; only the result is rounded, and so it is in the gradient."""
    torch = pytest.importorskip("torch")
    if dtype == "bfloat16":
        pytest.importorskip("ml_dtypes")
    found = []
    for t in (tl, torch):
        x = t.tensor([1e-3, -6e4, 1.0, 0.25], dtype=getattr(t, dtype), requires_grad=True)
        y = BEYOND_HALF[name](t, x)
        (g,) = t.autograd.grad(y, x, t.full((4,), 1e-3, dtype=x.dtype))
        assert y.dtype is x.dtype and g.dtype is x.dtype
        found.append([v.detach().float().tolist() for v in (y, g)])
    np.testing.assert_allclose(*found, rtol=2e-3)  # PyTorch rounds the 1 / x of a quotient 1e5 / x too
