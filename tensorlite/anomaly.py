"""detect_anomaly: finds the operation that made the first nan or inf, forward or backward, and the line that called it."""

import linecache
import sys

from tensorlite import errors
from tensorlite.errors import AnomalyError
from tensorlite.tensor import Tensor, Watcher, mode, path, watchers

_CALLERS = ("tensorlite.models", "tensorlite.cli")  # of our own code, these call the engine as a user's code does


class Detector(Watcher):
    """Looks at every result and every gradient while the mode is on. It waits for the device each time: for debugging only.

    check: False notes the source lines only. on: False while an inner switch stands in its place.
    """

    def __init__(self, check: bool, under):
        super().__init__(under)
        self.check, self.on = check, True

    def forward(self, op, inputs, result):
        """After an op has computed: note the line, and refuse a nan or inf that its inputs did not hold."""
        super().forward(op, inputs, result)
        if not self.on:
            return
        if result.node is not None:
            result.node.where = source_line()
        what = self.check and _worst(result)
        if not what:
            return
        before = [_worst(x) for x in inputs if isinstance(x, (Tensor, float))]
        if what in before or "nan" in before:
            return  # nan from nan, inf from inf is not new; nan from inf (inf - inf, 0 * inf) is
        names = op.inputs or [f"input {i}" for i in range(len(inputs))]
        fault = f"made the first {what}, {_count(result)}"
        text = errors.compose(op.name, fault, errors.argument_table(names, inputs), path())
        raise AnomalyError(text + _at(source_line()) + _differentiated())

    def start(self, roots):
        """Before a walk: refuse a gradient to start from that holds a nan or inf already."""
        super().start(roots)
        for node, g in roots.items():
            if self.on and self.check and (what := _worst(g, node.device)):
                kind = node.op.name if node.op else "leaf"
                raise AnomalyError(
                    f"backward: the gradient to start from, that of {kind} {tuple(node.shape)}, holds {what}"
                )

    def backward(self, node, i, share, g):
        """After a rule has turned g into the share of parent i: refuse a nan or inf."""
        super().backward(node, i, share, g)
        what = self.on and self.check and _worst(share, node.device)
        if not what:
            return
        parts = g.values() if isinstance(g, dict) else g if isinstance(g, tuple) else (g,)
        given = next((w for w in (_worst(v, node.device) for v in parts if v is not None) if w), None)
        if given:  # all shares were finite until here
            fault = (
                f"the gradient of its result {tuple(node.shape)} holds {given}: by the sum of its shares, or by a hook"
            )
        else:
            names = node.op.inputs
            name = names[i] if i < len(names) else f"input {i}"
            fault = f"its backward made the first {what}, {_count(share, node.device)}, in the gradient of {name}"
            fault += f" {tuple(node.parents[i].shape)}"
        raise AnomalyError(errors.compose(node.op.name, fault, "", str(node.scope or "")) + _at(node.where))


def _raw(x, device):
    """(array, its backend) of a Tensor, or of a raw array of `device`."""
    array, device = (x.array, x.device) if isinstance(x, Tensor) else (x, device)
    return device.backend.as_array(array), device.backend


def _worst(x, device=None):
    """What is in x (a Tensor, a raw array of `device`, a number): "nan", else "inf", else None."""
    if isinstance(x, float) and device is None:
        return "nan" if x != x else "inf" if x in (float("inf"), float("-inf")) else None
    array, b = _raw(x, device)
    if array.dtype.kind in "iub" or bool(b.xp.isfinite(array).all()):
        return None
    return "nan" if bool(b.xp.isnan(array).any()) else "inf"


def _count(x, device=None):
    """`2 of 6 elements, first at (0, 1)`."""
    array, b = _raw(x, device)
    bad = [int(i) for i in b.to_host(b.xp.nonzero((~b.xp.isfinite(array)).reshape(-1))[0])]
    place, rest = [], bad[0]
    for n in reversed(array.shape):
        rest, i = divmod(rest, n)
        place.insert(0, i)
    return f"{len(bad)} of {array.size} elements, first at {tuple(place)}" if array.ndim else "its only element"


def _ours(frame):
    name = frame.f_globals.get("__name__", "")
    return (name == "tensorlite" or name.startswith("tensorlite.")) and not name.startswith(_CALLERS)


def source_line() -> str:
    """`file:line` of the innermost call from outside of the engine (from a user's code, or a model)."""
    frame = sys._getframe(1)
    while frame.f_back is not None and _ours(frame):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def _at(where):
    if where is None:
        return " (called before detect_anomaly was on, so the line is not known)"
    file, _, line = where.rpartition(":")
    text = linecache.getline(file, int(line)).strip()
    return f", at {where}" + (f": {text}" if text else "")


def _differentiated():
    """While a derivative is recorded (create_graph), the op that it is the derivative of."""
    frame = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_name == "walk" and frame.f_globals.get("__name__") == "tensorlite.autograd":
            node = frame.f_locals.get("node")
            return f"; in the backward of {node.op.name}{_at(node.where)}" if node is not None and node.op else ""
        frame = frame.f_back
    return ""


class set_detect_anomaly:
    """Switch the search on or off in this thread: at once as a call, and as a context manager for a while.

    check_nan: False only notes the source lines, which errors of a later backward name then.
    """

    def __init__(self, mode_on: bool, check_nan: bool = True):
        self._switch(mode_on, check_nan)

    def _switch(self, mode_on, check_nan):
        self.before, self.paused = mode.watcher, [w for w in watchers(Detector) if w.on]
        while isinstance(mode.watcher, Detector):  # replaced
            mode.watcher = mode.watcher.under
        for watch in watchers(Detector):  # below others, which stay
            watch.on = False
        if mode_on:
            mode.watcher = Detector(check_nan, mode.watcher)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        mode.watcher = self.before
        for watch in self.paused:
            watch.on = True


class detect_anomaly(set_detect_anomaly):
    """Inside, the op that makes the first nan or inf, forward or backward, raises AnomalyError: which op, where in the
    model, and the source line that called it. Compute the forward pass inside too: the lines are noted there.

    A nan or inf that was put there on purpose (data, masks with -inf) is passed over; what is made from it is not, where
    a nan comes from an inf. Slow: each result is looked at. For this thread only.

    Example:
        >>> import tensorlite as tl
        >>> x = tl.tensor([0.0, 1.0], requires_grad=True)
        >>> with tl.autograd.detect_anomaly():
        ...     try:
        ...         x.log()
        ...     except tl.errors.AnomalyError as e:
        ...         print(str(e).partition(", at ")[0])
        log: made the first inf, 1 of 2 elements, first at (0,): x float32 (2,)
    """

    def __init__(self, check_nan: bool = True):
        self.check = check_nan

    def __enter__(self):
        self._switch(True, self.check)
        return self


def is_anomaly_enabled() -> bool:
    """Whether this thread searches for nan and inf."""
    return any(w.on for w in watchers(Detector))


def is_anomaly_check_nan_enabled() -> bool:
    """Whether the search looks at values, or notes source lines only."""
    return any(w.on and w.check for w in watchers(Detector))
