"""Inputs for `tensorlite gradcheck`: one call for every registered operation, in float64 and away from kinks."""

from tensorlite import errors
from tensorlite.creation import tensor
from tensorlite.elementwise import Elementwise
from tensorlite.gradcheck import GradcheckError, directional_check
from tensorlite.op import registry
from tensorlite.ops.join import cat
from tensorlite.random import Generator, randn

_POSITIVE = {
    "log", "log1p", "log2", "log10", "sqrt", "rsqrt", "reciprocal", "pow", "div", "floor_divide", "div_trunc", "remainder",
    "fmod", "atan2", "lgamma", "digamma", "polygamma", "xlogy",
}  # fmt: skip
_WITHIN_1 = {"asin", "acos", "atanh", "erfinv"}


def _key(*parts):
    return {"key": parts, "basic": True}


# name -> (shapes of the float inputs, function(op, them, integer or bool extras by need))
def _calls(device):
    def ints(*rows):
        return tensor(rows, device=device)

    mask = tensor([[True, False, True, True], [False, True, True, False], [True, True, False, True]], device=device)
    norm = {"shape": (4,), "eps": 1e-5}
    attention = {"causal": True, "scale": 0.5, "dropout_p": 0.0, "seed": 0, "offset": 0}
    walk = {"sizes": (3, 2), "reverse": False}
    over = {"dim": (1,), "keepdim": False}
    conv = {"stride": (2,), "low": (1,), "dilation": (1,), "groups": 2}
    window = {"kernel": (2,), "stride": (2,), "low": (1,), "dilation": (2,)}
    steps = ((registry["index"], _key(slice(0, 2), ...)),)
    x, square = (3, 4), (3, 3)
    apart = tensor([[4.0, 0, 0], [0, 6, 0], [0, 0, 9]], dtype="float64", device=device)
    square_of = lambda a: a * 0.5 + apart  # noqa: E731  (far from singular, eigenvalues apart)
    factors = lambda *vs: sum((v.abs() if v.ndim > 1 else v).sum() for v in vs)  # noqa: E731  (without their signs)
    return {
        "where": ([x, x], lambda op, a, c: op.apply(mask, a, c)),
        "clamp": ([x], lambda op, a: op.apply(a, low=-0.5, high=0.7)),
        "clamp_between": ([x, (4,), (3, 1)], lambda op, a, c, d: op.apply(a, c - 1, d + 1)),
        "lerp": ([x, (4,), (3, 1)], lambda op, a, c, w: op.apply(a, c, w)),
        "polygamma": ([x], lambda op, a: op.apply(a, n=1)),
        "sinc": ([x], lambda op, a: op.apply(a)),
        "i0": ([x], lambda op, a: op.apply(a)),
        "nan_to_num": ([x], lambda op, a: op.apply(a, nan=0.0, posinf=1.0, neginf=-1.0)),
        "clone": ([x], lambda op, a: op.apply(a)),
        "alias": ([x], lambda op, a: op.apply(a)),
        "to_device": ([x], lambda op, a: op.apply(a, device=a.device, source=a.device)),
        "sum": ([x], lambda op, a: op.apply(a, **over)),
        "mean": ([x], lambda op, a: op.apply(a, **over)),
        "amax": ([x], lambda op, a: op.apply(a, **over)),
        "amin": ([x], lambda op, a: op.apply(a, **over)),
        "logsumexp": ([x], lambda op, a: op.apply(a, **over)),
        "var": ([x], lambda op, a: op.apply(a, **over, correction=1)),
        "prod": ([x], lambda op, a: op.apply(a, dim=1, keepdim=False)),
        "norm": ([x], lambda op, a: op.apply(a, p=3, **over)),
        "median": ([x], lambda op, a: op.apply(a, skip=False)),
        "shift": ([x], lambda op, a: op.apply(a, n=1, dim=1, fill=1.0)),
        "cumsum": ([x], lambda op, a: op.apply(a, dim=1)),
        "cumprod": ([x], lambda op, a: op.apply(a, dim=1)),
        "logcumsumexp": ([x], lambda op, a: op.apply(a, dim=1)),
        "linear_scan": ([x, x], lambda op, a, c: op.apply(a, c, dim=1, reverse=False)),
        "sum_to": ([x], lambda op, a: op.apply(a, shape=(4,))),
        "reshape": ([x], lambda op, a: op.apply(a, shape=(2, 6))),
        "permute": ([x], lambda op, a: op.apply(a, dims=(1, 0))),
        "expand": ([(1, 4)], lambda op, a: op.apply(a, shape=(3, 4))),
        "flip": ([x], lambda op, a: op.apply(a, dims=(0,))),
        "roll": ([x], lambda op, a: op.apply(a, shifts=(1, -1), dims=(0, 1))),
        "diagonal": ([x], lambda op, a: op.apply(a, offset=1, dim1=0, dim2=1)),
        "diag_embed": ([x], lambda op, a: op.apply(a, shape=(3, 5, 5), offset=-1, dim1=1, dim2=2)),
        "unfold": ([x], lambda op, a: op.apply(a, dim=1, size=3, step=1)),
        "unfold_add": ([(3, 2, 3)], lambda op, a: op.apply(a, shape=x, dim=1, step=1)),
        "as_strided": ([x], lambda op, a: op.apply(a, size=(2, 3), stride=(2, 1), offset=3)),
        "strided_add": ([(2, 3)], lambda op, a: op.apply(a, shape=x, stride=(2, 1), offset=3)),
        "pad": ([x], lambda op, a: op.apply(a, pads=((1, -1), (0, 2)), value=0.5)),
        "cat": ([x, (2, 4)], lambda op, a, c: op.apply(a, c, dim=0)),
        "tril": ([x], lambda op, a: op.apply(a, diagonal=0)),
        "triu": ([x], lambda op, a: op.apply(a, diagonal=0)),
        "index": ([x], lambda op, a: op.apply(a, **_key(slice(1, None), ...))),
        "index_add": ([(2, 4)], lambda op, a: op.apply(a, key=(slice(0, 2),), shape=(3, 4))),
        "add_at": ([x, (2, 4)], lambda op, a, c: op.apply(a, c, key=(ints(1, 1).array,))),
        "reduce_at": ([x, (2, 4)], lambda op, a, c: op.apply(a, c, key=(ints(1, 1).array,), how="prod")),
        "keep_last": ([(3, 4)], lambda op, a: op.apply(a, key=(ints(1, 1, 0).array,), shape=(3, 4))),
        "assign": ([x, (2, 4)], lambda op, a, c: op.apply(a, c, steps=steps)),
        "take_along": ([x], lambda op, a: op.apply(a, ints([0, 2], [1, 1], [3, 0]), dim=1)),
        "put_along": ([(3, 2)], lambda op, a: op.apply(a, ints([0, 2], [1, 1], [3, 0]), shape=(3, 4), dim=1)),
        "embedding": ([x], lambda op, a: op.apply(a, ints([0, 2], [2, 1]))),
        "embedding_backward": ([(2, 2, 4)], lambda op, a: op.apply(a, ints([0, 2], [2, 1]), rows=3)),
        "conv": ([(2, 4, 5), (6, 2, 3), (6,)], lambda op, a, w, c: op.apply(a, w, c, count=(3,), **conv)),
        "conv_transpose": ([(2, 6, 3), (6, 2, 3), (4,)], lambda op, a, w, c: op.apply(a, w, c, size=(5,), **conv)),
        "conv_weight": ([(2, 4, 5), (2, 6, 3)], lambda op, a, c: op.apply(a, c, kernel=(3,), **conv)),
        "im2col": ([(2, 3, 5)], lambda op, a: op.apply(a, count=(3,), **window)),
        "col2im": ([(2, 6, 3)], lambda op, a: op.apply(a, count=(3,), size=(5,), **window)),
        "resample": ([(2, 2, 3)], lambda op, a: op.apply(a, taps=((((0, 1), (1, 2)), ((0.5, 0.2), (0.5, 0.8))),), sizes=(3,))),
        "max_pool": ([(1, 2, 3)], lambda op, a: op.apply(a, ints([[0, 2], [1, 1]]), apart=False)),
        "max_unpool": ([(1, 2, 2)], lambda op, a: op.apply(a, ints([[0, 2], [1, 1]]), apart=False, size=(3,))),
        "matmul": ([(2, 3, 4), (4, 5)], lambda op, a, c: op.apply(a, c)),
        "einsum": ([x, (4, 3)], lambda op, a, c: op.apply(
            a, c, equation="ij,jk->ik", sizes={"i": 3, "j": 4, "k": 3})),
        "cross": ([(2, 3), (4, 1, 3)], lambda op, a, c: op.apply(a, c, dim=-1)),
        "solve": ([square, (3, 2)], lambda op, a, c: op.apply(square_of(a), c)),
        "solve_triangular": ([square, (3, 2)], lambda op, a, c: op.apply(square_of(a), c, upper=True, unit=False)),
        "inv": ([square], lambda op, a: op.apply(square_of(a))),
        "pinv": ([x], lambda op, a: op.apply(a, atol=0.0, rtol=1e-15)),
        "det": ([square], lambda op, a: op.apply(square_of(a))),
        "cofactor": ([square], lambda op, a: op.apply(square_of(a))),
        "slogdet": ([square], lambda op, a: op.apply(square_of(a))[1]),
        "matrix_exp": ([square], lambda op, a: op.apply(a * 0.5)),
        "cholesky": ([square], lambda op, a: op.apply(square_of(a + a.mT))),
        "qr": ([(4, 3)], lambda op, a: op.apply(a, mode="reduced")[0] + op.apply(a, mode="reduced")[1].sum()),
        "svd": ([(4, 3)], lambda op, a: factors(*op.apply(a, full=False))),
        "eigh": ([square], lambda op, a: factors(*op.apply(square_of(a + a.mT), UPLO="L"))),
        "linear": ([(2, 3, 4), (5, 4), (5,)], lambda op, a, w, c: op.apply(a, w, c)),
        "softmax": ([x], lambda op, a: op.apply(a, dim=1)),
        "log_softmax": ([x], lambda op, a: op.apply(a, dim=1)),
        "silu": ([x], lambda op, a: op.apply(a)),
        "mish": ([x], lambda op, a: op.apply(a)),
        "gelu": ([x], lambda op, a: op.apply(a, approximate="none") + op.apply(a, approximate="tanh")),
        "layer_norm": ([x, (4,), (4,)], lambda op, a, w, c: op.apply(a, w, c, **norm)),
        "rms_norm": ([x, (4,)], lambda op, a, w: op.apply(a, w, **norm)),
        "batch_norm": ([(4, 3, 2), (3,), (3,)], lambda op, a, w, c: op.apply(
            a, w, c, *registry["batch_moments"].apply(a.detach()), eps=1e-5)),
        "group_norm": ([(4, 6, 2), (6,), (6,)], lambda op, a, w, c: op.apply(a, w, c, groups=2, eps=1e-5)),
        "dropout": ([x], lambda op, a: op.apply(a, p=0.4, seed=1, offset=1)),
        "cross_entropy": ([x], lambda op, a: op.apply(
            a, tensor([1, -100, 3], device=device), None, ignore_index=-100, smoothing=0.1, reduction="mean")),
        "rnn_steps": ([(5, 2), (3, 2), (2, 2)], lambda op, *a: cat(op.apply(*a, relu=False, **walk))),
        "lstm_steps": ([(5, 8), (3, 2), (3, 2), (8, 2), (2, 2)], lambda op, *a: cat(op.apply(*a, **walk))),
        "gru_steps": ([(5, 6), (3, 2), (6, 2), (6,)], lambda op, *a: cat(op.apply(*a, **walk))),
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
    if name in ("acosh", "logit"):
        xs = [x.abs() + 1.5 if name == "acosh" else x.sigmoid() for x in xs]
    if name in _WITHIN_1:
        xs = [0.9 * x.tanh() for x in xs]
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
