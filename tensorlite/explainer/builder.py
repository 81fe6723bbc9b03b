"""`explain`: from the recorded graph to variables, steps and checks."""

import math
import sys

from tensorlite import errors, random as random_
from tensorlite.autograd import _root, reachable
from tensorlite.explainer import missing, names as names_, steps as steps_
from tensorlite.explainer.explanation import Descent, Explanation, Nudge
from tensorlite.explainer.inside import inside
from tensorlite.explainer.names import Names, NamingWatch
from tensorlite.explainer.replay import Replay
from tensorlite.explainer.source import own_lines
from tensorlite.explainer.steps import Step, Variable, numbers
from tensorlite.explainer.text import shape_text
from tensorlite.explainer.units import Units
from tensorlite.graph.record import trace
from tensorlite.modes import enable_grad
from tensorlite.tensor import Tensor, mode

MOST = 40  # cards
LANGUAGES = ("en", "zh")
NUDGE = 0.01
MOST_PATHS = 6
MOST_ELEMENTS = 1_000_000  # of a graph whose folded modules can be opened: all their shares are kept meanwhile


def explain(target, *inputs, params=None, gradient=None, lang="en", title="", intro="", wrong_order=False, depth=None,
            expand=(), code=None) -> Explanation:  # fmt: skip
    """Every step of the backward pass from `target`: upstream gradient x local slope = share, added up, with real numbers.

    target: a Tensor; or a function (or Module), which is then run on `inputs`, so that the value of everything is known.
    params: names for tensors: a Module or a dict name -> Tensor; else they are called as the caller's variables are.
    gradient: what to start from, if the result is not one number. lang: "en" or "zh", of page and text.
    wrong_order: show beside it what a walk in the wrong order gives. depth, expand: of graphs of more than 40 cards modules are
    one card each; how many levels are open, and the names (with *) of modules that are open whatever their level.

    The engine itself walks, on the side: no `.grad`, no random state is changed, and the graph can be walked again. Tensors of up
    to 64 numbers are shown in full. Where values were not kept, as of sums of constants, "-" stands in their place.

    Raises:
        GraphError: no graph, or one that a backward pass has freed. ArgumentError: an unknown language.

    Example:
        >>> import tensorlite as tl
        >>> a, b = tl.tensor(2.0, requires_grad=True), tl.tensor(3.0, requires_grad=True)
        >>> e = tl.explain(a * b + a)
        >>> e
        Explanation: 4 variables, 4 shares. .save('why.html'), .show(), .text()
        >>> [(e.variables[s.source].name, e.variables[s.target].name, s.share.values[0]) for s in e.steps if s.kind == "share"]
        [('L', 'mul', 1.0), ('L', 'a', 1.0), ('mul', 'a', 3.0), ('mul', 'b', 2.0)]
    """
    if lang not in LANGUAGES:
        raise errors.ArgumentError(f"explain: lang must be 'en' or 'zh', not {lang!r}")
    frame = sys._getframe(1)
    named = names_.in_frame(frame)
    known = {t.node: name for name, t in reversed(named.items()) if t.node is not None}
    watch, state = None, random_.get_rng_state()
    try:
        if not isinstance(target, Tensor):
            if not callable(target):
                raise errors.DTypeError(
                    f"explain: a Tensor, or a function or Module with its inputs, is needed, not {type(target).__name__}"
                )
            params = target if params is None and hasattr(target, "named_parameters") else params
            call, before = target, mode.watcher
            watch = mode.watcher = NamingWatch(before)
            try:
                with enable_grad():
                    target = target(*inputs)
            finally:
                mode.watcher = before
            given = names_.of_inputs(call, inputs)
            known = {**known, **{t.node: k for k, t in given.items() if t.node is not None}, **watch.names}
            named = {**given, **named, **watch.constants}
            if isinstance(target, tuple):  # (logits, loss)
                target = next((t for t in reversed(target) if isinstance(t, Tensor) and t.array.size == 1), target[-1])
        elif inputs:
            raise errors.ArgumentError("explain: inputs are for a function; a Tensor has been computed already")
        if params is not None:
            pairs = params.named_parameters() if hasattr(params, "named_parameters") else dict(params).items()
            given = {str(k): t for k, t in pairs}
            named = {**given, **{k: t for k, t in named.items() if k not in given}}
            known.update({t.node: k for k, t in given.items() if t.node is not None})
        return Builder(target, gradient, known, named, watch, depth, expand).build(
            lang, title, intro, wrong_order, code, frame
        )
    finally:
        random_.set_rng_state(state)


