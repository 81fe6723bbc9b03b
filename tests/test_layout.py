"""Holds the shape of the house: which room may import which, who imports numpy, and what a checkout must look like.

`violations(root)` reads the sources below any folder laid out like the checkout, so that the last tests can plant a
fault in a copy and see it found.
"""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {"tensorlite": "tensorlite", "nn": "tensorlite.nn", "models": "tensorlite.models"}  # folder: its import name
MOST_LINES = 450

# The rooms, lowest first: a module imports from its own room and from earlier lines, never from later ones.
# Rooms on one line are siblings: they may import one another, but not in a circle.
FLOORS = [
    ["errors"],
    ["backend"],
    ["tensor", "holders"],
    ["modes", "tree"],
    ["op"],
    ["elementwise"],
    ["hooks"],
    ["autograd"],
    ["ops"],
    ["inplace"],
    ["methods", "interop"],
    [
        "accelerator",
        "amp",
        "anomaly",
        "backends",
        "compat",
        "creation",
        "cuda",
        "data",
        "distributed",
        "distributions",
        "fillers",
        "func",
        "function",
    ]
    + [
        "gradcheck",
        "graph",
        "linalg",
        "mps",
        "optim",
        "profiler",
        "random",
        "saved",
        "serialization",
        "special",
        "utils",
        "version",
        "viz",
        "windows",
    ],
    ["explainer"],
    ["nn"],
    ["models"],
    ["cli", "__main__"],
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
FRONT_DOOR = "__init__"  # tensorlite/__init__.py: imports everything; only the top floor imports it

ARRAY_LIBRARIES = {"numpy", "cupy", "cupyx", "cupy_backends", "numba", "ml_dtypes"}
ARRAY_LIBRARY_EXCEPTIONS = {  # (file, library): why
    ("tensorlite/serialization/reader.py", "numpy"): "the .npy file format is NumPy's own",
    ("tensorlite/serialization/writer.py", "numpy"): "the .npy file format is NumPy's own",
}


# ---- the checker -----------------------------------------------------------------------------------------------------


def sources(root):
    """Module name -> file, of every module below tensorlite/, nn/ and models/ (links are not followed)."""
    found = {}
    for folder, package in PACKAGES.items():
        for here, below, files in os.walk(root / folder):
            below[:] = [name for name in below if name != "__pycache__"]
            inner = Path(here).relative_to(root / folder).parts
            for name in sorted(name for name in files if name.endswith(".py")):
                stem = () if name == "__init__.py" else (name.removesuffix(".py"),)
                found[".".join((package, *inner, *stem))] = Path(here, name)
    return found


def imported_names(module, path):
    """(line, dotted name) of all that a file imports, wherever in the file; `from a import b` gives `a.b`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:  # relative: climb from the package that the file is in
                package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
                base = ".".join(package[: len(package) - node.level + 1] + ([base] if base else []))
            for alias in node.names:
                yield node.lineno, f"{base}.{alias.name}"
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                yield node.lineno, node.args[0].value


def room_of(module):
    """'tensorlite.nn.linear' -> 'nn'; tensorlite itself -> the front door."""
    return module.split(".")[1] if "." in module else FRONT_DOOR


def circle(edges):
    """One circle in a graph {room: {rooms it imports}}, as a list of rooms that ends where it begins; or []."""

    def walk(path):
        for target in sorted(edges.get(path[-1], ())):
            if target in path:
                return [*path[path.index(target) :], target]
            if found := walk([*path, target]):
                return found
        return []

    return next(filter(None, (walk([room]) for room in sorted(edges))), [])


def arrow_violations(root):
    """Every import below root that goes up, round in a circle, to a bare `nn`, or to an array library, as text."""
    modules = sources(root)
    rooms = {room_of(module) for module in modules}
    siblings, faults = {}, []
    for module, path in modules.items():
        room, file = room_of(module), path.relative_to(root).as_posix()
        if room != FRONT_DOOR and room not in FLOOR:
            faults.append(f"{file}: '{room}' has no place in FLOORS of tests/test_layout.py")
            continue
        for line, name in imported_names(module, path):
            where, top = f"{file}:{line}", name.split(".")[0]
            if top in ("nn", "models"):
                faults.append(f"{where}: `{name}` is imported as tensorlite.{name}")
            elif top in ARRAY_LIBRARIES and room != "backend" and (file, top) not in ARRAY_LIBRARY_EXCEPTIONS:
                faults.append(f"{where}: only tensorlite/backend imports {top}")
            elif top == "tensorlite" and room != FRONT_DOOR:
                target = room_of(name) if room_of(name) in rooms else FRONT_DOOR  # tensorlite.Tensor: the front door
                if FLOOR.get(target, len(FLOORS) - 1) > FLOOR[room]:
                    faults.append(f"{where}: {room} is below {target.replace(FRONT_DOOR, 'tensorlite itself')}")
                elif FLOOR.get(target) == FLOOR[room] and target != room:
                    siblings.setdefault(room, set()).add(target)
    if found := circle(siblings):
        faults.append(f"siblings import one another in a circle: {' -> '.join(found)}")
    return faults


def file_violations(files, root):
    """Python files without a docstring at their head, or with too many lines."""
    for path in files:
        text, file = path.read_text(encoding="utf-8"), path.relative_to(root).as_posix()
        if ast.get_docstring(ast.parse(text)) is None:
            yield f"{file}: does not start with a docstring that says what lives here"
        if (lines := len(text.splitlines())) > MOST_LINES:
            yield f"{file}: {lines} lines, and {MOST_LINES} is the most"


def package_violations(root):
    """Where `packages` and the dev lists in pyproject.toml differ from the folders and from each other."""
    config = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    listed = config["tool"]["setuptools"]["packages"]
    folders = {m if p.name == "__init__.py" else m.rpartition(".")[0] for m, p in sources(root).items()}
    for package in sorted(folders.symmetric_difference(listed)):
        fault = "has no modules" if package in listed else "is not listed"
        yield f"pyproject.toml, packages: {package} {fault}"
    if config["tool"]["setuptools"]["package-dir"] != {package: folder for folder, package in PACKAGES.items()}:
        yield "pyproject.toml: package-dir does not map tensorlite.nn to nn and tensorlite.models to models"
    if config["dependency-groups"]["dev"] != config["project"]["optional-dependencies"]["dev"]:
        yield "pyproject.toml: the extra dev and the dependency group dev differ"


# What a public file never holds: an absolute path of somebody's machine, or a package registry's host name.
LOCAL = re.compile(
    r"(?<![\w.~$})-])/(?:work|tmp|root|home/\w+|Users/\w+)/|" + "|".join(["pypi" + r"\.org", "python" + "hosted"])
)


def text_violations(files, root):
    """Lines of text files that name a path of one machine or a registry's host."""
    for path in files:
        data = path.read_bytes()
        if b"\0" in data:
            continue
        for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
            if found := LOCAL.search(line):
                yield f"{path.relative_to(root).as_posix()}:{number}: {found.group()}"


def tracked_files(root):
    """The files git knows or would add; skips the test where there is no git."""
    if not (root / ".git").exists() or not shutil.which("git"):
        pytest.skip("not a git checkout")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=root, capture_output=True, check=True, text=True).stdout.split("\0")
    return [path for name in names if name and (path := root / name).is_file() and not path.is_symlink()]


