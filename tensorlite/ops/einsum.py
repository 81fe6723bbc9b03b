"""Sums of products written with labels: einsum, and what is one such sum (tensordot, inner, trace)."""

import math
import string

from tensorlite import errors
from tensorlite.backend import dtypes
from tensorlite.op import Op
from tensorlite.ops import dims
from tensorlite.ops.convert import cast
from tensorlite.ops.matmul import mixed_dtypes, need_tensors, no_out
from tensorlite.ops.shape import reshape
from tensorlite.tensor import Tensor, mode, path

__all__ = ["einsum", "inner", "tensordot", "trace"]

LETTERS = string.ascii_uppercase + string.ascii_lowercase  # the label of number i in a sublist is LETTERS[i]


class Einsum(Op):
    """One or two tensors; a label stands for one size. The output may, other than the user's, repeat a label (zeros off
    the diagonal) and have labels of its own (the result is repeated to `sizes`): so each derivative is an einsum again."""

    name, formula = "einsum", "sum of x y, by labels"
    local = ("einsum of g and y, to the labels of x", "einsum of g and x, to the labels of y")

    def forward(b, x, y, *, equation, sizes):
        left, right, out = _parts(equation)
        x, left = _diagonals(b.as_array(x), left)
        if y is None:
            z, labels = _summed(x, left, out)
            z = z if z.ndim < x.ndim else z.copy()
        else:
            y, right = _diagonals(b.as_array(y), right)
            (x, left), (y, right) = _summed(x, left, out + right), _summed(y, right, out + left)
            z, labels = _product(b, x, y, left, right, out)
        return _laid_out(b.xp, b.as_array(z), labels, out, sizes)

    def _left(m, g, y, equation, sizes):
        left, right, out = _parts(equation)
        if y is None:
            return m.einsum(g, None, equation=f"{out}->{left}", sizes=sizes)
        return m.einsum(g, y, equation=f"{out},{right}->{left}", sizes=sizes)

    def _right(m, g, x, equation, sizes):
        left, right, out = _parts(equation)
        return m.einsum(g, x, equation=f"{out},{left}->{right}", sizes=sizes)

    rules = (_left, _right)


def _parts(equation):
    inputs, _, out = equation.partition("->")
    left, _, right = inputs.partition(",")
    return left, right, out


def _diagonals(x, labels):
    """x with each label once: where a label stands twice, the diagonal."""
    for c in dict.fromkeys(labels):
        while labels.count(c) > 1:
            i = labels.index(c)
            j = labels.index(c, i + 1)
            x = x.diagonal(0, i, j)  # the diagonal becomes the last dimension
            labels = labels[:i] + labels[i + 1 : j] + labels[j + 1 :] + c
    return x, labels


def _summed(x, labels, keep):
    """x summed over the labels that nobody needs."""
    gone = tuple(i for i, c in enumerate(labels) if c not in keep)
    return (x.sum(axis=gone, dtype=x.dtype), "".join(c for c in labels if c in keep)) if gone else (x, labels)


def _product(b, x, y, left, right, out):
    """The two multiplied, and summed over the labels that both have and the output lacks: one (batched) matmul."""
    batch = [c for c in left if c in right and c in out]
    inner = [c for c in left if c in right and c not in out]
    rows, columns = [c for c in left if c not in right], [c for c in right if c not in left]
    size = {**dict(zip(left, x.shape, strict=True)), **dict(zip(right, y.shape, strict=True))}
    x = x.transpose([left.index(c) for c in batch + rows + inner])
    y = y.transpose([right.index(c) for c in batch + inner + columns])
    whole = [size[c] for c in batch + rows + columns]
    if inner:
        B, M, K, N = (math.prod(size[c] for c in part) for part in (batch, rows, inner, columns))
        z = b.matmul(x.reshape(B, M, K), y.reshape(B, K, N)).reshape(whole)
    else:  # nothing to sum
        z = x.reshape(x.shape + (1,) * len(columns)) * y.reshape(
            y.shape[: len(batch)] + (1,) * len(rows) + y.shape[len(batch) :]
        )
    return z, "".join(batch + rows + columns)


