"""Special functions with gradients: the error function and its kin, the gamma function's, sinc, logit, xlogy.

Integers become the default floating-point dtype first. How they are computed, and how precisely: backend/special.py.
"""

import math

from tensorlite import errors
from tensorlite.backend import dtypes
from tensorlite.elementwise import Elementwise, as_operand
from tensorlite.op import Op
from tensorlite.ops.convert import cast
from tensorlite.ops.elementwise import constant, function, only_tensor
from tensorlite.ops.select import Clamp
from tensorlite.tensor import Tensor

__all__ = ["digamma", "erf", "erfc", "erfinv", "i0", "lgamma", "logit", "polygamma", "sinc", "xlogy"]


# ---------------------------------------------------------------- the error function
class Erf(Elementwise):
    name, formula, local, floats = "erf", "2/sqrt(pi) int_0^x e^-t^2 dt", "2/sqrt(pi) e^-x^2", True

    def forward(b, x):
        return b.erf(x)

    rules = lambda m, g, x: g * (2 / math.sqrt(math.pi) * m.exp(-x * x))  # noqa: E731


class Erfc(Elementwise):
    name, formula, local, floats = "erfc", "1 - erf x", "-2/sqrt(pi) e^-x^2", True

    def forward(b, x):
        return b.erfc(x)

    rules = lambda m, g, x: g * (-2 / math.sqrt(math.pi) * m.exp(-x * x))  # noqa: E731


class Erfinv(Elementwise):
    name, formula, local, floats = "erfinv", "the y with erf y = x", "sqrt(pi)/2 e^out^2", True

    def forward(b, x):
        return b.erfinv(x)

    rules = lambda m, g, out: g * (math.sqrt(math.pi) / 2 * m.exp(out * out))  # noqa: E731


# ---------------------------------------------------------------- the gamma function
class Lgamma(Elementwise):
    name, formula, local, floats = "lgamma", "ln |Gamma(x)|", "digamma(x)", True

    def forward(b, x):
        return b.lgamma(x)

    rules = lambda m, g, x: g * m.digamma(x)  # noqa: E731


class Digamma(Elementwise):
    name, formula, local, floats = "digamma", "d/dx ln Gamma(x)", "polygamma(1, x)", True

    def forward(b, x):
        return b.digamma(x)

    rules = lambda m, g, x: g * m.polygamma(x, n=1)  # noqa: E731


class Polygamma(Op):
    name, formula, local = "polygamma", "(d/dx)^n digamma(x)", "polygamma(n + 1, x)"

    def forward(b, x, *, n):
        return b.polygamma(x, n)

    rules = lambda m, g, x, n: g * m.polygamma(x, n=n + 1)  # noqa: E731


# ---------------------------------------------------------------- others
class Sinc(Op):
    """With its derivatives of every order, which are right at 0 too."""

    name, formula, local = "sinc", "(d/dx)^order sin(pi x) / (pi x)", "sinc(order + 1, x)"

    def forward(b, x, *, order=0):
        return b.sinc(x, order)

    rules = lambda m, g, x, order: g * m.sinc(x, order=order + 1)  # noqa: E731


class I0(Op):
    """With its derivatives of every order; the first is I1."""

    name, formula, local = "i0", "(d/dx)^order 1/pi int_0^pi e^(x cos t) dt", "i0(order + 1, x)"

    def forward(b, x, *, order=0):
        return b.i0(x, order)

    rules = lambda m, g, x, order: g * m.i0(x, order=order + 1)  # noqa: E731


class Logit(Elementwise):
    name, formula, local, floats = "logit", "ln(x / (1 - x))", "1 / (x (1 - x))", True

    def forward(b, x):
        xp, s = b.xp, 2 * x - 1  # near 1/2 the quotient is near 1, and its logarithm loses digits: 2 artanh(2x - 1)
        middle = abs(s) < 0.5
        return xp.where(middle, 2 * xp.arctanh(xp.where(middle, s, 0)), xp.log(x / (1 - x))).astype(x.dtype, copy=False)

    def _slope(m, g, x):
        return g / m.where((x >= 0) & (x <= 1), x * (1 - x), math.nan)

    rules = _slope


class Xlogy(Elementwise):
    """0 where x = 0, also for y = 0; nan where y is."""

    name, formula, local, floats = "xlogy", "x ln y", ("ln y", "x / y"), True

    def forward(b, x, y):
        return b.xp.where((x == 0) & (y == y), 0, x * b.xp.log(y)).astype(x.dtype, copy=False)

    rules = (
        lambda m, g, x, y: m.where((x == 0) & (y <= 0), 0.0, g * m.log(y)),
        lambda m, g, x, y: g * (x / m.where((x == 0) & (y == 0), 1.0, y)),
    )


