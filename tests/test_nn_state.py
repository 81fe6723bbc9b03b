"""What all layers with weights share: dtype and device when made and when moved, copies, pickles, saved state, in a training step."""

import copy
import pickle

import numpy as np
import pytest
from layer_check import ids, normal
from numeric import host

import tensorlite as tl
from tensorlite import nn
from tensorlite.errors import DTypeError, TensorliteError

LAYERS = {
    "conv": (lambda **kw: nn.Conv2d(2, 4, 3, padding_mode="circular", padding=1, **kw), (2, 2, 5, 5)),
    "conv transpose": (lambda **kw: nn.ConvTranspose1d(2, 4, 3, **kw), (2, 2, 5)),
    "batch norm": (lambda **kw: nn.BatchNorm2d(2, **kw), (2, 2, 5, 5)),
    "instance norm": (lambda **kw: nn.InstanceNorm1d(2, affine=True, track_running_stats=True, **kw), (2, 2, 5)),
    "group norm": (lambda **kw: nn.GroupNorm(1, 2, **kw), (2, 2, 5)),
    "layer norm": (lambda **kw: nn.LayerNorm(5, **kw), (2, 2, 5)),
    "rms norm": (lambda **kw: nn.RMSNorm(5, **kw), (2, 2, 5)),
    "embedding": (lambda **kw: nn.Embedding(5, 3, padding_idx=2, **kw), None),
    "embedding bag": (lambda **kw: nn.EmbeddingBag(5, 3, **kw), None),
}  # fmt: skip


def given(shape, dtype=tl.float32, device=None):
    x = np.array([[0, 2, 1], [3, 4, 4]]) if shape is None else normal(*shape)
    return tl.tensor(x, dtype=None if shape is None else dtype, device=device)


def floats(layer):
    return [v for v in layer.state_dict().values() if v.dtype.is_floating_point]


@pytest.mark.parametrize("name", LAYERS, ids=ids)
def test_dtype_and_device(name):
    make, shape = LAYERS[name]
    for dtype in (tl.float64, tl.float16):
        layer = make(dtype=dtype, device="fake")
        assert all(v.device.type == "fake" for v in layer.state_dict().values())
        assert floats(layer) and all(v.dtype is dtype for v in floats(layer))
        assert layer(given(shape, dtype, "fake")).dtype is dtype
    layer = make().double().to("fake")
    assert all(v.dtype is tl.float64 and v.device.type == "fake" for v in floats(layer))
    assert all(v.dtype is tl.int64 for k, v in layer.state_dict().items() if "num_batches" in k)
    assert layer(given(shape, tl.float64, "fake")).device.type == "fake"


@pytest.mark.parametrize("name", LAYERS, ids=ids)
def test_copies_and_saved_state(name, device, tmp_path):
    make, shape = LAYERS[name]
    layer, x = make(), given(shape)
    layer(x)  # buffers move
    tl.save(layer.state_dict(), tmp_path / "state.tl")
    fresh = make()
    fresh.load_state_dict(tl.load(tmp_path / "state.tl"))
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)), fresh):
        assert repr(other) == repr(layer) and list(other.state_dict()) == list(layer.state_dict())
        assert all(np.array_equal(host(a), host(b)) for a, b in
                   zip(other.state_dict().values(), layer.state_dict().values(), strict=True))  # fmt: skip
        assert np.array_equal(host(other.eval()(x)), host(layer.eval()(x)))
        with tl.no_grad():
            other.weight.add_(1)
        assert not np.array_equal(host(other.weight), host(layer.weight))


NO_TENSOR = [
    nn.Conv2d(1, 1, 1), nn.ConvTranspose1d(1, 1, 1), nn.BatchNorm1d(1), nn.InstanceNorm1d(1), nn.GroupNorm(1, 1), nn.LayerNorm(1),
    nn.RMSNorm(1), nn.LocalResponseNorm(1), nn.Embedding(1, 1), nn.EmbeddingBag(1, 1), nn.Dropout(), nn.Dropout2d(), nn.AlphaDropout(),
    nn.FeatureAlphaDropout(), nn.MaxPool2d(1), nn.AvgPool1d(1), nn.AdaptiveAvgPool2d(1), nn.AdaptiveMaxPool1d(1), nn.LPPool1d(2, 1),
    nn.ReflectionPad1d(1), nn.ZeroPad2d(1), nn.ConstantPad3d(1, 0), nn.Upsample(2), nn.PixelShuffle(1), nn.PixelUnshuffle(1),
    nn.ChannelShuffle(1), nn.Flatten(), nn.Unflatten(0, (1, 1)), nn.Unfold(1), nn.Fold(1, 1),
]  # fmt: skip


@pytest.mark.parametrize("layer", NO_TENSOR, ids=lambda m: type(m).__name__)
def test_a_list_is_no_tensor(layer):
    """Said in words, and with no place where there is none to name."""
    with pytest.raises(TensorliteError) as caught:
        layer([[1.0]])
    assert not str(caught.value).endswith(", in ") and len(str(caught.value)) > 20


def test_halves_with_weights_in_single_precision(device):
    """As in PyTorch the weights of the norms may stay in float32; all else must be converted."""
    for layer in (nn.BatchNorm1d(4), nn.GroupNorm(2, 4), nn.InstanceNorm1d(4, affine=True, track_running_stats=True)):
        for dtype in (tl.float16, tl.bfloat16):
            x = tl.tensor(normal(3, 4, 5), dtype=dtype, requires_grad=True)
            for training in (True, False):
                y = layer.train(training)(x)
                y.sum().backward()
                assert y.dtype is dtype and x.grad.dtype is dtype and layer.weight.grad.dtype is tl.float32
        with pytest.raises(DTypeError, match=r"input is float64, weight float32; convert one, e.g. x.to\(tl.float32\)"):
            layer(tl.tensor(normal(3, 4, 5)))


def test_a_small_net_of_them_learns(device):
    """All of them in one model: the loss falls, the evaluation depends on the running statistics alone."""
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout2d(0.1), nn.Conv2d(4, 4, 1),
        nn.GroupNorm(2, 4), nn.Upsample(scale_factor=2), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 2),
    )  # fmt: skip
    x, y = normal(32, 1, 6, 6), np.arange(32) % 2
    x[y == 1, :, :3] += 1.5  # the upper half is brighter
    x, y = tl.tensor(x, dtype=tl.float32), tl.tensor(y)
    optimizer, losses = tl.optim.AdamW(net.parameters(), lr=0.02), []
    for _ in range(40):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert np.mean(losses[-5:]) < 0.25 * losses[0]
    net.eval()
    whole, first = host(net(x)), host(net(x[:1]))
    np.testing.assert_allclose(whole[:1], first, rtol=1e-4, atol=1e-5)
    assert (whole.argmax(1) == host(y)).mean() > 0.9
