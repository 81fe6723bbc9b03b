"""How an operation is declared and recorded: Op, Fused, and the math namespaces its rules run on. Elementwise stands apart.

The operations themselves stand in ops/, one family a file; the walk that calls the rules is autograd.py.
"""

import weakref

from tensorlite import errors
from tensorlite.backend import dtypes
from tensorlite.tensor import OWNED, Node, Tensor, mode, path, wrap

registry = {}  # name -> Op
NO_ARGS = {}


class Op:
    """One operation. A subclass holds its formula, the local derivative for each input, forward, and the rules.

    forward(b, x, ..., *, arg, ...)   raw arrays to a raw array, on backend b; keyword-only parameters are not differentiated.
                                      With `extras` named: (out, (extra, ...)).
    rules                             one for each input, or None where there is no gradient: a function (m, g, ...) whose
                                      other parameters name what it needs: inputs, `out`, extras, arguments. Just these are
                                      saved. It uses operators and m.op(...) only, so it runs on arrays and on Tensors.
    Instead of rules, a Fused op has `backward(b, g, needs, into, ...)` on raw arrays and `plain(...)` on Tensors.
    """

    name = formula = ""
    local = ()  # the derivative for each input, in words
    inputs = extras = ()
    rules = None
    defaults = {}
    view = False  # the result may share the input's memory
    lends = False  # a rule may return g itself, a view of it, or a saved array
    outputs = 1  # how many tensors come out; None: a tuple of any length
    fused = special = False
    plan = ()  # for each input, set from the rules: (rule, the one place it needs or None, the places it needs)
    saves = False  # whether any rule needs a saved value; set from the rules
    masks = {}  # which inputs are wanted -> what `kept` gives
    way = facts = ()  # what the walk, and `apply`, ask of the op, looked up together; set by `settle`
    variadic = False  # any number of inputs; `rule(m, g, i, extras..., args...)` serves them all
    shares = None  # shares(node, g, seen, create): the gradients of a user-defined op, see function.py
    ordered = False  # the result lies in memory row by row, however the inputs lie: view() takes it, as in PyTorch
    moves = False  # the result lies on the device `args["device"]`
    add_into = None  # add_into(b, total, g, **args): add the share of the only input straight into its gradient

    def __init_subclass__(op, **_):
        if "forward" in op.__dict__:
            op.read()
            registry[op.name] = op
        op.settle()

    @classmethod
    def read(op):
        """Take from the signatures of forward and of the rules what the op needs."""
        code = op.forward.__code__
        op.inputs = code.co_varnames[1 : code.co_argcount]
        if op.variadic:
            op.inputs, op.saves = (), True
        op.arguments = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
        op.defaults = op.forward.__kwdefaults__ or {}
        op.places = {n: i for i, n in enumerate((*op.inputs, "out", *op.extras, *op.arguments))}
        op.local = (op.local,) if isinstance(op.local, str) else op.local
        if op.rules is not None:
            op.rules = op.rules if isinstance(op.rules, tuple) else (op.rules,)
            op.uses = tuple(() if r is None else _places(op, r, 2) for r in op.rules)
            op.saves = any(op.uses)
            op.masks = {}
            if len(op.rules) == 1 and not op.variadic and "record" not in op.__dict__:
                op.record = staticmethod(_record_of_one(op))
            op.plan = tuple((r, u[0] if len(u) == 1 else None, u) for r, u in zip(op.rules, op.uses, strict=True))
        op.special = op.fused or op.variadic or op.outputs != 1 or op.add_into is not None

    @classmethod
    def settle(op):
        """Gather what is asked of every op that runs: one look at a class costs as much as several bytecodes."""
        op.way = op.special, op.lends, op.saves, op.plan
        differentiable = op.rules is not None or op.fused or op.variadic
        op.facts = op.view, op.defaults, bool(op.extras), op.moves, op.outputs, differentiable, op.ordered

    @classmethod
    def kept(op, wanted):
        """For each place (inputs, out, extras, arguments): whether the rules of the wanted inputs (bools) need it."""
        used = {i for w, u in zip(wanted, op.uses, strict=True) if w for i in u}
        return tuple(i in used for i in range(len(op.places)))

    @classmethod
    def apply(op, *inputs, **args):
        """Compute on Tensors (numbers and None pass as they are), and record where a gradient is wanted."""
        now = mode.now
        if now.vmap is not None and (out := now.vmap.meet(op, inputs, args)) is not None:
            return out
        view, defaults, extra, moves, outputs, differentiable, ordered = op.facts
        device, arrays, parents, wanted = None, [], [], False
        for x in inputs:
            if isinstance(x, Tensor):
                if device is None:
                    device = x.device
                elif x.device is not device:
                    return op.apply(*together(op, inputs), **args)
                arrays.append(x.array)
                parents.append(node := x.node)
                if node is not None:
                    wanted = True
            else:
                arrays.append(x)
                parents.append(None)
        if defaults:
            args = {**defaults, **args}
        if view and not arrays[0].ndim:  # in NumPy a 0-d result may be a number, which has no views
            arrays[0] = inputs[0].array = device.backend.as_array(arrays[0])
        extras = ()
        try:
            compute = op.forward if dtypes.BF16 is None else op.in_float32
            out = compute(device._backend, *arrays, **args)
        except Exception as e:
            raise op.explain(e, arrays) from e
        if extra:
            out, extras = out
        if ordered and not out.flags.c_contiguous:
            out = out.copy()
        if moves:
            device = args["device"]
        if outputs != 1:
            return op._several(inputs, arrays, parents, out, extras, args, device, wanted)
        result = wrap(out, device)
        if wanted and differentiable and now.grad:
            result.node = op.record(inputs, arrays, parents, out, extras, args, device)
        if view and device._backend.is_view(out, arrays[0]):
            _share(inputs[0], result, op, args)
        if now.watcher is not None:
            now.watcher.forward(op, inputs, result)
        return result

    @classmethod
    def in_float32(op, b, *arrays, **args):
        """forward, once bfloat16 is in use: its arrays are computed with in float32, and the result rounded once."""
        kinds = [a.dtype for a in arrays if hasattr(a, "dtype")]
        if op.view or op.moves or "dtype" in args or dtypes.BF16 not in kinds:
            return op.forward(b, *arrays, **args)
        out = op.forward(b, *[dtypes.widen(a) for a in arrays], **args)
        if any(k in ("float32", "float64") for k in kinds):
            return out
        return (dtypes.narrow(out[0]), out[1]) if op.extras else dtypes.narrow(out)

    @classmethod
    def record(op, inputs, arrays, parents, out, extras, args, device):
        """The Node of one computation: keeps what the rules of the wanted inputs name, and the versions of it."""
        values = (*extras, *[args[k] for k in op.arguments])
        if op.variadic:
            return Node(op, tuple(parents), values, (), args, out, device)
        wanted = tuple([p is not None for p in parents])
        kept = op.masks.get(wanted)
        if kept is None:
            kept = op.masks[wanted] = op.kept(wanted)
        saved = tuple([v if k else None for v, k in zip((*arrays, out, *values), kept, strict=True)])
        versions = [noted(x) if k and isinstance(x, Tensor) else None for x, k in zip(inputs, kept, strict=False)]
        if kept[len(inputs)]:
            versions.append(OWNED)
        return Node(op, tuple(parents), saved, tuple(versions), args, out, device)

    @classmethod
    def _several(op, inputs, arrays, parents, outs, extras, args, device, wanted):
        """Wrap several results: each hangs on a `pick` node that hands its gradient to the one node of the op."""
        results, n = tuple(wrap(o, device) for o in outs), len(inputs)
        if wanted and mode.grad and (op.rules is not None or op.fused or op.variadic):
            node = op.record(inputs, arrays, parents, outs[0], extras, args, device)
            node.outputs = tuple((o.shape, o.dtype) for o in outs)
            if not op.variadic and node.saved[n] is not None:  # to the rules, `out` is the tuple of all
                node.saved = (*node.saved[:n], tuple(outs), *node.saved[n + 1 :])
                node.versions = (*node.versions[:n], *[r.version for r in results])
            for i, r in enumerate(results):
                if r.dtype.is_floating_point:
                    r.node = pick(node, i, r.array)
        if mode.watcher is not None:
            for r in results:
                mode.watcher.forward(op, inputs, r)
        return results

    @classmethod
    def mixture(op, inputs):
        """The error for tensors on different devices."""
        where = sorted({str(x.device) for x in inputs if isinstance(x, Tensor)})
        fault = (
            f"tensors on different devices ({' and '.join(where)}); move them together first, e.g. x.to({where[-1]!r})"
        )
        names = op.inputs or [f"input {i}" for i in range(len(inputs))]
        return errors.DeviceError(errors.compose(op.name, fault, errors.argument_table(names, inputs), path()))

    @classmethod
    def explain(op, error, arrays):
        """The error of forward with the op, its arguments and the place in the model added."""
        text, kind = str(error), type(error)
        if not isinstance(error, errors.TensorliteError):
            kinds = {
                ValueError: errors.ShapeError,
                IndexError: errors.IndexRangeError,
                OverflowError: errors.ArgumentError,
            }
            if not isinstance(error, (TypeError, *kinds)):
                return error
            kind = kinds.get(kind, errors.DTypeError)
            shapes = [a.shape for a in arrays if hasattr(a, "shape")]
            if len(shapes) > 1 and ("broadcast" in text or "matmul" in text):
                text = errors.broadcast_fault(*shapes)
        return kind(errors.compose(op.name, text, errors.argument_table(op.inputs, arrays), path()))


