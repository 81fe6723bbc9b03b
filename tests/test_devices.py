"""Devices as a user meets them: naming and choosing one, moving tensors, mixing refused, indices out of range."""

import copy
import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import tensorlite as tl
from tensorlite.errors import DeviceError, GraphError
from tensorlite.nn import functional as F

ROOT = Path(__file__).resolve().parent.parent


def python(code, **environment):
    """Run code in a fresh interpreter; the stand-in is known there as `fake`."""
    code = "from standin_backend import register_fake; register_fake()\n" + code
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    clean = {k: v for k, v in os.environ.items() if k != "TENSORLITE_DEVICE"}
    env = {**clean, "PYTHONPATH": paths, **environment}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, cwd=ROOT)


@pytest.fixture
def start_value():
    """Give the default device its start value back after the test."""
    yield
    tl.set_default_device(None)


# ---- naming a device -------------------------------------------------------------------------------------------------


def test_forms():
    assert tl.device("cpu").type == "cpu" and tl.device("cpu").index is None
    one = tl.device("cuda:1")
    assert (one.type, one.index) == ("cuda", 1)
    assert one is tl.device("cuda", 1) is tl.device(1) is tl.device(type="cuda", index=1) is tl.device(one)
    assert tl.device("cuda") is not tl.device("cuda:0")
    assert repr(tl.device("cpu")) == "device(type='cpu')" and repr(one) == "device(type='cuda', index=1)"
    assert str(one) == "cuda:1" and str(tl.device("cpu")) == "cpu"


def test_equality_is_identity():
    cpu = tl.device("cpu")
    assert tl.ones(1, device="cpu").device is cpu and cpu == tl.device("cpu") != tl.device("cuda")
    assert pickle.loads(pickle.dumps(cpu)) is cpu and copy.deepcopy(cpu) is cpu
    assert {tl.device("cuda:1"): 2}[tl.device("cuda", 1)] == 2


@pytest.mark.parametrize("name", ["tpu", "", "cuda:", "cuda:x", "cuda:-1", "CPU", None, True])
def test_unknown_device_lists_the_known_ones(name):
    with pytest.raises(DeviceError, match="known devices: cpu, cuda, fake") as caught:
        tl.device(name)
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize("arguments", [("cuda", -1), ("cuda", "0"), ("cuda", True), ("cuda", 1.0)])
def test_wrong_index(arguments):
    with pytest.raises(DeviceError, match="index of 'cuda' must be a whole number from 0"):
        tl.device(*arguments)


def test_index_given_twice():
    with pytest.raises(DeviceError, match="names an index already; leave index=0 out"):
        tl.device("cuda:1", 0)


def test_there_is_one_cpu():
    assert tl.ones(2, device="cpu:0").device is tl.device("cpu")
    assert (tl.ones(2, device="cpu:0") + tl.ones(2)).tolist() == [2, 2]
    with pytest.raises(DeviceError, match="unknown device cpu:1: there is one CPU"):
        tl.ones(2, device="cpu:1")


# ---- the default device ----------------------------------------------------------------------------------------------


def test_with_device_and_its_end(device):
    other = "fake" if device == "cpu" else "cpu"
    with tl.device(other) as entered:
        assert entered is tl.device(other)
        assert tl.get_default_device() is tl.device(other).resolve() is tl.zeros(1).device
        with tl.device(device):
            assert tl.tensor([1.0]).device.type == device
        assert tl.arange(3).device.type == other
    assert tl.rand(2).device.type == device
    with pytest.raises(ZeroDivisionError), tl.device(other):
        raise ZeroDivisionError
    assert tl.get_default_device().type == device


def test_set_default_device(start_value):
    tl.set_default_device("fake")
    assert tl.get_default_device() is tl.device("fake") is tl.ones(1).device
    with tl.device("cpu"):
        assert tl.ones(1).device.type == "cpu"
    tl.set_default_device(tl.device("cpu"))
    assert tl.ones(1).device.type == "cpu"
    with pytest.raises(DeviceError, match="known devices"):
        tl.set_default_device("tpu")
    assert tl.get_default_device().type == "cpu"


