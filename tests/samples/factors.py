"""Records of the factorisations of matrices, and of norms and distances.

Factors are compared by what does not depend on their signs: absolute values and products.
"""

import numpy as np

from samples.base import Case, Record, values
from samples.linalg import _called, _fault, _flat, _not_float, loose, usual
from tensorlite import errors


def _t(x):
    return np.swapaxes(x, -1, -2)


def _symmetric(rng, shape=(3, 3)):
    """Matrices whose symmetric part has eigenvalues that are positive and apart."""
    return values(rng, shape, -0.5, 0.5) + np.diag(1.5 * np.arange(1, shape[-1] + 1))


def _some(make, *shapes):
    return lambda rng: [Case((make(rng, s),)) for s in shapes]


_HALF = (lambda t, x: (x + x.mT) * 0.5), (lambda x: (x + _t(x)) * 0.5)


def _on_symmetric(name):
    return lambda t, x, *xs, **k: _called(name)(t, _HALF[0](t, x), *xs, **k)


def _triangle(rng, shape=(3, 3)):
    return np.tril(values(rng, shape, -0.5, 0.5)) + 2 * np.eye(shape[-1])


cholesky = [
    Record("cholesky", _on_symmetric("linalg.cholesky"), lambda x: np.linalg.cholesky(_HALF[1](x)),
           _some(_symmetric, (3, 3), (2, 2, 2), (1, 1), (0, 2, 2)), **loose, errors=(
               *usual("linalg.cholesky"),
               _fault("cholesky: matrix 1 of the batch is not positive definite",
                      lambda t: t.linalg.cholesky(t.stack([t.eye(2), -t.eye(2)])), errors.LinAlgError),
               _fault("cholesky: the matrix is not positive definite",
                      lambda t: t.linalg.cholesky(t.ones(2, 2)), errors.LinAlgError))),
    Record("cholesky", lambda t, x: t.cholesky(_HALF[0](t, x), upper=True), lambda x: _t(np.linalg.cholesky(_HALF[1](x))),
           _some(_symmetric, (3, 3)), name="cholesky_upper", **loose,
           torch=lambda t, x: t.linalg.cholesky(_HALF[0](t, x), upper=True)),
    Record("solve_triangular", lambda t, y, x, upper: t.cholesky_solve(y, x.mT if upper else x, upper=upper),
           lambda y, x, upper: np.linalg.solve(np.tril(x) @ _t(np.tril(x)), y), lambda rng: [
               Case((values(rng, (3, 2)), _triangle(rng)), {"upper": u}) for u in (False, True)],
           name="cholesky_solve", **loose,  # PyTorch has a gradient for the half that is not read
           torch=lambda t, y, x, upper: t.cholesky_solve(y, x.tril().mT if upper else x.tril(), upper=upper)),
    Record("solve_triangular", lambda t, x, upper: t.cholesky_inverse(x.mT if upper else x, upper=upper),
           lambda x, upper: np.linalg.inv(np.tril(x) @ _t(np.tril(x))), lambda rng: [
               Case((_triangle(rng),), {"upper": u}) for u in (False, True)], name="cholesky_inverse", **loose,
           torch=lambda t, x, upper: t.cholesky_inverse(x.tril().mT if upper else x.tril(), upper=upper)),
]  # fmt: skip


def _qr(t, x, mode):
    q, r = t.linalg.qr(x, mode=mode)
    return q.abs(), r.abs(), q @ r


def _qr_ref(x, mode):
    q, r = np.linalg.qr(x, mode=mode)
    return np.abs(q), np.abs(r), q @ r


def _svd(t, x):
    u, s, vh = t.linalg.svd(x, full_matrices=False)
    return s, u.abs(), vh.abs(), u @ vh


def _svd_ref(x):
    u, s, vh = np.linalg.svd(x, full_matrices=False)
    return s, np.abs(u), np.abs(vh), u @ vh


def _old_svd(t, x):
    u, s, v = t.svd(x)
    return s, u @ v.mT


def _eigh(t, x, UPLO="L"):
    w, v = t.linalg.eigh(_HALF[0](t, x), UPLO)
    return w, v.abs(), (v * (w * w)[..., None, :]) @ v.mT


