"""tl.special, the windows, frombuffer, and what a tensor tells of its memory, beside PyTorch."""

import array
import math

import numpy as np
import pytest
from numeric import host

import tensorlite as tl
from tensorlite import errors

inf, nan = math.inf, math.nan
SPREAD = [-3.0, -1.0, -0.4, 0.0, 0.3, 0.9, 1.0, 2.5, 7.0]

SPECIAL = {
    **{name: (lambda s, x, name=name: getattr(s, name)(x), SPREAD) for name in (
        "erf", "erfc", "exp2", "expit", "expm1", "ndtr", "sinc", "round", "entr", "i0", "i1")},
    **{name: (lambda s, x, name=name: getattr(s, name)(x), [0.1, 0.5, 0.9]) for name in (
        "erfinv", "logit", "ndtri", "gammaln", "digamma", "psi", "log1p")},
    "logit with eps": (lambda s, x: s.logit(x, eps=0.2), [0.1, 0.5, 0.9]),
    "polygamma": (lambda s, x: s.polygamma(1, x), [0.1, 0.5, 0.9]),
    "multigammaln": (lambda s, x: s.multigammaln(x, 2), [1.1, 2.5]),
    "softmax": (lambda s, x: s.softmax(x, 0), SPREAD),
    "log_softmax": (lambda s, x: s.log_softmax(x, dim=0), SPREAD),
    "logsumexp": (lambda s, x: s.logsumexp(x, 0), SPREAD),
    "xlogy": (lambda s, x: s.xlogy(x, 2.5), SPREAD),
    "xlog1py": (lambda s, x: s.xlog1py(x, 2.5), SPREAD),
    "xlog1py of a number": (lambda s, x: s.xlog1py(2, x), [-0.5, 0.0, 3.0]),
    "xlog1py of two": (lambda s, x: s.xlog1py(x, 2 * x), [0.0, 0.5, 1.5]),
    "entr at its edges": (lambda s, x: s.entr(x), [inf, 1e-300]),
}  # fmt: skip


@pytest.mark.parametrize("name", SPECIAL)
def test_special(name, device):
    torch = pytest.importorskip("torch")
    f, points = SPECIAL[name]
    found = []
    for t in (tl, torch):
        x = t.tensor(points, dtype=t.float64, requires_grad=True)
        y = f(t.special, x)
        found.append((y, *t.autograd.grad(y.sum(), x)))
    for mine, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(host(mine), theirs.detach().numpy(), rtol=1e-9, atol=1e-12)


def test_entr_and_xlog1py_at_zero(device):
    assert tl.special.entr(tl.tensor([0.0, -1.0, nan])).tolist()[:2] == [0.0, -inf]
    x = tl.tensor([0.0, 0.0, 1.0, 0.0])
    assert str(tl.special.xlog1py(x, tl.tensor([-1.0, -2.0, -1.0, nan])).tolist()) == "[0.0, 0.0, -inf, nan]"
    assert tl.special.entr(tl.tensor([1, 2])).dtype == tl.float32
    with pytest.raises(errors.DTypeError, match="entr: a tensor is needed, not float"):
        tl.special.entr(1.0)


WINDOWS = {
    name: lambda t, n, p, name=name, **kw: getattr(t, name)(n, p, **kw)
    for name in ("hann_window", "hamming_window", "blackman_window", "bartlett_window", "kaiser_window")
}
WINDOWS["hamming with numbers"] = lambda t, n, p, **kw: t.hamming_window(n, p, 0.6, 0.3, **kw)
WINDOWS["kaiser with beta"] = lambda t, n, p, **kw: t.kaiser_window(n, periodic=p, beta=3.5, **kw)


@pytest.mark.parametrize("name", WINDOWS)
def test_window(name, device):
    torch = pytest.importorskip("torch")
    for n in (0, 1, 2, 3, 8, 15):
        for periodic in (True, False):
            mine, theirs = (WINDOWS[name](t, n, periodic, dtype=t.float64) for t in (tl, torch))
            np.testing.assert_allclose(host(mine), theirs.numpy(), rtol=1e-12, atol=1e-12)
    assert WINDOWS[name](tl, 4, True).dtype == tl.float32
    assert WINDOWS[name](tl, 4, True, requires_grad=True).is_leaf


@pytest.mark.parametrize(
    "call, kind, text",
    [
        (lambda: tl.hann_window(-1), errors.ArgumentError, "hann_window: window_length must be a whole number"),
        (lambda: tl.kaiser_window(2.5), errors.ArgumentError, "kaiser_window: window_length must be a whole number"),
        (
            lambda: tl.hann_window(3, dtype=tl.int64),
            errors.DTypeError,
            "hann_window: the dtype must be a floating-point",
        ),
        (
            lambda: tl.frombuffer("abc", dtype=tl.uint8),
            errors.DTypeError,
            "frombuffer: a buffer such as bytes is needed",
        ),
        (lambda: tl.frombuffer(b"", dtype=tl.uint8), errors.ArgumentError, "outside of the buffer of 0 bytes"),
        (lambda: tl.frombuffer(b"abc", dtype=tl.int16), errors.ArgumentError, "no whole number of int16"),
        (lambda: tl.frombuffer(b"abc", dtype=tl.int16, count=2), errors.ArgumentError, "do not hold 2 of int16"),
        (lambda: tl.frombuffer(b"abc", dtype=tl.uint8, offset=3), errors.ArgumentError, "offset 3 lies outside"),
    ],
)
def test_wrong_use(call, kind, text):
    with pytest.raises(kind, match=text):
        call()


def test_frombuffer_shares_memory():
    b = bytearray([1, 0, 2, 0, 3, 0])
    x = tl.frombuffer(b, dtype=tl.int16)
    x[0] = 7
    assert b[0] == 7 and x.tolist() == [7, 2, 3]
    assert tl.frombuffer(b, dtype=tl.int16, count=1, offset=2).tolist() == [2]
    assert tl.frombuffer(b"ab", dtype=tl.uint8).tolist() == [97, 98]
    x = tl.frombuffer(array.array("f", [1.5, 2.5]), dtype=tl.float32, requires_grad=True)
    assert x.is_leaf and x.requires_grad and x.tolist() == [1.5, 2.5]


def test_where_a_tensor_lies():
    x = tl.zeros(3, 4)
    y = x[1:, 2:]
    assert (x.storage_offset(), y.storage_offset()) == (0, 6)
    assert y.data_ptr() == x.data_ptr() + 24 == y.untyped_storage().data_ptr() + 24
    assert y.untyped_storage().nbytes() == len(x.untyped_storage()) == 48
    assert x.clone().data_ptr() != x.data_ptr() and x.view(-1).data_ptr() == x.data_ptr() == x.detach().data_ptr()
    assert tl.tensor(1.0).data_ptr() and tl.ones(3).sum().storage_offset() == 0


def test_names_of_nodes():
    x = tl.ones(2, requires_grad=True)
    assert (x * 2).grad_fn.name() == "MulBackward0" and x.log_softmax(0).grad_fn.name() == "LogSoftmaxBackward0"
    y = x * 2
    assert not y.grad_fn.name  # nobody has named it
    y.grad_fn.name = "double"
    assert y.grad_fn.name == "double"


def test_prelu_and_hardshrink_are_methods():
    x = tl.tensor([-1.0, 0.2, 2.0])
    assert x.prelu(tl.tensor(0.5)).tolist() == [-0.5, x[1].item(), 2.0] and x.hardshrink().tolist() == [-1.0, 0.0, 2.0]
