"""Memory of the NumPy kernels: work arrays that are used again and again, and how the C library treats freed arrays."""

import ctypes
import math
import os
import threading

import numpy as np

CHUNK = 1 << 17  # elements a kernel handles at a time: few enough for the cache, enough to hide the cost of a call
KEEP = 1 << 25  # bytes of work memory kept by a thread between calls


class _Local(threading.local):
    memory, carved = None, None


_local = _Local()


def scratch(dtype, *shapes):
    """Uninitialised arrays of these shapes, aligned to cache lines and valid until this thread's next call.

    A kernel calls this once, for all it needs, and calls no other kernel before it has done with them.
    """
    carved = _local.carved
    if carved is not None and (dtype, shapes) in carved:
        return carved[dtype, shapes]
    sizes = [-(-math.prod(s) * dtype.itemsize // 64) * 64 for s in shapes]
    memory = _local.memory
    if memory is None or memory.size < sum(sizes):
        memory = np.empty(sum(sizes) + 64, np.uint8)
        memory = memory[-memory.ctypes.data % 64 :]
        if memory.size <= KEEP:
            _local.memory, _local.carved = memory, {}
    start, arrays = 0, []
    for shape, size in zip(shapes, sizes, strict=True):
        arrays.append(memory[start : start + math.prod(shape) * dtype.itemsize].view(dtype).reshape(shape))
        start += size
    if memory is _local.memory:
        if len(_local.carved) > 256:
            _local.carved.clear()
        _local.carved[dtype, shapes] = arrays
    return arrays


def covered(*arrays) -> bool:
    """Whether the fast kernels serve these arrays: all float32 or all float64, with elements."""
    kind = arrays[0].dtype
    if kind.char not in "fd":
        return False
    for a in arrays:  # noqa: SIM110 (a generator costs as much as the kernel of a small array)
        if not a.size or (a.dtype is not kind and a.dtype != kind):
            return False
    return True


def chunks(count: int, width: int = 1):
    """(start, stop) over `count` rows of `width` elements, about CHUNK elements each time and at least one row."""
    step = max(1, CHUNK // width)
    for start in range(0, count, step):
        yield start, min(start + step, count)


def keep_freed_memory() -> None:
    """Tell glibc to keep the memory of freed arrays for the next ones.

    By default it hands all above a few MB back to the system at once, and every new array takes page faults and is zeroed
    first: a fifth of a small model's training step. Kept are up to 1 GB at the end of the heap; arrays of 128 MB and more
    go back as before. Settings made by the environment (MALLOC_..., GLIBC_TUNABLES) stand; other C libraries are left alone.
    """
    if any(os.environ.get(k) for k in ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # macOS and musl have no mallopt, Windows no such library
        return
    mallopt(-3, 128 << 20)  # M_MMAP_THRESHOLD
    mallopt(-1, 1 << 30)  # M_TRIM_THRESHOLD
