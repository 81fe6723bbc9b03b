"""Records of sums of products (einsum and its kin), solving, inverses, determinants and norms. Factorisations: factors.py."""

import numpy as np
import scipy.linalg

from samples.base import Case, Record, values
from tensorlite import errors
from tensorlite.op import registry

_PRODUCTS = (
    ("ij,jk->ik", (2, 3), (3, 4)), ("ij,jk", (2, 3), (3, 2)), ("ii->i", (3, 3)), ("ij->ji", (2, 3)),
    ("bij,bjk->bik", (2, 2, 3), (2, 3, 1)), ("i,i", (3,), (3,)), ("i,j->ji", (2,), (3,)),
    ("...ij,...jk->...ik", (2, 1, 2, 3), (3, 3, 2)), ("...i->i...", (2, 3, 2)), ("i...,i...", (2, 3), (2, 1)),
    ("ij,ij->ij", (2, 3), (2, 1)), ("iji->ij", (2, 3, 2)), ("ii,ij->j", (2, 2), (2, 3)), (" i j , j -> i ", (2, 3), (3,)),
    ("ab,bc,cd->ad", (2, 3), (3, 2), (2, 4)), ("ab,ac,ad->bcd", (2, 2), (2, 3), (2, 1)), ("iii->i", (2, 2, 2)),
    ("i,i,i,i->", (2,), (2,), (2,), (2,)), (",i->i", (), (3,)), ("->", ()), ("ij,jk->ik", (2, 0), (0, 3)),
)  # fmt: skip
_SUMS = (  # of one operand over a label of its own: for integers the result is int64
    ("ii", (3, 3)), ("ij->", (2, 3)), ("bij->j", (2, 2, 3)), ("ij,kl->", (2, 2), (2, 3)), ("i->", (0,)),
    ("...i->...", (2, 1, 3)), ("iij->i", (2, 2, 3)),
)  # fmt: skip


def _einsum(t, *xs, equation):
    return t.einsum(equation, *xs)


def _einsum_ref(*xs, equation):
    return np.einsum(equation.replace(" ", ""), *xs)


def _equations(rows):
    return lambda rng: [Case(tuple(values(rng, s) for s in shapes), {"equation": e}) for e, *shapes in rows]


def _shaped(*shapes, **args):
    """A case of random arrays for each tuple of shapes."""
    return lambda rng: [Case(tuple(values(rng, s) for s in row), args) for row in shapes]


def _fault(text, call, kind=errors.ShapeError):
    return call, kind, text


def _called(name):
    """The function of this name in t or in t.linalg."""

    def call(t, *xs, **args):
        for part in name.split("."):
            t = getattr(t, part)
        return t(*xs, **args)

    return call


