"""tl.profiler: time, calls and memory of a program by operation and by module, forward and backward. The picture is graph/flame.py.

`Recorder` stands where all watchers of the thread stand (`mode.watcher`) and notes each event in one flat list; everything
else is computed from that list afterwards.
"""

import enum
import json
import time
import weakref
from dataclasses import dataclass
from pathlib import Path

from tensorlite import errors
from tensorlite.graph import flame
from tensorlite.graph.flame import duration, memory
from tensorlite.graph.heat import PROFILES
from tensorlite.op import Pick
from tensorlite.tensor import Scope, Tensor, Watcher, mode, watchers

__all__ = ["Averages", "Event", "ProfilerActivity", "Row", "profile", "record_function"]

OUTSIDE = "outside of operations"
START, END = "start of backward", "end of backward"  # ordering the graph; writing the last gradients of leaves
FORWARD, BACKWARD, OTHER = flame.KINDS
FIELDS = 7  # of the log, for each event: end, name, scope, kind, calls, bytes, seq of the node (0: none)


class ProfilerActivity(enum.Enum):
    """PyTorch's names for what is measured; every profile measures what the engine does on either."""

    CPU = 0
    CUDA = 2


class Recorder(Watcher):
    """Notes the moment of each event: the time from the event before it until then is its own."""

    def __init__(self, under, synchronize, memory):
        super().__init__(under)
        self.synchronize, self.memory = synchronize, memory
        self.log, self.node, self.inputs = [], 0, None  # node, inputs: of the event before, which may be the same call
        self.known, self.alive, self.peak = {}, 0, 0  # id of an array -> _Alive
        self.begin = time.perf_counter_ns()

    @property
    def reads(self):
        """Whether one of the watchers below looks at values: this one does not."""
        return self.under is not None and self.under.reads

    def forward(self, op, inputs, result):
        """After an op: of several results, the first counts the call."""
        if self.under is not None:
            self.under.forward(op, inputs, result)
        if self.synchronize:
            result.device.backend.synchronize()
        calls = 1
        if op.outputs != 1 or op.shares is not None:
            calls = 0 if inputs is self.inputs else 1
            self.inputs = inputs
        old = result.view_of is not None or (inputs and getattr(inputs[0], "array", None) is result.array)
        size = 0 if old else self._made(result.array)  # a view, or a change in place, makes nothing
        node = result.node
        seq = 0 if node is None else node.seq if node.op is not Pick or op is Pick else node.parents[0].seq
        self.log += (time.perf_counter_ns(), op.name, mode.scope, FORWARD, calls, size, seq)

    def start(self, roots):
        """Before a walk."""
        super().start(roots)
        self._note(START, BACKWARD)

    def backward(self, node, i, share, g):
        """After a share: the first counts the call."""
        if self.under is not None:
            self.under.backward(node, i, share, g)
        if self.synchronize:
            node.device.backend.synchronize()
        op, size = node.op, 0
        if share is not g and not isinstance(share, Tensor):  # Tensors (create_graph) were counted by their own ops
            if not op.lends or (hasattr(g, "shape") and not node.device.backend.is_view(share, g)):
                size = self._made(share)
        calls = 0 if node.seq == self.node else 1
        self.node = node.seq
        self.log += (time.perf_counter_ns(), op.name, node.scope, BACKWARD, calls, size, node.seq)

    def end(self):
        """After a walk."""
        super().end()
        self._note(END, BACKWARD)

    def mark(self, name):
        """After other work; without a name, after what was no work of the engine."""
        super().mark(name)
        self._note(name or OUTSIDE, OTHER, 1 if name else 0)

    def _note(self, name, kind, calls=0):
        self.inputs = None
        self.log += (time.perf_counter_ns(), name, mode.scope, kind, calls, 0, 0)

    def _made(self, array):
        """The bytes of an array that has just been made; 0 if it was there before."""
        size = getattr(array, "nbytes", 0)
        if self.memory:
            if (key := id(array)) in self.known:
                return 0
            try:
                self.known[key] = _Alive(array, self._freed, key, size, len(self.log))
            except TypeError:  # in NumPy a 0-d result may be a number, which is not worth counting
                return size
            self.alive += size
            if self.alive > self.peak:
                self.peak = self.alive
        return size

    def _freed(self, ref):
        if self.known.pop(ref.key, None) is not None:
            self.alive -= ref.size


