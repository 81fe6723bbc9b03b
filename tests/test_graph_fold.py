"""tl.draw_graph: modules as boxes, what folds and what does not, and graphs that are too large."""

import random
import weakref

import pytest

import tensorlite as tl
from tensorlite import errors, nn
from tensorlite.models.gpt import GPT, GPTConfig


def leaf(value):
    return tl.tensor(value, requires_grad=True)


def card(g, title):
    """The one card with this title."""
    (found,) = [c for c in g.view.cards if c.title == title]
    return found


def edges(g):
    """The drawn edges as pairs of titles."""
    cards = g.view.cards
    return sorted((cards[e.source].title, cards[e.target].title) for e in g.view.edges)


# ---------------------------------------------------------------- modules and folding
def gpt(layers=12, **sizes):
    return GPT(GPTConfig(vocab_size=30, block_size=8, layers=layers, heads=2, dim=8, **sizes))


@pytest.fixture(scope="module")
def twelve():
    model, idx = gpt(), tl.arange(8).reshape(1, 8)
    return model, idx, model(idx, idx)[1]


def test_twelve_blocks_are_one(twelve):
    model, _, loss = twelve
    g = tl.draw_graph(loss, params=model)
    block = sum(p.numel() for p in model.blocks[0].parameters())
    assert [c.title for c in g.view.clusters] == [
        f"blocks.0 … blocks.11   Block × 12   {12 * block:,} params",
        f"attn   CausalSelfAttention   {sum(p.numel() for p in model.blocks[0].attn.parameters()):,} params",
        f"mlp   MLP   {sum(p.numel() for p in model.blocks[0].mlp.parameters()):,} params",
    ]
    assert len(g.view.cards) < 20
    assert sum("after blocks.11" in e.labels for e in g.view.edges) == 1
    assert g.view.title == "GPT → cross_entropy"
    assert "blocks.0 … blocks.11 (× 12)" in repr(g)
    assert "Block × 12" in g.text() and "Block × 12" in g.source
    whole = tl.draw_graph(loss, params=model, fold=False, max_nodes=1000)
    assert not whole.view.folds and len(whole.view.cards) > 100


def test_names_of_parameters_and_ties(twelve):
    model, _, loss = twelve
    g = tl.draw_graph(loss, params=model)
    lines = {c.name: [line.label for line in c.lines] for c in g.view.cards if c.kind == "module"}
    assert "weight (30, 8) shared" in lines["wte"] and "wte.weight (30, 8) shared" in lines["lm_head"]
    assert "weight (24, 8)" in lines["qkv"]
    unnamed = tl.draw_graph(loss)
    assert [line.label for c in unnamed.view.cards if c.name == "qkv" for line in c.lines][-1] == "weight (24, 8)"


@pytest.mark.parametrize("depth, cards, clusters", [(0, 7, 0), (1, 12, 1), (2, 16, 3), (9, 16, 3)])
def test_depth(twelve, depth, cards, clusters):
    _, _, loss = twelve
    g = tl.draw_graph(loss, depth=depth)
    inner = [c for c in g.view.cards if c.kind != "constant"]
    assert (len(inner), len(g.view.clusters)) == (cards, clusters)
    assert g.view.caption.endswith(f"operations in {len(g.view.cards)} nodes.")


def test_expand_and_collapse(twelve):
    model, _, loss = twelve
    g = tl.draw_graph(loss, params=model, expand="blocks.3.attn.qkv")
    assert [c.name for c in g.view.clusters if c.level == 1] == [
        "blocks.0 … blocks.2",
        "blocks.3",
        "blocks.4 … blocks.11",
    ]
    assert card(g, "blocks.3.attn.qkv.weight").kind == "leaf"
    everywhere = tl.draw_graph(loss, params=model, expand=["blocks.*.attn.qkv"], depth=0)
    assert [c.name for c in everywhere.view.clusters] == ["blocks.0 … blocks.11", "attn", "qkv"]
    closed = tl.draw_graph(loss, collapse="blocks.*.mlp")
    (mlp,) = [c for c in closed.view.cards if c.name == "mlp"]
    assert mlp.inside == "Linear → GELU → Linear" and len(closed.view.clusters) == 2
    with pytest.raises(errors.ArgumentError, match=r"expand='block\.\*' is the name of no module.*wte, wpe, blocks\.0"):
        tl.draw_graph(loss, expand="block.*")


