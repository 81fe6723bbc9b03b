"""From a Record to a View: which operations become a card of their own, which modules are open, which equal parts fold."""

from tensorlite.graph.tree import Tree
from tensorlite.graph.view import Card, Cluster, View
from tensorlite.graph.wiring import connect, parameters

MANY = 60  # more cards than this, and repeats of plain operations fold too
DOTS = "…"


def fold(record, depth=2, expand=(), collapse=(), equal=True, max_nodes=150, local=False) -> View:
    """The view of a record with at most `max_nodes` cards: the depth is lowered until it fits, and the caption says so.

    Raises ArgumentError for a pattern in expand or collapse that names no module.
    """
    tree = Tree(record)
    opened, closed = tree.matching(expand, "expand"), tree.matching(collapse, "collapse")
    for call in list(opened):  # what is around an open module is open too
        while (call := record.calls[call].outer) >= 0:
            opened.setdefault(call, "")
    deepest = min(depth, max(map(tree.level, tree.inside), default=0))
    options, notes = {"equal": equal, "local": local, "closed": closed}, []
    view = None
    for d in range(deepest, -1, -1):
        for plain in (False, True) if equal else (False,):
            most = min(MANY, max_nodes) if equal and not plain else max_nodes
            view = _Folder(tree, d, opened, plain=plain, most=most, **options).made()
            if view:
                break
        if view:
            if d < deepest:
                notes.append(f"Modules are open to depth {d} only: more does not fit in max_nodes={max_nodes}.")
            break
    else:
        view = _Folder(tree, 0, {}, plain=equal, most=max_nodes, **options).limited()
        notes.append(f"The middle is one node: more does not fit in max_nodes={max_nodes}.")
    if not record.failed and sum(c.kind == "op" for c in view.cards) < record.operations - len(tree.steps):
        notes.insert(0, f"{record.operations:,} operations in {len(view.cards)} nodes.")
    view.depth, view.notes = d, notes
    view.title = record.calls[tree.root].kind if tree.root >= 0 else ""
    return view


class _Fold:
    """One run of equal units, of which the first is drawn: its places, and the cluster around it."""

    def __init__(self, label, last, count, chained, places, around):
        self.label, self.last, self.count, self.chained, self.around = label, last, count, chained, around
        self.places = dict.fromkeys(places)


class _TooMany(Exception):
    """There are more cards than are wanted."""


