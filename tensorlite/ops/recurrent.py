"""Recurrent layers over all their steps in one operation: rnn_steps, lstm_steps, gru_steps. The layers are in nn/rnn.py.

The rows of all steps lie one below the other, as in a packed sequence: first those of step 0, then of step 1, ...; `sizes` says
how many each step has, never more than the step before. The input's part of the gates, x @ W.T + b of all steps, is given. Going
back, only what passes from step to step is walked; the gradients of the weights are one matmul over all rows.
"""

from itertools import accumulate

from tensorlite.op import Fused
from tensorlite.ops.join import cat

__all__ = []


def _steps(sizes, reverse):
    """(first row, one past the last, how many) of each step, in the order in which they are computed."""
    steps = [(end - n, end, n) for end, n in zip(accumulate(sizes), sizes, strict=True)]
    return steps[::-1] if reverse else steps


def _before(b, states, start, steps):
    """The state that each row began from: `start`, or the row that its sequence had in the step before."""
    out, now = b.xp.empty_like(states), start + 0
    for first, end, n in steps:
        out[first:end] = now[:n]
        now[:n] = states[first:end]
    return out


def _walk(x, state, sizes, reverse, step):
    """For `plain`: step(x of one step, state) -> state, a tuple of tensors of a row for each sequence; ended ones stay."""
    rows = {}
    for first, end, n in _steps(sizes, reverse):
        new = step(x[first:end], tuple(s[:n] for s in state))
        rows[first] = new[0]
        state = tuple(v if n == len(s) else cat([v, s[n:]]) for v, s in zip(new, state, strict=True))
    y = cat([rows[k] for k in sorted(rows)]) if rows else x[:, : state[0].shape[-1]]
    return y, *state


class RnnSteps(Fused):
    """Elman 1990. x (rows, H), h (N, H), weight (H, H) -> the states (rows, H), the last ones (N, H)."""

    name, formula, outputs = "rnn_steps", "h_t = tanh(x_t + h_t-1 @ W.T)", 2
    local = ("d_t = (g_t + d_t+1 @ W) (1 - h_t^2)", "d_0 @ W", "sum over t of d_t.T @ h_t-1")

    def forward(b, x, h, weight, *, sizes, reverse, relu):
        y, now, turned = x + 0, h + 0, weight.T
        for first, end, n in _steps(sizes, reverse):
            row = y[first:end]
            row += b.matmul(now[:n], turned)
            if relu:
                b.xp.maximum(row, 0, out=row)
            else:
                b.xp.tanh(row, out=row)
            now[:n] = row
        return y, now

    def backward(b, g, needs, into, x, h, weight, out, sizes, reverse, relu):
        y, gx, gh, steps = out[0], g[0] + 0, g[1] + 0, _steps(sizes, reverse)
        slope = (y > 0).astype(y.dtype) if relu else 1 - y * y
        for first, end, n in reversed(steps):
            row = gx[first:end]
            row += gh[:n]
            row *= slope[first:end]
            gh[:n] = b.matmul(row, weight)
        gw = b.matmul(gx.T, _before(b, y, h, steps), out=into[2]) if needs[2] else None
        return gx, gh, gw

    def plain(x, h, weight, sizes, reverse, relu):
        def step(x, state):
            v = x + state[0] @ weight.mT
            return (v.relu() if relu else v.tanh(),)

        return _walk(x, (h,), sizes, reverse, step)


