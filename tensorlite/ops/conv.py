"""Convolutions of 1, 2 and 3 dimensions, their transposes, and F.unfold / F.fold, which show the windows themselves.

A convolution is bilinear, and its three products are each other's derivatives: Conv, ConvTranspose (the gradient of x) and
ConvWeight (the gradient of weight). So no further rule is needed, at any order. The kernels stand in backend/windows.py:
each is a copy of the windows as a matrix (im2col) and one matrix product.
"""

from tensorlite import errors
from tensorlite.op import Op
from tensorlite.tensor import Tensor, here, mode, path

__all__ = [
    "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
]  # fmt: skip


def _bias(m, g):
    return m.sum(g, dim=(0, *range(2, len(g.shape))), keepdim=False)


def _with(b, y, bias):
    if bias is None:
        return y
    out = y if y.flags.c_contiguous else b.xp.empty(y.shape, dtype=y.dtype)
    return b.xp.add(y, bias.reshape(-1, *[1] * (y.ndim - 2)), out=out)


class Conv(Op):
    """x (N, C, *size), weight (O, C / groups, *kernel) -> (N, O, *out).

    out[n, o, place] = sum over c, k of weight[o, c, k] x[n, c, place * stride + k * dilation - low] + bias[o].
    `low`: the zeros in front of each dimension; `count`: the windows along it.
    """

    name, formula = "conv", "windows of x @ w + b"
    local = ("conv_transpose with w", "conv_weight with x", "1, summed over all places")
    extras = ("size", "kernel")
    ordered = True

    def forward(b, x, weight, bias, *, stride, low, dilation, groups, count):
        y = b.conv(x, weight, stride, low, dilation, groups, count)
        return _with(b, y, bias), (x.shape[2:], weight.shape[2:])

    rules = (
        lambda m, g, weight, stride, low, dilation, groups, size: m.conv_transpose(
            g, weight, None, stride=stride, low=low, dilation=dilation, groups=groups, size=size
        ),
        lambda m, g, x, stride, low, dilation, groups, kernel: m.conv_weight(
            x, g, stride=stride, low=low, dilation=dilation, groups=groups, kernel=kernel
        ),
        _bias,
    )


class ConvTranspose(Op):
    """x (N, O, *out), weight (O, C / groups, *kernel) -> (N, C, *size): each element of x spreads the kernel at its place.

    out[n, c, place * stride + k * dilation - low] += weight[o, c, k] x[n, o, place]; + bias[c].
    """

    name, formula = "conv_transpose", "windows of out += w x; + b"
    local = ("conv with w", "conv_weight of g with x", "1, summed over all places")
    extras = ("count", "kernel")
    ordered = True

    def forward(b, x, weight, bias, *, stride, low, dilation, groups, size):
        y = b.conv_transpose(x, weight, stride, low, dilation, groups, size)
        return _with(b, y, bias), (x.shape[2:], weight.shape[2:])

    rules = (
        lambda m, g, weight, stride, low, dilation, groups, count: m.conv(
            g, weight, None, stride=stride, low=low, dilation=dilation, groups=groups, count=count
        ),
        lambda m, g, x, stride, low, dilation, groups, kernel: m.conv_weight(
            g, x, stride=stride, low=low, dilation=dilation, groups=groups, kernel=kernel
        ),
        _bias,
    )


class ConvWeight(Op):
    """x (N, C, *size), y (N, O, *out) -> (O, C / groups, *kernel).

    out[o, c, k] = sum over n, place of y[n, o, place] x[n, c, place * stride + k * dilation - low].
    """

    name, formula = "conv_weight", "y @ windows of x"
    local = ("conv_transpose of y with g", "conv of x with g")
    extras = ("size", "count")

    def forward(b, x, y, *, stride, low, dilation, groups, kernel):
        return b.conv_weight(x, y, stride, low, dilation, groups, kernel), (x.shape[2:], y.shape[2:])

    rules = (
        lambda m, g, y, stride, low, dilation, groups, size: m.conv_transpose(
            y, g, None, stride=stride, low=low, dilation=dilation, groups=groups, size=size
        ),
        lambda m, g, x, stride, low, dilation, groups, count: m.conv(
            x, g, None, stride=stride, low=low, dilation=dilation, groups=groups, count=count
        ),
    )


class Im2col(Op):
    """x (N, C, *size) -> (N, C * kernel, places): out[n, (c, k), place] = x[n, c, place * stride + k * dilation - low]."""

    name, formula, local = "im2col", "windows of x as columns", "col2im"
    extras = ("size",)

    def forward(b, x, *, kernel, stride, low, dilation, count):
        cols = b.im2col(x, kernel, stride, low, dilation, count)
        width, places = _product(x.shape[1], *kernel), _product(*count)
        return b.xp.array(cols, order="C").reshape(x.shape[0], width, places), (x.shape[2:],)

    rules = lambda m, g, kernel, stride, low, dilation, count, size: m.col2im(  # noqa: E731
        g, kernel=kernel, stride=stride, low=low, dilation=dilation, count=count, size=size
    )


