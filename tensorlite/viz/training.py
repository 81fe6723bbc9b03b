"""What a schedule will do, and what activations do: rates, norms with the clip line, dead and saturated units."""

import copy
import warnings

from tensorlite import errors
from tensorlite.modes import no_grad
from tensorlite.tensor import Tensor
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


def activations(model, x, title="activations") -> Picture:
    """Two numbers for each activation module, on input x (a Tensor or a tuple of them): the share of its results that are
    exactly 0, and the share that is saturated (beyond 0.99 of a tanh, outside 0.01..0.99 of a sigmoid, ...); for ReLU also how
    many units (last dimension, or channels of a picture) are 0 for every input. The bar is the worse of the two shares.

    The model runs once in evaluation mode without gradients; mode, buffers and random numbers are as before. Functions such
    as `F.relu` inside a forward are no modules and cannot be seen.
    """
    if not hasattr(model, "named_modules"):
        raise errors.DTypeError(f"activations: a Module is needed, not {type(model).__name__}")
    rows, alarms, handles, calls = [], [], [], {}
    for path, module in model.named_modules():
        if type(module).__name__ in ACTIVATIONS:
            path = path or type(module).__name__
            handles.append(
                module.register_forward_hook(
                    lambda m, _, out, path=path: calls.setdefault(path, []).append(_shares(m, out))
                )
            )
    try:
        with quiet(model), no_grad():
            model(*(x if isinstance(x, tuple) else (x,)))
    finally:
        for handle in handles:
            handle.remove()
    for path, found in calls.items():
        for k, (zeros, saturated, dead, units) in enumerate(found):
            label = path if len(found) == 1 else f"{path} call {k + 1}"
            said = f"zero {zeros:.1%}" + (f", saturated {saturated:.1%}" if saturated is not None else "")
            if dead:
                said += f", dead {dead} of {units} units"
                alarms.append(len(rows))
            rows.append((label, max(zeros, saturated or 0.0), said))
    note = (
        "share of zeros or saturated results" if rows else "no activation modules (nn.ReLU, nn.Tanh, ...) were called"
    )
    return Bars(title, rows, note, guides=[(0.5, "50%"), (1.0, "100%")] if rows else (), alarms=alarms)


def _shares(module, out):
    """(share of zeros, share saturated or None, dead units, units) of one result."""
    if not isinstance(out, Tensor) or not out.numel():
        return 0.0, None, 0, 0
    n, zero = out.numel(), out == 0
    zeros = zero.sum().item() / n
    limits = SATURATED.get(type(module).__name__)
    saturated = None
    if limits:
        low, high = limits
        beyond = (out >= high) if low is None else (out >= high) | (out <= low)
        saturated = beyond.sum().item() / n
    axis = 1 if out.ndim == 4 else out.ndim - 1
    dead, units = 0, 0
    if type(module).__name__ in ("ReLU", "ReLU6") and out.ndim > 1 and n > out.shape[axis]:
        units = out.shape[axis]
        dead = zero.movedim(axis, 0).reshape(units, -1).all(1).sum().item()
    return zeros, saturated, dead, units
