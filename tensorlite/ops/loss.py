"""Cross-entropy, fused: from logits and class numbers to the loss, its gradient in one pass."""

import warnings

from tensorlite import errors
from tensorlite.op import Fused
from tensorlite.ops.fused import log_softmax
from tensorlite.ops.select import where
from tensorlite.tensor import Tensor, here, mode, path


class CrossEntropy(Fused):
    """x (N, C) logits, target (N,) classes. Rows whose target is ignore_index count for nothing."""

    name, formula = "cross_entropy", "-ln softmax(x)[target]"
    local = ("softmax(x) - onehot(target)", "", "")
    extras = ("lse", "scale", "picks")

    def forward(b, x, target, weight, *, ignore_index, smoothing, reduction):
        xp, (n, classes) = b.xp, x.shape
        picks, valid = target, None
        wide = x.dtype if x.dtype.itemsize > 2 else xp.float32  # sums overflow half precision
        if not n or 0 <= ignore_index < classes or not b.inside(target, classes):  # some rows may count for nothing
            valid = target != ignore_index
            picks = xp.where(valid, target, 0)
            b.check_range(picks, classes, "target class")
        with b.quiet():
            loss, lse = b.cross_entropy(x, picks, weight, smoothing)
            if valid is None:
                if weight is None and reduction == "mean":  # the commonest: every row counts 1 / n
                    total = xp.add.reduce(loss, dtype=wide) / n
                    return total.astype(x.dtype, copy=False), (lse, xp.full(n, 1 / n, dtype=x.dtype), picks)
                scale = xp.ones(n, dtype=x.dtype)
            else:
                loss = xp.where(valid, loss, b.number(0.0, x.dtype)).astype(x.dtype, copy=False)
                scale = valid.astype(x.dtype)
            if reduction == "none":
                return loss, (lse, scale, picks)
            total = loss.sum(dtype=wide)
            if reduction == "mean":
                count = (scale if weight is None else scale * weight[picks]).sum(dtype=wide)
                total = total / count  # nan where all rows are ignored; the gradient is 0 then, as in PyTorch
                scale = (scale / (count + (count == 0))).astype(x.dtype, copy=False)
            return total.astype(x.dtype, copy=False), (lse, scale, picks)

    def backward(b, g, needs, into, x, weight, lse, scale, picks, smoothing):
        return b.cross_entropy_backward(g * scale, x, picks, weight, smoothing, lse), None, None

    def plain(x, target, weight, ignore_index, smoothing, reduction):
        valid = target != ignore_index
        picks = where(valid, target, 0)
        logp = log_softmax(x, 1)
        w = valid.to(x.dtype) if weight is None else weight[picks] * valid
        loss = -logp.gather(1, picks.unsqueeze(1)).squeeze(1) * w
        if smoothing:
            every = -(logp if weight is None else logp * weight).sum(1) * valid
            loss = (1 - smoothing) * loss + every * (smoothing / x.shape[1])
        return loss if reduction == "none" else loss.sum() if reduction == "sum" else loss.sum() / w.sum()


def chosen(name, size_average, reduce, reduction, allowed=("mean", "sum", "none")):
    """The reduction that is meant, also by the old flags size_average and reduce, which win, as in PyTorch."""
    if size_average is not None or reduce is not None:
        every = reduce is not None and not reduce
        reduction = "none" if every else "mean" if size_average is None or size_average else "sum"
        text = f"{name}: size_average and reduce are deprecated, write reduction={reduction!r}"
        warnings.warn(text, UserWarning, stacklevel=3)
    if reduction not in allowed:
        *others, last = [repr(a) for a in allowed]
        text = f"{name}: reduction must be {', '.join(others)} or {last}, not {reduction!r}"
        raise errors.ArgumentError(here(text))
    return reduction


def cross_entropy(input, target, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean",
                  label_smoothing=0.0) -> Tensor:  # fmt: skip
    """-ln softmax(input)[target], averaged.

    input (N, C), (C,) or (N, C, d1, ...) logits; target of the same shape without C: class numbers 0..C-1 or ignore_index; or of
    input's shape and floating point: probabilities of the classes. weight (C,): a factor for each class, "mean" divides by the
    sum of those used. label_smoothing s: (1 - s) of the target and s / C of every class.

    Raises:
        ShapeError, DTypeError: arguments that do not go together. IndexRangeError: a class outside 0..C-1.
    """
    reduction = chosen("cross_entropy", size_average, reduce, reduction)
    if mode.now.casts:
        input, target, weight = mode.casts.to("cross_entropy", input, target, weight)
    if not 0 <= label_smoothing <= 1:
        raise errors.ArgumentError(f"cross_entropy: label_smoothing must be in 0..1, not {label_smoothing}")
    _check(input, target, weight)
    classes_last = input.movedim(1, -1) if input.ndim > 2 else input
    c = classes_last.shape[-1]
    x = classes_last if input.ndim == 2 else classes_last.reshape(-1, c)
    if target.dtype.is_floating_point:
        t = (target.movedim(1, -1) if target.ndim > 2 else target).reshape(-1, c)
        t = t * (1 - label_smoothing) + label_smoothing / c if label_smoothing else t
        logp = log_softmax(x, 1)
        loss = -(t * (logp if weight is None else logp * weight)).sum(1)
        if reduction != "none":
            return loss.mean() if reduction == "mean" else loss.sum()
    else:
        args = {"ignore_index": ignore_index, "smoothing": label_smoothing, "reduction": reduction}
        loss = CrossEntropy.apply(x, target if target.ndim == 1 else target.reshape(-1), weight, **args)
    return loss.reshape(classes_last.shape[:-1]) if reduction == "none" else loss


def _check(input, target, weight):
    def table():
        return errors.argument_table(("input", "target", "weight"), (input, target, weight))

    shape = tuple(input.shape)
    classes = shape[1 if len(shape) > 1 else 0] if shape else 0
    wanted = shape if target.dtype.is_floating_point else shape[:1] + shape[2:] if len(shape) > 1 else ()
    fault = None
    if not input.dtype.is_floating_point or target.dtype.category == 0:
        fault = "expects floating-point logits and integer classes (or probabilities)"
        raise errors.DTypeError(errors.compose("cross_entropy", fault, table(), path()))
    if not shape:
        fault = "logits need a dimension of classes"
    elif tuple(target.shape) != wanted:
        fault = f"for logits {shape} the target must have shape {wanted}"
        if len(shape) == 3 and tuple(target.shape) == shape[:2]:
            fault += "; classes are dimension 1: use logits.view(-1, logits.size(-1)) and target.view(-1)"
    elif weight is not None and tuple(weight.shape) != (classes,):
        fault = f"weight must have one factor for each of the {classes} classes"
    if fault:
        raise errors.ShapeError(errors.compose("cross_entropy", fault, table(), path()))
