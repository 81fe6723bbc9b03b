"""tl.utils.data.sampler: the names of tensorlite.data.sampler, where PyTorch's programs look for them."""

from tensorlite.data.sampler import *  # noqa: F403
