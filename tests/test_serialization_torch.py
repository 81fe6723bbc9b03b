"""tl.load on files of PyTorch: what torch.save wrote comes back, and hostile ones can neither run code nor exhaust memory."""

import argparse
import builtins
import collections
import contextlib
import io
import os
import pickle
import random
import tracemalloc
import zipfile

import numpy as np
import pytest

import tensorlite as tl
from tensorlite.errors import FileError

try:
    import torch
except ImportError:
    torch = None
needs_torch = pytest.mark.skipif(torch is None, reason="PyTorch is not installed")


def load(data, **kw):
    return tl.load(io.BytesIO(data), **kw)


def refused(data, text):
    with pytest.raises(FileError, match=text) as e:
        load(data)
    assert str(e.value).startswith("load: this file cannot be loaded: it") and len(str(e.value)) < 450


# ---------------------------------------------------------------- files of the real PyTorch
def saved(obj, **kw):
    file = io.BytesIO()
    torch.save(obj, file, **kw)
    return file.getvalue()


WAYS = [
    {"pickle_protocol": p, "_use_new_zipfile_serialization": new} for p in (2, 3, 4, 5) for new in (True, False)
]  # fmt: skip


@needs_torch
@pytest.mark.parametrize("how", WAYS, ids=str)
def test_what_torch_saved_comes_back(how):
    layer = torch.nn.Linear(2, 3)
    tied = torch.nn.Parameter(torch.arange(6.0))
    adam = torch.optim.Adam(layer.parameters())
    layer(torch.ones(2)).sum().backward()
    adam.step()
    obj = {
        "model": layer.state_dict(), "optimizer": adam.state_dict(), "tied": [tied, tied], "view": tied.data[2:4],
        "plain": [1, 2**70, -5, True, False, None, 0.1, "é", b"\0\xff", (), (1, (2,)), {3: {4}}, torch.Size([2, 3])],
        "count": collections.Counter("aab"), "device": torch.device("cpu"), "dtype": torch.bfloat16,
        "numbers": [np.float32(2.5), np.int64(-3), np.bool_(True)], "turned": torch.arange(6).reshape(2, 3).t(),
        "scalar": torch.tensor(3), "empty": torch.zeros(0, 3), "expanded": torch.ones(1).expand(4),
    }  # fmt: skip
    back = load(saved(obj, **how))
    assert list(back) == list(obj)
    for k, v in layer.state_dict().items():
        assert type(back["model"]) is collections.OrderedDict and back["model"][k].tolist() == v.tolist()
    assert back["model"]._metadata == layer.state_dict()._metadata
    assert back["optimizer"]["param_groups"] == adam.state_dict()["param_groups"]
    assert back["optimizer"]["state"][0]["exp_avg"].tolist() == adam.state_dict()["state"][0]["exp_avg"].tolist()
    a, b = back["tied"]
    assert a is b and a.requires_grad and not back["view"].requires_grad
    back["view"][0] = 9.0
    assert a.tolist() == [0, 1, 9, 3, 4, 5]
    assert back["plain"] == [*obj["plain"][:-1], tl.Size((2, 3))] and [type(v) for v in back["plain"][3:6]] == [
        bool, bool, type(None),
    ]  # fmt: skip
    assert back["count"] == obj["count"] and back["device"] is tl.device("cpu") and back["dtype"] is tl.bfloat16
    assert back["numbers"] == [2.5, -3, True] and [type(n) for n in back["numbers"]] == [float, int, bool]
    assert back["turned"].tolist() == obj["turned"].tolist() and back["turned"].stride() == (1, 3)
    assert back["scalar"].item() == 3 and back["empty"].shape == (0, 3) and back["expanded"].tolist() == [1] * 4


@needs_torch
@pytest.mark.parametrize(
    "name", ["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"]
)
def test_every_dtype(name):
    values = torch.tensor([0, 1, 3, 100]).to(getattr(torch, name))
    for how in WAYS[:2]:
        back = load(saved(values, **how))
        assert back.dtype is tl.backend.dtypes.as_dtype(name) and back.tolist() == values.tolist()


@needs_torch
def test_places_and_options(tmp_path, device):
    path, seen = tmp_path / "x.pth", []
    for new in (True, False):
        torch.save({"x": torch.arange(3.0), "y": torch.ones(2, 2).t()}, path, _use_new_zipfile_serialization=new)
        back = tl.load(path, map_location=device, weights_only=False, mmap=True)
        assert str(back["x"].device).startswith(device) and back["x"].tolist() == [0, 1, 2]
        assert tl.load(path, map_location=lambda t, where: seen.append(where))["y"].tolist() == [[1, 1], [1, 1]]
        assert tl.load(path, map_location={"cpu": device})["x"].device is tl.device(device).resolve()
    assert set(seen) == {"cpu"}


