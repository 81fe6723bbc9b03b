"""Kernels that read or write at places named by an index expression: sums, products, extremes, and the last value written.

All are defined for repeated places, and the same on every device. cpu.py has quicker ones.
"""

import math

import numpy as np

from tensorlite.backend import keys

IDENTITY = {"prod": 1, "amax": -math.inf, "amin": math.inf}  # what changes nothing, for floating-point numbers


def basic(key) -> bool:
    """Whether an index expression has no integer or boolean arrays: a view, without repeated places."""
    parts = key if isinstance(key, tuple) else (key,)
    return not any(hasattr(k, "dtype") or isinstance(k, list) for k in parts)


def repeats(shape, key) -> bool:
    """Whether an index expression could name a place twice: it has integer arrays, which are not all of one element."""
    return any(k.size > 1 for _, _, k in keys.integer_arrays(shape, key))


class PlaceKernels:
    """The part of Backend for index expressions. `key` holds arrays of this device, in range; `out` is changed."""

    def index_add(self, shape, key, g):
        """Zeros of `shape` with g added at key (a NumPy index expression); repeated places add up."""
        out = self.xp.zeros(shape, dtype=g.dtype)
        if basic(key):
            out[key] = g
        else:
            self.add_at(out, key, g)
        return out

    def add_at(self, out, key, g) -> None:
        """out[key] += g, repeated places adding up. CuPy adds few types: 16-bit floats are summed in 32 bits, ints in 64."""
        xp, kind = self.xp, out.dtype.kind
        if out.dtype.char in "fdIQL":
            xp.add.at(out, key, g)
            return
        wide = xp.uint64 if kind in "iub" else xp.float32  # modulo 2^64 the sums of signed integers are right too
        total = out.astype(wide)
        xp.add.at(total, key, g.astype(xp.int64).astype(wide) if kind in "iub" else g.astype(wide))
        out[...] = total != 0 if kind == "b" else total.astype(out.dtype)

    def put(self, out, key, value) -> None:
        """out[key] = value; of several values for one place the last, in the order of the index, is kept."""
        if hasattr(value, "dtype") and value.size > 1 and repeats(out.shape, key):
            last = keys.last(self, out.shape, key)
            value = self.xp.broadcast_to(value, last.shape).reshape(-1)[last]
        self._put(out, key, value)

    def _put(self, out, key, value):
        try:
            out[key] = value
        except (IndexError, ValueError) as e:
            raise keys.explain(self, out.shape, key, e) from None

    def apart(self, value, out):
        """value, or a copy where it may lie on the memory of `out`, which is to be written."""
        return value.copy() if value is out or value.base is not None else value

    def is_last(self, shape, key):
        """For each place that key reads: whether no later one is the same; a bool array."""
        last = keys.last(self, shape, key)
        return last == self.xp.arange(last.size).reshape(last.shape)

    def reduce_at(self, out, key, value, how: str) -> None:
        """out[key] = prod, amax or amin of out[key] and of all values for that place. value has the shape of out[key]."""
        xp = self.xp
        join = {"prod": xp.multiply, "amax": xp.maximum, "amin": xp.minimum}[how]
        places = xp.arange(math.prod(out.shape)).reshape(out.shape)[key].reshape(-1)
        n = places.size
        if not n:
            return
        order = xp.sort(places * n + xp.arange(n))  # the values of one place lie together
        run, total = order // n, value.reshape(-1)[order % n]
        step = 1
        while step < n:  # total[i] joins the last 2^k values up to i of its run
            total = xp.concatenate(
                [total[:step], xp.where(run[step:] == run[:-step], join(total[step:], total[:-step]), total[step:])]
            )
            step *= 2
        whole = total[xp.searchsorted(run, places, side="right") - 1].reshape(value.shape)
        out[key] = join(out[key], whole)


