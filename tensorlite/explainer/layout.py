"""Where the cards of the page stand: columns from left to right by depth, rows by the middle of the neighbours.

The sizes are those page.js draws with; it gets every place from here.
"""

from dataclasses import dataclass, field
from itertools import pairwise

from tensorlite.graph.summary import number

PAD, ROW, TITLE, LABEL = (
    10,
    19,
    27,
    46,
)  # inside a card: margin, a row of numbers, the headline, the words value and grad
CELL_TEXT, NAME_TEXT, CODE_TEXT, NUMBER_TEXT = 7.0, 9.7, 7.3, 8.5  # the width of a character
GAP_X, GAP_Y, MARGIN = 46, 22, 14
MOST_CODE = 26
MOST_SIDE = 8  # rows and columns of a grid of numbers


@dataclass
class Card:
    """One card (or, without a variable, the place where a long edge passes a column)."""

    w: float
    h: float
    grid: tuple | None = None  # (rows, columns, width of a cell, whether the gradient stands beside the value)
    x: float = 0.0
    y: float = 0.0
    column: int = 0
    around: list = field(default_factory=list)


@dataclass
class Edge:
    """From an input to what is computed from it; points from left to right, and where its pill stands."""

    source: int
    target: int
    operand: int
    text: str
    points: list = field(default_factory=list)
    pill: tuple = (0.0, 0.0)


def grid_of(x):
    """(rows, columns) of a small tensor, or None: it is a number, or too large to show."""
    if x is None or x.values is None or not x.shape or not x.values:
        return None
    columns = x.shape[-1]
    rows = len(x.values) // columns
    return (rows, columns) if rows <= MOST_SIDE and columns <= MOST_SIDE else None


def range_text(x) -> str:
    """A large tensor on a card: its least and greatest number."""
    if x is None or (x.values is not None and not x.shape):
        return ""
    low, high = (min(x.values), max(x.values)) if x.values else (x.low, x.high)
    return f"{number(low, 3)} … {number(high, 3)}"


def _size(variable, gradient):
    code = variable.code if len(variable.code) <= MOST_CODE else variable.code[: MOST_CODE - 1] + "…"
    kind = "" if variable.kind in ("op", "group") else f"constant {variable.shape}"
    head = 2 * PAD + 6 + NAME_TEXT * len(variable.name[:22]) + 14 + CODE_TEXT * max(len(code), len(kind), 7)
    grid = grid_of(variable.value or gradient)
    rows = 2 if variable.uses or gradient is not None else 1
    if grid is None:
        wide = max(len(range_text(x)) for x in (variable.value, gradient))
        wide = wide and max(wide, 21)  # all alike: equal modules come out equal, and stand in the page once
        return Card(max(130.0, head, 2 * PAD + LABEL + NUMBER_TEXT * wide), TITLE + rows * (ROW + 1) + 7)
    shown = [v for x in (variable.value, gradient) if x is not None and x.values for v in x.values]
    cell = max(4, max(len(number(v, 3)) for v in shown)) * CELL_TEXT + 9
    beside = rows == 2 and grid[0] >= 4 and grid[1] <= 3  # a tall tensor: the card does not become as tall again
    block = LABEL + grid[1] * (cell + 2)
    wide, tall = (2 * block + PAD, 1) if beside else (block, rows)
    return Card(max(head, 2 * PAD + wide), TITLE + tall * (grid[0] * ROW + 6) + 6, (*grid, cell, beside))


