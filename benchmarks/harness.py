"""How things are measured: one process for each system, repeats in turn, ratios within a round. What is measured: the families."""

import datetime
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
import traceback
from pathlib import Path

from benchmarks import systems

ROOT = Path(__file__).resolve().parent.parent
SCALES = {"ms": 1e3, "us": 1e6, "s": 1.0, "MiB": 2**-20}


# ---------------------------------------------------------------- in the measured process
def serve(family, system, threads, wall) -> int:
    """Answer each line read: {"build": workload} with its check values, {"time": least} with seconds a step, {"peak": workload} with bytes.

    What cannot be built answers {"failed": reason}.
    """
    answers, sys.stdout = sys.stdout, sys.stderr  # what a library prints is not an answer
    clock = time.perf_counter if wall else time.process_time
    step = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if step is None:
                systems.prepare(system, threads)
                build = systems.builder(family, system)
            if "build" in request:
                step = None  # the memory of the workload before
                step, check = build(request["build"])
                timed(step, clock, request["warm"])
                answer = [float(v) for v in check]
            elif "peak" in request:
                step, check = build(request["peak"])
                step()
                answer = {"check": [float(v) for v in check], "peak": peak_memory()}
            else:
                answer = timed(step, clock, request["time"])
        except Exception as fault:
            traceback.print_exc(limit=-3)
            answer = {"failed": f"{type(fault).__name__}: {fault}"[:300]}
        print(json.dumps(answer), file=answers, flush=True)
    return 0


def timed(step, clock, least) -> float:
    """Seconds a step, over as many steps as fill `least` seconds."""
    count, spent, start = 0, 0.0, clock()
    while spent < least or not count:
        step()
        count += 1
        spent = clock() - start
    return spent / count


def peak_memory() -> int:
    """The most bytes of memory that this process has held so far."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    import resource

    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size if sys.platform == "darwin" else size * 1024


# ---------------------------------------------------------------- in the measuring process
class Served:
    """A process that runs the workloads of one family on one system, and waits to be asked."""

    def __init__(self, family, system, threads=1, wall=False):
        command = [sys.executable, "-m", "benchmarks", "--serve", family, system, str(threads), str(int(wall))]
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=systems.environment(system, threads),
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def ask(self, **request):
        """The answer; {"failed": reason} where there is none."""
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it ended: readline shows it
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"failed": f"the process ended with status {self.process.wait()}"}

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def measure(workloads, names, rounds, least, threads=1, wall=False):
    """Run (name, family, facts) one after the other on the systems named; yields the result of each as it is there."""
    for family, group in itertools.groupby(workloads, key=lambda w: w[1]):
        served = {}  # started when first needed, and kept for the family
        try:
            for name, _, facts in group:
                chosen = [s for s in names if systems.takes(s, name)]
                if facts.get("unit") == "MiB":
                    yield memory(name, family, facts, chosen, threads)
                    continue
                for s in chosen:
                    served[s] = served.get(s) or Served(family, s, threads, wall)
                yield one({s: served[s] for s in chosen}, name, facts, min(rounds, facts.get("rounds", rounds)), least)
        finally:
            for p in served.values():
                p.close()


def one(served, name, facts, rounds, least) -> dict:
    """Measure one workload on all systems in turn."""
    checks = {s: p.ask(build=name, warm=least) for s, p in served.items()}
    failed = {s: c["failed"] for s, c in checks.items() if isinstance(c, dict)}
    served = {s: p for s, p in served.items() if s not in failed}
    times = {s: [] for s in served}
    for turn in range(rounds):
        for s in served if turn % 2 else reversed(served):
            answer = served[s].ask(time=least)
            if isinstance(answer, dict):
                failed[s] = answer["failed"]
            else:
                times[s].append(answer)
    return summary(name, facts, {s: checks[s] for s in times if s not in failed}, times, failed)


def memory(name, family, facts, names, threads) -> dict:
    """Peak memory, each system in a fresh process."""
    checks, sizes, failed = {}, {}, {}
    for s in names:
        process = Served(family, s, threads)
        answer = process.ask(peak=name)
        process.close()
        if "failed" in answer:
            failed[s] = answer["failed"]
        else:
            checks[s], sizes[s] = answer["check"], [answer["peak"]]
    return summary(name, facts, checks, sizes, failed)


def summary(name, facts, checks, figures, failed) -> dict:
    """Medians, ratios to the reference (PyTorch where it was measured), and who computed something else."""
    unit = facts.get("unit", "ms")
    scale = SCALES[unit] / facts.get("count", 1)
    reference = next((s for s in ("torch", systems.OURS) if s in checks), None)
    result = {"workload": name, "what": facts["what"], "unit": unit, "reference": reference}
    result["median"] = {s: statistics.median(figures[s]) * scale for s in checks}
    result["rounds"] = max((len(f) for f in figures.values()), default=0)
    result["ratio"], result["spread"], result["differs"], result["failed"] = {}, {}, {}, failed
    for s in checks:
        if not agree(checks[s], checks[reference], facts.get("tolerance", 1e-4)):
            result["differs"][s] = {"computed": checks[s], reference: checks[reference]}
            continue
        ratios = sorted(a / b for a, b in zip(figures[s], figures[reference], strict=True))
        quarter = len(ratios) // 4
        result["ratio"][s] = statistics.median(ratios)
        result["spread"][s] = [ratios[quarter], ratios[-1 - quarter]]
    result["measured"] = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    result["load"] = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return result


def agree(mine, other, tolerance) -> bool:
    """Whether the check values are the same; one that reports fewer (the first loss at least) is held to those."""
    if len(mine) > len(other) or bool(mine) != bool(other):
        return False
    return all(abs(a - b) <= tolerance * max(abs(b), 1e-3) for a, b in zip(mine, other))
