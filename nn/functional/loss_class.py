"""Losses of scores against classes: one class of many (negative log-likelihood, margins), and yes or no (binary
cross-entropy, hinges). The fused cross-entropy is in ops/loss.py."""

from tensorlite import errors
from tensorlite.creation import arange
from tensorlite.nn.functional.activation import logsigmoid
from tensorlite.nn.functional.loss import alike, reduced, tensors
from tensorlite.ops.functions import logaddexp
from tensorlite.ops.loss import chosen, cross_entropy
from tensorlite.ops.select import where
from tensorlite.tensor import Tensor, here

__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "cross_entropy", "hinge_embedding_loss",
    "margin_ranking_loss", "multi_margin_loss", "multilabel_margin_loss", "multilabel_soft_margin_loss", "nll_loss",
    "soft_margin_loss",
]  # fmt: skip


def _shapes(name, fault, **given):
    table = errors.argument_table(tuple(given), tuple(given.values()))
    return errors.ShapeError(here(f"{name}: {fault}: {table}"))


def _classes(name, target, ignore=None, classes=0):
    """Refuse class numbers that are no integers or outside 0..classes - 1."""
    if target.dtype.is_floating_point or target.dtype.category == 0:
        raise errors.DTypeError(here(f"{name}: target must hold integer classes, got {errors.describe(target)}"))
    wrong = (target < 0) | (target >= classes)
    wrong = wrong if ignore is None else wrong & (target != ignore)
    if bool(wrong.any()):
        worst = target[wrong].reshape(-1)[0].item()
        raise errors.IndexRangeError(here(f"{name}: target class {worst} is out of range for {classes} classes"))