def _laid_out(xp, z, labels, out, sizes):
    """z with its dimensions in the order of `out`; repeated to new labels, spread onto the diagonal of repeated ones."""
    once = list(dict.fromkeys(out))
    z = z.transpose([labels.index(c) for c in once if c in labels])
    if len(once) > len(labels):
        z = z.reshape([sizes[c] if c in labels else 1 for c in once])
        z = xp.broadcast_to(z, [sizes[c] for c in once]).copy()
    if len(once) == len(out):
        return z
    for c in once:
        k = out.count(c)
        if k > 1:
            i, n = once.index(c), sizes[c]
            rest = z.shape[:i] + z.shape[i + 1 :]
            spread = xp.zeros((n,) * k + rest, dtype=z.dtype)
            spread[(xp.arange(n),) * k] = xp.moveaxis(z, i, 0)
            z, once = spread, [c] * k + once[:i] + once[i + 1 :]
    order, free = [], list(range(len(once)))
    for c in out:
        order.append(next(i for i in free if once[i] == c))
        free.remove(order[-1])
    return z.transpose(order)


# ---------------------------------------------------------------- the public function
def einsum(*args) -> Tensor:
    """Multiply the operands' elements wherever their labels agree, and sum over the labels that the output lacks.

    einsum("ij,jk->ik", a, b) is a @ b; "ii->i" the diagonal, "ii" the trace, "ij->ji" the transpose, "bij,bjk->bik" a batched
    product. `...` stands for any number of dimensions, which broadcast; spaces are ignored; dimensions of size 1 broadcast
    against labels of any size. Without `->` the output has `...` and then, in alphabetical order, the labels that appear
    once. Sublist form: einsum(a, [0, 1], b, [1, 2], [0, 2]), with Ellipsis for `...`.

    Three and more operands are multiplied in pairs, the pair with the smallest result first, so the graph shows a chain
    of einsum nodes of two. (PyTorch without opt_einsum goes left to right: the same value up to rounding.)

    Raises:
        ArgumentError: an equation that cannot be read, or has not a part for each operand.
        ShapeError: labels that do not match the dimensions or have different sizes. DTypeError: different dtypes.

    Example:
        >>> import tensorlite as tl
        >>> a = tl.tensor([[1.0, 2.0], [3.0, 4.0]])
        >>> tl.einsum("ij,ij->i", a, a)
        tensor([ 5., 25.])
    """
    inputs, output, operands = _arguments(args)
    wrong = next((x for x in operands if not isinstance(x, Tensor)), None)
    if wrong is not None:
        raise errors.DTypeError(f"einsum: the operands must be Tensors, got {type(wrong).__name__}")
    said = ",".join(inputs) + ("" if output is None else f"->{output}")
    if len(inputs) != len(operands):
        raise _fault(f"{len(operands)} operands for an equation of {len(inputs)}", said, operands)
    labels, out = _named(inputs, output, operands, said)
    alone = [c for part in labels for c in set(part) - set(out) if sum(c in other for other in labels) == 1]
    if alone and all(x.dtype.category < 2 for x in operands):
        operands = [cast(x, dtypes.int64) for x in operands]  # one tensor is summed, and the sum of integers is int64
    return contract("einsum", operands, labels, out)


def _arguments(args):
    """(labels of each input, of the output or None, operands) from any of the forms."""
    if not args:
        raise errors.ArgumentError('einsum: an equation and operands are needed, e.g. einsum("ij,jk->ik", a, b)')
    if isinstance(args[0], str):
        equation, operands = args[0], args[1:]
        if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
            operands = tuple(operands[0])
        if equation.count("->") > 1:
            raise errors.ArgumentError(f"einsum: more than one '->' in {equation!r}")
        inputs, arrow, output = equation.replace(" ", "").partition("->")
        inputs = inputs.split(",")
        for part in (*inputs, output):
            rest = part.replace("...", "", 1)
            if bad := next((c for c in rest if c not in LETTERS), ""):
                what = "'...' may stand once in each part" if bad == "." else "labels are letters a-z, A-Z"
                raise errors.ArgumentError(f"einsum: {bad!r} in {equation!r}: {what}")
        return inputs, output if arrow else None, operands
    pairs, last = (args, None) if len(args) % 2 == 0 else (args[:-1], args[-1])
    inputs = [_letters(s) for s in pairs[1::2]]
    return inputs, None if last is None else _letters(last), pairs[::2]


