"""Optimizers and learning-rate schedules under PyTorch's names. Each update rule stands in its file as its paper writes it."""

from tensorlite.optim import lr_scheduler, optimizer
from tensorlite.optim.adadelta import Adadelta
from tensorlite.optim.adafactor import Adafactor
from tensorlite.optim.adagrad import Adagrad
from tensorlite.optim.adam import Adam, AdamW
from tensorlite.optim.adamax import Adamax
from tensorlite.optim.asgd import ASGD
from tensorlite.optim.lbfgs import LBFGS
from tensorlite.optim.muon import Muon
from tensorlite.optim.nadam import NAdam
from tensorlite.optim.optimizer import Optimizer
from tensorlite.optim.radam import RAdam
from tensorlite.optim.rmsprop import RMSprop
from tensorlite.optim.rprop import Rprop
from tensorlite.optim.sgd import SGD
from tensorlite.optim.sparse_adam import SparseAdam

__all__ = ["ASGD", "LBFGS", "SGD", "Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "Muon", "NAdam",
           "Optimizer", "RAdam", "RMSprop", "Rprop", "SparseAdam", "lr_scheduler", "optimizer"]  # fmt: skip
