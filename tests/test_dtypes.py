"""dtypes: the table of promotion, limits, casts and defaults as PyTorch has them; bfloat16 throughout; complex refused."""

import copy
import itertools
import pickle
import subprocess
import sys

import numpy as np
import pytest
from numeric import host

import tensorlite as tl
from tensorlite.errors import ArgumentError, DTypeError

pytest.importorskip("ml_dtypes")

FLOATS = ("float16", "bfloat16", "float32", "float64")
NAMES = ("bool", "uint8", "int8", "int16", "int32", "int64", *FLOATS)
VALUES = {"tensor": [2, 3], "scalar": 2, "bool": True, "int": 2, "float": 2.5}


def operand(lib, kind, name):
    """A tensor of two elements, a 0-d tensor, or a Python number."""
    if kind in ("tensor", "scalar"):
        return lib.tensor(VALUES[kind], dtype=getattr(lib, name))
    return VALUES[kind]


OPERANDS = [*itertools.product(("tensor", "scalar"), NAMES), ("bool", ""), ("int", ""), ("float", "")]


def test_every_pair_gives_what_pytorch_gives():
    torch = pytest.importorskip("torch")
    for a, b in itertools.product(OPERANDS, OPERANDS):
        if a[1] or b[1]:
            theirs = torch.result_type(operand(torch, *a), operand(torch, *b))
            assert str(tl.result_type(operand(tl, *a), operand(tl, *b))).endswith("." + str(theirs)[6:]), (a, b)
            out = operand(tl, *a) * operand(tl, *b)
            reference = operand(torch, *a) * operand(torch, *b)
            assert out.dtype.name == str(reference.dtype)[6:] and out.tolist() == reference.tolist(), (a, b)
    for a, b in itertools.product(NAMES, NAMES):
        mine, theirs = (getattr(tl, a), getattr(tl, b)), (getattr(torch, a), getattr(torch, b))
        assert tl.promote_types(*mine).name == str(torch.promote_types(*theirs))[6:]
        assert tl.can_cast(*mine) == torch.can_cast(*theirs)


@pytest.mark.parametrize("name", NAMES[1:])
def test_limits(name):
    torch = pytest.importorskip("torch")
    kind = "finfo" if name in FLOATS else "iinfo"
    mine, theirs = getattr(tl, kind)(getattr(tl, name)), getattr(torch, kind)(getattr(torch, name))
    for field in (f for f in dir(theirs) if not f.startswith("_")):
        assert getattr(mine, field) == getattr(theirs, field), field
    assert repr(mine) == repr(theirs) and mine == getattr(tl, kind)(getattr(tl, name)) and mine != 3
    d, e = getattr(tl, name), getattr(torch, name)
    assert (d.itemsize, d.is_floating_point, d.is_complex, d.is_signed) == (
        e.itemsize, e.is_floating_point, e.is_complex, e.is_signed,
    )  # fmt: skip


def test_limits_refuse_the_wrong_kind():
    for wrong in (
        lambda: tl.finfo(tl.int32),
        lambda: tl.iinfo(tl.float32),
        lambda: tl.iinfo(tl.bool),
        lambda: tl.finfo(tl.bool),
    ):
        with pytest.raises(DTypeError, match=r"use (finfo|iinfo)"):
            wrong()
    assert tl.finfo().dtype == "float32"


def test_names_and_identity():
    assert tl.float is tl.float32 and tl.double is tl.float64 and tl.half is tl.float16
    assert tl.short is tl.int16 and tl.int is tl.int32 and tl.long is tl.int64
    for name in NAMES:
        d = getattr(tl, name)
        assert isinstance(d, tl.dtype) and pickle.loads(pickle.dumps(d)) is d and copy.deepcopy(d) is d
        assert tl.zeros(2, dtype=name).dtype is d and repr(d) == f"tensorlite.{name}"
    assert tl.zeros(1, dtype=float).dtype is tl.float64 and tl.zeros(1, dtype=int).dtype is tl.int64
    assert tl.zeros(1, dtype=bool).dtype is tl.bool and tl.float32 == np.float32 and tl.float32 != tl.float64
    with pytest.raises(DTypeError, match="is not a dtype that tensorlite knows; it knows bool, uint8"):
        tl.zeros(1, dtype="float8")
    for wrong in ([1], {}, object(), "", np.dtype("O"), np.ones(2)):
        with pytest.raises(DTypeError, match="is not a dtype that tensorlite knows"):
            tl.zeros(1, dtype=wrong)


def test_the_default_dtype():
    try:
        for d in (tl.float64, tl.float16, tl.bfloat16):
            tl.set_default_dtype(d)
            assert tl.get_default_dtype() is d and tl.zeros(1).dtype is d and tl.tensor(1.5).dtype is d
            assert (tl.ones(1, dtype=tl.int32) * 1.5).dtype is d and (tl.ones(1, dtype=tl.int32) / 2).dtype is d
            assert tl.rand(2).dtype is d and tl.arange(0.0, 2.0).dtype is d and tl.Tensor([1]).dtype is d
    finally:
        tl.set_default_dtype(tl.float32)
    with pytest.raises(ArgumentError, match="only floating-point dtypes can be the default"):
        tl.set_default_dtype(tl.int32)