def arrange(variables, gradients, pills):
    """(cards, edges, width, height). pills: (source, target, operand) -> text on the edge."""
    cards = [_size(v, gradients.get(v.id)) for v in variables]
    users = {v.id: [] for v in variables}
    for v in variables:
        for i in v.inputs:
            users[i].append(v.id)
    for v in variables:
        cards[v.id].column = max((cards[i].column + 1 for i in v.inputs), default=0)
    for v in reversed(variables):
        if not v.inputs and users[v.id]:
            cards[v.id].column = min(cards[u].column for u in users[v.id]) - 1
    columns = [[] for _ in range(max(c.column for c in cards) + 1)]
    for v in variables:
        columns[cards[v.id].column].append(cards[v.id])
    edges, chains, lanes = [], [], []
    for v in variables:
        counts = {}
        for k, i in enumerate(v.inputs):
            edge = Edge(i, v.id, k, pills.get((i, v.id, counts.get(i, 0)), ""))
            counts[i] = counts.get(i, 0) + 1
            edges.append(edge)
            chain = [cards[i]]
            for c in range(cards[i].column + 1, cards[v.id].column):
                lane = Card(0.0, 12.0, column=c)
                lanes.append(lane)
                chain.append(lane)
            chain.append(cards[v.id])
            chains.append(chain)
            for a, b in pairwise(chain):
                a.around.append(b)
                b.around.append(a)
    columns = _best(columns, lanes, edges, cards)
    x = MARGIN
    for c, column in enumerate(columns):
        wide = max(card.w for card in column)
        for card in column:
            card.x = x + (wide - card.w if c == 0 else 0)
        pill = max((7.2 * len(e.text) + 14 for e, ch in zip(edges, chains) if ch[-2].column == c), default=0)
        x += wide + max(GAP_X, pill + 44)
    _ways(edges, chains, cards)
    top = min(card.y for column in columns for card in column) - MARGIN - 12
    for column in columns:
        for card in column:
            card.y -= top
    for e in edges:
        e.points = [(px, py - top) for px, py in e.points]
        e.pill = (e.pill[0], e.pill[1] - top)
    height = max(card.y + card.h for column in columns for card in column) + MARGIN
    width = max(card.x + card.w for card in cards) + MARGIN
    return cards, edges, width, height


def _best(columns, lanes, edges, cards):
    """The columns with their rows: of a few orders to begin with, the one with the fewest crossings, and operands in order."""
    found = None
    for above, turned in ((False, False), (False, True), (True, False), (True, True)):
        if found is None or found[0] > (0, 0):
            tried = [c[::-1] if turned else c[:] for c in columns]
            for lane in lanes:
                tried[lane.column].insert(0 if above else len(tried[lane.column]), lane)
            _rows(tried)
            cost = (_crossings(tried), _turned(edges, cards))
            if found is None or cost < found[0]:
                found = cost, tried, [card.y for column in tried for card in column]
    _, best, ys = found
    for card, y in zip((card for column in best for card in column), ys, strict=True):
        card.y = y
    if found[0] > (0, 0) and _swaps(best, edges, cards, found[0]):
        _rows(best, 6, False)
    return best


def _swaps(columns, edges, cards, cost):
    """Exchange neighbours of a column where that makes it better; returns whether any were."""
    some = False
    for column in columns:
        for k, (a, b) in enumerate(pairwise(column[:])):
            if column[k] is not a:  # it has just been moved on
                a = column[k]
            before = a.y, b.y
            b.y, a.y = a.y, a.y + b.h + GAP_Y
            now = _crossings(columns), _turned(edges, cards)
            if now < cost:
                column[k], column[k + 1], cost, some = b, a, now, True
            else:
                a.y, b.y = before
    return some


def _crossings(columns):
    """How many pairs of lines between neighbouring columns cross."""
    n = 0
    for column in columns[:-1]:
        lines = [(a.y + a.h / 2, b.y + b.h / 2) for a in column for b in a.around if b.column == a.column + 1]
        n += sum((a[0] - b[0]) * (a[1] - b[1]) < 0 for i, a in enumerate(lines) for b in lines[:i])
    return n


