"""Batch norm, the moments of its channels, and group norm, as fused operations. The functions of nn.functional and the running
averages stand in nn/functional/normalization.py."""

import math

from tensorlite.op import Fused, Op


class BatchMoments(Op):
    """The mean and the variance (divided by n) of each channel of x (N, C, *size). Their derivative is in batch_norm's."""

    name, formula, outputs = "batch_moments", "mean x, mean (x - mean x)^2 of each channel", 2

    def forward(b, x):
        return b.batch_moments(x)


class BatchNorm(Fused):
    """Ioffe and Szegedy 2015. mean and var are batch_moments(x), handed in so as to be computed once: the gradient of x goes
    through them too, and so they have none of their own."""

    name, formula = "batch_norm", "(x - mean) / sqrt(var + eps) * w + b"
    local = (
        "(g - mean(g) - xhat mean(g xhat)) w / sqrt(var + eps)",
        "g xhat, summed over each channel",
        "1, summed over each channel",
        "",
        "",
    )
    extras = ("rstd",)
    unseen = (3, 4)  # mean and var are made of x: in pictures they are no inputs

    def forward(b, x, weight, bias, mean, var, *, eps):
        y, rstd = b.batch_norm(x, weight, bias, mean, var, eps)
        return y, (rstd,)

    def backward(b, g, needs, into, x, weight, mean, rstd):
        return (*b.batch_norm_backward(g, x, weight, mean, rstd, needs), None, None)

    def plain(x, weight, bias, mean, var, eps):
        over, shape = (0, *range(2, x.ndim)), (-1, *[1] * (x.ndim - 2))
        centred = x - x.mean(over, keepdim=True)
        y = centred / ((centred * centred).mean(over, keepdim=True) + eps).sqrt()
        y = y if weight is None else y * weight.reshape(shape)
        return y if bias is None else y + bias.reshape(shape)


class GroupNorm(Fused):
    """Wu and He 2018; with a group for each channel instance norm (Ulyanov et al. 2016). mean and var: of each group of a sample."""

    name, formula = "group_norm", "(x - mean) / sqrt(var + eps) * w + b"
    local = (
        "(h - mean(h) - xhat mean(h xhat)) / sqrt(var + eps), h = g w",
        "g xhat, summed over each channel",
        "1, summed over each channel",
    )
    extras = ("mean", "rstd")

    def forward(b, x, weight, bias, *, groups, eps):
        y, mean, rstd = b.group_norm(x, weight, bias, groups, eps)
        return y, (mean, rstd)

    def backward(b, g, needs, into, x, weight, mean, rstd, groups):
        return b.group_norm_backward(g, x, weight, mean, rstd, groups, needs)

    def plain(x, weight, bias, groups, eps):
        n, c, *size = x.shape
        rows, shape = x.reshape(n, groups, math.prod(size) * (c // groups)), (-1, *[1] * len(size))
        centred = rows - rows.mean(2, keepdim=True)
        y = (centred / ((centred * centred).mean(2, keepdim=True) + eps).sqrt()).reshape(x.shape)
        y = y if weight is None else y * weight.reshape(shape)
        return y if bias is None else y + bias.reshape(shape)
