"""Matrix products in every rank."""

import math

from tensorlite import errors
from tensorlite.backend import dtypes
from tensorlite.op import Op
from tensorlite.ops.convert import cast
from tensorlite.tensor import Tensor, path

__all__ = ["bmm", "dot", "matmul", "mm", "mv"]


def _left(m, g, y):
    return m.matmul(g, m.permute(y, dims=swapped(len(y.shape))))


def _right(m, g, x, y):
    if (
        len(y.shape) == 2 and len(x.shape) > 2
    ):  # one matrix for the whole batch: one product, not a batch that is summed
        rows = math.prod(x.shape[:-1])
        x = m.reshape(x, shape=(rows, x.shape[-1]))
        g = m.reshape(g, shape=(rows, g.shape[-1]))
    return m.matmul(m.permute(x, dims=swapped(len(x.shape))), g)


class Matmul(Op):
    """At least two dimensions each; the leading ones broadcast."""

    name, formula, local = "matmul", "x @ y", ("@ y.T", "x.T @")

    def forward(b, x, y):
        return b.matmul(x, y)

    rules = (_left, _right)


def swapped(ndim):
    """The order of dimensions with the last two swapped."""
    return (*range(ndim - 2), ndim - 1, ndim - 2)


def matmul(input, other) -> Tensor:
    """input @ other: vectors (dot), matrices, and batches of matrices whose leading dimensions broadcast.

    A vector on the left is a row, on the right a column; its dimension is dropped from the result.

    Raises:
        ShapeError: inner dimensions that differ, or a 0-d operand.
    """
    for x in (input, other):
        if not isinstance(x, Tensor):
            raise errors.DTypeError(f"matmul: a Tensor is needed, not {type(x).__name__}")
    if not input.ndim or not other.ndim:
        raise errors.ShapeError("matmul: both operands need at least 1 dimension; use * for numbers")
    if input.shape[-1] != other.shape[-2 if other.ndim > 1 else 0]:
        a, b = tuple(input.shape), tuple(other.shape)
        hint = "; other.T would fit" if other.ndim > 1 and a[-1] == b[-1] else ""
        raise errors.ShapeError(
            errors.compose(
                "matmul",
                f"inner dimensions differ: {a} has {a[-1]}, {b} expects {b[-2 if len(b) > 1 else 0]}{hint}",
                "",
                path(),
            )
        )
    if input.device is not other.device:
        raise Matmul.mixture((input, other))
    if input.array.dtype != other.array.dtype:
        dtype = dtypes.result_type(input.array, other.array)
        input, other = cast(input, dtype), cast(other, dtype)
    row, column = input.ndim == 1, other.ndim == 1
    out = Matmul.apply(input.unsqueeze(0) if row else input, other.unsqueeze(1) if column else other)
    if column:
        out = out.squeeze(-1)
    return out.squeeze(-1 if column else -2) if row else out


def _ranked(name, *ranks):
    def product(input, other):
        for x, r in zip((input, other), ranks, strict=True):
            if x.ndim != r:
                raise errors.ShapeError(
                    f"{name}: expects {ranks[0]}-d and {ranks[1]}-d tensors, got {errors.describe(x)}"
                )
        return matmul(input, other)

    product.__name__ = product.__qualname__ = name
    product.__doc__ = f"matmul of a {ranks[0]}-d and a {ranks[1]}-d tensor, others refused."
    return product


mm, bmm, mv, dot = _ranked("mm", 2, 2), _ranked("bmm", 3, 3), _ranked("mv", 2, 1), _ranked("dot", 1, 1)
