"""Pictures of training: their numbers against a computation by hand, their texts by the font's widths, and bad input."""

import math
import re
import xml.etree.ElementTree as ET

import pytest

import tensorlite as tl
from tensorlite import nn, viz
from tensorlite.tensor import mode
from tensorlite.viz import base, maps


@pytest.fixture(autouse=True)
def seeded():
    tl.manual_seed(0)


def net():
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 1))


def trained():
    model = net()
    model(tl.randn(5, 3)).sum().backward()
    return model


def causal(n):
    return tl.softmax(tl.randn(n, n).masked_fill(tl.ones(n, n).triu(1).bool(), -math.inf), -1)


def lists(a):
    return [[float(v) for v in row] for row in a.tolist()]


# ---- numbers ---------------------------------------------------------------------------------------------------------


def test_grad_flow_is_the_norm_of_each_layer():
    model = trained()
    rows = tl.viz.grad_flow(model).rows
    assert [r[0] for r in rows] == ["0", "2", "4"]
    for label, value, _ in rows:
        layer = model[int(label)]
        by_hand = math.sqrt(sum(v * v for p in (layer.weight, layer.bias) for v in p.grad.flatten().tolist()))
        assert value == pytest.approx(by_hand, rel=1e-6)


def test_grad_flow_names_what_is_wrong():
    model = trained()
    model[0].weight.grad, model[0].bias.grad = model[0].weight.grad * 1e-12, None
    model[2].weight.grad = model[2].weight.grad * 1e9
    model[4].weight.grad = model[4].weight.grad * math.nan
    picture = tl.viz.grad_flow(model)
    said = [r[2] for r in picture.rows]
    assert "vanishing" in said[0] and "exploding" in said[1] and "not finite" in said[2]
    assert picture.alarms == {0, 1, 2}
    assert "no gradient yet: call backward() first" in tl.viz.grad_flow(net()).text()


def test_grad_flow_of_a_deep_model_puts_layers_together():
    model = nn.Sequential(*(nn.Sequential(*(nn.Linear(2, 2) for _ in range(6))) for _ in range(12)))
    for p in model.parameters():
        p.grad = tl.ones_like(p)
    rows = tl.viz.grad_flow(model).rows
    assert [r[0] for r in rows] == [str(i) for i in range(12)]
    assert rows[0][1] == pytest.approx(math.sqrt(6 * 6))


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_grad_through_time_of_a_recurrent_net(kind):
    layer = getattr(nn, kind)(2, 3).double()
    x = tl.randn(6, 2, dtype=tl.float64)
    line = tl.viz.grad_through_time(layer, x).history[kind]
    assert [t for t, _ in line] == list(range(6))
    # finite differences: the state at step 3 is nudged and the rest is run again
    _, state = layer(x[:4])
    parts = list(state) if isinstance(state, tuple) else [state]

    def end(parts):
        _, last = layer(x[4:], tuple(parts) if len(parts) > 1 else parts[0])
        return (last[0] if isinstance(last, tuple) else last).select(-1, 0).sum().item()

    squares = 0.0
    with tl.no_grad():
        for k, part in enumerate(parts):
            for j in range(part.numel()):
                nudge = tl.zeros(part.numel(), dtype=tl.float64)
                nudge[j] = 1e-6
                nudge = nudge.reshape(part.shape)
                up = end([p + nudge if i == k else p for i, p in enumerate(parts)])
                down = end([p - nudge if i == k else p for i, p in enumerate(parts)])
                squares += ((up - down) / 2e-6) ** 2
    assert line[3][1] == pytest.approx(math.sqrt(squares), rel=1e-5)
    assert line[-1][1] == pytest.approx(1.0)


