"""What a Tensor is to Python, NumPy and the user: numbers, printing, copies, pickling, dtype and device conversions."""

import copy

from tensorlite import autograd, errors
from tensorlite.backend import Device, as_device, dtypes, shared
from tensorlite.backend.base import owner
from tensorlite.ops import convert, dims, pieces, shape
from tensorlite.tensor import Tensor, wrap


# ---------------------------------------------------------------- device, dtype, NumPy
def _backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None) -> None:
    """Add the gradient of this tensor to `.grad` of every leaf it was computed from. See tl.autograd.backward."""
    autograd.backward(self, gradient, retain_graph, create_graph, inputs=inputs)


def _numpy(self, *, force=False):
    """The values as a NumPy array that shares memory. Needs a CPU tensor without grad, or force=True (which copies)."""
    if self.requires_grad and not force:
        raise errors.GraphError("numpy: this tensor requires grad; use x.detach().numpy() or x.numpy(force=True)")
    if str(self.device) != "cpu" and not force:
        raise errors.DeviceError(f"numpy: this tensor is on {self.device}; use x.cpu().numpy() or x.numpy(force=True)")
    self.array = self.device.backend.as_array(self.array)
    return self.device.backend.to_host(self.array)


def _item(self):
    """The only element as a Python number. Raises ShapeError for more than one."""
    if self.array.size != 1:
        raise errors.ShapeError(f"item: only a tensor of one element is a number, got {errors.describe(self)}")
    return self.array.item()


def _index(self):
    if self.array.size != 1 or self.dtype.is_floating_point:
        raise errors.DTypeError(
            "index: only an integer tensor of one element can be an index, or say how often to repeat a list or str, "
            f"got {errors.describe(self)}"
        )
    return self.array.item().__index__()


def _len(self):
    if not self.ndim:
        raise TypeError("len() of a 0-d tensor")
    return self.array.shape[0]


def _iter(self):
    if not self.ndim:
        raise TypeError("iteration over a 0-d tensor")
    return iter(pieces.unbind(self, 0))


def _bool(self):
    if self.array.size != 1:
        raise errors.ShapeError(
            f"bool: a tensor of shape {tuple(self.shape)} has no single truth; use .all() or .any()"
        )
    return bool(self.array.item())


def _repr(self):
    text = self.device.backend.text(dtypes.widen(self.array), "tensor(")
    if str(self.device) != "cpu":
        text += f", device='{self.device}'"
    if self.dtype not in (dtypes.get_default_dtype(), dtypes.int64, dtypes.bool_):
        text += f", dtype={self.dtype}"
    if not self.array.size and self.array.shape != (0,):
        text += f", size={tuple(self.shape)}"
    if self.node is not None:
        text += ", requires_grad=True" if self.is_leaf else f", grad_fn=<{self.node.op.name}>"
    return f"{type(self).__name__.lower() if type(self) is Tensor else type(self).__name__}({text})"


def _array(self, dtype=None, copy=None):
    array = _numpy(self)
    return array.astype(dtype) if dtype is not None and array.dtype != dtype else array.copy() if copy else array


def _array_ufunc(self, ufunc, method, *inputs, **kwargs):
    """NumPy's functions on tensors: np.exp(t) is tl.exp(t), np.ones(3) * t is tl.mul. What tensorlite lacks is refused."""
    name = {"multiply": "mul", "subtract": "sub", "divide": "div", "true_divide": "div", "power": "pow", "negative": "neg",
            "absolute": "abs", "equal": "eq", "not_equal": "ne", "less": "lt", "less_equal": "le", "greater": "gt",
            "greater_equal": "ge", "rint": "round", "invert": "bitwise_not",
            "left_shift": "bitwise_left_shift", "right_shift": "bitwise_right_shift", "fabs": "abs", "degrees": "rad2deg",
            "radians": "deg2rad"}.get(ufunc.__name__, ufunc.__name__)  # fmt: skip
    function = getattr(Tensor, name, None)
    if method != "__call__" or kwargs or function is None:
        raise errors.DTypeError(
            f"numpy.{ufunc.__name__} does not take tensors"
            + (f" with {sorted(kwargs)}" if kwargs else "")
            + "; use x.numpy()"
        )
    inputs = [x if isinstance(x, Tensor) or not getattr(x, "ndim", 0) else wrap(x, Device("cpu")) for x in inputs]
    return function(*inputs)


