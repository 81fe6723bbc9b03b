"""AdaptiveLogSoftmaxWithLoss and SyncBatchNorm against PyTorch's."""

import numpy as np
import pytest
from layer_check import check, normal
from numeric import host

import tensorlite as tl
from tensorlite import errors, nn
from tensorlite.gradcheck import gradgradcheck

TARGETS = np.array([0, 19, 4, 3, 12, 15, 9, 1, 14, 10])


@pytest.mark.parametrize("cutoffs", [[4, 10, 15], [19], [1]])
@pytest.mark.parametrize("head_bias", [False, True])
def test_adaptive_softmax_like_pytorch(cutoffs, head_bias, device):
    torch = pytest.importorskip("torch")
    make = lambda nn: nn.AdaptiveLogSoftmaxWithLoss(8, 20, cutoffs, div_value=2.0, head_bias=head_bias)  # noqa: E731
    check(torch, make, normal(10, 8), TARGETS)
    check(torch, make, normal(10, 8), call=lambda layer, x: layer.log_prob(x))
    check(torch, make, normal(3, 8), np.array([0, 1, 0]))  # clusters that nobody needs
    ours, theirs = make(nn).double(), make(torch.nn).double()
    ours.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})
    x = normal(50, 8, scale=3)
    np.testing.assert_array_equal(host(ours.predict(tl.tensor(x))), theirs.predict(torch.tensor(x)).numpy())
    one, both = ours(tl.tensor(x[0]), tl.tensor(3)), ours(tl.tensor(x[:1]), tl.tensor([3]))
    assert one.output.shape == () and one.output.item() == both.output.item() == -one.loss.item()


def test_adaptive_softmax_is_a_distribution():
    layer = nn.AdaptiveLogSoftmaxWithLoss(8, 20, [4, 10]).double()
    x = tl.tensor(normal(10, 8))
    logp = layer.log_prob(x)
    assert tl.allclose(logp.exp().sum(1), tl.ones(10, dtype=tl.float64))
    assert tl.allclose(logp.gather(1, tl.tensor(TARGETS).unsqueeze(1)).squeeze(1), layer(x, tl.tensor(TARGETS)).output)
    assert gradgradcheck(lambda x: layer(x, tl.tensor(TARGETS)).loss, x.requires_grad_())
    before = [p.detach().clone() for p in layer.parameters()]
    layer.reset_parameters()
    assert all((a != b).any() or not a.numel() for a, b in zip(before, layer.parameters(), strict=True))


@pytest.mark.parametrize("cutoffs", [[], [4, 3], [4, 4], [4, 20], [0, 5], [2.5]])
def test_adaptive_softmax_refuses_cutoffs(cutoffs):
    with pytest.raises(errors.ArgumentError, match="cutoff"):
        nn.AdaptiveLogSoftmaxWithLoss(8, 20, cutoffs)


@pytest.mark.parametrize(
    ("x", "target", "kind", "text"),
    [
        ((3, 8), [1, 2], errors.ShapeError, r"input must be \(N, 8\) and target \(N,\)"),
        ((3, 7), [1, 2, 3], errors.ShapeError, r"input must be \(N, 8\)"),
        ((3, 8), 1, errors.ShapeError, r"input must be \(N, 8\)"),
        ((3, 8), [1, 2, 25], errors.IndexRangeError, "target class 25 is out of range: it must be 0 to 19"),
    ],
)
def test_adaptive_softmax_refuses_inputs(x, target, kind, text, device):
    with pytest.raises(kind, match=text):
        nn.AdaptiveLogSoftmaxWithLoss(8, 20, [4, 10])(tl.ones(*x), tl.tensor(target))


@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 5), (4, 3, 2, 2)])
def test_sync_batch_norm_of_one_process(shape, device):
    torch = pytest.importorskip("torch")
    check(torch, lambda nn: nn.SyncBatchNorm(3, momentum=0.3), normal(*shape))


def test_sync_batch_norm_takes_the_place_of_batch_norm(device):
    model = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.BatchNorm1d(3), nn.ReLU()), nn.GroupNorm(3, 3))
    model(tl.randn(4, 2))
    weight, state = model[1][0].weight, {k: v.clone() for k, v in model.state_dict().items()}
    made = nn.SyncBatchNorm.convert_sync_batchnorm(model.eval())
    assert type(made[1][0]) is nn.SyncBatchNorm and made[1][0].weight is weight and not made[1][0].training
    assert type(made[2]) is nn.GroupNorm and all((v == state[k]).all() for k, v in made.state_dict().items())
    assert type(nn.SyncBatchNorm.convert_sync_batchnorm(nn.BatchNorm2d(2))) is nn.SyncBatchNorm
    lazy = nn.Sequential(nn.BatchNorm1d(3), nn.LazyBatchNorm1d())
    with pytest.raises(errors.TensorliteError, match="1 is a LazyBatchNorm1d without sizes; call the model once"):
        nn.SyncBatchNorm.convert_sync_batchnorm(lazy)
    assert type(lazy[0]) is nn.BatchNorm1d
    with pytest.raises(errors.ArgumentError, match="several processes"):
        nn.SyncBatchNorm(3, process_group=object())
    with pytest.raises(errors.ShapeError, match="at least 2 dimensions"):
        nn.SyncBatchNorm(3)(tl.ones(3))
