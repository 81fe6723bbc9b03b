"""tl.autograd.functional against PyTorch's: values, shapes and nesting of the results, what stays differentiable, strict."""

import itertools

import numpy as np
import pytest
from numeric import host

import tensorlite as tl
from tensorlite.autograd import functional
from tensorlite.errors import ArgumentError, DTypeError, GraphError, ShapeError

RNG = np.random.default_rng(2)
A, B, V = RNG.standard_normal((3, 4)), RNG.standard_normal((4, 2)), RNG.standard_normal(3)
C = RNG.standard_normal((3, 2))


def product(a, b):
    return (a @ b).tanh()


def pair(a, b):
    return ((a @ b).tanh(), (a * a).sum())


def number(a, b):
    return ((a @ b).tanh() ** 2).sum()


def field(x):
    return x.sin() * x.sum()


def curve(x):
    return field(x).prod()


# name -> f(F, create_graph, a, b, v, c)
PROGRAMS = {
    "jacobian": lambda F, on, a, b, v, c: F.jacobian(field, v, create_graph=on),
    "jacobian of two": lambda F, on, a, b, v, c: F.jacobian(product, (a, b), create_graph=on),
    "jacobian of a pair": lambda F, on, a, b, v, c: F.jacobian(pair, (a, b), create_graph=on),
    "one input in a tuple": lambda F, on, a, b, v, c: F.jacobian(lambda x: (x * x,), (v,), create_graph=on),
    "jacobian, vectorized": lambda F, on, a, b, v, c: F.jacobian(pair, (a, b), create_graph=on, vectorize=True),
    "hessian": lambda F, on, a, b, v, c: F.hessian(curve, v, create_graph=on),
    "hessian of two": lambda F, on, a, b, v, c: F.hessian(number, (a, b), create_graph=on),
    "hessian, vectorized": lambda F, on, a, b, v, c: F.hessian(number, (a, b), create_graph=on, vectorize=True),
    "vjp": lambda F, on, a, b, v, c: F.vjp(product, (a, b), c, create_graph=on),
    "vjp of a pair": lambda F, on, a, b, v, c: F.vjp(pair, (a, b), (c, c.sum()), create_graph=on),
    "vjp of a number": lambda F, on, a, b, v, c: F.vjp(curve, v, create_graph=on),
    "jvp": lambda F, on, a, b, v, c: F.jvp(product, (a, b), (a + 1, b * b), create_graph=on),
    "jvp of a pair": lambda F, on, a, b, v, c: F.jvp(pair, (a, b), (a + 1, b * b), create_graph=on),
    "vhp": lambda F, on, a, b, v, c: F.vhp(number, (a, b), (a + 1, b * b), create_graph=on),
    "hvp": lambda F, on, a, b, v, c: F.hvp(number, (a, b), (a + 1, b * b), create_graph=on),
    "hvp of one": lambda F, on, a, b, v, c: F.hvp(curve, v, v * v, create_graph=on),
}  # fmt: skip


def leaves(values):
    return [x for v in values for x in leaves(v)] if isinstance(values, (tuple, list)) else [values]


def nesting(values):
    return tuple(map(nesting, values)) if isinstance(values, (tuple, list)) else tuple(values.shape)


def gradients(t, found, inputs):
    total = sum((f.sin() * 1.5).sum() for f in leaves(found))
    return t.autograd.grad(total, inputs, allow_unused=True)


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("name", PROGRAMS)
def test_like_pytorch(name, create_graph):
    torch = pytest.importorskip("torch")
    results = []
    for t, F in ((tl, functional), (torch, torch.autograd.functional)):
        inputs = [t.tensor(x, requires_grad=create_graph) for x in (A, B, V, C)]
        found = PROGRAMS[name](F, create_graph, *inputs)
        results.append((found, gradients(t, found, inputs) if create_graph else ()))
    (ours, our_slopes), (theirs, their_slopes) = results
    assert nesting(ours) == nesting(theirs)
    for p, q in zip((*leaves(ours), *our_slopes), (*leaves(theirs), *their_slopes), strict=True):
        assert (p is None) == (q is None)
        if p is not None:
            np.testing.assert_allclose(host(p), q.detach().numpy(), rtol=1e-9, atol=1e-10)
    assert create_graph or not any(p.requires_grad for p in leaves(ours))


def test_by_columns():
    a, b = tl.tensor(A), tl.tensor(B)
    rows = functional.jacobian(pair, (a, b))
    columns = functional.jacobian(pair, (a, b), vectorize=True, strategy="forward-mode")
    for p, q in zip(leaves(rows), leaves(columns), strict=True):
        np.testing.assert_allclose(host(p), host(q), rtol=1e-10, atol=1e-12)
    forward = functional.hessian(curve, tl.tensor(V), vectorize=True, outer_jacobian_strategy="forward-mode")
    np.testing.assert_allclose(host(forward), host(functional.hessian(curve, tl.tensor(V))), rtol=1e-10)


