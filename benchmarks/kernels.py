"""Single operations, forward and backward, called through the public functions of both libraries."""

import numpy as np

from benchmarks.kernels_more import OPERATIONS

# name: (what, inputs that get gradients, index, function of (F, *inputs)); those of kernels_more.py take tl instead of F
_EPS = 1e-5


def _normal(*shapes):
    return lambda rng: [(rng.standard_normal(s)).astype(np.float32) for s in shapes]


def _index(count, classes):
    return lambda rng: rng.integers(0, classes, count)


KERNELS = {
    "gelu": ("exact GELU (3072, 1536)", _normal((3072, 1536)), None, lambda F, x: F.gelu(x)),
    "gelu_tanh": ("GELU by tanh (3072, 1536)", _normal((3072, 1536)), None, lambda F, x: F.gelu(x, approximate="tanh")),
    "softmax": ("softmax (18432, 256)", _normal((18432, 256)), None, lambda F, x: F.softmax(x, -1)),
    "log_softmax": ("log_softmax (2048, 1024)", _normal((2048, 1024)), None, lambda F, x: F.log_softmax(x, -1)),
    "cross_entropy": ("cross_entropy (2048, 8192)", _normal((2048, 8192)), _index(2048, 8192), lambda F, x, t: F.cross_entropy(x, t)),
    "layer_norm": ("layer_norm (3072, 384)", _normal((3072, 384), 384, 384), None, lambda F, x, w, b: F.layer_norm(x, (384,), w, b, _EPS)),
    "rms_norm": ("rms_norm (3072, 384)", _normal((3072, 384), 384), None, lambda F, x, w: F.rms_norm(x, (384,), w, _EPS)),
    "attention": ("causal attention 12 x 6 heads x 256 x 64", _normal(*[(12, 6, 256, 64)] * 3), None,
                  lambda F, q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True)),
    "attention_small": ("causal attention 12 x 4 heads x 64 x 32", _normal(*[(12, 4, 64, 32)] * 3), None,
                        lambda F, q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True)),
    "embedding": ("embedding, 3072 rows of (8192, 384)", _normal((8192, 384)), _index(3072, 8192), lambda F, w, i: F.embedding(i, w)),
    "embedding_small": ("embedding, 768 rows of (65, 128)", _normal((65, 128)), _index(768, 65), lambda F, w, i: F.embedding(i, w)),
    "dropout": ("dropout (3072, 384), without comparing the random numbers", _normal((3072, 384)), None, lambda F, x: F.dropout(x, 0.1)),
}  # fmt: skip
WORKLOADS = {
    f"kernel:{k}": {"what": f"{v[0]}, forward + backward", "tolerance": 1e-3} for k, v in (KERNELS | OPERATIONS).items()
}
WORKLOADS["kernel:adamw"] = {"what": "AdamW step, 10 tensors of a million"}
WORKLOADS["kernel:clip"] = {"what": "clip_grad_norm_, 10 tensors of a million"}


def build(name, system):
    """(step, check values: size of the result and of each gradient)."""
    if system == "torch":
        import torch as tl
    else:
        import tensorlite as tl
    rng, name = np.random.default_rng(0), name.partition(":")[2]
    if name in ("adamw", "clip"):
        return _parameters(tl, rng, name)
    _, floats, index, function = (KERNELS | OPERATIONS)[name]
    library = tl if name in OPERATIONS else tl.nn.functional
    inputs = [tl.tensor(a, requires_grad=True) for a in floats(rng)]
    rest = [] if index is None else [tl.tensor(index(rng))]
    out = function(library, *inputs, *rest)
    g = tl.tensor(rng.standard_normal(tuple(out.shape)).astype(np.float32))

    def step():
        for x in inputs:
            x.grad = None
        out = function(library, *inputs, *rest)
        out.backward(g)
        return out

    out = step()
    values = [(v * v).sum().item() for v in (out.detach(), *[x.grad for x in inputs])]
    return step, [] if name == "dropout" else values


def _parameters(tl, rng, name):
    parameters = [tl.nn.Parameter(tl.tensor(rng.standard_normal((1000, 1000)).astype(np.float32))) for _ in range(10)]
    for p in parameters:
        p.grad = tl.tensor(rng.standard_normal((1000, 1000)).astype(np.float32))
    if name == "adamw":
        step = tl.optim.AdamW(parameters, lr=1e-3).step
    else:

        def step():
            tl.nn.utils.clip_grad_norm_(parameters, 100.0)

    step()
    return step, [(p * p).sum().item() for p in (parameters[0].detach(), parameters[9].grad)]
