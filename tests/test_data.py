"""tl.utils.data without worker processes: datasets, samplers, collation and the DataLoader against PyTorch's."""

import collections
import itertools
import pickle
import re
import warnings

import numpy as np
import pytest
from data_helpers import plain, torch_data
from hypothesis import given, settings, strategies as st

import tensorlite as tl
from tensorlite.errors import ArgumentError, DTypeError, IndexRangeError, ShapeError
from tensorlite.utils import data


# ---------------------------------------------------------------- datasets
class Numbers(data.Dataset):
    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        if not 0 <= index < self.n:
            raise IndexError(index)
        return index, tl.full((2,), float(index))


class Stream(data.IterableDataset):
    def __init__(self, n, said=None):
        self.n, self.said = n, said

    def __iter__(self):
        return iter(range(self.n))

    def __len__(self):
        if self.said is None:
            raise TypeError("no length")
        return self.said


def same_error(ours, theirs):
    """Both fail, ours with an exception that PyTorch's handlers catch (RuntimeError for its bare assertions)."""
    with pytest.raises(Exception) as their:
        theirs()
    with pytest.raises(RuntimeError if their.type is AssertionError else their.type):
        ours()


def test_tensor_dataset(device):
    x, y = tl.arange(6.0).reshape(3, 2), tl.arange(3)
    dataset = data.TensorDataset(x, y)
    assert len(dataset) == 3 and dataset[1][0].tolist() == [2.0, 3.0] and dataset[-1][1].item() == 2
    assert [b.tolist() for _, b in data.DataLoader(dataset, 2)] == [[0, 1], [2]]
    with pytest.raises(IndexError):
        dataset[3]
    for wrong in ((x, tl.arange(2)), (tl.tensor(1.0),), ()):
        with pytest.raises(ShapeError, match="TensorDataset: Size mismatch between tensors"):
            data.TensorDataset(*wrong)


def test_whole_batches_of_tensors_are_what_collate_gives():
    class Noisy(data.TensorDataset):
        def __getitem__(self, index):
            return tuple(v + 1 for v in super().__getitem__(index))

    x, y = tl.arange(12.0).reshape(6, 2), tl.arange(6)
    for dataset in (data.TensorDataset(x, y), data.Subset(data.TensorDataset(x, y), [5, 5, 0, 2]), Noisy(x, y),
                    data.Subset(Noisy(x, y), [3, 1])):  # fmt: skip
        quick = data.DataLoader(dataset, 3)
        slow = data.DataLoader(dataset, 3, collate_fn=lambda batch: data.default_collate(batch))
        for a, b in itertools.zip_longest(quick, slow):
            assert plain(a) == plain(b)


def test_concat_and_subset_and_stack_and_chain():
    _, theirs = torch_data()
    for lib in (data, theirs):
        both = lib.ConcatDataset(["abc", "", "de"])
        assert [both[i] for i in range(5)] == list("abcde") and both[-5] == "a" and both.cumulative_sizes == [3, 3, 5]
        assert lib.Subset("abcde", [4, 0, 0])[1] == "a" and len(lib.Subset("abcde", [4, 0])) == 2
        assert lib.StackDataset("ab", [1, 2])[1] == ("b", 2) and lib.StackDataset(x="ab", y=[1, 2])[0] == {
            "x": "a",
            "y": 1,
        }
        assert lib.StackDataset("ab", [1, 2]).__getitems__([1, 0]) == [("b", 2), ("a", 1)]
        assert lib.Subset(lib.StackDataset("ab", [1, 2]), [1, 0]).__getitems__([0]) == [("b", 2)]
    chain = Stream(2, 2) + Stream(3, 3)
    assert isinstance(chain, data.ChainDataset) and list(chain) == [0, 1, 0, 1, 2] and len(chain) == 5
    assert len(Numbers(2) + Numbers(3)) == 5 and (Numbers(2) + Numbers(3))[3][0] == 1
    same_error(lambda: data.ConcatDataset([]), lambda: theirs.ConcatDataset([]))
    for index in (-2, 1):
        same_error(lambda i=index: data.ConcatDataset([[7]])[i], lambda i=index: theirs.ConcatDataset([[7]])[i])
    for wrong in (((), {}), (("a", "bc"), {}), (("a",), {"x": "b"})):
        same_error(lambda w=wrong: data.StackDataset(*w[0], **w[1]), lambda w=wrong: theirs.StackDataset(*w[0], **w[1]))
    with pytest.raises(IndexRangeError, match="got 1 of 1"):
        data.ConcatDataset(["a"])[1]
    with pytest.raises(DTypeError, match="use ChainDataset"):
        data.ConcatDataset([Stream(1)])
    with pytest.raises(DTypeError, match="use ConcatDataset"):
        list(data.ChainDataset([[1]]))
    for abstract in (data.Dataset(), data.IterableDataset()):
        with pytest.raises(NotImplementedError):
            abstract[0]
    with pytest.raises(NotImplementedError):
        iter(data.IterableDataset())


