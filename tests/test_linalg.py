"""Linear algebra beyond its records: singular and repeated cases, named results, large triangles, old names, einsum's graph."""

import importlib

import numpy as np
import pytest
from numeric import differences, host

import tensorlite as tl
from tensorlite.errors import DTypeError, GraphError, LinAlgError, ShapeError

try:
    import torch
except ImportError:
    torch = None

needs_torch = pytest.mark.skipif(torch is None, reason="PyTorch is not installed")
rng = np.random.default_rng(7)
close = lambda a, b, **k: np.testing.assert_allclose(host(a), b, **{"rtol": 1e-9, "atol": 1e-10, **k})  # noqa: E731


def leaf(a):
    return tl.tensor(np.asarray(a, float), requires_grad=True)


def slope(f, a):
    """The gradient of f at a by tensorlite."""
    x = leaf(a)
    return host(tl.autograd.grad(f(x), x)[0])


def test_both_ways_to_the_names():
    assert importlib.import_module("tensorlite.linalg") is tl.linalg
    for name in tl.linalg.__all__:
        assert getattr(tl.linalg, name).__doc__, name
    assert tl.linalg.LinAlgError is LinAlgError and issubclass(LinAlgError, RuntimeError)


# ---------------------------------------------------------------- einsum
def nodes(x):
    found, stack = [], [x.grad_fn]
    while stack:
        node = stack.pop()
        if node is not None and node.op is not None:
            found.append(node.op.name)
            stack += node.parents
    return found


def test_einsum_of_two_is_one_node(device):
    a, b = leaf(np.ones((2, 3))), leaf(np.ones((2, 3, 4)))
    assert nodes(tl.einsum("bi,bij->bj", a, b)) == ["einsum"]
    assert nodes(tl.einsum("bi,bij,bj->b", a, b, leaf(np.ones((2, 4))))) == ["einsum"] * 2


def test_einsum_multiplies_the_cheapest_pair_first(device):
    a, b, c = leaf(np.ones((50, 2))), leaf(np.ones((2, 50))), leaf(np.ones(50))
    out = tl.einsum("ij,jk,k->i", a, b, c)  # first b c: a vector of 2, not a b with 2500 elements
    assert [p.shape for p in out.grad_fn.parents] == [(50, 2), (2,)]


def test_einsum_gives_memory_of_its_own(device):
    a = tl.ones(2, 2)
    for equation in ("ij->ij", "ij->ji", "ii->i"):
        tl.einsum(equation, a).fill_(5.0)
    close(a, np.ones((2, 2)))


def test_einsum_of_a_list_of_operands(device):
    a = tl.ones(2, 3)
    assert tl.einsum("ij,kj->ik", [a, a]).tolist() == [[3.0, 3.0], [3.0, 3.0]]


def test_einsum_of_more_dimensions_than_letters(device):
    x = tl.ones((1,) * 30)
    assert tl.einsum("...a,...a->...", x, x).shape == (1,) * 29


def test_third_derivative_of_einsum(device):
    a = leaf(rng.normal(size=(3, 3)))
    f = tl.einsum("ii,ij,ji->", a, a, a)
    for _ in range(3):
        (g,) = tl.autograd.grad(f, a, create_graph=True)
        f = (g * g).sum()
    assert np.isfinite(host(f))


# ---------------------------------------------------------------- products
def test_beta_zero_does_not_look_at_the_input(device):
    x = tl.full((2, 2), float("nan"))
    close(tl.addmm(x, tl.eye(2), tl.eye(2), beta=0), np.eye(2))
    close(tl.baddbmm(x, tl.ones(1, 2, 1), tl.ones(1, 1, 2), beta=0, alpha=2), np.full((1, 2, 2), 2.0))


def test_products_in_place(device):
    x = leaf(np.ones((2, 2)))
    y = x * 2
    y.addmm_(x, x, alpha=3)
    close(y, np.full((2, 2), 8.0))
    y.sum().backward()
    close(x.grad, np.full((2, 2), 14.0))
    with pytest.raises(ShapeError):
        tl.ones(2).addmm_(tl.ones(2, 2), tl.ones(2, 2))


