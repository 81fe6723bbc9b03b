"""Connectionist temporal classification: the likelihood of a label sequence, summed over all its alignments in time."""

from tensorlite import errors
from tensorlite.creation import arange, full, tensor
from tensorlite.nn.functional.loss import reduced, tensors
from tensorlite.ops.functions import logaddexp
from tensorlite.ops.join import cat
from tensorlite.ops.loss import chosen
from tensorlite.ops.select import where
from tensorlite.tensor import Tensor, here

__all__ = ["ctc_loss"]

_NEVER = float("-inf")


def ctc_loss(
    log_probs, targets, input_lengths, target_lengths, blank=0, reduction="mean", zero_infinity=False
) -> Tensor:
    """-ln of the sum of the probabilities of all paths through log_probs that spell the targets (Graves et al. 2006).

    A path names a class in each of the T steps; repeated classes count once, then blanks are dropped. Computed forward in time
    on logarithms, for the whole batch at once, over the 2 S + 1 states "blank, label 1, blank, label 2, ..., blank":

        alpha[t, s] = log_probs[t, label s] + ln(e^alpha[t-1, s] + e^alpha[t-1, s-1] + e^alpha[t-1, s-2])

    the last only between two different labels. Backprop through this is the backward recursion.

    log_probs (T, N, C) or (T, C), targets (N, S) padded or (sum of target_lengths,) one after the other, lengths (N,) as
    tensors or sequences. "mean" divides each loss by its target's length, then averages. zero_infinity: losses of targets that
    are too long for their input are 0, with no gradient. The gradient is that of log_probs as they are; PyTorch's takes them
    for the output of log_softmax: through log_softmax both are equal.

    Raises:
        ShapeError, DTypeError, ArgumentError, IndexRangeError: arguments that do not go together.
    """
    reduction = chosen("ctc_loss", None, None, reduction)
    log_probs, targets = tensors("ctc_loss", log_probs=log_probs, targets=targets)
    if log_probs.ndim not in (2, 3):
        raise errors.ShapeError(here(f"ctc_loss: log_probs must be (T, N, C) or (T, C), got {errors.describe(log_probs)}"))  # fmt: skip
    single = log_probs.ndim == 2
    x = log_probs.unsqueeze(1) if single else log_probs
    steps, n, classes = x.shape
    frames, sizes = _lengths("input_lengths", input_lengths, n), _lengths("target_lengths", target_lengths, n)
    if max(frames, default=0) > steps:
        raise errors.ArgumentError(here(f"ctc_loss: input_lengths has {max(frames)}, log_probs only {steps} steps"))
    if not 0 <= blank < classes:
        raise errors.ArgumentError(here(f"ctc_loss: blank {blank} must be one of the {classes} classes"))
    labels = _padded(targets, sizes, n, single, blank, classes)
    loss = -_log_likelihood(x, labels, frames, sizes, blank)
    if zero_infinity:
        loss = loss.masked_fill(loss == -_NEVER, 0.0)
    if reduction == "mean":
        loss = loss / tensor([max(s, 1) for s in sizes], dtype=x.dtype, device=x.device)
    return reduced(loss.squeeze(0) if single else loss, reduction)


def _lengths(name, given, n):
    """n lengths as whole numbers of Python."""
    found = given.tolist() if isinstance(given, Tensor) else given
    found = [found] if isinstance(found, int) else list(found)
    if len(found) != n or any(isinstance(v, float) or v < 0 for v in found):
        raise errors.ArgumentError(here(f"ctc_loss: {name} must hold {n} whole numbers, 0 or more, got {found}"))
    return [int(v) for v in found]


def _padded(targets, sizes, n, single, blank, classes):
    """Targets (N, S), with blanks behind the end of each."""
    if targets.dtype.is_floating_point or targets.dtype.category == 0:
        raise errors.DTypeError(here(f"ctc_loss: targets must hold integer classes, got {errors.describe(targets)}"))
    longest, device = max(sizes, default=0), targets.device
    if targets.ndim == 2 and not single:
        if targets.shape[0] != n or targets.shape[1] < longest:
            text = f"targets {tuple(targets.shape)} must hold {n} rows of at least {longest} labels"
            raise errors.ShapeError(here(f"ctc_loss: {text}"))
        labels = targets[:, :longest]
    elif targets.ndim == 1:
        if targets.shape[0] < sum(sizes) or (not single and targets.shape[0] != sum(sizes)):
            text = f"targets {tuple(targets.shape)} in one row must hold the {sum(sizes)} labels of target_lengths"
            raise errors.ShapeError(here(f"ctc_loss: {text}"))
        starts = [sum(sizes[:i]) for i in range(n)]
        rows = [[start + min(j, size - 1) if size else 0 for j in range(longest)]
                for start, size in zip(starts, sizes, strict=True)]  # fmt: skip
        rows = tensor(rows, dtype="int64", device=device).reshape(n, longest)
        labels = targets[rows] if longest else targets.new_zeros((n, 0))
    else:
        raise errors.ShapeError(here(f"ctc_loss: targets must be (N, S) or one row, got {errors.describe(targets)}"))
    inside = arange(longest, device=device) < tensor(sizes, dtype="int64", device=device).reshape(n, 1)
    labels = where(inside, labels, blank).long()
    wrong = (labels < 0) | (labels >= classes)
    if bool(wrong.any()):
        text = f"target class {labels[wrong][0].item()} is out of range for {classes} classes"
        raise errors.IndexRangeError(here(f"ctc_loss: {text}"))
    return labels


def _log_likelihood(x, labels, frames, sizes, blank):
    """ln p(labels | x) for each of the N samples."""
    (steps, n, _), states, options = x.shape, 2 * labels.shape[1] + 1, {"dtype": x.dtype, "device": x.device}
    blanks = labels.detach() * 0 + blank
    path = cat([labels.new_full((n, 1), blank), _zip(labels, blanks)], 1) if states > 1 else labels.new_full((n, 1), blank)  # fmt: skip
    emitted = x.gather(2, path.unsqueeze(0).expand(steps, n, states))  # (T, N, states)
    other = cat([full((n, min(2, states)), False, dtype="bool", device=x.device), path[:, 2:] != path[:, :-2]], 1)
    leap = where(other & (path != blank), 0.0, _NEVER).to(x.dtype)  # from label to label, over the blank
    before = full((n, 2), _NEVER, **options)  # the states -2 and -1
    alpha = cat([before, full((n, 1), 0.0, **options), full((n, states - 1), _NEVER, **options)], 1)
    ends = tensor(frames, dtype="int64", device=x.device).reshape(n, 1)
    for t in range(max(frames, default=0)):
        reach = logaddexp(logaddexp(alpha[:, 2:], alpha[:, 1:-1]), alpha[:, :-2] + leap)
        new = cat([before, emitted[t] + reach], 1)
        alpha = new if t < min(frames) else where(ends > t, new, alpha)
    last = (
        tensor(sizes, dtype="int64", device=x.device).reshape(n, 1) * 2 + 2
    )  # the final blank; before it the last label
    on_blank, on_label = alpha.gather(1, last).squeeze(1), alpha.gather(1, last - 1).squeeze(1)
    return logaddexp(on_blank, on_label)  # without labels the state before is -1: never


def _zip(a, b):
    """Columns of a and b in turn: (N, S) and (N, S) to (N, 2 S)."""
    return cat([a.unsqueeze(2), b.unsqueeze(2)], 2).reshape(a.shape[0], -1)
