"""The SVG text of a view: cards with their lines, edges, clusters. The places come from Graphviz, or from our own layout.py."""

import re
from xml.sax.saxutils import escape

from tensorlite.graph import dot
from tensorlite.graph.layout import arrange
from tensorlite.graph.metrics import (
    LABEL_ROW,
    LABEL_TEXT,
    PAD_X,
    PAD_Y,
    ROW,
    TEXT,
    TITLE,
    TITLE_ROW,
    badge,
    blocks,
    card_size,
    label_size,
    width,
)  # fmt: skip
from tensorlite.graph.theme import FONTS, fill, palette, variables

MARGIN = 16
CLUSTER_TEXT = 13
OURS = 80  # cards; our own layout is quicker, and the same everywhere, but dot's has fewer crossings in larger pictures


def places(view, direction="TB", engine="auto"):
    """Where everything stands. engine: "own", "dot", "wasm", or "auto": our own, and for large pictures Graphviz where it is."""
    sizes = [card_size(c) for c in view.cards]
    labels = {(e.source, e.target): label_size(e) for e in view.edges}
    if engine in ("dot", "wasm") or (engine == "auto" and len(view.cards) > OURS):
        found = dot.arrange(view, sizes, labels, direction, "wasm" if engine == "wasm" else "dot")
        if found is not None:
            return found
    titles = [width(box.title, CLUSTER_TEXT) for box in view.clusters]
    labels = {k: (w + 8, h) if w else (w, h) for k, (w, h) in labels.items()}
    return arrange(view, sizes, titles, labels, direction)


def draw(view, alt, direction="TB", theme="auto", engine="auto") -> str:
    """The picture. alt: the sentence that says what it shows."""
    at, colours = places(view, direction, engine), palette(theme, view.legend)
    caption = _wrap(view.caption, at.width) if view.caption else []
    legend = _legend(view.legend, at.width) if view.legend else []
    wide = max([at.width, *map(width, caption), *[x + w for x, _, _, w, _ in legend]])
    w = wide + 2 * MARGIN + 5  # a folded cluster has a second sheet
    below = (legend[-1][1] + 2 if legend else 0) * ROW
    h = at.height + 2 * MARGIN + 5 + ROW * len(caption) + below
    names = (
        f"{theme} {view.legend.scale}" if view.legend else theme
    )  # pictures on one page must not share their colours
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="tl-graph {names}" viewBox="0 0 {w:.0f} {h:.0f}" '
        f'width="{w:.0f}" height="{h:.0f}" role="img" aria-label={_attribute(alt)}>',
        f"<title>{plain(alt)}</title>",
        f"<style>{_style(theme, view.legend)}</style>",
        f'<defs><marker id="tl-arrow-{theme}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto" '
        f'markerUnits="userSpaceOnUse"><path d="M0,0.5L8,4L0,7.5Z" {_paint(colours, "line")}/></marker></defs>',
        f'<rect width="{w:.0f}" height="{h:.0f}" rx="10" {_paint(colours, "paper")}/>',
        f'<g transform="translate({MARGIN + max(0, w - 2 * MARGIN - at.width) / 2:.1f},{MARGIN})" font-family="{FONTS}">',
    ]
    for box in view.clusters:
        out.append(_cluster(box, at.clusters[box.id], colours))
    for edge in view.edges:
        dashes = ' stroke-dasharray="5 4"' if edge.constant else ""
        path = at.paths[edge.source, edge.target]
        out.append(
            f'<path d="{path}" fill="none" {_paint(colours, stroke="line")}{dashes} marker-end="url(#tl-arrow-{theme})"/>'
        )
    bands = [(y + 3, y + min(h, 25)) for _, y, _, h in at.clusters.values()]
    ways = [p for path in at.paths.values() for p in _points(path, bands)] if bands else []
    for box in view.clusters:
        out.append(_cluster_title(box, at.clusters[box.id], colours, ways))
    for edge in view.edges:
        if edge.labels:
            x, y = at.labels.get((edge.source, edge.target), (0, 0))
            y -= LABEL_ROW * len(edge.labels) / 2 - LABEL_ROW + 3.5
            for k, text in enumerate(edge.labels):
                colour = "local" if text.startswith("slope ") else "grey"
                out.append(_type(x, y + k * LABEL_ROW, text, colour, colours, LABEL_TEXT))
    for card in view.cards:
        out.append(_card(card, at.cards[card.id], colours, _neighbours(view, card), view.legend))
    out.append("</g>")
    for x, row, colour, _, text in legend:
        y = at.height + 2 * MARGIN + 8 + ROW * row
        dashes = ' stroke-dasharray="3 2"' if colour == "constant" else ""
        box = f'<rect x="{MARGIN + x:.1f}" y="{y - 11:.1f}" width="22" height="13" rx="3" {_paint(colours, colour, "line")}{dashes}/>'
        out.append(f'<g font-family="{FONTS}">{box}{_type(MARGIN + x + 28, y, text, "text", colours)}</g>')
    for k, line in enumerate(caption):
        y = at.height + 2 * MARGIN + 8 + ROW * k + below
        out.append(f'<g font-family="{FONTS}">{_type(MARGIN, y, line, "grey", colours)}</g>')
    out.append("</svg>")
    return "\n".join(out) + "\n"


