"""The kernels of OpenBLAS that suit the processor, and its threads."""

import os
import subprocess
import sys

import numpy as np
import pytest

from tensorlite.backend import blas

INFO = "processor\t: 0\nvendor_id\t: {}\ncpu family\t: {}\nmodel\t\t: {}\nmodel name\t: some\n"
PROCESSORS = [  # vendor, family, model, the kernels that suit it better than OpenBLAS' choice
    ("AuthenticAMD", 25, 0x11, "Haswell"),  # Genoa: Zen 4
    ("AuthenticAMD", 25, 0x61, "Haswell"),  # Raphael
    ("AuthenticAMD", 25, 0xA0, "Haswell"),  # Bergamo
    ("AuthenticAMD", 25, 0x01, None),  # Milan: Zen 3
    ("AuthenticAMD", 25, 0x50, None),  # Cezanne: Zen 3
    ("AuthenticAMD", 26, 0x11, None),  # Zen 5 works on 512 bits
    ("AuthenticAMD", 23, 0x11, None),
    ("GenuineIntel", 25, 0x11, None),
    ("GenuineIntel", 6, 0x8F, None),
]
PROGRAM = """
import threading
import numpy as np
from tensorlite.backend import blas
blas.suited = lambda text: "Haswell"  # as if on Zen 4
if {busy}:
    threading.Thread(target=threading.Event().wait, daemon=True).start()
before = blas.kernels()
a, b = np.random.default_rng(0).random((2, 200, 200), np.float32)
first = a @ b
blas.suit()
second = a @ b
print(before, blas.kernels(), np.abs(first - second).max() < 1e-3, np.allclose(second, a.astype(float) @ b, rtol=1e-5))
"""


@pytest.mark.parametrize("vendor, family, model, kernels", PROCESSORS)
def test_the_kernels_that_suit_a_processor(vendor, family, model, kernels):
    assert blas.suited(INFO.format(vendor, family, model)) == kernels


@pytest.mark.parametrize("text", ["", "nonsense", "vendor_id\t: AuthenticAMD\ncpu family\t: 25\n"])
def test_a_processor_that_is_not_described_keeps_what_it_has(text):
    assert blas.suited(text) is None


@pytest.mark.skipif(not os.path.exists("/proc/cpuinfo"), reason="no description of the processor here")
@pytest.mark.parametrize("said, busy", [(None, False), (None, True), ("SkylakeX", False), ("Haswell", False)])
def test_openblas_chooses_again_unless_told_or_busy(said, busy):
    environment = {k: v for k, v in os.environ.items() if k != blas.CORE} | ({blas.CORE: said} if said else {})
    program = [sys.executable, "-c", PROGRAM.format(busy=busy)]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, check=True)
    before, after, same, right = (done.stdout.split() + ["", ""])[:4] if blas.kernels() else ("", "", "True", "True")
    assert (same, right) == ("True", "True")
    assert after == ("Haswell" if before == "SkylakeX" and not said and not busy else before)


def test_the_environment_is_left_as_it_was():
    before = dict(os.environ)
    blas.suit()
    assert dict(os.environ) == before


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("size", [0, 1, 7, 1000, 1024, 5000])
@pytest.mark.parametrize("readonly", [False, True])
@pytest.mark.parametrize("there", [True, False])
def test_sums_of_two_vectors(kind, size, readonly, there, monkeypatch):
    if not there:
        monkeypatch.setattr(blas, "_axpby", lambda kind: None)
    x, y = np.random.default_rng(0).standard_normal((2, size)).astype(kind)
    x.flags.writeable = not readonly
    wanted = 0.25 * x.astype(float) - 1.5 * y.astype(float)
    blas.axpby(0.25, x, -1.5, y)
    assert y.dtype == kind and np.allclose(y, wanted, atol=1e-6 if kind is np.float32 else 1e-15)
