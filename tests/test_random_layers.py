"""Layers with random arguments on inputs of random shapes: like PyTorch's, or refused by both."""

import numpy as np
import pytest
from layer_check import check, distinct, normal

import tensorlite as tl
from tensorlite.errors import TensorliteError

torch = pytest.importorskip("torch")


class Draw:
    """Random arguments as people give them."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def int(self, low, high):
        return int(self.rng.integers(low, high + 1))

    def one(self, *choices):
        return choices[self.int(0, len(choices) - 1)]

    def often(self, p=0.5):
        return bool(self.rng.random() < p)

    def each(self, low, high, rank):
        """One int, or one for each dimension."""
        return self.int(low, high) if self.often() else tuple(self.int(low, high) for _ in range(rank))

    def shape(self, channels, low, high, rank):
        batch = (self.int(1, 3),) if self.often(0.8) else ()
        return (*batch, channels, *[self.int(low, high) for _ in range(rank)])


def conv(d):
    rank, groups = d.int(1, 3), d.int(1, 3)
    i, o = groups * d.int(1, 2), groups * d.int(1, 3)
    args = {
        "kernel_size": d.each(1, 3, rank), "stride": d.each(1, 3, rank), "padding": d.each(0, 2, rank), "groups": groups,
        "dilation": d.each(1, 2, rank), "bias": d.often(), "padding_mode": d.one("zeros", "reflect", "replicate", "circular"),
    }  # fmt: skip
    if d.often(0.2):
        args |= {"padding": d.one("same", "valid"), "stride": 1}
    return f"Conv{rank}d", (i, o), args, d.shape(i, 3, 7, rank)


def conv_transpose(d):
    rank, groups = d.int(1, 3), d.int(1, 3)
    i, o = groups * d.int(1, 2), groups * d.int(1, 3)
    args = {
        "kernel_size": d.each(1, 3, rank), "stride": d.each(1, 3, rank), "padding": d.each(0, 1, rank), "groups": groups,
        "dilation": d.each(1, 2, rank), "bias": d.often(), "output_padding": d.each(0, 1, rank),
    }  # fmt: skip
    return f"ConvTranspose{rank}d", (i, o), args, d.shape(i, 2, 5, rank)


def pool(d):
    rank, kind = d.int(1, 3), d.one("MaxPool", "AvgPool", "AdaptiveAvgPool", "AdaptiveMaxPool")
    if "Adaptive" in kind:
        args = {"output_size": d.each(1, 5, rank)}
    else:
        args = {"kernel_size": d.each(2, 3, rank), "padding": d.each(0, 1, rank), "ceil_mode": d.often()}
        args["stride"] = None if d.often(0.3) else d.each(1, 3, rank)
        if kind == "MaxPool":
            args |= {"dilation": d.each(1, 2, rank), "return_indices": d.often()}
        else:
            args["count_include_pad"] = d.often()
            args |= {"divisor_override": d.int(1, 5)} if rank > 1 and d.often(0.3) else {}
    return f"{kind}{rank}d", (), args, d.shape(2, 3, 8, rank)


def norm(d):
    rank, c, kind = d.int(1, 3), 2 * d.int(1, 3), d.one("BatchNorm", "InstanceNorm", "GroupNorm")
    args = {"affine": d.often(0.6), "eps": 10.0 ** -d.int(1, 5)}
    shape = (d.int(1, 3), c, *[d.int(1, 4) for _ in range(rank)])
    if kind == "GroupNorm":
        return kind, (d.one(1, 2, c), c), args, shape
    args |= {"track_running_stats": d.often(), "momentum": None if d.often(0.2) else float(d.rng.random())}
    return f"{kind}{rank}d", (c,), args, shape


def pad(d):
    rank, kind = d.int(1, 3), d.one("Reflection", "Replication", "Circular", "Zero")
    return f"{kind}Pad{rank}d", (tuple(d.int(0, 3) for _ in range(2 * rank)),), {}, d.shape(2, 2, 5, rank)


def upsample(d):
    rank = d.int(1, 3)
    mode = d.one("nearest", *[("linear",), ("bilinear", "bicubic"), ("trilinear",)][rank - 1])
    args = {"mode": mode, "align_corners": None if mode == "nearest" else d.often()}
    if d.often():
        args["size"] = tuple(d.int(1, 8) for _ in range(rank))
    else:
        args["scale_factor"] = d.one(2, 1.5, 0.5, 3, 0.7)
    return "Upsample", (), args, (d.int(1, 2), 2, *[d.int(2, 5) for _ in range(rank)])


def refusal(lib, make, x):
    """The error of the layer, of making it or of calling it; None if all is well."""
    try:
        make(lib.nn).double()(lib.tensor(x))
    except (RuntimeError, ValueError) as e:
        return e
    return None


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("family", [conv, conv_transpose, pool, norm, pad, upsample])
def test_like_pytorch_or_refused_by_both(family):
    compared = 0
    for seed in range(60):
        name, first, args, shape = family(Draw(seed))

        def make(nn, name=name, first=first, args=args):
            return getattr(nn, name)(*first, **args)

        x = distinct(*shape) if "Max" in name else normal(*shape)
        try:
            ours, theirs = refusal(tl, make, x), refusal(torch, make, x)
            assert (ours is None) == (theirs is None), (ours, theirs)
            if ours is None:
                check(torch, make, x, steps=1)
                compared += 1
            else:
                assert isinstance(ours, TensorliteError)
        except Exception as e:
            e.add_note(f"seed {seed}: {name}{first} {args} on {shape}")
            raise
    assert compared > 30
