"""GPT, the decoder-only transformer (Radford et al. 2019), top to bottom: configuration, attention, block, model, generation.

Shapes: B batch, T positions, C features (dim), nh heads, hs head size (C / nh), V vocabulary.
"""

import math
from dataclasses import dataclass

from tensorlite import errors, nn
from tensorlite.backend.dtypes import bool_
from tensorlite.creation import arange, empty, ones
from tensorlite.modes import no_grad
from tensorlite.nn import functional as F, init
from tensorlite.ops.select import where
from tensorlite.ops.shape import cat
from tensorlite.random import multinomial


@dataclass
class GPTConfig:
    """Sizes of a GPT. `bias=False` leaves the biases of all linear layers and layer norms out."""

    vocab_size: int = 65
    block_size: int = 64  # longest sequence the model can see
    layers: int = 4
    heads: int = 4
    dim: int = 128
    dropout: float = 0.0
    bias: bool = False

    def __post_init__(self):
        if self.dim % self.heads:
            raise errors.ArgumentError(f"GPTConfig: dim {self.dim} must be a multiple of heads {self.heads}")
        for name in ("vocab_size", "block_size", "layers", "heads", "dim"):
            if getattr(self, name) < 1:
                raise errors.ArgumentError(f"GPTConfig: {name} must be at least 1, not {getattr(self, name)}")


class KVCache:
    """Keys and values of the positions seen so far, for one layer; memory for `length` positions is set aside at once."""

    def __init__(self, batch, heads, length, head_size, like):
        self.kv = empty(2, batch, heads, length, head_size, device=like.device, dtype=like.dtype)
        self.used = 0

    def append(self, kv):
        """Add keys and values (2, B, nh, T, hs); returns views of all so far."""
        start, self.used = self.used, self.used + kv.shape[3]
        self.kv[:, :, :, start : self.used] = kv
        return self.kv[:, :, :, : self.used].unbind(0)


class CausalSelfAttention(nn.Module):
    """Multi-head attention in which position i sees positions 0..i."""

    def __init__(self, config):
        super().__init__()
        self.heads, self.dropout = config.heads, config.dropout
        self.qkv = nn.Linear(config.dim, 3 * config.dim, bias=config.bias)
        self.proj = nn.Linear(config.dim, config.dim, bias=config.bias)
        self.resid_dropout = nn.Dropout(config.dropout)

    def forward(self, x, cache=None):
        B, T, C = x.shape
        qkv = self.qkv(x).view(B, T, 3, self.heads, C // self.heads)
        qkv = qkv.permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)  # each (B, nh, T, hs)
        if cache is not None:
            k, v = cache.append(qkv[1:])
        mask, S = None, k.shape[2]
        if 1 < T < S:  # several new positions after cached ones: new position i sees all S - T before, and new 0..i
            mask = ones(T, S, dtype=bool_, device=x.device).tril(S - T)
        p = self.dropout if self.training else 0.0
        y = F.scaled_dot_product_attention(q, k, v, mask, p, is_causal=T == S)
        y = y.transpose(1, 2).reshape(B, T, C)
        return self.resid_dropout(self.proj(y))


class MLP(nn.Module):
    """Two linear layers with GELU between, four times as wide inside."""

    def __init__(self, config):
        super().__init__()
        self.fc = nn.Linear(config.dim, 4 * config.dim, bias=config.bias)
        self.gelu = nn.GELU()
        self.proj = nn.Linear(4 * config.dim, config.dim, bias=config.bias)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x):
        return self.dropout(self.proj(self.gelu(self.fc(x))))


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, config):
        super().__init__()
        self.ln1 = nn.LayerNorm(config.dim, bias=config.bias)
        self.attn = CausalSelfAttention(config)
        self.ln2 = nn.LayerNorm(config.dim, bias=config.bias)
        self.mlp = MLP(config)

    def forward(self, x, cache=None):
        x = x + self.attn(self.ln1(x), cache)
        return x + self.mlp(self.ln2(x))


