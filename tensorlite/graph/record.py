"""The recorded graph as plain data: items (results, leaves, constants), module calls, outputs. No tensor is kept.

`trace` reads the engine's nodes into a Record. What pictures show of the arrays is asked of `Arrays` (arrays.py), which lives
only while a picture is made.
"""

import time
from dataclasses import dataclass, field

from tensorlite.anomaly import source_line
from tensorlite.autograd import reachable
from tensorlite.elementwise import Elementwise
from tensorlite.graph.arrays import Arrays
from tensorlite.op import Pick
from tensorlite.tensor import Tensor, Watcher, changes

NUMBERS = (bool, int, float)
CONSTANT = "constant"  # an operand of which nothing more is known
DRAWN = (
    "seed",
    "offset",
)  # arguments that say which random numbers: equal layers differ in them, and fold all the same


@dataclass(slots=True)
class Item:
    """One node of the graph: the result of an operation, a leaf that requires grad, or a constant (an input without)."""

    id: int
    kind: str  # "op", "leaf" or "constant"
    op: str = ""
    name: str = ""  # the user's or the parameter's name
    shape: tuple | None = None  # None: not known
    dtype: str = ""
    device: str = ""
    call: int = -1  # the module call it ran in (an index of Record.calls), or none
    inputs: tuple = ()  # for each operand the id of its item, or -1: a number, nothing, or not known
    literals: dict = field(default_factory=dict)  # operand -> text, for those that are no items: "2", "constant"
    operands: tuple = ()  # the operands' names
    args: str = ""  # the other arguments, as text: "dim=1"
    formula: str = ""
    local: tuple = ()  # the derivative for each operand, in words
    view: str = ""  # for operations that only look at the same numbers in another way: how to say it on an edge
    broadcasts: bool = False
    parameter: bool = False
    given: bool = False  # an example input of the model
    retains: bool = False  # the gradient of this result is kept
    saves: bool = False
    output: str | None = None  # the name of this result, if it is what the picture is of
    where: str | None = None  # the user's source line
    error: str = ""  # what was raised, if this operation failed


@dataclass(slots=True)
class Call:
    """One call of a module. `path` is its name from the outermost module, as in `blocks.3.attn`."""

    id: int
    outer: int
    name: str
    kind: str  # the module's class
    path: str


@dataclass
class Record:
    """A computation: items in the order they were computed, module calls, and the ids of the outputs."""

    items: list = field(default_factory=list)
    calls: list = field(default_factory=list)
    outputs: list = field(default_factory=list)
    walked: bool = False  # whether a backward pass seems to have gone through it
    ran: bool = False  # the picture ran the model itself: there was no backward pass to wait for

    @property
    def operations(self) -> int:
        """How many operations were recorded; one that failed is none."""
        return sum(item.kind == "op" and not item.error for item in self.items)

    @property
    def failed(self) -> str:
        """The name of the operation that failed, if one did."""
        return next((item.op for item in self.items[-1:] if item.error), "")


def failed(record, error) -> None:
    """Add the operation that raised `error`; what it was about to read are the outputs of the record so far."""
    words = str(error)
    name = words.partition(":")[0].strip()
    name = name if name.replace("_", "").replace(".", "").isalnum() else type(error).__name__
    inputs = tuple(dict.fromkeys(record.outputs))
    operands = [record.items[i].output or f"input {k}" for k, i in enumerate(inputs)]
    for i, operand in zip(inputs, operands):
        item = record.items[i]
        item.output, item.name = None, "" if item.name == operand and item.kind == "op" else item.name
    item = Item(
        len(record.items),
        "op",
        op=name,
        inputs=inputs,
        output=f"{name} failed",
        error=f"{type(error).__name__}: {words}",
    )
    item.operands = tuple(operands)
    record.items.append(item)
    record.outputs[:] = [item.id]


