"""Losses. The fused cross-entropy is in ops/loss.py."""

from tensorlite import errors
from tensorlite.ops.loss import cross_entropy
from tensorlite.tensor import Tensor

__all__ = ["cross_entropy", "mse_loss", "nll_loss"]


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
