"""nn.utils: clipping by a norm that is known, against PyTorch."""

import numpy as np
import pytest

import tensorlite as tl
from tensorlite import nn
from tensorlite.errors import TensorliteError


@pytest.mark.parametrize("norm", [1.0, 2.0, 3.0, float("inf")])
def test_total_norm_and_clipping(norm):
    torch = pytest.importorskip("torch")
    values, results = [np.arange(6.0).reshape(2, 3), -np.ones(4)], []
    for n, t in ((nn, tl), (torch.nn, torch)):
        parameters = [n.Parameter(t.tensor(v)) for v in values]
        for p, v in zip(parameters, values, strict=True):
            p.grad = t.tensor(v)
        total = n.utils.get_total_norm([p.grad for p in parameters], norm)
        n.utils.clip_grads_with_norm_(parameters, 2.0, total)
        results.append([total.item(), *(p.grad.numpy() for p in parameters)])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_a_norm_that_is_not_finite():
    with pytest.raises(TensorliteError, match="get_total_norm: the norm is inf"):
        nn.utils.get_total_norm([tl.tensor([float("inf")])], error_if_nonfinite=True)
