"""The page of an Explanation: data as JSON in one HTML file with its style and script; see page.html, page.css, page.js."""

import json
from html import escape
from importlib import resources

from tensorlite.explainer import words
from tensorlite.explainer.layout import MOST_CODE, arrange, grid_of
from tensorlite.explainer.text import Writer
from tensorlite.graph.summary import number

MOST_BYTES = 100_000
LIMITS = (64, 36, 16, 1)  # numbers of a tensor in full: fewer where the page would become too large
FILES = ("page.html", "page.css", "page.js")
SHARED = ("vars", "edges", "steps", "code")
CURVES = 12  # curves of a page at most are told point by point


def page(explanation) -> str:
    """The HTML, at most 100 kB: where that is not enough room, larger tensors are summarised, then fewer modules open.

    What does not open is said on the page.
    """
    best, opened = "", -1
    for limit in LIMITS:
        made, found = _page(explanation, limit)
        fits = len(made.encode("utf-8", "replace")) <= MOST_BYTES
        if opened < 0 or (fits and found > opened):
            best, opened = made, found if fits else -1
        if fits and found == len(explanation.inside):
            break
    return best


def _page(e, limit):
    """(the HTML, how many folded modules can be opened in it)."""

    def read(name):
        text = resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
        lines = [line.strip() for line in text.splitlines()]  # room for numbers
        return "\n".join(line for line in lines if line and not line.startswith("// "))

    t = words.table(e.lang)
    strings, shared = {}, {}
    data = _Data(e, limit, strings).data()
    data["t"] = {k: v for k, v in t.items() if not k.startswith(("why_", "keys_", "legend_"))}
    data["inside"] = {}
    text = _text(e)
    room = MOST_BYTES - len((inject(data) + text + "".join(map(read, FILES))).encode("utf-8", "replace"))
    room -= len(inject(list(strings))) + 4000
    for i, found in e.inside.items():  # as many as there is room for
        more, pool = dict(strings), dict(shared)
        part = _Data(found, min(limit, 16), more).data()
        for key in SHARED:  # equal blocks differ in their numbers alone
            part[key] = pool.setdefault(inject(part[key]), len(pool))
        new = [part, *list(more)[len(strings) :], *list(pool)[len(shared) :]]
        size = sum(len((t if isinstance(t, str) else inject(t)).encode("utf-8", "replace")) + 4 for t in new)
        if size <= room:
            room -= size
            data["inside"][i], strings, shared = part, more, pool
    data["strings"], data["shared"] = list(strings), [json.loads(text) for text in shared]
    data["shut"] = [i for i in e.inside if i not in data["inside"]]
    if len(data["inside"]) < len(e.inside):
        data["note"] += " " + t["some_open"].format(n=len(data["inside"]), m=len(e.inside))
    parts = {
        "lang": "zh-CN" if e.lang == "zh" else "en",
        "title": escape(e.title or t["about"]),
        "intro": escape(e.intro),
        "style": read("page.css"),
        "script": read("page.js"),
        "data": inject(data),
        "links": _links(e),
        "text": text,
        **{f"t_{k}": escape(v) for k, v in t.items()},
    }
    html = read("page.html")
    pieces = html.split("{{")
    out = [pieces[0]]
    for piece in pieces[1:]:
        key, _, rest = piece.partition("}}")
        out += [parts[key], rest]
    return "".join(out), len(data["inside"])


def _links(e) -> str:
    """A row of links to the pages beside this one."""
    marks = {True: ' aria-current="page"', False: ""}
    found = [f'<a href="{escape(file)}"{marks[here]}>{escape(text)}</a>' for file, text, here in e.links]
    label = escape(words.table(e.lang)["lessons"])
    return f'<nav class="links" aria-label="{label}">{"".join(found)}</nav>\n' if found else ""


