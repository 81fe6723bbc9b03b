"""The same calls on PyTorch: values, dtypes, first and second gradients, and every case of dtype promotion."""

import itertools
import operator

import numpy as np
import pytest
from numeric import as_tuple, directions, host, is_wanted, leaf, telling, weights
from samples import RECORDS
from samples.base import rng_for

import tensorlite as tl
from tensorlite.op import registry

torch = pytest.importorskip("torch")

COMPARED = [r for r in RECORDS if r.torch is not False]
ids = lambda r: r.name  # noqa: E731


def theirs(a):
    """An argument of a sample for PyTorch."""
    return torch.tensor(a, requires_grad=is_wanted(a)) if isinstance(a, np.ndarray) else a


def on_torch(record, tensors, args):
    call = record.torch if callable(record.torch) else record.call
    return as_tuple(call(torch, *tensors, **args))


def cases(record):
    found = record.cases(rng_for(record.name))
    skipped = DIFFERENT.get(record.name, ())
    return [c for c in found if str(c) not in skipped]


DIFFERENT = {  # where PyTorch refuses, or gives something that is known to be wrong
    "attention": ("a row that may attend nowhere",),  # nan
    "cross_entropy": ("(3,4),int32(3,)",),  # int64 only
    "layer_norm": ("(3,4),None,(4,) normalized_shape=(4,)",),  # its second derivative needs both or neither
}


def _derivatives(lib, outs, wanted, ws, vs, tensor):
    """First gradients, and the gradients of their product with vs; zeros for None. lib: tl.autograd or torch.autograd."""
    zeros = lambda found: [0.0 * x.detach() if g is None else g for g, x in zip(found, wanted, strict=True)]  # noqa: E731
    f = sum((o * tensor(w)).sum() for o, w in zip(outs, ws, strict=True))
    first = zeros(lib.grad(f, wanted, create_graph=True, allow_unused=True))
    h = sum((g * tensor(v)).sum() for g, v in zip(first, vs, strict=True))
    second = zeros(lib.grad(h, wanted, allow_unused=True)) if h.requires_grad else zeros([None] * len(wanted))
    return first, second


@pytest.mark.parametrize("record", COMPARED, ids=ids)
def test_values_and_gradients(record, device):
    for case in cases(record):
        with telling(case):
            mine, other = [leaf(a) for a in case.arrays], [theirs(a) for a in case.arrays]
            outs, refs = as_tuple(record.call(tl, *mine, **case.args)), on_torch(record, other, case.args)
            assert len(outs) == len(refs)
            for a, b in zip(outs, refs, strict=True):
                assert a.dtype.name == str(b.dtype).removeprefix("torch.")
                np.testing.assert_allclose(host(a), b.detach().numpy(), rtol=1e-7, atol=1e-9)
            wanted = [(x, y) for a, x, y in zip(case.arrays, mine, other, strict=True) if is_wanted(a)]
            if not wanted or record.torch == "value" or not any(o.requires_grad for o in outs):
                continue
            ws, vs = weights([host(o) for o in outs]), directions(case.arrays, 3)
            xs, ys = zip(*wanted, strict=True)
            try:
                t1, t2 = _derivatives(torch.autograd, refs, ys, ws, vs, torch.tensor)
            except RuntimeError as e:
                assert "derivative for aten::remainder is not implemented" in str(e)
                continue
            g1, g2 = _derivatives(tl.autograd, outs, xs, ws, vs, tl.tensor)
            for got, want, tolerance in ((g1, t1, 1e-7), (g2, t2, 1e-6)):
                for a, b in zip(got, want, strict=True):
                    b = torch.tensor(b.detach().numpy(force=True))
                    finite = np.isfinite(b.detach().numpy())  # at an infinite input PyTorch has nan; so may we
                    np.testing.assert_allclose(
                        host(a)[finite], b.detach().numpy()[finite], rtol=tolerance, atol=tolerance / 100
                    )


