"""The walk back through the graph: backward and grad. The switches that stop recording are in modes.py.

`walk` visits the nodes, newest first, and hands each its complete gradient g; the op's rules turn g into the parents'
shares. In first order rules and gradients are raw arrays; under create_graph the same rules run on Tensors and record
themselves, so derivatives of every order come from one expression.
"""

from operator import attrgetter

from tensorlite import errors, holders, hooks
from tensorlite.backend import dtypes
from tensorlite.backend.dtypes import FLOAT32, NUMBER
from tensorlite.modes import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from tensorlite.op import Pick, check_versions, pick, raw_math, registry, tensor_math, zeros_for
from tensorlite.tensor import OWNED, Node, Tensor, Version, changes, mode, wrap

# what PyTorch's autograd namespace has too
__all__ = ["backward", "enable_grad", "grad", "inference_mode", "is_grad_enabled", "is_inference_mode_enabled", "no_grad",
           "set_grad_enabled"]  # fmt: skip


def reachable(roots, targets=None):
    """The nodes that the gradient passes, newest first; with targets, only those on a way to one of them."""
    seen, stack = set(roots), list(roots)
    while stack:
        node = stack.pop()
        if targets is not None and node in targets and targets[node]:
            continue
        for p in (node.first, node.second) if node.several is None else node.several:
            if p is not None and p not in seen:
                seen.add(p)
                stack.append(p)
    order = sorted(seen, key=attrgetter("seq"))
    if targets is not None:
        useful = set()
        for node in order:
            if node in targets or any(p in useful for p in node.parents):
                useful.add(node)
        order = [n for n in order if n in useful]
        seen = useful
    order.reverse()
    return order, seen


def walk(roots, keep, create, targets=None):
    """Send gradients back from `roots` (node -> gradient: raw arrays, or Tensors if `create`).

    targets: nodes whose gradients are wanted (value True: go no further back from there); None: all leaves, into .grad.
    Returns node -> gradient for the targets. keep: do not free what the nodes saved.
    """
    order, seen = reachable(list(roots), targets)
    grads, lent, found = dict(roots), set(roots), {}  # lent: nodes whose gradient array somebody else holds too
    opened = []  # nodes whose saved values were unpacked, and are to be dropped again
    device, m, watcher, partial, widen = None, tensor_math, mode.watcher, targets is not None, dtypes.BF16 is not None
    if watcher is not None:
        watcher.start(roots)
    take, sum_of, changed = grads.pop, grads.get, changes.last
    for node in order:
        g = take(node, None)
        if g is None:
            continue
        op = node.op
        if node.device is not device and not create:
            device = node.device
            m = raw_math(device)
        watched = node.watched
        if watched:
            g, changed = _show(node, g, create, lent), changes.last  # what a user runs may change something
        if partial and node in targets:
            found[node] = g if create else _own(node, g, lent)
            if targets[node]:
                continue
        if op is None:
            if not partial:
                _write_leaf(node, g, create, lent)
                changed = changes.last
            continue
        saved = node.saved
        if saved is None:
            saved, changed = _unpack(node, keep, opened), changes.last
        if node.seq < changed:
            check_versions(node)
        if widen and op.add_into is None and not create:
            g = dtypes.widen(g)  # _fit rounds the shares
        special, lends, saves, plan = op.way
        if special or create or watched:
            shares, changed = _shares(node, m, g, seen, grads, lent, create), changes.last
        else:
            shares = None
        i, several = -1, node.several
        for parent in (node.first, node.second) if several is None else several:
            i += 1
            if parent is None or (partial and parent not in seen):
                continue
            if shares is not None:
                share = shares[i]
                if share is None:
                    continue
            else:
                rule, only, places = plan[i]
                if only is not None:
                    share = rule(m, g, saved[only])
                elif places:
                    share = rule(m, g, *[saved[place] for place in places])
                else:
                    share = rule(m, g)
            if type(share) is not NUMBER or parent.dtype is not FLOAT32 or parent.shape:
                if share.shape != parent.shape or share.dtype is not parent.dtype:
                    share = _fit(share, parent, create)
            if watcher is not None:
                watcher.backward(node, i, share, g)
            total = sum_of(parent)
            if total is None:
                grads[parent] = share
                if lends:
                    lent.add(parent)
            elif create or parent in lent:
                grads[parent] = total + share
                lent.discard(parent)
            else:
                total += share
                grads[parent] = total  # in NumPy a 0-d total is a number, and this a new one
        if not keep and saves:
            node.saved = None
    for node in opened:
        node.packed.close(node)
    if watcher is not None:
        watcher.end()
    return found