class Builder:
    """From the recorded graph to variables and steps."""

    outside = frozenset()  # nodes that are only looked at from inside a module, see inside.py

    def __init__(self, tensor, gradient, known, named, watch, depth, expand):
        self.tensor, self.known = tensor, known
        seed = _root(tensor, gradient, False)  # refuses in words what cannot be walked
        self.gradient, self.seed = gradient, tensor.device.backend.as_array(seed)
        self.root = tensor.node
        self.nodes = reachable([self.root])[0][::-1]
        record, arrays = trace({"": tensor}, named, watch)
        self.items, self.arrays = record.items, arrays
        own = [item for item in record.items if item.kind in ("leaf", "op")]
        self.item_of = dict(zip(self.nodes, own, strict=True))
        self.node_of = {item.id: node for node, item in self.item_of.items()}
        for node, operands in watch.operands.items() if watch is not None else ():
            for parent, array in zip(node.parents, operands):
                if parent in self.item_of and parent.op is None:
                    arrays.keep(self.item_of[parent].id, array, node.device)
        missing.fill(self.nodes, self.item_of, arrays, named)
        self.units = Units(self.nodes, self.item_of, record, MOST, depth, expand)

    # ------------------------------------------------------------ variables
    def build(self, lang, title, intro, wrong_order, code, frame):
        units = self.units
        self.names = Names()
        self.ids, self.variables = {}, []  # unit, or id of a constant -> id of the variable
        self._name_all()
        if code is None and not units.grouped:
            code = own_lines(self.nodes, self.known, frame)
        lines, ask = (list(code[0]), code[2]) if code else ([], None)
        self.line_of = code[1] if code else lambda node: -1
        cross = units.cross()
        uses = {}
        for target in cross.values():
            uses[target] = uses.get(target, 0) + 1
        self.uses = uses
        for unit in units.order:
            self._variable(unit, lines, generated=not code)
        steps = self._forward()
        crosses = lambda n, i: units.crosses(n, n.parents[i])  # noqa: E731
        whole = units.grouped and sum(math.prod(n.shape) for n in self.nodes) <= MOST_ELEMENTS
        events, _ = steps_.record(self.tensor, self.nodes, self.gradient, (lambda n, i: True) if whole else crosses)
        self.found = [e for e in events if crosses(e.node, e.operand)] if whole else events
        steps += self._shares(self.found)
        inner = {}
        for unit in [u for u in units.order if u.group] if whole else ():
            total = self.seed if unit.last is self.root else self.totals.get(unit.last)
            found = inside(self, unit, events, total, MOST, lang)
            if found is not None:
                inner[self.ids[unit]] = found
        steps.append(Step("end"))
        wrong = []
        if wrong_order and not units.grouped:
            wrong = [*self._forward(), *self._shares(steps_.hasty(self.root, self.seed), True), Step("end")]
        if not code:
            lines.append(f"{self.variables[self.ids[units.of[self.root]]].name}.backward()")
        nudges, descent = self._checks()
        return Explanation(self.variables, steps, lines, nudges, descent, title, intro, lang, wrong, units.notes,
                           ask, inner)  # fmt: skip

    def _name_all(self):
        self.name = {}
        for node in self.nodes:
            if node in self.known:
                self.name[node] = self.names.take(self.known[node])
        for node in self.nodes:
            if node not in self.name:
                wanted = self.item_of[node].name
                op = node.op
                if wanted:
                    self.name[node] = self.names.take(wanted)
                elif node is self.root and "L" not in self.names.used:
                    self.name[node] = self.names.take("L")
                else:
                    self.name[node] = self.names.take("input") if op is None else self.names.make(op, self.name, node)
        self.constant_names = {}
        for item in self.items:
            if item.kind == "constant":
                self.constant_names[item.id] = self.names.take(item.name or item.op or "c")

    def _value(self, item):
        found = self.arrays.value(item.id)
        return None if found is None else numbers(*found)

    def _operands(self, node):
        """The names of the operands, as code."""
        item, found = self.item_of[node], []
        for k, i in enumerate(item.inputs):
            if i >= 0:
                found.append(self.name[self.node_of[i]] if i in self.node_of else self.constant_names[i])
            else:
                fixed = self.arrays.fixed[item.id].get(k)
                found.append(item.literals.get(k, names_.literal(fixed) if fixed is not None else "None"))
        return found

    def _constant(self, i):
        if i not in self.ids:
            item = self.items[i]
            self.ids[i] = len(self.variables)
            shape = tuple(item.shape or ())
            self.variables.append(
                Variable(self.ids[i], self.constant_names[i], "constant", "", "", shape, self._value(item), (), 0)
            )
        return self.ids[i]

    def _variable(self, unit, lines, generated):
        node, shape = unit.last, tuple(unit.last.shape)
        item = self.item_of[node]
        inputs, source, outside = [], "", node in self.outside
        for n in () if outside else unit.nodes:
            for i in self.item_of[n].inputs:
                if i < 0:
                    continue
                if i in self.node_of:
                    other = self.units.of[self.node_of[i]]
                    if other is not unit:
                        inputs.append(self.ids[other])
                elif not unit.group:
                    inputs.append(self._constant(i))
        if unit.group:
            inputs = sorted(set(inputs))
            source = f"{unit.name}({', '.join(self.variables[i].name for i in inputs)})"
        elif node.op is not None and not outside:
            source = names_.write(node.op, self._operands(node), node.args or {}, item)
        name = unit.name if unit.group else self.name[node]
        line = self.line_of(node)
        value = self._value(item)
        if generated:
            line = len(lines)
            lines.append(source if unit.group else f"{name} = {source or names_.make_text(value, unit.last)}")
        self.ids[unit] = len(self.variables)
        kind = "group" if unit.group else "op" if node.op is not None and not outside else "input"
        op = unit.kind if unit.group else node.op.name if kind == "op" else ""
        uses = self.uses.get(unit, 0)
        self.variables.append(
            Variable(self.ids[unit], name, kind, op, source, shape, value, tuple(inputs), uses, line, item.formula)
        )

    # ------------------------------------------------------------ steps
    def _forward(self):
        steps = [Step("inputs")]
        steps += [Step("compute", source=v.id) for v in self.variables if v.kind in ("op", "group")]
        seed = numbers(self.seed, self.tensor.device)
        return [*steps, Step("seed", source=self.ids[self.units.of[self.root]], target=self.ids[self.units.of[self.root]],
                             after=seed, share=seed)]  # fmt: skip

    def _shares(self, events, wrong=False):
        """One step for each (node, input) in the engine's order; between modules one for each pair of cards."""
        units, steps, totals, arrived, edges = self.units, [], {}, {}, []
        self.totals = totals
        left, sums = {}, {}
        for e in events:
            key = units.key(e.node, e.operand)
            left[key] = left.get(key, 0) + 1
        handed = set()
        for e in events:
            node, parent = e.node, e.node.parents[e.operand]
            key, device = units.key(node, e.operand), node.device
            share = e.share
            if key in sums and share is not None:
                share = sums[key] + share
            sums[key] = share
            left[key] -= 1
            if left[key]:
                continue
            source, target = units.of[node], units.of[parent]
            s, t = self.ids[source], self.ids[target]
            before = totals.get(parent)
            after = share if before is None else before if share is None else before + share
            totals[parent] = after
            arrived[t] = arrived.get(t, 0) + 1
            extra = {} if source.group else self._local(e, share, source)
            handed.add(s)
            if "slope" in extra and extra["slope"] is not None:
                edges.append((t, s, extra["slope"]))
            steps.append(
                Step(
                    "share",
                    source=s,
                    target=t,
                    operand=e.operand,
                    upstream=numbers(totals.get(source.last, self.seed) if source.group else e.upstream, device),
                    share=numbers(share, parent.device),
                    before=numbers(before, parent.device),
                    after=numbers(after, parent.device),
                    arrived=arrived[t],
                    uses=self.uses.get(target, 1),
                    paths=self._paths(edges, t, s),
                    late=wrong and t in handed,
                    hasty=wrong and arrived[t] == 1 < self.uses.get(target, 1) and parent.op is not None,
                    **extra,
                )
            )
        return steps

    def _local(self, e, share, unit):
        """The local slope of one share, the rule in words, the share before it is summed, the curve of the function."""
        node, i, op = e.node, e.operand, e.node.op
        item, device = self.item_of[node], e.node.device
        local = item.local[i] if i < len(item.local) else item.local[0] if item.local else ""
        rule = names_.rule_text(local, item.operands, self._operands(node), self.name[node])
        slope = steps_.slope_of(node, i)
        if op.name == "linear" and i == 0:
            rule = f"G @ {self._operands(node)[1]}"
        elif op.name == "matmul" and "@" in rule:  # "@ W.T", "X.T @"
            rule = f"G {rule}" if rule.startswith("@") else f"{rule} G"
        elif slope is not None:
            rule = rule.partition(", ")[0]
        elif rule == "1":  # the same numbers in another shape
            rule = f"G as {shape_text(node.parents[i].shape)}"
        full = None
        if share is not None and slope is not None and tuple(slope.shape) != tuple(share.shape):
            full = numbers(steps_.share_of(node, i, e.upstream), device)
        curve = ()
        if len(node.parents) == 1 and steps_.one_by_one(op) and op.name not in ("neg", "clone", "alias", "cast"):
            curve = self._curve(node, item)
        return {"slope": numbers(slope, device), "rule": rule, "full": full, "curve": curve}

    def _curve(self, node, item, points=49):
        """(xs, ys) of a function of one number around the values it was computed at."""
        found = self.arrays.value(item.inputs[0])
        if found is None or found[0].size > steps_.FULL or "forward" not in node.op.__dict__:
            return ()
        b = node.device.backend
        at = b.to_host(found[0]).reshape(-1).tolist()
        low, high = min(at), max(at)
        if not all(abs(x) < 1e6 for x in at):
            return ()
        room = max(2.5 - (high - low) / 4, 0.25 * (high - low), 0.5)
        xs = b.xp.linspace(low - room, high + room, points).astype(node.dtype)
        with b.quiet():
            out = node.op.forward(b, xs, **(node.args or {}))
        ys = b.to_host(out[0] if node.op.extras else out)
        return (tuple(b.to_host(xs).tolist()), tuple(ys.tolist()))

    @staticmethod
    def _paths(edges, target, source):
        """The chain rule, a line for each path from the result to the target through the share just handed over."""
        up, last = {}, edges[-1] if edges and edges[-1][:2] == (target, source) else None
        if last is None or len(last[2].values or ()) != 1:
            return ()
        for t, s, slope in edges[:-1]:
            if len(slope.values or ()) != 1:
                continue
            up.setdefault(t, []).append((s, slope.values[0]))
        paths, stack = [], [((target, source), (last[2].values[0],))]
        while stack and len(paths) < MOST_PATHS:
            at, slopes = stack.pop()
            if at[-1] not in up:
                product = 1.0
                for v in slopes:
                    product *= v
                paths.append((at[::-1], slopes[::-1], product))
                continue
            for s, v in reversed(up[at[-1]]):
                stack.append(((*at, s), (*slopes, v)))
        return tuple(paths)

    # ------------------------------------------------------------ the checks at the end
    def _checks(self):
        """Nudge every input and see; then one step of gradient descent. Nothing where the graph cannot be computed again."""
        if self.tensor.array.size != 1 or self.units.grouped:
            return [], None
        replay = Replay(self.nodes, self.item_of, self.arrays, self.root)
        base = replay.result()
        if base is None or abs(base - float(self.tensor.array.reshape(()))) > 1e-5 * max(1.0, abs(base)):
            return [], None
        scale = float(self.seed.reshape(()))
        totals, nudges = {}, []
        for e in self.found:
            p = e.node.parents[e.operand]
            totals[p] = e.share if p not in totals else totals[p] + e.share
        leaves = [n for n in self.nodes if n.op is None and n in totals]
        for n in leaves:
            if not totals[n].size:
                continue
            g = n.device.backend.to_host(totals[n])
            places = [(k, v) for k, v in enumerate(g.reshape(-1).tolist())]
            k, v = max(places, key=lambda p: abs(p[1]), default=(0, 0.0))
            changed = replay.result({n: replay.nudged(n, k, NUDGE)})
            place = []
            for size in reversed(n.shape):
                k, r = divmod(k, int(size))
                place.insert(0, r)
            nudges.append(Nudge(self.name[n], tuple(place), v, v * NUDGE, (changed - base) * scale))
        lr, descent = 0.1, None
        for _ in range(12):
            changed = {n: replay.stepped(n, totals[n] * (lr / scale if scale else lr)) for n in leaves}
            after = replay.result(changed)
            if after is not None and after < base:
                descent = Descent(lr, base, after)
                break
            lr = float(f"{lr / 2:.1g}")
        return nudges, descent
