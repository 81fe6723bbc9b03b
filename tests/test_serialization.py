"""tl.save and tl.load: everything comes back exactly, old files survive failures, damage and hostile files are refused."""

import builtins
import collections
import io
import math
import os
import stat
import struct
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import tensorlite as tl
from tensorlite.errors import ArgumentError, DTypeError


def saved(obj) -> bytes:
    file = io.BytesIO()
    tl.save(obj, file)
    return file.getvalue()


def again(obj, **kw):
    return tl.load(io.BytesIO(saved(obj)), **kw)


def same(a, b):
    """Equal in type, value and order, nan being nan and -0.0 not 0.0."""
    if type(a) is not type(b):
        return False
    if isinstance(a, tl.Tensor):
        return (
            a.dtype is b.dtype and a.shape == b.shape and a.device is b.device and a.requires_grad == b.requires_grad
            and a.detach().cpu().array.tobytes() == b.detach().cpu().array.tobytes()
        )  # fmt: skip
    if isinstance(a, float):
        return struct.pack("d", a) == struct.pack("d", b)
    if isinstance(a, dict):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a.items(), b.items(), strict=True))
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return a == b


# ---------------------------------------------------------------- what goes in comes out
VALUES = {
    "none": None, "bools": [True, False], "int": 7, "64 bits": [2**63 - 1, -(2**63), 2**63, -(2**63) - 1, 2**64],
    "large": [10**5000, -(7**3000)], "floats": [0.1, -0.0, 5e-324, 1.7976931348623157e308, 1 / 3],
    "not finite": [math.inf, -math.inf, math.nan, struct.unpack("d", b"\1\0\0\0\0\0\xf8\xff")[0]],
    "str": ["", "é\n\"\\", "\0", "\ud800 lone", "日本 🎉"], "bytes": [b"", bytes(range(256))],
    "tuples": ((), (1,), (1, (2, [3])), [()]), "empty": [{}, [], (), collections.OrderedDict()],
    "dict": {"b": 1, "a": 2}, "ordered": collections.OrderedDict([("b", 1), ("a", {"c": 2})]),
    "keys": {1: "int", "1": "str", 2.5: "float", None: "none", (1, ("x", b"y")): "tuple", b"1": "bytes", 10**30: "large"},
    "bool keys": {True: 1, False: 0}, "nan key": {math.inf: 1},
    "like our own marks": [{"tuple": [1]}, {"int": "0x1"}, {"tensor": [0, 0, False]}, {"dict": []}],
    "dtypes": [tl.float32, tl.int64, tl.bool, tl.float16], "size": tl.Size((2, 3)), "device": tl.device("cpu"),
}  # fmt: skip


@pytest.mark.parametrize("name", VALUES)
def test_values_come_back_exactly(name):
    value = VALUES[name]
    assert same(value, again(value)) and same({"x": [value]}, again({"x": [value]}))


keys = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.binary(max_size=5),
    lambda k: st.tuples(k, k),
    max_leaves=3,
)
trees = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text() | st.binary(),
    lambda t: st.lists(t, max_size=4) | st.lists(t, max_size=3).map(tuple) | st.dictionaries(keys, t, max_size=4),
    max_leaves=20,
)


@given(trees)
@settings(max_examples=150, deadline=None)
def test_random_trees_come_back_exactly(tree):
    assert same(tree, again(tree))


DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (3,), (2, 3, 4), (0,), (3, 0, 2)])
def test_tensors_of_every_dtype_and_shape(device, dtype, shape):
    x = (tl.rand(*shape) * 100).to(getattr(tl, dtype)) if shape else tl.tensor(42.0).to(getattr(tl, dtype))
    assert same(x, again(x)) and again(x).device is tl.get_default_device()


def test_bfloat16(device):
    pytest.importorskip("ml_dtypes")
    x = tl.tensor([1.0, -2.5, 3e38, float("inf")]).bfloat16()
    assert same(x, again(x)) and same([x[::2], x], again([x[::2], x]))


