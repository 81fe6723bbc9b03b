"""Optimizer: parameter groups, state, hooks, saving and loading; what all update rules share."""

import collections
import functools

from tensorlite import errors
from tensorlite.backend import as_device
from tensorlite.creation import scalar_tensor
from tensorlite.modes import enable_grad, no_grad
from tensorlite.optim.flat import Side
from tensorlite.tensor import Handle, Tensor, mode, wrap

SCALARS = {
    "step": "float32",
    "mu_product": "float64",
    "eta": "float64",
    "mu": "float64",
}  # numbers here, tensors when saved
AT_LEAST_0 = ("lr", "weight_decay", "eps", "momentum", "lr_decay", "initial_accumulator_value", "momentum_decay")
UNUSED = {
    "foreach": None,
    "capturable": False,
    "differentiable": False,
    "fused": None,
}  # kept: they choose kernels in PyTorch


class _Everywhere:
    """Hooks of every optimizer, see register_optimizer_step_pre_hook."""

    before = after = None


def _hooked(step):
    """`step`, with the hooks registered for before and after it."""

    @functools.wraps(step)
    def inner(self, *args, **kwargs):
        args = (self, *args)  # as PyTorch's hooks get them
        for hooks in (_Everywhere.before, self._before):
            for hook in list(hooks.values()) if hooks else ():
                if (changed := hook(self, args, kwargs)) is not None:
                    args, kwargs = changed
        out = step(*args, **kwargs)
        self._opt_called = True
        for hooks in (self._after, _Everywhere.after):
            for hook in list(hooks.values()) if hooks else ():
                hook(self, args, kwargs)
        return out

    return inner


