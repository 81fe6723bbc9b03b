"""Random tensors from a seed. Numbers are drawn on the host and moved: one seed gives equal numbers on every device.

Dropout draws from Philox4x32-10 on the device itself, keyed by the generator's seed and a counter: equal bits everywhere too.
"""

import math
import os

from tensorlite import errors, inplace
from tensorlite.backend import as_device, dtypes, host
from tensorlite.creation import _finish, kwargs_size
from tensorlite.tensor import Tensor, wrap


class Generator:
    """A source of random numbers with a state of its own: PCG64 for tensors, a counter for dropout."""

    def __init__(self, device="cpu"):
        self.device = as_device("cpu")
        self.manual_seed(int.from_bytes(os.urandom(4), "little"))

    def manual_seed(self, seed: int) -> "Generator":
        """Start again from a seed. Returns self."""
        if not isinstance(seed, int):
            raise errors.DTypeError(f"manual_seed: the seed must be an int, not {type(seed).__name__}")
        self._seed, self._drawn = seed % 2**64, 0
        self.numpy = host().xp.random.Generator(host().xp.random.PCG64(self._seed))
        return self

    def initial_seed(self) -> int:
        """The seed this generator was started from."""
        return self._seed

    def seed(self) -> int:
        """Start again from a seed of the operating system, and return it."""
        self.manual_seed(int.from_bytes(os.urandom(8), "little"))
        return self._seed

    def get_state(self) -> dict:
        """All that is needed to go on from here, as a dict of numbers and strings."""
        return {"seed": self._seed, "drawn": self._drawn, "pcg64": self.numpy.bit_generator.state}

    def set_state(self, state: dict) -> "Generator":
        """Go on from a state that get_state gave. Returns self."""
        self.manual_seed(state["seed"])
        self._drawn = state["drawn"]
        self.numpy.bit_generator.state = state["pcg64"]
        return self

    def philox(self):
        """(seed, offset) for one run of device random numbers; never the same pair twice."""
        self._drawn += 1
        return self._seed, self._drawn


default_generator = None


def default() -> Generator:
    """The generator that is used where none is given; made at first use."""
    global default_generator
    if default_generator is None:
        default_generator = Generator()
    return default_generator


def manual_seed(seed: int) -> Generator:
    """Seed the default generator: the same seed gives the same numbers, on every device."""
    return default().manual_seed(seed)


def initial_seed() -> int:
    """The seed of the default generator."""
    return default().initial_seed()


def get_rng_state() -> dict:
    """The state of the default generator; set_rng_state goes on from it."""
    return default().get_state()


def set_rng_state(state: dict) -> None:
    """Go on from a state that get_rng_state gave."""
    default().set_state(state)


def _draw(generator):
    return (generator or default()).numpy


def _make(array, dtype, device, requires_grad):
    device, d = as_device(device), dtypes.as_dtype(dtype or dtypes.get_default_dtype())
    return _finish(device.backend.from_host(array.astype(d.dtype, copy=False)), device, requires_grad)


def _wide(dtype):
    d = dtypes.as_dtype(dtype or dtypes.get_default_dtype())
    if not d.is_floating_point:
        raise errors.DTypeError(
            f"random numbers of dtype {d.name} cannot be drawn from a continuous distribution; use randint"
        )
    return "float64" if d.itemsize == 8 else "float32"


def rand(*size, generator=None, dtype=None, device=None, requires_grad=False) -> Tensor:
    """Uniform in [0, 1)."""
    size = kwargs_size("rand", size)
    return _make(host().xp.asarray(_draw(generator).random(size, dtype=_wide(dtype))), dtype, device, requires_grad)


def randn(*size, generator=None, dtype=None, device=None, requires_grad=False) -> Tensor:
    """Normal with mean 0 and variance 1."""
    size = kwargs_size("randn", size)
    values = host().xp.asarray(_draw(generator).standard_normal(size, dtype=_wide(dtype)))
    return _make(values, dtype, device, requires_grad)


def randint(low, high=None, size=None, *, generator=None, dtype=None, device=None, requires_grad=False) -> Tensor:
    """Whole numbers low..high-1 (int64): randint(high, size) or randint(low, high, size)."""
    if size is None:
        low, high, size = 0, low, high
    if not isinstance(size, (tuple, list)) or low >= high:
        raise errors.ArgumentError(
            f"randint: needs low < high and a tuple of sizes, got low={low}, high={high}, size={size}"
        )
    values = host().xp.asarray(_draw(generator).integers(low, high, tuple(size)))
    return _make(values, dtype or dtypes.int64, device, requires_grad)