def test_with_device_holds_in_its_own_thread_only(start_value):
    found = {}

    def look(name):
        found[name] = tl.zeros(1).device.type

    with tl.device("fake"):
        thread = threading.Thread(target=look, args=("with",))
        thread.start()
        thread.join()
    tl.set_default_device("fake")
    thread = threading.Thread(target=look, args=("set",))
    thread.start()
    thread.join()
    assert found == {"with": "cpu", "set": "fake"}


SHOW = "import tensorlite as tl; print(tl.zeros(2).device)"


@pytest.mark.parametrize("value, expected", [("", "cpu"), ("cpu", "cpu"), ("fake", "fake")])
def test_environment_variable(value, expected):
    done = python(SHOW, TENSORLITE_DEVICE=value)
    assert (done.stdout.strip(), done.stderr) == (expected, "")


def test_environment_variable_is_named_when_it_is_wrong():
    code = "import tensorlite as tl; print('imported'); tl.zeros(2)"
    done = python(code, TENSORLITE_DEVICE="tpu")
    assert done.stdout.strip() == "imported", "the device is looked up at its first use"
    last = done.stderr.strip().splitlines()[-1]
    assert last.endswith("DeviceError: TENSORLITE_DEVICE=tpu: unknown device 'tpu'; known devices: cpu, cuda, fake")


# ---- moving tensors --------------------------------------------------------------------------------------------------


def test_round_trip_with_gradients(device):
    x = tl.tensor([[1.0, 2.0], [3.0, 4.0]], device="cpu", requires_grad=True)
    there = (x * 2).to(device)
    back = (there * there).cpu()
    back.sum().backward()
    assert there.device.type == device and back.device.type == x.grad.device.type == "cpu"
    assert x.grad.tolist() == [[8, 16], [24, 32]]
    assert back.detach().numpy().tolist() == [[4, 16], [36, 64]]


def test_higher_derivatives_cross_devices(device):
    x = tl.tensor([2.0, 3.0], device="cpu", requires_grad=True)
    y = (x.to(device) ** 3).cpu().sum()
    (g,) = tl.autograd.grad(y, x, create_graph=True)
    (h,) = tl.autograd.grad(g.sum(), x)
    assert g.device is h.device is x.device
    assert g.tolist() == [12, 27] and h.tolist() == [12, 18]


def test_to_forms(device):
    x = tl.tensor([1, 2], device=device)
    assert x.to(device) is x and x.to(tl.device(device)) is x and x.to(x) is x
    assert x.to(device, tl.float64).dtype == tl.float64
    moved = x.to(dtype=tl.float16, device="cpu")
    assert moved.dtype == tl.float16 and moved.device.type == "cpu"
    other = tl.ones(1, dtype=tl.float64, device="cpu")
    assert (x.to(other).device, x.to(other).dtype) == (other.device, tl.float64)
    again = x.to(device, copy=True)
    again[0] = 5
    assert x.tolist() == [1, 2]


def test_host_memory_is_not_shared():
    host = np.zeros(2)
    x = tl.from_numpy(host).to("fake")
    host[0] = 1
    x[1] = 2
    assert x.tolist() == [0, 2] and host.tolist() == [1, 0]
    assert tl.tensor(host, device="fake").device.type == "fake"


def test_numpy_of_another_device():
    x = tl.ones(2, device="fake", requires_grad=True)
    with pytest.raises(GraphError, match="requires grad"):
        x.numpy()
    with pytest.raises(DeviceError, match=r"is on fake; use x\.cpu\(\)\.numpy\(\)"):
        x.detach().numpy()
    assert x.numpy(force=True).tolist() == [1, 1]


def test_views_and_changes_in_place(device):
    x = tl.zeros(2, 3)
    x[0] = 1
    row, flat = x[1], x.view(-1)
    row += 2
    flat[0] = 7
    assert x.tolist() == [[7, 1, 1], [2, 2, 2]] and x.T.reshape(-1)[1].item() == 2
    x.t()[0] = 0
    assert flat.tolist() == [0, 1, 1, 0, 2, 2]


