"""tl.distributions against PyTorch's: values, gradients, samples' shapes and means, what is refused."""

import numpy as np
import pytest
from numeric import host

import tensorlite as tl
from tensorlite import distributions, errors

RNG = np.random.default_rng(0)
PROBS = np.array([[0.0, 0.3, 0.7], [0.2, 0.2, 0.6]])
CASES = {  # name: (class, parameters, values)
    "normal": ("Normal", {"loc": RNG.standard_normal((2, 3)), "scale": RNG.uniform(0.5, 2, (3,))}, RNG.standard_normal((4, 2, 3))),
    "uniform": ("Uniform", {"low": np.array([0.0, -1.0]), "high": np.array([2.0, 1.5])}, np.array([[0.5, 0.0], [0.0, -1.0]])),
    "bernoulli by probs": ("Bernoulli", {"probs": np.array([0.0, 0.3, 0.5, 1.0])}, np.array([[0.0, 1, 1, 1], [0, 0, 0, 1]])),
    "bernoulli by logits": ("Bernoulli", {"logits": np.array([-30.0, -1.0, 0.0, 2.5])}, np.array([1.0, 0, 1, 1])),
    "categorical by probs": ("Categorical", {"probs": PROBS * 3}, np.array([[1, 2], [2, 0], [1, 1]])),
    "categorical by logits": ("Categorical", {"logits": RNG.standard_normal((2, 3))}, np.array([2, 0])),
}  # fmt: skip
WHAT = (
    "mean",
    "variance",
    "stddev",
    "mode",
    "entropy",
    "perplexity",
    "probs",
    "logits",
    "cdf",
    "icdf",
    "enumerate_support",
)


def outcomes(t, name):
    """All that can be computed without chance, and its gradients."""
    kind, params, values = CASES[name]
    given = {k: t.tensor(v, requires_grad=True) for k, v in params.items()}
    made = getattr(t.distributions, kind)(**given)
    out = {"text": repr(made), "shapes": (tuple(made.batch_shape), tuple(made.event_shape), made.has_rsample)}
    results = {"log_prob": made.log_prob(t.tensor(values))}
    for what in WHAT:
        if made.has_rsample == (what == "enumerate_support") and what in ("cdf", "icdf", "enumerate_support"):
            continue
        found = getattr(made, what, None)
        args = (t.tensor(values),) if what == "cdf" else (t.tensor(0.3, dtype=t.float64),) if what == "icdf" else ()
        if found is not None:
            results[what] = found(*args) if callable(found) else found
    for what, value in results.items():
        out[what] = value.detach().numpy()
        if value.requires_grad and not np.isnan(out[what]).any():
            grads = t.autograd.grad(value.sum(), list(given.values()), allow_unused=True, retain_graph=True)
            out[f"gradient of {what}"] = [None if g is None else g.numpy() for g in grads]
    wide = made.expand((5, *made.batch_shape))
    return {**out, "expanded": wide.log_prob(t.tensor(1.0, dtype=t.float64)).detach().numpy()}


@pytest.mark.parametrize("name", CASES)
def test_values_equal_pytorchs(name):
    torch = pytest.importorskip("torch")
    ours, theirs = outcomes(tl, name), outcomes(torch, name)
    assert ours.keys() == theirs.keys()
    for what, value in ours.items():
        if what in ("text", "shapes"):
            assert str(value).replace(",)", ")") == str(theirs[what]).replace("torch.Size([", "(").replace(
                "])", ")"
            ).replace(",)", ")"), what
            continue
        pairs = zip(value, theirs[what], strict=True) if what.startswith("gradient") else [(value, theirs[what])]
        for a, b in pairs:
            assert (a is None) == (b is None), what
            if a is not None:
                assert a.shape == b.shape and a.dtype == b.dtype, what
                np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12, err_msg=what)


PAIRS = {
    "normal": [{"loc": np.array([0.0, 1.0]), "scale": np.array([1.0, 2.0])}, {"loc": np.array([[0.5], [1.0]]), "scale": np.array(0.7)}],
    "uniform": [{"low": np.array([0.0, -1.0]), "high": np.array([1.0, 1.0])}, {"low": np.array([0.0, 0.0]), "high": np.array([3.0, 2.0])}],
    "bernoulli": [{"probs": np.array([0.0, 0.3, 0.5, 1.0])}, {"probs": np.array([0.0, 1.0, 0.4, 1.0])}],
    "categorical": [{"probs": PROBS}, {"probs": np.array([[0.5, 0.5, 0.0], [0.1, 0.3, 0.6]])}],
}  # fmt: skip