def _unpack(node, keep, opened):
    """What a node saved, where saved_tensors_hooks (or a checkpoint) keep it; see saved.py."""
    packed = node.packed
    if packed is None:
        raise _freed(node)
    packed.open(node)
    if keep:
        opened.append(node)
    else:
        node.packed = None
    return node.saved


def _shares(node, m, g, seen, grads, lent, create):
    """The shares of an op that is no plain set of rules, or of any op under create_graph; None: nothing (more) to add."""
    op = node.op
    if node.posthooks:
        return _posted(node, m, g, seen, grads, lent, create)
    if op is Pick:  # its parent gathers the gradients of all its results
        several, i = grads.setdefault(node.parents[0], {}), node.args["index"]
        several[i] = several[i] + g if i in several else g  # a saved result stands on a second pick
        return (None,)
    if op.shares is not None:
        return op.shares(node, g, seen, create)
    if op.outputs != 1:
        g = _fill(node, g, create)
    if create:
        return _higher(node, g, seen)
    if op.fused:
        return _joint(node, g, seen, grads)
    if op.variadic:
        return [
            None if p is None or p not in seen else op.rule(m, g, i, *node.saved) for i, p in enumerate(node.parents)
        ]
    if op.add_into is None:
        return [None if p is None or p not in seen else op.rules[i](m, g, *[node.saved[k] for k in op.uses[i]])
                for i, p in enumerate(node.parents)]  # fmt: skip
    parent = node.parents[0]
    if parent not in grads:
        grads[parent] = zeros_for(parent)
    elif parent in lent or not parent.shape:  # in NumPy a 0-d gradient may be a number
        lent.discard(parent)
        grads[parent] = node.device.backend.as_array(grads[parent].copy())
    op.add_into(node.device.backend, grads[parent], g, **node.args)
    if mode.watcher is not None:
        mode.watcher.backward(node, 0, grads[parent], g)
    return (None,)


def _joint(node, g, seen, grads):
    """All shares of a fused op at once, from its raw backward. `into`: arrays to write the first gradients of leaves to."""
    op, parents, values = node.op, node.parents, node.saved
    needs = [p is not None and p in seen for p in parents]
    into = [None if p is None or p in grads else holders.buffer(p) for p in parents]
    saved = [values[i] for i in op.passes]
    if dtypes.BF16 is not None:
        saved = [dtypes.widen(v) for v in saved]
    shares = op.backward(node.device.backend, g, needs, into, *saved)
    return shares if isinstance(shares, (tuple, list)) else (shares,)


def _higher(node, g, seen):
    """The shares as Tensors that are recorded themselves: saved arrays are put back on the nodes they came from."""
    op, n = node.op, len(node.parents)

    def put(value, owner, place):
        t = wrap(value, node.device, owner)
        if place < len(node.versions) and (version := node.versions[place]) is not None:
            if version is OWNED:
                source = node.parents[place] if place < n else node
                version = source.version = source.version or Version()
            t.version = version  # a later change in place is noticed in the recorded derivative too
        return t

    def tensor(place, value):
        if place == n and op.outputs != 1:
            return tuple([put(v, pick(node, i, v), n + i) for i, v in enumerate(value)])
        if place > n + len(op.extras) or not hasattr(value, "dtype"):  # an argument, a number or None
            return value
        return wrap(value, node.device) if place > n else put(value, node.parents[place] if place < n else node, place)

    if op.variadic:
        return [
            None if p is None or p not in seen else op.rule(tensor_math, g, i, *node.saved)
            for i, p in enumerate(node.parents)
        ]
    if not op.fused:
        shares = []
        for i, p in enumerate(node.parents):
            if p is None or p not in seen:
                shares.append(None)
            else:
                values = [tensor(place, node.saved[place]) for place in op.uses[i]]
                shares.append(op.rules[i](tensor_math, g, *values))
        return shares
    values = node.saved
    inputs = []
    for i in range(n):  # an alias of each input, so that the walk through `plain` ends there
        x = values[i]
        if node.parents[i] is None:
            inputs.append(tensor(i, x))
        else:
            alias = Node(registry["alias"], (node.parents[i],), (None, None), (), {}, x, node.device)
            inputs.append(put(x, alias, i))
    args = {k: values[op.places[k]] for k in op.arguments}
    with inference_mode(False):  # recording, whatever the mode is
        out = op.plain(*inputs, **args)
    wanted = {x.node: True for x, p in zip(inputs, node.parents, strict=True) if p is not None and p in seen}
    pairs = zip(out, g, strict=True) if op.outputs != 1 else ((out, g),)
    found = walk({o.node: v for o, v in pairs if o.node is not None}, True, True, wanted)
    # the aliases have done their work: each share belongs to the parent itself
    return [found.get(x.node) if isinstance(x, Tensor) and x.node is not None else None for x in inputs]