def _turned(edges, cards):
    """How many operands stand above the one before them, and inputs above those named before them."""
    inputs, n = {}, 0
    for e in edges:
        inputs.setdefault(e.target, []).append(cards[e.source].y)
    for ys in inputs.values():
        n += sum(b < a for a, b in pairwise(ys))
    leaves = [c for i, c in enumerate(cards) if i not in inputs]
    return n + sum(a.column == b.column and b.y < a.y for a, b in pairwise(leaves))


def _rows(columns, sweeps=24, sort=True):
    """Give every card of a column its y: near the middle of its neighbours, none over another. sort: in whatever order."""
    for column in columns if sort else ():
        _stack(column)
    for n in range(sweeps):
        order = columns if n % 2 else columns[::-1]
        side = -1 if n % 2 else 1
        for column in order:
            for card in column:
                near = [a for a in card.around if a.column == card.column + side] if n < sweeps - 4 else card.around
                if near:
                    card.y = sum(a.y + a.h / 2 for a in near) / len(near) - card.h / 2
            if sort:
                column.sort(key=lambda card: card.y + card.h / 2)
            _spread(column)


def _stack(column):
    y = 0.0
    for card in column:
        card.y = y
        y += card.h + GAP_Y
    for card in column:
        card.y -= y / 2


def _spread(column):
    """Push overlapping cards apart, around their common middle."""
    groups = []  # [top, bottom, cards]
    for card in column:
        groups.append([card.y, card.h, [card]])
        while len(groups) > 1 and groups[-2][0] + groups[-2][1] + GAP_Y > groups[-1][0]:
            later, before = groups.pop(), groups[-1]
            n, m = len(before[2]), len(later[2])
            size = before[1] + GAP_Y + later[1]
            middle = ((before[0] + before[1] / 2) * n + (later[0] + later[1] / 2) * m) / (n + m)
            before[0], before[1] = middle - size / 2, size
            before[2] += later[2]
    for top, _, cards in groups:
        for card in cards:
            card.y = top
            top += card.h + GAP_Y


def _ways(edges, chains, cards):
    """The points of each edge: from port to port, through its lanes; then a place for its pill."""
    ports = {}
    for e, chain in zip(edges, chains):
        ports.setdefault((e.source, "out"), []).append((chain[1].y + chain[1].h / 2, e.target, e.operand, e))
        ports.setdefault((e.target, "in"), []).append((chain[-2].y + chain[-2].h / 2, e.operand, e.source, e))
    at = {}
    for (i, side), found in ports.items():
        found.sort(key=lambda p: p[:3])
        card, n = cards[i], len(found)
        room = min(card.h - 16, 30 * (n - 1))
        for k, (*_, e) in enumerate(found):
            at[id(e), side] = card.y + card.h / 2 + (room * (k / (n - 1) - 0.5) if n > 1 else 0)
    taken = []
    for e, chain in sorted(zip(edges, chains), key=lambda p: (p[1][-2].column, at[id(p[0]), "in"])):
        points = [(chain[0].x + chain[0].w, at[id(e), "out"])]
        for lane in chain[1:-1]:
            points += [(lane.x, lane.y + 6), (lane.x + 1, lane.y + 6)]
        points.append((chain[-1].x, at[id(e), "in"]))
        e.points = points
        wide = 7.2 * len(e.text) + 14
        (x0, y0), (x1, y1) = points[-2], points[-1]
        for t in (0.5, 0.38, 0.62, 0.28, 0.72):
            e.pill = bezier(x0, y0, x1, y1, t)
            box = (e.pill[0] - wide / 2, e.pill[1] - 11, e.pill[0] + wide / 2, e.pill[1] + 11)
            if not any(box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3] for b in taken):
                break
        taken.append(box)


def bezier(x0, y0, x1, y1, t):
    """The point at t of the curve that leaves and arrives level."""
    m = (x0 + x1) / 2
    u = 1 - t
    x = u**3 * x0 + 3 * u * u * t * m + 3 * u * t * t * m + t**3 * x1
    return x, u**3 * y0 + 3 * u * u * t * y0 + 3 * u * t * t * y1 + t**3 * y1
