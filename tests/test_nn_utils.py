"""nn.utils: clipping by a norm that is known, batch norm folded in, against PyTorch; layers without values."""

import numpy as np
import pytest
from numeric import host

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


# ---------------------------------------------------------------- batch norm folded in, layers without values
def trained(lib, make, norm, shape):
    """A layer and a batch norm of the same values in both libraries, and an input."""
    draw = np.random.default_rng(0)
    layer, bn, x = make(lib.nn).double(), norm(lib.nn).double(), lib.tensor(draw.normal(size=shape))
    for module in (layer, bn):
        for value in module.state_dict().values():
            if value.ndim:
                value.copy_(lib.tensor(draw.uniform(0.5, 2, tuple(value.shape))))
    return layer.eval(), bn.eval(), x


FUSED = {
    "conv1d": (lambda n: n.Conv1d(2, 4, 3, bias=False), lambda n: n.BatchNorm1d(4), (3, 2, 8), {}),
    "conv2d": (lambda n: n.Conv2d(4, 6, 3, groups=2), lambda n: n.BatchNorm2d(6, eps=0.1), (3, 4, 8, 8), {}),
    "no weights": (lambda n: n.Conv2d(2, 3, 3), lambda n: n.BatchNorm2d(3, affine=False), (3, 2, 8, 8), {}),
    "transposed": (lambda n: n.ConvTranspose2d(2, 3, 3), lambda n: n.BatchNorm2d(3), (3, 2, 4, 4), {"transpose": True}),
    "linear": (lambda n: n.Linear(3, 4), lambda n: n.BatchNorm1d(4), (5, 3), None),
    "linear, no bias": (lambda n: n.Linear(3, 4, bias=False), lambda n: n.BatchNorm1d(4), (5, 3), None),
}


@pytest.mark.parametrize("name", FUSED)
def test_batch_norm_folded_in(device, name):
    torch = pytest.importorskip("torch")
    make, norm, shape, options = FUSED[name]
    results = []
    for lib in (tl, torch):
        layer, bn, x = trained(lib, make, norm, shape)
        call = "fuse_linear_bn_eval" if options is None else "fuse_conv_bn_eval"
        fused = getattr(lib.nn.utils.fusion, call)(layer, bn, **(options or {}))
        results.append([p.detach() for p in fused.parameters()])
        if lib is tl:
            np.testing.assert_allclose(host(fused(x)), host(bn(layer(x))), rtol=1e-7, atol=1e-10)
            assert fused is not layer and type(fused) is type(layer)
            assert all(isinstance(p, nn.Parameter) and p.requires_grad for p in fused.parameters())
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(host(a), b.numpy(), rtol=1e-7)


@pytest.mark.parametrize("call, text", [
    (lambda u: u.fuse_conv_bn_eval(nn.Conv1d(1, 1, 1), nn.BatchNorm1d(1).eval()), "evaluation mode, .*: call eval()"),
    (lambda u: u.fuse_conv_bn_eval(nn.Conv1d(1, 1, 1).eval(), nn.BatchNorm1d(1, track_running_stats=False).eval()),
     "BatchNorm1d has no running statistics"),
    (lambda u: u.fuse_linear_bn_eval(nn.Linear(2, 3).eval(), nn.BatchNorm1d(2).eval()), "has 3 outputs, .* 2 features"),
    (lambda u: u.skip_init(tl.ones), "skip_init: a Module class is needed, not <function"),
    (lambda u: u.skip_init(nn.ReLU), "skip_init: ReLU takes no `device`"),
])  # fmt: skip
def test_refused(call, text):
    with pytest.raises(TensorliteError, match=text):
        call(nn.utils)


def test_skip_init_draws_nothing(device):
    for cls, args in ((nn.Linear, (3, 2)), (nn.Conv2d, (2, 3, 3)), (nn.GRU, (2, 3)), (nn.Embedding, (4, 2))):
        tl.manual_seed(3)
        expected = tl.rand(2)
        tl.manual_seed(3)
        made = nn.utils.skip_init(cls, *args, dtype=tl.float64)
        assert (
            tl.equal(tl.rand(2), expected)
            and type(made) is cls
            and made.state_dict().keys() == cls(*args).state_dict().keys()
        )
        assert all(p.dtype is tl.float64 and p.device.type == device for p in made.parameters())
        made.reset_parameters()  # the class's own again
        assert not tl.equal(tl.rand(2), expected)
