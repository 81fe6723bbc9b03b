"""Normalisation by statistics of channels, groups and neighbours, and of vectors to length 1. layer_norm and rms_norm are
operations of the engine (ops/fused.py)."""

from tensorlite import errors
from tensorlite.modes import no_grad
from tensorlite.ops.batchnorm import BatchMoments, BatchNorm, GroupNorm
from tensorlite.ops.conv import whole
from tensorlite.ops.convert import cast
from tensorlite.ops.pad import pad
from tensorlite.ops.pool import avg_pool2d
from tensorlite.tensor import Tensor, here, path

__all__ = ["batch_norm", "group_norm", "instance_norm", "local_response_norm", "normalize"]


# ---------------------------------------------------------------- checks
def fault(name, text, *tensors, kind=errors.ShapeError):
    """The error of a layer's function: what is wrong, the arguments, the place in the model."""
    table = errors.argument_table(("input", "weight", "bias", "running_mean", "running_var"), tensors)
    return kind(errors.compose(name, text, table, path()))


def _check(name, input, least, weight=None, bias=None, mean=None, var=None):
    """Refuse what is no floating-point tensor (N, C, ...), and vectors that do not have one number for each channel."""
    if not isinstance(input, Tensor):
        raise errors.DTypeError(here(f"{name}: input must be a Tensor, not {type(input).__name__}"))
    if not input.dtype.is_floating_point:
        raise fault(name, "a floating-point tensor is needed; use x.float()", input, kind=errors.DTypeError)
    if input.ndim < least:
        raise fault(name, f"input must have at least {least} dimensions, (N, C, ...)", input)
    given = zip(("weight", "bias", "running_mean", "running_var"), (weight, bias, mean, var), strict=True)
    for what, v in given:
        if v is not None and tuple(v.shape) != (input.shape[1],):
            text = f"input has {input.shape[1]} channels, {what} {tuple(v.shape)} expects {v.numel()}"
            raise fault(name, text, input, weight, bias, mean, var)
        if (
            v is not None
            and v.dtype is not input.dtype
            and not (v.dtype.name == "float32" and input.dtype.itemsize == 2)
        ):
            text = f"input is {input.dtype.name}, {what} {v.dtype.name}; convert one, e.g. x.to(tl.{v.dtype.name})"
            raise fault(name, text, input, weight, bias, mean, var, kind=errors.DTypeError)


def _per_channel(x):
    """How many elements each channel has."""
    return x.numel() // x.shape[1] if x.shape[1] else 0


@no_grad
def _average(running, new, momentum):
    """running = (1 - momentum) running + momentum new, in place."""
    if running is not None:
        running.mul_(1 - momentum).add_(cast(new, running.dtype) * momentum)


