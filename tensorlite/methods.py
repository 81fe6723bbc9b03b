"""Puts the operations on Tensor: one line for each method, so that every one can be found by its name."""

from tensorlite import autograd, errors, inplace
from tensorlite.backend import Device, as_device, dtypes
from tensorlite.op import NotAnOperand
from tensorlite.ops import compare, convert, elementwise, fused, index, matmul, reduce, select, shape
from tensorlite.tensor import Tensor, wrap


def _operator(function, swap=False):
    """A Python operator: NotImplemented for operands that tensors do not know, so that the other side is asked."""

    def operator(self, other):
        try:
            return function(other, self) if swap else function(self, other)
        except NotAnOperand:
            return NotImplemented

    return operator


def _swapped(op):
    """The reflected operator of an elementwise op."""
    forward = op.operator
    return lambda self, other: forward(other, self)


# ---------------------------------------------------------------- operators
Tensor.__add__, Tensor.__radd__ = elementwise.Add.operator, _swapped(elementwise.Add)
Tensor.__sub__, Tensor.__rsub__ = elementwise.Sub.operator, _swapped(elementwise.Sub)
Tensor.__mul__, Tensor.__rmul__ = elementwise.Mul.operator, _swapped(elementwise.Mul)
Tensor.__truediv__, Tensor.__rtruediv__ = elementwise.Div.operator, _swapped(elementwise.Div)
Tensor.__floordiv__, Tensor.__rfloordiv__ = elementwise.FloorDivide.operator, _swapped(elementwise.FloorDivide)
Tensor.__mod__, Tensor.__rmod__ = elementwise.Remainder.operator, _swapped(elementwise.Remainder)
Tensor.__pow__, Tensor.__rpow__ = elementwise.Pow.operator, _swapped(elementwise.Pow)
Tensor.__matmul__, Tensor.__rmatmul__ = _operator(matmul.matmul), _operator(matmul.matmul, swap=True)
Tensor.__and__, Tensor.__rand__ = compare.BitwiseAnd.operator, _swapped(compare.BitwiseAnd)
Tensor.__or__, Tensor.__ror__ = compare.BitwiseOr.operator, _swapped(compare.BitwiseOr)
Tensor.__xor__, Tensor.__rxor__ = compare.BitwiseXor.operator, _swapped(compare.BitwiseXor)
Tensor.__eq__, Tensor.__ne__ = compare.Eq.operator, compare.Ne.operator
Tensor.__lt__, Tensor.__le__ = compare.Lt.operator, compare.Le.operator
Tensor.__gt__, Tensor.__ge__ = compare.Gt.operator, compare.Ge.operator
Tensor.__neg__ = elementwise.neg
Tensor.__pos__ = lambda self: self
Tensor.__abs__ = elementwise.abs
Tensor.__invert__ = compare.bitwise_not
Tensor.__hash__ = object.__hash__
Tensor.__getitem__ = index.getitem
Tensor.__setitem__ = inplace.setitem

# ---------------------------------------------------------------- elementwise
Tensor.add, Tensor.sub, Tensor.mul, Tensor.div = elementwise.add, elementwise.sub, elementwise.mul, elementwise.div
Tensor.subtract, Tensor.multiply = elementwise.sub, elementwise.mul
Tensor.divide = Tensor.true_divide = elementwise.div
Tensor.floor_divide, Tensor.remainder = elementwise.floor_divide, elementwise.remainder
Tensor.pow, Tensor.neg, Tensor.negative = elementwise.pow, elementwise.neg, elementwise.neg
Tensor.abs, Tensor.absolute = elementwise.abs, elementwise.abs
Tensor.maximum, Tensor.minimum = elementwise.maximum, elementwise.minimum
Tensor.exp, Tensor.expm1 = elementwise.exp, elementwise.expm1
Tensor.log, Tensor.log1p, Tensor.log2, Tensor.log10 = (
    elementwise.log,
    elementwise.log1p,
    elementwise.log2,
    elementwise.log10,
)
Tensor.sqrt, Tensor.rsqrt, Tensor.square = elementwise.sqrt, elementwise.rsqrt, elementwise.square
Tensor.reciprocal = elementwise.reciprocal
Tensor.sin, Tensor.cos, Tensor.tan = elementwise.sin, elementwise.cos, elementwise.tan
Tensor.tanh, Tensor.sigmoid, Tensor.erf, Tensor.relu = (
    elementwise.tanh,
    elementwise.sigmoid,
    elementwise.erf,
    elementwise.relu,
)
Tensor.sign, Tensor.floor, Tensor.ceil, Tensor.round = (
    elementwise.sign,
    elementwise.floor,
    elementwise.ceil,
    elementwise.round,
)
Tensor.clamp = Tensor.clip = select.clamp
Tensor.masked_fill = select.masked_fill
Tensor.where = lambda self, condition, other: select.where(condition, self, other)
Tensor.clone = convert.clone
Tensor.to = convert.to

