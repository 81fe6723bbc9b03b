"""detect_anomaly: names the op that made the first nan or inf, where in the model, and the user's source line."""

import inspect
import re
import threading

import pytest

import tensorlite as tl
from tensorlite.autograd import detect_anomaly, set_detect_anomaly
from tensorlite.errors import AnomalyError
from tensorlite.nn import functional as F


def here(offset=0):
    """`file:line` of the caller, as the messages give it."""
    frame = inspect.currentframe().f_back
    return re.escape(f"{frame.f_code.co_filename}:{frame.f_lineno + offset}")


def leaf(*values, **kw):
    return tl.tensor(list(values), requires_grad=True, **kw)


def anomaly(run):
    """The message of the AnomalyError that `run` raises under detect_anomaly."""
    with detect_anomaly(), pytest.raises(AnomalyError) as e:
        run()
    return str(e.value)


# ---------------------------------------------------------------- forward
def test_forward_names_op_place_arguments_and_line(device):
    x = tl.tensor([[1.0, 0.0, 2.0], [3.0, 4.0, 0.0]], requires_grad=True)
    with detect_anomaly(), pytest.raises(AnomalyError) as e:
        where = here(1)
        y = (x * 2).log()  # the culprit
        y.sum()
    pattern = (
        r"log: made the first inf, 2 of 6 elements, first at \(0, 1\): x float32 \(2, 3\).*"
        rf", at {where}: y = \(x \* 2\).log\(\)  # the culprit$"
    )
    assert re.match(pattern, str(e.value)), str(e.value)


CULPRITS = {
    "log": (lambda x: x.log(), "inf"),
    "div": (lambda x: 1 / x, "inf"),
    "sqrt": (lambda x: (x - 1).sqrt(), "nan"),
    "exp": (lambda x: (x + 100).exp() * 0, "inf"),
    "pow": (lambda x: x**-2, "inf"),
    "mean": (lambda x: x[:0].mean(), "nan"),
    "var": (lambda x: x.var(), "nan"),
    "square": (lambda x: ((x + 1) * 1e30).square() - ((x + 1) * 1e30).square(), "inf"),
    "matmul": (lambda x: (x + 1e30).reshape(1, 1) @ (x + 1e30).reshape(1, 1), "inf"),
}


@pytest.mark.parametrize("name", CULPRITS)
@pytest.mark.parametrize("grad", [True, False])
def test_forward_finds_the_culprit(device, name, grad):
    f, what = CULPRITS[name]
    x = tl.zeros(1, requires_grad=grad)
    assert anomaly(lambda: f(x)).startswith(f"{name}: made the first {what}, ")
    assert f"test_anomaly.py:{inspect.getsourcelines(f)[1]}: " in anomaly(lambda: f(x))


def test_what_was_put_there_on_purpose_passes(device):
    with detect_anomaly():
        x = leaf(1.0, float("-inf"), 3.0)
        y = tl.where(tl.tensor([True, False, True]), leaf(1.0, 2.0, 3.0), float("-inf"))
        assert F.softmax(y, 0).tolist()[1] == 0
        assert x.max().item() == 3 and (x * 2 + 1).min().item() == float("-inf")
        y.masked_fill(tl.tensor([True, False, True]), float("nan"))
        tl.tensor([float("nan"), 1.0]).exp().sum()
        q = tl.randn(1, 2, 4, 8, requires_grad=True)
        F.scaled_dot_product_attention(q, q, q, is_causal=True).sum().backward()
        assert tl.isnan(x / 2).any().item() is False
        assert tl.logsumexp(y, 0).isfinite().item()


def test_nan_from_inf_is_new():
    x = leaf(1.0, float("inf"))
    assert anomaly(lambda: x - x).startswith("sub: made the first nan, 1 of 2 elements, first at (1,)")
    assert anomaly(lambda: x * 0).startswith("mul: made the first nan")


def test_in_place_the_memory_is_as_before():
    x = tl.tensor([1.0, 0.0])
    assert anomaly(lambda: x.log_()).startswith("log: made the first inf")
    assert x.tolist() == [1, 0]


