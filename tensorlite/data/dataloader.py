"""DataLoader: from a dataset to batches, in this process or by worker processes (workers.py)."""

import multiprocessing
import multiprocessing.context
import warnings
from typing import Generic, TypeVar

from tensorlite import errors
from tensorlite.data.collate import default_collate, default_convert
from tensorlite.data.dataset import Dataset, IterableDataset
from tensorlite.data.fetch import Mark, Settings
from tensorlite.data.sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler, drawn_seed
from tensorlite.data.worker import get_worker_info

__all__ = ["DataLoader", "default_collate", "get_worker_info"]

T = TypeVar("T", covariant=True)
_FIXED = {"batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers"}


class DataLoader(Generic[T]):
    """Batches of a dataset: `for batch in loader:` is one epoch.

    Args:
        dataset: a Dataset (anything with `__getitem__` and `__len__`), or an IterableDataset.
        batch_size: samples in a batch; None: single samples, as default_convert makes them.
        shuffle: a new random order in every epoch.
        sampler: gives the indices, in the place of shuffle. batch_sampler: gives lists of indices, in the place of
            batch_size, shuffle, sampler and drop_last.
        num_workers: processes that load ahead; 0: in this process. Batches come in the order of the sampler whichever
            worker is quicker, and are the same for one seed, whatever the number of workers, where the dataset draws no
            random numbers; where it does, they are the same for one number of workers.
        collate_fn: makes a batch of a list of samples; default_collate if None.
        pin_memory, pin_memory_device: accepted, without effect.
        drop_last: leave out a last batch of fewer samples.
        timeout: most seconds to wait for a batch from a worker; 0: no limit.
        worker_init_fn: called in every worker with its id, after seeding.
        multiprocessing_context: "fork", "spawn", "forkserver" or a context; None: fork on Linux (unless
            multiprocessing.set_start_method said otherwise), the system's default elsewhere. A fork cannot use a GPU that
            the program has used: "spawn" where samples are made there.
        generator: draws the order, and the seed of the workers: worker i has base_seed + i for tensorlite, random and numpy.
        prefetch_factor: batches that each worker loads ahead; 2 if None.
        persistent_workers: keep the workers (and their copies of the dataset) for the next epoch.
        in_order: False: batches as they are ready.

    Raises:
        ArgumentError: arguments that exclude each other or are out of range. While iterating: the exceptions of the dataset,
        those of a worker with the same type and its traceback as text; TensorliteError: a worker died, or timeout.

    To repeat the order of an epoch: `generator.get_state()` before it, `generator.set_state(...)` to come back.

    Example:
        >>> import tensorlite as tl
        >>> x = tl.arange(10.0).reshape(5, 2)
        >>> loader = tl.utils.data.DataLoader(tl.utils.data.TensorDataset(x, tl.arange(5)), batch_size=2)
        >>> [(tuple(a.shape), b.tolist()) for a, b in loader], len(loader)
        ([((2, 2), [0, 1]), ((2, 2), [2, 3]), ((1, 2), [4])], 3)
    """

    _iterator = None  # of persistent workers
    _said_length = None  # what len() gave for a stream
    _ready = False

    def __init__(
        self,
        dataset: Dataset[T],
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler=None,
        batch_sampler=None,
        num_workers: int = 0,
        collate_fn=None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn=None,
        multiprocessing_context=None,
        generator=None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ):
        iterable = isinstance(dataset, IterableDataset)
        _check_workers(num_workers, timeout, prefetch_factor, persistent_workers)
        _check_sampling(iterable, batch_size, shuffle, sampler, batch_sampler, drop_last)
        self.dataset, self.num_workers, self.timeout = dataset, num_workers, timeout
        self.pin_memory, self.pin_memory_device = pin_memory, pin_memory_device
        self.worker_init_fn, self.generator, self.in_order = worker_init_fn, generator, in_order
        self.prefetch_factor = 2 if num_workers and prefetch_factor is None else prefetch_factor
        self.persistent_workers = persistent_workers
        self.multiprocessing_context = multiprocessing_context

        if batch_sampler is not None:
            batch_size, drop_last = None, False
        if sampler is None:
            if iterable:
                sampler = _Forever()
            else:
                sampler = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
        if batch_size is not None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.batch_size, self.drop_last, self.sampler, self.batch_sampler = (
            batch_size,
            drop_last,
            sampler,
            batch_sampler,
        )
        batched = batch_sampler is not None
        self.collate_fn = collate_fn or (default_collate if batched else default_convert)
        self._ready = True

    def __setattr__(self, name, value):
        if self._ready and name in _FIXED:
            raise errors.ArgumentError(
                f"{name} attribute should not be set after DataLoader is initialized; make a new one"
            )
        super().__setattr__(name, value)

    @property
    def multiprocessing_context(self):
        """How worker processes are started: a context of multiprocessing, or None for the default."""
        return self._context

    @multiprocessing_context.setter
    def multiprocessing_context(self, context):
        if context is not None:
            if not self.num_workers:
                raise errors.ArgumentError(
                    "DataLoader: multiprocessing_context can only be used with multi-process loading (num_workers > 0), "
                    "but got num_workers=0"
                )
            if isinstance(context, str):
                methods = multiprocessing.get_all_start_methods()
                if context not in methods:
                    raise errors.ArgumentError(
                        "DataLoader: multiprocessing_context option should specify a valid start method in "
                        f"{methods}, but got multiprocessing_context={context!r}"
                    )
                context = multiprocessing.get_context(context)
            elif not isinstance(context, multiprocessing.context.BaseContext):
                raise errors.DTypeError(
                    "DataLoader: multiprocessing_context option should be a valid context object or a string specifying "
                    f"the start method, but got multiprocessing_context={context}"
                )
        self._context = context

    @property
    def _index_sampler(self):
        return self.sampler if self.batch_sampler is None else self.batch_sampler

    def __len__(self) -> int:
        """How many batches an epoch has (for a stream: what its own len() says). TypeError where that is not known."""
        if not isinstance(self.dataset, IterableDataset):
            return len(self._index_sampler)
        self._said_length = length = len(self.dataset)
        if self.batch_size is None:
            return length
        full, rest = divmod(length, self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def __iter__(self) -> "LoaderIterator":
        if not self.num_workers:
            return SerialIterator(self)
        from tensorlite.data.workers import WorkerIterator

        if not self.persistent_workers:
            return WorkerIterator(self)
        if self._iterator is None or self._iterator.pool.closed:
            self._iterator = WorkerIterator(self)
        else:
            self._iterator.begin(self)
        return self._iterator


class _Forever(Sampler):
    """Stands in for indices, which a stream has not."""

    def __iter__(self):
        while True:
            yield None


def _refuse(text):
    raise errors.ArgumentError(f"DataLoader: {text}")


def _check_workers(num_workers, timeout, prefetch_factor, persistent_workers):
    if num_workers < 0:
        _refuse(
            f"num_workers option should be non-negative, got {num_workers}; use num_workers=0 to load in this process"
        )
    if timeout < 0:
        _refuse(f"timeout option should be non-negative, got {timeout}")
    if not num_workers:
        if prefetch_factor is not None:
            _refuse(
                "prefetch_factor option could only be specified in multiprocessing; "
                f"let num_workers > 0, or leave out prefetch_factor={prefetch_factor}"
            )
        if persistent_workers:
            _refuse("persistent_workers option needs num_workers > 0")
    elif prefetch_factor is not None and prefetch_factor < 1:
        _refuse(f"prefetch_factor option should be positive, got {prefetch_factor}")


def _check_sampling(iterable, batch_size, shuffle, sampler, batch_sampler, drop_last):
    if iterable:
        given = {"shuffle": shuffle or None, "sampler": sampler, "batch_sampler": batch_sampler}
        for name, value in given.items():
            if value is not None:
                _refuse(
                    f"with IterableDataset: expected unspecified {name} option, but got {name}={value}; "
                    "a stream comes in its own order"
                )
    if sampler is not None and shuffle:
        _refuse("sampler option is mutually exclusive with shuffle")
    if batch_sampler is not None:
        if batch_size != 1 or shuffle or sampler is not None or drop_last:
            _refuse("batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last")
    elif batch_size is None and drop_last:
        _refuse("batch_size=None option disables auto-batching and is mutually exclusive with drop_last")


# ---------------------------------------------------------------- one epoch
class LoaderIterator:
    """One pass over a loader. It keeps what it needs of the loader, not the loader itself: dropping that ends the workers."""

    def __init__(self, loader):
        self.settings = Settings(
            isinstance(loader.dataset, IterableDataset),
            loader.batch_sampler is not None,
            loader.collate_fn,
            loader.drop_last,
        )
        self.begin(loader)

    def begin(self, loader):
        """Start an epoch. The seed for workers is drawn even where there are none: the order shall not depend on them."""
        self.base_seed = drawn_seed(loader.generator)
        self._sampler = loader._index_sampler
        self._indices = iter(self._sampler)
        self._given, self._promise = 0, None
        if self.settings.iterable and loader._said_length is not None:
            self._promise = loader._said_length, len(loader), loader.dataset

    def __iter__(self):
        return self

    def __len__(self):
        return len(self._sampler)

    def _next(self):
        """The next batch; StopIteration at the end."""
        raise NotImplementedError

    def __next__(self):
        batch = self._next()
        self._given += 1
        if self._promise and self._given > self._promise[1]:
            samples, batches, dataset = self._promise
            warnings.warn(
                f"Length of IterableDataset {dataset} was reported to be {samples} ({batches} batches), but batch "
                f"{self._given} was fetched. With workers each iterates over the whole dataset unless __iter__ asks "
                "get_worker_info() for its share.",
                stacklevel=2,
            )
        return batch


class SerialIterator(LoaderIterator):
    """Batches loaded in this process, when they are asked for."""

    def begin(self, loader):
        super().begin(loader)
        self._fetcher = self.settings.fetcher(loader.dataset)

    def _next(self):
        batch = self._fetcher.fetch(next(self._indices))
        if batch is Mark.END:
            raise StopIteration
        return batch
