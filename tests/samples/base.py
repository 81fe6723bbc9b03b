"""What a record of the table says about one operation, and how its inputs are made. The records stand in the files beside."""

import operator
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np


@dataclass
class Case:
    """One call: the positional arrays (float64 ones are differentiated) and the other arguments."""

    arrays: tuple
    args: dict = field(default_factory=dict)
    label: str = ""

    def __str__(self):
        shapes = ",".join(
            f"{'' if a.dtype == np.float64 else a.dtype.name}{a.shape}" if isinstance(a, np.ndarray) else str(a)
            for a in self.arrays
        )
        return self.label or " ".join([shapes.replace(" ", ""), *(f"{k}={v}" for k, v in self.args.items())])


@dataclass
class Record:
    """One operation under examination.

    call(t, *tensors, **args)   the public function, where t is tensorlite or torch; several results come as a tuple
    ref(*arrays, **args)        the same value from NumPy, SciPy or plain Python
    cases(rng)                  the calls: arguments, shapes, empty and 0-d inputs; they keep away from kinks and poles
    """

    op: str
    call: Callable
    ref: Callable
    cases: Callable
    kinks: str = ""  # where the slope jumps or is infinite: the cases stay away, and test_kinks.py looks there
    order: int = 2  # how many derivatives finite differences confirm (0: the op has no gradient)
    ints: bool = False  # takes integer and bool tensors too
    result: str = "same"  # dtype of the result: same, float (integers become the default), sum, bool, int64
    torch: object = True  # True: call runs on PyTorch; False: PyTorch has no such function; else a call of its own
    elementwise: bool = False
    low_precision: float = (
        4.0  # tolerance in float32 and float16, in units of 2^(-mantissa bits) times the largest value
    )
    errors: tuple = ()  # (call(t), exception type, text in its message)
    name: str = ""  # where an op has several records

    def __post_init__(self):
        self.name = self.name or self.op


def rng_for(name: str):
    """A generator of its own for each record: the numbers of one do not depend on the others."""
    return np.random.Generator(np.random.PCG64(list(name.encode())))


def values(rng, shape=(3, 4), low=-2.0, high=2.0, away=(), gap=0.05):
    """Uniform float64 numbers, none nearer than gap to a number in `away`."""
    x = rng.uniform(low, high, shape)
    for k in away:
        x = np.where(np.abs(x - k) < gap, k + np.where(x < k, -gap, gap) * (1 + rng.random(shape)), x)
    return np.asarray(x)


def distinct(rng, shape, low=-2.0, high=2.0):
    """Numbers of which no two are near to each other: for maxima and minima."""
    n = int(np.prod(shape))
    return np.linspace(low, high, max(n, 1))[:n][rng.permutation(n)].reshape(shape)


def unary(op, ref, low=-2.0, high=2.0, away=(), **kw) -> Record:
    """A record for a function of one tensor."""

    def cases(rng):
        return [Case((values(rng, s, low, high, away),)) for s in ((3, 4), (5,), (), (0,), (2, 0, 3), (2, 1, 2))]

    kw = {"elementwise": True, "ints": True, "result": "float", **kw}
    return Record(op, lambda t, x: getattr(t, op)(x), ref, cases, **kw)


PAIRS = (
    ((3, 4), (3, 4)), ((3, 1), (1, 4)), ((2, 3, 2), (2,)), ((), (3,)), ((2, 1), ()), ((), ()), ((0, 3), (3,)), ((2, 0), (1, 1)),
)  # fmt: skip


def binary(
    op, ref, sign=None, low=-2.0, high=2.0, away=(), low2=None, high2=None, away2=None, gap=0.05, apart=0.0, **kw
) -> Record:
    """A record for a function of two tensors; with a sign of its own also of a tensor and a number, in both orders."""
    low2, high2 = low if low2 is None else low2, high if high2 is None else high2
    away2 = away if away2 is None else away2
    symbol = getattr(operator, sign) if sign else None

    def call(t, x, y):
        number = not hasattr(x, "shape") or not hasattr(y, "shape")
        return symbol(x, y) if number else getattr(t, op)(x, y)

    def cases(rng):
        made = []
        for a, b in PAIRS:
            x, y = values(rng, a, low, high, away, gap), values(rng, b, low2, high2, away2, gap)
            if apart:  # keep away from x = y: y on a grid, x between
                x = np.asarray(np.floor(x / apart) * apart + apart / 2)
                y = np.asarray(np.floor(y / apart) * apart)
            made.append(Case((x, y)))
        if symbol:
            x, y = values(rng, (2, 3), low, high, away, gap), values(rng, (2, 3), low2, high2, away2, gap)
            made += [Case((x, float(low2 + 0.7 * (high2 - low2)))), Case((float(low + 0.7 * (high - low)), y))]
            made += [Case((x, 2)), Case((2, y))]
        return made

    return Record(op, call, ref, cases, **{"elementwise": True, "ints": True, **kw})