class _Alive(weakref.ref):
    """An array that was made and is still there; `place`: of its event in the log."""

    __slots__ = ("key", "place", "size")

    def __new__(cls, array, freed, *_):
        return super().__new__(cls, array, freed)

    def __init__(self, array, freed, key, size, place):
        super().__init__(array, freed)
        self.key, self.size, self.place = key, size, place


@dataclass(frozen=True, slots=True)
class Event:
    """One piece of the time: what it was for. All pieces together are the whole time."""

    name: str  # the op, an optimizer's step, or "outside of operations"
    path: tuple  # the names of the running modules and labels, outermost first; in backward those of the forward
    kind: str  # "forward", "backward" or "other"
    start: float  # seconds since the beginning
    time: float  # seconds
    calls: int  # 1; 0 for a further result or share of the same call
    bytes: int  # of the results, or gradients, that it made; views count 0
    alive: int  # of these, still there at the end

    @property
    def operation(self) -> bool:
        """Whether it was an op, and no other work."""
        return self.kind != OTHER and self.name not in (START, END)


@dataclass(slots=True)
class Row:
    """A line of a table. Times are in seconds; those of a module include the modules in it, `self_time` does not."""

    key: str
    calls: int = 0  # of the op forward, or of the module
    backward_calls: int = 0
    forward: float = 0.0
    backward: float = 0.0
    other: float = 0.0
    self_time: float = 0.0
    bytes: int = 0
    alive: int = 0

    @property
    def time(self) -> float:
        """Seconds, all together."""
        return self.forward + self.backward + self.other


