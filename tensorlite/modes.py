"""The switches of recording: no_grad, enable_grad, set_grad_enabled, inference_mode. Each holds for the thread it is used in."""

import functools
from typing import Any

from tensorlite.tensor import mode as _mode

CO_GENERATOR = 0x20  # in a code object's flags, see the module inspect


class set_grad_enabled:
    """Switch recording on or off in this thread: at once as a call, and as a context manager or decorator for a while."""

    def __init__(self, mode: bool):
        self.before, self.on = _mode.grad, bool(mode)
        self.__enter__()

    def __enter__(self):
        _mode.grad = self.on and not _mode.inference
        return self

    def __exit__(self, *_):
        _mode.grad = self.before

    def __call__(self, function):
        _mode.grad = self.before  # the call has switched already, and that was meant for the function only
        return _decorated(function, lambda: set_grad_enabled(self.on))


def _decorated(function, make):
    """`function`, run inside a fresh context from `make`; of a generator, each stretch between two yields."""

    @functools.wraps(function)
    def inner(*args, **kwargs):
        with make():
            return function(*args, **kwargs)

    @functools.wraps(function)
    def generator(*args, **kwargs):
        return _resumed(function(*args, **kwargs), make)

    return generator if getattr(getattr(function, "__code__", None), "co_flags", 0) & CO_GENERATOR else inner


def _resumed(generator, make):
    """The same values as `generator`, each made inside a context from `make`; the caller's mode holds in between."""
    step, value = generator.send, None
    while True:
        try:
            with make():
                out = step(value)
        except StopIteration as e:
            return e.value
        try:
            step, value = generator.send, (yield out)
        except GeneratorExit:
            with make():
                generator.close()
            raise
        except BaseException as e:
            step, value = generator.throw, e


class _Switch:
    """A switch of recording: `with no_grad():`, `@no_grad()` or `@no_grad`."""

    grad, inference = False, None  # inference None: as it is
    before = None

    def __new__(cls, function=None) -> Any:
        self = object.__new__(cls)
        return self if function is None or isinstance(function, bool) else _decorated(function, cls)

    def __enter__(self):
        self.before = _mode.grad, _mode.inference, self.before  # one object may be entered again inside of itself
        if self.inference is not None:
            _mode.inference = self.inference
        _mode.grad = self.grad and not _mode.inference
        return self

    def __exit__(self, *_):
        _mode.grad, _mode.inference, self.before = self.before

    def __call__(self, function):
        return _decorated(function, type(self))


class no_grad(_Switch):
    """Record nothing inside; context manager and decorator, for this thread only."""


class enable_grad(_Switch):
    """Record again inside a no_grad block (but not inside inference_mode)."""

    grad = True


class inference_mode(_Switch):
    """As no_grad, and recording cannot be switched on inside, but by inference_mode(False)."""

    inference = True

    def __new__(cls, mode=True) -> Any:
        return _Switch.__new__(cls if mode else _normal_mode, mode)


class _normal_mode(_Switch):
    """inference_mode(False): out of inference_mode, with recording."""

    grad, inference = True, False


def is_grad_enabled() -> bool:
    """Whether operations are recorded in this thread."""
    return _mode.grad


def is_inference_mode_enabled() -> bool:
    """Whether this thread is inside inference_mode."""
    return _mode.inference
