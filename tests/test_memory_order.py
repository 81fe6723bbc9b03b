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
    "sum": lambda t, x: x.sum(0),
    "mean": lambda t, x: x.mean(0),
    "amax": lambda t, x: x.amax(0),
    "aminmax": lambda t, x: t.stack(list(t.aminmax(x, dim=0))),
    "max": lambda t, x: x.max(0)[0],
    "prod": lambda t, x: x.prod(0),
    "logsumexp": lambda t, x: x.logsumexp(0),
    "var": lambda t, x: x.var(0),
    "std": lambda t, x: x.std(0, keepdim=True),
    "norm": lambda t, x: t.norm(x, dim=0),
    "all": lambda t, x: (x > 0).all(0),
    "any": lambda t, x: (x > 0).any(0),
    "median": lambda t, x: x.median(0)[0],
    "cumsum": lambda t, x: x.cumsum(1),
    "cumprod": lambda t, x: x.cumprod(-1),
    "cummax": lambda t, x: x.cummax(1)[0],
    "logcumsumexp": lambda t, x: x.logcumsumexp(0),
    "masked_fill": lambda t, x: x.masked_fill(x > 0, 1.0),
    "tril": lambda t, x: x.tril(),
    "gather": lambda t, x: x.gather(1, x.argsort(1)),
    "columns of nonzero": lambda t, x: t.nonzero(x)[:, 1],
    "pad and crop": lambda t, x: t.nn.functional.pad(x, (1, -1), mode="replicate"),
    "conv": lambda t, x: t.nn.functional.conv1d(x, x[:1, :, :1].contiguous()),
    "conv with bias": lambda t, x: t.nn.functional.conv1d(x, x[:1, :, :1].contiguous(), x[0, 0, :1]),
    "conv_transpose": lambda t, x: t.nn.functional.conv_transpose1d(x, x[0, :, :1, None].contiguous()),
    "avg_pool": lambda t, x: t.nn.functional.avg_pool1d(x, 2),
    "max_pool": lambda t, x: t.nn.functional.max_pool1d(x, 2),
    "roll": lambda t, x: x.roll(1, 0),
    "take_along_dim": lambda t, x: t.take_along_dim(x, x.argsort(1), 1),
}


@pytest.mark.parametrize("name", IN_ORDER)
def test_results_that_lie_in_order(name, device):
    for shape, turn in (((2, 3, 4), (0, 2, 1)), ((4, 3, 2), (2, 1, 0)), ((2, 3, 3), (0, 1, 2))):
        x = tl.tensor(np.random.default_rng(0).standard_normal(shape)).permute(*turn)
        y = IN_ORDER[name](tl, x)
        assert y.is_contiguous() and y.view(-1).tolist() == y.flatten().tolist()
