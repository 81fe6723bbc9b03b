"""Losses and distances against PyTorch at three orders with all options, their edges, and what they refuse."""

import itertools

import numpy as np
import pytest
from layer_check import normal
from numeric import host
from orders import same_orders

import tensorlite as tl
from tensorlite import errors, nn
from tensorlite.nn import functional as F

pytestmark = pytest.mark.filterwarnings("ignore:.*(batchmean|size_average|target size).*")
RNG = np.random.default_rng(5)
X, Y = normal(4, 3), normal(4, 3, seed=1)
P, Q = 1 / (1 + np.exp(-X)), 1 / (1 + np.exp(-Y))
SIGNS, PAIR = np.where(RNG.random((4, 3)) < 0.5, -1.0, 1.0), np.array([1, -1, -1, 1])
LOGP, DIST = X - np.log(np.exp(X).sum(1, keepdims=True)), np.exp(Y) / np.exp(Y).sum(1, keepdims=True)
W, CLASS = np.array([0.5, 2.0, 1.0]), np.array([2, 0, 1, 2])
LABELS = np.array([[1, -1, 2], [0, 2, -1], [-1, 0, 0], [2, 1, 0]])
DENSE = np.array([[[0, 1], [2, -100]], [[1, 1], [0, 2]]])  # (N, d1, d2)
DEEP = normal(2, 3, 2, 2)

