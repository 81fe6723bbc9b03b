"""`tl.cuda`: questions and orders to the GPU, under PyTorch's names. No CuPy is needed to ask whether there is one."""

import sys
import types

from tensorlite import compat, random
from tensorlite.amp import gpu as amp
from tensorlite.backend import Device, cuda, dtypes
from tensorlite.backend.cuda import device_count
from tensorlite.errors import DeviceError, DTypeError

__all__ = ["Event", "amp", "current_device", "device_count", "empty_cache", "get_device_capability", "get_device_name",
           "get_device_properties", "init", "is_available", "is_bf16_supported", "is_initialized", "manual_seed",
           "manual_seed_all", "max_memory_allocated", "max_memory_reserved", "memory_allocated", "memory_reserved",
           "reset_max_memory_allocated", "reset_peak_memory_stats", "set_device", "synchronize"]  # fmt: skip


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


def is_initialized() -> bool:
    """Whether a GPU is in use already."""
    return cuda._gpu is not None


def init() -> None:
    """Take the current GPU into use now. Raises DeviceError where there is none."""
    _backend("init")


def get_device_capability(device=None) -> tuple:
    """(major, minor) of what the GPU can do, as (9, 0). Raises DeviceError where there is none."""
    about = _backend("get_device_capability", device).properties()
    return about["major"], about["minor"]


def get_device_properties(device=None) -> types.SimpleNamespace:
    """name, major, minor, total_memory, multi_processor_count of the GPU. Raises DeviceError where there is none."""
    about = _backend("get_device_properties", device).properties()
    return types.SimpleNamespace(
        name=about["name"].decode(), major=about["major"], minor=about["minor"],
        total_memory=about["totalGlobalMem"], multi_processor_count=about["multiProcessorCount"],
    )  # fmt: skip


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether tensors of bfloat16 can be on the GPU: where there is one and the package ml_dtypes. Never an error."""
    try:
        return is_available() and bool(dtypes.bfloat16())
    except ImportError:
        return False


def memory_reserved(device=None) -> int:
    """Bytes that the library holds on the GPU: in arrays, or kept for later ones."""
    return _backend("memory_reserved", device).memory_reserved()


def max_memory_allocated(device=None) -> int:
    """The most bytes held since the start, or since reset_peak_memory_stats.

    It is what the memory pool has grown to, with what is kept for later: an upper bound of the most that arrays held.
    """
    return memory_reserved(device)


max_memory_reserved = max_memory_allocated


def reset_peak_memory_stats(device=None) -> None:
    """Start max_memory_allocated again, by giving the memory that no array holds back to the driver."""
    _backend("reset_peak_memory_stats", device).empty_cache()


reset_max_memory_allocated = reset_peak_memory_stats


class Event:
    """A mark in the GPU's queue: start.record(); ...; stop.record(); stop.synchronize(); start.elapsed_time(stop) in ms.

    Raises DeviceError where there is no GPU.
    """

    def __init__(self, enable_timing=False, blocking=False, interprocess=False):
        self._backend = _backend("Event")
        self._event = self._backend.event(enable_timing)

    def record(self, stream=None) -> None:
        """Put the mark behind all that was asked of the GPU so far."""
        self._event.record()

    def synchronize(self) -> None:
        """Wait until the GPU has reached the mark."""
        self._event.synchronize()

    def query(self) -> bool:
        """Whether the GPU has reached the mark."""
        return bool(self._event.done)

    def elapsed_time(self, end_event) -> float:
        """Milliseconds from this mark to a later one; both must have been made with enable_timing=True."""
        return self._backend.elapsed(self._event, end_event._event)


def __getattr__(name):
    if name.endswith("Tensor") and name[0].isupper():  # FloatTensor and its kin, made when asked for
        try:
            made = globals()[name] = compat.gpu_type(name)
        except DTypeError:
            pass
        else:
            return made
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


sys.modules[f"{__name__}.amp"] = amp  # `from tensorlite.cuda.amp import GradScaler`, as in older programs
