"""Layered drawing of one cluster (Sugiyama, Tagawa and Toda 1981): layers, lanes and labels, few crossings, straight lines.

x runs along a layer, y from layer to layer; layout.py turns that for a picture from left to right.
"""

import itertools
from bisect import bisect_right, insort

GAP = 22  # between neighbours in a layer
LANE = 12  # beside a lane


class Node:
    """Something in a layer: a card, a cluster, a port of the cluster that is being arranged, a lane, or a label."""

    __slots__ = ("h", "index", "key", "ports", "rank", "w", "x", "y")

    def __init__(self, key, w=0.0, h=0.0, index=0, ports=None):
        self.key, self.w, self.h, self.index, self.ports = key, w, h, index, ports
        self.rank = 0
        self.x = self.y = 0.0

    def port(self, out, source):
        """Where, from its middle, edges from card `source` enter or leave."""
        return self.ports[out].get(source, 0.0) if self.ports else 0.0

    @property
    def real(self):
        return self.key[0] in ("card", "box")


def layers(nodes, hops, flat):
    """Rows of nodes, links between neighbouring rows, and for each hop the nodes it passes.

    A link is (upper, port, lower, port, weight). Lanes are shared by all edges of one source; a label has its own place.
    """
    outs, ins, turned = {}, {}, {}
    fed = {v for _, v, _ in hops}
    for u, v, s in hops:  # an edge back would be a circle: cannot be, but a picture must come out
        real = nodes[u].real and nodes[v].real
        turned[u, v, s] = real and (u in fed or u[0] == "box") and nodes[u].index >= nodes[v].index
    for (u, v, s), size in hops.items():
        a, b = (v, u) if turned[u, v, s] else (u, v)
        least = 2 if size[0] else 1
        outs.setdefault(a, []).append((b, least))
        ins.setdefault(b, []).append((a, least))
    _rank(nodes, outs, ins)
    count = max((n.rank for n in nodes.values()), default=0) + 1
    rows, links, lanes, ways = [[] for _ in range(count)], [{} for _ in range(count)], {}, {}
    for n in nodes.values():
        rows[n.rank].append(n)
    for key, size in hops.items():
        u, v, s = key
        a, b = (nodes[v], nodes[u]) if turned[key] else (nodes[u], nodes[v])
        way, last = [a], b.rank - 1
        lane = lanes.setdefault((a.key, s), {})
        for r in range(a.rank + 1, last + 1):
            if r == last and size[0]:
                side = size[0] / 2 if flat else -size[0] / 2  # the line runs beside the text, not through it
                node = Node(("label", key), *size, ports=({s: side}, {s: side}))
                node.rank = r
                rows[r].append(node)
            elif r in lane:
                node = lane[r]
            else:
                node = lane[r] = Node(("lane", s))
                node.rank = r
                rows[r].append(node)
            way.append(node)
        way.append(b)
        for n, m in itertools.pairwise(way):
            straight = (not n.real) + (not m.real)
            link = (n, n.port(1, s), m, m.port(0, s), (3, 1, 6)[straight])
            links[n.rank].setdefault((id(n), id(m), link[1], link[3]), link)
        ways[key] = way
    return rows, [list(x.values()) for x in links], ways, turned


def _rank(nodes, outs, ins):
    """The layer of each node: below all it depends on; what depends on nothing, right above what reads it."""
    waiting = {k: len(ins.get(k, ())) for k in nodes}
    ready, order = [k for k in nodes if not waiting[k]], []
    while ready or len(order) < len(nodes):
        if not ready:
            ready.append(min((k for k in nodes if waiting[k] > 0), key=lambda k: nodes[k].index))
            waiting[ready[0]] = 0
        k = ready.pop()
        order.append(k)
        for b, _ in outs.get(k, ()):
            if waiting[b] > 0:
                waiting[b] -= 1
                if not waiting[b]:
                    ready.append(b)
    start = 1 if any(k[0] == "in" for k in nodes) else 0
    for k in order:
        above = [nodes[a].rank + least for a, least in ins.get(k, ())]
        nodes[k].rank = max(above, default=0 if k[0] == "in" else start)
        if k[0] != "in":
            nodes[k].rank = max(nodes[k].rank, start)
    last = max((n.rank for k, n in nodes.items() if k[0] != "out"), default=0) + 1
    for k in nodes:
        if k[0] == "out":
            nodes[k].rank = max(last, nodes[k].rank)
    bottom = max((n.rank for k, n in nodes.items() if k[0] == "out"), default=0)
    for k in reversed(order):
        if k[0] == "out":
            nodes[k].rank = bottom
        elif k[0] != "in" and not ins.get(k) and outs.get(k):
            nodes[k].rank = max(start, min(nodes[b].rank - least for b, least in outs[k]))


def order(rows, links):
    """Sort each row so that few edges cross: sweeps by the mean place of the neighbours; the best is kept.

    Two starts are tried: the order of the computation, and that in which a walk up from the results meets everything.
    """
    size = sum(map(len, rows))
    best, kept = None, None
    for start in (_computed, _met) if size < 400 else (_computed,):
        place = start(rows, links)
        for row in rows:
            row.sort(key=place)
            _pack(row)
        now = _crossings(links)
        for sweep in range(12 if size < 1500 else 3):
            if best is None or now < best:
                best, kept = now, [list(row) for row in rows]
            if not now:
                break
            _sweep(rows, links, down=sweep % 2 == 0)
            now = _crossings(links)
        if now < best:
            best, kept = now, [list(row) for row in rows]
        if not best:
            break
    for row, good in zip(rows, kept):
        row[:] = good
        _pack(row)
    if size < 400:
        _swap(rows, links)