# name: (function(F, reduction, inputs...), inputs, places without a gradient)
LOSSES = {
    "mse": (lambda f, r, x, y: f.mse_loss(x, y, reduction=r), (X, Y), ()),
    "mse weighted": (lambda f, r, x, y, w: f.mse_loss(x, y, reduction=r, weight=w), (X, Y, P), (2,)),
    "mse 0-d": (lambda f, r, x, y: f.mse_loss(x, y, reduction=r), (np.asarray(X[0, 0]), np.asarray(Y[0, 0])), ()),
    "mse empty": (lambda f, r, x, y: f.mse_loss(x, y, reduction=r), (X[:0], Y[:0]), ()),
    "l1": (lambda f, r, x, y: f.l1_loss(x, y, reduction=r), (X, np.where(PAIR[:, None] > 0, X, Y)), ()),
    "l1 weighted": (lambda f, r, x, y, w: f.l1_loss(x, y, reduction=r, weight=w), (X, Y, P), (2,)),
    "smooth_l1": (lambda f, r, x, y: f.smooth_l1_loss(x, y, reduction=r), (X, Y), ()),
    "smooth_l1 beta": (lambda f, r, x, y: f.smooth_l1_loss(x, y, reduction=r, beta=0.3), (X, Y), ()),
    "smooth_l1 beta 0": (lambda f, r, x, y: f.smooth_l1_loss(x, y, reduction=r, beta=0), (X, Y), ()),
    "huber": (lambda f, r, x, y: f.huber_loss(x, y, reduction=r, delta=0.6), (X, Y), ()),
    "huber weighted": (lambda f, r, x, y, w: f.huber_loss(x, y, r, 1.5, w), (X, Y, P), (2,)),
    "kl_div": (lambda f, r, x, y: f.kl_div(x, y, reduction=r), (LOGP, DIST), ()),
    "kl_div log": (lambda f, r, x, y: f.kl_div(x, y, reduction=r, log_target=True), (LOGP, np.log(DIST)), ()),
    "poisson": (lambda f, r, x, y: f.poisson_nll_loss(x, y, reduction=r), (X, np.exp(Y)), ()),
    "poisson full": (lambda f, r, x, y: f.poisson_nll_loss(x, y, full=True, reduction=r), (X, np.exp(2 * Y)), ()),
    "poisson rate": (lambda f, r, x, y: f.poisson_nll_loss(x, y, False, reduction=r, eps=1e-3), (P, np.exp(Y)), ()),
    "gaussian": (lambda f, r, x, y, v: f.gaussian_nll_loss(x, y, v, reduction=r), (X, Y, np.exp(X[::-1])), ()),
    "gaussian rows": (lambda f, r, x, y, v: f.gaussian_nll_loss(x, y, v, True, reduction=r), (X, Y, P[:, 0]), ()),
    "gaussian one": (lambda f, r, x, y, v: f.gaussian_nll_loss(x, y, v, True, 0.5, r), (X, Y, P[:, :1]), ()),
    "gaussian number": (lambda f, r, x, y: f.gaussian_nll_loss(x, y, 0.7, reduction=r), (X, Y), ()),
    "bce": (lambda f, r, x, y: f.binary_cross_entropy(x, y, reduction=r), (P, Q), ()),
    "bce weighted": (lambda f, r, x, y, w: f.binary_cross_entropy(x, y, w, reduction=r), (P, Q, W), (2,)),
    "bce logits": (lambda f, r, x, y: f.binary_cross_entropy_with_logits(x, y, reduction=r), (X, Q), ()),
    "bce logits weights": (lambda f, r, x, y, w, p: f.binary_cross_entropy_with_logits(x, y, w, None, None, r, p),
                           (X, Q, P, W), (2, 3)),
    "cross_entropy": (lambda f, r, x, y: f.cross_entropy(x, y, reduction=r), (X, CLASS), ()),
    "cross_entropy options": (lambda f, r, x, y, w: f.cross_entropy(x, y, w, None, 1, None, r, 0.2), (X, CLASS, W), (2,)),
    "cross_entropy dense": (lambda f, r, x, y, w: f.cross_entropy(x, y, w, reduction=r), (DEEP, DENSE, W), (2,)),
    "cross_entropy one": (lambda f, r, x, y: f.cross_entropy(x, y, reduction=r), (X[0], np.array(1)), ()),
    "cross_entropy soft": (lambda f, r, x, y, w: f.cross_entropy(x, y, w, reduction=r, label_smoothing=0.1), (X, DIST, W), (2,)),
    "cross_entropy soft dense": (lambda f, r, x, y: f.cross_entropy(x, y, reduction=r), (DEEP, np.abs(DEEP[::-1])), ()),
    "nll": (lambda f, r, x, y: f.nll_loss(x, y, reduction=r), (LOGP, CLASS), ()),
    "nll options": (lambda f, r, x, y, w: f.nll_loss(x, y, w, None, 2, None, r), (LOGP, CLASS, W), (2,)),
    "nll dense": (lambda f, r, x, y, w: f.nll_loss(x, y, w, reduction=r), (DEEP, DENSE, W), (2,)),
    "nll one": (lambda f, r, x, y: f.nll_loss(x, y, reduction=r), (X[0], np.array(1)), ()),
    "multi_margin": (lambda f, r, x, y: f.multi_margin_loss(x, y, reduction=r), (X, CLASS), ()),
    "multi_margin options": (lambda f, r, x, y, w: f.multi_margin_loss(x, y, 2, 0.7, w, reduction=r), (X, CLASS, W), (2,)),
    "multi_margin one": (lambda f, r, x, y: f.multi_margin_loss(x, y, reduction=r), (X[0], np.array(1)), ()),
    "multilabel_margin": (lambda f, r, x, y: f.multilabel_margin_loss(x, y, reduction=r), (X, LABELS), ()),
    "multilabel_margin one": (lambda f, r, x, y: f.multilabel_margin_loss(x, y, reduction=r), (X[0], LABELS[1]), ()),
    "multilabel_soft": (lambda f, r, x, y: f.multilabel_soft_margin_loss(x, y, reduction=r), (X, Q), ()),
    "multilabel_soft weighted": (lambda f, r, x, y, w: f.multilabel_soft_margin_loss(x, y, w, reduction=r), (X, Q, W), (2,)),
    "soft_margin": (lambda f, r, x, y: f.soft_margin_loss(x, y, reduction=r), (X, SIGNS), (1,)),
    "hinge": (lambda f, r, x, y: f.hinge_embedding_loss(x, y, 0.8, reduction=r), (X, SIGNS), (1,)),
    "ranking": (lambda f, r, x, y, t: f.margin_ranking_loss(x, y, t, 0.3, reduction=r), (X, Y, SIGNS), (2,)),
    "cosine_embedding": (lambda f, r, x, y, t: f.cosine_embedding_loss(x, y, t, -0.5, reduction=r), (X, Y, PAIR), ()),
    "cosine_embedding one": (lambda f, r, x, y, t: f.cosine_embedding_loss(x, y, t, reduction=r), (X[0], Y[0], PAIR[0:1].reshape(())), ()),
    "triplet": (lambda f, r, x, y, z: f.triplet_margin_loss(x, y, z, reduction=r), (X, Y, P), ()),
    "triplet options": (lambda f, r, x, y, z: f.triplet_margin_loss(x, y, z, 2.0, 3, 1e-3, True, reduction=r), (X, Y, Q), ()),
    "triplet distance": (lambda f, r, x, y, z: f.triplet_margin_with_distance_loss(
        x, y, z, distance_function=lambda a, b: 1 - f.cosine_similarity(a, b), swap=True, reduction=r), (X, Y, Q), ()),
}  # fmt: skip


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