def noted(x):
    """What a node keeps beside a value that it saved, to notice later changes: the Version of its memory."""
    version = x._v
    return version if version is not None else OWNED if x.node is not None else x.version


def check_versions(node):
    """Raise InplaceError where a value that the node saved was changed afterwards."""
    for v in node.kept_versions():
        if v is not None and v.tick > node.seq:
            raise errors.InplaceError(
                f"backward: a value that {node.op.name} {tuple(node.shape)} saved was changed in place by {v.by} afterwards"
                " (its gradient would be wrong); change a clone instead, or do it before"
                + (f", in {node.scope}" if node.scope else "")
                + (f", called at {node.where}" if node.where else "")
            )


def together(op, inputs):
    """The inputs on one device: a 0-d tensor of the CPU goes with tensors of any other; all else is refused."""
    tensors = [x for x in inputs if isinstance(x, Tensor)]
    device = next((x.device for x in tensors if x.device.type != "cpu"), None)
    strays = [x for x in tensors if x.device is not device]
    if any(x.ndim or x.device.type != "cpu" for x in strays):
        raise op.mixture(inputs)
    move = registry["to_device"].apply
    return [move(x, device=device, source=x.device) if any(x is y for y in strays) else x for x in inputs]


class Pick(Op):
    """One of the results of an operation that has several."""

    name, formula, local = "pick", "outputs[index]", ("1 at index",)
    special = True


