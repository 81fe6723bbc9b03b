"""`tl.nn.utils.parametrize`: parameters computed from others at every use: register_parametrization, remove_parametrizations,
cached, and what they are kept in. Ready-made ones (weight norm, ...) are in parametrizations.py."""

import contextlib
import functools
from collections.abc import Sequence

from tensorlite import errors
from tensorlite.modes import no_grad
from tensorlite.nn.container import ModuleDict, ModuleList
from tensorlite.nn.module import Module
from tensorlite.nn.parameter import Parameter
from tensorlite.tensor import Tensor

__all__ = [
    "ParametrizationList", "cached", "is_parametrized", "register_parametrization", "remove_parametrizations",
    "transfer_parametrizations_and_params", "type_before_parametrizations",
]  # fmt: skip


class _Cache:
    depth, values = 0, {}  # how many `cached()` are open; (id of a module, name) -> tensor


@contextlib.contextmanager
def cached():
    """Within it each parametrized tensor is computed once, at its first use; for modules that use one often.

    Example:
        >>> import tensorlite as tl
        >>> from tensorlite.nn.utils import parametrize
        >>> layer = tl.nn.utils.parametrizations.weight_norm(tl.nn.Linear(2, 2))
        >>> with parametrize.cached():
        ...     layer.weight is layer.weight
        True
    """
    _Cache.depth += 1
    try:
        yield
    finally:
        _Cache.depth -= 1
        if not _Cache.depth:
            _Cache.values.clear()


def _lists(module):
    """The ModuleDict of a parametrized module, name -> ParametrizationList; empty for others."""
    found = module.__dict__.get("_modules", {}).get("parametrizations")
    return found if isinstance(found, ModuleDict) else {}


@functools.cache
def _parametrized(cls):
    """The class that a module of `cls` gets: as before, but parametrized tensors are computed when they are asked for."""

    class Parametrized(cls):
        def __getattr__(self, name):
            if name not in (lists := _lists(self)):
                return super().__getattr__(name)
            if not _Cache.depth:
                return lists[name]()
            key = id(self), name
            if key not in _Cache.values:
                _Cache.values[key] = lists[name]()
            return _Cache.values[key]

        def __setattr__(self, name, value):
            lists = _lists(self)
            if name not in lists:
                super().__setattr__(name, value)
            else:
                lists[name].right_inverse(value)
                _Cache.values.pop((id(self), name), None)

        def __dir__(self):
            return sorted({*super().__dir__(), *_lists(self)})

        def _check_name(self, name, *rest):
            if name in _lists(self):  # it would be saved and trained, and never used
                raise errors.ArgumentError(
                    f"{type(self).__name__}: {name!r} is parametrized: assign to it, or call remove_parametrizations first"
                )
            super()._check_name(name, *rest)

        def __reduce_ex__(self, protocol):
            return _remade, (cls,), self.__getstate__()

    Parametrized.__name__ = Parametrized.__qualname__ = f"Parametrized{cls.__name__}"
    Parametrized.__module__, Parametrized.__doc__ = cls.__module__, cls.__doc__
    Parametrized._before_parametrizations = cls
    return Parametrized


def _remade(cls):
    return object.__new__(_parametrized(cls))


def _keep(module, name, tensor):
    put = module.register_parameter if isinstance(tensor, Parameter) else module.register_buffer
    put(name, tensor)


def _same(what, was, new, how="must keep"):
    """Refuse a tensor of another dtype or shape."""
    if not isinstance(new, Tensor):
        raise errors.DTypeError(f"{what} must be a tensor, not {type(new).__name__}")
    if (new.dtype, tuple(new.shape)) != (was.dtype, tuple(was.shape)):
        raise errors.ShapeError(
            f"{what} {how} dtype and shape: {errors.describe(was)} became {errors.describe(new)}; unsafe=True allows it"
        )


