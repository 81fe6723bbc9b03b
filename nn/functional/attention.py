"""Attention. The kernel and its derivative are in ops/attention.py."""

from tensorlite import errors, random
from tensorlite.nn.functional.dropout import check_p
from tensorlite.ops.attention import attention
from tensorlite.tensor import Tensor

__all__ = ["scaled_dot_product_attention"]


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
