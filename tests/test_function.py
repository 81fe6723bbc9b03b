"""tl.autograd.Function: operations of a user's own, in every form that PyTorch's has, and what is refused."""

import gc
import weakref

import numpy as np
import pytest

import tensorlite as tl
from tensorlite.autograd import Function
from tensorlite.errors import GraphError


class Cube(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * 3 * x**2


class SinCos(Function):
    """Two results, both saved as results."""

    @staticmethod
    def forward(ctx, x):
        s, c = x.sin(), x.cos()
        ctx.save_for_backward(s, c)
        return s, c

    @staticmethod
    def backward(ctx, gs, gc_):
        s, c = ctx.saved_tensors
        return gs * c - gc_ * s


class Exp(Function):
    """The result kept as an attribute."""

    @staticmethod
    def forward(ctx, x):
        ctx.y = x.exp()
        return ctx.y

    @staticmethod
    def backward(ctx, g):
        return g * ctx.y


class Scale(Function):
    """setup_context, an argument that is no tensor, keyword and default."""

    @staticmethod
    def forward(x, w, power=1):
        return x * w**power

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, w, ctx.power = inputs
        ctx.save_for_backward(x, w)

    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        gx = g * w**ctx.power if ctx.needs_input_grad[0] else None
        gw = g * x * ctx.power * w ** (ctx.power - 1) if ctx.needs_input_grad[1] else None
        return gx, gw, None


def leaf(*values, **kw):
    return tl.tensor(list(values), dtype=tl.float64, requires_grad=True, **kw)


def values(t):
    return t.detach().cpu().numpy()


def test_first_and_higher_derivatives(device):
    x = leaf(1.0, 2.0, -3.0)
    y = Cube.apply(x)
    assert y.grad_fn is not None and y.requires_grad and not y.is_leaf
    for expected in (3 * values(x) ** 2, 6 * values(x), np.full(3, 6.0)):
        (y,) = tl.autograd.grad(y.sum(), x, create_graph=True)
        np.testing.assert_allclose(values(y), expected)


@pytest.mark.parametrize("f", [Cube.apply, Exp.apply, lambda x: SinCos.apply(x)[0] * 2 + SinCos.apply(x)[1]])
def test_gradcheck_of_functions(device, f):
    x = leaf(0.3, 1.2, -0.7)
    assert tl.gradcheck(f, (x,)) and tl.gradgradcheck(f, (x,))


def test_keywords_and_setup_context(device):
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    for call in (
        lambda: Scale.apply(x, w, 2),
        lambda: Scale.apply(x, power=2, w=w),
        lambda: Scale.apply(w=w, x=x, power=2),
    ):
        gx, gw = tl.autograd.grad(call().sum(), (x, w))
        np.testing.assert_allclose(values(gx), [9, 16])
        np.testing.assert_allclose(values(gw), [2 * 3, 2 * 2 * 4])
    assert tl.gradcheck(Scale.apply, (x, w)) and tl.gradgradcheck(lambda x, w: Scale.apply(x, w, 3), (x, w))


def test_needs_input_grad_says_what_is_wanted():
    seen = []

    class Product(Function):
        @staticmethod
        def forward(ctx, x, y, n):
            assert ctx.needs_input_grad == (True, False, False)
            ctx.save_for_backward(x, y)
            return x * y * n

        @staticmethod
        def backward(ctx, g):
            seen.append(ctx.needs_input_grad)
            return g * ctx.saved_tensors[1] * 2, None, None

    x = leaf(1.0)
    Product.apply(x, tl.ones(1, dtype=tl.float64), 2).backward()
    assert seen == [(True, False, False)] and x.grad.item() == 2

    class Two(Function):
        forward = staticmethod(lambda ctx, x, y: x + y)

        @staticmethod
        def backward(ctx, g):
            seen.append(ctx.needs_input_grad)
            return g, g

    y = leaf(1.0)
    tl.autograd.grad(Two.apply(x, y), y)  # x is not asked for, so it is not needed
    assert seen[-1] == (False, True)


def test_several_results_each_alone(device):
    x = leaf(0.3, 1.2)
    s, c = SinCos.apply(x)
    (only,) = tl.autograd.grad(c.sum(), x, retain_graph=True)
    np.testing.assert_allclose(values(only), -np.sin(values(x)))
    (both,) = tl.autograd.grad((s * c).sum(), x, create_graph=True)
    np.testing.assert_allclose(values(both), np.cos(2 * values(x)))
    (second,) = tl.autograd.grad(both.sum(), x)
    np.testing.assert_allclose(values(second), -2 * np.sin(2 * values(x)))


def test_results_without_gradient():
    given = []

    class Parts(Function):
        @staticmethod
        def forward(ctx, x):
            order, rank, note = x * 2, (x > 1).long(), "a note"
            constant = x + 1
            ctx.mark_non_differentiable(constant)
            return order, rank, constant, note, None

        @staticmethod
        def backward(ctx, *gs):
            given.append(gs)
            return gs[0] * 2

    x = leaf(1.0, 2.0)
    order, rank, constant, note, nothing = Parts.apply(x)
    assert order.requires_grad and not rank.requires_grad and not constant.requires_grad
    assert rank.dtype == tl.int64 and note == "a note" and nothing is None
    order.sum().backward()
    np.testing.assert_array_equal(values(x.grad), [2, 2])
    g = given[0]
    assert len(g) == 5 and g[3] is None and g[4] is None
    assert g[1].dtype == tl.int64 and values(g[2]).tolist() == [0, 0]


@pytest.mark.parametrize("materialize", [True, False])
def test_materialize_grads(materialize):
    given = []

    class Two(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(materialize)
            return x * 1, x * 2

        @staticmethod
        def backward(ctx, g, h):
            given.append((g, h))
            return h * 2

    x = leaf(1.0)
    Two.apply(x)[1].backward()
    g, h = given[0]
    assert h.item() == 1 and (g.item() == 0 if materialize else g is None)


def test_none_gradients_stop_there():
    class Stop(Function):
        forward = staticmethod(lambda ctx, x, y: x * y)
        backward = staticmethod(lambda ctx, g: (None, g))

    x, y = leaf(1.0), leaf(2.0)
    Stop.apply(x * 3, y).backward()
    assert x.grad is None and y.grad.item() == 1


def test_no_graph_where_none_is_wanted():
    x = leaf(1.0)
    assert not Cube.apply(x.detach()).requires_grad
    with tl.no_grad():
        assert not Cube.apply(x).requires_grad
    with tl.inference_mode():
        assert not Cube.apply(x).requires_grad


def test_forward_does_not_record_and_backward_only_under_create_graph():
    modes = []

    class Watch(Function):
        @staticmethod
        def forward(ctx, x):
            modes.append(tl.is_grad_enabled())
            return x * 2

        @staticmethod
        def backward(ctx, g):
            modes.append(tl.is_grad_enabled())
            return g * 2

    x = leaf(1.0)
    Watch.apply(x).backward()
    tl.autograd.grad(Watch.apply(x), x, create_graph=True)
    assert modes == [False, False, False, True] and tl.is_grad_enabled()


def test_identity_returns_memory_of_its_own(device):
    """Gradient reversal, the best known Function: it returns its input (or a view of it)."""

    class Reverse(Function):
        forward = staticmethod(lambda ctx, x: x.view_as(x))
        backward = staticmethod(lambda ctx, g: -g)

    class Same(Function):
        forward = staticmethod(lambda ctx, x: x)
        backward = staticmethod(lambda ctx, g: -g)

    for f in (Reverse, Same):
        x = leaf(1.0, 2.0)
        y = f.apply(x)
        assert y is not x
        y.add_(1)  # may be changed, and x does not see it
        np.testing.assert_array_equal(values(x), [1, 2])
        (y * y).sum().backward()
        np.testing.assert_array_equal(values(x.grad), [-4, -6])


def test_one_tensor_returned_twice():
    class Twice(Function):
        @staticmethod
        def forward(ctx, x):
            y = x * 2
            return y, y

        backward = staticmethod(lambda ctx, g, h: 2 * g + 2 * h)

    x = leaf(1.0)
    a, b = Twice.apply(x)
    a.add_(5)
    assert b.item() == 2
    (a + 10 * b).backward()
    assert x.grad.item() == 22


class AddOne(Function):
    @staticmethod
    def forward(ctx, x):
        x.add_(1)
        ctx.mark_dirty(x)
        ctx.save_for_backward(x)
        return x

    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return g * y / y


def test_dirty_inputs_come_back_as_themselves(device):
    x = leaf(1.0, 2.0)
    y = x * 2
    z = AddOne.apply(y)
    assert z is y and values(y).tolist() == [3, 5]
    (z * z).sum().backward()
    np.testing.assert_allclose(values(x.grad), [2 * 3 * 2, 2 * 5 * 2])


def test_dirty_views_reach_what_they_look_at(device):
    x = leaf(1.0, 2.0, 3.0)
    y = x * 2
    AddOne.apply(y[1:])
    np.testing.assert_allclose(values(y), [2, 5, 7])
    (g,) = tl.autograd.grad((y * y).sum(), x)
    np.testing.assert_allclose(values(g), [8, 20, 28])


def test_backward_twice():
    x = leaf(2.0)
    y = Cube.apply(x)
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 24
    with pytest.raises(GraphError, match="Cube has freed what it saved"):
        y.backward()


def test_checkpointing():
    """Recomputing in backward: a walk inside of a walk, with gradients for parameters that are no inputs."""
    w = leaf(2.0)

    class Checkpoint(Function):
        @staticmethod
        def forward(ctx, f, x):
            ctx.f = f
            ctx.save_for_backward(x)
            return f(x)

        @staticmethod
        def backward(ctx, g):
            x = ctx.saved_tensors[0].detach().requires_grad_()
            with tl.enable_grad():
                y = ctx.f(x)
            y.backward(g)
            return None, x.grad

    x = leaf(3.0)
    y = Checkpoint.apply(lambda x: (x * w).sin(), x * 2)
    (y * 5).backward()
    np.testing.assert_allclose(values(x.grad), 5 * 2 * 2 * np.cos([12.0]))
    np.testing.assert_allclose(values(w.grad), 5 * 6 * np.cos([12.0]))


def test_against_pytorch():
    """The same source text run as PyTorch's Function and as ours: gradients of order 1 and 2, with two results."""
    torch = pytest.importorskip("torch")
    source = """
class Norm(base):
    @staticmethod
    def forward(ctx, x, w, eps):
        r = (x * x).mean() + eps
        y = x / r.sqrt() * w
        ctx.save_for_backward(x, w, r)
        ctx.eps = eps
        return y, r

    @staticmethod
    def backward(ctx, gy, gr):
        x, w, r = ctx.saved_tensors
        s = r.sqrt()
        n = x.shape[0]
        gx = gy * w / s - (gy * w * x).sum() * x / (n * r * s) + gr * 2 * x / n
        return gx, gy * x / s, None
"""
    found = []
    for lib in (torch, tl):
        space = {"base": lib.autograd.Function}
        exec(source, space)
        x = lib.tensor([0.5, -1.0, 2.0], dtype=lib.float64, requires_grad=True)
        w = lib.tensor([1.0, 2.0, -0.5], dtype=lib.float64, requires_grad=True)
        y, r = space["Norm"].apply(x, w, 0.1)
        first = lib.autograd.grad((y**2).sum() + r * 3, (x, w), create_graph=True)
        second = lib.autograd.grad((first[0] ** 2).sum() + first[1].sum(), (x, w))
        found.append([v.detach().numpy() for v in (y, r, *first, *second)])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-12)


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("f", [Cube.apply, Exp.apply, lambda x: SinCos.apply(x)[1], lambda x: AddOne.apply(x * 1)])
def test_dropped_graphs_are_freed_at_once(f, order):
    """No circle holds the node, the ctx or the tensors, also after derivatives were recorded."""
    gc.collect()
    gc.disable()
    try:
        x = leaf(1.0, 2.0)
        mid = x * 2
        y = f(mid)
        watched = [weakref.ref(mid), weakref.ref(y)]
        ctx = y.node.saved[0] if y.node.saved else y.node.parents[0].saved[0]
        watched.append(weakref.ref(ctx))
        for _ in range(order):
            (y,) = tl.autograd.grad(y.sum(), x, create_graph=True)
        del ctx, mid, y
        assert [r() for r in watched] == [None] * 3
    finally:
        gc.enable()


def test_hooks_on_results():
    x = leaf(0.5)
    s, _ = SinCos.apply(x)
    seen = []
    s.register_hook(lambda g: seen.append(g.item()) or g * 10)
    (s * 3).backward()
    assert seen == [3] and x.grad.item() == pytest.approx(30 * np.cos(0.5))


def test_anomaly_mode_sees_what_a_function_made():
    class Log(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return tl.from_numpy(np.log(x.detach().numpy()))

        backward = staticmethod(lambda ctx, g: g / ctx.saved_tensors[0])

    x = tl.zeros(2, requires_grad=True)
    with (
        np.errstate(all="ignore"),
        tl.autograd.detect_anomaly(),
        pytest.raises(
            tl.errors.AnomalyError,
            match=r"^Log: made the first inf, 2 of 2 elements, first at \(0,\): x float32 \(2,\), at ",
        ),
    ):
        Log.apply(x)
