"""Schedules that go up and down, and the momentum against them: CyclicLR, OneCycleLR (Smith 2017, 2018)."""

import math

from tensorlite import errors
from tensorlite.optim.schedule import LRScheduler, half_cosine, saved_function, set_rate, straight


class _Cyclic(LRScheduler):
    """What both share: the momentum (or beta1) of each group."""

    def _begin_momentum(self, optimizer, base, top, fresh):
        """Check, and begin with the highest momentum; returns the lowest and the highest of each group."""
        if not ({"momentum", "betas"} & set(optimizer.defaults)):
            raise errors.ArgumentError(
                f"{type(self).__name__}: the optimizer {type(optimizer).__name__} has neither momentum nor betas to cycle; "
                "pass cycle_momentum=False"
            )
        self.use_beta1 = "betas" in optimizer.defaults
        lowest = self._per_group("base_momentum", base, optimizer)
        highest = self._per_group("max_momentum", top, optimizer)
        if fresh:
            for group, low, high in zip(optimizer.param_groups, lowest, highest, strict=True):
                self._set_momentum(group, high)
                group["max_momentum"], group["base_momentum"] = high, low
        return lowest, highest

    def _set_momentum(self, group, value):
        if self.use_beta1:
            group["betas"] = (value, *group["betas"][1:])
        else:
            group["momentum"] = value


class CyclicLR(_Cyclic):
    """base_lr + (max_lr - base_lr) x scale: x rises from 0 to 1 in step_size_up steps and falls in step_size_down.

    scale: 1 ("triangular"), 1 / 2^(cycle - 1) ("triangular2"), gamma^t ("exp_range"), or scale_fn(cycle or t).
    cycle_momentum: the momentum (or beta1) goes the other way, from max_momentum to base_momentum and back.
    """

    def __init__(self, optimizer, base_lr, max_lr, step_size_up=2000, step_size_down=None, mode="triangular", gamma=1.0,
                 scale_fn=None, scale_mode="cycle", cycle_momentum=True, base_momentum=0.8, max_momentum=0.9,
                 last_epoch=-1):  # fmt: skip
        self._needs(optimizer)
        base_lrs = self._per_group("base_lr", base_lr, optimizer)
        self.max_lrs = self._per_group("max_lr", max_lr, optimizer)
        if mode not in ("triangular", "triangular2", "exp_range") and scale_fn is None:
            raise errors.ArgumentError(
                f"CyclicLR: mode must be triangular, triangular2 or exp_range, not {mode!r}; or pass scale_fn"
            )
        if last_epoch == -1:
            for lr, group in zip(base_lrs, optimizer.param_groups, strict=True):
                set_rate(group, lr)
        up, down = float(step_size_up), float(step_size_up if step_size_down is None else step_size_down)
        self.total_size, self.step_ratio = up + down, up / (up + down)
        self.mode, self.gamma, self._scale_fn_custom = mode, gamma, scale_fn
        self.scale_mode = scale_mode if scale_fn is not None else "iterations" if mode == "exp_range" else "cycle"
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self.base_momentums, self.max_momentums = self._begin_momentum(
                optimizer, base_momentum, max_momentum, last_epoch == -1
            )
        super().__init__(optimizer, last_epoch)
        self.base_lrs = base_lrs

    def scale_fn(self, x) -> float:
        """How high the cycle x (or the step x) goes."""
        if self._scale_fn_custom is not None:
            return self._scale_fn_custom(x)
        return (
            {"triangular": 1.0, "triangular2": 1 / 2.0 ** (x - 1)}[self.mode]
            if self.mode != "exp_range"
            else self.gamma**x
        )

    def get_lr(self):
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1.0 + self.last_epoch / self.total_size - cycle
        height = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        height *= self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            for group, low, high in zip(
                self.optimizer.param_groups, self.base_momentums, self.max_momentums, strict=True
            ):
                self._set_momentum(group, straight(high, low, height))
        return [straight(low, high, height) for low, high in zip(self.base_lrs, self.max_lrs, strict=True)]

    def state_dict(self):
        return {**super().state_dict(), "_scale_fn_custom": saved_function(self._scale_fn_custom)}

    def load_state_dict(self, state_dict):
        saved = state_dict.get("_scale_fn_custom")
        super().load_state_dict({k: v for k, v in state_dict.items() if k != "_scale_fn_custom"})
        if saved is not None:
            self._scale_fn_custom.__dict__.update(saved)


