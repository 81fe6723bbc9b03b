"""tl.draw_graph(color_by=...): the numbers of memory, time and gradients are right, add up over folds, and stand on the cards."""

import itertools
import math
import re
import subprocess

import numpy as np
import pytest

import tensorlite as tl
from tensorlite import errors, nn
from tensorlite.graph import dot, heat, theme
from tensorlite.models.gpt import GPT, GPTConfig


def leaf(value):
    return tl.tensor(value, requires_grad=True)


def card(g, title):
    """The one card with this title."""
    (found,) = [c for c in g.view.cards if c.title == title]
    return found


def said(g, title, label):
    """The text on the right of a line of a card."""
    return next(line.text for line in card(g, title).lines if line.label == label)


def gpt(layers=4):
    model = GPT(GPTConfig(vocab_size=20, block_size=4, layers=layers, heads=2, dim=8))
    idx = tl.arange(4).reshape(1, 4)
    return model, idx, model(idx, idx)[1]


def test_memory_is_what_is_saved_each_array_once(device):
    x, w, b = tl.ones(10, 5), leaf(np.ones((5, 3), "float32")), leaf(np.ones(3, "float32"))
    h = x @ w + b  # matmul saves x, which belongs to x
    y = h.exp()  # saves its result
    z = y * y  # saves y, which exp has saved already
    g = tl.draw_graph(z.sigmoid().sum(), params={"x": x, "w": w, "b": b}, color_by="memory", show=())
    texts = {c.title: c.lines[-1].text.split(",")[0] for c in g.view.cards}
    assert texts == {"x": "200 B", "w": "60 B", "b": "12 B", "matmul": "0", "add": "0", "exp": "120 B", "mul": "0",
                     "sigmoid": "120 B", "sum": "0"}  # fmt: skip
    assert "512 B together" in g.view.caption
    assert [c.heat for c in g.view.cards if c.title in ("b", "x", "add")] == [4, 0, 0]


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_folds_and_clusters_show_the_sum(depth):
    _, _, loss = gpt()
    options = {"color_by": "memory", "max_nodes": 1000}
    record = tl.draw_graph(loss, fold=False, depth=9, **options)
    g = tl.draw_graph(loss, depth=depth, **options)
    for picture in (record, g):
        ids = sorted(i for c in picture.view.cards for i in c.whole)
        assert ids == list(range(len(picture.record.items)))  # every item is of one card
    bytes_ = [line.text for c in g.view.cards for line in c.lines if line.kind == "heat"]
    together = re.search(r"Coloured by memory, (.*?) together", g.view.caption)[1]
    assert together in record.view.caption
    assert sum(" in 4" in t for t in bytes_) == (1 if depth == 0 else len([c for c in g.view.cards if c.cluster >= 0]))
    for box in g.view.clusters:
        assert box.amount and box.amount in box.title and box.amount in g.text()


def test_gradients_that_are_there_and_their_norm_over_a_fold():
    model, _, loss = gpt()
    loss.backward()
    g = tl.draw_graph(loss, params=model, color_by="grad")
    (box,) = [c for c in g.view.clusters if c.level == 1]
    norm = math.sqrt(sum((p.grad.numpy().astype(float) ** 2).sum() for b in model.blocks for p in b.parameters()))
    assert box.amount == f"|g| = {norm:.4g}"
    norm = np.linalg.norm(model.wpe.weight.grad.numpy())
    (wpe,) = [c for c in g.view.cards if c.name == "wpe"]
    assert wpe.lines[-1].text == f"{math.log10(norm):.2f}, |g| = {norm:.4g}"
    assert g.view.legend.unknown and "not known" in g.svg().replace("\u00a0", " ")


def test_gradients_that_are_not_there_are_computed_aside(device):
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    x = tl.randn(5, 3)
    hidden = model[0](x)
    loss = (model[2](model[1](hidden)) ** 2).mean()
    g = tl.draw_graph(loss, params=model, color_by="grad", show=())
    assert "for this picture alone" in g.view.caption and all(p.grad is None for p in model.parameters())
    (expected,) = tl.autograd.grad(loss, hidden, retain_graph=True)
    inner = tl.draw_graph(loss, params=model, color_by="grad", show=(), depth=9, expand="*")
    linear = next(c for c in inner.view.cards if c.title == "linear")
    norm = np.linalg.norm(expected.cpu().numpy())
    assert linear.lines[-1].text == f"{math.log10(norm):.2f}, |g| = {norm:.4g}"
    loss.backward()  # the graph is whole still
    norm = np.linalg.norm(model[0].weight.grad.cpu().numpy())
    (weight,) = [c for c in inner.view.cards if c.title == "0.weight"]
    assert weight.lines[-1].text == f"{math.log10(norm):.2f}, |g| = {norm:.4g}"


