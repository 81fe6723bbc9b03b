"""The table of samples: for every operation how to call it, an independent reference, its cases and its errors.

test_ops.py and test_torch_compare.py run it. A new operation gets a record in the file of its family; a test fails
when one is missing.
"""

from samples import (
    channels,
    conv,
    elementwise,
    factors,
    functions,
    fused,
    index,
    linalg,
    moving,
    pool,
    recurrent,
    reduce,
    scan,
    shape,
    sort,
)

RECORDS = [
    *elementwise.RECORDS,
    *functions.RECORDS,
    *reduce.RECORDS,
    *scan.RECORDS,
    *sort.RECORDS,
    *moving.RECORDS,
    *shape.RECORDS,
    *index.RECORDS,
    *linalg.RECORDS,
    *factors.RECORDS,
    *fused.RECORDS,
    *conv.RECORDS,
    *channels.RECORDS,
    *pool.RECORDS,
    *recurrent.RECORDS,
]
