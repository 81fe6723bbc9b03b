"""Learning-rate schedules: PyTorch's rates (and momenta), going on from a saved state bit for bit, warnings, refusals."""

import copy
import math
import warnings

import numpy as np
import pytest

import tensorlite as tl
from tensorlite import errors, nn
from tensorlite.optim import SGD, lr_scheduler

STEPS = 50


def optimizer(lib, kind="SGD", **options):
    groups = [{"params": [lib.nn.Parameter(lib.ones(1))]}, {"params": [lib.nn.Parameter(lib.ones(1))], "lr": 0.7}]
    return getattr(lib.optim, kind)(groups, lr=0.1, **options)


def made(name, **options):
    return lambda lib, opt: getattr(lib.optim.lr_scheduler, name)(opt, **options)


def in_turn(lib, opt):
    s = lib.optim.lr_scheduler
    parts = [s.ConstantLR(opt, 0.1, 20), s.ExponentialLR(opt, 0.9), s.CosineAnnealingLR(opt, 10), s.StepLR(opt, 3)]
    return s.SequentialLR(opt, parts, milestones=[5, 20, 35])


def nested(lib, opt):
    s = lib.optim.lr_scheduler
    first = s.SequentialLR(opt, [s.LinearLR(opt, 0.1, total_iters=4), s.CosineAnnealingLR(opt, 20)], [4])
    return s.SequentialLR(opt, [first, s.StepLR(opt, 7)], [30])


def chained(lib, opt):
    s = lib.optim.lr_scheduler
    return s.ChainedScheduler(
        [s.ConstantLR(opt, 0.1, 4), s.ExponentialLR(opt, 0.95), s.CosineAnnealingLR(opt, 15, 1e-3)]
    )


class Fade:
    """A function with a state, which is saved."""

    def __init__(self, by):
        self.by = by

    def __call__(self, t):
        return self.by**t


SCHEDULES = {
    "lambda": made("LambdaLR", lr_lambda=lambda t: 0.9**t),
    "lambdas": made("LambdaLR", lr_lambda=[lambda t: 1 / (t + 1), Fade(0.8)]),
    "multiplicative": made("MultiplicativeLR", lr_lambda=lambda t: 1 - 0.5 / (t + 1)),
    "step": made("StepLR", step_size=7, gamma=0.5),
    "multistep": made("MultiStepLR", milestones=[3, 10, 10, 30], gamma=0.3),
    "constant": made("ConstantLR"),
    "constant 2": made("ConstantLR", factor=0.25, total_iters=12),
    "linear": made("LinearLR"),
    "linear 2": made("LinearLR", start_factor=0.9, end_factor=0.05, total_iters=33),
    "exponential": made("ExponentialLR", gamma=0.93),
    "polynomial": made("PolynomialLR"),
    "polynomial 2": made("PolynomialLR", total_iters=40, power=2.5),
    "cosine": made("CosineAnnealingLR", T_max=29),
    "cosine 2": made("CosineAnnealingLR", T_max=7, eta_min=0.01),
    "restarts": made("CosineAnnealingWarmRestarts", T_0=6),
    "restarts 2": made("CosineAnnealingWarmRestarts", T_0=4, T_mult=2, eta_min=0.01),
    "cyclic": made("CyclicLR", base_lr=0.01, max_lr=[0.2, 0.3], step_size_up=7),
    "cyclic 2": made("CyclicLR", base_lr=[0.02, 0.01], max_lr=0.3, step_size_up=5, step_size_down=9, mode="triangular2"),
    "cyclic 3": made("CyclicLR", base_lr=0.01, max_lr=0.3, step_size_up=6, mode="exp_range", gamma=0.97),
    "cyclic 4": made("CyclicLR", base_lr=0.01, max_lr=0.3, step_size_up=6, scale_fn=Fade(0.9), scale_mode="iterations",
                     base_momentum=0.6, max_momentum=[0.9, 0.8]),
    "one cycle": made("OneCycleLR", max_lr=0.5, total_steps=STEPS + 1),
    "one cycle 2": made("OneCycleLR", max_lr=[0.5, 0.2], epochs=6, steps_per_epoch=10, pct_start=0.4, div_factor=5.0,
                        anneal_strategy="linear", final_div_factor=10.0, base_momentum=0.5),
    "one cycle 3": made("OneCycleLR", max_lr=0.5, total_steps=60, three_phase=True),
    "one cycle 4": made("OneCycleLR", max_lr=0.5, total_steps=60, cycle_momentum=False),
    "in turn": in_turn,
    "nested": nested,
    "chained": chained,
}  # fmt: skip


