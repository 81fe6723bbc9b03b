"""Averages of weights over the training, `tl.optim.swa_utils`: AveragedModel (SWA and EMA), SWALR, update_bn.

It stands here, as an averaged model is a Module; `tensorlite.optim.swa_utils` is this module.
"""

import copy
import itertools
import math
import sys

from tensorlite import errors
from tensorlite.creation import tensor
from tensorlite.modes import no_grad
from tensorlite.nn.batchnorm import _BatchNorm
from tensorlite.nn.module import Module
from tensorlite.optim.schedule import LRScheduler

__all__ = ["SWALR", "AveragedModel", "get_ema_avg_fn", "get_ema_multi_avg_fn", "get_swa_avg_fn", "get_swa_multi_avg_fn",
           "update_bn"]  # fmt: skip


def _ema_update(average, current, decay):
    """average = decay average + (1 - decay) current, in place; whole numbers (counters) are cut off."""
    if average.dtype.is_floating_point:
        average.lerp_(current, 1 - decay)
    else:
        average.copy_(average * decay + current * (1 - decay))


def _swa_update(average, current, n):
    """average = average + (current - average) / (n + 1), in place."""
    if average.dtype.is_floating_point:
        average.lerp_(current, 1 / (n + 1))
    else:
        average += (current - average) // (n + 1)


def _decay(name, decay):
    if not 0 <= decay <= 1:
        raise errors.ArgumentError(f"{name}: decay must be in [0, 1], not {decay}")


def get_ema_multi_avg_fn(decay=0.999):
    """For AveragedModel(multi_avg_fn=...): average = decay average + (1 - decay) current. Raises ArgumentError outside [0, 1]."""
    _decay("get_ema_multi_avg_fn", decay)

    @no_grad()
    def ema_update(ema_param_list, current_param_list, _):
        for average, current in zip(ema_param_list, current_param_list, strict=True):
            _ema_update(average, current, decay)

    return ema_update


def get_swa_multi_avg_fn():
    """For AveragedModel(multi_avg_fn=...): the mean of all models so far."""

    @no_grad()
    def swa_update(averaged_param_list, current_param_list, num_averaged):
        for average, current in zip(averaged_param_list, current_param_list, strict=True):
            _swa_update(average, current, int(num_averaged))

    return swa_update


def get_ema_avg_fn(decay=0.999):
    """For AveragedModel(avg_fn=...): decay average + (1 - decay) current. Raises ArgumentError outside [0, 1]."""
    _decay("get_ema_avg_fn", decay)

    @no_grad()
    def ema_update(ema_param, current_param, num_averaged):
        return decay * ema_param + (1 - decay) * current_param

    return ema_update


def get_swa_avg_fn():
    """For AveragedModel(avg_fn=...): the mean of all models so far, a + (p - a) / (n + 1) after n (Izmailov et al. 2018)."""

    @no_grad()
    def swa_update(averaged_param, current_param, num_averaged):
        return averaged_param + (current_param - averaged_param) / (num_averaged + 1)

    return swa_update


