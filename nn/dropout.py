"""Dropout layers: of elements, of whole channels, and alpha dropout. Active in training only."""

from tensorlite.nn import functional as F
from tensorlite.nn.functional.dropout import check_p
from tensorlite.nn.module import Module

__all__ = ["AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout"]


class _Dropout(Module):
    def __init__(self, p=0.5, inplace=False):
        super().__init__()
        check_p(type(self).__name__, p)
        self.p, self.inplace = p, inplace

    def extra_repr(self):
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    """In training each element becomes 0 with probability p, else x / (1 - p) (Srivastava et al. 2014); otherwise nothing.

    Raises:
        ArgumentError: p outside 0..1.

    Example:
        >>> import tensorlite as tl
        >>> _ = tl.manual_seed(0)
        >>> drop = tl.nn.Dropout(0.5)
        >>> sorted(set(drop(tl.ones(100)).tolist())), drop.eval()(tl.ones(2))
        ([0.0, 2.0], tensor([1., 1.]))
    """

    def forward(self, input):
        return F.dropout(input, self.p, self.training, self.inplace)


class Dropout1d(_Dropout):
    """Dropout of whole channels of sequences (N, C, L) or (C, L) (Tompson et al. 2015)."""

    def forward(self, input):
        return F.dropout1d(input, self.p, self.training, self.inplace)


class Dropout2d(_Dropout):
    """Dropout of whole channels of images (N, C, H, W) (Tompson et al. 2015). Three dimensions are (N, C, L), as in PyTorch."""

    def forward(self, input):
        return F.dropout2d(input, self.p, self.training, self.inplace)


class Dropout3d(_Dropout):
    """Dropout of whole channels of volumes (N, C, D, H, W) or (C, D, H, W) (Tompson et al. 2015)."""

    def forward(self, input):
        return F.dropout3d(input, self.p, self.training, self.inplace)


class AlphaDropout(_Dropout):
    """Dropout for nets of selu: mean 0 and variance 1 stay (Klambauer et al. 2017). See F.alpha_dropout."""

    def forward(self, input):
        return F.alpha_dropout(input, self.p, self.training, self.inplace)


class FeatureAlphaDropout(_Dropout):
    """AlphaDropout of whole channels of (N, C, ...)."""

    def forward(self, input):
        return F.feature_alpha_dropout(input, self.p, self.training, self.inplace)
