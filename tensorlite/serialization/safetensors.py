"""The format .safetensors: a dict of named tensors, read and written through the library `safetensors` (extra `hub`).

`load_file`, `save_file`, `load`, `save` are those of `safetensors.torch`. The library looks at the header of a file (every
memory within the file, none overlapping another, sizes that agree); the elements are then read straight into arrays.
"""

import importlib
import io
import json
import math
import os

from tensorlite import errors
from tensorlite.backend import dtypes, host
from tensorlite.serialization.reader import check_bools, fill, put
from tensorlite.serialization.writer import replacing
from tensorlite.tensor import Tensor, Version

__all__ = ["load", "load_file", "save", "save_file"]

_DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64", "I32": "int32",
    "I16": "int16", "I8": "int8", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip
_HEADER = 100 << 20  # bytes; the library's own limit


def _library():
    try:
        return importlib.import_module("safetensors")
    except ImportError:
        raise errors.missing_extra("a .safetensors file", "safetensors", "hub") from None


def looks_like(file) -> bool:
    """Whether a file begins as the format does: the length of a header within the file, and its brace."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    start = file.read(9)
    return start[8:] == b"{" and int.from_bytes(start[:8], "little") <= size - 8


# ---------------------------------------------------------------- reading
def load_file(filename, device="cpu") -> dict:
    """The tensors of a .safetensors file by name, on a device. Raises FileError for a file that is wrong in any way."""
    with open(filename, "rb") as file:
        return _read(file, device, repr(os.fspath(filename)))


def load(data: bytes) -> dict:
    """The tensors in the bytes of a .safetensors file, by name. Raises FileError."""
    return _read(io.BytesIO(data), "cpu", "this data")


def _read(file, device, name):
    _library()
    try:
        return read(file, device)
    except (errors.DeviceError, errors.MissingExtraError):
        raise
    except errors.FileError as e:
        raise errors.FileError(f"load: {name} cannot be loaded: {e}") from None
    except Exception as e:
        raise errors.FileError(f"load: {name} cannot be loaded: it is not a safetensors file ({e})") from e


def read(file, map_location) -> dict:
    """The tensors of an open file. Raises FileError."""
    library = _library()
    file.seek(0)
    try:
        if isinstance(file, io.BytesIO):
            library.deserialize(file.getvalue())
        else:
            with library.safe_open(file.name, "np"):
                pass
    except library.SafetensorError as e:
        raise errors.FileError(f"it is damaged, or not a safetensors file ({e})") from None
    size = int.from_bytes(file.read(8), "little")
    if size > _HEADER:
        raise errors.FileError(f"its header is said to be of {size:,} bytes")
    header, found = json.loads(file.read(size), object_pairs_hook=_once), {}
    header.pop("__metadata__", None)
    for name, about in header.items():
        kind, shape, (low, high) = about["dtype"], tuple(about["shape"]), about["data_offsets"]
        if kind not in _DTYPES:
            raise errors.FileError(f"its tensor {name!r} is of dtype {kind}, which tensorlite has not")
        dtype = dtypes.as_dtype(_DTYPES[kind])
        if math.prod(shape) * dtype.itemsize != high - low:
            raise errors.FileError(f"its tensor {name!r} of shape {shape} is said to be of {high - low} bytes")
        array = host().xp.empty(math.prod(shape), dtype.dtype)
        file.seek(8 + size + low)
        fill(file, array)
        check_bools(array)
        found[name] = put(array.reshape(shape), "cpu", Version(), map_location)
    return found


def _once(pairs):
    if len(dict(pairs)) < len(pairs):
        raise ValueError("its header has one name twice")
    return dict(pairs)


# ---------------------------------------------------------------- writing
def save_file(tensors: dict, filename, metadata: "dict | None" = None) -> None:
    """Write a dict of tensors to a .safetensors file, atomically. metadata: a dict of text, kept in the header.

    Raises:
        DTypeError: not a dict from text to tensors, or metadata that are not text.
        ArgumentError: two tensors share memory, which the format cannot keep: leave one out, or clone it.
    """
    specs, alive = _specs(tensors, metadata)
    with replacing(filename) as temporary:
        _library().serialize_file(specs, temporary, metadata)
    del alive


def save(tensors: dict, metadata: "dict | None" = None) -> bytes:
    """The bytes of the .safetensors file that save_file would write. Raises as save_file does."""
    specs, alive = _specs(tensors, metadata)
    data = bytes(_library().serialize(specs, metadata))
    del alive
    return data


def _specs(tensors, metadata):
    """What the library is given, and the arrays that must stay alive meanwhile."""
    if (type(metadata) is not dict and metadata is not None) or any(
        type(v) is not str for kv in (metadata or {}).items() for v in kv
    ):
        raise errors.DTypeError("save_file: metadata is a dict from text to text")
    if not isinstance(tensors, dict):
        raise errors.DTypeError(f"save_file: a dict from names to tensors is needed, not {type(tensors).__name__}")
    arrays, owners = {}, {}
    for name, t in tensors.items():
        if type(name) is not str or not isinstance(t, Tensor):
            raise errors.DTypeError(
                f"save_file: a .safetensors file holds tensors by name only; {name!r} is {errors.describe(t)}"
                "; use a name without the suffix .safetensors for tl.save's own format"
            )
        if t.array.size and owners.setdefault(t.version, name) != name:
            raise errors.ArgumentError(
                f"save_file: {owners[t.version]!r} and {name!r} share memory, which a .safetensors file cannot keep; "
                "leave one out, or give one its own by x.clone()"
            )
        b = t.device.backend
        arrays[name] = host().xp.ascontiguousarray(b.to_host(b.as_array(t.array))).reshape(tuple(t.shape))
    library = _library()
    if hasattr(library, "TensorSpec"):
        specs = {
            name: library.TensorSpec(dtype=a.dtype.name, shape=list(a.shape), data_ptr=a.ctypes.data, data_len=a.nbytes)
            for name, a in arrays.items()
        }
    else:  # before 0.6
        specs = {n: {"dtype": a.dtype.name, "shape": list(a.shape), "data": a.tobytes()} for n, a in arrays.items()}
    return specs, arrays