# ---------------------------------------------------------------- comparison
Tensor.eq, Tensor.ne, Tensor.lt, Tensor.le, Tensor.gt, Tensor.ge = (
    compare.eq,
    compare.ne,
    compare.lt,
    compare.le,
    compare.gt,
    compare.ge,
)
Tensor.logical_and, Tensor.logical_or = compare.logical_and, compare.logical_or
Tensor.logical_xor, Tensor.logical_not = compare.logical_xor, compare.logical_not
Tensor.isnan, Tensor.isinf, Tensor.isfinite = compare.isnan, compare.isinf, compare.isfinite
Tensor.isclose, Tensor.allclose, Tensor.equal = compare.isclose, compare.allclose, compare.equal

# ---------------------------------------------------------------- reductions
Tensor.sum, Tensor.mean, Tensor.var, Tensor.std = reduce.sum, reduce.mean, reduce.var, reduce.std
Tensor.max, Tensor.min, Tensor.amax, Tensor.amin = reduce.max, reduce.min, reduce.amax, reduce.amin
Tensor.argmax, Tensor.argmin = reduce.argmax, reduce.argmin
Tensor.all, Tensor.any, Tensor.logsumexp = reduce.all, reduce.any, reduce.logsumexp

# ---------------------------------------------------------------- shape
Tensor.reshape, Tensor.view, Tensor.flatten = shape.reshape, shape.view, shape.flatten
Tensor.unflatten, Tensor.squeeze, Tensor.unsqueeze = shape.unflatten, shape.squeeze, shape.unsqueeze
Tensor.permute, Tensor.transpose, Tensor.t = shape.permute, shape.transpose, shape.t
Tensor.swapaxes = Tensor.swapdims = shape.transpose
Tensor.movedim, Tensor.expand, Tensor.expand_as = shape.movedim, shape.expand, shape.expand_as
Tensor.broadcast_to = shape.expand
Tensor.flip, Tensor.contiguous, Tensor.repeat = shape.flip, shape.contiguous, shape.repeat
Tensor.split, Tensor.chunk, Tensor.unbind = shape.split, shape.chunk, shape.unbind
Tensor.narrow, Tensor.select = shape.narrow, shape.select
Tensor.tril, Tensor.triu = shape.tril, shape.triu
Tensor.T = property(lambda self: shape.permute(self, *range(self.ndim)[::-1]), doc="All dimensions reversed.")
Tensor.mT = property(lambda self: shape.transpose(self, -1, -2), doc="The last two dimensions swapped.")
Tensor.view_as = lambda self, other: shape.view(self, tuple(other.shape))
Tensor.reshape_as = lambda self, other: shape.reshape(self, tuple(other.shape))

# ---------------------------------------------------------------- index and products
Tensor.gather, Tensor.index_select = index.gather, index.index_select
Tensor.matmul, Tensor.mm, Tensor.bmm, Tensor.mv, Tensor.dot = (
    matmul.matmul,
    matmul.mm,
    matmul.bmm,
    matmul.mv,
    matmul.dot,
)
Tensor.softmax, Tensor.log_softmax = fused.softmax, fused.log_softmax


