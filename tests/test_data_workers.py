"""Batches from worker processes: every sample once, in order, whole, and from the seeds that were given."""

import itertools
import multiprocessing
import os
import random
import time

import numpy as np
import pytest
from data_helpers import Each, Share, lists, none_left, torch_data  # noqa: F401
from hypothesis import given, settings, strategies as st

import tensorlite as tl
from tensorlite.backend import threads
from tensorlite.data import worker
from tensorlite.utils import data

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
    pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork"),
]


class Numbers(data.Dataset):
    """Can be pickled, for spawn."""

    def __len__(self):
        return 9

    def __getitem__(self, index):
        return index, np.full((3,), index, "float32")


def slow_at_first(i):
    time.sleep(0.2 if i < 2 else 0)
    return i


# ---------------------------------------------------------------- every sample once, in order
@given(st.integers(0, 20), st.integers(1, 6), st.booleans(), st.integers(0, 3), st.integers(1, 3), st.booleans())
@settings(max_examples=25, deadline=None)
def test_every_sample_arrives_once(n, batch_size, drop_last, num_workers, ahead, shuffle):
    options = {"prefetch_factor": ahead} if num_workers else {}
    if shuffle and n:
        options["shuffle"] = True
    loader = data.DataLoader(Each(n), batch_size, drop_last=drop_last, num_workers=num_workers, **options)
    batches = lists(loader)
    seen = list(itertools.chain(*batches))
    kept = n - n % batch_size if drop_last else n
    assert len(seen) == kept == len(set(seen)) and set(seen) <= set(range(n)) and len(batches) == len(loader)
    if not options.get("shuffle"):
        assert seen == list(range(kept))


@given(st.integers(0, 20), st.integers(1, 5), st.integers(0, 3), st.integers(1, 3))
@settings(max_examples=15, deadline=None)
def test_every_sample_of_a_stream_arrives_once(n, batch_size, num_workers, ahead):
    options = {"prefetch_factor": ahead} if num_workers else {}
    seen = itertools.chain(*lists(data.DataLoader(Share(n), batch_size, num_workers=num_workers, **options)))
    assert sorted(seen) == list(range(n))


def test_batches_keep_their_order_however_fast_the_workers_are():
    dataset = Each(12, slow_at_first)
    assert lists(data.DataLoader(dataset, 2, num_workers=2)) == [[i, i + 1] for i in range(0, 12, 2)]
    quick_first = lists(data.DataLoader(dataset, 2, num_workers=2, in_order=False))
    assert quick_first[0] == [2, 3] and sorted(itertools.chain(*quick_first)) == list(range(12))


def test_the_order_does_not_depend_on_the_number_of_workers():
    found = []
    for num_workers in (0, 1, 2):
        for generator in (False, True):
            tl.manual_seed(3)
            g = {"generator": tl.Generator().manual_seed(3)} if generator else {}
            loader = data.DataLoader(Each(20), 3, shuffle=True, num_workers=num_workers, **g)
            found.append([lists(loader), lists(loader)])
    assert found[0] == found[2] == found[4] and found[1] == found[3] == found[5] and found[0][0] != found[0][1]


@pytest.mark.parametrize("limits", [[6, 2], [1, 6, 4]])
@pytest.mark.filterwarnings("ignore:This DataLoader will create 3 worker")
def test_streams_come_as_in_pytorch(limits):
    theirs = torch_data()[1]

    class Theirs(theirs.IterableDataset):
        def __iter__(self):
            info = theirs.get_worker_info()
            return iter(range(info.id, 40, len(limits))[: limits[info.id]])

    ours = lists(data.DataLoader(Share(40, limits), 2, num_workers=len(limits)))
    assert ours == [b.tolist() for b in theirs.DataLoader(Theirs(), 2, num_workers=len(limits))]


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_other_ways_to_start(method):
    loader = data.DataLoader(Numbers(), 4, num_workers=2, multiprocessing_context=method)
    assert loader.multiprocessing_context.get_start_method() == method
    numbers, arrays = zip(*loader)
    assert [n.tolist() for n in numbers] == [[0, 1, 2, 3], [4, 5, 6, 7], [8]]
    assert [a.shape for a in arrays] == [(4, 3), (4, 3), (1, 3)] and arrays[1][2].tolist() == [6.0] * 3
    loader.multiprocessing_context = multiprocessing.get_context("fork")
    assert len(list(loader)) == 3


