"""Every operation under examination: values, derivatives, layouts, dtypes, aliasing. The table stands in samples/."""

import functools

import numpy as np
import pytest
from numeric import (
    along,
    as_tuple,
    differences,
    directions,
    first,
    higher,
    host,
    is_wanted,
    leaf,
    scalar,
    telling,
    weights,
)
from samples import RECORDS
from samples.base import rng_for

import tensorlite as tl
from tensorlite.op import raw_math, registry

OURS = {name: op for name, op in registry.items() if op.__module__.startswith("tensorlite.")}
SMOOTH = [r for r in RECORDS if r.order]
FUSED = [r for r in RECORDS if registry[r.op].fused]
ids = lambda r: r.name  # noqa: E731
every = pytest.mark.parametrize("record", RECORDS, ids=ids)
smooth = pytest.mark.parametrize("record", SMOOTH, ids=ids)


def cases(record):
    return record.cases(rng_for(record.name))


def expected(record, case, arrays=None):
    """The reference, as a list of arrays."""
    with np.errstate(all="ignore"):
        return [np.asarray(v) for v in as_tuple(record.ref(*(case.arrays if arrays is None else arrays), **case.args))]


def has_gradient(op):
    return op.rules is not None or op.fused or op.variadic


# ---------------------------------------------------------------- declarations
def test_every_op_has_a_record():
    assert set(OURS) - {r.op for r in RECORDS} == set()
    assert {r.op for r in RECORDS} - set(OURS) == set()


def test_names_of_records_are_unique():
    names = [r.name for r in RECORDS]
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize("op", OURS.values(), ids=OURS)
def test_declaration(op):
    assert op.formula, "the drawing and the documentation show the formula"
    if not has_gradient(op):
        assert op.local == ()
    elif op.variadic:
        assert len(op.local) == 1 and op.local[0]
    else:
        assert len(op.local) == len(op.inputs), "one local derivative for each input"
        if op.rules is not None:
            assert len(op.rules) == len(op.inputs)
            for rule, text in zip(op.rules, op.local, strict=True):
                assert (rule is None) == (text == "")


@pytest.mark.parametrize("record", FUSED, ids=ids)
def test_fused_ops_have_a_plain_definition(record):
    assert callable(registry[record.op].plain) and callable(registry[record.op].backward)


# ---------------------------------------------------------------- values
@every
def test_value(record, device, monkeypatch):
    op, ran = registry[record.op], []
    for name in ("forward", "operator"):  # an elementwise op runs by its operator
        if name in op.__dict__:
            kept = getattr(op, name)
            monkeypatch.setattr(op, name, staticmethod(lambda *a, kept=kept, **k: ran.append(1) or kept(*a, **k)))
    for case in cases(record):
        with telling(case):
            outs = as_tuple(record.call(tl, *[leaf(a) for a in case.arrays], **case.args))
            refs = expected(record, case)
            assert len(outs) == len(refs)
            for out, ref in zip(outs, refs, strict=True):
                assert isinstance(out, tl.Tensor) and str(out.device) == str(tl.get_default_device())
                assert tuple(out.shape) == ref.shape
                np.testing.assert_allclose(host(out), ref, rtol=1e-12, atol=1e-13)
                assert out.requires_grad == (has_gradient(op) and any(is_wanted(a) for a in case.arrays))
            recorded = any(getattr(o.grad_fn, "op", None) is op for o in outs)
            assert ran or recorded, "the call does not run the operation it is a sample of"


@every
def test_no_graph_is_recorded_under_no_grad(record, device):
    case = cases(record)[0]
    with tl.no_grad():
        outs = as_tuple(record.call(tl, *[leaf(a) for a in case.arrays], **case.args))
    assert not any(o.requires_grad for o in outs)


@every
def test_arguments_are_not_changed(record, device):
    for case in cases(record):
        tensors = [leaf(a) for a in case.arrays]
        record.call(tl, *tensors, **case.args)
        for a, t in zip(case.arrays, tensors, strict=True):
            if isinstance(a, np.ndarray):
                np.testing.assert_array_equal(host(t), a)


# ---------------------------------------------------------------- derivatives
@functools.cache
def slopes(name):
    """For each case of a record: the finite differences of its reference, one array for each wanted argument."""
    record, found = next(r for r in RECORDS if r.name == name), []
    for case in cases(record):
        ws = weights(expected(record, case))
        places = [i for i, a in enumerate(case.arrays) if is_wanted(a)]

        def f(moved, i, case=case, ws=ws):
            arrays = [moved if j == i else a for j, a in enumerate(case.arrays)]
            return sum((r * w).sum() for r, w in zip(expected(record, case, arrays), ws, strict=True))

        found.append([_finite_slopes(functools.partial(f, i=i), case.arrays[i]) for i in places])
    return found


