"""The operations and their derivatives, one family a file. Importing this package fills the registry."""

from tensorlite.ops import attention, compare, convert, elementwise, fused, index, loss, matmul, reduce, select, shape

__all__ = [
    "attention", "compare", "convert", "elementwise", "fused", "index", "loss", "matmul", "reduce", "select", "shape"
]  # fmt: skip
