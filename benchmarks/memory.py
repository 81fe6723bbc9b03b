"""Peak memory of a process that trains the model of W1, by the length of its sequences (256 is W1 itself)."""

from benchmarks import gpt

LENGTHS = (256, 512, 1024)
WORKLOADS = {
    f"memory:{n}": {"what": f"peak memory of a process, W1 with block {n}, two steps", "unit": "MiB", "tolerance": 5e-5}
    for n in LENGTHS
}


def build(name, system):
    """(step, check values)."""
    return gpt.training({**gpt.SIZES["W1"], "block": int(name.partition(":")[2])}, gpt.BATCH, system)
