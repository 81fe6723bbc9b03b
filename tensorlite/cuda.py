"""`tl.cuda`: questions and orders to the GPU, under PyTorch's names. No CuPy is needed to ask whether there is one."""

from tensorlite import random
from tensorlite.backend import Device, cuda
from tensorlite.backend.cuda import device_count
from tensorlite.errors import DeviceError

__all__ = ["current_device", "device_count", "empty_cache", "get_device_name", "is_available", "manual_seed",
           "manual_seed_all", "memory_allocated", "set_device", "synchronize"]  # fmt: skip


def is_available() -> bool:
    """Whether CuPy and at least one GPU can be used. Never an error.

    Example:
        >>> import tensorlite as tl
        >>> device = "cuda" if tl.cuda.is_available() else "cpu"
    """
    return device_count() > 0


def _backend(name, device=None):
    """The backend of a GPU given as None (the current one), a number, "cuda:0" or a Device. Raises DeviceError."""
    device = Device("cuda" if device is None else device)
    if device.type != "cuda":
        raise DeviceError(f"cuda.{name}: a GPU is needed, not {str(device)!r}")
    return device.backend


def current_device() -> int:
    """The number of the GPU that "cuda" stands for. Raises DeviceError where there is none."""
    return _backend("current_device").index


def set_device(device) -> None:
    """Choose the GPU of this process, by number or name, before the first tensor is put on one.

    Raises DeviceError where it is not there, or when another GPU is in use already.
    """
    _backend("set_device", device)


def get_device_name(device=None) -> str:
    """What the GPU is called. Raises DeviceError where there is none."""
    return _backend("get_device_name", device).device_name()


def synchronize(device=None) -> None:
    """Wait until the GPU has finished all that was asked of it. Raises DeviceError where there is none."""
    _backend("synchronize", device).synchronize()


def memory_allocated(device=None) -> int:
    """Bytes that arrays hold on the GPU. Raises DeviceError where there is none."""
    return _backend("memory_allocated", device).memory_allocated()


def empty_cache() -> None:
    """Give memory that is kept for later arrays back to the driver; where no GPU was used there is nothing to do."""
    if cuda._gpu is not None:
        cuda._gpu.empty_cache()


def manual_seed(seed: int) -> None:
    """The same as tl.manual_seed: there is one generator for all devices, GPU or none."""
    random.manual_seed(seed)


manual_seed_all = manual_seed
