"""nn.Module: registration, names, state_dict, moves, hooks, text, copies, and where a call is when it fails."""

import collections
import copy
import pickle

import numpy as np
import pytest
from numeric import host

import tensorlite as tl
from tensorlite import errors, nn
from tensorlite.tensor import mode


class Net(nn.Module):
    """Two linear layers that share one weight, a scale, and two buffers."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.scale = nn.Parameter(tl.ones(3))
        self.second = nn.Linear(3, 3, bias=False)
        self.second.weight = self.first.weight
        self.register_buffer("mean", tl.zeros(3))
        self.count = nn.Buffer(tl.zeros(1), persistent=False)

    def forward(self, x):
        return self.second(self.first(x)) * self.scale - self.mean


def values(module):
    return {k: host(v).copy() for k, v in module.state_dict().items()}


def equal(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


# ---------------------------------------------------------------- registration and names
def test_parameters_come_in_the_order_of_assignment_own_before_children_and_shared_once():
    net = Net()
    assert [n for n, _ in net.named_parameters()] == ["scale", "first.weight", "first.bias"]
    every = ["scale", "first.weight", "first.bias", "second.weight"]
    assert [n for n, _ in net.named_parameters(remove_duplicate=False)] == every
    assert [n for n, _ in net.named_parameters(recurse=False)] == ["scale"]
    assert [n for n, _ in net.named_parameters(prefix="net")] == ["net.scale", "net.first.weight", "net.first.bias"]
    assert [n for n, _ in net.named_buffers()] == ["mean", "count"]
    assert [n for n, _ in net.named_modules()] == ["", "first", "second"]
    assert len(list(net.parameters())) == 3 and list(net.children()) == [net.first, net.second]
    assert net.get_parameter("first.bias") is net.first.bias and net.get_submodule("second") is net.second


def build(lib):
    """The same modules from tensorlite or from PyTorch."""
    n = lib.nn
    twice = n.Linear(2, 2)
    return [
        n.Linear(2, 3),
        n.Linear(2, 3, bias=False),
        n.Embedding(4, 2),
        n.LayerNorm(3),
        n.LayerNorm((2, 3), bias=False),
        n.LayerNorm(3, elementwise_affine=False),
        n.MultiheadAttention(4, 2),
        n.MultiheadAttention(4, 2, bias=False),
        n.MultiheadAttention(4, 2, kdim=3, vdim=5),
        n.Sequential(n.Linear(2, 3), n.GELU(), n.Sequential(n.Linear(3, 1))),
        n.Sequential(collections.OrderedDict(first=n.Linear(2, 3), then=n.Tanh())),
        n.ModuleList([n.Embedding(3, 2), n.Linear(2, 2)]),
        n.ModuleList([twice, twice]),
        n.ModuleDict({"b": n.Linear(1, 2), "a": n.LayerNorm(2)}),
        n.CrossEntropyLoss(),
    ]


def test_state_dict_has_the_keys_shapes_and_order_of_pytorch():
    torch = pytest.importorskip("torch")
    for ours, theirs in zip(build(tl), build(torch), strict=True):
        expected = [(k, tuple(v.shape)) for k, v in theirs.state_dict().items()]
        assert [(k, tuple(v.shape)) for k, v in ours.state_dict().items()] == expected, theirs
        assert [k for k, _ in ours.named_parameters()] == [k for k, _ in theirs.named_parameters()], theirs


def test_a_new_value_keeps_its_place_in_the_order_as_in_pytorch():
    torch = pytest.importorskip("torch")

    def keys(lib):
        n = lib.nn
        net = n.Sequential(n.Linear(2, 2), n.Linear(2, 2))
        net[0].weight = n.Parameter(lib.ones(2, 2))
        net[0] = n.Linear(2, 2)
        box = n.Module()
        box.a, box.b, box.c = n.Linear(1, 1), n.Linear(1, 1), n.Linear(1, 1)
        box.a = n.Linear(1, 1)
        box.b.weight = n.Parameter(lib.ones(1, 1))
        return list(net.state_dict()) + list(box.state_dict())

    assert keys(tl) == keys(torch)


def test_state_dict_leaves_out_transient_buffers_and_shares_memory():
    net = Net()
    state = net.state_dict()
    assert list(state) == ["scale", "mean", "first.weight", "first.bias", "second.weight"]
    assert not any(v.requires_grad for v in state.values())
    state["scale"].fill_(5.0)
    assert host(net.scale).tolist() == [5, 5, 5]
    assert net.state_dict(keep_vars=True)["scale"] is net.scale
    assert next(iter(net.state_dict(prefix="net."))) == "net.scale"


def test_reassigning_by_kind():
    net = Net()
    with pytest.raises(errors.DTypeError, match=r"Net\.scale is a parameter: assign a Parameter or None, not Tensor"):
        net.scale = tl.ones(3)
    with pytest.raises(errors.DTypeError, match=r"Net\.first is a module: assign a Module or None, not int"):
        net.first = 3
    with pytest.raises(errors.DTypeError, match=r"Net\.mean is a buffer: assign a Tensor or None, not float"):
        net.mean = 1.0
    net.mean = tl.ones(3)
    assert "mean" in net.state_dict() and net.state_dict()["mean"].sum().item() == 3
    net.scale = None
    assert net.scale is None and "scale" not in net.state_dict()
    del net.first
    assert not hasattr(net, "first")
    net.mean = nn.Linear(1, 1)  # another kind under the same name
    assert "mean" not in dict(net.named_buffers()) and isinstance(net.mean, nn.Linear)


def test_refused_names():
    net = Net()
    for bad in ("a.b", "", 3):
        with pytest.raises(errors.ArgumentError, match="cannot be a name: it must be a string without dots"):
            net.register_buffer(bad, tl.ones(1))
    with pytest.raises(errors.ArgumentError, match="the name 'forward' is taken"):
        net.register_parameter("forward", None)
    with pytest.raises(errors.DTypeError, match=r"Net\.w: a Parameter is needed, not Tensor"):
        net.register_parameter("w", tl.ones(1))


def test_misspelt_attribute_lists_what_there_is():
    with pytest.raises(AttributeError, match=r"Linear has no attribute 'wieght'; it has .*weight"):
        nn.Linear(1, 1).wieght  # noqa: B018


@pytest.mark.parametrize(
    "make", [lambda: nn.Linear(1, 1), lambda: nn.Parameter(tl.ones(1)), lambda: nn.Buffer(tl.ones(1))]
)
def test_assignment_before_super_init(make):
    class Early(nn.Module):
        def __init__(self):
            self.part = make()
            super().__init__()

    with pytest.raises(errors.TensorliteError, match=r"Early\.part: call super\(\)\.__init__\(\) before"):
        Early()


def test_attribute_before_super_init():
    class Early(nn.Module):
        def __init__(self):
            self.size = 3  # plain values are allowed
            self.part  # noqa: B018

    with pytest.raises(AttributeError, match=r"'part': super\(\).__init__\(\) was not called yet"):
        Early()


def test_containers():
    a, b, c = nn.Linear(1, 2), nn.Tanh(), nn.Linear(2, 3)
    seq = nn.Sequential(a, b, c)
    assert list(seq) == [a, b, c] and seq[-1] is c and list(seq[1:]) == [b, c] and len(seq) == 3
    seq[1] = nn.GELU()
    assert [type(m).__name__ for m in seq] == ["Linear", "GELU", "Linear"]
    del seq[1]
    assert list(seq.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    with pytest.raises(errors.IndexRangeError, match="Sequential: index 5 is out of range, it has 2 modules"):
        seq[5]
    many = nn.ModuleList([a])
    many.insert(0, c)
    many += [b]
    assert list(many) == [c, a, b] and list(many[:2]) == [c, a]
    assert (
        many.pop(0) is c and many.pop() is b and list(many) == [a] and list(many.state_dict()) == ["0.weight", "0.bias"]
    )
    with pytest.raises(NotImplementedError, match="ModuleList defines no forward"):
        many(tl.ones(1))
    with pytest.raises(errors.DTypeError, match="a Module is needed, not int"):
        many.append(3)
    named = nn.ModuleDict({"x": a})
    named["y"] = b
    assert (
        list(named) == ["x", "y"] and "x" in named and list(named.values()) == [a, b] and dict(named.items())["y"] is b
    )
    del named["x"]
    assert list(named.keys()) == ["y"] and len(named) == 1


# ---------------------------------------------------------------- loading
def test_load_state_dict_reports_everything_at_once_and_loads_nothing(device):
    net = Net()
    before, state = values(net), {k: v.clone() + 1 for k, v in net.state_dict().items()}
    del state["scale"]
    state["mean"] = tl.ones(4)
    state["other.weight"] = tl.ones(1)
    with pytest.raises(errors.TensorliteError) as e:
        net.load_state_dict(state)
    for part in ("load_state_dict of Net", "missing keys: scale", "unexpected keys: other.weight",
                 "mean: shape (4,) was given, (3,) is needed"):  # fmt: skip
        assert part in str(e.value)
    assert equal(values(net), before)
    with pytest.raises(errors.TensorliteError, match="mean: shape"):  # a wrong shape is refused even when not strict
        net.load_state_dict(state, strict=False)
    assert equal(values(net), before)
    del state["mean"]
    report = net.load_state_dict(state, strict=False)
    assert report.missing_keys == ["scale", "mean"] and report.unexpected_keys == ["other.weight"]
    assert np.array_equal(host(net.first.bias), before["first.bias"] + 1) and host(net.scale).tolist() == [1, 1, 1]


def test_load_state_dict_refuses_what_is_no_tensor():
    layer = nn.Linear(1, 1)
    with pytest.raises(errors.DTypeError, match=r"load_state_dict of Linear:\n    bias: a tensor is needed, not float"):
        layer.load_state_dict({"weight": tl.full((1, 1), 9.0), "bias": 1.0})
    assert layer.weight.item() != 9


def test_load_state_dict_copies_into_the_same_memory_and_assign_takes_the_tensors(device):
    net, other = Net(), Net()
    weight, memory = net.first.weight, net.first.weight.array
    state = other.state_dict()
    assert net.load_state_dict(state) == ([], [])
    assert net.first.weight is weight and weight.array is memory and net.second.weight is weight
    assert equal(values(net), values(other)) and weight.array is not other.first.weight.array
    net.load_state_dict({k: host(v).astype("float64") for k, v in state.items()})  # arrays, of another dtype
    assert weight.dtype == tl.float32 and equal(values(net), values(other))
    net.load_state_dict({k: v.double() for k, v in state.items()}, assign=True)
    assert net.first.weight is not weight and isinstance(net.first.weight, nn.Parameter)
    assert net.first.weight.dtype == tl.float64 and net.first.weight.requires_grad and net.mean.dtype == tl.float64


# ---------------------------------------------------------------- switches and moves
def test_train_eval_requires_grad_zero_grad_apply():
    net = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Dropout(), nn.Tanh()))
    assert net.eval() is net and not any(m.training for m in net.modules())
    net[1].train()
    assert [m.training for m in net.modules()] == [False, False, True, True, True]
    net.requires_grad_(False)
    assert not any(p.requires_grad for p in net.parameters())
    net.requires_grad_()
    net.train()(tl.ones(3, 2)).sum().backward()
    net.zero_grad(set_to_none=False)
    assert all(host(p.grad).tolist() == np.zeros(p.shape).tolist() for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())
    seen = []
    assert net.apply(lambda m: seen.append(type(m).__name__)) is net
    assert seen == ["Linear", "Dropout", "Tanh", "Sequential", "Sequential"]


def test_to_keeps_the_parameter_objects_their_gradients_and_ties(device):
    with tl.device("cpu"):
        net = Net()
        x = tl.ones(2, 3)
    net(x).sum().backward()
    net.register_buffer("ids", tl.arange(3, device="cpu"))
    params, grads, before = list(net.parameters()), [host(p.grad) for p in net.parameters()], values(net)
    assert net.to(device) is net and net.to(tl.float64) is net
    assert all(p is q for p, q in zip(net.parameters(), params, strict=True)) and net.second.weight is net.first.weight
    assert all(p.dtype == tl.float64 and p.device.type == device and p.is_leaf for p in params)
    assert all(p.grad.dtype == tl.float64 and p.grad.device.type == device for p in params)
    assert all(np.array_equal(host(p.grad), g) for p, g in zip(params, grads, strict=True))
    assert net.ids.dtype == tl.int64 and net.ids.device.type == device and net.mean.dtype == tl.float64
    assert equal(values(net), before)
    net.zero_grad()
    net(tl.ones(2, 3, dtype=tl.float64)).sum().backward()
    assert all(
        np.allclose(host(p.grad), g, atol=1e-6) and p.grad.dtype == tl.float64
        for p, g in zip(params, grads, strict=True)
    )
    with pytest.raises(errors.DTypeError, match="parameters can only be floating point, not"):
        net.to(tl.int64)


def test_frozen_parameters_move_and_thaw(device):
    layer = nn.Linear(2, 2, device="cpu").requires_grad_(False).to(device).double().requires_grad_()
    layer(tl.ones(1, 2, dtype=tl.float64)).sum().backward()
    assert layer.weight.grad.dtype == tl.float64 and layer.weight.grad.device.type == device


def test_a_buffer_of_two_modules_stays_one():
    a, b = nn.Module(), nn.Module()
    a.child, table = b, tl.ones(2)
    a.register_buffer("table", table)
    b.register_buffer("table", table)
    a.double()
    assert a.table is b.table and a.table.dtype == tl.float64


# ---------------------------------------------------------------- hooks
def test_forward_hooks_see_and_replace_arguments_and_results():
    class Power(nn.Module):
        def forward(self, x, p=1):
            return x**p

    net, log = Power(), []
    h1 = net.register_forward_pre_hook(lambda m, args: log.append("pre") or (args[0] + 1,))
    h2 = net.register_forward_pre_hook(lambda m, args, kw: log.append("first") or (args, {"p": 3}),
                                       with_kwargs=True, prepend=True)  # fmt: skip
    h3 = net.register_forward_hook(lambda m, args, out: log.append(("hook", m is net)) or out * 10)
    h4 = net.register_forward_hook(lambda m, args, kw, out: log.append(("kw", dict(kw))), with_kwargs=True)
    assert net(tl.tensor(1.0)).item() == 80 and log == ["first", "pre", ("hook", True), ("kw", {"p": 3})]
    h2.remove()
    h2.remove()
    assert net(tl.tensor(1.0), p=2).item() == 40
    h3.remove()
    h1.remove()
    h4.remove()
    assert net(tl.tensor(1.0)).item() == 1
    with net.register_forward_pre_hook(lambda m, args: args[0] * 5):  # a single value stands for a tuple of one
        assert net(tl.tensor(1.0)).item() == 5
    assert net(tl.tensor(1.0)).item() == 1 and Power()(tl.tensor(2.0)).item() == 2


# ---------------------------------------------------------------- text
def test_repr_is_pytorchs():
    torch = pytest.importorskip("torch")

    def modules(lib):
        n = lib.nn
        box = n.Module()
        box.extra_repr = lambda: "size=3"
        box.fc = n.Linear(1, 1)
        return [
            n.Linear(2, 3, bias=False), n.Embedding(4, 2), n.Embedding(4, 2, padding_idx=-1), n.Dropout(0.1), n.GELU("tanh"),
            n.ReLU(), n.Tanh(), n.Softmax(dim=-1), n.Identity(), n.Sequential(n.Linear(1, 2), n.Sequential(n.SiLU())),
            n.ModuleList([n.Tanh(), n.Linear(1, 1)]), n.ModuleDict({"a": n.Sigmoid()}), n.Sequential(), n.RMSNorm(3), box,
        ]  # fmt: skip

    for ours, theirs in zip(modules(tl), modules(torch), strict=True):
        assert repr(ours) == repr(theirs)


# ---------------------------------------------------------------- copies
def test_deepcopy_and_pickle(device):
    net = Net()
    net(tl.ones(2, 3)).sum().backward()
    for made in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert equal(values(made), values(net)) and made.first.weight is not net.first.weight
        assert made.second.weight is made.first.weight and isinstance(made.scale, nn.Parameter)
        assert made.scale.requires_grad and made.scale.device.type == device and "count" not in made.state_dict()
        with tl.no_grad():
            made.scale.fill_(9.0)
        assert host(net.scale).tolist() == [1, 1, 1]
        made(tl.ones(2, 3)).sum().backward()
        assert made.scale.grad is not None
    assert np.array_equal(host(copy.deepcopy(net).scale.grad), host(net.scale.grad))


# ---------------------------------------------------------------- where a call is
class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(3, 4)

    def forward(self, x):
        return self.fc1(x)


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.mlp = Mlp()

    def forward(self, x):
        return self.mlp(x)


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([Layer(), Layer()])

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = Encoder()

    def forward(self, x):
        return self.encoder(x)


def test_errors_name_the_module_path_and_the_scope_is_restored(device):
    model = Model()
    with pytest.raises(errors.ShapeError, match=r"linear: .*, in encoder\.layers\.0\.mlp\.fc1$"):
        model(tl.ones(2, 5))
    assert mode.scope is None and mode.module is None
    with pytest.raises(errors.ShapeError, match=r"in encoder\.layers\.1\.mlp\.fc1$"):
        model(tl.ones(2, 3))  # 4 features come out of layer 0
    model.encoder.layers.insert(0, nn.Identity())
    with pytest.raises(errors.ShapeError, match=r"in encoder\.layers\.1\.mlp\.fc1$"):  # names follow the change
        model(tl.ones(2, 5))
    with pytest.raises(errors.ShapeError) as e:
        nn.Sequential(nn.Linear(3, 3), nn.Sequential(nn.Linear(5, 3)))(tl.ones(2, 3))
    assert str(e.value).endswith("in 1.0")


def test_recorded_nodes_know_their_module():
    out = nn.Sequential(nn.Linear(2, 2), nn.Tanh())(tl.ones(1, 2))
    assert str(out.grad_fn.scope) == "1" and out.grad_fn.scope.kind == "Tanh"


def test_a_module_made_in_forward_is_not_kept():
    import gc
    import weakref

    alive = []

    class Careless(nn.Module):
        def forward(self, x):
            fresh = nn.Tanh()
            alive.append(weakref.ref(fresh))
            return fresh(x)

    net = Careless()
    for _ in range(3):
        net(tl.ones(1))
    gc.collect()
    assert not any(ref() is not None for ref in alive)
