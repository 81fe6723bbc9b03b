"""Small programs with changes in place, run by tensorlite and PyTorch: values, first and second gradients are the same."""

import numpy as np
import pytest
from numeric import host

import tensorlite as tl

A = np.random.default_rng(0).uniform(0.5, 2, (3, 4))
B = np.random.default_rng(1).uniform(0.5, 2, (4,))

PROGRAMS = {}


def program(f):
    """Add a function (t, a, b) -> tensors; a (3, 4) and b (4,) require grad, t is tensorlite or torch."""
    PROGRAMS[f.__name__] = f
    return f


@program
def in_place_on_a_result(t, a, b):
    y = a * b
    y.add_(a)
    y *= 2
    return y.sin()


@program
def one_after_the_other(t, a, b):
    y = a * 1.5
    y.add_(b).sub_(0.5).mul_(b).div_(2)
    y.neg_().square_()
    y += a
    y -= b
    y *= a
    y /= b
    return y


METHODS = {
    "add_": (B,), "sub_": (0.5,), "mul_": (B,), "div_": (B,), "pow_": (2,), "neg_": (), "abs_": (), "exp_": (),
    "log_": (), "sqrt_": (),
    "tanh_": (), "sigmoid_": (), "relu_": (), "clamp_": (0.7, 1.5), "floor_": (), "round_": (), "square_": (), "reciprocal_": (),
}  # fmt: skip
for _name, _args in METHODS.items():

    def _method(t, a, b, name=_name, args=_args):
        y = a * 1.5
        v = y[1:]
        getattr(v, name)(*[t.tensor(x) if isinstance(x, np.ndarray) else x for x in args])
        return y * b, v * 2

    PROGRAMS[_name] = _method


@program
def rules_that_need_the_old_value(t, a, b):
    y = a * 1.0
    y.mul_(y.detach() - 0.5)
    y.pow_(3)
    y.mul_(y.detach().clone())
    return y


@program
def in_place_on_a_row(t, a, b):
    y = a * 2
    y[1].mul_(b)
    return y * y


@program
def in_place_on_a_column_through_views(t, a, b):
    y = a.sin()
    v = y.T[1:3]
    v[1].mul_(b[:3])
    v.add_(1)
    return y * a, v


@program
def a_view_sees_the_change_of_its_base(t, a, b):
    y = a * 1.0
    v = y[1]
    y.mul_(b)
    return v * v, y


@program
def all_views_see_the_change_of_one(t, a, b):
    y = a * 1.0
    u, v, w = y[0], y.T, y[:, 1:]
    u.mul_(b)
    return u, v * 2, w * 3, y * 4


@program
def views_made_before_and_after(t, a, b):
    y = a * 1.0
    before = y[1:]
    y[1] = b * 3
    after = y[1:]
    y[2].add_(b)
    return before * 2, after * 5, y


@program
def chain_of_views(t, a, b):
    y = a * 1.0
    u = y[1:]
    v = u[:, 1:]
    w = v[0]
    w.mul_(b[1:])
    v.add_(1)
    u.mul_(2)
    y.add_(a)
    return y, u * 2, v * 3, w * 4


@program
def copy_and_fill(t, a, b):
    y = a * 1.0
    y[0].copy_(b * b)
    y[1].fill_(3.0)
    y[2, 1:3].zero_()
    return y * y


@program
def write_a_view_of_itself(t, a, b):
    y = a * 1.0
    y[0] = y[1] + y[2]
    y[1] = y[0]
    return y * y


@program
def base_without_gradient(t, a, b):
    y = t.zeros(3, 4, dtype=a.dtype)
    v = y[1]
    v.add_(b)
    y[2] = b * 2
    return y * y, v * 3


@program
def only_the_operand_needs_a_gradient(t, a, b):
    y = t.ones(3, 4, dtype=a.dtype) * 3
    y.mul_(a)
    y.mul_(b)
    y.pow_(2)
    return y


@program
def reshaped_view(t, a, b):
    y = a * 1.0
    y.view(12)[3:9].mul_(2)
    y.reshape(2, 6)[1].add_(b[0])
    return y


@program
def unbound_rows(t, a, b):
    y = a * 1.0
    v = y.select(0, 2)
    v.mul_(b)
    y.narrow(1, 0, 2).mul_(3)
    return y, v


@program
def squeezed_and_expanded(t, a, b):
    y = b * 1.0
    v = y.unsqueeze(0)
    v.mul_(2)
    e = v.expand(3, 4)
    return e * a, y


@program
def masked_in_place(t, a, b):
    y = a * b
    y.masked_fill_(a > 1, 0.0)
    y[a < 0.8] = 5.0
    return y * a


@program
def detached_part(t, a, b):
    y = a * 1.0
    d = y.detach()
    d[0].mul_(3)
    return y + y