def test_tensors_keep_their_device(device):
    x = tl.ones(2, 2)
    results = [x.sum(), x @ x, x[0], x > 0, x.argmax(), tl.zeros_like(x), x.new_ones(3), tl.rand_like(x), x.clone()]
    results += [pickle.loads(pickle.dumps(x)), copy.deepcopy(x), x.nonzero(), tl.cat([x, x]), *x.max(0), x.double()]
    assert {v.device for v in results} == {x.device}


def test_repr_names_the_device():
    assert repr(tl.ones(2, device="fake")) == "tensor([1., 1.], device='fake')"
    assert repr(tl.ones(2, device="cpu")) == "tensor([1., 1.])"


# ---- mixing devices --------------------------------------------------------------------------------------------------


def a(*shape):
    return tl.ones(*shape, device="cpu")


def b(*shape):
    return tl.ones(*shape, device="fake")


HINT = r"tensors on different devices \(cpu and fake\); move them together first, e\.g\. x\.to\('fake'\): "
MIXED = {
    "add": (lambda: a(3) + b(3), r"add: .*x float32 \(3,\), y float32 \(3,\) on fake"),
    "eq": (lambda: b(3) == a(3), r"eq: .*x float32 \(3,\) on fake, y float32 \(3,\)"),
    "matmul": (lambda: a(2, 3) @ b(3, 2), r"matmul: .*x float32 \(2, 3\), y float32 \(3, 2\) on fake"),
    "linear": (lambda: F.linear(a(2, 3), b(4, 3)), r"linear: .*x float32 \(2, 3\), weight float32 \(4, 3\) on fake"),
    "cat": (lambda: tl.cat([a(3), b(3)]), r"cat: .*input 0 float32 \(3,\), input 1 float32 \(3,\) on fake"),
    "where": (lambda: tl.where(b(3) > 0, a(3), a(3)), r"where: .*condition bool \(3,\) on fake, x float32 \(3,\)"),
    "assign": (lambda: b(3).__setitem__(slice(2), a(2)), r"assign: .*x float32 \(3,\) on fake, value float32 \(2,\)"),
    "add_": (lambda: b(3).add_(a(3)), r"add: .*on fake"),
    "cross_entropy": (lambda: F.cross_entropy(b(2, 3), a(2).long()), r"cross_entropy: .*target int64 \(2,\)"),
    "NumPy array on the left": (lambda: np.ones(3, "f4") + b(3), r"add: .*x float32 \(3,\), y float32 \(3,\) on fake"),
}


@pytest.mark.parametrize("case", MIXED)
def test_mixed_devices_are_refused(case):
    snippet, text = MIXED[case]
    with pytest.raises(DeviceError, match="^" + text) as caught:
        snippet()
    assert caught.match(HINT)


def test_the_module_is_named():
    model = tl.nn.Sequential(tl.nn.Linear(3, 4), tl.nn.Linear(4, 2).to("fake"))
    with pytest.raises(DeviceError, match=r"linear: tensors on different devices .*, in 1$"):
        model(a(2, 3))


def test_index_on_another_device():
    with pytest.raises(DeviceError, match=r"the tensor is on cpu, the index on fake; use index\.to\('cpu'\)"):
        a(3)[tl.tensor([0], device="fake")]
    assert b(3)[tl.tensor([0, 1], device="cpu")].device.type == "fake"


def test_gradient_on_another_device():
    with pytest.raises(DeviceError, match="gradient is on cpu, the tensor on fake"):
        (b(3).requires_grad_() * 2).backward(a(3))


def test_mixing_is_refused_before_anything_is_changed():
    x = b(3)
    with pytest.raises(DeviceError):
        x.mul_(tl.tensor([2.0, 2.0, 2.0], device="cpu"))
    assert x.tolist() == [1, 1, 1] and x._version == 0


def test_cpu_tensors_without_dimensions_go_with_any_device(device):
    two = tl.tensor(2.0, device="cpu", requires_grad=True)
    x = tl.tensor([1.0, 3.0])
    results = [x * two, two * x, two - x, x**two, tl.where(x > 1, x, two), x.masked_fill(x > 1, two), x.clamp(min=two)]
    assert {r.device for r in results} == {x.device}
    assert [r.tolist() for r in results] == [[2, 6], [2, 6], [1, -1], [1, 9], [2, 3], [1, 2], [2, 3]]
    (x * two).sum().backward()
    assert two.grad.device.type == "cpu" and two.grad.item() == 4
    y = x.clone()
    y[0] = two.detach()
    y.add_(two.detach())
    assert y.tolist() == [4, 5]


