"""`draw_graph` and what it returns: a Graph, which is plain data and knows how to become SVG, DOT, text, or a file."""

import contextlib
import inspect
import os
import subprocess
import time
import warnings
from pathlib import Path

from tensorlite import errors, random as random_
from tensorlite.autograd import enable_grad
from tensorlite.graph import backward, dot, heat, svg, text, words
from tensorlite.graph.fold import fold as fold_
from tensorlite.graph.record import Watch, failed, output_tensors, trace
from tensorlite.tensor import Tensor, mode

SHOW = ("shape", "value", "grad", "local")
KINDS = ("forward", "backward", "higher")
COLOURS = ("kind", "memory", "time", "grad")
INSTALL = "install Graphviz (https://graphviz.org/download), whose program `dot` makes it"


class Graph:
    """A drawn computation graph. In a notebook it shows itself; `.save("g.svg")` writes it. Holds no tensor.

    record: every operation, leaf, constant and module call as plain data. view: the cards, edges and clusters that are drawn.
    """

    def __init__(self, record, view, direction, theme):
        self.record, self.view, self.direction, self.theme = record, view, direction, theme

    def __repr__(self):
        folded = f", folded: {'; '.join(self.view.folds)}" if self.view.folds else ""
        failed = f" and {self.record.failed}, which failed" if self.record.failed else ""
        size = f"{len(self.view.cards)} nodes for {_count(self.record)}{failed}"
        return f"Graph: {size}{folded} ({self.view.title}). .save('g.svg')"

    @property
    def alt(self) -> str:
        """One sentence for those who cannot see the picture."""
        start = [c.title for c in self.view.cards if c.kind in ("leaf", "constant")][:3]
        words_ = f"Computation graph of {self.view.title}: {len(self.view.cards)} nodes for {_count(self.record)}"
        words_ += f", and {self.record.failed}, which failed" if self.record.failed else ""
        return words_ + (f", starting from {', '.join(start)}." if start else ".")

    @property
    def source(self) -> str:
        """The DOT text; it needs no `dot`. The same graph gives the same bytes."""
        return dot.source(self.view, self.direction, self.theme)

    @property
    def digraph(self):
        """The same as a graphviz.Digraph, for all that the package `graphviz` can do (it needs the program `dot`)."""
        try:
            import graphviz
        except ImportError:
            raise errors.MissingExtraError(
                "Graph.digraph needs the package 'graphviz': pip install graphviz; .save('g.svg') works without"
            ) from None
        made = graphviz.Digraph()
        made.body.extend(self.source.splitlines(keepends=True)[1:-1])
        return made

    def svg(self, engine: str = "auto") -> str:
        """The picture as SVG.

        engine: who finds the places. "own": tensorlite itself, which needs no program and is the same everywhere; "dot": the
        program of Graphviz; "wasm": Graphviz as WebAssembly (`pip install tensorlite[viz]`); "auto": our own, and "dot" for more
        than 80 nodes. What is not there, fails or takes longer than 10 seconds gives way to the next: dot, wasm, own.
        """
        if engine not in ("auto", "dot", "wasm", "own"):
            raise errors.ArgumentError(f"svg: engine must be 'auto', 'dot', 'wasm' or 'own', not {engine!r}")
        return svg.draw(self.view, self.alt, self.direction, self.theme, engine)

    def _repr_svg_(self) -> str:
        return self.svg()

    def html(self) -> str:
        """A page of its own with the picture."""
        title = svg.plain(self.view.title)
        scheme = {"auto": "light dark", "light": "light", "dark": "dark"}[self.theme]
        return (
            f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
            f'<meta name="color-scheme" content="{scheme}"><style>body{{margin:1rem}}svg{{max-width:none}}</style></head>'
            f"<body>\n{self.svg()}</body></html>\n"
        )

    def text(self) -> str:
        """The picture as plain text, indented by module."""
        return text.draw(self.view)

    def save(self, path) -> Path:
        """Write a file, in the format its name ends with: .svg, .html, .dot (or .gv), .txt; .png and .pdf need `dot`.

        Where `dot` is needed and missing, an .svg is written instead and a warning says so. Returns the path written.
        """
        path = Path(path)
        kind = path.suffix.lower().lstrip(".")
        made = {
            "svg": self.svg,
            "html": self.html,
            "txt": self.text,
            "dot": lambda: self.source,
            "gv": lambda: self.source,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        if kind in made:
            path.write_bytes(made[kind]().encode("utf-8", "replace"))  # the same bytes on every system
            return path
        if kind not in ("png", "pdf", "ps", "eps", "jpg", "jpeg"):
            raise errors.ArgumentError(
                f"save: {path.name!r} must end with .svg, .html, .dot, .gv or .txt, or with .png or .pdf where `dot` is installed"
            )
        fault = self._by_dot(path, kind)
        if fault:
            other = path.with_suffix(".svg")
            warnings.warn(
                f"{path.name}: {fault}; {other.name} was written instead. For a .{kind}, {INSTALL}.", stacklevel=2
            )
            return self.save(other)
        return path

    def _by_dot(self, path, kind):
        """Let dot write a file; what went wrong, or nothing."""
        found = dot.program()
        if found is None:
            return "the program `dot` is not installed"
        try:
            done = subprocess.run(
                [found, f"-T{kind}", "-o", os.fspath(path)],
                input=self.source.encode(),
                capture_output=True,
                timeout=3 * dot.SECONDS,
            )
        except (OSError, subprocess.SubprocessError) as e:
            return f"`dot` failed ({type(e).__name__})"
        return f"`dot` failed: {done.stderr.decode(errors='replace').strip()[:200]}" if done.returncode else ""

    def render(self, filename="graph", directory=None, view=False, cleanup=False, format="svg") -> str:
        """As graphviz' own: write the DOT text to `filename` (not with cleanup) and the picture beside it; returns its path.

        view: open the picture. Without the program `dot`, svg works all the same.
        """
        base = Path(directory or ".") / filename
        base.parent.mkdir(parents=True, exist_ok=True)
        made = self.save(base.with_name(f"{base.name}.{format}"))
        if not cleanup:
            base.write_bytes(self.source.encode("utf-8", "replace"))
        if view:
            self._open(made)
        return os.fspath(made)

    def show(self) -> None:
        """Open the picture in the browser."""
        import tempfile

        folder = tempfile.mkdtemp(prefix="tensorlite-")
        self._open(self.save(Path(folder) / "graph.html"))

    @staticmethod
    def _open(path):
        import webbrowser

        webbrowser.open(Path(path).resolve().as_uri())


def draw_graph(target, *inputs, params=None, depth=2, expand=(), collapse=(), fold=True, show=("shape", "value", "grad"),
               direction="TB", theme="auto", max_nodes=150, color_by="kind", kind="forward") -> Graph:  # fmt: skip
    """A picture of the computation graph of `target`: operations with shapes, values and gradients, modules as boxes.

    target: a Tensor, a tuple or dict of Tensors, or a Module, which is then run once on the example `inputs` (its random state
    and buffers are as before afterwards). If an operation refuses its input, what ran
    is drawn, and that operation in red with what it said.
    params: names for tensors: a Module, or a dict name -> Tensor (parameters, inputs, results between).
    depth: how many levels of modules are open; the others are one card each. expand, collapse: names of modules (with *) that
    are open, closed, whatever their level; a module that is a single operation is a card unless expanded.
    fold: draw equal modules that follow one another, or stand side by side, once; in graphs of more than 60 nodes also
    repeated operations. show: any of "shape", "value", "grad", "local" (the derivative of each step, on its edge).
    direction: "TB" (downwards) or "LR". theme: "auto" (as the reader's screen), "light" or "dark".
    kind: "forward"; "backward" (arrows from the loss, and what each operation hands on); "higher" (the graph of the gradients, as
    create_graph=True records it; the leaves are named by params).
    color_by: what the colours of cards mean, with the number on each card, sums on folded ones, and a legend. "kind"; "memory":
    bytes kept for backward (see graph/heat.py); "time": of the forward pass, measured here for draw_graph(model, x), which runs the
    model up to five times, or seen by a `tl.profiler.profile()` that is still there; with kind="backward" that of the walk back;
    "grad": log10 of the gradient's L2 norm, from `.grad`, or, before backward(), from a pass on the side.
    max_nodes: with more, modules are closed, and last the middle of the graph becomes one card; the caption says so.

    Values: those of results are not kept by the engine. They are shown where the picture ran the model; else where they were
    given, where an operation saved them for backward (which frees them, unless retain_graph=True), and, in small graphs, where
    they can be computed again from these. Gradients: what is in `.grad`. Nothing is changed: no gradient, no graph is kept alive.

    Raises:
        ArgumentError: an unknown option; a name in expand or collapse that no module has; color_by what is not known.
        DTypeError: nothing to draw. GraphError: kind="higher" of what has no gradient.

    Example:
        >>> import tensorlite as tl
        >>> x, w = tl.tensor([1.0, 2.0]), tl.tensor([0.5, -1.0], requires_grad=True)
        >>> loss = ((x * w).sum() - 1) ** 2
        >>> g = tl.draw_graph(loss, params={"x": x, "w": w})
        >>> print(g)
        Graph: 6 nodes for 4 operations (pow). .save('g.svg')
    """
    _check(depth, show, direction, theme, max_nodes, kind, color_by)
    names, given, watch, fault = _names(params), (), None, None
    if isinstance(target, Tensor) or not callable(target):
        if inputs:
            raise errors.ArgumentError(
                "draw_graph: example inputs are for a Module; give several tensors as a tuple or dict"
            )
        outputs = output_tensors(target)
        if not outputs:
            what = type(target).__name__
            raise errors.DTypeError(
                f"draw_graph: a Tensor, a tuple or dict of Tensors, or a Module with inputs is needed, not {what}"
            )
    else:
        names = {**(_names(target) if hasattr(target, "named_parameters") else {}), **names}
        outputs, given, watch, fault = _timed(target, inputs) if color_by == "time" else _run(target, inputs)
        names.update(given)
    if kind == "higher" and fault is None:
        outputs = backward.higher(outputs, names)
    record, arrays = trace(outputs, names, watch, given)
    if fault is not None:
        failed(record, fault)
    numbers, note = None, ""
    if color_by == "memory":
        numbers = heat.kept(record, arrays)
    elif color_by == "time":
        numbers = heat.times(record, arrays, watch, kind == "backward")
        note = "time of the backward pass" if kind == "backward" else ""
    elif color_by == "grad":
        numbers, aside = heat.norms(record, arrays, outputs)
        note = heat.ASIDE if aside else ""
    view = fold_(record, depth, expand, collapse, fold, max_nodes, "local" in show)
    if kind == "higher" and not record.walked:  # the picture has the gradients: nothing is still to come
        show = [s for s in show if s != "grad"]
    words.write(view, record, arrays, show)
    if kind == "higher" and any(call.kind.startswith("∇") for call in record.calls):
        view.notes.append("∇Linear: the backward pass of a Linear, recorded.")
    if numbers is not None:
        heat.paint(view, record, numbers, color_by, note)
    if kind == "backward":
        backward.turn(view, record)
    if fault is not None:
        view.notes.append(f"{_count(record)} ran before it, the red node.")
    if not record.operations:
        leaf = any(record.items[i].kind == "leaf" for i in record.outputs)
        reason = "it is a leaf" if leaf else "nothing that it was computed from has requires_grad=True"
        view.notes.append(f"No operations were recorded: {reason}.")
    return Graph(record, view, direction, theme)


def _check(depth, show, direction, theme, max_nodes, kind, color_by):
    """Refuse what is unknown, in words."""
    choices = ("kind", kind, KINDS), ("direction", direction, ("TB", "LR")), ("theme", theme, ("auto", "light", "dark"))
    for name, value, known in (*choices, ("color_by", color_by, COLOURS)):
        if value not in known:
            raise errors.ArgumentError(
                f"draw_graph: {name} must be one of {', '.join(map(repr, known))}, not {value!r}"
            )
    wrong = [s for s in ((show,) if isinstance(show, str) else show) if s not in SHOW]
    if wrong or isinstance(show, str):
        wrong = repr(show) if isinstance(show, str) else ", ".join(map(repr, wrong))
        raise errors.ArgumentError(f"draw_graph: show is a tuple of {', '.join(map(repr, SHOW))}; got {wrong}")
    for name, value, least in (("depth", depth, 0), ("max_nodes", max_nodes, 3)):
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise errors.ArgumentError(f"draw_graph: {name} must be a whole number of at least {least}, not {value!r}")


def _count(record):
    return f"{record.operations:,} operation{'' if record.operations == 1 else 's'}"


def _names(params):
    """name -> Tensor from a Module, a dict, or pairs."""
    if params is None:
        return {}
    if hasattr(params, "named_parameters"):
        return {**dict(params.named_buffers()), **dict(params.named_parameters())}
    try:
        named = {str(k): v for k, v in dict(params).items()}
    except (TypeError, ValueError):
        named = {"": None}
    wrong = [v for v in named.values() if not isinstance(v, Tensor)]
    if wrong:
        raise errors.DTypeError("draw_graph: params must be a Module or a dict from names to Tensors")
    return named


def _timed(model, inputs):
    """As _run, but up to five times: each operation's time is its shortest."""
    best, stop = None, time.perf_counter() + 0.3
    for _ in range(5):
        outputs, given, watch, fault = _run(model, inputs, timed=True)
        names, now = [name for name, _, _ in watch.log], [seconds for _, _, seconds in watch.log]
        if best is None or names != best[0]:
            best = names, now
        else:
            best = names, [min(a, b) for a, b in zip(best[1], now, strict=True)]
        if time.perf_counter() > stop or fault is not None:
            break
    for (_, node, _), seconds in zip(watch.log, best[1], strict=True):
        if node is not None:
            watch.times[node] = watch.times.get(node, 0.0) + seconds
    return outputs, given, watch, fault


def _run(model, inputs, timed=False):
    """(outputs, named inputs, watch, what was raised or None): the model run once, with recording on, leaving random state and
    buffers as they were. Where it failed, the outputs are the tensors that the failing operation was given."""
    given = {}
    for k, (name, value) in enumerate(zip(_arguments(model, len(inputs)), inputs)):
        given.update(output_tensors(value, name or f"input {k}"))
    buffers = [(b, b.array.copy()) for _, b in model.named_buffers()] if hasattr(model, "named_buffers") else []
    before, state = mode.watcher, random_.get_rng_state()
    watch = mode.watcher = Watch(before, timed)
    try:
        with enable_grad():
            value = model(*inputs)
    except errors.TensorliteError as e:  # a fault of the user's own code goes up as it is
        outputs = _at_fault(e)
        if not outputs:
            raise
        return outputs, given, watch, e
    finally:
        mode.watcher = before
        random_.set_rng_state(state)
        for b, array in buffers:
            if array.ndim:
                b.array[...] = array
            else:
                b.array = array
    outputs = output_tensors(value, "" if not isinstance(value, Tensor) else "output")
    if not outputs:
        raise errors.DTypeError(
            f"draw_graph: {type(model).__name__} gave {type(value).__name__}, in which there is no Tensor"
        )
    return outputs, given, watch, None


def _at_fault(error):
    """The tensors in the hands of the innermost function that failed: of a frame, those among its arguments."""
    found, step = {}, error.__traceback__
    while step is not None:
        code, local = step.tb_frame.f_code, step.tb_frame.f_locals
        count = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & inspect.CO_VARARGS)
        here = {}
        for name in code.co_varnames[:count]:
            value, op = local.get(name), local.get("op")
            if isinstance(value, tuple) and len(getattr(op, "inputs", ())) >= len(
                value
            ):  # an Op: its operands have names
                here.update(output_tensors(dict(zip(op.inputs, value, strict=False))))
            elif isinstance(value, (Tensor, tuple, list)):
                here.update(output_tensors(value, name))
        found = {k: v for k, v in here.items() if v.node is None or v.node.op is not None or v.requires_grad} or found
        step = step.tb_next
    return found


def _arguments(model, count):
    """The names of the arguments of a model's forward."""
    found = []
    with contextlib.suppress(TypeError, ValueError):
        found = list(inspect.signature(getattr(model, "forward", model)).parameters)
    return [*found[:count], *[""] * (count - len(found))]
