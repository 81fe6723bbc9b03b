"""tl.save and tl.load: nested containers, numbers and tensors in one checked file. Nothing in a file is ever executed.

The file is a zip without compression: `tree.json` says how the object is built, `data/0.npy`, `data/1.npy`, ... hold
the elements in NumPy's own format, and the zip's comment ends with the SHA-256 of all bytes before it.
"""

import base64
import collections
import contextlib
import hashlib
import io
import json
import math
import os
import secrets
import struct
import zipfile

import numpy as np

from tensorlite import errors
from tensorlite.backend import Device, as_device, dtypes
from tensorlite.tensor import Node, Size, Tensor, Version, wrap

VERSION = 1
_MARK = b"tensorlite sha256 "
_DIGITS = 64  # hexadecimal digits of a SHA-256
_CHUNK = 1 << 20
_PLAIN = 1 << 63  # whole numbers below are written in decimals, larger ones as hexadecimal text


# ---------------------------------------------------------------- an object as a tree of JSON values
class _Writer:
    """Turns an object into JSON values, and collects its tensors. `where` is the path of a value, for errors."""

    def __init__(self):
        self.arrays = []  # (raw array, device) for each memory, seen in one way
        self.places = {}  # what identifies such a memory -> its number in self.arrays
        self.tensors = {}  # id of a Tensor -> its number, and the Tensor, so that the id stays its own
        self.open = set()  # ids of the containers around the value

    def encode(self, value, where):
        kind = type(value)
        if value is None or kind is bool or kind is str:
            return value
        if kind is int:
            return value if -_PLAIN < value < _PLAIN else {"int": hex(value)}
        if kind is float:
            return value if math.isfinite(value) else {"float": struct.pack(">d", value).hex()}
        if kind is bytes:
            return {"bytes": base64.b64encode(value).decode()}
        if isinstance(value, Tensor):
            number, _ = self.tensors.setdefault(id(value), (len(self.tensors), value))
            return {"tensor": [self.memory(value), number, value.requires_grad]}
        if kind is dtypes.dtype:
            return {"dtype": value.name}
        if kind is Size:
            return {"size": list(value)}
        if kind is Device:
            return {"device": str(value)}
        if kind not in (dict, collections.OrderedDict, list, tuple):
            name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
            raise errors.DTypeError(f"save: {where} is of type {name}, which cannot be saved{_advice(value)}")
        if id(value) in self.open:
            raise errors.ArgumentError(f"save: {where} contains itself")
        self.open.add(id(value))
        if kind in (list, tuple):
            out = [self.encode(v, f"{where}[{i}]") for i, v in enumerate(value)]
            out = out if kind is list else {"tuple": out}
        else:
            pairs = [[self.key(k, where), self.encode(v, f"{where}[{k!r}]")] for k, v in value.items()]
            out = {"dict" if kind is dict else "ordered": pairs}
        self.open.discard(id(value))
        return out

    def key(self, key, where):
        if isinstance(key, Tensor):
            raise errors.DTypeError(f"save: {where} has a tensor as a key; use a number or a string")
        return self.encode(key, f"the key {key!r} of {where}")

    def memory(self, t):
        """The number of the elements of t: one for all tensors that look at the same memory in the same way."""
        raw = t.device.backend.as_array(t.array)
        key = id(raw)
        if isinstance(raw, np.ndarray) and raw.size:
            key = (raw.__array_interface__["data"][0], raw.shape, raw.strides, raw.dtype.str)
        if key not in self.places:
            self.places[key] = len(self.arrays)
            self.arrays.append((raw, t.device))
        return self.places[key]

    def members(self):
        """The arrays to write, and for each memory a record of where it is found in them.

        Arrays on the host whose memories overlap are written as one stretch of bytes that all of them look into again.
        """
        files, records, ends = [], [None] * len(self.arrays), []
        for i, (raw, device) in enumerate(self.arrays):
            records[i] = {"dtype": dtypes.of(raw).name, "device": str(device)}
            if isinstance(raw, np.ndarray) and raw.size:
                ends.append((*_ends(raw), i))
            else:
                records[i]["file"] = len(files)
                files.append(device.backend.to_host(raw))
        for low, high, group in _overlapping(ends):
            first = self.arrays[group[0]][0]
            together = len(group) > 1 or high - low < first.nbytes  # the latter: expanded, elements share memory
            for i in group:
                raw = self.arrays[i][0]
                records[i]["file"] = len(files)
                if together:
                    start = raw.__array_interface__["data"][0] - low
                    records[i]["view"] = [start, list(raw.shape), list(raw.strides)]
            files.append(np.asarray(_Stretch(low, high)) if together else first)
        return files, records


