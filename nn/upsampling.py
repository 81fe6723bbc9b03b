"""Layers that make images larger or move pixels: Upsample and its old names, PixelShuffle, PixelUnshuffle, ChannelShuffle."""

from tensorlite.nn import functional as F
from tensorlite.nn.module import Module
from tensorlite.ops.conv import whole

__all__ = [
    "ChannelShuffle",
    "PixelShuffle",
    "PixelUnshuffle",
    "Upsample",
    "UpsamplingBilinear2d",
    "UpsamplingNearest2d",
]


class Upsample(Module):
    """F.interpolate as a layer: (N, C, *sizes) made larger or smaller, to `size` or by `scale_factor`.

    mode: "nearest", "linear", "bilinear", "bicubic", "trilinear", ...; align_corners, recompute_scale_factor as there.

    Raises (when called):
        ArgumentError: an unknown mode, size and scale_factor both or neither. ShapeError: a mode for another rank.

    Example:
        >>> import tensorlite as tl
        >>> tl.nn.Upsample(scale_factor=2, mode="bilinear")(tl.ones(1, 3, 4, 5)).shape
        (1, 3, 8, 10)
    """

    def __init__(self, size=None, scale_factor=None, mode="nearest", align_corners=None, recompute_scale_factor=None):
        super().__init__()
        if isinstance(scale_factor, (tuple, list)):
            scale_factor = tuple(float(s) for s in scale_factor)
        self.size, self.mode = size, mode
        self.scale_factor = float(scale_factor) if isinstance(scale_factor, (int, float)) else scale_factor
        self.align_corners, self.recompute_scale_factor = align_corners, recompute_scale_factor

    def forward(self, input):
        return F.interpolate(
            input, self.size, self.scale_factor, self.mode, self.align_corners, self.recompute_scale_factor
        )

    def extra_repr(self):
        which = f"size={self.size}" if self.scale_factor is None else f"scale_factor={self.scale_factor}"
        return f"{which}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """Upsample with mode "nearest", under its old name."""

    def __init__(self, size=None, scale_factor=None):
        super().__init__(size, scale_factor, mode="nearest")


class UpsamplingBilinear2d(Upsample):
    """Upsample with mode "bilinear" and align_corners, under its old name."""

    def __init__(self, size=None, scale_factor=None):
        super().__init__(size, scale_factor, mode="bilinear", align_corners=True)


class PixelShuffle(Module):
    """Channels to pixels (Shi et al. 2016): (..., C r^2, H, W) -> (..., C, H r, W r), r = upscale_factor.

    Raises:
        ShapeError: a number of channels that r^2 does not divide.
    """

    def __init__(self, upscale_factor):
        super().__init__()
        whole("PixelShuffle", "upscale_factor", upscale_factor, 1)
        self.upscale_factor = upscale_factor

    def forward(self, input):
        return F.pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self):
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """Pixels to channels, the inverse of PixelShuffle: (..., C, H r, W r) -> (..., C r^2, H, W), r = downscale_factor.

    Raises:
        ShapeError: a height or width that r does not divide.
    """

    def __init__(self, downscale_factor):
        super().__init__()
        whole("PixelUnshuffle", "downscale_factor", downscale_factor, 1)
        self.downscale_factor = downscale_factor

    def forward(self, input):
        return F.pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self):
        return f"downscale_factor={self.downscale_factor}"


class ChannelShuffle(Module):
    """Channels of different groups taken in turn (Zhang et al. 2018): (N, C, *) of `groups` groups.

    Raises:
        ShapeError: a number of channels that groups does not divide.
    """

    def __init__(self, groups):
        super().__init__()
        whole("ChannelShuffle", "groups", groups, 1)
        self.groups = groups

    def forward(self, input):
        return F.channel_shuffle(input, self.groups)

    def extra_repr(self):
        return f"groups={self.groups}"
