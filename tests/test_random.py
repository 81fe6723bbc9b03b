"""Random numbers: seeds and states, equal on every device; distributions by statistical tests; what is refused."""

import copy
import pickle

import numpy as np
import pytest
from numeric import host

import tensorlite as tl
from tensorlite.errors import ArgumentError, DTypeError, GraphError, ShapeError

stats = pytest.importorskip("scipy.stats")
N = 20_000
LEAST = 1e-3  # p value; the seeds are fixed, so a test that passes once passes always

CONTINUOUS = {
    "rand": (lambda: tl.rand(N), stats.uniform()), "randn": (lambda: tl.randn(N), stats.norm()),
    "float64": (lambda: tl.randn(N, dtype=tl.float64), stats.norm()),
    "normal": (lambda: tl.normal(2.0, 3.0, (N,)), stats.norm(2, 3)),
    "normal of tensors": (lambda: tl.normal(tl.full((N,), 2.0), tl.tensor(0.5)), stats.norm(2, 0.5)),
    "uniform_": (lambda: tl.empty(N).uniform_(-2, 5), stats.uniform(-2, 7)),
    "normal_": (lambda: tl.empty(N).normal_(1, 4), stats.norm(1, 4)),
    "exponential_": (lambda: tl.empty(N).exponential_(2.5), stats.expon(scale=1 / 2.5)),
    "cauchy_": (lambda: tl.empty(N).cauchy_(1, 3), stats.cauchy(1, 3)),
    "log_normal_": (lambda: tl.empty(N).log_normal_(0.5, 0.3), stats.lognorm(0.3, scale=np.exp(0.5))),
    "rand_like": (lambda: tl.rand_like(tl.empty(N)), stats.uniform()), "randn_like": (lambda: tl.randn_like(tl.empty(N)), stats.norm()),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTINUOUS)
def test_continuous_distributions(name):
    draw, law = CONTINUOUS[name]
    x = host(draw()).astype(float)
    assert stats.kstest(x, law.cdf).pvalue > LEAST  # Kolmogorov and Smirnov: the distribution
    assert abs(stats.spearmanr(x[:-1], x[1:]).statistic) < 4 / np.sqrt(N)  # neighbours do not depend on one another