def _finite_slopes(f, x):
    """Finite differences at the finite elements; nan at the infinite ones."""
    finite = np.isfinite(x)
    if finite.all():
        return differences(f, x)
    out, flat = np.full(x.shape, np.nan), np.flatnonzero(finite)

    def some(values):
        full = x.copy()
        full.flat[flat] = values
        return f(full)

    out.flat[flat] = differences(some, x.flat[flat].copy())
    return out


@smooth
def test_first_gradient(record, device):
    for case, want in zip(cases(record), slopes(record.name), strict=True):
        with telling(case):
            found = first(record, case, case.arrays, weights(expected(record, case)))
            wanted = [a for a in case.arrays if is_wanted(a)]
            for x, g, slope in zip(wanted, found, want, strict=True):
                assert g.shape == x.shape and g.dtype == x.dtype
                finite = np.isfinite(x)
                np.testing.assert_allclose(g[finite], slope[finite], rtol=1e-7, atol=1e-8)


@smooth
def test_second_gradient(record, device):
    if record.order < 2:
        pytest.skip("finite differences say nothing about the second derivative here")
    for case in cases(record):
        if not any(is_wanted(a) and a.size for a in case.arrays) or any(
            is_wanted(a) and not np.isfinite(a).all() for a in case.arrays
        ):
            continue
        with telling(case):
            ws = weights(expected(record, case))
            v, u = directions(case.arrays, 1), directions(case.arrays, 2)

            def slope(arrays, case=case, ws=ws, v=v):
                return sum((g * d).sum() for g, d in zip(first(record, case, arrays, ws), v, strict=True))

            want = along(slope, case.arrays, u)
            got = higher(record, case, case.arrays, ws, [v, u])
            np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("record", FUSED, ids=ids)
def test_third_derivative_of_fused(record, device):
    """Higher orders go through `plain`: the third derivative against finite differences of the second."""
    for case in cases(record):
        if not all(a.size and np.isfinite(a).all() for a in case.arrays if is_wanted(a)):
            continue
        with telling(case):
            ws = weights(expected(record, case))
            a, b, c = (directions(case.arrays, k) for k in (1, 2, 3))
            want = along(lambda xs, case=case, ws=ws, a=a, b=b: higher(record, case, xs, ws, [a, b]), case.arrays, c)
            got = higher(record, case, case.arrays, ws, [a, b, c])
            np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("record", FUSED, ids=ids)
def test_fused_equals_plain(record, device, monkeypatch):
    op = registry[record.op]
    calls = []
    apply = op.apply
    monkeypatch.setattr(op, "apply", lambda *xs, **kw: calls.append((xs, kw)) or apply(*xs, **kw))
    for case in cases(record):
        with telling(case):
            calls.clear()
            record.call(tl, *[leaf(a) for a in case.arrays], **case.args)
            ((xs, kw),) = calls
            xs = [x.detach().requires_grad_() if isinstance(x, tl.Tensor) and x.requires_grad else x for x in xs]
            fast, plain = as_tuple(apply(*xs, **kw)), as_tuple(op.plain(*xs, **{**op.defaults, **kw}))
            for a, b in zip(fast, plain, strict=True):
                assert a.shape == b.shape and a.dtype == b.dtype
                np.testing.assert_allclose(host(a), host(b), rtol=1e-12, atol=1e-13)
            wanted = [x for x in xs if isinstance(x, tl.Tensor) and x.requires_grad]
            g = [tl.tensor(w) for w in weights([host(a) for a in fast])]
            given = {"grad_outputs": g, "materialize_grads": True}  # of no steps, `plain` uses no weights
            for a, b in zip(
                tl.autograd.grad(fast, wanted, **given), tl.autograd.grad(plain, wanted, **given), strict=True
            ):
                np.testing.assert_allclose(host(a), host(b), rtol=1e-9, atol=1e-11)


# ---------------------------------------------------------------- layouts
def _transposed(a):
    return np.ascontiguousarray(a.T), lambda t: t.permute(*range(t.ndim)[::-1]), lambda g: g.T


def _strided(a):
    wide = np.full([2 * n + 1 for n in a.shape], 7, a.dtype)
    key = tuple(slice(1, 2 * n, 2) for n in a.shape)
    wide[key] = a
    return wide, lambda t: t[key], lambda g: g[key]


def _backwards(a):
    key = (slice(None, None, -1),) * a.ndim
    return np.ascontiguousarray(a[key]), lambda t: t[key], lambda g: g[key]


