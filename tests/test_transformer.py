"""The transformer and its parts against PyTorch, positional encodings against their formulas, second derivatives, errors."""

import copy
import math
import pickle
import warnings

import numpy as np
import pytest
from layer_check import check, ids, normal
from numeric import host

import tensorlite as tl
from tensorlite import errors, nn


def gelu_tanh(x):
    """A function of the user's own, for either library."""
    return 0.5 * x * (1 + (0.8 * x).tanh())


OPTIONS = {
    "plain": {}, "norm first": {"norm_first": True}, "gelu": {"activation": "gelu", "batch_first": True},
    "function": {"activation": gelu_tanh, "layer_norm_eps": 1e-3}, "no bias": {"bias": False, "norm_first": True},
}  # fmt: skip
SRC, TGT = normal(4, 2, 8), normal(3, 2, 8, seed=1)
PAD = np.array([[False, False, False, True], [False, True, False, False]])
TGT_PAD = np.array([[False, False, True], [False, False, False]])
LATER, TGT_LATER = np.triu(np.ones((4, 4), dtype=bool), 1), np.triu(np.full((3, 3), -np.inf), 1)
MEMORY_MASK = normal(3, 4, seed=2)
COMMON = {"dim_feedforward": 6, "dropout": 0.0}


def laid(options, *arrays):
    """Sequences first or last, as batch_first says."""
    return [a.swapaxes(0, 1).copy() if options.get("batch_first") else a for a in arrays]


def torch_without_notes():
    """PyTorch, which remarks on nested tensors at every encoder."""
    torch = pytest.importorskip("torch")
    warnings.filterwarnings("ignore", "enable_nested_tensor is True")
    return torch


def named(*names):
    """A call with the arrays after the sequences under these names."""

    def call(layer, *xs):
        n = len(xs) - len(names)
        return layer(*xs[:n], **dict(zip(names, xs[n:], strict=True)))

    return call


@pytest.mark.parametrize("options", OPTIONS, ids=ids)
def test_layers_equal_torch(options):
    torch, options = torch_without_notes(), OPTIONS[options]
    src, tgt = laid(options, SRC, TGT)

    def encoder(lib):
        return lib.TransformerEncoderLayer(8, 2, **COMMON, **options)

    def decoder(lib):
        return lib.TransformerDecoderLayer(8, 2, **COMMON, **options)

    check(torch, encoder, src, steps=1)
    check(torch, encoder, src, LATER, PAD, call=named("src_mask", "src_key_padding_mask"), modes=(True,), steps=1)
    check(torch, encoder, src, LATER, call=lambda m, x, mask: m(x, mask, is_causal=True), modes=(True,), steps=1)
    check(torch, encoder, SRC[:, 0], modes=(True,), steps=1)
    check(torch, decoder, tgt, src, modes=(False,))
    masks = {"tgt_mask": TGT_LATER, "memory_mask": MEMORY_MASK, "tgt_key_padding_mask": np.where(TGT_PAD, -np.inf, 0.0),
             "memory_key_padding_mask": np.where(PAD, -np.inf, 0.0)}  # fmt: skip
    check(torch, decoder, tgt, src, *masks.values(), call=named(*masks), modes=(True,), steps=1)


@pytest.mark.parametrize("options", OPTIONS, ids=ids)
def test_transformer_equals_torch(options):
    torch, options = torch_without_notes(), OPTIONS[options]
    src, tgt = laid(options, SRC, TGT)

    def make(lib):
        return lib.Transformer(8, 2, 2, 1, **COMMON, **options)

    masks = {"src_mask": normal(4, 4, seed=3), "tgt_mask": TGT_LATER < 0, "memory_mask": MEMORY_MASK,
             "src_key_padding_mask": -3.0 * PAD, "memory_key_padding_mask": -2.0 * PAD}  # fmt: skip
    check(torch, make, src, tgt, modes=(False,))
    check(torch, make, src, tgt, *masks.values(), call=named(*masks), modes=(True,), steps=1)


