"""Normalising `dim` and shape arguments; shared by the families of ops."""

import math

from tensorlite import errors


def one(op: str, dim, ndim: int) -> int:
    """A dimension as an index 0..ndim-1. Raises IndexRangeError when out of range."""
    if type(dim) is int and -ndim <= dim < ndim:  # nearly always
        return dim if dim >= 0 else dim + ndim
    if not hasattr(dim, "__index__"):
        raise errors.DTypeError(f"{op}: dim must be an int, not {type(dim).__name__}")
    d = dim.__index__()
    if not -max(ndim, 1) <= d < max(ndim, 1):
        raise errors.IndexRangeError(f"{op}: {errors.dim_fault(d, ndim)}")
    return d % max(ndim, 1)


def several(op: str, dim, ndim: int):
    """`dim` as a tuple of indices; None and () mean all of them. Raises IndexRangeError and ArgumentError (a dim twice)."""
    if dim is None or (isinstance(dim, (tuple, list)) and not dim):
        return tuple(range(ndim))
    dims = tuple(one(op, d, ndim) for d in (dim if isinstance(dim, (tuple, list)) else (dim,)))
    if len(set(dims)) < len(dims):
        raise errors.ArgumentError(f"{op}: a dimension appears twice in dim={tuple(dim)}")
    return dims if ndim else ()


def of_dims(op, x, dim):
    """dim as an index, of a tensor that has dimensions."""
    if not x.ndim:
        raise errors.ShapeError(f"{op}: at least 1 dimension is needed, got a 0-dimensional tensor")
    return one(op, dim, x.ndim)


def kept(shape, dims):
    """The shape with `dims` set to 1: that of a reduction with keepdim."""
    return tuple(1 if i in dims else n for i, n in enumerate(shape))


def shape_of(op: str, args) -> tuple:
    """Sizes given as f(2, 3), f((2, 3)) or f([2, 3])."""
    if len(args) == 1 and not hasattr(args[0], "__index__"):
        args = args[0]
    if type(args) is tuple:
        for n in args:
            if type(n) is not int:
                break
        else:
            return args
    try:
        return tuple(n.__index__() for n in args)
    except (AttributeError, TypeError):
        raise errors.DTypeError(f"{op}: sizes must be ints, got {args!r}") from None


def infer(op: str, sizes, count: int) -> tuple:
    """Sizes with a -1 worked out. Raises ShapeError when `count` elements do not fill them."""
    if type(sizes) is tuple and math.prod(sizes) == count and (not sizes or min(sizes) >= 0):
        return sizes
    unknown = [i for i, n in enumerate(sizes) if n == -1]
    known = math.prod(n for n in sizes if n != -1)
    if len(unknown) > 1 or any(n < -1 for n in sizes):
        raise errors.ShapeError(f"{op}: at most one size may be -1, and none below, got {tuple(sizes)}")
    if unknown and known and count % known == 0:
        return tuple(count // known if n == -1 else n for n in sizes)
    if unknown or known != count:
        raise errors.ShapeError(f"{op}: {count} elements do not fill the shape {tuple(sizes)}")
    return tuple(sizes)
