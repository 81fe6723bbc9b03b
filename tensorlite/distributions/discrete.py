"""Distributions of whole numbers: Bernoulli (0 or 1), Categorical (one of K)."""

import math

from tensorlite import errors
from tensorlite.backend import dtypes
from tensorlite.creation import arange, full
from tensorlite.distributions.distribution import ProbsOrLogits, clamped, softplus
from tensorlite.modes import no_grad
from tensorlite.ops.functions import sigmoid
from tensorlite.ops.fused import softmax
from tensorlite.ops.join import broadcast_tensors
from tensorlite.ops.select import where
from tensorlite.random import bernoulli, multinomial

__all__ = ["Bernoulli", "Categorical"]


class Bernoulli(ProbsOrLogits):
    """1 with probability probs, else 0; or by logits = ln(probs / (1 - probs)).

    Raises:
        ArgumentError (a ValueError): both or none of the two, probs outside of 0..1, a value that is not 0 or 1.

    Example:
        >>> import tensorlite as tl
        >>> tl.distributions.Bernoulli(tl.tensor([0.5])).entropy()
        tensor([0.6931])
    """

    def __init__(self, probs=None, logits=None, validate_args=None):
        name, value = self._one(probs, logits)
        setattr(self, name, value)
        super().__init__(value.shape, (), validate_args)
        if name == "probs":
            self._check(name, value, (value >= 0) & (value <= 1), "in 0..1")
        else:
            self._check(name, value, value == value, "a number")

    def _other(self, name):
        if name == "probs":
            return sigmoid(self.logits)
        p = clamped(self.probs)
        return p.log() - (-p).log1p()

    mean = property(lambda self: self.probs, doc="probs.")
    variance = property(lambda self: self.probs * (1 - self.probs), doc="probs (1 - probs).")

    @property
    def mode(self):
        """1 where that is likelier than 0, 0 where it is not, nan where both are alike."""
        p = self.probs
        return where(p == 0.5, math.nan, (p >= 0.5).to(p.dtype))

    def sample(self, sample_shape=()):
        with no_grad():
            return bernoulli(self.probs.expand(*self._shape(sample_shape)).contiguous())

    def log_prob(self, value):
        self._check_value(value, lambda v: (v == 0) | (v == 1), "0 or 1")
        logits, value = broadcast_tensors(self.logits, value)
        return value.to(logits.dtype) * logits - softplus(logits)

    def entropy(self):
        return softplus(self.logits) - self.probs * self.logits

    def enumerate_support(self, expand=True):
        """Both outcomes, 0 and 1, along a new first dimension."""
        p = self.probs
        values = arange(2, dtype=p.dtype, device=p.device).reshape(2, *[1] * p.ndim)
        return values.expand(2, *p.shape) if expand else values


class Categorical(ProbsOrLogits):
    """One of 0, ..., K - 1 with probabilities proportional to probs (..., K), or to exp(logits).

    Raises:
        ArgumentError (a ValueError): both or none of the two, negative probs, a value that is none of 0, ..., K - 1.

    Example:
        >>> import tensorlite as tl
        >>> tl.distributions.Categorical(tl.tensor([1.0, 3.0])).log_prob(tl.tensor(1)).exp()
        tensor(0.7500)
    """

    def __init__(self, probs=None, logits=None, validate_args=None):
        name, value = self._one(probs, logits)
        if not value.ndim:
            raise errors.ArgumentError(
                f"Categorical: {name} must have at least 1 dimension, the last one of the classes"
            )
        super().__init__(value.shape[:-1], (), validate_args)
        if name == "probs":
            self._check(name, value, (value >= 0) & (value.sum(-1, keepdim=True) > 0), "not negative, and not all 0")
            self.probs = value / value.sum(-1, keepdim=True)
        else:
            self._check(name, value, value == value, "a number")
            self.logits = value - value.logsumexp(-1, keepdim=True)
        self._num_events = value.shape[-1]

    def _tail(self, name):
        return (self._num_events,)

    def _other(self, name):
        return softmax(self.logits, -1) if name == "probs" else clamped(self.probs).log()

    param_shape = property(lambda self: self.probs.shape, doc="The shape of probs.")
    mode = property(lambda self: self.probs.argmax(-1), doc="The likeliest class.")

    def _nan(self):
        p = self.probs
        return full(tuple(self._batch_shape), math.nan, dtype=p.dtype, device=p.device)

    mean = property(_nan, doc="Classes have no mean: nan.")
    variance = property(_nan, doc="Classes have no variance: nan.")

    def sample(self, sample_shape=()):
        with no_grad():
            rows, count = self.probs.reshape(-1, self._num_events), math.prod(sample_shape)
            if not count or not rows.shape[0]:
                return rows.new_zeros(tuple(self._shape(sample_shape))).long()
            return multinomial(rows, count, True).transpose(0, 1).reshape(*self._shape(sample_shape))

    def log_prob(self, value):
        n = self._num_events
        self._check_value(value, lambda v: (v >= 0) & (v < n) & (v == v.long()), f"a class, 0 to {n - 1}")
        value, logits = value.long().unsqueeze(-1), self.logits
        shape = broadcast_tensors(value, logits[..., :1])[0].shape
        return logits.expand(*shape[:-1], n).gather(-1, value.expand(*shape)).squeeze(-1)

    def entropy(self):
        logits = self.logits.clamp(min=dtypes.finfo(self.logits.dtype).min)  # 0 times minus infinity
        return -(logits * self.probs).sum(-1)

    def enumerate_support(self, expand=True):
        """All classes, along a new first dimension."""
        values = arange(self._num_events, device=self.probs.device).reshape(-1, *[1] * len(self._batch_shape))
        return values.expand(-1, *self._batch_shape) if expand else values
