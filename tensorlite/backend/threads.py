"""How many threads the CPU backend uses: its kernels spread their chunks over them (`each`), and the BLAS of NumPy has its own."""

import contextlib
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from tensorlite.backend import blas
from tensorlite.errors import ArgumentError

VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class _State:
    count = 0  # threads; 0: not decided yet
    pool = None


_state = _State()


def get_num_threads() -> int:
    """How many threads an operation on the CPU may use; at first what OMP_NUM_THREADS and its kin say, else all cores.

    Example:
        >>> import tensorlite as tl
        >>> tl.get_num_threads() >= 1
        True
    """
    if not _state.count:
        said = [os.environ[v] for v in VARIABLES if os.environ.get(v, "").isdecimal()]
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        _state.count = max(1, min([int(s) for s in said], default=cores))
    return _state.count


def set_num_threads(num_threads: int) -> None:
    """Use so many threads from now on, in the kernels and in the BLAS of NumPy (OpenBLAS or MKL; others know only their
    environment variables). One is best for small models, and for processes that work side by side.

    Raises:
        ArgumentError: not a whole number of at least 1.
    """
    if not isinstance(num_threads, int) or isinstance(num_threads, bool) or num_threads < 1:
        raise ArgumentError(f"set_num_threads: a whole number of at least 1 is needed, not {num_threads!r}")
    if _state.pool is not None and num_threads != _state.count:
        _state.pool.shutdown(wait=False)
        _state.pool = None
    _state.count = num_threads
    blas.set_num_threads(num_threads)


def each(work, parts) -> list:
    """[work(*part) for part in parts], spread over the threads; `work` writes to places of its own. The results keep the order.

    While the threads work the BLAS runs each product on the thread that asks for it.
    """
    parts = list(parts)
    if len(parts) < 2 or get_num_threads() < 2:
        return [work(*part) for part in parts]
    if _state.pool is None:
        _state.pool = ThreadPoolExecutor(_state.count - 1, thread_name_prefix="tensorlite")
    left, results = list(enumerate(parts))[::-1], [None] * len(parts)

    def take():
        with np.errstate(all="ignore"):
            while left:
                try:
                    i, part = left.pop()
                except IndexError:  # another thread was quicker
                    return
                results[i] = work(*part)

    with one_blas_thread():
        helpers = [_state.pool.submit(take) for _ in range(min(_state.count, len(parts)) - 1)]
        try:
            take()
        finally:
            left.clear()
            for helper in helpers:
                helper.result()
    return results


@contextlib.contextmanager
def one_blas_thread():
    """Inside, the BLAS uses one thread: for products too small to be cut, and within threads."""
    if get_num_threads() < 2 or not blas.set_num_threads(1):
        yield
        return
    try:
        yield
    finally:
        blas.set_num_threads(_state.count)


def _forget_pool():
    """The child of a fork has none of its parent's threads."""
    _state.pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)
