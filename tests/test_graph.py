"""tl.draw_graph: what is recorded, what is folded, what the cards say, and that drawing changes and keeps nothing."""

import gc
import random
import weakref

import numpy as np
import pytest

import tensorlite as tl
from tensorlite import nn
from tensorlite.graph import summary
from tensorlite.models.gpt import GPT, GPTConfig


def leaf(value):
    return tl.tensor(value, requires_grad=True)


def card(g, title):
    """The one card with this title."""
    (found,) = [c for c in g.view.cards if c.title == title]
    return found


def said(card):
    """Line label -> its text, alarm included."""
    return {line.label: f"{line.text} {line.alarm}".strip() for line in card.lines}


def edges(g):
    """The drawn edges as pairs of titles."""
    cards = g.view.cards
    return sorted((cards[e.source].title, cards[e.target].title) for e in g.view.edges)


def random_graph(seed, size, width=3):
    """A tensor computed by `size` random operations from `width` leaves, without views and numbers."""
    choose = random.Random(seed)
    made = [leaf([choose.uniform(-1, 1) for _ in range(3)]) for _ in range(width)]
    ops = [lambda x, y: x * y, lambda x, y: x + y, lambda x, y: x - y, lambda x, y: x.tanh(), lambda x, y: y.exp()]
    for _ in range(size):
        made.append(choose.choice(ops)(choose.choice(made[-6:]), choose.choice(made)))
    return sum(made[1:], made[0]).sum()


def walk(*roots):
    """All nodes below these, by a walk of our own."""
    seen, todo = [], list(roots)
    while todo:
        node = todo.pop()
        if node is not None and node not in seen:
            seen.append(node)
            todo += node.parents
    return seen


# ---------------------------------------------------------------- the graph as it is
@pytest.mark.parametrize("seed", range(4))
def test_record_and_picture_are_the_real_graph(seed):
    y = random_graph(seed, 25)
    nodes = walk(y.node)
    g = tl.draw_graph(y, fold=False)
    items = g.record.items
    assert sorted(i.op for i in items) == sorted(n.op.name if n.op else "" for n in nodes)
    real = [(p.op.name if p.op else "", n.op.name) for n in nodes for p in n.parents if p is not None]
    assert sorted((items[s].op, items[t.id].op) for t in items for s in t.inputs if s >= 0) == sorted(real)
    assert len(g.view.cards) == len(nodes)
    assert len(g.view.edges) == len({(id(p), id(n)) for n in nodes for p in n.parents if p is not None})
    assert g.source.count(" -> ") == len(g.view.edges)
    used = {}
    for n in nodes:
        for p in n.parents:
            used[p] = used.get(p, 0) + 1
    assert sorted(c.used for c in g.view.cards) == sorted(used.get(n, 0) for n in nodes)


def test_a_neuron_says_every_value_and_gradient():
    x, w, b = leaf(2.0), leaf(-3.0), leaf(7.0)
    product = x * w
    product.retain_grad()
    o = (product + b).tanh()
    o.backward()
    g = tl.draw_graph({"o": o}, params={"x": x, "w": w, "b": b})
    assert edges(g) == [("add", "o"), ("b", "add"), ("mul", "add"), ("w", "mul"), ("x", "mul")]
    slope = 1 - np.tanh(1.0) ** 2
    for name, value, grad in [("x", 2, -3 * slope), ("w", -3, 2 * slope), ("b", 7, slope), ("mul", -6, slope)]:
        assert said(card(g, name)) == {"value": f"{value}", "grad": f"{grad:.4g}"}
    assert said(card(g, "add")) == {"value": "1", "grad": "not kept"}
    assert said(card(g, "o")) == {"value": f"{np.tanh(1):.4g}"} and card(g, "o").output
    assert card(g, "o").note == "tanh: tanh x" and card(g, "mul").note == "x * y"


def test_before_backward_the_gradients_are_not_yet_there():
    x = leaf([1.0, 2.0])
    g = tl.draw_graph((x * x).sum(), params={"x": x})
    assert said(card(g, "x"))["grad"] == said(card(g, "sum"))["grad"] == "not yet: call backward()"
    assert said(card(g, "mul"))["grad"] == "not yet"
    assert g.view.edges[0].labels == ["as x and y"]
    assert card(g, "x").used == 2


def test_several_outputs_have_their_names():
    x = leaf([1.0, 2.0])
    a, b = x.exp(), x.sin()
    assert tl.draw_graph({"a": a, "b": b}).view.title == "a, b"
    g = tl.draw_graph((a, b))
    assert [c.title for c in g.view.cards if c.output] == ["output 0", "output 1"]


