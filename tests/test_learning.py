"""What recurrent nets and transformers are for: the adding problem over 50 steps, and sequences turned round. Slow."""

import numpy as np
import pytest

import tensorlite as tl
from tensorlite import nn
from tensorlite.nn import functional as F

pytestmark = pytest.mark.slow


def step(net, optimizer, loss):
    """One step of training, with the gradient's length held at 1."""
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    optimizer.step()


# ---------------------------------------------------------------- the adding problem (Hochreiter and Schmidhuber 1997)
def sums(rng, n, length=50):
    """Sequences of numbers in 0..1, two of them marked, and the sum of these two. Answering 1 has an error of 1/6."""
    x = np.zeros((n, length, 2), "f4")
    x[..., 0] = rng.random((n, length))
    for row in x:
        row[rng.choice(length, 2, replace=False), 1] = 1
    return tl.tensor(x), tl.tensor((x[..., 0] * x[..., 1]).sum(1))


class Adder(nn.Module):
    """A recurrent net whose last output gives one number."""

    def __init__(self, kind, size=32):
        super().__init__()
        self.rnn, self.out = getattr(nn, kind)(2, size, batch_first=True), nn.Linear(size, 1)

    def forward(self, x):
        return self.out(self.rnn(x)[0][:, -1]).squeeze(-1)


def error_after_learning(kind, steps=4000, enough=0.01):
    """The mean squared error on 1000 sequences, after at most so many steps, and the steps that were needed."""
    tl.manual_seed(0)
    rng, net, (x, y) = np.random.default_rng(0), Adder(kind), sums(np.random.default_rng(99), 1000)
    optimizer = tl.optim.Adam(net.parameters(), lr=0.01)
    for i in range(1, steps + 1):
        given, wanted = sums(rng, 50)
        step(net, optimizer, F.mse_loss(net(given), wanted))
        if i % 250 == 0:
            with tl.no_grad():
                error = F.mse_loss(net(x), y).item()
            if error < enough:
                break
    print(f"{kind}: mean squared error {error:.4f} after {i} steps")
    return error


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_gated_nets_solve_the_adding_problem(kind):
    assert error_after_learning(kind) < 0.04


def test_the_plain_net_does_not_solve_it():
    """As the gradient through 50 steps of tanh has vanished: it answers 1 whatever it reads."""
    assert error_after_learning("RNN") > 0.12


# ---------------------------------------------------------------- sequences turned round
WORDS, LENGTH = 10, 8  # the word number WORDS begins every answer


class Reverser(nn.Module):
    """Encoder and decoder on embeddings with positions."""

    def __init__(self, size=32):
        super().__init__()
        self.embed, self.out = nn.Embedding(WORDS + 1, size), nn.Linear(size, WORDS)
        self.position = nn.PositionalEncoding(size, 0.0, max_len=LENGTH + 1, batch_first=True)
        self.transformer = nn.Transformer(size, 2, 1, 1, 2 * size, 0.0, batch_first=True)

    def forward(self, given, before):
        """The scores of each next word, from the words given and those of the answer before it."""
        given, answer = (self.position(self.embed(t)) for t in (given, before))
        mask = self.transformer.generate_square_subsequent_mask(before.shape[1])
        return self.out(self.transformer(given, answer, tgt_mask=mask, tgt_is_causal=True))

    def answer(self, given):
        """Word by word, each the likeliest after its own words before."""
        words = tl.full((len(given), 1), WORDS, dtype=tl.int64)
        for _ in range(LENGTH):
            words = tl.cat([words, self(given, words)[:, -1:].argmax(-1)], 1)
        return words[:, 1:]


def test_a_transformer_learns_to_turn_sequences_round():
    tl.manual_seed(0)
    rng, net = np.random.default_rng(0), Reverser()
    optimizer = tl.optim.Adam(net.parameters(), lr=3e-3)
    for _ in range(600):
        given = tl.tensor(rng.integers(0, WORDS, (64, LENGTH)))
        wanted = given.flip(1)
        before = tl.cat([tl.full((64, 1), WORDS, dtype=tl.int64), wanted[:, :-1]], 1)
        step(net, optimizer, F.cross_entropy(net(given, before).flatten(0, 1), wanted.flatten()))
    fresh = tl.tensor(np.random.default_rng(99).integers(0, WORDS, (1000, LENGTH)))
    with tl.no_grad():
        right = net.eval().answer(fresh) == fresh.flip(1)
    words, whole = right.float().mean().item(), right.all(1).float().mean().item()
    print(f"words {words:.4f}, whole sequences {whole:.4f}")
    assert words >= 0.99 and whole >= 0.99
