"""Making tensors from data and constants: tensor, zeros, arange, ... Random ones are in random.py.

Everywhere: `dtype`, `device`, `requires_grad` as in PyTorch; `layout`, `pin_memory` and `memory_format` are accepted without effect.
"""

import math

from tensorlite import errors
from tensorlite.backend import as_device, dtypes, host
from tensorlite.ops import dims
from tensorlite.tensor import Size, Tensor, wrap

_WITHOUT_EFFECT = {"layout", "pin_memory", "memory_format", "names", "generator"}


def _finish(array, device, requires_grad):
    t = wrap(array, device)
    return t.requires_grad_() if requires_grad else t


def ignored(op, other):
    """Refuse keyword arguments but those that are accepted without effect."""
    if other and not _WITHOUT_EFFECT.issuperset(other):
        name = sorted(set(other) - _WITHOUT_EFFECT)[0]
        if name == "out":
            raise errors.ArgumentError(f"{op}: out= is not supported; assign the result, or use copy_")
        raise errors.ArgumentError(f"{op}: unknown argument {name!r}")


def _where(op, dtype, device, other):
    """The device, and the dtype (None: the default), that a creation function was asked for."""
    ignored(op, other)
    return as_device(device), dtypes.as_dtype(dtype) if dtype is not None else dtypes.get_default_dtype()


# ---------------------------------------------------------------- from data
def _leaves(data, found):
    """Add to `found` the dtype of everything in nested lists: Python's numbers, NumPy's, tensors."""
    for kind in set(map(type, data)):
        if kind in (list, tuple, range):
            for part in data:
                if type(part) is kind:
                    _leaves(part, found)
        elif kind in (bool, int):
            found.add(dtypes.bool_ if kind is bool else dtypes.int64)
        elif hasattr(kind, "dtype"):
            found.update(dtypes.as_dtype(v.dtype) for v in data if type(v) is kind)
        elif issubclass(kind, float):
            found.add(dtypes.get_default_dtype())
    return found


def _plain(data):
    """Nested lists with the tensors in them as numbers."""
    if isinstance(data, Tensor):
        return data.item() if data.array.size == 1 else data.tolist()
    return [_plain(v) for v in data] if isinstance(data, (list, tuple)) else data


def _host_array(data, op, dtype):
    """Nested lists of numbers (and tensors) as a NumPy array in `dtype`, or else the one PyTorch gives."""
    xp, listed = host().xp, isinstance(data, (list, tuple, range))
    found = _leaves(data, set()) if listed else _leaves((data,), set())
    try:
        array = xp.array(_plain(data) if listed else data)
    except ValueError:
        raise errors.ShapeError(f"{op}: the rows of the data have different lengths") from None
    kind = array.dtype.kind
    if kind not in "biuf" and array.dtype.name != "bfloat16" and not (kind == "O" and found == {dtypes.int64}):
        what = "complex numbers" if kind == "c" else f"data of type {array.dtype}"
        raise errors.DTypeError(f"{op}: {what} cannot be a tensor; numbers and nested lists of numbers can")
    if dtype is None:
        if not found:
            dtype = dtypes.get_default_dtype() if listed else dtypes.as_dtype(array.dtype)
        for i, d in enumerate(found):
            dtype = d if i == 0 else dtypes.promote_types(dtype, d)
    if hasattr(data, "dtype"):
        return array.astype(dtype.dtype, copy=False), dtype
    _check_fits(op, array, dtype)
    return array.astype(dtype.dtype, copy=False), dtype


def _check_fits(op, array, dtype):
    """Refuse numbers that an integer dtype cannot hold (for uint8 negative ones count from the end, as in PyTorch)."""
    if dtype.category != 1 or not array.size or array.dtype.kind == "b":
        return
    low, high, info = array.min().item() if array.dtype != object else min(array.flat), array.max(), dtypes.iinfo(dtype)
    bottom = info.min if info.min else -info.max
    if not (math.isfinite(low) and math.isfinite(high) and bottom <= int(low) and int(high) <= info.max):
        wrong = high if not math.isfinite(high) or high > info.max else low
        raise errors.ArgumentError(f"{op}: {wrong} does not fit into {dtype.name} ({info.min} to {info.max})")


