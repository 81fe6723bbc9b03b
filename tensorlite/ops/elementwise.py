"""Arithmetic, elementwise: sums, products, quotients with their remainders, powers, maxima; and `function`, the maker of functions.

Each class is the whole truth about its op: formula, local derivative, forward, and one rule for each input. Functions of
one number stand in functions.py, rounding and signs in steps.py, special functions in special.py.
"""

import math
from collections.abc import Callable

from tensorlite import errors
from tensorlite.backend import dtypes
from tensorlite.elementwise import Elementwise, as_operand
from tensorlite.op import Op
from tensorlite.ops.convert import cast, number
from tensorlite.tensor import Tensor, wrap

__all__ = [
    "abs", "absolute", "add", "addcdiv", "addcmul", "div", "divide", "float_power", "floor_divide", "fmax", "fmin", "fmod",
    "lerp", "maximum", "minimum", "mul", "multiply", "neg", "negative", "positive", "pow", "reciprocal", "remainder", "rsub",
    "square", "sub", "subtract", "true_divide",
]  # fmt: skip


def flat(m, g):
    """The gradient of a step: 0, also where g is infinite or nan; and 0 whichever g is, so its own derivative is 0 (tl.func.jvp)."""
    return m.where(g < g, g, 0.0)


# ---------------------------------------------------------------- sums, products, powers
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
        try:
            return x - y
        except TypeError:
            raise errors.DTypeError("bools have no difference; use x ^ y, or convert one first, e.g. x.int()") from None

    rules = (lambda m, g: g, lambda m, g: -g)


class Mul(Elementwise):
    name, formula, local = "mul", "x * y", ("y", "x")
    numbers_in_float32 = True

    def forward(b, x, y):
        return x * y

    rules = (lambda m, g, y: g * y, lambda m, g, x: g * x)


class Div(Elementwise):
    name, formula, local = "div", "x / y", ("1 / y", "-x / y^2")
    floats = numbers_in_float32 = True

    def forward(b, x, y):
        return x / y

    rules = (lambda m, g, y: g / y, lambda m, g, x, y: -g * (x / y) / y)  # not from out: it may be changed in place


def _no_bools(out, x, y):
    """out, unless both operands were bools: NumPy makes those int8."""
    if out.dtype.char == "b" and getattr(x, "dtype", getattr(y, "dtype", None)) == dtypes.bool_:
        raise errors.DTypeError("bools have no power, quotient or remainder; convert one first, e.g. x.int()")
    return out


def _quotient(out, x, y):
    """out, unless integers were divided by zero, where NumPy gives 0 and a GPU anything."""
    if out.dtype.kind in "iu" and out.size and bool((y == 0).any() if hasattr(y, "dtype") else y == 0):
        raise errors.ArgumentError("an integer was divided by zero")
    return _no_bools(out, x, y)


def _pow_base(m, g, x, y):
    if not hasattr(y, "dtype"):
        return flat(m, g) if y == 0 else g * (y * x ** (y - 1))
    zero = y == 0  # the slope is 0 there, also at x = 0 where x^(y-1) is infinite
    return m.where(zero, 0.0, g * (y * x ** m.where(zero, 1.0, y - 1)))


def _pow_exponent(m, g, x, y, out):
    if not hasattr(x, "dtype"):
        if x == 0:
            return g * m.where(y >= 0, 0.0, -math.inf * out)
        return g * out * (math.log(x) if x > 0 else math.nan)
    flat = (x == 0) * (y >= 0)
    return g * m.where(flat, 0.0, out * m.log(m.where(flat, 1.0, x)))


class Pow(Elementwise):
    name, formula, local = "pow", "x ** y", ("y x^(y-1)", "x^y log x")
    wraps = False

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


class Square(Elementwise):
    name, formula, local = "square", "x^2", "2 x"

    def forward(b, x):
        x = x.astype(b.xp.int64) if x.dtype == bool else x
        return x * x

    rules = lambda m, g, x: g * (2 * x)  # noqa: E731


class Reciprocal(Elementwise):
    name, formula, local, floats = "reciprocal", "1 / x", "-out^2", True

    def forward(b, x):
        return b.xp.reciprocal(x)

    rules = lambda m, g, out: -g * (out * out)  # noqa: E731