@pytest.mark.parametrize(
    "n, lengths",
    [(10, [7, 3]), (10, [0.7, 0.3]), (7, [0.5, 0.5]), (8, [0.3, 0.3, 0.4]), (3, [1.0]), (5, [5, 0]), (11, [1 / 3] * 3)],
)
def test_random_split(n, lengths):
    _, theirs = torch_data()
    sizes = [len(part) for part in theirs.random_split(range(n), lengths)]
    parts = data.random_split(range(n), lengths, generator=tl.Generator().manual_seed(3))
    assert [len(part) for part in parts] == sizes
    assert sorted(itertools.chain(*parts)) == list(range(n))
    again = data.random_split(range(n), lengths, generator=tl.Generator().manual_seed(3))
    assert [p.indices for p in parts] == [p.indices for p in again]


def test_random_split_refuses():
    _, theirs = torch_data()
    for lengths in ([3, 3], [0.5, 0.2], [1.5, -0.5]):
        same_error(lambda v=lengths: data.random_split(range(5), v), lambda v=lengths: theirs.random_split(range(5), v))
    with pytest.raises(ArgumentError, match="add up to 6, the dataset has 5 samples"):
        data.random_split(range(5), [3, 3])
    with pytest.warns(UserWarning, match="Length of split at index 1 is 0"):
        data.random_split(range(1), [0.5, 0.5])


# ---------------------------------------------------------------- samplers
def test_samplers_give_what_they_say():
    g = tl.Generator().manual_seed(5)
    assert list(data.SequentialSampler("abc")) == [0, 1, 2]
    order = data.RandomSampler(range(50), generator=g)
    first, second = list(order), list(order)
    assert sorted(first) == sorted(second) == list(range(50)) and first != second and len(order) == 50
    many = list(data.RandomSampler(range(3), num_samples=8))
    assert sorted(many[:3]) == sorted(many[3:6]) == [0, 1, 2] and len(many) == 8
    drawn = list(data.RandomSampler(range(3), replacement=True, num_samples=2000))
    assert len(drawn) == 2000 and set(drawn) == {0, 1, 2}
    assert sorted(data.SubsetRandomSampler([7, 3, 5])) == [3, 5, 7]
    weighted = data.WeightedRandomSampler([1, 0, 3], 4000)
    counts = collections.Counter(weighted)
    assert counts[1] == 0 and abs(counts[2] / 4000 - 0.75) < 0.05 and len(weighted) == 4000
    assert sorted(data.WeightedRandomSampler([1, 2, 3], 3, replacement=False)) == [0, 1, 2]
    assert data.BatchSampler(data.SequentialSampler(range(5)), 2, True).__len__() == 2


def test_every_order_is_equally_likely():
    """As PyTorch's: each of the 24 permutations of 4 comes equally often; chi-square against 23 degrees of freedom."""
    order = data.RandomSampler(range(4), generator=tl.Generator().manual_seed(0))
    counts = collections.Counter(tuple(order) for _ in range(4800))
    assert len(counts) == 24 and sum((c - 200) ** 2 / 200 for c in counts.values()) < 49.7  # 1 in 1000


