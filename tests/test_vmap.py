"""vmap: every operation inside gives what a loop over the examples gives, in value and gradient; and as in PyTorch."""

import numpy as np
import pytest
from numeric import host

import tensorlite as tl
from tensorlite import tree
from tensorlite.errors import ArgumentError, DTypeError, IndexRangeError, VmapError
from tensorlite.func import grad, jacfwd, jacrev, jvp, vjp, vmap

RNG = np.random.default_rng(0)
X = RNG.standard_normal((3, 4, 4))
W = RNG.standard_normal((5, 4))
PLACES = np.array([[0, 2], [1, 1], [3, 0]])


def equal(found, wanted, tolerance=1e-11):
    a, b = tree.leaves_of(found), tree.leaves_of(wanted)
    assert len(a) == len(b)
    for p, q in zip(a, b, strict=True):
        assert tuple(p.shape) == tuple(q.shape)
        np.testing.assert_allclose(host(p), host(q), rtol=tolerance, atol=tolerance)


def looped(f, *columns):
    """f of each example, stacked."""
    parts = [tree.flatten(f(*[c[i] for c in columns])) for i in range(columns[0].shape[0])]
    return [tl.stack(list(c)) for c in zip(*[leaves for leaves, _ in parts], strict=True)]


# f(t, a, w, i): t is tensorlite or torch, a (4, 4) and i (2,) one example, w (5, 4) shared by all
ONES = {
    "arithmetic": lambda t, a, w, i: (a * w[0] + 2 - a / 3) ** 2,
    "scalar and row": lambda t, a, w, i: a.sum() * w[0] - a[0, 0],
    "comparison": lambda t, a, w, i: ((a > 0) & (a < w[:4])).sum(),
    "where": lambda t, a, w, i: t.where(a > 0, a, w[:4].exp()),
    "clamp": lambda t, a, w, i: a.clamp(-0.5, 0.5),
    "masked_fill": lambda t, a, w, i: a.masked_fill(a > 0, -1.0),
    "dtypes": lambda t, a, w, i: a[0, 0] * t.ones(3, dtype=t.float32) + (a > 0).sum(),
    "sum": lambda t, a, w, i: (a.sum(), a.sum(0), a.sum((0, 1)), a.sum(-1, keepdim=True)),
    "moments": lambda t, a, w, i: (a.mean(), a.var(0), a.std(), a.var(1, correction=0)),
    "extremes": lambda t, a, w, i: (a.amax(1), a.max(), a.max(1)[0], a.min(0)[1], a.argmax(), a.argmin(1)),
    "scans": lambda t, a, w, i: (a.cumsum(1), a.cumprod(0), t.cummax(a, 0)[0], t.logcumsumexp(a, 1)),
    "softmax": lambda t, a, w, i: (a.softmax(0), a.log_softmax(-1), a.logsumexp(1)),
    "sorting": lambda t, a, w, i: (t.sort(a, dim=0)[0], a.argsort(1), t.topk(a, 2)[0], t.median(a, 1)[0]),
    "reshapes": lambda t, a, w, i: (a.reshape(-1), a.flatten(), a.unsqueeze(1), a[:1].squeeze(0), a.reshape(2, 8)),
    "turns": lambda t, a, w, i: (a.permute(1, 0), a.T, a.transpose(0, -1), a.flip(0), t.roll(a, 1, 0), t.rot90(a)),
    "growth": lambda t, a, w, i: (a.expand(2, 4, 4), a.repeat(2, 1), a[0].expand(3, 4), t.tile(a, (2,))),
    "joins": lambda t, a, w, i: (t.cat([a, w]), t.stack([a[0], w[0]]), t.hstack([a, a]), t.block_diag(a, a)),
    "splits": lambda t, a, w, i: (a.split([1, 3])[1], a.chunk(2, 1)[0], a.unbind(0)[2], a.narrow(0, 1, 2)),
    "triangles": lambda t, a, w, i: (a.tril(), a.triu(1), t.diagonal(a), t.diag_embed(a), t.trace(a)),
    "windows": lambda t, a, w, i: (a.unfold(0, 2, 1), t.diff(a, dim=0)),
    "basic index": lambda t, a, w, i: (a[1], a[:, 2:], a[None, ..., -1], a[1:3, ::2]),
    "shared index": lambda t, a, w, i: (a[[0, 2]], a[:, [0, 2]], a[[0, 1], [2, 3]], a[[0, 1], :, None]),
    "own index": lambda t, a, w, i: (a[i], a[:, i], w[i], a[i, i], a[i[0]], a[i, 1:]),
    "gather": lambda t, a, w, i: (a.gather(0, i.reshape(2, 1)), t.index_select(a, 1, i), t.take_along_dim(a, a.argsort(0), 0)),
    "scatter": lambda t, a, w, i: t.zeros(4, dtype=t.float64).scatter(0, i[:1], a[0, :1]),
    "index_add": lambda t, a, w, i: a.index_add(0, i, a[:2]),
    "one_hot": lambda t, a, w, i: t.nn.functional.one_hot(i, 4),
    "searchsorted": lambda t, a, w, i: t.searchsorted(a.sort(-1)[0], a),
    "matmul": lambda t, a, w, i: (a @ a, a @ w.T, w @ a, a[0] @ a, a @ a[0], a[0] @ a[1], w[:4] @ a[0]),
    "products": lambda t, a, w, i: (t.outer(a[0], w[0]), t.addmm(a, a, a), t.einsum("ij,kj->ik", a, w), t.cdist(a, w)),
    "batches": lambda t, a, w, i: (a.reshape(2, 2, 4) @ w.T, t.bmm(a[None], a[None])),
    "linalg": lambda t, a, w, i: (t.linalg.inv(a), t.linalg.det(a), t.linalg.solve(a, w.T), t.linalg.norm(a)),
    "linear": lambda t, a, w, i: t.nn.functional.linear(a, w),
    "linear of a vector": lambda t, a, w, i: t.nn.functional.linear(a[0], w, w[:, 0]),
    "linear, own weight": lambda t, a, w, i: t.nn.functional.linear(w, a, a[0]),
    "norms": lambda t, a, w, i: (t.nn.functional.layer_norm(a, (4,), w[0]), t.nn.functional.layer_norm(w, (4,), a[0])),
    "gelu": lambda t, a, w, i: t.nn.functional.gelu(a),
    "embedding": lambda t, a, w, i: t.nn.functional.embedding(i, w),
    "embedding, own table": lambda t, a, w, i: t.nn.functional.embedding(i, a),
    "cross_entropy": lambda t, a, w, i: t.nn.functional.cross_entropy(a[:2], i),
    "conv": lambda t, a, w, i: t.nn.functional.conv2d(a[None, None], w[:2, :2][None, None]),
    "conv, own weight": lambda t, a, w, i: t.nn.functional.conv2d(w[None, None], a[:2, :2][None, None]),
    "pool": lambda t, a, w, i: t.nn.functional.max_pool2d(a[None], 2),
    "pad": lambda t, a, w, i: t.nn.functional.pad(a, (1, 0)),
    "attention": lambda t, a, w, i: t.nn.functional.scaled_dot_product_attention(a[None], a[None], a[None]),
    "likes": lambda t, a, w, i: (t.zeros_like(a) + a, a.new_ones(2), t.full_like(a, 3.0)),
}  # fmt: skip


