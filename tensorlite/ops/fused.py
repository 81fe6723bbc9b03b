"""Fused operations: linear, softmax, log_softmax, gelu, layer_norm, rms_norm, dropout.

Each has a fast forward and backward on raw arrays (the kernels are the backend's) and `plain`: the same function written
with primitive ops. `plain` is what to read, what derivatives of higher order are taken through, and what tests compare with.
"""

import math

from tensorlite import errors
from tensorlite.backend import dtypes
from tensorlite.op import Fused, Op
from tensorlite.ops import dims
from tensorlite.ops.convert import cast
from tensorlite.ops.functions import logaddexp
from tensorlite.tensor import Tensor, mode, path

__all__ = ["log_softmax", "softmax"]


class Linear(Fused):
    name, formula, local = "linear", "x @ W.T + b", ("@ W", "g.T @ x", "1, summed over rows")

    def forward(b, x, weight, bias):
        if x.shape[-1] != weight.shape[1]:
            raise errors.ShapeError(
                f"input has {x.shape[-1]} features, weight {weight.shape} expects {weight.shape[1]}"
            )
        y = b.matmul(rows(x, x.shape[-1:]), weight.T)
        if bias is not None:
            y += bias
        return y if x.ndim == 2 else y.reshape(*x.shape[:-1], weight.shape[0])

    def backward(b, g, needs, into, x, weight):
        g2, x2 = (g, x) if x.ndim == 2 else (rows(g, g.shape[-1:]), rows(x, x.shape[-1:]))
        gx = b.matmul(g2, weight) if needs[0] else None
        if gx is not None and x.ndim != 2:
            gx = gx.reshape(x.shape)
        gw = b.matmul(g2.T, x2, out=into[1]) if needs[1] else None
        return gx, gw, b.column_sum(g2) if needs[2] else None

    def plain(x, weight, bias):
        y = x @ weight.mT
        return y if bias is None else y + bias


def _in_order(b, x):
    """x, copied where its elements do not lie row by row: NumPy's result would lie as x does, and view() refuse it."""
    return x if x.flags.c_contiguous else b.xp.ascontiguousarray(x)


class Softmax(Fused):
    name, formula, local = "softmax", "e^x / sum e^x", "out (g - sum(g out))"

    def forward(b, x, *, dim):
        return b.softmax(_in_order(b, x), dim)

    def backward(b, g, needs, into, out, dim):
        return b.softmax_backward(g, out, dim)

    def plain(x, dim):
        if 0 in x.shape:
            return x * 1
        e = (x - x.detach().amax(dim, keepdim=True)).exp()
        return e / e.sum(dim, keepdim=True)


class LogSoftmax(Fused):
    name, formula, local = "log_softmax", "x - ln sum e^x", "g - e^out sum(g)"

    def forward(b, x, *, dim):
        return b.log_softmax(_in_order(b, x), dim)

    def backward(b, g, needs, into, out, dim):
        return b.log_softmax_backward(g, out, dim)

    def plain(x, dim):
        if 0 in x.shape:
            return x * 1
        z = x - x.detach().amax(dim, keepdim=True)
        return z - z.exp().sum(dim, keepdim=True).log()


class Gelu(Fused):
    """Hendrycks and Gimpel 2016. Phi is the standard normal distribution function."""

    name, formula, local = "gelu", "x Phi(x)", "Phi(x) + x phi(x)"
    extras = ("kept",)

    def forward(b, x, *, approximate):
        y, kept = b.gelu(x, approximate, keep=mode.grad)
        return y, (kept,)

    def backward(b, g, needs, into, x, kept, approximate):
        return b.gelu_backward(g, x, kept, approximate)

    def plain(x, approximate):
        if approximate == "tanh":
            return 0.5 * x * (1 + (math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)).tanh())
        return 0.5 * x * (1 + (x * math.sqrt(0.5)).erf())


class Silu(Fused):
    """Elfwing et al. 2017. One product with g: an infinite one does not meet itself with two signs."""

    name, formula, local = "silu", "x sigmoid(x)", "s (1 + x (1 - s)), s = sigmoid(x)"
    extras = ("s",)

    def forward(b, x):
        s = b.sigmoid(x)
        return x * s, (s,)

    def backward(b, g, needs, into, x, s):
        return g * (s * (1 + x * (1 - s)))

    def plain(x):
        return x * x.sigmoid()


