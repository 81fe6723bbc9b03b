"""The transformer of Vaswani et al. 2017: encoder and decoder, their layers, and both together."""

import copy
import math

from tensorlite import errors
from tensorlite.creation import full
from tensorlite.nn import init
from tensorlite.nn.attention import MultiheadAttention
from tensorlite.nn.container import ModuleList
from tensorlite.nn.dropout import Dropout
from tensorlite.nn.linear import Linear
from tensorlite.nn.module import Module
from tensorlite.nn.normalization import LayerNorm
from tensorlite.ops.functions import relu
from tensorlite.ops.fused import gelu
from tensorlite.tensor import here

__all__ = [
    "Transformer", "TransformerDecoder", "TransformerDecoderLayer", "TransformerEncoder", "TransformerEncoderLayer",
]  # fmt: skip


def _activation(name, given):
    if not isinstance(given, str):
        return given
    known = {"relu": relu, "gelu": gelu}
    if given not in known:
        raise errors.ArgumentError(f"{name}: activation must be 'relu', 'gelu' or a function, not {given!r}")
    return known[given]


class _Layer(Module):
    """What the layers of encoder and decoder share: attention, the feed-forward part, and where the norms stand."""

    attentions = ("self_attn",)

    def __init__(self, d_model, nhead, dim_feedforward, dropout, activation, eps, batch_first, norm_first, bias, device,
                 dtype):  # fmt: skip
        super().__init__()
        name, where = type(self).__name__, {"device": device, "dtype": dtype}
        if d_model <= 0 or nhead <= 0 or d_model % nhead:
            raise errors.ArgumentError(
                f"{name}: d_model must be a positive multiple of nhead, got {d_model} and {nhead}"
            )
        if dim_feedforward < 0:
            raise errors.ArgumentError(f"{name}: dim_feedforward cannot be negative, got {dim_feedforward}")
        for part in self.attentions:
            attention = MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first, **where)
            self.register_module(part, attention)
        self.linear1 = Linear(d_model, dim_feedforward, bias, **where)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias, **where)
        self.norm_first = norm_first
        count = len(self.attentions) + 1
        for i in range(1, count + 1):
            self.register_module(f"norm{i}", LayerNorm(d_model, eps, bias=bias, **where))
        for i in range(1, count + 1):
            self.register_module(f"dropout{i}", Dropout(dropout))
        self.activation = _activation(name, activation)

    def _around(self, i, x, part):
        """x + part(x), with norm i before the part or after the sum."""
        norm, drop = getattr(self, f"norm{i}"), getattr(self, f"dropout{i}")
        return x + drop(part(norm(x))) if self.norm_first else norm(x + drop(part(x)))

    def _feed_forward(self, x):
        return self.linear2(self.dropout(self.activation(self.linear1(x))))

    def _attend_itself(self, mask, padding, causal):
        return lambda x: self.self_attn(
            x, x, x, attn_mask=mask, key_padding_mask=padding, need_weights=False, is_causal=causal
        )[0]


class TransformerEncoderLayer(_Layer):
    """norm(x + self-attention(x)), then norm(x + linear2(activation(linear1(x)))) (Vaswani et al. 2017, section 3.1).

    src (S, N, E), with batch_first (N, S, E), or (S, E); E = d_model. norm_first: x + part(norm(x)) instead (Xiong et al. 2020).
    activation: "relu", "gelu", a function or a module. bias=False: no bias in any part. Masks: see MultiheadAttention.
    dropout: of attention weights, inside the feed-forward part, and of what each part adds.

    Raises:
        ArgumentError: d_model is no multiple of nhead, an unknown activation. ShapeError: another number of features.

    Example:
        >>> import tensorlite as tl
        >>> tl.nn.TransformerEncoderLayer(8, 2, batch_first=True)(tl.ones(3, 5, 8)).shape
        (3, 5, 8)
    """

    def __init__(self, d_model, nhead, dim_feedforward=2048, dropout=0.1, activation=relu, layer_norm_eps=1e-5,
                 batch_first=False, norm_first=False, bias=True, device=None, dtype=None):  # fmt: skip
        super().__init__(d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias,
                         device, dtype)  # fmt: skip

    def forward(self, src, src_mask=None, src_key_padding_mask=None, is_causal=False):
        x = self._around(1, src, self._attend_itself(src_mask, src_key_padding_mask, is_causal))
        return self._around(2, x, self._feed_forward)


