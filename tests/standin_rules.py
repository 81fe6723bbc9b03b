"""What the stand-in device forbids and counts: CuPy's names and parameters, waits for the device, undefined results."""

import contextlib
import json
from pathlib import Path

import numpy as np

from tensorlite.backend.keys import integer_arrays

NAMES = json.loads(Path(__file__).with_name("cupy_names.json").read_text(encoding="utf-8"))


class Undefined(AssertionError):
    """What a GPU would do without an error, and wrongly."""


class HostSync(AssertionError):
    """The host waited for the device inside no_sync()."""


# ---------------------------------------------------------------- waiting for the device
_watchers = []  # lists that want to know of each wait
_forbidden = 0


def waits(why: str) -> None:
    """Note that the host waits here until the device has finished."""
    for found in _watchers:
        found.append(why)
    if _forbidden:
        raise HostSync(f"{why} waits for the device inside no_sync()")


@contextlib.contextmanager
def syncs():
    """A list that fills with the reason of each wait inside."""
    found = []
    _watchers.append(found)
    try:
        yield found
    finally:
        _watchers.remove(found)


@contextlib.contextmanager
def no_sync():
    """Forbid waits inside."""
    global _forbidden
    _forbidden += 1
    try:
        yield
    finally:
        _forbidden -= 1


# ---------------------------------------------------------------- the table
class Signature:
    """The parameters that CuPy's function takes; `check` refuses any other, as CuPy would."""

    def __init__(self, name, text):
        self.name, self.most, self.keywords = name, 0, set()
        words, only = text.split(), False
        if "/" in words:
            cut = words.index("/")
            self.most, words = cut, words[cut + 1 :]
        for word in words:
            if word in ("**", "..."):
                self.keywords = None  # any
                self.most = self.most if word == "**" else 1 << 30
            elif word.startswith("*"):
                only = True
                self.most = self.most if word == "*" else 1 << 30
            else:
                self.keywords.add(word.removesuffix("="))
                self.most += not only

    def check(self, args, kw) -> None:
        """Raise TypeError for a keyword or a number of arguments that CuPy does not take."""
        if len(args) > self.most:
            raise TypeError(f"cupy.{self.name} takes at most {self.most} positional arguments, {len(args)} given")
        if kw and self.keywords is not None and not self.keywords.issuperset(kw):
            wrong = sorted(set(kw) - self.keywords)
            raise TypeError(f"cupy.{self.name} got an unexpected keyword argument {wrong[0]!r}")


# ---------------------------------------------------------------- index expressions
def in_range(shape, parts):
    """After an IndexError: was it one that CuPy would not have raised?"""
    for dim, size, index in integer_arrays(shape, parts):
        if index.size and (index.min() < -size or index.max() >= size):
            raise Undefined(
                f"an index array reaches {index.min()}..{index.max()} in axis {dim} of size {size}: CuPy would wrap "
                "silently; the backend must check first"
            )


def once(shape, parts, value):
    """Refuse an assignment of several values that names a place twice, with values that differ."""
    if integer_arrays(shape, parts):
        try:
            places = np.arange(np.prod(shape, dtype=int)).reshape(shape)[parts]
            value = np.broadcast_to(value, places.shape)
        except (IndexError, ValueError):  # the assignment itself will say so
            return
        _, first, again = np.unique(places, return_index=True, return_inverse=True)
        kept = value.reshape(-1)[first][again.reshape(-1)]
        if not np.array_equal(kept, value.reshape(-1), equal_nan=value.dtype.kind == "f"):
            raise Undefined("the same place twice in an assignment: a GPU does not say which value wins")
