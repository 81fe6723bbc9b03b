"""What the terminal shows during training: a bar (package tqdm, extra `cli`), or plain lines where there is no terminal."""

import sys
import time


def clock_text(seconds: float) -> str:
    """1:05, 12:00, 1:02:03."""
    s = round(seconds)
    return f"{s // 3600}:{s // 60 % 60:02}:{s % 60:02}" if s >= 3600 else f"{s // 60}:{s % 60:02}"


class Progress:
    """Shows loss, tokens/s and time left; saves a checkpoint at every evaluation."""

    def __init__(self, run, checkpoint):
        self.run, self.checkpoint, self.bar, self.loss, self.seconds, self.steps = run, checkpoint, None, None, 0.0, 0

    def __enter__(self):
        self.start = self.told = time.perf_counter()
        if sys.stderr.isatty():
            try:
                from tqdm import tqdm

                form = "{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]"
                self.bar = tqdm(
                    total=self.run.config.steps, initial=self.run.step, unit="step", bar_format=form, leave=True
                )
            except ImportError:
                print("(a progress bar needs the package tqdm: pip install 'tensorlite[cli]'; plain lines until then)")
        return self

    def __exit__(self, *_):
        self.seconds = time.perf_counter() - self.start
        if self.bar is not None:
            self.bar.close()

    def _line(self, extra=""):
        run = self.run
        rate = self.steps / (time.perf_counter() - self.start)
        left = (run.config.steps - run.step) / rate if rate else 0
        return (
            f"step {run.step:>5}/{run.config.steps}  loss {self.loss:.4f}{extra}  "
            f"{rate * run.tokens_per_step:,.0f} tokens/s  {clock_text(left)} left"
        )

    def step(self, loss, seconds):
        """Called after each step."""
        self.steps += 1
        self.loss = loss if self.loss is None else 0.95 * self.loss + 0.05 * loss
        if self.bar is not None:
            rate = self.steps * self.run.tokens_per_step / (time.perf_counter() - self.start)
            val = f", val {self.run.history['val'][-1][1]:.4f}" if self.run.history["val"] else ""
            self.bar.set_postfix_str(f"loss {self.loss:.4f}{val}, {rate:,.0f} tokens/s", refresh=False)
            self.bar.update()
        elif time.perf_counter() - self.told > 10 and self.run.step % self.run.config.eval_every:
            self.told = time.perf_counter()
            print(self._line(), flush=True)

    def evaluated(self, value):
        """Called after each evaluation."""
        self.run.save(self.checkpoint)
        self.told = time.perf_counter()
        if self.bar is None:
            print(self._line(f"  val {value:.4f}"), flush=True)
        elif self.run.step < self.run.config.steps:
            self.bar.refresh()
