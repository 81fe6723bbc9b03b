"""How things are measured: one process for each system, repeats in turn, ratios within a round. What is measured: the families."""

import datetime
import importlib.metadata
import importlib.util
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SYSTEMS = ("tensorlite", "torch")
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")


# ---------------------------------------------------------------- in the measured process
def serve(family, system) -> int:
    """Answer each line read: {"build": workload} with its check values, {"time": least} with seconds of CPU time a step."""
    if system == "torch":
        import torch

        torch.set_num_threads(1)
    step = None
    for line in sys.stdin:
        request = json.loads(line)
        if "build" in request:
            step = None  # the memory of the workload before
            step, check = family.build(request["build"], system)
            for _ in range(3):
                step()
            answer = [float(v) for v in check]
        else:
            count, spent, start = 0, 0.0, time.process_time()
            while spent < request["time"] or count < 2:
                step()
                count += 1
                spent = time.process_time() - start
            answer = spent / count
        print(json.dumps(answer), flush=True)
    return 0


# ---------------------------------------------------------------- in the measuring process
class Served:
    """A process that runs the workloads of one family on one system, and waits to be asked."""

    def __init__(self, family, system):
        command = [sys.executable, "-m", "benchmarks", "--serve", family, system]
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **ONE_THREAD},
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.label = f"{family} of {system}"

    def ask(self, **request):
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it ended: readline shows it
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.label}: the process ended with status {self.process.wait()}, see its error above")
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def measure(workloads, rounds, least) -> list:
    """Run (name, family, facts) one after the other, print a line for each, return the figures."""
    systems = [s for s in SYSTEMS if s == "tensorlite" or importlib.util.find_spec(s)]
    if len(systems) == 1:
        print("No peer is installed (pip install torch): these are tensorlite's own times.")
    print(f"{'workload':24}{'tensorlite':>12}{'PyTorch':>12}  {'ratio':>5}  middle half   what")
    results = []
    for family, group in itertools.groupby(workloads, key=lambda w: w[1]):
        served = {s: Served(family, s) for s in systems}
        try:
            for name, _, facts in group:
                results.append(one(served, name, facts, rounds, least))
                report(results[-1])
        finally:
            for p in served.values():
                p.close()
    return results


def one(served, name, facts, rounds, least) -> dict:
    """Measure one workload on all systems in turn."""
    checks = {s: p.ask(build=name) for s, p in served.items()}
    times = {s: [] for s in served}
    for turn in range(rounds):
        for s in served if turn % 2 else reversed(served):
            times[s].append(served[s].ask(time=least))
    result = {"workload": name, "what": facts["what"], "unit": facts.get("unit", "ms")}
    scale = {"ms": 1e3, "us": 1e6}[result["unit"]] / facts.get("count", 1)
    result |= {s: statistics.median(times[s]) * scale for s in served}
    if len(served) > 1:
        compare(result, checks, times, facts.get("tolerance", 1e-4))
    return result


def compare(result, checks, times, tolerance):
    """Add the ratio, or that the two systems do not compute the same."""
    mine, other = checks["tensorlite"], checks["torch"]
    if len(mine) != len(other) or any(abs(a - b) > tolerance * max(abs(b), 1e-3) for a, b in zip(mine, other)):
        result["differs"] = {"tensorlite": mine, "torch": other}
        return
    ratios = sorted(a / b for a, b in zip(times["tensorlite"], times["torch"], strict=True))
    quarter = len(ratios) // 4
    result["ratio"] = statistics.median(ratios)
    result["spread"] = [ratios[quarter], ratios[-1 - quarter]]


def report(r):
    """One line of the table."""
    columns = [f"{r[s]:9.3f} {r['unit']}" if s in r else " " * 12 for s in SYSTEMS]
    ratio = f"{r['ratio']:7.2f}  {r['spread'][0]:.2f} - {r['spread'][1]:.2f}  " if "ratio" in r else " " * 22
    print(f"{r['workload']:24}{''.join(columns)}{ratio} {r['what']}", flush=True)
    if "differs" in r:
        print(f"  DIFFERENT RESULTS, no ratio: tensorlite {r['differs']['tensorlite']}, torch {r['differs']['torch']}")


def save(results, rounds) -> Path:
    """Write the figures with what is needed to understand them; returns the file."""
    now = datetime.datetime.now(datetime.UTC)
    record = {
        "date": now.isoformat(timespec="seconds"),
        "commit": git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain") else ""),
        "versions": {p: version(p) for p in ("numpy", "torch")} | {"python": platform.python_version()},
        "machine": {"system": platform.platform(), "processor": processor(), "cores": os.cpu_count()},
        "rounds": rounds,
        "results": results,
    }
    folder = Path(__file__).parent / "results"
    folder.mkdir(exist_ok=True)
    path = folder / f"{now:%Y-%m-%d-%H%M%S}.json"
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return path.relative_to(ROOT)


def git(*command) -> str:
    try:
        return subprocess.run(["git", *command], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def processor() -> str:
    """The processor's name, and the widest vector instructions that NumPy uses on it."""
    import numpy as np

    simd = np.show_config(mode="dicts").get("SIMD Extensions", {}).get("found", [])
    name = platform.processor()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    except OSError:
        pass
    return f"{name}, {simd[-1] if simd else 'baseline'}"