NO_SECOND = {"multi_margin", "multi_margin options", "multi_margin one", "multilabel_margin", "multilabel_margin one", "bce",
             "bce weighted"}  # fmt: skip


@pytest.mark.parametrize("name", LOSSES)
def test_three_orders(torch, device, name):
    function, arrays, fixed = LOSSES[name]
    for r in ("mean", "sum", "none", *["batchmean"] * ("kl_div" in name)):
        same_orders(torch, lambda n, f, *xs, r=r: function(f, r, *xs), arrays, fixed, second=name not in NO_SECOND)


@pytest.mark.parametrize("name", sorted(NO_SECOND))
def test_second_order_by_finite_differences(device, name):
    """Where PyTorch has no second derivative, or one that leaves a part out."""
    function, arrays, fixed = LOSSES[name]
    xs = [tl.tensor(a, requires_grad=a.dtype == np.float64 and i not in fixed) for i, a in enumerate(arrays)]
    assert tl.autograd.gradgradcheck(lambda *xs: function(F, "mean", *xs), xs)


DISTANCES = {
    "cosine_similarity": (lambda f, a, b: f.cosine_similarity(a, b), (X, Y)),
    "cosine_similarity dim": (lambda f, a, b: f.cosine_similarity(a, b, 0, 0.5), (X, Y[:, :1])),
    "cosine_similarity broadcast": (lambda f, a, b: f.cosine_similarity(a, b, 0, 0.1), (X, Y[:1])),
    "cosine_similarity short": (lambda f, a, b: f.cosine_similarity(a, b, -1, 3.0), (X, Y)),
    "pairwise_distance": (lambda f, a, b: f.pairwise_distance(a, b), (X, Y)),
    "pairwise_distance p 1": (lambda f, a, b: f.pairwise_distance(a, b, 1, 1e-3, True), (X, Y[0])),
    "pairwise_distance p 3": (lambda f, a, b: f.pairwise_distance(a, b, 3.0), (X, Y)),
}


@pytest.mark.parametrize("name", DISTANCES)
def test_distances(torch, device, name):
    function, arrays = DISTANCES[name]
    same_orders(torch, lambda n, f, *xs: function(f, *xs), arrays)


@pytest.mark.parametrize("p", [0.5, 1.0, 2.0, 3.0, float("inf")])
def test_pdist(torch, device, p):
    for x in (X, X[:1]):
        same_orders(torch, lambda n, f, x: f.pdist(x, p), [x], second=False)


