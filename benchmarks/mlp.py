"""W2: a training step of a small multi-layer perceptron, as for handwritten digits: SGD with momentum."""

import itertools

import numpy as np

from benchmarks import systems

WORKLOADS = {"W2": {"what": "MLP 784-256-128-10, batch 64, SGD with momentum, a training step"}}
BATCH, SIZES, LR, MOMENTUM = 64, (784, 256, 128, 10), 0.01, 0.9


def data(batch=BATCH):
    """([weight (out, in), bias, weight, ...], x, classes)."""
    rng = np.random.default_rng(0)
    shapes = [shape for i, o in itertools.pairwise(SIZES) for shape in ((o, i), (o,))]
    parameters = [(rng.standard_normal(shape) * 0.05).astype(np.float32) for shape in shapes]
    return parameters, rng.standard_normal((batch, SIZES[0])).astype(np.float32), rng.integers(0, SIZES[-1], batch)


def build(name, system):
    """(step, check values: the first loss and the sizes of the gradients)."""
    return training(BATCH, system)


def training(batch, system):
    """The same with any batch."""
    tl = systems.array_library(system)
    nn, (values, x, t) = tl.nn, data(batch)
    model = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10))
    for p, value in zip(model.parameters(), values, strict=True):
        p.data = tl.tensor(value)
    x, t = tl.tensor(x), tl.tensor(t)
    optimizer = tl.optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM)
    run = tl.compile(model) if system == "torch.compile" else model

    def step():
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(run(x), t)
        loss.backward()
        optimizer.step()
        return loss

    loss = step().item()
    return step, [loss, *[p.grad.abs().sum().item() for p in model.parameters()]]
