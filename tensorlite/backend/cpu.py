"""The NumPy backend: base.py's kernels in chunks that stay in the cache, without temporaries; rows and attention stand beside.

A kernel serves float32 and float64 and leaves all else to base.py. It never writes to its inputs (but for those of the
optimizer), which may be views, read-only, or expanded.
"""

import ctypes
import itertools
import math

import numpy as np

from tensorlite.backend import blas
from tensorlite.backend.base import Backend
from tensorlite.backend.cpu_attention import AttentionKernels
from tensorlite.backend.cpu_channels import Channels
from tensorlite.backend.cpu_rows import RowKernels, column_sum, row_dot
from tensorlite.backend.places import HostPlaceKernels
from tensorlite.backend.scratch import CHUNK, chunks, covered, keep_freed_memory, scratch
from tensorlite.backend.shared import block_of, shared_copy
from tensorlite.backend.threads import each, get_num_threads, one_blas_thread
from tensorlite.errors import InplaceError

_WEAK = np.lib.NumpyVersion(np.__version__) >= "2.0.0"  # since then a Python number never changes an array's dtype

# Phi(x) = 1 / (1 + exp(x p(x^2))) with a polynomial p fitted (minimax) for |x| <= 6.5: error of Phi 3.8e-8, of x Phi(x)
# 7.1e-8, both below float32's own rounding. One exp and one division; beyond 6.5 it goes to 0 and 1 as it must.
_PHI = (
    -1.5957700562451207, -0.07266527335627786, 6.415789722823172e-05, 0.00011105517058917108, -8.012062143110321e-06,
    2.712313516481609e-07, -3.7041093367085916e-09,
)  # fmt: skip
# the tanh formula is of the same kind: (1 + tanh z) / 2 = 1 / (1 + exp(-2 z)), z = sqrt(2 / pi) (x + 0.044715 x^3)
_TANH = (-2 * math.sqrt(2 / math.pi), -2 * math.sqrt(2 / math.pi) * 0.044715)
_ONE_PRODUCT = 1 << 24  # multiplications up to which the gradient of an embedding is one product with a one-hot matrix
_ONE_THREAD = 1 << 24  # multiplications a thread should have at least
_TINY = 9216  # multiplications up to which OpenBLAS itself takes one thread, also for a matrix and a vector
_FEW_ROWS, _MANY_WEIGHTS = 128, 1 << 15
_PART = 1 << 19  # numbers an optimizer steps at a time
_BLOCKS = 1 << 14  # blocks of four random numbers made at a time


def unmark(array) -> bool:
    """Take away NumPy's mark of an expanded array, that it is read-only; whether it can be written to."""
    if not array.flags.writeable:
        try:
            array.flags.writeable = True
        except ValueError:  # somebody else's memory
            return False
    return True


