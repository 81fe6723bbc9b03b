"""Our own places for cards and edges, where no `dot` is: layers by depth, clusters as boxes laid out by themselves.

A cluster is arranged first; to what is around it, it is one large card with ports, where edges enter and leave. Every edge that
passes a layer has a lane of its own in it, so that no edge crosses a card and no label another.
"""

from collections import namedtuple

from tensorlite.graph.layers import Node, layers, order, place, straighten

PAD, HEAD = 14, 30  # inside a cluster: at its edges, and where its title stands

# Places in pixels: cards {id: (x, y, w, h)}, clusters alike; paths {(source, target): "M ..."}; labels {(s, t): (x, y)} are the
# left middle of a text.
Layout = namedtuple("Layout", "width height cards clusters paths labels")


class _Inner:
    """A cluster, arranged: its size, the corners of what is in it, its ports, and the ways of the edges in it."""

    def __init__(self):
        self.w = self.h = 0.0
        self.corners, self.ports, self.ways, self.labels = {}, ({}, {}), {}, {}


def arrange(view, sizes, titles, labels, direction="TB") -> Layout:
    """Places for everything. sizes: of the cards; titles: widths of the clusters' titles; labels: (source, target) -> size."""
    flat = direction == "LR"
    if flat:
        sizes = [(h, w) for w, h in sizes]
        labels = {k: (h, w) for k, (w, h) in labels.items()}
    job = _Job(view, sizes, titles, labels, flat)
    for c in range(len(view.clusters) - 1, -2, -1):
        job.inner[c] = job.cluster(c)
    return job.layout()


class _Job:
    def __init__(self, view, sizes, titles, labels, flat):
        self.view, self.sizes, self.titles, self.labels, self.flat = view, sizes, titles, labels, flat
        self.inner = {}
        self.members = {c: [] for c in range(-1, len(view.clusters))}
        self.first = {}  # cluster -> its first card
        for card in view.cards:
            self.members[card.cluster].append(("card", card.id))
        for box in reversed(view.clusters):
            self.first[box.id] = min([self._index(m) for m in self.members[box.id]], default=0)
            self.members[box.outer].append(("box", box.id))
        self.chains = {}
        for card in view.cards:
            chain, c = [], card.cluster
            while c >= 0:
                chain.append(c)
                c = view.clusters[c].outer
            self.chains[card.id] = [*reversed(chain)]
        self.routes = {(e.source, e.target): self._route(e.source, e.target) for e in view.edges}
        self.hops = {c: {} for c in self.members}  # cluster -> (from, to, source card) -> label size
        for (s, t), route in self.routes.items():
            for c, u, v in route:
                last = v == ("card", t)
                self.hops[c].setdefault((u, v, s), self.labels.get((s, t), (0.0, 0.0)) if last else (0.0, 0.0))

    def _index(self, member):
        return member[1] if member[0] == "card" else self.first[member[1]]

    def _route(self, s, t):
        """The hops of an edge, (cluster, from, to) each: out of the clusters around s, across, into those around t."""
        up, down = self.chains[s], self.chains[t]
        n = 0
        while n < len(up) and n < len(down) and up[n] == down[n]:
            n += 1
        route, here = [], ("card", s)
        for c in reversed(up[n:]):
            route.append((c, here, ("out", s)))
            here = ("box", c)
        across = up[n - 1] if n else -1
        for c in (*down[n:], None):
            there = ("box", c) if c is not None else ("card", t)
            route.append((across, here, there))
            across, here = c, ("in", s)
        return route

    # ------------------------------------------------------------ one cluster
    def cluster(self, c):
        """Arrange what is in a cluster (-1: the whole picture)."""
        nodes, hops = {}, self.hops[c]
        for m in sorted(self.members[c], key=self._index):
            if m[0] == "card":
                nodes[m] = Node(m, *self.sizes[m[1]], index=self._index(m))
            else:
                inner = self.inner[m[1]]
                nodes[m] = Node(m, inner.w, inner.h, self._index(m), inner.ports)
        for u, v, _ in hops:
            for end in (u, v):
                nodes.setdefault(end, Node(end))
        rows, links, ways, turned = layers(nodes, hops, self.flat)
        order(rows, links)
        place(rows, links)
        straighten(rows, ways)
        return self._measure(c, nodes, rows, links, ways, turned)

    def _measure(self, c, nodes, rows, links, ways, turned):
        """Coordinates from the layers; the size of the cluster; where edges cross its border."""
        made = _Inner()
        left = min((n.x - n.w / 2 for row in rows for n in row), default=0.0)
        right = max((n.x + n.w / 2 for row in rows for n in row), default=0.0)
        head = (0 if c < 0 else HEAD, 0 if c < 0 else PAD)
        before, along = (
            (head[1], head[0]) if not self.flat else (head[0], head[1])
        )  # pads across and along at the start
        after = 0 if c < 0 else PAD
        width = right - left
        title = self.titles[c] + 2 * PAD if c >= 0 else 0
        if not self.flat and title > width + before + after:
            before += (title - width - before - after) / 2
            width_all = title
        else:
            width_all = width + before + after
        y, spans = along, []
        for r, row in enumerate(rows):
            height = max((n.h for n in row), default=0.0)
            for n in row:
                n.x += before - left
                n.y = y + (height - n.h) / 2
            spans.append((y, y + height))
            y += height + (_gap(row, rows[r + 1], links[r]) if r + 1 < len(rows) else 0)
        coming = [n.x for n in nodes.values() if n.key[0] == "in"]
        if (
            coming and not self.flat and title - PAD > min(coming)
        ):  # room for the title beside what comes in, if that is not much
            beside = max(coming) + title
            width_all = max(width_all, beside) if beside < 1.4 * width_all else width_all
        made.w, made.h = width_all, max(y + after, title if self.flat else 0)
        for n in nodes.values():
            kind, which = n.key
            if n.real:
                made.corners[n.key] = (n.x - n.w / 2, n.y)
            else:
                made.ports[kind == "out"][which] = n.x - made.w / 2
        arrivals = _arrivals(nodes, ways)
        for key, way in ways.items():
            points, label = _way(key, way, spans, made.h, arrivals.get(key, 0.0), self.flat)
            made.ways[key] = points[::-1] if turned[key] else points
            if label is not None:
                made.labels[key] = label
        return made

    # ------------------------------------------------------------ the whole
    def layout(self):
        """Put the clusters where they belong, and the hops of each edge together."""
        corner, cards, clusters = {-1: (0.0, 0.0)}, {}, {}
        for c in range(-1, len(self.view.clusters)):
            ox, oy = corner[c]
            for (kind, which), (x, y) in self.inner[c].corners.items():
                if kind == "card":
                    cards[which] = self._turn(x + ox, y + oy, *self.sizes[which])
                else:
                    corner[which] = (x + ox, y + oy)
                    clusters[which] = self._turn(x + ox, y + oy, self.inner[which].w, self.inner[which].h)
        paths, labels = {}, {}
        for (s, t), route in self.routes.items():
            points = []
            for c, u, v in route:
                ox, oy = corner[c]
                points += [(x + ox, y + oy) for x, y in self.inner[c].ways[u, v, s]]
                if (u, v, s) in self.inner[c].labels:
                    x, y = self.inner[c].labels[u, v, s]
                    labels[s, t] = (y + oy, x + ox) if self.flat else (x + ox, y + oy)
            paths[s, t] = self._path(points)
        whole = self.inner[-1]
        w, h = (whole.h, whole.w) if self.flat else (whole.w, whole.h)
        return Layout(w, h, cards, clusters, paths, labels)

    def _turn(self, x, y, w, h):
        return (y, x, h, w) if self.flat else (x, y, w, h)

    def _path(self, points):
        """Straight where the next point is right below, else an S-curve."""
        out, last = [], None
        for x, y in points:
            if last is None:
                out.append(f"M{self._at(x, y)}")
            elif abs(x - last[0]) < 0.5 and abs(y - last[1]) < 0.5:
                continue
            elif abs(x - last[0]) < 0.5:
                out.append(f"L{self._at(x, y)}")
            else:
                middle = (y + last[1]) / 2
                out.append(f"C{self._at(last[0], middle)} {self._at(x, middle)} {self._at(x, y)}")
            last = (x, y)
        return "".join(out)

    def _at(self, x, y):
        return f"{y:.1f},{x:.1f}" if self.flat else f"{x:.1f},{y:.1f}"