def test_a_tensor_without_dimensions_on_a_device_does_not_go_with_cpu_tensors():
    with pytest.raises(DeviceError, match="mul: tensors on different devices"):
        tl.tensor(2.0, device="fake") * a(2)


# ---- out of range: the same error types and rule on every device -----------------------------------------------------

OUT_OF_RANGE = {
    "x[[3]]": (lambda x: x[[0, 3]], "index 3 is out of range for dim 0 of size 3"),
    "x[[-4]]": (lambda x: x[[0, -4]], "index -4 is out of range for dim 0 of size 3"),
    "x[:, [4]]": (lambda x: x[:, [4]], "index 4 is out of range for dim 1 of size 4"),
    "x[..., [4]]": (lambda x: x[None, ..., tl.tensor([[4]])], "index 4 is out of range for dim 1 of size 4"),
    "x[[0], [4]]": (lambda x: x[[0], [4]], "index 4 is out of range for dim 1 of size 4"),
    "x[3]": (lambda x: x[3], "out of range for dim 0 of size 3"),
    "x[0-d tensor]": (lambda x: x[tl.tensor(3)], "out of range for dim 0 of size 3"),
    "x[mask]": (
        lambda x: x[tl.ones(4).bool()],
        "a mask of shape (4,) does not fit the dimensions it is for, (3,) of (3, 4)",
    ),
    "x[[3]] = 0": (lambda x: x.__setitem__([3], 0), "index 3 is out of range for dim 0 of size 3"),
    "index_select": (lambda x: x.index_select(1, tl.tensor([4])), "index 4 is out of range for dim 1 of size 4"),
    "gather": (
        lambda x: x.gather(1, tl.tensor([[4]])),
        "gather: index 4 is out of range for dim 1 of size 4: it must be 0 to 3",
    ),
    "gather, negative": (lambda x: x.gather(0, tl.tensor([[-1]])), "gather: index -1 is out of range"),
    "embedding": (lambda x: F.embedding(tl.tensor([0, 3]), x), "token id 3 is out of range: it must be 0 to 2"),
    "embedding, negative": (lambda x: F.embedding(tl.tensor([-1]), x), "token id -1 is out of range"),
    "cross_entropy": (lambda x: F.cross_entropy(x, tl.tensor([0, 4, 1])), "target class 4 is out of range"),
    "cross_entropy, negative": (lambda x: F.cross_entropy(x, tl.tensor([0, -1, 1])), "target class -1 is out of range"),
}


@pytest.mark.parametrize("case", OUT_OF_RANGE)
def test_out_of_range(device, case):
    snippet, text = OUT_OF_RANGE[case]
    with pytest.raises(IndexError) as caught:
        snippet(tl.zeros(3, 4))
    assert text in str(caught.value)
    assert isinstance(caught.value, tl.errors.TensorliteError)


def test_in_range_from_behind(device):
    x = tl.arange(12).reshape(3, 4)
    assert x[[-1, -3], [-4, 3]].tolist() == [8, 3]
    assert x[[]].shape == (0, 4) and tl.zeros(0, 4)[:, [-1]].shape == (0, 1)
    assert x[tl.tensor([0, 2], dtype=tl.int32), 1].tolist() == [1, 9]


def test_a_model_moves_with_its_gradients(device):
    model = tl.nn.Linear(3, 2).to("cpu")
    model(tl.ones(4, 3, device="cpu")).sum().backward()
    model.to(device)
    assert {p.device.type for p in model.parameters()} == {device}
    assert {p.grad.device.type for p in model.parameters()} == {device}
    assert model.weight.grad.tolist() == [[4, 4, 4], [4, 4, 4]]
    state = {k: v.cpu() for k, v in model.state_dict().items()}
    model.load_state_dict(state)
    assert model.weight.device.type == device
