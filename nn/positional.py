"""Positions for transformers, which have no order of their own: PositionalEncoding (sine and cosine), LearnedPositionalEncoding,
RotaryPositionalEncoding. PyTorch has none of them; the first two add to the embeddings, the third turns queries and keys."""

from tensorlite import errors
from tensorlite.creation import arange, empty
from tensorlite.nn import functional as F, init
from tensorlite.nn.functional.dropout import check_p
from tensorlite.nn.module import Module
from tensorlite.nn.parameter import Parameter
from tensorlite.ops.join import cat, stack
from tensorlite.tensor import Tensor, here

__all__ = ["LearnedPositionalEncoding", "PositionalEncoding", "RotaryPositionalEncoding"]


class _Tables(Module):
    """Keeps tables computed once for each dtype and device, in float64 before they are rounded. They are no state."""

    def __init__(self, max_len):
        super().__init__()
        if max_len < 1:
            raise errors.ArgumentError(f"{type(self).__name__}: max_len must be at least 1, got {max_len}")
        self.max_len = max_len
        self._kept = {}

    def _table(self, like):
        key = (like.dtype.name, str(like.device))
        if key not in self._kept:
            self._kept[key] = tuple(t.to(device=like.device, dtype=like.dtype) for t in self.make_table())
        return self._kept[key]

    def _range(self, start, length):
        if start < 0 or start + length > self.max_len:
            fault = f"positions {start} to {start + length - 1} are needed, max_len is {self.max_len}"
            raise errors.ShapeError(here(f"{type(self).__name__}: {fault}; give a larger max_len"))
        return slice(start, start + length)

    def __getstate__(self):
        return {**super().__getstate__(), "_kept": {}}


def _angles(max_len, size, base):
    """position / base^(2 i / size) for i below size / 2, as (max_len, size / 2) in float64."""
    rates = base ** (arange(0, size, 2, dtype="float64", device="cpu") * (-1.0 / size))
    return arange(max_len, dtype="float64", device="cpu")[:, None] * rates


class _Added(_Tables):
    """x + positions, then dropout."""

    def __init__(self, d_model, dropout, max_len, batch_first):
        super().__init__(max_len)
        check_p(type(self).__name__, dropout)
        if d_model < 1:
            raise errors.ArgumentError(f"{type(self).__name__}: d_model must be at least 1, got {d_model}")
        self.d_model, self.dropout, self.batch_first = d_model, dropout, batch_first

    def forward(self, x, start=0):
        if not isinstance(x, Tensor) or x.ndim not in (2, 3) or x.shape[-1] != self.d_model:
            wanted = f"(N, T, {self.d_model})" if self.batch_first else f"(T, N, {self.d_model})"
            got = errors.describe(x) if isinstance(x, Tensor) else type(x).__name__
            raise errors.ShapeError(
                here(f"{type(self).__name__}: x must be {wanted} or (T, {self.d_model}), got {got}")
            )
        across = x.ndim == 3 and not self.batch_first  # the sequences lie between positions and features
        rows = self.positions(x)[self._range(start, x.shape[0 if across or x.ndim == 2 else 1])]
        return F.dropout(x + (rows.unsqueeze(1) if across else rows), self.dropout, self.training)

    def extra_repr(self):
        return f"{self.d_model}, dropout={self.dropout}, max_len={self.max_len}, batch_first={self.batch_first}"