@pytest.mark.parametrize("name", ONES)
def test_like_a_loop(name, device):
    f = ONES[name]
    x, w, i = tl.tensor(X), tl.tensor(W), tl.tensor(PLACES)

    def one(a, i):
        return f(tl, a, w, i)

    equal(vmap(one)(x, i), looped(one, x, i))
    moved = vmap(one, in_dims=(2, 1), out_dims=-1)(x.movedim(0, 2), i.T)
    equal([t.movedim(-1, 0) for t in tree.leaves_of(moved)], looped(one, x, i))


@pytest.mark.parametrize("name", ONES)
def test_gradients_of_each_example(name, device):
    """vmap(grad(f)) for the example and for what all share, against grad of one example after the other."""
    f = ONES[name]
    x, w, i = tl.tensor(X), tl.tensor(W), tl.tensor(PLACES)

    def loss(a, w, i):
        total = (a * w[0] * 0).sum()
        for out in tree.leaves_of(f(tl, a, w, i)):
            if out.dtype.is_floating_point:
                total = total + (out.double() * out.double()).sin().sum()
        return total

    both = grad(loss, argnums=(0, 1))
    equal(vmap(both, in_dims=(0, None, 0))(x, w, i), looped(lambda a, i: both(a, w, i), x, i), 1e-9)