class ParametrizationList(ModuleList):
    """The parametrizations of one tensor, in the order of their calls, and what it is computed from.

    That is `original`, or `original0`, `original1`, ... where right_inverse of the first one gives a sequence.
    forward() is the tensor: list[n](... list[0](original)).

    Raises:
        ArgumentError: no modules. DTypeError, ShapeError: dtype or shape is not kept (without unsafe).
    """

    def __init__(self, modules, original, unsafe=False):
        if len(modules) == 0:
            raise errors.ArgumentError("ParametrizationList: at least one parametrization is needed")
        super().__init__(modules)
        self.unsafe = unsafe
        new = original
        with no_grad():
            for module in reversed(list(self)):
                if hasattr(module, "right_inverse"):
                    with contextlib.suppress(NotImplementedError):
                        new = module.right_inverse(new)
        if not isinstance(new, (Tensor, Sequence)):
            raise errors.DTypeError(
                f"ParametrizationList: right_inverse must give a tensor or a sequence of them, not {type(new).__name__}"
            )
        before = original.detach()
        self.is_tensor = isinstance(new, Tensor)
        self.ntensors = 1 if self.is_tensor else len(new)
        if self.is_tensor:
            if new.dtype != original.dtype:
                raise errors.DTypeError(
                    f"ParametrizationList: right_inverse must keep the dtype: {original.dtype} became {new.dtype}"
                )
            parts = {"original": original}
        else:
            for i, part in enumerate(new):
                if not isinstance(part, Tensor):
                    raise errors.DTypeError(
                        f"ParametrizationList: part {i} of what right_inverse gives must be a tensor, not {type(part).__name__}"
                    )
            trained = isinstance(original, Parameter)
            parts = {
                f"original{i}": Parameter(p.detach(), original.requires_grad) if trained else p.detach()
                for i, p in enumerate(new)
            }
        if self.is_tensor:
            original.data = new.detach()  # the same Parameter: optimizers that know it go on
        for name, part in parts.items():
            _keep(self, name, part)
        if not unsafe:
            try:
                with no_grad():
                    _same("ParametrizationList: the parametrized tensor", before, self())
            except Exception:
                original.data = before
                raise

    def originals(self):
        """What the tensor is computed from, as a list."""
        return [self.original] if self.is_tensor else [getattr(self, f"original{i}") for i in range(self.ntensors)]

    @no_grad()
    def right_inverse(self, value) -> None:
        """Set the originals so that the parametrized tensor becomes `value`, by the right_inverse of each, last first.

        Raises:
            TensorliteError: a parametrization has no right_inverse.
        """
        for module in reversed(list(self)):
            if not hasattr(module, "right_inverse"):
                raise errors.TensorliteError(
                    f"parametrize: {type(module).__name__} has no right_inverse, so the tensor cannot be assigned; "
                    "define right_inverse(self, value), or change the originals"
                )
            value = module.right_inverse(value)
        values = [value] if self.is_tensor else value
        if not self.is_tensor and (not isinstance(value, Sequence) or len(value) != self.ntensors):
            raise errors.ArgumentError(f"parametrize: right_inverse must give {self.ntensors} tensors")
        for old, new in zip(self.originals(), values, strict=True):
            if not isinstance(new, Tensor) or new.dtype != old.dtype:
                raise errors.DTypeError(
                    f"parametrize: right_inverse must give {old.dtype} tensors, not {errors.describe(new)}"
                )
        for old, new in zip(self.originals(), values, strict=True):
            old.data = new.detach().clone()

    def forward(self):
        first, *rest = list(self._modules[str(i)] for i in range(len(self)))
        x = first(*self.originals())
        for module in rest:
            x = module(x)
        return x