@program
def under_no_grad(t, a, b):
    y = a * 1.0
    with t.no_grad():
        y.mul_(3)
        y[0] = 1.0
        a[2].add_(1)
        b.mul_(2)
    return y + y, a * 2, b * b


@program
def quotients_changed_in_place(t, a, b):
    y = a / b
    y += 1
    z = 1 / (a * b)
    z.mul_(2)
    return y, z


@program
def augmented_index(t, a, b):
    y = a * 1.0
    y[1] += b
    y[:, 0] *= 3
    y[y > 2] -= 1
    return y * y


@program
def index_twice(t, a, b):
    y = a * 1.0
    y[0][1:3] = b[:2]
    y[1][2] = b[0] * b[1]
    return y * y


@program
def part_of_a_scalar(t, a, b):
    y = (a * a).sum()
    y.mul_(2)
    y[...] = y + b[0]
    return y * y


@program
def two_bases(t, a, b):
    y, z = a * 1.0, a.sin()
    u, v = y[1], z[1]
    u.add_(v)
    v.sub_(u)
    u.mul_(b)
    return y, z * 2


@program
def other_dtype(t, a, b):
    y = (a * 1.0).float()
    y.mul_(2)
    y[0] = b.float()
    y.add_(1)
    return y.double()


@program
def in_place_after_use_that_saved_nothing(t, a, b):
    y = a * 1.0
    z = y + b
    y.add_(5)
    z.mul_(2)
    return y, z


