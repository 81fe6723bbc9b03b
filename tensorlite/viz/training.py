"""What a schedule will do, and what activations do: rates, norms with the clip line, dead and saturated units."""

import copy
import warnings

from tensorlite import errors
from tensorlite.modes import no_grad
from tensorlite.tensor import Tensor, Watcher, mode
from tensorlite.viz.base import Bars, Picture, Stack, number
from tensorlite.viz.curves import Curves
from tensorlite.viz.gradients import quiet

SATURATED = {  # class: (low, high) beyond which the slope is nearly 0
    "Tanh": (-0.99, 0.99),
    "Sigmoid": (0.01, 0.99),
    "Softsign": (-0.99, 0.99),
    "Hardtanh": (-1.0, 1.0),
    "Hardsigmoid": (0.0, 1.0),
    "ReLU6": (None, 6.0),
}
ACTIVATIONS = {*SATURATED, "ReLU", "LeakyReLU", "PReLU", "RReLU", "ELU", "SELU", "CELU", "GELU", "SiLU", "Mish"} | {
    "Softplus", "Hardswish", "Hardshrink", "Softshrink", "Tanhshrink", "Threshold", "LogSigmoid", "GLU",
}  # fmt: skip


def schedule(sched, steps, clip=None, norms=None, title="learning rate") -> Picture:
    """The learning rate of each group over the next `steps` steps; with `norms` (gradient norms so far, or [(step, norm)]) a
    second curve with the line `clip`, above which gradients are scaled down. The schedule itself does not move.

    Raises:
        ArgumentError: steps below 0, or a schedule that needs a measured value at each step.
    """
    if not hasattr(sched, "optimizer"):
        raise errors.DTypeError(f"schedule: a learning-rate schedule is needed, not {type(sched).__name__}")
    if steps < 0:
        raise errors.ArgumentError(f"schedule: steps must be at least 0, not {steps}")
    # The copy has groups of its own but shares the parameters and the optimizer's state, which it never touches.
    optimizer = sched.optimizer
    shared = [optimizer.state, *(p for g in optimizer.param_groups for p in g["params"])]
    twin = copy.deepcopy(sched, {id(thing): thing for thing in shared})
    groups = twin.optimizer.param_groups
    names = ["lr"] if len({g["lr"] for g in groups}) == 1 and len(set(twin_lrs(groups))) == 1 else None
    lines = [[] for _ in groups]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no optimizer steps between
        for t in range(steps):
            for line, group in zip(lines, groups, strict=True):
                line.append((t, float(group["lr"])))
            try:
                twin.step()
            except TypeError as e:
                raise errors.ArgumentError(
                    f"schedule: {type(sched).__name__} needs a measured value at each step ({e})"
                ) from None
    if names or all(line == lines[0] for line in lines):
        rates = {"lr": lines[0]}
    else:
        rates = {f"lr {i}": line for i, line in enumerate(lines)}
    first = Curves(rates, title, height=260)
    if norms is None:
        return first
    rows = [r if isinstance(r, (tuple, list)) else (i, r) for i, r in enumerate(norms)]
    guides = {} if clip is None else {f"clip {number(clip)}": clip}
    clipped = sum(y > clip for _, y in rows) if clip is not None else 0
    words = f"gradient norm, {clipped} of {len(rows)} clipped" if clip is not None else "gradient norm"
    return Stack(f"{title}; {words}", [first, Curves({"norm": rows}, words, height=260, guides=guides)])


def twin_lrs(groups):
    """The rate each group began with."""
    return [g.get("initial_lr", g["lr"]) for g in groups]


FUNCTIONS = ("relu", "tanh", "sigmoid", "gelu")  # operations that are activations wherever they stand
MOST_CALLS = 3  # of one place: more, as the steps of a recurrent net, are one row


class Seen(Watcher):
    """Notes the results of activation functions that are called outside of activation modules, such as F.relu in a forward."""

    def __init__(self, under, note):
        super().__init__(under)
        self.note = note

    def forward(self, op, inputs, result):
        """Called by the engine after each operation."""
        super().forward(op, inputs, result)
        if op.name in FUNCTIONS and type(mode.module).__name__ not in ACTIVATIONS:
            place = f"{mode.scope} " if mode.scope is not None and str(mode.scope) else ""
            under, mode.watcher = mode.watcher, None
            try:
                self.note(place + op.name, op.name, result)
            finally:
                mode.watcher = under