def trace(outputs, names, watch=None, given=()):
    """(Record, Arrays) of everything `outputs` (name -> Tensor) were computed from.

    names: name -> Tensor, for leaves, results and constants. watch: a Watch that saw the computation. given: names of inputs.
    """
    return _Tracer(outputs, names, watch, given).run()


class _Tracer:
    def __init__(self, outputs, names, watch, given):
        self.outputs, self.watch, self.given = outputs, watch, set(given)
        self.record, self.ids, self.calls, self.constants = Record(ran=watch is not None), {}, {}, {}
        self.arrays = Arrays(self.record)
        self.by_node, self.by_array, self.ops, self.texts = {}, {}, {}, {}
        for name, t in names.items():
            if t.node is not None:
                self.by_node.setdefault(t.node, (name, t))
            self.by_array.setdefault(id(t.array), (name, t))

    def run(self):
        record, roots = self.record, [t.node for t in self.outputs.values() if t.node is not None]
        nodes = reachable(roots)[0] if roots else []
        nodes.reverse()  # oldest first
        for node in nodes:
            self.leaf(node) if node.op is None else self.result(node)
        for name, t in self.outputs.items():
            i = self.ids[t.node] if t.node is not None else self.constant(t.array, t.device)
            item = record.items[i]
            item.output = name or item.output or ""
            item.name = item.name or name
            record.outputs.append(i)
            self.arrays.keep(i, t.array, t.device)
            self.arrays.roots.append(i)
        for node, (_, t) in self.by_node.items():
            if node in self.ids:
                self.arrays.give(self.ids[node], t)
        return record, self.arrays

    def add(self, **fields):
        items = self.record.items
        item = Item(len(items), **fields)
        items.append(item)
        return item

    def text(self, thing, name=None):
        """A dtype's name, a device as text: made once."""
        if thing not in self.texts:
            self.texts[thing] = getattr(thing, name) if name else str(thing)
        return self.texts[thing]

    def leaf(self, node):
        name, t = self.by_node.get(node, (node.name or "", None))
        item = self.add(kind="leaf", name=name, shape=tuple(node.shape), dtype=node.dtype.name, device=str(node.device))
        item.parameter, item.given = _is_parameter(t), name in self.given
        self.ids[node] = item.id
        self.arrays.leaves[node], self.arrays.grads[item.id] = item.id, node.grad
        self.record.walked = self.record.walked or node.grad is not None

    def result(self, node):
        op = node.op
        if op not in self.ops:
            self.ops[op] = (
                tuple(op.inputs), op.formula, tuple(op.local or ()), issubclass(op, Elementwise) or op.name == "where",
                bool(op.saves or op.fused), op is Pick or op.name in ("permute", "index", "reshape", "expand", "alias"),
            )  # fmt: skip
        names, formula, local, broadcasts, saves, views = self.ops[op]
        names = names or tuple([f"input {k}" for k in range(len(node.parents))])
        kept = _kept(node)
        seen = self.watch.operands.get(node) if self.watch else None
        inputs, literals, fixed = [], {}, {}
        for k, parent in enumerate(node.parents):
            if parent is not None:
                inputs.append(self.ids[parent])
                continue
            inputs.append(-1)
            if seen is not None and k < len(seen):
                operand, known = seen[k], True
            else:
                operand, known = kept.get(k), k in kept
            if known:
                fixed[k] = operand
            operand = node.device.backend.python_number(operand)
            if isinstance(operand, NUMBERS):
                literals[k] = f"{operand:.6g}" if isinstance(operand, float) else str(operand)
            elif hasattr(operand, "dtype") and k not in getattr(op, "unseen", ()):
                inputs[-1] = self.constant(operand, node.device)
            elif not known:
                literals[k] = CONSTANT
        item = self.add(
            kind="op",
            op=op.name,
            name=self.by_node[node][0] if node in self.by_node else node.name or "",
            shape=tuple(node.shape),
            dtype=self.text(node.dtype, "name"),
            device=self.text(node.device),
            call=self.call(node.scope) if node.scope is not None else -1,
            inputs=tuple(inputs),
            literals=literals,
            operands=names,
            args=", ".join(f"{k}={_short(v)}" for k, v in node.args.items() if k not in DRAWN) if node.args else "",
            formula=formula,
            local=local,
            view=_view(node) if views else "",
            broadcasts=broadcasts,
            retains=node.retains,
            saves=saves,
            where=node.where,
        )
        self.ids[node] = item.id
        arrays, n = self.arrays, len(op.inputs)
        arrays.nodes[item.id], arrays.fixed[item.id] = node, fixed
        if node.grad is not None:
            arrays.grads[item.id] = node.grad
        if self.watch and node in self.watch.values:
            arrays.keep(item.id, self.watch.values[node], node.device)
        elif kept:
            for place, array in kept.items():
                if not hasattr(array, "dtype"):
                    continue
                if place == n:
                    arrays.keep(item.id, array, node.device)
                elif node.parents[place] is not None:
                    arrays.keep(self.ids[node.parents[place]], array, node.device)
        if node.saved is None:
            self.record.walked = True

    def constant(self, array, device):
        """The item of an input without gradient; one for each array."""
        array, steps = self.watch.source(array) if self.watch else (array, ())
        key = id(array)
        if key not in self.constants:
            name, t = self.by_array.get(key, ("", None))
            owner = getattr(array, "base", None)
            if not name and owner is not None and id(owner) in self.by_array:
                name = (
                    self.by_array[id(owner)][0]
                    if owner.size == array.size
                    else f"part of {self.by_array[id(owner)][0]}"
                )
            made = self.watch.made.get(key) if self.watch else None
            item = self.add(
                kind="constant",
                op=made[0] if made and not name else "",
                name=name,
                shape=tuple(array.shape),
                dtype=array.dtype.name,
                device=str(device),
                parameter=_is_parameter(t),
                given=name in self.given,
            )
            self.constants[key] = item.id
            self.arrays.keep(item.id, array, device)
            self.arrays.held.append(array)  # its id must stay its own
        base = self.constants[key]
        for word, shape in steps:  # reshape, transpose, ... on the way from the constant
            step = (base, word, shape)
            if step not in self.constants:
                names = {"op": word, "view": word, "dtype": array.dtype.name}
                item = self.add(kind="constant", shape=shape, inputs=(base,), **names)
                self.constants[step] = item.id
            base = self.constants[step]
        return base

    def call(self, scope):
        """The index of a module call, its outer calls first."""
        if scope is None:
            return -1
        found = self.calls.get(scope)
        if found is not None:
            return found
        chain = []
        while scope is not None and scope not in self.calls:
            chain.append(scope)
            scope = scope.outer
        outer = -1 if scope is None else self.calls[scope]
        for s in reversed(chain):
            before = self.record.calls[outer].path if outer >= 0 else ""
            path = f"{before}.{s.name}" if before and s.name else before or s.name
            outer_id, outer = outer, len(self.record.calls)
            self.record.calls.append(Call(outer, outer_id, s.name, s.kind, path))
            self.calls[s] = outer
        return outer


