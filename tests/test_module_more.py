"""nn.Module's rarer machinery as PyTorch's: hooks of all modules, metadata of states, versions, duplicates."""

import collections
import multiprocessing
import os
import pickle
from multiprocessing import reduction

import pytest

import tensorlite as tl
from tensorlite import nn

try:
    import torch
except ImportError:
    torch = None

LIBRARIES = [
    pytest.param(tl, id="tensorlite"),
    pytest.param(torch, id="PyTorch", marks=pytest.mark.skipif(torch is None, reason="PyTorch")),
]
both = pytest.mark.parametrize("lib", LIBRARIES)  # the same expectations are put to PyTorch itself


def net(lib):
    return lib.nn.Sequential(lib.nn.Linear(3, 4), lib.nn.Sequential(lib.nn.ReLU()))


@both
def test_hooks_of_all_modules_in_their_order(lib):
    of_all, seen, model = lib.nn.modules.module, [], net(lib)

    def note(what, answer=None):
        return lambda module, *args: seen.append((what, type(module).__name__)) or answer

    handles = [
        of_all.register_module_forward_pre_hook(note("before")),
        of_all.register_module_forward_hook(note("after")),
        of_all.register_module_full_backward_pre_hook(note("backward before")),
        of_all.register_module_full_backward_hook(note("backward after")),
        model[0].register_forward_pre_hook(note("own before")),
        model[0].register_forward_hook(note("own after")),
        model[0].register_full_backward_pre_hook(note("own backward before")),
        model[0].register_full_backward_hook(note("own backward after")),
    ]
    x = lib.ones(2, 3).requires_grad_()
    model(x).sum().backward()
    forward = [("before", "Sequential"), ("before", "Linear"), ("own before", "Linear"), ("after", "Linear"),
               ("own after", "Linear"), ("before", "Sequential"), ("before", "ReLU"), ("after", "ReLU"),
               ("after", "Sequential"), ("after", "Sequential")]  # fmt: skip
    assert seen[: len(forward)] == forward
    linear = [what for what, kind in seen[len(forward) :] if kind == "Linear"]
    assert linear == ["backward before", "own backward before", "backward after", "own backward after"]
    assert {what for what, kind in seen if kind == "ReLU"} == {"before", "after", "backward before", "backward after"}
    for handle in handles:
        handle.remove()
    seen.clear()
    model(x).sum().backward()
    assert not seen


@both
def test_hooks_of_all_modules_change_what_passes(lib):
    of_all, model = lib.nn.modules.module, lib.nn.Identity()
    with of_all.register_module_forward_pre_hook(lambda m, args: (args[0] + 1,)):
        assert model(lib.zeros(1)).tolist() == [1.0]
    with of_all.register_module_forward_hook(lambda m, args, kw, out: out * 2 + len(kw), with_kwargs=True):
        assert model(lib.ones(1)).tolist() == [2.0] and model(input=lib.ones(1)).tolist() == [3.0]
    x = lib.ones(1).requires_grad_()
    with of_all.register_module_full_backward_hook(lambda m, gin, gout: (gin[0] * 5,)):
        model(x).sum().backward()
    assert x.grad.tolist() == [5.0]
    failed = []

    class Bad(lib.nn.Module):
        def forward(self, x):
            raise KeyError("no")

    with (
        of_all.register_module_forward_hook(lambda m, args, out: failed.append(out), always_call=True),
        pytest.raises(KeyError),
    ):
        Bad()(x)
    assert failed == [None]


@both
def test_registration_hooks(lib):
    of_all, seen = lib.nn.modules.module, []
    note = lambda module, name, value: seen.append((name, type(value).__name__))  # noqa: E731
    with (
        of_all.register_module_parameter_registration_hook(note),
        of_all.register_module_buffer_registration_hook(note),
    ):
        lib.nn.BatchNorm1d(2)
    names = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    assert [name for name, _ in seen] == names and seen[0][1] == "Parameter"
    with of_all.register_module_module_registration_hook(lambda m, n, child: lib.nn.Tanh() if n == "act" else None):
        model = lib.nn.Sequential(collections.OrderedDict(fc=lib.nn.Linear(1, 1), act=lib.nn.ReLU()))
        model.other = lib.nn.ReLU()
        model.act = lib.nn.ReLU()
    assert [type(m).__name__ for m in model.children()] == ["Linear", "Tanh", "ReLU"]


