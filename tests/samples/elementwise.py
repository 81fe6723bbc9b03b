"""Records of the elementwise operations: arithmetic, functions of one number, comparisons, logic, selection, copies."""

import numpy as np
import scipy.special

from samples.base import Case, Record, binary, unary, values
from tensorlite import errors
from tensorlite.op import registry

_MISFIT = (lambda t: t.ones(2, 3) + t.ones(2, 4), errors.ShapeError, "add: shapes (2, 3) and (2, 4) do not broadcast")


def _bools(op, f):
    return (lambda t: f(t.tensor([True])), errors.DTypeError,
            f"{op}: bools have no power, quotient or remainder; convert one first, e.g. x.int(): x bool (1,)")  # fmt: skip


bessel = [
    unary("i0", scipy.special.i0, low=-4.0, high=4.0),
    Record(
        "i0",
        lambda t, x: t.special.i1(x),
        scipy.special.i1,
        lambda rng: [Case((np.array([0.0, -0.02, 1.0, -7.5]),))],
        name="i1",
    ),
]
arithmetic = [
    binary("add", np.add, "add", errors=(_MISFIT,)),
    binary("sub", np.subtract, "sub", errors=((
        lambda t: t.ones(2, dtype=t.bool) - t.ones(2, dtype=t.bool), errors.DTypeError,
        "sub: bools have no difference; use x ^ y, or convert one first, e.g. x.int(): x bool (2,), y bool (2,)"),)),
    binary("mul", np.multiply, "mul"),
    binary("div", np.divide, "truediv", away2=(0,), gap=0.4, result="float", kinks="y = 0"),
    binary("pow", np.power, "pow", low=0.3, high=2.0, low2=-2.0, away2=(0, 1), kinks="x = 0",
        errors=(_bools("pow", lambda x: x**x),)),
    binary("floor_divide", np.floor_divide, "floordiv", low=-5.1, high=4.9, low2=0.8, high2=0.8, kinks="steps", torch="value",
           away=(*(0.8 * k for k in range(-7, 8)), -4, -2, 2, 4), away2=(), errors=(_bools("floor_divide", lambda x: x // x),)),
    binary("remainder", np.remainder, "mod", low=1.0, high=1.3, low2=0.7, high2=0.9, kinks="steps",
           errors=(_bools("remainder", lambda x: x % x),)),
    binary("maximum", np.maximum, apart=0.25, kinks="x = y"),
    binary("minimum", np.minimum, apart=0.25, kinks="x = y"),
    Record("add", lambda t, x, y, alpha: t.add(x, y, alpha=alpha), lambda x, y, alpha: x + alpha * y,
           lambda rng: [Case((values(rng), values(rng, 4)), {"alpha": 0.5})], name="add_alpha"),
    Record("sub", lambda t, x, y, alpha: t.sub(x, y, alpha=alpha), lambda x, y, alpha: x - alpha * y,
           lambda rng: [Case((values(rng), values(rng, 4)), {"alpha": -2})], name="sub_alpha"),
    Record("pow", lambda t, x, y: x**y, np.power, lambda rng: [
        Case((values(rng, (3, 4), away=(0,), gap=0.4), k)) for k in (0, 1, 2, 3, -1, -2, 2.0, 0.0)], name="pow_of_negative"),
]  # fmt: skip

functions = [
    unary("neg", np.negative, result="same", errors=((
        lambda t: -t.tensor([True]), errors.DTypeError, "neg: a bool tensor has no negative; use ~x or logical_not(x)"),)),
    unary("abs", np.abs, away=(0,), result="same", kinks="0"),
    unary("square", np.square, result="same"),
    unary("exp", np.exp),
    unary("expm1", np.expm1),
    unary("log", np.log, low=0.2, high=3.0, kinks="0"),
    unary("log1p", np.log1p, low=-0.7, high=3.0, kinks="-1"),
    unary("log2", np.log2, low=0.2, high=3.0, kinks="0"),
    unary("log10", np.log10, low=0.2, high=3.0, kinks="0"),
    unary("sqrt", np.sqrt, low=0.2, high=3.0, kinks="0"),
    unary("rsqrt", lambda x: x**-0.5, low=0.2, high=3.0, kinks="0"),
    unary("reciprocal", lambda x: 1 / x, low=0.3, high=3.0, kinks="0"),
    unary("sin", np.sin, low=-6.0, high=6.0),
    unary("cos", np.cos, low=-6.0, high=6.0),
    unary("tan", np.tan, low=-1.2, high=1.2, kinks="pi/2"),
    unary("tanh", np.tanh),
    unary("sigmoid", scipy.special.expit, low=-6.0, high=6.0),
    unary("erf", scipy.special.erf, low=-3.5, high=3.5),
    unary("relu", lambda x: np.maximum(x, 0), away=(0,), result="same", kinks="0"),
    unary("sign", np.sign, away=(0,), result="same", kinks="0"),
    unary("floor", np.floor, low=-3.0, high=3.0, away=range(-3, 4), result="same", kinks="whole numbers"),
    unary("ceil", np.ceil, low=-3.0, high=3.0, away=range(-3, 4), result="same", kinks="whole numbers"),
    unary("round", np.rint, low=-3.0, high=3.0, away=np.arange(-3, 4) + 0.5, result="same", kinks="n + 1/2"),
]  # fmt: skip


def _compare(op, sign):
    """A comparison: some of the pairs equal."""
    record = binary(op, getattr(np, {"eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal",
                                     "gt": "greater", "ge": "greater_equal"}[op]), sign, order=0, result="bool")  # fmt: skip
    few = record.cases

    def cases(rng):
        x = rng.integers(0, 3, (4, 5)).astype(float)
        return [
            *few(rng),
            Case((x, rng.integers(0, 3, (4, 5)).astype(float))),
            Case((x, np.array([np.nan, 0, 1, 2, np.inf]))),
        ]

    record.cases = cases
    return record


def _whole(rng, shape, dtype="int64"):
    return rng.integers(0, 2, shape).astype(bool) if dtype == "bool" else rng.integers(-9, 9, shape).astype(dtype)


def _bits(op, ref):
    def cases(rng):
        pairs = (((3, 4), (3, 4)), ((3, 1), (4,)), ((), (2,)), ((0,), ()))
        return [Case((_whole(rng, a, d), _whole(rng, b, d))) for d in ("bool", "int64", "int32") for a, b in pairs]

    floats = (
        lambda t: getattr(t, op)(t.ones(2), t.ones(2)),
        errors.DTypeError,
        f"{op}: only bool and integer tensors have bits; convert first, e.g. x.int() or x > 0",
    )
    return Record(op, lambda t, x, y: getattr(t, op)(x, y), ref, cases, order=0, elementwise=True, errors=(floats,))


def _logical(op, ref):
    record = binary(op, ref, order=0, result="bool")
    few = record.cases

    def cases(rng):
        x, y = rng.integers(0, 2, (2, 4, 5)).astype(float)
        return [*few(rng), Case((x, y)), Case((x > 0, y > 0))]

    record.cases = cases
    return record


_odd = np.array([[0.0, -0.0, np.nan], [np.inf, -np.inf, 2.5]])
_questions = lambda rng: [Case((_odd,)), Case((_odd.T,)), Case((np.array(np.nan),)), Case((np.zeros((0, 2)),))]  # noqa: E731

comparisons = [
    *[_compare(name, name) for name in ("eq", "ne", "lt", "le", "gt", "ge")],
    _bits("bitwise_and", np.bitwise_and),
    _bits("bitwise_or", np.bitwise_or),
    _bits("bitwise_xor", np.bitwise_xor),
    Record("bitwise_not", lambda t, x: t.bitwise_not(x), np.invert,
           lambda rng: [Case((_whole(rng, s, d),)) for s in ((3, 4), (), (0,)) for d in ("bool", "int64", "uint8")], order=0,
           errors=((lambda t: ~t.ones(2), errors.DTypeError,
                    "bitwise_not: only bool and integer tensors can be inverted bit by bit"),)),
    _logical("logical_and", np.logical_and),
    _logical("logical_or", np.logical_or),
    _logical("logical_xor", np.logical_xor),
    unary("logical_not", np.logical_not, order=0, result="bool"),
    Record("isnan", lambda t, x: t.isnan(x), np.isnan, _questions, order=0, ints=True, result="bool"),
    Record("isinf", lambda t, x: t.isinf(x), np.isinf, _questions, order=0, ints=True, result="bool"),
    Record("isfinite", lambda t, x: t.isfinite(x), np.isfinite, _questions, order=0, ints=True, result="bool"),
]  # fmt: skip


# ---------------------------------------------------------------- selection
def _masks(rng):
    m = lambda *s: rng.integers(0, 2, s).astype(bool)  # noqa: E731
    v = lambda *s: values(rng, s)  # noqa: E731
    return [
        Case((m(3, 4), v(3, 4), v(3, 4))), Case((m(3, 1), v(4), v(2, 1, 1))), Case((m(), v(3), v(3))), Case((m(3), v(), v())),
        Case((m(2, 3), v(2, 3), 0.5)), Case((m(2, 3), -1.0, v(2, 3))), Case((m(0, 3), v(0, 3), v(1))), Case((m(), v(), v())),
    ]  # fmt: skip


_not_bool = (lambda t: t.where(t.ones(2), t.ones(2), 0.0), errors.DTypeError,
             "where: condition must be a bool tensor, got float32 (2,)")  # fmt: skip


def _masked(rng):
    m = lambda *s: rng.integers(0, 2, s).astype(bool)  # noqa: E731
    return [
        Case((values(rng), m(3, 4), -1.5)), Case((values(rng), m(4), 2)), Case((values(rng, 4), m(3, 4), 0.0)),
        Case((values(rng), m(3, 1), values(rng, ()))), Case((values(rng, ()), m(), 1.0)), Case((values(rng, (0, 2)), m(2), 1.0)),
    ]  # fmt: skip


_BOUNDS = ((-1.0, 1.0), (None, 0.5), (-0.5, None), (0, 1), (1.0, -1.0))


def _clamp(x, low, high):
    x = x if low is None else np.maximum(x, low)
    return x if high is None else np.minimum(x, high)


selection = [
    Record("where", lambda t, c, x, y: t.where(c, x, y), np.where, _masks, errors=(_not_bool,)),
    Record("where", lambda t, x, m, v: x.masked_fill(m, v), lambda x, m, v: np.where(m, v, x), _masked, name="masked_fill",
           errors=((lambda t: t.ones(2).masked_fill(t.ones(2), 0), errors.DTypeError,
                    "masked_fill: mask must be a bool tensor, got float32 (2,)"),
                   (lambda t: t.ones(2).masked_fill(t.ones(2) > 0, t.ones(2)), errors.ShapeError,
                    "masked_fill: value must be a number or 0-dimensional, got float32 (2,)"))),
    Record("clamp", lambda t, x, low, high: t.clamp(x, low, high), _clamp, lambda rng: [
        Case((values(rng, s, away=(-1, -0.5, 0, 0.5, 1)),), {"low": low, "high": high})
        for s in ((3, 4), (), (0,)) for low, high in _BOUNDS], kinks="the bounds",
        errors=((lambda t: t.clamp(t.ones(2)), errors.ArgumentError, "clamp: at least one of min and max must be given"),)),
]  # fmt: skip


# ---------------------------------------------------------------- the same values elsewhere
def _elsewhere(t, x):
    """To another device and back."""
    other = "cpu" if str(x.device) != "cpu" else "fake"
    return x.to(other).to(x.device)


def _alias(t, x):
    return registry["alias"].apply(x)


_some = lambda rng: [Case((values(rng, s),)) for s in ((3, 4), (), (0,), (2, 1, 3))]  # noqa: E731

copies = [
    Record("cast", lambda t, x: x.to(t.float32).double() * 1.5, lambda x: x.astype("f4").astype("f8") * 1.5, lambda rng: [
        Case((values(rng, s).astype("f4").astype("f8"),)) for s in ((3, 4), (), (0,))], order=0, result="float64",
        errors=((lambda t: t.ones(2).to(np.complex64), errors.DTypeError,
        "is not supported: tensorlite computes with real numbers only"),)),
    Record("clone", lambda t, x: x.clone(), np.array, _some, ints=True),
    Record("alias", _alias, np.array, _some, ints=True, torch=False),
    Record("to_device", _elsewhere, np.array, _some, ints=True, torch=False),
]  # fmt: skip

RECORDS = [*arithmetic, *bessel, *functions, *comparisons, *selection, *copies]
