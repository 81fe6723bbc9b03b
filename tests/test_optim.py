"""Optimizers and schedules: PyTorch's numbers over 50 steps, going on from a saved state bit for bit, groups, refusals."""

import math

import numpy as np
import pytest
from numeric import host

import tensorlite as tl
from tensorlite import errors, nn
from tensorlite.optim import SGD, Adam, AdamW, lr_scheduler

SHAPES = [(3, 4), (5,), (), (2, 1, 3)]
STEPS = 50
SETTINGS = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.05, "maximize": True}),
    ("SGD", {"lr": 0.01, "momentum": 0.9}),
    ("SGD", {"lr": 0.01, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.01, "momentum": 0.8, "nesterov": True, "weight_decay": 0.1, "maximize": True}),
    ("Adam", {"lr": 0.01}),
    ("Adam", {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.01, "weight_decay": 0.1, "amsgrad": True, "maximize": True}),
    ("Adam", {"lr": 0.01, "maximize": True}),
    ("AdamW", {"lr": 0.01}),
    ("AdamW", {"lr": 0.02, "betas": (0.7, 0.9), "eps": 1e-4, "weight_decay": 0.3}),
    ("AdamW", {"lr": 0.01, "amsgrad": True}),
    ("AdamW", {"lr": 0.01, "amsgrad": True, "maximize": True, "weight_decay": 0.0}),
]
settings = pytest.mark.parametrize("kind, options", SETTINGS, ids=lambda v: v if isinstance(v, str) else "-".join(v))


def starts():
    draw = np.random.default_rng(0)
    return [draw.normal(size=s) for s in SHAPES]


def gradients(step):
    """Given gradients, large and small; the last parameter has none in the first steps and each seventh."""
    draw = np.random.default_rng(step + 1)
    grads = [draw.normal(size=s) * 10.0 ** draw.integers(-3, 2) for s in SHAPES]
    return grads[:3] + [None if step < 3 or step % 7 == 0 else grads[3]]


def parameters(lib, dtype="float64"):
    return [lib.nn.Parameter(lib.tensor(np.asarray(a, dtype))) for a in starts()]


def advance(lib, opt, params, steps):
    for step in steps:
        for p, g in zip(params, gradients(step), strict=True):
            p.grad = None if g is None else lib.tensor(g).to(p.dtype)
        opt.step()


def read(params):
    return [host(p) if isinstance(p, tl.Tensor) else p.detach().numpy() for p in params]