def pick(node, i, array, device=None):
    """A node for result i of an operation that has several."""
    return Node(Pick, (node,), (), (), {"index": i}, array, device or node.device)


def zeros_for(node):
    """Zeros for the gradient of a node, to add to; of a permuted view they lie in memory as what was permuted does, so that
    the gradient's way on is views too."""
    xp = node.device.backend.xp
    if node.op is None or node.op.name != "permute":
        return xp.zeros(node.shape, dtype=node.dtype)
    dims, shape = node.args["dims"], list(node.shape)
    for size, d in zip(node.shape, dims):
        shape[d] = size
    return xp.zeros(shape, dtype=node.dtype).transpose(dims)


class Fused(Op):
    """An op with a fast first-order backward on raw arrays, and `plain`: what to read, and what higher orders use."""

    fused = True

    @classmethod
    def read(op):
        super().read()
        op.passes = _places(op, op.backward, 4)  # what backward is given
        rest = range(len(op.inputs) + 1, len(op.places))
        op.uses = (tuple(sorted({*range(len(op.inputs)), *op.passes, *rest})),)
        op.keeps = tuple(i in op.uses[0] for i in range(len(op.places)))
        op.record = staticmethod(_recorder(op))
        op.saves = True

    @classmethod
    def kept(op, wanted):
        """All inputs (for `plain`), and the output if backward asks for it."""
        return op.keeps


