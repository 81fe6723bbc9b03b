"""The layers, losses, initialisations and gradient clipping of nn against PyTorch in float64; dropout against its definition."""

import math

import numpy as np
import pytest
from numeric import host

import tensorlite as tl
from tensorlite import errors, nn
from tensorlite.nn import functional as F

RNG = np.random.default_rng


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def leaves(arrays, lib):
    """The arrays as tensors of `lib`; those of float64 require grad."""
    make = lib.tensor if lib is tl else lambda a: lib.tensor(np.array(a))
    return [a if a is None else make(a).requires_grad_(a.dtype == np.float64) for a in arrays]


def run(lib, f, arrays, params=()):
    """Outputs of f on the arrays, and the gradients of a fixed weighted sum of them to arrays and params, as arrays."""
    xs = leaves(arrays, lib)
    outs = f(*xs)
    outs = [o for o in (outs if isinstance(outs, tuple) else (outs,)) if o is not None]
    to = host if lib is tl else lambda t: t.detach().numpy()
    draw = RNG(7)
    total = sum((o * leaves([draw.normal(size=tuple(o.shape))], lib)[0].detach()).sum() for o in outs)
    total.backward()
    wanted = [x for x in xs if x is not None and x.requires_grad] + list(params)
    return [to(o) for o in outs] + [None if x.grad is None else to(x.grad) for x in wanted]


def close(ours, theirs, rtol=1e-6, atol=1e-7):
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert a.dtype == b.dtype
            np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)


def same_module(torch, make, *arrays, call=lambda m, *xs: m(*xs)):
    """make(lib) builds the module; weights are copied over; outputs and all gradients must agree."""
    theirs, ours = make(torch).double(), make(tl).double()
    with torch.no_grad():
        for p in theirs.parameters():
            p.add_(torch.tensor(RNG(3).normal(size=tuple(p.shape))) * 0.3)  # no weight stays at 0 or 1
    report = ours.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})
    assert report == ([], [])
    close(run(tl, lambda *xs: call(ours, *xs), arrays, ours.parameters()),
          run(torch, lambda *xs: call(theirs, *xs), arrays, theirs.parameters()))  # fmt: skip


def normal(*shape, seed=0):
    return RNG(seed).normal(size=shape)


# ---------------------------------------------------------------- layers
@pytest.mark.parametrize("name, make, shape", [
    ("linear", lambda n: n.Linear(3, 5), (2, 4, 3)),
    ("linear of a vector", lambda n: n.Linear(3, 5), (3,)),
    ("linear without bias", lambda n: n.Linear(3, 5, bias=False), (4, 3)),
    ("gelu", lambda n: n.GELU(), (3, 50)),
    ("gelu tanh", lambda n: n.GELU(approximate="tanh"), (3, 50)),
    ("silu", lambda n: n.SiLU(), (9,)),
    ("softmax", lambda n: n.Softmax(dim=1), (2, 3, 4)),
    ("log softmax", lambda n: n.LogSoftmax(dim=-1), (2, 3)),
    ("mixed", lambda n: n.Sequential(n.Linear(4, 8), n.ReLU(), n.Linear(8, 8), n.Tanh(), n.Linear(8, 2), n.Sigmoid()), (3, 4)),
], ids=lambda v: v.replace(" ", "-") if isinstance(v, str) else "")  # fmt: skip
def test_layer(torch, device, name, make, shape):
    same_module(torch, lambda lib: make(lib.nn), 2 * normal(*shape))


PAD = np.array([[False, False, True, False], [False, True, True, False]])
BOOL = np.triu(np.ones((3, 4), bool), 2)
BOOL3 = RNG(5).random((4, 3, 4)) < 0.3
BOOL3[..., 0] = False
ADD = RNG(6).normal(size=(3, 4)).astype(np.float64)
ADD3 = RNG(6).normal(size=(4, 3, 4))


@pytest.mark.parametrize("masks", [
    {}, {"key_padding_mask": PAD}, {"attn_mask": BOOL}, {"attn_mask": BOOL3}, {"attn_mask": ADD}, {"attn_mask": ADD3},
    {"attn_mask": BOOL, "key_padding_mask": PAD}, {"attn_mask": ADD3, "key_padding_mask": PAD * -2.0},
], ids=lambda m: "+".join(f"{k[:3]}-{v.dtype.name}-{v.ndim}" for k, v in m.items()) or "none")  # fmt: skip
@pytest.mark.parametrize("weights", [{}, {"need_weights": False}, {"average_attn_weights": False}],
                         ids=["average", "none", "heads"])  # fmt: skip
