"""Mixed precision under PyTorch's names: autocast, which chooses the precision of each operation, and GradScaler for float16.

On the CPU it is right but not fast: NumPy computes in float32 and rounds. What autocast saves there is memory.
"""

import functools

from tensorlite.backend import dtypes, get_default_device
from tensorlite.errors import ArgumentError, DTypeError, describe
from tensorlite.inplace import Target
from tensorlite.modes import no_grad
from tensorlite.op import registry
from tensorlite.tensor import Tensor, mode

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]

# As PyTorch's lists, in our operations; all others compute in the dtypes they get, the widest where these differ.
LOW = """matmul linear einsum conv conv_transpose attention rnn_steps lstm_steps gru_steps"""
FULL = {
    "cpu": """prod cross_entropy cholesky inv pinv det slogdet solve solve_triangular qr svd eigh matrix_exp cofactor""",
    "cuda": """prod cross_entropy cholesky inv pinv det slogdet solve solve_triangular qr svd eigh matrix_exp cofactor
    acos asin cosh erfinv exp expm1 log log10 log2 log1p pow reciprocal rsqrt sinh tan softmax log_softmax logsumexp
    layer_norm group_norm norm cumsum cumprod sum""",
}


class _Casting:
    """Stands where a running vmap stands (mode.vmap), and so costs nothing where there is none: meets each operation."""

    holds = False  # no tensors of its own

    def __init__(self, kind, dtype, enabled, caches):
        self.kind, self.dtype, self.enabled, self.caches = kind, dtype, enabled, caches
        low = dict.fromkeys(LOW.split(), dtype)
        full = dict.fromkeys(FULL["cpu" if kind == "cpu" else "cuda"].split(), dtypes.as_dtype("float32"))
        self.policy = {**low, **full} if enabled else {}
        self.outer, self.depth, self.cache = None, 0, {}

    def meet(self, op, inputs, args):
        """The result of an op whose inputs are to be cast; else what the vmap around this says."""
        dtype = self.policy.get(op.name)
        if dtype is None or any(isinstance(x, Target) for x in inputs):
            return None if self.outer is None else self.outer.meet(op, inputs, args)
        mode.vmap = self.outer
        try:
            return op.apply(*[self.cast(x, dtype) for x in inputs], **args)
        finally:
            mode.vmap = self

    def cast(self, x, dtype):
        """x in that dtype if it is a tensor of this device and of float32 or less."""
        if not isinstance(x, Tensor) or x.device.type != self.kind:
            return x
        old = x.dtype
        if not old.is_floating_point or old is dtype or old.name == "float64":
            return x
        if x.batched is not None or not (self.caches and x.node is not None and x.is_leaf and old.name == "float32"):
            return registry["cast"].apply(x, dtype=dtype)
        found = self.cache.get((id(x), mode.grad))  # a weight is cast once
        if found is None or found[0] is not x or found[1] != x.version.count:
            found = self.cache[id(x), mode.grad] = x, x.version.count, registry["cast"].apply(x, dtype=dtype)
        return found[2]

    def __getattr__(self, name):  # each, getitem, setitem, shared, random: not for autocast
        if name in ("each", "getitem", "setitem", "shared", "random"):
            return getattr(self.outer, name) if self.outer is not None else lambda *_: None
        raise AttributeError(name)


def _default(kind):
    return dtypes.bfloat16() if kind == "cpu" else dtypes.as_dtype("float16")


def is_autocast_available(device_type: str) -> bool:
    """Whether autocast knows the kind of device."""
    return device_type in ("cpu", "cuda") or device_type == get_default_device().type


def is_autocast_enabled(device_type=None) -> bool:
    """Whether this thread is inside autocast (for that kind of device)."""
    casting = _running()
    return casting is not None and casting.enabled and device_type in (None, casting.kind)


def get_autocast_dtype(device_type):
    """The dtype that matrix products have inside autocast for that kind of device."""
    casting = _running()
    return casting.dtype if casting is not None and casting.kind == device_type else _default(device_type)


def _running():
    casting = mode.vmap
    while casting is not None and not isinstance(casting, _Casting):
        casting = casting.outer
    return casting


