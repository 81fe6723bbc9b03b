"""The kernels compiled by numba (extra `fast`): equal to the plain ones in float64 up to float32's rounding, also where it is odd."""

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest

from tensorlite.backend.base import Backend
from tensorlite.backend.fast import FastBackend, kernels, served

pytestmark = pytest.mark.skipif(importlib.util.find_spec("numba") is None, reason="numba is not installed")
PLAIN, FAST = Backend(), FastBackend()
RNG = np.random.default_rng(0)


def floats(*shape, scale=1.0):
    return (RNG.standard_normal(shape) * scale).astype(np.float32)


def alike(method, *args, close=2e-6, **kw):
    """method(*args) of both, the plain one in float64; `served` tells that the compiled loop ran."""
    wide = [a.astype(np.float64) if isinstance(a, np.ndarray) and a.dtype == np.float32 else a for a in args]
    found, want = getattr(FAST, method)(*args, **kw), getattr(PLAIN, method)(*wide, **kw)
    for a, b in zip(*[v if isinstance(v, tuple) else (v,) for v in (found, want)], strict=True):
        if a is not None and b is not None:
            assert a.dtype == np.float32
            size = max(1.0, float(np.abs(b[np.isfinite(b)]).max(initial=0)))
            np.testing.assert_allclose(a, b, rtol=0, atol=close * size)


@pytest.mark.filterwarnings("ignore")
def test_gelu():
    x = floats(300, 200, scale=3)
    x[0, :8] = [0, -0.0, np.inf, -100, 100, 1e-30, -1e-30, 6.5]
    assert served(x)
    alike("gelu", x, "none", False)
    _, slope = FAST.gelu(x, "none", True)
    finite = np.isfinite(x)
    want = PLAIN.gelu_backward(np.ones(x.shape), x.astype("f8"), None, "none")
    np.testing.assert_allclose(slope[finite], want[finite], atol=2e-6)
    alike("gelu_backward", floats(300, 200), np.where(finite, x, 0).astype("f4"), None, "none")


def test_exp_keeps_its_precision_and_its_odd_values():
    import numba

    loop = kernels().exp

    @numba.njit
    def over(x, y):
        for i in range(x.size):
            y[i] = loop(x[i])

    x = np.linspace(-86, 80, 200_001, dtype=np.float32)
    y = np.empty_like(x)
    over(x, y)
    assert np.abs(y / np.exp(x.astype("f8")) - 1).max() < 1.5e-7
    x = np.array([-np.inf, np.nan, -200, 0, -0.0], np.float32)
    y = np.empty_like(x)
    over(x, y)
    np.testing.assert_array_equal(y, np.array([0, np.nan, 0, 1, 1], np.float32))


def test_softmax():
    x = floats(400, 77, scale=20)
    x[0], x[1, :5], x[2] = 1e4, -np.inf, -1e30
    alike("softmax", x, -1)
    y = PLAIN.softmax(x.astype("f8"), -1).astype("f4")
    alike("softmax_backward", floats(400, 77), y, 1)


@pytest.mark.parametrize("weight", [False, True])
def test_layer_norm(weight):
    x, g, w, b = floats(1100, 50) + 3, floats(1100, 50), floats(50), floats(50)
    w, b = (w, b) if weight else (None, None)
    alike("layer_norm", x, w, b, 1e-5, close=5e-6)
    _, mean, rstd = PLAIN.layer_norm(x.astype("f8"), None, None, 1e-5)
    mean, rstd = mean.astype("f4"), rstd.astype("f4")
    alike("layer_norm_backward", g, x, w, mean, rstd, (True, weight, weight), close=5e-6)


def test_cross_entropy():
    x, picks, g = floats(300, 500, scale=5), RNG.integers(0, 500, 300), floats(300)
    alike("cross_entropy", x, picks, None, 0.0)
    _, lse = PLAIN.cross_entropy(x.astype("f8"), picks, None, 0.0)
    alike("cross_entropy_backward", g, x, picks, None, 0.0, lse.astype("f4"))


def test_embedding_backward():
    alike("embedding_backward", floats(40, 30, 20), RNG.integers(0, 9, (40, 30)), 9)


@pytest.mark.parametrize("maximize", [False, True])
def test_adamw(maximize):
    p, g, m = floats(200, 100), floats(200, 100), floats(200, 100, scale=0.1)
    v = floats(200, 100) ** 2
    wide = [a.astype("f8") for a in (p, g, m, v)]
    options = {
        "lr": 1e-2,
        "beta1": 0.9,
        "beta2": 0.99,
        "eps": 1e-8,
        "weight_decay": 0.1,
        "step": 3,
        "maximize": maximize,
    }
    FAST.adamw_step(p, g, m, v, **options)
    PLAIN.adamw_step(*wide, **options)
    for a, b in zip((p, m, v), (wide[0], wide[2], wide[3]), strict=True):
        np.testing.assert_allclose(a, b, atol=5e-6)


@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("dampening", [0, 0.3])
def test_sgd(maximize, dampening):
    p, g, v = floats(200, 100), floats(200, 100), floats(200, 100, scale=0.1)
    wide = [a.astype("f8") for a in (p, g, v)]
    options = {"lr": 1e-2, "momentum": 0.9, "dampening": dampening, "weight_decay": 0, "maximize": maximize}
    FAST.sgd_step(p, g, v, **options)
    PLAIN.sgd_step(*wide, **options)
    for a, b in zip((p, v), (wide[0], wide[2]), strict=True):
        np.testing.assert_allclose(a, b, atol=5e-6)


def test_small_odd_and_double_arrays_go_the_usual_way():
    assert not served(floats(3)) and not served(floats(300, 200).astype("f8")) and not served(floats(300, 200).T)
    for x in (floats(3, 4), floats(300, 200).T, floats(300, 200).astype("f8")):
        np.testing.assert_allclose(FAST.softmax(x, -1), PLAIN.softmax(x.astype("f8"), -1), atol=1e-6)


@pytest.mark.parametrize(("switch", "kind"), [("1", "FastBackend"), ("0", "CpuBackend")])
def test_it_can_be_switched_off_and_numba_is_not_loaded_before_it_is_needed(switch, kind):
    code = "import sys, tensorlite as tl; print(type(tl.ones(2).softmax(0).device.backend).__name__, 'numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "TENSORLITE_FAST": switch},
                          capture_output=True, text=True, timeout=100)  # fmt: skip
    assert done.stdout.split() == [kind, "False"], done.stderr
