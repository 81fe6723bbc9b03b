"""Muon (Jordan et al. 2024): momentum whose matrix is made orthogonal, for the weights of hidden layers."""

import math

from tensorlite import errors
from tensorlite.optim.optimizer import Optimizer, blend, zeros

ADJUST = {
    "original": lambda rows, columns: math.sqrt(max(1, rows / columns)),
    "match_rms_adamw": lambda rows, columns: 0.2 * math.sqrt(max(rows, columns)),
}


class Muon(Optimizer):
    """For each matrix p with gradient g:

        m = mu m + (1 - mu) g                     u = (1 - mu) g + mu m if nesterov, else m
        X = u / |u|, then ns_steps times: A = X X^T, X = a X + (b A + c A A) X       (Newton-Schulz)
        p = p - lr wd p                           p = p - lr r X

    r: sqrt(max(1, rows / columns)) for adjust_lr_fn "original" (None), 0.2 sqrt(max(rows, columns)) for "match_rms_adamw"
    (Liu et al. 2025). X is computed in p's dtype; PyTorch rounds it to bfloat16, so its numbers differ in the third digit.

    Raises:
        ShapeError: a parameter that is no matrix.
    """

    def __init__(self, params, lr=1e-3, weight_decay=0.1, momentum=0.95, nesterov=True,
                 ns_coefficients=(3.4445, -4.775, 2.0315), eps=1e-7, ns_steps=5, adjust_lr_fn=None):  # fmt: skip
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov,
                                  "ns_coefficients": ns_coefficients, "eps": eps, "ns_steps": ns_steps,
                                  "adjust_lr_fn": adjust_lr_fn})  # fmt: skip

    def add_param_group(self, param_group):
        super().add_param_group(param_group)
        for p in self.param_groups[-1]["params"]:
            if p.ndim != 2:
                self.param_groups.pop()
                raise errors.ShapeError(
                    f"Muon: parameters must be matrices, not {errors.describe(p)}; give the others to AdamW"
                )

    def check(self, group):
        super().check(group)
        if group["adjust_lr_fn"] not in (None, *ADJUST):
            self.refuse("adjust_lr_fn", repr(group["adjust_lr_fn"]), f"None or one of {', '.join(ADJUST)}")
        if len(group["ns_coefficients"]) != 3:
            self.refuse("ns_coefficients", group["ns_coefficients"], "three numbers")
        if not 0 <= group["ns_steps"] < 100:
            self.refuse("ns_steps", group["ns_steps"], "in [0, 100)")

    def update(self, device, p, g, state, group):
        mu, lr, m = group["momentum"], group["lr"], zeros(device, p, state, "momentum_buffer")
        blend(m, g, 1 - mu)
        u = (1 - mu) * g + mu * m if group["nesterov"] else m
        p *= 1 - lr * group["weight_decay"]
        p -= lr * ADJUST[group["adjust_lr_fn"] or "original"](*p.shape) * orthogonal(u, group)


def orthogonal(u, group):
    """Nearly U V^T where u = U S V^T, by Newton-Schulz steps; on raw matrices."""
    a, b, c = group["ns_coefficients"]
    tall = u.shape[0] > u.shape[1]
    x = u.T if tall else u
    x = x / max(math.sqrt(float((x * x).sum())), group["eps"])
    for _ in range(group["ns_steps"]):
        gram = x @ x.T
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x.T if tall else x
