"""Embedding and EmbeddingBag against PyTorch: every option, gradients, and how they begin; what they refuse."""

import numpy as np
import pytest
from layer_check import check, ids, normal
from numeric import host

import tensorlite as tl
from tensorlite import errors, nn
from tensorlite.nn import functional as F


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


IDS = np.array([[0, 3, 3, 1], [1, 4, 2, 3]])
FLAT = np.array([0, 3, 3, 1, 1, 4, 2, 3, 5])
OFFSETS = np.array([0, 0, 3, 4, 9])  # an empty bag in front and one behind
FACTORS = normal(9, seed=8)
TABLES = {
    "plain": lambda n: n.Embedding(6, 3),
    "padding": lambda n: n.Embedding(6, 3, padding_idx=3),
    "padding from behind": lambda n: n.Embedding(6, 3, padding_idx=-3),
    "max norm": lambda n: n.Embedding(6, 3, max_norm=0.9),
    "max norm by 1": lambda n: n.Embedding(6, 3, None, 1.2, 1.0),
    "by frequency": lambda n: n.Embedding(6, 3, scale_grad_by_freq=True),
    "all": lambda n: n.Embedding(6, 3, 3, 0.9, 3.0, True),
}
BAGS = {
    "mean": {}, "sum": {"mode": "sum"}, "max": {"mode": "max"},
    "sum, padding": {"mode": "sum", "padding_idx": 3}, "mean, padding": {"padding_idx": -3},
    "max, padding": {"mode": "max", "padding_idx": 3},
    "mean, norm": {"max_norm": 0.9, "norm_type": 1.0}, "all but frequency": {"padding_idx": 1, "max_norm": 1.1, "norm_type": 3.0},
}  # fmt: skip


@pytest.mark.parametrize(
    "shape", [IDS, FLAT, np.array(3), np.zeros((2, 0), int), FLAT.astype(np.int32)], ids=lambda a: f"{a.dtype}{a.shape}"
)
@pytest.mark.parametrize("name", TABLES, ids=ids)
def test_embedding_like_pytorch(torch, device, name, shape):
    check(torch, TABLES[name], shape)


@pytest.mark.parametrize("name", BAGS, ids=ids)
@pytest.mark.parametrize("last", [False, True], ids=["", "last"])
def test_bag_like_pytorch(torch, device, name, last):
    def make(n):
        return n.EmbeddingBag(6, 3, **BAGS[name], include_last_offset=last)

    check(torch, make, FLAT, OFFSETS)
    check(torch, make, FLAT.astype(np.int32), OFFSETS[:3].astype(np.int32) if not last else OFFSETS.astype(np.int32))
    if not last:
        check(torch, make, IDS)
        check(torch, make, FLAT[:0], OFFSETS[:2])


@pytest.mark.parametrize("padding", [None, 3])
def test_factors(torch, device, padding):
    def make(n):
        return n.EmbeddingBag(6, 3, mode="sum", padding_idx=padding)

    check(torch, make, FLAT, OFFSETS, FACTORS)
    check(torch, make, IDS, FACTORS[:8].reshape(2, 4), call=lambda m, i, f: m(i, per_sample_weights=f))


