"""Hooks of tensors: what they see, in which order, what they may return, and when they run."""

import pytest
from test_autograd import equal, leaf, values

import tensorlite as tl
from tensorlite.autograd import grad
from tensorlite.errors import GraphError, ShapeError


def test_hooks_replace_the_gradient(device):
    x = leaf(1.0, 2.0)
    y = x * 2
    y.register_hook(lambda g: g * 10)
    seen = []
    x.register_hook(lambda g: seen.append(values(g).tolist()))
    (y * 1).sum().backward()
    equal(x.grad, [20, 20])
    assert seen == [[20, 20]]


def test_hooks_see_the_complete_gradient_in_order_and_can_be_removed(device):
    x = leaf(1.0)
    y = x * 1
    log = []
    first = y.register_hook(lambda g: log.append(("first", g.item())) or g + 1)
    y.register_hook(lambda g: log.append(("second", g.item())))
    out = y * 2 + y * 3 + y.sum()
    out.backward(retain_graph=True)
    assert log == [("first", 6), ("second", 7)] and x.grad.item() == 7
    first.remove()
    first.remove()
    log.clear()
    x.grad = None
    out.backward(retain_graph=True)
    assert log == [("second", 6)] and x.grad.item() == 6
    with y.register_hook(lambda g: g * 0):
        out.backward(retain_graph=True)
    assert x.grad.item() == 6
    out.backward()
    assert x.grad.item() == 12


def test_a_hook_that_removes_itself_or_adds_another():
    x = leaf(1.0)
    log = []
    handle = x.register_hook(
        lambda g: (log.append(1), handle.remove(), x.register_hook(lambda g: log.append(2)), None)[-1]
    )
    (x * 1).backward()
    (x * 1).backward()
    assert log == [1, 2]


def test_retained_gradients_are_those_after_the_hooks():
    x = leaf(1.0)
    y = x * 1
    y.retain_grad()
    y.register_hook(lambda g: g * 10)
    (y * 2).backward()
    equal(y.grad, [20])


def test_hooks_on_leaves_see_each_walk_and_inputs_of_grad(device):
    x = leaf(1.0)
    x.register_hook(lambda g: g * 2)
    for n in (1, 2):
        (x * 3).backward()
        equal(x.grad, [6 * n])
    equal(grad(x * 3, x)[0], [6])
    y = x * 2
    y.register_hook(lambda g: g * 100)
    equal(grad(y * 3, y)[0], [300])


def test_hooks_under_create_graph(device):
    x = leaf(2.0)
    y = x * x
    y.register_hook(lambda g: g * g)
    (g,) = grad(y * 3, x, create_graph=True)  # 9 * 2 x
    equal(g, [36])
    equal(grad(g, x)[0], [18])


def test_wrong_hooks():
    x = leaf(1.0, 2.0)
    handle = x.register_hook(lambda g: g.sum())
    with pytest.raises(ShapeError, match=r"hook: a gradient of shape \(2,\) on cpu is needed, got float64 \(\)"):
        (x * 1).sum().backward()
    handle.remove()
    handle = x.register_hook(lambda g: 3)
    with pytest.raises(ShapeError, match=r"hook: .* got 3"):
        (x * 1).sum().backward()
    handle.remove()
    x.register_hook(lambda g: g.float())  # another dtype is brought back to that of x
    (x * 1).sum().backward()
    assert x.grad.dtype == tl.float64
    with pytest.raises(GraphError, match="register_hook: this tensor does not require grad"):
        tl.ones(1).register_hook(print)


def test_post_accumulate_hooks(device):
    """What makes an optimizer step inside of backward."""
    x = leaf(1.0, 2.0)
    log = []

    def step(p):
        assert p is x
        log.append(values(p.grad).tolist())
        p.grad = None

    handle = x.register_post_accumulate_grad_hook(step)
    (x * 3).sum().backward()
    (x * 4).sum().backward()
    assert log == [[3, 3], [4, 4]] and x.grad is None
    grad((x * 2).sum(), x)
    assert len(log) == 2  # nothing was accumulated
    handle.remove()
    (x * 4).sum().backward()
    equal(x.grad, [4, 4])
    with pytest.raises(GraphError, match="only for leaves that require grad"):
        (x * 2).register_post_accumulate_grad_hook(step)


def test_an_error_in_a_hook_leaves_recording_on():
    x = leaf(1.0)

    def fails(g):
        assert not tl.is_grad_enabled()
        raise ZeroDivisionError

    x.register_hook(fails)
    with pytest.raises(ZeroDivisionError):
        (x * 1).backward()
    assert tl.is_grad_enabled()
