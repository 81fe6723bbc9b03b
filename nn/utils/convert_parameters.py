"""All parameters as one vector, and back."""

from tensorlite.modes import no_grad
from tensorlite.ops.shape import cat
from tensorlite.tensor import Tensor


def parameters_to_vector(parameters) -> Tensor:
    """All parameters in one vector."""
    return cat([p.reshape(-1) for p in parameters])


@no_grad
def vector_to_parameters(vec, parameters) -> None:
    """Copy a vector's pieces into the parameters."""
    start = 0
    for p in parameters:
        p.copy_(vec[start : start + p.numel()].reshape(p.shape))
        start += p.numel()
