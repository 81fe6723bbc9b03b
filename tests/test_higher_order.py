"""Derivatives of order 1 to 4, against interpolation in float64 and against PyTorch; random graphs against PyTorch."""

import functools

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from numpy.polynomial import chebyshev

import tensorlite as tl
from tensorlite.autograd import grad
from tensorlite.nn import functional as F

RNG = np.random.default_rng(7)


# ---------------------------------------------------------------- along a line: d^k/dt^k f(x + t v)
def by_interpolation(f, orders=4, radius=0.05, points=16):
    """The derivatives of order 1.. of f(t) at 0: finite differences of high order, from a polynomial through f."""
    t = chebyshev.chebpts1(points)
    c = chebyshev.chebfit(t, [f(radius * v) for v in t], points - 1)
    return [chebyshev.chebval(0.0, chebyshev.chebder(c, k)) / radius**k for k in range(1, orders + 1)]


def by_backward(f, arrays, directions, orders=4):
    """The same by differentiating the derivative along the line, again and again."""
    xs = [tl.tensor(a, requires_grad=True) for a in arrays]
    vs = [tl.tensor(v) for v in directions]
    out, found = f(*xs), []
    for _ in range(orders):
        gs = grad(out, xs, create_graph=True, materialize_grads=True)
        out = sum((g * v).sum() for g, v in zip(gs, vs, strict=True))
        found.append(out.item())
    return found


def on_line(f, arrays, directions):
    return lambda t: float(f(*[tl.tensor(a + t * v) for a, v in zip(arrays, directions, strict=True)]).item())


def check_line(f, arrays, orders=4, rtol=(1e-8, 1e-7, 1e-5, 1e-3)):
    directions = [RNG.standard_normal(a.shape) for a in arrays]
    expected = by_interpolation(on_line(f, arrays, directions), orders)
    got = by_backward(f, arrays, directions, orders)
    scale = max(map(abs, expected))
    for k, (e, g) in enumerate(zip(expected, got, strict=True)):
        assert abs(e - g) <= rtol[k] * max(abs(e), 0.01 * scale), (k + 1, expected, got)


def expression(x, w, b, gamma, beta):
    """tanh, matmul, broadcasting, sum and layer_norm in one."""
    h = (x @ w + b).tanh()
    return (F.layer_norm(h, (3,), gamma, beta) ** 2 * h).sum() + (h.sum(0) * b).sum()


SHAPES = [(2, 4), (4, 3), (3,), (3,), (3,)]


def arrays_for(shapes):
    return [RNG.uniform(0.3, 1.0, s) * RNG.choice([-1, 1], s) for s in shapes]


def test_orders_1_to_4_of_an_expression(device):
    check_line(expression, arrays_for(SHAPES))


def test_nested_finite_differences():
    """Order by order: each derivative against the central difference of the one before it, down to the function."""
    arrays = arrays_for(SHAPES)
    directions = [RNG.standard_normal(a.shape) for a in arrays]

    def derivative(order, t):
        moved = [a + t * v for a, v in zip(arrays, directions, strict=True)]
        return (
            expression(*map(tl.tensor, moved)).item()
            if not order
            else by_backward(expression, moved, directions, order)[-1]
        )

    h = 1e-4
    for order in range(1, 5):
        expected = (derivative(order - 1, h) - derivative(order - 1, -h)) / (2 * h)
        assert derivative(order, 0.0) == pytest.approx(expected, rel=1e-4), order


