"""Schedules made of others, SequentialLR and ChainedScheduler; and ReduceLROnPlateau, which follows a measured value."""

from bisect import bisect_right

from tensorlite import errors
from tensorlite.optim.schedule import LRScheduler, set_rate


class _Several(LRScheduler):
    """What both share: the list of schedules, all of one optimizer; saving and loading."""

    def _check(self, optimizer, schedulers):
        name = type(self).__name__
        if len(schedulers) < 1:
            raise errors.ArgumentError(f"{name}: at least one schedule is needed")
        for i, scheduler in enumerate(schedulers):
            if not isinstance(scheduler, LRScheduler):
                raise errors.DTypeError(f"{name}: schedule {i} is {type(scheduler).__name__}, not an LRScheduler")
            if isinstance(scheduler, ReduceLROnPlateau):
                raise errors.ArgumentError(
                    f"{name}: schedule {i} is ReduceLROnPlateau, whose step needs a value; call it apart"
                )
            if scheduler.optimizer is not optimizer:
                raise errors.ArgumentError(f"{name}: schedule {i} belongs to another optimizer")

    def state_dict(self):
        state = {k: v for k, v in super().state_dict().items() if k != "_schedulers"}
        return {**state, "_schedulers": [s.state_dict() for s in self._schedulers]}

    def load_state_dict(self, state_dict):
        super().load_state_dict({k: v for k, v in state_dict.items() if k != "_schedulers"})
        for scheduler, state in zip(self._schedulers, state_dict["_schedulers"], strict=True):
            scheduler.load_state_dict(state)


class SequentialLR(_Several):
    """One schedule after the other: number i from step milestones[i - 1] on, beginning there at its own step 0.

    Example:
        >>> import tensorlite as tl
        >>> from tensorlite.optim import lr_scheduler
        >>> opt = tl.optim.SGD([tl.nn.Parameter(tl.ones(1))], lr=1.0)
        >>> parts = [lr_scheduler.ConstantLR(opt, 0.5, 10), lr_scheduler.ExponentialLR(opt, 0.5)]
        >>> schedule = lr_scheduler.SequentialLR(opt, parts, milestones=[1])
        >>> opt.step(); schedule.step(); schedule.step(); schedule.get_last_lr()
        [0.5]
    """

    def __init__(self, optimizer, schedulers, milestones, last_epoch=-1):
        self._check(optimizer, schedulers)
        if len(milestones) != len(schedulers) - 1:
            raise errors.ArgumentError(
                f"SequentialLR: {len(schedulers)} schedules need {len(schedulers) - 1} milestones, got {len(milestones)}"
            )
        self._schedulers, self._milestones = schedulers, milestones
        self.last_epoch, self.optimizer = last_epoch + 1, optimizer
        for group in optimizer.param_groups:
            set_rate(group, group["initial_lr"])
        self.recursive_undo()
        first = schedulers[bisect_right(milestones, 0)]
        first._initial_step()
        self._last_lr = first.get_last_lr()

    def step(self):
        """Go on by one."""
        self.last_epoch += 1
        i = bisect_right(self._milestones, self.last_epoch)
        scheduler = self._schedulers[i]
        if i > 0 and self._milestones[i - 1] == self.last_epoch:
            scheduler._update_lr(0)
        else:
            scheduler.step()
        self._last_lr = scheduler.get_last_lr()

    def recursive_undo(self, sched=None) -> None:
        """Take back the step with which each schedule (or `sched`, and those inside of it) was made."""
        sched = self if sched is None else sched
        if hasattr(sched, "_schedulers"):
            for part in sched._schedulers:
                self.recursive_undo(part)
        elif hasattr(sched, "last_epoch"):
            sched.last_epoch -= 1


class ChainedScheduler(_Several):
    """All schedules at once: each changes the rate that the one before it has set."""

    def __init__(self, schedulers, optimizer=None):
        optimizer = optimizer or (schedulers[0].optimizer if schedulers else None)
        self._check(optimizer, schedulers)
        self._schedulers, self.optimizer = schedulers, optimizer
        self._last_lr = self._rates()

    def step(self):
        """Go on by one in each."""
        for scheduler in self._schedulers:
            scheduler.step()
        self._last_lr = self._rates()


class ReduceLROnPlateau(LRScheduler):
    """The rate times `factor` when the value given to step() has not become better for more than `patience` steps.

    better: below best (1 - threshold) in mode "min" with threshold_mode "rel", below best - threshold with "abs"; in mode
    "max" above best (1 + threshold) or best + threshold. cooldown: steps after a change in which none is counted.
    min_lr: the least rate, one or one for each group; changes up to eps are left out.
    """

    def __init__(self, optimizer, mode="min", factor=0.1, patience=10, threshold=1e-4, threshold_mode="rel", cooldown=0,
                 min_lr=0, eps=1e-8):  # fmt: skip
        self._needs(optimizer)
        if factor >= 1.0:
            raise errors.ArgumentError(f"ReduceLROnPlateau: factor must be below 1, not {factor}")
        for name, value, known in (("mode", mode, ("min", "max")), ("threshold_mode", threshold_mode, ("rel", "abs"))):
            if value not in known:
                raise errors.ArgumentError(
                    f"ReduceLROnPlateau: {name} must be {known[0]!r} or {known[1]!r}, not {value!r}"
                )
        self.optimizer, self.factor, self.patience, self.cooldown, self.eps = optimizer, factor, patience, cooldown, eps
        self.default_min_lr, self.min_lrs = min_lr, self._per_group("min_lr", min_lr, optimizer)
        self.mode, self.threshold, self.threshold_mode = mode, threshold, threshold_mode
        self.mode_worse = float("inf") if mode == "min" else -float("inf")
        self.last_epoch, self._last_lr = 0, self._rates()
        self._reset()

    def _reset(self):
        self.best = self.mode_worse
        self.cooldown_counter = self.num_bad_epochs = 0

    def step(self, metrics, epoch=None):
        """Go on by one, with the value to watch."""
        current, self.last_epoch = float(metrics), self.last_epoch + 1 if epoch is None else epoch
        if self.is_better(current, self.best):
            self.best, self.num_bad_epochs = current, 0
        else:
            self.num_bad_epochs += 1
        if self.in_cooldown:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce_lr()
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
        self._last_lr = self._rates()

    def _reduce_lr(self):
        groups = self.optimizer.param_groups
        if len(groups) != len(self.min_lrs):
            self.min_lrs = self._per_group("min_lr", self.default_min_lr, self.optimizer)  # a group was added
        for group, old, least in zip(groups, self._rates(), self.min_lrs, strict=True):
            if old - (new := max(old * self.factor, least)) > self.eps:
                set_rate(group, new)

    @property
    def in_cooldown(self) -> bool:
        """Whether no steps are counted now."""
        return self.cooldown_counter > 0

    def is_better(self, a, best) -> bool:
        """Whether the value a is better than the best one, by the threshold."""
        sign = -1 if self.mode == "min" else 1
        bound = best * (1 + sign * self.threshold) if self.threshold_mode == "rel" else best + sign * self.threshold
        return sign * a > sign * bound