def activations(model, x, title="activations") -> Picture:
    """Two numbers for each activation, on input x (a Tensor or a tuple of them): the share of its results that are exactly 0,
    and the share that is saturated (beyond 0.99 of a tanh, outside 0.01..0.99 of a sigmoid, ...); for ReLU also how many units
    (last dimension, or channels of a picture) are 0 for every input. The bar is the worse of the two shares.

    Seen are the activation modules (nn.ReLU, nn.Tanh, ...), and the functions relu, tanh, sigmoid and gelu wherever a forward
    calls them. More than three calls of one place are one row. The model runs once in evaluation mode without gradients; mode,
    buffers and random numbers are as before.

    >>> import tensorlite as tl
    >>> import tensorlite.nn.functional as F
    >>> class Net(tl.nn.Module):
    ...     def forward(self, x):
    ...         return F.relu(x)
    >>> tl.viz.activations(Net(), tl.tensor([[-1.0, 2.0], [-3.0, 4.0]])).rows
    [('relu', 0.5, 'zero 50.0%, dead 1 of 2 units')]
    """
    if not hasattr(model, "named_modules"):
        raise errors.DTypeError(f"activations: a Module is needed, not {type(model).__name__}")
    handles, calls = [], {}

    def note(path, kind, out):
        if isinstance(out, Tensor) and out.numel():
            calls.setdefault(path, []).append(_counts(kind, out))

    for path, module in model.named_modules():
        kind = type(module).__name__
        if kind in ACTIVATIONS:
            hook = lambda m, _, out, path=path or kind, kind=kind: note(path, kind, out)  # noqa: E731
            handles.append(module.register_forward_hook(hook))
    under = mode.watcher
    try:
        with quiet(model), no_grad():
            mode.watcher = Seen(under, note)
            model(*(x if isinstance(x, tuple) else (x,)))
    finally:
        mode.watcher = under
        for handle in handles:
            handle.remove()
    rows, alarms = [], []
    for path, found in calls.items():
        if len(found) > MOST_CALLS:
            parts = [(f"{path}, {len(found)} calls", found)]
        else:
            parts = [(path if len(found) == 1 else f"{path} call {k + 1}", [one]) for k, one in enumerate(found)]
        for label, counted in parts:
            said, worst, dead = _words(counted)
            if dead:
                alarms.append(len(rows))
            rows.append((label, worst, said))
    note_ = (
        "share of zeros or saturated results" if rows else "no activation (nn.ReLU, F.relu, nn.Tanh, ...) was called"
    )
    return Bars(title, rows, note_, guides=[(0.5, "50%"), (1.0, "100%")] if rows else (), alarms=alarms)


def _counts(kind, out):
    """(results, zeros, saturated ones or None, which units are 0 throughout or None) of one call."""
    n, zero = out.numel(), out == 0
    limits = SATURATED.get(kind, SATURATED.get(kind.capitalize()))
    saturated = None
    if limits:
        low, high = limits
        saturated = ((out >= high) if low is None else (out >= high) | (out <= low)).sum().item()
    axis = 1 if out.ndim == 4 else out.ndim - 1
    silent = None
    if kind.lower() in ("relu", "relu6") and out.ndim > 1 and n > out.shape[axis]:
        silent = zero.movedim(axis, 0).reshape(out.shape[axis], -1).all(1).tolist()
    return n, zero.sum().item(), saturated, silent


def _words(calls):
    """(what is said, the worse share, dead units) of the calls of one row."""
    n = sum(c[0] for c in calls)
    zeros = sum(c[1] for c in calls) / n
    saturated = None if calls[0][2] is None else sum(c[2] for c in calls) / n
    said = f"zero {zeros:.1%}" + (f", saturated {saturated:.1%}" if saturated is not None else "")
    units = [c[3] for c in calls]
    dead = 0
    if all(u is not None and len(u) == len(units[0]) for u in units):
        dead = sum(map(all, zip(*units, strict=True)))
        said += f", dead {dead} of {len(units[0])} units" if dead else ""
    return said, max(zeros, saturated or 0.0), dead
