"""Linear layers: Linear, Bilinear, Identity."""

import math

from tensorlite import errors
from tensorlite.creation import empty
from tensorlite.nn import functional as F, init
from tensorlite.nn.module import Module
from tensorlite.nn.parameter import Parameter


class Linear(Module):
    """y = x @ weight.T + bias.

    x (..., in_features) -> (..., out_features); weight (out_features, in_features), bias (out_features), both uniform in
    +-1 / sqrt(in_features) at the start.

    Raises:
        ArgumentError: negative sizes. ShapeError: x has another number of features.

    Example:
        >>> import tensorlite as tl
        >>> tl.nn.Linear(3, 5)(tl.ones(2, 3)).shape
        (2, 5)
    """

    def __init__(self, in_features, out_features, bias=True, device=None, dtype=None):
        super().__init__()
        if in_features < 0 or out_features < 0:
            raise errors.ArgumentError(f"Linear: sizes cannot be negative, got in={in_features}, out={out_features}")
        self.in_features, self.out_features = in_features, out_features
        self.weight = Parameter(empty(out_features, in_features, device=device, dtype=dtype))
        self.register_parameter("bias", Parameter(empty(out_features, device=device, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self):
        """Draw new initial weights."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features) if self.in_features else 0
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input):
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self):
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Bilinear(Module):
    """y_k = x1 @ weight[k] @ x2 + bias_k.

    x1 (..., in1_features), x2 (..., in2_features) -> (..., out_features); weight (out_features, in1_features, in2_features), bias
    (out_features), both uniform in +-1 / sqrt(in1_features) at the start.

    Raises:
        ArgumentError: in1_features below 1, or negative sizes. ShapeError: the inputs have other numbers of features, or do not match.

    Example:
        >>> import tensorlite as tl
        >>> tl.nn.Bilinear(3, 4, 5)(tl.ones(2, 3), tl.ones(2, 4)).shape
        (2, 5)
    """

    def __init__(self, in1_features, in2_features, out_features, bias=True, device=None, dtype=None):
        super().__init__()
        if in1_features <= 0 or in2_features < 0 or out_features < 0:
            raise errors.ArgumentError(
                "Bilinear: in1_features must be above 0 and no size negative, got "
                f"in1={in1_features}, in2={in2_features}, out={out_features}"
            )
        self.in1_features, self.in2_features, self.out_features = in1_features, in2_features, out_features
        self.weight = Parameter(empty(out_features, in1_features, in2_features, device=device, dtype=dtype))
        self.register_parameter("bias", Parameter(empty(out_features, device=device, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self):
        """Draw new initial weights."""
        bound = 1 / math.sqrt(self.in1_features)
        for p in self.parameters():
            init.uniform_(p, -bound, bound)

    def forward(self, input1, input2):
        return F.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self):
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, "
            f"out_features={self.out_features}, bias={self.bias is not None}"
        )


class NonDynamicallyQuantizableLinear(Linear):
    """Linear, under the name that PyTorch gives to the output projection of attention."""


class Identity(Module):
    """Gives its input back; takes and forgets any arguments."""

    def __init__(self, *args, **kwargs):
        super().__init__()

    def forward(self, input):
        return input
