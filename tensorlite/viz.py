"""Pictures of training as SVG text: the loss curves. Pictures of graphs are in graph/."""

import math
from xml.sax.saxutils import escape

_STYLE = """<style>
svg{--ink:#1c2230;--grey:#626b7f;--line:#d8dde6;--paper:#fff;--a:#0b62b8;--b:#b84600}
@media (prefers-color-scheme:dark){svg{--ink:#e7eaf0;--grey:#9aa3b5;--line:#363d4d;--paper:#1b202c;--a:#7db9f5;--b:#ffa366}}
text{font:13px system-ui,sans-serif;fill:var(--grey)} .title{font-size:16px;fill:var(--ink)}
</style>"""
_MARKS = ("var(--a)", "var(--b)")


class Curves:
    """Curves over steps. `history` is {name: [(step, value), ...]}; many points are thinned to a smooth line."""

    def __init__(self, history, title="loss", width=720, height=360):
        self.history = {k: [(x, y) for x, y in v if math.isfinite(y)] for k, v in history.items()}
        self.title, self.width, self.height = title, width, height

    def _repr_svg_(self) -> str:
        w, h, left, right, top, bottom = self.width, self.height, 56, 96, 40, 40
        points = [p for v in self.history.values() for p in v]
        if not points:
            return f'<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}"><text x="20" y="40">no data</text></svg>'
        x0, x1 = min(x for x, _ in points), max(x for x, _ in points)
        lines = {k: _smooth(v, 300) for k, v in self.history.items() if v}
        shown = [y for v in lines.values() for _, y in v]
        ticks = nice_ticks(min(shown), max(shown), 6)
        y0, y1 = min(ticks[0], min(shown)), max(ticks[-1], max(shown))

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
            out.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{t:g}</text>')
        for t in nice_ticks(x0, x1, 6):
            if x0 <= t <= x1:
                x = at(t, y0)[0]
                out.append(f'<text x="{x:.1f}" y="{h - bottom + 20}" text-anchor="middle">{t:g}</text>')
        out.append(f'<text x="{(left + w - right) / 2}" y="{h - 4}" text-anchor="middle">step</text>')
        ends = []
        for i, (name, line) in enumerate(lines.items()):
            colour, dash = _MARKS[i % 2], ' stroke-dasharray="6 3"' if i else ""
            where = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*p) for p in line))
            out.append(f'<polyline points="{where}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
            y = at(*line[-1])[1]
            while any(abs(y - e) < 30 for e in ends):
                y -= 30
            ends.append(y)
            text = f'<tspan fill="{colour}">{escape(name)}</tspan><tspan x="{w - right + 8}" dy="15">{line[-1][1]:.4g}</tspan>'
            out.append(f'<text x="{w - right + 8}" y="{y:.1f}">{text}</text>')
        return "\n".join([*out, "</svg>", ""])

    def save(self, path) -> None:
        """Write the picture as an SVG file."""
        with open(path, "w", encoding="utf-8") as f:
            f.write(self._repr_svg_())


def curves(history, title="loss") -> Curves:
    """The curves of a training history {name: [(step, value), ...]}; `.save("loss.svg")`, or shown by a notebook."""
    return Curves(history, title)


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
