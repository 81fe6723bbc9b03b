"""Records of the operations on channels: batch norm and its moments, group norm."""

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


def _group_norm_ref(x, w=None, b=None, *, groups, eps=1e-5):
    rows = x.reshape(x.shape[0], groups, int(np.prod(x.shape[1:])) // groups)
    y = ((rows - rows.mean(2, keepdims=True)) / np.sqrt(rows.var(2, keepdims=True) + eps)).reshape(x.shape)
    y = y if w is None else y * _at(w, x)
    return y if b is None else y + _at(b, x)


def _group_cases(rng):
    v = lambda *s: values(rng, s)  # noqa: E731
    shapes = (((3, 4), 2), ((2, 4, 3), 2), ((2, 3, 2, 2), 1), ((2, 2, 5), 2), ((1, 4, 1, 2, 2), 4))
    made = [Case((v(*s), v(s[1]), v(s[1])), {"groups": g}) for s, g in shapes]
    made += [Case((v(2, 4, 3),), {"groups": 2}), Case((v(2, 4, 3), v(4)), {"groups": 2, "eps": 0.1})]
    return [*made, Case((v(2, 4, 3), None, v(4)), {"groups": 4}), Case((v(0, 4, 3), v(4), v(4)), {"groups": 2})]


def _group_call(t, x, *weights, groups, eps=1e-5):
    return t.nn.functional.group_norm(x, groups, *weights, eps=eps)


def _group_on_torch(t, x, *weights, groups, eps=1e-5):
    if weights and weights[0] is None:
        weights = t.ones_like(weights[1]), weights[1]
    return _group_call(t, x, *weights, groups=groups, eps=eps)


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
_group_errors = (
    (lambda t: _F(t).group_norm(t.ones(2, 5, 3), 2), errors.ShapeError,
     "group_norm: num_groups=2 does not divide the 5 channels: input float32 (2, 5, 3)"),
    (lambda t: _F(t).group_norm(t.ones(2, 4, 3), 0), errors.ArgumentError, "group_norm: num_groups must be an int of at least 1, got 0"),
    (lambda t: _F(t).group_norm(t.ones(1, 4), 4), errors.ShapeError, "more than 1 element for each group is needed"),
    (lambda t: _F(t).group_norm(t.ones(4), 2), errors.ShapeError, "input must have at least 2 dimensions, (N, C, ...)"),
)  # fmt: skip

RECORDS = [
    Record("batch_moments", _moments, _moments_ref, lambda rng: [
        Case((values(rng, s),)) for s in ((5, 3), (3, 2, 4), (2, 3, 2, 3), (1, 2))], order=0, torch=_moments_on_torch),
    Record("batch_norm", _call, _batch_norm_ref, _cases, torch=_on_torch, low_precision=16.0, errors=_errors),
    Record("group_norm", _group_call, _group_norm_ref, _group_cases, torch=_group_on_torch, low_precision=16.0, errors=_group_errors),
]  # fmt: skip