def advance(opt, schedule, steps):
    """The rates of both groups, and their momenta, step by step."""
    out = []
    for _ in range(steps):
        momenta = [g["momentum"] if "momentum" in g else g["betas"][0] for g in opt.param_groups]
        out.append([g["lr"] for g in opt.param_groups] + momenta)
        assert schedule.get_last_lr() == out[-1][:2]
        opt.step()
        schedule.step()
    return np.array(out)


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
@pytest.mark.parametrize("name", SCHEDULES)
def test_fifty_steps_agree_with_pytorch(name, kind):
    torch = pytest.importorskip("torch")
    options = {"momentum": 0.5} if kind == "SGD" else {}
    results = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for lib in (tl, torch):
            opt = optimizer(lib, kind, **options)
            results.append(advance(opt, SCHEDULES[name](lib, opt), STEPS))
    np.testing.assert_allclose(*results, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", [*SCHEDULES, "noam", "warmup"])
def test_going_on_from_a_saved_state_is_bitwise_the_same(tmp_path, name):
    ours = {"noam": made("NoamLR", d_model=64, warmup=10), "warmup": made("WarmupCosineLR", warmup=5, total=40)}
    make = {**SCHEDULES, **ours}[name]

    def run():
        opt = optimizer(tl, momentum=0.5)
        return opt, make(tl, opt)

    opt, schedule = run()
    advance(opt, schedule, 25)
    tl.save({"opt": opt.state_dict(), "schedule": schedule.state_dict()}, tmp_path / "state")
    expected = advance(opt, schedule, 20)
    opt, schedule = run()
    saved = tl.load(tmp_path / "state")
    opt.load_state_dict(saved["opt"])
    schedule.load_state_dict(saved["schedule"])
    assert np.array_equal(advance(opt, schedule, 20), expected)


def keys(state, prefix=""):
    inner = state.get("_schedulers", ())
    return {prefix + k for k in state} | {k for i, s in enumerate(inner) for k in keys(s, f"{prefix}{i}.")}


@pytest.mark.parametrize("name", [*SCHEDULES, "swa"])
def test_states_cross_to_pytorch_and_back(name):
    torch = pytest.importorskip("torch")
    make = {**SCHEDULES, "swa": lambda lib, opt: lib.optim.swa_utils.SWALR(opt, [0.02, 0.03], anneal_epochs=40)}[name]

    def run(lib, steps, saved=None):
        opt = optimizer(lib, momentum=0.5)
        schedule = make(lib, opt)
        if saved is not None:
            opt.load_state_dict(saved[0])
            schedule.load_state_dict(saved[1])
        rates = advance(opt, schedule, steps)
        return rates, copy.deepcopy((opt.state_dict(), schedule.state_dict()))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (_, ours), (_, theirs) = run(tl, 25), run(torch, 25)
        assert keys(ours[1]) == keys(theirs[1])
        assert [set(g) for g in ours[0]["param_groups"]] == [set(g) for g in theirs[0]["param_groups"]]
        expected, _ = run(torch, 20, theirs)
        for lib, saved in ((tl, theirs), (torch, ours), (tl, ours)):
            np.testing.assert_allclose(run(lib, 20, saved)[0], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "name", ["cosine 2", "exponential", "step", "linear 2", "polynomial 2", "cyclic 2", "one cycle"]
)
def test_going_on_by_last_epoch_agrees_with_pytorch(name):
    torch = pytest.importorskip("torch")
    results = []
    for lib in (tl, torch):
        opt = optimizer(lib, momentum=0.5)
        schedule = SCHEDULES[name](lib, opt)
        advance(opt, schedule, 10)
        again = optimizer(lib, momentum=0.5)
        again.load_state_dict(opt.state_dict())
        made_anew = {
            "cosine 2": ("CosineAnnealingLR", {"T_max": 7, "eta_min": 0.01}),
            "exponential": ("ExponentialLR", {"gamma": 0.93}),
            "step": ("StepLR", {"step_size": 7, "gamma": 0.5}),
            "linear 2": ("LinearLR", {"start_factor": 0.9, "end_factor": 0.05, "total_iters": 33}),
            "polynomial 2": ("PolynomialLR", {"total_iters": 40, "power": 2.5}),
            "cyclic 2": ("CyclicLR", {"base_lr": 0.02, "max_lr": 0.3, "step_size_up": 5, "mode": "triangular2"}),
            "one cycle": ("OneCycleLR", {"max_lr": 0.5, "total_steps": STEPS + 1}),
        }[name]
        schedule = getattr(lib.optim.lr_scheduler, made_anew[0])(again, last_epoch=10, **made_anew[1])
        results.append(advance(again, schedule, 20))
    np.testing.assert_allclose(*results, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("options", [
    {}, {"mode": "max", "patience": 2, "factor": 0.5}, {"patience": 1, "cooldown": 3, "threshold": 0.1},
    {"patience": 0, "threshold": 0.05, "threshold_mode": "abs", "min_lr": [0.01, 0.2]}, {"patience": 1, "eps": 0.01},
])  # fmt: skip
def test_plateau_agrees_with_pytorch(tmp_path, options):
    torch = pytest.importorskip("torch")
    losses = np.random.default_rng(0).normal(size=80).cumsum() * 0.1 + 3

    def run(lib, save=False):
        opt, rates = optimizer(lib), []
        schedule = lib.optim.lr_scheduler.ReduceLROnPlateau(opt, **options)
        for i, loss in enumerate(losses):
            if save and i == 40:
                tl.save(schedule.state_dict(), tmp_path / "state")
                schedule = lr_scheduler.ReduceLROnPlateau(opt)
                schedule.load_state_dict(tl.load(tmp_path / "state"))
            schedule.step(lib.tensor(loss) if i % 2 else loss)
            rates.append(schedule.get_last_lr())
        return np.array(rates)

    np.testing.assert_allclose(run(tl), run(torch), rtol=1e-12)
    assert np.array_equal(run(tl), run(tl, save=True))
    assert len(np.unique(run(tl)[:, 0])) > 1


@pytest.mark.parametrize("name", ["restarts", "restarts 2", "cosine 2", "step", "linear 2"])
def test_step_to_an_epoch_agrees_with_pytorch(name):
    torch = pytest.importorskip("torch")
    results = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for lib in (tl, torch):
            opt, rates = optimizer(lib), []
            schedule = SCHEDULES[name](lib, opt)
            for epoch in (1, 2.5, 3, 17, 30.25, 4, None, None) if "restarts" in name else (1, 3, 17, 4, None):
                schedule.step(epoch)
                rates.append(schedule.get_last_lr())
            results.append(np.array(rates))
    np.testing.assert_allclose(*results, rtol=1e-12)


@pytest.mark.parametrize("warmup, total, final", [(5, 25, 0.1), (0, 10, 0.0), (4, 4, 0.5)])
def test_warmup_cosine(warmup, total, final):
    opt = optimizer(tl, momentum=0.5)
    got = advance(opt, lr_scheduler.WarmupCosineLR(opt, warmup, total, final), 30)[:, :2]
    for t, lr in enumerate(got):
        if t < warmup:
            factor = (t + 1) / (warmup + 1)
        elif t > total or (t == total and total > warmup):
            factor = final
        else:
            factor = final + (1 - final) * (1 + math.cos(math.pi * (t - warmup) / max(1, total - warmup))) / 2
        np.testing.assert_allclose(lr, [0.1 * factor, 0.7 * factor], rtol=1e-12, atol=1e-15)
    assert (np.diff(got[:warmup, 0]) > 0).all() and (np.diff(got[warmup:, 0]) <= 1e-15).all()


def test_noam_is_the_formula_of_the_paper():
    opt = SGD([nn.Parameter(tl.ones(1))], lr=2.0)
    schedule = lr_scheduler.NoamLR(opt, d_model=512, warmup=10)
    for t in range(1, 40):
        np.testing.assert_allclose(schedule.get_last_lr()[0], 2 * 512**-0.5 * min(t**-0.5, t * 10**-1.5), rtol=1e-12)
        opt.step()
        schedule.step()


def test_a_rate_that_is_a_tensor_stays_the_same_tensor():
    lr = tl.tensor(0.5)
    opt = SGD([nn.Parameter(tl.ones(1))], lr=lr)
    schedule = lr_scheduler.ExponentialLR(opt, 0.5)
    opt.step()
    schedule.step()
    assert opt.param_groups[0]["lr"] is lr and lr.item() == 0.25 and schedule.get_last_lr() == [0.25]


def test_warnings_of_pytorch():
    opt = optimizer(tl)
    schedule = lr_scheduler.StepLR(opt, 3)
    with pytest.warns(UserWarning, match=r"lr_scheduler.step\(\) was called before optimizer.step"):
        schedule.step()
    opt.step()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        schedule.step()
    with pytest.warns(UserWarning, match="deprecated"):
        schedule.step(7)


@pytest.mark.parametrize("make, text", [
    (lambda o: lr_scheduler.LambdaLR(3, lambda t: 1.0), "LambdaLR: an Optimizer is needed, not int"),
    (lambda o: lr_scheduler.StepLR(o, 3, last_epoch=4), r"param_groups\[0\] has no 'initial_lr' to go on from epoch 4"),
    (lambda o: lr_scheduler.LambdaLR(o, [lambda t: 1.0]), "LambdaLR: lr_lambda has 1 values for 2 parameter groups"),
    (lambda o: lr_scheduler.WarmupCosineLR(o, 5, 3), "needs 0 <= warmup <= total, got 5 and 3"),
    (lambda o: lr_scheduler.CosineAnnealingLR(o, 0), "T_max must be above 0, not 0"),
    (lambda o: lr_scheduler.ConstantLR(o, 2.0), r"ConstantLR: factor must be in \[0, 1\], not 2.0"),
    (lambda o: lr_scheduler.LinearLR(o, 0.0), r"LinearLR: start_factor must be in \(0, 1\], not 0.0"),
    (lambda o: lr_scheduler.LinearLR(o, end_factor=2.0), r"LinearLR: end_factor must be in \[0, 1\], not 2.0"),
    (lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 0), "T_0 must be an integer of at least 1, not 0"),
    (lambda o: lr_scheduler.CyclicLR(o, 0.1, 0.2, mode="x"), "CyclicLR: mode must be triangular, .* not 'x'"),
    (lambda o: lr_scheduler.OneCycleLR(o, 0.1), "OneCycleLR: total_steps is needed, or epochs and steps_per_epoch"),
    (lambda o: lr_scheduler.OneCycleLR(o, 0.1, 0), "OneCycleLR: total_steps must be an integer above 0, not 0"),
    (lambda o: lr_scheduler.OneCycleLR(o, 0.1, 5, pct_start=2.0), r"pct_start must be in \[0, 1\], not 2.0"),
    (lambda o: lr_scheduler.OneCycleLR(o, 0.1, 5, anneal_strategy="x"), "anneal_strategy must be 'cos' or 'linear', not 'x'"),
    (lambda o: lr_scheduler.SequentialLR(o, [lr_scheduler.StepLR(o, 3)], [4]), "1 schedules need 0 milestones, got 1"),
    (lambda o: lr_scheduler.SequentialLR(o, [], []), "SequentialLR: at least one schedule is needed"),
    (lambda o: lr_scheduler.ChainedScheduler([lr_scheduler.StepLR(o, 3), lr_scheduler.StepLR(optimizer(tl), 3)]),
     "ChainedScheduler: schedule 1 belongs to another optimizer"),
    (lambda o: lr_scheduler.ChainedScheduler([lr_scheduler.ReduceLROnPlateau(o)], o), "schedule 0 is ReduceLROnPlateau"),
    (lambda o: lr_scheduler.ReduceLROnPlateau(o, factor=1.5), "ReduceLROnPlateau: factor must be below 1, not 1.5"),
    (lambda o: lr_scheduler.ReduceLROnPlateau(o, mode="x"), "mode must be 'min' or 'max', not 'x'"),
    (lambda o: lr_scheduler.NoamLR(o, 0), "NoamLR: d_model must be at least 1, not 0"),
])  # fmt: skip
def test_refused(make, text):
    with pytest.raises(errors.TensorliteError, match=text):
        make(optimizer(tl))
    with pytest.raises(errors.ArgumentError, match="neither momentum nor betas"):
        lr_scheduler.CyclicLR(tl.optim.Adagrad([nn.Parameter(tl.ones(1))]), 0.1, 0.2)


def test_more_steps_than_one_cycle_has():
    opt = optimizer(tl, momentum=0.5)
    with pytest.raises(errors.ArgumentError, match="OneCycleLR: step 6 was asked for, but total_steps is 5"):
        advance(opt, lr_scheduler.OneCycleLR(opt, 0.1, 5), 9)