@pytest.mark.parametrize("name", ONES)
def test_against_pytorch(name):
    torch = pytest.importorskip("torch")
    if name in ("shared index", "own index"):

        def one(t, a, w, i):
            return ONES[name](t, a, w, i)[:2]
    else:
        one = ONES[name]
    found = vmap(lambda a, i: one(tl, a, tl.tensor(W), i))(tl.tensor(X), tl.tensor(PLACES))
    wanted = [one(torch, torch.tensor(X)[k], torch.tensor(W), torch.tensor(PLACES)[k]) for k in range(3)]
    wanted = [tree.leaves_of(p) for p in wanted]
    for p, column in zip(tree.leaves_of(found), zip(*wanted, strict=True), strict=True):
        q = torch.stack(list(column))
        assert tuple(p.shape) == tuple(q.shape) and str(p.dtype).split(".")[-1] == str(q.dtype).split(".")[-1]
        np.testing.assert_allclose(host(p), q.numpy(), rtol=1e-9, atol=1e-10)


# ---------------------------------------------------------------- nesting
def test_nested(device):
    x, w = tl.tensor(X), tl.tensor(W)
    pairs = vmap(lambda a: vmap(lambda v: a @ v)(w))(x)
    equal(pairs, tl.einsum("bij,kj->bki", x, w))
    outer = vmap(vmap(lambda p, q: p * q, in_dims=(0, None)), in_dims=(None, 0))(w[0], x[0, 0])
    equal(outer, x[0, 0].unsqueeze(1) * w[0])
    deep = vmap(vmap(vmap(lambda v: v.exp())), in_dims=1, out_dims=1)(x)
    equal(deep, x.exp())
    both = vmap(lambda a: vmap(grad(lambda v, a: (a @ v).sin().sum(), argnums=(0, 1)), in_dims=(0, None))(w, a))(x)
    equal(both[0], tl.stack([tl.stack([grad(lambda v, a=a: (a @ v).sin().sum())(v) for v in w]) for a in x]))


def test_with_the_other_transforms(device):
    x = tl.tensor(X[0])

    def f(v):
        return v.sin() * v.sum()

    equal(vmap(jacrev(f))(x), looped(jacrev(f), x))
    equal(vmap(jacfwd(f))(x), looped(jacfwd(f), x))
    equal(vmap(lambda v: jvp(f, (v,), (v,))[1])(x), looped(lambda v: jvp(f, (v,), (v,))[1], x))
    _out, pull = vjp(f, x[0])
    equal(vmap(pull)(x)[0], x @ jacrev(f)(x[0]))
    equal(grad(lambda w: vmap(lambda v: (v * w).sum().tanh())(x).sum())(x[1]), _loop_grad(x))


def _loop_grad(x):
    w = x[1].clone().requires_grad_()
    sum((v * w).sum().tanh() for v in x).backward()
    return w.grad


def test_gradients_pass_through_vmap(device):
    """Outside of vmap, the result hangs on the inputs as ever, at every order."""
    x = tl.tensor(X, requires_grad=True)
    y = vmap(lambda a: (a @ a).sum().sin())(x)
    (g,) = tl.autograd.grad(y.sum(), x, create_graph=True)
    z = tl.stack([(a @ a).sum().sin() for a in x])
    (h,) = tl.autograd.grad(z.sum(), x, create_graph=True)
    equal(g, h)
    equal(tl.autograd.grad((g * g).sum(), x)[0], tl.autograd.grad((h * h).sum(), x)[0])


def test_batched_gradients(device):
    x = tl.tensor(X, requires_grad=True)
    y, z = x.sin() * x.sum(), (x * 2).sum(0)
    c, d = tl.tensor(RNG.standard_normal((2, 3, 4, 4))), tl.tensor(RNG.standard_normal((2, 4, 4)))
    unused = tl.ones(2, requires_grad=True)
    keep = {"retain_graph": True}
    found = tl.autograd.grad((y, z), (x, unused), (c, d), is_grads_batched=True, allow_unused=True, **keep)
    assert found[1] is None
    equal(found[0], tl.stack([tl.autograd.grad((y, z), x, (c[i], d[i]), **keep)[0] for i in range(2)]))
    zeros = tl.autograd.grad(y, unused, c, is_grads_batched=True, materialize_grads=True, **keep)[0]
    assert zeros.shape == (2, 2)


