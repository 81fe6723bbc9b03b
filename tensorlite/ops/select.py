"""Choosing between values: where, masked_fill, clamp."""

from tensorlite import errors
from tensorlite.backend import dtypes
from tensorlite.op import Op, as_operand
from tensorlite.ops.convert import cast
from tensorlite.ops.elementwise import Maximum, Minimum
from tensorlite.tensor import Tensor, wrap

__all__ = ["clamp", "clip", "masked_fill", "where"]


class Where(Op):
    name, formula, local = "where", "x where condition, else y", ("", "1 where condition", "1 where not condition")

    def forward(b, condition, x, y):
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
        return g * (inside if high is None else inside * (x <= high))

    rules = _inside


def where(condition, input=None, other=None):
    """input where condition holds, else other; all three broadcast. With the condition alone: the indices where it holds."""
    if input is None and other is None:
        return condition.nonzero(as_tuple=True)
    if not isinstance(condition, Tensor) or condition.dtype.category != 0:
        raise errors.DTypeError(f"where: condition must be a bool tensor, got {errors.describe(condition)}")
    x, y = (as_operand(Where, v) for v in (input, other))
    dtype = dtypes.result_type(*[v.array if isinstance(v, Tensor) else v for v in (x, y)])
    x, y = (cast(v, dtype) if isinstance(v, Tensor) else v for v in (x, y))
    if not isinstance(x, Tensor) and not isinstance(y, Tensor):
        x = _constant(condition, x, dtype)
    return Where.apply(condition, x, y)


def _constant(like, value, dtype):
    """A 0-d tensor of `value` on the device of `like`."""
    b = like.device.backend
    return wrap(b.xp.full((), value, dtype=dtype.dtype), like.device)


def masked_fill(input, mask, value) -> Tensor:
    """input with `value` (a number or a 0-d tensor) where the bool tensor mask holds."""
    if not isinstance(mask, Tensor) or mask.dtype.category != 0:
        raise errors.DTypeError(f"masked_fill: mask must be a bool tensor, got {errors.describe(mask)}")
    if isinstance(value, Tensor):
        if value.ndim:
            raise errors.ShapeError(
                f"masked_fill: value must be a number or 0-dimensional, got {errors.describe(value)}"
            )
        value = cast(value, input.dtype)
    elif input.dtype.category < 2:  # the dtype is that of input: a float is cut off, as in PyTorch
        value = int(value) if input.dtype.category else bool(value)
    return Where.apply(mask, value, input)


def clamp(input, min=None, max=None) -> Tensor:
    """input limited to [min, max]; either bound may be None, a number, or a tensor that broadcasts."""
    if min is None and max is None:
        raise errors.ArgumentError("clamp: at least one of min and max must be given")
    if isinstance(min, Tensor) or isinstance(max, Tensor):
        out = input if min is None else Maximum.apply(input, min)
        return out if max is None else Minimum.apply(out, max)
    numbers = [v for v in (min, max) if v is not None]
    return Clamp.apply(cast(input, dtypes.result_type(input.array, *numbers)), low=min, high=max)


clip = clamp
