"""Systems of linear equations and inverses. Factorisations are in decompositions.py, determinants, powers and exponentials in
matrix_functions.py, norms in norms.py; all are public through tensorlite/linalg.py.

The work is LAPACK's (on a GPU cuSOLVER's), which knows float32 and float64: float16 and bfloat16 are computed in float32
and rounded at the end, where PyTorch refuses them. All take batches: any number of leading dimensions.
"""

import collections
import math

from tensorlite import errors
from tensorlite.backend import dtypes
from tensorlite.op import Op
from tensorlite.ops.convert import cast
from tensorlite.ops.matmul import matmul, mixed_dtypes, need_tensors, no_out, swapped
from tensorlite.ops.select import where
from tensorlite.ops.shape import expand, movedim, reshape, squeeze, transpose, unsqueeze
from tensorlite.tensor import Tensor, mode, path, wrap

__all__ = ["inverse", "pinverse", "triangular_solve"]


# ---------------------------------------------------------------- arguments
def matrices(name, *tensors, square=()):
    """The tensors as floating-point matrices that LAPACK takes, in one dtype; and the dtype that the result has.

    Raises:
        DTypeError: integers, different dtypes. ShapeError: fewer than 2 dimensions; one of those in `square` (numbers) that is not.
    """
    for i, x in enumerate(tensors):
        need_tensors(name, x)
        if not x.dtype.is_floating_point:
            raise errors.DTypeError(
                f"{name}: a floating-point tensor is needed, got {errors.describe(x)}; use x.float()"
            )
        if x.ndim < 2:
            raise errors.ShapeError(f"{name}: a matrix (at least 2 dimensions) is needed, got {errors.describe(x)}")
        if i in square and x.shape[-1] != x.shape[-2]:
            fault = f"a square matrix is needed, got {errors.describe(x)}"
            raise errors.ShapeError(errors.compose(name, fault, "", path()))
    if mode.now.casts:
        tensors = mode.casts.to(name, *tensors)
    dtype = tensors[0].dtype
    if any(x.dtype is not dtype for x in tensors):
        raise mixed_dtypes(name, ("A", "B"), tensors)
    work = dtypes.float32 if dtype.itemsize == 2 else dtype
    return dtype, *(cast(x, work) for x in tensors)


def adjoint(m, x):
    """The transpose of each matrix, in a rule."""
    return m.permute(x, dims=swapped(len(x.shape)))


def row(m, v):
    """(..., n) as (..., 1, n), in a rule."""
    return m.reshape(v, shape=(*v.shape[:-1], 1, v.shape[-1]))


def column(m, v):
    """(..., n) as (..., n, 1), in a rule."""
    return m.reshape(v, shape=(*v.shape, 1))


def _stacked(b, a, y):
    """Matrices with their leading dimensions broadcast; CuPy does not do it."""
    batch = b.xp.broadcast_shapes(a.shape[:-2], y.shape[:-2])
    return b.xp.broadcast_to(a, batch + a.shape[-2:]), b.xp.broadcast_to(y, batch + y.shape[-2:])


def lapack(b, name, x, **kw):
    """b.xp.linalg.NAME(x, ...). Raises LinAlgError where it does not converge."""
    try:
        return getattr(b.xp.linalg, name)(x, **kw)
    except ValueError as e:  # NumPy's LinAlgError; CuPy raises none, and gives nan
        if bool(b.xp.isfinite(x).all()):
            raise errors.LinAlgError(f"the algorithm failed ({e})") from None
        wrong = which(b, ~b.xp.isfinite(x).all(axis=(-1, -2)))
        raise errors.LinAlgError(f"{wrong} holds nan or infinity, and has no factors") from None


def which(b, wrong):
    """Says which matrix of a batch: the first where `wrong`."""
    if not wrong.ndim:
        return "the matrix"
    place, index = int(b.xp.argmax(wrong.reshape(-1))), []
    for n in wrong.shape[::-1]:
        place, k = divmod(place, n)
        index.insert(0, k)
    return f"matrix {index[0] if len(index) == 1 else tuple(index)} of the batch"


