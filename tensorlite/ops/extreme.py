"""Maxima and minima, and where they are. nan is larger and smaller than everything: where there is one it is the result."""

import collections

from tensorlite.op import Op
from tensorlite.ops import dims
from tensorlite.ops.elementwise import maximum, minimum
from tensorlite.ops.index import TakeAlong
from tensorlite.ops.reduce import axis, line, need_elements, need_tensor, shared
from tensorlite.tensor import Tensor

__all__ = ["amax", "amin", "aminmax", "argmax", "argmin", "max", "min"]


def _ties(m, g, x, out, dim):
    """The gradient of an extreme, shared evenly among the elements that reach it."""
    k = dims.kept(x.shape, dim)
    top = m.reshape(out, shape=k)
    return shared(m, g, (x == top) | ((x != x) & (top != top)), k, dim)


class Amax(Op):
    """Ties share the gradient evenly, as in torch.amax."""

    name, formula, local = "amax", "max of x over dim", "1 at the maximum (ties share)"
    ordered = True

    def forward(b, x, *, dim, keepdim):
        return x.max(axis=dim, keepdims=keepdim)

    rules = lambda m, g, x, out, dim: _ties(m, g, x, out, dim)  # noqa: E731


class Amin(Op):
    """Ties share the gradient evenly, as in torch.amin."""

    name, formula, local = "amin", "min of x over dim", "1 at the minimum (ties share)"
    ordered = True

    def forward(b, x, *, dim, keepdim):
        return x.min(axis=dim, keepdims=keepdim)

    rules = lambda m, g, x, out, dim: _ties(m, g, x, out, dim)  # noqa: E731


class Argmax(Op):
    name, formula = "argmax", "index of the maximum of x along dim"
    ordered = True

    def forward(b, x, *, dim, keepdim):
        y = b.xp.argmax(x, axis=dim)
        return b.xp.expand_dims(y, dim) if keepdim else y


class Argmin(Op):
    name, formula = "argmin", "index of the minimum of x along dim"
    ordered = True

    def forward(b, x, *, dim, keepdim):
        y = b.xp.argmin(x, axis=dim)
        return b.xp.expand_dims(y, dim) if keepdim else y


def amax(input, dim=(), keepdim=False, **kw) -> Tensor:
    """The maximum over `dim` (an int, a tuple, or () for all); ties share the gradient evenly."""
    dim, keepdim = axis(kw, dim, keepdim)
    need_tensor("amax", input)
    dim = dims.several("amax", dim, input.ndim)
    need_elements("amax", input, dim)
    return Amax.apply(input, dim=dim, keepdim=keepdim)


def amin(input, dim=(), keepdim=False, **kw) -> Tensor:
    """The minimum over `dim` (an int, a tuple, or () for all); ties share the gradient evenly."""
    dim, keepdim = axis(kw, dim, keepdim)
    need_tensor("amin", input)
    dim = dims.several("amin", dim, input.ndim)
    need_elements("amin", input, dim)
    return Amin.apply(input, dim=dim, keepdim=keepdim)


AMinMax = collections.namedtuple("aminmax", "min max")
MinMax = {name: collections.namedtuple(name, "values indices") for name in ("max", "min")}


def aminmax(input, *, dim=None, keepdim=False, **kw):
    """(min, max) of all elements, or along one `dim`; ties share the gradient evenly."""
    dim, keepdim = axis(kw, dim, keepdim)
    need_tensor("aminmax", input)
    over = () if dim is None else (dims.one("aminmax", dim, input.ndim),)
    need_elements("aminmax", input, dims.several("aminmax", over, input.ndim))
    return AMinMax(amin(input, over, keepdim), amax(input, over, keepdim))


def values_at(result, input, indices, dim, keepdim):
    """(values, indices) of `result`, a named tuple: the elements of input at `indices` (dim kept) along dim, through which
    the gradient goes back; `dim` is taken away unless keepdim."""
    x = input if input.ndim else input.reshape(1)
    values = TakeAlong.apply(x, indices, dim=dim)
    if not keepdim or not input.ndim:
        values, indices = values.squeeze(dim), indices.squeeze(dim)
    return result(values, indices)


def _extreme(name, elementwise, full, op, input, dim, keepdim, kw):
    dim = kw.pop("other", dim)
    dim, keepdim = axis(kw, dim, keepdim)
    need_tensor(name, input)
    if isinstance(dim, Tensor):
        return elementwise(input, dim)
    if dim is None:
        need_elements(name, input, range(input.ndim))
        return full(input)
    x, dim = line(name, input, dim)
    need_elements(name, x, (dim,))
    return values_at(MinMax[name], input, op.apply(x.detach(), dim=dim, keepdim=True), dim, keepdim)


def max(input, dim=None, keepdim=False, **kw):
    """The maximum of all; or along `dim` a pair (values, indices), the gradient going to the index returned, the first
    of several; or, with a tensor as second argument, the elementwise maximum.

    Example:
        >>> import tensorlite as tl
        >>> tl.tensor([[1.0, 4.0], [3.0, 2.0]]).max(dim=1)
        max(values=tensor([4., 3.]), indices=tensor([1, 0]))
    """
    return _extreme("max", maximum, amax, Argmax, input, dim, keepdim, kw)


def min(input, dim=None, keepdim=False, **kw):
    """The minimum; forms as of max."""
    return _extreme("min", minimum, amin, Argmin, input, dim, keepdim, kw)


def _arg(op, input, dim, keepdim):
    need_tensor(op.name, input)
    if dim is None:
        need_elements(op.name, input, range(input.ndim))
        return op.apply(input.reshape(-1), dim=0, keepdim=False).reshape((1,) * input.ndim if keepdim else ())
    x, dim = line(op.name, input, dim)
    need_elements(op.name, x, (dim,))
    return op.apply(x, dim=dim, keepdim=keepdim and input.ndim > 0)


def argmax(input, dim=None, keepdim=False, **kw) -> Tensor:
    """The index of the (first) maximum along dim, or in the flattened tensor."""
    return _arg(Argmax, input, *axis(kw, dim, keepdim))


def argmin(input, dim=None, keepdim=False, **kw) -> Tensor:
    """The index of the (first) minimum along dim, or in the flattened tensor."""
    return _arg(Argmin, input, *axis(kw, dim, keepdim))
