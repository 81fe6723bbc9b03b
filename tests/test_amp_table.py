"""Autocast, operation by operation: dtype and value of the result and the dtypes of the gradients are those of torch.autocast."""

import warnings

import numpy as np
import pytest
from amp_cases import TABLES, Given

import tensorlite as tl

torch = pytest.importorskip("torch")
pytest.importorskip("ml_dtypes")

LOWS = {"bfloat16": 4e-2, "float16": 6e-3}  # and how far two ways of rounding may be apart


def outcome(lib, name, call):
    """(dtypes of the results, their values, dtypes of the gradients, their values) under autocast of one library."""
    given = Given(lib, name)
    with lib.autocast("cpu", dtype=getattr(lib, name)), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        out = call(lib, lib.nn.functional, given)
    outs = [o for o in (out if isinstance(out, (tuple, list)) else (out,)) if o is not None]
    values = [np.asarray(o.detach().double().numpy()) for o in outs]
    ramp = lambda o: lib.linspace(0.5, 1.5, o.numel(), dtype=lib.float64).reshape(o.shape)  # noqa: E731
    total = sum((o.double() * ramp(o)).sum() for o in outs if o.requires_grad)
    if isinstance(total, lib.Tensor):
        total.backward()
    short = lambda x: str(x.dtype).rpartition(".")[2]  # noqa: E731
    grads = [None if x.grad is None else np.asarray(x.grad.double().numpy()) for x in given.leaves]
    return [short(o) for o in outs], values, [x.grad is not None and short(x.grad) for x in given.leaves], grads


def faults(name, call, wanted):
    """In what one operation of ours differs from PyTorch's outcome."""
    dtypes, values, grad_dtypes, grads = outcome(tl, name, call)
    if (dtypes, grad_dtypes) != (wanted[0], wanted[2]):
        yield f"result {dtypes}, gradients {grad_dtypes}; PyTorch {wanted[0]}, {wanted[2]}"
    for what, ours, theirs, tolerance in (("result", values, wanted[1], 1), ("gradient", grads, wanted[3], 2)):
        tolerance *= LOWS[name]
        for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            if a is not None and b is not None and np.abs(a - b).max() > tolerance * max(1, np.abs(b).max()):
                yield f"{what} {i} is {a.ravel()[:5]}, PyTorch {b.ravel()[:5]}"


@pytest.mark.parametrize("name", LOWS)
@pytest.mark.parametrize("table", TABLES)
def test_precision_of_operations_is_that_of_pytorch(table, name):
    found, refused = {}, []
    for case, call in TABLES[table].items():
        try:
            wanted = outcome(torch, name, call)
        except (RuntimeError, NotImplementedError, ValueError):  # then ours may work or not
            refused.append(case)
            continue
        try:
            found[case] = "; ".join(faults(name, call, wanted))
        except tl.errors.TensorliteError as e:
            found[case] = f"{type(e).__name__}: {e}"
    wrong = [f"{case}: {text}" for case, text in found.items() if text]
    assert not wrong, "\n" + "\n".join(wrong)
    assert len(refused) < len(found) / 4, refused  # PyTorch refuses few