def _advice(value):
    if type(value).__module__ == "numpy":
        return "; make it a tensor by tl.from_numpy(x)" if getattr(value, "ndim", 0) else "; save x.item()"
    if hasattr(value, "state_dict"):
        return "; save x.state_dict()"
    for base in (dict, list, tuple, int, float, str):
        if isinstance(value, base):
            return f"; save {base.__name__}(x)"
    return "; only numbers, text, bytes, tensors, dtypes, devices, and lists, tuples and dicts of these can"


def _ends(a):
    """The first byte of an array's elements and the one after the last, as addresses."""
    low = high = a.__array_interface__["data"][0]
    for n, s in zip(a.shape, a.strides, strict=True):
        low, high = (low, high + (n - 1) * s) if s > 0 else (low + (n - 1) * s, high)
    return low, high + a.itemsize


def _overlapping(ends):
    """Groups (low, high, numbers) of the stretches (low, high, number) that touch one another's bytes."""
    groups = []
    for low, high, i in sorted(ends):
        if groups and low < groups[-1][1]:
            groups[-1][1] = max(high, groups[-1][1])
            groups[-1][2].append(i)
        else:
            groups.append([low, high, [i]])
    return groups


class _Stretch:
    """The bytes low..high of memory, for np.asarray."""

    def __init__(self, low, high):
        self.__array_interface__ = {"data": (low, True), "shape": (high - low,), "typestr": "|u1", "version": 3}


# ---------------------------------------------------------------- writing
class _Hashed:
    """A file to write to that hashes what passes, and puts the digest in the place of the last 64 bytes at the end."""

    def __init__(self, file):
        self.file, self.hash, self.held = file, hashlib.sha256(), b""

    def write(self, data):
        held = self.held + bytes(data)
        ready, self.held = memoryview(held)[:-_DIGITS], held[-_DIGITS:]
        self.hash.update(ready)
        self._pass(ready)
        return len(data)

    def _pass(self, data):
        while data:  # a raw file may take less than it is given
            data = data[self.file.write(data) or len(data) :]

    def flush(self):
        pass

    def finish(self):
        self._pass(self.hash.hexdigest().encode())


def _write(file, tree, files):
    hashed = _Hashed(file)
    with zipfile.ZipFile(hashed, "w", zipfile.ZIP_STORED) as archive:
        archive.comment = _MARK + b"0" * _DIGITS
        archive.writestr(zipfile.ZipInfo("tree.json"), json.dumps(tree, separators=(",", ":"), allow_nan=False))
        for i, array in enumerate(files):
            array = array.view(np.uint16) if array.dtype.name == "bfloat16" else array  # which the format does not know
            member = zipfile.ZipInfo(f"data/{i}.npy")  # with no date: equal objects give equal files
            with archive.open(member, "w", force_zip64=array.nbytes > 1 << 30) as out:
                np.lib.format.write_array(out, array, version=(1, 0), allow_pickle=False)
    hashed.finish()


def save(obj, f) -> None:
    """Save an object to a file (a path, or a file object open for writing bytes).

    obj: None, bool, int, float, str, bytes, tensors, dtypes, devices, tl.Size, and lists, tuples, dicts and OrderedDicts
    of these, one in another. Numbers of every size and dict keys of every kind are kept exactly. Tensors that share
    memory share it again after load (on a GPU: those that are the same memory in the same shape). Gradients and graphs
    are not saved.

    A path is written atomically: the new file replaces the old one when it is complete and on the disk; when saving
    fails, or the machine does, the old file is still there.

    Raises:
        DTypeError: a value of another type; the message names where in the object it is.
        ArgumentError: a list or dict that contains itself, or some hundred in one another.
        OSError: from the file system.

    Example:
        >>> import io
        >>> import tensorlite as tl
        >>> file = io.BytesIO()
        >>> tl.save({"step": 7, "w": tl.ones(2)}, file)
        >>> _ = file.seek(0)
        >>> tl.load(file)
        {'step': 7, 'w': tensor([1., 1.])}
    """
    writer = _Writer()
    try:
        tree = writer.encode(obj, "obj")
        files, records = writer.members()
        tree = {"format": "tensorlite", "version": VERSION, "tensors": records, "tree": tree}
        json.dumps(tree["tree"])  # a fault of the object must show before a file is touched
    except RecursionError:
        raise errors.ArgumentError("save: the object is nested too deeply") from None
    if hasattr(f, "write"):
        _write(f, tree, files)
        return
    path = os.path.realpath(os.fspath(f))  # a link keeps pointing at the file
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "xb") as file:
            _write(file, tree, files)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    with contextlib.suppress(OSError, AttributeError):  # the folder's entry too; Windows has no such call
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