ROWS, COLUMNS = np.array([2, 0]), np.array([[1, 3], [0, 2]])
MASK = np.array([[True, False, True, False], [False, False, True, True]])
BY_INDEX = {  # on a view of shape (2, 4); `v` (2, 4), `w` (2, 2) and `s` (0-d) have gradients
    "scatter_": lambda t, y, v, w, s: y.scatter_(1, t.tensor(COLUMNS), w),
    "scatter_ of a number": lambda t, y, v, w, s: y.scatter_(1, t.tensor(COLUMNS), 0.5),
    "scatter_add_": lambda t, y, v, w, s: y.scatter_add_(1, t.tensor(COLUMNS * 0), w),
    "scatter_reduce_ sum": lambda t, y, v, w, s: y.scatter_reduce_(1, t.tensor(COLUMNS * 0), w, "sum", include_self=False),
    "scatter_reduce_ mean": lambda t, y, v, w, s: y.scatter_reduce_(1, t.tensor(COLUMNS * 0), w, "mean"),
    "scatter_reduce_ prod": lambda t, y, v, w, s: y.scatter_reduce_(1, t.tensor(COLUMNS * 0), w, "prod"),
    "scatter_reduce_ amax": lambda t, y, v, w, s: y.scatter_reduce_(1, t.tensor(COLUMNS * 0), w, "amax"),
    "scatter_reduce_ amin": lambda t, y, v, w, s: y.scatter_reduce_(1, t.tensor(COLUMNS), w, "amin", include_self=False),
    "index_add_": lambda t, y, v, w, s: y.index_add_(1, t.tensor(ROWS), w, alpha=2),
    "index_add_ again": lambda t, y, v, w, s: y.index_add_(1, t.tensor(ROWS * 0), w),
    "index_copy_": lambda t, y, v, w, s: y.index_copy_(1, t.tensor(ROWS), w),
    "index_fill_": lambda t, y, v, w, s: y.index_fill_(1, t.tensor(ROWS), s),
    "index_put_": lambda t, y, v, w, s: y.index_put_((t.tensor(ROWS // 2), t.tensor(ROWS)), w[0]),
    "index_put_ accumulate": lambda t, y, v, w, s: y.index_put_((t.tensor(ROWS * 0), t.tensor(ROWS)), w[0], accumulate=True),
    "put_": lambda t, y, v, w, s: y.put_(t.tensor(ROWS), w[1]),
    "put_ accumulate": lambda t, y, v, w, s: y.put_(t.tensor(ROWS - 1), w[1], accumulate=True),
    "masked_fill_": lambda t, y, v, w, s: y.masked_fill_(t.tensor(MASK), s),
    "masked_scatter_": lambda t, y, v, w, s: y.masked_scatter_(t.tensor(MASK), v * w[0, 0]),
    "fill_diagonal_": lambda t, y, v, w, s: y.fill_diagonal_(0.5),
    "itself": lambda t, y, v, w, s: y.index_add_(0, t.tensor([0, 1]), y.clone().detach()),
}  # fmt: skip
for _name, _change in BY_INDEX.items():

    def _on_a_view(t, a, b, change=_change):
        y = a * 1.5
        part = y[1:]
        beside = y[:, 1]
        change(t, part, b * a[:2], (a * a)[1:, :2], b[0] * b[1])
        return y * b, part * 2, beside * 3

    def _on_a_result(t, a, b, change=_change, kept="reduce" in _name):
        y = a[1:].sin()
        change(t, y, b * a[:2], (a * a)[1:, :2], b[0] * b[1])
        y = y.clone() if kept else y  # PyTorch has saved the result itself
        y.mul_(a[:2])
        return y * y

    def _on_a_transposed_base(t, a, b, change=_change):
        y = t.zeros(4, 2, dtype=a.dtype) + 2
        change(t, y.T, b * a[:2], (a * a)[1:, :2], b[0] * b[1])
        return y * y + b[0]

    for _f in (_on_a_view, _on_a_result, _on_a_transposed_base):
        PROGRAMS[f"{_name}{_f.__name__}".replace(" ", "_")] = _f


@program
def overlapping_assignments(t, a, b):
    y = a * 1.0
    y[1:] = y[:-1].clone()
    y[:, 1:].mul_(y[:, :-1].clone())
    y.add_(y)
    y.mul_(y.clone())
    y += y[0].clone()
    return y * b


@program
def number_and_sum_in_place(t, a, b):
    y = a * 1.0
    y.mul_(3).add_(b).sub_(a)
    v = y[1:]
    v.mul_(0.5)
    v.add_(b).neg_()
    return y * y, v


@pytest.mark.parametrize("name", BY_INDEX)
def test_the_memory_itself_is_written(name, device):
    """On leaves under no_grad: the memory stays, a NumPy array on it sees the change; the values are those out of place."""
    x, w = tl.tensor(A, requires_grad=True), tl.tensor(A[1:, :2])
    part = x.detach()[1:]
    memory, before = x.array, host(part).copy()
    with tl.no_grad():
        out = BY_INDEX[name](tl, part, tl.tensor(A[:2]), w, tl.tensor(2.0, dtype=tl.float64))
        assert out is part and x.array is memory and x.is_leaf and x._version == 1
        alone = tl.tensor(before)
        BY_INDEX[name](tl, alone, tl.tensor(A[:2]), w, tl.tensor(2.0, dtype=tl.float64))
        np.testing.assert_array_equal(host(x)[1:], host(alone))
    assert not np.array_equal(host(x)[1:], before)
    with pytest.raises(tl.errors.InplaceError, match="a leaf that requires grad cannot be changed in place"):
        BY_INDEX[name](tl, x[1:], tl.tensor(A[:2]), w, tl.tensor(2.0, dtype=tl.float64))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64"])
@pytest.mark.parametrize("name", ["neg_", "abs_", "square_", "sqrt_", "exp_", "floor_", "mul_", "add_", "div_", "sub_"])
def test_elements_far_apart(name, dtype, device):
    """NumPy's own loops differ by the step between the elements; np.negative(a, out=a) of NumPy 2.4 is wrong for some."""
    if dtype.startswith("int") and name in ("sqrt_", "exp_", "div_"):
        return
    rest = (3,) if name in ("mul_", "add_", "div_", "sub_") else ()
    for step in range(1, 18):
        for count in (2, 3, 5, 9, 17):
            base = tl.tensor(np.random.default_rng(step).uniform(1, 9, (count, step)), dtype=dtype)
            part, before = base[:, 0], base.clone()
            wanted = getattr(part, name[:-1])(*rest).tolist()
            assert getattr(part, name)(*rest).tolist() == wanted, (step, count)
            assert base[:, 1:].tolist() == before[:, 1:].tolist()


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name, device):
    """Values, first gradients and second gradients of a small program with changes in place are PyTorch's."""
    torch = pytest.importorskip("torch")
    found = []
    for lib in (torch, tl):
        a, b = lib.tensor(A, requires_grad=True), lib.tensor(B, requires_grad=True)
        outs = PROGRAMS[name](lib, a, b)
        outs = outs if isinstance(outs, tuple) else (outs,)
        f = sum((o.sin() * (1 + 0.1 * i)).sum() for i, o in enumerate(outs))
        gs = lib.autograd.grad(f, (a, b), create_graph=True, allow_unused=True)
        gs = [lib.zeros(1, dtype=lib.float64) if g is None else g for g in gs]
        h = sum((g * g).sum() for g in gs)
        hs = lib.autograd.grad(h, (a, b), allow_unused=True)
        found.append([*outs, *gs, *[h if g is None else g for g in hs]])
    for theirs, mine in zip(*found, strict=True):
        np.testing.assert_allclose(host(mine), theirs.detach().numpy(force=True), rtol=1e-9, atol=1e-11)


def test_a_new_shape_under_no_grad_keeps_the_gradient(device):
    a = tl.tensor(A, requires_grad=True)
    y, v = a * 1.0, a[:1]
    with tl.no_grad():
        y.t_()
        v.squeeze_(0)
    (y.sum() + (v * tl.tensor(B)).sum()).backward()
    wanted = np.ones((3, 4))
    wanted[0] += B
    np.testing.assert_allclose(host(a.grad), wanted)