# ---------------------------------------------------------------- what passes between the processes
def test_all_kinds_of_batches_cross(device):
    if device.startswith("cuda"):
        pytest.skip("a fork cannot use the GPU of its parent")

    def sample(i):
        return {
            "image": tl.full((40, 50), float(i)),
            "half": tl.full((2,), i, dtype=tl.bfloat16),
            "empty": tl.zeros(0, 3),
            "view": tl.arange(6.0).reshape(2, 3).t(),
            "name": f"number {i}" * 1000,
            "array": np.arange(3) + i,
            "number": float(i),
        }

    options = {"batch_size": 2, "num_workers": 2}
    for crossed, here in zip(
        data.DataLoader(Each(5, sample), **options), data.DataLoader(Each(5, sample), batch_size=2)
    ):
        assert list(crossed) == list(here)
        for key in here:
            a, b = crossed[key], here[key]
            if isinstance(b, tl.Tensor):
                assert a.dtype is b.dtype and a.shape == b.shape and a.device == b.device and tl.equal(a, b)
                a += 1  # the memory is the batch's own, and can be written
            else:
                assert a == b
    samples = list(
        data.DataLoader(Each(3, lambda i: (tl.ones(i, requires_grad=True), None)), batch_size=None, num_workers=1)
    )
    assert [(s[0].shape, s[0].requires_grad, s[1]) for s in samples] == [((i,), True, None) for i in range(3)]


def test_batches_are_not_overwritten_by_later_ones():
    batches = list(data.DataLoader(Each(40, lambda i: tl.full((1000,), float(i))), 1, num_workers=2, prefetch_factor=1))
    assert [b[0, -1].item() for b in batches] == list(range(40))


def test_through_the_pipe_where_the_system_has_no_files_in_memory(monkeypatch):
    monkeypatch.delattr(os, "memfd_create", raising=False)
    assert worker.slots(3) == [None]
    loader = data.DataLoader(Each(6, lambda i: tl.full((300, 400), float(i))), 2, num_workers=2)
    assert [b[:, 0, 0].tolist() for b in loader] == [[0, 1], [2, 3], [4, 5]]


def test_long_lists_of_indices_and_large_results_do_not_block_one_another():
    """Both directions are fuller than a pipe: whoever waited for the other to read would wait for ever."""
    n = 60_000
    loader = data.DataLoader(Each(4 * n, str), n, num_workers=1, prefetch_factor=3, timeout=60)
    assert [batch[-1] for batch in loader] == [str(n * k - 1) for k in range(1, 5)]


# ---------------------------------------------------------------- seeds and what a worker knows
def draws(_):
    info = data.get_worker_info()
    return info.id, info.num_workers, info.seed, random.random(), np.random.rand(), tl.rand(()).item()


def test_workers_are_seeded():
    def run(seed, **options):
        loader = data.DataLoader(
            Each(8, draws), None, num_workers=2, generator=tl.Generator().manual_seed(seed), **options
        )
        return [list(loader), list(loader)]

    first, second = run(1)
    assert [first, second] == run(1) != run(2) and first != second
    assert [s[0] for s in first] == [0, 1] * 4 and {s[1] for s in first} == {2}
    base = first[0][2]
    assert {s[2] - s[0] for s in first} == {base}
    for number, drawn in enumerate(first[:2]):
        random.seed(base + number)
        tl.manual_seed(base + number)
        assert (drawn[3], drawn[5]) == (random.random(), tl.rand(()).item())
    assert len({s[4] for s in first}) == 8
    kept, later = run(1, persistent_workers=True)
    assert kept == first and [s[2] for s in later] == [s[2] for s in first] and later != first  # they go on drawing
    assert data.get_worker_info() is None


def test_workers_know_themselves_and_use_one_thread():
    def ask(i):
        info = data.get_worker_info()
        return info.id, info.dataset.n, threads.get_num_threads(), os.getpid(), "id=" in repr(info)

    found = list(data.DataLoader(Each(4, ask), None, num_workers=2))
    assert [f[:3] for f in found] == [[0, 4, 1], [1, 4, 1]] * 2 and all(f[4] for f in found)
    assert len({f[3] for f in found} | {os.getpid()}) == 3


def test_worker_init_fn():
    marks = []
    dataset = Each(4, lambda i: list(marks))
    found = list(data.DataLoader(dataset, None, num_workers=2, worker_init_fn=marks.append))
    assert found == [[0], [1]] * 2 and marks == []

    def broken(number):
        raise OSError(f"no disk for {number}")

    with pytest.raises(OSError, match="no disk for 0"):
        list(data.DataLoader(dataset, None, num_workers=2, worker_init_fn=broken))
