"""Programs under autocast, run by both libraries: higher derivatives, functions of a user, nesting, the switches, training."""

import threading

import numpy as np
import pytest
from numeric import host

import tensorlite as tl
from tensorlite import errors, nn
from tensorlite.amp import policy

pytest.importorskip("ml_dtypes")
LOWS = {"bfloat16": 4e-2, "float16": 6e-3}


def kind():
    return tl.ones(1).device.type


def short(dtype):
    return str(dtype).rpartition(".")[2]


def leaf(lib, seed, *shape):
    values = np.random.default_rng(seed).normal(size=shape).astype("float32")
    return lib.tensor(values, requires_grad=True)


# ---------------------------------------------------------------- derivatives of higher order
def second_derivative(lib, name, walk_inside):
    """A penalty on the gradient: its dtypes and values, and those of its own gradients."""
    w, v, x = leaf(lib, 0, 3, 4), leaf(lib, 1, 2, 3), leaf(lib, 2, 5, 4)
    cast = lambda on: lib.autocast("cpu", dtype=getattr(lib, name), enabled=on)  # noqa: E731
    F = lib.nn.functional
    with cast(True):
        loss = F.mse_loss(F.linear(lib.tanh(F.linear(x, w)), v), lib.ones(5, 2))
    with cast(walk_inside):
        grads = lib.autograd.grad(loss, (w, v, x), create_graph=True)
    penalty = sum((g * g).sum() for g in grads)
    penalty.backward()
    return [*grads, w.grad, v.grad, x.grad]


@pytest.mark.parametrize("name", LOWS)
@pytest.mark.parametrize("walk_inside", [False, True])
def test_create_graph_agrees_with_pytorch(name, walk_inside):
    torch = pytest.importorskip("torch")
    ours, theirs = second_derivative(tl, name, walk_inside), second_derivative(torch, name, walk_inside)
    exact = second_derivative(tl, "float16", False)
    for a, b, c in zip(ours, theirs, exact, strict=True):
        assert short(a.dtype) == short(b.dtype) == "float32"
        np.testing.assert_allclose(host(a), b.detach().numpy(), atol=4 * LOWS[name] * float(abs(c).max()))


# ---------------------------------------------------------------- functions of a user
def user_function(lib, cast_inputs, under, name="bfloat16"):
    """What forward and backward of a Function see, with autocast around forward, around backward, around both or neither."""
    seen, amp = [], lib.amp
    note = lambda *what: seen.extend(short(w) if "dtype" in type(w).__name__ else w for w in what)  # noqa: E731

    class Product(lib.autograd.Function):
        @staticmethod
        @amp.custom_fwd(device_type="cpu", cast_inputs=cast_inputs and getattr(lib, cast_inputs))
        def forward(ctx, a, b, factor, more):
            ctx.save_for_backward(a, b)
            out = (a @ b) * factor
            note(a.dtype, b.dtype, out.dtype, more["c"].dtype, more["i"].dtype, lib.is_autocast_enabled("cpu"))
            return out

        @staticmethod
        @amp.custom_bwd(device_type="cpu")
        def backward(ctx, g):
            a, b = ctx.saved_tensors
            ga = g @ b.T.to(g.dtype)
            note(g.dtype, ga.dtype, (a.float() @ b.float()).dtype, lib.is_autocast_enabled("cpu"))
            return ga, a.T.to(g.dtype) @ g, None, None

    a, b = leaf(lib, 0, 3, 4), leaf(lib, 1, 4, 2)
    more = {"c": leaf(lib, 2, 2), "i": lib.tensor([1])}
    with lib.autocast("cpu", dtype=getattr(lib, name), enabled="forward" in under):
        out = Product.apply(a, b, 2.0, more)
        total = out.float().sum()
    with lib.autocast("cpu", dtype=lib.float16, enabled="backward" in under):
        total.backward()
        note(lib.is_autocast_enabled("cpu"))
    note(out.dtype, a.grad.dtype, b.grad.dtype)
    return seen


@pytest.mark.parametrize("cast_inputs", [None, "float32", "float16"])
@pytest.mark.parametrize("under", [(), ("forward",), ("backward",), ("forward", "backward")])
def test_functions_of_a_user_run_as_in_pytorch(cast_inputs, under):
    torch = pytest.importorskip("torch")
    assert user_function(tl, cast_inputs, under) == user_function(torch, cast_inputs, under)