def python_files(root):
    """Every Python file of the checkout, tests, examples and benchmarks included."""
    folders = [*PACKAGES, "tests", "benchmarks", "examples"]
    return [*root.glob("*.py"), *chain.from_iterable(sorted((root / name).rglob("*.py")) for name in folders)]


def report(faults):
    faults = list(faults)
    assert not faults, "\n" + "\n".join(faults)


def python(*arguments, cwd=ROOT):
    return subprocess.run([sys.executable, *arguments], cwd=cwd, capture_output=True, text=True)


# ---- the checkout ----------------------------------------------------------------------------------------------------


def test_arrows_point_down():
    report(arrow_violations(ROOT))


def test_every_exception_is_needed():
    imports = {
        (path.relative_to(ROOT).as_posix(), name.split(".")[0])
        for module, path in sources(ROOT).items()
        for _, name in imported_names(module, path)
    }
    report(
        f"{file} does not import {name}: drop the exception" for file, name in ARRAY_LIBRARY_EXCEPTIONS.keys() - imports
    )


def test_files_have_a_docstring_and_an_end():
    report(file_violations(python_files(ROOT), ROOT))


def test_packages_are_the_folders():
    report(package_violations(ROOT))


def test_text_names_no_machine():
    report(text_violations(tracked_files(ROOT), ROOT))


@pytest.mark.parametrize("name", ["nn", "models"])
def test_links(name):
    link = ROOT / "tensorlite" / name
    if not link.is_symlink():
        if not (ROOT / ".git").exists():
            pytest.skip("not a git checkout")
        setting = subprocess.run(["git", "config", "core.symlinks"], cwd=ROOT, capture_output=True, text=True).stdout
        assert setting.strip() == "false", f"{link} must be a symbolic link to ../{name}"
        pytest.skip("core.symlinks=false")
    assert os.readlink(link).replace("\\", "/") == f"../{name}"


@pytest.mark.parametrize("name", ["nn", "models"])
def test_plain_import_is_refused(name):
    done = python("-c", f"import {name}")
    assert done.returncode == 1
    assert f"write `import tensorlite.{name}" in done.stderr and "every class twice" in done.stderr


def test_import_is_quiet_and_lazy():
    late = ["cupy", "numba", "graphviz", "torch", "tensorlite.models", "tensorlite.graph", "tensorlite.cli"]
    done = python("-c", f"import sys, tensorlite; sys.exit(' '.join(sorted(set({late}) & set(sys.modules))))")
    assert done.stdout == ""
    assert done.stderr.strip() == "", "imported or said by `import tensorlite`"


