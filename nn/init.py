"""Initial weights, in place and without recording, under PyTorch's names. Drawn on the host: alike on every device."""

import math

from tensorlite import errors
from tensorlite.modes import no_grad


def calculate_gain(nonlinearity, param=None) -> float:
    """The factor that keeps the variance of activations: 1 linear, sqrt(2) relu, 5/3 tanh, ... (He et al. 2015)."""
    if nonlinearity == "leaky_relu":
        return math.sqrt(2 / (1 + (0.01 if param is None else param) ** 2))
    gains = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 0.75}
    if nonlinearity not in gains:
        raise errors.ArgumentError(
            f"calculate_gain: unknown nonlinearity {nonlinearity!r}; known: leaky_relu, {', '.join(gains)}"
        )
    return gains[nonlinearity]


def _fans(tensor):
    if tensor.ndim < 2:
        raise errors.ShapeError(f"init: fan-in and fan-out need at least 2 dimensions, got {errors.describe(tensor)}")
    field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * field, tensor.shape[0] * field


@no_grad
def uniform_(tensor, a=0.0, b=1.0, generator=None):
    """Uniform in [a, b)."""
    return tensor.uniform_(a, b, generator=generator)


@no_grad
def normal_(tensor, mean=0.0, std=1.0, generator=None):
    """Normal with the given mean and standard deviation."""
    return tensor.normal_(mean, std, generator=generator)


@no_grad
def trunc_normal_(tensor, mean=0.0, std=1.0, a=-2.0, b=2.0, generator=None):
    """Normal, drawn again where it falls outside of [a, b]."""
    from tensorlite.creation import as_tensor
    from tensorlite.ops.select import where

    values = as_tensor(tensor.detach()).clone().normal_(mean, std, generator=generator)
    while bool(((values < a) | (values > b)).any()):
        fresh = values.clone().normal_(mean, std, generator=generator)
        values = where((values < a) | (values > b), fresh, values)
    return tensor.copy_(values)


@no_grad
def constant_(tensor, val):
    """Every element `val`."""
    return tensor.fill_(val)


def zeros_(tensor):
    """Every element 0."""
    return constant_(tensor, 0.0)


def ones_(tensor):
    """Every element 1."""
    return constant_(tensor, 1.0)


def xavier_uniform_(tensor, gain=1.0, generator=None):
    """Uniform in +-gain sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010)."""
    bound = gain * math.sqrt(6 / sum(_fans(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor, gain=1.0, generator=None):
    """Normal with standard deviation gain sqrt(2 / (fan_in + fan_out)) (Glorot and Bengio 2010)."""
    return normal_(tensor, 0.0, gain * math.sqrt(2 / sum(_fans(tensor))), generator)


def _he(tensor, a, mode, nonlinearity):
    if mode not in ("fan_in", "fan_out"):
        raise errors.ArgumentError(f"kaiming: mode must be 'fan_in' or 'fan_out', not {mode!r}")
    return calculate_gain(nonlinearity, a) / math.sqrt(_fans(tensor)[mode == "fan_out"])


def kaiming_uniform_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    """Uniform in +-sqrt(3) gain / sqrt(fan) (He et al. 2015)."""
    bound = math.sqrt(3) * _he(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    """Normal with standard deviation gain / sqrt(fan) (He et al. 2015)."""
    return normal_(tensor, 0.0, _he(tensor, a, mode, nonlinearity), generator)
