"""tl.explain on a sample of every operation of the table: rules of every kind, both ways of asking."""

import pytest
from numeric import as_tuple, leaf
from samples import RECORDS
from samples.base import rng_for

import tensorlite as tl

SMOOTH = [r for r in RECORDS if r.order]


@pytest.mark.parametrize("record", SMOOTH, ids=lambda r: r.name)
def test_every_operation_is_explained(record):
    """Shares of every operation: what a real backward pass leaves, whatever kind of rule it has; the page comes out."""
    case = record.cases(rng_for(record.name))[0]
    inputs = [leaf(a) for a in case.arrays]

    def total():
        outs = [o for o in as_tuple(record.call(tl, *inputs, **case.args)) if o.requires_grad]
        return sum(((o * o.detach().cos()).sum() for o in outs), tl.tensor(0.0, dtype=tl.float64))

    tl.manual_seed(0)
    loss = total()
    tl.manual_seed(0)
    e, watched = tl.explain(loss), tl.explain(total)
    wanted = [x for x in inputs if isinstance(x, tl.Tensor) and x.requires_grad]
    assert all(x.grad is None for x in wanted)
    loss.backward()
    for made in (e, watched):
        ends = [made.gradients.get(v.name) for v in made.variables if v.kind == "input"]
        for x in wanted:
            if x.grad is not None:
                assert any(g is not None and _same(g, x.grad) for g in ends)
        assert len(made.html().encode()) <= 100_000 and made.text(color=False)


def _same(g, want):
    if g.shape != tuple(want.shape):
        return False
    flat = want.reshape(-1).tolist()
    if g.values is None:
        return g.norm == pytest.approx(want.norm().item(), rel=1e-9, abs=1e-12)
    return g.values == pytest.approx(flat, rel=1e-9, abs=1e-12, nan_ok=True)
