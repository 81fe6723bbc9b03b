"""Scaled dot-product attention (Vaswani et al. 2017), fused: no (L, S) matrix is kept for backward."""

import math

from tensorlite import errors
from tensorlite.backend import dtypes
from tensorlite.op import Fused
from tensorlite.ops.convert import cast
from tensorlite.ops.fused import softmax
from tensorlite.ops.select import where
from tensorlite.tensor import Tensor, path, wrap


class Attention(Fused):
    """q (..., L, E), k (..., S, E), v (..., S, F); mask (..., L, S): bool (True may attend) or float (added to the scores).

    A row that may attend nowhere gives 0, and gradients of 0. Backward recomputes the probabilities from the log-sum-exp.
    """

    name, formula = "attention", "softmax(scale q @ k.T + mask) @ v"
    local = ("scale dS @ k", "scale dS.T @ q", "P.T @ g", "dS = P (g @ v.T - sum(g out))")
    extras = ("lse",)

    def forward(b, q, k, v, mask, *, causal, scale, dropout_p, seed, offset):
        drop = _drop(b, q, k, v, dropout_p, seed, offset)
        with b.quiet():
            out, lse = b.attention(q, k, v, mask, causal, scale, drop)
        return out, (lse,)

    def backward(b, g, needs, into, q, k, v, mask, out, lse, causal, scale, dropout_p, seed, offset):
        drop = _drop(b, q, k, v, dropout_p, seed, offset)
        with b.quiet():
            return b.attention_backward(g, q, k, v, mask, causal, scale, drop, out, lse, needs)

    def plain(q, k, v, mask, causal, scale, dropout_p, seed, offset):
        b = q.device.backend
        scores = q @ k.mT * scale
        if causal:
            lower = wrap(b.xp.tril(b.xp.ones(scores.array.shape[-2:], dtype=bool)), q.device)
            scores = where(lower, scores, -math.inf)
        if mask is not None:
            scores = where(mask, scores, -math.inf) if mask.dtype.category == 0 else scores + mask
        alive = (scores > -math.inf).any(-1, keepdim=True)
        p = softmax(where(alive, scores, 0.0), -1) * alive
        if dropout_p:
            p = p * wrap(_drop(b, q.array, k.array, v.array, dropout_p, seed, offset), q.device)
        return p @ v


def _drop(b, q, k, v, p, seed, offset):
    if not p:
        return None
    batch = q.shape[:-2]
    if not batch == k.shape[:-2] == v.shape[:-2]:
        batch = b.xp.broadcast_shapes(batch, k.shape[:-2], v.shape[:-2])
    return b.dropout_mask((*batch, q.shape[-2], k.shape[-2]), p, seed, offset, q.dtype)


def attention(query, key, value, attn_mask, dropout_p, is_causal, scale, draw) -> Tensor:
    """Checked arguments for Attention; `draw(n)` gives (seed, offset) for n random numbers. See
    nn.functional.scaled_dot_product_attention."""
    fault, (of_q, of_k, of_v) = None, (t.array.shape for t in (query, key, value))
    if min(len(of_q), len(of_k), len(of_v)) < 2:
        fault = "query, key and value need at least 2 dimensions (..., length, features)"
    elif of_q[-1] != of_k[-1]:
        fault = f"query has {of_q[-1]} features, key has {of_k[-1]}; they must be equal"
    elif of_k[-2] != of_v[-2]:
        fault = f"key has {of_k[-2]} positions, value has {of_v[-2]}; they must be equal"
    elif attn_mask is not None and is_causal:
        raise errors.ArgumentError("scaled_dot_product_attention: give attn_mask or is_causal, not both")
    if fault:
        table = errors.argument_table(("query", "key", "value"), (query, key, value))
        raise errors.ShapeError(errors.compose("scaled_dot_product_attention", fault, table, path()))
    if not query.array.dtype is key.array.dtype is value.array.dtype:
        dtype = dtypes.result_type(query.array, key.array, value.array)
        query, key, value = (cast(x, dtype) for x in (query, key, value))
    if attn_mask is not None and attn_mask.dtype.category:
        attn_mask = cast(attn_mask, query.dtype)
    seed = offset = 0
    if dropout_p:
        seed, offset = draw()
    scale = 1 / math.sqrt(of_q[-1]) if scale is None else float(scale)
    args = {"causal": bool(is_causal), "scale": scale, "dropout_p": dropout_p, "seed": seed, "offset": offset}
    return Attention.apply(query, key, value, attn_mask, **args)
