"""The same values elsewhere: another dtype, another device, a copy, an alias."""

import math

from tensorlite import errors
from tensorlite.backend import as_device, dtypes
from tensorlite.op import Op
from tensorlite.tensor import Tensor

__all__ = ["clone"]


class Cast(Op):
    name, formula, local = "cast", "x as another dtype", "1"
    lends = True

    def forward(b, x, *, dtype):
        return x.astype(dtypes.as_dtype(dtype).dtype)

    rules = lambda m, g: g  # noqa: E731  (the walk brings g back to x's dtype)


class Clone(Op):
    name, formula, local = "clone", "x", "1"
    lends = True

    def forward(b, x):
        return x.copy()

    rules = lambda m, g: g  # noqa: E731


class Alias(Op):
    """The same memory under a new node."""

    name, formula, local = "alias", "x", "1"
    view = lends = True

    def forward(b, x):
        return x

    rules = lambda m, g: g  # noqa: E731


class ToDevice(Op):
    name, formula, local = "to_device", "x on another device", "1"
    moves = True

    def forward(b, x, *, device, source):
        return device.backend.from_host(b.to_host(x))

    rules = lambda m, g, device, source: m.to_device(g, device=source, source=device)  # noqa: E731


def cast(x, dtype) -> Tensor:
    """x in another dtype; x itself if it has it already. Integers and bools have no gradient."""
    dtype = dtypes.as_dtype(dtype)
    if x.array.dtype == dtype.dtype:
        return x
    return Cast.apply(x if dtype.is_floating_point else x.detach(), dtype=dtype)


def to(x, *args, dtype=None, device=None, copy=False, non_blocking=False, memory_format=None) -> Tensor:
    """x on another device and/or in another dtype: x.to("cuda"), x.to(tl.float64), x.to("cuda", tl.float16), x.to(other).

    Gradients come back to the device and dtype of x. The same object is returned when nothing changes (unless copy).
    As in PyTorch, of bools by position the first is non_blocking and the second copy; memory_format has no effect.
    """
    copy = copy or [a for a in args if isinstance(a, bool)][1:2] == [True]
    for a in args:
        if isinstance(a, Tensor):
            device, dtype = a.device, a.dtype
        elif isinstance(a, bool):
            continue
        elif isinstance(a, dtypes.dtype) or a in (float, int) or type(a).__module__ == "numpy" or isinstance(a, type):
            dtype = a
        elif a is not None:
            device = a
    out = x if dtype is None else cast(x, dtype)
    if device is not None:
        device = as_device(device)
        if device is not x.device:
            out = ToDevice.apply(out, device=device, source=x.device)
    return Clone.apply(out) if copy and out is x else out


def clone(input, *, memory_format=None) -> Tensor:
    """A copy of input with its own memory; gradients pass to input."""
    return Clone.apply(input)


def number(op, value, dtype):
    """A Python number as a tensor of dtype stores it: for integers a float is cut off, and -1 is the largest unsigned one.

    Raises ArgumentError, in the name of `op`, for what integers cannot hold.
    """
    if dtype.category != 1:
        return float(value) if dtype.category else bool(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise errors.ArgumentError(f"{op}: {value} cannot be stored in a tensor of {dtype.name}")
    value, count = int(value), 1 << 8 * dtype.itemsize
    unsigned = dtype.dtype.kind == "u"
    low, high = (1 - count, count - 1) if unsigned else (-count // 2, count // 2 - 1)
    if not low <= value <= high:
        raise errors.ArgumentError(
            f"{op}: {value} cannot be stored in a tensor of {dtype.name}, which holds {0 if unsigned else low} to {high}; "
            f"convert that first, e.g. x.long()"
        )
    return value + count if unsigned and value < 0 else value
