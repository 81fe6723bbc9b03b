"""Windows of images as columns and back: Unfold, Fold."""

from tensorlite.nn import functional as F
from tensorlite.nn.module import Module
from tensorlite.ops.conv import per_axis

__all__ = ["Fold", "Unfold"]


class Unfold(Module):
    """The windows of images as columns (im2col): (N, C, H, W) or (C, H, W) -> (N, C kh kw, places).

    Raises:
        ArgumentError: sizes below 1. ShapeError: a kernel larger than the padded input.

    Example:
        >>> import tensorlite as tl
        >>> tl.nn.Unfold(3)(tl.ones(2, 5, 8, 8)).shape
        (2, 45, 36)
    """

    def __init__(self, kernel_size, dilation=1, padding=0, stride=1):
        super().__init__()
        self.kernel_size, self.dilation, self.padding, self.stride = kernel_size, dilation, padding, stride
        _check(self)

    def forward(self, input):
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self):
        return f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, stride={self.stride}"


class Fold(Module):
    """Columns put back to images of output_size, summed where windows overlap: (N, C kh kw, places) -> (N, C, *output_size).

    Raises:
        ArgumentError: sizes below 1. ShapeError: channels that kh kw does not divide, or another number of places.
    """

    def __init__(self, output_size, kernel_size, dilation=1, padding=0, stride=1):
        super().__init__()
        self.output_size, self.kernel_size = output_size, kernel_size
        self.dilation, self.padding, self.stride = dilation, padding, stride
        _check(self)

    def forward(self, input):
        return F.fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)

    extra_repr = lambda self: f"output_size={self.output_size}, {Unfold.extra_repr(self)}"  # noqa: E731


def _check(layer):
    for what in ("output_size", "kernel_size", "dilation", "padding", "stride"):
        if what in layer.__dict__:
            per_axis(type(layer).__name__, what, getattr(layer, what), 2, least=int(what != "padding"))
