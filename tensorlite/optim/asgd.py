"""Averaged stochastic gradient descent (Polyak and Juditsky 1992)."""

from tensorlite.optim.optimizer import Optimizer, blend, count, followed, zeros


class ASGD(Optimizer):
    """For each parameter p with gradient g (+ wd p; -g under maximize), at step t:

        p = p - eta lambd p - eta g               eta = lr / (1 + lambd lr t)^alpha   (lr at the first step)
        a = a + mu (p - a)                        mu = 1 / max(1, t - t0)             (1 at the first step)

    The average a is kept in `state[p]["ax"]`.
    """

    elementwise = True

    def __init__(self, params, lr=1e-2, lambd=1e-4, alpha=0.75, t0=1e6, weight_decay=0, foreach=None, maximize=False,
                 differentiable=False, capturable=False):  # fmt: skip
        super().__init__(params, {"lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay,
                                  "foreach": foreach, "maximize": maximize, "differentiable": differentiable,
                                  "capturable": capturable})  # fmt: skip

    def update(self, device, p, g, state, group):
        t, lr, lambd = count(state), group["lr"], group["lambd"]
        eta, mu, a = state.setdefault("eta", lr), state.setdefault("mu", 1.0), zeros(device, p, state, "ax")
        g = followed(p, g, group)
        p *= 1 - lambd * eta
        p -= eta * g
        if mu == 1:
            a[...] = p
        else:
            blend(a, p, mu)
        state["eta"], state["mu"] = lr / (1 + lambd * lr * t) ** group["alpha"], 1 / max(1, t - group["t0"])
