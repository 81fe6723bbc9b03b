"""Every sample of every operation under vmap, against a loop: values where all or one of the inputs hold examples, and gradients."""

import numpy as np
import pytest
from numeric import as_tuple, host, telling
from samples import RECORDS
from samples.base import rng_for

import tensorlite as tl
from tensorlite.errors import VmapError
from tensorlite.func import grad, vmap

N = 3
REFUSED = {  # record: why there is no such thing inside of vmap
    "assign": "one tensor for all examples",
    "assign_through_views": "one tensor for all examples",
    "where_alone": "differ between the examples",
}
OUTSIDE = {"to_device": "needs two devices"}


def examples(a):
    """N arrays like a: near to it, or in another order, so that their values are as good for the operation."""
    if a.dtype == np.float64:
        return [a, a * 0.97, a * 1.01]
    return [a, np.flip(a, -1).copy() if a.ndim else a, a]


def calls(record):
    """(what to tell, the function of the tensors, their arrays of examples) for each case."""
    for case in record.cases(rng_for(record.name)):
        at = [i for i, a in enumerate(case.arrays) if isinstance(a, np.ndarray)]

        def function(*tensors, case=case, at=at):
            full = list(case.arrays)
            for i, t in zip(at, tensors, strict=True):
                full[i] = t
            return as_tuple(record.call(tl, *full, **case.args))

        if at:
            yield case, function, [examples(case.arrays[i]) for i in at]


def loop(function, columns):
    """The results for each example, stacked; None where they differ in shape."""
    found = [function(*[tl.tensor(c[k]) for c in columns]) for k in range(N)]
    return [
        np.stack([host(t) for t in c]) if len({t.shape for t in c}) == 1 else None for c in zip(*found, strict=True)
    ]


def equal(found, wanted):
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted, strict=True):
        assert tuple(a.shape) == b.shape
        np.testing.assert_allclose(host(a), b, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("record", [r for r in RECORDS if r.name not in OUTSIDE], ids=lambda r: r.name)
def test_like_a_loop(record, device):
    for case, function, columns in calls(record):
        with telling(case):
            for one in range(-1, len(columns) if len(columns) > 1 else 0):  # -1: all of them hold examples
                mine = [c if one in (-1, i) else [c[0]] * N for i, c in enumerate(columns)]
                stacked = [tl.tensor(np.stack(c) if one in (-1, i) else c[0]) for i, c in enumerate(mine)]
                dims = tuple(0 if one in (-1, i) else None for i in range(len(mine)))
                wanted = loop(function, mine)
                if any(w is None for w in wanted):
                    with pytest.raises(VmapError, match="the shape of the result differs"):
                        vmap(function, in_dims=dims)(*stacked)
                    continue
                try:
                    found = vmap(function, in_dims=dims)(*stacked)
                except VmapError as e:
                    assert REFUSED.get(record.name, "no refusal is expected") in str(e)
                else:
                    equal(found, wanted)


@pytest.mark.parametrize("record", [r for r in RECORDS if r.name not in (*OUTSIDE, *REFUSED)], ids=lambda r: r.name)
def test_nested_like_loops(record):
    """Examples of examples: 2 of the outer vmap, each of N of the inner one; then the first input without inner ones."""
    for case, function, columns in list(calls(record))[:3]:
        with telling(case):
            for inner in (0, None) if len(columns) > 1 else (0,):
                dims = (inner, *[0] * (len(columns) - 1))
                mine = [
                    [c[:: 1 - 2 * k] if d == 0 else [c[k]] * N for k in range(2)]
                    for c, d in zip(columns, dims, strict=True)
                ]
                wanted = [loop(function, [m[k] for m in mine]) for k in range(2)]
                if any(w is None for row in wanted for w in row) or any(
                    a.shape != b.shape for a, b in zip(*wanted, strict=True)
                ):
                    continue
                given = [
                    tl.tensor(np.stack([np.stack(e) if d == 0 else e[0] for e in m]))
                    for m, d in zip(mine, dims, strict=True)
                ]
                equal(
                    vmap(vmap(function, in_dims=dims))(*given), [np.stack(pair) for pair in zip(*wanted, strict=True)]
                )


@pytest.mark.parametrize("record", [r for r in RECORDS if r.order and r.name not in OUTSIDE], ids=lambda r: r.name)
def test_gradients_of_each_example(record):
    for case, function, columns in calls(record):
        floats = tuple(i for i, c in enumerate(columns) if c[0].dtype == np.float64)

        def loss(*tensors, function=function, floats=floats):
            total = sum((tensors[i].sum() * 0.1 for i in floats), tl.zeros((), dtype=tl.float64))
            outs = [o for o in function(*tensors) if o.dtype.is_floating_point]
            return total + sum((o.double() * (1 + k)).sin().sum() for k, o in enumerate(outs))

        if floats:
            with telling(case):
                g = grad(loss, argnums=floats)
                equal(vmap(g)(*[tl.tensor(np.stack(c)) for c in columns]), loop(g, columns))
