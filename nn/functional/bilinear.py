"""The product of two inputs and a weight: bilinear."""

from tensorlite import errors
from tensorlite.ops.einsum import einsum
from tensorlite.tensor import here

__all__ = ["bilinear"]


def bilinear(input1, input2, weight, bias=None):
    """y_k = x1 @ weight[k] @ x2 + bias_k; x1 (..., n), x2 (..., m), weight (out, n, m) -> (..., out).

    Raises:
        ShapeError: features that the weight does not expect, or leading dimensions of x1 and x2 that differ.
    """
    for name, x, expects in (("input1", input1, weight.shape[1]), ("input2", input2, weight.shape[2])):
        if not x.ndim or x.shape[-1] != expects:
            fault = (
                f"{name} has {x.shape[-1] if x.ndim else 'no'} features, weight {tuple(weight.shape)} expects {expects}"
            )
            raise errors.ShapeError(here(f"bilinear: {fault}"))
    if input1.shape[:-1] != input2.shape[:-1]:
        fault = f"input1 {tuple(input1.shape)} and input2 {tuple(input2.shape)} differ before the last dimension"
        raise errors.ShapeError(here(f"bilinear: {fault}"))
    y = einsum("...n,knm,...m->...k", input1, weight, input2)
    return y if bias is None else y + bias
