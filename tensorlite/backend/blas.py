"""The BLAS that NumPy loaded: its sums of two vectors, its number of threads, and the kernels that suit the processor."""

import contextlib
import ctypes
import functools
import glob
import os
import threading
from ctypes import byref

import numpy as np

SETTERS = ("scipy_openblas_set_num_threads64_", "scipy_openblas_set_num_threads", "openblas_set_num_threads64_",
           "openblas_set_num_threads", "MKL_Set_Num_Threads")  # fmt: skip
CORE = "OPENBLAS_CORETYPE"  # the environment variable by which OpenBLAS is told which kernels to use
WORTH_A_CALL = 1 << 10  # elements from which a call of the BLAS costs less than three of NumPy
KINDS = {
    "f": ("s", ctypes.c_float),
    "d": ("d", ctypes.c_double),
}  # dtype -> its letter in BLAS, the type of its numbers
ZEN_4 = [range(0x10, 0x20), range(0x60, 0x80), range(0xA0, 0xB0)]  # models of AMD's family 25


def set_num_threads(count: int) -> bool:
    """How many threads the BLAS may use from now on; False where that cannot be said (Apple's Accelerate)."""
    if setter := _setter():
        setter(count)
    return setter is not None


def axpby(alpha, x, beta, y) -> None:
    """y = alpha x + beta y in place; x, y: float32 or float64 arrays of one dtype, in order. (The name is BLAS': a x plus b y.)

    One pass over the memory, where NumPy needs three and a temporary.
    """
    add = _axpby(y.dtype.char) if y.size >= WORTH_A_CALL else None
    if add is None or not x.flags.writeable:
        np.multiply(y, beta, out=y)
        np.add(y, np.multiply(x, alpha), out=y)
    else:
        add(y.size, alpha, byref(_at(x)), 1, beta, byref(_at(y)), 1)


_at = ctypes.c_byte.from_buffer  # where an array lies, in a quarter of the time of array.ctypes.data


@functools.cache
def _axpby(kind):
    """The function of NumPy's BLAS for this dtype; None where there is none (it is no part of the standard)."""
    letter, number = KINDS[kind]
    names = {f"scipy_cblas_{letter}axpby64_": ctypes.c_int64, f"scipy_cblas_{letter}axpby": ctypes.c_int,
             f"cblas_{letter}axpby64_": ctypes.c_int64}  # fmt: skip
    for library in _libraries():
        for name, size in names.items():
            place = (ctypes.c_void_p, size)
            if add := _function(library, name, None, size, number, *place, number, *place):
                return add
    return None


@functools.cache
def _setter():
    for library in _libraries():
        for name in SETTERS:
            if setter := _function(library, name, None, ctypes.c_int):
                return setter
    return None


@functools.cache
def _libraries() -> list:
    """The shared libraries that may hold NumPy's BLAS, those in NumPy's own folder first."""
    folder = os.path.dirname(np.__file__)
    paths = glob.glob(os.path.join(folder + ".libs", "*blas*")) + glob.glob(os.path.join(folder, ".dylibs", "*blas*"))
    if not paths and os.path.exists("/proc/self/maps"):  # NumPy was built against a library of the system
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
            paths = sorted({line.split()[-1] for line in maps if "blas" in line or "mkl_rt" in line})
    found = []
    for path in paths:
        with contextlib.suppress(OSError):
            found.append(ctypes.CDLL(path))
    return found


def _function(library, name, result, *arguments):
    if not hasattr(library, name):
        return None
    function = getattr(library, name)
    function.restype, function.argtypes = result, list(arguments)
    return function


def kernels() -> str:
    """The processor for which the loaded OpenBLAS' kernels are written, such as 'Haswell'; '' for any other library."""
    for library in _libraries():
        if name := _function(library, "gotoblas_corename", ctypes.c_char_p):
            return name().decode()
    return ""


def suited(cpuinfo: str) -> str | None:
    """The kernels that suit the processor of this text of /proc/cpuinfo better than those OpenBLAS would take.

    Zen 4 knows AVX-512 but works on 256 bits at a time, so that the wide kernels gain nothing, and they cut matrices less
    well for it: the AVX2 kernels multiply large float32 matrices 3 to 7 % faster, 64 rows by a weight (784, 256) 28 %,
    and batches of 64 x 64 25 % (OpenBLAS 0.3.31); single matrices of 16 to 64 are 15 to 20 % slower.
    """
    facts = dict(line.replace("\t", "").split(": ", 1) for line in cpuinfo.splitlines() if ": " in line)
    if facts.get("vendor_id") != "AuthenticAMD" or facts.get("cpu family") != "25":
        return None
    model = facts.get("model", "")
    return "Haswell" if model.isdecimal() and any(int(model) in models for models in ZEN_4) else None


def suit() -> None:
    """Give OpenBLAS the kernels that suit the processor, for the whole process; nothing where OPENBLAS_CORETYPE is set.

    OpenBLAS chooses when it is loaded, mostly before us; its own functions let it choose again. They may not run beside a
    product, hence only while there are no other threads.
    """
    if CORE in os.environ or threading.active_count() > 1 or not os.path.exists("/proc/cpuinfo"):
        return
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        wanted = suited(file.read(1000))
    if wanted is None or kernels() != "SkylakeX":
        return
    for library in _libraries():
        forget, choose = (_function(library, f"gotoblas_dynamic_{name}", None) for name in ("quit", "init"))
        if forget and choose:
            os.environ[CORE] = wanted
            try:
                forget()
                choose()
            finally:
                del os.environ[CORE]
