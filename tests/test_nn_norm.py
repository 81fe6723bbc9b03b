"""Normalisation layers against PyTorch: outputs, running statistics and gradients, training and evaluation; what they refuse."""

import numpy as np
import pytest
from layer_check import check, ids, normal
from numeric import host

import tensorlite as tl
from tensorlite import errors, nn
from tensorlite.nn import functional as F


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


CASES = {
    "batch 1d of features": (lambda n: n.BatchNorm1d(4), (5, 4)),
    "batch 1d of sequences": (lambda n: n.BatchNorm1d(4, eps=0.1, momentum=0.3), (3, 4, 5)),
    "batch 2d": (lambda n: n.BatchNorm2d(3), (4, 3, 5, 2)),
    "batch 2d of one sample": (lambda n: n.BatchNorm2d(3), (1, 3, 5, 2)),
    "batch 2d average": (lambda n: n.BatchNorm2d(3, momentum=None), (4, 3, 5, 2)),
    "batch 2d without weights": (lambda n: n.BatchNorm2d(3, affine=False), (4, 3, 5, 2)),
    "batch 2d without bias": (lambda n: n.BatchNorm2d(3, bias=False), (4, 3, 5, 2)),
    "batch 2d without statistics": (lambda n: n.BatchNorm2d(3, track_running_stats=False), (4, 3, 5, 2)),
    "batch 2d bare": (lambda n: n.BatchNorm2d(3, 1e-3, 0.0, False, False), (4, 3, 5, 2)),
    "batch 3d": (lambda n: n.BatchNorm3d(2), (2, 2, 3, 2, 4)),
    "instance 1d": (lambda n: n.InstanceNorm1d(4), (3, 4, 5)),
    "instance 1d of one sample": (lambda n: n.InstanceNorm1d(4, affine=True), (4, 5)),
    "instance 2d": (lambda n: n.InstanceNorm2d(3, eps=0.1), (2, 3, 4, 5)),
    "instance 2d of one sample": (lambda n: n.InstanceNorm2d(3, track_running_stats=True), (3, 4, 5)),
    "instance 2d with all": (lambda n: n.InstanceNorm2d(3, momentum=0.3, affine=True, track_running_stats=True), (2, 3, 4, 5)),
    "instance 2d without momentum": (lambda n: n.InstanceNorm2d(3, momentum=None, track_running_stats=True), (2, 3, 4, 5)),
    "instance 2d without bias": (lambda n: n.InstanceNorm2d(3, affine=True, bias=False), (2, 3, 4, 5)),
    "instance 3d": (lambda n: n.InstanceNorm3d(2, affine=True), (2, 2, 2, 3, 2)),
    "group": (lambda n: n.GroupNorm(2, 6), (3, 6, 4, 2)),
    "group of features": (lambda n: n.GroupNorm(3, 6, eps=0.1), (3, 6)),
    "group of all": (lambda n: n.GroupNorm(1, 4), (2, 4, 5)),
    "group of each": (lambda n: n.GroupNorm(4, 4, affine=False), (2, 4, 5)),
    "group without bias": (lambda n: n.GroupNorm(2, 4, bias=False), (2, 4, 5)),
    "layer": (lambda n: n.LayerNorm(6), (3, 6)),
    "layer of two": (lambda n: n.LayerNorm((4, 5), eps=1e-3), (2, 3, 4, 5)),
    "layer without bias": (lambda n: n.LayerNorm([5], bias=False), (2, 3, 5)),
    "layer without weights": (lambda n: n.LayerNorm(5, elementwise_affine=False), (2, 3, 5)),
    "rms": (lambda n: n.RMSNorm(5), (2, 3, 5)),
    "rms of two": (lambda n: n.RMSNorm((3, 5), 0.1, False), (2, 3, 5)),
    "local response": (lambda n: n.LocalResponseNorm(3, alpha=0.5), (2, 5, 4, 3)),
    "local response, even": (lambda n: n.LocalResponseNorm(4, 0.7, 0.6, 2.0), (2, 5, 4)),
    "local response, wide": (lambda n: n.LocalResponseNorm(9, 0.7), (2, 5, 2, 1, 2)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES, ids=ids)
def test_like_pytorch(torch, device, name):
    make, shape = CASES[name]
    check(torch, make, normal(*shape, scale=2) + 0.5)


FUNCTIONS = {
    "batch_norm": lambda f, t, x, w, b, m, v: f.batch_norm(x, m, v, w, b),
    "batch_norm without weights": lambda f, t, x, w, b, m, v: f.batch_norm(x, m, v, eps=0.1),
    "batch_norm without weight": lambda f, t, x, w, b, m, v: f.batch_norm(x, None, None, None, b, True),
    "instance_norm": lambda f, t, x, w, b, m, v: f.instance_norm(x, None, None, w, b),
    "instance_norm by statistics": lambda f, t, x, w, b, m, v: f.instance_norm(x, m, v, w, b, use_input_stats=False),
    "group_norm": lambda f, t, x, w, b, m, v: f.group_norm(x, 2, w, b, 0.01),
    "local_response_norm": lambda f, t, x, w, b, m, v: f.local_response_norm(x, 2, 0.1),
    "normalize": lambda f, t, x, w, b, m, v: f.normalize(x),
    "normalize by 1": lambda f, t, x, w, b, m, v: f.normalize(x, p=1, dim=-1, eps=3.0),
    "normalize over two": lambda f, t, x, w, b, m, v: f.normalize(x, 3.0, (1, 2)),
    "normalize by the largest": lambda f, t, x, w, b, m, v: f.normalize(x, float("inf"), 0),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS, ids=ids)
def test_functions_like_pytorch(torch, device, name):
    arrays = [normal(3, 4, 5), *[normal(4, seed=s) for s in (1, 2, 3)], 0.5 + normal(4, seed=4) ** 2]
    results = []
    for lib in (tl, torch):
        xs = [lib.tensor(a, requires_grad=i < 3) for i, a in enumerate(arrays)]
        y = FUNCTIONS[name](lib.nn.functional, lib, *xs)
        (y * lib.tensor(normal(3, 4, 5, seed=9))).sum().backward()
        grads = [x.grad for x in xs[:3] if x.grad is not None]
        results.append([host(t) if lib is tl else t.detach().numpy() for t in (y, *grads, *xs[3:])])
    assert len(results[0]) == len(results[1])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("shape", [(7, 3), (600, 5), (4, 3, 1000), (64, 8, 33), (3, 2, 3, 4, 5)])
@pytest.mark.parametrize("dtype", [tl.float32, tl.float64])
def test_the_fast_kernels_are_the_plain_ones(shape, dtype):
    """On the CPU, in pieces and by BLAS, against the definition in the array library itself."""
    from tensorlite.backend.channels import ChannelKernels

    backend = tl.device("cpu").backend
    x, g = (tl.tensor(normal(*shape, seed=s) * 3 + 20, dtype=dtype, device="cpu").array for s in (1, 2))
    w, b = (tl.tensor(normal(shape[1], seed=s), dtype=dtype, device="cpu").array for s in (3, 4))
    rtol = 1e-4 if dtype is tl.float32 else 1e-11
    moments = backend.batch_moments(x)
    for got, want in zip(moments, ChannelKernels.batch_moments(backend, x.astype("f8")), strict=True):
        np.testing.assert_allclose(got, want, rtol=rtol / 10)
        assert got.dtype == x.dtype
    for weight, bias in ((w, b), (None, b), (w, None)):
        y, rstd = backend.batch_norm(x, weight, bias, *moments, 1e-5)
        want, _ = ChannelKernels.batch_norm(backend, x, weight, bias, *moments, 1e-5)
        np.testing.assert_allclose(y, want, rtol=rtol, atol=rtol)
        for needs in ((1, 1, 1), (1, 0, 0), (0, 1, 0), (0, 0, 1)):
            got = backend.batch_norm_backward(g, x, weight, moments[0], rstd, needs)
            wide = [None if v is None else v.astype("f8") for v in (g, x, weight, moments[0], rstd)]
            want = ChannelKernels.batch_norm_backward(backend, *wide, needs)
            for p, q in zip(got, want, strict=True):
                assert (p is None) == (q is None)
                if p is not None:
                    np.testing.assert_allclose(p, q, rtol=10 * rtol, atol=rtol * np.abs(q).max())


@pytest.mark.parametrize("shape", [(7, 6), (600, 4, 3), (4, 6, 1000), (3, 4, 3, 4, 5)])
@pytest.mark.parametrize("dtype", [tl.float32, tl.float64])
def test_the_fast_kernels_of_group_norm_are_the_plain_ones(shape, dtype):
    from tensorlite.backend.channels import ChannelKernels

    backend, groups = tl.device("cpu").backend, 2
    x, g = (tl.tensor(normal(*shape, seed=s) * 3 + 20, dtype=dtype, device="cpu").array for s in (1, 2))
    w, b = (tl.tensor(normal(shape[1], seed=s), dtype=dtype, device="cpu").array for s in (3, 4))
    rtol = 1e-4 if dtype is tl.float32 else 1e-11
    for weight, bias in ((w, b), (None, b), (w, None)):
        wide = [None if v is None else v.astype("f8") for v in (g, x, weight, bias)]
        got = backend.group_norm(x, weight, bias, groups, 1e-5)
        want = ChannelKernels.group_norm(backend, *wide[1:], groups, 1e-5)
        for p, q in zip(got, want, strict=True):
            np.testing.assert_allclose(p, q, rtol=rtol, atol=rtol)
            assert p.dtype == x.dtype
        for needs in ((1, 1, 1), (1, 0, 0), (0, 1, 0), (0, 0, 1)):
            found = backend.group_norm_backward(g, x, weight, *got[1:], groups, needs)
            sure = ChannelKernels.group_norm_backward(backend, *wide[:3], *want[1:], groups, needs)
            for p, q in zip(found, sure, strict=True):
                assert (p is None) == (q is None)
                if p is not None:
                    np.testing.assert_allclose(p, q, rtol=10 * rtol, atol=rtol * np.abs(q).max())


def test_a_channel_far_from_zero_keeps_its_digits(device):
    """Mean 1000 and deviation 0.01 in float32: x * scale + shift would lose all."""
    x = tl.tensor(1000 + 0.01 * normal(64, 2, 8), dtype=tl.float32)
    exact = host(x).astype("f8")
    want = (exact - exact.mean((0, 2), keepdims=True)) / np.sqrt(exact.var((0, 2), keepdims=True) + 1e-5)
    np.testing.assert_allclose(host(F.batch_norm(x, None, None, training=True)), want, atol=2e-2)


def test_half_precision_keeps_statistics_in_the_buffers_dtype(device):
    layer = nn.BatchNorm1d(3)
    y = layer(tl.tensor(normal(50, 3) * 2 + 1, dtype=tl.float16))
    assert y.dtype is tl.float16 and layer.running_mean.dtype is tl.float32
    np.testing.assert_allclose(host(y).astype("f4").mean(0), 0, atol=2e-3)
    y.sum().backward()
    assert layer.weight.grad.dtype is tl.float32


def test_statistics_that_move_between_forward_and_backward(device):
    """Evaluation, then training, then the backward of the first: it takes the statistics of then."""
    layer, x = nn.BatchNorm1d(3), tl.tensor(normal(5, 3), dtype=tl.float32, requires_grad=True)
    y = layer.eval()(x)
    layer.train()(x.detach() * 5)
    assert layer.running_var.min() > 1.5
    y.sum().backward()
    np.testing.assert_allclose(host(x.grad), (1 + 1e-5) ** -0.5, rtol=1e-6)


def test_the_picture_shows_batch_norm_with_its_weights_only():
    net = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    source = tl.draw_graph(net(tl.ones(4, 3, requires_grad=True)).sum()).source
    assert "BatchNorm1d" in source and "constant" not in source


def test_reset(device):
    layer = nn.BatchNorm1d(2)
    layer(tl.tensor(normal(5, 2), dtype=tl.float32))
    assert layer.num_batches_tracked.item() == 1
    with tl.no_grad():
        layer.weight.fill_(3)
        layer.bias.fill_(3)
    layer.reset_parameters()
    state = {k: v.tolist() for k, v in layer.state_dict().items()}
    assert state == {
        "weight": [1, 1], "bias": [0, 0], "running_mean": [0, 0], "running_var": [1, 1], "num_batches_tracked": 0,
    }  # fmt: skip
    for other in (nn.GroupNorm(1, 2), nn.LayerNorm(2), nn.RMSNorm(2), nn.InstanceNorm1d(2, affine=True)):
        other.reset_parameters()
        assert other.weight.tolist() == [1, 1]


def test_empty_batches(device):
    assert F.batch_norm(tl.zeros(0, 3, 4), tl.zeros(3), tl.ones(3)).shape == (0, 3, 4)
    assert F.group_norm(tl.zeros(0, 4, 3), 2).shape == (0, 4, 3)
    assert F.local_response_norm(tl.zeros(0, 4, 3), 2).shape == (0, 4, 3)


REFUSED = [
    (lambda: nn.BatchNorm2d(-1), "BatchNorm2d: num_features must be an int of at least 0, got -1"),
    (lambda: nn.GroupNorm(3, 4), "GroupNorm: num_channels=4 must be a multiple of num_groups=3"),
    (lambda: nn.GroupNorm(0, 4), "GroupNorm: num_groups must be an int of at least 1, got 0"),
    (lambda: nn.LayerNorm(-1), "LayerNorm: normalized_shape must be a size or several, none negative, got -1"),
    (lambda: nn.RMSNorm(()), "RMSNorm: normalized_shape must be a size or several, none negative, got ()"),
    (lambda: nn.LocalResponseNorm(0), "LocalResponseNorm: size must be an int of at least 1, got 0"),
    (lambda: F.batch_norm(tl.ones(2, 3), None, None),
     "batch_norm: running_mean and running_var are needed when training is False: input float32 (2, 3)"),
    (lambda: F.instance_norm(tl.ones(2, 3, 2), use_input_stats=False),
     "instance_norm: running_mean and running_var are needed when use_input_stats is False: input float32 (2, 3, 2)"),
    (lambda: F.normalize(tl.ones(2), dim=0, out=tl.ones(2)), "normalize: out= is not supported; use the result"),
]  # fmt: skip


@pytest.mark.parametrize("make, text", REFUSED, ids=[t for _, t in REFUSED])
def test_refusals(make, text):
    with pytest.raises(errors.ArgumentError) as caught:
        make()
    assert str(caught.value) == text


WRONG_INPUT = [
    (lambda: nn.BatchNorm1d(3), (2, 3, 4, 4), "BatchNorm1d: input must be (N, C) or (N, C, L), got float32 (2, 3, 4, 4)"),
    (lambda: nn.BatchNorm2d(3), (2, 3, 4), "BatchNorm2d: input must be (N, C, H, W), got float32 (2, 3, 4)"),
    (lambda: nn.BatchNorm2d(3), (2, 5, 4, 4),
     "BatchNorm2d: input has 5 channels, num_features=3 are expected: input float32 (2, 5, 4, 4)"),
    (lambda: nn.BatchNorm1d(3), (1, 3),
     "batch_norm: more than 1 element for each channel is needed in training, to have a variance: input float32 (1, 3)"),
    (lambda: nn.InstanceNorm1d(3), (2, 5, 4),
     "InstanceNorm1d: input has 5 channels, num_features=3 are expected: input float32 (2, 5, 4)"),
    (lambda: nn.InstanceNorm2d(3), (5, 4, 4), "InstanceNorm2d: input has 5 channels, num_features=3"),
    (lambda: nn.InstanceNorm1d(3), (2, 3, 1), "instance_norm: more than 1 spatial element is needed, to have a variance"),
    (lambda: nn.GroupNorm(2, 4), (2, 6, 3), "group_norm: input has 6 channels, weight (4,) expects 4: input float32 (2, 6, 3)"),
    (lambda: nn.GroupNorm(2, 4, affine=False), (2, 5, 3), "group_norm: num_groups=2 does not divide the 5 channels"),
    (lambda: nn.GroupNorm(2, 2), (1, 2), "group_norm: more than 1 element for each group is needed, to have a variance"),
    (lambda: nn.LayerNorm(4), (2, 3), "layer_norm: the last dimensions of input, and weight and bias, must be (4,)"),
    (lambda: nn.LocalResponseNorm(2), (2, 3), "local_response_norm: input must have at least 3 dimensions, (N, C, ...)"),
]  # fmt: skip


@pytest.mark.parametrize("make, shape, text", WRONG_INPUT, ids=[t for _, _, t in WRONG_INPUT])
def test_a_wrong_input_is_refused_with_the_place_in_the_model(make, shape, text):
    model = nn.Sequential(nn.Identity(), nn.Sequential(make()))
    with pytest.raises(errors.ShapeError) as caught:
        model(tl.ones(*shape))
    assert text in str(caught.value) and str(caught.value).endswith(", in 1.0"), str(caught.value)
