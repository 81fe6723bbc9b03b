"""Elementwise operations with gradients: arithmetic, powers, exponentials, trigonometry, steps.

Each class is the whole truth about its op: formula, local derivative, forward, and one rule for each input.
"""

import math
from collections.abc import Callable

from tensorlite import errors
from tensorlite.backend import dtypes
from tensorlite.op import Elementwise
from tensorlite.tensor import Tensor

__all__ = [
    "abs", "absolute", "add", "ceil", "cos", "div", "divide", "erf", "exp", "expm1", "floor", "floor_divide", "log",
    "log10", "log1p", "log2", "maximum", "minimum", "mul", "multiply", "neg", "negative", "pow", "reciprocal",
    "relu", "remainder", "round", "rsqrt", "sigmoid", "sign", "sin", "sqrt", "square", "sub", "subtract", "tan",
    "tanh", "true_divide",
]  # fmt: skip


# ---------------------------------------------------------------- arithmetic
class Add(Elementwise):
    name, formula, local = "add", "x + y", ("1", "1")
    lends = True

    def forward(b, x, y):
        return x + y

    rules = (lambda m, g: g, lambda m, g: g)


class Sub(Elementwise):
    name, formula, local = "sub", "x - y", ("1", "-1")
    lends = True

    def forward(b, x, y):
        return x - y

    rules = (lambda m, g: g, lambda m, g: -g)


class Mul(Elementwise):
    name, formula, local = "mul", "x * y", ("y", "x")

    def forward(b, x, y):
        return x * y

    rules = (lambda m, g, y: g * y, lambda m, g, x: g * x)


class Div(Elementwise):
    name, formula, local = "div", "x / y", ("1 / y", "-x / y^2")
    floats = True

    def forward(b, x, y):
        return x / y

    rules = (lambda m, g, y: g / y, lambda m, g, y, out: -g * out / y)


def _no_bools(out, x, y):
    """out, unless both operands were bools: NumPy makes those int8."""
    if out.dtype.char == "b" and getattr(x, "dtype", getattr(y, "dtype", None)) == dtypes.bool_:
        raise errors.DTypeError("bools have no power, quotient or remainder; convert one first, e.g. x.int()")
    return out


def _quotient(out, x, y):
    """out, unless integers were divided by zero, where NumPy gives 0 and a GPU anything."""
    if out.dtype.kind in "iu" and bool((y == 0).any() if hasattr(y, "dtype") else y == 0):
        raise errors.ArgumentError("an integer was divided by zero")
    return _no_bools(out, x, y)


def _pow_base(m, g, x, y):
    if not hasattr(y, "dtype"):
        return g * 0.0 if y == 0 else g * (y * x ** (y - 1))
    zero = y == 0  # the slope is 0 there, also at x = 0 where x^(y-1) is infinite
    return g * m.where(zero, 0.0, y * x ** m.where(zero, 1.0, y - 1))


def _pow_exponent(m, g, x, y, out):
    if not hasattr(x, "dtype"):
        return g * out * math.log(x) if x > 0 else g * (0.0 if x == 0 else math.nan) * out
    flat = (x == 0) * (y >= 0)
    return g * m.where(flat, 0.0, out * m.log(m.where(flat, 1.0, x)))


class Pow(Elementwise):
    name, formula, local = "pow", "x ** y", ("y x^(y-1)", "x^y log x")

    def forward(b, x, y):
        try:
            return _no_bools(x**y, x, y)
        except ValueError as e:
            if "negative integer powers" not in str(e):
                raise
            raise errors.ArgumentError("integers have no negative integer powers; use x.float()") from None

    rules = (_pow_base, _pow_exponent)


class Neg(Elementwise):
    name, formula, local = "neg", "-x", "-1"

    def forward(b, x):
        if x.dtype == bool:
            raise errors.DTypeError("a bool tensor has no negative; use ~x or logical_not(x)")
        return -x

    rules = lambda m, g: -g  # noqa: E731


class Abs(Elementwise):
    """The slope at 0 is chosen as 0."""

    name, formula, local = "abs", "|x|", "sign(x)"

    def forward(b, x):
        return b.xp.abs(x)

    rules = lambda m, g, x: g * m.sign(x)  # noqa: E731


