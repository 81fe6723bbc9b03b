"""DistributedSampler: which samples each of several training processes takes."""

import math

from tensorlite import errors, random
from tensorlite.data.sampler import Sampler

__all__ = ["DistributedSampler"]


class DistributedSampler(Sampler[int]):
    """The share of one of num_replicas processes: indices rank, rank + num_replicas, rank + 2 num_replicas, ...

    All shares are equally long: the list of indices is first filled up from its beginning, or (drop_last) its tail cut off.
    With shuffle, `set_epoch(epoch)` before each epoch gives it an order of its own; all processes must use one seed.

    Args:
        dataset: has a length.
        num_replicas, rank: how many processes there are, and which one this is.
        shuffle: order by a permutation drawn from seed + epoch.
        seed: equal in all processes.
        drop_last: cut the tail off, in the place of repeating samples.

    Raises:
        ArgumentError: num_replicas or rank not given, or rank outside 0..num_replicas - 1.

    Example:
        >>> import tensorlite as tl
        >>> [list(tl.utils.data.DistributedSampler(range(5), num_replicas=2, rank=r, shuffle=False)) for r in (0, 1)]
        [[0, 2, 4], [1, 3, 0]]
    """

    def __init__(self, dataset, num_replicas=None, rank=None, shuffle=True, seed=0, drop_last=False):
        if num_replicas is None or rank is None:
            raise errors.ArgumentError(
                "DistributedSampler: Requires distributed package to be available: no group of processes was started "
                "that could say how many they are; pass num_replicas=... and rank=..."
            )
        if not 0 <= rank < num_replicas:
            raise errors.ArgumentError(
                f"DistributedSampler: Invalid rank {rank}, rank should be in the interval [0, {num_replicas - 1}]"
            )
        self.dataset, self.num_replicas, self.rank = dataset, num_replicas, rank
        self.epoch, self.shuffle, self.seed, self.drop_last = 0, shuffle, seed, drop_last
        each = len(dataset) / num_replicas
        self.num_samples = math.floor(each) if drop_last else math.ceil(each)
        self.total_size = self.num_samples * num_replicas

    def __iter__(self):
        indices = list(range(len(self.dataset)))
        if self.shuffle:
            generator = random.Generator().manual_seed(self.seed + self.epoch)
            indices = random.randperm(len(indices), generator=generator, device="cpu").tolist()
        if indices:  # a few samples for many processes: over and over
            indices *= math.ceil(self.total_size / len(indices))
        return iter(indices[self.rank : self.total_size : self.num_replicas])

    def __len__(self):
        return self.num_samples

    def set_epoch(self, epoch) -> None:
        """Say which epoch comes next: with shuffle, each has its own order; without a call it is always that of epoch 0."""
        self.epoch = epoch
