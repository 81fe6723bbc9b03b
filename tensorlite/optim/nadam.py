"""NAdam (Dozat 2016): Adam with Nesterov's look ahead."""

from tensorlite.optim.optimizer import Optimizer, blend, count, followed, zeros


class NAdam(Optimizer):
    """For each parameter p with gradient g (+ wd p, or p = p - lr wd p with decoupled_weight_decay), at step t:

        mu_t = b1 (1 - 0.96^(t momentum_decay) / 2)
        m = b1 m + (1 - b1) g                     v = b2 v + (1 - b2) g^2
        h = mu_(t+1) m / (1 - mu_1 ... mu_(t+1)) + (1 - mu_t) g / (1 - mu_1 ... mu_t)
        p = p - lr h / (sqrt(v / (1 - b2^t)) + eps)

    maximize: -g takes the place of g.
    """

    elementwise = True

    def __init__(self, params, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, momentum_decay=4e-3,
                 decoupled_weight_decay=False, *, foreach=None, maximize=False, capturable=False,
                 differentiable=False):  # fmt: skip
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
                                  "momentum_decay": momentum_decay, "decoupled_weight_decay": decoupled_weight_decay,
                                  "maximize": maximize, "foreach": foreach, "capturable": capturable,
                                  "differentiable": differentiable})  # fmt: skip

    def update(self, device, p, g, state, group):
        xp, (b1, b2), t, lr = device.backend.xp, group["betas"], count(state), group["lr"]
        m, v = zeros(device, p, state, "exp_avg"), zeros(device, p, state, "exp_avg_sq")
        if group["decoupled_weight_decay"]:
            p *= 1 - lr * group["weight_decay"]
            g = -g if group["maximize"] else g
        else:
            g = followed(p, g, group)
        mu, ahead = (b1 * (1 - 0.5 * 0.96 ** (s * group["momentum_decay"])) for s in (t, t + 1))
        state["mu_product"] = product = state.get("mu_product", 1.0) * mu
        blend(m, g, 1 - b1)
        blend(v, g * g, 1 - b2)
        h = (ahead / (1 - product * ahead)) * m + ((1 - mu) / (1 - product)) * g
        p -= lr * h / (xp.sqrt(v / (1 - b2**t)) + group["eps"])
