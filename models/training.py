"""Training a language model on one text: data, the loop, evaluation, checkpoints that go on bit for bit.

The command line (cli/train.py) shows what happens here; this file prints nothing.
"""

import dataclasses
import hashlib
import math
import pathlib
import time

from tensorlite import errors, random
from tensorlite.creation import arange
from tensorlite.models.gpt import GPT, GPTConfig
from tensorlite.models.tokenizers import CharTokenizer
from tensorlite.modes import no_grad
from tensorlite.nn.utils import clip_grad_norm_
from tensorlite.optim import AdamW
from tensorlite.optim.lr_scheduler import WarmupCosineLR
from tensorlite.random import Generator, randint
from tensorlite.serialization import load, save


@dataclasses.dataclass
class TrainConfig:
    """What a run is made of. Sizes of the model are those of GPTConfig."""

    steps: int = 2000
    batch: int = 12
    block: int = 64
    layers: int = 4
    heads: int = 4
    dim: int = 128
    dropout: float = 0.0
    lr: float = 2e-3
    warmup: int = 100
    weight_decay: float = 0.1
    clip: float = 1.0
    eval_every: int = 250
    eval_batches: int = 20
    seed: int = 1337
    text: str = ""  # path of the text; empty: Python's own documentation of its language
    device: str = "cpu"

    def __post_init__(self):
        for name in ("batch", "block", "layers", "heads", "dim", "eval_every", "eval_batches"):
            if getattr(self, name) < 1:
                raise errors.ArgumentError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.steps < 0 or self.lr <= 0 or not 0 <= self.dropout < 1:
            raise errors.ArgumentError(
                f"needs steps >= 0, lr > 0 and 0 <= dropout < 1, got {self.steps}, {self.lr}, {self.dropout}"
            )


def read_text(path: str = "") -> str:
    """The text of a UTF-8 file; without a path, the articles on the Python language that come with Python itself."""
    if path:
        try:
            text = pathlib.Path(path).read_text(encoding="utf-8")
        except UnicodeDecodeError as e:
            raise errors.ArgumentError(f"{path} is not UTF-8 text: {e}") from None
        except OSError as e:
            raise errors.ArgumentError(f"{path} cannot be read: {e.strerror}") from None
        return text
    from pydoc_data.topics import topics

    return "\n\n".join(topics[name] for name in sorted(topics))


