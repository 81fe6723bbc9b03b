"""The table of samples: for every operation how to call it, an independent reference, its cases and its errors.

test_ops.py and test_torch_compare.py run it. A new operation gets a record in the file of its family; a test fails
when one is missing.
"""

from samples import elementwise, fused, moving, reduce

RECORDS = [*elementwise.RECORDS, *reduce.RECORDS, *moving.RECORDS, *fused.RECORDS]