class AveragedModel(Module):
    """A copy of a model whose parameters are an average over those of the training, taken by update_parameters(model).

    The mean of all (stochastic weight averaging, Izmailov et al. 2018), or what avg_fn(average, current, n) gives, or
    multi_avg_fn(averages, currents, n) writes: get_ema_multi_avg_fn(decay) makes it an exponential moving average.
    use_buffers: buffers are averaged too; otherwise they are taken from the model as they are.

    Example:
        >>> import tensorlite as tl
        >>> from tensorlite.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
        >>> model = tl.nn.Linear(1, 1, bias=False)
        >>> _ = tl.nn.init.ones_(model.weight)
        >>> ema = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.75))
        >>> ema.update_parameters(model)
        >>> _ = tl.nn.init.zeros_(model.weight)
        >>> ema.update_parameters(model)
        >>> ema.module.weight.item()
        0.75
    """

    def __init__(self, model, device=None, avg_fn=None, multi_avg_fn=None, use_buffers=False):
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise errors.ArgumentError("AveragedModel: avg_fn or multi_avg_fn, not both")
        self.module = copy.deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", tensor(0, device=device))
        self.avg_fn, self.multi_avg_fn, self.use_buffers = avg_fn, multi_avg_fn, use_buffers

    def forward(self, *args, **kwargs):
        """What the averaged model gives."""
        return self.module(*args, **kwargs)

    @no_grad()
    def update_parameters(self, model) -> None:
        """Take the model's parameters into the average."""
        n = self.n_averaged.item()
        both = lambda m: itertools.chain(m.parameters(), m.buffers()) if self.use_buffers else m.parameters()  # noqa: E731
        averages = [p.detach() for p in both(self.module)]
        currents = [p.detach().to(a.device) for p, a in zip(both(model), averages, strict=True)]
        if n == 0:
            for average, current in zip(averages, currents, strict=True):
                average.copy_(current)
        elif self.avg_fn is not None:
            for average, current in zip(averages, currents, strict=True):
                average.copy_(self.avg_fn(average, current, self.n_averaged.to(average.device)))
        else:
            (self.multi_avg_fn or get_swa_multi_avg_fn())(averages, currents, self.n_averaged)
        if not self.use_buffers:
            for average, current in zip(self.module.buffers(), model.buffers(), strict=True):
                average.copy_(current.to(average.device))
        self.n_averaged += 1


@no_grad()
def update_bn(loader, model, device=None) -> None:
    """Compute the running statistics of all batch norms of `model` anew, by one pass over the batches of `loader`.

    A batch is a tensor, or a list whose first element is one. Needed after averaging, as no average has seen data.
    """
    norms = {m: m.momentum for m in model.modules() if isinstance(m, _BatchNorm)}
    if not norms:
        return
    training = model.training
    model.train()
    for m in norms:
        m.reset_running_stats()
        m.momentum = None  # a plain mean over all batches
    for batch in loader:
        x = batch[0] if isinstance(batch, (list, tuple)) else batch
        model(x if device is None else x.to(device))
    for m, momentum in norms.items():
        m.momentum = momentum
    model.train(training)


class SWALR(LRScheduler):
    """From the rates there are to swa_lr (one, or one for each group) in anneal_epochs steps, and constant after that.

        lr_t = a swa_lr + (1 - a) lr_0,  a = (1 - cos(pi s)) / 2 ("cos") or s ("linear"),  s = min(1, t / anneal_epochs)

    anneal_strategy: "cos" or "linear". Raises ArgumentError for others, or anneal_epochs below 0.
    """

    def __init__(self, optimizer, swa_lr, anneal_epochs=10, anneal_strategy="cos", last_epoch=-1):
        self._needs(optimizer)
        if anneal_strategy not in ("cos", "linear"):
            raise errors.ArgumentError(f"SWALR: anneal_strategy must be 'cos' or 'linear', not {anneal_strategy!r}")
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise errors.ArgumentError(f"SWALR: anneal_epochs must be an integer of at least 0, not {anneal_epochs}")
        for group, lr in zip(optimizer.param_groups, self._per_group("swa_lr", swa_lr, optimizer), strict=True):
            group["swa_lr"] = lr
        self.anneal_epochs, self._anneal_strategy = anneal_epochs, anneal_strategy
        super().__init__(optimizer, last_epoch)

    def _share(self, step):
        t = max(0, min(1, step / max(1, self.anneal_epochs)))
        return t if self._anneal_strategy == "linear" else (1 - math.cos(math.pi * t)) / 2

    def get_lr(self):
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, share = self._share(step - 1), self._share(step)
        rates = []
        for group, lr in zip(self.optimizer.param_groups, self._rates(), strict=True):
            first = group["swa_lr"] if before == 1 else (lr - before * group["swa_lr"]) / (1 - before)
            rates.append(group["swa_lr"] * share + first * (1 - share))
        return rates


sys.modules["tensorlite.optim.swa_utils"] = sys.modules[__name__]
