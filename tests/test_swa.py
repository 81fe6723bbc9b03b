"""Averages of weights: AveragedModel, its averaging functions, SWALR and update_bn against PyTorch."""

import numpy as np
import pytest
from numeric import host

import tensorlite as tl
from tensorlite import errors, nn
from tensorlite.optim import swa_utils

FUNCTIONS = {
    "mean": lambda s: {},
    "mean of lists": lambda s: {"multi_avg_fn": s.get_swa_multi_avg_fn()},
    "mean one by one": lambda s: {"avg_fn": s.get_swa_avg_fn()},
    "ema": lambda s: {"multi_avg_fn": s.get_ema_multi_avg_fn(0.8)},
    "ema one by one": lambda s: {"avg_fn": s.get_ema_avg_fn(0.7)},
    "own": lambda s: {"avg_fn": lambda a, b, n: a * 0.5 + b * 0.25},
    "ema with buffers": lambda s: {"multi_avg_fn": s.get_ema_multi_avg_fn(0.8), "use_buffers": True},
}


def model(lib):
    net = lib.nn.Sequential(lib.nn.Linear(3, 4), lib.nn.BatchNorm1d(4), lib.nn.Linear(4, 2))
    draw = np.random.default_rng(0)
    for p in net.parameters():
        p.data = lib.tensor(draw.normal(size=tuple(p.shape)))
    return net.double()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_averages_and_statistics_agree_with_pytorch(name):
    torch = pytest.importorskip("torch")
    batches = np.random.default_rng(1).normal(size=(4, 6, 3))

    def run(lib):
        swa = lib.optim.swa_utils
        net = model(lib)
        average = swa.AveragedModel(net, **FUNCTIONS[name](swa))
        opt = lib.optim.SGD(net.parameters(), lr=0.05)
        for i in range(6):
            opt.zero_grad()
            (net(lib.tensor(batches[i % 4])) ** 2).mean().backward()
            opt.step()
            average.update_parameters(net)
        states = [{k: v.detach().numpy().copy() for k, v in average.state_dict().items()}]
        swa.update_bn([[lib.tensor(b), None] for b in batches], average)
        states.append({k: v.detach().numpy() for k, v in average.state_dict().items()})
        assert average.training and average.module[1].momentum == 0.1
        return states

    pytest.importorskip("torch.optim.swa_utils")

    for ours, theirs in zip(run(tl), run(torch), strict=True):
        assert list(ours) == list(theirs)
        for key, value in ours.items():
            np.testing.assert_allclose(
                value, theirs[key], rtol=1e-7, atol=1e-8, err_msg=key
            )  # PyTorch divides by n in float32


@pytest.mark.parametrize("options", [
    {"swa_lr": 0.05}, {"swa_lr": [0.5, 0.01], "anneal_epochs": 5, "anneal_strategy": "linear"},
    {"swa_lr": 0.2, "anneal_epochs": 0},
])  # fmt: skip
def test_swalr_agrees_with_pytorch(options):
    torch = pytest.importorskip("torch")
    pytest.importorskip("torch.optim.swa_utils")

    results = []
    for lib in (tl, torch):
        groups = [{"params": [lib.nn.Parameter(lib.ones(1))]}, {"params": [lib.nn.Parameter(lib.ones(1))], "lr": 0.7}]
        opt = lib.optim.SGD(groups, lr=0.1)
        schedule, rates = lib.optim.swa_utils.SWALR(opt, **options), []
        for _ in range(20):
            rates.append(schedule.get_last_lr())
            opt.step()
            schedule.step()
        results.append(np.array(rates))
    np.testing.assert_allclose(*results, rtol=1e-12)


def test_average_is_apart_from_the_model_and_its_state_loads(device):
    net = nn.Linear(2, 1)
    average = swa_utils.AveragedModel(net)
    average.update_parameters(net)
    before = host(average.module.weight).copy()
    with tl.no_grad():
        net.weight.add_(1)
    assert np.array_equal(host(average.module.weight), before)
    again = swa_utils.AveragedModel(nn.Linear(2, 1))
    again.load_state_dict(average.state_dict())
    assert again.n_averaged.item() == 1
    np.testing.assert_allclose(host(again(tl.ones(1, 2))), host(average(tl.ones(1, 2))))


def test_refused():
    for make, text in (
        (lambda: swa_utils.get_ema_avg_fn(1.5), r"decay must be in \[0, 1\], not 1.5"),
        (lambda: swa_utils.get_ema_multi_avg_fn(-1), r"decay must be in \[0, 1\], not -1"),
        (lambda: swa_utils.AveragedModel(nn.Linear(1, 1), None, max, max), "avg_fn or multi_avg_fn, not both"),
        (lambda: swa_utils.SWALR(tl.optim.SGD([nn.Parameter(tl.ones(1))]), 0.1, anneal_strategy="x"), "not 'x'"),
        (lambda: swa_utils.SWALR(tl.optim.SGD([nn.Parameter(tl.ones(1))]), 0.1, -1), "anneal_epochs must be"),
    ):
        with pytest.raises(errors.ArgumentError, match=text):
            make()


def test_it_is_found_where_pytorch_has_it():
    import tensorlite.optim.swa_utils as module
    from tensorlite.optim.swa_utils import AveragedModel

    assert module is tl.optim.swa_utils and AveragedModel is module.AveragedModel