def test_grad_through_time_of_modules_and_callables_on_one_axis():
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), 2)

    def thirds(x):
        states = [x[0].clone().requires_grad_()]
        for _ in range(4):
            states.append(states[-1] / 3)
        return states

    x = tl.randn(5, 4)
    before = tl.get_rng_state().tolist()
    picture = tl.viz.grad_through_time({"encoder": encoder, "thirds": thirds}, x)
    assert [y for _, y in picture.history["thirds"]] == pytest.approx([3.0**-k for k in (4, 3, 2, 1, 0)])
    assert len(picture.history["encoder"]) == 5 and all(y > 1e-6 for _, y in picture.history["encoder"])
    assert encoder.training and all(m.training for m in encoder.modules())
    assert all(p.grad is None for p in encoder.parameters()) and tl.get_rng_state().tolist() == before
    given = x.clone().requires_grad_()
    encoder.eval()(given)[-1, 0].backward()
    for t, y in picture.history["encoder"]:
        assert y == pytest.approx(given.grad[t].norm().item(), rel=1e-4)


@pytest.mark.parametrize("make", [lambda p: tl.optim.SGD(p, lr=0.1), lambda p: tl.optim.AdamW(p, lr=0.01)])
def test_update_ratio_is_what_the_step_then_does(make):
    model = trained()
    optimizer = make(model.parameters())
    before = [p.tolist() for p in model.parameters()]
    picture = tl.viz.update_ratio(optimizer, model)
    assert [p.tolist() for p in model.parameters()] == before and not any(optimizer.state.values())
    old = [p.detach().clone() for p in model.parameters()]
    optimizer.step()
    for (label, ratio, _), (name, p), o in zip(picture.rows, model.named_parameters(), old, strict=True):
        assert label == name and ratio == pytest.approx(((p.detach() - o).norm() / o.norm()).item(), rel=1e-5)
    optimizer.zero_grad()
    assert "no gradient yet" in tl.viz.update_ratio(optimizer).text()


def test_schedule_foretells_and_does_not_move():
    optimizer = tl.optim.SGD([tl.ones(1, requires_grad=True)], lr=0.5)
    sched = tl.optim.lr_scheduler.CosineAnnealingLR(optimizer, 20)
    line = tl.viz.schedule(sched, 30).history["lr"]
    assert sched.last_epoch == 0 and optimizer.param_groups[0]["lr"] == 0.5
    for t, lr in line:
        assert lr == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-12), t
        optimizer.step()
        sched.step()
    both = tl.viz.schedule(sched, 5, clip=1.0, norms=[0.5, 2.0, 3.0])
    assert "2 of 3 clipped" in both.title and "clip 1" in both.svg()
    assert "no data" in tl.viz.schedule(sched, 0).text()


def test_activations_count_zeros_and_saturation():
    model = nn.Sequential(nn.ReLU(), nn.Tanh())
    x = tl.tensor([[-1.0, 0.5, 9.0, -2.0], [-3.0, -1.0, 9.0, 1.0]])
    rows = tl.viz.activations(model, x).rows
    assert rows[0] == ("0", 0.5, "zero 50.0%, dead 1 of 4 units")
    assert rows[1][2] == "zero 50.0%, saturated 25.0%"
    assert "no activation (" in tl.viz.activations(nn.Linear(4, 4), x).text()


class Called(nn.Module):
    """Activations as functions: in a sub-module, twice in one place, at each step of a loop, and inside of a module."""

    def __init__(self):
        super().__init__()
        self.inner, self.act, self.cell = nn.Linear(4, 4), nn.SiLU(), nn.RNNCell(4, 2)
        with tl.no_grad():
            self.inner.weight.zero_()
            self.inner.bias.copy_(tl.tensor([1.0, -1.0, 2.0, -2.0]))

    def forward(self, x):
        x = nn.functional.relu(self.inner(x))
        x = self.act(nn.functional.relu(x - 1, inplace=True))
        h = None
        for _ in range(5):
            h = self.cell(x, h)
        return (100 * h).tanh()