sums = [
    Record("einsum", _einsum, _einsum_ref, _equations(_SUMS), ints=True, result="sum", name="einsum_sums"),
    Record("einsum", _einsum, _einsum_ref, _equations(_PRODUCTS),
           ints=True, errors=(
               _fault("einsum: label 'j' has size 4 in operand 1, but 3 before: operand 0 float32 (2, 3)",
                      lambda t: t.einsum("ij,jk", t.ones(2, 3), t.ones(4, 2))),
               _fault("einsum: operand 0 has 2 dimensions, but 'ijk' names 3 in 'ijk->i'",
                      lambda t: t.einsum("ijk->i", t.ones(2, 3))),
               _fault("einsum: 1 operands for an equation of 2 in 'ij,jk'",
                      lambda t: t.einsum("ij,jk", t.ones(2, 3)), errors.ArgumentError),
               _fault("einsum: label 'k' of the output is in no input",
                      lambda t: t.einsum("ij->k", t.ones(2, 3)), errors.ArgumentError),
               _fault("einsum: label 'i' appears twice in the output",
                      lambda t: t.einsum("ij->ii", t.ones(2, 2)), errors.ArgumentError),
               _fault("einsum: '1' in 'i1->i': labels are letters a-z, A-Z",
                      lambda t: t.einsum("i1->i", t.ones(2, 3)), errors.ArgumentError),
               _fault("einsum: '.' in '..i': '...' may stand once in each part",
                      lambda t: t.einsum("..i", t.ones(2)), errors.ArgumentError),
               _fault("einsum: the dtypes float32 and int64 differ; convert first, e.g. with .to(tl.float32)",
                      lambda t: t.einsum("i,i", t.ones(2), t.tensor([1, 2])), errors.DTypeError),
               _fault("einsum: the operands must be Tensors, got int", lambda t: t.einsum("i", 3), errors.DTypeError),
               _fault("einsum: a label in a sublist is a number 0 to 51 or ..., got 'i'",
                      lambda t: t.einsum(t.ones(2), ["i"]), errors.ArgumentError))),
    Record("einsum", lambda t, x, y: t.einsum(x, [0, ..., 1], y, [1, 2], [..., 2, 0]),
           lambda x, y: np.einsum("a...b,bc->...ca", x, y), _shaped(((2, 3, 2), (2, 4))), name="einsum_sublists"),
    Record("einsum", _called("tensordot"), lambda a, b, dims: np.tensordot(a, b, dims), lambda rng: [
        Case((values(rng, a), values(rng, b)), {"dims": d}) for a, b, d in (
            ((2, 3), (3, 4), 1), ((2, 3), (2, 3), 2), ((2,), (3,), 0), ((2, 3, 4), (4, 2), ([2, 0], [0, 1])),
            ((3, 2), (3, 2), ([-1], [1])))], ints=True, name="tensordot", errors=(
                _fault("tensordot: dims=3 must be 0 to 2", lambda t: t.tensordot(t.ones(2, 2), t.ones(2, 2), 3),
                       errors.ArgumentError),
                _fault("tensordot: dimension 1 of a has size 2, dimension 0 of b has 3: a float32 (2, 2), b float32 (3, 2)",
                       lambda t: t.tensordot(t.ones(2, 2), t.ones(3, 2), 1)))),
    Record("einsum", _called("inner"), np.inner, _shaped(((3,), (3,)), ((2, 3), (4, 3)), ((2, 3), (3,))), ints=True,
           name="inner", errors=(_fault("inner: the last dimensions differ", lambda t: t.inner(t.ones(2), t.ones(3))),)),
    Record("einsum", _called("trace"), np.trace, _shaped(((3, 3),), ((2, 3),), ((3, 2),), ((0, 0),)), ints=True,
           result="sum", name="trace", errors=(_fault("trace: a matrix is needed", lambda t: t.trace(t.ones(2))),)),
    Record("mul", _called("outer"), np.outer, _shaped(((2,), (3,)), ((0,), (3,))), ints=True, name="outer", errors=(
        _fault("outer: expects 1-d tensors, got float32 (2, 2)", lambda t: t.outer(t.ones(2, 2), t.ones(2))),)),
    Record("mul", _called("kron"), np.kron, _shaped(((2, 3), (3, 2)), ((2,), (2, 2)), ((), (2,))), ints=True, name="kron"),
    Record("cross", _called("linalg.cross"), np.cross, _shaped(((2, 3), (2, 3)), ((3,), (3,)), ((2, 1, 3), (1, 4, 3))),
           ints=True, errors=(
               _fault("linalg.cross: dimension -1 must have size 3 in both", lambda t: t.linalg.cross(t.ones(2), t.ones(2))),
               _fault("linalg.cross: equally many dimensions", lambda t: t.linalg.cross(t.ones(3), t.ones(2, 3))))),
    Record("cross", _called("cross"), lambda x, y: np.cross(x, y, axis=0), _shaped(((3, 2), (3, 2))), name="cross_old",
           torch=lambda t, x, y: t.cross(x, y, dim=0), errors=(
               _fault("cross: no dimension of size 3", lambda t: t.cross(t.ones(2), t.ones(2))),)),
    Record("sum", _called("linalg.vecdot"), lambda x, y, dim=-1: (x * y).sum(dim), lambda rng: [
        Case((values(rng, (2, 3)), values(rng, (3,)))), Case((values(rng, (2, 3)), values(rng, (2, 1))), {"dim": 0})],
           name="vecdot", errors=(_fault("linalg.vecdot: dimension -1 has 2 elements in x, 3 in y",
                                         lambda t: t.linalg.vecdot(t.ones(2), t.ones(3))),)),
    Record("cat", _called("linalg.vander"), lambda x, N=None: x[..., None] ** np.arange(N or x.shape[-1]), lambda rng: [
        Case((values(rng, (3,)),)), Case((np.array([[0.0, 1.5]]),), {"N": 4})], name="vander", low_precision=16.0),
    Record("cat", _called("vander"), lambda x, **k: np.vander(x, **k), lambda rng: [
        Case((values(rng, (3,)),)), Case((values(rng, (2,)),), {"N": 3, "increasing": True})], name="vander_old",
           low_precision=16.0, torch=lambda t, x, N=None, increasing=False: t.stack(  # its own has no gradient
               [x**k for k in range(N or len(x))][:: 1 if increasing else -1], -1)),
]  # fmt: skip


