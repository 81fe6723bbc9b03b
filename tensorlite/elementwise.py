"""Elementwise: operations that compute element by element, and the quick path by which their operators run and record.

The operations themselves are in ops/.
"""

from tensorlite import errors
from tensorlite.backend import Device, dtypes
from tensorlite.backend.dtypes import FLOAT32, NUMBER
from tensorlite.op import NO_ARGS, Op, noted, registry, together
from tensorlite.tensor import OWNED, Node, Tensor, clock, mode, path, wrap


class NotAnOperand(errors.DTypeError):
    """The other operand is of a type that tensors do not compute with; operators turn it into NotImplemented."""


class Elementwise(Op):
    """An op on one or two tensors (or a tensor and a number) that computes element by element, with broadcasting.

    `op.operator` is the hot path of small models, made once for each op by `_unary` or `_binary`; it returns NotImplemented
    for operands that tensors do not know, as Python's operators should.
    """

    floats = False  # integers become the default floating-point dtype first
    wraps = True  # a number beyond the range of an integer dtype is taken modulo its size, as in PyTorch; comparisons do not
    # whether a number that float16 does not hold, beside a tensor of it, counts in float32, as in PyTorch
    numbers_in_float32 = False

    @classmethod
    def read(op):
        super().read()
        op.operator = staticmethod((_unary if len(op.inputs) == 1 else _binary)(op))

    @classmethod
    def apply(op, *inputs):
        out = op.operator(*inputs)
        if out is NotImplemented:
            wrong = next((x for x in inputs if not isinstance(x, (Tensor, bool, int, float))), inputs[0])
            what = "a tensor or a number" if len(op.inputs) > 1 else "a tensor"
            raise errors.DTypeError(
                errors.compose(op.name, f"{what} is needed, not {type(wrong).__name__}", "", path())
            )
        return out

    @classmethod
    def unify(op, x, y):
        """Both operands on one device in one dtype: PyTorch's promotion, numbers as they are, NumPy arrays as tensors."""
        x, y = as_operand(op, x), as_operand(op, y)
        if not isinstance(x, Tensor) and not isinstance(y, Tensor):
            raise errors.DTypeError(f"{op.name}: one of the two must be a tensor, got numbers; use tl.tensor({x})")
        dtype = dtypes.result_type(*[v.array if isinstance(v, Tensor) else v for v in (x, y)])
        if op.floats and not dtype.is_floating_point:
            dtype = dtypes.get_default_dtype()
        if isinstance(x, Tensor) and isinstance(y, Tensor) and x.device is not y.device:
            x, y = together(op, (x, y))
        device = (x if isinstance(x, Tensor) else y).device
        (x, a, xn), (y, b, yn) = (_operand(v, dtype, device, op.wraps) for v in (x, y))
        return x, y, a, b, device, xn, yn


_blank = object.__new__
EXACT = 2**53  # up to here an int is the same number as a float


def _binary(op):
    """The function that computes and records a binary elementwise op: same dtype and device first, all else in `unify`."""
    forward, floats, saves, differentiable = op.forward, op.floats, op.saves, op.rules is not None
    kept = [op.kept((m & 1, m & 2)) for m in range(4)] if differentiable else ()
    owned = [
        tuple([OWNED if k else None for k in ks]) for ks in kept
    ]  # the versions, where every tensor is its node's own

    def operator(x, y):
        if type(y) is float or (type(y) is int and -EXACT <= y <= EXACT):
            if alike := type(x) is Tensor and (a := x.array).dtype.char in "fd":
                device, xn, yn = x.device, x.node, None
                b = device.backend.number(y, a.dtype)
        elif type(x) is float or (type(x) is int and -EXACT <= x <= EXACT):
            if alike := type(y) is Tensor and (b := y.array).dtype.char in "fd":
                device, xn, yn = y.device, None, y.node
                a = device.backend.number(x, b.dtype)
        else:
            try:
                a = x.array
                b = y.array
                device = x.device
                alike = (type(a) is type(b) is NUMBER or a.dtype is b.dtype) and y.device is device
                if floats and alike:
                    alike = a.dtype.char in "fd"
                xn = x.node
                yn = y.node
            except AttributeError:
                alike = False
        if not alike:
            if mode.vmap is not None and (result := mode.vmap.meet(op, (x, y), NO_ARGS)) is not None:
                return result
            if op.numbers_in_float32 and (result := _in_float32(op, x, y)) is not None:
                return result
            try:
                x, y, a, b, device, xn, yn = op.unify(x, y)
            except NotAnOperand:
                return NotImplemented
            except OverflowError as e:  # a number that the dtype does not hold
                raise op.explain(e, (x, y)) from e
        try:
            out = (forward if dtypes.BF16 is None else op.in_float32)(device._backend, a, b)
        except Exception as e:
            raise op.explain(e, (x, y)) from e
        result = _blank(Tensor)
        result.array = out
        result.device = device
        result._v = None
        now = mode.now
        if differentiable and (xn is not None or yn is not None) and now.grad:
            result.node = node = _blank(Node)  # Node(...), without the call
            node.op = op
            node.first = xn
            node.second = yn
            node.several = None
            if saves:
                which = 3 if yn is not None and xn is not None else 1 if yn is None else 2
                keep_a, keep_b, keep_out = kept[which]
                node.saved = (a if keep_a else None, b if keep_b else None, out if keep_out else None)
                if which == 3 and x._v is None and y._v is None:
                    node.versions = owned[3]
                else:
                    node.versions = (
                        noted(x) if keep_a and isinstance(x, Tensor) else None,  # a number has no version
                        noted(y) if keep_b and isinstance(y, Tensor) else None,
                        OWNED if keep_out else None,
                    )
            else:
                node.saved = node.versions = ()
            node.args = NO_ARGS
            if type(out) is NUMBER:
                node.shape = ()
                node.dtype = FLOAT32
            else:
                node.shape = out.shape
                node.dtype = out.dtype
            node.device = device
            node.seq = clock()
            node.scope = now.scope
            node.watched = False
        else:
            result.node = None
        if now.watcher is not None:
            now.watcher.forward(op, (x, y), result)
        return result

    return operator


