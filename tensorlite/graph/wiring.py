"""The edges of a View, and the cards of leaves and constants: where they stand, or which card they become a line of."""

from tensorlite.graph.view import Card, Edge

COMMUTATIVE = {"add", "mul", "maximum", "minimum"}
WEIGHTS = {"weight", "bias"}  # operands that are parameters, where no names are known
MOST_LABELS = 3


def connect(folder, local, most=None):
    """Add to folder.view the edges, the leaves and the constants; then number the cards in the order of the computation."""
    _Wiring(folder, local).run(most)


def parameters(tree, places):
    """The ids of the parameters that these operations read, each once."""
    items, found = tree.record.items, {}
    for p in places:
        item = items[tree.ops[p]]
        for k, (i, _) in enumerate(tree.sources[p]):
            if i >= 0 and _like_parameter(items[i], item, k):
                found[i] = None
    return list(found)


def _like_parameter(source, item, k):
    if source.parameter:
        return True
    return source.kind == "leaf" and not source.name and item.operands[k : k + 1] != () and item.operands[k] in WEIGHTS


class _Wiring:
    def __init__(self, folder, local):
        self.folder, self.local, self.tree, self.view = folder, local, folder.tree, folder.view
        self.items, self.edges = self.tree.record.items, {}

    def run(self, most):
        tree, owner, hidden = self.tree, self.folder.owner, self.folder.hidden
        readers, reads = {}, {}  # leaf -> its (place, operand)s that are drawn; item -> how often it is read elsewhere
        self.shared = {}  # leaf -> the clusters around runs of which several units read it
        for p in range(len(tree.ops)):
            card, run = owner[p], hidden.get(p)
            for k, (i, steps) in enumerate(tree.sources[p]):
                if i < 0:
                    continue
                q = tree.place.get(i)
                if q is None:
                    reads[i] = reads.get(i, 0) + 1
                    if run is None:
                        readers.setdefault(i, []).append((p, k))
                    else:
                        self.shared.setdefault(i, set()).add(run.around)
                    continue
                source = owner[q]
                if source is not card or (run is not None and q in run.places and hidden.get(q) is not run):
                    reads[i] = reads.get(i, 0) + 1
                if source is not card and not (run is not None and q in run.places):
                    self.edge(source, card, p, k, steps, run is None, self.folder.after.get(q))
        for i in self.tree.record.outputs:
            if i not in tree.place:
                readers.setdefault(i, [])
        for i, at in readers.items():
            self.leaf(i, at)
        for card in self.view.cards:
            outside = [i for i in card.items if reads.get(i) or self.items[i].output is not None]
            if outside:
                card.items.remove(outside[-1])
                card.items.append(outside[-1])
                card.used = reads.get(outside[-1], 0)
        for i in self.tree.record.outputs:
            p = tree.place.get(i, -1)
            if p >= 0:
                card, name, first = owner[p], self.items[i].output or self.items[i].op, self.folder.twin.get(p, -1)
                card.output = True
                if first >= 0 and self.items[tree.ops[first]].output is not None:
                    continue  # said of the unit that is drawn
                if p in hidden or (card.kind != "op" and i != card.items[-1]):
                    card.ends.append(f"{name} {self.folder.after.get(p, '')}".rstrip())
        if most is not None:
            self.gather(most)
        self.whole()
        self.number()

    # ------------------------------------------------------------ leaves
    def leaf(self, i, at):
        """A leaf or constant: a line of the modules that read it, a part of what is closed, or a card of its own."""
        item, owner = self.items[i], self.folder.owner
        cards = list({id(owner[p]): owner[p] for p, _ in at}.values())
        own = item.output is None and not item.given and at
        if own and all(_like_parameter(item, self.items[self.tree.ops[p]], k) for p, k in at):
            if all(c.kind == "module" for c in cards):
                for card in cards:
                    p, k = next((p, k) for p, k in at if owner[p] is card)
                    card.params.append((self.name(item, card, p, k), i, len(cards) > 1))
                return
        if own and len(cards) == 1 and (cards[0].kind == "more" or cards[0].inside):
            return
        cluster = -1 if item.given or not cards else self.common([*(c.cluster for c in cards), *self.shared.get(i, ())])
        card = Card(len(self.view.cards), item.kind if item.kind != "op" else "constant", [i], cluster)
        if item.kind == "leaf" and not item.name and at:
            operands = {self.operand(p, k) for p, k in at}
            card.name = operands.pop() if len(operands) == 1 and operands <= WEIGHTS else ""
        card.output = item.output is not None
        self.view.cards.append(card)
        for p, k in at:
            steps = self.tree.sources[p][k][1]
            self.edge(card, owner[p], p, k, steps, True, None)

    def whole(self):
        """Note for each card all items it stands for, each once: folded operations, views on the way, leaves without a card."""
        tree, owner, twin, home = self.tree, self.folder.owner, self.folder.twin, {}
        for card in self.view.cards:
            if card.kind in ("leaf", "constant", "more"):
                home.update(dict.fromkeys(card.items, card))
        for p, op in enumerate(tree.ops):
            home[op] = owner[p]
            first = p
            while first in twin:
                first = twin[first]
            for k, i in enumerate(self.items[op].inputs):
                base = tree.sources[p][k][0]
                if i < 0:
                    continue
                if base not in home:  # a leaf: with the one that is drawn for it, else with what reads it
                    home[base] = home.get(tree.sources[first][k][0], owner[p]) if first != p else owner[p]
                while i != base and i not in home:
                    home[i] = owner[p]
                    i = self.items[i].inputs[0]
        for i, card in sorted(home.items()):
            card.whole.append(i)

    def name(self, item, card, p, k):
        """A parameter's name on the card of a module: `weight`; its whole name where it belongs to another module."""
        path = self.tree.record.calls[card.call].path
        if not item.name:
            return self.operand(p, k)
        return item.name[len(path) + 1 :] if path and item.name.startswith(path + ".") else item.name

    def operand(self, p, k):
        operands = self.items[self.tree.ops[p]].operands
        return operands[k] if k < len(operands) else ""

    def common(self, clusters):
        """The innermost cluster around all of these."""
        chains = []
        for c in clusters:
            chain = []
            while c >= 0:
                chain.append(c)
                c = self.view.clusters[c].outer
            chains.append(chain[::-1])
        found = -1
        for level in zip(*chains):
            if len(set(level)) > 1:
                break
            found = level[0]
        return found

    def gather(self, most):
        """One card for the leaves and constants that are too many."""
        cards = self.view.cards
        leaves = [c for c in cards if c.kind in ("leaf", "constant") and not c.output]
        room = max(0, most - (len(cards) - len(leaves)) - 1)
        extra = leaves[room:]
        if len(cards) <= most or len(extra) < 2:
            return
        gone = {c.id for c in extra}
        card = Card(len(cards), "more", [i for c in extra for i in c.items])
        for key in [k for k in self.edges if k[0] in gone]:
            edge = self.edges.pop(key)
            edge.source, edge.labels, edge.operands = card.id, [], []
            self.edges.setdefault((card.id, edge.target), edge)
        self.view.cards = [c for c in cards if c.id not in gone] + [card]

    # ------------------------------------------------------------ edges
    def edge(self, source, target, p, k, steps, drawn, after):
        """Note that operand k of the operation at p comes along the edge from source to target."""
        key = source.id, target.id
        if key not in self.edges:
            self.edges[key] = Edge(*key, constant=source.kind == "constant")
        edge = self.edges[key]
        if drawn and len(edge.labels) < 10 * MOST_LABELS:  # of more, nobody reads
            words = self.words(target, p, k, steps, edge.constant)
            if after:
                words.insert(0, after)
            edge.labels += [w for w in words if w not in edge.labels]
            edge.operands.append(self.operand(p, k))
        elif after and after not in edge.labels:
            edge.labels.append(after)

    def words(self, target, p, k, steps, constant):
        """What is said about one operand: its name where the order counts, views on the way, broadcasting, the slope."""
        i = self.tree.ops[p]
        item, words = self.items[i], []
        source = self.items[item.inputs[k]]
        first = next((j for j in item.inputs if j >= 0), -1)
        several = any(j >= 0 and j != first for j in item.inputs)
        name = self.operand(p, k) if target.kind == "op" and several and item.op not in COMMUTATIVE else ""
        steps = [step for step in steps if step[0] != "alias"]
        path = [w for n, (w, _) in enumerate(steps) if not n or steps[n - 1][0] != w]
        if len(path) > 3:
            path = [path[0], "…", path[-1]]
        base = self.items[self.tree.sources[p][k][0]]
        shape = f" {source.shape}" if steps and source.shape != base.shape and not item.broadcasts else ""
        if name and path:
            words.append(f"{name}: {' → '.join(path)}{shape}")
        elif name or path:
            words.append((name or " → ".join(path)) + shape)
        if item.broadcasts and source.shape not in (None, item.shape):
            words.append(f"broadcast {source.shape} → {item.shape}")
            words += [] if constant else ["backward sums the repeats"]
        if self.local and target.kind == "op":
            local = item.local[k] if k < len(item.local) else item.local[0] if item.local else ""
            if local:
                words.append(f"slope {local}")
        return words

    def number(self):
        """Give cards their places: leaves right before what reads them first; then clusters and edges their order."""
        view, before, order = self.view, {}, {}
        for source, target in self.edges:
            before.setdefault(target, []).append(source)
        feeders = {source for source, _ in self.edges if source not in before}
        feeders = {c.id for c in view.cards if c.id in feeders and c.kind in ("leaf", "constant", "more")}
        for card in view.cards:
            if card.id not in feeders:
                for source in before.get(card.id, ()):
                    if source in feeders:
                        order.setdefault(source, len(order))
                order[card.id] = len(order)
        view.cards.sort(key=lambda c: order[c.id])
        for card in view.cards:
            card.id = order[card.id]
        view.edges = []
        for edge in self.edges.values():
            edge.source, edge.target = order[edge.source], order[edge.target]
            if not edge.labels and len(edge.operands) > 1 and view.cards[edge.target].kind == "op":
                edge.labels.append("as " + " and ".join(edge.operands[:4]))
            if len(edge.labels) > MOST_LABELS:
                edge.labels[MOST_LABELS - 1 :] = ["…"]
            view.edges.append(edge)
        view.edges.sort(key=lambda e: (e.target, e.source))