def test_special_values_keep_their_bits():
    x = tl.from_numpy(np.array([0x7FF8000000000001, 0xFFF0000000000000, 1, 1 << 63], np.uint64).view(np.float64))
    assert same(x, again(x))


@pytest.mark.parametrize("change", [
    lambda x: x.T, lambda x: x[::2, 1:], lambda x: x[:, None], lambda x: x[0, 0], lambda x: x[1:1], lambda x: x.sum(),
    lambda x: tl.from_numpy(x.numpy()[::-1, ::-2]), lambda x: x[0].expand(5, 4), lambda x: tl.tensor(2.0).expand(3, 3),
])  # fmt: skip
def test_views_alone(change):
    x = change(tl.arange(24.0).reshape(6, 4))
    y = again(x)
    assert same(x, y) and y.shape == x.shape


def test_a_part_of_a_large_tensor_is_a_small_file():
    x = tl.zeros(1000, 1000)
    assert (
        len(saved(x[0])) < 10_000 and len(saved(x[:, 0])) < 10_000 and len(saved(tl.zeros(1).expand(1000, 1000))) < 5000
    )


def test_requires_grad_is_kept_and_graphs_are_not():
    x = tl.ones(2, requires_grad=True)
    y = x * 2
    for t in (x, y, y.detach()):
        back = again({"t": t})["t"]
        assert back.requires_grad == t.requires_grad and back.is_leaf and back.grad is None
    (again(x) * 3).sum().backward()
    with tl.inference_mode():
        assert again(x).requires_grad
    p = tl.nn.Parameter(tl.ones(2))
    assert type(again(p)) is tl.Tensor and again(p).requires_grad


# ---------------------------------------------------------------- sharing
def test_shared_tensors_are_saved_once_and_shared_again(device):
    w = tl.randn(100, 100)
    obj = {"encoder": w, "decoder": w, "detached": w.detach(), "own": w.clone()}
    assert len(saved(obj)) < 2 * 40_000 + 2000
    back = again(obj)
    assert back["encoder"] is back["decoder"] and back["detached"] is not back["encoder"]
    back["encoder"].fill_(7.0)
    assert back["detached"].mean().item() == 7 and same(back["own"], w)
    assert back["detached"]._version == 1  # and a graph that saved it would notice


def test_tied_weights_of_a_model(tmp_path):
    class Tied(tl.nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = tl.nn.Linear(4, 4), tl.nn.Linear(4, 4)
            self.b.weight = self.a.weight

    tl.save(Tied().state_dict(), tmp_path / "model")
    state = tl.load(tmp_path / "model")
    state["a.weight"].zero_()
    assert state["b.weight"].abs().sum().item() == 0
    model = Tied()
    model.load_state_dict(state)
    assert model.a.weight is model.b.weight


def test_overlapping_views_share_again():
    x = tl.arange(24.0).reshape(6, 4)
    obj = [x[:3], x.T, x[4], x[1::2, ::3]]
    back = again(obj)
    assert all(same(a, b) for a, b in zip(obj, back, strict=True))
    x.mul_(2), back[1].mul_(2)
    assert all(same(a, b) for a, b in zip(obj, back, strict=True))


def test_neighbours_that_do_not_overlap_are_not_joined():
    x = tl.arange(1000.0)
    back = again([x[:10], x[990:]])
    assert len(saved([x[:10], x[990:]])) < 3000
    back[0].zero_()
    assert back[1].sum().item() == sum(range(990, 1000))


def test_equal_objects_give_equal_files():
    assert saved({"a": tl.ones(3), "b": 2}) == saved({"a": tl.ones(3), "b": 2})


# ---------------------------------------------------------------- files
def test_paths_and_file_objects(tmp_path, monkeypatch):
    tl.save([1, tl.ones(2)], tmp_path / "a.pt")
    tl.save([1, tl.ones(2)], str(tmp_path / "b"))
    with open(tmp_path / "c", "wb") as file:
        tl.save([1, tl.ones(2)], file)
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "b").read_bytes() == (tmp_path / "c").read_bytes()
    with open(tmp_path / "c", "rb") as file:
        assert same(tl.load(file), tl.load(tmp_path / "a.pt"))
    monkeypatch.chdir(tmp_path)
    tl.save(5, "here")
    assert tl.load("here") == 5
    assert sorted(os.listdir(tmp_path)) == ["a.pt", "b", "c", "here"]  # no temporary file is left
    with pytest.raises(FileNotFoundError):
        tl.load(tmp_path / "nothing")
    with pytest.raises(FileNotFoundError):
        tl.save(1, tmp_path / "no" / "folder")
    assert tl.load(tmp_path / "a.pt", weights_only=False)[0] == 1


