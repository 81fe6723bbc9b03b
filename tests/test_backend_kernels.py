"""The NumPy backend's fast kernels against the plain definitions of backend/base.py, computed in float64.

Every override has a case here (a test fails when one is missing). Each runs over dtypes, odd shapes and memory layouts,
and must leave its inputs as they were.
"""

import itertools
import math

import numpy as np
import pytest

from tensorlite.backend import cpu, cpu_attention, scratch
from tensorlite.backend.base import Backend
from tensorlite.backend.cpu import CpuBackend

BASE, CPU = Backend(), CpuBackend()
SHAPES = [(0, 5), (1, 1), (3, 31), (32, 32), (33, 33), (7, 1023), (5, 1025), (70, 257), (1, 17000)]
TOLERANCE = {"float16": 0.0, "float32": 1e-5, "float64": 1e-12}  # float16 is served by the plain definition itself


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Chunks so small that the shapes here take several."""
    monkeypatch.setattr(scratch, "CHUNK", 4096)
    monkeypatch.setattr(cpu, "_PART", 2000)
    monkeypatch.setattr(cpu, "_ONE_PRODUCT", 1 << 17)


def layout(x, kind):
    """x in another memory layout, with the same values."""
    if kind == "strided":
        big = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)
        big[..., ::2] = x
        return big[..., ::2]
    if kind == "transposed":
        return np.ascontiguousarray(x.T).T
    if kind == "read-only":
        x = x.copy()
        x.flags.writeable = False
    return x


class Case:
    """Makes the arguments of one kernel call: arrays of a shape, in a dtype and a layout, drawn from `rng`."""

    def __init__(self, shape, dtype, kind):
        self.rng = np.random.default_rng(math.prod(shape) + 1)
        self.shape, self.dtype, self.kind = shape, np.dtype(dtype), kind

    def array(self, *shape, scale=1.0, shift=0.0):
        x = self.rng.standard_normal(shape or self.shape) * scale + shift
        return layout(x.astype(self.dtype), self.kind)

    def vector(self, count=None):
        return self.array(self.shape[1] if count is None else count, shift=1.0)

    def column(self):
        return np.abs(self.array(self.shape[0], 1)) + self.dtype.type(0.5)

    def picks(self, count, below):
        return self.rng.integers(0, below, count)


def wide(value):
    """The same value in float64."""
    return value.astype(np.float64) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value


def arrays_in(value):
    values = value if isinstance(value, (tuple, list)) else [value]
    return [v for v in values if v is not None]


def compare(name, args, tolerance, least=1e-3):
    """Call the fast kernel and the plain one; same shapes and dtypes, values within tolerance of the largest, or of `least`."""
    before = [a.copy() if isinstance(a, np.ndarray) else a for a in args]
    got = arrays_in(getattr(CPU, name)(*args))
    plain = [a for a in args] if tolerance == 0 else [wide(a) for a in args]
    with np.errstate(all="ignore"):
        expected = arrays_in(getattr(BASE, name)(*plain))
    assert len(got) == len(expected)
    dtype = next(a.dtype for a in args if isinstance(a, np.ndarray) and a.dtype.kind == "f")
    for g, e in zip(got, expected, strict=True):
        assert np.shape(g) == np.shape(e)
        assert g.dtype == dtype
        e = np.asarray(e, np.float64)
        finite = e[np.isfinite(e)]
        size = np.abs(finite).max() if finite.size else 0.0
        np.testing.assert_allclose(np.asarray(g, np.float64), e, rtol=tolerance, atol=tolerance * max(size, least))
    for a, b in zip(args, before, strict=True):
        if isinstance(a, np.ndarray):
            np.testing.assert_array_equal(a, b)


def normalised(c, x):
    mean = wide(x).mean(axis=1, keepdims=True)
    rstd = 1 / np.sqrt(((wide(x) - mean) ** 2).mean(axis=1, keepdims=True) + 1e-5)
    return mean.astype(c.dtype), rstd.astype(c.dtype)


def norm_backward(c):
    for needs in itertools.product((True, False), repeat=3):
        x = c.array(shift=0.5)
        yield "layer_norm_backward", (c.array(), x, c.vector(), *normalised(c, x), needs)
    yield "layer_norm_backward", (c.array(), x, None, *normalised(c, x), (True, False, False))


def entropy(c, size):
    x, picks, keep = c.array(scale=size), c.picks(c.shape[0], c.shape[1]), np.abs(c.vector())
    for weights, smoothing in ((None, 0.0), (keep, 0.0), (keep, 0.1)):
        yield "cross_entropy", (x, picks, weights, smoothing)
        lse = BASE.cross_entropy(wide(x), picks, None, 0.0)[1].astype(c.dtype)
        yield "cross_entropy_backward", (c.array(c.shape[0]), x, picks, weights, smoothing, lse)


def products(c):
    for rows in (1, 2, 64, 200):  # few rows times the transpose of many weights have a way of their own
        yield "matmul", (c.array(rows, 300), c.array(150, 300).T)


KERNELS = {
    "in_chunks": lambda c: [(n, (c.array(scale=2.0),)) for n in ("erf", "erfc", "lgamma", "digamma")],
    "matmul": products,
    "sigmoid": lambda c: [("sigmoid", (c.array(scale=20.0),))],
    "gelu": lambda c: [("gelu", (c.array(scale=3.0), a, False)) for a in ("none", "tanh")],
    "gelu_backward": lambda c: [("gelu_backward", (c.array(), c.array(scale=3.0), None, a)) for a in ("none", "tanh")],
    "softmax": lambda c: [("softmax", (c.array(scale=s), axis)) for s in (1.0, 50.0) for axis in (1, -1, 0)],
    "softmax_backward": lambda c: [("softmax_backward", (c.array(), np.abs(c.array()), axis)) for axis in (1, 0)],
    "log_softmax": lambda c: [("log_softmax", (c.array(scale=s), axis)) for s in (1.0, 50.0) for axis in (1, 0)],
    "log_softmax_backward": lambda c: [("log_softmax_backward", (c.array(), -np.abs(c.array()), axis)) for axis in (1, 0)],
    "cross_entropy": lambda c: entropy(c, 1.0),
    "cross_entropy_backward": lambda c: entropy(c, 40.0),
    "layer_norm": lambda c: [("layer_norm", (c.array(shift=2.0), w, b, 1e-5))
                             for w in (None, c.vector()) for b in (None, c.vector())],
    "layer_norm_backward": norm_backward,
    "rms_norm": lambda c: [("rms_norm", (c.array(shift=2.0), w, 1e-6)) for w in (None, c.vector())],
    "rms_norm_backward": lambda c: [("rms_norm_backward", (c.array(), c.array(), w, c.column(), needs))
                                    for w in (None, c.vector()) for needs in ((True, w is not None), (False, True))],
    "sum_to": lambda c: [("sum_to", (c.array(), s)) for s in ((c.shape[1],), (1, c.shape[1]), (c.shape[0], 1), (), (1,))],
    "column_sum": lambda c: [("column_sum", (c.array(),))],
    "accumulate": lambda c: [("accumulate", (n, c.array(), axis)) for n in ("maximum", "minimum", "logaddexp")
                             for axis in (0, 1) if n != "logaddexp" or c.dtype.itemsize > 2],
    "embedding_backward": lambda c: [("embedding_backward", (c.array(), c.picks(c.shape[0], rows), rows))
                                     for rows in (1, 40, 300)],
}  # fmt: skip


@pytest.mark.parametrize("kind", ["plain", "strided", "transposed", "read-only"])
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", KERNELS)
def test_kernel_equals_its_definition(name, dtype, kind):
    for shape in SHAPES[:5] if dtype == "float16" else SHAPES:
        try:
            for kernel, args in KERNELS[name](Case(shape, dtype, kind)):
                compare(kernel, args, TOLERANCE[dtype])
        except AssertionError as e:
            raise AssertionError(f"{name}, shape {shape}: {e}") from None


def test_every_override_has_a_test():
    own = itertools.takewhile(lambda cls: cls is not Backend, CpuBackend.__mro__)
    fast = {name for cls in own for name, value in vars(cls).items() if callable(value) and not name.startswith("_")}
    assert fast - set(KERNELS) == {"number", "python_number", "attention", "attention_backward", "philox", "dropout_mask",
                                   # the samples of batch norm and its kin run on cpu and, by base.py, on the stand-in
                                   "batch_moments", "batch_norm", "batch_norm_backward", "group_norm", "group_norm_backward",
                                   "clip_by_norm", "adamw_step", "sgd_step", "pieces", "topk",
                                   "writable", "strided", "inside", "share", "is_shared",
                                   # the samples of scatter and its kin run on cpu and, by base.py, on the stand-in
                                   "add_at", "put", "apart", "is_last", "reduce_at"}  # fmt: skip


@pytest.mark.parametrize("dtype", ["int64", "int32", "int8", "uint8"])
def test_inside(dtype):
    backend = CpuBackend()
    for values in ([], [0], [6], [7], [3, -1], [-100, 2], [100], [5, 0, 6], [[1, 2], [3, 4]]):
        index = np.array(values).astype(dtype)
        for given in (index, index[..., ::-1], np.broadcast_to(index, (2, *index.shape))):
            expected = all(0 <= v < 7 for v in given.reshape(-1).tolist())
            assert backend.inside(given, 7) is expected and Backend.inside(backend, given, 7) is expected


@pytest.mark.parametrize("name", ["erf", "erfc", "erfinv", "lgamma", "digamma", "sinc", "i0"])
def test_long_arrays_go_through_special_functions_in_chunks(name):
    x = np.linspace(-0.99, 0.99, 70_001).astype("f4").reshape(-1, 1)
    compare(name, (x,), 1e-5)


def test_a_python_number_comes_back_as_it_was():
    b, kind = CpuBackend(), np.dtype("float32")
    given = b.number(2.5, kind)
    assert (given + np.zeros((), kind)).dtype == kind and type(b.python_number(given)) is float
    x = np.zeros(2, kind)
    assert b.python_number(x) is x


def test_expanded_gradient_is_read_only_and_fits():
    x = np.random.default_rng(0).standard_normal((40, 50)).astype("f4")
    g = np.broadcast_to(np.float32(0.25), x.shape)  # what the gradient of x.sum() is
    compare("gelu_backward", (g, x, None, "none"), 1e-5)
    compare("softmax_backward", (g, np.abs(x), 1), 1e-5)
    compare("log_softmax_backward", (g, -np.abs(x), 1), 1e-5)
    c = Case(x.shape, "f4", "plain")
    compare("layer_norm_backward", (g, x, c.vector(), *normalised(c, x), (True, True, True)), 1e-5)
    compare("sum_to", (g, (50,)), 1e-5)
    compare("embedding_backward", (g, c.picks(40, 9), 9), 1e-5)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 3e38, -3e38, 1e-40, -0.0, 0.0])
def test_extreme_values(value):
    x = np.linspace(-3, 3, 60, dtype="f4").reshape(6, 10)
    x[2, 3] = value
    for name in ("none", "tanh"):
        with np.errstate(all="ignore"):
            y, slope = BASE.gelu(wide(x), name, False)[0], BASE.gelu_backward(np.ones((6, 10)), wide(x), None, name)
        with np.errstate(all="raise"):  # no warning for the user
            one = np.ones_like(x)
            got, kept = CPU.gelu(x, name, True)
            np.testing.assert_allclose(CPU.gelu_backward(one, x, None, name), slope, rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(CPU.gelu_backward(one, x, kept, name), slope, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(got, y, rtol=1e-5, atol=1e-6)
    with np.errstate(all="ignore"):
        for name in ("softmax", "log_softmax"):
            got, expected = getattr(CPU, name)(x, 1), getattr(BASE, name)(x, 1)
            np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


# ---------------------------------------------------------------- attention
LEADS = [(), (3,), (2, 3), (2, 2, 2), (40, 2)]


def attend(rng, lead, length, keys, dtype, masked, causal, drop):
    def draw(*shape):
        return rng.standard_normal((*lead, *shape)).astype(dtype)

    q, k, v, g = draw(length, 6), draw(keys, 6), draw(keys, 5), draw(length, 5)
    if lead and length == keys:  # heads split off one projection: strided views
        q = np.swapaxes(np.ascontiguousarray(np.swapaxes(q, -2, -3)), -2, -3)
    mask = None
    if masked == "bool":
        mask = rng.random((length, keys)) < 0.7
        mask[0] = False  # a row that may attend nowhere
    elif masked == "padding":
        mask = rng.random((*lead[:1], *[1] * len(lead[1:]), 1, keys)) < 0.7
    elif masked == "float":
        mask = rng.standard_normal((*lead, length, keys)).astype(dtype)
        mask[..., 1] = -np.inf
    factors = None if not drop else ((rng.random((*lead, length, keys)) < 0.8) / 0.8).astype(dtype)
    return q, k, v, g, mask, factors


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("masked", [None, "bool", "padding", "float"])
@pytest.mark.parametrize("drop", [False, True])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("together", [True, False])
def test_attention(dtype, masked, causal, drop, together, monkeypatch):
    if not together:  # as in long sequences, where heads are taken one by one
        monkeypatch.setattr(cpu_attention, "SCORES", 100)
    rng, tolerance = np.random.default_rng(3), 5 * TOLERANCE[dtype]
    for lead, (length, keys) in zip(LEADS * 2, [(1, 1), (2, 9), (33, 31), (65, 65), (40, 150), (150, 40)] * 2):
        if keys == 1 and masked == "float":
            continue
        for size in (0.5, 60.0):  # with scores of 60 the maximum of each row has to be taken off
            q, k, v, g, mask, factors = attend(rng, lead, length, keys, dtype, masked, causal, drop)
            compare("attention", (q, k, v, mask, causal, size, factors), tolerance)
            out, lse = BASE.attention(wide(q), wide(k), wide(v), wide(mask), causal, size, wide(factors))
            saved = out.astype(dtype), lse.astype(dtype)
            needs = (True, True, True, masked == "float" and length == 33)
            if size < 1:  # beyond, float32 scores of hundreds differ in their fifth digit, and so do the gradients
                compare("attention_backward", (g, q, k, v, mask, causal, size, factors, *saved, needs), tolerance, 1.0)


def test_attention_gives_only_the_gradients_asked_for():
    rng = np.random.default_rng(0)
    q, k, v, g, _, _ = attend(rng, (2,), 4, 4, "float32", None, False, False)
    out, lse = CPU.attention(q, k, v, None, True, 1.0, None)
    for needs in itertools.product((True, False), repeat=3):
        found = CPU.attention_backward(g, q, k, v, None, True, 1.0, None, out, lse, (*needs, False))
        assert [x is not None for x in found] == [*needs, False]


def test_attention_leaves_the_rest_to_the_definition():
    rng = np.random.default_rng(0)
    q, k, v = (rng.standard_normal(s) for s in ((2, 1, 4, 3), (1, 5, 6, 3), (2, 5, 6, 2)))  # broadcast batch and heads
    compare("attention", (q, k, v, None, True, 1.0, None), 1e-12)
    half = [a.astype("f2") for a in (q, k, v)]
    compare("attention", (*half, None, False, 1.0, None), 0.0)
    compare("attention", (q[:, :, :0], k, v, None, False, 1.0, None), 1e-12)


# ---------------------------------------------------------------- random bits, optimizer
@pytest.mark.parametrize("count", [0, 1, 5, 8191, 8192, 8193, 50001])
def test_random_bits_are_those_of_the_definition(count):
    for seed, offset in ((0, 0), (2**40 + 7, 2**33 + 5)):
        np.testing.assert_array_equal(CPU.philox(count, seed, offset), BASE.philox(count, seed, offset))
        for p, dtype in ((0.1, "f4"), (0.5, "f2"), (1.0, "f8"), (0.0, "f4")):
            args = ((count, 1), p, seed, offset, np.dtype(dtype))
            got, expected = CPU.dropout_mask(*args), BASE.dropout_mask(*args)
            assert got.dtype == expected.dtype
            np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shape", [(1,), (31, 33), (5, 1025), (20000,)])
def test_adamw_step(dtype, shape):
    rng = np.random.default_rng(0)
    options = {"lr": 0.01, "beta1": 0.9, "beta2": 0.99, "eps": 1e-8}
    for maximize, amsgrad, decay, kind in itertools.product(
        (False, True), (False, True), (0.0, 0.1), ("plain", "strided", "read-only")
    ):
        g = layout(rng.standard_normal(shape).astype(dtype), kind)
        kind = "plain" if kind == "read-only" else kind
        p, m = (layout(rng.standard_normal(shape).astype(dtype), kind) for _ in range(2))
        v, vmax = (layout(rng.random(shape).astype(dtype), kind) for _ in range(2))
        fast = [a.copy() if kind == "plain" else layout(a, kind) for a in (p, m, v, vmax)]
        slow = [a.copy() if dtype == "float16" else wide(a) for a in (p, m, v, vmax)]
        for step in (1, 2, 1000):
            rest = {**options, "weight_decay": decay, "step": step, "maximize": maximize}
            CPU.adamw_step(fast[0], g, *fast[1:3], **rest, vmax=fast[3] if amsgrad else None)
            up = g if dtype == "float16" else wide(g)
            BASE.adamw_step(slow[0], up, *slow[1:3], **rest, vmax=slow[3] if amsgrad else None)
        for a, b in zip(fast, slow, strict=True):
            np.testing.assert_allclose(np.asarray(a, np.float64), b, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shape", [(1,), (5, 1025), (40000,)])
def test_sgd_step(dtype, shape):
    rng = np.random.default_rng(0)
    rules = [(0, 0, False), (0.9, 0, False), (0.9, 0.3, False), (0.9, 0, True)]  # momentum, dampening, nesterov
    for rule, decay, maximize, kind in itertools.product(
        rules, (0.0, 0.1), (False, True), ("plain", "strided", "read-only")
    ):
        options = dict(zip(("momentum", "dampening", "nesterov"), rule, strict=True))
        options |= {"lr": 0.01, "weight_decay": decay, "maximize": maximize}
        g = layout(rng.standard_normal(shape).astype(dtype), kind)
        kind = "plain" if kind == "read-only" else kind
        p, v = (layout(rng.standard_normal(shape).astype(dtype), kind) for _ in range(2))
        fast = [a.copy() if kind == "plain" else layout(a, kind) for a in (p, v)]
        up = (lambda a: a.copy()) if dtype == "float16" else wide
        slow = [up(a) for a in (p, v)]
        for b, (q, w), gradient in ((CPU, fast, g), (BASE, slow, up(g))):
            b.sgd_step(q, gradient, w if rule[0] else None, **options)
        for a, b in zip(fast, slow, strict=True):
            np.testing.assert_allclose(np.asarray(a, np.float64), b, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("max_norm", [0.5, 1e6])
def test_clip_by_norm(dtype, max_norm):
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(s).astype(dtype) for s in ((3, 4), (1,), (1025,), (2, 3, 5))]
    for change in (lambda a: a, lambda a: layout(a, "strided")):
        fast, slow = [change(a.copy()) for a in arrays], [a.astype(np.float64) for a in arrays]
        got, expected = CPU.clip_by_norm(fast, max_norm), BASE.clip_by_norm(slow, max_norm)
        close = 2e-3 if dtype == "float16" else TOLERANCE[dtype]
        np.testing.assert_allclose(float(got), float(expected), rtol=close)
        for a, b in zip(fast, slow, strict=True):
            np.testing.assert_allclose(np.asarray(a, np.float64), b, rtol=close, atol=close)
