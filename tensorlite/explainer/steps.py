"""The steps of one backward pass as plain data, told by the engine's own walk. Page, text and tests are all made from these.

`Recording` stands in `mode.watcher` while the engine walks; it changes no `.grad`, no random state, and keeps no tensor.
"""

from dataclasses import dataclass

from tensorlite import random as random_
from tensorlite.autograd import _roots, walk
from tensorlite.elementwise import Elementwise
from tensorlite.modes import no_grad
from tensorlite.op import Pick, raw_math
from tensorlite.tensor import Node, Watcher, mode

FULL = 64  # numbers of a tensor that are kept; of larger ones a summary is
ONE_BY_ONE = set(
    ["gelu", "silu", "mish", "where", "clamp", "clamp_between", "lerp", "clone", "alias", "dropout"]
)  # beside Elementwise ops


@dataclass(frozen=True)
class Numbers:
    """A small copy of an array: its numbers in row-major order, or (values None) what is said about a large one."""

    shape: tuple
    values: tuple | None
    low: float = 0.0
    high: float = 0.0
    norm: float = 0.0


@dataclass(frozen=True)
class Variable:
    """A card of the graph: an input, a constant, the result of one operation, or of a whole module ("group")."""

    id: int
    name: str
    kind: str  # "input", "constant", "op", "group"
    op: str
    code: str  # how it is computed, in the names of the others: "x1 * w1"
    shape: tuple
    value: Numbers | None  # None: not known any more
    inputs: tuple  # ids, one for each operand that is on a card
    uses: int  # how many shares its gradient is the sum of
    line: int = -1  # of the code
    formula: str = ""


@dataclass(frozen=True)
class Step:
    """One moment: an input, a computation, the start of the walk, one share handed back, or the end.

    A share: `upstream` (the complete gradient of `source`) times the local `slope` (None where the rule is no product of
    numbers: then `rule` says it) is `full`; summed over what was broadcast it is `share`; `before` + `share` = `after`.
    """

    kind: str  # "inputs", "compute", "seed", "share", "end"
    source: int = -1  # the variable that computes, or hands back
    target: int = -1
    operand: int = 0
    upstream: Numbers | None = None
    slope: Numbers | None = None
    rule: str = ""
    full: Numbers | None = None
    share: Numbers | None = None
    before: Numbers | None = None
    after: Numbers | None = None
    arrived: int = 0
    uses: int = 0
    paths: tuple = ()  # ((names from the result to the target), (slopes), product)
    curve: tuple = ()  # (xs, ys) of the function, for those of one number
    late: bool = False  # wrong order: a share that came after the target had handed on
    hasty: bool = False  # wrong order: the target hands on although shares are missing


def numbers(array, device) -> Numbers | None:
    """The Numbers of a raw array."""
    if array is None:
        return None
    b = device.backend
    array = b.as_array(array)
    shape = tuple(int(n) for n in array.shape)
    if array.size <= FULL:
        return Numbers(shape, tuple(b.to_host(array).reshape(-1).tolist()))
    if array.dtype.kind not in "fiu":
        return Numbers(shape, None)
    wide = array.astype("float64")
    return Numbers(shape, None, float(wide.min()), float(wide.max()), float((wide * wide).sum()) ** 0.5)


def one_by_one(op) -> bool:
    """Whether each element of the result depends on one element of each input: the local derivative is a slope."""
    return issubclass(op, Elementwise) or op.name in ONE_BY_ONE


def share_of(node: Node, i: int, g):
    """What the rule of operand i makes of the gradient g, before it is summed to the operand's shape; None: not told."""
    op, saved = node.op, node.saved
    if saved is None or op.shares is not None or op is Pick or op.outputs != 1:
        return None
    if op.fused:
        needs = [k == i for k in range(len(node.parents))]
        shares = op.backward(node.device.backend, g, needs, [None] * len(needs), *[saved[k] for k in op.passes])
        return shares[i] if isinstance(shares, (tuple, list)) else shares
    if op.variadic:
        return op.rule(raw_math(node.device), g, i, *saved)
    return op.rules[i](raw_math(node.device), g, *[saved[k] for k in op.uses[i]])


def slope_of(node: Node, i: int):
    """The local slope as an array, where the rule is `upstream x slope`: elementwise ops, and results of one number."""
    scalar = all(n == 1 for n in node.shape)
    if not (scalar or one_by_one(node.op)) or str(node.dtype) not in ("float64", "float32"):
        return None
    ones = node.device.backend.xp.ones(node.shape, dtype=node.dtype)
    with node.device.backend.quiet():
        return share_of(node, i, ones)


@dataclass
class Event:
    """A share as the engine made it: raw arrays, copied."""

    node: Node
    operand: int
    share: object
    upstream: object


class Recording(Watcher):
    """Notes each share of a walk, in the engine's order. wanted(node, i): whether it is to be kept."""

    def __init__(self, under, wanted):
        super().__init__(under)
        self.wanted, self.events, self.totals = wanted, [], {}

    def backward(self, node, i, share, g):
        """Called by the engine for each share."""
        super().backward(node, i, share, g)
        parent = node.parents[i]
        b = parent.device.backend
        share = b.as_array(share).copy() if not isinstance(share, dict) else None
        if share is not None and node.op.add_into is not None and not node.posthooks:  # told is the sum up to now
            before = self.totals.get(parent)
            total, share = share, share if before is None else share - before
            self.totals[parent] = total
        elif share is not None:
            before = self.totals.get(parent)
            self.totals[parent] = share if before is None else before + share
        if self.wanted(node, i):
            g = None if isinstance(g, (dict, tuple)) else node.device.backend.as_array(g).copy()
            self.events.append(Event(node, i, share, g))


def record(tensor, nodes, gradient=None, wanted=lambda node, i: True):
    """(events, gradients): one backward pass from `tensor` on the side. nodes: all it leads to; graph and `.grad` stay."""
    leaves = {n: True for n in nodes if n.op is None}
    kept = [(n, n.retains, n.buffer, n.watched) for n in nodes]
    under, state = mode.watcher, random_.get_rng_state()
    watch = Recording(under, wanted)
    mode.watcher = watch
    for n in nodes:  # no .grad of a result is written, no array of an optimizer
        n.retains, n.buffer = False, None
    try:
        with no_grad():
            found = walk(_roots(tensor, gradient, False), True, False, leaves)
    finally:
        mode.watcher = under
        for n, retains, buffer, watched in kept:
            n.retains, n.watched = retains, watched
            if buffer is not None:
                n.buffer = buffer
            else:
                n.__dict__.pop("buffer", None)
        random_.set_rng_state(state)
    return watch.events, found


def hasty(root: Node, seed):
    """The events of a walk in the wrong order: each node hands on as soon as its first share has come, and never again.

    The shares are the engine's rules, applied to gradients that are not complete.
    """
    events, grads, done = [], {root: seed}, set()
    stack = [root]
    while stack:
        node = stack.pop()
        if isinstance(node, Event):
            parent = node.node.parents[node.operand]
            events.append(node)
            grads[parent] = grads[parent] + node.share if parent in grads else node.share
            if parent not in done:
                done.add(parent)
                stack.append(parent)
            continue
        if node.op is None:
            continue
        g = grads[node]
        todo = [Event(node, i, share_of(node, i, g), g) for i, p in enumerate(node.parents) if p is not None]
        stack.extend(reversed(todo))
    return events
