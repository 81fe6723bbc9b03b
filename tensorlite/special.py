"""tl.special: PyTorch's names of special functions. Most are operations of ops/ under another name; the few made of those
stand here. Other Bessel functions than i0 and i1, and zeta are not among them.

Example:
    >>> import tensorlite as tl
    >>> tl.special.expit(tl.tensor([0.0])), tl.special.ndtr(tl.tensor([0.0]))
    (tensor([0.5000]), tensor([0.5000]))
"""

import math

from tensorlite.backend import dtypes
from tensorlite.ops.composite import mvlgamma as multigammaln
from tensorlite.ops.convert import cast
from tensorlite.ops.elementwise import only_tensor
from tensorlite.ops.functions import exp2, expm1, log1p, sigmoid as expit
from tensorlite.ops.fused import log_softmax as _log_softmax, softmax as _softmax
from tensorlite.ops.reduce import logsumexp
from tensorlite.ops.special import (
    digamma,
    entr,
    erf,
    erfc,
    erfinv,
    i0,
    i1,
    lgamma as gammaln,
    logit,
    polygamma,
    sinc,
    xlog1py,
    xlogy,
)
from tensorlite.ops.steps import round
from tensorlite.tensor import Tensor

__all__ = [
    "digamma", "entr", "erf", "erfc", "erfinv", "exp2", "expit", "expm1", "gammaln", "i0", "i1", "log1p", "log_softmax", "logit",
    "logsumexp", "multigammaln", "ndtr", "ndtri", "polygamma", "psi", "round", "sinc", "softmax", "xlog1py", "xlogy",
]  # fmt: skip

psi = digamma


def softmax(input, dim, *, dtype=None) -> Tensor:
    """exp(x) / sum exp(x) along dim; see tl.softmax."""
    return _softmax(input, dim, dtype=dtype)


def log_softmax(input, dim, *, dtype=None) -> Tensor:
    """x - ln sum exp(x) along dim; see tl.log_softmax."""
    return _log_softmax(input, dim, dtype=dtype)


def _floating(name, x):
    only_tensor(name, x)
    return x if x.dtype.is_floating_point else cast(x, dtypes.get_default_dtype())


def ndtr(input) -> Tensor:
    """The distribution function of the standard normal distribution: erfc(-x / sqrt 2) / 2."""
    return erfc(_floating("ndtr", input) * -math.sqrt(0.5)) * 0.5


def ndtri(input) -> Tensor:
    """The x with ndtr(x) = input: -inf at 0, inf at 1, nan outside."""
    return erfinv(_floating("ndtri", input) * 2 - 1) * math.sqrt(2)
