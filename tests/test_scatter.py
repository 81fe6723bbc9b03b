"""Writing by index: places written twice, indices changed later, kernels against their definition, in-place edges.

Values and gradients of each function come from samples/index.py, programs in place from test_inplace_programs.py.
"""

import numpy as np
import pytest
from numeric import host
from standin_backend import StandinBackend
from test_indexing import I, S, X, convert, over, places

import tensorlite as tl
from tensorlite import errors
from tensorlite.backend.cpu import CpuBackend


# ---------------------------------------------------------------- places written twice, and indices changed later
@over([I([0, 0, 2]), I([[1, 1], [1, 0]]), (S(None), I([2, 2])), (I([0, 0]), I([1, 1])), (I([0, 1, 0]), S(1), 1)])
def test_the_last_of_several_values_is_kept(key, device):
    """And only it has a gradient; a number or a broadcast value has its gradient once for each place."""
    found = places(key)
    numbers = np.arange(1.0, found.size + 1).reshape(found.shape)
    want, winner = X.copy().reshape(-1), np.full(X.size, -1)
    for k, (place, v) in enumerate(zip(found.reshape(-1), numbers.reshape(-1), strict=True)):
        want[place], winner[place] = v, k
    w = np.random.default_rng(4).uniform(-1, 1, X.shape)
    last = np.asarray(winner[found] == np.arange(found.size).reshape(found.shape))
    for shape in (found.shape, ()):
        v = tl.tensor(numbers if shape else 2.5, dtype=tl.float64, requires_grad=True)
        y = tl.tensor(X)
        y[convert(key, "tensor")] = v
        if shape:
            np.testing.assert_array_equal(host(y).reshape(-1), want)
        (y * tl.tensor(w)).sum().backward()
        g = w.reshape(-1)[found] * last
        np.testing.assert_allclose(host(v.grad), g if shape else g.sum(), rtol=1e-12)


CHANGED = {
    "index": lambda x, i: x[i],
    "index beside an int": lambda x, i: x[0, i],
    "index_select": lambda x, i: x.index_select(0, i),
    "take": lambda x, i: x.take(i),
    "gather": lambda x, i: x[:, 0, 0].gather(0, i),
    "setitem": lambda x, i: (x * 1.0).index_put((i,), x[0].sum()),
    "scatter_add": lambda x, i: x[:, 0, 0].scatter_add(0, i, x[:2, 0, 0]),
    "index_fill": lambda x, i: x.index_fill(0, i, 1.0),
    "index_add_": lambda x, i: (x * 1.0).index_add_(0, i, x[:2]),
    "index_copy_ on a view": lambda x, i: (x * 1.0)[0].index_copy_(0, i, x[0, :2]),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGED)
def test_changing_an_index_that_was_saved_is_an_error(name, device):
    x, i = tl.tensor(X, requires_grad=True), tl.tensor([0, 1])
    y = CHANGED[name](x, i)
    i.add_(1)
    with pytest.raises(errors.InplaceError, match="saved was changed in place by add_"):
        y.sum().backward()


def test_changing_a_numpy_index_changes_nothing(device):
    x, i = tl.tensor(X, requires_grad=True), np.array([0, 1])
    y = x[i]
    i += 1
    y.sum().backward()
    np.testing.assert_array_equal(host(x.grad)[:, 0, 0], [1, 1, 0, 0])


# ---------------------------------------------------------------- kernels
RNG = np.random.default_rng(0)
LARGE = [  # enough elements for every form that the kernels of the CPU turn an index into
    ((50, 40), (RNG.integers(-50, 50, 300),)), ((50, 40), (RNG.integers(0, 5, 300),)), ((50, 40), (RNG.permutation(50),)),
    ((50, 40), (S(None), RNG.integers(-40, 40, 60))), ((9, 8, 7), (RNG.integers(0, 9, 400), S(1, None, 2), RNG.integers(0, 7, 400))),
    ((50, 40), (RNG.integers(0, 50, (30, 20)), RNG.integers(-40, 40, (30, 20)))), ((50, 40), (RNG.random((50, 40)) > 0.4,)),
    ((6,), (RNG.integers(0, 6, 9),)), ((3, 0), (I([1, 1]),)),
]  # fmt: skip
KERNELS = {"cpu": CpuBackend, "plain": StandinBackend}


@pytest.mark.parametrize("backend", [k for k in KERNELS if k != "plain"])
def test_a_value_of_fewer_dimensions_than_the_index(backend):
    b = KERNELS[backend]()
    for rows in (2, 200):  # NumPy's quick loop for a vector reads as many values as there are places
        i = np.arange(rows * 3).reshape(rows, 3)
        out = b.from_host(np.zeros(rows * 3, dtype="f4"))
        b.add_at(out, (b.from_host(i),), b.from_host(np.array([1, 2, 3], dtype="f4")))
        assert b.to_host(out).tolist() == [1, 2, 3] * rows


