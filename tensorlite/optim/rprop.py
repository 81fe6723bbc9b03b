"""Rprop (Riedmiller and Braun 1993): each number has a step size of its own, and only the gradient's sign counts."""

from tensorlite.optim.optimizer import Optimizer, count, zeros


class Rprop(Optimizer):
    """For each number of a parameter p with gradient g (-g under maximize), g' the gradient of the step before:

        g g' > 0:  s = min(s eta_plus, s_max)
        g g' < 0:  s = max(s eta_minus, s_min), and g = 0
        p = p - sign(g) s

    etas: (eta_minus, eta_plus); step_sizes: (s_min, s_max); s starts as lr. For full batches only.
    """

    elementwise = True

    def __init__(self, params, lr=1e-2, etas=(0.5, 1.2), step_sizes=(1e-6, 50), *, capturable=False, foreach=None,
                 maximize=False, differentiable=False):  # fmt: skip
        super().__init__(params, {"lr": lr, "etas": etas, "step_sizes": step_sizes, "foreach": foreach, "maximize": maximize,
                                  "differentiable": differentiable, "capturable": capturable})  # fmt: skip

    def check(self, group):
        super().check(group)
        minus, plus = group["etas"]
        if not 0 < minus < 1 < plus:
            self.refuse("etas", group["etas"], "(eta_minus, eta_plus) with 0 < eta_minus < 1 < eta_plus")

    def update(self, device, p, g, state, group):
        xp, (minus, plus), (least, most) = device.backend.xp, group["etas"], group["step_sizes"]
        before, s = zeros(device, p, state, "prev"), zeros(device, p, state, "step_size", group["lr"])
        count(state)
        g = -g if group["maximize"] else g
        turn = g * before
        s[turn > 0] *= plus
        s[turn < 0] *= minus
        s[...] = xp.clip(s, least, most)
        g = xp.where(turn < 0, xp.zeros_like(g), g)
        p -= xp.sign(g) * s
        before[...] = g