def _legend(legend, wide):
    """(x, row, colour, width, text) of each colour, side by side in rows as wide as the picture."""
    entries = [(f"heat{k}", text) for k, text in enumerate(legend.steps)]
    if legend.unknown:
        entries.append(("constant", "not known"))
    made, x, row, column = [], 0.0, 0, max(28 + width(text) for _, text in entries)
    for colour, text in entries:
        if x and x + column > max(wide, 360):
            x, row = 0.0, row + 1
        made.append((x, row, colour, column, text))
        x += column + 16
    return made


def _neighbours(view, card):
    """Where a card's inputs come from and its result goes, in words."""
    words = []
    for what, ids in (
        ("from", [e.source for e in view.edges if e.target == card.id]),
        ("to", [e.target for e in view.edges if e.source == card.id]),
    ):
        if ids:
            words.append(f"{what} {', '.join(view.cards[i].title for i in ids)}")
    return "; ".join(words) or "alone"


def _card(card, place, colours, about, legend=None):
    x, y, w, h = place
    ground, grey = (
        fill(card, legend),
        "text" if legend else "grey",
    )  # on a scale of colours all text is dark, or all light
    out = [f'<g class="card {card.kind}"><title>{plain(card.about)}</title><desc>{plain(about)}</desc>']
    dashes = ' stroke-dasharray="5 4"' if card.kind in ("constant", "more") else ""
    border = "alarm" if card.failed else "grad" if card.output else "edge-of-card"
    thick = ' stroke-width="2"' if card.output else ""
    if card.times > 1:
        out.append(
            f'<rect x="{x + 4:.1f}" y="{y + 4:.1f}" width="{w:.1f}" height="{h:.1f}" rx="8" '
            f"{_paint(colours, ground, border)}/>"
        )
    out.append(
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" rx="8" '
        f"{_paint(colours, ground, border)}{thick}{dashes}/>"
    )
    if card.kind == "leaf":
        out.append(
            f'<rect x="{x:.1f}" y="{y + 6:.1f}" width="4" height="{h - 12:.1f}" rx="2" {_paint(colours, "value")}/>'
        )
    left, right, row = x + PAD_X, x + w - PAD_X, y + PAD_Y + TITLE
    out.append(_type(left, row, card.title, "text", colours, TITLE, bold=True))
    if card.shape:
        out.append(_type(right, row, card.shape, grey, colours, end=True))
    row += TITLE_ROW - TITLE + TEXT
    if card.note or badge(card):
        out.append(_type(left, row, card.note, grey, colours))
        if badge(card):
            out.append(_type(right, row, badge(card), "text", colours, end=True))
        row += ROW
    for line, pad in blocks(card.lines):
        if line.label:
            out.append(_type(left, row, line.label, grey, colours))
        colour = grey if legend else {"value": "value", "grad": "grad"}.get(line.kind, "grey")
        if line.alarm:
            out.append(_type(right, row, line.alarm, "text" if legend else "alarm", colours, end=True, bold=True))
        if line.text:
            stop = right - (width(line.alarm) + width("  ") if line.alarm else 0)
            out.append(_type(stop, row, line.text + pad, colour, colours, end=True, bold=line.kind == "heat"))
        row += ROW
    out.append("</g>")
    return "".join(out)


