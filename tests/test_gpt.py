"""models/gpt.py: against a PyTorch model of the same weights, causality, the cache, generation, gradients, learning."""

import math

import numpy as np
import pytest
from numeric import host

import tensorlite as tl
from tensorlite import errors, nn
from tensorlite.gradcheck import directional_check
from tensorlite.models.gpt import GPT, GPTConfig

SMALL = {"vocab_size": 11, "block_size": 8, "layers": 2, "heads": 2, "dim": 12}


def small(lively=True, **more):
    """A small model; `lively` weights are large enough that every part of it matters to the logits."""
    model = GPT(GPTConfig(**{**SMALL, **more}))
    if lively:
        draw = np.random.default_rng(1)
        model.load_state_dict({k: host(v) + draw.normal(size=tuple(v.shape)) * 0.3 for k, v in model.state_dict().items()
                               if k != "lm_head.weight"}, strict=False)  # fmt: skip
    return model


def ids(*shape, seed=0, high=11):
    return tl.tensor(np.random.default_rng(seed).integers(0, high, shape))


# ---------------------------------------------------------------- the forward pass
def test_at_the_start_every_token_is_about_equally_likely(device):
    model = GPT(GPTConfig(vocab_size=65, block_size=16, layers=2, heads=2, dim=32))
    logits, loss = model(ids(4, 16, high=65), ids(4, 16, seed=1, high=65))
    assert logits.shape == (4, 16, 65) and loss.shape == ()
    assert abs(loss.item() - math.log(65)) < 0.1
    assert model(ids(1, 3))[1] is None


def test_logits_do_not_depend_on_later_tokens(device):
    model, x = small().eval(), ids(1, 8)
    before = host(model(x)[0])
    for t in range(8):
        changed = host(x).copy()
        changed[0, t] = (changed[0, t] + 5) % 11
        after = host(model(tl.tensor(changed))[0])
        assert np.array_equal(after[0, :t], before[0, :t]) and np.abs(after[0, t:] - before[0, t:]).max(-1).min() > 1e-4


