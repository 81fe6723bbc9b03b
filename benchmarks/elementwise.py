"""W4: a chain of 1000 elementwise operations on (8, 8), forward and backward: what an engine costs beside the arithmetic."""

import numpy as np

from benchmarks import systems

WORKLOADS = {"W4": {"what": "1000 elementwise ops on (8, 8), a forward + backward op", "unit": "us", "count": 1000}}
OPS = 1000


def data():
    """x and y."""
    rng = np.random.default_rng(0)
    return [(rng.standard_normal((8, 8)) * 0.5).astype(np.float32) for _ in range(2)]


def build(name, system):
    """(step, check values: the result, the sums of both gradients)."""
    return chain(OPS, system)


def chain(ops, system):
    """The same with any number of operations."""
    tl = systems.array_library(system)
    x, y = (tl.tensor(a, requires_grad=True) for a in data())

    def step():
        x.grad = y.grad = None
        z = x
        for _ in range(ops // 4):
            z = z * y
            z = z + x
            z = tl.tanh(z)
            z = z - y
        z = z.sum()
        z.backward()
        return z

    return step, [step().item(), x.grad.sum().item(), y.grad.sum().item()]