@both
def test_states_know_their_versions(lib):
    class Old(lib.nn.Linear):
        _version = 3

        def _load_from_state_dict(self, state, prefix, local, strict, missing, unexpected, faults):
            if local.get("version", 0) < 3 and prefix + "w" in state:
                state[prefix + "weight"] = state.pop(prefix + "w")
            super()._load_from_state_dict(state, prefix, local, strict, missing, unexpected, faults)

    model = lib.nn.Sequential(Old(2, 2, bias=False), lib.nn.BatchNorm1d(2))
    state = model.state_dict()
    assert isinstance(state, collections.OrderedDict)
    assert dict(state._metadata) == {"": {"version": 1}, "0": {"version": 3}, "1": {"version": 2}}
    old = collections.OrderedDict((k.replace("0.weight", "0.w"), v * 0 + 5) for k, v in state.items())
    old._metadata = {"0": {"version": 2}, "1": {"version": 2}}
    assert not model.load_state_dict(old).unexpected_keys and model[0].weight[0, 0].item() == 5
    with pytest.raises(Exception, match=r"0\.weight"):
        state = model.state_dict()
        state["0.w"] = state.pop("0.weight")
        model.load_state_dict(state)  # of version 3: not put right


@both
def test_state_dict_into_a_given_dict(lib):
    mine = {"kept": 1}
    assert lib.nn.Linear(1, 1).state_dict(destination=mine, prefix="fc.") is mine
    assert list(mine) == ["kept", "fc.weight", "fc.bias"]
    assert lib.nn.Linear(1, 1).state_dict(keep_vars=True)["weight"].requires_grad


@both
def test_modules_with_and_without_duplicates(lib):
    shared = lib.nn.ReLU()
    model = lib.nn.Sequential(shared, lib.nn.Linear(1, 1), shared)
    assert len(list(model.modules())) == 3 and len(list(model.named_modules(remove_duplicate=False))) == 4
    assert [n for n, _ in model.named_modules(prefix="m")] == ["m", "m.0", "m.1"]


@both
def test_old_batch_norms_without_a_counter(lib):
    layer, one = lib.nn.BatchNorm1d(2), lib.ones(2)
    layer.num_batches_tracked += 3
    state = {k: one for k in ("weight", "bias", "running_mean", "running_var")}
    layer.load_state_dict(state)
    assert layer.num_batches_tracked == 3 and len(state) == 4


def test_all_modules_without_duplicates_removed():
    shared = nn.ReLU()
    assert len(list(nn.Sequential(shared, shared).modules(remove_duplicate=False))) == 3


def _add_one(module, tensor):
    with tl.no_grad():
        module.weight.add_(1)
        tensor[0] = 7.0


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="processes are not forked here")
def test_forked_processes_share_memory():
    module, tensor, own = nn.Linear(2, 2), tl.zeros(3), tl.zeros(3)
    before, weight = module.weight.detach().clone(), module.weight
    assert module.share_memory() is module and tensor.share_memory_() is tensor and not own.is_shared()
    assert module.weight is weight and weight.is_shared() and weight.share_memory_().is_shared() and tensor.is_shared()
    process = multiprocessing.get_context("fork").Process(target=_add_one, args=(module, tensor))
    process.start()
    process.join()
    assert process.exitcode == 0 and (module.weight == before + 1).all() and tensor.tolist() == [7.0, 0.0, 0.0]
    module(tl.ones(1, 2)).sum().backward()
    assert module.weight.grad.tolist() == [[1.0, 1.0]] * 2