def test_products_of_different_dtypes_are_refused(device):
    text = "matmul: the dtypes float32 and float64 differ; convert first, e.g. with .to.tl.float32.: input float32"
    with pytest.raises(DTypeError, match=text):
        tl.ones(2, 2) @ tl.ones(2, 2, dtype=tl.float64)
    with pytest.raises(DTypeError, match="addmm: the dtypes int64 and float32 differ"):
        tl.addmm(tl.tensor([1]), tl.ones(2, 2), tl.ones(2, 2))
    assert tl.outer(tl.ones(2), tl.tensor([1, 2])).dtype == tl.float32


def test_matmul_takes_numpy_arrays_on_either_side():
    a, x = rng.normal(size=(2, 2)), leaf(np.ones((2, 2)))
    close(a @ x, a @ np.ones((2, 2)))
    close(x @ a, np.ones((2, 2)) @ a)
    (x @ a).sum().backward()
    close(x.grad, np.ones((2, 2)) @ a.T)


def test_bmm_does_not_broadcast(device):
    with pytest.raises(ShapeError, match="the batches differ, 2 and 1 matrices"):
        tl.bmm(tl.ones(2, 3, 3), tl.ones(1, 3, 3))


def test_cdist_of_points_that_coincide(device):
    for p in (1.0, 1.5, 2.0, 3.0, float("inf")):
        close(
            slope(lambda x, p=p: tl.cdist(x, x.detach(), p=p).diagonal().sum(), [[1.0, 2.0], [3.0, 3.0]]),
            np.zeros((2, 2)),
        )
    a = tl.tensor([[1.0, 2.0]])
    x = a.clone().requires_grad_()
    tl.cdist(x, a).sum().backward()
    close(x.grad, np.zeros((1, 2)))


# ---------------------------------------------------------------- determinants, inverses, systems
@pytest.mark.parametrize("rank", [0, 1, 2, 3])
def test_gradient_of_det_at_every_rank(rank, device):
    a = rng.normal(size=(3, rank)) @ rng.normal(size=(rank, 3))
    close(slope(tl.linalg.det, a), differences(np.linalg.det, a), rtol=1e-7, atol=1e-8)


def test_det_of_a_batch_with_a_singular_matrix(device):
    a = np.stack([np.ones((2, 2)), np.array([[1.0, 2.0], [3.0, 5.0]])])
    close(slope(lambda x: tl.det(x).sum(), a), [[[1, -1], [-1, 1]], [[5, -3], [-2, 1]]])


def test_slogdet_of_a_singular_matrix(device):
    x = leaf(np.ones((2, 2)))
    sign, logabsdet = tl.slogdet(x)
    assert sign.item() == 0 and logabsdet.item() == -np.inf
    with pytest.raises(LinAlgError, match="singular"):
        logdet = tl.logdet(x)
        assert logdet.item() == -np.inf
        logdet.backward()
    assert np.isnan(tl.logdet(tl.tensor([[0.0, 1.0], [1.0, 0.0]])).item())


def test_inv_ex_of_a_batch(device):
    a = np.stack([np.eye(2), np.ones((2, 2))])
    inverse, info = tl.linalg.inv_ex(tl.tensor(a))
    assert info.tolist() == [0, 1] and info.dtype == tl.int32
    close(inverse[0], np.eye(2))
    assert np.isinf(host(inverse[1])).all()
    with pytest.raises(LinAlgError, match="matrix 1 of the batch is singular"):
        tl.linalg.inv_ex(tl.tensor(a), check_errors=True)
    assert tl.linalg.cond(tl.tensor(a), 1).tolist() == [1.0, np.inf]


def test_factors_of_nan_are_refused_in_words(device):
    """(NumPy says that it did not converge; CuPy and eigh say nothing, and give nan.)"""
    a = tl.eye(2).expand(2, 2, 2).clone()
    a[1, 0, 1] = float("nan")
    for f in (
        tl.linalg.svd,
        tl.linalg.svdvals,
        tl.linalg.pinv,
        tl.linalg.matrix_rank,
        lambda x: tl.linalg.matrix_norm(x, 2),
    ):
        try:
            f(a)
        except LinAlgError as e:
            assert "matrix 1 of the batch holds nan or infinity, and has no factors" in str(e)
    assert tl.linalg.cond(tl.ones(2, 2).double(), "nuc").item() > 1e15


def test_the_matrix_of_a_batch_is_named_by_its_place(device):
    a = tl.eye(2).expand(2, 3, 2, 2).clone()
    a[1, 2] = 1.0
    with pytest.raises(LinAlgError, match=r"matrix \(1, 2\) of the batch is singular"):
        tl.linalg.inv(a)
    a[0, 1] = -tl.eye(2)
    with pytest.raises(LinAlgError, match=r"matrix \(0, 1\) of the batch is not positive definite"):
        tl.linalg.cholesky(a + 0.5 * tl.eye(2))


