"""Checks of derivatives against central differences in float64: gradcheck, gradgradcheck, directional_check, check_module."""

import collections
import copy
import warnings
from itertools import pairwise

from tensorlite import autograd, errors
from tensorlite.backend import dtypes, host
from tensorlite.modes import enable_grad, no_grad
from tensorlite.tensor import Tensor, wrap


class GradcheckError(errors.TensorliteError):
    """A derivative that differs from its finite difference, or a function that cannot be checked."""


class KinkWarning(UserWarning):
    """A place without a derivative (a kink or a step) that gradcheck came upon."""


Wrong = collections.namedtuple("Wrong", "excess text")  # how far beyond what is allowed, and all about it


# ---------------------------------------------------------------- values on the host
def _read(t):
    """The elements as a float64 NumPy vector, a copy."""
    b = t.device.backend
    return host().xp.array(b.to_host(b.as_array(t.array)), dtype="float64").reshape(-1)


def _write(t, values):
    """Put a vector into the memory of t (not noted as a change in place: it is put back before anyone looks)."""
    b = t.device.backend
    t.array = b.as_array(t.array)
    t.array[...] = b.from_host(values.reshape(t.array.shape).astype(t.array.dtype))


def _tensor(values, like):
    """A vector as a Tensor of the shape, dtype and device of `like`."""
    return wrap(like.device.backend.from_host(values.reshape(like.array.shape).astype(like.array.dtype)), like.device)


def _floats(out):
    """The floating-point results of a function, as a list."""
    out = (out,) if isinstance(out, Tensor) else tuple(out)
    return [o for o in out if isinstance(o, Tensor) and o.dtype.is_floating_point]


class _Problem:
    """What is checked: the function, its inputs and their names, and which of its results are compared."""

    def __init__(self, op, func, inputs, names):
        self.op, self.func, self.names = op, func, names
        self.inputs = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
        self.wanted = [(i, x) for i, x in enumerate(self.inputs) if isinstance(x, Tensor) and x.requires_grad]
        if not self.wanted:
            raise errors.ArgumentError(f"{op}: none of the inputs requires grad, there is nothing to check")
        for i, x in self.wanted:
            if x.dtype != dtypes.float64:
                raise errors.DTypeError(
                    f"{op}: {self.name(i)} is {x.dtype.name}; finite differences need float64: use x.double()"
                )
            strides = getattr(x.array, "strides", ())
            if x.numel() and any(s == 0 and n > 1 for s, n in zip(strides, x.array.shape, strict=False)):
                raise errors.ArgumentError(f"{op}: {self.name(i)} was expanded, its elements share memory; clone() it")
        outs = self.recorded()
        every = [i for i, o in enumerate(outs) if o.requires_grad]
        self.which = every or range(len(outs))  # if none depends on the inputs, the differences must be 0 everywhere
        self.shapes = [tuple(outs[i].shape) for i in self.which]

    def name(self, i):
        """`argument 1 (weight)`."""
        if self.names is None:
            self.names = _parameters(self.func, len(self.inputs))
        return self.names[i] if self.names[i] else f"argument {i}"

    def recorded(self):
        """All results, with their graph."""
        with enable_grad():
            return _floats(self.func(*self.inputs))

    def values(self):
        """The compared results, one after another in a vector."""
        with no_grad():
            outs = _floats(self.func(*self.inputs))
        return host().xp.concatenate([_read(outs[i]) for i in self.which] or [host().xp.zeros(0)])

    def gradients(self, outs, weights):
        """For each wanted input the gradient of sum(out * weight), as a vector; `weights` is one vector for all results."""
        start, pairs = 0, []
        for i in self.which:
            n = outs[i].numel()
            if outs[i].requires_grad:
                pairs.append((outs[i], _tensor(weights[start : start + n], outs[i])))
            start += n
        if not pairs:
            return [host().xp.zeros(x.numel()) for _, x in self.wanted]
        outs, gs = zip(*pairs, strict=True)
        xs = [x for _, x in self.wanted]
        found = autograd.grad(outs, xs, gs, retain_graph=True, materialize_grads=True)
        return [_read(g) for g in found]

    def place(self, o):
        """Element o of the vector of results: `result 1, element (0, 2)`."""
        for number, shape in zip(self.which, self.shapes, strict=True):
            n = 1
            for s in shape:
                n *= s
            if o < n:
                at = tuple(int(v) for v in host().xp.unravel_index(o, shape)) if shape else ()
                which = f"result {number}" if len(self.shapes) > 1 else "the result"
                return f"{which} at {at}" if shape else which
            o -= n

    def check_repeatable(self, centre, tolerance):
        """Refuse a function whose values, or whose gradients, differ from call to call."""
        xp, again = host().xp, self.values()
        if again.shape != centre.shape or not _same(centre, again, tolerance):
            by = f" by up to {xp.nanmax(xp.abs(again - centre)):.3g}" if again.shape == centre.shape else " in shape"
            raise GradcheckError(
                f"{self.op}: the function is not deterministic: two calls with the same inputs differ{by} "
                "(dropout in training mode? call model.eval(), or seed inside of the function)"
            )
        weights = xp.random.default_rng(1).standard_normal(centre.size)
        first, second = (self.gradients(self.recorded(), weights) for _ in range(2))
        for (i, _), a, b in zip(self.wanted, first, second, strict=True):
            if not _same(a, b, tolerance):
                raise GradcheckError(
                    f"{self.op}: the backward is not deterministic: the gradient of {self.name(i)} differs from call to call"
                )


