"""What all tests share: the argument `device` (CPU and the strict stand-in; a GPU by `--device cuda`) and the seed."""

import contextlib
import os
import re

import pytest
from standin_backend import register_fake

import tensorlite as tl

register_fake()


def pytest_addoption(parser):
    parser.addoption(
        "--device",
        default=os.environ.get("TENSORLITE_TEST_DEVICE", "cpu,fake"),
        help="devices that tests with an argument `device` run on, by commas: cpu, fake (the strict stand-in), cuda",
    )


def pytest_configure(config):
    """Division by zero gives inf without a word, as in tensorlite (pytest drops filters that an import sets)."""
    for module in (r"tensorlite\.", "standin"):
        config.addinivalue_line("filterwarnings", f"ignore::RuntimeWarning:{module}")


def pytest_generate_tests(metafunc):
    """A test (or a fixture of it) with an argument `device` runs once on each; it gets the name, "cpu" or "fake"."""
    marks = metafunc.definition.iter_markers("parametrize")
    own = any("device" in re.findall(r"\w+", str(mark.args[:1] or mark.kwargs)) for mark in marks)
    if "device" in metafunc.fixturenames and not own:
        metafunc.parametrize("device", metafunc.config.getoption("--device").split(","))


@pytest.fixture(autouse=True)
def _surroundings(request):
    """Each test starts from the same random state, and its `device` is the default device while it runs."""
    tl.manual_seed(0)
    name = getattr(request.node, "callspec", None) and request.node.callspec.params.get("device")
    with tl.device(name) if isinstance(name, str) else contextlib.nullcontext():
        yield