def test_multihead_attention(torch, device, masks, weights):
    """Query (2, 3, 8), key (2, 4, 5), value (2, 4, 6), two heads; float masks get gradients too."""

    def call(m, q, k, v, *given):
        return m(q, k, v, **dict(zip(masks, given, strict=True)), **weights)

    def make(lib):
        return lib.nn.MultiheadAttention(8, 2, kdim=5, vdim=6, batch_first=True)

    arrays = normal(2, 3, 8), normal(2, 4, 5, seed=1), normal(2, 4, 6, seed=2)
    same_module(torch, make, *arrays, *masks.values(), call=call)


def test_multihead_attention_layouts(torch, device):
    def plain(lib):
        return lib.nn.MultiheadAttention(8, 2)

    q, kv = normal(3, 2, 8), normal(4, 2, 8, seed=1)
    same_module(torch, plain, q, call=lambda m, x: m(x, x, x))  # self-attention, (L, N, E)
    same_module(torch, plain, q, kv, kv)
    same_module(torch, plain, q[:, 0], kv[:, 0], kv[:, 1])  # unbatched
    same_module(torch, plain, q[:, 0], kv[:, 0], kv[:, 1], PAD[0], call=lambda m, q, k, v, p: m(q, k, v, p))
    same_module(torch, plain, q[:, 0], kv[:, 0], kv[:, 1], ADD3[:2], call=lambda m, q, k, v, a: m(q, k, v, attn_mask=a))
    same_module(
        torch,
        lambda lib: lib.nn.MultiheadAttention(8, 4, bias=False, batch_first=True),
        q,
        call=lambda m, x: m(x, x, x),
    )


def test_multihead_attention_rows_without_keys_give_the_bias_alone(device):
    layer = nn.MultiheadAttention(4, 2, batch_first=True)
    pad = tl.tensor([[True, True, True], [False, False, True]])
    results = []
    for need in (True, False):
        x = tl.tensor(normal(2, 3, 4), dtype=tl.float32, requires_grad=True)
        layer.zero_grad()
        out, weights = layer(x, x, x, key_padding_mask=pad, need_weights=need)
        assert host(out)[0].tolist() == np.zeros((3, 4)).tolist()
        if need:
            assert host(weights)[0].tolist() == np.zeros((3, 3)).tolist()
        out.square().sum().backward()
        assert (
            np.isfinite(host(layer.in_proj_weight.grad)).all() and host(x.grad)[0].tolist() == np.zeros((3, 4)).tolist()
        )
        results.append((host(out), host(x.grad)))
    np.testing.assert_allclose(results[0][0], results[1][0], atol=1e-6)
    np.testing.assert_allclose(results[0][1], results[1][1], atol=1e-6)


def test_multihead_attention_returns_the_weights_that_it_used(device):
    layer, x = nn.MultiheadAttention(4, 1, dropout=0.5, batch_first=True), tl.ones(1, 40, 4)
    weights = host(layer(x, x, x)[1])
    assert np.allclose(weights[weights != 0], 2 / 40) and 0.35 < (weights != 0).mean() < 0.65
    np.testing.assert_allclose(host(layer.eval()(x, x, x)[1]), 1 / 40, rtol=1e-6)


def test_multihead_attention_refusals():
    with pytest.raises(errors.ArgumentError, match="positive multiple of num_heads, got 6 and 4"):
        nn.MultiheadAttention(6, 4)
    layer, x = nn.MultiheadAttention(4, 2), tl.ones(3, 2, 4)
    with pytest.raises(errors.ShapeError, match=r"attn_mask must have shape \(3, 3\) or \(4, 3, 3\), got \(2, 3\)"):
        layer(x, x, x, attn_mask=tl.ones(2, 3))
    with pytest.raises(errors.ShapeError, match=r"key_padding_mask must have shape \(2, 3\), got \(3, 2\)"):
        layer(x, x, x, key_padding_mask=tl.ones(3, 2))
    with pytest.raises(errors.ShapeError, match="expects 4, 4 and 4 features, got 4, 3 and 4"):
        layer(x, tl.ones(3, 2, 3), x)


