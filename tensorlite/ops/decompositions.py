"""Factorisations of matrices by LAPACK: Cholesky, QR, singular values, eigenvalues; each with its derivative.

Where a factor is not unique (its sign, or a basis for equal values) the gradient is that of any loss which does not depend
on the choice. Divisions by the difference of two equal values, or by a singular value of 0, count as 0 (PyTorch: inf or
nan): right for such losses. Sources: Giles 2008, An extended collection of matrix derivative results; Seeger et al. 2017,
Auto-differentiating linear algebra; Townsend 2016, Differentiating the singular value decomposition.
"""

import collections

from tensorlite import errors
from tensorlite.backend import dtypes
from tensorlite.op import Op
from tensorlite.ops.convert import cast
from tensorlite.ops.linalg import adjoint, column, lapack, matrices, row, solve_triangular, which, zeros_like_batch
from tensorlite.ops.matmul import matmul, need_tensors, no_out
from tensorlite.ops.shape import cat, transpose
from tensorlite.tensor import Tensor, mode as now, wrap

__all__ = ["cholesky", "cholesky_inverse", "cholesky_solve", "qr", "svd"]


# ---------------------------------------------------------------- the operations
class Cholesky(Op):
    """Reads the lower triangle only; the gradient is that of a symmetric matrix, and symmetric."""

    name, formula = "cholesky", "L, lower triangular, with L L.T = A"
    local = "L^-T phi(L.T g) L^-1 made symmetric; phi: the lower triangle, its diagonal halved"

    def forward(b, x):
        if not x.size:
            return b.xp.zeros_like(x)
        try:
            out = b.xp.linalg.cholesky(x)
            wrong = ~(b.xp.diagonal(out, 0, -2, -1) > 0).all(axis=-1)
            wrong = wrong & b.xp.isfinite(b.xp.tril(x)).all(axis=(-1, -2))  # what is not finite already goes through
            if not bool(wrong.any()):
                return out
        except ValueError:  # NumPy's LinAlgError; CuPy raises none
            wrong = _indefinite(b, x)
        raise errors.LinAlgError(f"{which(b, wrong)} is not positive definite (all its eigenvalues must be above 0)")

    def _rule(m, g, out):
        lt = adjoint(m, out)
        p = m.matmul(lt, g)
        p = (m.tril(p, diagonal=0) + m.tril(p, diagonal=-1)) * 0.5
        p = m.solve_triangular(lt, p, upper=True, unit=False)
        p = m.solve_triangular(lt, adjoint(m, p), upper=True, unit=False)
        return (p + adjoint(m, p)) * 0.5

    rules = _rule


def _indefinite(b, x):
    """Which matrices of a batch, of which at least one is not positive definite, are not."""
    low = b.xp.tril(x)
    full = low + b.xp.swapaxes(b.xp.tril(x, -1), -1, -2)
    finite = b.xp.isfinite(low).all(axis=(-1, -2))
    w = b.xp.linalg.eigvalsh(b.xp.where(finite[..., None, None], full, b.xp.eye(x.shape[-1], dtype=x.dtype)))
    ratio = w[..., 0] / b.xp.maximum(b.xp.abs(w).max(axis=-1), b.xp.finfo(x.dtype).tiny)
    return (ratio <= 0) | (ratio == ratio.min())


class Qr(Op):
    """Reduced, of matrices with at least as many rows as columns (wide ones are made of this, see qr)."""

    name, formula, outputs = "qr", "Q R = x, Q.T Q = 1, R upper triangular", 2
    local = "(gQ + Q (M's lower triangle, mirrored)) R^-T, M = R gR.T - gQ.T Q"

    def forward(b, x, *, mode):
        q, r = b.xp.linalg.qr(x, mode=mode)
        return q, r

    def _rule(m, g, out, mode):
        if mode == "complete" and out[0].shape[-1] != out[1].shape[-1]:
            raise errors.GraphError(
                "linalg.qr: mode='complete' has no derivative for a matrix with more rows than columns: the last columns "
                "of Q may be any; use mode='reduced'"
            )
        (q, r), (gq, gr) = out, g
        k = m.matmul(r, adjoint(m, gr)) - m.matmul(adjoint(m, gq), q)
        k = m.tril(k, diagonal=0) + adjoint(m, m.tril(k, diagonal=-1))
        full = gq + m.matmul(q, k)
        return adjoint(m, m.solve_triangular(r, adjoint(m, full), upper=True, unit=False))

    rules = _rule


