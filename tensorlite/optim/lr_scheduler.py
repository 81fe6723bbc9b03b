"""`tl.optim.lr_scheduler`: the names of all schedules; they stand in schedule.py and schedule_*.py."""

from tensorlite.optim.schedule import LRScheduler
from tensorlite.optim.schedule_combined import ChainedScheduler, ReduceLROnPlateau, SequentialLR
from tensorlite.optim.schedule_cosine import CosineAnnealingLR, CosineAnnealingWarmRestarts, NoamLR, WarmupCosineLR
from tensorlite.optim.schedule_cyclic import CyclicLR, OneCycleLR
from tensorlite.optim.schedule_decay import (
    ConstantLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiplicativeLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)

_LRScheduler = LRScheduler  # its older name

__all__ = ["ChainedScheduler", "ConstantLR", "CosineAnnealingLR", "CosineAnnealingWarmRestarts", "CyclicLR", "ExponentialLR",
           "LRScheduler", "LambdaLR", "LinearLR", "MultiStepLR", "MultiplicativeLR", "NoamLR", "OneCycleLR", "PolynomialLR",
           "ReduceLROnPlateau", "SequentialLR", "StepLR", "WarmupCosineLR"]  # fmt: skip
