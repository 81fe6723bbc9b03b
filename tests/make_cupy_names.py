"""Writes tests/cupy_names.json: what CuPy offers (names, parameters), read from an installed CuPy; no GPU is needed.

    python tests/make_cupy_names.py

The strict stand-in device (standin.py) knows only these names and keywords. An entry is
    "a / axis= * out= **"    the parameters of a function or method: `/` and `*` as in Python, `=` has a default,
                             `*name` and `**` take any more; "..." where the signature is not known;
    {"at": true, ...}        a ufunc, with its parameters, and whether it has a scattered form `ufunc.at`;
    null                     anything else: a constant, a dtype, a class, a property.
"""

import inspect
import json
import re
import types
from pathlib import Path

FILE = Path(__file__).with_name("cupy_names.json")


def parameters(function) -> str:
    """The parameters of a function, from its signature or else from the first line of its docstring (Cython's)."""
    first = (getattr(function, "__doc__", None) or "").split("\n")[0].replace("\\", "")
    written = re.match(r"[\w.]+\((.*)\)", first)
    try:
        return " ".join(_marked(inspect.signature(function)))
    except (TypeError, ValueError):
        return "..." if written is None else " ".join(_parsed(written.group(1)))


def _marked(signature):
    kinds = inspect.Parameter
    before = None
    for p in signature.parameters.values():
        if p.name == "self":
            continue
        if before is kinds.POSITIONAL_ONLY and p.kind is not before:
            yield "/"
        if p.kind is kinds.KEYWORD_ONLY and before not in (kinds.KEYWORD_ONLY, kinds.VAR_POSITIONAL):
            yield "*"
        before = p.kind
        if p.kind is kinds.VAR_POSITIONAL:
            yield "*" + p.name
        elif p.kind is kinds.VAR_KEYWORD:
            yield "**"
        else:
            yield p.name + ("=" if p.default is not kinds.empty else "")
    if before is kinds.POSITIONAL_ONLY:
        yield "/"


def _parsed(text):
    """`self, int axis=None, *, out=(1, 2), **kw` -> axis= * out= **"""
    while (flat := re.sub(r"\([^()]*\)|\[[^][]*\]|'[^']*'", "", text)) != text:
        text = flat
    for part in filter(None, (p.strip() for p in text.split(","))):
        name, has_default, _ = part.partition("=")
        name = name.split(":")[0].split()[-1]
        if name.startswith("**"):
            yield "**"
        elif name != "self":
            yield name + ("=" if has_default else "")


def names(thing) -> dict:
    """Every public name of a module or class, but for modules, exceptions and `from __future__` imports."""
    found = {}
    for name in sorted(n for n in dir(thing) if not n.startswith("_")):
        value = getattr(thing, name, None)
        if isinstance(value, types.ModuleType) or (isinstance(value, type) and issubclass(value, BaseException)):
            continue
        if type(value).__module__ == "__future__":
            continue
        if type(value).__name__ == "ufunc":
            found[name] = {"at": bool(value._scatter_op), "parameters": parameters(value)}
        elif callable(value) and not isinstance(value, type):
            found[name] = parameters(value)
        else:
            found[name] = None
    return found


def table() -> dict:
    """The whole table of the installed CuPy."""
    import cupy

    return {
        "version": cupy.__version__,
        "": names(cupy),
        "linalg": names(cupy.linalg),
        "fft": names(cupy.fft),
        "lib.stride_tricks": names(cupy.lib.stride_tricks),
        "ndarray": names(cupy.ndarray),
    }


def write(found: dict) -> str:
    """One name a line, so that a newer CuPy shows as a readable difference."""
    parts = []
    for section, entries in found.items():
        body = json.dumps(entries, indent=0) if isinstance(entries, dict) else json.dumps(entries)
        body = re.sub(r"\{\n(\"at\".*),\n(.*)\n\}", r"{\1, \2}", body)
        parts.append(f"{json.dumps(section)}: {body}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    FILE.write_text(write(table()), encoding="utf-8")
    print(f"{FILE.name}: {FILE.stat().st_size} bytes")
