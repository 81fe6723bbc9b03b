"""What hooks see of a walk: the gradients of a tensor, and of a node before and after its rules. The walk is autograd.py."""

from tensorlite import errors
from tensorlite.op import tensor_math
from tensorlite.tensor import Tensor


def replaced(answer, node):
    """A gradient that a hook returned, checked, in the dtype of what it is the gradient of."""
    if not isinstance(answer, Tensor) or answer.array.shape != node.shape or answer.device is not node.device:
        raise errors.ShapeError(
            f"hook: a gradient of shape {tuple(node.shape)} on {node.device} is needed, got {errors.describe(answer)}"
        )
    return answer if answer.array.dtype == node.dtype else tensor_math.cast(answer, dtype=node.dtype)


def before(node, g):
    """The complete gradient g of a node, after the hooks of its tensor and then the node's own prehooks were called."""
    for hook in list((node.hooks or {}).values()):
        answer = hook(g)
        if answer is not None:
            g = replaced(answer, node)
    for hook in list((node.prehooks or {}).values()):
        answer = hook((g,))
        if answer is not None:
            g = replaced(_tuple(answer, node, 1)[0], node)
    return g


def after(node, shares, g):
    """The gradients of the node's parents (None where there is none), after the node's hooks were called."""
    for hook in list(node.posthooks.values()):
        answer = hook(shares, (g,))
        if answer is not None:
            pairs = zip(_tuple(answer, node, len(shares)), node.parents, strict=True)
            shares = tuple([None if a is None or p is None else replaced(a, p) for a, p in pairs])
    return shares


def _tuple(answer, node, n):
    answer = answer if isinstance(answer, (tuple, list)) else (answer,)
    if len(answer) != n:
        raise errors.ShapeError(f"hook of {node.op.name}: {n} gradients are needed, got {len(answer)}")
    return answer
