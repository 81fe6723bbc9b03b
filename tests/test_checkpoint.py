"""Recomputing instead of keeping (tl.utils.checkpoint), hooks on what the graph saves and on its nodes, copies of tensors."""

import copy
import pickle

import numpy as np
import pytest
from numeric import host

import tensorlite as tl
from tensorlite import nn
from tensorlite.autograd import grad
from tensorlite.errors import ArgumentError, GraphError, InplaceError, ShapeError
from tensorlite.saved import disable_saved_tensors_hooks, increment_version, save_on_cpu, saved_tensors_hooks
from tensorlite.utils.checkpoint import checkpoint, checkpoint_sequential


def network(layers=3):
    tl.manual_seed(7)

    def block():
        return nn.Sequential(nn.Linear(6, 6), nn.Dropout(0.4), nn.GELU(), nn.LayerNorm(6))

    return nn.Sequential(*[block() for _ in range(layers)]).double()


def start():
    tl.manual_seed(8)
    return tl.randn(4, 6, dtype=tl.float64).requires_grad_()


WAYS = {
    "whole": lambda net, x: checkpoint(net, x, use_reentrant=False),
    "reentrant": lambda net, x: checkpoint(net, x, use_reentrant=True),
    "each": lambda net, x: checkpoint(net[2], checkpoint(net[1], checkpoint(net[0], x))),
    "sequential": lambda net, x: checkpoint_sequential(net, 2, x),
    "sequential of a list": lambda net, x: checkpoint_sequential(list(net), 3, x, use_reentrant=False),
    "nested": lambda net, x: checkpoint(lambda x: checkpoint(net[1:], checkpoint(net[0], x)), x),
    "twice nested": lambda net, x: checkpoint(
        lambda x: checkpoint(lambda y: checkpoint(net[2:], y), checkpoint(net[:2], x)), x),
    "keywords and trees": lambda net, x: checkpoint(
        lambda d, *, more: {"y": net(d["x"]) * more[0]}, {"x": x}, more=(tl.tensor(1.0, dtype=tl.float64),))["y"],
    "a mixture": lambda net, x: net[2](checkpoint(net[1], net[0](x) * 1.0)),
}  # fmt: skip


def outcome(f, net, x):
    """Loss, all gradients, and the next random number."""
    net.zero_grad()
    x.grad = None
    tl.manual_seed(3)
    loss = (f(net, x) ** 2).sum()
    loss.backward()
    return [host(loss), *[host(t.grad) for t in (x, *net.parameters())], host(tl.rand(2))]


@pytest.mark.parametrize("way", WAYS)
def test_same_numbers(way, device):
    """Value, gradients, dropout and the random numbers afterwards are bit for bit those without checkpoint."""
    net, x = network(), start()
    for p, q in zip(outcome(lambda net, x: net(x), net, x), outcome(WAYS[way], net, x), strict=True):
        np.testing.assert_array_equal(p, q)


@pytest.mark.parametrize("way", WAYS)
def test_higher_orders(way, device):
    net, x = network(), start()

    def second(f):
        tl.manual_seed(3)
        (g,) = grad((f(net, x) ** 2).sum(), x, create_graph=True)
        return grad((g**2).sum(), (x, net[0][0].weight))

    for p, q in zip(second(lambda net, x: net(x)), second(WAYS[way]), strict=True):
        np.testing.assert_allclose(host(p), host(q), rtol=1e-12)


def test_walked_again():
    net, x = network().eval(), start()
    want = host(grad(net(x).sum(), x)[0])
    y = checkpoint(net, x).sum()
    for _ in range(2):
        np.testing.assert_array_equal(host(grad(y, x, retain_graph=True)[0]), want)
    np.testing.assert_array_equal(host(grad(y, x)[0]), want)
    with pytest.raises(GraphError, match="this graph was walked before"):
        y.backward()


