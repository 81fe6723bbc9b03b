"""x[key] and x[key] = v in every form that NumPy and PyTorch share: values, gradients to x and to v, refusals.

Random keys stand in test_random_indexing.py.
"""

import numpy as np
import pytest
from numeric import host, telling

import tensorlite as tl
from tensorlite import errors

X = np.random.default_rng(0).uniform(-2, 2, (4, 5, 3))
S = slice
I = np.array  # noqa: E741
MASK = np.random.default_rng(1).integers(0, 2, (4, 5, 3)).astype(bool)
ROWS = I([True, False, True, True])

BASIC = [
    0, -1, 3, S(None), S(1, 3), S(1, None, 2), S(-2, None), S(3, 1), S(0, 100), ..., None, (), (0, 1), (0, 1, 2), (-1, -2, -3),
    (S(1, 3), 2), (S(None), S(None, None, 2)), (..., 0), (0, ...), (..., S(1, None)), (S(None), ..., 0), (1, ..., 2), (None, 1),
    (S(None), None), (..., None), (None, ..., None), (0, None, S(2), None, 1), (S(None), None, 2, ...), (S(2, 2), S(1)),
    (np.int64(2), S(None)), (S(np.int64(1), np.int64(4)), 0),
]  # fmt: skip
BACKWARDS = [
    S(None, None, -1),
    S(3, 0, -2),
    (S(None), S(None, None, -1)),
    (..., S(None, None, -2)),
    (0, S(None, None, -1), None),
]
ADVANCED = [
    I([0, 2]), I([0, 0, 1, 0]), I([-1, 1]), I([[0, 1], [2, 3]]), I([], dtype=int), (S(None), I([4, 0, 0])), (..., I([0, 2, 2])),
    (I([0, 1]), I([1, 2])), (I([0, 1]), S(None), I([1, 2])), (I([[0], [1]]), I([[1, 2, 3]])), (0, I([1, 2, 1])), (I([3, 1]), 2),
    (S(1, 3), I([0, 4])), (I([1, 2]), S(1, None, 2)), (None, I([1, 1])), (I([0, 1]), None, I([2, 2])), (I([2]), ..., I([0, 1])),
    (I([0, 1, 2]), I([0, 1, 2]), I([0, 1, 2])), (0, S(None), I([1, 1])), (S(None), 1, I([0, 2])), np.int64(1), I(2),
    (I(1), I([0, 1])),
    (..., I([0, 1]), S(1)), (I([[1, 0], [0, 0]]), 1), I([0, 1], dtype="int32"), I([3, 1], dtype="int8"),
    (0, S(None), I([2, 0])), (I([0, 1]), S(None), 2), (I([3, 0]), 1, I([0, 1])), (S(None), I([1, 0]), 2), (0, None, I([1, 1])),
    (I([0, 1]), ..., 1, I([1, 2])), (1, ..., I([[0, 1]])), (I([0, 1]), ..., I([1, 0]), I([0, 0])),
]  # fmt: skip
BOOLEAN = [
    MASK, ROWS, MASK[:, :, 0], (ROWS, S(1, 3)), (ROWS, 0), (S(None), MASK[0, :, 0]), (..., I([True, False, True])), (ROWS, None),
    np.zeros((4, 5, 3), bool), np.ones(4, bool), (S(None), MASK[0]), (ROWS, I([0, 1, 2])), (0, MASK[0]), (None, ROWS),
]  # fmt: skip
KEYS = BASIC + BACKWARDS + ADVANCED + BOOLEAN


def over(keys):
    """Run a test for each of these keys."""
    return pytest.mark.parametrize("key", keys, ids=lambda k: "".join(str(k).replace("slice", "").split())[:60])


def convert(key, kind, lib=tl):
    """The arrays of a key as tensors of `lib`, NumPy arrays or lists."""
    if isinstance(key, tuple):
        return tuple(convert(k, kind, lib) for k in key)
    if not isinstance(key, np.ndarray) or (kind == "list" and (not key.ndim or not key.size)):
        return key
    return lib.tensor(key) if kind == "tensor" else key if kind == "numpy" else key.tolist()


