"""Comparisons, logic, bits, divisors and tests: bool (or integer) results, no gradients."""

import math

from tensorlite import errors
from tensorlite.backend import dtypes
from tensorlite.elementwise import Elementwise
from tensorlite.ops.convert import cast
from tensorlite.ops.elementwise import function, only_tensor
from tensorlite.tensor import Tensor, wrap

__all__ = [
    "allclose", "bitwise_and", "bitwise_left_shift", "bitwise_not", "bitwise_or", "bitwise_right_shift", "bitwise_xor", "eq",
    "equal", "gcd", "ge", "greater", "greater_equal", "gt", "isclose", "isfinite", "isinf", "isnan", "isneginf", "isposinf",
    "isreal", "lcm", "le", "less", "less_equal", "logical_and", "logical_not", "logical_or", "logical_xor", "lt", "ne", "not_equal",
    "signbit",
]  # fmt: skip


class Eq(Elementwise):
    name, formula = "eq", "x == y"
    wraps = False

    def forward(b, x, y):
        return x == y


class Ne(Elementwise):
    name, formula = "ne", "x != y"
    wraps = False

    def forward(b, x, y):
        return x != y


class Lt(Elementwise):
    name, formula = "lt", "x < y"
    wraps = False

    def forward(b, x, y):
        return x < y


class Le(Elementwise):
    name, formula = "le", "x <= y"
    wraps = False

    def forward(b, x, y):
        return x <= y


class Gt(Elementwise):
    name, formula = "gt", "x > y"
    wraps = False

    def forward(b, x, y):
        return x > y


class Ge(Elementwise):
    name, formula = "ge", "x >= y"
    wraps = False

    def forward(b, x, y):
        return x >= y


def _need_bits(x, y):
    """Refuse floating point."""
    if getattr(x, "dtype", getattr(y, "dtype", None)).kind not in "biu":
        raise errors.DTypeError("only bool and integer tensors have bits; convert first, e.g. x.int() or x > 0")


class BitwiseAnd(Elementwise):
    name, formula = "bitwise_and", "x & y"

    def forward(b, x, y):
        _need_bits(x, y)
        return x & y


class BitwiseOr(Elementwise):
    name, formula = "bitwise_or", "x | y"

    def forward(b, x, y):
        _need_bits(x, y)
        return x | y


class BitwiseXor(Elementwise):
    name, formula = "bitwise_xor", "x ^ y"

    def forward(b, x, y):
        _need_bits(x, y)
        return x ^ y


class BitwiseNot(Elementwise):
    name, formula = "bitwise_not", "~x"

    def forward(b, x):
        if x.dtype.kind not in "biu":
            raise errors.DTypeError("only bool and integer tensors can be inverted bit by bit")
        return ~x


def _shifted(b, x, y, shift):
    """x shifted by y places. Beyond the width of the dtype, or for a negative y, all bits have gone (as in PyTorch)."""
    dtype = x.dtype if hasattr(x, "dtype") else y.dtype
    if dtype.kind not in "iu":
        raise errors.DTypeError("only integer tensors have bits to shift; convert first, e.g. x.int()")
    bits = dtype.itemsize * 8
    fits = (y >= 0) & (y < bits)
    return fits, shift(x, b.xp.where(fits, y, 0).astype(dtype)), bits, dtype


class BitwiseLeftShift(Elementwise):
    name, formula = "bitwise_left_shift", "x << y"
    wraps = False

    def forward(b, x, y):
        fits, out, _, dtype = _shifted(b, x, y, lambda x, y: x << y)
        return b.xp.where(fits, out, 0).astype(dtype, copy=False)


class BitwiseRightShift(Elementwise):
    """The sign is kept."""

    name, formula = "bitwise_right_shift", "x >> y"
    wraps = False

    def forward(b, x, y):
        fits, out, bits, dtype = _shifted(b, x, y, lambda x, y: x >> y)
        return b.xp.where(fits, out, (x >> (bits - 1)) >> 1).astype(dtype, copy=False)


def _whole(x, y):
    """Refuse what has no divisors."""
    if getattr(x, "dtype", getattr(y, "dtype", None)).kind not in "iu":
        raise errors.DTypeError("only integers have divisors and multiples; convert first, e.g. x.int()")