def test_a_function_gets_its_gradient_in_the_dtype_of_its_result():
    seen = []

    class Low(tl.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.bfloat16(), x.half(), x * 2

        @staticmethod
        def backward(ctx, *grads):
            seen.extend(short(g.dtype) for g in grads)
            return sum(g.float() for g in grads)

    x = tl.ones(3, requires_grad=True)
    a, b, c = Low.apply(x)
    (a.float().sum() + b.float().sum() + c.sum()).backward()
    assert seen == ["bfloat16", "float16", "float32"] and x.grad.tolist() == [3, 3, 3] and x.grad.dtype == tl.float32


@pytest.mark.parametrize("forward, backward", [(True, False), (False, True), (True, True), (False, False)])
def test_a_checkpoint_runs_again_under_autocast_as_it_did(device, forward, backward):
    net, x = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.LayerNorm(8), nn.Linear(8, 2)), tl.randn(3, 4)
    grads = []
    for call in (net, lambda v: tl.utils.checkpoint.checkpoint(net, v, use_reentrant=False)):
        net.zero_grad()
        with tl.autocast(kind(), dtype=tl.float16, enabled=forward):
            out = call(x)
        assert out.dtype == (tl.float16 if forward else tl.float32)
        with tl.autocast(kind(), dtype=tl.bfloat16, enabled=backward):
            (out.float() ** 2).sum().backward()
        grads.append([host(p.grad) for p in net.parameters()])
    assert all(np.array_equal(a, b) for a, b in zip(*grads, strict=True))
    assert not policy.settings.cache


# ---------------------------------------------------------------- nesting and the switches
def nested(lib):
    """The dtypes of products in and between nested contexts, and what the questions answer."""
    x, found = lib.ones(2, 2), []

    def look():
        found.extend([short((x @ x).dtype), lib.is_autocast_enabled("cpu"), short(lib.get_autocast_dtype("cpu"))])
        found.extend(
            [short(lib.nn.functional.mse_loss(x.bfloat16(), x.bfloat16()).dtype), lib.is_autocast_cache_enabled()]
        )
        found.extend([lib.is_autocast_enabled(), short(lib.get_autocast_dtype("cuda"))])

    look()
    with lib.autocast("cpu"):
        look()
        with lib.autocast("cpu", enabled=False):
            look()
            with lib.autocast("cpu", dtype=lib.float16, cache_enabled=False):
                look()
            look()
        look()
        with lib.autocast("cpu", dtype=lib.float16):
            look()
            with lib.autocast("cpu"):  # as the one around it
                look()
        look()
    lib.set_autocast_dtype("cpu", lib.float16)
    look()
    with lib.autocast("cpu"):
        look()
    lib.set_autocast_enabled("cpu", True)
    look()
    lib.set_autocast_dtype("cpu", lib.bfloat16)
    look()
    with lib.autocast("cpu", enabled=False):
        look()
    look()
    lib.set_autocast_enabled("cpu", False)
    lib.set_autocast_cache_enabled(False)
    look()
    lib.set_autocast_cache_enabled(True)
    once = lib.autocast("cpu", dtype=lib.float16)
    for _ in range(2):  # one object again and again
        with once:
            look()
        look()
    return found


def test_nesting_and_switches_are_those_of_pytorch():
    torch = pytest.importorskip("torch")
    assert nested(tl) == nested(torch)
    assert tl.is_autocast_available("cpu") and not tl.is_autocast_available("nowhere")


def test_off_inside_of_two_kinds_and_one_inside_of_itself():
    """Off for the CPU inside of on for a GPU inside of on for the CPU; switched on and off for the GPU alone."""
    x, once = tl.ones(2, 2), tl.autocast("cpu", dtype=tl.float16)
    with once, once:  # PyTorch stays inside for ever after this
        assert (x @ x).dtype == tl.float16
    assert (x @ x).dtype == tl.float32 and not tl.is_autocast_enabled("cpu")
    with once, tl.autocast("cuda"):
        assert (x @ x).dtype == tl.float16 and tl.is_autocast_enabled()
        with tl.autocast("cpu", enabled=False):
            assert (x @ x).dtype == tl.float32 and tl.is_autocast_enabled() and not tl.is_autocast_enabled("cpu")
        tl.set_autocast_enabled(False)
        assert (x @ x).dtype == tl.float16 and not tl.is_autocast_enabled()
    assert (x @ x).dtype == tl.float32


def test_off_inside_of_vmap():
    def one(v):
        with tl.autocast("cpu", enabled=False):
            return tl.outer(v, v) @ v

    with tl.autocast("cpu", dtype=tl.float16):
        assert tl.vmap(one)(tl.ones(3, 2)).dtype == tl.float32
        assert tl.vmap(lambda v: v @ v.half())(tl.ones(3, 2, 2)).dtype == tl.float16


