"""Independent derivatives for the tests: finite differences in float64, and how a sample becomes tensors and a number."""

import contextlib

import numpy as np

import tensorlite as tl

STENCIL = ((-2, 1 / 12), (-1, -2 / 3), (1, 2 / 3), (2, -1 / 12))  # central, of fourth order: error ~ h^4


def host(x):
    """The values of a tensor (or number) as a NumPy array, from any device."""
    if not isinstance(x, tl.Tensor):
        return np.asarray(x)
    return np.asarray(x.detach().cpu().array)


def as_tuple(result):
    """One result or several, as a tuple."""
    return tuple(result) if isinstance(result, (tuple, list)) else (result,)


def is_wanted(a) -> bool:
    """Whether an argument of a sample is differentiated: the float64 arrays are."""
    return isinstance(a, np.ndarray) and a.dtype == np.float64


def leaf(a, requires_grad=True):
    """An argument of a sample as the operation takes it: arrays as tensors on the default device, the rest as it is."""
    return tl.tensor(a, requires_grad=requires_grad and is_wanted(a)) if isinstance(a, np.ndarray) else a


@contextlib.contextmanager
def telling(case):
    """Name the case in the report of a failure."""
    try:
        yield
    except Exception as e:
        e.add_note(f"case: {case}")
        raise


def weights(outs, seed=5):
    """One random array for each result: the loss is the sum of their products."""
    rng = np.random.default_rng(seed)
    return [rng.uniform(-1, 1, np.shape(o)) for o in outs]


def scalar(record, case, tensors, ws):
    """The weighted sum of all results, as a tensor."""
    outs = as_tuple(record.call(tl, *tensors, **case.args))
    parts = [(o * tl.tensor(w)).sum() for o, w in zip(outs, ws, strict=True)]
    total = parts[0]
    for p in parts[1:]:
        total = total + p
    return total


def first(record, case, arrays, ws):
    """The gradients for the wanted arrays, from tensorlite, as NumPy arrays."""
    tensors = [leaf(a) for a in arrays]
    wanted = [t for a, t in zip(arrays, tensors, strict=True) if is_wanted(a)]
    found = tl.autograd.grad(scalar(record, case, tensors, ws), wanted, materialize_grads=True)
    return [host(g) for g in found]


def higher(record, case, arrays, ws, directions):
    """<... d/dx <d/dx <d/dx f, v1>, v2> ..., vn> for directions [v1, ..., vn] (each: one array for each wanted array)."""
    tensors = [leaf(a) for a in arrays]
    wanted = [t for a, t in zip(arrays, tensors, strict=True) if is_wanted(a)]
    f = scalar(record, case, tensors, ws)
    for vs in directions:
        if not f.requires_grad:  # a linear function: all further derivatives are 0
            return 0.0
        grads = tl.autograd.grad(f, wanted, create_graph=True, materialize_grads=True)
        parts = [(g * tl.tensor(v)).sum() for g, v in zip(grads, vs, strict=True)]
        f = parts[0]
        for p in parts[1:]:
            f = f + p
    return float(host(f))


def differences(f, x, h=1e-3):
    """df/dx for every element of x by finite differences; f takes an array and gives a number."""
    out = np.zeros(x.shape)
    for place in np.ndindex(*x.shape):
        for step, factor in STENCIL:
            moved = x.copy()
            moved[place] += step * h
            out[place] += factor * f(moved) / h
    return out


def along(f, arrays, vs, h=1e-3):
    """The derivative of f(arrays) when the wanted arrays move along vs, by finite differences."""
    total = 0.0
    for step, factor in STENCIL:
        moves = iter(vs)
        moved = [np.asarray(a + step * h * next(moves)) if is_wanted(a) else a for a in arrays]
        total += factor * f(moved) / h
    return total


def directions(arrays, seed):
    """A random direction for the wanted arrays."""
    rng = np.random.default_rng(seed)
    return [rng.uniform(-1, 1, a.shape) for a in arrays if is_wanted(a)]
