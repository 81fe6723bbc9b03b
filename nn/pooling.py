"""Pooling layers: maxima, means and power means of windows, adaptive ones, and maxima put back."""

from tensorlite import errors
from tensorlite.nn import functional as F
from tensorlite.nn.module import Module
from tensorlite.ops.conv import per_axis

__all__ = [
    "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d", "AdaptiveMaxPool2d", "AdaptiveMaxPool3d",
    "AvgPool1d", "AvgPool2d", "AvgPool3d",
    "FractionalMaxPool2d", "FractionalMaxPool3d",
    "LPPool1d", "LPPool2d", "LPPool3d",
    "MaxPool1d", "MaxPool2d", "MaxPool3d",
    "MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d",
]  # fmt: skip


class _Pool(Module):
    """A layer of windows; `rank`: the number of spatial dimensions."""

    rank = 0

    def _function(self, kind):
        return getattr(F, f"{kind}{self.rank}d")

    def _positive(self, **sizes):
        for what, v in sizes.items():
            per_axis(type(self).__name__, what, v, self.rank, least=0 if what == "padding" else 1)

    def _half(self, padding, kernel, dilation=1):
        """Refuse padding of more than half a window."""
        name = type(self).__name__
        three = [per_axis(name, "", v, self.rank) for v in (padding, kernel, dilation)]
        if any(2 * p > d * (k - 1) + 1 for p, k, d in zip(*three, strict=True)):
            raise errors.ArgumentError(
                f"{name}: padding may be at most half of the window: padding={padding}, kernel_size={kernel}"
            )


# ---------------------------------------------------------------- maxima
class _MaxPool(_Pool):
    def __init__(self, kernel_size, stride=None, padding=0, dilation=1, return_indices=False, ceil_mode=False):
        super().__init__()
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.dilation, self.return_indices, self.ceil_mode = padding, dilation, return_indices, ceil_mode
        self._positive(kernel_size=kernel_size, stride=self.stride, padding=padding, dilation=dilation)
        self._half(padding, kernel_size, dilation)

    def forward(self, input):
        return self._function("max_pool")(input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode,
                                          self.return_indices)  # fmt: skip

    def extra_repr(self):
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, dilation={self.dilation}, "
            f"ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPool):
    """The maxima of windows of sequences (N, C, L) or (C, L). See MaxPool2d."""

    rank = 1


class MaxPool2d(_MaxPool):
    """The maximum of each window of images (N, C, H, W) or (C, H, W) -> (N, C, H', W').

    stride: as the window unless given. padding: of minus infinity, at most half a window. ceil_mode: windows that hang over
    the end count too. return_indices: (maxima, where they are), for MaxUnpool2d. See F.max_pool2d.

    Raises:
        ArgumentError: sizes below 1, too much padding. ShapeError: a window larger than the input.

    Example:
        >>> import tensorlite as tl
        >>> tl.nn.MaxPool2d(2)(tl.arange(16.0).reshape(1, 4, 4))
        tensor([[[ 5.,  7.],
                 [13., 15.]]])
    """

    rank = 2


class MaxPool3d(_MaxPool):
    """The maxima of windows of volumes (N, C, D, H, W) or (C, D, H, W). See MaxPool2d."""

    rank = 3


class _MaxUnpool(_Pool):
    def __init__(self, kernel_size, stride=None, padding=0):
        super().__init__()
        name, stride = type(self).__name__, kernel_size if stride is None else stride
        self.kernel_size = per_axis(name, "kernel_size", kernel_size, self.rank, 1)
        self.stride = per_axis(name, "stride", stride, self.rank, 1)
        self.padding = per_axis(name, "padding", padding, self.rank)

    def forward(self, input, indices, output_size=None):
        call = self._function("max_unpool")
        return call(input, indices, self.kernel_size, self.stride, self.padding, output_size)

    def extra_repr(self):
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpool):
    """The inverse of MaxPool1d as far as there is one. See MaxUnpool2d."""

    rank = 1


class MaxUnpool2d(_MaxUnpool):
    """forward(maxima, indices, output_size=None): zeros, with what MaxPool2d(return_indices=True) gave put back in its places.

    output_size: which of the sizes that give the same maxima is meant.

    Raises:
        ShapeError: indices of another shape, an output_size out of reach. IndexRangeError: an index outside of the output.
    """

    rank = 2


class MaxUnpool3d(_MaxUnpool):
    """The inverse of MaxPool3d as far as there is one. See MaxUnpool2d."""

    rank = 3


class _FractionalMaxPool(_Pool):
    def __init__(self, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None):
        super().__init__()
        name, rank = type(self).__name__, self.rank
        self.kernel_size = per_axis(name, "kernel_size", kernel_size, rank, 1)
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)
        if (output_size is None) == (output_ratio is None):
            which = "none" if output_size is None else "both"
            raise errors.ArgumentError(f"{name}: give output_size or output_ratio, {which} was given")
        self.output_size = None if output_size is None else per_axis(name, "output_size", output_size, rank, 1)
        ratio = output_ratio if isinstance(output_ratio, (tuple, list)) else (output_ratio,) * rank
        self.output_ratio = None if output_ratio is None else tuple(ratio)
        if output_ratio is not None and (len(ratio) != rank or not all(0 < r < 1 for r in ratio)):
            raise errors.ArgumentError(f"{name}: output_ratio must be between 0 and 1, got {output_ratio!r}")

    def forward(self, input):
        call = self._function("fractional_max_pool")
        return call(
            input, self.kernel_size, self.output_size, self.output_ratio, self.return_indices, self._random_samples
        )


