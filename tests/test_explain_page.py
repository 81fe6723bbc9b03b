"""The explainer's page: one safe file without requests, readable without JavaScript, walked by keyboard in a real browser."""

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

import tensorlite as tl
from tensorlite.explainer import page as page_, words
from tensorlite.explainer.layout import arrange
from tensorlite.explainer.lessons import LESSONS, lesson

NAMESPACE = "http://www.w3.org/2000/svg"
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--virtual-time-budget=20000",
]  # fmt: skip


def data_of(html):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.S)[1])


def browser(page, tmp_path, script="", address="", flags=()):
    """The DOM of a page after it ran, with a script added to it."""
    program = next((p for p in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if p), None)
    if program is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    file = tmp_path / "page.html"
    file.write_text(page.replace("</body>", f"<script>{script}</script></body>"), encoding="utf-8")
    command = [
        program,
        *FLAGS,
        f"--user-data-dir={tmp_path / 'profile'}",
        *flags,
        "--dump-dom",
        file.as_uri() + address,
    ]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120).stdout


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("name", LESSONS)
def test_one_small_file_without_requests(name, lang):
    html = lesson(name, lang).html()
    assert len(html.encode()) <= 100_000
    assert set(re.findall(r"\b(?:https?|ftp|wss?|data|file):[^\s\"'`)]+", html)) == {NAMESPACE}
    assert not re.search(r"fetch\(|XMLHttpRequest|WebSocket|@import|url\(|<link|\bsrc=|import\(", html)
    assert "{{" not in html and f'lang="{"zh-CN" if lang == "zh" else "en"}"' in html
    assert html == lesson(name, lang).html(), "not the same bytes"


def test_big_graphs_stay_small():
    x = tl.rand(8, 8, dtype=tl.float64).requires_grad_()
    y = x
    for k in range(35):
        y = (y * 1.01).sin() if k % 2 else y.tanh()
    e = tl.explain(y.sum())
    assert len(e.html().encode()) <= 100_000


def test_the_text_stands_there_without_javascript():
    class Text(HTMLParser):
        def __init__(self):
            super().__init__()
            self.open, self.text, self.inside = False, [], 0

        def handle_starttag(self, tag, attrs):
            if tag == "details":
                self.open, self.inside = "open" in dict(attrs), 1

        def handle_endtag(self, tag):
            self.inside = 0 if tag == "details" else self.inside

        def handle_data(self, text):
            if self.inside:
                self.text.append(text)

    e = lesson("neuron")
    found = Text()
    found.feed(e.html())
    text = "".join(found.text)
    assert found.open
    for line in e.text(color=False).splitlines()[1:]:
        assert line.strip() in text
    assert "html:not(.js) .js-only{display:none}" in e.html()


