"""Saved states of optimizers: PyTorch's keys and values, to it and back; SparseAdam, which needs what there is not."""

import copy

import numpy as np
import pytest

import tensorlite as tl
from tensorlite import errors, nn

OPTIMIZERS = {
    "SGD": {"momentum": 0.9, "nesterov": True},
    "SGD plain": {},
    "Adam": {"amsgrad": True, "weight_decay": 0.1},
    "AdamW": {"betas": (0.8, 0.9)},
    "Adamax": {},
    "NAdam": {"weight_decay": 0.1, "decoupled_weight_decay": True},
    "RAdam": {},
    "Adagrad": {"lr_decay": 0.1, "initial_accumulator_value": 0.2},
    "Adadelta": {"rho": 0.8},
    "RMSprop": {"centered": True, "momentum": 0.5},
    "Rprop": {},
    "ASGD": {"t0": 10, "lambd": 1e-2},
    "LBFGS": {"line_search_fn": "strong_wolfe", "history_size": 3, "max_iter": 3},
    "Adafactor": {},
    "Muon": {},
}


def run(lib, name, steps, saved=None):
    """The parameters after `steps` steps from the start or from what was saved, and what is to be saved then."""
    draw, wide = np.random.default_rng(0), np.float64
    shapes = [(3, 4), (2, 3)] if name == "Muon" else [(3, 4), (3,)]
    params = [lib.nn.Parameter(lib.tensor(draw.standard_normal(s).astype(wide))) for s in shapes]
    goals = [lib.tensor(draw.standard_normal(s).astype(wide)) for s in shapes]
    optimizer = getattr(lib.optim, name.split()[0])(params, lr=0.05, **OPTIMIZERS[name])
    if saved is not None:
        values, state = saved
        with lib.no_grad():
            for p, v in zip(params, values, strict=True):
                p.copy_(lib.tensor(v))
        optimizer.load_state_dict(as_arrays(state, lib))

    def closure():
        optimizer.zero_grad()
        loss = sum((((p - g) ** 2) * (1 + p**2)).sum() for p, g in zip(params, goals, strict=True))
        loss.backward()
        return loss

    for _ in range(steps):
        if name == "LBFGS":
            optimizer.step(closure)
        else:
            closure()
            optimizer.step()
    return [p.detach().numpy().copy() for p in params], copy.deepcopy(optimizer.state_dict())


def as_arrays(value, lib):
    """The same state with tensors of `lib`."""
    if isinstance(value, dict):
        return {k: as_arrays(v, lib) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(as_arrays(v, lib) for v in value)
    return lib.tensor(value.numpy().copy()) if hasattr(value, "numpy") else value


def outline(value):
    """Keys and shapes of a state."""
    if isinstance(value, dict):
        return {k: outline(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [outline(v) for v in value]
    return tuple(value.shape) if hasattr(value, "shape") else () if isinstance(value, float) else None


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_states_cross_to_pytorch_and_back(name, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.Tensor, "bfloat16", lambda x: x.clone())  # Muon rounds to it there
    ours, theirs = run(tl, name, 25), run(torch, name, 25)
    for state in theirs[1]["state"].values():
        state.pop("al", None)  # LBFGS keeps what it works with there
    assert outline(ours[1]["state"]) == outline(theirs[1]["state"])
    assert [set(g) for g in ours[1]["param_groups"]] == [set(g) for g in theirs[1]["param_groups"]]
    expected, _ = run(torch, name, 25, theirs)
    for lib, saved in ((tl, theirs), (torch, ours), (tl, ours)):
        for a, b in zip(run(lib, name, 25, saved)[0], expected, strict=True):
            near = 1e-6 if name == "NAdam" else 1e-10  # there a product of it is float32
            np.testing.assert_allclose(a, b, rtol=near, atol=near)


def test_sparse_adam_needs_sparse_gradients():
    p = nn.Parameter(tl.ones(3))
    optimizer = tl.optim.SparseAdam([p], lr=0.1, betas=(0.8, 0.9), eps=1e-6)
    optimizer.step()  # without a gradient there is nothing to do
    p.sum().backward()
    with pytest.raises(errors.TensorliteError, match=r"SparseAdam: .* gradients are dense here; use Adam"):
        optimizer.step()
    assert (p == 1).all()
    for wrong in ({"lr": -1.0}, {"betas": (1.0, 0.9)}, {"eps": 0.0}):
        with pytest.raises(errors.ArgumentError, match=next(iter(wrong)).rstrip("s")):
            tl.optim.SparseAdam([p], **wrong)
