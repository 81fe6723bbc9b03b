"""Distances and similarities of vectors as modules: CosineSimilarity, PairwiseDistance."""

from tensorlite.nn import functional as F
from tensorlite.nn.module import Module

__all__ = ["CosineSimilarity", "PairwiseDistance"]


class CosineSimilarity(Module):
    """x1 . x2 / (|x1| |x2|) along dim, the lengths at least eps; see F.cosine_similarity.

    Example:
        >>> import tensorlite as tl
        >>> tl.nn.CosineSimilarity(dim=0)(tl.tensor([3.0, 4.0]), tl.tensor([4.0, 3.0]))
        tensor(0.9600)
    """

    def __init__(self, dim=1, eps=1e-8):
        super().__init__()
        self.dim, self.eps = dim, eps

    def forward(self, x1, x2):
        return F.cosine_similarity(x1, x2, self.dim, self.eps)


class PairwiseDistance(Module):
    """The p-norm of x1 - x2 + eps along the last dimension; see F.pairwise_distance."""

    def __init__(self, p=2.0, eps=1e-6, keepdim=False):
        super().__init__()
        self.norm, self.eps, self.keepdim = p, eps, keepdim

    def forward(self, x1, x2):
        return F.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)
