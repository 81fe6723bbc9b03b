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
