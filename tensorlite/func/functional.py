"""tl.autograd.functional: Jacobians, Hessians and their products with vectors, of a function at given inputs.

PyTorch's older interface to what tl.func does (transforms.py). Everywhere:

func: a function of tensors that returns a tensor or a tuple of tensors; inputs: a tensor or a tuple of tensors.
create_graph: the results can be differentiated with respect to the inputs (and whatever else requires grad); else they are
detached. An input that does not require grad counts as one that does (PyTorch gives zeros for it under create_graph).
strict: an output that does not depend on an input is an error (GraphError) instead of zeros.
"""

from tensorlite import autograd
from tensorlite.errors import ArgumentError, DTypeError, GraphError, ShapeError, describe
from tensorlite.func.batched import bottom
from tensorlite.func.transforms import Linear, Run, basis, fitting, ones_like, pull, recording, zeros
from tensorlite.func.vmap import vmap
from tensorlite.tensor import Tensor

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]


class _Problem(Run):
    """One run of func on the inputs, with what the functions below need of it."""

    def __init__(self, name, func, inputs, create_graph, strict):
        self.alone = isinstance(inputs, Tensor)
        if not self.alone and not isinstance(inputs, (tuple, list)):
            raise DTypeError(f"{name}: inputs must be a tensor or a tuple of tensors, not {describe(inputs)}")
        given = (inputs,) if self.alone else tuple(inputs)
        super().__init__(name, func, given, tuple(range(len(given))), {}, False, outer=create_graph)
        self.create_graph, self.strict = create_graph, strict
        if not isinstance(self.out, (Tensor, tuple)) or not all(isinstance(o, Tensor) for o in self.outs):
            raise DTypeError(
                f"{name}: the function must return a tensor or a tuple of tensors, it returned {describe(self.out)}"
            )
        if strict:
            self.demand(self.outs, "output {} of the function")

    def demand(self, outs, what):
        """strict: every one of outs depends on every input."""
        for i, o in enumerate(outs):
            node = bottom(o).node
            seen = autograd.reachable([node])[1] if node is not None else ()
            for j, x in enumerate(self.inputs):
                if bottom(x).node not in seen:
                    raise GraphError(
                        f"{self.name}: {what.format(i)} does not depend on input {j}, which strict=True does not allow"
                    )

    def scalar(self):
        """The only element of the output. Raises ShapeError."""
        if not isinstance(self.out, Tensor) or self.out.shape.numel() != 1:
            raise ShapeError(
                f"{self.name}: the function must return a tensor of one element, it returned {describe(self.out)}"
            )
        return self.out

    def vector(self, v, like, whole, what):
        """v as a list of tensors like those of `like`; None stands for 1 where there is one element."""
        if v is None:
            if len(like) != 1 or like[0].shape.numel() != 1:
                raise ArgumentError(f"{self.name}: v may only be left out where {what} is a single element")
            return [ones_like(like[0]).detach()]
        v = [v] if isinstance(v, Tensor) else list(v)
        if len(v) != len(like):
            raise ArgumentError(f"{self.name}: {len(like)} tensors of v are needed, one for each {what}, got {len(v)}")
        fitting(self.name, "v", v, like)
        return [t if self.create_graph else t.detach() for t in v]

    def pulled(self, outs, cotangents, strictly=True):
        """J^T c of `outs`; under strict and create_graph it must depend on the inputs itself."""
        with recording():
            grads = pull(outs, self.inputs, cotangents, self.create_graph, True)
        if strictly and self.strict and self.create_graph:
            self.demand(grads, "the Jacobian of input {}")
        return grads

    def given(self, values):
        """One value for each input: alone if the input was, detached unless create_graph."""
        values = tuple([self.kept(v) for v in values])
        return values[0] if self.alone else values

    def kept(self, t):
        """A result for the caller."""
        return t if self.create_graph else t.detach()

    def output(self):
        """The output for the caller."""
        return self.kept(self.out) if isinstance(self.out, Tensor) else tuple([self.kept(o) for o in self.outs])

    def gradient(self):
        """The gradient of the scalar output, recorded."""
        out = self.scalar()
        with recording():
            return pull([out], self.inputs, [ones_like(out)], True, True)


def vjp(func, inputs, v=None, create_graph=False, strict=False):
    """(func(*inputs), v^T J): v has the shapes of the output, and may be left out for a single element.

    Example:
        >>> import tensorlite as tl
        >>> tl.autograd.functional.vjp(lambda x: x**2, tl.tensor([1.0, 2.0]), tl.tensor([1.0, 10.0]))
        (tensor([1., 4.]), tensor([ 2., 40.]))
    """
    p = _Problem("vjp", func, inputs, create_graph, strict)
    v = p.vector(v, p.outs, p.out, "output")
    return p.output(), p.given(p.pulled(p.outs, v))


