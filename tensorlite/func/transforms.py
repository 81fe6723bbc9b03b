"""Functions that turn a function into its derivative: grad, vjp, jvp, jacrev, jacfwd, hessian, linearize.

All of it is reverse mode: f runs on fresh leaves (or, where something outside wants derivatives too, on aliases that stay in
the outer graph), and the walk goes back to them. So the transforms nest in any order, and within vmap. A jvp is two vjps:
J v is the derivative of J^T u, which is linear in u, in the direction v.
"""

import functools

from tensorlite import autograd, tree
from tensorlite.errors import ArgumentError, DTypeError, ShapeError, describe
from tensorlite.func.batched import Batched, bottom, levels, rebuild, spread
from tensorlite.func.vmap import vmap
from tensorlite.modes import inference_mode, is_inference_mode_enabled, set_grad_enabled
from tensorlite.op import registry
from tensorlite.tensor import Tensor, mode, wrap


class Run:
    """One run of a function on fresh inputs: `inputs` (the leaves), `out`, `aux`; `outer`: was recording on around it."""

    def __init__(self, name, func, args, argnums, kwargs, has_aux, outer=None):
        self.name, self.outer = name, mode.grad if outer is None else outer
        self.which, self.single = _argnums(name, argnums, len(args))
        flat, self.skeleton = tree.flatten(tuple([args[i] for i in self.which]))
        need_tensors(name, flat)
        with recording():
            self.inputs, self.nodes, self.running = [_fresh(t, self.outer) for t in flat], set(), [True]
            self.own(self.inputs)
            args = list(args)
            for i, value in zip(self.which, tree.unflatten(self.inputs, self.skeleton), strict=True):
                args[i] = value
            try:
                out = func(*args, **kwargs)
            finally:
                self.running[0] = False
        self.aux = None
        if has_aux:
            if not isinstance(out, tuple) or len(out) != 2:
                raise ArgumentError(f"{name}: with has_aux=True the function must return a pair (output, aux)")
            out, self.aux = out
        self.out = out
        self.outs, self.out_skeleton = tree.flatten(out)

    def own(self, tensors):
        """Note that these were made by this run. Their nodes say whether it still runs: if not, they are of no interest to
        the runs around it."""
        for t in tensors:
            node = bottom(t).node
            self.nodes.add(node)
            node.running = self.running

    def foreign(self, *tensors):
        """Whether a derivative with respect to something outside of this run is wanted from one of these."""
        if not self.outer:
            return False
        stack = [bottom(t).node for t in tensors if isinstance(t, Tensor)]
        stack = [n for n in stack if n is not None]
        seen = set(stack)
        while stack:
            node = stack.pop()
            if node.op is None and node not in self.nodes and getattr(node, "running", (True,))[0]:
                return True
            for p in node.parents:
                if p is not None and p not in seen:
                    seen.add(p)
                    stack.append(p)
        return False

    def released(self, value):
        """A result as it is given to the caller: cut from this run's graph, unless the outside needs that."""
        return tree.transform(lambda t: t if not isinstance(t, Tensor) or self.foreign(t) else _cut(t), value)

    def packed(self, grads):
        """One gradient for each leaf of the inputs, in the shape of argnums and of the trees."""
        found = tree.unflatten(grads, self.skeleton)
        return found[0] if self.single else found


def recording():
    """Recording on, also inside of no_grad and inference_mode: the derivative is asked for by name."""
    return inference_mode(False) if is_inference_mode_enabled() else set_grad_enabled(True)


def _cut(t):
    return t if bottom(t).node is None else t.detach()


def _fresh(t, outer):
    """t with a place in the graph of its own, for the examples of all running vmaps; connected to its old place if it has one."""

    def place(v):
        if v.batched is not None:
            return Batched(place(v.value), v.level)
        if outer and v.node is not None:
            return registry["alias"].apply(v)
        return v.detach().requires_grad_()

    return place(spread(t))


def _argnums(name, argnums, n):
    """The places of the arguments that are differentiated, and whether one was named by an int."""
    single = isinstance(argnums, int) and not isinstance(argnums, bool)
    if not single and (not isinstance(argnums, tuple) or not argnums or not all(isinstance(i, int) for i in argnums)):
        raise ArgumentError(f"{name}: argnums must be an int or a tuple of ints, not {argnums!r}")
    which = (argnums,) if single else argnums
    if any(not -n <= i < n for i in which):
        raise ArgumentError(f"{name}: argnums {argnums} for {n} positional arguments")
    which = tuple([i % n for i in which])
    if len(set(which)) < len(which):
        raise ArgumentError(f"{name}: argnums {argnums} names an argument twice")
    return which, single