FUSED = {
    "layer_norm": (lambda x, w, b: (F.layer_norm(x, (4,), w, b) ** 3).sum(), [(2, 4), (4,), (4,)]),
    "layer_norm over two": (lambda x: (F.layer_norm(x, (2, 3)) ** 3).sum(), [(2, 2, 3)]),
    "rms_norm": (lambda x, w: (F.rms_norm(x, (4,), w) ** 3).sum(), [(2, 4), (4,)]),
    "softmax": (lambda x: (F.softmax(x, -1) ** 2).sum(), [(2, 4)]),
    "log_softmax": (lambda x: (F.log_softmax(x, 0) ** 2).sum(), [(3, 2)]),
    "gelu": (lambda x: (F.gelu(x) ** 2).sum(), [(5,)]),
    "gelu tanh": (lambda x: (F.gelu(x, approximate="tanh") ** 2).sum(), [(5,)]),
    "linear": (lambda x, w, b: (F.linear(x, w, b) ** 3).sum(), [(2, 3), (4, 3), (4,)]),
    "cross_entropy": (lambda x: F.cross_entropy(x, tl.tensor([1, 0, 2]), label_smoothing=0.1) ** 2, [(3, 4)]),
    "attention": (
        lambda q, k, v: (F.scaled_dot_product_attention(q, k, v, is_causal=True) ** 2).sum(),
        [(2, 3, 4), (2, 3, 4), (2, 3, 2)],
    ),
    "logsumexp": (lambda x: (x.logsumexp(1) ** 2).sum(), [(3, 4)]),
    "var": (lambda x: x.var(1).log().sum(), [(2, 4)]),
}


@pytest.mark.parametrize("name", FUSED)
def test_orders_1_to_4_of_fused_operations(device, name):
    f, shapes = FUSED[name]
    check_line(f, arrays_for(shapes))


def test_the_third_derivative_through_layer_norm_is_that_of_its_definition():
    """PyTorch differentiates its fused layer_norm wrongly in third order: compared is its definition, run by PyTorch."""
    torch = pytest.importorskip("torch")
    x, v = RNG.standard_normal((2, 2, 5))

    def definition(x, lib):
        centred = x - x.mean(-1, keepdim=True)
        return centred / ((centred * centred).mean(-1, keepdim=True) + 1e-5).sqrt()

    def orders(lib, f):
        t, u = lib.tensor(x, requires_grad=True), lib.tensor(v)
        out, found = (f(t) ** 3).sum(), []
        for _ in range(4):
            (g,) = lib.autograd.grad(out, t, create_graph=True)
            found.append(g.detach().numpy().copy())
            out = (g * u).sum()
        return found

    expected = orders(torch, lambda t: definition(t, torch))
    for f in (lambda t: F.layer_norm(t, (5,)), lambda t: definition(t, tl)):
        for a, b in zip(orders(tl, f), expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-8 * np.abs(b).max())


def test_orders_against_pytorch():
    """Full gradients, not only along a line; PyTorch gets the definition of layer_norm."""
    torch = pytest.importorskip("torch")

    def f(lib, x, w, b):
        h = (x @ w + b).tanh()
        centred = h - h.mean(-1, keepdim=True)
        n = centred / ((centred**2).mean(-1, keepdim=True) + 1e-5).sqrt() if lib is torch else F.layer_norm(h, (3,))
        return (n * h.exp() * b).sum()

    arrays = arrays_for([(2, 4), (4, 3), (3,)])
    found = []
    for lib in (torch, tl):
        xs, rows = [lib.tensor(a, requires_grad=True) for a in arrays], []
        out = f(lib, *xs)
        for k in range(4):
            gs = lib.autograd.grad(out, xs, create_graph=True)
            rows += [g.detach().numpy() for g in gs]
            out = sum((g * g).sum() * (0.1 if k else 1.0) for g in gs)
        found.append(rows)
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-7, atol=1e-9 * np.abs(a).max())


def test_hessian_and_mixed_partial_derivatives(device):
    x = tl.tensor([0.5, -1.0, 2.0], dtype=tl.float64, requires_grad=True)
    (g,) = grad((x**3).sum() + x[0] * x[1] * x[2], x, create_graph=True)
    hessian = [grad(g[i], x, retain_graph=True)[0].cpu().numpy() for i in range(3)]
    a, b, c = 0.5, -1.0, 2.0
    np.testing.assert_allclose(hessian, [[6 * a, c, b], [c, 6 * b, a], [b, a, 6 * c]])


