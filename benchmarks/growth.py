"""How the cost grows: the same work at several sizes, and the exponent p of cost ~ size^p beside that of the operations counted.

Both exponents are least-squares lines through the logarithms at the same sizes. The theory counts multiplications of the
matrix products (length, width, batch, depth) or operations recorded (ops). The measured one is below it where a fixed cost
of each operation still counts at small sizes; above it, something grows that should not.
"""

import math

import numpy as np

from benchmarks import elementwise, gpt, mlp, systems

SMALL = dict(block=64, layers=2, heads=4, dim=128)


def gpt_multiplications(block, layers, heads, dim, batch):
    """Of one forward pass: four matrices of a block (12 dim^2), causal attention (half of 2 block dim), the head."""
    return batch * block * (layers * (12 * dim**2 + block * dim) + gpt.VOCABULARY * dim)


# by: (what, sizes, settings of the GPT at a size)
GPTS = {
    "length": ("length of the sequence, GPT of 2 layers, dim 128, batch 1", (128, 256, 512, 1024, 2048),
               lambda n: {**SMALL, "block": n, "batch": 1}),
    "width": ("width, GPT of 2 layers, block 64, batch 4", (64, 128, 256, 512), lambda n: {**SMALL, "dim": n, "batch": 4}),
    "depth": ("layers of a GPT, dim 128, block 64, batch 1", (1, 2, 4, 8, 16), lambda n: {**SMALL, "layers": n, "batch": 1}),
}  # fmt: skip
ATTENTION = ("length, causal attention alone, 4 heads of 64", (128, 256, 512, 1024, 2048))
BATCH = ("batch, MLP 784-256-128-10", (64, 256, 1024, 4096))
OPS = ("operations in a chain on (8, 8)", (100, 1000, 10000, 100000))
SERIES = {
    **{by: (what, sizes) for by, (what, sizes, _) in GPTS.items()},
    "attention": ATTENTION,
    "batch": BATCH,
    "ops": OPS,
}
WORKLOADS = {
    f"growth:{by}:{n}": {"what": f"{what}: {n}", "tolerance": 1e-3}
    for by, (what, sizes) in SERIES.items() for n in sizes
}  # fmt: skip


def build(name, system):
    """(step, check values)."""
    _, by, size = name.split(":")
    size = int(size)
    if by in GPTS:
        settings = GPTS[by][2](size)
        return gpt.training({k: v for k, v in settings.items() if k != "batch"}, settings["batch"], system)
    if by == "attention":
        return attention(size, system)
    return mlp.training(size, system) if by == "batch" else elementwise.chain(size, system)


def attention(length, system):
    """(step, check values) of causal attention alone, forward and backward."""
    tl, rng = systems.array_library(system), np.random.default_rng(0)
    inputs = [
        tl.tensor(rng.standard_normal((1, 4, length, 64)).astype(np.float32), requires_grad=True) for _ in range(3)
    ]
    g = tl.tensor(rng.standard_normal((1, 4, length, 64)).astype(np.float32))

    def step():
        for x in inputs:
            x.grad = None
        tl.nn.functional.scaled_dot_product_attention(*inputs, is_causal=True).backward(g)

    step()
    return step, [(x.grad * x.grad).sum().item() for x in inputs]


def theory(by, size) -> float:
    """How much there is to do, in any unit."""
    return gpt_multiplications(**GPTS[by][2](size)) if by in GPTS else size**2 if by == "attention" else size


def exponent(sizes, costs) -> float:
    """The slope of the line through the logarithms."""
    x, y = [math.log(s) for s in sizes], [math.log(c) for c in costs]
    mx, my = sum(x) / len(x), sum(y) / len(y)
    return sum((a - mx) * (b - my) for a, b in zip(x, y)) / sum((a - mx) ** 2 for a in x)


def exponents(results) -> list:
    """For each series that was measured: by, what, sizes, theoretical exponent, and for each system (exponent, last step's)."""
    known = {r["workload"]: r["median"] for r in results}
    rows = []
    for by, (what, sizes) in SERIES.items():
        costs = [known.get(f"growth:{by}:{n}", {}) for n in sizes]
        systems = [s for s in costs[0] if all(s in c for c in costs)]
        fits = {
            s: (exponent(sizes, [c[s] for c in costs]), exponent(sizes[-2:], [c[s] for c in costs[-2:]]))
            for s in systems
        }
        if fits:
            expected = [theory(by, n) for n in sizes]
            rows.append((by, what, sizes, (exponent(sizes, expected), exponent(sizes[-2:], expected[-2:])), fits))
    return rows


def report(results):
    """Print the exponents."""
    print("\nexponent over all sizes (over the last two)")
    for by, what, sizes, expected, fits in exponents(results):
        shown = "".join(f"  {s} {p:.2f} ({last:.2f})" for s, (p, last) in fits.items())
        print(f"{by:10} {sizes[0]}..{sizes[-1]}: theory {expected[0]:.2f} ({expected[1]:.2f}){shown}   {what}")
