"""Recurrent layers and cells against PyTorch, packed and padded sequences, second derivatives, errors."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from layer_check import check, ids, normal
from numeric import host

import tensorlite as tl
from tensorlite import errors, nn
from tensorlite.nn.utils import rnn as ours

MODES = {
    "RNN": {}, "RNN relu": {"nonlinearity": "relu"}, "LSTM": {}, "LSTM proj": {"proj_size": 2}, "GRU": {},
}  # fmt: skip
OPTIONS = {
    "plain": {}, "no bias": {"bias": False}, "two layers": {"num_layers": 2, "batch_first": True},
    "both ways": {"bidirectional": True}, "all": {"num_layers": 3, "bidirectional": True, "bias": False},
}  # fmt: skip


def layer(mode, **options):
    return lambda lib: getattr(lib, mode.split()[0])(3, 4, **MODES[mode], **options)


def flatten(layer, *args):
    """Output, then the states, as one tuple."""
    y, states = layer(*args)
    y = y.data if hasattr(y, "batch_sizes") else y
    return (y, *states) if isinstance(states, tuple) else (y, states)


def start(mode, options, *batch):
    """States to begin with, as arrays: one, or two for an LSTM."""
    count = options.get("num_layers", 1) * (1 + options.get("bidirectional", False))
    widths = [MODES[mode].get("proj_size", 4)] + [4] * mode.startswith("LSTM")
    return [normal(count, *batch, n, seed=5 + i) for i, n in enumerate(widths)]


def with_states(layer, x, *states):
    return flatten(layer, x, states if len(states) == 2 else states[0])


def packing(lengths, enforce_sorted=True):
    """A call with the input packed, in the library of the layer."""

    def call(layer, x, *states):
        rnn = ours
        if not isinstance(layer, nn.Module):
            import torch.nn.utils.rnn as rnn
        packed = rnn.pack_padded_sequence(x, lengths, layer.batch_first, enforce_sorted)
        y, last = layer(packed, *((states,) if len(states) == 2 else states))
        full, n = rnn.pad_packed_sequence(y, layer.batch_first, padding_value=-1.5)
        return (full, n, y.data, *(last if isinstance(last, tuple) else (last,)))

    return call


@pytest.mark.parametrize("options", OPTIONS, ids=ids)
@pytest.mark.parametrize("mode", MODES, ids=ids)
def test_layers_equal_torch(mode, options):
    torch, options = pytest.importorskip("torch"), OPTIONS[options]
    make, x = layer(mode, **options), normal(5, 2, 3)
    n = 5 if options.get("batch_first") else 2
    check(torch, make, x, call=flatten, modes=(True,), steps=1)
    check(torch, make, x, *start(mode, options, n), call=with_states, modes=(False,))
    check(torch, make, normal(4, 3), *start(mode, options), call=with_states, modes=(False,))


@pytest.mark.parametrize("options", ["plain", "two layers", "all"], ids=ids)
@pytest.mark.parametrize("mode", MODES, ids=ids)
def test_packed_sequences_equal_torch(mode, options):
    torch, options = pytest.importorskip("torch"), OPTIONS[options]
    x = normal(3, 5, 3) if options.get("batch_first") else normal(5, 3, 3)
    check(torch, layer(mode, **options), x, call=packing([5, 3, 1]), modes=(False,))
    check(
        torch,
        layer(mode, **options),
        x,
        *start(mode, options, 3),
        call=packing([2, 4, 3], False),
        modes=(True,),
        steps=1,
    )


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", ["RNNCell", "RNNCell relu", "LSTMCell", "GRUCell"], ids=ids)
def test_cells_equal_torch(kind, bias):
    torch = pytest.importorskip("torch")
    more = {"nonlinearity": "relu"} if kind.endswith("relu") else {}

    def make(lib):
        return getattr(lib, kind.split()[0])(3, 4, bias=bias, **more)

    states = 2 if kind == "LSTMCell" else 1
    for batch in ((2,), ()):
        hs = [normal(*batch, 4, seed=i) for i in range(states)]
        call = lambda m, x, *s: m(x, *((s,) if len(s) == 2 else s))  # noqa: E731
        check(torch, make, normal(*batch, 3), *hs, call=call, modes=(False,))
        check(torch, make, normal(*batch, 3), modes=(True,), steps=1)


@pytest.mark.parametrize("mode", ["RNN", "LSTM", "GRU"])
def test_a_cell_in_a_loop_is_the_layer(device, mode):
    net = layer(mode)(nn)
    cell = getattr(nn, f"{mode}Cell")(3, 4)
    cell.load_state_dict({k.removesuffix("_l0"): v for k, v in net.state_dict().items()})
    x, state, rows = tl.tensor(normal(6, 2, 3).astype("f4")), None, []
    for step in x:
        state = cell(step, state)
        rows.append(state[0] if mode == "LSTM" else state)
    np.testing.assert_allclose(host(net(x)[0]), host(tl.stack(rows)), rtol=1e-5, atol=1e-6)


def test_dropout_lies_between_layers_in_training_only(device):
    net, x = nn.GRU(3, 5, num_layers=2, dropout=1.0), tl.ones(4, 2, 3)
    weights = dict(net.named_parameters())
    net(x)[0].sum().backward()
    assert not host(weights["weight_ih_l1"].grad).any() and not host(weights["weight_hh_l0"].grad).any()
    net.zero_grad()
    net.eval()(x)[0].sum().backward()
    assert host(weights["weight_ih_l1"].grad).any()
    with pytest.warns(UserWarning, match="dropout=0.5 has no effect with num_layers=1"):
        nn.RNN(3, 4, dropout=0.5)


@pytest.mark.parametrize("mode", MODES, ids=ids)
def test_second_derivatives(device, mode):
    if mode == "RNN relu":
        pytest.skip("it has none: its slope jumps")
    net = layer(mode, bidirectional=True)(nn).double()
    x = tl.tensor(normal(3, 2, 3), requires_grad=True)
    states = [tl.tensor(s, requires_grad=True) for s in start(mode, {"bidirectional": True}, 2)]
    f = lambda x, *s: with_states(net, x, *s)  # noqa: E731
    assert tl.gradcheck(f, (x, *states), fast_mode=True) and tl.gradgradcheck(f, (x, *states), fast_mode=True)
    weights = [p.detach().requires_grad_() for p in net.parameters()]

    def of_weights(*weights):
        named = dict(zip(dict(net.named_parameters()), weights, strict=True))
        return tl.func.functional_call(net, named, (x.detach(),))[0]

    assert tl.gradgradcheck(of_weights, weights, fast_mode=True)


def test_start_keys_copies_and_dtypes(device):
    tl.manual_seed(0)
    net = nn.LSTM(30, 25, num_layers=2, bidirectional=True)
    for p in net.parameters():
        w = host(p)
        assert abs(w).max() <= 0.2 and abs(w.mean()) < 0.05
        if w.ndim == 2:
            np.testing.assert_allclose(w.std(), 0.2 / 3**0.5, rtol=0.05)
    assert [len(ws) for ws in net.all_weights] == [4] * 4 and net.all_weights[0][0] is net.weight_ih_l0
    assert net.flatten_parameters() is None
    x = tl.ones(3, 2, 30)
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        np.testing.assert_array_equal(host(other(x)[0]), host(net(x)[0]))
    assert net.half()(x.half())[0].dtype == tl.float16 and nn.GRU(3, 4, dtype="float64").bias_hh_l0.dtype == tl.float64
    with tl.no_grad():
        assert not nn.GRU(3, 4)(tl.ones(2, 1, 3))[0].requires_grad


# ---------------------------------------------------------------- sequences of different lengths
def test_packing_equals_torch():
    torch = pytest.importorskip("torch")
    import torch.nn.utils.rnn as theirs

    x = normal(4, 3, 2)
    for lengths, enforce in (([4, 2, 2], True), ([1, 4, 3], False)):
        for batch_first in (False, True):
            given = x.transpose(1, 0, 2).copy() if batch_first else x
            a = ours.pack_padded_sequence(tl.tensor(given), tl.tensor(lengths), batch_first, enforce)
            b = theirs.pack_padded_sequence(torch.tensor(given), torch.tensor(lengths), batch_first, enforce)
            for one, other in zip(a, b, strict=True):
                assert (one is None) == (other is None)
                if one is not None:
                    np.testing.assert_array_equal(one.numpy(), other.numpy())
                    assert one.dtype.name == str(other.dtype).removeprefix("torch.")
            for total in (None, 6):
                for one, other in zip(ours.pad_packed_sequence(a, batch_first, 9.0, total),
                                      theirs.pad_packed_sequence(b, batch_first, 9.0, total), strict=True):  # fmt: skip
                    np.testing.assert_array_equal(one.numpy(), other.numpy())
            for one, other in zip(ours.unpack_sequence(a), theirs.unpack_sequence(b), strict=True):
                np.testing.assert_array_equal(one.numpy(), other.numpy())
    pieces = [normal(n, 2, seed=n) for n in (3, 1, 2)]
    for kw in ({}, {"batch_first": True}, {"padding_value": 2.0, "padding_side": "left"}):
        one = ours.pad_sequence([tl.tensor(p) for p in pieces], **kw)
        other = theirs.pad_sequence([torch.tensor(p) for p in pieces], **kw)
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    padded = ours.pad_sequence([tl.tensor(p) for p in pieces])
    for one, piece in zip(ours.unpad_sequence(padded, tl.tensor([3, 1, 2])), pieces, strict=True):
        np.testing.assert_array_equal(one.numpy(), piece)


def test_packed_sequences_move_and_change_dtype(device):
    pieces = [tl.tensor([1.0, 2.0], requires_grad=True), tl.tensor([3.0, 4.0, 5.0])]
    packed = ours.pack_sequence(pieces, enforce_sorted=False)
    assert packed.sorted_indices.tolist() == [1, 0] and packed.batch_sizes.tolist() == [2, 2, 1]
    assert packed.double().data.dtype == tl.float64 and packed.half().float().int().data.dtype == tl.int32
    assert isinstance(packed.cpu(), ours.PackedSequence) and not packed.cpu().is_cuda
    assert ours.invert_permutation(None) is None and ours.invert_permutation(tl.tensor([2, 0, 1])).tolist() == [1, 2, 0]
    (ours.pad_packed_sequence(packed, padding_value=7.0)[0] ** 2).sum().backward()
    assert pieces[0].grad.tolist() == [2.0, 4.0]
    assert ours.PackedSequence(packed.data, packed.batch_sizes).sorted_indices is None


X = lambda *s: tl.ones(*s)  # noqa: E731
WRONG = {
    "LSTM: input has 5 features, the layer expects 3: float32 (2, 1, 5)": lambda: nn.LSTM(3, 4)(X(2, 1, 5)),
    "GRU: input must be (T, features), (T, N, features) or": lambda: nn.GRU(3, 4)(X(3)),
    "RNN: at least one step is needed": lambda: nn.RNN(3, 4)(X(0, 1, 3)),
    "RNN: hx: h must have shape (1, 2, 4), got (2, 4)": lambda: nn.RNN(3, 4)(X(5, 2, 3), X(2, 4)),
    "LSTM: hx: c must have shape (1, 2, 4), got (1, 2, 3)": lambda: nn.LSTM(3, 4)(X(5, 2, 3), (X(1, 2, 4), X(1, 2, 3))),
    "LSTM: hx must be a pair (h, c), not Tensor": lambda: nn.LSTM(3, 4)(X(5, 2, 3), X(1, 2, 4)),
    "GRU: hx: h is float64, input float32; convert one": lambda: nn.GRU(3, 4)(X(5, 2, 3), X(1, 2, 4).double()),
    "GRU: input must be a Tensor, not list": lambda: nn.GRU(3, 4)([1.0]),
    "RNN: hidden_size must be at least 1, got 0": lambda: nn.RNN(3, 0),
    "RNN: hidden_size must be an int, not float": lambda: nn.RNN(3, 4.0),
    "GRU: num_layers must be at least 1, got 0": lambda: nn.GRU(3, 4, 0),
    "LSTM: dropout must be a number in 0..1, got 1.5": lambda: nn.LSTM(3, 4, 2, dropout=1.5),
    "LSTM: proj_size must be from 0 (none) to hidden_size - 1, got proj_size=4, hidden_size=4":
        lambda: nn.LSTM(3, 4, proj_size=4),
    "RNNBase: proj_size=2 is for LSTM only": lambda: nn.RNNBase("GRU", 3, 4, proj_size=2),
    "RNNBase: mode must be one of RNN_TANH, RNN_RELU, LSTM, GRU, not 'LSTN'": lambda: nn.RNNBase("LSTN", 3, 4),
    "RNN: nonlinearity must be 'tanh' or 'relu', not 'gelu'": lambda: nn.RNN(3, 4, nonlinearity="gelu"),
    "RNNCell: nonlinearity must be 'tanh' or 'relu', not 'gelu'": lambda: nn.RNNCell(3, 4, nonlinearity="gelu"),
    "GRUCell: input must be (N, 3) or (3,), got float32 (2, 5)": lambda: nn.GRUCell(3, 4)(X(2, 5)),
    "LSTMCell: hx must be a pair (h, c), not Tensor": lambda: nn.LSTMCell(3, 4)(X(2, 3), X(2, 4)),
    "LSTMCell: hx: c must have shape (2, 4), got (2, 3)": lambda: nn.LSTMCell(3, 4)(X(2, 3), (X(2, 4), X(2, 3))),
    "RNNCell: input must be a Tensor, not float": lambda: nn.RNNCell(3, 4)(1.0),
    "pack_padded_sequence: lengths must be in falling order, got [1, 2]": lambda: ours.pack_padded_sequence(X(3, 2), [1, 2]),
    "pack_padded_sequence: every length must be from 1 to 3, the steps of input; got 0 to 3":
        lambda: ours.pack_padded_sequence(X(3, 2), [3, 0]),
    "pack_padded_sequence: a length for each of the 2 sequences is needed": lambda: ours.pack_padded_sequence(X(3, 2), [3]),
    "pack_padded_sequence: input must have at least 2 dimensions": lambda: ours.pack_padded_sequence(X(3), [3]),
    "pad_packed_sequence: total_length=1 is less than the longest sequence, 2":
        lambda: ours.pad_packed_sequence(ours.pack_sequence([X(2)]), total_length=1),
    "pad_sequence: at least one sequence is needed": lambda: ours.pad_sequence([]),
    "pad_sequence: the sequences may differ in the first dimension only, got (2, 3) and (2, 4)":
        lambda: ours.pad_sequence([X(2, 3), X(2, 4)]),
    "pad_sequence: padding_side must be 'right' or 'left', not 'up'": lambda: ours.pad_sequence([X(2)], padding_side="up"),
    "PackedSequence: batch_sizes must be a tensor on the CPU, got NoneType": lambda: ours.PackedSequence(X(2)),
}  # fmt: skip


@pytest.mark.parametrize("text", WRONG, ids=lambda t: "-".join(t.split()[:6]))
def test_wrong_uses_are_told(text):
    with pytest.raises(errors.TensorliteError) as caught:
        WRONG[text]()
    assert str(caught.value).startswith(text)


def test_errors_name_the_path_of_the_layer():
    net = nn.Sequential(nn.Linear(3, 5), nn.GRU(3, 4))
    with pytest.raises(errors.ShapeError, match=r"GRU: input has 5 features, the layer expects 3: .* in 1"):
        net(X(2, 1, 3))


def test_no_warning_from_large_gates(device):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y, _ = nn.LSTM(1, 2)(tl.full((3, 1, 1), 1e4))
    assert np.isfinite(host(y)).all()