def test_unbuffered_files_that_take_little_at_a_time():
    class Slow(io.RawIOBase):
        def __init__(self):
            self.data = bytearray()

        def writable(self):
            return True

        def write(self, data):
            self.data += bytes(data[:7])
            return min(7, len(data))

    file = Slow()
    tl.save({"x": tl.arange(50)}, file)
    assert bytes(file.data) == saved({"x": tl.arange(50)})


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions and links")
def test_permissions_and_links(tmp_path):
    before = os.umask(0o027)
    try:
        tl.save(1, tmp_path / "file")
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(tmp_path / "file").st_mode) == 0o640
    os.symlink(tmp_path / "file", tmp_path / "link")
    tl.save(2, tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and tl.load(tmp_path / "file") == 2


@pytest.mark.parametrize("fault", ["type", "disk", "interrupt", "replace"])
def test_a_failed_save_keeps_the_old_file(tmp_path, monkeypatch, fault):
    path = tmp_path / "state"
    tl.save({"step": 1}, path)
    obj, error = {"step": 2, "x": tl.zeros(1000)}, OSError
    if fault == "type":
        obj, error = {"step": 2, "x": object()}, DTypeError
    elif fault == "replace":
        monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("no")))
    else:
        error = OSError if fault == "disk" else KeyboardInterrupt

        class Full(io.FileIO):
            def write(self, data):
                if self.tell() > 1000:
                    raise error("no space left")
                return super().write(data)

        monkeypatch.setattr(builtins, "open", lambda file, mode="r", *a, **k: Full(file, mode.replace("b", "")))
    with pytest.raises(error):
        tl.save(obj, path)
    monkeypatch.undo()
    assert tl.load(path) == {"step": 1} and os.listdir(tmp_path) == ["state"]


def test_the_file_is_on_the_disk_before_it_replaces_the_old_one(tmp_path, monkeypatch):
    done = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (done.append("fsync"), fsync(fd)))
    monkeypatch.setattr(os, "replace", lambda a, b: (done.append("replace"), replace(a, b)))
    tl.save(1, tmp_path / "x")
    assert done[:2] == ["fsync", "replace"]