def _inverse(m, d):
    """1 / d, and 0 where d is 0."""
    zero = d == 0
    return m.where(zero, 0.0, 1 / m.where(zero, 1.0, d))


class Svd(Op):
    name, formula, outputs = "svd", "U diag(S) Vh = x, U.T U = 1, Vh Vh.T = 1, S falling", 3
    local = "U (skew(U.T gU) / E S + S skew(V.T gV) / E + gS) Vh + ..., E[i, j] = S[j]^2 - S[i]^2"

    def forward(b, x, *, full):
        if not x.size:
            return _svd_of_nothing(b.xp, x, full)
        u, s, vh = lapack(b, "svd", x, full_matrices=full)
        return u, s, vh

    def _rule(m, g, out):
        (u, s, vh), (gu, gs, gvh) = out, g
        k = s.shape[-1]
        rows, columns = u.shape[-2], vh.shape[-1]
        if u.shape[-1] > k:  # the further columns may be any: no gradient comes from them
            u, gu = (m.index(v, key=(..., slice(0, k)), basic=True) for v in (u, gu))
        if vh.shape[-2] > k:
            vh, gvh = (m.index(v, key=(..., slice(0, k), slice(None)), basic=True) for v in (vh, gvh))
        low, high = column(m, s), row(m, s)
        e = _inverse(m, (high - low) * (high + low))
        pu, pv = m.matmul(adjoint(m, u), gu), m.matmul(vh, adjoint(m, gvh))
        core = (pu - adjoint(m, pu)) * e * high + low * ((pv - adjoint(m, pv)) * e)
        share = m.matmul(m.matmul(u, core) + u * row(m, gs), vh)
        if rows > k:
            share = share + m.matmul((gu - m.matmul(u, pu)) * _inverse(m, high), vh)
        if columns > k:
            share = share + m.matmul(u, _inverse(m, low) * (gvh - m.matmul(adjoint(m, pv), vh)))
        return share

    rules = _rule


def _svd_of_nothing(xp, x, full):
    m, n = x.shape[-2:]
    eye = lambda r, c: xp.broadcast_to(xp.eye(r, c, dtype=x.dtype), x.shape[:-2] + (r, c)).copy()  # noqa: E731
    s = xp.zeros(x.shape[:-2] + (min(m, n),), dtype=x.dtype)
    return eye(m, m if full else s.shape[-1]), s, eye(n if full else s.shape[-1], n)


class Eigh(Op):
    """Reads one triangle only (UPLO)."""

    name, formula, outputs = "eigh", "V diag(w) V.T = x, V.T V = 1, w rising", 2
    local = "V (gw + (V.T gV) / (w[j] - w[i])) V.T"

    def forward(b, x, *, UPLO):
        if not x.size:
            return b.xp.zeros(x.shape[:-1], dtype=x.dtype), b.xp.zeros_like(x)
        w, v = lapack(b, "eigh", x, UPLO=UPLO)
        return w, v

    def _rule(m, g, out):
        (w, v), (gw, gv) = out, g
        core = m.matmul(adjoint(m, v), gv) * _inverse(m, row(m, w) - column(m, w))
        return m.matmul(m.matmul(v, core) + v * row(m, gw), adjoint(m, v))

    rules = _rule


