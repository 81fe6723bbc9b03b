"""Instance norm as layers: InstanceNorm1d, InstanceNorm2d, InstanceNorm3d."""

from tensorlite.nn import functional as F
from tensorlite.nn.batchnorm import Normalization
from tensorlite.ops.conv import AXES

__all__ = ["InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d"]


class _InstanceNorm(Normalization):
    def __init__(self, num_features, eps=1e-5, momentum=0.1, affine=False, track_running_stats=False, device=None,
                 dtype=None, *, bias=True):  # fmt: skip
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias)

    def forward(self, input):
        self._check(input, channels=1)
        x = input.unsqueeze(0) if input.ndim < len(self.shapes[-1].split(", ")) else input
        own = self.training or not self.track_running_stats
        mean, var = self.running_mean, self.running_var
        y = F.instance_norm(x, mean, var, self.weight, self.bias, own, self.momentum or 0.0, self.eps)
        return y if x is input else y.squeeze(0)


class InstanceNorm1d(_InstanceNorm):
    """Instance norm of sequences (N, C, L) or (C, L). See InstanceNorm2d."""

    shapes = "C, L", "N, C, L"


class InstanceNorm2d(_InstanceNorm):
    """(x - mean) / sqrt(var + eps) for each channel of each image by itself, (N, C, H, W) or (C, H, W) (Ulyanov et al. 2016).

    affine: weight (1 at the start) and, with `bias`, bias (0), channel by channel. track_running_stats: in training
    running_mean and running_var move towards the means of the samples' statistics, and are used in evaluation.
    Unlike PyTorch, which only warns where there are no weights, another number of channels than num_features is an error.

    Raises:
        ShapeError: another number of dimensions or channels, or a single element for each channel.

    Example:
        >>> import tensorlite as tl
        >>> tl.nn.InstanceNorm2d(3)(tl.ones(2, 3, 4, 4)).abs().max()
        tensor(0.)
    """

    shapes = "C, " + AXES[2], "N, C, " + AXES[2]


class InstanceNorm3d(_InstanceNorm):
    """Instance norm of volumes (N, C, D, H, W) or (C, D, H, W). See InstanceNorm2d."""

    shapes = "C, " + AXES[3], "N, C, " + AXES[3]
