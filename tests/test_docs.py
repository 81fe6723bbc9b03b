"""The examples in docstrings and in the README run, and say what they show."""

import doctest
import importlib
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tensorlite

ROOT = Path(__file__).parent.parent


def modules():
    """All modules of the package, nn and models included, from the files themselves: pkgutil, asked for the packages
    of an editable install, also walks the folder it is started in."""
    files = [p.relative_to(ROOT) for room in ("tensorlite", "nn", "models") for p in (ROOT / room).rglob("*.py")]
    compiled = importlib.util.find_spec("numba") is not None  # the extra `fast`
    files = [p for p in files if p.name != "__main__.py" and (compiled or p.name != "fast_kernels.py")]
    names = {".".join(p.with_suffix("").parts).removesuffix(".__init__") for p in files}
    return sorted({n if n.split(".")[0] == "tensorlite" else f"tensorlite.{n}" for n in names})


@pytest.mark.parametrize("name", modules())
def test_docstring_examples(name):
    tensorlite.manual_seed(0)
    module = importlib.import_module(name)
    plain = {"bool": bool, "float": float, "int": int}  # as where a user writes them, not tl.float
    result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE, extraglobs=plain)
    assert result.failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder()
    found = [t for n in modules() for t in finder.find(importlib.import_module(n)) if t.examples]
    assert len(found) > 10


def blocks():
    return [
        b
        for b in re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
        if "import tensorlite" in b
    ]


@pytest.mark.parametrize("number", range(3))
def test_readme_programs_run(number, tmp_path):
    code = blocks()[number]
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}"
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    if number == 0:
        grad, nudged = re.match(r"tensor\(\[(.*?)\].*?\) tensor\((.*?)[,)]", done.stdout).groups()
        assert sum(float(v) for v in grad.split(",")) == pytest.approx(float(nudged), rel=2e-3)
        assert (tmp_path / "graph.svg").exists()
    elif number == 1:
        assert float(done.stdout.split("accuracy ")[1]) > 0.95
    else:
        said = re.findall(r"print\(.*# (\([\d, ]+\))", code)
        assert done.stdout.split("\n")[:-1] == said and len(said) == 3


def test_readme_names_both_commands_and_real_files():
    text = (ROOT / "README.md").read_text()
    assert "python3 dev.py train" in text and "python3 dev.py test" in text
    for path in re.findall(r"`((?:tensorlite|nn|models|tests|benchmarks)/[\w/.]*)`", text):
        assert (ROOT / path.replace("*", "")).exists(), path
    for path in re.findall(r"\]\(([\w/.]+)\)", text):
        assert (ROOT / path).exists(), path
