"""no_grad, enable_grad, set_grad_enabled, inference_mode: contexts, decorators and calls, nested, in threads and generators."""

import threading

import pytest

import tensorlite as tl
from tensorlite import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)


@pytest.fixture(autouse=True)
def switched_back():
    """Whatever a test does, recording is on before and after it."""
    assert is_grad_enabled() and not is_inference_mode_enabled()
    yield
    assert is_grad_enabled() and not is_inference_mode_enabled()


def records():
    """Whether an operation is recorded now."""
    on = (tl.ones(1, requires_grad=True) * 2).requires_grad
    assert on == is_grad_enabled()
    return on


SWITCHES = {"no_grad": (no_grad, False), "enable_grad": (enable_grad, True), "inference_mode": (inference_mode, False)}


@pytest.mark.parametrize("name", SWITCHES)
def test_as_context_and_decorator(name):
    switch, on = SWITCHES[name]
    with set_grad_enabled(not on):
        with switch():
            assert is_grad_enabled() == on
        assert is_grad_enabled() != on

        @switch()
        def called(a, *, b):
            """Doc."""
            assert is_grad_enabled() == on
            return a + b

        @switch
        def plain(a, *, b):
            """Doc."""
            assert is_grad_enabled() == on
            return a + b

        for f in (called, plain):
            assert f(1, b=2) == 3 and f.__doc__ == "Doc." and f.__name__ in ("called", "plain")
            assert is_grad_enabled() != on


def test_operations_are_not_recorded_inside(device):
    x = tl.ones(2, requires_grad=True)
    with no_grad():
        y = x * 2
        z = (y + x).sum()
        w = tl.ones(2, requires_grad=True)
    assert not y.requires_grad and not z.requires_grad and y.is_leaf and w.requires_grad and x.requires_grad
    with no_grad():
        x.mul_(3)  # a leaf may be changed here
    (x * y).sum().backward()
    assert x.grad.tolist() == [2, 2] and x.tolist() == [3, 3]


def test_nested():
    with no_grad():
        with enable_grad():
            assert records()
            with no_grad():
                assert not records()
            assert records()
        assert not records()
    again = no_grad()
    with again:
        with again:  # the same object inside of itself
            assert not records()
        assert not records()
    assert records()
    with again:
        assert not records()


def test_exceptions_switch_back():
    @no_grad()
    def fails():
        raise ZeroDivisionError

    for context in (no_grad, inference_mode, lambda: set_grad_enabled(False)):
        with pytest.raises(ZeroDivisionError), context():
            raise ZeroDivisionError
        assert is_grad_enabled()
    with pytest.raises(ZeroDivisionError):
        fails()


def test_set_grad_enabled_as_a_call_a_context_and_a_decorator():
    set_grad_enabled(False)
    assert not records()
    set_grad_enabled(True)
    assert records()
    with set_grad_enabled(False):
        assert not records()
        with set_grad_enabled(mode=True):
            assert records()
        assert not records()
    assert records()

    @set_grad_enabled(False)
    def off():
        return records()

    assert records()  # the decorator's call has switched nothing
    assert off() is False and records()
    with no_grad():
        assert set_grad_enabled(True)(records)() and not is_grad_enabled()
    assert tl.autograd.set_grad_enabled is set_grad_enabled and tl.autograd.no_grad is no_grad


def test_recursive_decorated_functions():
    @no_grad()
    def down(n):
        assert not is_grad_enabled()
        return n if n == 0 else down(n - 1) + enable_grad()(lambda: int(is_grad_enabled()))()

    assert down(5) == 5


# ---------------------------------------------------------------- inference mode
def test_inference_mode():
    x = tl.ones(2, requires_grad=True)
    with inference_mode():
        assert is_inference_mode_enabled() and not is_grad_enabled()
        y = x * 2
        assert not y.requires_grad
        with enable_grad():  # as in PyTorch, this does not bring recording back
            assert is_inference_mode_enabled() and not (x * 2).requires_grad
        with set_grad_enabled(True):
            assert not (x * 2).requires_grad
        with inference_mode(False):
            assert not is_inference_mode_enabled() and (x * 2).requires_grad
        assert is_inference_mode_enabled()
        with no_grad():
            assert is_inference_mode_enabled()
    with inference_mode(mode=False):
        assert records()
    with no_grad(), inference_mode(False):
        assert records()


