"""Small parameters stepped as one array: the same numbers as one by one, whatever a user does in between."""

import copy
import subprocess
import sys

import numpy as np
import pytest

import tensorlite as tl
from tensorlite import nn
from tensorlite.optim.optimizer import Optimizer

RULES = {
    "SGD": lambda p: tl.optim.SGD(p, lr=0.1),
    "SGD momentum": lambda p: tl.optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.2),
    "SGD nesterov": lambda p: tl.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1, maximize=True),
    "Adam": lambda p: tl.optim.Adam(p, lr=0.01, weight_decay=0.1),
    "AdamW": lambda p: tl.optim.AdamW(p, lr=0.01),
    "AdamW amsgrad": lambda p: tl.optim.AdamW(p, lr=0.01, amsgrad=True, maximize=True),
    "Adamax": lambda p: tl.optim.Adamax(p, lr=0.01),
    "NAdam": lambda p: tl.optim.NAdam(p, lr=0.01),
    "RAdam": lambda p: tl.optim.RAdam(p, lr=0.01, weight_decay=0.1),
    "RMSprop": lambda p: tl.optim.RMSprop(p, lr=0.01, momentum=0.5, centered=True),
    "Adagrad": lambda p: tl.optim.Adagrad(p, lr=0.01, initial_accumulator_value=0.1),
    "Adadelta": lambda p: tl.optim.Adadelta(p, lr=0.5),
    "ASGD": lambda p: tl.optim.ASGD(p, lr=0.01),
    "Rprop": lambda p: tl.optim.Rprop(p, lr=0.01),
}


