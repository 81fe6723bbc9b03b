"""`tensorlite train`: checks the gradients, trains with a progress bar, and leaves a run folder behind.

A run folder holds checkpoint.tl, config.json, graph.svg (drawn once, before the first step), sample.txt, and pictures of the
training: loss.svg, schedule.svg (rates, gradient norms and the clip line), gradients.svg (by layer), updates.svg (by weight),
attention.svg (every head on a line of the text), head.svg (one of them, character by character), positions.svg (their encoding).
"""

import dataclasses
import datetime
import json
import pathlib
import signal
import sys
import time

import tensorlite
from tensorlite import errors
from tensorlite.cli.progress import Progress, clock_text
from tensorlite.models.training import Run, TrainConfig

CHECKPOINT = "checkpoint.tl"
SHOWN = 32  # characters of the text in the pictures of attention
SPACES = {" ": "\u2423", "\n": "\u23ce", "\t": "\u21e5"}  # signs for what cannot be seen


def train(args) -> int:
    """Run the command; returns the exit status (0 done, 130 interrupted)."""
    fields = {f.name for f in dataclasses.fields(TrainConfig)}
    given = {k: v for k, v in vars(args).items() if k in fields and v is not None}
    if args.resume is not None:
        folder = find_run(args.resume or args.out)
        allowed = {"steps", "device", "text", "eval_every"}
        if set(given) - allowed:
            wrong = ", ".join("--" + k.replace("_", "-") for k in sorted(set(given) - allowed))
            raise errors.ArgumentError(f"--resume goes on with the run as it was; {wrong} cannot be changed")
        run = Run.load(folder / CHECKPOINT, **given)
        print(f"going on with {folder} at step {run.step} of {run.config.steps}")
    else:
        folder = pathlib.Path(args.out) if args.out else new_folder()
        if (folder / CHECKPOINT).exists():
            raise errors.ArgumentError(
                f"{folder} holds a run already: go on with --resume {folder}, or give another --out"
            )
        run = Run(TrainConfig(**given))
        introduce(run, folder)
        if not args.no_check:
            check(run)
        make_folder(folder)
        draw(run, folder)
    write_config(run, folder)
    stop = StopOnSignal()
    with stop, Progress(run, folder / CHECKPOINT) as progress:
        done = run.train(should_stop=lambda: stop.asked, on_step=progress.step, on_eval=progress.evaluated)
    run.save(folder / CHECKPOINT)
    pictures(run, folder)
    if not done:
        print(f"\nstopped at step {run.step}, nothing is lost. Go on with:\n    tensorlite train --resume {folder}")
        return 130
    finish(run, folder, progress)
    return 0


def new_folder() -> pathlib.Path:
    """runs/ and the time, in this folder; a number is added if it is taken."""
    base = pathlib.Path("runs") / datetime.datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    folder, n = base, 1
    while folder.exists():
        n += 1
        folder = base.with_name(f"{base.name}_{n}")
    return folder


def make_folder(folder):
    """Create the run folder, or say why it cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise errors.ArgumentError(f"--out {folder} cannot be created: {e.strerror}") from None


def find_run(name) -> pathlib.Path:
    """The folder of a run: as named (a folder or its checkpoint), or the newest under runs/."""
    if name:
        folder = pathlib.Path(name)
        folder = folder.parent if folder.is_file() else folder
        if not (folder / CHECKPOINT).is_file():
            raise errors.ArgumentError(f"{folder} holds no {CHECKPOINT}")
        return folder
    runs = sorted(pathlib.Path("runs").glob(f"*/{CHECKPOINT}"), key=lambda p: p.stat().st_mtime)
    if not runs:
        raise errors.ArgumentError(
            "there is no run under runs/ yet; name a run folder, or start with: tensorlite train"
        )
    return runs[-1].parent


def introduce(run, folder):
    """Say what will be done."""
    c, model = run.config, run.model
    source = c.text or "Python's language documentation"
    n = sum(len(d) for d in run.data.values())
    print(f"tensorlite {tensorlite.__version__} on {c.device}: a GPT of {model.num_params():,} parameters")
    print(f"({c.layers} layers, {c.heads} heads, {c.dim} features, {c.block} positions)")
    print(f"text: {source}, {n:,} characters, {len(run.tokenizer)} different; run folder: {folder}")


def check(run):
    """Compare the model's gradient with finite differences, along a few random directions, in float64."""
    import copy

    from tensorlite.gradcheck import directional_check

    start = time.perf_counter()
    model = copy.deepcopy(run.model).eval().double()
    x, y = run.batch("train", 0)
    x, y = x[:2, :16], y[:2, :16]
    rows = directional_check(lambda: model(x, y)[1], list(model.parameters()), projections=3)
    worst = max(r[2] for r in rows)
    if not worst < 1e-4:
        raise errors.TensorliteError(f"the gradient check failed: relative error {worst:.1e} along a random direction")
    print(
        f"gradient check: worst relative error {worst:.1e} along 3 random directions ({time.perf_counter() - start:.1f} s)"
    )


