"""Samplers: in which order a loader takes the samples, and how their numbers are put together to batches."""

import itertools
from typing import Generic, TypeVar

from tensorlite import errors, random
from tensorlite.backend import dtypes
from tensorlite.creation import as_tensor

__all__ = [
    "BatchSampler", "RandomSampler", "Sampler", "SequentialSampler", "SubsetRandomSampler", "WeightedRandomSampler",
]  # fmt: skip

T = TypeVar("T", covariant=True)


def drawn_seed(generator=None) -> int:
    """A seed drawn from `generator`, or from the default one: all order below follows from tl.manual_seed."""
    return random.randint(0, 2**63 - 1, (), generator=generator, device="cpu").item()


def is_count(value) -> bool:
    """Whether value is a positive int (True is none)."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _count(name, value):
    if not is_count(value):
        raise errors.ArgumentError(
            f"{name}: num_samples should be a positive integer value, but got num_samples={value}"
        )


def _yes_or_no(name, argument, value):
    if not isinstance(value, bool):
        raise errors.DTypeError(f"{name}: {argument} should be a boolean value, but got {argument}={value}")


class Sampler(Generic[T]):
    """Base of all samplers: a subclass defines `__iter__` over indices (or lists of them), and `__len__` where it is known."""

    def __init__(self, data_source=None):
        pass

    def __iter__(self):
        raise NotImplementedError(f"{type(self).__name__}: a Sampler defines __iter__(self)")


class SequentialSampler(Sampler[int]):
    """0, 1, 2, ... len(data_source) - 1."""

    def __init__(self, data_source):
        self.data_source = data_source

    def __iter__(self):
        return iter(range(len(self.data_source)))

    def __len__(self):
        return len(self.data_source)


class RandomSampler(Sampler[int]):
    """The indices of data_source in random order; a new order in every epoch, the same ones from the same seed.

    Args:
        data_source: has a length.
        replacement: draw every index anew, so that one may come twice.
        num_samples: how many to draw, len(data_source) if None. Without replacement, every index comes once before one comes twice.
        generator: a tl.Generator; None: one seeded from the default generator in every epoch.

    To repeat an epoch's order, keep `generator.get_state()` from before the epoch (or tl.get_rng_state()) and set it again.

    Raises:
        ArgumentError: num_samples (or the length) is not positive. DTypeError: replacement is not a bool.

    Example:
        >>> import tensorlite as tl
        >>> order = tl.utils.data.RandomSampler(range(4), generator=tl.Generator().manual_seed(0))
        >>> sorted(order), sorted(order) == sorted(order)
        ([0, 1, 2, 3], True)
    """

    def __init__(self, data_source, replacement=False, num_samples=None, generator=None):
        self.data_source, self.replacement, self.generator = data_source, replacement, generator
        self._num_samples = num_samples
        _yes_or_no("RandomSampler", "replacement", replacement)
        _count("RandomSampler", self.num_samples)

    @property
    def num_samples(self) -> int:
        """How many indices an epoch has; follows the length of data_source where none was given."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self):
        n, left = len(self.data_source), self.num_samples
        generator = self.generator
        if generator is None:  # of its own: what else is drawn during the epoch does not change the order
            generator = random.Generator().manual_seed(drawn_seed())
        while left > 0:
            if self.replacement:
                some = random.randint(n, (min(left, 1024),), generator=generator, device="cpu").tolist()
            else:
                some = random.randperm(n, generator=generator, device="cpu").tolist()[:left]
            yield from some
            left -= len(some)

    def __len__(self):
        return self.num_samples


class SubsetRandomSampler(Sampler[int]):
    """The given indices in random order, each once."""

    def __init__(self, indices, generator=None):
        self.indices, self.generator = indices, generator

    def __iter__(self):
        for i in random.randperm(len(self.indices), generator=self.generator, device="cpu").tolist():
            yield self.indices[i]

    def __len__(self):
        return len(self.indices)


class WeightedRandomSampler(Sampler[int]):
    """num_samples indices of 0..len(weights) - 1, drawn with probabilities proportional to the weights.

    Raises:
        ArgumentError: num_samples is not positive. ShapeError: weights are no vector. DTypeError: replacement is not a bool.

    Example:
        >>> import tensorlite as tl
        >>> list(tl.utils.data.WeightedRandomSampler([0, 0, 1.0], 4))
        [2, 2, 2, 2]
    """

    def __init__(self, weights, num_samples, replacement=True, generator=None):
        _count("WeightedRandomSampler", num_samples)
        _yes_or_no("WeightedRandomSampler", "replacement", replacement)
        self.weights = as_tensor(weights, dtype=dtypes.float64, device="cpu")
        if self.weights.ndim != 1:
            raise errors.ShapeError(
                "WeightedRandomSampler: weights should be a 1d sequence but given weights have shape "
                f"{tuple(self.weights.shape)}"
            )
        self.num_samples, self.replacement, self.generator = num_samples, replacement, generator

    def __iter__(self):
        drawn = random.multinomial(self.weights, self.num_samples, self.replacement, generator=self.generator)
        return iter(drawn.tolist())

    def __len__(self):
        return self.num_samples


class BatchSampler(Sampler[list]):
    """Lists of batch_size indices from another sampler; drop_last leaves out a last, shorter one.

    Raises:
        ArgumentError: batch_size is no positive int. DTypeError: drop_last is not a bool.

    Example:
        >>> import tensorlite as tl
        >>> list(tl.utils.data.BatchSampler(range(7), batch_size=3, drop_last=False))
        [[0, 1, 2], [3, 4, 5], [6]]
    """

    def __init__(self, sampler, batch_size, drop_last):
        if not is_count(batch_size):
            raise errors.ArgumentError(
                f"BatchSampler: batch_size should be a positive integer value, but got batch_size={batch_size}"
            )
        _yes_or_no("BatchSampler", "drop_last", drop_last)
        self.sampler, self.batch_size, self.drop_last = sampler, batch_size, drop_last

    def __iter__(self):
        indices = iter(self.sampler)
        while batch := list(itertools.islice(indices, self.batch_size)):
            if len(batch) < self.batch_size and self.drop_last:
                return
            yield batch

    def __len__(self):
        full, rest = divmod(len(self.sampler), self.batch_size)
        return full + (rest > 0 and not self.drop_last)
