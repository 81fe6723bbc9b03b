"""The batching rules: how each family of operations computes all examples of a vmap at once. What has no rule is in batched.py.

A rule gets the op and a Call (see batched.py), and returns a Tensor with the examples in dimension 0 (or a tuple of
such), or NotImplemented where only the way example by example is right.
"""

from tensorlite.backend import dtypes
from tensorlite.errors import VmapError
from tensorlite.func.batched import Batched, bottom, levels, levels_in, per_example, rules
from tensorlite.op import registry
from tensorlite.tensor import Tensor


def rule(names):
    """Decorator: the function serves the ops of these names."""

    def put(function):
        for name in names.split():
            rules[name] = function
        return function

    return put


@rule("elementwise")
def elementwise(op, call):
    """The dimensions of one example broadcast from the right; promotion looks at one example, as outside of vmap."""
    tensors = [x for x in call.inputs if isinstance(x, Tensor)]
    if len(tensors) > 1 and any(x.dtype != tensors[0].dtype for x in tensors):
        dtype = dtypes.result_type(*[x.array if isinstance(x, Tensor) else x for x in call.inputs])
        call.xs = [x.to(dtype) if isinstance(x, Tensor) else x for x in call.xs]
    return op.apply(*call.aligned())


@rule(
    "where addcmul addcdiv clamp clamp_between cast clone alias to_device view_dtype gelu silu mish sinc i0 nan_to_num polygamma lerp"
)
def alike(op, call):
    """Element by element, with arguments that say nothing about dimensions."""
    return op.apply(*call.aligned(), **call.args)


@rule("softmax log_softmax sum mean var amax amin logsumexp prod all any argmax argmin cumsum cumprod cummax cummin "
      "logcumsumexp flip norm argsort topk roll median mode kthvalue median_index shift linear_scan")  # fmt: skip
def along(op, call):
    """Tensors of one rank and dimensions, which are one further to the right; other arguments do not count dimensions."""
    args, x = dict(call.args), call.inputs[0]
    if not x.ndim:
        return op.apply(*call.xs, **args) if args.get("dim") == () and len(call.inputs) == 1 else NotImplemented
    if not all(isinstance(v, Tensor) and v.ndim == x.ndim for v in call.inputs):
        return NotImplemented
    names = [n for n in ("dim", "dims") if n in args]
    if not names:
        return NotImplemented
    for n in names:
        if not isinstance(args[n], (int, tuple, list)) or isinstance(args[n], bool):
            return NotImplemented
        args[n] = shifted(args[n])
    return op.apply(*call.aligned(every=True), **args)


def shifted(dim):
    """Dimensions of one example as dimensions of all."""
    return tuple([shifted(d) for d in dim]) if isinstance(dim, (tuple, list)) else dim + 1 if dim >= 0 else dim


@rule("tril triu inv det slogdet cholesky qr svd eigh pinv matrix_exp cofactor")
def trailing(op, call):
    """One tensor of which the op looks at the last dimensions only; the others are examples to it anyway."""
    return op.apply(*call.xs, **call.args) if len(call.inputs) == 1 and call.inputs[0].ndim >= 2 else NotImplemented


# ---------------------------------------------------------------- shapes
@rule("reshape")
def reshape(op, call):
    return op.apply(*call.xs, shape=(call.n, *call.args["shape"]))


@rule("permute")
def permute(op, call):
    return op.apply(*call.xs, dims=(0, *[d + 1 for d in call.args["dims"]]))


@rule("expand")
def expand(op, call):
    shape = call.args["shape"]
    return op.apply(*call.aligned(len(shape)), shape=(call.n, *shape))


@rule("sum_to")
def sum_to(op, call):
    (x,), shape = call.xs, tuple(call.args["shape"])
    ones = (1,) * (call.inputs[0].ndim - len(shape))
    return op.apply(x, shape=(call.n, *ones, *shape)).reshape(call.n, *shape)


@rule("cat")
def cat(op, call):
    return op.apply(*call.aligned(every=True), dim=call.args["dim"] + 1)


@rule("diagonal diag_embed unfold unfold_add")
def placed(op, call):
    """Dimensions, and perhaps the shape of the result."""
    args = {k: shifted(v) if k.startswith("dim") else v for k, v in call.args.items()}
    if "shape" in args:
        args["shape"] = (call.n, *args["shape"])
    return op.apply(*call.xs, **args)


@rule("pad")
def pad(op, call):
    return op.apply(*call.xs, pads=((0, 0), *call.args["pads"]), value=call.args["value"])


# ---------------------------------------------------------------- reading and writing at places
@rule("index")
def index(op, call):
    key = call.args["key"]
    if not _apart(key):
        return op.apply(*call.xs, **{**call.args, "key": (slice(None), *_parts(key))})
    return NotImplemented


@rule("index_add")
def index_add(op, call):
    key = call.args["key"]
    if not _apart(key) and op is registry["index_add"] and set(call.args) == {"key", "shape"}:
        return op.apply(*call.xs, key=(slice(None), *_parts(key)), shape=(call.n, *call.args["shape"]))
    return NotImplemented


def _parts(key):
    return key if isinstance(key, tuple) else (key,)


def _apart(key):
    """Whether index arrays stand apart from each other, which puts their dimensions first."""
    parts = _parts(key)
    if not any(hasattr(k, "dtype") or isinstance(k, list) for k in parts):
        return False
    at = [i for i, k in enumerate(parts) if not (k is None or k is Ellipsis or isinstance(k, slice))]
    return at[-1] - at[0] >= len(at)