def test_the_module_path(device):
    class Inner(tl.nn.Module):
        def forward(self, x):
            return (x - x).log()

    class Outer(tl.nn.Module):
        def __init__(self):
            super().__init__()
            self.blocks = tl.nn.ModuleList([tl.nn.Identity(), Inner()])

        def forward(self, x):
            for block in self.blocks:
                x = block(x)
            return x

    text = anomaly(lambda: Outer()(leaf(1.0)))
    assert re.match(
        r"log: made the first inf, .*, in blocks\.1, at .*test_anomaly\.py:\d+: return \(x - x\)\.log\(\)$", text
    )
    x = leaf(1.0)
    with (
        detect_anomaly(),
        pytest.raises(
            AnomalyError,
            match=r"sqrt: its backward .*, in blocks\.1, at .*: Inner\.forward = lambda self, x: \(x - x\)\.sqrt",
        ),
    ):
        Inner.forward = lambda self, x: (x - x).sqrt()
        Outer()(x).backward()


def test_the_line_is_the_users_also_through_layers_and_optimizers():
    """Layers and functions of ours are not the user's source line; the line that calls them is."""
    layer = tl.nn.Linear(2, 2)
    with tl.no_grad():
        layer.weight.fill_(1e38)
    x = tl.ones(1, 2) * 1e3
    with detect_anomaly(), pytest.raises(AnomalyError, match=r"^linear: made the first inf.*: y = layer\(x\)  # mine$"):
        y = layer(x)  # mine
        F.relu(y)


# ---------------------------------------------------------------- backward
def test_backward_names_op_input_and_forward_line(device):
    x = leaf(0.0, 4.0)
    with detect_anomaly():
        where = here(1)
        y = x.sqrt()  # finite here, but its slope at 0 is not
        with pytest.raises(AnomalyError) as e:
            y.sum().backward()
    pattern = (
        r"sqrt: its backward made the first inf, 1 of 2 elements, first at \(0,\), in the gradient of x \(2,\), "
        rf"at {where}: y = x.sqrt\(\)  # finite"
    )
    assert re.match(pattern, str(e.value)), str(e.value)
    assert x.grad is None


def test_backward_of_one_of_several_inputs(device):
    x, y = leaf(1.0, 2.0), leaf(1e-30, 1.0)

    def run():
        (x / y * tl.tensor([1e-20, 1.0])).sum().backward()

    assert re.match(
        r"div: its backward made the first inf, 1 of 2 elements, first at \(0,\), in the gradient of y", anomaly(run)
    )


def test_backward_through_grad_and_multiple_results():
    x = leaf(0.0)
    assert "sqrt: its backward" in anomaly(lambda: tl.autograd.grad(x.sqrt(), x))

    class Two(tl.autograd.Function):
        forward = staticmethod(lambda ctx, x: (x * 1, x * 2))
        backward = staticmethod(lambda ctx, g, h: g / 0 + h)

    text = anomaly(lambda: sum(Two.apply(x)).backward())
    assert text.startswith("div: made the first inf") and "in the backward of Two" in text

    class Raw(tl.autograd.Function):
        forward = staticmethod(lambda ctx, x: (x * 1, x * 2))
        backward = staticmethod(lambda ctx, g, h: tl.full((1,), float("nan")))

    assert anomaly(lambda: sum(Raw.apply(x)).backward()).startswith(
        "Raw: its backward made the first nan, 1 of 1 elements"
    )


def test_backward_under_create_graph_names_both(device):
    x = leaf(0.0)
    text = anomaly(lambda: tl.autograd.grad((x * 1).sqrt(), x, create_graph=True))
    assert re.match(r"div: made the first inf.*; in the backward of sqrt, at .*: text = anomaly", text), text


