"""Containers of parameters: ParameterList, ParameterDict."""

from tensorlite import errors
from tensorlite.nn.module import Module
from tensorlite.nn.parameter import Parameter
from tensorlite.tensor import Tensor

__all__ = ["ParameterDict", "ParameterList"]


def _kept(value):
    """Tensors become Parameters, as in PyTorch; anything else is kept as it is."""
    return Parameter(value) if isinstance(value, Tensor) and not isinstance(value, Parameter) else value


def _lines(pairs, kind):
    """PyTorch's text; `kind(tensor)` is what stands for the dtype."""
    lines = []
    for name, value in pairs:
        text = f"Object of type: {type(value).__name__}"
        if isinstance(value, Tensor):
            what, size = "Parameter" if isinstance(value, Parameter) else "Tensor", "x".join(map(str, value.shape))
            where = f" ({value.device})" if value.device.type == "cuda" else ""
            text = f"{what} containing: [{kind(value)} of size {size}{where}]"
        lines.append(f"  ({name}): {text}")
    return "\n".join(lines)


class ParameterList(Module):
    """A list of parameters that are known to the module that holds it; a Tensor put in becomes a Parameter.

    Example:
        >>> import tensorlite as tl
        >>> [name for name, _ in tl.nn.ParameterList([tl.zeros(2), tl.ones(3)]).named_parameters()]
        ['0', '1']
    """

    def __init__(self, values=None):
        super().__init__()
        self._size = 0
        self.extend(values or ())

    def _place(self, index):
        index = index.__index__()
        if not -self._size <= index < self._size:
            raise errors.IndexRangeError(f"ParameterList: index {index} is out of range, it has {self._size} values")
        return str(index % self._size)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return type(self)(list(self)[index])
        return getattr(self, self._place(index))

    def __setitem__(self, index, value):
        setattr(self, self._place(index), _kept(value))

    def __len__(self):
        return self._size

    def __iter__(self):
        return (getattr(self, str(i)) for i in range(self._size))

    def __iadd__(self, values):
        return self.extend(values)

    def append(self, value):
        """Add a value at the end; returns self."""
        self._size += 1
        self[self._size - 1] = value
        return self

    def extend(self, values):
        """Add several values at the end; returns self."""
        if isinstance(values, Tensor) or not hasattr(values, "__iter__"):
            raise errors.DTypeError(f"ParameterList: several values are needed, not {type(values).__name__}")
        for value in list(values):
            self.append(value)
        return self

    def __dir__(self):
        return [name for name in super().__dir__() if not name.isdigit()]

    def __call__(self, *args, **kwargs):
        raise errors.TensorliteError("ParameterList is not called: it only holds parameters")

    def extra_repr(self):
        return _lines(enumerate(self), lambda v: v.dtype)


class ParameterDict(Module):
    """A dict of parameters that are known to the module that holds it; a Tensor put in becomes a Parameter.

    Example:
        >>> import tensorlite as tl
        >>> p = tl.nn.ParameterDict({"a": tl.zeros(2)})
        >>> p["b"] = tl.ones(3)
        >>> list(p.state_dict())
        ['a', 'b']
    """

    def __init__(self, parameters=None):
        super().__init__()
        self._keys = {}  # as an ordered set
        self.update(parameters or {})

    def __getitem__(self, key):
        if key not in self._keys:
            raise KeyError(f"ParameterDict has no {key!r}; it has {', '.join(self._keys)}")
        return getattr(self, key)

    def __setitem__(self, key, value):
        if not isinstance(key, str):
            raise errors.DTypeError(f"ParameterDict: a key must be a string, not {type(key).__name__}")
        if key not in self._keys and hasattr(type(self), key):
            raise errors.ArgumentError(f"ParameterDict: the name {key!r} is taken by an attribute of the class")
        self._keys[key] = None
        setattr(self, key, _kept(value))

    def __delitem__(self, key):
        del self._keys[key]
        delattr(self, key)

    def __len__(self):
        return len(self._keys)

    def __iter__(self):
        return iter(list(self._keys))

    def __reversed__(self):
        return reversed(list(self._keys))

    def __contains__(self, key):
        return key in self._keys

    def __or__(self, other):
        out = self.copy()
        out.update(other)
        return out

    def __ror__(self, other):
        out = type(self)(other)
        out.update(self)
        return out

    def __ior__(self, other):
        self.update(other)
        return self

    def copy(self):
        """Another ParameterDict of the same parameters."""
        return type(self)(dict(self.items()))

    def setdefault(self, key, default=None):
        """The value of `key`; if it is missing, `default` is put there first."""
        if key not in self:
            self[key] = default
        return self[key]

    def get(self, key, default=None):
        """The value of `key`, or `default`."""
        return self.get(key, default)

    def fromkeys(self, keys, default=None):
        """A new ParameterDict with `default` for each of `keys`."""
        return type(self)(dict.fromkeys(keys, default))

    def pop(self, key):
        """Take out the value of `key` and return it."""
        value = self[key]
        del self[key]
        return value

    def popitem(self):
        """Take out the last (key, value) and return it."""
        key = next(reversed(self))
        return key, self.pop(key)

    def clear(self):
        """Take out everything."""
        for key in self:
            del self[key]

    def update(self, parameters):
        """Put in all of a dict, or of (key, value) pairs."""
        for key, value in parameters.items() if hasattr(parameters, "items") else parameters:
            self[key] = value

    def keys(self):
        """The keys."""
        return self._keys.keys()

    def values(self):
        """The values."""
        return [self[key] for key in self._keys]

    def items(self):
        """(key, value) pairs."""
        return [(key, self[key]) for key in self._keys]

    def __call__(self, *args, **kwargs):
        raise errors.TensorliteError("ParameterDict is not called: it only holds parameters")

    def extra_repr(self):
        return _lines(self.items(), lambda v: v.type())
