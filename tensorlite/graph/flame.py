"""The flame picture of a profile: a bar for each module, as wide as its time, what is in it below; and times and sizes in words.

It draws any tree of `Frame`; `tree` makes one of a profile's events.
"""

from dataclasses import dataclass, field

from tensorlite.graph.metrics import TEXT, TITLE, width
from tensorlite.graph.svg import _attribute, _paint, _type, _wrap, plain
from tensorlite.graph.theme import DARK, FONTS, LIGHT, variables

KINDS = ("forward", "backward", "other")
_DAY = {"forward": "#cfe3f8", "backward": "#fbd8bd", "other": "#e3e6ed"}
_NIGHT = {"forward": "#23466d", "backward": "#6b3a14", "other": "#353d4d"}
_USED = ("paper", "text", "grey")
THEMES = {
    "light": {**{k: LIGHT[k] for k in _USED}, **_DAY},
    "dark": {**{k: DARK[k] for k in _USED}, **_NIGHT},
}
THEMES["auto"] = THEMES["light"]  # dark where the reader's screen is
WIDE, MARGIN, BAR, PAD = 1200, 16, 24, 6
SMALLEST = 0.3  # narrower bars would not be seen


@dataclass(slots=True)
class Frame:
    """A module (or label), an operation, or other work; its times hold those of the frames in it."""

    name: str
    kind: str  # "module", "op" or "other"
    times: dict = field(default_factory=lambda: dict.fromkeys(KINDS, 0.0))  # seconds, forward, backward and other
    calls: int = 0  # of an op, forward
    bytes: int = 0
    children: dict = field(default_factory=dict)  # (kind, name) -> Frame, in the order of first use

    @property
    def time(self) -> float:
        """Seconds, all together."""
        return sum(self.times.values())

    @property
    def depth(self) -> int:
        """How many frames are below one another."""
        return 1 + max((f.depth for f in self.children.values()), default=0)

    def child(self, name, kind):
        """The frame of that name in this one, made if it is not there."""
        found = self.children.get((kind, name))
        if found is None:
            found = self.children[kind, name] = Frame(name, kind)
        return found


def tree(events) -> Frame:
    """The events of a profile, summed by module path and operation."""
    root = Frame("all", "module")
    for e in events:
        chain = [root]
        for name in e.path:
            chain.append(chain[-1].child(name, "module"))
        chain.append(chain[-1].child(e.name, "op" if e.operation else "other"))
        for frame in chain:
            frame.times[e.kind] += e.time
            frame.bytes += e.bytes
        chain[-1].calls += e.calls if e.kind != "backward" else 0
    return root


def draw(root: Frame, caption: str, theme: str = "auto") -> str:
    """The picture as SVG."""
    colours, inner = THEMES[theme], WIDE - 2 * MARGIN
    lines = _wrap(caption, inner)
    top = MARGIN + 18 * len(lines) + 28
    high = top + BAR * root.depth + MARGIN
    alt = f"Time by module and operation, {caption}"
    style = f".tl-flame.{theme}{{{variables(colours)}}}"
    if theme == "auto":
        style += f"@media(prefers-color-scheme:dark){{.tl-flame.auto{{{variables(THEMES['dark'])}}}}}"
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="tl-flame {theme}" viewBox="0 0 {WIDE} {high}" '
        f'width="{WIDE}" height="{high}" role="img" aria-label={_attribute(alt)}>',
        f"<title>{plain(alt)}</title>",
        f"<style>{style}.bar:hover{{opacity:.75}}</style>",
        f'<rect width="{WIDE}" height="{high}" rx="10" {_paint(colours, "paper")}/>',
        f'<g font-family="{FONTS}">',
    ]
    for k, line in enumerate(lines):
        out.append(_type(MARGIN, MARGIN + 12 + 18 * k, line, "text", colours, TITLE, bold=not k))
    x, y = MARGIN, top - 20
    for kind in KINDS:
        out.append(f'<rect x="{x:.1f}" y="{y}" width="12" height="12" rx="2" {_paint(colours, kind)}/>')
        out.append(_type(x + 18, y + 10, kind, "grey", colours))
        x += 18 + width(kind) + 20
    out.append(_type(x, y + 10, "bold: modules and labels; the rest: operations", "grey", colours))
    _bars(root, "", MARGIN, top, inner / (root.time or 1), root.time or 1, colours, out)
    out += ["</g>", "</svg>"]
    return "\n".join(out) + "\n"


def _bars(frame, path, x, y, scale, whole, colours, out):
    """One bar and those below it; `scale`: of seconds to the picture's unit."""
    wide = frame.time * scale
    if wide < SMALLEST:
        return
    path = f"{path}.{frame.name}" if path else frame.name if frame.kind == "module" else f"all.{frame.name}"
    out.append(f'<g class="bar"><title>{plain(_about(frame, path, whole))}</title>')
    gap = min(1.0, wide / 4)  # between neighbours
    at, room = x, wide - gap
    for kind in KINDS:
        part = room * frame.times[kind] / frame.time
        if part > 0:
            out.append(f'<rect x="{at:.2f}" y="{y}" width="{part:.2f}" height="{BAR - 1}" {_paint(colours, kind)}/>')
            at += part
    text = _label(frame, room - 2 * PAD)
    if text:
        out.append(_type(x + PAD, y + 16, text, "text", colours, TEXT, bold=frame.kind == "module"))
    out.append("</g>")
    inner = "" if path == "all" else path
    for child in frame.children.values():
        _bars(child, inner, x, y + BAR, scale, whole, colours, out)
        x += child.time * scale


def _label(frame, room):
    """The longest of some texts that has room, or nothing."""
    short = frame.name.rpartition(".")[2]
    for text in (f"{frame.name}  {duration(frame.time)}", frame.name, short):
        if width(text) * 1.03 <= room:  # bold letters may be a little wider
            return text
    return ""


def _about(frame, path, whole):
    """The exact numbers in words."""
    parts = [f"{k} {duration(frame.times[k])}" for k in KINDS if frame.times[k]]
    words = [f"{path}: {duration(frame.time)}, {100 * frame.time / whole:.2f} % of all", ", ".join(parts)]
    if frame.calls:
        words.append(f"{frame.calls:,} call{'s' if frame.calls > 1 else ''}")
    if frame.bytes:
        words.append(f"made {memory(frame.bytes)}")
    return "\n".join(words)


def duration(seconds: float) -> str:
    """A time to four digits, with its unit."""
    if seconds >= 1:
        return f"{seconds:.4g} s" if seconds < 1e4 else f"{seconds:,.0f} s"
    return f"{seconds * 1e3:.4g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.4g} us"


def memory(count: int) -> str:
    """A number of bytes, with its unit."""
    for unit, factor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} B" if count else "0"
