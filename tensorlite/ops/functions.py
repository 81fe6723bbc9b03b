"""Functions of one number and their kin of two: exponentials, logarithms, roots, trigonometric and hyperbolic functions.

Integers become the default floating-point dtype first. Each class is the whole truth about its op, as in elementwise.py.
"""

import math

from tensorlite.elementwise import Elementwise
from tensorlite.ops.convert import cast
from tensorlite.ops.elementwise import Mul, function
from tensorlite.tensor import Tensor

__all__ = [
    "acos", "acosh", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "asin", "asinh", "atan",
    "atan2", "atanh", "cos", "cosh", "deg2rad", "exp", "exp2", "expm1", "hypot", "ldexp", "log", "log10", "log1p", "log2", "logaddexp",
    "logaddexp2", "rad2deg", "relu", "rsqrt", "sigmoid", "sin", "sinh", "sqrt", "tan", "tanh",
]  # fmt: skip


# ---------------------------------------------------------------- exponentials, logarithms, roots
class Exp(Elementwise):
    name, formula, local, floats = "exp", "e^x", "out", True

    def forward(b, x):
        return b.xp.exp(x)

    rules = lambda m, g, out: g * out  # noqa: E731


class Exp2(Elementwise):
    name, formula, local, floats = "exp2", "2^x", "out ln 2", True

    def forward(b, x):
        return b.xp.exp2(x)

    rules = lambda m, g, out: g * (out * math.log(2))  # noqa: E731


class Expm1(Elementwise):
    name, formula, local, floats = "expm1", "e^x - 1", "out + 1", True

    def forward(b, x):
        return b.xp.expm1(x)

    rules = lambda m, g, out: g * (out + 1)  # noqa: E731


class Log(Elementwise):
    name, formula, local, floats = "log", "ln x", "1 / x", True

    def forward(b, x):
        return b.xp.log(x)

    rules = lambda m, g, x: g / x  # noqa: E731


class Log1p(Elementwise):
    name, formula, local, floats = "log1p", "ln(1 + x)", "1 / (1 + x)", True

    def forward(b, x):
        return b.xp.log1p(x)

    rules = lambda m, g, x: g / (1 + x)  # noqa: E731


class Log2(Elementwise):
    name, formula, local, floats = "log2", "log2 x", "1 / (x ln 2)", True

    def forward(b, x):
        return b.xp.log2(x)

    rules = lambda m, g, x: g / (x * math.log(2))  # noqa: E731


class Log10(Elementwise):
    name, formula, local, floats = "log10", "log10 x", "1 / (x ln 10)", True

    def forward(b, x):
        return b.xp.log10(x)

    rules = lambda m, g, x: g / (x * math.log(10))  # noqa: E731


def _gap(m, x, y):
    """x - y, and 0 where both are the same infinity."""
    gap = x - y
    return m.where((x == y) & (gap != gap), 0.0, gap)


class Logaddexp(Elementwise):
    """Computed without overflow. Where both are the same infinity the gradient is shared evenly."""

    name, formula, local = "logaddexp", "ln(e^x + e^y)", ("sigmoid(x - y)", "sigmoid(y - x)")
    floats = True

    def forward(b, x, y):
        return b.xp.logaddexp(x, y)

    rules = (lambda m, g, x, y: g * m.sigmoid(_gap(m, x, y)), lambda m, g, x, y: g * m.sigmoid(_gap(m, y, x)))


class Logaddexp2(Elementwise):
    """Computed without overflow. Where both are the same infinity the gradient is shared evenly."""

    name, formula, local = "logaddexp2", "log2(2^x + 2^y)", ("sigmoid((x - y) ln 2)", "sigmoid((y - x) ln 2)")
    floats = True

    def forward(b, x, y):
        return b.xp.logaddexp2(x, y)

    rules = (
        lambda m, g, x, y: g * m.sigmoid(_gap(m, x, y) * math.log(2)),
        lambda m, g, x, y: g * m.sigmoid(_gap(m, y, x) * math.log(2)),
    )


