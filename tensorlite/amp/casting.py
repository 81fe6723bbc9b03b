"""The switches of mixed precision: autocast, and its decorators for the functions of a user. What is cast: policy.py."""

import contextlib
import functools

from tensorlite.amp import policy
from tensorlite.amp.policy import settings
from tensorlite.errors import ArgumentError
from tensorlite.tensor import Tensor, mode


class autocast:
    """Inside, matrix products, convolutions, attention and recurrent nets compute in `dtype`; losses, linear algebra and others
    that need it in float32.

    dtype: bfloat16 or float16; None: get_autocast_dtype(device_type). Which operation does what: LOW and FULL in
    amp/policy.py; all others take what they get. Parameters stay float32 and get float32 gradients; each is cast once
    (cache_enabled) until it changes, where PyTorch goes on with the old value. As context manager or decorator, nested, or
    switched off inside by enabled=False; for the running thread. (Micikevicius et al. 2018)

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

    def __init__(self, device_type: str, dtype=None, enabled=True, cache_enabled=None):
        self.device = policy.checked_kind("autocast", device_type)
        self._enabled = bool(enabled)
        self._cache_enabled = settings.caches if cache_enabled is None else bool(cache_enabled)
        if dtype is None and not enabled:
            self.fast_dtype = settings.dtypes.get(self.device)  # nothing is cast: bfloat16 need not be there
        else:
            dtype = policy.get_autocast_dtype(self.device) if dtype is None else dtype
            self.fast_dtype = policy.checked_dtype("autocast", dtype) if enabled else policy.dtypes.as_dtype(dtype)
        self.entered = []

    def __enter__(self):
        self.entered.append((mode.vmap, mode.casts, settings.dtypes, settings.caches))
        settings.dtypes = {**settings.dtypes, self.device: self.fast_dtype}
        settings.caches = self._cache_enabled
        settings.depth += 1
        policy.switch(self.device, self.fast_dtype if self._enabled else None)
        return self

    def __exit__(self, *_):
        mode.vmap, mode.casts, settings.dtypes, settings.caches = self.entered.pop()
        settings.depth -= 1
        if not settings.depth:
            settings.cache.clear()

    def _anew(self):
        """The same switch again, for another call or thread."""
        again = object.__new__(autocast)
        again.__dict__.update(self.__dict__, entered=[])
        return again

    def __call__(self, func):
        if not callable(func):
            raise ArgumentError(
                f"autocast: a function is needed to decorate, not {type(func).__name__}; as a context manager write "
                '`with tl.autocast("cpu"):`'
            )

        @functools.wraps(func)
        def inner(*args, **kwargs):
            with self._anew():
                return func(*args, **kwargs)

        return inner


def as_now():
    """A function that gives a context, in which autocast does what it does here and now: for running something again later."""
    kinds = mode.casts.kinds if mode.casts else {}

    @contextlib.contextmanager
    def again():
        with contextlib.ExitStack() as stack:
            for kind in {**(mode.casts.kinds if mode.casts else {}), **kinds}:
                stack.enter_context(autocast(kind, kinds.get(kind), kind in kinds))
            yield

    return again


def custom_fwd(fwd=None, *, device_type: str, cast_inputs=None):
    """Decorator for the forward of an autograd.Function that may run under autocast; beside custom_bwd for its backward.

    cast_inputs: a dtype; under autocast, floating-point inputs on that kind of device (but float64) are cast to it, also those
    in lists and dicts, and forward runs with autocast off. None: forward runs under autocast as it is.

    Example:
        >>> import tensorlite as tl
        >>> class Square(tl.autograd.Function):
        ...     @staticmethod
        ...     @tl.amp.custom_fwd(device_type="cpu", cast_inputs=tl.float32)
        ...     def forward(ctx, x):
        ...         ctx.save_for_backward(x)
        ...         return x @ x
        ...     @staticmethod
        ...     @tl.amp.custom_bwd(device_type="cpu")
        ...     def backward(ctx, g):
        ...         (x,) = ctx.saved_tensors
        ...         return g @ x.T + x.T @ g
        >>> with tl.autocast("cpu", dtype=tl.float16):
        ...     Square.apply(tl.eye(2)).dtype
        tensorlite.float32
    """
    kind = policy.checked_kind("custom_fwd", device_type)
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def inner(*args, **kwargs):
        on = policy.is_autocast_enabled(kind)
        if args and hasattr(args[0], "save_for_backward"):  # not in a Function with a setup_context
            args[0]._fwd_used_autocast = on and cast_inputs is None
            args[0]._dtype = policy.get_autocast_dtype(kind) if on else None
        if cast_inputs is None or not on:
            return fwd(*args, **kwargs)
        dtype = policy.dtypes.as_dtype(cast_inputs)
        with autocast(kind, enabled=False):
            return fwd(*[_as(x, kind, dtype) for x in args], **_as(kwargs, kind, dtype))

    return inner


def _as(x, kind, dtype):
    """x, or the tensors in it, in that dtype where they are on that kind of device."""
    if isinstance(x, Tensor):
        return x.to(dtype) if x.device.type == kind and policy.eligible(x, dtype) else x
    if isinstance(x, dict):
        return {k: _as(v, kind, dtype) for k, v in x.items()}
    return type(x)([_as(v, kind, dtype) for v in x]) if type(x) in (list, tuple) else x


def custom_bwd(bwd=None, *, device_type: str):
    """Decorator for the backward of an autograd.Function whose forward has custom_fwd: it runs under autocast, or without, as
    forward did."""
    kind = policy.checked_kind("custom_bwd", device_type)
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)

    @functools.wraps(bwd)
    def inner(ctx, *args, **kwargs):
        on = getattr(ctx, "_fwd_used_autocast", False)
        with autocast(kind, dtype=ctx._dtype if on else None, enabled=on):
            return bwd(ctx, *args, **kwargs)

    return inner
