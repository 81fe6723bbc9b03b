"""Inside of vmap: `Batched`, the Tensor that stands for one example while it holds all of them, and how operations meet it.

A function under vmap is run once. What it gets looks like one example (shape, ndim, dtype), and holds all examples in
`value`, a Tensor whose dimension 0 counts them. An operation that meets a Batched computes with `value` by the rule of its
family (batching.py); an operation without a rule is called for each example, and the results are stacked: right, but slower.
`value` may itself be Batched, of an outer vmap.
"""

from tensorlite.errors import ArgumentError, ShapeError, VmapError, describe
from tensorlite.inplace import keep_old_values
from tensorlite.tensor import Tensor, clock, mode

rules = {}  # name of an op -> function(op, call), filled by batching.py


class Level:
    """One running vmap: how many examples, what random functions may do, and the vmap around it."""

    holds = True  # whether there are Batched tensors of it

    def __init__(self, size, randomness):
        self.size, self.randomness, self.outer, self.alive = size, randomness, None, False
        self.depth = 0

    def __enter__(self):
        self.outer, self.alive = mode.vmap, True
        mode.vmap = mode.casts.tap(self) if mode.casts else self
        self.depth = 1 if self.outer is None else self.outer.depth + 1
        return self

    def __exit__(self, *_):
        mode.vmap, self.alive = self.outer, False

    @staticmethod
    def meet(op, inputs, args):
        """The result of an op with a Batched among its arguments; None if there is none."""
        for x in inputs:
            if getattr(x, "batched", None) is not None:
                return dispatch(op, inputs, args)
        found = examples_in(args.values()) if args else ()
        return per_example(op.apply, inputs, found[-1], args) if found else None

    @staticmethod
    def each(function, args):
        """function(*args), called for each example if an argument (or a part of a tuple) is Batched; None if none is."""
        found = levels_in(args)
        return per_example(function, args, found[-1]) if found else None

    @staticmethod
    def getitem(x, key):
        """x[key] where x or a part of the key is Batched; None if nothing is."""
        from tensorlite.func import batching

        found = levels_in((x, *(key if isinstance(key, tuple) else (key,))))
        return batching.getitem(x, key, found[-1]) if found else None

    @staticmethod
    def setitem(x, key, value):
        """Do x[key] = value; False if nothing here is Batched."""
        from tensorlite.func import batching

        found = levels_in((x, value, *(key if isinstance(key, tuple) else (key,))))
        if not found:
            return False
        batching.setitem(x, key, value, found[-1])
        return True

    @staticmethod
    def shared(x, name, args):
        """Refuse to change x, one tensor for all examples, by values that differ between them."""
        if levels_in(args):
            raise VmapError(_one_for_all(name, x))

    def random(self, name):
        """Whether a random function may draw here."""
        if self.randomness == "error":
            raise VmapError(
                f"{name}: random numbers inside of vmap: say vmap(..., randomness='same') for the same numbers in every "
                "example, or randomness='different'"
            )


class _NoArray(VmapError, AttributeError):
    """Said where a single array is asked for."""


class Example:
    """Stands where a tensor's raw array stands: knows shape and dtype, has no values of its own."""

    def __init__(self, owner):
        self.whole, self.level = owner.value, owner.level
        array = self.whole.array
        self.shape, self.dtype, self.itemsize = array.shape[1:], array.dtype, array.itemsize
        self.ndim, self.size = len(self.shape), 1
        for n in self.shape:
            self.size *= n
        self.nbytes = self.size * self.itemsize

    def _refuse(self, *_, **__):
        raise _NoArray(
            f"vmap: the values of {self.dtype} {tuple(self.shape)} differ between the examples, so there is no single one to "
            "look at: no .item(), bool(), int(), .numpy(), `if` or loop over values inside of vmap; use tl.where instead"
        )

    @property
    def flags(self):
        """How all examples together lie in memory."""
        return bottom(self.whole).array.flags

    @property
    def strides(self):
        """Those of one example."""
        strides = bottom(self.whole).array.strides
        return strides[len(strides) - self.ndim :]

    def min(self):
        """The least of all examples: for checks of range."""
        return bottom(self.whole).array.min()

    def max(self):
        """The greatest of all examples: for checks of range."""
        return bottom(self.whole).array.max()

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        self._refuse()

    __array__ = __bool__ = __int__ = __float__ = __index__ = __getitem__ = __iter__ = _refuse
    __add__ = __radd__ = __sub__ = __mul__ = __rmul__ = __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = _refuse
    __hash__ = object.__hash__