def register_parametrization(module, tensor_name, parametrization, *, unsafe=False) -> Module:
    """Compute module.<tensor_name>, a parameter or buffer, by `parametrization` from what it was; returns the module.

    module.weight is parametrization(original) from now on, at each use, and state_dict names
    parametrizations.weight.original. Assigning to module.weight takes parametrization.right_inverse(value); where that gives
    a sequence of tensors there are original0, original1, ... . A second one is applied to the result of the first.
    unsafe: no check that dtype and shape are kept.

    Raises:
        ArgumentError: the module has no such tensor. DTypeError, ShapeError: dtype or shape is not kept.

    Example:
        >>> import tensorlite as tl
        >>> class Symmetric(tl.nn.Module):
        ...     def forward(self, x):
        ...         return x.triu() + x.triu(1).T
        >>> layer = tl.nn.utils.parametrize.register_parametrization(tl.nn.Linear(3, 3), "weight", Symmetric())
        >>> bool((layer.weight == layer.weight.T).all()), sorted(layer.state_dict())
        (True, ['bias', 'parametrizations.weight.original'])
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        if not unsafe:
            _check_next(getattr(module, tensor_name), parametrization)
        held = _lists(module)[tensor_name]
        held.append(parametrization)
        held.unsafe |= unsafe
    elif module._parameters.get(tensor_name) is None and module._buffers.get(tensor_name) is None:
        raise errors.ArgumentError(
            f"register_parametrization: {type(module).__name__} has no parameter, buffer or parametrized tensor "
            f"{tensor_name!r}"
        )
    else:
        held = ParametrizationList([parametrization], getattr(module, tensor_name), unsafe=unsafe)
        delattr(module, tensor_name)
        if not is_parametrized(module):
            module.__class__ = _parametrized(type(module))
            module.parametrizations = ModuleDict()
        _lists(module)[tensor_name] = held
    return module


def _check_next(before, parametrization):
    name = type(parametrization).__name__
    with no_grad():
        after = parametrization(before)
        _same(f"register_parametrization: what {name} gives", before, after)
        if hasattr(parametrization, "right_inverse"):
            with contextlib.suppress(NotImplementedError):
                _same(
                    f"register_parametrization: what right_inverse of {name} gives",
                    before,
                    parametrization.right_inverse(after),
                )


def is_parametrized(module, tensor_name=None) -> bool:
    """Whether the module has a parametrized tensor, or (tensor_name) this one is."""
    lists = _lists(module)
    return len(lists) > 0 if tensor_name is None else tensor_name in lists


def remove_parametrizations(module, tensor_name, leave_parametrized=True) -> Module:
    """Make module.<tensor_name> a plain parameter (or buffer) again, of the value it has; returns the module.

    leave_parametrized=False: of the value that `original` has.

    Raises:
        ArgumentError: it is not parametrized; or, for leave_parametrized=False, is computed from several tensors.

    Example:
        >>> import tensorlite as tl
        >>> layer = tl.nn.utils.parametrizations.orthogonal(tl.nn.Linear(2, 2))
        >>> layer = tl.nn.utils.parametrize.remove_parametrizations(layer, "weight")
        >>> type(layer).__name__, type(layer.weight).__name__, (layer.weight @ layer.weight.T).sum().round().item()
        ('Linear', 'Parameter', 2.0)
    """
    if not is_parametrized(module, tensor_name):
        raise errors.ArgumentError(
            f"remove_parametrizations: {tensor_name!r} of {type(module).__name__} is not parametrized"
        )
    held = _lists(module)[tensor_name]
    if not held.is_tensor and not leave_parametrized:
        raise errors.ArgumentError(
            f"remove_parametrizations: {tensor_name!r} is computed from {held.ntensors} tensors, there is no single "
            "original to go back to; use leave_parametrized=True"
        )
    with no_grad():
        value = held().detach() if leave_parametrized else None
    if held.is_tensor:
        tensor = held.original
        if leave_parametrized:
            tensor.data = value.clone() if any(value.array is p.array for p in held.originals()) else value
    else:
        trained = [p for p in held.originals() if isinstance(p, Parameter)]
        tensor = Parameter(value, any(p.requires_grad for p in trained)) if trained else value
    del _lists(module)[tensor_name]
    _Cache.values.pop((id(module), tensor_name), None)
    if not is_parametrized(module):
        del module.parametrizations
        module.__class__ = type_before_parametrizations(module)
    _keep(module, tensor_name, tensor)
    return module


def type_before_parametrizations(module) -> type:
    """The class that the module had before its first parametrization."""
    return getattr(type(module), "_before_parametrizations", type(module))


def transfer_parametrizations_and_params(from_module, to_module, tensor_name=None) -> Module:
    """Give to_module the parametrizations (the same modules) and the values of from_module; returns to_module.

    tensor_name: of this tensor only.

    Raises:
        ArgumentError: from_module is not parametrized.
    """
    if not is_parametrized(from_module, tensor_name):
        raise errors.ArgumentError(
            f"transfer_parametrizations_and_params: {type(from_module).__name__} has no parametrized "
            + ("tensor" if tensor_name is None else repr(tensor_name))
        )
    for name in list(_lists(from_module)) if tensor_name is None else [tensor_name]:
        source = _lists(from_module)[name]
        if (
            name not in to_module._parameters
            and name not in to_module._buffers
            and not is_parametrized(to_module, name)
        ):
            with no_grad():
                _keep(to_module, name, Parameter(source().detach().clone()))
        for parametrization in source:
            register_parametrization(to_module, name, parametrization, unsafe=True)
        for old, new in zip(source.originals(), _lists(to_module)[name].originals(), strict=True):
            new.data = old.detach().clone()
    return to_module
