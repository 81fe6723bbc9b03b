"""Views and changes in place: what shares memory, what is watched, what is refused. More in test_inplace_programs.py."""

import numpy as np
import pytest
from numeric import host, leaf, telling
from samples import RECORDS
from samples.base import rng_for

import tensorlite as tl
from tensorlite import errors

A = np.random.default_rng(0).uniform(0.5, 2, (3, 4))
B = np.random.default_rng(1).uniform(0.5, 2, (4,))
W = np.random.default_rng(2).uniform(-1, 1, (3, 4))


# ---------------------------------------------------------------- who shares memory
SHARING = {
    "slice": lambda x: x[1:],
    "column": lambda x: x[:, 1],
    "step": lambda x: x[:, ::2],
    "newaxis": lambda x: x[None],
    "ellipsis": lambda x: x[...],
    "element": lambda x: x[1, 2],
    "mask": lambda x: x[x > 4],
    "list": lambda x: x[[0, 2]],
    "reshape": lambda x: x.reshape(4, 3),
    "view": lambda x: x.view(12),
    "flatten": lambda x: x.flatten(),
    "unflatten": lambda x: x.unflatten(1, (2, 2)),
    "T": lambda x: x.T,
    "permute": lambda x: x.permute(1, 0),
    "transpose": lambda x: x.transpose(0, 1),
    "reshape of T": lambda x: x.T.reshape(12),
    "squeeze": lambda x: x[:1].squeeze(0),
    "squeeze nothing": lambda x: x.squeeze(),
    "unsqueeze": lambda x: x.unsqueeze(1),
    "movedim": lambda x: x.movedim(0, 1),
    "flip": lambda x: x.flip(0),
    "expand to its own shape": lambda x: x.expand(3, 4),
    "narrow": lambda x: x.narrow(0, 1, 2),
    "select": lambda x: x.select(1, 0),
    "split": lambda x: x.split(2)[1],
    "chunk": lambda x: x.chunk(2, 1)[0],
    "unbind": lambda x: x.unbind(1)[2],
    "tril": lambda x: x.tril(),
    "repeat": lambda x: x.repeat(1, 1),
    "clone": lambda x: x.clone(),
    "contiguous": lambda x: x.contiguous(),
    "contiguous of T": lambda x: x.T.contiguous(),
    "detach": lambda x: x.detach(),
    "data": lambda x: x.data,
    "float": lambda x: x.float(),
    "double": lambda x: x.double(),
    "to": lambda x: x.to(x.device),
    "abs": lambda x: x.abs(),
    "view of a view": lambda x: x[1:].T[1],
    "round": lambda x: x.round(),
    "plus": lambda x: +x,
    "clamp": lambda x: x.clamp(0),
    "movedim of a slice": lambda x: x[:, :2].movedim(1, 0)[0],
    "view as": lambda x: x.view_as(x),
    "ravel": lambda x: x.ravel(),
    "ravel of T": lambda x: x.T.ravel(),
    "squeeze of all": lambda x: x[:1, :1].squeeze(),
    "swapaxes": lambda x: x.swapaxes(0, 1),
    "mH": lambda x: x.mH,
    "adjoint": lambda x: x.adjoint(),
    "diagonal": lambda x: x.diagonal(1),
    "diagonal below of T": lambda x: x.T.diagonal(-1),
    "diag": lambda x: x.diag(),
    "unfold": lambda x: x.unfold(1, 2, 2),
    "unfold with gaps": lambda x: x.unfold(0, 1, 2),
    "as_strided": lambda x: x.as_strided((2, 2), (5, 2), 1),
    "as_strided of T": lambda x: x.T.as_strided((3,), (4,), 2),
    "as_strided of rows": lambda x: x[:2].as_strided((2, 3), (4, 1)),
    "tensor_split": lambda x: x.tensor_split(3, 1)[1],
    "hsplit": lambda x: x.hsplit(2)[1],
    "vsplit": lambda x: x.vsplit((1,))[1],
    "split_with_sizes": lambda x: x.split_with_sizes([1, 2])[1],
    "narrow_copy": lambda x: x.narrow_copy(0, 1, 1),
    "broadcast_to": lambda x: x.broadcast_to(1, 3, 4),
    "row of an expanded": lambda x: x.expand(2, 3, 4)[1],
    "roll": lambda x: x.roll(0, 0),
    "rot90 by 0": lambda x: x.rot90(0),
    "tile once": lambda x: x.tile((1, 1)),
    "repeat of ones": lambda x: x[:1, :1].repeat(2, 1),
    "repeat_interleave once": lambda x: x.repeat_interleave(1, 0),
    "repeat_interleave of one": lambda x: x[:, :1].repeat_interleave(2, 1),
    "diagonal_scatter": lambda x: x.diagonal_scatter(x.diagonal() * 0),
    "select_scatter": lambda x: x.select_scatter(x[1] * 0, 0, 0),
}


