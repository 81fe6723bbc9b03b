"""out=: the functions that have it in PyTorch put their result into the memory that is given; and public functions pickle."""

import inspect
import pickle

import numpy as np
import pytest
from numeric import host

import tensorlite as tl
from tensorlite import errors
from tensorlite.methods import WITH_OUT

CALLS = {  # the function with out=, and the dtypes of the results
    "exp": (lambda t, x, o: t.exp(x, out=o), ["float64"]),
    "add": (lambda t, x, o: t.add(x, x, alpha=2, out=o), ["float64"]),
    "mul": (lambda t, x, o: t.mul(x, 3, out=o), ["float64"]),
    "pow": (lambda t, x, o: t.pow(x, 2, out=o), ["float64"]),
    "eq": (lambda t, x, o: t.eq(x, x, out=o), ["bool"]),
    "eq as float": (lambda t, x, o: t.eq(x, x, out=o), ["float64"]),
    "round": (lambda t, x, o: t.round(x, out=o), ["float64"]),
    "clamp": (lambda t, x, o: t.clamp(x, 0, 1, out=o), ["float64"]),
    "where": (lambda t, x, o: t.where(x > 0, x, -x, out=o), ["float64"]),
    "sum": (lambda t, x, o: t.sum(x, 0, out=o), ["float64"]),
    "mean": (lambda t, x, o: t.mean(x, dim=0, keepdim=True, out=o), ["float32"]),
    "cumsum": (lambda t, x, o: t.cumsum(x, 1, out=o), ["float64"]),
    "max": (lambda t, x, o: t.max(x, 1, out=o), ["float64", "int64"]),
    "sort": (lambda t, x, o: t.sort(x, out=o), ["float64", "int64"]),
    "topk": (lambda t, x, o: t.topk(x, 2, out=o), ["float64", "int64"]),
    "argmax": (lambda t, x, o: t.argmax(x, 1, out=o), ["int64"]),
    "matmul": (lambda t, x, o: t.matmul(x, x.t(), out=o), ["float64"]),
    "mm": (lambda t, x, o: t.mm(x, x.t(), out=o), ["float64"]),
    "addmm": (lambda t, x, o: t.addmm(x @ x.t(), x, x.t(), beta=2, out=o), ["float64"]),
    "cat": (lambda t, x, o: t.cat([x, x], 1, out=o), ["float64"]),
    "stack": (lambda t, x, o: t.stack([x, x], out=o), ["float64"]),
    "tril": (lambda t, x, o: t.tril(x, out=o), ["float64"]),
    "diag": (lambda t, x, o: t.diag(x, out=o), ["float64"]),
    "gather": (lambda t, x, o: t.gather(x, 0, t.zeros(1, 3, dtype=t.int64), out=o), ["float64"]),
    "index_select": (lambda t, x, o: t.index_select(x, 1, t.tensor([2, 0]), out=o), ["float64"]),
    "norm": (lambda t, x, o: t.norm(x, dim=1, out=o), ["float64"]),
}


@pytest.mark.parametrize("name", CALLS)
def test_as_in_pytorch(name, device):
    torch = pytest.importorskip("torch")
    call, kinds = CALLS[name]
    x = np.random.default_rng(0).standard_normal((2, 3))
    found = []
    for t in (tl, torch):
        outs = [t.empty(0, dtype=getattr(t, k)) for k in kinds]  # an empty one takes the shape
        for _ in range(2):  # then it has the shape
            given = outs[0] if len(outs) == 1 else tuple(outs)
            back = call(t, t.tensor(x), given)
            back = (back,) if len(outs) == 1 else tuple(back)
            assert all(a is b for a, b in zip(outs, back, strict=True))
        found.append(outs)
    for mine, theirs in zip(*found, strict=True):
        assert mine.dtype.name == str(theirs.dtype).removeprefix("torch.") and tuple(mine.shape) == tuple(theirs.shape)
        np.testing.assert_allclose(host(mine), theirs.numpy(), rtol=1e-6)


def test_in_the_memory_of_an_argument_and_through_a_view(device):
    x = tl.tensor([1.0, 2.0, 3.0, 4.0])
    assert tl.add(x, x, out=x) is x and x.tolist() == [2, 4, 6, 8] and x._version == 1
    tl.neg(x[::2], out=x[1::2])
    assert x.tolist() == [2, -2, 6, -6]
    w, copy = tl.tensor([4.0], requires_grad=True), tl.empty(1)
    with tl.no_grad():
        tl.sqrt(w, out=w)
    assert w.tolist() == [2] and w.is_leaf and tl.exp(x, out=None) is not x
    tl.diag(tl.ones(1, 1), out=copy).fill_(7)
    y = tl.empty(0)
    tl.diag(z := tl.ones(2, 2), out=y).fill_(7)  # a view of z is copied
    assert y.tolist() == [7, 7] and z.tolist() == [[1, 1], [1, 1]]


WRONG = {
    "shape": (lambda x: tl.exp(x, out=tl.empty(3)), errors.ShapeError,
              "exp: the result has shape (2,), out (3,); give out that shape, or tl.empty(0)"),
    "dtype": (lambda x: tl.exp(x, out=tl.zeros(2, dtype=tl.int64)), errors.DTypeError,
              "exp: the result is float32, it cannot be stored in out, int64 (2,)"),
    "no tensor": (lambda x: tl.mm(x[None], x[:, None], out=[1.0]), errors.DTypeError, "mm: out must be a tensor, not list"),
    "one of two": (lambda x: tl.max(x, 0, out=tl.empty(0)), errors.ArgumentError,
                   "max: there are 2 results, out must be a tuple of as many tensors"),
    "grad": (lambda x: tl.mul(x.requires_grad_(), 2, out=tl.empty(0)), errors.GraphError,
             "mul: out= has no gradient, and a tensor here requires grad"),
    "expanded": (lambda x: tl.exp(x, out=tl.empty(1).expand(2)), errors.InplaceError, "was expanded"),
    "where there is none": (lambda x: tl.reshape(x, (2,), out=x), TypeError, "out"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_refusals(name, device):
    call, kind, text = WRONG[name]
    with pytest.raises(kind) as caught:
        call(tl.ones(2))
    assert text in str(caught.value).replace(f" on {device}", "")


def test_every_name_shows_it():
    for name in WITH_OUT.split():
        assert "out" in inspect.signature(getattr(tl, name)).parameters, name


def test_public_functions_pickle_by_name():
    for room in (tl, tl.nn.functional, tl.linalg, tl.special):
        for name, function in vars(room).items():
            if inspect.isfunction(function) and not name.startswith("_"):
                assert pickle.loads(pickle.dumps(function)) is function, name
