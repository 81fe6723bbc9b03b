"""What is recorded: Tensor, and Node, its place in the graph; the memory's Version; the mode of the thread.

Read this first, then op.py (how an operation records itself), then autograd.py (the walk back).
"""

import itertools
import threading
import weakref

from tensorlite import errors
from tensorlite.backend import dtypes

clock = itertools.count(1).__next__  # gives every node, and every change in place, its moment


class _Now:
    """What holds in one thread: recording on or off, the stack of module calls, who watches."""

    __slots__ = ("casts", "grad", "inference", "module", "scope", "vmap", "watcher")

    def __init__(self):
        self.grad, self.inference = True, False
        self.scope = None
        self.module = None  # the innermost running nn.Module
        self.watcher = None  # the innermost Watcher
        self.vmap = None  # the innermost running vmap, see func/batched.py
        self.casts = False  # inside of autocast: what it casts, see amp/policy.py


class _Mode(threading.local):
    """`mode.grad` and the rest are those of the running thread. What runs for every operation takes `mode.now` once: to look
    for the thread costs ten times as much as to read an attribute."""

    def __init__(self):
        self.now = _Now()


def _of_now(name):
    return property(lambda self: getattr(self.now, name), lambda self, value: setattr(self.now, name, value))


for _name in _Now.__slots__:
    setattr(_Mode, _name, _of_now(_name))

mode = _Mode()


class Watcher:
    """Stands in `mode.watcher`, is told what the thread computes, and tells the one that stood there before (`under`).

    The search for anomalies, the profiler, saved_tensors_hooks and pictures are watchers; where none stands, nothing is told.
    """

    reads = True  # looks at values; changes in place are then computed beside the old values, which are still there

    def __init__(self, under=None):
        self.under = under

    def forward(self, op, inputs, result):
        """After an op has computed, for each of its results."""
        if self.under is not None:
            self.under.forward(op, inputs, result)

    def start(self, roots):
        """Before a walk back."""
        if self.under is not None:
            self.under.start(roots)

    def backward(self, node, i, share, g):
        """After the rules of a node have turned its gradient g into the share of parent i."""
        if self.under is not None:
            self.under.backward(node, i, share, g)

    def end(self):
        """After a walk back."""
        if self.under is not None:
            self.under.end()

    def mark(self, name):
        """After other work of that name (a step of an optimizer); "": what went before was no work of the engine."""
        if self.under is not None:
            self.under.mark(name)

    def remove(self):
        """Stand there no longer."""
        if mode.watcher is self:
            mode.watcher = self.under
        for watch in watchers():
            if watch.under is self:
                watch.under = self.under


def watchers(kind=Watcher):
    """The watchers of this thread, innermost first."""
    watch = mode.watcher
    while watch is not None:
        if isinstance(watch, kind):
            yield watch
        watch = watch.under


class Scope:
    """One running module call; a linked list from the innermost outwards. For drawings and error texts."""

    __slots__ = ("kind", "name", "outer")

    def __init__(self, outer, name, kind):
        self.outer, self.name, self.kind = outer, name, kind

    def __str__(self):
        before = str(self.outer) if self.outer else ""
        return f"{before}.{self.name}" if before and self.name else before or self.name


class _Changes:
    last = 0  # the moment of the last change in place, of any memory; a node younger than this needs no check


changes = _Changes()  # not an attribute of Version: setting one makes Python forget what it knows of a class


class Version:
    """The memory shared by a tensor and its views: when it was last changed in place, by what, and who looks at it."""

    tick, count, by = 0, 0, ""
    views = ()
    # Most memory is never changed in place: a tensor gets its Version when somebody first asks for it, and its node keeps it too.

    def bump(self, by: str) -> None:
        """Note a change in place."""
        self.tick = changes.last = clock()
        self.count += 1
        self.by = by


OWNED = Version()  # stands in `node.versions` for a value whose tensor had no Version yet: ask the node it came from


class Size(tuple):
    """A tensor's shape: a tuple, with `numel()`."""

    __slots__ = ()

    def numel(self) -> int:
        """The number of elements."""
        n = 1
        for s in self:
            n *= s
        return n


class _NoName(str):
    """What `node.name` is where the user has given none: empty, and PyTorch's name where it is called, grad_fn.name()."""

    def __call__(self):
        return self.text


class _Named:
    """`node.name`, until something is assigned to it."""

    def __get__(self, node, owner):
        if node is None:
            return self
        name = _NoName()
        words = node.op.name.split("_") if node.op else ()
        name.text = "".join([w[:1].upper() + w[1:] for w in words]) + "Backward0" if words else "AccumulateGrad"
        return name


