"""Pictures of the walk back and of the graph of gradients."""

import pytest

import tensorlite as tl
from tensorlite.models.gpt import GPT, GPTConfig


def example():
    a, b = tl.tensor(2.0, requires_grad=True), tl.tensor(3.0, requires_grad=True)
    return {"a": a, "b": b}, ((a * b).tanh() + a) * 2


def test_backward_turns_the_arrows_and_says_what_is_handed_on():
    named, loss = example()
    forward, back = (tl.draw_graph(loss, params=named, kind=k) for k in ("forward", "backward"))
    pairs = lambda g: {(g.view.cards[e.source].title, g.view.cards[e.target].title) for e in g.view.edges}  # noqa: E731
    there = {(s, t) for s, t in pairs(forward) if s != "constant"}
    assert {(t, s) for s, t in pairs(back)} == there
    assert back.view.cards[0].output and {c.title for c in back.view.cards[-2:]} <= {"a", "b", "mul"}
    assert any("g · (" in c.note for c in back.view.cards)
    assert [c.id for c in back.view.cards] == list(range(len(back.view.cards)))
    for engine in ("own", "dot", "wasm"):
        assert back.svg(engine).rstrip().endswith("</svg>")
    assert back.source == tl.draw_graph(loss, params=named, kind="backward").source and back.text()


def test_higher_is_the_graph_of_the_gradients():
    named, loss = example()
    g = tl.draw_graph(loss, params=named, kind="higher")
    assert [g.record.items[i].output for i in g.record.outputs] == ["grad of a", "grad of b"]
    assert g.record.operations > tl.draw_graph(loss, params=named).record.operations
    assert named["a"].grad is None and g.svg()
    with pytest.raises(tl.errors.GraphError, match="one scalar"):
        tl.draw_graph(tl.ones(2, requires_grad=True) * 2, kind="higher")
    with pytest.raises(tl.errors.GraphError, match="leaves by name"):
        tl.draw_graph(loss, kind="higher")


def test_higher_folds_the_backward_pass_as_it_folds_the_forward_pass():
    model = GPT(GPTConfig(vocab_size=20, block_size=4, layers=6, heads=2, dim=8))
    idx = tl.arange(4).reshape(1, 4)
    loss = model(idx, idx)[1]
    g = tl.draw_graph(loss, params=model, kind="higher")
    assert len(g.view.cards) <= 40 and g.record.operations > 500
    kinds = {(c.name, c.kind, c.times) for c in g.view.clusters}
    assert {("blocks.0 … blocks.5", "Block", 6), ("blocks.5 … blocks.0", "∇Block", 6)} <= kinds
    (mlp,) = [c for c in g.view.cards if c.title == "∇MLP"]
    said = [mlp.note, *[line.text for line in mlp.lines if line.label == "output"]]
    assert sorted(w.split("grad of ")[-1] for w in said) == ["fc.weight", "proj.weight"]
    assert not any("grad" in line.label for c in g.view.cards for line in c.lines)  # nothing is still to come
    assert "∇Linear" in g.view.caption and all(p.grad is None for p in model.parameters())
    assert all(e.source < e.target for e in g.view.edges)
    expected = tl.autograd.grad(loss, list(model.parameters()), retain_graph=True)  # the graph is whole still
    assert len(g.record.outputs) == len(expected)
    inner = tl.draw_graph(loss, params=model, kind="higher", expand="ln_f")  # the forward's and the backward's
    assert len(inner.view.cards) > len(g.view.cards) + 10