@pytest.mark.parametrize("record", [r for r in COMPARED if r.ints], ids=ids)
def test_dtype_of_integer_results(record, device):
    for case in cases(record):
        if not any(is_wanted(a) for a in case.arrays) or not all(
            np.isfinite(a).all() for a in case.arrays if is_wanted(a)
        ):
            continue
        for dtype in ("int64", "int32", "int8", *(() if record.op in ("all", "any") else ("uint8",))):  # see below
            arrays = [np.asarray(np.abs(np.rint(a)) + 1, dtype) if is_wanted(a) else a for a in case.arrays]
            with telling(f"{case} in {dtype}"):
                try:
                    refs = on_torch(record, [theirs(a) for a in arrays], case.args)
                except (RuntimeError, NotImplementedError, TypeError):  # PyTorch lacks it for integers
                    continue
                outs = as_tuple(record.call(tl, *[leaf(a) for a in arrays], **case.args))
                for a, b in zip(outs, refs, strict=True):
                    assert a.dtype.name == str(b.dtype).removeprefix("torch.")
                    np.testing.assert_allclose(host(a), b.numpy(), rtol=1e-5, atol=1e-6)


# ---------------------------------------------------------------- promotion
DTYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64")
_SYMBOLS = (
    "+ add",
    "- sub",
    "* mul",
    "/ truediv",
    "// floordiv",
    "% mod",
    "** pow",
    "== eq",
    "!= ne",
    "< lt",
    "<= le",
    "> gt",
    ">= ge",
)
OPERATORS = {symbol: getattr(operator, name) for symbol, name in (pair.split() for pair in _SYMBOLS)}
OPERANDS = [*[(d, s) for d in DTYPES for s in ((2,), ())], *[(k, None) for k in (bool, int, float)]]


def _operand(lib, what):
    kind, shape = what
    if shape is None:
        return kind(1)
    ones = lib.ones(shape, dtype=getattr(lib, kind))
    return ones


@pytest.mark.parametrize("symbol", OPERATORS)
def test_promotion(symbol, device):
    """dtype and value for all pairs: dimensioned tensor, 0-d tensor, Python number."""
    f, compared = OPERATORS[symbol], 0
    for left, right in itertools.product(OPERANDS, OPERANDS):
        if left[1] is None and right[1] is None:
            continue
        with telling(f"{left} {symbol} {right}"):
            if symbol in ("//", "%", "**") and {left[0], right[0]} <= {"bool", bool}:
                with pytest.raises(tl.errors.DTypeError, match="bools have no power, quotient or remainder"):
                    f(_operand(tl, left), _operand(tl, right))
                continue
            try:
                want = f(_operand(torch, left), _operand(torch, right))
            except (RuntimeError, NotImplementedError, TypeError):  # it refuses to subtract bools
                continue
            got = f(_operand(tl, left), _operand(tl, right))
            assert got.dtype.name == str(want.dtype).removeprefix("torch.")
            assert tuple(got.shape) == tuple(want.shape)
            np.testing.assert_array_equal(host(got), want.numpy())
            compared += 1
    assert compared > 250


def test_promotion_under_another_default_dtype(device):
    before = tl.get_default_dtype(), torch.get_default_dtype()
    try:
        tl.set_default_dtype(tl.float64)
        torch.set_default_dtype(torch.float64)
        for kind in DTYPES:
            for f in (lambda x: x + 1.5, lambda x: x / 2, lambda x: 2.0 * x, lambda x: x / x):
                got, want = f(_operand(tl, (kind, (2,)))), f(_operand(torch, (kind, (2,))))
                assert got.dtype.name == str(want.dtype).removeprefix("torch.")
    finally:
        tl.set_default_dtype(before[0])
        torch.set_default_dtype(before[1])