class Gcd(Elementwise):
    name, formula = "gcd", "the greatest common divisor of x and y"

    def forward(b, x, y):
        _whole(x, y)
        return b.xp.gcd(x, y)


class Lcm(Elementwise):
    name, formula = "lcm", "the least common multiple of x and y"

    def forward(b, x, y):
        _whole(x, y)
        return b.xp.lcm(x, y)


class LogicalAnd(Elementwise):
    name, formula = "logical_and", "x and y"

    def forward(b, x, y):
        return b.xp.logical_and(x, y)


class LogicalOr(Elementwise):
    name, formula = "logical_or", "x or y"

    def forward(b, x, y):
        return b.xp.logical_or(x, y)


class LogicalXor(Elementwise):
    name, formula = "logical_xor", "x xor y"

    def forward(b, x, y):
        return b.xp.logical_xor(x, y)


class LogicalNot(Elementwise):
    name, formula = "logical_not", "not x"

    def forward(b, x):
        return b.xp.logical_not(x)


class Isnan(Elementwise):
    name, formula = "isnan", "x is not a number"

    def forward(b, x):
        return b.xp.isnan(x)


class Isinf(Elementwise):
    name, formula = "isinf", "|x| is infinite"

    def forward(b, x):
        return b.xp.isinf(x)


class Isfinite(Elementwise):
    name, formula = "isfinite", "x is neither infinite nor nan"

    def forward(b, x):
        return b.xp.isfinite(x)


class Signbit(Elementwise):
    """True for -0.0 too."""

    name, formula = "signbit", "x has a minus sign"

    def forward(b, x):
        return x < 0 if x.dtype.kind in "biu" else b.xp.signbit(x)


eq, ne, lt, le, gt, ge = (function(op) for op in (Eq, Ne, Lt, Le, Gt, Ge))
bitwise_and, bitwise_or, bitwise_xor, bitwise_not = (
    function(op) for op in (BitwiseAnd, BitwiseOr, BitwiseXor, BitwiseNot)
)
logical_and, logical_or, logical_xor, logical_not = (
    function(op) for op in (LogicalAnd, LogicalOr, LogicalXor, LogicalNot)
)
bitwise_left_shift, bitwise_right_shift = function(BitwiseLeftShift), function(BitwiseRightShift)
gcd, lcm = function(Gcd), function(Lcm)
isnan, isinf, isfinite, signbit = (function(op) for op in (Isnan, Isinf, Isfinite, Signbit))
not_equal, less, less_equal, greater, greater_equal = ne, lt, le, gt, ge


def isposinf(input) -> Tensor:
    """Whether each element is +infinity."""
    return Eq.apply(only_tensor("isposinf", input), math.inf)


def isneginf(input) -> Tensor:
    """Whether each element is -infinity."""
    return Eq.apply(only_tensor("isneginf", input), -math.inf)


def isreal(input) -> Tensor:
    """True everywhere: tensorlite has real numbers only."""
    xp = only_tensor("isreal", input).device.backend.xp
    return wrap(xp.ones(input.array.shape, dtype=bool), input.device)


def isclose(input, other, rtol=1e-5, atol=1e-8, equal_nan=False) -> Tensor:
    """|input - other| <= atol + rtol |other|, elementwise; equal infinities are close, nan only if equal_nan.

    Raises ArgumentError for a negative rtol or atol.
    """
    if rtol < 0 or atol < 0:
        raise errors.ArgumentError(f"isclose: rtol and atol must not be negative, got rtol {rtol}, atol {atol}")
    x, y = (only_tensor("isclose", v).detach() for v in (input, other))
    x, y = (
        v if v.dtype.is_floating_point else cast(v, dtypes.float64) for v in (x, y)
    )  # differences of uint8 wrap around
    close = (x == y) | ((x - y).abs() <= atol + rtol * y.abs()) & isfinite(y)
    return close | (isnan(x) & isnan(y)) if equal_nan else close


def allclose(input, other, rtol=1e-5, atol=1e-8, equal_nan=False) -> bool:
    """Whether all elements are close; see isclose."""
    return bool(isclose(input, other, rtol, atol, equal_nan).all())


def equal(input, other) -> bool:
    """Whether both have the same shape and the same elements."""
    only_tensor("equal", input), only_tensor("equal", other)
    return input.shape == other.shape and bool((input == other).all())
