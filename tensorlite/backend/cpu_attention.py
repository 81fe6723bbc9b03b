"""NumPy attention in blocks of queries: no (L, S) matrix is kept, and a causal block skips the keys that lie after it."""

import functools
import itertools
import math

import numpy as np

from tensorlite.backend.base import Backend
from tensorlite.backend.cpu_rows import SAFE, row_dot, row_sum
from tensorlite.backend.scratch import covered, scratch
from tensorlite.backend.threads import each

SCORES = 1 << 18  # scores of the heads taken together, at most: they are to stay in the cache


class AttentionKernels(Backend):
    """Scaled dot-product attention; gradients of float masks and broadcast leading dimensions are left to base.py."""

    def attention(self, q, k, v, mask, causal, scale, drop):
        if not _served(q, k, v, mask):
            return super().attention(q, k, v, mask, causal, scale, drop)
        if q.ndim == 2:
            mask, drop = _batched(mask, 2), _batched(drop, 2)
            out, lse = self.attention(q[None], k[None], v[None], mask, causal, scale, drop)
            return out[0], lse[0]
        mask, drop = _spread(mask, q, k), _spread(drop, q, k)
        # memory in the order of q's: a head split that was a view is then undone by a view
        out = np.empty_like(q, shape=(*q.shape[:-1], v.shape[-1]))
        lse = np.empty((*q.shape[:-1], 1), q.dtype)

        def part(at, rows, seen):
            head = q[at][..., rows, :]
            s, qs = scratch(q.dtype, (*head.shape[:-1], seen), head.shape)
            np.multiply(head, scale, out=qs)
            shift = _exp(_scores(s, qs, k[at], mask, at, rows), causal, rows)
            z = row_sum(s)[..., None]
            if drop is not None:
                np.multiply(s, drop[at][..., rows, :seen], out=s)
            block = out[at][..., rows, :]
            np.matmul(s, v[at][..., :seen, :], out=block)
            empty = None if z.all() else z == 0  # rows that may attend nowhere
            if empty is not None:
                z += empty
            np.add(np.log(z), shift, out=lse[at][..., rows, :])
            if empty is not None:
                lse[at][..., rows, :][empty] = math.inf
            np.divide(1.0, z, out=z)
            np.multiply(block, z, out=block)

        each(part, _blocks(q, k, causal))
        return out, lse

    def attention_backward(self, g, q, k, v, mask, causal, scale, drop, out, lse, needs):
        if not _served(q, k, v, mask) or needs[3] or g.dtype != q.dtype:
            return super().attention_backward(g, q, k, v, mask, causal, scale, drop, out, lse, needs)
        if q.ndim == 2:
            mask, drop, arrays = _batched(mask, 2), _batched(drop, 2), [a[None] for a in (g, q, k, v, out, lse)]
            g, q, k, v, out, lse = arrays
            found = self.attention_backward(g, q, k, v, mask, causal, scale, drop, out, lse, needs)
            return *[None if a is None else a[0] for a in found[:3]], None
        mask, drop = _spread(mask, q, k), _spread(drop, q, k)
        gq, gk, gv = np.empty_like(q), np.empty_like(k), np.empty_like(v)

        def part(at, rows, seen):
            head, up, keys = q[at][..., rows, :], g[at][..., rows, :], k[at][..., :seen, :]
            shape = (*head.shape[:-1], seen)
            p, gs, qs, sum_k, sum_v = scratch(q.dtype, shape, shape, head.shape, keys.shape,
                                              (*keys.shape[:-1], v.shape[-1]))  # fmt: skip
            np.multiply(head, scale, out=qs)
            _mask_future(_scores(p, qs, k[at], mask, at, rows), causal, rows)
            np.subtract(p, lse[at][..., rows, :], out=p)
            np.exp(p, out=p)
            np.matmul(up, v[at][..., :seen, :].swapaxes(-1, -2), out=gs)
            if drop is not None:
                np.multiply(gs, drop[at][..., rows, :seen], out=gs)
            np.subtract(gs, row_dot(up, out[at][..., rows, :])[..., None], out=gs)
            np.multiply(gs, p, out=gs)
            if drop is not None:
                np.multiply(p, drop[at][..., rows, :seen], out=p)
            last = rows.stop == q.shape[-2]  # the first block that comes: it sees most keys
            _gather(gk[at], gs, qs, sum_k, seen, last)
            _gather(gv[at], p, up, sum_v, seen, last)
            block = gq[at][..., rows, :]
            np.matmul(gs, keys, out=block)
            np.multiply(block, scale, out=block)

        def heads(*blocks):  # those of the same slice one after the other: they add to the same keys and values
            for one in blocks:
                part(*one)

        each(heads, (list(group) for _, group in itertools.groupby(_blocks(q, k, causal), key=lambda one: one[0])))
        return *[a if need else None for a, need in zip((gq, gk, gv), needs)], None


