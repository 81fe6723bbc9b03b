"""Functions that PyTorch has beside tl.matmul and its kin, with argument names of their own: tl.dropout(x, p, train) ..."""

from tensorlite.nn.functional.dropout import (
    alpha_dropout as _alpha,
    dropout as _whole,
    feature_alpha_dropout as _feature_alpha,
    feature_dropout as _feature,
)
from tensorlite.nn.functional.grid import MODES, PADDING, affine_grid, grid_sample
from tensorlite.tensor import Tensor

__all__ = [
    "affine_grid_generator", "alpha_dropout", "alpha_dropout_", "dropout", "dropout_", "feature_alpha_dropout",
    "feature_alpha_dropout_", "feature_dropout", "feature_dropout_", "grid_sampler", "grid_sampler_2d", "grid_sampler_3d",
]  # fmt: skip


def _both(name, function):
    """PyTorch's tl.NAME(input, p, train), and the same in place."""

    def call(input, p, train) -> Tensor:
        return function(input, p, train)

    def call_(input, p, train) -> Tensor:
        return function(input, p, train, True)

    for made, known, how in ((call, name, ""), (call_, name + "_", " in place")):
        made.__name__ = made.__qualname__ = known
        made.__doc__ = f"F.{name}(input, p, train){how}."
    return call, call_


dropout, dropout_ = _both("dropout", _whole)
alpha_dropout, alpha_dropout_ = _both("alpha_dropout", _alpha)
feature_alpha_dropout, feature_alpha_dropout_ = _both("feature_alpha_dropout", _feature_alpha)
feature_dropout, feature_dropout_ = _both("feature_dropout", _feature)


def grid_sampler(input, grid, interpolation_mode, padding_mode, align_corners) -> Tensor:
    """F.grid_sample with numbers for the modes: 0 bilinear, 1 nearest, 2 bicubic; 0 zeros, 1 border, 2 reflection."""
    return grid_sample(input, grid, MODES[interpolation_mode], PADDING[padding_mode], align_corners)


grid_sampler_2d = grid_sampler_3d = grid_sampler


def affine_grid_generator(theta, size, align_corners) -> Tensor:
    """F.affine_grid(theta, size, align_corners)."""
    return affine_grid(theta, size, align_corners)
