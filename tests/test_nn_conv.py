"""Convolutions, their transposes, Unfold and Fold as layers, against PyTorch; how they begin, what they refuse."""

import math

import numpy as np
import pytest
from layer_check import check, ids, normal
from numeric import host

import tensorlite as tl
from tensorlite import errors, nn


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


CASES = {
    "1d": (lambda n: n.Conv1d(4, 6, 3), (2, 4, 9)),
    "1d of one sample": (lambda n: n.Conv1d(4, 6, 3, bias=False), (4, 9)),
    "1d with all": (lambda n: n.Conv1d(4, 6, 3, 2, 1, 2, 2, False), (2, 4, 9)),
    "1d same": (lambda n: n.Conv1d(4, 6, 4, padding="same", dilation=3), (2, 4, 12)),
    "2d": (lambda n: n.Conv2d(3, 5, 3), (2, 3, 6, 7)),
    "2d of one sample": (lambda n: n.Conv2d(3, 5, (2, 3)), (3, 6, 7)),
    "2d with all": (lambda n: n.Conv2d(4, 6, (3, 2), (2, 1), (1, 2), (1, 2), 2, False), (2, 4, 6, 7)),
    "2d depthwise": (lambda n: n.Conv2d(4, 8, 3, groups=4), (2, 4, 6, 7)),
    "2d valid": (lambda n: n.Conv2d(4, 6, 3, padding="valid"), (2, 4, 6, 7)),
    "2d same": (lambda n: n.Conv2d(4, 6, (3, 4), padding="same"), (2, 4, 6, 7)),
    "2d reflect": (lambda n: n.Conv2d(3, 5, 3, padding=(1, 2), padding_mode="reflect"), (2, 3, 6, 7)),
    "2d circular same": (lambda n: n.Conv2d(3, 5, (3, 4), padding="same", padding_mode="circular"), (2, 3, 6, 7)),
    "2d replicate": (lambda n: n.Conv2d(3, 5, 3, 2, 1, padding_mode="replicate"), (2, 3, 6, 7)),
    "1d reflect valid": (lambda n: n.Conv1d(3, 5, 3, padding="valid", padding_mode="reflect"), (2, 3, 6)),
    "3d circular": (lambda n: n.Conv3d(2, 4, 3, padding=(1, 2, 0), padding_mode="circular"), (2, 2, 4, 5, 6)),
    "3d": (lambda n: n.Conv3d(2, 4, (1, 2, 3), (1, 2, 1), (0, 1, 1), groups=2), (2, 2, 3, 5, 4)),
    "transpose 1d": (lambda n: n.ConvTranspose1d(4, 6, 3, 2, 1, 1, 2, True, 2), (2, 4, 5)),
    "transpose 2d": (lambda n: n.ConvTranspose2d(3, 5, 3), (2, 3, 4, 5)),
    "transpose 2d of one sample": (lambda n: n.ConvTranspose2d(3, 5, 3), (3, 4, 5)),
    "transpose 2d with all": (lambda n: n.ConvTranspose2d(4, 6, (3, 2), (2, 3), (1, 0), (1, 2), 2, False, (1, 2)), (2, 4, 4, 5)),
    "transpose 3d": (lambda n: n.ConvTranspose3d(2, 4, 2, 2, dilation=2, output_padding=1), (2, 2, 2, 3, 2)),
    "unfold": (lambda n: n.Unfold((2, 3), 2, 1, (1, 2)), (2, 3, 6, 7)),
    "fold": (lambda n: n.Fold((5, 6), (2, 3), 1, 1, (1, 2)), (2, 18, 18)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES, ids=ids)
@pytest.mark.filterwarnings("ignore:Using padding")
def test_like_pytorch(torch, device, name):
    make, shape = CASES[name]
    check(torch, make, normal(*shape), steps=1)


@pytest.mark.parametrize("size", [(9, 13), (8, 14), [2, 5, 8, 14]])
def test_output_size(torch, size):
    """Of the sizes that one stride leaves open, the one asked for."""
    check(torch, lambda n: n.ConvTranspose2d(3, 5, 3, stride=(2, 3), padding=1), normal(2, 3, 4, 5) if size != (9, 13) else
          normal(2, 3, 5, 5), call=lambda m, x: m(x, output_size=size), steps=1)  # fmt: skip


def test_output_size_out_of_reach():
    up = nn.ConvTranspose2d(3, 5, 3, stride=2)
    with pytest.raises(
        errors.ShapeError, match=r"output_size 20 x 11 is out of reach: it must be 9 x 11 to 10 x 12: input"
    ):
        up(tl.ones(1, 3, 4, 5), output_size=(20, 11))
    with pytest.raises(errors.ShapeError, match=r"must have 2 numbers \(or 4, with batch and channels\), got \(9,\)"):
        up(tl.ones(1, 3, 4, 5), output_size=(9,))


@pytest.mark.parametrize("make, fan", [
    (lambda: nn.Conv1d(64, 200, 5), 320), (lambda: nn.Conv2d(64, 64, 3, groups=4), 144),
    (lambda: nn.ConvTranspose2d(64, 80, 3, groups=2), 360), (lambda: nn.Conv3d(16, 90, 3), 432),
])  # fmt: skip
def test_initial_weights_are_uniform_in_one_over_root_of_fan_in(make, fan):
    tl.manual_seed(1)
    layer, bound = make(), 1 / math.sqrt(fan)
    w, b = host(layer.weight).ravel().astype("f8"), host(layer.bias)
    assert np.abs(w).max() <= bound and np.abs(w).max() > 0.999 * bound
    assert abs(w.mean()) < 5 * bound / math.sqrt(3 * w.size)
    assert abs(w.var() / (bound**2 / 3) - 1) < 5 * math.sqrt(
        0.8 / w.size
    )  # the fourth moment of uniform: var of x^2 is 0.8
    assert np.abs(b).max() <= bound and np.abs(b).max() > 0.9 * bound


REFUSED = [
    (lambda: nn.Conv2d(3, 4, 2, groups=2), "Conv2d: in_channels=3 must be a multiple of groups=2"),
    (lambda: nn.Conv2d(4, 3, 2, groups=2), "Conv2d: out_channels=3 must be a multiple of groups=2"),
    (lambda: nn.Conv1d(4, 4, 2, groups=0), "Conv1d: groups must be an int of at least 1, got 0"),
    (lambda: nn.Conv1d(-1, 4, 2), "Conv1d: in_channels must be an int of at least 0, got -1"),
    (lambda: nn.Conv2d(1, 2, (3, 3, 3)), "Conv2d: kernel_size must be an int or 2 ints, got (3, 3, 3)"),
    (lambda: nn.Conv2d(1, 2, 0), "Conv2d: kernel_size must be at least 1, got 0"),
    (lambda: nn.Conv2d(1, 2, 3, stride=0), "Conv2d: stride must be at least 1, got 0"),
    (lambda: nn.Conv2d(1, 2, 3, padding="sam"), "Conv2d: padding must be ints, 'same' or 'valid', not 'sam'"),
    (lambda: nn.Conv2d(1, 2, 3, padding="same", stride=2), "Conv2d: padding='same' needs stride 1, got stride 2 x 2"),
    (lambda: nn.Conv2d(1, 2, 3, padding_mode="zero"),
     "Conv2d: padding_mode can be one of 'zeros', 'reflect', 'replicate', 'circular', not 'zero'"),
    (lambda: nn.ConvTranspose2d(1, 2, 3, padding_mode="reflect"),
     "ConvTranspose2d: padding_mode can be 'zeros' only, not 'reflect'"),
    (lambda: nn.ConvTranspose1d(1, 2, 3, padding="same"), "ConvTranspose1d: padding must be ints, not 'same'"),
    (lambda: nn.Fold(4, 0), "Fold: kernel_size must be at least 1, got 0"),
    (lambda: nn.Unfold((1, 2, 3)), "Unfold: kernel_size must be an int or 2 ints, got (1, 2, 3)"),
]  # fmt: skip


@pytest.mark.parametrize("make, text", REFUSED, ids=[t for _, t in REFUSED])
def test_constructors_refuse(make, text):
    with pytest.raises(errors.ArgumentError) as caught:
        make()
    assert str(caught.value) == text


WRONG_INPUT = [
    (lambda: nn.Conv2d(3, 4, 3), (2, 5, 6, 6), "conv2d: input has 5 channels, weight (4, 3, 3, 3) expects 3"),
    (lambda: nn.Conv2d(3, 4, 3), (6, 6), "conv2d: input must be (N, C, H, W) or, of one sample, (C, H, W), got float32 (6, 6)"),
    (lambda: nn.Conv2d(3, 4, 3), (2, 3, 2, 6), "conv2d: the kernel 3 x 3 is larger than the input: 2 x 6"),
    (lambda: nn.Conv2d(3, 4, 3, padding=3, padding_mode="reflect"), (2, 3, 2, 6),
     "pad: mode 'reflect' can add at most 1 to dimension 2 of size 2, not (3, 3)"),
    (lambda: nn.ConvTranspose1d(3, 4, 3), (2, 5, 6), "conv_transpose1d: input has 5 channels, weight (3, 4, 3) expects 3"),
    (lambda: nn.Unfold(3), (1, 1, 2, 2), "unfold: the kernel 3 x 3 is larger than the input: 2 x 2"),
    (lambda: nn.Fold((4, 5), 2), (1, 6, 12), "fold: 6 channels are no multiple of the kernel 2 x 2"),
    (lambda: nn.Fold((4, 5), 2), (1, 8, 11), "fold: an output of 4 x 5 has 3 x 4 = 12 windows, the input has 11"),
    (lambda: nn.Fold((4, 5), 2), (1, 1, 8, 12), "fold: input must be (N, C * kernel, places) or (C * kernel, places), got"),
]  # fmt: skip


@pytest.mark.parametrize("make, shape, text", WRONG_INPUT, ids=[t for _, _, t in WRONG_INPUT])
def test_a_wrong_input_is_refused_with_the_place_in_the_model(make, shape, text):
    model = nn.Sequential(nn.Identity(), nn.Sequential(make()))
    with pytest.raises(errors.ShapeError) as caught:
        model(tl.ones(*shape))
    assert text in str(caught.value) and str(caught.value).endswith(", in 1.0"), str(caught.value)


def test_second_derivative_of_convolution_and_batch_norm(device):
    """The gradient penalty of a GAN: d/dw of the gradient for the input, against finite differences."""
    net = nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), nn.Tanh(), nn.ConvTranspose2d(3, 2, 2, 2)
    ).double()
    x = tl.tensor(normal(2, 2, 3, 4), requires_grad=True)
    names, values = zip(*net.named_parameters(), strict=True)

    def outputs(x, *values):
        buffers = {k: v.clone() for k, v in net.named_buffers()}
        return tl.func.functional_call(net, {**dict(zip(names, values, strict=True)), **buffers}, (x,))

    assert tl.gradcheck(outputs, (x, *values), fast_mode=True)
    assert tl.gradgradcheck(outputs, (x, *values), fast_mode=True)