@needs_torch
def test_parameters_with_attributes_and_subclasses():
    p = torch.nn.Parameter(torch.ones(2))
    p.note = "kept by PyTorch"
    x = torch.ones(3)
    x.note = "too"
    back = load(saved([p, x, torch.nn.Buffer(torch.ones(1))]))
    assert back[0].requires_grad and [t.tolist() for t in back] == [[1, 1], [1, 1, 1], [1]]


class Runs:
    def __reduce__(self):
        return os.system, ("echo this must never run",)


@needs_torch
@pytest.mark.filterwarnings("ignore")
def test_what_is_refused_and_in_which_words():
    for make, text in {
        (lambda: {"a": Runs()}): r"asks for \w+\.system: refused, only tensors and containers are read$",
        (
            lambda: torch.nn.Linear(2, 3)
        ): r"asks for torch\.nn\.modules\.linear\.Linear: refused.*save model\.state_dict",
        (lambda: argparse.Namespace(a=1)): r"asks for argparse\.Namespace: refused.*safe_globals",
        (lambda: torch.ones(2, dtype=torch.complex64)): "holds complex numbers, which tensorlite has not",
        (lambda: torch.ones(2, dtype=torch.uint16)): "holds values of dtype torch.uint16",
        (lambda: torch.ones(2, dtype=torch.float8_e4m3fn)): "holds values of dtype torch.float8_e4m3fn",
        (lambda: torch.ones(2).to_sparse()): r"holds a sparse tensor; save x\.to_dense\(\)",
        (lambda: torch.ones(2, device="meta")): "a tensor without memory",
        (lambda: torch.ones(2).untyped_storage()): r"a bare torch storage \(save the tensor instead\)",
        (lambda: [np.ones(3)]): r"asks for numpy\.\w+\.multiarray\._reconstruct: refused",
        (lambda: [np.datetime64("2026")]): "a NumPy value of dtype 'M8': refused",
    }.items():
        refused(saved(make()), text)
    refused(pickle.dumps({"a": 1}), "but a pickle, which could run any code")


@needs_torch
def test_every_changed_byte_gives_a_tensor_or_a_file_error():
    rng = random.Random(0)
    for how in WAYS[:2]:
        data = saved({"x": torch.arange(6.0).reshape(2, 3), "n": 3}, **how)
        for i in range(0, len(data), 2):
            bad = bytearray(data)
            bad[i] ^= 1 << rng.randrange(8)
            with contextlib.suppress(FileError, tl.errors.DeviceError):
                load(bytes(bad))
        for i in range(0, len(data) - 1, 29):
            with pytest.raises(FileError):
                load(data[:i])


@needs_torch
def test_a_changed_weight_is_noticed_by_the_checksum_of_the_zip():
    data = saved(torch.full((64,), 7.25))
    where = data.index(np.float32(7.25).tobytes() * 64)
    refused(data[:where] + b"\1" + data[where + 1 :], "Bad CRC-32")


# ---------------------------------------------------------------- files made by hand
def word(value) -> bytes:
    """The words of a pickle that push a plain value."""
    return pickle.dumps(value, 2)[2:-1]


def call(name, *arguments) -> bytes:
    """The words that ask for name(*arguments); bytes among these are words already."""
    module, _, attribute = name.rpartition(".")
    parts = [a if isinstance(a, bytes) else word(a) for a in arguments]
    return b"c" + f"{module}\n{attribute}\n".encode() + b"(" + b"".join(parts) + b"tR"


def memory(count=6, key="0", kind="FloatStorage", where="cpu", *more) -> bytes:
    return (
        b"("
        + word("storage")
        + b"ctorch\n"
        + kind.encode()
        + b"\n"
        + b"".join(map(word, (key, where, count, *more)))
        + b"tQ"
    )


def tensor(offset=0, size=(6,), stride=(1,), storage=None) -> bytes:
    return call("torch._utils._rebuild_tensor_v2", storage or memory(), offset, size, stride, False, b"N")


def archive(words, how=zipfile.ZIP_STORED, **members) -> bytes:
    """A zip as PyTorch makes it, around the words of a pickle."""
    file = io.BytesIO()
    members = {"data/0": np.arange(6, dtype=np.float32).tobytes(), **members}
    with zipfile.ZipFile(file, "w", how) as z:
        z.writestr("archive/data.pkl", b"\x80\x02" + words + b".")
        for name, content in members.items():
            z.writestr(name[1:] if name[0] == "/" else f"archive/{name}", content)
    return file.getvalue()