# ---------------------------------------------------------------- beta input + alpha product
def _added(name, product, *shapes):
    def ref(x, a, b, beta=1, alpha=1):
        return beta * x + alpha * product(a, b)

    def cases(rng):
        made = [Case(tuple(values(rng, s) for s in shapes), k) for k in ({}, {"beta": 2, "alpha": -3}, {"beta": 0.5})]
        return [*made, Case((values(rng, (1,)), *(values(rng, s) for s in shapes[1:])))]

    wrong = (lambda t: getattr(t, name)(t.ones(7), *(t.ones(*s) for s in shapes[1:])), errors.ShapeError,
             f"{name}: input float32 (7,) does not broadcast to {shapes[0]}, the shape of the product")  # fmt: skip
    half = (lambda t: getattr(t, name)(*(t.ones(*s, dtype=t.int64) for s in shapes), alpha=0.5), errors.DTypeError,
            f"{name}: for integer tensors beta and alpha must be integers")  # fmt: skip
    call = lambda t, x, *xs, **k: getattr(x, name)(*xs, **k)  # noqa: E731
    op = "mul" if name == "addr" else "matmul"
    return Record(op, call, ref, cases, name=name, errors=(wrong, half), low_precision=8.0)


added = [
    _added("addmm", np.matmul, (2, 4), (2, 3), (3, 4)),
    _added("addmv", np.matmul, (2,), (2, 3), (3,)),
    _added("addr", np.outer, (2, 3), (2,), (3,)),
    _added("baddbmm", np.matmul, (2, 2, 4), (2, 2, 3), (2, 3, 4)),
    _added("addbmm", lambda a, b: np.matmul(a, b).sum(0), (2, 4), (2, 2, 3), (2, 3, 4)),
    Record("matmul", _called("chain_matmul"), lambda *xs: np.linalg.multi_dot(xs), _shaped(((2, 3), (3, 4), (4, 1), (1, 3))),
           name="chain_matmul", low_precision=16.0, torch=lambda t, *xs: t.linalg.multi_dot(xs)),
    Record("matmul", lambda t, *xs: t.linalg.multi_dot(xs), lambda *xs: np.linalg.multi_dot(xs),
           _shaped(((2, 3), (3, 4)), ((3,), (3, 4), (4, 2)), ((2, 3), (3, 2), (2, 3), (3,)), ((3,), (3, 2), (2,))),
           name="multi_dot", low_precision=16.0, errors=(
               _fault("linalg.multi_dot: float32 (2, 3) and float32 (2, 3) cannot be multiplied",
                      lambda t: t.linalg.multi_dot([t.ones(2, 3), t.ones(2, 3), t.ones(3, 3)])),
               _fault("linalg.multi_dot: at least 2", lambda t: t.linalg.multi_dot([t.ones(2, 3)]), errors.ArgumentError))),
]  # fmt: skip


# ---------------------------------------------------------------- systems
def well(rng, shape=(3, 3)):
    """Square matrices that are far from singular."""
    return values(rng, shape, -1, 1) + 2.5 * np.eye(shape[-1])


def squares(rng, *more):
    """Cases of square matrices: one, a batch, 1 x 1, none, and none of size 2."""
    return [
        Case((well(rng, s), *[values(rng, m) for m in more])) for s in ((3, 3), (2, 2, 2), (1, 1), (0, 0), (0, 2, 2))
    ]


def _not_square(name):
    return _fault(f"{name}: a square matrix is needed, got float32 (2, 3)", lambda t: _called(name)(t, t.ones(2, 3)))


def _not_float(name):
    return _fault(f"{name}: a floating-point tensor is needed, got int64 (2, 2); use x.float()",
                  lambda t: _called(name)(t, t.ones(2, 2, dtype=t.int64)), errors.DTypeError)  # fmt: skip


