"""`color_by`: what a number of each operation (memory, time, gradient) makes of its card: a line, a colour, the legend.

`kept`, `times` and `norms` find the numbers of single items; `paint` adds them up for what is drawn, folded parts included.
"""

import itertools
import math
import weakref

from tensorlite import errors
from tensorlite.autograd import walk
from tensorlite.graph.flame import duration, memory
from tensorlite.graph.summary import norm, number
from tensorlite.graph.view import Legend, Line
from tensorlite.modes import no_grad
from tensorlite.tensor import Watcher, mode

STEPS = 5  # colours of a scale
UNKNOWN = "not known"
PROFILES = weakref.WeakSet()  # finished profiles; each tells the seconds of a node by `seconds(node.seq)`
WORDS = {
    "memory": "memory kept for backward: arrays saved, each counted where it is saved first; of leaves their own",
    "time": "time of the forward pass",
    "grad": "log10 of the gradient's L2 norm",
}
ASIDE = "log10 of the gradient's L2 norm, from a backward pass for this picture alone"


# ---------------------------------------------------------------- numbers of single items
def kept(record, arrays) -> dict:
    """Item id -> bytes: of an operation, the arrays it saved for backward (not those of leaves and constants, nor those that
    an earlier operation saved too); of a leaf or constant, its own.

    Raises:
        ArgumentError: backward has freed what was saved.
    """
    found, seen, freed = {}, set(), False
    for item in record.items:
        if item.kind != "op":
            found[item.id] = math.prod(item.shape or ()) * _itemsize(item.dtype) if not item.view else 0
            continue
        node = arrays.nodes.get(item.id)
        if node is None:  # the operation that failed
            continue
        if node.saved is None and node.packed is None:
            freed = freed or node.op.saves or node.op.fused
            continue
        n, total = len(node.parents), 0
        for place, value in enumerate(node.saved or ()):
            if place < n and (node.parents[place] is None or node.parents[place].op is None):
                continue
            for array in value if isinstance(value, (tuple, list)) else (value,):
                owner = _owner(array)
                if owner is not None and id(owner) not in seen:
                    seen.add(id(owner))
                    total += min(array.nbytes, owner.nbytes)
        found[item.id] = total
    if freed:
        raise errors.ArgumentError(
            "draw_graph: color_by='memory' needs the arrays that were saved for backward, and backward() has freed them; draw "
            "before it, or call backward(retain_graph=True), or draw_graph(model, x), which runs the model"
        )
    return found


def _owner(array):
    """Whose memory an array is a part of; None for what is no array."""
    if not hasattr(array, "nbytes") or not getattr(array, "shape", ()):
        return None
    while hasattr(getattr(array, "base", None), "nbytes"):
        array = array.base
    return array


def _itemsize(dtype):
    digits = "".join(c for c in dtype if c.isdigit())
    return int(digits) // 8 if digits else 1


def times(record, arrays, watch, backward=False) -> dict:
    """Item id -> seconds: as measured while the picture ran the model, else by a profile that saw the operations run.

    Raises:
        ArgumentError: neither is the case.
    """
    if watch is not None and not backward:
        return {i: watch.times[node] for i, node in arrays.nodes.items() if node in watch.times}
    found = {}
    for profile in list(PROFILES):
        seconds = profile.seconds(backward)
        found.update({i: seconds[node.seq] for i, node in arrays.nodes.items() if node.seq in seconds})
    if not found:
        what = "a backward pass that" if backward else "operations that"
        raise errors.ArgumentError(
            f"draw_graph: color_by='time' needs {what} a profile saw run: `with tl.profiler.profile() as prof: ...`, and prof "
            "still there"
            + ("" if backward else "; or draw_graph(model, x, color_by='time'), which runs the model itself")
        )
    return found


def norms(record, arrays, outputs) -> tuple:
    """(item id -> L2 norm of its gradient, whether they were computed for the picture).

    Those in `.grad`; where there are none yet and the picture is of one scalar whose graph is whole, those of a backward pass on
    the side, for every node; it changes no `.grad`.

    Raises:
        ArgumentError: there are no gradients, and none can be computed.
    """
    found = {i: norm(g.array, g.device.backend) for i, g in arrays.grads.items() if g is not None and g.array.size}
    if found:
        return found, False
    roots = [t for t in outputs.values() if t.node is not None]
    nodes = {node: i for i, node in arrays.nodes.items()}
    nodes.update(arrays.leaves)
    freed = any(n.saved is None and n.packed is None and (n.op.saves or n.op.fused) for n in arrays.nodes.values())
    if len(roots) != 1 or roots[0].numel() != 1 or freed or any(n.watched for n in nodes):
        raise errors.ArgumentError(
            "draw_graph: color_by='grad' needs gradients, and there are none: call backward() first (and retain_grad() on the "
            "results whose gradients are to be kept), or draw one scalar, such as a loss, whose graph was not freed"
        )
    return _aside(roots[0], nodes), True


