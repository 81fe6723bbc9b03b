"""Loops compiled by numba for float32: gelu, softmax, layer_norm, cross_entropy, embedding, optimizers. For fast.py only.

Every loop is written so that the compiler turns it into vector instructions: an inner function on one row, float32
throughout, no branches but selections, and an `exp` of our own, which is plain arithmetic. Sums may be reordered (reassoc),
which makes them more exact, not less; nan and infinity keep their meaning.
"""

import math

import numba
import numpy as np

f = np.float32
_OPTIONS = {"fastmath": {"contract", "reassoc", "arcp", "nsz"}, "error_model": "numpy", "nogil": True, "cache": True}
loop = numba.njit(**_OPTIONS)
inner = numba.njit(inline="always", **_OPTIONS)

_LOG2E, _LN2_HIGH, _LN2_LOW = f(1 / math.log(2)), f(0.693145751953125), f(1.42860677e-06)


@inner
def exp(x):
    """e^x for x <= 88: 2^k p(r), r = x - k ln 2, |r| <= ln 2 / 2, p the Taylor series; relative error 7.1e-8 (measured)."""
    z = min(max(x, f(-87.0)), f(88.0))
    k = np.floor(z * _LOG2E + f(0.5))
    r = z - k * _LN2_HIGH - k * _LN2_LOW
    p = f(1 / 5040) * r + f(1 / 720)
    p = p * r + f(1 / 120)
    p = p * r + f(1 / 24)
    p = p * r + f(1 / 6)
    p = p * r + f(0.5)
    p = p * r + f(1.0)
    p = p * r + f(1.0)
    power = np.int32((np.int32(k) + np.int32(127)) << np.int32(23)).view(np.float32)  # 2^k, by its exponent bits
    return p * power if x >= f(-87.0) else (f(0.0) if x < f(-87.0) else x)  # the last: nan


# ---------------------------------------------------------------- gelu
@inner
def _gelu(x):
    """(Phi(x), e^(-x^2/2)): Abramowitz and Stegun 7.1.26, error of Phi 7.5e-8; the exp serves the slope too."""
    t = f(1.0) / (f(1.0) + f(0.3275911 / math.sqrt(2)) * abs(x))
    q = f(1.061405429) * t - f(1.453152027)
    q = q * t + f(1.421413741)
    q = q * t - f(0.284496736)
    q = q * t + f(0.254829592)
    e = exp(f(-0.5) * x * x)
    q = f(0.5) * q * t * e
    return (f(1.0) - q if x >= f(0.0) else q), e


@loop
def gelu(x, y):
    for i in range(x.size):
        phi, _ = _gelu(x[i])
        y[i] = x[i] * phi


@loop
def gelu_and_slope(x, y, slope):
    for i in range(x.size):
        phi, e = _gelu(x[i])
        y[i] = x[i] * phi
        slope[i] = phi + x[i] * e * f(1 / math.sqrt(2 * math.pi))


@loop
def gelu_backward(g, x, out):
    for i in range(x.size):
        phi, e = _gelu(x[i])
        out[i] = g[i] * (phi + x[i] * e * f(1 / math.sqrt(2 * math.pi)))


# ---------------------------------------------------------------- softmax
@inner
def _exp_row(x, y):
    """y = exp(x - max x); (the maximum, the sum of y)."""
    top = x[0]
    for i in range(x.size):
        top = max(top, x[i])
    total = f(0.0)
    for i in range(x.size):
        e = exp(x[i] - top)
        y[i] = e
        total += e
    return top, total


@loop
def softmax(x, y):
    for n in range(x.shape[0]):
        _, total = _exp_row(x[n], y[n])
        row, scale = y[n], f(1.0) / total
        for i in range(row.size):
            row[i] *= scale


@inner
def _softmax_backward_row(g, y, out):
    total = f(0.0)
    for i in range(g.size):
        total += g[i] * y[i]
    for i in range(g.size):
        out[i] = y[i] * (g[i] - total)