class profile:
    """Inside, the time of everything the engine does in this thread is measured.

    The time of an operation runs from the end of the event before it to its own end, so that the Python between two operations
    counts to the second. The rest has rows of its own: steps of optimizers, the start of backward (putting the graph in order),
    its end (gradients of leaves), and what is "outside of operations": before such a step, before and after labels
    (`record_function`), and at the end. All times add up to the whole. The operations inside a derivative that is recorded
    (create_graph), or of a user's Function, count as operations, outside of modules.

    activities: accepted as PyTorch's; everything is measured always. profile_memory: note which results are still alive, and
    the most that were at one time: of results and gradients, not of what operations need for a moment.
    synchronize: wait for the device at each event. On a GPU the times are those of giving out the work otherwise.

    Measured on a training step of a small GPT (dim 128, 4 layers, 8 sequences of 64, one thread): about 3 % more time.

    Raises:
        ArgumentError: one profile inside another of the same thread; results asked for while it runs.

    Example:
        >>> import tensorlite as tl
        >>> model = tl.nn.Sequential(tl.nn.Linear(8, 4), tl.nn.ReLU())
        >>> with tl.profiler.profile() as prof:
        ...     model(tl.ones(2, 8)).sum().backward()
        >>> [(r.key, r.calls, r.backward_calls) for r in prof.key_averages() if r.calls]
        [('linear', 1, 1), ('relu', 1, 1), ('sum', 1, 1)]
        >>> sorted(r.key for r in prof.rows("module"))
        ['Sequential', 'Sequential.0', 'Sequential.1', 'outside of modules']
    """

    def __init__(self, activities=None, *, profile_memory=True, synchronize=True):
        self.profile_memory, self.synchronize = profile_memory, synchronize
        self._recorder = self._events = None

    # ------------------------------------------------------------ recording
    def __enter__(self):
        if next(watchers(Recorder), None) is not None:
            raise errors.ArgumentError(
                "profile: a profile is running in this thread already; use record_function(name) to tell parts apart"
            )
        self._events = None
        self._recorder = mode.watcher = Recorder(mode.watcher, self.synchronize, self.profile_memory)
        return self

    def __exit__(self, *_):
        r = self._recorder
        r._note(OUTSIDE, OTHER)
        r.remove()
        r.inputs = None
        alive = {}
        for ref in list(r.known.values()):
            alive[ref.place] = alive.get(ref.place, 0) + ref.size
        r.known.clear()
        self._events, last, paths = [], r.begin, {None: ()}
        self._calls = {}  # path -> the number of calls of the module
        self._seconds = {FORWARD: {}, BACKWARD: {}}  # seq of a node -> its time
        for i in range(0, len(r.log), FIELDS):
            end, name, scope, kind, calls, size, seq = r.log[i : i + FIELDS]
            start, took = (last - r.begin) * 1e-9, (end - last) * 1e-9
            path = self._path(scope, paths)
            self._events.append(Event(name, path, kind, start, took, calls, size, alive.get(i, 0)))
            if seq:
                self._seconds[kind][seq] = self._seconds[kind].get(seq, 0.0) + took
            last = end
        PROFILES.add(self)
        self._total, self._memory, self._recorder = (last - r.begin) * 1e-9, (r.alive, r.peak), None

    def start(self) -> None:
        """As entering the context."""
        self.__enter__()

    def stop(self) -> None:
        """As leaving the context."""
        if self._recorder is None:
            raise errors.ArgumentError("profile.stop: this profile was not started")
        self.__exit__()

    def _path(self, scope, paths):
        found = paths.get(scope)
        if found is None:
            found = paths[scope] = (*self._path(scope.outer, paths), scope.name or scope.kind)
            self._calls[found] = self._calls.get(found, 0) + 1
        return found

    # ------------------------------------------------------------ results
    def _done(self):
        if self._events is None:
            state = "is still running: ask after its `with`" if self._recorder else "has not run"
            raise errors.ArgumentError(f"profile: there are no results, for the profile {state}")
        return self._events

    @property
    def events(self) -> list:
        """All events as plain data, in order."""
        return list(self._done())

    def seconds(self, backward: bool = False) -> dict:
        """The time of single operations, by the `seq` of their nodes: what draw_graph(color_by="time") shows."""
        return self._seconds[BACKWARD if backward else FORWARD]

    @property
    def total(self) -> float:
        """The whole time in seconds."""
        self._done()
        return self._total

    @property
    def memory_alive(self) -> int:
        """Bytes of results and gradients made inside that were still there at the end."""
        self._done()
        return self._memory[0]

    @property
    def memory_peak(self) -> int:
        """The most bytes of results and gradients made inside that were there at one time."""
        self._done()
        return self._memory[1]

    def rows(self, by: str = "op") -> list:
        """The sums by "op" or by "module", in the order of first use."""
        if by not in ("op", "module"):
            raise errors.ArgumentError(f"profile: by must be 'op' or 'module', not {by!r}")
        rows = {}
        for e in self._done():
            path = [".".join(e.path[: k + 1]) for k in range(len(e.path))] or ["outside of modules"]
            for key in [e.name] if by == "op" else path:
                row = rows.get(key)
                if row is None:
                    row = rows[key] = Row(key)
                setattr(row, e.kind, getattr(row, e.kind) + e.time)
                if key == path[-1] or by == "op":
                    row.self_time += e.time
                row.bytes += e.bytes
                row.alive += e.alive
                if by == "op":
                    row.calls += e.calls if e.kind != BACKWARD else 0
                    row.backward_calls += e.calls if e.kind == BACKWARD else 0
        if by == "module":
            for path, calls in self._calls.items():
                if (row := rows.get(".".join(path))) is not None:
                    row.calls += calls
        return list(rows.values())

    def key_averages(self) -> "Averages":
        """The rows by op, as a list that prints as a table."""
        return Averages(self.rows(), self)

    def table(self, sort_by: str = "time", by: str = "op", rows: int = 20) -> str:
        """The largest rows as text. sort_by: "time", "self_time", "calls", "bytes", "alive", "name", or PyTorch's word for it."""
        return Averages(self.rows(by), self, by).table(sort_by, rows)

    def svg(self, theme: str = "auto") -> str:
        """The flame picture: a bar for each module, as wide as its time, its modules and operations below it; with exact
        numbers where the pointer rests. theme: "auto" (as the reader's screen), "light" or "dark"."""
        return flame.draw(self.frames(), self._caption(), theme)

    def frames(self):
        """The modules and operations as a tree of graph.flame.Frame: plain data."""
        return flame.tree(self._done())

    def _repr_svg_(self) -> str:
        return self.svg()

    def _caption(self):
        parts = {k: sum(e.time for e in self._done() if e.kind == k) for k in flame.KINDS}
        words = ", ".join(f"{k} {100 * v / (self._total or 1):.0f} %" for k, v in parts.items())
        text = f"{duration(self._total)}: {words}"
        return text + (f"; at most {memory(self.memory_peak)} at one time" if self.profile_memory else "")

    def save(self, path) -> Path:
        """Write a file, in the format its name ends with: .svg (the picture), .txt (both tables), .json (see export_chrome_trace)."""
        path = Path(path)
        kind = path.suffix.lower()
        if kind == ".json":
            return self.export_chrome_trace(path)
        if kind not in (".svg", ".txt"):
            raise errors.ArgumentError(f"profile.save: {path.name!r} must end with .svg, .txt or .json")
        made = self.svg() if kind == ".svg" else f"{self.table(rows=1000)}\n\n{self.table(by='module', rows=1000)}\n"
        path.write_bytes(made.encode("utf-8", "replace"))
        return path

    def export_chrome_trace(self, path) -> Path:
        """Write the events for chrome://tracing and Perfetto."""
        events = [
            {"name": e.name, "cat": e.kind, "ph": "X", "ts": e.start * 1e6, "dur": e.time * 1e6, "pid": 0, "tid": 0,
             "args": {"module": ".".join(e.path), "bytes": e.bytes}}
            for e in self._done()
        ]  # fmt: skip
        path = Path(path)
        path.write_bytes(json.dumps({"traceEvents": events}).encode("utf-8"))
        return path


