"""Matrix products in every rank, and those that add to something: addmm and its kin. Sums with labels are in einsum.py."""

import itertools
import math

from tensorlite import errors
from tensorlite.backend import dtypes
from tensorlite.elementwise import as_operand
from tensorlite.op import Op
from tensorlite.ops.convert import cast
from tensorlite.ops.elementwise import add, mul
from tensorlite.ops.reduce import need_tensor
from tensorlite.ops.shape import expand, reshape, squeeze, unsqueeze
from tensorlite.tensor import Tensor, mode, path

__all__ = [
    "addbmm", "addmm", "addmv", "addr", "baddbmm", "bmm", "chain_matmul", "dot", "ger", "matmul", "mm", "mv", "outer", "vdot"
]  # fmt: skip


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


def no_out(name, out):
    """Refuse PyTorch's argument out=."""
    if out is not None:
        raise errors.ArgumentError(f"{name}: out= is not supported; assign the result, or use copy_")


def matmul(input, other) -> Tensor:
    """input @ other: vectors (dot), matrices, and batches of matrices whose leading dimensions broadcast.

    A vector on the left is a row, on the right a column; its dimension is dropped from the result.

    Raises:
        ShapeError: inner dimensions that differ, or a 0-d operand. DTypeError: different dtypes.

    Example:
        >>> import tensorlite as tl
        >>> tl.matmul(tl.tensor([[1.0, 2.0], [3.0, 4.0]]), tl.tensor([1.0, 10.0]))
        tensor([21., 43.])
    """
    return _product("matmul", input, other)


def mixed_dtypes(name, names, tensors):
    """The error for products of different dtypes: as in PyTorch they are not promoted, a large operand would be copied."""
    found = list(dict.fromkeys(x.dtype.name for x in tensors))
    fault = f"the dtypes {' and '.join(found)} differ; convert first, e.g. with .to(tl.{found[0]})"
    return errors.DTypeError(errors.compose(name, fault, errors.argument_table(names, tensors), path()))


def need_tensors(name, *values):
    """Refuse what is no tensor."""
    for x in values:
        need_tensor(name, x)


def _tensor(name, x):
    """x, or a NumPy array as a tensor: operators take those on either side."""
    if type(x).__module__ == "numpy" and getattr(x, "ndim", 0):
        return as_operand(Matmul, x)
    need_tensors(name, x)
    return x


def _product(name, input, other):
    input, other = _tensor(name, input), _tensor(name, other)
    if not input.ndim or not other.ndim:
        raise errors.ShapeError(f"{name}: both operands need at least 1 dimension; use * for numbers")
    if input.shape[-1] != other.shape[-2 if other.ndim > 1 else 0]:
        a, b = tuple(input.shape), tuple(other.shape)
        turned = "other.T" if other.ndim == 2 else "other.mT"
        hint = f"; {turned} would fit" if other.ndim > 1 and a[-1] == b[-1] else ""
        raise errors.ShapeError(
            errors.compose(
                name,
                f"inner dimensions differ: {a} has {a[-1]}, {b} expects {b[-2 if len(b) > 1 else 0]}{hint}",
                "",
                path(),
            )
        )
    if input.device is not other.device:
        raise Matmul.mixture((input, other))
    if input.array.dtype != other.array.dtype and not mode.casts:
        raise mixed_dtypes(name, ("input", "other"), (input, other))
    row, column = input.ndim == 1, other.ndim == 1
    out = Matmul.apply(unsqueeze(input, 0) if row else input, unsqueeze(other, 1) if column else other)
    if column:
        out = squeeze(out, -1)
    return squeeze(out, -1 if column else -2) if row else out