def _aside(root, nodes):
    """Item id -> norm, from a walk on the side."""
    watch = mode.watcher = _Norms(mode.watcher)
    buffers = [(n, n.buffer) for n in nodes if n.buffer is not None]
    for n, _ in buffers:  # the array of an optimizer is not to be written
        n.buffer = None
    try:
        with no_grad():
            one = root.device.backend.xp.ones(root.array.shape, dtype=root.array.dtype)
            leaves = walk({root.node: one}, True, False, {n: True for n in nodes if n.op is None})
    finally:
        watch.remove()
        for n, buffer in buffers:
            n.buffer = buffer
    found = {nodes[n]: v for n, v in watch.found.items() if n in nodes}
    found.update({nodes[n]: norm(g, n.device.backend) for n, g in leaves.items() if n in nodes})
    return found


class _Norms(Watcher):
    """Notes how large the gradient of each node is when it hands it on."""

    def __init__(self, under):
        super().__init__(under)
        self.found = {}

    def backward(self, node, i, share, g):
        """After a share; g is the whole gradient of the node."""
        super().backward(node, i, share, g)
        if node not in self.found:
            several = g if isinstance(g, (tuple, list)) else g.values() if isinstance(g, dict) else (g,)
            backend = node.device.backend
            self.found[node] = math.hypot(*[norm(backend.as_array(a), backend) for a in several])


# ---------------------------------------------------------------- what is drawn
def paint(view, record, numbers, what, note="") -> None:
    """Give every card its number, as a line and as one of STEPS colours, clusters theirs in the title, the view its legend."""
    amounts = {c.id: _sum(numbers, c.whole, what, record.items) for c in view.cards}
    positive = [a for a in amounts.values() if a and math.isfinite(a)]
    low, high = (min(positive), max(positive)) if positive else (1.0, 1.0)
    low, high = math.log(low), math.log(high)
    whole = _sum(numbers, list(numbers), what, record.items)
    around, outer = {}, {box.id: box.outer for box in view.clusters}
    for card in view.cards:
        amount, times = amounts[card.id], 1
        c = card.cluster
        while c >= 0:
            around.setdefault(c, []).extend(card.whole)
            times *= view.clusters[c].times
            c = outer[c]
        if amount is None:
            words, card.heat = UNKNOWN, None
            if card.kind == "constant":
                continue
            if card.params and all(shared for _, _, shared in card.params):
                words = "shared: counted above"
        else:
            card.heat = _step(amount, low, high)
            words = _text(amount, what, whole) + (f" in {times * card.times:,}" if times * card.times > 1 else "")
        card.lines.append(Line({"grad": "log10 |g|"}.get(what, what), words, "note" if amount is None else "heat"))
        card.about += f"\n{what}: {words}"
    for box in view.clusters:
        amount = _sum(numbers, around.get(box.id, ()), what, record.items)
        if amount is not None:
            box.amount = f"|g| = {number(amount)}" if what == "grad" else _text(amount, what, whole)
    edges = [math.exp(low + (high - low) * k / STEPS) for k in range(STEPS + 1)]
    texts = [_short(e, what) for e in edges]
    if 0 in amounts.values():
        texts[0] = _short(0, what)
    steps = [f"{a} .. {b}" for a, b in itertools.pairwise(texts)] if low < high else []
    view.legend = Legend(what, note or WORDS[what], steps or [texts[0]], any(c.heat is None for c in view.cards))
    total = "" if what == "grad" else f", {_short(whole, what)} together"
    view.notes.append(f"Coloured by {what}{total}: {view.legend.title}.")


def _sum(numbers, which, what, items):
    """What these items have together; None where nothing is known. Gradients: of the leaves in it, else of its results."""
    known = [i for i in which if i in numbers]
    if not known:
        return None
    if what == "grad":
        known = [i for i in known if items[i].kind == "leaf"] or [i for i in known if not items[i].view] or known
        return math.hypot(*[numbers[i] for i in known])
    return math.fsum(numbers[i] for i in known)


def _step(amount, low, high):
    """The colour of an amount, 0 to STEPS - 1, on a scale of logarithms."""
    if not amount or high <= low:
        return 0
    if not math.isfinite(amount):
        return STEPS - 1
    return min(STEPS - 1, max(0, int(STEPS * (math.log(amount) - low) / (high - low))))


def _text(amount, what, whole):
    if what == "grad":
        return f"{_short(amount, what)}, |g| = {number(amount)}"
    share = 100 * amount / whole if whole else 0
    return f"{_short(amount, what)}, {f'{share:.0f}' if share >= 0.5 else '<1'} %" if amount else "0"


def _short(amount, what):
    if what == "memory":
        return memory(round(amount))
    if what == "time":
        return duration(float(f"{amount:.3g}"))
    if not math.isfinite(amount):
        return "nan" if amount != amount else "inf"
    return f"{math.log10(amount):.2f}" if amount else "-inf"
