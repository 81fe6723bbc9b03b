"""W3: micrograd's demo on numbers alone: a net 2-16-16-1 of single neurons, hinge loss on 100 points, one step of descent.

Every number is a 0-d tensor: about 100,000 operations a step, so this measures nothing but what an operation costs.
"""

import itertools

import numpy as np

from benchmarks import systems

WORKLOADS = {"W3": {"what": "a net of single neurons 2-16-16-1 on 0-d tensors, 100 points, a step", "tolerance": 1e-3}}
SIZES = (2, 16, 16, 1)


def build(name, system):
    """(step, check values: the first two losses)."""
    rng = np.random.default_rng(0)
    if system == "micrograd":
        from micrograd.engine import Value as number
    else:
        tl = systems.array_library(system)

        def number(v):
            return tl.tensor(v, requires_grad=True)

    layers = [
        [([number(float(w)) for w in rng.uniform(-1, 1, fan_in)], number(0.0)) for _ in range(fan_out)]
        for fan_in, fan_out in itertools.pairwise(SIZES)
    ]
    parameters = [p for layer in layers for weights, bias in layer for p in (*weights, bias)]
    angle = rng.uniform(0, np.pi, 100)
    side = np.where(np.arange(100) % 2, 1.0, -1.0)
    points = np.stack([np.cos(angle) * side + 0.5 * (side > 0), np.sin(angle) * side + 0.25], 1)

    def net(x):
        for k, layer in enumerate(layers):
            x = [sum((w * v for w, v in zip(weights, x, strict=True)), bias) for weights, bias in layer]
            x = [v.relu() for v in x] if k < len(layers) - 1 else x
        return x[0]

    def step():
        losses = [(1 + -float(s) * net([float(a) for a in p])).relu() for p, s in zip(points, side, strict=True)]
        loss = sum(losses[1:], losses[0]) * 0.01 + sum(p * p for p in parameters) * 1e-4
        for p in parameters:
            p.grad = 0.0 if system == "micrograd" else None
        loss.backward()
        for p in parameters:
            p.data = p.data - 0.1 * (p.grad if system == "micrograd" else p.grad.data)
        return loss.data if system == "micrograd" else loss.item()

    return step, [step(), step()]
