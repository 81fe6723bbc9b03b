"""An Explanation as plain text: for a terminal, for print, and for the part of the page that needs no JavaScript."""

import os
import sys

from tensorlite.explainer import words
from tensorlite.graph.summary import number

COLOURS = {"value": "34", "slope": "32", "grad": "33", "bold": "1"}
MOST = 16  # numbers of a tensor in a line of text


def shape_text(shape) -> str:
    """`(2×3)`, `(3)`."""
    return f"({'×'.join(map(str, shape))})"


def numbers_text(x, most: int = MOST, same: bool = False) -> str:
    """The numbers of an array in one line: `[[1, 2], [3, 4]]`; of a large one shape and range.

    same: one number where all are equal.
    """
    if x is None:
        return "-"
    if same and x.values and len(set(x.values)) == 1:
        return number(x.values[0])
    if x.values is None:
        return f"{shape_text(x.shape)} {number(x.low, 3)} .. {number(x.high, 3)}, norm {number(x.norm, 3)}"
    if len(x.values) > most:
        return f"{shape_text(x.shape)} {number(min(x.values), 3)} .. {number(max(x.values), 3)}"
    if not x.shape:
        return number(x.values[0])
    return _rows(list(x.values), x.shape)


def _rows(values, shape):
    if len(shape) == 1:
        return f"[{', '.join(map(number, values))}]"
    step = len(values) // shape[0] if shape[0] else 0
    return f"[{', '.join(_rows(values[i * step : (i + 1) * step], shape[1:]) for i in range(shape[0]))}]"


class Writer:
    """Writes each step of an explanation in words."""

    def __init__(self, explanation, color=False, steps=None):
        self.e, self.color = explanation, color
        self.steps = explanation.steps if steps is None else steps
        self.t = words.table(explanation.lang)
        self.zh = explanation.lang == "zh"
        self.out = next((s for s in self.steps if s.kind == "seed"), None)
        self.shares = sum(s.kind == "share" for s in self.steps)

    def name(self, i):
        return self.e.variables[i].name

    def paint(self, text, kind):
        return f"\033[{COLOURS[kind]}m{text}\033[0m" if self.color else text

    def lines(self):
        """(headline, [further lines]) for each step."""
        n, out = 0, self.name(self.out.source)
        for s in self.steps:
            if s.kind == "inputs":
                given = [v for v in self.e.variables if v.kind in ("input", "constant")]
                yield self.t["t_inputs"], [f"{v.name} = {self.paint(numbers_text(v.value), 'value')}" for v in given]
            elif s.kind == "compute":
                v = self.e.variables[s.source]
                yield f"{v.name} = {v.code} = {self.paint(numbers_text(v.value), 'value')}", []
            elif s.kind == "seed":
                yield f"d{out}/d{out} = {self.paint(numbers_text(s.after), 'grad')}", []
            elif s.kind == "share":
                n += 1
                yield (
                    f"{self.t['backward']} {n}/{self.shares}   {self.name(s.source)} -> {self.name(s.target)}",
                    self.share(s, out),
                )
            else:
                yield self.t["t_end"], self.end(out)

    def share(self, s, out):
        """The lines about one share."""
        source, target, t = self.name(s.source), self.name(s.target), self.t
        up = f"d{out}/d{source} = {self.paint(numbers_text(s.upstream), 'grad')}"
        local = f"d{source}/d{target} = {s.rule}"
        if s.slope is not None:
            shown = numbers_text(s.slope, same=True)
            local = f"{t['slope'] if self.zh else 'local'} {local}" + (
                f" = {self.paint(shown, 'slope')}" if shown != s.rule else ""
            )
        else:
            local = f"{t['rule']} {s.rule or '...'}"
        times = "x" if s.slope is not None else "->"
        first = s.full if s.full is not None else s.share
        line = f"{t['upstream']}  {up}   {times}   {local}   =   {t['share']} {self.paint(numbers_text(first), 'grad')}"
        found = [line]
        if s.full is not None:
            text = t[words.broadcast_key(s.share.shape, s.full.shape)].format(
                t=target, was=shape_text(s.share.shape), now=shape_text(s.full.shape)
            )
            found.append(f"{text}: {self.paint(numbers_text(s.share), 'grad')}")
        before = "0" if s.before is None else numbers_text(s.before)
        state = t["t_complete"] if s.arrived >= s.uses else t["t_waits"]
        if s.hasty:
            state = t["t_hasty"]
        if s.late:
            state = t["late"].format(t=target)
        count = f"({s.arrived}/{s.uses}: {state})" if self.zh else f"({s.arrived} of {s.uses} shares: {state})"
        sums = f"{before} + {numbers_text(s.share)} = {self.paint(numbers_text(s.after), 'grad')}"
        found.append(f"{target}.grad:  {sums}      {count}")
        return found

    def end(self, out):
        """The checks."""
        found = []
        for k in self.e.nudges:
            place = f"[{', '.join(map(str, k.place))}]" if k.place else ""
            found.append(
                f"{k.name}{place} + 0.01:  {self.t['predicted']} {number(k.predicted)}, {self.t['measured']} {number(k.measured)}"
            )
        if self.e.descent is not None:
            d = self.e.descent
            found.append(
                f"{self.t['use_text'].format(lr=number(d.lr))}:  {out}  {number(d.before)} -> {number(d.after)}"
            )
        return found


def draw(explanation, color=None) -> str:
    """All steps as text."""
    if color is None:
        color = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    out = [explanation.title] if explanation.title else []
    writer = Writer(explanation, color)
    for note in explanation.notes:
        out.append(writer.t["folded"].format(n=note[0], m=note[1]))
    for head, rest in writer.lines():
        out.append(writer.paint(head, "bold"))
        out += [f"  {line}" for line in rest]
    if explanation.wrong:
        out.append(writer.paint(writer.t["wrong_order"], "bold"))
        for head, rest in list(Writer(explanation, color, explanation.wrong).lines()):
            if "->" in head:
                out += [head, *[f"  {line}" for line in rest]]
    return "\n".join(out) + "\n"