class LstmSteps(Fused):
    """Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000 and the projection of Sak et al. 2014.

    x (rows, 4H) holds the gates i, f, g, o side by side; h (N, P), c (N, H), weight (4H, P), projection (P, H) or None (then
    P = H) -> the states (rows, P), the last of h (N, P) and of c (N, H).
    """

    name, outputs = "lstm_steps", 3
    formula = "i, f, g, o = x_t + h_t-1 @ W.T; c_t = s(f) c_t-1 + s(i) tanh g; h_t = s(o) tanh c_t"
    local = (
        "dc_t = dh_t s(o) (1 - tanh^2 c_t) + dc_t+1 s(f_t+1); each gate: its factor times its slope",
        "d_0 @ W",
        "dc_0 s(f_0)",
        "sum over t of d_t.T @ h_t-1",
        "sum over t of dh_t.T @ (s(o) tanh c_t)",
    )
    extras = ("gates", "cells")

    def forward(b, x, h, c, weight, projection, *, sizes, reverse):
        # s(v) = tanh(v / 2) / 2 + 1/2: with i, f, o halved beforehand, one tanh serves all four gates
        xp, size = b.xp, c.shape[1]
        half = xp.full(4 * size, 0.5, dtype=x.dtype)
        half[2 * size : 3 * size] = 1
        rest = 1 - half
        gates, turned = x * half, (weight * half[:, None]).T
        y, cells = xp.empty((x.shape[0], h.shape[1]), dtype=x.dtype), xp.empty((x.shape[0], size), dtype=x.dtype)
        h, c = h + 0, c + 0
        for first, end, n in _steps(sizes, reverse):
            row = gates[first:end]
            row += b.matmul(h[:n], turned)
            xp.tanh(row, out=row)
            row *= half
            row += rest
            i, f, g, o = _quarters(row)
            cell = cells[first:end]
            xp.multiply(f, c[:n], out=cell)
            cell += i * g
            c[:n] = cell
            new = xp.tanh(cell)
            new *= o
            h[:n] = y[first:end] = new if projection is None else b.matmul(new, projection.T)
        return (y, h, c), (gates, cells)

    def backward(b, g, needs, into, h, c, weight, projection, out, gates, cells, sizes, reverse):
        xp, size, steps = b.xp, c.shape[1], _steps(sizes, reverse)
        i, f, u, o = _quarters(gates)
        squashed = xp.tanh(cells)
        to_cell = o * (1 - squashed * squashed)
        slopes = xp.empty_like(gates)  # of c_t (for o: of h_t) by each gate; times what arrives: its gradient
        si, sf, su, so = _quarters(slopes)
        si[...] = u * i * (1 - i)
        sf[...] = _before(b, cells, c, steps) * f * (1 - f)
        su[...] = i * (1 - u * u)
        so[...] = squashed * o * (1 - o)
        apart = slopes.reshape(-1, 4, size)  # the same memory
        dy, gh, gc = g[0] + 0, g[1] + 0, g[2] + 0
        for first, end, n in reversed(steps):
            dh, dc, row = dy[first:end], gc[:n], slopes[first:end]
            dh += gh[:n]
            if projection is not None:
                dh = b.matmul(dh, projection)
            dc += dh * to_cell[first:end]
            apart[first:end, :3] *= dc[:, None]
            apart[first:end, 3] *= dh
            dc *= f[first:end]
            gh[:n] = b.matmul(row, weight)
        gw = b.matmul(slopes.T, _before(b, out[0], h, steps), out=into[3]) if needs[3] else None
        gp = b.matmul(dy.T, o * squashed, out=into[4]) if needs[4] else None
        return slopes, gh, gc, gw, gp

    def plain(x, h, c, weight, projection, sizes, reverse):
        def step(x, state):
            h, c = lstm_step(x + state[0] @ weight.mT, state[1])
            return (h if projection is None else h @ projection.mT), c

        return _walk(x, (h, c), sizes, reverse, step)