def test_nan_goes_through(device):
    x = tl.tensor([[float("nan"), 1.0], [1.0, 2.0]])
    assert np.isnan(host(tl.linalg.inv(x))).any()
    assert np.isnan(host(tl.linalg.cholesky(x))).any()


@pytest.mark.parametrize("upper", [False, True])
def test_solve_triangular_in_blocks(upper, device):
    a = (np.triu if upper else np.tril)(rng.normal(size=(150, 150))) + 20 * np.eye(150)
    y = rng.normal(size=(150, 3))
    close(tl.linalg.solve_triangular(tl.tensor(a), tl.tensor(y), upper=upper), np.linalg.solve(a, y))
    unit = np.where(np.eye(150) > 0, 1.0, a / 100)
    got = tl.linalg.solve_triangular(tl.tensor(a / 100), tl.tensor(y), upper=upper, unitriangular=True)
    close(got, np.linalg.solve(unit, y))


def test_triangular_solve_old_form(device):
    a, y = np.triu(rng.normal(size=(3, 3))) + 3 * np.eye(3), rng.normal(size=(3, 2))
    close(tl.triangular_solve(tl.tensor(y), tl.tensor(a)).solution, np.linalg.solve(a, y))
    close(tl.triangular_solve(tl.tensor(y), tl.tensor(a), transpose=True).solution, np.linalg.solve(a.T, y))


def test_matrix_exp_of_large_and_small_in_one_batch(device):
    a = np.stack([np.diag([30.0, -40.0]), 1e-9 * np.eye(2), np.array([[0.0, 50.0], [-50.0, 0.0]])])
    want = np.stack([np.diag(np.exp([30.0, -40.0])), np.exp(1e-9) * np.eye(2),
                     [[np.cos(50), np.sin(50)], [-np.sin(50), np.cos(50)]]])  # fmt: skip
    close(tl.linalg.matrix_exp(tl.tensor(a)), want, rtol=1e-11, atol=1e-12)


def test_matrix_power_of_zero_and_one(device):
    x = tl.tensor([[2, 1], [0, 3]])
    assert tl.linalg.matrix_power(x, 0).tolist() == [[1, 0], [0, 1]]
    one = tl.linalg.matrix_power(x, 1)
    assert one.tolist() == x.tolist() and one.array is not x.array


def test_pinv_drops_small_singular_values(device):
    a = np.diag([2.0, 1e-3])
    close(tl.linalg.pinv(tl.tensor(a), rtol=1e-2), np.diag([0.5, 0.0]))
    close(tl.linalg.pinv(tl.tensor(a), atol=1e-4), np.diag([0.5, 1e3]))
    batch = tl.linalg.pinv(tl.tensor(np.stack([a, a])), atol=tl.tensor([1e-4, 1e-2], dtype=tl.float64))
    close(batch, np.stack([np.diag([0.5, 1e3]), np.diag([0.5, 0.0])]))


def test_lstsq_results(device):
    a, y = rng.normal(size=(4, 2)), rng.normal(size=(4, 3))
    got = tl.linalg.lstsq(tl.tensor(a), tl.tensor(y), driver="gelsd")
    want = np.linalg.lstsq(a, y, rcond=None)
    close(got.solution, want[0])
    close(got.residuals, want[1])
    assert got.rank.item() == 2 and got.rank.dtype == tl.int64
    close(got.singular_values, want[3])
    thin = tl.linalg.lstsq(tl.ones(3, 2), tl.ones(3))
    assert thin.rank.item() == 1 and thin.residuals.shape == (0,) and thin.solution.shape == (2,)


def test_matrix_rank(device):
    a = np.stack([np.eye(3), np.diag([1.0, 1e-5, 0.0])])
    assert tl.linalg.matrix_rank(tl.tensor(a)).tolist() == [3, 2]
    assert tl.linalg.matrix_rank(tl.tensor(a), tol=1e-3).tolist() == [3, 1]
    assert tl.linalg.matrix_rank(tl.tensor(a), rtol=1e-3, hermitian=True).tolist() == [3, 1]
    assert tl.linalg.matrix_rank(tl.zeros(2, 0, 3)).tolist() == [0, 0]


