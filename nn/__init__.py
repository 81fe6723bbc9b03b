"""Layers, containers and losses, imported as `tensorlite.nn`; the functions behind them are in `nn/functional.py`."""

if not __name__.startswith("tensorlite."):
    raise ImportError(
        "nn is a part of tensorlite: write `import tensorlite.nn as nn` instead of `import nn`. "
        "A plain `import nn` would load every class twice, and a Module of one copy is no Module to the other."
    )

from tensorlite.nn import functional, init, utils
from tensorlite.nn.activation import GELU, Dropout, LogSoftmax, ReLU, Sigmoid, SiLU, Softmax, Tanh
from tensorlite.nn.attention import MultiheadAttention
from tensorlite.nn.container import ModuleDict, ModuleList, Sequential
from tensorlite.nn.linear import Identity, Linear
from tensorlite.nn.loss import CrossEntropyLoss, MSELoss, NLLLoss
from tensorlite.nn.module import Module
from tensorlite.nn.normalization import LayerNorm, RMSNorm
from tensorlite.nn.parameter import Buffer, Parameter
from tensorlite.nn.sparse import Embedding

__all__ = [
    "GELU",
    "Buffer",
    "CrossEntropyLoss",
    "Dropout",
    "Embedding",
    "Identity",
    "LayerNorm",
    "Linear",
    "LogSoftmax",
    "MSELoss",
    "Module",
    "ModuleDict",
    "ModuleList",
    "MultiheadAttention",
    "NLLLoss",
    "Parameter",
    "RMSNorm",
    "ReLU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "functional",
    "init",
    "utils",
]