def test_activations_sees_functions():
    model, x = Called(), tl.randn(3, 4)
    before = mode.watcher
    picture = tl.viz.activations(model, x)
    rows = {label: said for label, _, said in picture.rows}
    assert list(rows) == ["relu call 1", "relu call 2", "act", "cell tanh, 5 calls", "tanh"]
    assert rows["relu call 1"] == "zero 50.0%, dead 2 of 4 units"
    assert rows["relu call 2"] == "zero 75.0%, dead 3 of 4 units"
    out = model(x)
    assert rows["tanh"].endswith(f"saturated {(out.abs() >= 0.99).float().mean().item():.1%}")
    assert rows["act"] == "zero 75.0%"  # what SiLU calls within is not told
    assert mode.watcher is before and picture.alarms == {0, 1}
    with pytest.raises(tl.errors.TensorliteError):
        tl.viz.activations(model, tl.randn(3, 5))
    assert mode.watcher is before


def test_activations_change_nothing():
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(), nn.ReLU())
    model[1].eval()
    state, before = tl.get_rng_state().tolist(), model[0].running_mean.tolist()
    tl.viz.activations(model, tl.ones(4, 3))
    assert tl.get_rng_state().tolist() == state and model[0].running_mean.tolist() == before
    assert model.training and not model[1].training and not model[2].__dict__.get("_forward_hooks")


def test_attention_hatches_what_is_masked_and_shows_the_numbers():
    w = causal(4)
    svg = tl.viz.attention(w, list("abcd")).svg()
    assert svg.count("url(#hatch)") == 6
    for v in (v for row in lists(w) for v in row if v):
        assert maps._short(v) in svg
    many = tl.viz.attention(tl.stack([tl.stack([w, w, w])] * 2))
    (masked,) = re.findall(r'<path d="([^"]+)" fill="url\(#hatch\)"', many.svg())
    assert "2 layers of 3 heads" in many.svg() and masked.count("M") == 36
    heads = tl.viz.attention([tl.stack([causal(32)] * 8)] * 4)
    assert len(heads.svg()) < 20 * 4 * 8 * 32 * 32 and tl.viz.heatmap(tl.randn(64, 128)).svg().count("<path") <= 202
    assert tl.viz.attention([tl.stack([w, w, w])] * 2).svg() == many.svg()


def test_heatmap_is_centred_at_zero():
    svg = tl.viz.heatmap([[-2.0, 0.0, 1.0]]).svg()
    cells = re.findall(r'<path d="M([\d.]+) 60h24v24h-24z" fill="var\(--(\w+)\)"(?: fill-opacity="([\d.]+)")?', svg)
    assert sorted(cells) == [("16", "value", ""), ("40", "value", "0"), ("64", "grad", "0.5")]
    big = tl.viz.heatmap(tl.arange(300.0).reshape(300, 1))
    assert big.note.startswith("300 x 1, 0 .. 299") and big.svg().count("<rect") < 200


# ---- every picture ---------------------------------------------------------------------------------------------------


def pictures():
    model = trained()
    optimizer = tl.optim.SGD(model.parameters(), lr=0.1)
    sched = tl.optim.lr_scheduler.LambdaLR(optimizer, lambda t: 0.9**t)
    long = ["Constantinople", "the", "<script>", "matter-of-fact", "注意力", "x"]
    return {
        "curves": tl.viz.curves({"train": [(1, 2.0), (2, 1.0)], "val & more": [(2, math.nan), (3, 1.0)]}),
        "curves empty": tl.viz.curves({}),
        "curves nan": tl.viz.curves({"a": [(0, math.nan), (1, math.inf)]}),
        "flow": tl.viz.grad_flow(model),
        "flow none": tl.viz.grad_flow(nn.ReLU()),
        "ratio": tl.viz.update_ratio(optimizer),
        "time": tl.viz.grad_through_time({"RNN": nn.RNN(2, 2), "LSTM": nn.LSTM(2, 2)}, tl.randn(8, 2)),
        "schedule": tl.viz.schedule(sched, 9, clip=0.5, norms=[0.1, 1.0]),
        "activations": tl.viz.activations(model, tl.randn(5, 3)),
        "attention": tl.viz.attention(causal(6), long),
        "attention large": tl.viz.attention(causal(40), [f"token {i}" for i in range(40)]),
        "attention heads": tl.viz.attention(tl.stack([causal(50)] * 3)),
        "attention empty": tl.viz.attention(tl.zeros(0, 0)),
        "attention nan": tl.viz.attention([[math.nan, 1.0], [0.0, math.inf]]),
        "heatmap": tl.viz.heatmap(tl.randn(20, 30)),
        "heatmap nan": tl.viz.heatmap([math.nan, -1.0, math.inf]),
        "heatmap empty": tl.viz.heatmap(tl.zeros(0, 3)),
        "heatmap zero": tl.viz.heatmap(tl.zeros(2, 2)),
    }


