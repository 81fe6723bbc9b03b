"""Pooling, padding, upsampling, shuffling and flattening as layers, against PyTorch; what they refuse."""

import pytest
from layer_check import check, distinct, ids, normal

import tensorlite as tl
from tensorlite import errors, nn


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def _unpool(kind, *args, **sizes):
    """Pooling and its inverse in one layer."""

    def make(n):
        class Both(n.Module):
            def __init__(self):
                super().__init__()
                self.down = getattr(n, f"MaxPool{kind}")(*args, return_indices=True)
                self.up = getattr(n, f"MaxUnpool{kind}")(*args)

            def forward(self, x):
                return self.up(*self.down(x), **sizes)

        return Both()

    return make


CASES = {
    "max 1d": (lambda n: n.MaxPool1d(3, 2, 1), (2, 3, 8)),
    "max 1d of one sample": (lambda n: n.MaxPool1d(2, dilation=2), (3, 8)),
    "max 2d": (lambda n: n.MaxPool2d(2), (2, 3, 5, 6)),
    "max 2d with all": (lambda n: n.MaxPool2d((3, 2), (2, 1), (1, 0), (1, 2), True, True), (2, 3, 6, 7)),
    "max 3d": (lambda n: n.MaxPool3d(2, (1, 2, 2), 1, ceil_mode=True), (2, 2, 3, 5, 4)),
    "unpool 1d": (_unpool("1d", 2), (2, 3, 8)),
    "unpool 2d": (_unpool("2d", (2, 3)), (2, 3, 4, 6)),
    "unpool 2d of one sample": (_unpool("2d", 2, output_size=(5, 7)), (3, 5, 7)),
    "unpool 2d with padding": (_unpool("2d", 3, 3, 1), (2, 3, 7, 7)),
    "unpool 3d": (_unpool("3d", 2), (2, 2, 4, 2, 4)),
    "mean 1d": (lambda n: n.AvgPool1d(3, 2, 1), (2, 3, 8)),
    "mean 1d with all": (lambda n: n.AvgPool1d((3,), (2,), 1, True, False), (3, 8)),
    "mean 2d": (lambda n: n.AvgPool2d(2), (2, 3, 5, 6)),
    "mean 2d with all": (lambda n: n.AvgPool2d((3, 2), (2, 1), (1, 0), True, False, 5), (2, 3, 6, 7)),
    "mean 2d beyond the end": (lambda n: n.AvgPool2d(3, 2, 1, ceil_mode=True), (2, 3, 6, 7)),
    "mean 3d": (lambda n: n.AvgPool3d(2, 1, 1, count_include_pad=False), (2, 2, 3, 3, 4)),
    "adaptive mean 1d": (lambda n: n.AdaptiveAvgPool1d(3), (2, 3, 8)),
    "adaptive mean 2d": (lambda n: n.AdaptiveAvgPool2d((None, 4)), (2, 3, 5, 6)),
    "adaptive mean 2d square": (lambda n: n.AdaptiveAvgPool2d(3), (3, 5, 7)),
    "adaptive mean 2d of all": (lambda n: n.AdaptiveAvgPool2d(1), (2, 3, 5, 6)),
    "adaptive mean 1d of one sample": (lambda n: n.AdaptiveAvgPool1d(1), (3, 5)),
    "adaptive mean 3d": (lambda n: n.AdaptiveAvgPool3d((1, 2, 3)), (2, 2, 3, 5, 4)),
    "adaptive max 1d": (lambda n: n.AdaptiveMaxPool1d(3), (2, 3, 8)),
    "adaptive max 2d": (lambda n: n.AdaptiveMaxPool2d((3, None), return_indices=True), (2, 3, 5, 6)),
    "adaptive max 3d": (lambda n: n.AdaptiveMaxPool3d(2), (2, 2, 3, 5, 4)),
    "power mean 1d": (lambda n: n.LPPool1d(3, 2), (2, 3, 8)),
    "power mean 2d": (lambda n: n.LPPool2d(2, (2, 3), stride=(1, 2)), (2, 3, 5, 6)),
    "power mean 2d beyond the end": (lambda n: n.LPPool2d(1.5, 2, ceil_mode=True), (2, 3, 5, 6)),
    "power mean 3d": (lambda n: n.LPPool3d(2, 2), (2, 2, 3, 5, 4)),
    "constant pad 1d": (lambda n: n.ConstantPad1d(2, 3.5), (2, 3, 4)),
    "constant pad 2d": (lambda n: n.ConstantPad2d((1, 2, 0, 3), -1), (3, 4)),
    "constant pad 2d that crops": (lambda n: n.ConstantPad2d((-1, 2, 0, -2), 0.5), (2, 3, 4)),
    "constant pad 3d": (lambda n: n.ConstantPad3d((1, 0, 2, 1, 0, 1), 1.0), (2, 3, 2, 2)),
    "zero pad 1d": (lambda n: n.ZeroPad1d((1, 2)), (2, 3, 4)),
    "zero pad 2d": (lambda n: n.ZeroPad2d(1), (2, 3, 4)),
    "zero pad 3d": (lambda n: n.ZeroPad3d((1, 2, 3, 0, 1, 1)), (1, 2, 2, 3, 2)),
    "reflection pad 1d": (lambda n: n.ReflectionPad1d((2, 1)), (2, 3, 4)),
    "reflection pad 2d": (lambda n: n.ReflectionPad2d((1, 2, 3, 0)), (2, 3, 4, 5)),
    "reflection pad 2d of one sample": (lambda n: n.ReflectionPad2d(1), (3, 4, 5)),
    "reflection pad 3d": (lambda n: n.ReflectionPad3d(1), (1, 2, 2, 3, 4)),
    "replication pad 1d": (lambda n: n.ReplicationPad1d(3), (3, 4)),
    "replication pad 2d": (lambda n: n.ReplicationPad2d((1, 2, 3, 0)), (2, 3, 2, 3)),
    "replication pad 3d": (lambda n: n.ReplicationPad3d((1, 2, 0, 1, 3, 1)), (1, 2, 2, 3, 2)),
    "circular pad 1d": (lambda n: n.CircularPad1d((3, 4)), (2, 3, 4)),
    "circular pad 2d": (lambda n: n.CircularPad2d((1, 2, 3, 0)), (2, 3, 4, 5)),
    "circular pad 3d": (lambda n: n.CircularPad3d((1, 0, 0, 1, 1, 1)), (1, 2, 2, 3, 2)),
    "upsample nearest": (lambda n: n.Upsample(scale_factor=2), (2, 3, 4)),
    "upsample to a size": (lambda n: n.Upsample((5, 7)), (2, 3, 4, 4)),
    "upsample linear": (lambda n: n.Upsample(scale_factor=1.5, mode="linear"), (2, 3, 6)),
    "upsample bilinear": (lambda n: n.Upsample(scale_factor=(2, 3), mode="bilinear", align_corners=True), (2, 3, 4, 3)),
    "upsample bicubic": (lambda n: n.Upsample((7, 5), mode="bicubic"), (2, 2, 4, 6)),
    "upsample trilinear": (lambda n: n.Upsample(scale_factor=1.7, mode="trilinear", recompute_scale_factor=True), (1, 2, 3, 3, 4)),
    "upsampling nearest 2d": (lambda n: n.UpsamplingNearest2d(scale_factor=2), (2, 3, 2, 3)),
    "upsampling bilinear 2d": (lambda n: n.UpsamplingBilinear2d(size=(5, 4)), (2, 3, 2, 3)),
    "pixel shuffle": (lambda n: n.PixelShuffle(2), (2, 8, 2, 3)),
    "pixel unshuffle": (lambda n: n.PixelUnshuffle(2), (2, 3, 4, 6)),
    "channel shuffle": (lambda n: n.ChannelShuffle(2), (2, 6, 3)),
    "flatten": (lambda n: n.Flatten(), (2, 3, 4)),
    "flatten some": (lambda n: n.Flatten(0, -2), (2, 3, 4)),
    "unflatten": (lambda n: n.Unflatten(1, (2, -1)), (2, 6, 4)),
    "unflatten from behind": (lambda n: n.Unflatten(-1, [2, 2]), (2, 6, 4)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES, ids=ids)
def test_like_pytorch(torch, device, name):
    make, shape = CASES[name]
    x = distinct(*shape) if "max" in name or "unpool" in name else normal(*shape)
    check(torch, make, abs(x) + 0.1 if "power" in name else x, modes=(True,), steps=1)


REFUSED = [
    (lambda: nn.MaxPool2d(0), "MaxPool2d: kernel_size must be at least 1, got 0"),
    (lambda: nn.MaxPool2d(2, stride=0), "MaxPool2d: stride must be at least 1, got 0"),
    (lambda: nn.MaxPool2d(2, padding=2), "MaxPool2d: padding may be at most half of the window: padding=2, kernel_size=2"),
    (lambda: nn.MaxPool1d((2, 2)), "MaxPool1d: kernel_size must be an int or 1 ints, got (2, 2)"),
    (lambda: nn.AvgPool2d((3, 2), padding=(1, 2)),
     "AvgPool2d: padding may be at most half of the window: padding=(1, 2), kernel_size=(3, 2)"),
    (lambda: nn.AvgPool3d(2, divisor_override=0), "AvgPool3d: divisor_override must not be 0"),
    (lambda: nn.LPPool2d(0, 2), "LPPool2d: norm_type must not be 0"),
    (lambda: nn.MaxUnpool2d((1, 2, 3)), "MaxUnpool2d: kernel_size must be an int or 2 ints, got (1, 2, 3)"),
    (lambda: nn.AdaptiveAvgPool2d((1, 2, 3)), "AdaptiveAvgPool2d: output_size must be an int or 2 ints or None, got (1, 2, 3)"),
    (lambda: nn.AdaptiveAvgPool1d(-1), "AdaptiveAvgPool1d: output_size must be at least 0, got -1"),
    (lambda: nn.ReflectionPad2d((1, 2)), "ReflectionPad2d: padding must be an int or 4 ints, got (1, 2)"),
    (lambda: nn.PixelShuffle(0), "PixelShuffle: upscale_factor must be an int of at least 1, got 0"),
    (lambda: nn.PixelUnshuffle(0), "PixelUnshuffle: downscale_factor must be an int of at least 1, got 0"),
    (lambda: nn.ChannelShuffle(0), "ChannelShuffle: groups must be an int of at least 1, got 0"),
    (lambda: nn.Unflatten(1, 3), "Unflatten: unflattened_size must be a tuple of ints, got 3"),
    (lambda: nn.Unflatten("c", (1, 3)), "Unflatten: dim must be an int (dimensions have no names here), got 'c'"),
]  # fmt: skip


@pytest.mark.parametrize("make, text", REFUSED, ids=[t for _, t in REFUSED])
def test_constructors_refuse(make, text):
    with pytest.raises((errors.ArgumentError, errors.DTypeError)) as caught:
        make()
    assert str(caught.value) == text


WRONG_INPUT = [
    (lambda: nn.MaxPool2d(3), (2, 6), "max_pool2d: input must be (N, C, H, W) or, of one sample, (C, H, W), got float32 (2, 6)"),
    (lambda: nn.MaxPool2d(3), (1, 2, 6), "max_pool2d: the window 3 x 3 is larger than the input: 2 x 6"),
    (lambda: nn.AvgPool1d(3), (2, 2), "avg_pool1d: the window 3 is larger than the input: 2"),
    (lambda: nn.LPPool1d(2, 3), (2, 2), "lp_pool1d: the window 3 is larger than the input: 2"),
    (lambda: nn.AdaptiveMaxPool2d(3), (2, 0, 3), "adaptive_max_pool2d: the input has no elements in a dimension"),
    (lambda: nn.AdaptiveAvgPool3d(3), (2, 3), "adaptive_avg_pool3d: input must be (N, C, D, H, W) or, of one sample"),
    (lambda: nn.ReflectionPad1d(3), (2, 3), "pad: mode 'reflect' can add at most 2 to dimension 1 of size 3, not (3, 3)"),
    (lambda: nn.CircularPad2d(1), (2, 3), "CircularPad2d: input must be (N, C, H, W) or (C, H, W), got float32 (2, 3)"),
    (lambda: nn.ConstantPad2d((-2, -2, 0, 0), 1.0), (2, 3), "pad: (-2, -2) takes away more than dimension 1 of size 3 has"),
    (lambda: nn.Upsample(scale_factor=2, mode="bilinear"), (2, 3, 4),
     "interpolate: mode 'bilinear' takes input (N, C, H, W), got float32 (2, 3, 4)"),
    (lambda: nn.PixelShuffle(2), (1, 6, 2, 2), "pixel_shuffle: 6 channels are no multiple of upscale_factor squared, 4"),
    (lambda: nn.PixelUnshuffle(2), (1, 6, 3, 2), "pixel_unshuffle: height 3 and width 2 must be multiples of downscale_factor 2"),
    (lambda: nn.ChannelShuffle(4), (1, 6, 2), "channel_shuffle: groups=4 does not divide 6 channels"),
    (lambda: nn.Flatten(2), (1, 6), "Flatten: dim 2 is out of range for a tensor of 2 dimensions (it may be -2 to 1)"),
    (lambda: nn.Unflatten(1, (2, 2)), (1, 6), "Unflatten: dimension 1 has 6 elements, they do not make (2, 2)"),
]  # fmt: skip


@pytest.mark.parametrize("make, shape, text", WRONG_INPUT, ids=[t for _, _, t in WRONG_INPUT])
def test_a_wrong_input_is_refused_with_the_place_in_the_model(make, shape, text):
    model = nn.Sequential(nn.Identity(), nn.Sequential(make()))
    with pytest.raises((errors.ShapeError, errors.IndexRangeError)) as caught:
        model(tl.ones(*shape))
    assert text in str(caught.value) and str(caught.value).endswith(", in 1.0"), str(caught.value)


def test_unpool_refuses(device):
    up, x = nn.MaxUnpool2d(2), tl.ones(1, 1, 2, 2)
    where = tl.tensor([[[[0, 2], [8, 10]]]])
    assert up(x, where).sum().item() == 4
    with pytest.raises(errors.ShapeError, match=r"output_size must be within a stride of \(4, 4\), got \(7, 4\)"):
        up(x, where, output_size=(7, 4))
    with pytest.raises(
        errors.ShapeError, match=r"indices must be integers of the shape of input \(1, 1, 2, 2\), got int64"
    ):
        up(x, where[0])
    with pytest.raises(errors.IndexRangeError, match="16 is out of range: it must be 0 to 15"):
        up(x, where + 6)


def test_second_derivative_of_pooling(device):
    """The layers that are not linear; the rest have none."""
    for net in (nn.LPPool2d(3, 2), nn.Sequential(nn.ZeroPad2d(1), nn.AvgPool2d(2), nn.Tanh(), nn.MaxPool2d(2))):
        x = tl.tensor(abs(distinct(1, 2, 4, 6)) + 0.5, requires_grad=True)
        assert tl.gradcheck(net, (x,), fast_mode=True) and tl.gradgradcheck(net, (x,), fast_mode=True)