# ---------------------------------------------------------------- Cholesky
def cholesky(input, upper=False, *, out=None) -> Tensor:
    """The lower triangular L with L L^T = input, a symmetric positive definite matrix (upper=True: the upper one, L^T).
    One triangle is read only; the gradient is that of a symmetric matrix.

    Raises:
        LinAlgError: not positive definite. ShapeError: not square. DTypeError: integers.

    Example:
        >>> import tensorlite as tl
        >>> tl.linalg.cholesky(tl.tensor([[4.0, 2.0], [2.0, 2.0]]))
        tensor([[2., 0.],
                [1., 1.]])
    """
    no_out("linalg.cholesky", out)
    dtype, a = matrices("linalg.cholesky", input, square=(0,))
    low = Cholesky.apply(transpose(a, -1, -2) if upper else a)
    return cast(transpose(low, -1, -2) if upper else low, dtype)


CholeskyEx = collections.namedtuple("cholesky_ex", "L info")


def cholesky_ex(input, *, upper=False, check_errors=False, out=None) -> CholeskyEx:
    """(L, info): as cholesky, but without an error: where one matrix of the batch is not positive definite, all of L is nan
    and all of info is 1."""
    try:
        low = cholesky(input, upper, out=out)
        return CholeskyEx(low, zeros_like_batch(input, dtypes.int32))
    except errors.LinAlgError:
        if check_errors:
            raise
        return CholeskyEx(input * float("nan"), zeros_like_batch(input, dtypes.int32) + 1)


def cholesky_solve(B, L, upper=False, *, out=None) -> Tensor:
    """X with A X = B, given the Cholesky factor L of A (upper=True: its transpose)."""
    no_out("cholesky_solve", out)
    if now.casts:
        return now.casts.call("cholesky_solve", cholesky_solve, B, L, upper)
    if not isinstance(B, Tensor) or B.ndim < 2:
        raise errors.ShapeError(f"cholesky_solve: B must be a matrix (at least 2 dimensions), got {errors.describe(B)}")
    need_tensors("cholesky_solve", L)
    low, high = (transpose(L, -1, -2), L) if upper else (L, transpose(L, -1, -2))
    return solve_triangular(high, solve_triangular(low, B, upper=False), upper=True)


def cholesky_inverse(L, upper=False, *, out=None) -> Tensor:
    """The inverse of A, given its Cholesky factor L (upper=True: its transpose)."""
    no_out("cholesky_inverse", out)
    if now.casts:
        return now.casts.call("cholesky_inverse", cholesky_inverse, L, upper)
    dtype, a = matrices("cholesky_inverse", L, square=(0,))
    low = transpose(a, -1, -2) if upper else a
    eye = wrap(a.device.backend.xp.eye(a.shape[-1], dtype=a.array.dtype), a.device)
    half = solve_triangular(low, eye, upper=False)
    return cast(matmul(transpose(half, -1, -2), half), dtype)


# ---------------------------------------------------------------- QR
QR = collections.namedtuple("qr", "Q R")


def linalg_qr(A, mode="reduced", *, out=None) -> QR:
    """(Q, R) with Q R = A, Q with orthonormal columns, R upper triangular.

    mode: "reduced": Q (..., m, k), R (..., k, n), k = min(m, n); "complete": Q (..., m, m), R (..., m, n), which has no
    gradient where m > n; "r": R of "reduced" alone (with its gradient, where PyTorch has none) and an empty Q. The signs
    of R's diagonal are LAPACK's. Backward needs the first k columns of A to be independent.
    """
    no_out("linalg.qr", out)
    if now.casts:
        return now.casts.call("linalg.qr", linalg_qr, A, mode)
    if mode not in ("reduced", "complete", "r"):
        raise errors.ArgumentError(f"linalg.qr: mode must be 'reduced', 'complete' or 'r', got {mode!r}")
    dtype, a = matrices("linalg.qr", A)
    m, n = a.shape[-2:]
    if m < n:  # A = [X | Y]: X = Q R1, Y = Q (Q^T Y)
        q, r1 = Qr.apply(a[..., :m], mode="reduced")
        r = cat((r1, matmul(transpose(q, -1, -2), a[..., m:])), -1)
    else:
        q, r = Qr.apply(a, mode="complete" if mode == "complete" and m > n else "reduced")
    if mode == "r":
        q = wrap(a.device.backend.xp.zeros((0,), dtype=a.array.dtype), a.device)
    return QR(cast(q, dtype), cast(r, dtype))


