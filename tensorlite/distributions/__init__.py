"""`tl.distributions`: outcomes drawn at random, their probabilities and entropies: Normal, Uniform, Bernoulli, Categorical."""

from tensorlite.distributions.continuous import Normal, Uniform
from tensorlite.distributions.discrete import Bernoulli, Categorical
from tensorlite.distributions.distribution import Distribution
from tensorlite.distributions.kl import kl_divergence, register_kl

__all__ = ["Bernoulli", "Categorical", "Distribution", "Normal", "Uniform", "kl_divergence", "register_kl"]
