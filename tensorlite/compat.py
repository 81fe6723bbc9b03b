"""Names of PyTorch that are accepted without effect, or refused in words, so that programs run or say why they cannot."""

from tensorlite import creation, errors
from tensorlite.backend import Device, dtypes, set_default_device, text
from tensorlite.tensor import Tensor

__all__ = [
    "are_deterministic_algorithms_enabled", "channels_last", "channels_last_3d", "compile", "complex", "contiguous_format",
    "get_float32_matmul_precision", "layout", "memory_format", "polar", "preserve_format", "set_default_tensor_type",
    "set_float32_matmul_precision", "set_flush_denormal", "set_printoptions", "sparse_coo_tensor", "sparse_csr_tensor",
    "spmm", "strided", "use_deterministic_algorithms", "view_as_complex", "view_as_real",
]  # fmt: skip

_PRECISIONS = ("highest", "high", "medium")
_precision = "highest"


# ---------------------------------------------------------------- accepted without effect
class memory_format:
    """PyTorch's tl.channels_last, tl.contiguous_format, ...: accepted where PyTorch takes them, without effect here, where a new
    tensor always lies in memory row by row."""

    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return f"tensorlite.{self.name}"


class layout(memory_format):
    """The layout of a tensor: here always tl.strided, one memory and a step for each dimension."""


channels_last, channels_last_3d, contiguous_format, preserve_format = (
    memory_format(name) for name in ("channels_last", "channels_last_3d", "contiguous_format", "preserve_format")
)
strided = layout("strided")


def compile(model=None, *, fullgraph=False, dynamic=None, backend="inductor", mode=None, options=None, disable=False):
    """The model or function itself: there is no compiler. As PyTorch's it also serves as a decorator, `@tl.compile`."""
    return (lambda f: f) if model is None else model


def set_float32_matmul_precision(precision: str) -> None:
    """Accepted as PyTorch's ("highest", "high", "medium"); products of float32 are always computed in float32."""
    global _precision
    if precision not in _PRECISIONS:
        raise errors.ArgumentError(
            f"set_float32_matmul_precision: the precision is one of {', '.join(_PRECISIONS)}, not {precision!r}"
        )
    _precision = precision


def get_float32_matmul_precision() -> str:
    """What set_float32_matmul_precision was told last."""
    return _precision


_deterministic = False


def use_deterministic_algorithms(mode, *, warn_only=False) -> None:
    """Accepted as PyTorch's, without effect."""
    global _deterministic
    _deterministic = bool(mode)


def are_deterministic_algorithms_enabled() -> bool:
    """What use_deterministic_algorithms was told last."""
    return _deterministic


def set_flush_denormal(mode) -> bool:
    """Accepted without effect: subnormal numbers are always computed with. False, which says that it cannot be set."""
    return False


def Variable(data=None, requires_grad=False, volatile=False) -> Tensor:
    """A leaf on the memory of a tensor, without its graph: before PyTorch 0.4 only a Variable had a gradient.

    volatile is accepted and has no effect; use tl.no_grad().

    Example:
        >>> import tensorlite as tl
        >>> tl.autograd.Variable(tl.ones(2), requires_grad=True).is_leaf
        True
    """
    if not isinstance(data, Tensor):
        raise errors.DTypeError(f"Variable: a tensor is needed, not {type(data).__name__}; use tl.tensor(...)")
    return data.detach().requires_grad_(requires_grad)


# ---------------------------------------------------------------- settings
def set_default_tensor_type(t) -> None:
    """Set the default dtype (and, for "cuda.FloatTensor", the default device) as PyTorch programs of old do.

    t: a type such as tl.DoubleTensor, or its name. New programs use set_default_dtype and set_default_device.
    """
    name = t if isinstance(t, str) else t.__name__
    dtype = t.dtype if hasattr(t, "dtype") else tensor_type(name)
    dtypes.set_default_dtype(dtype)
    if isinstance(t, str):
        set_default_device("cuda" if ".cuda." in name else "cpu")
    elif getattr(t, "device", None) is not None:
        set_default_device(t.device)


_TYPES = {
    "Float": "float32", "Double": "float64", "Half": "float16", "BFloat16": "bfloat16", "Byte": "uint8", "Char": "int8",
    "Short": "int16", "Int": "int32", "Long": "int64", "Bool": "bool",
}  # fmt: skip


def tensor_type(name: str) -> dtypes.dtype:
    """The dtype that one of PyTorch's old names, as "torch.FloatTensor", stands for. Raises DTypeError."""
    kind = name.rpartition(".")[2].removesuffix("Tensor")
    if kind not in _TYPES or not name.endswith("Tensor"):
        raise errors.DTypeError(f"{name!r} is no type of tensors; the names are torch.{'Tensor, '.join(_TYPES)}Tensor")
    return dtypes.as_dtype(_TYPES[kind])


def type_name(tensor) -> str:
    """PyTorch's old name for the dtype and device of a tensor: "torch.FloatTensor", "torch.cuda.LongTensor"."""
    kind = next(k for k, d in _TYPES.items() if d == tensor.dtype.name)
    place = "" if tensor.device.type == "cpu" else f"{tensor.device.type}."
    return f"torch.{place}{kind}Tensor"


