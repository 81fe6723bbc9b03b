"""Hooks of modules: of one (`Hooked`) and of all (`everywhere`), before and after the forward and the backward pass.

For the backward pass the inputs and outputs of a call go through a function that shows their gradients on the way back.
"""

import warnings

from tensorlite import errors
from tensorlite.function import Function
from tensorlite.tensor import Handle, Tensor


class _Everywhere:
    """The hooks of all modules; they run before a module's own."""

    def __init__(self):
        self.before, self.forward, self.backward, self.registered = {}, {}, {}, {}

    def see(self, module, store, name, value):
        """`value`, about to be registered, or what a hook puts in its place."""
        for kind, hook in list(self.registered.values()):
            if store is getattr(module, kind):
                answer = hook(module, name, value)
                value = value if answer is None else answer
        return value


everywhere = _Everywhere()


def register_module_forward_pre_hook(hook) -> Handle:
    """Call `hook(module, args)` before the forward of every module; what it returns, if not None, replaces the arguments."""
    return Handle.put(everywhere, "before", (hook, False, False))


def register_module_forward_hook(hook, *, with_kwargs=False, always_call=False) -> Handle:
    """Call `hook(module, args, output)` after the forward of every module; what it returns replaces the output.

    with_kwargs: `hook(module, args, kwargs, output)`. always_call: after a call that failed too, with None.

    Example:
        >>> import tensorlite as tl
        >>> seen = []
        >>> handle = tl.nn.modules.module.register_module_forward_hook(lambda m, args, out: seen.append(type(m).__name__))
        >>> y = tl.nn.Sequential(tl.nn.ReLU())(tl.ones(1))
        >>> handle.remove(); seen
        ['ReLU', 'Sequential']
    """
    return Handle.put(everywhere, "forward", (hook, with_kwargs, always_call))


def register_module_full_backward_pre_hook(hook) -> Handle:
    """Call `hook(module, grad_output)` before the backward pass goes through any module; a tuple returned replaces it."""
    return Handle.put(everywhere, "backward", (hook, True, False))


def register_module_full_backward_hook(hook) -> Handle:
    """Call `hook(module, grad_input, grad_output)` after the backward pass of any module; a tuple replaces grad_input."""
    _one_kind(everywhere.backward, "old", "all modules")
    return Handle.put(everywhere, "backward", (hook, False, False))


def register_module_backward_hook(hook) -> Handle:
    """The old kind, for all modules: see Module.register_backward_hook; use register_module_full_backward_hook."""
    _one_kind(everywhere.backward, False, "all modules")
    return Handle.put(everywhere, "backward", (hook, "old", False))


def _one_kind(hooks, other, where):
    if any(kind is other or kind == "old" == other for _, kind, _ in (hooks or {}).values()):
        raise errors.ArgumentError(
            f"backward hooks: {where} cannot have both the old and the full kind; use one of them"
        )


def register_module_parameter_registration_hook(hook) -> Handle:
    """Call `hook(module, name, parameter)` when any module takes a parameter; what it returns takes its place."""
    return Handle.put(everywhere, "registered", ("_parameters", hook))


def register_module_buffer_registration_hook(hook) -> Handle:
    """Call `hook(module, name, buffer)` when any module takes a buffer; what it returns takes its place."""
    return Handle.put(everywhere, "registered", ("_buffers", hook))


def register_module_module_registration_hook(hook) -> Handle:
    """Call `hook(module, name, child)` when any module takes a sub-module; what it returns takes its place."""
    return Handle.put(everywhere, "registered", ("_modules", hook))


