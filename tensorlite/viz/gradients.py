"""How gradients flow: by layer, through time, and what the next update changes."""

import contextlib
import copy
import math

from tensorlite import errors, random
from tensorlite.autograd import grad
from tensorlite.modes import enable_grad, no_grad
from tensorlite.tensor import Tensor
from tensorlite.viz.base import Bars, Picture, number
from tensorlite.viz.curves import Curves

VANISHING, EXPLODING, GUIDE = 1e-6, 1e3, 1e-3
MOST_ROWS = 40


def grad_flow(model, title="gradient by layer") -> Picture:
    """A bar for each layer, first to last: log10 of the L2 norm of the gradients of its own parameters.

    Below 1e-6 a layer is called vanishing, above 1e3 exploding. Layers are put together by their outer module where there
    are more than 40. Call it after `backward()`, before `zero_grad()`.

    >>> import tensorlite as tl
    >>> layer = tl.nn.Linear(2, 1, bias=False)
    >>> layer(tl.tensor([[3.0, 4.0]])).sum().backward()
    >>> print(tl.viz.grad_flow(layer).rows[0][2])
    5
    """
    parts = [(path.rpartition(".")[0], _norm(p.grad), p.grad is None) for path, p in _named(model, "grad_flow")]
    known = {}
    while True:
        rows = {}
        for path, norm, missing in parts:
            rows.setdefault(path or type(model).__name__, []).append((norm, missing))
        if len(rows) <= MOST_ROWS or not any("." in path for path, _, _ in parts):
            break
        deepest = max(path.count(".") for path, _, _ in parts)
        parts = [(p.rpartition(".")[0] if p.count(".") == deepest else p, n, m) for p, n, m in parts]
    for path, found in rows.items():
        have = [n for n, missing in found if not missing]
        known[path] = math.sqrt(sum(n * n for n in have)) if have else None
    shown, alarms = [], []
    for i, (path, norm) in enumerate(known.items()):
        word = _verdict(norm)
        shown.append((path, norm, word if norm is None else " ".join(filter(None, (number(norm), word)))))
        if word and norm is not None:
            alarms.append(i)
    values = [v for v in known.values() if v and math.isfinite(v)]
    note = "" if values or not known else "no gradient yet: call backward() first"
    low = math.floor(min([math.log10(v) for v in values] + [-7]))
    high = math.ceil(max([math.log10(v) for v in values] + [4]))
    guides = [(VANISHING, "vanishing < 1e-6"), (EXPLODING, "exploding > 1e3")]
    return Bars(title, shown, note or "L2 norm, powers of ten", True, low, high, guides, alarms)


def update_ratio(optimizer, model=None, title="size of the next update") -> Picture:
    """A bar for each parameter: |what the next `step()` would add| / |weight|, with a guide line at 1e-3.

    The step is taken on copies: neither parameters nor the optimizer's state change. `model` gives the names.
    """
    if not hasattr(optimizer, "param_groups"):
        raise errors.DTypeError(f"update_ratio: an Optimizer is needed, not {type(optimizer).__name__}")
    names = {id(p): name for name, p in _named(model, "update_ratio")} if model is not None else {}
    params = [p for g in optimizer.param_groups for p in g["params"]]
    twin = copy.deepcopy(optimizer)
    copies = [p for g in twin.param_groups for p in g["params"]]
    for p, q in zip(params, copies, strict=True):
        q.grad = None if p.grad is None else p.grad.clone()
    with random.fork_rng():
        twin.step()
    rows, alarms, values = [], [], []
    for i, (p, q) in enumerate(zip(params, copies, strict=True)):
        label = names.get(id(p)) or f"parameter {i} {tuple(p.shape)}"
        if p.grad is None:
            rows.append((label, None, "no gradient"))
            continue
        with no_grad():
            change, size = _norm(q.detach() - p.detach()), _norm(p)
        ratio = change / size if size else math.inf if change else 0.0
        said = number(ratio) if size else "the weight is 0"
        rows.append((label, ratio if math.isfinite(ratio) else None, said))
        if size and not math.isfinite(ratio):
            alarms.append(i)
        if math.isfinite(ratio) and ratio > 0:
            values.append(math.log10(ratio))
    note = "|update| / |weight|, powers of ten" if any(p.grad is not None for p in params) else _NOT_YET
    low, high = math.floor(min([*values, -5])), math.ceil(max([*values, 0]))
    return Bars(title, rows, note, True, low, high, [(GUIDE, "usual: 1e-3")], alarms)


_NOT_YET = "no gradient yet: call backward() first"