def tensor(data, *, dtype=None, device=None, requires_grad=False, pin_memory=False) -> Tensor:
    """A new tensor with a copy of `data`: a number, nested lists, a NumPy array or a Tensor (detached).

    Python floats become the default dtype (float32), ints int64, bools bool; NumPy's numbers and arrays and tensors keep
    their dtype; mixed lists are promoted. Lists of tensors of several elements are taken too (PyTorch refuses them).

    Raises:
        DTypeError: data that are not numbers, or requires_grad for integers. ShapeError: ragged lists.
        ArgumentError: a number that the integer dtype cannot hold.

    Example:
        >>> import tensorlite as tl
        >>> tl.tensor([[1, 2], [3, 4]]).shape
        (2, 2)
    """
    if isinstance(data, Tensor):
        out = data.detach().clone()
        out = out.to(device=device or data.device, dtype=dtype)
        return out.requires_grad_() if requires_grad else out
    device = as_device(device)
    array, _ = _host_array(data, "tensor", None if dtype is None else dtypes.as_dtype(dtype))
    return _finish(device.backend.from_host(array), device, requires_grad)


def as_tensor(data, dtype=None, device=None) -> Tensor:
    """`data` as a tensor, copied only where needed: NumPy arrays share memory on the CPU, tensors pass."""
    if isinstance(data, Tensor):
        return data.to(device=device, dtype=dtype)
    if isinstance(data, host().xp.ndarray):
        return from_numpy(data).to(device=as_device(device), dtype=dtype)
    return tensor(data, dtype=dtype, device=device)


def asarray(obj, *, dtype=None, device=None, copy=None, requires_grad=False) -> Tensor:
    """obj as a tensor. copy: True always copies, False refuses to, None copies where needed."""
    out = as_tensor(obj, dtype, device)
    source = obj.array if isinstance(obj, Tensor) else obj
    here = out.device.type == "cpu" and isinstance(source, host().xp.ndarray)
    shares = out is obj or (here and host().xp.shares_memory(out.array, source))
    if copy is False and not shares and out.array.size:
        raise errors.ArgumentError(
            "asarray: this needs a copy (another dtype or device, or data in lists), and copy is False"
        )
    if copy and shares:
        out = out.clone()
    return out.detach().requires_grad_() if requires_grad and not out.requires_grad else out


def from_numpy(array) -> Tensor:
    """A CPU tensor on the memory of a NumPy array: changes of one are seen in the other."""
    if not isinstance(array, host().xp.ndarray):
        raise errors.DTypeError(f"from_numpy: a NumPy array is needed, not {type(array).__name__}")
    dtypes.as_dtype(array.dtype)
    return wrap(array, as_device("cpu"))


def scalar_tensor(s, *, dtype=None, device=None, requires_grad=False, **other) -> Tensor:
    """A 0-d tensor of the number s, in the default dtype unless given, also for an int."""
    return full((), s, dtype=dtype or dtypes.get_default_dtype(), device=device, requires_grad=requires_grad, **other)


# ---------------------------------------------------------------- one value
def kwargs_size(name, size):
    """Sizes given as f(2, 3) or f((2, 3)); negative ones are refused."""
    size = dims.shape_of(name, size)
    if any(n < 0 for n in size):
        raise errors.ShapeError(f"{name}: sizes cannot be negative, got {size}")
    if math.prod(size) >= 2**60:
        raise errors.ShapeError(f"{name}: no memory holds a tensor of shape {size}")
    return size


def _filled(name, make):
    def function(*sizes, size=None, dtype=None, device=None, requires_grad=False, **other):
        if not sizes and size is None:
            raise errors.ShapeError(f"{name}: a size is needed, e.g. {name}(2, 3); {name}(()) has no dimensions")
        size = kwargs_size(name, sizes if size is None else (size,))
        device, d = _where(name, dtype, device, other)
        return _finish(make(device.backend.xp)(size, dtype=d.dtype), device, requires_grad)

    function.__name__ = function.__qualname__ = name
    return function


zeros = _filled("zeros", lambda xp: xp.zeros)
ones = _filled("ones", lambda xp: xp.ones)
empty = _filled("empty", lambda xp: xp.empty)
zeros.__doc__ = "A tensor of zeros: zeros(2, 3) or zeros((2, 3)), with dtype, device, requires_grad."
ones.__doc__ = "A tensor of ones: ones(2, 3) or ones((2, 3)), with dtype, device, requires_grad."
empty.__doc__ = "A tensor whose values are whatever the memory holds; with dtype, device, requires_grad."


