"""W6: writing text with the model of W1: one new token at a time, keys and values of the old ones kept."""

import numpy as np

from benchmarks.gpt import SIZES, VOCABULARY, shapes, tensorlite_gpt

TOKENS = 128
WORKLOADS = {"W6": {"what": "generation with W1's model, batch 1, keys and values kept, a token", "rounds": 5,
                    "count": TOKENS, "tolerance": 1e-6}}  # fmt: skip


def torch_writer(size, start, weights):
    """The same model, the same way of writing, in PyTorch: keys and values in arrays made once."""
    import torch
    import torch.nn.functional as F

    w = {k: torch.tensor(v) for k, v in weights.items()}
    dim, heads, layers, block = size["dim"], size["heads"], size["layers"], size["block"]
    cache = torch.zeros(layers, 2, 1, heads, block, dim // heads)

    def split(x):
        return x.view(1, -1, heads, dim // heads).transpose(1, 2)

    def logits(idx, used):
        x, n = w["wte.weight"][idx] + w["wpe.weight"][used : used + idx.shape[1]], used + idx.shape[1]
        for i in range(layers):
            name = f"blocks.{i}."
            y = F.layer_norm(x, (dim,), w[name + "ln1.weight"])
            q, k, v = (split(part) for part in (y @ w[name + "attn.qkv.weight"].T).split(dim, 2))
            cache[i, 0, :, :, used:n], cache[i, 1, :, :, used:n] = k, v
            y = F.scaled_dot_product_attention(
                q, cache[i, 0, :, :, :n], cache[i, 1, :, :, :n], is_causal=idx.shape[1] > 1
            )
            x = x + y.transpose(1, 2).reshape(1, -1, dim) @ w[name + "attn.proj.weight"].T
            y = F.layer_norm(x, (dim,), w[name + "ln2.weight"])
            x = x + F.gelu(y @ w[name + "mlp.fc.weight"].T) @ w[name + "mlp.proj.weight"].T
        return F.layer_norm(x, (dim,), w["ln_f.weight"])[:, -1] @ w["wte.weight"].T

    @torch.no_grad()
    def write():
        idx, new, used = torch.tensor(start), torch.tensor(start), 0
        for _ in range(TOKENS):
            out = logits(new, used)
            used, new = used + new.shape[1], out.argmax(-1, keepdim=True)
            idx = torch.cat([idx, new], 1)
        return idx

    return write


def data():
    """(the first tokens (1, 8), {name: weights})."""
    rng = np.random.default_rng(0)
    start, weights = rng.integers(0, VOCABULARY, (1, 8)), {}
    for key, shape in shapes(**SIZES["W1"]).items():
        made = rng.standard_normal(shape) * 0.1 if len(shape) > 1 else np.ones(shape)
        weights[key] = made.astype(np.float32)
    return start, weights


def build(name, system):
    """(step, check values: the tokens of the first text)."""
    size, (start, weights) = SIZES["W1"], data()
    if system == "torch":
        step = torch_writer(size, start, weights)
        return step, step()[0].tolist()
    import tensorlite as tl

    model = tensorlite_gpt(**size).eval()
    with tl.no_grad():
        for key, p in model.named_parameters():
            p.copy_(tl.tensor(weights[key]))
    first = tl.tensor(start)

    def step():
        return model.generate(first, TOKENS, temperature=0)

    return step, step()[0].tolist()
