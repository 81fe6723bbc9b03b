"""tl.explain: every share, sum and order against the engine's own backward and numeric derivatives; nothing is changed."""

import io
import sys

import pytest

import tensorlite as tl
from tensorlite.explainer import steps as steps_
from tensorlite.explainer.lessons import lesson
from tensorlite.tensor import Watcher, mode


def t(*shape, seed=0, **kw):
    generator = tl.Generator().manual_seed(seed)
    return tl.rand(*shape, generator=generator, dtype=tl.float64).mul(2).sub(1).requires_grad_()


def attention(x, wq, wk, wv):
    q, k, v = x @ wq, x @ wk, x @ wv
    alpha = (q @ k.mT / 2**0.5).softmax(-1)
    return (alpha @ v).square().mean()


PROGRAMS = {
    "neuron": (lambda a, b: (a * b + b).tanh(), [(), ()]),
    "fan-out": (lambda a, b: a * b + a, [(), ()]),
    "broadcast": (lambda x, b: ((x + b) * (x + b)).sum(), [(2, 3), (3,)]),
    "column": (lambda x, b: (x * b).exp().mean(), [(2, 3), (2, 1)]),
    "softmax": (lambda z: -(z.softmax(-1)[1].log()), [(4,)]),
    "cross_entropy": (lambda z: tl.nn.functional.cross_entropy(z, tl.tensor([0, 2])), [(2, 3)]),
    "attention": (attention, [(4, 3), (3, 2), (3, 2), (3, 2)]),
    "linear": (lambda x, w, b: tl.nn.functional.gelu(tl.nn.functional.linear(x, w, b)).sum(), [(2, 3), (4, 3), (4,)]),
    "shapes": (lambda x, y: (tl.cat([x.reshape(6), y], 0)[::2] * 3.0).sin().sum(), [(2, 3), (2,)]),
    "slices": (lambda x: (x[0] * x[1] + x[0]).sum(), [(2, 3)]),
    "layer_norm": (lambda x, w: (tl.nn.functional.layer_norm(x, (3,), w) ** 3).sum(), [(2, 3), (3,)]),
    "constants": (lambda x: ((2.0 - x) / 3.0 + tl.ones(3, dtype=tl.float64)).pow(2).sum(), [(3,)]),
}


def run(name):
    f, shapes = PROGRAMS[name]
    return f, [t(*s, seed=k) for k, s in enumerate(shapes)]


def walked(loss):
    """(name of the op, operand, share) of each share of a real backward pass, in the engine's order."""
    seen = []

    class Spy(Watcher):
        def backward(self, node, i, share, g):
            super().backward(node, i, share, g)
            seen.append((node.op.name, i))

    mode.watcher = Spy(mode.watcher)
    try:
        loss.backward(retain_graph=True)
    finally:
        mode.watcher.remove()
    return seen


