"""Optimizers and schedules: PyTorch's numbers over 50 steps, going on from a saved state bit for bit, groups, refusals."""

import copy

import numpy as np
import pytest
from numeric import host

import tensorlite as tl
from tensorlite import errors, nn
from tensorlite.optim import SGD, Adam, AdamW

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
    ("Adam", {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("Adamax", {}),
    ("Adamax", {"lr": 0.02, "betas": (0.8, 0.9), "eps": 1e-3, "weight_decay": 0.1, "maximize": True}),
    ("NAdam", {}),
    ("NAdam", {"lr": 0.02, "betas": (0.8, 0.9), "eps": 1e-3, "weight_decay": 0.1, "momentum_decay": 0.02}),
    ("NAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}),
    ("RAdam", {}),
    ("RAdam", {"lr": 0.02, "betas": (0.8, 0.9), "eps": 1e-3, "weight_decay": 0.1}),
    ("RAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}),
    ("Adagrad", {}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.05, "weight_decay": 0.1, "initial_accumulator_value": 0.5, "eps": 1e-3}),
    ("Adagrad", {"maximize": True}),
    ("Adadelta", {}),
    ("Adadelta", {"lr": 0.5, "rho": 0.7, "eps": 1e-3, "weight_decay": 0.1, "maximize": True}),
    ("RMSprop", {}),
    ("RMSprop", {"alpha": 0.8, "eps": 1e-3, "weight_decay": 0.1, "momentum": 0.7}),
    ("RMSprop", {"centered": True, "momentum": 0.5, "maximize": True}),
    ("Rprop", {}),
    ("Rprop", {"lr": 0.05, "etas": (0.3, 1.5), "step_sizes": (1e-3, 0.1), "maximize": True}),
    ("ASGD", {}),
    ("ASGD", {"lr": 0.1, "lambd": 0.01, "alpha": 0.6, "t0": 10, "weight_decay": 0.1, "maximize": True}),
    ("Adafactor", {}),
    (
        "Adafactor",
        {"lr": 0.1, "beta2_decay": -0.5, "eps": (1e-4, 1e-2), "d": 1.5, "weight_decay": 0.1, "maximize": True},
    ),
    ("Muon", {}),
    ("Muon", {"lr": 0.02, "weight_decay": 0.0, "momentum": 0.8, "nesterov": False, "adjust_lr_fn": "match_rms_adamw"}),
    ("Muon", {"lr": 0.02, "ns_steps": 3, "ns_coefficients": (2.0, -1.5, 0.5), "eps": 1e-3}),
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


def parameters(lib, dtype="float64", kind=""):
    """The parameters; for Muon, which takes matrices only, these."""
    arrays = [a for a in starts() if kind != "Muon" or a.ndim == 2]
    return [lib.nn.Parameter(lib.tensor(np.asarray(a, dtype))) for a in arrays]


def advance(lib, opt, params, steps):
    for step in steps:
        for p, g in zip(params, gradients(step), strict=False):
            p.grad = None if g is None else lib.tensor(g).to(p.dtype)
        opt.step()


def read(params):
    return [host(p) if isinstance(p, tl.Tensor) else p.detach().numpy() for p in params]


@settings
def test_fifty_steps_agree_with_pytorch(device, kind, options, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.Tensor, "bfloat16", lambda x: x.clone())  # Muon rounds to it there
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)  # the counters of NAdam and ASGD have it
    try:
        ours, theirs = parameters(tl, kind=kind), parameters(torch, kind=kind)
        advance(tl, getattr(tl.optim, kind)(ours, **options), ours, range(STEPS))
        advance(torch, getattr(torch.optim, kind)(theirs, **options), theirs, range(STEPS))
    finally:
        torch.set_default_dtype(before)
    for a, b, start in zip(read(ours), read(theirs), starts(), strict=False):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)
        assert np.abs(a - start).max() > 1e-4


def test_one_step_of_adamw_by_hand(device):
    p = nn.Parameter(tl.tensor([2.0, -3.0], dtype=tl.float64))
    opt = AdamW([p], lr=0.5, betas=(0.5, 0.75), eps=0.0, weight_decay=0.1)
    p.grad = tl.tensor([4.0, -1.0], dtype=tl.float64)
    opt.step()  # m / (1 - b1) = g and v / (1 - b2) = g^2, so the step is lr sign(g) after the decay by 1 - lr wd
    np.testing.assert_allclose(host(p), [2 * 0.95 - 0.5, -3 * 0.95 + 0.5], rtol=1e-15)


# ---------------------------------------------------------------- saving and going on
@settings
def test_going_on_from_a_saved_state_is_bitwise_the_same(device, tmp_path, kind, options):
    make = getattr(tl.optim, kind)
    whole = parameters(tl, "float32", kind)
    advance(tl, make(whole, **options), whole, range(STEPS))

    first = parameters(tl, "float32", kind)
    opt = make(first, **options)
    advance(tl, opt, first, range(STEPS // 2))
    tl.save({"opt": opt.state_dict(), "params": [p.detach() for p in first]}, tmp_path / "state")
    advance(tl, opt, first, range(3))  # what happens afterwards must not reach the saved copy

    saved = tl.load(tmp_path / "state")
    second = [nn.Parameter(a) for a in saved["params"]]
    opt = make(second, lr=123.0)  # the options come from the state too
    opt.load_state_dict(saved["opt"])
    advance(tl, opt, second, range(STEPS // 2, STEPS))
    for a, b in zip(read(whole), read(second), strict=True):
        assert a.dtype == np.float32 and np.array_equal(a, b)


@pytest.mark.parametrize("kind", sorted({kind for kind, _ in SETTINGS}))
def test_state_and_options_have_the_names_of_pytorch(kind):
    torch = pytest.importorskip("torch")

    def names(lib):
        params = parameters(lib, kind=kind)
        opt = getattr(lib.optim, kind)(params)
        advance(lib, opt, params, range(3, 5))
        state = opt.state_dict()
        groups = [sorted(g) for g in state["param_groups"]]
        values = {k: {n for n, v in s.items() if v is not None} for k, s in state["state"].items()}
        return values, groups, [g["params"] for g in state["param_groups"]]

    ours, theirs = names(tl), names(torch)
    if kind in ("RMSprop", "SGD"):  # there, what is switched off is left out or None
        theirs = (
            *[ours[0] if all(set(v) >= ours[0].get(k, set()) for k, v in theirs[0].items()) else theirs[0]],
            *theirs[1:],
        )
    assert ours == theirs


@pytest.mark.parametrize("kind", sorted({kind for kind, _ in SETTINGS}))
def test_repr_is_pytorchs_and_a_deep_copy_goes_on_by_itself(kind):
    torch = pytest.importorskip("torch")
    params = parameters(tl, kind=kind)
    opt = getattr(tl.optim, kind)(params)
    assert repr(opt) == repr(getattr(torch.optim, kind)(parameters(torch, kind=kind)))
    if kind != "LBFGS":  # it takes one group only
        groups = [[{"params": [p]} for p in parameters(t, kind=kind)] for t in (tl, torch)]
        assert repr(getattr(tl.optim, kind)(groups[0])) == repr(getattr(torch.optim, kind)(groups[1]))
    advance(tl, opt, params, range(3, 6))
    before, other = read(params), copy.deepcopy(opt)
    before = [a.copy() for a in before]
    copies = other.param_groups[0]["params"]
    advance(tl, other, copies, range(6, 9))
    assert all(np.array_equal(a, b) for a, b in zip(before, read(params), strict=True))
    advance(tl, opt, params, range(6, 9))
    assert all(np.array_equal(a, b) for a, b in zip(read(copies), read(params), strict=True))


def test_the_state_of_pytorch_is_gone_on_from():
    """A state_dict written by PyTorch, read as arrays."""
    torch = pytest.importorskip("torch")
    ours, theirs = parameters(tl), parameters(torch)
    there = torch.optim.AdamW(theirs, lr=0.01)
    advance(torch, there, theirs, range(25))
    for p, q in zip(ours, theirs, strict=True):
        p.data = tl.tensor(q.detach().numpy().copy())
    state = there.state_dict()
    state["state"] = {i: {k: tl.tensor(v.numpy().copy()) for k, v in s.items()} for i, s in state["state"].items()}
    opt = AdamW(ours, lr=5.0)
    opt.load_state_dict(state)
    advance(tl, opt, ours, range(25, STEPS))
    advance(torch, there, theirs, range(25, STEPS))
    for a, b in zip(read(ours), read(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)


# ---------------------------------------------------------------- L-BFGS
def rosenbrock(lib, params):
    x, y = params
    return ((1 - x) ** 2).sum() + 10 * ((y - x * x) ** 2).sum()


@pytest.mark.parametrize("options", [
    {"lr": 0.1}, {"lr": 0.5, "max_iter": 4, "history_size": 3}, {"line_search_fn": "strong_wolfe"},
    {"line_search_fn": "strong_wolfe", "max_iter": 5, "history_size": 2}, {"line_search_fn": "strong_wolfe", "max_eval": 6},
])  # fmt: skip
def test_lbfgs_agrees_with_pytorch_and_goes_on(tmp_path, options):
    torch = pytest.importorskip("torch")

    def run(lib, steps, params=None, state=None):
        start = np.random.default_rng(0).normal(size=(2, 3))
        params = params or [lib.nn.Parameter(lib.tensor(a)) for a in start]
        opt, losses = lib.optim.LBFGS(params, **options), []
        if state:
            opt.load_state_dict(state)

        def closure():
            opt.zero_grad()
            loss = rosenbrock(lib, params)
            loss.backward()
            return loss

        for _ in range(steps):
            losses.append(opt.step(closure).item())
        return params, opt, losses

    (ours, _, losses), (theirs, _, expected) = run(tl, 6), run(torch, 6)
    np.testing.assert_allclose(losses, expected, rtol=1e-8, atol=1e-10)
    for a, b in zip(read(ours), read(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-8)
    half, opt, _ = run(tl, 3)
    tl.save({"opt": opt.state_dict(), "params": [p.detach() for p in half]}, tmp_path / "state")
    saved = tl.load(tmp_path / "state")
    again, _, _ = run(tl, 3, [nn.Parameter(a) for a in saved["params"]], saved["opt"])
    for a, b in zip(read(ours), read(again), strict=True):
        assert np.array_equal(a, b)


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
    (lambda p: SGD([p], fused=True, foreach=True), "SGD: fused and foreach exclude each other"),
    (lambda p: SGD([p], differentiable=True), "SGD: differentiable must be False"),
    (lambda p: SGD([p], lr=tl.ones(2)), "SGD: lr must be one number, not a tensor of shape"),
    (lambda p: SGD([p, ("b", tl.ones(1))]), "either all parameters are .name, tensor. pairs or none"),
    (lambda p: SGD(p), "SGD: an iterable of tensors is needed"),
    (lambda p: SGD([p]).add_param_group([tl.ones(1)]), "SGD: a parameter group is a dict .*, not list"),
    (lambda p: tl.optim.NAdam([p], momentum_decay=-1), "NAdam: momentum_decay must be at least 0, not -1"),
    (lambda p: tl.optim.Adagrad([p], lr_decay=-1), "Adagrad: lr_decay must be at least 0, not -1"),
    (lambda p: tl.optim.Adamax([p], lr=-1), "Adamax: lr must be at least 0, not -1"),
    (lambda p: tl.optim.RAdam([p], betas=(-0.1, 0.9)), r"RAdam: betas.0. must be in"),
    (lambda p: tl.optim.ASGD([p], weight_decay=-1), "ASGD: weight_decay must be at least 0, not -1"),
    (lambda p: tl.optim.Adafactor([p], eps=(-1, 1)), "Adafactor: eps.0. must be None or at least 0, not -1"),
    (lambda p: tl.optim.Adafactor([p], eps=(None, -1)), "Adafactor: eps.1. must be at least 0, not -1"),
    (lambda p: tl.optim.Muon([tl.ones(2, 2)], ns_steps=100), "Muon: ns_steps must be in .0, 100., not 100"),
    (lambda p: tl.optim.Muon([tl.ones(2, 2)], adjust_lr_fn="x"), "Muon: adjust_lr_fn must be None or one of"),
    (lambda p: tl.optim.Muon([tl.ones(2, 2)], ns_coefficients=(1, 2)), "Muon: ns_coefficients must be three numbers"),
    (lambda p: tl.optim.Adadelta([p], rho=1.5), r"Adadelta: rho must be in \[0, 1\], not 1.5"),
    (lambda p: tl.optim.RMSprop([p], alpha=-1), "RMSprop: alpha must be at least 0, not -1"),
    (lambda p: tl.optim.Rprop([p], etas=(1.5, 1.2)), "Rprop: etas must be .*, not .1.5, 1.2"),
    (lambda p: tl.optim.Adafactor([p], beta2_decay=0.5), "Adafactor: beta2_decay must be at most 0, not 0.5"),
    (lambda p: tl.optim.Adafactor([p], d=0.5), "Adafactor: d must be at least 1, not 0.5"),
    (lambda p: tl.optim.Muon([p]), r"Muon: parameters must be matrices, not float32 \(2,\)"),
    (lambda p: tl.optim.LBFGS([p], line_search_fn="x"), "LBFGS: line_search_fn must be None or 'strong_wolfe', not 'x'"),
    (lambda p: tl.optim.LBFGS([{"params": [p]}, {"params": [tl.ones(1)]}]), "LBFGS: one parameter group only"),
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
    assert repr(opt).startswith("SGD (\nParameter Group 0\n    dampening: 0\n")
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


def test_hooks_names_and_a_tensor_as_rate():
    a, calls = nn.Parameter(tl.ones(1)), []
    opt = SGD([("a", a)], lr=tl.tensor(0.5))
    handles = [
        opt.register_step_pre_hook(lambda o, args, kwargs: calls.append("before")),
        opt.register_step_post_hook(lambda o, args, kwargs: calls.append("after")),
        tl.optim.optimizer.register_optimizer_step_pre_hook(lambda o, args, kwargs: calls.append("all")),
        opt.register_state_dict_post_hook(lambda o, d: {**d, "more": 1}),
        opt.register_load_state_dict_pre_hook(lambda o, d: calls.append("load")),
    ]
    a.grad = tl.ones(1)
    opt.step()
    assert calls == ["all", "before", "after"] and a.item() == 0.5
    state = opt.state_dict()
    assert state["more"] == 1 and state["param_groups"][0]["param_names"] == ["a"]
    opt.load_state_dict(state)
    assert calls[-1] == "load"
    for handle in handles:
        handle.remove()
    opt.step()
    assert len(calls) == 4 and a.item() == 0.0


def test_an_optimizer_of_ones_own_as_written_for_pytorch():
    class Own(tl.optim.Optimizer):
        def __init__(self, params, lr):
            super().__init__(params, {"lr": lr})

        @tl.no_grad()
        def step(self, closure=None):
            for group in self.param_groups:
                for p in group["params"]:
                    self.state[p]["n"] = self.state[p].get("n", 0) + 1
                    p.add_(p.grad, alpha=-group["lr"])

    p, calls = nn.Parameter(tl.ones(2)), []
    opt = Own([{"params": [p], "mine": 3}], lr=0.25)
    opt.register_step_post_hook(lambda *_: calls.append(1))
    p.sum().backward()
    opt.step()
    assert p.tolist() == [0.75, 0.75] and calls == [1] and opt.state_dict()["state"] == {0: {"n": 1}}