MODULES = {  # a module: its inputs
    "L1Loss": ({}, (X, Y)), "MSELoss": ({}, (X, Y)), "SmoothL1Loss": ({"beta": 0.4}, (X, Y)), "HuberLoss": ({"delta": 0.4}, (X, Y)),
    "KLDivLoss": ({"reduction": "batchmean", "log_target": True}, (LOGP, np.log(DIST))), "BCELoss": ({"weight": W}, (P, Q)),
    "PoissonNLLLoss": ({"log_input": False, "full": True, "eps": 0.1}, (P, np.exp(Y))), "SoftMarginLoss": ({}, (X, SIGNS)),
    "GaussianNLLLoss": ({"full": True, "eps": 0.4}, (X, Y, P)), "BCEWithLogitsLoss": ({"weight": W, "pos_weight": W}, (X, Q)),
    "CrossEntropyLoss": ({"weight": W, "ignore_index": 1, "label_smoothing": 0.1}, (X, CLASS)),
    "NLLLoss": ({"weight": W, "ignore_index": 1}, (LOGP, CLASS)), "MultiMarginLoss": ({"p": 2, "margin": 0.5, "weight": W}, (X, CLASS)),
    "MultiLabelMarginLoss": ({}, (X, LABELS)), "MultiLabelSoftMarginLoss": ({"weight": W}, (X, Q)),
    "HingeEmbeddingLoss": ({"margin": 0.5}, (X, SIGNS)), "MarginRankingLoss": ({"margin": 0.5}, (X, Y, SIGNS)),
    "CosineEmbeddingLoss": ({"margin": 0.1}, (X, Y, PAIR)), "TripletMarginLoss": ({"margin": 0.4, "p": 1, "swap": True}, (X, Y, P)),
    "TripletMarginWithDistanceLoss": ({"margin": 0.4, "swap": True}, (X, Y, P)),
    "CosineSimilarity": ({"dim": 0, "eps": 0.1}, (X, Y)), "PairwiseDistance": ({"p": 1.0, "eps": 0.1, "keepdim": True}, (X, Y)),
}  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_modules(torch, name):
    options, arrays = MODULES[name]
    results = []
    for lib in (tl, torch):
        given = {k: lib.tensor(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
        layer = getattr(lib.nn, name)(**given)
        results.append((repr(layer), list(layer.state_dict()), np.array(layer(*map(lib.tensor, arrays)).tolist())))
    assert results[0][:2] == results[1][:2]
    np.testing.assert_allclose(results[0][2], results[1][2], rtol=1e-9)


def test_old_flags_of_reduction(torch):
    for average, reduce in itertools.product((None, True, False), repeat=2):
        if average is reduce is None:
            continue
        wanted = torch.nn._reduction.legacy_get_string(average, reduce, False)
        for call in (lambda **k: nn.L1Loss(**k).reduction, lambda **k: ("none", "mean", "sum")[_kind(**k)]):
            with pytest.warns(UserWarning, match=f"deprecated, write reduction='{wanted}'"):
                assert call(size_average=average, reduce=reduce) == wanted


def _kind(**flags):
    """Which reduction cross_entropy made of the flags."""
    y = F.cross_entropy(tl.zeros(2, 3), tl.tensor([0, 1]), **flags)
    return 0 if y.ndim else 1 if float(y) < 2 else 2


@pytest.mark.parametrize(
    "name", ["bce", "bce logits", "soft_margin", "multilabel_soft", "cross_entropy", "poisson rate"]
)
def test_extremes(device, name):
    """Sure and wrong: finite losses and gradients, +-1e4 of logits included."""
    x = (
        np.array([[1e4, -1e4, 0.0], [-1e4, 1e4, 1.0]])
        if name not in ("bce", "poisson rate")
        else np.array([[0.0, 1.0, 0.5]] * 2)
    )
    target = {"soft_margin": np.array([[1.0, 1, -1], [1, 1, 1]]), "cross_entropy": np.array([1, 0])}
    target = target.get(name, np.array([[1.0, 1, 0], [0, 0, 1]]))
    x = tl.tensor(x, requires_grad=True)
    loss = LOSSES[name][0](F, "sum", x, tl.tensor(target))
    (g,) = tl.autograd.grad(loss, [x])
    assert np.isfinite(float(loss)) and np.isfinite(host(g)).all() and (float(loss) > 100 or name == "poisson rate")


def test_bce_at_the_ends_of_its_range(torch, device):
    x, y = np.array([0.0, 1, 0, 1, 1e-13]), np.array([0.0, 1, 1, 0, 0.5])
    same_orders(torch, lambda n, f, x, y: f.binary_cross_entropy(x, y, reduction="none"), [x, y], (1,), second=False)


def test_all_ignored_is_nan_with_gradient_zero(torch, device):
    for function in (lambda f, x, y: f.nll_loss(x, y), lambda f, x, y: f.cross_entropy(x, y)):
        same_orders(torch, lambda n, f, x, y, call=function: call(f, x, y), [LOGP, np.full(4, -100)], second=False)
        x = tl.tensor(LOGP, requires_grad=True)
        (g,) = tl.autograd.grad(function(F, x, tl.full((4,), -100)), [x])
        assert not host(g).any()
    bottomless = tl.tensor([[float("-inf"), 0.0]], requires_grad=True)
    assert float(F.nll_loss(bottomless, tl.tensor([-100]), reduction="sum")) == 0


def test_cosine_of_zeros(torch, device):
    same_orders(torch, lambda n, f, a, b: f.cosine_similarity(a, b), [X * 0, Y], second=False)
    same_orders(torch, lambda n, f, a, b, t: f.cosine_embedding_loss(a, b, t), [X * 0, Y, PAIR], second=False)


def test_kl_div_mean_warns_and_zeros_are_fine(device):
    with pytest.warns(UserWarning, match="batchmean"):
        F.kl_div(tl.tensor(LOGP), tl.tensor(DIST))
    assert float(F.kl_div(tl.zeros(1, 2), tl.tensor([[0.0, 1.0]]), reduction="sum")) == 0


S, R, D, I = errors.ShapeError, errors.ArgumentError, errors.DTypeError, errors.IndexRangeError  # noqa: E741
ONE = tl.ones


@pytest.mark.parametrize("call, kind, text", [
    (lambda: F.mse_loss(ONE(4, 1), ONE(4)), S,
     "mse_loss: input (4, 1) and target (4,) must have the same shape: use input.squeeze(1) or target.unsqueeze(1)"),
    (lambda: F.l1_loss(ONE(4), ONE(4, 1)), S,
     "l1_loss: input (4,) and target (4, 1) must have the same shape: use target.squeeze(1) or input.unsqueeze(1)"),
    (lambda: F.l1_loss(ONE(2).long(), ONE(2)), D, "l1_loss: input must be floating point, got int64 (2,); use input.float()"),
    (lambda: F.mse_loss(ONE(2), 1.0), D, "mse_loss: target must be a Tensor, not float"),
    (lambda: F.mse_loss(ONE(2), ONE(2), weight=ONE(3)), S, "mse_loss: weight (3,) must have the shape of input, (2,)"),
    (lambda: F.mse_loss(ONE(2), ONE(2), reduction="avg"), R, "mse_loss: reduction must be 'mean', 'sum' or 'none', not 'avg'"),
    (lambda: nn.KLDivLoss(reduction="avg"), R, "KLDivLoss: reduction must be 'mean', 'batchmean', 'sum' or 'none', not 'avg'"),
    (lambda: F.smooth_l1_loss(ONE(2), ONE(2), beta=-1), R, "smooth_l1_loss: beta must not be negative, got -1"),
    (lambda: F.huber_loss(ONE(2), ONE(2), delta=0), R, "huber_loss: delta must be positive, got 0"),
    (lambda: F.gaussian_nll_loss(ONE(2, 3), ONE(2, 3), ONE(3)), S, "gaussian_nll_loss: var (3,) must have the shape of input, (2, 3)"),
    (lambda: F.gaussian_nll_loss(ONE(2), ONE(2), -ONE(2)), R, "gaussian_nll_loss: var has negative entries"),
    (lambda: F.binary_cross_entropy(ONE(2) * 2, ONE(2)), R, "binary_cross_entropy: input must lie in 0..1: use sigmoid before"),
    (lambda: F.binary_cross_entropy(ONE(2), ONE(2).long()), D, "use target.float()"),
    (lambda: F.binary_cross_entropy_with_logits(ONE(2, 1), ONE(2)), S, "use input.squeeze(1)"),
    (lambda: F.cross_entropy(ONE(2, 3), tl.tensor([0, 3])), I, "target class 3"),
    (lambda: F.nll_loss(ONE(2, 3), tl.tensor([0, 3])), I, "nll_loss: target class 3 is out of range for 3 classes"),
    (lambda: F.nll_loss(ONE(2, 3), ONE(2)), D, "nll_loss: target must hold integer classes, got float32 (2,)"),
    (lambda: F.nll_loss(ONE(2, 3), tl.tensor([0])), S, "the target must have shape (2,)"),
    (lambda: F.nll_loss(ONE(2, 3), tl.tensor([0, 1]), ONE(2)), S, "weight must have one factor for each of the 3 classes"),
    (lambda: F.multi_margin_loss(ONE(2, 3), tl.tensor([0, 1]), p=3), R, "multi_margin_loss: p must be 1 or 2, not 3"),
    (lambda: F.multi_margin_loss(ONE(2, 3), tl.tensor([0])), S, "input must be (N, C) and target (N,)"),
    (lambda: F.multilabel_margin_loss(ONE(1, 2), tl.tensor([[2, -1]])), I, "target class 2 is out of range for 2 classes"),
    (lambda: F.margin_ranking_loss(ONE(2, 1), ONE(2), ONE(2)), S, "must have the same number of dimensions"),
    (lambda: F.cosine_embedding_loss(ONE(2, 3), ONE(2, 3), ONE(2, 1)), S, "inputs must be (N, D) and target (N,)"),
    (lambda: F.triplet_margin_loss(ONE(2), ONE(2), ONE(2), margin=0), R, "triplet_margin_loss: margin must be positive, got 0"),
    (lambda: nn.TripletMarginLoss(margin=-1.0), R, "TripletMarginLoss: margin must be positive, got -1.0"),
    (lambda: F.pdist(ONE(2)), S, "pdist: input must be (N, M), got float32 (2,)"),
    (lambda: nn.Sequential(nn.Identity(), nn.Linear(2, 1))(ONE(4, 3)), S, "in 1"),
])  # fmt: skip
def test_refused(call, kind, text):
    with pytest.raises(kind) as caught:
        call()
    assert text in str(caught.value)