class Maximum(Elementwise):
    """Where x = y the gradient is shared evenly."""

    name, formula, local = "maximum", "max(x, y)", ("1 where x > y, 1/2 where x = y", "1 where y > x, 1/2 where x = y")

    def forward(b, x, y):
        return b.xp.maximum(x, y)

    rules = (
        lambda m, g, x, y: m.where(x == y, g * 0.5, g * (x > y)),
        lambda m, g, x, y: m.where(x == y, g * 0.5, g * (x < y)),
    )


class Minimum(Elementwise):
    """Where x = y the gradient is shared evenly."""

    name, formula, local = "minimum", "min(x, y)", ("1 where x < y, 1/2 where x = y", "1 where y < x, 1/2 where x = y")

    def forward(b, x, y):
        return b.xp.minimum(x, y)

    rules = (
        lambda m, g, x, y: m.where(x == y, g * 0.5, g * (x < y)),
        lambda m, g, x, y: m.where(x == y, g * 0.5, g * (x > y)),
    )


# ---------------------------------------------------------------- exponentials, powers, trigonometry
class Exp(Elementwise):
    name, formula, local, floats = "exp", "e^x", "out", True

    def forward(b, x):
        return b.xp.exp(x)

    rules = lambda m, g, out: g * out  # noqa: E731


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


class Sqrt(Elementwise):
    """The slope at 0 is inf, as the limit is."""

    name, formula, local, floats = "sqrt", "x^(1/2)", "1 / (2 out)", True

    def forward(b, x):
        return b.xp.sqrt(x)

    rules = lambda m, g, out: g / (2 * out)  # noqa: E731


class Rsqrt(Elementwise):
    name, formula, local, floats = "rsqrt", "x^(-1/2)", "-out^3 / 2", True

    def forward(b, x):
        return 1 / b.xp.sqrt(x)

    rules = lambda m, g, out: g * (-0.5 * out * out * out)  # noqa: E731


class Reciprocal(Elementwise):
    name, formula, local, floats = "reciprocal", "1 / x", "-out^2", True

    def forward(b, x):
        return 1 / x

    rules = lambda m, g, out: -g * (out * out)  # noqa: E731


class Square(Elementwise):
    name, formula, local = "square", "x^2", "2 x"

    def forward(b, x):
        return x * x

    rules = lambda m, g, x: g * (2 * x)  # noqa: E731


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


class Tanh(Elementwise):
    name, formula, local, floats = "tanh", "tanh x", "1 - out^2", True

    def forward(b, x):
        return b.xp.tanh(x)

    rules = lambda m, g, out: g * (1 - out * out)  # noqa: E731


class Sigmoid(Elementwise):
    name, formula, local, floats = "sigmoid", "1 / (1 + e^-x)", "out (1 - out)", True

    def forward(b, x):
        return 1 / (1 + b.xp.exp(-x))

    rules = lambda m, g, out: g * (out * (1 - out))  # noqa: E731


class Erf(Elementwise):
    name, formula, local, floats = "erf", "2/sqrt(pi) int_0^x e^-t^2 dt", "2/sqrt(pi) e^-x^2", True

    def forward(b, x):
        return b.erf(x)

    rules = lambda m, g, x: g * (2 / math.sqrt(math.pi) * m.exp(-x * x))  # noqa: E731


class Relu(Elementwise):
    """The slope at 0 is chosen as 0."""

    name, formula, local = "relu", "max(x, 0)", "1 where x > 0"

    def forward(b, x):
        return b.xp.maximum(x, 0)

    rules = lambda m, g, out: g * (out > 0)  # noqa: E731


# ---------------------------------------------------------------- steps: no gradient flows
class Sign(Elementwise):
    name, formula, local = "sign", "sign x", "0"

    def forward(b, x):
        return b.xp.sign(x)

    rules = lambda m, g: g * 0.0  # noqa: E731


