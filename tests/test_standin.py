"""The stand-in for CuPy: what it must refuse, what it must let pass, and that its table of names is CuPy's."""

import copy
import json
import pickle
import types
import warnings

import make_cupy_names
import numpy as np
import pytest
from standin import StrictArray, xp
from standin_rules import NAMES, HostSync, Signature, Undefined, no_sync, syncs


def f32(*shape):
    """A float32 device array of reproducible numbers."""
    return xp.asarray(np.random.default_rng(0).standard_normal(shape).astype("f4"))


# ---- the table -------------------------------------------------------------------------------------------------------


def test_table_is_fresh():
    cupy = pytest.importorskip("cupy")
    if cupy.__version__ != NAMES["version"]:
        pytest.skip(f"the table is of CuPy {NAMES['version']}, this is {cupy.__version__}")
    assert make_cupy_names.table() == NAMES, "run: python tests/make_cupy_names.py"
    assert make_cupy_names.FILE.read_text(encoding="utf-8") == make_cupy_names.write(NAMES)


def test_table_file_is_readable_json():
    text = make_cupy_names.write(NAMES)
    assert json.loads(text) == NAMES
    assert len(text.splitlines()) > 500, "one name a line"


@pytest.mark.parametrize(
    "docstring, expected",
    [
        ("f(self, int axis=None, out=None) -> ndarray", "axis= out="),
        ("add(x1, x2, /, out=None, \\*, casting='same_kind', dtype=None)", "x1 x2 / out= * casting= dtype="),
        ("f(self, *shape, order='C', shape=(1, 2), **kw)", "*shape order= shape= **"),
        ("no signature here", "..."),
    ],
)
def test_parameters_are_read_from_docstrings(docstring, expected):
    builtin = types.SimpleNamespace(__doc__=docstring)  # inspect finds no signature, as with Cython's functions
    assert make_cupy_names.parameters(builtin) == expected


def test_parameters_are_read_from_signatures():
    def f(a, /, b, *args, c, d=1, **kw):
        """Never called."""

    def g(a, *, b=2):
        """Never called."""

    assert make_cupy_names.parameters(f) == "a / b *args c d= **"
    assert make_cupy_names.parameters(g) == "a * b="


def test_signature_refuses_what_the_table_does_not_name():
    sum_ = Signature("sum", "a axis= dtype= out= keepdims=")
    sum_.check((1, 2, 3), {"keepdims": True})
    with pytest.raises(TypeError, match=r"cupy\.sum got an unexpected keyword argument 'where'"):
        sum_.check((1,), {"where": True})
    with pytest.raises(TypeError, match="at most 5 positional"):
        sum_.check(range(6), {})
    with pytest.raises(TypeError, match="at most 2 positional"):
        Signature("f", "x1 x2 / * out=").check(range(3), {})
    with pytest.raises(TypeError, match="'x1'"):
        Signature("add", "x1 / out=").check((), {"x1": 1})
    Signature("f", "*args **").check(range(99), {"anything": 1})


# ---- refused: works with NumPy, and on CuPy is an error, or wrong, or a wait -----------------------------------------


def host(*shape):
    return np.ones(shape, "f4")


