"""The recorded graph computed once more with other inputs, for the checks at the end of an explanation."""

from tensorlite.op import Pick


class Replay:
    """Runs each operation's own `forward` again, oldest first. What it needs is asked of the arrays of a record."""

    def __init__(self, nodes, item_of, arrays, root):
        self.nodes, self.item_of, self.arrays, self.root = nodes, item_of, arrays, root
        self.leaves = {n: arrays.value(item_of[n].id) for n in nodes if n.op is None}

    def nudged(self, leaf, place, by):
        """The array of a leaf with one element changed."""
        array = leaf.device.backend.as_array(self.leaves[leaf][0]).copy()
        array.reshape(-1)[place] += by
        return array

    def stepped(self, leaf, change):
        """The array of a leaf minus a change."""
        return self.leaves[leaf][0] - change.astype(leaf.dtype)

    def result(self, changed=None):
        """The result as a number; None where it cannot be computed again."""
        changed, values = changed or {}, {}
        if any(v is None for v in self.leaves.values()):
            return None
        for node in self.nodes:
            if node.op is None:
                values[node] = changed.get(node, self.leaves[node][0])
                continue
            op, item = node.op, self.item_of[node]
            if op is Pick or op.outputs != 1 or op.moves or op.shares is not None or "forward" not in op.__dict__:
                return None
            operands = []
            for k, parent in enumerate(node.parents):
                if parent is not None:
                    operands.append(values[parent])
                    continue
                fixed = self.arrays.fixed[item.id]
                i = item.inputs[k]
                found = self.arrays.value(i) if i >= 0 else None
                if found is None and k not in fixed:
                    return None
                operands.append(found[0] if found is not None else fixed[k])
            b = node.device.backend
            with b.quiet():
                out = op.forward(b, *operands, **(node.args or {}))
            values[node] = out[0] if op.extras else out
        return float(values[self.root].reshape(()))
