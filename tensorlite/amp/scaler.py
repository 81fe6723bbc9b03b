"""GradScaler: keeps the gradients of a float16 loss from vanishing. What autocast does is in casting.py and policy.py."""

from tensorlite.errors import ArgumentError, DTypeError, describe
from tensorlite.modes import no_grad
from tensorlite.tensor import Tensor


class GradScaler:
    """Keeps float16 gradients from vanishing: the loss is multiplied by a scale, the gradients divided by it before a step.

    A step whose gradients are not all finite is left out, and the scale goes down by backoff_factor; after growth_interval
    steps without one it goes up by growth_factor. (Micikevicius et al. 2018)

    Example:
        >>> import tensorlite as tl
        >>> p = tl.nn.Parameter(tl.ones(1))
        >>> opt, scaler = tl.optim.SGD([p], lr=0.5), tl.amp.GradScaler("cpu")
        >>> scaler.scale(p.sum()).backward()
        >>> scaler.step(opt)
        >>> scaler.update()
        >>> p.item()
        0.5
    """

    def __init__(self, device="cuda", init_scale=2.0**16, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000,
                 enabled=True):  # fmt: skip
        if enabled and growth_factor <= 1:
            raise ArgumentError(f"GradScaler: growth_factor must be above 1, not {growth_factor}")
        if enabled and backoff_factor >= 1:
            raise ArgumentError(f"GradScaler: backoff_factor must be below 1, not {backoff_factor}")
        self._device, self._enabled, self._scale, self._growth_tracker = device, enabled, float(init_scale), 0
        self._growth_factor, self._backoff_factor, self._growth_interval = (
            growth_factor,
            backoff_factor,
            growth_interval,
        )
        self._scaled = False  # whether scale() was called ever; PyTorch makes the scale then
        self._optimizers = {}  # id -> {"stage": "unscaled" or "stepped", "found_inf": bool, "seen": any gradient}

    def scale(self, outputs):
        """outputs times the scale: a tensor, or lists of tensors."""
        if not self._enabled:
            return outputs
        self._scaled = True
        if isinstance(outputs, Tensor):
            return outputs.float() * self._scale if outputs.dtype.itemsize == 2 else outputs * self._scale
        if isinstance(outputs, (list, tuple)):
            return type(outputs)(self.scale(x) for x in outputs)
        raise DTypeError(f"GradScaler.scale: a Tensor or a list of them is needed, not {type(outputs).__name__}")

    def unscale_(self, optimizer) -> None:
        """Divide the gradients of the optimizer's parameters by the scale; before clipping them, for example."""
        if not self._enabled:
            return
        self._check_scaled("unscale_")
        if (record := self._optimizers.get(id(optimizer))) is not None:
            raise ArgumentError(
                f"GradScaler.unscale_: the gradients are {record['stage']} already; call update() first"
            )
        found, seen = False, False
        with no_grad():
            for p in (p for group in optimizer.param_groups for p in group["params"] if p.grad is not None):
                if p.grad.dtype.name == "float16":
                    raise DTypeError(
                        f"GradScaler.unscale_: the gradient {describe(p.grad)} cannot be unscaled in float16; "
                        "keep the parameters in float32 and use autocast"
                    )
                seen = True
                p.grad.mul_(1.0 / self._scale)
                found = found or not bool(p.grad.isfinite().all())
        self._optimizers[id(optimizer)] = {"stage": "unscaled", "found_inf": found, "seen": seen}

    def _check_scaled(self, name):
        if not self._scaled:
            raise ArgumentError(f"GradScaler.{name}: no loss was scaled yet; call scaler.scale(loss).backward() before")

    def step(self, optimizer, *args, **kwargs):
        """Unscale, unless that is done, and optimizer.step(*args, **kwargs) if all gradients are finite."""
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if kwargs.get("closure") is not None or any(map(callable, args)):
            raise ArgumentError("GradScaler.step: closures are not supported, as the loss would not be scaled again")
        record = self._optimizers.get(id(optimizer))
        if record is not None and record["stage"] == "stepped":
            raise ArgumentError("GradScaler.step: called already since the last update()")
        if record is None:
            self.unscale_(optimizer)
            record = self._optimizers[id(optimizer)]
        if not record["seen"]:
            raise ArgumentError(
                "GradScaler.step: no parameter of the optimizer has a gradient; call scaler.scale(loss).backward() before"
            )
        record["stage"] = "stepped"
        return None if record["found_inf"] else optimizer.step(*args, **kwargs)

    def update(self, new_scale=None) -> None:
        """Adapt the scale to what was found since the last update, or set it."""
        if not self._enabled:
            return
        self._check_scaled("update")
        if new_scale is not None:
            self._scale = float(new_scale)
        elif not any(r["seen"] for r in self._optimizers.values()):
            raise ArgumentError("GradScaler.update: no step or unscale_ since the last update()")
        elif any(r["found_inf"] for r in self._optimizers.values()):
            self._scale, self._growth_tracker = self._scale * self._backoff_factor, 0
        else:
            self._growth_tracker += 1
            if self._growth_tracker == self._growth_interval:
                self._scale, self._growth_tracker = self._scale * self._growth_factor, 0
        self._optimizers.clear()

    def get_scale(self) -> float:
        """The factor on the loss."""
        return self._scale if self._enabled else 1.0

    def is_enabled(self) -> bool:
        """Whether losses are scaled."""
        return self._enabled

    def get_growth_factor(self) -> float:
        """What the scale is multiplied by after growth_interval good steps."""
        return self._growth_factor

    def get_backoff_factor(self) -> float:
        """What the scale is multiplied by after a bad step."""
        return self._backoff_factor

    def get_growth_interval(self) -> int:
        """How many good steps make the scale grow."""
        return self._growth_interval

    def state_dict(self) -> dict:
        """The scale and how it changes; empty when switched off."""
        if not self._enabled:
            return {}
        return {"scale": self._scale, "growth_factor": self._growth_factor, "backoff_factor": self._backoff_factor,
                "growth_interval": self._growth_interval, "_growth_tracker": self._growth_tracker}  # fmt: skip

    def load_state_dict(self, state_dict) -> None:
        """Go on from a state_dict. Raises ArgumentError for an empty one, of a scaler that was switched off."""
        if not self._enabled:
            return
        if not state_dict:
            raise ArgumentError("GradScaler.load_state_dict: the state is empty, of a scaler that was switched off")
        for name, value in state_dict.items():
            setattr(self, name if name.startswith("_") else f"_{name}", value)
