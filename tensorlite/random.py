"""Random tensors from a seed. Numbers are drawn on the host and moved: one seed gives equal numbers on every device.

Dropout draws from Philox4x32-10 on the device itself, keyed by the generator's seed and a counter: equal bits everywhere too.
"""

import contextlib
import math
import os
import struct

from tensorlite import errors
from tensorlite.backend import Device, as_device, dtypes, host
from tensorlite.creation import _finish, a_tensor, ignored, kwargs_size
from tensorlite.ops.join import broadcast_tensors
from tensorlite.tensor import Tensor, mode, wrap

__all__ = [
    "Generator", "bernoulli", "binomial", "fork_rng", "get_rng_state", "initial_seed", "manual_seed",
    "multinomial", "normal", "poisson", "rand", "rand_like", "randint", "randint_like", "randn", "randn_like", "randperm", "seed",
    "set_rng_state",
]  # fmt: skip

_STATE = struct.Struct("<8sQQ16s16sBI3x")  # mark, seed, runs of dropout, PCG64's state and increment, its kept half
_MARK = b"tl pcg64"
DIGITS = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}  # binary digits of the significand


class Generator:
    """A source of random numbers with a state of its own: PCG64 for tensors, a counter for dropout.

    device is kept as information: the numbers of a seed are the same for all.

    Example:
        >>> import tensorlite as tl
        >>> a, b = tl.Generator().manual_seed(0), tl.Generator().manual_seed(0)
        >>> tl.equal(tl.rand(3, generator=a), tl.rand(3, generator=b))
        True
    """

    def __init__(self, device="cpu"):
        self.device = as_device(device)
        self.seed()

    def manual_seed(self, seed: int) -> "Generator":
        """Start again from a seed. Returns self. Raises DTypeError for what is no number."""
        try:
            seed = int(seed)
        except (TypeError, ValueError):
            raise errors.DTypeError(f"manual_seed: the seed must be an int, not {type(seed).__name__}") from None
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

    def get_state(self) -> Tensor:
        """All that is needed to go on from here, as a uint8 tensor on the CPU."""
        state = self.numpy.bit_generator.state
        parts = (state["state"][k].to_bytes(16, "little") for k in ("state", "inc"))
        data = _STATE.pack(_MARK, self._seed, self._drawn, *parts, state["has_uint32"], state["uinteger"])
        return wrap(host().xp.frombuffer(data, dtype="uint8").copy(), Device("cpu"))

    def set_state(self, new_state: Tensor) -> "Generator":
        """Go on from a state that get_state gave. Returns self. Raises ArgumentError for anything else."""
        data = bytes(new_state.tolist()) if isinstance(new_state, Tensor) and new_state.dtype is dtypes.uint8 else b""
        if len(data) != _STATE.size or not data.startswith(_MARK):
            raise errors.ArgumentError(
                f"set_state: a state that get_state gave is needed, not {errors.describe(new_state)} (PyTorch's states are "
                "of another generator: start from a seed by manual_seed)"
            )
        _, seed, drawn, state, inc, has, kept = _STATE.unpack(data)
        self.manual_seed(seed)
        self._drawn = drawn
        state, inc = int.from_bytes(state, "little"), int.from_bytes(inc, "little")
        self.numpy.bit_generator.state = {
            "bit_generator": "PCG64", "state": {"state": state, "inc": inc}, "has_uint32": has, "uinteger": kept,
        }  # fmt: skip
        return self

    def clone_state(self) -> "Generator":
        """A second generator that goes on from here as this one does."""
        return Generator(self.device).set_state(self.get_state())

    def philox(self):
        """(seed, offset) for one run of device random numbers; never the same pair twice."""
        if mode.vmap is not None:
            mode.vmap.random("dropout")
        self._drawn += 1
        return self._seed, self._drawn


_default = None


def default() -> Generator:
    """The generator that is used where none is given; made at first use."""
    global _default
    if _default is None:
        _default = Generator()
    return _default


def __getattr__(name):
    if name == "default_generator":
        return default()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def manual_seed(seed: int) -> Generator:
    """Seed the default generator: the same seed gives the same numbers, on every device."""
    return default().manual_seed(seed)


def seed() -> int:
    """Seed the default generator from the operating system, and return the seed."""
    return default().seed()


def initial_seed() -> int:
    """The seed of the default generator."""
    return default().initial_seed()


