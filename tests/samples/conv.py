"""Records of the convolutions, their transposes, and unfold / fold. The references add up one kernel offset after the other."""

import numpy as np

from samples.base import Case, Record, values
from tensorlite import errors
from tensorlite.op import registry


def tupled(value, rank):
    """An int, or one for each dimension, as a tuple."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * rank


def _seen(x, offset, out, stride, dilation):
    """The elements of the padded x that the windows see at one offset of the kernel."""
    return x[(..., *[slice(k * d, k * d + (n - 1) * s + 1, s)
                     for k, n, s, d in zip(offset, out, stride, dilation, strict=True)])]  # fmt: skip


def _padded(x, low, high):
    return np.pad(x, [(0, 0)] * (x.ndim - len(low)) + list(zip(low, high, strict=True)))


def _conv_ref(x, w, b=None, *, stride=1, padding=0, dilation=1, groups=1):
    rank, kernel = w.ndim - 2, w.shape[2:]
    if x.ndim == rank + 1:
        return _conv_ref(x[None], w, b, stride=stride, padding=padding, dilation=dilation, groups=groups)[0]
    s, d = tupled(stride, rank), tupled(dilation, rank)
    if padding == "same":
        low = [e * (k - 1) // 2 for e, k in zip(d, kernel, strict=True)]
        high = [e * (k - 1) - p for e, k, p in zip(d, kernel, low, strict=True)]
    else:
        low = high = tupled(0 if padding == "valid" else padding, rank)
    x = _padded(x, low, high)
    out = [(n - e * (k - 1) - 1) // t + 1 for n, e, k, t in zip(x.shape[2:], d, kernel, s, strict=True)]
    c, o = w.shape[1], w.shape[0] // groups
    y = np.zeros((x.shape[0], w.shape[0], *out))
    for offset in np.ndindex(*kernel):
        part = _seen(x, offset, out, s, d)
        for g in range(groups):
            y[:, g * o : (g + 1) * o] += np.einsum(
                "nc...,oc->no...", part[:, g * c : (g + 1) * c], w[(slice(g * o, (g + 1) * o), slice(None), *offset)]
            )
    return y if b is None else y + b.reshape(-1, *[1] * rank)


def _transpose_ref(x, w, b=None, *, stride=1, padding=0, output_padding=0, dilation=1, groups=1):
    rank, kernel = w.ndim - 2, w.shape[2:]
    if x.ndim == rank + 1:
        args = {"padding": padding, "output_padding": output_padding, "dilation": dilation, "groups": groups}
        return _transpose_ref(x[None], w, b, stride=stride, **args)[0]
    s, d, p, more = (tupled(v, rank) for v in (stride, dilation, padding, output_padding))
    sizes = zip(x.shape[2:], kernel, s, d, more, strict=True)
    y = np.zeros((x.shape[0], w.shape[1] * groups, *[(n - 1) * t + e * (k - 1) + 1 + m for n, k, t, e, m in sizes]))
    o, c = w.shape[1], w.shape[0] // groups
    for offset in np.ndindex(*kernel):
        view = _seen(y, offset, x.shape[2:], s, d)
        for g in range(groups):
            view[:, g * o : (g + 1) * o] += np.einsum(
                "nc...,co->no...", x[:, g * c : (g + 1) * c], w[(slice(g * c, (g + 1) * c), slice(None), *offset)]
            )
    y = y[(..., *[slice(q, n - q) for q, n in zip(p, y.shape[2:], strict=True)])]
    return y if b is None else y + b.reshape(-1, *[1] * rank)


def _weight_ref(x, y, *, kernel, stride, padding):
    x = _padded(x, [padding], [padding])
    out = np.zeros((y.shape[1], x.shape[1], kernel))
    for k in range(kernel):
        part = _seen(x, (k,), y.shape[2:], (stride,), (1,))
        out[:, :, k] = np.einsum("noj,ncj->oc", y, part)
    return out


def _weight_call(t, x, y, kernel, stride, padding):
    if t.__name__ == "torch":
        shape = (y.shape[1], x.shape[1], kernel)
        return t.nn.grad.conv1d_weight(x, shape, y, stride=stride, padding=padding)
    args = {"stride": (stride,), "low": (padding,), "dilation": (1,), "groups": 1, "kernel": (kernel,)}
    return registry["conv_weight"].apply(x, y, **args)


def _unfold_ref(x, *, kernel_size, dilation=1, padding=0, stride=1):
    if x.ndim == 3:
        return _unfold_ref(x[None], kernel_size=kernel_size, dilation=dilation, padding=padding, stride=stride)[0]
    kernel, d, p, s = (tupled(v, 2) for v in (kernel_size, dilation, padding, stride))
    x = _padded(x, p, p)
    out = [(n - e * (k - 1) - 1) // t + 1 for n, e, k, t in zip(x.shape[2:], d, kernel, s, strict=True)]
    cols = np.stack([_seen(x, offset, out, s, d) for offset in np.ndindex(*kernel)], 2)
    return cols.reshape(x.shape[0], x.shape[1] * kernel[0] * kernel[1], out[0] * out[1])


def _fold_ref(x, *, output_size, kernel_size, dilation=1, padding=0, stride=1):
    """Each element goes where unfold takes it from: found by unfolding the numbers of the places."""
    if x.ndim == 2:
        return _fold_ref(x[None], output_size=output_size, kernel_size=kernel_size, dilation=dilation, padding=padding,
                         stride=stride)[0]  # fmt: skip
    kernel, (h, w) = tupled(kernel_size, 2), tupled(output_size, 2)
    c = x.shape[1] // (kernel[0] * kernel[1])
    numbers = 1.0 + np.arange(c * h * w).reshape(1, c, h, w)
    to = _unfold_ref(numbers, kernel_size=kernel, dilation=dilation, padding=padding, stride=stride)[0].astype(int)
    y = np.zeros((x.shape[0], c * h * w + 1))
    for n in range(x.shape[0]):
        np.add.at(y[n], to, x[n])
    return y[:, 1:].reshape(len(x), c, h, w)


# ---------------------------------------------------------------- cases
def _conv_cases(rank):
    def cases(rng):
        v = lambda *s: values(rng, s)  # noqa: E731
        size, k = (5, 4, 3)[:rank] if rank > 1 else (6,), (2, 3, 2)[:rank]
        ones = (1,) * rank
        full = lambda n, c, o, g=1: (v(n, c, *size), v(o, c // g, *k), v(o))  # noqa: E731
        step = (2, 1, 2)[:rank]
        made = [
            Case(full(2, 2, 3)[:2]),
            Case(full(1, 1, 2), {"stride": 2, "padding": 1}),
            Case(full(2, 2, 2, 2), {"groups": 2, "padding": (1, 0, 1)[:rank], "stride": step}),
            Case((v(2, *size), v(1, 2, *k), v(1)), {"dilation": 2, "padding": 1}),
            Case((v(1, 2, *size), v(3, 2, *ones), v(3))),
            Case(full(1, 1, 1), {"padding": "same"}),
            Case((v(0, 2, *size), v(1, 2, *k), v(1))),
        ]
        if rank == 2:
            made += [
                Case((v(2, 3, 4, 4), v(6, 1, 2, 2), v(6)), {"groups": 3}, "depthwise"),
                Case(full(1, 1, 1)[:2], {"padding": "valid", "stride": (3, 2)}),
                Case((v(1, 1, 4, 5), v(1, 1, 2, 3)), {"padding": "same", "dilation": (1, 2)}),
                Case((v(2, 2, 4, 4), v(2, 2, 1, 1)), {"stride": 2}),
                Case((v(1, 1, 2, 130), v(1, 1, 3, 3)), {"padding": 1}, "many places"),
            ]
        return made

    return cases


def _transpose_cases(rank):
    def cases(rng):
        v = lambda *s: values(rng, s)  # noqa: E731
        size, k = (3, 2, 2)[:rank], (3, 2, 2)[:rank]
        return [
            Case((v(2, 2, *size), v(2, 1, *k))),
            Case((v(1, 1, *size), v(1, 2, *k), v(2)), {"stride": 2, "padding": 1, "output_padding": 1}),
            Case((v(2, 2, *size), v(2, 1, *k), v(2)), {"groups": 2, "stride": (2, 1, 2)[:rank]}),
            Case((v(2, *size), v(2, 1, *k), v(1)), {"dilation": 2}),
            Case((v(1, 1, *size), v(1, 1, *k)), {"dilation": 2, "output_padding": 1}),
            Case((v(1, 2, *size), v(2, 3, *[1] * rank), v(3))),
            Case((v(0, 2, *size), v(2, 1, *k))),
        ]

    return cases


def _unfold_cases(rng):
    v = lambda *s: values(rng, s)  # noqa: E731
    return [
        Case((v(2, 2, 3, 4),), {"kernel_size": 2}), Case((v(1, 1, 4, 5),), {"kernel_size": (2, 3), "padding": 1, "stride": 2}),
        Case((v(2, 5, 4),), {"kernel_size": 2, "dilation": (2, 1), "padding": (1, 0)}), Case((v(2, 3, 2, 2),), {"kernel_size": 1}),
        Case((v(0, 2, 3, 3),), {"kernel_size": 2}),
    ]  # fmt: skip


def _fold_cases(rng):
    v = lambda *s: values(rng, s)  # noqa: E731
    return [
        Case((v(2, 8, 6),), {"output_size": (3, 4), "kernel_size": 2}),
        Case((v(1, 6, 9),), {"output_size": (4, 5), "kernel_size": (2, 3), "padding": 1, "stride": 2}),
        Case((v(4, 20),), {"output_size": (5, 5), "kernel_size": 2, "dilation": (2, 1), "padding": (1, 0)}),
        Case((v(1, 2, 4),), {"output_size": 3, "kernel_size": 1, "stride": 2}),
        Case((v(0, 4, 4),), {"output_size": 3, "kernel_size": 2}),
    ]


def _conv(name):
    return lambda t, *xs, **kw: getattr(t, name)(*xs, **kw)


def _functional(name):
    return lambda t, *xs, **kw: getattr(t.nn.functional, name)(*xs, **kw)


# ---------------------------------------------------------------- errors
_image = lambda t, *s: t.ones(*(s or (1, 3, 8, 8)))  # noqa: E731
_conv_errors = (
    (lambda t: t.conv2d(_image(t), t.ones(4, 5, 3, 3)), errors.ShapeError,
     "conv2d: input has 3 channels, weight (4, 5, 3, 3) expects 5: input float32 (1, 3, 8, 8), weight float32 (4, 5, 3, 3)"),
    (lambda t: t.conv2d(_image(t), t.ones(4, 3, 3, 3), groups=2), errors.ShapeError,
     "conv2d: input has 3 channels, weight (4, 3, 3, 3) with groups=2 expects 6"),
    (lambda t: t.conv2d(_image(t, 1, 3, 8, 8), t.ones(4, 1, 3, 3), groups=3), errors.ShapeError,
     "conv2d: groups=3 does not divide the 4 channels of weight"),
    (lambda t: t.conv2d(_image(t, 1, 3, 2, 8), t.ones(4, 3, 3, 3)), errors.ShapeError,
     "conv2d: the kernel 3 x 3 is larger than the input: 2 x 8: input float32 (1, 3, 2, 8)"),
    (lambda t: t.conv2d(_image(t, 1, 3, 4, 8), t.ones(4, 3, 3, 3), padding=1, dilation=3), errors.ShapeError,
     "conv2d: the kernel 3 x 3, spread to 7 x 7 by dilation, is larger than the input after padding: 6 x 10"),
    (lambda t: t.conv2d(t.ones(8, 8), t.ones(4, 3, 3, 3)), errors.ShapeError,
     "conv2d: input must be (N, C, H, W) or, of one sample, (C, H, W), got float32 (8, 8)"),
    (lambda t: t.conv2d(_image(t), t.ones(4, 3, 3)), errors.ShapeError,
     "conv2d: weight must be (out, in / groups, kH, kW): input float32 (1, 3, 8, 8), weight float32 (4, 3, 3)"),
    (lambda t: t.conv2d(_image(t), t.ones(4, 3, 3, 3), t.ones(3)), errors.ShapeError,
     "conv2d: bias must have shape (4,), one number for each output channel"),
    (lambda t: t.conv2d(_image(t), t.ones(4, 3, 3, 3).double()), errors.DTypeError,
     "conv2d: input is float32, weight float64; convert one, e.g. x.to(tl.float64): input float32 (1, 3, 8, 8), weight"),
    (lambda t: t.conv2d(_image(t) > 0, t.ones(4, 3, 3, 3)), errors.DTypeError,
     "conv2d: input must hold numbers, not bools; use x.float()"),
    (lambda t: t.conv2d(_image(t).long(), t.ones(4, 3, 3, 3)), errors.DTypeError,
     "conv2d: input is int64, weight float32; convert one, e.g. x.to(tl.float32)"),
    (lambda t: t.conv2d(_image(t), t.ones(4, 3, 3, 3), stride=0), errors.ArgumentError, "conv2d: stride must be at least 1, got 0"),
    (lambda t: t.conv2d(_image(t), t.ones(4, 3, 3, 3), stride=(1, 1, 1)), errors.ArgumentError,
     "conv2d: stride must be an int or 2 ints, got (1, 1, 1)"),
    (lambda t: t.conv2d(_image(t), t.ones(4, 3, 3, 3), padding=-1), errors.ArgumentError, "conv2d: padding must be at least 0, got -1"),
    (lambda t: t.conv2d(_image(t), t.ones(4, 3, 3, 3), padding="full"), errors.ArgumentError,
     "conv2d: padding must be ints, 'same' or 'valid', not 'full'"),
    (lambda t: t.conv2d(_image(t), t.ones(4, 3, 3, 3), padding="same", stride=2), errors.ArgumentError,
     "conv2d: padding='same' needs stride 1, got 2 x 2; give the padding in numbers"),
    (lambda t: t.conv2d(_image(t), t.ones(4, 3, 3, 3), groups=0), errors.ArgumentError,
     "conv2d: groups must be an int of at least 1, got 0"),
    (lambda t: t.conv2d(_image(t), [1.0]), errors.DTypeError, "conv2d: weight must be a Tensor, not list"),
    (lambda t: t.conv2d([1.0], t.ones(4, 3, 3, 3)), errors.DTypeError, "conv2d: input must be a Tensor, not list"),
)  # fmt: skip
_transpose_errors = (
    (lambda t: t.conv_transpose2d(_image(t), t.ones(5, 4, 3, 3)), errors.ShapeError,
     "conv_transpose2d: input has 3 channels, weight (5, 4, 3, 3) expects 5"),
    (lambda t: t.conv_transpose2d(_image(t), t.ones(3, 4, 3)), errors.ShapeError,
     "conv_transpose2d: weight must be (in, out / groups, kH, kW)"),
    (lambda t: t.conv_transpose2d(_image(t), t.ones(3, 4, 3, 3), output_padding=1), errors.ArgumentError,
     "conv_transpose2d: output_padding must be smaller than stride or dilation, got output_padding 1 x 1, stride 1 x 1"),
    (lambda t: t.conv_transpose2d(_image(t, 1, 3, 2, 2), t.ones(3, 4, 3, 3), padding=3), errors.ShapeError,
     "conv_transpose2d: nothing is left of the output: -2 x -2; use less padding or a larger input"),
)  # fmt: skip
_unfold_errors = (
    (lambda t: t.nn.functional.unfold(_image(t, 2, 3), 2), errors.ShapeError,
     "unfold: input must be (N, C, H, W) or, of one sample, (C, H, W), got float32 (2, 3)"),
    (lambda t: t.nn.functional.unfold(_image(t), 9), errors.ShapeError, "unfold: the kernel 9 x 9 is larger than the input: 8 x 8"),
    (lambda t: t.nn.functional.unfold(_image(t), 0), errors.ArgumentError, "unfold: kernel_size must be at least 1, got 0"),
)  # fmt: skip
_fold_errors = (
    (lambda t: t.nn.functional.fold(t.ones(1, 7, 4), 3, 2), errors.ShapeError, "fold: 7 channels are no multiple of the kernel 2 x 2"),
    (lambda t: t.nn.functional.fold(t.ones(1, 8, 5), 3, 2), errors.ShapeError,
     "fold: an output of 3 x 3 has 2 x 2 = 4 windows, the input has 5: float32 (1, 8, 5)"),
    (lambda t: t.nn.functional.fold(t.ones(4), 3, 2), errors.ShapeError, "fold: input must be (N, C * kernel, places)"),
)  # fmt: skip

_half = {"low_precision": 8.0}  # sums of up to 27 products
RECORDS = [
    *[Record("conv", _conv(f"conv{r}d"), _conv_ref, _conv_cases(r), name=f"conv{r}d", ints=True,
             errors=_conv_errors if r == 2 else (), **_half) for r in (1, 2, 3)],
    *[Record("conv_transpose", _conv(f"conv_transpose{r}d"), _transpose_ref, _transpose_cases(r), name=f"conv_transpose{r}d", ints=True,
             errors=_transpose_errors if r == 2 else (), **_half) for r in (1, 2, 3)],
    Record("conv_weight", _weight_call, _weight_ref, lambda rng: [
        Case((values(rng, (2, 2, 5)), values(rng, (2, 3, n))), {"kernel": 3, "stride": s, "padding": p})
        for n, s, p in ((3, 1, 0), (3, 2, 1))], **_half),
    Record("im2col", _functional("unfold"), _unfold_ref, _unfold_cases, errors=_unfold_errors),
    Record("col2im", _functional("fold"), _fold_ref, _fold_cases, errors=_fold_errors),
]  # fmt: skip
