"""Adadelta (Zeiler 2012)."""

from tensorlite.optim.optimizer import Optimizer, blend, count, followed, zeros


class Adadelta(Optimizer):
    """For each parameter p with gradient g (+ wd p; -g under maximize):

    v = rho v + (1 - rho) g^2        d = sqrt(u + eps) / sqrt(v + eps) g        u = rho u + (1 - rho) d^2        p = p - lr d
    """

    elementwise = True

    def __init__(self, params, lr=1.0, rho=0.9, eps=1e-6, weight_decay=0, foreach=None, *, capturable=False, maximize=False,
                 differentiable=False):  # fmt: skip
        super().__init__(params, {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
                                  "capturable": capturable, "foreach": foreach, "differentiable": differentiable})  # fmt: skip

    def check(self, group):
        super().check(group)
        if not 0 <= group["rho"] <= 1:
            self.refuse("rho", group["rho"], "in [0, 1]")

    def update(self, device, p, g, state, group):
        xp, rho, eps = device.backend.xp, group["rho"], group["eps"]
        v, u = zeros(device, p, state, "square_avg"), zeros(device, p, state, "acc_delta")
        count(state)
        g = followed(p, g, group)
        blend(v, g * g, 1 - rho)
        d = xp.sqrt(u + eps) / xp.sqrt(v + eps) * g
        blend(u, d * d, 1 - rho)
        p -= group["lr"] * d
