"""The parent's side of the worker processes: starting them, handing out tasks, taking batches in order, and the end of them.

Each worker has a connection of its own, on which tasks go out and batches come back first in, first out. Nothing is shared
between workers, no queue and no lock: one that is killed takes nothing with it, and its end of the connection falls silent.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
import weakref
from collections import deque
from multiprocessing import connection as connections

from tensorlite import errors
from tensorlite.data.dataloader import LoaderIterator
from tensorlite.data.fetch import Mark
from tensorlite.data.worker import RESET, Failure, WorkerInfo, pack_task, rebuilt, slots, unpack, work

GRACE = 5.0  # seconds for a worker to finish its batch when it is told to stop
_starting = threading.RLock()  # a fork must not take along a connection that another thread is just making


def default_context():
    """What the user chose for multiprocessing, else fork on Linux: it starts in milliseconds and pickles no dataset."""
    if multiprocessing.get_start_method(allow_none=True) is None and sys.platform == "linux":
        return multiprocessing.get_context("fork")
    return multiprocessing.get_context()


class Worker:
    """A worker process as its parent knows it."""

    def __init__(self, context, info, settings, init, ahead, others):
        self.id, self.memory, self.pending, self.taken = info.id, slots(ahead), 0, 0
        forked = context.get_start_method() == "fork"
        self.connection, theirs = context.Pipe()
        inherited = [w.connection for w in others] + [self.connection] if forked else []
        self.process = context.Process(
            target=work,
            args=(info, settings, init, theirs, self.memory, inherited, forked, os.getpid()),
            daemon=True,  # ended with the parent in any case
            name=f"DataLoader worker {info.id}",
        )
        try:
            self.process.start()
        except BaseException:  # the dataset cannot be pickled, say
            self.close()
            raise
        finally:
            theirs.close()

    def close(self):
        """Close what the worker and the parent share."""
        self.connection.close()
        for slot in filter(None, self.memory):
            slot.close()

    def give(self, epoch, indices):
        """Hand out a task; there are never more pending than the worker has slots."""
        try:
            self.connection.send_bytes(pack_task(epoch, indices))
        except OSError:
            raise self.death() from None
        self.pending += indices is not RESET

    def take(self, timeout=None):
        """The answer to the oldest task. Raises TimeoutError when there is none, TensorliteError when there will be none."""
        if not connections.wait([self.connection, self.process.sentinel], timeout):
            raise TimeoutError
        try:
            if not self.connection.poll():  # it has died, and said nothing more before
                raise EOFError
            message = self.connection.recv_bytes()
        except (EOFError, OSError):
            raise self.death() from None
        slot = self.memory[self.taken % len(self.memory)]
        self.pending, self.taken = self.pending - 1, self.taken + 1
        return unpack(message, slot)

    def death(self):
        """The error that says how the worker ended."""
        self.process.join(GRACE)
        code, how, why = self.process.exitcode, "closed its connection", ""
        if code is not None:
            how = f"exited unexpectedly with code {code}"
        if code is not None and code < 0:
            names = {number.value: number.name for number in signal.Signals}
            how = f"was killed by signal {-code} ({names.get(-code, 'unnamed')})"
            why = (
                "Often memory ran out: use fewer workers or smaller batches. " if names.get(-code) == "SIGKILL" else ""
            )
        return errors.TensorliteError(
            f"DataLoader worker {self.id} (pid {self.process.pid}) {how}. {why}num_workers=0 loads in this process and shows where"
        )


class Pool:
    """The workers of one loader; `close` ends them, at the latest when the iterator that uses them is gone."""

    def __init__(self, loader, settings, seed):
        context = loader.multiprocessing_context or default_context()
        self.workers, self.closed, self.owner = [], False, os.getpid()
        count = loader.num_workers
        try:
            for i in range(count):
                info = WorkerInfo(i, count, seed + i, loader.dataset)
                with _starting:
                    self.workers.append(
                        Worker(context, info, settings, loader.worker_init_fn, loader.prefetch_factor, self.workers)
                    )
        except BaseException:
            self.close()
            raise

    def close(self, grace=GRACE):
        """End all workers: for `grace` seconds they may finish the batch they are at."""
        if self.closed or os.getpid() != self.owner:  # a fork is not the parent of its siblings
            return
        self.closed = True
        for worker in self.workers:
            worker.connection.close()
        try:
            until = time.monotonic() + grace
            for worker in self.workers:
                worker.process.join(max(0.0, until - time.monotonic()))
        finally:  # Ctrl-C while waiting, too
            late = [worker.process for worker in self.workers if worker.process.is_alive()]
            for process in late:
                process.terminate()
            for process in late:
                process.join(1.0)
                if process.is_alive():
                    process.kill()
            for worker in self.workers:
                worker.close()


class WorkerIterator(LoaderIterator):
    """Batches loaded ahead by worker processes.

    At the start each worker gets `prefetch_factor` tasks in turn, and a new one whenever a batch of its own is taken. So the
    turns of the workers, and with them the order of the batches, depend on nothing but the tasks.
    """

    def __init__(self, loader):
        self.epoch, self.turns = 0, deque()
        self.timeout, self.in_order = loader.timeout, loader.in_order
        self.ahead, self.persistent = loader.prefetch_factor, loader.persistent_workers
        super().__init__(loader)

    def begin(self, loader):
        """Start an epoch: end the last one where it was left early, and hand out the first tasks."""
        super().begin(loader)
        if not self.epoch:
            self.pool = Pool(loader, self.settings, self.base_seed)
            weakref.finalize(self, self.pool.close)
        self.epoch += 1
        if self.epoch > 1:
            self._guarded(self._rewind)
        self.ended, self.turns = set(), deque()
        for _ in range(self.ahead):
            for worker in self.pool.workers:
                self._give(worker)

    def _rewind(self):
        for worker in self.pool.workers:
            worker.give(self.epoch, RESET)
        for worker in self.pool.workers:
            while worker.pending:
                worker.take(self.timeout or None)

    def _give(self, worker):
        if worker not in self.ended and (indices := next(self._indices, Mark.END)) is not Mark.END:
            self._guarded(worker.give, self.epoch, indices)
            self.turns.append(worker)

    def _guarded(self, call, *args):
        """Call something that talks to the workers; when one has died or is too late, or at Ctrl-C, end them all at once."""
        try:
            return call(*args)
        except TimeoutError:
            self.pool.close(grace=0)
            raise errors.TensorliteError(
                f"DataLoader timed out after {self.timeout} seconds: no batch came from the workers in that time. "
                "A greater timeout (0: no limit) waits longer"
            ) from None
        except BaseException:
            self.pool.close(grace=0)
            raise

    def _next_worker(self):
        """Whose batch comes next: in turn, or whoever is ready."""
        if self.in_order:
            return self.turns.popleft()
        waiting = {end: w for w in self.turns for end in (w.connection, w.process.sentinel)}
        if not (ready := connections.wait(list(waiting), self.timeout or None)):
            raise TimeoutError
        worker = waiting[ready[0]]
        self.turns.remove(worker)
        return worker

    def _take(self):
        worker = self._next_worker()
        return worker, worker.take(self.timeout or None)

    def _next(self):
        while self.turns:
            if self.pool.closed:
                raise errors.TensorliteError("DataLoader: the workers of this iterator have been ended; make a new one")
            worker, answer = self._guarded(self._take)
            if answer is Mark.END:
                self.ended.add(worker)
                continue
            self._give(worker)
            if isinstance(answer, Failure):
                raise rebuilt(answer)
            return answer
        if not self.persistent:
            self.pool.close()
        raise StopIteration