def _solved(b, f, a, *rest):
    """f(a, ...) by LAPACK. NumPy raises where a is singular, CuPy gives inf and nan: both become one error."""
    if not a.size or not all(x.size for x in rest):
        return b.xp.zeros_like(rest[0] if rest else a)
    try:
        out = f(a, *rest)
        wrong = ~b.xp.isfinite(out).all(axis=(-1, -2))
        if not bool(wrong.any()):
            return out
        for x in (a, *rest):  # what is not finite already goes through
            wrong = wrong & b.xp.isfinite(x).all(axis=(-1, -2))
        if not bool(wrong.any()):
            return out
    except ValueError:  # NumPy's LinAlgError
        wrong = b.xp.linalg.slogdet(a)[0] == 0
    raise errors.LinAlgError(
        f"{which(b, wrong)} is singular, it has no inverse; tl.linalg.lstsq and pinv take such matrices"
    )


# ---------------------------------------------------------------- the operations
class Solve(Op):
    name, formula = "solve", "x with A x = y"
    local = ("- solve(A.T, g) @ out.T", "solve(A.T, g)")

    def forward(b, a, y):
        return _solved(b, b.xp.linalg.solve, *_stacked(b, a, y))

    rules = (
        lambda m, g, a, out: -m.matmul(m.solve(adjoint(m, a), g), adjoint(m, out)),
        lambda m, g, a: m.solve(adjoint(m, a), g),
    )


class SolveTriangular(Op):
    """By substitution in halves: a small triangle by LAPACK's solve, the rest by matmul."""

    name, formula = "solve_triangular", "x with A x = y, A triangular"
    local = ("- the triangle of solve(A.T, g) @ out.T", "solve(A.T, g)")

    def forward(b, a, y, *, upper, unit):
        a, y = _stacked(b, a, y)
        xp, n = b.xp, a.shape[-1]
        triangle = (xp.triu if upper else xp.tril)(a, (1 if upper else -1) if unit else 0)
        if unit:
            triangle = triangle + xp.eye(n, dtype=a.dtype)
        return _solved(b, lambda t, y: _substituted(b, t, y, upper), triangle, y)

    def _triangle(m, g, a, out, upper, unit):
        full = -m.matmul(m.solve_triangular(adjoint(m, a), g, upper=not upper, unit=unit), adjoint(m, out))
        return m.triu(full, diagonal=int(unit)) if upper else m.tril(full, diagonal=-int(unit))

    rules = (
        _triangle,
        lambda m, g, a, upper, unit: m.solve_triangular(adjoint(m, a), g, upper=not upper, unit=unit),
    )


def _substituted(b, t, y, upper):
    n = t.shape[-1]
    if n <= 32:
        return b.xp.linalg.solve(t, y)
    h = n // 2
    if upper:
        low = _substituted(b, t[..., h:, h:], y[..., h:, :], upper)
        high = _substituted(b, t[..., :h, :h], y[..., :h, :] - b.matmul(t[..., :h, h:], low), upper)
    else:
        high = _substituted(b, t[..., :h, :h], y[..., :h, :], upper)
        low = _substituted(b, t[..., h:, h:], y[..., h:, :] - b.matmul(t[..., h:, :h], high), upper)
    return b.xp.concatenate((high, low), axis=-2)


class Inv(Op):
    name, formula, local = "inv", "A^-1", "- out.T @ g @ out.T"

    def forward(b, x):
        return _solved(b, b.xp.linalg.inv, x)

    rules = lambda m, g, out: -m.matmul(adjoint(m, out), m.matmul(g, adjoint(m, out)))  # noqa: E731


class Pinv(Op):
    """By the singular values; those up to max(atol, rtol * the largest) count as 0. Rule: Golub and Pereyra 1973."""

    name, formula = "pinv", "A^+, the Moore-Penrose inverse"
    local = "- P.T g P.T + (1 - A P) g.T P P.T + P.T P g.T (1 - P A), P = out"

    def forward(b, x, *, atol, rtol):
        xp = b.xp
        u, s, vh = lapack(b, "svd", x, full_matrices=False)
        if not s.size:
            return xp.zeros(x.shape[:-2] + (x.shape[-1], x.shape[-2]), dtype=x.dtype)
        kept = s > cutoff(b, s, atol, rtol)
        s = xp.where(kept, 1 / xp.where(kept, s, xp.ones_like(s)), xp.zeros_like(s))
        return b.matmul(xp.swapaxes(vh, -1, -2) * s[..., None, :], xp.swapaxes(u, -1, -2))

    def _rule(m, g, x, out):
        h, pt = adjoint(m, g), adjoint(m, out)  # (rows, columns), as x
        one = m.matmul(m.matmul(h, out), pt)
        two = m.matmul(pt, m.matmul(out, h))
        share = one - m.matmul(x, m.matmul(out, one)) + two - m.matmul(m.matmul(two, out), x)
        return share - m.matmul(pt, m.matmul(g, pt))

    rules = _rule


