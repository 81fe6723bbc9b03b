"""Products that are neither matmul nor einsum: cross, kron, vecdot, vander."""

from tensorlite import errors
from tensorlite.backend import dtypes
from tensorlite.op import Op
from tensorlite.ops import dims
from tensorlite.ops.convert import cast
from tensorlite.ops.elementwise import mul
from tensorlite.ops.matmul import need_tensors, no_out
from tensorlite.ops.reduce import sum as summed
from tensorlite.ops.shape import reshape, stack
from tensorlite.tensor import Tensor, mode, path

__all__ = ["cross", "kron", "vander"]


class Cross(Op):
    """In three dimensions; the other dimensions broadcast. dim counts from the end."""

    name, formula, local = "cross", "x cross y along dim", ("y cross g", "g cross x")

    def forward(b, x, y, *, dim):
        (x0, x1, x2), (y0, y1, y2) = (b.xp.moveaxis(v, dim, 0) for v in (x, y))
        return b.xp.stack((x1 * y2 - x2 * y1, x2 * y0 - x0 * y2, x0 * y1 - x1 * y0), axis=dim)

    rules = (lambda m, g, y, dim: m.cross(y, g, dim=dim), lambda m, g, x, dim: m.cross(g, x, dim=dim))


def linalg_cross(input, other, *, dim=-1, out=None) -> Tensor:
    """The cross product of vectors of 3 elements that lie along dim; the other dimensions broadcast.

    Example:
        >>> import tensorlite as tl
        >>> tl.linalg.cross(tl.tensor([1.0, 0.0, 0.0]), tl.tensor([0.0, 1.0, 0.0]))
        tensor([0., 0., 1.])
    """
    no_out("linalg.cross", out)
    need_tensors("linalg.cross", input, other)
    if input.ndim != other.ndim:
        table = errors.argument_table(("input", "other"), (input, other))
        raise errors.ShapeError(errors.compose("linalg.cross", "equally many dimensions are needed", table, path()))
    d = dims.one("linalg.cross", dim, input.ndim)
    if not input.ndim or input.shape[d] != 3 or other.shape[d] != 3:
        table = errors.argument_table(("input", "other"), (input, other))
        raise errors.ShapeError(
            errors.compose("linalg.cross", f"dimension {dim} must have size 3 in both", table, path())
        )
    dtype = dtypes.result_type(input.array, other.array)
    return Cross.apply(cast(input, dtype), cast(other, dtype), dim=d - input.ndim)


def cross(input, other, dim=None, *, axis=None, out=None) -> Tensor:
    """tl.linalg.cross in its old form: without dim, along the first dimension of size 3."""
    need_tensors("cross", input, other)
    dim = dim if axis is None else axis
    if dim is None:
        dim = next((i for i, n in enumerate(input.shape) if n == 3), None)
        if dim is None:
            raise errors.ShapeError(f"cross: no dimension of size 3 in {errors.describe(input)}")
    return linalg_cross(input, other, dim=dim, out=out)


def kron(input, other, *, out=None) -> Tensor:
    """The Kronecker product: each element of input times the whole of other; sizes multiply. The tensor with fewer
    dimensions gets leading ones of size 1."""
    no_out("kron", out)
    need_tensors("kron", input, other)
    n = max(input.ndim, other.ndim)
    a, b = ((1,) * (n - x.ndim) + tuple(x.shape) for x in (input, other))
    left = reshape(input, [v for size in a for v in (size, 1)])
    right = reshape(other, [v for size in b for v in (1, size)])
    return reshape(mul(left, right), [i * j for i, j in zip(a, b, strict=True)])


def vecdot(x, y, *, dim=-1, out=None) -> Tensor:
    """The sum of products along dim; the other dimensions broadcast."""
    no_out("linalg.vecdot", out)
    for v in (x, y):
        if not isinstance(v, Tensor) or not v.ndim:
            raise errors.ShapeError(
                f"linalg.vecdot: vectors (at least 1 dimension) are needed, got {errors.describe(v)}"
            )
    sizes = [v.shape[dims.one("linalg.vecdot", dim, v.ndim)] for v in (x, y)]
    if sizes[0] != sizes[1]:
        table = errors.argument_table(("x", "y"), (x, y))
        fault = f"dimension {dim} has {sizes[0]} elements in x, {sizes[1]} in y"
        raise errors.ShapeError(errors.compose("linalg.vecdot", fault, table, path()))
    x, y = mode.casts.to("linalg.vecdot", x, y) if mode.now.casts else (x, y)
    product = mul(x, y)
    return summed(product, dim, dtype=product.dtype)


def linalg_vander(x, *, N=None) -> Tensor:
    """Vandermonde's matrix: the powers 0, 1, ..., N - 1 of each element, along a new last dimension (N: the last size of x)."""
    if not isinstance(x, Tensor) or not x.ndim:
        raise errors.ShapeError(
            f"linalg.vander: a tensor with at least 1 dimension is needed, got {errors.describe(x)}"
        )
    n = x.shape[-1] if N is None else N
    if n <= 1 and N is not None:
        raise errors.ArgumentError(f"linalg.vander: N must be greater than 1, got {N}")
    if x.dtype.category == 0:
        x = cast(x, dtypes.int64)
    powers = [x * 0 + 1]
    for _ in range(n - 1):
        powers.append(mul(powers[-1], x) if len(powers) > 1 else x)
    return stack(powers[:n], -1) if n else stack(powers, -1)[..., :0]


def vander(x, N=None, increasing=False) -> Tensor:
    """Vandermonde's matrix of a vector; unlike tl.linalg.vander with the highest power first, unless increasing."""
    need_tensors("vander", x)
    if x.ndim != 1:
        raise errors.ShapeError(f"vander: a vector is needed, got {errors.describe(x)}; see tl.linalg.vander")
    n = x.shape[0] if N is None else N
    if n < 0:
        raise errors.ArgumentError(f"vander: N must not be negative, got {N}")
    powers = linalg_vander(x, N=max(n, 2))[..., :n]
    return powers if increasing else powers.flip(-1)