@rule("take_along")
def take_along(op, call):
    if not call.inputs[0].ndim or len(call.inputs) != 2 or set(call.args) != {"dim"}:
        return NotImplemented
    return op.apply(*call.aligned(every=True), dim=call.args["dim"] + 1)


@rule("put_along")
def put_along(op, call):
    if set(call.args) != {"dim", "shape"}:
        return NotImplemented
    return op.apply(*call.aligned(every=True), dim=call.args["dim"] + 1, shape=(call.n, *call.args["shape"]))


@rule("embedding")
def embedding(op, call):
    """Tables of their own are laid on top of each other, and the row numbers moved on."""
    if not call.on[0]:
        return op.apply(*call.xs)
    weight, index = _every(call)
    rows = weight.shape[1]
    weight.device.backend.check_range(bottom(index).array, rows, "token id")
    return op.apply(weight.reshape(call.n * rows, *weight.shape[2:]), _moved_on(index, call.n, rows))


@rule("embedding_backward")
def embedding_backward(op, call):
    g, index = _every(call)
    rows = call.args["rows"]
    out = op.apply(g, _moved_on(index, call.n, rows), rows=call.n * rows)
    return out.reshape(call.n, rows, *out.shape[1:])


def _every(call):
    """The inputs, all with a dimension of examples."""
    return [x if on else x.unsqueeze(0).expand(call.n, *x.shape) for x, on in zip(call.xs, call.on, strict=True)]


def _moved_on(index, n, rows):
    from tensorlite.creation import arange

    steps = arange(n, device=index.device) * rows
    return index + steps.reshape(n, *[1] * (index.ndim - 1))


def getitem(x, key, level):
    """x[key] where x or a part of the key holds examples of `level`."""
    first, *rest = parts = _parts(key)
    if level not in levels_in(parts):
        arrays = [i for i, k in enumerate(parts) if not isinstance(k, (int, slice, type(None), type(...)))]
        if not arrays or arrays[-1] - arrays[0] < len(arrays):
            return Batched(x.value[(slice(None), *parts)], level)
    inside = x.batched is not None and x.level is level
    if not rest and isinstance(first, Batched) and first.level is level and first.dtype.category == 1 and x.ndim:
        if not inside:  # x[index]: one reading for all examples
            return Batched(x[first.value], level)
        from tensorlite.creation import arange

        steps = arange(level.size, device=x.device).reshape(level.size, *[1] * first.ndim)
        return Batched(x.value[steps, first.value], level)
    return per_example(lambda t, *k: t[tuple(k)], (x, *_parts(key)), level)


def setitem(x, key, value, level):
    """x[key] = value where something is Batched; x must hold examples of its own."""
    if level not in levels(x):
        raise VmapError(
            f"setitem: {tuple(x.shape)} is one tensor for all examples, the new values (or their places) differ between "
            "them; compute it out of place with tl.where, or from the input of vmap"
        )
    if not isinstance(x, Batched) or x.level is not level:
        raise VmapError("setitem: in nested vmaps, only a tensor of the inner one can be changed in place there")
    parts = _parts(key)
    if levels_in(parts):
        for i in range(level.size):
            one = tuple([k.value[i] if isinstance(k, Batched) else k for k in parts])
            x.value[(i, *one)] = value.value[i] if isinstance(value, Batched) and value.level is level else value
        return
    if isinstance(value, Batched) and value.level is level:
        rank = x.value[(0, *parts)].ndim
        value = value.value.reshape(level.size, *[1] * (rank - value.ndim), *value.shape)
    x.value[(slice(None), *parts)] = value


# ---------------------------------------------------------------- products and layers
@rule("matmul")
def matmul(op, call):
    return op.apply(*call.aligned())


@rule("linear")
def linear(op, call):
    return op.apply(*call.xs) if call.on == [True, False, False] else NotImplemented


@rule("layer_norm rms_norm")
def normalised(op, call):
    if not call.on[0] or any(call.on[1:]):
        return NotImplemented
    return op.apply(*call.xs, **call.args)


@rule("solve solve_triangular")
def solve(op, call):
    a, y = call.inputs
    if a.ndim < 2 or y.ndim < 2:
        return NotImplemented
    return op.apply(*call.aligned(), **call.args)


@rule("einsum")
def einsum(op, call):
    """The examples get a label of their own, in the batched inputs and in the result."""
    inputs, _, out = call.args["equation"].partition("->")
    free = next(c for c in map(chr, range(97, 1000)) if c not in inputs + out and c.isalpha())
    terms = [free + t if on else t for t, on in zip(inputs.split(","), call.on)]
    sizes = {**dict(call.args["sizes"]), free: call.n}
    sizes = sizes if isinstance(call.args["sizes"], dict) else tuple(sizes.items())
    return op.apply(*call.xs, equation=f"{','.join(terms)}->{free}{out}", sizes=sizes)


@rule("attention")
def attention(op, call):
    q, k, v, _mask = call.inputs
    if call.args.get("dropout_p") or any(x.ndim != q.ndim for x in (k, v)):
        return NotImplemented
    return op.apply(*call.aligned(every=True), **call.args)


@rule("conv conv_transpose im2col col2im max_pool_index max_pool max_unpool")
def images(op, call):
    """Ops that know one batch dimension: the examples are laid into it. Weights that differ go example by example."""
    n, batch = call.n, call.inputs[0].shape[0] if call.inputs[0].ndim else None
    together = 2 if op.name in ("max_pool", "max_unpool") else 1
    if batch is None or any(call.on[together:]):
        return NotImplemented
    xs = call.aligned(every=True)[:together]
    xs = [x.reshape(n * batch, *x.shape[2:]) for x in xs]
    out = op.apply(*xs, *call.xs[together:], **call.args)
    return out.reshape(n, batch, *out.shape[1:])