# ---------------------------------------------------------------- quotients in whole numbers
class FloorDivide(Elementwise):
    name, formula, local = "floor_divide", "floor(x / y)", ("0", "0")

    def forward(b, x, y):
        return _quotient(x // y, x, y)

    rules = (flat, flat)


class DivTrunc(Elementwise):
    name, formula, local = "div_trunc", "trunc(x / y)", ("0", "0")

    def forward(b, x, y):
        if getattr(x, "dtype", getattr(y, "dtype", None)).kind not in "biu":
            return b.xp.trunc(x / y)
        q = _quotient(x // y, x, y)  # rounded down: one more where that is not towards 0
        return (q + ((q * y != x) & ((x < 0) != (y < 0)))).astype(q.dtype, copy=False)

    rules = (flat, flat)


class Remainder(Elementwise):
    name, formula, local = "remainder", "x - y floor(x / y)", ("1", "-floor(x / y)")
    lends = True

    def forward(b, x, y):
        return _quotient(x % y, x, y)

    rules = (lambda m, g: g, lambda m, g, x, y: -g * (x // y))


class Fmod(Elementwise):
    """The remainder has the sign of x."""

    name, formula, local = "fmod", "x - y trunc(x / y)", ("1", "-trunc(x / y)")
    lends = True

    def forward(b, x, y):
        return _quotient(b.xp.fmod(x, y), x, y)

    rules = (lambda m, g: g, lambda m, g, x, y: -g * m.div_trunc(x, y))


# ---------------------------------------------------------------- maxima and mixtures
class Maximum(Elementwise):
    """Where x = y the gradient is shared evenly."""

    name, formula, local = "maximum", "max(x, y)", ("1 where x > y, 1/2 where x = y", "1 where y > x, 1/2 where x = y")

    def forward(b, x, y):
        return b.xp.maximum(x, y)

    rules = (
        lambda m, g, x, y: m.where(x < y, 0.0, m.where(x == y, g * 0.5, g)),
        lambda m, g, x, y: m.where(x > y, 0.0, m.where(x == y, g * 0.5, g)),
    )


class Minimum(Elementwise):
    """Where x = y the gradient is shared evenly."""

    name, formula, local = "minimum", "min(x, y)", ("1 where x < y, 1/2 where x = y", "1 where y < x, 1/2 where x = y")

    def forward(b, x, y):
        return b.xp.minimum(x, y)

    rules = (
        lambda m, g, x, y: m.where(x > y, 0.0, m.where(x == y, g * 0.5, g)),
        lambda m, g, x, y: m.where(x < y, 0.0, m.where(x == y, g * 0.5, g)),
    )


class Fmax(Elementwise):
    """A nan counts as missing. Where x = y the gradient goes to x, as in PyTorch."""

    name, formula, local = "fmax", "max(x, y), not nan", ("1 where x >= y", "1 where y > x")

    def forward(b, x, y):
        return b.xp.fmax(x, y)

    rules = (
        lambda m, g, x, y: m.where((x >= y) | (y != y), g, 0.0),
        lambda m, g, x, y: m.where((x >= y) | (y != y), 0.0, g),
    )


class Fmin(Elementwise):
    """A nan counts as missing. Where x = y the gradient goes to x, as in PyTorch."""

    name, formula, local = "fmin", "min(x, y), not nan", ("1 where x <= y", "1 where y < x")

    def forward(b, x, y):
        return b.xp.fmin(x, y)

    rules = (
        lambda m, g, x, y: m.where((x <= y) | (y != y), g, 0.0),
        lambda m, g, x, y: m.where((x <= y) | (y != y), 0.0, g),
    )


class Lerp(Op):
    """Exactly x at w = 0 and exactly y at w = 1."""

    name, formula, local = "lerp", "x + w (y - x)", ("1 - w", "w", "y - x")

    def forward(b, x, y, w):
        one = b.number(1, x.dtype)
        if not hasattr(w, "dtype"):
            w = b.number(w, x.dtype)
            return x + w * (y - x) if w < 0.5 else y - (y - x) * (one - w)
        return b.xp.where(w < 0.5, x + w * (y - x), y - (y - x) * (one - w))

    rules = (lambda m, g, w: g * (1 - w), lambda m, g, w: g * w, lambda m, g, x, y: g * (y - x))


# ---------------------------------------------------------------- public functions
def function(op, doc="") -> Callable[..., Tensor]:
    """The public function of an elementwise op, with a docstring made from its declaration."""
    one = len(op.inputs) == 1

    def call(input):
        return op.apply(input)

    def call2(input, other):
        return op.apply(input, other)

    f = call if one else call2
    f.__name__ = f.__qualname__ = op.name
    f.__module__ = op.__module__  # where pickle finds it
    slopes = "; ".join(f"d/d{n}: {text}" for n, text in zip(op.inputs, op.local, strict=True)) if op.local else ""
    f.__doc__ = f"{op.formula}, elementwise{'' if one else ' with broadcasting'}."
    f.__doc__ += (f" Slope {slopes}." if slopes else "") + (f" {doc}" if doc else "")
    if op.__doc__ and op.__doc__ != Elementwise.__doc__:
        f.__doc__ += " " + op.__doc__
    return f


def constant(like, value, dtype) -> Tensor:
    """A 0-d tensor of `value` on the device of `like`."""
    return wrap(like.device.backend.xp.full((), value, dtype=dtype.dtype), like.device)


def only_tensor(name, x):
    """x, which must be a tensor."""
    if not isinstance(x, Tensor):
        raise errors.DTypeError(f"{name}: a tensor is needed, not {type(x).__name__}; make one, e.g. tl.tensor(...)")
    return x


def _scaled(name, input, other, factor):
    """factor * other, for the alpha of add and sub, in the dtype of their sum."""
    if factor == 1:
        return other
    if isinstance(other, Tensor) and other.dtype.category < 2:
        wide = input.dtype if isinstance(input, Tensor) else dtypes.get_default_dtype()
        if wide.category > other.dtype.category and isinstance(input, (Tensor, float)):
            other = cast(other, wide)
    if isinstance(factor, float) and isinstance(other, Tensor) and other.dtype.category < 2:
        raise errors.DTypeError(
            f"{name}: alpha must be an integer where integers are added, not {factor}; use x.float(): other "
            f"{errors.describe(other)}"
        )
    if isinstance(other, Tensor):
        if other.dtype.category == 1 and isinstance(factor, int):
            other = cast(other, dtypes.result_type(input.array if isinstance(input, Tensor) else input, other.array))
            factor = number(name, factor, other.dtype)
        return Mul.apply(other, factor if other.dtype.category else bool(factor))  # bools with bools stay bools
    return as_operand(Mul, other) * factor


def add(input, other, *, alpha=1) -> Tensor:
    """input + alpha * other, with broadcasting.

    Example:
        >>> import tensorlite as tl
        >>> tl.add(tl.tensor([1, 2]), tl.tensor([10, 20]), alpha=2)
        tensor([21, 42])
    """
    return Add.apply(input, _scaled("add", input, other, alpha))


def sub(input, other, *, alpha=1) -> Tensor:
    """input - alpha * other, with broadcasting."""
    return Sub.apply(input, _scaled("sub", input, other, alpha))


def rsub(input, other, *, alpha=1) -> Tensor:
    """other - alpha * input, with broadcasting."""
    return Sub.apply(other, _scaled("rsub", other, input, alpha))


def div(input, other, *, rounding_mode=None) -> Tensor:
    """input / other, with broadcasting; integers divide to floating point.

    rounding_mode: None (true division), "floor" (down), or "trunc" (towards zero); the last two keep integers.

    Example:
        >>> import tensorlite as tl
        >>> tl.div(tl.tensor([7, -7]), 2, rounding_mode="trunc"), tl.div(tl.tensor([7, -7]), 2, rounding_mode="floor")
        (tensor([ 3, -3]), tensor([ 3, -4]))
    """
    if rounding_mode is None:
        return Div.apply(input, other)
    if rounding_mode == "floor":
        return FloorDivide.apply(input, other)
    if rounding_mode == "trunc":
        return DivTrunc.apply(input, other)
    raise errors.ArgumentError(f"div: rounding_mode must be None, 'floor' or 'trunc', not {rounding_mode!r}")


def pow(input, exponent) -> Tensor:
    """input ** exponent, with broadcasting; either may be a number. 0 ** 0 is 1. Slopes y x^(y-1) and x^y log x, 0 where
    y = 0 and where x = 0 < y.

    Raises ArgumentError for negative powers of integers.
    """
    return Pow.apply(input, exponent)


def float_power(input, exponent) -> Tensor:
    """input ** exponent in float64, whatever the dtypes are."""
    x, y = (cast(v, dtypes.float64) if isinstance(v, Tensor) else v for v in (input, exponent))
    return Pow.apply(x, y)


def positive(input) -> Tensor:
    """input itself. Raises DTypeError for bools."""
    if only_tensor("positive", input).dtype.category == 0:
        raise errors.DTypeError(
            f"positive: a bool tensor has no sign; convert it first, e.g. x.int(): x {errors.describe(input)}"
        )
    return input


def _in_one_dtype(name, **tensors):
    """The tensors cast to the dtype that they have together."""
    for key, v in tensors.items():
        only_tensor(f"{name}: {key}", v)
    dtype = dtypes.result_type(*[v.array for v in tensors.values()])
    return dtype, [cast(v, dtype) for v in tensors.values()]


def addcmul(input, tensor1, tensor2, *, value=1) -> Tensor:
    """input + value * tensor1 * tensor2, with broadcasting. Raises DTypeError for a fractional value with integers."""
    dtype, (x, y, z) = _in_one_dtype("addcmul", input=input, tensor1=tensor1, tensor2=tensor2)
    if isinstance(value, float) and dtype.category < 2:
        raise errors.DTypeError(
            f"addcmul: value must be an integer for {dtype.name} tensors, not {value}; use x.float()"
        )
    return Add.apply(x, Mul.apply(y if value == 1 else Mul.apply(y, value), z))


def addcdiv(input, tensor1, tensor2, *, value=1) -> Tensor:
    """input + value * tensor1 / tensor2, with broadcasting. Raises DTypeError where integers would be divided."""
    _, (x, y, z) = _in_one_dtype("addcdiv", input=input, tensor1=tensor1, tensor2=tensor2)
    if tensor1.dtype.category < 2 and tensor2.dtype.category < 2:
        raise errors.DTypeError(
            "addcdiv: tensor1 and tensor2 are both integers; convert one first, e.g. tensor1.float(): "
            f"tensor1 {errors.describe(tensor1)}, tensor2 {errors.describe(tensor2)}"
        )
    return Add.apply(x, Div.apply(y if value == 1 else Mul.apply(y, value), z))


def lerp(input, end, weight) -> Tensor:
    """input + weight * (end - input): from input at weight 0 to end at weight 1. weight is a number or a tensor.

    Raises DTypeError for integers, or where the dtypes differ.

    Example:
        >>> import tensorlite as tl
        >>> tl.lerp(tl.tensor([0.0, 10.0]), tl.tensor([1.0, 20.0]), 0.5)
        tensor([ 0.5000, 15.0000])
    """
    only_tensor("lerp", input), only_tensor("lerp: end", end)
    for key, v in (("end", end), ("weight", weight)):
        if isinstance(v, Tensor) and v.dtype is not input.dtype and (v is end or v.ndim):
            raise errors.DTypeError(
                f"lerp: {key} must have input's dtype {input.dtype.name}, not {v.dtype.name}; use {key}.to(input.dtype)"
            )
    if not input.dtype.is_floating_point:
        raise errors.DTypeError(f"lerp: input must be floating point, use x.float(): input {errors.describe(input)}")
    weight = as_operand(Lerp, weight)
    dtype = dtypes.result_type(*[v.array for v in (input, end, weight) if isinstance(v, Tensor)])
    return Lerp.apply(*[cast(v, dtype) if isinstance(v, Tensor) else v for v in (input, end, weight)])


mul, maximum, minimum, fmax, fmin = (function(op) for op in (Mul, Maximum, Minimum, Fmax, Fmin))
floor_divide, remainder, fmod = (function(op) for op in (FloorDivide, Remainder, Fmod))
neg, abs, square, reciprocal = (function(op) for op in (Neg, Abs, Square, Reciprocal))
subtract, multiply, divide, true_divide, negative, absolute = sub, mul, div, div, neg, abs
