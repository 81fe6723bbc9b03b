"""Random index expressions, for reading and for assignment: value and gradients as NumPy's definition, and as PyTorch's."""

import numpy as np
from hypothesis import HealthCheck, given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from numeric import host
from test_indexing import convert, places

import tensorlite as tl

try:
    import torch
except ModuleNotFoundError:
    torch = None

quick = settings(
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)


@st.composite
def mixed(draw, shape=None, backwards=True):
    """A shape (unless given) and a key that mixes slices, ints, None, an Ellipsis, integer arrays that broadcast, and boolean vectors."""
    shape = shape or draw(hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=4))
    common = draw(hnp.array_shapes(min_dims=1, max_dims=2, min_side=1, max_side=3))
    used, parts = draw(st.integers(0, len(shape))), []
    tail = draw(st.booleans())  # whether the keys are for the last dimensions, behind an Ellipsis
    for n in shape[len(shape) - used :] if tail else shape[:used]:
        kind = draw(st.sampled_from(["int", "slice", "array", "array", "bool", "none"]))
        if kind == "none":
            parts.append(None)
            kind = "slice"
        if kind == "int":
            parts.append(draw(st.integers(-n, n - 1)))
        elif kind == "slice":
            step = st.sampled_from([None, 1, 2, 3, *([-1, -2] if backwards else [])])
            ends = st.none() | st.integers(-n - 1, n + 1)
            parts.append(slice(draw(ends), draw(ends), draw(step)))
        elif kind == "bool" and sum(isinstance(p, np.ndarray) for p in parts) == 0:
            parts.append(draw(hnp.arrays(bool, n)))
            common = (int(parts[-1].sum()),)
        else:
            parts.append(draw(hnp.arrays(np.int64, common, elements=st.integers(-n, n - 1))))
    if not tail and draw(st.booleans()):  # an Ellipsis anywhere
        parts.insert(draw(st.integers(0, len(parts))), ...)
        if sum(p is not None and p is not ... for p in parts) < len(shape):  # else it is for no dimension
            parts = [p for p in parts if p is not ...] + [...]
    return shape, (..., *parts) if tail else tuple(parts)


def _agree(shape, key):
    """Reading and writing against the definition: which elements, each with its share; of repeated ones the last."""
    a = np.asarray(np.arange(1.0, 1.0 + np.prod(shape)).reshape(shape))
    found = places(key, shape)
    x, mine = tl.tensor(a, requires_grad=True), convert(key, "tensor")
    y, want = x[mine], np.asarray(a.reshape(-1)[found])
    assert tuple(y.shape) == want.shape
    np.testing.assert_array_equal(host(y), want)
    w, g = np.cos(np.arange(want.size)).reshape(want.shape), np.zeros(a.size)
    np.add.at(g, found, w)
    np.testing.assert_allclose(
        host(tl.autograd.grad((y * tl.tensor(w)).sum(), x)[0]).reshape(-1), g, rtol=1e-13, atol=1e-14
    )
    z, v = x * 1.0, tl.tensor(w, requires_grad=True)
    z[mine] = v
    gx, gv = tl.autograd.grad((z * tl.tensor(np.sin(a))).sum(), (x, v), materialize_grads=True)
    new, winner = a.copy().reshape(-1), np.full(a.size, -1)
    for k, place in enumerate(np.asarray(found).reshape(-1)):
        new[place], winner[place] = w.reshape(-1)[k], k
    np.testing.assert_array_equal(host(z).reshape(-1), new)
    np.testing.assert_allclose(host(gx).reshape(-1), np.sin(a).reshape(-1) * (winner < 0), rtol=1e-13)
    last = winner[found] == np.arange(want.size).reshape(want.shape)
    np.testing.assert_allclose(host(gv), np.sin(a).reshape(-1)[found] * last, rtol=1e-13)


@quick
@given(data=st.data())
def test_random_basic_keys(data, device):
    shape = data.draw(shapes)
    _agree(shape, data.draw(hnp.basic_indices(shape, allow_newaxis=True, max_dims=6)))


@quick
@given(data=st.data())
def test_random_integer_arrays(data, device):
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4))
    _agree(shape, data.draw(hnp.integer_array_indices(shape, result_shape=hnp.array_shapes(max_dims=2, max_side=3))))


@quick
@given(data=st.data())
def test_random_masks(data, device):
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=3))
    part = data.draw(st.integers(1, len(shape)))
    _agree(shape, data.draw(hnp.arrays(bool, shape[:part])))


@quick
@given(case=mixed())
def test_random_mixtures(case, device):
    _agree(*case)


@quick
@given(data=st.data())
def test_random_programs(data, device):
    """Some reads and changes in place by random keys: value, first and second gradient are PyTorch's."""
    if torch is None:
        return
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4))
    steps, kinds = [], ("set", "set", "add", "read", "fill", "scale")
    for _ in range(data.draw(st.integers(1, 4))):
        _, key = data.draw(mixed(shape, backwards=False))
        found = places(key, shape)
        kind = data.draw(st.sampled_from(kinds))
        if kind != "read" and np.unique(found).size < found.size:
            kind = "read"  # PyTorch does not say who wins
        steps.append((kind, key, np.shape(found)))
    a = np.random.default_rng(0).uniform(0.5, 2, shape)
    results = []
    for lib in (torch, tl):
        x, v = lib.tensor(a, requires_grad=True), lib.tensor(1.5, dtype=lib.float64, requires_grad=True)
        y, total = x * 1.0, 0.0
        for kind, key, size in steps:
            key = convert(key, "tensor", lib)
            if kind == "read":
                total = total + ((y[key] * 1.0) ** 2).sum()
            elif kind == "set":
                y[key] = v * lib.tensor(np.cos(np.arange(int(np.prod(size)))).reshape(size))
            elif kind == "add":
                y[key] += v * v
            elif kind == "scale":
                y[key] *= 3.0
            else:
                y[key] = 0.25
        total = total + (y * y * v).sum()
        gs = lib.autograd.grad(total, (x, v), create_graph=True)
        hs = lib.autograd.grad(sum((g * g).sum() for g in gs), (x, v), materialize_grads=True)
        results.append([y, total, *gs, *hs])
    for theirs, mine in zip(*results, strict=True):
        np.testing.assert_allclose(host(mine), theirs.detach().numpy(), rtol=1e-10, atol=1e-12)
