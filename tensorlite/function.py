"""User-defined operations: subclass Function, write forward and backward on Tensors. Built-in operations are in ops/."""

import functools

from tensorlite import errors, inplace
from tensorlite.autograd import no_grad
from tensorlite.op import Op, pick
from tensorlite.tensor import Node, Tensor, mode, path, wrap


class FunctionCtx:
    """What forward hands to backward: saved tensors, attributes of the user's own, and what the methods below note.

    needs_input_grad: for each input whether its gradient is wanted; backward may return None for the others.
    """

    _node = None  # the function's place in the graph; set only while backward runs, or the two would hold each other
    _materialize = True
    _to_save = _dirty = _constants = _saved = ()

    def __init__(self, op, needs):
        self._op, self.needs_input_grad, self._results = op, needs, {}

    def save_for_backward(self, *tensors) -> None:
        """Keep inputs, results or other tensors (or None) for backward, where `saved_tensors` gives them back."""
        for i, t in enumerate(tensors):
            if t is not None and not isinstance(t, Tensor):
                raise errors.DTypeError(
                    f"{self._op.name}: save_for_backward takes tensors, argument {i} is of type {type(t).__name__}; "
                    "keep it as an attribute, e.g. ctx.n = n"
                )
        self._to_save = tensors

    @property
    def saved_tensors(self) -> tuple:
        """What save_for_backward was given. Raises InplaceError if one of them was changed in place since."""
        return tuple([None if s is None else s.tensor(self, f"saved_tensors[{i}]") for i, s in enumerate(self._saved)])

    def mark_dirty(self, *tensors) -> None:
        """Name the inputs that forward changes in place; forward must return them."""
        self._dirty = tensors

    def mark_non_differentiable(self, *tensors) -> None:
        """Name the results that have no gradient."""
        self._constants = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Whether backward gets zeros (True, as long as not called) or None for results that nothing depends on."""
        self._materialize = bool(value)

    def __getattr__(self, name):  # a result that was kept as an attribute, see Function.apply
        kept = self.__dict__.get("_results", {}).get(name)
        if kept is None:
            raise AttributeError(f"ctx of {self._op.name} has no attribute {name!r}: forward did not set it")
        return kept.tensor(self, f"ctx.{name}")


class _Saved:
    """A saved tensor: its array, and its place in the graph. A result's place is found at its return, which is no circle."""

    def __init__(self, t, result=None):
        self.array, self.device, self.version, self.count = t.array, t.device, t.version, t.version.count
        self.result, self.node = result, t.node if result is None else None

    def tensor(self, ctx, name):
        """The tensor again, on the node it had."""
        if self.version.count != self.count:
            text = errors.describe(wrap(self.array, self.device))
            raise errors.InplaceError(
                f"{ctx._op.name}: {name}, {text}, was changed in place by {self.version.by} after it was saved "
                "(the gradient would be wrong); change a clone instead, or do it before"
            )
        node = self.node
        if self.result is not None and ctx._node is not None:
            node = ctx._node
            if node.outputs is not None:
                node = pick(node, self.result, self.array, self.device)
        t = wrap(self.array, self.device, node)
        t.version = self.version
        return t


class _UserOp(Op):
    """How the walk sees a Function. `function` is the class that the user wrote."""

    special = saves = lends = True

    def shares(node, g, seen, create):
        """Call the user's backward on Tensors, and check what it returns: raw arrays, or Tensors if `create`."""
        (ctx,), op = node.saved, node.op
        given = _incoming(ctx, node, g, create)
        counts = [None if t is None else t.version.count for t in given]
        before, ctx._node = ctx._node, node
        ctx.needs_input_grad = tuple([p is not None and p in seen for p in node.parents])
        try:
            answer = op.function.backward(ctx, *given)
        finally:
            ctx._node = before
        if any(t is not None and t.version.count != c for t, c in zip(given, counts, strict=True)):
            raise errors.InplaceError(f"{op.name}: backward changed a gradient it was given in place; clone() it first")
        answer = list(answer) if isinstance(answer, (tuple, list)) else [answer]
        n = len(node.parents)
        if len(answer) < n or any(a is not None for a in answer[n:]):
            raise errors.GraphError(
                f"{op.name}: backward returned {len(answer)} gradients for {n} inputs of forward; return one for each, "
                "None where there is none"
            )
        shares = [
            _checked(op, i, *pair, ctx._kinds[i]) for i, pair in enumerate(zip(answer, node.parents, strict=False))
        ]
        if not create:
            return [None if s is None else s.array for s in shares]
        if getattr(op.function.backward, "once", False):
            parents = (*node.parents, *[None if t is None else t.node for t in given])
            return [None if s is None else _sealed(s, op, parents) for s in shares]
        return shares


def _incoming(ctx, node, g, create):
    """The gradients of all results as Tensors; zeros, or None if so wished, where nothing came."""
    if node.outputs is None:
        return (g if create else wrap(_rounded(g, node.dtype), node.device),)
    full = []
    for i, spec in enumerate(node.outputs):
        if i in g:
            full.append(g[i] if create else wrap(_rounded(g[i], spec[1]), spec[2]))
        elif spec is None or not ctx._materialize:
            full.append(None)
        else:
            full.append(wrap(spec[2].backend.xp.zeros(spec[0], dtype=spec[1]), spec[2]))
    return tuple(full)


