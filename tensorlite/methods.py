"""Puts the operations on Tensor: every method stands here by its name, beside the family of operations that it comes from."""

import functools
import inspect
import types

from tensorlite import errors, inplace
from tensorlite.backend.dtypes import can_cast
from tensorlite.elementwise import NotAnOperand
from tensorlite.op import registry
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
from tensorlite.tensor import Tensor, mode, path

# x.name is tl.name, with x as its first argument
METHODS = {
    elementwise: """
        add sub subtract mul multiply div divide true_divide floor_divide remainder fmod pow float_power neg negative positive
        abs absolute square reciprocal maximum minimum fmax fmin lerp addcmul addcdiv""",
    functions: """
        exp exp2 expm1 log log1p log2 log10 logaddexp logaddexp2 sqrt rsqrt hypot sin cos tan asin acos atan atan2 arcsin
        arccos arctan arctan2 sinh cosh tanh asinh acosh atanh arcsinh arccosh arctanh ldexp deg2rad rad2deg sigmoid relu""",
    steps: "sign sgn floor ceil round trunc fix frac copysign heaviside nextafter nan_to_num",
    special: "erf erfc erfinv i0 lgamma digamma sinc logit xlogy",
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
    sinc i0 mvlgamma logit xlogy clamp clamp_min clamp_max clip masked_fill eq ne lt le gt ge not_equal less less_equal greater
    greater_equal logical_and logical_or logical_xor logical_not bitwise_and bitwise_or bitwise_xor bitwise_not
    bitwise_left_shift bitwise_right_shift gcd lcm ldexp
    cumsum cumprod tril triu renorm
    addmm addmv addr addbmm baddbmm
    index_add index_copy index_fill index_put index_reduce masked_scatter put scatter scatter_add scatter_reduce"""

# those of them that are functions too, tl.NAME_(x), as in PyTorch
FUNCTIONS_IN_PLACE = """
    abs acos acosh addmv arccos arccosh arcsin arcsinh arctan arctanh asin asinh atan atanh ceil clamp clamp_max clamp_min clip
    cos cosh deg2rad detach erf erfc exp exp2 expm1 fill fix floor frac gcd i0 index_put lcm ldexp log log10 log1p log2 logit
    nan_to_num neg negative rad2deg reciprocal relu round rsqrt sigmoid sin sinc sinh sqrt square tan tanh trunc xlogy zero"""


# the functions that take out= in PyTorch: tl.NAME(..., out=x) puts the result into the memory of x
WITH_OUT = """
    add addbmm addcdiv addcmul addmm addmv addr all amax amin aminmax any baddbmm bitwise_and bitwise_left_shift bitwise_not
    bitwise_or bitwise_right_shift bitwise_xor bmm bucketize cat ceil cholesky cholesky_inverse cholesky_solve clamp clip
    column_stack concat concatenate copysign cos cosh cross cummax cummin cumprod cumsum deg2rad diag diff digamma div divide
    dot dstack eq erf erfc erfinv exp exp2 expm1 fix float_power floor floor_divide fmax fmin fmod frac frexp gather gcd ge ger
    greater greater_equal gt heaviside histc histogram hstack hypot index_select inner inverse isneginf isposinf kron kthvalue
    lcm ldexp le lerp less less_equal lgamma log log10 log1p log2 logaddexp logaddexp2 logcumsumexp logical_and logical_not
    logical_or logical_xor logit logsumexp lt masked_select matmul matrix_power max maximum mean median min minimum mm mode
    mul multiply mv mvlgamma nan_to_num nanmean nanmedian nanquantile narrow_copy ne neg negative nextafter nonzero norm
    not_equal outer polygamma pow prod qr quantile rad2deg reciprocal remainder renorm round row_stack rsqrt searchsorted sgn
    sigmoid sign signbit sin sinc sinh sort sqrt square stack std std_mean sub subtract sum svd take take_along_dim tan tanh
    tensordot topk triangular_solve tril triu true_divide trunc var var_mean vdot vstack where xlogy acos acosh arccos
    arccosh arcsin arcsinh arctan arctan2 arctanh asin asinh atan atan2 atanh abs absolute chain_matmul nansum argmax argmin
    count_nonzero"""


# the functions and methods that take axis= for dim, though dim has no default
WITH_AXIS = """
    gather index_add index_copy index_fill index_reduce index_select narrow renorm scatter scatter_add scatter_reduce select
    select_scatter slice_scatter"""


def _by_axis(function):
    """The method of a function, with axis= in the place of dim=."""

    @functools.wraps(function)
    def method(self, *args, **kwargs):
        if "axis" in kwargs:
            kwargs["dim"] = kwargs.pop("axis")
        return function(self, *args, **kwargs)

    return method


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
    function.__module__ = "tensorlite"  # where pickle finds it
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
for _name in WITH_AXIS.split():
    setattr(Tensor, _name, _by_axis(getattr(Tensor, _name)))
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
def _into(name, out, result):
    """PyTorch's out=: `out` with the values of the result; an empty one takes its shape too."""
    if isinstance(result, tuple):
        if not isinstance(out, (tuple, list)) or len(out) != len(result):
            raise errors.ArgumentError(
                f"{name}: there are {len(result)} results, out must be a tuple of as many tensors"
            )
        found = [_into(name, o, r) for o, r in zip(out, result, strict=True)]
        return type(result)(*found) if hasattr(result, "_fields") else tuple(found)
    if not isinstance(out, Tensor):
        raise errors.DTypeError(f"{name}: out must be a tensor, not {type(out).__name__}")
    if mode.grad and (result.requires_grad or out.requires_grad):
        fault = "out= has no gradient, and a tensor here requires grad; assign the result, or do it under tl.no_grad()"
        raise errors.GraphError(f"{name}: {fault}")
    if out.device is not result.device:
        raise errors.DeviceError(f"{name}: out is on {out.device}, the result on {result.device}")
    if not can_cast(result.dtype, out.dtype):
        fault = f"the result is {result.dtype.name}, it cannot be stored in out, {errors.describe(out)}"
        raise errors.DTypeError(f"{name}: {fault}")
    if out.shape == result.shape:
        return out.copy_(result)
    if out.array.size:
        fault = (
            f"the result has shape {tuple(result.shape)}, out {tuple(out.shape)}; give out that shape, or tl.empty(0)"
        )
        raise errors.ShapeError(f"{name}: {fault}")
    inplace.check(out, name)
    out.array = convert.cast(result, out.dtype).array.copy()
    inplace.commit(out, None, name)
    return out


def _with_out(function):
    """A function of elementwise operations that takes out= too."""
    op, code, name = registry.get(function.__name__), function.__code__, function.__name__
    one, made = code.co_varnames[:1], code.co_name in ("call", "call2") and op is not None
    if made and code.co_argcount == 1 and one == ("input",):

        def call(input, *, out=None):
            return op.apply(input) if out is None else _into(name, out, op.apply(input))

    elif made:

        def call(input, other, *, out=None):
            return op.apply(input, other) if out is None else _into(name, out, op.apply(input, other))

    else:

        def call(*args, out=None, **kwargs):
            try:
                result = function(*args, **kwargs)
            except (AttributeError, TypeError, ValueError, IndexError) as e:
                if isinstance(e, errors.TensorliteError) or e.__traceback__.tb_next is None:
                    raise
                raise _worded(function, e, args, kwargs) from e
            return result if out is None else _into(name, out, result)

    return functools.wraps(function)(call)


@functools.cache  # an alias, and the same function in nn.functional, stay the same object
def _speaking(function):
    """The function, with an error in words where a list, a NumPy array or a str was given in the place of a tensor; and
    with out= where PyTorch's has it."""
    if function.__module__ in _SURE:
        return _showing_out(_with_out(function))
    takes_out = function.__name__ in _TAKES_OUT

    @functools.wraps(function)
    def call(*args, **kwargs):
        if takes_out and "out" in kwargs:
            out = kwargs.pop("out")
            return call(*args, **kwargs) if out is None else _into(function.__name__, out, call(*args, **kwargs))
        try:
            return function(*args, **kwargs)
        except (AttributeError, TypeError, ValueError, IndexError) as e:
            if "axis" in kwargs and function.__name__ in _TAKES_AXIS:
                return function(*args, dim=kwargs.pop("axis"), **kwargs)
            if not isinstance(e, errors.TensorliteError):
                given = (*args, *kwargs.values())
                for x in [x for i, x in enumerate(given) if i == 0 or x is getattr(e, "obj", given)]:
                    elementwise.only_tensor(function.__name__, x)
                if e.__traceback__.tb_next is not None:  # not Python's own word on missing or unknown arguments
                    raise _worded(function, e, args, kwargs) from e
            raise

    return _showing_out(call) if takes_out else call


def _worded(function, error, args, kwargs):
    """The error of a function that met an argument it cannot work with, with its name and all arguments in it."""
    kind = {ValueError: errors.ArgumentError, IndexError: errors.IndexRangeError}.get(type(error), errors.DTypeError)
    given = dict(zip(function.__code__.co_varnames, args, strict=False)) | kwargs
    return kind(errors.compose(function.__name__, str(error), errors.argument_table(given, given.values()), path()))


def _showing_out(function):
    """The function, with `out` in its signature."""
    shown = inspect.signature(function.__wrapped__)
    *rest, last = shown.parameters.values()
    if "out" not in shown.parameters:
        rest, last = ([*rest, last], None) if last.kind is not last.VAR_KEYWORD else (rest, last)
        out = inspect.Parameter("out", inspect.Parameter.KEYWORD_ONLY, default=None)
        shown = shown.replace(parameters=[*rest, out, *([last] if last is not None else [])])
    function.__signature__ = shown
    return function


_SURE = {family.__name__ for family in (compare, elementwise, functions, special, steps)}  # they look for themselves
_TAKES_OUT, _TAKES_AXIS = frozenset(WITH_OUT.split()), frozenset(WITH_AXIS.split())


def speak(namespace: dict, also=()) -> None:
    """Put `_speaking` around the functions of a namespace that come from ops/, and the others in `also`, where pickle then
    finds them."""
    for name, function in list(namespace.items()):
        family = function.__module__ if isinstance(function, types.FunctionType) else ""
        if (
            (family.startswith("tensorlite.ops.") or name in also)
            and (family not in _SURE or function.__name__ in _TAKES_OUT)
            and not name.startswith("_")
            and not hasattr(function, "__wrapped__")
        ):
            namespace[name] = _speaking(function)
    for name, function in namespace.items():
        if hasattr(function, "__wrapped__") and (function.__name__ == name or function.__name__ not in namespace):
            function.__module__, function.__qualname__ = namespace["__name__"], name


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