def full(size, fill_value, *, dtype=None, device=None, requires_grad=False, **other) -> Tensor:
    """A tensor of one value; its dtype is that of the value (a float: the default dtype) unless given."""
    size = kwargs_size("full", (size,))
    if isinstance(fill_value, Tensor):
        dtype = dtype or fill_value.dtype
    fill_value = fill_value.item() if hasattr(fill_value, "item") else fill_value
    if not isinstance(fill_value, (bool, int, float)):
        raise errors.DTypeError(f"full: fill_value must be a number, not {type(fill_value).__name__}")
    if dtype is None and not isinstance(fill_value, float):
        dtype = "bool" if isinstance(fill_value, bool) else "int64"
    device, d = _where("full", dtype, device, other)
    dtypes.check_float("full", fill_value, d)
    if d.category == 1 and not isinstance(fill_value, bool):
        _check_fits("full", host().xp.array(fill_value), d)
        fill_value = int(fill_value) % 256 if d.name == "uint8" else int(fill_value)
    return _finish(device.backend.xp.full(size, fill_value, dtype=d.dtype), device, requires_grad)


def empty_strided(size, stride, *, dtype=None, device=None, requires_grad=False, **other) -> Tensor:
    """An uninitialised tensor with the given steps (in elements) from one element to the next of each dimension."""
    size, stride = kwargs_size("empty_strided", (size,)), kwargs_size("empty_strided", (stride,))
    if len(size) != len(stride):
        raise errors.ShapeError(f"empty_strided: {len(size)} sizes but {len(stride)} strides")
    device, d = _where("empty_strided", dtype, device, other)
    count = 0 if 0 in size else 1 + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    memory = device.backend.xp.empty((count,), dtype=d.dtype)
    array = device.backend.strided(memory, size, tuple(s * d.itemsize for s in stride))
    return _finish(array, device, requires_grad)


def eye(n, m=None, *, dtype=None, device=None, requires_grad=False, **other) -> Tensor:
    """n rows, m (or n) columns: ones on the diagonal, zeros elsewhere."""
    n, m = kwargs_size("eye", (n, n if m is None else m))
    device, d = _where("eye", dtype, device, other)
    return _finish(device.backend.xp.eye(n, m, dtype=d.dtype), device, requires_grad)


def a_tensor(name, x):
    """x, which must be a tensor."""
    if not isinstance(x, Tensor):
        raise errors.DTypeError(f"{name}: a tensor is needed, not {type(x).__name__}; use tl.tensor(...)")
    return x


def _beside(like, made):
    """made; inside of vmap one for each of the examples that `like` holds: so it can be changed in place."""
    return made if like.batched is None else like.for_each(made)


def _like(name, function):
    def make(input, *args, dtype=None, device=None, requires_grad=False, **other):
        a_tensor(name, input)
        kw = {"dtype": dtype or input.dtype, "device": device or input.device, "requires_grad": requires_grad}
        return _beside(input, function(tuple(input.shape), *args, **kw, **other))

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"{name.removesuffix('_like')} in the shape, dtype and device of input."
    return make


zeros_like, ones_like = _like("zeros_like", zeros), _like("ones_like", ones)
empty_like, full_like = _like("empty_like", empty), _like("full_like", full)


# ---------------------------------------------------------------- sequences
def _number(op, v):
    v = v.item() if hasattr(v, "item") else v
    if not isinstance(v, (bool, int, float)):
        raise errors.DTypeError(f"{op}: a number is needed, not {type(v).__name__}")
    return int(v) if isinstance(v, bool) else v


