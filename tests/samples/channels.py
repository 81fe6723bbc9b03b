"""Records of the operations on channels: batch norm and its moments."""

import numpy as np

from samples.base import Case, Record, values
from tensorlite import errors
from tensorlite.op import registry


def _over(x):
    return (0, *range(2, x.ndim))


def _at(v, x):
    return v.reshape(-1, *[1] * (x.ndim - 2))


def _moments_ref(x):
    return x.mean(_over(x)), x.var(_over(x))


def _batch_norm_ref(x, w=None, b=None, *, eps=1e-5):
    if not x.size:
        return x
    mean, var = _moments_ref(x)
    y = (x - _at(mean, x)) / np.sqrt(_at(var, x) + eps)
    y = y if w is None else y * _at(w, x)
    return y if b is None else y + _at(b, x)


def _cases(rng):
    v = lambda *s: values(rng, s)  # noqa: E731
    made = [Case((v(*s), v(s[1]), v(s[1]))) for s in ((5, 3), (3, 2, 4), (2, 3, 2, 3), (1, 2, 3), (2, 2, 2, 1, 2))]
    made += [
        Case((v(4, 2, 3),)),
        Case((v(4, 3), v(3)), {"eps": 0.1}),
        Case((v(4, 3), None, v(3))),
        Case((v(0, 3), v(3), v(3))),
    ]
    return made


def _call(t, x, *weights, eps=1e-5):
    return t.nn.functional.batch_norm(x, None, None, *weights, training=True, eps=eps)


def _on_torch(t, x, *weights, eps=1e-5):
    if not x.numel():  # refused there
        return x + sum(w.sum() * 0 for w in weights)
    if weights and weights[0] is None:  # its second derivative fails without a weight
        weights = t.ones_like(weights[1]), weights[1]
    return _call(t, x, *weights, eps=eps)


def _moments(t, x):
    """In the dtype of x: for the halves they are kept in float32."""
    return tuple(v.to(x.dtype) for v in registry["batch_moments"].apply(x))


def _moments_on_torch(t, x):
    x, over = x.detach(), _over(x)
    return x.mean(over), x.var(over, correction=0)


_F = lambda t: t.nn.functional  # noqa: E731
_errors = (
    (lambda t: _F(t).batch_norm(t.ones(1, 3), None, None, training=True), errors.ShapeError,
     "batch_norm: more than 1 element for each channel is needed in training, to have a variance: input float32 (1, 3)"),
    (lambda t: _F(t).batch_norm(t.ones(2, 3), None, None, t.ones(2), training=True), errors.ShapeError,
     "batch_norm: input has 3 channels, weight (2,) expects 2: input float32 (2, 3), weight float32 (2,)"),
    (lambda t: _F(t).batch_norm(t.ones(2, 3), t.ones(4), t.ones(3)), errors.ShapeError,
     "batch_norm: input has 3 channels, running_mean (4,) expects 4"),
    (lambda t: _F(t).batch_norm(t.ones(3), None, None, training=True), errors.ShapeError,
     "batch_norm: input must have at least 2 dimensions, (N, C, ...): input float32 (3,)"),
    (lambda t: _F(t).batch_norm(t.tensor([[1, 2]]), None, None, training=True), errors.DTypeError,
     "batch_norm: a floating-point tensor is needed; use x.float(): input int64 (1, 2)"),
)  # fmt: skip

RECORDS = [
    Record("batch_moments", _moments, _moments_ref, lambda rng: [
        Case((values(rng, s),)) for s in ((5, 3), (3, 2, 4), (2, 3, 2, 3), (1, 2))], order=0, torch=_moments_on_torch),
    Record("batch_norm", _call, _batch_norm_ref, _cases, torch=_on_torch, low_precision=16.0, errors=_errors),
]  # fmt: skip