def test_files_made_by_hand_load_where_nothing_is_wrong():
    assert load(archive(tensor())).tolist() == [0, 1, 2, 3, 4, 5]
    assert load(archive(tensor(1, (2, 2), (1, 2)))).tolist() == [[1, 3], [2, 4]]
    assert load(archive(tensor(6, (0, 3), (3, 1)))).shape == (0, 3)
    assert load(archive(tensor(5, (), ()))).item() == 5
    big = np.arange(6, dtype=">f4").tobytes()
    assert load(archive(tensor(), **{"data/0": big, "byteorder": "big"})).tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "offset, size, stride",
    [
        (1, (6,), (1,)), (0, (7,), (1,)), (0, (2,), (6,)), (7, (0,), (1,)), (-1, (1,), (1,)), (0, (2,), (-1,)), (0, (-2,), (1,)),
        (0, (2**62,), (0,)), (0, (2**40, 2**40), (0, 0)), (2**63, (1,), (1,)), (0, (2,), (2**63,)), (0, (6,), (1, 1)),
        (0, (True,), (1,)), (0.0, (1,), (1,)), ("0", (1,), (1,)), (0, 6, 1), (0, [6], [1]),
    ],
)  # fmt: skip
def test_tensors_outside_of_their_memory(offset, size, stride):
    refused(archive(tensor(offset, size, stride)), "loaded: its? ")


@pytest.mark.parametrize(
    "storage",
    [
        memory(7), memory(2**60), memory(-1), memory(key="1"), memory(key="../../etc/passwd"), memory(kind="ComplexFloatStorage"),
        memory(kind="QInt8Storage"), memory(kind="EvilStorage"), memory(6, "0", "FloatStorage", "cpu", ("1", 0, 2)),
        memory(6.0), word(3), word(None),
    ],
)  # fmt: skip
def test_memories_that_are_not_there(storage):
    refused(archive(tensor(storage=storage)), "loaded: its? ")


def test_bools_and_one_memory_of_two_dtypes():
    refused(
        archive(tensor(storage=memory(6, kind="BoolStorage")), **{"data/0": b"\0\1\2\0\0\0"}), "neither true nor false"
    )
    both = b"(" + tensor() + tensor(storage=memory(6, kind="IntStorage")) + b"t"
    refused(archive(both), "one memory of two dtypes")