def get_rng_state() -> Tensor:
    """The state of the default generator, as a uint8 tensor; set_rng_state goes on from it."""
    return default().get_state()


def set_rng_state(new_state: Tensor) -> None:
    """Go on from a state that get_rng_state gave."""
    default().set_state(new_state)


@contextlib.contextmanager
def fork_rng(devices=None, enabled=True):
    """`with tl.random.fork_rng():` gives the default generator its state back at the end. devices: accepted, all are one."""
    state = get_rng_state() if enabled else None
    try:
        yield
    finally:
        if enabled:
            set_rng_state(state)


# ---------------------------------------------------------------- drawing on the host
def draw(generator):
    if mode.vmap is not None:
        mode.vmap.random("random")
    if generator is not None and not isinstance(generator, Generator):
        raise errors.DTypeError(f"random: generator must be a tl.Generator, not {type(generator).__name__}")
    return (generator or default()).numpy


def make(array, dtype, device, requires_grad=False):
    device, d = as_device(device), dtypes.as_dtype(dtype or dtypes.get_default_dtype())
    array = host().xp.asarray(array).astype(d.dtype, copy=False)
    return _finish(device.backend.from_host(array), device, requires_grad)


def wide(name, dtype):
    """The dtype that NumPy draws in, for numbers of `dtype`."""
    d = dtypes.as_dtype(dtype or dtypes.get_default_dtype())
    if not d.is_floating_point:
        raise errors.DTypeError(f"{name}: random numbers of dtype {d.name} cannot be drawn from a continuous distribution; "
                                "use randint or random_")  # fmt: skip
    return "float64" if d.itemsize == 8 else "float32"


def uniform(generator, size, name, dtype):
    """Numbers in [0, 1) in the digits of dtype: rounding to 16 bits must not give a 1."""
    d = dtypes.as_dtype(dtype or dtypes.get_default_dtype())
    xp, values = host().xp, draw(generator).random(size, dtype=wide(name, d))
    return xp.floor(values * 2.0 ** DIGITS[d.name]) * 2.0 ** -DIGITS[d.name] if d.itemsize == 2 else values


def on_host(x):
    b = x.device.backend
    return host().xp.asarray(b.to_host(b.as_array(x.array)), dtype="float64")


def _floats(name, x):
    if not isinstance(x, Tensor) or not x.dtype.is_floating_point:
        raise errors.DTypeError(f"{name}: a floating-point tensor is needed, got {errors.describe(x)}; use x.float()")


def need(name, right, rule, **got):
    if not right:
        raise errors.ArgumentError(f"{name}: {rule}, got {', '.join(f'{k}={v}' for k, v in got.items())}")


# ---------------------------------------------------------------- new tensors
def rand(*sizes, size=None, generator=None, dtype=None, device=None, requires_grad=False, **other) -> Tensor:
    """Uniform in [0, 1)."""
    ignored("rand", other)
    size = kwargs_size("rand", sizes if size is None else (size,))
    return make(uniform(generator, size, "rand", dtype), dtype, device, requires_grad)


def randn(*sizes, size=None, generator=None, dtype=None, device=None, requires_grad=False, **other) -> Tensor:
    """Normal with mean 0 and variance 1."""
    ignored("randn", other)
    size = kwargs_size("randn", sizes if size is None else (size,))
    return make(draw(generator).standard_normal(size, dtype=wide("randn", dtype)), dtype, device, requires_grad)


def randint(
    low=0, high=None, size=None, *, generator=None, dtype=None, device=None, requires_grad=False, **other
) -> Tensor:
    """Whole numbers low..high-1 (int64): randint(high, size) or randint(low, high, size).

    Raises:
        ArgumentError: low is not below high, no tuple of sizes, or numbers that dtype cannot hold.
        DTypeError: low or high is no int.
    """
    ignored("randint", other)
    if size is None:
        low, high, size = 0, low, high
    elif high is None:
        low, high = 0, low
    if not isinstance(size, (tuple, list)):
        raise errors.ArgumentError(
            f"randint: needs low < high and a tuple of sizes, got low={low}, high={high}, size={size}"
        )
    return make(whole("randint", generator, low, high, kwargs_size("randint", (size,)), dtype or dtypes.int64),
                 dtype or dtypes.int64, device, requires_grad)  # fmt: skip


