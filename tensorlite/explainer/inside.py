"""The walk through one folded module: an Explanation of its own, from the same events, opened by a click on its card."""

import copy

from tensorlite.explainer.explanation import Explanation
from tensorlite.explainer.names import Names
from tensorlite.explainer.steps import Step
from tensorlite.explainer.units import Unit


class Flat:
    """Each node a card of its own: what units.Units is for a whole graph."""

    grouped, notes = False, ()

    def __init__(self, nodes, inner):
        self.inner = inner
        self.order = [Unit([n]) for n in nodes]
        self.of = {u.last: u for u in self.order}

    def key(self, node, operand):
        """Every share is told."""
        return node, operand

    def cross(self):
        """key -> the card it goes to, of the shares that the module's own operations hand on."""
        return {(n, i): self.of[p] for n in self.inner for i, p in enumerate(n.parents) if p is not None}


def inside(builder, unit, events, total, most, lang):
    """The Explanation of a unit, or None: it is too large, or more than one of its results is used outside.

    events: all of the walk. total: the complete gradient of its result.
    """
    inner = set(unit.nodes)
    readers = [(n, p) for n in builder.nodes if n not in inner for p in n.parents if p in inner]
    border = {p for n in unit.nodes for p in n.parents if p is not None and p not in inner}
    if total is None or any(p is not unit.last for _, p in readers) or len(inner) + len(border) > most:
        return None
    sub = copy.copy(builder)
    sub.nodes = [n for n in builder.nodes if n in inner or n in border]
    sub.units, sub.outside, sub.seed = Flat(sub.nodes, unit.nodes), border, total
    named = {n: builder.known.get(n) or builder.item_of[n].name for n in sub.nodes}
    sub.known = {n: name.removeprefix(f"{unit.name}.") for n, name in named.items() if name}
    sub.root, sub.names = None, Names()  # no name "L" for its result
    sub._name_all()
    sub.root, sub.ids, sub.variables, sub.line_of = unit.last, {}, [], lambda node: -1
    sub.uses = {}
    for target in sub.units.cross().values():
        sub.uses[target] = sub.uses.get(target, 0) + 1
    for p in border:  # others may read it too
        sub.uses[sub.units.of[p]] = sum(q is p for n in builder.nodes for q in n.parents)
    lines = []
    for card in sub.units.order:
        sub._variable(card, lines, generated=True)
    steps = [*sub._forward(), *sub._shares([e for e in events if e.node in inner]), Step("end")]
    return Explanation(sub.variables, steps, lines, title=unit.name, lang=lang)
