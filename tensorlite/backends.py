"""`tl.backends`: PyTorch's switches for libraries below it. They can be set and read, and change nothing here.

Convolutions and products are computed in the dtype of their inputs, and in one way only. `import tensorlite.backends.cudnn`
works as in PyTorch: the modules below are made here.
"""

import sys
import types

from tensorlite import cuda as _cuda
from tensorlite.errors import DeviceError


def _module(name, doc, **values):
    module = types.ModuleType(f"{__name__}.{name}", doc)
    vars(module).update(values)
    sys.modules[module.__name__] = module
    return module


class _Switches:
    """Attributes that can be set and read."""

    def __init__(self, **values):
        self.__dict__.update(values)


def _never():
    """Whether it can be used: no."""
    return False


def _is_built():
    """Whether the GPU part is installed: CuPy and a GPU."""
    return _cuda.is_available()


def _no_version():
    """The version of the library: none is used."""


cudnn = _module(
    "cudnn", "Switches of cuDNN, without effect.",
    benchmark=False, deterministic=True, allow_tf32=False, enabled=False, is_available=_never, version=_no_version,
)  # fmt: skip
cuda = _module(
    "cuda", "Switches of cuBLAS and of attention, without effect.",
    matmul=_Switches(allow_tf32=False, allow_fp16_reduced_precision_reduction=False, allow_bf16_reduced_precision_reduction=False),
    is_built=_is_built,
)  # fmt: skip
mps = _module("mps", "Apple's GPUs: not supported.", is_available=_never, is_built=_never)
mkl = _module("mkl", "Intel's library: which BLAS is used, `tensorlite info` tells.", is_available=_never)
openmp = _module("openmp", "OpenMP: threads are the BLAS's own.", is_available=_never)


def _sdp(name):
    def enable(enabled: bool) -> None:
        if not isinstance(enabled, bool):
            raise DeviceError(f"backends.cuda.{name}: True or False is needed, not {enabled!r}")

    enable.__name__ = enable.__qualname__ = name
    enable.__doc__ = "Accepted without effect: attention is computed in one way."
    return enable


for _name in ("enable_flash_sdp", "enable_mem_efficient_sdp", "enable_math_sdp", "enable_cudnn_sdp"):
    setattr(cuda, _name, _sdp(_name))
