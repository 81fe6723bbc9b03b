"""tl.utils.data.dataset: the names of tensorlite.data.dataset, where PyTorch's programs look for them."""

from tensorlite.data.dataset import *  # noqa: F403
