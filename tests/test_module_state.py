"""state_dict and load_state_dict as subclasses and hooks change them: overridden methods, extra state, hooks, the report."""

import numpy as np
import pytest

import tensorlite as tl
from tensorlite import nn
from tensorlite.errors import TensorliteError


class Renamed(nn.Linear):
    """Reads files in which the weight was called `w`; keeps a count beside the tensors."""

    count = 0

    def _load_from_state_dict(self, state_dict, prefix, *args):
        if prefix + "w" in state_dict:
            state_dict[prefix + "weight"] = state_dict.pop(prefix + "w")
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[prefix + "note"] = tl.ones(1)

    def get_extra_state(self):
        return {"count": self.count}

    def set_extra_state(self, state):
        self.count = state["count"]


def test_overridden_methods_and_extra_state():
    net = nn.Sequential(Renamed(2, 3))
    net[0].count = 7
    state = net.state_dict()
    assert list(state) == ["0.weight", "0.bias", "0._extra_state", "0.note"]
    state["0.w"] = state.pop("0.weight") * 0 + 5
    fresh = nn.Sequential(Renamed(2, 3))
    with pytest.raises(TensorliteError, match=r"unexpected keys: 0\.note"):
        fresh.load_state_dict(state)
    assert fresh[0].count == 0 and "0.w" in state  # nothing loaded, the caller's dict as it was
    del state["0.note"]
    fresh.load_state_dict(state)
    assert fresh[0].count == 7 and (fresh[0].weight == 5).all()


def test_hooks():
    net, said = nn.Sequential(nn.Linear(2, 2)), []
    net[0].register_state_dict_pre_hook(lambda m, prefix, keep: said.append(("pre", prefix)))
    net[0]._register_state_dict_hook(lambda m, state, prefix, meta: state.__delitem__(prefix + "bias"))
    assert list(net.state_dict()) == ["0.weight"] and said == [("pre", "0.")]
    net.register_load_state_dict_pre_hook(
        lambda m, state, prefix, *rest: state.__delitem__("stray") if "stray" in state else None
    )
    handle = net.register_load_state_dict_post_hook(lambda m, keys: keys.missing_keys.clear())
    assert net.load_state_dict({"0.weight": tl.ones(2, 2), "stray": tl.ones(1)}).missing_keys == []
    assert (net[0].weight == 1).all()
    handle.remove()
    with pytest.raises(TensorliteError, match=r"missing keys: 0.bias"):
        net.load_state_dict({"0.weight": tl.zeros(2, 2)})
    assert (net[0].weight == 1).all()


def test_destination_and_prefix_by_position():
    out = {"before": 1}
    assert nn.Linear(1, 1).state_dict(out, "a.") is out and list(out) == ["before", "a.weight", "a.bias"]


def test_report_equals_pytorch():
    torch = pytest.importorskip("torch")
    reports = []
    for n, t in ((nn, tl), (torch.nn, torch)):
        net = n.Sequential(n.Linear(2, 2), n.BatchNorm1d(2))
        state = dict(net.state_dict()) | {k: t.ones(1) for k in ("x", "0.y", "0.weight.z", "9.weight")}
        del state["1.running_mean"], state["0.bias"]
        reports.append([sorted(keys) for keys in net.load_state_dict(state, strict=False)])
    assert reports[0] == reports[1]


def test_a_misspelt_attribute_and_buffers_by_path():
    net = nn.Sequential(nn.BatchNorm1d(2))
    with pytest.raises(AttributeError, match="did you mean 'running_mean'"):
        net[0].runing_mean  # noqa: B018
    assert net.get_buffer("0.running_mean") is net[0].running_mean
    with pytest.raises(AttributeError, match=r"'0\.weight' is not a buffer"):
        net.get_buffer("0.weight")
    assert net.bfloat16()[0].weight.dtype is tl.bfloat16


def test_set_submodule_and_type():
    net = nn.Sequential(nn.Sequential(nn.Linear(1, 2)), nn.Tanh())
    net.set_submodule("0.0", nn.Linear(1, 3))
    assert net(tl.ones(2, 1)).shape == (2, 3) and list(net.state_dict()) == ["0.0.weight", "0.0.bias"]
    with pytest.raises(AttributeError, match="no module '7' to replace"):
        net.set_submodule("0.7", nn.Tanh(), strict=True)
    assert net.type(tl.float64)[0][0].weight.dtype is tl.float64


class Picky(nn.Linear):
    """Refuses some extra states, after it took a part of them."""

    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.notes = {"seen": 0}

    def get_extra_state(self):
        return self.notes

    def set_extra_state(self, state):
        self.notes["seen"] = state["seen"]
        if state["seen"] < 0:
            raise ValueError("no such state")


def _bad_extra(net, state):
    state["3._extra_state"] = {"seen": -1}


def _bad_hook(net, state):
    def hook(module, keys):
        raise ValueError("no such state")

    net[0].register_load_state_dict_post_hook(hook)


def _late_key(net, state):
    net[0].register_load_state_dict_post_hook(lambda module, keys: keys.missing_keys.append("more"))


def _own_loading(net, state):
    class Eager(nn.Linear):
        def _load_from_state_dict(self, state_dict, prefix, *rest):
            self.weight.data.fill_(5)
            self.bias = None
            raise ValueError("no such state")

    net[2].__class__ = Eager


def _text(net, state):
    state["3.bias"] = np.array(["a", "b"])


def _expanded(net, state):
    net.register_buffer("wide", tl.zeros(1).expand(3))
    state["wide"] = tl.ones(3)


FAILED = [_bad_extra, _bad_hook, _late_key, _own_loading, _text, _expanded]


@pytest.mark.parametrize("assign", [False, True])
@pytest.mark.parametrize("spoil", FAILED, ids=lambda f: f.__name__)
def test_a_failed_load_changes_nothing(spoil, assign, device):
    make = lambda: nn.Sequential(nn.LazyLinear(3), nn.BatchNorm1d(3), nn.Linear(3, 2), Picky(2, 2))  # noqa: E731
    given, net = make(), make()
    given(tl.ones(4, 5))
    state = given.state_dict()
    state["3._extra_state"] = {"seen": 3}
    spoil(net, state)
    if spoil is _expanded and assign:
        net.load_state_dict(state, assign=True)  # nothing is written into it
        return
    named = [*net.named_parameters(), *net.named_buffers()]
    before = [None if nn.parameter.is_lazy(v) else (v.array, v.detach().clone()) for _, v in named]
    text, lazy = repr(net), nn.parameter.is_lazy(net[0].weight)
    with pytest.raises((ValueError, TensorliteError)):
        net.load_state_dict(state, assign=assign)
    assert repr(net) == text and nn.parameter.is_lazy(net[0].weight) is lazy is True
    after = [*net.named_parameters(), *net.named_buffers()]
    for (name, value), (same, old), kept in zip(after, named, before, strict=True):
        assert name == same and value is old, name
        if kept is not None:
            assert value.array is kept[0] and (value == kept[1]).all(), name
    assert net[3].notes == {"seen": 0} and net[3].bias.requires_grad
