"""W1 and W1s: a training step of a GPT: pre-norm, no biases, tied head, exact GELU, gradients clipped at 1, AdamW."""

import math

import numpy as np

from benchmarks import systems

VOCABULARY, BATCH = 65, 12
LR, BETAS, DECAY, CLIP = 1e-3, (0.9, 0.99), 0.1, 1.0  # no decay on vectors
SIZES = {"W1": dict(block=256, layers=6, heads=6, dim=384), "W1s": dict(block=64, layers=4, heads=4, dim=128)}
WORKLOADS = {
    "W1s": {"what": "GPT, 4 layers, dim 128, block 64, batch 12, a training step", "tolerance": 2e-5},
    "W1": {"what": "GPT, 6 layers, dim 384, block 256, batch 12, a training step", "tolerance": 2e-5, "rounds": 3},
}


def torch_gpt(block, layers, heads, dim):
    """The same model as tensorlite.models.gpt.GPT, with the same parameter names, written with PyTorch's modules."""
    import torch
    import torch.nn.functional as F
    from torch import nn

    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv, self.proj = nn.Linear(dim, 3 * dim, bias=False), nn.Linear(dim, dim, bias=False)

        def forward(self, x):
            n, t, _ = x.shape
            q, k, v = (y.view(n, t, heads, dim // heads).transpose(1, 2) for y in self.qkv(x).split(dim, dim=2))
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            return self.proj(y.transpose(1, 2).reshape(n, t, dim))

    class MLP(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.proj = nn.Linear(dim, 4 * dim, bias=False), nn.Linear(4 * dim, dim, bias=False)

        def forward(self, x):
            return self.proj(F.gelu(self.fc(x)))

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.ln1, self.attn = nn.LayerNorm(dim, bias=False), Attention()
            self.ln2, self.mlp = nn.LayerNorm(dim, bias=False), MLP()

        def forward(self, x):
            x = x + self.attn(self.ln1(x))
            return x + self.mlp(self.ln2(x))

    class GPT(nn.Module):
        def __init__(self):
            super().__init__()
            self.wte, self.wpe = nn.Embedding(VOCABULARY, dim), nn.Embedding(block, dim)
            self.blocks = nn.ModuleList([Block() for _ in range(layers)])
            self.ln_f = nn.LayerNorm(dim, bias=False)
            self.lm_head = nn.Linear(dim, VOCABULARY, bias=False)
            self.lm_head.weight = self.wte.weight

        def forward(self, idx, targets):
            x = self.wte(idx) + self.wpe(torch.arange(idx.shape[1]))
            for b in self.blocks:
                x = b(x)
            logits = self.lm_head(self.ln_f(x))
            return logits, F.cross_entropy(logits.view(-1, VOCABULARY), targets.reshape(-1))

    return GPT()


def tensorlite_gpt(block, layers, heads, dim):
    """tensorlite's own GPT."""
    from tensorlite.models.gpt import GPT, GPTConfig

    return GPT(GPTConfig(vocab_size=VOCABULARY, block_size=block, layers=layers, heads=heads, dim=dim, bias=False))


def shapes(block, layers, heads, dim) -> dict:
    """The parameters' names, sorted, and shapes; the head shares `wte.weight`."""
    made = {"wte.weight": (VOCABULARY, dim), "wpe.weight": (block, dim), "ln_f.weight": (dim,)}
    for i in range(layers):
        name = f"blocks.{i}."
        made |= {name + "ln1.weight": (dim,), name + "ln2.weight": (dim,)}
        made |= {name + "attn.qkv.weight": (3 * dim, dim), name + "attn.proj.weight": (dim, dim)}
        made |= {name + "mlp.fc.weight": (4 * dim, dim), name + "mlp.proj.weight": (dim, 4 * dim)}
    return dict(sorted(made.items()))


def data(size, batch=BATCH):
    """({name: values}, tokens in (batch, block), tokens to be foretold)."""
    rng, values = np.random.default_rng(0), {}
    for name, shape in shapes(**size).items():
        # larger than a model is started with, so that a wrong detail, such as another GELU, shows in the check
        spread = 0.1 / (math.sqrt(2 * size["layers"]) if name.endswith("proj.weight") else 1)
        drawn = rng.standard_normal(shape) * spread if len(shape) > 1 else np.ones(shape)
        values[name] = drawn.astype(np.float32)
    text = rng.integers(0, VOCABULARY, (batch, size["block"] + 1))
    return values, text[:, :-1].copy(), text[:, 1:].copy()


def build(name, system):
    """(step, check values: the first loss, the norm of its gradient, and that of each parameter's)."""
    return training(SIZES[name], BATCH, system)


def training(size, batch, system):
    """The same with any sizes."""
    tl = systems.array_library(system)
    model = (tensorlite_gpt if tl.__name__ == "tensorlite" else torch_gpt)(**size)
    parameters = dict(sorted(model.named_parameters()))
    values, x, y = data(size, batch)
    for name, p in parameters.items():
        with tl.no_grad():
            p.copy_(tl.tensor(values[name]))
    x, y = tl.tensor(x), tl.tensor(y)
    matrices = [p for p in parameters.values() if p.ndim > 1]
    vectors = [p for p in parameters.values() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": DECAY}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = tl.optim.AdamW(groups, lr=LR, betas=BETAS)
    run = tl.compile(model) if system == "torch.compile" else model
    norm = None

    def step():
        nonlocal norm
        optimizer.zero_grad()
        _, loss = run(x, y)
        loss.backward()
        norm = tl.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        return loss.item()

    loss = step()
    return step, [loss, norm.item(), *[(p.grad**2).sum().item() ** 0.5 for p in parameters.values()]]
