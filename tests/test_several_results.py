"""Operations with several results: plain and fused ones, in gradients of order 1 and 2, watched, hooked and freed."""

import numpy as np
import pytest
from test_autograd import equal, leaf

import tensorlite as tl
from tensorlite.errors import GraphError, InplaceError
from tensorlite.op import Fused, Op, registry


class _Polar(Op):
    """Saves an input and all results."""

    name, formula, local, outputs = "test_polar", "r cos x, r sin x", ("...", "..."), 2

    def forward(b, r, x):
        return r * b.xp.cos(x), r * b.xp.sin(x)

    rules = (
        lambda m, g, x: g[0] * m.cos(x) + g[1] * m.sin(x),
        lambda m, g, out: g[1] * out[0] - g[0] * out[1],
    )


class _TopSum(Op):
    """An integer result beside a floating one, an argument, an extra; rules that hand gradients on as they are."""

    name, formula, local, outputs, lends = "test_top", "x, argmax x, sum x", ("",), 3, True
    extras = ("shape",)

    def forward(b, x, *, dim):
        return (x + 0, b.as_array(x.argmax(axis=dim)), b.as_array(x.sum(axis=dim, keepdims=True))), (x.shape,)

    rules = (lambda m, g, shape: g[0] + m.expand(g[2], shape=shape),)


class _FusedPair(Fused):
    name, formula, local, outputs = "test_pair", "x^2 y, x y^2", ("...", "..."), 2

    def forward(b, x, y):
        return x * x * y, x * y * y

    def backward(b, g, needs, into, x, y):
        gx = 2 * x * y * g[0] + y * y * g[1] if needs[0] else None
        return gx, (x * x * g[0] + 2 * x * y * g[1] if needs[1] else None)

    def plain(x, y):
        return x * x * y, x * y * y


for _op in (_Polar, _TopSum, _FusedPair):
    del registry[_op.name]  # other tests go through all registered operations; these are none of theirs


SEVERAL = {
    "rules": lambda x, y: _Polar.apply(x, y),
    "fused": lambda x, y: _FusedPair.apply(x, y),
    "extras": lambda x, y: _TopSum.apply(x * y, dim=0)[::2],
    "first alone": lambda x, y: _Polar.apply(x, y)[0],
    "second alone": lambda x, y: _FusedPair.apply(x, y)[1],
    "chained": lambda x, y: _Polar.apply(*_FusedPair.apply(x, y)),
    "crossed": lambda x, y: _Polar.apply(x, y)[0] * _Polar.apply(y, x)[1] + _FusedPair.apply(x, x)[0],
    "one result twice": lambda x, y: (lambda a, b: a * a + b * a)(*_Polar.apply(x, y)),
}


@pytest.mark.parametrize("name", SEVERAL)
def test_operations_of_several_results(device, name):
    x, y = leaf(0.3, -1.2, 0.8), leaf(1.1, 0.4, -0.6)
    assert tl.gradcheck(SEVERAL[name], (x, y)) and tl.gradgradcheck(SEVERAL[name], (x, y))
    z = y.detach()
    assert tl.gradcheck(lambda x: SEVERAL[name](x, z), (x,)) and tl.gradgradcheck(lambda x: SEVERAL[name](x, z), (x,))


def test_several_results_are_watched_hooked_and_freed(device):
    x, y = leaf(0.3), leaf(1.1)
    a, b = _Polar.apply(x, y)
    assert a.grad_fn.op.name == "pick" and not a.is_leaf
    b.add_(1)
    with pytest.raises(InplaceError, match=r"test_polar .* was changed in place by add_"):
        a.backward()
    a, b = _Polar.apply(x, y)
    b.retain_grad()
    a.register_hook(lambda g: g * 2)
    (a + b * 3).backward()
    equal(b.grad, [3])
    equal(x.grad, 2 * np.cos([1.1]) + 3 * np.sin([1.1]))
    with pytest.raises(GraphError, match="test_polar has freed"):
        a.backward()
    top, index, _ = _TopSum.apply(x, dim=0)
    assert index.dtype == tl.int64 and not index.requires_grad and top.requires_grad
    with tl.no_grad():
        assert not _Polar.apply(x, y)[0].requires_grad
