"""Functions that PyTorch has beside tl.matmul and its kin, with argument names of their own: tl.dropout(x, p, train) ..."""

from tensorlite.nn.functional.dropout import (
    alpha_dropout as _alpha,
    dropout as _whole,
    feature_alpha_dropout as _feature_alpha,
    feature_dropout as _feature,
)
from tensorlite.nn.functional.grid import affine_grid, grid_sample
from tensorlite.tensor import Tensor

__all__ = [
    "affine_grid_generator", "alpha_dropout", "alpha_dropout_", "dropout", "dropout_", "feature_alpha_dropout",
    "feature_alpha_dropout_", "feature_dropout", "feature_dropout_", "grid_sampler", "grid_sampler_2d", "grid_sampler_3d",
]  # fmt: skip


def dropout(input, p, train) -> Tensor:
    """F.dropout(input, p, train)."""
    return _whole(input, p, train)


def dropout_(input, p, train) -> Tensor:
    """F.dropout(input, p, train) in place."""
    return _whole(input, p, train, True)


def alpha_dropout(input, p, train) -> Tensor:
    """F.alpha_dropout(input, p, train)."""
    return _alpha(input, p, train)


def alpha_dropout_(input, p, train) -> Tensor:
    """F.alpha_dropout(input, p, train) in place."""
    return _alpha(input, p, train, True)


def feature_alpha_dropout(input, p, train) -> Tensor:
    """F.feature_alpha_dropout(input, p, train)."""
    return _feature_alpha(input, p, train)


def feature_alpha_dropout_(input, p, train) -> Tensor:
    """F.feature_alpha_dropout(input, p, train) in place."""
    return _feature_alpha(input, p, train, True)


def feature_dropout(input, p, train) -> Tensor:
    """Dropout of whole channels of input (N, C, ...): each becomes 0 with probability p, else x / (1 - p)."""
    return _feature(input, p, train)


def feature_dropout_(input, p, train) -> Tensor:
    """feature_dropout in place."""
    return _feature(input, p, train, True)


_MODES, _PADDING = ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection")


def grid_sampler(input, grid, interpolation_mode, padding_mode, align_corners) -> Tensor:
    """F.grid_sample with numbers for the modes: 0 bilinear, 1 nearest, 2 bicubic; 0 zeros, 1 border, 2 reflection."""
    return grid_sample(input, grid, _MODES[interpolation_mode], _PADDING[padding_mode], align_corners)


grid_sampler_2d = grid_sampler_3d = grid_sampler


def affine_grid_generator(theta, size, align_corners) -> Tensor:
    """F.affine_grid(theta, size, align_corners)."""
    return affine_grid(theta, size, align_corners)