class Net(nn.Module):
    """Layers of several sizes, one weight used twice."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 16)
        self.fc1, self.norm, self.fc2 = nn.Linear(16, 80), nn.LayerNorm(80), nn.Linear(80, 16)
        self.head = nn.Linear(16, 11)
        self.head.weight = self.embed.weight

    def forward(self, x):
        h = self.embed(x)
        return self.head(h + self.fc2(self.norm(self.fc1(h)).relu()))


class Run:
    """A model in training; `step` is one whole step."""

    def __init__(self, rule):
        tl.manual_seed(0)
        self.model = Net().double()
        self.optimizer = rule(self.model.parameters())
        self.x, self.y = tl.randint(0, 11, (2, 30))
        self.kept = []

    def backward(self):
        nn.functional.cross_entropy(self.model(self.x), self.y).backward()

    def step(self):
        self.optimizer.zero_grad()
        self.backward()
        self.optimizer.step()

    def flat(self):
        """The number of parameters that lie in one array."""
        sides = self.optimizer._sides.values()
        return sum(len(s.flat.pieces) for s in sides if s.flat is not None)

    def numbers(self):
        """Everything that training has changed."""
        found = {f"p.{k}": p.detach().numpy().copy() for k, p in self.model.named_parameters()}
        for n, state in self.optimizer.state_dict()["state"].items():
            found |= {f"{n}.{k}": np.array(v.numpy() if isinstance(v, tl.Tensor) else v) for k, v in state.items()}
        for i, kept in enumerate(self.kept):
            found[f"kept.{i}"] = np.array(kept.detach().numpy() if isinstance(kept, tl.Tensor) else kept)
        return found


def zero_in_place(run):
    run.optimizer.zero_grad(set_to_none=False)
    run.backward()
    run.optimizer.step()


def accumulate(run):
    run.optimizer.zero_grad()
    run.backward()
    run.backward()
    run.optimizer.step()


def other_data(run):
    run.model.fc1.weight.data = tl.ones(80, 16, dtype=tl.float64) / 7


def other_grad(run):
    run.optimizer.zero_grad()
    run.backward()
    run.model.fc1.weight.grad = tl.ones(80, 16, dtype=tl.float64)
    run.optimizer.step()


def no_grad_for_one(run):
    run.optimizer.zero_grad()
    run.backward()
    run.model.fc2.bias.grad = None
    run.optimizer.step()


def freeze(run):
    run.model.fc1.requires_grad_(False)


def unfreeze(run):
    run.model.fc1.requires_grad_(True)


def new_group(run):
    run.kept.append(extra := nn.Parameter(tl.ones(3, dtype=tl.float64)))
    extra.grad = tl.tensor([1.0, 2.0, 3.0], dtype=tl.float64)
    run.optimizer.add_param_group({"params": [extra, nn.Parameter(tl.zeros(2))], "lr": 0.02})


def take_one_away(run):
    params = run.optimizer.param_groups[0]["params"]
    run.kept.append(params.pop(1))
    run.optimizer.state.pop(run.kept[-1])


def another_rate(run):
    run.optimizer.param_groups[0]["lr"] = 0.003


def rate_as_tensor(run):
    run.optimizer.param_groups[0]["lr"] = tl.tensor(0.004, dtype=tl.float64)


def copied(run):
    run.kept.append(run.model.fc1.weight)
    run.model, run.optimizer = copy.deepcopy((run.model, run.optimizer))


def loaded(run):
    saved = copy.deepcopy(run.optimizer.state_dict())
    run.step()
    run.optimizer.load_state_dict(saved)


def loaded_model(run):
    saved = {k: v + 0.01 for k, v in run.model.state_dict().items()}
    run.model.load_state_dict(saved)


def assigned_model(run):
    run.model.load_state_dict({k: v + 0.01 for k, v in run.model.state_dict().items()}, assign=True)
    run.optimizer.param_groups[0]["params"] = list(run.model.parameters())
    run.optimizer.state.clear()


def other_state(run):
    for state in list(run.optimizer.state.values())[:2]:
        for k, v in state.items():
            state[k] = v * 0.5 if isinstance(v, tl.Tensor) else v


def other_count(run):
    state = run.optimizer.state[run.model.fc2.bias]
    if "step" in state:
        state["step"] += 3


def state_gone(run):
    run.optimizer.state.clear()


def hold_values(run):
    w = run.model.fc1.weight
    run.kept += [
        w.detach(),
        w.data,
        w.detach().view(-1),
        w.detach().numpy(),
        w.detach().numpy()[2:4, ::2],
        w.detach().T,
    ]


def hold_gradients(run):
    w, b = run.model.fc1.weight, run.model.fc1.bias
    run.kept += [w.grad, w.grad.numpy(), b.grad.view(-1), b.grad.numpy()[3:]] if w.grad is not None else []


def hold_state(run):
    state = run.optimizer.state[run.model.norm.weight]
    run.kept += [v.numpy() for v in state.values() if isinstance(v, tl.Tensor)]


def change_held(run):
    for kept in run.kept[-2:]:
        kept *= 1.5


def hooked(run):
    run.model.fc1.weight.register_hook(lambda g: g * 0.5)
    run.model.norm.weight.register_hook(run.kept.append)


def clipped(run):
    run.optimizer.zero_grad()
    run.backward()
    nn.utils.clip_grad_norm_(run.model.parameters(), 0.1)
    run.optimizer.step()


def in_place(run):
    with tl.no_grad():
        run.model.fc1.weight.mul_(0.9)


def retained(run):
    run.optimizer.zero_grad()
    loss = nn.functional.cross_entropy(run.model(run.x), run.y)
    loss.backward(retain_graph=True)
    loss.backward()
    run.optimizer.step()
    run.kept.append(loss.detach())


def grad_function(run):
    loss = nn.functional.cross_entropy(run.model(run.x), run.y)
    run.kept += tl.autograd.grad(loss, list(run.model.parameters()))


def higher_order(run):
    run.optimizer.zero_grad()
    loss = nn.functional.cross_entropy(run.model(run.x), run.y)
    grads = tl.autograd.grad(loss, list(run.model.parameters()), create_graph=True)
    (loss + sum((g * g).sum() for g in grads)).backward()
    run.optimizer.step()


def step(run):
    run.step()


PROGRAMS = [
    [zero_in_place, step, zero_in_place, step],
    [accumulate, step, accumulate, accumulate],
    [step, other_data, step, step, other_data, step],
    [other_grad, step, other_grad, step, step],
    [no_grad_for_one, step, step, no_grad_for_one, step],
    [step, freeze, step, step, step, unfreeze, step, step],
    [freeze, step, step, unfreeze, step, step, step, step],
    [step, new_group, step, step, step],
    [step, take_one_away, step, step],
    [step, another_rate, step, rate_as_tensor, step, step],
    [step, copied, step, step, step],
    [step, loaded, step, step, loaded, step],
    [step, loaded_model, step, assigned_model, step, step],
    [step, other_state, step, other_count, step, step, state_gone, step, step],
    [hold_values, step, step, change_held, step, step],
    [step, hold_values, step, change_held, step, hold_values, step, step],
    [step, hold_gradients, step, hold_gradients, step, change_held, step, hold_gradients, step],
    [step, hold_state, step, step, hold_state, step],
    [step, hooked, step, step, step],
    [step, clipped, step, in_place, step, clipped],
    [step, retained, step, grad_function, step, retained, step],
    [step, higher_order, step, higher_order, step],
]


def both(rule, program, monkeypatch):
    """The program run with all parameters in one array, and one by one."""
    for run in (together := Run(rule), None):
        if run is None:
            monkeypatch.setattr(Optimizer, "_step_group", lambda self, group, options, name: self._step_each(
                group["params"], options, name))  # fmt: skip
            run = alone = Run(rule)
        for act in program:
            act(run)
            yield run
    assert not alone.flat()
    found, wanted = together.numbers(), alone.numbers()
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert np.allclose(found[name], value, rtol=1e-9, atol=1e-12), name


@pytest.mark.parametrize("name", RULES)
def test_every_rule_gives_the_same(name, monkeypatch):
    seen = [run.flat() for run in both(RULES[name], [step] * 6, monkeypatch)]
    assert seen == [8] * 6 + [0] * 6


@pytest.mark.parametrize("rule", ["SGD momentum", "AdamW", "RMSprop"])
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: "-".join(act.__name__ for act in p))
def test_every_program_gives_the_same(rule, program, monkeypatch):
    list(both(RULES[rule], program, monkeypatch))


def test_programs_come_back_to_one_array():
    run = Run(RULES["AdamW"])
    for act in (step, freeze, step, step):
        act(run)
    assert run.flat() == 6
    assert all(s.flat.ready(run.optimizer) for s in run.optimizer._sides.values())


def test_what_somebody_holds_is_not_moved():
    run = Run(RULES["SGD momentum"])
    held = run.model.fc1.weight.detach().numpy()[1:3]
    for _ in range(5):
        run.step()
    assert run.flat() == 7 and np.array_equal(held, run.model.fc1.weight.detach().numpy()[1:3])


def test_a_user_s_memory_is_not_left():
    mine = [np.ones((3, 4)), np.ones(3)]
    params = [nn.Parameter(tl.from_numpy(a)) for a in mine]
    optimizer = tl.optim.SGD(params, lr=0.1, momentum=0.9)
    for _ in range(4):
        optimizer.zero_grad()
        sum((p * p).sum() for p in params).backward()
        optimizer.step()
    assert all(np.array_equal(a, p.detach().numpy()) and a.max() < 1 for a, p in zip(mine, params, strict=True))


def test_large_parameters_stay_where_they_are():
    params = [nn.Parameter(tl.ones(1 << 20)), nn.Parameter(tl.ones(4)), nn.Parameter(tl.ones(5))]
    optimizer, place = tl.optim.SGD(params, lr=0.1), params[0].array
    sum(p.sum() for p in params).backward()
    optimizer.step()
    (side,) = optimizer._sides.values()
    assert params[0].array is place and len(side.flat.pieces) == 2 and side.flat.rest[0] is params[0]


def test_a_rule_of_a_user_is_asked_for_each_parameter():
    class Lars(tl.optim.SGD):
        """Its step depends on the norm of a whole parameter."""

        def update(self, device, p, g, state, group):
            super().update(device, p, g / abs(g).max(), state, group)

    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    optimizer, before = Lars(model.parameters(), lr=0.5), [p.detach().clone() for p in model.parameters()]
    for _ in range(3):
        optimizer.zero_grad()
        sum((p * p).sum() for p in model.parameters()).backward()
        optimizer.step()
    assert not optimizer._sides and all((p != b).any() for p, b in zip(model.parameters(), before, strict=True))


def test_views_of_a_piece_hold_it():
    from tensorlite.backend import Device

    whole, pieces = Device("cpu").backend.pieces([(2, 3), (), (4,)], np.dtype("float32"))
    assert whole.size == 11 and [p.shape for p in pieces] == [(2, 3), (), (4,)]
    for p in pieces:
        p[...] = 1
        assert p.reshape(-1)[:1].base is p and p.T.base is p
    assert whole.all()


def test_saved_models_are_as_large_as_before(tmp_path):
    run = Run(RULES["AdamW"])
    tl.save([run.model.state_dict(), run.optimizer.state_dict()], tmp_path / "before")
    before = (tmp_path / "before").stat().st_size
    run.step(), run.step()
    tl.save(run.model.state_dict(), tmp_path / "model")
    assert (tmp_path / "model").stat().st_size < before + 500
    found = tl.load(tmp_path / "model")
    assert all((found[k] == v).all() for k, v in run.model.state_dict().items())


def test_nothing_is_moved_where_references_are_not_counted():
    program = """
import sys
del sys.getrefcount
import tensorlite as tl
p = [tl.nn.Parameter(tl.ones(3)), tl.nn.Parameter(tl.ones(4))]
optimizer = tl.optim.SGD(p, lr=0.1)
for _ in range(3):
    optimizer.zero_grad()
    sum(x.sum() for x in p).backward()
    optimizer.step()
print([side.flat for side in optimizer._sides.values()], round(p[0][0].item(), 4))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[None]", "0.7"]
