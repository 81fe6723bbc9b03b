"""PyTorch's own files (.pt, .pth, .bin) read without PyTorch and without running anything: tensors and containers only.

Since PyTorch 1.6 such a file is a zip: `archive/data.pkl` says how the object is built, `archive/data/0`, `archive/data/1`,
... hold the memories of its tensors. Before, five pickles and the memories followed one another. The pickle is read by
pickles.py with the names below; a memory must hold what every tensor says of it.
"""

import collections
import io
import math
import os
import struct
import sys

from tensorlite import errors
from tensorlite.backend import Device, dtypes, host
from tensorlite.serialization import pickles
from tensorlite.serialization.pickles import Name, Part
from tensorlite.serialization.reader import check_bools, check_members, fill, leaf, put
from tensorlite.tensor import Size, Tensor, Version

MAGIC = (
    b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # the first pickle of the old format: a number, after two bytes of protocol
)
_STORAGES = {
    "Double": "float64", "Float": "float32", "Half": "float16", "BFloat16": "bfloat16", "Long": "int64", "Int": "int32",
    "Short": "int16", "Char": "int8", "Byte": "uint8", "Bool": "bool",
}  # fmt: skip
_DTYPES = (*_STORAGES.values(),)
_OTHERS = {  # what PyTorch has and tensorlite has not: the words to refuse it with
    "_rebuild_sparse_tensor": "a sparse tensor; save x.to_dense()",
    "_rebuild_sparse_csr_tensor": "a sparse tensor; save x.to_dense()",
    "_rebuild_nested_tensor": "a nested tensor; save its parts",
    "_rebuild_qtensor": "a quantized tensor; save x.dequantize()",
    "_rebuild_meta_tensor_no_storage": "a tensor without memory (device 'meta')",
    "_load_from_bytes": "tensors by Python's pickle; save by torch.save",
}
_EXPANDED = 1 << 28  # elements that a tensor which repeats its memory may have


class Storage(Part):
    """The memory of tensors: a vector on the host, the device it was on, its Version, and the tensors made on it."""

    def __init__(self, dtype, array, location):
        self.dtype, self.array, self.location, self.version = dtype, array, location, Version()
        self.seen = {}  # (dtype, offset, size, stride) -> the tensor made for it

    def __str__(self):
        return "a bare torch storage (save the tensor instead)"


