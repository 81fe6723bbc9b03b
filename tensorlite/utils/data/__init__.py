"""tl.utils.data: the names of tensorlite.data, where PyTorch's programs look for them."""

from tensorlite.data import *
from tensorlite.utils.data import dataloader, dataset, distributed, sampler
