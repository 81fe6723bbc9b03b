"""`tl.accelerator`: whether there is a GPU and which, under the names that PyTorch has for devices of all makers."""

from tensorlite import cuda
from tensorlite.backend import Device

__all__ = ["current_accelerator", "current_device_index", "device_count", "empty_cache", "is_available", "memory_allocated",
           "set_device_index", "synchronize"]  # fmt: skip

device_count, is_available, set_device_index = cuda.device_count, cuda.is_available, cuda.set_device
synchronize, empty_cache, memory_allocated = cuda.synchronize, cuda.empty_cache, cuda.memory_allocated
current_device_index = cuda.current_device


def current_accelerator(check_available: bool = False) -> "Device | None":
    """The kind of device that computes faster than the CPU: device("cuda"), or None where there is none.

    Example:
        >>> import tensorlite as tl
        >>> device = tl.accelerator.current_accelerator() or tl.device("cpu")
    """
    return Device("cuda") if is_available() else None