def test_views_are_words_on_edges():
    x = leaf(np.arange(24.0).reshape(2, 3, 4))
    y = leaf(np.ones((3, 2, 2)))
    z = (x.transpose(0, 1).reshape(3, 8)[:, 1:5].reshape(3, 2, 2) @ y).sum()
    g = tl.draw_graph(z, params={"x": x, "y": y})
    assert edges(g) == [("matmul", "sum"), ("x", "matmul"), ("y", "matmul")]
    (labels,) = [e.labels for e in g.view.edges if g.view.cards[e.source].title == "x"]
    assert labels == ["x: transpose → … → reshape (3, 2, 2)"]
    view = tl.draw_graph(x.transpose(0, 1))  # an output is drawn, whatever it is
    assert [c.title for c in view.view.cards] == ["leaf", "permute"]


def test_broadcasting_is_said():
    x, b = leaf(np.ones((2, 3))), leaf(np.ones(3))
    g = tl.draw_graph(x + b, params={"x": x, "b": b})
    labels = {g.view.cards[e.source].title: e.labels for e in g.view.edges}
    assert labels == {"x": [], "b": ["broadcast (3,) → (2, 3)", "backward sums the repeats"]}


def test_slopes_on_request():
    x = leaf([1.0])
    g = tl.draw_graph(x.tanh(), show=("local",))
    assert g.view.edges[0].labels == ["slope 1 - out^2"] and 'style="fill:var(--local)">slope' in g.svg("own")
    assert [c.shape + "".join(said(c)) for c in g.view.cards] == ["", ""]


def test_constants_are_dashed_and_numbers_stand_in_the_formula():
    x, mask = leaf(np.ones(3)), tl.tensor([True, False, True])
    g = tl.draw_graph(tl.where(mask, x * 2.5, 0.0), params={"mask": mask})
    constant = card(g, "mask")
    assert constant.kind == "constant" and constant.shape == "bool (3,)"
    assert [e.constant for e in g.view.edges if g.view.cards[e.source] is constant] == [True]
    assert card(g, "mul").note == "x * y, y = 2.5"
    assert g.svg("own").count("stroke-dasharray") == 2  # its card and its edge
    assert g.source.count("dashed") == 2


def test_without_a_graph_there_is_a_picture_that_says_so():
    g = tl.draw_graph(tl.ones(2))
    assert "nothing that it was computed from has requires_grad=True" in g.view.caption
    assert len(g.view.cards) == 1 and "requires_grad" in g.svg()
    assert "it is a leaf" in tl.draw_graph(leaf(1.0)).view.caption


# ---------------------------------------------------------------- values
@pytest.mark.parametrize("seed", range(3))
def test_values_computed_again_are_those_of_the_computation(seed):
    x = tl.randn(2, 4, requires_grad=True)
    w, b = tl.randn(4, 3, requires_grad=True), tl.randn(3, requires_grad=True)
    product = x @ w
    shifted = product + b
    out = shifted.exp().sum(1)
    for backward in (False, True):
        if backward:
            out.sum().backward()
        g = tl.draw_graph(out, params={"x": x, "w": w, "b": b})
        for title, t in [("matmul", product), ("add", shifted), ("sum", out)]:
            numbers = " ".join(line.text for line in card(g, title).lines if line.kind == "value")
            numbers = [float(n) for n in numbers.replace(",", " ").strip("[]").split()]
            np.testing.assert_allclose(numbers, t.detach().numpy().ravel(), rtol=6e-3)


def test_values_of_changed_leaves_are_not_mixed_with_old_ones():
    for change in (lambda w: w.mul_(2.0), lambda w: w.data.copy_(tl.tensor([9.0, 9.0]))):  # watched, and not
        w, x = leaf([1.0, 2.0]), leaf([3.0, 4.0])
        loss = (w * x).sum()
        loss.backward()
        with tl.no_grad():
            change(w)
        g = tl.draw_graph(loss, params={"w": w, "x": x})
        assert said(card(g, "w"))["value"] == f"[{w[0].item():g}, {w[1].item():g}]"  # as it is now
        assert "value" not in said(card(g, "mul"))
        assert said(card(g, "sum"))["value"] == "11"


def test_a_model_that_the_picture_runs_shows_all_values():
    model = nn.Sequential(nn.Linear(3, 40), nn.ReLU(), nn.Linear(40, 2))
    x = tl.randn(5, 3)
    g = tl.draw_graph(model, x)
    hidden = model[0](x)
    lines = card(g, "ReLU").lines
    assert lines[0].text == f"0 .. {summary.number(hidden.max().item(), 3)}"
    assert card(g, "input").kind == "constant" and card(g, "input").note == "input, no gradient"
    assert edges(g) == [("Linear", "Linear")] * 0 + [("Linear", "ReLU"), ("ReLU", "Linear"), ("input", "Linear")]