# ---------------------------------------------------------------- factors
def test_equal_values_give_the_right_gradient_to_losses_that_do_not_depend_on_the_basis(device):
    for f in (lambda x: tl.linalg.svdvals(x).sum(), lambda x: (tl.linalg.svd(x).S ** 2).sum()):
        assert np.isfinite(slope(f, np.eye(3))).all()
    close(slope(lambda x: (tl.linalg.eigvalsh(x) ** 2).sum(), 2 * np.eye(3)), 4 * np.eye(3))

    def rebuilt(x):
        w, v = tl.linalg.eigh(x)
        return ((v * w.unsqueeze(-2)) @ v.mT * tl.tensor(weights)).sum()

    weights = rng.normal(size=(3, 3))
    weights = weights + weights.T
    close(slope(rebuilt, 2 * np.eye(3)), np.diag(np.diag(weights)))


def test_nuclear_norm_at_a_matrix_that_is_not_of_full_rank(device):
    close(slope(lambda x: tl.linalg.matrix_norm(x, "fro"), np.zeros((2, 2))), np.zeros((2, 2)))
    assert np.isfinite(slope(lambda x: tl.linalg.matrix_norm(x, "nuc"), np.ones((2, 3)))).all()


def test_full_matrices(device):
    a = rng.normal(size=(4, 2))
    u, s, vh = tl.linalg.svd(tl.tensor(a))
    assert u.shape == (4, 4) and vh.shape == (2, 2) and s.shape == (2,)
    close(u.mT @ u, np.eye(4))
    close(slope(lambda x: (tl.linalg.svd(x).S).sum(), a), slope(lambda x: tl.linalg.svdvals(x).sum(), a))
    u, s, v = tl.svd(tl.tensor(a), compute_uv=False)
    assert u.shape == (4, 4) and v.shape == (2, 2) and not host(u).any()


def test_qr_modes(device):
    a = rng.normal(size=(4, 2))
    q, r = tl.linalg.qr(leaf(a), mode="complete")
    assert q.shape == (4, 4) and r.shape == (4, 2)
    with pytest.raises(GraphError, match="mode='complete' has no derivative"):
        r.sum().backward()
    q, r = tl.linalg.qr(tl.tensor(a), mode="r")
    assert q.shape == (0,) and r.shape == (2, 2)
    close(slope(lambda x: tl.linalg.qr(x, "r").R.abs().sum(), a), slope(lambda x: tl.qr(x).R.abs().sum(), a))


def test_cholesky_ex(device):
    low, info = tl.linalg.cholesky_ex(4 * tl.eye(2))
    assert low.tolist() == [[2.0, 0.0], [0.0, 2.0]] and info.item() == 0
    assert tl.linalg.cholesky_ex(-tl.eye(2)).info.item() == 1


def test_halves_are_computed_in_float32(device):
    x = tl.tensor([[4.0, 2.0], [2.0, 3.0]], dtype=tl.float16, requires_grad=True)
    for f in (
        tl.linalg.inv,
        tl.linalg.det,
        tl.linalg.cholesky,
        tl.linalg.eigvalsh,
        tl.linalg.svdvals,
        tl.linalg.matrix_exp,
    ):
        out = f(x)
        assert out.dtype == tl.float16
        assert tl.autograd.grad(out.sum(), x)[0].dtype == tl.float16


# ---------------------------------------------------------------- against PyTorch, where records cannot be
@needs_torch
def test_gradients_of_matrices_that_are_not_symmetric():
    """Where one triangle is read only, the gradient lies as PyTorch's does."""
    a = rng.normal(size=(3, 3)) + 6 * np.diag([1.0, 2.0, 3.0])
    w = rng.normal(size=(3, 3))
    for f in (lambda t, x: t.linalg.cholesky(x), lambda t, x: t.linalg.eigvalsh(x) + 0 * x,
              lambda t, x: t.linalg.cholesky(x, upper=True)):  # fmt: skip
        x, y = leaf(a), torch.tensor(a, requires_grad=True)
        (f(tl, x) * tl.tensor(w)).sum().backward()
        (f(torch, y) * torch.tensor(w)).sum().backward()
        close(x.grad, y.grad.numpy())


