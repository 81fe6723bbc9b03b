"""Values in words: what a card says about an array. Numbers are read from the device once for each array shown."""

import math
from dataclasses import dataclass

FULL = 16  # arrays of up to this many elements are shown in full
WIDE = 40  # characters a line of numbers may have


@dataclass(frozen=True)
class Summary:
    """What is said about one array: lines of text, and what is wrong with it (`nan 3, inf 28`), if anything."""

    lines: tuple
    alarm: str = ""
    grid: bool = False  # whether the lines are rows of numbers

    @property
    def text(self) -> str:
        """All in one line."""
        return "; ".join((*self.lines, self.alarm) if self.alarm else self.lines)


def number(value, digits: int = 4) -> str:
    """A number in at most `digits` significant digits: `0.6347`, `3`, `1.2e-07`, `nan`.

    Example:
        >>> number(0.63471234), number(-0.0), number(7)
        ('0.6347', '0', '7')
    """
    if isinstance(value, (bool, int)):
        return str(value)
    text = f"{float(value):.{digits}g}"
    return "0" if text == "-0" else text


def shape_text(shape) -> str:
    """A shape as Python writes it: `(2, 3)`, `(3,)`, `()`."""
    return str(tuple(shape)) if shape is not None else ""


def value(array, backend) -> Summary:
    """A value: every number of a small array, else `min .. max`, mean and standard deviation of the finite elements."""
    if not array.size:
        return Summary(("empty",))
    kind = array.dtype.kind
    if array.size <= FULL:
        return _full(backend.to_host(array))
    if kind == "b":
        return Summary((f"true {int(array.sum())} of {array.size}",))
    if kind in "iu":
        low, high = int(array.min()), int(array.max())
        return Summary((f"all {low}" if low == high else f"{low} .. {high}",))
    x, alarm = _finite(array, backend)
    if x is None:
        return Summary((), alarm)
    low, high, mean, std = _stats(x, backend)
    if abs(mean) < 1e-6 * std:  # rounding
        mean = 0
    if low == high:
        return Summary((f"all {number(low)}",), alarm)
    return Summary((f"{number(low, 3)} .. {number(high, 3)}", f"mean {number(mean, 3)}, std {number(std, 3)}"), alarm)


def gradient(array, backend) -> Summary:
    """A gradient: every number of a small one, else its L2 norm."""
    if 0 < array.size <= FULL:
        return _full(backend.to_host(array))
    x, alarm = _finite(array, backend)
    return Summary(() if x is None else (f"|g| = {number(norm(x, backend))}",), alarm)


def norm(x, backend) -> float:
    """The L2 norm of all elements."""
    xp = backend.xp
    with backend.quiet():
        x = x.reshape(-1) if x.dtype.itemsize >= 4 else x.reshape(-1).astype(xp.float32)
        return math.sqrt(float(xp.dot(x, x)))


def alarm(array, backend) -> str:
    """`nan 3, inf 28`, or nothing."""
    if array.dtype.kind in "biu" or not array.size:
        return ""
    return _finite(array, backend)[1]


def _full(host) -> Summary:
    """All numbers: a line for each row of the last dimension, broken where it gets too wide."""
    values = host.reshape(-1).tolist()
    bad = [v for v in values if isinstance(v, float) and not math.isfinite(v)]
    nans = sum(1 for v in bad if v != v)
    alarm = _alarm(nans, len(bad) - nans)
    if host.ndim == 0:
        return Summary((), number(values[0])) if bad else Summary((number(values[0]),))
    row = host.shape[-1] if host.ndim > 1 else len(values)
    row = len(values) if row == 1 and len(values) > 4 else row  # a long column lies down
    for texts in _ways(values):
        width = max(map(len, texts))
        if row * (width + 2) <= WIDE:
            break
    per_line = max(1, WIDE // (width + 2))
    per_line = -(-row // -(-row // per_line))  # as even as can be
    pad = width if host.ndim > 1 or row > per_line else 0  # numbers stand below one another only where there are rows
    lines = []
    for start in range(0, len(texts), row):
        for i in range(start, start + row, per_line):
            lines.append(", ".join(t.rjust(pad) for t in texts[i : min(i + per_line, start + row)]))
    lines[0] = "[" + lines[0]
    lines[1:] = [" " + line for line in lines[1:]]
    lines[-1] += "]"
    return Summary(tuple(lines), alarm, grid=True)


def _ways(values):
    """The numbers as texts, the longest first: four digits, three, and three of the largest, the others as fine as that."""
    for digits in (4, 3) if len(values) <= FULL // 2 else (3,):
        yield [number(v, digits) for v in values]
    finite = [abs(v) for v in values if isinstance(v, float) and math.isfinite(v) and v]
    if finite and min(finite) >= 1e-3 and max(finite) < 1e3:
        places = min(3, max(0, 2 - math.floor(math.log10(max(finite)))))
        texts = [f"{v:.{places}f}" if isinstance(v, float) and math.isfinite(v) and v else number(v) for v in values]
        if all(float(t) or not v for t, v in zip(texts, values, strict=True)):  # none became 0
            yield texts
    yield [number(v, 3) for v in values]


def _stats(x, backend):
    """min, max, mean, std of a float array, in one copy from the device."""
    xp = backend.xp
    with backend.quiet():
        x = x if x.dtype.itemsize >= 4 else x.astype(xp.float32)
        stats = xp.stack([xp.asarray(v, dtype=xp.float64) for v in (x.min(), x.max(), x.mean(), x.std())])
    return backend.to_host(stats).tolist()


def _finite(x, backend):
    """The finite elements (None: there are none), and what is said about the others."""
    xp = backend.xp
    with backend.quiet():
        if math.isfinite(float(x.min())) and math.isfinite(float(x.max())):  # min and max of an array with nan are nan
            return x, ""
        nans, infs = int(xp.isnan(x).sum()), int(xp.isinf(x).sum())
        rest = x[xp.isfinite(x)]
    return (rest if rest.size else None), _alarm(nans, infs)


def _alarm(nans, infs):
    return ", ".join(f"{word} {n}" for word, n in (("nan", nans), ("inf", infs)) if n)
