"""Batch norm as layers: BatchNorm1d, BatchNorm2d, BatchNorm3d; and what they share with instance norm (instancenorm.py)."""

from tensorlite import errors
from tensorlite.backend import dtypes
from tensorlite.creation import ones, tensor, zeros
from tensorlite.modes import no_grad
from tensorlite.nn import functional as F, init
from tensorlite.nn.module import Module
from tensorlite.nn.parameter import Parameter, is_lazy
from tensorlite.ops.conv import AXES, whole
from tensorlite.tensor import Tensor, path

__all__ = ["BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "SyncBatchNorm"]


class Normalization(Module):
    """Weights, running statistics and text of the layers that normalise channels; `shapes`: what the input may be."""

    shapes, _version = (), 2

    def __init__(self, num_features, eps, momentum, affine, track_running_stats, device, dtype, bias):
        super().__init__()
        whole(type(self).__name__, "num_features", num_features)
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        where = {"device": device, "dtype": dtype}
        self.register_parameter("weight", Parameter(ones(num_features, **where)) if affine else None)
        self.register_parameter("bias", Parameter(zeros(num_features, **where)) if affine and bias else None)
        kept = track_running_stats
        self.register_buffer("running_mean", zeros(num_features, **where) if kept else None)
        self.register_buffer("running_var", ones(num_features, **where) if kept else None)
        count = tensor(0, dtype=dtypes.int64, device=device) if kept else None
        self.register_buffer("num_batches_tracked", count)

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, *rest):
        """States before version 2 have no num_batches_tracked: it stays as it is."""
        key = prefix + "num_batches_tracked"
        if (local_metadata.get("version") or 0) < 2 and self.num_batches_tracked is not None:
            state_dict.setdefault(key, self.num_batches_tracked)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *rest)

    @no_grad
    def reset_running_stats(self):
        """Running mean 0, variance 1, no batches seen."""
        if self.track_running_stats:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def reset_parameters(self):
        """Weight 1, bias 0, and no running statistics."""
        self.reset_running_stats()
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def _check(self, input, channels=None):
        """Refuse another number of dimensions, or of channels (in dimension `channels`)."""
        rank = len(self.shapes[-1].split(", "))
        name, got = type(self).__name__, errors.describe(input)
        if not isinstance(input, Tensor) or input.ndim not in [len(s.split(", ")) for s in self.shapes]:
            text = f"input must be {' or '.join(f'({s})' for s in self.shapes)}, got {got}"
            raise errors.ShapeError(errors.compose(name, text, "", path()))
        at = 1 if channels is None else input.ndim - rank + channels
        if input.shape[at] != self.num_features:
            text = f"input has {input.shape[at]} channels, num_features={self.num_features} are expected"
            raise errors.ShapeError(errors.compose(name, text, f"input {got}", path()))

    def extra_repr(self):
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(Normalization):
    def __init__(self, num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True, device=None, dtype=None,
                 *, bias=True):  # fmt: skip
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias)

    def forward(self, input):
        self._check(input)
        factor, kept = self.momentum, not self.training or self.track_running_stats
        if self.training and self.track_running_stats and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if self.momentum is None:  # the plain average of all batches
                factor = 1.0 / self.num_batches_tracked.item()
        mean, var = (self.running_mean, self.running_var) if kept else (None, None)
        training = self.training or (self.running_mean is None and self.running_var is None)
        return F.batch_norm(input, mean, var, self.weight, self.bias, training, factor or 0.0, self.eps)


class BatchNorm1d(_BatchNorm):
    """Batch norm of features (N, C) or sequences (N, C, L). See BatchNorm2d."""

    shapes = "N, C", "N, C, L"


class BatchNorm2d(_BatchNorm):
    """(x - mean) / sqrt(var + eps) * weight + bias for each channel of images (N, C, H, W) (Ioffe and Szegedy 2015).

    In training mean and variance are those of the batch, over N, H and W, the variance divided by n; and the buffers
    running_mean and running_var move by `momentum` towards them (the variance divided by n - 1). momentum=None: they are the
    plain average of all batches so far. In evaluation the buffers are used.
    affine: whether there are weight (1 at the start) and, with `bias`, bias (0). track_running_stats=False: no buffers, the
    batch's own statistics in evaluation too.

    Raises:
        ShapeError: another number of dimensions or channels, or a single element for each channel in training.

    Example:
        >>> import tensorlite as tl
        >>> norm = tl.nn.BatchNorm2d(3)
        >>> y = norm(tl.randn(8, 3, 4, 4) * 5 + 2)
        >>> bool(y.mean().abs() < 1e-5), norm.num_batches_tracked
        (True, tensor(1))
    """

    shapes = ("N, C, " + AXES[2],)


class BatchNorm3d(_BatchNorm):
    """Batch norm of volumes (N, C, D, H, W). See BatchNorm2d."""

    shapes = ("N, C, " + AXES[3],)


class SyncBatchNorm(_BatchNorm):
    """BatchNorm over the examples of all processes of `process_group` (N, C, ...). With one process it is BatchNorm.

    Raises:
        ArgumentError: a process_group: there is no training by several processes yet.

    Example:
        >>> import tensorlite as tl
        >>> tl.nn.SyncBatchNorm.convert_sync_batchnorm(tl.nn.BatchNorm1d(3))
        SyncBatchNorm(3, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)
    """

    def __init__(self, num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True, process_group=None,
                 device=None, dtype=None, *, bias=True):  # fmt: skip
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)
        if process_group is not None:
            raise errors.ArgumentError("SyncBatchNorm: process_group: there is no training by several processes yet")
        self.process_group = process_group

    def _check(self, input, channels=None):
        if not isinstance(input, Tensor) or input.ndim < 2:
            text = f"input must have at least 2 dimensions (N, C, ...), got {errors.describe(input)}"
            raise errors.ShapeError(errors.compose("SyncBatchNorm", text, "", path()))
        if input.shape[1] != self.num_features:
            text = f"input has {input.shape[1]} channels, num_features={self.num_features} are expected"
            raise errors.ShapeError(errors.compose("SyncBatchNorm", text, f"input {errors.describe(input)}", path()))

    @classmethod
    def convert_sync_batchnorm(cls, module, process_group=None):
        """`module` with a SyncBatchNorm of the same weights and statistics in the place of every BatchNorm.

        Raises:
            TensorliteError: a LazyBatchNorm that has no sizes yet.
        """
        for path_, layer in module.named_modules():  # all, before anything is changed
            if isinstance(layer, _BatchNorm) and any(
                map(is_lazy, (*layer._parameters.values(), *layer._buffers.values()))
            ):
                raise errors.TensorliteError(
                    f"convert_sync_batchnorm: {path_ or 'the module'} is a {type(layer).__name__} without sizes; call the "
                    "model once with an input like the later ones before"
                )
        made = module
        if isinstance(module, _BatchNorm) and not isinstance(module, cls):
            made = cls(module.num_features, module.eps, module.momentum, module.affine, module.track_running_stats,
                       process_group, bias=module.bias is not None)  # fmt: skip
            for store in ("_parameters", "_buffers"):
                getattr(made, store).update(getattr(module, store))
            made.train(module.training)
        for name, child in module.named_children():
            made.add_module(name, cls.convert_sync_batchnorm(child, process_group))
        return made
