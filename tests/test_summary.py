"""tl.summary: counts against formulas by hand, and nothing changed by it."""

import pytest

import tensorlite as tl
from tensorlite import errors, nn


def rows(model, *inputs):
    return {r.path: r for r in tl.summary(model, *inputs).rows}


def test_counts_by_hand(device):
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, groups=1), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8 * 36, 5))
    found = rows(net, tl.ones(2, 3, 6, 6))
    conv, linear = 2 * (2 * 8 * 36) * (3 * 9), 2 * (2 * 5) * (8 * 36)
    assert [found[p].flops for p in ("0", "1", "2", "3", "")] == [conv, 0, 0, linear, conv + linear]
    assert found["0"].parameters == 8 * 27 + 8 and found["1"].parameters == 16 and found[""].output == (2, 5)
    assert found["3"].parameters == 5 * 288 + 5 and found["0"].output == (2, 8, 6, 6)
    assert net[1].num_batches_tracked.item() == 0 and net.training and net[1].training


def test_attention_and_recurrent_steps(device):
    attention = nn.MultiheadAttention(8, 2, batch_first=True)
    x = tl.ones(3, 5, 8)
    assert tl.summary(attention, x, x, x, need_weights=False).flops == 4 * 2 * 15 * 64 + 2 * (3 * 2 * 5) * 5 * (4 + 4)
    for kind, gates in ((nn.RNN, 1), (nn.LSTM, 4), (nn.GRU, 3)):
        size = 2 * (7 * 2) * (gates * 6 * 4 + gates * 6 * 6)
        assert tl.summary(kind(4, 6), tl.ones(7, 2, 4)).flops == size
    up = nn.ConvTranspose1d(4, 6, 3)
    assert tl.summary(up, tl.ones(1, 4, 10)).flops == 2 * (4 * 10) * 6 * 3


def test_shared_frozen_and_called_twice():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(4, 4, bias=False)
            self.b = nn.Linear(4, 4, bias=False)
            self.b.weight = self.a.weight
            self.c = nn.Linear(4, 4).requires_grad_(False)

        def forward(self, x):
            return self.c(self.b(self.a(self.a(x)))), {"x": x}, [x]

    found = tl.summary(Tied(), tl.ones(1, 4))
    assert found.parameters == 16 + 20 and found.trainable == 16 and found.bytes == 36 * 4
    assert found.rows[1].calls == 2 and found.rows[1].flops == 64 and found.flops == 4 * 32
    assert found.rows[0].output == ((1, 4), ((1, 4),))
    assert "36 parameters, 16 of them trained" in str(found)


def test_without_inputs_and_after_a_fault():
    net = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5))
    net[1].eval()
    assert tl.summary(net).parameters == 16 and "FLOPs" not in str(tl.summary(net)).splitlines()[-1]
    state = tl.get_rng_state().tolist()
    with pytest.raises(errors.ShapeError, match=r"input has 5 features.*in 0"):
        net.summary(tl.ones(1, 5))
    net.summary(tl.ones(1, 3))
    assert net.training and net[0].training and not net[1].training and tl.get_rng_state().tolist() == state
    assert not net[0]._forward_hooks and net[0].weight.grad is None
