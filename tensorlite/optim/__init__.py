"""Optimizers and learning-rate schedules under PyTorch's names. Each update rule stands in its file as its paper writes it."""

from tensorlite.optim import lr_scheduler
from tensorlite.optim.adam import Adam, AdamW
from tensorlite.optim.optimizer import Optimizer
from tensorlite.optim.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "lr_scheduler"]