class Optimizer:
    """Base class: a subclass gives `defaults` and `update(device, p, g, state, group)` on raw arrays, or a `step` of its own.

    params: tensors, (name, tensor) pairs, or dicts {"params": [...], option: value} (parameter groups).

    Raises:
        ArgumentError: no parameters, a parameter twice, a misspelt or impossible option. GraphError: not a leaf.

    Example:
        >>> import tensorlite as tl
        >>> class SignSGD(tl.optim.Optimizer):
        ...     def update(self, device, p, g, state, group):
        ...         p -= group["lr"] * device.backend.xp.sign(g)
        >>> p = tl.nn.Parameter(tl.tensor([1.0, -1.0]))
        >>> opt = SignSGD([p], {"lr": 0.5})
        >>> (p * p).sum().backward(); opt.step(); p.tolist()
        [0.5, -0.5]
    """

    shaped = True  # every tensor of the state has its parameter's shape
    elementwise = (
        False  # `update` treats each number alone: small parameters may then be stepped as one array, see flat.py
    )
    _before = _after = _saving = _saved = _loading = _loaded = None  # hooks
    _opt_called = False

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "step" in cls.__dict__:
            cls.step = _hooked(cls.step)
        if "update" in cls.__dict__ and "elementwise" not in cls.__dict__:
            cls.elementwise = False  # a rule of its own: it must say so itself

    def __init__(self, params, defaults):
        self.defaults, self.param_groups = defaults, []
        self.state, self._sides = collections.defaultdict(dict), {}
        if isinstance(params, Tensor):
            raise errors.DTypeError(
                f"{type(self).__name__}: an iterable of tensors is needed, not one Tensor: [tensor]"
            )
        params = [params] if isinstance(params, dict) else list(params)
        if not params:
            raise errors.ArgumentError(f"{type(self).__name__}: the list of parameters is empty")
        for group in params if isinstance(params[0], dict) else [{"params": params}]:
            self.add_param_group(group)

    def add_param_group(self, param_group) -> None:
        """Train more parameters, with options of their own."""
        name = type(self).__name__
        if not isinstance(param_group, dict):
            raise errors.DTypeError(
                f"{name}: a parameter group is a dict {{'params': [...]}}, not {type(param_group).__name__}"
            )
        group = {**self.defaults, **param_group}
        unknown = [k for k in group if k not in (*self.defaults, "params", "initial_lr", "param_names")]
        if wrong := [k for k in unknown if errors.near(k, self.defaults)]:  # other keys are the user's own
            raise errors.ArgumentError(f"{name}: unknown option {sorted(wrong)}; known: {sorted(self.defaults)}")
        self.check(group)
        params = group["params"]
        params = [params] if isinstance(params, Tensor) else list(params)
        named = [isinstance(p, tuple) for p in params]
        if any(named) != all(named):
            raise errors.ArgumentError(f"{name}: either all parameters are (name, tensor) pairs or none is")
        if any(named):
            group["param_names"], params = [p[0] for p in params], [p[1] for p in params]
        known = {id(p) for g in self.param_groups for p in g["params"]}
        for p in params:
            if not isinstance(p, Tensor):
                raise errors.DTypeError(f"{name}: parameters must be Tensors, not {type(p).__name__}")
            if not p.is_leaf:
                raise errors.GraphError(f"{name}: only leaves can be trained, not the result {errors.describe(p)}")
            if id(p) in known:
                raise errors.ArgumentError(f"{name}: the parameter {errors.describe(p)} was given twice")
            known.add(id(p))
        self.param_groups.append({**group, "params": params})

    def refuse(self, option, value, rule) -> None:
        """Raise the error for an impossible option."""
        raise errors.ArgumentError(f"{type(self).__name__}: {option} must be {rule}, not {value}")

    def check(self, group) -> None:
        """Refuse impossible options; a subclass adds its own."""
        for name in AT_LEAST_0:
            value = group.get(name)
            if isinstance(value, Tensor) and value.numel() != 1:
                self.refuse(name, f"a tensor of shape {tuple(value.shape)}", "one number")
            if isinstance(value, (int, float, Tensor)) and not value >= 0:
                self.refuse(name, value, "at least 0")
        betas = group.get("betas", ())
        for i, beta in enumerate(betas if isinstance(betas, (tuple, list)) else ()):
            if not 0 <= beta < 1:
                self.refuse(f"betas[{i}]", beta, "in [0, 1)")
        if group.get("differentiable"):
            self.refuse(
                "differentiable",
                True,
                "False (steps are not recorded; write p - lr * g with tensors to go through them)",
            )
        if group.get("fused") and group.get("foreach"):
            name = type(self).__name__
            raise errors.ArgumentError(f"{name}: fused and foreach exclude each other; give True to one of them")

    @_hooked
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
                self._step_group(group, plain(group), name)
        if mode.watcher is not None:
            mode.watcher.mark(name)
        return loss

    def _step_group(self, group, options, name):
        side = None
        if self.elementwise:
            side = self._sides.get(id(group))
            if side is None or side.group is not group:
                side = self._sides[id(group)] = Side(group)
        params = group["params"] if side is None else side.step(self, options, name)
        self._step_each(params, options, name)
        if side is not None and params is group["params"]:
            side.settle(self)

    def _step_each(self, params, options, name):
        for p in params:
            if p.grad is not None:
                array = p.array if p.array.ndim else p.device.backend.as_array(p.array)
                p.array = array
                self.update(p.device, array, p.grad.array, self.state[p], options)
                p.version.bump(name)

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

    # ------------------------------------------------------------------------------------------------ hooks
    def register_step_pre_hook(self, hook) -> Handle:
        """Call `hook(optimizer, args, kwargs)` before each step; (args, kwargs) returned take the place of the given ones.

        args begins with the optimizer itself: (optimizer,) or (optimizer, closure).
        """
        return Handle.put(self, "_before", hook)

    def register_step_post_hook(self, hook) -> Handle:
        """Call `hook(optimizer, args, kwargs)` after each step."""
        return Handle.put(self, "_after", hook)

    def register_state_dict_pre_hook(self, hook, prepend=False) -> Handle:
        """Call `hook(optimizer)` before state_dict."""
        return self._put("_saving", hook, prepend)

    def register_state_dict_post_hook(self, hook, prepend=False) -> Handle:
        """Call `hook(optimizer, state_dict)` after state_dict; a dict returned takes its place."""
        return self._put("_saved", hook, prepend)

    def register_load_state_dict_pre_hook(self, hook, prepend=False) -> Handle:
        """Call `hook(optimizer, state_dict)` before load_state_dict; a dict returned takes its place."""
        return self._put("_loading", hook, prepend)

    def register_load_state_dict_post_hook(self, hook, prepend=False) -> Handle:
        """Call `hook(optimizer)` after load_state_dict."""
        return self._put("_loaded", hook, prepend)

    def _put(self, place, hook, prepend):
        before = dict(getattr(self, place) or {})
        handle = Handle.put(self, place, hook)
        if prepend:
            hooks = getattr(self, place)
            for key in before:
                hooks[key] = hooks.pop(key)
        return handle

    def _run(self, hooks, state_dict=None):
        """Call hooks in turn; what one returns takes the place of the state_dict."""
        for hook in list((hooks or {}).values()):
            changed = hook(self) if state_dict is None else hook(self, state_dict)
            state_dict = changed if changed is not None and state_dict is not None else state_dict
        return state_dict

    # ------------------------------------------------------------------------------------------------ saving
    def _numbered(self):
        return [p for g in self.param_groups for p in g["params"]]

    def state_dict(self) -> dict:
        """Everything needed to go on exactly: {"state": {number: {...}}, "param_groups": [...]}, with tensors."""
        self._run(self._saving)
        numbers = {id(p): i for i, p in enumerate(self._numbered())}
        groups = [{**g, "params": [numbers[id(p)] for p in g["params"]]} for g in self.param_groups]
        state = {numbers[id(p)] if isinstance(p, Tensor) else p: _saved(s) for p, s in self.state.items() if s}
        return self._run(self._saved, {"state": state, "param_groups": groups})

    def load_state_dict(self, state_dict) -> None:
        """Go on from a state_dict of an optimizer of the same kind over parameters in the same order.

        Raises:
            TensorliteError: other groups or other sizes; nothing is loaded then.
        """
        state_dict = self._run(self._loading, {**state_dict})
        groups, saved = self.param_groups, state_dict["param_groups"]
        if [len(g["params"]) for g in groups] != [len(g["params"]) for g in saved]:
            raise errors.TensorliteError(
                f"{type(self).__name__}.load_state_dict: the groups have {[len(g['params']) for g in saved]} parameters, "
                f"here they have {[len(g['params']) for g in groups]}"
            )
        params = self._numbered()
        where = {n: i for i, n in enumerate(n for g in saved for n in g["params"])}  # other numbers, the same order
        state = collections.defaultdict(dict)
        for number, values in state_dict["state"].items():
            if number not in where:
                raise errors.TensorliteError(
                    f"{type(self).__name__}.load_state_dict: there is state of parameter {number}, "
                    f"but only {len(params)} parameters"
                )
            p = params[where[number]]
            for key, value in values.items():
                if self.shaped and isinstance(value, Tensor) and value.ndim and value.shape != p.shape:
                    raise errors.ShapeError(
                        f"{type(self).__name__}.load_state_dict: {key} of parameter {number} has shape {tuple(value.shape)}, "
                        f"the parameter {tuple(p.shape)}"
                    )
            state[p] = {k: _number(k, v) if k in SCALARS else _like(v, p) for k, v in values.items()}
        for g, s in zip(groups, saved, strict=True):
            names = {"param_names": g["param_names"]} if "param_names" in g else {}
            loaded = {
                k: v.clone() if isinstance(v, Tensor) else v for k, v in s.items() if k not in ("params", "param_names")
            }
            g.update({**loaded, **names})
        self.state = state
        self._run(self._loaded)

    def __getstate__(self):
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._sides = {}

    def __repr__(self):
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines += [
                *[""] * bool(i),
                f"Parameter Group {i}",
                *[f"    {k}: {group[k]}" for k in sorted(group) if k != "params"],
            ]
        return "\n".join([*lines, ")"])


