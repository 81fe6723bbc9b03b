"""Maps of cells: attention weights and arrays such as positional encodings."""

import math

from tensorlite import errors
from tensorlite.graph.metrics import width as wide
from tensorlite.tensor import Tensor
from tensorlite.viz.base import Canvas, Picture, number, plain

MOST_CELLS, MOST_NUMBERS, MOST_SIDE = 20_000, 12, 128


class Attention(Picture):
    """Attention weights: `layers` is [layer][head] of rows; tokens down the side look at tokens along the top."""

    def __init__(self, layers, tokens, keys, title):
        self.layers, self.tokens, self.keys, self.title = layers, tokens, keys, title
        weights = (v for heads in layers for rows in heads for row in rows for v in row)
        self.most = max((abs(v) for v in weights if math.isfinite(v)), default=0.0) or 1.0

    def svg(self) -> str:
        heads = max((len(heads) for heads in self.layers), default=0)
        if not heads or not self.layers[0][0] or not self.layers[0][0][0]:
            return Canvas(self.title, "no weights to show").svg(f"{self.title}: no weights")
        single = len(self.layers) == heads == 1
        rows = self.layers[0][0]
        self.said = single and max(len(rows), len(rows[0])) <= MOST_NUMBERS  # the numbers stand in the cells
        shades = "" if self.said else f"; strongest {number(self.most)}"
        note = f"row looks at column; hatched: weight 0 (masked){'' if single else '; one square a head'}{shades}"
        c = Canvas(self.title, note)
        return self._grid(c) if single else self._thumbnails(c, heads)

    def _grid(self, c):
        rows = self.layers[0][0]
        said = self.said
        labels = max([wide(t) for t in self.keys] or [0])
        cell = 36.0 if said else max(8.0, min(18.0, 640 / len(rows[0])))
        left = 24 + max([wide(t) for t in self.tokens] or [0])
        every = 1 if cell >= 14 else math.ceil(14 / cell)  # not each name fits a small cell
        flat = labels <= cell - 4
        top = c.top + (20 if flat else labels + 10) if self.keys else c.top
        for j in range(0, len(self.keys), every):
            x = left + cell * (j + 0.5)
            if flat:
                c.text(x, top - 7, self.keys[j], anchor="middle", ink="text")
            else:
                c.text(x + 4, top - 6, self.keys[j], ink="text", upward=True)
        high = cell
        for i, row in enumerate(rows):
            y = top + high * i
            if self.tokens and i % every == 0:
                c.text(left - 8, y + high / 2 + 4, self.tokens[i], anchor="end", ink="text")
            for j, v in enumerate(row):
                c.rect(*self._cell(left + cell * j, y, cell, high, v), self._words(i, j, v))
                if said and not math.isfinite(v):  # its stripes do not go through the text
                    c.rect(left + cell * j + 5, y + high / 2 - 7, cell - 11, 14, "paper")
                if said and v != 0:
                    c.text(left + cell * (j + 0.5), y + high / 2 + 4, _short(v), 11, anchor="middle", ink="text")
        return c.svg(f"{self.title}: {len(rows)} by {len(rows[0])} weights")

    def _words(self, i, j, v):
        row = self.tokens[i] if self.tokens else i
        return f"{row} -> {self.keys[j] if self.keys else j}: {number(v)}"

    def _cell(self, x, y, w, h, v):
        """(x, y, w, h, ink, opacity) of one weight."""
        gap = 1 if w > 6 else 0
        if not math.isfinite(v) or v == 0:
            return x, y, w - gap, h - gap, "hatch" if v == 0 else "hatch-alarm", 1.0
        return (
            x,
            y,
            w - gap,
            h - gap,
            "value",
            (0.04 + 0.46 * min(1.0, abs(v)) if self.said else 0.05 + 0.9 * abs(v) / self.most),
        )

    def _thumbnails(self, c, heads):
        count = sum(len(hs) for hs in self.layers)
        side = max(4, min(32, int(math.sqrt(MOST_CELLS / count))))
        size, cells = 96.0, []
        for k in range(heads):
            c.text(100 + (size + 12) * (k + 0.5), c.top + 12, f"head {k}", anchor="middle")
        for n, hs in enumerate(self.layers):
            y = c.top + 20 + (size + 12) * n
            c.text(16, y + size / 2 + 4, f"layer {n}", ink="text")
            for k, rows in enumerate(hs):
                small = pooled(rows, side, _strongest)
                w, h = size / len(small[0]), size / len(small)
                left = 106 + (size + 12) * k
                cells += [
                    self._cell(left + w * j, y + h * i, w, h, v)
                    for i, row in enumerate(small)
                    for j, v in enumerate(row)
                ]
        c.cells(cells)
        return c.svg(f"{self.title}: {len(self.layers)} layers of {heads} heads")

    def text(self) -> str:
        out = [self.title]
        for n, hs in enumerate(self.layers):
            for k, rows in enumerate(hs):
                if len(self.layers) > 1 or len(hs) > 1:
                    out.append(f"layer {n} head {k}")
                for i, row in enumerate(rows[:24]):
                    j = max(range(len(row)), key=lambda j: -1 if math.isnan(row[j]) else row[j], default=None)
                    if j is not None:
                        out.append(f"  {self._words(i, j, row[j])} (strongest)")
        return "\n".join(plain(t) for t in out) + "\n"