def test_second_backward():
    x = leaf(0.0)

    def run():
        (g,) = tl.autograd.grad((x**1.5).sum(), x, create_graph=True)  # 1.5 sqrt(x): the slope of that is not finite
        g.sum().backward()

    assert re.match(r"pow: its backward made the first inf", anomaly(run))


def test_a_gradient_given_with_nan_is_not_blamed_on_an_op():
    x = leaf(1.0)
    text = anomaly(lambda: (x * 2).backward(tl.tensor([float("nan")])))
    assert text == "backward: the gradient to start from, that of mul (1,), holds nan"


def test_hooks_and_overflowing_sums():
    x = leaf(1.0)

    def hooked():
        y = x * 2
        y.register_hook(lambda g: tl.full((1,), float("inf")))
        y.sum().backward()

    assert re.match(
        r"mul: the gradient of its result \(1,\) holds inf: by the sum of its shares, or by a hook, at .*: y = x \* 2$",
        anomaly(hooked),
    )

    def overflow():
        y = leaf(0.0) * 1
        (y * 2e38 + y * 2e38).sum().backward()  # either share is finite

    assert "mul: the gradient of its result (1,) holds inf" in anomaly(overflow)


def test_lines_are_known_only_from_inside():
    x = leaf(0.0)
    y = x.sqrt()
    assert "(called before detect_anomaly was on, so the line is not known)" in anomaly(lambda: y.backward())


def test_other_errors_name_the_line_too():
    x = leaf(1.0, 2.0)
    with detect_anomaly():
        where = here(1)
        y = x.exp()
        y.add_(1)
        y.detach().mul_(2)
    z = tl.ones(2, requires_grad=True) * 1
    with detect_anomaly():
        w = z.exp()
        z2 = w * w
        w.detach().mul_(2)
        with pytest.raises(
            tl.errors.InplaceError, match=rf"mul .* saved was changed in place by mul_.*, called at {here(-3)}"
        ):
            z2.sum().backward()
    assert where


# ---------------------------------------------------------------- the switches
def test_switches():
    zero = tl.zeros(1)
    assert not tl.is_anomaly_enabled() and zero.log().item() == float("-inf")
    with detect_anomaly():
        assert tl.is_anomaly_enabled() and tl.is_anomaly_check_nan_enabled()
        with set_detect_anomaly(False):
            assert not tl.is_anomaly_enabled() and zero.log().item() == float("-inf")
        with pytest.raises(AnomalyError):
            zero.log()
    assert not tl.is_anomaly_enabled()
    set_detect_anomaly(True)
    with pytest.raises(AnomalyError):
        zero.log()
    set_detect_anomaly(False)
    assert zero.log().item() == float("-inf")
    with pytest.raises(ValueError), detect_anomaly():
        raise ValueError
    assert not tl.is_anomaly_enabled()


def test_without_checking_values():
    with detect_anomaly(check_nan=False):
        assert tl.is_anomaly_enabled() and not tl.is_anomaly_check_nan_enabled()
        y = leaf(0.0).log()
        y.sum().backward()
    assert y.node.where.startswith(__file__)


def test_each_thread_for_itself():
    found = []

    def other():
        found.append(tl.is_anomaly_enabled())
        found.append(tl.zeros(1).log().item())

    with detect_anomaly():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert found == [False, float("-inf")]


def test_an_anomaly_is_an_arithmetic_error_of_ours():
    assert issubclass(AnomalyError, (tl.errors.TensorliteError, RuntimeError)) and issubclass(
        AnomalyError, ArithmeticError
    )


def test_a_training_step_without_anomaly_passes(device):
    model = tl.nn.Sequential(tl.nn.Linear(4, 8), tl.nn.GELU(), tl.nn.LayerNorm(8), tl.nn.Linear(8, 3))
    x, y = tl.randn(6, 4), tl.tensor([0, 1, 2, 0, 1, 2])
    with detect_anomaly():
        F.cross_entropy(model(x), y).backward()
    plain = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    F.cross_entropy(model(x), y).backward()
    assert all(tl.equal(a, p.grad) for a, p in zip(plain, model.parameters(), strict=True))
