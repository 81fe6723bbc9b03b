"""Choosing between values: where, masked_fill, clamp."""

import math

from tensorlite import errors
from tensorlite.backend import dtypes
from tensorlite.elementwise import as_operand
from tensorlite.op import Op
from tensorlite.ops.convert import cast, clone, number
from tensorlite.ops.elementwise import constant, only_tensor
from tensorlite.tensor import Tensor

__all__ = ["clamp", "clamp_max", "clamp_min", "clip", "masked_fill", "where"]


def _or_zero(x, kept):
    """x where kept, else 0.0, for floating point: its bits times 1 or 0, many times as quick as `where`, which branches."""
    return (x.view(f"i{x.dtype.itemsize}") * kept).view(x.dtype)


def _zero(v, x):
    """Whether v is the number 0.0 beside a floating-point array x."""
    return type(v) is float and v == 0 and math.copysign(1.0, v) > 0 and x.dtype.kind == "f"


class Where(Op):
    name, formula, local = "where", "x where condition, else y", ("", "1 where condition", "1 where not condition")

    def forward(b, condition, x, y):
        if not hasattr(x, "dtype"):
            if _zero(x, y):
                return _or_zero(y, ~condition)
            x = b.number(x, y.dtype)
        elif not hasattr(y, "dtype"):
            if _zero(y, x):
                return _or_zero(x, condition)
            y = b.number(y, x.dtype)
        return b.xp.where(condition, x, y)

    rules = (
        None,
        lambda m, g, condition: m.where(condition, g, 0.0),
        lambda m, g, condition: m.where(condition, 0.0, g),
    )


class Clamp(Op):
    """Where x lies on a bound the gradient passes, as in PyTorch."""

    name, formula, local = "clamp", "min(max(x, low), high)", "1 where low <= x <= high"

    def forward(b, x, *, low, high):
        x = x if low is None else b.xp.maximum(x, b.number(low, x.dtype))
        return x if high is None else b.xp.minimum(x, b.number(high, x.dtype))

    def _inside(m, g, x, low, high):
        inside = x == x if low is None else x >= low
        return m.where(inside if high is None else inside & (x <= high), g, 0.0)  # not g *: inf times 0 is nan

    rules = _inside


class ClampBetween(Op):
    """Each bound is a tensor, a number or None. On a bound the gradient passes to x, as in PyTorch; where low > high to high."""

    name, formula = "clamp_between", "min(max(x, low), high)"
    local = ("1 where low <= x <= high", "1 where x < low < high", "1 where x > high or low > high")

    def forward(b, x, low, high):
        x = x if low is None else b.xp.maximum(x, low)
        return x if high is None else b.xp.minimum(x, high)

    def _low(m, g, x, low, high):
        return m.where(x < low if high is None else (x < low) & (low < high), g, 0.0)

    def _high(m, g, x, low, high):
        return m.where(x > high if low is None else (x > high) | (high < low), g, 0.0)

    rules = (Clamp.rules[0], _low, _high)


def where(condition, input=None, other=None):
    """input where condition holds, else other; all three broadcast. With the condition alone: the indices where it holds."""
    if input is None and other is None:
        return condition.nonzero(as_tuple=True)
    if not isinstance(condition, Tensor) or condition.dtype.category != 0:
        raise errors.DTypeError(f"where: condition must be a bool tensor, got {errors.describe(condition)}")
    x, y = (as_operand(Where, v) for v in (input, other))
    dtype = dtypes.result_type(*[v.array if isinstance(v, Tensor) else v for v in (x, y)])
    x, y = (cast(v, dtype) if isinstance(v, Tensor) else number("where", v, dtype) for v in (x, y))
    if not isinstance(x, Tensor) and not isinstance(y, Tensor):
        x = constant(condition, x, dtype)
    return Where.apply(condition, x, y)


def masked_fill(input, mask, value) -> Tensor:
    """input with `value` (a number or a 0-d tensor) where the bool tensor mask holds."""
    only_tensor("masked_fill", input)
    if not isinstance(mask, Tensor) or mask.dtype.category != 0:
        raise errors.DTypeError(f"masked_fill: mask must be a bool tensor, got {errors.describe(mask)}")
    if type(value) is not float and not isinstance(value, (Tensor, bool, int)):
        value = as_operand(Where, value)
    if isinstance(value, Tensor):
        if value.ndim:
            raise errors.ShapeError(
                f"masked_fill: value must be a number or 0-dimensional, got {errors.describe(value)}"
            )
        value = cast(value, input.dtype)
    elif input.dtype.category < 2:  # the dtype is that of input: a float is cut off, as in PyTorch
        value = number("masked_fill", value, input.dtype)
    out = Where.apply(mask, value, input)
    return out if out.array.flags.c_contiguous else clone(out)  # in order, as in PyTorch


def clamp(input, min=None, max=None) -> Tensor:
    """input limited to [min, max]: min(max(input, low), high). Either bound may be None, a number, or a tensor that broadcasts.

    Raises ArgumentError where both are None.

    Example:
        >>> import tensorlite as tl
        >>> tl.clamp(tl.tensor([-2.0, 0.5, 2.0]), -1, 1)
        tensor([-1.0000,  0.5000,  1.0000])
    """
    only_tensor("clamp", input)
    low, high = (v if v is None else as_operand(Clamp, v) for v in (min, max))
    bounds = [v for v in (low, high) if v is not None]
    if not bounds:
        raise errors.ArgumentError("clamp: at least one of min and max must be given")
    dtype = dtypes.result_type(*[v.array if isinstance(v, Tensor) else v for v in (input, *bounds)])
    x, low, high = (cast(v, dtype) if isinstance(v, Tensor) else v for v in (input, low, high))
    if not any(isinstance(v, Tensor) for v in bounds):
        return Clamp.apply(x, low=low, high=high)
    raw = x.device.backend.number
    low, high = (v if v is None or isinstance(v, Tensor) else raw(v, dtype.dtype) for v in (low, high))
    return ClampBetween.apply(x, low, high)


def clamp_min(input, min) -> Tensor:
    """input, but at least min (a number or a tensor)."""
    return clamp(input, min=min)


def clamp_max(input, max) -> Tensor:
    """input, but at most max (a number or a tensor)."""
    return clamp(input, max=max)


clip = clamp
