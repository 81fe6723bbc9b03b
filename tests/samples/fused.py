"""Records of the fused operations: linear, softmax, norms, gelu, dropout, cross-entropy, attention."""

import math

import numpy as np
import scipy.special

from samples.base import Case, Record, unary, values
from tensorlite import errors
from tensorlite.op import registry


def _functional(name):
    return lambda t, *xs, **kw: getattr(t.nn.functional, name)(*xs, **kw)


# ---------------------------------------------------------------- linear
def _linear_ref(x, w, b=None):
    y = np.einsum("...i,oi->...o", x, w)
    return y if b is None else y + b


def _linear_cases(rng):
    v = lambda *s: values(rng, s)  # noqa: E731
    return [
        Case((v(2, 3), v(4, 3), v(4))), Case((v(2, 3), v(4, 3))), Case((v(3), v(4, 3), v(4))), Case((v(2, 5, 3), v(1, 3), v(1))),
        Case((v(2, 1, 2, 3), v(4, 3))), Case((v(0, 3), v(4, 3), v(4))), Case((v(2, 0, 3), v(4, 3), v(4))),
        Case((v(2, 0), v(4, 0), v(4))),
    ]  # fmt: skip


_linear_errors = (
    (lambda t: t.nn.functional.linear(t.ones(2, 5), t.ones(4, 3)), errors.ShapeError,
     "linear: input has 5 features, weight (4, 3) expects 3: x float32 (2, 5), weight float32 (4, 3)"),
    (lambda t: t.nn.functional.linear(t.ones(2, 3), t.ones(4, 3), t.ones(3)), errors.ShapeError,
     "linear: expects input (..., in), weight (out, in) and bias (out,): input float32 (2, 3), weight float32 (4, 3), bias"),
    (lambda t: t.nn.functional.linear(t.ones(2, 3).double(), t.ones(4, 3)), errors.DTypeError,
     "linear: input is float64, weight float32; convert one, e.g. x.to(tl.float32): input float64 (2, 3), weight float32 (4, 3)"),
    (lambda t: t.nn.functional.linear(t.ones(2, 3), t.ones(4, 3), t.ones(4).double()), errors.DTypeError,
     "linear: input is float32, bias float64"),
    (lambda t: t.nn.functional.linear([1.0], t.ones(1, 1)), errors.DTypeError, "linear: input must be a Tensor, not list"),
)  # fmt: skip


# ---------------------------------------------------------------- along one dimension
def _softmax_cases(rng):
    made = [Case((values(rng, (2, 3, 4)),), {"dim": d}) for d in (0, 1, -1)]
    made += [Case((values(rng, (3, 4)) * 1e3,), {"dim": 1}, "large"), Case((values(rng, ()),), {"dim": 0})]
    made += [Case((values(rng, (0, 3)),), {"dim": 1}), Case((values(rng, (3, 1)),), {"dim": 1})]
    return made


def _softmax_with_inf(rng):
    x = values(rng, (2, 4))
    x[:, 1] = -np.inf
    return [*_softmax_cases(rng), Case((x,), {"dim": 1}, "with -inf")]


def _along_errors(name):
    return (
        (lambda t: getattr(t, name)(t.ones(2, 3)), errors.ArgumentError, f"{name}: dim must be given, e.g. dim=-1"),
        (lambda t: getattr(t.nn.functional, name)(t.tensor([1, 2]), dim=0), errors.DTypeError,
         f"{name}: a floating-point tensor is needed, got int64 (2,); use x.float()"),
        (lambda t: getattr(t.nn.functional, name)(t.ones(2), dim=1), errors.IndexRangeError, f"{name}: dim 1 is out of range"),
    )  # fmt: skip


# ---------------------------------------------------------------- norms
def _layer_norm_ref(x, w=None, b=None, *, normalized_shape, eps=1e-5):
    over = tuple(range(-len(normalized_shape), 0))
    y = (x - x.mean(over, keepdims=True)) / np.sqrt(x.var(over, keepdims=True) + eps)
    y = y if w is None else y * w
    return y if b is None else y + b


def _rms_norm_ref(x, w=None, *, normalized_shape, eps=None):
    over = tuple(range(-len(normalized_shape), 0))
    y = x / np.sqrt((x * x).mean(over, keepdims=True) + (np.finfo(x.dtype).eps if eps is None else eps))
    return y if w is None else y * w