def need_tensors(name, flat, what="argument"):
    for i, t in enumerate(flat):
        if not isinstance(t, Tensor):
            raise DTypeError(f"{name}: only tensors are differentiated, {what} {i} is {type(t).__name__}")
        if not t.dtype.is_floating_point:
            raise DTypeError(
                f"{name}: only floating-point tensors have derivatives, {what} {i} is {describe(t)}; use x.float()"
            )


def pull(outs, inputs, cotangents, create, keep):
    """J^T c: the gradients of `outs` for `inputs`, from the cotangents c, which may hold examples of a newer vmap."""
    roots, plain = {}, True
    for o, c in zip(outs, cotangents, strict=True):
        node = bottom(o).node
        if node is None:
            continue
        found = levels(o)
        c = _strip(spread(c, sorted({*found, *levels(c)}, key=lambda v: v.depth)), found)
        plain = plain and c.batched is None
        roots[node] = roots[node] + c if node in roots else c
    nodes = [bottom(x).node for x in inputs]
    create = create or not plain
    grads = {}
    if roots:
        if not create:
            roots = {node: c.array for node, c in roots.items()}
        on = create and mode.grad
        with recording(), set_grad_enabled(on):  # inside of inference_mode no walk could record what it needs
            grads = autograd.walk(roots, keep, create, {node: False for node in nodes})
    result = []
    for x, node in zip(inputs, nodes, strict=True):
        b, g = bottom(x), grads.get(node)
        if g is None:
            g = wrap(b.device.backend.xp.zeros(b.array.shape, dtype=b.array.dtype), b.device)
        elif not isinstance(g, Tensor):
            g = wrap(g, b.device)
        result.append(_unstrip(g, levels(x)))
    return result


def _strip(c, found):
    """c with the examples of the levels `found` as its first ordinary dimensions."""
    if c.batched is None:
        return c
    inner = _strip(c.value, found)
    if c.level in found:
        return inner
    k = sum(level in found for level in levels(c.value))
    return Batched(inner.movedim(k, 0), c.level)


def _unstrip(g, found):
    """The opposite: the first dimensions of g are the examples of the levels `found`; newer levels stay outermost."""
    newer, t = levels(g), bottom(g)
    if not newer:
        return rebuild(t, found)
    k = len(found)
    order = [*range(len(newer), len(newer) + k), *range(len(newer)), *range(len(newer) + k, t.ndim)]
    return rebuild(t.permute(*order), [*found, *newer])


def ones_like(out):
    b = bottom(out)
    return rebuild(wrap(b.device.backend.xp.ones(b.array.shape, dtype=b.array.dtype), b.device), levels(out))


def grad_and_value(func, argnums=0, has_aux=False):
    """As grad, with the value: the function returns (gradient, value), or (gradient, (value, aux)) with has_aux."""

    @functools.wraps(func)
    def derivative(*args, **kwargs):
        run = Run("grad", func, args, argnums, kwargs, has_aux)
        if not isinstance(run.out, Tensor) or run.out.ndim:
            raise ShapeError(
                f"grad: the function must return a scalar tensor, it returned {describe(run.out)}; reduce it, "
                "e.g. by .sum(), or use jacrev"
            )
        create = run.foreign(run.out)
        keep = create or run.foreign(*tree.leaves_of(run.aux))
        grads = run.packed(pull([run.out], run.inputs, [ones_like(run.out)], create, keep))
        value = run.released(run.out)
        return grads, ((value, run.released(run.aux)) if has_aux else value)

    return derivative


def grad(func, argnums=0, has_aux=False):
    """The function that computes the gradient of `func`, which returns a scalar tensor (with has_aux: (scalar, anything)).

    argnums: which positional arguments to differentiate, an int or a tuple (then a tuple of gradients comes); each may be a
    tensor or a dict, list or tuple of tensors, and the gradient comes in the same tree. No `.grad` is touched, and it does
    not matter whether the tensors require grad. Where func uses other tensors that do, the result can be differentiated
    with respect to them. Nests: grad(grad(f)), vmap(grad(f)).

    Raises:
        ShapeError: func returns no scalar. DTypeError: an argument to differentiate is no floating-point tensor.

    Example:
        >>> import tensorlite as tl
        >>> cube = lambda x: x**3
        >>> tl.func.grad(cube)(tl.tensor(2.0)), tl.func.grad(tl.func.grad(cube))(tl.tensor(2.0))
        (tensor(12.), tensor(12.))
    """
    both = grad_and_value(func, argnums, has_aux)

    @functools.wraps(func)
    def derivative(*args, **kwargs):
        grads, value = both(*args, **kwargs)
        return (grads, value[1]) if has_aux else grads

    return derivative


