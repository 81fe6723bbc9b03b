"""Messages, read aloud: each names the operation, what was given, the rule and, where there is one, the likely fix.

The messages about one operation's arguments stand with its record in samples/; here are those about the graph, devices,
dtypes, shapes in pairs, and the place in a model.
"""

import copy
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest

import tensorlite as tl
from tensorlite import errors, nn
from tensorlite.elementwise import Elementwise
from tensorlite.op import registry

F = nn.functional
pytestmark = pytest.mark.usefixtures("device")


@pytest.fixture
def says():
    """says(kind, call): the text of the error that call raises, without the name of the device."""

    def text(kind, call, *args):
        with pytest.raises(kind) as caught:
            call(*args)
        assert type(caught.value).__module__ in ("tensorlite.errors", "builtins")
        return str(caught.value).replace(f" on {tl.get_default_device()}", "")

    return text


# ---------------------------------------------------------------- shapes
BINARY = [op for op in registry.values() if issubclass(op, Elementwise) and len(op.inputs) == 2]


@pytest.mark.parametrize("op", BINARY, ids=lambda op: op.name)
def test_shapes_that_do_not_broadcast(op, says):
    dtype = tl.int64 if op.name.startswith("bitwise") or op.name in ("gcd", "lcm") else tl.float32
    x, y = tl.ones(2, 3, dtype=dtype), tl.ones(4, 1, 2, dtype=dtype)
    assert says(errors.ShapeError, op.apply, x, y) == (
        f"{op.name}: shapes (2, 3) and (4, 1, 2) do not broadcast: dimension -1 is 2 against 3 (each pair of dimensions must be "
        f"equal, or one of them 1): x {dtype.name} (2, 3), y {dtype.name} (4, 1, 2)"
    )


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: tl.where(tl.ones(2) > 0, tl.ones(3), tl.ones(3)), "where: shapes (2,) and (3,) and (3,) do not broadcast"),
        (lambda: tl.ones(2, 3) @ tl.ones(2, 3),
            "matmul: inner dimensions differ: (2, 3) has 3, (2, 3) expects 2; other.T would fit"),
        (lambda: tl.ones(3).reshape(2, 2), "reshape: 3 elements do not fill the shape (2, 2)"),
        (lambda: tl.ones(3).view(2, -1), "view: 3 elements do not fill the shape (2, -1)"),
        (lambda: tl.cat([tl.ones(2, 3), tl.ones(2)]), "cat: tensor 1 has shape (2,), the first (2, 3)"),
        (lambda: tl.stack([tl.ones(2), tl.ones(2, 1)]), "stack: tensor 1 has shape (2, 1), the first (2,); they must be equal"),
        (lambda: tl.tensor([[1.0], [1.0, 2.0]]), "tensor: the rows of the data have different lengths"),
        (lambda: tl.zeros(2, -1), "zeros: sizes cannot be negative, got (2, -1)"),
        (lambda: tl.ones(2).item(), "item: only a tensor of one element is a number, got float32 (2,)"),
        (lambda: bool(tl.ones(2)), "bool: a tensor of shape (2,) has no single truth; use .all() or .any()"),
        (lambda: tl.ones(2, 3).t().t().unsqueeze(0).t(), "t: at most 2 dimensions, got float32 (1, 2, 3); use transpose or mT"),
        (lambda: F.mse_loss(tl.ones(4, 1), tl.ones(4)),
         "mse_loss: input (4, 1) and target (4,) must have the same shape: use input.squeeze(1) or target.unsqueeze(1)"),
    ],
)  # fmt: skip
def test_shapes(call, text, says):
    assert text in says(errors.ShapeError, call)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda x: x.sum(2), "sum: dim 2 is out of range for a tensor of 2 dimensions (it may be -2 to 1)"),
        (lambda x: x.softmax(-3), "softmax: dim -3 is out of range for a tensor of 2 dimensions (it may be -2 to 1)"),
        (
            lambda x: x.transpose(0, 5),
            "transpose: dim 5 is out of range for a tensor of 2 dimensions (it may be -2 to 1)",
        ),
        (
            lambda x: x.unsqueeze(4),
            "unsqueeze: dim 4 is out of range: in a tensor of 2 dimensions a new one may stand at -3 to 2",
        ),
        (lambda x: tl.tensor(1.0).sum(1), "sum: dim 1 is out of range for a 0-dimensional tensor (it may be -1 or 0)"),
        (
            lambda x: tl.stack([x, x], 3),
            "stack: dim 3 is out of range for a tensor of 3 dimensions (it may be -3 to 2)",
        ),
    ],
)
def test_dim_out_of_range(call, text, says):
    assert text in says(errors.IndexRangeError, call, tl.ones(2, 3))


