"""tl.utils: helpers around the engine: checkpoint (recompute instead of keeping), data (datasets and loaders)."""

from tensorlite.utils import checkpoint, data

__all__ = ["checkpoint", "data"]
