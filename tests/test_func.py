"""tl.func: grad, vjp, jvp, Jacobians, Hessians, modules as functions; against PyTorch's and against finite differences."""

import numpy as np
import pytest
from numeric import host

import tensorlite as tl
from tensorlite import func, nn, tree
from tensorlite.errors import ArgumentError, DTypeError, ShapeError

RNG = np.random.default_rng(1)
A, B, V = RNG.standard_normal((3, 4)), RNG.standard_normal((4, 2)), RNG.standard_normal(3)


def equal(found, wanted, tolerance=1e-10):
    a, b = tree.leaves_of(found), tree.leaves_of(wanted)
    assert len(a) == len(b)
    for p, q in zip(a, b, strict=True):
        assert tuple(p.shape) == tuple(q.shape)
        p, q = (host(v) if isinstance(v, tl.Tensor) else v.detach().numpy() for v in (p, q))
        np.testing.assert_allclose(p, q, rtol=tolerance, atol=tolerance)


def curve(x):
    return (x.sin() * x.sum()).prod()


def field(x):
    return x.sin() * x.sum()


# name -> f(t, F, a, b, v): t is tensorlite or torch, F its func
PROGRAMS = {
    "grad": lambda t, F, a, b, v: F.grad(lambda x: (x**3).sum())(a),
    "grad of grad": lambda t, F, a, b, v: F.grad(lambda x: F.grad(curve)(x).sin().sum())(v),
    "three times": lambda t, F, a, b, v: F.grad(F.grad(F.grad(lambda x: x**4 * t.exp(x))))(v[0]),
    "argnums": lambda t, F, a, b, v: F.grad(lambda x, y: (x @ y).tanh().sum(), argnums=(1, 0))(a, b),
    "argnums of one": lambda t, F, a, b, v: F.grad(lambda x, y: (x @ y).tanh().sum(), argnums=-1)(a, b),
    "tree": lambda t, F, a, b, v: F.grad(lambda d: (d["x"] @ d["y"][0]).sin().sum())({"x": a, "y": [b]}),
    "value": lambda t, F, a, b, v: F.grad_and_value(curve)(v),
    "aux": lambda t, F, a, b, v: F.grad_and_value(lambda x: (curve(x), {"k": x * 2}), has_aux=True)(v),
    "grad with aux": lambda t, F, a, b, v: F.grad(lambda x: (curve(x), x * 2), has_aux=True)(v),
    "unused": lambda t, F, a, b, v: F.grad(lambda x, y: x.sum(), argnums=(0, 1))(a, b),
    "constant": lambda t, F, a, b, v: F.grad(lambda x: (x * 0).sum())(a),
    "vjp": lambda t, F, a, b, v: F.vjp(lambda x, y: (x @ y, y.sum()), a, b)[1]((a @ b, b.sum())),
    "vjp of one": lambda t, F, a, b, v: F.vjp(field, v)[1](v),
    "grad of vjp": lambda t, F, a, b, v: F.grad(lambda c: F.vjp(field, v * c)[1](v + c)[0].prod())(v),
    "jvp": lambda t, F, a, b, v: F.jvp(lambda x, y: (x @ y).tanh(), (a, b), (a * 2, b + 1)),
    "jvp tree": lambda t, F, a, b, v: F.jvp(lambda x: {"p": x.exp(), "q": (x.sum(),)}, (v,), (v,)),
    "jvp aux": lambda t, F, a, b, v: F.jvp(lambda x: (field(x), x + 1), (v,), (v,), has_aux=True),
    "grad of jvp": lambda t, F, a, b, v: F.grad(lambda c: F.jvp(field, (v,), (c * v,))[1].prod())(v),
    "jacrev": lambda t, F, a, b, v: F.jacrev(field)(v),
    "jacfwd": lambda t, F, a, b, v: F.jacfwd(field)(v),
    "jacobians of trees": lambda t, F, a, b, v: (
        F.jacrev(lambda x, y: {"p": x @ y, "q": (x.sum(),)}, argnums=(0, 1))(a, b),
        F.jacfwd(lambda x, y: {"p": x @ y, "q": (x.sum(),)}, argnums=(0, 1))(a, b),
    ),
    "in chunks": lambda t, F, a, b, v: F.jacrev(lambda x: (x @ b).sin(), chunk_size=2)(a),
    "jacobian and aux": lambda t, F, a, b, v: F.jacrev(lambda x: (field(x), x * 3), has_aux=True)(v),
    "hessian": lambda t, F, a, b, v: F.hessian(curve)(v),
    "hessian of two": lambda t, F, a, b, v: F.hessian(lambda x, y: (x @ y).tanh().sum(), argnums=(0, 1))(a, b),
    "forward over reverse": lambda t, F, a, b, v: F.jacfwd(F.jacrev(curve))(v),
    "reverse over forward": lambda t, F, a, b, v: F.jacrev(F.jacfwd(field))(v),
    "forward over forward": lambda t, F, a, b, v: F.jacfwd(F.jacfwd(field))(v),
    "third": lambda t, F, a, b, v: F.jacrev(F.hessian(curve))(v),
    "linearize": lambda t, F, a, b, v: F.linearize(field, v)[1](v * 2),
    "layers": lambda t, F, a, b, v: F.hessian(
        lambda x: t.nn.functional.gelu(t.nn.functional.layer_norm(x, (4,))).softmax(-1).logsumexp(0).prod())(a),
}  # fmt: skip