WRONG_SAMPLERS = {
    "replacement": lambda lib: lib.RandomSampler(range(3), replacement="no"),
    "num_samples": lambda lib: lib.RandomSampler(range(3), num_samples=-1),
    "nothing to draw": lambda lib: lib.RandomSampler([]),
    "num_samples of weighted": lambda lib: lib.WeightedRandomSampler([1.0], True),
    "weighted, replacement": lambda lib: lib.WeightedRandomSampler([1.0], 1, replacement=1),
    "weights": lambda lib: lib.WeightedRandomSampler([[1.0]], 1),
    "batch_size": lambda lib: lib.BatchSampler(range(3), 0, False),
    "batch_size, bool": lambda lib: lib.BatchSampler(range(3), True, False),
    "drop_last": lambda lib: lib.BatchSampler(range(3), 1, None),
    "rank": lambda lib: lib.DistributedSampler(range(3), num_replicas=2, rank=2),
    "no group": lambda lib: lib.DistributedSampler(range(3)),
    "abstract": lambda lib: iter(lib.Sampler()),
}


@pytest.mark.parametrize("name", WRONG_SAMPLERS)
def test_samplers_refuse(name):
    _, theirs = torch_data()
    with pytest.raises(Exception) as their:
        WRONG_SAMPLERS[name](theirs)
    kind = (ValueError, TypeError) if "replacement" in name or "drop_last" in name else their.type
    with pytest.raises(kind):
        WRONG_SAMPLERS[name](data)


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("n, replicas", [(10, 2), (11, 4), (3, 8), (1, 3), (12, 5), (0, 2)])
def test_distributed_sampler(n, replicas, drop_last):
    _, theirs = torch_data()
    for rank in range(replicas):
        options = {"num_replicas": replicas, "rank": rank, "shuffle": False, "drop_last": drop_last}
        a, b = data.DistributedSampler(range(n), **options), theirs.DistributedSampler(range(n), **options)
        assert len(a) == len(b) and a.total_size == b.total_size
        assert list(a) == list(b)


def test_distributed_sampler_shuffles_by_epoch():
    shares = [data.DistributedSampler(range(100), 4, r, seed=3, drop_last=True) for r in range(4)]
    epochs = []
    for epoch in (0, 1, 0):
        for share in shares:
            share.set_epoch(epoch)
        epochs.append([list(share) for share in shares])
        assert sorted(itertools.chain(*epochs[-1])) == list(range(100))
    assert epochs[0] == epochs[2] != epochs[1]


# ---------------------------------------------------------------- the loader
@given(st.integers(0, 30), st.integers(1, 9), st.booleans())
@settings(max_examples=30, deadline=None)
def test_lengths_and_batches(n, batch_size, drop_last):
    _, theirs = torch_data()
    for dataset in (range(n),):
        a = data.DataLoader(dataset, batch_size, drop_last=drop_last)
        b = theirs.DataLoader(dataset, batch_size, drop_last=drop_last)
        assert len(a) == len(b) == len(iter(a)) and [x.tolist() for x in a] == [x.tolist() for x in b]
    if n:
        seen = [i for batch in data.DataLoader(range(n), batch_size, shuffle=True) for i in batch.tolist()]
        assert sorted(seen) == list(range(n))


CASES = {
    "by number": lambda lib: lib.DataLoader(list(range(7)), batch_size=3),
    "drop_last": lambda lib: lib.DataLoader(list(range(7)), batch_size=3, drop_last=True),
    "sampler": lambda lib: lib.DataLoader(list(range(7)), batch_size=2, sampler=[6, 0, 6]),
    "batch_sampler": lambda lib: lib.DataLoader(list(range(7)), batch_sampler=[[0], [1, 2, 3], [6]]),
    "single samples": lambda lib: lib.DataLoader([(np.ones(2), "a"), (np.ones(2), "b")], batch_size=None),
    "single samples, sampler": lambda lib: lib.DataLoader(list(range(7)), batch_size=None, sampler=[3, 1]),
    "batches as indices": lambda lib: lib.DataLoader(np.arange(7), batch_size=None, sampler=[[1, 2], [5]]),
    "dict": lambda lib: lib.DataLoader({"a": 1, "b": 2}, sampler=["b", "a"]),
    "collate_fn": lambda lib: lib.DataLoader(list(range(5)), batch_size=2, collate_fn=sum),
    "single, collate_fn": lambda lib: lib.DataLoader(list(range(3)), batch_size=None, collate_fn=str),
    "subset": lambda lib: lib.DataLoader(lib.Subset(range(7), [5, 3, 1]), batch_size=2),
    "stack": lambda lib: lib.DataLoader(lib.StackDataset(a=range(3), b="xyz"), batch_size=2),
    "empty": lambda lib: lib.DataLoader([], batch_size=2),
}