def _fit(share, parent, create):
    """Bring a share to the shape and dtype of what it is the gradient of: the one place that undoes broadcasting."""
    if share.shape != parent.shape:
        m = tensor_math if create else raw_math(parent.device)
        share = m.sum_to(share, shape=parent.shape)
    if share.dtype != parent.dtype:
        share = tensor_math.cast(share, dtype=dtypes.as_dtype(parent.dtype)) if create else share.astype(parent.dtype)
    return share


def _fill(node, g, create):
    """The gradients of all results of an op with several: zeros where nothing came."""
    for i, (shape, dtype) in enumerate(node.outputs):
        if i not in g:
            zeros = node.device.backend.xp.zeros(shape, dtype=dtype)
            g[i] = wrap(zeros, node.device) if create else zeros
    return tuple([g[i] for i in range(len(node.outputs))])


def _own(node, g, lent):
    """g as an array that nobody else holds."""
    return g.copy() if node in lent or node.buffer is not None else node.device.backend.as_array(g)


def _show(node, g, create, lent):
    """Let hooks see, and perhaps replace, a complete gradient; keep it where retain_grad was called."""
    shown = hooks.before(node, g if create else wrap(_own(node, g, lent), node.device))
    if node.retains and node.op is not None:
        node.grad = shown if node.grad is None else wrap(node.grad.array + shown.array, node.device)
    lent.add(node)
    return shown if create else shown.array


def _posted(node, m, g, seen, grads, lent, create):
    """The shares of a node, shown to its hooks (`grad_fn.register_hook`), which may replace them."""
    posthooks, node.posthooks = node.posthooks, None
    try:
        if node.op.add_into is not None and not create:
            shares = [node.op.rules[0](m, g, *[node.saved[k] for k in node.op.uses[0]])]
        else:
            shares = _shares(node, m, g, seen, grads, lent, create)
    finally:
        node.posthooks = posthooks
    shares = [None if s is None else _fit(s, p, create) for s, p in zip(shares, node.parents)]
    if create:
        return hooks.after(node, tuple(shares), g)
    shown = [None if s is None else wrap(_own(p, s, (p,)), p.device) for s, p in zip(shares, node.parents)]
    return [None if s is None else s.array for s in hooks.after(node, tuple(shown), wrap(g, node.device))]


def _write_leaf(node, g, create, lent):
    """Add a gradient to a leaf's `.grad`."""
    old = node.grad
    if create:
        node.grad = g if old is None else registry["add"].apply(old, g)
    elif old is not None:
        old.array = old.device.backend.as_array(old.array)
        old.array += g
        old.version.bump("backward")
    else:
        if g is not node.buffer:  # else a fused op has written into it
            if (place := holders.buffer(node)) is not None:
                place[...] = g
            g = _own(node, g, lent) if place is None else place
        node.grad = wrap(g, node.device)
    for hook in list((node.after or {}).values()):
        hook()


def _freed(node):
    return errors.GraphError(
        f"backward: this graph was walked before, and {node.op.name} has freed what it saved; "
        "call backward(retain_graph=True) the first time, or compute the result again"
    )


def _root(tensor, gradient, create):
    """The gradient to start from: 1 for a scalar, else what the caller gives."""
    if tensor.node is None:
        raise errors.GraphError(
            "backward: this tensor has no graph: nothing it was computed from has requires_grad=True, "
            "or it was computed under no_grad() or detached"
        )
    if gradient is None:
        if tensor.array.size != 1:
            raise errors.GraphError(
                f"backward: the start must be a scalar, this tensor has shape {tuple(tensor.array.shape)}; "
                "reduce it first, e.g. loss.mean(), or give gradient="
            )
        one = tensor.device.backend.xp.ones(tensor.array.shape, dtype=tensor.array.dtype)
        return wrap(one, tensor.device) if create else one
    if not isinstance(gradient, Tensor) or gradient.array.shape != tensor.array.shape:
        raise errors.ShapeError(
            f"backward: gradient must be a tensor of shape {tuple(tensor.array.shape)}, got {errors.describe(gradient)}"
        )
    if gradient.device is not tensor.device:
        raise errors.DeviceError(f"backward: gradient is on {gradient.device}, the tensor on {tensor.device}")
    if gradient.array.dtype != tensor.array.dtype:
        gradient = registry["cast"].apply(gradient, dtype=tensor.dtype)
    return gradient if create else gradient.array