LAYOUTS = [_transposed, _strided, _backwards]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda f: f.__name__.strip("_"))
@every
def test_layouts(record, layout, device):
    """Arguments that lie in memory in another way: the same values, and the gradient comes back to where they lie."""
    all_cases, turn = cases(record), LAYOUTS.index(layout)
    for case in all_cases if len(all_cases) <= 6 else all_cases[turn::3]:  # where there are many they take turns
        if not any(isinstance(a, np.ndarray) and a.ndim and a.size for a in case.arrays):
            continue
        with telling(case):
            bases, tensors, backs = [], [], []
            for a in case.arrays:
                if isinstance(a, np.ndarray) and a.ndim:
                    memory, view, back = layout(a)
                    base = leaf(memory)
                    bases += [base] if is_wanted(a) else []
                    backs += [back] if is_wanted(a) else []
                    tensors.append(view(base))
                else:
                    tensors.append(leaf(a))
                    bases += [tensors[-1]] if is_wanted(a) else []
                    backs += [lambda g: g] if is_wanted(a) else []
            if record.name == "view":
                tensors = [t.contiguous() for t in tensors]
            refs = expected(record, case)
            for out, ref in zip(as_tuple(record.call(tl, *tensors, **case.args)), refs, strict=True):
                np.testing.assert_allclose(host(out), ref, rtol=1e-12, atol=1e-13)
            if not bases or not has_gradient(registry[record.op]):
                continue
            ws = weights(refs)
            found = tl.autograd.grad(scalar(record, case, tensors, ws), bases, materialize_grads=True)
            for g, back, want in zip(found, backs, first(record, case, case.arrays, ws), strict=True):
                np.testing.assert_allclose(back(host(g)), want, rtol=1e-11, atol=1e-12)


# ---------------------------------------------------------------- dtypes
RESULT = {"float": tl.float32, "sum": tl.int64, "bool": tl.bool, "int64": tl.int64, "float64": tl.float64}


@every
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_lower_precision(record, dtype, device):
    eps = float(np.finfo(dtype).eps)
    for case in cases(record):
        if "large" in case.label or not any(is_wanted(a) for a in case.arrays):
            continue
        with telling(case):
            arrays = [a.astype(dtype) if is_wanted(a) else a for a in case.arrays]
            outs = as_tuple(record.call(tl, *[leaf(a) for a in arrays], **case.args))
            refs = expected(
                record, case, [a.astype("f8") if is_wanted(b) else a for a, b in zip(arrays, case.arrays, strict=True)]
            )
            for out, ref in zip(outs, refs, strict=True):
                wanted = RESULT[record.result] if record.result in ("bool", "int64", "float64") else dtype
                assert out.dtype == wanted
                size = max(1.0, float(np.abs(ref[np.isfinite(ref)]).max(initial=0)))
                np.testing.assert_allclose(host(out).astype("f8"), ref, rtol=0, atol=record.low_precision * eps * size)


@smooth
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_gradients_have_the_dtype_of_their_leaf(record, dtype, device):
    for case in cases(record)[:4]:
        with telling(case):
            arrays = [a.astype(dtype) if is_wanted(a) else a for a in case.arrays]
            tensors = [leaf(a) for a in arrays]
            wanted = [t.requires_grad_() for t, a in zip(tensors, case.arrays, strict=True) if is_wanted(a)]
            outs = as_tuple(record.call(tl, *tensors, **case.args))
            for t, g in zip(
                wanted,
                tl.autograd.grad(outs, wanted, [tl.ones_like(o) for o in outs], materialize_grads=True),
                strict=True,
            ):
                assert g.dtype == dtype and g.shape == t.shape


@pytest.mark.parametrize("record", [r for r in RECORDS if r.ints], ids=ids)
@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8"])
def test_integers(record, dtype, device):
    for case in cases(record):
        if any(is_wanted(a) and not np.isfinite(a).all() for a in case.arrays) or case.label in ("large", "nan"):
            continue
        with telling(case):
            arrays = [np.asarray(np.abs(np.rint(a)) + 1, dtype) if is_wanted(a) else a for a in case.arrays]
            outs = as_tuple(record.call(tl, *[leaf(a) for a in arrays], **case.args))
            refs = expected(
                record, case, [a.astype("f8") if is_wanted(b) else a for a, b in zip(arrays, case.arrays, strict=True)]
            )
            for out, ref in zip(outs, refs, strict=True):
                wanted = RESULT.get(record.result, dtype)
                if record.result == "same" and any(isinstance(a, float) for a in case.arrays):
                    wanted = tl.float32  # a Python float makes integers the default dtype
                if not any(is_wanted(a) for a in case.arrays):
                    continue
                assert out.dtype == wanted
                if out.dtype.category == 1:
                    ref = ref.astype("int64").astype(out.dtype.name)
                np.testing.assert_allclose(host(out), ref, rtol=1e-5, atol=1e-6)


