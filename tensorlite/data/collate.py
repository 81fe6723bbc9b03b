"""Collation: from a list of samples to a batch. Tensors are stacked, numbers become tensors, containers keep their form."""

import copy
from collections.abc import Mapping, MutableMapping, MutableSequence, Sequence

from tensorlite import errors
from tensorlite.backend import dtypes, host
from tensorlite.creation import as_tensor, tensor
from tensorlite.ops.shape import stack
from tensorlite.tensor import Tensor, wrap

__all__ = ["collate", "default_collate", "default_collate_fn_map", "default_convert"]


def default_convert(data):
    """NumPy arrays and numbers in `data` as tensors that share their memory; all else stays. Used where there are no batches.

    Example:
        >>> import numpy as np, tensorlite as tl
        >>> tl.utils.data.default_convert({"x": np.ones(2), "name": "a"})
        {'x': tensor([1., 1.], dtype=tensorlite.float64), 'name': 'a'}
    """
    if isinstance(data, _ARRAYS + _SCALARS):
        return data if data.dtype.kind in "USOV" else as_tensor(data)
    if isinstance(data, Mapping):
        return _mapping(data, {key: default_convert(value) for key, value in data.items()})
    if _is_namedtuple(data):
        return type(data)(*(default_convert(value) for value in data))
    if isinstance(data, tuple):
        return [default_convert(value) for value in data]  # a list, as in PyTorch
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return _sequence(data, [default_convert(value) for value in data])
    return data


def default_collate(batch):
    """A list of samples as one batch, with a new first dimension.

    Tensors, and NumPy arrays as tensors: stacked; floats: a float64 tensor, ints an int64, bools a bool one; str and bytes: as
    they stand; dicts: a dict of batches; named tuples: one of batches; tuples and lists: a list of batches.

    Raises:
        ShapeError: tensors (or sequences) of unequal size. DTypeError: samples of another type.
        KeyError: a dict lacks a key of the first one.

    Example:
        >>> import tensorlite as tl
        >>> tl.utils.data.default_collate([(0.5, {"x": tl.zeros(2)}), (1.5, {"x": tl.ones(2)})])
        [tensor([0.5000, 1.5000], dtype=tensorlite.float64), {'x': tensor([[0., 0.],
                [1., 1.]])}]
    """
    return collate(batch, collate_fn_map=default_collate_fn_map)


def collate(batch, *, collate_fn_map=None):
    """default_collate with a table of one's own: {type or tuple of types: function(batch, *, collate_fn_map)}.

    The table is asked first, by exact type and then by isinstance in its order; the rules for containers come after it.

    Example:
        >>> import tensorlite as tl
        >>> from tensorlite.data.collate import collate, default_collate_fn_map
        >>> table = {set: lambda batch, *, collate_fn_map: set().union(*batch), **default_collate_fn_map}
        >>> collate([({1}, 2), ({3}, 4)], collate_fn_map=table)
        [{1, 3}, tensor([2, 4])]
    """
    first = batch[0]
    table = collate_fn_map or {}
    if type(first) in table:
        return table[type(first)](batch, collate_fn_map=table)
    for kind, function in table.items():
        if isinstance(first, kind):
            return function(batch, collate_fn_map=table)
    if isinstance(first, Mapping):
        return _mapping(first, {key: collate(_values(batch, key), collate_fn_map=table) for key in first})
    if isinstance(first, Sequence):
        columns = [collate(column, collate_fn_map=table) for column in _columns(batch)]
        if _is_namedtuple(first):
            return type(first)(*columns)
        return columns if isinstance(first, tuple) else _sequence(first, columns)
    raise _refused(type(first))


def _values(batch, key):
    for number, sample in enumerate(batch):
        if key not in sample:
            raise KeyError(f"default_collate: sample {number} of the batch has no key {key!r}, which sample 0 has")
    return [sample[key] for sample in batch]


def _columns(batch):
    sizes = [len(sample) for sample in batch]
    for number, size in enumerate(sizes):
        if size != sizes[0]:
            raise errors.ShapeError(
                "default_collate: each element in list of batch should be of equal size, "
                f"but sample 0 has {sizes[0]} parts and sample {number} has {size}; pass a collate_fn that pads them"
            )
    return zip(*batch)


def _is_namedtuple(value):
    return isinstance(value, tuple) and hasattr(value, "_fields")


def _mapping(like, items):
    """`items` as a mapping of the type of `like`, or as a dict where that cannot be made."""
    try:
        if isinstance(like, MutableMapping):
            made = copy.copy(like)
            made.update(items)
            return made
        return type(like)(items)
    except TypeError:
        return items


def _sequence(like, items):
    """`items` as a sequence of the type of `like`, or as a list where that cannot be made."""
    if type(like) is list:
        return items
    try:
        if isinstance(like, MutableSequence):
            made = copy.copy(like)
            for number, item in enumerate(items):
                made[number] = item
            return made
        return type(like)(items)
    except TypeError:  # of a range, say
        return items


def _refused(kind):
    return errors.DTypeError(
        f"default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {kind}; "
        "convert it in the dataset, or pass a collate_fn"
    )


# ---------------------------------------------------------------- by type
def _collate_tensors(batch, *, collate_fn_map=None):
    arrays, device = [t.array for t in batch], batch[0].device
    _check_equal(arrays)
    dtypes_, devices = [a.dtype for a in arrays], [t.device for t in batch]
    if any(t.node is not None for t in batch) or not (_all_equal(dtypes_) and _all_equal(devices)):
        return stack(batch, 0)
    b = device.backend  # nothing to record: one copy, many times quicker than the operation
    return wrap(b.xp.stack([b.as_array(a) for a in arrays]), device)


def _collate_arrays(batch, *, collate_fn_map=None):
    if batch[0].dtype.kind in "USOV":
        raise _refused(batch[0].dtype)
    if (collate_fn_map or {}).get(Tensor) is not _collate_tensors:
        return collate([as_tensor(sample) for sample in batch], collate_fn_map=collate_fn_map)
    _check_equal(batch)
    return as_tensor(host().xp.stack(batch))


def _all_equal(values):
    return values.count(values[0]) == len(values)


def _check_equal(arrays):
    shapes = [a.shape for a in arrays]
    if not _all_equal(shapes):
        number = next(i for i, shape in enumerate(shapes) if shape != shapes[0])
        raise errors.ShapeError(
            f"stack expects each tensor to be equal size, but got {list(shapes[0])} at entry 0 and {list(shapes[number])} "
            f"at entry {number}; make them equal in the dataset, or pass a collate_fn that pads them"
        )


def _collate_scalars(batch, *, collate_fn_map=None):
    return as_tensor(host().xp.asarray(batch))


def _collate_floats(batch, *, collate_fn_map=None):
    return tensor(batch, dtype=dtypes.float64)


def _collate_ints(batch, *, collate_fn_map=None):
    return tensor(batch)


def _collate_texts(batch, *, collate_fn_map=None):
    return batch


_ARRAYS, _SCALARS = (host().xp.ndarray,), (host().xp.bool_, host().xp.number)
default_collate_fn_map = {
    Tensor: _collate_tensors,
    _ARRAYS: _collate_arrays,
    _SCALARS: _collate_scalars,
    float: _collate_floats,
    int: _collate_ints,
    str: _collate_texts,
    bytes: _collate_texts,
}