def vjp(func, *primals, has_aux=False):
    """(func(*primals), vjp_fn[, aux]); vjp_fn(cotangents) gives J^T c: a gradient for each primal, in its tree.

    vjp_fn may be called again and again; it takes the cotangents in the tree of the output, as one value or as positional
    arguments. For a single primal its gradient comes alone in a tuple, as in PyTorch.
    """
    run = Run("vjp", func, primals, tuple(range(len(primals))), {}, has_aux)
    need_tensors("vjp", run.outs, "output")

    def vjp_fn(*cotangents, retain_graph=True, create_graph=None):
        flat, skeleton = tree.flatten(cotangents[0] if len(cotangents) == 1 else cotangents)
        if skeleton != run.out_skeleton and tree.flatten(cotangents)[1] == run.out_skeleton:
            flat, skeleton = tree.flatten(cotangents)  # the output is a tuple of one, the value came alone
        if skeleton != run.out_skeleton:
            raise ArgumentError("vjp: the cotangents must come in the same tree as the output of the function")
        fitting("vjp", "cotangent", flat, run.outs)
        create = run.foreign(*run.outs, *flat) if create_graph is None else create_graph
        return run.packed(pull(run.outs, run.inputs, flat, create and mode.grad, True))

    out = run.released(run.out)
    return (out, vjp_fn, run.released(run.aux)) if has_aux else (out, vjp_fn)


def fitting(name, what, given, like):
    for i, (t, o) in enumerate(zip(given, like, strict=True)):
        if not isinstance(t, Tensor) or t.shape != o.shape:
            raise ShapeError(f"{name}: {what} {i} must be a tensor of shape {tuple(o.shape)}, got {describe(t)}")


class Linear:
    """The map v -> J v of one run, by differentiating u -> J^T u, which is linear."""

    def __init__(self, run):
        self.run, self.us, self.pairs = run, [], []
        with recording():
            for o in run.outs:
                b = bottom(o)
                u = wrap(b.device.backend.xp.zeros(b.array.shape, dtype=b.array.dtype), b.device).requires_grad_()
                self.us.append(rebuild(u, levels(o)))
            self.gs = pull(run.outs, run.inputs, self.us, True, True)
        run.own(self.us)

    def __call__(self, tangents):
        """J v as the list of the outputs' leaves."""
        with recording() if not self.run.outer else set_grad_enabled(mode.grad):
            create = self.run.foreign(*self.gs, *tangents) and mode.grad
            return pull(self.gs, self.us, tangents, create, True)


def jvp(func, primals, tangents, *, strict=False, has_aux=False):
    """(func(*primals), J v[, aux]) for the tangents v, a tuple of the same trees as the primals.

    Two reverse passes instead of one forward pass (the derivative of J^T u in u): the value is that of forward mode, the
    cost about that of a second derivative, and no forward rules are needed.
    """
    if not isinstance(primals, tuple) or not isinstance(tangents, tuple) or len(primals) != len(tangents):
        raise ArgumentError("jvp: primals and tangents must be tuples of the same length")
    run = Run("jvp", func, primals, tuple(range(len(primals))), {}, has_aux)
    need_tensors("jvp", run.outs, "output")
    flat, skeleton = tree.flatten(tangents)
    if skeleton != run.skeleton:
        raise ArgumentError("jvp: the tangents must come in the same trees as the primals")
    fitting("jvp", "tangent", flat, run.inputs)
    result = run.released(tree.unflatten(Linear(run)(flat), run.out_skeleton))
    out = run.released(run.out)
    return (out, result, run.released(run.aux)) if has_aux else (out, result)


def linearize(func, *primals):
    """(func(*primals), jvp_fn): jvp_fn(*tangents) gives J v without running func again."""
    run = Run("linearize", func, primals, tuple(range(len(primals))), {}, False)
    need_tensors("linearize", run.outs, "output")
    linear = Linear(run)

    def jvp_fn(*tangents):
        flat, skeleton = tree.flatten(tangents)
        if skeleton != run.skeleton:
            raise ArgumentError("linearize: the tangents must come in the same trees as the primals")
        fitting("linearize", "tangent", flat, run.inputs)
        return run.released(tree.unflatten(linear(flat), run.out_skeleton))

    return run.released(run.out), jvp_fn


def basis(like):
    """The unit vectors of the space of `like`: (numel, *shape)."""
    from tensorlite.creation import eye

    n = like.shape.numel()
    return eye(n, dtype=like.dtype, device=like.device).reshape(n, *like.shape)


