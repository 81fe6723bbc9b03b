"""gradcheck and its kin: right derivatives pass, wrong ones are found and named, kinks are told from errors."""

import warnings

import numpy as np
import pytest

import tensorlite as tl
from tensorlite.autograd import Function
from tensorlite.errors import ArgumentError, DTypeError
from tensorlite.gradcheck import GradcheckError, KinkWarning, check_module, directional_check


def leaf(*shape, seed=3, away=0.2):
    """Random float64 values, none nearer than `away` to 0."""
    v = np.random.default_rng(seed).uniform(-1, 1, shape)
    return tl.tensor(v + np.where(v < 0, -away, away), requires_grad=True)


def wrong(rule, forward=lambda x: x**2):
    """x**2 with the gradient `rule(g, x)`."""

    class Wrong(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return forward(x)

        backward = staticmethod(lambda ctx, g: rule(g, *ctx.saved_tensors))

    return Wrong.apply


@pytest.fixture(autouse=True)
def no_warnings():
    """A kink that a test does not expect is a failure."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", KinkWarning)
        yield


# ---------------------------------------------------------------- what is right
RIGHT = {
    "elementwise": lambda x, w: (x.sin() * w.exp()).tanh(),
    "matmul": lambda x, w: x @ w.T,
    "several results": lambda x, w: (x * w, x.sum(), (w**2).sum(0)),
    "0-d result": lambda x, w: (x * w).sum(),
    "constant beside": lambda x, w: (x * w, tl.ones(2), tl.arange(3)),
    "layer_norm": lambda x, w: tl.nn.functional.layer_norm(x, (3,)) * w,
    "steep": lambda x, w: (30 * x).sin() * w * 100,
}


@pytest.mark.parametrize("fast", [False, True], ids=["every element", "projections"])
@pytest.mark.parametrize("name", RIGHT)
def test_right_derivatives_pass(device, name, fast):
    x, w = leaf(2, 3), leaf(2, 3, seed=4)
    assert tl.gradcheck(RIGHT[name], (x, w), fast_mode=fast)
    assert tl.gradgradcheck(RIGHT[name], (x, w), fast_mode=fast)


def test_one_input_alone_and_other_arguments():
    assert tl.gradcheck(lambda x: x * 2, leaf(2))
    assert tl.gradcheck(lambda x, n, d: (x**n).sum(d), (leaf(2, 3), 3, 1))
    assert tl.gradcheck(lambda x, y: x * y, (leaf(2), leaf(2).detach()))
    assert tl.gradcheck(lambda x: x * 2, leaf(2).detach().requires_grad_()[0:1])  # a result of another op
    assert tl.autograd.gradcheck is tl.gradcheck and tl.autograd.gradgradcheck is tl.gradgradcheck


def test_shapes_without_or_with_one_element():
    assert tl.gradcheck(lambda x: x.exp(), leaf())
    assert tl.gradcheck(lambda x: x.exp(), leaf(0, 3))
    assert tl.gradcheck(lambda x: x.exp(), leaf(4, 3).T)  # leaf(4, 3).T is a view with other strides


def test_parameters_that_the_function_reaches_by_itself():
    model = tl.nn.Sequential(tl.nn.Linear(3, 4), tl.nn.Tanh(), tl.nn.Linear(4, 1)).double()
    x = leaf(5, 3).detach()
    assert tl.gradcheck(lambda *_: model(x), tuple(model.parameters()))


def test_values_are_put_back_exactly(device):
    x = tl.tensor([0.1, 1e-300, -0.0, 1e17, 1 / 3], dtype=tl.float64, requires_grad=True)
    before, version = x.detach().cpu().numpy().tobytes(), x._version
    y = x * x  # a graph that was there before can still be walked
    tl.gradcheck(lambda x: x * 2, x, raise_exception=False)
    tl.gradcheck(lambda x: x * 2, x, fast_mode=True, raise_exception=False)
    directional_check(lambda: (x * 2).sum(), [x])
    assert x.detach().cpu().numpy().tobytes() == before and x._version == version and x.grad is None
    y.sum().backward()

    calls = []

    def fails(x):
        calls.append(0)
        if len(calls) > 5:
            raise ZeroDivisionError
        return x * 2

    for check in (lambda: tl.gradcheck(fails, x), lambda: tl.gradcheck(fails, x, fast_mode=True)):
        calls.clear()
        with pytest.raises(ZeroDivisionError):
            check()
        assert x.detach().cpu().numpy().tobytes() == before


def test_the_global_generator_is_not_touched():
    x = leaf(3)
    state = tl.get_rng_state()
    tl.gradcheck(lambda x: x.exp(), x, fast_mode=True)
    tl.gradgradcheck(lambda x: x.exp(), x)
    directional_check(lambda: x.exp().sum(), [x])
    assert tl.equal(tl.get_rng_state(), state)


# ---------------------------------------------------------------- what is wrong
def test_the_report_names_everything(device):
    def spoil(g, x):
        mask = tl.zeros(2, 3, dtype=tl.float64)
        mask[1, 2], mask[0, 1] = 0.5, 0.01
        return g * 2 * x + g * mask

    square = wrong(spoil)

    def func(scale, weight):
        return square(weight) * 1, scale

    weight = tl.ones(2, 3, dtype=tl.float64, requires_grad=True)
    with pytest.raises(GradcheckError) as e:
        tl.gradcheck(func, (leaf(1).detach(), weight))
    text = str(e.value)
    assert text.startswith("gradcheck: argument 1 (weight), index (1, 2), for the result at (1, 2): ")
    assert "expected 2 by finite differences, received 2.5 from backward" in text
    assert "(error 0.5, allowed 0.00201); 2 places are wrong, this is the worst" in text
    assert tl.gradcheck(func, (leaf(1).detach(), weight), raise_exception=False) is False
    with pytest.raises(
        GradcheckError, match=r"argument 1 \(weight\), along a random direction: expected .*fast_mode=False"
    ):
        tl.gradcheck(func, (leaf(1).detach(), weight), fast_mode=True)


def test_results_are_named_where_there_are_several():
    bad = wrong(lambda g, x: g * x)
    with pytest.raises(GradcheckError, match=r"argument 0 \(x\), index \(1,\), for result 2 at \(1,\)"):
        tl.gradcheck(lambda x: (x * 3, x.sum(), bad(x) * tl.tensor([0.0, 1.0]).double()), leaf(2))
    with pytest.raises(GradcheckError, match=r"index \(\), for the result: "):
        tl.gradcheck(bad, leaf())


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize(
    "rule",
    {
        "factor": lambda g, x: g * x,
        "sign": lambda g, x: -g * 2 * x,
        "nothing": lambda g, x: None,
        "zero": lambda g, x: g * 0,
        "incoming left out": lambda g, x: 2 * x,
        "nan": lambda g, x: g * float("nan"),
        "slightly": lambda g, x: g * 2.01 * x,
    }.items(),
    ids=lambda r: r[0],
)
def test_planted_errors_are_found(rule, fast):
    f = wrong(rule[1])
    assert not tl.gradcheck(lambda x: f(x) * 3, leaf(2, 2), fast_mode=fast, raise_exception=False)


def test_a_detached_result_counts_as_gradient_zero():
    with pytest.raises(GradcheckError, match="received 0 from backward"):
        tl.gradcheck(lambda x: x.detach() * 2, leaf(2))
    assert tl.gradcheck(lambda x: x.detach() * 0, leaf(2))


def test_second_derivatives_that_are_wrong():
    flat = wrong(lambda g, x: g * 2 * x.detach())  # right in first order only

    def once(value):
        return flat(value)

    x = leaf(3)
    assert tl.gradcheck(once, x)
    with pytest.raises(GradcheckError, match=r"gradgradcheck: argument 0 \(value\), index .*received 0 from backward"):
        tl.gradgradcheck(once, x)
    square = wrong(lambda g, x: g.detach() * 2 * x)
    assert tl.gradcheck(square, x)
    with pytest.raises(GradcheckError, match=r"gradgradcheck: grad_outputs\[0\], index"):
        tl.gradgradcheck(square, x)


def test_gradgradcheck_with_given_gradients():
    x = leaf(3)
    assert tl.gradgradcheck(lambda x: (x**3, x.sin()), x, (tl.ones(3).double(), tl.zeros(3).double()))
    with pytest.raises(ArgumentError, match="1 grad_outputs for 2 differentiable results"):
        tl.gradgradcheck(lambda x: (x**3, x.sin()), x, tl.ones(3).double())


def test_what_cannot_be_checked():
    with pytest.raises(
        DTypeError, match=r"gradcheck: argument 1 \(w\) is float32; finite differences need float64: use x.double\(\)"
    ):
        tl.gradcheck(lambda x, w: x * w, (leaf(2), tl.ones(2, requires_grad=True)))
    with pytest.raises(ArgumentError, match="none of the inputs requires grad"):
        tl.gradcheck(lambda x: x, leaf(2).detach())
    with pytest.raises(ArgumentError, match=r"argument 0 \(x\) was expanded"):
        tl.gradcheck(lambda x: x * 2, leaf(1).expand(3))
    with pytest.raises(ArgumentError, match="kinks must be 'report', 'raise' or 'ignore'"):
        tl.gradcheck(lambda x: x, leaf(2), kinks="no")
    with pytest.raises(ArgumentError, match="check_forward_ad is not supported"):
        tl.gradcheck(lambda x: x, leaf(2), check_forward_ad=True)
    with pytest.raises(TypeError, match="unexpected keyword argument 'epsilon'"):
        tl.gradcheck(lambda x: x, leaf(2), epsilon=1)
    assert tl.gradcheck(lambda x: x * 1, leaf(2), check_undefined_grad=True, masked=False)


def test_functions_that_are_not_deterministic():
    x = leaf(50)
    with pytest.raises(
        GradcheckError, match=r"not deterministic: two calls with the same inputs differ by up to .*dropout"
    ):
        tl.gradcheck(lambda x: tl.nn.functional.dropout(x, 0.5), x)
    noise = iter(range(1000))
    with pytest.raises(GradcheckError, match=r"the backward is not deterministic: the gradient of argument 0 differs"):
        tl.gradcheck(wrong(lambda g, x: g * next(noise), lambda x: x * 1), leaf(2), raise_exception=True)
    drift = iter(np.arange(1000) * 1e-12)
    assert tl.gradcheck(lambda x: x + next(drift), leaf(2), nondet_tol=1e-10)
    with pytest.raises(GradcheckError, match="differ in shape"):
        tl.gradcheck(lambda x: x[: 2 + next(noise) % 2], leaf(5))


def test_functions_that_are_not_finite():
    x = tl.zeros(1, dtype=tl.float64, requires_grad=True)
    with pytest.raises(GradcheckError, match=r"index \(0,\).*expected nan"):
        tl.gradcheck(lambda x: x.sqrt(), x)


# ---------------------------------------------------------------- kinks
KINKS = {
    "relu": (lambda x: x.relu(), 0.0, "the slope is 0 to the left and 1 to the right, the gradient 0 lies between"),
    "abs": (lambda x: x.abs(), 0.0, "the slope is -1 to the left and 1 to the right, the gradient 0 lies between"),
    "maximum": (lambda x: tl.maximum(x, x * 3), 0.0, "the slope is 1 to the left and 3 to the right, the gradient 2"),
    "near": (lambda x: x.relu(), 3e-7, "1 to the right, the gradient 1 lies between"),
    "clamp": (lambda x: x.clamp(-1, 1), 1.0, "the slope is 1 to the left and 0 to the right, the gradient 1"),
    "times 1000": (lambda x: 1000 * x.relu() + (7 * x).sin(), 0.0, "1007 to the right, the gradient 7 lies between"),
}


@pytest.mark.parametrize("name", KINKS)
def test_kinks_are_named_and_are_no_failure(device, name):
    f, at, text = KINKS[name]
    x = tl.tensor([0.5, at, -0.7], dtype=tl.float64, requires_grad=True)
    with pytest.warns(KinkWarning) as seen:
        assert tl.gradcheck(lambda value: f(value), x) is True
    (said,) = [str(w.message) for w in seen]
    assert (
        said.startswith("gradcheck: argument 0 (value), index (1,), for the result at (1,): a kink (") and text in said
    )
    with pytest.raises(GradcheckError, match=r"index \(1,\).*a kink"):
        tl.gradcheck(f, x, kinks="raise")
    assert tl.gradcheck(f, x, kinks="ignore")
    with pytest.warns(KinkWarning, match=r"argument 0 .*, along a random direction: a kink"):
        assert tl.gradcheck(f, x, fast_mode=True)


def test_several_kinks_are_counted():
    x = tl.zeros(4, dtype=tl.float64, requires_grad=True)
    with pytest.warns(KinkWarning, match="and 3 more kinks"):
        assert tl.gradcheck(lambda x: x.relu(), x)


def test_a_kink_does_not_excuse_a_gradient_outside_of_its_slopes():
    f = wrong(lambda g, x: g * 1.5, lambda x: x.relu())
    x = tl.zeros(2, dtype=tl.float64, requires_grad=True)
    with pytest.raises(GradcheckError, match=r"expected 0.5 by finite differences, received 1.5"):
        tl.gradcheck(f, x)
    other = tl.tensor([0.0, 0.5], dtype=tl.float64, requires_grad=True)  # a kink beside a wrong place
    with pytest.raises(GradcheckError, match=r"index \(1,\).*expected 1 .*received 0 "):
        tl.gradcheck(wrong(lambda g, x: g * 0, lambda x: x.relu()), other)


@pytest.mark.parametrize("scale", [1.0, 1e3, 1e6])
def test_curvature_and_rounding_are_no_kinks(scale):
    """Strongly curved and large smooth functions: no warning (the fixture makes one a failure), and errors in them are found."""
    x = tl.tensor([0.3, -0.2], dtype=tl.float64, requires_grad=True)
    assert tl.gradcheck(lambda x: scale * (x * x * 50 + x), x)
    bent = wrong(lambda g, x: g * (100 * x + 1.02 + 5e-4) * scale, lambda x: scale * (50 * x * x + x))
    assert not tl.gradcheck(bent, tl.zeros(1, dtype=tl.float64, requires_grad=True), raise_exception=False)


# ---------------------------------------------------------------- along random directions
def test_directional_check(device):
    w, b = leaf(4, 3), leaf(3, seed=9)
    x = leaf(5, 4, seed=8).detach()
    rows = directional_check(lambda: ((x @ w + b).tanh() ** 2).mean(), [w, b], projections=4)
    assert len(rows) == 4 and max(r[2] for r in rows) < 1e-6 and all(abs(r[0]) > 1e-4 for r in rows)
    assert rows == directional_check(lambda: ((x @ w + b).tanh() ** 2).mean(), [w, b], projections=4)
    assert rows != directional_check(lambda: ((x @ w + b).tanh() ** 2).mean(), [w, b], projections=4, seed=1)
    cubed = wrong(lambda g, x: g * 2.02 * x)
    rows = directional_check(lambda: cubed(w).sum(), [w])
    assert all(0.005 < r[2] < 0.02 for r in rows)


def test_directional_check_of_a_constant_loss():
    w = leaf(6)
    rows = directional_check(lambda: tl.softmax(w * 10, 0).sum(), [w])
    assert max(r[2] for r in rows) < 1e-4
    assert directional_check(lambda: (leaf(3) * 2).sum(), [w])[0] == (0.0, 0.0, 0.0)


def test_directional_check_refuses():
    with pytest.raises(DTypeError, match=r"parameter 1 is float32.*model.double"):
        directional_check(lambda: None, [leaf(2), tl.ones(2, requires_grad=True)])
    w = leaf(50)
    with pytest.raises(GradcheckError, match="the loss is not deterministic"):
        directional_check(lambda: tl.nn.functional.dropout(w, 0.5).sum(), [w])


def test_check_module(device):
    model = tl.nn.Sequential(
        tl.nn.Linear(4, 8), tl.nn.GELU(), tl.nn.LayerNorm(8), tl.nn.Dropout(0.5), tl.nn.Linear(8, 3)
    )
    x, y = leaf(6, 4).detach(), tl.tensor([0, 1, 2, 0, 1, 2])
    rows = check_module(model, lambda m: tl.nn.functional.cross_entropy(m(x), y))
    assert len(rows) == 3 and max(r[2] for r in rows) < 1e-6
    assert model.training and next(model.parameters()).dtype == tl.float32


def test_a_gpt_along_random_directions():
    from tensorlite.models.gpt import GPT, GPTConfig

    model = GPT(GPTConfig(vocab_size=11, block_size=8, layers=2, heads=2, dim=16))
    ids = tl.randint(0, 11, (2, 9))
    rows = check_module(model, lambda m: m(ids[:, :-1], ids[:, 1:])[1])
    assert max(r[2] for r in rows) < 1e-5
