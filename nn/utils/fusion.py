"""`tl.nn.utils.fusion`: a batch norm in evaluation folded into the convolution or linear layer before it."""

import copy

from tensorlite import errors
from tensorlite.creation import ones_like, zeros_like
from tensorlite.nn.parameter import Parameter

__all__ = ["fuse_conv_bn_eval", "fuse_conv_bn_weights", "fuse_linear_bn_eval", "fuse_linear_bn_weights"]


def _fused(weight, bias, mean, var, eps, gamma, beta, shape):
    """w gamma / sqrt(var + eps) and (b - mean) gamma / sqrt(var + eps) + beta, as parameters."""
    factor = (var + eps).rsqrt() * (ones_like(mean) if gamma is None else gamma)
    b = ((zeros_like(mean) if bias is None else bias) - mean) * factor + (zeros_like(mean) if beta is None else beta)
    trained = bias.requires_grad if bias is not None else weight.requires_grad
    w = (weight * factor.to(weight.dtype).reshape(shape)).detach()
    return Parameter(w, weight.requires_grad), Parameter(
        b.detach().to(w.dtype if bias is None else bias.dtype), trained
    )


def fuse_conv_bn_weights(conv_w, conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, transpose=False):
    """(weight, bias) of the convolution that does what one and a batch norm after it do.

    weight w / sqrt(rv + eps) for each output channel, bias (b - rm) w / sqrt(rv + eps) + bn_b; conv_b, bn_w and bn_b may be None.
    transpose: for a transposed convolution (without groups).
    """
    shape = [1] * conv_w.ndim
    shape[1 if transpose else 0] = -1
    return _fused(conv_w, conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, shape)


def fuse_linear_bn_weights(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b):
    """(weight, bias) of the linear layer that does what one and a batch norm after it do; see fuse_conv_bn_weights."""
    return _fused(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, (-1, 1))


def _ready(what, layer, bn):
    if layer.training or bn.training:
        raise errors.ArgumentError(
            f"{what}: both must be in evaluation mode, as in training the statistics are those of the batch: call eval()"
        )
    if bn.running_mean is None or bn.running_var is None:
        raise errors.ArgumentError(f"{what}: {type(bn).__name__} has no running statistics (track_running_stats=False)")


def fuse_conv_bn_eval(conv, bn, transpose=False):
    """A copy of the convolution `conv` that gives bn(conv(x)), for both in evaluation mode.

    Raises:
        ArgumentError: one of them is in training mode, or bn keeps no running statistics.

    Example:
        >>> import tensorlite as tl
        >>> conv, bn = tl.nn.Conv2d(3, 8, 3).eval(), tl.nn.BatchNorm2d(8).eval()
        >>> fused, x = tl.nn.utils.fusion.fuse_conv_bn_eval(conv, bn), tl.randn(2, 3, 5, 5)
        >>> tl.allclose(fused(x), bn(conv(x)), atol=1e-5)
        True
    """
    _ready("fuse_conv_bn_eval", conv, bn)
    fused = copy.deepcopy(conv)
    fused.weight, fused.bias = fuse_conv_bn_weights(
        fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias, transpose
    )
    return fused


def fuse_linear_bn_eval(linear, bn):
    """A copy of the layer `linear` that gives bn(linear(x)), for both in evaluation mode.

    Raises:
        ArgumentError: one of them is in training mode, bn keeps no running statistics, or has another number of features.
    """
    _ready("fuse_linear_bn_eval", linear, bn)
    if linear.out_features != bn.num_features and bn.num_features != 1:
        raise errors.ArgumentError(
            f"fuse_linear_bn_eval: the linear layer has {linear.out_features} outputs, the batch norm {bn.num_features} features"
        )
    fused = copy.deepcopy(linear)
    fused.weight, fused.bias = fuse_linear_bn_weights(
        fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias
    )
    return fused