def _roots(tensors, gradients, create):
    tensors = (tensors,) if isinstance(tensors, Tensor) else tuple(tensors)
    gradients = tuple(gradients) if isinstance(gradients, (tuple, list)) else (gradients,)
    if gradients == (None,):
        gradients *= len(tensors)
    if len(gradients) != len(tensors):
        raise errors.ArgumentError(f"backward: {len(tensors)} tensors but {len(gradients)} gradients")
    roots = {}
    for t, given in zip(tensors, gradients, strict=True):
        g = _root(t, given, create)
        roots[t.node] = roots[t.node] + g if t.node in roots else g
    return roots


def backward(tensors, grad_tensors=None, retain_graph=None, create_graph=False, inputs=None) -> None:
    """Add the gradients of `tensors` to `.grad` of the leaves they were computed from (or only of `inputs`).

    grad_tensors: d(final)/d(tensor) for each, of the same shape; may be left out for scalars.
    retain_graph: keep the graph for another walk (default: create_graph). create_graph: record the walk itself; `.grad`
    then hangs on a graph that leads back to its leaf, a circle that is freed sooner when `.grad` is set to None.

    Raises:
        GraphError: no graph, graph freed by an earlier walk, non-scalar without gradient.
        InplaceError: a saved value was changed in place.
    """
    keep = create_graph if retain_graph is None else retain_graph
    roots = _roots(tensors, grad_tensors, create_graph)
    with set_grad_enabled(create_graph):
        if inputs is None:
            walk(roots, keep, create_graph)
            return
        inputs = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
        if not inputs:
            raise errors.ArgumentError("backward: inputs is empty; name at least one tensor, or leave it out")
        targets = {_target(x): False for x in inputs}
        for node, g in walk(roots, keep, create_graph, targets).items():
            _write_leaf(node, g, create_graph, ())


def grad(outputs, inputs, grad_outputs=None, retain_graph=None, create_graph=False, allow_unused=None,
         is_grads_batched=False, materialize_grads=False):  # fmt: skip
    """The gradients of `outputs` for `inputs`, as a tuple; no `.grad` is changed.

    allow_unused: None for an input that the outputs do not depend on, instead of an error; materialize_grads: zeros.
    is_grads_batched: grad_outputs have one more dimension in front, over which the walk is mapped (see tl.func.vmap).

    Raises GraphError for an input the outputs do not depend on, and for a graph that is not there or was freed;
    ArgumentError where there are no inputs, and for materialize_grads together with allow_unused=False.

    Example:
        >>> import tensorlite as tl
        >>> x = tl.tensor(3.0, requires_grad=True)
        >>> (g,) = tl.autograd.grad(x ** 3, x, create_graph=True)
        >>> tl.autograd.grad(g, x)
        (tensor(18.),)
    """
    if materialize_grads and allow_unused is False:
        raise errors.ArgumentError("grad: materialize_grads=True gives zeros for unused inputs; leave allow_unused out")
    inputs = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    if not inputs:
        raise errors.ArgumentError("grad: inputs is empty: there is nothing to differentiate for")
    keep = create_graph if retain_graph is None else retain_graph
    targets = {_target(x): False for x in inputs}
    if is_grads_batched:
        from tensorlite import autograd  # this module, to which the front door adds the names of upper rooms

        found = autograd._batched_grads(outputs, inputs, grad_outputs, create_graph, keep)
    else:
        with set_grad_enabled(create_graph):
            found = walk(_roots(outputs, grad_outputs, create_graph), keep, create_graph, targets)
    result = []
    for i, x in enumerate(inputs):
        g = found.get(x.node)
        if g is None and materialize_grads:
            n = grad_outputs if isinstance(grad_outputs, Tensor) or not is_grads_batched else grad_outputs[0]
            shape = (n.shape[0], *x.array.shape) if is_grads_batched else x.array.shape
            g = x.device.backend.xp.zeros(shape, dtype=x.array.dtype)
        elif g is None and not allow_unused:
            fault = f"grad: the outputs do not depend on input {i}, {errors.describe(x)}; allow_unused=True gives None for it"
            raise errors.GraphError(fault)
        result.append(g if g is None or isinstance(g, Tensor) else wrap(g, x.device))
    return tuple(result)


def _target(x):
    if not isinstance(x, Tensor) or x.node is None:
        raise errors.GraphError(
            "grad: one of the inputs does not require grad; call x.requires_grad_() before computing"
        )
    return x.node
