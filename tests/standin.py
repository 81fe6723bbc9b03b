"""A stand-in for CuPy that needs no GPU: the module `xp` and its array class, stricter than CuPy where that is cheap.

An array HOLDS a NumPy array (it is none), so every way back to NumPy that CuPy refuses is refused here: implicit
conversion, NumPy's functions, host arrays and lists as operands. Names, methods and keywords are those of
cupy_names.json. Where a GPU would be silently wrong, it raises Undefined: indices out of range (CuPy wraps them), the
same place twice in an assignment (no defined winner); memory of `empty` is poisoned. Where a GPU would be slow, it
counts: `with syncs() as found:` lists every wait for the device, `with no_sync():` forbids them (standin_rules.py).
The backend around it is standin_backend.py.
"""

import operator

import numpy as np
from standin_rules import NAMES, Signature, Undefined, in_range, once, waits

from tensorlite.backend.keys import integer_arrays

# ---------------------------------------------------------------- in and out
_DTYPES = {np.dtype(c) for c in "?bBhHiIlLqQefdFD"}


def _wrap(r):
    """A NumPy result as CuPy would give it: arrays, 0-d ones too, on the device; other things as they are."""
    if isinstance(r, (np.ndarray, np.generic)):
        r = np.asarray(r)
        if r.dtype not in _DTYPES and r.dtype.name != "bfloat16":
            raise ValueError(f"Unsupported dtype {r.dtype}")
        return _new(r)
    if isinstance(r, tuple):
        return tuple(map(_wrap, r))
    return list(map(_wrap, r)) if isinstance(r, list) else r


def _from_pickle(array):
    return xp.asarray(array)


def _new(held):
    self = object.__new__(StrictArray)
    self._a = held
    return self


def _unwrap(v):
    """An argument as NumPy needs it. Host arrays are refused."""
    t = type(v)
    if t is StrictArray:
        return v._a
    if t is tuple or t is list:
        return t(map(_unwrap, v))
    if isinstance(v, np.ndarray):
        raise TypeError("Unsupported type <class 'numpy.ndarray'>: host and device arrays are mixed")
    return v


def _operand(v):
    """As _unwrap, for something to compute with: no lists either."""
    if isinstance(v, (list, tuple)):
        raise TypeError(f"Unsupported type {type(v)}: CuPy does not compute with lists")
    return _unwrap(v)


# ---------------------------------------------------------------- the array
class StrictArray:
    """What `cupy.ndarray` is to CuPy. Its methods, but for those written here, come from the table (see the end)."""

    __slots__ = ("__weakref__", "_a")
    __array_ufunc__ = None  # np.add(x, ...) is refused, and numpy_array + x asks x
    __hash__ = None

    def __init__(self, shape, dtype=float):
        self._a = _poisoned(np.empty(shape, dtype))

    shape = property(lambda self: self._a.shape)
    ndim = property(lambda self: self._a.ndim)
    dtype = property(lambda self: self._a.dtype)
    size = property(lambda self: self._a.size)
    nbytes = property(lambda self: self._a.nbytes)
    itemsize = property(lambda self: self._a.itemsize)
    strides = property(lambda self: self._a.strides)
    T = property(lambda self: _new(self._a.T))
    mT = property(lambda self: _new(self._a.swapaxes(-1, -2)))
    real = property(lambda self: _new(self._a.real))
    imag = property(lambda self: _new(self._a.imag))
    flags = property(lambda self: Flags(self._a.flags))
    base = property(lambda self: None if self._a.base is None else _new(np.asarray(self._a.base)))
    device = property(lambda self: "<stand-in device>")

    def __getattr__(self, name):
        known = name in NAMES["ndarray"]
        raise AttributeError(
            f"the stand-in does not model cupy.ndarray.{name}" if known else f"cupy.ndarray has no attribute {name!r}"
        )

    # no implicit way to the host
    def __array__(self, *args, **kw):
        raise TypeError("Implicit conversion to a NumPy array is not allowed; use .get()")

    def __array_function__(self, function, *args):
        raise TypeError(f"numpy.{function.__name__} was given a device array; use xp.{function.__name__}")

    # explicit ones wait
    def get(self, stream=None, order="C", out=None, blocking=True):
        waits("get()")
        return self._a.copy()

    def item(self):
        waits("item()")
        return self._a.item()

    def tolist(self):
        waits("tolist()")
        return self._a.tolist()

    def __bool__(self):
        waits("bool()")
        return bool(self._a)

    def __int__(self):
        waits("int()")
        return int(self._a)

    def __float__(self):
        waits("float()")
        return float(self._a)

    def __index__(self):
        waits("index()")
        return operator.index(self._a.item())

    def __repr__(self):
        waits("repr()")
        return f"stand-in {self._a!r}"

    def __format__(self, spec):
        waits("format()")
        return format(self._a.item() if spec else self._a, spec)

    def set(self, arr, stream=None):
        waits("set()")
        self._a[...] = arr

    def __len__(self):
        return len(self._a)

    def __iter__(self):
        return iter([_wrap(v) for v in self._a])

    def __copy__(self):
        return _new(self._a.copy())

    def __deepcopy__(self, memo):
        return _new(self._a.copy())

    def __reduce__(self):
        return _from_pickle, (self.get(),)

    # indexing
    def __getitem__(self, key):
        parts = _key(key)
        try:
            return _wrap(self._a[parts])
        except IndexError:
            in_range(self._a.shape, parts)
            raise

    def __setitem__(self, key, value):
        parts, value = _key(key), _operand(value)
        if not np.isscalar(value) and value.size > 1:
            once(self._a.shape, parts, value)
        try:
            self._a[parts] = value
        except IndexError:
            in_range(self._a.shape, parts)
            raise

    def scatter_add(self, slices, value):
        parts = _key(slices)
        if integer_arrays(self._a.shape, parts) and self._a.dtype.char not in "efdiILQ":
            raise TypeError(f"scatter_add (add.at) does not support {self._a.dtype}")
        try:
            np.add.at(self._a, parts, _operand(value))
        except IndexError:
            in_range(self._a.shape, parts)
            raise


