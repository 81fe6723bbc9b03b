"""tl.load against damage and malice: every changed byte is noticed, and no file can run code, exhaust memory or reach out."""

import builtins
import io
import json
import random
import struct
import zipfile

import pytest
from test_serialization import same, saved

import tensorlite as tl
from tensorlite.errors import DeviceError, FileError
from tensorlite.serialization import writer


# ---------------------------------------------------------------- files made by hand
def sealed(build) -> bytes:
    """A zip made by `build(archive)`, with the checksum that a real file has."""
    file = io.BytesIO()
    hashed = writer.Hashed(file)
    with zipfile.ZipFile(hashed, "w") as archive:
        archive.comment = writer.MARK + b"0" * 64
        build(archive)
    hashed.finish()
    return file.getvalue()


def rebuilt(data, change=lambda tree: None, members=None, more=()) -> bytes:
    """A saved file with a changed tree, and members replaced or added."""
    old = zipfile.ZipFile(io.BytesIO(data))
    tree = json.loads(old.read("tree.json"))
    tree = change(tree) or tree

    def build(archive):
        archive.writestr("tree.json", tree if isinstance(tree, (str, bytes)) else json.dumps(tree))
        for name in old.namelist()[1:]:
            archive.writestr(name, (members or {}).get(name, old.read(name)))
        for name, content, *how in more:
            archive.writestr(name, content, *how)

    return sealed(build)


# ---------------------------------------------------------------- damage
SAMPLE = {"step": 3, "x": tl.arange(6.0).reshape(2, 3), "b": b"bytes", "y": tl.ones(2, dtype=tl.int64)}


def test_every_changed_byte_is_noticed():
    data, rng = saved(SAMPLE), random.Random(0)
    for i in range(len(data)):
        bad = bytearray(data)
        bad[i] ^= 1 << rng.randrange(8)
        with pytest.raises(FileError, match=r"^load: this file cannot be loaded: it "):
            tl.load(io.BytesIO(bytes(bad)))


def test_every_truncation_and_addition_is_noticed():
    data = saved(SAMPLE)
    for i in [*range(0, len(data), 5), len(data) - 1]:
        with pytest.raises(FileError):
            tl.load(io.BytesIO(data[:i]))
    for bad in (data + b"\0", b"\0" + data, data + data):
        with pytest.raises(FileError):
            tl.load(io.BytesIO(bad))


def test_what_is_said(tmp_path):
    path = tmp_path / "checkpoint"
    for content, text in {
        b"": "it is not a file written by tl.save",
        b"hello, I am a text file": "it is not a file written by tl.save",
        saved(SAMPLE)[:-30]: "it was not written by tl.save, or it is cut off or damaged",
        saved(SAMPLE)[:-1] + b"x": "it is damaged: its checksum does not agree with its contents",
    }.items():
        path.write_bytes(content)
        with pytest.raises(FileError) as e:
            tl.load(path)
        assert str(e.value) == f"load: {str(path)!r} cannot be loaded: {text}"


# ---------------------------------------------------------------- hostile files, with the right checksum
def npy(header: str, data=b"", version=b"\1\0") -> bytes:
    text = header.encode() + b" " * (-(10 + len(header) + 1) % 64) + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H", len(text)) + text + data


def refused(data, text="cannot be loaded"):
    with pytest.raises(FileError, match=text) as e:
        tl.load(io.BytesIO(data))
    assert str(e.value).startswith("load: this file cannot be loaded: it ") and len(str(e.value)) < 400


def member(content):
    return rebuilt(saved(tl.ones(4)), members={"data/0.npy": content})


