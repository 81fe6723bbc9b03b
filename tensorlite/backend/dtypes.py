"""Data types: tensorlite's dtype objects, the default dtype, and PyTorch's promotion rules. No arrays are made here."""

import functools
import math

import numpy as np

from tensorlite.errors import ArgumentError, DTypeError


class dtype:
    """A data type such as `tl.float32`. Compares equal to NumPy's (`tl.float32 == np.float32`), one object for each type.

    Example:
        >>> import tensorlite as tl
        >>> tl.float32.itemsize, tl.float32.is_floating_point
        (4, True)
    """

    __slots__ = ("category", "dtype", "is_complex", "is_floating_point", "itemsize", "name")

    def __init__(self, np_dtype, category):
        self.dtype = np_dtype  # NumPy reads this attribute, so np.dtype(tl.float32) works
        self.name = np_dtype.name
        self.itemsize = np_dtype.itemsize
        self.category = category  # 0 bool, 1 integer, 2 floating point, 3 complex (a name only: no tensor has it)
        self.is_floating_point = category == 2
        self.is_complex = category == 3

    is_signed = property(lambda self: self.name not in ("bool", "uint8"))

    def __eq__(self, other):
        if isinstance(other, dtype):
            return self is other
        try:
            return self.dtype == other
        except TypeError:
            return NotImplemented

    def __hash__(self):
        return hash(self.dtype)

    def __repr__(self):
        return f"tensorlite.{self.name}"

    def __reduce__(self):
        return as_dtype, (self.name,)


_NAMES = {
    "bool": 0,
    "uint8": 1,
    "int8": 1,
    "int16": 1,
    "int32": 1,
    "int64": 1,
    "float16": 2,
    "float32": 2,
    "float64": 2,
}
_KNOWN = {np.dtype(name): dtype(np.dtype(name), category) for name, category in _NAMES.items()}
_BY_NAME = {d.name: d for d in _KNOWN.values()}
_PYTHON = {bool: "bool", int: "int64", float: "float64"}
bool_, uint8, int8, int16, int32, int64, float16, float32, float64 = _KNOWN.values()
complex64, complex128 = (dtype(np.dtype(name), 3) for name in ("complex64", "complex128"))
NUMBER, FLOAT32 = (
    np.float32,
    float32.dtype,
)  # 0-d results are NumPy's numbers; to ask one for its dtype takes as long as
# its product with another, so what runs for every operation looks first whether it is of the commonest type
_default = float32
BF16 = None  # NumPy's dtype of bfloat16, once that is in use


def as_dtype(value) -> dtype:
    """The tensorlite dtype for a dtype, a NumPy dtype, a Python type or a name. Raises DTypeError for anything else."""
    if type(value) is dtype and value.category < 3:
        return value
    return _known(value if getattr(value, "__hash__", None) else repr(value))


@functools.lru_cache(maxsize=256)
def _known(value):
    name = _PYTHON.get(value, value)
    if name == "bfloat16" or getattr(name, "__name__", "") == "bfloat16":
        return bfloat16()
    try:
        return _KNOWN[np.dtype(name)]
    except (TypeError, KeyError, ValueError):
        pass
    if isinstance(getattr(value, "ndim", None), int) and not isinstance(value, np.dtype):
        raise DTypeError(f"a dtype is needed, not a {type(value).__name__}; use x.dtype")
    if "complex" in str(value):
        raise DTypeError(
            f"{getattr(value, '__name__', value)} is not supported: tensorlite computes with real numbers only"
        )
    raise DTypeError(f"{value!r} is not a dtype that tensorlite knows; it knows {', '.join(_BY_NAME)}, bfloat16")


def of(array) -> dtype:
    """The tensorlite dtype of a raw array."""
    try:
        return _KNOWN[array.dtype]
    except KeyError:
        return as_dtype(array.dtype)


def bfloat16() -> dtype:
    """`tl.bfloat16`, made on first use from the package ml_dtypes (extra `bf16`)."""
    if "bfloat16" not in _BY_NAME:
        from tensorlite.errors import missing_extra

        try:
            from ml_dtypes import bfloat16 as scalar
        except ImportError:
            raise missing_extra("bfloat16", "ml_dtypes", "bf16") from None
        global BF16
        made = dtype(np.dtype(scalar), 2)
        BF16 = made.dtype
        _KNOWN[made.dtype] = _BY_NAME["bfloat16"] = made
    return _BY_NAME["bfloat16"]


def widen(value):
    """bfloat16 arrays as float32, also those in tuples; all else as it is.

    Operations on bfloat16 compute in float32 and round once: a sum in 8 bits would stand still at 256.
    """
    if BF16 is None:
        return value
    if type(value) is tuple:
        return tuple([widen(v) for v in value])
    return value.astype("float32") if hasattr(value, "dtype") and value.dtype == BF16 else value


