"""Kernels that work channel by channel on (N, C, *size), written in xp: batch norm, group norm and their gradients."""


class ChannelKernels:
    """A part of Backend; `wide` (float16 to float32) is that of windows.py."""

    def batch_moments(self, x):
        """Mean and variance (the sum of squares divided by the number of elements) of each channel: (C,), (C,)."""
        wide, over = self.wide(x), (0, *range(2, x.ndim))
        mean = wide.mean(axis=over, keepdims=True)
        centred = wide - mean
        return mean.reshape(-1), (centred * centred).mean(axis=over)

    def batch_norm(self, x, weight, bias, mean, var, eps: float):
        """(x - mean) / sqrt(var + eps) * weight + bias; also 1 / sqrt(var + eps) (C,)."""
        rstd = 1 / self.xp.sqrt(var + eps)
        y = (self.wide(x) - channels(mean, x)) * channels(rstd if weight is None else rstd * weight, x)
        if bias is not None:
            y += channels(bias, x)
        return y.astype(x.dtype, copy=False), rstd

    def batch_norm_backward(self, g, x, weight, mean, rstd, needs):
        """Gradients of x (through mean and variance too), weight, bias; None where not needed."""
        over, n = (0, *range(2, x.ndim)), max(x.size // max(x.shape[1], 1), 1)
        g = self.wide(g)
        xhat = (self.wide(x) - channels(mean, x)) * channels(rstd, x)
        along, flat = (g * xhat).sum(axis=over), g.sum(axis=over)
        gx = None
        if needs[0]:
            scale = rstd if weight is None else rstd * weight
            gx = (g - channels(flat / n, x) - xhat * channels(along / n, x)) * channels(scale, x)
            gx = gx.astype(x.dtype, copy=False)
        return gx, along if needs[1] else None, flat if needs[2] else None

    def group_norm(self, x, weight, bias, groups: int, eps: float):
        """(x - mean) / sqrt(var + eps) over each group of channels of a sample, * weight + bias by channel; also mean and
        1 / sqrt(var + eps) (N, groups, 1)."""
        rows = self.wide(x).reshape(x.shape[0], groups, x.size // max(x.shape[0] * groups, 1))
        mean = rows.mean(axis=2, keepdims=True)
        centred = rows - mean
        rstd = 1 / self.xp.sqrt((centred * centred).mean(axis=2, keepdims=True) + eps)
        y = (centred * rstd).reshape(x.shape)
        if weight is not None:
            y = y * channels(weight, x)
        if bias is not None:
            y = y + channels(bias, x)
        return y.astype(x.dtype, copy=False), mean, rstd

    def group_norm_backward(self, g, x, weight, mean, rstd, groups: int, needs):
        """Gradients of x, weight, bias; None where not needed."""
        over, shape = (0, *range(2, x.ndim)), (x.shape[0], groups, x.size // max(x.shape[0] * groups, 1))
        g = self.wide(g)
        xhat = (self.wide(x).reshape(shape) - mean) * rstd
        gw = (g * xhat.reshape(x.shape)).sum(axis=over) if needs[1] else None
        gb = g.sum(axis=over) if needs[2] else None
        if not needs[0]:
            return None, gw, gb
        h = (g if weight is None else g * channels(weight, x)).reshape(shape)
        gx = (h - h.mean(axis=2, keepdims=True) - xhat * (h * xhat).mean(axis=2, keepdims=True)) * rstd
        return gx.reshape(x.shape).astype(x.dtype, copy=False), gw, gb


def channels(v, x):
    """A vector (C,) as it meets x (N, C, *size)."""
    return v.reshape(-1, *[1] * (x.ndim - 2))