class Machine:
    """What the names in a pickle of PyTorch stand for. `storage(kind, key, location, count)` gives a memory."""

    def __init__(self, storage, map_location, allowed):
        self.storage, self.map_location = storage, map_location
        self.classes = {f"{c.__module__}.{c.__qualname__}": c for c in allowed if isinstance(c, type)}
        makers = {
            "torch._utils._rebuild_tensor": self.tensor,
            "torch._utils._rebuild_tensor_v2": self.tensor,
            "torch._utils._rebuild_tensor_v3": self.typed_tensor,
            "torch._utils._rebuild_parameter": self.parameter,
            "torch._utils._rebuild_parameter_with_state": self.parameter,
            "torch._tensor._rebuild_from_type_v2": self.subclass,
            "torch.Tensor": None,
            "torch.nn.parameter.Parameter": None,
            "torch.nn.parameter.Buffer": None,
            "torch.Size": size,
            "torch.device": device,
            "collections.OrderedDict": ordered,
            "collections.Counter": counter,
            "numpy.dtype": NumpyType,
            "numpy.core.multiarray.scalar": number,
            "numpy._core.multiarray.scalar": number,
            "_codecs.encode": encode,
            "builtins.set": set_of, "__builtin__.set": set_of,
        }  # fmt: skip
        self.names = {name: Name(name, make) for name, make in makers.items()}

    def load(self, file):
        return pickles.load(file, self.find, self.persistent, tuple(self.classes.values()))

    def find(self, name):
        if name in self.names:
            return self.names[name]
        module, _, last = name.rpartition(".")
        if module == "torch" and last in _DTYPES:
            return dtypes.as_dtype(last)
        if module in ("torch", "torch.cuda", "torch.storage") and last.endswith("Storage"):
            self.names[name] = Name(name)
            return self.names[name]
        if module in ("torch._utils", "torch.storage") and last in _OTHERS:
            raise errors.FileError(f"it holds {_OTHERS[last]}")
        if module == "torch" and last.startswith(("complex", "uint", "int", "float", "quint", "qint", "bits")):
            raise errors.FileError(f"it holds values of dtype {name}, which tensorlite has not")
        if name in self.classes:
            return Name(name, lambda *arguments: blank(name, self.classes[name], arguments))
        hint = ""
        if last[:1].isupper():  # a class
            hint = "; save model.state_dict() of a model, or allow a plain class by tl.serialization.safe_globals"
        raise errors.FileError(f"it asks for {name}: refused, only tensors and containers are read{hint}")

    def persistent(self, key):
        word, kind, key, location, count, *view = key
        if word != "storage" or type(kind) is not Name or type(count) is not int or count < 0:
            raise ValueError("a memory described wrongly")
        if view and view != [None]:
            raise errors.FileError("it was written by PyTorch before 0.4; load and save it with a newer one")
        return self.storage(storage_dtype(kind.name), text(key), text(location), count)

    # ------------------------------------------------------------ tensors
    def tensor(self, storage, offset, size, stride, requires_grad=False, hooks=None, metadata=None):
        return self.view(storage, storage.dtype, offset, size, stride, requires_grad)

    def typed_tensor(self, storage, offset, size, stride, requires_grad, hooks, dtype, metadata=None):
        return self.view(storage, dtype, offset, size, stride, requires_grad)

    def view(self, storage, dtype, offset, size, stride, requires_grad):
        """A tensor on a memory. Its elements must lie in it; an expanded one may not be endless."""
        if type(storage) is not Storage or type(dtype) is not dtypes.dtype:
            raise ValueError("a tensor described wrongly")
        whole(offset, *size, *stride)
        have, count = storage.array.nbytes // dtype.itemsize, math.prod(size)
        last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True)) if count else offset - 1
        if last >= have or offset > have or count > max(have, _EXPANDED):
            raise errors.FileError(
                f"its tensor of size {shown(size)}, stride {shown(stride)} and offset {offset:,} does not lie within its "
                f"memory of {have} elements"
            )
        key = (dtype, offset, size, stride)
        if key not in storage.seen:
            wide, raw = dtype.itemsize, storage.array.view("uint8")
            array = host().xp.ndarray(size, dtype.dtype, raw, offset * wide, tuple([s * wide for s in stride]))
            check_bools(array)
            storage.seen[key] = put(array, storage.location, storage.version, self.map_location)
        return leaf(storage.seen[key], requires_grad is True)

    def parameter(self, data, requires_grad, hooks, state=None):
        if not isinstance(data, Tensor):
            raise ValueError("a parameter without a tensor")
        return leaf(data, requires_grad is True)

    def subclass(self, function, kind, arguments, state):
        """A tensor with attributes of its own, which are left behind; other classes of tensors are refused."""
        if (
            type(kind) is not Name
            or type(function) is not Name
            or function.make not in (self.tensor, self.typed_tensor)
        ):
            raise ValueError("a tensor described wrongly")
        return function.make(*arguments)


def storage_dtype(name):
    """The dtype of a class of storages; uint8 for those that only count bytes."""
    kind = name.rpartition(".")[2].removesuffix("Storage")
    if kind == "Untyped":
        return dtypes.uint8
    if kind not in _STORAGES:
        what = "complex numbers" if kind.startswith("Complex") else f"values of the kind {kind!r}"
        raise errors.FileError(f"it holds {what}, which tensorlite has not")
    return dtypes.as_dtype(_STORAGES[kind])


def text(value):
    if type(value) is not str:
        raise ValueError(f"a {type(value).__name__} where text must be")
    return value


def whole(*values):
    if any(type(v) is not int or v < 0 for v in values):
        raise ValueError("a size, stride or offset that is none")


def shown(numbers):
    line = str(tuple(numbers))
    return line if len(line) < 60 else line[:57] + "..."


# ---------------------------------------------------------------- small things by name
def size(values):
    whole(*values)
    return Size(values)


def device(kind, index=None):
    return Device(text(kind), index)


def ordered(pairs=()):
    return collections.OrderedDict(pairs_of(pairs))


def counter(pairs=()):
    made = collections.Counter()
    dict.update(made, pairs_of(pairs))
    return made


def pairs_of(pairs):
    """Items of a dict, whose keys can be keys: a dict as it is (its keys were seen), else a list of pairs."""
    return pairs if type(pairs) is dict else {pickles.key(k): v for k, v in pairs}


def set_of(values=()):
    return {pickles.key(v) for v in values}


