"""tl.utils.data.distributed: the names of tensorlite.data.distributed, where PyTorch's programs look for them."""

from tensorlite.data.distributed import *  # noqa: F403
