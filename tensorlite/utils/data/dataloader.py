"""tl.utils.data.dataloader: the names of tensorlite.data.dataloader, where PyTorch's programs look for them."""

from tensorlite.data.dataloader import *  # noqa: F403
