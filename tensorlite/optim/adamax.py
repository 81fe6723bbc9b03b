"""Adamax (Kingma and Ba 2015, section 7.1): Adam with the maximum norm in the place of the second moment."""

from tensorlite.optim.optimizer import Optimizer, blend, count, followed, zeros


class Adamax(Optimizer):
    """For each parameter p with gradient g (+ wd p; -g under maximize), at step t:

    m = b1 m + (1 - b1) g        u = max(b2 u, |g| + eps)        p = p - lr / (1 - b1^t) m / u
    """

    elementwise = True

    def __init__(self, params, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, foreach=None, *, maximize=False,
                 differentiable=False, capturable=False):  # fmt: skip
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "foreach": foreach,
                                  "maximize": maximize, "differentiable": differentiable, "capturable": capturable})  # fmt: skip

    def update(self, device, p, g, state, group):
        xp, (b1, b2), t = device.backend.xp, group["betas"], count(state)
        m, u = zeros(device, p, state, "exp_avg"), zeros(device, p, state, "exp_inf")
        g = followed(p, g, group)
        blend(m, g, 1 - b1)
        u *= b2
        u[...] = xp.maximum(u, xp.abs(g) + group["eps"])
        p -= group["lr"] / (1 - b1**t) * (m / u)
