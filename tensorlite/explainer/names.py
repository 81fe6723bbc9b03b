"""What things are called on the page: the user's own names for tensors, and each operation written as code."""

import inspect
import re
import sys

from tensorlite.anomaly import _ours
from tensorlite.graph.record import Watch
from tensorlite.graph.summary import number
from tensorlite.op import Pick
from tensorlite.tensor import Tensor

SIGNS = {
    "add": "+",
    "sub": "-",
    "mul": "*",
    "div": "/",
    "pow": "**",
    "matmul": "@",
    "floor_divide": "//",
    "remainder": "%",
}
SHORT = {"softmax": "p", "cross_entropy": "loss", "mse_loss": "loss", "matmul": "m", "linear": "y"}


def in_frame(frame) -> dict:
    """name -> Tensor, of the variables of a frame (its own before those of the module)."""
    found = {}
    for space in (frame.f_locals, frame.f_globals):
        for name, value in list(space.items()):
            if isinstance(value, Tensor) and not name.startswith("_"):
                found.setdefault(name, value)
    return found


def of_inputs(function, inputs) -> dict:
    """name -> Tensor, of what a function (or the forward of a Module) is called with."""
    try:
        found = list(inspect.signature(getattr(function, "forward", function)).parameters)
    except (TypeError, ValueError):
        found = []
    return {name: x for name, x in zip(found, inputs) if isinstance(x, Tensor)}


def user_frame():
    """The innermost frame outside of the engine."""
    frame = sys._getframe(1)
    while frame.f_back is not None and _ours(frame):
        frame = frame.f_back
    return frame


class NamingWatch(Watch):
    """A Watch that also reads, after each operation, what the running function calls its tensors."""

    def __init__(self, under):
        super().__init__(under)
        self.names, self.constants = {}, {}

    def forward(self, op, inputs, result):
        """Called by the engine after each operation."""
        super().forward(op, inputs, result)
        if result.node is not None and len(self.names) < 1000:
            for name, tensor in in_frame(user_frame()).items():
                if tensor.node is not None:
                    self.names.setdefault(tensor.node, name)
                else:
                    self.constants.setdefault(name, tensor)


def write(op, operands, args, item) -> str:
    """One operation as code: `x1 * w1`, `n.tanh()`, `Z.sum(dim=1)`."""
    if op.name in SIGNS and len(operands) == 2:
        return f"{operands[0]} {SIGNS[op.name]} {operands[1]}"
    if op.name == "neg":
        return f"-{operands[0]}"
    if op.name == "square":
        return f"{operands[0]} ** 2"
    if op is Pick:
        return f"{operands[0]}[{args.get('index')}]"
    if op.name == "permute" and len(args["dims"]) == 2:
        return f"{operands[0]}.T"
    if op.name == "permute":
        return f"{operands[0]}.permute{tuple(args['dims'])}"
    if op.name == "index":
        return f"{operands[0]}{item.view}" if item.view else f"{operands[0]}[...]"
    if op.name == "expand":
        return f"{operands[0]}.expand{tuple(args['shape'])}"
    if op.name == "reshape":
        return f"{operands[0]}.reshape{tuple(args['shape'])}"
    if op.variadic:
        return f"{op.name}({', '.join(operands)})"
    dim = args.get("dim") if args else None
    dim = dim[0] if isinstance(dim, tuple) and len(dim) == 1 else dim
    if dim is not None and not item.shape and op.name in ("sum", "mean", "prod", "amax", "amin", "logsumexp"):
        dim = None  # over everything
    options = [] if dim is None else [f"dim={dim}"]
    others = [o for o in operands[1:] if o not in ("constant", "None")]
    return f"{operands[0]}.{op.name}({', '.join([*others, *options])})"


def make_text(value, node) -> str:
    """How an input is made, as code: in full where it is small."""
    if value is not None and value.values is not None and len(value.values) <= 6:
        return f"tl.tensor({_nested(value.values, value.shape)}, requires_grad=True)"
    return f"tl.tensor(...)  # {tuple(node.shape)}"


def _nested(values, shape):
    if not shape:
        text = number(values[0], 6)
        return text if any(c in text for c in ".en") else f"{text}.0"
    step = len(values) // shape[0] if shape[0] else 0
    return f"[{', '.join(_nested(values[i * step : (i + 1) * step], shape[1:]) for i in range(shape[0]))}]"


def rule_text(local: str, inputs, operands, out: str) -> str:
    """A local derivative in the names of the page: "y" of `u = x1 * w1` becomes "w1"."""
    words = {**dict(zip(inputs, operands)), "out": out, "g": "G"}
    return re.sub(r"[A-Za-z_]\w*", lambda m: words.get(m[0], m[0]), local).replace(".T.T", "")


def literal(value) -> str:
    """A number as code."""
    return number(value, 6) if isinstance(value, (int, float)) else "constant"


class Names:
    """Gives each variable a name that no other has."""

    def __init__(self):
        self.used = {}

    def take(self, wanted: str) -> str:
        """`h`, and for the next that wants it `h2`, `h3`."""
        if wanted not in self.used:
            self.used[wanted] = 1
            return wanted
        while True:
            self.used[wanted] += 1
            name = f"{wanted}.{self.used[wanted]}" if "." in wanted else f"{wanted}{self.used[wanted]}"
            if name not in self.used:
                self.used[name] = 1
                return name

    def make(self, op, names: dict, node) -> str:
        """A name for a result that has none: K.T for a transpose, else from the operation."""
        if op.name == "permute" and len(node.shape) == 2 and node.parents[0] in names:
            return self.take(f"{names[node.parents[0]]}.T")
        return self.take(SHORT.get(op.name, op.name))