@pytest.mark.parametrize("backend", KERNELS)
@pytest.mark.parametrize("dtype", ["float32", "float16", "int64", "int8", "uint8", "bool"])
def test_kernels_with_repeated_places(dtype, backend):
    b = KERNELS[backend]()
    move = lambda key: tuple(b.from_host(k) if isinstance(k, np.ndarray) else k for k in key)  # noqa: E731
    for shape, key in LARGE:
        x = RNG.integers(0, 3, shape).astype(dtype)
        g = RNG.integers(0, 3, x[key].shape).astype(dtype)
        wide = x.astype(bool if dtype == "bool" else "f8" if dtype[0] == "f" else "i8")
        np.add.at(wide, key, g)
        out = b.from_host(x.copy())
        b.add_at(out, move(key), b.from_host(g))
        np.testing.assert_array_equal(b.to_host(out), wide.astype(dtype))
        for how, ufunc in (("amax", np.maximum), ("amin", np.minimum)):
            want = x.copy()
            ufunc.at(want, key, g)
            out = b.from_host(x.copy())
            b.reduce_at(out, move(key), b.from_host(g), how)
            np.testing.assert_array_equal(b.to_host(out), want)
        want, found = x.copy().reshape(-1), np.arange(x.size).reshape(shape)[key]
        last = np.full(x.size, -1)
        for k, (place, v) in enumerate(zip(found.reshape(-1), g.reshape(-1), strict=True)):
            want[place], last[place] = v, k
        for value in (g, np.asfortranarray(g)):
            out = b.from_host(x.copy())
            b.put(out, move(key), b.from_host(value))
            np.testing.assert_array_equal(b.to_host(out).reshape(-1), want)
        is_last = b.to_host(b.is_last(shape, move(key)))
        np.testing.assert_array_equal(is_last, last[found] == np.arange(found.size).reshape(found.shape))


@pytest.mark.parametrize("how", ["add", "amax", "put"])
def test_large_indices_out_of_range_change_nothing(how, device):
    for index in (np.r_[np.zeros(400, int), 50], np.r_[-51, np.zeros(400, int)]):
        x, i = tl.zeros(50, 20), tl.tensor(index)
        v = tl.ones(len(index), 20)
        with pytest.raises(errors.IndexRangeError, match="out of range for dim 0 of size 50"):
            if how == "put":
                x[i] = v
            elif how == "add":
                x.index_put_((i,), v, accumulate=True)
            else:
                x.index_reduce_(0, i, v, "amax")
        assert x.sum().item() == 0 and x._version == 0


VALUES = ([2.0, 1.0, 3.0], [[2.0], [1.0]], [[2.0, 1.0, 3.0]], 5.0, [4.0])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int64"])
@pytest.mark.parametrize("value", VALUES, ids=str)
def test_accumulated_values_broadcast(value, dtype, device):
    """(NumPy's own add.at reads beyond the end of values that have fewer dimensions than the index.)"""
    index, dtype = [[1, 0, 4], [5, 1, 2]], getattr(tl, dtype)
    want = np.zeros(6)
    np.add.at(want, np.array(index), np.broadcast_to(np.array(value), (2, 3)).copy())
    v = tl.tensor(value, dtype=dtype, requires_grad=dtype.is_floating_point)
    x = tl.zeros(6, dtype=dtype)
    y = x.index_put((tl.tensor(index),), v, accumulate=True)
    assert y.tolist() == want.tolist()
    assert x.index_put_((tl.tensor(index),), v.detach(), accumulate=True).tolist() == want.tolist()
    if v.requires_grad:
        (g,) = tl.autograd.grad((y * y).sum(), v)
        each = 2 * want[np.array(index)]
        for axis, n in enumerate((1,) * (2 - v.ndim) + tuple(v.shape)):
            each = each.sum(axis, keepdims=True) if n == 1 else each
        np.testing.assert_array_equal(host(g), each.reshape(v.shape))


@pytest.mark.parametrize("dtype", ["float16", "float32", "int32"])
def test_numbers_are_accumulated(dtype, device):
    x, i = tl.ones(3, dtype=getattr(tl, dtype)), tl.tensor([0, 2, 0])
    assert x.scatter(0, i, 2, reduce="add").tolist() == [5, 1, 3]
    assert x.index_put((i,), tl.tensor(2, dtype=x.dtype), accumulate=True).tolist() == [5, 1, 3]
    y = tl.ones(2, 3, dtype=x.dtype).index_put((tl.tensor(1), i), tl.ones(3, dtype=x.dtype), accumulate=True)
    assert y.tolist() == [[1, 1, 1], [3, 1, 2]]