def test_dim_that_is_no_int(says):
    assert "sum: dim must be an int, not float" in says(errors.DTypeError, tl.ones(2).sum, 0.0)


# ---------------------------------------------------------------- dtypes
@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: tl.tensor([1, 2], requires_grad=True),
         "requires_grad: only floating-point tensors have gradients, this one is int64; make it float first, e.g. x.float()"),
        (lambda: tl.tensor([True]).requires_grad_(),
            "requires_grad: only floating-point tensors have gradients, this one is bool"),
        (lambda: -tl.tensor([True]), "neg: a bool tensor has no negative; use ~x or logical_not(x)"),
        (lambda: tl.tensor([1, 2]).mean(), "mean: a floating-point tensor is needed, got int64 (2,); use x.float()"),
        (lambda: F.embedding(tl.ones(2), tl.ones(3, 2)), "embedding: token ids must be an integer tensor, got float32 (2,)"),
        (lambda: ~tl.ones(2), "bitwise_not: only bool and integer tensors can be inverted bit by bit"),
        (lambda: tl.tensor(["a"]), "cannot be a tensor; numbers and nested lists of numbers can"),
        (lambda: tl.tensor([None]), "cannot be a tensor; numbers and nested lists of numbers can"),
        (lambda: tl.tensor([1j]), "tensor: complex numbers cannot be a tensor"),
        (lambda: tl.ones(2) * 1j, "mul: complex numbers are not supported: tensorlite computes with real numbers only"),
        (lambda: tl.ones(2, dtype="complex64"), "complex64 is not supported: tensorlite computes with real numbers only"),
        (lambda: tl.ones(2, dtype="float99"), "'float99' is not a dtype that tensorlite knows; it knows bool, uint8"),
        (lambda: tl.add(tl.ones(2), "a"), "add: a tensor or a number is needed, not str"),
        (lambda: tl.exp([1.0]), "exp: a tensor is needed, not list"),
        (lambda: tl.ones(2) @ 3, "matmul: a Tensor is needed, not int"),
    ],
)  # fmt: skip
def test_dtypes(call, text, says):
    assert text in says(errors.DTypeError, call)


def test_operators_leave_foreign_types_to_python(says):
    assert "unsupported operand type" in says(TypeError, lambda: tl.ones(2) + "a")
    assert "not supported between" in says(TypeError, lambda: tl.ones(2) < "a")
    assert says(TypeError, lambda: [1.0] * tl.ones(2)) == (
        "index: only an integer tensor of one element can be an index, or say how often to repeat a list or str, "
        "got float32 (2,)"
    )
    assert [1.0] * tl.tensor([2]) == [1.0, 1.0] and range(5)[tl.tensor(3)] == 3


def test_a_misspelt_attribute_gets_a_hint(says):
    x = tl.ones(2)
    assert says(AttributeError, lambda: x.zzzzzz) == "'Tensor' object has no attribute 'zzzzzz'"
    assert not hasattr(x, "nothing_like_it") and getattr(x, "nothing", 3) == 3
    assert "module 'tensorlite' has no attribute 'nothing'" in says(AttributeError, lambda: tl.nothing)
    for wrong, meant in (
        ("requires_gard", "requires_grad"),
        ("sofmax", "softmax"),
    ):  # Python's own, while dir() is short
        program = f"import tensorlite as tl; tl.ones(2).{wrong}"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
        assert f"no attribute '{wrong}'. Did you mean: '{meant}" in done.stderr


def test_tensors_have_no_getattr():
    """With a __getattr__ of its own Python looks for every attribute six times as slowly, and an operation reads a dozen."""
    assert not hasattr(tl.Tensor, "__getattr__") and "__getattribute__" not in vars(tl.Tensor)


# ---------------------------------------------------------------- the graph
def _loss():
    x = tl.tensor([1.0, 2.0], requires_grad=True)
    return x, (x * x).sum()


def test_backward_of_a_non_scalar(says):
    x, _ = _loss()
    assert says(errors.GraphError, (x * 2).backward) == (
        "backward: the start must be a scalar, this tensor has shape (2,); reduce it first, e.g. loss.mean(), or give gradient="
    )


def test_backward_twice(says):
    _, loss = _loss()
    loss.backward()
    assert says(errors.GraphError, loss.backward) == (
        "backward: this graph was walked before, and sum has freed what it saved; "
        "call backward(retain_graph=True) the first time, or compute the result again"
    )
    x, loss = _loss()
    loss.backward(retain_graph=True)
    loss.backward()
    assert x.grad.tolist() == [4.0, 8.0]