def _ranked(name, input, other, *ranks):
    """matmul of tensors of just these ranks."""
    for x, r in zip((input, other), ranks, strict=True):
        if not isinstance(x, Tensor) or x.ndim != r:
            got = errors.describe(x) if isinstance(x, Tensor) else type(x).__name__
            raise errors.ShapeError(f"{name}: expects {ranks[0]}-d and {ranks[1]}-d tensors, got {got}")
    if mode.now.casts and ranks[1] == 1:  # products with vectors keep their dtypes on the CPU, as PyTorch's list has it
        return mode.casts.call(name, _ranked, name, input, other, *ranks)
    return _product(name, input, other)


def mm(input, mat2) -> Tensor:
    """The product of two matrices: (n, k) and (k, m) give (n, m). No broadcasting; see matmul."""
    return _ranked("mm", input, mat2, 2, 2)


def bmm(input, mat2) -> Tensor:
    """The products of two batches of matrices: (b, n, k) and (b, k, m) give (b, n, m). No broadcasting; see matmul."""
    return _batched("bmm", input, mat2)


def _batched(name, x, y):
    if isinstance(x, Tensor) and isinstance(y, Tensor) and x.ndim == y.ndim == 3 and x.shape[0] != y.shape[0]:
        raise errors.ShapeError(
            f"{name}: the batches differ, {x.shape[0]} and {y.shape[0]} matrices: {errors.describe(x)} and "
            f"{errors.describe(y)}; use matmul to broadcast"
        )
    return _ranked(name, x, y, 3, 3)


def mv(input, vec) -> Tensor:
    """A matrix times a vector: (n, k) and (k,) give (n,)."""
    return _ranked("mv", input, vec, 2, 1)


def dot(input, tensor) -> Tensor:
    """The sum of products of two vectors of one length."""
    return _ranked("dot", input, tensor, 1, 1)


def vdot(input, other) -> Tensor:
    """dot: with real numbers there is nothing to conjugate."""
    return _ranked("vdot", input, other, 1, 1)


def outer(input, vec2) -> Tensor:
    """Every element of a vector times every one of another: out[i, j] = input[i] vec2[j]."""
    return _outer("outer", input, vec2)


ger = outer


def _outer(name, x, y):
    x, y = mode.casts.to(name, x, y) if mode.now.casts else (x, y)
    for v in (x, y):
        if not isinstance(v, Tensor) or v.ndim != 1:
            got = errors.describe(v) if isinstance(v, Tensor) else type(v).__name__
            raise errors.ShapeError(f"{name}: expects 1-d tensors, got {got}")
    return mul(unsqueeze(x, 1), y)


# ---------------------------------------------------------------- beta input + alpha product
def _added(name, input, product, beta, alpha):
    """beta input + alpha product. With beta 0 the input counts only by its shape: nan and inf in it do not matter."""
    try:
        fits = isinstance(input, Tensor) and expand(input, product.shape) is not None
    except errors.ShapeError:
        fits = False
    if not fits:
        raise errors.ShapeError(
            f"{name}: input {errors.describe(input)} does not broadcast to {tuple(product.shape)}, the shape of the product"
        )
    if mode.now.casts:
        input = mode.casts.one(name, input)
    if name != "addr" and input.dtype is not product.dtype:
        raise mixed_dtypes(name, ("input", "the product"), (input, product))
    dtype = dtypes.result_type(input.array, product.array)
    if dtype.category < 2 and (isinstance(beta, float) or isinstance(alpha, float)):
        raise errors.DTypeError(f"{name}: for integer tensors beta and alpha must be integers, got {beta} and {alpha}")
    out = product if alpha == 1 else mul(product, alpha)
    return cast(out, dtype) if beta == 0 else add(input if beta == 1 else mul(input, beta), out)


def addmm(input, mat1, mat2, *, beta=1, alpha=1) -> Tensor:
    """beta input + alpha (mat1 @ mat2). `input` broadcasts to the product; with beta=0 its values do not matter.

    Example:
        >>> import tensorlite as tl
        >>> tl.addmm(tl.ones(2), tl.eye(2), tl.eye(2), alpha=3)
        tensor([[4., 1.],
                [1., 4.]])
    """
    return _added("addmm", input, _ranked("addmm", mat1, mat2, 2, 2), beta, alpha)


