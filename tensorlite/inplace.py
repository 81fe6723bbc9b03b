"""Changes in place: x[key] = v, x.add_(y), x.zero_(), ... never silently wrong.

The new values are computed out of place and written into the memory; the tensor then stands for the new node. If it is a view,
the tensor it looks at gets a node that says "this part was replaced", and every other view is put on that.
"""

from tensorlite import errors
from tensorlite.backend import dtypes
from tensorlite.op import Op, as_operand
from tensorlite.ops.convert import cast
from tensorlite.ops.index import make_key
from tensorlite.tensor import Tensor, Version, mode, path, wrap


class Assign(Op):
    """x with one part replaced; `steps` are the view operations that lead to the part, the last may be any index."""

    name, formula, local = "assign", "x; x[part] = value", ("1 outside of the part", "1 at the part")
    lends = True

    def forward(b, x, value, *, steps):
        out = b.as_array(x.copy())
        part = out
        for op, args in steps[:-1]:
            part = op.forward(b, part, **args)
            part = part[0] if op.extras else part
        op, args = steps[-1]
        if op.name == "index":
            part[args["key"]] = value
        else:
            part = op.forward(b, part, **args)
            (part[0] if op.extras else part)[...] = value
        return out

    def _value(m, g, steps):
        for op, args in steps:
            g = getattr(m, op.name)(g, **args)
        return g

    rules = (lambda m, g, steps: m.assign(g, 0.0, steps=steps), _value)


def check(x, name):
    """Refuse what cannot be changed in place."""
    root = x
    while root.view_of is not None:
        root = root.view_of[0]
    if mode.grad and root.node is not None and root.node.op is None:
        what = "a leaf that requires grad" if root is x else "a view of a leaf that requires grad"
        raise errors.InplaceError(
            errors.compose(
                name, f"{what} cannot be changed in place while recording; do it under tl.no_grad()", "", path()
            )
        )
    strides = getattr(x.array, "strides", ())
    if x.array.size and any(n > 1 and s == 0 for n, s in zip(x.array.shape, strides, strict=False)):
        raise errors.InplaceError(
            errors.compose(
                name, "this tensor was expanded: several elements share memory; clone() it first", "", path()
            )
        )


def writable(x):
    """The memory of x as an array that can be written to (NumPy's 0-d results may be bare numbers)."""
    x.array = x.device.backend.as_array(x.array)
    return x.array


def update(x, name, compute):
    """x becomes compute(old x), in its own memory and dtype."""
    check(x, name)
    source = x
    if mode.grad and (x.node is not None or x.view_of is not None):
        source = wrap(x.array.copy(), x.device, x.node)  # the rules may need the old values
    result = compute(source)
    if source is x and result.node is not None:  # only the other operand needs a gradient; its rule may need the old x
        result = compute(wrap(x.array.copy(), x.device))
    if result.array.shape != x.array.shape:
        raise errors.ShapeError(
            errors.compose(
                name,
                f"the result has shape {result.array.shape}, this tensor {x.array.shape} cannot hold it",
                "",
                path(),
            )
        )
    if not dtypes.can_cast(result.dtype, x.dtype):
        raise errors.DTypeError(
            errors.compose(
                name, f"the result is {result.dtype.name}, it cannot be stored in a {x.dtype.name} tensor", "", path()
            )
        )
    result = cast(result, x.dtype)
    writable(x)[...] = result.array
    commit(x, result.node, name)
    return x


def setitem(x, key, value):
    """x[key] = value, for every key that x[key] takes; value broadcasts. Gradients flow to x (outside of key) and value."""
    check(x, "setitem")
    b = x.device.backend
    if isinstance(value, (list, tuple)) or (type(value).__module__ == "numpy" and getattr(value, "ndim", 0)):
        value = wrap(b.from_host(b.host_index(value)), x.device)
    else:
        value = as_operand(Assign, value)
    key, basic = make_key(x, key)
    raw = value
    if isinstance(value, Tensor):
        if value.device is not x.device:
            if value.ndim:
                raise Assign.mixture((x, value))
            value = value.to(x.device)
        value = cast(value, x.dtype)
        while value.ndim > 1 and value.shape[0] == 1 and value.ndim > _rank(x, key):
            value = value.squeeze(0)
        raw = value.array
        if raw is x.array or getattr(raw, "base", None) is not None:
            raw = raw.copy()
    elif isinstance(value, float) and x.dtype.category < 2:
        raw = int(value) if x.dtype.category else bool(value)
    try:
        writable(x)[key] = raw
    except (ValueError, IndexError, TypeError) as e:
        part = x.array[key] if isinstance(e, ValueError) else x.array  # its shape is what value should fit
        raise Assign.explain(e, (part, raw)) from e
    node = None
    parents = [x.node, value.node if isinstance(value, Tensor) else None]
    if mode.grad and any(p is not None for p in parents):
        from tensorlite.op import registry

        steps = ((registry["index"], {"key": key, "basic": basic}),)
        node = Assign.record((x, value), (x.array, raw), parents, x.array, Version(), (), {"steps": steps}, x.device)
    commit(x, node, "setitem")


def fill_(self, value) -> Tensor:
    """Every element becomes `value` (a number or a 0-d tensor), in place."""
    setitem(self, ..., value)
    return self


def zero_(self) -> Tensor:
    """Every element becomes 0, in place."""
    return fill_(self, 0)


def copy_(self, other, non_blocking=False) -> Tensor:
    """The values of `other` (broadcast, converted, from any device), in place."""
    setitem(self, ..., other if not isinstance(other, Tensor) else other.to(self.device))
    return self


def _rank(x, key):
    return x.array[key].ndim if x.array.size else x.ndim


def commit(x, node, name):
    """After the memory of x was changed: x stands for `node` now; tell the tensor it views, and all other views."""
    version = x.version
    version.bump(name)
    if not mode.grad:
        return
    if x.view_of is None:
        x.node = node
        root = x
    else:
        steps, root = [], x
        while root.view_of is not None:
            source, op, args = root.view_of
            steps.append((op, args))
            root = source
        if node is None and root.node is None:
            return
        part = wrap(x.array, x.device, node)
        args = {"steps": tuple(reversed(steps))}
        root.node = Assign.record(
            (root, part), (root.array, part.array), [root.node, node], root.array, Version(), (), args, root.device
        )
    for reference in list(version.views):
        view = reference()
        if view is not None:
            source, op, args = view.view_of
            view.node = op.apply(source, **args).node if source.node is not None else None