def test_values_from_inference_mode_can_be_used_after_it():
    w = tl.ones(2, requires_grad=True)
    with inference_mode():
        y = w * 3
    (w * y).sum().backward()
    assert w.grad.tolist() == [3, 3]


# ---------------------------------------------------------------- threads
def test_each_thread_has_its_own_mode():
    found, gate = {}, threading.Barrier(3)

    def work(name, context):
        gate.wait()
        found[name, "before"] = is_grad_enabled()
        with context:
            gate.wait()  # all are inside of their contexts now
            found[name] = records(), is_inference_mode_enabled()
            gate.wait()
        found[name, "after"] = is_grad_enabled()

    with no_grad():
        threads = [threading.Thread(target=work, args=a) for a in
                   [("no", no_grad()), ("yes", enable_grad()), ("inference", inference_mode())]]  # fmt: skip
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert not is_grad_enabled()
    assert found["no"] == (False, False) and found["yes"] == (True, False) and found["inference"] == (False, True)
    assert all(found[name, when] for name in ("no", "yes", "inference") for when in ("before", "after"))


def test_threads_differentiate_side_by_side():
    """Graphs of their own, and one graph's parameters shared: no walk disturbs another."""
    w = tl.ones(50, dtype=tl.float64)
    errors, results = [], {}

    def work(n):
        try:
            x = (w * n).requires_grad_()
            for _ in range(20):
                y = x
                for _ in range(30):
                    y = (y * 0.9).tanh() + x
                (g,) = tl.autograd.grad(y.sum(), x)
            results[n] = g.numpy().copy()
        except Exception as e:
            errors.append(e)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors
    together = dict(results)
    for n in range(4):
        work(n)
        assert (together[n] == results[n]).all()


# ---------------------------------------------------------------- generators
def test_decorated_generators_switch_while_they_run_only():
    @no_grad()
    def count(n):
        """Doc."""
        for i in range(n):
            assert not is_grad_enabled()
            got = yield i
            assert not is_grad_enabled()
            if got:
                yield got
        return "end"

    generator = count(3)
    assert count.__doc__ == "Doc." and is_grad_enabled()
    assert next(generator) == 0 and is_grad_enabled()
    assert generator.send("a message") == "a message" and is_grad_enabled()
    with no_grad():
        assert next(generator) == 1
    assert is_grad_enabled() and list(generator) == [2]

    def outer():
        result = yield from count(2)
        yield result, is_grad_enabled()

    assert list(outer()) == [0, 1, ("end", True)]


@pytest.mark.parametrize(
    "decorate",
    [no_grad, no_grad(), inference_mode(), set_grad_enabled],
    ids=["class", "object", "inference_mode", "set_grad_enabled"],
)
def test_generators_that_catch_and_close(decorate):
    decorate = decorate(False) if decorate is set_grad_enabled else decorate
    log = []

    @decorate
    def careful():
        try:
            yield 1
        except KeyError as e:
            log.append(("caught", str(e), is_grad_enabled()))
        try:
            yield 2
        finally:
            log.append(("closed", is_grad_enabled()))

    generator = careful()
    assert next(generator) == 1
    assert generator.throw(KeyError("k")) == 2
    generator.close()
    assert log == [("caught", "'k'", False), ("closed", False)] and is_grad_enabled()

    @decorate
    def fails():
        yield 1
        raise ZeroDivisionError

    generator = fails()
    next(generator)
    with pytest.raises(ZeroDivisionError):
        next(generator)
    with pytest.raises(ZeroDivisionError):
        next(f := fails()) and f.throw(ZeroDivisionError)
    assert is_grad_enabled()
