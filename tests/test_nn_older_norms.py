"""The older weight_norm and spectral_norm beside those of test_nn_parametrize.py: second gradients, gradient penalties, taken off again."""

import copy

import numpy as np
import pytest
from numeric import host
from test_nn_parametrize import CASES, LAYERS, WAYS, close, given, made

import tensorlite as tl
from tensorlite import nn


@pytest.mark.parametrize("way, layer", [c for c in CASES if c[0][:3] == "old" and c[1] in ("linear", "transposed")])
def test_second_gradients_of_the_older_ones(way, layer):
    """Through the hook: the parameters are changed by functional_call."""
    ours, *_ = made(way, layer)
    names, x = [n for n, _ in ours.eval().named_parameters()], given(tl, layer)
    parts = [(p.detach() + 0.1 * tl.randn_like(p)).requires_grad_() for p in ours.parameters()]
    call = lambda *p: tl.func.functional_call(ours, dict(zip(names, p, strict=True)), x)  # noqa: E731
    assert tl.autograd.gradcheck(call, parts) and tl.autograd.gradgradcheck(call, parts)


@pytest.mark.parametrize("way", ["weight_norm", "spectral_norm", "old weight_norm", "old spectral_norm"])
def test_a_gradient_penalty_agrees_with_pytorch(device, way):
    """As a critic is trained: two calls in training, which move spectral norm's vectors, and a gradient of a gradient."""
    ours, theirs, torch = made(way, "linear")
    ours.load_state_dict({k: tl.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    for lib, net in ((tl, ours), (torch, theirs)):
        x = given(lib, "linear").requires_grad_()
        (slope,) = lib.autograd.grad((net(x).tanh() ** 2).sum(), x, create_graph=True)
        loss = ((slope**2).sum(1).sqrt() - 1).pow(2).mean() + net(-2 * x).tanh().mean()
        loss.backward()
    for (name, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(host(p.grad), q.grad.numpy(), rtol=1e-6, atol=1e-9, err_msg=name)
    close(ours, theirs)


@pytest.mark.parametrize("kind", ["weight_norm", "spectral_norm"])
@pytest.mark.parametrize("layer", LAYERS)
def test_removing_agrees_with_pytorch(kind, layer):
    """After a call in training, which leaves spectral norm's vectors elsewhere."""
    ours, theirs, torch = made(f"old {kind}", layer)
    ours.load_state_dict({k: tl.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    for lib, module in ((tl, ours), (torch, theirs)):
        module(given(lib, layer))
        assert getattr(lib.nn.utils, f"remove_{kind}")(module) is module
        assert isinstance(module.weight, lib.nn.Parameter) and not module._forward_pre_hooks
    assert list(ours.state_dict()) == list(theirs.state_dict()) and not ours._state_hooks
    close(ours, theirs)
    assert getattr(nn.utils, kind)(ours) is ours  # it may be put on again


def test_the_state_of_the_older_spectral_norm_says_how_it_is_kept():
    pytest.importorskip("torch")
    ours, theirs, _ = made("old spectral_norm", "linear")
    assert ours.state_dict()._metadata == theirs.state_dict()._metadata


@pytest.mark.parametrize("way", [w for w in WAYS if "spectral" in w])
def test_two_calls_before_one_backward(device, way):
    """As a discriminator sees real and made examples: the second call moves the vectors that the first one has used."""
    ours, theirs, torch = made(way, "linear")
    ours.load_state_dict({k: tl.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    for lib, module in ((tl, ours), (torch, theirs)):
        x = given(lib, "linear")
        (module(x) - module(2 * x) ** 2).sum().backward()
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(host(p.grad), q.grad.numpy(), rtol=1e-7, atol=1e-9)


def test_the_computed_weight_of_a_copy_has_its_own_memory(device):
    layer = nn.utils.weight_norm(nn.Linear(2, 2))
    other = copy.deepcopy(layer)
    assert tl.equal(other.weight, layer.weight)
    before = host(layer.weight).copy()
    other.weight.zero_()
    assert np.array_equal(host(layer.weight), before)