class _Folder:
    """Makes the view of one depth. `owner` maps each place of the tree to its card, places of folded units included."""

    def __init__(self, tree, depth, opened, closed, equal, local, plain, most):
        self.tree, self.record, self.local, self.most = tree, tree.record, local, most
        self.depth, self.opened, self.closed, self.equal, self.plain = depth, opened, closed, equal, plain
        self.view, self.owner = View(), {}
        self.hidden, self.after = {}, {}  # place -> the run that hides it; what an edge from it says
        self.twin = {}  # place that is hidden -> the place like it in the unit that is drawn
        self.marked = {self.record.calls[c].path for c in (*opened, *closed)}

    def made(self):
        """The view, or None if it has too many cards."""
        try:
            self.emit(self.tree.children[-1], -1, 1)
        except _TooMany:
            return None
        connect(self, self.local)
        return self.view if len(self.view.cards) <= self.most else None

    def emit(self, children, cluster, level):
        """Cards and clusters for the children of one module call."""
        for start, period, count, chained in self.runs(children):
            unit = children[start : start + period]
            if count > 1:
                self.repeat(children[start : start + period * count], period, count, chained, cluster, level)
            elif unit[0][0] == "op":
                self.card("op", [unit[0][1]], cluster)
            else:
                self.module(unit[0][1], cluster, level)

    def runs(self, children):
        """(start, period, count, chained) of each run of equal units."""
        if not self.equal:
            return ((i, 1, 1, False) for i in range(len(children)))
        marks = {c: self.mark(c) for kind, c in children if kind == "call"} if self.marked else {}
        return self.tree.runs(children, self.plain, marks)

    def mark(self, call):
        """What was asked for this call and those in it, so that units treated unlike do not fold together."""
        calls, found = self.record.calls, set()
        for c in {self.record.items[self.tree.ops[p]].call for p in self.tree.inside[call]}:
            while c >= 0:
                if c in self.opened or c in self.closed:
                    below = calls[c].path[len(calls[call].path) :]
                    found.add((below, c in self.opened, c in self.closed))
                c = -1 if c == call else calls[c].outer
        return frozenset(found)

    def module(self, call, cluster, level, run=None):
        """A module call: closed, a card; open, a cluster with what is in it."""
        tree, top = self.tree, call
        name = run.label if run else self.path(call, cluster)
        simple = tree.is_simple(call)
        places = run.places if run else tree.inside[call]
        total = sum(_size(self.record.items[i]) for i in parameters(tree, places))
        times = run.count if run else 1
        whole = simple or tree.is_derivative(call)
        if call in self.closed or not (call in self.opened or (level <= self.depth and not whole)):
            while simple and tree.children[call][0][0] == "call":  # the innermost module does the work
                call = tree.children[call][0][1]
                name = name if run else self.path(call, cluster)
            card = self.card("module", tree.inside[top], cluster)
            card.call, card.times, card.name, card.total = call, times, name, total
            card.inside = "" if simple else self.inside(top)
            return
        box = self.cluster(cluster, name, self.record.calls[call].kind, level, call)
        box.times, box.chained, box.total = times, run is None or run.chained, total
        self.emit(tree.children[call], box.id, level + 1)

    def repeat(self, children, period, count, chained, cluster, level):
        """`count` equal units: the first is drawn for all."""
        tree, unit = self.tree, children[:period]
        units = [[p for c in children[s : s + period] for p in tree.places(c)] for s in range(0, len(children), period)]
        places = [p for u in units for p in u]
        if period == 1 and unit[0][0] == "call":
            first, last = (self.path(c[1], cluster) for c in (children[0], children[-1]))
            label = f"{first} {DOTS} {last}" if first != last else first
            run = _Fold(label, last if first != last else f"call {count}", count, chained, places, cluster)
            self.module(unit[0][1], cluster, level, run)
        else:
            run = _Fold(f"{count:,} repeats", f"{count:,} repeats", count, chained, places, cluster)
            around = self.view.clusters[cluster].call if cluster >= 0 else tree.root
            box = self.cluster(cluster, "", "", level, around)
            box.times, box.chained = count, chained
            box.total = sum(_size(self.record.items[i]) for i in parameters(tree, places))
            self.emit(unit, box.id, level)
        self.view.folds.append(f"{run.label} (× {count:,})" if period == 1 and unit[0][0] == "call" else run.label)
        for k, other in enumerate(units[1:], 1):
            for p, q in zip(units[0], other, strict=True):
                self.owner[q], self.hidden[q], self.twin[q] = self.owner[p], run, p
                if chained and k == count - 1:
                    self.after[q] = f"after {run.last}"

    def limited(self):
        """The view of a graph that is too large: its first and last operations, and one card for all that is between."""
        children, part = self.tree.children[-1], self.most // 4
        self.most, most = len(self.tree.ops) * 2, self.most
        start = size = 0
        for first, period, count, _ in self.runs(children):
            if size + period > part:
                break
            start, size = first + period * count, size + period
        stop = max(start, len(children) - part)
        self.emit(children[:start], -1, 1)
        middle = [p for c in children[start:stop] for p in self.tree.places(c)]
        if middle:
            self.card("more", middle, -1)
        self.emit(children[stop:], -1, 1)
        connect(self, self.local, most)
        return self.view

    # ------------------------------------------------------------ pieces
    def card(self, kind, places, cluster):
        if len(self.view.cards) >= self.most:
            raise _TooMany
        card = Card(len(self.view.cards), kind, [self.tree.ops[p] for p in places], cluster)
        self.view.cards.append(card)
        self.owner.update(dict.fromkeys(places, card))
        return card

    def cluster(self, outer, name, kind, level, call=-1):
        box = Cluster(len(self.view.clusters), outer, name, kind, level, call)
        self.view.clusters.append(box)
        return box

    def path(self, call, cluster):
        """A module's name below the cluster it is drawn in: `attn.qkv`."""
        calls, names = self.record.calls, []
        inside = self.view.clusters[cluster].call if cluster >= 0 else self.tree.root
        while call >= 0 and call != inside:
            names.append(calls[call].name)
            call = calls[call].outer
        return ".".join(n for n in reversed(names) if n)

    def inside(self, call):
        """What a closed module does, in words."""
        children = self.tree.children[call]
        if len(children) > 4:
            return f"{len(self.tree.inside[call])} operations"
        words = [
            self.record.calls[w].kind if kind == "call" else self.record.items[self.tree.ops[w]].op
            for kind, w in children
        ]
        return " → ".join(words)


def _size(item):
    n = 1
    for s in item.shape or ():
        n *= s
    return n