@pytest.mark.parametrize("name", PROGRAMS)
def test_like_pytorch(name):
    torch = pytest.importorskip("torch")
    found = PROGRAMS[name](tl, func, *map(tl.tensor, (A, B, V)))
    equal(found, PROGRAMS[name](torch, torch.func, *map(torch.tensor, (A, B, V))))
    assert not any(t.requires_grad for t in tree.leaves_of(found))


@pytest.mark.parametrize("name", PROGRAMS)
def test_same_under_no_grad_and_on_leaves(name, device):
    """Derivatives by name do not depend on the mode outside; inputs that require grad stay connected to the results."""
    arrays = [tl.tensor(x) for x in (A, B, V)]
    want = PROGRAMS[name](tl, func, *arrays)
    for mode in (tl.no_grad(), tl.inference_mode()):
        with mode:
            found = PROGRAMS[name](tl, func, *arrays)
        equal(found, want)
        assert not any(t.requires_grad for t in tree.leaves_of(found))
    leaves = [tl.tensor(x, requires_grad=True) for x in (A, B, V)]
    equal(PROGRAMS[name](tl, func, *leaves), want)
    assert all(x.grad is None for x in leaves)


def differences(f, x, h=1e-5):
    x, parts = tl.tensor(x), []
    for i in range(x.numel()):
        step = np.zeros(x.numel())
        step[i] = h
        step = tl.tensor(step.reshape(tuple(x.shape)))
        parts.append((host(f(x + step)) - host(f(x - step))) / (2 * h))
    return np.stack(parts, -1)