# ---------------------------------------------------------------- attention
@pytest.mark.parametrize("mask", [None, "causal", "bool", "float", "float-broadcast"])
def test_scaled_dot_product_attention(torch, device, mask):
    q, k, v = normal(2, 4, 3, 5), normal(2, 4, 4, 5, seed=1), normal(2, 4, 4, 6, seed=2)
    given = {"bool": ~BOOL, "float": ADD3, "float-broadcast": normal(2, 1, 1, 4)}.get(mask)

    def f(lib):
        call = (F if lib is tl else torch.nn.functional).scaled_dot_product_attention
        return lambda q, k, v, m: call(q, k, v, m, is_causal=mask == "causal", scale=None if mask else 0.7)

    close(run(tl, f(tl), [q, k, v, given]), run(torch, f(torch), [q, k, v, given]))


def test_grouped_queries(torch, device):
    arrays = [normal(2, 6, 3, 4), normal(2, 2, 3, 4, seed=1), normal(2, 2, 3, 4, seed=2)]

    def f(call):
        return lambda q, k, v: call(q, k, v, is_causal=True, enable_gqa=True)

    close(run(tl, f(F.scaled_dot_product_attention), arrays),
          run(torch, f(torch.nn.functional.scaled_dot_product_attention), arrays))  # fmt: skip
    with pytest.raises(errors.ShapeError, match="5 query heads are no multiple of 2 key heads"):
        F.scaled_dot_product_attention(tl.ones(1, 5, 3, 4), *[tl.ones(1, 2, 3, 4)] * 2, enable_gqa=True)


@pytest.mark.parametrize("kind", ["bool", "float"])
def test_rows_that_may_attend_nowhere_give_zero_and_no_gradient(device, kind):
    allowed = np.array([[True, True], [False, False], [False, True]])
    mask = allowed if kind == "bool" else np.where(allowed, 0.0, -np.inf)
    q, k, v = leaves([normal(3, 4), normal(2, 4, seed=1), normal(2, 4, seed=2)], tl)
    out = F.scaled_dot_product_attention(q, k, v, tl.tensor(mask))
    out.square().sum().backward()
    assert host(out)[1].tolist() == [0] * 4 and host(q.grad)[1].tolist() == [0] * 4
    np.testing.assert_allclose(host(out)[2], host(v)[1])
    assert all(np.isfinite(host(t.grad)).all() for t in (q, k, v)) and np.abs(host(q.grad)[0]).min() > 0


def test_dropout_in_attention_drops_probabilities(device):
    """With equal scores and v = identity the output is the matrix of probabilities itself: 0 or 1 / (n (1 - p))."""
    n, p = 64, 0.25
    q = tl.zeros(4, n, 8)
    out = host(F.scaled_dot_product_attention(q, q, tl.eye(n).expand(4, n, n), dropout_p=p))
    kept = out != 0
    np.testing.assert_allclose(out[kept], 1 / (n * (1 - p)), rtol=1e-5)
    assert abs(kept.mean() - (1 - p)) < 0.02  # 16384 draws: six standard deviations


# ---------------------------------------------------------------- dropout
def test_dropout_statistics_gradient_and_eval(device):
    layer, x = nn.Dropout(0.3), tl.ones(400, 100, requires_grad=True)
    out = layer(x)
    y = host(out)
    assert set(np.unique(y).tolist()) == {0.0, float(np.float32(1 / 0.7))} or np.allclose(y[y != 0], 1 / 0.7)
    assert abs((y != 0).mean() - 0.7) < 0.014  # six standard deviations of 40000 draws
    assert abs(np.corrcoef((y != 0)[:, :-1].ravel(), (y != 0)[:, 1:].ravel())[0, 1]) < 0.03
    out.sum().backward()
    assert np.array_equal(host(x.grad), y)
    assert not np.array_equal(host(layer(x)), y)  # a new mask each time
    assert layer.eval()(x) is x and F.dropout(x, 0.5, training=False) is x
    assert host(F.dropout(x, 1.0)).max() == 0
    for bad in (-0.1, 1.5):
        with pytest.raises(errors.ArgumentError, match=rf"the probability p must be in 0\.\.1, not {bad}"):
            nn.Dropout(bad)


def test_dropout_has_the_same_mask_on_every_device():
    masks = []
    for name in ("cpu", "fake"):
        tl.manual_seed(5)
        masks.append([host(F.dropout(tl.ones(33, 7, device=name), 0.4)) for _ in range(2)])
    assert all(np.array_equal(a, b) for a, b in zip(*masks, strict=True))


