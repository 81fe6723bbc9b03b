"""Attention: of given queries, keys and values, and of many heads with their weights. The kernel and its derivative are in
ops/attention.py."""

import math

from tensorlite import errors, random
from tensorlite.creation import full, zeros
from tensorlite.nn.functional.dropout import check_p, dropout
from tensorlite.ops.attention import attention
from tensorlite.ops.fused import linear, softmax
from tensorlite.ops.join import cat
from tensorlite.ops.select import where
from tensorlite.tensor import Tensor, here

__all__ = ["multi_head_attention_forward", "scaled_dot_product_attention"]


def scaled_dot_product_attention(query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None,
                                 enable_gqa=False) -> Tensor:  # fmt: skip
    """softmax(scale query @ key.T + mask) @ value (Vaswani et al. 2017), without keeping the matrix of probabilities.

    query (..., L, E), key (..., S, E), value (..., S, F) -> (..., L, F); scale is 1 / sqrt(E) unless given.
    attn_mask, broadcast to (..., L, S): bool (True may attend) or float (added to the scores). is_causal: position i attends to
    0..i. enable_gqa: query has a multiple of the heads (dimension -3) of key and value.
    A row that may attend nowhere gives 0 and gradients of 0 (not nan).

    Raises:
        ShapeError: features or lengths that differ. ArgumentError: both attn_mask and is_causal.
    """
    check_p("scaled_dot_product_attention", dropout_p)
    if enable_gqa and query.shape[-3] != key.shape[-3]:
        groups, rest = divmod(query.shape[-3], key.shape[-3])
        if rest:
            raise errors.ShapeError(
                f"scaled_dot_product_attention: {query.shape[-3]} query heads are no multiple of {key.shape[-3]} key heads"
            )
        key, value = (
            x.unsqueeze(-3).expand(*x.shape[:-2], groups, *x.shape[-2:]).flatten(-4, -3) for x in (key, value)
        )
    return attention(
        query, key, value, attn_mask, float(dropout_p), is_causal, scale, lambda: random.default().philox()
    )