@pytest.mark.parametrize("dtype", ["float32", "int64"])
@pytest.mark.parametrize("name", SHARING)
def test_the_same_memory_is_shared_as_in_pytorch(name, dtype, device):
    torch = pytest.importorskip("torch")
    found = []
    for lib in (tl, torch):
        x = lib.arange(12, dtype=getattr(lib, dtype)).reshape(3, 4)
        v = SHARING[name](x)
        v.fill_(100)
        after = x.tolist()
        x.fill_(7)
        found.append((after, v.tolist()))
    assert found[0] == found[1]


SHARING_FUNCTIONS = {
    "atleast_3d": lambda t, x: t.atleast_3d(x),
    "broadcast_tensors": lambda t, x: t.broadcast_tensors(x, x[:1, :1])[0],
    "meshgrid": lambda t, x: t.meshgrid(x[0], x[:1, 0], indexing="ij")[0],
    "movedim": lambda t, x: t.moveaxis(x, 0, 1),
    "ravel": lambda t, x: t.ravel(x),
    "cat of one": lambda t, x: t.cat((x,)),
    "hstack of one": lambda t, x: t.hstack((x,)),
    "pad by nothing": lambda t, x: t.nn.functional.pad(x, (0, 0)),
    "other bytes": lambda t, x: x.view(t.int32).view(x.dtype),
    "half of the bytes": lambda t, x: x.view(t.int16).view(x.dtype),
}


@pytest.mark.parametrize("name", SHARING_FUNCTIONS)
def test_functions_share_memory_as_in_pytorch(name, device):
    torch = pytest.importorskip("torch")
    found = []
    for t in (tl, torch):
        x = t.arange(12, dtype=t.int64).reshape(3, 4)
        v = SHARING_FUNCTIONS[name](t, x)
        v.fill_(100)
        found.append((x.tolist(), v.tolist()))
    assert found[0] == found[1]


def test_overlapping_windows_cannot_be_changed(device):
    x = tl.arange(5.0)
    for windows in (x.unfold(0, 3, 1), x.as_strided((3, 2), (1, 1)), x.unfold(0, 3, 2)):
        with pytest.raises(
            errors.InplaceError, match=r"is one of overlapping windows: several elements share memory; clone"
        ):
            windows.mul_(2)
    x.unfold(0, 2, 2).mul_(2)
    assert x.tolist() == [0, 2, 4, 6, 4]


TURNS = [
    lambda b: b.unsqueeze_(0), lambda b: b.t_(), lambda b: b.transpose_(0, 1), lambda b: b.swapaxes_(-1, 0),
    lambda b: b[:1].squeeze_(), lambda b: b.squeeze_(), lambda b: b.unsqueeze_(1).squeeze_(1), lambda b: b[1].t_(),
    lambda b: b[0].unsqueeze_(1).t_(),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(TURNS)))