def share_memory_(self):
    """Move to memory that several processes share: each sees what another writes. Returns self.

    Processes forked from now on see it; a spawned one, and one that gets the tensor through a queue or a pipe of
    multiprocessing, too: it is passed on by reference, and so are views of it. pickle and tl.save alone make copies. On a GPU
    nothing is done, as in PyTorch.

    Raises:
        GraphError: a result of operations. InplaceError: a view, or a tensor that has views: they would stay behind.
    """
    if not self.is_leaf:
        raise errors.GraphError("share_memory_: only a leaf can be shared; use x.detach().clone()")
    if self.view_of is not None or any(r() is not None for r in (self._v.views if self._v is not None else ())):
        raise errors.InplaceError("share_memory_: this tensor shares its memory with views; clone() it first")
    backend = self.device.backend
    self.data = wrap(backend.share(backend.as_array(self.array)), self.device)
    if self.device.type == "cpu":
        _pass_on(Tensor, type(self))
    return self


def _pass_on(*classes):
    """Tell multiprocessing how to pass on tensors of these classes."""
    from multiprocessing.reduction import ForkingPickler

    ForkingPickler.register(shared.Block, shared.reduce_block)
    for cls in classes:
        ForkingPickler.register(cls, _reduce_shared)


def _reduce_shared(self):
    own = type(self).__reduce_ex__ is not Tensor.__reduce_ex__
    if own or not self.is_leaf or self.device.type != "cpu" or shared.block_of(array := self._memory()) is None:
        return self.__reduce_ex__(2)
    return _rebuild_shared, (type(self), shared.where_it_lies(array), self.requires_grad, _attributes(self))


def _rebuild_shared(cls, place, requires_grad, attributes):
    _pass_on(Tensor, cls)
    return _made(cls, shared.array_at(*place), as_device("cpu"), requires_grad, attributes)


def is_shared(self):
    """Whether share_memory_ has moved the tensor; always on a GPU, as in PyTorch."""
    return self.device.backend.is_shared(self.device.backend.as_array(self.array))


def _nonzero(self, as_tuple=False):
    """The indices of the elements that are not 0: (n, ndim), or one vector for each dimension."""
    b = self.device.backend
    found = tuple(wrap(v, self.device) for v in b.xp.nonzero(b.as_array(self.array)))
    return found if as_tuple else shape.stack(found, 1)


def _detach_(self):
    """Cut this tensor itself from the graph."""
    self.node = None
    return self


Tensor.backward = _backward
Tensor.detach_ = _detach_
Tensor.numpy = _numpy
Tensor.item = _item


def tolist(self) -> list:
    """The elements as nested lists of Python numbers; a 0-d tensor as one number."""
    return self.array.tolist()


def size(self, dim=None):
    """The shape, or the size of one dimension."""
    return self.shape if dim is None else self.shape[dims.one("size", dim, self.ndim)]


def dim(self) -> int:
    """The number of dimensions."""
    return self.array.ndim


def numel(self) -> int:
    """The number of elements."""
    return self.array.size


def element_size(self) -> int:
    """Bytes of one element."""
    return self.array.itemsize


