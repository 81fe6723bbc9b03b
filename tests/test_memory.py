"""Memory: graphs are freed at once and without recursion, with the garbage collector off; training does not grow."""

import collections
import contextlib
import gc
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest
from test_function import AddOne, Cube, SinCos

import tensorlite as tl
from tensorlite.function import FunctionCtx
from tensorlite.nn import functional as F
from tensorlite.tensor import Node, Scope, Tensor, Version

ROOT = Path(__file__).resolve().parent.parent


def leaf(*shape):
    return tl.rand(*shape, dtype=tl.float64).add_(0.5).requires_grad_()


@contextlib.contextmanager
def nothing_stays():
    """With the collector off: what the block makes of ours is gone when its names are."""

    def count():
        kinds = (Node, Tensor, Version, Scope, FunctionCtx)
        return collections.Counter(type(o).__name__ for o in gc.get_objects() if issubclass(type(o), kinds))

    gc.collect()
    gc.disable()
    try:
        before = count()
        yield
        assert count() == before
    finally:
        gc.enable()


# ---------------------------------------------------------------- dropped graphs
def program_retain(x, w):
    y = (x @ w).tanh()
    y.retain_grad()
    y.sum().backward(retain_graph=True)
    y.sum().backward()


def program_hooks(x, w):
    y = x @ w
    seen = []
    y.register_hook(lambda g: seen.append(g.shape))
    handle = y.register_hook(lambda g: g * 2)
    y.exp().sum().backward()
    handle.remove()


def program_leaf_hooks(x, w):
    v = x.detach().clone().requires_grad_()
    v.register_hook(lambda g: g * 2)
    v.register_post_accumulate_grad_hook(lambda p: p.grad.mul_(1))
    (v @ w).sum().backward()


def program_views(x, w):
    y = x * 2
    a, b = y[1:], y.T
    c = a[0].reshape(1, 3).expand(4, 3)
    parts = y.split(2) + y.unbind(1) + tuple(y)
    (a.sum() + b.exp().sum() + c.sum() + sum(p.sum() for p in parts)).backward()


def program_in_place(x, w):
    y = x * 2
    view = y[1:]
    other = y.T
    y.add_(1)
    view.mul_(w[0])
    view[0] = w[1]
    y[y > 1] = 0.5
    other.exp_()
    y.copy_(y * 2)
    (y.sum() + view.sum()).backward()


def program_functions(x, w):
    s, c = SinCos.apply(Cube.apply(x))
    y = AddOne.apply(s * c)
    (y @ w).sum().backward()


def program_create_graph(x, w):
    y = F.layer_norm((x @ w).tanh(), (3,)).softmax(-1)
    for _ in range(3):
        (y,) = tl.autograd.grad((y * y).sum(), x, create_graph=True)
    y.sum().backward()


def program_backward_create_graph(x, w):
    """Here x.grad hangs on a graph that leads to x: as in PyTorch, that circle is the user's to open."""
    (x @ w).exp().sum().backward(create_graph=True)
    x.grad.sum().backward()
    x.grad = w.grad = None


def program_functions_create_graph(x, w):
    s, c = SinCos.apply(x)
    z = AddOne.apply(Cube.apply(s * c) * 1)
    (g,) = tl.autograd.grad(z.sum(), x, create_graph=True)
    (g * w[:1]).sum().backward()