def theirs(torch, state, c, idx, targets):
    """The same model in PyTorch's own words: logits, loss."""
    w, F = (lambda name: state.get(name)), torch.nn.functional
    B, T = idx.shape
    x = state["wte.weight"][idx] + state["wpe.weight"][:T]
    for i in range(c.layers):
        p = f"blocks.{i}."
        h = F.layer_norm(x, (c.dim,), w(p + "ln1.weight"), w(p + "ln1.bias"))
        q, k, v = F.linear(h, w(p + "attn.qkv.weight"), w(p + "attn.qkv.bias")).split(c.dim, -1)
        q, k, v = (t.reshape(B, T, c.heads, -1).transpose(1, 2) for t in (q, k, v))
        scores = q @ k.transpose(-1, -2) / math.sqrt(c.dim // c.heads)
        scores = scores.masked_fill(torch.ones(T, T).triu(1).bool(), -math.inf)
        h = (scores.softmax(-1) @ v).transpose(1, 2).reshape(B, T, c.dim)
        x = x + F.linear(h, w(p + "attn.proj.weight"), w(p + "attn.proj.bias"))
        h = F.layer_norm(x, (c.dim,), w(p + "ln2.weight"), w(p + "ln2.bias"))
        h = F.gelu(F.linear(h, w(p + "mlp.fc.weight"), w(p + "mlp.fc.bias")))
        x = x + F.linear(h, w(p + "mlp.proj.weight"), w(p + "mlp.proj.bias"))
    x = F.layer_norm(x, (c.dim,), w("ln_f.weight"), w("ln_f.bias"))
    logits = x @ state["wte.weight"].T
    return logits, F.cross_entropy(logits.transpose(1, 2), targets)


@pytest.mark.parametrize("bias", [False, True])
def test_logits_loss_and_gradients_are_those_of_the_same_model_in_pytorch(device, bias):
    torch = pytest.importorskip("torch")
    model = small(bias=bias).double()
    x, y = ids(3, 7), ids(3, 7, seed=1)
    ignored = host(y).copy()
    ignored[0, :3] = -100
    logits, loss = model(x, tl.tensor(ignored))
    loss.backward()
    state = {k: torch.tensor(host(p)).requires_grad_() for k, p in model.named_parameters()}
    expected, their_loss = theirs(torch, state, model.config, torch.tensor(host(x)), torch.tensor(ignored))
    their_loss.backward()
    np.testing.assert_allclose(host(logits), expected.detach().numpy(), rtol=1e-7, atol=1e-9)
    assert abs(loss.item() - their_loss.item()) < 1e-10
    for name, p in model.named_parameters():
        np.testing.assert_allclose(host(p.grad), state[name].grad.numpy(), rtol=1e-6, atol=1e-9, err_msg=name)


def test_parameters_are_shared_counted_once_and_grouped():
    model = small()
    c, d, v = model.config, 12, 11
    assert model.lm_head.weight is model.wte.weight and model.config == c
    assert model.num_params() == v * d + 8 * d + 2 * (2 * d + 12 * d * d) + d
    decay, rest = model.decay_groups(0.1)
    assert decay["weight_decay"] == 0.1 and rest["weight_decay"] == 0 and all(p.ndim == 1 for p in rest["params"])
    assert len(decay["params"]) + len(rest["params"]) == len(list(model.parameters()))
    state = model.state_dict()
    assert "lm_head.weight" in state and "wte.weight" in state  # both names, as PyTorch saves tied weights
    other = small(lively=False)
    other.load_state_dict(state)
    assert np.array_equal(host(other(ids(1, 5))[0]), host(model(ids(1, 5))[0]))
    deep = GPT(GPTConfig(vocab_size=11, block_size=8, layers=8, heads=2, dim=64))
    assert abs(host(deep.blocks[0].mlp.fc.weight).std() / 0.02 - 1) < 0.05
    assert abs(host(deep.blocks[0].mlp.proj.weight).std() / (0.02 / 4) - 1) < 0.05  # 1 / sqrt(2 * 8 layers)


# ---------------------------------------------------------------- gradients and learning
@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_all_gradients_agree_with_finite_differences(device, dropout):
    model, x, y = small(dropout=dropout, bias=True).double(), ids(2, 6), ids(2, 6, seed=1)

    def loss():
        tl.manual_seed(3)  # the same dropout masks at each call
        return model(x, y)[1]

    rows = directional_check(loss, list(model.parameters()), projections=2)
    rows += [
        directional_check(loss, [p], projections=1)[0] for n, p in model.named_parameters() if ".1." in n or n[0] == "w"
    ]
    for numeric, analytic, _ in rows:
        assert abs(numeric - analytic) <= 1e-7 * (1 + abs(analytic)) and numeric != 0


def test_it_learns_one_batch_by_heart(device):
    model = GPT(GPTConfig(vocab_size=11, block_size=8, layers=1, heads=2, dim=16))
    x, y = ids(2, 8), ids(2, 8, seed=1)
    opt = tl.optim.AdamW(model.decay_groups(0.0), lr=0.02)
    first = None
    for _ in range(80):
        loss = model(x, y)[1]
        first = first or loss.item()
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
    assert first > 2 and model(x, y)[1].item() < 0.1
    assert np.array_equal(host(model(x)[0].argmax(-1)), host(y))


# ---------------------------------------------------------------- generation
@pytest.mark.parametrize("options", [{"temperature": 0}, {"temperature": 0.8}, {"top_k": 3}, {"temperature": 2.0, "top_k": 100}],
                         ids=str)  # fmt: skip
@pytest.mark.parametrize("prompt, new", [(1, 5), (3, 5), (3, 14), (8, 4), (12, 3)])
def test_the_cache_changes_no_token(device, options, prompt, new):
    """Also where the prompt or the text is longer than the 8 positions that the model sees."""
    model, start = small(), ids(2, prompt)
    texts = []
    for use_cache in (True, False):
        tl.manual_seed(4)
        texts.append(host(model.generate(start, new, use_cache=use_cache, **options)))
    assert texts[0].shape == (2, prompt + new) and np.array_equal(texts[0][:, :prompt], host(start))
    assert np.array_equal(*texts) and texts[0].max() < 11 and texts[0].min() >= 0


def test_cached_logits_are_those_of_the_whole_text_in_any_portions(device):
    model, x = small().double().eval(), ids(2, 8)
    whole = host(model(x)[0])
    for portions in ([1] * 8, [3, 1, 4], [2, 3, 3], [8]):
        caches, at = model.make_caches(2), 0
        with tl.no_grad():
            for n in portions:
                np.testing.assert_allclose(
                    host(model(x[:, at : at + n], caches=caches)[0]), whole[:, at : at + n], atol=1e-12
                )
                at += n
        assert all(c.used == 8 for c in caches)
        with pytest.raises(errors.ShapeError, match=r"at most 8 positions\), got \(2, 1\) after 8 cached"):
            model(x[:, :1], caches=caches)


def test_temperature_zero_takes_the_most_likely_token_each_time(device):
    model, text = small().eval(), ids(1, 2)
    for _ in range(4):
        text = tl.cat([text, model(text)[0][:, -1:].argmax(-1)], 1)
    assert np.array_equal(host(model.generate(text[:, :2], 4, temperature=0)), host(text))
    tl.manual_seed(9)
    greedy = model.generate(ids(3, 2), 4, temperature=0)
    assert np.array_equal(host(model.generate(ids(3, 2), 4, top_k=1)), host(greedy))


def test_draws_follow_the_probabilities_of_the_k_most_likely_with_ties(device):
    """Logits ln 4, ln 2, ln 2, ln 1: for k = 2 the tie at the second place counts in whole."""
    model = small()
    logits = tl.tensor(np.log([[1.0, 2.0, 4.0, 2.0]])).expand(4000, 4)
    for k, expected in ((None, [1, 2, 4, 2]), (1, [0, 0, 1, 0]), (2, [0, 2, 4, 2]), (3, [0, 2, 4, 2]), (4, [1, 2, 4, 2]),
                        (9, [1, 2, 4, 2])):  # fmt: skip
        shares = np.bincount(host(model._draw(logits, 1.0, k, None)).ravel(), minlength=4) / 4000
        np.testing.assert_allclose(shares, np.array(expected) / sum(expected), atol=0.04)  # five standard deviations
        assert (shares[np.array(expected) == 0] == 0).all()
    hot = np.bincount(host(model._draw(logits, 0.5, None, None)).ravel(), minlength=4) / 4000
    np.testing.assert_allclose(hot, np.array([1, 4, 16, 4]) / 25, atol=0.04)


def test_generation_is_seeded_leaves_the_mode_alone_and_records_nothing(device):
    model, start = small(dropout=0.5), ids(1, 3)
    texts = []
    for seed in (1, 1, 2):
        tl.manual_seed(seed)
        texts.append(model.generate(start, 12))
    assert np.array_equal(host(texts[0]), host(texts[1])) and not np.array_equal(host(texts[0]), host(texts[2]))
    a, b = (model.generate(start, 6, generator=tl.Generator().manual_seed(7)) for _ in range(2))
    assert np.array_equal(host(a), host(b)) and model.training and not a.requires_grad
    model.eval().generate(start, 1)
    assert not model.training
    assert model.generate(start, 0).shape == (1, 3)


def test_generation_is_the_same_on_every_device():
    texts = []
    for name in ("cpu", "fake"):
        with tl.device(name):
            tl.manual_seed(0)
            texts.append(host(small().generate(ids(2, 3), 10, temperature=0.9, top_k=5)))
    assert np.array_equal(*texts)


# ---------------------------------------------------------------- refusals
def test_refusals(device):
    model = small()
    with pytest.raises(
        errors.ShapeError, match=r"GPT: idx must have shape \(batch, at most 8 positions\), got \(1, 9\)"
    ):
        model(ids(1, 9))
    with pytest.raises(errors.ShapeError, match=r"got \(5,\)"):
        model(ids(5))
    with pytest.raises(IndexError, match=r"embedding: .*11.*, in wte"):
        model(tl.tensor([[0, 11]]))
    with pytest.raises(IndexError, match="target class"):
        model(ids(1, 2), tl.tensor([[0, 11]]))
    with pytest.raises(errors.ArgumentError, match="needs temperature >= 0 and top_k >= 1, got -1 and None"):
        model.generate(ids(1, 2), 1, temperature=-1)
    with pytest.raises(errors.ArgumentError, match=r"got 1\.0 and 0"):
        model.generate(ids(1, 2), 1, top_k=0)
    with pytest.raises(errors.ArgumentError, match="dim 10 must be a multiple of heads 4"):
        GPTConfig(dim=10, heads=4)
    with pytest.raises(errors.ArgumentError, match="layers must be at least 1, not 0"):
        GPTConfig(layers=0)
    with pytest.raises(errors.ShapeError, match=r"prompt.*\(1, 0\)"):
        model.generate(tl.zeros(1, 0, dtype=tl.int64), 3)


def test_an_error_inside_names_the_place(device):
    model = small()
    model.blocks[1].mlp.proj = nn.Linear(40, 12)
    with pytest.raises(errors.ShapeError, match=r"linear: input has 48 features.*, in blocks\.1\.mlp\.proj$"):
        model(ids(1, 4))