def stride(self, dim=None):
    """How many elements apart neighbours lie in memory: for each dimension, or for one."""
    steps = tuple(s // self.array.itemsize for s in self.device.backend.as_array(self.array).strides)
    return steps if dim is None else steps[dims.one("stride", dim, self.ndim)]


def data_ptr(self) -> int:
    """Where in memory the first element lies."""
    return self.device.backend.address(self.device.backend.as_array(self.array))


def storage_offset(self) -> int:
    """How many elements lie before the first in the memory that this tensor and its views share."""
    return (data_ptr(self) - untyped_storage(self).data_ptr()) // self.array.itemsize


class UntypedStorage:
    """The memory that a tensor and its views share, as Tensor.untyped_storage() gives it: where it lies and how large it is."""

    def __init__(self, array, device):
        self._array, self.device = owner(device.backend.as_array(array)), device

    def data_ptr(self) -> int:
        """Where the memory begins."""
        return self.device.backend.address(self._array)

    def nbytes(self) -> int:
        """Bytes of the memory."""
        return self._array.nbytes

    size = __len__ = nbytes


def untyped_storage(self) -> UntypedStorage:
    """The memory that this tensor and its views share."""
    return UntypedStorage(self.array, self.device)


def is_contiguous(self, memory_format=None) -> bool:
    """Whether the elements lie in memory row by row, without gaps."""
    return bool(self.device.backend.as_array(self.array).flags.c_contiguous)


def is_floating_point(self) -> bool:
    """Whether the dtype is one of floating-point numbers."""
    return self.dtype.is_floating_point


def is_inference(self) -> bool:
    """Always False: tensors made under inference_mode are ordinary ones."""
    return False


def cpu(self, memory_format=None) -> Tensor:
    """This tensor on the CPU; itself if it is there."""
    return convert.to(self, "cpu")


def get_device(self) -> int:
    """The number of the GPU the tensor is on; -1 on the CPU."""
    return -1 if self.device.type == "cpu" else self.device.index or 0


def cuda(self, device=None, non_blocking=False, memory_format=None) -> Tensor:
    """This tensor on a GPU; itself if it is there."""
    return convert.to(self, "cuda" if device is None else as_device(device))


def type_as(self, other) -> Tensor:
    """This tensor in the dtype of other."""
    return convert.to(self, other.dtype)


def _conversion(name, dtype):
    def method(self, memory_format=None) -> Tensor:
        return convert.cast(self, dtype)

    method.__name__, method.__qualname__ = name, f"Tensor.{name}"
    method.__doc__ = f"This tensor as {getattr(dtype, 'name', dtype)}; itself if it is that already."
    return method


for _function in (
    share_memory_, is_shared, get_device,
    tolist, size, dim, numel, element_size, stride, data_ptr, storage_offset, untyped_storage,
    is_contiguous, is_floating_point, is_inference, cpu, cuda, type_as,
):  # fmt: skip
    setattr(Tensor, _function.__name__, _function)
Tensor.ndimension, Tensor.nelement, Tensor.nonzero = dim, numel, _nonzero
Tensor.float, Tensor.double = _conversion("float", dtypes.float32), _conversion("double", dtypes.float64)
Tensor.half, Tensor.bfloat16 = _conversion("half", dtypes.float16), _conversion("bfloat16", "bfloat16")
Tensor.int, Tensor.long = _conversion("int", dtypes.int32), _conversion("long", dtypes.int64)
Tensor.short, Tensor.char = _conversion("short", dtypes.int16), _conversion("char", dtypes.int8)
Tensor.byte, Tensor.bool = _conversion("byte", dtypes.uint8), _conversion("bool", dtypes.bool_)
Tensor.nbytes = property(lambda self: self.array.nbytes, doc="Bytes of the elements.")
Tensor.itemsize = property(lambda self: self.array.itemsize, doc="Bytes of one element.")
Tensor.is_cpu = property(lambda self: self.device.type == "cpu", doc="Whether the tensor is on the CPU.")
Tensor.retains_grad = property(
    lambda self: not self.is_leaf and self.node.retains, doc="Whether backward keeps the gradient of this result."
)
Tensor.output_nr = property(
    lambda self: (self.node.args or {}).get("index", 0) if self.node is not None else 0,
    doc="Which result of its operation this is.",
)
Tensor.is_cuda = property(lambda self: self.device.type == "cuda", doc="Whether the tensor is on a GPU.")
Tensor.__len__, Tensor.__iter__, Tensor.__bool__, Tensor.__repr__ = _len, _iter, _bool, _repr
Tensor.__float__ = lambda self: float(_item(self))
Tensor.__int__ = lambda self: int(_item(self))
Tensor.__index__ = _index
Tensor.__contains__ = lambda self, value: bool((self == value).any())
Tensor.__format__ = lambda self, spec: format(_item(self), spec) if self.ndim == 0 and spec else repr(self)
Tensor.__array__, Tensor.__array_ufunc__ = _array, _array_ufunc
Tensor.__deepcopy__ = lambda self, memo: _deepcopy(self, memo)
Tensor.__copy__ = lambda self: _copy(self)
Tensor.__reduce_ex__ = lambda self, protocol: (_rebuild, _state(self))


def _attributes(self):
    """What a user (or a subclass) has put on the tensor: everything but what the engine keeps there."""
    return {k: v for k, v in self.__dict__.items() if k not in ("view_of", "_frozen")}


def _made(cls, array, device, requires_grad, attributes):
    """A leaf of class cls around a raw array."""
    t = object.__new__(cls)
    t.array, t.device, t.node, t._v = array, device, None, None
    t.__dict__.update(attributes)
    return t.requires_grad_(requires_grad)


def _deepcopy(self, memo):
    if not self.is_leaf:
        raise errors.GraphError(
            "deepcopy: only leaves can be copied with their place in the graph; use x.detach().clone()"
        )
    if id(self) not in memo:
        memo[id(self)] = t = _made(type(self), self.array.copy(), self.device, self.requires_grad, {})
        t.__dict__.update(copy.deepcopy(_attributes(self), memo))
        if self.grad is not None:
            t.grad = self.grad.detach().clone()
    return memo[id(self)]


def _copy(self):
    """copy.copy: another tensor on the same memory, a leaf of its own."""
    if not self.is_leaf:
        raise errors.GraphError("copy: only leaves can be copied; use x.detach() for the same memory, or x.clone()")
    t = _made(type(self), self.array, self.device, self.requires_grad, _attributes(self))
    t.version = self.version
    return t


def _state(self):
    if not self.is_leaf:
        raise errors.GraphError("pickle: only leaves can be saved; use x.detach()")
    state = type(self), self.device.backend.to_host(self.array), str(self.device), self.requires_grad
    attributes = _attributes(self)
    return (*state, attributes) if attributes else state


def _rebuild(cls, array, device, requires_grad, attributes=()):
    device = as_device(device)
    return _made(cls, device.backend.from_host(array), device, requires_grad, dict(attributes))
