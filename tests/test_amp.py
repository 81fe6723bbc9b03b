"""Mixed precision: models under autocast, and GradScaler against PyTorch's. Operation by operation: test_amp_table.py."""

import numpy as np
import pytest
from numeric import host

import tensorlite as tl
from tensorlite import errors, nn

LOWS = ["float16", "bfloat16"]
pytest.importorskip("ml_dtypes")


def low(name):
    return getattr(tl, name)


def kind():
    return tl.ones(1).device.type


def test_precision_on_a_gpu_list(device):
    """On other devices than the CPU exponentials and sums go up to float32, as in PyTorch's list for CUDA."""
    if kind() == "cpu":
        return
    x = tl.randn(3, 4)
    with tl.autocast(kind(), dtype=tl.float16):
        y = x @ x.T
        assert y.dtype == tl.float16
        assert y.exp().dtype == y.softmax(-1).dtype == y.sum().dtype == tl.float32 and y.tanh().dtype == tl.float16


@pytest.mark.parametrize("name", LOWS)
def test_a_model_agrees_with_pytorch(name):
    torch = pytest.importorskip("torch")
    ours = nn.Sequential(nn.Linear(6, 16), nn.GELU(), nn.LayerNorm(16), nn.Linear(16, 3))
    theirs = torch.nn.Sequential(
        torch.nn.Linear(6, 16), torch.nn.GELU(), torch.nn.LayerNorm(16), torch.nn.Linear(16, 3)
    )
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        q.data = torch.tensor(host(p).copy())
    x, losses = np.random.default_rng(0).normal(size=(5, 6)).astype("float32"), []
    for lib, net in ((tl, ours), (torch, theirs)):
        with lib.autocast("cpu", dtype=getattr(lib, name)):
            out = net(lib.tensor(x))
            loss = lib.nn.functional.cross_entropy(out, lib.tensor([0, 1, 2, 0, 1]))
        loss.backward()
        assert str(out.dtype).endswith(name) and str(loss.dtype).endswith("float32")
        losses.append(loss.item())
    tolerance = {"float16": 4e-3, "bfloat16": 4e-2}[name]
    assert abs(losses[0] - losses[1]) < tolerance
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert p.dtype == p.grad.dtype == tl.float32  # the weights that are trained, and what trains them
        np.testing.assert_allclose(host(p.grad), q.grad.numpy(), atol=tolerance)


def test_lstm_and_conv_models_run():
    with tl.autocast("cpu", dtype=tl.bfloat16):
        rnn, conv = nn.LSTM(3, 4), nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU())
        out, _ = rnn(tl.randn(5, 2, 3))
        y = conv(tl.randn(2, 1, 6, 6))
    assert out.dtype == y.dtype == tl.bfloat16
    (out.float().sum() + y.float().square().sum()).backward()
    for p in (*rnn.parameters(), *conv.parameters()):
        assert p.grad.dtype == tl.float32 and bool(p.grad.isfinite().all())


def test_nested_switched_off_and_as_decorator(device):
    x = tl.ones(2, 2)
    with tl.autocast(kind(), dtype=tl.float16):
        assert tl.amp.is_autocast_enabled(kind()) and tl.amp.get_autocast_dtype(kind()) == tl.float16
        with tl.autocast(kind(), enabled=False):
            assert (x @ x).dtype == tl.float32 and not tl.amp.is_autocast_enabled(kind())
            with pytest.raises(errors.DTypeError):
                x @ x.half()
        with tl.autocast(kind(), dtype=tl.bfloat16):
            assert (x @ x).dtype == tl.bfloat16
        assert (x @ x).dtype == (x @ x.double().float()).dtype == tl.float16
        assert (x @ x.half()).dtype == tl.float16
        with tl.autocast("cpu" if kind() == "cuda" else "cuda", dtype=tl.bfloat16):
            assert (x @ x).dtype == tl.float16  # another kind of device

    @tl.autocast(kind(), dtype=tl.float16)
    def product(a):
        return a @ a

    assert product(x).dtype == tl.float16 and (x @ x).dtype == tl.float32
    with pytest.raises(ZeroDivisionError), tl.autocast(kind(), dtype=tl.float16):
        1 / 0  # noqa: B018
    assert (x @ x).dtype == tl.float32


