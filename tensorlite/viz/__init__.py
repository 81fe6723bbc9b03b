"""Pictures of training: curves, gradients by layer and over time, updates, attention, arrays, schedules, activations."""

from tensorlite.viz.base import Picture
from tensorlite.viz.curves import Curves, curves, nice_ticks
from tensorlite.viz.gradients import grad_flow, grad_through_time, update_ratio
from tensorlite.viz.maps import attention, heatmap
from tensorlite.viz.training import activations, schedule

__all__ = [
    "Curves",
    "Picture",
    "activations",
    "attention",
    "curves",
    "grad_flow",
    "grad_through_time",
    "heatmap",
    "nice_ticks",
    "schedule",
    "update_ratio",
]
