"""Module: the base of all layers and models. It keeps parameters, buffers and sub-modules, and knows its place when called."""

import difflib
from collections.abc import Callable
from typing import Any

from tensorlite import errors
from tensorlite.backend import as_device, dtypes
from tensorlite.creation import empty_like
from tensorlite.modes import no_grad
from tensorlite.nn.hooks import Hooked, everywhere
from tensorlite.nn.parameter import Buffer, Once, Parameter, Uninitialized
from tensorlite.nn.state import Stateful
from tensorlite.tensor import Scope, Tensor, mode


class Module(Stateful, Hooked):
    """Subclass it, call `super().__init__()`, assign parameters and sub-modules in `__init__`, compute in `forward`.

    Example:
        >>> import tensorlite as tl
        >>> class Twice(tl.nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.fc = tl.nn.Linear(3, 3)
        ...     def forward(self, x):
        ...         return self.fc(self.fc(x))
        >>> Twice()(tl.ones(2, 3)).shape
        (2, 3)
    """

    training = True
    call_super_init = False  # True: Module.__init__ goes on to the next class of the order, with all arguments
    _changes = 0  # of which modules hold which, anywhere; paths found before the last one are looked up again
    _paths_at = 0

    def __init__(self, *args, **kwargs):
        if (args or kwargs) and not self.call_super_init:
            some = f"got the keyword {next(iter(kwargs))!r}" if kwargs else f"got {len(args)} by position"
            raise errors.DTypeError(f"{type(self).__name__}: Module.__init__ takes no arguments, {some}")
        for name in ("_parameters", "_buffers", "_modules", "_paths"):
            object.__setattr__(self, name, {})
        object.__setattr__(self, "_transient", set())  # names of buffers that state_dict leaves out
        if self.call_super_init:
            super().__init__(*args, **kwargs)

    def _undefined(self, *input):
        """What the module computes; to be defined by the subclass."""
        raise NotImplementedError(f"{type(self).__name__} defines no forward")

    forward: Callable[..., Any] = _undefined  # so that a type checker lets a subclass choose its arguments

    def __call__(self, *args, **kwargs) -> Any:
        now = mode.now
        outer, parent = now.scope, now.module
        name = parent._path_of(self) if parent is not None else ""
        now.scope, now.module = Scope(outer, name, type(self).__name__), self
        try:
            if self._forward_pre_hooks or everywhere.before:
                args, kwargs = self._run_pre_hooks(args, kwargs)
            if self._backward_hooks or everywhere.backward:
                return self._call_watched(args, kwargs)
            out = self.forward(*args, **kwargs)
            if self._forward_hooks or everywhere.forward:
                out = self._run_hooks(args, kwargs, out)
            return out
        except Exception:
            if self._forward_hooks or everywhere.forward:
                self._run_always(args, kwargs)
            raise
        finally:
            now.scope, now.module = outer, parent

    def _path_of(self, child):
        """The name of a module below this one, as `blocks.3.attn`; its class name if it is not registered here."""
        if self._paths_at != Module._changes:
            self._paths.clear()
            object.__setattr__(self, "_paths_at", Module._changes)
        path = self._paths.get(child)
        if path is None:
            path = next((n for n, m in self.named_modules() if m is child and n), None)
            if path is None:
                return type(child).__name__  # not kept: it may be made anew at each call
            self._paths[child] = path
        return path

    # ------------------------------------------------------------ attributes
    def __setattr__(self, name, value):
        if "_parameters" not in self.__dict__:
            if isinstance(value, (Parameter, Module, Buffer)):
                raise errors.TensorliteError(
                    f"{type(self).__name__}.{name}: call super().__init__() before assigning parameters or modules"
                )
            object.__setattr__(self, name, value)
        elif isinstance(value, Parameter):
            self._put(name, value, self._parameters)
        elif isinstance(value, Module):
            self._put(name, value, self._modules)
        elif isinstance(value, Buffer):
            self.register_buffer(name, value, value.persistent)
        elif name in self._parameters:
            if value is not None:
                raise errors.DTypeError(
                    f"{type(self).__name__}.{name} is a parameter: assign a Parameter or None, not {type(value).__name__}"
                )
            self._parameters[name] = None
        elif name in self._modules:
            if value is not None:
                raise errors.DTypeError(
                    f"{type(self).__name__}.{name} is a module: assign a Module or None, not {type(value).__name__}"
                )
            self._put(name, None, self._modules)
        elif name in self._buffers:
            if value is not None and not isinstance(value, Tensor):
                raise errors.DTypeError(
                    f"{type(self).__name__}.{name} is a buffer: assign a Tensor or None, not {type(value).__name__}"
                )
            self._buffers[name] = value
        else:
            object.__setattr__(self, name, value)

    def _forget(self, name, keep=None):
        if name in self._modules:
            Module._changes += 1
        self._transient.discard(name)
        for store in (self._parameters, self._buffers, self._modules, self.__dict__):
            if store is not keep:
                store.pop(name, None)

    def _put(self, name, value, store):
        """`value` under `name` in `store` and nowhere else; a name that was there keeps its place in the order."""
        if everywhere.registered and value is not None:
            value = everywhere.see(self, store, name, value)
        self._forget(name, store)
        store[name] = value
        if store is self._modules:
            Module._changes += 1

    def __getattr__(self, name):
        own = self.__dict__
        if name in (found := own.get("_parameters", ())):  # the commonest first: every use of a weight comes here
            return found[name]
        for store in ("_buffers", "_modules"):
            if name in own.get(store, ()):
                return own[store][name]
        if "_parameters" not in own:
            raise AttributeError(
                f"{type(self).__name__} has no attribute {name!r}: super().__init__() was not called yet"
            )
        have = [n for n in dir(self) if not n.startswith("_") and n not in _METHODS]
        close = difflib.get_close_matches(name, dir(self), 1)
        meant = f"; did you mean {close[0]!r}?" if close else ""
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}; it has {', '.join(have)}{meant}")

    def __delattr__(self, name):
        if any(name in store for store in (self._parameters, self._buffers, self._modules)):
            self._forget(name)
        else:
            object.__delattr__(self, name)

    def __dir__(self):
        return sorted({*object.__dir__(self), *self._parameters, *self._buffers, *self._modules})

    def register_parameter(self, name, param) -> None:
        """Register a Parameter, or None for one that is switched off, under `name`."""
        self._check_name(name, param, Parameter, self._parameters)
        self._put(name, param, self._parameters)

    def register_buffer(self, name, tensor, persistent=True) -> None:
        """Register a tensor that moves and is saved with the module but is not trained."""
        self._check_name(name, tensor, Tensor, self._buffers)
        self._put(name, tensor, self._buffers)
        if not persistent:
            self._transient.add(name)

    def register_module(self, name, module) -> None:
        """Register a sub-module under `name`."""
        self._check_name(name, module, Module, self._modules)
        self._put(name, module, self._modules)

    add_module = register_module

    def _check_name(self, name, value, kind, store):
        if not isinstance(name, str) or not name or "." in name:
            raise errors.ArgumentError(
                f"{type(self).__name__}: {name!r} cannot be a name: it must be a string without dots"
            )
        if hasattr(type(self), name):
            raise errors.ArgumentError(
                f"{type(self).__name__}: the name {name!r} is taken by an attribute of the class"
            )
        others = (self.__dict__, self._parameters, self._buffers, self._modules)
        if name not in store and any(name in other for other in others):
            raise errors.ArgumentError(
                f"{type(self).__name__}: there is an attribute {name!r} already; delete it first"
            )
        if value is not None and not isinstance(value, kind):
            raise errors.DTypeError(
                f"{type(self).__name__}.{name}: a {kind.__name__} is needed, not {type(value).__name__}"
            )

    # ------------------------------------------------------------ walking
    def named_modules(self, memo=None, prefix="", remove_duplicate=True):
        """(path, module) for this module ("") and all below, parents first, each once."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def _named(self, store, prefix, recurse, remove_duplicate=True):
        seen = set()
        modules = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else [(prefix, self)]
        for path, module in modules:
            for name, value in getattr(module, store).items():
                if value is None or (remove_duplicate and id(value) in seen):
                    continue
                seen.add(id(value))
                yield f"{path}.{name}" if path else name, value

    def named_parameters(self, prefix="", recurse=True, remove_duplicate=True):
        """(path, Parameter) of this module and all below; a shared one comes once, under its first name."""
        return self._named("_parameters", prefix, recurse, remove_duplicate)

    def named_buffers(self, prefix="", recurse=True, remove_duplicate=True):
        """(path, buffer) of this module and all below."""
        return self._named("_buffers", prefix, recurse, remove_duplicate)

    def parameters(self, recurse=True):
        """All Parameters, each once."""
        return (p for _, p in self.named_parameters(recurse=recurse))

    def buffers(self, recurse=True):
        """All buffers, each once."""
        return (b for _, b in self.named_buffers(recurse=recurse))

    def modules(self, remove_duplicate=True):
        """This module and all below, each once."""
        return (m for _, m in self.named_modules(remove_duplicate=remove_duplicate))

    def named_children(self):
        """(name, module) of the direct sub-modules, each once, under its first name."""
        first = {m: n for n, m in reversed(self._modules.items()) if m is not None}
        return ((n, m) for n, m in self._modules.items() if m is not None and first[m] == n)

    def children(self):
        """The direct sub-modules."""
        return (m for _, m in self.named_children())

    def get_submodule(self, target: str) -> "Module":
        """The module at a path such as "blocks.3.attn"."""
        module = self
        for name in target.split(".") if target else ():
            module = getattr(module, name)
            if not isinstance(module, Module):
                raise AttributeError(f"{name!r} in {target!r} is not a module")
        return module

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a path such as "blocks.3.attn.weight"."""
        path, _, name = target.rpartition(".")
        value = getattr(self.get_submodule(path), name)
        if not isinstance(value, Parameter):
            raise AttributeError(f"{target!r} is not a parameter")
        return value

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at a path such as "blocks.3.norm.running_mean"."""
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if name not in module._buffers:
            raise AttributeError(f"{target!r} is not a buffer")
        return module._buffers[name]

    def set_submodule(self, target: str, module: "Module", strict: bool = False) -> None:
        """Put `module` at a path such as "blocks.3.attn"; strict: only where there is one already."""
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if not name or (strict and name not in parent._modules):
            raise AttributeError(f"set_submodule: {type(parent).__name__} has no module {name!r} to replace")
        if not isinstance(module, Module):
            raise errors.DTypeError(f"set_submodule: a Module is needed, not {type(module).__name__}")
        parent._put(name, module, parent._modules)

    # ------------------------------------------------------------ switches and moves
    def train(self, mode: bool = True) -> "Module":
        """Set training mode (dropout active) in this module and all below."""
        for m in self.modules():
            object.__setattr__(m, "training", bool(mode))
        return self

    def eval(self) -> "Module":
        """Set evaluation mode in this module and all below."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> "Module":
        """Switch gradients of all parameters."""
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop (or zero) the gradients of all parameters."""
        for p in self.parameters():
            if set_to_none:
                p.grad = None
            elif p.grad is not None:
                p.grad.zero_()

    def apply(self, fn) -> "Module":
        """Call `fn` on every module, children first."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def _apply(self, fn, recurse=True) -> "Module":
        """Replace the values of all parameters, gradients and buffers by `fn(tensor)`; the objects of parameters stay.

        Goes through the `_apply` of each child, so that a class can define its own. What several modules share stays shared.
        """
        change = fn if isinstance(fn, Once) else Once(fn)
        for child in self.children() if recurse else ():
            child._apply(change)
        with no_grad():
            for value in self._parameters.values():
                if value is not None and change.first(value):
                    grad = value.grad
                    value.data = change(value.data)
                    if grad is not None:
                        value.grad = change(grad)
            for name, value in self._buffers.items():
                if isinstance(value, Uninitialized):
                    value.data = change(value.data)
                elif value is not None:
                    self._buffers[name] = change.buffer(value)
        return self

    def to(self, *args, device=None, dtype=None, non_blocking=False, memory_format=None) -> "Module":
        """Move to a device and/or convert floating-point parameters and buffers: to("cuda"), to("cuda", tl.half).

        memory_format has no effect.
        """
        for a in args:
            if isinstance(a, Tensor):
                device, dtype = a.device, a.dtype
            elif isinstance(a, dtypes.dtype):
                dtype = a
            elif not isinstance(a, bool) and a is not None:
                device = a
        if dtype is not None and not dtypes.as_dtype(dtype).is_floating_point:
            raise errors.DTypeError(f"Module.to: parameters can only be floating point, not {dtype}")
        if device is not None:
            device = as_device(device)
        return self._apply(lambda t: t.to(device=device, dtype=dtype if t.dtype.is_floating_point else None))

    def to_empty(self, *, device, recurse=True) -> "Module":
        """Move to a device without the values: those there are whatever the memory holds."""
        device = as_device(device)
        return self._apply(lambda t: empty_like(t, device=device), recurse)

    def share_memory(self) -> "Module":
        """Move parameters and buffers to memory that forked processes share, see Tensor.share_memory_."""
        for value in (*self.parameters(), *self.buffers()):
            value.share_memory_()
        return self

    def compile(self, *args, **kwargs) -> None:
        """Accepted without effect, as tl.compile: there is no compiler."""

    def cpu(self) -> "Module":
        """Move to the CPU."""
        return self.to("cpu")

    def cuda(self, device=None) -> "Module":
        """Move to a GPU."""
        return self.to("cuda" if device is None else device)

    def float(self) -> "Module":
        """Convert to float32."""
        return self.to(dtypes.float32)

    def double(self) -> "Module":
        """Convert to float64."""
        return self.to(dtypes.float64)

    def half(self) -> "Module":
        """Convert to float16."""
        return self.to(dtypes.float16)

    def type(self, dst_type) -> "Module":
        """Convert to a floating-point dtype."""
        return self.to(dtype=dst_type)

    def bfloat16(self) -> "Module":
        """Convert to bfloat16."""
        return self.to(dtypes.as_dtype("bfloat16"))

    # ------------------------------------------------------------ text
    def summary(self, *inputs, **kwargs):
        """The table of tl.summary(self, ...)."""
        from tensorlite.nn.summary import summary

        return summary(self, *inputs, **kwargs)

    def _get_name(self) -> str:
        return type(self).__name__

    def extra_repr(self) -> str:
        """What repr shows between the brackets; for subclasses to define."""
        return ""

    def __repr__(self):
        lines = [f"({name}): {module!r}".replace("\n", "\n  ") for name, module in self._modules.items()]
        text = self.extra_repr()
        extra = text.split("\n") if text else []
        if not lines and len(extra) < 2:
            return f"{self._get_name()}({''.join(extra)})"
        return f"{self._get_name()}(\n  " + "\n  ".join(extra + lines) + "\n)"

    def __getstate__(self):
        return {**self.__dict__, "_paths": {}}


_METHODS = set(dir(Module))
