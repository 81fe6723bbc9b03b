"""grid_sample, affine_grid and fractional maxima against PyTorch, in value and gradients; functions that stand at the top level."""

import itertools
import warnings

import numpy as np
import pytest
from numeric import host

import tensorlite as tl
from tensorlite import errors, nn
from tensorlite.nn import functional as F

MODES, PADDING = ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection")
SIZES = {2: ((2, 3, 5, 4), (2, 3, 6, 2)), 3: ((2, 2, 3, 4, 5), (2, 2, 3, 2, 3)), 1: ((1, 2, 1, 3), (1, 4, 2, 2))}
GRIDS = [
    (kind, mode, padding, corners)
    for kind, mode, padding, corners in itertools.product(SIZES, MODES, PADDING, (True, False))
    if not (kind == 3 and mode == "bicubic")
]


def both(torch, call, *arrays, rtol=1e-10):
    """call(library, *tensors) in both libraries: equal values and equal gradients of a weighted sum."""
    results = []
    for t in (tl, torch):
        xs = [t.tensor(a, requires_grad=True) for a in arrays]
        y = call(t, *xs)
        weights = t.tensor(np.random.default_rng(1).standard_normal(tuple(y.shape)))
        (y * weights.to(y.dtype)).sum().backward()
        results.append([y.detach().numpy(), *[x.grad.numpy() for x in xs]])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("kind, mode, padding, corners", GRIDS)
def test_grid_sample_equals_pytorch(kind, mode, padding, corners):
    torch = pytest.importorskip("torch")
    rng, (shape, places) = np.random.default_rng(0), SIZES[kind]
    x, grid = rng.standard_normal(shape), rng.uniform(-3.5, 3.5, places)
    grid.reshape(-1)[:6] = -1, 1, 0, 1, -1, 0.5  # edges, corners, the middle
    call = lambda t, x, g: t.nn.functional.grid_sample(x, g, mode, padding, corners)  # noqa: E731
    both(torch, call, x, grid)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("padding", PADDING)
def test_second_gradients_of_grid_sample(mode, padding, device):
    rng = np.random.default_rng(2)
    x = tl.tensor(rng.standard_normal((1, 2, 3, 4)), requires_grad=True)
    grid = tl.tensor(rng.uniform(-1.4, 1.4, (1, 2, 2, 2)), requires_grad=True)
    call = lambda x, g: F.grid_sample(x, g, mode, padding, False)  # noqa: E731
    assert tl.gradcheck(call, (x, grid)) and tl.gradgradcheck(call, (x, grid))


@pytest.mark.parametrize("kind, mode, padding, corners", GRIDS)
def test_second_gradients_equal_pytorchs(kind, mode, padding, corners):
    torch = pytest.importorskip("torch")
    rng, (shape, places) = np.random.default_rng(3), SIZES[kind]
    arrays, results = (rng.standard_normal(shape), rng.uniform(-3.5, 3.5, places)), []
    for t in (tl, torch):
        x, grid = (t.tensor(a, requires_grad=True) for a in arrays)
        y = t.nn.functional.grid_sample(x, grid, mode, padding, corners)
        first = t.autograd.grad((y**3).sum(), (x, grid), create_graph=True)
        second = t.autograd.grad(sum((g * g).sum() for g in first), (x, grid))
        results.append([g.detach().numpy() for g in (*first, *second)])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)


def test_places_that_are_no_numbers(device):
    grid = tl.tensor([[[[float("nan"), 0.0], [float("inf"), 0.0], [1e30, -1e30]]]])
    for mode, padding in itertools.product(MODES, PADDING):
        assert F.grid_sample(tl.ones(1, 1, 2, 2), grid, mode, padding, False).shape == (1, 1, 1, 3)


@pytest.mark.parametrize("corners", [True, False])
@pytest.mark.parametrize("size", [(2, 3, 4, 5), (2, 1, 2, 3, 4)])
def test_affine_grid_equals_pytorch(size, corners):
    torch = pytest.importorskip("torch")
    rank = len(size) - 2
    theta = np.random.default_rng(0).standard_normal((2, rank, rank + 1))
    both(torch, lambda t, x: t.nn.functional.affine_grid(x, size, align_corners=corners), theta)


