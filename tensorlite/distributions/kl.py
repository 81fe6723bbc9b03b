"""kl_divergence: how far one distribution is from another (Kullback and Leibler 1951), for pairs of one kind."""

import math

from tensorlite.distributions.continuous import Normal, Uniform
from tensorlite.distributions.discrete import Bernoulli, Categorical
from tensorlite.distributions.distribution import softplus
from tensorlite.ops.select import where

__all__ = ["kl_divergence", "register_kl"]

_RULES = {}  # (type of p, type of q) -> function


def register_kl(type_p, type_q):
    """Decorator of a function (p, q) that computes kl_divergence for these types and those derived from them."""

    def register(function):
        _RULES[type_p, type_q] = function
        return function

    return register


def kl_divergence(p, q):
    """The mean of p.log_prob(x) - q.log_prob(x) over outcomes x of p.

    Raises:
        NotImplementedError: no rule for this pair is registered.

    Example:
        >>> import tensorlite as tl
        >>> from tensorlite.distributions import Normal, kl_divergence
        >>> kl_divergence(Normal(0.0, 1.0), Normal(1.0, 1.0))
        tensor(0.5000)
    """
    for a in type(p).__mro__:
        for b in type(q).__mro__:
            if (a, b) in _RULES:
                return _RULES[a, b](p, q)
    raise NotImplementedError(f"kl_divergence: there is no rule for {type(p).__name__} and {type(q).__name__}")


@register_kl(Normal, Normal)
def _normal(p, q):
    ratio, apart = (p.scale / q.scale) ** 2, ((p.loc - q.loc) / q.scale) ** 2
    return 0.5 * (ratio + apart - 1 - ratio.log())


@register_kl(Uniform, Uniform)
def _uniform(p, q):
    outside = (q.low > p.low) | (q.high < p.high)
    return where(outside, math.inf, ((q.high - q.low) / (p.high - p.low)).log())


@register_kl(Bernoulli, Bernoulli)
def _bernoulli(p, q):
    a, b = p.probs, q.probs
    ones = where(a == 0, 0.0, where(b == 0, math.inf, a * (softplus(-q.logits) - softplus(-p.logits))))
    zeros = where(a == 1, 0.0, where(b == 1, math.inf, (1 - a) * (softplus(q.logits) - softplus(p.logits))))
    return ones + zeros


@register_kl(Categorical, Categorical)
def _categorical(p, q):
    terms = p.probs * (p.logits - q.logits)
    return where(p.probs == 0, 0.0, where(q.probs == 0, math.inf, terms)).sum(-1)
