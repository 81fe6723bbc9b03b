"""The files that are generated are fresh, and what they are made of is complete: stubs, docs/operators.md, signatures, help."""

import inspect
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tensorlite as tl
from tensorlite.methods import IN_PLACE, METHODS

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ("make_stubs", "make_operators", "make_performance")


@pytest.mark.parametrize("script", SCRIPTS)
def test_fresh(script):
    for file, make in runpy.run_path(str(ROOT / "docs" / f"{script}.py"))["FILES"].items():
        assert (ROOT / file).read_text(encoding="utf-8") == make(), f"{file} is stale: run python3 dev.py docs"


def _public_functions():
    names = [n for n in dir(tl) if not n.startswith("_")]
    return {n: getattr(tl, n) for n in names if inspect.isroutine(getattr(tl, n))}


def test_every_public_function_has_help_and_a_signature():
    for name, function in _public_functions().items():
        assert (function.__doc__ or "").strip(), f"tl.{name} says nothing to help()"
        inspect.signature(function)


def test_every_method_has_help_and_a_signature():
    for name in dir(tl.Tensor):
        value = inspect.getattr_static(tl.Tensor, name)
        if name.startswith("_") or not callable(value):
            continue
        assert (value.__doc__ or "").strip(), f"Tensor.{name} says nothing to help()"
        assert "self" in inspect.signature(value).parameters or list(inspect.signature(value).parameters)


def test_in_place_methods_show_the_arguments_of_the_method_they_are_of():
    for name in IN_PLACE.split():
        assert str(inspect.signature(getattr(tl.Tensor, name + "_"))) == str(
            inspect.signature(getattr(tl.Tensor, name))
        )


def test_the_table_of_methods_names_each_once():
    names = [n for row in METHODS.values() for n in row.split()]
    assert sorted(set(names)) == sorted(names)


USER = """
import numpy as np

import tensorlite as tl
from tensorlite import nn, optim
from tensorlite.nn import functional as F


class Net(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(4, width)
        self.second = nn.Linear(width, 3)

    def forward(self, x: tl.Tensor) -> tl.Tensor:
        return self.second(F.relu(self.first(x)))


tl.manual_seed(0)
device = tl.device("cpu")
x = tl.randn(8, 4, device=device, dtype=tl.float32)
y = tl.tensor([0, 1, 2, 0, 1, 2, 0, 1])
net = Net(16).to(device)
opt = optim.AdamW(net.parameters(), lr=1e-2)
for step in range(3):
    opt.zero_grad()
    loss = F.cross_entropy(net(x), y)
    loss.backward()
    opt.step()
    print(step, loss.item())
z = (x * 2 + 1).sum(dim=1, keepdim=True).exp().log()
w = tl.where(z > 0, z, 0.0).reshape(-1).unsqueeze(0)
values, indices = w.max(dim=1)
a, b = w.split(4, dim=1)
a += 1
print(tl.add(a, b, alpha=2).tolist(), indices.shape, a.numpy().mean(), float(w[0, 0]), tl.sin(w).mean().item())
print(tl.stack([a, b]).transpose(0, 2).float().long().numel(), tl.maximum(a, b), np.asarray(a), -a, 1 / a, a @ b.T)
(g,) = tl.autograd.grad((x.requires_grad_() ** 2).sum(), x)
with tl.no_grad():
    print(tl.cat((a, b), 1).softmax(-1).argmax(), x.size(0), x.shape[1], x.dim(), g.add_(1).mul_(2))
tl.save(net.state_dict(), "net.tl")
net.load_state_dict(tl.load("net.tl"))
"""


@pytest.fixture
def user_program(tmp_path):
    (tmp_path / "program.py").write_text(USER)
    return tmp_path


def test_the_sample_program_runs(user_program):
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); exec(open('program.py').read())"
    done = subprocess.run([sys.executable, "-c", code], cwd=user_program, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_pyright_is_content_with_a_program_and_finds_a_typo(user_program):
    pyright = shutil.which("pyright", path=str(Path(sys.executable).parent)) or shutil.which("pyright")
    if pyright is None:
        pytest.skip("pyright is not installed")
    settings = (
        f'{{"include": ["."], "extraPaths": ["{ROOT}"], "pythonVersion": "3.11", "typeCheckingMode": "standard"}}'
    )
    (user_program / "pyrightconfig.json").write_text(settings)
    command = [pyright, "-p", ".", "--pythonpath", sys.executable]
    done = subprocess.run(command, cwd=user_program, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout
    (user_program / "program.py").write_text(USER.replace("x.dim()", "x.dimm()"))
    done = subprocess.run(command, cwd=user_program, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1 and "dimm" in done.stdout
