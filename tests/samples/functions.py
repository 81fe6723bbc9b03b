"""Records of the other elementwise operations: functions of one number, special functions, quotients, mixtures, repairs."""

import dataclasses

import numpy as np
import scipy.special

from samples.base import Case, Record, binary, unary, values
from tensorlite import errors

_of_lists = (lambda t: t.exp2([1.0]), errors.DTypeError, "exp2: a tensor is needed, not list")
_misfit = (
    lambda t: t.atan2(t.ones(2, 3), t.ones(2, 4)),
    errors.ShapeError,
    "atan2: shapes (2, 3) and (2, 4) do not broadcast",
)

functions = [
    unary("exp2", np.exp2, errors=(_of_lists,)),
    unary("sinh", np.sinh),
    unary("cosh", np.cosh),
    unary("asin", np.arcsin, low=-0.9, high=0.9, kinks="1"),
    unary("acos", np.arccos, low=-0.9, high=0.9, kinks="1"),
    unary("atan", np.arctan, low=-3.0, high=3.0),
    unary("asinh", np.arcsinh, low=-3.0, high=3.0),
    unary("acosh", np.arccosh, low=1.2, high=4.0, kinks="1"),
    unary("atanh", np.arctanh, low=-0.9, high=0.9, kinks="1"),
    Record("mul", lambda t, x: t.deg2rad(x), np.deg2rad, lambda rng: [Case((values(rng, s),)) for s in ((3, 4), ())],
           name="deg2rad", ints=True, result="float"),
    Record("mul", lambda t, x: t.rad2deg(x), np.rad2deg, lambda rng: [Case((values(rng, s),)) for s in ((3, 4), ())],
           name="rad2deg", ints=True, result="float"),
    binary("atan2", np.arctan2, away=(0,), gap=0.3, result="float", kinks="the origin", errors=(_misfit,)),
    binary("hypot", np.hypot, away=(0,), gap=0.3, result="float", kinks="the origin"),
    Record("exp2", lambda t, x, y: t.ldexp(x, y), lambda x, y: x * 2.0**y, lambda rng: [
        Case((values(rng, a), values(rng, b))) for a, b in (((3, 4), (4,)), ((), ()), ((0,), ()))], name="ldexp",
        ints=True, result="float"),
    binary("logaddexp", np.logaddexp, result="float"),
    binary("logaddexp2", np.logaddexp2, result="float"),
]  # fmt: skip


def _numbers(op, f, ref, x, *pairs, **kw):
    """A record for a function of a tensor and a number, in one order or both."""

    def cases(rng):
        x1 = values(rng, (2, 3), *x)
        return [Case(tuple(x1 if a is None else a for a in pair)) for pair in pairs]

    return Record(op, lambda t, x, y: getattr(t, f)(x, y), ref, cases, name=f"{f}_of_a_number", **kw)


def _activation(op, ref, **kw):
    """A record for a function of nn.functional, which takes floats only."""
    call = lambda t, x: getattr(t.nn.functional, op)(x)  # noqa: E731
    return dataclasses.replace(unary(op, ref, ints=False, result="same", **kw), call=call)


def _polygamma(x, n):
    return scipy.special.polygamma(n, x)


