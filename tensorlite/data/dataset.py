"""Datasets: where samples come from (by number, or one after the other) and how datasets are cut and put together."""

import bisect
import itertools
import math
import warnings
from typing import Generic, TypeVar

from tensorlite import errors, random

__all__ = [
    "ChainDataset", "ConcatDataset", "Dataset", "IterableDataset", "StackDataset", "Subset", "TensorDataset", "random_split",
]  # fmt: skip

T = TypeVar("T", covariant=True)


class Dataset(Generic[T]):
    """Samples by number: a subclass defines `__getitem__(index)`, and `__len__` for the samplers.

    It may define `__getitems__(indices)` too, which gives a list of samples at once. `a + b` is a ConcatDataset.

    Example:
        >>> import tensorlite as tl
        >>> class Squares(tl.utils.data.Dataset):
        ...     def __len__(self):
        ...         return 5
        ...     def __getitem__(self, index):
        ...         return index, float(index**2)
        >>> for number, square in tl.utils.data.DataLoader(Squares(), batch_size=3):
        ...     print(number.tolist(), square.tolist())
        [0, 1, 2] [0.0, 1.0, 4.0]
        [3, 4] [9.0, 16.0]
    """

    def __getitem__(self, index) -> T:
        raise NotImplementedError(f"{type(self).__name__}: a Dataset defines __getitem__(self, index)")

    def __add__(self, other) -> "ConcatDataset":
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T]):
    """Samples one after the other: a subclass defines `__iter__`. For streams whose samples have no number.

    In worker processes every worker iterates over a copy of its own: `__iter__` asks get_worker_info() which share of the
    stream is this worker's, or each sample comes once from every worker.

    Example:
        >>> import tensorlite as tl
        >>> class Count(tl.utils.data.IterableDataset):
        ...     def __iter__(self):
        ...         info = tl.utils.data.get_worker_info()
        ...         return iter(range(7) if info is None else range(info.id, 7, info.num_workers))
        >>> [batch.tolist() for batch in tl.utils.data.DataLoader(Count(), batch_size=3)]
        [[0, 1, 2], [3, 4, 5], [6]]
    """

    def __iter__(self):
        raise NotImplementedError(f"{type(self).__name__}: an IterableDataset defines __iter__(self)")

    def __add__(self, other) -> "ChainDataset":
        return ChainDataset([self, other])


class TensorDataset(Dataset[tuple]):
    """Sample i is the tuple of the i-th elements of all tensors, along their first dimension.

    Raises:
        ShapeError: the tensors differ in the size of their first dimension.

    Example:
        >>> import tensorlite as tl
        >>> data = tl.utils.data.TensorDataset(tl.eye(3), tl.arange(3))
        >>> len(data), data[1]
        (3, (tensor([0., 1., 0.]), tensor(1)))
    """

    def __init__(self, *tensors):
        sizes = [tuple(t.shape)[:1] for t in tensors]
        if not tensors or () in sizes or len(set(sizes)) > 1:
            shapes = ", ".join(str(tuple(t.shape)) for t in tensors) or "none"
            raise errors.ShapeError(
                f"TensorDataset: Size mismatch between tensors: all need the same first dimension, got {shapes}"
            )
        self.tensors = tensors

    def __getitem__(self, index):
        return tuple(t[index] for t in self.tensors)

    def __len__(self):
        return self.tensors[0].shape[0]


class StackDataset(Dataset):
    """Datasets of equal length side by side: StackDataset(a, b)[i] is (a[i], b[i]); StackDataset(x=a, y=b)[i] is a dict.

    Raises:
        ArgumentError: no datasets, both forms at once, or unequal lengths.

    Example:
        >>> import tensorlite as tl
        >>> tl.utils.data.StackDataset(image=["a", "b"], label=[0, 1])[1]
        {'image': 'b', 'label': 1}
    """

    def __init__(self, *args, **kwargs):
        if bool(args) == bool(kwargs):
            raise errors.ArgumentError(
                "StackDataset: give datasets either by position (samples are tuples) or by name (dicts), at least one"
            )
        self.datasets = args or kwargs
        sizes = [len(d) for d in self._each()]
        self._length = sizes[0]
        if len(set(sizes)) > 1:
            raise errors.ArgumentError(f"StackDataset: Size mismatch between datasets: their lengths are {sizes}")

    def _each(self):
        return self.datasets.values() if isinstance(self.datasets, dict) else self.datasets

    def _joined(self, parts):
        return dict(zip(self.datasets, parts)) if isinstance(self.datasets, dict) else tuple(parts)

    def __getitem__(self, index):
        return self._joined([d[index] for d in self._each()])

    def __getitems__(self, indices):
        columns = []
        for dataset in self._each():
            columns.append(samples(dataset, indices))
            if len(columns[-1]) != len(indices):
                raise errors.ArgumentError(
                    f"StackDataset: __getitems__ of {type(dataset).__name__} gave {len(columns[-1])} samples "
                    f"for {len(indices)} indices"
                )
        return [self._joined(row) for row in zip(*columns)]

    def __len__(self):
        return self._length