def jvp(func, inputs, v=None, create_graph=False, strict=False):
    """(func(*inputs), J v): v has the shapes of the inputs. By two vjps, see tl.func.jvp."""
    p = _Problem("jvp", func, inputs, create_graph, strict)
    v = p.vector(v, p.inputs, None, "input")
    with recording():
        found = _columns(p)(v)
    if strict and create_graph:
        p.demand(found, "the jvp of output {}")
    found = tuple([p.kept(t) for t in found])
    return p.output(), found[0] if isinstance(p.out, Tensor) else found


def _columns(p):
    """v -> J v, recorded if create_graph."""
    linear = Linear(p)
    return lambda v: pull(linear.gs, linear.us, v, p.create_graph, True)


def jacobian(func, inputs, create_graph=False, strict=False, vectorize=False, strategy="reverse-mode"):
    """The Jacobian: shape (*output, *input); for tuples of inputs, outputs or both a tuple, jacobian[i][j] of output i and
    input j.

    One walk for each row; vectorize=True does all rows at once by vmap. strategy="forward-mode" goes by columns instead
    (with vectorize=True, as in PyTorch).

    Example:
        >>> import tensorlite as tl
        >>> tl.autograd.functional.jacobian(lambda x: x**2, tl.tensor([1.0, 2.0]))
        tensor([[2., 0.],
                [0., 4.]])
    """
    if strategy not in ("reverse-mode", "forward-mode"):
        raise ArgumentError(f"jacobian: strategy must be 'reverse-mode' or 'forward-mode', not {strategy!r}")
    if strategy == "forward-mode" and (not vectorize or create_graph):
        raise ArgumentError("jacobian: strategy='forward-mode' needs vectorize=True and create_graph=False")
    if vectorize and strict:
        raise ArgumentError("jacobian: strict=True and vectorize=True do not go together, as in PyTorch")
    p = _Problem("jacobian", func, inputs, create_graph, strict)
    with recording():
        blocks = _by_columns(p) if strategy == "forward-mode" else [_rows(p, i, vectorize) for i in range(len(p.outs))]
    jac = tuple(
        [
            p.given([g.reshape(*o.shape, *x.shape) for g, x in zip(row, p.inputs, strict=True)])
            for o, row in zip(p.outs, blocks, strict=True)
        ]
    )
    return jac[0] if isinstance(p.out, Tensor) else jac


def _rows(p, i, vectorize):
    """For each input the gradients of the elements of output i: (numel, *input)."""
    o = p.outs[i]
    n = o.shape.numel()
    if not n:
        return [zeros((0, *x.shape), x) for x in p.inputs]
    if vectorize:
        return vmap(lambda c: tuple(pull([o], p.inputs, [c], p.create_graph, True)))(basis(o))
    from tensorlite.ops.shape import stack

    rows = [p.pulled([o], [c], strictly=k == 0) for k, c in enumerate(basis(o))]
    return [stack(column) for column in zip(*rows, strict=True)]


def _by_columns(p):
    """For each output, for each input: the block of the Jacobian."""
    column, parts = _columns(p), []
    for i, x in enumerate(p.inputs):
        if not x.shape.numel():
            parts.append([zeros((*o.shape, *x.shape), o) for o in p.outs])
            continue

        def one(v, i=i):
            return tuple(column([v if j == i else zeros(q.shape, q) for j, q in enumerate(p.inputs)]))

        found = vmap(one)(basis(x))
        parts.append([c.movedim(0, -1) for c in found])
    return [[part[k] for part in parts] for k in range(len(p.outs))]


def hessian(func, inputs, create_graph=False, strict=False, vectorize=False, outer_jacobian_strategy="reverse-mode"):
    """The second derivative of a function of one element: shape (*input, *input); hessian[i][j] for a tuple of inputs.

    Example:
        >>> import tensorlite as tl
        >>> tl.autograd.functional.hessian(lambda x: (x**3).sum(), tl.tensor([1.0, 2.0]))
        tensor([[ 6.,  0.],
                [ 0., 12.]])
    """
    alone = isinstance(inputs, Tensor)

    def gradient(*xs):
        p = _Problem("hessian", func, xs, True, strict)
        out = p.scalar()
        with recording():
            grads = pull([out], p.inputs, [ones_like(out)], True, True)
        if strict:
            p.demand(grads, "the gradient of input {}")
        return grads[0] if alone else tuple(grads)

    return jacobian(gradient, inputs, create_graph, strict, vectorize, outer_jacobian_strategy)


def vhp(func, inputs, v=None, create_graph=False, strict=False):
    """(func(*inputs), v^T H) for a function of one element: v has the shapes of the inputs."""
    return _hessian_product("vhp", func, inputs, v, create_graph, strict)


def hvp(func, inputs, v=None, create_graph=False, strict=False):
    """(func(*inputs), H v). H is symmetric, so this is vhp; PyTorch takes a dearer way to the same value."""
    return _hessian_product("hvp", func, inputs, v, create_graph, strict)


def _hessian_product(name, func, inputs, v, create_graph, strict):
    p = _Problem(name, func, inputs, create_graph, strict)
    grads = p.gradient()
    if strict:
        p.demand(grads, "the gradient of input {}")
    v = p.vector(v, p.inputs, None, "input")
    return p.output(), p.given(p.pulled(grads, v))
