"""Rounding, signs and repairs: steps, through which no gradient flows, and functions that look at the sign or at nan."""

import math

from tensorlite import errors
from tensorlite.backend import dtypes
from tensorlite.elementwise import Elementwise
from tensorlite.op import Op
from tensorlite.ops.elementwise import Div, Mul, flat, function, only_tensor
from tensorlite.tensor import Tensor

__all__ = [
    "ceil", "copysign", "fix", "floor", "frac", "heaviside", "nan_to_num", "nextafter", "round", "sgn", "sign", "trunc",
]  # fmt: skip


# ---------------------------------------------------------------- rounding
class Floor(Elementwise):
    name, formula, local = "floor", "floor x", "0"

    def forward(b, x):
        return x.copy() if x.dtype.kind in "biu" else b.xp.floor(x)  # integers keep their dtype

    rules = flat


class Ceil(Elementwise):
    name, formula, local = "ceil", "ceil x", "0"

    def forward(b, x):
        return x.copy() if x.dtype.kind in "biu" else b.xp.ceil(x)  # integers keep their dtype

    rules = flat


class Round(Elementwise):
    name, formula, local = "round", "round x, half to even", "0"

    def forward(b, x):
        return x.copy() if x.dtype.kind in "biu" else b.xp.rint(x)  # integers keep their dtype

    rules = flat


class Trunc(Elementwise):
    name, formula, local = "trunc", "x towards 0", "0"

    def forward(b, x):
        return x.copy() if x.dtype.kind in "biu" else b.xp.trunc(x)  # integers keep their dtype

    rules = flat


class Frac(Elementwise):
    name, formula, local = "frac", "x - trunc(x)", "1"
    lends = True

    def forward(b, x):
        if x.dtype.kind in "biu":
            raise errors.DTypeError("integers have no fraction; use x.float()")
        return x - b.xp.trunc(x)

    rules = lambda m, g: g  # noqa: E731


# ---------------------------------------------------------------- signs
class Sign(Elementwise):
    """nan stays nan (PyTorch gives 0)."""

    name, formula, local = "sign", "sign x", "0"

    def forward(b, x):
        return x.copy() if x.dtype == bool else b.xp.sign(x)

    rules = flat


class Copysign(Elementwise):
    """The slope at x = 0 is chosen as 0."""

    name, formula, local, floats = "copysign", "|x| with the sign of y", ("sign(x) sign(y)", "0"), True

    def forward(b, x, y):
        return b.xp.copysign(x, y)

    rules = (lambda m, g, x, y: g * (m.sign(x) * m.copysign(m.sign(x), y)), flat)


class Heaviside(Elementwise):
    name, formula, local = "heaviside", "0 where x < 0, y where x = 0, 1 where x > 0", ("0", "1 where x = 0")

    def forward(b, x, y):
        dtype = x.dtype if hasattr(x, "dtype") else y.dtype
        return b.xp.where(x == 0, y, x > 0).astype(dtype, copy=False)

    rules = (flat, lambda m, g, x: m.where(x == 0, g, 0.0))


class Nextafter(Elementwise):
    name, formula, local = "nextafter", "the next number after x towards y", ("1 where x != y", "0")

    def forward(b, x, y):
        if getattr(x, "dtype", getattr(y, "dtype", None)).kind in "biu":
            raise errors.DTypeError("integers have no next floating-point number; use x.float()")
        return b.xp.nextafter(x, y)

    rules = (lambda m, g, x, y: m.where(x == y, 0.0, g), flat)


# ---------------------------------------------------------------- repairs
class NanToNum(Op):
    name, formula, local = "nan_to_num", "x, and numbers for nan and the infinities", "1 where x is finite"

    def forward(b, x, *, nan, posinf, neginf):
        if x.dtype.kind in "biu":
            return x.copy()
        for value, found in ((nan, x != x), (posinf, x == math.inf), (neginf, x == -math.inf)):
            x = b.xp.where(found, b.number(value, x.dtype), x).astype(x.dtype, copy=False)
        return x

    rules = lambda m, g, x: m.where(m.isfinite(x), g, 0.0)  # noqa: E731


# ---------------------------------------------------------------- public functions
floor, ceil, trunc, frac, sign = (function(op) for op in (Floor, Ceil, Trunc, Frac, Sign))
nextafter, copysign = function(Nextafter), function(Copysign)
fix, sgn = trunc, sign


def round(input, *, decimals=0) -> Tensor:
    """input rounded to whole numbers, or to `decimals` digits after the point (before it, if negative); half to even.

    Raises DTypeError for decimals of integers.
    """
    if not decimals:
        return Round.apply(input)
    if not only_tensor("round", input).dtype.is_floating_point:
        raise errors.DTypeError(
            f"round: decimals is for floating point only, use x.float(): input {errors.describe(input)}"
        )
    if decimals > 0:
        return Div.apply(Round.apply(Mul.apply(input, 10.0**decimals)), 10.0**decimals)
    return Mul.apply(Round.apply(Div.apply(input, 10.0**-decimals)), 10.0**-decimals)


def heaviside(input, values) -> Tensor:
    """0 where input < 0, `values` where input = 0, 1 where input > 0, with broadcasting; 0 for nan, as in PyTorch.

    `values` has a gradient where input = 0 (PyTorch has none here). Raises DTypeError where the dtypes differ.
    """
    if isinstance(input, Tensor) and isinstance(values, Tensor) and input.dtype is not values.dtype:
        raise errors.DTypeError(
            f"heaviside: both must have one dtype, got input {errors.describe(input)} and values {errors.describe(values)}; "
            "use values.to(input.dtype)"
        )
    return Heaviside.apply(input, values)


def nan_to_num(input, nan=0.0, posinf=None, neginf=None) -> Tensor:
    """input with numbers for nan and for both infinities; None: the largest and the smallest number of the dtype.

    Example:
        >>> import tensorlite as tl
        >>> tl.nan_to_num(tl.tensor([1.0, float("nan"), float("inf")]), nan=0.0, posinf=9.0)
        tensor([1., 0., 9.])
    """
    if only_tensor("nan_to_num", input).dtype.is_floating_point:
        limits = dtypes.finfo(input.dtype)
        nan = 0.0 if nan is None else nan
        posinf, neginf = limits.max if posinf is None else posinf, limits.min if neginf is None else neginf
    return NanToNum.apply(input, nan=nan, posinf=posinf, neginf=neginf)
