"""The place of `torch.utils.tensorboard`, which tensorlite has not: to import a name from here says so in words."""

from tensorlite import errors


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    raise errors.MissingExtraError(
        f"tensorlite.utils.tensorboard has no {name}: tensorlite writes no TensorBoard logs. The packages tensorboardX "
        "and torch have a SummaryWriter; give it plain numbers, loss.item()"
    )