def _eigh_ref(x, UPLO="L"):
    w, v = np.linalg.eigh(_HALF[1](x))
    return w, np.abs(v), (v * (w * w)[..., None, :]) @ _t(v)


factors = [
    Record("qr", _qr, _qr_ref, lambda rng: [
        Case((values(rng, s),), {"mode": "reduced"}) for s in ((3, 2), (2, 3), (2, 2, 2), (0, 2))] + [
            Case((values(rng, (2, 2)),), {"mode": "complete"})], **loose, errors=(
                _not_float("linalg.qr"), _flat("linalg.qr"),
                _fault("linalg.qr: mode must be 'reduced', 'complete' or 'r', got 'x'",
                       lambda t: t.linalg.qr(t.ones(2, 2), "x"), errors.ArgumentError),
                _fault("linalg.qr: mode='complete' has no derivative", lambda t: t.linalg.qr(
                    t.ones(3, 2, requires_grad=True), "complete").Q.sum().backward(), errors.GraphError))),
    Record("svd", _svd, _svd_ref, lambda rng: [
        Case((values(rng, s),)) for s in ((3, 2), (2, 3), (2, 2, 2), (0, 2), (0, 2, 2))], **loose,
        kinks="equal or vanishing singular values", errors=(_not_float("linalg.svd"), _flat("linalg.svd"))),
    Record("svd", _old_svd, lambda x: (np.linalg.svd(x)[1], _svd_ref(x)[3]), _some(values, (3, 2)), name="svd_old", **loose),
    Record("svd", _called("linalg.svdvals"), lambda x: np.linalg.svd(x, compute_uv=False), _some(values, (3, 2), (2, 2, 3)),
           name="svdvals", **loose),
    Record("eigh", _eigh, _eigh_ref, lambda rng: [
        *[Case((_symmetric(rng, s),)) for s in ((3, 3), (2, 2, 2), (1, 1), (0, 2, 2))],
        Case((_symmetric(rng),), {"UPLO": "U"})], kinks="equal eigenvalues", **loose, errors=(
            *usual("linalg.eigh"),
            _fault("linalg.eigh: UPLO must be 'L' or 'U', got 'x'", lambda t: t.linalg.eigh(t.eye(2), "x"),
                   errors.ArgumentError),
            _fault("linalg.eig: the eigenvalues of a general matrix are complex", lambda t: t.linalg.eig(t.eye(2)),
                   errors.DTypeError))),
    Record("eigh", _on_symmetric("linalg.eigvalsh"), lambda x: np.linalg.eigvalsh(_HALF[1](x)),
           _some(_symmetric, (3, 3), (2, 2, 2)), name="eigvalsh", **loose),
]  # fmt: skip


# ---------------------------------------------------------------- norms
_ORDERS = (2, 1, 3, 0.5, 0, np.inf, -np.inf, -1)


def _vector_ref(x, ord=2, dim=None, keepdim=False):
    if dim is None:
        y = np.linalg.norm(x.reshape(-1), ord)
        return y.reshape((1,) * x.ndim) if keepdim else y
    return np.linalg.norm(x, ord, dim, keepdim)


def _matrix_ref(A, ord="fro", dim=(-2, -1), keepdim=False):
    return np.linalg.norm(A, ord, tuple(dim), keepdim)


def _away(rng, shape=(2, 3)):
    return values(rng, shape, away=(0,), gap=0.2)


def _vector_cases(rng):
    made = [Case((_away(rng),), {"ord": o, "dim": d}) for o in _ORDERS for d in (None, 1)]
    return [
        *made,
        Case((_away(rng),), {"dim": 0, "keepdim": True}),
        Case((np.zeros(0),)),
        Case((_away(rng),), {"keepdim": True}),
    ]