class Flags:
    """The flags that CuPy has."""

    def __init__(self, flags):
        self.c_contiguous, self.f_contiguous, self.owndata = flags.c_contiguous, flags.f_contiguous, flags.owndata

    def __getitem__(self, name):
        return getattr(self, name.lower())


def _key(key):
    """An index expression on held arrays. A boolean mask makes the host wait: it needs the number of True."""
    parts = key if isinstance(key, tuple) else (key,)
    for k in parts:
        if isinstance(k, np.ndarray):
            raise TypeError("the index is a numpy.ndarray: CuPy would copy it to the device at each use")
        if isinstance(k, (bool, np.bool_)) or (type(k) is StrictArray and k._a.dtype == bool):
            waits("a boolean mask as index")
    return tuple(_unwrap(k) for k in parts)


# ---------------------------------------------------------------- operators
def _binary(name, swapped=False):
    f = getattr(operator, name)

    def method(self, other):
        if type(other) is StrictArray:
            b = other._a
        elif isinstance(other, (int, float, complex, np.generic)):
            b = other
        elif isinstance(other, (np.ndarray, list, tuple)):
            raise TypeError(f"Unsupported type {type(other)}: host and device arrays are mixed")
        else:
            return NotImplemented
        r = f(b, self._a) if swapped else f(self._a, b)
        return _new(r if type(r) is np.ndarray else np.asarray(r))

    return method


def _inplace(name):
    f = getattr(operator, "i" + name)

    def method(self, other):
        f(self._a, _operand(other))
        return self

    return method


def _unary(name):
    f = getattr(operator, name)
    return lambda self: _new(np.asarray(f(self._a)))


_ARITHMETIC = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul")
for _name in (*_ARITHMETIC, "and_", "or_", "xor", "lshift", "rshift"):
    _plain = _name.rstrip("_")
    setattr(StrictArray, f"__{_plain}__", _binary(_name))
    setattr(StrictArray, f"__r{_plain}__", _binary(_name, swapped=True))
    if _name != "matmul":
        setattr(StrictArray, f"__i{_plain}__", _inplace(_plain))
for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    setattr(StrictArray, f"__{_name}__", _binary(_name))
for _name in ("neg", "pos", "abs", "invert"):
    setattr(StrictArray, f"__{_name}__", _unary(_name))


# ---------------------------------------------------------------- functions and methods from the table
# fmt: off
_WAIT = {"nonzero", "argwhere", "flatnonzero", "extract", "compress", "bincount", "put", "choose", "trim_zeros",
         "tobytes", "tofile", "unique", "unique_all", "unique_counts", "unique_inverse", "unique_values", "union1d",
         "intersect1d", "setdiff1d", "setxor1d", "in1d", "isin"}
_FROM_HOST = {"array", "asarray", "asanyarray", "ascontiguousarray", "asfortranarray"}
_WRAPS = {"take", "take_along_axis", "put_along_axis", "put"}  # an index out of range is no error
_ZERO_D = {"allclose", "array_equal", "array_equiv", "count_nonzero"}  # a device array, where NumPy gives a number
_ONLY = {"einsum": {"dtype", "optimize"}}  # keywords that CuPy takes out of its **kwargs
_ARRAY = {"a", "x", "m", "v", "arr", "ary", "array", "x1", "condition"}  # a first parameter that is never a list
# fmt: on