class Batched(Tensor):
    """One example to look at, all of them inside: see the head of this file."""

    __slots__ = ()

    def __new__(cls, value, level):
        self = object.__new__(cls)
        self.value, self.level = value, level
        return self

    def __init__(self, *_):
        pass

    device = property(lambda self: self.value.device)
    array = property(lambda self: Example(self))
    version = property(lambda self: self.value.version)
    dtype = property(lambda self: self.value.dtype)
    ndim = property(lambda self: self.value.ndim - 1)
    requires_grad = property(lambda self: self.value.requires_grad)
    is_leaf = property(lambda self: self.value.is_leaf)
    grad_fn = property(lambda self: self.value.grad_fn)
    data = property(lambda self: self.detach())
    T = property(lambda self: self.permute(*range(self.ndim)[::-1]))

    @property
    def shape(self):
        """The shape of one example."""
        return type(self.value.shape)(self.value.shape[1:])

    @property
    def node(self):
        """None of its own: the way by which the quick path of elementwise operations finds out what this is."""
        raise _NoArray(_NO_NODE if self.level.alive else _ENDED)

    def __getattr__(self, name):
        if name == "node":
            raise _NoArray(_NO_NODE if self.level.alive else _ENDED)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)

    def __repr__(self):
        return f"Batched(example {self.dtype} {tuple(self.shape)}, {self.level.size} of them)"

    def detach(self):
        """The same examples, cut from the graph."""
        return Batched(self.value.detach(), self.level)

    def for_each(self, made):
        """A copy of `made` for each example that this tensor holds."""
        return spread(made, levels(self)).clone()

    def is_contiguous(self, memory_format=None):
        """Whether all examples together lie in order."""
        return self.value.is_contiguous()

    def requires_grad_(self, requires_grad=True):
        """Refused: use tl.func.grad."""
        raise VmapError("requires_grad_: inside of vmap; differentiate with tl.func.grad, vmap(grad(f))")

    def backward(self, *_, **__):
        """Refused: use tl.func.grad."""
        raise VmapError("backward: inside of vmap; differentiate with tl.func.grad, vmap(grad(f)), or after the vmap")

    def _values(self, *_, **__):
        self.array._refuse()

    item = tolist = numpy = nonzero = argwhere = unique = masked_select = _values
    __bool__ = __int__ = __float__ = __index__ = __array__ = __contains__ = __reduce_ex__ = _values

    def __copy__(self):
        return Batched(self.value, self.level)

    def __deepcopy__(self, memo):
        return self.clone()

    def detach_(self):
        """Cut from the graph, itself."""
        self.value = self.value.detach()
        return self

    def __setitem__(self, key, value):
        Level.setitem(self, key, value)


_ENDED = "vmap: a tensor from inside of a vmap is used after that vmap has ended; return it from the function"
_NO_NODE = (
    "vmap: a tensor of a vmap has no single place in the graph; differentiate with tl.func.grad, vmap(grad(f)), "
    "or after the vmap"
)


def _in_place(name):
    def method(self, *args, **kwargs):
        since = clock()
        write(self, getattr(self, name)(*args, **kwargs), name + "_", since)
        return self

    method.__name__, method.__doc__ = name + "_", f"{name} in place, for all examples."
    return method


def _refused(name):
    def method(self, *_, **__):
        raise VmapError(
            f"{name}: inside of vmap there is no such change in place; compute it out of place, e.g. by tl.where"
        )

    return method


