"""LRScheduler, the base class of the learning-rate schedules; these stand in schedule_*.py, their names in lr_scheduler.py."""

import math
import warnings

from tensorlite import errors
from tensorlite.optim.optimizer import Optimizer
from tensorlite.tensor import Tensor

FUNCTIONS = (type(lambda: 0), type(len))  # not saved; objects that can be called are


class LRScheduler:
    """Base class: `get_lr()` gives the rate of each group at `last_epoch`, from the rates set now; `step()` goes on by one.

    As rates are computed from those before, several schedules may act on one optimizer, and a rate may be changed by hand.
    A subclass may give `_get_closed_form_lr()` too: the rates at last_epoch from the first ones, for step(epoch).

    last_epoch: -1 starts anew; otherwise each group must have its "initial_lr" (load the optimizer's state first).

    Raises:
        DTypeError: not an Optimizer. ArgumentError: impossible options; no "initial_lr" to go on from.
    """

    def __init__(self, optimizer, last_epoch=-1):
        self._needs(optimizer)
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", number(group["lr"]))
            elif "initial_lr" not in group:
                raise errors.ArgumentError(
                    f"{type(self).__name__}: param_groups[{i}] has no 'initial_lr' to go on from epoch {last_epoch}; "
                    "load the optimizer's state_dict first"
                )
        self.optimizer, self.last_epoch, self._step_count = optimizer, last_epoch, 0
        self.base_lrs = [number(g["initial_lr"]) for g in optimizer.param_groups]
        self._initial_step()
        self._get_lr_called_within_step = False  # PyTorch's states have it

    def _needs(self, optimizer):
        if not isinstance(optimizer, Optimizer):
            raise errors.DTypeError(f"{type(self).__name__}: an Optimizer is needed, not {type(optimizer).__name__}")

    def _per_group(self, name, value, optimizer):
        """One value for each group, from one for all or a list."""
        n = len(optimizer.param_groups)
        values = list(value) if isinstance(value, (list, tuple)) else [value] * n
        if len(values) != n:
            raise errors.ArgumentError(
                f"{type(self).__name__}: {name} has {len(values)} values for {n} parameter groups"
            )
        return values

    def _initial_step(self):
        self._step_count, self._is_initial = 0, True
        self.step()
        self._is_initial = False

    def get_lr(self) -> list:
        """The rate of each group now; for subclasses to define."""
        raise NotImplementedError

    def step(self, epoch=None) -> None:
        """Go on by one (or to `epoch`) and set the rates."""
        if self._step_count == 1 and not self.optimizer._opt_called:
            warnings.warn(
                "lr_scheduler.step() was called before optimizer.step(): the first rate of the schedule is skipped. "
                "Call optimizer.step() first.",
                UserWarning,
                stacklevel=2,
            )
        if epoch is not None:
            warnings.warn(
                "step(epoch) is deprecated: call step() without it; schedules can be chained then.",
                UserWarning,
                stacklevel=2,
            )
        self._step_count += 1
        self._update_lr(epoch)

    def _update_lr(self, epoch=None):
        if epoch is None:
            self.last_epoch += 1
            rates = self.get_lr()
        else:
            self.last_epoch = epoch
            rates = getattr(self, "_get_closed_form_lr", self.get_lr)()
        self._set(rates)

    def _set(self, rates):
        for group, lr in zip(self.optimizer.param_groups, rates, strict=True):
            set_rate(group, lr)
        self._last_lr = [number(g["lr"]) for g in self.optimizer.param_groups]

    def _rates(self):
        """The rates set now, as numbers."""
        return [number(g["lr"]) for g in self.optimizer.param_groups]

    def get_last_lr(self) -> list:
        """The rates this schedule set last."""
        return self._last_lr

    def state_dict(self) -> dict:
        """All but the optimizer; of functions only objects that can be called, by their attributes."""
        return {k: v for k, v in self.__dict__.items() if k != "optimizer"}

    def load_state_dict(self, state_dict) -> None:
        """Go on from a state_dict. The rates set now are part of the optimizer's state: load that too."""
        self.__dict__.update(state_dict)


class FunctionLR(LRScheduler):
    """What LambdaLR and MultiplicativeLR share: one function for all groups, or a list of them."""

    def __init__(self, optimizer, lr_lambda, last_epoch=-1):
        self._needs(optimizer)
        self.lr_lambdas = self._per_group("lr_lambda", lr_lambda, optimizer)
        super().__init__(optimizer, last_epoch)

    def state_dict(self):
        state = super().state_dict()
        state["lr_lambdas"] = [saved_function(f) for f in self.lr_lambdas]
        return state

    def load_state_dict(self, state_dict):
        super().load_state_dict({k: v for k, v in state_dict.items() if k != "lr_lambdas"})
        for function, saved in zip(self.lr_lambdas, state_dict["lr_lambdas"], strict=True):
            if saved is not None:
                function.__dict__.update(saved)


def number(value):
    """A rate, which may be a tensor of one element, as a number."""
    return value.item() if isinstance(value, Tensor) else value


def set_rate(group, lr) -> None:
    """Set the rate of a group; a tensor stays the same tensor."""
    if isinstance(group["lr"], Tensor):
        group["lr"].fill_(lr)
    else:
        group["lr"] = lr


def saved_function(function):
    """What is saved of a function: the attributes of an object that can be called, else None."""
    return None if function is None or isinstance(function, FUNCTIONS) else dict(function.__dict__)


def half_cosine(start, end, share):
    """From start to end on half a cosine, as share goes from 0 to 1."""
    return end + (start - end) / 2 * (1 + math.cos(math.pi * share))


def straight(start, end, share):
    """From start to end on a straight line, as share goes from 0 to 1."""
    return (end - start) * share + start