@settings
def test_fifty_steps_agree_with_pytorch(device, kind, options):
    torch = pytest.importorskip("torch")
    ours, theirs = parameters(tl), parameters(torch)
    advance(tl, getattr(tl.optim, kind)(ours, **options), ours, range(STEPS))
    advance(torch, getattr(torch.optim, kind)(theirs, **options), theirs, range(STEPS))
    for a, b, start in zip(read(ours), read(theirs), starts(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)
        assert np.abs(a - start).max() > 1e-3


def test_one_step_of_adamw_by_hand(device):
    p = nn.Parameter(tl.tensor([2.0, -3.0], dtype=tl.float64))
    opt = AdamW([p], lr=0.5, betas=(0.5, 0.75), eps=0.0, weight_decay=0.1)
    p.grad = tl.tensor([4.0, -1.0], dtype=tl.float64)
    opt.step()  # m / (1 - b1) = g and v / (1 - b2) = g^2, so the step is lr sign(g) after the decay by 1 - lr wd
    np.testing.assert_allclose(host(p), [2 * 0.95 - 0.5, -3 * 0.95 + 0.5], rtol=1e-15)


# ---------------------------------------------------------------- saving and going on
def through_numpy(state):
    """A deep copy that holds nothing of the optimizer: each tensor by way of a NumPy array."""
    if isinstance(state, tl.Tensor):
        return tl.tensor(host(state).copy(), device="cpu")
    if isinstance(state, dict):
        return {k: through_numpy(v) for k, v in state.items()}
    return [through_numpy(v) for v in state] if isinstance(state, list) else state


@settings
def test_going_on_from_a_saved_state_is_bitwise_the_same(device, kind, options):
    make = getattr(tl.optim, kind)
    whole = parameters(tl, "float32")
    advance(tl, make(whole, **options), whole, range(STEPS))

    first = parameters(tl, "float32")
    opt = make(first, **options)
    advance(tl, opt, first, range(STEPS // 2))
    state, values = through_numpy(opt.state_dict()), [a.copy() for a in read(first)]
    advance(tl, opt, first, range(3))  # what happens afterwards must not reach the saved copy

    second = [nn.Parameter(tl.tensor(a)) for a in values]
    opt = make(second, lr=123.0)  # the options come from the state too
    opt.load_state_dict(state)
    advance(tl, opt, second, range(STEPS // 2, STEPS))
    for a, b in zip(read(whole), read(second), strict=True):
        assert a.dtype == np.float32 and np.array_equal(a, b)


def test_state_dict_numbers_the_parameters_as_pytorch_does():
    torch = pytest.importorskip("torch")

    def shape(lib):
        a, b, c = parameters(lib)[:3]
        opt = lib.optim.AdamW([{"params": [a]}, {"params": [b, c], "lr": 0.5}])
        for p in (a, c):
            p.grad = lib.zeros_like(p)
        opt.step()
        d = opt.state_dict()
        state = {k: sorted(v) for k, v in d["state"].items()}
        return state, [(g["params"], g["lr"], tuple(g["betas"]), g["weight_decay"]) for g in d["param_groups"]]

    assert shape(tl) == shape(torch)


def test_load_state_dict_refuses_other_parameters_and_loads_nothing():
    a, b = (nn.Parameter(tl.ones(n)) for n in (2, 3))
    opt, other = SGD([a], lr=0.1, momentum=0.9), SGD([b], lr=0.7, momentum=0.9)
    b.grad = tl.ones(3)
    other.step()
    with pytest.raises(
        errors.ShapeError, match=r"momentum_buffer of parameter 0 has shape \(3,\), the parameter \(2,\)"
    ):
        opt.load_state_dict(other.state_dict())
    with pytest.raises(errors.TensorliteError, match=r"the groups have \[1\] parameters, here they have \[2\]"):
        SGD([a, b]).load_state_dict(other.state_dict())
    with pytest.raises(errors.TensorliteError, match="there is state of parameter 7, but only 1 parameters"):
        opt.load_state_dict({"state": {7: {}}, "param_groups": opt.state_dict()["param_groups"]})
    assert opt.param_groups[0]["lr"] == 0.1 and not opt.state


def test_loaded_state_takes_the_dtype_of_the_parameter(device):
    p, q = nn.Parameter(tl.ones(2, dtype=tl.float64)), nn.Parameter(tl.ones(2))
    opt, other = SGD([p], lr=0.1, momentum=0.9), SGD([q], lr=0.1, momentum=0.9)
    p.grad, q.grad = tl.ones(2, dtype=tl.float64), tl.ones(2)
    opt.step()
    other.load_state_dict(opt.state_dict())
    other.step()
    assert other.state[q]["momentum_buffer"].dtype == tl.float32 and q.dtype == tl.float32
    np.testing.assert_allclose(host(q), 1 - 0.1 * 1.9, rtol=1e-6)
    assert opt.state[p]["momentum_buffer"].tolist() == [1, 1]  # a copy was loaded


# ---------------------------------------------------------------- groups and refusals
def test_groups_have_options_of_their_own(device):
    a, b, c = (nn.Parameter(tl.ones(2)) for _ in range(3))
    opt = SGD([{"params": a, "lr": 1.0}, {"params": [("name", b)]}], lr=0.25)
    opt.add_param_group({"params": [c], "lr": 0.5, "weight_decay": 1.0})
    for p in (a, b, c):
        p.grad = tl.ones(2)
    opt.step()
    assert [p.tolist() for p in (a, b, c)] == [[0, 0], [0.75, 0.75], [0, 0]]
    opt.zero_grad(set_to_none=False)
    assert a.grad.tolist() == [0, 0]
    opt.zero_grad()
    assert all(p.grad is None for p in (a, b, c))
    opt.step()  # nothing to do
    assert b.tolist() == [0.75, 0.75]


@pytest.mark.parametrize("make, text", [
    (lambda p: SGD([p], lr=-1), "SGD: lr must be at least 0, not -1"),
    (lambda p: SGD([p], momentum=-0.1), "SGD: momentum must be at least 0, not -0.1"),
    (lambda p: AdamW([p], weight_decay=-1), "AdamW: weight_decay must be at least 0, not -1"),
    (lambda p: Adam([p], eps=-1e-8), "Adam: eps must be at least 0, not -1e-08"),
    (lambda p: Adam([p], betas=(0.9, 1.0)), r"Adam: betas\[1\] must be in \[0, 1\), not 1.0"),
    (lambda p: SGD([p], lr=0.1, nesterov=True), "SGD: nesterov needs a momentum above 0 and no dampening"),
    (lambda p: SGD([p], momentum=0.9, dampening=0.1, nesterov=True), "SGD: nesterov needs a momentum"),
    (lambda p: SGD([]), "SGD: the list of parameters is empty"),
    (lambda p: SGD([p, p]), r"SGD: the parameter float32 \(2,\) was given twice"),
    (lambda p: SGD([{"params": [p]}, {"params": [p]}]), "was given twice"),
    (lambda p: SGD([{"params": [p], "lrr": 1}]), r"SGD: unknown option \['lrr'\]; known: \["),
    (lambda p: SGD([{"params": [p], "lr": -2}]), "SGD: lr must be at least 0, not -2"),
    (lambda p: SGD([1.0]), "SGD: parameters must be Tensors, not float"),
    (lambda p: SGD([p * 2]), "SGD: only leaves can be trained, not the result"),
])  # fmt: skip
def test_refused(make, text):
    with pytest.raises(errors.TensorliteError, match=text):
        make(nn.Parameter(tl.ones(2)))


# ---------------------------------------------------------------- what happens between steps
def test_closure_version_and_repr(device):
    p = nn.Parameter(tl.ones(1))
    opt = SGD([p], lr=0.5)

    def closure():
        opt.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with tl.no_grad():  # a closure always records
        assert opt.step(closure).item() == 1.0 and p.item() == 0.0
    assert repr(opt).startswith("SGD({'lr': 0.5, 'momentum': 0")
    loss = (p * p).sum()
    p.grad = tl.ones(1)
    opt.step()
    with pytest.raises(errors.InplaceError, match=r"SGD\.step"):
        loss.backward()


def test_replacing_data_and_grad_between_steps(device):
    p = nn.Parameter(tl.ones(2))
    opt = SGD([p], lr=1.0, momentum=0.5)
    p.grad = tl.tensor([1.0, 2.0])
    opt.step()
    assert p.tolist() == [0, -1]
    p.data = tl.tensor([10.0, 20.0])
    p.grad = tl.tensor([0.0, 4.0])
    opt.step()  # v = [0.5, 5]
    assert p.tolist() == [9.5, 15.0]
    (p * tl.tensor([3.0, 3.0])).sum().backward()  # adds to the gradient given
    assert p.grad.tolist() == [3, 7]


def test_frozen_and_shared_parameters(device):
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[1].weight = net[0].weight
    net[0].bias.requires_grad_(False)
    params = list(net.parameters())
    assert len(params) == 3
    frozen, before = host(net[0].bias).copy(), host(net[0].weight).copy()
    opt = SGD(params, lr=0.5)
    net(tl.ones(1, 2)).sum().backward()
    grad = host(net[0].weight.grad).copy()
    opt.step()
    assert np.array_equal(host(net[0].bias), frozen) and net[0].bias.grad is None
    np.testing.assert_allclose(host(net[1].weight), before - 0.5 * grad, rtol=1e-6)  # changed once, not twice


def test_it_trains(device):
    """Least squares: the weights of the line that made the points are found."""
    x = tl.randn(64, 3)
    y = x @ tl.tensor([[1.0], [-2.0], [0.5]]) + 3
    for make in (lambda p: SGD(p, lr=0.1, momentum=0.9), lambda p: AdamW(p, lr=0.1, weight_decay=0.0)):
        model = nn.Linear(3, 1)
        opt = make(model.parameters())
        for _ in range(150):
            opt.zero_grad()
            nn.functional.mse_loss(model(x), y).backward()
            opt.step()
        np.testing.assert_allclose(host(model.weight), [[1, -2, 0.5]], atol=2e-2)
        np.testing.assert_allclose(host(model.bias), [3], atol=2e-2)


# ---------------------------------------------------------------- schedules
def rates(lib, make, steps=30):
    opt = lib.optim.SGD([{"params": [lib.nn.Parameter(lib.ones(1))]},
                         {"params": [lib.nn.Parameter(lib.ones(1))], "lr": 0.7}], lr=0.1)  # fmt: skip
    schedule, out = make(opt), []
    for _ in range(steps):
        out.append(schedule.get_last_lr())
        assert out[-1] == [g["lr"] for g in opt.param_groups]
        opt.step()
        schedule.step()
    return np.array(out)


@pytest.mark.parametrize("name, options", [
    ("LambdaLR", {"lr_lambda": lambda t: 0.9**t}),
    ("LambdaLR", {"lr_lambda": [lambda t: 1 / (t + 1), lambda t: t / 10]}),
    ("CosineAnnealingLR", {"T_max": 29}),
    ("CosineAnnealingLR", {"T_max": 7, "eta_min": 0.01}),
])  # fmt: skip
def test_schedules_agree_with_pytorch(name, options):
    torch = pytest.importorskip("torch")
    theirs = rates(torch, lambda o: getattr(torch.optim.lr_scheduler, name)(o, **options))
    np.testing.assert_allclose(
        rates(tl, lambda o: getattr(lr_scheduler, name)(o, **options)), theirs, rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize("warmup, total, final", [(5, 25, 0.1), (0, 10, 0.0), (4, 4, 0.5)])
def test_warmup_cosine(warmup, total, final):
    got = rates(tl, lambda o: lr_scheduler.WarmupCosineLR(o, warmup, total, final))
    for t, lr in enumerate(got):
        if t < warmup:
            factor = (t + 1) / (warmup + 1)
        elif t >= total and total > warmup:
            factor = final
        else:
            factor = final + (1 - final) * (1 + math.cos(math.pi * (t - warmup) / max(1, total - warmup))) / 2
            factor = final if t > total else factor
        np.testing.assert_allclose(lr, [0.1 * factor, 0.7 * factor], rtol=1e-12, atol=1e-15)
    assert (np.diff(got[:warmup, 0]) > 0).all() and (np.diff(got[warmup:, 0]) <= 1e-15).all()
    with pytest.raises(errors.ArgumentError, match="needs 0 <= warmup <= total, got 5 and 3"):
        rates(tl, lambda o: lr_scheduler.WarmupCosineLR(o, 5, 3))


def test_a_schedule_goes_on_from_its_state():
    def make():
        opt = SGD([nn.Parameter(tl.ones(1))], lr=0.4)
        return opt, lr_scheduler.WarmupCosineLR(opt, 3, 20)

    (opt, whole), (first_opt, first), (second_opt, second) = make(), make(), make()
    for _ in range(6):
        whole.step()
        first.step()
    second_opt.load_state_dict(first_opt.state_dict())
    second.load_state_dict(first.state_dict())
    for _ in range(10):
        assert second_opt.param_groups[0]["lr"] == opt.param_groups[0]["lr"] and second.last_epoch == whole.last_epoch
        whole.step()
        second.step()
    with pytest.raises(errors.ArgumentError, match="CosineAnnealingLR: T_max must be above 0, not 0"):
        lr_scheduler.CosineAnnealingLR(opt, 0)
    with pytest.raises(errors.DTypeError, match="LambdaLR: an Optimizer is needed, not int"):
        lr_scheduler.LambdaLR(3, lambda t: 1.0)
