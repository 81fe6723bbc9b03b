"""The picture of a forward pass that failed: what ran, the failing operation in red, and what it said."""

import pytest

import tensorlite as tl
from tensorlite import nn


class Add(nn.Module):
    """Two layers whose results do not fit together."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(3, 4), nn.Linear(3, 5)

    def forward(self, x):
        return (self.a(x) + self.b(x)).sum()


CASES = {
    "linear": (lambda: nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(5, 1)), "linear", {"ReLU"}, "weight (1, 5)"),
    "add": (Add, "add", {"Linear"}, "(2, 4) and (2, 5)"),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("engine", ["own", "dot", "wasm"])
def test_what_ran_is_drawn_and_the_failing_operation_is_red(name, engine):
    make, op, reads, words = CASES[name]
    model, state = make(), tl.get_rng_state().tolist()
    g = tl.draw_graph(model, tl.randn(2, 3, generator=tl.Generator().manual_seed(0)))
    card = g.view.cards[-1]
    assert card.failed and card.title == op and words in card.about
    sources = {g.view.cards[e.source].title for e in g.view.edges if e.target == card.id}
    assert reads <= sources
    svg = g.svg(engine)
    assert "--alarm" in svg and f"→ {op} failed. 2 operations ran before it, the red node." in g.view.caption
    assert (
        f"2 operations and {op}, which failed" in repr(g)
        and g.record.operations == 2
        and f"{op}, which failed" in g.alt
    )
    assert {w for e in g.view.edges if e.target == card.id for w in e.labels} <= {"x", "y", "weight", "bias"}
    assert "ran before it" in g.text() and 'color="#b3142c"' in g.source
    assert tl.get_rng_state().tolist() == state and tl.draw_graph(tl.ones(1, requires_grad=True) * 2)


class Raises(nn.Module):
    """An error of the user's own, or one before there is any tensor."""

    def forward(self, error, x=None):
        raise error


@pytest.mark.parametrize("error", [ValueError("mine"), tl.errors.ShapeError("nothing ran")])
def test_errors_that_no_operation_raised_go_up(error):
    with pytest.raises(type(error), match=str(error)):
        tl.draw_graph(Raises(), error)


def test_the_text_of_an_error_does_no_harm():
    g = tl.draw_graph(Raises(), tl.errors.ShapeError("bad </title><script>"), tl.ones(2))
    assert "<script>" not in g.svg() and "bad </title><script>" in g.view.cards[-1].about


def test_equal_layers_fold_while_they_drop_out():
    model = nn.Transformer(8, 2, 3, 3, 16, batch_first=True)
    g = tl.draw_graph(model.train(), tl.randn(2, 4, 8), tl.randn(2, 3, 8))
    assert len(g.view.cards) < 40 and g.view.folds == ["layers.0 … layers.2 (× 3)"] * 2
