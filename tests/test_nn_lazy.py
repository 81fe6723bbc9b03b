"""Lazy layers: the shapes they find, the layers they become, their state before and after, what they refuse; as PyTorch's."""

import copy
import pickle

import numpy as np
import pytest
from numeric import host

import tensorlite as tl
from tensorlite import errors, nn

LAYERS = {  # name: (arguments, keywords, shape of the input, an input of another size)
    "LazyLinear": ((3,), {}, (2, 5), (2, 4)),
    "LazyLinear without bias": ((3,), {"bias": False}, (2, 7, 5), (2, 7, 4)),
    "LazyConv1d": ((4, 3), {"padding": 1}, (2, 6, 9), (2, 4, 9)),
    "LazyConv1d unbatched": ((4, 3), {}, (6, 9), (4, 9)),
    "LazyConv2d": (
        (4, (3, 2)),
        {"groups": 2, "stride": 2, "padding_mode": "circular", "padding": 1},
        (2, 6, 9, 8),
        (2, 4, 9, 8),
    ),
    "LazyConv3d": ((2, 2), {"bias": False, "dilation": 2}, (1, 3, 4, 5, 6), (1, 2, 4, 5, 6)),
    "LazyConvTranspose1d": ((4, 3), {"stride": 2, "output_padding": 1}, (2, 6, 5), (2, 4, 5)),
    "LazyConvTranspose2d": ((4, 3), {"groups": 2}, (2, 6, 5, 4), (2, 4, 5, 4)),
    "LazyConvTranspose3d": ((2, 2), {"bias": False}, (1, 3, 3, 2, 2), (1, 2, 3, 2, 2)),
    "LazyBatchNorm1d": ((), {}, (4, 3), (4, 2)),
    "LazyBatchNorm1d of sequences": ((), {"affine": False, "momentum": None}, (4, 3, 5), (4, 2, 5)),
    "LazyBatchNorm2d": ((), {"eps": 1e-3, "bias": False}, (4, 3, 2, 2), (4, 2, 2, 2)),
    "LazyBatchNorm3d": ((), {"track_running_stats": False}, (2, 3, 2, 2, 2), (2, 4, 2, 2, 2)),
    "LazyInstanceNorm1d": ((), {}, (2, 3, 5), (2, 4, 5)),
    "LazyInstanceNorm2d": ((), {"affine": False}, (2, 3, 4, 5), (2, 4, 4, 5)),
    "LazyInstanceNorm3d": ((), {"momentum": 0.3}, (2, 3, 2, 2, 2), (2, 4, 2, 2, 2)),
}


def made(name, library=nn):
    args, kw, shape, other = LAYERS[name]
    return getattr(library, name.split()[0])(*args, **kw), shape, other


