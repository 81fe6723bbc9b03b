"""What all distributions share: shapes, checks, text. The distributions themselves are in continuous.py and discrete.py."""

from tensorlite import errors
from tensorlite.backend import dtypes
from tensorlite.creation import as_tensor, tensor, zeros_like
from tensorlite.modes import enable_grad, no_grad
from tensorlite.ops.functions import logaddexp
from tensorlite.ops.join import broadcast_tensors
from tensorlite.tensor import Size, Tensor


class Distribution:
    """Base class. batch_shape: how many distributions lie side by side; event_shape: of one outcome of one of them.

    sample(sample_shape) has shape sample_shape + batch_shape + event_shape and no gradient; rsample, where has_rsample, one to
    the parameters (the reparametrisation of Kingma and Welling 2014). validate_args: check parameters and values (default).
    """

    has_rsample = False
    _checks = True

    def __init__(self, batch_shape=(), event_shape=(), validate_args=None):
        self._batch_shape, self._event_shape = Size(batch_shape), Size(event_shape)
        self._validate_args = Distribution._checks if validate_args is None else bool(validate_args)

    batch_shape = property(lambda self: self._batch_shape, doc="How many distributions lie side by side.")
    event_shape = property(lambda self: self._event_shape, doc="The shape of one outcome of one of them.")
    names = ()  # of the parameters

    @staticmethod
    def set_default_validate_args(value) -> None:
        """Whether parameters and values are checked where a distribution is not told."""
        Distribution._checks = bool(value)

    def _refuse(self, name, value, rule):
        raise errors.ArgumentError(f"{type(self).__name__}: {name} must be {rule}, got {value!r}")

    def _check(self, name, value, holds, rule):
        """Refuse a tensor of which `holds` (a bool tensor) is not true everywhere."""
        if self._validate_args and not bool(holds.all()):
            self._refuse(name, value, rule)

    def _check_value(self, value, holds=None, rule=""):
        """Refuse a value that no outcome can be."""
        if not self._validate_args:
            return
        if not isinstance(value, Tensor):
            raise errors.ArgumentError(f"{type(self).__name__}: the value must be a Tensor, not {type(value).__name__}")
        shape, own = tuple(value.shape), tuple(self._batch_shape + self._event_shape)
        if any(a != b and 1 not in (a, b) for a, b in zip(reversed(shape), reversed(own), strict=False)):
            raise errors.ArgumentError(
                f"{type(self).__name__}: the value {shape} does not broadcast with batch and event shape {own}"
            )
        if holds is not None and not bool(holds(value).all()):
            self._refuse("the value", value, rule)

    def _shape(self, sample_shape):
        return Size((*sample_shape, *self._batch_shape, *self._event_shape))

    def sample(self, sample_shape=()) -> Tensor:
        """Outcomes drawn at random, without a gradient."""
        with no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape=()) -> Tensor:
        """Outcomes drawn at random, as a differentiable function of the parameters."""
        raise NotImplementedError(f"{type(self).__name__} has no rsample: its outcomes are not differentiable")

    def log_prob(self, value) -> Tensor:
        """ln of the probability, or its density, at value."""
        raise NotImplementedError(f"{type(self).__name__} defines no log_prob")

    def entropy(self) -> Tensor:
        """- the mean of log_prob."""
        raise NotImplementedError(f"{type(self).__name__} defines no entropy")

    stddev = property(lambda self: self.variance.sqrt(), doc="The root of the variance.")

    def perplexity(self) -> Tensor:
        """e to the power of the entropy."""
        return self.entropy().exp()

    def expand(self, batch_shape):
        """The same distribution with another batch shape, that the old one broadcasts to."""
        more = {n: self.__dict__[n].expand(*batch_shape, *self._tail(n)) for n in self.names if n in self.__dict__}
        return type(self)(**more, validate_args=False)

    def _tail(self, name):
        return ()

    def __repr__(self):
        parts = [(n, self.__dict__[n]) for n in self.names if n in self.__dict__]
        texts = [f"{n}: {v.item() if v.numel() == 1 else v.shape}" for n, v in parts]
        return f"{type(self).__name__}({', '.join(texts)})"


class ProbsOrLogits(Distribution):
    """What Bernoulli and Categorical share: either of two parameters is given, the other one computed when asked for."""

    names = ("probs", "logits")

    def _one(self, probs, logits):
        """("probs" or "logits", its tensor), exactly one of which is given."""
        if (probs is None) == (logits is None):
            which = "none" if probs is None else "both"
            raise errors.ArgumentError(f"{type(self).__name__}: give probs or logits, {which} was given")
        return ("probs", as_floats(probs)[0]) if logits is None else ("logits", as_floats(logits)[0])

    def __getattr__(self, name):
        if name not in self.names or not any(n in self.__dict__ for n in self.names):
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        with enable_grad():
            return self._other(name)


def as_floats(*values):
    """Numbers and tensors as tensors of one shape."""
    given = [v for v in values if isinstance(v, Tensor)]
    like = {"dtype": given[0].dtype, "device": given[0].device} if given else {"dtype": dtypes.get_default_dtype()}
    made = [v if isinstance(v, Tensor) else as_tensor(v) if hasattr(v, "shape") else tensor(v, **like) for v in values]
    return broadcast_tensors(*made)


def clamped(probs):
    """Probabilities away from 0 and 1 by the rounding of their dtype, so that their logarithms are finite."""
    eps = dtypes.finfo(probs.dtype).eps
    return probs.clamp(eps, 1 - eps)


def softplus(x):
    """ln(1 + e^x), without overflow."""
    return logaddexp(x, zeros_like(x))
