"""Activations as modules: of elements (ReLU, GELU, ...) and along a dimension (Softmax, GLU, ...). The formulas, sources and
errors are those of nn/functional/activation.py."""

import warnings

from tensorlite import errors
from tensorlite.creation import full
from tensorlite.nn import functional as F
from tensorlite.nn.module import Module
from tensorlite.nn.parameter import Parameter
from tensorlite.ops.conv import whole
from tensorlite.tensor import here

__all__ = [
    "CELU", "ELU", "GELU", "GLU", "SELU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "LeakyReLU", "LogSigmoid",
    "LogSoftmax", "Mish", "PReLU", "RReLU", "ReLU", "ReLU6", "SiLU", "Sigmoid", "Softmax", "Softmax2d", "Softmin", "Softplus",
    "Softshrink", "Softsign", "Tanh", "Tanhshrink", "Threshold",
]  # fmt: skip


class _InPlace(Module):
    """What has no other argument than inplace: True overwrites the input."""

    def __init__(self, inplace=False):
        super().__init__()
        self.inplace = inplace

    def extra_repr(self):
        return "inplace=True" if self.inplace else ""

    def _also(self, text):
        return text + (", inplace=True" if self.inplace else "")


# ---------------------------------------------------------------- linear in pieces
class ReLU(_InPlace):
    """max(x, 0).

    Example:
        >>> import tensorlite as tl
        >>> tl.nn.ReLU()(tl.tensor([-1.0, 2.0]))
        tensor([0., 2.])
    """

    def forward(self, input):
        return F.relu(input, self.inplace)


class LeakyReLU(_InPlace):
    """x where x > 0, else negative_slope x (Maas et al. 2013)."""

    def __init__(self, negative_slope=0.01, inplace=False):
        super().__init__(inplace)
        self.negative_slope = negative_slope

    def forward(self, input):
        return F.leaky_relu(input, self.negative_slope, self.inplace)

    def extra_repr(self):
        return self._also(f"negative_slope={self.negative_slope}")


class PReLU(Module):
    """x where x > 0, else weight x; weight is learned: one for all or one for each channel (He et al. 2015).

    Example:
        >>> import tensorlite as tl
        >>> tl.nn.PReLU()(tl.tensor([-4.0, 2.0])).detach()
        tensor([-1.,  2.])
    """

    def __init__(self, num_parameters=1, init=0.25, device=None, dtype=None):
        super().__init__()
        whole("PReLU", "num_parameters", num_parameters)
        self.num_parameters, self.init = num_parameters, init
        self.weight = Parameter(full((num_parameters,), float(init), device=device, dtype=dtype))

    def reset_parameters(self):
        """The weights become init again."""
        self.weight.detach().fill_(self.init)

    def forward(self, input):
        return F.prelu(input, self.weight)

    def extra_repr(self):
        return f"num_parameters={self.num_parameters}"


class RReLU(_InPlace):
    """LeakyReLU with slopes drawn anew from lower..upper in training, their middle otherwise (Xu et al. 2015)."""

    def __init__(self, lower=1.0 / 8, upper=1.0 / 3, inplace=False):
        super().__init__(inplace)
        self.lower, self.upper = lower, upper

    def forward(self, input):
        return F.rrelu(input, self.lower, self.upper, self.training, self.inplace)

    def extra_repr(self):
        return self._also(f"lower={self.lower}, upper={self.upper}")


class Threshold(_InPlace):
    """x where x > threshold, else value."""

    def __init__(self, threshold, value, inplace=False):
        super().__init__(inplace)
        self.threshold, self.value = threshold, value

    def forward(self, input):
        return F.threshold(input, self.threshold, self.value, self.inplace)

    def extra_repr(self):
        return self._also(f"threshold={self.threshold}, value={self.value}")


class Hardtanh(_InPlace):
    """x held within min_val..max_val. min_value and max_value are their old names.

    Raises:
        ArgumentError: max_val is not above min_val.
    """

    def __init__(self, min_val=-1.0, max_val=1.0, inplace=False, min_value=None, max_value=None):
        super().__init__(inplace)
        for new, old, value in (("min_val", "min_value", min_value), ("max_val", "max_value", max_value)):
            if value is not None:
                warnings.warn(f"Hardtanh: {old} is deprecated, write {new}", FutureWarning, stacklevel=2)
        self.min_val = min_val if min_value is None else min_value
        self.max_val = max_val if max_value is None else max_value
        if not self.max_val > self.min_val:
            raise errors.ArgumentError(f"Hardtanh: max_val {self.max_val} must be above min_val {self.min_val}")

    def forward(self, input):
        return F.hardtanh(input, self.min_val, self.max_val, self.inplace)

    def extra_repr(self):
        return self._also(f"min_val={self.min_val}, max_val={self.max_val}")


class ReLU6(Hardtanh):
    """min(max(x, 0), 6)."""

    def __init__(self, inplace=False):
        super().__init__(0.0, 6.0, inplace)

    def extra_repr(self):
        return "inplace=True" if self.inplace else ""


