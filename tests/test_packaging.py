"""Builds what users install (wheel, source archive, editable install) and runs it away from the checkout. All slow.

Everything is made from a copy of the checkout, offline, with the setuptools that is installed here. Each program runs
with `-S`: the interpreter reads no .pth file, so it cannot find this checkout's own tensorlite by accident.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ["checkout", "source archive", "clone without links"]

pytestmark = pytest.mark.slow
pytest.importorskip("build")
pytest.importorskip("setuptools")


def run(*command, cwd, **variables):
    """The command's output; a failure shows all it said."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "PYTHON"))}
    done = subprocess.run(
        command, cwd=cwd, env={**environment, **variables}, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}"
    return done.stdout


def python(*arguments, cwd, first):
    """Run Python with the installed packages but without their .pth files; `first` is the folder searched first."""
    folders = [str(first), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    return run(sys.executable, "-S", *arguments, cwd=cwd, PYTHONPATH=os.pathsep.join(folders))


def build(kind, source, out):
    """Build a wheel or a source archive of a folder; returns the file."""
    run(sys.executable, "-m", "build", "--no-isolation", f"--{kind}", "--outdir", str(out), cwd=source)
    (file,) = out.iterdir()
    return file


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    """The three folders that people build from, by the names in SOURCES."""
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("not a git checkout")
    top = tmp_path_factory.mktemp("trees")
    trees = {"checkout": top / "checkout", "clone without links": top / "clone"}
    names = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT).split("\0")
    for name in filter(None, names):
        if os.path.lexists(ROOT / name):  # not a file that is deleted but still known to git
            (trees["checkout"] / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, trees["checkout"] / name, follow_symlinks=False)

    person = ("-c", "user.name=tensorlite", "-c", "user.email=tensorlite@localhost")
    run("git", "init", "-q", cwd=trees["checkout"])
    run("git", "add", "--all", cwd=trees["checkout"])
    run("git", *person, "commit", "-q", "--no-verify", "--no-gpg-sign", "-m", "a copy", cwd=trees["checkout"])
    run("git", "clone", "-q", "-c", "core.symlinks=false", "checkout", "clone", cwd=top)

    with tarfile.open(build("sdist", trees["checkout"], top / "sdist")) as archive:
        archive.extractall(top / "unpacked", filter="data")
    (trees["source archive"],) = (top / "unpacked").iterdir()
    return trees


@pytest.fixture(scope="module")
def wheels(trees, tmp_path_factory):
    """A wheel of each tree."""
    return {name: build("wheel", trees[name], tmp_path_factory.mktemp("wheel")) for name in SOURCES}


def modules(tree):
    """The files that must end up in a wheel, by their installed names."""
    for folder, package in [("tensorlite", "tensorlite"), ("nn", "tensorlite/nn"), ("models", "tensorlite/models")]:
        for here, _, files in os.walk(tree / folder):  # os.walk does not follow the two links
            for name in files:
                if name.endswith((".py", ".cu", "py.typed")):
                    yield f"{package}/{Path(here, name).relative_to(tree / folder).as_posix()}"


def check_runs(cwd, first, inside, prelude=""):
    """tensorlite, its nn and its models import from below `inside`, and the command line answers."""
    program = f"{prelude}\nimport tensorlite, tensorlite.nn, tensorlite.models, tensorlite.cli"
    program += "\nassert callable(tensorlite.cli.main)"
    program += "\nfor m in tensorlite, tensorlite.nn, tensorlite.models, tensorlite.cli: print(m.__file__)"
    places = python("-c", program, cwd=cwd, first=first).splitlines()
    assert len(places) == 4
    assert all(Path(inside).resolve() in Path(place).resolve().parents for place in places), places
    program = f"{prelude}\nimport runpy, sys; sys.argv[1:] = ['info']; runpy.run_module('tensorlite', {{}}, '__main__')"
    assert "tensorlite" in python("-c", program, cwd=cwd, first=first)


@pytest.mark.parametrize("source", SOURCES)
def test_wheel_holds_every_module_inside_tensorlite(trees, wheels, source):
    with zipfile.ZipFile(wheels[source]) as wheel:
        names = wheel.namelist()
        (entry_points,) = [wheel.read(name).decode() for name in names if name.endswith("/entry_points.txt")]
    held = {name for name in names if ".dist-info/" not in name}
    assert {name.split("/")[0] for name in held} == {"tensorlite"}
    assert set(modules(trees["checkout"])) - held == set(), "missing from the wheel"
    assert {name for name in held if name.endswith(".py")} <= set(modules(trees["checkout"])), "not of this checkout"
    assert "tensorlite = tensorlite.cli:main" in entry_points


@pytest.mark.parametrize("source", SOURCES)
def test_wheel_runs_away_from_the_checkout(wheels, source, tmp_path):
    target, elsewhere = tmp_path / "target", tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("nn", "models"):  # a user's own folders of these names stay the user's
        (elsewhere / f"{name}.py").write_text("mine = True\n", encoding="utf-8")
    install = ["install", "-q", "--no-deps", "--no-index", "--no-compile", "--target", str(target), str(wheels[source])]
    run(sys.executable, "-m", "pip", *install, cwd=elsewhere)
    check_runs(elsewhere, target, inside=target, prelude="import nn, models; assert nn.mine and models.mine")


@pytest.mark.parametrize("source", SOURCES)
def test_bare_checkout_runs(trees, source):
    check_runs(trees[source], trees[source], inside=trees[source])


@pytest.mark.parametrize("source", SOURCES)
def test_editable_install_runs(trees, source, tmp_path):
    site, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    elsewhere.mkdir()
    hook = "import sys, setuptools.build_meta as backend; backend.build_editable(sys.argv[1])"
    run(sys.executable, "-c", hook, str(tmp_path), cwd=trees[source])
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    prelude = f"import site; site.addsitedir({str(site)!r})"  # reads the .pth file there
    for cwd in (elsewhere, trees[source]):
        check_runs(cwd, site, inside=trees[source], prelude=prelude)