def set_printoptions(
    precision=None, threshold=None, edgeitems=None, linewidth=None, profile=None, sci_mode=None
) -> None:
    """How tensors are shown. precision: digits after the point; threshold: elements from which on a tensor is shortened;
    edgeitems: elements shown at each end then; linewidth: characters in a line; sci_mode: always (True), never (False) or
    where needed (None) 1e+03; profile: "default", "short" or "full" set all but sci_mode.

    Example:
        >>> import tensorlite as tl
        >>> tl.set_printoptions(precision=2)
        >>> tl.tensor([1 / 3])
        tensor([0.33])
        >>> tl.set_printoptions(profile="default")
    """
    profiles = {"default": {}, "short": {"precision": 2, "edgeitems": 2}, "full": {"threshold": 1 << 62}}
    if profile is not None and profile not in profiles:
        raise errors.ArgumentError(f"set_printoptions: the profile is one of {', '.join(profiles)}, not {profile!r}")
    if profile is not None:
        text.options.update({**text.DEFAULT, **profiles[profile], "sci_mode": text.options["sci_mode"]})
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    text.options.update({k: v for k, v in given.items() if v is not None}, sci_mode=sci_mode)


# ---------------------------------------------------------------- refused in words
def _refused(name, why, advice):
    def function(*args, **kwargs):
        raise errors.DTypeError(f"{name}: {why}; {advice}")

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"Refused, as in PyTorch's name only: {why}; {advice}."
    return function


_COMPLEX = "complex numbers are not supported: tensorlite computes with real numbers only"
_PAIRS = "keep the real and the imaginary part as two tensors, or as a last dimension of size 2"
_SPARSE = "sparse tensors are not supported: every tensor is dense"
polar, complex, view_as_complex, view_as_real = (
    _refused(name, _COMPLEX, _PAIRS) for name in ("polar", "complex", "view_as_complex", "view_as_real")
)
_SCATTER = "make a dense tensor, e.g. tl.zeros(size).index_put_(indices, values, accumulate=True)"
sparse_coo_tensor = _refused("sparse_coo_tensor", _SPARSE, _SCATTER)
sparse_csr_tensor = _refused("sparse_csr_tensor", _SPARSE, _SCATTER)
spmm = _refused("spmm", _SPARSE, "use x @ y for dense tensors, or index_add for the products of an edge list")
_METHODS = {
    "to_sparse": "leave it dense", "to_sparse_csr": "leave it dense", "coalesce": "it is for sparse tensors",
    "indices": "x.nonzero() gives the places of the elements that are not 0; the result of a maximum has .indices",
    "crow_indices": "it is for sparse tensors", "col_indices": "it is for sparse tensors",
}  # fmt: skip
for _name, _advice in _METHODS.items():
    setattr(Tensor, _name, _refused(_name, _SPARSE, _advice))


# ---------------------------------------------------------------- small questions about a tensor
def _type(self, dtype=None, non_blocking=False):
    """Its name of old, "torch.FloatTensor" (as PyTorch's, so that programs may compare it); or x in another dtype.

    dtype: a dtype, a type such as tl.LongTensor, or its name; one of the names with `cuda` also moves x there.
    """
    if dtype is None:
        return type_name(self)
    name = dtype if isinstance(dtype, str) else ""
    if name:
        return self.to("cuda" if ".cuda." in name else "cpu", tensor_type(name))
    if isinstance(getattr(dtype, "dtype", None), dtypes.dtype):  # a type such as tl.LongTensor, tl.cuda.FloatTensor
        return self.to(getattr(dtype, "device", "cpu"), dtype.dtype)
    return self.to(dtype=dtype)


def _pin_memory(self, device=None):
    """x itself: the library that moves memory to the GPU needs none that is pinned."""
    return self


def _is_pinned(self, device=None) -> bool:
    """Whether the memory is pinned: never."""
    return False


def _is_complex(self) -> bool:
    """Whether the dtype is complex: never."""
    return False


def _to_dense(self, dtype=None):
    """x, in another dtype where one is given: every tensor is dense."""
    return self if dtype is None else self.to(dtype)


Tensor.layout = property(lambda self: strided, doc="How the tensor lies in memory: tl.strided, always.")
Tensor.type, Tensor.pin_memory, Tensor.is_pinned = _type, _pin_memory, _is_pinned
Tensor.is_complex, Tensor.to_dense = _is_complex, _to_dense
for _name in ("is_xpu", "is_mps", "is_sparse", "is_quantized", "is_meta", "is_nested"):
    setattr(Tensor, _name, property(lambda self: False, doc="Always False: there are no such tensors here."))


def __getattr__(name):
    if name == "BFloat16Tensor":  # made when asked for: it needs ml_dtypes
        return creation._of_one_dtype(name, "bfloat16")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class _OnGpu(type):
    """What makes tl.cuda.FloatTensor and its kin: calling it makes a tensor on the GPU, isinstance asks for both."""

    def __call__(cls, data=(), *rest):
        return cls.base(data, *rest).to(cls.device)

    def __instancecheck__(cls, x):
        return isinstance(x, Tensor) and x.dtype is cls.dtype and x.device.type == "cuda"


def gpu_type(name: str):
    """The type tl.cuda.NAME, for NAME = FloatTensor, LongTensor, ... Raises DTypeError for other names."""
    base = creation._of_one_dtype(name, tensor_type(name).name)
    doc = f"PyTorch's old constructor of {base.dtype} tensors on the GPU; prefer tl.tensor(..., device='cuda')."
    return _OnGpu(name, (), {"base": base, "dtype": base.dtype, "device": Device("cuda"), "__doc__": doc})
