"""Runs tensorlite from a bare checkout: makes .venv, installs into it once, runs the command. Standard library only.

python3 dev.py train [options]     train the example transformer (any option of `tensorlite train`)
python3 dev.py test [options]      run the tests on all cores (any option of pytest; paths from the checkout's root)
python3 dev.py lint                ruff check, ruff format --check
python3 dev.py bench [options]     run the benchmarks
python3 dev.py docs                write what is generated from the code: docs/operators.md, the stubs, the pictures
python3 dev.py generate | gradcheck | info | graph | ...     any other subcommand of tensorlite
"""

import hashlib
import importlib.util
import os
import signal
import subprocess
import sys

if sys.version_info < (3, 11):  # noqa: UP036 (pip is not there yet to say so)
    sys.exit("tensorlite needs Python 3.11 or newer, and this is Python {}.{}.".format(*sys.version_info[:2]))

ROOT = os.path.dirname(os.path.abspath(__file__))
VENV = os.path.join(ROOT, ".venv")
PYTHON = os.path.join(VENV, "Scripts", "python.exe") if os.name == "nt" else os.path.join(VENV, "bin", "python")
STAMP = os.path.join(VENV, "tensorlite-installed")  # what the last install was made from


def step(explanation, *command):
    """Run a command that must succeed, or stop with one sentence and the command's exit code."""
    code = subprocess.call(command)
    if code:
        print(f"dev.py: {explanation}", file=sys.stderr)
        sys.exit(code)


def install():
    """Make .venv if it is missing, and install tensorlite into it if pyproject.toml changed since the last time."""
    if not os.path.exists(PYTHON):
        need_venv = "Python cannot make virtual environments here: install its venv package (Debian: python3-venv)."
        if not all(map(importlib.util.find_spec, ("venv", "ensurepip"))):
            sys.exit(f"dev.py: {need_venv}")
        print(f"dev.py: making {VENV}", flush=True)
        step(need_venv, sys.executable, "-m", "venv", "--clear", VENV)
    with open(os.path.join(ROOT, "pyproject.toml"), "rb") as file:
        wanted = f"{hashlib.sha256(file.read()).hexdigest()} {ROOT}"  # an install points at the checkout's place
    if os.path.exists(STAMP):
        with open(STAMP, encoding="utf-8") as file:
            if file.read() == wanted:
                return
    print("dev.py: installing tensorlite and what it needs into .venv (once)", flush=True)
    no_pip = subprocess.call([PYTHON, "-m", "pip", "--version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if no_pip:  # a .venv made by uv, or by an interrupted run
        step("there is no pip in .venv: delete that folder and try again.", PYTHON, "-m", "ensurepip", "--upgrade")
    step("the installation failed: see above.", PYTHON, "-m", "pip", "install", "-q", "-e", f"{ROOT}[dev]")
    with open(STAMP, "w", encoding="utf-8") as file:
        file.write(wanted)


def hand_over(*command):
    """Become the command: its exit code is ours and Ctrl-C is its own. Windows cannot, so there we wait for it."""
    if os.name == "posix":
        os.execv(command[0], command)
    signal.signal(signal.SIGINT, lambda *_: None)  # not SIG_IGN, which the child would inherit
    sys.exit(subprocess.call(command))


def main(name="help", *options):
    if name in ("help", "-h", "--help"):
        print(__doc__)
        return
    install()
    if name in ("test", "lint", "bench", "docs"):  # about the checkout; the others work where the user is
        os.chdir(ROOT)
    if name == "test":
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the tests run side by side: one core each
        hand_over(PYTHON, "-m", "pytest", "-n", "auto", *options)
    elif name == "lint":
        checks = [["check"], ["format", "--check"]]
        sys.exit(max(subprocess.call([PYTHON, "-m", "ruff", *check, "."]) for check in checks))
    elif name == "docs":
        scripts = ("make_stubs", "make_operators", "make_performance", "make_images", "make_learn")
        sys.exit(max(subprocess.call([PYTHON, os.path.join("docs", f"{s}.py")]) for s in scripts))
    elif name == "bench":
        hand_over(PYTHON, "-m", "benchmarks", *options)
    else:
        hand_over(PYTHON, "-m", "tensorlite", name, *options)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)
