"""Puts the operations on Tensor: every method stands here by its name, beside the family of operations that it comes from."""

import functools
import types

from tensorlite import errors, inplace
from tensorlite.elementwise import NotAnOperand
from tensorlite.ops import (
    compare,
    composite,
    convert,
    decompositions,
    einsum,
    elementwise,
    extreme,
    functions,
    fused,
    index,
    linalg,
    matmul,
    matrix_functions,
    norms,
    pieces,
    products,
    rearrange,
    reduce,
    scan,
    scatter,
    select,
    shape,
    sort,
    special,
    statistics,
    steps,
    views,
)
from tensorlite.tensor import Tensor

# x.name is tl.name, with x as its first argument
METHODS = {
    elementwise: """
        add sub subtract mul multiply div divide true_divide floor_divide remainder fmod pow float_power neg negative positive
        abs absolute square reciprocal maximum minimum fmax fmin lerp addcmul addcdiv""",
    functions: """
        exp exp2 expm1 log log1p log2 log10 logaddexp logaddexp2 sqrt rsqrt hypot sin cos tan asin acos atan atan2 arcsin
        arccos arctan arctan2 sinh cosh tanh asinh acosh atanh arcsinh arccosh arctanh ldexp deg2rad rad2deg sigmoid relu""",
    steps: "sign sgn floor ceil round trunc fix frac copysign heaviside nextafter nan_to_num",
    special: "erf erfc erfinv lgamma digamma sinc logit xlogy",
    select: "clamp clamp_min clamp_max clip masked_fill",
    convert: "clone to",
    composite: """
        conj corrcoef cov frexp is_complex is_nonzero is_same_size is_signed mvlgamma real renorm""",
    compare: """
        eq ne lt le gt ge not_equal less less_equal greater greater_equal logical_and logical_or logical_xor logical_not
        bitwise_and bitwise_or bitwise_xor bitwise_not bitwise_left_shift bitwise_right_shift isnan isinf isfinite isposinf
        isneginf isreal signbit gcd lcm isclose allclose equal""",
    reduce: "sum sum_to_size mean prod norm all any logsumexp nansum nanmean count_nonzero",
    extreme: "max min amax amin aminmax argmax argmin",
    scan: "cumsum cumprod cummax cummin logcumsumexp diff",
    sort: "sort argsort msort topk kthvalue unique unique_consecutive",
    statistics: "var std median nanmedian mode quantile nanquantile bincount histc histogram",
    shape: """
        reshape view flatten unflatten squeeze unsqueeze permute transpose swapaxes swapdims t movedim expand expand_as
        broadcast_to flip contiguous tril triu view_as reshape_as ravel moveaxis adjoint""",
    pieces: """
        chunk dsplit hsplit narrow narrow_copy select split split_with_sizes tensor_split unbind vsplit""",
    rearrange: "fliplr flipud repeat repeat_interleave roll rot90 tile",
    views: """
        as_strided diag diag_embed diagflat diagonal diagonal_scatter select_scatter slice_scatter unfold""",
    index: "argwhere gather index_select masked_select nonzero take take_along_dim",
    scatter: """
        index_add index_copy index_fill index_put index_reduce masked_scatter put scatter scatter_add scatter_reduce""",
    matmul: "matmul mm bmm mv dot vdot outer ger addmm addmv addr addbmm baddbmm",
    einsum: "inner trace",
    norms: "dist",
    products: "cross kron",
    linalg: "inverse pinverse triangular_solve",
    matrix_functions: "det logdet slogdet matrix_exp matrix_power",
    decompositions: "cholesky cholesky_inverse cholesky_solve qr svd",
    fused: "softmax log_softmax",
}

# x.name_ puts the result of x.name into the memory of x
IN_PLACE = """
    add sub subtract mul multiply div divide true_divide floor_divide remainder fmod pow float_power neg negative abs absolute
    square reciprocal lerp addcmul addcdiv exp exp2 expm1 log log1p log2 log10 sqrt rsqrt hypot sin cos tan asin acos atan
    atan2 arcsin arccos arctan arctan2 sinh cosh tanh asinh acosh atanh arcsinh arccosh arctanh deg2rad rad2deg sigmoid relu
    sign sgn floor ceil round trunc fix frac copysign heaviside nextafter nan_to_num erf erfc erfinv lgamma digamma polygamma
    sinc mvlgamma logit xlogy clamp clamp_min clamp_max clip masked_fill eq ne lt le gt ge not_equal less less_equal greater
    greater_equal logical_and logical_or logical_xor logical_not bitwise_and bitwise_or bitwise_xor bitwise_not
    bitwise_left_shift bitwise_right_shift gcd lcm ldexp
    cumsum cumprod tril triu renorm
    addmm addmv addr addbmm baddbmm
    index_add index_copy index_fill index_put index_reduce masked_scatter put scatter scatter_add scatter_reduce"""

# those of them that are functions too, tl.NAME_(x), as in PyTorch
FUNCTIONS_IN_PLACE = """
    abs acos acosh addmv arccos arccosh arcsin arcsinh arctan arctanh asin asinh atan atanh ceil clamp clamp_max clamp_min clip
    cos cosh deg2rad detach erf erfc exp exp2 expm1 fill fix floor frac gcd index_put lcm ldexp log log10 log1p log2 logit
    nan_to_num neg negative rad2deg reciprocal relu round rsqrt sigmoid sin sinc sinh sqrt square tan tanh trunc xlogy zero"""


