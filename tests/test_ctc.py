"""CTC against PyTorch, against the sum over all paths, at second order by finite differences, and what it refuses."""

import itertools

import numpy as np
import pytest
from layer_check import normal
from numeric import host
from orders import same_orders

import tensorlite as tl
from tensorlite import errors, nn
from tensorlite.nn import functional as F


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def log_probs(*shape, seed=0):
    x = normal(*shape, seed=seed)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


PADDED = np.array([[1, 2, 2, 3], [3, 1, 0, 0], [2, 2, 1, 0], [0, 0, 0, 0]])
SIZES, FRAMES = [4, 2, 3, 0], [9, 7, 4, 5]
ROW = np.array([1, 2, 2, 3, 3, 1, 2, 2, 1])


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("targets", [PADDED, ROW], ids=["padded", "in one row"])
def test_against_pytorch(torch, device, targets, reduction):
    """Through log_softmax, as PyTorch's gradient takes for granted; lengths that differ, repeats, an empty target."""

    def loss(n, f, x, y):
        return f.ctc_loss(f.log_softmax(x, -1), y, FRAMES, SIZES, 0, reduction)

    same_orders(torch, loss, [normal(9, 4, 5, scale=2.0), targets], second=False)


@pytest.mark.parametrize("blank", [0, 2, 4])
def test_blanks_and_lengths_as_tensors(torch, device, blank):
    y = np.array([[1, 3, 3], [3, 1, 1]])

    def loss(n, f, x, y, a, b):
        return f.ctc_loss(f.log_softmax(x, -1), y, a, b, blank)

    same_orders(torch, loss, [normal(8, 2, 5), y, np.array([8, 6]), np.array([3, 1])], second=False)


@pytest.mark.parametrize("seed", range(6))
def test_random_shapes(torch, seed):
    rng = np.random.default_rng(seed)
    n, classes, longest = rng.integers(1, 5), rng.integers(2, 6), rng.integers(1, 6)
    sizes = rng.integers(0, longest + 1, n)
    steps = 2 * longest + 1 + rng.integers(0, 5)
    frames = [int(rng.integers(2 * s + 1, steps + 1)) for s in sizes]
    y = rng.integers(1, classes, (n, longest))

    def loss(n, f, x, y):
        return f.ctc_loss(f.log_softmax(x, -1), y, frames, [int(s) for s in sizes])

    same_orders(torch, loss, [normal(steps, n, classes, seed=seed), y], second=False)


def test_one_sample_without_a_batch(torch, device):
    for reduction in ("mean", "none"):

        def loss(n, f, x, y, a, b):
            return f.ctc_loss(f.log_softmax(x, -1), y, a, b, reduction=reduction)  # noqa: B023

        same_orders(torch, loss, [normal(6, 4), np.array([1, 2]), np.array(6), np.array(2)], second=False)


def test_it_is_the_sum_over_all_paths(device):
    x, target = log_probs(5, 3), [1, 1]
    total = 0.0
    for path in itertools.product(range(3), repeat=5):
        spelt = [c for c, _ in itertools.groupby(path) if c]
        total += np.exp(sum(x[t, c] for t, c in enumerate(path))) if spelt == target else 0
    loss = F.ctc_loss(tl.tensor(x), tl.tensor(target), [5], [2], reduction="sum")
    np.testing.assert_allclose(float(loss), -np.log(total), rtol=1e-12)


def test_gradients_of_both_orders_by_finite_differences(device):
    """The gradient is that of log_probs themselves, whether they come from log_softmax or not."""
    x = tl.tensor(normal(4, 2, 3), requires_grad=True)

    def loss(x):
        return F.ctc_loss(x, tl.tensor([[1, 1], [2, 0]]), [4, 3], [2, 1])

    assert tl.autograd.gradcheck(loss, [x]) and tl.autograd.gradgradcheck(loss, [x])


