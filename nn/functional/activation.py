"""Activation functions, of elements and along a dimension. What has a derivative of its own (relu, sigmoid, tanh, gelu, softmax)
is an operation of the engine; the others are put together from those, in a form that neither overflows nor divides by zero,
so that they are right at every order. Slopes at kinks are PyTorch's."""

import inspect
import warnings

from tensorlite import errors
from tensorlite.creation import full
from tensorlite.inplace import update
from tensorlite.ops import functions, fused
from tensorlite.ops.convert import cast
from tensorlite.ops.elementwise import only_tensor
from tensorlite.ops.functions import logaddexp, relu, sigmoid, tanh
from tensorlite.ops.fused import gelu, log_softmax as _log_softmax, softmax as _softmax
from tensorlite.ops.select import where
from tensorlite.random import rand
from tensorlite.tensor import Tensor, here, mode

__all__ = [
    "celu", "celu_", "elu", "elu_", "gelu", "glu", "gumbel_softmax", "hardshrink", "hardsigmoid", "hardswish", "hardtanh",
    "hardtanh_", "leaky_relu", "leaky_relu_", "log_softmax", "logsigmoid", "mish", "prelu", "relu", "relu6", "relu_", "rrelu",
    "rrelu_", "selu", "selu_", "sigmoid", "silu", "softmax", "softmin", "softplus", "softshrink", "softsign", "tanh",
    "tanhshrink", "threshold", "threshold_",
]  # fmt: skip

_ALPHA, _SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946  # Klambauer et al. 2017


# ---------------------------------------------------------------- how they are called
def _apply(name, input, inplace, function, *args):
    """function(input, *args), in the input's own memory where asked for; integers are refused in words."""
    if not isinstance(input, Tensor):
        raise errors.DTypeError(here(f"{name}: input must be a Tensor, not {type(input).__name__}"))
    if not input.dtype.is_floating_point and name not in ("relu", "relu6", "hardtanh", "threshold"):
        text = f"{name}: input must be floating point, got {errors.describe(input)}; use input.float()"
        raise errors.DTypeError(here(text))
    return update(input, f"{name}_", function, *args) if inplace else function(input, *args)


def _refuse(name, rule):
    raise errors.ArgumentError(here(f"{name}: {rule}"))


def _in_place(function):
    """The same function in place: threshold_(x, ...) is threshold(x, ..., inplace=True)."""

    def change(input, *args, **kwargs) -> Tensor:
        return function(input, *args, inplace=True, **kwargs)

    shown = inspect.signature(function)
    change.__signature__ = shown.replace(parameters=[p for p in shown.parameters.values() if p.name != "inplace"])
    change.__name__ = change.__qualname__ = function.__name__ + "_"
    change.__doc__ = f"{function.__name__} in place: the same memory; returns input."
    return change


# ---------------------------------------------------------------- linear in pieces
_relu = relu


def relu(input, inplace=False) -> Tensor:
    """max(x, 0). The slope at 0 is 0."""
    return _apply("relu", input, inplace, _relu) if inplace or type(input) is not Tensor else _relu(input)


def _leaky(x, slope):
    one = full((), 1.0, dtype=x.dtype, device=x.device)  # of two numbers `where` would make float32
    return x * where(x > 0, one, slope)


def leaky_relu(input, negative_slope=0.01, inplace=False) -> Tensor:
    """x where x > 0, else negative_slope x (Maas et al. 2013)."""
    return _apply("leaky_relu", input, inplace, _leaky, negative_slope)


def prelu(input, weight) -> Tensor:
    """x where x > 0, else weight x, with one weight for all or one for each channel (dimension 1) (He et al. 2015).

    Raises:
        ShapeError: another number of weights than 1 or that of the channels. DTypeError: dtypes differ.
    """
    wrong = next((w for w in (input, weight) if not isinstance(w, Tensor)), None)
    if wrong is not None:
        raise errors.DTypeError(here(f"prelu: input and weight must be Tensors, got {type(wrong).__name__}"))
    channels = input.shape[1] if input.ndim > 1 else 1
    if weight.ndim > 1 or weight.numel() not in (1, channels):
        text = f"prelu: weight must hold 1 number or one for each of the {channels} channels (dimension 1 of input)"
        raise errors.ShapeError(here(f"{text}: {errors.argument_table(('input', 'weight'), (input, weight))}"))
    if mode.now.casts:
        input, weight = mode.casts.to("prelu", input, weight)
    if input.dtype != weight.dtype:
        text = f"prelu: input is {input.dtype.name}, weight {weight.dtype.name}: they must be the same; use .to(dtype)"
        raise errors.DTypeError(here(text))
    w = weight.reshape(1, -1, *[1] * (input.ndim - 2)) if weight.numel() > 1 else weight.reshape(())
    return where(input > 0, input, input * w)