@pytest.mark.parametrize(
    "make", [lambda: tl.ones(2).sum(), lambda: _loss()[1].detach(), lambda: tl.no_grad(lambda: _loss()[1])()]
)
def test_backward_without_a_graph(make, says):
    assert says(errors.GraphError, make().backward) == (
        "backward: this tensor has no graph: nothing it was computed from has requires_grad=True, "
        "or it was computed under no_grad() or detached"
    )


def test_gradients_that_do_not_fit(says):
    x, _ = _loss()
    y = x * 2
    wanted = "backward: gradient must be a tensor of shape (2,), got float32 (3,)"
    assert says(errors.ShapeError, y.backward, tl.ones(3)) == wanted
    assert "grad: a tensor of shape (2,) is needed, got float32 (3,)" in says(
        errors.ShapeError, setattr, x, "grad", tl.ones(3)
    )
    x.register_hook(lambda g: tl.ones(3))
    assert "hook: a gradient of shape (2,) is needed, got float32 (3,)" in says(
        errors.ShapeError, lambda: (x * 2).sum().backward()
    )


def test_grad_of_what_is_not_in_the_graph(says):
    x, loss = _loss()
    other = tl.tensor([1.0], requires_grad=True)
    assert says(errors.GraphError, tl.autograd.grad, loss, [x, other]) == (
        "grad: the outputs do not depend on input 1, float32 (1,); allow_unused=True gives None for it"
    )
    assert "one of the inputs does not require grad; call x.requires_grad_() before computing" in says(
        errors.GraphError, tl.autograd.grad, _loss()[1], tl.ones(1)
    )
    x, loss = _loss()
    assert tl.autograd.grad(loss, [x, other], allow_unused=True)[1] is None
    x, loss = _loss()
    assert tl.autograd.grad(loss, [x, other], materialize_grads=True)[1].tolist() == [0.0]


def test_what_only_leaves_can_do(says):
    x, loss = _loss()
    assert "requires_grad_: only a leaf can be switched off; use .detach() on a result" in says(
        errors.GraphError, loss.requires_grad_, False
    )
    assert "deepcopy: only leaves can be copied" in says(errors.GraphError, copy.deepcopy, loss)
    assert "pickle: only leaves can be saved; use x.detach()" in says(errors.GraphError, pickle.dumps, loss)
    assert "retain_grad: this tensor does not require grad" in says(errors.GraphError, tl.ones(1).retain_grad)
    assert "register_hook: this tensor does not require grad" in says(
        errors.GraphError, tl.ones(1).register_hook, print
    )
    assert x.grad is None


def test_numpy_of_a_tensor_that_requires_grad(says):
    x, _ = _loss()
    assert "numpy: this tensor requires grad; use x.detach().numpy() or x.numpy(force=True)" in says(
        errors.GraphError, x.numpy
    )


def test_errors_are_caught_as_pytorchs_are():
    """A RuntimeError all, and also what Python would raise: ValueError for shapes, TypeError for dtypes, IndexError."""
    assert issubclass(errors.ShapeError, ValueError) and issubclass(errors.DTypeError, TypeError)
    assert issubclass(errors.IndexRangeError, IndexError) and issubclass(errors.ArgumentError, ValueError)
    kinds = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, Exception)]
    assert all(issubclass(k, RuntimeError) for k in kinds) and len(kinds) > 7


def test_an_error_in_one_thread_leaves_recording_as_it_was_in_another():
    def fail():
        with tl.no_grad():
            raise errors.GraphError("on purpose")

    def run():
        try:
            fail()
        except errors.GraphError:
            inside.append(tl.is_grad_enabled())

    inside = []
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert inside == [True] and tl.is_grad_enabled()


# ---------------------------------------------------------------- the place in a model
class Block(nn.Module):
    """A layer whose fc2 expects something else than fc1 gives."""

    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(3, 5), nn.Linear(4, 3)

    def forward(self, x):
        return self.fc2(self.fc1(x))


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(7, 3)
        self.layers = nn.ModuleList([nn.Sequential(nn.Linear(3, 3), nn.GELU()), Block()])
        self.norm = nn.LayerNorm(4)

    def forward(self, ids, norm=False):
        x = self.embed(ids)
        if norm:
            return self.norm(x)
        for layer in self.layers:
            x = layer(x)
        return x + tl.ones(2)