def _flat(name):
    return _fault(f"{name}: a matrix (at least 2 dimensions) is needed", lambda t: _called(name)(t, t.ones(2)))


def _singular(name):
    return _fault(f"{name.rpartition('.')[2]}: matrix 1 of the batch is singular", lambda t: _called(name)(
        t, t.tensor([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 2.0], [2.0, 4.0]]])), errors.LinAlgError)  # fmt: skip


def usual(name):
    """The errors of functions of one square matrix."""
    return (_not_square(name), _not_float(name), _flat(name))


def _solve_ref(a, y, left=True):
    if not left:
        return y @ np.linalg.inv(a)
    inverse = np.linalg.inv(a)  # NumPy's solve told vectors from matrices otherwise before 2.0
    return (inverse @ y[..., None])[..., 0] if y.ndim == 1 or y.shape == a.shape[:-1] else inverse @ y


def _rank_ref(a):
    return np.linalg.matrix_rank(a) if a.size else np.zeros(a.shape[:-2], np.int64)


def _triangular_ref(a, y, upper, left=True, unitriangular=False):
    t = (np.triu if upper else np.tril)(a)
    return _solve_ref(np.where(np.eye(a.shape[-1]) > 0, 1.0, t) if unitriangular else t, y, left)


def _solve_cases(rng):
    pairs = (((3, 3), (3, 2)), ((3, 3), (3,)), ((2, 2, 2), (2, 2)), ((2, 1, 2, 2), (3, 2, 1)), ((2, 2), (3, 2, 1)),
             ((0, 0), (0, 2)), ((2, 2), (2, 0)))  # fmt: skip
    made = [Case((well(rng, a), values(rng, y))) for a, y in pairs]
    return [*made, Case((well(rng, (2, 2)), values(rng, (3, 2))), {"left": False})]


def _triangular_cases(rng):
    args = ({"upper": True}, {"upper": False}, {"upper": True, "unitriangular": True},
            {"upper": False, "unitriangular": True, "left": False}, {"upper": True, "left": False})  # fmt: skip
    made = [Case((well(rng), values(rng, (3, 3))), a) for a in args]
    return [*made, Case((well(rng, (2, 1, 2, 2)), values(rng, (3, 2, 1))), {"upper": False})]


def _cofactors(x):
    if x.ndim > 2:
        return np.array([_cofactors(a) for a in x]).reshape(x.shape)
    n, out = len(x), np.zeros_like(x)
    for i, j in np.ndindex(n, n):
        out[i, j] = (-1) ** (i + j) * np.linalg.det(np.delete(np.delete(x, i, 0), j, 1))
    return out


def _lstsq_ref(a, y):
    return np.linalg.pinv(a) @ y


