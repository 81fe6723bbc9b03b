"""The transformer and its kin, tokenizers, generation and the training loop, imported as `tensorlite.models`."""

if not __name__.startswith("tensorlite."):
    raise ImportError(
        "models is a part of tensorlite: write `import tensorlite.models` instead of `import models`. "
        "A plain `import models` would load every class twice, and a Model of one copy is no Model to the other."
    )

from tensorlite.models.gpt import GPT, GPTConfig

__all__ = ["GPT", "GPTConfig"]