class GruSteps(Fused):
    """Cho et al. 2014. x (rows, 3H) holds r, z, n side by side; h (N, H), weight (3H, H), bias (3H,) or None -> the states
    (rows, H), the last ones (N, H). The reset gate scales the product h @ W.T + b, as in PyTorch (the paper: h before it)."""

    name, outputs = "gru_steps", 2
    formula = "r, z, n = x_t; a, b, c = h_t-1 @ W.T + bias; h_t = (1 - s(z + b)) tanh(n + s(r + a) c) + s(z + b) h_t-1"
    local = (
        "dn = dh (1 - z) (1 - n^2), dz = dh (h_t-1 - n) z (1 - z), dr = dn c r (1 - r)",
        "dh_0 z + (dr, dz, dn r) @ W",
        "sum over t of (dr, dz, dn r).T @ h_t-1",
        "sum over t of (dr, dz, dn r)",
    )
    extras = ("gates", "inner")

    def forward(b, x, h, weight, bias, *, sizes, reverse):
        xp, size, turned = b.xp, h.shape[1], weight.T
        gates, y = x + 0, xp.empty((x.shape[0], h.shape[1]), dtype=x.dtype)
        inner, h = xp.empty_like(y), h + 0
        for first, end, n in _steps(sizes, reverse):
            row, product = gates[first:end], b.matmul(h[:n], turned)
            if bias is not None:
                product += bias
            both = row[:, : 2 * size]  # s(v) = tanh(v / 2) / 2 + 1/2
            both += product[:, : 2 * size]
            both *= 0.5
            xp.tanh(both, out=both)
            both *= 0.5
            both += 0.5
            r, z, new = row[:, :size], row[:, size : 2 * size], row[:, 2 * size :]
            inner[first:end] = product[:, 2 * size :]
            new += r * inner[first:end]
            xp.tanh(new, out=new)
            h[:n] = y[first:end] = new + z * (h[:n] - new)
        return (y, h), (gates, inner)

    def backward(b, g, needs, into, h, weight, bias, out, gates, inner, sizes, reverse):
        xp, size, steps = b.xp, h.shape[1], _steps(sizes, reverse)
        before = _before(b, out[0], h, steps)
        r, z, new = gates[:, :size], gates[:, size : 2 * size], gates[:, 2 * size :]
        slopes = xp.empty_like(gates)  # of h_t by r, z and the product; times what arrives: their gradients
        by_new = (1 - z) * (1 - new * new)
        slopes[:, :size] = by_new * inner * r * (1 - r)
        slopes[:, size : 2 * size] = (before - new) * z * (1 - z)
        slopes[:, 2 * size :] = by_new * r
        apart = slopes.reshape(-1, 3, size)  # the same memory
        dy, gh = g[0] + 0, g[1] + 0
        for first, end, n in reversed(steps):
            dh, row = dy[first:end], slopes[first:end]
            dh += gh[:n]
            apart[first:end] *= dh[:, None]
            gh[:n] = dh * z[first:end] + b.matmul(row, weight)
        gx = None
        if needs[0]:
            gx = slopes + 0
            gx[:, 2 * size :] = dy * by_new
        gw = b.matmul(slopes.T, before, out=into[2]) if needs[2] else None
        return gx, gh, gw, slopes.sum(axis=0) if needs[3] else None

    def plain(x, h, weight, bias, sizes, reverse):
        def step(x, state):
            product = state[0] @ weight.mT
            return (gru_step(x, product if bias is None else product + bias, state[0]),)

        return _walk(x, (h,), sizes, reverse, step)


def _quarters(a):
    size = a.shape[1] // 4
    return a[:, :size], a[:, size : 2 * size], a[:, 2 * size : 3 * size], a[:, 3 * size :]


def lstm_step(gates, c):
    """(h, c) after one step of an LSTM: gates (..., 4H) are i, f, g, o side by side."""
    i, f, g, o = gates.chunk(4, -1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def gru_step(x, product, h):
    """h after one step of a GRU: x = W_i x + b_i and product = W_h h + b_h, (..., 3H), are r, z, n side by side."""
    (r, z, n), (a, b, c) = x.chunk(3, -1), product.chunk(3, -1)
    z = (z + b).sigmoid()
    n = (n + (r + a).sigmoid() * c).tanh()
    return n + z * (h - n)