class PositionalEncoding(_Added):
    """x + PE, then dropout: PE[t, 2i] = sin(t / 10000^(2i / d_model)), PE[t, 2i + 1] = cos of the same (Vaswani et al. 2017, 3.5).

    x (T, N, d_model), with batch_first (N, T, d_model), or (T, d_model); `start` is the position of the first row.

    Raises:
        ShapeError: another number of features, or a position beyond max_len.

    Example:
        >>> import tensorlite as tl
        >>> tl.nn.PositionalEncoding(4, dropout=0.0)(tl.zeros(2, 4))
        tensor([[0.0000, 1.0000, 0.0000, 1.0000],
                [0.8415, 0.5403, 0.0100, 0.9999]])
    """

    def __init__(self, d_model, dropout=0.1, max_len=5000, batch_first=False):
        super().__init__(d_model, dropout, max_len, batch_first)

    def make_table(self):
        """PE as (max_len, d_model)."""
        angles = _angles(self.max_len, self.d_model, 10000.0)
        return (stack([angles.sin(), angles.cos()], -1).flatten(1)[:, : self.d_model],)

    def positions(self, x):
        """PE in the dtype of x."""
        return self._table(x)[0]


class LearnedPositionalEncoding(_Added):
    """x + weight[t], then dropout: a vector for each position, learned (as in Devlin et al. 2018). Shapes: PositionalEncoding.

    weight (max_len, d_model) is normal with deviation 0.02 at the start.

    Raises:
        ShapeError: another number of features, or a position beyond max_len.

    Example:
        >>> import tensorlite as tl
        >>> tl.nn.LearnedPositionalEncoding(4, max_len=16, batch_first=True)(tl.zeros(3, 10, 4)).shape
        (3, 10, 4)
    """

    def __init__(self, d_model, dropout=0.1, max_len=5000, batch_first=False, device=None, dtype=None):
        super().__init__(d_model, dropout, max_len, batch_first)
        self.weight = Parameter(empty(max_len, d_model, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self):
        """Draw new vectors."""
        init.normal_(self.weight, 0.0, 0.02)

    def positions(self, x):
        """The weight."""
        return self.weight


class RotaryPositionalEncoding(_Tables):
    """Turns pairs of features of queries and keys by angles that grow with the position (Su et al. 2021): the product of a query
    at s and a key at t then depends on s - t alone.

    x (..., T, dim) -> the same shape: (a, b) becomes (a cos - b sin, a sin + b cos), the angle of pair i at position t being
    t / base^(2i / dim). The pairs are feature i and i + dim / 2, or with interleaved 2i and 2i + 1. `start`: as PositionalEncoding.

    Raises:
        ArgumentError: dim is not even. ShapeError: another number of features, or a position beyond max_len.

    Example:
        >>> import tensorlite as tl
        >>> rotary = tl.nn.RotaryPositionalEncoding(2)
        >>> rotary(tl.tensor([[1.0, 0.0], [1.0, 0.0]]))
        tensor([[1.0000, 0.0000],
                [0.5403, 0.8415]])
    """

    def __init__(self, dim, max_len=5000, base=10000.0, interleaved=False):
        super().__init__(max_len)
        if dim < 2 or dim % 2:
            raise errors.ArgumentError(f"RotaryPositionalEncoding: dim must be even and at least 2, got {dim}")
        if base <= 0:
            raise errors.ArgumentError(f"RotaryPositionalEncoding: base must be positive, got {base}")
        self.dim, self.base, self.interleaved = dim, base, interleaved

    def make_table(self):
        """cos and sin of the angles, (max_len, dim / 2) each."""
        angles = _angles(self.max_len, self.dim, float(self.base))
        return angles.cos(), angles.sin()

    def forward(self, x, start=0):
        if not isinstance(x, Tensor) or x.ndim < 2 or x.shape[-1] != self.dim:
            got = errors.describe(x) if isinstance(x, Tensor) else type(x).__name__
            raise errors.ShapeError(here(f"RotaryPositionalEncoding: x must be (..., T, {self.dim}), got {got}"))
        rows = self._range(start, x.shape[-2])
        cos, sin = (table[rows] for table in self._table(x))
        if self.interleaved:
            a, b = x.unflatten(-1, (-1, 2)).unbind(-1)
            return stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2)
        a, b = x.chunk(2, -1)
        return cat([a * cos - b * sin, a * sin + b * cos], -1)

    def extra_repr(self):
        return f"{self.dim}, max_len={self.max_len}, base={self.base}, interleaved={self.interleaved}"
