"""Convolutions and their transposes of 1, 2 and 3 dimensions as layers: Conv1d ... ConvTranspose3d."""

import math

from tensorlite import errors
from tensorlite.creation import empty
from tensorlite.nn import functional as F, init
from tensorlite.nn.module import Module
from tensorlite.nn.parameter import Parameter
from tensorlite.ops.conv import per_axis, times, whole
from tensorlite.tensor import path

__all__ = ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]

_MODES = ("zeros", "reflect", "replicate", "circular")


class _ConvBase(Module):
    """What a convolution and its transpose share: arguments, weights and text."""

    rank, transposed = 0, False

    def __init__(self, in_channels, out_channels, kernel_size, stride, padding, dilation, output_padding, groups, bias,
                 padding_mode, device, dtype):  # fmt: skip
        super().__init__()
        name, rank = type(self).__name__, self.rank
        whole(name, "groups", groups, 1)
        for what, n in (("in_channels", in_channels), ("out_channels", out_channels)):
            whole(name, what, n)
            if n % groups:
                raise errors.ArgumentError(f"{name}: {what}={n} must be a multiple of groups={groups}")
        if padding_mode not in (_MODES[:1] if self.transposed else _MODES):
            known = "'zeros' only" if self.transposed else f"one of {', '.join(map(repr, _MODES))}"
            raise errors.ArgumentError(f"{name}: padding_mode can be {known}, not {padding_mode!r}")
        self.in_channels, self.out_channels, self.groups, self.padding_mode = (
            in_channels, out_channels, groups, padding_mode,
        )  # fmt: skip
        self.kernel_size = per_axis(name, "kernel_size", kernel_size, rank, 1)
        self.stride = per_axis(name, "stride", stride, rank, 1)
        self.dilation = per_axis(name, "dilation", dilation, rank, 1)
        self.output_padding = per_axis(name, "output_padding", output_padding, rank)
        self.padding = self._padding(name, padding)
        channels = (in_channels, out_channels // groups) if self.transposed else (out_channels, in_channels // groups)
        self.weight = Parameter(empty(*channels, *self.kernel_size, device=device, dtype=dtype))
        self.register_parameter("bias", Parameter(empty(out_channels, device=device, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def _padding(self, name, padding):
        if not isinstance(padding, str):
            return per_axis(name, "padding", padding, self.rank)
        if self.transposed or padding not in ("same", "valid"):
            also = "" if self.transposed else ", 'same' or 'valid'"
            raise errors.ArgumentError(f"{name}: padding must be ints{also}, not {padding!r}")
        if padding == "same" and max(self.stride) > 1:
            raise errors.ArgumentError(f"{name}: padding='same' needs stride 1, got stride {times(self.stride)}")
        return padding

    def reset_parameters(self):
        """Draw new initial weights."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        fan_in = math.prod(self.weight.shape[1:])
        if self.bias is not None and fan_in:
            init.uniform_(self.bias, -1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in))

    def extra_repr(self):
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={tuple(self.kernel_size)}, stride={tuple(self.stride)}"
        shown = {"padding": 0, "dilation": 1, "output_padding": 0}
        for name, usual in shown.items():
            if (value := getattr(self, name)) != (usual,) * self.rank:
                text += f", {name}={value}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        return text + (f", padding_mode={self.padding_mode}" if self.padding_mode != "zeros" else "")


class _Conv(_ConvBase):
    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True,
                 padding_mode="zeros", device=None, dtype=None):  # fmt: skip
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, 0, groups, bias, padding_mode,
                         device, dtype)  # fmt: skip

    def _edges(self):
        """The padding as F.pad takes it: (before, after) of the last dimension first."""
        if self.padding == "valid":
            return (0,) * 2 * self.rank
        if self.padding == "same":
            total = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True)]
            pairs = [(t // 2, t - t // 2) for t in total]
        else:
            pairs = [(p, p) for p in self.padding]
        return tuple(n for pair in reversed(pairs) for n in pair)

    def forward(self, input):
        padding = self.padding
        if self.padding_mode != "zeros":
            input, padding = F.pad(input, self._edges(), mode=self.padding_mode), 0
        call = (F.conv1d, F.conv2d, F.conv3d)[self.rank - 1]
        return call(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class Conv1d(_Conv):
    """The convolution of sequences: (N, C, L) or (C, L) -> (N, O, L'). See Conv2d."""

    rank = 1


class Conv2d(_Conv):
    """out[o] = bias[o] + sum over c of weight[o, c] * input[c], a cross-correlation (LeCun et al. 1989).

    input (N, C, H, W) or (C, H, W) -> (N, O, H', W') with C = in_channels, O = out_channels and
    H' = (H + 2 padding - dilation (kernel_size - 1) - 1) // stride + 1.
    weight (O, C / groups, kh, kw) and bias (O,) are uniform in +-1 / sqrt(C / groups kh kw) at the start.
    kernel_size, stride, padding, dilation: an int or one for each dimension; padding also "same" or "valid".
    groups: the channels are cut into so many groups, each with its share of the outputs.
    padding_mode: "zeros", or "reflect", "replicate", "circular" as in F.pad.

    Raises:
        ArgumentError: groups that do not divide the channels, a stride below 1, "same" with a stride, an unknown mode.
        ShapeError: an input of another number of channels or dimensions, or smaller than the kernel.

    Example:
        >>> import tensorlite as tl
        >>> tl.nn.Conv2d(3, 8, kernel_size=3, stride=2, padding=1)(tl.ones(5, 3, 32, 32)).shape
        (5, 8, 16, 16)
    """

    rank = 2


class Conv3d(_Conv):
    """The convolution of volumes: (N, C, D, H, W) or (C, D, H, W) -> (N, O, D', H', W'). See Conv2d."""

    rank = 3


class _ConvTranspose(_ConvBase):
    transposed = True

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, output_padding=0, groups=1, bias=True,
                 dilation=1, padding_mode="zeros", device=None, dtype=None):  # fmt: skip
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, output_padding, groups, bias,
                         padding_mode, device, dtype)  # fmt: skip

    def forward(self, input, output_size=None):
        more = self.output_padding if output_size is None else self._missing(input, output_size)
        call = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[self.rank - 1]
        return call(input, self.weight, self.bias, self.stride, self.padding, more, self.groups, self.dilation)

    def _missing(self, input, output_size):
        """The output_padding that leads to output_size."""
        name, given = type(self).__name__, tuple(output_size)
        size = given[-self.rank :]
        if len(given) not in (self.rank, input.ndim):
            raise errors.ShapeError(
                f"{name}: output_size must have {self.rank} numbers (or {input.ndim}, with batch and channels), got {given}"
            )
        least = [
            (n - 1) * s - 2 * p + d * (k - 1) + 1
            for n, s, p, d, k in zip(
                input.shape[-self.rank :], self.stride, self.padding, self.dilation, self.kernel_size, strict=True
            )
        ]
        most = [m + s - 1 for m, s in zip(least, self.stride, strict=True)]
        if any(not a <= n <= b for a, n, b in zip(least, size, most, strict=True)):
            table = errors.argument_table(("input",), (input,))
            fault = f"output_size {times(size)} is out of reach: it must be {times(least)} to {times(most)}"
            raise errors.ShapeError(errors.compose(name, fault, table, path()))
        return tuple(n - m for n, m in zip(size, least, strict=True))


class ConvTranspose1d(_ConvTranspose):
    """The transpose of Conv1d: (N, C, L) or (C, L) -> (N, O, L'). See ConvTranspose2d."""

    rank = 1


class ConvTranspose2d(_ConvTranspose):
    """The transpose of Conv2d (its gradient for the input), which makes images larger (Zeiler et al. 2010).

    input (N, C, H, W) or (C, H, W) -> (N, O, H', W') with C = in_channels, O = out_channels and
    H' = (H - 1) stride - 2 padding + dilation (kernel_size - 1) + output_padding + 1.
    weight (C, O / groups, kh, kw) and bias (O,) are uniform in +-1 / sqrt(O / groups kh kw) at the start.
    forward(input, output_size): the size wanted, of the `stride` many that are possible, in the place of output_padding.

    Raises:
        ArgumentError: as Conv2d. ShapeError: as Conv2d; an output_size out of reach.

    Example:
        >>> import tensorlite as tl
        >>> up = tl.nn.ConvTranspose2d(8, 3, kernel_size=3, stride=2, padding=1)
        >>> up(tl.ones(5, 8, 16, 16)).shape, up(tl.ones(5, 8, 16, 16), output_size=(32, 32)).shape
        ((5, 3, 31, 31), (5, 3, 32, 32))
    """

    rank = 2


class ConvTranspose3d(_ConvTranspose):
    """The transpose of Conv3d: (N, C, D, H, W) or (C, D, H, W) -> (N, O, D', H', W'). See ConvTranspose2d."""

    rank = 3