for _name in [n[:-1] for n in dir(Tensor) if n.endswith("_") and not n.endswith("__")]:
    if _name == "bernoulli" or not hasattr(Tensor, _name):  # bernoulli_(p) is not bernoulli() put in place
        setattr(Batched, _name + "_", _refused(_name + "_"))
    elif _name not in ("requires_grad", "detach"):
        setattr(Batched, _name + "_", _in_place(_name))


def _by_operator(name):
    function = getattr(Tensor, f"__{name}__")

    def method(self, other):
        since = clock()
        write(self, function(self, other), name, since)
        return self

    return method


for _name in ("add", "sub", "mul", "pow", "truediv", "floordiv", "mod", "and", "or", "xor"):
    setattr(Batched, f"__i{_name}__", _by_operator(_name))
Batched.fill_ = lambda self, value: (self.__setitem__(..., value), self)[1]
Batched.zero_ = lambda self: self.fill_(0)
Batched.copy_ = lambda self, other, non_blocking=False: self.fill_(other)


def _one_for_all(name, x):
    return (
        f"{name}: {describe(x)} is one tensor for all examples, the new values differ between them; "
        "work on a clone or x.new_zeros(...) of the input of vmap, or out of place"
    )


def write(x, result, name, since):
    """Put the examples of `result`, computed after the tick `since`, into the memory of x."""
    if x.batched is None or (result.batched is not None and result.level.depth > x.level.depth):
        raise VmapError(_one_for_all(name, x))
    if result.shape != x.shape:
        raise ShapeError(f"{name}: the result has shape {tuple(result.shape)}, this tensor {tuple(x.shape)}")
    keep_old_values(bottom(result).node, bottom(x), since)
    if result.batched is not None and result.level is x.level:
        x.value.copy_(result.value)
    else:
        x.value.copy_(result.unsqueeze(0))


def levels(t):
    """The vmaps whose examples t holds, outermost first."""
    found = []
    while t.batched is not None:
        found.append(t.level)
        t = t.value
    return found[::-1]


def levels_in(args):
    """The vmaps of the Batched tensors among args and in tuples and lists of them, outermost first."""
    found = []
    for x in args:
        if getattr(x, "batched", None) is not None:
            found += levels(x)
        elif isinstance(x, (tuple, list)):
            found += levels_in(x)
    return sorted(set(found), key=lambda level: level.depth)


def examples_in(args):
    """The vmaps of the Examples (arrays of Batched tensors) in arguments such as an index key, outermost first."""
    found = []
    for x in args:
        if isinstance(x, Example):
            found += [*levels(x.whole), x.level]
        elif isinstance(x, (tuple, list)):
            found += examples_in(x)
        elif isinstance(x, dict):
            found += examples_in(x.values())
    return sorted(set(found), key=lambda level: level.depth)


def bottom(t):
    """The plain Tensor inside, with the examples of all vmaps in its first dimensions, the outermost vmap first."""
    while t.batched is not None:
        t = t.value
    return t


def rebuild(plain, found):
    """The Batched tensor of a plain one whose first dimensions are the examples of the levels `found` (outermost first)."""
    for level in found:
        plain = Batched(plain, level)
    return plain


def spread(t, wanted=None):
    """t as a tensor that holds examples of its own for every running vmap (or those `wanted`, outermost first)."""
    if wanted is None:
        wanted, level = [], mode.vmap
        while level is not None:
            if level.holds:
                wanted.insert(0, level)
            level = level.outer
    if not wanted or levels(t) == wanted:
        return t
    level = wanted[-1]
    if t.batched is not None and t.level is level:
        return Batched(spread(t.value, wanted[:-1]), level)
    return Batched(spread(t.unsqueeze(0).expand(level.size, *t.shape), wanted[:-1]), level)


