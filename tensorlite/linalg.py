"""tl.linalg: PyTorch's names of linear algebra. Names only; the operations are in ops/: linalg, decompositions,
matrix_functions, norms, products.

float16 and bfloat16 are computed in float32 and rounded at the end (PyTorch refuses most of them); what is complex (eig) and
out= are refused. All take batches. A matrix that has no inverse or no Cholesky factor raises LinAlgError, on every device.

Example:
    >>> import tensorlite as tl
    >>> A = tl.tensor([[4.0, 2.0], [2.0, 2.0]])
    >>> tl.linalg.det(A), tl.linalg.eigvalsh(A).sum()
    (tensor(4.), tensor(6.))
"""

import functools as _functools

from tensorlite.errors import LinAlgError
from tensorlite.ops.decompositions import (
    cholesky,
    cholesky_ex,
    eig,
    eigh,
    eigvals,
    eigvalsh,
    linalg_qr as qr,
    linalg_svd as svd,
    svdvals,
)
from tensorlite.ops.linalg import inv, inv_ex, lstsq, pinv, solve, solve_triangular, tensorinv, tensorsolve
from tensorlite.ops.matmul import matmul
from tensorlite.ops.matrix_functions import det, matrix_exp, matrix_power, slogdet
from tensorlite.ops.norms import cond, matrix_norm, matrix_rank, multi_dot, norm, vector_norm
from tensorlite.ops.products import linalg_cross as cross, linalg_vander as vander, vecdot
from tensorlite.ops.views import diagonal as _diagonal

__all__ = [
    "LinAlgError", "cholesky", "cholesky_ex", "cond", "cross", "det", "diagonal", "eig", "eigh", "eigvals", "eigvalsh", "inv",
    "inv_ex", "lstsq", "matmul", "matrix_exp", "matrix_norm", "matrix_power", "matrix_rank", "multi_dot", "norm", "pinv", "qr",
    "slogdet", "solve", "solve_triangular", "svd", "svdvals", "tensorinv", "tensorsolve", "vander", "vecdot", "vector_norm",
]  # fmt: skip


def _of_A(function):
    """A function whose matrix is named A in tl.linalg, and input elsewhere."""

    @_functools.wraps(function)
    def call(*args, **kwargs):
        if "A" in kwargs:
            kwargs["input"] = kwargs.pop("A")
        return function(*args, **kwargs)

    call.__module__, call.__qualname__ = __name__, function.__name__  # where pickle finds it
    return call


cholesky, det, matrix_exp, matrix_power, slogdet = (
    _of_A(f) for f in (cholesky, det, matrix_exp, matrix_power, slogdet)
)


def diagonal(A, *, offset=0, dim1=-2, dim2=-1):
    """tl.diagonal, of the last two dimensions unless told otherwise."""
    return _diagonal(A, offset, dim1, dim2)
