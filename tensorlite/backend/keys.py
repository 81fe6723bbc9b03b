"""Index expressions with arrays: which dimension each array indexes, whether its numbers are in range, who writes last.

NumPy checks ranges itself; a GPU library does not (CuPy wraps silently), so its backend calls `check` first.
"""

from tensorlite.errors import IndexRangeError


def integer_arrays(shape, key):
    """(dimension, its size, array) for each integer array in an index expression on an array of `shape`."""
    parts = key if isinstance(key, tuple) else (key,)
    taken = sum(dimensions(k) for k in parts)
    found, dim = [], 0
    for k in parts:
        if k is Ellipsis:
            dim += len(shape) - taken
        elif hasattr(k, "dtype") and k.dtype.kind in "iu" and dim < len(shape):
            found.append((dim, shape[dim], k))
        dim += dimensions(k)
    return found


def dimensions(k) -> int:
    """How many dimensions one part of an index expression uses up."""
    if k is None or k is Ellipsis:
        return 0
    return k.ndim if hasattr(k, "dtype") and k.dtype.kind == "b" else 1


def fault(index, dim, size) -> IndexRangeError:
    """The error for an index outside -size..size-1."""
    allowed = f"it may be {-size} to {size - 1}" if size else "an empty dimension has no elements"
    return IndexRangeError(f"index {index} is out of range for dim {dim} of size {size} ({allowed})")


def check(backend, shape, key) -> None:
    """Raise IndexRangeError for a number outside -size..size-1. Waits for the device once an array."""
    for dim, size, index in integer_arrays(shape, key):
        if index.size:
            low, high = backend.to_host(backend.xp.stack([index.min(), index.max()])).tolist()
            if low < -size or high >= size:
                raise fault(low if low < -size else high, dim, size)


def explain(backend, shape, key, error):
    """The IndexError or ValueError of an array library for this index expression, said better where that can be."""
    check(backend, shape, key)
    arrays = [k for k in (key if isinstance(key, tuple) else (key,)) if hasattr(k, "dtype")]
    shapes = [tuple(k.shape) for k in arrays if k.dtype.kind in "iu"]
    clash = any(
        len({s[-d] for s in shapes if len(s) >= d} - {1}) > 1 for d in range(1, 1 + max(map(len, shapes), default=0))
    )
    masks = len(shapes) < len(arrays) > 1 and isinstance(error, IndexError)
    if clash or (masks and "broadcast" in str(error)):
        text = " and ".join(str(tuple(k.shape)) for k in arrays)
        return IndexRangeError(f"the index arrays of shapes {text} do not broadcast together (a mask counts its True)")
    return error


def last(backend, shape, key):
    """For each place that `key` reads from `shape`, the number (in C order) of the last one that names the same place.

    This is what makes an assignment with repeated places one thing on every device: the last value is kept.
    """
    xp, size = backend.xp, 1
    for n in shape:
        size *= n
    places = xp.arange(size).reshape(shape)[key]
    flat, n = places.reshape(-1), places.size
    order = xp.sort(flat * n + xp.arange(n))  # by place, then by number
    ends = xp.searchsorted(order, flat * n + (n - 1), side="right") - 1
    return (order[ends] - flat * n).reshape(places.shape)
