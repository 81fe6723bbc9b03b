"""Exception types and the sentences they carry. Nothing here knows about arrays or tensors beyond `.shape`, `.dtype`, `.device`.

A message is: op, the rule that was broken (and the likely fix), the arguments, and where in the model it happened:

    linear: input has 5 features, weight (4, 3) expects 3: input float32 (2, 5), weight float32 (4, 3), in encoder.layers.0.fc1
"""

import difflib


class TensorliteError(RuntimeError):
    """Base of all errors raised on purpose by tensorlite; a RuntimeError, as PyTorch's are."""


class ShapeError(TensorliteError, ValueError):
    """Shapes that do not go together, or a shape that the operation cannot take."""


class DTypeError(TensorliteError, TypeError):
    """A dtype (or a Python type) that the operation cannot take."""


class DeviceError(TensorliteError):
    """Tensors on different devices in one operation, an unknown device, or a device that is not there."""


class IndexRangeError(TensorliteError, IndexError):
    """An index or a dimension out of range."""


class ArgumentError(TensorliteError, ValueError):
    """An argument outside what it may be (a negative rate, an unknown option, ...)."""


class LinAlgError(TensorliteError, ArithmeticError):
    """A matrix that has no inverse, or is not positive definite, where one is needed."""


class GraphError(TensorliteError):
    """A backward pass that cannot be done: no graph, freed graph, non-scalar without gradient, ..."""


class InplaceError(GraphError):
    """A saved value was changed in place, or an in-place change could not be recorded rightly."""


class AnomalyError(GraphError, ArithmeticError):
    """detect_anomaly found the operation that made the first NaN or infinity."""


class VmapError(TensorliteError):
    """Something that cannot be done inside of vmap: a value that differs between the examples, a wrong in_dims, ..."""


class FileError(TensorliteError, ValueError):
    """A file that tl.load cannot take: not written by tl.save, damaged, cut off, or from a newer version."""


class MissingExtraError(TensorliteError, ImportError):
    """An optional package is needed; the message names the extra that installs it."""


def missing_extra(what: str, package: str, extra: str) -> MissingExtraError:
    """The error for a feature whose package is not installed."""
    return MissingExtraError(
        f"{what} needs the package {package!r}, which is not installed. Install it with: pip install 'tensorlite[{extra}]'"
    )


def describe(value) -> str:
    """One argument in few words: `float32 (2, 3)`, `int64 (4,) on cuda:0`, `2.5`, `None`."""
    shape = getattr(value, "shape", None)
    if shape is None:
        text = repr(value)
        return text if len(text) <= 40 else text[:37] + "..."
    dtype = getattr(value.dtype, "name", value.dtype)
    device = str(getattr(value, "device", "cpu"))
    return f"{dtype} {tuple(shape)}" + ("" if device in ("cpu", "") or device.startswith("<") else f" on {device}")


def argument_table(names, values) -> str:
    """`input float32 (2, 5), weight float32 (4, 3)`: what was given, under the names of the op's arguments."""
    return ", ".join(f"{n} {describe(v)}" for n, v in zip(names, values, strict=False) if v is not None)


def compose(op: str, fault: str, table: str = "", path: str = "") -> str:
    """Put a message together: `op: fault: arguments, in module.path`."""
    text = f"{op}: {fault}" + (f": {table}" if table else "")
    return text + (f", in {path}" if path else "")


def broadcast_fault(*shapes) -> str:
    """Say which dimension keeps shapes from broadcasting together."""
    rank = max((len(s) for s in shapes), default=0)
    for back in range(1, rank + 1):
        sizes = {s[-back] for s in shapes if len(s) >= back and s[-back] != 1}
        if len(sizes) > 1:
            together = " and ".join(str(tuple(s)) for s in shapes)
            return (
                f"shapes {together} do not broadcast: dimension -{back} is {' against '.join(map(str, sorted(sizes)))}"
                " (each pair of dimensions must be equal, or one of them 1)"
            )
    return f"shapes {' and '.join(str(tuple(s)) for s in shapes)} do not fit this operation"


def dim_fault(dim, ndim: int) -> str:
    """Say which values a dimension may take."""
    if ndim == 0:
        return f"dim {dim} is out of range for a 0-dimensional tensor (it may be -1 or 0)"
    return f"dim {dim} is out of range for a tensor of {ndim} dimensions (it may be {-ndim} to {ndim - 1})"


def near(name: str, known) -> str:
    """`; did you mean reshape?` for a misspelt name, or nothing."""
    found = difflib.get_close_matches(name, [k for k in known if not k.startswith("_")], 3, 0.7)
    return f"; did you mean {' or '.join(found)}?" if found else ""
