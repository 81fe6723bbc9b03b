"""Finds operands that the graph has not kept: the data in `p - y`, the 1 in `x + 1`. Sums save nothing, so they are looked for."""

from tensorlite.explainer.names import literal

CLOSE = 1e-5


def fill(nodes, item_of, arrays, named):
    """Note in `arrays` and the items what the missing operand of a sum or difference must have been.

    It is what the result and the other operand say, if that is one number, or a tensor that the caller has at hand.
    """
    found = False
    for node in nodes:
        if node.op is None or node.op.name not in ("add", "sub") or None not in node.parents:
            continue
        item, k = item_of[node], node.parents.index(None)
        if item.inputs[k] >= 0 or k in arrays.fixed[item.id]:
            continue
        out, other = arrays.value(item.id), arrays.value(item.inputs[1 - k])
        if out is None or other is None or not out[0].size:
            continue
        xp = node.device.backend.xp
        with node.device.backend.quiet():
            must = out[0] - other[0] if node.op.name == "add" else other[0] - out[0] if k else out[0] + other[0]
            room = CLOSE * max(1.0, float(abs(must).max()))
            for name, t in named.items():
                if t.node is None and t.device is node.device and _fits(t.array.shape, must.shape):
                    if t.array.size > 1 and bool(xp.all(abs(must - t.array) <= room)):
                        arrays.fixed[item.id][k], item.literals[k], found = t.array, name, True
                        break
            else:
                low, high = float(must.min()), float(must.max())
                if high - low <= room:
                    value = float(f"{(low + high) / 2:.5g}")
                    arrays.fixed[item.id][k], item.literals[k], found = value, literal(value), True
    if found:
        arrays.again.clear()  # what could not be computed before
        arrays.trusted = None


def _fits(shape, whole):
    return len(shape) <= len(whole) and all(a in (1, b) for a, b in zip(reversed(shape), reversed(whole)))