def inject(data) -> str:
    """Data as JSON that may stand inside of a script element, whatever it holds."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026").replace("\u2028", "\\u2028")


def _text(e):
    """All steps as a list, for those who do not run scripts."""
    found = []
    for head, lines in Writer(e).lines():
        rest = "".join(f"<br>{escape(line)}" for line in lines)
        found.append(f"<li><b>{escape(head)}</b>{rest}</li>")
    return "\n".join(found)


def short(x):
    """A number with six digits; nan and inf as text, which JSON has no numbers for."""
    if isinstance(x, bool):
        return int(x)
    if x != x or x in (float("inf"), float("-inf")):
        return str(x)
    x = float(f"{float(x):.6g}")
    return int(x) if x.is_integer() and abs(x) < 1e15 else x


class _Data:
    """The page's data. Arrays stand once in a table and are named by their place in it; so do texts, in one for the whole page."""

    def __init__(self, e, limit, strings):
        self.e, self.limit, self.strings = e, limit, strings
        self.arrays, self.places, self.curves = [], {}, []

    def say(self, text):
        """The place of a text in the table."""
        return self.strings.setdefault(text, len(self.strings))

    def put(self, x):
        """The place of an array in the table; -1 for none."""
        if x is None:
            return -1
        if x.values is not None and len(x.values) <= max(self.limit, 1):
            entry = [list(x.shape), [short(v) for v in x.values]]
        else:
            low, high = (min(x.values), max(x.values)) if x.values else (x.low, x.high)
            entry = [list(x.shape), None, number(low, 3), number(high, 3)]
        key = json.dumps(entry)
        if key not in self.places:
            self.places[key] = len(self.arrays)
            self.arrays.append(entry)
        return self.places[key]

    def small(self, x):
        """x as it is, or without its numbers where there are too many."""
        if x is None or x.values is None or len(x.values) <= self.limit:
            return x
        return type(x)(x.shape, None, min(x.values), max(x.values))

    def pills(self):
        """(source, target, n-th use) -> what stands on the edge: the local slope."""
        found, counts = {}, {}
        for s in self.e.steps:
            if s.kind != "share":
                continue
            key = (s.target, s.source)
            n = counts[key] = counts.get(key, -1) + 1
            same = s.slope is not None and s.slope.values and len(set(s.slope.values)) == 1
            if same:
                text = f"×{number(s.slope.values[0], 3)}".replace("-", "−")
            else:
                text = f"×{s.rule}" if s.slope is not None else s.rule.partition(", ")[0]
            found[(*key, n)] = text if len(text) <= 14 else f"∂{self.e.variables[s.source].op[:13]}"
        return found

    def data(self):
        e = self.e
        gradients = {s.target: s.after for s in e.steps if s.kind in ("share", "seed")}
        values = [type(v)(**{**v.__dict__, "value": self.small(v.value)}) for v in e.variables]
        cards, edges, width, height = arrange(values, {i: self.small(g) for i, g in gradients.items()}, self.pills())
        seed = next(s for s in e.steps if s.kind == "seed")
        return {
            "lang": e.lang,
            "w": round(width),
            "h": round(height),
            "out": e.variables[seed.source].name,
            "vars": [self.variable(v, c) for v, c in zip(e.variables, cards)],
            "edges": [
                [d.source, d.target, d.text, [[round(x), round(y)] for x, y in d.points], [round(p) for p in d.pill]]
                for d in edges
            ],
            "steps": [self.step(s) for s in e.steps],
            "wrong": [self.step(s) for s in e.wrong],
            "code": e.code,
            "ask": e.ask,
            "nudges": [[k.name, list(k.place), short(k.grad), short(k.predicted), short(k.measured)] for k in e.nudges],
            "descent": [short(v) for v in (e.descent.lr, e.descent.before, e.descent.after)] if e.descent else None,
            "lg": words.table(e.lang)["legend_grad"].format(out=e.variables[seed.source].name),
            "note": " ".join(words.table(e.lang)["folded"].format(n=n, m=m) for n, m in e.notes),
            "arrays": self.arrays,
            "curves": self.curves,
        }

    def variable(self, v, card):
        code = v.code if len(v.code) <= MOST_CODE else v.code[: MOST_CODE - 1] + "…"
        grid = [*card.grid[:2], round(card.grid[2]), int(card.grid[3])] if card.grid else None
        name = v.name if len(v.name) <= 22 else v.name[:21] + "…"
        place = [round(n) for n in (card.x, card.y, card.w, card.h)]
        return [name, v.kind, code, list(v.shape), self.put(v.value), v.uses, v.line, place, grid, v.code]

    def step(self, s):
        kinds = {"inputs": 0, "compute": 1, "seed": 2, "share": 3, "end": 4}
        if s.kind in ("inputs", "end"):
            return [kinds[s.kind]]
        if s.kind == "compute":
            return [1, s.source]
        if s.kind == "seed":
            return [2, s.source, self.put(s.after)]
        source, target = self.e.variables[s.source], self.e.variables[s.target]
        why = words.table(self.e.lang)[words.why_key(source, s)].format(
            s=source.name, t=target.name, op=source.op, rule=s.rule
        )
        curve = -1
        if s.curve and len(self.curves) < CURVES and target.value is not None and target.value.values:
            curve = len(self.curves)
            xs, ys = s.curve
            kept = [short(float(f"{y:.4g}")) for y in ys]
            self.curves.append([short(xs[0]), short(xs[-1]), [y if not isinstance(y, str) else None for y in kept]])
        parts = [self.put(x) for x in (s.upstream, s.slope, s.full, s.share, s.before, s.after)]
        state = 2 if s.late else 1 if s.hasty else 0
        paths = [[list(p[0]), [short(v) for v in p[1]], short(p[2])] for p in s.paths[:4]] if len(s.paths) else []
        return [
            3,
            s.source,
            s.target,
            s.operand,
            *parts,
            self.say(s.rule),
            s.arrived,
            s.uses,
            self.say(why),
            paths,
            curve,
            state,
            self.factor(s),
        ]

    def factor(self, s):
        """For a product of two matrices: [left, its text, right, its text, whether the left one is the upstream gradient]."""
        source, g = self.e.variables[s.source], s.upstream
        if source.op not in ("matmul", "linear") or s.operand > 1 or len(source.inputs) < 2 or source.kind == "group":
            return 0
        other = self.e.variables[source.inputs[1 - s.operand]]
        if not all(x is not None and x.values and len(x.shape) == 2 and grid_of(x) for x in (other.value, g, s.share)):
            return 0
        w, name = other.value, other.name
        if source.op == "linear":  # y = x @ W.T
            parts = (g, "G", w, name, 1) if s.operand == 0 else (turned(g), "G.T", w, name, 1)
        else:
            parts = (g, "G", turned(w), f"{name}.T", 1) if s.operand == 0 else (turned(w), f"{name}.T", g, "G", 0)
        left, left_text, right, right_text, first = parts
        return [self.put(left), left_text, self.put(right), right_text, first]


def turned(x):
    """A matrix with rows and columns exchanged."""
    rows, columns = x.shape
    return type(x)((columns, rows), tuple(x.values[i * columns + j] for j in range(columns) for i in range(rows)))