# ---------------------------------------------------------------- who holds which memory
def _nodes(outs, op):
    seen, stack = [], [o.grad_fn for o in outs if o.grad_fn is not None]
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.append(node)
            stack += [p for p in node.parents if p is not None]
    return [n for n in seen if n.op is op]


def _shares(node, g):
    """The raw shares of one node, from its rules as the walk calls them."""
    op, m = node.op, raw_math(node.device)
    if op.fused:
        needs = tuple(p is not None for p in node.parents)
        found = op.backward(node.device.backend, g, needs, (None,) * len(needs), *[node.saved[i] for i in op.passes])
        return found if isinstance(found, (tuple, list)) else (found,)
    if op.variadic:
        return [None if p is None else op.rule(m, g, i, *node.saved) for i, p in enumerate(node.parents)]
    triples = zip(node.parents, op.rules, op.uses, strict=True)
    return [None if p is None else rule(m, g, *[node.saved[i] for i in uses]) for p, rule, uses in triples]


def _arrays(value):
    if isinstance(value, np.ndarray):
        return [value]
    return [a for v in value for a in _arrays(v)] if isinstance(value, (tuple, list)) else []


@pytest.mark.parametrize("record", [r for r in RECORDS if has_gradient(registry[r.op])], ids=ids)
def test_rules_neither_change_nor_lend_what_they_are_given(record):
    """The walk adds in place into a share: one that is g, a view of it, or a saved array must be declared by `lends`."""
    op, examined = registry[record.op], 0
    if op.add_into is None and op.moves:
        pytest.skip("arrays of two devices are never the same memory")
    for case in cases(record):
        with telling(case):
            outs = as_tuple(record.call(tl, *[leaf(a) for a in case.arrays], **case.args))
            for node in _nodes(outs, op):
                draw = np.random.default_rng(0)
                shapes = [node.shape] if op.outputs == 1 else [shape for shape, _ in node.outputs]
                g = tuple(np.asarray(draw.uniform(-1, 1, shape)) for shape in shapes)
                g = g[0] if op.outputs == 1 else g
                given = [*_arrays(g), *_arrays(node.saved)]
                before = [a.copy() for a in given]
                shares = _shares(node, g)
                examined += 1
                for a, b in zip(given, before, strict=True):
                    np.testing.assert_array_equal(a, b)
                for share in shares:
                    if isinstance(share, np.ndarray) and not op.lends:
                        assert share.ndim == 0 or share.flags.writeable
                        assert not any(np.shares_memory(share, a) for a in given), f"{op.name} must declare lends"
                if op.add_into is not None:
                    total = np.zeros(node.parents[0].shape)
                    op.add_into(node.device.backend, total, g, **node.args)
                    np.testing.assert_array_equal(g, before[0])
                    np.testing.assert_allclose(total, shares[0], rtol=1e-12, atol=1e-13)
    assert examined


@smooth
def test_gradients_that_meet_are_not_corrupted(record, device):
    """z = op(x) beside c in a sum (both get one and the same g), x used elsewhere too: every gradient stays right."""
    for case in cases(record):
        with telling(case):
            refs = expected(record, case)
            ws = weights(refs)
            want = first(record, case, case.arrays, ws)
            leaves = [leaf(a) for a in case.arrays]
            xs = [t * 1.0 if is_wanted(a) else t for a, t in zip(case.arrays, leaves, strict=True)]
            us = directions(case.arrays, 4)
            wanted = [(t, x) for a, t, x in zip(case.arrays, leaves, xs, strict=True) if is_wanted(a)]
            total = 0.0
            for (_, x), u in zip(wanted, us, strict=True):  # older than op: its shares arrive after those of op
                total = total + (x * tl.tensor(u)).sum()
            outs = as_tuple(record.call(tl, *xs, **case.args))
            beside = [tl.tensor(np.zeros(o.shape), requires_grad=True) for o in outs]
            for o, c, w in zip(outs, beside, ws, strict=True):
                total = total + ((o + c) * tl.tensor(w)).sum()
            total.backward()
            for (t, _), u, g in zip(wanted, us, want, strict=True):
                np.testing.assert_allclose(host(t.grad), g + u, rtol=1e-11, atol=1e-12)
            for c, w in zip(beside, ws, strict=True):
                np.testing.assert_array_equal(host(c.grad), w)


# ---------------------------------------------------------------- errors
ERRORS = [(r, i) for r in RECORDS for i in range(len(r.errors))]


@pytest.mark.parametrize(("record", "number"), ERRORS, ids=[f"{r.name}-{i}" for r, i in ERRORS])
def test_error(record, number, device):
    call, kind, text = record.errors[number]
    with pytest.raises(kind) as caught:
        call(tl)
    said = str(caught.value).replace(f" on {tl.get_default_device()}", "")
    assert text in said
    assert type(caught.value).__module__ == "tensorlite.errors", "one of the library's own types"
