"""Files of safetensors: written and read through the library, also by PyTorch's side of it; hostile headers are refused."""

import builtins
import io
import json
import os
import sys

import numpy as np
import pytest

import tensorlite as tl
from tensorlite.errors import ArgumentError, DTypeError, FileError, MissingExtraError
from tensorlite.serialization.safetensors import load, load_file, save, save_file

library = pytest.importorskip("safetensors")

DTYPES = ["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"]


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("shape", [(2, 3), (), (0, 3)])
def test_every_dtype_and_shape(name, shape, device, tmp_path):
    x = (tl.arange(6)[: int(np.prod(shape))].reshape(shape) % 5).to(tl.backend.dtypes.as_dtype(name))
    tl.save({"x": x}, tmp_path / "m.safetensors")
    for back in (
        tl.load(tmp_path / "m.safetensors"),
        load(save({"x": x})),
        load_file(tmp_path / "m.safetensors", device),
    ):
        assert back["x"].dtype is x.dtype and back["x"].shape == x.shape and back["x"].tolist() == x.tolist()
    assert back["x"].device is x.device


def test_layouts_metadata_and_order(tmp_path):
    x = tl.arange(6.0).reshape(2, 3)
    save_file({"b": x.t(), "a": tl.ones(4)[::2].clone().requires_grad_()}, tmp_path / "m.safetensors", {"format": "pt"})
    back = tl.load(io.BytesIO((tmp_path / "m.safetensors").read_bytes()))
    assert back["b"].tolist() == x.t().tolist() and back["a"].tolist() == [1, 1] and back["b"].is_contiguous()
    with library.safe_open(tmp_path / "m.safetensors", "np") as f:
        assert f.metadata() == {"format": "pt"}
    back["b"][0, 0] = 5.0  # its memory can be written
    assert os.listdir(tmp_path) == ["m.safetensors"]


def test_with_pytorch(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file as load_torch, save_file as save_torch

    theirs = {
        "w": torch.arange(6.0).reshape(2, 3),
        "h": torch.ones(3, dtype=torch.bfloat16) * 1.5,
        "n": torch.tensor(7),
    }
    save_torch(theirs, tmp_path / "a.safetensors", {"format": "pt"})
    mine = tl.load(tmp_path / "a.safetensors")
    assert {k: v.tolist() for k, v in mine.items()} == {k: v.tolist() for k, v in theirs.items()}
    tl.save(mine, tmp_path / "b.safetensors")
    assert all(torch.equal(v, theirs[k]) for k, v in load_torch(tmp_path / "b.safetensors").items())


def test_wrong_uses(tmp_path, monkeypatch):
    path, x = tmp_path / "m.safetensors", tl.ones(4)
    save_file({"x": x}, path)
    for wrong, kind, text in (
        ([x], DTypeError, "a dict from names to tensors is needed, not list"), ({"n": 3}, DTypeError, "'n' is 3; use a name without"),
        ({1: x}, DTypeError, "tensors by name only"), ({"a": x, "b": x[:2]}, ArgumentError, "'a' and 'b' share memory"),
    ):  # fmt: skip
        with pytest.raises(kind, match=text):
            tl.save(wrong, path)
    with pytest.raises(DTypeError, match="metadata is a dict from text to text"):
        save_file({"x": x}, path, {"n": 1})
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("no room")))
    with pytest.raises(OSError, match="no room"):
        save_file({"x": x * 2}, path)
    assert os.listdir(tmp_path) == ["m.safetensors"] and tl.load(path)["x"].tolist() == [1] * 4


def test_the_library_is_missing(tmp_path, monkeypatch):
    save_file({"x": tl.ones(1)}, tmp_path / "m.safetensors")
    monkeypatch.setitem(sys.modules, "safetensors", None)
    for use in (lambda: tl.load(tmp_path / "m.safetensors"), lambda: tl.save({}, tmp_path / "n.safetensors")):
        with pytest.raises(MissingExtraError, match=r"safetensors.*pip install 'tensorlite\[hub\]'"):
            use()
    assert os.listdir(tmp_path) == ["m.safetensors"]


# ---------------------------------------------------------------- hostile files
def made(header, data=b"\0" * 16, size=None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if size is None else size).to_bytes(8, "little") + text + data


def about(low, high, shape=(2,), dtype="F32", **more):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [low, high], **more}


HOSTILE = {
    "overlap": made({"a": about(0, 8), "b": about(4, 12)}), "twice": made({"a": about(0, 16, (4,)), "b": about(0, 16, (4,))}),
    "past the end": made({"a": about(0, 800, (200,))}), "reversed": made({"a": about(8, 0)}), "a hole": made({"a": about(8, 16)}),
    "another size": made({"a": about(0, 16, (3,))}), "negative": made({"a": about(0, 16, (-4,))}),
    "overflow": made({"a": about(0, 16, (2**62, 4))}), "more data": made({"a": about(0, 16, (4,))}, b"\0" * 20),
    "huge header": made({"a": about(0, 16, (4,))}, size=2**62), "long header": made({"a": about(0, 16, (4,))}, size=200),
    "no end": made(b'{"a": '), "not a dict": made(b"{1}"), "no shape": made({"a": {"dtype": "F32", "data_offsets": [0, 16]}}),
    "deep": made(b'{"a":' + b"[" * 100_000), "two of one name": made(b'{"a":%s,"a":%s}' % ((json.dumps(about(0, 16, (4,))).encode(),) * 2)),
    "unknown dtype": made({"a": about(0, 16, (4,), "F77")}), "complex": made({"a": about(0, 16, (2,), "C64")}),
    "float8": made({"a": about(0, 16, (16,), "F8_E4M3")}), "bad bools": made({"a": about(0, 16, (16,), "BOOL")}, b"\2" * 16),
    "metadata": made({"__metadata__": {"a": 1}, "a": about(0, 16, (4,))}),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_headers(name, tmp_path, monkeypatch):
    path = tmp_path / "m.safetensors"
    path.write_bytes(HOSTILE[name])
    monkeypatch.setattr(builtins, "eval", None)
    for read in (
        lambda: tl.load(path),
        lambda: tl.load(io.BytesIO(HOSTILE[name])),
        lambda: load_file(path),
        lambda: load(HOSTILE[name]),
    ):
        with pytest.raises(FileError, match=r"^load: .* cannot be loaded: its? ") as e:
            read()
        assert len(str(e.value)) < 500
    assert tl.load(io.BytesIO(made({"a": about(0, 16, (4,))})))["a"].tolist() == [0] * 4


def test_every_truncation_is_noticed():
    data = save({"x": tl.ones(3), "y": tl.ones(2)})
    for i in range(len(data)):
        with pytest.raises(FileError):
            tl.load(io.BytesIO(data[:i]))
