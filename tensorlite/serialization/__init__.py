"""tl.save and tl.load: nested containers, numbers and tensors in one checked file. Nothing in a file is ever executed.

The file is a zip without compression: `tree.json` says how the object is built, `data/0.npy`, `data/1.npy`, ... hold
the elements in NumPy's own format, and the zip's comment ends with the SHA-256 of all bytes before it (writer.py,
reader.py). Also read: PyTorch's own files (torchfile.py, pickles.py); read and written: safetensors.py.
"""

import contextlib
import io
import json
import os
import threading
import zipfile

from tensorlite import errors
from tensorlite.serialization import reader, safetensors, torchfile
from tensorlite.serialization.writer import VERSION, Writer, replacing, write

__all__ = ["add_safe_globals", "clear_safe_globals", "get_safe_globals", "load", "safe_globals", "save"]


def save(obj, f, pickle_module=None, pickle_protocol=None, _use_new_zipfile_serialization=True) -> None:
    """Save an object to a file (a path, or a file object open for writing bytes).

    obj: None, bool, int, float, str, bytes, tensors, dtypes, devices, tl.Size, and lists, tuples, dicts and OrderedDicts
    of these, one in another. Numbers of every size and dict keys of every kind are kept exactly. Tensors that share
    memory share it again after load (on a GPU: those that are the same memory in the same shape). Gradients and graphs
    are not saved. A path that ends in .safetensors takes a dict of tensors by name, in that format. The format is not
    PyTorch's, which runs code when it is loaded; what PyTorch says of pickle is accepted and has no effect.

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
    if not hasattr(f, "write") and os.fspath(f).endswith(".safetensors"):
        return safetensors.save_file(obj, f)
    writer = Writer()
    try:
        tree = writer.encode(obj, "obj")
        files, records = writer.members()
        tree = {"format": "tensorlite", "version": VERSION, "tensors": records, "tree": tree}
        json.dumps(tree["tree"])  # a fault of the object must show before a file is touched
    except RecursionError:
        raise errors.ArgumentError("save: the object is nested too deeply") from None
    if hasattr(f, "write"):
        write(f, tree, files)
        return
    with replacing(f) as temporary, open(temporary, "xb") as file:
        write(file, tree, files)


def load(f, map_location=None, pickle_module=None, *, weights_only=True, mmap=None, **pickle_load_args) -> object:
    """The object in a file (a path, or a file object open for reading bytes); the format is seen from its contents:

    - what tl.save wrote;
    - what torch.save wrote (.pt, .pth, .bin; also before PyTorch 1.6): tensors, parameters, numbers, text and containers.
      Such a file is a program that PyTorch would run. Here no word of it is executed: what it asks for beyond that is
      refused by name. NumPy numbers become Python numbers;
    - .safetensors files, as a dict (extra `hub`).

    map_location: where the tensors go: a device, a dict from saved to wanted devices, or a function (tensor on the CPU,
    name of the saved device) -> tensor or None; None: the devices they were saved on. Parameters come back as tensors
    that require grad. weights_only, mmap, and what PyTorch says of pickle, are accepted and change nothing: no file can
    run code.

    Raises:
        FileError: of no such format, damaged (in tl.save's own any changed byte is noticed), cut off, or hostile.
        DeviceError: the device is not there. MissingExtraError: safetensors or ml_dtypes is. OSError: from the system.
    """
    if not hasattr(f, "read"):
        with open(f, "rb") as file:
            return _load(file, map_location, repr(os.fspath(f)))
    return _load(io.BytesIO(f.read()), map_location, "this file")


def _load(file, map_location, name):
    kind = "not written by tl.save"
    try:
        start = file.read(32)
        if start.startswith(b"PK\3\4"):
            if _is_torch(file):
                kind = "not written by torch.save"
                with zipfile.ZipFile(file) as archive:
                    return torchfile.read_zip(archive, file.seek(0, os.SEEK_END), map_location, get_safe_globals())
            return reader.read(file, map_location)
        if start[:1] == b"\x80" and torchfile.MAGIC in start:
            kind = "not written by torch.save"
            return torchfile.read_old(file, map_location, get_safe_globals())
        if safetensors.looks_like(file):
            kind = "not a safetensors file"
            return safetensors.read(file, "cpu" if map_location is None else map_location)
        raise errors.FileError("it is not a file written by tl.save" + _guess(start))
    except (errors.DeviceError, errors.MissingExtraError):
        raise
    except errors.FileError as e:
        raise errors.FileError(f"load: {name} cannot be loaded: {e}") from None
    except Exception as e:  # what else a hostile file may provoke in zipfile, json, pickletools or NumPy
        text = f"it is damaged, or {kind} ({str(e) or type(e).__name__})"
        raise errors.FileError(f"load: {name} cannot be loaded: {text[:300]}") from e


def _is_torch(file):
    with contextlib.suppress(Exception), zipfile.ZipFile(file) as archive:
        return torchfile.is_zip(archive)
    return False


def _guess(start):
    if start[:1] == b"\x80":
        return ", torch.save or safetensors, but a pickle, which could run any code"
    if start.startswith(b"version https://git-lfs"):
        return ", but a pointer of git-lfs: fetch the file itself by `git lfs pull`"
    return ""


# ---------------------------------------------------------------- classes that a user trusts in PyTorch's files
class _Allowed(threading.local):
    classes = ()


_allowed = _Allowed()


def add_safe_globals(safe_globals: list) -> None:
    """Allow objects of these classes in PyTorch's files: an empty object is made and takes its attributes from the file.

    Nothing of the class is called, neither `__init__` nor `__setstate__`. Functions are accepted as in PyTorch, and stay
    without effect: a file that asks for a call is refused.
    """
    _allowed.classes = (*_allowed.classes, *safe_globals)


def get_safe_globals() -> list:
    """The classes that are allowed now."""
    return list(_allowed.classes)


def clear_safe_globals() -> None:
    """Allow none any more."""
    _allowed.classes = ()


class safe_globals:
    """`with tl.serialization.safe_globals([Config]):` allows classes inside; see add_safe_globals."""

    def __init__(self, safe_globals: list):
        self.classes = safe_globals

    def __enter__(self):
        self.before = _allowed.classes
        add_safe_globals(self.classes)

    def __exit__(self, *_):
        _allowed.classes = self.before