def values(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.mark.parametrize("name", LAYERS)
def test_becomes_the_layer_it_stands_for(name, device):
    layer, shape, _ = made(name)
    keys = list(layer.state_dict())
    assert layer.has_uninitialized_params() or name == "LazyInstanceNorm2d" or "affine" in LAYERS[name][1]
    x = tl.tensor(values(shape), dtype=tl.float32)
    tl.manual_seed(7)
    out = layer(x)
    assert type(layer) is getattr(nn, name.split()[0].removeprefix("Lazy")) and list(layer.state_dict()) == keys
    tl.manual_seed(7)  # the very layer, with the values it draws
    args, kw = LAYERS[name][:2]
    channels = shape[-1] if "Linear" in name else shape[-layer.rank - 1] if "Conv" in name else shape[1]
    plain = type(layer)(channels, *args, **kw)
    if "InstanceNorm" in name:
        plain = type(layer)(channels, *args, **{"affine": True, "track_running_stats": True, **kw})
    assert repr(plain) == repr(layer)
    for (key, a), (other, b) in zip(layer.state_dict().items(), plain.state_dict().items(), strict=True):
        assert key == other and (key.startswith("running") or key.startswith("num") or (a == b).all())
    assert (plain(x) == out).all()


@pytest.mark.parametrize("name", LAYERS)
def test_like_pytorch(name, device):
    torch = pytest.importorskip("torch")
    ours, shape, _ = made(name)
    theirs, _, _ = made(name, torch.nn)
    assert repr(ours) == repr(theirs) and list(ours.state_dict()) == list(theirs.state_dict())
    assert [repr(p) for p in ours.parameters()] == [repr(p) for p in theirs.parameters()]
    ours.double(), theirs.double()
    x = values(shape)
    theirs(torch.tensor(x))
    fresh, _, _ = made(name)  # takes a state before it has seen anything
    fresh.double().load_state_dict({k: tl.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    ours(tl.tensor(x))
    ours.load_state_dict({k: tl.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    expected = theirs(torch.tensor(x))
    for layer in (ours, fresh):
        np.testing.assert_allclose(host(layer(tl.tensor(x))), expected.detach().numpy(), rtol=1e-7, atol=1e-9)
        assert repr(layer) == repr(theirs) and type(layer).__name__ == type(theirs).__name__


@pytest.mark.parametrize("name", [n for n in LAYERS if "affine" not in LAYERS[n][1]])
def test_copies_and_dtypes_before_the_first_input(name):
    layer, shape, other = made(name)
    copies = [copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))]
    layer.double()
    assert next(layer.parameters()).dtype == tl.float64
    layer(tl.tensor(values(shape)))
    assert all(p.dtype == tl.float64 and p.requires_grad and type(p) is nn.Parameter for p in layer.parameters())
    for copied in copies:
        copied(tl.tensor(values(other), dtype=tl.float32))  # of another size: nothing is shared
        assert type(copied) is type(layer) and repr(copied) != repr(layer)


def test_a_lazy_state_goes_to_a_lazy_layer_only():
    lazy, other = nn.LazyLinear(3), nn.LazyLinear(3)
    assert other.load_state_dict(lazy.state_dict()) == ([], []) and other.has_uninitialized_params()
    with pytest.raises(errors.TensorliteError, match="no shape and no values yet; call the model once"):
        nn.Linear(2, 3).load_state_dict(lazy.state_dict())
    with pytest.raises(errors.TensorliteError, match="missing keys: bias"):
        other.load_state_dict({"weight": tl.ones(3, 2)})
    assert isinstance(other.weight, nn.UninitializedParameter)
    assert other.load_state_dict({"weight": tl.ones(3, 2)}, strict=False).missing_keys == ["bias"]
    assert other.weight.shape == (3, 2) and isinstance(other.bias, nn.UninitializedParameter)


@pytest.mark.parametrize(
    "use",
    [lambda p: p + 1, lambda p: p.shape, lambda p: p.numel(), lambda p: nn.init.ones_(p), lambda p: p.detach(),
     lambda p: p.tolist(), lambda p: tl.zeros_like(p), lambda p: p[0], lambda p: p.sum()],
)  # fmt: skip
def test_without_a_shape_everything_is_refused_in_words(use):
    for p in (nn.UninitializedParameter(), nn.UninitializedBuffer()):
        with pytest.raises(
            errors.TensorliteError, match=f"{type(p).__name__}: this tensor of a lazy layer has no shape"
        ):
            use(p)


def test_in_a_model(device):
    model = nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2))
    optimizer = tl.optim.SGD(model.parameters(), lr=0.1)  # the parameters stay the same objects
    before = [id(p) for p in model.parameters()]
    x = tl.randn(5, 3, 6, 6)
    model(x).square().sum().backward()
    assert before == [id(p) for p in model.parameters()]
    first = model[4].weight.detach().clone()
    optimizer.step()
    assert (model[4].weight != first).any()
    assert "LazyLinear" not in repr(model) and "Linear" in str(tl.summary(model, x))
    assert "conv2d" in tl.draw_graph(nn.Sequential(nn.LazyConv2d(4, 3)), x).source


@pytest.mark.parametrize(
    ("layer", "shape", "text"),
    [
        (lambda: nn.LazyConv2d(8, 3), (3,), r"LazyConv2d: input must have 4 dimensions \(a batch\) or 3"),
        (
            lambda: nn.LazyConv2d(8, 3, groups=4),
            (1, 6, 5, 5),
            "the 6 channels of the input are no multiple of groups=4",
        ),
        (lambda: nn.LazyBatchNorm2d(), (3, 4), r"LazyBatchNorm2d: input must be \(N, C, H, W\)"),
        (lambda: nn.LazyLinear(2), (), "LazyLinear: input must have at least 1 dimension"),
    ],
)
def test_a_wrong_first_input_changes_nothing(layer, shape, text):
    layer = layer()
    with pytest.raises(errors.ShapeError, match=text):
        layer(tl.ones(shape))
    assert layer.has_uninitialized_params() and type(layer).__name__.startswith("Lazy")


def test_a_wrong_first_input_is_told_with_the_layers_place():
    with pytest.raises(errors.ShapeError, match=r"LazyConv2d: input must have 4 .*, in 0\.1$"):
        nn.Sequential(nn.Sequential(nn.ReLU(), nn.LazyConv2d(2, 3)))(tl.ones(3))
    with pytest.raises(errors.ShapeError, match=r"LazyLinear: input must have at least 1 dimension .*got \[1, 2\]"):
        nn.LazyLinear(2)([1, 2])


@pytest.mark.parametrize(
    ("layer", "name", "shape", "text"),
    [
        (lambda: nn.LazyLinear(2), "weight", (5, 3), r"weight: shape \(5, 3\) was given, \(2, any\) is needed"),
        (lambda: nn.LazyLinear(2), "weight", (2,), r"\(2, any\) is needed"),
        (lambda: nn.LazyLinear(2), "bias", (3,), r"bias: shape \(3,\) was given, \(2\) is needed"),
        (lambda: nn.LazyConv2d(4, (3, 2)), "weight", (4, 6, 3, 3), r"\(4, any, 3, 2\) is needed"),
        (lambda: nn.LazyConvTranspose1d(4, 3, groups=2), "weight", (6, 4, 3), r"\(any, 2, 3\) is needed"),
        (lambda: nn.LazyBatchNorm1d(), "running_mean", (3, 1), r"\(any\) is needed"),
    ],
)
def test_a_state_of_other_known_sizes_is_refused(layer, name, shape, text):
    layer = layer()
    with pytest.raises(errors.TensorliteError, match=text):
        layer.load_state_dict({name: tl.ones(*shape)}, strict=False)
    assert all(nn.parameter.is_lazy(p) for p in layer.parameters())


def test_materialize_takes_an_int_and_refuses_a_negative_size_first():
    p = nn.UninitializedParameter()
    with pytest.raises(errors.TensorliteError):
        p.materialize((-1, 2))
    assert nn.parameter.is_lazy(p)
    p.materialize(3)
    assert p.shape == (3,) and type(p) is nn.Parameter and not nn.parameter.is_lazy(p)


def test_a_users_own_lazy_layer():
    class Scale(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.UninitializedParameter()

        def forward(self, x):
            return x * self.w

    class LazyScale(nn.modules.lazy.LazyModuleMixin, Scale):
        cls_to_become = Scale

        def initialize_parameters(self, x):
            if self.has_uninitialized_params():
                self.w.materialize(x.shape[1:])
                nn.init.constant_(self.w, 2.0)

    layer = LazyScale()
    assert (layer(tl.ones(2, 3)) == 2).all() and type(layer) is Scale

    class Forgetful(LazyScale):
        def initialize_parameters(self, x):
            pass

    with pytest.raises(errors.TensorliteError, match="Forgetful: initialize_parameters left a parameter"):
        Forgetful()(tl.ones(2, 3))