# ---------------------------------------------------------------- losses
CLASSES = np.array([2, 0, -100, 4, 1])
PROBABILITIES = RNG(1).dirichlet(np.ones(5), size=5)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weight", [None, np.array([0.5, 1.0, 2.0, 0.1, 3.0])], ids=["", "weight"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy(torch, device, reduction, weight, smoothing):
    options = {"reduction": reduction, "label_smoothing": smoothing}
    picture = np.stack([CLASSES, CLASSES[::-1]], 1).reshape(5, 2, 1)
    cases = [
        (normal(5, 5) * 3, CLASSES, {}),
        (normal(5, 5) * 3, np.array([2, 0, 1, 4, 1]), {"ignore_index": 1}),
        (normal(5), np.array(3), {}),
        (normal(5, 5, 2, 1), picture, {}),
        (normal(5, 5), PROBABILITIES, {}),
        (normal(5, 5, 2), np.stack([PROBABILITIES, PROBABILITIES[::-1]], 2), {}),
    ]
    for x, target, more in cases:

        def f(lib, more=more):
            call = (F if lib is tl else torch.nn.functional).cross_entropy
            fixed = [leaves([weight], lib)[0]]
            fixed = None if weight is None else fixed[0].detach()
            return lambda logits, t: call(logits, t, fixed, **options, **more)

        close(run(tl, f(tl), [x, target]), run(torch, f(torch), [x, target]))


def test_cross_entropy_refusals(device):
    x = tl.zeros(2, 3)
    assert math.isnan(F.cross_entropy(x, tl.tensor([-100, -100])).item())  # 0 / 0, as in PyTorch
    with pytest.raises(errors.ShapeError, match=r"for logits \(2, 3\) the target must have shape \(2,\)"):
        F.cross_entropy(x, tl.tensor([0]))
    with pytest.raises(IndexError, match="target class"):
        F.cross_entropy(x, tl.tensor([0, 3]))
    with pytest.raises(errors.ArgumentError, match="reduction must be 'mean', 'sum' or 'none', not 'avg'"):
        F.cross_entropy(x, tl.tensor([0, 1]), reduction="avg")
    with pytest.raises(errors.ShapeError, match=r"classes are dimension 1: use logits.view\(-1, logits.size\(-1\)\)"):
        F.cross_entropy(tl.zeros(2, 4, 3), tl.zeros(2, 4, dtype=tl.int64))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_the_other_losses(torch, device, reduction):
    weight = np.array([0.5, 1.0, 2.0, 0.1, 3.0])

    def nll(lib):
        return lambda x, t: lib.nn.NLLLoss(leaves([weight], lib)[0].detach(), reduction=reduction)(x, t)

    close(run(tl, nll(tl), [normal(5, 5), CLASSES]), run(torch, nll(torch), [normal(5, 5), CLASSES]))
    close(run(tl, nll(tl), [normal(5), np.array(2)]), run(torch, nll(torch), [normal(5), np.array(2)]))
    picture = [normal(5, 5, 2), np.stack([CLASSES, CLASSES[::-1]], 1)]
    close(run(tl, nll(tl), picture), run(torch, nll(torch), picture))
    arrays = [normal(3, 4), normal(3, 4, seed=1)]
    close(
        run(tl, tl.nn.MSELoss(reduction=reduction), arrays), run(torch, torch.nn.MSELoss(reduction=reduction), arrays)
    )


def test_mse_loss_of_unequal_shapes_says_what_was_meant():
    for a, b, hint in (((4, 1), (4,), "input.squeeze(1) or target.unsqueeze(1)"),
                       ((4,), (1, 4), "target.squeeze(0) or input.unsqueeze(0)")):  # fmt: skip
        with pytest.raises(errors.ShapeError) as e:
            F.mse_loss(tl.zeros(*a), tl.zeros(*b))
        assert str(e.value) == f"mse_loss: input {a} and target {b} must have the same shape: use {hint}"
    with pytest.raises(errors.ShapeError, match=r"input \(2, 3\) and target \(3, 2\) must have the same shape$"):
        F.mse_loss(tl.zeros(2, 3), tl.zeros(3, 2))


# ---------------------------------------------------------------- init and clipping
def test_initial_weights_of_layers(device):
    layer = nn.Linear(100, 300)
    for p in layer.parameters():
        assert 0.09 < np.abs(host(p)).max() <= 0.1  # uniform in +-1 / sqrt(100)
    assert abs(host(layer.weight).std() - 0.1 / math.sqrt(3)) < 5e-4
    assert abs(host(nn.Embedding(300, 100).weight).std() - 1) < 0.03
    heads = nn.MultiheadAttention(64, 4)
    bound = math.sqrt(6 / (64 + 192))
    assert 0.98 * bound < np.abs(host(heads.in_proj_weight)).max() <= bound
    assert host(heads.in_proj_bias).any() == host(heads.out_proj.bias).any() == False  # noqa: E712


