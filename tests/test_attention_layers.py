"""MultiheadAttention in all its options, and multi_head_attention_forward, against PyTorch. More masks are in test_layers.py."""

import math

import numpy as np
import pytest
from layer_check import check, ids, normal, run, same
from numeric import host

import tensorlite as tl
from tensorlite import errors, nn
from tensorlite.nn import functional as F

RNG = np.random.default_rng
PAD = np.array([[False, False, True, True], [True, False, False, False]])  # (2, 4)
MASK = RNG(1).random((3, 4)) < 0.4
MASK[:, 1] = False  # nobody is left without keys
MASK3 = RNG(2).random((4, 3, 4)) < 0.4
MASK3[:, :, 1] = False
ADDED, ADDED3 = normal(3, 4, seed=5), normal(4, 3, 4, seed=6)

LAYERS = {
    "plain": {}, "no bias": {"bias": False}, "kdim vdim": {"kdim": 5, "vdim": 3}, "bias_kv": {"add_bias_kv": True},
    "zero": {"add_zero_attn": True}, "all": {"kdim": 5, "vdim": 3, "add_bias_kv": True, "add_zero_attn": True},
    "batch first": {"batch_first": True, "add_bias_kv": True, "bias": False},
}  # fmt: skip
MASKS = {
    "none": {}, "padding": {"key_padding_mask": PAD}, "bool": {"attn_mask": MASK}, "float of all heads": {"attn_mask": ADDED3},
    "both bool": {"attn_mask": MASK3, "key_padding_mask": PAD}, "both float": {"attn_mask": ADDED, "key_padding_mask": -2.0 * PAD},
}  # fmt: skip


def inputs(options, batch=True):
    """query (L 3, N 2, E 8), key (S 4, ...), value."""
    shapes = ((3, 8), (4, options.get("kdim", 8)), (4, options.get("vdim", 8)))
    first = options.get("batch_first", False)
    return [
        normal(*((2, n, w) if first else (n, 2, w)) if batch else (n, w), seed=i) for i, (n, w) in enumerate(shapes)
    ]


@pytest.mark.parametrize("masks", MASKS, ids=ids)
@pytest.mark.parametrize("options", LAYERS, ids=ids)
def test_every_option_equals_torch(options, masks):
    torch, options, masks = pytest.importorskip("torch"), LAYERS[options], MASKS[masks]
    given = {"dropout": 0.0, **options}
    for more in ({"average_attn_weights": False}, {"need_weights": False}):

        def call(m, q, k, v, *ms, more=more):
            out, weights = m(q, k, v, **dict(zip(masks, ms, strict=True)), **more)
            return out if weights is None else (out, weights)

        check(torch, lambda lib: lib.MultiheadAttention(8, 2, **given), *inputs(options), *masks.values(),
              call=call, modes=(False,))  # fmt: skip


@pytest.mark.parametrize("options", ["plain", "all"], ids=ids)
def test_one_sequence_equals_torch(options):
    torch, options = pytest.importorskip("torch"), LAYERS[options]

    def call(m, q, k, v, pad, mask):
        return m(q, k, v, pad, attn_mask=mask)

    make = lambda lib: lib.MultiheadAttention(8, 2, **options)  # noqa: E731
    check(torch, make, *inputs(options, batch=False), PAD[0], MASK3[:2], call=call)


def test_self_attention_and_the_causal_hint_equal_torch():
    torch = pytest.importorskip("torch")
    later = np.triu(np.ones((4, 4), dtype=bool), 1)
    for need in (True, False):
        for padding in ((), (PAD[:, ::-1].copy(),)):

            def call(m, x, mask, *pad, need=need):
                out, weights = m(x, x, x, *pad, attn_mask=mask, is_causal=True, need_weights=need)
                return (out, weights) if need else out

            for first in (True, False):
                x = normal(2, 4, 8) if first else normal(4, 2, 8)
                make = lambda lib, first=first: lib.MultiheadAttention(8, 4, batch_first=first)  # noqa: E731
                check(
                    torch, make, x, later, *(p & (np.arange(4) > 0) for p in padding), call=call, modes=(True,), steps=1
                )


