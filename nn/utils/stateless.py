"""`tl.nn.utils.stateless`: the older place of functional_call, which is tl.func.functional_call."""

from tensorlite.func.modules import functional_call as _functional_call

__all__ = ["functional_call"]


def functional_call(module, parameters_and_buffers, args=None, kwargs=None, *, tie_weights=True, strict=False):
    """module(*args, **kwargs) with the given tensors in the places of its parameters and buffers: tl.func.functional_call.

    Example:
        >>> import tensorlite as tl
        >>> net = tl.nn.Linear(2, 1, bias=False)
        >>> tl.nn.utils.stateless.functional_call(net, {"weight": tl.ones(1, 2)}, tl.tensor([1.0, 2.0]))
        tensor([3.])
    """
    return _functional_call(module, parameters_and_buffers, args, kwargs, tie_weights=tie_weights, strict=strict)
