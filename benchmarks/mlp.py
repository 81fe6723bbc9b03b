"""W2: a training step of a small multi-layer perceptron, as for handwritten digits: SGD with momentum."""

import numpy as np

WORKLOADS = {"W2": {"what": "MLP 784-256-128-10, batch 64, SGD with momentum, a training step", "default": False}}


def build(name, system):
    """(step, check values: the first loss and the sizes of the gradients)."""
    if system == "torch":
        import torch as tl
    else:
        import tensorlite as tl
    nn, rng = tl.nn, np.random.default_rng(0)
    model = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10))
    for p in model.parameters():
        p.data = tl.tensor((rng.standard_normal(tuple(p.shape)) * 0.05).astype(np.float32))
    x = tl.tensor(rng.standard_normal((64, 784)).astype(np.float32))
    t = tl.tensor(rng.integers(0, 10, 64))
    optimizer = tl.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def step():
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), t)
        loss.backward()
        optimizer.step()
        return loss

    loss = step().item()
    return step, [loss, *[p.grad.abs().sum().item() for p in model.parameters()]]