def test_the_hint_gives_what_the_mask_gives(device):
    x, mask = tl.tensor(normal(5, 2, 8).astype("f4")), tl.ones(5, 5).triu(1).bool()
    for options in ({}, {"add_bias_kv": True, "add_zero_attn": True}):
        layer = nn.MultiheadAttention(8, 2, **options)
        for need in (True, False):
            with_hint = layer(x, x, x, attn_mask=mask, is_causal=True, need_weights=need)[0]
            np.testing.assert_allclose(host(with_hint), host(layer(x, x, x, attn_mask=mask)[0]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("separate", [False, True])
def test_the_function_equals_torch(separate):
    torch = pytest.importorskip("torch")
    e, width = 8, 5 if separate else 8
    q, k, v = normal(3, 2, e), normal(4, 2, width, seed=1), normal(4, 2, width, seed=2)
    whole, b, out, out_b = normal(24, 8, seed=3), normal(24, seed=4), normal(8, 8, seed=5), normal(8, seed=6)
    parts = normal(8, 8, seed=7), normal(8, 5, seed=8), normal(8, 5, seed=9)
    bias_k, bias_v = normal(1, 1, 8, seed=10), normal(1, 1, 8, seed=11)
    static = normal(4, 6, 4, seed=12)

    def outputs(f, make, **more):
        given = [make(a) for a in (q, k, v)]
        more |= dict(zip(("q_proj_weight", "k_proj_weight", "v_proj_weight"), map(make, parts))) if separate else {}
        return f(*given, 8, 2, None if separate else make(whole), make(b), make(bias_k), make(bias_v), True, 0.0, make(out),
                 make(out_b), use_separate_proj_weight=separate, **more)  # fmt: skip

    for fixed in ({}, {"static_k": static, "static_v": static + 1}):
        if fixed and separate:
            continue
        ours = outputs(F.multi_head_attention_forward, tl.tensor, **{n: tl.tensor(a) for n, a in fixed.items()})
        if fixed:  # PyTorch cannot add bias_k to static keys
            given = [torch.tensor(a) for a in (q, k, v, whole, b, out, out_b)]
            theirs = torch.nn.functional.multi_head_attention_forward(
                *given[:3], 8, 2, given[3], given[4], None, None, True, 0.0, given[5], given[6],
                **{n: torch.tensor(a) for n, a in fixed.items()})  # fmt: skip
            ours = F.multi_head_attention_forward(
                *[tl.tensor(a) for a in (q, k, v)], 8, 2, tl.tensor(whole), tl.tensor(b), None, None, True, 0.0,
                tl.tensor(out), tl.tensor(out_b), **{n: tl.tensor(a) for n, a in fixed.items()})  # fmt: skip
        else:
            theirs = outputs(torch.nn.functional.multi_head_attention_forward, torch.tensor)
        for one, other in zip(ours, theirs, strict=True):
            same(host(one), other.numpy(), "output")


def test_queries_without_keys_give_zero_and_no_gradient(device):
    nowhere = tl.tensor(np.array([[True] * 4, [False] * 4, [False, True, True, True]]))
    for mask in (nowhere, tl.zeros(3, 4).masked_fill(nowhere, -math.inf)):
        for need in (True, False):
            layer = nn.MultiheadAttention(8, 2, bias=False)
            q, kv = (tl.tensor(normal(n, 2, 8).astype("f4"), requires_grad=True) for n in (3, 4))
            out, weights = layer(q, kv, kv, attn_mask=mask, need_weights=need)
            out.square().sum().backward()
            assert not host(out)[0].any() and not host(q.grad)[0].any() and host(q.grad)[1].any()
            assert weights is None or not host(weights)[:, 0].any()
            assert all(np.isfinite(host(p.grad)).all() for p in layer.parameters()) and np.isfinite(host(kv.grad)).all()


@pytest.mark.parametrize("need", [True, False])
def test_second_derivatives(device, need):
    layer = nn.MultiheadAttention(4, 2, add_bias_kv=True).double()
    q, k = (tl.tensor(normal(n, 1, 4), requires_grad=True) for n in (2, 3))
    mask = tl.tensor(np.array([[False, True, False], [True, True, True]]))

    def f(q, k, *weights):
        named = dict(zip(dict(layer.named_parameters()), weights, strict=True))
        return tl.func.functional_call(layer, named, (q, k, k), {"need_weights": need, "attn_mask": mask})[0]

    weights = [p.detach().requires_grad_() for p in layer.parameters()]
    assert tl.gradcheck(f, (q, k, *weights), fast_mode=True) and tl.gradgradcheck(f, (q, k, *weights), fast_mode=True)


def test_start_and_dropout(device):
    tl.manual_seed(0)
    layer = nn.MultiheadAttention(64, 4, kdim=32, add_bias_kv=True, dropout=0.5)
    for w, fans in ((layer.q_proj_weight, 128), (layer.k_proj_weight, 96), (layer.v_proj_weight, 128)):
        bound = math.sqrt(6 / fans)
        assert 0.98 * bound < np.abs(host(w)).max() <= bound
    assert not host(layer.in_proj_bias).any() and not host(layer.out_proj.bias).any()
    np.testing.assert_allclose(host(layer.bias_k).std(), math.sqrt(2 / 128), rtol=0.35)
    layer, x = nn.MultiheadAttention(4, 1, dropout=0.5), tl.ones(40, 1, 4)
    weights = host(layer(x, x, x)[1])
    assert 0.4 < (weights == 0).mean() < 0.6 and not (host(layer.eval()(x, x, x)[1]) == 0).any()


X = tl.ones
WRONG = {
    "MultiheadAttention: embed_dim must be a positive multiple of num_heads, got 10 and 3": lambda: nn.MultiheadAttention(10, 3),
    "MultiheadAttention: the probability p must be in 0..1, not 2": lambda: nn.MultiheadAttention(4, 2, dropout=2),
    "attention: query, key and value must all have 3 dimensions, or all 2 (one sequence): query float32 (2, 4)":
        lambda: nn.MultiheadAttention(4, 2)(X(2, 4), X(2, 1, 4), X(2, 1, 4)),
    "attention: expects 4, 4 and 4 features, got 4, 5 and 4": lambda: nn.MultiheadAttention(4, 2)(X(2, 1, 4), X(2, 1, 5), X(2, 1, 4)),
    "attention: key and value must have the same number of positions":
        lambda: nn.MultiheadAttention(4, 2)(X(2, 1, 4), X(2, 1, 4), X(3, 1, 4)),
    "attention: query, key and value must be Tensors, not list": lambda: nn.MultiheadAttention(4, 2)(X(2, 1, 4), [1], [1]),
    "attention: is_causal is a hint about attn_mask, which must be given too":
        lambda: nn.MultiheadAttention(4, 2)(*[X(2, 1, 4)] * 3, is_causal=True),
    "attention: attn_mask must have shape (2, 2) or (2, 2, 2), got (3, 2)":
        lambda: nn.MultiheadAttention(4, 2)(*[X(2, 1, 4)] * 3, attn_mask=X(3, 2)),
    "attention: key_padding_mask must have shape (1, 2), got (2, 1)":
        lambda: nn.MultiheadAttention(4, 2)(*[X(2, 1, 4)] * 3, X(2, 1)),
    "attention: attn_mask must be bool (True: may not attend) or floating-point (added), got int64":
        lambda: nn.MultiheadAttention(4, 2)(*[X(2, 1, 4)] * 3, attn_mask=X(2, 2).long()),
    "attention: the features, 4, must be a multiple of num_heads, 3":
        lambda: F.multi_head_attention_forward(*[X(2, 1, 4)] * 3, 4, 3, X(12, 4), None, None, None, False, 0.0, X(4, 4), None),
    "attention: bias_k and bias_v must be given both or neither":
        lambda: F.multi_head_attention_forward(*[X(2, 1, 4)] * 3, 4, 2, X(12, 4), None, X(1, 1, 4), None, False, 0.0, X(4, 4), None),
    "attention: static_k must have shape (2, S, 2), got (1, 3, 2)":
        lambda: F.multi_head_attention_forward(*[X(2, 1, 4)] * 3, 4, 2, X(12, 4), None, None, None, False, 0.0, X(4, 4), None,
                                               static_k=X(1, 3, 2)),
}  # fmt: skip


@pytest.mark.parametrize("text", WRONG, ids=lambda t: "-".join(t.split()[:6]))
def test_wrong_uses_are_told(text):
    with pytest.raises(errors.TensorliteError) as caught:
        WRONG[text]()
    assert str(caught.value).startswith(text)


def test_errors_name_the_path_of_the_layer():
    net = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8), 2)
    with pytest.raises(errors.ShapeError, match=r"attn_mask must have shape .*, in layers\.0\.self_attn"):
        net(X(2, 1, 4), mask=X(3, 3))


def test_run_is_used_for_gradients():  # the comparison above compares gradients: a weight without one would be seen
    torch = pytest.importorskip("torch")
    layer = torch.nn.MultiheadAttention(8, 2).double()
    assert all(g is not None for g in run(torch, layer, inputs({}), lambda m, *x: m(*x)[0])[1].values())
