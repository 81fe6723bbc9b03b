"""PyTorch's longer paths: `tl.nn.modules.conv.Conv2d` is `tl.nn.Conv2d`, and so for every family. Nothing is defined here."""

import sys

from tensorlite import nn

FAMILIES = (
    "activation", "adaptive", "batchnorm", "channelshuffle", "container", "conv", "distance", "dropout", "flatten", "fold",
    "instancenorm", "lazy", "linear", "loss", "module", "normalization", "padding", "pixelshuffle", "pooling", "rnn", "sparse",
    "transformer", "upsampling", "utils",
)  # fmt: skip

__path__ = []  # to the import system a package, so that `from tensorlite.nn.modules.conv import Conv2d` is tried at all
sys.modules.update({f"{__name__}.{name}": nn for name in FAMILIES})


def __getattr__(name):
    return nn if name in FAMILIES else getattr(nn, name)