class Hooked:
    """What Module knows of its hooks."""

    _forward_pre_hooks = _forward_hooks = _backward_hooks = None

    def register_forward_pre_hook(self, hook, *, prepend=False, with_kwargs=False) -> Handle:
        """Call `hook(module, args)` before forward; what it returns, if not None, replaces the arguments."""
        return self._hook("_forward_pre_hooks", hook, prepend, with_kwargs)

    def register_forward_hook(self, hook, *, prepend=False, with_kwargs=False, always_call=False) -> Handle:
        """Call `hook(module, args, output)` after forward; what it returns, if not None, replaces the output."""
        return self._hook("_forward_hooks", hook, prepend, with_kwargs, always_call)

    def register_full_backward_hook(self, hook, prepend=False) -> Handle:
        """Call `hook(module, grad_input, grad_output)`, tuples, when the gradients of the arguments (by position) are there;
        a tuple that it returns replaces grad_input."""
        _one_kind(self._backward_hooks, "old", type(self).__name__)
        return self._hook("_backward_hooks", hook, prepend, False)

    def register_full_backward_pre_hook(self, hook, prepend=False) -> Handle:
        """Call `hook(module, grad_output)`, a tuple, before the backward pass goes through the module; a tuple that it returns
        replaces grad_output."""
        return self._hook("_backward_hooks", hook, prepend, True)

    def register_backward_hook(self, hook) -> Handle:
        """The old kind, kept for old programs: `hook(module, grad_input, grad_output)` sees the gradients of the last
        operation of forward alone, in the order of that operation's inputs here; where these are not the module's there is a
        FutureWarning. Use register_full_backward_hook."""
        _one_kind(self._backward_hooks, False, type(self).__name__)
        return self._hook("_backward_hooks", hook, False, "old")

    def _call_watched(self, args, kwargs):
        hooks, kinds = (
            [*everywhere.backward.values(), *(self._backward_hooks or {}).values()],
            {True: [], False: [], "old": []},
        )
        for hook, kind, _ in hooks:
            kinds[kind].append(hook)
        watch = BackwardHooks(self, kinds[True], kinds[False]) if kinds[True] or kinds[False] else None
        out = self.forward(*(args if watch is None else watch.inputs(args)), **kwargs)
        if self._forward_hooks or everywhere.forward:
            out = self._run_hooks(args, kwargs, out)
        out = out if watch is None else watch.outputs(out)
        if kinds["old"]:
            _watch_last(self, kinds["old"], args, out)
        return out

    def _hook(self, store, hook, prepend, *how):
        object.__setattr__(self, store, self.__dict__.get(store) or {})
        handle = Handle.put(self, store, (hook, *how, *(False,) * (2 - len(how))))
        if prepend:
            hooks = self.__dict__[store]
            first = {handle.key: hooks.pop(handle.key)}
            first.update(hooks)
            hooks.clear()
            hooks.update(first)
        return handle

    def _run_pre_hooks(self, args, kwargs):
        for hook, with_kwargs, _ in [*everywhere.before.values(), *(self._forward_pre_hooks or {}).values()]:
            answer = hook(self, args, kwargs) if with_kwargs else hook(self, args)
            if answer is not None and with_kwargs:
                args, kwargs = answer
            elif answer is not None:
                args = answer if isinstance(answer, tuple) else (answer,)
        return args, kwargs

    def _run_hooks(self, args, kwargs, out):
        for hook, with_kwargs, _ in [*everywhere.forward.values(), *(self._forward_hooks or {}).values()]:
            answer = hook(self, args, kwargs, out) if with_kwargs else hook(self, args, out)
            out = out if answer is None else answer
        return out

    def _run_always(self, args, kwargs):
        """After a fault in the call: the hooks that are to be called always, with no result. Their own faults are warnings."""
        for hook, with_kwargs, always in [*everywhere.forward.values(), *(self._forward_hooks or {}).values()]:
            if always:
                try:
                    hook(self, args, kwargs, None) if with_kwargs else hook(self, args, None)
                except Exception as e:
                    warnings.warn(f"{type(self).__name__}: a hook after a failed call failed too: {e}", stacklevel=3)