def test_words_about_grids():
    x, grid = tl.ones(1, 1, 2, 2), tl.zeros(1, 1, 1, 2)
    for call, kind, text in (
        (lambda: F.grid_sample(x, grid, "linear"), errors.ArgumentError, "mode must be one of 'bilinear'"),
        (
            lambda: F.grid_sample(x, grid, padding_mode="wrap"),
            errors.ArgumentError,
            "padding_mode must be one of 'zeros'",
        ),
        (lambda: F.grid_sample(x, grid.double(), align_corners=False), errors.DTypeError, "must have the same dtype"),
        (lambda: F.grid_sample(x, grid[..., :1], align_corners=False), errors.ShapeError, "end with size 2"),
        (lambda: F.grid_sample(x[0], grid, align_corners=False), errors.ShapeError, "needs a grid"),
        (lambda: F.affine_grid(tl.ones(1, 2, 2), (1, 1, 2, 2), False), errors.ShapeError, r"theta must be \(1, 2, 3\)"),
        (lambda: F.affine_grid(tl.ones(1, 2, 3).long(), (1, 1, 2, 2), False), ValueError, "floating-point"),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pytest.raises(kind, match=text):
                call()
    with pytest.warns(UserWarning, match="align_corners=False is the default"):
        F.grid_sample(x, grid)


FRACTIONAL = {
    "2d": (2, (2, 3, 9, 8), 2, {"output_size": (4, 5)}),
    "2d of one": (2, (3, 9, 8), (3, 2), {"output_ratio": (0.5, 0.6)}),
    "2d, one window": (2, (1, 2, 5, 5), 3, {"output_size": 1}),
    "3d": (3, (2, 2, 7, 6, 8), (2, 3, 2), {"output_size": (3, 2, 4)}),
    "3d of one": (3, (2, 7, 6, 8), 2, {"output_ratio": 0.5}),
}


@pytest.mark.parametrize("name", FRACTIONAL)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_fractional_max_pool_equals_pytorch(name, dtype):
    torch = pytest.importorskip("torch")
    rank, shape, kernel, sizes = FRACTIONAL[name]
    rng, results = np.random.default_rng(0), []
    x = rng.permutation(np.prod(shape)).reshape(shape).astype(dtype)
    draws = rng.random((*([1] * (rank + 2 - len(shape))), *shape[: len(shape) - rank], rank)).astype(dtype)
    for t in (tl, torch):
        layer = getattr(t.nn, f"FractionalMaxPool{rank}d")(
            kernel, return_indices=True, _random_samples=t.tensor(draws), **sizes
        )
        given = t.tensor(x, requires_grad=True)
        y, index = layer(given)
        (y * y).sum().backward()
        results.append([v.detach().numpy() for v in (y, index, given.grad)])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_fractional_max_pool_alone(device):
    x = tl.arange(36.0).reshape(1, 1, 6, 6).requires_grad_()
    y = F.fractional_max_pool2d(x, 2, output_size=3)
    y.sum().backward()
    assert y.shape == (1, 1, 3, 3) and y[0, 0, -1, -1] == 35 and x.grad.sum() == 9
    values, index = F.fractional_max_pool2d_with_indices(x, 2, output_ratio=0.5)
    assert (x.flatten()[index.flatten()] == values.flatten()).all()
    for call, text in (
        (lambda: F.fractional_max_pool2d(x, 2), "none was given"),
        (lambda: nn.FractionalMaxPool3d(2, 3, 0.5), "both was given"),
        (lambda: nn.FractionalMaxPool2d(2, output_ratio=1.5), "between 0 and 1"),
        (lambda: F.fractional_max_pool2d(x, 3, 5), "do not fit"),
        (lambda: F.fractional_max_pool2d(x, 2, 3, _random_samples=tl.ones(1, 1, 3)), "_random_samples must be"),
    ):
        with pytest.raises(ValueError, match=text):
            call()


NAMES = ["dropout", "alpha_dropout", "feature_dropout", "feature_alpha_dropout"]


@pytest.mark.parametrize("name", NAMES)
def test_dropouts_at_the_top_level(name, device):
    x = tl.ones(8, 50, 3)
    call, in_place = getattr(tl, name), getattr(tl, name + "_")
    assert call(x, 0.5, False) is x and in_place(x, 0.5, False) is x
    y = call(x, 0.5, True)
    kept = host((y == y.max()).double().mean())
    assert 0.3 < kept < 0.7 and (x == 1).all()
    if name.startswith("feature"):
        assert (y == y[..., :1]).all()
    before = x.clone()
    assert in_place(x, 0.5, True) is x and not (x == before).all()


def test_other_names():
    x, grid = tl.arange(4.0).reshape(1, 1, 2, 2), tl.zeros(1, 1, 1, 2)
    assert tl.grid_sampler(x, grid, 0, 0, False).item() == 1.5
    assert tl.affine_grid_generator(tl.ones(1, 2, 3), (1, 1, 1, 1), False).tolist() == [[[[1.0, 1.0]]]]
    p = nn.Parameter(tl.ones(4))
    p.grad = tl.ones(4)
    with pytest.warns(FutureWarning, match="use clip_grad_norm_"):
        assert nn.utils.clip_grad_norm([p], 1.0) == 2
    values, index = F.adaptive_max_pool2d_with_indices(x, 1)
    assert values.item() == 3 and index.item() == 3


ANTIALIASED = [
    (size, more) for size in ((3, 4), (9, 13), (20, 5), (7, 11), (1, 1)) for more in ({}, {"align_corners": True})
] + [(None, {"scale_factor": s}) for s in (0.4, 0.77, 1.3, (0.3, 2.0))]


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size, more", ANTIALIASED)
def test_antialias_equals_pytorch(mode, size, more):
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).standard_normal((2, 2, 9, 13))
    call = lambda t, x: t.nn.functional.interpolate(x, size, mode=mode, antialias=True, **more)  # noqa: E731
    both(torch, call, x)
    both(torch, call, x.astype(np.float32), rtol=2e-5)


def test_antialias_of_other_modes():
    with pytest.raises(ValueError, match="antialias is for 'bilinear' and 'bicubic', not 'nearest'"):
        F.interpolate(tl.ones(1, 1, 4, 4), 2, antialias=True)
