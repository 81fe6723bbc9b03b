"""Backend: the array module `xp` and the named primitives, each written plainly in xp, forward and backward as pairs.

cpu.py and cuda.py override a primitive where something faster is known; any override may be deleted and all still works.
Raw arrays in, raw arrays out: no Tensor is known here.
"""

import math
import os

import numpy as np

from tensorlite.backend import blas, threads
from tensorlite.backend.channels import ChannelKernels
from tensorlite.backend.places import PlaceKernels, basic as _basic  # noqa: F401
from tensorlite.backend.special import SpecialFunctions
from tensorlite.backend.text import text
from tensorlite.backend.windows import Windows
from tensorlite.errors import IndexRangeError


class Backend(PlaceKernels, SpecialFunctions, Windows, ChannelKernels):
    """One kind of device. `xp` is its NumPy-like module; the methods below are the kernels that may be replaced."""

    xp = np
    name = "base"

    def resolve(self, device):
        """The device with its index filled in; here devices have none."""
        return device if device.index is None else type(device)(device.type)

    # ---------------------------------------------------------------- in and out, memory
    def from_host(self, array):
        """A NumPy array as an array of this device (a copy only where memory is separate)."""
        return self.xp.asarray(array)

    def to_host(self, array):
        """An array of this device as a NumPy array."""
        return np.asarray(array)

    def as_array(self, value):
        """An ndarray for a result that may be a scalar (NumPy's full reductions give those)."""
        return value if isinstance(value, self.xp.ndarray) else self.xp.asarray(value)

    def writable(self, value):
        """as_array, for a change in place: where a part of an expanded array is marked read-only, the mark is removed."""
        return self.as_array(value)

    def number(self, value, dtype):
        """A Python number as this library takes it without changing the dtype of an array."""
        return value

    def python_number(self, value):
        """What `number` was given, from what it returned; anything else as it is."""
        return value

    def is_view(self, out, source) -> bool:
        """Whether `out`, just computed from `source` by a shape operation, shares its memory."""
        base = out.base
        if base is None or out is source:
            return out is source
        return base is source or base is source.base or memory(out) is memory(source)

    def address(self, array) -> int:
        """Where in memory the first element of an array lies."""
        return self.to_host(array).ctypes.data

    def strided(self, x, shape, strides):
        """A view of x's memory from its first element on, with sizes and steps (in bytes) that the caller has checked."""
        return self.xp.lib.stride_tricks.as_strided(x, shape, strides)

    def synchronize(self) -> None:
        """Wait until all work queued on the device is done."""

    def quiet(self):
        """A context in which divisions by zero and overflows give inf and nan without a warning."""
        return np.errstate(all="ignore")

    def share(self, array):
        """A copy in memory that forked processes see too; where that means nothing, as on a GPU, the array itself."""
        return array

    def is_shared(self, array) -> bool:
        """Whether the array lies in such memory."""
        return True

    def memory_allocated(self) -> int:
        """Bytes in use on the device, as far as its allocator knows."""
        return 0

    def check_range(self, index, size: int, what: str) -> None:
        """Raise IndexRangeError unless 0 <= index < size everywhere. Waits for the device."""
        if not self.inside(index, size):
            low, high = self.bounds(index)
            wrong = low if low < 0 else high
            raise IndexRangeError(f"{what} {wrong} is out of range: it must be 0 to {size - 1}")

    def bounds(self, index) -> tuple:
        """The least and the greatest of an integer array; of an empty one 0 and -1. Waits for the device."""
        return (int(index.min()), int(index.max())) if index.size else (0, -1)

    def inside(self, index, size: int) -> bool:
        """Whether 0 <= index < size everywhere. Waits for the device."""
        low, high = self.bounds(index)
        return low >= 0 and high < size

    def facts(self) -> dict:
        """What a person wants to know of this backend: the BLAS it uses, and the thread settings."""
        built = np.show_config(mode="dicts").get("Build Dependencies", {}).get("blas", {})
        kernels = blas.kernels()
        set_to = ", ".join(f"{n}={os.environ[n]}" for n in threads.VARIABLES if n in os.environ)
        return {
            "blas": f"{built.get('name', 'unknown')} {built.get('version', '')}".strip()
            + (f", kernels for {kernels}" if kernels else ""),
            "threads": f"{threads.get_num_threads()} of {os.cpu_count()}" + (f" ({set_to})" if set_to else ""),
        }

    def text(self, array, prefix: str) -> str:
        """The values in brackets, as shown by repr; long arrays are shortened."""
        return text(self.to_host(array), prefix)

    def check_key(self, shape, key) -> None:
        """Refuse integer arrays out of range in an index expression, where the library itself would not."""

    def host_index(self, key):
        """A list or NumPy array used as an index, as a NumPy array; an empty list counts as integers."""
        array = np.asarray(key)
        return array.astype(np.int64) if not array.size and array.dtype.kind == "f" else array

    # ---------------------------------------------------------------- sums and products
    def column_sum(self, x):
        """Sum over the rows of x (N, D)."""
        return x.sum(axis=0)

    def sum_to(self, g, shape):
        """Sum g down to `shape`: the inverse of broadcasting."""
        lead = g.ndim - len(shape)
        axes = tuple(range(lead)) + tuple(i + lead for i, n in enumerate(shape) if n == 1 and g.shape[i + lead] != 1)
        return g.sum(axis=axes, keepdims=True).reshape(shape) if axes else g.reshape(shape)

    def accumulate(self, name: str, x, axis: int):
        """The running "maximum", "minimum" or "logaddexp" of x along axis, by doubling: log2(n) rounds."""
        xp = self.xp
        out = xp.moveaxis(x, axis, 0).copy()
        k = 1
        while k < len(out):
            early, late = out[:-k], out[k:]
            if name == "logaddexp":
                top = xp.maximum(early, late)
                gap = xp.where(xp.isinf(top), xp.zeros_like(top), early - late)  # inf - inf would be nan
                late = xp.where(xp.isinf(top), top, top + xp.log1p(xp.exp(-xp.abs(gap))))
            else:
                late = getattr(xp, name)(early, late)
            out[k:] = late
            k *= 2
        return xp.moveaxis(out, 0, axis)

    def argsort(self, x, axis: int, descending: bool = False):
        """The indices that sort x along axis, equal elements in their order; nan is larger than everything."""
        xp = self.xp
        if not descending:
            return xp.argsort(x, axis=axis, kind="stable")
        return x.shape[axis] - 1 - xp.flip(xp.argsort(xp.flip(x, axis), axis=axis, kind="stable"), axis)

    def topk(self, x, k: int, axis: int, largest: bool):
        """The first k indices of argsort (descending where the largest are wanted)."""
        return self.argsort(x, axis, descending=largest)[(slice(None),) * axis + (slice(0, k),)].copy()

    def matmul(self, a, b, out=None):
        """a @ b for at least two dimensions each."""
        return self.xp.matmul(a, b) if out is None else self.xp.matmul(a, b, out=out)

    def clip_by_norm(self, grads, max_norm: float):
        """Scale all arrays in place so that their joint L2 norm is at most max_norm; the norm before, as a 0-d array."""
        xp = self.xp
        wide = [g if g.dtype.itemsize > 2 else g.astype(xp.float32) for g in grads]  # squares of halves overflow
        total = xp.sqrt(sum((g * g).sum() for g in wide))
        factor = xp.minimum(max_norm / (total + 1e-6), 1.0)
        for g in grads:
            g *= factor.astype(g.dtype)
        return total

    # ---------------------------------------------------------------- elementwise
    def gelu(self, x, approximate: str, keep: bool):
        """x Phi(x) (Hendrycks and Gimpel 2016), exact ("none") or by tanh ("tanh"); and, if `keep`, what gelu_backward may
        use so as not to compute it again (here None)."""
        if approximate == "tanh":
            inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)
            return (0.5 * x * (1 + self.xp.tanh(inner))).astype(x.dtype, copy=False), None
        return (0.5 * x * (1 + self.erf(x * math.sqrt(0.5)))).astype(x.dtype, copy=False), None

    def gelu_backward(self, g, x, kept, approximate: str):
        """g times the slope of gelu at x."""
        xp = self.xp
        if approximate == "tanh":
            c = math.sqrt(2 / math.pi)
            t = xp.tanh(c * (x + 0.044715 * x * x * x))
            return g * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * c * (1 + 3 * 0.044715 * x * x))
        phi = xp.exp(-0.5 * x * x) * (1 / math.sqrt(2 * math.pi))
        return g * (0.5 * (1 + self.erf(x * math.sqrt(0.5))) + x * phi)

    # ---------------------------------------------------------------- softmax and its loss
    def softmax(self, x, axis: int):
        """exp(x) / sum exp(x) along axis, computed from x - max x."""
        if not x.size:
            return x.copy()  # an empty axis has no maximum
        e = self.xp.exp(x - x.max(axis=axis, keepdims=True))
        e /= e.sum(axis=axis, keepdims=True)
        return e

    def softmax_backward(self, g, y, axis: int):
        """y (g - sum(g y))."""
        return y * (g - (g * y).sum(axis=axis, keepdims=True))

    def log_softmax(self, x, axis: int):
        """x - log sum exp x along axis."""
        if not x.size:
            return x.copy()
        z = x - x.max(axis=axis, keepdims=True)
        z -= self.xp.log(self.xp.exp(z).sum(axis=axis, keepdims=True))
        return z

    def log_softmax_backward(self, g, y, axis: int):
        """g - softmax(x) sum(g), from y = log_softmax(x)."""
        return g - self.xp.exp(y) * g.sum(axis=axis, keepdims=True)

    def cross_entropy(self, x, picks, keep, smoothing: float):
        """Loss of each row and its log-sum-exp.

        x (N, C) logits; picks (N,) classes, each in range; keep (C,) class weights or None.
        loss = (1 - s) w_t (lse - x_t) + s / C sum_c w_c (lse - x_c).
        """
        xp = self.xp
        m = x.max(axis=1)
        lse = xp.log(xp.exp(x - m[:, None]).sum(axis=1)) + m
        rows = xp.arange(x.shape[0])
        loss = lse - x[rows, picks]
        if keep is not None:
            loss = loss * keep[picks]
        if smoothing:
            every = lse[:, None] - x
            every = (every if keep is None else every * keep).sum(axis=1)
            loss = (1 - smoothing) * loss + (smoothing / x.shape[1]) * every
        return loss, lse

    def cross_entropy_backward(self, g, x, picks, keep, smoothing: float, lse):
        """d loss / d x, row n times g[n]."""
        xp = self.xp
        n, c = x.shape
        rows = xp.arange(n)
        p = xp.exp(x - lse[:, None])
        hit = g if keep is None else g * keep[picks]
        hit = hit * (1 - smoothing) if smoothing else hit
        if not smoothing:
            p *= hit[:, None]
        else:
            total = c if keep is None else keep.sum()
            p *= (hit + g * (smoothing / c * total))[:, None]
            p -= g[:, None] * (smoothing / c) if keep is None else g[:, None] * (smoothing / c * keep)
        p[rows, picks] -= hit
        return p

    # ---------------------------------------------------------------- normalisation over the last axis of (N, D)
    def layer_norm(self, x, weight, bias, eps: float):
        """(x - mean) / sqrt(var + eps) * weight + bias for each row; also mean (N, 1) and 1 / sqrt(var + eps) (N, 1)."""
        mean = x.mean(axis=1, keepdims=True)
        centred = x - mean
        rstd = 1 / self.xp.sqrt((centred * centred).mean(axis=1, keepdims=True) + eps)
        y = centred * rstd
        if weight is not None:
            y *= weight
        if bias is not None:
            y += bias
        return y, mean, rstd

    def layer_norm_backward(self, g, x, weight, mean, rstd, needs):
        """Gradients of x, weight, bias (None where not needed)."""
        xhat = (x - mean) * rstd
        gw = (g * xhat).sum(axis=0) if needs[1] else None
        gb = g.sum(axis=0) if needs[2] else None
        if not needs[0]:
            return None, gw, gb
        h = g if weight is None else g * weight
        gx = h - h.mean(axis=1, keepdims=True) - xhat * (h * xhat).mean(axis=1, keepdims=True)
        gx *= rstd
        return gx, gw, gb

    def rms_norm(self, x, weight, eps: float):
        """x / sqrt(mean(x^2) + eps) * weight for each row; also 1 / sqrt(mean(x^2) + eps) (N, 1)."""
        rstd = 1 / self.xp.sqrt((x * x).mean(axis=1, keepdims=True) + eps)
        y = x * rstd
        return (y if weight is None else y * weight), rstd

    def rms_norm_backward(self, g, x, weight, rstd, needs):
        """Gradients of x and weight (None where not needed)."""
        xhat = x * rstd
        gw = (g * xhat).sum(axis=0) if needs[1] else None
        if not needs[0]:
            return None, gw
        h = g if weight is None else g * weight
        return (h - xhat * (h * xhat).mean(axis=1, keepdims=True)) * rstd, gw

    # ---------------------------------------------------------------- rows by index
    def embedding(self, weight, index):
        """weight[index]: rows of a table; the indices are in range."""
        return self.xp.take(weight, index, axis=0)

    def embedding_backward(self, g, index, rows: int):
        """Zeros (rows, D) with each row of g added at its index."""
        out = self.xp.zeros((rows, g.shape[-1]), dtype=g.dtype)
        self.add_at(out, index.reshape(-1), g.reshape(-1, g.shape[-1]))
        return out

    # ---------------------------------------------------------------- random bits, equal on every device
    def philox(self, count: int, seed: int, offset: int):
        """`count` random uint32 from Philox4x32-10 (Salmon et al. 2011): key = seed, counter = (block, offset)."""
        xp, low = self.xp, 0xFFFFFFFF
        blocks = (count + 3) // 4
        c0 = xp.arange(blocks, dtype=xp.uint64)
        c1 = c0 >> 32
        c0 = c0 & low
        c2 = xp.full(blocks, offset & low, dtype=xp.uint64)
        c3 = xp.full(blocks, (offset >> 32) & low, dtype=xp.uint64)
        k0, k1 = seed & low, (seed >> 32) & low
        for _ in range(10):
            p0, p1 = c0 * 0xD2511F53, c2 * 0xCD9E8D57
            c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & low, (p0 >> 32) ^ c3 ^ k1, p0 & low
            k0, k1 = (k0 + 0x9E3779B9) & low, (k1 + 0xBB67AE85) & low
        return xp.stack([c0, c1, c2, c3], axis=1).astype(xp.uint32).reshape(-1)[:count]

    def dropout_mask(self, shape, p: float, seed: int, offset: int, dtype):
        """0 with probability p, else 1 / (1 - p), for each element; the same on every device."""
        bits = self.philox(math.prod(shape), seed, offset).reshape(shape)
        scale = 0.0 if p == 1 else 1 / (1 - p)
        mask = (bits >= min(round(p * 2**32), 2**32 - 1)).astype(dtype) * scale
        return mask.astype(dtype, copy=False)  # bfloat16 times a Python number is float32

    # ---------------------------------------------------------------- attention
    def attention(self, q, k, v, mask, causal: bool, scale: float, drop):
        """softmax(scale q k^T + mask) v and the log-sum-exp of each row (inf for a fully masked row, which gives 0).

        q (..., L, E), k (..., S, E), v (..., S, F); mask bool (True: may attend) or float, broadcast to (..., L, S);
        drop: factors (..., L, S) on the probabilities, or None.
        """
        xp = self.xp
        s = self._scores(q, k, mask, causal, scale)
        m = s.max(axis=-1, keepdims=True)
        m = xp.where(m == -math.inf, 0.0, m).astype(s.dtype)
        s = xp.exp(s - m)
        z = s.sum(axis=-1, keepdims=True)
        empty = z == 0
        lse = xp.where(empty, math.inf, m + xp.log(z + empty)).astype(s.dtype)
        s = s / (z + empty)
        return self.matmul(s if drop is None else s * drop, v), lse

    def attention_backward(self, g, q, k, v, mask, causal: bool, scale: float, drop, out, lse, needs):
        """Gradients of q, k, v and of a float mask; the probabilities are recomputed from lse."""
        xp = self.xp
        p = xp.exp(self._scores(q, k, mask, causal, scale) - lse)
        gv = self.matmul(xp.swapaxes(p if drop is None else p * drop, -1, -2), g) if needs[2] else None
        gp = self.matmul(g, xp.swapaxes(v, -1, -2))
        if drop is not None:
            gp = gp * drop
        gs = p * (gp - (g * out).sum(axis=-1, keepdims=True))
        gq = self.matmul(gs, k) * scale if needs[0] else None
        gk = self.matmul(xp.swapaxes(gs, -1, -2), q) * scale if needs[1] else None
        return gq, gk, gv, gs if needs[3] else None

    def _scores(self, q, k, mask, causal, scale):
        xp = self.xp
        s = self.matmul(q, xp.swapaxes(k, -1, -2)) * scale
        if causal:
            s = xp.where(xp.tril(xp.ones(s.shape[-2:], dtype=bool)), s, -math.inf).astype(q.dtype)
        if mask is not None:
            s = xp.where(mask, s, -math.inf).astype(q.dtype) if mask.dtype == bool else s + mask
        return s

    # ---------------------------------------------------------------- optimizer
    has_pieces = False

    def pieces(self, shapes, dtype):
        """(an array of zeros, [arrays of these shapes, none empty, that lie in it one after the other]), where `has_pieces`.

        Each piece counts as memory of its own: a view of it holds the piece, not the whole.
        """
        raise NotImplementedError

    def adamw_step(self, p, g, m, v, *, lr, beta1, beta2, eps, weight_decay, step: int, maximize=False, vmax=None):
        """One AdamW step (Loshchilov and Hutter 2019) in place on p, m, v (and vmax for AMSGrad)."""
        xp = self.xp
        if maximize:
            g = -g
        p *= 1 - lr * weight_decay
        m *= beta1
        m += (1 - beta1) * g
        v *= beta2
        v += (1 - beta2) * (g * g)
        second = v
        if vmax is not None:
            vmax[...] = xp.maximum(vmax, v)
            second = vmax
        root = xp.sqrt(second) / math.sqrt(1 - beta2**step) + eps
        p -= (lr / (1 - beta1**step)) * m / root

    def sgd_step(self, p, g, v, *, lr, momentum, dampening, weight_decay, nesterov=False, maximize=False):
        """One SGD step (Sutskever et al. 2013) in place on p and the velocity v (None: without momentum)."""
        if maximize:
            g = -g
        if weight_decay:
            g = g + weight_decay * p
        if v is not None:
            v *= momentum
            v += (1 - dampening) * g if dampening else g
            g = g + momentum * v if nesterov else v
        p -= lr * g


def owner(array):
    """The array of the same kind that holds the memory a view looks into."""
    while isinstance(getattr(array, "base", None), type(array)):
        array = array.base
    return array


def memory(array):
    """The object that holds the memory an array lies in."""
    while getattr(array, "base", None) is not None:
        array = array.base
    return array
