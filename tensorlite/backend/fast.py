"""The CPU with the extra `fast`: kernels compiled by numba in the place of NumPy's, for float32 arrays that are worth it.

Nothing else changes: same results to float32's rounding, and each override may be deleted. The compiled code is kept on
disk, so that it is made once on a machine. numba itself is imported when the first large array comes.
"""

import functools
import importlib
import importlib.util
import math
import os

import numpy as np

from tensorlite.backend.cpu import CpuBackend

LEAST = 1 << 14  # elements from which a compiled loop is worth the call


def available() -> bool:
    """Whether numba is installed and the environment variable TENSORLITE_FAST is not 0."""
    return os.environ.get("TENSORLITE_FAST", "1") != "0" and importlib.util.find_spec("numba") is not None


@functools.cache
def kernels():
    """The compiled loops."""
    return importlib.import_module("tensorlite.backend.fast_kernels")


def served(*arrays) -> bool:
    """Whether the loops serve these: float32, in order, the first large enough."""
    return arrays[0].size >= LEAST and all(a.dtype.char == "f" and a.flags.c_contiguous for a in arrays)


class FastBackend(CpuBackend):
    """The kernels that numba makes faster; all others are CpuBackend's."""

    def facts(self):
        return {**super().facts(), "fast": f"numba {importlib.import_module('numba').__version__}"}

    # ---------------------------------------------------------------- elementwise
    def gelu(self, x, approximate, keep):
        if approximate != "none" or not served(x):
            return super().gelu(x, approximate, keep)
        y, slope = np.empty_like(x), np.empty_like(x) if keep else None
        if keep:
            kernels().gelu_and_slope(x.reshape(-1), y.reshape(-1), slope.reshape(-1))
        else:
            kernels().gelu(x.reshape(-1), y.reshape(-1))
        return y, slope

    def gelu_backward(self, g, x, kept, approximate):
        if kept is not None or approximate != "none" or not served(x, g):
            return super().gelu_backward(g, x, kept, approximate)
        out = np.empty_like(x)
        kernels().gelu_backward(g.reshape(-1), x.reshape(-1), out.reshape(-1))
        return out

    # ---------------------------------------------------------------- rows
    def softmax(self, x, axis):
        if axis not in (-1, x.ndim - 1) or not served(x):
            return super().softmax(x, axis)
        y = np.empty_like(x)
        kernels().softmax(x.reshape(-1, x.shape[-1]), y.reshape(-1, x.shape[-1]))
        return y

    def softmax_backward(self, g, y, axis):
        if axis not in (-1, y.ndim - 1) or not served(y, g):
            return super().softmax_backward(g, y, axis)
        out, width = np.empty_like(y), y.shape[-1]
        kernels().softmax_backward(g.reshape(-1, width), y.reshape(-1, width), out.reshape(-1, width))
        return out

    def layer_norm(self, x, weight, bias, eps):
        given = [v for v in (weight, bias) if v is not None]
        if not served(x, *given):
            return super().layer_norm(x, weight, bias, eps)
        y, mean, rstd = np.empty_like(x), np.empty((len(x), 1), x.dtype), np.empty((len(x), 1), x.dtype)
        weight, bias = _or(weight, 1, x), _or(bias, 0, x)
        kernels().layer_norm(x, weight, bias, np.float32(eps), y, mean, rstd)
        return y, mean, rstd

    def layer_norm_backward(self, g, x, weight, mean, rstd, needs):
        given = [v for v in (weight,) if v is not None]
        if not needs[0] or not served(x, g, mean, rstd, *given):
            return super().layer_norm_backward(g, x, weight, mean, rstd, needs)
        out, gw, gb = np.empty_like(x), np.zeros(x.shape[1], x.dtype), np.zeros(x.shape[1], x.dtype)
        kernels().layer_norm_backward(g, x, _or(weight, 1, x), mean, rstd, out, gw, gb)
        return out, gw if needs[1] else None, gb if needs[2] else None

    def cross_entropy(self, x, picks, keep, smoothing):
        if keep is not None or smoothing or not served(x):
            return super().cross_entropy(x, picks, keep, smoothing)
        loss, lse = np.empty(len(x), x.dtype), np.empty(len(x), x.dtype)
        kernels().cross_entropy(x, picks, loss, lse)
        return loss, lse

    def cross_entropy_backward(self, g, x, picks, keep, smoothing, lse):
        if keep is not None or smoothing or not served(x, g, lse):
            return super().cross_entropy_backward(g, x, picks, keep, smoothing, lse)
        out = np.empty_like(x)
        kernels().cross_entropy_backward(g, x, picks, lse, out)
        return out

    def embedding_backward(self, g, index, rows):
        if not served(g):
            return super().embedding_backward(g, index, rows)
        out = np.zeros((rows, g.shape[-1]), g.dtype)
        kernels().embedding_backward(g.reshape(-1, g.shape[-1]), index.reshape(-1), out)
        return out

    # ---------------------------------------------------------------- optimizer
    def adamw_step(self, p, g, m, v, *, lr, beta1, beta2, eps, weight_decay, step, maximize=False, vmax=None):
        if vmax is not None or not served(p, g, m, v):
            return super().adamw_step(p, g, m, v, lr=lr, beta1=beta1, beta2=beta2, eps=eps, weight_decay=weight_decay,
                                      step=step, maximize=maximize, vmax=vmax)  # fmt: skip
        root = math.sqrt(1 - beta2**step)
        numbers = (beta1, beta2, beta1 - 1 if maximize else 1 - beta1, 1 - beta2, lr * root / (1 - beta1**step),
                   eps * root, 1 - lr * weight_decay)  # fmt: skip
        kernels().adamw(*[a.reshape(-1) for a in (p, g, m, v)], *map(np.float32, numbers))

    def sgd_step(self, p, g, v, *, lr, momentum, dampening, weight_decay, nesterov=False, maximize=False):
        if v is None or nesterov or weight_decay or not served(p, g, v):
            super().sgd_step(p, g, v, lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay,
                             nesterov=nesterov, maximize=maximize)  # fmt: skip
            return
        share = dampening - 1 if maximize else 1 - dampening
        kernels().sgd(*[a.reshape(-1) for a in (p, g, v)], *map(np.float32, (momentum, share, lr)))


def _or(v, value, x):
    """v, or a vector of `value` as wide as x."""
    return np.full(x.shape[1], value, x.dtype) if v is None else v
