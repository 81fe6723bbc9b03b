"""Padding and cropping: F.pad in all its modes. `padding` counts from the last dimension: (left, right, top, bottom, ...)."""

from tensorlite import errors
from tensorlite.op import Op
from tensorlite.ops.convert import clone, number
from tensorlite.ops.dims import shape_of
from tensorlite.ops.pieces import narrow
from tensorlite.ops.shape import cat, expand, flip
from tensorlite.tensor import Tensor, here, mode as now

__all__ = ["constant_pad_nd"]

MODES = ("constant", "reflect", "replicate", "circular")
NAMES = {"reflect": "reflection", "replicate": "replication"}  # ..._pad1d and so on: what autocast knows them by


class Pad(Op):
    """`pads`: one pair (before, after) for each dimension; negative numbers crop."""

    name, formula, local = "pad", "x with constant edges", "g without the edges"

    def forward(b, x, *, pads, value):
        out = b.xp.full([n + p + q for n, (p, q) in zip(x.shape, pads, strict=True)], value, dtype=x.dtype)
        inner = tuple(slice(max(p, 0), n + p + min(q, 0)) for n, (p, q) in zip(x.shape, pads, strict=True))
        kept = tuple(slice(max(-p, 0), n + min(q, 0)) for n, (p, q) in zip(x.shape, pads, strict=True))
        if out.size:
            out[inner] = x[kept]
        return out

    rules = lambda m, g, pads: m.pad(g, pads=tuple((-p, -q) for p, q in pads), value=0)  # noqa: E731


def pad(input, pad, mode="constant", value=None) -> Tensor:
    """input with more elements at the ends of its last dimensions. Negative numbers take elements away.

    pad: (left, right) for the last dimension, then (top, bottom) for the one before it, and so on.
    mode: "constant" (`value`, 0 by default), "reflect" (mirrored at the edge element), "replicate" (the edge element),
        "circular" (from the other end). The last three pad any number of trailing dimensions; PyTorch only up to 3,
        behind batch and channels.

    Raises:
        ShapeError: a pad that is not in pairs, has more pairs than dimensions, is longer than the dimension can mirror
            (reflect: at most n - 1, circular: n), or leaves less than nothing. ArgumentError: unknown mode.

    Example:
        >>> import tensorlite as tl
        >>> tl.nn.functional.pad(tl.tensor([[1.0, 2.0, 3.0]]), (2, 1), mode="reflect")
        tensor([[3., 2., 1., 2., 3., 2.]])
    """
    pads = _pairs(input, pad)
    if mode not in MODES:
        raise errors.ArgumentError(f"pad: mode must be one of {', '.join(MODES)}, not {mode!r}")
    if mode == "constant":
        return Pad.apply(input, pads=pads, value=0 if value is None else _as_stored(input, value))
    if value:
        raise errors.ArgumentError(f"pad: mode {mode!r} takes no value, got {value}")
    out = input
    if now.casts and mode in NAMES:  # those that have one, in PyTorch
        out = now.casts.one(f"{NAMES[mode]}_pad{len(shape_of('pad', (pad,))) // 2}d", input)
    for d, (before, after) in enumerate(pads):
        if before or after:
            out = _grown(out, d, before, after, mode)
    return clone(out) if out.version is input.version or not out.is_contiguous() else out  # never a view


def constant_pad_nd(input, pad, value=0) -> Tensor:
    """pad in mode "constant"."""
    return Pad.apply(input, pads=_pairs(input, pad), value=_as_stored(input, value))


def _as_stored(x, value):
    """A number in the category of x's dtype: a float in an integer tensor is cut off."""
    value = value.item() if isinstance(value, Tensor) else value
    return value if x.dtype.category == 2 else number("pad", value, x.dtype)


def _pairs(x, pad):
    """One (before, after) for each dimension of x."""
    pad = shape_of("pad", (pad,))
    if len(pad) % 2 or len(pad) > 2 * x.ndim:
        raise errors.ShapeError(
            here(f"pad: two numbers for each of the last dimensions are needed, got {pad} for {errors.describe(x)}")
        )
    pairs = [(0, 0)] * (x.ndim - len(pad) // 2) + [pad[i : i + 2] for i in range(len(pad) - 2, -1, -2)]
    for d, (n, (before, after)) in enumerate(zip(x.shape, pairs, strict=True)):
        if n + before + after < 0 or -before > n or -after > n:
            raise errors.ShapeError(here(f"pad: {(before, after)} takes away more than dimension {d} of size {n} has"))
    return tuple(pairs)


def _grown(x, d, before, after, mode):
    """x padded along one dimension by copies of its own elements: the pieces are cut out and joined."""
    n = x.shape[d]
    if mode == "circular" and min(before, after) < 0:  # PyTorch crops first, then takes from the other end
        x = narrow(x, d, max(-before, 0), n - max(-before, 0) - max(-after, 0))
        return _grown(x, d, max(before, 0), max(after, 0), mode) if max(before, after) > 0 else x
    most = {"reflect": n - 1, "circular": n, "replicate": n and max(before, after)}[mode]
    if max(before, after) > max(most, 0):
        raise errors.ShapeError(
            here(
                f"pad: mode {mode!r} can add at most {max(most, 0)} to dimension {d} of size {n}, not {(before, after)}"
            )
        )
    left, right = max(before, 0), max(after, 0)
    if mode == "reflect":
        ends = [
            flip(narrow(x, d, 1, left), d) if left else None,
            flip(narrow(x, d, n - 1 - right, right), d) if right else None,
        ]
    elif mode == "circular":
        ends = [narrow(x, d, n - left, left) if left else None, narrow(x, d, 0, right) if right else None]
    else:
        edge = lambda i, m: expand(narrow(x, d, i, 1), (*x.shape[:d], m, *x.shape[d + 1 :]))  # noqa: E731
        ends = [edge(0, left) if left else None, edge(n - 1, right) if right else None]
    pieces = [p for p in (ends[0], x, ends[1]) if p is not None]
    out = cat(pieces, d) if len(pieces) > 1 else x
    if min(before, after) < 0:
        out = narrow(out, d, max(-before, 0), out.shape[d] - max(-before, 0) - max(-after, 0))
    return out
