"""PyTorch's wrappers for several devices and processes, for one of each: a program written for many runs on one unchanged."""

import contextlib

from tensorlite import errors
from tensorlite.backend import as_device
from tensorlite.nn.module import Module

__all__ = ["DataParallel", "DistributedDataParallel", "data_parallel"]


def _one_device(name, device_ids, output_device=None):
    """The one device that is asked for, or None; several are refused."""
    asked = [*(device_ids or ()), *([] if output_device is None else [output_device])]
    devices = {as_device(f"cuda:{d}" if isinstance(d, int) else d) for d in asked}
    if len(devices) > 1:
        raise errors.ArgumentError(
            f"{name}: one device at most, got {', '.join(sorted(map(str, devices)))}; a model is not copied to several here"
        )
    return next(iter(devices), None)


class DataParallel(Module):
    """`module`, called as it is: there is one device for a model here, so that the batch is not cut into parts.

    Keys of the state are those of `module` with `module.` before them, as in PyTorch.

    Raises:
        ArgumentError: several devices.

    Example:
        >>> import tensorlite as tl
        >>> model = tl.nn.DataParallel(tl.nn.Linear(2, 1))
        >>> model(tl.ones(3, 2)).shape, list(model.state_dict())
        ((3, 1), ['module.weight', 'module.bias'])
    """

    def __init__(self, module, device_ids=None, output_device=None, dim=0):
        super().__init__()
        device = _one_device("DataParallel", device_ids, output_device)
        self.dim, self.module = dim, module
        self.device_ids, self.output_device = [] if device is None else [device], device
        if device is not None:
            module.to(device)

    def forward(self, *inputs, **kwargs):
        return self.module(*inputs, **kwargs)


def data_parallel(module, inputs, device_ids=None, output_device=None, dim=0, module_kwargs=None):
    """module(*inputs, **module_kwargs), on the one device there is. Raises ArgumentError: several devices."""
    _one_device("data_parallel", device_ids, output_device)
    inputs = inputs if isinstance(inputs, tuple) else (inputs,)
    return module(*inputs, **(module_kwargs or {}))


class DistributedDataParallel(Module):
    """`module` in the only process there is: gradients are those of this process, and there is nobody to average them with.

    Training by several processes is not there yet (`tl.distributed.is_available()` is False): a process_group is refused.
    The other options are PyTorch's, and have no effect in one process. `no_sync()` is a context in which gradients stay
    this process's own: here they always do.

    Raises:
        ArgumentError: a process_group; several devices; a module without a parameter that requires grad.

    Example:
        >>> import tensorlite as tl
        >>> model = tl.nn.parallel.DistributedDataParallel(tl.nn.Linear(2, 1))
        >>> with model.no_sync():
        ...     model(tl.ones(3, 2)).sum().backward()
        >>> model.module.bias.grad
        tensor([3.])
    """

    def __init__(self, module, device_ids=None, output_device=None, dim=0, broadcast_buffers=None, init_sync=True,
                 process_group=None, bucket_cap_mb=None, find_unused_parameters=False, check_reduction=False,
                 gradient_as_bucket_view=False, static_graph=False, delay_all_reduce_named_params=None,
                 param_to_hook_all_reduce=None, mixed_precision=None, device_mesh=None, skip_all_reduce_unused_params=False,
                 bucket_cap_mb_list=None, batched_grad_copy=False, forward_sync_buffers=None):  # fmt: skip
        super().__init__()
        if process_group is not None or device_mesh is not None:
            raise errors.ArgumentError("DistributedDataParallel: there is no training by several processes yet")
        if not any(p.requires_grad for p in module.parameters()):
            raise errors.ArgumentError("DistributedDataParallel: no parameter of the module requires grad")
        device = _one_device("DistributedDataParallel", device_ids, output_device)
        self.module, self.device = module, device
        self.device_ids = None if device is None else [device]
        if device is not None:
            module.to(device)

    def forward(self, *inputs, **kwargs):
        return self.module(*inputs, **kwargs)

    @contextlib.contextmanager
    def no_sync(self):
        """Gradients of the steps inside are this process's own."""
        yield
