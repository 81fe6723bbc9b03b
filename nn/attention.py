"""MultiheadAttention (Vaswani et al. 2017), with PyTorch's parameters and masks."""

import math

from tensorlite import errors
from tensorlite.creation import empty
from tensorlite.nn import functional as F, init
from tensorlite.nn.linear import Linear
from tensorlite.nn.module import Module
from tensorlite.nn.parameter import Parameter
from tensorlite.ops.select import where


class MultiheadAttention(Module):
    """softmax(q k^T / sqrt(head size) + mask) v in `num_heads` heads side by side, then a linear layer.

    query (L, N, E), key (S, N, kdim), value (S, N, vdim), or (N, L, E) ... with batch_first, or without N. Returns
    (output like query, weights (N, L, S) or None).
    key_padding_mask (N, S) and attn_mask (L, S) or (N * num_heads, L, S): bool (True: may NOT attend) or float (added).

    Raises:
        ArgumentError: embed_dim is no multiple of num_heads, or an option that is not supported.
    """

    def __init__(self, embed_dim, num_heads, dropout=0.0, bias=True, add_bias_kv=False, add_zero_attn=False, kdim=None,
                 vdim=None, batch_first=False, device=None, dtype=None):  # fmt: skip
        super().__init__()
        if embed_dim <= 0 or num_heads <= 0 or embed_dim % num_heads:
            raise errors.ArgumentError(
                f"MultiheadAttention: embed_dim must be a positive multiple of num_heads, got {embed_dim} and {num_heads}"
            )
        if add_bias_kv or add_zero_attn:
            raise errors.ArgumentError("MultiheadAttention: add_bias_kv and add_zero_attn are not supported yet")
        self.embed_dim, self.num_heads, self.dropout, self.batch_first = embed_dim, num_heads, dropout, batch_first
        self.kdim, self.vdim = kdim or embed_dim, vdim or embed_dim
        self.head_dim = embed_dim // num_heads
        self._same = self.kdim == embed_dim and self.vdim == embed_dim

        def weight(*size):
            return Parameter(empty(*size, device=device, dtype=dtype))

        self.register_parameter("in_proj_weight", weight(3 * embed_dim, embed_dim) if self._same else None)
        self.register_parameter("q_proj_weight", None if self._same else weight(embed_dim, embed_dim))
        self.register_parameter("k_proj_weight", None if self._same else weight(embed_dim, self.kdim))
        self.register_parameter("v_proj_weight", None if self._same else weight(embed_dim, self.vdim))
        self.register_parameter("in_proj_bias", weight(3 * embed_dim) if bias else None)
        self.out_proj = Linear(embed_dim, embed_dim, bias=bias, device=device, dtype=dtype)
        for w in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if w is not None:
                init.xavier_uniform_(w)
        if bias:
            init.zeros_(self.in_proj_bias)
            init.zeros_(self.out_proj.bias)

    def forward(self, query, key, value, key_padding_mask=None, need_weights=True, attn_mask=None,
                average_attn_weights=True, is_causal=False):  # fmt: skip
        batched = query.ndim == 3
        if query.ndim not in (2, 3) or key.ndim != query.ndim or value.ndim != query.ndim:
            raise errors.ShapeError(
                "MultiheadAttention: query, key and value must all have 3 (or all 2) dimensions, "
                f"got {query.ndim}, {key.ndim}, {value.ndim}"
            )
        if query.shape[-1] != self.embed_dim or key.shape[-1] != self.kdim or value.shape[-1] != self.vdim:
            raise errors.ShapeError(
                f"MultiheadAttention: expects {self.embed_dim}, {self.kdim} and {self.vdim} features, "
                f"got {query.shape[-1]}, {key.shape[-1]} and {value.shape[-1]}"
            )
        if not batched:
            query, key, value = (x.unsqueeze(0) for x in (query, key, value))
            key_padding_mask = key_padding_mask if key_padding_mask is None else key_padding_mask.unsqueeze(0)
        elif not self.batch_first:
            query, key, value = (x.transpose(0, 1) for x in (query, key, value))
        (n, length, e), s = query.shape, key.shape[1]
        q, k, v = (  # (N, heads, positions, head size)
            x.reshape(n, -1, self.num_heads, self.head_dim).transpose(1, 2) for x in self._project(query, key, value)
        )
        if is_causal and attn_mask is None:
            raise errors.ArgumentError(
                "MultiheadAttention: is_causal is a hint about attn_mask, which must be given too"
            )
        mask = self._mask(attn_mask, key_padding_mask, n, length, s, q)
        p = self.dropout if self.training else 0.0
        if need_weights:
            scores = q @ k.mT / math.sqrt(self.head_dim)
            if mask is not None:
                scores = where(mask, scores, -math.inf) if mask.dtype.category == 0 else scores + mask
                alive = (scores > -math.inf).any(-1, keepdim=True)  # a row without keys gives 0, not nan
                weights = F.softmax(where(alive, scores, 0.0), -1) * alive
            else:
                weights = F.softmax(scores, -1)
            weights = F.dropout(weights, p)  # the weights returned are those used, as in PyTorch
            out = weights @ v
            shown = weights.mean(1) if average_attn_weights else weights
        else:
            out, shown = F.scaled_dot_product_attention(q, k, v, mask, p), None
        out = self.out_proj(out.transpose(1, 2).reshape(n, length, e))
        if not batched:
            return out.squeeze(0), None if shown is None else shown.squeeze(0)
        return (out if self.batch_first else out.transpose(0, 1)), shown

    def _project(self, query, key, value):
        e, bias = self.embed_dim, self.in_proj_bias
        if self._same and query is key and key is value:
            return F.linear(query, self.in_proj_weight, bias).split(e, -1)
        weights = (
            self.in_proj_weight.split(e) if self._same else (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        )
        biases = (None, None, None) if bias is None else bias.split(e)
        return [F.linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases, strict=True)]

    def _mask(self, attn_mask, padding, n, length, s, q):
        """Both masks in one that broadcasts to (N, heads, L, S): bool True = may attend, or float."""
        masks = []
        if attn_mask is not None:
            if tuple(attn_mask.shape) not in ((length, s), (n * self.num_heads, length, s)):
                raise errors.ShapeError(
                    f"MultiheadAttention: attn_mask must have shape {(length, s)} or {(n * self.num_heads, length, s)}, "
                    f"got {tuple(attn_mask.shape)}"
                )
            masks.append(attn_mask.reshape(-1, self.num_heads, length, s) if attn_mask.ndim == 3 else attn_mask)
        if padding is not None:
            if tuple(padding.shape) != (n, s):
                raise errors.ShapeError(
                    f"MultiheadAttention: key_padding_mask must have shape {(n, s)}, got {tuple(padding.shape)}"
                )
            masks.append(padding.reshape(n, 1, 1, s))
        if not masks:
            return None
        if all(m.dtype.category == 0 for m in masks):
            allowed = ~masks[0]
            return allowed if len(masks) == 1 else allowed & ~masks[1]
        added = [
            q.new_zeros(m.shape).masked_fill(m, -math.inf) if m.dtype.category == 0 else m.to(q.dtype) for m in masks
        ]
        return added[0] if len(added) == 1 else added[0] + added[1]