@pytest.mark.parametrize("name", PROGRAMS)
def test_shares_sum_to_grad_in_the_engines_order(name):
    f, inputs = run(name)
    loss = f(*inputs)
    e = tl.explain(loss)
    assert all(x.grad is None for x in inputs), "explain changed .grad"
    shares = [s for s in e.steps if s.kind == "share"]
    assert [(e.variables[s.source].op, s.operand) for s in shares] == walked(loss)
    by_shape = [g for n, g in e.gradients.items() if next(v for v in e.variables if v.name == n).kind == "input"]
    for x in inputs:
        want = x.grad.reshape(-1).tolist()
        assert any(
            g.shape == tuple(x.shape) and g.values == pytest.approx(want, rel=1e-12, abs=1e-14) for g in by_shape
        )
    for s in shares:  # before + share = after, and the last after is complete
        before = s.before.values if s.before else [0.0] * len(s.after.values)
        assert s.after.values == pytest.approx([a + b for a, b in zip(before, s.share.values)], rel=1e-12, abs=1e-15)
        if s.slope is not None:
            full = (s.full or s.share).values
            up = s.upstream.values * (len(full) // len(s.upstream.values))
            assert full == pytest.approx([u * k for u, k in zip(up, s.slope.values)], rel=1e-9, abs=1e-14)
        if s.full is not None:
            assert sum(s.full.values) == pytest.approx(sum(s.share.values), rel=1e-9, abs=1e-12)
    for i, v in enumerate(e.variables):
        mine = [s for s in shares if s.target == i]
        assert [s.arrived for s in mine] == list(range(1, len(mine) + 1)) and len(mine) == v.uses


@pytest.mark.parametrize("name", PROGRAMS)
def test_each_share_is_the_numeric_derivative(name):
    """A share of (node, input) = upstream . d(node)/d(input), by central differences of the node's own forward."""
    f, inputs = run(name)
    loss = f(*inputs)
    nodes = tl.autograd.reachable([loss.node])[0][::-1]
    events, _ = steps_.record(loss, nodes)
    e = tl.explain(f, *inputs)
    values = dict(zip(nodes, [v for v in e.variables if v.kind != "constant"]))
    checked = 0
    for event in events:
        node, op = event.node, event.node.op
        x = values[node.parents[event.operand]].value
        if op.variadic or x is None or op.outputs != 1:
            continue
        operands = operands_of(e, node, values)
        if operands is None:
            continue
        b, k = node.device.backend, event.operand
        numeric = []
        for j in range(len(x.values)):
            out = []
            for by in (1e-6, -1e-6):
                moved = b.xp.asarray(x.values, dtype="float64").reshape(x.shape).copy()
                moved.reshape(-1)[j] += by
                changed = [moved if m == k else v for m, v in enumerate(operands)]
                r = op.forward(b, *changed, **(node.args or {}))
                out.append(r[0] if op.extras else r)
            numeric.append(float(((out[0] - out[1]) / 2e-6 * event.upstream).sum()))
        assert event.share.reshape(-1).tolist() == pytest.approx(numeric, rel=1e-5, abs=1e-7), (op.name, k)
        checked += 1
    assert checked or name == "shapes"


def operands_of(e, node, values):
    """Raw operands of a node from the explanation's numbers; None where one is a literal that is not there."""
    b, found = node.device.backend, []
    inputs = list(values[node].inputs)
    for parent in node.parents:
        if parent is None:
            if len(found) < len(inputs) and e.variables[inputs[len(found)]].kind == "constant":
                v = e.variables[inputs[len(found)]]
                found.append(b.xp.asarray(v.value.values).reshape(v.shape))
                continue
            if node.op.fused:
                found.append(None)
                continue
            return None
        v = values[parent].value
        found.append(b.xp.asarray(v.values, dtype="float64").reshape(v.shape))
    return found


@pytest.mark.parametrize("name", PROGRAMS)
def test_checks_at_the_end(name):
    f, inputs = run(name)
    e = tl.explain(f, *inputs)
    assert len(e.nudges) == len(inputs) and e.descent.after < e.descent.before
    before = f(*inputs)
    for k, x in zip(e.nudges, inputs):
        moved = [y.detach().clone() for y in inputs]
        place = next(i for i, y in enumerate(inputs) if y is x)
        moved[place][k.place] += 0.01
        assert k.measured == pytest.approx((f(*moved) - before).item(), rel=1e-6, abs=1e-12)
        assert k.predicted == pytest.approx(k.measured, rel=0.2, abs=1e-3)


def test_nothing_is_changed():
    tl.manual_seed(3)
    x, w = t(2, 3), t(3, 3, seed=1)
    w.grad = tl.ones(3, 3, dtype=tl.float64)
    h = tl.nn.functional.dropout(x @ w, 0.5)
    h.retain_grad()
    loss = (h * h).sum()
    state = tl.get_rng_state()
    e = tl.explain(loss)
    assert (tl.get_rng_state() == state).all() and w.grad.sum().item() == 9 and x.grad is None and h.grad is None
    tl.explain(lambda: tl.nn.functional.dropout(x @ w, 0.5).sum())
    assert (tl.get_rng_state() == state).all()
    loss.backward()
    assert h.grad is not None and "h" in e.gradients
    with pytest.raises(tl.errors.GraphError, match="walked before"):
        tl.explain(loss)


def test_names_are_the_users():
    x1, w1 = tl.tensor(2.0, requires_grad=True), tl.tensor(-3.0, requires_grad=True)
    u = x1 * w1
    out = u.tanh()
    e = tl.explain(out)
    assert [v.name for v in e.variables] == ["x1", "w1", "u", "out"]
    assert e.variables[2].code == "x1 * w1" and e.variables[3].code == "u.tanh()"
    assert (
        e.code[0].startswith("x1, w1 = tl.tensor(2.0, requires_grad=True)") and e.code[e.ask] == "e = tl.explain(out)"
    )
    assert [e.code[v.line] for v in e.variables[2:]] == ["u = x1 * w1", "out = u.tanh()"]
    assert [s.rule for s in e.steps if s.kind == "share"] == ["1 - out^2", "w1", "x1"]

    def net(x):
        h = (x * w1).tanh()
        h = h * 2.0
        return h

    names = [v.name for v in tl.explain(net, x1).variables]
    assert {"x", "w1", "h"} <= set(names) and len(set(names)) == len(names)
    model = tl.nn.Sequential(tl.nn.Linear(2, 3), tl.nn.Tanh(), tl.nn.Linear(3, 1))
    names = [v.name for v in tl.explain(model, tl.ones(1, 2)).variables]
    assert {"0.weight", "0.bias", "2.weight", "2.bias"} <= set(names)


def test_code_of_a_function_and_without_source():
    x = tl.tensor(2.0, requires_grad=True)

    def net(x):
        h = (x * 3.0).tanh()
        return h.exp()

    e = tl.explain(net, x)
    assert {v.name: e.code[v.line].strip() for v in e.variables if v.kind == "op"} == {
        "mul": "h = (x * 3.0).tanh()",
        "h": "h = (x * 3.0).tanh()",
        "L": "return h.exp()",
    }
    space = {"tl": tl}
    exec("x = tl.tensor(2.0, requires_grad=True)\ne = tl.explain((x * x).exp())", space)
    assert space["e"].code == ["x = tl.tensor(2.0, requires_grad=True)", "mul = x * x", "L = mul.exp()", "L.backward()"]


def test_operands_that_were_not_kept_are_found():
    x, w = tl.tensor([[1.0, 2.0], [3.0, -1.0]], dtype=tl.float64), t(2)
    y = tl.tensor([1.0, 0.5], dtype=tl.float64)
    p = (x @ w + 2.0) ** 2
    loss = ((p - y) ** 2).mean()
    e = tl.explain(loss)
    code = {v.name: v.code for v in e.variables}
    assert code["sub"] == "p - y" and {k.name for k in e.nudges} == {"w"} and e.descent
    assert e.nudges[0].predicted == pytest.approx(e.nudges[0].measured, rel=0.2)
    y[0] = 7.0  # is not what it was, so it is not taken for it
    assert {v.name: v.code for v in tl.explain(loss).variables}["sub"] == "p - constant"


def test_text():
    e = lesson("neuron")
    lines = e.text(color=False).splitlines()
    at = lines.index("backward 6/9   v -> x2")
    assert lines[at + 1] == "  upstream  dL/dv = 0.6347   x   local dv/dx2 = w2 = 1   =   share 0.6347"
    assert lines[at + 2] == "  x2.grad:  0 + 0.6347 = 0.6347      (1 of 1 shares: complete)"
    assert "\033" not in e.text(color=False) and "\033[33m" in e.text(color=True)
    fan = lesson("fan-out").text(color=False)
    assert "a.grad:  0 + 1 = 1      (1 of 2 shares: it must wait)" in fan
    assert "a.grad:  1 + 3 = 4      (2 of 2 shares: complete)" in fan
    assert "每个输入" in lesson("neuron", "zh").text(color=False)


def test_no_color(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.delenv("NO_COLOR", raising=False)
    e = lesson("fan-out")
    assert "\033" in e.text()
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\033" not in e.text()


def test_large_tensors_are_summaries():
    x = t(20, 20)
    e = tl.explain((x * x).sum())
    v = next(v for v in e.variables if v.name == "x")
    assert v.value.values is None and v.value.shape == (20, 20) and -1 <= v.value.low < v.value.high <= 1
    assert e.gradients["x"].norm == pytest.approx((2 * x).norm().item())


class Block(tl.nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = tl.nn.Linear(4, 4), tl.nn.Linear(4, 4)

    def forward(self, x):
        return x + self.b(self.a(x).tanh()).tanh()


class Tower(tl.nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = tl.nn.ModuleList([Block() for _ in range(8)])

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return x.square().mean()


def test_larger_graphs_step_by_modules():
    model, x = Tower().double(), t(2, 4)
    e = tl.explain(model, x)
    groups = [v for v in e.variables if v.kind == "group"]
    assert len(e.variables) <= 40 and len(groups) == 8 and groups[0].name == "blocks.0" and e.notes
    loss = model(x)
    loss.backward()
    assert e.gradients["x"].values == pytest.approx(x.grad.reshape(-1).tolist(), rel=1e-12)
    shares = [s for s in e.steps if s.kind == "share"]
    for k, s in enumerate(shares):
        assert s.arrived <= s.uses
        complete = [x.after for x in shares[:k] if x.target == s.source]
        assert s.upstream == (complete[-1] if complete else e.steps[len(e.steps) - len(shares) - 2].after)
    assert [e.variables[i].name for i in e.inside] == [f"blocks.{k}" for k in range(8)]
    for i, inner in e.inside.items():  # what a module hands on is what the walk through it ends with
        handed = next(s for s in shares if s.source == i)
        start = next(s for s in inner.steps if s.kind == "seed")
        assert start.after == handed.upstream and len(inner.variables) == 10
        ends = [inner.gradients[v.name] for v in inner.variables if v.kind == "input" and v.shape == (2, 4)]
        assert any(g.values == pytest.approx(handed.share.values, rel=1e-12) for g in ends)
    opened = tl.explain(model, x, depth=1, expand="blocks.3")
    assert "blocks.3.a" in {v.name for v in opened.variables} and "blocks.2" in {v.name for v in opened.variables}
    assert opened.gradients["x"].values == pytest.approx(x.grad.reshape(-1).tolist(), rel=1e-12)


def test_long_graphs_without_modules():
    x = tl.tensor(0.5, dtype=tl.float64, requires_grad=True)
    y = x
    for _ in range(3000):
        y = (y * 1.0001).sin() + 0.1
    e = tl.explain(y)
    assert len(e.variables) <= 40
    y.backward()
    total = e.gradients.get("x") or e.gradients[e.variables[0].name]
    assert total.values is not None
    assert len(e.html()) < 100_000


def test_refusals():
    x = tl.ones(3, requires_grad=True)
    with pytest.raises(tl.errors.GraphError, match="must be a scalar"):
        tl.explain(x * 2)
    e = tl.explain(x * 2, gradient=tl.tensor([1.0, 0.0, 2.0]))
    assert e.gradients["x"].values == (2.0, 0.0, 4.0) and not e.nudges
    with pytest.raises(tl.errors.GraphError, match="no graph"):
        tl.explain(tl.ones(1))
    with pytest.raises(tl.errors.ArgumentError, match="'en' or 'zh'"):
        tl.explain(x.sum(), lang="fr")
    with pytest.raises(tl.errors.DTypeError, match="not int"):
        tl.explain(3)
    with pytest.raises(tl.errors.ArgumentError, match="there is no 'x'; there are neuron"):
        lesson("x")
    with pytest.raises(tl.errors.ArgumentError, match=r"must end with \.html"):
        tl.explain(x.sum()).save("x.png")


def test_devices(device):
    x = tl.tensor([[1.0, -2.0]], dtype=tl.float64, device=device, requires_grad=True)
    b = tl.tensor([0.5, 1.0], dtype=tl.float64, device=device, requires_grad=True)
    e = tl.explain(lambda: ((x + b).tanh() * x).sum())
    ((x + b).tanh() * x).sum().backward()
    assert e.gradients["x"].values == pytest.approx(x.grad.cpu().reshape(-1).tolist())
    assert e.nudges and e.descent
