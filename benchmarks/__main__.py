"""Measures tensorlite against every other library that is installed: `python -m benchmarks [WORKLOAD ...] [options]`.

Without names it runs everything: W1, W1s, W2, W3, W4, W6, the kernels alone and peak memory. What is measured, and how:

- Each system runs in a process of its own (for each family of workloads). `--cpu`, the default: one thread (also of the
  BLAS), the time is that process's CPU time. `--wall`: two threads, the time is the clock's; for a quiet machine only.
- The systems: tensorlite, tensorlite with the extra `fast` (+fast), PyTorch eager and compiled, JAX (jit), autograd, MyGrad,
  tinygrad, micrograd: those that are installed, or those of `--peers`, each on the workloads that make sense for it.
- The processes are measured in turn, one round after the other, the order swapped every round. A figure is the median over
  the rounds of the ratio to the reference, PyTorch eager, within a round: below 1 is faster. The spread is the range that
  holds the middle half of the rounds: where it is wide, the machine was busy. Without PyTorch, tensorlite is the reference.
- Before a figure counts, the system must have computed the same as the reference: each sends a few numbers (the first loss
  at least, mostly the gradient's norm too), which must agree to the tolerance of the workload. A disagreement is printed in
  place of the ratio, and the exit status is 1.
- Peak memory is that of a fresh process that takes two steps, libraries included.

`--growth` measures how the cost grows with length, width, batch, depth and number of operations (see growth.py). `--quick`
takes less than a minute: W1s, W2, W4 and the kernels, few rounds, against PyTorch. `--json` also puts the figures, with
versions, machine, load and commit, into benchmarks/results/<date>.json, from which docs/make_performance.py makes
docs/performance.md; measured again on one day, a workload replaces its figures.
"""

import argparse
import sys

from benchmarks import elementwise, generation, gpt, growth, harness, kernels, memory, mlp, report, scalar, systems

FAMILIES = {
    "gpt": gpt, "mlp": mlp, "elementwise": elementwise, "scalar": scalar, "generation": generation, "kernels": kernels,
    "memory": memory, "growth": growth,
}  # fmt: skip
WORKLOADS = {name: (family, w) for family, module in FAMILIES.items() for name, w in module.WORKLOADS.items()}
QUICK = [n for n, (family, _) in WORKLOADS.items() if n in ("W1s", "W2", "W4") or family == "kernels"]
QUICK_SYSTEMS = (systems.OURS, "tensorlite+fast", "torch")


def main(arguments=None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    shown = [n for n, (family, _) in WORKLOADS.items() if family not in ("kernels", "growth")]
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=f"of: {', '.join(shown)}, kernels, memory")
    clock = parser.add_mutually_exclusive_group()
    clock.add_argument("--cpu", action="store_true", help="one thread, CPU time of the process (the default)")
    clock.add_argument("--wall", action="store_true", help="two threads, wall time")
    parser.add_argument(
        "--peers", help=f"measured beside tensorlite, with commas: {', '.join(list(systems.SYSTEMS)[1:])}"
    )
    parser.add_argument("--growth", action="store_true", help="how the cost grows, tensorlite and PyTorch")
    parser.add_argument("--quick", action="store_true", help="less than a minute: fewer and shorter rounds")
    parser.add_argument("--rounds", type=int, help="rounds for each workload (9; growth: 5; quick: 3)")
    parser.add_argument("--json", action="store_true", help="also put the figures into benchmarks/results/<date>.json")
    parser.add_argument("--serve", nargs=4, help=argparse.SUPPRESS)  # a measured process: family, system, threads, wall
    options = parser.parse_args(arguments)
    if options.serve:
        family, system, threads, wall = options.serve
        return harness.serve(FAMILIES[family], system, int(threads), wall == "1")
    names = workloads(options, parser)
    chosen = peers(options, parser)
    rounds = options.rounds or (3 if options.quick else 5 if options.growth else 9)
    mode, threads = ("wall", 2) if options.wall else ("cpu", 1)
    if len(chosen) == 1:
        print("No peer is installed (pip install torch): these are tensorlite's own times.")
    results = []
    report.head(chosen)
    least = 0.05 if options.quick else 0.3
    for r in harness.measure([(n, *WORKLOADS[n]) for n in names], chosen, rounds, least, threads, options.wall):
        report.line(r, chosen)
        results.append(r)
        if options.json:
            report.save(r, mode)
    if options.growth:
        growth.report(results)
    return 1 if any(r["differs"] for r in results) else 0


def workloads(options, parser) -> list:
    """The names of the workloads asked for."""
    families = {family for family, _ in WORKLOADS.values()}
    if options.growth:
        options.workloads += ["growth"]
    default = QUICK if options.quick else [n for n, (family, _) in WORKLOADS.items() if family != "growth"]
    names = []
    for name in options.workloads or default:
        group = [n for n, (family, _) in WORKLOADS.items() if name == family and name in families] or [name]
        if group[0] not in WORKLOADS:
            parser.error(f"unknown workload {name!r}; known: {', '.join([*families, *WORKLOADS])}")
        names += group
    return names


def peers(options, parser) -> list:
    """The systems to measure, tensorlite first."""
    there = systems.installed()
    if options.peers is None:
        return [s for s in there if s in QUICK_SYSTEMS or not (options.quick or options.growth)]
    asked = [s for s in options.peers.split(",") if s and s != systems.OURS]
    for s in asked:
        if s not in systems.SYSTEMS:
            parser.error(f"unknown peer {s!r}; known: {', '.join(list(systems.SYSTEMS)[1:])}")
        if s not in there:
            parser.error(f"{s} is not installed; installed: {', '.join(there)}")
    return [systems.OURS, *asked]


if __name__ == "__main__":
    sys.exit(main())