def test_each_thread_for_itself():
    """Another thread starts without; one decorated function runs in two threads, one inside of the other's call."""
    found, x = [], tl.ones(2, 2)

    @tl.autocast("cpu", dtype=tl.float16)
    def product(inner):
        if inner:
            other = threading.Thread(target=lambda: (found.append(tl.is_autocast_enabled("cpu")), product(False)))
            other.start()
            other.join()
        found.append((x @ x).dtype.name)

    product(True)
    assert found == [False, "float16", "float16"] and not tl.is_autocast_enabled("cpu")


@pytest.mark.parametrize("make, text", [
    (lambda: tl.autocast(), "device_type"),
    (lambda: tl.autocast("cpu")(3), "a function is needed to decorate, not int"),
    (lambda: tl.is_autocast_enabled("tpu"), "is_autocast_enabled: device_type must be 'cpu' or 'cuda', not 'tpu'"),
    (lambda: tl.get_autocast_dtype(None), "get_autocast_dtype: device_type must be 'cpu' or 'cuda', not None"),
    (lambda: tl.set_autocast_dtype("cpu", tl.float32), "set_autocast_dtype: dtype must be bfloat16 or float16, not float32"),
    (lambda: tl.set_autocast_enabled("tpu", True), "set_autocast_enabled: device_type must be 'cpu' or 'cuda'"),
    (lambda: tl.amp.custom_fwd(device_type=3), "custom_fwd: device_type must be 'cpu' or 'cuda', not 3"),
    (lambda: tl.amp.custom_bwd(device_type=3), "custom_bwd: device_type must be 'cpu' or 'cuda', not 3"),
])  # fmt: skip
def test_refused(make, text):
    with pytest.raises((errors.TensorliteError, TypeError), match=text):
        make()
    assert not tl.is_autocast_enabled("cpu")


# ---------------------------------------------------------------- the cache
def test_casts_of_weights_are_kept_until_the_outermost_context_ends(device):
    w, x = nn.Parameter(tl.ones(2, 2)), tl.ones(2, 2)
    source = lambda out: out.grad_fn.parents[0]  # noqa: E731

    with tl.autocast(kind(), dtype=tl.float16):
        with tl.autocast(kind(), dtype=tl.float16):
            first = source(w @ x)
        assert source(w @ x) is first  # also by the inner one
        with tl.autocast(kind(), dtype=tl.float16, cache_enabled=False):
            assert source(w @ x) is not first
        with tl.autocast(kind(), dtype=tl.bfloat16):
            assert (w @ x).dtype == tl.bfloat16
        assert source(w @ x) is first
        tl.clear_autocast_cache()
        assert source(w @ x) is not first
        y = nn.functional.linear(x, w)
    with tl.autocast(kind(), dtype=tl.float16):
        assert source(w @ x) is not y.grad_fn.parents[1] and policy.settings.cache
    assert not policy.settings.cache  # nothing is held any longer


# ---------------------------------------------------------------- training
def trained(steps, name=None, seed=0):
    """The losses of an MLP that learns the parity of signs, in float32 or under autocast."""
    tl.manual_seed(seed)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(64, 4)).astype("float32")
    y = tl.tensor((x[:, 0] * x[:, 1] > 0).astype("int64"))
    x = tl.tensor(x)
    net = nn.Sequential(nn.Linear(4, 32), nn.GELU(), nn.LayerNorm(32), nn.Linear(32, 2))
    opt, losses = tl.optim.AdamW(net.parameters(), lr=0.02), []
    for _ in range(steps):
        opt.zero_grad()
        with tl.autocast(kind(), dtype=getattr(tl, name or "float16"), enabled=name is not None):
            out = net(x)
            loss = nn.functional.cross_entropy(out, y)
        assert out.dtype.name == (name or "float32") and loss.dtype == tl.float32
        loss.backward()
        opt.step()
        losses.append(loss.item())
    assert all(p.dtype == p.grad.dtype == tl.float32 for p in net.parameters())
    return losses


@pytest.mark.parametrize("name", LOWS)
def test_an_mlp_learns_as_in_float32(device, name):
    full, low = trained(40), trained(40, name)
    assert full[-1] < 0.25 * full[0] and low != full
    np.testing.assert_allclose(low[:10], full[:10], rtol=LOWS[name])
    np.testing.assert_allclose(low, full, atol=LOWS[name])
