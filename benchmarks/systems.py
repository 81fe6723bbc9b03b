"""The systems that are measured: their names, the package each needs, what each is asked to do, and the settings of its process."""

import importlib.util
import os
from dataclasses import dataclass


@dataclass
class System:
    """A library, or one way of using it."""

    package: str  # what must be installed
    workloads: tuple | None = None  # what it is measured on; None: everything
    label: str = ""


OURS = "tensorlite"
STEPS = ("W1s", "W2", "W4")
SYSTEMS = {
    OURS: System("tensorlite"),
    "tensorlite+fast": System("numba", label="+fast"),
    "by_hand": System("tensorlite", (*STEPS, "W1", "W6"), "by hand"),
    "torch": System("torch", label="PyTorch"),
    "torch.compile": System("torch", ("W1", "W1s", "W2"), "compiled"),
    "jax": System("jax", STEPS, "JAX"),
    "autograd": System("autograd", STEPS),
    "mygrad": System("mygrad", STEPS, "MyGrad"),
    "tinygrad": System("tinygrad", ("W1s", "W2")),
    "micrograd": System("micrograd", ("W3",)),
}
COMPILED = {"torch": ("torch", "torch.compile"), "tensorlite": (OURS, "tensorlite+fast")}
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "NUMBA_NUM_THREADS")


def label(system) -> str:
    return SYSTEMS[system].label or system


def installed() -> list:
    return [name for name, s in SYSTEMS.items() if importlib.util.find_spec(s.package)]


def takes(system, workload) -> bool:
    """Whether the workload makes sense for the system."""
    chosen = SYSTEMS[system].workloads
    return chosen is None or workload in chosen


def environment(system, threads) -> dict:
    """The variables of the measured process."""
    made = {**os.environ, **dict.fromkeys(THREADS, str(threads))}
    if system in (*COMPILED["tensorlite"], "by_hand"):
        made["TENSORLITE_FAST"] = "1" if system == "tensorlite+fast" else "0"
    made |= {"JAX_PLATFORMS": "cpu", "DEV": "CPU"}  # JAX and tinygrad
    return made


def prepare(system, threads):
    """Settings inside of the measured process, before anything is built."""
    if system in ("jax", "tinygrad") and hasattr(
        os, "sched_setaffinity"
    ):  # they make as many threads as they see cores
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    if system in COMPILED["torch"]:
        import torch

        torch.set_num_threads(threads)


def array_library(system):
    """The module `tl` of workloads that are written once, for tensorlite and PyTorch."""
    if system in COMPILED["torch"]:
        import torch as tl
    else:
        import tensorlite as tl
    return tl


def builder(family, system):
    """The function that builds a workload: of the family's file, or of the peer's own."""
    if system in COMPILED["torch"] + COMPILED["tensorlite"]:
        return lambda name: family.build(name, system)
    return importlib.import_module(f"benchmarks.peers.{system}").build