def _record_of_one(op):
    """`record` of an op with one input: what is kept is always the same."""
    keep_x, keep_out, *rest = op.kept((True,))
    extra, names = rest[: len(op.extras)], op.arguments if any(rest) else ()
    all_extras = all(extra)

    def record(inputs, arrays, parents, out, extras, args, device):
        x = arrays[0] if keep_x else None
        if not all_extras:
            extras = [v if k else None for v, k in zip(extras, extra, strict=True)]
        saved = (x, out if keep_out else None, *extras, *map(args.__getitem__, names))
        versions = (noted(inputs[0]) if keep_x else None,) if keep_x or keep_out else ()
        return Node(op, tuple(parents), saved, (*versions, OWNED) if keep_out else versions, args, out, device)

    return record


def _recorder(op):
    """`record` of a fused op: every input is kept, and the output or not."""
    arguments, out_kept = op.arguments, op.keeps[len(op.inputs)]

    def record(inputs, arrays, parents, out, extras, args, device):
        values = (*extras, *[args[k] for k in arguments]) if arguments else extras
        versions = [noted(x) if isinstance(x, Tensor) else None for x in inputs]
        if out_kept:
            versions.append(OWNED)
        saved = (*arrays, out if out_kept else None, *values)
        return Node(op, tuple(parents), saved, tuple(versions), args, out, device)

    return record


def _places(op, function, skip):
    code = function.__code__
    names = code.co_varnames[skip : code.co_argcount + code.co_kwonlyargcount]
    return tuple(op.places[n] for n in names)


def _share(source, view, op, args):
    """Note that `view` looks at the memory of `source`."""
    version = source._v
    view._v = version = source.version if version is None else version
    view.view_of = (source, op, args)
    if not version.views:
        version.views = []
    elif len(version.views) % 64 == 0:
        version.views = [r for r in version.views if r() is not None]
    version.views.append(weakref.ref(view))


# -------------------------------------------------------------------------------------------------- math for rules
class _RawMath:
    """`m` in first order: m.exp(x) is Exp.forward on raw arrays of one backend."""

    def __init__(self, backend):
        self.backend = backend

    def __getattr__(self, name):
        op, b = _found(name), self.backend
        if op.extras:
            function = lambda *x, **k: op.forward(b, *x, **k)[0]  # noqa: E731
        else:
            function = lambda *x, **k: op.forward(b, *x, **k)  # noqa: E731
        setattr(self, name, function)
        return function


class _TensorMath:
    """`m` under create_graph: m.exp(x) is Exp.apply on Tensors."""

    def __getattr__(self, name):
        return _found(name).apply


def _found(name):
    """The op of a name, for `m`; an AttributeError, as for any attribute, where there is none."""
    try:
        return registry[name]
    except KeyError:
        raise AttributeError(f"there is no operation {name!r}") from None


tensor_math = _TensorMath()


def raw_math(device):
    """The `m` of a device."""
    backend = device.backend
    if not hasattr(backend, "math"):
        backend.math = _RawMath(backend)
    return backend.math