class autocast:
    """Inside, matrix products, convolutions, attention and recurrent nets compute in `dtype`; sums that need it in float32.

    dtype: bfloat16 or float16 (the default on a GPU). Which operation does what: LOW and FULL in amp.py; all others take
    what they get. Parameters stay float32 and get float32 gradients; each is cast once (cache_enabled). As context manager
    or decorator, nested, or switched off inside by enabled=False. (Micikevicius et al. 2018)

    Raises:
        ArgumentError: another kind of device. DTypeError: another dtype.

    Example:
        >>> import tensorlite as tl
        >>> layer = tl.nn.Linear(2, 3)
        >>> with tl.autocast("cpu", dtype=tl.float16):
        ...     y = layer(tl.ones(1, 2))
        >>> y.float().sum().backward()
        >>> y.dtype, layer.weight.grad.dtype
        (tensorlite.float16, tensorlite.float32)
    """

    def __init__(self, device_type="cuda", dtype=None, enabled=True, cache_enabled=None):
        if not isinstance(device_type, str):
            raise ArgumentError(f"autocast: device_type must be 'cpu' or 'cuda', not {device_type!r}")
        self.device = device_type.split(":")[0]
        if not is_autocast_available(self.device):
            raise ArgumentError(f"autocast: device_type must be 'cpu' or 'cuda', not {device_type!r}")
        self.enabled, self.cache_enabled = enabled, cache_enabled is None or cache_enabled
        self.fast_dtype = dtypes.as_dtype(dtype) if dtype is not None else _default(self.device) if enabled else None
        if enabled and self.fast_dtype.name not in ("bfloat16", "float16"):
            raise DTypeError(f"autocast: dtype must be bfloat16 or float16, not {self.fast_dtype.name}")
        self.entered = []

    def __enter__(self):
        before = mode.vmap
        casting = _Casting(self.device, self.fast_dtype, self.enabled, self.cache_enabled)
        other = isinstance(before, _Casting) and before.kind != self.device  # both hold, each for its device
        casting.outer = before.outer if isinstance(before, _Casting) and not other else before
        casting.depth = 0 if casting.outer is None else casting.outer.depth
        self.entered.append((before, mode.casts, casting))
        mode.vmap, mode.casts = casting, self.enabled or (other and mode.casts)
        return self

    def __exit__(self, *_):
        mode.vmap, mode.casts, casting = self.entered.pop()
        casting.cache.clear()

    def __call__(self, function):
        @functools.wraps(function)
        def inner(*args, **kwargs):
            with autocast(self.device, self.fast_dtype, self.enabled, self.cache_enabled):
                return function(*args, **kwargs)

        return inner


def custom_fwd(fwd=None, *, device_type, cast_inputs=None):
    """For the forward of an autograd.Function under autocast: with cast_inputs, inputs are cast to it and autocast is off."""
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def inner(*args, **kwargs):
        if cast_inputs is None or not is_autocast_enabled(device_type):
            return fwd(*args, **kwargs)
        casts = lambda x: x.to(cast_inputs) if isinstance(x, Tensor) and x.dtype.is_floating_point else x  # noqa: E731
        with autocast(device_type, enabled=False):
            return fwd(*map(casts, args), **{k: casts(v) for k, v in kwargs.items()})

    return inner


def custom_bwd(bwd=None, *, device_type):
    """For the backward of an autograd.Function under autocast: it runs with autocast off."""
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)
    return autocast(device_type, enabled=False)(bwd)


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
        self._optimizers = {}  # id -> {"stage": "unscaled" or "stepped", "found_inf": bool}

    def scale(self, outputs):
        """outputs times the scale: a tensor, or lists of tensors."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            return outputs.float() * self._scale if outputs.dtype.itemsize == 2 else outputs * self._scale
        if isinstance(outputs, (list, tuple)):
            return type(outputs)(self.scale(x) for x in outputs)
        raise DTypeError(f"GradScaler.scale: a Tensor or a list of them is needed, not {type(outputs).__name__}")

    def unscale_(self, optimizer) -> None:
        """Divide the gradients of the optimizer's parameters by the scale; before clipping them, for example."""
        if not self._enabled:
            return
        if (record := self._optimizers.get(id(optimizer))) is not None:
            raise ArgumentError(
                f"GradScaler.unscale_: the gradients are {record['stage']} already; call update() first"
            )
        found = False
        with no_grad():
            for p in (p for group in optimizer.param_groups for p in group["params"] if p.grad is not None):
                if p.grad.dtype.name == "float16":
                    raise DTypeError(
                        f"GradScaler.unscale_: the gradient {describe(p.grad)} cannot be unscaled in float16; "
                        "keep the parameters in float32 and use autocast"
                    )
                p.grad.mul_(1.0 / self._scale)
                found = found or not bool(p.grad.isfinite().all())
        self._optimizers[id(optimizer)] = {"stage": "unscaled", "found_inf": found}

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
        record["stage"] = "stepped"
        return None if record["found_inf"] else optimizer.step(*args, **kwargs)

    def update(self, new_scale=None) -> None:
        """Adapt the scale to what was found since the last update, or set it."""
        if not self._enabled:
            return
        if new_scale is not None:
            self._scale = float(new_scale)
        elif not self._optimizers:
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
