"""Activation functions that are not operations of the engine themselves."""

from tensorlite.ops.functions import relu, sigmoid, tanh
from tensorlite.ops.fused import gelu, log_softmax, softmax
from tensorlite.tensor import Tensor

__all__ = ["gelu", "log_softmax", "relu", "sigmoid", "silu", "softmax", "tanh"]


def silu(input, inplace=False) -> Tensor:
    """x sigmoid(x) (Elfwing et al. 2017)."""
    return input * sigmoid(input)
