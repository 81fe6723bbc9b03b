"""Window functions for signals (hann_window, kaiser_window, ...) and frombuffer: tensors made on the host, then moved."""

import math

from tensorlite import errors
from tensorlite.backend import as_device, dtypes, host
from tensorlite.tensor import Tensor, wrap

__all__ = ["bartlett_window", "blackman_window", "frombuffer", "hamming_window", "hann_window", "kaiser_window"]


def _window(name, length, periodic, shape, dtype, layout, device, requires_grad):
    """shape(places) for places -1 to 1 in `length` steps; a periodic window is one longer and lacks the last."""
    dtype = dtypes.get_default_dtype() if dtype is None else dtypes.as_dtype(dtype)
    if not dtype.is_floating_point:
        raise errors.DTypeError(f"{name}: the dtype must be a floating-point one, not {dtype.name}")
    if not hasattr(length, "__index__") or length.__index__() < 0:
        raise errors.ArgumentError(f"{name}: window_length must be a whole number from 0 on, not {length!r}")
    xp, n, device = host().xp, length.__index__(), as_device(device)
    if n < 2:
        values = xp.ones(n)
    else:
        values = shape(xp, xp.linspace(-1.0, 1.0, n + bool(periodic))[:n])
    out = wrap(device.backend.from_host(values.astype(dtype.dtype)), device)
    return out.requires_grad_() if requires_grad else out


def hann_window(
    window_length, periodic=True, *, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False
) -> Tensor:
    """sin^2(pi n / (N - 1)) for n = 0..N-1: 0 at both ends. periodic: the first window_length values of a window one longer.

    Example:
        >>> import tensorlite as tl
        >>> tl.hann_window(4)
        tensor([0.0000, 0.5000, 1.0000, 0.5000])
    """
    shape = lambda xp, s: 0.5 + 0.5 * xp.cos(math.pi * s)  # noqa: E731
    return _window("hann_window", window_length, periodic, shape, dtype, layout, device, requires_grad)


def hamming_window(
    window_length, periodic=True, alpha=0.54, beta=0.46, *, dtype=None, layout=None, device=None, pin_memory=False,
    requires_grad=False
) -> Tensor:  # fmt: skip
    """alpha - beta cos(2 pi n / (N - 1)) for n = 0..N-1. periodic: the first window_length values of a window one longer."""
    shape = lambda xp, s: alpha + beta * xp.cos(math.pi * s)  # noqa: E731
    return _window("hamming_window", window_length, periodic, shape, dtype, layout, device, requires_grad)


def blackman_window(
    window_length, periodic=True, *, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False
) -> Tensor:
    """0.42 - 0.5 cos(2 pi n / (N - 1)) + 0.08 cos(4 pi n / (N - 1)) for n = 0..N-1. periodic: the first window_length values
    of a window one longer."""
    shape = lambda xp, s: 0.42 + 0.5 * xp.cos(math.pi * s) + 0.08 * xp.cos(2 * math.pi * s)  # noqa: E731
    return _window("blackman_window", window_length, periodic, shape, dtype, layout, device, requires_grad)


def bartlett_window(
    window_length, periodic=True, *, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False
) -> Tensor:
    """1 - |2 n / (N - 1) - 1| for n = 0..N-1: a triangle. periodic: the first window_length values of a window one longer."""
    shape = lambda xp, s: 1 - xp.abs(s)  # noqa: E731
    return _window("bartlett_window", window_length, periodic, shape, dtype, layout, device, requires_grad)


def kaiser_window(
    window_length, periodic=True, beta=12.0, *, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False
) -> Tensor:  # fmt: skip
    """I0(beta sqrt(1 - (2 n / (N - 1) - 1)^2)) / I0(beta) for n = 0..N-1, with the modified Bessel function I0 (Kaiser 1974).
    periodic: the first window_length values of a window one longer."""
    shape = lambda xp, s: xp.i0(beta * xp.sqrt(1 - s * s)) / xp.i0(beta)  # noqa: E731
    return _window("kaiser_window", window_length, periodic, shape, dtype, layout, device, requires_grad)


def frombuffer(buffer, *, dtype, count=-1, offset=0, requires_grad=False) -> Tensor:
    """A one-dimensional CPU tensor on the memory of a buffer (bytearray, memoryview, array.array, mmap, ...): changes of one
    are seen in the other. Of a buffer that cannot be written, as bytes, the tensor must not be changed in place.

    count: how many elements (-1: all); offset: the bytes to leave out in front.

    Raises:
        ArgumentError: an empty buffer, or one that does not hold as many elements. DTypeError: no buffer, or unknown dtype.

    Example:
        >>> import tensorlite as tl
        >>> tl.frombuffer(bytearray([1, 0, 2, 0]), dtype=tl.int16)
        tensor([1, 2], dtype=tensorlite.int16)
    """
    dtype = dtypes.as_dtype(dtype)
    try:
        view = memoryview(buffer).cast("B") if memoryview(buffer).nbytes else memoryview(b"")
    except TypeError:
        raise errors.DTypeError(f"frombuffer: a buffer such as bytes is needed, not {type(buffer).__name__}") from None
    rest = view.nbytes - offset
    if not 0 <= offset < max(view.nbytes, 1) or not view.nbytes:
        raise errors.ArgumentError(f"frombuffer: offset {offset} lies outside of the buffer of {view.nbytes} bytes")
    if count == -1 and rest % dtype.itemsize:
        raise errors.ArgumentError(
            f"frombuffer: {rest} bytes behind the offset are no whole number of {dtype.name} of {dtype.itemsize} bytes"
        )
    n = rest // dtype.itemsize if count == -1 else count
    if n < 1 or n * dtype.itemsize > rest:
        raise errors.ArgumentError(f"frombuffer: {rest} bytes behind the offset do not hold {count} of {dtype.name}")
    out = wrap(host().xp.frombuffer(buffer, dtype=dtype.dtype, count=n, offset=offset), as_device("cpu"))
    return out.requires_grad_() if requires_grad else out