class Run:
    """A model in training: model, tokenizer, data, optimizer, schedule, and the history of losses."""

    def __init__(self, config: TrainConfig):
        self.config, self.step, self.history = config, 0, {"train": [], "val": []}
        self.norms = []  # (step, norm of all gradients before clipping)
        text = read_text(config.text)
        if len(text) < 4 * (config.block + 1):
            raise errors.ArgumentError(
                f"the text has only {len(text)} characters; block size {config.block} needs more"
            )
        self.digest = hashlib.sha256(text.encode()).hexdigest()
        random.manual_seed(config.seed)
        self.tokenizer = CharTokenizer.train(text)
        ids = self.tokenizer.encode_tensor(text, config.device)
        cut = min(int(len(ids) * 0.9), len(ids) - config.block - 1)
        self.data = {"train": ids[:cut], "val": ids[cut:]}
        sizes = {"block_size": config.block, "layers": config.layers, "heads": config.heads, "dim": config.dim}
        self.model = GPT(GPTConfig(len(self.tokenizer), dropout=config.dropout, **sizes)).to(config.device)
        groups = self.model.decay_groups(config.weight_decay)
        self.optimizer = AdamW(groups, lr=config.lr, betas=(0.9, 0.99))
        self.schedule = self.plan(self.optimizer)

    def plan(self, optimizer) -> WarmupCosineLR:
        """The run's schedule from its first step, for an optimizer."""
        return WarmupCosineLR(optimizer, min(self.config.warmup, self.config.steps // 10), max(1, self.config.steps))

    def batch(self, part: str, number: int):
        """Batch `number` of "train" or "val": inputs and targets (B, T). It depends on the seed and the number only, so a
        resumed run sees the same batches."""
        data, c = self.data[part], self.config
        draw = Generator().manual_seed((c.seed * 2 + (part == "val")) * 2**32 + number)
        starts = randint(0, len(data) - c.block, (c.batch, 1), generator=draw, device=data.device)
        places = starts + arange(c.block + 1, device=data.device)  # (B, T + 1)
        piece = data[places]
        return piece[:, :-1], piece[:, 1:]

    def train_step(self) -> float:
        """One step of AdamW on the next batch; returns its loss in nats per character."""
        self.model.train()
        _, loss = self.model(*self.batch("train", self.step))
        loss.backward()
        norm = clip_grad_norm_(self.model.parameters(), self.config.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.schedule.step()
        self.step += 1
        value = loss.item()
        self.history["train"].append((self.step, value))
        self.norms.append((self.step, norm.item()))
        if not math.isfinite(value):
            raise errors.TensorliteError(
                f"the loss became {value} at step {self.step}; try a smaller --lr, or find the op with tl.autograd.detect_anomaly()"
            )
        return value

    @no_grad
    def evaluate(self) -> float:
        """The mean loss over the validation batches (the same ones each time)."""
        self.model.eval()
        total = sum(self.model(*self.batch("val", i))[1].item() for i in range(self.config.eval_batches))
        value = total / self.config.eval_batches
        self.history["val"].append((self.step, value))
        return value

    @property
    def tokens_per_step(self) -> int:
        """Characters in one training batch."""
        return self.config.batch * self.config.block

    def train(self, should_stop=lambda: False, on_step=None, on_eval=None) -> bool:
        """Go on to the last step, evaluating at intervals. Returns whether it got there (False: should_stop said so).

        on_step(loss, seconds of this step), on_eval(validation loss).
        """
        while self.step < self.config.steps:
            if should_stop():
                return False
            start = time.perf_counter()
            loss = self.train_step()
            if on_step:
                on_step(loss, time.perf_counter() - start)
            if self.step % self.config.eval_every == 0 or self.step == self.config.steps:
                value = self.evaluate()
                if on_eval:
                    on_eval(value)
        return True

    def sample(self, length=500, prompt=None, temperature=0.8, top_k=None, seed=None) -> str:
        """Text that the model writes after `prompt` (default: the start of a line)."""
        prompt = self.tokenizer.start() if prompt is None else prompt
        draw = Generator().manual_seed(self.config.seed if seed is None else seed)
        start = self.tokenizer.encode_tensor(prompt, self.config.device).reshape(1, -1)
        ids = self.model.generate(start, length, temperature, top_k, generator=draw)
        return self.tokenizer.decode(ids[0])

    # ------------------------------------------------------------ checkpoints
    def state(self) -> dict:
        """All that is needed to go on exactly."""
        return {
            "format": "tensorlite run 1",
            "config": dataclasses.asdict(self.config),
            "text": self.digest,
            "characters": self.tokenizer.characters,
            "step": self.step,
            "history": self.history,
            "norms": self.norms,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "random": random.get_rng_state(),
        }

    def save(self, path) -> None:
        """Write a checkpoint; atomically, so a failure keeps the old one."""
        save(self.state(), path)

    @classmethod
    def load(cls, path, **changes) -> "Run":
        """The run of a checkpoint, ready to go on. `changes`: fields of the configuration to replace (device, steps, text).

        Raises:
            TensorliteError: not a checkpoint of a run, or the text is not the one it was trained on.
        """
        state = load(path, map_location="cpu")
        if not isinstance(state, dict) or state.get("format") != "tensorlite run 1":
            raise errors.TensorliteError(f"{path} is not a checkpoint of a training run")
        config = TrainConfig(**{**state["config"], **changes})
        run = cls(config)
        if run.digest != state["text"]:
            raise errors.TensorliteError(
                f"{path} was trained on another text than {config.text or 'the documentation of this Python version'}; "
                "its exact continuation needs the same one (--text FILE)"
            )
        run.model.load_state_dict(state["model"])
        run.optimizer.load_state_dict(state["optimizer"])
        run.schedule.load_state_dict({**state["schedule"], "total": max(1, config.steps)})
        random.set_rng_state(state["random"])
        run.step = state["step"]
        run.history = {k: [tuple(v) for v in rows] for k, rows in state["history"].items()}
        run.norms = [tuple(v) for v in state.get("norms", [])]
        return run


def load_model(path, device="cpu"):
    """(model, tokenizer) of a checkpoint, for generation; the training text is not needed."""
    state = load(path, map_location="cpu")
    if not isinstance(state, dict) or state.get("format") != "tensorlite run 1":
        raise errors.TensorliteError(f"{path} is not a checkpoint of a training run")
    c = state["config"]
    sizes = {"block_size": c["block"], "layers": c["layers"], "heads": c["heads"], "dim": c["dim"]}
    model = GPT(GPTConfig(len(state["characters"]), dropout=c["dropout"], **sizes))
    model.load_state_dict(state["model"])
    return model.to(device).eval(), CharTokenizer(state["characters"])