def whole(name, generator, low, high, size, dtype):
    low, high = (v.item() if isinstance(v, Tensor) else v for v in (low, high))
    if not (hasattr(low, "__index__") and hasattr(high, "__index__")):
        raise errors.DTypeError(f"{name}: low and high must be ints, got {low} and {high}")
    low, high = low.__index__(), high.__index__()
    need(name, low < high, "needs low < high and a tuple of sizes", low=low, high=high, size=size)
    d = dtypes.as_dtype(dtype)
    if d.category < 2:
        first, last = (0, 1) if d.category == 0 else (dtypes.iinfo(d).min, dtypes.iinfo(d).max)
        need(name, first <= low and high - 1 <= last, f"{d.name} holds {first} to {last} only", low=low, high=high)
    return draw(generator).integers(low, high, size)


def randperm(n, *, generator=None, dtype=None, device=None, requires_grad=False, **other) -> Tensor:
    """The numbers 0..n-1 in random order (int64). Raises ArgumentError for a dtype that does not hold them all."""
    ignored("randperm", other)
    if not hasattr(n, "__index__"):
        raise errors.DTypeError(f"randperm: n must be an int, not {type(n).__name__}")
    need("randperm", n >= 0, "n must not be negative", n=n)
    d = dtypes.as_dtype(dtype or dtypes.int64)
    most = {0: lambda d: 2, 1: lambda d: dtypes.iinfo(d).max + 1, 2: lambda d: 2 ** DIGITS[d.name]}[d.category](d)
    need("randperm", n <= most, f"{d.name} holds no more than 0 to {most - 1} exactly", n=n)
    return make(draw(generator).permutation(n.__index__()), d, device, requires_grad)


def normal(
    mean=0.0, std=1.0, size=None, *, generator=None, dtype=None, device=None, requires_grad=False, **other
) -> Tensor:
    """Normal with the given mean and standard deviation: numbers with `size`, or tensors, which broadcast.

    There is no gradient for mean and std, as in PyTorch; mean + std * randn_like(mean) has one.

    Raises:
        ArgumentError: std is negative, or numbers without a size. ShapeError: the tensors do not broadcast.
    """
    ignored("normal", other)
    tensors = [v.detach() if isinstance(v, Tensor) else v for v in (mean, std)]
    like = next((v for v in tensors if isinstance(v, Tensor)), None)
    if isinstance(std, Tensor):
        need(
            "normal",
            not std.array.size or not (on_host(std) < 0).any(),
            "std must not be negative",
            std=errors.describe(std),
        )
    else:
        need("normal", std >= 0, "std must not be negative", std=std)
    if like is None:
        need("normal", size is not None, "numbers as mean and std need a size", mean=mean, std=std)
    else:
        if size is not None:
            raise errors.ArgumentError("normal: a size goes with numbers only; tensors have theirs")
        both = [v for v in tensors if isinstance(v, Tensor)]
        size, device, dtype = broadcast_tensors(*both)[0].shape, like.device, dtype or like.dtype
    out = randn(tuple(size), generator=generator, dtype=dtype, device=device) * tensors[1] + tensors[0]
    return out.requires_grad_() if requires_grad else out


def rand_like(
    input, *, generator=None, dtype=None, layout=None, device=None, requires_grad=False, memory_format=None
) -> Tensor:
    """rand in the shape, dtype and device of input."""
    a_tensor("rand_like", input)
    size, dtype, device = tuple(input.shape), dtype or input.dtype, device or input.device
    return rand(size, generator=generator, dtype=dtype, device=device, requires_grad=requires_grad)


def randn_like(
    input, *, generator=None, dtype=None, layout=None, device=None, requires_grad=False, memory_format=None
) -> Tensor:
    """randn in the shape, dtype and device of input."""
    a_tensor("randn_like", input)
    size, dtype, device = tuple(input.shape), dtype or input.dtype, device or input.device
    return randn(size, generator=generator, dtype=dtype, device=device, requires_grad=requires_grad)


def randint_like(
    input,
    low=0,
    high=None,
    *,
    generator=None,
    dtype=None,
    layout=None,
    device=None,
    requires_grad=False,
    memory_format=None,
) -> Tensor:
    """Whole numbers in the shape, dtype and device of input: randint_like(x, high), randint_like(x, low, high)."""
    a_tensor("randint_like", input)
    low, high = (0, low) if high is None else (low, high)
    size, dtype, device = tuple(input.shape), dtype or input.dtype, device or input.device
    return randint(low, high, size, generator=generator, dtype=dtype, device=device, requires_grad=requires_grad)


