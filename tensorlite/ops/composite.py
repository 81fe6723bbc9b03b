"""Functions of a few lines that are made of other operations: covariance, numerical gradients, limits of norms, and questions."""

import collections
import math

from tensorlite import errors
from tensorlite.ops import dims
from tensorlite.ops.convert import cast
from tensorlite.ops.functions import ldexp
from tensorlite.ops.join import cat, stack
from tensorlite.ops.select import where
from tensorlite.ops.special import lgamma
from tensorlite.tensor import Tensor, wrap

__all__ = [
    "conj", "corrcoef", "cov", "frexp", "gradient", "is_complex", "is_nonzero", "is_same_size", "is_signed", "mvlgamma",
    "real", "renorm", "unravel_index",
]  # fmt: skip

Frexp = collections.namedtuple("frexp", "mantissa exponent")


def cov(input, *, correction=1, fweights=None, aweights=None) -> Tensor:
    """Covariance of variables (rows) over observations (columns): (V, N) -> (V, V), (N,) -> ().

    sum_n w_n (x_n - mean)(x_n - mean)^T / norm; fweights (N,) integers count an observation several times, aweights (N,)
    weigh it; norm = sum w - correction sum(w aweights) / sum w.

    Raises:
        ShapeError: more than two dimensions, or weights of another length. ArgumentError: negative weights.

    Example:
        >>> import tensorlite as tl
        >>> tl.cov(tl.tensor([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]))
        tensor([[ 1., -1.],
                [-1.,  1.]])
    """
    if input.ndim > 2:
        raise errors.ShapeError(f"cov: a matrix of variables and observations is needed, got {errors.describe(input)}")
    x = input if input.dtype.is_floating_point else input.float()
    x = x.reshape(1, -1) if x.ndim < 2 else x
    n, weights = x.shape[1], None
    for name, given in (("fweights", fweights), ("aweights", aweights)):
        if given is None:
            continue
        if tuple(given.shape) != (n,):
            raise errors.ShapeError(
                f"cov: {name} must be a vector of {n}, one for each observation, got {errors.describe(given)}"
            )
        if given.numel() and given.min().item() < 0:
            raise errors.ArgumentError(f"cov: {name} cannot be negative")
        weights = cast(given, x.dtype) if weights is None else weights * given
    total = n if weights is None else weights.sum()
    mean = x.mean(1, keepdim=True) if weights is None else (x * weights).sum(1, keepdim=True) / total
    centred = x - mean
    norm = total - correction * (1 if aweights is None else (weights * aweights).sum() / total)
    norm = max(norm, 0) if weights is None else norm.clamp(min=0)
    product = (centred if weights is None else centred * weights) @ centred.mT / norm
    return product.reshape(()) if input.ndim < 2 else product


def corrcoef(input) -> Tensor:
    """Correlation of variables (rows) over observations (columns): cov / (std std^T), (V, N) -> (V, V), within -1..1."""
    c = cov(input)
    if not c.ndim:
        return c / c
    scale = c.diagonal().sqrt()
    return (c / scale.unsqueeze(1) / scale).clamp(-1, 1)


def gradient(input, *, spacing=1, dim=None, edge_order=1, axis=None) -> tuple:
    """Numerical derivatives along each dimension (or `dim`), by differences to both neighbours: exact for parabolas inside.

    spacing: a number, one for each dimension, or a tuple of vectors of coordinates. edge_order: 1 takes a one-sided
    difference at the edges, 2 a parabola.

    Example:
        >>> import tensorlite as tl
        >>> tl.gradient(tl.tensor([1.0, 4.0, 9.0, 16.0]))
        (tensor([3., 4., 6., 7.]),)
    """
    dim = dim if axis is None else axis
    axes = tuple(range(input.ndim)) if dim is None else dims.several("gradient", dim, input.ndim)
    given = spacing if isinstance(spacing, (tuple, list)) else (spacing,) * len(axes)
    if len(given) != len(axes):
        raise errors.ArgumentError(f"gradient: {len(given)} spacings for {len(axes)} dimensions")
    if edge_order not in (1, 2):
        raise errors.ArgumentError(f"gradient: edge_order must be 1 or 2, not {edge_order!r}")
    found = []
    for d, space in zip(axes, given, strict=True):
        y, n = input.movedim(d, -1), input.shape[d]
        if n < edge_order + 1:
            raise errors.ShapeError(
                f"gradient: dimension {d} has size {n}, edge_order {edge_order} needs at least {edge_order + 1}"
            )
        if isinstance(space, Tensor) and space.ndim:
            if tuple(space.shape) != (n,):
                raise errors.ShapeError(f"gradient: dimension {d} has size {n}, its coordinates {tuple(space.shape)}")
            h = cast(space[1:] - space[:-1], y.dtype)
        else:
            h = input.new_full((n - 1,), float(space))
        slope = (y[..., 1:] - y[..., :-1]) / h
        left, right = h[:-1], h[1:]
        inner = (slope[..., :-1] * right + slope[..., 1:] * left) / (left + right)
        first, last = slope[..., :1], slope[..., -1:]
        if edge_order == 2:
            bend = (slope[..., 1:] - slope[..., :-1]) / (left + right)
            first, last = first - bend[..., :1] * h[:1], last + bend[..., -1:] * h[-1:]
        found.append(cat([first, inner, last], -1).movedim(-1, d))
    return tuple(found)


