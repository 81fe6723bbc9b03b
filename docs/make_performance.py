"""Writes docs/performance.md from the figures measured last (the newest file in benchmarks/results)."""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import growth  # noqa: E402

GOALS = {  # ratio to PyTorch eager that is aimed at: (as it is, with the extra `fast`)
    "W1": (0.88, 0.80), "W1s": (1.00, 0.90), "W2": (0.80, None), "W3": (0.40, None), "W4": (0.75, None), "W6": (0.85, None),
    "memory:256": (1.00, None), "memory:512": (1.00, None), "memory:1024": (1.00, None),
    "kernel:cross_entropy": (0.25, None), "kernel:attention": (0.85, None), "kernel:adamw": (0.40, 0.15),
    "kernel:gelu": (2.3, 0.7), "kernel:softmax": (2.5, 1.0), "kernel:layer_norm": (5, 1.8), "kernel:embedding": (4, 2.0),
}  # fmt: skip
LABELS = {"tensorlite": "tensorlite", "tensorlite+fast": "with `fast`", "by_hand": "by hand",
          "torch.compile": "PyTorch compiled", "jax": "JAX (jit)", "autograd": "autograd",
          "mygrad": "MyGrad", "tinygrad": "tinygrad", "micrograd": "micrograd"}  # fmt: skip


def newest() -> dict:
    """The record of the last day on which something was measured."""
    return json.loads(max((ROOT / "benchmarks" / "results").glob("*.json")).read_text(encoding="utf-8"))


def make() -> str:
    record = newest()
    machine, versions = record["machine"], record["versions"]
    measured = [r for r in record["results"] if r.get("mode", "cpu") == "cpu"]
    results = [r for r in measured if not r["workload"].startswith("growth:")]
    systems = [s for s in LABELS if any(s in r["ratio"] for r in results)]
    lines = [
        "# Speed on the CPU",
        "",
        "Ratios to PyTorch eager on one thread, measured side by side: below 1 is faster than PyTorch. Each figure is the median",
        "over rounds of the ratio within a round; a system's figure counts only if it computed the same numbers. `goal` is what",
        "we aim at (with the extra `fast` after the stroke); a figure in bold misses it. `by hand` is the same step written out",
        "without modules, recording and walk, on tensorlite's own kernels: what no engine on them can undercut by much.",
        "",
        "| workload | " + " | ".join(LABELS[s] for s in systems) + " | PyTorch | goal |",
        "| --- |" + " ---: |" * (len(systems) + 2),
    ]
    for r in results:
        goals, cells = GOALS.get(r["workload"], (None, None)), []
        for s in systems:
            value = r["ratio"].get(s)
            goal = {"tensorlite": goals[0], "tensorlite+fast": goals[1]}.get(s)
            text = "" if value is None else f"{value:.2f}"
            cells.append(f"**{text}**" if value is not None and goal is not None and value > goal else text)
        goal = " / ".join(str(g) for g in goals if g is not None)
        reference = r["median"].get("torch")
        known = f"{reference:.4g} {r['unit']}" if reference is not None else ""
        lines.append(f"| {r['workload']}: {r['what']} | {' | '.join(cells)} | {known} | {goal} |")
    walls = [r for r in record["results"] if r.get("mode") == "wall" and "tensorlite" in r["ratio"]]
    if walls:
        said = [f"{r['workload']} {r['ratio']['tensorlite']:.2f} (middle half of the rounds {r['spread']['tensorlite'][0]:.2f} "
                f"to {r['spread']['tensorlite'][1]:.2f})" for r in walls]  # fmt: skip
        lines += ["", f"On two threads, by the clock, while other work went on: {', '.join(said)}."]
    lines += growth_table(measured)
    dates = sorted({r["measured"][:10] for r in results})
    loads = [r["load"] for r in results if r.get("load") is not None]
    packages = ", ".join(f"{k} {v}" for k, v in versions.items())
    lines += [
        "",
        f"Measured on {' and '.join(dates)}: {machine['processor']}, {machine['cores']} cores, {machine['system']}; {packages}."
        f" The load average was {min(loads):.1f} to {max(loads):.1f}: other work went on beside, and figures may be a tenth off.",
        "",
        TEXT.strip(),
        "",
    ]
    return "\n".join(lines)


