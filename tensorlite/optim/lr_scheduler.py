"""Learning-rate schedules: LambdaLR, CosineAnnealingLR, and the transformer's cosine with warm-up."""

import math

from tensorlite import errors
from tensorlite.optim.optimizer import Optimizer


class LRScheduler:
    """Base class: `get_lr()` gives the rate of each group at `last_epoch`; `step()` goes on by one."""

    def __init__(self, optimizer, last_epoch=-1):
        if not isinstance(optimizer, Optimizer):
            raise errors.DTypeError(f"{type(self).__name__}: an Optimizer is needed, not {type(optimizer).__name__}")
        self.optimizer, self.last_epoch = optimizer, last_epoch
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
        self.base_lrs = [g["initial_lr"] for g in optimizer.param_groups]
        self.step()

    def get_lr(self) -> list:
        """The rate of each group now; for subclasses to define."""
        raise NotImplementedError

    def step(self) -> None:
        """Go on by one and set the rates."""
        self.last_epoch += 1
        for group, lr in zip(self.optimizer.param_groups, self.get_lr(), strict=True):
            group["lr"] = lr

    def get_last_lr(self) -> list:
        """The rates that are set now."""
        return [g["lr"] for g in self.optimizer.param_groups]

    def state_dict(self) -> dict:
        """All but the optimizer and functions."""
        return {k: v for k, v in self.__dict__.items() if k not in ("optimizer", "lr_lambdas")}

    def load_state_dict(self, state_dict) -> None:
        """Go on from a state_dict; the rates are set again."""
        self.__dict__.update(state_dict)
        for group, lr in zip(self.optimizer.param_groups, self.get_lr(), strict=True):
            group["lr"] = lr


class LambdaLR(LRScheduler):
    """initial_lr * lr_lambda(epoch); one function for all groups or a list of them."""

    def __init__(self, optimizer, lr_lambda, last_epoch=-1):
        n = len(getattr(optimizer, "param_groups", ()))  # the base class says what is wrong with anything else
        self.lr_lambdas = list(lr_lambda) if isinstance(lr_lambda, (list, tuple)) else [lr_lambda] * n
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        return [lr * f(self.last_epoch) for lr, f in zip(self.base_lrs, self.lr_lambdas, strict=True)]


class CosineAnnealingLR(LRScheduler):
    """eta_min + (lr - eta_min) (1 + cos(pi t / T_max)) / 2 (Loshchilov and Hutter 2017)."""

    def __init__(self, optimizer, T_max, eta_min=0.0, last_epoch=-1):
        if T_max <= 0:
            raise errors.ArgumentError(f"CosineAnnealingLR: T_max must be above 0, not {T_max}")
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        share = (1 + math.cos(math.pi * self.last_epoch / self.T_max)) / 2
        return [self.eta_min + (lr - self.eta_min) * share for lr in self.base_lrs]


class WarmupCosineLR(LRScheduler):
    """Linear warm-up over `warmup` steps, then a cosine down to `final` times the rate at step `total`, constant after that.

    t < warmup: lr (t + 1) / (warmup + 1);  else lr (final + (1 - final) (1 + cos(pi (t - warmup) / (total - warmup))) / 2).
    """

    def __init__(self, optimizer, warmup, total, final=0.1, last_epoch=-1):
        if not 0 <= warmup <= total:
            raise errors.ArgumentError(f"WarmupCosineLR: needs 0 <= warmup <= total, got {warmup} and {total}")
        self.warmup, self.total, self.final = warmup, total, final
        super().__init__(optimizer, last_epoch)

    def factor(self, t: int) -> float:
        """What the rate is multiplied by at step t."""
        if t < self.warmup:
            return (t + 1) / (self.warmup + 1)
        done = min(1.0, (t - self.warmup) / max(1, self.total - self.warmup))
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * done)) / 2

    def get_lr(self):
        return [lr * self.factor(self.last_epoch) for lr in self.base_lrs]
