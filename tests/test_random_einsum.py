"""Random equations for einsum, with ellipsis, repeated labels and sizes of 1: value and gradients against PyTorch's.

Without PyTorch: the value against NumPy's, the gradient along a random direction against the difference of NumPy's values.
"""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from numeric import STENCIL, host

import tensorlite as tl

try:
    import torch
except ImportError:
    torch = None

LABELS = "abcXY"
examples = settings(
    max_examples=120, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@st.composite
def equations(draw):
    """(equation, shapes): one to three operands of up to three labels each, an output that may be implicit."""
    sizes = {c: draw(st.integers(1, 3)) for c in LABELS}
    dots = draw(st.lists(st.integers(1, 3), max_size=2))
    inputs, shapes = [], []
    for _ in range(draw(st.integers(1, 3))):
        labels = draw(st.lists(st.sampled_from(LABELS), max_size=3))
        small = set() if torch is None else draw(st.sets(st.sampled_from(LABELS), max_size=1))
        shape = [1 if c in small else sizes[c] for c in labels]
        text = "".join(labels)
        if draw(st.booleans()):
            at = draw(st.integers(0, len(labels)))
            covered = dots[draw(st.integers(0, len(dots))) :]
            covered = [draw(st.sampled_from([1, n])) for n in covered]
            text, shape = text[:at] + "..." + text[at:], shape[:at] + covered + shape[at:]
        inputs.append(text)
        shapes.append(tuple(shape))
    equation = ",".join(inputs)
    if draw(st.booleans()):
        used = sorted({c for c in equation if c in LABELS})
        out = draw(st.lists(st.sampled_from(used), unique=True)) if used else []
        out = draw(st.permutations([*out, *(["..."] if "..." in equation else [])]))
        if "..." in equation and "..." not in out:
            out = [*out, "..."]
        equation = equation + draw(st.sampled_from(["->", " -> "])) + "".join(out)
    return equation, shapes


def _numpy_value(equation, arrays):
    return np.einsum(equation.replace(" ", ""), *arrays)


@examples
@given(case=equations(), seed=st.integers(0, 99))
def test_equations(device, case, seed):
    equation, shapes = case
    rng = np.random.default_rng(seed)
    arrays = [rng.uniform(-1, 1, s) for s in shapes]
    xs = [tl.tensor(a, requires_grad=True) for a in arrays]
    out = tl.einsum(equation, *xs)
    w = rng.uniform(-1, 1, out.shape)
    vs = [rng.uniform(-1, 1, s) for s in shapes]
    found = tl.autograd.grad((out * tl.tensor(w)).sum(), xs, create_graph=True)
    if torch is None:
        np.testing.assert_allclose(host(out), _numpy_value(equation, arrays), rtol=1e-10, atol=1e-12)
        want = sum(
            f / 1e-3 * (w * _numpy_value(equation, [a + s * 1e-3 * v for a, v in zip(arrays, vs, strict=True)])).sum()
            for s, f in STENCIL
        )
        got = sum((host(g) * v).sum() for g, v in zip(found, vs, strict=True))
        np.testing.assert_allclose(got, want, rtol=1e-7, atol=1e-8)
        return
    ys = [torch.tensor(a, requires_grad=True) for a in arrays]
    other = torch.einsum(equation, *ys)
    assert tuple(out.shape) == tuple(other.shape)
    np.testing.assert_allclose(host(out), other.detach().numpy(), rtol=1e-10, atol=1e-12)
    wanted = torch.autograd.grad((other * torch.tensor(w)).sum(), ys, create_graph=True)
    for g, h in zip(found, wanted, strict=True):
        np.testing.assert_allclose(host(g), h.detach().numpy(), rtol=1e-9, atol=1e-11)
    f = sum((g * tl.tensor(v)).sum() for g, v in zip(found, vs, strict=True))
    t = sum((g * torch.tensor(v)).sum() for g, v in zip(wanted, vs, strict=True))
    if len(xs) > 1 and t.requires_grad:
        second = tl.autograd.grad(f, xs, materialize_grads=True)
        for g, h, x in zip(second, torch.autograd.grad(t, ys, allow_unused=True), ys, strict=True):
            np.testing.assert_allclose(host(g), (h if h is not None else 0 * x).detach().numpy(), rtol=1e-9, atol=1e-11)


@examples
@given(case=equations(), seed=st.integers(0, 99))
def test_sublists_say_the_same(device, case, seed):
    equation, shapes = case
    rng = np.random.default_rng(seed)
    xs = [tl.tensor(rng.uniform(-1, 1, s)) for s in shapes]
    inputs, arrow, output = equation.replace(" ", "").partition("->")
    number = {c: i for i, c in enumerate(sorted(LABELS))}

    def sublist(text):
        return [Ellipsis if c == "." else number[c] for c in text.replace("...", ".")]

    args = [v for x, part in zip(xs, inputs.split(","), strict=True) for v in (x, sublist(part))]
    got = tl.einsum(*args, *([sublist(output)] if arrow else []))
    np.testing.assert_array_equal(host(got), host(tl.einsum(equation, *xs)))


@pytest.mark.parametrize("shapes", [((2, 3), (4, 2)), ((3, 3), (3, 2)), ((1, 2), (2, 1))])
def test_faults_are_ours(shapes, device):
    """A wrong equation never ends in an error of NumPy's."""
    xs = [tl.ones(*s) for s in shapes]
    for equation in (
        "ij,jk->ik",
        "ii,ij",
        "i,j",
        "ij",
        "ij,jk->l",
        "ij,jk->ii",
        "i j , j",
        "...,...",
        "->",
        "ij,jk,kl",
        "i-j",
    ):
        try:
            tl.einsum(equation, *xs)
        except tl.errors.TensorliteError as e:
            assert str(e).startswith("einsum: ")