class ConcatDataset(Dataset[T]):
    """Datasets one behind the other; `cumulative_sizes` says where each ends. Negative indices count from the end.

    Raises:
        ArgumentError: no datasets, or an index below -len. IndexRangeError: one of len or more.
        DTypeError: an IterableDataset (see ChainDataset).

    Example:
        >>> import tensorlite as tl
        >>> both = tl.utils.data.ConcatDataset(["abc", "de"])
        >>> len(both), both[3], both[-1], both.cumulative_sizes
        (5, 'd', 'e', [3, 5])
    """

    def __init__(self, datasets):
        self.datasets = list(datasets)
        if not self.datasets:
            raise errors.ArgumentError("ConcatDataset: datasets should not be an empty iterable")
        if any(isinstance(d, IterableDataset) for d in self.datasets):
            raise errors.DTypeError("ConcatDataset does not support IterableDataset; use ChainDataset")
        self.cumulative_sizes = list(itertools.accumulate(len(d) for d in self.datasets))

    def __getitem__(self, index):
        if not -len(self) <= index < len(self):
            kind = (
                errors.ArgumentError if index < 0 else errors.IndexRangeError
            )  # ValueError, IndexError: as in PyTorch
            raise kind(
                f"ConcatDataset: absolute value of index should not exceed dataset length, got {index} of {len(self)}"
            )
        index += len(self) if index < 0 else 0
        which = bisect.bisect_right(self.cumulative_sizes, index)
        return self.datasets[which][index - (self.cumulative_sizes[which - 1] if which else 0)]

    def __len__(self):
        return self.cumulative_sizes[-1]


class ChainDataset(IterableDataset):
    """Iterable datasets one after the other. Raises DTypeError for a dataset that is no IterableDataset."""

    def __init__(self, datasets):
        self.datasets = datasets

    def _each(self):
        for dataset in self.datasets:
            if not isinstance(dataset, IterableDataset):
                raise errors.DTypeError(
                    f"ChainDataset only supports IterableDataset, not {type(dataset).__name__}; use ConcatDataset"
                )
            yield dataset

    def __iter__(self):
        return itertools.chain.from_iterable(self._each())

    def __len__(self):
        return sum(len(dataset) for dataset in self._each())


class Subset(Dataset[T]):
    """The samples of a dataset at given indices, in their order; indices may repeat.

    Example:
        >>> import tensorlite as tl
        >>> list(tl.utils.data.Subset("abcde", [4, 0]))
        ['e', 'a']
    """

    def __init__(self, dataset, indices):
        self.dataset, self.indices = dataset, indices

    def __getitem__(self, index):
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __getitems__(self, indices):
        return samples(self.dataset, [self.indices[i] for i in indices])

    def __len__(self):
        return len(self.indices)


def random_split(dataset, lengths, generator=None) -> list[Subset]:
    """Cut a dataset into parts at random, without overlap.

    Args:
        dataset: has a length.
        lengths: sizes of the parts, or fractions that add up to 1; what rounding leaves goes to the first parts, one each.
        generator: a tl.Generator for reproducible parts; the default generator if None.

    Raises:
        ArgumentError: a fraction outside [0, 1], or sizes that do not add up to len(dataset).

    Example:
        >>> import tensorlite as tl
        >>> parts = tl.utils.data.random_split(range(10), [0.7, 0.3], generator=tl.Generator().manual_seed(42))
        >>> [len(p) for p in parts], sorted(parts[0].indices + parts[1].indices)
        ([7, 3], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    """
    lengths, n = list(lengths), len(dataset)
    if math.isclose(sum(lengths), 1) and sum(lengths) <= 1:
        wrong = [(i, f) for i, f in enumerate(lengths) if not 0 <= f <= 1]
        if wrong:
            raise errors.ArgumentError(f"random_split: Fraction at index {wrong[0][0]} is not between 0 and 1: {wrong}")
        lengths = [math.floor(n * fraction) for fraction in lengths]
        for i in range(n - sum(lengths)):
            lengths[i % len(lengths)] += 1
        for i, length in enumerate(lengths):
            if length == 0:
                warnings.warn(
                    f"Length of split at index {i} is 0. This might result in an empty dataset.", stacklevel=2
                )
    if sum(lengths) != n:
        raise errors.ArgumentError(
            "random_split: Sum of input lengths does not equal the length of the input dataset! "
            f"The lengths {lengths} add up to {sum(lengths)}, the dataset has {n} samples"
        )
    order = random.randperm(n, generator=generator, device="cpu").tolist()
    ends = itertools.accumulate(lengths)
    return [Subset(dataset, order[end - length : end]) for length, end in zip(lengths, ends)]


# ---------------------------------------------------------------- for the loader
def samples(dataset, indices):
    """The list of samples at `indices`: from `__getitems__` where the dataset has it."""
    many = getattr(dataset, "__getitems__", None)
    return many(indices) if callable(many) else [dataset[i] for i in indices]


def whole_batch(dataset, indices):
    """What default_collate makes of the samples at `indices`, in one indexing for each tensor of a TensorDataset.

    Equal to the long way and many times quicker; None where there is only the long way.
    """
    if type(dataset) is Subset:
        return whole_batch(dataset.dataset, [dataset.indices[i] for i in indices])
    if getattr(type(dataset), "__getitem__", None) is not TensorDataset.__getitem__ or hasattr(dataset, "__getitems__"):
        return None  # some other dataset, or a subclass that does more to its samples
    if not indices or any(type(i) is not int for i in indices):
        return None
    return [t[indices] for t in dataset.tensors]