@needs_torch
@pytest.mark.filterwarnings("ignore:.*deprecated:UserWarning")
def test_functions_without_records_as_pytorch():
    x, y, z = rng.normal(size=(3, 3)), rng.normal(size=(4, 3)), rng.normal(size=3)
    calls = [
        lambda t, x, y, z: t.cdist(x, y),
        lambda t, x, y, z: t.cdist(x, y, p=1.0),
        lambda t, x, y, z: t.chain_matmul(x, x, y.mT),
        lambda t, x, y, z: t.cholesky(x @ x.mT + t.eye(3, dtype=x.dtype)),
        lambda t, x, y, z: t.pinverse(y),
        lambda t, x, y, z: t.ger(z, z) + t.vdot(z, z) + x.inner(z) + x.trace() + x.det() + x.logdet().nan_to_num(),
        lambda t, x, y, z: x.inverse() + x.matrix_power(3) + x.slogdet().logabsdet + x.kron(z)[:, :3],
        lambda t, x, y, z: t.linalg.diagonal(x, offset=1),
        lambda t, x, y, z: t.linalg.cond(y, -2),
        lambda t, x, y, z: t.linalg.multi_dot((z, x, y.mT)),
        lambda t, x, y, z: t.addmv(z, x, z, beta=0.5, alpha=2),
        lambda t, x, y, z: t.vander(z),
        lambda t, x, y, z: t.dist(x, z) + x.dist(z, 1),
        lambda t, x, y, z: t.linalg.solve(x, z),
        lambda t, x, y, z: t.linalg.solve(x, x, left=False),
    ]
    for i, f in enumerate(calls):
        got = f(tl, tl.tensor(x), tl.tensor(y), tl.tensor(z))
        want = f(torch, torch.tensor(x), torch.tensor(y), torch.tensor(z))
        np.testing.assert_allclose(host(got), want.numpy(), rtol=1e-7, atol=1e-9, err_msg=f"call {i}")


@needs_torch
@pytest.mark.filterwarnings("ignore:.*deprecated:UserWarning")
def test_named_results_have_pytorchs_names():
    a = np.eye(2) * 2
    for name in ("svd", "qr", "slogdet", "linalg.svd", "linalg.qr", "linalg.eigh", "linalg.slogdet", "linalg.inv_ex",
                 "linalg.cholesky_ex"):  # fmt: skip
        got, want = tl, torch
        for part in name.split("."):
            got, want = getattr(got, part), getattr(want, part)
        got, want = got(tl.tensor(a)), want(torch.tensor(a))
        fields = [
            n for n in dir(want) if not n.startswith("_") and not callable(getattr(want, n)) and not n.startswith("n_")
        ]
        assert set(got._fields) == set(fields)
        for n in got._fields:
            assert tuple(getattr(got, n).shape) == tuple(getattr(want, n).shape)


# ---------------------------------------------------------------- faults
FAULTS = {
    "tensordot of a number": lambda a, v: tl.tensordot(a, 3),
    "a dimension out of range": lambda a, v: tl.tensordot(a, a, ([0], [5])),
    "kron of a number": lambda a, v: tl.kron(a, 2),
    "power of a number": lambda a, v: tl.linalg.matrix_power(3, 2),
    "solve for a number": lambda a, v: tl.linalg.solve(a, 3),
    "solve for a 0-d tensor": lambda a, v: tl.linalg.solve(a, tl.tensor(1.0)),
    "one dimension twice": lambda a, v: tl.linalg.matrix_norm(a, dim=(0, 0)),
    "no such norm": lambda a, v: tl.linalg.cond(a, "x"),
    "cdist of a vector": lambda a, v: tl.cdist(a, v),
    "a tolerance that is no number": lambda a, v: tl.linalg.pinv(a, rtol="x"),
    "no such driver": lambda a, v: tl.linalg.lstsq(a, a, driver="x"),
    "no operands": lambda a, v: tl.einsum("ij"),
    "no equation": lambda a, v: tl.einsum(a, a),
    "two arrows": lambda a, v: tl.einsum("i->j->k", a),
    "out=": lambda a, v: tl.linalg.inv(a, out=a),
    "batches that do not broadcast": lambda a, v: tl.linalg.solve(a.expand(2, 2, 2), tl.ones(3, 2, 1)),
    "addmm to a number": lambda a, v: tl.addmm(3, a, a),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_told_in_our_words(fault, device):
    with pytest.raises(tl.errors.TensorliteError) as caught:
        FAULTS[fault](tl.eye(2), tl.ones(2))
    assert type(caught.value).__module__ == "tensorlite.errors"
