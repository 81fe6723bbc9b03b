"""PyTorch's other names of arguments (axis, A), empty indices, numbers that do not fit, and words in the place of numbers."""

import math

import pytest

import tensorlite as tl
from tensorlite import errors

F = tl.nn.functional
ROW = lambda t: t.zeros(1, 3, dtype=t.int64)  # noqa: E731

BY_AXIS = {
    "gather": lambda t, x, **d: t.gather(x, index=ROW(t), **d),
    "narrow": lambda t, x, **d: t.narrow(x, start=1, length=1, **d),
    "scatter": lambda t, x, **d: t.scatter(x, index=ROW(t), value=7.0, **d),
    "scatter_add": lambda t, x, **d: t.scatter_add(x, index=ROW(t), src=x, **d),
    "scatter_reduce": lambda t, x, **d: t.scatter_reduce(x, index=ROW(t), src=x, reduce="sum", **d),
    "renorm": lambda t, x, **d: t.renorm(x, 2, maxnorm=1.0, **d),
    "select": lambda t, x, **d: t.select(x, index=1, **d),
    "slice_scatter": lambda t, x, **d: t.slice_scatter(x, x[:1] + 1, start=0, end=1, **d),
    "select_scatter": lambda t, x, **d: t.select_scatter(x, x[0] + 1, index=1, **d),
    "index_select": lambda t, x, **d: t.index_select(x, index=t.tensor([1]), **d),
    "index_add": lambda t, x, **d: t.index_add(x, index=t.tensor([1]), source=x[:1], **d),
    "index_copy": lambda t, x, **d: t.index_copy(x, index=t.tensor([1]), source=x[:1], **d),
    "index_fill": lambda t, x, **d: t.index_fill(x, index=t.tensor([1]), value=2.0, **d),
    "index_reduce": lambda t, x, **d: t.index_reduce(x, index=t.tensor([1]), source=x[:1], reduce="prod", **d),
    "x.gather": lambda t, x, **d: x.gather(index=ROW(t), **d),
    "x.narrow": lambda t, x, **d: x.narrow(start=0, length=1, **d),
    "x.scatter_add": lambda t, x, **d: x.scatter_add(index=ROW(t), src=x, **d),
    "x.scatter_add_": lambda t, x, **d: x.clone().scatter_add_(index=ROW(t), src=x, **d),
    "x.index_fill_": lambda t, x, **d: x.clone().index_fill_(index=t.tensor([1]), value=2.0, **d),
}


@pytest.mark.parametrize("name", BY_AXIS)
def test_axis_for_dim(name, device):
    x = tl.arange(6.0).reshape(2, 3)
    want = BY_AXIS[name](tl, x, dim=0).tolist()
    assert BY_AXIS[name](tl, x, axis=0).tolist() == want
    torch = pytest.importorskip("torch")
    got = BY_AXIS[name](torch, torch.arange(6.0).reshape(2, 3), axis=0)
    assert got.allclose(torch.tensor(want))


@pytest.mark.parametrize("name", ["det", "slogdet", "cholesky", "matrix_exp", "matrix_power"])
def test_the_matrix_of_linalg_is_A_or_input(name, device):
    f, rest, x = getattr(tl.linalg, name), ({"n": 2} if name == "matrix_power" else {}), tl.eye(2)
    for found in (f(A=x, **rest), f(input=x, **rest)):
        assert str(found) == str(f(x, **rest))


EMPTY = {
    "gather": lambda t, x, i: t.gather(x, 0, i),
    "scatter": lambda t, x, i: t.scatter(x, 0, i, t.ones(2, 3)),
    "scatter a number": lambda t, x, i: t.scatter(x, 1, i, 2.0),
    "scatter add": lambda t, x, i: t.scatter_add(x, 0, i, t.ones(0)),
    "scatter_reduce": lambda t, x, i: t.scatter_reduce(x, 0, i, t.ones(2, 3), "sum"),
    "scatter_": lambda t, x, i: (x * 1).scatter_(0, i, t.ones(2, 3)),
}


@pytest.mark.parametrize("name", EMPTY)
@pytest.mark.parametrize("shape", [(0,), (2, 0, 4), (0, 3)])
def test_an_empty_index_may_have_any_shape(name, shape, device):
    torch = pytest.importorskip("torch")
    found = []
    for t in (tl, torch):
        x = t.ones(2, 3).requires_grad_()
        y = EMPTY[name](t, x, t.zeros(shape, dtype=t.int64))
        (g,) = t.autograd.grad(y.sum(), x)
        found.append((tuple(y.shape), y.tolist(), g.tolist()))
    assert found[0] == found[1]


@pytest.mark.parametrize("reduce", ["add", "multiply", None])
def test_an_empty_index_with_reduce(reduce, device):
    x, src = tl.ones(2, 3, requires_grad=True), tl.ones(2, 3, requires_grad=True)
    for i in (tl.zeros(0, dtype=tl.int64), tl.zeros(0, 3, dtype=tl.int64)):
        assert x.detach().scatter(0, i, 2.0, reduce=reduce).tolist() == [[1.0] * 3] * 2
        gx, gs = tl.autograd.grad(x.scatter(0, i, src, reduce=reduce).sum(), (x, src))
        assert gx.tolist() == [[1.0] * 3] * 2 and gs.tolist() == [[0.0] * 3] * 2