# ---------------------------------------------------------------- one class of many
def nll_loss(input, target, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean") -> Tensor:
    """-input[target] for log-probabilities input (N, C), (C,) or (N, C, d1, ...) and classes target.

    weight and ignore_index as in cross_entropy: "mean" divides by the sum of the weights used; where all are ignored it is nan,
    with gradient 0.

    Raises:
        ShapeError, DTypeError: arguments that do not go together. IndexRangeError: a class outside 0..C-1.
    """
    reduction = chosen("nll_loss", size_average, reduce, reduction)
    input, target = tensors("nll_loss", input=input, target=target)
    shape = tuple(input.shape)
    classes = shape[1 if len(shape) > 1 else 0] if shape else 0
    wanted = shape[:1] + shape[2:] if len(shape) > 1 else ()
    if not shape or tuple(target.shape) != wanted:
        fault = f"for log-probabilities {shape} the target must have shape {wanted}"
        raise _shapes("nll_loss", fault, input=input, target=target)
    if weight is not None and tuple(weight.shape) != (classes,):
        raise _shapes("nll_loss", f"weight must have one factor for each of the {classes} classes", weight=weight)
    _classes("nll_loss", target, ignore_index, classes)
    if input.ndim == 1:  # one sample: (C,) and ()
        args = {"ignore_index": ignore_index, "reduction": reduction}
        loss = nll_loss(input.unsqueeze(0), target.unsqueeze(0), weight, **args)
        return loss.squeeze(0) if reduction == "none" else loss
    valid = target != ignore_index
    picks = target.masked_fill(~valid, 0)
    w = valid.to(input.dtype) if weight is None else weight[picks] * valid
    loss = where(valid, -input.gather(1, picks.unsqueeze(1)).squeeze(1), 0.0) * w
    if reduction != "mean":
        return reduced(loss, reduction)
    total = w.sum()
    none = total == 0
    return loss.sum() / total.masked_fill(none, 1.0) + (total.detach() * 0).masked_fill(none, float("nan"))


def multi_margin_loss(
    input, target, p=1, margin=1.0, weight=None, size_average=None, reduce=None, reduction="mean"
) -> Tensor:
    """sum over classes i != y of max(0, margin - x[y] + x[i])^p / C, for x (N, C) or (C,) and classes y: a support vector
    machine (Weston and Watkins 1999). weight (C,): a factor by the class y.

    Raises:
        ArgumentError: p is not 1 or 2. ShapeError, DTypeError, IndexRangeError: arguments that do not go together.
    """
    name = "multi_margin_loss"
    reduction = chosen(name, size_average, reduce, reduction)
    input, target = tensors(name, input=input, target=target)
    if p not in (1, 2):
        raise errors.ArgumentError(here(f"{name}: p must be 1 or 2, not {p}"))
    if input.ndim not in (1, 2) or tuple(target.shape) not in ((tuple(input.shape[:-1])), (1,) * (input.ndim == 1)):
        raise _shapes(name, "input must be (N, C) and target (N,), or (C,) and ()", input=input, target=target)
    classes = input.shape[-1]
    if weight is not None and tuple(weight.shape) != (classes,):
        raise _shapes(name, f"weight must have one factor for each of the {classes} classes", weight=weight)
    _classes(name, target, None, classes)
    x, y = (input, target) if input.ndim == 2 else (input.unsqueeze(0), target.reshape(1))
    z = (margin - x.gather(1, y.unsqueeze(1)) + x).relu()
    z = z if p == 1 else z * z
    others = arange(classes, device=x.device) != y.unsqueeze(1)
    loss = where(others, z, 0.0).sum(1) / classes
    loss = loss if weight is None else loss * weight[y]
    return reduced(loss.squeeze(0) if target.ndim == 0 else loss, reduction)


def multilabel_margin_loss(input, target, size_average=None, reduce=None, reduction="mean") -> Tensor:
    """sum over labels j and other classes i of max(0, 1 - (x[j] - x[i])) / C, for x (N, C) or (C,).

    target: of the same shape, class numbers up to the first -1, whatever follows.

    Raises:
        ShapeError, DTypeError, IndexRangeError: arguments that do not go together.
    """
    name = "multilabel_margin_loss"
    reduction = chosen(name, size_average, reduce, reduction)
    input, target = tensors(name, input=input, target=target)
    alike(name, input, target)
    if input.ndim > 2:
        raise _shapes(name, "input must be (N, C) or (C,)", input=input)
    x = input.reshape(1, -1) if input.ndim < 2 else input
    y = target.reshape(x.shape)
    used = (y >= 0).to(target.dtype).cumprod(1) == 1
    _classes(name, where(used, y, 0), None, max(x.shape[1], 1))
    picks = where(used, y, 0)
    label = (x.detach() * 0).scatter_add(1, picks, used.to(x.dtype)) > 0  # (N, C)
    z = (1 - x.gather(1, picks).unsqueeze(2) + x.unsqueeze(1)).relu()  # (N, labels, C)
    loss = where(used.unsqueeze(2) & ~label.unsqueeze(1), z, 0.0).sum((1, 2)) / x.shape[1]
    return reduced(loss.squeeze(0) if input.ndim < 2 else loss, reduction)


# ---------------------------------------------------------------- yes or no
def binary_cross_entropy(input, target, weight=None, size_average=None, reduce=None, reduction="mean") -> Tensor:
    """-(target ln input + (1 - target) ln(1 - input)) for probabilities input; the logarithms are at least -100.

    Where input is within 1e-12 of 0 or 1, the slope is held to (input - target) 1e12, as in PyTorch. From logits
    binary_cross_entropy_with_logits is exact.

    Raises:
        ShapeError: the shapes differ. ArgumentError: input outside 0..1.
    """
    name = "binary_cross_entropy"
    reduction = chosen(name, size_average, reduce, reduction)
    input, target = tensors(name, input=input, target=target)
    alike(name, input, target)
    if not target.dtype.is_floating_point:
        text = f"{name}: target must be floating point, got {errors.describe(target)}; use target.float()"
        raise errors.DTypeError(here(text))
    x = input.detach()
    if bool(((x < 0) | (x > 1)).any()):
        text = "input must lie in 0..1: use sigmoid before, or binary_cross_entropy_with_logits"
        raise errors.ArgumentError(here(f"{name}: {text}"))
    edge = x * (1 - x) < 1e-12
    inner = input.masked_fill(edge, 0.5)
    low, high = (v.log().clamp(min=-100) for v in (x, 1 - x))
    yes, no = where(edge, low, inner.log()), where(edge, high, (1 - inner).log())
    loss = -(target * yes + (1 - target) * no)
    slope = where(edge, (x - target.detach()) * 1e12, 0.0)  # a straight line through the value
    loss = loss + slope * (input - x)
    return reduced(loss if weight is None else loss * weight, reduction)


def binary_cross_entropy_with_logits(
    input, target, weight=None, size_average=None, reduce=None, reduction="mean", pos_weight=None
) -> Tensor:
    """-(pos_weight target ln sigmoid(input) + (1 - target) ln(1 - sigmoid(input))), without overflow.

    weight, pos_weight: broadcast to input; pos_weight counts the positive examples more.

    Raises:
        ShapeError: the shapes differ.
    """
    name = "binary_cross_entropy_with_logits"
    reduction = chosen(name, size_average, reduce, reduction)
    input, target = tensors(name, input=input, target=target)
    alike(name, input, target)
    yes = logaddexp(-input, input * 0)  # -ln sigmoid(input)
    loss = (1 - target) * input + (yes if pos_weight is None else ((pos_weight - 1) * target + 1) * yes)
    return reduced(loss if weight is None else loss * weight, reduction)


def multilabel_soft_margin_loss(input, target, weight=None, size_average=None, reduce=None, reduction="mean") -> Tensor:
    """Binary cross-entropy of logits (N, C), averaged over the classes; weight (C,).

    Raises:
        ShapeError: the shapes differ.
    """
    name = "multilabel_soft_margin_loss"
    reduction = chosen(name, size_average, reduce, reduction)
    input, target = tensors(name, input=input, target=target)
    alike(name, input, target)
    loss = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    loss = loss if weight is None else loss * weight
    return reduced(loss.mean(-1), reduction)


def soft_margin_loss(input, target, size_average=None, reduce=None, reduction="mean") -> Tensor:
    """ln(1 + e^(-target input)) for targets 1 and -1, without overflow."""
    reduction = chosen("soft_margin_loss", size_average, reduce, reduction)
    input, target = tensors("soft_margin_loss", input=input, target=target)
    z = -target * input
    return reduced(logaddexp(z, 0.0), reduction)


def hinge_embedding_loss(input, target, margin=1.0, size_average=None, reduce=None, reduction="mean") -> Tensor:
    """input where target is 1, max(0, margin - input) where it is -1; input is a distance."""
    reduction = chosen("hinge_embedding_loss", size_average, reduce, reduction)
    input, target = tensors("hinge_embedding_loss", input=input, target=target)
    apart = where(target != 1, (margin - input).clamp(min=0), 0.0)
    return reduced(apart + where(target != -1, input, 0.0), reduction)


def margin_ranking_loss(input1, input2, target, margin=0, size_average=None, reduce=None, reduction="mean") -> Tensor:
    """max(0, -target (input1 - input2) + margin): target 1 wants input1 larger, -1 input2.

    Raises:
        ShapeError: different numbers of dimensions.
    """
    reduction = chosen("margin_ranking_loss", size_average, reduce, reduction)
    input1, input2, target = tensors("margin_ranking_loss", input1=input1, input2=input2, target=target)
    if not input1.ndim == input2.ndim == target.ndim:
        fault = "input1, input2 and target must have the same number of dimensions"
        raise _shapes("margin_ranking_loss", fault, input1=input1, input2=input2, target=target)
    return reduced((-target * (input1 - input2) + margin).clamp(min=0), reduction)
