"""The long paths of PyTorch's layers lead to the short ones, by attribute and by import."""

import importlib

import pytest

import tensorlite as tl


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
