"""Recurrent layers over whole sequences: RNN, LSTM, GRU. Single steps are in nn/rnn_cells.py, the derivatives in
ops/recurrent.py: one operation serves all steps of a layer and direction."""

import math
import warnings

from tensorlite import errors
from tensorlite.creation import empty, zeros
from tensorlite.nn import functional as F, init
from tensorlite.nn.module import Module
from tensorlite.nn.parameter import Parameter
from tensorlite.nn.utils.rnn import PackedSequence
from tensorlite.ops.join import cat, stack
from tensorlite.ops.recurrent import GruSteps, LstmSteps, RnnSteps
from tensorlite.tensor import Tensor, here, mode

__all__ = ["GRU", "LSTM", "RNN", "RNNBase"]

GATES = {"RNN_TANH": 1, "RNN_RELU": 1, "LSTM": 4, "GRU": 3}


def check_sizes(name, **sizes):
    """Refuse sizes that are no positive whole numbers."""
    for what, n in sizes.items():
        if not hasattr(n, "__index__"):
            raise errors.DTypeError(f"{name}: {what} must be an int, not {type(n).__name__}")
        if n <= 0:
            raise errors.ArgumentError(f"{name}: {what} must be at least 1, got {n}")


class RNNBase(Module):
    """What RNN, LSTM and GRU share. `mode`: "RNN_TANH", "RNN_RELU", "LSTM" or "GRU".

    input (T, N, F), with batch_first (N, T, F), of one sequence (T, F), or a PackedSequence; F = input_size.
    hx: the states to begin with, (L D, N, H) or (L D, H): L = num_layers, D = 2 if bidirectional else 1, H = hidden_size; zeros
    unless given. LSTM: a pair (h, c).
    Returns (output, states): output like input with D H features, the states of the last layer after every step, both directions
    side by side; states like hx: those after the last step.
    dropout: on the output of every layer but the last, in training. bidirectional: a second net reads from the end.

    Weights of layer k: weight_ih_l{k} (G H, F or D H), weight_hh_l{k} (G H, H), bias_ih_l{k}, bias_hh_l{k} (G H,), G gates below
    one another, and those of the way back with the ending _reverse; uniform in +-1 / sqrt(H) at the start.
    """

    def __init__(self, mode, input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0,
                 bidirectional=False, proj_size=0, device=None, dtype=None):  # fmt: skip
        super().__init__()
        name = type(self).__name__
        if mode not in GATES:
            raise errors.ArgumentError(f"{name}: mode must be one of {', '.join(GATES)}, not {mode!r}")
        check_sizes(name, input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        if isinstance(dropout, bool) or not isinstance(dropout, (int, float)) or not 0 <= dropout <= 1:
            raise errors.ArgumentError(f"{name}: dropout must be a number in 0..1, got {dropout!r}")
        if proj_size and mode != "LSTM":
            raise errors.ArgumentError(f"{name}: proj_size={proj_size} is for LSTM only")
        if not 0 <= proj_size < hidden_size:
            raise errors.ArgumentError(
                f"{name}: proj_size must be from 0 (none) to hidden_size - 1, got proj_size={proj_size},"
                f" hidden_size={hidden_size}"
            )
        if dropout and num_layers == 1:
            warnings.warn(
                f"{name}: dropout={dropout} has no effect with num_layers=1: it comes between layers", stacklevel=3
            )
        self.mode, self.input_size, self.hidden_size, self.num_layers = mode, input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout = bias, batch_first, float(dropout)
        self.bidirectional, self.proj_size = bidirectional, proj_size
        self._names = []  # of the weights: a list for each layer and direction
        rows, out = GATES[mode] * hidden_size, proj_size or hidden_size
        for layer in range(num_layers):
            width = input_size if layer == 0 else out * (1 + bidirectional)
            for ending in ("", "_reverse")[: 1 + bidirectional]:
                shapes = {"weight_ih": (rows, width), "weight_hh": (rows, out)}
                if bias:
                    shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
                if proj_size:
                    shapes["weight_hr"] = (proj_size, hidden_size)
                self._names.append([f"{kind}_l{layer}{ending}" for kind in shapes])
                for full, shape in zip(self._names[-1], shapes.values(), strict=True):
                    self.register_parameter(full, Parameter(empty(*shape, device=device, dtype=dtype)))
        self.reset_parameters()

    def reset_parameters(self):
        """Draw new initial weights."""
        bound = 1 / math.sqrt(self.hidden_size)
        for w in self.parameters():
            init.uniform_(w, -bound, bound)

    def flatten_parameters(self) -> None:
        """Nothing: PyTorch's way of laying out weights for cuDNN is not needed here."""

    @property
    def all_weights(self):
        """The weights, a list for each layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._names]

    def forward(self, input, hx=None):
        packed = input if isinstance(input, PackedSequence) else None
        single = packed is None and isinstance(input, Tensor) and input.ndim == 2
        if packed is not None:
            data, sizes = packed.data, tuple(packed.batch_sizes.tolist())
            self._check(data, 2, "the data of a packed sequence", "(rows, features)")
        else:
            self._check(
                input,
                2 if single else 3,
                "input",
                "(T, features), (T, N, features) or, with batch_first, (N, T, features)",
            )
            x = input.unsqueeze(1) if single else input.transpose(0, 1) if self.batch_first else input
            data, sizes = x.flatten(0, 1), (x.shape[1],) * x.shape[0]
        if not sizes:
            raise errors.ShapeError(
                here(f"{type(self).__name__}: at least one step is needed, got {errors.describe(input)}")
            )
        states = self._start(hx, data, sizes[0], single)
        if packed is not None and packed.sorted_indices is not None:
            states = [s.index_select(1, packed.sorted_indices) for s in states]
        data, states = self._run(data, states, sizes)
        if packed is not None:
            out = PackedSequence(data, *packed[1:])
            if packed.unsorted_indices is not None:
                states = [s.index_select(1, packed.unsorted_indices) for s in states]
        elif single:
            out, states = data, [s.squeeze(1) for s in states]
        else:
            out = data.unflatten(0, x.shape[:2])
            out = out.transpose(0, 1) if self.batch_first else out
        return out, tuple(states) if self.mode == "LSTM" else states[0]

    def _run(self, data, states, sizes):
        """All layers on rows `data`, states (L D, N, H): the rows of the last layer and the last states."""
        starts = list(zip(*[s.unbind(0) for s in states], strict=True))
        ends, directions = [], 1 + self.bidirectional
        for layer in range(self.num_layers):
            rows = []
            for way in range(directions):
                k = layer * directions + way
                y, *last = self._one(data, starts[k], self.all_weights[k], {"sizes": sizes, "reverse": way == 1})
                rows.append(y)
                ends.append(last)
            data = rows[0] if directions == 1 else cat(rows, -1)
            if layer < self.num_layers - 1:
                data = F.dropout(data, self.dropout, self.training)
        return data, [stack(s) for s in zip(*ends, strict=True)]

    def _one(self, data, start, weights, how):
        """One layer in one direction: the input's part of all steps in one matmul, then the walk over the steps."""
        w_ih, w_hh, *more = weights
        b_ih, b_hh = more[:2] if self.bias else (None, None)
        if self.mode == "GRU":  # b_hh of the new gate stands inside of the product with the reset gate
            return GruSteps.apply(F.linear(data, w_ih, b_ih), *start, w_hh, b_hh, **how)
        x = F.linear(data, w_ih, b_ih + b_hh if self.bias else None)
        if self.mode == "LSTM":
            return LstmSteps.apply(x, *start, w_hh, more[-1] if self.proj_size else None, **how)
        return RnnSteps.apply(x, *start, w_hh, relu=self.mode == "RNN_RELU", **how)

    def _check(self, x, ndim, what, wanted):
        name = type(self).__name__
        if not isinstance(x, Tensor):
            raise errors.DTypeError(here(f"{name}: {what} must be a Tensor, not {type(x).__name__}"))
        if x.ndim != ndim:
            raise errors.ShapeError(here(f"{name}: {what} must be {wanted}, got {errors.describe(x)}"))
        if x.shape[-1] != self.input_size:
            fault = f"{what} has {x.shape[-1]} features, the layer expects {self.input_size}: {errors.describe(x)}"
            raise errors.ShapeError(here(f"{name}: {fault}"))

    def _start(self, hx, data, batch, single):
        """The states to begin with, as a list of (L D, N, size)."""
        count = self.num_layers * (1 + self.bidirectional)
        widths = [self.proj_size or self.hidden_size] + [self.hidden_size] * (self.mode == "LSTM")
        if hx is None:
            return [zeros(count, batch, n, dtype=data.dtype, device=data.device) for n in widths]
        name = type(self).__name__
        if self.mode == "LSTM":
            if not isinstance(hx, (tuple, list)) or len(hx) != 2:
                raise errors.ArgumentError(here(f"{name}: hx must be a pair (h, c), not {type(hx).__name__}"))
        else:
            hx = (hx,)
        for what, state, n in zip(("h", "c"), hx, widths, strict=False):
            want = (count, n) if single else (count, batch, n)
            if not isinstance(state, Tensor) or tuple(state.shape) != want:
                got = tuple(state.shape) if isinstance(state, Tensor) else type(state).__name__
                raise errors.ShapeError(here(f"{name}: hx: {what} must have shape {want}, got {got}"))
            if state.dtype != data.dtype and not mode.casts:
                fault = f"hx: {what} is {state.dtype.name}, input {data.dtype.name}; convert one"
                raise errors.DTypeError(here(f"{name}: {fault}"))
        return [s.unsqueeze(1) for s in hx] if single else list(hx)

    def extra_repr(self):
        usual = {
            "proj_size": 0,
            "num_layers": 1,
            "bias": True,
            "batch_first": False,
            "dropout": 0,
            "bidirectional": False,
        }
        shown = [f"{k}={getattr(self, k)}" for k, v in usual.items() if getattr(self, k) != v]
        return ", ".join([str(self.input_size), str(self.hidden_size), *shown])


class RNN(RNNBase):
    """h_t = tanh(W_ih x_t + b_ih + W_hh h_t-1 + b_hh), or with relu (Elman 1990). Arguments and shapes: RNNBase.

    Raises:
        ArgumentError: a nonlinearity other than "tanh" and "relu", impossible sizes. ShapeError: input or hx of other shapes.

    Example:
        >>> import tensorlite as tl
        >>> y, h = tl.nn.RNN(3, 4, num_layers=2)(tl.ones(7, 5, 3))
        >>> y.shape, h.shape
        ((7, 5, 4), (2, 5, 4))
    """

    def __init__(self, input_size, hidden_size, num_layers=1, nonlinearity="tanh", bias=True, batch_first=False,
                 dropout=0.0, bidirectional=False, device=None, dtype=None):  # fmt: skip
        if nonlinearity not in ("tanh", "relu"):
            raise errors.ArgumentError(f"RNN: nonlinearity must be 'tanh' or 'relu', not {nonlinearity!r}")
        super().__init__(f"RNN_{nonlinearity.upper()}", input_size, hidden_size, num_layers, bias, batch_first, dropout,
                         bidirectional, 0, device, dtype)  # fmt: skip
        self.nonlinearity = nonlinearity


class LSTM(RNNBase):
    """Long short-term memory (Hochreiter and Schmidhuber 1997; Gers et al. 2000). Arguments and shapes: RNNBase.

    i, f, g, o = the four parts of W_ih x_t + b_ih + W_hh h_t-1 + b_hh, with s = sigmoid:
    c_t = s(f) c_t-1 + s(i) tanh(g); h_t = s(o) tanh(c_t); with proj_size P: h_t = W_hr (s(o) tanh(c_t)), weight_hr_l{k} (P, H)
    (Sak et al. 2014), so that output and h have P features.

    Raises:
        ArgumentError: impossible sizes. ShapeError: input or hx of other shapes.

    Example:
        >>> import tensorlite as tl
        >>> y, (h, c) = tl.nn.LSTM(3, 4, bidirectional=True)(tl.ones(7, 5, 3))
        >>> y.shape, h.shape, c.shape
        ((7, 5, 8), (2, 5, 4), (2, 5, 4))
    """

    def __init__(self, input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0,
                 bidirectional=False, proj_size=0, device=None, dtype=None):  # fmt: skip
        super().__init__("LSTM", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size,
                         device, dtype)  # fmt: skip


class GRU(RNNBase):
    """Gated recurrent unit (Cho et al. 2014). Arguments and shapes: RNNBase.

    r, z, n = the three parts of W_ih x_t + b_ih, a, b, c those of W_hh h_t-1 + b_hh, with s = sigmoid:
    n' = tanh(n + s(r + a) c); h_t = (1 - s(z + b)) n' + s(z + b) h_t-1. (In the paper the reset gate comes before W_hh.)

    Raises:
        ArgumentError: impossible sizes. ShapeError: input or hx of other shapes.

    Example:
        >>> import tensorlite as tl
        >>> y, h = tl.nn.GRU(3, 4, batch_first=True)(tl.ones(5, 7, 3))
        >>> y.shape, h.shape
        ((5, 7, 4), (1, 5, 4))
    """

    def __init__(self, input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0,
                 bidirectional=False, device=None, dtype=None):  # fmt: skip
        super().__init__("GRU", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, device,
                         dtype)  # fmt: skip
