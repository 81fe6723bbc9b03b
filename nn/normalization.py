"""Normalisation over the last dimensions (LayerNorm, RMSNorm), over groups of channels, over neighbouring channels."""

from tensorlite import errors
from tensorlite.creation import ones, zeros
from tensorlite.nn import functional as F, init
from tensorlite.nn.module import Module
from tensorlite.nn.parameter import Parameter
from tensorlite.ops.conv import whole

__all__ = ["GroupNorm", "LayerNorm", "LocalResponseNorm", "RMSNorm"]


class _OverLast(Module):
    """The weights of LayerNorm and RMSNorm, of the shape that they normalise."""

    def __init__(self, normalized_shape, eps, affine, bias, device, dtype):
        super().__init__()
        shape = tuple(normalized_shape) if isinstance(normalized_shape, (tuple, list)) else (normalized_shape,)
        if not shape or any(not hasattr(n, "__index__") or n < 0 for n in shape):
            raise errors.ArgumentError(
                f"{type(self).__name__}: normalized_shape must be a size or several, none negative, got {normalized_shape}"
            )
        self.normalized_shape, self.eps, self.elementwise_affine = shape, eps, affine
        self.register_parameter("weight", Parameter(ones(shape, device=device, dtype=dtype)) if affine else None)
        if bias is not None:
            value = Parameter(zeros(shape, device=device, dtype=dtype)) if affine and bias else None
            self.register_parameter("bias", value)

    def reset_parameters(self):
        """Weight 1, bias 0."""
        _reset(self)

    def extra_repr(self):
        text = f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        return f"{text}, bias={self.bias is not None}" if "bias" in self._parameters else text


def _reset(layer):
    for name, start in (("weight", init.ones_), ("bias", init.zeros_)):
        if layer._parameters.get(name) is not None:
            start(layer._parameters[name])


class LayerNorm(_OverLast):
    """(x - mean) / sqrt(var + eps) * weight + bias over the last dimensions `normalized_shape` (Ba, Kiros and Hinton 2016).

    weight (1 at the start) and bias (0) have that shape; elementwise_affine=False: neither; bias=False: no bias.

    Raises:
        ShapeError: an input whose last dimensions are others.

    Example:
        >>> import tensorlite as tl
        >>> tl.nn.LayerNorm(2)(tl.tensor([[1.0, 3.0]]))
        tensor([[-1.0000,  1.0000]], grad_fn=<layer_norm>)
    """

    def __init__(self, normalized_shape, eps=1e-5, elementwise_affine=True, bias=True, device=None, dtype=None):
        super().__init__(normalized_shape, eps, elementwise_affine, bool(bias), device, dtype)

    def forward(self, input):
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)


class RMSNorm(_OverLast):
    """x / sqrt(mean(x^2) + eps) * weight over the last dimensions `normalized_shape` (Zhang and Sennrich 2019).

    eps=None: the smallest step at 1 of the input's dtype.

    Raises:
        ShapeError: an input whose last dimensions are others.
    """

    def __init__(self, normalized_shape, eps=None, elementwise_affine=True, device=None, dtype=None):
        super().__init__(normalized_shape, eps, elementwise_affine, None, device, dtype)

    def forward(self, x):
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)


class GroupNorm(Module):
    """(x - mean) / sqrt(var + eps) over each of num_groups groups of channels of a sample, * weight + bias (Wu and He 2018).

    input (N, C, *) with C = num_channels; weight (C,) is 1 at the start, bias (C,) 0. One group: layer norm of a sample;
    C groups: instance norm.

    Raises:
        ArgumentError: num_groups does not divide num_channels. ShapeError: another number of channels.

    Example:
        >>> import tensorlite as tl
        >>> tl.nn.GroupNorm(2, 6)(tl.ones(5, 6, 4, 4)).shape
        (5, 6, 4, 4)
    """

    def __init__(self, num_groups, num_channels, eps=1e-5, affine=True, device=None, dtype=None, *, bias=True):
        super().__init__()
        whole("GroupNorm", "num_groups", num_groups, 1)
        whole("GroupNorm", "num_channels", num_channels)
        if num_channels % num_groups:
            raise errors.ArgumentError(
                f"GroupNorm: num_channels={num_channels} must be a multiple of num_groups={num_groups}"
            )
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        where = {"device": device, "dtype": dtype}
        self.register_parameter("weight", Parameter(ones(num_channels, **where)) if affine else None)
        self.register_parameter("bias", Parameter(zeros(num_channels, **where)) if affine and bias else None)

    def reset_parameters(self):
        """Weight 1, bias 0."""
        _reset(self)

    def forward(self, input):
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self):
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, bias={self.bias is not None}"


class LocalResponseNorm(Module):
    """x / (k + alpha mean of x^2 over `size` neighbouring channels)^beta (Krizhevsky et al. 2012); (N, C, *)."""

    def __init__(self, size, alpha=1e-4, beta=0.75, k=1.0):
        super().__init__()
        whole("LocalResponseNorm", "size", size, 1)
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, input):
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self):
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
