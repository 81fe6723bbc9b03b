"""How results lie in memory: where PyTorch lays them out in order, view() takes them here too."""

import numpy as np
import pytest

import tensorlite as tl

IN_ORDER = {  # of inputs that do not lie in order, results that do, so that view() takes them as in PyTorch
    "cat": lambda t, x: t.cat([x, x], 1),
    "cat of one": lambda t, x: t.cat([x]),
    "stack": lambda t, x: t.stack([x, x]),
    "hstack": lambda t, x: t.hstack([x, x]),
    "index of the last": lambda t, x: x[:, :, [0, 2]],
    "index in the middle": lambda t, x: x[:, t.tensor([0, 1])],
    "index of two": lambda t, x: x[:, t.tensor([0, 1]), t.tensor([0, 1])],
    "index_select": lambda t, x: x.index_select(2, t.tensor([0, 1])),
    "softmax": lambda t, x: x.softmax(-1),
    "log_softmax": lambda t, x: x.log_softmax(1),
    "roll": lambda t, x: x.roll(1, 0),
    "take_along_dim": lambda t, x: t.take_along_dim(x, x.argsort(1), 1),
}


@pytest.mark.parametrize("name", IN_ORDER)
def test_results_that_lie_in_order(name, device):
    for shape, turn in (((2, 3, 4), (0, 2, 1)), ((4, 3, 2), (2, 1, 0)), ((2, 3, 3), (0, 1, 2))):
        x = tl.tensor(np.random.default_rng(0).standard_normal(shape)).permute(*turn)
        y = IN_ORDER[name](tl, x)
        assert y.is_contiguous() and y.view(-1).tolist() == y.flatten().tolist()
