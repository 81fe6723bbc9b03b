"""Stochastic gradient descent, with momentum (Sutskever et al. 2013)."""

from tensorlite import errors
from tensorlite.optim.optimizer import Optimizer, zeros


class SGD(Optimizer):
    """For each parameter p with gradient g:

        g = g + wd p
        v = mu v + (1 - dampening) g      (v = g at the first step)
        p = p - lr v                      nesterov: p = p - lr (g + mu v)

    maximize: -g takes the place of g.
    """

    elementwise = True

    def __init__(self, params, lr=1e-3, momentum=0, dampening=0, weight_decay=0, nesterov=False, *, maximize=False,
                 foreach=None, differentiable=False, fused=None):  # fmt: skip
        defaults = {"lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay,
                    "nesterov": nesterov, "maximize": maximize, "foreach": foreach, "differentiable": differentiable,
                    "fused": fused}  # fmt: skip
        super().__init__(params, defaults)

    def check(self, group):
        super().check(group)
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise errors.ArgumentError("SGD: nesterov needs a momentum above 0 and no dampening")

    def update(self, device, p, g, state, group):
        momentum, first = group["momentum"], "momentum_buffer" not in state
        device.backend.sgd_step(
            p,
            g,
            zeros(device, p, state, "momentum_buffer") if momentum else None,
            lr=group["lr"],
            momentum=momentum,
            dampening=0 if first else group["dampening"],
            weight_decay=group["weight_decay"],
            nesterov=group["nesterov"],
            maximize=group["maximize"],
        )
