"""Losses of numbers against numbers: squares, absolute values, their mixtures, and negative log-likelihoods of distributions.
Classes are in loss_class.py, distances in distance.py, sequences in ctc.py."""

import math
import warnings

from tensorlite import errors
from tensorlite.ops.loss import chosen
from tensorlite.ops.select import where
from tensorlite.ops.special import xlogy
from tensorlite.tensor import Tensor, here, mode

__all__ = ["gaussian_nll_loss", "huber_loss", "kl_div", "l1_loss", "mse_loss", "poisson_nll_loss", "smooth_l1_loss"]


# ---------------------------------------------------------------- what all losses share
def reduced(loss, reduction):
    """The loss itself, its mean or its sum."""
    return loss if reduction == "none" else loss.mean() if reduction == "mean" else loss.sum()


def tensors(name, **given):
    """The given tensors, under autocast in the dtype of this loss. Refuses what is no Tensor, and integers in the first place."""
    for argument, x in given.items():
        if not isinstance(x, Tensor):
            raise errors.DTypeError(here(f"{name}: {argument} must be a Tensor, not {type(x).__name__}"))
    argument, x = next(iter(given.items()))
    if not x.dtype.is_floating_point:
        text = f"{name}: {argument} must be floating point, got {errors.describe(x)}; use {argument}.float()"
        raise errors.DTypeError(here(text))
    return mode.casts.to(name, *given.values()) if mode.now.casts else given.values()


def alike(name, input, target):
    """Refuse unequal shapes, with the squeeze or unsqueeze that was meant: broadcasting them would be a silent mistake."""
    a, b = tuple(input.shape), tuple(target.shape)
    if a == b:
        return
    hint = ""
    if len(a) == len(b) + 1 and 1 in a and a[: a.index(1)] + a[a.index(1) + 1 :] == b:
        hint = f": use input.squeeze({a.index(1)}) or target.unsqueeze({a.index(1)})"
    elif len(b) == len(a) + 1 and 1 in b and b[: b.index(1)] + b[b.index(1) + 1 :] == a:
        hint = f": use target.squeeze({b.index(1)}) or input.unsqueeze({b.index(1)})"
    raise errors.ShapeError(here(f"{name}: input {a} and target {b} must have the same shape{hint}"))


def _pair(name, input, target):
    input, target = tensors(name, input=input, target=target)
    alike(name, input, target)
    return input, target


def _weighted(name, loss, weight, reduction):
    """Each element times its weight; "mean" divides by the sum of the weights (huber_loss, as in PyTorch, by their number)."""
    if weight is None:
        return reduced(loss, reduction)
    if weight.shape != loss.shape:
        text = f"{name}: weight {tuple(weight.shape)} must have the shape of input, {tuple(loss.shape)}"
        raise errors.ShapeError(here(text))
    loss = loss * weight
    by_weight = reduction == "mean" and name != "huber_loss"
    return loss.sum() / weight.sum() if by_weight else reduced(loss, reduction)


# ---------------------------------------------------------------- squares and absolute values
def mse_loss(input, target, size_average=None, reduce=None, reduction="mean", weight=None) -> Tensor:
    """(input - target)^2, averaged. Unlike PyTorch, unequal shapes are an error and not broadcast.

    Raises:
        ShapeError: the shapes differ; the message says which squeeze or unsqueeze was meant.
    """
    reduction = chosen("mse_loss", size_average, reduce, reduction)
    input, target = _pair("mse_loss", input, target)
    return _weighted("mse_loss", (input - target).square(), weight, reduction)


def l1_loss(input, target, size_average=None, reduce=None, reduction="mean", weight=None) -> Tensor:
    """|input - target|, averaged; the slope at 0 is 0. Unequal shapes are an error as in mse_loss."""
    reduction = chosen("l1_loss", size_average, reduce, reduction)
    input, target = _pair("l1_loss", input, target)
    return _weighted("l1_loss", (input - target).abs(), weight, reduction)


def smooth_l1_loss(input, target, size_average=None, reduce=None, reduction="mean", beta=1.0) -> Tensor:
    """d^2 / (2 beta) where d = |input - target| < beta, else d - beta / 2 (Girshick 2015). beta 0 is l1_loss.

    Raises:
        ShapeError: the shapes differ. ArgumentError: beta below 0.
    """
    reduction = chosen("smooth_l1_loss", size_average, reduce, reduction)
    input, target = _pair("smooth_l1_loss", input, target)
    if beta < 0:
        raise errors.ArgumentError(here(f"smooth_l1_loss: beta must not be negative, got {beta}"))
    d = input - target
    loss = d.abs() if beta == 0 else where(d.abs() < beta, d * d * (0.5 / beta), d.abs() - 0.5 * beta)
    return reduced(loss, reduction)


