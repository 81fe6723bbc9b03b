"""MultiheadAttention (Vaswani et al. 2017), with PyTorch's parameters and masks. It computes in nn/functional/attention.py."""

from tensorlite import errors
from tensorlite.creation import empty
from tensorlite.nn import functional as F, init
from tensorlite.nn.functional.dropout import check_p
from tensorlite.nn.linear import Linear
from tensorlite.nn.module import Module
from tensorlite.nn.parameter import Parameter


class NonDynamicallyQuantizableLinear(Linear):
    """Linear, under the name that PyTorch shows for the last layer of MultiheadAttention."""


class MultiheadAttention(Module):
    """softmax(q k^T / sqrt(head size) + mask) v in `num_heads` heads side by side, then a linear layer (Vaswani et al. 2017).

    query (L, N, E), key (S, N, kdim), value (S, N, vdim), or (N, L, E) ... with batch_first, or without N; E = embed_dim, kdim
    and vdim are E unless given. Returns (output like query, weights (N, L, S) or None).
    key_padding_mask (N, S) and attn_mask (L, S) or (N * num_heads, L, S): bool (True: may NOT attend) or float (added).
    is_causal: a hint that attn_mask is the causal one. need_weights=False: no weights are returned, and no (L, S) matrix is made.
    average_attn_weights=False: weights (N, num_heads, L, S). add_bias_kv: one more key and value, learned; add_zero_attn: one more
    of zeros. dropout: of weights, in training.
    Where PyTorch gives nan, for a query that may attend nowhere, ours gives weights of 0, and gradients of 0.

    in_proj_weight (3E, E), or q_proj_weight (E, E), k_proj_weight (E, kdim), v_proj_weight (E, vdim), uniform as Glorot and Bengio
    2010 at the start; in_proj_bias (3E,) and out_proj.bias 0; bias_k, bias_v (1, 1, E) normal.

    Raises:
        ArgumentError: embed_dim is no multiple of num_heads, is_causal without attn_mask. ShapeError: other shapes than these.

    Example:
        >>> import tensorlite as tl
        >>> out, weights = tl.nn.MultiheadAttention(8, 2, batch_first=True)(*[tl.ones(3, 5, 8)] * 3)
        >>> out.shape, weights.shape
        ((3, 5, 8), (3, 5, 5))
    """

    def __init__(self, embed_dim, num_heads, dropout=0.0, bias=True, add_bias_kv=False, add_zero_attn=False, kdim=None,
                 vdim=None, batch_first=False, device=None, dtype=None):  # fmt: skip
        super().__init__()
        if embed_dim <= 0 or num_heads <= 0 or embed_dim % num_heads:
            raise errors.ArgumentError(
                f"MultiheadAttention: embed_dim must be a positive multiple of num_heads, got {embed_dim} and {num_heads}"
            )
        check_p("MultiheadAttention", dropout)
        self.embed_dim, self.num_heads, self.dropout, self.batch_first = embed_dim, num_heads, dropout, batch_first
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self.head_dim, self.add_zero_attn = embed_dim // num_heads, add_zero_attn
        self._qkv_same_embed_dim = self.kdim == embed_dim and self.vdim == embed_dim

        def weight(wanted, *size):
            return Parameter(empty(*size, device=device, dtype=dtype)) if wanted else None

        same = self._qkv_same_embed_dim
        self.register_parameter("in_proj_weight", weight(same, 3 * embed_dim, embed_dim))
        self.register_parameter("q_proj_weight", weight(not same, embed_dim, embed_dim))
        self.register_parameter("k_proj_weight", weight(not same, embed_dim, self.kdim))
        self.register_parameter("v_proj_weight", weight(not same, embed_dim, self.vdim))
        self.register_parameter("in_proj_bias", weight(bias, 3 * embed_dim))
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias=bias, device=device, dtype=dtype)
        self.register_parameter("bias_k", weight(add_bias_kv, 1, 1, embed_dim))
        self.register_parameter("bias_v", weight(add_bias_kv, 1, 1, embed_dim))
        self._reset_parameters()

    def _reset_parameters(self):
        for w in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if w is not None:
                init.xavier_uniform_(w)
        if self.in_proj_bias is not None:
            init.zeros_(self.in_proj_bias)
            init.zeros_(self.out_proj.bias)
        if self.bias_k is not None:
            init.xavier_normal_(self.bias_k)
            init.xavier_normal_(self.bias_v)

    def forward(self, query, key, value, key_padding_mask=None, need_weights=True, attn_mask=None,
                average_attn_weights=True, is_causal=False):  # fmt: skip
        return F.multi_head_attention_forward(
            query, key, value, self.embed_dim, self.num_heads, self.in_proj_weight, self.in_proj_bias, self.bias_k,
            self.bias_v, self.add_zero_attn, self.dropout, self.out_proj.weight, self.out_proj.bias, self.training,
            key_padding_mask, need_weights, attn_mask, not self._qkv_same_embed_dim, self.q_proj_weight,
            self.k_proj_weight, self.v_proj_weight, None, None, average_attn_weights, is_causal,
            batch_first=self.batch_first,
        )  # fmt: skip
