"""The saved state of a module: state_dict, load_state_dict, their hooks and the methods that a layer may override."""

import collections
import contextlib
import copy

from tensorlite import errors
from tensorlite.creation import as_tensor
from tensorlite.modes import no_grad
from tensorlite.nn.parameter import Parameter
from tensorlite.ops.compare import equal
from tensorlite.tensor import Handle, Tensor

EXTRA = "_extra_state"


class IncompatibleKeys(collections.namedtuple("IncompatibleKeys", "missing_keys unexpected_keys")):
    """What load_state_dict returns: the keys that were missing, and those that were not known."""

    def __repr__(self):
        return super().__repr__() if self.missing_keys or self.unexpected_keys else "<All keys matched successfully>"

    __str__ = __repr__


def _as_tensor(value):
    """An array as a tensor; what can be none, an array of text or a number, as a plain value."""
    if isinstance(value, Tensor) or not hasattr(value, "shape"):
        return value
    try:
        return as_tensor(value, device="cpu")
    except errors.TensorliteError:
        return value.tolist()


def _may_stop(module):
    """Whether loading into `module` may stop half-way: it runs code of a subclass or a hook, or a tensor refuses writing."""
    own, kind = (v for _, v in module._own_state() if not hasattr(v, "materialize")), type(module)
    return bool(
        module._load_hooks
        or module._load_pre_hooks
        or kind.set_extra_state is not Stateful.set_extra_state
        or not kind._load_from_state_dict.__module__.startswith("tensorlite.")
        or any(0 in v.array.strides for v in own)  # an expanded buffer
    )


class _Before:
    """A module as it is before a load that may stop half-way; `restore` makes it so again: a failed load changes nothing."""

    stores = ("_parameters", "_buffers", "_modules", "_transient")

    def __init__(self, module):
        self.modules, self.tensors = [], {}
        for m in module.modules():
            stores = [getattr(m, store).copy() for store in self.stores]
            self.modules.append((m, dict(m.__dict__), stores, self._extra(m)))
            for value in (*m._parameters.values(), *m._buffers.values()):
                if value is not None and id(value) not in self.tensors:
                    lazy = hasattr(value, "materialize")
                    self.tensors[id(value)] = value, type(value), value.data, None if lazy else value.detach().clone()

    def _extra(self, module):
        """A copy of the extra state, where there is one that can be copied: () or (state,)."""
        own = type(module)
        if Stateful.get_extra_state is own.get_extra_state or Stateful.set_extra_state is own.set_extra_state:
            return ()
        with contextlib.suppress(Exception):
            return (copy.deepcopy(module.get_extra_state()),)
        return ()

    def restore(self):
        for module, attributes, stores, extra in self.modules:
            module.__dict__.clear()
            module.__dict__.update(attributes)
            for store, content in zip(self.stores, stores, strict=True):
                getattr(module, store).clear()
                getattr(module, store).update(content)
            for state in extra:
                with contextlib.suppress(Exception):
                    module.set_extra_state(state)
        with no_grad():
            for value, kind, memory, copied in self.tensors.values():
                if value.__class__ is not kind or value.data.array is not memory.array:
                    value.data, value.__class__ = memory, kind
                if copied is not None and not equal(value, copied):
                    value.copy_(copied)


