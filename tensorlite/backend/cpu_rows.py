"""NumPy kernels that work row by row: softmax, cross-entropy, layer norm and RMS norm, forward and backward.

Sums along a row are products with a vector of ones where BLAS is as accurate, two to five times as fast as a reduction.
"""

import functools
import math

import numpy as np

from tensorlite.backend.base import Backend
from tensorlite.backend.scratch import chunks, covered, scratch
from tensorlite.backend.threads import each

SAFE = 60.0  # exp of -60..60 and sums of such stay far inside float32: no maximum need be taken off first
SMALL = 4096  # elements up to which base.py's plain formula is quicker than chunks and their preparation
_BLAS_SUM = 2048  # longest row that is summed by BLAS, whose rounding error grows with the length

row_dot = getattr(np, "vecdot", None) or (lambda a, b: np.einsum("...i,...i->...", a, b))  # vecdot: NumPy 2
_ones = {}


def ones(count, dtype):
    """A read-only vector of ones."""
    if (count, dtype) not in _ones:
        if len(_ones) > 256:
            _ones.clear()
        _ones[count, dtype] = np.ones(count, dtype)
    return _ones[count, dtype]


def row_sum(x):
    """Sum over the last axis."""
    n = x.shape[-1]
    return x @ ones(n, x.dtype) if n <= _BLAS_SUM else x.sum(axis=-1)


def column_sum(x):
    """Sum over the rows of (N, D), in blocks, so that the rounding error does not grow with N."""
    if len(x) <= _BLAS_SUM:
        return ones(len(x), x.dtype) @ x
    total = np.zeros(x.shape[1], x.dtype)
    for start in range(0, len(x), _BLAS_SUM):
        part = x[start : start + _BLAS_SUM]
        total += ones(len(part), x.dtype) @ part
    return total


def exp_rows(x, out):
    """out = exp(x - shift) for rows x, with a shift that keeps it finite; returns the shift (rows, 1), or 0.0: none needed."""
    if np.maximum.reduce(x, axis=None) < SAFE and np.minimum.reduce(x, axis=None) > -SAFE:
        np.exp(x, out=out)
        return 0.0
    shift = x.max(axis=-1, keepdims=True)
    np.subtract(x, shift, out=out)
    np.exp(out, out=out)
    return shift


