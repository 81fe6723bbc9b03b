"""Host memory that several processes see: arrays in files that have no name, and how a process that is no fork gets them.

A block is such a file, mapped. Small arrays lie in one block together, since a system lets a process open about a thousand
files. A block is gone when no process holds it any more: nothing is left behind by a program that dies.
"""

import mmap
import os
import threading
import weakref

import numpy as np

from tensorlite.backend.base import memory
from tensorlite.errors import TensorliteError

BLOCK, SMALL, LINE = 1 << 25, 1 << 22, 64  # bytes of a common block, of the largest array in one, between arrays


class Block(mmap.mmap):
    """A mapped file; descriptor: of the file, None where there is none and only forks can see the memory."""

    descriptor, used = None, 0

    def __del__(self):
        if self.descriptor is not None:
            os.close(self.descriptor)


_lock = threading.Lock()
_common = {}  # process id -> the block that is being filled (a fork must not go on in its parent's)
_known = weakref.WeakValueDictionary()  # (device, inode) of a file -> its Block, so that none is mapped twice


def _descriptor(size):
    """A new file of that size without a name, or None."""
    try:
        if hasattr(os, "memfd_create"):
            descriptor = os.memfd_create("tensorlite-shared")
        elif os.name == "posix":
            import tempfile

            with tempfile.TemporaryFile() as file:
                descriptor = os.dup(file.fileno())
        else:
            return None
        os.ftruncate(descriptor, size)
    except OSError:  # too many open files
        return None
    return descriptor


def _block(size):
    descriptor = _descriptor(size)
    block = Block(-1 if descriptor is None else descriptor, size)
    block.descriptor = descriptor
    if descriptor is not None:
        _known[_identity(descriptor)] = block
    return block


def _identity(descriptor):
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


def _room(size):
    """(block, place) of so many free bytes."""
    if size > SMALL:
        return _block(size), 0
    with _lock:
        block = _common.get(os.getpid())
        if block is None or block.used + size > BLOCK:
            _common.clear()
            block = _common[os.getpid()] = _block(BLOCK)
        place = block.used
        block.used += -(-size // LINE) * LINE
    return block, place


def shared_copy(array):
    """A copy of an array in memory of this kind, with a memory object of its own."""
    size = max(array.nbytes, array.itemsize)
    block, place = _room(size)
    out = np.frombuffer(memoryview(block)[place : place + size], array.dtype, array.size).reshape(array.shape)
    out[...] = array
    return out


def block_of(array):
    """The Block that an array lies in, or None."""
    owner = memory(array)
    owner = getattr(owner, "obj", owner)
    return owner if isinstance(owner, Block) else None


def where_it_lies(array):
    """(block, first byte, end, place of the first element, shape, strides, dtype): what `array_at` takes."""
    block = block_of(array)
    start = np.frombuffer(block, np.uint8, 1).ctypes.data
    reach = [s * (n - 1) for n, s in zip(array.shape, array.strides, strict=True)] if array.size else []
    first = array.ctypes.data - start
    low = first + sum(r for r in reach if r < 0)
    end = first + sum(r for r in reach if r > 0) + array.itemsize
    return block, low, end, first - low, array.shape, array.strides, array.dtype


def array_at(block, low, end, place, shape, strides, dtype):
    """The array that lies there, on the same memory."""
    return np.ndarray(shape, dtype, memoryview(block)[low:end], place, strides)


def reduce_block(block):
    """For multiprocessing's pickles: the file's descriptor is passed on."""
    from multiprocessing import reduction

    if block.descriptor is None:
        raise TensorliteError(
            "pickle: this shared memory has no file (too many were open, or the system has no such files), so that only forked "
            "processes see it: start them with the method 'fork', or send x.clone()"
        )
    return attached, (reduction.DupFd(block.descriptor), len(block))


def attached(handle, size):
    """The block of a descriptor that came from another process; one that is here already is not mapped again."""
    descriptor = handle.detach()
    with _lock:
        block = _known.get(_identity(descriptor))
        if block is None:
            block = _known[_identity(descriptor)] = Block(descriptor, size)
            block.descriptor = descriptor
        elif block.descriptor != descriptor:
            os.close(descriptor)
    return block