def test_rebuilt_files_load_where_nothing_is_wrong():
    assert same(tl.load(io.BytesIO(rebuilt(saved(SAMPLE)))), SAMPLE)
    assert tl.load(
        io.BytesIO(member(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", b"\0" * 8)))
    ).tolist() == [0, 0]


def test_hostile_members():
    huge = "{'descr': '<f4', 'fortran_order': False, 'shape': (%s,), }"
    refused(member(npy(huge % (1 << 60), b"\0" * 16)), "declares the shape")
    refused(member(npy(huge % "1000000, 1000000, 1000000, 1000000", b"")), "declares the shape")
    refused(member(npy(huge % 3, b"\0" * 16)), "declares the shape")
    refused(member(npy(huge % "-1, -4", b"\0" * 16)), "declares the shape")
    refused(member(npy(huge % "2.0", b"\0" * 8)))
    refused(member(npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", b"cos\nsystem\n")), "not numbers")
    refused(member(npy("{'descr': '<U4', 'fortran_order': False, 'shape': (1,), }", b"\0" * 16)), "not numbers")
    refused(
        member(npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (4,), }", b"\0" * 16)), "not numbers"
    )
    refused(member(npy("{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }", b"\0" * 16)), "stored as float64")
    refused(member(npy("__import__('os').abort()", b"")))
    refused(member(npy("{'shape': (1,)}", b"")))
    refused(member(npy("(" * 5000, b"")))
    refused(member(npy(huge % 1, b"\0" * 4, version=b"\3\0")), "another .npy version")
    refused(member(b"not an array"))
    refused(member(b""))


def test_hostile_archives():
    data = saved(tl.ones(4))
    refused(rebuilt(data, more=[("../../evil.py", b"x")]), "a member is called '../../evil.py'")
    refused(rebuilt(data, more=[("/etc/passwd", b"x")]), "a member is called '/etc/passwd'")
    refused(rebuilt(data, more=[("data/7.npy", b"x")]), "a member is called")
    refused(
        rebuilt(data, more=[("data/1.npy", b"\0" * 10_000_000, zipfile.ZIP_DEFLATED)]), "declare more than the file"
    )
    with pytest.warns(UserWarning, match="Duplicate name"):
        double = rebuilt(data, more=[("tree.json", b"1")])
    refused(double, r"a member is called|two members")
    refused(sealed(lambda archive: None))
    refused(sealed(lambda archive: archive.writestr("other", b"x")), "a member is called 'other'")


def tree(text):
    return sealed(lambda archive: archive.writestr("tree.json", text))


TREES = {
    "not JSON": "{", "nothing": "", "no object": "[]", "a number": "3", "not text": b"\xff\xfe\x00",
    "deep": "[" * 200_000, "nan": '{"format": "tensorlite", "version": 1, "tensors": [], "tree": NaN}',
    "many digits": '{"format": "tensorlite", "version": 1, "tensors": [], "tree": ' + "9" * 100_000 + "}",
    "other format": '{"format": "other", "version": 1, "tensors": [], "tree": 1}', "keys missing": '{"tree": 1}',
}  # fmt: skip


@pytest.mark.parametrize("name", TREES)
def test_hostile_trees(name):
    refused(tree(TREES[name]))


CONTENTS = [
    {"eval": "1"}, {"__init__": []}, {"decode": 1}, {"memory": 0}, {"archive": 1}, {"tuple": 3}, {"tuple": [1], "int": "0x1"}, {},
    {"int": "xyz"}, {"int": 3}, {"float": "00"}, {"float": "zz" * 8}, {"bytes": "!!"}, {"bytes": 5}, {"dtype": "object"},
    {"dtype": "os.system"}, {"size": "ab"}, {"size": [1.5]}, {"dict": [[[1], 2]]}, {"dict": [[1, 2, 3]]}, {"dict": 1},
    {"tensor": []}, {"tensor": [5, 0, False]}, {"tensor": ["x", 0, False]}, {"tensor": [0, [], False]}, {"tensor": [-9, 0, 0]},
    {"dict": [[{"tensor": [0, 0, False]}, 1], [{"dict": []}, 1]]},
]  # fmt: skip


@pytest.mark.parametrize("content", CONTENTS, ids=str)
def test_hostile_contents(content):
    refused(rebuilt(saved(tl.ones(4)), lambda t: {**t, "tree": [content]}))


RECORDS = [
    {"file": -1}, {"file": 10**30}, {"file": "../0"}, {"dtype": "float64"}, {"dtype": "O"}, {"file": 0.5},
    {"view": [0, [4], [4]], "dtype": "int64"}, {"view": [8, [4], [4]]}, {"view": [-4, [1], [4]]}, {"view": [0, [4], [-4]]},
    {"view": [0, [1 << 40], [4]]}, {"view": [0, [4, 1 << 62], [4, 1 << 62]]}, {"view": [0, [4]]}, {"view": [0, [-4], [4]]},
    {"view": "x"}, {"view": [1 << 70, [1], [1]]},
]  # fmt: skip


@pytest.mark.parametrize("record", RECORDS, ids=str)
def test_hostile_records(record):
    refused(rebuilt(saved(tl.ones(4)), lambda t: t["tensors"][0].update(record)))


def test_a_newer_version_is_named():
    refused(
        rebuilt(saved(1), lambda t: {**t, "version": 2}), "of format version 2, this tensorlite knows up to 1; update"
    )


def test_nothing_is_ever_executed(monkeypatch):
    """Loading never reaches pickle, eval, exec or an import by name."""
    for name in ("eval", "exec", "__import__"):
        real = getattr(builtins, name)

        def watch(*a, name=name, real=real, **k):
            assert name == "__import__" and a[0].split(".")[0] not in ("pickle", "evil"), (name, a)
            return real(*a, **k)

        monkeypatch.setattr(builtins, name, watch)
    monkeypatch.setattr("pickle.load", None)
    monkeypatch.setattr("pickle.loads", None)
    back = tl.load(io.BytesIO(saved(SAMPLE)))
    refused(member(npy("__import__('evil')", b"")))
    monkeypatch.undo()
    assert same(back, SAMPLE)


def on_device(name):
    data = saved(tl.ones(2))
    return rebuilt(data, lambda tree: tree["tensors"][0].update(device=name))


def test_a_device_that_is_not_there():
    with pytest.raises(DeviceError, match=r"load: .*it was saved on cuda:63: pass map_location='cpu' to load it there"):
        tl.load(io.BytesIO(on_device("cuda:63")))
    assert tl.load(io.BytesIO(on_device("cuda:63")), map_location="cpu").tolist() == [1, 1]
    with pytest.raises(DeviceError, match="unknown device 'abacus'"):
        tl.load(io.BytesIO(saved(tl.ones(2))), map_location="abacus")