class Node:
    """One recorded operation, or (op None) a leaf: where gradients end and `.grad` is kept."""

    __slots__ = (
        "__dict__", "args", "device", "dtype", "first", "op", "saved", "scope", "second", "seq", "several", "shape",
        "versions", "watched",
    )  # fmt: skip
    grad = None  # the Tensor shown as .grad
    hooks = None  # functions of the complete gradient
    after = None  # functions called after .grad was written (leaves)
    prehooks = posthooks = None  # functions of the gradients before, and after, this node's rules
    packed = None  # what holds the saved values, where saved_tensors_hooks were on
    retains = False  # keep the gradient of a non-leaf
    buffer = None  # an array the first gradient is written into (a slice of an optimizer's flat gradient)
    name, where = _Named(), None  # for pictures: the user's name, the user's source line
    version = None  # of the memory of the result, where somebody has asked for it

    def __init__(self, op, parents, saved, versions, args, array, device):
        # one assignment a line: the quickest form, and a node is made for every operation
        self.op = op
        self.first = self.second = None
        self.several = parents
        self.saved = saved
        self.versions = versions
        self.args = args
        self.shape = array.shape
        self.dtype = array.dtype
        self.device = device
        self.seq = clock()
        self.scope = mode.now.scope
        self.watched = False  # hooks, or retains, are set

    @property
    def parents(self) -> tuple:
        """The nodes of the inputs (None: no gradient wanted). Of the quick path's two at most there is no tuple: of what
        lives as long as the graph, each object that can hold others takes the time of Python's cycle collector."""
        if self.several is not None:
            return self.several
        return (self.first,) if len(self.op.inputs) == 1 else (self.first, self.second)

    def __repr__(self):
        return f"<{self.op.name if self.op else 'leaf'} {tuple(self.shape)}>"

    def register_prehook(self, hook) -> "Handle":
        """Call `hook(grad_outputs)`, a tuple, before backward goes through this node; a tuple returned replaces it."""
        self._watch("register_prehook")
        return Handle.put(self, "prehooks", hook)

    def register_hook(self, hook) -> "Handle":
        """Call `hook(grad_inputs, grad_outputs)` after backward went through this node; a tuple returned replaces the
        gradients of the inputs (None where there is none)."""
        self._watch("register_hook")
        return Handle.put(self, "posthooks", hook)

    def kept_versions(self):
        """For each place of `saved`: the Version of that memory, or None where nothing can change it (or no longer matters)."""
        owners = (*self.parents, self)
        return [owners[i].version if v is OWNED else v for i, v in enumerate(self.versions)]

    def _watch(self, name):
        if self.op is None or self.op.outputs != 1 or getattr(self, "outputs", None) is not None:
            raise errors.GraphError(f"{name}: only for the node of an operation with one result; use tensor.{name}")
        self.watched = True

    @property
    def next_functions(self):
        """PyTorch's view of the parents: ((node, 0), ...)."""
        return tuple((p, 0) for p in self.parents)