def test_gradient_penalty(device):
    """A loss that contains a gradient, by backward() into .grad (Gulrajani et al. 2017)."""
    torch = pytest.importorskip("torch")
    x, w1, w2 = arrays_for([(5, 3), (3, 4), (4, 1)])
    found = []
    for lib in (torch, tl):
        xs = lib.tensor(x, requires_grad=True)
        ws = [lib.tensor(w, requires_grad=True) for w in (w1, w2)]
        score = (xs @ ws[0]).tanh() @ ws[1]
        (g,) = lib.autograd.grad(score.sum(), xs, create_graph=True)
        (score.mean() + (((g**2).sum(1) + 1e-12).sqrt() - 1).square().mean() * 10).backward()
        found.append([np.asarray(t.grad.cpu().numpy()) for t in (*ws, xs)])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-9)


# ---------------------------------------------------------------- random graphs
# name: (how many operands, function of the library and the operands, may it be applied to these shapes)
def alike(*s):
    return all(len(a) == 2 for a in s)


def broadcastable(a, b):
    return all(m == n or 1 in (m, n) for m, n in zip(a[::-1], b[::-1], strict=False))


STEPS = {
    "add": (2, lambda m, x, y: x + y, broadcastable), "sub": (2, lambda m, x, y: x - y, broadcastable),
    "mul": (2, lambda m, x, y: x * y, broadcastable), "div": (2, lambda m, x, y: x / (y * y + 1), broadcastable),
    "rsub": (1, lambda m, x: 0.5 - x, None), "scale": (1, lambda m, x: x * -0.7, None), "power": (1, lambda m, x: x**3, None),
    "tanh": (1, lambda m, x: x.tanh(), None), "sin": (1, lambda m, x: m.sin(x), None), "sigmoid": (1, lambda m, x: m.sigmoid(x), None),
    "exp": (1, lambda m, x: (-x * x).exp(), None), "log": (1, lambda m, x: (x * x + 1).log(), None),
    "sqrt": (1, lambda m, x: (x * x + 1).sqrt(), None), "clone": (1, lambda m, x: x.clone(), None),
    "matmul": (2, lambda m, x, y: x @ y, lambda a, b: alike(a, b) and a[1] == b[0]),
    "gram": (1, lambda m, x: x @ x.T, alike), "T": (1, lambda m, x: x.T, alike),
    "sum": (1, lambda m, x: x.sum(-1), len), "mean": (1, lambda m, x: x.mean(0, keepdim=True), len),
    "total": (1, lambda m, x: x.sum(), None), "var": (1, lambda m, x: x.var(0, unbiased=False), len),
    "max": (1, lambda m, x: x.max(-1).values, len), "amin": (1, lambda m, x: x.amin(0), len),
    "reshape": (1, lambda m, x: x.reshape(-1), None), "unsqueeze": (1, lambda m, x: x.unsqueeze(0), lambda a: len(a) < 3),
    "squeeze": (1, lambda m, x: x.squeeze(), None), "first": (1, lambda m, x: x[0], len), "step": (1, lambda m, x: x[..., ::2], len),
    "pick": (1, lambda m, x: x[[0, -1, 0]], len), "flip": (1, lambda m, x: x.flip(0), len),
    "expand": (1, lambda m, x: x.expand(2, *x.shape), lambda a: len(a) < 3),
    "cat": (2, lambda m, x, y: m.cat([x, y, x], -1), lambda a, b: len(a) > 0 and a == b),
    "stack": (2, lambda m, x, y: m.stack([x, y]), lambda a, b: a == b and len(a) < 3),
    "where": (2, lambda m, x, y: m.where(x > 0.1, x, y), broadcastable), "relu": (1, lambda m, x: m.relu(x), None),
    "abs": (1, lambda m, x: x.abs(), None), "clamp": (1, lambda m, x: x.clamp(-0.9, 1.1), None),
    "maximum": (2, lambda m, x, y: m.maximum(x, y * 1.01), broadcastable), "detach": (2, lambda m, x, y: x * y.detach(), broadcastable),
    "softmax": (1, lambda m, x: x.softmax(-1), len), "log_softmax": (1, lambda m, x: x.log_softmax(0), len),
    "logsumexp": (1, lambda m, x: x.logsumexp(-1), len), "tril": (1, lambda m, x: x.tril(), alike),
    "split": (1, lambda m, x: x.split(1, 0)[0] * 2 + x.split(1, 0)[-1], len),
    "in place": (1, lambda m, x: (x * 1).add_(0.3).mul_(2), None),
    "assign": (2, lambda m, x, y: assign(x * 1, y), lambda a, b: len(a) == 2 and a[1:] == b),
    "into a view": (1, lambda m, x: into_view(x * 1), alike), "masked": (1, lambda m, x: x.masked_fill(x > 0.5, 0.25), None),
}  # fmt: skip