def _rounded(g, dtype):
    """g as it came: the walk computes with bfloat16 in float32."""
    return g if g.dtype == dtype else g.astype(dtype)


def _checked(op, i, share, parent, is_tensor):
    """One gradient that the user's backward returned, or None."""
    which = f"input {i}" + (f" ({op.inputs[i]})" if i < len(op.inputs) else "")
    if share is None:
        return None
    if not is_tensor:
        raise errors.GraphError(f"{op.name}: backward returned a gradient for {which}, which is no tensor; return None")
    if not isinstance(share, Tensor):
        raise errors.DTypeError(
            f"{op.name}: backward returned {errors.describe(share)} for {which}; a Tensor is needed"
        )
    if parent is None:
        return None
    if share.device is not parent.device:
        raise errors.DeviceError(
            f"{op.name}: backward returned a gradient on {share.device} for {which}, which is on {parent.device}"
        )
    given, wanted = share.array.shape, parent.shape
    lead = len(given) - len(wanted)  # a gradient of the broadcast shape is summed back by the walk, as in PyTorch
    if lead < 0 or any(w not in (1, s) for w, s in zip(wanted, given[lead:], strict=True)):
        raise errors.ShapeError(
            f"{op.name}: backward returned a gradient of shape {tuple(given)} for {which} of shape {tuple(wanted)}"
        )
    return share


class _Once(Op):
    """Stands behind the gradients of a once_differentiable backward, so that differentiating them is refused."""

    name, special = "once_differentiable", True

    def shares(node, g, seen, create):
        raise errors.GraphError(
            f"{node.args['name']}: its backward is marked once_differentiable, a derivative of it is not known"
        )


def _sealed(share, op, parents):
    return wrap(share.array, share.device, Node(_Once, parents, (), (), {"name": op.name}, share.array, share.device))


def once_differentiable(backward):
    """Decorator for a backward that is not made of differentiable operations: a second derivative is refused in words."""

    @functools.wraps(backward)
    def inner(*args):
        with no_grad():
            return backward(*args)

    inner.once = True
    return inner


