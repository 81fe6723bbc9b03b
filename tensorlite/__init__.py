"""tensorlite: public names only, no logic. models, graph drawing and the command line load when first asked for."""

import importlib as _importlib
import sys as _sys
import warnings as _warnings
from math import e, inf, nan, pi
from os import path as _path

if not _path.isdir(_path.join(__path__[0], "nn")):  # git made no links here: nn/ and models/ lie beside this folder
    __path__.append(_path.dirname(__path__[0]))

from tensorlite import (
    backend as _backend,
    errors,
    fillers as _fillers,
    interop as _interop,
    methods as _methods,
    random as _random,
)
from tensorlite.backend import Device as device, get_default_device, set_default_device
from tensorlite.backend.dtypes import (
    bool_ as bool,
    can_cast,
    complex64,
    complex128,
    dtype,
    finfo,
    float16,
    float32,
    float64,
    get_default_dtype,
    iinfo,
    int8,
    int16,
    int32,
    int64,
    promote_types,
    set_default_dtype,
    uint8,
)
from tensorlite.backend.threads import get_num_threads, set_num_threads
from tensorlite.compat import *
from tensorlite.creation import (
    BoolTensor,
    ByteTensor,
    CharTensor,
    DoubleTensor,
    FloatTensor,
    HalfTensor,
    IntTensor,
    LongTensor,
    ShortTensor,
    arange,
    as_tensor,
    asarray,
    empty,
    empty_like,
    empty_strided,
    eye,
    from_numpy,
    full,
    full_like,
    is_floating_point,
    is_tensor,
    linspace,
    logspace,
    numel,
    ones,
    ones_like,
    result_type,
    scalar_tensor,
    tensor,
    tril_indices,
    triu_indices,
    zeros,
    zeros_like,
)
from tensorlite.gradcheck import gradcheck, gradgradcheck
from tensorlite.modes import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from tensorlite.ops.compare import *
from tensorlite.ops.composite import *
from tensorlite.ops.conv import *
from tensorlite.ops.convert import *
from tensorlite.ops.decompositions import *
from tensorlite.ops.einsum import *
from tensorlite.ops.elementwise import *
from tensorlite.ops.extreme import *
from tensorlite.ops.functions import *
from tensorlite.ops.fused import *
from tensorlite.ops.index import *
from tensorlite.ops.join import *
from tensorlite.ops.linalg import *
from tensorlite.ops.matmul import *
from tensorlite.ops.matrix_functions import *
from tensorlite.ops.norms import *
from tensorlite.ops.pad import *
from tensorlite.ops.pieces import *
from tensorlite.ops.pool import *
from tensorlite.ops.products import *
from tensorlite.ops.rearrange import *
from tensorlite.ops.reduce import *
from tensorlite.ops.resize import *
from tensorlite.ops.scan import *
from tensorlite.ops.scatter import *
from tensorlite.ops.select import *
from tensorlite.ops.shape import *
from tensorlite.ops.sort import *
from tensorlite.ops.special import *
from tensorlite.ops.statistics import *
from tensorlite.ops.steps import *
from tensorlite.ops.views import *
from tensorlite.random import (
    Generator,
    bernoulli,
    binomial,
    get_rng_state,
    initial_seed,
    manual_seed,
    multinomial,
    normal,
    poisson,
    rand,
    rand_like,
    randint,
    randint_like,
    randn,
    randn_like,
    randperm,
    seed,
    set_rng_state,
)
from tensorlite.tensor import Size, Tensor
from tensorlite.windows import *

from tensorlite import autograd, linalg, special  # isort: skip  (after the names it would be hidden by)

