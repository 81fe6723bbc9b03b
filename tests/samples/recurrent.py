"""Records of the recurrent operations: one sequence after the other, step by step, in NumPy."""

import numpy as np
from scipy.special import expit

from samples.base import Case, Record, values
from tensorlite import errors
from tensorlite.op import registry


def _sequences(x, states, sizes, reverse, step):
    """step(row of x, states) -> states, for every sequence on its own; the rows of the first state, then the last ones."""
    starts = np.cumsum([0, *sizes[:-1]])
    last, rows = [np.array(s) for s in states], np.zeros((len(x), states[0].shape[1]), x.dtype)
    for k in range(len(states[0])):
        places = [start + k for start, n in zip(starts, sizes) if k < n]
        now = tuple(s[k] for s in states)
        for place in places[::-1] if reverse else places:
            now = step(x[place], now)
            rows[place] = now[0]
        for kept, v in zip(last, now, strict=True):
            kept[k] = v
    return rows, *last


def _rnn(x, h, w, *, sizes, reverse, relu):
    squash = (lambda v: np.maximum(v, 0)) if relu else np.tanh
    return _sequences(x, (h,), sizes, reverse, lambda v, s: (squash(v + w @ s[0]),))


def _lstm(x, h, c, w, p=None, *, sizes, reverse):
    def step(v, state):
        i, f, g, o = np.split(v + w @ state[0], 4)
        c = expit(f) * state[1] + expit(i) * np.tanh(g)
        h = expit(o) * np.tanh(c)
        return (h if p is None else p @ h), c

    return _sequences(x, (h, c), sizes, reverse, step)


def _gru(x, h, w, bias=None, *, sizes, reverse):
    def step(v, state):
        a = w @ state[0] + (0 if bias is None else bias)
        n = len(state[0])
        r, z = expit(v[:n] + a[:n]), expit(v[n : 2 * n] + a[n : 2 * n])
        return ((1 - z) * np.tanh(v[2 * n :] + r * a[2 * n :]) + z * state[0],)

    return _sequences(x, (h,), sizes, reverse, step)


SIZES = ((2, 2, 2), (3, 2, 2, 1), (1,), ())


def _cases(gates, size, states, more=(), **args):
    """`more`: the shapes of the arguments after the states."""

    def cases(rng):
        made = []
        for sizes in SIZES:
            n = max(sizes, default=2)
            for reverse in (False, True):
                x = values(rng, (sum(sizes), gates * size))
                if args.get("relu"):
                    x = np.where(rng.random(x.shape) < 0.5, x + 4, x - 4)  # far from the kink
                given = [values(rng, (n, width)) for width in states] + [values(rng, s, -0.5, 0.5) for s in more]
                made.append(Case((x, *given), {"sizes": sizes, "reverse": reverse, **args}, f"{sizes} {reverse}"))
        return made

    return cases


def _call(name):
    return lambda t, *arrays, **args: registry[name].apply(*arrays, **args)


def _with_none(name):
    return lambda t, *arrays, **args: registry[name].apply(*arrays, None, **args)


_errors = (
    (lambda t: t.nn.LSTM(3, 4)(t.ones(2, 1, 5)), errors.ShapeError, "LSTM: input has 5 features, the layer expects 3"),
)

RECORDS = [
    Record("rnn_steps", _call("rnn_steps"), _rnn, _cases(1, 3, (3,), ((3, 3),), relu=False), torch=False,
           low_precision=16.0, errors=_errors, name="rnn_steps_tanh"),
    Record("rnn_steps", _call("rnn_steps"), _rnn, _cases(1, 2, (2,), ((2, 2),), relu=True), torch=False,
           kinks="where the sum of a step is 0", low_precision=16.0, name="rnn_steps_relu"),
    Record("lstm_steps", _with_none("lstm_steps"), _lstm, _cases(4, 2, (2, 2), ((8, 2),)), torch=False, low_precision=16.0),
    Record("lstm_steps", _call("lstm_steps"), _lstm, _cases(4, 3, (2, 3), ((12, 2), (2, 3))), torch=False,
           low_precision=16.0, name="lstm_steps_projected"),
    Record("gru_steps", _call("gru_steps"), _gru, _cases(3, 2, (2,), ((6, 2), (6,))), torch=False, low_precision=16.0),
    Record("gru_steps", _with_none("gru_steps"), _gru, _cases(3, 2, (2,), ((6, 2),)), torch=False, low_precision=16.0,
           name="gru_steps_without_bias"),
]  # fmt: skip