def saved_bytes(root):
    """What the arrays take that the nodes behind `root` keep for backward, each memory once."""
    seen, stack, arrays = set(), [root.grad_fn], {}
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        stack += [p for p in node.parents if p is not None]
        found = list(node.saved or ())
        while found:
            v = found.pop()
            if isinstance(v, (tuple, list)):
                found += v
            elif isinstance(v, np.ndarray):
                arrays[id(v)] = v
    return sum(a.nbytes for a in arrays.values())


def test_memory_is_freed():
    net = nn.Sequential(*[nn.Sequential(nn.Linear(32, 32), nn.Tanh()) for _ in range(12)])
    x = tl.randn(256, 32)
    plain, whole, parts = (
        saved_bytes(f(x).sum()) for f in (net, lambda x: checkpoint(net, x), lambda x: checkpoint_sequential(net, 4, x))
    )
    assert whole == 0 and 0 < parts < plain / 3


def test_runs_are_counted():
    calls = []

    def f(x):
        calls.append(tl.is_grad_enabled())
        return (x * x).sin() * x

    x = tl.ones(3, requires_grad=True)
    y = checkpoint(f, x)
    assert calls == [True]
    y.sum().backward()
    assert calls == [True, True]
    with tl.no_grad():
        assert not checkpoint(f, x).requires_grad
    assert calls == [True, True, False]
    checkpoint(f, tl.ones(3))  # nothing wants a gradient
    assert len(calls) == 4
    checkpoint(lambda x: x + 1, x).sum().backward()  # nothing was saved
    assert x.grad is not None


def test_parameters_from_outside_and_integers():
    """As use_reentrant=False: no argument needs to require grad."""
    table, ids = nn.Embedding(5, 3), tl.tensor([1, 1, 4])
    checkpoint(lambda i: table(i).sin(), ids).sum().backward()
    want = table.weight.grad.clone()
    table.weight.grad = None
    table(ids).sin().sum().backward()
    np.testing.assert_array_equal(host(want), host(table.weight.grad))


def test_random_state_is_kept_or_not():
    x = tl.ones(100, requires_grad=True)

    def f(x):
        return nn.functional.dropout(x, 0.5).sin()

    y = checkpoint(f, x)
    tl.rand(5)
    y.sum().backward()
    alive = host(y) != 0
    assert ((host(x.grad) != 0) == alive).all()
    x.grad = None
    y = checkpoint(f, x, preserve_rng_state=False)
    y.sum().backward()
    assert ((host(x.grad) != 0) != (host(y) != 0)).any()


def test_what_is_refused():
    x = tl.ones(3, requires_grad=True)
    flag = [True]
    y = checkpoint(lambda x: (x * x).sin() if flag[0] else x * x, x)
    flag[0] = False
    with pytest.raises(
        GraphError, match=r"checkpoint of <lambda>: running it again did not do the same: the first run saved"
    ):
        y.sum().backward()
    size = [2]
    y = checkpoint(lambda x: x.expand(size[0], 3) * x.expand(size[0], 3), x)
    size[0] = 1
    with pytest.raises(GraphError, match=r"tensor 0 was float32 \(2, 3\) and is now float32 \(1, 3\)"):
        y.sum().backward()
    z = x * 1
    y = checkpoint(lambda z: z.sin(), z)
    with tl.no_grad():
        z.add_(1)
    with pytest.raises(InplaceError, match="changed in place by add_"):
        y.sum().backward()
    with pytest.raises(ArgumentError, match="segments must be 1 to the number of functions, 2, got 3"):
        checkpoint_sequential([tl.sin, tl.cos], 3, x)
    with pytest.raises(ArgumentError, match="a function or module is needed, not Tensor"):
        checkpoint(x)
    with pytest.raises(ArgumentError, match="determinism_check must be"):
        checkpoint(tl.sin, x, determinism_check="some")
    with disable_saved_tensors_hooks("not here"), pytest.raises(GraphError, match="not here"):
        checkpoint(tl.sin, x)