# ---------------------------------------------------------------- of channels
def batch_norm(
    input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias for each channel of input (N, C, *) (Ioffe and Szegedy 2015).

    training: mean and variance are those of the batch, the variance divided by n; the running ones, where given, move by
    `momentum` towards them in place, the variance there divided by n - 1. Otherwise: the running ones themselves.

    Raises:
        ShapeError: one element for each channel in training (its variance is 0), or vectors of another length than C.
        ArgumentError: no running statistics when not training.
    """
    _check("batch_norm", input, 2, weight, bias, running_mean, running_var)
    if not training:
        if running_mean is None or running_var is None:
            raise fault("batch_norm", "running_mean and running_var are needed when training is False", input,
                        kind=errors.ArgumentError)  # fmt: skip
        shape, scale = (-1, *[1] * (input.ndim - 2)), (running_var + eps).rsqrt()
        scale = scale if weight is None else scale * weight
        y = (input - running_mean.reshape(shape)) * scale.reshape(shape)
        return cast(y if bias is None else y + bias.reshape(shape), input.dtype)
    n = _per_channel(input)
    if n == 1:
        raise fault(
            "batch_norm", "more than 1 element for each channel is needed in training, to have a variance", input
        )
    mean, var = BatchMoments.apply(input.detach())
    out = cast(BatchNorm.apply(input, weight, bias, mean, var, eps=eps), input.dtype)  # bfloat16 met float32 weights
    if n:
        _average(running_mean, mean, momentum)
        _average(running_var, var * (n / (n - 1)), momentum)
    return out


def instance_norm(input, running_mean=None, running_var=None, weight=None, bias=None, use_input_stats=True, momentum=0.1,
                  eps=1e-5) -> Tensor:  # fmt: skip
    """batch_norm with the mean and variance of each channel of each sample by itself (Ulyanov et al. 2016).

    Running statistics, where given, move towards the mean of those of the samples. use_input_stats=False: they are used
    instead, as in batch_norm.

    Raises:
        ShapeError: one element for each channel of a sample, or vectors of another length than C.
        ArgumentError: neither the input's statistics nor running ones.
    """
    _check("instance_norm", input, 2, weight, bias, running_mean, running_var)
    if not use_input_stats:
        if running_mean is None or running_var is None:
            text = "running_mean and running_var are needed when use_input_stats is False"
            raise fault("instance_norm", text, input, kind=errors.ArgumentError)
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    n, c, *size = input.shape
    count = _per_channel(input) // n if n else 0
    if count == 1:
        raise fault("instance_norm", "more than 1 spatial element is needed, to have a variance", input)
    if running_mean is not None or running_var is not None:
        mean, var = BatchMoments.apply(input.detach().reshape(1, n * c, *size))
        _average(running_mean, mean.reshape(n, c).mean(0), momentum)
        _average(running_var, var.reshape(n, c).mean(0) * (count / (count - 1)), momentum)
    return cast(GroupNorm.apply(input, weight, bias, groups=c, eps=eps), input.dtype)


def group_norm(input, num_groups, weight=None, bias=None, eps=1e-5) -> Tensor:
    """(x - mean) / sqrt(var + eps) over each group of C / num_groups neighbouring channels of a sample of input (N, C, *), then
    * weight + bias channel by channel (Wu and He 2018).

    Raises:
        ShapeError: num_groups does not divide C, one element for each group, or vectors of another length than C.
    """
    _check("group_norm", input, 2, weight, bias)
    whole("group_norm", "num_groups", num_groups, 1)
    n, c = input.shape[:2]
    if c % num_groups:
        raise fault("group_norm", f"num_groups={num_groups} does not divide the {c} channels", input, weight, bias)
    size = _per_channel(input) // n * (c // num_groups) if n else 0
    if n * size == 1:
        raise fault("group_norm", "more than 1 element for each group is needed, to have a variance", input)
    return cast(GroupNorm.apply(input, weight, bias, groups=num_groups.__index__(), eps=eps), input.dtype)


def local_response_norm(input, size, alpha=1e-4, beta=0.75, k=1.0) -> Tensor:
    """x / (k + alpha mean of x^2 over `size` neighbouring channels)^beta (Krizhevsky et al. 2012); input (N, C, *).

    Channels beyond the first and the last count as 0.

    Raises:
        ShapeError: less than 3 dimensions. ArgumentError: size below 1.
    """
    _check("local_response_norm", input, 3)
    whole("local_response_norm", "size", size, 1)
    if not input.numel():
        return input
    n, c, *rest = input.shape
    squares = (input * input).reshape(n, 1, c, input.numel() // (n * c))
    squares = pad(squares, (0, 0, size // 2, (size - 1) // 2))
    means = avg_pool2d(squares, (size, 1), stride=1).reshape(n, c, *rest)
    return input / (means * alpha + k) ** beta


# ---------------------------------------------------------------- of vectors
def normalize(input, p=2.0, dim=1, eps=1e-12, out=None) -> Tensor:
    """x / max(norm of x, eps): vectors along dim (an int or a tuple) brought to p-norm 1. Vectors of 0 stay 0.

    Raises:
        IndexRangeError: dim out of range. ArgumentError: out is given (it is not supported).
    """
    if out is not None:
        raise errors.ArgumentError("normalize: out= is not supported; use the result")
    return input / input.norm(p, dim, keepdim=True).clamp_min(eps)
