"""Rows of a table read by number, one by one (embedding) and summed in bags (embedding_bag)."""

import math

from tensorlite import errors
from tensorlite.creation import arange, full, zeros
from tensorlite.modes import no_grad
from tensorlite.nn.functional.normalization import fault
from tensorlite.ops.convert import cast
from tensorlite.ops.index import Embedding
from tensorlite.ops.scatter import index_add
from tensorlite.ops.select import where
from tensorlite.ops.sort import searchsorted, unique
from tensorlite.ops.statistics import bincount
from tensorlite.tensor import Tensor, here, path

__all__ = ["embedding", "embedding_bag"]


def embedding(input, weight, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False,
              sparse=False) -> Tensor:  # fmt: skip
    """weight[input]: a row of `weight` (V, D) for each token id of `input` (...) -> (..., D).

    padding_idx: the row that gets no gradient.
    max_norm: rows that are read and whose norm_type-norm is larger are first brought to it, in the table itself.
    scale_grad_by_freq: the gradient of a row is divided by the number of times it was read.
    sparse: accepted; the gradient is dense all the same.

    Raises:
        DTypeError: ids that are not integers. IndexRangeError: an id outside 0..V-1. ArgumentError: padding_idx likewise.
    """
    _check("embedding", input, weight)
    padding_idx = _padding("embedding", padding_idx, weight)
    if max_norm is not None:
        _renorm("embedding", weight, input, max_norm, norm_type)
    out = Embedding.apply(weight, input)
    return _gradient(out, input, weight, padding_idx, scale_grad_by_freq)


def _check(name, input, weight):
    if not isinstance(input, Tensor) or input.dtype.category != 1:
        got = errors.describe(input)
        raise errors.DTypeError(errors.compose(name, f"token ids must be an integer tensor, got {got}", "", path()))
    if not isinstance(weight, Tensor) or weight.ndim != 2:
        got = errors.describe(weight)
        raise errors.ShapeError(errors.compose(name, f"weight must have shape (rows, features), got {got}", "", path()))


def _padding(name, padding_idx, weight):
    """padding_idx, counted from the front."""
    rows = weight.shape[0]
    if padding_idx is not None and not -rows <= padding_idx < rows:
        raise errors.ArgumentError(
            errors.compose(name, f"padding_idx {padding_idx} is outside of the {rows} rows", "", path())
        )
    return None if padding_idx is None else padding_idx % rows


@no_grad
def _renorm(name, weight, input, max_norm, norm_type):
    """Bring the rows that are read, where they are longer, to the length max_norm."""
    ids = unique(input)
    try:
        weight.device.backend.check_range(ids.array, weight.shape[0], f"{name}: token id")
    except errors.IndexRangeError as e:
        raise errors.IndexRangeError(here(str(e))) from None
    if not ids.numel():
        return
    rows = Embedding.apply(weight, ids)
    norms = rows.norm(norm_type, 1, keepdim=True)
    weight[ids] = where(norms > max_norm, rows * (max_norm / (norms + 1e-7)), rows)


def _gradient(out, input, weight, padding_idx, by_frequency):
    """out, with the gradient of rows stopped (padding_idx) or divided by how often they were read."""
    if not weight.requires_grad:
        return out
    if by_frequency:
        counts = bincount(input.reshape(-1), minlength=weight.shape[0])
        share = cast(1 / Embedding.apply(cast(counts, out.dtype).unsqueeze(1), input), out.dtype)
        fixed = out.detach()
        out = where(share == 1, out, fixed + (out - fixed) * share)
    if padding_idx is not None:
        out = where((input == padding_idx).unsqueeze(-1), out.detach(), out)
    return out


