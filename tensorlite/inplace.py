"""Changes in place: x[key] = v, x.add_(y), x.zero_(), ... never silently wrong.

The new values are computed out of place and written into the memory; the tensor then stands for the new node. If it is a view,
the tensor it looks at gets a node that says "this part was replaced", and every other view is put on that.
"""

import weakref

from tensorlite import errors
from tensorlite.backend import dtypes
from tensorlite.elementwise import as_operand
from tensorlite.modes import set_grad_enabled
from tensorlite.op import registry
from tensorlite.ops.convert import cast, number
from tensorlite.ops.index import make_key
from tensorlite.ops.scatter import Target
from tensorlite.ops.views import Assign
from tensorlite.tensor import Tensor, clock, mode, path, wrap


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
    if _overlaps(x.array):
        strides = zip(x.array.shape, x.array.strides, strict=True)
        what = "was expanded" if any(n > 1 and s == 0 for n, s in strides) else "is one of overlapping windows"
        raise errors.InplaceError(
            errors.compose(name, f"this tensor {what}: several elements share memory; clone() it first", "", path())
        )


def _overlaps(a):
    """Whether some elements of a raw array may share memory: no dimension's step goes past all the finer ones."""
    if not getattr(a, "size", 0) or getattr(a, "ndim", 0) == 0 or a.flags.c_contiguous:
        return False
    reach = a.itemsize
    for step, n in sorted((abs(s), n) for s, n in zip(a.strides, a.shape, strict=True) if n > 1):
        if step < reach:
            return True
        reach += step * (n - 1)
    return False


def writable(x):
    """The memory of x as an array that can be written to (NumPy's 0-d results may be bare numbers)."""
    x.array = x.device.backend.writable(x.array)
    return x.array


# x.name_ that NumPy's function of this name does in the memory itself: one pass, no copy. Not neg_: np.negative(a, out=a)
# of NumPy 2.4 gives wrong numbers where the elements of a lie 16 (float32) or 64 (float64) bytes apart
_DIRECT = {
    "add_": "add", "sub_": "subtract", "mul_": "multiply", "div_": "divide", "abs_": "absolute",
    "exp_": "exp", "log_": "log", "sqrt_": "sqrt", "tanh_": "tanh", "floor_": "floor", "ceil_": "ceil", "square_": "square",
    "sin_": "sin", "cos_": "cos",
}  # fmt: skip


def update(x, name, function, *args, **kwargs):
    """x becomes function(old x, ...), in its own memory and dtype.

    In the memory itself where an array function or a function of scatter.py can do that; else the result is computed
    beside it and copied. Old values that the rules need are copied before.
    """
    check(x, name)
    if mode.vmap is not None:
        mode.vmap.shared(x, name, (*args, *kwargs.values()))
    if (
        name in _DIRECT
        and not kwargs
        and len(args) < 2
        and (mode.watcher is None or not mode.watcher.reads)
        and mode.vmap is None
    ):
        done, node = _directly(x, name, *args)
        if done:
            commit(x, node, name)
            if mode.watcher is not None:
                mode.watcher.forward(registry[name[:-1]], (x, *args), x)
            return x
    target = object.__new__(Target)
    target.array, target.device, target.node, target.version = writable(x), x.device, x.node, x.version
    since = clock()
    result = function(target, *args, **kwargs)
    if target.written:
        commit(x, target.new, name)
        return x
    if result.array.shape != x.array.shape:
        fault = f"the result has shape {result.array.shape}, this tensor {x.array.shape} cannot hold it"
        raise errors.ShapeError(errors.compose(name, fault, "", path()))
    if not dtypes.can_cast(result.dtype, x.dtype):
        fault = f"the result is {result.dtype.name}, it cannot be stored in a {x.dtype.name} tensor"
        raise errors.DTypeError(errors.compose(name, fault, "", path()))
    result = cast(result, x.dtype)
    keep_old_values(result.node, x, since)
    x.array[...] = result.array
    commit(x, result.node, name)
    return x


