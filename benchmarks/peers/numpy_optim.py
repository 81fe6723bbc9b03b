"""Optimizers in plain NumPy, in place, for the libraries that come without (autograd, MyGrad)."""

import numpy as np

from benchmarks import gpt, mlp


class AdamW:
    """Clip the whole gradient at gpt.CLIP, then AdamW on the arrays of a dictionary. Returns the norm."""

    def __init__(self, parameters):
        self.p, self.count = parameters, 0
        self.m = {k: np.zeros_like(v) for k, v in parameters.items()}
        self.v = {k: np.zeros_like(v) for k, v in parameters.items()}

    def step(self, grads) -> float:
        norm = float(np.sqrt(sum(float(np.vdot(g, g)) for g in grads.values())))
        shrink = min(1.0, gpt.CLIP / (norm + 1e-6))
        self.count += 1
        (b1, b2), lr = gpt.BETAS, gpt.LR
        rate, root = lr / (1 - b1**self.count), float(np.sqrt(1 - b2**self.count))
        for k, p in self.p.items():
            g, m, v = grads[k] * shrink, self.m[k], self.v[k]
            m *= b1
            m += (1 - b1) * g
            v *= b2
            v += (1 - b2) * g * g
            if p.ndim > 1:
                p *= 1 - lr * gpt.DECAY
            p -= rate * m / (np.sqrt(v) / root + 1e-8)
        return norm


class SGD:
    """With momentum, on a list of arrays."""

    def __init__(self, parameters):
        self.p, self.moments = parameters, [np.zeros_like(p) for p in parameters]

    def step(self, grads):
        for p, m, g in zip(self.p, self.moments, grads):
            m *= mlp.MOMENTUM
            m += g
            p -= mlp.LR * m