HOSTILE = [
    "</script><script>alert(1)</script>",
    "<!--",
    "]]>",
    '"><img src=x onerror=alert(1)>',
    "a&b;\u2028",
    "{{data}}",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_do_no_harm(name, tmp_path):
    x = tl.tensor(2.0, requires_grad=True)
    e = tl.explain(x * x, params={name: x}, title=name, intro=name)
    html = e.html()
    assert data_of(html)["vars"][0][0] == name[:21] + "…" or data_of(html)["vars"][0][0] == name
    assert html.count("</script>") == 3 and html.count("<script") == 3 and "<img" not in html
    body = html.split("</style>")[1].split('<script type="application/json"')[0]
    assert "<!--" not in body.replace("<!doctype", "")


def test_hostile_names_in_the_browser(tmp_path):
    x = tl.tensor(2.0, requires_grad=True)
    html = tl.explain(x * x, params={HOSTILE[0]: x}, title=HOSTILE[0]).html()
    dom = browser(html, tmp_path, "document.body.dataset.ok = document.querySelectorAll('.node').length")
    assert 'data-ok="2"' in dom


def test_nan_and_inf():
    x = tl.tensor([0.0, -1.0], requires_grad=True)
    data = data_of(tl.explain(lambda: x.log().sum()).html())
    text = json.dumps(data["arrays"])
    assert "NaN" not in text and '"-inf"' in text and '"nan"' in text


# ---- colours -------------------------------------------------------------------------------------------------------------


def luminance(colour):
    colour = colour.lstrip("#")
    colour = "".join(c * 2 for c in colour) if len(colour) == 3 else colour
    parts = [int(colour[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    return sum(
        w * (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4)
        for w, c in zip((0.2126, 0.7152, 0.0722), parts)
    )


def contrast(a, b):
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def mixed(top, under, share):
    def parts(c):
        c = c if len(c) == 7 else "#" + "".join(x * 2 for x in c.lstrip("#"))
        return [int(c[i : i + 2], 16) for i in (1, 3, 5)]

    return "#" + "".join(f"{round(share * a + (1 - share) * b):02x}" for a, b in zip(parts(top), parts(under)))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_contrast(theme):
    css = (Path(page_.__file__).parent / "page.css").read_text(encoding="utf-8")
    block = re.search(r":root\{(.*?)\}" if theme == "light" else r"\n\[data-theme=dark\]\{(--.*?)\}", css)[1]
    c = dict(re.findall(r"--(\w+):(#\w+)", block))
    assert theme == "light" or css.count(block) == 2, "dark by the reader's screen and by the button are not the same"
    pairs = [(c[text], c[back]) for text in ("ink", "mut") for back in ("bg", "card")]
    pairs += [(c[k], c["card"]) for k in ("val", "grad", "loc")] + [(c[k], c[k + "bg"]) for k in ("val", "grad", "loc")]
    pairs += [(c["bg"], c["ink"]), (c["ink"], c["gradbg"]), (c["ink"], c["valbg"]), (c["mut"], c["gradbg"])]
    pairs += [(c["val"], c["gradbg"])]
    pairs += [(c["ink"], mixed(c[k], c["card"], 0.36)) for k in ("val", "grad")]  # the darkest cells of a grid
    assert min(contrast(a, b) for a, b in pairs) >= 4.5, [(a, b, contrast(a, b)) for a, b in pairs]


# ---- words and places -----------------------------------------------------------------------------------------------------


def test_words():
    for key, (en, zh) in words.TABLE.items():
        assert en and zh and set(re.findall(r"\{\w+\}", en)) == set(re.findall(r"\{\w+\}", zh)), key
    js = (Path(page_.__file__).parent / "page.js").read_text(encoding="utf-8")
    used = set(re.findall(r"\bT\.(\w+)", js)) | set(re.findall(r'say\("(\w+)"', js))
    assert used <= set(words.TABLE)
    html = (Path(page_.__file__).parent / "page.html").read_text(encoding="utf-8")
    assert {k for k in re.findall(r"\{\{t_(\w+)\}\}", html)} <= set(words.TABLE)


@pytest.mark.parametrize("name, pairs", [
    ("neuron", ["x1 w1", "w1 x2", "x2 w2", "u v", "s b"]), ("fan-out", ["a b"]), ("rnn", ["w h0"]), ("broadcast", ["X b"]),
])  # fmt: skip
def test_operands_stand_in_their_order(name, pairs):
    e = lesson(name)
    gradients = {s.target: s.after for s in e.steps if s.kind in ("share", "seed")}
    cards = arrange(e.variables, gradients, {})[0]
    y = {v.name: c.y for v, c in zip(e.variables, cards)}
    for a, b in map(str.split, pairs):
        assert y[a] < y[b]


@pytest.mark.parametrize("name", LESSONS)
def test_cards_do_not_overlap(name):
    e = lesson(name)
    gradients = {s.target: s.after for s in e.steps if s.kind in ("share", "seed")}
    cards, edges, width, height = arrange(e.variables, gradients, {})
    for i, a in enumerate(cards):
        assert a.x >= 0 and a.y >= 0 and a.x + a.w <= width and a.y + a.h <= height
        for b in cards[:i]:
            assert a.x + a.w <= b.x or b.x + b.w <= a.x or a.y + a.h <= b.y or b.y + b.h <= a.y
    for edge in edges:
        assert cards[edge.source].x + cards[edge.source].w < cards[edge.target].x
        xs = [x for x, _ in edge.points]
        assert xs == sorted(xs) and edge.points[0][0] == cards[edge.source].x + cards[edge.source].w


# ---- the browser ----------------------------------------------------------------------------------------------------------

WALK = """
const said = [], key = k => document.dispatchEvent(new KeyboardEvent("keydown", {key: k, bubbles: true, cancelable: true}));
const note = () => said.push([location.hash, document.querySelector(".t").textContent, document.getElementById("count").textContent]);
note();
for (let i = 0; i < steps.length - 1; i++) { key("ArrowRight"); note(); }
key("ArrowRight"); note(); key("ArrowLeft"); note(); key("Home"); note(); key("End"); note();
key("Home"); key(" "); said.push(document.getElementById("bp").textContent); key(" ");
said.push([document.getElementById("side").getAttribute("aria-live"), document.getElementById("text").open]);
document.body.dataset.said = JSON.stringify(said);
"""


def said(dom):
    found = re.search(r'data-said="(.*?)"', dom, re.S)
    assert found, dom[-2000:]
    return json.loads(found[1].replace("&quot;", '"').replace("&amp;", "&"))


def test_walked_by_keyboard(tmp_path):
    e = lesson("fan-out")
    found = said(browser(e.html(), tmp_path, WALK))
    n = len(e.steps)
    names = [v.name for v in e.variables]
    titles = [t for _, t, _ in found[:n]]
    want = [f"{names[s.source]} hands its share to {names[s.target]}" for s in e.steps if s.kind == "share"]
    assert [t for t in titles if "hands" in t] == want
    assert [h for h, _, _ in found[:n]] == [f"#0.{k + 1}" if k else "" for k in range(n)] or found[0][0] == "#0.1"
    assert found[n] == found[n - 1] and found[n + 1] == found[n - 2]  # the end is the end; back
    assert found[n + 2][1:] == found[0][1:] and found[n + 3] == found[n - 1]  # Home, End
    assert found[n + 4] == "Pause" and found[n + 5] == ["polite", False]


def test_the_address_keeps_the_step(tmp_path):
    script = "document.body.dataset.said = JSON.stringify([at, wrong, document.querySelector('.acc').textContent])"
    at, wrong, text = said(browser(lesson("why-order-matters").html(), tmp_path, script, "#1.8"))
    assert (at, wrong) == (7, True) and "too late" in text
    at, wrong, text = said(browser(lesson("why-order-matters").html(), tmp_path, script, "#0.8"))
    assert (at, wrong) == (7, False) and "a.grad = 2 + 2 = 4" in text


def test_modules_open(tmp_path):
    class Tower(tl.nn.Module):
        def __init__(self):
            super().__init__()
            layers = [tl.nn.Sequential(tl.nn.Linear(2, 3), tl.nn.Tanh(), tl.nn.Linear(3, 2)) for _ in range(12)]
            self.layers = tl.nn.ModuleList(layers)

        def forward(self, x):
            for layer in self.layers:
                x = x + layer(x)
            return x.square().sum()

    e = tl.explain(Tower(), tl.ones(1, 2))
    script = """const said = [];
    show(steps.findIndex(s => s[0] === 3 && TOP.inside[s[1]])); document.getElementById("open").click();
    said.push(document.querySelectorAll(".node").length, location.hash, document.querySelector(".t").textContent);
    for (let i = 0; i < steps.length; i++) show(i);
    said.push(document.querySelector(".t").textContent);
    document.getElementById("close").click(); said.push(document.querySelectorAll(".node").length, inner);
    document.body.dataset.said = JSON.stringify(said);"""
    found = said(browser(e.html(), tmp_path, script))
    nodes, address, start, end, whole, opened = found
    inner = e.inside[int(address.rpartition(".")[2])]
    assert nodes == len(inner.variables) < whole and start.startswith("Start the walk back")
    assert end.startswith("Done") and (whole, opened) == (len(e.variables), "")
    assert len(e.html().encode()) <= 100_000


def test_equal_modules_are_told_once_and_all_open():
    tl.manual_seed(0)
    blocks = [tl.nn.Sequential(tl.nn.Linear(8, 32), tl.nn.Tanh(), tl.nn.Linear(32, 8)) for _ in range(20)]
    e = tl.explain(tl.nn.Sequential(*blocks), tl.rand(3, 8), gradient=tl.ones(3, 8))
    html = e.html()
    data = data_of(html)
    assert len(data["inside"]) == len(e.inside) == 20 and data["shut"] == [] and len(html.encode()) <= 100_000
    assert "can be opened" not in data["note"]
    assert len({json.dumps(p["edges"]) for p in data["inside"].values()}) < 10


def test_what_does_not_open_is_said(tmp_path, monkeypatch):
    tl.manual_seed(0)
    model = tl.nn.Sequential(
        *[tl.nn.Sequential(tl.nn.Linear(8, n + 2), tl.nn.Tanh(), tl.nn.Linear(n + 2, 8)) for n in range(20)]
    )
    e = tl.explain(model, tl.rand(3, 8), gradient=tl.ones(3, 8))
    monkeypatch.setattr(page_, "MOST_BYTES", 78_000)
    html = e.html()
    data = data_of(html)
    opened, shut = set(map(int, data["inside"])), set(data["shut"])
    assert opened and shut and opened | shut == set(e.inside) and len(html.encode()) <= 78_000
    assert f"{len(opened)} of the {len(e.inside)} modules can be opened" in data["note"]
    script = """const said = [];
    for (const i of [TOP.shut[0], +Object.keys(TOP.inside)[0]]) {
      show(steps.findIndex(s => s[0] === 1 && s[1] === i));
      said.push([document.getElementById("side").textContent.includes("no room"), !!document.getElementById("open")]);
    }
    document.body.dataset.said = JSON.stringify(said);"""
    assert said(browser(html, tmp_path, script)) == [[True, False], [False, True]]


def test_texts_stay_readable_and_the_whole_graph_can_be_seen(tmp_path):
    script = """const said = [], sc = $("scroll"), small = () => Math.min(...[...document.querySelectorAll("#scroll text")]
      .map(t => parseFloat(getComputedStyle(t).fontSize))) * svg.getBoundingClientRect().width / D.w;
    said.push(small() >= 10, !$("fit").hidden, sc.scrollWidth > sc.clientWidth);
    $("fit").click(); said.push(sc.scrollWidth <= sc.clientWidth + 1 && sc.scrollHeight <= sc.clientHeight + 1);
    $("fit").click(); said.push(small() >= 10);
    show(steps.length - 5);
    const to = document.querySelector(".node.ab").getBoundingClientRect(), box = sc.getBoundingClientRect();
    said.push(to.left >= box.left - 2 && to.top >= box.top - 2 && to.top < box.bottom);
    document.body.dataset.said = JSON.stringify(said);"""
    for width in (500, 1440):
        flags = [f"--window-size={width},900"]
        assert said(browser(lesson("attention").html(), tmp_path, script, flags=flags)) == [True] * 6


@pytest.mark.parametrize("name, want", [
    ("fan-out", [["L", "a"], ["L", "p", "a"]]),
    ("rnn", [["h4", "a4", "w"], ["h4", "a4", "h3", "a3", "w"]]),
])  # fmt: skip
def test_all_paths_to_a_complete_gradient_are_told(name, want, tmp_path):
    e = lesson(name)
    last = [i for i, s in enumerate(e.steps) if s.kind == "share" and s.arrived == s.uses > 1][-1]
    script = """const told = [...document.querySelectorAll("#side .mono.sm.p")].map(e => e.textContent.split(" → "));
    const sum = [...document.querySelectorAll("#side .mono.sm b.g")].at(-1).textContent;
    document.body.dataset.said = JSON.stringify([told, sum, document.querySelector(".acc b:last-of-type").textContent]);"""
    told, total, after = said(browser(e.html(), tmp_path, script, f"#0.{last + 1}"))
    assert told[:2] == want and len(told) == e.steps[last].uses and total == after


def test_a_cell_lights_its_row_and_column(tmp_path):
    e = lesson("attention")
    k = next(i for i, s in enumerate(e.steps) if s.kind == "share" and e.variables[s.source].name == "V")
    script = """const tiles = [...document.querySelectorAll("#side .k .mx")];
    tiles[2].children[3].dispatchEvent(new MouseEvent("mouseenter"));  // row 1, column 1 of (6, 2)
    const hit = m => [...m.children].flatMap((c, i) => c.classList.contains("hit") ? [i] : []);
    document.body.dataset.said = JSON.stringify(tiles.slice(0, 2).map(hit));"""
    assert said(browser(e.html(), tmp_path, script, f"#0.{k + 1}")) == [[2, 3], [1, 3]]


def test_an_empty_tensor_draws(tmp_path):
    x, y = tl.zeros(0, 3, requires_grad=True), tl.ones(1, requires_grad=True)
    script = """const said = [];
    for (let i = 0; i < steps.length; i++) { show(i); said.push(/undefined|NaN/.test(document.body.innerText)); }
    document.body.dataset.said = JSON.stringify(said);"""
    e = tl.explain(x.sum() + y.sum())
    assert not any(said(browser(e.html(), tmp_path, script)))


REPEATED = {(3,): "every row", (1, 3): "every row", (2, 1): "every column", (): "to (2×3)"}


@pytest.mark.parametrize("shape", REPEATED)
def test_how_it_was_repeated_is_said_alike_on_page_and_in_text(shape, tmp_path):
    x, b = tl.rand(2, 3, dtype=tl.float64), tl.full(shape, 2.0, dtype=tl.float64, requires_grad=True)
    e = tl.explain((x * b).sum(), params={"b": b})
    k = next(i for i, s in enumerate(e.steps) if s.kind == "share" and e.variables[s.target].name == "b")
    script = """document.body.dataset.said = JSON.stringify([[...document.querySelectorAll("#side .sm")]
      .map(p => p.textContent).find(t => t.startsWith("↓"))]);"""
    (text,) = said(browser(e.html(), tmp_path, script, f"#0.{k + 1}"))
    assert REPEATED[shape] in text and text.removeprefix("↓ ") in e.text(color=False)


def test_the_line_whose_rule_is_at_work_is_marked(tmp_path):
    e = lesson("fan-out")
    k = next(i for i, s in enumerate(e.steps) if s.kind == "share" and e.variables[s.source].name == "p")
    script = """const marked = c => [...document.querySelectorAll("#code ." + c)].map(e => e.textContent);
    document.body.dataset.said = JSON.stringify([marked("src"), marked("on")]);"""
    assert said(browser(e.html(), tmp_path, script, f"#0.{k + 1}")) == [["p = a * b"], ["L.backward()"]]


def test_in_a_notebook(tmp_path):
    """As Jupyter shows it: inside of an iframe without an address of its own."""
    frame = lesson("fan-out")._repr_html_()
    script = """const f = document.querySelector("iframe").contentWindow;
    addEventListener("load", () => {
      f.document.dispatchEvent(new f.KeyboardEvent("keydown", {key: "End", bubbles: true}));
      document.body.dataset.said = JSON.stringify([f.document.querySelector(".t").textContent]);
    });"""
    found = said(browser(f"<!doctype html><body>{frame}</body>", tmp_path, script))
    assert found == ["Done: check the gradients, then use them"]


@pytest.mark.parametrize("name", ["attention", "rnn", "broadcast"])
def test_every_step_draws(name, tmp_path):
    script = """const said = []; onerror = m => said.push(m);
    for (let i = 0; i < steps.length; i++) {
      show(i);
      if (/undefined|NaN|\\{\\w+\\}/.test(document.querySelector("main").textContent)) said.push(i);
    }
    said.push(document.documentElement.scrollWidth <= innerWidth);
    document.body.dataset.said = JSON.stringify(said);"""
    for width in (500, 1440):
        flags = [f"--window-size={width},900"]
        assert said(browser(lesson(name, "zh").html(), tmp_path, script, flags=flags)) == [True]
