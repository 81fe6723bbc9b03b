"""The other kinds of picture: the walk back from the loss, and the graph that a backward with create_graph=True records."""

import re
import textwrap

from tensorlite import errors
from tensorlite.autograd import grad, reachable
from tensorlite.graph.view import Line
from tensorlite.op import Pick
from tensorlite.tensor import Scope, Tensor, Watcher, mode


def share(slope: str) -> str:
    """What an operation hands on, in words, from the slope that it declares.

    Example:
        >>> [share(s) for s in ("1", "y", "1 - out^2", "@ y.T", "x.T @", "1 where x > 0", "P.T @ g")]
        ['g', 'g · y', 'g · (1 - out^2)', 'g @ y.T', 'x.T @ g', 'g where x > 0', 'P.T @ g']
    """
    head, comma, rest = slope.partition(", ")
    if re.search(r"\b(g\b|dS\b|d_|dh_|dc_|h = g)", slope):  # it speaks of g itself
        return slope
    if head in ("1", "-1") or re.match(r"1 (where|at) ", head):
        return head.replace("1", "g", 1) + comma + rest
    if head.startswith("@"):
        return f"g {slope}"
    if head.endswith("@"):
        return f"{slope} g"
    return f"g · {head}{comma}{rest}" if re.fullmatch(r"[\w.^]+", head) else f"g · ({head}){comma}{rest}"


def turn(view, record) -> None:
    """Make a view of the forward pass one of the walk back: arrows from the loss, constants left out, and on each operation
    what it hands on: the gradient g of its result times its slope."""
    edges = [e for e in view.edges if not e.constant]
    used = {i for e in edges for i in (e.source, e.target)}
    cards = [c for c in view.cards if c.id in used or c.kind != "constant"][::-1]
    order = {c.id: k for k, c in enumerate(cards)}
    for card in cards:
        card.id, item = order[card.id], record.items[card.items[-1]]
        card.lines = [line for line in card.lines if line.kind not in ("value", "formula")]
        if not item.error and (card.kind == "op" or (card.kind == "module" and not card.inside)):
            constant = {i for i in item.inputs if i >= 0 and record.items[i].kind == "constant"}
            rows = zip(item.operands, item.local, item.inputs, strict=False)  # -1: a number, which gets no share
            rows = [f"{n}: {share(s)}" for n, s, i in rows if s and i >= 0 and i not in constant]
            rows = [row for text in rows[:4] for row in textwrap.wrap(text, 44, subsequent_indent="   ")]
            if card.kind == "op":
                card.note = rows.pop(0) if rows else ""
            card.lines[:0] = [Line(row.replace(" ", "\u00a0"), kind="formula") for row in rows]
    for e in edges:
        e.source, e.target = order[e.target], order[e.source]
    view.cards, view.edges = cards, sorted(edges, key=lambda e: (e.target, e.source))
    view.notes.append("Walk back: g is the gradient that arrives at a node.")


class _Places(Watcher):
    """Puts each operation that a walk records into the module call that it is the derivative of: `∇Linear` for `Linear`."""

    def __init__(self, under):
        super().__init__(under)
        self.new, self.depth, self.mirrors = [], 0, {}

    def forward(self, op, inputs, result):
        """After an operation of a rule."""
        super().forward(op, inputs, result)
        node = result.node
        if node is not None and node.op is Pick:
            self.new.append(node.parents[0])
        if node is not None:
            self.new.append(node)

    def start(self, roots):
        """Before a walk; those inside of another are of fused operations."""
        super().start(roots)
        self.depth += 1

    def backward(self, node, i, share, g):
        """After a share: what was computed since the one before was for this node."""
        super().backward(node, i, share, g)
        if self.depth == 1:
            for new in self.new:
                new.scope = self.mirror(node.scope) if new.scope is None else new.scope
            self.new.clear()

    def end(self):
        """After a walk."""
        super().end()
        self.depth -= 1

    def mirror(self, scope):
        """The call of the backward pass that belongs to one of the forward pass."""
        chain = []
        while scope is not None and scope not in self.mirrors:
            chain.append(scope)
            scope = scope.outer
        outer = self.mirrors.get(scope)
        for s in reversed(chain):
            outer = self.mirrors[s] = Scope(outer, s.name, f"∇{s.kind}")
        return outer


def higher(outputs, names) -> dict:
    """The gradients of a scalar for its leaves, recorded as a graph of their own: name -> Tensor; no `.grad` changes.

    Raises:
        GraphError: not one scalar, or nothing that requires grad.
    """
    if len(outputs) != 1 or next(iter(outputs.values())).numel() != 1:
        raise errors.GraphError("draw_graph: kind='higher' needs one scalar, such as a loss; use .sum()")
    (root,) = outputs.values()
    leaves = {n: t for n, t in names.items() if isinstance(t, Tensor) and t.requires_grad and t.is_leaf}
    known = {t.node for t in leaves.values()}
    nodes = reachable([root.node])[0] if root.node is not None else []
    leaves = {n: t for n, t in leaves.items() if t.node in set(nodes)}
    if not leaves:
        raise errors.GraphError(
            "draw_graph: kind='higher' needs the leaves by name: params=model, or params={'x': x}"
            + ("" if known else "; none of those given requires grad")
        )
    watch = mode.watcher = _Places(mode.watcher)
    try:
        grads = grad(root, list(leaves.values()), create_graph=True, allow_unused=True)
    finally:
        watch.remove()
    return {f"grad of {n}": g for n, g in zip(leaves, grads, strict=True) if g is not None}