class Sqrt(Elementwise):
    """The slope at 0 is inf, as the limit is."""

    name, formula, local, floats = "sqrt", "x^(1/2)", "1 / (2 out)", True

    def forward(b, x):
        return b.xp.sqrt(x)

    rules = lambda m, g, out: g / (2 * out)  # noqa: E731


class Rsqrt(Elementwise):
    name, formula, local, floats = "rsqrt", "x^(-1/2)", "-out^3 / 2", True

    def forward(b, x):
        return b.xp.reciprocal(b.xp.sqrt(x))

    rules = lambda m, g, out: g * (-0.5 * out * out * out)  # noqa: E731


def _over_length(m, x, length):
    """x / length, and 0 where the length is 0."""
    return x / m.where(length == 0, 1.0, length)


class Hypot(Elementwise):
    """Computed without overflow. The slope at x = y = 0 is chosen as 0 (PyTorch has nan)."""

    name, formula, local, floats = "hypot", "sqrt(x^2 + y^2)", ("x / out", "y / out"), True

    def forward(b, x, y):
        return b.xp.hypot(x, y)

    rules = (lambda m, g, x, out: g * _over_length(m, x, out), lambda m, g, y, out: g * _over_length(m, y, out))


# ---------------------------------------------------------------- trigonometric and hyperbolic functions
class Sin(Elementwise):
    name, formula, local, floats = "sin", "sin x", "cos x", True

    def forward(b, x):
        return b.xp.sin(x)

    rules = lambda m, g, x: g * m.cos(x)  # noqa: E731


class Cos(Elementwise):
    name, formula, local, floats = "cos", "cos x", "-sin x", True

    def forward(b, x):
        return b.xp.cos(x)

    rules = lambda m, g, x: -g * m.sin(x)  # noqa: E731


class Tan(Elementwise):
    name, formula, local, floats = "tan", "tan x", "1 + out^2", True

    def forward(b, x):
        return b.xp.tan(x)

    rules = lambda m, g, out: g * (1 + out * out)  # noqa: E731


class Asin(Elementwise):
    name, formula, local, floats = "asin", "arcsin x", "1 / sqrt(1 - x^2)", True

    def forward(b, x):
        return b.xp.arcsin(x)

    rules = lambda m, g, x: g / m.sqrt(1 - x * x)  # noqa: E731


class Acos(Elementwise):
    name, formula, local, floats = "acos", "arccos x", "-1 / sqrt(1 - x^2)", True

    def forward(b, x):
        return b.xp.arccos(x)

    rules = lambda m, g, x: -g / m.sqrt(1 - x * x)  # noqa: E731


class Atan(Elementwise):
    name, formula, local, floats = "atan", "arctan x", "1 / (1 + x^2)", True

    def forward(b, x):
        return b.xp.arctan(x)

    rules = lambda m, g, x: g / (1 + x * x)  # noqa: E731


def _turn(m, x, y):
    """x / (x^2 + y^2) without overflow, and 0 at the origin."""
    r = m.hypot(x, y)
    return _over_length(m, _over_length(m, x, r), r)


class Atan2(Elementwise):
    """The angle of the point (y, x) in [-pi, pi]. The slope at x = y = 0 is chosen as 0, as in PyTorch."""

    name, formula, local = "atan2", "arctan(x / y), in the quadrant of (y, x)", ("y / (x^2 + y^2)", "-x / (x^2 + y^2)")
    floats = True

    def forward(b, x, y):
        return b.xp.arctan2(x, y)

    rules = (lambda m, g, x, y: g * _turn(m, y, x), lambda m, g, x, y: -g * _turn(m, x, y))


class Sinh(Elementwise):
    name, formula, local, floats = "sinh", "(e^x - e^-x) / 2", "cosh x", True

    def forward(b, x):
        return b.xp.sinh(x)

    rules = lambda m, g, x: g * m.cosh(x)  # noqa: E731


class Cosh(Elementwise):
    name, formula, local, floats = "cosh", "(e^x + e^-x) / 2", "sinh x", True

    def forward(b, x):
        return b.xp.cosh(x)

    rules = lambda m, g, x: g * m.sinh(x)  # noqa: E731


