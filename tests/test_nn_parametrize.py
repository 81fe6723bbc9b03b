"""Weights computed from others (nn.utils.parametrize, parametrizations, the older weight_norm and spectral_norm) against PyTorch."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from numeric import host

import tensorlite as tl
from tensorlite import errors, nn
from tensorlite.nn.utils import parametrizations, parametrize

LAYERS = {
    "linear": (lambda n: n.Linear(4, 3), (5, 4)),
    "wide": (lambda n: n.Linear(3, 5), (2, 3)),
    "square": (lambda n: n.Linear(4, 4), (5, 4)),
    "conv": (lambda n: n.Conv2d(2, 3, 3), (2, 2, 5, 5)),
    "transposed": (lambda n: n.ConvTranspose1d(3, 2, 3), (2, 3, 4)),
    "embedding": (lambda n: n.Embedding(7, 3), None),
}
WAYS = {  # name: (what is done to a layer, the layers that are tried)
    "weight_norm": (lambda u, m: u.parametrizations.weight_norm(m), LAYERS),
    "weight_norm dim 1": (lambda u, m: u.parametrizations.weight_norm(m, dim=1), LAYERS),
    "weight_norm all": (lambda u, m: u.parametrizations.weight_norm(m, "weight", None), LAYERS),
    "spectral_norm": (lambda u, m: u.parametrizations.spectral_norm(m), LAYERS),
    "spectral_norm 3": (
        lambda u, m: u.parametrizations.spectral_norm(m, n_power_iterations=3, eps=1e-3, dim=1),
        LAYERS,
    ),
    "orthogonal": (lambda u, m: u.parametrizations.orthogonal(m), ["linear", "wide", "square", "embedding"]),
    "matrix_exp": (lambda u, m: u.parametrizations.orthogonal(m, orthogonal_map="matrix_exp"), ["linear", "wide"]),
    "cayley": (lambda u, m: u.parametrizations.orthogonal(m, orthogonal_map="cayley"), ["linear", "wide", "square"]),
    "householder": (
        lambda u, m: u.parametrizations.orthogonal(m, orthogonal_map="householder", use_trivialization=False),
        ["linear", "wide", "square", "embedding"],
    ),
    "batch": (lambda u, m: u.parametrizations.orthogonal(m, use_trivialization=False), ["conv"]),
    "old weight_norm": (lambda u, m: u.weight_norm(m), LAYERS),
    "old weight_norm dim 1": (lambda u, m: u.weight_norm(m, "weight", dim=1), LAYERS),
    "old weight_norm all": (lambda u, m: u.weight_norm(m, dim=None), LAYERS),
    "old spectral_norm": (lambda u, m: u.spectral_norm(m), LAYERS),
    "old spectral_norm 3": (lambda u, m: u.spectral_norm(m, n_power_iterations=3, eps=1e-3, dim=1), LAYERS),
}
CASES = [(way, layer) for way, (_, layers) in WAYS.items() for layer in layers]


def start(layer):
    """A layer of PyTorch and one of ours with the same float64 values."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    theirs = LAYERS[layer][0](torch.nn).double()
    ours = LAYERS[layer][0](nn).double()
    ours.load_state_dict({k: tl.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    return ours, theirs


def made(way, layer):
    torch = pytest.importorskip("torch")
    ours, theirs = start(layer)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        theirs = WAYS[way][0](torch.nn.utils, theirs)
    ours = WAYS[way][0](nn.utils, ours)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert [k for k, _ in ours.named_parameters()] == [k for k, _ in theirs.named_parameters()]
    return ours, theirs, torch


def values(module):
    return {k: host(v) if isinstance(v, tl.Tensor) else v.detach().numpy() for k, v in module.state_dict().items()}


def close(ours, theirs, tolerance=1e-7):
    ours, theirs = values(ours), values(theirs)
    for key, value in theirs.items():
        np.testing.assert_allclose(ours[key], value, rtol=tolerance, atol=tolerance, err_msg=key)


def given(lib, layer):
    shape = LAYERS[layer][1]
    draw = np.random.default_rng(0)
    return lib.tensor(draw.integers(0, 7, (4,)) if shape is None else draw.normal(size=shape))


@pytest.mark.parametrize("way, layer", CASES)
def test_training_agrees_with_pytorch(device, way, layer):
    """Three steps of training and a call in evaluation, from the same state: values, gradients, the vectors of the iteration."""
    ours, theirs, torch = made(way, layer)
    ours.load_state_dict({k: tl.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    results = []
    for lib, module in ((tl, ours), (torch, theirs)):
        seen, opt = [], lib.optim.SGD(module.parameters(), lr=0.05)
        for _ in range(3):
            opt.zero_grad()
            loss = (module(given(lib, layer)) ** 2).mean() + (module.weight * 0.3).sum() ** 2
            loss.backward()
            seen += [loss.detach(), *(p.grad.clone() for p in module.parameters())]
            opt.step()
        module.eval()
        seen += [module(given(lib, layer)).detach() for _ in range(2)] + [module.weight.detach()]
        results.append([host(x) if lib is tl else x.numpy() for x in seen])
    for a, b in zip(*results, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-9)
    close(ours, theirs)


@pytest.mark.parametrize("way, layer", [c for c in CASES if not (c[0].startswith("orth") and c[1] != "square")])
def test_what_is_set_at_first_agrees_with_pytorch(way, layer):
    """The values before training, where they are not drawn by chance (spectral norm's vectors, completed squares)."""
    ours, theirs, _ = made(way, layer)
    if "spectral" not in way and way not in ("matrix_exp", "cayley"):
        close(ours, theirs, 1e-10)
        np.testing.assert_allclose(host(ours.weight), theirs.weight.detach().numpy(), rtol=1e-10, atol=1e-10)
    elif not way.startswith("old"):
        np.testing.assert_allclose(
            host(ours.parametrizations.weight.original), values(theirs)["parametrizations.weight.original"]
        )


@pytest.mark.parametrize("way, layer", [c for c in CASES if c[0][:3] != "old" and c[1] in ("linear", "wide", "square")])
def test_second_gradients(way, layer):
    ours, *_ = made(way, layer)
    held = ours.eval().parametrizations.weight
    if way == "householder":  # its signs are whole numbers, which finite differences would change
        inner = lambda x: held[0](x.tril(-1) + held.original.detach().triu())  # noqa: E731
    else:
        inner = held[0]
    parts = [(p.detach() + 0.1 * tl.randn_like(p)).requires_grad_() for p in held.originals()]
    assert tl.autograd.gradcheck(inner, parts) and tl.autograd.gradgradcheck(inner, parts)


@pytest.mark.parametrize("way, layer", [c for c in CASES if c[1] == "linear"])
def test_copies_and_pickles_stand_by_themselves(way, layer):
    ours, *_ = made(way, layer)
    x = given(tl, layer)
    ours(x)
    ours.eval()
    for other in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        assert type(other).__name__ == type(ours).__name__
        assert list(other.state_dict()) == list(ours.state_dict())
        assert np.array_equal(host(other(x)), host(ours(x)))
        before = host(ours(x)).copy()
        with tl.no_grad():
            for p in other.parameters():
                p.mul_(2).add_(0.5)
        assert np.array_equal(host(ours(x)), before) and not np.array_equal(host(other(x)), before)


def test_states_of_the_older_weight_norm_load():
    ours = parametrizations.weight_norm(nn.Linear(3, 2))
    old = nn.utils.weight_norm(nn.Linear(3, 2))
    nn.Sequential(ours).load_state_dict(nn.Sequential(old).state_dict())
    assert tl.allclose(ours.weight, old.weight)


def test_an_lstm_and_attention_take_it(device):
    torch = pytest.importorskip("torch")
    lstm, theirs = nn.LSTM(3, 4).double(), torch.nn.LSTM(3, 4).double()
    lstm.load_state_dict({k: tl.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    lstm, theirs = (
        u.parametrizations.weight_norm(m, "weight_hh_l0") for u, m in ((nn.utils, lstm), (torch.nn.utils, theirs))
    )
    x = np.random.default_rng(0).normal(size=(5, 2, 3))
    with tl.no_grad():
        lstm.parametrizations.weight_hh_l0.original0.mul_(2)
    with torch.no_grad():
        theirs.parametrizations.weight_hh_l0.original0.mul_(2)
    (lstm(tl.tensor(x))[0] ** 2).sum().backward()
    (theirs(torch.tensor(x))[0] ** 2).sum().backward()
    for (name, p), (other, q) in zip(lstm.named_parameters(), theirs.named_parameters(), strict=True):
        assert name == other
        np.testing.assert_allclose(host(p.grad), q.grad.numpy(), rtol=1e-7, atol=1e-10)
    attention = parametrizations.spectral_norm(nn.MultiheadAttention(4, 2), "in_proj_weight")
    attention(*[tl.randn(3, 1, 4)] * 3)[0].sum().backward()
    assert attention.parametrizations.in_proj_weight.original.grad is not None


# ---------------------------------------------------------------- parametrize itself
def kinds(lib):
    """Parametrizations of one's own, for both libraries."""

    class Symmetric(lib.nn.Module):
        def forward(self, x):
            return x.triu() + x.triu(1).mT

        def right_inverse(self, x):
            return x.triu()

    class Scale(lib.nn.Module):
        def __init__(self, by=3.0):
            super().__init__()
            self.by = lib.nn.Parameter(lib.tensor(by, dtype=lib.float64))

        def forward(self, x):
            return x * self.by

        def right_inverse(self, x):
            return x / self.by

    class Sum(lib.nn.Module):
        def forward(self, a, b):
            return a + b * b

        def right_inverse(self, x):
            return x - 1, lib.ones_like(x)

    class OneWay(lib.nn.Module):
        def forward(self, x):
            return x.exp()

    return {k.__name__: k for k in (Symmetric, Scale, Sum, OneWay)}


PROGRAMS = {
    "one": ["Symmetric"],
    "two": ["Symmetric", "Scale"],
    "three": ["Scale", "Symmetric", "Scale"],
    "of several": ["Sum"],
    "of several, scaled": ["Sum", "Scale"],
    "one way": ["OneWay"],
    "one way, scaled": ["OneWay", "Scale"],
}


def program(lib, names, start, assign, leave):
    """register, use, assign, remove; everything that can be seen, as arrays and texts."""
    P, module, k, seen = lib.nn.utils.parametrize, lib.nn.Linear(3, 3).double(), kinds(lib), []
    module.weight.data, module.bias.data = lib.tensor(start), lib.zeros(3, dtype=lib.float64)
    first = module.weight
    look = lambda: seen.extend([list(module.state_dict()), type(module).__name__, *values(module).values()])  # noqa: E731
    for name in names:
        assert P.register_parametrization(module, "weight", k[name]()) is module
        look()
        seen.append(host(module.weight) if lib is tl else module.weight.detach().numpy())
    assert P.is_parametrized(module) and P.is_parametrized(module, "weight") and not P.is_parametrized(module, "bias")
    seen += [isinstance(module, lib.nn.Linear), P.type_before_parametrizations(module) is lib.nn.Linear]
    seen += [[n for n, _ in module.named_modules()], repr(module), module.parametrizations.weight.is_tensor]
    if assign:
        module.weight = lib.tensor(start + 2)
        look()
    loss = (module(lib.tensor(start)) ** 2).sum()
    loss.backward()
    seen += [host(p.grad) if lib is tl else p.grad.numpy() for p in module.parameters()]
    P.remove_parametrizations(module, "weight", leave_parametrized=leave)
    look()
    assert (
        type(module) is lib.nn.Linear and not P.is_parametrized(module) and isinstance(module.weight, lib.nn.Parameter)
    )
    seen += [module.weight is first, module.weight.requires_grad, not hasattr(module, "parametrizations")]
    module(lib.tensor(start))
    return seen


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_agree_with_pytorch(name):
    torch = pytest.importorskip("torch")
    start = np.random.default_rng(0).normal(size=(3, 3))
    for assign in (False, True)[: 2 - ("one way" in name)]:
        for leave in (True, False)[: 2 - ("several" in name)]:
            pair = [program(lib, PROGRAMS[name], start, assign, leave) for lib in (tl, torch)]
            for a, b in zip(*pair, strict=True):
                if isinstance(b, np.ndarray):
                    np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
                else:
                    assert a == b


def test_it_is_computed_once_while_cached(device):
    calls = []

    class Count(nn.Module):
        def forward(self, x):
            calls.append(1)
            return 2 * x

        def right_inverse(self, x):
            return x / 2

    layer = nn.Linear(2, 2)
    parametrize.register_parametrization(layer, "weight", Count())
    x, before = tl.ones(1, 2), len(calls)
    layer(x)
    layer(x)
    assert len(calls) == before + 2
    with parametrize.cached():
        first = layer.weight
        with parametrize.cached():
            layer(x)
        assert layer.weight is first and len(calls) == before + 3
        layer.weight = tl.zeros(2, 2)
        assert layer.weight.abs().sum().item() == 0
    layer(x)
    assert len(calls) == before + 5 and not parametrize._Cache.values


def test_buffers_and_functional_call_and_transfer(device):
    k = kinds(tl)
    norm = nn.BatchNorm1d(3).double()
    parametrize.register_parametrization(norm, "running_mean", k["Scale"]())
    assert "parametrizations.running_mean.original" in norm.state_dict()
    assert [n for n, _ in norm.named_buffers()][-1] == "parametrizations.running_mean.original"
    parametrize.remove_parametrizations(norm, "running_mean")
    assert "running_mean" in norm.state_dict() and type(norm) is nn.BatchNorm1d
    layer = parametrize.register_parametrization(nn.Linear(2, 2).double(), "weight", k["Scale"]())
    state = {"parametrizations.weight.original": tl.eye(2, dtype=tl.float64)}
    x = tl.ones(1, 2, dtype=tl.float64)
    out = nn.utils.stateless.functional_call(layer, state, x) - layer.bias
    assert np.allclose(host(out), 3) and not np.allclose(host(layer(x) - layer.bias), 3)
    other = nn.Linear(2, 2).double()
    parametrize.transfer_parametrizations_and_params(layer, other)
    assert type(other).__name__ == "ParametrizedLinear" and tl.equal(other.weight, layer.weight)
    assert other.parametrizations.weight[0] is layer.parametrizations.weight[0]
    assert sorted({"weight", "parametrizations"} & set(dir(other))) == ["parametrizations", "weight"]


class Grows(nn.Module):
    def forward(self, x):
        return tl.cat([x, x])


class Whole(nn.Module):
    def forward(self, x):
        return x.to(tl.float32)


class Three(nn.Module):
    def forward(self, x):
        return x * 1

    def right_inverse(self, x):
        return 3


class OneWay(nn.Module):
    def forward(self, x):
        return x * 2


def refused(call, text, kind=errors.ArgumentError):
    return pytest.param(call, text, kind, id=text[:40])


P, N = parametrize, parametrizations


@pytest.mark.parametrize("call, text, kind", [
    refused(lambda m: P.register_parametrization(m, "x", nn.Identity()), "Linear has no parameter, buffer or .* 'x'"),
    refused(lambda m: P.register_parametrization(m, "weight", Grows()), r"must keep dtype and shape: float64 \(2, 2\) became "
            r"float64 \(4, 2\); unsafe=True", errors.ShapeError),
    refused(lambda m: P.register_parametrization(m, "weight", Whole()), r"became float32", errors.ShapeError),
    refused(lambda m: P.register_parametrization(m, "weight", Three()), "right_inverse must give a tensor or a sequence",
            errors.DTypeError),
    refused(lambda m: P.register_parametrization(P.register_parametrization(m, "weight", nn.Identity()), "weight", Grows()),
            "what Grows gives must keep dtype and shape", errors.ShapeError),
    refused(lambda m: P.ParametrizationList([], m.weight), "at least one parametrization is needed"),
    refused(lambda m: P.remove_parametrizations(m, "weight"), "'weight' of Linear is not parametrized"),
    refused(lambda m: P.remove_parametrizations(N.weight_norm(m), "weight", False), "computed from 2 tensors"),
    refused(lambda m: P.transfer_parametrizations_and_params(m, nn.Linear(2, 2)), "Linear has no parametrized tensor"),
    refused(lambda m: setattr(P.register_parametrization(m, "weight", OneWay()), "weight", m.bias),
            "OneWay has no right_inverse, so the tensor cannot be assigned", errors.TensorliteError),
    refused(lambda m: N.weight_norm(m).register_parameter("weight", nn.Parameter(tl.zeros(2, 2))),
            "ParametrizedLinear: 'weight' is parametrized: assign to it"),
    refused(lambda m: N.spectral_norm(m).register_buffer("weight", None), "'weight' is parametrized: assign to it"),
    refused(lambda m: N.orthogonal(m, "bias"), r"orthogonal: a matrix .* needed, not float64 \(2,\)", errors.ShapeError),
    refused(lambda m: N.orthogonal(m, "x"), "orthogonal: Linear has no parameter or buffer 'x'"),
    refused(lambda m: N.orthogonal(m, orthogonal_map="x"), "one of 'matrix_exp', 'cayley', 'householder', not 'x'"),
    refused(lambda m: setattr(N.orthogonal(m), "weight", m.bias), r"the shape must be \(2, 2\), not \(2,\)", errors.ShapeError),
    refused(lambda m: N.spectral_norm(m, n_power_iterations=0), "n_power_iterations must be at least 1, not 0"),
    refused(lambda m: N.spectral_norm(m, dim=3), "dim 3 is out of range", errors.IndexRangeError),
    refused(lambda m: N.spectral_norm(m, "x"), "spectral_norm: Linear has no parameter or buffer 'x'"),
    refused(lambda m: nn.utils.weight_norm(nn.utils.weight_norm(m)), "Linear has one for 'weight' already",
            errors.TensorliteError),
    refused(lambda m: nn.utils.spectral_norm(nn.utils.spectral_norm(m)), "Linear has one for 'weight' already",
            errors.TensorliteError),
    refused(lambda m: nn.utils.weight_norm(m, "x"), "weight_norm: Linear has no parameter 'x'"),
    refused(lambda m: nn.utils.spectral_norm(m, n_power_iterations=0), "n_power_iterations must be at least 1, not 0"),
    refused(lambda m: nn.utils.remove_weight_norm(m), "weight_norm: there is none for 'weight' in Linear"),
    refused(lambda m: nn.utils.remove_spectral_norm(nn.utils.weight_norm(m)), "spectral_norm: there is none for 'weight'"),
])  # fmt: skip
def test_refused_and_nothing_changed(call, text, kind):
    module = nn.Linear(2, 2).double()
    before = module.weight.tolist()
    with pytest.raises(kind, match=text):
        call(module)
    assert module.weight.tolist() == before or any(
        t in text for t in ("right_inverse, so", "shape must", "assign to it")
    )
    module(tl.ones(1, 2, dtype=tl.float64))