def _directly(x, name, other=None):
    """(whether it was done, the node) of a change by one array function; only for equal floats, and old values not needed."""
    a, y, op = writable(x), other, registry[name[:-1]]
    if a.dtype.char not in "efd" or len(op.inputs) != (1 if other is None else 2):
        return False, None
    nodes = [x.node]
    if isinstance(y, Tensor):
        if y.device is not x.device or y.array.dtype is not a.dtype or y.ndim > a.ndim:
            return False, None
        nodes, y = [x.node, y.node], y.array
        if any(n not in (1, m) for n, m in zip(y.shape[::-1], a.shape[::-1], strict=False)):
            return False, None
    elif y is not None:
        if type(y) not in (int, float) or (a.dtype.char == "e" and op.numbers_in_float32):
            return False, None
        nodes, y = [x.node, None], x.device.backend.number(y, a.dtype)
    node = None
    if mode.grad and any(n is not None for n in nodes):
        kept = op.kept(tuple([n is not None for n in nodes]))
        if kept[0] or kept[len(nodes)] or (kept[1] and getattr(other, "version", None) is x.version):
            return False, None
        args = (x,) if other is None else (x, other)
        node = op.record(args, (a, y)[: len(args)], nodes, a, (), {}, x.device)
    function = getattr(x.device.backend.xp, _DIRECT[name])
    function(a, out=a) if other is None else function(a, y, out=a)
    return True, node


def keep_old_values(node, x, since):
    """Let `node` and the nodes behind it that are newer than `since` keep copies of what they saved of x's memory."""
    stack = [node]
    while stack:
        node = stack.pop()
        if node is None or node.seq < since:
            continue
        stack += node.parents
        mine = [i for i, v in enumerate(node.kept_versions()) if v is x.version]
        if mine:
            node.saved = tuple([v.copy() if i in mine and v is not None else v for i, v in enumerate(node.saved)])
            node.versions = tuple([None if i in mine else v for i, v in enumerate(node.versions)])


def setitem(x, key, value):
    """x[key] = value, for every key that x[key] takes; value broadcasts. Gradients flow to x (outside of key) and value.

    Of several values for one place the last is kept, and only it has a gradient (PyTorch does not say which it keeps).
    """
    check(x, "setitem")
    if mode.vmap is not None:
        mode.vmap.shared(x, "setitem", (value, *(key if isinstance(key, tuple) else (key,))))
    b = x.device.backend
    if isinstance(value, (list, tuple)) or (type(value).__module__ == "numpy" and getattr(value, "ndim", 0)):
        value = wrap(b.from_host(b.host_index(value)), x.device)
    else:
        value = as_operand(Assign, value)
    steps, used = make_key(x, key)
    part = writable(x)
    for first, _ in steps[:-1]:
        part = part[first]
    last, basic = steps[-1]
    raw = value
    if isinstance(value, Tensor):
        if value.device is not x.device:
            if value.ndim:
                raise Assign.mixture((x, value))
            value = value.to(x.device)
        value = cast(value, x.dtype)
        if value.ndim and value.shape[0] == 1:
            rank = _rank(part, last)
            while value.ndim > rank and value.shape[0] == 1:
                value = value.squeeze(0)
        raw = b.apart(value.array, x.array)
    elif x.dtype.category < 2 and type(value) is not bool:
        raw = number("assign", value, x.dtype)
    try:
        if basic:
            part[last] = raw
        else:
            b.put(part, last, raw)
    except IndexError as e:
        raise Assign.explain(e, (part, raw)) from None
    except (ValueError, TypeError, OverflowError) as e:  # the shape of the part is what value should fit
        raise Assign.explain(e, (part[last] if isinstance(e, ValueError) else part, raw)) from e
    node = None
    parents = [x.node, value.node if isinstance(value, Tensor) else None]
    if mode.grad and any(p is not None for p in parents):
        steps = tuple([(registry["index"], {"key": k, "basic": basic}) for k, basic in steps])
        node = Assign.record((x, value), (x.array, raw), parents, x.array, (), {"steps": steps}, x.device)
        node.versions = (*node.versions, *[k.version for k in used])
    commit(x, node, "setitem")