def _same(a, b, tolerance):
    return bool(host().xp.allclose(a, b, rtol=0, atol=tolerance, equal_nan=True))


def _parameters(func, count):
    from inspect import signature  # slow to import, and needed for an error's text only

    try:
        names = [p.name for p in signature(func).parameters.values() if p.kind < 2]
    except (TypeError, ValueError):
        names = []
    return [f"argument {i}" + (f" ({names[i]})" if i < len(names) else "") for i in range(count)]


# ---------------------------------------------------------------- one line through the inputs
class _Line:
    """Values of a function at x - eps, x, x + eps along a line, and the slopes they give."""

    def __init__(self, at, centre, eps, atol, rtol):
        xp = host().xp
        self.at, self.centre, self.eps = at, centre, eps
        self.up, self.down = at(eps), at(-eps)
        self.expected = (self.up - self.down) / (2 * eps)
        self.left, self.right = (centre - self.down) / eps, (self.up - centre) / eps
        self.allowed = atol + rtol * xp.abs(self.expected)
        size = xp.maximum(xp.abs(self.up), xp.abs(self.down))
        rounding = 256 * 2.2e-16 / eps * size
        self.slack = atol + rtol * xp.maximum(xp.abs(self.left), xp.abs(self.right)) + rounding

    def kinks(self):
        """Where the slope does not change evenly between x - eps and x + eps, as it does where there is a derivative."""
        xp = host().xp
        bent = xp.abs(self.right - self.left) > self.slack
        if bent.any():
            h = self.eps / 2
            points = (self.down, self.at(-h), self.centre, self.at(h), self.up)
            slopes = [(b - a) / h for a, b in pairwise(points)]
            changes = xp.abs(xp.stack([b - a for a, b in pairwise(slopes)]))
            bent &= changes.min(axis=0) < 0.1 * changes.max(axis=0)
        return bent

    def compare(self, received):
        """(wrong, kinks): where the gradient is not the slope, and where it lies between two slopes that differ."""
        xp = host().xp
        wrong = ~(xp.abs(self.expected - received) <= self.allowed)
        low, high = xp.minimum(self.left, self.right), xp.maximum(self.left, self.right)
        kinks = self.kinks() & (low - self.slack <= received) & (received <= high + self.slack)
        return wrong & ~kinks, kinks

    def mismatch(self, o, received, where):
        """All about one wrong place."""
        error = abs(self.expected[o] - received[o])
        text = f"expected {self.expected[o]:.8g} by finite differences, received {received[o]:.8g} from backward"
        excess = error / self.allowed[o]
        return Wrong(
            excess if excess == excess else float("inf"),
            f"{where}: {text} (error {error:.3g}, allowed {self.allowed[o]:.3g})",
        )

    def bend(self, o, received, where):
        """All about one kink."""
        return (
            f"{where}: a kink (the slope is {self.left[o]:.6g} to the left and {self.right[o]:.6g} to the right, the "
            f"gradient {received[o]:.6g} lies between): there is no derivative to compare with"
        )


