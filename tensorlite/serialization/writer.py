"""Writing the format of tl.save: an object as a tree of JSON values, its memories as .npy members, the digest at the end."""

import base64
import collections
import contextlib
import hashlib
import json
import math
import os
import secrets
import struct
import zipfile

import numpy as np

from tensorlite import errors
from tensorlite.backend import Device, dtypes
from tensorlite.tensor import Size, Tensor

VERSION = 1
MARK = b"tensorlite sha256 "
DIGITS = 64  # hexadecimal digits of a SHA-256
_PLAIN = 1 << 63  # whole numbers below are written in decimals, larger ones as hexadecimal text


# ---------------------------------------------------------------- an object as a tree of JSON values
class Writer:
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
class Hashed:
    """A file to write to that hashes what passes, and puts the digest in the place of the last 64 bytes at the end."""

    def __init__(self, file):
        self.file, self.hash, self.held = file, hashlib.sha256(), b""

    def write(self, data):
        held = self.held + bytes(data)
        ready, self.held = memoryview(held)[:-DIGITS], held[-DIGITS:]
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


def write(file, tree, files):
    """Write the archive to an open file."""
    hashed = Hashed(file)
    with zipfile.ZipFile(hashed, "w", zipfile.ZIP_STORED) as archive:
        archive.comment = MARK + b"0" * DIGITS
        archive.writestr(zipfile.ZipInfo("tree.json"), json.dumps(tree, separators=(",", ":"), allow_nan=False))
        for i, array in enumerate(files):
            array = array.view(np.uint16) if array.dtype.name == "bfloat16" else array  # which the format does not know
            member = zipfile.ZipInfo(f"data/{i}.npy")  # with no date: equal objects give equal files
            with archive.open(member, "w", force_zip64=array.nbytes > 1 << 30) as out:
                np.lib.format.write_array(out, array, version=(1, 0), allow_pickle=False)
    hashed.finish()


@contextlib.contextmanager
def replacing(f):
    """The path of a new file beside f, which replaces f when all is written and on the disk; on failure f stays."""
    path = os.path.realpath(os.fspath(f))  # a link keeps pointing at the file
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        with open(temporary, "rb+") as file:
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
