"""Puts the operations on Tensor: every method stands here by its name, beside the family of operations that it comes from."""

from tensorlite import inplace
from tensorlite.op import NotAnOperand
from tensorlite.ops import compare, convert, elementwise, fused, index, matmul, reduce, select, shape
from tensorlite.tensor import Tensor

# x.name is tl.name, with x as its first argument
METHODS = {
    elementwise: """
        add sub subtract mul multiply div divide true_divide floor_divide remainder pow neg negative abs absolute
        maximum minimum exp expm1 log log1p log2 log10 sqrt rsqrt square reciprocal sin cos tan tanh sigmoid erf relu
        sign floor ceil round""",
    select: "clamp clip masked_fill",
    convert: "clone to",
    compare: """
        eq ne lt le gt ge logical_and logical_or logical_xor logical_not bitwise_and bitwise_or bitwise_xor bitwise_not
        isnan isinf isfinite isclose allclose equal""",
    reduce: "sum mean var std max min amax amin argmax argmin all any logsumexp",
    shape: """
        reshape view flatten unflatten squeeze unsqueeze permute transpose swapaxes swapdims t movedim expand expand_as
        broadcast_to flip contiguous repeat split chunk unbind narrow select tril triu view_as reshape_as""",
    index: "gather index_select",
    matmul: "matmul mm bmm mv dot",
    fused: "softmax log_softmax",
}

# x.name_ puts the result of x.name into the memory of x
IN_PLACE = """
    add sub mul div pow neg abs exp log sqrt tanh sigmoid relu clamp masked_fill floor round square reciprocal"""


def _in_place(name):
    function = getattr(Tensor, name)

    def method(self, *args, **kwargs):
        return inplace.update(self, name + "_", lambda x: function(x, *args, **kwargs))

    method.__wrapped__ = function  # help() shows its arguments
    method.__name__ = name + "_"
    method.__qualname__ = f"Tensor.{name}_"
    method.__doc__ = f"{name} in place: the same memory, seen by all views; returns self."
    return method


def _where(self, condition, other) -> Tensor:
    """self where condition holds, else other."""
    return select.where(condition, self, other)


for _family, _names in METHODS.items():
    for _name in _names.split():
        setattr(Tensor, _name, getattr(_family, _name))
for _name in IN_PLACE.split():
    setattr(Tensor, _name + "_", _in_place(_name))
Tensor.fill_, Tensor.zero_, Tensor.copy_ = inplace.fill_, inplace.zero_, inplace.copy_
Tensor.__getitem__, Tensor.__setitem__ = index.getitem, inplace.setitem
Tensor.where = _where
Tensor.T = property(lambda self: shape.permute(self, *range(self.ndim)[::-1]), doc="All dimensions reversed.")
Tensor.mT = property(lambda self: shape.transpose(self, -1, -2), doc="The last two dimensions swapped.")


# ---------------------------------------------------------------- Python's operators
def _operator(function, swap=False):
    """A Python operator: NotImplemented for operands that tensors do not know, so that the other side is asked."""

    def operator(self, other):
        try:
            return function(other, self) if swap else function(self, other)
        except NotAnOperand:
            return NotImplemented

    return operator


def _swapped(op):
    """The reflected operator of an elementwise op."""
    forward = op.operator
    return lambda self, other: forward(other, self)


Tensor.__add__, Tensor.__radd__ = elementwise.Add.operator, _swapped(elementwise.Add)
Tensor.__sub__, Tensor.__rsub__ = elementwise.Sub.operator, _swapped(elementwise.Sub)
Tensor.__mul__, Tensor.__rmul__ = elementwise.Mul.operator, _swapped(elementwise.Mul)
Tensor.__truediv__, Tensor.__rtruediv__ = elementwise.Div.operator, _swapped(elementwise.Div)
Tensor.__floordiv__, Tensor.__rfloordiv__ = elementwise.FloorDivide.operator, _swapped(elementwise.FloorDivide)
Tensor.__mod__, Tensor.__rmod__ = elementwise.Remainder.operator, _swapped(elementwise.Remainder)
Tensor.__pow__, Tensor.__rpow__ = elementwise.Pow.operator, _swapped(elementwise.Pow)
Tensor.__matmul__, Tensor.__rmatmul__ = _operator(matmul.matmul), _operator(matmul.matmul, swap=True)
Tensor.__and__, Tensor.__rand__ = compare.BitwiseAnd.operator, _swapped(compare.BitwiseAnd)
Tensor.__or__, Tensor.__ror__ = compare.BitwiseOr.operator, _swapped(compare.BitwiseOr)
Tensor.__xor__, Tensor.__rxor__ = compare.BitwiseXor.operator, _swapped(compare.BitwiseXor)
Tensor.__eq__, Tensor.__ne__ = compare.Eq.operator, compare.Ne.operator
Tensor.__lt__, Tensor.__le__ = compare.Lt.operator, compare.Le.operator
Tensor.__gt__, Tensor.__ge__ = compare.Gt.operator, compare.Ge.operator
Tensor.__neg__ = elementwise.neg
Tensor.__pos__ = lambda self: self
Tensor.__abs__ = elementwise.abs
Tensor.__invert__ = compare.bitwise_not
Tensor.__hash__ = object.__hash__

Tensor.__iadd__ = lambda self, other: self.add_(other)
Tensor.__isub__ = lambda self, other: self.sub_(other)
Tensor.__imul__ = lambda self, other: self.mul_(other)
Tensor.__itruediv__ = lambda self, other: self.div_(other)