class Function:
    """An operation of your own, with its derivative. Call it by `MyFunction.apply(...)`.

    forward(ctx, *inputs) computes, with recording off, and returns a tensor or a tuple; backward(ctx, *grads) gets the
    gradient of each result and returns one for each input (None where there is none). Or forward(*inputs) with a separate
    setup_context(ctx, inputs, output). With create_graph, backward is recorded like any other code, which gives the
    derivatives of higher order. A result that shares memory with an input is copied, unless it was marked dirty.

    Raises (naming the Function):
        GraphError, ShapeError, DTypeError, DeviceError: backward returns the wrong number or kind of gradients.
        InplaceError: forward changed an input in place without ctx.mark_dirty, or a saved tensor was changed later.

    Example:
        >>> import tensorlite as tl
        >>> class Cube(tl.autograd.Function):
        ...     @staticmethod
        ...     def forward(ctx, x):
        ...         ctx.save_for_backward(x)
        ...         return x**3
        ...     @staticmethod
        ...     def backward(ctx, g):
        ...         (x,) = ctx.saved_tensors
        ...         return g * 3 * x**2
        >>> x = tl.tensor(2.0, requires_grad=True)
        >>> Cube.apply(x).backward()
        >>> x.grad
        tensor(12.)
    """

    def __init__(self, *_, **__):
        raise errors.ArgumentError(f"{type(self).__name__}: a Function has no instances; call its apply(...)")

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        cls._op = type(cls.__name__, (_UserOp,), {"name": cls.__name__, "function": cls, "__doc__": cls.__doc__})
        cls._op.formula = f"{cls.__name__}.forward"
        cls._apart = cls.setup_context is not Function.setup_context
        code = getattr(cls.forward, "__code__", None)
        cls._op.inputs = code.co_varnames[0 if cls._apart else 1 : code.co_argcount] if code else ()

    @staticmethod
    def forward(*args):
        """The computation: forward(ctx, *inputs), or forward(*inputs) beside a setup_context."""
        raise NotImplementedError("a Function needs a static method forward")

    @staticmethod
    def setup_context(ctx, inputs, output):
        """What to keep for backward, where forward takes no ctx."""
        raise NotImplementedError("setup_context")

    @staticmethod
    def backward(ctx, *grads):
        """From the gradients of the results to those of the inputs."""
        raise NotImplementedError("a Function that is differentiated needs a static method backward")

    @classmethod
    def apply(cls, *args, **kwargs):
        """Run forward, and record the function where a gradient is wanted. Keyword arguments are put in their places."""
        args, op = cls._bound(args, kwargs) if kwargs or cls._apart else args, cls._op
        if mode.vmap is not None and (out := mode.vmap.each(cls.apply, args)) is not None:
            return out
        parents = tuple([a.node if isinstance(a, Tensor) else None for a in args])
        counts = [a.version.count if isinstance(a, Tensor) else None for a in args]
        ctx = FunctionCtx(op, tuple([p is not None for p in parents]))
        with no_grad():
            out = cls.forward(*args) if cls._apart else cls.forward(ctx, *args)
            if cls._apart:
                cls.setup_context(ctx, args, out)
        if not isinstance(out, (Tensor, tuple)):
            raise errors.DTypeError(f"{op.name}: forward must return a Tensor or a tuple, not {type(out).__name__}")
        outputs = out if isinstance(out, tuple) else (out,)
        cls._check_changes(ctx, args, parents, counts, outputs)
        results = _results(args, outputs, ctx._dirty)
        constant = [not isinstance(r, Tensor) or not r.dtype.is_floating_point or _among(o, ctx._constants)
                    for r, o in zip(results, outputs, strict=True)]  # fmt: skip
        recorded = mode.grad and any(p is not None for p in parents) and not all(constant)
        if recorded:
            cls._record(ctx, args, parents, out, results, constant)
        else:
            for t in ctx._dirty:
                inplace.commit(t, None, op.name)
        if recorded:
            cls._keep(ctx, args, outputs, results)
        if mode.watcher is not None:
            for r in results:
                if isinstance(r, Tensor):
                    mode.watcher.forward(op, args, r)
        return tuple(results) if isinstance(out, tuple) else results[0]

    @classmethod
    def _bound(cls, args, kwargs):
        from inspect import signature  # slow to import, and seldom needed

        bound = signature(functools.partial(cls.forward, *(() if cls._apart else (None,)))).bind(*args, **kwargs)
        bound.apply_defaults()
        if bound.kwargs:
            raise errors.ArgumentError(f"{cls.__name__}: forward cannot have keyword-only arguments, {bound.kwargs}")
        return bound.args

    @classmethod
    def _check_changes(cls, ctx, args, parents, counts, outputs):
        """Refuse changes in place that were not announced, and announcements that cannot be met."""
        for t in ctx._dirty:
            if not _among(t, args) or not _among(t, outputs):
                raise errors.ArgumentError(f"{cls.__name__}: mark_dirty takes inputs, and forward must return them")
            inplace.check(t, cls.__name__)
        for i, (a, p, count) in enumerate(zip(args, parents, counts, strict=True)):
            if p is not None and a.version.count != count and not _among(a, ctx._dirty):
                fault = (
                    f"forward changed input {i} in place; call ctx.mark_dirty on it and return it, or clone() it first"
                )
                raise errors.InplaceError(errors.compose(cls.__name__, fault, errors.describe(a), path()))

    @classmethod
    def _record(cls, ctx, args, parents, out, results, constant):
        """Put the results on the function's node; several ones each on a `pick` of it."""
        first = next(r for r, c in zip(results, constant, strict=True) if not c)
        node = Node(cls._op, parents, (ctx,), (), {}, first.array, first.device)
        node.outputs = None
        if isinstance(out, tuple):
            node.outputs = tuple(
                [(r.array.shape, r.array.dtype, r.device) if isinstance(r, Tensor) else None for r in results]
            )
        for i, (r, c) in enumerate(zip(results, constant, strict=True)):
            place = None
            if not c:
                place = pick(node, i, r.array, r.device) if isinstance(out, tuple) else node
            if _among(r, ctx._dirty):
                inplace.commit(r, place, cls.__name__)
            elif place is not None:
                r.node = place

    @classmethod
    def _keep(cls, ctx, args, outputs, results):
        """Save what ctx was given, now that everything stands in its place."""

        def slot(t):
            if t is None:
                return None
            if not _among(t, args) or _among(t, ctx._dirty):
                for i, o in enumerate(outputs):
                    if o is t:
                        return _Saved(results[i], i)
            return _Saved(t)

        ctx._kinds = [isinstance(a, Tensor) for a in args]
        ctx._saved = tuple([slot(t) for t in ctx._to_save])
        for name, value in list(vars(ctx).items()):  # a result as an attribute would hold its node, and that the ctx
            if isinstance(value, Tensor) and (kept := slot(value)).result is not None:
                ctx._results[name] = kept
                delattr(ctx, name)
        ctx._to_save = ctx._dirty = ctx._constants = ()


def _among(t, tensors):
    return any(t is other for other in tensors)


def _results(args, outputs, dirty):
    """New Tensors for what forward returned, each with memory of its own; dirty inputs are returned themselves."""
    results, owned = [], [a for a in args if isinstance(a, Tensor)]
    for o in outputs:
        if not isinstance(o, Tensor) or _among(o, dirty):
            results.append(o)
            continue
        b = o.device.backend
        shared = any(o.version is a.version or (o.device is a.device and _alias(b, o.array, a.array)) for a in owned)
        r = wrap(b.as_array(o.array).copy() if shared else o.array, o.device)
        if not shared:
            r.version = o.version
        owned.append(o)
        results.append(r)
    return results


def _alias(b, out, source):
    return b.is_view(b.as_array(out), b.as_array(source))