class FractionalMaxPool2d(_FractionalMaxPool):
    """The maxima of windows at random distances, for an output of any size: see F.fractional_max_pool2d (Graham 2014).

    Raises:
        ArgumentError: output_size and output_ratio both or neither, a ratio outside of 0..1.

    Example:
        >>> import tensorlite as tl
        >>> tl.nn.FractionalMaxPool2d(2, output_size=3)(tl.ones(1, 1, 5, 5)).shape
        (1, 1, 3, 3)
    """

    rank = 2


class FractionalMaxPool3d(_FractionalMaxPool):
    """The maxima of windows of volumes at random distances. See FractionalMaxPool2d."""

    rank = 3


# ---------------------------------------------------------------- means
class _AvgPool(_Pool):
    def __init__(
        self, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
    ):
        super().__init__()
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.ceil_mode, self.count_include_pad = padding, ceil_mode, count_include_pad
        self.divisor_override = divisor_override
        if divisor_override == 0:
            raise errors.ArgumentError(f"{type(self).__name__}: divisor_override must not be 0")
        self._positive(kernel_size=kernel_size, stride=self.stride, padding=padding)
        self._half(padding, kernel_size)

    def forward(self, input):
        call = self._function("avg_pool")
        more = () if self.divisor_override is None else (self.divisor_override,)
        return call(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad, *more)

    def extra_repr(self):
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool1d(_AvgPool):
    """The means of windows of sequences (N, C, L) or (C, L). See AvgPool2d."""

    rank = 1

    def __init__(self, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
        super().__init__(kernel_size, stride, padding, ceil_mode, count_include_pad)
        for what in ("kernel_size", "stride", "padding"):
            setattr(self, what, per_axis("AvgPool1d", what, getattr(self, what), 1))


class AvgPool2d(_AvgPool):
    """The mean of each window of images (N, C, H, W) or (C, H, W).

    padding: of zeros, which count in the mean if count_include_pad. divisor_override: divide the sums by this number. See
    F.avg_pool2d.

    Raises:
        ArgumentError: sizes below 1, too much padding. ShapeError: a window larger than the input.

    Example:
        >>> import tensorlite as tl
        >>> tl.nn.AvgPool2d(2)(tl.arange(16.0).reshape(1, 4, 4))
        tensor([[[ 2.5000,  4.5000],
                 [10.5000, 12.5000]]])
    """

    rank = 2


class AvgPool3d(_AvgPool):
    """The means of windows of volumes (N, C, D, H, W) or (C, D, H, W). See AvgPool2d."""

    rank = 3


class _LPPool(_Pool):
    def __init__(self, norm_type, kernel_size, stride=None, ceil_mode=False):
        super().__init__()
        self.norm_type, self.kernel_size, self.stride, self.ceil_mode = norm_type, kernel_size, stride, ceil_mode
        self._positive(kernel_size=kernel_size, **({} if stride is None else {"stride": stride}))
        if not norm_type:
            raise errors.ArgumentError(f"{type(self).__name__}: norm_type must not be 0")

    def forward(self, input):
        return self._function("lp_pool")(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)

    def extra_repr(self):
        return f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, ceil_mode={self.ceil_mode}"


class LPPool1d(_LPPool):
    """(sum of x^p)^(1/p) over windows of sequences, p = norm_type (Gulcehre et al. 2014)."""

    rank = 1


class LPPool2d(_LPPool):
    """(sum of x^p)^(1/p) over windows of images, p = norm_type; 1: the sum, infinity in the limit: the maximum."""

    rank = 2


class LPPool3d(_LPPool):
    """(sum of x^p)^(1/p) over windows of volumes, p = norm_type. See LPPool2d."""

    rank = 3


# ---------------------------------------------------------------- adaptive
class _AdaptivePool(_Pool):
    def __init__(self, output_size):
        super().__init__()
        self.output_size = output_size
        sizes = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * self.rank
        if len(sizes) != self.rank:
            raise errors.ArgumentError(
                f"{type(self).__name__}: output_size must be an int or {self.rank} ints or None, got {output_size!r}"
            )
        for s in sizes:
            per_axis(type(self).__name__, "output_size", 0 if s is None else s, 1)

    def extra_repr(self):
        return f"output_size={self.output_size}"


class _AdaptiveAvgPool(_AdaptivePool):
    def forward(self, input):
        return self._function("adaptive_avg_pool")(input, self.output_size)


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """The means of output_size nearly equal windows of sequences. See AdaptiveAvgPool2d."""

    rank = 1


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """The means of nearly equal windows of images, output_size (an int or (H', W'); None: as the input) of them.

    Window i of n along a dimension of size L goes from floor(i L / n) up to ceil((i + 1) L / n).

    Example:
        >>> import tensorlite as tl
        >>> tl.nn.AdaptiveAvgPool2d((1, None))(tl.ones(2, 3, 5, 7)).shape
        (2, 3, 1, 7)
    """

    rank = 2


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """The means of output_size nearly equal windows of volumes. See AdaptiveAvgPool2d."""

    rank = 3


class _AdaptiveMaxPool(_AdaptivePool):
    def __init__(self, output_size, return_indices=False):
        super().__init__(output_size)
        self.return_indices = return_indices

    def forward(self, input):
        return self._function("adaptive_max_pool")(input, self.output_size, self.return_indices)


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """The maxima of output_size nearly equal windows of sequences. See AdaptiveAvgPool2d."""

    rank = 1


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """The maxima of output_size nearly equal windows of images. See AdaptiveAvgPool2d."""

    rank = 2


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """The maxima of output_size nearly equal windows of volumes. See AdaptiveAvgPool2d."""

    rank = 3
