"""Gradient clipping."""

import math
import warnings

from tensorlite import errors
from tensorlite.modes import no_grad
from tensorlite.ops.join import stack
from tensorlite.ops.norms import vector_norm
from tensorlite.tensor import Tensor, wrap


def _with_grad(parameters):
    parameters = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    return [p for p in parameters if p.grad is not None]


@no_grad
def clip_grad_norm_(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False, foreach=None) -> Tensor:
    """Scale all gradients so that their joint norm is at most max_norm (Pascanu et al. 2013); returns the norm before.

    factor = min(1, max_norm / (norm + 1e-6)). norm_type: 2, another p, or inf.

    Raises:
        TensorliteError: the norm is nan or inf, and error_if_nonfinite.
    """
    grads = [p.grad for p in _with_grad(parameters)]
    if not grads:
        return Tensor([0.0]).sum()
    device, max_norm = grads[0].device, float(max_norm)
    if norm_type == 2 and not error_if_nonfinite and all(g.device is device for g in grads):
        total = device.backend.clip_by_norm([g.array for g in grads], max_norm)
        for g in grads:
            g.version.bump("clip_grad_norm_")
        return wrap(total, device)
    if norm_type == math.inf:
        norms = [float(g.abs().max()) for g in grads]
        total = math.nan if any(map(math.isnan, norms)) else max(norms)  # max() may pass over a nan
    else:
        total = sum(float((g.abs() ** norm_type).sum().cpu()) for g in grads) ** (1 / norm_type)
    if error_if_nonfinite and not math.isfinite(total):
        raise errors.TensorliteError(
            f"clip_grad_norm_: the norm of the gradients is {total}; find its cause with detect_anomaly"
        )
    factor = min(1.0, max_norm / (total + 1e-6))
    for g in grads:
        g.mul_(factor)
    return grads[0].new_tensor(total)


def clip_grad_norm(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False, foreach=None) -> Tensor:
    """clip_grad_norm_ under its old name, with PyTorch's FutureWarning."""
    warnings.warn("clip_grad_norm is deprecated: use clip_grad_norm_", FutureWarning, stacklevel=2)
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite, foreach)


@no_grad
def clip_grad_value_(parameters, clip_value, foreach=None) -> None:
    """Limit each element of the gradients to [-clip_value, clip_value]."""
    for p in _with_grad(parameters):
        p.grad.clamp_(-float(clip_value), float(clip_value))


@no_grad
def get_total_norm(tensors, norm_type=2.0, error_if_nonfinite=False, foreach=None) -> Tensor:
    """The norm of all tensors taken as one vector.

    Raises:
        TensorliteError: it is nan or inf, and error_if_nonfinite.
    """
    tensors = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    if not tensors:
        return Tensor([0.0]).sum()
    device = tensors[0].device
    total = vector_norm(stack([vector_norm(t, norm_type).to(device) for t in tensors]), norm_type)
    if error_if_nonfinite and not math.isfinite(total.item()):
        raise errors.TensorliteError(f"get_total_norm: the norm is {total.item()}; find its cause with detect_anomaly")
    return total


@no_grad
def clip_grads_with_norm_(parameters, max_norm, total_norm, foreach=None) -> None:
    """Scale all gradients by min(1, max_norm / (total_norm + 1e-6)): clipping by a norm that is known already."""
    factor = min(1.0, float(max_norm) / (float(total_norm) + 1e-6))
    for p in _with_grad(parameters):
        p.grad.mul_(factor)