def test_impossible_targets(torch, device):
    """Two equal labels need three steps: infinite, or 0 without a gradient by zero_infinity."""
    y, frames, sizes = np.array([[1, 1], [1, 2]]), [2, 3], [2, 2]
    for zero in (True, False):

        def loss(n, f, x, y):
            return f.ctc_loss(f.log_softmax(x, -1), y, frames, sizes, 0, "none", zero)  # noqa: B023

        x = normal(3, 2, 3)
        ours, theirs = (
            np.array(loss(None, lib.nn.functional, lib.tensor(x), lib.tensor(y)).tolist()) for lib in (tl, torch)
        )
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)
        if zero:
            same_orders(torch, loss, [x, y], second=False)


def test_long_and_sharp(torch, device):
    """Two hundred steps of sure logits: nothing underflows."""
    x = normal(200, 2, 4, scale=100.0)
    same_orders(torch, lambda n, f, x, y: f.ctc_loss(f.log_softmax(x, -1), y, (200, 150), (3, 2)),
                [x, np.array([[1, 2, 3], [3, 3, 0]])], second=False)  # fmt: skip


def test_module(torch):
    x, y = log_probs(9, 4, 5), PADDED
    args = [
        lib.nn.CTCLoss(0, "sum", True)(lib.tensor(x), lib.tensor(y), lib.tensor(FRAMES), lib.tensor(SIZES))
        for lib in (tl, torch)
    ]
    np.testing.assert_allclose(float(args[0]), float(args[1]), rtol=1e-9)
    assert repr(nn.CTCLoss()) == "CTCLoss()"


def test_it_learns_an_alignment(device):
    """Gradient descent on free logits ends where the best path spells the target."""
    x = tl.zeros(8, 1, 4, dtype=tl.float64, requires_grad=True)
    for _ in range(60):
        (g,) = tl.autograd.grad(F.ctc_loss(x.log_softmax(2), tl.tensor([[2, 3, 3]]), [8], [3]), [x])
        x = (x - 5 * g).detach().requires_grad_()
    best = host(x)[:, 0].argmax(1).tolist()
    assert [c for c, _ in itertools.groupby(best) if c] == [2, 3, 3]


X = tl.zeros  # no log-probabilities, but the checks come first


@pytest.mark.parametrize("call, kind, text", [
    (lambda: F.ctc_loss(X(3), tl.tensor([1]), [3], [1]), errors.ShapeError, "log_probs must be (T, N, C) or (T, C), got float32 (3,)"),
    (lambda: F.ctc_loss(X(3, 1, 4), tl.tensor([[1]]), [4], [1]), errors.ArgumentError, "input_lengths has 4, log_probs only 3 steps"),
    (lambda: F.ctc_loss(X(3, 2, 4), tl.tensor([[1], [1]]), [3], [1, 1]), errors.ArgumentError,
     "input_lengths must hold 2 whole numbers, 0 or more, got [3]"),
    (lambda: F.ctc_loss(X(3, 1, 4), tl.tensor([[1]]), [3], [1], blank=4), errors.ArgumentError, "blank 4 must be one of the 4 classes"),
    (lambda: F.ctc_loss(X(3, 1, 4), tl.tensor([[4]]), [3], [1]), errors.IndexRangeError, "target class 4 is out of range for 4 classes"),
    (lambda: F.ctc_loss(X(3, 1, 4), tl.tensor([[1]]), [3], [2]), errors.ShapeError, "targets (1, 1) must hold 1 rows of at least 2 labels"),
    (lambda: F.ctc_loss(X(3, 2, 4), tl.tensor([1, 2, 3]), [3, 3], [1, 1]), errors.ShapeError, "must hold the 2 labels of target_lengths"),
    (lambda: F.ctc_loss(X(3, 1, 4), tl.tensor([[1.0]]), [3], [1]), errors.DTypeError, "targets must hold integer classes"),
])  # fmt: skip
def test_refused(call, kind, text):
    with pytest.raises(kind) as caught:
        call()
    assert text in str(caught.value)
