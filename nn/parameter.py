"""Parameter and Buffer: tensors that a Module takes note of when they are assigned to it; those of lazy layers; a change of all."""

from tensorlite import errors
from tensorlite.creation import empty, tensor
from tensorlite.tensor import Tensor, wrap


class Parameter(Tensor):
    """A tensor to be trained: it requires grad, and assigning it to a Module registers it. Shares the memory of `data`.

    Example:
        >>> import tensorlite as tl
        >>> tl.nn.Parameter(tl.zeros(2)).requires_grad
        True
    """

    def __new__(cls, data=None, requires_grad=True):
        data = tensor([]) if data is None else data
        if not isinstance(data, Tensor):
            raise errors.DTypeError(f"Parameter: data must be a Tensor, not {type(data).__name__}; use tl.tensor(...)")
        self = object.__new__(cls)
        self.array, self.device = data.device.backend.as_array(data.array), data.device
        self.node, self._v = None, None
        return self.requires_grad_() if requires_grad else self


class Buffer(Tensor):
    """A tensor that belongs to a Module's state but is not trained; `persistent=False` keeps it out of state_dict."""

    def __new__(cls, data=None, persistent=True):
        self = Parameter.__new__(cls, data, requires_grad=False)
        self.persistent = persistent
        return self


class Uninitialized:
    """What UninitializedParameter and UninitializedBuffer share: dtype and device are known, the shape is not yet."""

    cls_to_become = None

    def _refuse(self):
        raise errors.TensorliteError(
            f"{type(self).__name__}: this tensor of a lazy layer has no shape and no values yet; "
            "call the model once with an input like the later ones"
        )

    array = property(_refuse, lambda self, value: Tensor.array.__set__(self, value))
    dtype = property(lambda self: self.data.dtype)

    @property
    def data(self) -> Tensor:
        """An empty tensor of the dtype and on the device that the values will have; assigning one changes these."""
        return wrap(Tensor.array.__get__(self), self.device)

    @data.setter
    def data(self, value):
        self.array, self.device = value.array, value.device
        if self.node is not None:
            self.node.dtype, self.node.device = value.array.dtype, value.device

    def materialize(self, shape, device=None, dtype=None) -> None:
        """Become a parameter (or buffer) of this shape, with values that are still to be set."""
        like, shape = self.data, (shape,) if hasattr(shape, "__index__") else shape
        values = empty(*shape, device=device or like.device, dtype=dtype or like.dtype)
        self.__class__ = self.cls_to_become
        self.data = values

    def __deepcopy__(self, memo):
        memo[id(self)] = copied = _uninitialized(type(self), self.requires_grad, self.device, self.dtype, self.__dict__)
        return copied

    def __reduce_ex__(self, protocol):
        return _uninitialized, (type(self), self.requires_grad, str(self.device), self.dtype, self.__dict__)

    def __repr__(self):
        return f"<{type(self).__name__}>"


class UninitializedParameter(Uninitialized, Parameter):
    """A Parameter whose shape is found out at the first forward of its lazy layer; everything else it refuses.

    Example:
        >>> import tensorlite as tl
        >>> p = tl.nn.UninitializedParameter()
        >>> p.materialize((2, 3)); p.shape, type(p).__name__
        ((2, 3), 'Parameter')
    """

    cls_to_become = Parameter

    def __new__(cls, requires_grad=True, device=None, dtype=None):
        self = Parameter(empty(0, device=device, dtype=dtype), requires_grad)
        self.__class__ = cls
        return self


class UninitializedBuffer(Uninitialized, Buffer):
    """A buffer whose shape is found out at the first forward of its lazy layer."""

    cls_to_become = Buffer

    def __new__(cls, requires_grad=False, device=None, dtype=None, persistent=True):
        self = Buffer(empty(0, device=device, dtype=dtype), persistent).requires_grad_(requires_grad)
        self.__class__ = cls
        return self


UninitializedTensorMixin = Uninitialized


def is_lazy(param) -> bool:
    """Whether a parameter or buffer has no shape yet.

    Example:
        >>> import tensorlite as tl
        >>> [tl.nn.parameter.is_lazy(layer.weight) for layer in (tl.nn.LazyLinear(2), tl.nn.Linear(3, 2))]
        [True, False]
    """
    return isinstance(param, Uninitialized)


def _uninitialized(cls, requires_grad, device, dtype, attributes):
    made = cls(requires_grad, device, dtype)
    made.__dict__.update(attributes)
    return made


class Once:
    """The function of one Module._apply, and what it was applied to already."""

    def __init__(self, fn):
        self.fn, self.done = fn, {}

    def __call__(self, tensor):
        return self.fn(tensor)

    def first(self, parameter):
        """Whether the parameter comes here for the first time."""
        known = id(parameter) in self.done
        self.done[id(parameter)] = parameter, None  # held: no other gets its id
        return not known

    def buffer(self, value):
        """fn(value), the same each time."""
        if id(value) not in self.done:
            self.done[id(value)] = value, self.fn(value)
        return self.done[id(value)][1]