class Tanh(Elementwise):
    name, formula, local, floats = "tanh", "tanh x", "1 - out^2", True

    def forward(b, x):
        return b.xp.tanh(x)

    rules = lambda m, g, out: g * (1 - out * out)  # noqa: E731


class Asinh(Elementwise):
    name, formula, local, floats = "asinh", "ln(x + sqrt(x^2 + 1))", "1 / sqrt(x^2 + 1)", True

    def forward(b, x):
        return b.xp.arcsinh(x)

    rules = lambda m, g, x: g / m.sqrt(x * x + 1)  # noqa: E731


class Acosh(Elementwise):
    name, formula, local, floats = "acosh", "ln(x + sqrt(x^2 - 1))", "1 / sqrt(x^2 - 1)", True

    def forward(b, x):
        return b.xp.arccosh(x)

    rules = lambda m, g, x: g / m.sqrt(x * x - 1)  # noqa: E731


class Atanh(Elementwise):
    name, formula, local, floats = "atanh", "ln((1 + x) / (1 - x)) / 2", "1 / (1 - x^2)", True

    def forward(b, x):
        return b.xp.arctanh(x)

    rules = lambda m, g, x: g / (1 - x * x)  # noqa: E731


class Sigmoid(Elementwise):
    name, formula, local, floats = "sigmoid", "1 / (1 + e^-x)", "out (1 - out)", True

    def forward(b, x):
        return b.sigmoid(x)

    rules = lambda m, g, out: g * (out * (1 - out))  # noqa: E731


class Hardswish(Elementwise):
    """The slopes at the kinks are those of the pieces outside."""

    name, formula, local, floats = "hardswish", "x min(max(x / 6 + 1/2, 0), 1)", "0, x / 3 + 1/2, or 1", True

    def forward(b, x):
        xp, z = b.xp, b.xp.clip(x, -3, 3)  # no infinity on the side that is not used
        return xp.where(x <= -3, 0, xp.where(x >= 3, x, z * (z / 6 + 0.5))).astype(x.dtype, copy=False)

    rules = lambda m, g, x: m.where(x <= -3, 0.0, m.where(x < 3, g * (x / 3 + 0.5), g))  # noqa: E731


class Relu(Elementwise):
    """The slope at 0 is chosen as 0; nan stays nan, with slope 1."""

    name, formula, local = "relu", "max(x, 0)", "1 where x > 0"

    def forward(b, x):
        return b.xp.maximum(x, b.number(0, x.dtype))

    rules = lambda m, g, out: m.where(out <= 0, 0.0, g)  # noqa: E731  (not g *: inf times 0 is nan)


# ---------------------------------------------------------------- public functions
exp, exp2, expm1, log, log1p, log2, log10, sqrt, rsqrt = (
    function(op) for op in (Exp, Exp2, Expm1, Log, Log1p, Log2, Log10, Sqrt, Rsqrt)
)
sin, cos, tan, asin, acos, atan = (function(op) for op in (Sin, Cos, Tan, Asin, Acos, Atan))
sinh, cosh, tanh, asinh, acosh, atanh = (function(op) for op in (Sinh, Cosh, Tanh, Asinh, Acosh, Atanh))
atan2, hypot, logaddexp, logaddexp2 = (function(op) for op in (Atan2, Hypot, Logaddexp, Logaddexp2))
sigmoid, relu = function(Sigmoid), function(Relu)
arcsin, arccos, arctan, arcsinh, arccosh, arctanh, arctan2 = asin, acos, atan, asinh, acosh, atanh, atan2


def ldexp(input, other) -> Tensor:
    """input * 2^other, with broadcasting; an integer exponent is taken in the dtype of a floating-point input."""
    if (
        isinstance(input, Tensor)
        and isinstance(other, Tensor)
        and input.dtype.is_floating_point > other.dtype.is_floating_point
    ):
        other = cast(other, input.dtype)
    return Mul.apply(input, exp2(other))


def deg2rad(input) -> Tensor:
    """input * pi / 180: degrees as radians."""
    return Mul.apply(input, math.pi / 180)


def rad2deg(input) -> Tensor:
    """input * 180 / pi: radians as degrees."""
    return Mul.apply(input, 180 / math.pi)


hardswish = function(Hardswish)  # in nn.functional