def encode(value, encoding):
    if encoding != "latin1":
        raise ValueError(f"text encoded by {encoding}")
    return text(value).encode("latin1")


class NumpyType(Part):
    """A NumPy dtype, as the numbers that NumPy pickles name it: a letter and a size; the order of bytes comes by BUILD."""

    def __init__(self, code, *_):
        if text(code) not in ("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"):
            raise errors.FileError(f"it holds a NumPy value of dtype {code!r}: refused, only numbers are read")
        self.code, self.order = code, "<"

    def fill(self, state):
        self.order = ">" if state[1] == ">" else "<"

    def __str__(self):
        return f"the NumPy dtype {self.code!r}"


def number(kind, data):
    """A NumPy number, as a Python number."""
    if type(kind) is not NumpyType or type(data) is not bytes or len(data) != int(kind.code[1]):
        raise ValueError("a number described wrongly")
    return host().xp.frombuffer(data, kind.order + kind.code)[0].item()


def blank(name, kind, arguments):
    """An empty object of a class that the user allowed: nothing of the class is called, attributes come by BUILD."""
    if arguments:
        raise errors.FileError(f"it asks for a call of {name} with arguments: refused, no file is allowed to run code")
    return object.__new__(kind)


# ---------------------------------------------------------------- the two formats
def is_zip(archive):
    """Whether an open zip is a file of PyTorch."""
    return any(name.endswith("/data.pkl") for name in archive.namelist())


def read_zip(archive, bytes_, map_location, allowed):
    """The object in a zip of PyTorch; `bytes_`: how long the file is."""
    members = archive.infolist()
    check_members(members, bytes_)
    inside = {i.filename.partition("/")[2]: i for i in members}
    if len({i.filename.partition("/")[0] for i in members}) > 1 or "data.pkl" not in inside:
        raise ValueError("its members lie in several folders")
    if "constants.pkl" in inside:
        raise errors.FileError("it is a TorchScript program, not a file of torch.save; save model.state_dict()")
    order = archive.read(inside["byteorder"]).decode() if "byteorder" in inside else "little"
    found = {}

    def storage(dtype, key, location, count):
        if key not in found:
            info = inside[f"data/{key}"]
            if count * dtype.itemsize > info.file_size or info.file_size % dtype.itemsize:
                raise errors.FileError(
                    f"its memory {key!r:.40} is of {info.file_size} bytes, and said to be of {count} numbers"
                )
            array = host().xp.empty(info.file_size // dtype.itemsize, dtype.dtype)
            with archive.open(info) as member:
                fill(member, array)
                if member.read(1):  # at the end the zip's own checksum is compared
                    raise ValueError("a member is longer than it says")
            found[key] = Storage(dtype, array if order == sys.byteorder else array.byteswap(), location)
        if found[key].dtype is not dtype:
            raise ValueError("one memory of two dtypes")
        return found[key]

    return Machine(storage, map_location, allowed).load(io.BytesIO(archive.read(inside["data.pkl"])))


def read_old(file, map_location, allowed):
    """The object in a file of PyTorch before 1.6: number, version, facts of the machine, object, keys, memories."""
    left = file.seek(0, os.SEEK_END)
    file.seek(0)
    found = {}

    def none(*_):
        raise ValueError("a name or memory where none belongs")

    def storage(dtype, key, location, count):
        nonlocal left
        if key not in found:
            left -= count * dtype.itemsize
            if left < 0:
                raise errors.FileError("its memories are said to be larger than the file")
            found[key] = Storage(dtype, host().xp.zeros(count, dtype.dtype), location)
        if found[key].dtype is not dtype or found[key].array.size != count:
            raise ValueError("one memory described in two ways")
        return found[key]

    _, _, facts = (pickles.load(file, none, none) for _ in range(3))
    little, start = facts.get("little_endian", True), file.tell()
    Machine(storage, "cpu", allowed).load(file)  # a first reading, to learn which memories follow
    keys = pickles.load(file, none, none)
    if sorted(keys) != sorted(found):
        raise ValueError("memories that nobody uses, or none for a tensor")
    for key in keys:
        array = found[key].array
        (count,) = struct.unpack("<q" if little else ">q", file.read(8))
        if count != array.size:
            raise ValueError("a memory of another size than described")
        fill(file, array)
        if little != (sys.byteorder == "little"):
            array.byteswap(inplace=True)
        found[key].seen.clear()
    file.seek(start)
    return Machine(storage, map_location, allowed).load(file)