def _poisoned(held):
    """Make the memory of `empty` visible: NaN, the largest integer, True."""
    kind = held.dtype.kind
    held[...] = True if kind == "b" else np.iinfo(held.dtype).max if kind in "iu" else np.nan
    return held


def _checked(f, name, signature, method=False):
    """NumPy's function or method f with CuPy's parameters, on held arrays."""
    check = Signature(f"ndarray.{name}" if method else name, signature).check
    host, short = name in _FROM_HOST, name.rpartition(".")[2]
    only, sole = _ONLY.get(name), not method and not host and signature.split("=")[0].split(" ")[0] in _ARRAY
    convert = _from_host if host else _unwrap

    def call(*args, **kw):
        out = kw.get("out")
        check(args[1:] if method else args, kw)
        if sole and args and isinstance(args[0], (list, tuple)):
            raise TypeError(f"cupy.{name}: Unsupported type {type(args[0])}")
        if only is not None and not only.issuperset(kw):
            raise TypeError(f"cupy.{name} does not take {sorted(set(kw) - only)}")
        if short in _WAIT or (short == "where" and len(args) == 1):
            waits(f"{short}()")
        if short == "repeat" and isinstance(args[1], StrictArray):
            raise ValueError("cupy.repeat does not take an array of repeats")
        kw.pop("blocking", None)
        args = [convert(v) for v in args]
        if kw:
            kw = {k: convert(v) for k, v in kw.items()}
        try:
            r = f(*args, **kw)
        except IndexError as e:
            raise (Undefined(f"{short}: {e}; CuPy would wrap silently") if short in _WRAPS else e) from None
        if short in ("empty", "empty_like"):
            _poisoned(r)
        if out is not None:
            return out
        return _wrap(np.asarray(r) if short in _ZERO_D else r)

    return call


def _from_host(v):
    if type(v) is StrictArray:
        return v._a
    if isinstance(v, (np.ndarray, list, tuple)):
        waits("a copy from the host")
        return np.array(v)
    return v


class StrictUfunc:
    """An elementwise function of CuPy."""

    def __init__(self, name, entry):
        self.name, self.f, self.has_at = name, getattr(np, name), entry["at"]
        self.signature = Signature(name, entry["parameters"])

    def __call__(self, *args, **kw):
        self.signature.check(args, kw)
        r = self.f(*[_operand(a) for a in args], **{k: _unwrap(v) for k, v in kw.items()})
        out = kw.get("out")
        return _wrap(r) if out is None or isinstance(out, tuple) else out

    def at(self, a, indices, b=None):
        """a[indices] op= b, repeated places counting as often as they stand there."""
        if not self.has_at:
            raise NotImplementedError(f"`cupy_{self.name}.at` is not supported yet")
        if self.name != "add":
            raise NotImplementedError(f"the stand-in does not model cupy.{self.name}.at")
        a.scatter_add(indices, b)

    def reduce(self, array, axis=0, dtype=None, out=None, keepdims=False):
        """The sum or product along one axis; CuPy has no other."""
        if self.name not in ("add", "multiply"):
            raise NotImplementedError(f"`cupy_{self.name}.reduce` is not supported yet")
        return _wrap(self.f.reduce(_operand(array), axis, dtype, _unwrap(out), keepdims))

    def outer(self, A, B):
        """Every element of A with every one of B."""
        return _wrap(self.f.outer(_operand(A), _operand(B)))


class StrictModule:
    """The module `cupy`, or one below it: each name is made when first asked for."""

    def __init__(self, section, source):
        self._section, self._source = section, source

    def __getattr__(self, name):
        full = f"{self._section}.{name}".strip(".")
        if name not in NAMES[self._section]:
            raise AttributeError(f"module 'cupy' has no attribute {full!r}")
        entry, value = NAMES[self._section][name], getattr(self._source, name, None)
        if isinstance(entry, dict) and value is not None:
            made = StrictUfunc(name, entry)
        elif entry is not None and value is not None:
            made = _checked(value, full, entry)
        elif entry is None and (name == "newaxis" or isinstance(value, (float, type))):
            made = value
        else:
            raise AttributeError(f"the stand-in does not model cupy.{full}")
        setattr(self, name, made)
        return made


for _name, _entry in NAMES["ndarray"].items():
    if isinstance(_entry, str) and hasattr(np.ndarray, _name) and not hasattr(StrictArray, _name):
        setattr(StrictArray, _name, _checked(getattr(np.ndarray, _name), _name, _entry, method=True))

xp = StrictModule("", np)
xp.ndarray = StrictArray
xp.asnumpy = lambda a: a.get()
xp.linalg, xp.fft = StrictModule("linalg", np.linalg), StrictModule("fft", np.fft)
xp.lib = type("lib", (), {"stride_tricks": StrictModule("lib.stride_tricks", np.lib.stride_tricks)})