class TransformerDecoderLayer(_Layer):
    """As TransformerEncoderLayer, with an attention over `memory`, what the encoder gave, between its two parts.

    tgt (T, N, E), memory (S, N, E), with batch_first (N, T, E) and (N, S, E), or without N. tgt_mask (T, T) is for the first
    attention, memory_mask (T, S) for the second; so are the key padding masks.

    Raises:
        ArgumentError: d_model is no multiple of nhead, an unknown activation. ShapeError: another number of features.

    Example:
        >>> import tensorlite as tl
        >>> tl.nn.TransformerDecoderLayer(8, 2)(tl.ones(5, 3, 8), tl.ones(7, 3, 8)).shape
        (5, 3, 8)
    """

    attentions = ("self_attn", "multihead_attn")

    def __init__(self, d_model, nhead, dim_feedforward=2048, dropout=0.1, activation=relu, layer_norm_eps=1e-5,
                 batch_first=False, norm_first=False, bias=True, device=None, dtype=None):  # fmt: skip
        super().__init__(d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias,
                         device, dtype)  # fmt: skip

    def forward(self, tgt, memory, tgt_mask=None, memory_mask=None, tgt_key_padding_mask=None,
                memory_key_padding_mask=None, tgt_is_causal=False, memory_is_causal=False):  # fmt: skip
        def attend_memory(x):
            return self.multihead_attn(
                x, memory, memory, attn_mask=memory_mask, key_padding_mask=memory_key_padding_mask, need_weights=False,
                is_causal=memory_is_causal,
            )[0]  # fmt: skip

        x = self._around(1, tgt, self._attend_itself(tgt_mask, tgt_key_padding_mask, tgt_is_causal))
        return self._around(3, self._around(2, x, attend_memory), self._feed_forward)


class _Stack(Module):
    def __init__(self, layer, num_layers, norm):
        super().__init__()
        if num_layers < 0:
            raise errors.ArgumentError(f"{type(self).__name__}: num_layers cannot be negative, got {num_layers}")
        self.layers = ModuleList([copy.deepcopy(layer) for _ in range(num_layers)])
        self.num_layers, self.norm = num_layers, norm


class TransformerEncoder(_Stack):
    """num_layers copies of encoder_layer, one after the other, then `norm` if given. Arguments of forward: as of the layer.

    enable_nested_tensor and mask_check are taken and change nothing; so does is_causal=None.

    Example:
        >>> import tensorlite as tl
        >>> layer = tl.nn.TransformerEncoderLayer(8, 2)
        >>> tl.nn.TransformerEncoder(layer, num_layers=2)(tl.ones(5, 3, 8)).shape
        (5, 3, 8)
    """

    def __init__(self, encoder_layer, num_layers, norm=None, enable_nested_tensor=True, mask_check=True):
        super().__init__(encoder_layer, num_layers, norm)
        self.enable_nested_tensor, self.mask_check = enable_nested_tensor, mask_check

    def forward(self, src, mask=None, src_key_padding_mask=None, is_causal=None):
        for layer in self.layers:
            src = layer(src, src_mask=mask, src_key_padding_mask=src_key_padding_mask, is_causal=bool(is_causal))
        return src if self.norm is None else self.norm(src)


class TransformerDecoder(_Stack):
    """num_layers copies of decoder_layer, one after the other, then `norm` if given. Arguments of forward: as of the layer.

    Example:
        >>> import tensorlite as tl
        >>> layer = tl.nn.TransformerDecoderLayer(8, 2)
        >>> tl.nn.TransformerDecoder(layer, num_layers=2)(tl.ones(5, 3, 8), tl.ones(7, 3, 8)).shape
        (5, 3, 8)
    """

    def __init__(self, decoder_layer, num_layers, norm=None):
        super().__init__(decoder_layer, num_layers, norm)

    def forward(self, tgt, memory, tgt_mask=None, memory_mask=None, tgt_key_padding_mask=None,
                memory_key_padding_mask=None, tgt_is_causal=None, memory_is_causal=False):  # fmt: skip
        for layer in self.layers:
            tgt = layer(
                tgt, memory, tgt_mask=tgt_mask, memory_mask=memory_mask, tgt_key_padding_mask=tgt_key_padding_mask,
                memory_key_padding_mask=memory_key_padding_mask, tgt_is_causal=bool(tgt_is_causal),
                memory_is_causal=memory_is_causal,
            )  # fmt: skip
        return tgt if self.norm is None else self.norm(tgt)


