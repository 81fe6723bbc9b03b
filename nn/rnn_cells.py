"""One step of a recurrent net: RNNCell, LSTMCell, GRUCell, of primitive operations, so that a picture shows every gate."""

import math

from tensorlite import errors
from tensorlite.creation import empty, zeros
from tensorlite.nn import functional as F, init
from tensorlite.nn.module import Module
from tensorlite.nn.parameter import Parameter
from tensorlite.nn.rnn import check_sizes
from tensorlite.ops.recurrent import gru_step, lstm_step
from tensorlite.tensor import Tensor, here

__all__ = ["GRUCell", "LSTMCell", "RNNCell", "RNNCellBase"]


class RNNCellBase(Module):
    """What the cells share: weight_ih (G H, F), weight_hh (G H, H), bias_ih and bias_hh (G H,), uniform in +-1 / sqrt(H)."""

    def __init__(self, input_size, hidden_size, bias, num_chunks, device=None, dtype=None):
        super().__init__()
        check_sizes(type(self).__name__, input_size=input_size, hidden_size=hidden_size)
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        rows, where = num_chunks * hidden_size, {"device": device, "dtype": dtype}
        self.weight_ih = Parameter(empty(rows, input_size, **where))
        self.weight_hh = Parameter(empty(rows, hidden_size, **where))
        self.register_parameter("bias_ih", Parameter(empty(rows, **where)) if bias else None)
        self.register_parameter("bias_hh", Parameter(empty(rows, **where)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self):
        """Draw new initial weights."""
        bound = 1 / math.sqrt(self.hidden_size)
        for w in self.parameters():
            init.uniform_(w, -bound, bound)

    def _parts(self, input, *states):
        """(W_ih input + b_ih, W_hh h + b_hh, the states), checked; a state that is None is zeros."""
        name = type(self).__name__
        if not isinstance(input, Tensor):
            raise errors.DTypeError(here(f"{name}: input must be a Tensor, not {type(input).__name__}"))
        if input.ndim not in (1, 2) or input.shape[-1] != self.input_size:
            fault = f"input must be (N, {self.input_size}) or ({self.input_size},), got {errors.describe(input)}"
            raise errors.ShapeError(here(f"{name}: {fault}"))
        want = (*input.shape[:-1], self.hidden_size)
        states = [zeros(want, dtype=input.dtype, device=input.device) if s is None else s for s in states]
        for what, s in zip(("h", "c"), states, strict=False):
            if not isinstance(s, Tensor) or tuple(s.shape) != want:
                got = tuple(s.shape) if isinstance(s, Tensor) else type(s).__name__
                raise errors.ShapeError(here(f"{name}: hx: {what} must have shape {want}, got {got}"))
        h = F.linear(states[0], self.weight_hh, self.bias_hh)
        return F.linear(input, self.weight_ih, self.bias_ih), h, states

    def extra_repr(self):
        text = f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")
        return text + (f", nonlinearity={self.nonlinearity}" if getattr(self, "nonlinearity", "tanh") != "tanh" else "")


class RNNCell(RNNCellBase):
    """h' = tanh(W_ih input + b_ih + W_hh h + b_hh), or with relu. input (N, F) or (F,), hx (N, H) or (H,), zeros unless given.

    Raises:
        ArgumentError: an unknown nonlinearity, impossible sizes. ShapeError: input or hx of other shapes.

    Example:
        >>> import tensorlite as tl
        >>> tl.nn.RNNCell(3, 4)(tl.ones(2, 3)).shape
        (2, 4)
    """

    def __init__(self, input_size, hidden_size, bias=True, nonlinearity="tanh", device=None, dtype=None):
        if nonlinearity not in ("tanh", "relu"):
            raise errors.ArgumentError(f"RNNCell: nonlinearity must be 'tanh' or 'relu', not {nonlinearity!r}")
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input, hx=None):
        x, h, _ = self._parts(input, hx)
        return (x + h).tanh() if self.nonlinearity == "tanh" else (x + h).relu()


class LSTMCell(RNNCellBase):
    """(h', c') of one step of LSTM. input (N, F) or (F,), hx a pair (h, c) of (N, H) or (H,), zeros unless given.

    Raises:
        ArgumentError: impossible sizes, an hx that is no pair. ShapeError: input or hx of other shapes.

    Example:
        >>> import tensorlite as tl
        >>> h, c = tl.nn.LSTMCell(3, 4)(tl.ones(2, 3))
        >>> h.shape, c.shape
        ((2, 4), (2, 4))
    """

    def __init__(self, input_size, hidden_size, bias=True, device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input, hx=None):
        if hx is not None and (not isinstance(hx, (tuple, list)) or len(hx) != 2):
            raise errors.ArgumentError(here(f"LSTMCell: hx must be a pair (h, c), not {type(hx).__name__}"))
        x, h, (_, c) = self._parts(input, *(hx or (None, None)))
        return lstm_step(x + h, c)


class GRUCell(RNNCellBase):
    """h' of one step of GRU. input (N, F) or (F,), hx (N, H) or (H,), zeros unless given.

    Raises:
        ArgumentError: impossible sizes. ShapeError: input or hx of other shapes.

    Example:
        >>> import tensorlite as tl
        >>> tl.nn.GRUCell(3, 4)(tl.ones(2, 3)).shape
        (2, 4)
    """

    def __init__(self, input_size, hidden_size, bias=True, device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input, hx=None):
        x, product, (h,) = self._parts(input, hx)
        return gru_step(x, product, h)