# ---------------------------------------------------------------- ways
def _gap(row, below, links):
    """The space between two rows: more where arrows need it, and where edges go far aside."""
    aside = max((abs(n.x + p - m.x - q) for n, p, m, q, _ in links), default=0.0)
    cards = any(n.real for n in below)
    base = 26 if cards and any(n.real for n in row) else 16 if cards else 10
    return base + min(28.0, 0.06 * aside)


def _arrivals(nodes, ways):
    """Where, from its middle, each edge meets a card: side by side in the order they come from."""
    coming, found = {}, {}
    for key, way in ways.items():
        if key[1][0] == "card" and way[-1] is nodes[key[1]]:
            before = way[-2]
            coming.setdefault(key[1], []).append((before.x + before.port(1, key[2]), key))
    for target, edges in coming.items():
        if len(edges) > 1:
            step = min(18.0, nodes[target].w * 0.7 / len(edges))
            for k, (_, key) in enumerate(sorted(edges)):
                found[key] = (k - (len(edges) - 1) / 2) * step
    return found


def _way(key, way, spans, bottom, arrival, flat):
    """The points of a hop, and where its label stands."""
    source, points, label = key[2], [], None
    for k, n in enumerate(way):
        top, low = spans[n.rank]
        if n.key[0] == "in":
            points += [(n.x, 0.0), (n.x, low)]
        elif n.key[0] == "out":
            points += [(n.x, top), (n.x, bottom)]
        elif not n.real:
            x = n.x + n.port(1, source)
            points += [(x, top), (x, low)]
            if n.key[0] == "label":
                label = (n.x, n.y) if flat else (x + 6, n.y + n.h / 2)
        elif k == 0:
            x = n.x + n.port(1, source)
            points += [(x, n.y + n.h), (x, low)]
        else:
            x = n.x + (arrival if n.key[0] == "card" else n.port(0, source))
            points += [(x, top), (x, n.y)]
    return points, label