def _letters(sublist):
    """A sublist as labels: [0, 2, ...] is "AC..."."""
    if not isinstance(sublist, (list, tuple)):
        raise errors.ArgumentError(
            f"einsum: a list of labels must follow each operand, got {type(sublist).__name__}; "
            "the other form begins with the equation"
        )
    text = ""
    for s in sublist:
        if s is not Ellipsis and not (hasattr(s, "__index__") and 0 <= s < len(LETTERS)):
            raise errors.ArgumentError(f"einsum: a label in a sublist is a number 0 to 51 or ..., got {s!r}")
        text += "..." if s is Ellipsis else LETTERS[s]
    return text


def _fault(text, said, operands, kind=errors.ArgumentError):
    table = errors.argument_table([f"operand {i}" for i in range(len(operands))], operands)
    return kind(errors.compose("einsum", f"{text} in {said!r}", table, path()))


def _named(inputs, output, operands, said):
    """The labels of each operand and of the output with `...` written out; checked."""
    used = {c for part in (*inputs, output or "") for c in part}
    spare = (c for c in (*LETTERS[25::-1], *map(chr, range(0xC0, 0x250))) if c not in used)
    covered = []
    for i, (part, x) in enumerate(zip(inputs, operands, strict=True)):
        n = len(part.replace("...", ""))
        covered.append(x.ndim - n if "..." in part else 0)
        if covered[-1] < 0 or ("..." not in part and n != x.ndim):
            raise _fault(
                f"operand {i} has {x.ndim} dimensions, but {part!r} names {n}", said, operands, errors.ShapeError
            )
    dots = "".join(next(spare) for _ in range(max(covered)))
    labels = [p.replace("...", dots[len(dots) - n :]) for p, n in zip(inputs, covered, strict=True)]
    every = "".join(labels)
    if output is None:
        return labels, dots + "".join(sorted(c for c in set(every) - set(dots) if every.count(c) == 1))
    out = output.replace("...", dots)
    for c in out:
        if out.count(c) > 1:
            raise _fault(f"label {c!r} appears twice in the output", said, operands)
        if c not in every:
            raise _fault(f"label {c!r} of the output is in no input", said, operands)
    return labels, out


def contract(name, operands, labels, out) -> Tensor:
    """The sum of products of tensors with known labels: in pairs, by Einsum. Sizes of 1 broadcast.

    Raises:
        ShapeError: a label with different sizes.
    """
    sizes = {}
    for i, (part, x) in enumerate(zip(labels, operands, strict=True)):
        seen = {}
        for c, n in zip(part, x.shape, strict=True):
            if seen.setdefault(c, n) != n or (n not in (1, sizes.get(c, n)) and sizes[c] != 1):
                other = seen[c] if seen[c] != n else sizes[c]
                table = errors.argument_table([f"operand {k}" for k in range(len(operands))], operands)
                text = f"label {c!r} has size {n} in operand {i}, but {other} before"
                raise errors.ShapeError(errors.compose(name, text, table, path()))
            if sizes.get(c, 1) == 1:
                sizes[c] = n
    if any(x.array.dtype != operands[0].array.dtype for x in operands) and not mode.casts:
        raise mixed_dtypes(name, [f"operand {i}" for i in range(len(operands))], operands)
    work = []
    for part, x in zip(labels, operands, strict=True):
        small = {c for c, n in zip(part, x.shape, strict=True) if n != sizes[c]}
        if small:  # a dimension that broadcasts is left away
            x = reshape(x, [n for c, n in zip(part, x.shape, strict=True) if c not in small])
            part = "".join(c for c in part if c not in small)
        work.append((part, x))
    while len(work) > 2:
        i, j = _cheapest([p for p, _ in work], out, sizes)
        (right, y), (left, x) = work.pop(j), work.pop(i)
        wanted = set(out).union(*(p for p, _ in work))
        middle = "".join(c for c in dict.fromkeys(left + right) if c in wanted)
        work.insert(i, (middle, Einsum.apply(x, y, equation=f"{left},{right}->{middle}", sizes=sizes)))
    parts, tensors = zip(*work, strict=True)
    return Einsum.apply(*tensors, *(None,) * (2 - len(tensors)), equation=f"{','.join(parts)}->{out}", sizes=sizes)