def test_words_for_arrays(device):
    backend = tl.tensor(0).device.backend

    def text(*args, **kw):
        t = tl.tensor(*args, **kw)
        return summary.value(t.array, backend)

    assert text(0.123456).text == "0.1235"
    assert text([[1.0, -2.0], [30.0, 0.5]]).lines == ("[  1,  -2", "  30, 0.5]")
    assert text([True, False] * 20).text == "true 20 of 40"
    assert text(list(range(20))).text == "0 .. 19"
    assert text(np.zeros((0, 3))).text == "empty"
    assert text(np.full(30, 2.0)).text == "all 2"
    assert text(float("nan")) == summary.Summary((), "nan")
    bad = text([1.0, float("nan"), float("inf"), -float("inf")] * 10)
    assert bad.lines == ("all 1",) and bad.alarm == "nan 10, inf 20"
    values = np.linspace(-3, 5, 50)
    expected = (f"-3 .. 5; mean 1, std {values.std():.3g}", "")
    assert (text(values).text, text(values).alarm) == expected
    for dtype in (tl.float16, tl.float64):
        found = summary.gradient(tl.tensor(values, dtype=dtype).array, backend).text
        np.testing.assert_allclose(float(found.removeprefix("|g| = ")), np.linalg.norm(values), rtol=1e-3)
    np.testing.assert_allclose(summary.norm(tl.tensor(values).array, backend), np.linalg.norm(values), rtol=1e-5)


def test_pictures_on_every_device(device):
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh())
    x = tl.randn(30, 3)
    loss = (model(x) ** 2).mean()
    loss.backward()
    g = tl.draw_graph({"loss": loss}, params=model)
    grad = model[0].bias.grad.cpu().numpy()
    assert said(card(g, "Linear"))["bias (4,)"] == f"|g| = {summary.number(float(np.linalg.norm(grad)))}"
    assert "Tanh" in g.svg() and tl.draw_graph(model, x).record.operations == 2


# ---------------------------------------------------------------- nothing is changed, nothing is kept
def test_drawing_changes_nothing():
    model, idx = GPT(GPTConfig(vocab_size=30, block_size=8, layers=2, heads=2, dim=8)), tl.arange(8).reshape(1, 8)
    loss = model(idx, idx)[1]
    grads = [p.grad for p in model.parameters()]
    tl.draw_graph(loss, params=model).svg()
    tl.draw_graph(model, idx, idx).svg()
    assert all(a is b.grad for a, b in zip(grads, model.parameters(), strict=True))
    loss.backward(retain_graph=True)  # the graph is whole still
    before = [p.grad.numpy().copy() for p in model.parameters()]
    tl.draw_graph(loss, params=model).svg()
    for a, p in zip(before, model.parameters(), strict=True):
        np.testing.assert_array_equal(a, p.grad.numpy())


def test_drawing_a_model_leaves_random_numbers_buffers_and_modes():
    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("count", tl.zeros(2))

        def forward(self, x):
            self.count += 1
            return x * tl.rand(2) + self.count

    model = Noisy()
    tl.manual_seed(5)
    expected = tl.rand(3).numpy()
    tl.manual_seed(5)
    with tl.no_grad():
        g = tl.draw_graph(model, leaf([1.0, 2.0]))
        assert not tl.is_grad_enabled()
    assert g.record.operations == 2  # recorded all the same
    np.testing.assert_array_equal(tl.rand(3).numpy(), expected)
    np.testing.assert_array_equal(model.count.numpy(), [0, 0])
    with pytest.raises(ZeroDivisionError):
        tl.draw_graph(lambda x: x / (1 // 0), leaf(1.0))
    from tensorlite.tensor import mode

    assert mode.watcher is None


def test_a_drawing_keeps_no_graph_alive():
    gc.disable()
    try:
        x = leaf(np.ones(1000))
        hidden = x * 2.0
        refs = [weakref.ref(hidden), weakref.ref(hidden.array)]
        y = hidden.exp().sum()
        pictures = [tl.draw_graph(y, params={"x": x, "hidden": hidden})]
        seen = []

        def model(x):
            seen.append(weakref.ref((x * 3.0).exp().array))
            return (x * 3.0).exp().sum()

        pictures += [tl.draw_graph(model, x)]
        del hidden, y
        refs += seen
        assert [r() for r in refs] == [None, None, None]
        assert all("hidden" in g.svg() or g.svg() for g in pictures)
    finally:
        gc.enable()
