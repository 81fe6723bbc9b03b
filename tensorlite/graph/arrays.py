"""The arrays behind a Record while a picture is made: known values, gradients, and values computed again. Then dropped."""

import math

from tensorlite.op import registry
from tensorlite.tensor import changes

MOST_ELEMENTS = 10_000_000  # of all results of a graph in which anything is computed again
MOST_OPERATIONS = 2_000  # of such a graph
UNKNOWN = object()


class Arrays:
    """Where the numbers of a picture come from, in this order:

    - tensors that were given (outputs, `params=`, example inputs), as they are now;
    - everything, where the picture ran the model itself;
    - what operations saved for backward: their inputs and outputs (freed by backward, skipped if changed in place since);
    - results computed again by their own `forward`, in graphs that are not large, where all they depend on is known by the
      above. If an output does not come out as it was (a leaf was changed meanwhile), none of these is shown.
    What is known by none of these is not shown.
    """

    def __init__(self, record):
        self.record = record
        self.grads = {}  # id -> the Tensor in .grad
        self.leaves = {}  # Node of a leaf -> id
        self.nodes, self.fixed = {}, {}  # id -> its Node, and its operands that are no nodes: {place: array or number}
        self.values, self.shown = {}, {}  # id -> (array, device): as computed with; as it is now
        self.roots, self.held = [], []
        self.again, self.trusted, self.uses = {}, None, None

    def keep(self, i, array, device):
        """Note the value of item i at the time of the computation."""
        self.values.setdefault(i, (array, device))

    def give(self, i, tensor):
        """Note a tensor that stands for item i: its value now, and, if it was not changed since, its value then."""
        self.shown[i] = (tensor.array, tensor.device)
        if i not in self.values and tensor.version.tick < self._first_use(i):
            self.values[i] = (tensor.array, tensor.device)

    def _first_use(self, i):
        """The moment of the first operation on item i; whatever changes later changes another value."""
        if self.uses is None:
            self.uses = {}
            for j, node in self.nodes.items():  # in the order of the computation
                for p in self.record.items[j].inputs:
                    self.uses.setdefault(p, node.seq)
        return self.uses.get(i, 0) or changes.last + 1

    def value(self, i):
        """(array, device) of item i, or None where it is not known."""
        found = self.shown.get(i) or self.values.get(i)
        if found is not None:
            return found
        if self.trusted is None:
            self.trusted = False  # while the outputs are computed again
            self.trusted = self._check()
        if not self.trusted:
            return None
        array = self._compute(i)
        return None if array is UNKNOWN else (array, self.nodes[i].device)

    def _check(self):
        """Whether the outputs, computed again from their parents, are what they were; not asked of large graphs."""
        sizes = [math.prod(item.shape) for item in self.record.items if item.kind == "op"]
        if len(sizes) > MOST_OPERATIONS or sum(sizes) > MOST_ELEMENTS:
            return False
        for i in self.roots:
            if i not in self.nodes:
                continue
            was, device = self.values[i]
            now = self._compute(i, afresh=True)
            if now is not UNKNOWN:
                xp = device.backend.xp
                with device.backend.quiet():
                    if not bool(xp.allclose(now, was, rtol=1e-4, atol=1e-6, equal_nan=True)):
                        return False
        return True

    def _compute(self, i, afresh=False):
        """The result i from its operation's forward, after all it depends on; UNKNOWN if that cannot be."""
        if afresh and i in self.values:
            kept = self.values.pop(i)
            try:
                return self._compute(i)
            finally:
                self.values[i] = kept
        stack = [i]
        while stack:
            j = stack[-1]
            if j in self.values or j in self.again:
                stack.pop()
                continue
            item = self.record.items[j]
            if not self._can(item):
                self.again[j] = UNKNOWN
                continue
            missing = [p for p in item.inputs if p >= 0 and p not in self.values and p not in self.again]
            if missing:
                stack.extend(missing)
                continue
            self.again[j] = self._forward(item)
        return self._get(i)

    def _get(self, i):
        return self.values[i][0] if i in self.values else self.again[i]

    def _can(self, item):
        node = self.nodes.get(item.id)
        if node is None:
            return False
        op = node.op
        return (
            registry.get(op.name) is op
            and "forward" in op.__dict__
            and op.outputs == 1
            and not op.moves
            and op.__module__.startswith("tensorlite.")  # a user's own function may do more than compute
        )

    def _forward(self, item):
        node, fixed, arrays = self.nodes[item.id], self.fixed[item.id], []
        for k, (parent, p) in enumerate(zip(node.parents, item.inputs, strict=True)):
            v = fixed.get(k, UNKNOWN) if parent is None else self._get(p)
            if v is UNKNOWN:
                return UNKNOWN
            arrays.append(v)
        try:
            with node.device.backend.quiet():
                out = node.op.forward(node.device.backend, *arrays, **node.args)
        except Exception:  # a picture must come out, with or without this number
            return UNKNOWN
        return out[0] if node.op.extras else out