def embedding_bag(input, weight, offsets=None, max_norm=None, norm_type=2, scale_grad_by_freq=False, mode="mean",
                  sparse=False, per_sample_weights=None, include_last_offset=False, padding_idx=None) -> Tensor:  # fmt: skip
    """The sum, mean or maximum of the rows of each bag: embedding and a reduction in one.

    input (B, N): B bags of N ids; or (n,) with offsets (B,), where each bag begins (with include_last_offset also where the
    last one ends) -> (B, D). An empty bag gives 0.
    per_sample_weights, like input: factors on the rows, for mode "sum". padding_idx: the id that does not count, in no mode.
    max_norm, norm_type, scale_grad_by_freq, sparse: as in embedding. (PyTorch 2.13 on the CPU divides the gradient of a row by
    how often some other row was read; here it is that row.)

    Raises:
        DTypeError: ids or offsets that are not integers. IndexRangeError: an id outside of the table.
        ShapeError: offsets with a matrix of ids or none with a vector; weights of another shape.
        ArgumentError: an unknown mode, weights for another mode than "sum", offsets that do not begin at 0 or fall.
    """
    name = "embedding_bag"
    _check(name, input, weight)
    if mode not in ("sum", "mean", "max"):
        raise errors.ArgumentError(f"{name}: mode must be 'sum', 'mean' or 'max', not {mode!r}")
    if mode == "max" and scale_grad_by_freq:
        raise errors.ArgumentError(f"{name}: scale_grad_by_freq does not go with mode 'max'")
    padding_idx = _padding(name, padding_idx, weight)
    if per_sample_weights is not None:
        if mode != "sum":
            raise errors.ArgumentError(f"{name}: per_sample_weights go with mode 'sum' only, not {mode!r}")
        if tuple(per_sample_weights.shape) != tuple(input.shape):
            got = f"input {tuple(input.shape)}, per_sample_weights {tuple(per_sample_weights.shape)}"
            raise fault(name, f"per_sample_weights must have the shape of input, got {got}")
    ids, bags, first, count = _bags(name, input, offsets, include_last_offset)
    if max_norm is not None:
        _renorm(name, weight, ids, max_norm, norm_type)
    rows = _gradient(Embedding.apply(weight, ids), ids, weight, padding_idx, scale_grad_by_freq)
    counted = None if padding_idx is None else ids != padding_idx
    if mode == "max":
        return _largest(rows, bags, first, count, counted)
    if per_sample_weights is not None:
        rows = rows * per_sample_weights.reshape(-1, 1)
    if counted is not None:
        rows = where(counted.unsqueeze(1), rows, 0.0)
    total = index_add(zeros(count, weight.shape[1], dtype=rows.dtype, device=rows.device), 0, bags, rows)
    if mode == "sum":
        return total
    sizes = bincount(bags if counted is None else bags[counted], minlength=count)
    return total / cast(sizes.clamp_min(1), total.dtype).unsqueeze(1)


def _bags(name, input, offsets, include_last_offset):
    """(ids in a row, the bag of each, the place where its bag begins, the number of bags)."""
    if input.ndim == 2:
        if offsets is not None:
            raise fault(
                name, f"offsets go with a vector of ids; the rows of input {tuple(input.shape)} are bags already"
            )
        count, size = input.shape
        offsets = arange(count, dtype=input.dtype, device=input.device) * size
    elif input.ndim != 1:
        raise fault(name, f"ids must be (B, N) or, with offsets, (n,), got {errors.describe(input)}")
    else:
        if not isinstance(offsets, Tensor) or offsets.dtype.category != 1 or offsets.ndim != 1:
            got = errors.describe(offsets)
            raise fault(name, f"a vector of ids needs offsets, an integer vector, got {got}")
        if include_last_offset:
            if not offsets.numel():
                raise fault(name, "offsets are empty; with include_last_offset they hold at least the last one's end")
            offsets = offsets[:-1]
        count = offsets.numel()
        starts = offsets.tolist()
        n = input.numel()
        if count and (starts[0] != 0 or starts != sorted(starts) or starts[-1] > n):
            raise errors.ArgumentError(
                f"{name}: offsets must begin at 0, not fall, and end before the {n} ids do, got {errors.describe(starts)}"
            )
    ids = input.reshape(-1)
    places = arange(ids.numel(), dtype=offsets.dtype, device=ids.device)
    bags = searchsorted(offsets, places, right=True) - 1
    return ids, bags, offsets, count


def _largest(rows, bags, first, count, counted):
    """The largest of each bag, from the rows laid out as (bags, places, D) with -inf where there is none."""
    n, width = rows.shape
    if not n or not count:
        return zeros(count, width, dtype=rows.dtype, device=rows.device) + rows.sum() * 0
    places = arange(n, dtype=bags.dtype, device=rows.device) - first[bags]
    if counted is not None:
        rows = where(counted.unsqueeze(1), rows, -math.inf)
    laid = full((count, int(places.max()) + 1, width), -math.inf, dtype=rows.dtype, device=rows.device)
    laid[bags, places] = rows
    top = laid.max(1).values
    return where(top == -math.inf, 0.0, top)
