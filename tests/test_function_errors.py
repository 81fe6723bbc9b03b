"""What tl.autograd.Function refuses, and how it says so: changes in place, wrong answers of backward, wrong forwards."""

import pytest
from test_function import AddOne, Cube, Exp, leaf

import tensorlite as tl
from tensorlite.autograd import Function
from tensorlite.errors import ArgumentError, DTypeError, GraphError, InplaceError, ShapeError
from tensorlite.function import once_differentiable


def test_dirty_is_refused_where_it_cannot_be_right():
    with pytest.raises(InplaceError, match="AddOne: a leaf that requires grad cannot be changed in place"):
        AddOne.apply(leaf(1.0))

    class Lost(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_dirty(x)
            return x * 1

    with pytest.raises(ArgumentError, match="Lost: mark_dirty takes inputs, and forward must return them"):
        Lost.apply(leaf(1.0) * 1)

    class Silent(Function):
        @staticmethod
        def forward(ctx, x, y):
            y.mul_(2)
            return x * y

    with pytest.raises(InplaceError, match=r"Silent: forward changed input 1 in place; call ctx.mark_dirty"):
        Silent.apply(leaf(1.0), leaf(1.0) * 1)
    assert Silent.apply(leaf(1.0), tl.ones(1, dtype=tl.float64)).item() == 2  # a running statistic may be updated


def test_saved_tensors_are_watched(device):
    x = leaf(1.0, 2.0)
    y = x * 1
    z = Cube.apply(y)
    y.add_(1)
    with pytest.raises(InplaceError, match=r"Cube: saved_tensors\[0\], float64 \(2,\).*, was changed in place by add_"):
        z.sum().backward()
    w = Exp.apply(x)
    w.mul_(2)
    with pytest.raises(InplaceError, match=r"Exp: ctx.y, float64 \(2,\).*, was changed in place by mul_"):
        w.sum().backward()


def test_saved_inputs_are_watched_in_the_second_derivative():
    w = leaf(2.0)
    (g,) = tl.autograd.grad(Cube.apply(w), w, create_graph=True)
    with tl.no_grad():
        w.add_(1)
    with pytest.raises(InplaceError, match="changed in place by add_"):
        g.backward()


def test_incoming_gradients_may_not_be_changed():
    class Rude(Function):
        forward = staticmethod(lambda ctx, x: x * 1)
        backward = staticmethod(lambda ctx, g: g.mul_(2))

    with pytest.raises(InplaceError, match="Rude: backward changed a gradient it was given in place"):
        Rude.apply(leaf(1.0)).backward()


def returning(answer):
    class Wrong(Function):
        forward = staticmethod(lambda ctx, x, w, n=1: x.sum() * w.sum())
        backward = staticmethod(lambda ctx, g: answer)

    return Wrong


@pytest.mark.parametrize(
    "answer, error, text",
    [
        (tl.ones(2), GraphError, "Wrong: backward returned 1 gradients for 3 inputs of forward"),
        ((tl.ones(2), tl.ones(3)), GraphError, "Wrong: backward returned 2 gradients for 3 inputs of forward"),
        ((tl.ones(2), tl.ones(3), None, tl.ones(1)), GraphError, "Wrong: backward returned 4 gradients for 3 inputs"),
        ((tl.ones(3), tl.ones(3), None), ShapeError, r"gradient of shape \(3,\) for input 0 \(x\) of shape \(2,\)"),
        ((tl.ones(2), tl.tensor(1.0), None), ShapeError, r"gradient of shape \(\) for input 1 \(w\) of shape \(3,\)"),
        ((tl.ones(2), tl.ones(3), tl.ones(1)), GraphError, r"a gradient for input 2 \(n\), which is no tensor"),
        ((tl.ones(2), 3.0, None), DTypeError, r"backward returned 3.0 for input 1 \(w\); a Tensor is needed"),
    ],
)
def test_wrong_answers_of_backward(answer, error, text):
    with pytest.raises(error, match=text):
        returning(answer).apply(tl.ones(2, requires_grad=True), tl.ones(3, requires_grad=True), 1).backward()


def test_answers_that_pass():
    x, w = tl.ones(2, requires_grad=True), tl.ones(3, requires_grad=True)
    answer = (tl.ones(4, 2).double(), [tl.ones(3)][0], None, None, None)  # summed, converted; Nones too many
    returning(answer).apply(x, w, 1).backward()
    assert x.grad.tolist() == [4, 4] and x.grad.dtype == tl.float32 and w.grad.tolist() == [1, 1, 1]


def test_wrong_forwards():
    class NoTensor(Function):
        forward = staticmethod(lambda ctx, x: [x])

    with pytest.raises(DTypeError, match="NoTensor: forward must return a Tensor or a tuple, not list"):
        NoTensor.apply(leaf(1.0))

    class SaveNumber(Function):
        forward = staticmethod(lambda ctx, x: ctx.save_for_backward(x, 3))

    with pytest.raises(DTypeError, match="SaveNumber: save_for_backward takes tensors, argument 1 is of type int"):
        SaveNumber.apply(leaf(1.0))
    with pytest.raises(ArgumentError, match=r"Cube: a Function has no instances; call its apply"):
        Cube()(leaf(1.0))

    class NoBackward(Function):
        forward = staticmethod(lambda ctx, x: x * 1)

    with pytest.raises(NotImplementedError, match="backward"):
        NoBackward.apply(leaf(1.0)).backward()

    class Forgot(Function):
        forward = staticmethod(lambda ctx, x: x * 1)
        backward = staticmethod(lambda ctx, g: g * ctx.scale)

    with pytest.raises(AttributeError, match="ctx of Forgot has no attribute 'scale': forward did not set it"):
        Forgot.apply(leaf(1.0)).backward()


def test_errors_inside_pass_as_they_are():
    class Boom(Function):
        forward = staticmethod(lambda ctx, x: x * 1)

        @staticmethod
        def backward(ctx, g):
            raise ZeroDivisionError("of my own")

    with pytest.raises(ZeroDivisionError, match="of my own"):
        Boom.apply(leaf(1.0)).backward()
    assert tl.is_grad_enabled()


def test_once_differentiable(device):
    class Numeric(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        @once_differentiable
        def backward(ctx, g):
            assert not tl.is_grad_enabled()
            (x,) = ctx.saved_tensors
            return 3 * g * x**2

    x = leaf(2.0)
    Numeric.apply(x).backward()
    assert x.grad.item() == 12
    (g,) = tl.autograd.grad(Numeric.apply(x), x, create_graph=True)
    assert g.item() == 12 and g.requires_grad
    with pytest.raises(GraphError, match="Numeric: its backward is marked once_differentiable"):
        g.backward()
