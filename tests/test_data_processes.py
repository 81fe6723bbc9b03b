"""The life and death of the DataLoader's worker processes: persistence, exceptions, kills, Ctrl-C, and nothing left behind."""

import gc
import itertools
import json
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from data_helpers import Each, Share, lists, none_left  # noqa: F401

import tensorlite as tl
from tensorlite.data import workers
from tensorlite.utils import data

ROOT = Path(__file__).resolve().parent.parent
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
    pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork"),
]


# ---------------------------------------------------------------- persistent workers
def test_persistent_workers_stay_for_the_next_epoch():
    dataset = Each(8, lambda i: (i, os.getpid()))
    loader = data.DataLoader(dataset, 2, num_workers=2, persistent_workers=True)
    epochs = [list(loader) for _ in range(3)]
    assert len({pid for epoch in epochs for _, pids in epoch for pid in pids.tolist()}) == 2
    assert all([i.tolist() for i, _ in epoch] == [[0, 1], [2, 3], [4, 5], [6, 7]] for epoch in epochs)
    assert len(multiprocessing.active_children()) == 2
    del loader
    assert not multiprocessing.active_children()


def test_an_epoch_left_early_leaves_nothing_for_the_next():
    for dataset in (Each(12), Share(12)):
        loader = data.DataLoader(dataset, 2, num_workers=2, persistent_workers=True, prefetch_factor=3)
        whole = lists(loader)
        for count in (1, 2):
            assert lists(itertools.islice(loader, count)) == whole[:count]
        assert lists(loader) == whole


def test_without_them_leaving_early_or_dropping_the_loader_ends_the_workers():
    loader = data.DataLoader(Each(100), 2, num_workers=2)
    for _ in loader:
        break
    assert not multiprocessing.active_children()
    batches = iter(loader)
    next(batches)
    del loader
    assert len(multiprocessing.active_children()) == 2
    del batches
    assert not multiprocessing.active_children()
    assert len(list(data.DataLoader(Each(4), 2, num_workers=2))) == 2  # and so does the end
    kept = iter(data.DataLoader(Each(4), 2, num_workers=2))
    list(kept)
    assert not multiprocessing.active_children() and list(kept) == []


def test_a_worker_that_does_not_stop_is_stopped(monkeypatch):
    batches = iter(data.DataLoader(Each(9, lambda i: time.sleep(60 if i else 0) or i), 1, num_workers=2))
    assert next(batches).item() == 0
    began = time.monotonic()
    batches.pool.close(grace=0.1)
    assert time.monotonic() - began < 5 and not multiprocessing.active_children()
    with pytest.raises(RuntimeError, match="workers of this iterator have been ended"):
        next(batches)


# ---------------------------------------------------------------- exceptions
class Odd(Exception):
    """Is not made from a text."""

    def __init__(self, code, *, reason):
        super().__init__(code, reason)


def raises_local():
    class Local(LookupError):
        pass

    raise Local("of a function")


