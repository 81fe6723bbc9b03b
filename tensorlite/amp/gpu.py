"""tl.cuda.amp, the older names of mixed precision: as those of tl.amp, with the kind of device "cuda"."""

import functools

from tensorlite.amp import casting, scaler
from tensorlite.backend import dtypes

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd"]


class autocast(casting.autocast):
    """tl.autocast("cuda", ...)."""

    def __init__(self, enabled=True, dtype=dtypes.float16, cache_enabled=True):
        super().__init__("cuda", enabled=enabled, dtype=dtype, cache_enabled=cache_enabled)


class GradScaler(scaler.GradScaler):
    """tl.amp.GradScaler("cuda", ...)."""

    def __init__(self, init_scale=65536.0, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000, enabled=True):
        super().__init__("cuda", init_scale, growth_factor, backoff_factor, growth_interval, enabled)


custom_fwd = functools.partial(casting.custom_fwd, device_type="cuda")
custom_bwd = functools.partial(casting.custom_bwd, device_type="cuda")