# ---------------------------------------------------------------- arguments
def test_trees_and_dims(device):
    x, w = tl.tensor(X), tl.tensor(W)

    def f(d, k):
        return {"p": d["a"] * d["b"][0] + k, "q": [d["a"].sum()]}

    found = vmap(f, in_dims=({"a": 0, "b": (1,)}, None), out_dims={"p": 2, "q": [0]})(
        {"a": x, "b": (x.transpose(0, 1),)}, 3.0
    )
    equal(found["p"], (x * x + 3).movedim(0, 2))
    equal(found["q"][0], x.sum((1, 2)))
    equal(vmap(lambda a, *, shift: a + shift)(w, shift=w), w.unsqueeze(1) + w)  # keyword arguments are shared
    constant = vmap(lambda a: tl.ones(2))(w)
    assert constant.shape == (5, 2)
    for size in (1, 2, 3, 100):
        equal(vmap(lambda a: (a.exp(), a.sum()), out_dims=(1, 0), chunk_size=size)(w), (w.exp().T, w.sum(1)))
    assert vmap(lambda a: a.sum(0))(tl.zeros(0, 3, 2)).shape == (0, 2)


def test_wrong_arguments():
    x, y = tl.ones(3, 2), tl.ones(4, 2)
    for call, kind, text in (
        (lambda: vmap(tl.add)(x, y), ArgumentError, "the same number of examples in their in_dims, got 3 in argument 0, 4 in argument 1"),
        (lambda: vmap(tl.exp, in_dims=None)(x), ArgumentError, "in_dims must be an int"),
        (lambda: vmap(tl.exp, in_dims=(None,))(x), ArgumentError, "all in_dims are None"),
        (lambda: vmap(tl.exp, in_dims=2)(x), IndexRangeError, "in_dims of argument 0"),
        (lambda: vmap(tl.exp)(), ArgumentError, "at least one positional argument"),
        (lambda: vmap(tl.add, in_dims=(0,))(x, x), ArgumentError, "has 1 entries for 2 arguments"),
        (lambda: vmap(tl.add)(x, 2.0), DTypeError, "give None for it in in_dims"),
        (lambda: vmap(lambda a: 3)(x), DTypeError, "must return tensors"),
        (lambda: vmap(tl.exp, out_dims=2)(x), IndexRangeError, "out_dims"),
        (lambda: vmap(tl.exp, out_dims=(0, 1))(x), ArgumentError, "out_dims (0, 1) does not fit"),
        (lambda: vmap(tl.exp, randomness="maybe"), ArgumentError, "'error', 'same' or 'different'"),
        (lambda: vmap(tl.exp, chunk_size=0), ArgumentError, "chunk_size must be positive"),
    ):  # fmt: skip
        with pytest.raises(kind) as caught:
            call()
        assert text in str(caught.value)


@pytest.mark.parametrize("look", [
    lambda a: a.item(), lambda a: bool(a > 0), lambda a: int(a), lambda a: float(a), lambda a: a.tolist(), lambda a: a.numpy(),
    lambda a: tl.ones(3)[: int(a)], lambda a: 1 if a > 0 else 2, lambda a: np.asarray(a), lambda a: a.reshape(1).nonzero(),
])  # fmt: skip
def test_values_cannot_be_looked_at(look):
    with pytest.raises(VmapError, match=r"differ between the examples.*use tl.where instead"):
        vmap(look)(tl.ones(3))


def test_what_is_refused():
    x = tl.ones(3, 2, requires_grad=True)
    with pytest.raises(VmapError, match=r"vmap\(grad\(f\)\)"):
        vmap(lambda a: a.sum().backward())(x)
    with pytest.raises(VmapError, match=r"vmap\(grad\(f\)\)"):
        vmap(lambda a: tl.autograd.grad(a.sum(), a)[0])(x)
    kept = []
    vmap(lambda a: (kept.append(a), a)[1])(x)
    with pytest.raises(VmapError, match="after that vmap has ended"):
        kept[0] + 1
    with pytest.raises(VmapError):
        kept[0].sum(0)
    with pytest.raises(VmapError, match="shape of the result differs between the examples"):
        vmap(lambda a: a[a > 1.5])(tl.tensor([[1.0, 1.0], [1.0, 2.0]]))