def narrow(value):
    """float32 arrays as bfloat16, also those in tuples; all else as it is."""
    if isinstance(value, (tuple, list)):
        return tuple([narrow(v) for v in value])
    return value.astype(BF16) if getattr(value, "dtype", None) == "float32" else value


def get_default_dtype() -> dtype:
    """The floating-point dtype given to Python floats and to creation functions; float32 unless changed."""
    return _default


def set_default_dtype(d) -> None:
    """Set the default floating-point dtype. Raises ArgumentError for a dtype that is not floating point."""
    global _default
    d = as_dtype(d)
    if not d.is_floating_point:
        raise ArgumentError(f"set_default_dtype: only floating-point dtypes can be the default, not {d}")
    _default = d


_FLOAT_ORDER = ("float16", "bfloat16", "float32", "float64")


@functools.lru_cache(maxsize=256)
def _promote_same(a: dtype, b: dtype) -> dtype:
    if a is b:
        return a
    if a.category != b.category:
        return a if a.category > b.category else b
    if a.category == 2:
        if {a.name, b.name} == {"float16", "bfloat16"}:
            return float32
        return max(a, b, key=lambda d: _FLOAT_ORDER.index(d.name))
    return _KNOWN[np.promote_types(a.dtype, b.dtype)]


def promote_types(type1, type2) -> dtype:
    """The dtype that two tensors of these dtypes, both with dimensions, give together (PyTorch's table)."""
    return _promote_same(as_dtype(type1), as_dtype(type2))


def result_type(*values) -> dtype:
    """The dtype an operation on these tensors (or raw arrays) and Python numbers has, by PyTorch's rule.

    Three ranks: tensors with dimensions, 0-d tensors, Python numbers. A lower rank counts only if its category
    (bool < integer < floating point) is higher than that of every rank above.
    """
    ranks = [None, None, None]
    for v in values:
        if hasattr(v, "ndim"):
            rank, d = (0 if v.ndim else 1), as_dtype(v.dtype)
        elif isinstance(v, (bool, int, float)):
            rank, d = 2, bool_ if isinstance(v, bool) else int64 if isinstance(v, int) else _default
        elif isinstance(v, complex):
            raise DTypeError("complex numbers are not supported: tensorlite computes with real numbers only")
        else:
            raise DTypeError(f"a tensor or a number is needed, not {type(v).__name__}")
        ranks[rank] = d if ranks[rank] is None else _promote_same(ranks[rank], d)
    result = None
    for d in ranks:
        if d is not None and (result is None or d.category > result.category):
            result = d
    return result


def check_float(op, value, d) -> None:
    """Refuse a finite Python number beyond the range of a floating-point dtype, which would become inf."""
    if d.category == 2 and not -_top(d) <= value <= _top(d) and -math.inf < value < math.inf:
        raise ArgumentError(
            f"{op}: {value} does not fit into {d.name} (up to {_top(d):g}); use float('inf') for infinity"
        )


@functools.cache
def _top(d):
    return finfo(d).max


def can_cast(from_, to) -> bool:
    """Whether an in-place result of dtype `from_` may be stored in dtype `to`: the category must not go down."""
    return as_dtype(from_).category <= as_dtype(to).category


class finfo:
    """Limits of a floating-point dtype: bits, eps, max, min, tiny, smallest_normal, resolution.

    Example:
        >>> import tensorlite as tl
        >>> tl.finfo(tl.float16).max
        65504.0
    """

    def __init__(self, type=None):
        d = as_dtype(_default if type is None else type)
        if not d.is_floating_point:
            raise DTypeError(f"finfo: {d} is not a floating-point dtype; use iinfo")
        if d.name == "bfloat16":
            from ml_dtypes import finfo as info
        else:
            info = np.finfo
        limits = info(d.dtype)
        self.dtype, self.bits = d.name, d.itemsize * 8
        self.eps, self.max, self.min = float(limits.eps), float(limits.max), float(limits.min)
        self.tiny = self.smallest_normal = float(limits.tiny)
        self.resolution = 10.0 ** -int(-np.log10(self.eps))

    def __repr__(self):
        names = ("resolution", "min", "max", "eps", "smallest_normal", "tiny")
        return f"finfo({', '.join(f'{n}={getattr(self, n):g}' for n in names)}, dtype={self.dtype})"

    def __eq__(self, other):
        return type(other) is type(self) and other.dtype == self.dtype

    def __hash__(self):
        return hash(self.dtype)


class iinfo(finfo):
    """Limits of an integer dtype: bits, max, min."""

    def __init__(self, type):
        d = as_dtype(type)
        if d.category != 1:
            raise DTypeError(f"iinfo: {d} is not an integer dtype; use finfo")
        limits = np.iinfo(d.dtype)
        self.dtype, self.bits, self.max, self.min = d.name, d.itemsize * 8, int(limits.max), int(limits.min)

    def __repr__(self):
        return f"iinfo(min={self.min:g}, max={self.max:g}, dtype={self.dtype})"