@pytest.mark.parametrize("name", PAIRS)
def test_kl_divergence_equals_pytorchs(name):
    torch = pytest.importorskip("torch")
    results = []
    for t in (tl, torch):
        made = [getattr(t.distributions, name.title())(**{k: t.tensor(v) for k, v in p.items()}) for p in PAIRS[name]]
        results.append(
            [t.distributions.kl_divergence(*made).numpy(), t.distributions.kl_divergence(made[0], made[0]).numpy()]
        )
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_samples(name, device):
    kind, params, _ = CASES[name]
    tl.manual_seed(0)
    given = {k: tl.tensor(v, requires_grad=True) for k, v in params.items()}
    made = getattr(distributions, kind)(**given)
    x = made.sample((4000,))
    assert x.shape == (4000, *made.batch_shape) and not x.requires_grad and made.sample().shape == made.batch_shape
    assert x.dtype is (tl.int64 if kind == "Categorical" else tl.float64) and made.log_prob(x).isfinite().all()
    if kind == "Categorical":
        shares = np.stack([(host(x) == k).mean(0) for k in range(3)], -1)
        np.testing.assert_allclose(shares, host(made.probs.detach()), atol=0.04)
    else:
        np.testing.assert_allclose(host(x).mean(0), host(made.mean.detach()), atol=0.12)
        np.testing.assert_allclose(host(x).var(0), host(made.variance.detach()), atol=0.25)
    if made.has_rsample:
        y = made.rsample((7,))
        y.sum().backward()
        assert y.shape == (7, *made.batch_shape) and all(v.grad is not None for v in given.values())
    else:
        with pytest.raises(NotImplementedError, match=f"{kind} has no rsample"):
            made.rsample()


def test_numbers_and_float32():
    made = distributions.Normal(0, tl.tensor([1.0, 2.0]))
    assert made.sample((3,)).dtype is tl.float32 and made.loc.shape == (2,)
    assert repr(distributions.Normal(0, 1)) == "Normal(loc: 0.0, scale: 1.0)"
    assert distributions.Bernoulli(0.25).variance.item() == 0.1875
    assert tl.distributions is distributions


@pytest.mark.parametrize("call, text", [
    (lambda d: d.Normal(0.0, -1.0), "Normal: scale must be positive"),
    (lambda d: d.Uniform(1.0, 1.0), "Uniform: low must be less than high"),
    (lambda d: d.Bernoulli(1.5), r"Bernoulli: probs must be in 0\.\.1"),
    (lambda d: d.Bernoulli(), "give probs or logits, none was given"),
    (lambda d: d.Categorical(tl.ones(2), tl.ones(2)), "give probs or logits, both was given"),
    (lambda d: d.Categorical(tl.tensor(1.0)), "at least 1 dimension"),
    (lambda d: d.Categorical(tl.tensor([-1.0, 1.0])), "Categorical: probs must be not negative"),
    (lambda d: d.Categorical(tl.ones(3)).log_prob(tl.tensor(3)), "a class, 0 to 2"),
    (lambda d: d.Bernoulli(0.5).log_prob(tl.tensor(0.5)), "0 or 1"),
    (lambda d: d.Uniform(0.0, 1.0).log_prob(tl.tensor(2.0)), "from low to high"),
    (lambda d: d.Normal(tl.zeros(3), 1.0).log_prob(tl.zeros(2)), "does not broadcast"),
    (lambda d: d.Normal(0.0, 1.0).log_prob(0.0), "the value must be a Tensor, not float"),
])  # fmt: skip
def test_refused(call, text):
    with pytest.raises(errors.ArgumentError, match=text):
        call(distributions)
    assert distributions.Normal(0.0, -1.0, validate_args=False).scale.item() == -1


def test_rules_of_ones_own():
    class Mine(distributions.Normal):
        pass

    with pytest.raises(NotImplementedError, match="no rule for Mine and Uniform"):
        distributions.kl_divergence(Mine(0.0, 1.0), distributions.Uniform(0.0, 1.0))
    assert distributions.kl_divergence(Mine(0.0, 1.0), Mine(0.0, 1.0)).item() == 0
    distributions.register_kl(Mine, distributions.Uniform)(lambda p, q: 5)
    assert distributions.kl_divergence(Mine(0.0, 1.0), distributions.Uniform(0.0, 1.0)) == 5