loose = {"low_precision": 200.0}
systems = [
    Record("solve", _called("linalg.solve"), _solve_ref, _solve_cases, **loose, errors=(
        _fault("linalg.solve: A is 2 x 2, B has 3 rows: A float32 (2, 2), B float32 (3, 1)",
               lambda t: t.linalg.solve(t.eye(2), t.ones(3, 1))),
        _fault("linalg.solve: a square matrix is needed", lambda t: t.linalg.solve(t.ones(2, 3), t.ones(2, 1))),
        _fault("linalg.solve: the dtypes float32 and float64 differ",
               lambda t: t.linalg.solve(t.eye(2), t.ones(2, 1, dtype=t.float64)), errors.DTypeError),
        _fault("linalg.solve: a floating-point tensor is needed",
               lambda t: t.linalg.solve(t.ones(2, 2, dtype=t.int64), t.ones(2, 1)), errors.DTypeError),
        _fault("solve: the matrix is singular, it has no inverse; tl.linalg.lstsq and pinv take such matrices",
               lambda t: t.linalg.solve(t.ones(2, 2), t.ones(2, 1)), errors.LinAlgError))),
    Record("solve_triangular", _called("linalg.solve_triangular"), _triangular_ref, _triangular_cases, **loose, errors=(
        _fault("solve_triangular: the matrix is singular",
               lambda t: t.linalg.solve_triangular(t.zeros(2, 2), t.ones(2, 1), upper=True), errors.LinAlgError),
        _fault("linalg.solve_triangular: A is 2 x 2, B has 3 columns",
               lambda t: t.linalg.solve_triangular(t.eye(2), t.ones(2, 3), upper=True, left=False)))),
    Record("inv", _called("linalg.inv"), np.linalg.inv, squares, **loose, errors=(
        *usual("linalg.inv"), _singular("linalg.inv"))),
    Record("inv", lambda t, x: t.linalg.inv_ex(x).inverse, np.linalg.inv, squares, name="inv_ex", **loose),
    Record("pinv", _called("linalg.pinv"), np.linalg.pinv, lambda rng: [
        Case((values(rng, s),)) for s in ((3, 2), (2, 3), (2, 3, 2), (0, 2), (2, 0, 3))], **loose, errors=(
            _not_float("linalg.pinv"), _flat("linalg.pinv"))),
    Record("det", _called("linalg.det"), np.linalg.det, squares, **loose, errors=usual("linalg.det")),
    Record("cofactor", lambda t, x: registry["cofactor"].apply(x) if x.dtype.itemsize > 2 else registry["cofactor"].apply(
        x.float()).to(x.dtype), _cofactors, lambda rng: squares(rng)[:2], **loose,
           torch=lambda t, x: t.det(x)[..., None, None] * t.inverse(x).mT),
    Record("slogdet", _called("linalg.slogdet"), np.linalg.slogdet, squares, **loose, errors=usual("linalg.slogdet")),
    Record("slogdet", _called("logdet"), lambda x: np.log(np.linalg.det(x)), squares, name="logdet", **loose),
    Record("matmul", _called("linalg.matrix_power"), np.linalg.matrix_power,
           lambda rng: [Case((well(rng, s), n)) for s in ((3, 3), (2, 2, 2)) for n in (2, 3, -2)], name="matrix_power", **loose,
           errors=(_fault("linalg.matrix_power: a square matrix is needed", lambda t: t.linalg.matrix_power(t.ones(2, 3), 2)),
                   _fault("linalg.matrix_power: n must be an int", lambda t: t.linalg.matrix_power(t.eye(2), 0.5),
                          errors.DTypeError))),
    Record("matrix_exp", _called("linalg.matrix_exp"), scipy.linalg.expm, lambda rng: [
        Case((values(rng, s, -0.7, 0.7),)) for s in ((3, 3), (2, 2, 2), (1, 1), (0, 2, 2))], **loose,
        errors=usual("linalg.matrix_exp")),
    Record("pinv", lambda t, a, y: t.linalg.lstsq(a, y).solution, _lstsq_ref,
           _shaped(((4, 2), (4, 3)), ((2, 3, 2), (2, 3, 1)), ((2, 2), (2, 1))), name="lstsq", **loose, errors=(
               _fault("linalg.lstsq: A and B have different numbers of rows: A float32 (3, 2), B float32 (2, 1)",
                      lambda t: t.linalg.lstsq(t.ones(3, 2), t.ones(2, 1))),)),
    Record("matrix_rank", _called("linalg.matrix_rank"), _rank_ref, lambda rng: [
        Case((values(rng, s),)) for s in ((3, 2), (2, 2, 3), (0, 2), (0, 2, 2))] + [Case((np.ones((2, 3)),))], order=0,
        result="int64", errors=(_not_float("linalg.matrix_rank"), _flat("linalg.matrix_rank"))),
    Record("inv", lambda t, x: t.linalg.tensorinv(x.reshape(4, 2, 2), ind=1), lambda x: np.linalg.tensorinv(
        x.reshape(4, 2, 2), ind=1), lambda rng: [Case((well(rng, (4, 4)),))], name="tensorinv", **loose, errors=(
            _fault("linalg.tensorinv: the first 1 dimensions (2,)", lambda t: t.linalg.tensorinv(t.ones(2, 3), ind=1)),)),
    Record("solve", lambda t, x, y: t.linalg.tensorsolve(x.reshape(2, 2, 4), y), lambda x, y: np.linalg.tensorsolve(
        x.reshape(2, 2, 4), y), lambda rng: [Case((well(rng, (4, 4)), values(rng, (2, 2))))], name="tensorsolve", **loose),
]  # fmt: skip

RECORDS = [*sums, *added, *systems]
