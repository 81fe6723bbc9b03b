"""Comparisons, logic and tests: bool (or integer) results, no gradients."""

from tensorlite import errors
from tensorlite.op import Elementwise
from tensorlite.ops.elementwise import function

__all__ = [
    "allclose", "bitwise_and", "bitwise_not", "bitwise_or", "bitwise_xor", "eq", "equal", "ge", "gt", "isclose",
    "isfinite", "isinf", "isnan", "le", "logical_and", "logical_not", "logical_or", "logical_xor", "lt", "ne",
]  # fmt: skip


class Eq(Elementwise):
    name, formula = "eq", "x == y"

    def forward(b, x, y):
        return x == y


class Ne(Elementwise):
    name, formula = "ne", "x != y"

    def forward(b, x, y):
        return x != y


class Lt(Elementwise):
    name, formula = "lt", "x < y"

    def forward(b, x, y):
        return x < y


class Le(Elementwise):
    name, formula = "le", "x <= y"

    def forward(b, x, y):
        return x <= y


class Gt(Elementwise):
    name, formula = "gt", "x > y"

    def forward(b, x, y):
        return x > y


class Ge(Elementwise):
    name, formula = "ge", "x >= y"

    def forward(b, x, y):
        return x >= y


class BitwiseAnd(Elementwise):
    name, formula = "bitwise_and", "x & y"

    def forward(b, x, y):
        return x & y


class BitwiseOr(Elementwise):
    name, formula = "bitwise_or", "x | y"

    def forward(b, x, y):
        return x | y


class BitwiseXor(Elementwise):
    name, formula = "bitwise_xor", "x ^ y"

    def forward(b, x, y):
        return x ^ y


class BitwiseNot(Elementwise):
    name, formula = "bitwise_not", "~x"

    def forward(b, x):
        if x.dtype.kind not in "biu":
            raise errors.DTypeError("only bool and integer tensors can be inverted bit by bit")
        return ~x


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


eq, ne, lt, le, gt, ge = (function(op) for op in (Eq, Ne, Lt, Le, Gt, Ge))
bitwise_and, bitwise_or, bitwise_xor, bitwise_not = (
    function(op) for op in (BitwiseAnd, BitwiseOr, BitwiseXor, BitwiseNot)
)
logical_and, logical_or, logical_xor, logical_not = (
    function(op) for op in (LogicalAnd, LogicalOr, LogicalXor, LogicalNot)
)
isnan, isinf, isfinite = (function(op) for op in (Isnan, Isinf, Isfinite))


def isclose(input, other, rtol=1e-5, atol=1e-8, equal_nan=False):
    """|input - other| <= atol + rtol |other|, elementwise; equal infinities are close, nan only if equal_nan."""
    close = (input == other) | ((input - other).abs() <= atol + rtol * other.abs()) & isfinite(other)
    return close | (isnan(input) & isnan(other)) if equal_nan else close


def allclose(input, other, rtol=1e-5, atol=1e-8, equal_nan=False) -> bool:
    """Whether all elements are close; see isclose."""
    return bool(isclose(input, other, rtol, atol, equal_nan).all())


def equal(input, other) -> bool:
    """Whether both have the same shape and the same elements."""
    return input.shape == other.shape and bool((input == other).all())
