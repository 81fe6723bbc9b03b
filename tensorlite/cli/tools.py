"""The smaller commands: generate, gradcheck, info, graph."""

import os
import platform
import sys

import tensorlite
from tensorlite import errors


def versions() -> dict:
    """The versions of what computes."""
    from tensorlite.backend import host

    return {"tensorlite": tensorlite.__version__, "python": platform.python_version(), "numpy": host().xp.__version__}


def generate(args) -> int:
    """Print text written by a trained model."""
    from tensorlite.cli.train import CHECKPOINT, find_run
    from tensorlite.models.training import load_model
    from tensorlite.random import Generator

    model, tokenizer = load_model(find_run(args.run) / CHECKPOINT, args.device)
    prompt = tokenizer.start() if args.prompt is None else args.prompt
    if not prompt or args.tokens < 1:
        raise errors.ArgumentError("--prompt must have at least one character, --tokens be at least 1")
    draw = Generator() if args.seed is None else Generator().manual_seed(args.seed)
    ids = tokenizer.encode_tensor(prompt, args.device).reshape(1, -1)
    out = model.generate(ids, args.tokens, args.temperature, args.top_k, generator=draw)
    print(tokenizer.decode(out[0]))
    return 0


def gradcheck(args) -> int:
    """Check first and second derivatives of every operation and print the table; status 1 if one is wrong."""
    from tensorlite.cli.samples import checked
    from tensorlite.op import registry

    unknown = [n for n in args.ops if n not in registry]
    if unknown:
        raise errors.ArgumentError(f"unknown operation {unknown[0]!r}; known: {', '.join(sorted(registry))}")
    print(f"{'operation':20} {'formula':44} {'1st':>8} {'2nd':>8}")
    wrong = 0
    for name in sorted(args.ops or registry):
        first, second, note = checked(name, args.device)
        cells = [f"{v:8.0e}" if isinstance(v, float) else f"{'-':>8}" for v in (first, second)]
        formula = registry[name].formula
        print(f"{name:20} {formula if len(formula) <= 44 else formula[:41] + '...':44} {' '.join(cells)}  {note}")
        wrong += note.startswith("WRONG")
    print(
        f"{'all right' if not wrong else f'{wrong} wrong'}: worst relative error against central differences in float64"
    )
    return 1 if wrong else 0


def info(args) -> int:
    """Print versions, devices, BLAS and threads."""
    from tensorlite import backend, cuda

    for name, version in versions().items():
        print(f"{name:12} {version}")
    print(f"{'system':12} {platform.system()} {platform.machine()}, {os.cpu_count()} CPUs")
    for name, text in backend.host().facts().items():
        print(f"{name:12} {text}")
    print(f"{'device':12} default {backend.get_default_device()}")
    try:
        backend.Device("cuda").backend  # noqa: B018
        print(f"{'cuda':12} {cuda.device_count()} GPU(s): {cuda.get_device_name()}")
    except errors.TensorliteError as e:
        print(f"{'cuda':12} not available: {e}")
    extras = ("tqdm", "safetensors", "tokenizers", "ml_dtypes", "cupy", "scipy")
    found = {n: _version(n) for n in extras}
    print(f"{'extras':12} {', '.join(f'{n} {v}' for n, v in found.items() if v) or 'none'}")
    return 0


def _version(name):
    from importlib import metadata

    for dist in (name, f"{name}-cuda13x", f"{name}-cuda12x"):
        try:
            return metadata.version(dist)
        except metadata.PackageNotFoundError:
            continue
    return None


def graph(args) -> int:
    """Draw the graph of one forward pass of a GPT."""
    from tensorlite.models.gpt import GPT, GPTConfig

    sizes = {"layers": args.layers, "heads": args.heads, "dim": args.dim, "block_size": args.block}
    model = GPT(GPTConfig(vocab_size=65, **sizes))
    x = tensorlite.zeros(args.batch, args.block, dtype=tensorlite.int64)
    _, loss = model(x, x)
    drawing = tensorlite.draw_graph(loss, params=model)
    drawing.save(args.out)
    print(f"{args.out}: {drawing!r}", file=sys.stderr)
    return 0
