"""Threads of the CPU backend: kernels give the same on one and on several, faults come through, numbers of threads are checked."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import tensorlite as tl
from tensorlite.backend import threads
from tensorlite.errors import ArgumentError

F = tl.nn.functional


@pytest.fixture
def several():
    before = tl.get_num_threads()
    tl.set_num_threads(3)
    yield
    tl.set_num_threads(before)


CASES = {  # name: (function of tensors, their shapes), all large enough to be cut into chunks
    "gelu": (F.gelu, [(600, 500)]),
    "sigmoid": (F.sigmoid, [(600, 500)]),
    "softmax": (lambda x: x.softmax(-1), [(2000, 200)]),
    "log_softmax": (lambda x: x.log_softmax(-1), [(2000, 200)]),
    "layer_norm": (lambda x, w, b: F.layer_norm(x, (200,), w, b), [(2000, 200), (200,), (200,)]),
    "rms_norm": (lambda x, w: F.rms_norm(x, (200,), w), [(2000, 200), (200,)]),
    "cross_entropy": (lambda x: F.cross_entropy(x, tl.arange(2000) % 200), [(2000, 200)]),
    "attention": (F.scaled_dot_product_attention, [(6, 4, 150, 16)] * 3),
    "causal attention": (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
        [(6, 4, 150, 16)] * 3,
    ),
    "linear": (F.linear, [(500, 300), (400, 300), (400,)]),
}


def gradients(name):
    function, shapes = CASES[name]
    tl.manual_seed(0)
    inputs = [tl.randn(*s, requires_grad=True) for s in shapes]
    out = function(*inputs)
    (out * tl.arange(out.numel()).reshape(out.shape).cos()).sum().backward()
    return [t.detach().numpy().copy() for t in (out, *[x.grad for x in inputs])]


@pytest.mark.parametrize("name", CASES)
def test_the_same_on_several_threads(name, several):
    got = gradients(name)
    again = gradients(name)
    tl.set_num_threads(1)
    for a, b, c in zip(got, again, gradients(name), strict=True):
        np.testing.assert_array_equal(a, b)  # the order of sums does not depend on which thread was quicker
        np.testing.assert_allclose(
            a, c, rtol=1e-5, atol=1e-6 * max(10, abs(c).max())
        )  # a product cut elsewhere rounds otherwise


def test_optimizers_on_several_threads(several):
    def trained(count):
        tl.set_num_threads(count)
        tl.manual_seed(0)
        p = tl.randn(700, 300, requires_grad=True)
        start = p.detach().clone()
        for kind in (tl.optim.AdamW, lambda ps: tl.optim.SGD(ps, lr=0.1, momentum=0.9)):
            optimizer = kind([p])
            p.grad = start.cos()
            optimizer.step()
        return p.detach().numpy()

    np.testing.assert_array_equal(trained(3), trained(1))


def test_each_keeps_the_order_uses_several_threads_and_passes_faults_on(several):
    assert threads.each(lambda a, b: a - b, [(i, 1) for i in range(50)]) == list(range(-1, 49))
    meet = threading.Barrier(2, timeout=20)
    threads.each(lambda i: meet.wait(), [(0,), (1,)])  # stands still for ever if one thread did both
    with pytest.raises(ZeroDivisionError):
        threads.each(lambda i: 1 / (i - 30), [(i,) for i in range(50)])
    assert threads.each(lambda i: i, [(i,) for i in range(5)]) == list(range(5))


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True, "2"])
def test_a_wrong_number_of_threads(wrong):
    with pytest.raises(ArgumentError, match="set_num_threads: a whole number of at least 1 is needed, not"):
        tl.set_num_threads(wrong)


def test_the_environment_is_heeded():
    code = "import tensorlite as tl; print(tl.get_num_threads())"
    clean = {k: v for k, v in os.environ.items() if k not in threads.VARIABLES}
    for variable in threads.VARIABLES:
        done = subprocess.run(
            [sys.executable, "-c", code], env={**clean, variable: "3"}, capture_output=True, text=True
        )
        assert done.stdout.split() == ["3"], done.stderr
