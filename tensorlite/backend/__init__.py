"""Devices: what `tl.device("cuda:0")` is, which one is the default, and the backend behind each.

This folder is the only importer of numpy (array code) and cupy. A backend is made when its device is first used.
"""

import os
import threading

from tensorlite.errors import DeviceError

_factories = {}  # device type -> function(index) that makes its backend
_devices = {}  # (type, index) -> the one Device object


class Device:
    """Where a tensor lives: a type and, for GPUs, an index. `with tl.device("cuda"):` makes it the default inside.

    Written "cpu", "cuda", "cuda:1", ("cuda", 1) or 1 (the GPU of that number). There is one object for each, so devices
    are compared with `is`. Naming a device does not touch it: that it is not there shows at its first use.

    Raises:
        DeviceError: unknown device type (the message lists the known ones), or an index that is none.

    Example:
        >>> import tensorlite as tl
        >>> tl.device("cpu"), tl.device("cuda", 1).index, tl.device("cuda:1") is tl.device("cuda", 1)
        (device(type='cpu'), 1, True)
    """

    __slots__ = ("_backend", "index", "type")

    def __new__(cls, type="cpu", index=None):
        if isinstance(type, Device) and index is None:
            return type
        if isinstance(type, int) and not isinstance(type, bool) and index is None:
            type, index = "cuda", type
        name, colon, number = str(type).partition(":")
        if name not in _factories or (colon and not number.isdecimal()):
            raise DeviceError(f"unknown device {type!r}; known devices: {', '.join(sorted(_factories))}")
        if number and index is not None:
            raise DeviceError(f"device: {str(type)!r} names an index already; leave index={index!r} out")
        if number:
            index = int(number)
        if index is not None and (not isinstance(index, int) or isinstance(index, bool) or index < 0):
            raise DeviceError(f"device: the index of {name!r} must be a whole number from 0, not {index!r}")
        key = (name, index)
        if key not in _devices:
            self = _devices[key] = object.__new__(cls)
            self.type, self.index, self._backend = name, index, None
        return _devices[key]

    @property
    def backend(self):
        """The backend that computes here; made at first use. Raises DeviceError where the device is not there."""
        if self._backend is None:
            self._backend = _factories[self.type](self.index)
        return self._backend

    def resolve(self) -> "Device":
        """The device tensors are really on: "cuda" is the current GPU "cuda:0"; the CPU has no index.

        Raises DeviceError where the device is not there.
        """
        real = self.backend.resolve(self)
        real._backend = self._backend
        return real

    def __repr__(self):
        return f"device(type={self.type!r}" + ("" if self.index is None else f", index={self.index}") + ")"

    def __str__(self):
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __reduce__(self):
        return Device, (self.type, self.index)

    def __enter__(self):
        _local.stack = (*_local.stack, self.resolve())
        return self

    def __exit__(self, *_):
        _local.stack = _local.stack[:-1]


class _Local(threading.local):
    stack = ()


_local = _Local()
_default = None


def register(type: str, factory) -> None:
    """Make a device type known. `factory(index)` gives its Backend, or raises DeviceError where it is not there."""
    _factories[type] = factory


def get_default_device() -> Device:
    """Where new tensors go: the innermost `with tl.device(...)`, else what set_default_device said, else the
    environment variable TENSORLITE_DEVICE, else the CPU."""
    global _default
    if _local.stack:
        return _local.stack[-1]
    if _default is None:
        name = os.environ.get("TENSORLITE_DEVICE") or "cpu"
        try:
            _default = Device(name).resolve()
        except DeviceError as e:
            raise DeviceError(f"TENSORLITE_DEVICE={name}: {e}") from None
    return _default


def set_default_device(device) -> None:
    """Set where new tensors go from now on (in all threads). `None` gives the start value back."""
    global _default
    _default = None if device is None else Device(device).resolve()


def as_device(device=None) -> Device:
    """The resolved Device for a name, a Device or None (the default)."""
    return get_default_device() if device is None else Device(device).resolve()


def host():
    """The CPU backend: random numbers and initial weights are made there, alike for every device."""
    return Device("cpu").backend


def _make_cpu(index):
    from tensorlite.backend.cpu import CpuBackend
    from tensorlite.backend.fast import FastBackend, available

    if index:
        raise DeviceError(f"unknown device cpu:{index}: there is one CPU device, 'cpu'")
    return FastBackend() if available() else CpuBackend()


def _make_cuda(index):
    from tensorlite.backend.cuda import gpu

    return gpu(index)


register("cpu", _make_cpu)
register("cuda", _make_cuda)