def _rank(part, key):
    """How many dimensions part[key] has."""
    try:
        return part[key].ndim
    except IndexError:  # told when the value is written
        return part.ndim


def fill_(self, value) -> Tensor:
    """Every element becomes `value` (a number or a 0-d tensor), in place. Raises ShapeError for more than one value."""
    if getattr(value, "ndim", 0) or isinstance(value, (list, tuple)):
        raise errors.ShapeError(f"fill_: one value is needed, got {errors.describe(value)}; copy_ takes many")
    if type(value) in (int, float):
        dtypes.check_float("fill_", value, self.dtype)
    setitem(self, ..., value)
    return self


def zero_(self) -> Tensor:
    """Every element becomes 0, in place."""
    return fill_(self, 0)


def copy_(self, other, non_blocking=False) -> Tensor:
    """The values of `other` (broadcast, converted, from any device), in place."""
    setitem(self, ..., other if not isinstance(other, Tensor) else other.to(self.device))
    return self


def fill_diagonal_(self, fill_value, wrap=False) -> Tensor:
    """The elements self[i, i, ...] become fill_value (a number), in place; wrap: a tall matrix begins again below.

    Raises:
        ShapeError: fewer than two dimensions, or more than two that are not all equal.

    Example:
        >>> import tensorlite as tl
        >>> tl.zeros(2, 3).fill_diagonal_(5)
        tensor([[5., 0., 0.],
                [0., 5., 0.]])
    """
    shape = self.array.shape
    if len(shape) < 2 or (len(shape) > 2 and len(set(shape)) > 1):
        raise errors.ShapeError(
            f"fill_diagonal_: a matrix is needed, or more dimensions of one size, got {errors.describe(self)}"
        )
    setitem(self, _diagonal_key(self, wrap), fill_value)
    return self


def _diagonal_key(x, again):
    """Index tensors of the main diagonal; again: once more below, after an empty row."""
    shape, xp = x.array.shape, x.device.backend.xp
    n = min(shape)
    key = (xp.arange(n),) * len(shape)
    if again and shape[0] > n > 0:
        flat = xp.arange(0, shape[0] * n, n + 1)
        key = (flat // n, flat % n)
    return tuple([wrap(k, x.device) for k in key])


def turn(x, name, function, *args, **kwargs):
    """x itself becomes function(x, ...), a view of what it was: the same memory in another shape. Returns x.

    The views of x stay as they are: they look at `old`, which stands for what x was.
    """
    if x.node is not None and x.node.op is None:
        fault = "a leaf that requires grad cannot be changed in place; use the result of the function without _"
        raise errors.InplaceError(errors.compose(name, fault, "", path()))
    old = wrap(x.array, x.device, x.node)
    old.version, old.view_of = x.version, x.view_of
    with set_grad_enabled(mode.grad or old.node is not None):  # under no_grad too x stays what it was, in another shape
        new = function(old, *args, **kwargs)
    if new is old:
        return x
    views = [r() for r in x.version.views]
    x.array, x.node, x.view_of = new.array, new.node, new.view_of
    for v in views:
        if v is not None and v is not new and v.view_of[0] is x:
            v.view_of = (old, *v.view_of[1:])
    if new.view_of is not None:  # each after what it looks at: old in the place of x, x in that of new
        x.version.views = [weakref.ref(old if v is x else x if v is new else v) for v in views if v is not None]
    return x


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
            (root, part), (root.array, part.array), [root.node, node], root.array, (), args, root.device
        )
    for reference in list(version.views):
        view = reference()
        if view is not None:
            source, op, args = view.view_of
            view.node = op.apply(source, **args).node if source.node is not None else None