class Stateful:
    """What Module knows of saving and loading."""

    _version = 1
    _state_hooks = _state_pre_hooks = _load_hooks = _load_pre_hooks = None
    _loading = None  # the values found so far, while load_state_dict checks; nothing is written before all is right

    def get_extra_state(self):
        """More than tensors to be saved; a subclass that defines it defines set_extra_state too."""
        raise NotImplementedError(f"{type(self).__name__} defines no get_extra_state")

    def set_extra_state(self, state):
        """Take back what get_extra_state gave."""
        raise NotImplementedError(f"{type(self).__name__} defines no set_extra_state")

    def state_dict(self, *args, destination=None, prefix="", keep_vars=False) -> dict:
        """path -> tensor (detached, sharing memory) for all parameters and persistent buffers, with PyTorch's keys.

        Its `_metadata` holds {"version": `_version` of the class} for each module, for `_load_from_state_dict` to see.
        """
        given = dict(zip(("destination", "prefix", "keep_vars"), args, strict=False))
        destination = given.get("destination", destination)
        prefix, keep_vars = given.get("prefix", prefix), given.get("keep_vars", keep_vars)
        if destination is None:
            destination = collections.OrderedDict()
            destination._metadata = collections.OrderedDict()
        local = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = local
        for hook in list((self._state_pre_hooks or {}).values()):
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        for hook in list((self._state_hooks or {}).values()):
            answer = hook(self, destination, prefix, local)
            destination = destination if answer is None else answer
        return destination

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        """Put the tensors of this module alone into `destination`; for subclasses to change."""
        for name, value in self._own_state():
            destination[prefix + name] = value if keep_vars else value.detach()
        if type(self).get_extra_state is not Stateful.get_extra_state:
            destination[prefix + EXTRA] = self.get_extra_state()

    def _own_state(self):
        for name, value in (*self._parameters.items(), *self._buffers.items()):
            if value is not None and name not in self._transient:
                yield name, value

    def load_state_dict(self, state_dict, strict=True, assign=False) -> IncompatibleKeys:
        """Copy the tensors of `state_dict` into the parameters and buffers of the same names.

        strict: all keys must match. assign: take the tensors themselves instead of copying into the memory here.

        Raises:
            TensorliteError: missing or unexpected keys (strict), or a shape that differs. Nothing is changed by a load that
                fails, be it so or in a subclass's set_extra_state or a hook.
        """
        if not hasattr(state_dict, "items"):
            raise errors.DTypeError(f"load_state_dict: a dict is needed, not {type(state_dict).__name__}")
        before = _Before(self) if any(map(_may_stop, self.modules())) else None
        try:
            return self._load_checked(state_dict, strict, assign)
        except BaseException:
            if before is not None:
                before.restore()
            raise

    def _load_checked(self, state_dict, strict, assign):
        metadata, state = getattr(state_dict, "_metadata", None) or {}, dict(state_dict)
        missing, unexpected, faults, found, after = [], [], [], [], []

        def load(module, prefix):
            local = {**metadata.get(prefix[:-1], {}), "assign_to_params_buffers": assign}
            for hook in list((module._load_pre_hooks or {}).values()):
                hook(module, state, prefix, local, strict, missing, unexpected, faults)
            object.__setattr__(module, "_loading", found)
            try:
                module._load_from_state_dict(state, prefix, local, strict, missing, unexpected, faults)
            finally:
                object.__delattr__(module, "_loading")

        def check():
            wrong = list(faults)
            if strict and keys.missing_keys:
                wrong.append(f"missing keys: {', '.join(keys.missing_keys)}")
            if strict and keys.unexpected_keys:
                wrong.append(f"unexpected keys: {', '.join(keys.unexpected_keys)}")
            if wrong:
                strange = [f for f in faults if "a tensor is needed" in f]
                kind = errors.DTypeError if strange else errors.TensorliteError
                raise kind(f"load_state_dict of {type(self).__name__}:\n    " + "\n    ".join(strange or wrong))

        with no_grad():
            self._load_all(load, "", after)
            keys = IncompatibleKeys(missing, list(dict.fromkeys(unexpected)))
            if faults or not any(m._load_hooks for m in after):  # a hook may strike keys from the report, as in PyTorch
                check()
            for put in found:
                put()
        for module in after:
            for hook in list((module._load_hooks or {}).values()):
                if hook(module, keys) is not None:
                    raise errors.TensorliteError(
                        "load_state_dict: a hook after loading changes incompatible_keys in place and returns None"
                    )
        check()
        return keys

    def _load_all(self, load, prefix, after):
        """load(module, prefix) for this module and all below, parents first; `after` gets them children first."""
        load(self, prefix)
        for name, child in self._modules.items():
            if child is not None:
                child._load_all(load, f"{prefix}{name}.", after)
        after.append(self)

    def _load_from_state_dict(
        self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
    ):
        """Look up the tensors of this module alone and note what is missing or wrong; for subclasses to change."""
        put = (self._loading if self._loading is not None else []).append
        assign, names = local_metadata.get("assign_to_params_buffers", False), set(self._modules)
        for name, own in self._own_state():
            key = prefix + name
            names.add(name)
            if key not in state_dict:
                missing_keys.append(key)
            elif not hasattr(value := _as_tensor(state_dict[key]), "shape"):
                error_msgs.append(f"{key}: a tensor is needed, not {type(value).__name__}")
            elif tuple(value.shape) != tuple(own.shape):
                error_msgs.append(f"{key}: shape {tuple(value.shape)} was given, {tuple(own.shape)} is needed")
            else:
                put(lambda name=name, own=own, value=value: self._load_one(name, own, value, assign))
        if type(self).set_extra_state is not Stateful.set_extra_state:
            names.add(EXTRA)
            if prefix + EXTRA in state_dict:
                put(lambda value=state_dict[prefix + EXTRA]: self.set_extra_state(value))
            else:
                missing_keys.append(prefix + EXTRA)
        for key in state_dict:
            if key.startswith(prefix):
                head, dot, _ = key[len(prefix) :].partition(".")
                if head not in names or (dot and head not in self._modules):
                    unexpected_keys.append(key)

    def _load_one(self, name, own, value, assign):
        value = _as_tensor(value)
        if not assign:
            own.copy_(value)
        elif name in self._parameters:
            self._parameters[name] = value if isinstance(value, Parameter) else Parameter(value, own.requires_grad)
        else:
            self._buffers[name] = value

    def _put_hook(self, store, hook):
        object.__setattr__(self, store, self.__dict__.get(store) or {})
        return Handle.put(self, store, hook)

    def register_state_dict_pre_hook(self, hook) -> Handle:
        """Call `hook(module, prefix, keep_vars)` before state_dict."""
        return self._put_hook("_state_pre_hooks", hook)

    def register_state_dict_post_hook(self, hook) -> Handle:
        """Call `hook(module, state_dict, prefix, local_metadata)` after state_dict, to change it in place."""
        return self._put_hook("_state_hooks", hook)

    _register_state_dict_hook = register_state_dict_post_hook

    def register_load_state_dict_pre_hook(self, hook) -> Handle:
        """Call `hook(module, state_dict, prefix, local_metadata, strict, missing, unexpected, errors)` before loading."""
        return self._put_hook("_load_pre_hooks", hook)

    def _register_load_state_dict_pre_hook(self, hook, with_module=False) -> Handle:
        """The same, for a hook that does not take the module unless with_module."""
        return self._put_hook("_load_pre_hooks", hook if with_module else lambda module, *args: hook(*args))

    def register_load_state_dict_post_hook(self, hook) -> Handle:
        """Call `hook(module, incompatible_keys)` after loading."""
        return self._put_hook("_load_hooks", hook)