class Hardsigmoid(_InPlace):
    """0 below -3, 1 above 3, x / 6 + 1/2 between."""

    def forward(self, input):
        return F.hardsigmoid(input, self.inplace)

    def extra_repr(self):
        return ""


class Hardswish(_InPlace):
    """x hardsigmoid(x) (Howard et al. 2019)."""

    def forward(self, input):
        return F.hardswish(input, self.inplace)

    def extra_repr(self):
        return ""


class _Shrink(Module):
    def __init__(self, lambd=0.5):
        super().__init__()
        self.lambd = lambd

    def extra_repr(self):
        return str(self.lambd)


class Hardshrink(_Shrink):
    """0 for |x| <= lambd, else x."""

    def forward(self, input):
        return F.hardshrink(input, self.lambd)


class Softshrink(_Shrink):
    """0 for |x| <= lambd, else x moved towards 0 by lambd; lambd may not be negative."""

    def forward(self, input):
        return F.softshrink(input, self.lambd)


# ---------------------------------------------------------------- with an exponential
class GELU(Module):
    """x Phi(x) (Hendrycks and Gimpel 2016); approximate="tanh" for the tanh formula."""

    def __init__(self, approximate="none"):
        super().__init__()
        self.approximate = approximate

    def forward(self, input):
        return F.gelu(input, approximate=self.approximate)

    def extra_repr(self):
        return f"approximate={self.approximate!r}"


class ELU(_InPlace):
    """x where x > 0, else alpha (e^x - 1) (Clevert et al. 2016)."""

    def __init__(self, alpha=1.0, inplace=False):
        super().__init__(inplace)
        self.alpha = alpha

    def forward(self, input):
        return F.elu(input, self.alpha, self.inplace)

    def extra_repr(self):
        return self._also(f"alpha={self.alpha}")


class CELU(ELU):
    """x where x > 0, else alpha (e^(x / alpha) - 1) (Barron 2017)."""

    def forward(self, input):
        return F.celu(input, self.alpha, self.inplace)


class SELU(_InPlace):
    """1.0507 ELU(x, 1.6733): mean 0 and variance 1 stay from layer to layer (Klambauer et al. 2017)."""

    def forward(self, input):
        return F.selu(input, self.inplace)


class SiLU(_InPlace):
    """x sigmoid(x) (Elfwing et al. 2017)."""

    def forward(self, input):
        return F.silu(input, self.inplace)


class Mish(_InPlace):
    """x tanh(ln(1 + e^x)) (Misra 2019)."""

    def forward(self, input):
        return F.mish(input, self.inplace)


class Softplus(Module):
    """ln(1 + e^(beta x)) / beta; where beta x > threshold, x itself."""

    def __init__(self, beta=1.0, threshold=20.0):
        super().__init__()
        self.beta, self.threshold = beta, threshold

    def forward(self, input):
        return F.softplus(input, self.beta, self.threshold)

    def extra_repr(self):
        return f"beta={self.beta}, threshold={self.threshold}"


class Softsign(Module):
    """x / (1 + |x|)."""

    def forward(self, input):
        return F.softsign(input)


class Tanh(Module):
    """tanh(x)."""

    def forward(self, input):
        return F.tanh(input)


class Tanhshrink(Module):
    """x - tanh(x)."""

    def forward(self, input):
        return F.tanhshrink(input)


class Sigmoid(Module):
    """1 / (1 + exp(-x))."""

    def forward(self, input):
        return F.sigmoid(input)


class LogSigmoid(Module):
    """ln sigmoid(x), without overflow."""

    def forward(self, input):
        return F.logsigmoid(input)


# ---------------------------------------------------------------- along a dimension
class GLU(Module):
    """a sigmoid(b), a and b the two halves of the input along dim (Dauphin et al. 2017)."""

    def __init__(self, dim=-1):
        super().__init__()
        self.dim = dim

    def forward(self, input):
        return F.glu(input, self.dim)

    def extra_repr(self):
        return f"dim={self.dim}"


class Softmax(Module):
    """exp(x) / sum(exp(x)) along dim.

    Example:
        >>> import tensorlite as tl
        >>> tl.nn.Softmax(dim=0)(tl.zeros(2))
        tensor([0.5000, 0.5000])
    """

    def __init__(self, dim=None):
        super().__init__()
        self.dim = dim

    def forward(self, input):
        return F.softmax(input, self.dim, 5)

    def extra_repr(self):
        return f"dim={self.dim}"


class LogSoftmax(Softmax):
    """x - ln sum(exp(x)) along dim."""

    def forward(self, input):
        return F.log_softmax(input, self.dim, 5)


class Softmin(Softmax):
    """softmax(-x) along dim."""

    def forward(self, input):
        return F.softmin(input, self.dim, 5)


class Softmax2d(Module):
    """softmax over the channels of (N, C, H, W) or (C, H, W)."""

    def forward(self, input):
        if input.ndim not in (3, 4):
            text = f"Softmax2d: input must be (N, C, H, W) or (C, H, W), got {errors.describe(input)}"
            raise errors.ShapeError(here(text))
        return F.softmax(input, -3)