DISCRETE = {
    "randint": (lambda: tl.randint(-2, 5, (N,)), stats.randint(-2, 5)), "random_": (lambda: tl.empty(N).random_(3, 9), stats.randint(3, 9)),
    "randint_like": (lambda: tl.randint_like(tl.empty(N), 4), stats.randint(0, 4)),
    "bernoulli": (lambda: tl.bernoulli(tl.full((N,), 0.3)), stats.bernoulli(0.3)),
    "bernoulli of p": (lambda: tl.ones(N).bernoulli(0.8), stats.bernoulli(0.8)),
    "bernoulli_": (lambda: tl.empty(N, dtype=tl.int64).bernoulli_(0.1), stats.bernoulli(0.1)),
    "poisson": (lambda: tl.poisson(tl.full((N,), 3.5)), stats.poisson(3.5)),
    "binomial": (lambda: tl.binomial(tl.full((N,), 7.0), tl.tensor(0.4)), stats.binom(7, 0.4)),
    "geometric_": (lambda: tl.empty(N).geometric_(0.35), stats.geom(0.35)),
    "multinomial": (
        lambda: tl.multinomial(tl.tensor([1.0, 0.0, 3.0, 6.0]), N, True), stats.rv_discrete(values=([0, 2, 3], [0.1, 0.3, 0.6])),
    ),
    "multinomial of rows": (
        lambda: tl.multinomial(tl.tensor([1.0, 0.0, 3.0, 6.0]).expand(N, 4), 1), stats.rv_discrete(values=([0, 2, 3], [0.1, 0.3, 0.6])),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DISCRETE)
def test_discrete_distributions(name):
    draw, law = DISCRETE[name]
    x = host(draw()).ravel()
    values, counts = np.unique(x, return_counts=True)
    expected = law.pmf(values) * N
    assert (expected > 0).all()
    rare = expected < 8  # put together, and with all that did not come
    counts = np.append(counts[~rare], counts[rare].sum())
    expected = np.append(expected[~rare], N - expected[~rare].sum())
    keep = expected > 1e-9
    assert counts[~keep].sum() == 0
    assert stats.chisquare(counts[keep], expected[keep] * counts[keep].sum() / expected[keep].sum()).pvalue > LEAST


def test_randperm_is_uniform_over_all_orders():
    orders = [tuple(tl.randperm(4).tolist()) for _ in range(2400)]
    assert stats.chisquare(np.unique(orders, axis=0, return_counts=True)[1]).pvalue > LEAST
    assert len(set(orders)) == 24 and tl.randperm(5).dtype is tl.int64 and tl.randperm(0).shape == (0,)


def test_multinomial_without_replacement(device):
    weights = tl.tensor([[0.2, 0.0, 0.5, 0.3]]).expand(6000, 4)
    picks = host(tl.multinomial(weights, 2))
    assert (picks[:, 0] != picks[:, 1]).all() and not (picks == 1).any()
    w = {0: 0.2, 2: 0.5, 3: 0.3}
    pairs = [(a, b) for a in w for b in w if a != b]
    counts = [((picks[:, 0] == a) & (picks[:, 1] == b)).sum() for a, b in pairs]
    assert stats.chisquare(counts, [6000 * w[a] * w[b] / (1 - w[a]) for a, b in pairs]).pvalue > LEAST
    assert sorted(tl.multinomial(tl.tensor([1.0, 2.0, 3.0]), 3).tolist()) == [0, 1, 2]
    assert tl.ones(0, 3).multinomial(2).shape == (0, 2) and tl.multinomial(tl.tensor([0.0, 1.0]), 1).tolist() == [1]


def test_16_bits_never_reach_1(device):
    for d in (tl.float16, tl.bfloat16):
        x = tl.rand(50_000, dtype=d)
        assert x.dtype is d and x.max().item() < 1 and abs(x.float().mean().item() - 0.5) < 0.01
        assert tl.empty(50_000, dtype=d).uniform_().max().item() < 1
        assert tl.randn(3, dtype=d).dtype is d and tl.rand_like(x).dtype is d


# ---------------------------------------------------------------- seeds and states
def draws(generator=None, device=None):
    x = tl.zeros(5, device=device)
    return [
        tl.rand(3, generator=generator, device=device), tl.randn(2, 2, generator=generator, device=device, dtype=tl.float64),
        tl.randint(9, (4,), generator=generator, device=device), tl.randperm(6, generator=generator, device=device),
        tl.bernoulli(x + 0.5, generator=generator), tl.multinomial(x + 1, 3, generator=generator), x.uniform_(generator=generator),
        tl.normal(x, 2.0, generator=generator), x.clone().exponential_(generator=generator), tl.poisson(x + 2, generator=generator),
    ]  # fmt: skip


def lists(tensors):
    return [t.tolist() for t in tensors]


def test_one_seed_gives_equal_numbers_on_every_device(device):
    tl.manual_seed(5)
    there = draws(device=device)
    tl.manual_seed(5)
    here = draws(device="cpu")
    assert lists(there) == lists(here) and all(t.device is tl.zeros(1).device for t in there)
    again = tl.Generator(device).manual_seed(5)
    assert lists(draws(again, device)) == lists(here) and again.device is tl.zeros(1).device
    drop = [tl.nn.functional.dropout(tl.ones(20, device=d), 0.5) for d in (device, "cpu") if [tl.manual_seed(3)]]
    assert drop[0].tolist() == drop[1].tolist()


def test_states():
    g = tl.Generator().manual_seed(1)
    g.philox()
    tl.rand(3, generator=g), tl.randint(5, (3,), generator=g, dtype=tl.int32)
    state = g.get_state()
    assert state.dtype is tl.uint8 and state.device is tl.device("cpu")
    other = g.clone_state()
    expected = (lists(draws(g)), g.philox())
    for twin in (
        tl.Generator().set_state(state),
        other,
        pickle.loads(pickle.dumps(g.set_state(state))),
        copy.deepcopy(g),
    ):
        assert (lists(draws(twin)), twin.philox()) == expected and twin.initial_seed() == 1
    before = tl.get_rng_state()
    first = lists(draws())
    tl.set_rng_state(before)
    assert lists(draws()) == first
    for wrong in (tl.zeros(3), tl.zeros(64, dtype=tl.uint8), state[:-1], {"seed": 1}, None):
        with pytest.raises(ArgumentError, match="a state that get_state gave is needed"):
            g.set_state(wrong)


def test_fork_rng_and_seeds():
    tl.manual_seed(0)
    with pytest.raises(KeyError), tl.random.fork_rng():
        inside = tl.rand(2)
        raise KeyError
    assert inside.tolist() == tl.rand(2).tolist()
    with tl.random.fork_rng(enabled=False):
        tl.rand(2)
    assert tl.initial_seed() == 0
    assert tl.seed() == tl.initial_seed() != tl.seed()
    assert tl.manual_seed(-1).initial_seed() == 2**64 - 1 and tl.manual_seed(np.int64(3)).initial_seed() == 3
    with pytest.raises(DTypeError, match="the seed must be an int, not str"):
        tl.manual_seed("x")


def test_the_default_generator_has_its_name():
    tl.manual_seed(7)
    assert tl.default_generator is tl.random.default_generator and tl.default_generator.initial_seed() == 7
    assert tl.equal(tl.rand(3, generator=tl.default_generator), tl.rand(3, generator=tl.Generator().manual_seed(7)))


def test_the_default_generator_is_left_alone_by_others():
    tl.manual_seed(0)
    g = tl.Generator()
    expected = lists(draws())
    tl.manual_seed(0)
    draws(g)
    assert lists(draws()) == expected


# ---------------------------------------------------------------- shapes, dtypes, gradients, errors
def test_shapes_and_dtypes(device):
    assert tl.rand(2, 3).shape == tl.rand((2, 3)).shape == tl.rand([2, 3]).shape == (2, 3) and tl.rand(()).shape == ()
    assert tl.randint(5, (2,)).dtype is tl.int64 and tl.randint(5, size=(2,), dtype=tl.float32).dtype is tl.float32
    x = tl.ones(2, 3, dtype=tl.float64)
    for like in (
        tl.rand_like(x),
        tl.randn_like(x),
        tl.randint_like(x, 2, 5),
        tl.bernoulli(x),
        tl.poisson(x),
        x.bernoulli(0.5),
    ):
        assert like.dtype is tl.float64 and like.shape == (2, 3) and like.device is x.device
    assert tl.rand_like(x, dtype=tl.float32).dtype is tl.float32
    assert tl.normal(tl.zeros(2, 1), tl.ones(3)).shape == (2, 3) and tl.normal(0.0, tl.ones(2)).shape == (2,)
    for d, top in ((tl.int8, 127), (tl.bool, 1), (tl.uint8, 255), (tl.float32, 2**24), (tl.int64, 2**63 - 1)):
        assert 0 <= tl.zeros(200, dtype=d).random_().max().item() <= top
    assert tl.zeros(4, dtype=tl.int16).random_(2).dtype is tl.int16
    y = tl.zeros(3, 4)
    y.t()[1:].uniform_(2, 3)  # through a view
    assert (y[:, 0] == 0).all() and (y[:, 1:] >= 2).all()
    assert tl.zeros(3).bernoulli_(tl.tensor([0.0, 1.0, 0.0])).tolist() == [0, 1, 0]
    assert (
        tl.zeros(3).uniform_(**{"from": 2, "to": 2}).tolist()
        == tl.zeros(3).random_(**{"from": 2}, to=3).tolist()
        == [2] * 3
    )
    assert tl.randint_like(tl.ones(3), high=1).tolist() == [0, 0, 0]


def test_gradients():
    x = tl.ones(3, requires_grad=True)
    assert (
        tl.rand(2, requires_grad=True).is_leaf
        and not tl.bernoulli(x * 0.5).requires_grad
        and not tl.normal(x, x).requires_grad
    )
    with pytest.raises(GraphError):
        x.uniform_()
    with tl.no_grad():
        x.normal_()
    y = x * 2
    y.uniform_()
    y.sum().backward()
    assert x.grad.tolist() == [0, 0, 0]


WRONG = [
    (lambda: tl.rand(2, dtype=tl.int64), DTypeError, "rand: random numbers of dtype int64 .*use randint"),
    (lambda: tl.randn_like(tl.ones(2, dtype=tl.bool)), DTypeError, "randn: random numbers of dtype bool"),
    (lambda: tl.zeros(2, dtype=tl.int32).uniform_(), DTypeError, "uniform_: random numbers of dtype int32"),
    (lambda: tl.rand(-1), ShapeError, "rand: "), (lambda: tl.randint(3, 3, (2,)), ArgumentError, "needs low < high"),
    (lambda: tl.randint(3, 4), ArgumentError, "needs low < high and a tuple of sizes"),
    (lambda: tl.randint(300, (2,), dtype=tl.uint8), ArgumentError, "uint8 holds 0 to 255 only"),
    (lambda: tl.randperm(-1), ArgumentError, "n must not be negative, got n=-1"),
    (lambda: tl.normal(0.0, -1.0, (2,)), ArgumentError, "std must not be negative"),
    (lambda: tl.normal(tl.ones(2), tl.tensor([1.0, -1.0])), ArgumentError, "std must not be negative"),
    (lambda: tl.normal(0.0, 1.0), ArgumentError, "need a size"), (lambda: tl.normal(tl.ones(2), tl.ones(3)), ShapeError, "broadcast"),
    (lambda: tl.bernoulli(tl.tensor([2.0])), ArgumentError, r"probabilities lie in \[0, 1\]"),
    (lambda: tl.bernoulli(tl.tensor([float("nan")])), ArgumentError, "probabilities lie"),
    (lambda: tl.bernoulli(tl.tensor([1])), DTypeError, "a floating-point tensor is needed, got int64"),
    (lambda: tl.poisson(tl.tensor([-1.0])), ArgumentError, "rates must not be negative"),
    (lambda: tl.multinomial(tl.zeros(3), 1), ArgumentError, "not all zero in a row"),
    (lambda: tl.multinomial(tl.tensor([[1.0, 1.0], [0.0, 0.0]]), 1), ArgumentError, "not all zero in a row"),
    (lambda: tl.multinomial(tl.tensor([1.0, float("inf")]), 1), ArgumentError, "must be finite"),
    (lambda: tl.multinomial(tl.tensor([1.0, -1.0]), 1), ArgumentError, "not negative"),
    (lambda: tl.multinomial(tl.ones(3), 4), ArgumentError, "4 samples without replacement from 3 non-zero weights"),
    (lambda: tl.multinomial(tl.tensor([1.0, 0.0]), 2), ArgumentError, "2 samples without replacement from 1 non-zero"),
    (lambda: tl.multinomial(tl.ones(3), 0), ArgumentError, "num_samples must be positive"),
    (lambda: tl.multinomial(tl.tensor([1, 2]), 1), DTypeError, "a floating-point tensor is needed"),
    (lambda: tl.multinomial(tl.ones(2, 2, 2), 1), ShapeError, "a vector or a matrix"),
    (lambda: tl.ones(2).uniform_(2, 1), ArgumentError, "uniform_: the range must not end"),
    (lambda: tl.ones(2).normal_(0, -1), ArgumentError, "normal_: std"), (lambda: tl.ones(2).random_(3, 3), ArgumentError, "random_: "),
    (lambda: tl.ones(2).exponential_(0), ArgumentError, "lambd must be positive"),
    (lambda: tl.ones(2).geometric_(1.0), ArgumentError, "p must lie"),
    (lambda: tl.ones(2).cauchy_(0, -1), ArgumentError, "sigma must be positive"),
    (lambda: tl.ones(2).bernoulli_(2), ArgumentError, "lie in"),
    (lambda: tl.ones(3).bernoulli_(tl.zeros(2)), ShapeError, r"bernoulli_: probabilities of shape \(2,\) do not broadcast"),
    (lambda: tl.rand(2, generator=3), DTypeError, "generator must be a tl.Generator, not int"),
    (lambda: tl.rand(2, out=tl.ones(2)), ArgumentError, "rand: out= is not supported"),
    (lambda: tl.randn(2, color=1), ArgumentError, "randn: unknown argument 'color'"),
    (lambda: tl.randint(0.5, 2, (2,)), DTypeError, "randint: low and high must be ints, got 0.5 and 2"),
    (lambda: tl.randperm(2.5), DTypeError, "randperm: n must be an int, not float"),
    (lambda: tl.randperm(300, dtype=tl.uint8), ArgumentError, "uint8 holds no more than 0 to 255 exactly, got n=300"),
    (lambda: tl.ones(2).log_normal_(0, 0), ArgumentError, "std must be positive"),
]  # fmt: skip


@pytest.mark.parametrize("use, kind, text", WRONG, ids=[text for *_, text in WRONG])
def test_what_is_refused(use, kind, text):
    with pytest.raises(kind, match=text):
        use()