def _norm_cases(weights):
    def cases(rng):
        v = lambda *s: values(rng, s)  # noqa: E731
        full = {"normalized_shape": (4,)}
        made = [
            Case((v(3, 4), *[v(4) for _ in range(weights)]), {**full, "eps": 1e-5}), Case((v(3, 4),), full),
            Case((v(2, 3, 4), v(4)), full), Case((v(2, 3, 4), *[v(3, 4) for _ in range(weights)]), {"normalized_shape": (3, 4)}),
            Case((v(4), *[v(4) for _ in range(weights)]), {**full, "eps": 0.1}),
            Case((v(0, 4), *[v(4) for _ in range(weights)]), full),
        ]  # fmt: skip
        return [*made, Case((v(3, 4), None, v(4)), full)] if weights == 2 else made

    return cases


def _norm_call(name):
    def call(t, x, *ws, normalized_shape, **kw):
        return getattr(t.nn.functional, name)(x, normalized_shape, *ws, **kw)

    return call


def _norm_error(name, more=""):
    return (lambda t: getattr(t.nn.functional, name)(t.ones(2, 3), (4,), t.ones(4)), errors.ShapeError,
            f"{name}: the last dimensions of input, and weight and bias, must be (4,): input float32 (2, 3), weight")  # fmt: skip


# ---------------------------------------------------------------- gelu, dropout
def _gelu_ref(x, approximate="none"):
    if approximate == "tanh":
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return x * scipy.special.ndtr(x)


def _gelu(approximate):
    record = unary("gelu", lambda x: _gelu_ref(x, approximate), low=-4.0, high=4.0, name=f"gelu_{approximate}")
    record.call = lambda t, x: t.nn.functional.gelu(x, approximate=approximate)
    record.torch = lambda t, x: t.nn.functional.gelu(x if x.is_floating_point() else x.float(), approximate=approximate)
    record.errors = (
        (
            lambda t: t.nn.functional.gelu(t.ones(2), "fast"),
            errors.ArgumentError,
            "gelu: approximate must be 'none' or 'tanh'",
        ),
    )
    return record


