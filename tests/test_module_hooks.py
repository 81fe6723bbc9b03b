"""Hooks of a module's backward pass and of its failed calls, beside PyTorch's: order, values, replaced gradients."""

import warnings

import numpy as np
import pytest

import tensorlite as tl
from tensorlite import errors, nn


def run(t, hooks, requires_grad=True, calls=1):
    """The log of the hooks and the gradients of a small net in library t."""
    net = t.nn.Sequential(t.nn.Linear(3, 4), t.nn.Tanh(), t.nn.Linear(4, 2)).double()
    rng = np.random.default_rng(0)
    with t.no_grad():
        for p in net.parameters():
            p.copy_(t.tensor(rng.standard_normal(tuple(p.shape))))
    log = []

    def note(name, *groups):
        log.append((name, *[[None if g is None else g.detach().numpy().copy() for g in group] for group in groups]))

    handles = hooks(net, note)
    x = t.tensor(rng.standard_normal((5, 3)), requires_grad=requires_grad)
    for _ in range(calls):
        net(x).square().sum().backward()
    for h in handles:
        h.remove()
    net(x).sum().backward()  # no hook any more
    grads = [p.grad for p in net.parameters()] + ([x.grad] if requires_grad else [])
    return log, [g.numpy() for g in grads]


HOOKS = {
    "both kinds, everywhere": lambda net, note: [
        *[m.register_full_backward_hook(lambda m, gi, go: note(type(m).__name__, gi, go)) for m in net],
        *[m.register_full_backward_pre_hook(lambda m, go: note("before " + type(m).__name__, go)) for m in net],
        net.register_full_backward_hook(lambda m, gi, go: note("net", gi, go)),
    ],
    "replaced on the way in": lambda net, note: [
        net[1].register_full_backward_pre_hook(lambda m, go: (go[0] * 2,)),
        net[1].register_full_backward_hook(lambda m, gi, go: note("tanh", gi, go)),
    ],
    "replaced on the way out": lambda net, note: [
        net[2].register_full_backward_hook(lambda m, gi, go: (gi[0] * -3,)),
        net[2].register_full_backward_hook(lambda m, gi, go: note("second", gi, go)),
        net[2].register_full_backward_hook(lambda m, gi, go: note("first", gi, go), prepend=True),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", HOOKS)
@pytest.mark.parametrize("requires_grad", [True, False])
def test_backward_hooks_as_pytorchs(name, requires_grad):
    torch = pytest.importorskip("torch")
    ours, theirs = run(tl, HOOKS[name], requires_grad, 2), run(torch, HOOKS[name], requires_grad, 2)
    assert [entry[0] for entry in ours[0]] == [entry[0] for entry in theirs[0]]
    for a, b in zip(ours[0], theirs[0], strict=True):
        for group, other in zip(a[1:], b[1:], strict=True):
            assert [g is None for g in group] == [g is None for g in other]
            for g, h in zip(group, other, strict=True):
                if g is not None:
                    np.testing.assert_allclose(g, h, rtol=1e-10)
    for a, b in zip(ours[1], theirs[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10)


def test_second_derivatives_pass_hooks(device):
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    seen = []
    net[1].register_full_backward_hook(lambda m, gi, go: seen.append(gi[0].shape))
    x = tl.randn(2, 3, dtype=tl.float64, requires_grad=True)
    assert tl.gradgradcheck(lambda x: net(x), (x,)) and seen[0] == (2, 4)


def test_tuples_and_wrong_answers():
    class Two(nn.Module):
        def forward(self, a, n, b):
            return a * n, (b, "text")[0]

    two, seen = Two(), []
    handle = two.register_full_backward_hook(lambda m, gi, go: seen.append((gi, go)))
    a, b = tl.ones(2, requires_grad=True), tl.ones(3, requires_grad=True)
    p, q = two(a, 4, b)
    (p.sum() + 2 * q.sum()).backward()
    ((gi, go),) = seen
    assert gi[0].tolist() == [4, 4] and gi[1] is None and gi[2].tolist() == [2, 2, 2] and go[0].tolist() == [1, 1]
    assert a.grad.tolist() == [4, 4] and b.grad.tolist() == [2, 2, 2]
    handle.remove()
    two.register_full_backward_hook(lambda m, gi, go: gi[:1])
    with pytest.raises(errors.ArgumentError, match="the hook returned 1 gradients, 3 are needed"):
        two(a, 4, b)[0].sum().backward()
    odd = nn.Identity()
    odd.register_full_backward_hook(lambda m, gi, go: None)
    with pytest.raises(errors.DTypeError, match="the result of Identity must be a tensor or a tuple"):
        odd({"a": a})


def test_hooks_that_are_called_always():
    log = []
    linear = nn.Linear(3, 2)
    linear.register_forward_hook(lambda m, args, out: log.append("usual"))
    linear.register_forward_hook(lambda m, args, out: log.append(out), always_call=True)
    with pytest.raises(errors.ShapeError, match="input has 4 features"):
        linear(tl.ones(1, 4))
    assert log == [None]
    out = linear(tl.ones(1, 3))
    assert log[1] == "usual" and log[2] is out


def old_hooks(t, kind):
    """What old hooks see in library t: their log, the categories of the warnings, the gradient."""
    linear, tanh, log = t.nn.Linear(2, 2, bias=False).double(), t.nn.Tanh(), []
    with t.no_grad():
        linear.weight.copy_(t.tensor([[1.0, 2.0], [3.0, 4.0]]))

    def hook(m, grad_in, grad_out):
        if m is tanh:
            log.extend(g.detach().numpy().copy() for g in (*grad_in, *grad_out))
            if kind == "replaced":
                return (grad_in[0] * 2,)

    every = t.nn.modules.module.register_module_backward_hook
    handle = every(hook) if kind == "everywhere" else tanh.register_backward_hook(hook)
    x = t.tensor([[0.5, -1.0]], dtype=t.float64, requires_grad=True)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        tanh(x if kind == "leaf" else linear(x)).sum().backward()
    handle.remove()
    return [*log, x.grad.numpy()], [w.category.__name__ for w in said]


@pytest.mark.parametrize("kind", ["plain", "replaced", "leaf", "everywhere"])
def test_old_backward_hooks_as_pytorchs(kind):
    torch = pytest.importorskip("torch")
    theirs = old_hooks(torch, kind)
    torch.nn.modules.module._global_is_full_backward_hook = None  # it remembers the kind of a hook that is gone
    ours = old_hooks(tl, kind)
    assert ours[1] == theirs[1] and len(ours[0]) == len(theirs[0]) == 3
    for a, b in zip(ours[0], theirs[0], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_old_and_full_backward_hooks_do_not_mix():
    tanh = nn.Tanh()
    tanh.register_full_backward_hook(lambda *a: None)
    with pytest.raises(RuntimeError, match="Tanh cannot have both the old and the full kind"):
        tanh.register_backward_hook(lambda *a: None)
    tanh = nn.Tanh()
    tanh.register_backward_hook(lambda *a: None)
    with pytest.raises(RuntimeError, match="Tanh cannot have both the old and the full kind"):
        tanh.register_full_backward_hook(lambda *a: None)
