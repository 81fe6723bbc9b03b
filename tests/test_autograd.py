"""backward and grad with all their arguments, retained gradients, freed graphs, changes in place."""

import numpy as np
import pytest

import tensorlite as tl
from tensorlite.autograd import grad
from tensorlite.errors import ArgumentError, DeviceError, DTypeError, GraphError, InplaceError, ShapeError


def leaf(*values, **kw):
    return tl.tensor(list(values), dtype=tl.float64, requires_grad=True, **kw)


def values(t):
    return t.detach().cpu().numpy()


def equal(t, expected):
    np.testing.assert_allclose(values(t), expected, rtol=1e-12)


# ---------------------------------------------------------------- backward
def test_backward_of_a_scalar_and_of_one_element(device):
    x = leaf(1.0, 2.0)
    assert (x * x).sum().backward() is None
    equal(x.grad, [2, 4])
    y = leaf(3.0)
    (y * y).reshape(1, 1).backward()
    equal(y.grad, [6])
    z = leaf(5.0)
    z.backward()  # a leaf itself
    equal(z.grad, [1])


def test_gradients_accumulate_until_they_are_taken_away(device):
    x = leaf(1.0, 2.0)
    for n in (1, 2, 3):
        (x * x).sum().backward()
        equal(x.grad, [2 * n, 4 * n])
    kept = x.grad
    x.grad = None
    (x * 3).sum().backward()
    equal(x.grad, [3, 3])
    equal(kept, [6, 12])  # what was taken before is not written to
    x.grad.zero_()
    (x * 3).sum().backward()
    equal(x.grad, [3, 3])


def test_the_gradient_is_nobodys_memory(device):
    """add hands its gradient on as it is: two leaves, the root and a given gradient must not end up in one memory."""
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    g = tl.ones(2, dtype=tl.float64)
    (x + y).backward(g)
    x.grad.mul_(5)
    equal(y.grad, [1, 1])
    equal(g, [1, 1])
    (x + y).backward(g)
    equal(g, [1, 1])
    equal(y.grad, [2, 2])
    a, b = grad(x + y, (x, y), g)
    a.zero_()
    equal(b, [1, 1])
    equal(g, [1, 1])


def test_backward_with_a_gradient(device):
    x = leaf(1.0, 2.0)
    (x * x).backward(tl.tensor([1.0, 10.0], dtype=tl.float64))
    equal(x.grad, [2, 40])
    (x * x).backward(gradient=tl.tensor([1.0, 10.0]))  # float32: brought to the dtype of the result
    equal(x.grad, [4, 80])
    assert x.grad.dtype == tl.float64


def test_backward_of_several_tensors(device):
    x = leaf(1.0, 2.0)
    y = x * 2
    tl.autograd.backward([y.sum(), y], [None, tl.tensor([10.0, 100.0], dtype=tl.float64)])
    equal(x.grad, [22, 202])
    x.grad = None
    z = x * x
    tl.autograd.backward((z, z), (tl.ones(2, dtype=tl.float64), tl.ones(2, dtype=tl.float64)))  # one tensor twice
    equal(x.grad, [4, 8])