def rrelu(input, lower=1.0 / 8, upper=1.0 / 3, training=False, inplace=False) -> Tensor:
    """leaky_relu with a slope drawn for each element from lower..upper in training, (lower + upper) / 2 otherwise (Xu et al.
    2015).

    Raises:
        ArgumentError: lower above upper.
    """
    if lower > upper:
        _refuse("rrelu", f"lower {lower} is greater than upper {upper}")
    slope = (lower + upper) / 2
    if training and isinstance(input, Tensor) and input.dtype.is_floating_point:
        slope = rand(input.shape, dtype=input.dtype, device=input.device) * (upper - lower) + lower
    return _apply("rrelu", input, inplace, _leaky, slope)


def _threshold(x, threshold, value):
    return where(x <= threshold, value, x)


def threshold(input, threshold, value, inplace=False) -> Tensor:
    """x where x > threshold, else value."""
    return _apply("threshold", input, inplace, _threshold, threshold, value)


def _hardtanh(x, low, high):
    return where(x <= low, low, where(x >= high, high, x))


def hardtanh(input, min_val=-1.0, max_val=1.0, inplace=False) -> Tensor:
    """x held within min_val..max_val. The slope at both ends is 0 (that of clamp is 1).

    Raises:
        ArgumentError: min_val above max_val.
    """
    if min_val > max_val:
        _refuse("hardtanh", f"min_val {min_val} is greater than max_val {max_val}")
    if isinstance(input, Tensor) and not input.dtype.is_floating_point:
        min_val, max_val = int(min_val), int(max_val)
    return _apply("hardtanh", input, inplace, _hardtanh, min_val, max_val)


def relu6(input, inplace=False) -> Tensor:
    """min(max(x, 0), 6) (Howard et al. 2017)."""
    return hardtanh(input, 0.0, 6.0, inplace)


def hardsigmoid(input, inplace=False) -> Tensor:
    """0 below -3, 1 above 3, x / 6 + 1/2 between."""
    return _apply("hardsigmoid", input, inplace, lambda x: _hardtanh(x + 3, 0.0, 6.0) / 6)


def hardswish(input, inplace=False) -> Tensor:
    """x hardsigmoid(x) (Howard et al. 2019)."""
    return _apply("hardswish", input, inplace, functions.hardswish)


def hardshrink(input, lambd=0.5) -> Tensor:
    """0 for |x| <= lambd, else x."""
    return _apply("hardshrink", input, False, lambda x: where((x >= -lambd) & (x <= lambd), 0.0, x))


def softshrink(input, lambd=0.5) -> Tensor:
    """0 for |x| <= lambd, else x moved towards 0 by lambd.

    Raises:
        ArgumentError: lambd below 0.
    """
    if lambd < 0:
        _refuse("softshrink", f"lambd must not be negative, got {lambd}")
    shrink = lambda x: where(x > lambd, x - lambd, where(x < -lambd, x + lambd, where(x == x, 0.0, x)))  # noqa: E731
    return _apply("softshrink", input, False, shrink)


# ---------------------------------------------------------------- with an exponential
def _elu(x, alpha, scale, rate):
    below = x.masked_fill(x > 0, 0.0)  # no overflow on the side that is not used, and no gradient from there
    return where(x > 0, x * scale, (below * rate).expm1() * (alpha * scale))


def elu(input, alpha=1.0, inplace=False) -> Tensor:
    """x where x > 0, else alpha (e^x - 1) (Clevert et al. 2016)."""
    return _apply("elu", input, inplace, _elu, alpha, 1.0, 1.0)


def selu(input, inplace=False) -> Tensor:
    """elu scaled so that mean 0 and variance 1 stay from layer to layer: 1.0507 elu(x, 1.6733) (Klambauer et al. 2017)."""
    return _apply("selu", input, inplace, _elu, _ALPHA, _SCALE, 1.0)


def celu(input, alpha=1.0, inplace=False) -> Tensor:
    """x where x > 0, else alpha (e^(x / alpha) - 1): its slope has no jump for any alpha (Barron 2017).

    Raises:
        ArgumentError: alpha is 0.
    """
    if alpha == 0:
        _refuse("celu", "alpha cannot be 0")
    return _apply("celu", input, inplace, _elu, alpha, 1.0, 1.0 / alpha)


def silu(input, inplace=False) -> Tensor:
    """x sigmoid(x) (Elfwing et al. 2017)."""
    return _apply("silu", input, inplace, fused.silu)


def mish(input, inplace=False) -> Tensor:
    """x tanh(ln(1 + e^x)) (Misra 2019)."""
    return _apply("mish", input, inplace, fused.mish)


def softplus(input, beta=1.0, threshold=20.0) -> Tensor:
    """ln(1 + e^(beta x)) / beta; where beta x > threshold, x itself, as in PyTorch."""

    def function(x):
        z = x * beta
        high = z > threshold
        z = z.masked_fill(high, 0.0)
        return where(high, x, logaddexp(z, 0.0) / beta)

    return _apply("softplus", input, False, function)