def renorm(input, p, dim, maxnorm) -> Tensor:
    """Each slice along dim whose p-norm is above maxnorm is scaled to maxnorm; the others stay.

    Raises:
        ShapeError: fewer than two dimensions. ArgumentError: p not positive, maxnorm negative.
    """
    if input.ndim < 2:
        raise errors.ShapeError(f"renorm: at least two dimensions are needed, got {errors.describe(input)}")
    if p <= 0 or maxnorm < 0:
        raise errors.ArgumentError(f"renorm: needs p > 0 and maxnorm >= 0, got p={p} and maxnorm={maxnorm}")
    d = dims.of_dims("renorm", input, dim)
    others = tuple(i for i in range(input.ndim) if i != d)
    norm = input.norm(p, others, keepdim=True)
    return input * where(norm > maxnorm, maxnorm / (norm + 1e-7), 1.0)


def unravel_index(indices, shape) -> tuple:
    """Flat indices into an array of `shape` -> a tuple of index tensors, one for each dimension.

    Raises:
        DTypeError: indices that are no integers. IndexRangeError: one outside of the array.

    Example:
        >>> import tensorlite as tl
        >>> tl.unravel_index(tl.tensor([0, 5]), (2, 3))
        (tensor([0, 1]), tensor([0, 2]))
    """
    if indices.dtype.category != 1:
        raise errors.DTypeError(f"unravel_index: integer indices are needed, got {errors.describe(indices)}")
    sizes = (shape,) if hasattr(shape, "__index__") else tuple(shape)
    count = math.prod(sizes)
    indices.device.backend.check_range(where(indices < 0, indices + count, indices).array, count, "index")
    rest, found = indices % max(count, 1), []
    for size in reversed(sizes):
        found.append(rest % max(size, 1))
        rest = rest // max(size, 1)
    return tuple(reversed(found))


def frexp(input):
    """(mantissa, exponent) with input = mantissa * 2^exponent, 0.5 <= |mantissa| < 1, exponent an int32."""
    if not input.dtype.is_floating_point:
        raise errors.DTypeError(f"frexp: a floating-point tensor is needed, got {errors.describe(input)}")
    exponent = wrap(input.device.backend.xp.frexp(input.array)[1], input.device)
    half = exponent // 2  # in two steps: 2^-exponent alone may overflow
    return Frexp(ldexp(ldexp(input, -half), half - exponent), exponent)


def mvlgamma(input, p: int) -> Tensor:
    """Logarithm of the multivariate gamma function: p (p - 1) / 4 ln pi + sum_i lgamma(x + (1 - i) / 2), i = 1..p.

    Raises:
        ArgumentError: p below 1, or elements that are not above (p - 1) / 2.
    """
    if p < 1:
        raise errors.ArgumentError(f"mvlgamma: p must be at least 1, not {p}")
    if input.numel() and input.min().item() <= (p - 1) / 2:
        raise errors.ArgumentError(f"mvlgamma: all elements must be above (p - 1) / 2 = {(p - 1) / 2}")
    parts = stack([lgamma(input + (1 - i) / 2) for i in range(1, p + 1)])
    return parts.sum(0) + p * (p - 1) / 4 * math.log(math.pi)


# ---------------------------------------------------------------- what complex numbers leave for real ones; questions
def real(input) -> Tensor:
    """input itself: all numbers are real here."""
    return input


def conj(input) -> Tensor:
    """input itself: all numbers are real here."""
    return input


def is_complex(input) -> bool:
    """False: all numbers are real here."""
    return False


def is_signed(input) -> bool:
    """Whether the dtype has negative numbers."""
    return input.dtype.name not in ("uint8", "bool")


def is_same_size(input, other) -> bool:
    """Whether both have the same shape."""
    return input.shape == other.shape


def is_nonzero(input) -> bool:
    """Whether a tensor of one element is not 0. Raises ShapeError for any other number of elements."""
    if input.numel() != 1:
        raise errors.ShapeError(
            f"is_nonzero: one element is needed, got {errors.describe(input)}; use .any() or .all()"
        )
    return bool(input)
