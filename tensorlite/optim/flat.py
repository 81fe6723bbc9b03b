"""Small parameters side by side in one array, and so their gradients and moments: a step is then one update for all of them.

Every rule that treats each number alone (`Optimizer.elementwise`) gives the same on one long array as on many short ones.
The tensors keep their identity: their arrays become pieces of the long ones. Nothing is moved that somebody else looks at.
"""

import itertools

from tensorlite.holders import unshared
from tensorlite.tensor import Tensor, wrap

MOST = 1 << 20  # numbers in all: of more, the calls saved are nothing beside the work, and temporaries leave the cache


class Side:
    """How a parameter group is stepped: by its Flat where it has one and nothing was changed, else one by one."""

    def __init__(self, group):
        self.group, self.flat, self.missed = group, None, 0

    def step(self, optimizer, options, name) -> list:
        """Update what lies in the Flat; returns the parameters that are left."""
        if self.flat is not None and self.flat.ready(optimizer):
            self.flat.step(optimizer, options, name)
            return self.flat.rest
        return self.group["params"]

    def settle(self, optimizer) -> None:
        """After a step without the Flat: try to make one, the first time, and the second, the fourth, the eighth, ..."""
        self.missed += 1
        if not self.missed & (self.missed - 1):
            self.flat = gather(optimizer, self.group, self.flat)


class Flat:
    """The pieces of one parameter group.

    pieces: for each parameter (tensor, its array, its node, the piece of the gradient, its state, [(name, tensor, array)
    of each moment]).
    """

    def __init__(self, optimizer, group, params, own):
        self.group, self.listed, self.state = group, [id(p) for p in group["params"]], optimizer.state
        self.device, states = params[0].device, [optimizer.state[p] for p in params]
        self.moments = [k for k, v in states[0].items() if isinstance(v, Tensor)]
        self.numbers = [k for k in states[0] if k not in self.moments]
        make, shapes = self.device.backend.pieces, [p.array.shape for p in params]
        self.p, values = make(shapes, params[0].array.dtype)
        self.g, grads = make(shapes, params[0].array.dtype)
        self.shared = {k: states[0][k] for k in self.numbers}
        moved = {}
        for k in self.moments:
            whole, moved[k] = make(shapes, params[0].array.dtype)
            self.shared[k] = wrap(whole, self.device)
        self.pieces, self.own = [], {id(a.base): a.base for a in itertools.chain(values, *moved.values())}
        for i, (p, value, grad, state) in enumerate(zip(params, values, grads, states, strict=True)):
            value[...] = p.array
            p.array, p.node.buffer = value, grad
            kept = []
            for k in self.moments:
                moved[k][i][...] = state[k].array
                state[k].array = moved[k][i]
                kept.append((k, state[k], moved[k][i]))
            self.pieces.append((p, value, p.node, grad, state, kept))
        members = {id(p) for p in params}
        self.rest = [p for p in group["params"] if id(p) not in members]

    def ready(self, optimizer) -> bool:
        """Whether all is as it was: nobody has put another array, gradient, moment or step count anywhere."""
        if optimizer.state is not self.state or [id(p) for p in self.group["params"]] != self.listed:
            return False
        shared, numbers = self.shared, self.numbers
        for p, value, node, grad, state, kept in self.pieces:
            if p.array is not value or p.node is not node or self.state.get(p) is not state:
                return False
            if node.grad is None or node.grad.array is not grad or len(state) != len(shared):
                return False
            for name in numbers:
                if state.get(name) != shared[name]:
                    return False
            for name, tensor, array in kept:
                if state.get(name) is not tensor or tensor.array is not array:
                    return False
        return True

    def step(self, optimizer, options, name) -> None:
        """One update of all pieces."""
        optimizer.update(self.device, self.p, self.g, self.shared, options)
        values = [(k, self.shared[k]) for k in self.numbers]
        for p, _, _, _, state, _ in self.pieces:
            for k, v in values:
                state[k] = v
            p.version.bump(name)

    def leave(self) -> None:
        """The gradients go where they like again."""
        for _, _, node, grad, _, _ in self.pieces:
            if node.buffer is grad:
                node.buffer = None


def gather(optimizer, group, before=None):
    """A Flat of those parameters of a group that can be moved, at the end of a step; None for fewer than two.

    before: the Flat that this one replaces.
    """
    own = before.own if before is not None else {}
    if before is not None:
        before.leave()
        before.pieces = before.p = before.g = before.shared = None
    first, params, count = None, [], 0
    for p in sorted(group["params"], key=lambda p: (p.numel(), p.numel() % 16)):
        if p.grad is None or not p.is_leaf or p.node is None or p.node.buffer is not None or not p.numel():
            continue
        if not p.device.backend.has_pieces or p.array.dtype.char not in "fd" or not p.array.flags.c_contiguous:
            continue
        state = optimizer.state.get(p, {})
        tensors = [v for v in state.values() if isinstance(v, Tensor)]
        kind = (p.device, p.array.dtype, [v if not isinstance(v, Tensor) else k for k, v in state.items()])
        if first is None:
            first = kind
        if kind != first or count + p.array.size > MOST:
            continue
        if any(t.array.dtype != p.array.dtype or t.array.shape != p.array.shape for t in tensors):
            continue
        if all(_movable(t, own) for t in (p, *tensors)):
            params.append(p)
            count += p.array.size
    params.sort(key=lambda p: p.numel() % 16 != 0)  # those of even sizes first: their pieces start at whole cache lines
    return Flat(optimizer, group, params, own) if len(params) > 1 else None


def _movable(tensor, own) -> bool:
    """Whether the array of the tensor is its alone, and so is its memory (or that is a piece that we made: its base in `own`)."""
    base = tensor.array.base
    return (base is None or id(base) in own) and unshared(tensor)