@pytest.mark.parametrize(
    "then", [lambda b, v, r: v.mul_(3), lambda b, v, r: r.mul_(v[0].sum()), lambda b, v, r: b.exp_()]
)
def test_shapes_changed_in_place(number, then, device):
    """The tensor has another shape; its older views look at what they did, and changes through all of them are seen."""
    torch, found = pytest.importorskip("torch"), []
    for t in (tl, torch):
        x = t.tensor(A, requires_grad=True)
        b = x * 2
        v, w = b[1:], b.t()
        r = TURNS[number](b)
        then(b, v, r)
        loss = (b * b).sum() + (v.sin()).sum() + (w**3).sum() + r.exp().sum()
        found.append((b, v, w, r, *t.autograd.grad(loss, x)))
    for got, want in zip(*found, strict=True):
        np.testing.assert_allclose(host(got), want.detach().numpy(), rtol=1e-12)
    with pytest.raises(errors.InplaceError, match="unsqueeze_: a leaf that requires grad cannot be changed in place"):
        tl.tensor(A, requires_grad=True).unsqueeze_(0)


def test_memory_that_is_read_only_is_not_changed():
    array = np.arange(3.0)
    array.flags.writeable = False
    fixed = np.frombuffer(array.tobytes())
    x = tl.from_numpy(fixed)
    with pytest.raises(
        errors.InplaceError, match=r"the memory of this NumPy array is read-only; clone\(\) the tensor first"
    ):
        x.add_(1)
    assert x.tolist() == [0, 1, 2] and x.numpy() is fixed


@pytest.mark.parametrize("record", RECORDS, ids=lambda r: r.name)
def test_results_on_the_memory_of_an_argument_know_it(record):
    """A result that shares memory with an argument shares its version too: else a change in place would go unseen."""
    for case in record.cases(rng_for(record.name)):
        with telling(case):
            tensors = [leaf(a, requires_grad=False) for a in case.arrays]
            outs = record.call(tl, *tensors, **case.args)
            for out in outs if isinstance(outs, (tuple, list)) else (outs,):
                for t in tensors:
                    if isinstance(t, tl.Tensor) and out is not t and np.shares_memory(out.array, t.array):
                        assert out.version is t.version


def test_views_of_0d_results(device):
    """NumPy gives numbers where it should give 0-d arrays; views of them are views all the same."""
    for view in (
        lambda t: t.view(1),
        lambda t: t.reshape(1, 1),
        lambda t: t.unsqueeze(0),
        lambda t: t[None],
        lambda t: t[...],
    ):
        x = tl.tensor([1.0, 2.0], requires_grad=True)
        y = (x * x).sum()
        v = view(y)
        v.mul_(10.0)
        assert y.item() == 50
        y.backward()
        assert x.grad.tolist() == [20.0, 40.0]


# ---------------------------------------------------------------- what was saved is watched
CHANGES = {
    "the tensor": lambda y: y.add_(1.0),
    "a view": lambda y: y[0].add_(1.0),
    "an element": lambda y: y.__setitem__((0, 0), 1.0),
    "its detached twin": lambda y: y.detach().add_(1.0),
    "a view of a view": lambda y: y.T[1:].mul_(2.0),
    "zero_": lambda y: y.zero_(),
}


@pytest.mark.parametrize("recording", [True, False], ids=["recording", "no_grad"])
@pytest.mark.parametrize("how", CHANGES)
@pytest.mark.parametrize(
    ("op", "use"), [("sin", lambda y: y.sin()), ("tanh", lambda y: y.tanh()), ("mul", lambda y: y * y)]
)
def test_changing_what_was_saved_is_an_error(op, use, how, recording, device):
    x = tl.tensor(A, requires_grad=True)
    y = x * 1.0
    z = use(y)
    kept = z if op == "tanh" else y  # tanh saves its result
    with tl.enable_grad() if recording else tl.no_grad():
        CHANGES[how](kept)
    with pytest.raises(
        errors.InplaceError, match=rf"backward: a value that {op} \(3, 4\) saved was changed in place by \w+ afterwards"
    ):
        z.sum().backward()


