"""tl.utils.checkpoint: keep no intermediate values of a part of a model, and compute them again when backward needs them.

Chen, Xu, Zhang and Guestrin 2016, "Training deep nets with sublinear memory cost".
"""

import contextlib

from tensorlite import errors, random, tree
from tensorlite.amp.casting import as_now
from tensorlite.modes import enable_grad
from tensorlite.saved import Packer, saved_tensors_hooks
from tensorlite.tensor import Tensor, mode, watchers, wrap

__all__ = ["checkpoint", "checkpoint_sequential", "noop_context_fn"]


def noop_context_fn():
    """Two contexts that do nothing: for the first run and for running again."""
    return contextlib.nullcontext(), contextlib.nullcontext()


def checkpoint(function, *args, use_reentrant=None, context_fn=noop_context_fn, determinism_check="default",
               debug=False, early_stop=True, **kwargs):  # fmt: skip
    """function(*args, **kwargs), whose intermediate values are not kept for backward but computed again there.

    The graph is recorded as ever; only the arrays that it saves are let go. The first of them that backward needs makes
    `function` run again, on the same arguments, with the same random numbers (preserve_rng_state=False: go on drawing) and under
    autocast as it was.
    So it serves derivatives of every order, nested checkpoints, keyword arguments, trees of tensors, and parameters that
    function uses from outside. use_reentrant, debug and early_stop are accepted as PyTorch's and change nothing: there is one way,
    that of use_reentrant=False.

    context_fn: gives two context managers, for the first run and for running again. determinism_check: "default" compares
    shapes and dtypes of what both runs save, "none" only their number. Under no_grad function is simply called.

    Raises:
        GraphError: running again saved other tensors than the first run. InplaceError: an argument was changed in between.

    Example:
        >>> import tensorlite as tl
        >>> block = tl.nn.Sequential(tl.nn.Linear(4, 4), tl.nn.ReLU(), tl.nn.Dropout(0.5), tl.nn.Linear(4, 1))
        >>> tl.utils.checkpoint.checkpoint(block, tl.ones(2, 4), use_reentrant=False).sum().backward()
        >>> block[0].weight.grad.shape
        (4, 4)
    """
    preserve = kwargs.pop("preserve_rng_state", True)
    if determinism_check not in ("default", "none"):
        raise errors.ArgumentError(
            f"checkpoint: determinism_check must be 'default' or 'none', not {determinism_check!r}"
        )
    if not callable(function):
        raise errors.ArgumentError(f"checkpoint: a function or module is needed, not {type(function).__name__}")
    first, again = context_fn()
    if not mode.grad:
        with first:
            return function(*args, **kwargs)
    part = _Part(function, args, kwargs, preserve, again, determinism_check == "default")
    with first, saved_tensors_hooks(part.pack, part.unpack):
        return function(*args, **kwargs)


class _Part:
    """One checkpointed call: what it takes to run it again, and what running again gave."""

    def __init__(self, function, args, kwargs, preserve, context, strict):
        self.function, self.context, self.strict = function, context, strict
        self.scope, self.module, self.autocast = mode.scope, mode.module, as_now()
        self.state = random.get_rng_state() if preserve else None
        leaves, self.skeleton = tree.flatten((args, kwargs))
        keeper = _outer_pair()
        self.inputs = [_Input(x, keeper) if isinstance(x, Tensor) else x for x in leaves]
        self.saved, self.found = [], {}  # (shape, dtype) of each saved array; number -> array of the second run

    def pack(self, t):
        """Keep only the number of a saved array."""
        self.saved.append((t.array.shape, t.array.dtype))
        return len(self.saved) - 1

    def unpack(self, number):
        """The array of that number, after running again if it is not there."""
        if number not in self.found:
            self.run_again()
        return self.found.pop(number)

    def run_again(self):
        """Run function once more, on detached arguments, and take what it saves."""
        self.found, count = {}, 0

        def take(t):
            nonlocal count
            self.check(count, t)
            self.found[count] = t
            count += 1

        inputs = [x.again() if isinstance(x, _Input) else x for x in self.inputs]
        args, kwargs = tree.unflatten(inputs, self.skeleton)
        scope, module, state = mode.scope, mode.module, random.get_rng_state()
        mode.scope, mode.module = self.scope, self.module
        if self.state is not None:
            random.set_rng_state(self.state)
        try:
            with enable_grad(), self.autocast(), self.context, saved_tensors_hooks(take, None):
                self.function(*args, **kwargs)
        finally:
            mode.scope, mode.module = scope, module
            if self.state is not None:
                random.set_rng_state(state)
        if count != len(self.saved):
            raise self.differs(f"the first run saved {len(self.saved)} tensors, running again {count}")

    def check(self, number, t):
        """Compare one saved array with what the first run saved there."""
        if not self.strict or number >= len(self.saved):
            return
        shape, dtype = self.saved[number]
        if (t.array.shape, t.array.dtype) != (shape, dtype):
            raise self.differs(f"tensor {number} was {dtype} {tuple(shape)} and is now {errors.describe(t)}")

    def differs(self, what):
        """The error for two runs that differ."""
        name = getattr(self.function, "__name__", type(self.function).__name__)
        return errors.GraphError(
            f"checkpoint of {name}: running it again did not do the same: {what}; it must not depend on what changes "
            "between forward and backward (counters, flags, a mode such as train() or eval())"
        )


def _outer_pair():
    """The hooks of a checkpoint around this one: they keep the arguments too."""
    return next((w.pair for w in watchers(Packer)), None)


class _Input:
    """A tensor argument, to be given once more without its graph."""

    def __init__(self, t, keeper):
        self.requires_grad, self.version, self.count = t.requires_grad, t.version, t.version.count
        self.keeper = keeper if t.batched is None else None
        self.kept = t if self.keeper is None else keeper.pack_hook(wrap(t.array, t.device))

    def again(self):
        """The tensor, detached, as a leaf that requires grad if it did."""
        if self.version.count != self.count:
            raise errors.InplaceError(
                f"checkpoint: an argument was changed in place by {self.version.by} before it was needed again for "
                "backward (the gradient would be wrong); change a clone instead"
            )
        t = self.kept if self.keeper is None else self.keeper.unpack_hook(self.kept)
        if t.batched is None:
            if t.is_leaf and t.requires_grad == self.requires_grad:
                return t
            return t.detach().requires_grad_() if self.requires_grad else t.detach()
        from tensorlite.func.batched import bottom, levels, rebuild

        plain = bottom(t).detach()
        return rebuild(plain.requires_grad_() if self.requires_grad else plain, levels(t))


def checkpoint_sequential(functions, segments, input, use_reentrant=None, **kwargs):
    """`input` through the functions (a Sequential or a list) one after the other, in `segments` checkpointed parts; the last
    part is run as ever, for backward needs it at once."""
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        raise errors.ArgumentError(f"checkpoint_sequential: unexpected arguments {sorted(kwargs)}")
    functions = list(functions.children()) if hasattr(functions, "children") else list(functions)
    if not 1 <= segments <= len(functions):
        raise errors.ArgumentError(
            f"checkpoint_sequential: segments must be 1 to the number of functions, {len(functions)}, got {segments}"
        )
    size, start = len(functions) // segments, 0

    def run(part):
        def function(x):
            for f in part:
                x = f(x)
            return x

        return function

    for _ in range(segments - 1):
        part = functions[start : start + size]
        input = checkpoint(run(part), input, use_reentrant=use_reentrant, preserve_rng_state=preserve)
        start += size
    return run(functions[start:])(input)
