"""Dropout layers by their definition: which elements go together, what the others become, mean and variance, gradients."""

import math

import numpy as np
import pytest
from layer_check import ids, normal
from numeric import host

import tensorlite as tl
from tensorlite import errors, nn
from tensorlite.nn import functional as F

FLOOR = -1.7580993408473766


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


LAYERS = {
    "elements": (lambda n, *a: n.Dropout(*a), (60, 4, 10), 3),
    "1d": (lambda n, *a: n.Dropout1d(*a), (60, 40, 3), 2),
    "1d of one sample": (lambda n, *a: n.Dropout1d(*a), (2400, 3), 1),
    "2d": (lambda n, *a: n.Dropout2d(*a), (60, 40, 2, 3), 2),
    "2d of sequences": (lambda n, *a: n.Dropout2d(*a), (60, 40, 3), 2),
    "3d": (lambda n, *a: n.Dropout3d(*a), (60, 40, 2, 2, 1), 2),
    "3d of one sample": (lambda n, *a: n.Dropout3d(*a), (2400, 2, 2, 1), 1),
    "alpha": (lambda n, *a: n.AlphaDropout(*a), (60, 4, 10), 3),
    "alpha of channels": (lambda n, *a: n.FeatureAlphaDropout(*a), (60, 40, 3), 2),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS, ids=ids)
@pytest.mark.parametrize("inplace", [False, True])
def test_definition(device, name, inplace):
    """Which of the n = 2400 groups of elements are dropped together, with probability 0.3, and what becomes of the others."""
    make, shape, together = LAYERS[name]
    p, layer = 0.3, make(nn, 0.3, inplace)
    leaf = tl.tensor(normal(*shape) + 5, requires_grad=True)
    x = leaf * 1
    before, out = host(x).copy(), layer(x)
    assert (out is x) == inplace and np.array_equal(host(x), host(out) if inplace else before)
    alpha = "alpha" in name
    a = 1 / math.sqrt((1 - p) * (1 + p * FLOOR**2)) if alpha else 1 / (1 - p)
    shift = -a * p * FLOOR if alpha else 0.0
    lost = a * FLOOR + shift if alpha else 0.0
    y = host(out)
    dropped = np.isclose(y, lost, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(y[~dropped], (a * before + shift)[~dropped], rtol=1e-12)
    groups = dropped.reshape(math.prod(shape[:together]), -1)
    assert (groups.all(1) == groups.any(1)).all() and len(groups) == 2400
    assert abs(groups[:, 0].mean() - p) < 5 * math.sqrt(p * (1 - p) / 2400)
    out.sum().backward()
    np.testing.assert_allclose(host(leaf.grad), np.where(dropped, 0.0, a), rtol=1e-12)


@pytest.mark.filterwarnings("ignore:dropout2d. Received a 3D")
@pytest.mark.parametrize("name", LAYERS, ids=ids)
def test_text_evaluation_and_edges(torch, device, name):
    make, shape, _ = LAYERS[name]
    assert repr(make(nn)) == repr(make(torch.nn)) and repr(make(nn, 0.2, True)) == repr(make(torch.nn, 0.2, True))
    x = tl.tensor(normal(*shape))
    assert make(nn).eval()(x) is x and make(nn, 0.0)(x) is x
    assert host(make(nn, 1.0)(x)).any() == host(make(torch.nn, 1.0)(torch.tensor(normal(*shape)))).any() == 0
    assert not np.array_equal(*[host(make(nn)(x)) for _ in range(2)])  # a new mask each time


def test_alpha_dropout_keeps_mean_and_variance(device):
    for layer in (nn.AlphaDropout(0.4), nn.FeatureAlphaDropout(0.4)):
        y = host(layer(tl.tensor(normal(4000, 50, 1))))
        assert abs(y.mean()) < 5 / math.sqrt(y.size) and abs(y.var() - 1) < 0.02


def test_defaults_of_the_functions():
    """As in PyTorch the older functions drop by default, the alpha ones only when told to."""
    x = tl.ones(50, 40, 2, 2)
    assert all((f(x) == 0).any() for f in (F.dropout, F.dropout2d))
    assert F.alpha_dropout(x) is x and F.feature_alpha_dropout(x) is x


@pytest.mark.parametrize("p", [-0.1, 1.5])
@pytest.mark.parametrize(
    "kind", ["Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout"]
)
def test_probabilities_are_probabilities(kind, p):
    with pytest.raises(errors.ArgumentError, match=rf"^{kind}: the probability p must be in 0\.\.1, not {p}$"):
        getattr(nn, kind)(p)


@pytest.mark.parametrize("layer, shape, text", [
    (nn.Dropout1d(), (2, 3, 4, 5), "dropout1d: input must have 3 dimensions, (N, C, ...), or 2, got float32 (2, 3, 4, 5), in 1"),
    (nn.Dropout2d(), (2, 3), "dropout2d: input must have 4 dimensions, (N, C, ...), or 3, got float32 (2, 3), in 1"),
    (nn.Dropout3d(), (2, 3), "dropout3d: input must have 5 dimensions, (N, C, ...), or 4, got float32 (2, 3), in 1"),
    (nn.FeatureAlphaDropout(), (2,), "feature_alpha_dropout: input must be (N, C, ...), got float32 (2,), in 1"),
], ids=lambda v: v.split(":")[0] if isinstance(v, str) else "")  # fmt: skip
def test_a_wrong_input_is_refused_with_the_place_in_the_model(layer, shape, text):
    with pytest.raises(errors.ShapeError) as caught:
        nn.Sequential(nn.Identity(), layer)(tl.ones(*shape))
    assert str(caught.value) == text


def test_a_seed_gives_the_same_mask_on_every_device():
    for kind in ("dropout1d", "dropout2d", "alpha_dropout", "feature_alpha_dropout"):
        masks = []
        for name in ("cpu", "fake"):
            tl.manual_seed(5)
            masks.append(
                host(getattr(F, kind)(tl.ones(33, 7, 3, device=name)[:, :, : 3 if "1d" not in kind else 2], 0.4, True))
            )
        assert np.array_equal(*masks)
