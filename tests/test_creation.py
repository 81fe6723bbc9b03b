"""Making tensors: data of every kind, constants, sequences, constructors; beside PyTorch where it is installed."""

import itertools

import numpy as np
import pytest
from numeric import host

import tensorlite as tl
from tensorlite import errors

F = "float32"


# ---------------------------------------------------------------- from data
DATA = {  # a function of the library t: its result's dtype and values
    "int": (lambda t: 3, "int64", 3),
    "bool": (lambda t: True, "bool", True),
    "float": (lambda t: 1.5, F, 1.5),
    "nothing": (lambda t: [], F, []),
    "rows of nothing": (lambda t: [[], []], F, [[], []]),
    "bool and int": (lambda t: [True, 2], "int64", [1, 2]),
    "int and float": (lambda t: [[1, 2.5], [3, True]], F, [[1, 2.5], [3, 1]]),
    "range": (lambda t: range(3), "int64", [0, 1, 2]),
    "ranges and tuples": (lambda t: [range(2), (5, 6)], "int64", [[0, 1], [5, 6]]),
    "NumPy number": (lambda t: np.float64(1.5), "float64", 1.5),
    "NumPy numbers": (lambda t: [np.int32(1), np.int32(2)], "int32", [1, 2]),
    "NumPy and Python numbers": (lambda t: [np.float32(1), 2.0], F, [1, 2]),
    "NumPy numbers are promoted": (lambda t: [np.int32(1), 2], "int64", [1, 2]),
    "array": (lambda t: np.array([[1, 2]], "int16"), "int16", [[1, 2]]),
    "arrays": (lambda t: [np.array([1.0, 2.0]), np.array([3.0, 4.0])], "float64", [[1, 2], [3, 4]]),
    "turned array": (lambda t: np.arange(6.0).reshape(2, 3).T, "float64", [[0, 3], [1, 4], [2, 5]]),
    "tensor": (lambda t: t.tensor([1, 2], dtype=t.int8), "int8", [1, 2]),
    "tensors": (lambda t: [t.tensor(1), t.tensor(2.5)], F, [1, 2.5]),
    "tensors of one element": (lambda t: [t.tensor([1.0]), t.tensor([2.0])], F, [1, 2]),
    "tensors deep inside": (lambda t: [[t.tensor(1), t.tensor(2.5)], [3, 4]], F, [[1, 2.5], [3, 4]]),
    "tensors and numbers": (lambda t: [t.tensor(1.0, dtype=t.float64), 2.0], "float64", [1, 2]),
}


@pytest.mark.parametrize("name", DATA)
def test_tensor_takes_data(name, device):
    make, dtype, values = DATA[name]
    for function in (tl.tensor, tl.as_tensor, tl.asarray):
        x = function(make(tl))
        assert x.dtype == dtype and str(x.device) == device
        np.testing.assert_array_equal(host(x), np.array(values))


@pytest.mark.filterwarnings("ignore")
def test_tensor_takes_data_as_pytorch_does():
    torch = pytest.importorskip("torch")
    for make, dtype, values in DATA.values():
        x = torch.tensor(make(torch))
        assert str(x.dtype) == f"torch.{dtype}" and x.tolist() == values


def test_data_in_another_dtype(device):
    assert tl.tensor([1.7, -1.7], dtype=tl.int64).tolist() == [1, -1]
    assert tl.tensor([0, 2], dtype=tl.bool).tolist() == [False, True]
    assert tl.tensor(-1, dtype=tl.uint8).item() == 255
    assert tl.tensor(1e30, dtype=tl.float16).item() == float("inf")
    assert tl.tensor(np.array([257]), dtype=tl.uint8).item() == 1  # an array is converted as it is
    assert tl.tensor([1], dtype=tl.float32, requires_grad=True).requires_grad