def _cheapest(labels, out, sizes):
    """The pair whose product is smallest against what it replaces; the first of equals."""
    best, place = math.inf, (0, 1)
    size = lambda part: math.prod(sizes[c] for c in set(part))  # noqa: E731
    for i in range(len(labels)):
        for j in range(i + 1, len(labels)):
            others = set(out).union(*(p for k, p in enumerate(labels) if k not in (i, j)))
            cost = size((set(labels[i]) | set(labels[j])) & others) - size(labels[i]) - size(labels[j])
            if cost < best:
                best, place = cost, (i, j)
    return place


# ---------------------------------------------------------------- one such sum each
def tensordot(a, b, dims=2, out=None) -> Tensor:
    """The sum of products over some dimensions of a and b; the result has the others of a, then those of b.

    dims: a number n (the last n of a with the first n of b), or two lists of dimensions that belong together.
    """
    no_out("tensordot", out)
    need_tensors("tensordot", a, b)
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if hasattr(dims, "__index__"):
        if not 0 <= dims <= min(a.ndim, b.ndim):
            raise errors.ArgumentError(
                f"tensordot: dims={dims} must be 0 to {min(a.ndim, b.ndim)}, the number of dimensions both have: "
                f"a {errors.describe(a)}, b {errors.describe(b)}"
            )
        pairs = list(zip(range(a.ndim - dims, a.ndim), range(dims), strict=True))
    else:
        first, second = (_dims(d, x) for d, x in zip(dims, (a, b), strict=True))
        if len(first) != len(second):
            raise errors.ArgumentError(f"tensordot: {len(first)} dimensions of a, but {len(second)} of b")
        pairs = list(zip(first, second, strict=True))
    for i, j in pairs:
        if a.shape[i] != b.shape[j] and 1 not in (a.shape[i], b.shape[j]):
            table = errors.argument_table(("a", "b"), (a, b))
            fault = f"dimension {i} of a has size {a.shape[i]}, dimension {j} of b has {b.shape[j]}"
            raise errors.ShapeError(errors.compose("tensordot", fault, table, path()))
    left, right = list(LETTERS[26 : 26 + a.ndim]), list(LETTERS[: b.ndim])
    for i, j in pairs:
        right[j] = left[i]
    joined = {left[i] for i, _ in pairs}
    free = [c for c in left + right if c not in joined]
    return contract("tensordot", (a, b), ("".join(left), "".join(right)), "".join(free))


def _dims(d, x):
    return [dims.one("tensordot", v, x.ndim) for v in (d if isinstance(d, (list, tuple)) else [d])]


def inner(input, other) -> Tensor:
    """The sum of products over the last dimension of both; with a 0-d operand the product."""
    need_tensors("inner", input, other)
    if not input.ndim or not other.ndim:
        return input * other
    if input.shape[-1] != other.shape[-1]:
        table = errors.argument_table(("input", "other"), (input, other))
        raise errors.ShapeError(errors.compose("inner", "the last dimensions differ", table, path()))
    if mode.now.casts and input.ndim == other.ndim == 1:
        return mode.casts.call("dot", inner, input, other)
    left, right = LETTERS[26 : 25 + input.ndim], LETTERS[: other.ndim - 1]
    return contract("inner", (input, other), (left + "z", right + "z"), left + right)


def trace(input) -> Tensor:
    """The sum of the diagonal of a matrix; integers are summed as int64."""
    need_tensors("trace", input)
    if input.ndim != 2:
        raise errors.ShapeError(f"trace: a matrix is needed, got {errors.describe(input)}")
    if input.dtype.category < 2:
        input = cast(input, dtypes.int64)
    if mode.now.casts:
        return mode.casts.call("trace", trace, input)
    n = min(input.shape)
    square = input if input.shape[0] == input.shape[1] else input[:n, :n]
    return contract("trace", (square,), ("ii",), "")
