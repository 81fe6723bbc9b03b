"""Hooks of optimizers, their own and those of all: PyTorch's order, what they may replace, and that they go when removed."""

import importlib

import pytest

import tensorlite as tl


def program(lib):
    """All hooks, some put first, noted as they are called; then without them."""
    p, q, seen = (lib.nn.Parameter(lib.ones(2)), lib.nn.Parameter(lib.ones(1)), [])
    opt = lib.optim.SGD([p], lr=0.5)

    def note(text, answer=None):
        return lambda *args: (
            seen.append((text, len(args), [len(a) for a in args[1:2] if isinstance(a, tuple)]))
            or (answer(*args) if answer else None)
        )

    o = importlib.import_module(f"{lib.__name__}.optim.optimizer")
    handles = [
        opt.register_step_post_hook(note("after")),
        o.register_optimizer_step_post_hook(note("after all")),
        opt.register_step_pre_hook(note("before")),
        opt.register_step_pre_hook(note("before 2", lambda opt, args, kwargs: ((args[0], lambda: seen.append("closure") or 7), {}))),
        o.register_optimizer_step_pre_hook(note("before all")),
        opt.register_state_dict_pre_hook(note("saving")),
        opt.register_state_dict_pre_hook(note("saving first"), prepend=True),
        opt.register_state_dict_post_hook(note("saved", lambda opt, state: {**state, "more": 1})),
        opt.register_state_dict_post_hook(note("saved first"), prepend=True),
        opt.register_load_state_dict_pre_hook(
            note("loading", lambda opt, state: {**state, "param_groups": [{**g, "lr": 0.25} for g in state["param_groups"]]})
        ),
        opt.register_load_state_dict_pre_hook(note("loading first"), prepend=True),
        opt.register_load_state_dict_post_hook(note("loaded")),
        opt.register_load_state_dict_post_hook(note("loaded first"), prepend=True),
    ]  # fmt: skip
    opt.add_param_group({"params": [q], "lr": 2.0, "momentum": 0.5})
    for x in (p, q):
        x.grad = lib.ones(x.shape)
    seen.append(opt.step())
    state = opt.state_dict()
    seen.append([sorted(state), [g["params"] for g in state["param_groups"]]])
    opt.load_state_dict(state)
    seen.append([(g["lr"], g["momentum"]) for g in opt.param_groups])
    for handle in handles:
        handle.remove()
    before = len(seen)
    opt.step()
    opt.load_state_dict(opt.state_dict())
    return [*seen, before == len(seen), p.tolist(), q.tolist()]


def test_every_hook_is_called_as_in_pytorch():
    torch = pytest.importorskip("torch")
    ours = program(tl)
    assert ours == program(torch)
    assert len({entry[0] for entry in ours if isinstance(entry, tuple)}) == 13 and "closure" in ours
