"""Every sample of every operation by forward mode: jacfwd, which differentiates the rules themselves, gives what jacrev gives."""

import numpy as np
import pytest
from numeric import as_tuple, host, is_wanted, telling
from samples import RECORDS
from samples.base import rng_for

import tensorlite as tl
from tensorlite import tree
from tensorlite.func import jacfwd, jacrev

MOST = 40  # numbers to differentiate by: the others are as good in a smaller case
ids = lambda r: r.name  # noqa: E731


def functions(record):
    """(case, its function of the arrays that are differentiated, these) for the first few cases that are small."""
    made = 0
    for case in record.cases(rng_for(record.name)):
        at = [i for i, a in enumerate(case.arrays) if is_wanted(a)]
        if not at or sum(case.arrays[i].size for i in at) > MOST or made == 3:
            continue
        made += 1

        def function(*xs, case=case, at=at):
            full = [tl.tensor(a) if isinstance(a, np.ndarray) else a for a in case.arrays]
            for i, x in zip(at, xs, strict=True):
                full[i] = x
            outs = [o for o in as_tuple(record.call(tl, *full, **case.args)) if o.dtype.is_floating_point]
            return tl.cat([o.reshape(-1).double() for o in outs])

        yield case, function, [tl.tensor(case.arrays[i]) for i in at]


@pytest.mark.parametrize("record", [r for r in RECORDS if r.order and r.name != "to_device"], ids=ids)
def test_forward_is_backward(record):
    for case, function, xs in functions(record):
        with telling(case):
            which = tuple(range(len(xs)))
            found, wanted = (tree.leaves_of(j(function, argnums=which)(*xs)) for j in (jacfwd, jacrev))
            for a, b in zip(found, wanted, strict=True):
                assert a.shape == b.shape
                np.testing.assert_allclose(host(a), host(b), rtol=1e-8, atol=1e-9)
