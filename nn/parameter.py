"""Parameter and Buffer: tensors that a Module takes note of when they are assigned to it."""

from tensorlite import errors
from tensorlite.creation import tensor
from tensorlite.tensor import Tensor


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