class Wide(nn.Module):
    """A chain of blocks; `hidden` of the third may differ."""

    def __init__(self, third=4, kinds=(nn.Tanh,) * 5):
        super().__init__()
        sizes = [4, 4, third, 4, 4]
        self.parts = nn.ModuleList(
            [nn.Sequential(nn.Linear(4, n), kind(), nn.Linear(n, 4)) for n, kind in zip(sizes, kinds, strict=True)]
        )

    def forward(self, x, dense=False):
        for part in self.parts:
            x = part(x)
        return x


@pytest.mark.parametrize(
    "model, names",
    [
        (lambda: Wide(), ["parts.0 … parts.4"]),
        (lambda: Wide(third=5), ["parts.0 … parts.1", "parts.2", "parts.3 … parts.4"]),
        (lambda: Wide(kinds=(nn.Tanh, nn.Tanh, nn.Tanh, nn.ReLU, nn.ReLU)), ["parts.0 … parts.2", "parts.3 … parts.4"]),
    ],
)
def test_only_equal_blocks_fold(model, names):
    g = tl.draw_graph(model(), tl.randn(2, 4))
    assert [c.name for c in g.view.clusters] == names


class Heads(nn.Module):
    """Equal branches side by side, on one input; or on one another's sums, which is neither a chain nor side by side."""

    def __init__(self, tangled=False):
        super().__init__()
        self.heads = nn.ModuleList([nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4)) for _ in range(4)])
        self.tangled = tangled

    def forward(self, x):
        made = []
        for k, head in enumerate(self.heads):
            made.append(head(made[0] if self.tangled and k > 1 else x))
        return tl.cat(made, -1)


def test_branches_side_by_side_fold():
    g = tl.draw_graph(Heads(), tl.randn(2, 4))
    assert [c.title for c in g.view.clusters] == ["heads.0 … heads.3   Sequential × 4   side by side   160 params"]
    assert [e for e in edges(g) if "output" in e] == [("Linear", "output")]
    tangled = tl.draw_graph(Heads(tangled=True), tl.randn(2, 4))
    assert [c.times for c in tangled.view.clusters] == [2, 2]  # 2 on x, 2 on the first of those


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3))
        self.start = nn.Parameter(tl.zeros(2, 3))

    def forward(self, x):
        h = self.start
        for t in range(x.shape[1]):
            h = self.cell(x[:, t] + h)
        return h


def test_time_steps_fold():
    x = tl.randn(2, 20, 3)
    g = tl.draw_graph(Recurrent(), x)
    assert g.view.folds == ["20 repeats"] and len(g.view.cards) == 6
    assert g.view.clusters[0].title == "repeated × 20   30 params"  # the cell's 24, and the start
    assert [line.text for c in g.view.cards for line in c.lines if line.label == "output"] == [
        "output after 20 repeats"
    ]
    assert [c.kind for c in g.view.cards if c.output] == ["module"]
    assert ("x", "add") in edges(g) and ("start", "add") in edges(g)


def test_plain_steps_fold_in_large_graphs_only():
    w, h = leaf([[1.0, 0.0], [0.0, 1.0]]), tl.zeros(1, 2)
    for t in range(60):
        h = (h @ w + float(t)).tanh()
        if t == 4:
            assert not tl.draw_graph(h).view.folds
    g = tl.draw_graph(h.sum(), params={"w": w})
    assert g.view.folds and len(g.view.cards) < 10
    assert card(g, "w").used == 60 and card(g, "w").cluster == -1  # shared by all steps: outside of the box