def multi_head_attention_forward(query, key, value, embed_dim_to_check, num_heads, in_proj_weight, in_proj_bias, bias_k, bias_v,
                                 add_zero_attn, dropout_p, out_proj_weight, out_proj_bias, training=True,
                                 key_padding_mask=None, need_weights=True, attn_mask=None, use_separate_proj_weight=False,
                                 q_proj_weight=None, k_proj_weight=None, v_proj_weight=None, static_k=None, static_v=None,
                                 average_attn_weights=True, is_causal=False, *, batch_first=False) -> tuple:  # fmt: skip
    """What nn.MultiheadAttention computes, with its weights given: (output, weights or None). Shapes and masks: see there.

    in_proj_weight (3E, E), or with use_separate_proj_weight q_proj_weight (E, E), k_proj_weight (E, kdim), v_proj_weight (E, vdim);
    bias_k, bias_v (1, 1, E): one more key and value; add_zero_attn: one more of zeros. static_k, static_v (N * num_heads, S,
    E / num_heads): keys and values that take the place of the projected ones. batch_first is ours: (N, L, E) in and out.

    Raises:
        ShapeError: features, lengths or masks that do not fit. ArgumentError: is_causal without attn_mask, num_heads that does
        not divide E, one of bias_k and bias_v alone. DTypeError: a mask of whole numbers.
    """
    single, e = query.ndim == 2, embed_dim_to_check
    weights = (q_proj_weight, k_proj_weight, v_proj_weight) if use_separate_proj_weight else (in_proj_weight,) * 3
    _check_inputs(query, key, value, (e, *(w.shape[-1] for w in weights[1:])))
    if e % num_heads:
        raise errors.ArgumentError(here(f"attention: the features, {e}, must be a multiple of num_heads, {num_heads}"))
    if is_causal and attn_mask is None:
        raise errors.ArgumentError(here("attention: is_causal is a hint about attn_mask, which must be given too"))
    if (bias_k is None) != (bias_v is None):
        raise errors.ArgumentError(here("attention: bias_k and bias_v must be given both or neither"))
    itself = query is key and key is value
    if single:
        query, key, value = (x.unsqueeze(0) for x in (query, key, value))
        key_padding_mask = key_padding_mask if key_padding_mask is None else key_padding_mask.unsqueeze(0)
    elif not batch_first:
        query, key, value = (x.transpose(0, 1) for x in (query, key, value))
    n, length = query.shape[:2]

    def heads(x):  # (N, positions, E) -> (N, heads, positions, E / heads)
        return x.reshape(n, -1, num_heads, e // num_heads).transpose(1, 2)

    if itself and not use_separate_proj_weight:
        q, k, v = linear(query, in_proj_weight, in_proj_bias).split(e, -1)
    else:
        weights = weights if use_separate_proj_weight else in_proj_weight.split(e)
        biases = (None,) * 3 if in_proj_bias is None else in_proj_bias.split(e)
        q, k, v = (linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases, strict=True))
    if bias_k is not None:
        k, v = (cat([x, b.expand(n, 1, e)], 1) for x, b in ((k, bias_k), (v, bias_v)))
    q, k, v = (
        heads(q),
        _static("static_k", static_k, heads(k), num_heads),
        _static("static_v", static_v, heads(v), num_heads),
    )
    if add_zero_attn:
        k, v = (cat([x, zeros(*x.shape[:2], 1, x.shape[3], dtype=x.dtype, device=x.device)], 2) for x in (k, v))
    extra = (bias_k is not None) + bool(add_zero_attn)
    s = k.shape[2] - extra
    if is_causal and key_padding_mask is None and not need_weights and not extra:
        mask = None  # the kernel makes it: nothing of the size (L, S) is read
    else:
        is_causal, mask = False, _one_mask(attn_mask, key_padding_mask, n, num_heads, length, s, extra, q)
    p = dropout_p if training else 0.0
    if need_weights:
        scores = q @ k.mT / math.sqrt(e // num_heads)
        if mask is not None:
            scores = where(mask, scores, -math.inf) if mask.dtype.category == 0 else scores + mask
            alive = (scores > -math.inf).any(-1, keepdim=True)  # a row without keys gives 0, not nan
            shares = softmax(where(alive, scores, 0.0), -1) * alive
        else:
            shares = softmax(scores, -1)
        shares = dropout(shares, p)  # the weights returned are those used, as in PyTorch
        out = shares @ v
        shown = shares.mean(1) if average_attn_weights else shares
    else:
        out, shown = scaled_dot_product_attention(q, k, v, mask, p, is_causal), None
    out = linear(out.transpose(1, 2).reshape(n, length, e), out_proj_weight, out_proj_bias)
    if single:
        return out.squeeze(0), None if shown is None else shown.squeeze(0)
    return (out if batch_first else out.transpose(0, 1)), shown


def _check_inputs(query, key, value, widths):
    given = (query, key, value)
    strange = next((x for x in given if not isinstance(x, Tensor)), None)
    if strange is not None:
        raise errors.DTypeError(here(f"attention: query, key and value must be Tensors, not {type(strange).__name__}"))
    table = errors.argument_table(("query", "key", "value"), given)
    fault = None
    if query.ndim not in (2, 3) or not query.ndim == key.ndim == value.ndim:
        fault = "query, key and value must all have 3 dimensions, or all 2 (one sequence)"
    elif tuple(x.shape[-1] for x in given) != widths:
        (a, b, c), (x, y, z) = widths, (t.shape[-1] for t in given)
        fault = f"expects {a}, {b} and {c} features, got {x}, {y} and {z}"
    elif key.shape[:-1] != value.shape[:-1]:
        fault = "key and value must have the same number of positions and sequences"
    if fault:
        raise errors.ShapeError(here(f"attention: {fault}: {table}"))


def _static(name, given, projected, num_heads):
    """`given` (N * heads, S, size) as (N, heads, S, size); `projected` where there is none."""
    if given is None:
        return projected
    n, _, _, size = projected.shape
    if given.ndim != 3 or given.shape[0] != n * num_heads or given.shape[2] != size:
        want = f"({n * num_heads}, S, {size})"
        raise errors.ShapeError(here(f"attention: {name} must have shape {want}, got {tuple(given.shape)}"))
    return given.reshape(n, num_heads, -1, size)


def _one_mask(attn_mask, padding, n, heads, length, s, extra, like):
    """Both masks in one that broadcasts to (N, heads, L, S + extra): bool, True = may attend, or float; None of none."""
    masks = []
    for name, m, shapes in (
        ("attn_mask", attn_mask, ((length, s), (n * heads, length, s))),
        ("key_padding_mask", padding, ((n, s),)),
    ):
        if m is None:
            continue
        if m.dtype.category and not m.dtype.is_floating_point:
            raise errors.DTypeError(
                here(
                    f"attention: {name} must be bool (True: may not attend) or floating-point (added), got {m.dtype.name}"
                )
            )
        if tuple(m.shape) not in shapes:
            want = " or ".join(map(str, shapes))
            raise errors.ShapeError(here(f"attention: {name} must have shape {want}, got {tuple(m.shape)}"))
        if name == "key_padding_mask":
            m = m.reshape(n, 1, 1, s)
        elif m.ndim == 3:
            m = m.reshape(n, heads, length, s)
        if extra:  # the keys added to those given may always be attended to
            m = cat([m, full((*m.shape[:-1], extra), 0, dtype=m.dtype, device=m.device)], -1)
        masks.append(m)
    if not masks:
        return None
    if all(m.dtype.category == 0 for m in masks):
        allowed = ~masks[0]
        return allowed if len(masks) == 1 else allowed & ~masks[1]
    added = [
        like.new_zeros(m.shape).masked_fill(m, -math.inf) if m.dtype.category == 0 else m.to(like.dtype) for m in masks
    ]
    return added[0] if len(added) == 1 else added[0] + added[1]