def _unary(op):
    """The function that computes and records an elementwise op of one tensor."""
    forward, floats, differentiable = op.forward, op.floats, op.rules is not None
    keep_a, keep_out = op.kept((True,)) if differentiable else (False, False)
    owned = (OWNED if keep_a else None, OWNED if keep_out else None)

    def operator(x):
        if type(x) is not Tensor:
            if not isinstance(x, Tensor):
                return NotImplemented
            if x.batched is not None:
                return x.batched(op, (x,), NO_ARGS)
        a, device = x.array, x.device
        if floats and a.dtype.char not in "fd":  # integers are cast; 16 bits may be, by autocast
            if mode.vmap is not None and (out := mode.vmap.meet(op, (x,), NO_ARGS)) is not None:
                return out
            if not x.dtype.is_floating_point:
                x = registry["cast"].apply(x, dtype=dtypes.get_default_dtype())
                a = x.array
        try:
            out = (forward if dtypes.BF16 is None else op.in_float32)(device._backend, a)
        except Exception as e:
            raise op.explain(e, (a,)) from e
        result = _blank(Tensor)
        result.array = out
        result.device = device
        result._v = result.node = None
        now, xn = mode.now, x.node
        if differentiable and xn is not None and now.grad:
            result.node = node = _blank(Node)  # Node(...), without the call
            node.op = op
            node.first = xn
            node.second = node.several = None
            node.saved = (a if keep_a else None, out if keep_out else None)
            node.versions = owned if x._v is None else (noted(x) if keep_a else None, OWNED if keep_out else None)
            node.args = NO_ARGS
            if type(out) is NUMBER:
                node.shape = ()
                node.dtype = FLOAT32
            else:
                node.shape = out.shape
                node.dtype = out.dtype
            node.device = device
            node.seq = clock()
            node.scope = now.scope
            node.watched = False
        if now.watcher is not None:
            now.watcher.forward(op, (x,), result)
        return result

    return operator


def as_operand(op, v):
    """v as a Tensor or a Python number. Raises NotAnOperand."""
    if isinstance(v, (Tensor, bool, int, float)):
        return float(v) if isinstance(v, float) else v  # NumPy's float64 is a Python float: no 0-d tensor
    if type(v).__module__ == "numpy" and hasattr(v, "dtype"):
        return wrap(v, Device("cpu")) if v.ndim else v.item()
    if isinstance(v, complex):
        raise errors.DTypeError(
            f"{op.name}: complex numbers are not supported: tensorlite computes with real numbers only"
        )
    raise NotAnOperand(errors.compose(op.name, f"a tensor or a number is needed, not {type(v).__name__}"))


def _in_float32(op, x, y):
    """x op y computed in float32 and rounded once, where one is of float16 and the other a number that float16 does not hold
    (or a 0-d tensor of a wider dtype, which counts as a number); else None."""
    for half, v in ((x, y), (y, x)):
        if not isinstance(half, Tensor) or half.array.dtype.char != "e":
            continue
        if isinstance(v, Tensor):
            beyond = half.ndim and not v.ndim and v.dtype in (dtypes.float32, dtypes.float64)
        else:
            beyond = type(v) in (int, float) and v and not 2**-14 <= abs(v) <= 65504
        if beyond:
            cast = registry["cast"].apply
            out = op.apply(*[cast(t, dtype=dtypes.float32) if t is half else t for t in (x, y)])
            return cast(out, dtype=dtypes.float16)
    return None


def _operand(v, dtype, device, wraps):
    if not isinstance(v, Tensor):
        if wraps and dtype.category == 1 and -(2**63) <= v < 2**64:
            bits = 8 * dtype.itemsize
            v &= (1 << bits) - 1
            v -= (v >> bits - 1 << bits) if dtype.is_signed else 0
        return v, device.backend.number(v, dtype.dtype), None
    if v.array.dtype != dtype.dtype:
        v = registry["cast"].apply(v, dtype=dtype)
    return v, v.array, v.node