class Xlog1py(Elementwise):
    """0 where x = 0, also for y = -1; nan where y is."""

    name, formula, local, floats = "xlog1py", "x ln(1 + y)", ("ln(1 + y)", "x / (1 + y)"), True

    def forward(b, x, y):
        return b.xp.where((x == 0) & (y == y), 0, x * b.xp.log1p(y)).astype(x.dtype, copy=False)

    rules = (
        lambda m, g, x, y: m.where((x == 0) & (y <= -1), 0.0, g * m.log1p(y)),
        lambda m, g, x, y: g * (x / m.where((x == 0) & (y == -1), 1.0, y + 1)),
    )


class Entr(Elementwise):
    """0 at x = 0, with slope inf, and -inf below."""

    name, formula, local, floats = "entr", "-x ln x", "-1 - ln x", True

    def forward(b, x):
        xp = b.xp
        return xp.where(x == 0, 0, xp.where(x < 0, -math.inf, -x * xp.log(x))).astype(x.dtype, copy=False)

    rules = lambda m, g, x: g * (-1 - m.log(x))  # noqa: E731


# ---------------------------------------------------------------- public functions
erf, erfc, erfinv, lgamma, digamma, entr = (function(op) for op in (Erf, Erfc, Erfinv, Lgamma, Digamma, Entr))


def _floating(name, x):
    """x in floating point: integers become the default dtype."""
    only_tensor(name, x)
    return x if x.dtype.is_floating_point else cast(x, dtypes.get_default_dtype())


def polygamma(n, input) -> Tensor:
    """The n-th derivative of digamma at input: (-1)^(n+1) n! sum_k (input + k)^-(n+1), elementwise.

    As a method the order comes behind: x.polygamma(n). At the poles 0, -1, -2, ... it is infinite; at infinity 0 (PyTorch
    gives nan). Raises ArgumentError for a negative n.

    Example:
        >>> import tensorlite as tl
        >>> tl.polygamma(1, tl.tensor([1.0]))  # pi^2 / 6
        tensor([1.6449])
    """
    if not isinstance(n, int) or n < 0:
        raise errors.ArgumentError(f"polygamma: n must be a whole number from 0 on, not {n!r}")
    return Polygamma.apply(_floating("polygamma", input), n=n)


def sinc(input) -> Tensor:
    """sin(pi x) / (pi x), and 1 at 0, elementwise. Derivatives of every order are right at 0 too (PyTorch's second is nan)."""
    return Sinc.apply(_floating("sinc", input))


def i0(input) -> Tensor:
    """The modified Bessel function of the first kind and order 0, 1/pi int_0^pi e^(x cos t) dt, elementwise.

    Example:
        >>> import tensorlite as tl
        >>> tl.i0(tl.tensor([0.0, 1.0]))
        tensor([1.0000, 1.2661])
    """
    return I0.apply(_floating("i0", input))


def i1(input) -> Tensor:
    """The modified Bessel function of the first kind and order 1, the derivative of i0, elementwise: tl.special.i1."""
    return I0.apply(_floating("i1", input), order=1)


def logit(input, eps=None) -> Tensor:
    """ln(x / (1 - x)), the inverse of sigmoid, elementwise; with eps, of x clamped to [eps, 1 - eps]. nan outside of [0, 1]."""
    x = _floating("logit", input)
    return Logit.apply(x if eps is None else Clamp.apply(x, low=eps, high=1 - eps))


def xlogy(input, other) -> Tensor:
    """input * ln(other), and 0 where input is 0, with broadcasting; either may be a number.

    The slope for other is 0 where both are 0 (PyTorch has nan).
    """
    return _of_two(Xlogy, input, other)


def xlog1py(input, other) -> Tensor:
    """input * ln(1 + other), and 0 where input is 0, with broadcasting; either may be a number. PyTorch's tl.special.xlog1py."""
    return _of_two(Xlog1py, input, other)


def _of_two(op, input, other):
    """op on two tensors, or a tensor and a number, in their common floating-point dtype."""
    x, y = as_operand(op, input), as_operand(op, other)
    dtype = dtypes.result_type(*[v.array if isinstance(v, Tensor) else v for v in (x, y)])
    dtype = dtype if dtype.is_floating_point else dtypes.get_default_dtype()
    like = only_tensor(op.name, x if isinstance(x, Tensor) else y)
    x, y = (v if isinstance(v, Tensor) else constant(like, v, dtype) for v in (x, y))
    return op.apply(x, y)
