"""What stands on the cards: title, note, shape, value and gradient in words, and everything in the tooltip."""

import linecache
import math
import os
import re
import textwrap
from collections import Counter

from tensorlite.graph import summary
from tensorlite.graph.metrics import columns
from tensorlite.graph.record import CONSTANT
from tensorlite.graph.summary import shape_text
from tensorlite.graph.view import Line

LONGEST = 52  # characters of a name on a card; the tooltip has all
MOST_ENDS = 4  # outputs that a card lists
LONGEST_NOTE = 44  # of a row of a formula
NOT_YET = "not yet: call backward()"


def shorten(text: str, most: int = LONGEST) -> str:
    """A text of at most `most` characters, cut in the middle."""
    text = " ".join(str(text).split())
    half = (most - 1) // 2
    return text if len(text) <= most else f"{text[:half]}…{text[-(most - 1 - half) :]}"


def write(view, record, arrays, show) -> None:
    """Fill in the texts of a View: cards, and its title."""
    writer = _Writer(record, arrays, show)
    for card in view.cards:
        getattr(writer, card.kind)(card)
        for line in card.lines:
            line.label, line.text = shorten(line.label), line.text if line.kind != "note" else shorten(line.text)
        card.title, card.note = shorten(card.title), shorten(card.note)
    ends = [record.items[i] for i in record.outputs]
    words = [item.output or item.name or item.op or item.kind for item in ends]
    if len(words) > 3:
        words[2:] = ["…"]
    view.title = shorten(f"{view.title} → {', '.join(words)}" if view.title else ", ".join(words), 80)


def _code(where):
    """`gpt.py:52: q, k, v = ...`: where an operation was called, without the folders of this machine."""
    file, _, line = where.rpartition(":")
    code = linecache.getline(file, int(line)).strip() if line.isdigit() else ""
    return f"{os.path.basename(file)}:{line}" + (f": {code}" if code else "")