def _matrix_cases(rng):
    made = [Case((_away(rng, (2, 3)),), {"ord": o}) for o in ("fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf)]
    made += [Case((_away(rng, (2, 3, 2)),), {"ord": o, "dim": (0, 1), "keepdim": True}) for o in ("nuc", 1, np.inf)]
    return made + [Case((_away(rng, (2, 3, 2)),), {"ord": o, "dim": (2, 0)}) for o in ("fro", -1, 2, -np.inf)]


def _norm_cases(rng):
    return [Case((_away(rng, s),), a) for s, a in (
        ((2, 3, 2), {}), ((3,), {"ord": 1}), ((2, 3), {"ord": "nuc"}), ((2, 3, 2), {"ord": 2, "dim": 1}),
        ((2, 3, 2), {"ord": 1, "dim": (0, 2)}), ((2, 3, 2), {"dim": (0, 2), "keepdim": True}))]  # fmt: skip


def _norm_ref(A, ord=None, dim=None, keepdim=False):
    return np.linalg.norm(A.reshape(-1) if ord is None and dim is None else A, ord, dim, keepdim)


def _cdist_ref(x, y, p=2.0):
    return np.linalg.norm(x[..., :, None, :] - y[..., None, :, :], p, -1)


def _cdist_cases(rng):
    made = [Case((values(rng, (2, 3)), values(rng, (4, 3))), {"p": p}) for p in (2.0, 1.0, 3.0, 0.0, 1.5, float("inf"))]
    return [
        *made,
        Case((values(rng, (2, 1, 2, 3)), values(rng, (3, 1, 3)))),
        Case((np.zeros((0, 3)), values(rng, (2, 3)))),
    ]


norms = [
    Record("norm", _called("linalg.vector_norm"), _vector_ref, _vector_cases, name="vector_norm", kinks="0", low_precision=40.0,
           errors=(_not_float("linalg.vector_norm"),
                   _fault("linalg.vector_norm: ord must be a number, got 'fro'",
                          lambda t: t.linalg.vector_norm(t.ones(2), "fro"), errors.ArgumentError))),
    Record("norm", _called("linalg.matrix_norm"), _matrix_ref, _matrix_cases, name="matrix_norm", kinks="0, ties", **loose,
           errors=(_not_float("linalg.matrix_norm"), _flat("linalg.matrix_norm"),
                   _fault("linalg.matrix_norm: ord must be 'fro', 'nuc', 1, -1, 2, -2, inf or -inf, got 3",
                          lambda t: t.linalg.matrix_norm(t.ones(2, 2), 3), errors.ArgumentError))),
    Record("norm", _called("linalg.norm"), _norm_ref, _norm_cases, name="linalg_norm", **loose, errors=(
        _fault("linalg.norm: with ord=2 and no dim A must have 1 or 2 dimensions",
               lambda t: t.linalg.norm(t.ones(2, 2, 2), 2), errors.ArgumentError),)),
    Record("svd", lambda t, x: t.linalg.cond(x), np.linalg.cond, _some(_symmetric, (3, 3), (2, 2, 2)), name="cond", **loose),
    Record("inv", lambda t, x, p: t.linalg.cond(x, p), np.linalg.cond, lambda rng: [
        Case((_symmetric(rng, (2, 2)), p)) for p in (1, "fro", "nuc", np.inf)], name="cond_of_inverse", **loose,
           torch="value"),  # PyTorch's has no gradient, by a fault of its own
    Record("norm", _called("cdist"), _cdist_ref, _cdist_cases, name="cdist", kinks="points that coincide", low_precision=40.0,
           torch=lambda t, x, y, p=2.0: t.linalg.vector_norm(x[..., :, None, :] - y[..., None, :, :], p, -1),
           errors=(_fault("cdist: two lists of points with equally many coordinates are needed",
                          lambda t: t.cdist(t.ones(2, 3), t.ones(2, 2))),
                   _fault("cdist: p must be a number and not negative, got -1", lambda t: t.cdist(t.ones(2, 3), t.ones(2, 3), p=-1),
                          errors.ArgumentError))),
    Record("norm", _called("dist"), lambda x, y, p=2: np.linalg.norm((x - y).reshape(-1), p), lambda rng: [
        Case((values(rng, (2, 3)), values(rng, (3,))), a) for a in ({}, {"p": 1}, {"p": 3})], name="dist", low_precision=40.0),
]  # fmt: skip

RECORDS = [*cholesky, *factors, *norms]