def test_the_error_names_the_module_of_the_op(device):
    class Block(tl.nn.Module):
        def forward(self, x):
            self.seen = x * 1.0
            return self.seen.sin()

    model = tl.nn.Sequential(Block())
    y = model(tl.tensor(A, requires_grad=True))
    model[0].seen.add_(1.0)
    with pytest.raises(
        errors.InplaceError, match=r"sin \(3, 4\) saved was changed in place by add_ afterwards.*, in 0$"
    ):
        y.sum().backward()


def test_changing_what_was_not_saved_is_none(device):
    x = tl.tensor(A, requires_grad=True)
    y = x * 1.0
    z = y + y
    y.add_(1.0)
    z.sum().backward()
    np.testing.assert_array_equal(host(x.grad), 2.0)


@pytest.mark.parametrize("fused", ["softmax", "gelu", "layer_norm", "linear", "cross_entropy", "attention"])
def test_changing_what_a_fused_op_saved_is_an_error(fused, device):
    F = tl.nn.functional
    x = tl.tensor(A, requires_grad=True)
    y = x * 1.0
    z = {
        "softmax": lambda: F.softmax(y, -1), "gelu": lambda: F.gelu(y), "layer_norm": lambda: F.layer_norm(y, (4,)),
        "linear": lambda: F.linear(y, tl.ones(2, 4, dtype=tl.float64, requires_grad=True)),
        "cross_entropy": lambda: F.cross_entropy(y, tl.tensor([0, 1, 2])),
        "attention": lambda: F.scaled_dot_product_attention(y, y, y),
    }[fused]()  # fmt: skip
    y.add_(1.0)
    with pytest.raises(
        errors.InplaceError, match=rf"a value that {fused} \(.*\) saved was changed in place by add_ afterwards"
    ):
        z.sum().backward()


@pytest.mark.parametrize("order", ["saved input", "saved output", "fused"])
def test_changes_before_a_second_backward_are_seen(order, device):
    """Under create_graph the rules save values too; these are the memory of the first graph."""
    x = tl.tensor(A, requires_grad=True)
    y, F = x * 1.0, tl.nn.functional
    z = {"saved input": lambda: y**3, "saved output": lambda: y.exp(), "fused": lambda: F.rms_norm(y, (4,))}[order]()
    w = tl.tensor(W)
    (g,) = tl.autograd.grad((z * w).sum(), y, create_graph=True)
    with tl.no_grad():
        (z if order == "saved output" else y).mul_(3.0)
    with pytest.raises(errors.InplaceError, match="saved was changed in place by mul_ afterwards"):
        tl.autograd.grad((g * w).sum(), x)


def test_values_taken_before_a_change_are_safe(device):
    """An optimizer's step between two graphs is no error: the second graph saved the new values."""
    w = tl.tensor(B, requires_grad=True)
    for _ in range(3):
        loss = (w * w).sum()
        loss.backward()
        with tl.no_grad():
            w -= 0.1 * w.grad
        w.grad = None
    np.testing.assert_allclose(host(w), B * 0.8**3)


