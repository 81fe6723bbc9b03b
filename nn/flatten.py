"""Layers that only change the shape: Flatten, Unflatten."""

import math

from tensorlite import errors
from tensorlite.nn.module import Module
from tensorlite.ops.elementwise import only_tensor
from tensorlite.tensor import path

__all__ = ["Flatten", "Unflatten"]


class Flatten(Module):
    """The dimensions start_dim..end_dim made one: (N, *) -> (N, product of *) by default.

    Raises:
        IndexRangeError: a dimension that the input does not have.

    Example:
        >>> import tensorlite as tl
        >>> tl.nn.Flatten()(tl.ones(2, 3, 4)).shape
        (2, 12)
    """

    def __init__(self, start_dim=1, end_dim=-1):
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input):
        only_tensor("Flatten", input)
        for dim in (self.start_dim, self.end_dim):
            if not -input.ndim <= dim < max(input.ndim, 1):
                fault = errors.dim_fault(dim, input.ndim)
                table = errors.argument_table(("input",), (input,))
                raise errors.IndexRangeError(errors.compose("Flatten", fault, table, path()))
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self):
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Dimension `dim` made several, of the sizes unflattened_size (one of them may be -1). Names of dimensions are not known.

    Raises:
        ShapeError: sizes whose product is not that of the dimension.

    Example:
        >>> import tensorlite as tl
        >>> tl.nn.Unflatten(1, (3, -1))(tl.ones(2, 12)).shape
        (2, 3, 4)
    """

    def __init__(self, dim, unflattened_size):
        super().__init__()
        if isinstance(dim, str):
            raise errors.DTypeError(f"Unflatten: dim must be an int (dimensions have no names here), got {dim!r}")
        sizes = unflattened_size if isinstance(unflattened_size, (tuple, list)) else ()
        if not sizes or any(not hasattr(n, "__index__") for n in sizes):
            raise errors.DTypeError(f"Unflatten: unflattened_size must be a tuple of ints, got {unflattened_size!r}")
        self.dim, self.unflattened_size = dim, unflattened_size

    def forward(self, input):
        only_tensor("Unflatten", input)
        if -input.ndim <= self.dim < input.ndim:
            sizes, n = tuple(self.unflattened_size), input.shape[self.dim]
            known = math.prod(s for s in sizes if s != -1)
            if sizes.count(-1) > 1 or (n % max(known, 1) if -1 in sizes else n != known):
                text = f"dimension {self.dim} has {n} elements, they do not make {sizes}"
                table = errors.argument_table(("input",), (input,))
                raise errors.ShapeError(errors.compose("Unflatten", text, table, path()))
        return input.unflatten(self.dim, self.unflattened_size)

    def extra_repr(self):
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