def _every_element(problem, centre, eps, atol, rtol):
    """Compare the whole Jacobian: (wrong places, texts of kinks)."""
    xp, outs = host().xp, problem.recorded()
    rows = [problem.gradients(outs, row) for row in xp.eye(centre.size)]
    wrong, kinks = [], []
    for number, (i, x) in enumerate(problem.wanted):
        before = _read(x)
        received = xp.stack([r[number] for r in rows]) if rows else xp.zeros((0, before.size))
        for k in range(before.size):

            def at(t, x=x, before=before, k=k):
                moved = before.copy()
                moved[k] += t
                try:
                    _write(x, moved)
                    return problem.values()
                finally:
                    _write(x, before)

            line = _Line(at, centre, eps, atol, rtol)
            off, bent = line.compare(received[:, k])
            for o in xp.flatnonzero(off | bent):
                place = tuple(int(v) for v in xp.unravel_index(k, x.array.shape)) if x.array.shape else ()
                where = f"{problem.name(i)}, index {place}, for {problem.place(o)}"
                if off[o]:
                    wrong.append(line.mismatch(o, received[:, k], where))
                else:
                    kinks.append(line.bend(o, received[:, k], where))
    return wrong, kinks


def _projections(problem, centre, eps, atol, rtol, count, seed):
    """Compare u . J v for random u, v, for each input by itself: (wrong places, texts of kinks)."""
    xp, draw = host().xp, host().xp.random.default_rng(seed)
    outs, wrong, kinks = problem.recorded(), [], []
    for _ in range(count):
        u = draw.standard_normal(centre.size)
        for (i, x), g in zip(problem.wanted, problem.gradients(outs, u), strict=True):
            before, v = _read(x), draw.standard_normal(x.numel())

            def at(t, x=x, before=before, v=v, u=u):
                try:
                    _write(x, before + t * v)
                    return xp.array([u @ problem.values()])
                finally:
                    _write(x, before)

            line, received = _Line(at, xp.array([u @ centre]), eps, atol, rtol), xp.array([g @ v])
            off, bent = line.compare(received)
            where = f"{problem.name(i)}, along a random direction"
            if off[0]:
                found = line.mismatch(0, received, where)
                wrong.append(found._replace(text=found.text + "; fast_mode=False names the element"))
            elif bent[0]:
                kinks.append(line.bend(0, received, where))
    return wrong, kinks


# ---------------------------------------------------------------- public
def gradcheck(func, inputs, *, eps=1e-6, atol=1e-5, rtol=1e-3, raise_exception=True, nondet_tol=0.0, fast_mode=False,
              kinks="report", projections=3, seed=0, **pytorch) -> bool:  # fmt: skip
    """Compare the gradients of `func` with central differences (f(x + eps) - f(x - eps)) / (2 eps).

    func: takes `inputs` (a tuple of tensors and other values, or one tensor) and returns a tensor or a tuple of them. The
    inputs that require grad are checked, element by element; they may also be parameters that func reaches by itself. Each
    is put back exactly. An element passes if |numeric - analytic| <= atol + rtol |numeric|.
    fast_mode: compare u . J v for a few random u, v (`projections` of them, drawn from `seed`) instead: three evaluations
    for each input, but an error in one of many elements may be missed.
    nondet_tol: by how much two calls with the same inputs may differ.
    kinks: where the slopes to both sides differ however close one looks, and the gradient lies between them (relu or abs at
    0), no derivative exists that backward could be compared with. Such a place is no failure: it is named in a KinkWarning.
    With kinks="raise" it is one; "ignore" says nothing.
    PyTorch's check_undefined_grad, check_grad_dtypes, check_backward_ad and masked are accepted and change nothing.

    Returns True if all agree, and False if not and raise_exception is False.

    Raises:
        GradcheckError: naming argument, index, expected (numeric) and received (analytic) value of the worst place; or a
            function that is not deterministic.
        DTypeError: an input that requires grad and is not float64. ArgumentError: no input requires grad.

    Example:
        >>> import tensorlite as tl
        >>> x = tl.randn(3, dtype=tl.float64, requires_grad=True)
        >>> tl.gradcheck(lambda x: (x * x).sin(), (x,))
        True
    """
    options = _Options(eps, atol, rtol, raise_exception, nondet_tol, fast_mode, kinks, projections, seed)
    _refuse("gradcheck", kinks, pytorch)
    return _check("gradcheck", func, inputs, None, options)


