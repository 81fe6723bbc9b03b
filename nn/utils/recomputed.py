"""What the older weight_norm and spectral_norm share with pruning: a tensor of a module that a hook computes before each call."""

from tensorlite import errors
from tensorlite.nn.parameter import Uninitialized
from tensorlite.tensor import Tensor


class Computed(Tensor):
    """The result of such a computation; in a copy of the module it stands by its value until the next call."""

    def __deepcopy__(self, memo):
        memo[id(self)] = copied = self.detach().clone()
        copied.__class__ = type(self)
        return copied

    def __reduce_ex__(self, protocol):
        return self.detach().__reduce_ex__(protocol)


class Recompute:
    """Base class of the hooks: `compute(module)` is the tensor `name`, from what `take` has put under other names."""

    what = ""

    def __init__(self, name):
        self.name = name

    def __call__(self, module, inputs):
        self.put(module)

    def put(self, module) -> None:
        """Set the tensor, as an attribute that is not a parameter."""
        value = self.compute(module)
        value.__class__ = Computed
        setattr(module, self.name, value)

    def compute(self, module) -> Tensor:
        """The tensor now."""
        raise NotImplementedError

    def take(self, module):
        """The parameter `name`, taken out of the module."""
        if any(type(h) is type(self) and h.name == self.name for h in hooks(module)):
            raise errors.TensorliteError(
                f"{self.what}: {type(module).__name__} has one for {self.name!r} already; remove it first"
            )
        weight = module._parameters.get(self.name)
        if weight is None:
            raise errors.ArgumentError(f"{self.what}: {type(module).__name__} has no parameter {self.name!r}")
        if isinstance(weight, Uninitialized):
            raise errors.ArgumentError(
                f"{self.what}: {self.name!r} of {type(module).__name__} has no values yet; call the model once before"
            )
        del module._parameters[self.name]
        return weight


def hooks(module) -> list:
    """The hooks of this kind that a module has."""
    return [h for h, *_ in (module._forward_pre_hooks or {}).values() if isinstance(h, Recompute)]


def drop(module, kind, name):
    """Take the hook of this kind for `name` from the module and return it, or refuse."""
    for key, (hook, *_) in list((module._forward_pre_hooks or {}).items()):
        if isinstance(hook, kind) and hook.name == name:
            del module._forward_pre_hooks[key]
            if name in module.__dict__:
                delattr(module, name)
            return hook
    raise errors.ArgumentError(f"{kind.what}: there is none for {name!r} in {type(module).__name__}")