def has_array(key):
    return any(isinstance(k, np.ndarray) for k in (key if isinstance(key, tuple) else (key,)))


def _depth(k):
    """How many dimensions a part of a key is for."""
    return k.ndim if isinstance(k, np.ndarray) and k.dtype.kind == "b" else k is not None and k is not Ellipsis


def places(key, shape=X.shape):
    """The numbers of the elements that key reads: NumPy's answer, but ints beside arrays select first, as in PyTorch."""
    x = np.arange(int(np.prod(shape))).reshape(shape)
    parts = key if isinstance(key, tuple) else (key,)
    arrays = [k for k in parts if isinstance(k, (list, np.ndarray)) and np.ndim(k)]
    if not arrays:
        return x[key]
    used = sum(_depth(k) for k in parts)
    first, then = [], []
    for k in parts:
        if k is Ellipsis:
            first += [S(None)] * (x.ndim - used)
            then += [S(None)] * (x.ndim - used)
        elif k is None or isinstance(k, slice):
            first.append(k)
            then.append(S(None))
        elif np.ndim(k) == 0:
            first.append(int(k))
        else:
            first += [S(None)] * (k.ndim if k.dtype == bool else 1)
            then.append(k)
    return x[tuple(first)][tuple(then)]


def read(key):
    """What x[key] is."""
    return X.reshape(-1)[places(key)]


def repeats(key):
    """Whether a place is written twice, so that PyTorch does not say which value wins."""
    found = places(key)
    return np.unique(found).size < found.size


def torch_takes(key):
    """PyTorch has no negative steps, and only int32 and int64 as indices."""
    parts = key if isinstance(key, tuple) else (key,)
    return not any(
        (isinstance(k, slice) and (k.step or 1) < 0) or (isinstance(k, np.ndarray) and k.dtype == np.int8)
        for k in parts
    )


ONCE = [k for k in KEYS if not repeats(k)]


# ---------------------------------------------------------------- reading
@over(KEYS)
def test_read(key, device):
    _read(key, "tensor")


@pytest.mark.parametrize("kind", ["numpy", "list"])
@over([k for k in KEYS if has_array(k)])
def test_read_with_other_arrays(key, kind, device):
    _read(key, kind)


def _read(key, kind):
    x = tl.tensor(X, requires_grad=True)
    got, want = x[convert(key, kind)], read(key)
    assert tuple(got.shape) == want.shape
    np.testing.assert_array_equal(host(got), want)
    w = np.random.default_rng(2).uniform(-1, 1, want.shape)
    (got * tl.tensor(w)).sum().backward()
    g = np.zeros_like(X)
    np.add.at(g.reshape(-1), places(key), w)  # the definition: every place read gets its share, repeated places the sum
    np.testing.assert_allclose(host(x.grad), g, rtol=1e-13, atol=1e-15)


@over([k for k in KEYS if torch_takes(k)])
def test_read_as_pytorch(key, device):
    torch = pytest.importorskip("torch")
    found = []
    for lib in (tl, torch):
        x = lib.tensor(X, requires_grad=True)
        y = x[convert(key, "tensor", lib)]
        w = lib.tensor(np.random.default_rng(2).uniform(-1, 1, tuple(y.shape)))
        (g,) = lib.autograd.grad((y * y * w).sum(), x, create_graph=True)
        (h,) = lib.autograd.grad((g * g).sum(), x)
        found.append((y, g, h))
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(host(a), b.detach().numpy(), rtol=1e-12, atol=1e-14)


@over(BASIC + BACKWARDS)
def test_basic_indexing_is_a_view(key, device):
    x = tl.tensor(X)
    y = x[key]
    y.fill_(9.0)
    want = X.copy()
    want[key] = 9.0
    np.testing.assert_array_equal(host(x), want)


@over(ADVANCED[:8] + BOOLEAN)
def test_advanced_indexing_is_a_copy(key, device):
    x = tl.tensor(X)
    x[convert(key, "tensor")].fill_(9.0)
    np.testing.assert_array_equal(host(x), X)


