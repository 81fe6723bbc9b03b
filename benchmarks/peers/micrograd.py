"""micrograd: W3 is its own demo, see scalar.py."""

from benchmarks import scalar


def build(name):
    return scalar.build(name, "micrograd")