_Options = collections.namedtuple(
    "_Options", "eps atol rtol raise_exception nondet_tol fast_mode kinks projections seed"
)


def _refuse(op, kinks, pytorch):
    if kinks not in ("report", "raise", "ignore"):
        raise errors.ArgumentError(f"{op}: kinks must be 'report', 'raise' or 'ignore', not {kinks!r}")
    for name, value in pytorch.items():
        if name in ("check_forward_ad", "check_batched_grad", "check_batched_forward_grad"):
            if value:
                raise errors.ArgumentError(f"{op}: {name} is not supported: there is no forward mode and no vmap")
        elif name not in ("check_undefined_grad", "check_grad_dtypes", "check_backward_ad", "masked"):
            raise TypeError(f"{op}() got an unexpected keyword argument {name!r}")


def _check(op, func, inputs, names, options):
    problem = _Problem(op, func, inputs, names)
    eps, atol, rtol, raises, tolerance, fast, kinks, projections, seed = options
    try:
        centre = problem.values()
        problem.check_repeatable(centre, tolerance)
        if fast:
            wrong, bends = _projections(problem, centre, eps, atol, rtol, projections, seed)
        else:
            wrong, bends = _every_element(problem, centre, eps, atol, rtol)
        if wrong:
            worst = max(wrong, key=lambda w: w.excess)
            more = f"; {len(wrong)} places are wrong, this is the worst" if len(wrong) > 1 else ""
            raise GradcheckError(f"{op}: {worst.text}{more}")
        if bends and kinks != "ignore":
            text = f"{op}: {bends[0]}" + (f"; and {len(bends) - 1} more kinks" if len(bends) > 1 else "")
            if kinks == "raise":
                raise GradcheckError(text)
            warnings.warn(text, KinkWarning, stacklevel=3)
    except GradcheckError:
        if raises:
            raise
        return False
    return True


def gradgradcheck(func, inputs, grad_outputs=None, *, eps=1e-6, atol=1e-5, rtol=1e-3, raise_exception=True,
                  nondet_tol=0.0, fast_mode=False, kinks="report", projections=3, seed=0, **pytorch) -> bool:  # fmt: skip
    """gradcheck of the gradients of `func`: its second derivatives, and how its gradients depend on the incoming ones.

    grad_outputs: the incoming gradients, a tensor for each differentiable result; random ones (from `seed`) unless given.
    All else is as in gradcheck.
    """
    _refuse("gradgradcheck", kinks, pytorch)
    inputs = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    first = _Problem("gradgradcheck", func, inputs, None)
    if grad_outputs is None:
        draw, outs = host().xp.random.default_rng(seed + 1), first.recorded()
        grad_outputs = [_tensor(draw.standard_normal(outs[i].numel()), outs[i]) for i in first.which]
    grad_outputs = [grad_outputs] if isinstance(grad_outputs, Tensor) else list(grad_outputs)
    grad_outputs = [g.detach().clone().requires_grad_() for g in grad_outputs]
    if len(grad_outputs) != len(first.which):
        raise errors.ArgumentError(
            f"gradgradcheck: {len(grad_outputs)} grad_outputs for {len(first.which)} differentiable results"
        )
    n = len(inputs)

    def gradient(*everything):
        with enable_grad():
            outs = _floats(func(*everything[:n]))
            pairs = [(outs[i], u) for i, u in zip(first.which, everything[n:], strict=True) if outs[i].requires_grad]
            if not pairs:
                raise errors.ArgumentError("gradgradcheck: no result of the function requires grad")
            outs, us = zip(*pairs, strict=True)
            return autograd.grad(outs, [x for _, x in first.wanted], us, create_graph=True, materialize_grads=True)

    names = [first.name(i) for i in range(n)] + [f"grad_outputs[{i}]" for i in range(len(grad_outputs))]
    options = _Options(eps, atol, rtol, raise_exception, nondet_tol, fast_mode, kinks, projections, seed)
    return _check("gradgradcheck", gradient, (*inputs, *grad_outputs), names, options)


