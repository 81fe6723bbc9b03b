"""The same on every device: random numbers of one seed, Philox against its known answers, the training of a GPT."""

import numpy as np
import pytest
from standin_rules import no_sync, syncs

import tensorlite as tl
from tensorlite.models.gpt import GPT, GPTConfig
from tensorlite.nn import functional as F

RANDOM = {
    "rand": lambda: tl.rand(3, 4),
    "rand, float64": lambda: tl.rand(5, dtype=tl.float64),
    "randn": lambda: tl.randn(3, 4),
    "randn, float16": lambda: tl.randn(7, dtype=tl.float16),
    "randint": lambda: tl.randint(-5, 9, (20,)),
    "randperm": lambda: tl.randperm(17),
    "normal": lambda: tl.normal(tl.zeros(5), 2.0),
    "bernoulli": lambda: tl.bernoulli(tl.full((30,), 0.3)),
    "multinomial": lambda: tl.multinomial(tl.tensor([0.1, 0.6, 0.0, 0.3]), 3),
    "multinomial, with replacement": lambda: tl.multinomial(tl.tensor([[1.0, 2, 3], [3, 0, 1]]), 9, replacement=True),
    "rand_like": lambda: tl.rand_like(tl.zeros(4)),
    "uniform_": lambda: tl.zeros(6).uniform_(-1, 1),
    "normal_": lambda: tl.zeros(6).normal_(1.0, 3.0),
    "dropout": lambda: F.dropout(tl.ones(50), 0.4),
    "dropout of attention": lambda: F.scaled_dot_product_attention(*[tl.ones(2, 5, 4)] * 3, dropout_p=0.5),
}


@pytest.mark.parametrize("name", RANDOM)
def test_one_seed_gives_equal_numbers_everywhere(device, name):
    def draw(where):
        tl.manual_seed(123)
        with tl.device(where):
            first, second = RANDOM[name](), RANDOM[name]()
        assert first.device.type == second.device.type == where
        return np.stack([first.cpu().numpy(), second.cpu().numpy()])

    here, on_cpu = draw(device), draw("cpu")
    assert here.dtype == on_cpu.dtype
    if name == "dropout of attention":  # the same places are dropped; sums of products may be rounded differently
        np.testing.assert_allclose(here, on_cpu, rtol=1e-5)
    else:
        np.testing.assert_array_equal(here, on_cpu)
    assert not np.array_equal(here[0], here[1]), "two draws in a row must differ"


def philox4x32(counter, key):
    """Philox4x32-10 (Salmon et al. 2011, section 3.3), word by word in Python integers."""
    c, (k0, k1) = counter, key
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [b >> 32 ^ c[1] ^ k0, b & 0xFFFFFFFF, a >> 32 ^ c[3] ^ k1, a & 0xFFFFFFFF]
        k0, k1 = k0 + 0x9E3779B9 & 0xFFFFFFFF, k1 + 0xBB67AE85 & 0xFFFFFFFF
    return c


def words(text):
    return [int(w, 16) for w in text.split()]


# The known answers published with Random123 (kat_vectors, philox4x32 with 10 rounds): counter, key, result.
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


@pytest.mark.parametrize("counter, key, result", KNOWN)
def test_philox_known_answers(counter, key, result):
    assert philox4x32(words(counter), words(key)) == words(result)


def test_philox_of_the_device_starts_with_the_first_known_answer(device):
    b = tl.get_default_device().backend
    bits = b.philox(4, 0, 0)
    assert bits.dtype == np.uint32 and b.to_host(bits).tolist() == words(KNOWN[0][2])


@pytest.mark.parametrize("seed, offset", [(0, 1), (2**32 + 5, 2**40 + 3), (2**64 - 1, 2**64 - 1), (2**63, 2**32 - 1)])
@pytest.mark.parametrize("count", [0, 1, 4, 11])
def test_philox_of_the_device(device, seed, offset, count):
    """The counter is (block, offset), the key the seed, low words first."""
    b, low = tl.get_default_device().backend, 0xFFFFFFFF
    blocks = [[n, 0, offset & low, offset >> 32] for n in range(3)]
    expected = [w for block in blocks for w in philox4x32(block, (seed & low, seed >> 32))]
    with no_sync():
        bits = b.philox(count, seed, offset)
    assert b.to_host(bits).tolist() == expected[:count]


def test_dropout_mask_follows_the_bits(device):
    b = tl.get_default_device().backend
    mask = b.to_host(b.dropout_mask((4, 5), 0.25, 9, 3, np.dtype("float32")))
    bits = b.to_host(b.philox(20, 9, 3)).reshape(4, 5)
    np.testing.assert_array_equal(mask, np.where(bits >= 2**30, np.float32(1 / 0.75), np.float32(0)))


# ---- the whole way: a GPT trains alike on every device ---------------------------------------------------------------


def losses(where):
    tl.manual_seed(1)
    with tl.device(where):
        model = GPT(GPTConfig(vocab_size=20, block_size=8, layers=2, heads=2, dim=16, dropout=0.1, bias=True))
        optimizer = tl.optim.AdamW(model.parameters(), lr=1e-2)
        found = []
        for _ in range(4):
            text = tl.randint(0, 20, (3, 9))
            with syncs() as waited:
                _, loss = model(text[:, :-1], text[:, 1:])
                optimizer.zero_grad()
                loss.backward()
                norm = tl.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
            found.append((loss.item(), norm.item()))
        tokens = model.generate(tl.zeros(1, 1, dtype=tl.int64), 10, top_k=5).tolist()
    return np.array(found), tokens, waited


def test_gpt_trains_alike(device):
    here, tokens, waited = losses(device)
    on_cpu, tokens_on_cpu, _ = losses("cpu")
    np.testing.assert_allclose(here, on_cpu, rtol=1e-4)  # kernels may differ in rounding
    assert tokens == tokens_on_cpu
    # The only waits of a step: the largest and smallest token id, position and target are looked at.
    assert set(waited) <= {"int()", "tolist()", "get()"} and len(waited) <= 6