def _cluster(box, place, colours):
    x, y, w, h = place
    out, colour = [], "cluster2" if box.level % 2 == 0 else "cluster"
    if box.times > 1:  # a second sheet behind it: there are more
        out.append(
            f'<rect x="{x + 5:.1f}" y="{y + 5:.1f}" width="{w:.1f}" height="{h:.1f}" rx="12" '
            f"{_paint(colours, colour, 'line')}/>"
        )
    out.append(
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" rx="12" '
        f"{_paint(colours, colour, 'line')}><title>{plain(box.title)}</title></rect>"
    )
    return "".join(out)


def _cluster_title(box, place, colours, ways):
    """A cluster's title: as far left as no edge that comes in at the top runs through it; where there is no room, over them."""
    x, y, w, h = place
    wide = width(box.title, CLUSTER_TEXT)
    crossed = sorted(at for at, down in ways if x < at < x + w and y + 3 < down < y + min(h, 25))
    for start in (x, *[at - 2 for at in crossed]):
        if start + wide + 16 > x + w:
            break
        if not any(start + 6 < at < start + wide + 18 for at in crossed):
            x = start
            break
    colour = "cluster2" if box.level % 2 == 0 else "cluster"
    return (
        f'<rect x="{x + 8:.1f}" y="{y + 5:.1f}" width="{wide + 8:.1f}" height="18" {_paint(colours, colour)}/>'
        + _type(x + 12, y + 19, box.title, "text", colours, CLUSTER_TEXT)
    )


def _points(path, bands):
    """Points along a path of M, L and C, of the parts that come into one of the bands (y from, y to)."""
    last = (0.0, 0.0)
    for kind, numbers in re.findall(r"([MLC])([^MLC]*)", path):
        n = [float(v) for v in re.findall(r"-?[\d.]+", numbers)]
        ends = list(zip(n[::2], n[1::2], strict=True))
        if kind != "M":
            high, low = min(last[1], ends[-1][1]), max(last[1], ends[-1][1])
            if any(high < stop and low > start for start, stop in bands):
                (ax, ay), (bx, by), (cx, cy), (dx, dy) = (
                    (last, *ends) if kind == "C" else (last, last, ends[0], ends[0])
                )
                for k in range(25):
                    t = k / 24
                    f, g, h, i = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3
                    yield f * ax + g * bx + h * cx + i * dx, f * ay + g * by + h * cy + i * dy
        last = ends[-1]


def _type(x, y, text, colour, colours, size=TEXT, end=False, bold=False):
    """A line of text. Spaces are kept by being no-break spaces."""
    words = f' font-size="{size}"' + (' text-anchor="end"' if end else "") + (' font-weight="bold"' if bold else "")
    return f'<text x="{x:.1f}" y="{y:.1f}"{words} {_paint(colours, colour)}>{plain(text, keep=True)}</text>'


def _paint(colours, fill=None, stroke=None):
    """Colours as attributes (for readers of SVG without CSS variables) and as variables that follow the theme."""
    named = [(what, name) for what, name in (("fill", fill), ("stroke", stroke)) if name]
    attributes = " ".join(f'{what}="{colours[name]}"' for what, name in named)
    return f'{attributes} style="{";".join(f"{what}:var(--{name})" for what, name in named)}"'


def _style(theme, legend=None):
    """The colours of a theme; "auto" is dark where the reader's screen is."""
    name = f".tl-graph.{theme}" + (f".{legend.scale}" if legend else "")
    rules = f"{name}{{{variables(palette(theme, legend))}}}"
    if theme == "auto":
        rules += f"@media(prefers-color-scheme:dark){{{name}{{{variables(palette(theme, legend, dark=True))}}}}}"
    return rules


def plain(text, keep=False):
    """A text escaped for XML, without the characters that XML forbids; keep: with its spaces."""
    text = "".join(c if (c >= " " and c not in "\ufffe\uffff") or c == "\n" else "\ufffd" for c in text)
    text = "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in text)
    return escape(text.replace(" ", "\u00a0") if keep else text)


def _attribute(text):
    return '"' + plain(text).replace('"', "&quot;").replace("\n", " ") + '"'


def _wrap(text, wide):
    """Lines of at most the picture's width (at least 60 letters)."""
    most, lines, line = max(60, int(wide / width("x"))), [], ""
    for word in text.split(" "):
        if line and len(line) + 1 + len(word) > most:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return [*lines, line]
