"""What all pictures of training share: the base class, a canvas that knows how wide its texts are, and bars."""

import math
import tempfile
import webbrowser
from pathlib import Path
from xml.sax.saxutils import escape

from tensorlite import errors
from tensorlite.graph.metrics import columns, width as wide
from tensorlite.graph.theme import DARK, FONTS, LIGHT, variables

TEXT, TITLE, ROW = 12, 15, 20
_SPARKS = "▁▂▃▄▅▆▇█"


class Picture:
    """A picture: a notebook shows it; `.save("x.svg")` writes it, `.show()` opens it, `.text()` says it in a terminal.

    A subclass gives `title`, `svg()` and `text()`. The same data give the same bytes.
    """

    title = ""

    def svg(self) -> str:
        """The picture as SVG, light or dark as the reader's screen is."""
        raise NotImplementedError

    def text(self) -> str:
        """The picture as plain text."""
        raise NotImplementedError

    def __repr__(self):
        return f"{type(self).__name__}: {self.title}. .save('x.svg'), .show(), .text()"

    def _repr_svg_(self) -> str:
        return self.svg()

    def _repr_html_(self) -> str:
        return self.svg()

    def html(self) -> str:
        """A page of its own with the picture."""
        return (
            f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(plain(self.title))}</title>'
            '<meta name="color-scheme" content="light dark"><style>body{margin:1rem}</style></head>\n'
            f"<body>\n{self.svg()}</body></html>\n"
        )

    def save(self, path) -> Path:
        """Write the file, in the format that its name ends with: .svg, .html or .txt; returns the path.

        Raises:
            ArgumentError: another ending.
        """
        path = Path(path)
        made = {".svg": self.svg, ".html": self.html, ".txt": self.text}.get(path.suffix.lower())
        if made is None:
            raise errors.ArgumentError(f"save: {path.name!r} must end with .svg, .html or .txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(made().encode("utf-8", "replace"))  # the same bytes on every system
        return path

    def show(self) -> Path:
        """Open the picture in the browser, from a temporary file; returns its path."""
        path = self.save(Path(tempfile.mkdtemp(prefix="tensorlite-")) / "picture.html")
        webbrowser.open(path.as_uri())
        return path


class Canvas:
    """Collects SVG; grows to hold what is put on it."""

    def __init__(self, title, note=""):
        self.parts, self.boxes, self.w, self.h = [], [], 0.0, 0.0
        self.text(16, 26, title, size=TITLE, ink="text", bold=True)
        if note:
            self.text(16, 44, note)
        self.top = 60 if note else 44

    def _grow(self, x, y):
        self.w, self.h = max(self.w, x), max(self.h, y)

    def text(self, x, y, said, size=TEXT, ink="grey", anchor="start", bold=False, upward=False):
        """A text on its base line (`upward`: it begins at (x, y) and runs up); its box is noted, by the font's widths."""
        said = plain(str(said))
        w = wide(said, size)
        if upward:
            self.boxes.append((x - 0.8 * size, y - w, x + 0.25 * size, y, said))
            self._grow(x + 0.25 * size, y)
            turned = f'transform="translate({x:.1f},{y:.1f}) rotate(-90)"'
            self.parts.append(f'<text {turned} font-size="{size}" fill="var(--{ink})">{escape(said)}</text>')
            return
        left = x - {"start": 0, "middle": w / 2, "end": w}[anchor]
        self.boxes.append((left, y - 0.8 * size, left + w, y + 0.25 * size, said))
        self._grow(left + w, y + 0.25 * size)
        side = "" if anchor == "start" else f' text-anchor="{anchor}"'
        weight = ' font-weight="bold"' if bold else ""
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="var(--{ink})"{side}{weight}>{escape(said)}</text>'
        )

    def rect(self, x, y, w, h, ink, opacity=1.0, said=""):
        """A filled rectangle; `ink` is a colour's name, or "hatch" or "hatch-alarm". `said`: shown on hovering."""
        self._grow(x + w, y + h)
        fill = f"url(#{ink})" if ink.startswith("hatch") else f"var(--{ink})"
        faint = "" if opacity >= 1 else f' fill-opacity="{opacity:.3f}"'
        end = f"><title>{escape(plain(said))}</title></rect>" if said else "/>"
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" fill="{fill}"{faint}{end}')

    def cells(self, cells):
        """Many rectangles [(x, y, w, h, ink, opacity)] without words: one path for all of a colour, in hundredths of opacity."""
        paths = {}
        for x, y, w, h, ink, opacity in cells:
            self._grow(x + w, y + h)
            short = [f"{v:.1f}".removesuffix(".0") for v in (x, y, w, h, -w)]
            paths.setdefault((ink, round(min(opacity, 1.0), 2)), []).append("M{} {}h{}v{}h{}z".format(*short))
        for (ink, opacity), places in sorted(paths.items()):
            fill = f"url(#{ink})" if ink.startswith("hatch") else f"var(--{ink})"
            faint = "" if opacity >= 1 else f' fill-opacity="{opacity:g}"'
            self.parts.append(f'<path d="{"".join(places)}" fill="{fill}"{faint}/>')

    def line(self, x0, y0, x1, y1, ink="edge-of-card", dash=""):
        """A straight line."""
        self._grow(max(x0, x1), max(y0, y1))
        dash = f' stroke-dasharray="{dash}"' if dash else ""
        self.parts.append(
            f'<line x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}" stroke="var(--{ink})"{dash}/>'
        )

    def svg(self, alt) -> str:
        """The whole as SVG text; `alt` is the sentence for those who cannot see it."""
        w, h, alt = math.ceil(self.w + 16), math.ceil(self.h + 16), escape(plain(alt), {'"': "&quot;"})
        hatches = "".join(
            f'<pattern id="{name}" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
            f'<rect width="6" height="6" fill="var(--constant)"/><rect width="1.5" height="6" fill="var(--{ink})"/></pattern>'
            for name, ink in (("hatch", "edge-of-card"), ("hatch-alarm", "alarm"))
            if any(f"url(#{name})" in p for p in self.parts)
        )
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img" aria-label="{alt}">',
                f"<title>{alt}</title><style>svg{{{variables(LIGHT)}}}",
                f"@media (prefers-color-scheme:dark){{svg{{{variables(DARK)}}}}}",
                f"text{{font-family:{FONTS}}}</style>" + (f"<defs>{hatches}</defs>" if hatches else ""),
                f'<rect width="{w}" height="{h}" fill="var(--paper)"/>',
                *self.parts,
                "</svg>",
                "",
            ]
        )


