"""RMSprop (Hinton 2012, lecture 6e of the course on neural networks; centered: Graves 2013)."""

from tensorlite.optim.optimizer import Optimizer, blend, count, followed, zeros


class RMSprop(Optimizer):
    """For each parameter p with gradient g (+ wd p; -g under maximize):

    v = alpha v + (1 - alpha) g^2        centered: a = alpha a + (1 - alpha) g, and v - a^2 takes the place of v below
    b = momentum b + g / (sqrt(v) + eps)        p = p - lr b
    """

    elementwise = True

    def __init__(self, params, lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0, momentum=0, centered=False, capturable=False,
                 foreach=None, maximize=False, differentiable=False):  # fmt: skip
        super().__init__(params, {"lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "centered": centered,
                                  "weight_decay": weight_decay, "capturable": capturable, "foreach": foreach,
                                  "maximize": maximize, "differentiable": differentiable})  # fmt: skip

    def check(self, group):
        super().check(group)
        if not group["alpha"] >= 0:
            self.refuse("alpha", group["alpha"], "at least 0")

    def update(self, device, p, g, state, group):
        xp, alpha = device.backend.xp, group["alpha"]
        v = zeros(device, p, state, "square_avg")
        count(state)
        g = followed(p, g, group)
        blend(v, g * g, 1 - alpha)
        if group["centered"]:
            a = zeros(device, p, state, "grad_avg")
            blend(a, g, 1 - alpha)
            v = v - a * a
        step = g / (xp.sqrt(v) + group["eps"])
        if group["momentum"]:
            b = zeros(device, p, state, "momentum_buffer")
            b *= group["momentum"]
            b += step
            step = b
        p -= group["lr"] * step
