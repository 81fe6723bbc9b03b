"""The functions behind the layers, under PyTorch's names: `import tensorlite.nn.functional as F`."""

from tensorlite import errors, methods, random
from tensorlite.creation import one_hot
from tensorlite.ops.attention import attention
from tensorlite.ops.conv import (
    conv1d,
    conv2d,
    conv3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
    fold,
    unfold,
)
from tensorlite.ops.functions import relu, sigmoid, tanh
from tensorlite.ops.fused import Dropout, gelu, layer_norm, linear, log_softmax, rms_norm, softmax
from tensorlite.ops.index import embedding
from tensorlite.ops.loss import cross_entropy
from tensorlite.ops.pad import pad
from tensorlite.ops.pool import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    lp_pool1d,
    lp_pool2d,
    lp_pool3d,
    max_pool1d,
    max_pool1d_with_indices,
    max_pool2d,
    max_pool2d_with_indices,
    max_pool3d,
    max_pool3d_with_indices,
    max_unpool1d,
    max_unpool2d,
    max_unpool3d,
)
from tensorlite.ops.resize import (
    channel_shuffle,
    interpolate,
    pixel_shuffle,
    pixel_unshuffle,
    upsample,
    upsample_bilinear,
    upsample_nearest,
)
from tensorlite.tensor import Tensor

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "channel_shuffle",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "cross_entropy",
    "dropout",
    "embedding",
    "fold",
    "gelu",
    "interpolate",
    "layer_norm",
    "linear",
    "log_softmax",
    "lp_pool1d",
    "lp_pool2d",
    "lp_pool3d",
    "max_pool1d",
    "max_pool1d_with_indices",
    "max_pool2d",
    "max_pool2d_with_indices",
    "max_pool3d",
    "max_pool3d_with_indices",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
    "mse_loss",
    "nll_loss",
    "one_hot",
    "pad",
    "pixel_shuffle",
    "pixel_unshuffle",
    "relu",
    "rms_norm",
    "scaled_dot_product_attention",
    "sigmoid",
    "silu",
    "softmax",
    "tanh",
    "unfold",
    "upsample",
    "upsample_bilinear",
    "upsample_nearest",
]


def dropout(input, p=0.5, training=True, inplace=False) -> Tensor:
    """In training each element becomes 0 with probability p, else x / (1 - p); otherwise the input itself.

    Srivastava et al. 2014. The mask depends on the seed only, not on the device.

    Raises:
        ArgumentError: p outside 0..1.
    """
    _check_p("dropout", p)
    if not training or p == 0:
        return input
    seed, offset = random.default().philox()
    if inplace:
        from tensorlite.inplace import update

        return update(input, "dropout_", lambda x: Dropout.apply(x, p=float(p), seed=seed, offset=offset))
    return Dropout.apply(input, p=float(p), seed=seed, offset=offset)


def _check_p(name, p):
    if not 0 <= p <= 1:
        raise errors.ArgumentError(f"{name}: the probability p must be in 0..1, not {p}")


def silu(input, inplace=False) -> Tensor:
    """x sigmoid(x) (Elfwing et al. 2017)."""
    return input * sigmoid(input)


def scaled_dot_product_attention(query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None,
                                 enable_gqa=False) -> Tensor:  # fmt: skip
    """softmax(scale query @ key.T + mask) @ value (Vaswani et al. 2017), without keeping the matrix of probabilities.

    query (..., L, E), key (..., S, E), value (..., S, F) -> (..., L, F); scale is 1 / sqrt(E) unless given.
    attn_mask, broadcast to (..., L, S): bool (True may attend) or float (added to the scores). is_causal: position i attends to
    0..i. enable_gqa: query has a multiple of the heads (dimension -3) of key and value.
    A row that may attend nowhere gives 0 and gradients of 0 (not nan).

    Raises:
        ShapeError: features or lengths that differ. ArgumentError: both attn_mask and is_causal.
    """
    _check_p("scaled_dot_product_attention", dropout_p)
    if enable_gqa and query.shape[-3] != key.shape[-3]:
        groups, rest = divmod(query.shape[-3], key.shape[-3])
        if rest:
            raise errors.ShapeError(
                f"scaled_dot_product_attention: {query.shape[-3]} query heads are no multiple of {key.shape[-3]} key heads"
            )
        key, value = (
            x.unsqueeze(-3).expand(*x.shape[:-2], groups, *x.shape[-2:]).flatten(-4, -3) for x in (key, value)
        )
    return attention(
        query, key, value, attn_mask, float(dropout_p), is_causal, scale, lambda: random.default().philox()
    )


def _reduce(name, loss, reduction):
    if reduction not in ("mean", "sum", "none"):
        raise errors.ArgumentError(f"{name}: reduction must be 'mean', 'sum' or 'none', not {reduction!r}")
    return loss if reduction == "none" else loss.mean() if reduction == "mean" else loss.sum()


def mse_loss(input, target, size_average=None, reduce=None, reduction="mean") -> Tensor:
    """(input - target)^2, averaged. Unlike PyTorch, unequal shapes are an error and not broadcast.

    Raises:
        ShapeError: the shapes differ; the message says which squeeze or unsqueeze was meant.
    """
    if input.shape != target.shape:
        a, b = tuple(input.shape), tuple(target.shape)
        hint = ""
        if len(a) == len(b) + 1 and 1 in a and a[: a.index(1)] + a[a.index(1) + 1 :] == b:
            hint = f": use input.squeeze({a.index(1)}) or target.unsqueeze({a.index(1)})"
        elif len(b) == len(a) + 1 and 1 in b and b[: b.index(1)] + b[b.index(1) + 1 :] == a:
            hint = f": use target.squeeze({b.index(1)}) or input.unsqueeze({b.index(1)})"
        raise errors.ShapeError(f"mse_loss: input {a} and target {b} must have the same shape{hint}")
    return _reduce("mse_loss", (input - target).square(), reduction)


def nll_loss(input, target, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean") -> Tensor:
    """-input[target] for log-probabilities input (N, C), (C,) or (N, C, d1, ...) and classes target.

    weight and ignore_index as in cross_entropy.
    """
    if input.ndim == 1:  # one sample: (C,) and ()
        args = {"ignore_index": ignore_index, "reduction": reduction}
        loss = nll_loss(input.unsqueeze(0), target.unsqueeze(0), weight, **args)
        return loss.squeeze(0) if reduction == "none" else loss
    valid = target != ignore_index
    picks = target.masked_fill(~valid, 0)
    w = valid.to(input.dtype) if weight is None else weight[picks] * valid
    loss = -input.gather(1, picks.unsqueeze(1)).squeeze(1) * w
    return loss.sum() / w.sum() if reduction == "mean" else _reduce("nll_loss", loss, reduction)


methods.speak(globals())  # a list in the place of a tensor is refused in words