def arange(start=None, end=None, step=1, *, dtype=None, device=None, requires_grad=False, **other) -> Tensor:
    """start, start + step, ... up to but not including end; int64 when all are ints, else the default dtype.

    ceil((end - start) / step) values. Floats are computed as start + i step in float64 and then rounded once; PyTorch's
    float32 values may lie one rounding beside, depending on the width of its vector instructions.

    Raises:
        ArgumentError: step 0, a step away from end, or an infinite end.

    Example:
        >>> import tensorlite as tl
        >>> tl.arange(1, 2, 0.25)
        tensor([1.0000, 1.2500, 1.5000, 1.7500])
    """
    if start is None or end is None:
        start, end = 0, start if end is None else end
    start, end, step = (_number("arange", v) for v in (start, end, step))
    whole = all(isinstance(v, int) for v in (start, end, step))
    device, d = _where("arange", dtype or ("int64" if whole else None), device, other)
    if not all(map(math.isfinite, (start, end, step))):
        raise errors.ArgumentError(f"arange: from {start} to {end} in steps of {step}: all must be finite")
    if step == 0 or (end - start) * step < 0 or (d.name == "int64" and not int(step)):
        raise errors.ArgumentError(f"arange: from {start} to {end} cannot be reached in steps of {step}")
    if d.name == "int64":  # PyTorch cuts the numbers off first
        start, end, step, whole = int(start), int(end), int(step), True
    if d.category == 0:
        raise errors.DTypeError("arange: there is no range of bools; use another dtype")
    xp = device.backend.xp
    n = -((start - end) // step) if whole else math.ceil((end - start) / step)
    if whole and d.category == 1:
        array = xp.arange(start, start + n * step, step, dtype=xp.int64)
    else:
        array = (
            start + xp.arange(n, dtype=xp.float64) * step if d.category == 2 else int(start) + xp.arange(n) * int(step)
        )
    return _finish(array.astype(d.dtype, copy=False), device, requires_grad)


def _spaced(op, start, end, steps, dtype, device, other):
    """`steps` numbers from start to end in float64, each counted from the nearer end; the device, the dtype."""
    start, end = _number(op, start), _number(op, end)
    if not hasattr(steps, "__index__"):
        raise errors.DTypeError(f"{op}: steps must be an int, not {type(steps).__name__}")
    steps = steps.__index__()
    if steps < 0:
        raise errors.ArgumentError(f"{op}: the number of steps cannot be negative, got {steps}")
    device, d = _where(op, dtype, device, other)
    if d.category == 0:
        raise errors.DTypeError(f"{op}: there is no range of bools; use another dtype")
    if d.category == 1 and (op == "linspace" or steps != 1):  # as PyTorch does
        start, end = int(start), int(end)
    xp = device.backend.xp
    i = xp.arange(steps, dtype=xp.float64)
    step = (end - start) / (steps - 1) if steps > 1 else 0.0
    return xp.where(i < (steps // 2 if steps > 1 else 1), start + i * step, end - (steps - 1 - i) * step), device, d


def linspace(start, end, steps, *, dtype=None, device=None, requires_grad=False, **other) -> Tensor:
    """`steps` equally spaced values from start to end, both included. Integer dtypes cut the fractions off.

    Computed in float64 from the nearer end and rounded once. PyTorch computes in the dtype itself, and its integers come
    out one beside where its vector instructions cut off a fraction too early.

    Example:
        >>> import tensorlite as tl
        >>> tl.linspace(0, 1, 5)
        tensor([0.0000, 0.2500, 0.5000, 0.7500, 1.0000])
    """
    values, device, d = _spaced("linspace", start, end, steps, dtype, device, other)
    return _finish(values.astype(d.dtype, copy=False), device, requires_grad)


def logspace(start, end, steps, base=10.0, *, dtype=None, device=None, requires_grad=False, **other) -> Tensor:
    """base ** x for `steps` equally spaced x from start to end."""
    values, device, d = _spaced("logspace", start, end, steps, dtype, device, other)
    return _finish((float(base) ** values).astype(d.dtype, copy=False), device, requires_grad)


def _triangle(op, below):
    def indices(row, col, offset=0, *, dtype="int64", device=None, **other):
        row, col = kwargs_size(op, (row, col))
        device, d = _where(op, dtype, device, other)
        if d.name not in ("int32", "int64"):
            raise errors.DTypeError(f"{op}: the dtype must be int32 or int64, not {d.name}")
        xp = host().xp
        inside = xp.tri(row, col, offset, dtype=bool) if below else ~xp.tri(row, col, offset - 1, dtype=bool)
        return wrap(device.backend.from_host(xp.stack(xp.nonzero(inside)).astype(d.dtype)), device)

    indices.__name__ = indices.__qualname__ = op
    where = "on and below" if below else "on and above"
    indices.__doc__ = (
        f"(2, n): the rows and the columns of the elements {where} the diagonal `offset` of a (row, col) matrix."
    )
    return indices


tril_indices, triu_indices = _triangle("tril_indices", True), _triangle("triu_indices", False)


def one_hot(tensor, num_classes=-1) -> Tensor:
    """(...) class numbers -> (..., num_classes) zeros with a one at the class; int64. -1: one more than the largest class.

    Raises:
        DTypeError: class numbers that are not integers. IndexRangeError: a class outside 0..num_classes-1.
        ArgumentError: num_classes cannot be worked out from an empty tensor.
    """
    if not isinstance(tensor, Tensor) or tensor.dtype.category != 1:
        raise errors.DTypeError(f"one_hot: class numbers must be an integer tensor, got {errors.describe(tensor)}")
    if num_classes < -1:
        raise errors.ArgumentError(f"one_hot: num_classes must be -1 or the number of classes, got {num_classes}")
    if not tensor.array.size and num_classes < 1:
        raise errors.ArgumentError("one_hot: an empty tensor does not tell the number of classes; give num_classes")
    n = int(tensor.array.max()) + 1 if num_classes == -1 else num_classes
    tensor.device.backend.check_range(tensor.array, n, "one_hot: class")
    return (tensor.unsqueeze(-1) == arange(n, device=tensor.device)).long()


# ---------------------------------------------------------------- as methods and constructors
def _new(function):
    def method(self, *args, dtype=None, device=None, requires_grad=False, **other):
        kw = {"dtype": dtype or self.dtype, "device": device or self.device, "requires_grad": requires_grad}
        return _beside(self, function(*args, **kw, **other))

    method.__name__ = method.__qualname__ = "new_" + function.__name__
    method.__doc__ = f"tl.{function.__name__} with the dtype and device of this tensor."
    return method


for _function in (zeros, ones, empty, full, tensor, empty_strided):
    setattr(Tensor, "new_" + _function.__name__, _new(_function))


def _construct(cls, data=(), *rest):
    """Tensor(data) is float32 and Tensor(2, 3) uninitialised, as PyTorch's are; use tl.tensor for all else."""
    return _typed(data, rest, data.dtype if isinstance(data, Tensor) else dtypes.get_default_dtype())


def _typed(data, rest, dtype):
    if rest or isinstance(data, (int, Size)):
        return empty(data, *rest, dtype=dtype)
    if isinstance(data, float) or data is None:
        raise errors.DTypeError(f"Tensor: sizes or a sequence are needed, not {data}; use tl.tensor for a number")
    return as_tensor(data, dtype=dtype)


Tensor.__new__ = _construct
Tensor.new = lambda self, data=(), *rest: _typed(data, rest, self.dtype).to(self.device)
Tensor.new.__doc__ = "A tensor of this one's dtype from data or sizes: PyTorch's old way; use new_tensor or new_empty."


class _OfOneDtype(type):
    """What makes FloatTensor and its kin: calling it makes a tensor, isinstance asks for the dtype."""

    def __call__(cls, data=(), *rest):
        return _typed(data, rest, cls.dtype)

    def __instancecheck__(cls, x):
        return isinstance(x, Tensor) and x.dtype is cls.dtype


def _of_one_dtype(name, dtype):
    doc = f"PyTorch's old constructor of {dtype} tensors, from data or from sizes; prefer tl.tensor(data, dtype=tl.{dtype})."
    return _OfOneDtype(name, (), {"dtype": dtypes.as_dtype(dtype), "__doc__": doc, "__module__": __name__})


FloatTensor, DoubleTensor, HalfTensor, LongTensor, IntTensor, ShortTensor, CharTensor, ByteTensor, BoolTensor = (
    _of_one_dtype(f"{name}Tensor", dtype)
    for name, dtype in {"Float": "float32", "Double": "float64", "Half": "float16", "Long": "int64", "Int": "int32",
                        "Short": "int16", "Char": "int8", "Byte": "uint8", "Bool": "bool"}.items()
)  # fmt: skip


# ---------------------------------------------------------------- questions
def is_tensor(obj) -> bool:
    """Whether obj is a Tensor."""
    return isinstance(obj, Tensor)


def numel(input) -> int:
    """The number of elements."""
    return a_tensor("numel", input).array.size


def is_floating_point(input) -> bool:
    """Whether the dtype of input is a floating-point one."""
    return a_tensor("is_floating_point", input).dtype.is_floating_point


def result_type(*values) -> dtypes.dtype:
    """The dtype an operation on these tensors and Python numbers gives, by PyTorch's promotion rules."""
    return dtypes.result_type(
        *[v.array if isinstance(v, Tensor) else v.item() if hasattr(v, "item") else v for v in values]
    )
