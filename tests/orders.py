"""One function against PyTorch's at three orders: value, gradients, and the gradients of a sum of squared gradients."""

import numpy as np
from numeric import host

import tensorlite as tl


def orders(lib, function, arrays, fixed=(), second=True):
    """[value, gradients..., second gradients...] as arrays; `fixed` are the places of inputs that get no gradient."""
    make = tl.tensor if lib is tl else lambda a: lib.tensor(np.array(a))
    xs = [make(a) if isinstance(a, np.ndarray) else a for a in arrays]
    wanted = [i for i, a in enumerate(arrays)
              if isinstance(a, np.ndarray) and a.dtype == np.float64 and i not in fixed]  # fmt: skip
    ws = [xs[i].requires_grad_() for i in wanted]
    y = function(lib.nn, lib.nn.functional, *xs)
    g = make(np.random.default_rng(7).normal(size=tuple(y.shape)))
    grads = lib.autograd.grad((y * g).sum(), ws, create_graph=second, allow_unused=True)
    found = [y, *grads]
    total = sum((v * v).sum() for v in grads if v is not None and v.requires_grad)
    if second and not isinstance(total, int):
        found += lib.autograd.grad(total, ws, allow_unused=True)
    to = host if lib is tl else lambda t: t.detach().numpy(force=True)
    return [None if t is None else to(t) for t in found], (y.shape, 1 + len(ws))


def same_orders(torch, function, arrays, fixed=(), second=True):
    """1e-7 of values and 1e-6 of gradients of first and second order; None and zeros are the same gradient."""
    ours, (shape, first) = orders(tl, function, arrays, fixed, second)
    theirs, (their_shape, _) = orders(torch, function, arrays, fixed, second)
    assert tuple(shape) == tuple(their_shape)
    for i in range(max(len(ours), len(theirs))):
        a, b = (v[i] if i < len(v) and v[i] is not None else np.zeros(()) for v in (ours, theirs))
        text = "value" if not i else f"gradient {i - 1}" if i < first else f"second gradient {i - first}"
        rtol, atol = (1e-7, 1e-9) if not i else (1e-6, 1e-7)
        np.testing.assert_allclose(*np.broadcast_arrays(a, b), rtol=rtol, atol=atol, err_msg=text)
