"""Curves over steps: losses, rates, norms; linear or logarithmic, with guide lines, and as sparklines in a terminal."""

import math
from xml.sax.saxutils import escape

from tensorlite.graph.metrics import width as wide
from tensorlite.graph.theme import FONTS, variables
from tensorlite.viz.base import Picture, Stack, number, sparkline

APART = 20  # times as large: curves do not share an axis

_LIGHT = {"ink": "#1c2230", "grey": "#5a6377", "line": "#d8dde6", "paper": "#ffffff",
          "a": "#0b62b8", "b": "#b84600", "c": "#0a7456", "d": "#7b3fb3"}  # fmt: skip
_DARK = {"ink": "#e8ebf2", "grey": "#a3adc0", "line": "#363d4d", "paper": "#12161f",
         "a": "#7db9f5", "b": "#ffa366", "c": "#5fd3ae", "d": "#cda6f7"}  # fmt: skip
_STYLE = f"""<style>
svg{{{variables(_LIGHT)}}}
@media (prefers-color-scheme:dark){{svg{{{variables(_DARK)}}}}}
text{{font:12px {FONTS};fill:var(--grey)}} .title{{font-size:15px;font-weight:bold;fill:var(--ink)}}
.on{{paint-order:stroke;stroke:var(--paper);stroke-width:4px;stroke-linejoin:round}}
</style>"""
_MARKS = ("var(--a)", "var(--b)", "var(--c)", "var(--d)")