A = errors.ArgumentError
WRONG = {  # call: (error, its text)
    "can_cast": (
        lambda: tl.can_cast(tl.ones(2), "a"),
        errors.DTypeError,
        "a dtype is needed, not a Tensor; use x.dtype",
    ),
    "dtype": (lambda: tl.zeros(2, dtype=tl.ones(2)), errors.DTypeError, "a dtype is needed, not a Tensor"),
    "full": (lambda: tl.full((2,), 1e40), A, r"full: 1e\+40 does not fit into float32 \(up to 3.40282e\+38\)"),
    "full below": (lambda: tl.full((2,), -1e40), A, "does not fit into float32"),
    "full of halves": (lambda: tl.full((2,), 7e4, dtype=tl.float16), A, "70000.0 does not fit into float16"),
    "full of ints": (lambda: tl.full((2,), 10**39, dtype=tl.float32), A, "does not fit into float32"),
    "full_like": (lambda: tl.full_like(tl.ones(2), 1e40), A, "does not fit into float32"),
    "new_full": (lambda: tl.ones(2).new_full((2,), 1e40), A, "does not fit into float32"),
    "scalar_tensor": (lambda: tl.scalar_tensor(1e40), A, "does not fit into float32"),
    "fill_": (lambda: tl.ones(2).fill_(1e40), A, r"fill_: 1e\+40 does not fit into float32"),
    "grad of nothing": (lambda: tl.autograd.grad(tl.ones(2, requires_grad=True).sum(), []), A, "grad: inputs is empty"),
    "elu": (lambda: F.elu(tl.ones(2), "a"), errors.DTypeError, r"elu: .*input float32 \(2,\), alpha"),
    "celu": (lambda: F.celu(tl.ones(2), "a"), errors.DTypeError, "celu: "),
    "hardtanh": (lambda: F.hardtanh(tl.ones(2), "a", "b"), errors.DTypeError, r"hardtanh: .*min_val"),
    "hardshrink": (lambda: F.hardshrink(tl.ones(2), "a"), errors.DTypeError, "hardshrink: "),
    "softshrink": (lambda: F.softshrink(tl.ones(2), "a"), errors.DTypeError, "softshrink: "),
    "softplus": (lambda: F.softplus(tl.ones(2), 1, "a"), errors.DTypeError, "softplus: "),
    "threshold": (lambda: F.threshold(tl.ones(2), "a", 1), errors.DTypeError, "threshold: "),
    "rrelu": (lambda: F.rrelu(tl.ones(2), "a"), errors.DTypeError, "rrelu: "),
    "glu": (lambda: F.glu(tl.ones(2), "a"), errors.DTypeError, "glu: "),
    "gumbel_softmax": (lambda: F.gumbel_softmax(tl.ones(2), "a"), errors.DTypeError, "gumbel_softmax: "),
    "dropout": (lambda: F.dropout(tl.ones(2), "a"), errors.DTypeError, "dropout: the probability p must be a number"),
    "dropout2d": (lambda: F.dropout2d(tl.ones(2, 3, 4, 4), None), errors.DTypeError, "p must be a number, not None"),
    "softmax": (lambda: F.softmax("a", 0), errors.DTypeError, "softmax: a tensor is needed, not str"),
    "log_softmax": (lambda: F.log_softmax([1.0], 0), errors.DTypeError, "log_softmax: a tensor is needed, not list"),
    "softmin": (lambda: F.softmin("a", 0), errors.DTypeError, "softmin: a tensor is needed, not str"),
    "normalize": (lambda: F.normalize("a"), errors.DTypeError, "normalize: a tensor is needed, not str"),
    "batch_norm": (lambda: F.batch_norm(tl.ones(2, 3), "a", "b"), errors.DTypeError, "batch_norm: "),
    "group_norm": (lambda: F.group_norm(tl.ones(2, 3), 1, "b"), errors.DTypeError, "group_norm: "),
    "attention": (lambda: F.scaled_dot_product_attention(tl.ones(2, 3), "a", "b"), errors.DTypeError, "attention: "),
}


@pytest.mark.parametrize("name", WRONG)
def test_refused_in_words(name):
    call, kind, text = WRONG[name]
    with pytest.raises(kind, match=text):
        call()


def test_what_full_takes():
    assert tl.full((1,), math.inf).tolist() == [math.inf] and tl.full((1,), -math.inf).tolist() == [-math.inf]
    assert math.isnan(tl.full((1,), math.nan).item()) and tl.full((1,), 1e40, dtype=tl.float64).item() == 1e40
    assert tl.full((1,), tl.finfo(tl.float32).max).item() == tl.finfo(tl.float32).max
    assert tl.full((2,), True).dtype == tl.bool and tl.full((1,), tl.tensor(2)).dtype == tl.int64


def test_slopes_of_pieces_at_infinity():
    inf = math.inf
    x = tl.tensor([-inf, -1e38, 0.2, 1e38, inf], requires_grad=True)
    for f, want in (
        (F.hardswish, [0.0, 0.0, x[2].item() / 3 + 0.5, 1.0, 1.0]),
        (F.softshrink, [1.0, 1.0, 0.0, 1.0, 1.0]),
    ):
        (g,) = tl.autograd.grad(f(x).sum(), x)
        assert g.tolist() == pytest.approx(want)
    (g,) = tl.autograd.grad(F.softshrink(x), x, tl.full((5,), inf))
    assert g.tolist() == [inf, inf, 0.0, inf, inf]