def test_a_picture_is_connected_and_without_circles(twelve):
    _, _, loss = twelve
    for g in (tl.draw_graph(loss), tl.draw_graph(loss, depth=0), tl.draw_graph(Recurrent(), tl.randn(2, 20, 3))):
        assert all(e.source < e.target for e in g.view.edges)  # cards stand in the order of the computation
        reached = {c.id for c in g.view.cards if c.output}
        for e in sorted(g.view.edges, key=lambda e: -e.target):
            if e.target in reached:
                reached.add(e.source)
        assert len(reached) == len(g.view.cards)


def test_max_nodes_lowers_the_depth_and_says_so(twelve):
    _, _, loss = twelve
    g = tl.draw_graph(loss, max_nodes=16)
    assert g.view.depth == 1 and "open to depth 1 only: more does not fit in max_nodes=16" in g.view.caption
    assert "max_nodes=16" in g.svg().replace("\u00a0", " ")


@pytest.mark.parametrize("fold", [True, False])
def test_wide_graphs_are_limited(fold):
    leaves = [leaf([float(i)]) for i in range(300)]
    g = tl.draw_graph(tl.cat(leaves), max_nodes=20, fold=fold)
    assert len(g.view.cards) == 20 and "max_nodes=20" in g.view.caption
    assert [c.title for c in g.view.cards if c.kind == "more"] == ["… 282 leaves and constants"]


class Mark:
    """Something to follow."""


@pytest.mark.parametrize("size", [5_000, pytest.param(100_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", ["chain", "random"])
def test_a_hundred_thousand_operations(kind, size):
    choose, z = random.Random(0), leaf(1.0)
    y = z
    ops = [lambda v: v * 0.9, lambda v: v + z, lambda v: v.tanh(), lambda v: v.sin(), lambda v: v - z]
    for k in range(size):
        y = (ops[k % 2] if kind == "chain" else choose.choice(ops))(y)
    mark = Mark()
    y.node.parents[0].mark, middle = mark, weakref.ref(mark)  # as long as this node is there, so is it
    del mark
    (before,) = tl.autograd.grad(y, z, retain_graph=True)
    g = tl.draw_graph(y, params={"z": z})
    text = g.svg(), g.text(), g.source
    coloured = tl.draw_graph(y, params={"z": z}, color_by="memory")
    assert len(coloured.view.cards) == len(g.view.cards) and "together" in coloured.view.caption
    (after,) = tl.autograd.grad(y, z, retain_graph=True)
    assert z.grad is None and after.item() == before.item()
    assert (
        g.record.operations == size and len(g.view.cards) <= 150 and text[0].startswith("<svg") and text[1] and text[2]
    )
    assert middle() is not None
    del y  # with the pictures still there
    assert middle() is None
    if kind == "chain":
        assert g.view.folds == [f"{size // 2:,} repeats"] and len(g.view.cards) == 3
    else:
        (more,) = [c for c in g.view.cards if c.kind == "more"]
        drawn = sum(c.kind == "op" for c in g.view.cards)
        assert more.title == f"… {size - drawn:,} operations" and "The middle is one node" in g.view.caption


@pytest.mark.parametrize("size", [3_000, pytest.param(50_000, marks=pytest.mark.slow)])
def test_an_operation_of_very_many_operands(tmp_path, size):
    leaves = [leaf(float(i)) for i in range(size)]
    g = tl.draw_graph(tl.stack([v * v for v in leaves]).sum())
    assert g.record.operations == 2 * size + 2 and g.view.folds == [f"{size:,} repeats"]
    path = g.save(tmp_path / "a folder that is made" / "wide.svg")
    assert path.stat().st_size < 100_000 and all(len(e.labels) <= 40 for e in g.view.edges)


def test_what_gets_no_gradient_is_not_said_to_be_summed():
    x, hidden = leaf([[1.0, 2.0], [3.0, 4.0]]), tl.tensor([True, False])
    source = tl.draw_graph(x.masked_fill(hidden, 0.0) + leaf([1.0, 2.0])).source
    assert source.count("broadcast (2,)") == 2 and source.count("backward sums the repeats") == 1
