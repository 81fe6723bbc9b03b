"""nn.init: mean, variance and bounds as documented, shapes and values of the structured ones, fans and gains, refusals."""

import math

import numpy as np
import pytest
from numeric import host

import tensorlite as tl
from tensorlite import nn
from tensorlite.errors import ArgumentError, ShapeError

A = math.sqrt(2 / (1 + 0.2**2))
DRAWS = {  # weight (64, 32, 3): fan-in 96, fan-out 192; (fill, standard deviation, bound)
    "uniform": (lambda t: nn.init.uniform_(t, -3, 3), 3 / math.sqrt(3), 3),
    "normal": (lambda t: nn.init.normal_(t, 0, 0.3), 0.3, None),
    "trunc_normal": (lambda t: nn.init.trunc_normal_(t, 0, 1, -2, 2), 0.87963, 2),
    "xavier_uniform": (lambda t: nn.init.xavier_uniform_(t, 2), 2 * math.sqrt(2 / 288), 2 * math.sqrt(6 / 288)),
    "xavier_normal": (lambda t: nn.init.xavier_normal_(t, 2), 2 * math.sqrt(2 / 288), None),
    "kaiming_uniform": (lambda t: nn.init.kaiming_uniform_(t, 0.2), A / math.sqrt(96), A * math.sqrt(3 / 96)),
    "kaiming_normal": (lambda t: nn.init.kaiming_normal_(t, 0.2, "fan_out"), A / math.sqrt(192), None),
}


@pytest.mark.parametrize("name", DRAWS)
def test_moments_and_bounds(name, device):
    fill, std, bound = DRAWS[name]
    weight = nn.Parameter(tl.empty(64, 32, 3))
    assert fill(weight) is weight and weight.requires_grad and weight.is_leaf
    x, n = host(weight).astype(float), 64 * 32 * 3
    assert abs(x.mean()) < 4 * std / math.sqrt(n)
    assert x.std() == pytest.approx(std, rel=0.04)
    if bound is not None:
        assert 0.97 * bound < abs(x).max() <= bound * (1 + 1e-6)


def test_linear_and_bilinear_start_uniform():
    for layer, fan in ((nn.Linear(100, 80), 100), (nn.Bilinear(100, 8, 9), 100)):
        for p in layer.parameters():
            assert 0.8 / math.sqrt(fan) < abs(host(p)).max() <= 1 / math.sqrt(fan)


@pytest.mark.parametrize("shape", [(5, 5), (7, 3), (3, 7), (4, 2, 3)])
def test_orthogonal(shape, device):
    q = host(nn.init.orthogonal_(tl.empty(*shape), 2)).reshape(shape[0], -1)
    gram = q @ q.T if q.shape[0] <= q.shape[1] else q.T @ q
    np.testing.assert_allclose(gram, 4 * np.eye(len(gram)), atol=1e-5)


def test_structured_values(device):
    np.testing.assert_array_equal(host(nn.init.eye_(tl.empty(3, 5))), np.eye(3, 5))
    x = host(nn.init.sparse_(tl.empty(10, 6), 0.25))
    assert ((x == 0).sum(0) == 3).all()
    assert not host(nn.init.zeros_(tl.ones(2))).any() and host(nn.init.ones_(tl.zeros(2))).all()


@pytest.mark.parametrize("shape, groups", [((4, 4, 3), 1), ((6, 2, 3, 4), 3), ((4, 3, 2, 3, 3), 2)])
def test_against_pytorch(shape, groups):
    torch = pytest.importorskip("torch")
    theirs = torch.nn.init.dirac_(torch.empty(shape), groups).numpy()
    np.testing.assert_array_equal(nn.init.dirac_(tl.empty(*shape), groups).numpy(), theirs)
    fans = torch.nn.init._calculate_fan_in_and_fan_out(torch.empty(shape))
    assert nn.init._calculate_fan_in_and_fan_out(tl.empty(*shape)) == fans
    for name in ("linear", "conv2d", "conv_transpose3d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"):
        assert nn.init.calculate_gain(name) == pytest.approx(torch.nn.init.calculate_gain(name))


def test_refusals_and_old_names():
    for call, kind, text in [
        (lambda: nn.init.eye_(tl.empty(3)), ShapeError, "eye_: needs a tensor of 2 dimensions"),
        (lambda: nn.init.dirac_(tl.empty(3, 3)), ShapeError, "dirac_: needs a tensor of 3 to 5 dimensions"),
        (lambda: nn.init.dirac_(tl.empty(4, 3, 3), 3), ArgumentError, "4 channels cannot be split into 3 groups"),
        (lambda: nn.init.xavier_uniform_(tl.empty(3)), ShapeError, "at least 2 dimensions"),
        (lambda: nn.init.kaiming_normal_(tl.empty(3, 3), mode="x"), ArgumentError, "'fan_in' or 'fan_out'"),
        (lambda: nn.init.calculate_gain("gelu"), ArgumentError, "unknown nonlinearity 'gelu'"),
    ]:
        with pytest.raises(kind, match=text):
            call()
    with pytest.warns(FutureWarning, match="kaiming_uniform_"):
        nn.init.kaiming_uniform(tl.empty(3, 3))


@pytest.mark.parametrize(
    "name", ["kaiming_uniform_", "kaiming_normal_", "xavier_uniform_", "orthogonal_", "trunc_normal_"]
)
@pytest.mark.parametrize("shape", [(3, 0), (0, 3)])
def test_nothing_to_fill(name, shape):
    assert getattr(nn.init, name)(tl.empty(shape)).shape == shape
    assert nn.Linear(*reversed(shape)).weight.shape == shape
