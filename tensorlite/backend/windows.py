"""Kernels that look at an array through windows: im2col and its transpose, and the three products of a convolution.

Everywhere x is (N, C, *size) and the windows stand at `out` places of each spatial dimension: window o sees the positions
o * stride + k * dilation - low for k = 0..kernel-1; those outside of x count as 0 (`low` is the padding in front, the
padding behind follows from `out`). These are methods of Backend, written plainly in xp.
"""

import itertools
import math

_SHORT = 256  # fewer places than this: one product for the whole batch instead of one for each sample


class Windows:
    """The part of Backend that convolutions and pooling stand on."""

    window_bytes = 1 << 28  # the windows of a batch that are laid out at a time (at least those of one sample)

    def im2col(self, x, kernel, stride, low, dilation, out):
        """What each window sees: (N, C, *kernel, *out), a view of x or of x with zeros around."""
        xp, rank = self.xp, len(kernel)
        size = x.shape[2:]
        ends = [(o - 1) * s + d * (k - 1) + 1 for o, s, d, k in zip(out, stride, dilation, kernel, strict=True)]
        if any(low) or any(e > n for e, n in zip(ends, size, strict=True)):
            full = [max(e, n + p) for e, n, p in zip(ends, size, low, strict=True)]
            padded = xp.zeros((*x.shape[:2], *full), dtype=x.dtype)
            padded[(..., *[slice(p, p + n) for p, n in zip(low, size, strict=True)])] = x
            x = padded
        steps = x.strides[2:]
        strides = (
            *x.strides[:2],
            *[steps[i] * dilation[i] for i in range(rank)],
            *[steps[i] * stride[i] for i in range(rank)],
        )
        return xp.lib.stride_tricks.as_strided(x, (*x.shape[:2], *kernel, *out), strides)

    def col2im(self, cols, size, kernel, stride, low, dilation):
        """The transpose of im2col: what the windows hold, (N, C, *kernel, *out), summed where they overlap: (N, C, *size)."""
        out = cols.shape[2 + len(kernel) :]
        x = self.xp.zeros((*cols.shape[:2], *size), dtype=cols.dtype)
        for offset in itertools.product(*map(range, kernel)):
            to, of = [], []
            for n, o, k, s, p, d in zip(size, out, offset, stride, low, dilation, strict=True):
                first = max(0, -((k * d - p) // s))  # the first and last window whose position k lies inside
                last = min(o - 1, (n - 1 + p - k * d) // s)
                if last < first:
                    break
                start = first * s + k * d - p
                to.append(slice(start, start + (last - first) * s + 1, s))
                of.append(slice(first, last + 1))
            else:
                x[(..., *to)] += cols[(slice(None), slice(None), *offset, *of)]
        return x

    # ---------------------------------------------------------------- the products; C / groups = c, O / groups = o
    def conv(self, x, weight, stride, low, dilation, groups, out):
        """out[n, o, place] = sum over c, k of weight[o, c, k] * (what window `place` of x[n, c] sees at k)."""
        features, kernel, places = weight.shape[0], weight.shape[2:], math.prod(out)
        w = self.wide(weight).reshape(groups, features // groups, math.prod(weight.shape[1:]))
        parts = []
        for piece in self._pieces(x, kernel, out):
            n = piece.stop - piece.start
            cols = self._columns(self.wide(x[piece]), kernel, stride, low, dilation, groups, out)
            y = self.matmul(w, cols)
            if cols.ndim == 3:  # (groups, o, places * N)
                y = self.xp.moveaxis(y.reshape(features, places, n), 2, 0)
            parts.append(y.reshape(n, features, *out).astype(x.dtype, copy=False))
        return parts[0] if len(parts) == 1 else self.xp.concatenate(parts)

    def conv_transpose(self, g, weight, stride, low, dilation, groups, size):
        """The transpose of conv in x: g (N, O, *out), weight (O, c, *kernel) -> (N, C, *size)."""
        out, kernel, o, c = g.shape[2:], weight.shape[2:], weight.shape[0] // groups, weight.shape[1]
        back = tuple(d * (k - 1) - p for d, k, p in zip(dilation, kernel, low, strict=True))
        if max(stride) == 1 and min(back) >= 0 and o <= c:  # a convolution too, with the kernel turned round
            turned = self.xp.flip(weight, tuple(range(2, weight.ndim))).reshape(groups, o, c, *kernel)
            turned = self.xp.ascontiguousarray(self.xp.swapaxes(turned, 1, 2)).reshape(groups * c, o, *kernel)
            return self.conv(g, turned, stride, back, dilation, groups, tuple(size))
        w = self.xp.swapaxes(self.wide(weight).reshape(groups, o, c * math.prod(kernel)), 1, 2)
        plain = _plain(kernel, stride, low) and tuple(size) == tuple(out)
        parts = []
        for piece in self._pieces(g, kernel, out, groups * c):
            n = piece.stop - piece.start
            rows = self._rows(g[piece], groups)
            cols = self.matmul(w, rows)
            if rows.ndim == 3:
                cols = self.xp.moveaxis(cols.reshape(groups * c, *kernel, *out, n), -1, 0)
            else:
                cols = cols.reshape(n, groups * c, *kernel, *out)
            if plain:
                part = self.xp.ascontiguousarray(cols).reshape(n, groups * c, *size)
            else:
                part = self.col2im(cols, size, kernel, stride, low, dilation)
            parts.append(part.astype(g.dtype, copy=False))
        return parts[0] if len(parts) == 1 else self.xp.concatenate(parts)

    def conv_weight(self, x, g, stride, low, dilation, groups, kernel):
        """The gradient of weight: x (N, C, *size), g (N, O, *out) -> (O, c, *kernel)."""
        total = None
        for piece in self._pieces(x, kernel, g.shape[2:]):
            cols = self._columns(self.wide(x[piece]), kernel, stride, low, dilation, groups, g.shape[2:])
            gw = self.matmul(self._rows(g[piece], groups), self.xp.swapaxes(cols, -1, -2))
            gw = gw if cols.ndim == 3 else gw.sum(axis=0)
            total = gw if total is None else total + gw
        return total.reshape(g.shape[1], x.shape[1] // groups, *kernel).astype(g.dtype, copy=False)

    def _pieces(self, x, kernel, out, channels=None):
        """The batch in pieces whose windows take about window_bytes, as slices: so they stay in the cache, or in memory."""
        channels = x.shape[1] if channels is None else channels
        each = channels * math.prod(kernel) * math.prod(out) * max(4, x.dtype.itemsize)
        step = max(1, self.window_bytes // max(each, 1))
        return [slice(i, min(i + step, x.shape[0])) for i in range(0, max(x.shape[0], 1), step)]

    def _rows(self, g, groups):
        """g (N, O, *out) as the matrices that go with those of _columns: (N, groups, o, places) or (groups, o, places * N)."""
        n, o, places = g.shape[0], g.shape[1] // groups, math.prod(g.shape[2:])
        g = self.xp.ascontiguousarray(self.wide(g))  # it may be one number repeated, which no BLAS multiplies
        if places < _SHORT and n > 1:
            return self.xp.moveaxis(g.reshape(n, groups, o, places), 0, 3).reshape(groups, o, places * n)
        return g.reshape(n, groups, o, places)

    def _columns(self, x, kernel, stride, low, dilation, groups, out):
        """The windows as matrices: (N, groups, c * kernel, places), or, of few places, (groups, c * kernel, places * N)."""
        n, c, places = x.shape[0], x.shape[1] // groups, math.prod(out)
        width = c * math.prod(kernel)
        if _plain(kernel, stride, low) and x.shape[2:] == tuple(out):
            cols = self.xp.ascontiguousarray(x).reshape(n, groups, c, *out)  # 1x1: no window, no copy
        else:
            cols = self.im2col(x, kernel, stride, low, dilation, out)
        if places < _SHORT and n > 1:
            return self.xp.moveaxis(cols, 0, -1).reshape(groups, width, places * n)
        return cols.reshape(n, groups, width, places)

    def wide(self, x):
        """x, in float32 if it is of 16 bits: sums of many products need it."""
        return x if x.dtype.itemsize > 2 or x.dtype.kind in "iub" else x.astype(self.xp.float32)

    # ---------------------------------------------------------------- pooling and interpolation
    def take_steps(self, x, positions, axis: int):
        """x at `positions` (a sequence of ints) of one axis: by a slice where they are evenly spaced, else by index."""
        step = positions[1] - positions[0] if len(positions) > 1 else 1
        even = range(positions[0], positions[0] + step * len(positions), step) if step > 0 and len(positions) else ()
        if len(positions) and tuple(even) == tuple(positions):
            return x[(slice(None),) * axis + (slice(positions[0], positions[-1] + 1, step),)]
        return self.xp.take(x, self.xp.asarray(positions, dtype=self.xp.int64), axis=axis)

    def resample(self, x, taps):
        """Along each spatial axis i: out[..., o, ...] = sum over k of weights[k][o] * x[..., positions[k][o], ...].

        taps: for each spatial axis (positions, weights), two tables of K rows; None: the axis stays as it is.
        """
        y = self.wide(x)
        for axis, table in enumerate(taps, x.ndim - len(taps)):
            if table is None:
                continue
            positions, weights = table
            even = {w for row in weights for w in row}
            total = None
            for row, factors in zip(positions, weights, strict=True):
                part = self.take_steps(y, row, axis)
                if len(even) > 1:
                    shape = (-1,) + (1,) * (y.ndim - axis - 1)
                    part = part * self.xp.asarray(factors, dtype=y.dtype).reshape(shape)
                total = part if total is None else total + part
            y = total * even.pop() if len(even) == 1 and even != {1.0} else total
        return y.astype(x.dtype) if y.dtype != x.dtype else y.copy() if y is x or y.base is not None else y

    def max_window(self, x, positions):
        """The place of the maximum of each window, as an index into the flattened spatial dimensions.

        positions: for each spatial axis the rows positions[k][o] that window o sees. The first of equal ones; nan wins.
        """
        xp, rank = self.xp, len(positions)
        out = tuple(len(p[0]) for p in positions)
        offsets = list(itertools.product(*[range(len(p)) for p in positions]))
        numbers = xp.arange(len(offsets), dtype=xp.uint8 if len(offsets) <= 256 else xp.int32)
        places, best, which = [], None, None
        for number, offset in enumerate(offsets):
            part, place = x, 0
            for i, k in enumerate(offset):
                row = positions[i][k]
                part = self.take_steps(part, row, 2 + i)
                shape = (-1,) + (1,) * (rank - 1 - i)
                place = place + xp.asarray(row, dtype=xp.int64).reshape(shape) * math.prod(x.shape[3 + i :])
            places.append(place.reshape(-1))
            if best is None:
                best, which = part, xp.zeros(part.shape, dtype=numbers.dtype)
            else:
                better = part > best if x.dtype.kind in "iub" else (part > best) | (part != part)
                best = xp.where(better, part, best)
                which = xp.where(better, numbers[number], which)
        window = xp.arange(math.prod(out), dtype=xp.int64).reshape(out)
        return xp.take(xp.concatenate(places), which.astype(xp.int64) * math.prod(out) + window)

    def take_flat(self, x, index):
        """x (N, C, *size) at index (N, C, *out) into its flattened spatial dimensions."""
        return x.reshape(-1)[self._flat(index, math.prod(x.shape[2:]))].reshape(index.shape)

    def put_flat(self, g, index, size, apart: bool):
        """The transpose of take_flat: zeros (N, C, *size) with g added at index; `apart`: no place occurs twice."""
        out = self.xp.zeros((*g.shape[:2], *size), dtype=g.dtype)
        flat = self._flat(index, math.prod(size))
        if apart:
            out.reshape(-1)[flat] = g.reshape(-1)
        else:
            self.add_at(out.reshape(-1), flat, g.reshape(-1))
        return out

    def _flat(self, index, plane: int):
        """Indices into planes as indices into the whole array."""
        n, c = index.shape[:2]
        first = self.xp.arange(n * c, dtype=self.xp.int64).reshape(n * c, 1) * plane
        return (index.reshape(n * c, math.prod(index.shape[2:])) + first).reshape(-1)


def _plain(kernel, stride, low) -> bool:
    """Whether each window is one element of x, each in its turn."""
    return all(k == 1 for k in kernel) and all(s == 1 for s in stride) and not any(low)
