"""Random numbers put into the memory of a tensor: uniform_, normal_, bernoulli_, ... Where they come from: random.py."""

import inspect

from tensorlite import errors, inplace
from tensorlite.backend import dtypes, host
from tensorlite.random import DIGITS, draw, make, need, on_host, uniform, whole, wide
from tensorlite.tensor import Tensor


def _filler(name, fill):
    def method(self, *args, generator=None, **kw):
        if "from" in kw:  # PyTorch's name, which is a word of Python
            kw["from_"] = kw.pop("from")
        values = fill(self, name, generator, *args, **kw)
        inplace.setitem(self, ..., make(values, self.dtype, self.device))
        return self

    own, _, last, *shown = inspect.signature(fill).parameters.values()
    last = last.replace(kind=last.KEYWORD_ONLY, default=None)
    method.__signature__ = inspect.Signature([own, *shown, last], return_annotation=Tensor)
    method.__name__, method.__qualname__, fill.__qualname__ = name, f"Tensor.{name}", f"Tensor.{name}"
    method.__doc__ = f"Fill this tensor in place: {fill.__doc__}"
    return method


def _fill_uniform(self, name, generator, from_=0.0, to=1.0):
    """uniform in [from, to); the first can be named `from` as in PyTorch, uniform_(**{"from": 2})."""
    need(name, from_ <= to, "the range must not end before it begins", a=from_, to=to)
    return uniform(generator, tuple(self.shape), name, self.dtype) * (to - from_) + from_


def _fill_normal(self, name, generator, mean=0.0, std=1.0):
    """normal with the given mean and standard deviation."""
    need(name, std >= 0, "std must not be negative", std=std)
    return draw(generator).standard_normal(tuple(self.shape), dtype=wide(name, self.dtype)) * std + mean


def _fill_random(self, name, generator, from_=None, to=None):
    """whole numbers from..to-1; random_(to) begins at 0, random_() takes all that the dtype holds exactly, from 0."""
    if to is None:
        d, from_, to = self.dtype, 0, from_
        if to is None:
            to = 2 ** DIGITS[d.name] + 1 if d.is_floating_point else 2 if d.category == 0 else dtypes.iinfo(d).max + 1
    return whole(name, generator, 0 if from_ is None else from_, to, tuple(self.shape), self.dtype)


def _fill_bernoulli(self, name, generator, p=0.5):
    """1 with probability p (a number, or a tensor that broadcasts to this one), else 0."""
    chances = on_host(p) if isinstance(p, Tensor) else host().xp.asarray(float(p))
    need(name, bool(((chances >= 0) & (chances <= 1)).all()), "probabilities lie in [0, 1]", p=errors.describe(p))
    shape = tuple(self.shape)
    try:
        chances = host().xp.broadcast_to(chances, shape)
    except ValueError:
        raise errors.ShapeError(
            f"{name}: probabilities of shape {chances.shape} do not broadcast to this tensor, {errors.describe(self)}"
        ) from None
    return draw(generator).random(shape) < chances


def _fill_exponential(self, name, generator, lambd=1.0):
    """exponential with rate lambd: lambd exp(-lambd x) for x > 0."""
    need(name, lambd > 0, "lambd must be positive", lambd=lambd)
    return draw(generator).standard_exponential(tuple(self.shape), dtype=wide(name, self.dtype)) / lambd


def _fill_cauchy(self, name, generator, median=0.0, sigma=1.0):
    """Cauchy with the given median and half width sigma."""
    need(name, sigma > 0, "sigma must be positive", sigma=sigma)
    wide(name, self.dtype)
    return draw(generator).standard_cauchy(tuple(self.shape)) * sigma + median


def _fill_log_normal(self, name, generator, mean=1.0, std=2.0):
    """numbers whose logarithm is normal with the given mean and standard deviation."""
    need(name, std > 0, "std must be positive", std=std)
    return host().xp.exp(_fill_normal(self, name, generator, mean, std))


def _fill_geometric(self, name, generator, p):
    """how many tries of probability p until the first success: k = 1, 2, ... with p (1 - p)^(k - 1)."""
    need(name, 0 < p < 1, "p must lie between 0 and 1", p=p)
    return draw(generator).geometric(p, tuple(self.shape))


for _name, _fill in {
    "uniform_": _fill_uniform, "normal_": _fill_normal, "random_": _fill_random, "bernoulli_": _fill_bernoulli,
    "exponential_": _fill_exponential, "cauchy_": _fill_cauchy, "log_normal_": _fill_log_normal, "geometric_": _fill_geometric,
}.items():  # fmt: skip
    setattr(Tensor, _name, _filler(_name, _fill))
