"""Layers, containers and losses, imported as `tensorlite.nn`; the functions behind them are in `nn/functional.py`."""

if not __name__.startswith("tensorlite."):
    raise ImportError(
        "nn is a part of tensorlite: write `import tensorlite.nn as nn` instead of `import nn`. "
        "A plain `import nn` would load every class twice, and a Module of one copy is no Module to the other."
    )

from tensorlite.nn import (
    activation,
    adaptive,
    batchnorm,
    conv,
    distance,
    dropout,
    flatten,
    fold,
    functional,
    init,
    instancenorm,
    lazy,
    loss,
    modules,
    normalization,
    padding,
    parallel,
    parameters,
    pooling,
    positional,
    rnn,
    rnn_cells,
    sparse,
    transformer,
    upsampling,
    utils,
)
from tensorlite.nn.activation import *
from tensorlite.nn.adaptive import *
from tensorlite.nn.attention import MultiheadAttention
from tensorlite.nn.batchnorm import *
from tensorlite.nn.container import ModuleDict, ModuleList, Sequential
from tensorlite.nn.conv import *
from tensorlite.nn.distance import *
from tensorlite.nn.dropout import *
from tensorlite.nn.flatten import *
from tensorlite.nn.fold import *
from tensorlite.nn.hooks import (
    register_module_backward_hook,
    register_module_buffer_registration_hook,
    register_module_forward_hook,
    register_module_forward_pre_hook,
    register_module_full_backward_hook,
    register_module_full_backward_pre_hook,
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)
from tensorlite.nn.instancenorm import *
from tensorlite.nn.lazy import *
from tensorlite.nn.lazy import LazyModuleMixin
from tensorlite.nn.linear import Bilinear, Identity, Linear, NonDynamicallyQuantizableLinear
from tensorlite.nn.loss import *
from tensorlite.nn.module import Module
from tensorlite.nn.normalization import *
from tensorlite.nn.padding import *
from tensorlite.nn.parallel import DataParallel
from tensorlite.nn.parameter import Buffer, Parameter, UninitializedBuffer, UninitializedParameter
from tensorlite.nn.parameters import *
from tensorlite.nn.pooling import *
from tensorlite.nn.positional import *
from tensorlite.nn.rnn import *
from tensorlite.nn.rnn_cells import *
from tensorlite.nn.sparse import *
from tensorlite.nn.transformer import *
from tensorlite.nn.upsampling import *

__all__ = [
    "Bilinear",
    "Buffer",
    "DataParallel",
    "Identity",
    "Linear",
    "Module",
    "ModuleDict",
    "ModuleList",
    "MultiheadAttention",
    "NonDynamicallyQuantizableLinear",
    "Parameter",
    "Sequential",
    "UninitializedBuffer",
    "UninitializedParameter",
    "functional",
    "init",
    "parallel",
    "utils",
]
__all__ += activation.__all__
__all__ += adaptive.__all__
__all__ += batchnorm.__all__
__all__ += conv.__all__
__all__ += distance.__all__
__all__ += dropout.__all__
__all__ += flatten.__all__
__all__ += fold.__all__
__all__ += instancenorm.__all__
__all__ += lazy.__all__
__all__ += loss.__all__
__all__ += normalization.__all__
__all__ += padding.__all__
__all__ += parameters.__all__
__all__ += pooling.__all__
__all__ += positional.__all__
__all__ += rnn.__all__
__all__ += rnn_cells.__all__
__all__ += sparse.__all__
__all__ += transformer.__all__
__all__ += upsampling.__all__