def test_stacks_with_and_without_norm_and_parts_of_ones_own_equal_torch():
    torch = torch_without_notes()

    def encoder(lib, norm=None):
        layer = lib.TransformerEncoderLayer(8, 2, **COMMON)
        return lib.TransformerEncoder(layer, 2, norm, enable_nested_tensor=False)

    def decoder(lib):
        layer = lib.TransformerDecoderLayer(8, 2, **COMMON)
        return lib.TransformerDecoder(layer, num_layers=2, norm=lib.LayerNorm(8))

    def both(lib):
        return lib.Transformer(8, 2, custom_encoder=encoder(lib), custom_decoder=decoder(lib))

    check(torch, encoder, SRC, steps=1)
    check(torch, lambda lib: encoder(lib, lib.LayerNorm(8)), SRC, modes=(False,))
    check(
        torch,
        decoder,
        TGT,
        SRC,
        TGT_LATER,
        call=lambda m, t, s, mask: m(t, s, mask, tgt_is_causal=True),
        modes=(True,),
        steps=1,
    )
    check(torch, both, SRC, TGT, modes=(True,), steps=1)


def test_the_activation_may_be_a_module():
    torch = torch_without_notes()
    check(torch, lambda lib: lib.TransformerEncoderLayer(8, 2, activation=lib.GELU(), **COMMON), SRC, modes=(False,))
    assert nn.TransformerEncoderLayer(8, 2, activation=nn.GELU()).activation.approximate == "none"


def test_masks_of_the_future():
    torch = torch_without_notes()
    make = nn.Transformer.generate_square_subsequent_mask
    for n in (1, 3):
        np.testing.assert_array_equal(make(n).numpy(), torch.nn.Transformer.generate_square_subsequent_mask(n).numpy())
    assert make(3, dtype=tl.float64).dtype == tl.float64
    model, tgt = nn.Transformer(8, 2, 1, 1, 6, 0.0), tl.tensor(TGT, requires_grad=True)
    model.double()(tl.tensor(SRC), tgt, tgt_mask=make(3, dtype=tl.float64))[1].pow(3).sum().backward()
    slopes = host(tgt.grad)
    assert not slopes[2].any() and slopes[:2].any()  # step 1 has not seen step 2


def test_start_copies_dropout_and_device(device):
    tl.manual_seed(0)
    model = nn.Transformer(16, 2, 1, 1, 48, batch_first=True)
    for name, p in model.named_parameters():
        if p.ndim > 1:
            bound = math.sqrt(6 / sum(p.shape))
            assert 0.95 * bound < np.abs(host(p)).max() <= bound, name
    x = tl.tensor(normal(2, 5, 16).astype("f4"))
    assert not np.allclose(host(model(x, x)), host(model(x, x)))  # dropout
    model.eval()
    pickle.dumps(nn.TransformerEncoderLayer(8, 2, activation="gelu"))
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(host(other(x, x)), host(model(x, x)))
    one = nn.TransformerEncoder(layer := nn.TransformerEncoderLayer(8, 2), 2)
    assert one.layers[0].linear1.weight is not layer.linear1.weight is not one.layers[1].linear1.weight


def test_queries_without_keys_stay_finite(device):
    layer = nn.TransformerEncoderLayer(8, 2, dropout=0.0)
    x = tl.tensor(SRC.astype("f4"), requires_grad=True)
    layer(x, src_key_padding_mask=tl.tensor([[True] * 4, [False] * 4])).square().sum().backward()
    assert np.isfinite(host(x.grad)).all() and all(np.isfinite(host(p.grad)).all() for p in layer.parameters())


@pytest.mark.parametrize("first", [False, True])
def test_second_derivatives(device, first):
    layer = nn.TransformerDecoderLayer(4, 2, 5, 0.0, "gelu", norm_first=first).double()
    tgt, memory = (tl.tensor(normal(n, 1, 4, seed=n), requires_grad=True) for n in (2, 3))
    f = lambda t, m: layer(t, m, tl.tensor(TGT_LATER[:2, :2]))  # noqa: E731
    assert tl.gradcheck(f, (tgt, memory), fast_mode=True) and tl.gradgradcheck(f, (tgt, memory), fast_mode=True)


