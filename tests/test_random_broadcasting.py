"""Every elementwise operation of two tensors on random shapes that broadcast: value and gradients against PyTorch's.

Without PyTorch: the value against the same operation on arrays that were broadcast before, the gradient against the sum of its.
"""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from hypothesis.extra.numpy import mutually_broadcastable_shapes
from numeric import host

import tensorlite as tl
from tensorlite.elementwise import Elementwise
from tensorlite.op import registry

try:
    import torch
except ImportError:
    torch = None

BINARY = sorted(
    name for name, op in registry.items()
    if issubclass(op, Elementwise) and len(op.inputs) == 2 and op.rules is not None and hasattr(tl, name)
)  # fmt: skip
SHAPES = mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=3, min_side=0)


def _both(t, name, x, y, w):
    out = getattr(t, name)(x, y)
    return out, t.autograd.grad((out * w).sum(), (x, y), allow_unused=True)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", BINARY)
@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(shapes=SHAPES, seed=st.integers(0, 99))
def test_two_tensors(name, shapes, seed):
    rng = np.random.default_rng(seed)
    a, b = (np.asarray(rng.uniform(0.5, 1.5, s)) for s in shapes.input_shapes)
    w = rng.uniform(-1, 1, shapes.result_shape)
    x, y = tl.tensor(a, requires_grad=True), tl.tensor(b, requires_grad=True)
    out, grads = _both(tl, name, x, y, tl.tensor(w))
    assert tuple(out.shape) == shapes.result_shape
    if torch is not None and hasattr(torch, name):
        p, q = torch.tensor(a, requires_grad=True), torch.tensor(b, requires_grad=True)
        try:
            want, wanted = _both(torch, name, p, q, torch.tensor(w))
        except RuntimeError as e:
            assert "not implemented" in str(e) or "does not require grad" in str(e)
            return
        want, wanted = want.detach().numpy(), [np.zeros(g.shape) if v is None else v.numpy()
                                                for v, g in zip(wanted, (a, b), strict=True)]  # fmt: skip
    else:
        wide = [np.broadcast_to(v, shapes.result_shape).copy() for v in (a, b)]
        p, q = (tl.tensor(v, requires_grad=True) for v in wide)
        want, wanted = _both(tl, name, p, q, tl.tensor(w))
        want = host(want)
        wanted = [host(_summed(g, v.shape)) for g, v in zip(wanted, (a, b), strict=True)]
    np.testing.assert_allclose(host(out), want, rtol=1e-9, atol=1e-12)
    for g, v in zip(grads, wanted, strict=True):
        np.testing.assert_allclose(0.0 * v if g is None else host(g), v, rtol=1e-8, atol=1e-9)


def _summed(g, shape):
    """g summed over the dimensions that were repeated."""
    g = host(g)
    g = g.sum(axis=tuple(range(g.ndim - len(shape))))
    return g.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1 and g.shape[i] != 1), keepdims=True)