@pytest.mark.parametrize("mode", ["sum", "mean"])
def test_bags_by_frequency(torch, device, mode):
    """PyTorch's own bag divides by the counts of other rows (on the CPU): against its embedding, reduced bag by bag."""
    table, weights = normal(6, 3), normal(5, 3, seed=2)
    theirs = torch.tensor(table, requires_grad=True)
    rows = torch.nn.functional.embedding(torch.tensor(FLAT), theirs, 1, scale_grad_by_freq=True)
    ends, bags = [*OFFSETS[1:], len(FLAT)], []
    for a, b in zip(OFFSETS, ends, strict=True):
        kept = rows[a:b][torch.tensor(FLAT[a:b] != 1)]
        bags.append(kept.sum(0) / (max(len(kept), 1) if mode == "mean" else 1))
    (torch.stack(bags) * torch.tensor(weights)).sum().backward()
    layer = nn.EmbeddingBag(6, 3, scale_grad_by_freq=True, mode=mode, padding_idx=1, _weight=tl.tensor(table))
    out = layer(tl.tensor(FLAT), tl.tensor(OFFSETS))
    (out * tl.tensor(weights)).sum().backward()
    np.testing.assert_allclose(host(out), torch.stack(bags).detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(host(layer.weight.grad), theirs.grad.numpy(), rtol=1e-12)


def test_dense_instead_of_sparse(torch):
    """`sparse` shows in the text and changes nothing else."""
    for make in (lambda n: n.Embedding(4, 2, sparse=True), lambda n: n.EmbeddingBag(4, 2, mode="sum", sparse=True)):
        assert repr(make(nn)) == repr(make(torch.nn))
        layer = make(nn)
        layer(tl.tensor([[1, 1]])).sum().backward()
        assert layer.weight.grad.sum(1).tolist() == [0, 4, 0, 0]


def test_initial_table(device):
    for layer in (nn.Embedding(400, 50, padding_idx=3), nn.EmbeddingBag(400, 50, padding_idx=3)):
        w = host(layer.weight).astype("f8")
        assert not w[3].any()
        w = np.delete(w, 3, 0).ravel()
        n = w.size
        assert abs(w.mean()) < 5 / n**0.5 and abs(w.var() - 1) < 5 * (2 / n) ** 0.5
        assert abs((np.abs(w) < 1).mean() - 0.6827) < 5 * (0.22 / n) ** 0.5  # normal, not uniform
        layer.reset_parameters()
        assert not host(layer.weight)[3].any()


def test_from_pretrained(torch, device):
    table = tl.tensor(normal(4, 2))
    layer = nn.Embedding.from_pretrained(table, padding_idx=1, max_norm=5.0)
    assert not layer.weight.requires_grad and np.array_equal(host(layer.weight), host(table)) and layer.max_norm == 5
    assert nn.Embedding.from_pretrained(table, freeze=False).weight.requires_grad
    bag = nn.EmbeddingBag.from_pretrained(table, mode="sum")
    assert not bag.weight.requires_grad and bag(tl.tensor([[0, 1]])).tolist() == [(table[0] + table[1]).tolist()]
    theirs = torch.nn.EmbeddingBag.from_pretrained(torch.ones(4, 2), mode="max", padding_idx=2)
    assert repr(nn.EmbeddingBag.from_pretrained(table, mode="max", padding_idx=2)) == repr(theirs)
    with pytest.raises(
        errors.ShapeError, match=r"Embedding.from_pretrained: a table \(rows, features\) is needed, got float64"
    ):
        nn.Embedding.from_pretrained(table[0])


def test_max_norm_changes_only_the_rows_that_are_read(device):
    layer = nn.Embedding.from_pretrained(tl.tensor([[3.0, 4.0], [3.0, 4.0], [0.3, 0.4]]), max_norm=1.0)
    layer(tl.tensor([1, 2, 1]))
    np.testing.assert_allclose(host(layer.weight), [[3, 4], [0.6, 0.8], [0.3, 0.4]], rtol=1e-6)


def test_second_derivative(device):
    ids_, offsets = tl.tensor(FLAT), tl.tensor(OFFSETS)
    for f in (
        lambda w, s: F.embedding(ids_, w * w),
        lambda w, s: F.embedding_bag(ids_, w * w, offsets, mode="mean"),
        lambda w, s: F.embedding_bag(ids_, w * w, offsets, mode="max"),
        lambda w, s: F.embedding_bag(ids_, w * w, offsets, mode="sum", per_sample_weights=s * s),
    ):
        w, s = tl.tensor(normal(6, 2), requires_grad=True), tl.tensor(FACTORS, requires_grad=True)
        assert tl.gradcheck(f, (w, s), fast_mode=True) and tl.gradgradcheck(f, (w, s), fast_mode=True)


def _bag(**kw):
    return lambda *a: nn.EmbeddingBag(3, 2, **kw)(*a)


REFUSED = [
    (lambda: nn.Embedding(5, 3, padding_idx=5), errors.ArgumentError, "Embedding: padding_idx 5 is outside of the 5 rows"),
    (lambda: nn.Embedding(-5, 3), errors.ArgumentError, "Embedding: num_embeddings must be an int of at least 0, got -5"),
    (lambda: nn.Embedding(5, 3, _weight=tl.ones(2, 2)), errors.ShapeError, "Embedding: the table must have shape (5, 3), got (2, 2)"),
    (lambda: nn.EmbeddingBag(5, 3, padding_idx=-6), errors.ArgumentError, "EmbeddingBag: padding_idx -6 is outside of the 5 rows"),
    (lambda: nn.EmbeddingBag(5, 3, mode="avg"), errors.ArgumentError, "EmbeddingBag: mode must be 'sum', 'mean' or 'max', not 'avg'"),
    (lambda: F.embedding(tl.tensor([0]), tl.ones(3, 2), padding_idx=3), errors.ArgumentError,
     "embedding: padding_idx 3 is outside of the 3 rows"),
    (lambda: F.embedding(tl.tensor([3]), tl.ones(3, 2), max_norm=1.0), errors.IndexRangeError,
     "embedding: token id 3 is out of range: it must be 0 to 2"),
    (lambda: F.embedding(tl.tensor([0]), tl.ones(3)), errors.ShapeError,
     "embedding: weight must have shape (rows, features), got float32 (3,)"),
    (lambda: _bag()(tl.tensor([0, 1])), errors.ShapeError, "embedding_bag: a vector of ids needs offsets, an integer vector, got None"),
    (lambda: _bag()(tl.tensor([[0, 1]]), tl.tensor([0])), errors.ShapeError,
     "embedding_bag: offsets go with a vector of ids; the rows of input (1, 2) are bags already"),
    (lambda: _bag()(tl.tensor([0, 1]), tl.tensor([1])), errors.ArgumentError,
     "embedding_bag: offsets must begin at 0, not fall, and end before the 2 ids do, got [1]"),
    (lambda: _bag()(tl.tensor([0, 1]), tl.tensor([0, 3])), errors.ArgumentError, "end before the 2 ids do, got [0, 3]"),
    (lambda: _bag()(tl.tensor([0, 1]), tl.tensor([0, 2, 1])), errors.ArgumentError, "not fall, and end before the 2 ids do, got [0, 2, 1]"),
    (lambda: _bag(include_last_offset=True)(tl.tensor([0]), tl.zeros(0, dtype=tl.int64)), errors.ShapeError, "offsets are empty"),
    (lambda: _bag()(tl.tensor([[0, 1]]), None, tl.ones(1, 2)), errors.ArgumentError,
     "embedding_bag: per_sample_weights go with mode 'sum' only, not 'mean'"),
    (lambda: _bag(mode="sum")(tl.tensor([[0, 1]]), None, tl.ones(2)), errors.ShapeError,
     "per_sample_weights must have the shape of input, got input (1, 2), per_sample_weights (2,)"),
    (lambda: _bag(mode="max", scale_grad_by_freq=True)(tl.tensor([[0, 1]])), errors.ArgumentError,
     "embedding_bag: scale_grad_by_freq does not go with mode 'max'"),
    (lambda: _bag()(tl.tensor([[0, 3]])), errors.IndexRangeError, "token id 3 is out of range: it must be 0 to 2"),
    (lambda: _bag()(tl.tensor([[[0]]])), errors.ShapeError,
     "embedding_bag: ids must be (B, N) or, with offsets, (n,), got int64 (1, 1, 1)"),
    (lambda: _bag()(tl.tensor([[0.5]])), errors.DTypeError, "embedding_bag: token ids must be an integer tensor, got float32 (1, 1)"),
]  # fmt: skip


@pytest.mark.parametrize("call, kind, text", REFUSED, ids=[t for _, _, t in REFUSED])
def test_refusals(call, kind, text):
    with pytest.raises(kind) as caught:
        call()
    assert text in str(caught.value)


def test_a_wrong_id_is_refused_with_the_place_in_the_model():
    for layer in (nn.Embedding(3, 2), nn.Embedding(3, 2, max_norm=1.0), nn.EmbeddingBag(3, 2)):
        with pytest.raises(errors.IndexRangeError, match=r"token id 5 is out of range: it must be 0 to 2.*, in 1$"):
            nn.Sequential(nn.Identity(), layer)(tl.tensor([[1, 5]]))
        with pytest.raises(
            errors.DTypeError, match=r"token ids must be an integer tensor, got float32 \(1, 1\), in 1$"
        ):
            nn.Sequential(nn.Identity(), layer)(tl.tensor([[0.5]]))