def bernoulli(input, p=None, *, generator=None) -> Tensor:
    """1 with probability input (or p), else 0, for each element. Raises ArgumentError for no probabilities."""
    if p is None:
        _floats("bernoulli", input)
        return input.detach().clone().bernoulli_(input, generator=generator)
    return input.detach().clone().bernoulli_(p, generator=generator)


def poisson(input, generator=None) -> Tensor:
    """Whole numbers with the Poisson distribution of rate input, in its dtype. Raises ArgumentError for negative rates."""
    _floats("poisson", input)
    rates = on_host(input)
    need("poisson", bool((rates >= 0).all()), "rates must not be negative", smallest=rates.min(initial=0))
    return make(draw(generator).poisson(rates), input.dtype, input.device)


def binomial(count, prob, generator=None) -> Tensor:
    """How many of `count` tries succeed, each with probability `prob`; tensors that broadcast, in their dtype."""
    _floats("binomial", count)
    _floats("binomial", prob)
    count, prob = broadcast_tensors(count, prob)
    n, p = on_host(count), on_host(prob)
    need("binomial", not ((p < 0) | (p > 1)).any() and not (n < 0).any(), "counts from 0 and probabilities in [0, 1] are needed",
          count=errors.describe(count), prob=errors.describe(prob))  # fmt: skip
    return make(draw(generator).binomial(n.astype("int64"), p), count.dtype, count.device)


def multinomial(input, num_samples, replacement=False, *, generator=None) -> Tensor:
    """Indices drawn with probabilities proportional to the rows of input: (n,) or (m, n) -> (..., num_samples), int64.

    Without replacement fewer non-zero weights than samples are an error: PyTorch then gives places of weight 0.

    Raises:
        DTypeError: integer weights. ShapeError: not one or two dimensions.
        ArgumentError: negative, infinite, nan or all-zero weights, or more samples than can be drawn.
    """
    _floats("multinomial", input)
    xp, weights, n = host().xp, on_host(input), input.shape[-1] if input.ndim else 0
    if weights.ndim not in (1, 2):
        raise errors.ShapeError(f"multinomial: weights must be a vector or a matrix, got {errors.describe(input)}")
    rows = weights.reshape(math.prod(weights.shape[:-1]), n)
    need("multinomial", num_samples > 0, "num_samples must be positive", num_samples=num_samples)
    if not xp.isfinite(rows).all() or (rows < 0).any() or (rows.sum(1) <= 0).any():
        raise errors.ArgumentError("multinomial: weights must be finite, not negative, not all zero in a row")
    possible = int((rows > 0).sum(1).min(initial=n))
    if not replacement and num_samples > possible:
        raise errors.ArgumentError(
            f"multinomial: {num_samples} samples without replacement from {possible} non-zero weights; "
            "pass replacement=True, or draw fewer"
        )
    random = draw(generator)
    if replacement or num_samples == 1:
        picks = _by_cumulated(xp, rows, random.random((len(rows), num_samples)))
    else:  # Efraimidis and Spirakis 2006: the largest of u^(1/w)
        with host().quiet():
            keys = xp.where(rows > 0, xp.log(random.random(rows.shape)) / rows, -math.inf)
        picks = xp.argsort(-keys, axis=1)[:, :num_samples]
    shape = (*weights.shape[:-1], num_samples)
    return make(picks.reshape(shape), dtypes.int64, input.device)


def _by_cumulated(xp, rows, u):
    """For each row the places where its cumulated weights pass u: one search through all rows, laid end to end."""
    m, n = rows.shape
    if not m:
        return xp.zeros(u.shape, dtype="int64")
    edges = rows.cumsum(1)
    start = xp.arange(m)[:, None]
    edges = edges / edges[:, -1:] + start  # row i lies in [i, i + 1]
    picks = xp.searchsorted(edges.reshape(-1), (u + start).reshape(-1), side="right").reshape(u.shape) - start * n
    last = n - 1 - xp.argmax(rows[:, ::-1] > 0, axis=1)[:, None]
    return xp.clip(picks, 0, last)  # rounding may reach the next row, but must not find a weight of 0


Tensor.multinomial, Tensor.bernoulli = multinomial, bernoulli
