"""Reading the format of tl.save: the tree and the members of an archive, believed in nothing; where loaded tensors go."""

import base64
import collections
import hashlib
import json
import math
import os
import struct
import zipfile

import numpy as np

from tensorlite import errors
from tensorlite.backend import Device, as_device, dtypes
from tensorlite.serialization.writer import DIGITS, MARK, VERSION
from tensorlite.tensor import Node, Size, Version, wrap

_CHUNK = 1 << 20


def put(array, saved_on, version, map_location):
    """The tensor for an array of the host that was saved on a device: there, or where map_location says."""
    there = map_location
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


def leaf(base, requires_grad):
    """A tensor on the memory of base; a leaf that requires grad where asked, also inside inference_mode."""
    t = wrap(base.array, base.device)
    t.version = base.version  # whoever shares memory shares the count of its changes
    if requires_grad and t.dtype.is_floating_point:
        t.node = Node(None, (), (), (), None, t.array, t.device)
    return t


def fill(file, array):
    """Read the elements of a contiguous array from a file. Raises EOFError where it ends too soon."""
    target, at = memoryview(array.view(np.uint8).reshape(-1)) if array.size else b"", 0
    while at < len(target):
        got = file.readinto(target[at : at + _CHUNK])
        if not got:
            raise EOFError("it ends too soon")
        at += got


def check_bools(array):
    """Refuse bools that are neither 0 nor 1: NumPy would count them wrongly."""
    if array.dtype == bool and (array.view(np.uint8) > 1).any():
        raise ValueError("a bool that is neither true nor false")


def check_members(members, size):
    """Refuse members of an archive of `size` bytes that are compressed, share a name, or declare more than it holds."""
    if len({i.filename for i in members}) != len(members):
        raise ValueError("two members have one name")
    stored = all(i.compress_type == zipfile.ZIP_STORED and i.file_size == i.compress_size for i in members)
    if not stored or sum(i.file_size for i in members) > size:
        raise ValueError("its members declare more than the file holds")


class Reader:
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
            self.tensors[number] = leaf(self.memory(place), requires_grad)
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
            check_bools(array)
            self.bases[place] = put(array, str(record["device"]), stored[1], self.map_location)
        return self.bases[place]

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
    fill(member, array)
    return array.reshape(shape, order="F" if fortran else "C")


def read(file, map_location):
    """The object in an archive of tl.save, its digest first."""
    size = _check(file)
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        known = {"tree.json", *(f"data/{i}.npy" for i in range(len(members) - 1))}
        strange = [i.filename for i in members if i.filename not in known]
        if strange:
            raise ValueError(f"a member is called {strange[0]!r}")
        check_members(members, size)
        reader = Reader(archive, map_location)
        return reader.decode(reader.tree)


def _check(file):
    """Check the digest at the end over all bytes of the file; the number of bytes."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - DIGITS - len(MARK)))
    mark, digest = file.read(len(MARK)), file.read(DIGITS)
    if mark != MARK:
        raise errors.FileError("it was not written by tl.save, or it is cut off or damaged")
    file.seek(0)
    sha, left = hashlib.sha256(), size - DIGITS
    while left and (data := file.read(min(left, _CHUNK))):
        sha.update(data)
        left -= len(data)
    if sha.hexdigest().encode() != digest:
        raise errors.FileError("it is damaged: its checksum does not agree with its contents")
    file.seek(0)
    return size