# ---------------------------------------------------------------- reading
class _Reader:
    """Builds the object again from the tree and the members of an archive, believing neither."""

    def __init__(self, archive, map_location):
        self.archive, self.map_location = archive, map_location
        head = json.loads(archive.read("tree.json"), parse_constant=_refuse)
        if head["format"] != "tensorlite":
            raise ValueError("its tree is of another format")
        if head["version"] > VERSION:
            raise errors.FileError(
                f"it is of format version {head['version']}, this tensorlite knows up to {VERSION}; update tensorlite"
            )
        self.records, self.tree = head["tensors"], head["tree"]
        self.files, self.bases, self.tensors = {}, {}, {}

    def decode(self, value):
        if value is None or type(value) in (bool, int, float, str):
            return value
        if type(value) is list:
            return [self.decode(v) for v in value]
        ((kind, content),) = value.items()
        if kind in ("dict", "ordered"):
            pairs = [(self.decode(k), self.decode(v)) for k, v in content]
            return dict(pairs) if kind == "dict" else collections.OrderedDict(pairs)
        if kind not in ("tuple", "int", "float", "bytes", "size", "dtype", "device", "tensor"):
            raise ValueError(f"{kind} in its tree")
        return getattr(self, kind)(content)

    def tuple(self, content):
        return tuple([self.decode(v) for v in content])

    def int(self, content):
        return int(content, 16)

    def float(self, content):
        return struct.unpack(">d", bytes.fromhex(content))[0]

    def bytes(self, content):
        return base64.b64decode(content, validate=True)

    def size(self, content):
        return Size([n.__index__() for n in content])

    def dtype(self, content):
        return dtypes.as_dtype(str(content))

    def device(self, content):
        return Device(str(content))

    def tensor(self, content):
        place, number, requires_grad = content
        if number not in self.tensors:
            base = self.memory(place)
            t = wrap(base.array, base.device)
            t.version = base.version  # whoever shares memory shares the count of its changes
            if requires_grad and t.dtype.is_floating_point:  # also inside inference_mode
                t.node = Node(None, (), (), (), None, t.array, t.device)
            self.tensors[number] = t
        return self.tensors[number]

    def memory(self, place):
        """The tensor for one record, on the device it is wanted on."""
        if place not in self.bases:
            record = self.records[place]
            dtype, stored = dtypes.as_dtype(record["dtype"]), self.file(record["file"])
            raw = np.dtype("uint16") if dtype.name == "bfloat16" else dtype.dtype
            if "view" in record:
                start, shape, strides = record["view"]  # NumPy refuses what reaches out of the buffer
                array = np.ndarray(tuple(shape), raw, stored[0], start, tuple(strides))
            elif stored[0].dtype != raw:
                raise ValueError(f"a tensor of dtype {dtype.name} is stored as {stored[0].dtype}")
            else:
                array = stored[0]
            array = array.view(dtype.dtype) if raw != dtype.dtype else array
            self.bases[place] = self.put(array, str(record["device"]), stored[1])
        return self.bases[place]

    def put(self, array, saved_on, version):
        there = self.map_location
        if isinstance(there, dict):
            there = there.get(saved_on, saved_on)
        cpu = wrap(array, as_device("cpu"))
        cpu.version = version
        if callable(there) and not isinstance(there, Device):
            moved = there(cpu, saved_on)
            return cpu if moved is None else moved
        try:
            device = as_device(saved_on if there is None else there)
            backend = device.backend
        except errors.DeviceError as e:
            hint = f"; it was saved on {saved_on}: pass map_location='cpu' to load it there" if there is None else ""
            raise errors.DeviceError(f"load: {e}{hint}") from None
        return cpu if device is cpu.device else wrap(backend.from_host(array), device)

    def file(self, number):
        """The array of a member, and the Version that all who look into it share."""
        if number not in self.files:
            info = self.archive.getinfo(f"data/{number:d}.npy")
            with self.archive.open(info) as member:
                self.files[number] = _read_array(member, info.file_size), Version()
        return self.files[number]