def zeros(shape, like):
    """Zeros of a shape, in the dtype and on the device of `like`."""
    return wrap(like.device.backend.xp.zeros(tuple(shape), dtype=like.dtype.dtype), like.device)


def jacrev(func, argnums=0, *, has_aux=False, chunk_size=None, _preallocate_and_copy=False):
    """The function that computes the Jacobian of `func` by reverse mode: shape (*output, *input), one for each pair of an
    output leaf (outer tree) and an input leaf (inner tree). All rows are walked at once by vmap, at most chunk_size of them.
    """

    @functools.wraps(func)
    def jacobian(*args, **kwargs):
        run = Run("jacrev", func, args, argnums, kwargs, has_aux)
        need_tensors("jacrev", run.outs, "output")
        create = run.foreign(*run.outs)
        blocks = []
        for i, o in enumerate(run.outs):

            def rows(c, i=i):
                cotangents = [c if j == i else zeros(p.shape, p) for j, p in enumerate(run.outs)]
                return tuple(pull(run.outs, run.inputs, cotangents, create, True))

            blocks.append(_mapped(rows, o, run.inputs, chunk_size))
        jac = [
            run.packed([g.reshape(*o.shape, *x.shape) for g, x in zip(row, run.inputs, strict=True)])
            for o, row in zip(run.outs, blocks, strict=True)
        ]
        result = run.released(tree.unflatten(jac, run.out_skeleton))
        return (result, run.released(run.aux)) if has_aux else result

    return jacobian


def _mapped(function, like, others, chunk_size):
    """vmap over the unit vectors of `like`; empty results where it has no elements."""
    if not like.shape.numel():
        return [zeros((0, *x.shape), x) for x in others]
    return vmap(function, chunk_size=chunk_size)(basis(like))


def jacfwd(func, argnums=0, has_aux=False, *, chunk_size=None, randomness="error"):
    """The Jacobian as by jacrev, column by column: J v for every unit vector v (see jvp for how), all at once by vmap."""

    @functools.wraps(func)
    def jacobian(*args, **kwargs):
        run = Run("jacfwd", func, args, argnums, kwargs, has_aux)
        need_tensors("jacfwd", run.outs, "output")
        linear = Linear(run)
        columns = []
        for i, x in enumerate(run.inputs):

            def column(v, i=i):
                return tuple(linear([v if j == i else zeros(p.shape, p) for j, p in enumerate(run.inputs)]))

            found = _mapped(column, x, run.outs, chunk_size)
            columns.append([c.movedim(0, -1).reshape(*o.shape, *x.shape) for c, o in zip(found, run.outs, strict=True)])
        jac = [run.packed([column[k] for column in columns]) for k in range(len(run.outs))]
        result = run.released(tree.unflatten(jac, run.out_skeleton))
        return (result, run.released(run.aux)) if has_aux else result

    return jacobian


def hessian(func, argnums=0):
    """The function that computes the second derivative of a scalar function: jacrev(jacrev(func)).

    Reverse over reverse, where PyTorch has forward over reverse: our forward mode is made of reverse passes. The same values.

    Example:
        >>> import tensorlite as tl
        >>> tl.func.hessian(lambda x: (x**3).sum())(tl.tensor([1.0, 2.0]))
        tensor([[ 6.,  0.],
                [ 0., 12.]])
    """
    return jacrev(jacrev(func, argnums), argnums)


def batched_grads(outputs, inputs, cotangents, create, keep):
    """tl.autograd.grad with is_grads_batched: input node -> gradient, of the inputs that the outputs depend on."""
    outputs = (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)
    cotangents = (cotangents,) if isinstance(cotangents, Tensor) else tuple(cotangents or ())
    need_tensors("grad", cotangents, "grad_outputs")
    if len(cotangents) != len(outputs):
        raise ArgumentError(f"grad: is_grads_batched needs grad_outputs, one for each of the {len(outputs)} outputs")
    for i, (c, o) in enumerate(zip(cotangents, outputs, strict=True)):
        if c.shape[1:] != o.shape or not c.ndim:
            raise ShapeError(
                f"grad: with is_grads_batched grad_outputs {i} must have shape (n, *{tuple(o.shape)}), got {describe(c)}"
            )
    seen = autograd.reachable([o.node for o in outputs if o.node is not None])[1]
    used = [x for x in inputs if x.node in seen]
    if not used:
        return {}
    with set_grad_enabled(create):
        found = vmap(lambda *cs: tuple(pull(outputs, used, cs, create, keep)))(*cotangents)
    return {x.node: g for x, g in zip(used, found, strict=True)}