class record_function:
    """Inside, while a profile runs in this thread, time counts to a part of your own naming, as if it were a module.

    Example:
        >>> import tensorlite as tl
        >>> with tl.profiler.profile() as prof, tl.profiler.record_function("data"):
        ...     batch = tl.ones(2, 3) * 2
        >>> [(e.name, e.path) for e in prof.events if e.calls]
        [('mul', ('data',))]
    """

    def __init__(self, name: str, args=None):
        if not isinstance(name, str) or not name:
            raise errors.ArgumentError(f"record_function: a name is needed, not {name!r}")
        self.name, self._outer = name, []

    def __enter__(self):
        recorder = next(watchers(Recorder), None)
        self._outer.append((recorder, mode.scope))
        if recorder is not None:
            recorder.mark("")
            mode.scope = Scope(mode.scope, self.name, "label")
        return self

    def __exit__(self, *_):
        recorder, outer = self._outer.pop()
        if recorder is not None:
            recorder.mark("")
            mode.scope = outer


_SORT = {"name": "key", "count": "calls", "cpu_time": "time", "cpu_time_total": "time", "cpu_memory_usage": "bytes",
         "self_cpu_memory_usage": "bytes", "memory": "bytes", "self_cpu_time_total": "self_time"}  # fmt: skip


class Averages(list):
    """Rows that print as a table."""

    def __init__(self, rows, prof, by="op"):
        super().__init__(rows)
        self._prof, self._by = prof, by

    def total_average(self) -> Row:
        """The sums of all rows by op."""
        total = Row("total")
        for row in self._prof.rows():
            for name in Row.__slots__[1:]:
                setattr(total, name, getattr(total, name) + getattr(row, name))
        return total

    def table(self, sort_by: str = "time", row_limit: int = 20) -> str:
        """The rows as text, largest first."""
        key = _SORT.get(sort_by, sort_by)
        if key not in ("time", *Row.__slots__):
            known = ["time", "self_time", "forward", "backward", "calls", "bytes", "alive", "name"]
            raise errors.ArgumentError(f"table: sort_by must be one of {', '.join(known)}, not {sort_by!r}")
        rows = sorted(self, key=lambda r: getattr(r, key), reverse=key != "key")
        whole = self._prof.total or 1
        ops, alive = self._by == "op", self._prof.profile_memory
        head = [self._by, "calls", *(["bwd calls"] if ops else []), "forward", "backward", "other", "time", "%",
                *([] if ops else ["self"]), "made", *(["alive"] if alive else [])]  # fmt: skip
        lines = [head]
        for r in rows[:row_limit]:
            lines.append([
                r.key, f"{r.calls:,}", *([f"{r.backward_calls:,}"] if ops else []),
                *[duration(t) if t else "" for t in (r.forward, r.backward, r.other)], duration(r.time),
                f"{100 * r.time / whole:.1f}", *([] if ops else [duration(r.self_time)]), memory(r.bytes),
                *([memory(r.alive)] if alive else []),
            ])  # fmt: skip
        wide = [max(len(line[k]) for line in lines) for k in range(len(head))]
        out = ["  ".join(t.rjust(w) if k else t.ljust(w) for k, (t, w) in enumerate(zip(line, wide))) for line in lines]
        out.insert(1, "-" * (sum(wide) + 2 * len(wide) - 2))
        if len(rows) > row_limit:
            out.append(f"... and {len(rows) - row_limit} more")
        note = "; a module's time includes that of the modules in it" if not ops else ""
        return "\n".join([*[line.rstrip() for line in out], self._prof._caption() + note])

    def __str__(self):
        return self.table(row_limit=len(self))