def directional_check(loss_fn, params, projections=3, eps=1e-6, seed=0) -> list:
    """For a few random directions over all `params` at once: (numeric slope, analytic slope, relative error) of loss_fn().

    loss_fn: a function without arguments that computes a scalar from `params` (float64, requiring grad). The directions
    have length 1 and are drawn from `seed`. The error is relative to the larger slope, but at least to 1e-5 of the loss,
    below which differences show rounding only. The parameters are put back exactly, and no `.grad` is changed.

    Raises:
        DTypeError: parameters that are not float64. GradcheckError: a loss that differs from call to call.

    Example:
        >>> import tensorlite as tl
        >>> w = tl.ones(4, dtype=tl.float64, requires_grad=True)
        >>> rows = directional_check(lambda: (w**3).sum(), [w])
        >>> len(rows), max(r[2] for r in rows) < 1e-6
        (3, True)
    """
    xp, params = host().xp, [p for p in params if p.requires_grad]
    for i, p in enumerate(params):
        if p.dtype != dtypes.float64:
            raise errors.DTypeError(
                f"directional_check: parameter {i} is {p.dtype.name}; finite differences need float64: use model.double()"
            )
    with enable_grad():
        grads = [_read(g) for g in autograd.grad(loss_fn(), params, materialize_grads=True)]
    before = [_read(p) for p in params]

    def at(t, direction):
        try:
            for p, x, v in zip(params, before, direction, strict=True):
                _write(p, x + t * v)
            with no_grad():
                return loss_fn().item()
        finally:
            for p, x in zip(params, before, strict=True):
                _write(p, x)

    draw, rows, nowhere = xp.random.default_rng(seed), [], [0.0 * x for x in before]
    value, again = at(0.0, nowhere), at(0.0, nowhere)
    if value != again and (value == value or again == again):
        raise GradcheckError(
            f"directional_check: the loss is not deterministic: {value!r}, then {again!r} (dropout in training mode? "
            "call model.eval())"
        )
    for _ in range(projections):
        direction = [draw.standard_normal(x.size) for x in before]
        length = xp.sqrt(sum(v @ v for v in direction))
        direction = [v / length for v in direction]
        analytic = float(sum(g @ v for g, v in zip(grads, direction, strict=True)))
        numeric = (at(eps, direction) - at(-eps, direction)) / (2 * eps)
        scale = max(abs(numeric), abs(analytic), 1e-5 * abs(value), 1e-12)
        rows.append((numeric, analytic, abs(numeric - analytic) / scale))
    return rows


def check_module(model, loss_fn, projections=3, eps=1e-6, seed=0) -> list:
    """directional_check over all parameters of a float64 copy of `model` in eval mode: loss_fn(copy) gives the loss.

    Returns its rows (numeric slope, analytic slope, relative error). The model itself is not touched.
    """
    model = copy.deepcopy(model).eval().double()
    return directional_check(lambda: loss_fn(model), list(model.parameters()), projections, eps, seed)
