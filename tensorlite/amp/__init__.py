"""tl.amp, mixed precision under PyTorch's names: autocast chooses the precision of each operation, GradScaler serves float16.

Which operation does what: policy.py. The switches: casting.py. On the CPU it is right but not fast: NumPy computes in float32
and rounds. What autocast saves there is memory.
"""

from tensorlite.amp.casting import autocast, custom_bwd, custom_fwd
from tensorlite.amp.policy import get_autocast_dtype, is_autocast_available, is_autocast_enabled
from tensorlite.amp.scaler import GradScaler

__all__ = [
    "GradScaler", "autocast", "custom_bwd", "custom_fwd", "get_autocast_dtype", "is_autocast_available", "is_autocast_enabled",
]  # fmt: skip