def test_times_of_a_model_that_the_picture_runs():
    class Slow(nn.Module):
        def forward(self, x):
            y = x.tanh()
            np.linalg.svd(np.ones((150, 150)))  # counts to the operation that follows
            return y.exp().sum()

    calls = []
    model = Slow()
    model.register_forward_hook(lambda *_: calls.append(1))
    g = tl.draw_graph(model, leaf(np.ones(4)), color_by="time", show=())
    heats = {c.title: c.heat for c in g.view.cards}
    assert heats["exp"] == 4 and heats["tanh"] is not None and heats["x"] is None and 1 <= len(calls) <= 5
    assert re.fullmatch(r"[\d.]+ (us|ms|s), \d+ %", said(g, "exp", "time"))


def test_times_that_a_profile_saw():
    w = leaf(np.ones((4, 4)))
    with tl.profiler.profile() as prof:
        loss = (w @ w).exp().max(0)[0].sum()  # max has two results
        loss.backward()
    for kind in ("forward", "backward"):
        g = tl.draw_graph(loss, params={"w": w}, color_by="time", kind=kind, show=())
        seconds = prof.seconds(kind == "backward")
        found = [e.time for e in prof.events if e.name == "exp" and e.kind == kind]
        assert found and any(abs(sum(found) - s) < 1e-12 for s in seconds.values())
        assert heat.duration(float(f"{sum(found):.3g}")) in said(g, "exp", "time")
    assert "time of the backward pass" in g.view.caption
    del prof
    with pytest.raises(errors.ArgumentError, match=r"color_by='time' needs .* profile"):
        tl.draw_graph(loss, color_by="time")


@pytest.mark.parametrize(
    "make, what, words",
    [
        (lambda x: (x * 2).exp(), "time", "needs operations that a profile saw run.*draw_graph\\(model, x"),
        (lambda x: (x * 2).exp(), "grad", "needs gradients, and there are none: call backward\\(\\) first"),
        (lambda x: ((y := (x * x).sum()).backward(), y)[1], "memory", "backward\\(\\) has freed them; draw before"),
    ],
)
def test_what_is_not_there_is_said(make, what, words):
    with pytest.raises(errors.ArgumentError, match=words):
        tl.draw_graph(make(leaf([1.0, 2.0])), color_by=what)


@pytest.mark.parametrize("what", ["memory", "time", "grad"])
@pytest.mark.parametrize("mode", ["light", "dark", "auto"])
def test_the_legend_stands_in_every_form(what, mode):
    model = nn.Sequential(nn.Linear(3, 40), nn.Tanh(), nn.Linear(40, 1))
    g = tl.draw_graph(lambda x: model(x).sum(), tl.randn(50, 3), color_by=what, theme=mode)
    svg = g.svg("own").replace("\u00a0", " ")
    for k, text in enumerate(g.view.legend.steps):
        assert f">{text}<" in svg and text in g.source and f"--heat{k}" in svg
        assert theme.SCALES[what][mode == "dark"][k] in svg
    assert (theme.SCALES[what][1][4] in svg) == (mode != "light")
    for c in g.view.cards:
        assert (c.heat is None) == (not any(line.kind == "heat" for line in c.lines))
    assert f"Coloured by {what}" in g.text() and "Coloured" in svg
    assert f'class="tl-graph {mode} {what}"' in svg and f".tl-graph.{mode}.{what}{{" in svg
    plain = tl.draw_graph(lambda x: model(x).sum(), tl.randn(50, 3), theme=mode)
    assert "--heat" not in plain.svg() and "legend" not in plain.source
    if dot.program():
        done = subprocess.run([dot.program(), "-Tplain"], input=g.source.encode(), capture_output=True)
        assert done.returncode == 0 and b"legend" in done.stdout


def test_contrast_of_text_on_the_scales():
    def light(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        r, g, b = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    for day, night in theme.SCALES.values():
        for scale, ink, steps in ((day, theme.LIGHT["text"], -1), (night, theme.DARK["text"], 1)):
            lights = [light(c) for c in scale]
            assert all(steps * (b - a) > 0 for a, b in itertools.pairwise(lights))  # read without colour, too
            for ground in lights:
                a, b = sorted((light(ink), ground))
                assert (b + 0.05) / (a + 0.05) >= 4.5