def test_a_shape_error_in_a_model_names_the_module(says):
    model = Model()
    assert says(errors.ShapeError, model, tl.tensor([0, 1])) == (
        "linear: input has 5 features, weight (3, 4) expects 4: x float32 (2, 5), weight float32 (3, 4), bias float32 (3,), "
        "in layers.1.fc2"
    )
    assert says(errors.ShapeError, model, tl.tensor([0, 1]), True).endswith(
        "weight float32 (4,), bias float32 (4,), in norm"
    )


def test_a_token_id_out_of_range_in_a_model_names_the_module(says):
    assert says(errors.IndexRangeError, Model(), tl.tensor([0, 7])) == (
        "embedding: token id 7 is out of range: it must be 0 to 6: weight float32 (7, 3), index int64 (2,), in embed"
    )
    assert says(errors.DTypeError, Model(), tl.tensor([0.5])).startswith(
        "embedding: token ids must be an integer tensor"
    )


def test_an_error_of_an_operator_in_a_model_names_the_module(says):
    model = Model()
    model.layers[1] = nn.Identity()
    text = says(errors.ShapeError, model, tl.tensor([0, 1]))
    assert text.startswith("add: shapes (2, 3) and (2,) do not broadcast: dimension -1 is 2 against 3")


def test_a_dtype_error_in_a_model_names_the_module(says):
    text = says(errors.DTypeError, Block(), tl.ones(2, 3, dtype=tl.float64))
    assert text == (
        "linear: input is float64, weight float32; convert one, e.g. x.to(tl.float32): "
        "input float64 (2, 3), weight float32 (5, 3), in fc1"
    )


def test_the_place_is_forgotten_after_an_error(says):
    says(errors.ShapeError, Block(), tl.ones(2, 3))
    assert says(errors.ShapeError, F.linear, tl.ones(2, 5), tl.ones(3, 4)).endswith("weight float32 (3, 4)")


# ---------------------------------------------------------------- devices
def test_mixed_devices(says, device):
    other = "fake" if device == "cpu" else "cpu"
    x, y = tl.ones(2, 3), tl.ones(3, device=other)
    calls = {
        "add": lambda: x + y, "mul": lambda: y * x, "matmul": lambda: x @ y, "where": lambda: tl.where(x > 0, x, y),
        "cat": lambda: tl.cat([x, y.reshape(1, 3)]), "linear": lambda: F.linear(x, y.reshape(1, 3)),
        "layer_norm": lambda: F.layer_norm(x, (3,), y), "assign": lambda: x.__setitem__(0, y),
    }  # fmt: skip
    for op, call in calls.items():
        with pytest.raises(errors.DeviceError) as caught:
            call()
        text = str(caught.value)
        assert text.startswith(
            f"{op}: tensors on different devices (cpu and fake); move them together first, e.g. x.to('fake')"
        )
        assert " float32 (2, 3)" in text and "on fake" in text
    assert (x + tl.tensor(1.0, device="cpu")).sum().item() == 12, "a 0-d tensor of the CPU goes with every device"


def test_unknown_devices(says):
    text = says(errors.DeviceError, lambda: tl.ones(2, device="tpu"))
    assert text.startswith("unknown device 'tpu'; known devices: cpu, cuda")


def test_numpy_arrays_on_the_left_of_operators():
    """Not an error: both orders give a tensor (on the CPU)."""
    x = tl.ones(3, device="cpu")
    for y in (np.full(3, 2.0) + x, x + np.full(3, 2.0), np.float64(2) + x):
        assert isinstance(y, tl.Tensor) and y.tolist() == [3.0, 3.0, 3.0]


@pytest.mark.parametrize("call, kind, table", [
    (lambda: tl.chunk(tl.ones(4), 2.5), errors.DTypeError, "input float32 (4,), chunks 2.5"),
    (lambda: tl.diag_embed(tl.ones(2), offset="a"), errors.DTypeError, "input float32 (2,), offset 'a'"),
    (lambda: tl.logit(tl.ones(2), "a"), errors.DTypeError, "input float32 (2,), eps 'a'"),
    (lambda: tl.repeat_interleave(tl.ones(2), "a"), errors.ArgumentError, "input float32 (2,), repeats 'a'"),
])  # fmt: skip
def test_an_argument_nobody_thought_of_is_shown(call, kind, table, says, device):
    assert table in says(kind, call).replace(f" on {device}", "")


def test_missing_and_unknown_arguments_are_pythons_to_tell():
    for call in (lambda: tl.chunk(tl.ones(4)), lambda: tl.chunk(tl.ones(4), 2, colour=1), lambda: tl.logit()):
        with pytest.raises(TypeError, match="argument") as caught:
            call()
        assert not isinstance(caught.value, errors.TensorliteError)
