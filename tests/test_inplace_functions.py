"""tl.relu_(x) and its kin: functions that change their first argument, as PyTorch's; which of PyTorch's there are."""

import numpy as np
import pytest
from numeric import host

import tensorlite as tl
from tensorlite import errors
from tensorlite.methods import FUNCTIONS_IN_PLACE
from tensorlite.nn import functional as F

ARGUMENTS = {  # beside the first: numbers, and arrays as tensors
    "addmv": (np.ones((3, 2)), np.ones(2)),
    "clamp": (-0.25, 0.25),
    "clip": (None, 0.25),
    "clamp_max": (0.25,),
    "clamp_min": (0.25,),
    "fill": (2.5,),
    "gcd": (np.array([4, 6, 9]),),
    "lcm": (np.array([4, 6, 9]),),
    "index_put": ((np.array([0, 2]),), np.array([5.0, 6.0])),
    "ldexp": (np.array([1, 2, 3]),),
    "logit": (1e-3,),
    "round": (),
    "xlogy": (np.array([0.5, 2.0, 3.0]),),
}
WITHOUT = {"as_strided", "conj_physical", "embedding_renorm", "resize_as", "resize_as_sparse"}


def values(name):
    if name in ("gcd", "lcm"):
        return np.array([6, 8, 12])
    return np.array([1.5, 2.5, 1.25]) if name in ("acosh", "arccosh") else np.array([0.5, 0.75, 0.125])


def tensors(lib, value):
    if isinstance(value, tuple):
        return tuple(tensors(lib, v) for v in value)
    return lib.tensor(value) if isinstance(value, np.ndarray) else value


@pytest.mark.parametrize("name", FUNCTIONS_IN_PLACE.split())
def test_changes_its_argument_like_pytorch(name, device):
    torch = pytest.importorskip("torch")
    results = []
    for lib in (tl, torch):
        x = lib.tensor(values(name))
        rest = tensors(lib, ARGUMENTS.get(name, ()))
        assert getattr(lib, name + "_")(x, *rest) is x
        results.append(host(x) if lib is tl else x.numpy())
    np.testing.assert_allclose(*results, rtol=1e-12)


@pytest.mark.parametrize("name, rest", [("celu_", (0.5,)), ("selu_", ()), ("threshold_", (0.1, 7.0)), ("elu_", (2.0,)),
                                        ("leaky_relu_", (0.3,)), ("hardtanh_", ()), ("relu_", ())])  # fmt: skip
def test_activations_too(name, rest, device):
    torch = pytest.importorskip("torch")
    for home, other in ((tl, torch), (F, torch.nn.functional)):
        if hasattr(other, name):
            x, y = np.array([-1.5, 0.25, 3.0]), np.array([-1.5, 0.25, 3.0])
            x, y = tl.tensor(x), torch.tensor(y)
            assert getattr(home, name)(x, *rest) is x
            getattr(other, name)(y, *rest)
            np.testing.assert_allclose(host(x), y.numpy(), rtol=1e-12)


def test_all_of_pytorch_are_there():
    torch = pytest.importorskip("torch")
    names = {n for n in dir(torch) if n.endswith("_") and not n.startswith("_")}
    assert {n for n in names if not hasattr(tl, n)} == {n + "_" for n in WITHOUT}


def test_only_tensors():
    with pytest.raises(errors.DTypeError, match="relu_: a Tensor is needed, not list"):
        tl.relu_([1.0])
    x = tl.ones(2, requires_grad=True)
    with pytest.raises(errors.GraphError, match="exp_"):
        tl.exp_(x)
    assert (x == 1).all()