# ---------------------------------------------------------------- in place
def _inplace(name, function):
    def method(self, *args, **kwargs):
        return inplace.update(self, name, lambda x: function(x, *args, **kwargs))

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"{name.rstrip('_')} in place: the same memory, seen by all views; returns self."
    return method


for _name in [
    "add",
    "sub",
    "mul",
    "div",
    "pow",
    "neg",
    "abs",
    "exp",
    "log",
    "sqrt",
    "tanh",
    "sigmoid",
    "relu",
    "clamp",
    "masked_fill",
    "floor",
    "round",
    "square",
    "reciprocal",
]:
    setattr(Tensor, _name + "_", _inplace(_name + "_", getattr(Tensor, _name)))


def _fill_(self, value):
    """Every element becomes `value` (a number or a 0-d tensor), in place."""
    return inplace.setitem(self, ..., value) or self


def _copy_(self, other, non_blocking=False):
    """The values of `other` (broadcast, converted, from any device), in place."""
    inplace.setitem(self, ..., other if not isinstance(other, Tensor) else other.to(self.device))
    return self


Tensor.fill_ = _fill_
Tensor.zero_ = lambda self: _fill_(self, 0)
Tensor.copy_ = _copy_
Tensor.__iadd__ = lambda self, other: self.add_(other)
Tensor.__isub__ = lambda self, other: self.sub_(other)
Tensor.__imul__ = lambda self, other: self.mul_(other)
Tensor.__itruediv__ = lambda self, other: self.div_(other)


def _detach_(self):
    """Cut this tensor itself from the graph."""
    self.node = None
    return self


Tensor.detach_ = _detach_


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
    inplace.writable(self)
    return self.device.backend.to_host(self.array)


def _item(self):
    """The only element as a Python number. Raises ShapeError for more than one."""
    if self.array.size != 1:
        raise errors.ShapeError(f"item: only a tensor of one element is a number, got {errors.describe(self)}")
    return self.array.item()


def _index(self):
    if self.array.size != 1 or self.dtype.is_floating_point:
        raise errors.DTypeError(
            f"index: only an integer tensor of one element is an index, got {errors.describe(self)}"
        )
    return self.array.item().__index__()


def _len(self):
    if not self.ndim:
        raise TypeError("len() of a 0-d tensor")
    return self.array.shape[0]


def _iter(self):
    if not self.ndim:
        raise TypeError("iteration over a 0-d tensor")
    return iter(shape.unbind(self, 0))


def _bool(self):
    if self.array.size != 1:
        raise errors.ShapeError(
            f"bool: a tensor of shape {tuple(self.shape)} has no single truth; use .all() or .any()"
        )
    return bool(self.array.item())


def _repr(self):
    text = self.device.backend.text(self.array, "tensor(")
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
            "greater_equal": "ge", "rint": "round", "invert": "bitwise_not"}.get(ufunc.__name__, ufunc.__name__)  # fmt: skip
    function = next((getattr(f, name) for f in (elementwise, compare, select, matmul) if hasattr(f, name)), None)
    if method != "__call__" or kwargs or function is None:
        raise errors.DTypeError(
            f"numpy.{ufunc.__name__} does not take tensors"
            + (f" with {sorted(kwargs)}" if kwargs else "")
            + "; use x.numpy()"
        )
    inputs = [x if isinstance(x, Tensor) or not getattr(x, "ndim", 0) else wrap(x, Device("cpu")) for x in inputs]
    return function(*inputs)


def _dir_error(self, name):
    import difflib

    near = difflib.get_close_matches(name, [n for n in dir(type(self)) if not n.startswith("_")], n=3)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}{hint}")


def _nonzero(self, as_tuple=False):
    """The indices of the elements that are not 0: (n, ndim), or one vector for each dimension."""
    b = self.device.backend
    found = tuple(wrap(v, self.device) for v in b.xp.nonzero(b.as_array(self.array)))
    return found if as_tuple else shape.stack(found, 1)


