"""Every kind of graph, by every renderer, light and dark: a neuron, an MLP, attention, a GPT, an LSTM, an encoder and decoder, ..."""

import itertools
import re
import subprocess
import xml.etree.ElementTree as ET

import pytest
from test_graph_pictures import SVG, faults, overlap, points

import tensorlite as tl
from tensorlite import nn
from tensorlite.graph import dot, metrics, svg
from tensorlite.models.gpt import GPT, GPTConfig


def leaf(*shape):
    return tl.randn(*shape, requires_grad=True)


def neuron(**options):
    x, w, b = leaf(), leaf(), leaf()
    o = (x * w + b).tanh()
    o.backward()
    return tl.draw_graph({"o": o}, params={"x": x, "w": w, "b": b}, **options)


def mlp(**options):
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3))
    loss = nn.functional.cross_entropy(model(tl.randn(8, 4)), tl.arange(8) % 3)
    return tl.draw_graph({"loss": loss}, params=model, **options)


def attention(**options):
    x, wq, wk, wv = tl.randn(6, 8), leaf(8, 4), leaf(8, 4), leaf(8, 4)
    scores = (x @ wq) @ (x @ wk).T / 2.0
    scores = scores.masked_fill(tl.tril(tl.ones(6, 6)) == 0, float("-inf"))
    out = scores.softmax(-1) @ (x @ wv)
    return tl.draw_graph({"out": out.sum()}, params={"x": x, "Wq": wq, "Wk": wk, "Wv": wv}, **options)


def gpt(layers=12, **options):
    model = GPT(GPTConfig(vocab_size=20, block_size=4, layers=layers, heads=2, dim=8))
    idx = tl.arange(4).reshape(1, 4)
    return tl.draw_graph(model(idx, idx)[1], params=model, **options)


def lstm(**options):
    return tl.draw_graph(lambda x: lstm.model(x)[0].sum(), tl.randn(50, 2, 3), **options)


lstm.model = nn.LSTM(3, 5)


class Steps(nn.Module):
    """An LSTM cell called for each of 50 steps."""

    def __init__(self):
        super().__init__()
        self.cell, self.out = nn.LSTMCell(3, 5), nn.Linear(5, 1)

    def forward(self, x):
        state = None
        for t in range(x.shape[0]):
            state = self.cell(x[t], state)
        return self.out(state[0]).sum()


def steps(**options):
    return tl.draw_graph(Steps(), tl.randn(50, 2, 3), **options)


class Translate(nn.Module):
    """An encoder, and a decoder that looks at it."""

    def __init__(self):
        super().__init__()
        self.transformer = nn.Transformer(8, 2, 3, 3, 16, batch_first=True)

    def forward(self, src, tgt):
        return self.transformer(src, tgt).sum()


def translate(**options):
    return tl.draw_graph(Translate(), tl.randn(2, 4, 8), tl.randn(2, 3, 8), **options)


def failed(**options):
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(5, 1))
    return tl.draw_graph(model, tl.randn(2, 3), **options)


KINDS = {  # name -> (picture, most nodes)
    "neuron": (neuron, 6),
    "mlp": (mlp, 10),
    "attention": (attention, 16),
    "gpt": (gpt, 20),
    "gpt, dear": (lambda **o: gpt(color_by="memory", **o), 20),
    "gpt, gradients": (lambda **o: gpt(color_by="grad", **o), 20),
    "gpt, walk back": (lambda **o: gpt(kind="backward", **o), 20),
    "gpt, higher": (lambda **o: gpt(kind="higher", **o), 35),
    "lstm": (lstm, 16),
    "steps": (steps, 25),
    "translate": (translate, 40),
    "translate, slow": (lambda **o: translate(color_by="time", **o), 40),
    "failed": (failed, 6),
}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", KINDS)
def test_every_kind_by_every_renderer(name, theme):
    make, most = KINDS[name]
    g = make(theme=theme)
    assert 3 < len(g.view.cards) <= most
    assert list(faults(g.view, svg.places(g.view, g.direction, "own"))) == []
    for engine in ("own", "dot", "wasm"):
        if (engine == "dot" and not dot.program()) or (engine == "wasm" and not dot.wasm()):
            continue
        root = ET.fromstring(g.svg(engine))
        cards = [n for n in root.iter(f"{SVG}g") if n.get("class", "").startswith("card")]
        boxes = [tuple(float(n.find(f"{SVG}rect").get(k)) for k in ("x", "y", "width", "height")) for n in cards]
        assert len(cards) == len(g.view.cards) and not any(overlap(a, b) for a, b in itertools.combinations(boxes, 2))
        wide, high = float(root.get("width")), float(root.get("height"))
        assert all(x >= 0 and y >= 0 and x + w <= wide and y + h <= high for x, y, w, h in boxes)
        texts = ["".join(t.itertext()).replace("\u00a0", " ") for t in root.iter(f"{SVG}text")]
        for card in g.view.cards:
            assert card.title in texts and (not card.note or card.note in texts)
        if engine != "own":
            assert boxes != [svg.places(g.view, g.direction, "own").cards[c.id] for c in g.view.cards]
    if dot.program():
        done = subprocess.run([dot.program(), "-Tplain"], input=g.source.encode(), capture_output=True)
        assert done.returncode == 0 and done.stderr == b""
    assert "\ufffd" not in g.source + g.text()


def test_equal_steps_of_time_are_one():
    g = steps()
    (box,) = g.view.clusters
    assert (box.kind, box.times) == ("LSTMCell", 50)
    assert {e.labels[0] for e in g.view.edges if "after" in "".join(e.labels)} == {"after call 50"}


def test_titles_stand_beside_the_edges_that_come_in():
    g = gpt()
    at = svg.places(g.view, "TB", "own")
    root = ET.fromstring(g.svg("own"))
    group = next(n for n in root.iter(f"{SVG}g") if "translate" in n.get("transform", ""))
    title = next(t for t in group.iter(f"{SVG}text") if (t.text or "").startswith("blocks.0\u00a0…"))
    x, y = float(title.get("x")), float(title.get("y"))
    box = (x, y - 12, metrics.width(title.text, svg.CLUSTER_TEXT), 14)
    for path in at.paths.values():
        assert not any(overlap((*p, 0, 0), box) for p in points(path))


def test_long_edges_are_straight():
    for make in (attention, gpt, steps):
        g = make()
        for path in svg.places(g.view, "TB", "own").paths.values():
            across = {x for x, _ in re.findall(r"([\d.]+),([\d.]+)", path)}
            assert len(across) <= 4  # out of the card, along, beside a label, into the card


def test_branches_that_meet_stand_side_by_side():
    g = attention()
    at = svg.places(g.view, "TB", "own")
    reads = {g.view.cards[e.source].title: e.target for e in g.view.edges}
    q, k, v = (at.cards[reads[name]][0] for name in ("Wq", "Wk", "Wv"))
    assert not min(q, k) < v < max(q, k)  # scores are made of q and k; v joins later
