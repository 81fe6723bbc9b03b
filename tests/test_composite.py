"""Functions made of other operations: values and gradients to the second order as PyTorch's, and their refusals."""

import numpy as np
import pytest

import tensorlite as tl
from tensorlite import errors

CASES = {  # name: (function of the library and float64 tensors, shapes)
    "cov": (lambda t, x: t.cov(x), [(3, 7)]),
    "cov of a vector": (lambda t, x: x.cov(), [(7,)]),
    "cov without correction": (lambda t, x: t.cov(x, correction=0), [(2, 5)]),
    "cov, counted": (lambda t, x: t.cov(x, fweights=t.tensor([1, 2, 0, 3])), [(3, 4)]),
    "cov, weighed": (lambda t, x: t.cov(x, aweights=t.tensor([0.5, 1.0, 2.0, 0.1], dtype=t.float64)), [(3, 4)]),
    "cov, both": (lambda t, x: t.cov(x, fweights=t.tensor([1, 2, 1, 3]),
                                     aweights=t.tensor([0.5, 1.0, 2.0, 0.1], dtype=t.float64)), [(2, 4)]),
    "corrcoef": (lambda t, x: t.corrcoef(x), [(3, 6)]),
    "gradient": (lambda t, x: t.gradient(x)[0], [(6,)]),
    "gradient, spaced": (lambda t, x: t.gradient(x, spacing=0.5, dim=1)[0], [(3, 4)]),
    "gradient at coordinates": (lambda t, x: t.gradient(x, spacing=(t.tensor([0.0, 1.0, 3.0, 3.5], dtype=t.float64),))[0], [(4,)]),
    "gradient, parabolas at the edges": (lambda t, x: t.stack(t.gradient(x, edge_order=2)), [(4, 5)]),
    "gradient, of two": (lambda t, x: t.stack(t.gradient(x, spacing=[0.5, 2.0], dim=(0, 1))), [(4, 3)]),
    "renorm": (lambda t, x: t.renorm(x, 2, 0, 1.0), [(4, 3)]),
    "renorm by another norm": (lambda t, x: x.renorm(1, -1, 1.5), [(2, 4, 3)]),
    "mvlgamma": (lambda t, x: t.mvlgamma(x.abs() + 2, 3), [(3, 4)]),
    "frexp": (lambda t, x: t.frexp(x * 100).mantissa, [(3, 4)]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_as_pytorch(name):
    torch = pytest.importorskip("torch")
    function, shapes = CASES[name]
    rng = np.random.default_rng(1)
    arrays = [rng.standard_normal(s) for s in shapes]
    results = []
    for t in (tl, torch):
        xs = [t.tensor(a, requires_grad=True) for a in arrays]
        out = function(t, *xs)
        first = t.autograd.grad((out * out.detach().cos()).sum() + (out**2).sum(), xs, create_graph=True)
        found = [out, *first]
        if first[0].requires_grad:
            found += t.autograd.grad(sum((g**2).sum() for g in first), xs, allow_unused=True, materialize_grads=True)
        results.append([f.detach().numpy() for f in found])
    for a, b in zip(*results, strict=False):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)


def test_integers_and_questions(device):
    x = tl.tensor([[0, 5], [-1, 3]], device=device)
    assert [i.tolist() for i in tl.unravel_index(x, (2, 3))] == [[[0, 1], [1, 1]], [[0, 2], [2, 0]]]
    assert [i.tolist() for i in tl.unravel_index(tl.tensor(3), 5)] == [3]
    mantissa, exponent = tl.frexp(tl.tensor([8.0, -3.0, 0.0, 2.0**-130, 3e38], device=device))
    assert exponent.dtype == tl.int32 and exponent.tolist() == [4, 2, 0, -129, 128]
    np.testing.assert_array_equal(mantissa.cpu().numpy()[:4], np.float32([0.5, -0.75, 0.0, 0.5]))
    assert tl.real(x) is x and x.conj() is x and not x.is_complex()
    assert x.is_signed() and not x.bool().is_signed() and not x.to(tl.uint8).is_signed()
    assert tl.is_same_size(x, x + 1) and not x.is_same_size(x[0])
    assert tl.is_nonzero(tl.tensor([2])) and not tl.is_nonzero(tl.tensor(0.0))
    y = tl.ones(3, requires_grad=True) * 2
    assert not y.retains_grad
    y.retain_grad()
    assert y.retains_grad and tl.ones(1, device="cpu").is_cpu and tl.ones(2, 2).max(0)[1].output_nr == 0


@pytest.mark.parametrize(("call", "kind", "text"), [
    (lambda: tl.cov(tl.ones(2, 2, 2)), errors.ShapeError, r"cov: a matrix of variables and observations is needed"),
    (lambda: tl.cov(tl.ones(2, 3), aweights=tl.ones(2)), errors.ShapeError, r"cov: aweights must be a vector of 3"),
    (lambda: tl.cov(tl.ones(2, 2), fweights=tl.tensor([1, -1])), errors.ArgumentError, "fweights cannot be negative"),
    (lambda: tl.gradient(tl.ones(1)), errors.ShapeError, "dimension 0 has size 1, edge_order 1 needs at least 2"),
    (lambda: tl.gradient(tl.ones(3), edge_order=3), errors.ArgumentError, "edge_order must be 1 or 2, not 3"),
    (lambda: tl.renorm(tl.ones(3), 2, 0, 1), errors.ShapeError, "renorm: at least two dimensions are needed"),
    (lambda: tl.unravel_index(tl.tensor([6]), (2, 3)), errors.IndexRangeError, "index 6 is out of range"),
    (lambda: tl.unravel_index(tl.tensor([0.5]), (2, 3)), errors.DTypeError, "integer indices are needed"),
    (lambda: tl.mvlgamma(tl.ones(2), 4), errors.ArgumentError, "all elements must be above"),
    (lambda: tl.is_nonzero(tl.ones(2)), errors.ShapeError, "one element is needed"),
])  # fmt: skip
def test_refusals(call, kind, text):
    with pytest.raises(kind, match=text):
        call()