def program_model(x, w):
    model = tl.nn.Sequential(
        tl.nn.Linear(3, 8), tl.nn.GELU(), tl.nn.LayerNorm(8), tl.nn.Dropout(0.5), tl.nn.Linear(8, 3)
    )
    model.double()
    optimizer = tl.optim.AdamW(model.parameters())
    for _ in range(2):
        loss = F.cross_entropy(model(x), tl.tensor([0, 1, 2, 0]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    state = model.state_dict(), optimizer.state_dict()
    model.load_state_dict(state[0])


def program_errors(x, w):
    for wrong in (
        lambda: x @ x,
        lambda: (x * 1).backward(),
        lambda: tl.nn.Linear(7, 2)(x),
        lambda: x[9],
        lambda: (x * 2).sum().requires_grad_(False),
    ):
        with contextlib.suppress(RuntimeError, IndexError):
            wrong()


def program_anomaly(x, w):
    with tl.autograd.detect_anomaly():
        y = (x @ w).exp()
        y.sum().backward()


def program_rest(x, w):
    """Graphs that are never walked, detached parts, copies, text, saving."""
    y = (x @ w).relu()
    parts = [y.detach(), y.data, y.clone(), tl.stack([y, y]), y.max(0), y.to(tl.float32), F.softmax(y, -1)]
    with tl.no_grad():
        parts.append(y * 2)
    str(parts), repr(y.node)
    with tl.inference_mode():
        parts.append(y * 2)


PROGRAMS = {
    "plain": lambda x, w: (x @ w).tanh().sum(),
    "backward": lambda x, w: (x @ w).tanh().sum().backward(),
    "attention": lambda x, w: F.scaled_dot_product_attention(*[(x @ w)[None]] * 3, is_causal=True).sum().backward(),
    **{name.removeprefix("program_"): f for name, f in list(globals().items()) if name.startswith("program_")},
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_dropped_graphs_are_freed_at_once(device, name):
    program = PROGRAMS[name]
    x, w = leaf(4, 3), leaf(3, 3)
    program(x, w)  # what is made once and kept (caches) is there now
    x.grad = w.grad = None
    with nothing_stays():
        program(x, w)
        x.grad = w.grad = None
    with nothing_stays():
        u, v = leaf(4, 3), leaf(3, 3)
        program(u, v)
        del u, v


def test_the_check_finds_a_circle():
    with pytest.raises(AssertionError), nothing_stays():
        y = leaf(3) * 2
        y.node.name = [y]
        del y
    gc.collect()


# ---------------------------------------------------------------- freed as backward proceeds
def array_refs(node):
    """Weak references to the arrays that a node saved."""
    return [weakref.ref(v) for v in node.saved if isinstance(v, np.ndarray)]


def test_saved_arrays_go_while_backward_proceeds():
    x = leaf(10)
    y = x * 1
    first = y.exp()
    second = first.exp()
    late = array_refs(second.node)
    z = second * 2
    del first, second
    alive = []
    y.register_hook(lambda g: alive.append([r() is not None for r in late]))
    assert late and all(r() is not None for r in late)
    z.sum().backward(retain_graph=True)
    z.sum().backward()
    assert alive == [[True], [False]]  # at the second walk, gone before the start of the graph is reached


def test_an_unused_graph_goes_with_its_last_tensor():
    y = leaf(10).exp()
    refs = array_refs(y.node)
    z = y * 2
    del y
    assert refs[0]() is not None  # the graph needs it
    del z
    assert refs[0]() is None


def test_results_that_no_rule_needs_are_not_kept():
    x = leaf(1000)
    y = x + 1
    ref = weakref.ref(y.array)
    z = (y * 2).sum()
    del y
    assert ref() is None and z.requires_grad


# ---------------------------------------------------------------- long chains
@pytest.mark.parametrize("length", [50_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_a_long_chain_needs_no_recursion(length):
    """Built, differentiated and dropped; then built again and dropped without being walked."""
    x = tl.tensor(1.0, dtype=tl.float64, requires_grad=True)
    for walked in (True, False):
        y = x
        for _ in range(length // 2):
            y = y * 1.000001 + 1e-9
        if walked:
            y.backward()
            assert x.grad.item() == pytest.approx(1.000001 ** (length // 2), rel=1e-9)
        watch = weakref.ref(y)
        with gc_off():
            del y
            assert watch() is None


def test_a_long_chain_under_create_graph():
    x = tl.tensor(0.5, dtype=tl.float64, requires_grad=True)
    n = 5000  # of 4 operations each
    y = x
    for _ in range(n):
        y = (y * y * 1e-4 + y) * 0.9999
    (g,) = tl.autograd.grad(y, x, create_graph=True)
    (h,) = tl.autograd.grad(g, x, create_graph=True)
    value, first, second = 0.5, 1.0, 0.0  # the same recursion, differentiated by hand
    for _ in range(n):
        second = (2e-4 * first * first + (2e-4 * value + 1) * second) * 0.9999
        first = (2e-4 * value + 1) * first * 0.9999
        value = (value * value * 1e-4 + value) * 0.9999
    np.testing.assert_allclose([y.item(), g.item(), h.item()], [value, first, second], rtol=1e-9)
    with nothing_gained():
        del y, g, h


@contextlib.contextmanager
def gc_off():
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextlib.contextmanager
def nothing_gained():
    """The collector finds nothing to do after the block."""
    gc.collect()
    with gc_off():
        yield
        assert sum(type(o) is Node for o in gc.get_objects()) < 1000


@pytest.mark.parametrize("kind", ["views", "in place", "functions", "wide"])
def test_other_long_graphs(kind):
    x = leaf(4)
    y = x * 1
    n = 3000
    if kind == "views":
        for _ in range(n):
            y = y[None].reshape(4).flip(0)
    elif kind == "in place":
        for i in range(n):
            y.add_(0.0)
            y[i % 4] = y[(i + 1) % 4] * 1
    elif kind == "functions":
        for _ in range(n):
            y = Cube.apply(y) * 0 + y
    else:
        y = sum(x * float(i) for i in range(n)) * (1 / sum(range(n)))
    y.sum().backward()
    assert bool(x.grad.isfinite().all()) and x.grad.sum().item() == pytest.approx(4)


# ---------------------------------------------------------------- training does not grow
TRAINING = """
import gc, os, sys
sys.path.insert(0, sys.argv[2])
import tensorlite as tl
from tensorlite.nn import functional as F
gc.disable()

class Scale(tl.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        ctx.y = x * 2
        return ctx.y, x * 3

    @staticmethod
    def backward(ctx, g, h):
        return g * 2 + h * 3

class Net(tl.nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = tl.nn.Embedding(20, 16)
        self.attention = tl.nn.MultiheadAttention(16, 2, batch_first=True)
        self.norm, self.drop = tl.nn.LayerNorm(16), tl.nn.Dropout(0.1)
        self.mlp = tl.nn.Sequential(tl.nn.Linear(16, 32), tl.nn.GELU(), tl.nn.Linear(32, 16))

    def forward(self, ids):
        x = self.embed(ids)
        n = self.norm(x)
        x = x + self.drop(self.attention(n, n, n, need_weights=False)[0])
        a, b = Scale.apply(self.mlp(x))
        x = x + a * 0.1
        x[:, 0] = b[:, 0] * 0.1
        x.add_(1)
        return x @ self.embed.weight.T

net = Net()
optimizer = tl.optim.AdamW(net.parameters(), lr=1e-3)
net.embed.weight.register_hook(lambda g: g * 1.0)
pages = lambda: int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
steps = int(sys.argv[1])
for step in range(steps):
    ids = tl.randint(0, 20, (4, 12))
    loss = F.cross_entropy(net(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
    if step % 10 == 0:  # a gradient penalty, through derivatives of derivatives
        grads = tl.autograd.grad(loss, list(net.parameters()), create_graph=True, allow_unused=True)
        loss = loss + 1e-3 * sum((g * g).sum() for g in grads if g is not None)
    optimizer.zero_grad()
    loss.backward()
    tl.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    optimizer.step()
    if step == min(100, steps // 2):
        start = pages()
print(pages() - start, loss.item())
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux' /proc")
@pytest.mark.parametrize("steps", [300, pytest.param(2000, marks=pytest.mark.slow)])
def test_training_does_not_grow(steps):
    """Attention, views, changes in place, a Function, hooks and second derivatives, the collector off: RSS stays."""
    done = subprocess.run([sys.executable, "-c", TRAINING, str(steps), str(ROOT)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    grown, loss = done.stdout.split()
    assert float(loss) == float(loss) and int(grown) < 5 * 2**20, (
        f"grown by {int(grown) / 2**20:.1f} MB in {steps} steps"
    )