class Curves(Picture):
    """Curves over steps. `history` is {name: [(step, value), ...]}; many points are thinned to a smooth line.

    log: the axis goes by powers of ten (zeros and values below are left out and counted). guides: {text: value}, dashed
    lines across. axis: what is counted along x. Values that are not finite are left out, and the picture says how many.
    """

    def __init__(self, history, title="loss", width=720, height=360, log=False, guides=None, axis="step"):
        rows = {k: [(x, float(y)) if log else (x, y) for x, y in v] for k, v in history.items()}
        good = (lambda y: math.isfinite(y) and y > 0) if log else math.isfinite
        self.history = {k: [(x, y) for x, y in v if good(y)] for k, v in rows.items()}
        self.left_out = {k: len(v) - len(self.history[k]) for k, v in rows.items() if len(v) > len(self.history[k])}
        self.title, self.width, self.height, self.log, self.axis = title, width, height, log, axis
        self.guides = dict(guides or {})

    @property
    def missing(self) -> str:
        """What was left out, in words."""
        what = "zero or not finite" if self.log else "not finite"
        return "; ".join(f"{k}: {n} {'value' if n == 1 else 'values'} {what}" for k, n in self.left_out.items())

    def text(self) -> str:
        """A sparkline for each curve, with its first and last value and its range."""
        rows = [self.title]
        for k, v in self.history.items():
            ys = [math.log10(y) if self.log else y for _, y in _smooth(v, 48)]
            said = f"{number(v[0][1])} -> {number(v[-1][1])}" if v else "no data"
            rows.append(f"{k:12} {sparkline(ys)}  {said}" if v else f"{k:12} {said}")
        rows += [f"guide {k}: {number(v)}" for k, v in self.guides.items()]
        return "\n".join([*rows, *([self.missing] if self.missing else [])]) + "\n"

    def svg(self) -> str:
        """The picture as SVG."""
        up = math.log10 if self.log else float
        w, h, top, bottom = self.width, self.height, 40, 40
        right = max(96, math.ceil(max([wide(str(k)) for k in self.history] or [0])) + 16)
        guides = {k: up(v) for k, v in self.guides.items()}
        points = [p for v in self.history.values() for p in v]
        if not points:
            said = escape(f"{self.title}: no data" + (f" ({self.missing})" if self.missing else ""))
            return (
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img">'
                f'<title>{said}</title>{_STYLE}<rect width="{w}" height="{h}" fill="var(--paper)"/>'
                f'<text x="20" y="40">{said}</text></svg>\n'
            )
        x0, x1 = min(x for x, _ in points), max(x for x, _ in points)
        lines = {k: _smooth(v, 300) for k, v in self.history.items() if v}
        if self.log:
            lines = {k: [(x, up(y)) for x, y in v] for k, v in lines.items()}
        shown = [y for v in lines.values() for _, y in v] + list(guides.values())
        ticks = nice_ticks(min(shown), max(shown), 6)
        y0, y1 = min(ticks[0], min(shown)), max(ticks[-1], max(shown))
        if self.log:  # whole powers of ten; the steps of the ticks may be much larger
            y0, y1 = math.floor(min(shown)), max(math.ceil(max(shown)), math.floor(min(shown)) + 1)
            ticks = [t for t in ticks if y0 <= t <= y1]
        left = max(56, math.ceil(max(wide(_tick(t, self.log)) for t in ticks)) + 16)

        def at(x, y):
            return (
                left + (w - left - right) * (x - x0) / ((x1 - x0) or 1),
                h - bottom - (h - top - bottom) * (y - y0) / ((y1 - y0) or 1),
            )

        last = ", ".join(f"{k} {v[-1][1]:.4g}" for k, v in self.history.items() if v)
        alt = escape(f"{self.title} over {x1} steps; last values: {last}", {'"': "&quot;"})
        out = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img" aria-label="{alt}">',
            f"<title>{alt}</title>{_STYLE}",
            f'<rect width="{w}" height="{h}" fill="var(--paper)"/><text class="title" x="{left}" y="24">{escape(self.title)}</text>',
        ]
        for t in ticks:
            y = at(x0, t)[1]
            out.append(f'<line x1="{left}" x2="{w - right}" y1="{y:.1f}" y2="{y:.1f}" stroke="var(--line)"/>')
            out.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{_tick(t, self.log)}</text>')
        said = []  # above the curves
        for name, value in guides.items():
            y = at(x0, value)[1]
            out.append(
                f'<line x1="{left}" x2="{w - right}" y1="{y:.1f}" y2="{y:.1f}" stroke="var(--grey)" stroke-dasharray="2 4"/>'
            )
            said.append(
                f'<text class="on" x="{left + 6}" y="{y - 5 if y > top + 16 else y + 15:.1f}">{escape(str(name))}</text>'
            )
        for t in nice_ticks(x0, x1, 6):
            if x0 <= t <= x1:
                x = at(t, y0)[0]
                out.append(f'<text x="{x:.1f}" y="{h - bottom + 20}" text-anchor="middle">{t:g}</text>')
        out.append(f'<text x="{(left + w - right) / 2}" y="{h - 4}" text-anchor="middle">{escape(self.axis)}</text>')
        if self.missing:
            out.append(f'<text x="{w - 8}" y="24" text-anchor="end">{escape(self.missing)}</text>')
        ends = []
        for i, (name, line) in enumerate(lines.items()):
            colour, dash = _MARKS[i % 4], _dash(i)
            where = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*p) for p in line))
            out.append(f'<polyline points="{where}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
            x, y = at(*line[-1])
            if len(line) == 1:
                out.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>')
            while any(abs(y - e) < 30 for e in ends):
                y -= 30
            while y < 16 or any(abs(y - e) < 30 for e in ends):  # no room above: below
                y += 30
            ends.append(y)
            last = self.history[name][-1][1] if self.log else line[-1][1]
            text = f'<tspan fill="{colour}">{escape(name)}</tspan><tspan x="{w - right + 8}" dy="15">{last:.4g}</tspan>'
            out.append(f'<text x="{w - right + 8}" y="{y:.1f}">{text}</text>')
        return "\n".join([*out, *said, "</svg>", ""])


def curves(history, title="loss") -> Picture:
    """The curves of a training history {name: [(step, value), ...]}, or {name: [value, ...]} counted from 0.

    Curves of one size share an axis; what is more than twenty times smaller (a learning rate beside a loss) gets one of its own
    below. `.save("loss.svg")`, or shown by a notebook.

    >>> import tensorlite as tl
    >>> print(tl.viz.curves({"loss": [2.0, 1.0, 0.5]}).text())
    loss
    loss         █▃▁  2 -> 0.5
    <BLANKLINE>
    """
    rows = {
        k: [p if isinstance(p, (tuple, list)) else (i, _float(p)) for i, p in enumerate(v)] for k, v in history.items()
    }
    groups = []  # [size, names]
    for name, row in rows.items():
        size = max((abs(y) for _, y in row if math.isfinite(y)), default=0.0)
        place = next((g for g in groups if not size or not g[0] or 1 / APART < size / g[0] < APART), None)
        if place is None:
            groups.append([size, [name]])
        else:
            place[0] = max(place[0], size)
            place[1].append(name)
    if len(groups) < 2:
        return Curves(rows, title)
    parts = [{k: rows[k] for k in names} for _, names in groups]
    return Stack(title, [Curves(p, title if not i else ", ".join(p), height=260) for i, p in enumerate(parts)])


def _float(value) -> float:
    return float(value.item() if hasattr(value, "item") else value)


def _dash(i):
    """The dashes of curve number i: no two of the first eight look alike, the first four not even without colours."""
    dash = ("", "6 3", "2 3", "10 3 2 3")[i % 4 if i < 4 else (i + 1) % 4]
    return f' stroke-dasharray="{dash}"' if dash else ""


def _tick(t, log):
    """The text at a tick."""
    return f"{t:g}" if not log else f"1e{t:g}" if t == int(t) else f"{10**t:.1e}"


def _smooth(points, most):
    """At most `most` points: the means of equal stretches. The last point stays what it is only if nothing was thinned."""
    if len(points) <= most:
        return points
    size = len(points) / most
    pieces = [points[int(i * size) : int((i + 1) * size)] for i in range(most)]
    return [(p[len(p) // 2][0], sum(y for _, y in p) / len(p)) for p in pieces if p]


def nice_ticks(low: float, high: float, about: int) -> list:
    """Round numbers from at or below `low` to at or above `high`, about that many."""
    span = (high - low) or abs(high) or 1
    step = 10 ** math.floor(math.log10(span / about))
    step = next(step * f for f in (1, 2, 5, 10) if span / (step * f) <= about)
    first = math.floor(low / step)
    return [round((first + i) * step, 10) for i in range(math.ceil(high / step - first - 1e-9) + 1)]
