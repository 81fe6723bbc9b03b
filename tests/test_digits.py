"""Handwritten digits (scikit-learn's 8 x 8 set): a multilayer perceptron and a small convolutional net with batch norm."""

import numpy as np
import pytest

import tensorlite as tl
from tensorlite import nn


@pytest.fixture(scope="module")
def digits():
    """1437 images to learn from, 360 to test on, in a fixed random order."""
    x, y = pytest.importorskip("sklearn.datasets").load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    return (x[order].reshape(-1, 1, 8, 8) / 16).astype("f4"), y[order]


def accuracy(net, x, y, epochs, lr, decay=0.05):
    """Of the last 360 after training on the others."""
    given, wanted = tl.tensor(x[:1437]), tl.tensor(y[:1437])
    optimizer = tl.optim.AdamW(net.parameters(), lr=lr, weight_decay=decay)
    for _ in range(epochs):
        for batch in tl.randperm(len(wanted)).split(48):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(given[batch]), wanted[batch]).backward()
            optimizer.step()
    with tl.no_grad():
        return (net.eval()(tl.tensor(x[1437:])).argmax(1).numpy() == y[1437:]).mean()


def test_a_multilayer_perceptron(digits):
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, 10))
    assert accuracy(net, *digits, epochs=25, lr=5e-3) >= 0.97


def test_a_convolutional_net_with_batch_norm(digits):
    net = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.3), nn.Linear(128, 10),
    )  # fmt: skip
    assert accuracy(net, *digits, epochs=12, lr=3e-3) >= 0.98
