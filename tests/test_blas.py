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