def test_against_finite_differences(device):
    v, h = tl.tensor(V), 1e-5
    steps = tl.eye(3, dtype=tl.float64) * h
    slopes = [(host(field(v + s)) - host(field(v - s))) / (2 * h) for s in steps]
    np.testing.assert_allclose(host(functional.jacobian(field, v)), np.stack(slopes, 1), rtol=1e-8, atol=1e-9)
    out, along = functional.jvp(field, v, tl.tensor(V))
    np.testing.assert_allclose(host(along), np.stack(slopes, 1) @ V, rtol=1e-8)
    np.testing.assert_allclose(host(out), host(field(v)))
    back = functional.vjp(field, v, tl.tensor(V))[1]
    np.testing.assert_allclose(host(back), V @ np.stack(slopes, 1), rtol=1e-8)


def test_recording_outside_does_not_matter():
    v = tl.tensor(V)
    with tl.no_grad():
        inside = functional.hessian(curve, v)
        along = functional.jvp(field, v, v)[1]
    np.testing.assert_allclose(host(inside), host(functional.hessian(curve, v)))
    np.testing.assert_allclose(host(along), host(functional.jvp(field, v, v)[1]))
    assert v.grad is None


def test_inputs_without_grad_count_under_create_graph():
    """PyTorch's zeros here are a trap; the Jacobian is the same in both modes."""
    v = tl.tensor(V)
    on = functional.jacobian(field, v, create_graph=True)
    np.testing.assert_allclose(host(on), host(functional.jacobian(field, v)))


def test_strict():
    v, w = tl.tensor(V), tl.tensor(V)
    for call in (
        functional.jacobian,
        functional.hessian,
        functional.vjp,
        functional.jvp,
        functional.vhp,
        functional.hvp,
    ):
        for f in (lambda a, b: (a * a).sum(), lambda a, b: tl.ones(())):
            with pytest.raises(GraphError, match=r"does not depend on input [01], which strict=True does not allow"):
                call(f, (v, w), strict=True)
            call(f, (v, w), **({"v": (v, w)} if call in (functional.jvp, functional.vhp, functional.hvp) else {}))
    assert not functional.jacobian(lambda a, b: a * 2, (v, w))[1].any()
    with pytest.raises(GraphError, match="the gradient of input 0 does not depend on input 0"):
        functional.hessian(lambda a: (a * 2).sum(), v, strict=True)
    assert functional.jacobian(lambda a: a * 2, v, strict=True).shape == (3, 3)
    with pytest.raises(GraphError, match="the Jacobian of input 0 does not depend on input 0"):
        functional.jacobian(lambda a: a * 2, v, strict=True, create_graph=True)


def test_wrong_calls():
    v = tl.tensor(V)
    for call, kind, text in (
        (lambda: functional.hessian(field, v), ShapeError, "must return a tensor of one element, it returned float64 (3,)"),
        (lambda: functional.hvp(field, v, v), ShapeError, "must return a tensor of one element"),
        (lambda: functional.vjp(field, v), ArgumentError, "v may only be left out where output is a single element"),
        (lambda: functional.jvp(field, v), ArgumentError, "v may only be left out where input is a single element"),
        (lambda: functional.vjp(field, v, v[:2]), ShapeError, "v 0 must be a tensor of shape (3,), got float64 (2,)"),
        (lambda: functional.vjp(pair, (tl.tensor(A), tl.tensor(B)), v), ArgumentError, "2 tensors of v are needed"),
        (lambda: functional.jacobian(lambda x: 3, v), DTypeError, "must return a tensor or a tuple of tensors"),
        (lambda: functional.jacobian(field, 3.0), DTypeError, "inputs must be a tensor or a tuple of tensors, not 3.0"),
        (lambda: functional.jacobian(field, tl.arange(3)), DTypeError, "only floating-point tensors have derivatives"),
        (lambda: functional.jacobian(field, v, strategy="fast"), ArgumentError, "'reverse-mode' or 'forward-mode'"),
        (lambda: functional.jacobian(field, v, strategy="forward-mode"), ArgumentError, "needs vectorize=True"),
    ):  # fmt: skip
        with pytest.raises(kind) as caught:
            call()
        assert text in str(caught.value).replace(" on cpu", "")


def test_empty_and_0d(device):
    for vectorize, create_graph in itertools.product((False, True), repeat=2):
        how = {"vectorize": vectorize, "create_graph": create_graph}
        assert functional.jacobian(lambda x: x * 2, tl.zeros(0), **how).shape == (0, 0)
        assert functional.jacobian(lambda x: x.sum(), tl.zeros(2, 0), **how).shape == (2, 0)
        assert functional.jacobian(lambda x: x**2, tl.tensor(3.0), **how).item() == 6