def _served(q, k, v, mask) -> bool:
    alike = q.shape[:-2] == k.shape[:-2] == v.shape[:-2]
    return alike and covered(q, k, v) and (mask is None or mask.dtype == bool or mask.dtype == q.dtype)


def _batched(x, ndim):
    """x, if it has all dimensions, with one more for the batch."""
    return x[None] if x is not None and x.ndim == ndim else x


def _spread(x, q, k):
    """A mask (bool: as 0 and -inf) or dropout factors as a view of shape (..., L, S)."""
    if x is None:
        return None
    if x.dtype == bool:
        x = np.where(x, q.dtype.type(0), q.dtype.type(-math.inf))
    return np.broadcast_to(x, (*q.shape[:-1], k.shape[-2]))


def _blocks(q, k, causal):
    """(place in the leading dimensions, slice of the queries, number of keys they see); of each place the last queries first.

    A place is a slice of the first dimension; where even one of it has too many scores, one of each and a slice of the last.
    """
    length, keys, inner = q.shape[-2], k.shape[-2], math.prod(q.shape[1:-2])
    # large products are quicker, but of small blocks a causal one skips more keys: from 32 queries, half a short sequence, to 128
    step = max(1, min(length, max(32, min(64, length // 2), min(128, length // 8))))
    if q.ndim > 3 and inner * keys * step > SCORES:
        outer, inner, count = list(np.ndindex(q.shape[:-3])), 1, q.shape[-3]
    else:
        outer, count = [()], len(q)
    group = max(1, SCORES // (inner * keys * step))
    for index, i in itertools.product(outer, range(0, count, group)):
        for start in range((length - 1) // step * step, -1, -step):
            stop = min(start + step, length)
            yield (*index, slice(i, i + group)), slice(start, stop), min(stop, keys) if causal else keys


def _scores(out, qs, k, mask, at, rows):
    """out = qs k^T + mask for some queries, scaled already, and the first keys."""
    seen = out.shape[-1]
    np.matmul(qs, k[..., :seen, :].swapaxes(-1, -2), out=out)
    if mask is not None:
        np.add(out, mask[at][..., rows, :seen], out=out)
    return out


def _exp(s, causal, rows):
    """s = exp(s - shift), 0 for keys after the query; returns the shift: of each row, or 0.0 where none is needed."""
    if s.max() < SAFE and s.min() > -SAFE:
        shift = 0.0
        _mask_future(s, causal, rows)
    else:
        _mask_future(s, causal, rows)
        shift = s.max(axis=-1, keepdims=True)
        np.maximum(shift, np.finfo(s.dtype).min, out=shift)  # -inf, a masked row: exp(-inf - shift) is to be 0, not nan
        np.subtract(s, shift, out=s)
    np.exp(s, out=s)
    return shift


def _mask_future(s, causal, rows):
    """-inf for the keys after the query; s holds queries `rows` and keys 0, 1, ..."""
    if causal and s.shape[-1] > rows.start + 1:
        part = s[..., rows.start :]
        np.add(part, _upper(*part.shape[-2:], s.dtype), out=part)


@functools.lru_cache(maxsize=64)
def _upper(rows, columns, dtype):
    """0 on and below the diagonal, -inf above."""
    return np.triu(np.full((rows, columns), -math.inf, dtype), 1)


def _gather(total, left, right, work, seen, first):
    """left^T right into total[..., :seen, :], or added to it."""
    if first:
        np.matmul(left.swapaxes(-1, -2), right, out=total[..., :seen, :])
        total[..., seen:, :] = 0
    else:
        np.matmul(left.swapaxes(-1, -2), right, out=work)
        total[..., :seen, :] += work