from tensorlite import nn, optim  # isort: skip
from tensorlite.nn import swa_utils as _swa_utils  # isort: skip
from tensorlite.nn.functional import (  # isort: skip  (PyTorch has these here too)
    celu,
    celu_,
    cosine_similarity,
    group_norm,
    hardshrink,
    pairwise_distance,
    pdist,
    prelu,
    rms_norm,
    rrelu,
    rrelu_,
    selu,
    selu_,
    threshold,
    threshold_,
)
from tensorlite.nn.functional.toplevel import *  # isort: skip

globals().update(_methods.in_place_functions())
_methods.speak(globals())  # a list in the place of a tensor is refused in words
__version__ = "0.1.0"
float, double, half = float32, float64, float16
short, int, long = int16, int32, int64
cfloat, cdouble = complex64, complex128  # names only: complex numbers are refused
_warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"tensorlite\.")  # log(0) is -inf, without a word

_LAZY = {
    "bfloat16": ("tensorlite.backend.dtypes", "bfloat16"),
    "draw_graph": ("tensorlite.graph", "draw_graph"),
    "explain": ("tensorlite.explainer", "explain"),
    **{name: ("tensorlite.serialization", name) for name in ("save", "load")},
    **{name: ("tensorlite.anomaly", name) for name in ("is_anomaly_enabled", "is_anomaly_check_nan_enabled")},
    "vmap": ("tensorlite.func", "vmap"),
    "summary": ("tensorlite.nn.summary", "summary"),
    "autocast": ("tensorlite.amp", "autocast"),
    **{
        name: ("tensorlite.amp.policy", name)
        for name in (
            "clear_autocast_cache",
            "get_autocast_dtype",
            "is_autocast_available",
            "is_autocast_cache_enabled",
            "is_autocast_enabled",
            "set_autocast_cache_enabled",
            "set_autocast_dtype",
            "set_autocast_enabled",
        )
    },
    "BFloat16Tensor": ("tensorlite.compat", "BFloat16Tensor"),
    "default_generator": ("tensorlite.random", "default_generator"),
    **{
        name: (f"tensorlite.{name}", None)
        for name in ("accelerator", "amp", "backends", "distributed", "distributions", "mps", "version")
    },
    **{
        name: (f"tensorlite.{name}", None)
        for name in ("data", "func", "utils", "models", "graph", "cli", "viz", "cuda", "serialization", "profiler")
    },
}
_LAZY_AUTOGRAD = {  # names of tl.autograd that live in upper rooms
    "Function": ("tensorlite.function", "Function"),
    "function": ("tensorlite.function", None),
    "detect_anomaly": ("tensorlite.anomaly", "detect_anomaly"),
    "set_detect_anomaly": ("tensorlite.anomaly", "set_detect_anomaly"),
    "Variable": ("tensorlite.compat", "Variable"),
    "anomaly_mode": ("tensorlite.anomaly", None),
    "grad_mode": ("tensorlite.modes", None),
    "functional": ("tensorlite.func.functional", None),
    "graph": ("tensorlite.saved", None),
    "_batched_grads": ("tensorlite.func.transforms", "batched_grads"),
}


def _loader(package, table):
    """The `__getattr__` of a module: loads the names of `table` when they are first asked for."""

    def load(name):
        if name not in table:
            near = errors.near(name, dir(package))
            raise AttributeError(f"module {package.__name__!r} has no attribute {name!r}{near}")
        module, attribute = table[name]
        value = _importlib.import_module(module)
        if attribute is not None:
            value = getattr(value, attribute)
            value = value() if name == "bfloat16" else value
        setattr(package, name, value)
        return value

    return load


def __dir__():
    return sorted({*globals(), *_LAZY})


__getattr__ = _loader(_sys.modules[__name__], _LAZY)
autograd.__getattr__ = _loader(autograd, _LAZY_AUTOGRAD)
autograd.__dir__ = lambda: sorted({*vars(autograd), *_LAZY_AUTOGRAD})
autograd.gradcheck, autograd.gradgradcheck = gradcheck, gradgradcheck
optim.swa_utils = _swa_utils  # averaged models are modules: it stands in nn/