def grad_through_time(f, x, title="gradient of the last result for the state at t", loss=None) -> Picture:
    """The norm of dL/dh_t against t, on a logarithmic axis; L is the first feature of the last state (summed over a batch), or
    `loss(last state)`. (Not the sum of all features: behind a layer norm that is a constant.)

    f: an nn.RNN, LSTM or GRU (run step by step; h_t is the state of all layers, with c_t for an LSTM); another module, whose
    "state at t" is position t of its input; a callable that returns the states [h_0, h_1, ...] of one graph; or
    {name: one of these} for several on one axis. x: (T, features), or with a batch as the module wants it.

    Raises:
        ArgumentError: a bidirectional net, integer input to a module, no states.

    >>> import tensorlite as tl
    >>> def double(x):
    ...     states = [x[0].clone().requires_grad_()]
    ...     for _ in range(3):
    ...         states.append(states[-1] * 2)
    ...     return states
    >>> [y for _, y in tl.viz.grad_through_time(double, tl.ones(1, 1)).history["double"]]
    [8.0, 4.0, 2.0, 1.0]
    """
    nets = f if isinstance(f, dict) else {getattr(f, "__name__", type(f).__name__): f}
    loss = loss or (lambda last: (last.select(-1, 0) if last.ndim else last).sum())
    lines = {name: list(enumerate(_over_time(net, x, loss))) for name, net in nets.items()}
    return Curves(lines, title, log=True, axis="t")


def _over_time(net, x, loss):
    """[norm of dL/dh_t for each t]."""
    with quiet(net), enable_grad():
        if hasattr(net, "flatten_parameters") and hasattr(net, "batch_first"):
            groups, last = _stepwise(net, x)
        elif hasattr(net, "named_modules"):
            if not x.is_floating_point():
                raise errors.ArgumentError(
                    f"grad_through_time: positions of {x.dtype} have no gradient; give a callable that returns the states"
                )
            given = x.detach().clone().requires_grad_()
            dim = 0 if given.ndim == 2 or not _batch_first(net) else 1
            out = net(given)
            out = out[0] if isinstance(out, tuple) else out
            (g,) = grad(loss(out.select(dim, out.shape[dim] - 1)), [given])
            return [_norm(g.select(dim, t)) for t in range(g.shape[dim])]
        else:
            states = list(net(x))
            if not states or not all(isinstance(s, Tensor) for s in states):
                raise errors.ArgumentError(
                    "grad_through_time: the callable must return a list of Tensors, one per step"
                )
            groups, last = [(s,) for s in states], states[-1]
        flat = [s for group in groups for s in group]
        found = iter(grad(loss(last), flat, allow_unused=True))
    norms = [[_norm(g) for g in (next(found) for _ in group) if g is not None] for group in groups]
    return [math.sqrt(sum(n * n for n in row)) for row in norms]


def _stepwise(net, x):
    """The states of a recurrent net, one tuple a step, and the last state that is passed on upwards."""
    if getattr(net, "bidirectional", False):
        raise errors.ArgumentError("grad_through_time: a bidirectional net has no last step; give bidirectional=False")
    dim = 1 if x.ndim == 3 and net.batch_first else 0
    if not x.shape[dim]:
        raise errors.ArgumentError(f"grad_through_time: no steps in an input of shape {tuple(x.shape)}")
    states, carried = [], None
    for t in range(x.shape[dim]):
        _, carried = net(x.narrow(dim, t, 1)) if carried is None else net(x.narrow(dim, t, 1), carried)
        states.append(carried if isinstance(carried, tuple) else (carried,))
    return states, states[-1][0]


def _batch_first(net):
    """Whether the batch is the first dimension, by the first module below that says so."""
    return next((m.batch_first for _, m in net.named_modules() if hasattr(m, "batch_first")), True)


@contextlib.contextmanager
def quiet(net):
    """In evaluation mode and with random numbers of its own; both are as they were afterwards."""
    modules = [m for _, m in net.named_modules()] if hasattr(net, "named_modules") else []
    before = [m.training for m in modules]
    if modules:
        net.eval()
    try:
        with random.fork_rng():
            yield
    finally:
        for m, training in zip(modules, before, strict=True):
            object.__setattr__(m, "training", training)


def _named(model, who):
    if not hasattr(model, "named_parameters"):
        raise errors.DTypeError(f"{who}: a Module is needed, not {type(model).__name__}")
    return list(model.named_parameters())


def _norm(t) -> float:
    """The L2 norm, in float64; 0 without a gradient."""
    if t is None:
        return 0.0
    with no_grad():
        return t.detach().to("cpu").double().square().sum().sqrt().item()


def _verdict(norm):
    """What a norm is called."""
    if norm is None:
        return "no gradient"
    if not math.isfinite(norm):
        return "not finite"
    return "vanishing" if norm < VANISHING else "exploding" if norm > EXPLODING else ""