def test_against_finite_differences(device):
    v = tl.tensor(V)
    np.testing.assert_allclose(host(func.jacrev(field)(v)), differences(field, V), rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(host(func.jacfwd(field)(v)), differences(field, V), rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(host(func.hessian(curve)(v)), differences(func.grad(curve), V), rtol=1e-8, atol=1e-8)


def test_results_are_differentiable_where_something_outside_wants_it(device):
    x, w = tl.tensor(V, requires_grad=True), tl.tensor(2.0, dtype=tl.float64, requires_grad=True)

    def f(x):
        return (x**3 * w).sum()

    g, value = func.grad_and_value(f)(x)
    for result in (g.sum(), value):
        (gx, gw) = tl.autograd.grad(result, (x, w), retain_graph=True)
        equal((gx, gw), (x * 6 * w, 3 * (x * x).sum()) if result is not value else (x * x * 3 * w, (x**3).sum()))
    assert func.grad(f)(tl.tensor(V)).requires_grad  # w outside still wants it
    assert not func.grad(f)(tl.tensor(V)).detach().requires_grad
    (back,) = tl.autograd.grad(func.jacrev(lambda v: v**2 * w)(tl.tensor(V)).sum(), w)
    equal(back, 2 * tl.tensor(V).sum())
    with tl.no_grad():
        assert not func.grad(f)(x).requires_grad
    out, pull = func.vjp(lambda v: v * w, tl.tensor(V))
    (gw,) = tl.autograd.grad(pull(tl.ones(3, dtype=tl.float64))[0].sum(), w, retain_graph=True)
    equal(gw, tl.tensor(3.0, dtype=tl.float64))
    equal(tl.autograd.grad(out.sum(), w)[0], tl.tensor(V).sum())


def test_cotangents_of_a_tuple():
    x = tl.tensor(V)
    one, two = lambda x: (x * x,), lambda x: (x * x, x)
    for f, given in ((one, ((x,),)), (one, (x,)), (two, ((x, x),)), (two, (x, x))):
        _, pull = func.vjp(f, x)
        equal(pull(*given), (x * x * 2 + (x if len(f(x)) == 2 else 0),))


def test_empty_and_scalar():
    assert func.jacrev(lambda x: x * 2)(tl.zeros(0)).shape == (0, 0)
    assert func.jacfwd(lambda x: x * 2)(tl.zeros(0)).shape == (0, 0)
    assert func.jacrev(lambda x: x.sum())(tl.zeros(2, 0)).shape == (2, 0)
    assert func.jacfwd(lambda x: x[:0])(tl.zeros(3)).shape == (0, 3)
    equal(func.jacrev(lambda x: x**3)(tl.tensor(2.0)), tl.tensor(12.0))
    assert func.grad(lambda x: (x * x).sum())(tl.ones(2, dtype=tl.float32)).dtype == tl.float32


def test_wrong_calls():
    x = tl.ones(3)
    for call, kind, text in (
        (lambda: func.grad(lambda x: x * 2)(x), ShapeError, "grad: the function must return a scalar tensor, it returned float32 (3,)"),
        (lambda: func.grad(lambda x: 3.0)(x), ShapeError, "must return a scalar tensor"),
        (lambda: func.grad(lambda x: x.sum())(tl.arange(3)), DTypeError, "argument 0 is int64 (3,); use x.float()"),
        (lambda: func.grad(lambda x: x)(2.0), DTypeError, "only tensors are differentiated, argument 0 is float"),
        (lambda: func.grad(lambda x: x.sum(), argnums=1)(x), ArgumentError, "argnums 1 for 1 positional arguments"),
        (lambda: func.grad(lambda x: x.sum(), argnums=(0, 0))(x), ArgumentError, "names an argument twice"),
        (lambda: func.grad(lambda x: x.sum(), argnums=[0])(x), ArgumentError, "argnums must be an int or a tuple of ints"),
        (lambda: func.grad(lambda x: x.sum(), has_aux=True)(x), ArgumentError, "must return a pair (output, aux)"),
        (lambda: func.vjp(lambda x: x * 2, x)[1](tl.ones(2)), ShapeError, "cotangent 0 must be a tensor of shape (3,)"),
        (lambda: func.vjp(lambda x: (x, x), x)[1](x), ArgumentError, "the same tree as the output"),
        (lambda: func.jvp(lambda x: x, (x,), (tl.ones(2),)), ShapeError, "tangent 0 must be a tensor of shape (3,)"),
        (lambda: func.jvp(lambda x: x, x, x), ArgumentError, "must be tuples of the same length"),
        (lambda: func.jacrev(lambda x: x > 0)(x), DTypeError, "output 0 is bool (3,)"),
    ):  # fmt: skip
        with pytest.raises(kind) as caught:
            call()
        assert text in str(caught.value).replace(" on cpu", "")


# ---------------------------------------------------------------- modules
def network():
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2)).double()


def test_functional_call(device):
    net, other, x = network(), network(), tl.tensor(A)
    before = {k: p for k, p in net.named_parameters()}
    params = {k: p.detach() for k, p in other.named_parameters()}
    equal(func.functional_call(net, params, (x,)), other(x))
    equal(func.functional_call(net, params, x), other(x))
    assert all(p is before[k] for k, p in net.named_parameters())
    half = {k: v for k, v in params.items() if k.startswith("0.")}
    equal(func.functional_call(net, half, (x,)), net[2](net[1](other[0](x))))
    grads = func.grad(lambda p: func.functional_call(net, p, (x,)).sin().sum())(params)
    other(x).sin().sum().backward()
    equal(grads, {k: p.grad for k, p in other.named_parameters()})
    assert all(p.grad is None for p in net.parameters())
    each = func.vmap(func.grad(lambda p, a: func.functional_call(net, p, (a,)).sin().sum()), in_dims=(None, 0))(
        params, x
    )
    equal({k: g.sum(0) for k, g in each.items()}, grads)
    with pytest.raises(ArgumentError, match=r"functional_call of Sequential: the module has no 7\.weight"):
        func.functional_call(net, {"7.weight": x}, (x,))
    with pytest.raises(ArgumentError, match=r"missing: 2\.weight, 2\.bias"):
        func.functional_call(net, half, (x,), strict=True)
    with pytest.raises(ArgumentError, match="given in several of the dicts"):
        func.functional_call(net, (half, half), (x,))
    with pytest.raises(ZeroDivisionError):
        func.functional_call(_Fails(net), {"net.0.weight": params["0.weight"]}, (x,))
    assert all(p is before[k] for k, p in net.named_parameters())