def qr(input, some=True, *, out=None) -> QR:
    """tl.linalg.qr in its old form: some=False is mode="complete"."""
    return linalg_qr(input, "reduced" if some else "complete", out=out)


# ---------------------------------------------------------------- singular values
SVD = collections.namedtuple("svd", "U S Vh")
OldSVD = collections.namedtuple("svd", "U S V")


def linalg_svd(A, full_matrices=True, *, driver=None, out=None) -> SVD:
    """(U, S, Vh) with U diag(S) Vh = A: orthonormal columns of U and rows of Vh, S falling and not negative.

    full_matrices=False: U (..., m, k), Vh (..., k, n), k = min(m, n). With True they are square; their further columns
    (rows), which may be any, give no gradient. The signs of the vectors are LAPACK's: a loss should not depend on them.
    """
    no_out("linalg.svd", out)
    dtype, a = matrices("linalg.svd", A)
    return SVD(*(cast(v, dtype) for v in Svd.apply(a, full=bool(full_matrices))))


def svdvals(A, *, driver=None, out=None) -> Tensor:
    """The singular values of a matrix, the largest first."""
    no_out("linalg.svdvals", out)
    dtype, a = matrices("linalg.svdvals", A)
    return cast(Svd.apply(a, full=False)[1], dtype)


def svd(input, some=True, compute_uv=True, *, out=None) -> OldSVD:
    """tl.linalg.svd in its old form: it gives V and not its transpose. some=False: full_matrices; compute_uv=False: U and V
    are zeros."""
    u, s, vh = linalg_svd(input, full_matrices=not some or not compute_uv, out=out)
    v = transpose(vh, -1, -2)
    return OldSVD(u, s, v) if compute_uv else OldSVD(u.detach() * 0, s, v.detach() * 0)


# ---------------------------------------------------------------- eigenvalues
EighResult = collections.namedtuple("eigh", "eigenvalues eigenvectors")


def eigh(A, UPLO="L", *, out=None) -> EighResult:
    """(eigenvalues, eigenvectors) of a symmetric matrix: the values rising, the vectors as columns, orthonormal.

    UPLO: which triangle is read, "L" or "U". The signs of the vectors are LAPACK's: a loss should not depend on them.

    Example:
        >>> import tensorlite as tl
        >>> tl.linalg.eigh(tl.tensor([[2.0, 0.0], [0.0, 1.0]])).eigenvalues
        tensor([1., 2.])
    """
    no_out("linalg.eigh", out)
    if str(UPLO).upper() not in ("L", "U"):
        raise errors.ArgumentError(f"linalg.eigh: UPLO must be 'L' or 'U', got {UPLO!r}")
    dtype, a = matrices("linalg.eigh", A, square=(0,))
    return EighResult(*(cast(v, dtype) for v in Eigh.apply(a, UPLO=UPLO.upper())))


def eigvalsh(A, UPLO="L", *, out=None) -> Tensor:
    """The eigenvalues of a symmetric matrix, the smallest first."""
    return eigh(A, UPLO, out=out)[0]


def eig(A, *, out=None):
    """Refused: the eigenvalues of a matrix that is not symmetric are complex numbers."""
    raise errors.DTypeError(
        "linalg.eig: the eigenvalues of a general matrix are complex, and complex numbers are not supported; for a symmetric "
        "matrix use tl.linalg.eigh, for singular values tl.linalg.svd"
    )


eigvals = eig
