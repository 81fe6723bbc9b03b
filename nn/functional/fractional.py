"""Maxima of windows at random distances: fractional_max_pool2d and 3d (Graham 2014); adaptive ones with their places."""

import math

from tensorlite import errors
from tensorlite.creation import arange
from tensorlite.ops.conv import batched, per_axis, times
from tensorlite.ops.extreme import argmax
from tensorlite.ops.index import gather
from tensorlite.ops.join import cat
from tensorlite.ops.pool import adaptive_max_pool1d, adaptive_max_pool2d, adaptive_max_pool3d
from tensorlite.random import rand
from tensorlite.tensor import Tensor, here

__all__ = [
    "adaptive_max_pool1d_with_indices",
    "adaptive_max_pool2d_with_indices",
    "adaptive_max_pool3d_with_indices",
    "fractional_max_pool2d",
    "fractional_max_pool2d_with_indices",
    "fractional_max_pool3d",
    "fractional_max_pool3d_with_indices",
]


def _starts(sample, size, out, kernel):
    """Where the windows begin, (N, C, out): floor((i + u) a) - floor(u a), the last one at the end; sample u (N, C)."""
    last = (sample * 0 + (size - kernel)).long().unsqueeze(-1)
    if out == 1:
        return last
    a = (sample * 0 + (size - kernel)) / (out - 1)
    i, u, a = arange(out - 1, dtype=sample.dtype, device=sample.device), sample.unsqueeze(-1), a.unsqueeze(-1)
    return cat([((i + u) * a).long() - (u * a).long(), last], -1)


def _pool(name, rank, input, kernel_size, output_size, output_ratio, return_indices, samples):
    x, many = batched(name, input, rank)
    kernel, sizes = per_axis(name, "kernel_size", kernel_size, rank, 1), x.shape[2:]
    if (output_size is None) == (output_ratio is None):
        which = "none" if output_size is None else "both"
        raise errors.ArgumentError(f"{name}: give output_size or output_ratio, {which} was given")
    if output_size is None:
        ratio = tuple(output_ratio) if isinstance(output_ratio, (tuple, list)) else (output_ratio,) * rank
        if len(ratio) != rank:
            raise errors.ArgumentError(f"{name}: output_ratio must be a number or {rank} of them, got {output_ratio!r}")
        output_size = [int(n * r) for n, r in zip(sizes, ratio, strict=True)]
    out = per_axis(name, "output_size", output_size, rank, 1)
    if any(o + k - 1 > n for o, k, n in zip(out, kernel, sizes, strict=True)):
        fault = f"{times(out)} windows of {times(kernel)} do not fit into {errors.describe(input)}"
        raise errors.ShapeError(here(f"{name}: {fault}: the windows of a dimension must begin at different places"))
    if samples is None:
        samples = rand(*x.shape[:2], rank, dtype=x.dtype, device=x.device)
    elif (
        not isinstance(samples, Tensor) or tuple(samples.shape) != (*x.shape[:2], rank) or samples.dtype is not x.dtype
    ):
        fault = (
            f"_random_samples must be {x.dtype} ({x.shape[0]}, {x.shape[1]}, {rank}), got {errors.describe(samples)}"
        )
        raise errors.ShapeError(here(f"{name}: {fault}"))
    order = range(rank) if rank == 3 else (1, 0)  # PyTorch: depth, height, width; but width, height
    at = 0  # the places of all windows, (N, C, *out, *kernel), counted through the flattened input
    for d, (column, n, o, k) in enumerate(zip(order, sizes, out, kernel, strict=True)):
        starts = _starts(samples[:, :, column].detach(), n, o, k)
        seen = starts.unsqueeze(-1) + arange(k, device=x.device)  # (N, C, o, k)
        shape = [o if i == d else k if i == rank + d else 1 for i in range(2 * rank)]
        at = at * n + seen.reshape(*x.shape[:2], *shape)
    at = at.reshape(*x.shape[:2], math.prod(out), math.prod(kernel))
    flat = x.flatten(2)
    windows = gather(flat, 2, at.flatten(2)).reshape(at.shape)
    index = gather(at, 3, argmax(windows.detach(), 3, keepdim=True)).squeeze(3)  # (N, C, windows)
    shape = (*x.shape[:2], *out) if many else (x.shape[1], *out)
    y = gather(flat, 2, index).reshape(*shape)
    return (y, index.reshape(*shape)) if return_indices else y


def fractional_max_pool2d(
    input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None
):
    """The maxima of windows of images (N, C, H, W) or (C, H, W) that lie at distances drawn at random, so that the output has
    any size: output_size (an int or (H', W')), or output_ratio of that of the input (Graham 2014, pseudo-random, overlapping).

    _random_samples (N, C, 2), in 0..1: the draws, for width and height; u gives windows that begin at floor((i + u) a) -
    floor(u a), a = (H - kernel) / (H' - 1), the last at the end. return_indices: also where each maximum is, in the flattened image.

    Raises:
        ArgumentError: output_size and output_ratio both or neither. ShapeError: more windows than there are places.
    """
    return _pool(
        "fractional_max_pool2d", 2, input, kernel_size, output_size, output_ratio, return_indices, _random_samples
    )


def fractional_max_pool3d(
    input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None
):
    """fractional_max_pool2d of volumes (N, C, D, H, W) or (C, D, H, W); _random_samples (N, C, 3) for depth, height, width."""
    return _pool(
        "fractional_max_pool3d", 3, input, kernel_size, output_size, output_ratio, return_indices, _random_samples
    )


def fractional_max_pool2d_with_indices(
    input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None
):
    """fractional_max_pool2d with return_indices=True: (values, indices)."""
    return fractional_max_pool2d(input, kernel_size, output_size, output_ratio, True, _random_samples)


def fractional_max_pool3d_with_indices(
    input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None
):
    """fractional_max_pool3d with return_indices=True: (values, indices)."""
    return fractional_max_pool3d(input, kernel_size, output_size, output_ratio, True, _random_samples)


def adaptive_max_pool1d_with_indices(input, output_size, return_indices=False):
    """adaptive_max_pool1d with return_indices=True: (values, indices)."""
    return adaptive_max_pool1d(input, output_size, True)


def adaptive_max_pool2d_with_indices(input, output_size, return_indices=False):
    """adaptive_max_pool2d with return_indices=True: (values, indices)."""
    return adaptive_max_pool2d(input, output_size, True)


def adaptive_max_pool3d_with_indices(input, output_size, return_indices=False):
    """adaptive_max_pool3d with return_indices=True: (values, indices)."""
    return adaptive_max_pool3d(input, output_size, True)