REFUSED = {
    "ragged": (lambda: tl.tensor([[1, 2], [3]]), errors.ShapeError, "tensor: the rows of the data have different lengths"),
    "text": (lambda: tl.tensor([1, "a"]), errors.DTypeError, "cannot be a tensor; numbers and nested lists of numbers can"),
    "none": (lambda: tl.tensor(None), errors.DTypeError, "cannot be a tensor"),
    "set": (lambda: tl.tensor({1}), errors.DTypeError, "tensor: data of type object cannot be a tensor"),
    "complex": (lambda: tl.tensor(1j), errors.DTypeError, "tensor: complex numbers cannot be a tensor"),
    "too large": (lambda: tl.tensor([300], dtype=tl.int8), errors.ArgumentError, "tensor: 300 does not fit into int8 (-128 to 127)"),
    "far too large": (lambda: tl.tensor([2**70]), errors.ArgumentError, "does not fit into int64"),
    "nan": (lambda: tl.tensor(float("nan"), dtype=tl.int64), errors.ArgumentError, "tensor: nan does not fit into int64"),
    "integers with grad": (lambda: tl.tensor([1], requires_grad=True), errors.DTypeError, "only floating-point tensors"),
    "full of too much": (lambda: tl.full((2,), 300, dtype=tl.uint8), errors.ArgumentError, "full: 300 does not fit into uint8"),
    "full of text": (lambda: tl.full((2,), "a"), errors.DTypeError, "full: fill_value must be a number, not str"),
    "negative size": (lambda: tl.zeros(2, -1), errors.ShapeError, "zeros: sizes cannot be negative, got (2, -1)"),
    "no size": (lambda: tl.zeros(), errors.ShapeError, "zeros: a size is needed, e.g. zeros(2, 3)"),
    "float size": (lambda: tl.ones(2.0), errors.DTypeError, "ones: sizes must be ints"),
    "unknown argument": (lambda: tl.ones(2, color=1), errors.ArgumentError, "ones: unknown argument 'color'"),
    "step 0": (lambda: tl.arange(0, 5, 0), errors.ArgumentError, "arange: from 0 to 5 cannot be reached in steps of 0"),
    "wrong way": (lambda: tl.arange(5, 0), errors.ArgumentError, "arange: from 5 to 0 cannot be reached in steps of 1"),
    "endless": (lambda: tl.arange(0, float("inf")), errors.ArgumentError, "arange: from 0 to inf in steps of 1: all must be finite"),
    "bools": (lambda: tl.arange(3, dtype=tl.bool), errors.DTypeError, "arange: there is no range of bools"),
    "half a step": (lambda: tl.linspace(0, 1, 2.5), errors.DTypeError, "linspace: steps must be an int, not float"),
    "fewer than no steps": (lambda: tl.linspace(0, 1, -1), errors.ArgumentError, "linspace: the number of steps cannot be negative"),
    "no matrix": (lambda: tl.eye(-1), errors.ShapeError, "eye: sizes cannot be negative, got (-1, -1)"),
    "from a list": (lambda: tl.from_numpy([1]), errors.DTypeError, "from_numpy: a NumPy array is needed, not list"),
    "copy refused": (lambda: tl.asarray([1.0], copy=False), errors.ArgumentError, "asarray: this needs a copy"),
    "strides": (lambda: tl.empty_strided((2, 3), (1,)), errors.ShapeError, "empty_strided: 2 sizes but 1 strides"),
    "indices in floats": (lambda: tl.tril_indices(2, 2, dtype=F), errors.DTypeError, "tril_indices: the dtype must be int32 or int64"),
    "a number as Tensor": (lambda: tl.Tensor(3.5), errors.DTypeError, "Tensor: sizes or a sequence are needed, not 3.5"),
    "class too large": (lambda: tl.nn.functional.one_hot(tl.tensor([3]), 3), errors.IndexRangeError, "one_hot: class 3 is out of range"),
    "class below 0": (lambda: tl.nn.functional.one_hot(tl.tensor([-1])), errors.IndexRangeError, "one_hot: class -1 is out of range"),
    "classes of nothing": (lambda: tl.nn.functional.one_hot(tl.zeros(0, dtype=tl.int64)), errors.ArgumentError,
                           "one_hot: an empty tensor does not tell the number of classes; give num_classes"),
    "more than memory holds": (lambda: tl.zeros(2**40, 2**40), errors.ShapeError, "zeros: no memory holds a tensor of shape"),
    "out": (lambda: tl.zeros(2, out=tl.ones(2)), errors.ArgumentError, "zeros: out= is not supported; assign the result, or use copy_"),
    "like a list": (lambda: tl.zeros_like([1.0]), errors.DTypeError, "zeros_like: a tensor is needed, not list"),
    "drawn like a list": (lambda: tl.rand_like([1.0]), errors.DTypeError, "rand_like: a tensor is needed, not list"),
    "elements of a list": (lambda: tl.numel([1.0]), errors.DTypeError, "numel: a tensor is needed, not list"),
    "filled with many": (lambda: tl.ones(2).fill_(tl.ones(2)), errors.ShapeError, "fill_: one value is needed, got float32 (2,)"),
    "classes in floats": (lambda: tl.nn.functional.one_hot(tl.ones(2)), errors.DTypeError, "one_hot: class numbers must be an integer"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name, device):
    call, kind, text = REFUSED[name]
    with pytest.raises(kind) as caught:
        call()
    assert text in str(caught.value).replace(f" on {device}", "")


# ---------------------------------------------------------------- memory
def test_who_shares_memory():
    a = np.arange(3.0)
    shared = [tl.from_numpy(a), tl.as_tensor(a), tl.asarray(a), tl.asarray(a, copy=False)]
    apart = [tl.tensor(a), tl.as_tensor(a, dtype=tl.float32), tl.asarray(a, copy=True), tl.as_tensor([0.0, 1.0, 2.0])]
    a[0] = 7
    assert [x[0].item() for x in shared] == [7] * 4 and [x[0].item() for x in apart] == [0] * 4
    t = tl.tensor([1.0])
    assert tl.as_tensor(t) is t and tl.asarray(t) is t and tl.asarray(t, copy=True) is not t and tl.tensor(t) is not t


def test_to_copies_where_it_is_asked_to(device):
    """Of bools by position the second is copy, as in PyTorch."""
    for lib in (tl, pytest.importorskip("torch")):
        x = lib.ones(2)
        same = [x.to(lib.float32), x.to(lib.float32, True), x.to(lib.float32, False, False), x.to(x), x.to(x.device)]
        apart = [x.to(lib.float32, copy=True), x.to(lib.float32, False, True), x.to(x.device, lib.float32, True, True)]
        assert all(y is x for y in same) and not any(y is x for y in apart)
        assert x.layout is lib.strided and x.cpu().get_device() == -1
        assert x.flatten() is x and x.reshape(1, 2).flatten(1) is not x and lib.ones(2, 3).flatten(1).shape == (2, 3)


def test_tensor_of_a_tensor_is_cut_from_the_graph(device):
    x = tl.tensor([1.0], requires_grad=True)
    assert not tl.tensor(x * 2).requires_grad and tl.as_tensor(x * 2).requires_grad and tl.asarray(x * 2).requires_grad
    assert tl.asarray([1.0], requires_grad=True).is_leaf


def test_strides(device):
    assert tl.empty_strided((2, 3), (1, 2)).stride() == (1, 2)
    x = tl.empty_strided((3, 2), (0, 1))
    assert x.shape == (3, 2) and tl.empty_strided((0, 2), (1, 1)).shape == (0, 2)


# ---------------------------------------------------------------- beside PyTorch: the same call on both
def _same(call, rtol=0.0):
    torch = pytest.importorskip("torch")
    try:
        want = call(torch)
    except (RuntimeError, TypeError, ValueError, NotImplementedError):
        with pytest.raises(errors.TensorliteError):
            call(tl)
        return
    got = call(tl)
    assert got.dtype == str(want.dtype).removeprefix("torch.")
    assert got.shape == tuple(want.shape) and got.requires_grad == want.requires_grad
    wide = want.detach().double().numpy() if want.dtype.is_floating_point else want.numpy()
    np.testing.assert_allclose(host(got).astype(wide.dtype), wide, rtol=rtol, atol=rtol)


CALLS = {
    "zeros": [lambda t: t.zeros(2, 3), lambda t: t.zeros((2, 3), dtype=t.int8), lambda t: t.zeros(size=(2,)),
    lambda t: t.zeros([2]),
              lambda t: t.zeros(()), lambda t: t.zeros(t.tensor(2)), lambda t: t.zeros(0, 2),
              lambda t: t.ones(2, pin_memory=False),
              lambda t: t.zeros(2, requires_grad=True), lambda t: t.zeros(2, dtype=t.int64, requires_grad=True)],
    "full": [lambda t: t.full((2,), 1.5), lambda t: t.full((2,), True), lambda t: t.full([2, 1], 3),
    lambda t: t.full((), -1),
             lambda t: t.full((2,), 1.9, dtype=t.int64), lambda t: t.full((2,), -1, dtype=t.uint8),
             lambda t: t.full((2,), t.tensor(3)),
             lambda t: t.full((2,), float("inf")), lambda t: t.full((1,), float("nan"), dtype=t.int64),
             lambda t: t.full((2,), 2, dtype=t.bool), lambda t: t.scalar_tensor(3),
             lambda t: t.scalar_tensor(3, dtype=t.int64)],
    "like": [lambda t: t.zeros_like(t.ones(2, dtype=t.int8)), lambda t: t.ones_like(t.ones(2), dtype=t.int64),
             lambda t: t.full_like(t.tensor([1, 2]), 2.7), lambda t: t.full_like(t.ones(2), 3),
             lambda t: t.empty_like(t.ones(2, 0)),
             lambda t: t.zeros_like(t.ones(2), requires_grad=True),
             lambda t: t.zeros_like(t.ones(2, requires_grad=True))],
    "new": [lambda t: t.ones(1, dtype=t.int8).new_zeros(2, 3), lambda t: t.ones(1).new_ones((2,), dtype=t.int64),
            lambda t: t.tensor([1]).new_full((2,), 2.5), lambda t: t.ones(1).new_tensor([1, 2]),
            lambda t: t.ones(1).new_empty(2, 0),
            lambda t: t.ones(1, dtype=t.float64).new([1, 2]), lambda t: t.ones(1).new_empty_strided((0, 2), (1, 1))],
    "layouts": [lambda t: t.zeros(2, layout=t.strided), lambda t: t.ones_like(t.ones(2), memory_format=t.preserve_format),
                lambda t: t.ones(2, 3, 1, 1).to(memory_format=t.channels_last), lambda t: t.arange(3, layout=t.strided),
                lambda t: t.ones(2, 3, 1, 1).to("cpu", t.float64, memory_format=t.contiguous_format),
                lambda t: t.ones(2).contiguous(memory_format=t.contiguous_format), lambda t: t.eye(2, layout=t.strided),
                lambda t: t.ones(2).cpu(memory_format=t.preserve_format), lambda t: t.randn(0, layout=t.strided),
                lambda t: t.rand(0, layout=t.strided, pin_memory=False), lambda t: t.randperm(0, layout=t.strided),
                lambda t: t.randint(1, (2,), layout=t.strided), lambda t: t.normal(0.0, 1.0, (0,), layout=t.strided)],
    "eye": [lambda t: t.eye(3), lambda t: t.eye(2, 3, dtype=t.bool), lambda t: t.eye(0), lambda t: t.eye(2, -1)],
    "indices": [lambda t: t.tril_indices(3, 3), lambda t: t.tril_indices(2, 4, -1),
    lambda t: t.triu_indices(3, 2, 1, dtype=t.int32),
                lambda t: t.triu_indices(3, 3, -9), lambda t: t.tril_indices(0, 3), lambda t: t.tril_indices(-1, 3)],
    "constructors": [lambda t: t.FloatTensor([1, 2]), lambda t: t.LongTensor([1.7]), lambda t: t.BoolTensor([0, 2]),
    lambda t: t.ByteTensor([3]),
                     lambda t: t.DoubleTensor([[1], [2]]), lambda t: t.HalfTensor([1.5]), lambda t: t.IntTensor(0, 2),
                     lambda t: t.FloatTensor(),
                     lambda t: t.FloatTensor(np.array([1.0])), lambda t: t.Tensor([[1, 2]]), lambda t: t.Tensor(0, 3),
                     lambda t: t.Tensor(),
                     lambda t: t.Tensor(t.Size((0, 2))), lambda t: t.ShortTensor([1]), lambda t: t.CharTensor([1])],
    "one_hot": [lambda t: t.nn.functional.one_hot(t.tensor([0, 2])),
    lambda t: t.nn.functional.one_hot(t.tensor([[0, 2], [1, 1]]), 4),
                lambda t: t.nn.functional.one_hot(t.tensor(2)),
                lambda t: t.nn.functional.one_hot(t.zeros(0, 2, dtype=t.int64), 3),
                lambda t: t.nn.functional.one_hot(t.tensor([0]), 0),
                lambda t: t.nn.functional.one_hot(t.tensor([0]), -2)],
    "arange": [lambda t: t.arange(5), lambda t: t.arange(5.0), lambda t: t.arange(t.tensor(3.0)),
    lambda t: t.arange(True), lambda t: t.arange(end=4),
               lambda t: t.arange(2**53, 2**53 + 5), lambda t: t.arange(2**62, 2**62 + 3),
               lambda t: t.arange(start=1, end=4, step=2),
               lambda t: t.arange(0.0, 3, requires_grad=True), lambda t: t.arange(5, 0, -2), lambda t: t.arange(0),
               lambda t: t.arange(0, -3)],
    "linspace": [lambda t: t.linspace(t.tensor(0.0), t.tensor(3), 4), lambda t: t.linspace(3, 1, 3, dtype=t.int32),
    lambda t: t.linspace(0, 1, 0),
                 lambda t: t.linspace(2, 3, 1), lambda t: t.logspace(0, 3, 4, base=2),
                 lambda t: t.linspace(0, 1, 3, requires_grad=True)],
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_the_same_as_pytorch(name, device):
    for call in CALLS[name]:
        _same(call)


DTYPES = {None: 3e-7, "float32": 3e-7, "float64": 1e-15, "float16": 2e-3, "int64": 0, "int32": 0, "int8": 0}


@pytest.mark.parametrize("dtype", DTYPES)
def test_arange_has_pytorchs_length_and_values(dtype):
    """Floats may differ by one rounding: PyTorch's depend on the vector instructions of the machine."""
    for a in itertools.product((0, 1, -3, 0.5, 2.7, -1.1), (0, 5, -3, 3.5, 10), (1, 3, -1, 0.3, -0.25)):
        _same(lambda t, a=a: t.arange(*a, dtype=dtype and getattr(t, dtype)), DTYPES[dtype])


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64"])
def test_linspace_has_pytorchs_values(dtype):
    for start, end, n in itertools.product((0, 1, -3, 0.5), (0, 5, -3, 3.5), (0, 1, 2, 3, 5, 7)):
        _same(lambda t, a=(start, end, n): t.linspace(*a, dtype=getattr(t, dtype)), 5 * DTYPES[dtype])
        _same(lambda t, a=(start, end, n): t.logspace(*a, 2.0, dtype=getattr(t, dtype)), 20 * DTYPES[dtype])


def test_linspace_is_symmetrical_and_meets_its_ends(device):
    for n in (2, 3, 10, 101):
        x = host(tl.linspace(-1.1, 1.1, n))
        np.testing.assert_array_equal(x, -x[::-1])
        assert x[0] == np.float32(-1.1) and x[-1] == np.float32(1.1)


# ---------------------------------------------------------------- questions
def test_questions(device):
    x = tl.ones(2, 3)
    assert tl.numel(x) == 6 and tl.is_tensor(x) and not tl.is_tensor(host(x))
    assert tl.is_floating_point(x) and not tl.is_floating_point(x.long())
    assert (
        isinstance(x, tl.FloatTensor)
        and not isinstance(x.long(), tl.FloatTensor)
        and isinstance(x.long(), tl.LongTensor)
    )


def test_the_default_dtype_is_followed(device):
    before = tl.get_default_dtype()
    try:
        tl.set_default_dtype(tl.float64)
        made = [
            tl.tensor(1.5),
            tl.tensor([1, 2.0]),
            tl.zeros(2),
            tl.arange(3.0),
            tl.linspace(0, 1, 3),
            tl.full((2,), 1.5),
            tl.eye(2),
        ]
        assert {x.dtype.name for x in made} == {"float64"}
        assert tl.tensor([np.float32(1)]).dtype == tl.float32 and tl.arange(3).dtype == tl.int64
    finally:
        tl.set_default_dtype(before)


def test_bfloat16(device):
    pytest.importorskip("ml_dtypes")
    x = tl.tensor([1.5, 2.0], dtype=tl.bfloat16)
    assert tl.tensor([x[0], x[1]]).dtype == tl.bfloat16
    for made in (
        tl.zeros(2, dtype=tl.bfloat16),
        tl.arange(4, dtype=tl.bfloat16),
        tl.linspace(0, 1, 3, dtype=tl.bfloat16),
        x.new_full((2,), 3),
    ):
        assert made.dtype == tl.bfloat16