class CpuBackend(HostPlaceKernels, RowKernels, Channels, AttentionKernels, Backend):
    """The CPU, by NumPy."""

    name = "cpu"
    window_bytes = 1 << 22  # they stay in the cache

    def __init__(self):
        keep_freed_memory()
        blas.suit()
        self.turns = blas.kernels() == "SkylakeX"  # its x @ W.T of few rows is a fifth slower than (W @ x.T).T

    def writable(self, value):
        array = self.as_array(value)
        if not unmark(array):
            raise InplaceError("the memory of this NumPy array is read-only; clone() the tensor first")
        return array

    def strided(self, x, shape, strides):
        unmark(x)
        return super().strided(x, shape, strides)

    def share(self, array):
        if self.is_shared(array):
            return array
        return shared_copy(array)

    def is_shared(self, array):
        return block_of(array) is not None

    def number(self, value, dtype):
        if _WEAK:
            return value
        if dtype.kind in "iu" and not np.iinfo(dtype).min <= value <= np.iinfo(dtype).max:
            raise OverflowError(f"Python integer {value} out of bounds for {dtype.name}")
        return dtype.type(value)

    def inside(self, index, size):
        if not isinstance(index, np.ndarray) or not index.size:
            return super().inside(index, size)
        positive = index.view(f"u{index.itemsize}") if index.dtype.kind == "i" else index  # -1 is the largest of them
        return int(np.maximum.reduce(positive, axis=None)) < size

    def python_number(self, value):
        return value.item() if not _WEAK and isinstance(value, np.generic) else value

    def matmul(self, a, b, out=None):
        count = get_num_threads()
        if count == 1:
            return self._matmul(a, b, out)
        if a.ndim != 2 or b.ndim != 2 or a.dtype != b.dtype or a.size * b.shape[1] < _ONE_THREAD * count:
            work = a.size * b.shape[-1]
            if work >= _ONE_THREAD:
                return np.matmul(a, b, out=out)
            if work < _TINY:  # to tell the BLAS costs more than the product
                return self._matmul(a, b, out)
            with one_blas_thread():
                return self._matmul(a, b, out)
        # a piece of the rows for each thread, all on one thread of the BLAS: after a product of its own the threads of
        # OpenBLAS stay awake for a while, and take the cores from ours
        if out is None:
            out = np.empty((a.shape[0], b.shape[1]), a.dtype)
        step = -(-a.shape[0] // count)
        each(lambda i: np.matmul(a[i : i + step], b, out=out[i : i + step]), [(i,) for i in range(0, len(a), step)])
        return out

    def _matmul(self, a, b, out):
        if out is None and a.ndim == b.ndim == 2 and len(a) <= _FEW_ROWS and b.size >= _MANY_WEIGHTS:
            if b.flags.f_contiguous and b.dtype == a.dtype and a.size:  # x @ W.T with few rows
                if len(a) == 1:  # nearly twice as fast as OpenBLAS' product of matrix and vector
                    return row_dot(b.T, a)[None]
                if self.turns:
                    return np.ascontiguousarray(np.matmul(b.T, a.T).T)
        return np.matmul(a, b, out=out)

    # ---------------------------------------------------------------- elementwise
    def in_chunks(self, function, x):
        return _in_chunks(function, x) if covered(x) else function(x)

    def sigmoid(self, x):
        if x.size < CHUNK or not covered(x):
            return super().sigmoid(x)
        flat, out = x.reshape(-1), np.empty(x.shape, x.dtype)

        def part(start, stop):
            (e,) = scratch(x.dtype, (stop - start,))
            block, y = flat[start:stop], out.reshape(-1)[start:stop]
            np.abs(block, out=e)
            np.negative(e, out=e)
            np.exp(e, out=e)
            np.add(e, 1, out=e)
            np.minimum(block, 0, out=y)
            np.exp(y, out=y)
            np.divide(y, e, out=y)

        each(part, chunks(flat.size))
        return out

    def gelu(self, x, approximate, keep):
        series = _series(x, approximate)
        if series is None:
            whole = super().gelu
            return (
                (_in_chunks(lambda x: whole(x, approximate, False)[0], x), None)
                if covered(x)
                else whole(x, approximate, keep)
            )
        flat, out, slope = x.reshape(-1), np.empty(x.shape, x.dtype), np.empty(x.shape, x.dtype) if keep else None

        def part(start, stop):
            u, e, w = scratch(x.dtype, *[(stop - start,)] * 3)
            block, y = flat[start:stop], out.reshape(-1)[start:stop]
            _logistic(block, u, e, series)
            if keep:
                phi = np.divide(1.0, e, out=slope.reshape(-1)[start:stop])
                np.multiply(block, phi, out=y)
                _slope(block, phi, u, w, series)
            else:
                np.divide(block, e, out=y)

        with self.quiet():  # exp overflows to inf where Phi is 0
            each(part, chunks(flat.size))
        return out, slope

    def gelu_backward(self, g, x, kept, approximate):
        if kept is not None:
            return _in_chunks(np.multiply, g, kept) if covered(g, kept) and g.shape == kept.shape else g * kept
        series = _series(x, approximate)
        if series is None or g.dtype != x.dtype:
            whole = super().gelu_backward
            if not covered(x, g):
                return whole(g, x, kept, approximate)
            return _in_chunks(lambda g, x: whole(g, x, kept, approximate), g, x)
        flat, up, out = x.reshape(-1), g.reshape(-1), np.empty(x.shape, x.dtype)

        def part(start, stop):
            u, e, w = scratch(x.dtype, *[(stop - start,)] * 3)
            block, y = flat[start:stop], out.reshape(-1)[start:stop]
            _logistic(block, u, e, series)
            np.divide(1.0, e, out=y)
            _slope(block, y, u, w, series)
            np.multiply(y, up[start:stop], out=y)

        with self.quiet():
            each(part, chunks(flat.size))
        return out

    # ---------------------------------------------------------------- sums and rows by index
    def column_sum(self, x):
        return column_sum(x) if covered(x) else x.sum(axis=0)

    def sum_to(self, g, shape):
        lead = g.ndim - len(shape)
        if lead and covered(g) and g.flags.c_contiguous and g.shape[lead:] == tuple(shape):
            return column_sum(g.reshape(math.prod(g.shape[:lead]), -1)).reshape(shape)
        return super().sum_to(g, shape)

    def accumulate(self, name, x, axis):
        return getattr(np, name).accumulate(x, axis=axis) if x.size else x.copy()

    def topk(self, x, k, axis, largest):
        """Of long rows the k are found by partition first, and only these are sorted."""
        n, rows = x.shape[axis], np.moveaxis(x, axis, -1)
        if not 0 < 8 * k < n or n < 256:
            return super().topk(x, k, axis, largest)
        edge = n - k if largest else k - 1
        found = np.argpartition(rows, edge, axis=-1)
        limit = np.take_along_axis(rows, found[..., edge : edge + 1], axis=-1)
        found = np.sort(found[..., edge:] if largest else found[..., :k], axis=-1)
        values = np.take_along_axis(rows, found, axis=-1)
        ties = (rows == limit).sum(axis=-1) != (values == limit).sum(axis=-1)  # which of them were taken, is left open
        if ties.any() or (limit != limit).any():
            return super().topk(x, k, axis, largest)
        found = np.take_along_axis(found, self.argsort(values, -1, descending=largest), axis=-1)
        return np.moveaxis(found, -1, axis)

    def embedding_backward(self, g, index, rows):
        width = g.shape[-1]
        index, g2 = index.reshape(-1), g.reshape(-1, width)
        if not covered(g2):
            return super().embedding_backward(g, index, rows)
        if rows * g2.size <= _ONE_PRODUCT:
            hot = np.zeros((index.size, rows), g.dtype)
            hot[np.arange(index.size), index] = 1
            return hot.T @ g2
        out = np.zeros((rows, width), g.dtype)
        order = np.argsort(index, kind="stable")
        index, g2 = index[order], np.take(g2, order, axis=0)
        first = np.flatnonzero(np.concatenate(([True], index[1:] != index[:-1])))
        stop = np.append(first[1:], index.size)
        out[index[first]] = g2[first]
        for k in range(1, 4):  # the second, third and fourth of each index, all at once
            more = first[stop - first > k]
            if more.size:
                out[index[more]] += g2[more + k]
        many = stop - first > 4
        for a, b in zip(first[many].tolist(), stop[many].tolist()):
            out[index[a]] += g2[a + 4 : b].sum(axis=0)
        return out

    # ---------------------------------------------------------------- random bits
    def philox(self, count, seed, offset):
        out = np.empty((-(-count // 4), 4), np.uint32)
        for start, stop in chunks(len(out), CHUNK // _BLOCKS):
            _philox(out[start:stop], start, seed, offset)
        return out.reshape(-1)[:count]

    def dropout_mask(self, shape, p, seed, offset, dtype):
        count = math.prod(shape)
        blocks = -(-count // 4)
        out = np.empty((blocks, 4), dtype)
        bits, kept = np.empty((min(blocks, _BLOCKS), 4), np.uint32), np.empty((min(blocks, _BLOCKS), 4), bool)
        limit, scale = np.uint32(min(round(p * 2**32), 2**32 - 1)), 0.0 if p == 1 else 1 / (1 - p)
        for start, stop in chunks(blocks, CHUNK // _BLOCKS):
            n = stop - start
            _philox(bits[:n], start, seed, offset)
            np.greater_equal(bits[:n], limit, out=kept[:n])
            np.multiply(kept[:n], scale, out=out[start:stop], dtype=out.dtype)
        return out.reshape(-1)[:count].reshape(shape)

    # ---------------------------------------------------------------- optimizer
    has_pieces = True

    def pieces(self, shapes, dtype):
        sizes = [math.prod(s) * dtype.itemsize for s in shapes]
        whole, starts = np.zeros(sum(sizes) // dtype.itemsize, dtype), itertools.accumulate(sizes, initial=0)
        # on a ctypes array, as NumPy lets a view of an array on another array hold only the latter
        memory = [(ctypes.c_byte * n).from_buffer(whole, start) for n, start in zip(sizes, starts) if n]
        return whole, [np.ndarray(s, dtype, m) for s, m in zip(shapes, memory, strict=True)]

    def clip_by_norm(self, grads, max_norm):
        if not grads or any(not _flat(g) for g in grads):
            return super().clip_by_norm(grads, max_norm)
        total = math.sqrt(sum(float(np.dot(g.reshape(-1), g.reshape(-1))) for g in grads))
        factor = max_norm / (total + 1e-6)
        if not factor >= 1:  # also for nan, which is to spread as in base.py
            for g in grads:
                np.multiply(g, factor, out=g)
        return np.asarray(total, np.result_type(*grads))

    def adamw_step(self, p, g, m, v, *, lr, beta1, beta2, eps, weight_decay, step, maximize=False, vmax=None):
        arrays = (p, g, m, v) if vmax is None else (p, g, m, v, vmax)
        if not _flat(*arrays):
            return super().adamw_step(p, g, m, v, lr=lr, beta1=beta1, beta2=beta2, eps=eps, weight_decay=weight_decay,
                                      step=step, maximize=maximize, vmax=vmax)  # fmt: skip
        # m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps) with sqrt(1 - b2^t) taken out: one factor, one eps for all
        root = math.sqrt(1 - beta2**step)
        rate, eps, share = lr * root / (1 - beta1**step), eps * root, (beta1 - 1 if maximize else 1 - beta1)

        def update(p, g, m, v, top=None):
            (w,) = scratch(p.dtype, p.shape)
            blas.axpby(share, g, beta1, m)
            np.multiply(g, g, out=w)
            blas.axpby(1 - beta2, w, beta2, v)
            if top is not None:
                np.maximum(top, v, out=top)
            np.sqrt(v if top is None else top, out=w)
            np.add(w, eps, out=w)
            np.divide(m, w, out=w)
            blas.axpby(-rate, w, 1 - lr * weight_decay, p)

        _in_parts(update, arrays)

    def sgd_step(self, p, g, v, *, lr, momentum, dampening, weight_decay, nesterov=False, maximize=False):
        arrays = (p, g) if v is None else (p, g, v)
        if p.size < blas.WORTH_A_CALL or not _flat(*arrays):
            super().sgd_step(p, g, v, lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay,
                             nesterov=nesterov, maximize=maximize)  # fmt: skip
            return
        sign, share = (-1.0 if maximize else 1.0), 1.0 - dampening

        def update(p, g, v=None):  # each line is one pass over two arrays
            if v is not None:
                blas.axpby(sign * share, g, momentum, v)
                if weight_decay:
                    blas.axpby(share * weight_decay, p, 1.0, v)
            if v is None or nesterov:
                blas.axpby(-lr * sign, g, 1.0 - lr * weight_decay, p)
            if v is not None:
                blas.axpby(-lr * momentum if nesterov else -lr, v, 1.0, p)

        _in_parts(update, arrays)


def _flat(*arrays) -> bool:
    """Whether all are float32 or all float64, with elements that lie one after the other: then reshape(-1) is a view."""
    return covered(*arrays) and all([a.flags.c_contiguous for a in arrays])


def _in_parts(update, arrays):
    """update(*arrays), which changes them in place, a large part at a time, shared out to the threads."""
    size = arrays[0].size
    step = min(_PART, max(CHUNK, -(-size // get_num_threads())))
    if size <= step:
        return update(*arrays)
    flat = [a.reshape(-1) for a in arrays]
    each(lambda i: update(*[a[i : i + step] for a in flat]), [(i,) for i in range(0, size, step)])


def _in_chunks(function, *arrays):
    """function(...) of base.py on arrays of one shape, a chunk at a time: its temporaries stay in the cache."""
    out = np.empty(arrays[0].shape, arrays[0].dtype)
    flat, y = [a.reshape(-1) for a in arrays], out.reshape(-1)

    def part(start, stop):
        y[start:stop] = function(*[a[start:stop] for a in flat])

    each(part, chunks(out.size, 4))
    return out


def _series(x, approximate):
    """The polynomial for gelu in this dtype; None: base.py's definition is needed."""
    if not covered(x):
        return None
    return _TANH if approximate == "tanh" else _PHI if x.dtype.char == "f" else None


def _logistic(x, u, e, series):
    """u = x^2; e = 1 + exp(x p(u)), whose inverse is Phi(x)."""
    np.multiply(x, x, out=u)
    np.multiply(u, series[-1], out=e)
    for c in series[-2:0:-1]:
        np.add(e, c, out=e)
        np.multiply(e, u, out=e)
    np.add(e, series[0], out=e)
    np.multiply(e, x, out=e)
    np.exp(e, out=e)
    np.add(e, 1.0, out=e)


def _slope(x, phi, u, w, series):
    """phi = Phi(x) + x Phi'(x) in place, from u = x^2 and phi = Phi(x); overwrites u and w."""
    if series is _PHI:  # Phi' = exp(-x^2 / 2) / sqrt(2 pi)
        np.multiply(u, -0.5, out=u)
        np.exp(u, out=u)
        np.multiply(u, x, out=u)
        blas.axpby(1 / math.sqrt(2 * math.pi), u, 1.0, phi)
    else:  # Phi' = Phi (1 - Phi) (2 z)'
        np.minimum(u, 1e6, out=u)  # of a huge x: 0 times inf is to be 0
        np.multiply(u, -3 * _TANH[1], out=u)
        np.add(u, -_TANH[0], out=u)
        np.multiply(u, phi, out=u)
        np.subtract(1.0, phi, out=w)
        np.multiply(u, w, out=u)
        np.multiply(u, x, out=u)
        np.add(phi, u, out=phi)


def _philox(out, first, seed, offset):
    """Philox4x32-10 (see base.py) for blocks first, first + 1, ... into out (blocks, 4) uint32."""
    low, n = np.uint64(0xFFFFFFFF), len(out)
    shift, m0, m1 = np.uint64(32), np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
    c0, c1, c2, c3, p0, p1 = scratch(np.dtype(np.uint64), *[(n,)] * 6)
    c0[...] = np.arange(first, first + n, dtype=np.uint64)
    np.right_shift(c0, shift, out=c1)
    np.bitwise_and(c0, low, out=c0)
    c2.fill(offset & 0xFFFFFFFF)
    c3.fill((offset >> 32) & 0xFFFFFFFF)
    k0, k1 = seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF
    for _ in range(10):
        np.multiply(c0, m0, out=p0)
        np.multiply(c2, m1, out=p1)
        np.right_shift(p1, shift, out=c0)
        np.bitwise_xor(c0, c1, out=c0)
        np.bitwise_xor(c0, np.uint64(k0), out=c0)
        np.right_shift(p0, shift, out=c2)
        np.bitwise_xor(c2, c3, out=c2)
        np.bitwise_xor(c2, np.uint64(k1), out=c2)
        np.bitwise_and(p1, low, out=c1)
        np.bitwise_and(p0, low, out=c3)
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    for i, c in enumerate((c0, c1, c2, c3)):
        out[:, i] = c