def cutoff(b, s, atol, rtol):
    """The size (..., 1) up to which singular values count as 0."""
    top = s.max(axis=-1, keepdims=True) * rtol
    return b.xp.maximum(top, b.xp.asarray(atol, dtype=s.dtype))


class Slogdet(Op):
    name, formula, local, outputs = "slogdet", "sign and ln |det A|", "0 of the sign, A^-T of ln |det A|", 2

    def forward(b, x):
        sign, logabs = b.xp.linalg.slogdet(x)
        return sign, logabs

    rules = lambda m, g, x: m.reshape(g[1], shape=(*g[1].shape, 1, 1)) * adjoint(m, m.inv(x))  # noqa: E731


class MatrixRank(Op):
    name, formula = "matrix_rank", "how many singular values s are above max(atol, rtol * the largest)"

    def forward(b, s, *, atol, rtol):
        return (s > cutoff(b, s, atol, rtol) if s.shape[-1] else s > 0).sum(axis=-1)


# ---------------------------------------------------------------- solving
def solve(A, B, *, left=True, out=None) -> Tensor:
    """X with A X = B (left=False: X A = B), by LU factorisation with pivoting. B: matrices, or vectors where B has one
    dimension, or the shape of A without its last; leading dimensions broadcast.

    Raises:
        LinAlgError: a singular matrix. ShapeError: A not square, sizes that do not match. DTypeError: integers.

    Example:
        >>> import tensorlite as tl
        >>> A = tl.tensor([[2.0, 0.0], [0.0, 4.0]])
        >>> tl.linalg.solve(A, tl.tensor([2.0, 2.0]))
        tensor([1.0000, 0.5000])
    """
    no_out("linalg.solve", out)
    vector = isinstance(B, Tensor) and isinstance(A, Tensor) and (B.ndim == 1 or B.shape == A.shape[:-1])
    dtype, a, y = matrices("linalg.solve", A, unsqueeze(B, -1) if vector else B, square=(0,))
    if vector and not left:
        raise errors.ArgumentError("linalg.solve: left=False takes matrices B only; use A.mT and left=True")
    _need_match("linalg.solve", A, B, y.shape[-2 if left else -1], left)
    out = _system(Solve, a, y, left)
    return cast(squeeze(out, -1) if vector else out, dtype)


def solve_triangular(A, B, *, upper, left=True, unitriangular=False, out=None) -> Tensor:
    """X with A X = B (left=False: X A = B) for a triangular A; its other half is not read. unitriangular: its diagonal
    counts as 1 and is not read either. A 0 on the diagonal is an error (PyTorch gives inf)."""
    no_out("linalg.solve_triangular", out)
    dtype, a, y = matrices("linalg.solve_triangular", A, B, square=(0,))
    _need_match("linalg.solve_triangular", A, B, y.shape[-2 if left else -1], left)
    return cast(_system(SolveTriangular, a, y, left, upper=bool(upper), unit=bool(unitriangular)), dtype)


def _need_match(name, A, B, size, left):
    """Refuse B whose rows (columns) are not as many as those of A."""
    if A.shape[-1] != size:
        fault = f"A is {A.shape[-1]} x {A.shape[-1]}, B has {size} {'rows' if left else 'columns'}"
        raise errors.ShapeError(errors.compose(name, fault, errors.argument_table(("A", "B"), (A, B)), path()))


def _system(op, a, y, left, **args):
    """A X = B, or X A = B as A^T X^T = B^T."""
    if left:
        return op.apply(a, y, **args)
    if args:
        args["upper"] = not args["upper"]
    return transpose(op.apply(transpose(a, -1, -2), transpose(y, -1, -2), **args), -1, -2)