# ---------------------------------------------------------------- refusals
REFUSED = {
    "leaf": (
        lambda x: x.add_(1),
        "add_: a leaf that requires grad cannot be changed in place while recording; do it under tl.no_grad()",
    ),
    "leaf by index": (lambda x: x.__setitem__(0, 1.0), "setitem: a leaf that requires grad cannot be changed in place"),
    "view of a leaf": (lambda x: x[0].mul_(2), "mul_: a view of a leaf that requires grad cannot be changed in place"),
    "view of a view of a leaf": (
        lambda x: x.T[1:].zero_(),
        "a view of a leaf that requires grad cannot be changed in place",
    ),
    "augmented": (lambda x: x.__iadd__(1), "add_: a leaf that requires grad cannot be changed in place"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_leaves_cannot_be_changed_while_recording(name, device):
    change, text = REFUSED[name]
    x = tl.tensor(A, requires_grad=True)
    with pytest.raises(errors.InplaceError) as e:
        change(x)
    assert text in str(e.value)
    np.testing.assert_array_equal(host(x), A)
    with tl.no_grad():
        change(x)
    assert x.is_leaf and x.requires_grad and not np.array_equal(host(x), A)


def test_expanded_tensors_cannot_be_changed(device):
    x = tl.ones(3, 1)
    for e in (x.expand(3, 4), x.expand(3, 4)[1:], tl.tensor(1.0).expand(2)):
        for change in (lambda v: v.add_(1), lambda v: v.__setitem__(0, 2.0), lambda v: v.zero_()):
            with pytest.raises(
                errors.InplaceError,
                match=r"this tensor was expanded: several elements share memory; clone\(\) it first",
            ):
                change(e)
    assert x.sum().item() == 3


def test_results_that_do_not_fit_are_refused(device):
    x, n = tl.ones(3), tl.ones(3, dtype=tl.int64)
    with pytest.raises(
        errors.ShapeError, match=r"add_: the result has shape \(2, 3\), this tensor \(3,\) cannot hold it"
    ):
        x.add_(tl.ones(2, 3))
    with pytest.raises(errors.DTypeError, match=r"mul_: the result is float32, it cannot be stored in a int64 tensor"):
        n.mul_(1.5)
    with pytest.raises(errors.DTypeError, match=r"div_: the result is float32"):
        n /= 2
    assert x.tolist() == [1.0] * 3 and n.tolist() == [1] * 3
    assert x.add_(tl.ones(3, dtype=tl.float64)).dtype == tl.float32


def test_a_failed_change_changes_nothing(device):
    x = tl.tensor(A, requires_grad=True)
    y = x * 1.0
    version = y._version
    for change in (lambda: y.add_(tl.ones(2, 2)), lambda: y.__setitem__(9, 0.0), lambda: y.__setitem__(0, tl.ones(7))):
        with pytest.raises(errors.TensorliteError):
            change()
    assert y._version == version and y.grad_fn.op.name == "mul"
    np.testing.assert_array_equal(host(y), A)


# ---------------------------------------------------------------- the counters themselves
def test_version_counters(device):
    x = tl.tensor(A)
    v, d = x[0], x.detach()
    assert x._version == v._version == d._version == 0
    v.add_(1.0)
    x[1] = 0.0
    d.mul_(2.0)
    assert x._version == v._version == d._version == 3
    assert x.clone()._version == 0
    x.data.add_(1.0)  # `data` is the way around the watch
    assert x._version == 3


def test_a_detached_tensor_shares_memory_but_no_graph(device):
    x = tl.tensor(A, requires_grad=True)
    y = x * 2.0
    d = y.detach()
    assert not d.requires_grad and d.is_leaf
    d[0, 0] = 100.0
    assert y[0, 0].item() == 100
    y.sum().backward()
    np.testing.assert_array_equal(host(x.grad), 2.0)


def test_returned_gradients_are_nobody_elses_memory(device):
    """What grad returns and what .grad holds is not changed by later walks, nor shared between leaves."""
    a, b = tl.tensor(A, requires_grad=True), tl.tensor(A, requires_grad=True)
    ga, gb = tl.autograd.grad((a + b).sum(), (a, b))
    ga.add_(5.0)
    assert gb.sum().item() == 12
    (a + b).sum().backward()
    a.grad.add_(5.0)
    assert b.grad.sum().item() == 12
    start = tl.tensor(W)
    (a * 1.0).backward(start)
    (b + 0.0).backward(start)
    b.grad.zero_()
    np.testing.assert_array_equal(host(start), W)


def test_gradients_from_grad_stay_when_a_leaf_has_a_buffer(device):
    """A leaf's buffer (a slice of an optimizer's flat gradient) is for .grad alone, not for what autograd.grad returns."""
    w, x = tl.tensor(W, requires_grad=True), tl.tensor(A)
    w.node.buffer = tl.zeros(3, 4, dtype=tl.float64).array
    (g,) = tl.autograd.grad(tl.nn.functional.linear(x, w).sum(), w)
    kept = host(g).copy()
    tl.nn.functional.linear(x * 2, w).sum().backward()
    np.testing.assert_array_equal(host(g), kept)
    np.testing.assert_allclose(host(w.grad), 2 * kept)
    assert w.grad.array is w.node.buffer
