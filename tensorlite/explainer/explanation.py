"""What `explain` returns: an Explanation, which holds variables, steps and checks, and becomes a page or text."""

from dataclasses import dataclass
from pathlib import Path

from tensorlite import errors


@dataclass(frozen=True)
class Nudge:
    """The check of one gradient: what it predicts for a small change of one input element, and what happens."""

    name: str
    place: tuple  # of the element
    grad: float
    predicted: float
    measured: float


@dataclass(frozen=True)
class Descent:
    """One step of gradient descent, x -= lr x.grad for every input: the result before and after."""

    lr: float
    before: float
    after: float


class Explanation:
    """One backward pass, step by step. In a notebook it shows itself; `.save("why.html")` writes the page.

    variables: list of Variable, the cards. steps: list of Step, everything that happens, in the engine's order. wrong: the steps
    of a walk in the wrong order (asked for by wrong_order=True). nudges, descent: the checks at the end. code: lines.
    """

    def __init__(
        self,
        variables,
        steps,
        code,
        nudges=(),
        descent=None,
        title="",
        intro="",
        lang="en",
        wrong=(),
        notes=(),
        ask=None,
        inside=None,
    ):
        self.variables, self.steps, self.code = variables, steps, code
        self.nudges, self.descent, self.title, self.intro = list(nudges), descent, title, intro
        self.lang, self.wrong, self.notes = lang, list(wrong), list(notes)
        self.links = ()  # (file, text, whether it is this page) of pages that lie beside it
        self.inside = inside or {}  # id of a folded module -> the Explanation of what is in it
        self.ask = len(code) - 1 if ask is None else ask  # the line of the code that walks back

    def __repr__(self):
        shares = sum(s.kind == "share" for s in self.steps)
        return f"Explanation: {len(self.variables)} variables, {shares} shares. .save('why.html'), .show(), .text()"

    @property
    def gradients(self) -> dict:
        """name -> Numbers: the complete gradient of each variable that has one."""
        found = {s.target: s.after for s in self.steps if s.kind in ("share", "seed")}
        return {self.variables[i].name: g for i, g in found.items()}

    def text(self, color: bool | None = None) -> str:
        """All steps as plain text. color: with terminal colours (default: where the output is one, and NO_COLOR is not set)."""
        from tensorlite.explainer.text import draw

        return draw(self, color)

    def html(self) -> str:
        """The page: one file, which asks for nothing else."""
        from tensorlite.explainer.page import page

        return page(self)

    def save(self, path) -> Path:
        """Write the page (.html), or the text (.txt). Returns the path."""
        path = Path(path)
        if path.suffix.lower() not in (".html", ".htm", ".txt"):
            raise errors.ArgumentError(f"save: {path.name!r} must end with .html or .txt")
        made = self.text(color=False) if path.suffix.lower() == ".txt" else self.html()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(made.encode("utf-8", "replace"))
        return path

    def show(self) -> Path:
        """Open the page in the browser. Returns where it lies."""
        import tempfile
        import webbrowser

        path = self.save(Path(tempfile.mkdtemp(prefix="tensorlite-")) / "explain.html")
        webbrowser.open(path.resolve().as_uri())
        return path

    def _repr_html_(self):
        from xml.sax.saxutils import quoteattr

        return f'<iframe srcdoc={quoteattr(self.html())} style="width:100%;height:900px;border:0"></iframe>'
