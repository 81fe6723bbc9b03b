"""Schedules that multiply the rate: by a function, at steps, over some first steps, or always."""

from collections import Counter

from tensorlite import errors
from tensorlite.optim.schedule import FunctionLR, LRScheduler


class LambdaLR(FunctionLR):
    """initial_lr lr_lambda(t); one function for all groups or a list of them.

    Example:
        >>> import tensorlite as tl
        >>> opt = tl.optim.SGD([tl.nn.Parameter(tl.ones(1))], lr=0.5)
        >>> schedule = tl.optim.lr_scheduler.LambdaLR(opt, lambda t: 1 / (t + 1))
        >>> opt.step(); schedule.step(); schedule.get_last_lr()
        [0.25]
    """

    def get_lr(self):
        return [lr * f(self.last_epoch) for lr, f in zip(self.base_lrs, self.lr_lambdas, strict=True)]


class MultiplicativeLR(FunctionLR):
    """The rate before times lr_lambda(t); one function for all groups or a list of them."""

    def get_lr(self):
        if self._is_initial:
            return self._rates()
        return [lr * f(self.last_epoch) for lr, f in zip(self._rates(), self.lr_lambdas, strict=True)]


class _Factor(LRScheduler):
    """A schedule given by `factor(t)`, the rate at t over that at t - 1, and `whole(t)`, over the first."""

    def get_lr(self):
        f = 1 if self.last_epoch == 0 else self.factor(self.last_epoch)
        return [lr * f for lr in self._rates()]

    def _get_closed_form_lr(self):
        f = self.whole(self.last_epoch)
        return [lr * f for lr in self.base_lrs]


class StepLR(_Factor):
    """lr gamma^(t // step_size)."""

    def __init__(self, optimizer, step_size, gamma=0.1, last_epoch=-1):
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def factor(self, t):
        """gamma at each step_size."""
        return self.gamma if t % self.step_size == 0 else 1

    def whole(self, t):
        """gamma^(t // step_size)."""
        return self.gamma ** (t // self.step_size)


class MultiStepLR(_Factor):
    """The rate times gamma at each of the milestones."""

    def __init__(self, optimizer, milestones, gamma=0.1, last_epoch=-1):
        self.milestones, self.gamma = Counter(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def factor(self, t):
        """gamma at each milestone, as often as it is given."""
        return self.gamma ** self.milestones[t] if t in self.milestones else 1

    def whole(self, t):
        """gamma^(milestones up to t)."""
        return self.gamma ** sum(n for m, n in self.milestones.items() if m <= t)

    def state_dict(self):
        return {**super().state_dict(), "milestones": dict(self.milestones)}

    def load_state_dict(self, state_dict):
        super().load_state_dict({**state_dict, "milestones": Counter(state_dict["milestones"])})


class ConstantLR(LRScheduler):
    """lr_t = factor lr while t < total_iters, then lr. Raises ArgumentError: a factor outside of 0..1."""

    def __init__(self, optimizer, factor=1.0 / 3, total_iters=5, last_epoch=-1):
        if not 0 <= factor <= 1:
            raise errors.ArgumentError(f"ConstantLR: factor must be in [0, 1], not {factor}")
        self.factor, self.total_iters = factor, total_iters
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        t = self.last_epoch
        f = self.factor if t == 0 else 1.0 / self.factor if t == self.total_iters else 1
        return [lr * f for lr in self._rates()]

    def _get_closed_form_lr(self):
        return [lr * (self.factor if self.last_epoch < self.total_iters else 1) for lr in self.base_lrs]


class LinearLR(LRScheduler):
    """lr_t = lr (start_factor + (end_factor - start_factor) min(t, total_iters) / total_iters): a straight line, then level.

    Raises:
        ArgumentError: a start_factor outside of (0, 1], an end_factor outside of [0, 1].
    """

    def __init__(self, optimizer, start_factor=1.0 / 3, end_factor=1.0, total_iters=5, last_epoch=-1):
        if not 0 < start_factor <= 1:
            raise errors.ArgumentError(f"LinearLR: start_factor must be in (0, 1], not {start_factor}")
        if not 0 <= end_factor <= 1:
            raise errors.ArgumentError(f"LinearLR: end_factor must be in [0, 1], not {end_factor}")
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        t, n, start, end = self.last_epoch, self.total_iters, self.start_factor, self.end_factor
        if t == 0:
            return [lr * start for lr in self._rates()]
        if self._is_initial or t > n:
            return self._rates()
        return [lr * (1 + (end - start) / (n * start + (t - 1) * (end - start))) for lr in self._rates()]

    def _get_closed_form_lr(self):
        rise = (self.end_factor - self.start_factor) * min(self.total_iters, self.last_epoch) / self.total_iters
        return [lr * (self.start_factor + rise) for lr in self.base_lrs]


class ExponentialLR(_Factor):
    """lr gamma^t."""

    def __init__(self, optimizer, gamma, last_epoch=-1):
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def factor(self, t):
        """gamma, but for a schedule that is just being made."""
        return 1 if self._is_initial else self.gamma

    def whole(self, t):
        """gamma^t."""
        return self.gamma**t


class PolynomialLR(LRScheduler):
    """lr (1 - min(t, total_iters) / total_iters)^power."""

    def __init__(self, optimizer, total_iters=5, power=1.0, last_epoch=-1):
        self.total_iters, self.power = total_iters, power
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        t, n = self.last_epoch, self.total_iters
        if self._is_initial or t > n:
            return self._rates()
        f = ((1.0 - t / n) / (1.0 - (t - 1) / n)) ** self.power
        return [lr * f for lr in self._rates()]

    def _get_closed_form_lr(self):
        f = (1.0 - min(self.total_iters, self.last_epoch) / self.total_iters) ** self.power
        return [lr * f for lr in self.base_lrs]