def test_a_zero_dimensional_int_tensor_is_an_int(device):
    x = tl.tensor(X)
    assert x[tl.tensor(1)].shape == (5, 3)
    assert x[tl.tensor(1), tl.tensor(-1), tl.tensor(0)].shape == ()
    x[tl.tensor(1)].zero_()
    assert x[1].sum().item() == 0, "a view, as of an int"


@pytest.mark.parametrize("flag", [True, False])
def test_a_bool_is_a_mask_of_no_dimensions(flag, device):
    np.testing.assert_array_equal(host(tl.tensor(X)[flag]), X[flag])
    np.testing.assert_array_equal(host(tl.tensor(X)[tl.tensor(flag)]), X[flag])


def test_lists_of_tensors_and_ranges(device):
    x = tl.tensor(X)
    np.testing.assert_array_equal(host(x[range(1, 3)]), X[1:3])
    np.testing.assert_array_equal(host(x[[]]), X[:0])
    np.testing.assert_array_equal(host(x[[[0, 1], [2, 3]]]), X[np.array([[0, 1], [2, 3]])])


def test_read_from_0d(device):
    x = tl.tensor(3.0, requires_grad=True)
    for key in ((), ..., None, (None, ...), (..., None), True):
        with telling(key):
            y = x[key]
            np.testing.assert_array_equal(host(y), np.array(3.0, "f4")[key])
            assert tl.autograd.grad(y.sum() * 2, x)[0].item() == 2


def test_0d_gradients_that_meet(device):
    x = tl.tensor(2.0, requires_grad=True)
    (x[None].sum() + x * 3 + x[...] * 5).backward()
    assert x.grad.item() == 9


def test_iteration_and_length(device):
    x = tl.tensor(X, requires_grad=True)
    rows = list(x)
    assert len(x) == len(rows) == 4
    (rows[0].sum() + (rows[2] * 2).sum()).backward()
    np.testing.assert_array_equal(host(x.grad)[:, 0, 0], [1, 0, 2, 0])
    with pytest.raises(TypeError, match="0-d"):
        len(tl.tensor(1.0))
    with pytest.raises(TypeError, match="0-d"):
        iter(tl.tensor(1.0))


# ---------------------------------------------------------------- writing
def _values(key, which):
    shape = places(key).shape
    rng = np.random.default_rng(3)
    if which == "same":
        return rng.uniform(-1, 1, shape)
    if which == "0-d":
        return rng.uniform(-1, 1, ())
    return rng.uniform(-1, 1, (1, *[1 if i % 2 else n for i, n in enumerate(shape)]))  # broadcasts, with a leading 1


@pytest.mark.parametrize("which", ["same", "0-d", "number"])
@over(ONCE)
def test_write(key, which, device):
    _write(key, which)


@over([k for k in ONCE if places(k).ndim and MASK.shape != getattr(k, "shape", None)])
def test_write_what_broadcasts(key, device):
    _write(key, "broadcast")


def _write(key, which):
    v = 0.5 if which == "number" else _values(key, which)
    want, w = X.copy(), np.random.default_rng(4).uniform(-1, 1, X.shape)
    where = places(key)
    want.reshape(-1)[where] = v
    x = tl.tensor(X, requires_grad=True)
    value = v if which == "number" else tl.tensor(v, requires_grad=True)
    y = x * 1.0
    y[convert(key, "tensor")] = value
    np.testing.assert_array_equal(host(y), want)
    (y * tl.tensor(w)).sum().backward()
    gx = w.copy()
    gx.reshape(-1)[where] = 0
    np.testing.assert_array_equal(host(x.grad), gx)
    if which != "number":
        part = w.reshape(-1)[where]
        lead = part.ndim - v.ndim
        g = part.sum(axis=tuple(range(lead))) if lead > 0 else part.reshape((1,) * -lead + part.shape)
        g = g.sum(axis=tuple(i for i, n in enumerate(v.shape) if n == 1), keepdims=True)
        np.testing.assert_allclose(host(value.grad), g, rtol=1e-12, atol=1e-13)