def in_place_functions():
    """{name: function} of FUNCTIONS_IN_PLACE: tl.relu_(x) is x.relu_()."""
    return {name + "_": _as_function(name + "_") for name in FUNCTIONS_IN_PLACE.split()}


def _as_function(name):
    method = getattr(Tensor, name)

    @functools.wraps(method)
    def function(input, *args, **kwargs):
        if not isinstance(input, Tensor):
            raise errors.DTypeError(f"{name}: a Tensor is needed, not {type(input).__name__}")
        return method(input, *args, **kwargs)

    function.__name__ = function.__qualname__ = name
    return function


def _in_place(name):
    function = getattr(Tensor, name)

    def method(self, *args, **kwargs):
        return inplace.update(self, name + "_", function, *args, **kwargs)

    method.__wrapped__ = function  # help() shows its arguments
    method.__name__ = name + "_"
    method.__qualname__ = f"Tensor.{name}_"
    method.__doc__ = f"{name} in place: the same memory, seen by all views; returns self."
    return method


def _where(self, condition, other) -> Tensor:
    """self where condition holds, else other."""
    return select.where(condition, self, other)


def _polygamma(self, n) -> Tensor:
    """The n-th derivative of digamma, elementwise; see tl.polygamma."""
    return special.polygamma(n, self)


def _turned(name):
    function = getattr(shape, name)

    def method(self, *args, **kwargs):
        return inplace.turn(self, name + "_", function, *args, **kwargs)

    method.__wrapped__ = function
    method.__name__ = name + "_"
    method.__qualname__ = f"Tensor.{name}_"
    method.__doc__ = f"{name} in place: this tensor itself gets the other shape, on the same memory; returns self."
    return method


for _family, _names in METHODS.items():
    for _name in _names.split():
        setattr(Tensor, _name, getattr(_family, _name))
Tensor.polygamma = _polygamma
for _name in IN_PLACE.split():
    setattr(Tensor, _name + "_", _in_place(_name))
Tensor.fill_, Tensor.zero_, Tensor.copy_ = inplace.fill_, inplace.zero_, inplace.copy_
Tensor.fill_diagonal_ = inplace.fill_diagonal_
for _name in ("squeeze", "unsqueeze", "t", "transpose", "swapaxes", "swapdims"):
    setattr(Tensor, _name + "_", _turned(_name))
Tensor.__getitem__, Tensor.__setitem__ = index.getitem, inplace.setitem
Tensor.where = _where
Tensor.T = property(lambda self: shape.permute(self, *range(self.ndim)[::-1]), doc="All dimensions reversed.")
Tensor.mT = property(shape.adjoint, doc="The last two dimensions swapped.")
Tensor.mH = property(
    shape.adjoint, doc="The last two dimensions swapped: of real numbers the adjoint is the transpose."
)
Tensor.H = property(
    lambda self: shape.t(self) if self.ndim != 1 else shape.adjoint(self),
    doc="The transpose of a matrix: of real numbers the adjoint.",
)


# ---------------------------------------------------------------- the public functions
@functools.cache  # an alias, and the same function in nn.functional, stay the same object
def _speaking(function):
    """The function, with an error in words where a list, a NumPy array or a str was given in the place of a tensor."""

    @functools.wraps(function)
    def call(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except (AttributeError, TypeError, ValueError, IndexError) as e:
            if not isinstance(e, errors.TensorliteError):
                given = (*args, *kwargs.values())
                for x in [x for i, x in enumerate(given) if i == 0 or x is getattr(e, "obj", given)]:
                    elementwise.only_tensor(function.__name__, x)
            raise

    return call


def speak(namespace: dict) -> None:
    """Put `_speaking` around the functions of a namespace that come from ops/; elementwise ones look for themselves."""
    sure = {family.__name__ for family in (compare, elementwise, functions, special, steps)}
    for name, function in list(namespace.items()):
        family = function.__module__ if isinstance(function, types.FunctionType) else ""
        if (
            family.startswith("tensorlite.ops.")
            and family not in sure
            and not name.startswith("_")
            and not hasattr(function, "__wrapped__")
        ):
            namespace[name] = _speaking(function)


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
Tensor.__lshift__, Tensor.__rlshift__ = compare.BitwiseLeftShift.operator, _swapped(compare.BitwiseLeftShift)
Tensor.__rshift__, Tensor.__rrshift__ = compare.BitwiseRightShift.operator, _swapped(compare.BitwiseRightShift)
Tensor.__eq__, Tensor.__ne__ = compare.Eq.operator, compare.Ne.operator
Tensor.__lt__, Tensor.__le__ = compare.Lt.operator, compare.Le.operator
Tensor.__gt__, Tensor.__ge__ = compare.Gt.operator, compare.Ge.operator
Tensor.__neg__ = elementwise.neg
Tensor.__pos__ = elementwise.positive
Tensor.__abs__ = elementwise.abs
Tensor.__invert__ = compare.bitwise_not
Tensor.__hash__ = object.__hash__

Tensor.__iadd__, Tensor.__isub__ = Tensor.add_, Tensor.sub_
Tensor.__imul__, Tensor.__itruediv__ = Tensor.mul_, Tensor.div_
Tensor.__ifloordiv__, Tensor.__imod__, Tensor.__ipow__ = Tensor.floor_divide_, Tensor.remainder_, Tensor.pow_
Tensor.__iand__, Tensor.__ior__, Tensor.__ixor__ = Tensor.bitwise_and_, Tensor.bitwise_or_, Tensor.bitwise_xor_
Tensor.__ilshift__, Tensor.__irshift__ = Tensor.bitwise_left_shift_, Tensor.bitwise_right_shift_