class Floor(Elementwise):
    name, formula, local = "floor", "floor x", "0"

    def forward(b, x):
        return x.copy() if x.dtype.kind in "biu" else b.xp.floor(x)  # integers keep their dtype

    rules = lambda m, g: g * 0.0  # noqa: E731


class Ceil(Elementwise):
    name, formula, local = "ceil", "ceil x", "0"

    def forward(b, x):
        return x.copy() if x.dtype.kind in "biu" else b.xp.ceil(x)  # integers keep their dtype

    rules = lambda m, g: g * 0.0  # noqa: E731


class Round(Elementwise):
    name, formula, local = "round", "round x, half to even", "0"

    def forward(b, x):
        return x.copy() if x.dtype.kind in "biu" else b.xp.rint(x)  # integers keep their dtype

    rules = lambda m, g: g * 0.0  # noqa: E731


class FloorDivide(Elementwise):
    name, formula, local = "floor_divide", "floor(x / y)", ("0", "0")

    def forward(b, x, y):
        return _quotient(x // y, x, y)

    rules = (lambda m, g: g * 0.0, lambda m, g: g * 0.0)


class Remainder(Elementwise):
    name, formula, local = "remainder", "x - y floor(x / y)", ("1", "-floor(x / y)")
    lends = True

    def forward(b, x, y):
        return _quotient(x % y, x, y)

    rules = (lambda m, g: g, lambda m, g, x, y: -g * (x // y))


# ---------------------------------------------------------------- public functions with more than operands
def function(op, doc="") -> Callable[..., Tensor]:
    """The public function of an elementwise op, with a docstring made from its declaration."""
    one = len(op.inputs) == 1

    def call(input):
        return op.apply(input)

    def call2(input, other):
        return op.apply(input, other)

    f = call if one else call2
    f.__name__ = f.__qualname__ = op.name
    slopes = "; ".join(f"d/d{n}: {text}" for n, text in zip(op.inputs, op.local, strict=True)) if op.local else "none"
    f.__doc__ = (
        f"{op.formula}, elementwise{'' if one else ' with broadcasting'}. Slope {slopes}.{' ' + doc if doc else ''}"
    )
    if op.__doc__ and op.__doc__ != Elementwise.__doc__:
        f.__doc__ += " " + op.__doc__
    return f


def add(input, other, *, alpha=1) -> Tensor:
    """input + alpha * other, with broadcasting."""
    return Add.apply(input, other if alpha == 1 else Mul.apply(other, alpha))


def sub(input, other, *, alpha=1) -> Tensor:
    """input - alpha * other, with broadcasting."""
    return Sub.apply(input, other if alpha == 1 else Mul.apply(other, alpha))


def div(input, other, *, rounding_mode=None) -> Tensor:
    """input / other, with broadcasting; integers divide to floating point.

    rounding_mode: None (true division), "floor", or "trunc" (towards zero).
    """
    if rounding_mode is None:
        return Div.apply(input, other)
    if rounding_mode == "floor":
        return FloorDivide.apply(input, other)
    if rounding_mode == "trunc":
        q = Div.apply(input, other)
        q = Sign.apply(q) * Floor.apply(Abs.apply(q))
        return q.to(dtypes.result_type(*[v.array if isinstance(v, Tensor) else v for v in (input, other)]))
    raise errors.ArgumentError(f"div: rounding_mode must be None, 'floor' or 'trunc', not {rounding_mode!r}")


mul, pow, maximum, minimum = (function(op) for op in (Mul, Pow, Maximum, Minimum))
floor_divide, remainder = (function(op) for op in (FloorDivide, Remainder))
neg, abs, exp, expm1, log, log1p, log2, log10, sqrt, rsqrt, reciprocal, square = (
    function(op) for op in (Neg, Abs, Exp, Expm1, Log, Log1p, Log2, Log10, Sqrt, Rsqrt, Reciprocal, Square)
)
subtract, multiply, divide, true_divide, negative, absolute = sub, mul, div, div, neg, abs
sin, cos, tan, tanh, sigmoid, erf, relu, sign, floor, ceil, round = (
    function(op) for op in (Sin, Cos, Tan, Tanh, Sigmoid, Erf, Relu, Sign, Floor, Ceil, Round)
)
