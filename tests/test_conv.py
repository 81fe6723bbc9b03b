"""Convolution and pooling beyond the table of samples: whole and in pieces, what spreads and what does not, inverses."""

import numpy as np
import pytest
from numeric import host

import tensorlite as tl

F = tl.nn.functional


def _random(*shape, seed=0, **kw):
    return tl.tensor(np.random.default_rng(seed).uniform(-1, 1, shape), **kw)


@pytest.mark.parametrize("bytes_", [1, 2000])
def test_a_batch_in_pieces_is_the_batch(device, monkeypatch, bytes_):
    """The windows are laid out a piece of the batch at a time; no piece shows in the results."""

    def results():
        x, w, v = _random(5, 4, 6, 7, requires_grad=True), _random(4, 2, 3, 2, seed=1, requires_grad=True), None
        v = _random(4, 3, 2, 2, seed=2, requires_grad=True)
        y = F.conv2d(x, w, padding=1, groups=2)
        z = F.conv_transpose2d(F.conv2d(y, w, stride=2, groups=2), v, stride=2)
        return [host(t) for t in (y, z, *tl.autograd.grad((z * z).sum(), (x, w, v)))]

    backend = tl.get_default_device().backend
    whole = results()
    monkeypatch.setattr(backend, "window_bytes", bytes_, raising=False)
    for a, b in zip(whole, results(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


def test_many_places_and_few_agree(device):
    """Above and below the size where each sample gets a product of its own."""
    x, w = _random(2, 3, 18, 17), _random(4, 3, 3, 3, seed=1)
    whole = host(tl.conv2d(x, w))  # 240 places: one product
    large = host(tl.conv2d(tl.cat([x, x], dim=2), w))  # one for each sample
    np.testing.assert_allclose(large[:, :, :16], whole, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(host(tl.conv2d(x[:1], w)), whole[:1], rtol=1e-12, atol=1e-13)


def test_the_gradient_of_a_sum_is_a_number_repeated(device):
    x, w = _random(2, 3, 5, 5, requires_grad=True), _random(4, 3, 3, 3, seed=1, requires_grad=True)
    for stride in (1, 2):
        y = F.conv2d(x, w, stride=stride)
        repeated = tl.autograd.grad(y.sum(), (x, w), retain_graph=True)
        full = tl.autograd.grad(y, (x, w), tl.ones_like(y))
        for a, b in zip(repeated, full, strict=True):
            np.testing.assert_allclose(host(a), host(b), rtol=1e-12)


def test_third_derivative_of_a_convolution(device):
    """d^3/dx^3 of sum (x * w)^3 along one direction is 6 sum (v * w)^3: exact, as the convolution is linear in x."""
    x, w, v = _random(1, 2, 4, 4, requires_grad=True), _random(2, 2, 2, 2, seed=1), _random(1, 2, 4, 4, seed=2)
    f = (F.conv2d(x, w, padding=1, stride=2) ** 3).sum()
    for _ in range(3):
        (g,) = tl.autograd.grad(f, x, create_graph=True)
        f = (g * v).sum()
    want = 6 * (F.conv2d(v, w, padding=1, stride=2) ** 3).sum()
    np.testing.assert_allclose(host(f), host(want), rtol=1e-10)


def test_infinity_stays_in_its_windows(device):
    """A mean of a window with inf is inf and no nan, at the padded edge and in windows of unequal length too."""
    x = tl.zeros(1, 1, 5)
    x[0, 0, 0] = float("inf")
    for y in (F.avg_pool1d(x, 2, 1, padding=1), F.adaptive_avg_pool1d(x, 3), F.avg_pool1d(x, 2, ceil_mode=True)):
        assert set(host(y).ravel().tolist()) == {0.0, float("inf")}


def test_nan_wins_in_max_pooling(device):
    x = tl.tensor([[[1.0, float("nan"), 2.0, 3.0]]], requires_grad=True)
    y, index = F.max_pool1d(x, 2, return_indices=True)
    assert np.isnan(host(y)[0, 0, 0]) and host(index).tolist() == [[[1, 3]]]
    y.sum().backward()
    assert host(x.grad).tolist() == [[[0.0, 1.0, 0.0, 1.0]]]


def test_of_equal_values_the_first_gets_the_gradient(device):
    x = tl.ones(1, 1, 4, 4, requires_grad=True)
    F.max_pool2d(x, 2).sum().backward()
    assert host(x.grad)[0, 0].tolist() == [[1, 0, 1, 0], [0, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]]


def test_inverses(device):
    x = _random(2, 4, 6, 4)
    y, index = F.max_pool2d(x, 2, return_indices=True)
    again, same = F.max_pool2d(F.max_unpool2d(y - y.min() + 1, index, 2), 2, return_indices=True)
    np.testing.assert_allclose(host(again), host(y - y.min() + 1))
    np.testing.assert_array_equal(host(index), host(same))
    np.testing.assert_array_equal(host(F.pixel_unshuffle(F.pixel_shuffle(x, 2), 2)), host(x))
    np.testing.assert_array_equal(host(F.channel_shuffle(F.channel_shuffle(x, 2), 2)), host(x))
    count = F.fold(F.unfold(tl.ones(1, 1, 4, 4), 2), 4, 2)
    np.testing.assert_allclose(host(F.fold(F.unfold(x[:, :, :4], 2), 4, 2)), host(x[:, :, :4]) * host(count), rtol=1e-6)


def test_unpooled_values_of_windows_that_overlap_are_not_summed(device):
    """Two windows have found the 5; it has its gradient once."""
    x = tl.tensor([[[1.0, 5.0, 2.0, 3.0]]], requires_grad=True)
    y, index = F.max_pool1d(x, 2, 1, return_indices=True)
    again = F.max_unpool1d(y, index, 2, 1)
    assert index.tolist() == [[[1, 1, 3]]] and again.tolist() == [[[0.0, 5.0, 0.0, 3.0]]]
    again.sum().backward()
    assert x.grad.tolist() == [[[0.0, 1.0, 0.0, 1.0]]]


def test_power_means_of_zeros(device):
    x = tl.tensor([[[0.0, 0.0, 3.0, 4.0]]], requires_grad=True)
    y = F.lp_pool1d(x, 2, 2)
    y.sum().backward()
    assert y.tolist() == [[[0.0, 5.0]]]
    np.testing.assert_allclose(host(x.grad), [[[0, 0, 0.6, 0.8]]], rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_sums_of_halves_are_made_in_single(device, dtype):
    """2049 ones: in float16 alone the sum would stop at 2048."""
    x = tl.ones(1, 1, 3000, dtype=getattr(tl, dtype))
    assert host(F.conv1d(x, x[:, :, :2500])).max() == 2500
    assert abs(host(F.adaptive_avg_pool1d(x, 1)).item() - 1) < 1e-3


def test_old_and_longer_names(device):
    x = _random(1, 2, 4, 4)
    np.testing.assert_array_equal(host(F.upsample(x, scale_factor=2)), host(F.upsample_nearest(x, scale_factor=2)))
    same = F.interpolate(x, 7, mode="bilinear", align_corners=True)
    np.testing.assert_array_equal(host(F.upsample_bilinear(x, 7)), host(same))
    for a, b in zip(F.max_pool2d_with_indices(x, 2), F.max_pool2d(x, 2, return_indices=True), strict=True):
        np.testing.assert_array_equal(host(a), host(b))
    for name in (
        "conv1d",
        "conv3d",
        "conv_transpose2d",
        "max_pool2d",
        "avg_pool1d",
        "adaptive_avg_pool1d",
        "pixel_shuffle",
    ):
        assert getattr(tl, name) is getattr(F, name)
