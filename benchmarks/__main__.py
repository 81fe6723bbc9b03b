"""Measures tensorlite, against PyTorch eager where it is installed: `python -m benchmarks [WORKLOAD ...] [--quick] [--json]`.

Without names it runs W1s, W4 and the kernels; W1, W2, W3 and W6 run when named. What is measured, and how:

- Each system runs in a process of its own (for each family of workloads), on one thread (also of the BLAS); the time is
  that process's CPU time.
- The processes are started together and measured in turn, one round after the other, the order swapped every round. The
  figure is the median over the rounds of the ratio tensorlite / PyTorch within a round: below 1 tensorlite is faster. The
  spread is the range that holds the middle half of the rounds: where it is wide, the machine was busy.
- Before a figure counts, both must have computed the same: each sends a few numbers (for W1s the first loss and the norm of
  its gradient), which must agree to the tolerance of the workload. A disagreement is printed in place of the ratio, and the
  exit status is 1.

`--quick` takes less than a minute, with fewer rounds. `--json` also writes the table, with versions, machine and commit,
to benchmarks/results/. Without PyTorch, tensorlite's own times are printed.
"""

import argparse
import sys

from benchmarks import elementwise, generation, gpt, harness, kernels, mlp, scalar

FAMILIES = {
    "gpt": gpt, "mlp": mlp, "elementwise": elementwise, "scalar": scalar, "generation": generation, "kernels": kernels,
}  # fmt: skip
WORKLOADS = {name: (family, w) for family, module in FAMILIES.items() for name, w in module.WORKLOADS.items()}
DEFAULT = [name for name, (_, w) in WORKLOADS.items() if w.get("default", True)]


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=f"of: {', '.join(WORKLOADS)}, kernels (all)")
    parser.add_argument("--quick", action="store_true", help="less than a minute: fewer and shorter rounds")
    parser.add_argument("--rounds", type=int, help="rounds for each workload (9; quick: 3)")
    parser.add_argument("--json", action="store_true", help="also write benchmarks/results/<date>.json")
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)  # a measured process: family, system
    options = parser.parse_args()
    if options.serve:
        family, system = options.serve
        return harness.serve(FAMILIES[family], system)
    names = []
    for name in options.workloads or DEFAULT:
        group = [n for n, (family, _) in WORKLOADS.items() if family == name] or [name]
        if group[0] not in WORKLOADS:
            parser.error(f"unknown workload {name!r}; known: {', '.join(WORKLOADS)}")
        names += group
    rounds = options.rounds or (3 if options.quick else 9)
    results = harness.measure([(n, *WORKLOADS[n]) for n in names], rounds, 0.05 if options.quick else 0.3)
    if options.json:
        print(f"written to {harness.save(results, rounds)}")
    return 1 if any(r.get("differs") for r in results) else 0


if __name__ == "__main__":
    sys.exit(main())
