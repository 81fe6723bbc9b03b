"""Hooks of a module's backward pass: its inputs and outputs go through a function that shows their gradients on the way back."""

from tensorlite import errors
from tensorlite.function import Function
from tensorlite.tensor import Tensor


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
