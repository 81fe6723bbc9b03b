"""tl.utils: helpers around the engine: checkpoint (recompute instead of keeping)."""

from tensorlite.utils import checkpoint

__all__ = ["checkpoint"]