class RowKernels(Backend):
    """Kernels over the last axis."""

    def softmax(self, x, axis):
        if x.size < SMALL or not _last(x, axis):
            return super().softmax(x, axis)
        rows, y, shape = *_rows(x), x.shape

        def part(a, b):
            block = y[a:b]
            exp_rows(rows[a:b], block)
            z = row_sum(block)
            np.divide(1.0, z, out=z)
            np.multiply(block, z[:, None], out=block)

        each(part, chunks(*rows.shape))
        return y.reshape(shape)

    def softmax_backward(self, g, y, axis):
        if not _last(y, axis) or g.dtype != y.dtype:
            return super().softmax_backward(g, y, axis)
        rows, out = _rows(y)
        up = g.reshape(rows.shape)

        def part(a, b):
            block = out[a:b]
            np.subtract(up[a:b], row_dot(up[a:b], rows[a:b])[:, None], out=block)
            np.multiply(block, rows[a:b], out=block)

        each(part, chunks(*rows.shape))
        return out.reshape(y.shape)

    def log_softmax(self, x, axis):
        if x.size < SMALL or not _last(x, axis):
            return super().log_softmax(x, axis)
        rows, out = _rows(x)

        def part(a, b):
            (e,) = scratch(x.dtype, (b - a, rows.shape[1]))
            shift = exp_rows(rows[a:b], e)
            z = row_sum(e)[:, None]
            np.log(z, out=z)
            # the two are taken off one by one: their sum would round at the size of the logits
            block = rows[a:b] if isinstance(shift, float) else np.subtract(rows[a:b], shift, out=out[a:b])
            np.subtract(block, z, out=out[a:b])

        each(part, chunks(*rows.shape))
        return out.reshape(x.shape)

    def log_softmax_backward(self, g, y, axis):
        if not _last(y, axis) or g.dtype != y.dtype:
            return super().log_softmax_backward(g, y, axis)
        rows, out = _rows(y)
        up = g.reshape(rows.shape)

        def part(a, b):
            block = out[a:b]
            np.exp(rows[a:b], out=block)
            np.multiply(block, row_sum(up[a:b])[:, None], out=block)
            np.subtract(up[a:b], block, out=block)

        each(part, chunks(*rows.shape))
        return out.reshape(y.shape)

    def cross_entropy(self, x, picks, keep, smoothing):
        if smoothing or not covered(x):
            return super().cross_entropy(x, picks, keep, smoothing)
        if x.size < SMALL:
            e = np.empty(x.shape, x.dtype)
            shift, lse = exp_rows(x, e), np.log(row_sum(e))
            if not isinstance(shift, float):
                lse += shift[:, 0]
            loss = lse - x[np.arange(len(x)), picks]
            return (loss if keep is None else loss * keep[picks]), lse
        loss, lse = np.empty(len(x), x.dtype), np.empty(len(x), x.dtype)

        def part(a, b):
            (e,) = scratch(x.dtype, (b - a, x.shape[1]))
            shift = exp_rows(x[a:b], e)
            z = np.log(row_sum(e))
            picked = x[np.arange(a, b), picks[a:b]]
            if isinstance(shift, float):
                lse[a:b] = z
                np.subtract(z, picked, out=loss[a:b])
            else:
                np.add(z, shift[:, 0], out=lse[a:b])
                np.subtract(lse[a:b], picked, out=loss[a:b])

        each(part, chunks(*x.shape))
        return (loss if keep is None else loss * keep[picks]), lse

    def cross_entropy_backward(self, g, x, picks, keep, smoothing, lse):
        if x.size < SMALL or not covered(x, g) or smoothing:
            return super().cross_entropy_backward(g, x, picks, keep, smoothing, lse)
        out, hit = np.empty(x.shape, x.dtype), g if keep is None else g * keep[picks]

        def part(a, b):
            block = out[a:b]
            np.subtract(x[a:b], lse[a:b, None], out=block)
            np.exp(block, out=block)
            np.multiply(block, hit[a:b, None], out=block)
            block[np.arange(b - a), picks[a:b]] -= hit[a:b]

        each(part, chunks(*x.shape))
        return out

    def layer_norm(self, x, weight, bias, eps):
        if not covered(x, *_given(weight, bias)):
            return super().layer_norm(x, weight, bias, eps)
        n, d = x.shape
        y, mean, rstd = np.empty((n, d), x.dtype), np.empty((n, 1), x.dtype), np.empty((n, 1), x.dtype)

        def part(a, b):
            block, m, r = y[a:b], mean[a:b, 0], rstd[a:b, 0]
            np.divide(row_sum(x[a:b]), d, out=m)
            np.subtract(x[a:b], mean[a:b], out=block)
            _inverse_root(row_dot(block, block), d, eps, out=r)
            np.multiply(block, rstd[a:b], out=block)
            if weight is not None:
                np.multiply(block, weight, out=block)
            if bias is not None:
                np.add(block, bias, out=block)

        each(part, chunks(n, d))
        return y, mean, rstd

    def layer_norm_backward(self, g, x, weight, mean, rstd, needs):
        if not covered(g, x, *_given(weight)):
            return super().layer_norm_backward(g, x, weight, mean, rstd, needs)
        n, d = x.shape
        share = ones(d, x.dtype) if weight is None else weight
        gx = np.empty((n, d), x.dtype) if needs[0] else None

        def part(a, b):
            up, r, of_weight = g[a:b], rstd[a:b, 0], None
            of_bias = ones(b - a, x.dtype) @ up if needs[2] else None
            if not (needs[0] or needs[1]):
                return of_weight, of_bias
            centred, w = scratch(x.dtype, (b - a, d), (b - a, d))
            np.subtract(x[a:b], mean[a:b], out=centred)
            np.multiply(up, centred, out=w)
            if needs[1]:
                of_weight = r @ w
            if needs[0]:  # r (h - mean(h) - xhat mean(h xhat)) with h = g weight and xhat = r centred
                block = gx[a:b]
                along = (w @ share) * (r * r * r) / d
                flat = (up @ share) * r / d
                np.multiply(centred, along[:, None], out=centred)
                np.add(centred, flat[:, None], out=centred)
                if weight is not None:
                    up = np.multiply(up, weight, out=block)
                np.multiply(up, rstd[a:b], out=block)
                np.subtract(block, centred, out=block)
            return of_weight, of_bias

        of_weight, of_bias = zip(*each(part, chunks(n, d)), strict=True)
        return gx, _total(of_weight) if needs[1] else None, _total(of_bias) if needs[2] else None

    def rms_norm(self, x, weight, eps):
        if not covered(x, *_given(weight)):
            return super().rms_norm(x, weight, eps)
        n, d = x.shape
        y, rstd = np.empty((n, d), x.dtype), np.empty((n, 1), x.dtype)

        def part(a, b):
            block = y[a:b]
            _inverse_root(row_dot(x[a:b], x[a:b]), d, eps, out=rstd[a:b, 0])
            np.multiply(x[a:b], rstd[a:b], out=block)
            if weight is not None:
                np.multiply(block, weight, out=block)

        each(part, chunks(n, d))
        return y, rstd

    def rms_norm_backward(self, g, x, weight, rstd, needs):
        if not covered(g, x, *_given(weight)):
            return super().rms_norm_backward(g, x, weight, rstd, needs)
        n, d = x.shape
        gx = np.empty((n, d), x.dtype) if needs[0] else None

        def part(a, b):
            (w,) = scratch(x.dtype, (b - a, d))
            up, r = g[a:b], rstd[a:b, 0]
            np.multiply(up, x[a:b], out=w)
            of_weight = r @ w if needs[1] else None
            if needs[0]:  # r (h - xhat mean(h xhat)) with h = g weight and xhat = r x
                block = gx[a:b]
                along = (w @ (ones(d, x.dtype) if weight is None else weight)) * (r * r * r) / d
                np.multiply(x[a:b], along[:, None], out=w)
                if weight is not None:
                    up = np.multiply(up, weight, out=block)
                np.multiply(up, rstd[a:b], out=block)
                np.subtract(block, w, out=block)
            return of_weight

        sums = each(part, chunks(n, d))
        return gx, _total(sums) if needs[1] else None


def _inverse_root(squares, d, eps, out):
    """out = 1 / sqrt(squares / d + eps)."""
    np.divide(squares, d, out=out)
    np.add(out, eps, out=out)
    np.sqrt(out, out=out)
    np.divide(1.0, out, out=out)


def _total(parts):
    """The sum of arrays, in their order whatever thread made them."""
    return functools.reduce(np.add, parts)


def _given(*arrays):
    return [a for a in arrays if a is not None]


def _last(x, axis) -> bool:
    """Whether `axis` is the last one of an array that the kernels serve."""
    return x.ndim > 0 and axis in (-1, x.ndim - 1) and covered(x)


def _rows(x):
    """x as (rows, columns), and an empty array of that shape."""
    rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    return rows, np.empty(rows.shape, x.dtype)