def _watch_last(module, hooks, args, out):
    """The old hooks, put on the operation that the (first) result comes from."""
    last = out
    while not isinstance(last, Tensor):
        last = next(v for v in last.values() if isinstance(v, Tensor)) if isinstance(last, dict) else last[0]
    node = last.grad_fn
    if node is None:
        return
    for hook in hooks:
        node.register_hook(lambda grads, outs, hook=hook: hook(module, grads, outs))
    missing = _missing(node, args, out)
    if missing:
        warnings.warn(
            f"{type(module).__name__}: an old backward hook on a module {missing[0]} will be missing some of the"
            f" {missing[1]}; use register_full_backward_hook",
            FutureWarning,
            stacklevel=4,
        )


def _missing(node, args, out):
    """What an old hook does not see, where PyTorch warns too: (why, what), or None."""
    outs, tensors = (out,) if isinstance(out, Tensor) else out, lambda v: all(isinstance(x, Tensor) for x in v)
    if not isinstance(outs, tuple) or not tensors(outs):
        return "that does not return a Tensor or a tuple of Tensors", "grad_output"
    if not tensors(args):
        return "that does not take Tensors alone", "grad_input"
    if {x.grad_fn for x in outs if x.grad_fn is not None} != {node}:
        return "whose results come from different operations", "grad_output"
    if {x.grad_fn for x in args if x.grad_fn is not None} != {n for n, _ in node.next_functions}:
        return "whose forward has several operations", "grad_input"
    return None


class _Seen(Function):
    """The same values; `show` gets their gradients on the way back, and says what goes on."""

    @staticmethod
    def forward(ctx, show, *tensors):
        ctx.show = show
        return tuple([t.clone() for t in tensors])

    @staticmethod
    def backward(ctx, *grads):
        return (None, *ctx.show(grads))


def _through(values, show, what):
    """`values` (a tensor, or a tuple or list of anything) with every tensor that requires grad led through `show`."""
    single = isinstance(values, Tensor)
    if not single and not isinstance(values, (tuple, list)):
        raise errors.DTypeError(
            f"{what} must be a tensor or a tuple of them for backward hooks, not {type(values).__name__}"
        )
    items = [values] if single else list(values)
    places = [i for i, v in enumerate(items) if isinstance(v, Tensor) and v.requires_grad]
    if not places:
        return values

    def spread(grads):
        full = [None] * len(items)
        for i, g in zip(places, grads, strict=True):
            full[i] = g
        changed = show(tuple(full))
        return [changed[i] for i in places]

    for i, seen in zip(places, _Seen.apply(spread, *[items[i] for i in places]), strict=True):
        items[i] = seen
    return items[0] if single else type(values)(items)


class BackwardHooks:
    """One call of a module with hooks of its backward pass: `inputs` and `outputs` are put around its forward."""

    def __init__(self, module, before, after):
        self.module, self.before, self.after = module, before, after
        self.grad_output = self.grad_input = None

    def inputs(self, args):
        """The arguments, watched. Where none requires grad the hooks are called with (None, ...) from the outputs."""
        self.args = len(args)
        self.watched = any(isinstance(a, Tensor) and a.requires_grad for a in args)
        return _through(args, self._input, "the arguments")

    def outputs(self, out):
        """The result, watched."""
        return _through(out, self._output, f"the result of {type(self.module).__name__}")

    def _output(self, grads):
        for hook in self.before:
            grads = _changed("register_full_backward_pre_hook", hook(self.module, grads), grads)
        self.grad_output = grads
        if not self.watched:
            self._call((None,) * self.args)
        return grads

    def _input(self, grads):
        return self._call(grads)

    def _call(self, grads):
        for hook in self.after:
            grads = _changed("register_full_backward_hook", hook(self.module, grads, self.grad_output), grads)
        return grads


def _changed(name, answer, grads):
    if answer is None:
        return grads
    answer = answer if isinstance(answer, (tuple, list)) else (answer,)
    if len(answer) != len(grads):
        raise errors.ArgumentError(f"{name}: the hook returned {len(answer)} gradients, {len(grads)} are needed")
    return tuple(answer)