@over([k for k in ONCE if torch_takes(k)])
def test_write_as_pytorch(key, device):
    torch = pytest.importorskip("torch")
    found = []
    for lib in (tl, torch):
        x = lib.tensor(X, requires_grad=True)
        v = lib.tensor(_values(key, "same"), requires_grad=True)
        y = x.sin()
        y[convert(key, "tensor", lib)] = v * v
        w = lib.tensor(np.random.default_rng(4).uniform(-1, 1, X.shape))
        gs = lib.autograd.grad((y * y * w).sum(), (x, v), create_graph=True)
        hs = lib.autograd.grad(sum((g * g).sum() for g in gs), (x, v))
        found.append((y, *gs, *hs))
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(host(a), b.detach().numpy(), rtol=1e-12, atol=1e-13)


def test_write_where_only_the_value_needs_a_gradient(device):
    v = tl.tensor([1.0, 2.0], requires_grad=True)
    x = tl.zeros(3)
    x[1:] = v * 3
    assert x.requires_grad and not x.is_leaf
    (x * x).sum().backward()
    assert v.grad.tolist() == [18.0, 36.0]


@pytest.mark.parametrize("shape", [(1,), (1, 1)])
def test_leading_ones_of_a_written_value_are_dropped(shape, device):
    """As in NumPy and PyTorch: also for a number, and for a mask of nothing."""
    for size, key in (((), ()), ((), ...), ((3,), 1), ((2, 2), (0, 0))):
        v = tl.ones(shape, requires_grad=True)
        x = tl.zeros(size)
        x[key] = v * 3
        (x * x).sum().backward()
        assert v.grad.shape == shape and v.grad.sum().item() == 18
    empty = tl.zeros(0, 3)
    empty[tl.zeros(0, 3, dtype=tl.bool)] = tl.ones(1, 0)
    part = tl.zeros(2, 2)
    part[tl.tensor([[True, False], [True, True]])] = tl.ones(1, 3)
    assert part.tolist() == [[1, 0], [1, 1]]


def test_write_into_itself(device):
    x = tl.arange(5)
    x[1:] = x[:-1]
    assert x.tolist() == [0, 0, 1, 2, 3]
    y = tl.arange(4).reshape(2, 2)
    y[...] = y.T
    assert y.tolist() == [[0, 2], [1, 3]]
    z = tl.arange(4)
    z[::-1] = z
    assert z.tolist() == [3, 2, 1, 0]


def test_augmented_assignment(device):
    a = tl.tensor([1.0, 2.0, 3.0], requires_grad=True)
    x = a * 1.0
    x[1:] += 10.0
    x[0] *= 5.0
    x[[1, 2]] -= a[:2]
    assert x.tolist() == [5.0, 11.0, 11.0]
    (x * tl.tensor([1.0, 10.0, 100.0])).sum().backward()
    assert a.grad.tolist() == [5.0 - 10.0, 10.0 - 100.0, 100.0]


@pytest.mark.parametrize("value", [[1.0, 2.0, 3.0], (1, 2, 3), np.array([1.0, 2.0, 3.0]), np.float64(2.5), 7, True])
def test_values_that_are_no_tensors(value, device):
    x, want = tl.zeros(2, 3), np.zeros((2, 3), "f4")
    x[0] = value
    want[0] = value
    np.testing.assert_array_equal(host(x), want)
    assert x.dtype == tl.float32


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float16", "float32", "float64"])
def test_values_take_the_dtype_of_the_tensor(dtype, device):
    torch = pytest.importorskip("torch")
    for value in (2.75, 3, True, 0.0):
        for make in (lambda lib, v: v, lambda lib, v: lib.tensor([v, v]), lambda lib, v: lib.tensor(v)):
            results = []
            for lib in (tl, torch):
                x = lib.zeros(3, dtype=getattr(lib, dtype))
                x[1:] = make(lib, value)
                results.append(x.tolist())
            assert results[0] == results[1]