def growth_table(results) -> list:
    """How the cost grows, where that was measured."""
    rows = growth.exponents(results)
    if not rows:
        return []
    names = [s for s in LABELS if any(s in fits for *_, fits in rows)] + ["torch"]
    titles = [LABELS.get(s, "PyTorch") for s in names]
    lines = ["", "How the cost grows: p of cost ~ size^p over all sizes (over the last two), and p of the operations counted.", "",
             f"| size | counted | {' | '.join(titles)} |", "| --- |" + " ---: |" * (len(names) + 1)]  # fmt: skip
    for _, what, sizes, expected, fits in rows:
        cells = [f"{p:.2f} ({last:.2f})" for p, last in (expected, *[fits[s] for s in names])]
        lines.append(f"| {what}, {sizes[0]} to {sizes[-1]} | {' | '.join(cells)} |")
    return lines


TEXT = """
## Where the time goes

- **A GPT's training step (W1)** is 218 GFLOP of products. OpenBLAS does them at 105 GFLOP/s on a core of this machine: four fifths
  of the step, which nothing that an engine does can change. What is left is attention, GELU,
  layer norm and AdamW, each a kernel that works in parts that stay in the cache. Beside the step written out by hand the engine
  costs one to three parts in a hundred: that is what it was built for. The goal of 0.88 lies below the hand-written step here.
- **A small perceptron (W2)**: the products of 64 rows take 0.6 of PyTorch's whole step. After each of them the caches hold
  little of the interpreter's memory: the same Python takes half as long again as in a loop of its own.
- **Single operations (W3, W4)**: an operation costs about a microsecond to compute and record, and a third more to walk back
  through; NumPy's own calls on (8, 8) arrays are a quarter of that. In W3, where 65,000 nodes are alive at once, a quarter of the
  time is Python's cycle collector; a program that makes such graphs may call `gc.disable()` around its steps, as graphs are
  freed without the collector.
- **Generation (W6)** reads every weight once for a token: the memory's speed is the floor. Products of one row run as dot
  products of the rows of the weight, which is nearly twice as fast as OpenBLAS' product of matrix and vector.
- **AdamW** over ten million numbers reads four arrays and writes three: the memory's speed is the floor for PyTorch, numba and us.

## What the engine does for it

Fused operations have hand-written first derivatives; gradients are added in place where nobody else holds the array; saved arrays
are freed as the walk passes them; attention keeps no matrix of probabilities but computes blocks of it again; a tensor's version
counter and other rare things are made when somebody asks for them. Kernels stand behind the backend (`tensorlite/backend/cpu*.py`):
the core does not know them. The extra `fast` replaces some by loops compiled by numba.

Small parameters of an optimizer, up to a million numbers in all, lie side by side in one array, and so do their gradients and
moments (`tensorlite/optim/flat.py`): a step is one update for all, and backward writes the first gradient of a weight where the
optimizer reads it. Only arrays that nobody else holds are moved, and whatever a user replaces is then stepped by itself.

In the process that imports it the engine changes two things: it tells glibc to keep the memory of freed arrays for the next
ones (`tensorlite/backend/scratch.py`), and on AMD's Zen 4 it lets OpenBLAS take its AVX2 kernels, which are faster there than
those it takes by itself (`tensorlite/backend/blas.py`). Both leave alone what the environment says.

`tl.set_num_threads(n)` sets the threads of the kernels and of NumPy's BLAS. A large product is cut into rows for our own threads,
each on one thread of the BLAS: the threads of OpenBLAS stay awake for a while after a product, and would take the cores from the
kernels that follow (1.56 s against 1.30 s for a step of W1). Products below 33 million multiplications stay on one thread.

## Measure it yourself

```
python3 dev.py bench                 # everything, against every library that is installed
python3 dev.py bench --quick         # less than a minute
python3 dev.py bench W1 W2 --json    # some workloads, written to benchmarks/results
python3 dev.py bench W1s --peers by_hand,torch  # beside the same step written out by hand on the same kernels: our floor
python3 dev.py bench --wall          # two threads, by the clock
python3 dev.py bench --growth        # how the cost grows with length, width, batch, depth and operations
```
"""

FILES = {"docs/performance.md": make}

if __name__ == "__main__":
    for file, text in FILES.items():
        (ROOT / file).write_text(text(), encoding="utf-8")
        print(f"wrote {file}")
