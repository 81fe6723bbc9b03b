"""Modules that hold modules: Sequential, ModuleList, ModuleDict."""

from tensorlite import errors
from tensorlite.nn.module import Module


class _Numbered(Module):
    """Modules under the names "0", "1", ...; indexed and sliced like a list."""

    def _place(self, index):
        n = len(self)
        if not -n <= index < n:
            raise errors.IndexRangeError(f"{type(self).__name__}: index {index} is out of range, it has {n} modules")
        return str(index % n)

    def _set_all(self, modules):
        self._modules.clear()
        Module._changes += 1
        for i, m in enumerate(modules):
            self.register_module(str(i), m)

    def __len__(self):
        return len(self._modules)

    def __iter__(self):
        return iter(self._modules.values())

    def __getitem__(self, index):
        if isinstance(index, slice):
            return type(self)(list(self)[index])
        return self._modules[self._place(index.__index__())]

    def __setitem__(self, index, module):
        self.register_module(self._place(index.__index__()), module)

    def __delitem__(self, index):
        keep = list(self)
        del keep[index]
        self._set_all(keep)

    def append(self, module):
        """Add a module at the end; returns self."""
        self.register_module(str(len(self)), module)
        return self

    def extend(self, modules):
        """Add several modules at the end; returns self."""
        for m in modules:
            self.append(m)
        return self

    def pop(self, index=-1):
        """Take out a module and return it."""
        module = self[index]
        del self[index]
        return module

    def insert(self, index, module):
        """Put a module before `index`; returns self."""
        everything = list(self)
        everything.insert(index, module)
        self._set_all(everything)
        return self


class Sequential(_Numbered):
    """Calls its modules in order: Sequential(a, b)(x) is b(a(x)). Also from an ordered dict of names and modules.

    Example:
        >>> import tensorlite as tl
        >>> tl.nn.Sequential(tl.nn.Linear(3, 4), tl.nn.Tanh())(tl.ones(2, 3)).shape
        (2, 4)
    """

    def __init__(self, *modules):
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], dict):
            for name, m in modules[0].items():
                self.register_module(name, m)
        else:
            self._set_all(modules)

    def _place(self, index):
        n = len(self)
        if not -n <= index < n:
            raise errors.IndexRangeError(f"Sequential: index {index} is out of range, it has {n} modules")
        return list(self._modules)[index]

    def __getitem__(self, index):
        if isinstance(index, slice):
            return type(self)(dict(list(self._modules.items())[index]))
        return super().__getitem__(index)

    def __add__(self, other):
        self._sequential(other)
        return Sequential(*self, *other)

    def __iadd__(self, other):
        self._sequential(other)
        return self.extend(other)

    def __mul__(self, times):
        return Sequential(*list(self) * self._times(times))

    __rmul__ = __mul__

    def __imul__(self, times):
        modules = list(self)
        return self.extend(modules * (self._times(times) - 1))

    def _sequential(self, other):
        if not isinstance(other, Sequential):
            raise errors.DTypeError(f"Sequential: only another Sequential can be added, not {type(other).__name__}")

    def _times(self, times):
        if not isinstance(times, int):
            raise errors.DTypeError(f"Sequential: it can be repeated an int of times, not {type(times).__name__}")
        if times < 1:
            raise errors.ArgumentError(f"Sequential: it can be repeated 1 time or more, not {times}")
        return times

    def forward(self, input):
        for module in self:
            input = module(input)
        return input


class ModuleList(_Numbered):
    """A list of modules whose parameters are known to the module that holds it; it is not called itself."""

    def __init__(self, modules=None):
        super().__init__()
        self._set_all(modules or ())

    def __iadd__(self, modules):
        return self.extend(modules)

    def __add__(self, modules):
        return type(self)([*self, *modules])

    def __repr__(self):
        """Modules that read alike, one after the other, are shown once, as `(0-5): 6 x ...`."""
        runs = []  # [first, last, text]
        for i, module in enumerate(self):
            if runs and runs[-1][2] == repr(module):
                runs[-1][1] = i
            else:
                runs.append([i, i, repr(module)])
        lines = [f"({a}): {text}" if a == b else f"({a}-{b}): {b - a + 1} x {text}" for a, b, text in runs]
        inner = "\n".join(lines).replace("\n", "\n  ")
        return f"{type(self).__name__}(\n  {inner}\n)" if lines else f"{type(self).__name__}()"


class ModuleDict(Module):
    """A dict of modules whose parameters are known to the module that holds it; it is not called itself."""

    def __init__(self, modules=None):
        super().__init__()
        self.update(modules or {})

    def update(self, modules):
        """Add all of a dict, or of (name, module) pairs."""
        for name, m in modules.items() if hasattr(modules, "items") else modules:
            self[name] = m

    def __getitem__(self, name):
        if name not in self._modules:
            raise KeyError(f"ModuleDict has no {name!r}; it has {', '.join(self._modules)}")
        return self._modules[name]

    def pop(self, key):
        """Take out the module of a name and return it."""
        module = self[key]
        del self[key]
        return module

    def clear(self):
        """Take out all modules."""
        self._modules.clear()
        Module._changes += 1

    def __setitem__(self, name, module):
        self.register_module(name, module)

    def __delitem__(self, name):
        if name not in self._modules:
            raise KeyError(f"ModuleDict has no {name!r}; it has {', '.join(self._modules)}")
        self._forget(name)

    def __len__(self):
        return len(self._modules)

    def __iter__(self):
        return iter(self._modules)

    def __contains__(self, name):
        return name in self._modules

    def keys(self):
        """The names."""
        return self._modules.keys()

    def values(self):
        """The modules."""
        return self._modules.values()

    def items(self):
        """(name, module) pairs."""
        return self._modules.items()