@pytest.mark.parametrize("name", list(pictures()))
def test_every_picture_is_well_formed_and_texts_neither_overlap_nor_leave_it(name, monkeypatch, tmp_path):
    drawn = []
    original = base.Canvas.svg
    monkeypatch.setattr(base.Canvas, "svg", lambda self, alt: drawn.append(self) or original(self, alt))
    picture = pictures()[name]
    svg = picture.svg()
    root = ET.fromstring(svg)
    width, height = float(root.get("width")), float(root.get("height"))
    assert root.get("role") == "img" and "nan" not in re.sub(r">[^<]*<|aria-label=\"[^\"]*\"", "", svg)
    assert re.findall(r"https?://[^\"]+", svg).count("http://www.w3.org/2000/svg") == len(re.findall(r"https?://", svg))
    assert "prefers-color-scheme:dark" in svg and "<script" not in svg
    for canvas in drawn[:1]:
        for x0, y0, x1, y1, said in canvas.boxes:
            assert x0 >= 0 and y0 >= 0 and x1 <= width and y1 <= height, said
        for i, a in enumerate(canvas.boxes):
            for b in canvas.boxes[:i]:
                assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1], (a[4], b[4])
    assert picture.text().strip() and picture._repr_svg_() == svg == picture._repr_html_()
    for end in (".svg", ".html", ".txt"):
        path = picture.save(tmp_path / f"p{end}")
        first = path.read_bytes()
        assert picture.save(path).read_bytes() == first
    with pytest.raises(tl.errors.ArgumentError, match="must end with"):
        picture.save(tmp_path / "p.png")


