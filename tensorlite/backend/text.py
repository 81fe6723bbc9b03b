"""How the values of an array are shown: PyTorch's digits, NumPy's brackets."""

import numpy as np

DEFAULT = {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80, "sci_mode": None}
options = dict(DEFAULT)  # see tl.set_printoptions


def text(array, prefix: str) -> str:
    """The values of a NumPy array in brackets, all in one width; long arrays are shortened."""
    formatter = {"float_kind": _float(_shown(array))} if array.dtype.kind == "f" else None
    line = np.array2string(
        array, separator=", ", prefix=prefix, formatter=formatter, threshold=options["threshold"],
        edgeitems=options["edgeitems"], max_line_width=options["linewidth"],
    )  # fmt: skip
    return line.replace(", ..., ", ",  ..., ")


def _shown(array):
    """The elements that are shown of a long array: those at the ends of each dimension."""
    ends = options["edgeitems"]
    if array.size > options["threshold"]:
        for dim, n in enumerate(array.shape):
            if n > 2 * ends:
                array = np.take(array, [*range(ends), *range(n - ends, n)], axis=dim)
    return array


def _float(array):
    """The function that shows a number: all whole ones as `2.`, else with a fixed number of digits, or as 1.5000e+09."""
    numbers = array[np.isfinite(array) & (array != 0)].astype(np.float64)
    size = np.abs(numbers)
    high, low = (size.max(), size.min()) if size.size else (1.0, 1.0)
    whole = bool((size == np.ceil(size)).all())
    wide = high / low > 1000 or high > 1e8 or low < 1e-4
    scientific = wide if options["sci_mode"] is None else options["sci_mode"]
    digits = options["precision"]

    def show(x):
        if not np.isfinite(x):
            return str(x)
        return f"{x:.{digits}e}" if scientific else f"{x:.0f}." if whole else f"{x:.{digits}f}"

    width = max(len(show(numbers.max())), len(show(numbers.min()))) if numbers.size else 0
    return lambda x: show(x).rjust(width)