class Heatmap(Picture):
    """An array as cells: blue below 0, orange above, stronger with size."""

    def __init__(self, rows, title):
        self.rows, self.title = rows, title
        self.values = [v for row in rows for v in row]
        self.most = max([abs(v) for v in self.values if math.isfinite(v)] or [0.0])

    @property
    def note(self) -> str:
        """The range, and what is not finite, in words."""
        good = [v for v in self.values if math.isfinite(v)]
        if not self.values:
            return "an empty array"
        bad = len(self.values) - len(good)
        size = f"{len(self.rows)} x {len(self.rows[0])}"
        said = f"{size}, {number(min(good))} .. {number(max(good))}" if good else f"{size}, no finite value"
        return said + (f"; {bad} not finite (hatched)" if bad else "")

    def svg(self) -> str:
        c = Canvas(self.title, self.note)
        if self.values:
            rows = pooled(pooled(self.rows, MOST_SIDE, _mean), MOST_SIDE, _mean)
            w = max(4.0, min(24.0, 640 / len(rows[0])))
            h = max(4.0, min(24.0, 400 / len(rows)))
            cells = []
            for i, row in enumerate(rows):
                for j, v in enumerate(row):
                    ink = ("grad" if v > 0 else "value") if math.isfinite(v) else "hatch-alarm"
                    share = abs(v) / self.most if math.isfinite(v) and self.most else float(not math.isfinite(v))
                    cells.append((16 + w * j, c.top + h * i, w, h, ink, share))
            c.cells(cells)
            y = c.top + h * len(rows) + 16
            for k in range(-8, 9):
                c.rect(16 + 12 * (k + 8), y, 12, 10, "grad" if k > 0 else "value", abs(k) / 8)
            c.text(16, y + 26, f"blue {number(-self.most)}, 0 is the paper, orange {number(self.most)}")
        return c.svg(f"{self.title}: {self.note}")

    def text(self) -> str:
        return f"{plain(self.title)}\n{self.note}\n"


def attention(weights, tokens=None, keys=None, title="attention") -> Picture:
    """Attention weights as a picture: one head (T, S) as a grid with tokens on both sides; (heads, T, S), (layers, heads, T, S)
    or a list of (heads, T, S), one a layer, as thumbnails. A weight of 0 (masked) is hatched.

    tokens: the names of the T rows; keys: of the S columns (default: the same tokens).

    Raises:
        ArgumentError: other dimensions (pick one of the batch), or names that are not as many as rows.
    """
    if isinstance(weights, (list, tuple)) and weights and isinstance(weights[0], Tensor):
        layers = [_lists(w, "attention") for w in weights]
        dims = 1 + weights[0].ndim
    else:
        layers, dims = _lists(weights, "attention"), _depth(weights)
    if dims not in (2, 3, 4):
        raise errors.ArgumentError(
            f"attention: weights must be (T, S), (heads, T, S) or (layers, heads, T, S), got {dims} dimensions; "
            "with a batch, pick one: weights[0]"
        )
    layers = [[layers]] if dims == 2 else [layers] if dims == 3 else layers
    rows = layers[0][0] if layers and layers[0] else []
    tokens = [plain(t) for t in tokens] if tokens is not None else []
    keys = [plain(t) for t in keys] if keys is not None else tokens
    for name, given, size in (("tokens", tokens, len(rows)), ("keys", keys, len(rows[0]) if rows else 0)):
        if given and len(given) != size:
            raise errors.ArgumentError(f"attention: {len(given)} {name} were given for {size} positions")
    return Attention(layers, tokens, keys, title)


def heatmap(array, title="values") -> Picture:
    """An array (rows, columns) or (columns,) as cells: 0 is the paper, blue is below, orange above, by size.

    More than 128 rows or columns are shown as means of equal stretches. Values that are not finite are hatched and counted.
    """
    rows, dims = _lists(array, "heatmap"), _depth(array)
    if dims not in (1, 2):
        raise errors.ArgumentError(f"heatmap: 1 or 2 dimensions can be shown, got {dims}; reshape or pick a slice")
    rows = [rows] if dims == 1 else rows
    return Heatmap([[float(v) for v in row] for row in rows] if rows and rows[0] else [], title)


def _lists(a, who):
    """An array as nested lists."""
    if hasattr(a, "tolist"):
        return (a.detach().to("cpu") if isinstance(a, Tensor) else a).tolist()
    if not isinstance(a, (list, tuple)):
        raise errors.DTypeError(f"{who}: a Tensor, an array or nested lists are needed, not {type(a).__name__}")
    return [_lists(x, who) if hasattr(x, "tolist") or isinstance(x, (list, tuple)) else x for x in a]


def _depth(a):
    """How many dimensions it has."""
    if hasattr(a, "ndim"):
        return a.ndim
    return 1 + (_depth(a[0]) if a else 0) if isinstance(a, (list, tuple)) else 0


def pooled(rows, most, how):
    """At most `most` rows and columns, by equal stretches."""
    n, m = min(most, len(rows)), min(most, len(rows[0]))
    if (n, m) == (len(rows), len(rows[0])):
        return rows
    tall = [range(len(rows) * i // n, len(rows) * (i + 1) // n) for i in range(n)]
    broad = [range(len(rows[0]) * j // m, len(rows[0]) * (j + 1) // m) for j in range(m)]
    return [[how([rows[i][j] for i in a for j in b]) for b in broad] for a in tall]


def _mean(values):
    return math.fsum(values) / len(values) if all(map(math.isfinite, values)) else math.nan


def _strongest(values):
    return max(values) if all(map(math.isfinite, values)) else math.nan


def _short(v):
    return f"{v:.2f}".lstrip("0") if 0 < v < 0.995 else f"{v:.2g}"