# ---- the checker itself: plant a fault, see it found -----------------------------------------------------------------

HEALTHY = {
    "tensorlite/__init__.py": "from tensorlite.autograd import Tensor\nfrom tensorlite import nn, optim\n",
    "tensorlite/errors.py": "import math\n",
    "tensorlite/backend/__init__.py": "import numpy as np\nfrom ..errors import DeviceError\n",
    "tensorlite/autograd.py": "from tensorlite import backend, errors\n",
    "tensorlite/ops/__init__.py": "from tensorlite.ops.reduce import Sum\n",
    "tensorlite/ops/reduce.py": "from tensorlite.autograd import Op\n",
    "tensorlite/methods.py": "import tensorlite.ops.reduce as r\n",
    "tensorlite/creation.py": "from tensorlite.random import rand\n",
    "tensorlite/random.py": "from tensorlite.methods import Tensor\n",
    "tensorlite/optim/__init__.py": "from .sgd import SGD\n",
    "tensorlite/optim/sgd.py": "from tensorlite.creation import zeros\n",
    "nn/__init__.py": "from tensorlite.nn.linear import Linear\n",
    "nn/linear.py": "from ..creation import rand\nfrom . import linear\n",
    "models/__init__.py": "from tensorlite.nn import Linear\n",
    "tensorlite/cli/__init__.py": "import tensorlite as tl\nfrom tensorlite import Tensor\n",
}


def plant(root, files):
    for file, text in {**HEALTHY, **files}.items():
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text('"""Planted."""\n' + text, encoding="utf-8")


def test_a_healthy_house_passes(tmp_path):
    plant(tmp_path, {})
    assert arrow_violations(tmp_path) == []
    assert list(file_violations(python_files(tmp_path), tmp_path)) == []


FAULTS = {
    "absolute": ("tensorlite/autograd.py", "from tensorlite.ops.reduce import Sum", "autograd is below ops"),
    "submodule": ("tensorlite/autograd.py", "from tensorlite import nn", "autograd is below nn"),
    "plain": ("tensorlite/errors.py", "import tensorlite.backend", "errors is below backend"),
    "relative": ("tensorlite/ops/reduce.py", "from ..methods import Tensor", "ops is below methods"),
    "relative, in nn": ("nn/linear.py", "from .. import models", "nn is below models"),
    "in a function": ("tensorlite/methods.py", "def f():\n    import tensorlite.optim", "methods is below optim"),
    "by name": ("tensorlite/methods.py", "importlib.import_module('tensorlite.nn')", "methods is below nn"),
    "inplace is above ops": ("tensorlite/inplace.py", "from .methods import Tensor", "inplace is below methods"),
    "front door": ("models/gpt.py", "import tensorlite as tl", "models is below tensorlite itself"),
    "front door, a name": ("nn/linear.py", "from tensorlite import Tensor", "nn is below tensorlite itself"),
    "bare nn": ("models/gpt.py", "from nn.linear import Linear", "`nn.linear.Linear` is imported as tensorlite.nn"),
    "numpy": ("nn/linear.py", "def f():\n    import numpy.linalg", "only tensorlite/backend imports numpy"),
    "cupy": ("tensorlite/autograd.py", "from cupy import ndarray", "only tensorlite/backend imports cupy"),
    "circle": ("tensorlite/random.py", "from tensorlite.optim import SGD", "creation -> random -> optim -> creation"),
    "no room": ("tensorlite/attic.py", "import math", "'attic' has no place"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_imports_are_found(tmp_path, fault):
    file, text, expected = FAULTS[fault]
    plant(tmp_path, {file: text + "\n"})
    (found,) = arrow_violations(tmp_path)
    assert expected in found


def test_planted_files_are_found(tmp_path):
    plant(tmp_path, {"nn/long.py": "pass\n" * MOST_LINES})
    (tmp_path / "nn/bare.py").write_text("import math\n", encoding="utf-8")
    text = "see /" + "tmp/x, a/tmp/x, https://x.org/" + "work/ and https://pypi." + "org/p\n"
    (tmp_path / "notes.md").write_text(text + "fine\n", encoding="utf-8")
    found = list(file_violations(python_files(tmp_path), tmp_path))
    assert [line.split(",")[0] for line in found] == [
        "nn/bare.py: does not start with a docstring that says what lives here",
        "nn/long.py: 451 lines",
    ]
    assert len(list(text_violations([tmp_path / "notes.md"], tmp_path))) == 1


def test_planted_packages_are_found(tmp_path):
    plant(tmp_path, {"nn/attention/flash.py": ""})
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    assert "pyproject.toml, packages: tensorlite.nn.attention is not listed" in list(package_violations(tmp_path))
