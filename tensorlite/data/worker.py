"""One worker process: what it knows of itself, the loop that answers tasks with batches, and how a batch crosses over."""

import os
import pickle
import queue
import random as python_random
import signal
import threading
import time
import traceback
from collections import namedtuple
from dataclasses import dataclass
from multiprocessing import parent_process, reduction
from typing import Any

from tensorlite import random
from tensorlite.backend import host, threads
from tensorlite.data.fetch import Mark

__all__ = ["WorkerInfo", "get_worker_info"]

RESET = b"reset"  # in the place of pickled indices: a new epoch begins
Failure = namedtuple("Failure", "kind text")  # an exception on its way to the parent: its type, and what to say


@dataclass(frozen=True)
class WorkerInfo:
    """Which worker this is (id of num_workers), the seed it started from, and its own copy of the dataset."""

    id: int
    num_workers: int
    seed: int
    dataset: Any


_info = None


def get_worker_info() -> WorkerInfo | None:
    """In a worker process of a DataLoader: what it knows of itself. Anywhere else: None."""
    return _info


# ---------------------------------------------------------------- crossing over
class Slot:
    """Memory of two processes: a file that has no name and no place on a disk, and is gone when both have closed it.

    The worker writes a batch's arrays there and the parent reads them into fresh arrays. A worker has one slot for each
    batch that it may be ahead, and uses them in turn: the pages are there already. Measured, for one array of 8 MB (and
    154 MB) from worker to parent: 2.7 ms (70); through the pipe beside the pickle 9.1 (217), inside of it 17.8 (481); by
    memory mapped anew for every batch, without the second copy, 9.2 (159).
    """

    def __init__(self, descriptor=None):
        self.descriptor = os.memfd_create("tensorlite-batch") if descriptor is None else descriptor

    def __reduce__(self):  # to a process that is not a fork: the descriptor is passed on by multiprocessing
        return _passed_on, (reduction.DupFd(self.descriptor),)

    def write(self, buffers):
        """The bytes of all buffers, one behind the other."""
        place = 0
        for left in buffers:
            while left:
                done = os.pwrite(self.descriptor, left, place)
                place, left = place + done, left[done:]

    def read(self, sizes):
        """The bytes as fresh arrays of the given sizes."""
        place, arrays = 0, []
        for size in sizes:
            arrays.append(host().xp.empty(size, "uint8"))
            left = memoryview(arrays[-1])
            while left:
                done = os.preadv(self.descriptor, [left], place)
                place, left = place + done, left[done:]
        return arrays

    def close(self):
        """Give the memory back (when the other side has done so too)."""
        os.close(self.descriptor)


def _passed_on(handle):
    return Slot(handle.detach())


def slots(count):
    """`count` slots; [None] where the system has no such files: batches then go through the pipe."""
    return [Slot() for _ in range(count)] if hasattr(os, "memfd_create") else [None]


def pack(value, slot) -> bytes:
    """Any value as one message; its arrays go into the slot."""
    arrays = []
    head = pickle.dumps(value, 5, buffer_callback=None if slot is None else arrays.append)
    arrays = [array.raw() for array in arrays]
    if arrays:
        slot.write(arrays)
    return pickle.dumps((head, [array.nbytes for array in arrays]))


def unpack(message, slot):
    """What `pack` put together."""
    head, sizes = pickle.loads(message)
    return pickle.loads(head, buffers=slot.read(sizes) if sizes else ())


def pack_task(epoch, indices) -> bytes:
    """What the parent sends: 8 bytes that differ between epochs, and the indices pickled, or RESET."""
    return epoch.to_bytes(8, "little") + (indices if indices is RESET else pickle.dumps(indices))


# ---------------------------------------------------------------- failures
class _Shown(str):
    """A text that KeyError shows as it stands (it shows the repr of its argument)."""

    def __repr__(self):
        return str(self)


def failure(error, where):
    """An exception as it can cross over: the type (or the nearest base that can be pickled), and the traceback as text."""
    text = "".join(traceback.format_exception(error))
    kind = next(k for k in type(error).__mro__ if _crosses(k))
    return Failure(kind, f"Caught {type(error).__name__} {where}.\nOriginal {text}")


def _crosses(kind):
    try:
        return pickle.loads(pickle.dumps(kind)) is kind
    except Exception:
        return False


def rebuilt(failed):
    """The exception again, of the same type, with the worker's traceback as its text."""
    kind, text = failed
    try:
        error = kind(_Shown(text) if issubclass(kind, KeyError) else text)
        if text in str(error):
            return error
    except Exception:
        pass  # it is not made from one text
    silent = {"__init__": lambda self, *_: None, "__str__": lambda self: text, "__module__": kind.__module__}
    try:
        return type(kind.__name__, (kind,), silent)()
    except Exception:
        return RuntimeError(text)


# ---------------------------------------------------------------- the process
def orphaned(forked, parent) -> bool:
    """Whether the parent is gone without a word."""
    return os.getppid() != parent if forked else not parent_process().is_alive()


def listen(connection, tasks, newest, alone):
    """Take in tasks as they come, so that the parent never waits to send one; end the process when the parent has died."""
    try:
        while True:
            while not connection.poll(1.0):
                if alone():
                    os._exit(1)
            task = connection.recv_bytes()
            newest[0] = task[:8]
            tasks.put(task)
    except (EOFError, OSError):  # the parent has closed its end, or died
        tasks.put(None)
    while not alone():
        time.sleep(0.2)
    os._exit(1)


def seed_all(seed):
    """Start Python's, NumPy's and our own random numbers from one seed."""
    python_random.seed(seed)
    random.manual_seed(seed)
    host().xp.random.seed([seed % 2**32, seed // 2**32 % 2**32])


def work(info, settings, init, connection, memory, inherited, forked, parent):
    """The whole life of a worker: answer each task with a batch, until the parent closes the connection."""
    global _info
    for other in inherited:  # a fork has copies of the parent's ends, which would keep them open
        other.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes: what it means is for the parent to say
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # not what the parent does at its end
    threads.set_num_threads(1)
    seed_all(info.seed)
    _info, where = info, f"in DataLoader worker process {info.id}"
    tasks, newest = queue.SimpleQueue(), [None]
    alone = lambda: orphaned(forked, parent)  # noqa: E731
    threading.Thread(target=listen, args=(connection, tasks, newest, alone), daemon=True).start()
    broken = fetcher = None
    try:
        if init is not None:
            init(info.id)
    except Exception as error:
        broken = failure(error, where)
    answered = 0
    while (task := tasks.get()) is not None:
        if task[8:] == RESET:
            fetcher = None
            continue
        slot = memory[answered % len(memory)]
        answered += 1
        try:
            if broken is None and task[:8] == newest[0]:
                fetcher = fetcher or settings.fetcher(info.dataset)
                message = pack(fetcher.fetch(pickle.loads(task[8:])), slot)
            else:
                message = pack(broken or Mark.SKIPPED, None)
        except Exception as error:
            message = pack(failure(error, where), None)
        try:
            connection.send_bytes(message)
        except OSError:  # nobody listens any more
            return