Triangular = collections.namedtuple("triangular_solve", "solution cloned_coefficient")


def triangular_solve(b, A, upper=True, transpose=False, unitriangular=False) -> Triangular:
    """PyTorch's old form of tl.linalg.solve_triangular: (solution, A)."""
    if mode.now.casts:
        return mode.casts.call("triangular_solve", triangular_solve, b, A, upper, transpose, unitriangular)
    a = A.transpose(-1, -2) if transpose else A
    return Triangular(solve_triangular(a, b, upper=upper != transpose, unitriangular=unitriangular), A.clone())


def inv(A, *, out=None) -> Tensor:
    """The inverse of a square matrix, and of each of a batch. To solve A X = B, tl.linalg.solve is quicker and more exact.

    Raises:
        LinAlgError: a singular matrix. ShapeError: not square. DTypeError: integers.

    Example:
        >>> import tensorlite as tl
        >>> tl.linalg.inv(tl.tensor([[2.0, 0.0], [0.0, 4.0]]))
        tensor([[0.5000, 0.0000],
                [0.0000, 0.2500]])
    """
    no_out("linalg.inv", out)
    dtype, a = matrices("linalg.inv", A, square=(0,))
    return cast(Inv.apply(a), dtype)


def inverse(input, *, out=None) -> Tensor:
    """tl.linalg.inv under its old name."""
    return inv(input, out=out)


InvEx = collections.namedtuple("inv_ex", "inverse info")


def inv_ex(A, *, check_errors=False, out=None) -> InvEx:
    """(inverse, info) without an error for singular matrices: their info is 1 and their inverse inf; info is 0 elsewhere."""
    if check_errors:
        result = inv(A, out=out)
        return InvEx(result, zeros_like_batch(A, dtypes.int32))
    no_out("linalg.inv_ex", out)
    dtype, a = matrices("linalg.inv_ex", A, square=(0,))
    singular = Slogdet.apply(a.detach())[0] == 0
    hit = reshape(singular, (*singular.shape, 1, 1))
    inverse = where(hit, math.inf, Inv.apply(where(hit, eye_like(a), a)))
    return InvEx(cast(inverse, dtype), cast(singular, dtypes.int32))


def zeros_like_batch(x, dtype):
    """Zeros, one for each matrix of x."""
    return wrap(x.device.backend.xp.zeros(x.shape[:-2], dtype=dtype.dtype), x.device)


def eye_like(x):
    """The identity in the shape, dtype and place of square matrices."""
    b = x.device.backend
    return expand(wrap(b.xp.eye(x.shape[-1], dtype=x.array.dtype), x.device), tuple(x.shape))


def pinv(A, *, atol=None, rtol=None, hermitian=False, out=None) -> Tensor:
    """The pseudo-inverse (Moore-Penrose), by singular values: those up to max(atol, rtol * the largest) count as 0.

    atol, rtol: numbers, or tensors with one for each matrix; rtol is max(A.shape[-2:]) * eps unless one of them is given.
    The gradient is right while the rank stays as it is. hermitian is accepted, and needs no other way.
    """
    no_out("linalg.pinv", out)
    dtype, a = matrices("linalg.pinv", A, square=(0,) if hermitian else ())
    return cast(Pinv.apply(a, **tolerances(a, atol, rtol)), dtype)


def pinverse(input, rcond=1e-15) -> Tensor:
    """tl.linalg.pinv with rtol=rcond."""
    return pinv(input, rtol=rcond)


def tolerances(x, atol, rtol):
    """atol and rtol as arguments of an operation on the singular values (..., k) of x."""
    for v in (atol, rtol):
        if v is not None and not isinstance(v, (int, float, Tensor)):
            raise errors.DTypeError(f"atol and rtol must be numbers or tensors, got {v!r}")
    if rtol is None:
        eps = dtypes.finfo(x.dtype).eps
        rtol = max(x.shape[-2:]) * eps if atol is None else 0.0
    raw = lambda v: v.array[..., None].astype(x.array.dtype) if isinstance(v, Tensor) else float(v)  # noqa: E731
    return {"atol": raw(0.0 if atol is None else atol), "rtol": raw(rtol)}