special = [
    unary("erfc", scipy.special.erfc, low=-3.0, high=3.5),
    unary("erfinv", scipy.special.erfinv, low=-0.95, high=0.95, kinks="1"),
    unary("lgamma", scipy.special.gammaln, low=0.5, high=6.0, kinks="0, -1, ..."),
    Record("lgamma", lambda t, x: t.lgamma(x), scipy.special.gammaln, lambda rng: [
        Case((values(rng, (3, 3), -3.7, -0.3, away=(-3, -2, -1), gap=0.3),))], name="lgamma_of_negative", elementwise=True),
    unary("digamma", scipy.special.psi, low=0.5, high=6.0, kinks="0, -1, ..."),
    Record("digamma", lambda t, x: t.digamma(x), scipy.special.psi, lambda rng: [
        Case((values(rng, (3, 3), -3.7, -0.3, away=(-3, -2, -1), gap=0.3),))], name="digamma_of_negative", elementwise=True,
        low_precision=16.0),
    Record("polygamma", lambda t, x, n: t.polygamma(n, x), _polygamma, lambda rng: [
        *[Case((values(rng, s, 0.7, 4.0),), {"n": n}) for n, s in ((0, (3,)), (1, (3, 4)), (2, (2, 2)), (3, ()), (1, (0, 2)))],
        ], result="float", ints=True, elementwise=True, kinks="0, -1, ...", low_precision=8.0,
        errors=((lambda t: t.polygamma(-1, t.ones(2)), errors.ArgumentError,
                 "polygamma: n must be a whole number from 0 on, not -1"),)),
    unary("sinc", np.sinc, low=-3.0, high=3.0),
    Record("sinc", lambda t, x: t.sinc(x), np.sinc, lambda rng: [Case((np.array([0.0, 1e-3, -0.02, 1.0, 0.63, 0.65]),))],
           name="sinc_near_0", torch="value", errors=((lambda t: t.sinc(1.0), errors.DTypeError,
                                                       "sinc: a tensor is needed, not float"),)),
    unary("logit", scipy.special.logit, low=0.1, high=0.9, kinks="0, 1"),
    Record("logit", lambda t, x, eps: t.logit(x, eps), lambda x, eps: scipy.special.logit(np.clip(x, eps, 1 - eps)),
           lambda rng: [Case((values(rng, (3, 4), -0.5, 1.5, away=(0.1, 0.9)),), {"eps": 0.1})], name="logit_eps"),
    binary("xlogy", scipy.special.xlogy, low2=0.3, high2=3.0, result="float", kinks="y = 0", gap=0.3),
    _numbers("xlogy", "xlogy", scipy.special.xlogy, (0.3, 2.0), (None, 2.5), (2, None), (0.0, None)),
    _activation("silu", lambda x: x * scipy.special.expit(x)),
    _activation("mish", lambda x: x * np.tanh(np.log1p(np.exp(x)))),
    _activation("hardswish", lambda x: x * np.clip(x / 6 + 0.5, 0, 1), low=-4.5, high=4.5, away=(-3, 3), kinks="-3, 3"),
    dataclasses.replace(binary("xlog1py", scipy.special.xlog1py, low2=-0.7, high2=3.0, result="float", kinks="y = -1", gap=0.3),
                        call=lambda t, x, y: t.special.xlog1py(x, y)),
    dataclasses.replace(unary("entr", scipy.special.entr, low=0.2, high=3.0, kinks="0"), call=lambda t, x: t.special.entr(x)),
]  # fmt: skip


# ---------------------------------------------------------------- arithmetic
def _division(mode, op, ref):
    record = binary(op, ref, low=-5.1, high=4.9, low2=0.8, high2=0.8, away=(*(0.8 * k for k in range(-7, 8)), -4, -2, 2, 4),
                    away2=(), kinks="steps", torch="value" if mode == "floor" else True)  # fmt: skip
    record.call, record.name = lambda t, x, y: t.div(x, y, rounding_mode=mode), f"div_{mode}_mode"
    return record


def _three(rng):
    v = lambda *s: values(rng, s, 0.5, 2.0)  # noqa: E731
    return [
        (v(3, 4), v(3, 4), v(3, 4)),
        (v(2, 1), v(3), v()),
        (v(3), v(2, 3), v(2, 1)),
        (v(), v(), v()),
        (v(0), v(0), v(1)),
    ]


_both_ints = (lambda t: t.addcdiv(t.ones(2), t.arange(2), t.arange(2)), errors.DTypeError,
              "addcdiv: tensor1 and tensor2 are both integers; convert one first, e.g. tensor1.float()")  # fmt: skip
_bools = (lambda t: t.fmod(t.tensor([True]), t.tensor([True])), errors.DTypeError,
          "fmod: bools have no power, quotient or remainder; convert one first, e.g. x.int(): x bool (1,)")  # fmt: skip
_lerp_errors = (
    (lambda t: t.lerp(t.ones(2), t.ones(2, dtype=t.float64), 0.5), errors.DTypeError,
     "lerp: end must have input's dtype float32, not float64; use end.to(input.dtype)"),
    (lambda t: t.lerp(t.arange(2), t.arange(2), 0.5), errors.DTypeError, "lerp: input must be floating point, use x.float()"),
    (lambda t: t.lerp(t.ones(2, 3), t.ones(4), 0.5), errors.ShapeError, "lerp: shapes (2, 3) and (4,) do not broadcast"),
)  # fmt: skip