def randperm(n, *, generator=None, dtype=None, device=None) -> Tensor:
    """The numbers 0..n-1 in random order (int64)."""
    return _make(_draw(generator).permutation(n), dtype or dtypes.int64, device, False)


def normal(mean=0.0, std=1.0, size=None, *, generator=None, dtype=None, device=None) -> Tensor:
    """Normal with the given mean and standard deviation (numbers with `size`, or tensors)."""
    if size is None:
        like = mean if isinstance(mean, Tensor) else std
        if not isinstance(like, Tensor):
            raise errors.ArgumentError("normal: size is needed when mean and std are numbers")
        size, device = (
            tuple((mean + std).shape if isinstance(mean, Tensor) and isinstance(std, Tensor) else like.shape),
            like.device,
        )
    return randn(tuple(size), generator=generator, dtype=dtype, device=device) * std + mean


def rand_like(input, **kw) -> Tensor:
    """rand in the shape, dtype and device of input."""
    return rand(tuple(input.shape), **{"dtype": input.dtype, "device": input.device, **kw})


def randn_like(input, **kw) -> Tensor:
    """randn in the shape, dtype and device of input."""
    return randn(tuple(input.shape), **{"dtype": input.dtype, "device": input.device, **kw})


def bernoulli(input, *, generator=None) -> Tensor:
    """1 with probability input, else 0, for each element."""
    return (rand(tuple(input.shape), generator=generator, device=input.device, dtype=input.dtype) < input).to(
        input.dtype
    )


def multinomial(input, num_samples, replacement=False, *, generator=None) -> Tensor:
    """Indices drawn with probabilities proportional to the rows of input: (n,) or (m, n) -> (..., num_samples), int64.

    Raises:
        ArgumentError: negative, infinite or all-zero weights, or more samples than non-zero weights without replacement.
    """
    xp, b = host().xp, input.device.backend
    weights = xp.asarray(b.to_host(b.as_array(input.array)), dtype=xp.float64)
    rows = weights.reshape(-1, weights.shape[-1])
    if weights.ndim not in (1, 2) or not xp.isfinite(rows).all() or (rows < 0).any() or (rows.sum(1) <= 0).any():
        raise errors.ArgumentError(
            "multinomial: weights must be a vector or matrix, finite, not negative, not all zero in a row"
        )
    if not replacement and num_samples > (rows > 0).sum(1).min():
        raise errors.ArgumentError(
            f"multinomial: {num_samples} samples without replacement from fewer non-zero weights"
        )
    random = _draw(generator)
    if replacement or num_samples == 1:
        edges = rows.cumsum(1)
        u = random.random((len(rows), num_samples)) * edges[:, -1:]
        picks = xp.stack([xp.searchsorted(e, v, side="right") for e, v in zip(edges, u, strict=True)])
        picks = xp.minimum(picks, rows.shape[1] - 1)
    else:  # Efraimidis and Spirakis 2006: the largest of u^(1/w)
        with host().quiet():
            keys = xp.where(rows > 0, xp.log(random.random(rows.shape)) / rows, -math.inf)
        picks = xp.argsort(-keys, axis=1)[:, :num_samples]
    shape = (num_samples,) if weights.ndim == 1 else (len(rows), num_samples)
    return wrap(b.from_host(picks.astype(xp.int64).reshape(shape)), input.device)


def _filler(name, draw):
    def method(self, *args, generator=None, **kw):
        values = draw(self, generator, *args, **kw)
        inplace.setitem(self, ..., values)
        return self

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"Fill this tensor in place: {draw.__doc__}"
    return method


def _uniform(self, generator, a=0.0, b=1.0):
    """uniform in [a, b)."""
    return rand_like(self, generator=generator) * (b - a) + a


def _normal(self, generator, mean=0.0, std=1.0):
    """normal with the given mean and standard deviation."""
    return randn_like(self, generator=generator) * std + mean


def _random(self, generator, low=0, high=None):
    """whole numbers low..high-1."""
    if high is None:
        low, high = 0, low or 2**24
    return randint(low, high, tuple(self.shape), generator=generator, device=self.device).to(self.dtype)


def _bernoulli(self, generator, p=0.5):
    """1 with probability p, else 0."""
    return (rand(tuple(self.shape), generator=generator, device=self.device) < p).to(self.dtype)


Tensor.uniform_, Tensor.normal_ = _filler("uniform_", _uniform), _filler("normal_", _normal)
Tensor.random_, Tensor.bernoulli_ = _filler("random_", _random), _filler("bernoulli_", _bernoulli)
Tensor.multinomial, Tensor.bernoulli = multinomial, bernoulli
