"""Padding layers of 1, 2 and 3 dimensions: ConstantPad, ZeroPad, ReflectionPad, ReplicationPad, CircularPad."""

from tensorlite import errors
from tensorlite.nn import functional as F
from tensorlite.nn.module import Module
from tensorlite.ops.conv import AXES
from tensorlite.ops.elementwise import only_tensor
from tensorlite.tensor import path

__all__ = [
    "CircularPad1d", "CircularPad2d", "CircularPad3d",
    "ConstantPad1d", "ConstantPad2d", "ConstantPad3d",
    "ReflectionPad1d", "ReflectionPad2d", "ReflectionPad3d",
    "ReplicationPad1d", "ReplicationPad2d", "ReplicationPad3d",
    "ZeroPad1d", "ZeroPad2d", "ZeroPad3d",
]  # fmt: skip


class _Pad(Module):
    """padding: an int for all sides, or (left, right) for the last dimension, then the one before it, and so on."""

    rank, mode = 0, "constant"

    def __init__(self, padding):
        super().__init__()
        sides = tuple(padding) if isinstance(padding, (tuple, list)) else (padding,) * (2 * self.rank)
        if len(sides) != 2 * self.rank or any(not hasattr(n, "__index__") for n in sides):
            raise errors.ArgumentError(
                f"{type(self).__name__}: padding must be an int or {2 * self.rank} ints, got {padding!r}"
            )
        self.padding = sides

    def forward(self, input):
        only_tensor(type(self).__name__, input)
        if self.mode != "constant" and input.ndim not in (self.rank + 1, self.rank + 2):
            text = f"input must be (N, C, {AXES[self.rank]}) or (C, {AXES[self.rank]}), got {errors.describe(input)}"
            raise errors.ShapeError(errors.compose(type(self).__name__, text, "", path()))
        return F.pad(input, self.padding, self.mode)

    def extra_repr(self):
        return f"{self.padding}"


class _ConstantPad(_Pad):
    def __init__(self, padding, value):
        super().__init__(padding)
        self.value = value

    def forward(self, input):
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self):
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad):
    """`value` at both ends of the last dimension of an input of any rank. See ConstantPad2d."""

    rank = 1


class ConstantPad2d(_ConstantPad):
    """`value` around the last two dimensions: padding is an int or (left, right, top, bottom); negative numbers crop.

    Example:
        >>> import tensorlite as tl
        >>> tl.nn.ConstantPad2d((1, 0, 0, 1), 7)(tl.zeros(1, 1, 2))
        tensor([[[7., 0., 0.],
                 [7., 7., 7.]]])
    """

    rank = 2


class ConstantPad3d(_ConstantPad):
    """`value` around the last three dimensions. See ConstantPad2d."""

    rank = 3


class _ZeroPad(_ConstantPad):
    def __init__(self, padding):
        super().__init__(padding, 0.0)

    def extra_repr(self):
        return f"{self.padding}"


class ZeroPad1d(_ZeroPad):
    """Zeros at both ends of the last dimension. See ConstantPad2d."""

    rank = 1


class ZeroPad2d(_ZeroPad):
    """Zeros around the last two dimensions. See ConstantPad2d."""

    rank = 2


class ZeroPad3d(_ZeroPad):
    """Zeros around the last three dimensions. See ConstantPad2d."""

    rank = 3


class ReflectionPad1d(_Pad):
    """Sequences (N, C, L) or (C, L) mirrored at their ends. See ReflectionPad2d."""

    rank, mode = 1, "reflect"


class ReflectionPad2d(_Pad):
    """Images (N, C, H, W) or (C, H, W) mirrored at their edges, which are not repeated: padding is an int or (left, right, top,
    bottom), each less than the size.

    Raises:
        ShapeError: padding as large as the input, or another number of dimensions.

    Example:
        >>> import tensorlite as tl
        >>> tl.nn.ReflectionPad2d((2, 1, 0, 0))(tl.tensor([[[1.0, 2.0, 3.0]]]))
        tensor([[[3., 2., 1., 2., 3., 2.]]])
    """

    rank, mode = 2, "reflect"


class ReflectionPad3d(_Pad):
    """Volumes (N, C, D, H, W) or (C, D, H, W) mirrored at their faces. See ReflectionPad2d."""

    rank, mode = 3, "reflect"


class ReplicationPad1d(_Pad):
    """Sequences (N, C, L) or (C, L) with their end elements repeated."""

    rank, mode = 1, "replicate"


class ReplicationPad2d(_Pad):
    """Images (N, C, H, W) or (C, H, W) with their edge elements repeated."""

    rank, mode = 2, "replicate"


class ReplicationPad3d(_Pad):
    """Volumes (N, C, D, H, W) or (C, D, H, W) with their edge elements repeated."""

    rank, mode = 3, "replicate"


class CircularPad1d(_Pad):
    """Sequences (N, C, L) or (C, L) that go on from their other end."""

    rank, mode = 1, "circular"


class CircularPad2d(_Pad):
    """Images (N, C, H, W) or (C, H, W) that go on from their other side."""

    rank, mode = 2, "circular"


class CircularPad3d(_Pad):
    """Volumes (N, C, D, H, W) or (C, D, H, W) that go on from their other side."""

    rank, mode = 3, "circular"