arithmetic = [
    _division("trunc", "div_trunc", lambda x, y: np.trunc(x / y)),
    _division("floor", "floor_divide", np.floor_divide),
    binary("fmod", np.fmod, low=1.0, high=1.3, low2=0.7, high2=0.9, kinks="steps", errors=(_bools,)),
    _numbers("fmod", "fmod", np.fmod, (-2.6, -2.1), (None, 1.0), (None, 2)),
    binary("fmax", np.fmax, apart=0.25, kinks="x = y"),
    binary("fmin", np.fmin, apart=0.25, kinks="x = y"),
    Record("sub", lambda t, x, y, alpha: t.rsub(x, y, alpha=alpha), lambda x, y, alpha: y - alpha * x, lambda rng: [
        Case((values(rng), values(rng, 4)), {"alpha": 0.5}), Case((values(rng), 2.0), {"alpha": 1})], name="rsub"),
    Record("pow", lambda t, x, y: t.float_power(x, y), np.float_power, lambda rng: [
        Case((values(rng, (3, 4), 0.3, 2.0), values(rng, (4,)))), Case((values(rng, (3,), 0.3, 2.0), 2)),
        Case((2.5, values(rng, (3,))))], name="float_power", result="float64"),
    Record("lerp", lambda t, x, y, w: t.lerp(x, y, w), lambda x, y, w: x + w * (y - x), lambda rng: [
        *[Case(xs) for xs in _three(rng)], Case((values(rng), values(rng, 4), 0.3)), Case((values(rng), values(rng, 4), 2))],
        errors=_lerp_errors, elementwise=True),
    Record("add", lambda t, x, y, z, value: t.addcmul(x, y, z, value=value), lambda x, y, z, value: x + value * y * z,
           lambda rng: [Case(xs, {"value": v}) for xs, v in zip(_three(rng), (1, 2, 3, 3, 1), strict=True)], name="addcmul",
           ints=True, errors=((lambda t: t.addcmul(t.arange(2), t.arange(2), t.arange(2), value=0.5), errors.DTypeError,
                               "addcmul: value must be an integer for int64 tensors, not 0.5; use x.float()"),)),
    Record("add", lambda t, x, y, z, value: t.addcdiv(x, y, z, value=value), lambda x, y, z, value: x + value * y / z,
           lambda rng: [Case(xs, {"value": v}) for xs, v in zip(_three(rng), (1, 0.5, -1, 3, 1), strict=True)], name="addcdiv",
           errors=(_both_ints,)),
]  # fmt: skip


# ---------------------------------------------------------------- rounding, signs, repairs, bounds
_STEPS = {"low": -3.0, "high": 3.0, "result": "same"}
_odd = np.array([[0.0, -0.0, np.nan], [np.inf, -np.inf, 2.5]])
_questions = lambda rng: [Case((_odd,)), Case((np.array(np.nan),)), Case((np.zeros((0, 2)),))]  # noqa: E731


def _decimals(rng):
    x = values(rng, (3, 4), -3.0, 3.0)
    near = lambda x, d: (np.floor(x * 10**d) + 0.2) / 10**d  # away from the steps  # noqa: E731
    return [Case((near(x, 1.0),), {"decimals": 1}), Case((near(100 * x, -1.0),), {"decimals": -1}),
            Case((near(x, 0.0),), {"decimals": 0})]  # fmt: skip


def _nan_to_num(rng):
    filled = {"nan": 0.5, "posinf": 9.0, "neginf": -9.0}
    return [Case((values(rng),)), Case((values(rng, ()),), filled), Case((np.array([1.5, np.nan, np.inf, -np.inf]),), filled),
            Case((np.zeros((0, 2)),))]  # fmt: skip


def _nan_ref(x, **kw):
    return np.nan_to_num(x, **kw)


def _bounds(rng):
    v = lambda *s, low, high: values(rng, s, low, high)  # noqa: E731
    x = values(rng, (3, 4), -3.0, 3.0, away=(-1, 1), gap=0.4)
    low, high = v(4, low=-1.3, high=-0.8), v(3, 1, low=0.8, high=1.3)
    return [Case((x, low, high)), Case((x, low, None)), Case((x, None, high)), Case((x, low, 1.0)), Case((x, -1, high)),
            Case((x, high, low)), Case((values(rng, ()), v(2, low=3.0, high=4.0), None)), Case((x[:0], low, None))]  # fmt: skip


def _clamp(x, low, high):
    x = x if low is None else np.maximum(x, low)
    return x if high is None else np.minimum(x, high)


def _mixed(low, high):  # PyTorch takes two tensors or two numbers
    return any(isinstance(v, (int, float)) for v in (low, high))


def _torch_clamp(t, x, low, high):
    if _mixed(low, high):
        low, high = (t.tensor(v, dtype=x.dtype) if isinstance(v, (int, float)) else v for v in (low, high))
    return t.clamp(x, low, high)