CALLS = {
    "a function": call("os.system", "echo no"), "eval": call("builtins.eval", "1+1"), "old name": call("__builtin__.eval", "1"),
    "getattr": call("builtins.getattr", "x", "upper"), "our own": call("tensorlite.serialization.save", 1, "x"),
    "a dotted name": b"ctorch._utils\n_rebuild_tensor_v2.__globals__\n", "an import": call("torch.utils.cpp_extension.load", "x"),
    "a module of torch": call("torch.load", "x"), "unpickling": call("torch.storage._load_from_bytes", b"U\1x"),
    "a method of a string": word("x") + word(()) + b"R", "a dtype": call("torch.float32", 1),
    "a storage": call("torch.FloatStorage", 10**12), "a type": call("torch.Tensor", 10**12),
    "an instance": b"(ios\nsystem\n", "an object": b"(cos\nsystem\no", "an extension": b"\x82\1", "an id as text": b"P0\n",
    "a stacked name": word("os") + word("system") + b"\x93" + word(("no",)) + b"R",
    "a new object": b"cos\nsystem\n" + word(()) + b"\x81", "keywords": b"ccollections\nOrderedDict\n)}\x92",
    "a name alone": b"ccollections\nOrderedDict\n", "a name within": b"]ccollections\nOrderedDict\na",
    "a name as a key": b"}ccollections\nOrderedDict\nK\1s", "attributes of a tensor": tensor() + word({"array": 1}) + b"b",
    "attributes of a list": b"]" + word({"x": 1}) + b"b", "attributes of a dict": b"}" + word({"x": 1}) + b"b",
    "hidden in attributes": call("collections.OrderedDict") + b"}" + word("_metadata") + b"ccollections\nOrderedDict\nsb",
    "a subclass": call("torch._tensor._rebuild_from_type_v2", b"cos\nsystem\n", b"ctorch\nTensor\n", ("x",), None),
    "another subclass": call("torch._tensor._rebuild_from_type_v2", b"ctorch\nSize\n", b"ctorch\nTensor\n", (1,), None),
    "no tensor": call("torch._utils._rebuild_parameter", 3, True, None), "sizes": call("torch.Size", (1, "x")),
    "a device": call("torch.device", "nowhere" * 20) + b"0" + b"cos\nsystem\n", "a codec": call("_codecs.encode", "x", "rot13"),
    "a list as a key": b"}]K\1s", "a deep key": b"}" + b")" + b"\x85" * 100_000 + b"K\1s",
    "an endless key": b"}" + b")" + b"2\x86" * 100 + b"K\1s", "an endless set member": b"\x8f()" + b"2\x86" * 100 + b"\x90",
    "pairs": call("collections.OrderedDict", [([], 1)]), "items for a list": b"]K\1K\2s", "items for a number": b"K\1K\1a",
    "two results": b"K\1K\2", "no result": b"", "nothing to take": b"0", "an unknown memo": b"h\7", "no mark": b"t", "noise": b"\xff",
    "a long number": b"L" + b"9" * 10_000 + b"L\n", "a huge memo": b"Nr\xff\xff\xff\xff" + b"a",
    "bytes to come": b"\x8e" + b"\xff" * 7 + b"\x0f", "bytes of four gigabytes": b"B\xff\xff\xff\xffabc",
    "a buffer to come": b"\x96" + b"\xff" * 7 + b"\x0f", "text to come": b"\x8d" + b"\xff" * 6 + b"\0\0",
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_hostile_pickles(name, monkeypatch):
    def forbidden(*_, **__):
        raise AssertionError("a file ran code")

    for owner, attribute in (
        (os, "system"),
        (builtins, "eval"),
        (builtins, "exec"),
        (pickle, "Unpickler"),
        (pickle, "loads"),
    ):
        monkeypatch.setattr(owner, attribute, forbidden)
    data = archive(CALLS[name])
    tracemalloc.start()
    try:
        with pytest.raises((FileError, tl.errors.DeviceError)):
            load(data)
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()


def test_what_is_said_of_a_call():
    refused(archive(CALLS["a function"]), r"asks for os\.system: refused")
    refused(archive(CALLS["a method of a string"]), "asks for a call of a str: refused, no file is allowed to run code")
    refused(archive(CALLS["a name alone"]), r"contains collections\.OrderedDict as a value")


def test_hostile_archives():
    refused(archive(tensor(), zipfile.ZIP_DEFLATED), "declare more than the file holds")
    refused(archive(tensor(), **{"/other/data.pkl": b""}), "in several folders")
    refused(archive(tensor(), **{"constants.pkl": b""}), "is a TorchScript program")
    with pytest.warns(UserWarning, match="Duplicate"):
        twice = archive(tensor(), **{"/archive/data/0": b"\0" * 24})
    refused(twice, "two members have one name")


def test_hostile_old_files():
    head = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03." + pickle.dumps({"little_endian": True}, 2)
    numbers = np.arange(6, dtype=np.float32).tobytes()

    def old(words, keys=("0",), count=6, data=numbers):
        return head + b"\x80\x02" + words + b"." + pickle.dumps(list(keys), 2) + count.to_bytes(8, "little") + data

    good = tensor(storage=memory(6, "0", "FloatStorage", "cpu", None))
    assert load(old(good)).tolist() == [0, 1, 2, 3, 4, 5]
    for bad in (
        old(good, count=7), old(good, count=2**62), old(good, data=numbers[:-1]), old(good, keys=("1",)), old(good, keys=()),
        old(good, keys=("0", "0", "0")), old(CALLS["a function"]), old(tensor(storage=memory(2**40))), head, head + b"\x80\x02",
        old(b"(" + good + tensor(storage=memory(5)) + b"t"), head[:-5] + CALLS["a function"] + b".",
    ):  # fmt: skip
        refused(bad, "loaded: its? ")


# ---------------------------------------------------------------- classes that a user allows
class Config:
    def __init__(self):
        raise AssertionError("a file ran code")

    __setstate__ = __init__


def test_classes_that_a_user_allows():
    def words(state):
        return b"c" + f"{Config.__module__}\nConfig\n".encode() + b")\x81" + state + b"b"

    data = archive(words(b"}(" + word("lr") + word(0.1) + word("w") + tensor() + b"u"))
    refused(data, r"\.Config: refused")
    with tl.serialization.safe_globals([Config, print]):
        back = load(data)
        assert type(back) is Config and back.lr == 0.1 and back.w.tolist() == [0, 1, 2, 3, 4, 5]
        for bad in (
            words(b"}(K\1K\2u"),
            words(word([1])),
            call(f"{Config.__module__}.Config", 1),
            call("builtins.print", 1),
        ):
            refused(archive(bad), "loaded: its? ")
        refused(archive(words(b"}" + word("x") + b"ccollections\nOrderedDict\ns")), "as a value: refused")
    refused(data, r"\.Config: refused")
    tl.serialization.add_safe_globals([Config])
    assert tl.serialization.get_safe_globals() == [Config] and type(load(data)) is Config
    tl.serialization.clear_safe_globals()
    refused(data, r"\.Config: refused")