class Watch(Watcher):
    """Stands in `mode.watcher` while a model runs for its picture: sees every operation's inputs and result.

    So the value of every result is known, and every input without gradient.
    """

    def __init__(self, under, timed=False):
        super().__init__(under)
        self.values, self.operands, self.made, self.views = {}, {}, {}, {}
        self.timed, self.log, self.times = timed, [], {}  # (name, node, seconds) of each operation; node -> its seconds
        self.last = time.perf_counter()

    def forward(self, op, inputs, result):
        """Called by the engine after each operation."""
        node = result.node
        if self.timed:  # from the end of the operation before until now: with the Python between, without this method
            result.device.backend.synchronize()
            several = node is not None and node.op is Pick and op is not Pick
            self.log.append((op.name, node.parents[0] if several else node, time.perf_counter() - self.last))
        super().forward(op, inputs, result)
        if node is not None and node.op is op:
            node.where = node.where or source_line()
            self.values[node] = result.array
            self.operands[node] = [x.array if isinstance(x, Tensor) else x for x in inputs]
        elif node is None and isinstance(inputs[0], Tensor):
            word = _view_word(op, result.view_of[2] if result.view_of is not None else None)
            if word:
                self.views[id(result.array)] = (inputs[0].array, word, tuple(result.array.shape), result.array)
            else:
                self.made[id(result.array)] = (op.name, result.array)
        self.last = time.perf_counter()

    def source(self, array):
        """The array that a constant is a view of, and the (word, shape) of each step from there."""
        steps = []
        while id(array) in self.views:
            array, word, shape, _ = self.views[id(array)]
            steps.append((word, shape))
        return array, tuple(reversed(steps))