Tensor.backward = _backward
Tensor.numpy = _numpy
Tensor.item = _item
Tensor.tolist = lambda self: self.array.tolist()
Tensor.__len__, Tensor.__iter__, Tensor.__bool__, Tensor.__repr__ = _len, _iter, _bool, _repr
Tensor.__float__ = lambda self: float(_item(self))
Tensor.__int__ = lambda self: int(_item(self))
Tensor.__index__ = _index
Tensor.__contains__ = lambda self, value: bool((self == value).any())
Tensor.__format__ = lambda self, spec: format(_item(self), spec) if self.ndim == 0 and spec else repr(self)
Tensor.__array__, Tensor.__array_ufunc__ = _array, _array_ufunc
Tensor.__getattr__ = _dir_error
Tensor.__deepcopy__ = lambda self, memo: _deepcopy(self, memo)
Tensor.__reduce_ex__ = lambda self, protocol: (_rebuild, _state(self))
Tensor.nonzero = _nonzero
Tensor.size = lambda self, dim=None: self.shape if dim is None else self.shape[dim]
Tensor.dim = Tensor.ndimension = lambda self: self.array.ndim
Tensor.numel = Tensor.nelement = lambda self: self.array.size
Tensor.element_size = lambda self: self.array.itemsize
Tensor.nbytes = property(lambda self: self.array.nbytes, doc="Bytes of the elements.")
Tensor.itemsize = property(lambda self: self.array.itemsize, doc="Bytes of one element.")
Tensor.stride = lambda self, dim=None: _stride(self) if dim is None else _stride(self)[dim]
Tensor.is_contiguous = lambda self: bool(self.device.backend.as_array(self.array).flags.c_contiguous)
Tensor.is_floating_point = lambda self: self.dtype.is_floating_point
Tensor.is_inference = lambda self: False
Tensor.is_cuda = property(lambda self: self.device.type == "cuda", doc="Whether the tensor is on a GPU.")
Tensor.cpu = lambda self: convert.to(self, "cpu")
Tensor.cuda = lambda self, device=None: convert.to(self, "cuda" if device is None else as_device(device))
Tensor.type = lambda self, dtype=None: str(self.dtype) if dtype is None else convert.to(self, dtype=dtype)
Tensor.type_as = lambda self, other: convert.to(self, other.dtype)
Tensor.float = lambda self: convert.cast(self, dtypes.float32)
Tensor.double = lambda self: convert.cast(self, dtypes.float64)
Tensor.half = lambda self: convert.cast(self, dtypes.float16)
Tensor.bfloat16 = lambda self: convert.cast(self, "bfloat16")
Tensor.int = lambda self: convert.cast(self, dtypes.int32)
Tensor.long = lambda self: convert.cast(self, dtypes.int64)
Tensor.bool = lambda self: convert.cast(self, dtypes.bool_)


def _stride(self):
    return tuple(s // self.array.itemsize for s in self.array.strides)


def _deepcopy(self, memo):
    if not self.is_leaf:
        raise errors.GraphError(
            "deepcopy: only leaves can be copied with their place in the graph; use x.detach().clone()"
        )
    if id(self) not in memo:
        copy = object.__new__(type(self))
        memo[id(self)] = copy
        plain = wrap(self.array.copy(), self.device)
        copy.array, copy.device, copy.node, copy.version = plain.array, plain.device, None, plain.version
        copy.requires_grad_(self.requires_grad)
        if self.grad is not None:
            copy.grad = self.grad.detach().clone()
    return memo[id(self)]


def _state(self):
    if not self.is_leaf:
        raise errors.GraphError("pickle: only leaves can be saved; use x.detach()")
    return type(self), self.device.backend.to_host(self.array), str(self.device), self.requires_grad


def _rebuild(cls, array, device, requires_grad):
    t = object.__new__(cls)
    plain = wrap(as_device(device).backend.from_host(array), as_device(device))
    t.array, t.device, t.node, t.version = plain.array, plain.device, None, plain.version
    return t.requires_grad_(requires_grad)