def test_a_weight_is_cast_once_and_anew_after_a_change(device):
    w = nn.Parameter(tl.ones(2, 2))
    with tl.autocast(kind(), dtype=tl.float16):
        first, second = w @ tl.ones(2, 2), w @ tl.ones(2, 2)
        assert first.grad_fn.parents[0] is second.grad_fn.parents[0]
        with tl.no_grad():
            assert not (w @ tl.ones(2)).requires_grad
            w.mul_(3)
        assert (w @ tl.ones(2)).tolist() == [6, 6] and (w @ tl.ones(2)).requires_grad
    with tl.autocast(kind(), dtype=tl.float16):
        for n in (1, 2):  # twice through one cast
            (w @ tl.ones(2)).float().sum().backward()
            assert w.grad.tolist() == [[n, n], [n, n]] and w.grad.dtype == tl.float32


def test_in_place_and_vmap_inside(device):
    x = tl.ones(3, 2)
    with tl.autocast(kind(), dtype=tl.float16):
        y = x.clone()
        y += 1
        y.mul_(2)
        y[0] = 7
        assert y.dtype == tl.float32 and y.tolist() == [[7, 7], [4, 4], [4, 4]]
    inner = tl.vmap(lambda v: tl.autocast(kind(), dtype=tl.float16)(lambda a: a @ a)(v))(x)
    assert inner.dtype == tl.float16 and inner.tolist() == [2, 2, 2]


@pytest.mark.parametrize("make, text", [
    (lambda: tl.autocast("tpu"), "device_type must be 'cpu' or 'cuda', not 'tpu'"),
    (lambda: tl.autocast(3), "device_type must be 'cpu' or 'cuda', not 3"),
    (lambda: tl.autocast("cpu", dtype=tl.float64), "dtype must be bfloat16 or float16, not float64"),
    (lambda: tl.amp.GradScaler(growth_factor=1.0), "growth_factor must be above 1, not 1.0"),
    (lambda: tl.amp.GradScaler(backoff_factor=1.0), "backoff_factor must be below 1, not 1.0"),
    (lambda: tl.amp.GradScaler().update(), "no loss was scaled yet"),
    (lambda: tl.amp.GradScaler().load_state_dict({}), "the state is empty"),
])  # fmt: skip
def test_refused(make, text):
    with pytest.raises(errors.TensorliteError, match=text):
        make()


# ---------------------------------------------------------------- GradScaler
def scaled_training(lib, tmp_path=None):
    """20 steps, some with infinite gradients; the scale before each, and the weights."""
    p = lib.nn.Parameter(lib.tensor([1.0, -2.0]))
    opt = lib.optim.SGD([p], lr=0.1, momentum=0.5)
    make = lambda: lib.amp.GradScaler("cpu", init_scale=8.0, growth_interval=3)  # noqa: E731
    scaler, scales = make(), []
    for i in range(20):
        if tmp_path and i == 10:
            tl.save(scaler.state_dict(), tmp_path / "scaler")
            scaler = make()
            scaler.load_state_dict(tl.load(tmp_path / "scaler"))
        opt.zero_grad()
        loss = (p * p).sum() * (float("inf") if i in (4, 5, 13) else 1.0)
        scaler.scale(loss).backward()
        if i % 2:
            scaler.unscale_(opt)
            lib.nn.utils.clip_grad_norm_([p], 0.5)
        scaler.step(opt)
        scaler.update()
        scales.append(scaler.get_scale())
    return scales, p.detach().numpy()


def test_scaler_agrees_with_pytorch_and_goes_on(tmp_path):
    torch = pytest.importorskip("torch")
    (scales, weights), (expected, there) = scaled_training(tl), scaled_training(torch)
    assert scales == expected and len(set(scales)) > 3
    np.testing.assert_allclose(weights, there, rtol=1e-6)
    again, same = scaled_training(tl, tmp_path)
    assert again == scales and np.array_equal(same, weights)