class HostPlaceKernels:
    """The same by NumPy's own means, which keep the last value and know every dtype."""

    def add_at(self, out, key, g) -> None:
        """See PlaceKernels."""
        if out.dtype.itemsize == 2 and out.dtype.kind not in "iu":
            total = out.astype(np.float32)
            self._at(np.add, total, key, g.astype(np.float32))
            out[...] = total.astype(out.dtype)
        else:
            self._at(np.add, out, key, g)

    def _at(self, ufunc, out, key, g):
        """ufunc.at in the form that NumPy does quickest: whole rows, a flat index, or as it is."""
        index = key[0] if isinstance(key, tuple) and key else key
        if out.ndim == 1 and 0 < getattr(g, "ndim", 0) < getattr(index, "ndim", 0):
            g = np.broadcast_to(g, index.shape).copy()  # NumPy's own loop reads beyond the end of g
        try:
            if getattr(g, "size", 0) < _FEW or g.dtype != out.dtype or not out.flags.c_contiguous:
                ufunc.at(out, key, g)
            elif ufunc is np.add and _is_rows(out, key, g):
                _add_rows(out, key[0] if isinstance(key, tuple) else key, g)
            else:
                places = _flat(out.shape, key)
                ufunc.at(out.reshape(-1), places.reshape(-1), np.broadcast_to(g, places.shape).reshape(-1))
        except IndexError as e:
            raise keys.explain(self, out.shape, key, e) from None

    def put(self, out, key, value) -> None:
        """See PlaceKernels. Arrays that lie in order are walked in order."""
        if isinstance(value, np.ndarray) and value.size > 1 and repeats(out.shape, key):
            key = tuple(np.asarray(k, order="C") if isinstance(k, np.ndarray) else k for k in key)
            value = np.asarray(value, order="C")
        self._put(out, key, value)

    def apart(self, value, out):
        """See PlaceKernels; NumPy sees to this itself."""
        return value

    def is_last(self, shape, key):
        """See PlaceKernels."""
        numbers = np.empty(shape, np.int64)
        own = np.arange(numbers[key].size).reshape(numbers[key].shape)
        self.put(numbers, key, own)
        return numbers[key] == own

    def reduce_at(self, out, key, value, how) -> None:
        """See PlaceKernels."""
        self._at({"prod": np.multiply, "amax": np.maximum, "amin": np.minimum}[how], out, key, value)


_FEW = 256  # elements below which turning an index into another form does not pay
_WIDE = 256  # elements of a row from which rows are added whole, not element by element
_ROUNDS = 8  # values for one row that are each added in a round over all rows


def _is_rows(out, key, g):
    """Whether key is one vector of row numbers, and g has a long row for each."""
    first = key[0] if isinstance(key, tuple) else key
    if (isinstance(key, tuple) and len(key) > 1) or first.dtype.kind not in "iu" or first.ndim != 1:
        return False
    return g.shape == (first.size, *out.shape[1:]) and g.size >= _WIDE * first.size


def _add_rows(out, index, g):
    """out[index] += g: in the first round the first value for each row, then the second of those that have one, ..."""
    n = len(out)
    if index.min() < -n or index.max() >= n:
        raise IndexError("out of bounds")
    index = index % n
    order = np.argsort(index, kind="stable")
    lined = index[order]
    starts = np.flatnonzero(np.concatenate(([True], lined[1:] != lined[:-1])))
    if starts.size == index.size:
        out[index] += g
        return
    rank = np.arange(index.size) - np.repeat(starts, np.diff(np.append(starts, index.size)))
    for k in range(_ROUNDS):
        now = order[rank == k]
        out[index[now]] += g[now]
    rest = np.sort(order[rank >= _ROUNDS])
    if rest.size:
        np.add.at(out.reshape(-1), _flat(out.shape, (index[rest],)).reshape(-1), g[rest].reshape(-1))


def _flat(shape, key):
    """The numbers, in C order, of the elements that key names. Raises IndexError."""
    parts = key if isinstance(key, tuple) else (key,)
    parts = (*parts, *[slice(None)] * (len(shape) - len(parts)))
    kinds = "".join(k.dtype.kind if hasattr(k, "dtype") else ":" if k == slice(None) else "?" for k in parts)
    indexed = kinds.strip(":")
    if len(parts) > len(shape) or not indexed or indexed.strip("iu"):  # not just index arrays, side by side
        return np.arange(math.prod(shape)).reshape(shape)[key]
    first = len(kinds) - len(kinds.lstrip(":"))
    last, total = first + len(indexed), None
    for k, n in zip(parts[first:last], shape[first:last], strict=True):
        low = k.min(initial=0)
        if low < -n or k.max(initial=-1) >= n:
            raise IndexError("out of bounds")
        k = (k % n if low < 0 else k).astype(np.int64, copy=False)
        total = k if total is None else total * n + k
    front, back = shape[:first], shape[last:]
    if back:
        inside = math.prod(back)
        total = (total * inside).reshape(total.shape + (1,) * len(back)) + np.arange(inside).reshape(back)
    if front:
        blocks = np.arange(math.prod(front)) * math.prod(shape[first:])
        total = blocks.reshape(front + (1,) * total.ndim) + total
    return total
