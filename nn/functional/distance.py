"""Distances and similarities of vectors, and the losses made of them: pairs (cosine embedding) and triplets."""

from tensorlite import errors
from tensorlite.creation import triu_indices
from tensorlite.nn.functional.loss import reduced, tensors
from tensorlite.ops.elementwise import minimum
from tensorlite.ops.join import broadcast_tensors
from tensorlite.ops.loss import chosen
from tensorlite.ops.norms import cdist, vector_norm
from tensorlite.ops.select import where
from tensorlite.tensor import Tensor, here

__all__ = [
    "cdist", "cosine_embedding_loss", "cosine_similarity", "pairwise_distance", "pdist", "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
]  # fmt: skip


def pairwise_distance(x1, x2, p=2.0, eps=1e-6, keepdim=False) -> Tensor:
    """The p-norm of x1 - x2 + eps along the last dimension, with broadcasting."""
    x1, x2 = tensors("pairwise_distance", x1=x1, x2=x2)
    return vector_norm(x1 - x2 + eps, p, -1, keepdim)


def pdist(input, p=2.0) -> Tensor:
    """The distances of all pairs of rows of input (N, M), row 0 against 1, 2, ..., then row 1: N (N - 1) / 2 of them.

    Raises:
        ShapeError: input is no matrix. ArgumentError: a negative p.
    """
    (input,) = tensors("pdist", input=input)
    if input.ndim != 2:
        raise errors.ShapeError(here(f"pdist: input must be (N, M), got {errors.describe(input)}"))
    if p < 0:
        raise errors.ArgumentError(here(f"pdist: p must not be negative, got {p}"))
    i, j = triu_indices(input.shape[0], input.shape[0], 1, device=input.device).unbind(0)
    return vector_norm(input[i] - input[j], p, -1)


def cosine_similarity(x1, x2, dim=1, eps=1e-8) -> Tensor:
    """x1 . x2 / (max(|x1|, eps) max(|x2|, eps)) along dim, with broadcasting; lengths below eps let the gradient pass."""
    x1, x2 = broadcast_tensors(*tensors("cosine_similarity", x1=x1, x2=x2))
    unit = []
    for x in (x1, x2):
        length = vector_norm(x, 2, dim, True)
        fixed = length.detach()
        unit.append(x / (length + (fixed.clamp(min=eps) - fixed)))
    return (unit[0] * unit[1]).sum(dim)


def cosine_embedding_loss(
    input1, input2, target, margin=0.0, size_average=None, reduce=None, reduction="mean"
) -> Tensor:
    """1 - cos(input1, input2) where target is 1, max(0, cos - margin) where it is -1; inputs (N, D) and (N,), or (D,) and ().

    Raises:
        ShapeError: the numbers of dimensions do not go together.
    """
    name = "cosine_embedding_loss"
    reduction = chosen(name, size_average, reduce, reduction)
    input1, input2, target = tensors(name, input1=input1, input2=input2, target=target)
    if target.ndim > 1 or input1.ndim != target.ndim + 1 or input2.ndim != target.ndim + 1:
        table = errors.argument_table(("input1", "input2", "target"), (input1, input2, target))
        raise errors.ShapeError(here(f"{name}: inputs must be (N, D) and target (N,), or (D,) and (): {table}"))
    tiny = 1e-12  # PyTorch's, inside of the root: not the eps of cosine_similarity
    square1, square2 = ((x * x).sum(-1) + tiny for x in (input1, input2))
    cosine = (input1 * input2).sum(-1) / (square1 * square2).sqrt()
    apart = where(target == -1, (cosine - margin).clamp(min=0), 0.0)
    return reduced(where(target == 1, 1 - cosine, 0.0) + apart, reduction)


def triplet_margin_loss(
    anchor, positive, negative, margin=1.0, p=2, eps=1e-6, swap=False, size_average=None, reduce=None, reduction="mean"
) -> Tensor:
    """max(0, d(anchor, positive) - d(anchor, negative) + margin) with pairwise_distance d (Balntas et al. 2016).

    swap: the negative's distance is the smaller one of those to anchor and positive.

    Raises:
        ShapeError: different numbers of dimensions. ArgumentError: margin is not positive.
    """
    name = "triplet_margin_loss"
    reduction = chosen(name, size_average, reduce, reduction)
    distance = lambda a, b: pairwise_distance(a, b, p, eps)  # noqa: E731
    return _triplet(name, anchor, positive, negative, distance, margin, swap, reduction)


def triplet_margin_with_distance_loss(
    anchor, positive, negative, *, distance_function=None, margin=1.0, swap=False, reduction="mean"
) -> Tensor:
    """triplet_margin_loss with any distance_function(a, b); None is pairwise_distance."""
    name = "triplet_margin_with_distance_loss"
    reduction = chosen(name, None, None, reduction)
    return _triplet(name, anchor, positive, negative, distance_function or pairwise_distance, margin, swap, reduction)


def _triplet(name, anchor, positive, negative, distance, margin, swap, reduction):
    anchor, positive, negative = tensors(name, anchor=anchor, positive=positive, negative=negative)
    if not margin > 0:
        raise errors.ArgumentError(here(f"{name}: margin must be positive, got {margin}"))
    if not anchor.ndim == positive.ndim == negative.ndim:
        table = errors.argument_table(("anchor", "positive", "negative"), (anchor, positive, negative))
        raise errors.ShapeError(here(f"{name}: all three must have the same number of dimensions: {table}"))
    near, far = distance(anchor, positive), distance(anchor, negative)
    far = minimum(far, distance(positive, negative)) if swap else far
    return reduced((near - far + margin).clamp(min=0), reduction)