steps = [
    unary("trunc", np.trunc, away=range(-3, 4), kinks="whole numbers", **_STEPS),
    unary("frac", lambda x: x - np.trunc(x), away=range(-3, 4), kinks="whole numbers", **{**_STEPS, "ints": False},
          errors=((lambda t: t.frac(t.arange(3)), errors.DTypeError, "frac: integers have no fraction; use x.float()"),)),
    Record("round", lambda t, x, decimals: t.round(x, decimals=decimals), lambda x, decimals: np.round(x, decimals), _decimals,
           name="round_decimals", kinks="steps", errors=((lambda t: t.round(t.arange(3), decimals=1), errors.DTypeError,
           "round: decimals is for floating point only, use x.float(): input int64 (3,)"),)),
    binary("copysign", np.copysign, away=(0,), result="float", kinks="0"),
    _numbers("copysign", "copysign", np.copysign, (0.3, 2.0), (None, -2.5), (None, 0)),
    binary("heaviside", np.heaviside, away=(0,), kinks="0", torch="value",
           errors=((lambda t: t.heaviside(t.ones(2), t.arange(2)), errors.DTypeError, "heaviside: both must have one dtype"),)),
    binary("nextafter", np.nextafter, away=(0,), ints=False,
           errors=((lambda t: t.nextafter(t.arange(2), t.arange(2)), errors.DTypeError,
                    "nextafter: integers have no next floating-point number; use x.float()"),)),
    Record("nan_to_num", lambda t, x, **kw: t.nan_to_num(x, **kw), _nan_ref, _nan_to_num, ints=True, low_precision=8.0),
    Record("clamp_between", lambda t, x, low, high: t.clamp(x, low, high), _clamp, _bounds, kinks="the bounds",
           torch=_torch_clamp, errors=((lambda t: t.clamp(t.ones(2, 3), t.zeros(4)), errors.ShapeError,
           "clamp_between: shapes (2, 3) and (4,) do not broadcast"),)),
    Record("clamp_between", lambda t, x, y: t.clamp_min(x, y), np.maximum, lambda rng: [
        Case((values(rng, (3, 4), away=(0.5,)), np.full(4, 0.5)))], name="clamp_min"),
    Record("clamp", lambda t, x, y: t.clamp_max(x, y), np.minimum, lambda rng: [Case((values(rng, away=(0.5,)), 0.5))],
           name="clamp_max"),
]  # fmt: skip


# ---------------------------------------------------------------- bits and questions
def _shifts(op, ref):
    def cases(rng):
        w = lambda s, low, high, d: rng.integers(low, high, s).astype(d)  # noqa: E731
        pairs = (((3, 4), (3, 4)), ((3, 1), (4,)), ((), (2,)), ((0,), ()))
        found = [Case((w(a, -90, 90, d), w(b, 0, 5, d))) for d in ("int64", "int32", "int8") for a, b in pairs]
        return [*found, Case((w((4,), 0, 255, "uint8"), 2)), Case((3, w((4,), 0, 5, "int64")))]

    floats = (lambda t: getattr(t, op)(t.ones(2), t.ones(2)), errors.DTypeError,
              f"{op}: only integer tensors have bits to shift; convert first, e.g. x.int()")  # fmt: skip
    return Record(op, lambda t, x, y: getattr(t, op)(x, y), ref, cases, order=0, elementwise=True, errors=(floats,))


def _divisors(op, ref):
    def cases(rng):
        pairs = (((3, 4), (3, 4)), ((3, 1), (4,)), ((), (2,)), ((0,), ()))
        return [Case((rng.integers(-9, 10, a).astype(d), rng.integers(-9, 10, b).astype(d)))
                for d in ("int64", "int8") for a, b in pairs]  # fmt: skip

    floats = (lambda t: getattr(t, op)(t.ones(2), t.ones(2)), errors.DTypeError,
              f"{op}: only integers have divisors and multiples; convert first, e.g. x.int()")  # fmt: skip
    return Record(op, lambda t, x, y: getattr(t, op)(x, y), ref, cases, order=0, elementwise=True, errors=(floats,))


bits = [
    _shifts("bitwise_left_shift", lambda x, y: np.left_shift(x, y, dtype=getattr(x, "dtype", getattr(y, "dtype", None)))),
    _shifts("bitwise_right_shift", np.right_shift),
    _divisors("gcd", np.gcd),
    _divisors("lcm", np.lcm),
    Record("signbit", lambda t, x: t.signbit(x), np.signbit, lambda rng: _questions(rng)[:1] + _questions(rng)[2:], order=0,
           ints=True, result="bool"),
    Record("eq", lambda t, x: t.isposinf(x), np.isposinf, _questions, order=0, ints=True, result="bool", name="isposinf"),
    Record("eq", lambda t, x: t.isneginf(x), np.isneginf, _questions, order=0, ints=True, result="bool", name="isneginf"),
]  # fmt: skip

RECORDS = [*functions, *special, *arithmetic, *steps, *bits]
