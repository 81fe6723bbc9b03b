"""Inputs for `tensorlite gradcheck`: one call for every registered operation, in float64 and away from kinks."""

from tensorlite import errors
from tensorlite.creation import tensor
from tensorlite.gradcheck import GradcheckError, directional_check
from tensorlite.op import Elementwise, registry
from tensorlite.random import Generator, randn

_POSITIVE = {"log", "log1p", "log2", "log10", "sqrt", "rsqrt", "reciprocal", "pow", "div", "floor_divide", "remainder"}


def _key(*parts):
    return {"key": parts, "basic": True}


# name -> (shapes of the float inputs, function(op, them, integer or bool extras by need))
def _calls(device):
    def ints(*rows):
        return tensor(rows, device=device)

    mask = tensor([[True, False, True, True], [False, True, True, False], [True, True, False, True]], device=device)
    norm = {"shape": (4,), "eps": 1e-5}
    attention = {"causal": True, "scale": 0.5, "dropout_p": 0.0, "seed": 0, "offset": 0}
    over = {"dim": (1,), "keepdim": False}
    steps = ((registry["index"], _key(slice(0, 2), ...)),)
    x = (3, 4)
    return {
        "where": ([x, x], lambda op, a, c: op.apply(mask, a, c)),
        "clamp": ([x], lambda op, a: op.apply(a, low=-0.5, high=0.7)),
        "clone": ([x], lambda op, a: op.apply(a)),
        "alias": ([x], lambda op, a: op.apply(a)),
        "to_device": ([x], lambda op, a: op.apply(a, device=a.device, source=a.device)),
        "sum": ([x], lambda op, a: op.apply(a, **over)),
        "mean": ([x], lambda op, a: op.apply(a, **over)),
        "amax": ([x], lambda op, a: op.apply(a, **over)),
        "amin": ([x], lambda op, a: op.apply(a, **over)),
        "logsumexp": ([x], lambda op, a: op.apply(a, **over)),
        "var": ([x], lambda op, a: op.apply(a, **over, correction=1)),
        "sum_to": ([x], lambda op, a: op.apply(a, shape=(4,))),
        "reshape": ([x], lambda op, a: op.apply(a, shape=(2, 6))),
        "permute": ([x], lambda op, a: op.apply(a, dims=(1, 0))),
        "expand": ([(1, 4)], lambda op, a: op.apply(a, shape=(3, 4))),
        "flip": ([x], lambda op, a: op.apply(a, dims=(0,))),
        "cat": ([x, (2, 4)], lambda op, a, c: op.apply(a, c, dim=0)),
        "tril": ([x], lambda op, a: op.apply(a, diagonal=0)),
        "triu": ([x], lambda op, a: op.apply(a, diagonal=0)),
        "index": ([x], lambda op, a: op.apply(a, **_key(slice(1, None), ...))),
        "index_add": ([(2, 4)], lambda op, a: op.apply(a, key=(slice(0, 2),), shape=(3, 4))),
        "assign": ([x, (2, 4)], lambda op, a, c: op.apply(a, c, steps=steps)),
        "take_along": ([x], lambda op, a: op.apply(a, ints([0, 2], [1, 1], [3, 0]), dim=1)),
        "put_along": ([(3, 2)], lambda op, a: op.apply(a, ints([0, 2], [1, 1], [3, 0]), shape=(3, 4), dim=1)),
        "embedding": ([x], lambda op, a: op.apply(a, ints([0, 2], [2, 1]))),
        "embedding_backward": ([(2, 2, 4)], lambda op, a: op.apply(a, ints([0, 2], [2, 1]), rows=3)),
        "matmul": ([(2, 3, 4), (4, 5)], lambda op, a, c: op.apply(a, c)),
        "linear": ([(2, 3, 4), (5, 4), (5,)], lambda op, a, w, c: op.apply(a, w, c)),
        "softmax": ([x], lambda op, a: op.apply(a, dim=1)),
        "log_softmax": ([x], lambda op, a: op.apply(a, dim=1)),
        "gelu": ([x], lambda op, a: op.apply(a, approximate="none") + op.apply(a, approximate="tanh")),
        "layer_norm": ([x, (4,), (4,)], lambda op, a, w, c: op.apply(a, w, c, **norm)),
        "rms_norm": ([x, (4,)], lambda op, a, w: op.apply(a, w, **norm)),
        "dropout": ([x], lambda op, a: op.apply(a, p=0.4, seed=1, offset=1)),
        "cross_entropy": ([x], lambda op, a: op.apply(
            a, tensor([1, -100, 3], device=device), None, ignore_index=-100, smoothing=0.1, reduction="mean")),
        "attention": ([(2, 3, 4), (2, 3, 4), (2, 3, 5)], lambda op, q, k, v: op.apply(q, k, v, None, **attention)),
    }  # fmt: skip


def checked(name, device="cpu"):
    """(worst relative error of the first, of the second derivative, a note) for one operation; None where it has none."""
    op = registry[name]
    if not (op.rules or op.fused or op.variadic):
        return None, None, "carries results only" if name == "pick" else "no gradient"
    if name == "cast":
        return None, None, "checked by its users: float32 has no room for differences"
    calls = _calls(device)
    if name in calls:
        shapes, call = calls[name]
    elif issubclass(op, Elementwise):
        shapes, call = [(3, 4)] * (len(op.inputs) - 1) + [(4,)], lambda op, *xs: op.apply(*xs)
    else:
        return None, None, "WRONG: no inputs are known for it; add a line to cli/samples.py"
    draw = Generator().manual_seed(0)
    xs = [randn(*s, generator=draw, dtype="float64", device=device) for s in shapes]
    if name in _POSITIVE:
        xs = [x.abs() + 0.5 for x in xs]
    xs = [x.requires_grad_() for x in xs]
    weights = {}

    def value(power=1):
        out = call(op, *xs)
        if power not in weights:
            weights[power] = randn(*out.shape, generator=draw, dtype="float64", device=device)
        return (out**power * weights[power]).sum()

    def slope():
        from tensorlite.autograd import grad
        from tensorlite.modes import enable_grad

        with enable_grad():
            gs = grad(value(3), xs, create_graph=True)
            return sum((g * g).sum() for g in gs)

    try:
        first = max(r[2] for r in directional_check(value, xs))
        second = max(r[2] for r in directional_check(slope, xs))
    except (GradcheckError, errors.TensorliteError) as e:
        return None, None, f"WRONG: {e}"
    return first, second, "" if max(first, second) < 1e-5 else "WRONG"
