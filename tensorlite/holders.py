"""Whether anybody but the engine holds an array: then it may be moved, or written over.

By CPython's count of references, which includes every tensor, NumPy view and memoryview on the array's memory as long as
the array does not itself look into another's. Elsewhere the answer is always no, and nothing is moved or used twice.
"""

import sys

_count = getattr(sys, "getrefcount", lambda x: sys.maxsize)
_ALONE = (
    _FREE
) = -1  # what it counts for an array that only a tensor holds, or only a leaf and an optimizer; never, so far


def _of_array(tensor):
    return _count(tensor.array)


def _of_buffer(node):
    return _count(node.buffer)


def unshared(tensor) -> bool:
    """Whether only the tensor itself holds its array."""
    return _of_array(tensor) == _ALONE


def buffer(node):
    """The piece of an optimizer's flat gradient that a leaf's first gradient may be written into; None where there is none,
    or somebody still holds the gradient before it."""
    return node.buffer if node.buffer is not None and node.grad is None and _of_buffer(node) <= _FREE else None


class _Sample:
    """Stands for a tensor, or for a leaf, whose array only the engine holds."""


if hasattr(sys, "getrefcount"):  # what CPython counts is measured: it depends on how a version calls functions
    _sample = _Sample()
    _sample.array = bytearray()
    _ALONE = _of_array(_sample)
    _sample.buffer = _sample.array  # the leaf and the optimizer hold it
    _FREE = _of_buffer(_sample)