class Mish(Fused):
    """Misra 2019. One product with g, as silu."""

    name, formula, local = "mish", "x tanh(ln(1 + e^x))", "t + x sigmoid(x) (1 - t^2), t = tanh(ln(1 + e^x))"
    extras = ("t",)

    def forward(b, x):
        t = b.xp.tanh(b.xp.logaddexp(x, b.number(0.0, x.dtype)))
        return x * t, (t,)

    def backward(b, g, needs, into, x, t):
        return g * (t + x * b.sigmoid(x) * (1 - t * t))

    def plain(x):
        return x * logaddexp(x, 0.0).tanh()


class LayerNorm(Fused):
    """Ba, Kiros and Hinton 2016."""

    name, formula = "layer_norm", "(x - mean) / sqrt(var + eps) * w + b"
    local = (
        "(h - mean(h) - xhat mean(h xhat)) / sqrt(var + eps), h = g w",
        "g xhat, summed over rows",
        "1, summed over rows",
    )
    extras = ("mean", "rstd")

    def forward(b, x, weight, bias, *, shape, eps):
        y, mean, rstd = b.layer_norm(rows(x, shape), flat(weight), flat(bias), eps)
        return y.reshape(x.shape), (mean, rstd)

    def backward(b, g, needs, into, x, weight, bias, mean, rstd, shape):
        gx, gw, gb = b.layer_norm_backward(rows(g, shape), rows(x, shape), flat(weight), mean, rstd, needs)
        return [None if v is None else v.reshape(like.shape) for v, like in ((gx, x), (gw, weight), (gb, bias))]

    def plain(x, weight, bias, shape, eps):
        over = tuple(range(-len(shape), 0))
        centred = x - x.mean(over, keepdim=True)
        y = centred / ((centred * centred).mean(over, keepdim=True) + eps).sqrt()
        y = y if weight is None else y * weight
        return y if bias is None else y + bias


class RMSNorm(Fused):
    """Zhang and Sennrich 2019."""

    name, formula = "rms_norm", "x / sqrt(mean(x^2) + eps) * w"
    local = ("(h - xhat mean(h xhat)) / sqrt(mean(x^2) + eps), h = g w", "g xhat, summed over rows")
    extras = ("rstd",)

    def forward(b, x, weight, *, shape, eps):
        y, rstd = b.rms_norm(rows(x, shape), flat(weight), eps)
        return y.reshape(x.shape), (rstd,)

    def backward(b, g, needs, into, x, weight, rstd, shape):
        gx, gw = b.rms_norm_backward(rows(g, shape), rows(x, shape), flat(weight), rstd, needs)
        return [None if v is None else v.reshape(like.shape) for v, like in ((gx, x), (gw, weight))]

    def plain(x, weight, shape, eps):
        over = tuple(range(-len(shape), 0))
        y = x / ((x * x).mean(over, keepdim=True) + eps).sqrt()
        return y if weight is None else y * weight


class Dropout(Op):
    """Srivastava et al. 2014. The mask comes from Philox4x32-10: the same bits on every device."""

    name, formula, local = "dropout", "x * mask / (1 - p)", "mask / (1 - p)"
    extras = ("mask",)

    def forward(b, x, *, p, seed, offset):
        mask = b.dropout_mask(x.shape, p, seed, offset, x.dtype)
        return x * mask, (mask,)

    rules = lambda m, g, mask: g * mask  # noqa: E731


def rows(x, shape):
    """x as (rows, elements of the normalised shape)."""
    if x.ndim == 2 and len(shape) == 1:
        return x
    return x.reshape(math.prod(x.shape[: x.ndim - len(shape)]), math.prod(shape))


def flat(w):
    """A weight as a vector."""
    return w if w is None or w.ndim == 1 else w.reshape(-1)