def assign(x, y):
    x[0] = y
    return x


def into_view(x):
    x[:, 0].mul_(3)
    x.T[0].sub_(0.1)
    return x


LEAVES = [(2, 3), (3, 2), (3,), (1, 3), ()]


@st.composite
def programs(draw):
    """A list of (step, operands): up to 30 operations on 5 leaves, each of a kind that its operands allow."""
    shapes, program = list(LEAVES), []
    for _ in range(draw(st.integers(1, 30))):
        name = draw(st.sampled_from(sorted(STEPS)))
        count, _, allowed = STEPS[name]
        operands = tuple(draw(st.integers(0, len(shapes) - 1)) for _ in range(count))
        given_shapes = [shapes[i] for i in operands]
        if allowed is not None and not allowed(*given_shapes):
            continue
        shape = shape_of(name, tuple(given_shapes))
        if np.prod(shape, dtype=int) > 200 or len(shape) > 3:
            continue
        program.append((name, operands))
        shapes.append(shape)
    return program


@functools.cache
def shape_of(name, shapes):
    return tuple(STEPS[name][1](tl, *[tl.ones(*s) if s else tl.tensor(1.0) for s in shapes]).shape)


def run(lib, program, arrays):
    """Loss, first gradients, and gradients of a function of these, as NumPy arrays; None where nothing depends."""
    leaves = [lib.tensor(a, requires_grad=True) for a in arrays]
    values = [x * 1 for x in leaves]
    for name, operands in program:
        y = STEPS[name][1](lib, *[values[i] for i in operands])
        values.append(y.tanh() if float(abs(y.detach()).max()) > 3 else y)
    loss = sum((v * (0.3 + i % 3)).sum() for i, v in enumerate(values[len(leaves) :])) + sum(
        (x * 0).sum() for x in leaves
    )
    first = lib.autograd.grad(loss, leaves, create_graph=True)
    second = lib.autograd.grad(sum((g * g).sum() for g in first) + loss, leaves, allow_unused=True)
    return [None if t is None else np.array(t.detach().cpu().numpy()) for t in (loss, *first, *second)]


@given(programs(), st.integers(0, 2**32 - 1))
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
def test_random_graphs_against_pytorch(program, seed):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(seed)
    arrays = [rng.uniform(-1.5, 1.5, s) for s in LEAVES]
    for a, b in zip(run(torch, program, arrays), run(tl, program, arrays), strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert a.shape == b.shape
            np.testing.assert_allclose(b, a, rtol=1e-7, atol=1e-8 * max(1.0, np.abs(a).max()))


def test_every_step_of_the_random_graphs_alone():
    """So that the random test reaches all of them, and a failure there is a matter of the combination."""
    torch = pytest.importorskip("torch")
    reached = set()
    for name, (count, _, allowed) in STEPS.items():
        for first in range(len(LEAVES)):
            for second in range(len(LEAVES)) if count == 2 else [0]:
                operands = (first, second)[:count]
                if allowed is None or allowed(*[LEAVES[i] for i in operands]):
                    arrays = [np.random.default_rng(first).uniform(-1.5, 1.5, s) for s in LEAVES]
                    for a, b in zip(
                        run(torch, [(name, operands)], arrays), run(tl, [(name, operands)], arrays), strict=True
                    ):
                        assert (a is None) == (b is None), (name, operands)
                        if a is not None:
                            np.testing.assert_allclose(b, a, rtol=1e-9, atol=1e-10, err_msg=f"{name} {operands}")
                    reached.add(name)
    assert reached == set(STEPS)
