"""What the tests of tl.utils.data share: samples written for both libraries, datasets, and the check that no worker is left."""

import collections
import multiprocessing

import numpy as np
import pytest

from tensorlite.utils import data

Pair = collections.namedtuple("Pair", "x y")


def torch_data():
    torch = pytest.importorskip("torch")
    return torch, pytest.importorskip("torch.utils.data")


def plain(value):
    """A batch as types, dtypes, shapes and numbers, alike for both libraries."""
    if hasattr(value, "detach"):
        return "tensor", str(value.dtype).split(".")[1], tuple(value.shape), value.tolist()
    if isinstance(value, np.ndarray):
        return "array", value.tolist()
    if isinstance(value, dict):
        return type(value).__name__, {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value).__name__, [plain(v) for v in value]
    return type(value).__name__, value


def translate(value, lib):
    """Samples written with marks t(...) for tensors, in the terms of one library."""
    if isinstance(value, T):
        return lib.tensor(value.values, dtype=getattr(lib, value.dtype))
    if isinstance(value, dict):
        return type(value)((k, translate(v, lib)) for k, v in value.items())
    if isinstance(value, Pair):
        return Pair(*(translate(v, lib) for v in value))
    if isinstance(value, (list, tuple)):
        return type(value)(translate(v, lib) for v in value)
    return value


T = collections.namedtuple("T", "values dtype")


def t(values, dtype="float32"):
    return T(np.array(values), dtype)


@pytest.fixture(autouse=True)
def none_left():
    """After each test there is no worker left, without waiting for the garbage collector of cycles."""
    yield
    left = [p for p in multiprocessing.active_children() if p.name.startswith("DataLoader")]
    for process in left:  # started by this test: not to be found by the next one
        process.terminate()
    assert not left


class Each(data.Dataset):
    """Sample i is what a function makes of i."""

    def __init__(self, n, function=lambda i: i):
        self.n, self.function = n, function

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        return self.function(index)


class Share(data.IterableDataset):
    """0..n-1; with workers each gives its own share."""

    def __init__(self, n, limits=None):
        self.n, self.limits = n, limits

    def __iter__(self):
        info = data.get_worker_info()
        if info is None:
            return iter(range(self.n))
        numbers = range(info.id, self.n, info.num_workers)
        return iter(numbers if self.limits is None else numbers[: self.limits[info.id]])


def lists(loader):
    return [batch.tolist() for batch in loader]