def test_a_killed_save_keeps_the_old_file(tmp_path):
    """The process dies in the middle of writing, without a chance to clean up."""
    code = """
import os, sys
import tensorlite as tl
from tensorlite.serialization import writer
tl.save({"step": 1}, sys.argv[1])
write = writer.Hashed.write
def dying(self, data):
    if len(data) > 100_000:
        os._exit(9)
    return write(self, data)
writer.Hashed.write = dying
tl.save({"step": 2, "x": tl.zeros(100_000)}, sys.argv[1])
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "state")], cwd=os.getcwd())
    assert done.returncode == 9 and tl.load(tmp_path / "state") == {"step": 1}


# ---------------------------------------------------------------- what cannot be saved
class Own:
    pass


class Dict(dict):
    pass


Pair = collections.namedtuple("Pair", "x y")
UNKNOWN = {
    "object": (
        {"optimizer": {"state": [1, Own()]}},
        r"obj\['optimizer'\]\['state'\]\[1\] is of type .*Own, which cannot",
    ),
    "set": ([{1}], r"obj\[0\] is of type set, which cannot be saved; only numbers, text"),
    "function": ((1, print), r"obj\[1\] is of type builtin_function_or_method"),
    "complex": ({3: 1j}, r"obj\[3\] is of type complex"),
    "numpy array": ({"a": np.ones(2)}, r"obj\['a'\] is of type numpy.ndarray, .*; make it a tensor by tl.from_numpy"),
    "numpy number": ({"a": np.float64(2)}, r"obj\['a'\] is of type numpy.float64, .*; save x.item\(\)"),
    "named tuple": ([Pair(1, 2)], r"obj\[0\] is of type .*Pair, .*; save tuple\(x\)"),
    "subclass of dict": (Dict(), r"obj is of type .*Dict, .*; save dict\(x\)"),
    "module": ({"m": tl.nn.Linear(1, 1)}, r"obj\['m'\] is of type .*Linear, .*; save x.state_dict\(\)"),
    "key": ({"a": {frozenset(): 1}}, r"the key frozenset\(\) of obj\['a'\] is of type frozenset"),
    "key in a tuple": ({(1, Own): 1}, r"the key \(1, .*Own.*\) of obj\[1\] is of type type"),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_unknown_types_are_refused_with_their_path(name):
    obj, text = UNKNOWN[name]
    file = io.BytesIO()
    with pytest.raises(DTypeError, match="^save: " + text):
        tl.save(obj, file)
    assert file.getvalue() == b""


def test_circles_and_depth():
    circle = {"a": []}
    circle["a"].append(circle)
    with pytest.raises(ArgumentError, match=r"obj\['a'\]\[0\] contains itself"):
        saved(circle)
    twice = [1, 2]
    assert again([twice, twice, {"x": twice}]) == [[1, 2], [1, 2], {"x": [1, 2]}]
    deep = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ArgumentError, match="nested too deeply"):
        saved(deep)
    with pytest.raises(DTypeError, match="has a tensor as a key"):
        saved({tl.ones(1): 1})


# ---------------------------------------------------------------- map_location
def test_map_location(device):
    x = tl.arange(3.0)
    obj = {"x": x, "y": x, "dev": x.device}
    assert again(obj)["x"].device is x.device
    for there in ("cpu", tl.device("cpu"), {device: "cpu"}, lambda t, name: t, lambda t, name: None):
        back = again(obj, map_location=there)
        assert str(back["x"].device) == "cpu" and back["x"] is back["y"] and back["x"].tolist() == [0, 1, 2]
        assert back["dev"] is x.device
    names = []
    again(obj, map_location=lambda t, name: names.append((str(t.device), name)))
    assert names == [("cpu", str(x.device))]
    assert again(obj, map_location={"other": "cpu"})["x"].device is x.device


# ---------------------------------------------------------------- whole training states
def test_a_training_state_goes_on_bit_for_bit(device, tmp_path):
    def start():
        tl.manual_seed(5)
        model = tl.nn.Sequential(tl.nn.Linear(3, 8), tl.nn.Dropout(0.3), tl.nn.Tanh(), tl.nn.Linear(8, 1))
        return model, tl.optim.AdamW(model.parameters(), lr=0.1)

    def train(model, optimizer, steps):
        losses = []
        for _ in range(steps):
            loss = (model(tl.randn(4, 3)) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    model, optimizer = start()
    expected = train(model, optimizer, 6)
    model, optimizer = start()
    assert train(model, optimizer, 3) == expected[:3]
    tl.save(
        {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "rng": tl.get_rng_state()}, tmp_path / "s"
    )
    model, optimizer = start()
    state = tl.load(tmp_path / "s")
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    tl.set_rng_state(state["rng"])
    assert train(model, optimizer, 3) == expected[3:]