def test_gradient_of_a_written_value_has_its_own_dtype(device):
    v = tl.tensor([1.0, 2.0], requires_grad=True)
    x = tl.zeros(2, dtype=tl.float64)
    x[:] = v
    x.sum().backward()
    assert v.grad.dtype == tl.float32 and v.grad.tolist() == [1.0, 1.0]


# ---------------------------------------------------------------- refusals
@pytest.mark.parametrize(
    ("key", "kind", "text"),
    [
        (4, errors.IndexRangeError, "index 4 is out of range for dim 0 of size 4 (it may be -4 to 3)"),
        ((0, -6), errors.IndexRangeError, "index -6 is out of range for dim 1 of size 5 (it may be -5 to 4)"),
        ((0, 0, 0, 0), errors.IndexRangeError, "too many indices: 4 for the 3 dimensions of float64 (4, 5, 3)"),
        ((..., ...), errors.IndexRangeError, "ellipsis"),
        ([0, 4], errors.IndexRangeError, "index 4 is out of range for dim 0 of size 4"),
        ([0, -5], errors.IndexRangeError, "index -5 is out of range for dim 0 of size 4"),
        ((slice(None), [1, 5]), errors.IndexRangeError, "index 5 is out of range for dim 1 of size 5"),
        (
            [True, False],
            errors.IndexRangeError,
            "a mask of shape (2,) does not fit the dimensions it is for, (4,) of (4, 5, 3)",
        ),
        ((0, [1, 5]), errors.IndexRangeError, "index 5 is out of range for dim 0 of size 5"),
        (
            ([0, 1], [0, 1, 2]),
            errors.IndexRangeError,
            "the index arrays of shapes (2,) and (3,) do not broadcast together",
        ),
        (
            ([True, False, True, False], [0, 1, 2]),
            errors.IndexRangeError,
            "of shapes (4,) and (3,) do not broadcast together (a mask",
        ),
        ([[0, 1], [2]], errors.ShapeError, "the lists in an index must be of equal length, got [[0, 1], [2]]"),
        (slice(0, 4, 0), errors.ArgumentError, "the step of a slice cannot be 0"),
        (
            np.array([1, 0], "uint8"),
            errors.DTypeError,
            "could be a mask or numbers, got uint8 (2,); use .bool() or .long()",
        ),
        ([0.5], errors.DTypeError, "an index must hold integers or bools, got float64 (1,)"),
        ("a", errors.DTypeError, "str cannot be an index; use ints, slices, None, ..., or int/bool tensors"),
        (1.0, errors.DTypeError, "float cannot be an index"),
        (slice(0.5, 2), errors.DTypeError, "the ends and the step of a slice must be ints, got slice(0.5, 2, None)"),
    ],
    ids=str,
)
def test_keys_that_are_refused(key, kind, text, device):
    x = tl.tensor(X)
    with pytest.raises(kind) as read:
        x[key]
    with pytest.raises(kind) as written:
        x[key] = 0.0
    assert text in str(read.value).replace(f" on {x.device}", "")
    assert text in str(written.value).replace(f" on {x.device}", "")
    assert "index" in str(read.value) and isinstance(read.value, (IndexError, TypeError, ValueError))
    np.testing.assert_array_equal(host(x), X)


def test_values_of_a_wrong_shape_are_refused(device):
    x = tl.tensor(X)
    for value in (1.0, tl.ones(1, 2)):  # the masks do not fit each other
        with pytest.raises(errors.IndexRangeError, match="do not broadcast together"):
            x[tl.tensor(ROWS), tl.tensor([True, True, False, False, False])] = value
    with pytest.raises(errors.ShapeError) as e:
        x[0] = tl.ones(5, 4)
    assert "assign: shapes (5, 3) and (5, 4) do not broadcast: dimension -1 is 3 against 4" in str(e.value)
    n = int(MASK.sum())
    with pytest.raises(errors.ShapeError) as e:
        x[tl.tensor(MASK)] = tl.ones(n + 1)
    assert f"cannot assign {n + 1} input values to the {n} output values" in str(e.value)
    np.testing.assert_array_equal(host(x), X)
