"""Sizes and distances: norms of vectors and matrices, condition number, rank, cdist. Its vector norm is that of reduce.py."""

import math

from tensorlite import errors
from tensorlite.ops import dims, reduce
from tensorlite.ops.convert import cast
from tensorlite.ops.decompositions import svdvals
from tensorlite.ops.linalg import MatrixRank, inv_ex, matrices, tolerances
from tensorlite.ops.matmul import chained, need_tensors, no_out
from tensorlite.ops.shape import movedim, reshape, unsqueeze
from tensorlite.tensor import Tensor, mode, path

__all__ = ["cdist", "dist"]


def _ready(name, x, dtype):
    x = x if dtype is None or not isinstance(x, Tensor) else cast(x, dtype)
    if not isinstance(x, Tensor) or not x.dtype.is_floating_point:
        got = errors.describe(x) if isinstance(x, Tensor) else type(x).__name__
        raise errors.DTypeError(f"{name}: a floating-point tensor is needed, got {got}; use x.float()")
    return x


def vector_norm(x, ord=2, dim=None, keepdim=False, *, dtype=None, out=None, **kw) -> Tensor:
    """(sum |x|^ord)^(1/ord) over dim (an int, a tuple, or None for all elements): tl.norm under PyTorch's newer name.

    ord: any number; inf the largest |x|, -inf the smallest, 0 the number of elements that are not 0. Gradient 0 at 0.
    """
    no_out("linalg.vector_norm", out)
    if isinstance(ord, bool) or not isinstance(ord, (int, float)):
        raise errors.ArgumentError(f"linalg.vector_norm: ord must be a number, got {ord!r}; see matrix_norm")
    return reduce.norm(_ready("linalg.vector_norm", x, dtype), ord, dim, keepdim, **kw)


def matrix_norm(A, ord="fro", dim=(-2, -1), keepdim=False, *, dtype=None, out=None) -> Tensor:
    """The norm of matrices that lie in the two dimensions `dim`.

    ord: "fro" the root of the sum of squares; "nuc" the sum of the singular values; 2 the largest of them, -2 the smallest;
    1 the largest sum of |A| down a column, -1 the smallest; inf the largest along a row, -inf the smallest.

    Example:
        >>> import tensorlite as tl
        >>> A = tl.tensor([[3.0, 0.0], [0.0, -4.0]])
        >>> [tl.linalg.matrix_norm(A, ord).item() for ord in ("fro", "nuc", 1, -2)]
        [5.0, 7.0, 4.0, 3.0]
    """
    name = "linalg.matrix_norm"
    no_out(name, out)
    A = _ready(name, A, dtype)
    if A.ndim < 2:
        raise errors.ShapeError(f"{name}: a matrix (at least 2 dimensions) is needed, got {errors.describe(A)}")
    dim = tuple(dim) if isinstance(dim, (tuple, list)) else (dim,)
    if len(dim) != 2:
        raise errors.ArgumentError(f"{name}: dim must be two dimensions, got {dim}")
    rows, columns = dims.several(name, dim, A.ndim)
    if ord == "fro":
        return reduce.norm(A, 2, (rows, columns), keepdim)
    if ord in ("nuc", 2, -2):
        s = svdvals(movedim(A, (rows, columns), (-2, -1)))
        value = reduce.sum(s, -1) if ord == "nuc" else _extreme(name, s, -1, ord > 0, A)
    elif ord in (1, -1, math.inf, -math.inf):
        along, over = (rows, columns) if abs(ord) == 1 else (columns, rows)
        value = _extreme(name, reduce.norm(A, 1, along), over - (over > along), ord > 0, A)
    else:
        raise errors.ArgumentError(f"{name}: ord must be 'fro', 'nuc', 1, -1, 2, -2, inf or -inf, got {ord!r}")
    return reshape(value, dims.kept(A.shape, (rows, columns))) if keepdim else value


def _extreme(name, x, dim, largest, given):
    from tensorlite.ops.extreme import amax, amin

    if not x.shape[dim]:
        raise errors.ShapeError(f"{name}: there is no largest or smallest of nothing: {errors.describe(given)}")
    return (amax if largest else amin)(x, dim)


