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
        except IndexError as e:
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
            np.add.at(total, key, g.astype(np.float32))
            out[...] = total.astype(out.dtype)
            return
        try:
            np.add.at(out, key, g)
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
        {"prod": np.multiply, "amax": np.maximum, "amin": np.minimum}[how].at(out, key, value)
