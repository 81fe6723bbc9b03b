"""Which operations are one card: each its own in small graphs; in larger ones whole modules, or runs of operations."""

from fnmatch import fnmatchcase

RUN = 12  # operations in a run at least, where no modules are to be folded


class Unit:
    """One card: its nodes, oldest first; the last one is its result."""

    __slots__ = ("group", "kind", "name", "nodes")

    def __init__(self, nodes, name="", kind="", group=False):
        self.nodes, self.name, self.kind, self.group = nodes, name, kind, group

    @property
    def last(self):
        """The node whose value stands on the card."""
        return self.nodes[-1]


class Units:
    """The cards of a graph, and which shares go from one to another."""

    def __init__(self, nodes, item_of, record, most, depth=None, expand=()):
        self.nodes, self.item_of, self.calls = nodes, item_of, record.calls
        self.expand = (expand,) if isinstance(expand, str) else tuple(expand)
        self.notes, self.grouped = [], False
        constants = sum(item.kind == "constant" for item in record.items)
        levels = [depth] if depth is not None else [None, *range(self._deepest(), -1, -1)]
        for level in levels:
            self._group(level)
            if len(self.order) + (constants if level is None else 0) <= most:
                break
        if len(self.order) > most and depth is None:
            self._runs(most)
        self.grouped = any(u.group for u in self.order)
        if self.grouped:
            self.notes.append((len(nodes), len(self.order)))

    def _path(self, node):
        chain, c = [], self.item_of[node].call
        while c >= 0:
            chain.append(c)
            c = self.calls[c].outer
        return chain[::-1]

    def _deepest(self):
        return max((len(self._path(n)) for n in self.nodes), default=0)

    def _key(self, node, level):
        """The module call that a node is folded into, or the node itself."""
        if node.op is None or level is None:
            return node
        path = self._path(node)
        for k, c in enumerate(path):
            name = self.calls[c].path
            opened = k < level or any(fnmatchcase(name, e) or e.startswith(name + ".") or not name for e in self.expand)
            if not opened:
                return c
        return node

    def _group(self, level):
        key_of = {n: self._key(n, level) for n in self.nodes}
        readers = {}
        for n in self.nodes:
            for p in n.parents:
                if p is not None:
                    readers.setdefault(p, set()).add(key_of[n])
        for n in self.nodes:  # a parameter that only one module reads belongs to it
            if (
                n.op is None
                and self.item_of[n].parameter
                and len(found := readers.get(n, ())) == 1
                and isinstance(found := next(iter(found)), int)
            ):
                key_of[n] = found
        members = {}
        for n in self.nodes:
            members.setdefault(key_of[n], []).append(n)
        self._set(members)

    def _set(self, members):
        units = []
        for key, nodes in members.items():
            if isinstance(key, int):
                call = self.calls[key]
                nodes = [n for n in nodes if n.op is None] + [n for n in nodes if n.op is not None]
                units.append(Unit(nodes, call.path or call.kind, call.kind, True))
            else:
                units.append(Unit(nodes))
        self._number(units)

    def _number(self, units):
        self.order = sorted(units, key=lambda u: u.last.seq if u.last.op is not None else u.nodes[0].seq)
        self.of = {n: u for u in units for n in u.nodes}
        ready, placed, rest = [], set(), list(self.order)
        while rest:  # inputs before what reads them, although a card's first node may be younger
            later = []
            for u in rest:
                wait = {self.of[p] for n in u.nodes for p in n.parents if p is not None} - {u}
                (ready.append(u), placed.add(u)) if wait <= placed else later.append(u)
            if len(later) == len(rest):
                ready += later
                break
            rest = later
        self.order = ready

    def _runs(self, most):
        """Runs of operations as cards, where modules are too many or there are none; leaves belong to their first reader."""
        ops = [n for n in self.nodes if n.op is not None]
        size = max(-(-len(ops) // (most // 2)), RUN)
        units, first = [], {}
        for start in range(0, len(ops), size):
            run = ops[start : start + size]
            units.append(Unit(run, f"ops {start + 1}-{start + len(run)}", f"{len(run)} operations", True))
            for n in run:
                for p in n.parents:
                    if p is not None and p.op is None:
                        first.setdefault(p, units[-1])
        for leaf, unit in first.items():
            if len(units) + len(first) <= most:  # few inputs stay to be seen
                units.append(Unit([leaf]))
            else:
                unit.nodes.insert(0, leaf)
        self._number(units)

    def crosses(self, node, parent) -> bool:
        """Whether a share goes from one card to another."""
        return self.of[node] is not self.of[parent]

    def key(self, node, operand):
        """Shares with the same key are told as one: all from one module to one result of another."""
        unit = self.of[node]
        return (unit, node.parents[operand]) if unit.group else (node, operand)

    def cross(self):
        """key -> the card it goes to, of all shares between cards."""
        found = {}
        for n in self.nodes:
            for i, p in enumerate(n.parents):
                if p is not None and self.crosses(n, p):
                    found[self.key(n, i)] = self.of[p]
        return found