class OneCycleLR(_Cyclic):
    """Up from max_lr / div_factor to max_lr over pct_start of the steps, then down to that over final_div_factor.

        lr = end + (start - end) / 2 (1 + cos(pi s)) ("cos"), or start + (end - start) s ("linear"), s from 0 to 1 in each phase

    three_phase: down to the first rate in as many steps as up, then on to the last. The momentum (or beta1) goes the other
    way, from max_momentum to base_momentum and back. (Smith and Topin 2018)

    Raises:
        ArgumentError: impossible options; more steps than total_steps.
    """

    def __init__(self, optimizer, max_lr, total_steps=None, epochs=None, steps_per_epoch=None, pct_start=0.3,
                 anneal_strategy="cos", cycle_momentum=True, base_momentum=0.85, max_momentum=0.95, div_factor=25.0,
                 final_div_factor=1e4, three_phase=False, last_epoch=-1):  # fmt: skip
        self._needs(optimizer)
        given = (
            {"total_steps": total_steps}
            if total_steps is not None
            else {"epochs": epochs, "steps_per_epoch": steps_per_epoch}
        )
        if None in given.values():
            raise errors.ArgumentError("OneCycleLR: total_steps is needed, or epochs and steps_per_epoch")
        for name, value in given.items():
            if not isinstance(value, int) or value <= 0:
                raise errors.ArgumentError(f"OneCycleLR: {name} must be an integer above 0, not {value}")
        if not isinstance(pct_start, (int, float)) or not 0 <= pct_start <= 1:
            raise errors.ArgumentError(f"OneCycleLR: pct_start must be in [0, 1], not {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise errors.ArgumentError(
                f"OneCycleLR: anneal_strategy must be 'cos' or 'linear', not {anneal_strategy!r}"
            )
        self.total_steps, self._anneal_func_type = math.prod(given.values()), anneal_strategy
        first, last = float(pct_start * self.total_steps) - 1, self.total_steps - 1
        self._schedule_phases = [_phase(first, "initial_lr", "max_lr", "max_momentum", "base_momentum")]
        if three_phase:
            second = float(2 * pct_start * self.total_steps) - 2
            self._schedule_phases += [
                _phase(second, "max_lr", "initial_lr", "base_momentum", "max_momentum"),
                _phase(last, "initial_lr", "min_lr", "max_momentum", "max_momentum"),
            ]
        else:
            self._schedule_phases += [_phase(last, "max_lr", "min_lr", "base_momentum", "max_momentum")]
        max_lrs = self._per_group("max_lr", max_lr, optimizer)
        if last_epoch == -1:
            for group, top in zip(optimizer.param_groups, max_lrs, strict=True):
                group["initial_lr"], group["max_lr"] = top / div_factor, top
                group["min_lr"] = group["initial_lr"] / final_div_factor
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self._begin_momentum(optimizer, base_momentum, max_momentum, last_epoch == -1)
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        t, start = self.last_epoch, 0.0
        if t > self.total_steps:
            raise errors.ArgumentError(f"OneCycleLR: step {t} was asked for, but total_steps is {self.total_steps}")
        for phase in self._schedule_phases:
            end = phase["end_step"]
            if t <= end or phase is self._schedule_phases[-1]:
                break
            start = end
        anneal = half_cosine if self._anneal_func_type == "cos" else straight
        share, groups = (t - start) / (end - start), self.optimizer.param_groups
        if self.cycle_momentum:
            for group in groups:
                self._set_momentum(group, anneal(group[phase["start_momentum"]], group[phase["end_momentum"]], share))
        return [anneal(group[phase["start_lr"]], group[phase["end_lr"]], share) for group in groups]


def _phase(end, start_lr, end_lr, start_momentum, end_momentum):
    """The last step of a phase, and which values of the group it goes from and to."""
    return {"end_step": end, "start_lr": start_lr, "end_lr": end_lr, "start_momentum": start_momentum,
            "end_momentum": end_momentum}  # fmt: skip