def test_contexts():
    log = []

    class Note:
        def __init__(self, name):
            self.name = name

        def __enter__(self):
            log.append(self.name)

        def __exit__(self, *_):
            log.append("end")

    x = tl.ones(3, requires_grad=True)
    checkpoint(lambda x: x * x, x, context_fn=lambda: (Note("first"), Note("again"))).sum().backward()
    assert log == ["first", "end", "again", "end"]


def test_inside_of_transforms():
    x = tl.tensor(np.linspace(-1, 1, 6).reshape(2, 3))

    def f(v):
        return (v.sin() * v.sum()).prod()

    def g(v):
        return checkpoint(f, v)

    for make in (tl.func.grad, tl.func.hessian, lambda f: tl.func.vmap(tl.func.grad(f))):
        value = x if make not in (tl.func.grad, tl.func.hessian) else x[0]
        np.testing.assert_allclose(host(make(g)(value)), host(make(f)(value)), rtol=1e-12)


class Cube(tl.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * 3 * x**2


def test_user_functions():
    x = tl.ones(3, requires_grad=True)
    y = checkpoint(lambda x: Cube.apply(x * 2), x)
    for _ in range(2):
        np.testing.assert_allclose(host(grad(y.sum(), x, retain_graph=True)[0]), [24] * 3)


# ---------------------------------------------------------------- saved_tensors_hooks
def test_saved_tensors_hooks(device):
    net, x, log = network().eval(), start(), []
    want = host(grad(net(x).sum(), x)[0])

    def pack(t):
        assert not t.requires_grad
        log.append(tuple(t.shape))
        return host(t).copy()

    with saved_tensors_hooks(pack, lambda kept: tl.tensor(kept)):
        y = net(x).sum()
    n = len(log)
    assert n > 5
    np.testing.assert_allclose(host(grad(y, x, retain_graph=True)[0]), want)
    np.testing.assert_allclose(host(grad(y, x)[0]), want)
    assert len(log) == n
    with pytest.raises(GraphError, match="walked before"):
        grad(y, x)
    net(x)
    assert len(log) == n  # only inside


def test_the_innermost_hooks_count():
    x, log = tl.ones(2, requires_grad=True), []
    outer = saved_tensors_hooks(lambda t: log.append("outer") or t, lambda t: t)
    with outer:
        x * x
        with saved_tensors_hooks(lambda t: log.append("inner") or t, lambda t: t), tl.autograd.detect_anomaly():
            y = x.sin()
            assert tl.is_anomaly_enabled()
        with outer:
            x.exp()
        x * x
    x * x
    assert log == ["outer", "outer", "inner", "outer", "outer", "outer"]
    y.sum().backward()


def test_anomalies_are_found_under_hooks():
    x = tl.tensor([-1.0], requires_grad=True)
    for contexts in ((tl.autograd.detect_anomaly, save_on_cpu), (save_on_cpu, tl.autograd.detect_anomaly)):
        with contexts[0](), contexts[1](), pytest.raises(tl.errors.AnomalyError, match="sqrt: made the first nan"):
            x.sqrt()
        with contexts[0](), contexts[1]():
            (x * x).backward()


def test_what_unpack_returns_is_checked():
    x = tl.ones(2, requires_grad=True)
    with saved_tensors_hooks(lambda t: t, lambda t: t[:1]):
        y = (x * x).sum()
    with pytest.raises(GraphError, match=r"must return a float32 tensor of shape \(2,\)"):
        y.backward()


def test_save_on_cpu(device):
    net, x = network().eval(), start()
    with tl.autograd.graph.save_on_cpu(pin_memory=True):
        y = net(x).sum()
    np.testing.assert_allclose(host(grad(y, x)[0]), host(grad(net(x).sum(), x)[0]))


def test_increment_version():
    x = tl.ones(2, requires_grad=True)
    a = x * 2
    y = a * a
    increment_version(a)
    with pytest.raises(InplaceError, match="increment_version"):
        y.sum().backward()
    assert tl.autograd.graph.Node is type(y.grad_fn)


# ---------------------------------------------------------------- hooks of nodes
def test_hooks_of_nodes(device):
    x, log = tl.tensor([1.0, 2.0], requires_grad=True), []
    z = (x * x).exp()
    node = z.grad_fn
    node.register_prehook(lambda given: log.append(("before", len(given))) or (given[0] * 2,))
    handle = node.register_hook(lambda got, given: log.append((len(got), host(given[0]).tolist())) or (got[0] * 3,))
    want = 6 * 2 * host(x) * np.exp(host(x) ** 2)
    for create in (False, True):
        (g,) = grad(z.sum(), x, retain_graph=True, create_graph=create)
        np.testing.assert_allclose(host(g), want, rtol=1e-6)
    assert log == [("before", 1), (1, [2, 2])] * 2
    handle.remove()
    np.testing.assert_allclose(host(grad(z.sum(), x)[0]), want / 3, rtol=1e-6)


def test_hooks_of_nodes_see_gradients_in_the_shape_of_the_inputs():
    x, w, seen = tl.ones(2, 3, requires_grad=True), tl.ones(3, requires_grad=True), []
    for y in (x * w, x[0], nn.functional.linear(x, tl.ones(4, 3, requires_grad=True), None)):
        y.grad_fn.register_hook(lambda got, given: seen.append([None if g is None else tuple(g.shape) for g in got]))
        y.sum().backward()
    assert seen == [[(2, 3), (3,)], [(2, 3)], [(2, 3), (4, 3), None]]
    z = x * w
    z.grad_fn.register_hook(lambda got, given: got[0])
    with pytest.raises(ShapeError, match="hook of mul: 2 gradients are needed, got 1"):
        z.sum().backward()
    with pytest.raises(GraphError, match="only for the node of an operation with one result"):
        x.node.register_hook(print)


# ---------------------------------------------------------------- copies
def test_copies_of_tensors(device):
    x = tl.tensor([1.0, 2.0], requires_grad=True)
    x.note = ["mine"]
    (x * x).sum().backward()
    for make in (copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))):
        y = make(x)
        assert y.requires_grad and y.is_leaf and y.device is x.device and y.note == ["mine"] and y.note is not x.note
        with tl.no_grad():
            y.add_(1)
        assert host(x).tolist() == [1, 2]
    assert host(copy.deepcopy(x).grad).tolist() == [2, 4] and copy.deepcopy(x).grad is not x.grad
    y = copy.copy(x)
    assert y is not x and y.requires_grad and y.node is not x.node and y.note is x.note
    with tl.no_grad():
        y.add_(1)
    assert host(x).tolist() == [2, 3] and x._version == y._version == 1
    several = copy.deepcopy({"a": [x, x], "b": tl.arange(3)})
    assert several["a"][0] is several["a"][1] and several["b"].dtype == tl.int64
    for t in (nn.Parameter(tl.ones(2)), nn.Buffer(tl.ones(2), persistent=False)):
        for make in (copy.deepcopy, copy.copy, lambda t: pickle.loads(pickle.dumps(t))):
            made = make(t)
            assert type(made) is type(t) and made.requires_grad == t.requires_grad
            assert getattr(made, "persistent", None) == getattr(t, "persistent", None)
    frozen = nn.Parameter(tl.ones(2)).requires_grad_(False)
    assert not copy.deepcopy(frozen).requires_grad


def test_copies_without_a_graph():
    x = tl.ones(2, requires_grad=True)
    y = x * 2
    for make, text in (
        (copy.deepcopy, "deepcopy: only leaves"),
        (copy.copy, "copy: only leaves"),
        (pickle.dumps, "pickle: only"),
    ):
        with pytest.raises(GraphError, match=text):
            make(y)
        make(y.detach())
    net = network()
    net(start()).sum().backward()
    for made in (copy.deepcopy(net), pickle.loads(pickle.dumps(net)), copy.copy(net)):
        assert all((host(p) == host(q)).all() for p, q in zip(net.parameters(), made.parameters(), strict=True))
    assert copy.deepcopy(net)[0][0].weight.grad is not None