def norm(A, ord=None, dim=None, keepdim=False, *, out=None, dtype=None, **kw) -> Tensor:
    """vector_norm or matrix_norm, by the arguments.

    ord None: the root of the sum of squares over dim, or of all elements. Else a vector's norm if dim is an int or A has
    one dimension, a matrix's if dim is two or A has two.
    """
    no_out("linalg.norm", out)
    dim, keepdim = reduce.axis(kw, dim, keepdim)
    A = _ready("linalg.norm", A, dtype)
    if dim is not None:
        dim = tuple(dim) if isinstance(dim, (tuple, list)) else (dim,)
    if ord is None:
        return reduce.norm(A, 2, dim, keepdim)
    if dim is None:
        if A.ndim not in (1, 2):
            raise errors.ArgumentError(
                f"linalg.norm: with ord={ord!r} and no dim A must have 1 or 2 dimensions, got {errors.describe(A)}; give dim"
            )
        dim = tuple(range(A.ndim))
    return matrix_norm(A, ord, dim, keepdim) if len(dim) == 2 else vector_norm(A, ord, dim, keepdim)


def cond(A, p=None, *, out=None) -> Tensor:
    """The condition number: norm(A) norm(A^-1) in the norm p (as of matrix_norm); None is 2, the largest singular value
    over the smallest, also for matrices that are not square. inf for singular matrices (for "nuc" about 1e16)."""
    no_out("linalg.cond", out)
    if mode.now.casts:
        return mode.casts.call("linalg.cond", cond, A, p)
    if p in (None, 2, -2):
        matrices("linalg.cond", A)
        s = svdvals(A)
        if not s.shape[-1]:
            raise errors.ShapeError(f"linalg.cond: there is no largest or smallest of nothing: {errors.describe(A)}")
        return s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
    matrices("linalg.cond", A, square=(0,))
    if p == "nuc":
        s = svdvals(A)
        return reduce.sum(s, -1) * reduce.sum(1 / s, -1)
    return matrix_norm(A, p) * matrix_norm(inv_ex(A).inverse, p)


def matrix_rank(A, tol=None, *, atol=None, rtol=None, hermitian=False, out=None) -> Tensor:
    """How many singular values are above max(atol, rtol * the largest), as int64 (tol is atol under its old name)."""
    no_out("linalg.matrix_rank", out)
    _, a = matrices("linalg.matrix_rank", A, square=(0,) if hermitian else ())
    limits = tolerances(a, tol if atol is None else atol, rtol)
    return MatrixRank.apply(svdvals(a.detach()), **limits)


def multi_dot(tensors, *, out=None) -> Tensor:
    """The product of two and more matrices, multiplied in the order that needs the fewest multiplications; the first and
    the last may be vectors."""
    no_out("linalg.multi_dot", out)
    tensors = tuple(tensors)
    if len(tensors) < 2:
        raise errors.ArgumentError(f"linalg.multi_dot: at least 2 tensors are needed, got {len(tensors)}")
    return chained("linalg.multi_dot", tensors)


def cdist(x1, x2, p=2.0, compute_mode="use_mm_for_euclid_dist_if_necessary") -> Tensor:
    """The distance of each row of x1 (..., n, k) from each of x2 (..., m, k), as (..., n, m): the p-norm of the difference.

    The differences are formed, whatever compute_mode says: PyTorch's way by matmul loses digits where points are near.
    The gradient at points that coincide is 0; for p=inf coordinates that differ equally share it (in PyTorch each has it whole).

    Example:
        >>> import tensorlite as tl
        >>> tl.cdist(tl.tensor([[0.0, 0.0]]), tl.tensor([[3.0, 4.0], [0.0, 1.0]]))
        tensor([[5., 1.]])
    """
    x1, x2 = _ready("cdist", x1, None), _ready("cdist", x2, None)
    if mode.now.casts:
        x1, x2 = mode.casts.to("cdist", x1, x2)
    if x1.ndim < 2 or x2.ndim < 2 or x1.shape[-1] != x2.shape[-1]:
        table = errors.argument_table(("x1", "x2"), (x1, x2))
        fault = "two lists of points with equally many coordinates are needed, (..., n, k) and (..., m, k)"
        raise errors.ShapeError(errors.compose("cdist", fault, table, path()))
    if not isinstance(p, (int, float)) or not p >= 0:
        raise errors.ArgumentError(f"cdist: p must be a number and not negative, got {p!r}")
    difference = unsqueeze(x1, -2) - unsqueeze(x2, -3)
    if not difference.shape[-1]:  # no coordinates: all distances are 0
        return reduce.sum(difference, -1)
    return reduce.norm(difference, p, -1)


def dist(input, other, p=2) -> Tensor:
    """The p-norm of input - other (which broadcast), over all elements. Its gradient is 0 where they are equal."""
    need_tensors("dist", input, other)
    return reduce.norm(_ready("dist", input - other, None), p)