def register_optimizer_step_pre_hook(hook) -> Handle:
    """Call `hook(optimizer, args, kwargs)` before each step of every optimizer."""
    return Handle.put(_Everywhere, "before", hook)


def register_optimizer_step_post_hook(hook) -> Handle:
    """Call `hook(optimizer, args, kwargs)` after each step of every optimizer."""
    return Handle.put(_Everywhere, "after", hook)


# ---------------------------------------------------------------------------------------------------- for the rules
def plain(group):
    """The options of a group, with numbers in the place of tensors of one element."""
    if any(isinstance(v, Tensor) for v in group.values()):
        return {k: v.item() if isinstance(v, Tensor) else v for k, v in group.items()}
    return group


def zeros(device, p, state, name, fill=0):
    """The raw array of a state tensor in p's shape, filled with zeros (or `fill`) at first use."""
    if name not in state:
        xp = device.backend.xp
        state[name] = wrap(xp.full(p.shape, fill, dtype=p.dtype) if fill else xp.zeros(p.shape, dtype=p.dtype), device)
    return state[name].array


def count(state) -> int:
    """The number of this step, from 1."""
    state["step"] = step = state.get("step", 0) + 1
    return step


def followed(p, g, group):
    """The gradient to follow: -g under maximize, and with it the weight decay wd p."""
    if group["maximize"]:
        g = -g
    return g + group["weight_decay"] * p if group["weight_decay"] else g


def blend(average, value, share) -> None:
    """average = (1 - share) average + share value, in place."""
    average *= 1 - share
    average += share * value


# ---------------------------------------------------------------------------------------------------- for the state
def _saved(state):
    """One parameter's state as it is saved: PyTorch's counters are 0-d tensors."""
    cpu = as_device("cpu")
    return {k: scalar_tensor(v, dtype=SCALARS[k], device=cpu) if k in SCALARS else v for k, v in state.items()}


def _number(key, value):
    """A saved counter as a number."""
    value = value.item() if isinstance(value, Tensor) else value
    return int(value) if key == "step" else value


def _like(value, p):
    """A copy of a saved value; tensors go where p is, and into p's dtype if they are floating point."""
    if isinstance(value, Tensor):
        return value.detach().to(p.device, dtype=p.dtype if value.dtype.is_floating_point else None, copy=True)
    if isinstance(value, dict):
        return {k: _like(v, p) for k, v in value.items()}
    return type(value)(_like(v, p) for v in value) if isinstance(value, (list, tuple)) else value
