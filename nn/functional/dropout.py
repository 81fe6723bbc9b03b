"""Dropout: of elements."""

from tensorlite import errors, random
from tensorlite.ops.fused import Dropout
from tensorlite.tensor import Tensor

__all__ = ["dropout"]


def dropout(input, p=0.5, training=True, inplace=False) -> Tensor:
    """In training each element becomes 0 with probability p, else x / (1 - p); otherwise the input itself.

    Srivastava et al. 2014. The mask depends on the seed only, not on the device.

    Raises:
        ArgumentError: p outside 0..1.
    """
    check_p("dropout", p)
    if not training or p == 0:
        return input
    seed, offset = random.default().philox()
    if inplace:
        from tensorlite.inplace import update

        return update(input, "dropout_", lambda x: Dropout.apply(x, p=float(p), seed=seed, offset=offset))
    return Dropout.apply(input, p=float(p), seed=seed, offset=offset)


def check_p(name, p):
    if not 0 <= p <= 1:
        raise errors.ArgumentError(f"{name}: the probability p must be in 0..1, not {p}")