REFUSED = {
    "np.exp of a device array": (TypeError, lambda: np.exp(f32(3))),
    "np.sum of a device array": (TypeError, lambda: np.sum(f32(3))),
    "np.concatenate of device arrays": (TypeError, lambda: np.concatenate([f32(3), f32(3)])),
    "np.asarray of a device array": (TypeError, lambda: np.asarray(f32(3))),
    "np.float32 of a device array": (TypeError, lambda: np.float32(f32())),
    "device + host array": (TypeError, lambda: f32(3) + host(3)),
    "host + device array": (TypeError, lambda: host(3) + f32(3)),
    "device == host array": (TypeError, lambda: f32(3) == host(3)),
    "host *= device array": (TypeError, lambda: host(3).__imul__(f32(3))),
    "device *= host array": (TypeError, lambda: f32(3).__imul__(host(3))),
    "device + list": (TypeError, lambda: f32(3) + [1.0, 2.0, 3.0]),
    "ufunc of device and list": (TypeError, lambda: xp.add(f32(3), [1.0, 2.0, 3.0])),
    "ufunc with a host array": (TypeError, lambda: xp.add(f32(3), host(3))),
    "sum of a list": (TypeError, lambda: xp.sum([1.0, 2.0])),
    "where with a host mask": (TypeError, lambda: xp.where(np.array([True, False, True]), f32(3), 0)),
    "concatenate with a host array": (TypeError, lambda: xp.concatenate([f32(3), host(3)])),
    "host index array": (TypeError, lambda: f32(4, 2)[np.array([0, 1])]),
    "host index array, assigned": (TypeError, lambda: f32(4, 2).__setitem__(np.array([0, 1]), 0)),
    "assign a host array": (TypeError, lambda: f32(3).__setitem__(slice(None), host(3))),
    "assign a list": (TypeError, lambda: f32(3).__setitem__(slice(None), [1.0, 2.0, 3.0])),
    "sum(where=)": (TypeError, lambda: xp.sum(f32(3), where=f32(3) > 0)),
    "max(initial=)": (TypeError, lambda: f32(3).max(initial=0)),
    "ufunc(where=)": (TypeError, lambda: xp.exp(f32(3), where=f32(3) > 0)),
    "take(mode=)": (TypeError, lambda: xp.take(f32(3), xp.asarray([0]), mode="clip")),
    "sort(stable=)": (TypeError, lambda: xp.sort(f32(3), stable=True)),
    "einsum(out=)": (TypeError, lambda: xp.einsum("ij->i", f32(2, 3), out=xp.zeros(2, "f4"))),
    "errstate": (AttributeError, lambda: xp.errstate(divide="ignore")),
    "insert": (AttributeError, lambda: xp.insert(f32(3), 1, 0.0)),
    "linalg.vector_norm": (AttributeError, lambda: xp.linalg.vector_norm(f32(3))),
    "setflags": (AttributeError, lambda: f32(3).setflags(write=False)),
    "flags.writeable": (AttributeError, lambda: f32(3).flags.writeable),
    "random": (AttributeError, lambda: xp.random),
    "a name that only the table has": (AttributeError, lambda: xp.RawKernel),
    "maximum.reduce": (NotImplementedError, lambda: xp.maximum.reduce(f32(3))),
    "multiply.at": (NotImplementedError, lambda: xp.multiply.at(f32(3), xp.asarray([0, 0]), 2.0)),
    "add.at on int8": (TypeError, lambda: xp.add.at(xp.zeros(3, "i1"), xp.asarray([0, 0]), 1)),
    "add.at on int64": (TypeError, lambda: xp.add.at(xp.zeros(3, "i8"), xp.asarray([0, 0]), 1)),
    "repeat by an array": (ValueError, lambda: xp.repeat(f32(3), xp.asarray([1, 2, 3]))),
    "object array": (ValueError, lambda: xp.array([1, None], dtype=object)),
    "string array": (ValueError, lambda: xp.array(["a"])),
    "hash": (TypeError, lambda: hash(f32(3))),
    "gather out of range": (Undefined, lambda: f32(3)[xp.asarray([0, 3])]),
    "gather below the range": (Undefined, lambda: f32(2, 3)[..., xp.asarray([0, -4])]),
    "two index arrays, one out of range": (Undefined, lambda: f32(2, 3)[xp.asarray([0, 1]), xp.asarray([0, 3])]),
    "take out of range": (Undefined, lambda: xp.take(f32(3), xp.asarray([3]))),
    "x.take out of range": (Undefined, lambda: f32(3).take(xp.asarray([3]))),
    "take_along_axis out of range": (Undefined, lambda: xp.take_along_axis(f32(3), xp.asarray([3]), 0)),
    "assignment out of range": (Undefined, lambda: f32(3).__setitem__(xp.asarray([3]), 0)),
    "add.at out of range": (Undefined, lambda: xp.add.at(f32(3), xp.asarray([3]), 1)),
    "a place twice in an assignment": (Undefined, lambda: f32(3).__setitem__(xp.asarray([0, 0]), f32(2))),
    "the same place, counted from behind": (Undefined, lambda: f32(3).__setitem__(xp.asarray([0, -3]), f32(2))),
    "a place twice, two index arrays": (
        Undefined,
        lambda: f32(3, 3).__setitem__((xp.asarray([0, 1, 0]), xp.asarray([1, 1, 1])), f32(3)),
    ),
    "a row twice, broadcast index": (
        Undefined,
        lambda: f32(3, 3).__setitem__((xp.asarray([[0], [1]]), xp.asarray([1, 1])), f32(2, 2)),
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    error, snippet = REFUSED[case]
    with pytest.raises(error) as caught:
        snippet()
    assert str(caught.value)


def test_int_index_out_of_range_is_an_index_error_as_in_cupy():
    with pytest.raises(IndexError, match="out of bounds"):
        f32(3)[3]
    with pytest.raises(IndexError, match="too many indices"):
        f32(3)[0, 0]
    with pytest.raises(IndexError, match="boolean index did not match"):
        f32(3)[xp.ones(4, dtype=bool)]


WAITS = {
    "if loss > 0": lambda x: bool(x.sum() > 0),
    "float(norm)": lambda x: float(x.sum()),
    "int(count)": lambda x: int(x.sum()),
    "range(count)": lambda x: range(xp.argmax(x)),
    "x.item()": lambda x: x[0].item(),
    "x.tolist()": lambda x: x.tolist(),
    "x.get()": lambda x: x.get(),
    "asnumpy(x)": lambda x: xp.asnumpy(x),
    "x[mask]": lambda x: x[x > 0],
    "x[mask] = 0": lambda x: x.__setitem__(x > 0, 0),
    "x[True]": lambda x: x[True],
    "nonzero": lambda x: xp.nonzero(x),
    "x.nonzero": lambda x: x.nonzero(),
    "one-argument where": lambda x: xp.where(x > 0),
    "unique": lambda x: xp.unique(x),
    "repr(x)": lambda x: repr(x),
    "format(x)": lambda x: f"{x.sum():.2f}",
    "pickle": lambda x: pickle.dumps(x),
    "value in x": lambda x: 1.0 in x,
    "copy from the host": lambda x: xp.asarray(np.ones(3)),
    "copy of a list": lambda x: xp.array([1.0, 2.0]),
}


@pytest.mark.parametrize("case", WAITS)
def test_waits_are_counted_and_can_be_forbidden(case):
    x = f32(3)
    with syncs() as found:
        WAITS[case](x)
    assert found
    with no_sync(), pytest.raises(HostSync, match=r"waits for the device inside no_sync\(\)"):
        WAITS[case](x)
    WAITS[case](x)  # allowed again


def test_no_sync_may_be_nested():
    with no_sync():
        with no_sync():
            pass
        with pytest.raises(HostSync):
            f32(1).get()


# ---- let pass: ordinary code, with NumPy's result and without a wait -------------------------------------------------

I32 = xp.asarray([0, 2, 1], dtype="i4")
X, Y, M, P = f32(2, 3), f32(3), xp.asarray([True, False, True]), xp.asarray([[0, 1], [2, 0]])
PASS = {
    "arithmetic": lambda m, x, y, i, b, p: m.tanh(x) * 2 + 1 - x**2 / 3 // 2 % 5,
    "reflected": lambda m, x, y, i, b, p: 2 - (1 / (x + 4)) + 3 ** abs(x),
    "NumPy scalar": lambda m, x, y, i, b, p: x * np.float32(2) + np.float64(1),
    "comparison": lambda m, x, y, i, b, p: (x > 0) & ~(x <= 1) | (x != x) ^ b,
    "softmax": lambda m, x, y, i, b, p: m.exp(x - x.max(-1, keepdims=True)) / m.exp(x).sum(axis=-1, keepdims=True),
    "matmul": lambda m, x, y, i, b, p: x @ x.T,
    "matmul into": lambda m, x, y, i, b, p: m.matmul(x, x.T, out=m.zeros((2, 2), "f4")),
    "einsum": lambda m, x, y, i, b, p: m.einsum("ij,kj->ik", x, x),
    "rows": lambda m, x, y, i, b, p: x.T[p],
    "pairs": lambda m, x, y, i, b, p: x[m.asarray(1), i],
    "slices": lambda m, x, y, i, b, p: x[None, ::-1, ..., 1:],
    "add.at": lambda m, x, y, i, b, p: scattered(m, y, p),
    "take": lambda m, x, y, i, b, p: m.take(x, i, axis=1),
    "take_along": lambda m, x, y, i, b, p: m.take_along_axis(y, i, axis=0),
    "ufunc out": lambda m, x, y, i, b, p: m.multiply(x, 2, out=x.copy()),
    "where": lambda m, x, y, i, b, p: m.where(m.tril(m.ones((2, 3), dtype=bool)), x, -m.inf),
    "join, split": lambda m, x, y, i, b, p: m.concatenate(m.split(x, 3, axis=1)[::-1], axis=0),
    "stack": lambda m, x, y, i, b, p: m.stack([x, x], axis=1).transpose(2, 0, 1).reshape(3, -1),
    "windows": lambda m, x, y, i, b, p: m.lib.stride_tricks.sliding_window_view(y, 2),
    "pad": lambda m, x, y, i, b, p: m.pad(x, ((1, 1), (0, 0))),
    "cumsum, sort": lambda m, x, y, i, b, p: m.cumsum(m.sort(y)),
    "argpartition": lambda m, x, y, i, b, p: y[m.argpartition(-y, 1)[:1]],
    "in place": lambda m, x, y, i, b, p: changed(x.copy(), y),
    "assign by index": lambda m, x, y, i, b, p: assigned(m.zeros(3), i, y),
    "one value to a place twice": lambda m, x, y, i, b, p: assigned(m.zeros(3), p, 1.0),
    "uint64": lambda m, x, y, i, b, p: (m.arange(3, dtype=m.uint64) * 0xD2511F53 >> 32) & 0xFFFFFFFF,
    "dtypes": lambda m, x, y, i, b, p: x.astype(m.float16).astype("f8").view(m.int64),
    "mean, var": lambda m, x, y, i, b, p: m.stack([x.mean(), x.var(ddof=1), m.std(x), x.prod()]),
    "iterate": lambda m, x, y, i, b, p: sum(row.sum() for row in x) + len(x),
    "linalg": lambda m, x, y, i, b, p: m.linalg.norm(x) + m.linalg.solve(m.eye(2), x).sum(),
    "fft": lambda m, x, y, i, b, p: m.fft.rfft(y).real,
    "empty filled": lambda m, x, y, i, b, p: assigned(m.empty((3,), dtype="f4"), ..., y),
}


def scattered(m, y, p):
    out = m.zeros_like(y)
    m.add.at(out, p, y[p])
    return out


def changed(x, y):
    x += 1
    x *= y
    x -= 0.5
    x[0] /= 2
    x[:, 1] = y[:2]
    return x


def assigned(out, key, value):
    out[key] = value
    return out


@pytest.mark.parametrize("case", PASS)
def test_ordinary_code_passes_and_gives_numpys_result(case):
    arrays = (X, Y, I32, M, P)
    with no_sync():
        result = PASS[case](xp, *arrays)
    expected = np.asarray(PASS[case](np, *[v.get() for v in arrays]))
    assert type(result) is StrictArray
    assert result.dtype == expected.dtype and result.shape == expected.shape
    np.testing.assert_array_equal(result.get(), expected)


def test_reductions_give_arrays_without_dimensions():
    x = f32(3)
    results = [x.sum(), x[0], xp.max(x), xp.allclose(x, x), xp.count_nonzero(x), x.sum() + 1, x.sum() > 0, -x.sum()]
    assert all(type(v) is StrictArray and v.shape == () for v in results)
    total = x.sum()
    total += 1
    assert float(total) == float(x.sum()) + 1
    assert not isinstance(total, (np.ndarray, np.generic, float))


def test_memory_is_apart_from_the_host():
    data = np.zeros(3)
    x = xp.asarray(data)
    data[0] = 1
    back = x.get()
    back[1] = 1
    assert x.tolist() == [0, 0, 0]
    assert xp.asarray(x)._a is x._a


def test_empty_is_poisoned():
    assert np.isnan(xp.empty((2, 2), dtype="f4").get()).all()
    assert xp.empty_like(xp.zeros(2, "i4")).tolist() == [2**31 - 1] * 2
    assert xp.empty(2, dtype=bool).tolist() == [True, True]


def test_results_written_into_out_are_that_array():
    out, x = xp.zeros(3), xp.ones(3)
    assert xp.add(x, x, out=out) is out and xp.cumsum(x, out=out) is out
    assert out.tolist() == [1, 2, 3]


def test_copies():
    x = f32(3)
    for y in (copy.copy(x), copy.deepcopy(x), pickle.loads(pickle.dumps(x)), x.copy()):
        assert not np.shares_memory(x._a, y._a)
        assert y.tolist() == x.tolist()


def test_division_by_zero_says_nothing():
    with warnings.catch_warnings(record=True) as found:
        assert xp.isinf(1 / xp.zeros(2)).all() and xp.isnan(xp.log(-xp.ones(2))).all()
    assert not found


@pytest.mark.parametrize("name", sorted(n for n, e in NAMES["ndarray"].items() if hasattr(StrictArray, n)))
def test_every_method_is_cupys(name):
    entry = NAMES["ndarray"][name]
    assert callable(getattr(StrictArray, name)) == isinstance(entry, str)


def test_no_public_name_beyond_the_table():
    own = {n for n in dir(StrictArray) if not n.startswith("_")}
    assert own <= set(NAMES["ndarray"])
