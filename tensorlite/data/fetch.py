"""Fetchers: from indices to a batch, in this process or in a worker."""

import enum
import itertools
from typing import Any, NamedTuple

from tensorlite import errors
from tensorlite.data.collate import default_collate
from tensorlite.data.dataset import samples, whole_batch


class Mark(enum.Enum):
    """What is no batch."""

    END = 1  # of a stream, or of a worker's share of it
    SKIPPED = 2  # a task of an epoch that was left early


class Settings(NamedTuple):
    """All that a fetcher needs beside the dataset; sent to the workers."""

    iterable: bool  # the dataset is a stream
    batched: bool  # indices are lists, and samples are collated
    collate_fn: Any
    drop_last: bool

    def fetcher(self, dataset):
        """A fetcher for one epoch."""
        return (StreamFetcher if self.iterable else Fetcher)(dataset, self)


class Fetcher:
    """Batches of a dataset that has its samples by number."""

    def __init__(self, dataset, settings):
        self.dataset, self.settings = dataset, settings

    def fetch(self, indices):
        """The batch of these indices. Raises what dataset and collate_fn raise (RuntimeError for StopIteration)."""
        try:
            return self._fetch(indices)
        except StopIteration as stop:
            raise errors.TensorliteError(
                "DataLoader: the dataset or collate_fn raised StopIteration, which would have ended the epoch without a word; "
                "only the iterator of an IterableDataset ends so"
            ) from stop

    def _fetch(self, indices):
        collate_fn = self.settings.collate_fn
        if not self.settings.batched:
            return collate_fn(self.dataset[indices])
        if collate_fn is default_collate and (batch := whole_batch(self.dataset, indices)) is not None:
            return batch
        return collate_fn(samples(self.dataset, indices))


class StreamFetcher(Fetcher):
    """Batches of an IterableDataset; of the indices only their number counts. Mark.END when there are no more."""

    def __init__(self, dataset, settings):
        super().__init__(dataset, settings)
        self.stream, self.ended = iter(dataset), False

    def _fetch(self, indices):
        settings = self.settings
        wanted = len(indices) if settings.batched else 1
        some = [] if self.ended else list(itertools.islice(self.stream, wanted))
        self.ended = len(some) < wanted  # an iterator that has ended is not asked again
        if not some or (self.ended and settings.drop_last):
            return Mark.END
        return settings.collate_fn(some if settings.batched else some[0])
