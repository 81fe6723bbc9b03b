"""Cosine schedules, with restarts and with warm-up, and the first transformer's warm-up ("Noam")."""

import math

from tensorlite import errors
from tensorlite.optim.schedule import LRScheduler, half_cosine


class CosineAnnealingLR(LRScheduler):
    """eta_min + (lr - eta_min) (1 + cos(pi t / T_max)) / 2 (Loshchilov and Hutter 2017)."""

    def __init__(self, optimizer, T_max, eta_min=0.0, last_epoch=-1):
        if T_max <= 0:
            raise errors.ArgumentError(f"CosineAnnealingLR: T_max must be above 0, not {T_max}")
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        t, n, low = self.last_epoch, self.T_max, self.eta_min
        if self._is_initial:
            return self._rates()
        if self._step_count == 1 and t > 0:
            return self._get_closed_form_lr()
        if (t - 1 - n) % (2 * n) == 0:  # the rate before is eta_min: nothing to scale
            return [
                lr + (base - low) * (1 - math.cos(math.pi / n)) / 2
                for base, lr in zip(self.base_lrs, self._rates(), strict=True)
            ]
        f = (1 + math.cos(math.pi * t / n)) / (1 + math.cos(math.pi * (t - 1) / n))
        return [f * (lr - low) + low for lr in self._rates()]

    def _get_closed_form_lr(self):
        return [half_cosine(lr, self.eta_min, self.last_epoch / self.T_max) for lr in self.base_lrs]


class CosineAnnealingWarmRestarts(LRScheduler):
    """eta_min + (lr - eta_min) (1 + cos(pi T_cur / T_i)) / 2; after T_i steps again from lr, with T_i T_mult times as long.

    `step(epoch)` with fractions is allowed: step(epoch + i / iterations). (Loshchilov and Hutter 2017)
    """

    def __init__(self, optimizer, T_0, T_mult=1, eta_min=0.0, last_epoch=-1):
        for name, value in (("T_0", T_0), ("T_mult", T_mult)):
            if value < 1 or not isinstance(value, int):
                raise errors.ArgumentError(
                    f"CosineAnnealingWarmRestarts: {name} must be an integer of at least 1, not {value}"
                )
        if not isinstance(eta_min, (float, int)):
            raise errors.ArgumentError(f"CosineAnnealingWarmRestarts: eta_min must be a number, not {eta_min!r}")
        self.T_0, self.T_i, self.T_mult, self.eta_min, self.T_cur = T_0, T_0, T_mult, eta_min, last_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        return [half_cosine(lr, self.eta_min, self.T_cur / self.T_i) for lr in self.base_lrs]

    def step(self, epoch=None):
        """Go on by one, or to `epoch`, which may be a fraction. Raises ArgumentError for one below 0."""
        if epoch is None and self.last_epoch < 0:
            epoch = 0
        self._step_count += 1
        if epoch is None:
            epoch = self.last_epoch + 1
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur, self.T_i = self.T_cur % self.T_i, self.T_i * self.T_mult
        elif epoch < 0:
            raise errors.ArgumentError(f"CosineAnnealingWarmRestarts: epoch must be at least 0, not {epoch}")
        elif epoch < self.T_0:
            self.T_cur, self.T_i = epoch, self.T_0
        elif self.T_mult == 1:
            self.T_cur = epoch % self.T_0
        else:
            n = int(math.log(epoch / self.T_0 * (self.T_mult - 1) + 1, self.T_mult))
            self.T_cur = epoch - self.T_0 * (self.T_mult**n - 1) / (self.T_mult - 1)
            self.T_i = self.T_0 * self.T_mult**n
        self.last_epoch = math.floor(epoch)
        self._set(self.get_lr())


class _FirstRate(LRScheduler):
    """A schedule given by `factor(t)`, over the first rate; not PyTorch's. Loading a state sets the rates too."""

    def get_lr(self):
        return [lr * self.factor(self.last_epoch) for lr in self.base_lrs]

    def load_state_dict(self, state_dict):
        super().load_state_dict(state_dict)
        self._set(self.get_lr())


class WarmupCosineLR(_FirstRate):
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


class NoamLR(_FirstRate):
    """lr d_model^-0.5 min(t^-0.5, t warmup^-1.5) at step t = 1, 2, ... (Vaswani et al. 2017, section 5.3).

    The highest rate, lr / sqrt(d_model warmup), is reached at step `warmup`; the paper's lr is 1, with 4000 warm-up steps.

    Example:
        >>> import tensorlite as tl
        >>> opt = tl.optim.Adam([tl.nn.Parameter(tl.ones(1))], lr=1.0, betas=(0.9, 0.98), eps=1e-9)
        >>> schedule = tl.optim.lr_scheduler.NoamLR(opt, d_model=4, warmup=100)
        >>> round(schedule.get_last_lr()[0], 6)
        0.0005
    """

    def __init__(self, optimizer, d_model, warmup=4000, last_epoch=-1):
        for name, value in (("d_model", d_model), ("warmup", warmup)):
            if value < 1:
                raise errors.ArgumentError(f"NoamLR: {name} must be at least 1, not {value}")
        self.d_model, self.warmup = d_model, warmup
        super().__init__(optimizer, last_epoch)

    def factor(self, t: int) -> float:
        """What the rate is multiplied by after t steps."""
        return self.d_model**-0.5 * min((t + 1) ** -0.5, (t + 1) * self.warmup**-1.5)
