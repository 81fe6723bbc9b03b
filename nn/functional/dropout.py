"""Dropout: of elements, of whole channels, and the kind that keeps mean and variance (alpha dropout).

The masks depend on the seed only, not on the device.
"""

import math

from tensorlite import errors, random
from tensorlite.creation import ones
from tensorlite.inplace import update
from tensorlite.ops.fused import Dropout
from tensorlite.tensor import Tensor, here, path

__all__ = ["alpha_dropout", "dropout", "dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout"]

_FLOOR = -1.7580993408473766  # what selu approaches at minus infinity: - scale alpha of Klambauer et al. 2017


def check_p(name, p):
    """Refuse what is no probability."""
    if not isinstance(p, (int, float)):
        raise errors.DTypeError(f"{name}: the probability p must be a number, not {p!r}")
    if not 0 <= p <= 1:
        raise errors.ArgumentError(f"{name}: the probability p must be in 0..1, not {p}")


def _apply(name, input, p, training, inplace, function):
    """function(input, p, **seed and offset) when training, in place where asked for; otherwise the input itself."""
    check_p(name, p)
    if not isinstance(input, Tensor):
        raise errors.DTypeError(here(f"{name}: input must be a Tensor, not {type(input).__name__}"))
    if not training or p == 0:
        return input
    seed, offset = random.default().philox()
    draw = {"p": float(p), "seed": seed, "offset": offset}
    return update(input, f"{name}_", function, **draw) if inplace else function(input, **draw)


def _whole(x, **draw):
    return Dropout.apply(x, **draw)


def _channels(x, **draw):
    """0 or 1 / (1 - p) for each channel of each sample, (N, C, 1, ...)."""
    return Dropout.apply(ones((*x.shape[:2], *[1] * (x.ndim - 2)), dtype=x.dtype, device=x.device), **draw)


def dropout(input, p=0.5, training=True, inplace=False) -> Tensor:
    """In training each element becomes 0 with probability p, else x / (1 - p); otherwise the input itself.

    Srivastava et al. 2014. The mask depends on the seed only, not on the device.

    Raises:
        ArgumentError: p outside 0..1.
    """
    return _apply("dropout", input, p, training, inplace, _whole)


def _by_channel(name, input, p, training, inplace, rank, other):
    """Dropout of whole channels of (N, C, ...), or (C, ...) if the input has `other` dimensions."""
    if not isinstance(input, Tensor) or input.ndim not in (rank + 1, rank + 2):
        got = errors.describe(input)
        text = f"input must have {rank + 2} dimensions, (N, C, ...), or {rank + 1}, got {got}"
        raise errors.ShapeError(errors.compose(name, text, "", path()))

    def function(x, **draw):
        mask = _channels(x.unsqueeze(0) if x.ndim == other else x, **draw)
        return x * (mask.squeeze(0) if x.ndim == other else mask)

    return _apply(name, input, p, training, inplace, function)


def dropout1d(input, p=0.5, training=True, inplace=False) -> Tensor:
    """Dropout of whole channels of sequences (N, C, L) or (C, L): each becomes 0 with probability p, else x / (1 - p).

    Tompson et al. 2015: neighbours in a channel are alike, so that dropping single elements would change little.

    Raises:
        ShapeError: another number of dimensions. ArgumentError: p outside 0..1.
    """
    return _by_channel("dropout1d", input, p, training, inplace, 1, 2)


def dropout2d(input, p=0.5, training=True, inplace=False) -> Tensor:
    """Dropout of whole channels of images (N, C, H, W); see dropout1d. Three dimensions are (N, C, L), as in PyTorch."""
    return _by_channel("dropout2d", input, p, training, inplace, 2, None)


def dropout3d(input, p=0.5, training=True, inplace=False) -> Tensor:
    """Dropout of whole channels of volumes (N, C, D, H, W) or (C, D, H, W); see dropout1d."""
    return _by_channel("dropout3d", input, p, training, inplace, 3, 4)


def _keeping_moments(x, mask, p):
    """a x where the mask holds, a `floor` elsewhere, plus what brings the mean back to 0; a brings the variance back to 1."""
    if p == 1:
        return x * 0
    a = 1 / math.sqrt((1 - p) * (1 + p * _FLOOR**2))
    kept = mask * (1 - p)  # 1 or 0
    return x * (kept * a) + ((1 - kept) * (a * _FLOOR) - a * p * _FLOOR)


def alpha_dropout(input, p=0.5, training=False, inplace=False) -> Tensor:
    """Dropout that goes with selu: elements become its floor, -1.7581, with probability p, and all are scaled and shifted so
    that mean 0 and variance 1 stay (Klambauer et al. 2017). With p = 1 all become 0.

    Raises:
        ArgumentError: p outside 0..1.
    """

    def function(x, **draw):
        return _keeping_moments(x, Dropout.apply(ones(x.shape, dtype=x.dtype, device=x.device), **draw), draw["p"])

    return _apply("alpha_dropout", input, p, training, inplace, function)


def feature_alpha_dropout(input, p=0.5, training=False, inplace=False) -> Tensor:
    """alpha_dropout of whole channels of input (N, C, ...).

    Raises:
        ShapeError: less than 2 dimensions. ArgumentError: p outside 0..1.
    """
    if not isinstance(input, Tensor) or input.ndim < 2:
        got = errors.describe(input)
        raise errors.ShapeError(
            errors.compose("feature_alpha_dropout", f"input must be (N, C, ...), got {got}", "", path())
        )
    return _apply("feature_alpha_dropout", input, p, training, inplace,
                  lambda x, **draw: _keeping_moments(x, _channels(x, **draw), draw["p"]))  # fmt: skip


def feature_dropout(input, p=0.5, training=True, inplace=False) -> Tensor:
    """Dropout of whole channels of input (N, C, ...), of any number of dimensions from 2: tl.feature_dropout."""
    if not isinstance(input, Tensor) or input.ndim < 2:
        got = errors.describe(input)
        raise errors.ShapeError(errors.compose("feature_dropout", f"input must be (N, C, ...), got {got}", "", path()))
    return _apply("feature_dropout", input, p, training, inplace, lambda x, **draw: x * _channels(x, **draw))
