"""Index expressions with integer arrays: which dimension each array indexes, and whether all its numbers are in range.

NumPy checks this itself; a GPU library does not (CuPy wraps silently), so its backend calls `check` first.
"""

from tensorlite.errors import IndexRangeError


def integer_arrays(shape, key):
    """(dimension, its size, array) for each integer array in an index expression on an array of `shape`."""
    parts = key if isinstance(key, tuple) else (key,)
    taken = sum(_dimensions(k) for k in parts)
    found, dim = [], 0
    for k in parts:
        if k is Ellipsis:
            dim += len(shape) - taken
        elif hasattr(k, "dtype") and k.dtype.kind in "iu" and dim < len(shape):
            found.append((dim, shape[dim], k))
        dim += _dimensions(k)
    return found


def _dimensions(k) -> int:
    """How many dimensions one part of an index expression uses up."""
    if k is None or k is Ellipsis:
        return 0
    return k.ndim if hasattr(k, "dtype") and k.dtype.kind == "b" else 1


def check(backend, shape, key) -> None:
    """Raise IndexRangeError, in NumPy's words, for a number outside -size..size-1. Waits for the device once an array."""
    for dim, size, index in integer_arrays(shape, key):
        if index.size:
            low, high = backend.to_host(backend.xp.stack([index.min(), index.max()])).tolist()
            if low < -size or high >= size:
                wrong = low if low < -size else high
                raise IndexRangeError(f"index: index {wrong} is out of bounds for axis {dim} with size {size}")
