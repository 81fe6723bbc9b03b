"""The long paths of PyTorch's layers; modules moved and changed as a whole; the order of their initialisation."""

import importlib

import pytest

import tensorlite as tl
from tensorlite import nn


@pytest.mark.parametrize("path", [
    "conv.Conv2d", "dropout.Dropout", "linear.Linear", "normalization.LayerNorm", "pixelshuffle.PixelShuffle", "sparse.Embedding",
    "activation.MultiheadAttention", "activation.ReLU", "container.ModuleList", "batchnorm.BatchNorm1d", "module.Module",
])  # fmt: skip
def test_long_paths(path):
    family, name = path.split(".")
    module = importlib.import_module(f"tensorlite.nn.modules.{family}")
    assert getattr(module, name) is getattr(tl.nn, name) is getattr(getattr(tl.nn.modules, family), name)
    assert getattr(tl.nn.modules, name) is getattr(tl.nn, name)


def test_there_is_no_more_than_in_nn():
    from tensorlite.nn.modules.conv import Conv2d

    assert Conv2d is tl.nn.Conv2d and Conv2d.__module__ == "tensorlite.nn.conv"
    with pytest.raises(AttributeError):
        _ = tl.nn.modules.Conv9d
    with pytest.raises(ImportError):
        importlib.import_module("tensorlite.nn.modules.nothing")


class Logged(nn.Linear):
    """Says when it is moved, and keeps its bias as it is."""

    def _apply(self, fn, recurse=True):
        self.moves = getattr(self, "moves", 0) + 1
        bias, self.bias = self.bias, None
        super()._apply(fn, recurse)
        self.bias = bias
        return self


def test_moves_go_through_the_apply_of_each_child():
    net = nn.Sequential(nn.Sequential(Logged(2, 2)), nn.Linear(2, 2))
    keys = list(net.state_dict())
    assert net.double() is net and net[0][0].moves == 1
    assert net[0][0].weight.dtype is tl.float64 and net[0][0].bias.dtype is tl.float32
    assert list(net.state_dict()) == keys


def test_what_is_shared_is_changed_once_and_stays_shared():
    a, b = nn.Linear(2, 2), nn.Linear(2, 2)
    b.weight = a.weight
    for m in (a, b):
        m.register_buffer("table", tl.ones(3) if m is a else a.table)
    net, weight = nn.ModuleList([a, b, a]), a.weight
    weight.grad = tl.ones(2, 2)
    old = weight.detach().clone()
    net._apply(lambda t: t * 2)
    assert net[1].weight is net[0].weight is weight and (weight == old * 2).all() and (weight.grad == 2).all()
    assert net[1].table is net[0].table and (net[0].table == 2).all()
    assert [n for n, _ in net.named_children()] == ["0", "1"]
    net._apply(lambda t: t * 2, recurse=False)
    assert (weight == old * 2).all()


def test_memory_format_has_no_effect():
    net = nn.Conv2d(2, 2, 1)
    assert net.to(memory_format=tl.channels_last) is net
    assert net.to(dtype=tl.float64, memory_format=tl.channels_last).weight.dtype is tl.float64


def test_call_super_init():
    class Other:
        def __init__(self, n, name="x"):
            self.n, self.name = n, name

    class Both(nn.Module, Other):
        call_super_init = True

    made = Both(3, name="y")
    assert (made.n, made.name, list(made.parameters())) == (3, "y", [])
    with pytest.raises(TypeError, match="takes no arguments, got the keyword 'name'"):
        nn.Module(name=1)
    with pytest.raises(TypeError, match="takes no arguments, got 2 by position"):
        nn.Module(1, 2)