class Mixed(nn.Module):
    """Convolution, batch norm, LSTM, attention, and a number for each sequence."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv1d(2, 4, 3, padding=1), nn.BatchNorm1d(4)
        self.lstm, self.attention = (
            nn.LSTM(4, 2, batch_first=True, bidirectional=True),
            nn.MultiheadAttention(4, 2, batch_first=True),
        )
        self.out = nn.Linear(4, 1)

    def forward(self, x):  # (N, 2, T)
        x = self.norm(self.conv(x)).tanh().transpose(1, 2)
        x, _ = self.lstm(x)
        x, _ = self.attention(x, x, x, need_weights=False)
        return self.out(x).mean(1)


@pytest.mark.parametrize("training", [True, False])
def test_gradient_penalty_through_convolution_batch_norm_lstm_and_attention(device, training):
    """d/dw of |d net / d x|^2, as in Gulrajani et al. 2017, against differences of the penalty in every weight's direction."""
    tl.manual_seed(0)
    net = Mixed().double().train(training)
    x = tl.tensor(normal(3, 2, 4), requires_grad=True)

    def penalty(create):
        (g,) = tl.autograd.grad(net(x).square().sum(), x, create_graph=create)
        return (g.square().sum((1, 2)).sqrt() - 1).square().sum()

    penalty(True).backward()
    for i, (name, p) in enumerate(net.named_parameters()):
        way, kept, h = normal(*p.shape, seed=i), host(p).copy(), 1e-5
        values = []
        for step in (h, -h):
            with tl.no_grad():
                p.copy_(tl.tensor(kept + step * way))
            values.append(penalty(False).item())
        with tl.no_grad():
            p.copy_(tl.tensor(kept))
        want, got = (values[0] - values[1]) / (2 * h), 0.0 if p.grad is None else (host(p.grad) * way).sum()
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-8, err_msg=name)
        assert p.grad is not None or name == "out.bias"


# ---------------------------------------------------------------- positions
def test_sines_and_cosines(device):
    for d in (6, 5):
        got = host(nn.PositionalEncoding(d, 0.0, max_len=50).double()(tl.zeros(50, d, dtype=tl.float64)))
        for t, i in ((0, 0), (7, 1), (49, 2), (33, 3), (20, 4)):
            angle = t / 10000 ** ((i - i % 2) / d)
            assert abs(got[t, i] - (math.cos if i % 2 else math.sin)(angle)) < 1e-12
    x = normal(5, 2, 6).astype("f4")
    across, along = nn.PositionalEncoding(6, 0.0), nn.PositionalEncoding(6, 0.0, batch_first=True)
    np.testing.assert_array_equal(
        host(across(tl.tensor(x))), host(along(tl.tensor(x.swapaxes(0, 1).copy()))).swapaxes(0, 1)
    )
    np.testing.assert_array_equal(host(across(tl.tensor(x)))[3:], host(across(tl.tensor(x[3:]), start=3)))
    assert across.half()(tl.tensor(x).half()).dtype == tl.float16 and not across.state_dict()
    assert (host(nn.PositionalEncoding(6, 0.5)(tl.ones(40, 2, 6))) == 0).mean() > 0.3
    again = pickle.loads(pickle.dumps(along))
    assert repr(again) == "PositionalEncoding(6, dropout=0.0, max_len=5000, batch_first=True)"


def test_learned_positions(device):
    tl.manual_seed(0)
    layer = nn.LearnedPositionalEncoding(30, 0.0, max_len=40, batch_first=True)
    assert list(layer.state_dict()) == ["weight"] and abs(host(layer.weight).std() / 0.02 - 1) < 0.1
    out = layer(tl.zeros(2, 10, 30), start=4)
    np.testing.assert_array_equal(host(out)[1], host(layer.weight)[4:14])
    out.sum().backward()
    assert host(layer.weight.grad)[:, 0].tolist() == [0.0] * 4 + [2.0] * 10 + [0.0] * 26