def _computed(rows, links):
    return lambda n: n.index


def _met(rows, links):
    """The order in which a walk up from the last row meets the nodes."""
    above, seen, stack = {}, {}, []
    for pairs in links:
        for n, _, m, _, _ in pairs:
            above.setdefault(id(m), []).append(n)
    for row in rows:
        stack += sorted(row, key=lambda n: -n.index)
    while stack:
        n = stack.pop()
        if id(n) not in seen:
            seen[id(n)] = len(seen)
            stack += reversed(above.get(id(n), ()))
    return lambda n: seen[id(n)]


def _sweep(rows, links, down):
    for r in range(1, len(rows)) if down else range(len(rows) - 2, -1, -1):
        sums = {}
        for n, p, m, q, _ in links[r - 1] if down else links[r]:
            node, at = (m, n.x + p - q) if down else (n, m.x + q - p)
            total = sums.setdefault(id(node), [0.0, 0])
            total[0] += at
            total[1] += 1
        rows[r].sort(key=lambda n: round(_mean(n, sums) / 24))  # near is equal: keeps their order
        _pack(rows[r])


def _mean(n, sums):
    total = sums.get(id(n))
    return total[0] / total[1] if total else n.x


def _swap(rows, links):
    """Swap neighbours where that saves crossings, or costs none and puts the earlier one first."""
    for _ in range(3):
        changed = False
        for r, row in enumerate(rows):
            near = links[max(r - 1, 0) : r + 1]
            now = _crossings(near)
            for k in range(len(row) - 1):
                a, b = row[k], row[k + 1]
                late = a.real and b.real and a.index > b.index
                if not now and not late:
                    continue
                row[k], row[k + 1] = b, a
                _pack(row)
                then = _crossings(near)
                if then < now or (then == now and late):
                    now, changed = then, True
                else:
                    row[k], row[k + 1] = a, b
                    _pack(row)
        if not changed:
            break


def _space(a, b):
    return (a.w + b.w) / 2 + (GAP if a.real and b.real else LANE)


def _pack(row):
    x = 0.0
    for k, n in enumerate(row):
        x += _space(row[k - 1], n) if k else 0.0
        n.x = x
    for n in row:
        n.x -= x / 2


def _crossings(links):
    total = 0
    for pairs in links:
        seen = []
        for _, low in sorted((n.x + p, m.x + q) for n, p, m, q, _ in pairs):
            total += len(seen) - bisect_right(seen, low)
            insort(seen, low)
    return total


def place(rows, links):
    """x for every node: near its neighbours above and below, in the order and at the distances of its row."""
    for sweep in range(14):
        both = sweep >= 8
        down = sweep % 2 == 0
        for r in range(len(rows)) if down else range(len(rows) - 1, -1, -1):
            wish = {id(n): [0.0, 0.0] for n in rows[r]}
            if r and (down or both):
                for n, p, m, q, weight in links[r - 1]:
                    wish[id(m)][0] += weight * (n.x + p - q)
                    wish[id(m)][1] += weight
            if r + 1 < len(rows) and (not down or both):
                for n, p, m, q, weight in links[r]:
                    wish[id(n)][0] += weight * (m.x + q - p)
                    wish[id(n)][1] += weight
            _settle(rows[r], wish)


def straighten(rows, ways):
    """Draw the lanes of each way to one x for as many rows as their neighbours leave room, so that long edges run straight."""
    at = {id(n): (row, k) for row in rows for k, n in enumerate(row)}
    done = set()
    for (_, _, source), way in ways.items():
        first, *chain, last = way
        chain = [n for n in chain if id(n) not in done]
        done.update(map(id, chain))
        if len(chain) < 2:
            continue
        room = []  # of the line in each row
        for n in chain:
            row, k = at[id(n)]
            p = n.port(1, source)
            low = row[k - 1].x + _space(row[k - 1], n) + p if k else -float("inf")
            high = row[k + 1].x - _space(n, row[k + 1]) + p if k + 1 < len(row) else float("inf")
            room.append((low, high))
        start, stop = first.x + first.port(1, source), last.x + last.port(0, source)
        k = 0
        while k < len(chain):
            (low, high), end = room[k], k + 1
            while end < len(chain) and max(low, room[end][0]) <= min(high, room[end][1]):
                low, high, end = max(low, room[end][0]), min(high, room[end][1]), end + 1
            wish = start if k == 0 else stop if end == len(chain) else start + (stop - start) * (k / len(chain))
            x = min(max(wish, low), high)
            for n in chain[k:end]:
                n.x = x - n.port(1, source)
            start, k = x, end


def _settle(row, wish):
    """The places nearest to the wishes (least squares) that keep order and distance: pool adjacent violators."""
    blocks, shift = [], 0.0
    for k, n in enumerate(row):
        shift += _space(row[k - 1], n) if k else 0.0
        total, weight = wish[id(n)]
        at, weight = (total / weight, weight) if weight else (n.x, 0.01)
        blocks.append([at - shift, weight, [(n, shift)]])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            at, weight, more = blocks.pop()
            last = blocks[-1]
            last[0] = (last[0] * last[1] + at * weight) / (last[1] + weight)
            last[1] += weight
            last[2] += more
    for at, _, members in blocks:
        for n, shift in members:
            n.x = at + shift