class Bars(Picture):
    """One bar a row: `rows` is [(label, value or None, what is said at the bar)].

    low, high: the ends of the axis (powers of ten if `log`). guides: [(value, text)]; marks: label -> alarming.
    """

    def __init__(self, title, rows, note="", log=False, low=0.0, high=1.0, guides=(), alarms=()):
        self.title, self.rows, self.note, self.log = title, list(rows), note, log
        self.low, self.high, self.guides, self.alarms = low, high, list(guides), frozenset(alarms)

    def _share(self, value):
        """Where a value lies on the axis, 0 to 1."""
        if self.log:
            value = math.log10(value) if value > 0 else self.low
        return min(1.0, max(0.0, (value - self.low) / ((self.high - self.low) or 1)))

    def svg(self) -> str:
        c = Canvas(self.title, self.note or ("" if self.rows else "nothing to show"))
        left = 28 + max([wide(plain(r[0])) for r in self.rows] or [0])
        span, top = 360.0, c.top + (16 * len(self.guides) + 6 if self.guides and self.rows else 0)
        bottom = top + ROW * len(self.rows)
        if self.rows:
            c.line(left, top, left, bottom)
            for k, (value, said) in enumerate(self.guides):
                x = left + span * self._share(value)
                y = c.top + 8 + 16 * k
                c.line(x, y + 4, x, bottom, "line", "3 3")
                c.text(x, y, said, anchor="middle")
        for i, (label, value, said) in enumerate(self.rows):
            y, bad = top + ROW * i, i in self.alarms
            long = span * self._share(value) if value is not None and math.isfinite(value) else 0
            c.text(left - 8, y + 14, label, anchor="end", ink="text")
            if long:
                c.rect(left, y + 4, long, ROW - 8, "alarm" if bad else "value", 0.75)
            c.text(left + span + 12, y + 14, said, ink="alarm" if bad else "text", bold=bad)
        return c.svg(
            f"{self.title}: " + ("; ".join(f"{r[0]} {r[2]}" for r in self.rows[:12]) or self.note or "no data")
        )

    def text(self) -> str:
        rows = [self.title, *([self.note] if self.note else [])]
        long = max([columns(plain(r[0])) for r in self.rows] or [0])
        for label, value, said in self.rows:
            n = round(24 * self._share(value)) if value is not None and math.isfinite(value) else 0
            label = plain(label)
            rows.append(f"{' ' * (long - columns(label))}{label} |{'#' * n:24} {plain(said)}")
        rows += [f"guide: {said}" for _, said in self.guides]
        return "\n".join(rows if self.rows or self.note else [*rows, "nothing to show"]) + "\n"


class Stack(Picture):
    """Pictures one below the other."""

    def __init__(self, title, parts):
        self.title, self.parts = title, list(parts)

    def svg(self) -> str:
        w, h = max(p.width for p in self.parts), sum(p.height for p in self.parts)
        alt = escape(plain(self.title), {'"': "&quot;"})
        out, y = (
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img" aria-label="{alt}">'
            ],
            0,
        )
        for p in self.parts:
            out.append(p.svg().replace("<svg ", f'<svg y="{y}" ', 1).rstrip("\n"))
            y += p.height
        return "\n".join([*out, "</svg>", ""])

    def text(self) -> str:
        return "\n".join(p.text() for p in self.parts)


def number(v) -> str:
    """A number in four significant digits."""
    return f"{v:.4g}"


def plain(text: str) -> str:
    """Without characters that XML cannot hold."""
    return "".join(ch if ch.isprintable() else "\ufffd" for ch in str(text))


def sparkline(values) -> str:
    """Numbers as a row of small blocks."""
    low, high = min(values), max(values)
    return "".join(_SPARKS[min(7, int(8 * (v - low) / ((high - low) or 1)))] for v in values)
