"""Optimizer: parameter groups, state, saving and loading; what all update rules share."""

import collections

from tensorlite import errors
from tensorlite.modes import enable_grad, no_grad
from tensorlite.tensor import Tensor, mode, wrap


class Optimizer:
    """Base class: a subclass gives `defaults` and `update(p, g, state, group)` on raw arrays.

    params: tensors, (name, tensor) pairs, or dicts {"params": [...], option: value} (parameter groups).

    Raises:
        ArgumentError: no parameters, a parameter twice, an unknown or impossible option. GraphError: not a leaf.
    """

    def __init__(self, params, defaults):
        self.defaults, self.param_groups = defaults, []
        self.state = collections.defaultdict(dict)
        params = [params] if isinstance(params, dict) else list(params)
        if not params:
            raise errors.ArgumentError(f"{type(self).__name__}: the list of parameters is empty")
        for group in params if isinstance(params[0], dict) else [{"params": params}]:
            self.add_param_group(group)

    def add_param_group(self, group) -> None:
        """Train more parameters, with options of their own."""
        group = {**self.defaults, **group}
        unknown = set(group) - set(self.defaults) - {"params", "initial_lr"}
        if unknown:
            raise errors.ArgumentError(
                f"{type(self).__name__}: unknown option {sorted(unknown)}; known: {sorted(self.defaults)}"
            )
        self.check(group)
        params = group["params"]
        params = [params] if isinstance(params, Tensor) else [p[1] if isinstance(p, tuple) else p for p in params]
        known = {id(p) for g in self.param_groups for p in g["params"]}
        for p in params:
            if not isinstance(p, Tensor):
                raise errors.DTypeError(f"{type(self).__name__}: parameters must be Tensors, not {type(p).__name__}")
            if not p.is_leaf:
                raise errors.GraphError(
                    f"{type(self).__name__}: only leaves can be trained, not the result {errors.describe(p)}"
                )
            if id(p) in known:
                raise errors.ArgumentError(f"{type(self).__name__}: the parameter {errors.describe(p)} was given twice")
            known.add(id(p))
        self.param_groups.append({**group, "params": params})

    def check(self, group) -> None:
        """Refuse impossible options: each must be in the range that its name has in `limits`."""
        for name, (low, high) in {
            "lr": (0, None),
            "weight_decay": (0, None),
            "eps": (0, None),
            "momentum": (0, None),
        }.items():
            value = group.get(name)
            if value is not None and (value < low or (high is not None and value >= high)):
                raise errors.ArgumentError(f"{type(self).__name__}: {name} must be at least {low}, not {value}")
        for i, beta in enumerate(group.get("betas", ())):
            if not 0 <= beta < 1:
                raise errors.ArgumentError(f"{type(self).__name__}: betas[{i}] must be in [0, 1), not {beta}")

    def step(self, closure=None):
        """Update every parameter that has a gradient. `closure`, if given, computes the loss again and returns it."""
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        name = f"{type(self).__name__}.step"
        if mode.watcher is not None:
            mode.watcher.mark("")
        with no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        array = p.array if p.array.ndim else p.device.backend.as_array(p.array)
                        p.array = array
                        self.update(p.device, array, p.grad.array, self.state[p], group)
                        p.version.bump(name)
        if mode.watcher is not None:
            mode.watcher.mark(name)
        return loss

    def update(self, device, p, g, state, group) -> None:
        """Change the raw array p (on `device`) in place by its gradient g; `state` is this parameter's own dict."""
        raise NotImplementedError

    def zero_grad(self, set_to_none=True) -> None:
        """Drop (or zero) the gradients of all parameters."""
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none:
                    p.grad = None
                elif p.grad is not None:
                    p.grad.zero_()

    def _numbered(self):
        return [p for g in self.param_groups for p in g["params"]]

    def state_dict(self) -> dict:
        """Everything needed to go on exactly: {"state": {number: {...}}, "param_groups": [...]}, with tensors."""
        numbers = {id(p): i for i, p in enumerate(self._numbered())}
        groups = [{**g, "params": [numbers[id(p)] for p in g["params"]]} for g in self.param_groups]
        return {"state": {numbers[id(p)]: dict(s) for p, s in self.state.items()}, "param_groups": groups}

    def load_state_dict(self, state_dict) -> None:
        """Go on from a state_dict of an optimizer of the same kind over parameters in the same order.

        Raises:
            TensorliteError: other groups or other sizes; nothing is loaded then.
        """
        groups, saved = self.param_groups, state_dict["param_groups"]
        if [len(g["params"]) for g in groups] != [len(g["params"]) for g in saved]:
            raise errors.TensorliteError(
                f"{type(self).__name__}.load_state_dict: the groups have {[len(g['params']) for g in saved]} parameters, "
                f"here they have {[len(g['params']) for g in groups]}"
            )
        params = self._numbered()
        state = collections.defaultdict(dict)
        for number, values in state_dict["state"].items():
            if not 0 <= int(number) < len(params):
                raise errors.TensorliteError(
                    f"{type(self).__name__}.load_state_dict: there is state of parameter {number}, "
                    f"but only {len(params)} parameters"
                )
            p = params[int(number)]
            for key, value in values.items():
                if isinstance(value, Tensor) and value.ndim and value.shape != p.shape:
                    raise errors.ShapeError(
                        f"{type(self).__name__}.load_state_dict: {key} of parameter {number} has shape {tuple(value.shape)}, "
                        f"the parameter {tuple(p.shape)}"
                    )
            state[p] = {k: _like(v, p) if isinstance(v, Tensor) else v for k, v in values.items()}
        for g, s in zip(groups, saved, strict=True):
            g.update({k: v for k, v in s.items() if k != "params"})
        self.state = state

    def __repr__(self):
        options = [{k: v for k, v in g.items() if k != "params"} for g in self.param_groups]
        return f"{type(self).__name__}({', '.join(map(str, options))})"


def _like(value, p):
    """A copy of a saved tensor where p is, and in p's dtype if it is floating point."""
    return value.detach().to(p.device, dtype=p.dtype if value.dtype.is_floating_point else None, copy=True)


def zeros(device, p, state, name):
    """The raw array of a state tensor in p's shape, made of zeros at first use."""
    if name not in state:
        state[name] = wrap(device.backend.xp.zeros(p.shape, dtype=p.dtype), device)
    return state[name].array