def stream(lib, n, said=None):
    made = type("Stream", (lib.IterableDataset,), {"__iter__": lambda self: iter(range(n))})
    if said is not None:
        made.__len__ = lambda self: said
    return made()


for _n in (0, 5, 6):
    CASES[f"stream of {_n}"] = lambda lib, n=_n: lib.DataLoader(stream(lib, n, n), batch_size=3)
    CASES[f"stream of {_n}, drop_last"] = lambda lib, n=_n: lib.DataLoader(
        stream(lib, n, n), batch_size=3, drop_last=True
    )
    CASES[f"stream of {_n}, single"] = lambda lib, n=_n: lib.DataLoader(stream(lib, n, n), batch_size=None)


@pytest.mark.parametrize("name", CASES)
def test_loader(name):
    _, theirs = torch_data()
    a, b = CASES[name](data), CASES[name](theirs)
    assert len(a) == len(b) and a.batch_size == b.batch_size and a.drop_last == b.drop_last
    for _ in range(2):  # epochs
        assert [plain(x) for x in a] == [plain(x) for x in b]


WRONG = {
    "num_workers": {"num_workers": -1},
    "timeout": {"timeout": -1},
    "prefetch_factor without workers": {"prefetch_factor": 2},
    "prefetch_factor": {"num_workers": 1, "prefetch_factor": -1},
    "persistent without workers": {"persistent_workers": True},
    "context without workers": {"multiprocessing_context": "fork"},
    "unknown context": {"multiprocessing_context": "spoon", "num_workers": 1},
    "no context": {"multiprocessing_context": 3, "num_workers": 1},
    "sampler and shuffle": {"sampler": [0], "shuffle": True},
    "batch_sampler and batch_size": {"batch_sampler": [[0]], "batch_size": 2},
    "batch_sampler and shuffle": {"batch_sampler": [[0]], "shuffle": True},
    "batch_sampler and drop_last": {"batch_sampler": [[0]], "drop_last": True},
    "no batches and drop_last": {"batch_size": None, "drop_last": True},
    "batch_size": {"batch_size": 0},
}


@pytest.mark.parametrize("name", WRONG)
def test_loader_refuses(name):
    _, theirs = torch_data()
    same_error(lambda: data.DataLoader(range(3), **WRONG[name]), lambda: theirs.DataLoader(range(3), **WRONG[name]))


@pytest.mark.parametrize("option", [{"shuffle": True}, {"sampler": [0]}, {"batch_sampler": [[0]]}])
def test_loader_refuses_an_order_for_a_stream(option):
    _, theirs = torch_data()
    same_error(lambda: data.DataLoader(Stream(3), **option), lambda: theirs.DataLoader(stream(theirs, 3), **option))
    with pytest.raises(ArgumentError, match=f"unspecified {next(iter(option))} option"):
        data.DataLoader(Stream(3), **option)
    assert len(list(data.DataLoader(Stream(3), shuffle=False))) == 3


def test_fixed_attributes():
    loader = data.DataLoader(range(3))
    for name in ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers"):
        with pytest.raises(ValueError, match=f"{name} attribute should not be set after DataLoader is initialized"):
            setattr(loader, name, 1)
    loader.collate_fn = sum
    assert (
        list(loader) == [0, 1, 2] and isinstance(loader, data.DataLoader) and data.DataLoader[int] and data.Dataset[int]
    )