class GPT(nn.Module):
    """Token and position embeddings, blocks, a last norm, and a linear head that shares the token table.

    Example:
        >>> import tensorlite as tl
        >>> from tensorlite.models.gpt import GPT, GPTConfig
        >>> model = GPT(GPTConfig(vocab_size=10, block_size=8, layers=1, heads=2, dim=4))
        >>> logits, loss = model(tl.tensor([[1, 2, 3]]), tl.tensor([[2, 3, 4]]))
        >>> logits.shape, loss.shape
        ((1, 3, 10), ())
    """

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.config = config
        self.wte = nn.Embedding(config.vocab_size, config.dim)
        self.wpe = nn.Embedding(config.block_size, config.dim)
        self.drop = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList([Block(config) for _ in range(config.layers)])
        self.ln_f = nn.LayerNorm(config.dim, bias=config.bias)
        self.lm_head = nn.Linear(config.dim, config.vocab_size, bias=False)
        self.lm_head.weight = self.wte.weight  # tied (Press and Wolf 2017)
        for name, p in self.named_parameters():
            if name.endswith("bias"):
                init.zeros_(p)
            elif p.ndim == 2:  # the last layers of each block are smaller, as they add up in the residual stream
                init.normal_(p, 0.0, 0.02 / (math.sqrt(2 * config.layers) if name.endswith("proj.weight") else 1))

    def forward(self, idx, targets=None, caches=None):
        """idx (B, T) token ids -> (logits (B, T, V), loss); loss None without targets (B, T), where -100 counts for nothing.

        caches: one KVCache a layer; idx are then the positions after those seen.

        Raises:
            ShapeError: more positions than block_size. IndexRangeError: an id outside of the vocabulary.
        """
        start = caches[0].used if caches else 0
        T = idx.shape[-1]
        if idx.ndim != 2 or start + T > self.config.block_size:
            raise errors.ShapeError(
                f"GPT: idx must have shape (batch, at most {self.config.block_size} positions), got {tuple(idx.shape)}"
                + (f" after {start} cached" if start else "")
            )
        x = self.wte(idx) + self.wpe(arange(start, start + T, device=idx.device))  # (B, T, C)
        x = self.drop(x)
        for i, block in enumerate(self.blocks):
            x = block(x, caches[i] if caches else None)
        logits = self.lm_head(self.ln_f(x))  # (B, T, V)
        loss = None
        if targets is not None:
            loss = F.cross_entropy(logits.view(-1, logits.shape[-1]), targets.reshape(-1))
        return logits, loss

    @no_grad
    def generate(self, idx, max_new_tokens, temperature=1.0, top_k=None, use_cache=True, generator=None):
        """Continue idx (B, T) by max_new_tokens ids drawn from the model -> (B, T + max_new_tokens).

        temperature: the logits are divided by it; 0 takes the most likely token. top_k: only the k most likely
        count, and those exactly as likely as the k-th.
        use_cache: keep keys and values, so that a step costs one position. Beyond block_size the oldest are dropped.
        """
        if temperature < 0 or (top_k is not None and top_k < 1):
            raise errors.ArgumentError(
                f"generate: needs temperature >= 0 and top_k >= 1, got {temperature} and {top_k}"
            )
        if idx.ndim != 2 or not idx.shape[1]:
            raise errors.ShapeError(
                f"generate: the prompt idx must have shape (batch, at least 1 position), got {tuple(idx.shape)}"
            )
        training, size = self.training, self.config.block_size
        self.eval()
        caches = None
        try:
            for _ in range(max_new_tokens):
                if use_cache and caches and caches[0].used < size:
                    logits, _ = self(idx[:, -1:], caches=caches)
                else:  # the first step, no cache, or a full one: positions have moved, so all is computed again
                    seen = idx[:, -size:]
                    caches = self.make_caches(len(idx)) if use_cache and seen.shape[1] < size else None
                    logits, _ = self(seen, caches=caches)
                nxt = self._draw(logits[:, -1], temperature, top_k, generator)
                idx = cat([idx, nxt], 1)
        finally:
            self.train(training)
        return idx

    def _draw(self, logits, temperature, top_k, generator):
        """(B, V) logits -> (B, 1) ids."""
        if temperature == 0:
            return logits.argmax(-1, keepdim=True)
        logits = logits / temperature
        if top_k is not None and top_k < logits.shape[-1]:
            logits = where(logits < logits.topk(top_k).values[:, -1:], -math.inf, logits)
        return multinomial(F.softmax(logits, -1), 1, generator=generator)

    def make_caches(self, batch):
        """An empty KVCache for each layer."""
        c = self.config
        return [KVCache(batch, c.heads, c.block_size, c.dim // c.heads, self.wte.weight) for _ in range(c.layers)]

    def num_params(self) -> int:
        """The number of trained numbers, shared ones once."""
        return sum(p.numel() for p in self.parameters())

    def decay_groups(self, weight_decay):
        """Parameter groups for an optimizer: matrices decay, biases and norms do not."""
        matrices = [p for p in self.parameters() if p.ndim >= 2]
        vectors = [p for p in self.parameters() if p.ndim < 2]
        groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]
        return [g for g in groups if g["params"]]
