"""NumPy kernels that work channel by channel on (N, C, *size): batch and group norm, a few samples (a cacheful) at a time."""

import math

import numpy as np

from tensorlite.backend.base import Backend
from tensorlite.backend.cpu_rows import ones, row_dot, row_sum
from tensorlite.backend.scratch import chunks, covered, scratch


class Channels(Backend):
    """Sums over places are products with ones; those over samples are made in float64."""

    def batch_moments(self, x):
        if not covered(x):
            return super().batch_moments(x)
        x = _planes(x)
        n, c, size = x.shape
        mean = (_sum(x) / (n * size)).astype(x.dtype)
        squares = np.zeros(c)
        for a, b in chunks(n, c * size):
            (d,) = scratch(x.dtype, (b - a, c, size))
            np.subtract(x[a:b], mean[:, None], out=d)
            squares += _dot(d, d)
        return mean, (squares / (n * size)).astype(x.dtype)

    def batch_norm(self, x, weight, bias, mean, var, eps):
        if not covered(x, mean, var, *[v for v in (weight, bias) if v is not None]):
            return super().batch_norm(x, weight, bias, mean, var, eps)
        rstd = 1 / np.sqrt(var + eps)
        scale, planes = rstd if weight is None else rstd * weight, _planes(x)
        y = np.empty(planes.shape, x.dtype)
        for a, b in chunks(len(x), math.prod(x.shape[1:])):
            part = np.subtract(planes[a:b], mean[:, None], out=y[a:b])
            np.multiply(part, scale[:, None], out=part)
            if bias is not None:
                np.add(part, bias[:, None], out=part)
        return y.reshape(x.shape), rstd

    def batch_norm_backward(self, g, x, weight, mean, rstd, needs):
        if not covered(g, x, mean, rstd, *[v for v in (weight,) if v is not None]):
            return super().batch_norm_backward(g, x, weight, mean, rstd, needs)
        shape, up, x = x.shape, _planes(g), _planes(x)
        n, c, size = x.shape
        flat = _sum(up) if needs[0] or needs[2] else None
        along = np.zeros(c)
        if needs[0] or needs[1]:
            for a, b in chunks(n, c * size):
                (d,) = scratch(x.dtype, (b - a, c, size))
                np.subtract(x[a:b], mean[:, None], out=d)
                along += _dot(up[a:b], d)
            along *= rstd
        gx = None
        if needs[0]:  # scale (g - mean(g) - xhat mean(g xhat)), with xhat = (x - mean) rstd: a g - b (x - mean) - e
            scale = rstd if weight is None else rstd * weight
            by = (scale * rstd * along / (n * size)).astype(x.dtype)[:, None]
            less = (scale * flat / (n * size)).astype(x.dtype)[:, None]
            gx, scale = np.empty((n, c, size), x.dtype), scale[:, None]
            for a, b in chunks(n, c * size):
                (d,) = scratch(x.dtype, (b - a, c, size))
                np.subtract(x[a:b], mean[:, None], out=d)
                np.multiply(d, by, out=d)
                np.add(d, less, out=d)
                part = np.multiply(up[a:b], scale, out=gx[a:b])
                np.subtract(part, d, out=part)
            gx = gx.reshape(shape)
        gw = along.astype(x.dtype) if needs[1] else None
        return gx, gw, flat.astype(x.dtype) if needs[2] else None

    def group_norm(self, x, weight, bias, groups, eps):
        if not covered(x, *[v for v in (weight, bias) if v is not None]):
            return super().group_norm(x, weight, bias, groups, eps)
        planes = _planes(x)
        n, c, size = planes.shape
        count, kind = c // groups * size, x.dtype
        rows, y = planes.reshape(n, groups, count), np.empty((n, groups, count), kind)
        mean, rstd = np.empty((n, groups, 1), kind), np.empty((n, groups, 1), kind)
        for a, b in chunks(n, c * size):
            np.divide(row_sum(rows[a:b]), count, out=mean[a:b, :, 0])
            part = np.subtract(rows[a:b], mean[a:b], out=y[a:b])
            np.divide(1.0, np.sqrt(row_dot(part, part) / count + eps), out=rstd[a:b, :, 0])
            if weight is None:
                np.multiply(part, rstd[a:b], out=part)
            part = part.reshape(b - a, c, size)
            if weight is not None:
                np.multiply(part, _spread(rstd[a:b], weight), out=part)
            if bias is not None:
                np.add(part, bias[:, None], out=part)
        return y.reshape(x.shape), mean, rstd

    def group_norm_backward(self, g, x, weight, mean, rstd, groups, needs):
        if not covered(g, x, mean, rstd, *[v for v in (weight,) if v is not None]):
            return super().group_norm_backward(g, x, weight, mean, rstd, groups, needs)
        shape, kind, up, x = x.shape, x.dtype, _planes(g), _planes(x)
        n, c, size = x.shape
        count, share = c // groups * size, np.ones(c, kind) if weight is None else weight
        gx, gw, gb = np.empty((n, c, size), kind) if needs[0] else None, np.zeros(c), np.zeros(c)
        for a, b in chunks(n, c * size):
            (d,) = scratch(kind, (b - a, groups, count))
            np.subtract(x[a:b].reshape(d.shape), mean[a:b], out=d)
            planes, r = d.reshape(b - a, c, size), rstd[a:b]
            flat, along = row_sum(up[a:b]), row_dot(up[a:b], planes)
            gb += flat.sum(axis=0, dtype=np.float64)
            gw += (along.reshape(b - a, groups, -1) * r).reshape(b - a, c).sum(axis=0, dtype=np.float64)
            if needs[0]:  # r (h - mean(h) - xhat mean(h xhat)) with h = g weight and xhat = r d
                by = (along * share).reshape(b - a, groups, -1).sum(axis=2, keepdims=True) * (r * r * r) / count
                less = (flat * share).reshape(b - a, groups, -1).sum(axis=2, keepdims=True) * r / count
                np.multiply(d, by, out=d)
                np.add(d, less, out=d)
                part = np.multiply(up[a:b], _spread(r, share), out=gx[a:b])
                np.subtract(part, planes, out=part)
        gx = gx.reshape(shape) if needs[0] else None
        return gx, gw.astype(kind) if needs[1] else None, gb.astype(kind) if needs[2] else None


def _spread(r, weight):
    """Numbers of groups (n, groups, 1) times those of channels (C,), as (n, C, 1)."""
    return (r * weight.reshape(1, r.shape[1], -1)).reshape(len(r), -1, 1)


def _planes(x):
    """x as (N, C, places)."""
    return x.reshape(*x.shape[:2], math.prod(x.shape[2:]))


def _sum(x):
    """The sum of each channel of (N, C, places), as float64."""
    if x.shape[2] == 1:  # samples in blocks: BLAS adds them up
        flat, total = x[..., 0], np.zeros(x.shape[1])
        for start in range(0, len(flat), 512):
            part = flat[start : start + 512]
            total += ones(len(part), x.dtype) @ part
        return total
    return row_sum(x).sum(axis=0, dtype=np.float64)


def _dot(x, y):
    """The sum of x y of each channel, as float64."""
    if x.shape[2] == 1:
        return np.einsum("nci,nci->c", x, y).astype(np.float64)
    return row_dot(x, y).sum(axis=0, dtype=np.float64)
