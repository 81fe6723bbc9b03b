"""Adaptive softmax: log-probabilities of very many classes at the cost of few (AdaptiveLogSoftmaxWithLoss)."""

import itertools
from collections import namedtuple

from tensorlite import errors
from tensorlite.creation import zeros
from tensorlite.nn import functional as F
from tensorlite.nn.container import ModuleList, Sequential
from tensorlite.nn.linear import Linear
from tensorlite.nn.module import Module
from tensorlite.ops.join import cat
from tensorlite.ops.select import where
from tensorlite.tensor import path

__all__ = ["AdaptiveLogSoftmaxWithLoss"]

_ASMoutput = namedtuple("_ASMoutput", "output loss")


class AdaptiveLogSoftmaxWithLoss(Module):
    """The classes, numbered from the most frequent on, in a shortlist and clusters of rarer ones (Grave et al. 2017).

        log p(c) = log softmax(head(x))[c]                                          for c in the shortlist, below cutoffs[0]
        log p(c) = log softmax(head(x))[cluster] + log softmax(tail(x))[c]          for c in a cluster, from cutoffs[i] on

    Cluster i is seen through in_features // div_value^(i + 1) features only. forward(input (N, in_features), target (N,)) ->
    (output (N,): the log-probabilities of the targets, loss: their mean, negative); or one example, (in_features,) and ().
    cutoffs: rising numbers of 1 to n_classes - 1. head_bias: whether the head has a bias.

    Raises:
        ArgumentError: cutoffs that do not rise, or lie outside. ShapeError: an input or target of another shape.
        IndexRangeError: a target outside of 0..n_classes-1.

    Example:
        >>> import tensorlite as tl
        >>> layer = tl.nn.AdaptiveLogSoftmaxWithLoss(8, 1000, cutoffs=[10, 100])
        >>> output, loss = layer(tl.randn(4, 8), tl.tensor([3, 50, 999, 0]))
        >>> output.shape, bool((loss == -output.mean()).all()), layer.log_prob(tl.randn(4, 8)).shape
        ((4,), True, (4, 1000))
    """

    def __init__(self, in_features, n_classes, cutoffs, div_value=4.0, head_bias=False, device=None, dtype=None):
        super().__init__()
        cutoffs = list(cutoffs)
        if not cutoffs or any(int(c) != c for c in cutoffs) or cutoffs != sorted({*cutoffs}) or cutoffs[0] < 1:
            raise errors.ArgumentError(
                f"AdaptiveLogSoftmaxWithLoss: cutoffs must be rising whole numbers of at least 1, got {cutoffs}"
            )
        if cutoffs[-1] > n_classes - 1:
            raise errors.ArgumentError(
                f"AdaptiveLogSoftmaxWithLoss: the last cutoff is {cutoffs[-1]}, with {n_classes} classes it can be "
                f"{n_classes - 1} at most"
            )
        self.in_features, self.n_classes, self.cutoffs = in_features, n_classes, [*cutoffs, n_classes]
        self.div_value, self.head_bias = div_value, head_bias
        self.shortlist_size, self.n_clusters = cutoffs[0], len(cutoffs)
        self.head_size = self.shortlist_size + self.n_clusters
        where = {"device": device, "dtype": dtype}
        self.head = Linear(in_features, self.head_size, head_bias, **where)
        self.tail = ModuleList()
        for i, (low, high) in enumerate(itertools.pairwise(self.cutoffs)):
            width = int(in_features // div_value ** (i + 1))
            self.tail.append(
                Sequential(Linear(in_features, width, False, **where), Linear(width, high - low, False, **where))
            )

    def reset_parameters(self):
        """Draw new initial weights."""
        self.head.reset_parameters()
        for near, far in self.tail:
            near.reset_parameters()
            far.reset_parameters()

    def forward(self, input, target):
        single = target.ndim == 0
        batch, goal = (input.unsqueeze(0), target.unsqueeze(0)) if single else (input, target)
        self._check(batch, goal, input, target)
        target.device.backend.check_range(goal.array, self.n_classes, "target class")
        head = self._head(batch)
        column, more = (
            goal,
            zeros(len(goal), device=head.device, dtype=head.dtype),
        )  # of the head; the log-probability inside
        for i, (low, high) in enumerate(itertools.pairwise(self.cutoffs)):
            inside = (goal >= low) & (goal < high)
            rows = inside.nonzero().squeeze(1)
            if len(rows):
                column = where(inside, self.shortlist_size + i, column)
                cluster = F.log_softmax(self.tail[i](batch.index_select(0, rows)), dim=1)
                chosen = cluster.gather(1, (goal.index_select(0, rows) - low).unsqueeze(1)).squeeze(1)
                more = more.index_copy(0, rows, chosen.to(more.dtype))
        output = head.gather(1, column.unsqueeze(1)).squeeze(1) + more
        return _ASMoutput(output.squeeze(0) if single else output, -output.mean())

    def _head(self, input):
        return F.log_softmax(self.head(input), dim=1)

    def _check(self, batch, goal, input, target):
        if batch.ndim != 2 or goal.ndim != 1 or batch.shape[0] != goal.shape[0] or batch.shape[1] != self.in_features:
            fault = f"input must be (N, {self.in_features}) and target (N,), or ({self.in_features},) and ()"
            table = errors.argument_table(("input", "target"), (input, target))
            raise errors.ShapeError(errors.compose(type(self).__name__, fault, table, path()))

    def log_prob(self, input):
        """The log-probabilities of all classes: (N, in_features) -> (N, n_classes)."""
        head = self._head(input)
        parts = [head[:, : self.shortlist_size]]
        for i, tail in enumerate(self.tail):
            at = self.shortlist_size + i
            parts.append(F.log_softmax(tail(input), dim=1) + head[:, at : at + 1])
        return cat(parts, 1)

    def predict(self, input):
        """The most likely class: (N, in_features) -> (N,). Clusters that cannot win are not computed."""
        head = self.head(input)
        best = head.argmax(dim=1)
        rows = (best >= self.shortlist_size).nonzero().squeeze(1)
        if len(rows):
            best = best.index_copy(0, rows, self.log_prob(input.index_select(0, rows)).argmax(dim=1))
        return best
