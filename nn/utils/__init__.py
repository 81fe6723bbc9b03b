"""Helpers around parameters and modules, as in torch.nn.utils: gradient clipping, parameters as a vector, weights computed from
others (`parametrize`, `parametrizations`, `prune`), batch norm folded in (`fusion`), sequences of different lengths (`rnn`)."""

from tensorlite.nn.utils import fusion, parametrizations, parametrize, prune, rnn, stateless
from tensorlite.nn.utils.clip_grad import (
    clip_grad_norm,
    clip_grad_norm_,
    clip_grad_value_,
    clip_grads_with_norm_,
    get_total_norm,
)
from tensorlite.nn.utils.convert_parameters import parameters_to_vector, vector_to_parameters
from tensorlite.nn.utils.fusion import (
    fuse_conv_bn_eval,
    fuse_conv_bn_weights,
    fuse_linear_bn_eval,
    fuse_linear_bn_weights,
)
from tensorlite.nn.utils.init import skip_init
from tensorlite.nn.utils.weight_norm import remove_spectral_norm, remove_weight_norm, spectral_norm, weight_norm

__all__ = [
    "clip_grad_norm",
    "clip_grad_norm_",
    "clip_grad_value_",
    "clip_grads_with_norm_",
    "fuse_conv_bn_eval",
    "fuse_conv_bn_weights",
    "fuse_linear_bn_eval",
    "fuse_linear_bn_weights",
    "fusion",
    "get_total_norm",
    "parameters_to_vector",
    "parametrizations",
    "parametrize",
    "prune",
    "remove_spectral_norm",
    "remove_weight_norm",
    "rnn",
    "skip_init",
    "spectral_norm",
    "stateless",
    "vector_to_parameters",
    "weight_norm",
]
