"""Making tensors from data and constants: tensor, zeros, arange, ... Random ones are in random.py."""

from tensorlite import errors
from tensorlite.backend import as_device, dtypes, host
from tensorlite.ops import dims
from tensorlite.tensor import Tensor, wrap


def _finish(array, device, requires_grad):
    t = wrap(array, device)
    return t.requires_grad_() if requires_grad else t


def _host_array(data, op):
    """Nested lists of numbers (and tensors) as a NumPy array in the dtype PyTorch gives; None, strings, ragged: an error."""
    if isinstance(data, (list, tuple)) and any(isinstance(v, Tensor) for v in data):
        data = [v.tolist() if isinstance(v, Tensor) else v for v in data]
    try:
        array = host().xp.array(data)
    except ValueError:
        raise errors.ShapeError(f"{op}: the rows of the data have different lengths") from None
    if array.dtype.kind not in "biuf" and array.dtype.name != "bfloat16":
        what = "complex numbers" if array.dtype.kind == "c" else f"data of type {array.dtype}"
        raise errors.DTypeError(f"{op}: {what} cannot be a tensor; numbers and nested lists of numbers can")
    return array


def tensor(data, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """A new tensor with a copy of `data`: a number, nested lists, a NumPy array or a Tensor (detached).

    Python floats become the default dtype (float32), ints int64, bools bool; NumPy arrays keep their dtype.

    Raises:
        DTypeError: data that are not numbers, or requires_grad for integers. ShapeError: ragged lists.

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
    known = hasattr(data, "dtype")
    array = _host_array(data, "tensor")
    if dtype is not None:
        d = dtypes.as_dtype(dtype)
    elif known:
        d = dtypes.as_dtype(array.dtype)
    elif (array.size == 0 and array.dtype.kind == "f") or array.dtype.kind == "f":
        d = dtypes.get_default_dtype()
    else:
        d = dtypes.as_dtype(array.dtype)
    return _finish(device.backend.from_host(array.astype(d.dtype, copy=False)), device, requires_grad)


def as_tensor(data, dtype=None, device=None) -> Tensor:
    """`data` as a tensor, copied only where needed: NumPy arrays share memory on the CPU, tensors pass."""
    if isinstance(data, Tensor):
        return data.to(device=device, dtype=dtype)
    if isinstance(data, host().xp.ndarray):
        return from_numpy(data).to(device=as_device(device), dtype=dtype)
    return tensor(data, dtype=dtype, device=device)


asarray = as_tensor


def from_numpy(array) -> Tensor:
    """A CPU tensor on the memory of a NumPy array: changes of one are seen in the other."""
    if not isinstance(array, host().xp.ndarray):
        raise errors.DTypeError(f"from_numpy: a NumPy array is needed, not {type(array).__name__}")
    dtypes.as_dtype(array.dtype)
    return wrap(array, as_device("cpu"))


def _filled(name, make):
    def function(*size, dtype=None, device=None, requires_grad=False):
        size = kwargs_size(name, size)
        device, d = as_device(device), dtypes.as_dtype(dtype or dtypes.get_default_dtype())
        return _finish(make(device.backend.xp)(size, dtype=d.dtype), device, requires_grad)

    function.__name__ = function.__qualname__ = name
    return function


def kwargs_size(name, size):
    """Sizes given as f(2, 3) or f((2, 3)); negative ones are refused."""
    size = dims.shape_of(name, size)
    if any(n < 0 for n in size):
        raise errors.ShapeError(f"{name}: sizes cannot be negative, got {size}")
    return size


zeros = _filled("zeros", lambda xp: xp.zeros)
ones = _filled("ones", lambda xp: xp.ones)
empty = _filled("empty", lambda xp: xp.empty)
zeros.__doc__ = "A tensor of zeros: zeros(2, 3) or zeros((2, 3)), with dtype, device, requires_grad."
ones.__doc__ = "A tensor of ones: ones(2, 3) or ones((2, 3)), with dtype, device, requires_grad."
empty.__doc__ = "A tensor whose values are whatever the memory holds; with dtype, device, requires_grad."


def full(size, fill_value, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """A tensor of one value; its dtype is that of the value (a float: the default dtype) unless given."""
    size = kwargs_size("full", size if isinstance(size, tuple) else (size,))
    if isinstance(fill_value, Tensor):
        fill_value, dtype = fill_value.item(), dtype or fill_value.dtype
    device, d = as_device(device), dtypes.as_dtype(dtype or type(fill_value))
    return _finish(device.backend.xp.full(size, fill_value, dtype=d.dtype), device, requires_grad)


def _like(name, function):
    def make(input, *args, dtype=None, device=None, requires_grad=False):
        kw = {"dtype": dtype or input.dtype, "device": device or input.device, "requires_grad": requires_grad}
        return function(tuple(input.shape), *args, **kw)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"{name.removesuffix('_like')} in the shape, dtype and device of input."
    return make


zeros_like, ones_like = _like("zeros_like", zeros), _like("ones_like", ones)
empty_like, full_like = _like("empty_like", empty), _like("full_like", full)


def arange(start, end=None, step=1, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """start, start + step, ... up to but not including end; int64 when all are ints, else the default dtype."""
    if end is None:
        start, end = 0, start
    start, end, step = (v.item() if isinstance(v, Tensor) else v for v in (start, end, step))
    if step == 0 or (end - start) * step < 0:
        raise errors.ArgumentError(f"arange: from {start} to {end} cannot be reached in steps of {step}")
    whole = all(isinstance(v, int) for v in (start, end, step))
    device, d = as_device(device), dtypes.as_dtype(dtype or (dtypes.int64 if whole else dtypes.get_default_dtype()))
    return _finish(device.backend.xp.arange(start, end, step).astype(d.dtype), device, requires_grad)


def linspace(start, end, steps, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """`steps` equally spaced values from start to end, both included."""
    device, d = as_device(device), dtypes.as_dtype(dtype or dtypes.get_default_dtype())
    values = host().xp.linspace(start, end, steps)
    return _finish(device.backend.from_host(values.astype(d.dtype)), device, requires_grad)


def eye(n, m=None, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """n rows, m (or n) columns: ones on the diagonal, zeros elsewhere."""
    device, d = as_device(device), dtypes.as_dtype(dtype or dtypes.get_default_dtype())
    return _finish(device.backend.xp.eye(n, m, dtype=d.dtype), device, requires_grad)


def one_hot(input, num_classes=-1) -> Tensor:
    """(...) class numbers -> (..., num_classes) zeros with a one at the class; int64."""
    n = int(input.max().item()) + 1 if num_classes == -1 else num_classes
    input.device.backend.check_range(input.array, n, "one_hot: class")
    return (input.unsqueeze(-1) == arange(n, device=input.device)).long()


def _new(function):
    def method(self, *args, dtype=None, device=None, requires_grad=False):
        kw = {"dtype": dtype or self.dtype, "device": device or self.device, "requires_grad": requires_grad}
        return function(*args, **kw)

    method.__name__ = method.__qualname__ = "new_" + function.__name__
    method.__doc__ = f"tl.{function.__name__} with the dtype and device of this tensor."
    return method


Tensor.new_zeros, Tensor.new_ones, Tensor.new_empty = _new(zeros), _new(ones), _new(empty)
Tensor.new_full, Tensor.new_tensor = _new(full), _new(tensor)


def _construct(cls, data=(), *rest):
    """Tensor(data) is float32 and Tensor(2, 3) uninitialised, as PyTorch's are; use tl.tensor for all else."""
    if rest or isinstance(data, int):
        return empty(data, *rest)
    return tensor(data, dtype=data.dtype if isinstance(data, Tensor) else dtypes.get_default_dtype())


Tensor.__new__ = _construct


def result_type(*values) -> dtypes.dtype:
    """The dtype an operation on these tensors and Python numbers gives, by PyTorch's promotion rules."""
    return dtypes.result_type(*[v.array if isinstance(v, Tensor) else v for v in values])