def _refuse(name):
    raise ValueError(f"{name} in its tree")


def _read_array(member, size):
    """The array in a .npy member of `size` bytes: of numbers, and just as large as the member."""
    if np.lib.format.read_magic(member) != (1, 0):
        raise ValueError("a member is of another .npy version")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(member)
    if dtype.hasobject or dtype.kind not in "biuf" or dtype.names:
        raise ValueError(f"a member holds {dtype}, not numbers")
    count = math.prod(shape)
    if min(shape, default=0) < 0 or count * dtype.itemsize != size - member.tell():
        raise ValueError(f"a member declares the shape {shape}, but holds {size - member.tell()} bytes")
    array = np.empty(count, dtype)
    target, at = memoryview(array).cast("B") if count else b"", 0
    while at < len(target):
        got = member.readinto(target[at : at + _CHUNK])
        if not got:
            raise EOFError
        at += got
    return array.reshape(shape, order="F" if fortran else "C")


def _check(file):
    """Check the digest at the end over all bytes of the file; the number of bytes."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if size < 4 or file.read(4) != b"PK\x03\x04":
        raise errors.FileError("it is not a file written by tl.save")
    if size > len(_MARK) + _DIGITS:
        file.seek(size - _DIGITS - len(_MARK))
        mark, digest = file.read(len(_MARK)), file.read(_DIGITS)
    if size <= len(_MARK) + _DIGITS or mark != _MARK:
        raise errors.FileError("it was not written by tl.save, or it is cut off or damaged" + _pytorch(file))
    file.seek(0)
    sha, left = hashlib.sha256(), size - _DIGITS
    while left and (data := file.read(min(left, _CHUNK))):
        sha.update(data)
        left -= len(data)
    if sha.hexdigest().encode() != digest:
        raise errors.FileError("it is damaged: its checksum does not agree with its contents")
    file.seek(0)
    return size


def _pytorch(file):
    with contextlib.suppress(Exception):
        if any(name.endswith("/data.pkl") for name in zipfile.ZipFile(file).namelist()):
            return " (it is a PyTorch file, whose pickle could run any code: convert it with PyTorch)"
    return ""


def load(f, map_location=None, *, weights_only=True, mmap=False) -> object:
    """The object that tl.save wrote to f (a path, or a file object open for reading bytes).

    map_location: where the tensors go: a device, a dict from saved to wanted devices, or a function (tensor on the CPU,
    name of the saved device) -> tensor or None; None: the devices they were saved on. Parameters come back as tensors
    that require grad. weights_only and mmap are accepted as PyTorch's and change nothing: no file can run code.

    Raises:
        FileError: not a file of tl.save, damaged (any changed byte is noticed), cut off, or from a newer version.
        DeviceError: the device is not there. OSError: from the file system.
    """
    if not hasattr(f, "read"):
        with open(f, "rb") as file:
            return _load(file, map_location, repr(os.fspath(f)))
    return _load(io.BytesIO(f.read()), map_location, "this file")


def _load(file, map_location, name):
    try:
        size = _check(file)
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            known = {"tree.json", *(f"data/{i}.npy" for i in range(len(members) - 1))}
            strange = [i.filename for i in members if i.filename not in known]
            if strange or len({i.filename for i in members}) != len(members):
                raise ValueError(f"a member is called {strange[0]!r}" if strange else "two members have one name")
            stored = all(i.compress_type == zipfile.ZIP_STORED and i.file_size == i.compress_size for i in members)
            if not stored or sum(i.file_size for i in members) > size:
                raise ValueError("its members declare more than the file holds")
            reader = _Reader(archive, map_location)
            return reader.decode(reader.tree)
    except errors.DeviceError:
        raise
    except errors.FileError as e:
        raise errors.FileError(f"load: {name} cannot be loaded: {e}") from None
    except Exception as e:  # what else a hostile file may provoke in zipfile, json or NumPy
        text = f"it is damaged, or not written by tl.save ({str(e) or type(e).__name__})"
        raise errors.FileError(f"load: {name} cannot be loaded: {text}") from e