ERRORS = {  # what goes wrong in the dataset: the type in the parent
    "ValueError": (lambda: int("seven"), ValueError, "invalid literal for int"),
    "KeyError": (lambda: {}["missing"], KeyError, "'missing'"),
    "OSError": (lambda: os.stat("/no/such/file"), FileNotFoundError, "No such file"),
    "UnicodeDecodeError": (lambda: b"\xff".decode(), UnicodeDecodeError, "invalid start byte"),
    "JSONDecodeError": (lambda: json.loads("{"), json.JSONDecodeError, "Expecting property name"),
    "made from no text": (lambda: (_ for _ in ()).throw(Odd(3, reason="odd")), Odd, "odd"),
    "local": (raises_local, LookupError, "of a function"),
    "ours": (lambda: tl.ones(2) @ tl.ones(3), tl.errors.ShapeError, "2"),
    "StopIteration": (lambda: next(iter(())), RuntimeError, "without a word"),
    "that cannot be pickled": (lambda: lambda: 0, (pickle.PicklingError, AttributeError, TypeError), "pickle"),
    "of a graph": (lambda: tl.ones(1, requires_grad=True) * 2, tl.errors.GraphError, "detach"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_exceptions_cross_with_their_type_and_traceback(name):
    function, kind, text = ERRORS[name]
    loader = data.DataLoader(Each(6, lambda i: function() if i == 2 else i), None, num_workers=2)
    batches = iter(loader)
    assert [next(batches), next(batches)] == [0, 1]
    with pytest.raises(kind) as caught:
        next(batches)
    shown = str(caught.value)
    assert "in DataLoader worker process 0." in shown and "Traceback (most recent call last)" in shown and text in shown
    assert "\n" in shown and "\\n" not in shown.replace("\\\\n", "")
    assert list(batches) == [3, 4, 5]  # what comes after it is not lost


def test_exceptions_in_a_stream_and_in_collate_fn():
    class Broken(data.IterableDataset):
        def __iter__(self):
            yield 1
            raise ZeroDivisionError("of the stream")

    batches = iter(data.DataLoader(Broken(), 1, num_workers=1))
    assert next(batches).item() == 1
    with pytest.raises(ZeroDivisionError, match="of the stream"):
        next(batches)
    assert list(batches) == []
    with pytest.raises(tl.errors.ShapeError, match="equal size, but got \\[0\\] at entry 0 and \\[1\\] at entry 1"):
        list(data.DataLoader(Each(2, lambda i: tl.ones(i)), 2, num_workers=1))


class Thorn:
    """An index that cannot be unpickled."""

    def __reduce__(self):
        return int, ("thorn",)


def test_indices_that_do_not_arrive():
    batches = iter(data.DataLoader(Each(3), None, sampler=[0, Thorn(), 2], num_workers=1, timeout=30))
    assert next(batches) == 0
    with pytest.raises(ValueError, match=r"invalid literal.*thorn"):
        next(batches)
    assert next(batches) == 2


def test_a_dataset_that_cannot_be_sent():
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None
    with pytest.raises((pickle.PicklingError, AttributeError), match="pickle"):
        list(data.DataLoader(Each(3, lambda i: i), num_workers=2, multiprocessing_context="spawn"))
    gc.collect()
    assert before is None or len(os.listdir("/proc/self/fd")) <= before + 2  # multiprocessing's own tracker may start


def test_workers_have_no_workers():
    inner = Each(2, lambda i: list(data.DataLoader(range(2), num_workers=1)))
    with pytest.raises(AssertionError, match="daemonic processes are not allowed to have children"):
        list(data.DataLoader(inner, None, num_workers=1, timeout=30))


# ---------------------------------------------------------------- death
@pytest.mark.parametrize("in_order", [True, False])
def test_a_killed_worker_is_noticed(in_order):
    def sample(i):
        if i == 4:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.02)
        return i

    seen = []
    with pytest.raises(
        RuntimeError, match=r"worker [01] \(pid \d+\) was killed by signal 9 \(SIGKILL\).*memory ran out"
    ):
        for i in data.DataLoader(Each(40, sample), None, num_workers=2, in_order=in_order):
            seen.append(i)
    assert not multiprocessing.active_children() and len({*seen}) == len(seen)
    assert seen == list(range(len(seen))) if in_order else 4 not in seen  # out of order a slow worker may come late


def test_a_worker_killed_from_outside_while_idle_is_noticed():
    loader = data.DataLoader(Each(6), 2, num_workers=2, persistent_workers=True)
    assert len(list(loader)) == 3
    victim = multiprocessing.active_children()[0]
    victim.kill()
    victim.join()
    with pytest.raises(RuntimeError, match="was killed by signal 9"):
        list(loader)
    assert not multiprocessing.active_children()
    assert len(list(loader)) == 3  # with new ones


def test_a_worker_that_leaves_is_noticed():
    with pytest.raises(RuntimeError, match=r"worker 1 .* exited unexpectedly with code 3"):
        list(data.DataLoader(Each(4, lambda i: sys.exit(3) if i == 1 else i), None, num_workers=2))


def test_timeout():
    began = time.monotonic()
    with pytest.raises(RuntimeError, match=r"DataLoader timed out after 0\.3 seconds"):
        list(data.DataLoader(Each(4, lambda i: time.sleep(30)), None, num_workers=2, timeout=0.3))
    assert 0.3 <= time.monotonic() - began < 5 and not multiprocessing.active_children()
    assert len(list(data.DataLoader(Each(4), None, num_workers=2, timeout=30))) == 4


# ---------------------------------------------------------------- Ctrl-C
PROGRAM = """
import multiprocessing, os, sys, time
import tensorlite as tl

class Slow(tl.utils.data.Dataset):
    def __len__(self):
        return 10**6
    def __getitem__(self, index):
        time.sleep({sleep})
        return index

if __name__ == "__main__":
    for number, batch in enumerate(tl.utils.data.DataLoader(Slow(), 1, num_workers=2, multiprocessing_context="{method}")):
        if number == 2:
            print(*[p.pid for p in multiprocessing.active_children()], flush=True)
        {body}
"""


def exists(pid):
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="asks /proc")
@pytest.mark.parametrize(
    "how, method, sleep, body",
    [
        ("SIGINT", "fork", 0.01, "time.sleep(0.01)"),  # in the middle of the training step
        ("SIGINT", "fork", 0.2, "pass"),  # while waiting for a batch
        ("SIGINT to all", "fork", 0.01, "pass"),  # as a terminal sends it
        ("SIGINT to all", "spawn", 0.01, "pass"),
        ("SIGTERM", "fork", 0.01, "time.sleep(0.01)"),  # no Python code of the parent runs any more
        ("SIGKILL", "fork", 30, "pass"),
        ("SIGKILL", "spawn", 0.01, "time.sleep(0.01)"),
    ],
)
def test_no_process_is_left_behind(tmp_path, how, method, sleep, body):
    if sleep == 30:  # workers in a long sample: the first ones come at once
        sleep = "30 if index > 3 else 0"
    (tmp_path / "program.py").write_text(PROGRAM.format(method=method, sleep=sleep, body=body))
    process = subprocess.Popen(
        [sys.executable, "program.py"], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        pids = [int(pid) for pid in process.stdout.readline().split()]
        assert len(pids) == 2 and all(map(exists, pids))
        time.sleep(0.1)
        number = getattr(signal, how.split()[0])
        (os.killpg if how.endswith("all") else os.kill)(process.pid, number)
        _, said = process.communicate(timeout=20)
        if number == signal.SIGINT:
            assert process.returncode != 0 and "KeyboardInterrupt" in said
            assert said.count("Traceback") == 1, said  # the workers say nothing
        until = time.monotonic() + 10
        while any(map(exists, pids)) and time.monotonic() < until:
            time.sleep(0.05)
        assert not any(map(exists, pids))
    finally:
        process.kill()
        process.wait()


def test_a_fork_of_the_parent_does_not_end_the_workers():
    batches = iter(data.DataLoader(Each(20), 1, num_workers=2))
    assert next(batches).item() == 0
    pid = os.fork()
    if not pid:
        batches.pool.close()
        del batches
        gc.collect()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert len(list(batches)) == 19


def test_no_descriptors_are_left_open():
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("asks /proc")
    list(data.DataLoader(Each(4), 2, num_workers=2))
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        list(data.DataLoader(Each(4, lambda i: tl.ones(100)), 2, num_workers=2))
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before


def test_default_way_to_start_is_the_users(monkeypatch):
    assert workers.default_context().get_start_method() == "fork" or sys.platform != "linux"
    monkeypatch.setattr(multiprocessing, "get_start_method", lambda allow_none=False: "spawn")
    monkeypatch.setattr(multiprocessing, "get_context", lambda method=None: method)
    assert workers.default_context() is None  # the default of multiprocessing itself