class _Writer:
    def __init__(self, record, arrays, show):
        self.record, self.items, self.arrays, self.show = record, record.items, arrays, show

    def op(self, card):
        """An operation: its name or the user's, its formula."""
        item = self.items[card.items[-1]]
        card.title = item.name or item.op
        if item.error:
            card.failed, card.note, card.about = True, "failed", item.error
            text = re.sub(r"\([^()]*\)", lambda m: m[0].replace(" ", "\u00a0"), item.error)  # no break inside a shape
            rows = textwrap.wrap(text, LONGEST)[:8]
            card.lines = [Line("", "", "note", row.ljust(max(map(len, rows)), "\u00a0")) for row in rows]
            return
        known = [
            f"{item.operands[k]} = {text}" if k < len(item.operands) else text
            for k, text in item.literals.items()
            if text != CONSTANT or len(item.inputs) == 2
        ]
        note = ", ".join([item.formula, *known]) if item.formula else ", ".join(known)
        card.note = f"{item.op}: {note}" if item.name and note else item.op if item.name else note
        self.common(card, item)
        rows = textwrap.wrap(card.note, LONGEST_NOTE, break_on_hyphens=False)
        if len(rows) > 1:
            card.note = rows[0]
            card.lines[:0] = [Line(row, kind="formula") for row in rows[1:4]]

    def module(self, card):
        """A closed module: its class and name, its parameters, its result."""
        item = self.items[card.items[-1]]
        call = self.record.calls[card.call]
        card.title = call.kind + (f" × {card.times:,}" if card.times > 1 else "")
        name = f"[{card.name}]" if card.name.isdigit() else card.name  # as one writes it: model[0]
        given = (item.output or "").replace(f" {call.path}.", " ")
        card.note = f"{name} → {given}" if given else name
        self.common(card, item)
        if card.inside:
            card.lines.insert(0, Line(card.inside))
        if card.params and not card.inside and card.times == 1:
            for name, i, shared in card.params:
                shape = f" {shape_text(self.items[i].shape)}" if "shape" in self.show else ""
                line = Line(name + shape + (" shared" if shared else ""), *self.param_grad([i]))
                before = card.lines[-1] if card.lines else line
                if not (line.text or before.text or before.kind != "note" or before is line or line.alarm):
                    if columns(before.label) + columns(line.label) <= LONGEST_NOTE - 2:
                        before.label += f", {line.label}"  # side by side, where nothing is said of them
                        continue
                card.lines.append(line)
        elif card.params:
            card.lines.append(Line(f"{card.total:,} params", *self.param_grad([i for _, i, _ in card.params])))
        if item.op and not card.inside:
            card.about += f"\n{item.op}: {item.formula}" if item.formula else f"\n{item.op}"

    def leaf(self, card):
        """Where gradients end: a parameter or an input."""
        item = self.items[card.items[-1]]
        card.title = item.name or card.name or "leaf"
        card.note = "parameter" if item.parameter else "input" if item.given else "leaf" if item.name else ""
        self.common(card, item)

    def constant(self, card):
        """What no gradient flows into."""
        item = self.items[card.items[-1]]
        card.title = item.name or item.op or "constant"
        card.note = "input, no gradient" if item.given else "no gradient"
        self.common(card, item)

    def more(self, card):
        """Many operations, or many leaves, in one card."""
        items = [self.items[i] for i in card.items]
        counts = Counter(item.op or item.kind for item in items)
        ops = sum(item.kind == "op" for item in items)
        card.title = f"… {len(items):,} {'operations' if ops else 'leaves and constants'}"
        words = [f"{name} × {n:,}" for name, n in counts.most_common(3)]
        card.note = ", ".join(words) + (", …" if len(counts) > 3 else "")
        card.about = f"{card.title}: {', '.join(f'{name} × {n:,}' for name, n in counts.most_common(20))}"

    # ------------------------------------------------------------ lines
    def common(self, card, item):
        """Shape, value, gradient, the tooltip."""
        if "shape" in self.show:
            dtype = item.dtype if item.kind != "op" or item.dtype != "float32" else ""
            card.shape = " ".join(w for w in (dtype, shape_text(item.shape)) if w)
        about = [f"{card.title}: {card.note}" if card.note else card.title]
        about.append(" ".join(w for w in (item.dtype, shape_text(item.shape), f"on {item.device}") if w))
        if item.args:
            about.append(item.args)
        for name, slope in zip(item.operands, item.local, strict=False):
            if slope:
                about.append(f"slope for {name}: {slope}")
        if item.where:
            about.append(_code(item.where))
        if "value" in self.show:
            self.value(card, item, about)
        if "grad" in self.show and item.kind != "constant":
            self.grad(card, item, about)
        inside = f" {self.record.calls[card.call].path}." if card.call >= 0 else " ."
        for k, name in enumerate(card.ends):
            if k < MOST_ENDS or len(card.ends) == MOST_ENDS + 1:
                card.lines.append(Line("output", shorten(name.replace(inside, " "))))
            elif k == MOST_ENDS:
                card.lines.append(Line("output", f"and {len(card.ends) - k:,} more"))
            about.append(f"output {name}")
        if card.used > 1:
            about.append(f"used {card.used} times: its gradient is the sum of as many shares")
        card.about = "\n".join(about)

    def value(self, card, item, about):
        found = self.arrays.value(item.id)
        if found is None:
            return
        array, device = found
        said = summary.value(array, device.backend)
        self.lines(card, "value", said, "value")
        about.append(f"value {said.text}")

    def grad(self, card, item, about):
        grad = self.arrays.grads.get(item.id)
        if grad is not None:
            said = summary.gradient(grad.array, grad.device.backend)
            self.lines(card, "grad", said, "grad")
            about.append(f"grad {said.text}")
        elif item.kind == "leaf":
            card.lines.append(Line("grad", NOT_YET, "none"))
            about.append(f"grad {NOT_YET}")
        elif card.kind == "op" and not self.record.ran and (item.output is None or not self.record.walked):
            text = NOT_YET if item.output is not None else "not kept" if self.record.walked else "not yet"
            card.lines.append(Line("grad", text, "none"))
            if text == "not kept":
                text = "not kept: call retain_grad() on this result before backward()"
            about.append(f"grad {text}")

    def lines(self, card, label, said, kind):
        for n, text in enumerate(said.lines or ("",)):
            last = n == max(len(said.lines) - 1, 0)
            line = Line(label if n == 0 else "", text, kind, said.alarm if last else "", said.grid)
            card.lines.append(line)

    def param_grad(self, ids):
        """The text and kind of a parameter line: the L2 norm of the gradients, of all together."""
        if "grad" not in self.show:
            return "", "note"
        grads = [self.arrays.grads.get(i) for i in ids]
        grads = [g for g in grads if g is not None and g.array.size]
        if not grads:
            return ("", "note") if self.record.ran else ("grad not yet", "none")
        alarms = [a for a in (summary.alarm(g.array, g.device.backend) for g in grads) if a]
        if alarms:
            return "|g| not finite", "grad", alarms[0]
        return f"|g| = {summary.number(math.hypot(*[summary.norm(g.array, g.device.backend) for g in grads]))}", "grad"