# ---------------------------------------------------------------- bfloat16
def test_bfloat16_stays_bfloat16(device):
    x = tl.tensor([[1.0, -2.0], [0.5, 3.0]], dtype=tl.bfloat16)
    for out in (
        x * 2.7, 2.7 * x, x + 1, x / 3, 1 / x, x**2, x**2.0, x - 0.1, -x, x @ x, x.sum(), x.mean(0), x.var(), x.softmax(1), x.exp(),
        x.clamp(min=0.1), tl.where(x > 0, x, 0.0), tl.nn.functional.gelu(x), tl.nn.functional.layer_norm(x, (2,)), x.sigmoid(),
        tl.nn.functional.log_softmax(x, 1), tl.maximum(x, tl.tensor(0.0)), x * tl.tensor(2.5), x.logsumexp(1), x[0], x.reshape(4),
        tl.nn.functional.cross_entropy(x, tl.tensor([0, 1])), tl.nn.functional.linear(x, x, x[0]), tl.cat([x, x]), x.clone(),
    ):  # fmt: skip
        assert out.dtype is tl.bfloat16
    assert (x > 0.5).dtype is tl.bool and x.argmax().dtype is tl.int64 and (x * tl.ones(2)).dtype is tl.float32
    assert (x.half() * x).dtype is tl.float32 and (x * tl.ones(2, dtype=tl.int64)).dtype is tl.bfloat16
    assert (x * 2.7).tolist() == [[2.703125, -5.40625], [1.3515625, 8.125]]  # computed in float32, rounded once
    x.mul_(2.5)
    x += 1
    assert x.dtype is tl.bfloat16 and x.tolist() == [[3.5, -4.0], [2.25, 8.5]]


def test_bfloat16_sums_in_float32(device):
    x = tl.ones(1000, dtype=tl.bfloat16)  # a sum in 8 bits stands still at 256
    assert x.sum().item() == 1000 and x.mean().item() == 1 and (x @ x).item() == 1000
    assert (x[None] @ x[:, None]).item() == 1000 and x.cumsum(0)[-1].item() == 1000 and x.softmax(0).sum().item() == 1
    row = tl.ones(1000, 1, dtype=tl.bfloat16, requires_grad=True)
    bias = tl.zeros(1, dtype=tl.bfloat16, requires_grad=True)
    (row + bias).sum().backward()
    assert bias.grad.item() == 1000 and bias.grad.dtype is tl.bfloat16


def test_bfloat16_gradients_are_as_those_of_float32(device):
    F = tl.nn.functional
    rng = np.random.default_rng(0)
    data = [rng.normal(size=s) for s in ((6, 8), (8, 8), (8,))]

    def loss(x, w, b):
        h = F.gelu(F.layer_norm(F.linear(x, w, b), (8,), b + 1, b))
        return F.cross_entropy(h * 0.5, tl.arange(6)) + F.softmax(h, 1).pow(2).mean()

    grads = []
    for d in (tl.float32, tl.bfloat16):
        inputs = [tl.tensor(a).to(tl.bfloat16).to(d).requires_grad_() for a in data]
        out = loss(*inputs)
        assert out.dtype is d
        grads.append(tl.autograd.grad(out, inputs, create_graph=True))
        assert all(g.dtype is d for g in grads[-1])
        second = tl.autograd.grad(sum(g.pow(2).sum() for g in grads[-1]), inputs)
        assert all(g.dtype is d for g in second)
    for exact, found in zip(*grads, strict=True):
        exact, found = host(exact), host(found.float())
        assert np.abs(exact - found).max() < 0.05 * np.abs(exact).max()


def test_bfloat16_is_shown_and_read():
    x = tl.tensor([1.0, 2.7], dtype=tl.bfloat16)
    assert repr(x) == "tensor([1.0000, 2.7031], dtype=tensorlite.bfloat16)" and x.tolist() == [1.0, 2.703125]
    assert x[1].item() == 2.703125 and type(x[1].item()) is float and float(x[0]) == 1.0
    assert pickle.loads(pickle.dumps(x)).tolist() == x.tolist() and x.element_size() == 2
    assert x.numpy().dtype == tl.bfloat16 and tl.from_numpy(x.numpy()).dtype is tl.bfloat16


def test_arrays_of_bfloat16_are_known_before_the_name_was_used():
    code = """if 1:
        import ml_dtypes, numpy as np, tensorlite as tl
        x = tl.from_numpy(np.ones(300, ml_dtypes.bfloat16))
        assert x.dtype.name == 'bfloat16' and x.sum().item() == 300 and (x * 2.7).dtype is tl.bfloat16
    """
    subprocess.run([sys.executable, "-c", code], check=True)


# ---------------------------------------------------------------- complex
@pytest.mark.parametrize(
    "use",
    [
        lambda: tl.zeros(2, dtype=tl.complex64), lambda: tl.tensor(1j), lambda: tl.tensor([1.0, 2j]), lambda: tl.ones(2) * 1j,
        lambda: 1j + tl.ones(2), lambda: tl.ones(2).to(tl.complex128), lambda: tl.from_numpy(np.ones(2) * 1j),
        lambda: tl.tensor(np.ones(2) * 1j), lambda: tl.as_tensor(np.ones(2, np.complex64)), lambda: tl.full((2,), 1j),
        lambda: tl.promote_types(tl.float32, tl.complex64), lambda: tl.set_default_dtype(tl.cfloat), lambda: tl.ones(2).to(complex),
        lambda: tl.ones(2) ** 1j, lambda: tl.result_type(tl.ones(2), 1j), lambda: tl.arange(3, dtype=tl.complex64),
    ],
)  # fmt: skip
def test_complex_is_refused_in_words(use):
    with pytest.raises(DTypeError, match=r"complex"):
        use()
    assert not tl.ones(1).is_complex() and tl.complex64.is_complex and tl.cdouble is tl.complex128
