"""Random chains of shape operations on random shapes, beside PyTorch: values, two gradients, shared memory, changes in place."""

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from numeric import host

import tensorlite as tl
from tensorlite import errors

torch = pytest.importorskip("torch")
many = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))

MOST = 400  # elements


# ---------------------------------------------------------------- one step: its words, and a function of library and tensor
def _dim(draw, shape):
    return draw(st.integers(-len(shape), len(shape) - 1))


def _permute(draw, shape):
    order = draw(st.permutations(range(len(shape))))
    return f"permute{order}", lambda t, x: x.permute(tuple(order))


def _transpose(draw, shape):
    a, b = _dim(draw, shape), _dim(draw, shape)
    return f"transpose {a} {b}", lambda t, x: x.transpose(a, b)


def _movedim(draw, shape):
    a, b = _dim(draw, shape), _dim(draw, shape)
    return f"movedim {a} {b}", lambda t, x: t.movedim(x, a, b)


def _reshape(draw, shape):
    n = math.prod(shape)
    if not n:
        return "flatten", lambda t, x: x.flatten()
    first = draw(st.sampled_from([k for k in range(1, n + 1) if n % k == 0]))
    second = draw(st.sampled_from([k for k in range(1, n // first + 1) if n // first % k == 0]))
    sizes = (first, second, n // first // second)
    return f"reshape{sizes}", lambda t, x: x.reshape(sizes)


def _flatten(draw, shape):
    a = draw(st.integers(0, len(shape) - 1))
    b = draw(st.integers(a, len(shape) - 1))
    return f"flatten {a} {b}", lambda t, x: x.flatten(a, b)


def _unsqueeze(draw, shape):
    d = draw(st.integers(-len(shape) - 1, len(shape)))
    return f"unsqueeze {d}", lambda t, x: x.unsqueeze(d)


def _squeeze(draw, shape):
    d = draw(st.none() | st.integers(-len(shape), len(shape) - 1)) if shape else None
    return f"squeeze {d}", lambda t, x: x.squeeze() if d is None else x.squeeze(d)


def _expand(draw, shape):
    more = draw(st.integers(1, 3))
    sizes = (more, *(draw(st.integers(1, 3)) if n == 1 else n for n in shape))
    return f"expand{sizes}", lambda t, x: x.expand(sizes)


def _narrow(draw, shape):
    d = _dim(draw, shape)
    start = draw(st.integers(0, shape[d]))
    length = draw(st.integers(0, shape[d] - start))
    return f"narrow {d} {start} {length}", lambda t, x: x.narrow(d, start, length)


def _slice(draw, shape):
    d = draw(st.integers(0, len(shape) - 1))
    part = slice(draw(st.integers(-3, 3)), None, draw(st.integers(1, 3)))
    return f"[{part}] in {d}", lambda t, x: x[(slice(None),) * d + (part,)]


def _select(draw, shape):
    d = _dim(draw, shape)
    if not shape[d]:
        return "unbind all", lambda t, x: x.flatten()
    i = draw(st.integers(-shape[d], shape[d] - 1))
    return f"select {d} {i}", lambda t, x: x.select(d, i)


def _diagonal(draw, shape):
    if len(shape) < 2:
        return _unsqueeze(draw, shape)
    a, b = draw(st.permutations(range(len(shape))))[:2]
    k = draw(st.integers(-3, 3))
    return f"diagonal {k} {a} {b}", lambda t, x: x.diagonal(k, a, b)


def _unfold(draw, shape):
    d = _dim(draw, shape)
    size, step = draw(st.integers(0, shape[d])), draw(st.integers(1, 3))
    return f"unfold {d} {size} {step}", lambda t, x: x.unfold(d, size, step)


def _piece(draw, shape):
    d, k = _dim(draw, shape), draw(st.integers(1, 4))
    name = draw(st.sampled_from(["split", "chunk", "tensor_split"]))
    return f"{name} {k} in {d}, the last", lambda t, x: getattr(x, name)(k, d)[-1]


def _turn(draw, shape):
    d, k = _dim(draw, shape), draw(st.integers(-3, 3))
    return f"roll {k} in {d}, flip", lambda t, x: t.roll(x, k, d).flip(d)


def _rot90(draw, shape):
    if len(shape) < 2:
        return _turn(draw, shape)
    a, b = draw(st.permutations(range(len(shape))))[:2]
    k = draw(st.integers(-1, 4))
    return f"rot90 {k} {a} {b}", lambda t, x: t.rot90(x, k, (a, b))


def _repeat(draw, shape):
    d, k = _dim(draw, shape), draw(st.integers(0, 3))
    counts = tuple(draw(st.integers(1, 2)) for _ in range(draw(st.integers(1, 3))))
    return f"repeat_interleave {k} in {d}, tile{counts}", lambda t, x: t.tile(x.repeat_interleave(k, d), counts)


def _join(draw, shape):
    d, name = _dim(draw, shape), draw(st.sampled_from(["cat", "stack"]))
    return f"{name} in {d}", lambda t, x: getattr(t, name)((x, x * 2), d)


def _triangle(draw, shape):
    k, name = draw(st.integers(-2, 2)), draw(st.sampled_from(["tril", "triu", "diag_embed"]))
    if len(shape) < 2 or name == "diag_embed":
        return f"diag_embed {k}", lambda t, x: t.diag_embed(x, k)
    return f"{name} {k}", lambda t, x: getattr(x, name)(k)


def _pad(draw, shape):
    pad = tuple(draw(st.integers(-min(1, shape[-1] // 2), 2)) for _ in range(2))
    return f"pad{pad}", lambda t, x: t.nn.functional.pad(x, pad, value=0.5)


VIEWS = (_permute, _transpose, _movedim, _reshape, _flatten, _unsqueeze, _squeeze, _expand, _narrow, _slice, _select,
         _diagonal, _unfold, _piece)  # fmt: skip
COPIES = (_turn, _rot90, _repeat, _join, _triangle, _pad)


@st.composite
def chains(draw, steps=(*VIEWS, *COPIES), longest=6):
    """A shape, and a chain of steps that fit one after the other: their words, and one function for all."""
    shape = tuple(draw(st.lists(st.integers(1, 5), min_size=1, max_size=4)))
    words, functions, at = [], [], torch.zeros(shape)
    for _ in range(draw(st.integers(1, longest))):
        makers = steps if at.ndim else (_unsqueeze,)
        word, f = draw(st.sampled_from(makers))(draw, tuple(at.shape))
        after = f(torch, at)
        if after.numel() > MOST or after.ndim > 6:
            continue
        words.append(word)
        functions.append(f)
        at = after

    def run(t, x):
        for f in functions:
            x = f(t, x)
        return x

    return shape, " -> ".join(words), run


def _weights(shape, seed):
    return np.random.default_rng(seed).uniform(-1, 1, shape)


def _two_gradients(t, grad, run, a):
    """The result, the gradient of sum(w sin(result)) + sum(x^3), and the gradient of that gradient times v."""
    x = t.tensor(a, requires_grad=True)
    y = run(t, x)
    loss = (y.sin() * t.tensor(_weights(tuple(y.shape), 1))).sum() + (x * x * x).sum()
    (g,) = grad(loss, x, create_graph=True)
    (h,) = grad((g * t.tensor(_weights(a.shape, 2))).sum(), x)
    return y, g, h


@many
@given(chains())
def test_values_and_gradients(chain):
    shape, words, run = chain
    a = _weights(shape, 0)
    got, want = (_two_gradients(t, t.autograd.grad, run, a) for t in (tl, torch))
    for x, y in zip(got, want, strict=True):
        assert x.shape == tuple(y.shape), words
        np.testing.assert_allclose(host(x), y.detach().numpy(), rtol=1e-10, atol=1e-12, err_msg=words)


def _overlaps(y):
    """Whether elements of a PyTorch tensor share memory."""
    places = np.zeros(tuple(y.shape), int)
    for d, (n, s) in enumerate(zip(y.shape, y.stride(), strict=True)):
        places = places + (np.arange(n) * s).reshape((n,) + (1,) * (y.ndim - d - 1))
    return len(np.unique(places)) < places.size


@many
@given(chains(longest=4))
def test_memory_is_shared_as_in_pytorch(chain):
    shape, words, run = chain
    x, other = tl.arange(math.prod(shape)).reshape(shape), torch.arange(math.prod(shape)).reshape(shape)
    y, z = run(tl, x), run(torch, other)
    if _overlaps(z):
        with pytest.raises(errors.InplaceError, match=r"clone\(\) it first"):
            y.fill_(100)
        return
    y.fill_(100)
    z.fill_(100)
    assert x.tolist() == other.tolist(), words
    x.fill_(7)
    other.fill_(7)
    assert y.tolist() == z.tolist(), words


@many
@given(chains(steps=VIEWS, longest=4), st.booleans())
def test_changes_through_views_have_pytorchs_gradients(chain, of_the_base):
    """b is changed through a chain of views, or the view through b; the gradient passes both."""
    shape, words, run = chain
    a, found = _weights(shape, 0), []
    for t in (tl, torch):
        x = t.tensor(a, requires_grad=True)
        b = x * 1.5
        y = run(t, b)
        if _overlaps(run(torch, torch.zeros(shape))):
            return
        factor = t.tensor(_weights(tuple(y.shape), 1), requires_grad=True)
        try:
            if of_the_base:
                b.mul_(2.0)
            y.mul_(factor)
        except RuntimeError as e:
            assert t is torch and "view" in str(e), words  # PyTorch refuses what split and its kin gave
            return
        loss = (b.sin() * t.tensor(_weights(shape, 2))).sum() + (y * y).sum()
        found.append((b, y, *t.autograd.grad(loss, (x, factor))))
    for got, want in zip(*found, strict=True):
        np.testing.assert_allclose(host(got), want.detach().numpy(), rtol=1e-10, atol=1e-12, err_msg=words)
