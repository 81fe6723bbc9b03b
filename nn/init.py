"""Initial weights, in place and without recording, under PyTorch's names. Drawn on the host: alike on every device."""

import math
import warnings

from tensorlite import errors
from tensorlite.creation import as_tensor, empty, eye
from tensorlite.linalg import qr
from tensorlite.modes import no_grad
from tensorlite.ops.select import where
from tensorlite.random import randperm


def calculate_gain(nonlinearity, param=None) -> float:
    """The factor that keeps the variance of activations: 1 linear, sqrt(2) relu, 5/3 tanh, ... (He et al. 2015)."""
    if nonlinearity == "leaky_relu":
        return math.sqrt(2 / (1 + (0.01 if param is None else param) ** 2))
    gains = dict.fromkeys(("linear", "sigmoid", *(f"conv{t}{d}d" for t in ("", "_transpose") for d in (1, 2, 3))), 1.0)
    gains |= {"tanh": 5 / 3, "relu": math.sqrt(2), "selu": 0.75}
    if nonlinearity not in gains:
        raise errors.ArgumentError(
            f"calculate_gain: unknown nonlinearity {nonlinearity!r}; known: leaky_relu, {', '.join(gains)}"
        )
    return gains[nonlinearity]


def _calculate_fan_in_and_fan_out(tensor):
    """(fan-in, fan-out) of a weight (out, in, *field), as sums of products."""
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
    bound = gain * math.sqrt(6 / sum(_calculate_fan_in_and_fan_out(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor, gain=1.0, generator=None):
    """Normal with standard deviation gain sqrt(2 / (fan_in + fan_out)) (Glorot and Bengio 2010)."""
    return normal_(tensor, 0.0, gain * math.sqrt(2 / sum(_calculate_fan_in_and_fan_out(tensor))), generator)


def _he(tensor, a, mode, nonlinearity):
    if mode not in ("fan_in", "fan_out"):
        raise errors.ArgumentError(f"kaiming: mode must be 'fan_in' or 'fan_out', not {mode!r}")
    fan = _calculate_fan_in_and_fan_out(tensor)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) / math.sqrt(fan) if fan else 0.0  # 0: there is nothing to fill


def kaiming_uniform_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    """Uniform in +-sqrt(3) gain / sqrt(fan) (He et al. 2015)."""
    bound = math.sqrt(3) * _he(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    """Normal with standard deviation gain / sqrt(fan) (He et al. 2015)."""
    return normal_(tensor, 0.0, _he(tensor, a, mode, nonlinearity), generator)


def _needs(name, tensor, low, high):
    if not low <= tensor.ndim <= high:
        wanted = f"{low}" if low == high else f"{low} to {high}" if high < 9 else f"at least {low}"
        raise errors.ShapeError(f"{name}: needs a tensor of {wanted} dimensions, got {errors.describe(tensor)}")


@no_grad
def eye_(tensor):
    """The identity matrix, ones on the diagonal of a matrix that need not be square."""
    _needs("eye_", tensor, 2, 2)
    return tensor.copy_(eye(*tensor.shape, dtype=tensor.dtype, device=tensor.device))


@no_grad
def dirac_(tensor, groups=1):
    """A convolution (out, in / groups, *field) that hands its channels on: 1 at the centre of the field where out is in, in each group.

    Raises:
        ShapeError: not 3 to 5 dimensions. ArgumentError: out is not a multiple of groups.
    """
    _needs("dirac_", tensor, 3, 5)
    if tensor.shape[0] % groups:
        raise errors.ArgumentError(f"dirac_: {tensor.shape[0]} channels cannot be split into {groups} groups")
    each = tensor.shape[0] // groups
    centre = tuple(n // 2 for n in tensor.shape[2:])
    tensor.fill_(0)
    for group in range(groups):
        for i in range(min(each, tensor.shape[1])):
            tensor[(group * each + i, i, *centre)] = 1
    return tensor


@no_grad
def orthogonal_(tensor, gain=1, generator=None):
    """A (semi-)orthogonal matrix times gain, all dimensions after the first taken as one (Saxe et al. 2013)."""
    _needs("orthogonal_", tensor, 2, 9)
    if not tensor.numel():
        return tensor
    rows, columns = tensor.shape[0], tensor.numel() // tensor.shape[0]
    flat = empty(rows, columns, dtype="float64", device=tensor.device).normal_(generator=generator)
    q, r = qr(flat.t() if rows < columns else flat)
    q = q * r.diagonal().sign()  # uniform over all such matrices
    return tensor.copy_((q.t() if rows < columns else q).reshape(tensor.shape) * gain)


@no_grad
def sparse_(tensor, sparsity, std=0.01, generator=None):
    """A matrix of normal values with ceil(sparsity * rows) zeros at random places of each column (Martens 2010)."""
    _needs("sparse_", tensor, 2, 2)
    rows, columns = tensor.shape
    zeros = math.ceil(sparsity * rows)
    tensor.normal_(0, std, generator=generator)
    for column in range(columns):
        tensor[randperm(rows, generator=generator).to(tensor.device)[:zeros], column] = 0
    return tensor


def _old(new):
    """The name without the underscore, which PyTorch still takes."""

    def old(*args, **kwargs):
        warnings.warn(f"nn.init.{new.__name__[:-1]} is an old name: use {new.__name__}", FutureWarning, stacklevel=2)
        return new(*args, **kwargs)

    old.__name__, old.__doc__ = new.__name__[:-1], f"Old name of {new.__name__}."
    return old


uniform, normal, constant, dirac = _old(uniform_), _old(normal_), _old(constant_), _old(dirac_)
xavier_uniform, xavier_normal = _old(xavier_uniform_), _old(xavier_normal_)
kaiming_uniform, kaiming_normal = _old(kaiming_uniform_), _old(kaiming_normal_)
orthogonal, sparse = _old(orthogonal_), _old(sparse_)
