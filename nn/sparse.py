"""Tables of vectors: Embedding reads rows one by one, EmbeddingBag sums, averages or maximises them in bags."""

from tensorlite import errors
from tensorlite.creation import empty
from tensorlite.modes import no_grad
from tensorlite.nn import functional as F, init
from tensorlite.nn.module import Module
from tensorlite.nn.parameter import Parameter
from tensorlite.ops.conv import whole

__all__ = ["Embedding", "EmbeddingBag"]


class _Table(Module):
    """The table of both layers, and how it is made."""

    def __init__(self, num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse,
                 weight, freeze, device, dtype):  # fmt: skip
        super().__init__()
        name = type(self).__name__
        whole(name, "num_embeddings", num_embeddings)
        whole(name, "embedding_dim", embedding_dim)
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise errors.ArgumentError(f"{name}: padding_idx {padding_idx} is outside of the {num_embeddings} rows")
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = padding_idx % num_embeddings if padding_idx is not None else None
        self.max_norm, self.norm_type = max_norm, norm_type
        self.scale_grad_by_freq, self.sparse = scale_grad_by_freq, sparse
        if weight is None:
            table = empty(num_embeddings, embedding_dim, device=device, dtype=dtype)
            self.weight = Parameter(table, requires_grad=not freeze)
            self.reset_parameters()
        else:
            if tuple(weight.shape) != (num_embeddings, embedding_dim):
                raise errors.ShapeError(
                    f"{name}: the table must have shape {(num_embeddings, embedding_dim)}, got {tuple(weight.shape)}"
                )
            self.weight = Parameter(weight, requires_grad=not freeze)

    def reset_parameters(self):
        """Draw new initial weights; the row padding_idx is 0."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with no_grad():
                self.weight[self.padding_idx].zero_()

    def _shown(self, *rest):
        options = {"padding_idx": None, "max_norm": None, "norm_type": 2, "scale_grad_by_freq": False}
        shown = {k: getattr(self, k) for k, usual in options.items() if getattr(self, k) != usual}
        shown.update({k: getattr(self, k) for k in rest})
        return shown

    def extra_repr(self):
        shown = self._shown(*["sparse"] * bool(self.sparse))
        return ", ".join([f"{self.num_embeddings}, {self.embedding_dim}", *(f"{k}={v}" for k, v in shown.items())])


def _a_table(name, embeddings):
    if embeddings.ndim != 2:
        raise errors.ShapeError(
            f"{name}.from_pretrained: a table (rows, features) is needed, got {errors.describe(embeddings)}"
        )
    return embeddings.shape


class Embedding(_Table):
    """Rows of `weight` (num_embeddings, embedding_dim), normal with variance 1 at the start; ids (...) -> (..., embedding_dim).

    padding_idx: the row that starts at 0 and gets no gradient.
    max_norm: rows that are read are first brought to this norm_type-norm where theirs is larger, in the table itself.
    scale_grad_by_freq: the gradient of a row is divided by the number of times it was read.
    sparse: accepted for PyTorch's sake; gradients are dense.

    Raises:
        ArgumentError: a padding_idx outside of the table. IndexRangeError: an id outside 0..num_embeddings-1.
        DTypeError: ids that are not integers.

    Example:
        >>> import tensorlite as tl
        >>> tl.nn.Embedding(10, 3)(tl.tensor([[1, 2], [4, 9]])).shape
        (2, 2, 3)
    """

    def __init__(self, num_embeddings, embedding_dim, padding_idx=None, max_norm=None, norm_type=2.0,
                 scale_grad_by_freq=False, sparse=False, _weight=None, _freeze=False, device=None, dtype=None):  # fmt: skip
        super().__init__(num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse,
                         _weight, _freeze, device, dtype)  # fmt: skip

    @classmethod
    def from_pretrained(cls, embeddings, freeze=True, padding_idx=None, max_norm=None, norm_type=2.0,
                        scale_grad_by_freq=False, sparse=False):  # fmt: skip
        """A layer on a given table (rows, features), which it shares; frozen unless said otherwise."""
        rows, width = _a_table(cls.__name__, embeddings)
        return cls(rows, width, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, embeddings, freeze)

    def forward(self, input):
        return F.embedding(input, self.weight, self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq,
                           self.sparse)  # fmt: skip


class EmbeddingBag(_Table):
    """The sum, mean or maximum (mode) of the rows of each bag of ids: Embedding and a reduction in one.

    forward(input, offsets=None, per_sample_weights=None): input (B, N), B bags of N ids; or (n,) with offsets (B,), where each
    bag begins (include_last_offset: also where the last one ends) -> (B, embedding_dim). An empty bag gives 0.
    per_sample_weights: factors on the rows, for mode "sum". padding_idx: the id that does not count. The rest as in Embedding.

    Raises:
        ArgumentError: an unknown mode, offsets that do not begin at 0 or fall. The rest as Embedding.

    Example:
        >>> import tensorlite as tl
        >>> bag = tl.nn.EmbeddingBag(10, 3, mode="sum")
        >>> bag(tl.tensor([1, 2, 4, 5, 9]), tl.tensor([0, 2])).shape
        (2, 3)
    """

    def __init__(self, num_embeddings, embedding_dim, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, mode="mean",
                 sparse=False, _weight=None, include_last_offset=False, padding_idx=None, device=None, dtype=None):  # fmt: skip
        if mode not in ("sum", "mean", "max"):
            raise errors.ArgumentError(f"EmbeddingBag: mode must be 'sum', 'mean' or 'max', not {mode!r}")
        super().__init__(num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse,
                         _weight, False, device, dtype)  # fmt: skip
        self.mode, self.include_last_offset = mode, include_last_offset

    @classmethod
    def from_pretrained(cls, embeddings, freeze=True, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, mode="mean",
                        sparse=False, include_last_offset=False, padding_idx=None):  # fmt: skip
        """A layer on a given table (rows, features), which it shares; frozen unless said otherwise."""
        rows, width = _a_table(cls.__name__, embeddings)
        layer = cls(rows, width, max_norm, norm_type, scale_grad_by_freq, mode, sparse, embeddings, include_last_offset,
                    padding_idx)  # fmt: skip
        layer.weight.requires_grad_(not freeze)
        return layer

    def forward(self, input, offsets=None, per_sample_weights=None):
        return F.embedding_bag(input, self.weight, offsets, self.max_norm, self.norm_type, self.scale_grad_by_freq,
                               self.mode, self.sparse, per_sample_weights, self.include_last_offset, self.padding_idx)  # fmt: skip

    def extra_repr(self):
        shown = self._shown("mode")
        padding = shown.pop("padding_idx", None)
        shown |= {} if padding is None else {"padding_idx": padding}
        return ", ".join([f"{self.num_embeddings}, {self.embedding_dim}", *(f"{k}={v!r}" for k, v in shown.items())])
