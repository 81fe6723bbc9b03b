"""Adafactor (Shazeer and Stern 2018): the second moment of a matrix is kept as one row and one column."""

import math

from tensorlite.optim.optimizer import Optimizer, blend, count, zeros
from tensorlite.tensor import wrap


class Adafactor(Optimizer):
    """For each parameter p with gradient g (-g under maximize), at step t:

        share = t^beta2_decay                     rate = max(eps2, rms(p)) min(lr, 1 / sqrt(t))
        R = (1 - share) R + share mean over the last dim of g^2;  C the same over the last dim but one
        v = R C / mean(R)                         (for vectors: v = (1 - share) v + share g^2)
        u = g / sqrt(max(v, eps1^2))              p = p - lr wd p
        p = p - rate u / max(1, rms(u) / d)

    eps: (eps1, eps2); eps1 None stands for the machine epsilon of p's dtype.
    """

    shaped = False

    def __init__(self, params, lr=1e-2, beta2_decay=-0.8, eps=(None, 1e-3), d=1.0, weight_decay=0.0, *, foreach=None,
                 maximize=False):  # fmt: skip
        super().__init__(params, {"lr": lr, "beta2_decay": beta2_decay, "eps": eps, "d": d, "weight_decay": weight_decay,
                                  "foreach": foreach, "maximize": maximize})  # fmt: skip

    def check(self, group):
        super().check(group)
        eps1, eps2 = group["eps"]
        if group["beta2_decay"] > 0:
            self.refuse("beta2_decay", group["beta2_decay"], "at most 0")
        if eps1 is not None and eps1 < 0:
            self.refuse("eps[0]", eps1, "None or at least 0")
        if eps2 < 0:
            self.refuse("eps[1]", eps2, "at least 0")
        if group["d"] < 1:
            self.refuse("d", group["d"], "at least 1")

    def update(self, device, p, g, state, group):
        xp, t, lr, (eps1, eps2) = device.backend.xp, count(state), group["lr"], group["eps"]
        rms = lambda x: math.sqrt(float((x * x).mean()))  # noqa: E731
        eps1 = float(xp.finfo(p.dtype).eps) if eps1 is None else eps1
        g = -g if group["maximize"] else g
        share = t ** group["beta2_decay"]
        rate = max(eps2, rms(p)) * min(lr, 1 / math.sqrt(t))
        p *= 1 - lr * group["weight_decay"]
        if p.ndim > 1:
            row, column = (
                _mean_square(device, g, state, n, dim, share) for n, dim in (("row_var", -1), ("col_var", -2))
            )
            v = xp.matmul(row, column) / xp.maximum(row.mean(axis=-2, keepdims=True), eps1)
        else:
            v = zeros(device, p, state, "variance")
            blend(v, g * g, share)
        u = g / xp.sqrt(xp.maximum(v, eps1 * eps1))
        p -= rate / max(1.0, rms(u) / group["d"]) * u


def _mean_square(device, g, state, name, dim, share):
    """The running mean of g^2 over one dimension, which is kept with size 1."""
    mean = (g * g).mean(axis=dim, keepdims=True)
    if name not in state:
        state[name] = wrap(device.backend.xp.zeros_like(mean), device)
    blend(state[name].array, mean, share)
    return state[name].array