@loop
def softmax_backward(g, y, out):
    for n in range(g.shape[0]):
        _softmax_backward_row(g[n], y[n], out[n])


# ---------------------------------------------------------------- layer_norm
@inner
def _layer_norm_row(x, weight, bias, eps, y):
    size = f(x.size)
    total = f(0.0)
    for i in range(x.size):
        total += x[i]
    mean, square = total / size, f(0.0)
    for i in range(x.size):
        d = x[i] - mean
        square += d * d
    rstd = f(1.0) / np.sqrt(square / size + eps)
    for i in range(x.size):
        y[i] = (x[i] - mean) * rstd * weight[i] + bias[i]
    return mean, rstd


@loop
def layer_norm(x, weight, bias, eps, y, mean, rstd):
    for n in range(x.shape[0]):
        mean[n, 0], rstd[n, 0] = _layer_norm_row(x[n], weight, bias, eps, y[n])


@inner
def _layer_norm_backward_row(g, x, weight, mean, rstd, out, gw, gb):
    a, c, size = f(0.0), f(0.0), f(x.size)
    for i in range(x.size):
        xhat, h = (x[i] - mean) * rstd, g[i] * weight[i]
        a += h
        c += h * xhat
        gw[i] += g[i] * xhat
        gb[i] += g[i]
    a, c = a / size, c / size
    for i in range(x.size):
        out[i] = (g[i] * weight[i] - a - (x[i] - mean) * rstd * c) * rstd


@loop
def layer_norm_backward(g, x, weight, mean, rstd, out, gw, gb):
    """gw and gb are summed in blocks of rows, so that the rounding error does not grow with their number."""
    part_w, part_b = np.zeros_like(gw), np.zeros_like(gb)
    for n in range(x.shape[0]):
        _layer_norm_backward_row(g[n], x[n], weight, mean[n, 0], rstd[n, 0], out[n], part_w, part_b)
        if n % 512 == 511 or n == x.shape[0] - 1:
            for i in range(gw.size):
                gw[i] += part_w[i]
                gb[i] += part_b[i]
                part_w[i] = part_b[i] = f(0.0)


# ---------------------------------------------------------------- cross_entropy
@inner
def _log_sum_exp(x):
    top = x[0]
    for i in range(x.size):
        top = max(top, x[i])
    total = f(0.0)
    for i in range(x.size):
        total += exp(x[i] - top)
    return np.log(total) + top


@loop
def cross_entropy(x, picks, loss, lse):
    for n in range(x.shape[0]):
        lse[n] = _log_sum_exp(x[n])
        loss[n] = lse[n] - x[n, picks[n]]


@inner
def _cross_entropy_backward_row(g, x, lse, out):
    for i in range(x.size):
        out[i] = g * exp(x[i] - lse)


@loop
def cross_entropy_backward(g, x, picks, lse, out):
    for n in range(x.shape[0]):
        _cross_entropy_backward_row(g[n], x[n], lse[n], out[n])
        out[n, picks[n]] -= g[n]


# ---------------------------------------------------------------- rows by index, the optimizer
@inner
def _add_row(total, g):
    for i in range(g.size):
        total[i] += g[i]


@loop
def embedding_backward(g, index, out):
    for n in range(index.size):
        _add_row(out[index[n]], g[n])


@loop
def adamw(p, g, m, v, beta1, beta2, share, square, rate, eps, decay):
    for i in range(p.size):
        m[i] = beta1 * m[i] + share * g[i]
        v[i] = beta2 * v[i] + square * g[i] * g[i]
        p[i] = p[i] * decay - rate * m[i] / (np.sqrt(v[i]) + eps)


@loop
def sgd(p, g, v, momentum, share, lr):
    for i in range(p.size):
        v[i] = momentum * v[i] + share * g[i]
        p[i] = p[i] - lr * v[i]
