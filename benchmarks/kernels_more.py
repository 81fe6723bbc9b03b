"""More single operations for kernels.py: rows by index, running sums, sorting, reductions, systems of equations, convolution, pooling."""

import numpy as np

# name: (what, its floating-point inputs, its index, function of (tl, *inputs)); a result of several is represented by its first
OPERATIONS = {}
MILLION = (1000, 1000)


def operation(name, what, *shapes, index=None, positive=False):
    """Put a function of (tl, *inputs) into the table. index: (largest + 1, shape)."""

    def floats(rng):
        made = [rng.standard_normal(s).astype(np.float32) for s in shapes]
        return [np.abs(np.tanh(a)) * 0.9 + 0.05 for a in made] if positive else made

    def add(function):
        numbers = index and (lambda rng: rng.integers(0, *index))
        OPERATIONS[name] = (what, floats, numbers, function)

    return add


ROWS, EACH, PAIRS = (1000, 1000), (1000, MILLION), (10_000, 60_000)
operation("index_add", "index_add, 1000 rows of 1000", MILLION, MILLION, index=ROWS)(
    lambda tl, x, s, i: x.index_add(0, i, s)
)
operation("index_add_columns", "index_add, 1000 columns of 1000", MILLION, MILLION, index=ROWS)(
    lambda tl, x, s, i: x.index_add(1, i, s)
)
operation("index_add_narrow", "index_add, 60000 rows of 16 to 10000", (10_000, 16), (60_000, 16), index=PAIRS)(
    lambda tl, x, s, i: x.index_add(0, i, s)
)
operation("scatter_add", "scatter_add along dim 1, a million", MILLION, MILLION, index=EACH)(
    lambda tl, x, s, i: x.scatter_add(1, i, s)
)
operation("scatter_add_0", "scatter_add along dim 0, a million", MILLION, MILLION, index=EACH)(
    lambda tl, x, s, i: x.scatter_add(0, i, s)
)
operation("scatter_max", "scatter_reduce amax along dim 1, a million", MILLION, MILLION, index=EACH)(
    lambda tl, x, s, i: x.scatter_reduce(1, i, s, "amax")
)
operation("gather", "gather along dim 1, a million", MILLION, index=EACH)(lambda tl, x, i: x.gather(1, i))
operation("gather_one", "gather of one of 256 in 8192 rows", (8192, 256), index=(256, (8192, 1)))(
    lambda tl, x, i: x.gather(1, i)
)
operation("rows", "x[i], 1000 rows of 1000", MILLION, index=ROWS)(lambda tl, x, i: x[i])
operation("masked_fill", "masked_fill, a million", MILLION)(lambda tl, x: x.masked_fill(x > 0, -1e9))
operation("masked_fill_", "masked_fill_ of a copy, a million", MILLION)(
    lambda tl, x: x.clone().masked_fill_(x > 0, -1.0)
)
operation("where", "where, a million", MILLION, MILLION)(lambda tl, x, y: tl.where(x > 0, x, y))

operation("cumsum", "cumsum of 1000 rows of 1000", MILLION)(lambda tl, x: x.cumsum(1))
operation("cumprod", "cumprod of 1000 rows of 100", (1000, 100), positive=True)(lambda tl, x: x.cumprod(1))
operation("logcumsumexp", "logcumsumexp of 1000 rows of 1000", MILLION)(lambda tl, x: x.logcumsumexp(1))
operation("cummax", "cummax of 1000 rows of 1000", MILLION)(lambda tl, x: x.cummax(1)[0])
operation("sort", "sort of 1000 rows of 1000", MILLION)(lambda tl, x: x.sort(dim=1)[0])
operation("topk", "topk, 10 of 1000 rows of 1000", MILLION)(lambda tl, x: x.topk(10, dim=1)[0])
operation("median", "median of 1000 rows of 1000", MILLION)(lambda tl, x: x.median(dim=1)[0])
operation("var", "var of 1000 rows of 1000", MILLION)(lambda tl, x: x.var(1))
operation("logsumexp", "logsumexp of 1000 rows of 1000", MILLION)(lambda tl, x: x.logsumexp(1))
operation("norm", "norm of 1000 rows of 1000", MILLION)(lambda tl, x: x.norm(dim=1))
operation("erf", "erf, a million", MILLION)(lambda tl, x: tl.erf(x))
operation("erfinv", "erfinv, a million", MILLION, positive=True)(lambda tl, x: tl.erfinv(x))
operation("lgamma", "lgamma, a million", MILLION, positive=True)(lambda tl, x: tl.lgamma(x))

operation("solve", "linalg.solve, 256 unknowns, 64 columns", (256, 256), (256, 64))(
    lambda tl, a, y: tl.linalg.solve(a + 50 * tl.eye(256), y)
)
operation("solve_triangular", "linalg.solve_triangular, 256 unknowns, 64 columns", (256, 256), (256, 64))(
    lambda tl, a, y: tl.linalg.solve_triangular(a + 50 * tl.eye(256), y, upper=False)
)
operation("conv2d", "conv2d 16 x 32 x 32 x 32, 64 kernels 3 x 3", (16, 32, 32, 32), (64, 32, 3, 3))(
    lambda tl, x, w: tl.nn.functional.conv2d(x, w, padding=1)
)
operation("conv2d_depthwise", "depthwise conv2d 16 x 64 x 32 x 32, kernels 3 x 3", (16, 64, 32, 32), (64, 1, 3, 3))(
    lambda tl, x, w: tl.nn.functional.conv2d(x, w, padding=1, groups=64)
)
operation("conv1d", "conv1d 16 x 64 x 500, 64 kernels of 5", (16, 64, 500), (64, 64, 5))(
    lambda tl, x, w: tl.nn.functional.conv1d(x, w, padding=2)
)
operation("max_pool2d", "max_pool2d by 2 of 16 x 64 x 32 x 32", (16, 64, 32, 32))(
    lambda tl, x: tl.nn.functional.max_pool2d(x, 2)
)
operation("avg_pool2d", "avg_pool2d by 2 of 16 x 64 x 32 x 32", (16, 64, 32, 32))(
    lambda tl, x: tl.nn.functional.avg_pool2d(x, 2)
)
