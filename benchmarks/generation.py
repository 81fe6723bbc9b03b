"""W6: writing text with the model of W1: one new token at a time, keys and values of the old ones kept."""

import numpy as np

from benchmarks.gpt import SIZES, VOCABULARY, tensorlite_gpt

TOKENS = 128
WORKLOADS = {"W6": {"what": "generation with W1's model, batch 1, keys and values kept, a token", "default": False,
                    "count": TOKENS, "tolerance": 1e-6}}  # fmt: skip


def build(name, system):
    """(step, check values: the tokens of the first text)."""
    size, rng = SIZES["W1"], np.random.default_rng(0)
    start = rng.integers(0, VOCABULARY, (1, 8))
    weights = {}

    def fill(p, key):
        weights[key] = (
            rng.standard_normal(tuple(p.shape)).astype(np.float32) * 0.1
            if p.ndim > 1
            else np.ones(tuple(p.shape), np.float32)
        )
        return weights[key]

    if system == "torch":
        import torch

        return _torch(torch, size, start, fill)
    import tensorlite as tl

    model = tensorlite_gpt(**size)
    model.eval()
    with tl.no_grad():
        for key, p in sorted(model.named_parameters()):
            p.copy_(tl.tensor(fill(p, key)))
    first = tl.tensor(start)

    def step():
        return model.generate(first, TOKENS, temperature=0)

    return step, step()[0].tolist()