def test_retain_graph(device):
    x = leaf(1.0, 2.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    equal(x.grad, [4, 8])
    with pytest.raises(GraphError, match=r"this graph was walked before, and sum has freed .*retain_graph=True"):
        y.backward()
    s = (x + 1) - 2  # nothing saved, nothing freed: PyTorch too lets this pass
    s.backward(tl.ones(2))
    s.backward(tl.ones(2))


def test_a_part_of_a_graph_may_be_walked_again():
    x = leaf(1.0, 2.0)
    trunk = x.exp()
    (trunk * 2).sum().backward()
    with pytest.raises(GraphError, match="exp has freed what it saved"):
        (trunk * 3).sum().backward()


def test_backward_with_inputs(device):
    x, y, unused = leaf(1.0), leaf(2.0), leaf(3.0)
    mid = x * y
    out = mid * x
    out.backward(inputs=[y], retain_graph=True)
    assert x.grad is None and mid.grad is None
    equal(y.grad, [1])
    out.backward(inputs=(x, unused, mid), retain_graph=True)
    equal(x.grad, [4])
    equal(mid.grad, [1])
    equal(y.grad, [1])
    assert unused.grad is None
    out.backward(inputs=x)
    equal(x.grad, [8])
    with pytest.raises(ArgumentError, match="inputs"):
        (x * 2).backward(inputs=[])
    with pytest.raises(GraphError, match="does not require grad"):
        (x * 2).backward(inputs=[tl.ones(1)])


def test_backward_with_create_graph(device):
    x = leaf(1.0, 2.0)
    (x**3).sum().backward(create_graph=True)
    first, x.grad = x.grad, None
    equal(first, [3, 12])
    assert first.requires_grad
    (first.sum()).backward()
    equal(x.grad, [6, 12])


def test_create_graph_keeps_the_graph_and_adds_to_gradients(device):
    x = leaf(2.0)
    y = x**3
    y.backward(create_graph=True)
    y.backward(create_graph=True)
    equal(x.grad, [24])
    (g2,) = grad(x.grad, x)
    equal(g2, [24])  # twice 6 x


def test_what_backward_refuses():
    x = leaf(1.0, 2.0)
    with pytest.raises(GraphError, match=r"the start must be a scalar, this tensor has shape \(2,\); reduce it first"):
        (x * 2).backward()
    with pytest.raises(
        GraphError, match="this tensor has no graph: nothing it was computed from has requires_grad=True"
    ):
        tl.ones(1).backward()
    with tl.no_grad():
        y = x * 2
    with pytest.raises(GraphError, match=r"or it was computed under no_grad\(\) or detached"):
        y.sum().backward()
    with pytest.raises(ShapeError, match=r"gradient must be a tensor of shape \(2,\), got float32 \(3,\)"):
        (x * 2).backward(tl.ones(3))
    with pytest.raises(ShapeError, match=r"gradient must be a tensor of shape \(2,\), got 1.0"):
        (x * 2).backward(1.0)
    with pytest.raises(ArgumentError, match="2 tensors but 1 gradients"):
        tl.autograd.backward([x * 2, x * 3], [tl.ones(2)])
    assert x.grad is None


def test_a_gradient_on_another_device(device):
    if device == "cpu":
        pytest.skip("needs a device beside the CPU")
    x = leaf(1.0, 2.0)
    with pytest.raises(DeviceError, match=f"gradient is on cpu, the tensor on {device}"):
        (x * 2).backward(tl.ones(2, dtype=tl.float64, device="cpu"))


def test_integers_have_no_gradients():
    with pytest.raises(DTypeError, match="only floating-point tensors have gradients, this one is int64"):
        tl.tensor([1, 2], requires_grad=True)
    with pytest.raises(DTypeError, match="this one is bool; make it float first"):
        tl.tensor([True]).requires_grad_()
    x = leaf(1.5, 2.5)
    y = x.long()
    assert not y.requires_grad and not x.bool().requires_grad and not (x > 1).requires_grad
    (x * x.long()).sum().backward()
    equal(x.grad, [1, 2])


# ---------------------------------------------------------------- grad
def test_grad_leaves_grad_alone(device):
    x, y = leaf(1.0, 2.0), leaf(3.0)
    gx, gy = grad((x * y).sum(), [x, y])
    equal(gx, [3, 3])
    equal(gy, [3])
    assert x.grad is None and y.grad is None and not gx.requires_grad
    assert isinstance(grad((x * x).sum(), x), tuple)


def test_grad_of_inner_tensors_and_of_the_output_itself(device):
    x = leaf(2.0)
    mid = x * x
    out = mid * mid
    g = grad(out, (out, mid, x, mid))
    for got, expected in zip(g, (1, 8, 32, 8), strict=True):
        equal(got, [expected])


def test_grad_outputs(device):
    x = leaf(1.0, 2.0)
    u = tl.tensor([1.0, 10.0], dtype=tl.float64)
    equal(grad(x * x, x, u)[0], [2, 40])
    equal(grad([x * x, x.sum()], x, [u, None])[0], [3, 41])
    with pytest.raises(ArgumentError, match="2 tensors but 1 gradients"):
        grad([x * x, x], x, [u])


def test_unused_inputs(device):
    x, y = leaf(1.0), leaf(2.0)
    out = x * 2
    with pytest.raises(GraphError, match=r"the outputs do not depend on input 1, float64 \(1,\).*allow_unused=True"):
        grad(out, (x, y), retain_graph=True)
    gx, gy = grad(out, (x, y), allow_unused=True, retain_graph=True)
    assert gx.item() == 2 and gy is None
    gx, gy = grad(out, (x, y), materialize_grads=True)
    assert gy.item() == 0 and gy.dtype == tl.float64 and gy.device is y.device
    with pytest.raises(GraphError, match="does not require grad"):
        grad(out, tl.ones(1))
    with pytest.raises(ArgumentError, match="is_grads_batched needs grad_outputs"):
        grad(x * 2, x, is_grads_batched=True)
    with pytest.raises(ArgumentError, match="leave allow_unused out"):
        grad(x * 2, x, allow_unused=False, materialize_grads=True)


def test_grad_does_not_free_more_than_it_walks():
    """Only the nodes between output and input are walked, as in PyTorch: the rest stays."""
    x, y = leaf(2.0), leaf(3.0)
    a, b = x.exp(), y.exp()
    out = a * b
    grad(out, a, retain_graph=True)
    (g,) = grad(out, y)
    equal(g, [np.exp(5)])
    a.sum().backward()
    equal(x.grad, [np.exp(2)])


# ---------------------------------------------------------------- .grad, retain_grad, leaves
def test_assigning_grad(device):
    x = leaf(1.0, 2.0)
    x.grad = tl.tensor([5.0, 6.0], dtype=tl.float64)
    (x * 1).sum().backward()
    equal(x.grad, [6, 7])
    for wrong in (tl.ones(3), 3.0, [1, 2]):
        with pytest.raises(ShapeError, match=r"grad: a tensor of shape \(2,\)"):
            x.grad = wrong
    del x.grad
    assert x.grad is None
    y = tl.ones(2)
    y.grad = tl.zeros(2)  # kept also without requires_grad
    assert y.grad.tolist() == [0, 0] and not y.requires_grad


def test_retain_grad(device):
    x = leaf(1.0, 2.0)
    y = x * 2
    y.retain_grad()
    assert y.grad is None
    z = (y * y).sum()
    z.backward(retain_graph=True)
    equal(y.grad, [4, 8])
    z.backward()
    equal(y.grad, [8, 16])  # accumulates, as in PyTorch
    y.grad.zero_()
    equal(x.grad, [16, 32])
    x.retain_grad()  # nothing to do for a leaf
    (x * 1).sum().backward()
    equal(x.grad, [17, 33])
    with pytest.raises(GraphError, match="retain_grad: this tensor does not require grad"):
        tl.ones(1).retain_grad()


def test_results_do_not_keep_gradients_unasked():
    y = leaf(1.0) * 2
    y.backward()
    assert y.grad is None


def test_requires_grad_on_and_off(device):
    x = tl.tensor([1.0, 2.0])
    assert not x.requires_grad and x.is_leaf and x.grad_fn is None
    assert x.requires_grad_() is x and x.requires_grad
    (x * x).sum().backward()
    x.requires_grad = False
    assert x.grad.tolist() == [2, 4] and not (x * x).requires_grad
    x.requires_grad_(True)
    (x * x).sum().backward()
    assert x.grad.tolist() == [4, 8]
    y = x * 2
    assert not y.is_leaf and y.grad_fn.op.name == "mul" and y.grad_fn.next_functions[0][0] is x.node
    with pytest.raises(GraphError, match=r"only a leaf can be switched off; use .detach\(\)"):
        y.requires_grad_(False)


def test_detach(device):
    x = leaf(1.0, 2.0)
    y = (x * 2).detach()
    assert not y.requires_grad and y.is_leaf
    (x * y).sum().backward()
    equal(x.grad, [2, 4])
    z = x * 3
    assert z.detach_() is z and not z.requires_grad


# ---------------------------------------------------------------- saved values and changes in place
def test_the_error_names_both_ops():
    x = leaf(1.0, 2.0)
    y = x.exp()
    z = y * 3
    y.add_(1)
    with pytest.raises(InplaceError, match=r"a value that exp \(2,\) saved was changed in place by add_ afterwards"):
        z.sum().backward()


def test_a_change_between_two_derivatives_is_noticed(device):
    """The recorded first derivative holds the same memory as the graph it came from."""
    w = leaf(2.0)
    for f in (lambda: w * w * w, lambda: w.sin(), lambda: tl.nn.functional.linear(w[None], w[None])):
        (g,) = grad(f().sum(), w, create_graph=True)
        with tl.no_grad():
            w.add_(1)
        with pytest.raises(InplaceError, match="changed in place by add_"):
            g.sum().backward()


def test_a_change_of_what_nobody_saved_is_fine(device):
    x = leaf(1.0, 2.0)
    y = x * 2
    z = y + 1
    y.zero_()
    z.mul_(2)
    z.sum().backward()
    equal(x.grad, [4, 4])