@pytest.mark.parametrize("fill, std, bound", [
    (lambda w: nn.init.xavier_uniform_(w, gain=2.0), 2 * math.sqrt(2 / 500), 2 * math.sqrt(6 / 500)),
    (lambda w: nn.init.xavier_normal_(w), math.sqrt(2 / 500), None),
    (lambda w: nn.init.kaiming_uniform_(w, nonlinearity="relu"), math.sqrt(2 / 200), math.sqrt(6 / 200)),
    (lambda w: nn.init.kaiming_normal_(w, mode="fan_out", nonlinearity="relu"), math.sqrt(2 / 300), None),
    (lambda w: nn.init.normal_(w, 0.0, 0.02), 0.02, None),
    (lambda w: nn.init.uniform_(w, -1.0, 1.0), 1 / math.sqrt(3), 1.0),
    (lambda w: nn.init.trunc_normal_(w, std=2.0, a=-1.0, b=1.0), 0.5674, 1.0),  # SciPy: truncnorm(-0.5, 0.5, scale=2).std()
], ids=["xavier-u", "xavier-n", "he-u", "he-n", "normal", "uniform", "truncated"])  # fmt: skip
def test_init(device, fill, std, bound):
    w = nn.Parameter(tl.zeros(300, 200))
    assert fill(w) is w and w.is_leaf and w.requires_grad
    values = host(w)
    assert abs(values.std() / std - 1) < 0.02 and abs(values.mean()) < 6 * std / math.sqrt(values.size)
    if bound is not None:
        assert 0.99 * bound < np.abs(values).max() <= bound * (1 + 1e-6)


def test_init_refusals():
    with pytest.raises(errors.ShapeError, match="fan-in and fan-out need at least 2 dimensions"):
        nn.init.xavier_uniform_(tl.zeros(3))
    with pytest.raises(errors.ArgumentError, match="unknown nonlinearity 'rleu'; known: leaky_relu"):
        nn.init.calculate_gain("rleu")
    with pytest.raises(errors.ArgumentError, match="mode must be 'fan_in' or 'fan_out', not 'fan'"):
        nn.init.kaiming_normal_(tl.zeros(2, 2), mode="fan")


@pytest.mark.parametrize("norm_type", [2.0, 1.0, 3.0, math.inf])
@pytest.mark.parametrize("max_norm", [0.5, 1000.0])
def test_clip_grad_norm(torch, device, norm_type, max_norm):
    grads = [normal(3, 4), normal(5, seed=1), normal(2, 2, 2, seed=2)]

    def clip(lib):
        ps = [lib.nn.Parameter(t.detach()) for t in leaves(grads, lib)] + [lib.nn.Parameter(lib.zeros(2))]
        for p, g in zip(ps, leaves(grads, lib), strict=False):
            p.grad = g.detach()
        total = lib.nn.utils.clip_grad_norm_(ps, max_norm, norm_type=norm_type)
        assert ps[-1].grad is None
        return [float(total)] + [np.array(p.grad.tolist()) for p in ps[:-1]]

    for a, b in zip(clip(tl), clip(torch), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_clip_grad_norm_refuses_nan_when_asked(device):
    for norm_type in (2.0, math.inf):
        ps = [nn.Parameter(tl.zeros(1)), nn.Parameter(tl.zeros(1))]
        ps[0].grad, ps[1].grad = tl.tensor([1.0]), tl.tensor([math.nan])
        with pytest.raises(errors.TensorliteError, match="the norm of the gradients is nan"):
            nn.utils.clip_grad_norm_(ps, 1.0, norm_type, error_if_nonfinite=True)


def test_clip_grad_value_and_parameter_vectors(device):
    ps = [nn.Parameter(tl.tensor([1.0, 2.0])), nn.Parameter(tl.tensor([[3.0], [4.0]]))]
    for p in ps:
        p.grad = p.detach() - 2.5
    nn.utils.clip_grad_value_(ps, 1.0)
    assert [p.grad.flatten().tolist() for p in ps] == [[-1, -0.5], [0.5, 1]]
    vector = nn.utils.parameters_to_vector(ps)
    assert vector.tolist() == [1, 2, 3, 4]
    nn.utils.vector_to_parameters(vector.detach() * 2, ps)
    assert [p.flatten().tolist() for p in ps] == [[2, 4], [6, 8]] and ps[1].is_leaf