def draw(run, folder):
    """graph.svg: the graph of one forward pass. The random numbers of the training are not touched."""
    x, y = run.batch("train", 0)
    state = tensorlite.get_rng_state()
    _, loss = run.model.train()(x[:2], y[:2])
    tensorlite.set_rng_state(state)
    loss.backward(retain_graph=True)  # the picture shows gradients, and the values that backward would free
    tensorlite.draw_graph(loss, params=run.model).save(folder / "graph.svg")
    run.model.zero_grad()


def pictures(run, folder):
    """loss.svg and schedule.svg from the history so far; gradients.svg and updates.svg from the gradient of one more batch;
    attention.svg, head.svg and positions.svg from the model as it is.

    The run stays as it was: no step is taken, and random numbers and gradients are put back.
    """
    from tensorlite import viz

    if not run.history["train"]:
        return
    viz.curves(run.history, "loss, nats per character").save(folder / "loss.svg")
    spare = tensorlite.optim.SGD([tensorlite.zeros(1, requires_grad=True)], lr=run.config.lr)
    viz.schedule(run.plan(spare), run.config.steps, run.config.clip, run.norms).save(folder / "schedule.svg")
    with tensorlite.random.fork_rng():
        run.model.train()
        run.model(*run.batch("train", run.step))[1].backward()
    viz.grad_flow(run.model, f"gradient by layer after step {run.step}").save(folder / "gradients.svg")
    if run.optimizer.param_groups[0]["lr"]:
        viz.update_ratio(run.optimizer, run.model).save(folder / "updates.svg")
    run.optimizer.zero_grad()
    ids = run.data["val"][: min(SHOWN, run.config.block)]
    weights = attention_weights(run.model, ids[None])
    names = [SPACES.get(c, c) for c in run.tokenizer.decode(ids.tolist())]
    viz.attention(weights, title=f"attention after step {run.step}").save(folder / "attention.svg")
    last = len(weights) - 1
    viz.attention(weights[last][0], names, title=f"attention, layer {last} head 0").save(folder / "head.svg")
    viz.heatmap(run.model.wpe.weight, "position encoding: a row for each position").save(folder / "positions.svg")


def attention_weights(model, ids):
    """One (heads, T, T) tensor a layer: how much each position of ids (1, T) looks at each before it, in a GPT."""
    found = []

    def note(qkv, _, out):
        heads = model.config.heads
        q, k, _ = out[0].view(out.shape[1], 3, heads, -1).permute(1, 2, 0, 3).unbind(0)  # each (heads, T, head size)
        scores = q @ k.mT / q.shape[-1] ** 0.5
        future = tensorlite.ones_like(scores, dtype=tensorlite.bool).triu(1)
        found.append(scores.masked_fill(future, -tensorlite.inf).softmax(-1))

    handles = [block.attn.qkv.register_forward_hook(note) for block in model.blocks]
    training = model.training
    try:
        with tensorlite.no_grad():
            model.eval()(ids)
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()
    return found


def write_config(run, folder, **result):
    """config.json: the configuration, the versions, and at the end the result."""
    from tensorlite.cli.tools import versions

    everything = {"config": dataclasses.asdict(run.config), "versions": versions(), **result}
    (folder / "config.json").write_text(json.dumps(everything, indent=2) + "\n", encoding="utf-8")


def finish(run, folder, progress):
    """Sample, final numbers, and where everything lies."""
    text = run.sample()
    (folder / "sample.txt").write_text(text, encoding="utf-8")
    train_loss = run.history["train"][-1][1] if run.history["train"] else None
    val_loss = run.history["val"][-1][1] if run.history["val"] else run.evaluate()
    write_config(run, folder, result={"steps": run.step, "train_loss": train_loss, "val_loss": val_loss})
    print(f"\n{text.strip()}\n")
    print(f"validation loss {val_loss:.4f} nats per character after {run.step} steps, {clock_text(progress.seconds)}")
    print(f"in {folder}: {', '.join(sorted(p.name for p in folder.iterdir()))}")
    print(f"write more: tensorlite generate {folder} --prompt 'The '")


class StopOnSignal:
    """Turns Ctrl-C (and SIGTERM) into `asked`, so that a step is never cut in two; a second Ctrl-C ends at once."""

    asked = False

    def __enter__(self):
        self.before = {s: signal.signal(s, self.note) for s in (signal.SIGINT, signal.SIGTERM)}
        return self

    def note(self, number, frame):
        """Remember the wish to stop."""
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        print("\nstopping after this step ...", file=sys.stderr)

    def __exit__(self, *_):
        for s, handler in self.before.items():
            signal.signal(s, handler)