def dispatch(op, inputs, args):
    """What `op` gives for inputs of which some are Batched: the rule of its name, else example by example."""
    inside = examples_in(args.values()) if args else []
    level = max((*[x.level for x in inputs if getattr(x, "batched", None) is not None], *inside), key=lambda v: v.depth)
    if not level.alive:
        raise VmapError(f"{op.name}: {_ENDED}")
    call = Call(level, inputs, args)
    if inside:
        return per_example(op.apply, inputs, level, args)
    rule = rules.get(op.name)
    if rule is None and issubclass(op, _elementwise()):
        rule = rules["elementwise"]
    out = NotImplemented if rule is None else rule(op, call)
    if out is NotImplemented and op.fused:
        return op.plain(*inputs, **{**op.defaults, **args})  # made of operations that have rules
    if out is NotImplemented:
        return per_example(op.apply, inputs, level, args)
    if isinstance(out, tuple):
        return tuple([Batched(o, level) for o in out])
    return Batched(out, level)


def _elementwise():
    from tensorlite.elementwise import Elementwise

    return Elementwise


Batched.batched = staticmethod(dispatch)


class Call:
    """One operation seen from one level: the inputs with all examples where they are Batched there.

    xs: tensors (batched ones with the examples in dimension 0), numbers, None. on: which of them are batched.
    """

    def __init__(self, level, inputs, args):
        self.level, self.n, self.inputs, self.args = level, level.size, inputs, args
        self.on = [getattr(x, "batched", None) is not None and x.level is level for x in inputs]
        self.xs = [x.value if on else x for x, on in zip(inputs, self.on, strict=True)]

    def aligned(self, least=0, every=False):
        """The inputs with ones put in after the examples, so that the dimensions of one example meet from the right.

        every: also tensors without examples get a dimension 0, of all examples.
        """
        rank = max([least, *[x.ndim for x in self.inputs if isinstance(x, Tensor)]])
        found = []
        for x, logical, on in zip(self.xs, self.inputs, self.on, strict=True):
            if isinstance(x, Tensor) and every and not on:
                x, on = x.unsqueeze(0).expand(self.n, *x.shape), True
            if on and logical.ndim < rank:
                x = x.reshape(self.n, *[1] * (rank - logical.ndim), *logical.shape)
            found.append(x)
        return found


def per_example(function, args, level, keywords=None):
    """function called for each example, tuples and lists of arguments included; the results stacked."""
    from tensorlite.ops.shape import stack

    if not level.size:
        raise VmapError("vmap: an operation without a rule of its own cannot be done for 0 examples")

    def one(x, i):
        if getattr(x, "batched", None) is not None:
            if x.level is level:
                return x.value[i]
            return x if level not in levels(x) else Batched(one(x.value, i), x.level)
        if isinstance(x, Example):
            return one(Batched(x.whole, x.level), i).array
        if isinstance(x, (tuple, list)):
            return type(x)([one(v, i) for v in x])
        return {k: one(v, i) for k, v in x.items()} if isinstance(x, dict) else x

    results = [function(*[one(x, i) for x in args], **one(keywords or {}, i)) for i in range(level.size)]
    several = isinstance(results[0], tuple)
    columns = list(zip(*results, strict=True)) if several else [results]
    if any(o.shape != c[0].shape for c in columns for o in c):
        raise VmapError(
            "vmap: the shape of the result differs between the examples (it depends on their values), which cannot be stacked"
        )
    made = [Batched(stack(c), level) for c in columns]
    if not several:
        return made[0]
    kind = type(results[0])
    return kind(*made) if hasattr(kind, "_fields") else kind(made)


def check_size(sizes):
    """The one number of examples. Raises ArgumentError."""
    if not sizes:
        raise ArgumentError("vmap: at least one input must have examples: all in_dims are None")
    if len({n for _, n in sizes}) > 1:
        text = ", ".join(f"{n} in argument {i}" for i, n in sizes)
        raise ArgumentError(f"vmap: all inputs must have the same number of examples in their in_dims, got {text}")
    return sizes[0][1]