@pytest.mark.parametrize("interleaved", [False, True])
def test_rotary_positions(device, interleaved):
    rotary = nn.RotaryPositionalEncoding(6, max_len=20, base=100.0, interleaved=interleaved)
    x = normal(2, 3, 9, 6)
    got = host(rotary(tl.tensor(x), start=2))
    for t in range(9):
        for i in range(3):
            a, b = (2 * i, 2 * i + 1) if interleaved else (i, i + 3)
            turned = (x[..., t, a] + 1j * x[..., t, b]) * np.exp(1j * (t + 2) / 100 ** (2 * i / 6))
            np.testing.assert_allclose(got[..., t, a] + 1j * got[..., t, b], turned, rtol=1e-12, atol=1e-12)
    q, k = (tl.tensor(normal(1, 6, seed=s)) for s in (1, 2))
    products = [(rotary(q, start=s + 4) * rotary(k, start=s)).sum().item() for s in range(5)]
    np.testing.assert_allclose(products, products[0], rtol=1e-12)  # of the distance alone
    assert tl.gradgradcheck(lambda x: rotary(x), (tl.tensor(x[0, 0], requires_grad=True),), fast_mode=True)


X = tl.ones
SMALL = lambda **kw: nn.Transformer(8, 2, 1, 1, 6, **kw)  # noqa: E731
WRONG = {
    "TransformerEncoderLayer: d_model must be a positive multiple of nhead, got 10 and 4": lambda: nn.Transformer(10, 4),
    "TransformerDecoderLayer: d_model must be a positive multiple of nhead, got 8 and 3": lambda: nn.TransformerDecoderLayer(8, 3),
    "TransformerEncoderLayer: activation must be 'relu', 'gelu' or a function, not 'swish'": lambda: SMALL(activation="swish"),
    "TransformerEncoderLayer: dim_feedforward cannot be negative, got -1": lambda: nn.TransformerEncoderLayer(8, 2, -1),
    "TransformerEncoder: num_layers cannot be negative, got -1": lambda: nn.Transformer(8, 2, -1),
    "Transformer: src has 2 sequences (dimension 1), tgt 3; they must be as many": lambda: SMALL()(X(4, 2, 8), X(4, 3, 8)),
    "Transformer: src has 4 sequences (dimension 0), tgt 5": lambda: SMALL(batch_first=True)(X(4, 2, 8), X(5, 2, 8)),
    "Transformer: src has 8 and tgt 7 features, d_model is 8": lambda: SMALL()(X(4, 2, 8), X(4, 2, 7)),
    "Transformer: src and tgt must both have 3 dimensions, or both 2: src float32 (4, 2, 8), tgt": lambda: SMALL()(X(4, 2, 8), X(4, 8)),
    "PositionalEncoding: x must be (T, N, 4) or (T, 4), got float32 (2, 5)": lambda: nn.PositionalEncoding(4)(X(2, 5)),
    "PositionalEncoding: positions 0 to 8 are needed, max_len is 8": lambda: nn.PositionalEncoding(4, max_len=8)(X(9, 4)),
    "PositionalEncoding: max_len must be at least 1, got 0": lambda: nn.PositionalEncoding(4, max_len=0),
    "PositionalEncoding: d_model must be at least 1, got 0": lambda: nn.PositionalEncoding(0),
    "LearnedPositionalEncoding: positions 7 to 8 are needed, max_len is 8":
        lambda: nn.LearnedPositionalEncoding(4, max_len=8)(X(2, 4), start=7),
    "RotaryPositionalEncoding: dim must be even and at least 2, got 3": lambda: nn.RotaryPositionalEncoding(3),
    "RotaryPositionalEncoding: base must be positive, got 0": lambda: nn.RotaryPositionalEncoding(4, base=0),
    "RotaryPositionalEncoding: x must be (..., T, 4), got float32 (4,)": lambda: nn.RotaryPositionalEncoding(4)(X(4)),
}  # fmt: skip


@pytest.mark.parametrize("text", WRONG, ids=lambda t: "-".join(t.split()[:6]))
def test_wrong_uses_are_told(text):
    with pytest.raises(errors.TensorliteError) as caught:
        WRONG[text]()
    assert str(caught.value).startswith(text)
