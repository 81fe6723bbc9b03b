"""Functions of square matrices: determinants, powers, the exponential."""

import collections
import math

from tensorlite import errors
from tensorlite.op import Op
from tensorlite.ops.convert import cast
from tensorlite.ops.linalg import Slogdet, adjoint, eye_like, inv, lapack, matrices
from tensorlite.ops.matmul import matmul, need_tensors, no_out
from tensorlite.ops.select import where
from tensorlite.tensor import Tensor

__all__ = ["det", "logdet", "matrix_exp", "matrix_power", "slogdet"]


class Det(Op):
    name, formula, local = "det", "determinant of A", "the cofactors of A"

    def forward(b, x):
        return b.xp.linalg.det(x)

    rules = lambda m, g, x: m.reshape(g, shape=(*g.shape, 1, 1)) * m.cofactor(x)  # noqa: E731


class Cofactor(Op):
    """The derivative of det: det(A) A^-T, by singular values, so that it is right for singular matrices too. Its own
    derivative divides by det(A): nan where A is singular."""

    name, formula = "cofactor", "C = det(A) A^-T"
    local = "(<g, C> C - C g.T C) / det A"

    def forward(b, x):
        xp = b.xp
        if not x.size:
            return xp.zeros_like(x)
        u, s, vh = lapack(b, "svd", x)
        one = xp.ones_like(s[..., :1])
        before = xp.cumprod(xp.concatenate((one, s[..., :-1]), axis=-1), axis=-1)
        after = xp.cumprod(xp.concatenate((one, s[..., :0:-1]), axis=-1), axis=-1)[..., ::-1]
        sign = xp.linalg.det(u) * xp.linalg.det(vh)
        return b.matmul(u * (sign[..., None] * before * after)[..., None, :], vh)

    def _rule(m, g, x, out):
        n, c = len(x.shape), out
        along = m.sum(g * c, dim=(n - 2, n - 1), keepdim=True) * c
        d = m.det(x)
        return (along - m.matmul(c, m.matmul(adjoint(m, g), c))) / m.reshape(d, shape=(*d.shape, 1, 1))

    rules = _rule


# Pade's coefficients of order 13, and the norm up to which it is exact in float64 (Higham 2005).
_PADE = (64764752532480000, 32382376266240000, 7771770303897600, 1187353796428800, 129060195264000, 10559470521600,
         670442572800, 33522128640, 1323241920, 40840800, 960960, 16380, 182, 1)  # fmt: skip
_PADE_NORM = 5.371920351148152


class MatrixExp(Op):
    """Scaling and squaring with a Pade approximant (Higham 2005)."""

    name, formula = "matrix_exp", "e^A = sum A^k / k!"
    local = "the upper right block of exp [[A.T, g], [0, A.T]]"

    def forward(b, x):
        xp = b.xp
        if not x.size:
            return x.copy()
        norm = xp.abs(x).sum(axis=-2).max(axis=-1)
        halvings = xp.ceil(xp.log2(xp.maximum(norm / _PADE_NORM, 1)))
        halvings = xp.where(xp.isfinite(halvings), halvings, xp.zeros_like(halvings))[..., None, None]
        a = x * xp.exp2(-halvings)
        c = [v / _PADE[-1] for v in _PADE]
        eye = xp.eye(x.shape[-1], dtype=x.dtype)
        a2 = b.matmul(a, a)
        a4 = b.matmul(a2, a2)
        a6 = b.matmul(a4, a2)
        odd = b.matmul(a6, c[13] * a6 + c[11] * a4 + c[9] * a2) + c[7] * a6 + c[5] * a4 + c[3] * a2 + c[1] * eye
        u = b.matmul(a, odd)
        v = b.matmul(a6, c[12] * a6 + c[10] * a4 + c[8] * a2) + c[6] * a6 + c[4] * a4 + c[2] * a2 + c[0] * eye
        y = xp.linalg.solve(v - u, v + u)
        for k in range(int(halvings.max())):
            y = xp.where(halvings > k, b.matmul(y, y), y)
        return y

    def _rule(m, g, x):
        a, last = adjoint(m, x), len(x.shape) - 1
        above, below = m.cat(a, g, dim=last), m.cat(a * 0.0, a, dim=last)
        n = x.shape[-1]
        return m.index(
            m.matrix_exp(m.cat(above, below, dim=last - 1)), key=(..., slice(0, n), slice(n, 2 * n)), basic=True
        )

    rules = _rule


# ---------------------------------------------------------------- determinants
def det(input, *, out=None) -> Tensor:
    """The determinant of a square matrix. Its gradient, the matrix of cofactors, is right for singular matrices too; the
    second derivative is nan there.

    Example:
        >>> import tensorlite as tl
        >>> tl.det(tl.tensor([[1.0, 2.0], [3.0, 4.0]]))
        tensor(-2.)
    """
    no_out("linalg.det", out)
    dtype, a = matrices("linalg.det", input, square=(0,))
    return cast(Det.apply(a), dtype)


SlogdetResult = collections.namedtuple("slogdet", "sign logabsdet")


def slogdet(input, *, out=None) -> SlogdetResult:
    """(sign, logabsdet) of the determinant, which may be too large or too small for a number: (0, -inf) where it is 0.

    Backward through logabsdet of a singular matrix raises LinAlgError.
    """
    no_out("linalg.slogdet", out)
    dtype, a = matrices("linalg.slogdet", input, square=(0,))
    return SlogdetResult(*(cast(v, dtype) for v in Slogdet.apply(a)))


def logdet(input) -> Tensor:
    """ln det: -inf where the determinant is 0 (backward raises LinAlgError there), nan where it is negative."""
    sign, logabs = slogdet(input)
    return where(sign.detach() < 0, math.nan, logabs)


# ---------------------------------------------------------------- powers
def matrix_power(input, n, *, out=None) -> Tensor:
    """input multiplied by itself n times, by repeated squaring; n = 0 the identity, n < 0 powers of the inverse."""
    no_out("linalg.matrix_power", out)
    need_tensors("linalg.matrix_power", input)
    if not hasattr(n, "__index__"):
        raise errors.DTypeError(f"linalg.matrix_power: n must be an int, got {errors.describe(n)}")
    if input.ndim < 2 or input.shape[-1] != input.shape[-2]:
        raise errors.ShapeError(f"linalg.matrix_power: a square matrix is needed, got {errors.describe(input)}")
    if n == 0:
        return eye_like(input).clone()
    x, n, result = inv(input) if n < 0 else input, abs(int(n)), None
    while n:
        if n & 1:
            result = x if result is None else matmul(result, x)
        n >>= 1
        x = matmul(x, x) if n else x
    return result.clone() if result is input else result


def matrix_exp(input) -> Tensor:
    """e^A = 1 + A + A^2 / 2 + ... of a square matrix (not that of its elements: that is exp)."""
    dtype, a = matrices("linalg.matrix_exp", input, square=(0,))
    return cast(MatrixExp.apply(a), dtype)