# ---------------------------------------------------------------- systems of other shapes
Lstsq = collections.namedtuple("lstsq", "solution residuals rank singular_values")


def lstsq(A, B, rcond=None, *, driver=None) -> Lstsq:
    """X that makes ||A X - B|| least, the smallest such X where there are several: pinv(A) B.

    solution (..., n, k); residuals (..., k): the sums of squares of A X - B where m > n and all ranks are full, else
    empty; rank: int64, one for each matrix; singular_values: empty but for the drivers "gelsd" and "gelss". All drivers
    compute the same way here. B may be a vector where A is one matrix. Only the solution and the residuals have gradients.

    rcond: singular values up to rcond * the largest count as 0; max(m, n) * eps unless given.
    """
    from tensorlite.ops.decompositions import Svd

    if mode.now.casts:
        return mode.casts.call("linalg.lstsq", lstsq, A, B, rcond, driver=driver)
    call = lambda a, b: lstsq(a, b, rcond, driver=driver)  # noqa: E731
    if mode.vmap is not None and (out := mode.vmap.each(call, (A, B))) is not None:
        return out
    if driver not in (None, "gels", "gelsy", "gelsd", "gelss"):
        raise errors.ArgumentError(f"linalg.lstsq: driver must be gels, gelsy, gelsd or gelss, got {driver!r}")
    vector = isinstance(B, Tensor) and isinstance(A, Tensor) and B.ndim == A.ndim - 1 and B.shape == A.shape[:-1]
    if vector:
        B = unsqueeze(B, -1)
    dtype, a, y = matrices("linalg.lstsq", A, B)
    if a.shape[-2] != y.shape[-2]:
        table = errors.argument_table(("A", "B"), (A, B))
        raise errors.ShapeError(errors.compose("linalg.lstsq", "A and B have different numbers of rows", table, path()))
    m, n = a.shape[-2:]
    limits = tolerances(a, None, rcond)
    solution = matmul(Pinv.apply(a, **limits), y)
    _, s, _ = Svd.apply(a.detach(), full=False)
    rank = MatrixRank.apply(s, **limits)
    empty = wrap(a.device.backend.xp.zeros((0,), dtype=dtype.dtype), a.device)
    residuals = empty
    if m > n and bool((rank == n).all()):
        residuals = cast(((matmul(a, solution) - y) ** 2).sum(-2), dtype)
    solution = cast(squeeze(solution, -1) if vector else solution, dtype)
    return Lstsq(solution, residuals, rank, cast(s, dtype) if driver in ("gelsd", "gelss") else empty)


def tensorinv(A, ind=2, *, out=None) -> Tensor:
    """The inverse of tensordot with A: A's first `ind` dimensions and the others have equally many elements."""
    no_out("linalg.tensorinv", out)
    if not hasattr(ind, "__index__") or ind <= 0:
        raise errors.ArgumentError(f"linalg.tensorinv: ind must be a positive int, got {ind!r}")
    need_tensors("linalg.tensorinv", A)
    first, rest = tuple(A.shape[:ind]), tuple(A.shape[ind:])
    if math.prod(first) != math.prod(rest):
        raise errors.ShapeError(
            f"linalg.tensorinv: the first {ind} dimensions {first} and the others {rest} must have equally many elements"
        )
    return reshape(inv(reshape(A, (math.prod(first), math.prod(rest)))), rest + first)


def tensorsolve(A, B, dims=None, *, out=None) -> Tensor:
    """X with tensordot(A, X, X.ndim) = B; dims: dimensions of A to move to its end first."""
    no_out("linalg.tensorsolve", out)
    need_tensors("linalg.tensorsolve", A, B)
    if dims is not None:
        A = movedim(A, tuple(dims), tuple(range(A.ndim - len(dims), A.ndim)))
    wanted, n = tuple(A.shape[B.ndim :]), math.prod(B.shape)
    if tuple(A.shape[: B.ndim]) != tuple(B.shape) or math.prod(wanted) != n:
        table = errors.argument_table(("A", "B"), (A, B))
        fault = "A must have the dimensions of B and then others with equally many elements"
        raise errors.ShapeError(errors.compose("linalg.tensorsolve", fault, table, path()))
    return reshape(solve(reshape(A, (n, n)), reshape(B, (n,))), wanted)