def test_a_stream_that_gives_more_than_it_said():
    loader = data.DataLoader(Stream(5, said=2), batch_size=2)
    assert len(loader) == 1
    with pytest.warns(UserWarning, match=r"was reported to be 2 \(1 batches\), but batch [23] was fetched"):
        assert len(list(loader)) == 3
    with pytest.raises(TypeError):
        len(data.DataLoader(Stream(5)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(list(data.DataLoader(Stream(5, said=2), batch_size=2))) == 3  # nobody asked for the length


def test_dataset_exceptions_come_through_and_stop_iteration_is_no_end():
    class Broken(Numbers):
        def __getitem__(self, index):
            if index == 2:
                raise self.error
            return index

    dataset = Broken(6)
    dataset.error = KeyError("of the dataset")
    batches = iter(data.DataLoader(dataset, 2))
    assert next(batches).tolist() == [0, 1]
    with pytest.raises(KeyError, match="of the dataset"):
        next(batches)
    assert next(batches).tolist() == [4, 5]  # the next batch is not lost
    dataset.error = StopIteration()
    with pytest.raises(RuntimeError, match="raised StopIteration, which would have ended the epoch without a word"):
        list(data.DataLoader(dataset, 2))


def test_getitems_is_asked_for_whole_batches():
    class Many(Numbers):
        def __getitems__(self, indices):
            return [(i, "many") for i in indices]

    assert [b[1] for b in data.DataLoader(Many(3), 2)] == [("many", "many"), ("many",)]
    assert [b[1] for b in data.DataLoader(data.Subset(Many(3), [2, 0]), 2)] == [("many", "many")]


# ---------------------------------------------------------------- order
def orders(loader, epochs=3):
    return [[i for batch in loader for i in batch.tolist()] for _ in range(epochs)]


def test_one_seed_gives_one_order():
    def loader(seed):
        tl.manual_seed(seed)
        return data.DataLoader(range(20), 3, shuffle=True)

    first = orders(loader(1))
    assert first == orders(loader(1)) != orders(loader(2))
    assert first[0] != first[1] and all(sorted(epoch) == list(range(20)) for epoch in first)
    own = [
        orders(data.DataLoader(range(20), 3, shuffle=True, generator=tl.Generator().manual_seed(4))) for _ in range(2)
    ]
    assert own[0] == own[1]


def test_drawing_during_an_epoch_does_not_change_its_order():
    def order(draw):
        tl.manual_seed(7)
        found = []
        for batch in data.DataLoader(range(40), 4, shuffle=True):
            found += batch.tolist()
            if draw:
                tl.rand(5)
        return found

    assert order(False) == order(True)


def test_resume():
    """The state of the generator before an epoch brings the epoch back, here or in another process; islice the rest of it."""
    g = tl.Generator().manual_seed(9)
    loader = data.DataLoader(range(30), 4, shuffle=True, generator=g)
    orders(loader, 2)
    state = pickle.dumps(g.get_state())
    whole = [batch.tolist() for batch in loader]
    later = data.DataLoader(range(30), 4, shuffle=True, generator=tl.Generator().set_state(pickle.loads(state)))
    assert [batch.tolist() for batch in itertools.islice(later, 3, None)] == whole[3:]


def test_names_where_programs_look_for_them():
    from tensorlite.utils.data.dataloader import DataLoader, default_collate
    from tensorlite.utils.data.dataset import Dataset, random_split
    from tensorlite.utils.data.distributed import DistributedSampler
    from tensorlite.utils.data.sampler import RandomSampler, Sampler

    assert DataLoader is tl.utils.data.DataLoader is tl.data.DataLoader is tl.utils.data.dataloader.DataLoader
    assert Dataset is data.Dataset and random_split is data.random_split and default_collate is data.default_collate
    assert DistributedSampler is tl.utils.data.distributed.DistributedSampler is data.DistributedSampler
    assert RandomSampler is data.RandomSampler and Sampler is data.Sampler
    _, theirs = torch_data()
    pipes = re.compile(
        "DataPipe|DataChunk|argument_|datapipe|non_determ|runtime_|_DatasetKind"
    )  # torchdata's, given up there
    lacking = [n for n in theirs.__all__ if not hasattr(data, n) and not pipes.search(n)]
    assert not lacking