class _Fails(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        raise ZeroDivisionError


def test_tied_weights_and_buffers():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = self.b = nn.Linear(2, 2, bias=False)
            self.c = nn.Linear(2, 2, bias=False)
            self.c.weight = self.a.weight
            self.register_buffer("scale", tl.ones(1))

        def forward(self, x, *, shift=0.0):
            return (self.b(x) + self.c(x)) * self.scale + shift

    net, x, eye = Tied(), tl.ones(1, 2), tl.eye(2)
    new = {"a.weight": eye, "scale": tl.tensor([3.0])}
    equal(func.functional_call(net, new, (x,), {"shift": 1.0}), tl.full((1, 2), 7.0))
    untied = func.functional_call(net, {"c.weight": eye}, (x,), tie_weights=False)
    equal(untied, net.a(x) + x)
    assert net.scale.item() == 1 and net.c.weight is net.a.weight


def test_stack_module_state(device):
    models, x = [network() for _ in range(3)], tl.tensor(A)
    params, buffers = func.stack_module_state(models)
    assert params["0.weight"].shape == (3, 5, 4) and params["0.weight"].requires_grad and buffers == {}
    base = network()
    outs = func.vmap(lambda p, b: func.functional_call(base, (p, b), (x,)), in_dims=(0, 0))(params, buffers)
    equal(outs, tl.stack([m(x) for m in models]))
    with pytest.raises(ArgumentError, match="at least one model"):
        func.stack_module_state([])
    with pytest.raises(ArgumentError, match="of one class"):
        func.stack_module_state([base, base[0]])


def test_names():
    assert tl.func is func and tl.vmap is func.vmap
    assert tree.flatten({"a": 1, "b": (None, [2])}) == ([1, None, 2], {"a": 0, "b": (1, [2])})


def test_functional_call_of_what_a_module_computes():
    from tensorlite.nn.utils import parametrizations

    class Squares(tl.nn.Module):
        def forward(self, x):
            return x * x

    layer = tl.nn.Linear(2, 2, bias=False)
    tl.nn.utils.parametrize.register_parametrization(layer, "weight", Squares())
    net = tl.nn.Sequential(layer, parametrizations.weight_norm(tl.nn.Linear(2, 1)))
    original, w = layer.parametrizations.weight.original, tl.tensor([[4.0, 9.0], [16.0, 25.0]], requires_grad=True)
    before = layer.weight.clone()
    y = tl.func.functional_call(net[0], {"weight": w}, (tl.ones(1, 2),))
    assert y.tolist() == [[13.0, 41.0]] and tl.autograd.grad(y.sum(), w)[0].tolist() == [[1.0, 1.0], [1.0, 1.0]]
    y = tl.func.functional_call(net[0], {"parametrizations.weight.original": w}, (tl.ones(1, 2),))
    assert y.tolist() == [[97.0, 881.0]]
    y = tl.func.functional_call(
        net, {"0.weight": w, "1.weight": tl.ones(1, 2), "1.bias": tl.zeros(1)}, (tl.ones(1, 2),)
    )
    assert y.tolist() == [[54.0]]
    assert (
        layer.parametrizations.weight.original is original
        and (layer.weight == before).all()
        and "weight" not in vars(layer)
    )
    with pytest.raises(tl.errors.ArgumentError, match=r"no 0\.wait, forward"):
        tl.func.functional_call(net, {"0.wait": w, "forward": w}, (tl.ones(1, 2),))