def contrast(a, b):
    def luminance(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("name", ["curves", "attention", "flow"])
def test_texts_have_contrast_light_and_dark(name):
    svg = pictures()[name].svg()
    light, dark = re.findall(r"svg\{(--[^}]*)\}", svg)
    inks = set(re.findall(r'<(?:text|tspan)[^>]*fill="var\(--([\w-]+)\)"', svg)) | {"grey"}
    inks |= set("abcd") if name == "curves" else set()
    for theme in (light, dark):
        colours = dict(re.findall(r"--([\w-]+):(#\w{6})", theme))
        worst = min(contrast(colours[ink], colours["paper"]) for ink in inks)
        if name == "attention":  # the darkest cell with a number in it
            mixed = [
                round(0.5 * int(colours["value"][i : i + 2], 16) + 0.5 * int(colours["paper"][i : i + 2], 16))
                for i in (1, 3, 5)
            ]
            worst = min(worst, contrast(colours["text"], "#" + "".join(f"{v:02x}" for v in mixed)))
        assert worst >= 4.5


def test_a_learning_rate_gets_an_axis_of_its_own():
    loss, acc = [(t, 3.0 - 0.01 * t) for t in range(50)], [tl.tensor(0.01 * t) for t in range(50)]
    picture = tl.viz.curves({"loss": loss, "lr": [(t, 1e-3) for t in range(50)], "accuracy": acc})
    assert [list(p.history) for p in picture.parts] == [["loss", "accuracy"], ["lr"]]
    assert picture.parts[0].history["accuracy"][-1] == (49, pytest.approx(0.49))
    assert ">lr</text>" in picture.svg() and "0.001 -> 0.001" in picture.text()
    assert isinstance(tl.viz.curves({"a": [1.0, 2.0], "b": [0.0, 0.0], "c": [math.nan]}), viz.Curves)


def test_curves_differ_without_colours_and_their_texts_fit():
    history = {f"a rather long name {i}": [(t, 1e-4 * (i + 1) * 0.9**t) for t in range(9)] for i in range(8)}
    for log in (False, True):
        picture = viz.Curves({**history, "one": [(3, 0.5)]}, "title", log=log)
        svg = picture.svg()
        marks = re.findall(r'stroke="var\(--(\w)\)" stroke-width="2"(?: stroke-dasharray="([\d ]+)")?', svg)
        assert len(set(marks[:8])) == 8 and len({dash for _, dash in marks[:4]}) == 4
        assert svg.count("<circle") == 1  # of one point
        for x, side, said in re.findall(r'<text x="([\d.]+)" y="[\d.]+"(?: text-anchor="(\w+)")?>([^<]+)</text>', svg):
            long = base.wide(said)
            left = float(x) - {"": 0, "middle": long / 2, "end": long}[side]
            assert left >= 0 and left + long <= 720, said
        for x, said in re.findall(r'<text x="([\d.]+)" y="[-\d.]+"><tspan fill[^>]*>([^<]+)<', svg):
            assert float(x) + base.wide(said) <= 720
    spread = viz.Curves({"a": [(0, 1e-16), (1, 3.0)]}, log=True).svg()
    ticks = re.findall(r">(1e-?\d+)<", spread)
    assert "1e-15" in ticks and "1e-20" not in ticks and "1e5" not in ticks


def test_thumbnails_and_large_grids_are_shaded_by_the_strongest_weight():
    flat = tl.full((1, 50, 50), 0.02)
    svg = tl.viz.attention(flat).svg()
    assert "strongest 0.02" in svg and 'fill-opacity="0.950"' in svg


def test_what_is_not_finite_is_said():
    assert "a: 2 values not finite" in tl.viz.curves({"a": [(0, math.nan), (1, math.inf)]}).svg()
    assert "2 not finite (hatched)" in tl.viz.heatmap([math.nan, 1.0, math.inf]).text()
    assert "an empty array" in tl.viz.heatmap(tl.zeros(0, 3)).text()
    assert tl.viz.attention([[math.nan, 1.0]]).svg().count("url(#hatch-alarm)") == 1


def test_show_opens_a_page(monkeypatch):
    seen = []
    monkeypatch.setattr("webbrowser.open", seen.append)
    path = tl.viz.heatmap([1.0]).show()
    assert seen == [path.as_uri()] and path.read_text(encoding="utf-8").startswith("<!doctype html>")


BAD = {
    "flow": (lambda: tl.viz.grad_flow(3), "a Module is needed, not int"),
    "ratio": (lambda: tl.viz.update_ratio(3), "an Optimizer is needed, not int"),
    "schedule": (lambda: tl.viz.schedule(3, 5), "a learning-rate schedule is needed, not int"),
    "activations": (lambda: tl.viz.activations(3, 5), "a Module is needed, not int"),
    "batch": (lambda: tl.viz.attention(tl.zeros(1, 1, 1, 2, 2)), "got 5 dimensions"),
    "tokens": (lambda: tl.viz.attention(tl.zeros(2, 2), ["a"]), "1 tokens were given for 2 positions"),
    "heatmap": (lambda: tl.viz.heatmap(tl.zeros(2, 2, 2)), "1 or 2 dimensions can be shown, got 3"),
    "words": (lambda: tl.viz.heatmap("abc"), "not str"),
    "two ways": (lambda: tl.viz.grad_through_time(nn.RNN(2, 2, bidirectional=True), tl.zeros(3, 2)), "bidirectional"),
    "no steps": (lambda: tl.viz.grad_through_time(nn.RNN(2, 2), tl.zeros(0, 2)), "no steps"),
    "integers": (lambda: tl.viz.grad_through_time(nn.Embedding(2, 2), tl.zeros(3, dtype=tl.int64)), "no gradient"),
    "states": (lambda: tl.viz.grad_through_time(lambda x: [], tl.zeros(3)), "one per step"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_in_words(name):
    run, words = BAD[name]
    with pytest.raises(tl.errors.TensorliteError, match=re.escape(words)):
        run()