def addmv(input, mat, vec, *, beta=1, alpha=1) -> Tensor:
    """beta input + alpha (mat @ vec)."""
    return _added("addmv", input, _ranked("addmv", mat, vec, 2, 1), beta, alpha)


def addr(input, vec1, vec2, *, beta=1, alpha=1) -> Tensor:
    """beta input + alpha outer(vec1, vec2)."""
    return _added("addr", input, _outer("addr", vec1, vec2), beta, alpha)


def baddbmm(input, batch1, batch2, *, beta=1, alpha=1) -> Tensor:
    """beta input + alpha bmm(batch1, batch2)."""
    return _added("baddbmm", input, _batched("baddbmm", batch1, batch2), beta, alpha)


def addbmm(input, batch1, batch2, *, beta=1, alpha=1) -> Tensor:
    """beta input + alpha (the sum over the batch of bmm(batch1, batch2)): one product of the batch joined to the inner
    dimension, (n, b k) and (b k, m)."""
    for x in (batch1, batch2):
        if not isinstance(x, Tensor) or x.ndim != 3:
            raise errors.ShapeError(f"addbmm: expects 3-d and 3-d tensors, got {errors.describe(x)}")
    (b, n, k), m = batch1.shape, batch2.shape[2]
    if batch2.shape[:2] != (b, k):
        raise errors.ShapeError(f"addbmm: {errors.describe(batch1)} expects a second batch of shape {(b, k, 'm')}, "
                                f"got {errors.describe(batch2)}")  # fmt: skip
    joined = _product("addbmm", reshape(batch1.permute(1, 0, 2), (n, b * k)), reshape(batch2, (b * k, m)))
    return _added("addbmm", input, joined, beta, alpha)


# ---------------------------------------------------------------- chains
def chain_matmul(*matrices, out=None) -> Tensor:
    """The product of two and more matrices, multiplied in the order that needs the fewest multiplications."""
    no_out("chain_matmul", out)
    matrices = tuple(matrices[0]) if len(matrices) == 1 and isinstance(matrices[0], (list, tuple)) else matrices
    need_tensors("chain_matmul", *matrices)
    if any(x.ndim != 2 for x in matrices):
        raise errors.ShapeError(
            f"chain_matmul: expects matrices, got {', '.join(errors.describe(x) for x in matrices)}"
        )
    return chained("chain_matmul", matrices)


def chained(name, tensors) -> Tensor:
    """The product of a chain in its cheapest order; the first and the last may be vectors.

    cost(i..j) = min over k of cost(i..k) + cost(k+1..j) + n_i n_k+1 n_j+1 (Cormen et al., Introduction to Algorithms, 15.2).
    """
    if not tensors:
        raise errors.ArgumentError(f"{name}: at least one tensor is needed")
    need_tensors(name, *tensors)
    n = len(tensors)
    if n <= 2:
        return tensors[0] if n == 1 else _product(name, *tensors)
    first, last = tensors[0].ndim == 1, tensors[-1].ndim == 1
    tensors = [unsqueeze(tensors[0], 0) if first else tensors[0], *tensors[1:-1],
               unsqueeze(tensors[-1], 1) if last else tensors[-1]]  # fmt: skip
    for x, y in itertools.pairwise(tensors):
        if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[0]:
            raise errors.ShapeError(f"{name}: {errors.describe(x)} and {errors.describe(y)} cannot be multiplied")
    sizes = [x.shape[0] for x in tensors] + [tensors[-1].shape[1]]
    cost, cut = {(i, i): 0 for i in range(n)}, {}
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            cost[i, j], cut[i, j] = min(
                (cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j)
            )

    def multiplied(i, j):
        return tensors[i] if i == j else _product(name, multiplied(i, cut[i, j]), multiplied(cut[i, j] + 1, j))

    out = multiplied(0, n - 1)
    if last:
        out = squeeze(out, -1)
    return squeeze(out, 0) if first else out