def output_tensors(value, name=""):
    """name -> Tensor for a Tensor, or for tuples, lists and dicts of them, nested as they may be; others are passed over."""
    if isinstance(value, Tensor):
        return {name or "": value}
    if isinstance(value, dict):
        pairs = value.items()
    elif isinstance(value, (tuple, list)):
        pairs = zip(getattr(value, "_fields", range(len(value))), value, strict=True)
    elif hasattr(value, "__dataclass_fields__"):
        pairs = ((k, getattr(value, k)) for k in value.__dataclass_fields__)
    else:
        return {}
    found = {}
    for key, v in pairs:
        found.update(
            output_tensors(v, f"{name}.{key}" if name else f"output {key}" if isinstance(key, int) else str(key))
        )
    return found


def _kept(node):
    """place -> value for the inputs (0..n-1) and the output (n) of a node, as far as it saved them and they still hold.

    Of a fused operation every input is saved, so that None says: this input was left out (a layer without bias).
    """
    op, saved = node.op, node.saved
    if saved is None or op.variadic:
        return {}
    if node.seq < changes.last and any(v is not None and v.tick > node.seq for v in node.kept_versions()):
        return {}
    n = len(op.inputs)
    return {place: v for place, v in enumerate(saved[: n + 1]) if v is not None or (op.fused and place < n)}


def _view(node):
    """How an edge says a view-only operation: `transpose`, `[0]`; empty for operations that compute."""
    if node.op is Pick:
        return f"output {node.args['index']}"
    return _view_word(node.op, node.args)


def _view_word(op, args):
    if op.name == "permute" and args:
        return "transpose" if sum(i != d for i, d in enumerate(args["dims"])) == 2 else "permute"
    if op.name == "index":
        return _key(args["key"]) if args and args["basic"] else ""
    return op.name if op.name in ("reshape", "permute", "expand", "alias") else ""


def _key(key):
    """A basic index as it is written: `[0]`, `[:, 1:3]`."""
    words = []
    for k in key if isinstance(key, tuple) else (key,):
        if isinstance(k, slice):
            words.append(":".join("" if v is None else str(v) for v in (k.start, k.stop)))
            if k.step not in (None, 1):
                words[-1] += f":{k.step}"
        else:
            words.append("..." if k is Ellipsis else str(k))
    if words[-1:] == ["..."] and len(words) > 1:
        words.pop()
    return f"[{', '.join(words)}]"


def _short(v):
    if hasattr(v, "shape") and hasattr(v, "dtype"):
        return f"{v.dtype.name} {tuple(v.shape)}"
    if isinstance(v, float):
        return f"{v:.6g}"
    if isinstance(v, tuple) and any(not isinstance(e, (int, type(None))) for e in v):
        return _key(v) if all(isinstance(e, (int, slice, type(None), type(...))) for e in v) else "..."
    text = str(v)
    return text if len(text) <= 40 else text[:37] + "..."


def _is_parameter(t):
    """Whether a tensor is an nn.Parameter (this room lies below nn and cannot ask it)."""
    return t is not None and any(c.__name__ == "Parameter" for c in type(t).__mro__)