def logsigmoid(input) -> Tensor:
    """ln sigmoid(x) = -ln(1 + e^-x), without overflow."""
    return _apply("logsigmoid", input, False, lambda x: -logaddexp(-x, 0.0))


def softsign(input) -> Tensor:
    """x / (1 + |x|)."""
    return _apply("softsign", input, False, lambda x: x / (x.abs() + 1))


def tanhshrink(input) -> Tensor:
    """x - tanh(x)."""
    return _apply("tanhshrink", input, False, lambda x: x - tanh(x))


# ---------------------------------------------------------------- along a dimension
def glu(input, dim=-1) -> Tensor:
    """a sigmoid(b), where a and b are the two halves of input along dim (Dauphin et al. 2017).

    Raises:
        ShapeError: the halves would be unequal, or there is no dimension.
    """

    def function(x):
        if not x.ndim:
            raise errors.ShapeError(here("glu: a 0-dimensional input has no halves"))
        if not -x.ndim <= dim < x.ndim:
            raise errors.IndexRangeError(here(f"glu: {errors.dim_fault(dim, x.ndim)}"))
        if x.shape[dim] % 2:
            text = f"glu: dimension {dim} must be even to be halved, it is {x.shape[dim]}: input {errors.describe(x)}"
            raise errors.ShapeError(here(text))
        a, b = x.split(x.shape[dim] // 2, dim) if x.shape[dim] else (x, x)
        return a * sigmoid(b)

    return _apply("glu", input, False, function)


def _implicit(name, input, level):
    """The dim that PyTorch takes where none is given, with its warning."""
    warnings.warn(
        f"{name}: dim is not given, which is deprecated; write dim=0 or dim=1 (of images), or mostly dim=-1",
        stacklevel=level + 1 if isinstance(level, int) else 4,
    )
    return 0 if getattr(input, "ndim", 0) in (0, 1, 3) else 1


def softmax(input, dim=None, _stacklevel=3, dtype=None, *, axis=None) -> Tensor:
    """exp(x) / sum(exp(x)) along dim, without overflow.

    Without dim, which is deprecated, along dimension 0 of tensors of 0, 1 and 3 dimensions, else along 1, as in PyTorch.
    """
    only_tensor("softmax", input)
    if dim is None and axis is None:
        dim = _implicit("softmax", input, _stacklevel)
    return _softmax(input, dim, _stacklevel, dtype, axis=axis)


def log_softmax(input, dim=None, _stacklevel=3, dtype=None, *, axis=None) -> Tensor:
    """x - ln sum exp(x) along dim, without overflow. Without dim: see softmax."""
    only_tensor("log_softmax", input)
    if dim is None and axis is None:
        dim = _implicit("log_softmax", input, _stacklevel)
    return _log_softmax(input, dim, _stacklevel, dtype, axis=axis)


def softmin(input, dim=None, _stacklevel=3, dtype=None) -> Tensor:
    """softmax(-x) along dim. Without dim: see softmax."""
    only_tensor("softmin", input)
    if dim is None:
        dim = _implicit("softmin", input, _stacklevel)
    return softmax(-input, dim, dtype=dtype)


def gumbel_softmax(logits, tau=1, hard=False, eps=1e-10, dim=-1) -> Tensor:
    """softmax((logits + noise) / tau) along dim with Gumbel noise: a sample of the classes with a gradient (Jang et al. 2017).

    hard: the sample is one-hot, its gradient that of the soft one. eps has no effect, as in PyTorch.

    Raises:
        ArgumentError: tau is not positive.
    """
    if not tau > 0:
        _refuse("gumbel_softmax", f"tau must be positive, got {tau}")

    def function(x):
        u = cast(rand(x.shape, device=x.device, dtype="float64"), x.dtype)
        exponential = -(-u).log1p()  # of mean 1; its -ln is Gumbel noise
        tiny = 1e-7 if x.dtype.itemsize > 2 else 1e-4
        soft = softmax((x - exponential.clamp(min=tiny).log()) / tau, dim)
        if not hard:
            return soft
        index = soft.argmax(dim, keepdim=True)
        one = (soft.detach() * 0).scatter(dim, index, 1.0)
        return one - soft.detach() + soft

    return _apply("gumbel_softmax", logits, False, function)


relu_, leaky_relu_, rrelu_, threshold_ = (_in_place(f) for f in (relu, leaky_relu, rrelu, threshold))
hardtanh_, elu_, selu_, celu_ = (_in_place(f) for f in (hardtanh, elu, selu, celu))


Tensor.prelu, Tensor.hardshrink = prelu, hardshrink  # in PyTorch these two are methods as well