def _philox(count, seed, offset):
    """Philox4x32-10 one block at a time, in Python integers: the published algorithm, for comparison."""
    low, out = 0xFFFFFFFF, []
    for block in range((count + 3) // 4):
        c, k = [block & low, block >> 32, offset & low, offset >> 32 & low], [seed & low, seed >> 32 & low]
        for _ in range(10):
            p, q = c[0] * 0xD2511F53, c[2] * 0xCD9E8D57
            c = [(q >> 32) ^ c[1] ^ k[0], q & low, (p >> 32) ^ c[3] ^ k[1], p & low]
            k = [k[0] + 0x9E3779B9 & low, k[1] + 0xBB67AE85 & low]
        out += c
    return np.array(out[:count], dtype=np.uint64)


def _dropped(shape, p, seed, offset):
    keep = _philox(math.prod(shape), seed, offset).reshape(shape) >= min(round(p * 2**32), 2**32 - 1)
    return keep * (0.0 if p == 1 else 1 / (1 - p))


def _dropout(t, x, p, seed, offset):
    return registry["dropout"].apply(x, p=p, seed=seed, offset=offset)


# ---------------------------------------------------------------- cross-entropy
def _cross_entropy_ref(x, target, weight=None, *, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    """Element by element, as the formula stands in the documentation."""
    if x.ndim == 1:
        x, target = x[None], np.asarray(target)[None]
    classes = x.shape[1]
    w = np.ones(classes) if weight is None else weight.astype("f8")
    logp = x - scipy.special.logsumexp(x, axis=1, keepdims=True)
    if target.dtype.kind == "f":
        t = target * (1 - label_smoothing) + label_smoothing / classes
        loss = -(np.moveaxis(t * logp, 1, -1) * w).sum(-1)
        return {"none": loss, "sum": loss.sum(), "mean": loss.mean() if loss.size else np.nan}[reduction]
    loss, total = np.zeros(target.shape), 0.0
    for place in np.ndindex(*target.shape):
        t = target[place]
        if t == ignore_index:
            continue
        lp = logp[(place[0], slice(None), *place[1:])]
        loss[place] = -(1 - label_smoothing) * w[t] * lp[t] - (
            label_smoothing / classes * (w * lp).sum() if label_smoothing else 0
        )
        total += w[t]
    return {"none": loss, "sum": loss.sum(), "mean": loss.sum() / total if total else np.nan}[reduction]


def _cross_entropy_cases(rng):
    made = []
    v = lambda *s: values(rng, s)  # noqa: E731
    weight = lambda: rng.uniform(0.5, 2, 4).astype("f8")  # noqa: E731
    for reduction in ("mean", "sum", "none"):
        for smoothing in (0.0, 0.3):
            t = rng.integers(0, 4, 5)
            made.append(Case((v(5, 4), t), {"reduction": reduction, "label_smoothing": smoothing}))
            t = np.where(np.arange(5) == 1, -100, t)
            made.append(Case((v(5, 4), t, _Constant(weight())), {"reduction": reduction, "label_smoothing": smoothing}))
    made += [
        Case((v(2, 4, 3), rng.integers(0, 4, (2, 3)))),
        Case((v(2, 4, 3, 2), rng.integers(0, 4, (2, 3, 2))), {"reduction": "sum"}),
    ]
    made += [Case((v(4), np.array(2))), Case((v(3, 4), np.array([0, 1, 2])), {"ignore_index": 1})]
    made += [Case((v(3, 4) * 1e3, rng.integers(0, 4, 3)), {}, "large"), Case((v(3, 4), np.array([0, 1, 2], "int32")))]
    made += [Case((v(0, 4), np.zeros(0, int)), {"reduction": "sum"})]
    return made


def _Constant(a):
    """A float array that is not differentiated: float32 (exactly so)."""
    return a.astype(np.float32)


def _cross_entropy(t, x, target, weight=None, **kw):
    return t.nn.functional.cross_entropy(x, target, None if weight is None else weight.to(x.dtype), **kw)


def _soft_targets(rng):
    made = []
    for shape in ((5, 4), (2, 4, 3)):
        p = rng.dirichlet(np.ones(4), shape[:1] + shape[2:])
        p = np.moveaxis(p, -1, 1)
        made += [
            Case((values(rng, shape), p), {"label_smoothing": s, "reduction": r})
            for s, r in ((0.0, "mean"), (0.2, "sum"), (0.0, "none"))
        ]
    return made


_ce = lambda t, *a, **k: t.nn.functional.cross_entropy(*a, **k)  # noqa: E731
_cross_entropy_errors = (
    (lambda t: _ce(t, t.ones(2, 3), t.tensor([0, 3])), errors.IndexRangeError,
        "cross_entropy: target class 3 is out of range: it must be 0 to 2"),
    (lambda t: _ce(t, t.ones(2, 3), t.tensor([0, -1])), errors.IndexRangeError, "cross_entropy: target class -1 is out of range"),
    (lambda t: _ce(t, t.ones(2, 3), t.tensor([0, 1, 2])), errors.ShapeError,
     "cross_entropy: for logits (2, 3) the target must have shape (2,): input float32 (2, 3), target int64 (3,)"),
    (lambda t: _ce(t, t.ones(2, 5, 3), t.zeros(2, 5, dtype=t.int64)), errors.ShapeError,
     "classes are dimension 1: use logits.view(-1, logits.size(-1)) and target.view(-1)"),
    (lambda t: _ce(t, t.ones(2, 3), t.tensor([0, 1]), t.ones(2)), errors.ShapeError,
     "cross_entropy: weight must have one factor for each of the 3 classes"),
    (lambda t: _ce(t, t.tensor([[1, 2]]), t.tensor([0])), errors.DTypeError,
     "cross_entropy: expects floating-point logits and integer classes (or probabilities): input int64 (1, 2), target"),
    (lambda t: _ce(t, t.ones(2, 3), t.tensor([0, 1]), reduction="avg"), errors.ArgumentError,
     "cross_entropy: reduction must be 'mean', 'sum' or 'none', not 'avg'"),
    (lambda t: _ce(t, t.ones(2, 3), t.tensor([0, 1]), label_smoothing=2), errors.ArgumentError,
     "cross_entropy: label_smoothing must be in 0..1, not 2"),
)  # fmt: skip


# ---------------------------------------------------------------- attention
def _attention_ref(q, k, v, mask=None, *, is_causal=False, scale=None, drop=None):
    s = np.einsum("...le,...se->...ls", q, k) * (1 / math.sqrt(q.shape[-1]) if scale is None else scale)
    if is_causal:
        s = np.where(np.tri(*s.shape[-2:], dtype=bool), s, -np.inf)
    if mask is not None:
        s = np.where(mask, s, -np.inf) if mask.dtype == bool else s + mask
    top = s.max(-1, keepdims=True)
    e = np.exp(s - np.where(np.isfinite(top), top, 0))
    z = e.sum(-1, keepdims=True)
    p = e / np.where(z == 0, 1, z)
    return np.einsum("...ls,...sf->...lf", p if drop is None else p * drop, v)


def _attention_cases(rng):
    u = lambda *s: values(rng, s)  # noqa: E731
    three = lambda *b, L=3, S=4, E=2, F=3: (u(*b, L, E), u(*b, S, E), u(*b, S, F))  # noqa: E731
    some = rng.integers(0, 2, (3, 4)).astype(bool)
    some[:, 0] = True
    dead = some.copy()
    dead[1] = False
    return [
        Case(three(2)), Case(three(2, 2, L=4, S=4), {"is_causal": True}), Case(three(L=2, S=4), {"is_causal": True}),
        Case(three(L=4, S=2), {"is_causal": True}), Case(three(2), {"scale": 0.3}), Case((*three(2), some), {}, "bool mask"),
        Case((*three(2), dead), {}, "a row that may attend nowhere"), Case((*three(2, 2), u(3, 4)), {}, "float mask"),
        Case((*three(2, 2), u(2, 1, 1, 4)), {}, "float mask that broadcasts"),
        Case((u(2, 3, 2), u(4, 2), u(4, 3)), {}, "shared keys"),
    ]  # fmt: skip


def _dropped_attention(t, q, k, v, p, seed, offset, causal):
    return registry["attention"].apply(q, k, v, None, causal=causal, scale=0.7, dropout_p=p, seed=seed, offset=offset)


def _dropped_attention_ref(q, k, v, p, seed, offset, causal):
    drop = _dropped((*q.shape[:-1], k.shape[-2]), p, seed, offset)
    return _attention_ref(q, k, v, is_causal=causal, scale=0.7, drop=drop)


_sdpa = lambda t, *a, **k: t.nn.functional.scaled_dot_product_attention(*a, **k)  # noqa: E731
_attention_errors = (
    (lambda t: _sdpa(t, t.ones(3, 4), t.ones(3, 5), t.ones(3, 4)), errors.ShapeError,
     "scaled_dot_product_attention: query has 4 features, key has 5; they must be equal: query float32 (3, 4), key"),
    (lambda t: _sdpa(t, t.ones(3, 4), t.ones(3, 4), t.ones(2, 4)), errors.ShapeError,
     "scaled_dot_product_attention: key has 3 positions, value has 2; they must be equal"),
    (lambda t: _sdpa(t, t.ones(4), t.ones(3, 4), t.ones(3, 4)), errors.ShapeError,
     "scaled_dot_product_attention: query, key and value need at least 2 dimensions"),
    (lambda t: _sdpa(t, *[t.ones(3, 4)] * 3, attn_mask=t.ones(3, 3), is_causal=True), errors.ArgumentError,
     "scaled_dot_product_attention: give attn_mask or is_causal, not both"),
    (lambda t: _sdpa(t, *[t.ones(3, 4)] * 3, dropout_p=1.5), errors.ArgumentError,
     "scaled_dot_product_attention: the probability p must be in 0..1, not 1.5"),
    (lambda t: _sdpa(t, *[t.ones(3, 4)] * 3, attn_mask=t.ones(2, 3) > 0), errors.ShapeError, "attention: shapes"),
)  # fmt: skip

RECORDS = [
    Record("linear", _functional("linear"), _linear_ref, _linear_cases, errors=_linear_errors),
    Record("softmax", _functional("softmax"), lambda x, dim: scipy.special.softmax(x, axis=dim) if x.size else x,
        _softmax_with_inf,
           errors=_along_errors("softmax")),
    Record("log_softmax", _functional("log_softmax"), lambda x, dim: scipy.special.log_softmax(x, axis=dim) if x.size else x,
           _softmax_cases, errors=_along_errors("log_softmax")),
    _gelu("none"),
    _gelu("tanh"),
    Record("layer_norm", _norm_call("layer_norm"), _layer_norm_ref, _norm_cases(2), errors=(_norm_error("layer_norm"),)),
    Record("rms_norm", _norm_call("rms_norm"), _rms_norm_ref, _norm_cases(1), errors=(_norm_error("rms_norm"),)),
    Record("dropout", _dropout, lambda x, p, seed, offset: x * _dropped(x.shape, p, seed, offset), lambda rng: [
        Case((values(rng, s),), {"p": p, "seed": 2**33 + 5, "offset": 3}) for s in ((3, 7), (), (0,)) for p in (0.0, 0.3, 1.0)],
        torch=False, errors=((lambda t: t.nn.functional.dropout(t.ones(2), 1.5), errors.ArgumentError,
                              "dropout: the probability p must be in 0..1, not 1.5"),)),
    Record("cross_entropy", _cross_entropy, _cross_entropy_ref, _cross_entropy_cases, errors=_cross_entropy_errors),
    Record("log_softmax", _cross_entropy, _cross_entropy_ref, _soft_targets, name="cross_entropy_of_probabilities"),
    Record("attention", _functional("scaled_dot_product_attention"), _attention_ref, _attention_cases, errors=_attention_errors),
    Record("attention", _dropped_attention, _dropped_attention_ref, lambda rng: [
        Case((values(rng, (2, 3, 2)), values(rng, (2, 3, 2)), values(rng, (2, 3, 4))),
             {"p": 0.4, "seed": 7, "offset": 2, "causal": c}) for c in (False, True)], torch=False, name="attention_dropout"),
]  # fmt: skip