def linear(input, weight, bias=None) -> Tensor:
    """input (..., in) @ weight (out, in).T + bias (out) -> (..., out).

    Raises:
        ShapeError: the number of features differs from what weight expects. DTypeError: different dtypes.
    """
    try:
        x, w = input.array, weight.array
    except AttributeError:
        name, x = ("input", input) if not isinstance(input, Tensor) else ("weight", weight)
        raise errors.DTypeError(f"linear: {name} must be a Tensor, not {type(x).__name__}") from None
    if w.ndim != 2 or not x.ndim or (bias is not None and bias.array.shape != w.shape[:1]):
        fault = "expects input (..., in), weight (out, in) and bias (out,)"
        table = errors.argument_table(("input", "weight", "bias"), (input, weight, bias))
        raise errors.ShapeError(errors.compose("linear", fault, table, path()))
    if (w.dtype != x.dtype or (bias is not None and bias.array.dtype != x.dtype)) and not mode.casts:
        name, other = ("weight", weight) if w.dtype != x.dtype else ("bias", bias)
        fault = f"input is {input.dtype.name}, {name} {other.dtype.name}; convert one, e.g. x.to(tl.{other.dtype.name})"
        table = errors.argument_table(("input", name), (input, other))
        raise errors.DTypeError(errors.compose("linear", fault, table, path()))
    return Linear.apply(input, weight, bias)


def _along(name, op, input, dim, dtype, third):
    if dim is None:
        raise errors.ArgumentError(f"{name}: dim must be given, e.g. dim=-1")
    if dtype is None and not isinstance(third, int):
        dtype = third
    input = input if dtype is None else cast(input, dtype)
    if not input.dtype.is_floating_point:
        raise errors.DTypeError(
            f"{name}: a floating-point tensor is needed, got {errors.describe(input)}; use x.float()"
        )
    d = dims.one(name, dim, input.ndim)
    return op.apply(input, dim=d) if input.ndim else op.apply(input.reshape(1), dim=0).reshape(())


def softmax(input, dim=None, _stacklevel=3, dtype=None, *, axis=None) -> Tensor:
    """exp(input) / sum(exp(input)) along dim, without overflow. dtype may stand third, as in torch.softmax."""
    return _along("softmax", Softmax, input, dim if axis is None else axis, dtype, _stacklevel)


def log_softmax(input, dim=None, _stacklevel=3, dtype=None, *, axis=None) -> Tensor:
    """input - ln sum exp(input) along dim, without overflow. dtype may stand third, as in torch.log_softmax."""
    return _along("log_softmax", LogSoftmax, input, dim if axis is None else axis, dtype, _stacklevel)


def gelu(input, approximate="none") -> Tensor:
    """input * Phi(input), exactly, or with approximate="tanh" by its tanh formula."""
    if approximate not in ("none", "tanh"):
        raise errors.ArgumentError(f"gelu: approximate must be 'none' or 'tanh', not {approximate!r}")
    return Gelu.apply(
        cast(input, dtypes.get_default_dtype()) if input.dtype.category < 2 else input, approximate=approximate
    )


def silu(input) -> Tensor:
    """x sigmoid(x)."""
    return Silu.apply(input)


def mish(input) -> Tensor:
    """x tanh(ln(1 + e^x))."""
    return Mish.apply(input)


def _normalised(name, input, shape, weight, bias=None):
    shape = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    wrong = [w for w in (weight, bias) if w is not None and w.array.shape != shape]
    if input.array.shape[-len(shape) :] != shape or wrong or not shape:
        fault = f"the last dimensions of input, and weight and bias, must be {shape}"
        table = errors.argument_table(("input", "weight", "bias"), (input, weight, bias))
        raise errors.ShapeError(errors.compose(name, fault, table, path()))
    return shape


def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias over the last dimensions `normalized_shape`."""
    shape = _normalised("layer_norm", input, normalized_shape, weight, bias)
    return _as_given(input, LayerNorm.apply(input, weight, bias, shape=shape, eps=eps))


def rms_norm(input, normalized_shape, weight=None, eps=None) -> Tensor:
    """x / sqrt(mean(x^2) + eps) * weight over the last dimensions `normalized_shape`; eps None: that of the dtype."""
    shape = _normalised("rms_norm", input, normalized_shape, weight)
    eps = dtypes.finfo(input.dtype).eps if eps is None else eps
    return _as_given(input, RMSNorm.apply(input, weight, shape=shape, eps=eps))


def _as_given(input, out):
    """out in the dtype of a 16-bit input, also where the weights are float32; those of autocast's choice stay."""
    return cast(out, input.dtype) if out.array.dtype is not input.array.dtype and input.dtype.itemsize == 2 else out
