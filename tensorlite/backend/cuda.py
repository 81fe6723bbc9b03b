"""The CuPy backend: plain xp for now. The only place that imports cupy; own kernels come here later.

A process computes on one GPU: the one it used first. CuPy runs every operation on the current GPU, wherever its
operands lie, so tensors of two GPUs in one process would end up on one of them without a word; a second is refused.
"""

import contextlib
import importlib

from tensorlite.backend import Device, keys
from tensorlite.backend.base import Backend
from tensorlite.errors import DeviceError, missing_extra

_gpu = None  # the CudaBackend of this process


def import_cupy():
    """The module cupy, or an error that names the extra to install."""
    try:
        return importlib.import_module("cupy")
    except ModuleNotFoundError as e:
        if e.name != "cupy":
            raise DeviceError(f"device 'cuda' cannot be used: {e}") from None
        error = missing_extra("device 'cuda'", "cupy", "cuda13")
        raise DeviceError(f"{error} (or 'tensorlite[cuda12]' for CUDA 12)") from None
    except ImportError as e:  # an installed CuPy whose CUDA libraries are missing
        raise DeviceError(f"device 'cuda' cannot be used: {e}") from None


def device_count() -> int:
    """GPUs that can be used: 0 without CuPy or without a driver; never an error."""
    try:
        return import_cupy().cuda.runtime.getDeviceCount()
    except Exception:  # DeviceError, or whatever a broken driver makes CuPy raise
        return 0


def cuda_version() -> "str | None":
    """The version of CUDA that CuPy computes with, as "13.0"; None without CuPy."""
    try:
        number = import_cupy().cuda.runtime.runtimeGetVersion()
    except Exception:  # no CuPy, or one whose libraries are missing
        return None
    return f"{number // 1000}.{number % 1000 // 10}"


def gpu(index=None) -> "CudaBackend":
    """The backend of GPU `index` (None: the one in use, else CuPy's current one); made at first use.

    Raises:
        DeviceError: no CuPy, no driver, no such GPU, or another GPU is in use already.
    """
    global _gpu
    if _gpu is None:
        _gpu = CudaBackend(index)
    elif index not in (None, _gpu.index):
        raise DeviceError(
            f"device 'cuda:{index}': this process computes on cuda:{_gpu.index} already; use one process for each GPU "
            "(choose it by CUDA_VISIBLE_DEVICES, or by tl.cuda.set_device before the first tensor)"
        )
    return _gpu


class CudaBackend(Backend):
    """One GPU, by CuPy."""

    name = "cuda"

    def __init__(self, index=None):
        cupy = import_cupy()
        try:
            count = cupy.cuda.runtime.getDeviceCount()
        except Exception as e:  # CUDARuntimeError: no driver, one too old, or no GPU
            raise DeviceError(f"device 'cuda' cannot be used on this machine: CuPy is installed, but {e}") from None
        index = cupy.cuda.Device().id if index is None and count else index or 0
        if index >= count:
            raise DeviceError(f"device 'cuda:{index}' is not there: this machine has {count} GPU(s)")
        cupy.cuda.Device(index).use()
        self.xp, self.index = cupy, index

    def resolve(self, device):
        return Device("cuda", self.index)

    def to_host(self, array):
        return array.get()

    def address(self, array):
        return int(array.data.ptr)

    def quiet(self):
        return contextlib.nullcontext()  # CuPy never warns

    def is_view(self, out, source) -> bool:
        return out is source or out.data.mem is source.data.mem  # as_strided of CuPy leaves `base` empty

    def check_key(self, shape, key) -> None:
        keys.check(self, shape, key)

    def erf(self, x):
        from cupyx.scipy.special import erf

        wide = x if x.dtype.itemsize > 2 else x.astype(self.xp.float32)  # erf of float16 would be float64
        return erf(wide).astype(x.dtype, copy=False)

    def synchronize(self) -> None:
        self.xp.cuda.Device(self.index).synchronize()

    def memory_allocated(self) -> int:
        return self.xp.get_default_memory_pool().used_bytes()

    def empty_cache(self) -> None:
        """Give unused blocks of the memory pool back to the driver."""
        self.xp.get_default_memory_pool().free_all_blocks()

    def memory_reserved(self) -> int:
        """Bytes that the pool holds, in use or kept for later."""
        return self.xp.get_default_memory_pool().total_bytes()

    def properties(self) -> dict:
        """What the driver tells of this GPU."""
        return self.xp.cuda.runtime.getDeviceProperties(self.index)

    def device_name(self) -> str:
        """The name the maker gave this GPU."""
        return self.properties()["name"].decode()

    def event(self, timing: bool):
        """A mark in the GPU's queue of work."""
        return self.xp.cuda.Event(disable_timing=not timing)

    def elapsed(self, start, stop) -> float:
        """Milliseconds between two such marks."""
        return self.xp.cuda.get_elapsed_time(start, stop)