# ---------------------------------------------------------------- in place
def test_numbers_that_integers_cannot_hold_are_refused(device):
    x = tl.zeros(3, dtype=tl.int64)
    for change in (lambda: x.fill_(float("nan")), lambda: x.__setitem__(0, float("inf")),
                   lambda: x.scatter_(0, tl.tensor([0]), float("nan"))):  # fmt: skip
        with pytest.raises(errors.ArgumentError, match="cannot be stored in a tensor of int64"):
            change()
    assert x.tolist() == [0, 0, 0]


STORES = {
    "fill_": lambda t, x, v: x.fill_(v), "setitem": lambda t, x, v: x.__setitem__(0, v) or x,
    "masked_fill": lambda t, x, v: x.masked_fill(t.tensor([True, False]), v),
    "where": lambda t, x, v: t.where(t.tensor([True, False]), x, v), "index_fill": lambda t, x, v: x.index_fill(0, t.tensor([0]), v),
    "scatter": lambda t, x, v: x.scatter(0, t.tensor([0]), v), "isin": lambda t, x, v: t.isin(x, v),
}  # fmt: skip


@pytest.mark.parametrize("name", STORES)
def test_numbers_beyond_the_dtype_are_stored_as_in_pytorch(name, device):
    """-1 in uint8 is 255; what does not fit is refused, never wrapped."""
    torch = pytest.importorskip("torch")
    for dtype in ("uint8", "int8", "int32"):
        for value in (-1, -300, 300, 2**31):
            try:
                want = STORES[name](torch, torch.tensor([1, 2], dtype=getattr(torch, dtype)), value).tolist()
            except RuntimeError:
                with pytest.raises(
                    errors.ArgumentError, match=f"{value} cannot be stored in a tensor of {dtype}, which holds"
                ):
                    STORES[name](tl, tl.tensor([1, 2], dtype=getattr(tl, dtype)), value)
            else:
                assert STORES[name](tl, tl.tensor([1, 2], dtype=getattr(tl, dtype)), value).tolist() == want
    assert tl.searchsorted(tl.tensor([1, 2], dtype=tl.uint8), 300).item() == 2


def test_a_tensor_added_to_itself_through_another_view(device):
    """PyTorch refuses operands that overlap in part; here they count with their old values."""
    x = tl.arange(4.0).reshape(2, 2)
    assert x.clone().add_(x).tolist() == [[0, 2], [4, 6]]
    y = x.clone()
    assert y.mul_(y.T).tolist() == [[0, 2], [2, 9]]
    y = x.clone()
    assert y.index_add_(0, tl.tensor([1, 1]), y).tolist() == [[0, 1], [4, 7]]
    y = tl.arange(5.0)
    y[1:].add_(y[:-1])
    assert y.tolist() == [0, 1, 3, 5, 7]


def test_in_place_by_number_copies_nothing(device, monkeypatch):
    """y.add_(b) of a result is one array function; the graph needs no old value."""
    a = tl.tensor([1.0, 2.0], requires_grad=True)
    y = a * 1.0
    memory = y.array
    y.add_(a).mul_(2.0).sub_(1.0).neg_()
    assert y.array is memory and y._version == 4
    y.sum().backward()
    assert a.grad.tolist() == [-4.0, -4.0]


@pytest.mark.parametrize("shape", [(3, 5), (7, 2), (4, 4), (3, 3, 3), (0, 3)])
@pytest.mark.parametrize("wrap", [False, True])
def test_fill_diagonal(shape, wrap, device):
    x = tl.zeros(shape)
    want = np.zeros(shape, "f4")
    np.fill_diagonal(want, 5, wrap) if 0 not in shape else None
    np.testing.assert_array_equal(host(x.fill_diagonal_(5, wrap=wrap)), want)


def test_fill_diagonal_is_refused(device):
    for shape in ((3,), (2, 2, 3)):
        with pytest.raises(
            errors.ShapeError, match="fill_diagonal_: a matrix is needed, or more dimensions of one size"
        ):
            tl.zeros(shape).fill_diagonal_(1)


def test_detached_and_data_share_the_memory_of_a_0d_result(device):
    y = (tl.ones(2, requires_grad=True) * 2).sum()
    d = y.detach()
    y.data.fill_(9.0)
    assert y.item() == d.item() == 9 and y._version == 0
    d.fill_(3.0)
    assert y.item() == 3 and y._version == 1


def test_data_assigned_leaves_older_views_where_they_are(device):
    x = tl.zeros(3)
    v = x[1:]
    x.data = tl.ones(3)
    x.add_(1)
    assert x.tolist() == [2, 2, 2] and v.tolist() == [0, 0]