class Col2im(Op):
    """x (N, C * kernel, places) -> (N, C, *size): overlapping windows are summed."""

    name, formula, local = "col2im", "columns of x summed as windows", "im2col"

    def forward(b, x, *, kernel, stride, low, dilation, count, size):
        cols = x.reshape(x.shape[0], x.shape[1] // _product(*kernel), *kernel, *count)
        return b.col2im(cols, size, kernel, stride, low, dilation)

    rules = lambda m, g, kernel, stride, low, dilation, count: m.im2col(  # noqa: E731
        g, kernel=kernel, stride=stride, low=low, dilation=dilation, count=count
    )


def _product(*numbers):
    n = 1
    for k in numbers:
        n *= k
    return n


# ---------------------------------------------------------------- arguments
AXES = {1: "L", 2: "H, W", 3: "D, H, W"}


def per_axis(name, what, value, rank, least=0) -> tuple:
    """An int, or one int for each spatial dimension, as a tuple. Raises ArgumentError below `least`."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    values = values * rank if len(values) == 1 else values
    if len(values) != rank or any(not hasattr(v, "__index__") or isinstance(v, bool) for v in values):
        raise errors.ArgumentError(f"{name}: {what} must be an int or {rank} ints, got {value!r}")
    values = tuple(v.__index__() for v in values)
    if any(v < least for v in values):
        raise errors.ArgumentError(f"{name}: {what} must be at least {least}, got {value!r}")
    return values


def whole(name, what, value, least=0) -> None:
    """Refuse what is no int of at least `least`. Raises ArgumentError."""
    if not hasattr(value, "__index__") or isinstance(value, bool) or value < least:
        raise errors.ArgumentError(f"{name}: {what} must be an int of at least {least}, got {value!r}")


def batched(name, x, rank):
    """(x with a batch dimension, whether it had one). Raises ShapeError for any other rank, DTypeError for no tensor."""
    if not isinstance(x, Tensor):
        raise errors.DTypeError(here(f"{name}: input must be a Tensor, not {type(x).__name__}"))
    if x.ndim not in (rank + 1, rank + 2):
        raise errors.ShapeError(
            errors.compose(
                name,
                f"input must be (N, C, {AXES[rank]}) or, of one sample, (C, {AXES[rank]}), got {errors.describe(x)}",
                "",
                path(),
            )
        )
    return (x, True) if x.ndim == rank + 2 else (x.unsqueeze(0), False)


def times(sizes) -> str:
    """Sizes as people write them: 3 x 3."""
    return " x ".join(map(str, sizes))


def places(name, input, kernel, stride, low, high, dilation):
    """How many windows fit into each spatial dimension. Raises ShapeError when not even one does."""
    spans = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    full = [n + p + q for n, p, q in zip(input.shape[-len(kernel) :], low, high, strict=True)]
    if any(s > n for s, n in zip(spans, full, strict=True)):
        spread = f", spread to {times(spans)} by dilation," if max(dilation) > 1 else ""
        padded = " after padding" if any(low) or any(high) else ""
        fault = f"the kernel {times(kernel)}{spread} is larger than the input{padded}: {times(full)}"
        raise errors.ShapeError(errors.compose(name, fault, errors.argument_table(("input",), (input,)), path()))
    return tuple((n - s) // t + 1 for n, s, t in zip(full, spans, stride, strict=True))


def _check(name, input, weight, bias, groups, rank, channels, features):
    """The faults that a convolution and its transpose share; channels and features: what weight and groups make of them."""
    inputs, given = (input, weight, bias), input.shape[-rank - 1]

    def fault(kind, text):
        table = errors.argument_table(("input", "weight", "bias"), [v for v in inputs if v is not None])
        return kind(errors.compose(name, text, table, path()))

    for what, v in zip(("input", "weight", "bias"), inputs, strict=True):
        if v is not None and not v.dtype.category:
            raise fault(errors.DTypeError, f"{what} must hold numbers, not bools; use x.float()")
        if v is not None and v.array.dtype != input.array.dtype and not mode.casts:
            text = f"input is {input.dtype.name}, {what} {v.dtype.name}; convert one, e.g. x.to(tl.{v.dtype.name})"
            raise fault(errors.DTypeError, text)
    if weight.shape[0] % groups:
        raise fault(errors.ShapeError, f"groups={groups} does not divide the {weight.shape[0]} channels of weight")
    if given != channels:
        apart = f" with groups={groups}" if groups > 1 else ""
        text = f"input has {given} channels, weight {tuple(weight.shape)}{apart} expects {channels}"
        raise fault(errors.ShapeError, text)
    if bias is not None and tuple(bias.shape) != (features,):
        raise fault(errors.ShapeError, f"bias must have shape ({features},), one number for each output channel")


def _common(name, rank, input, weight, bias, stride, dilation, groups):
    """The arguments that need no further thought: (input with batch, whether it had one, stride, dilation)."""
    for what, v in (("weight", weight), ("bias", bias)):
        if not isinstance(v, Tensor) and not (what == "bias" and v is None):
            raise errors.DTypeError(here(f"{name}: {what} must be a Tensor, not {type(v).__name__}"))
    x, many = batched(name, input, rank)
    if weight.ndim != rank + 2:
        order = "(in, out / groups" if "transpose" in name else "(out, in / groups"
        kernel = ", ".join(f"k{a}" for a in AXES[rank].split(", "))
        table = errors.argument_table(("input", "weight"), (input, weight))
        raise errors.ShapeError(errors.compose(name, f"weight must be {order}, {kernel})", table, path()))
    if 0 in weight.shape[2:]:
        raise errors.ShapeError(here(f"{name}: a kernel needs at least one element, got weight {tuple(weight.shape)}"))
    if not hasattr(groups, "__index__") or groups < 1:
        raise errors.ArgumentError(f"{name}: groups must be an int of at least 1, got {groups!r}")
    return x, many, per_axis(name, "stride", stride, rank, 1), per_axis(name, "dilation", dilation, rank, 1)


def _conv(name, rank, input, weight, bias, stride, padding, dilation, groups):
    x, many, stride, dilation = _common(name, rank, input, weight, bias, stride, dilation, groups)
    _check(name, input, weight, bias, groups, rank, weight.shape[1] * groups, weight.shape[0])
    kernel = tuple(weight.shape[2:])
    if padding == "same":
        if max(stride) > 1:
            raise errors.ArgumentError(
                f"{name}: padding='same' needs stride 1, got {times(stride)}; give the padding in numbers"
            )
        total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        low = tuple(t // 2 for t in total)  # an odd one goes behind, as in PyTorch
        high = tuple(t - p for t, p in zip(total, low, strict=True))
    elif isinstance(padding, str):
        if padding != "valid":
            raise errors.ArgumentError(f"{name}: padding must be ints, 'same' or 'valid', not {padding!r}")
        low = high = (0,) * rank
    else:
        low = high = per_axis(name, "padding", padding, rank)
    out = places(name, input, kernel, stride, low, high, dilation)
    y = Conv.apply(x, weight, bias, stride=stride, low=low, dilation=dilation, groups=int(groups), count=out)
    return y if many else y.squeeze(0)


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1) -> Tensor:
    """The convolution of sequences: input (N, C, L) or (C, L), weight (O, C / groups, k) -> (N, O, L'). See conv2d."""
    return _conv("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1) -> Tensor:
    """The convolution of images, as deep learning calls it (a cross-correlation: the kernel is not flipped).

    input (N, C, H, W) or (C, H, W), weight (O, C / groups, kh, kw), bias (O,) -> (N, O, H', W') with
    H' = (H + 2 padding - dilation (kh - 1) - 1) // stride + 1.
    stride, padding, dilation: an int or one for each dimension; padding also "valid" (none) or "same" (H' = H; stride 1).
    groups: the channels are cut into so many groups, each with its share of the O outputs (groups = C: depthwise).

    Raises:
        ShapeError: channels that weight does not expect, groups that do not divide, a kernel larger than the padded input.
        DTypeError: different dtypes, or bools. ArgumentError: a stride or dilation below 1, a negative padding.

    Example:
        >>> import tensorlite as tl
        >>> image = tl.arange(9.0).reshape(1, 1, 3, 3)
        >>> tl.conv2d(image, tl.ones(1, 1, 2, 2))
        tensor([[[[ 8., 12.],
                  [20., 24.]]]])
    """
    return _conv("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1) -> Tensor:
    """The convolution of volumes: input (N, C, D, H, W), weight (O, C / groups, kd, kh, kw). See conv2d."""
    return _conv("conv3d", 3, input, weight, bias, stride, padding, dilation, groups)


def _transpose(name, rank, input, weight, bias, stride, padding, output_padding, groups, dilation):
    x, many, stride, dilation = _common(name, rank, input, weight, bias, stride, dilation, groups)
    _check(name, input, weight, bias, groups, rank, weight.shape[0], weight.shape[1] * groups)
    low, more = per_axis(name, "padding", padding, rank), per_axis(name, "output_padding", output_padding, rank)
    if any(m >= max(s, d) for m, s, d in zip(more, stride, dilation, strict=True)):
        raise errors.ArgumentError(
            f"{name}: output_padding must be smaller than stride or dilation, got output_padding {times(more)}, "
            f"stride {times(stride)}, dilation {times(dilation)}"
        )
    size = tuple(
        (n - 1) * s - 2 * p + d * (k - 1) + m + 1
        for n, s, p, d, k, m in zip(x.shape[2:], stride, low, dilation, weight.shape[2:], more, strict=True)
    )
    if min(size) < 1 or 0 in x.shape[2:]:
        fault = f"nothing is left of the output: {times(size)}; use less padding or a larger input"
        table = errors.argument_table(("input", "weight"), (input, weight))
        raise errors.ShapeError(errors.compose(name, fault, table, path()))
    y = ConvTranspose.apply(x, weight, bias, stride=stride, low=low, dilation=dilation, groups=int(groups), size=size)
    return y if many else y.squeeze(0)


def conv_transpose1d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1) -> Tensor:
    """The transpose of conv1d: input (N, C, L), weight (C, O / groups, k). See conv_transpose2d."""
    return _transpose(
        "conv_transpose1d", 1, input, weight, bias, stride, padding, output_padding, groups, dilation
    )  # fmt: skip


def conv_transpose2d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1) -> Tensor:
    """The transpose of conv2d (its gradient for the input), which makes images larger (Zeiler et al. 2010).

    input (N, C, H, W) or (C, H, W), weight (C, O / groups, kh, kw), bias (O,) -> (N, O, H', W') with
    H' = (H - 1) stride - 2 padding + dilation (kh - 1) + output_padding + 1.

    Raises:
        ShapeError, DTypeError, ArgumentError: as conv2d; output_padding not smaller than stride or dilation.
    """
    return _transpose("conv_transpose2d", 2, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1) -> Tensor:
    """The transpose of conv3d: input (N, C, D, H, W), weight (C, O / groups, kd, kh, kw). See conv_transpose2d."""
    return _transpose("conv_transpose3d", 3, input, weight, bias, stride, padding, output_padding, groups, dilation)


# ---------------------------------------------------------------- F.unfold, F.fold
def unfold(input, kernel_size, dilation=1, padding=0, stride=1) -> Tensor:
    """The windows of images as columns (im2col): input (N, C, H, W) or (C, H, W) -> (N, C * kh * kw, places).

    This is nn.functional.unfold; tl.unfold is Tensor.unfold, the windows along one dimension.
    """
    x, many = batched("unfold", input, 2)
    kernel, dilation = (
        per_axis("unfold", "kernel_size", kernel_size, 2, 1),
        per_axis("unfold", "dilation", dilation, 2, 1),
    )
    low, stride = per_axis("unfold", "padding", padding, 2), per_axis("unfold", "stride", stride, 2, 1)
    out = places("unfold", input, kernel, stride, low, low, dilation)
    y = Im2col.apply(x, kernel=kernel, stride=stride, low=low, dilation=dilation, count=out)
    return y if many else y.squeeze(0)


def fold(input, output_size, kernel_size, dilation=1, padding=0, stride=1) -> Tensor:
    """Columns put back to images, summed where windows overlap: input (N, C * kh * kw, places) -> (N, C, *output_size).

    Raises:
        ShapeError: a number of channels that kh * kw does not divide, or of places other than output_size has windows.
    """
    if not isinstance(input, Tensor) or input.ndim not in (2, 3):
        raise errors.ShapeError(
            here(f"fold: input must be (N, C * kernel, places) or (C * kernel, places), got {errors.describe(input)}")
        )
    x = input if input.ndim == 3 else input.unsqueeze(0)
    size, kernel = (
        per_axis("fold", "output_size", output_size, 2, 1),
        per_axis("fold", "kernel_size", kernel_size, 2, 1),
    )
    low, stride = per_axis("fold", "padding", padding, 2), per_axis("fold", "stride", stride, 2, 1)
    dilation = per_axis("fold", "dilation", dilation, 2, 1)
    if x.shape[1] % (kernel[0] * kernel[1]):
        raise errors.ShapeError(
            here(
                f"fold: {x.shape[1]} channels are no multiple of the kernel {times(kernel)}: input {errors.describe(input)}"
            )
        )
    spans = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    out = tuple((n + 2 * p - s) // t + 1 for n, p, s, t in zip(size, low, spans, stride, strict=True))
    if min(out) < 1 or out[0] * out[1] != x.shape[2]:
        raise errors.ShapeError(
            here(
                f"fold: an output of {times(size)} has {times(out)} = {out[0] * out[1]} windows, "
                f"the input has {x.shape[2]}: {errors.describe(input)}"
            )
        )
    y = Col2im.apply(x, kernel=kernel, stride=stride, low=low, dilation=dilation, count=out, size=size)
    return y if input.ndim == 3 else y.squeeze(0)
