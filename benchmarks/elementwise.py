"""W4: a chain of 1000 elementwise operations on (8, 8), forward and backward: what an engine costs beside the arithmetic."""

import numpy as np

WORKLOADS = {"W4": {"what": "1000 elementwise ops on (8, 8), a forward + backward op", "unit": "us", "count": 1000}}


def build(name, system):
    """(step, check values)."""
    if system == "torch":
        import torch as tl
    else:
        import tensorlite as tl
    rng = np.random.default_rng(0)
    x, y = (tl.tensor((rng.standard_normal((8, 8)) * 0.5).astype(np.float32), requires_grad=True) for _ in range(2))

    def step():
        x.grad = y.grad = None
        z = x
        for _ in range(250):
            z = z * y
            z = z + x
            z = tl.tanh(z)
            z = z - y
        z = z.sum()
        z.backward()
        return z

    return step, [step().item(), x.grad.sum().item(), y.grad.sum().item()]