def _spawned(module, tensor, view, own, queue, answers):
    _add_one(module, tensor)
    with tl.no_grad():
        view.mul_(10)
        own.add_(5)
        queue.get(timeout=60).add_(1)
    answers.put(
        [module.weight.is_shared(), type(module.weight).__name__, module.weight.requires_grad, tensor.is_shared()]
    )


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_processes_of_every_kind_share_memory(method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip("there is no such method here")
    context = multiprocessing.get_context(method)
    module, tensor, own = nn.Linear(2, 2).share_memory(), tl.zeros(3).share_memory_(), tl.zeros(2)
    table, big = tl.arange(12.0).reshape(3, 4).clone().share_memory_(), tl.zeros(1_500_000).share_memory_()
    before, queue, answers = module.weight.detach().clone(), context.Queue(), context.Queue()
    process = context.Process(target=_spawned, args=(module, tensor, table.t()[1:3], own, queue, answers))
    process.start()
    queue.put(big)
    assert answers.get(timeout=60) == [True, "Parameter", True, True]
    process.join(60)
    assert process.exitcode == 0 and (module.weight == before + 1).all() and tensor.tolist() == [7.0, 0.0, 0.0]
    assert table.tolist() == [[0, 10, 20, 3], [4, 50, 60, 7], [8, 90, 100, 11]] and (big == 1).all()
    assert own.tolist() == [0.0, 0.0]  # not shared: the other process has a copy, as in PyTorch when it is forked
    assert pickle.loads(pickle.dumps(tensor)).is_shared() is False


def test_many_shared_tensors_open_few_files():
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("open files cannot be counted here")
    before = len(os.listdir("/proc/self/fd"))
    kept = [tl.full((100,), float(i)).share_memory_() for i in range(300)]
    assert len(os.listdir("/proc/self/fd")) < before + 10
    assert all((t == i).all() for i, t in enumerate(kept)) and not tl.empty(0).share_memory_().numel()
    a, b = kept[:2]
    a.requires_grad_()
    with tl.no_grad():
        b.add_(1)  # no change of a, though they lie side by side
    (a * a).sum().backward()
    assert a.grad.tolist() == [0.0] * 100


def test_memory_without_a_file_is_for_forks_only(monkeypatch):
    from tensorlite.backend import shared

    monkeypatch.setattr(shared, "_descriptor", lambda size: None)
    monkeypatch.setattr(shared, "_common", {})
    x = tl.ones(2).share_memory_()
    assert x.is_shared()
    with pytest.raises(tl.errors.TensorliteError, match="only forked processes see it"):
        reduction.ForkingPickler.dumps(x)


def test_what_cannot_be_shared():
    x = tl.ones(2, 2)
    with pytest.raises(tl.errors.GraphError, match="only a leaf"):
        (x.requires_grad_() * 2).share_memory_()
    y = tl.ones(2, 2)
    view = y[0]
    for tensor in (y, view):
        with pytest.raises(tl.errors.InplaceError, match="clone"):
            tensor.share_memory_()
    with pytest.raises(tl.errors.TensorliteError, match="no shape"):
        nn.LazyLinear(2).share_memory()


@both
def test_to_empty_and_compile(lib):
    module = lib.nn.Sequential(lib.nn.Linear(2, 3), lib.nn.BatchNorm1d(3))
    weight = module[0].weight
    assert module.to_empty(device="cpu") is module and module[0].weight.shape == (3, 2)
    assert (module[0]._get_name() == "Linear" and lib is torch) or module[0].weight is weight
    if lib is tl:
        assert module.compile() is None
    assert repr(module.load_state_dict(module.state_dict())) == "<All keys matched successfully>"


@both
def test_names_that_are_taken(lib):
    with pytest.raises(Exception, match="weight"):
        lib.nn.Linear(2, 2).add_module("weight", lib.nn.ReLU())
    module = lib.nn.Module()
    module.plain = 3
    for register in (module.register_buffer, module.register_parameter, module.register_module):
        with pytest.raises(Exception, match="plain"):
            register("plain", None)
    module.register_buffer("b", lib.ones(1))
    module.register_buffer("b", lib.zeros(1))  # its own kind takes its place
    assert module.b.item() == 0
