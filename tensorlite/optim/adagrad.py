"""Adagrad (Duchi, Hazan and Singer 2011)."""

from tensorlite.optim.optimizer import Optimizer, count, followed, zeros


class Adagrad(Optimizer):
    """For each parameter p with gradient g (+ wd p; -g under maximize), at step t:

    s = s + g^2        p = p - lr / (1 + (t - 1) lr_decay) g / (sqrt(s) + eps)
    """

    elementwise = True

    def __init__(self, params, lr=1e-2, lr_decay=0, weight_decay=0, initial_accumulator_value=0, eps=1e-10, foreach=None, *,
                 maximize=False, differentiable=False, fused=None):  # fmt: skip
        super().__init__(params, {"lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay,
                                  "initial_accumulator_value": initial_accumulator_value, "foreach": foreach,
                                  "maximize": maximize, "differentiable": differentiable, "fused": fused})  # fmt: skip

    def add_param_group(self, param_group):
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        for p in group["params"]:  # as in PyTorch the sums are there from the start
            self.state[p]["step"] = 0
            zeros(p.device, p.array, self.state[p], "sum", group["initial_accumulator_value"])

    def update(self, device, p, g, state, group):
        xp, t = device.backend.xp, count(state)
        s = zeros(device, p, state, "sum", group["initial_accumulator_value"])
        g = followed(p, g, group)
        s += g * g
        p -= group["lr"] / (1 + (t - 1) * group["lr_decay"]) * (g / (xp.sqrt(s) + group["eps"]))
