"""Random programs of up to 30 operations on shared values: value, gradient and second gradient against PyTorch's.

Without PyTorch the gradients are checked against finite differences along a random direction.
"""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from numeric import along, host

import tensorlite as tl

try:
    import torch
except ImportError:
    torch = None

SHAPES = ((), (3,), (1,), (2, 3), (2, 1), (3, 3), (2, 2, 3))


def tame(t, x):
    """Keep numbers small, so that programs of any length stay away from overflow."""
    return t.tanh(x) * 2


# name -> function(t, x, y): t is tensorlite or torch; away from poles, and slopes stay finite
ONE = {
    "exp": lambda t, x: t.exp(x * 0.5),
    "log": lambda t, x: t.log(x * x + 1),
    "sqrt": lambda t, x: t.sqrt(x * x + 0.5),
    "tanh": lambda t, x: t.tanh(x),
    "sin": lambda t, x: t.sin(x),
    "sigmoid": lambda t, x: t.sigmoid(x),
    "relu": lambda t, x: t.relu(x),
    "abs": lambda t, x: t.abs(x),
    "pow": lambda t, x: (x * x + 0.5) ** 1.5,
    "cube": lambda t, x: x**3 * 0.2,
    "neg": lambda t, x: 1 - x,
    "divided": lambda t, x: 2 / (x * x + 1),
    "clamp": lambda t, x: t.clamp(x, -1.1, 0.9),
    "softmax": lambda t, x: t.softmax(x, 0 if x.ndim == 0 else -1),
    "logsumexp": lambda t, x: t.logsumexp(x, 0) if x.ndim else x * 1,
    "sum": lambda t, x: x.sum(0, keepdim=True) if x.ndim else x * 1,
    "mean": lambda t, x: x.mean(-1) if x.ndim else x.mean(),
    "amax": lambda t, x: x.amax(-1) if x.ndim else x * 1,
    "max": lambda t, x: x.max(0).values if x.ndim else x * 1,
    "var": lambda t, x: x.var(0, correction=0) if x.ndim else x * 1,
    "transpose": lambda t, x: x.transpose(0, -1) if x.ndim else x * 1,
    "flat": lambda t, x: x.reshape(-1),
    "unsqueeze": lambda t, x: x.unsqueeze(-1) if x.ndim < 3 else x.squeeze(),
    "first": lambda t, x: x[0] if x.ndim else x * 1,
    "turned": lambda t, x: x.flip(0) if x.ndim else x * 1,
    "picked": lambda t, x: x[[0, -1, 0]] if x.ndim else x * 1,
    "masked": lambda t, x: t.where(x > 0.3, x * 2, x - 1),
    "tril": lambda t, x: t.tril(x) if x.ndim > 1 else x * 1,
    "expanded": lambda t, x: x.expand(2, *x.shape) if x.ndim < 3 else x * 1,
    "cut": lambda t, x: t.cat(x.chunk(2, -1)[::-1], -1) if x.ndim else x * 1,
    "stacked": lambda t, x: t.stack([x, x * 2], -1).sum(-1),
    "halves": lambda t, x: x.detach() * 0.5 + x,
    "in place": lambda t, x: (x * 1).mul_(0.7).add_(1),
    "assigned": lambda t, x: _assigned(x * 1),
}
if torch is None:
    del ONE["halves"]  # finite differences move the detached value too

TWO = {
    "add": lambda t, x, y: x + y,
    "sub": lambda t, x, y: t.sub(x, y, alpha=2),
    "mul": lambda t, x, y: x * y,
    "div": lambda t, x, y: x / (y * y + 1),
    "maximum": lambda t, x, y: t.maximum(x, y),
    "minimum": lambda t, x, y: t.minimum(x, y + 0.1),
    "where": lambda t, x, y: t.where(x > y, x, y * y),
    "pow": lambda t, x, y: (x * x + 0.5) ** t.tanh(y),
    "matmul": lambda t, x, y: x @ y,
}


def _assigned(x):
    if x.ndim:
        x[0] = x[-1] * 3
    return x


def run(t, leaves, program):
    """The sum of all values that the program makes: each step adds one to the pool, or none where the shapes do not fit."""
    pool = list(leaves)
    for name, i, j in program:
        x, y = pool[i % len(pool)], pool[j % len(pool)]
        try:
            made = ONE[name[4:]](t, x) if name.startswith("one ") else TWO[name[4:]](t, x, y)
        except (RuntimeError, ValueError, IndexError):
            if not _fits(name, x, y):
                continue
            raise
        assert name.startswith("one ") or _fits(name, x, y)
        pool.append(tame(t, made))
    return sum(v.sum() * (1 + 0.1 * k) for k, v in enumerate(pool))


def _fits(name, x, y):
    """Whether two operands go together, by NumPy's rules."""
    if name.startswith("one "):
        return True
    a, b = np.empty(tuple(x.shape)), np.empty(tuple(y.shape))
    try:
        a @ b if name == "two matmul" else a + b
    except ValueError:
        return False
    return True


NAMES = [*(f"one {n}" for n in ONE), *(f"two {n}" for n in TWO)]
PROGRAMS = st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=30)


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(program=PROGRAMS, shapes=st.lists(st.sampled_from(SHAPES), min_size=2, max_size=3), seed=st.integers(0, 99))
def test_random_programs(program, shapes, seed):
    rng = np.random.default_rng(seed)
    arrays = [np.asarray(rng.uniform(-1.5, 1.5, s)) for s in shapes]
    vs = [rng.uniform(-1, 1, a.shape) for a in arrays]
    mine = [tl.tensor(a, requires_grad=True) for a in arrays]
    f = run(tl, mine, program)
    gs = tl.autograd.grad(f, mine, create_graph=True, materialize_grads=True)
    slope = sum((g * tl.tensor(v)).sum() for g, v in zip(gs, vs, strict=True))
    second = tl.autograd.grad(slope, mine, materialize_grads=True) if slope.requires_grad else None
    if torch is None:
        want = along(lambda xs: float(host(run(tl, [tl.tensor(x) for x in xs], program))), arrays, vs, h=1e-5)
        assert float(host(slope)) == pytest.approx(want, rel=1e-4, abs=1e-4)
        return
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    t = run(torch, theirs, program)
    np.testing.assert_allclose(host(f), t.detach().numpy(), rtol=1e-9)
    ts = torch.autograd.grad(t, theirs, create_graph=True, materialize_grads=True)
    for a, b in zip(gs, ts, strict=True):
        np.testing.assert_allclose(host(a), b.detach().numpy(), rtol=1e-7, atol=1e-8)
    total = sum((g * torch.tensor(v)).sum() for g, v in zip(ts, vs, strict=True))
    if second is not None and total.requires_grad:
        for a, b in zip(second, torch.autograd.grad(total, theirs, materialize_grads=True), strict=True):
            np.testing.assert_allclose(host(a), b.numpy(), rtol=1e-6, atol=1e-6)