def huber_loss(input, target, reduction="mean", delta=1.0, weight=None) -> Tensor:
    """d^2 / 2 where d = |input - target| < delta, else delta (d - delta / 2) (Huber 1964).

    Raises:
        ShapeError: the shapes differ. ArgumentError: delta is not positive.
    """
    reduction = chosen("huber_loss", None, None, reduction)
    input, target = _pair("huber_loss", input, target)
    if delta <= 0:
        raise errors.ArgumentError(here(f"huber_loss: delta must be positive, got {delta}"))
    d = input - target
    loss = where(d.abs() < delta, d * d * 0.5, (d.abs() - 0.5 * delta) * delta)
    return _weighted("huber_loss", loss, weight, reduction)


# ---------------------------------------------------------------- distributions
def kl_div(input, target, size_average=None, reduce=None, reduction="mean", log_target=False) -> Tensor:
    """target (ln target - input): how far probabilities target lie from log-probabilities input (Kullback and Leibler 1951).

    log_target: target holds log-probabilities too. "batchmean" divides the sum by the first dimension, which is the divergence
    of its definition; "mean" divides by all elements.
    """
    reduction = chosen("kl_div", size_average, reduce, reduction, ("mean", "batchmean", "sum", "none"))
    input, target = tensors("kl_div", input=input, target=target)
    if reduction == "mean":
        text = "kl_div: 'mean' divides by all elements; the divergence of its definition is reduction='batchmean'"
        warnings.warn(text, UserWarning, stacklevel=2)
    loss = target.exp() * (target - input) if log_target else xlogy(target, target) - target * input
    if reduction == "batchmean":
        return loss.sum() / input.shape[0] if input.ndim else loss
    return reduced(loss, reduction)


def poisson_nll_loss(
    input, target, log_input=True, full=False, size_average=None, eps=1e-8, reduce=None, reduction="mean"
) -> Tensor:
    """e^input - target input, the negative log-likelihood of counts target with rate e^input.

    log_input False: the rate is input, input - target ln(input + eps). full: with Stirling's approximation of ln target!
    (target ln target - target + ln(2 pi target) / 2) where target > 1.
    """
    reduction = chosen("poisson_nll_loss", size_average, reduce, reduction)
    input, target = tensors("poisson_nll_loss", input=input, target=target)
    loss = input.exp() - target * input if log_input else input - target * (input + eps).log()
    if full:
        low = target <= 1
        t = target.masked_fill(low, 1)
        stirling = t * t.log() - t + 0.5 * (2 * math.pi * t).log()
        loss = loss + stirling.masked_fill(low, 0)
    return reduced(loss, reduction)


def gaussian_nll_loss(input, target, var, full=False, eps=1e-6, reduction="mean") -> Tensor:
    """(ln var + (input - target)^2 / var) / 2, the negative log-likelihood of target under normal distributions of mean input
    (Nix and Weigend 1994).

    var: of input's shape, or without or with 1 in its last dimension, or a number; at least eps in the formula, the gradient
    passes. full: with ln(2 pi) / 2.

    Raises:
        ShapeError: var does not go with input. ArgumentError: a negative var.
    """
    reduction = chosen("gaussian_nll_loss", None, None, reduction)
    input, target = tensors("gaussian_nll_loss", input=input, target=target)
    var = var if isinstance(var, Tensor) else input.detach() * 0 + var
    if var.shape != input.shape:
        if tuple(input.shape[:-1]) == tuple(var.shape):
            var = var.unsqueeze(-1)
        elif input.ndim != var.ndim or any(v not in (1, n) for n, v in zip(input.shape, var.shape, strict=True)):
            text = f"var {tuple(var.shape)} must have the shape of input, {tuple(input.shape)}, or without the last dimension"
            raise errors.ShapeError(here(f"gaussian_nll_loss: {text}"))
    if bool((var < 0).any()):
        raise errors.ArgumentError(
            here("gaussian_nll_loss: var has negative entries; give variances, e.g. log_var.exp()")
        )
    low = var.detach()
    var = var + (low.clamp(min=eps) - low)
    loss = 0.5 * (var.log() + (input - target).square() / var)
    return reduced(loss + 0.5 * math.log(2 * math.pi) if full else loss, reduction)