class Transformer(Module):
    """Encoder and decoder (Vaswani et al. 2017), without embeddings, positions and the last layer: those are the caller's.

    src (S, N, E), tgt (T, N, E) -> (T, N, E); with batch_first (N, S, E) ...; or without N. E = d_model.
    Masks: src_mask (S, S), tgt_mask (T, T), memory_mask (T, S), and *_key_padding_mask (N, S or T), as of MultiheadAttention.
    custom_encoder, custom_decoder: modules in their places. All matrices are uniform as Glorot and Bengio 2010 at the start.

    Raises:
        ArgumentError: d_model is no multiple of nhead, an unknown activation.
        ShapeError: src and tgt with other features than d_model, or of different numbers of sequences.

    Example:
        >>> import tensorlite as tl
        >>> model = tl.nn.Transformer(8, 2, num_encoder_layers=1, num_decoder_layers=1, dim_feedforward=16)
        >>> model(tl.ones(7, 3, 8), tl.ones(5, 3, 8), tgt_mask=model.generate_square_subsequent_mask(5)).shape
        (5, 3, 8)
    """

    def __init__(self, d_model=512, nhead=8, num_encoder_layers=6, num_decoder_layers=6, dim_feedforward=2048, dropout=0.1,
                 activation=relu, custom_encoder=None, custom_decoder=None, layer_norm_eps=1e-5, batch_first=False,
                 norm_first=False, bias=True, device=None, dtype=None):  # fmt: skip
        super().__init__()
        same = (
            d_model,
            nhead,
            dim_feedforward,
            dropout,
            activation,
            layer_norm_eps,
            batch_first,
            norm_first,
            bias,
            device,
            dtype,
        )

        def norm():
            return LayerNorm(d_model, layer_norm_eps, bias=bias, device=device, dtype=dtype)

        self.encoder = custom_encoder if custom_encoder is not None else TransformerEncoder(
            TransformerEncoderLayer(*same), num_encoder_layers, norm())  # fmt: skip
        self.decoder = custom_decoder if custom_decoder is not None else TransformerDecoder(
            TransformerDecoderLayer(*same), num_decoder_layers, norm())  # fmt: skip
        self.d_model, self.nhead, self.batch_first = d_model, nhead, batch_first
        self._reset_parameters()

    def _reset_parameters(self):
        for p in self.parameters():
            if p.ndim > 1:
                init.xavier_uniform_(p)

    def forward(self, src, tgt, src_mask=None, tgt_mask=None, memory_mask=None, src_key_padding_mask=None,
                tgt_key_padding_mask=None, memory_key_padding_mask=None, src_is_causal=None, tgt_is_causal=None,
                memory_is_causal=False):  # fmt: skip
        table = errors.argument_table(("src", "tgt"), (src, tgt))
        if src.ndim != tgt.ndim or src.ndim not in (2, 3):
            raise errors.ShapeError(here(f"Transformer: src and tgt must both have 3 dimensions, or both 2: {table}"))
        sequences = 0 if self.batch_first else 1
        if src.ndim == 3 and src.shape[sequences] != tgt.shape[sequences]:
            fault = f"src has {src.shape[sequences]} sequences (dimension {sequences}), tgt {tgt.shape[sequences]}"
            raise errors.ShapeError(here(f"Transformer: {fault}; they must be as many: {table}"))
        if src.shape[-1] != self.d_model or tgt.shape[-1] != self.d_model:
            fault = f"src has {src.shape[-1]} and tgt {tgt.shape[-1]} features, d_model is {self.d_model}"
            raise errors.ShapeError(here(f"Transformer: {fault}: {table}"))
        memory = self.encoder(src, mask=src_mask, src_key_padding_mask=src_key_padding_mask, is_causal=src_is_causal)
        return self.decoder(
            tgt, memory, tgt_mask=tgt_mask, memory_mask=memory_mask, tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask, tgt_is_causal=tgt_is_causal, memory_is_causal=memory_is_causal,
        )  # fmt: skip

    @staticmethod
    def generate_square_subsequent_mask(sz, device=None, dtype=None):
        """(sz, sz): 0 where position i may attend to j <= i, -inf where not.

        Example:
            >>> import tensorlite as tl
            >>> tl.nn.Transformer.generate_square_subsequent_mask(2)
            tensor([[0., -inf],
                    [0., 0.]])
        """
        return full((sz, sz), -math.inf, device=device, dtype=dtype).triu(1)