class Tensor:
    """An n-dimensional array that remembers how it was computed.

    `array` is the raw NumPy or CuPy array, `node` its place in the graph (None: no gradient wanted). Made by `tl.tensor` and
    its kin; `Tensor(data)` makes float32 as PyTorch's does. The methods are listed in methods.py.

    Example:
        >>> import tensorlite as tl
        >>> x = tl.tensor([1.0, 2.0], requires_grad=True)
        >>> (x * x).sum().backward()
        >>> x.grad
        tensor([2., 4.])
    """

    __slots__ = ("__dict__", "__weakref__", "_v", "array", "device", "node")
    view_of = None  # (source, op, args) of a view, to repair its place in the graph after a change in place
    batched = None  # of a stand-in for the examples of a vmap: the function that computes with it
    _frozen = None  # the leaf node of a tensor whose requires_grad was switched off

    shape = property(lambda self: Size(self.array.shape))
    dtype = property(lambda self: dtypes.of(self.array))
    ndim = property(lambda self: self.array.ndim)
    is_leaf = property(lambda self: self.node is None or self.node.op is None)
    grad_fn = property(lambda self: None if self.is_leaf else self.node)
    _version = property(lambda self: self.version.count)

    @property
    def version(self) -> Version:
        """The Version of the memory, made when first asked for."""
        if self._v is None:
            node = self.node
            self._v = Version() if node is None or node.version is None else node.version
            if node is not None:
                node.version = self._v
        return self._v

    @version.setter
    def version(self, value):
        self._v = value

    @property
    def requires_grad(self) -> bool:
        """Whether gradients are computed for this tensor. Only leaves can be switched."""
        return self.node is not None

    @requires_grad.setter
    def requires_grad(self, on):
        self.requires_grad_(on)

    def requires_grad_(self, requires_grad: bool = True) -> "Tensor":
        """Switch recording for this leaf. Raises DTypeError for integer tensors, GraphError for results of operations."""
        if not self.is_leaf:
            if not requires_grad:
                raise errors.GraphError("requires_grad_: only a leaf can be switched off; use .detach() on a result")
        elif not requires_grad:
            self._frozen, self.node = self.node or self._frozen, None
        elif self.node is None:
            if not self.dtype.is_floating_point:
                raise errors.DTypeError(
                    f"requires_grad: only floating-point tensors have gradients, this one is {self.dtype.name}; "
                    "make it float first, e.g. x.float()"
                )
            self.node = self._frozen or Node(None, (), (), (), None, self.array, self.device)
        return self

    @property
    def grad(self) -> "Tensor | None":
        """The gradient summed up by backward: for leaves, and for results after retain_grad()."""
        node = self.node or self._frozen
        return None if node is None else node.grad

    @grad.setter
    def grad(self, value):
        node = self.node or self._frozen
        if value is None:
            if node is not None:
                node.grad = None
            return
        if not isinstance(value, Tensor) or value.array.shape != self.array.shape or value.device is not self.device:
            raise errors.ShapeError(
                f"grad: a tensor of shape {tuple(self.array.shape)} on {self.device} is needed, got {errors.describe(value)}"
            )
        if node is None:
            node = self._frozen = Node(None, (), (), (), None, self.array, self.device)
        node.grad = value

    @grad.deleter
    def grad(self):
        self.grad = None

    def detach(self) -> "Tensor":
        """The same memory, cut from the graph."""
        out = wrap(self._memory(), self.device)
        out.version = self.version
        return out

    @property
    def data(self) -> "Tensor":
        """A detached tensor on the same memory, whose changes are not watched; assigning replaces the memory."""
        return wrap(self._memory(), self.device)

    def _memory(self):
        """The array; NumPy's 0-d results, which may be bare numbers, become arrays that others can share."""
        if not self.array.ndim:
            self.array = self.device.backend.as_array(self.array)
        return self.array

    @data.setter
    def data(self, value):
        if not isinstance(value, Tensor):
            raise errors.DTypeError(f"data: a Tensor is needed, not {type(value).__name__}")
        self.array, self.device = value.array, value.device
        leaf = (self.node or self._frozen) if self.is_leaf else None
        if leaf is not None:
            leaf.shape, leaf.dtype, leaf.device = self.array.shape, self.array.dtype, self.device

    def retain_grad(self) -> None:
        """Keep the gradient of this result in `.grad` when backward passes it."""
        if self.node is None:
            raise errors.GraphError("retain_grad: this tensor does not require grad")
        self.node.retains = self.node.watched = True

    def register_hook(self, hook) -> "Handle":
        """Call `hook(grad)` when the gradient of this tensor is complete; what it returns, if not None, replaces it."""
        if self.node is None:
            raise errors.GraphError("register_hook: this tensor does not require grad")
        self.node.watched = True
        return Handle.put(self.node, "hooks", hook)

    def register_post_accumulate_grad_hook(self, hook) -> "Handle":
        """Call `hook(tensor)` after backward has written this leaf's `.grad`."""
        if self.node is None or not self.is_leaf:
            raise errors.GraphError("register_post_accumulate_grad_hook: only for leaves that require grad")
        owner = weakref.ref(self)
        return Handle.put(self.node, "after", lambda: hook(owner()))


_blank = object.__new__


def wrap(array, device, node=None) -> Tensor:
    """A Tensor around a raw array; not checked."""
    t = _blank(Tensor)
    t.array, t.device, t.node, t._v = array, device, node, None
    return t


class Handle:
    """What registering a hook returns; `remove()` takes the hook away again."""

    def __init__(self, hooks, key):
        self.hooks, self.key = hooks, key

    @classmethod
    def put(cls, owner, attribute, hook):
        """Add a hook to the ordered dict `owner.attribute`, made when first needed."""
        hooks = getattr(owner, attribute)
        if hooks is None:
            hooks = {}
            setattr(owner, attribute, hooks)
        key = clock()
        hooks[key] = hook
        return cls(hooks, key)

    def remove(self) -> None:
        """Take the hook away; a second call does nothing."""
        self.hooks.pop(self.key, None)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()


def path() -> str:
    """The module that is running, as `encoder.layers.0.fc1`; empty outside of modules."""
    return str(mode.scope) if mode.scope is not None else ""


def here(text: str) -> str:
    """The text of an error, and the module it happened in."""
    where = path()
    return f"{text}, in {where}" if where else text
