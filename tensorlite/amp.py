"""`tl.amp`: PyTorch's names for mixed precision, which is not built: switched off they do nothing, switched on they refuse."""

import functools

from tensorlite.errors import ArgumentError

__all__ = ["GradScaler", "autocast", "is_autocast_available"]


def is_autocast_available(device_type: str) -> bool:
    """Whether operations can be cast to a lower precision on their own: no."""
    return False


class autocast:
    """`with tl.autocast("cuda", enabled=False):` does nothing; enabled it is refused. Also a decorator.

    A whole model computes in lower precision after model.to(tl.bfloat16) (its sums are in float32).
    """

    def __init__(self, device_type="cuda", dtype=None, enabled=True, cache_enabled=None):
        if enabled:
            raise ArgumentError(
                "autocast: automatic mixed precision is not supported; pass enabled=False (all is then computed in the "
                "dtype of the tensors), or convert the model and its inputs by .to(tl.bfloat16)"
            )
        self.device, self.fast_dtype = device_type, dtype

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def __call__(self, function):
        @functools.wraps(function)
        def inner(*args, **kwargs):
            return function(*args, **kwargs)

        return inner


class GradScaler:
    """GradScaler(enabled=False) passes all through; enabled it is refused, as there is no float16 training to need it."""

    def __init__(
        self,
        device="cuda",
        init_scale=65536.0,
        growth_factor=2.0,
        backoff_factor=0.5,
        growth_interval=2000,
        enabled=True,
    ):
        if enabled:
            raise ArgumentError("GradScaler: automatic mixed precision is not supported; pass enabled=False")

    def scale(self, outputs):
        """outputs, as they are."""
        return outputs

    def unscale_(self, optimizer) -> None:
        """Nothing to do."""

    def step(self, optimizer, *args, **kwargs):
        """optimizer.step()."""
        return optimizer.step(*args, **kwargs)

    def update(self, new_scale=None) -> None:
        """Nothing to do."""

    def get_scale(self) -> float:
        """The factor on the loss: 1."""
        return 1.0

    def is_enabled(self) -> bool:
        """Whether losses are scaled: no."""
        return False

    def state_dict(self) -> dict:
        """Empty, as PyTorch's is when switched off."""
        return {}

    def load_state_dict(self, state_dict) -> None:
        """Nothing to do."""
