"""summary: a table of a model's layers with what comes out of them, their parameters, and what a forward pass costs."""

import math
from dataclasses import dataclass

from tensorlite.modes import no_grad
from tensorlite.tensor import Tensor, Watcher, mode


def _recurrent(inputs, out):
    gates, weight = (
        inputs[0],
        [x for x in inputs if isinstance(x, Tensor) and x.ndim == 2 and x.shape[0] == inputs[0].shape[1]],
    )
    return 2 * gates.shape[0] * weight[-1].numel()


FLOPS = {  # operation: the multiplications and additions of its products, from its inputs and its result
    "linear": lambda x, out: 2 * out.numel() * x[1].shape[1],
    "matmul": lambda x, out: 2 * out.numel() * x[0].shape[-1],
    "conv": lambda x, out: 2 * out.numel() * x[1].numel() // x[1].shape[0],
    "conv_transpose": lambda x, out: 2 * x[0].numel() * x[1].numel() // x[1].shape[0],
    "attention": lambda x, out: 2 * math.prod(x[0].shape[:-1]) * x[1].shape[-2] * (x[0].shape[-1] + x[2].shape[-1]),
    "rnn_steps": _recurrent,
    "lstm_steps": _recurrent,
    "gru_steps": _recurrent,
}


@dataclass
class Row:
    """A module: its place, what came out of it at its last call, and its costs, those of the modules below included."""

    path: str
    kind: str
    depth: int
    output: tuple | None
    parameters: int
    trainable: int
    flops: int
    calls: int


class _Counter(Watcher):
    """Adds up the products of each module."""

    reads, last = False, None

    def __init__(self, under):
        super().__init__(under)
        self.flops = {}

    def forward(self, op, inputs, result):
        super().forward(op, inputs, result)
        if op.name in FLOPS and inputs is not self.last:  # of several results the first counts
            self.last = inputs
            self.flops[mode.module] = self.flops.get(mode.module, 0) + FLOPS[op.name](inputs, result)


class Summary:
    """What `tl.summary` returns: `rows`, `parameters`, `trainable`, `flops`, `bytes` (of parameters and buffers); prints as a table."""

    def __init__(self, model, rows):
        self.rows = rows
        top = rows[0]
        self.parameters, self.trainable, self.flops = top.parameters, top.trainable, top.flops
        self.bytes = sum(t.numel() * t.element_size() for t in (*model.parameters(), *model.buffers()))

    def __str__(self):
        names = [("  " * r.depth + (f"{r.path.rpartition('.')[2]}: " if r.path else "") + r.kind) for r in self.rows]
        cells = [
            [name, "" if r.output is None else str(r.output), f"{r.parameters:,}", f"{r.flops:,}" if r.calls else ""]
            for name, r in zip(names, self.rows, strict=True)
        ]
        table = [["layer", "output", "parameters", "FLOPs"], *cells]
        wide = [max(len(row[i]) for row in table) for i in range(4)]
        lines = ["  ".join([row[0].ljust(wide[0]), row[1].ljust(wide[1]), row[2].rjust(wide[2]), row[3].rjust(wide[3])]).rstrip()
                 for row in table]  # fmt: skip
        lines.insert(1, "-" * (sum(wide) + 6))
        frozen = "" if self.trainable == self.parameters else f", {self.trainable:,} of them trained"
        end = f"{self.parameters:,} parameters{frozen}, {self.bytes / 2**20:.2f} MiB"
        return "\n".join([*lines, lines[1], end + (f", {self.flops:,} FLOPs" if self.rows[0].calls else "")])

    __repr__ = __str__


def summary(model, *inputs, **kwargs) -> Summary:
    """A table of the modules of `model`: parameters, and, for `model(*inputs, **kwargs)`, shapes of results and FLOPs.

    FLOPs count the multiplications and additions of matrix products, convolutions, attention and recurrent steps; what is
    computed element by element is left out. A parameter that modules share counts once in each that holds it, and once in
    all. The pass is run in evaluation mode without recording; modes, buffers and gradients stay as they were. Without inputs
    nothing is run.

    Example:
        >>> import tensorlite as tl
        >>> print(tl.summary(tl.nn.Sequential(tl.nn.Linear(4, 8), tl.nn.ReLU()), tl.ones(2, 4)))
        layer        output  parameters  FLOPs
        --------------------------------------
        Sequential   (2, 8)          40    128
          0: Linear  (2, 8)          40    128
          1: ReLU    (2, 8)           0      0
        --------------------------------------
        40 parameters, 0.00 MiB, 128 FLOPs
    """
    outputs, calls, counter = {}, {}, _Counter(mode.watcher)

    def note(module, args, out):
        calls[module] = calls.get(module, 0) + 1
        outputs[module] = _shape(out)

    if inputs or kwargs:
        modules, before = list(model.modules()), {m: m.training for m in model.modules()}
        handles = [m.register_forward_hook(note) for m in modules]
        model.eval()
        mode.watcher = counter
        try:
            with no_grad():
                model(*inputs, **kwargs)
        finally:
            counter.remove()
            for handle in handles:
                handle.remove()
            for module, training in before.items():
                object.__setattr__(module, "training", training)
    rows = []
    for path, m in model.named_modules():
        of = list(m.parameters())
        flops = sum(counter.flops.get(below, 0) for below in m.modules())
        trainable = sum(p.numel() for p in of if p.requires_grad)
        rows.append(Row(path, type(m).__name__, path.count(".") + 1 if path else 0, outputs.get(m), sum(p.numel() for p in of),
                        trainable, flops, calls.get(m, 0)))  # fmt: skip
    return Summary(model, rows)


def _shape(out):
    """The shape of a result: of several those of the tensors among them."""
    if isinstance(out, Tensor):
        return tuple(out.shape)
    if isinstance(out, (tuple, list)):
        return tuple([s for s in map(_shape, out) if s is not None])
    return None
