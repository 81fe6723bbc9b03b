"""default_collate and default_convert against PyTorch's, and their refusals."""

import collections
import re

import numpy as np
import pytest
from data_helpers import Pair, plain, t, torch_data, translate

import tensorlite as tl
from tensorlite.utils import data

# ---------------------------------------------------------------- collation
BATCHES = {
    "tensors": [t([1, 2]), t([3, 4])],
    "int8": [t([1, 2], "int8"), t([3, 4], "int8")],
    "0-d tensors": [t(1), t(2)],
    "empty tensors": [t(np.zeros((0, 3))), t(np.zeros((0, 3)))],
    "dtypes mixed": [t([1], "int64"), t([2.5], "float64")],
    "arrays": [np.ones((2, 3)), np.zeros((2, 3))],
    "uint8 arrays": [np.arange(3, dtype=np.uint8)] * 2,
    "NumPy numbers": [np.float32(1.5), np.float32(2.5)],
    "NumPy doubles, which are floats": [np.float64(1.5), np.float64(2.5)],
    "NumPy ints": [np.int16(1), np.int16(2)],
    "NumPy bools": [np.bool_(True), np.bool_(False)],
    "floats": [0.5, 1.5],
    "ints": [1, 2, 3],
    "bools": [True, False],
    "texts": ["a", "bc"],
    "NumPy texts": [np.str_("a"), np.str_("b")],
    "bytes": [b"a", b"bc"],
    "tuples": [(t([1]), 2, "x"), (t([2]), 3, "y")],
    "lists": [[1, 2.5], [3, 4.5]],
    "named tuples": [Pair(1, t([2])), Pair(3, t([4]))],
    "dicts": [{"a": 1, "b": t([1.0])}, {"a": 2, "b": t([2.0])}],
    "dicts with more keys": [{"a": 1}, {"a": 2, "b": 3}],
    "ordered dicts": [collections.OrderedDict(b=1, a=2), collections.OrderedDict(a=3, b=4)],
    "deep": [{"a": [(1, {"b": np.ones(2)})]}, {"a": [(2, {"b": np.ones(2)})]}],
    "ranges": [range(3), range(1, 4)],
    "one": [(1, t([1]))],
    "empty lists": [[], []],
}


@pytest.mark.parametrize("name", BATCHES)
def test_default_collate(name):
    torch, torch_utils = torch_data()
    batch = BATCHES[name]
    ours, theirs = data.default_collate(translate(batch, tl)), torch_utils.default_collate(translate(batch, torch))
    assert plain(ours) == plain(theirs)


CONVERTED = {
    "array": np.ones((2, 2)),
    "number": np.float32(2.5),
    "tensor": t([1]),
    "texts in an array": np.array(["a", "b"]),
    "python": (1, 2.5, "a", b"b", None),
    "nested": {"a": [np.ones(1), (np.int8(1), "x")], "b": Pair(np.zeros(2), 3)},
    "ordered": collections.OrderedDict(a=np.ones(1)),
}


@pytest.mark.parametrize("name", CONVERTED)
def test_default_convert(name):
    torch, torch_utils = torch_data()
    value = CONVERTED[name]
    ours, theirs = data.default_convert(translate(value, tl)), torch_utils.default_convert(translate(value, torch))
    assert plain(ours) == plain(theirs)


def test_convert_shares_memory_and_collate_keeps_mutable_types():
    a = np.zeros(2)
    data.default_convert(a)[0] = 3
    assert a[0] == 3

    class Record(collections.UserDict):
        pass

    class Row(collections.UserList):
        pass

    made = data.default_collate([Record(a=Row([1, 2])), Record(a=Row([3, 4]))])
    assert type(made) is Record and type(made["a"]) is Row and made["a"][1].tolist() == [2, 4]


STACK, KINDS = (
    "stack expects each tensor to be equal size, but got",
    "batch must contain tensors, numpy arrays, numbers, dicts or lists",
)
UNFIT = {  # samples: what both errors say
    "unequal tensors": ([t([1, 2]), t([1, 2, 3])], f"{STACK} [2] at entry 0 and [3] at entry 1"),
    "unequal arrays": ([np.ones(2), np.ones((2, 1))], f"{STACK} [2] at entry 0 and [2, 1] at entry 1"),
    "unequal lists": ([[1, 2], [1]], "each element in list of batch should be of equal size"),
    "None": ([None, None], f"default_collate: {KINDS}; found <class 'NoneType'>"),
    "sets": ([{1}, {2}], f"default_collate: {KINDS}; found <class 'set'>"),
    "texts in arrays": ([np.array(["a"])] * 2, f"default_collate: {KINDS}; found <U1"),
    "a key is missing": ([{"a": 1}, {"b": 1}], "a"),
}  # fmt: skip


@pytest.mark.parametrize("name", UNFIT)
def test_collate_refuses(name):
    torch, torch_utils = torch_data()
    batch, text = UNFIT[name]
    with pytest.raises(Exception, match=re.escape(text)) as theirs:
        torch_utils.default_collate(translate(batch, torch))
    with pytest.raises(theirs.type, match=re.escape(text)):
        data.default_collate(translate(batch, tl))


def test_collate_records_gradients(device):
    x = tl.ones(3, requires_grad=True)
    batch = data.default_collate([(x, 1), (2 * x, 2)])
    (batch[0] * tl.tensor([[1.0], [10.0]])).sum().backward()
    assert x.grad.tolist() == [21.0] * 3 and batch[0].device == x.device and batch[1].device == x.device


def test_collate_by_a_table_of_ones_own():
    from tensorlite.data.collate import collate, default_collate_fn_map

    table = {**default_collate_fn_map, tl.Tensor: lambda batch, *, collate_fn_map: tl.cat(batch)}
    a, b = collate([(tl.ones(1), np.ones(2)), (tl.ones(2), np.ones(3))], collate_fn_map=table)
    assert a.shape == (3,) and b.shape == (5,)  # arrays become tensors, and those are joined
