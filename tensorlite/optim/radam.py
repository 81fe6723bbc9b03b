"""RAdam (Liu et al. 2020): Adam that waits until the variance of its step is known."""

import math

from tensorlite.optim.optimizer import Optimizer, blend, count, followed, zeros


class RAdam(Optimizer):
    """For each parameter p with gradient g (+ wd p, or p = p - lr wd p with decoupled_weight_decay), at step t:

        m = b1 m + (1 - b1) g                     v = b2 v + (1 - b2) g^2
        R = 2 / (1 - b2) - 1                      rho = R - 2 t b2^t / (1 - b2^t)
        rho > 5:  r = sqrt((rho - 4) (rho - 2) R / ((R - 4) (R - 2) rho))
                  p = p - lr r (m / (1 - b1^t)) sqrt(1 - b2^t) / (sqrt(v) + eps)
        else:     p = p - lr m / (1 - b1^t)

    maximize: -g takes the place of g.
    """

    elementwise = True

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, decoupled_weight_decay=False, *,
                 foreach=None, maximize=False, capturable=False, differentiable=False):  # fmt: skip
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
                                  "foreach": foreach, "capturable": capturable, "differentiable": differentiable,
                                  "decoupled_weight_decay": decoupled_weight_decay})  # fmt: skip

    def update(self, device, p, g, state, group):
        xp, (b1, b2), t, lr = device.backend.xp, group["betas"], count(state), group["lr"]
        m, v = zeros(device, p, state, "exp_avg"), zeros(device, p, state, "exp_avg_sq")
        if group["decoupled_weight_decay"]:
            p *= 1 - lr * group["weight_decay"]
            g = -g if group["maximize"] else g
        else:
            g = followed(p, g, group)
        blend(m, g, 1 - b1)
        blend(v, g * g, 1 - b2)
        step, left = lr / (1 - b1**t) * m, 1 - b2**t
        longest = 2 / (1 - b2) - 1
        rho = longest - 2 * t * b2**t / left
        if rho > 5:
            r = math.sqrt((rho - 4) * (rho - 2) * longest / ((longest - 4) * (longest - 2) * rho))
            step = step * (r * math.sqrt(left)) / (xp.sqrt(v) + group["eps"])
        p -= step
