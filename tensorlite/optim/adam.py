"""Adam (Kingma and Ba 2015) and AdamW (Loshchilov and Hutter 2019)."""

from tensorlite.optim.optimizer import Optimizer, count, zeros


class AdamW(Optimizer):
    """Adam with weight decay apart from the gradient. For each parameter p with gradient g, at step t:

        p = p - lr wd p
        m = b1 m + (1 - b1) g                     v = b2 v + (1 - b2) g^2
        p = p - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)

    amsgrad: the largest v so far takes the place of v (Reddi et al. 2018). maximize: -g takes the place of g.

    Example:
        >>> import tensorlite as tl
        >>> p = tl.nn.Parameter(tl.ones(1))
        >>> opt = tl.optim.AdamW([p], lr=0.1, weight_decay=0.0)
        >>> p.sum().backward(); opt.step(); p.item() < 1
        True
    """

    elementwise = True

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2, amsgrad=False, *, maximize=False,
                 foreach=None, capturable=False, differentiable=False, fused=None):  # fmt: skip
        self._start(
            params, lr, betas, eps, weight_decay, amsgrad, maximize, foreach, capturable, differentiable, fused, True
        )

    def _start(self, params, lr, betas, eps, weight_decay, amsgrad, maximize, foreach, capturable, differentiable, fused,
               decoupled_weight_decay):  # fmt: skip
        defaults = {
            "lr": lr,
            "betas": tuple(float(b) for b in betas),
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        Optimizer.__init__(self, params, defaults)

    def update(self, device, p, g, state, group):
        step, decay, decoupled = count(state), group["weight_decay"], group["decoupled_weight_decay"]
        if decay and not decoupled:
            g = (-g if group["maximize"] else g) + decay * p
        device.backend.adamw_step(
            p,
            g,
            zeros(device, p, state, "exp_avg"),
            zeros(device, p, state, "exp_avg_sq"),
            lr=group["lr"],
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            eps=group["eps"],
            weight_decay=decay if decoupled else 0.0,
            step=step,
            maximize=group["maximize"] and (decoupled or not decay),
            vmax=zeros(device, p, state, "max_exp_avg_sq") if group["amsgrad"] else None,
        )


class Adam(AdamW):
    """Adam; weight decay, if any, is added to the gradient: g + wd p (not with decoupled_weight_decay). The rest is as in AdamW.

    p = p - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)
    """

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, amsgrad=False, *, foreach=None,
                 maximize=False, capturable=False, differentiable=False, fused=None, decoupled_weight_decay=False):  # fmt: skip
        self._start(params, lr, betas, eps, weight_decay, amsgrad, maximize, foreach, capturable, differentiable, fused,
                    decoupled_weight_decay)  # fmt: skip
