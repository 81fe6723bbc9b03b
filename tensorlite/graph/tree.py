"""The operations as a tree of module calls, without views; which of its branches are equal, and repeat."""

from fnmatch import fnmatchcase

from tensorlite import errors

LONGEST = 64  # children in a repeated unit


class Tree:
    """Operations in the order they ran (`ops`: item ids; places count along it), sorted into module calls.

    children[call]: in order, ("op", place) and ("call", id); call -1 is the top. inside[call]: all its places.
    sources[place]: for each operand (item id of where it comes from, views left out; the steps of the views).
    """

    def __init__(self, record):
        self.record, items = record, record.items
        self.steps = _joined(items)
        self.ops = [item.id for item in items if item.kind == "op" and item.id not in self.steps]
        self.place = {i: p for p, i in enumerate(self.ops)}
        self.sources = [tuple([self.base(i) for i in items[op].inputs]) for op in self.ops]
        self.children, self.inside = {-1: []}, {}
        outer = [call.outer for call in record.calls]
        for p, i in enumerate(self.ops):
            call = items[i].call
            self.children.setdefault(call, [])
            inner = ("op", p)
            while True:
                siblings = self.children.setdefault(call, [])
                if inner is not None:
                    siblings.append(inner)
                if call == -1:
                    break
                inner = None if call in self.inside else ("call", call)
                self.inside.setdefault(call, []).append(p)
                call = outer[call]
        top = self.children[-1]
        calls = [c for kind, c in top if kind == "call"]
        self.root = calls[0] if len(calls) == 1 and not self.is_simple(calls[0]) else -1
        if self.root >= 0:  # one model: its box says nothing, so what is in it stands at the top
            at = top.index(("call", self.root))
            top[at : at + 1] = self.children.pop(self.root)
        self.words = {}  # what makes operations and calls alike -> a number
        self.own = [self.word(self._own(i)) for i in self.ops]
        self.deep = {}

    def base(self, i):
        """(item, steps) where an operand comes from when views are followed back."""
        return self.steps.get(i, (i, ()))

    def word(self, key):
        """A small number for a key; equal keys have equal numbers."""
        return self.words.setdefault(key, len(self.words))

    def _own(self, i):
        item, items = self.record.items[i], self.record.items
        shapes = tuple([items[j].shape if j >= 0 else item.literals.get(k) for k, j in enumerate(item.inputs)])
        return item.op, item.args if not item.view else "", item.shape, item.dtype, shapes

    def places(self, child):
        """The places of a child's operations."""
        return (child[1],) if child[0] == "op" else self.inside[child[1]]

    def key(self, child):
        """A number that is equal for children which do the same: class, parameter shapes, operations, inner wiring."""
        if child[0] == "op":
            return self.own[child[1]]
        if child[1] not in self.deep:
            call = self.record.calls[child[1]]
            self.deep[child[1]] = self.word((call.kind, self.wiring(self.inside[child[1]])))
        return self.deep[child[1]]

    def wiring(self, places):
        """What a list of operations does: each with the operands that come from among them."""
        local = {p: k for k, p in enumerate(places)}
        return tuple(
            [(self.own[p], tuple([local.get(self.place.get(i, -1)) for i, _ in self.sources[p]])) for p in places]
        )

    def links(self, places, before):
        """(operation, operand, operation of `before`) for each operand that comes from there."""
        found = {p: k for k, p in enumerate(before)}
        return [
            (k, o, found[q])
            for k, p in enumerate(places)
            for o, (i, _) in enumerate(self.sources[p])
            if (q := self.place.get(i, -1)) in found
        ]

    def level(self, call):
        """How deep a call lies: 1 at the top, 0 for the model itself."""
        level = 0 if call == self.root else 1
        while (call := self.record.calls[call].outer) >= 0 and call != self.root:
            level += 1
        return level

    def is_simple(self, call):
        """Whether a module call is a single operation."""
        return len(self.inside[call]) == 1

    def is_derivative(self, call):
        """Whether a call is the backward pass of a single layer, whatever operations it takes."""
        kinds = {kind for kind, _ in self.children.get(call, ())}
        return self.record.calls[call].kind.startswith("∇") and kinds == {"op"} and call != self.root

    def runs(self, children, plain, marks):
        """(start, period, count, chained) for each part of `children` that repeats; the rest as (start, 1, 1, False).

        plain: also fold repeats in which no module of several operations takes part. marks: call -> what sets it apart.
        """
        keys = [(self.key(c), marks.get(c[1]) if c[0] == "call" else None) for c in children]
        large = [c[0] == "call" and not self.is_simple(c[1]) for c in children]
        n, i = len(children), 0
        while i < n:
            best = (i, 1, 1, False)
            if plain or any(large[i : i + LONGEST]):
                for period in range(1, min(LONGEST, (n - i) // 2) + 1):
                    if keys[i] != keys[i + period] or keys[i : i + period] != keys[i + period : i + 2 * period]:
                        continue
                    modules = any(large[i : i + period])
                    if not modules and not plain:
                        continue
                    unit, count = keys[i : i + period], 2
                    while keys[i + count * period : i + (count + 1) * period] == unit:
                        count += 1
                    count, chained = self._linked(children[i : i + count * period], period)
                    if count >= (2 if modules and period == 1 else 3 if modules else 4):
                        best = (i, period, count, chained)
                        break
            yield best
            i += best[1] * best[2]

    def _linked(self, children, period):
        """How many of the equal units, from the first, are chained (each uses the one before) or side by side."""
        units = [[p for c in children[s : s + period] for p in self.places(c)] for s in range(0, len(children), period)]
        wiring, links, seen = self.wiring(units[0]), None, set(units[0])
        for k in range(1, len(units)):
            now = self.links(units[k], units[k - 1])
            if links is None:
                links = now
            apart = links or not any(self.place.get(i, -1) in seen for p in units[k] for i, _ in self.sources[p])
            if self.wiring(units[k]) != wiring or now != links or not apart:
                return k, bool(links)
            seen.update(units[k])
        return len(units), bool(links)

    def matching(self, patterns, what):
        """The calls that a pattern names. Raises ArgumentError for a pattern that names none."""
        found = {}
        patterns = (patterns,) if isinstance(patterns, str) else tuple(patterns)
        for pattern in patterns:
            hits = [c for c in self.inside if c != self.root and fnmatchcase(self.record.calls[c].path, pattern)]
            if not hits:
                known = list(dict.fromkeys(self.record.calls[c].path for c in self.inside if c != self.root))
                known = ", ".join(k for k in known[:12] if k) + (", ..." if len(known) > 12 else "")
                raise errors.ArgumentError(
                    f"draw_graph: {what}={pattern!r} is the name of no module in this graph; "
                    + (f"there are: {known}" if known else "no modules were called")
                )
            found.update(dict.fromkeys(hits, pattern))
        return found


def _joined(items):
    """Views that become part of an edge: id -> (the item they look at, ((word, shape), ...))."""
    joined = {}
    for item in items:
        if not item.view or item.name or item.retains or item.output is not None or item.inputs[0] < 0:
            continue
        base, steps = joined.get(item.inputs[0], (item.inputs[0], ()))
        if len(steps) > 3:  # a long chain keeps its first and last steps
            steps = (steps[0], ("…", None), *steps[-2:])
        joined[item.id] = (base, (*steps, (item.view, item.shape)))
    return joined