def adaptive_training(lib, optimizer, name):
    """An MLP under autocast with GradScaler, some losses infinite or nan: after each step the scale, whether anything was
    written to weights or state, how many steps the state counts, the loss; and at the end the weights."""
    rng = np.random.default_rng(5)
    draw = lambda *shape: lib.tensor(rng.normal(size=shape).astype("float32"))  # noqa: E731
    x, y, found = draw(16, 4), draw(16, 2), []
    params = [lib.nn.Parameter(draw(8, 4) / 2), lib.nn.Parameter(draw(8) / 2), lib.nn.Parameter(draw(2, 8) / 2)]
    opt = getattr(lib.optim, optimizer)(params, lr=0.01)
    scaler = lib.amp.GradScaler("cpu", init_scale=64.0, growth_interval=3, growth_factor=4.0, backoff_factor=0.25)

    def everything():
        state = [opt.state[p][k] for p in params if p in opt.state for k in ("exp_avg", "exp_avg_sq", "step")]
        return [np.array(v.detach().numpy() if hasattr(v, "detach") else v) for v in (*params, *state)]

    for i in range(14):
        opt.zero_grad()
        with lib.autocast("cpu", dtype=getattr(lib, name)):
            hidden = lib.nn.functional.linear(x, params[0], params[1]).relu()
            loss = lib.nn.functional.mse_loss(lib.nn.functional.linear(hidden, params[2]), y)
        before = everything()
        scaler.scale(loss * {4: float("inf"), 9: float("nan"), 10: float("inf")}.get(i, 1.0)).backward()
        scaler.step(opt)
        scaler.update()
        after = everything()
        same = len(before) == len(after) and all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
        steps = [float(opt.state[p]["step"]) for p in params]
        found.append((scaler.get_scale(), same, steps, scaler.state_dict()["_growth_tracker"]))
    return found, loss.item(), everything()


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("name", LOWS)
@pytest.mark.parametrize("optimizer", ["Adam", "AdamW"])
def test_scaler_with_adam_agrees_with_pytorch(optimizer, name):
    torch = pytest.importorskip("torch")
    (ours, loss, end), (theirs, wanted, there) = (adaptive_training(lib, optimizer, name) for lib in (tl, torch))
    assert ours == theirs
    assert [i for i, (_, same, *_) in enumerate(ours) if same] == [4, 9, 10]  # left out, and nothing was touched
    assert [scale for scale, *_ in ours[:6]] == [64.0, 64.0, 256.0, 256.0, 64.0, 64.0]
    tolerance = {"float16": 5e-3, "bfloat16": 4e-2}[name]
    assert abs(loss - wanted) < tolerance
    for a, b in zip(end, there, strict=True):
        np.testing.assert_allclose(a, b, atol=tolerance)


def test_scaler_saves_small_gradients(device):
    """A gradient of 1e-9 is 0 in float16, and right when the loss was scaled."""
    w = nn.Parameter(tl.ones(1))
    for scaler, wanted in ((tl.amp.GradScaler(enabled=False), 0.0), (tl.amp.GradScaler(init_scale=2.0**16), 1e-9)):
        w.grad = None
        opt = tl.optim.SGD([w], lr=0.0)
        scaler.scale((w.half() * 1e-3).float().sum() * 1e-6).backward()
        scaler.unscale_(opt)
        np.testing.assert_allclose(host(w.grad), wanted, rtol=2e-2)


def test_scaler_refuses_double_calls_and_float16_gradients():
    p = nn.Parameter(tl.ones(1))
    opt, scaler = tl.optim.SGD([p]), tl.amp.GradScaler("cpu")
    scaler.scale(p.sum()).backward()
    scaler.unscale_(opt)
    with pytest.raises(errors.ArgumentError, match="unscaled already"):
        scaler.unscale_(opt)
    scaler.step(opt)
    with pytest.raises(errors.ArgumentError, match="called already"):
        scaler.step(opt)
    half = nn.Parameter(tl.ones(1, dtype=tl.float16))
    scaler.scale(half.sum()).backward()
    with pytest.raises(errors.DTypeError, match="cannot be unscaled in float16"):
        scaler.unscale_(tl.optim.SGD([half]))


def test_older_names():
    from tensorlite.cuda.amp import GradScaler

    assert GradScaler(enabled=False).get_scale() == 1.0 and GradScaler(4.0).get_scale() == 4.0
    assert GradScaler().is_enabled() and isinstance(GradScaler(), tl.amp.GradScaler) and tl.autocast is tl.amp.autocast
    with tl.cuda.amp.autocast(), tl.autocast("cpu", enabled=False):
        assert tl.is_autocast_enabled() and tl.get_autocast_dtype("cuda") == tl.float16
    with tl.cuda.amp.autocast(enabled=False):
        assert not tl.is_autocast_enabled()


def test_scaler_before_any_scale():
    """As in PyTorch, where the scale is made by the first scale()."""
    p = tl.nn.Parameter(tl.ones(2))
    opt, scaler = tl.optim.SGD([p], lr=0.5), tl.amp.GradScaler("cpu")
    p.grad = tl.ones(2)
    for call in (lambda: scaler.step(opt), lambda: scaler.unscale_(opt), lambda: scaler.update(4.0)):
        with pytest.raises(errors.ArgumentError, match="no loss was scaled yet"):
            call()
    assert (p == 1).all() and (p.grad == 1).all()
    scaler.scale(p.sum())
    p.grad = None
    with pytest.raises(errors.ArgumentError, match="no step or unscale_ since the last update"):
        scaler.update()
    with pytest.raises(errors.ArgumentError, match="no parameter of the optimizer has a gradient"):
        scaler.step(opt)
