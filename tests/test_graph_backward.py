"""Pictures of the walk back and of the graph of gradients."""

import pytest

import tensorlite as tl


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
    for engine in ("own", "dot"):
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
