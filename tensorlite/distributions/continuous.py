"""Distributions of real numbers: Normal, Uniform."""

import math

from tensorlite.distributions.distribution import Distribution, as_floats
from tensorlite.random import rand, randn

__all__ = ["Normal", "Uniform"]


class Normal(Distribution):
    """The normal distribution of mean loc and standard deviation scale: density exp(-(x - loc)^2 / (2 scale^2)) / (scale sqrt(2 pi)).

    Raises:
        ArgumentError (a ValueError): a scale that is not positive.

    Example:
        >>> import tensorlite as tl
        >>> tl.distributions.Normal(0.0, 1.0).log_prob(tl.tensor(0.0))
        tensor(-0.9189)
    """

    names, has_rsample = ("loc", "scale"), True

    def __init__(self, loc, scale, validate_args=None):
        self.loc, self.scale = as_floats(loc, scale)
        super().__init__(self.loc.shape, (), validate_args)
        self._check("loc", self.loc, self.loc == self.loc, "a number")
        self._check("scale", self.scale, self.scale > 0, "positive")

    mean = property(lambda self: self.loc, doc="loc.")
    mode = property(lambda self: self.loc, doc="loc.")
    stddev = property(lambda self: self.scale, doc="scale.")
    variance = property(lambda self: self.scale**2, doc="scale^2.")

    def rsample(self, sample_shape=()):
        noise = randn(*self._shape(sample_shape), dtype=self.loc.dtype, device=self.loc.device)
        return self.loc + noise * self.scale

    def log_prob(self, value):
        self._check_value(value, lambda v: v == v, "a number")
        return -((value - self.loc) ** 2) / (2 * self.variance) - self.scale.log() - math.log(math.sqrt(2 * math.pi))

    def cdf(self, value):
        """The probability of an outcome up to value."""
        self._check_value(value)
        return 0.5 * (1 + ((value - self.loc) * self.scale.reciprocal() / math.sqrt(2)).erf())

    def icdf(self, value):
        """The value that cdf takes to this probability."""
        return self.loc + self.scale * (2 * value - 1).erfinv() * math.sqrt(2)

    def entropy(self):
        return 0.5 + 0.5 * math.log(2 * math.pi) + self.scale.log()


class Uniform(Distribution):
    """All of [low, high) alike: density 1 / (high - low).

    Raises:
        ArgumentError (a ValueError): low is not less than high.

    Example:
        >>> import tensorlite as tl
        >>> tl.distributions.Uniform(0.0, 2.0).variance
        tensor(0.3333)
    """

    names, has_rsample = ("low", "high"), True

    def __init__(self, low, high, validate_args=None):
        self.low, self.high = as_floats(low, high)
        super().__init__(self.low.shape, (), validate_args)
        self._check("low", self.low, self.low < self.high, "less than high")

    mean = property(lambda self: (self.high + self.low) / 2, doc="The middle.")
    mode = property(lambda self: math.nan * self.high, doc="There is none: nan.")
    stddev = property(lambda self: (self.high - self.low) / 12**0.5, doc="The root of the variance.")
    variance = property(lambda self: (self.high - self.low) ** 2 / 12, doc="(high - low)^2 / 12.")

    def rsample(self, sample_shape=()):
        share = rand(*self._shape(sample_shape), dtype=self.low.dtype, device=self.low.device)
        return self.low + share * (self.high - self.low)

    def log_prob(self, value):
        self._check_value(value, lambda v: (v >= self.low) & (v <= self.high), "from low to high")
        inside = (self.low <= value) & (self.high > value)
        return inside.to(self.low.dtype).log() - (self.high - self.low).log()

    def cdf(self, value):
        """The probability of an outcome up to value."""
        self._check_value(value, lambda v: (v >= self.low) & (v <= self.high), "from low to high")
        return ((value - self.low) / (self.high - self.low)).clamp(0, 1)

    def icdf(self, value):
        """The value that cdf takes to this probability."""
        return value * (self.high - self.low) + self.low

    def entropy(self):
        return (self.high - self.low).log()
