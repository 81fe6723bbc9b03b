"""What becomes of the figures: lines of a table, and a JSON file with what is needed to understand them."""

import contextlib
import importlib.metadata
import json
import os
import platform
import subprocess
from pathlib import Path

from benchmarks import systems
from benchmarks.harness import ROOT

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("numpy", "scipy", "numba", "torch", "jax", "autograd", "mygrad", "tinygrad", "micrograd")


def head(names):
    """The first line of the table."""
    peers = "".join(f"{systems.label(s):>11}" for s in names if s != systems.OURS)
    print(f"{'ratio to the reference':24}{'reference':>14}{systems.OURS:>12}  {'middle half':11}{peers}   what")


def line(r, names):
    """One line of the table: the time of the reference, tensorlite's ratio with its spread, the peers' ratios."""
    reference, ours = r["reference"], systems.OURS
    known = f"{r['median'][reference]:10.4g} {r['unit']:3}" if reference else " " * 14
    spread = "-".join(f"{v:.2f}" for v in r["spread"].get(ours, ()))
    text = f"{r['workload']:24}{known}{ratio(r, ours):>12}  {spread:11}"
    text += "".join(f"{ratio(r, s):>11}" for s in names if s != ours)
    print(f"{text}   {r['what']}", flush=True)
    for s, values in r["differs"].items():
        print(f"  DIFFERENT RESULTS of {s}, no ratio: {values}")
    for s, reason in r["failed"].items():
        print(f"  {s} was not measured: {reason.splitlines()[0][:120] if reason else ''}")


def ratio(r, system) -> str:
    if system in r["ratio"]:
        return f"{r['ratio'][system]:.2f}"
    return "differs" if system in r["differs"] else "failed" if system in r["failed"] else ""


def save(result, mode, path=None) -> Path:
    """Put one result into the file of the day (benchmarks/results/<date>.json), in place of the same workload's of before."""
    path = Path(path) if path else RESULTS / f"{result['measured'][:10]}.json"
    record = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"results": []}
    record |= {"versions": versions(), "machine": machine()}
    result = {**result, "mode": mode, "commit": commit()}
    same = (result["workload"], mode)
    record["results"] = [r for r in record["results"] if (r["workload"], r["mode"]) != same] + [result]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return path


def commit() -> str:
    return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain") else "")


def git(*command) -> str:
    try:
        return subprocess.run(["git", *command], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def versions() -> dict:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def machine() -> dict:
    return {"system": f"{platform.system()} {platform.machine()}", "processor": processor(), "cores": os.cpu_count()}


def processor() -> str:
    """The processor's name, and the widest vector instructions that NumPy uses on it."""
    import numpy as np

    simd = np.show_config(mode="dicts").get("SIMD Extensions", {}).get("found", [])
    name = platform.processor()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next((text.partition(":")[2].strip() for text in lines if text.startswith("model name")), name)
    except OSError:
        pass
    return f"{name}, {simd[-1] if simd else 'baseline'}"
