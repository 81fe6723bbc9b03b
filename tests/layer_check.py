"""One layer against PyTorch's: weights copied, then text, keys, output, buffers and all gradients, training and evaluation."""

import numpy as np
from numeric import as_tuple, host

import tensorlite as tl


def normal(*shape, seed=0, scale=1.0):
    """Normal numbers, the same each time."""
    return np.random.default_rng(seed).normal(size=shape) * scale


def distinct(*shape, seed=0):
    """Numbers of which no two are near to each other: for maxima."""
    n = int(np.prod(shape))
    return np.random.default_rng(seed).permutation(np.linspace(-2, 2, n)).reshape(shape)


def run(lib, layer, arrays, call):
    """[output, ...], {name: gradient} of a fixed weighted sum of the floating-point outputs."""
    make = tl.tensor if lib is tl else lambda a: lib.tensor(np.array(a))
    xs = [make(a).requires_grad_(a.dtype == np.float64) if isinstance(a, np.ndarray) else a for a in arrays]
    outs, rng = as_tuple(call(layer, *xs)), np.random.default_rng(7)
    to = host if lib is tl else lambda t: t.detach().numpy()
    parts = [(o * make(rng.normal(size=tuple(o.shape)))).sum() for o in outs if to(o).dtype.kind == "f"]
    total = sum(parts)
    if total.requires_grad:
        total.backward()
    grads = {f"input {i}": x.grad for i, x in enumerate(xs) if getattr(x, "requires_grad", False)}
    grads |= {name: p.grad for name, p in layer.named_parameters()}
    grads = {k: None if g is None else to(g) for k, g in grads.items()}
    layer.zero_grad()
    return [to(o) for o in outs], grads


def same(ours, theirs, what):
    """1e-7 of values and 1e-6 of gradients, whole numbers exactly."""
    assert (ours is None) == (theirs is None), what
    if ours is not None:
        assert ours.shape == theirs.shape and ours.dtype == theirs.dtype, (what, ours.shape, theirs.shape, ours.dtype)
        rtol, atol = (1e-6, 1e-7) if "gradient" in what else (1e-7, 1e-9)
        np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=atol, err_msg=what)


def check(torch, make, *arrays, call=lambda layer, *xs: layer(*xs), modes=(True, False), steps=2, copy=True):
    """make(nn) builds the layer in either library; `steps` calls in training, so that buffers move, then one in evaluation."""
    theirs, ours = make(torch.nn).double(), make(tl.nn).double()
    assert repr(ours) == repr(theirs)
    assert [(k, tuple(p.shape)) for k, p in ours.named_parameters()] == [
        (k, tuple(p.shape)) for k, p in theirs.named_parameters()
    ]
    assert list(dict(ours.named_buffers())) == list(dict(theirs.named_buffers()))
    if copy:
        with torch.no_grad():
            for i, p in enumerate(theirs.parameters()):
                p.add_(torch.tensor(normal(*p.shape, seed=3 + i)) * 0.3)  # no weight stays at 0 or 1
    state = {k: v.numpy() for k, v in theirs.state_dict().items()}
    assert list(ours.state_dict()) == list(state)
    assert ours.load_state_dict(state) == ([], [])
    for training in modes:
        ours.train(training)
        theirs.train(training)
        for step in range(steps if training else 1):
            given = [a + 0.1 * step * normal(*a.shape, seed=11) if _float(a) and step else a for a in arrays]
            (outs, grads), (their_outs, their_grads) = run(tl, ours, given, call), run(torch, theirs, given, call)
            where = f"training {training}, step {step}"
            assert len(outs) == len(their_outs) and list(grads) == list(their_grads)
            for a, b in zip(outs, their_outs, strict=True):
                same(a, b, f"output, {where}")
            for name, g in grads.items():
                same(g, their_grads[name], f"gradient of {name}, {where}")
            for name, b in theirs.named_buffers():
                same(host(dict(ours.named_buffers())[name]), b.numpy(), f"buffer {name}, {where}")
            for name, p in theirs.named_parameters():
                same(host(dict(ours.named_parameters())[name]), p.detach().numpy(), f"parameter {name}, {where}")


def _float(a):
    return isinstance(a, np.ndarray) and a.dtype == np.float64


def ids(value):
    """The name of a case, fit for pytest."""
    return value.replace(" ", "-") if isinstance(value, str) else ""