# ---------------------------------------------------------------- in place
def test_in_place(device):
    x = tl.tensor(X)

    def f(a):
        b = a.clone()
        b[0] = b[1] * 2
        b.add_(1.0)
        b[1:] *= 2
        b[:, 1] = 0.0
        b -= a
        return b

    equal(vmap(f)(x), looped(f, x))
    y = x.clone()
    vmap(lambda a: a.mul_(2))(y)  # the caller's memory, as outside of vmap
    equal(y, x * 2)
    shared = tl.zeros(4, 4, dtype=tl.float64)
    for change in (lambda a: shared.add_(a), lambda a: shared.copy_(a), lambda a: shared.__setitem__(0, a[0])):
        with pytest.raises(VmapError):
            vmap(lambda a, change=change: (change(a), a)[1])(x)
    assert not shared.any()
    for change in (lambda a: a.uniform_(), lambda a: a.bernoulli_(0.5), lambda a: a.fill_diagonal_(1.0)):
        with pytest.raises(VmapError, match="no such change in place"):
            vmap(change)(x)
    equal(
        vmap(lambda a: a.clone().zero_() + a.clone().fill_(2.0) + a.clone().copy_(a[0]))(x),
        x[:, :1].expand(3, 4, 4) + 2,
    )


# ---------------------------------------------------------------- random numbers
def test_random_numbers():
    x = tl.zeros(4, 6)
    for draw in (lambda a: a + tl.rand(6), lambda a: tl.nn.functional.dropout(a + 1, 0.5), lambda a: tl.randn_like(a)):
        with pytest.raises(VmapError, match="say vmap"):
            vmap(draw)(x)
        same = host(vmap(draw, randomness="same")(x))
        assert (same == same[0]).all()
        different = host(vmap(draw, randomness="different")(x))
        assert different.shape == (4, 6) and (different != different[0]).any()
    equal(vmap(lambda a: a.sum(), randomness="different", out_dims=0)(x), tl.zeros(4))


def test_user_functions(device):
    class Cube(tl.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * 3 * x**2

    x = tl.tensor(X)
    equal(vmap(Cube.apply)(x), x**3)
    equal(vmap(grad(lambda a: Cube.apply(a).sum()))(x), 3 * x**2)


# ---------------------------------------------------------------- memory of one's own, made inside
def _fill(make):
    def f(a):
        y = make(a)
        y[0] = a[1]
        y[1:].add_(a[:-1])
        y *= a
        return y

    return f


MADE = {
    "zeros_like": _fill(tl.zeros_like), "ones_like": _fill(tl.ones_like), "full_like": _fill(lambda a: tl.full_like(a, 2.0)),
    "empty_like": _fill(lambda a: tl.empty_like(a).fill_(1)), "new_zeros": _fill(lambda a: a.new_zeros(4, 4)),
    "new_full": _fill(lambda a: a.new_full((4, 4), 3.0)), "copy_": lambda a: tl.zeros_like(a).copy_(a * 2),
}  # fmt: skip


@pytest.mark.parametrize("name", MADE)
def test_what_is_made_like_an_example_can_be_changed(name, device):
    f, x = MADE[name], tl.tensor(X)
    equal(vmap(f)(x), looped(f, x))
    equal(vmap(grad(lambda a: f(a).sin().sum()))(x), looped(grad(lambda a: f(a).sin().sum()), x))
    pairs = tl.tensor(np.stack([X, X + 1]))
    equal(vmap(vmap(f))(pairs), tl.stack([tl.stack([f(a) for a in b]) for b in pairs]))


def test_what_all_examples_share_is_not_changed_by_one(device):
    def add(a):
        y = tl.zeros(4, 4, dtype=tl.float64)
        y += a
        return y

    def put(a):
        y = tl.zeros(4, dtype=tl.float64)
        y[1] = a[0, 0]
        return y

    for f, name in ((add, "add"), (put, "setitem")):
        with pytest.raises(VmapError, match=rf"^{name}_?: float64 \(4,.*is one tensor for all examples"):
            vmap(f)(tl.tensor(X))
