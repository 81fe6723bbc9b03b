"""`skip_init`: a layer whose parameters are not set."""

import functools
import inspect

from tensorlite import errors
from tensorlite.nn.module import Module


@functools.cache
def _without_reset(cls):
    return type(cls.__name__, (cls,), {"reset_parameters": lambda self: None, "__module__": cls.__module__})


def skip_init(module_cls, *args, **kwargs) -> Module:
    """module_cls(*args, **kwargs) without its reset_parameters: whatever lies in memory, for weights that are set at once.

    Nothing is drawn from the random numbers. (Layers inside of layers are made as always.)

    Raises:
        TensorliteError: not a Module class, or one that takes no `device`.

    Example:
        >>> import tensorlite as tl
        >>> layer = tl.nn.utils.skip_init(tl.nn.Linear, 5, 1)
        >>> type(layer) is tl.nn.Linear, layer.weight.shape
        (True, (1, 5))
    """
    if not (isinstance(module_cls, type) and issubclass(module_cls, Module)):
        raise errors.TensorliteError(f"skip_init: a Module class is needed, not {module_cls!r}")
    known = inspect.signature(module_cls).parameters
    if "device" not in known and not any(p.kind is p.VAR_KEYWORD for p in known.values()):
        raise errors.TensorliteError(
            f"skip_init: {module_cls.__name__} takes no `device`, as the layers that can be made without values do"
        )
    made = _without_reset(module_cls)(*args, **kwargs)
    made.__class__ = module_cls
    return made
