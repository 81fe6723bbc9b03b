"""`tl.mps`: PyTorch's names for Apple's GPUs, which tensorlite does not compute on. `is_available()` is False."""

from tensorlite.errors import DeviceError

__all__ = ["device_count", "empty_cache", "is_available", "manual_seed", "synchronize"]


def is_available() -> bool:
    """Whether tensors can live there: no."""
    return False


def device_count() -> int:
    """How many there are: none."""
    return 0


def synchronize() -> None:
    """Refused: there is nothing to wait for. Raises DeviceError."""
    raise DeviceError("mps.synchronize: tensorlite computes on 'cpu' and 'cuda' only; ask tl.mps.is_available() first")


def empty_cache() -> None:
    """Nothing to do: nothing was kept."""


def manual_seed(seed: int) -> None:
    """Nothing to do: tl.manual_seed seeds the one generator there is."""