@pytest.mark.parametrize(
    "function", ["maximum", "minimum", "where", "cat", "stack", "clamp", "masked_fill", "block_diag", "add", "sub"]
)
def test_promotion_of_functions(function, device):
    calls = {
        "where": lambda t, a, b: t.where(t.ones(2, dtype=t.bool), a, b),
        "cat": lambda t, a, b: t.cat([a, b]),
        "stack": lambda t, a, b: t.stack([a, b]),
        "clamp": lambda t, a, b: t.clamp(a, 0.5) if b.ndim and b.dtype == t.float64 else t.clamp(a, 0, 2),
        "masked_fill": lambda t, a, b: a.masked_fill(t.ones(2, dtype=t.bool), 0.0),
    }
    if function in ("add", "sub"):
        calls[function] = lambda t, a, b: getattr(t, function)(a, b, alpha=2)
    call = calls.get(function, lambda t, a, b: getattr(t, function)(a, b))
    scalars = function in ("maximum", "minimum", "where", "block_diag", "add", "sub")
    shapes = ((2,), ()) if scalars else ((2,),)
    compared = 0
    for a, b in itertools.product(itertools.product(DTYPES, shapes), repeat=2):
        with telling(f"{function} {a} {b}"):
            try:
                want = call(torch, _operand(torch, a), _operand(torch, b))
            except (RuntimeError, NotImplementedError, TypeError):
                continue
            got = call(tl, _operand(tl, a), _operand(tl, b))
            assert got.dtype.name == str(want.dtype).removeprefix("torch.")
            np.testing.assert_array_equal(host(got), want.numpy())
            compared += 1
    assert compared >= 60


@pytest.mark.parametrize(
    "function", ["sum", "mean", "var", "std", "amax", "amin", "argmax", "argmin", "all", "any", "logsumexp"]
)
def test_dtype_of_reductions(function, device):
    compared = 0
    for kind, args in itertools.product(DTYPES, ((), (0,), (-1,))):
        with telling(f"{function} {kind} {args}"):
            x, y = (t.tensor([[1, 2], [1, 0]], dtype=getattr(t, kind)) for t in (tl, torch))
            try:
                want = getattr(torch, function)(y, *args)
            except (RuntimeError, NotImplementedError, TypeError):
                continue
            got = getattr(tl, function)(x, *args)
            if function in ("all", "any") and kind == "uint8":
                continue  # PyTorch gives uint8 here, for old programs' sake; ours is bool
            assert got.dtype.name == str(want.dtype).removeprefix("torch.")
            np.testing.assert_allclose(host(got).astype("f8"), want.double().numpy(), rtol=2e-3)
            compared += 1
    assert compared >= 6


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
def test_sum_and_mean_in_another_dtype(kind, device):
    for t in (tl, torch):
        x = t.ones(4, dtype=t.float16)
        for f in (t.sum, t.mean):
            assert f(x, dtype=getattr(t, kind)).dtype == getattr(t, kind)


def test_half_precision_sums_do_not_overflow_on_the_way(device):
    """Sums of many losses and counts in float16 are beyond 65504, the mean is not. (PyTorch's cross_entropy gives 0 here.)"""
    n = 70_000
    loss = tl.nn.functional.cross_entropy(tl.zeros(n, 2, dtype=tl.float16), tl.zeros(n, dtype=tl.int64))
    assert loss.dtype == tl.float16 and abs(loss.item() - 0.693) < 1e-3
    for t in (tl, torch):
        assert t.mean(t.ones(n, dtype=t.float16)).item() == 1


def test_every_record_is_compared_or_internal():
    internal = {"alias", "to_device", "index_add", "dropout", "attention_dropout"}
    steps = {"rnn_steps", "lstm_steps", "gru_steps"}  # compared as layers, in test_rnn.py
    assert {r.name for r in RECORDS if r.torch is False and r.op not in steps} == internal
    internal |= steps
    assert {r.op for r in COMPARED} | internal >= {
        n for n, op in registry.items() if op.__module__.startswith("tensorlite.")
    }
