"""Layers that find out the number of their inputs at the first forward: LazyLinear, LazyConv1d ..., and what they share."""

from tensorlite import errors
from tensorlite.creation import tensor
from tensorlite.modes import no_grad
from tensorlite.nn.batchnorm import BatchNorm1d, BatchNorm2d, BatchNorm3d, Normalization
from tensorlite.nn.conv import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from tensorlite.nn.instancenorm import InstanceNorm1d, InstanceNorm2d, InstanceNorm3d
from tensorlite.nn.linear import Linear
from tensorlite.nn.parameter import Uninitialized, UninitializedBuffer, UninitializedParameter
from tensorlite.tensor import Scope, Tensor, mode, path

__all__ = [
    "LazyBatchNorm1d", "LazyBatchNorm2d", "LazyBatchNorm3d", "LazyConv1d", "LazyConv2d", "LazyConv3d", "LazyConvTranspose1d",
    "LazyConvTranspose2d", "LazyConvTranspose3d", "LazyInstanceNorm1d", "LazyInstanceNorm2d", "LazyInstanceNorm3d",
    "LazyLinear",
]  # fmt: skip


class LazyModuleMixin:
    """Makes a layer lazy: `class LazyMine(LazyModuleMixin, Mine)` with `initialize_parameters(*inputs)`, which materialises
    the UninitializedParameters of the layer from the inputs of the first forward, and `cls_to_become`, the class that the
    layer is from then on.

    Example:
        >>> import tensorlite as tl
        >>> layer = tl.nn.LazyLinear(2)
        >>> layer(tl.ones(4, 3)).shape, layer
        ((4, 2), Linear(in_features=3, out_features=2, bias=True))
    """

    cls_to_become = None

    def __call__(self, *args, **kwargs):
        call = super().__call__  # bound before the class changes
        now, outer = mode.now, mode.now.scope
        name = now.module._path_of(self) if now.module is not None else ""
        now.scope = Scope(outer, name, type(self).__name__)  # errors say which layer
        try:
            with no_grad():
                self.initialize_parameters(*args, **kwargs)
        finally:
            now.scope = outer
        if self.has_uninitialized_params():
            raise errors.TensorliteError(
                f"{type(self).__name__}: initialize_parameters left a parameter or buffer without a shape"
            )
        if self.cls_to_become is not None:
            self.__class__ = self.cls_to_become
        return call(*args, **kwargs)

    def initialize_parameters(self, *args, **kwargs):
        """Materialise what has no shape yet; to be defined by the lazy layer."""
        raise NotImplementedError(f"{type(self).__name__} defines no initialize_parameters")

    def has_uninitialized_params(self) -> bool:
        """Whether a parameter or buffer of this layer has no shape yet."""
        return any(isinstance(v, Uninitialized) for v in (*self._parameters.values(), *self._buffers.values()))

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        """What has no shape yet is saved as it is, so that another lazy layer can take it."""
        super()._save_to_state_dict(destination, prefix, True)
        for name, value in self._own_state():
            if not keep_vars and not isinstance(value, Uninitialized):
                destination[prefix + name] = value.detach()

    def _load_from_state_dict(
        self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
    ):
        """Values for what has no shape yet give it its shape; what has none in the state either stays as it is."""
        without, assign = {}, local_metadata.get("assign_to_params_buffers", False)
        loading, known = self._loading if self._loading is not None else [], self._sizes()
        for name, own in self._own_state():
            value = state_dict.get(prefix + name)
            if isinstance(own, Uninitialized) and hasattr(type(value), "shape"):
                without[prefix + name] = value
                if isinstance(value, Uninitialized):
                    continue
                shape, wanted = tuple(value.shape), known.get(name, value.shape)
                if len(shape) != len(wanted) or any(w not in (None, s) for w, s in zip(wanted, shape, strict=True)):
                    text = ", ".join("any" if w is None else str(w) for w in wanted)
                    error_msgs.append(f"{prefix + name}: shape {shape} was given, ({text}) is needed")
                else:
                    put = lambda name=name, own=own, value=value: self._materialize(name, own, value, assign)  # noqa: E731
                    loading.append(put)
        super()._load_from_state_dict(
            {k: v for k, v in state_dict.items() if k not in without},
            prefix,
            local_metadata,
            strict,
            missing := [],
            unexpected_keys,
            error_msgs,
        )
        missing_keys += [k for k in missing if k not in without]

    def _sizes(self):
        """name -> the sizes that are known before the first input, None for each that is not."""
        return {}

    def _input(self, input, ranks, text):
        """Refuse a first input that is no tensor of so many dimensions."""
        if not isinstance(input, Tensor) or input.ndim not in ranks:
            fault = f"input must {text}, got {errors.describe(input)}"
            raise errors.ShapeError(errors.compose(type(self).__name__, fault, "", path()))

    def _materialize(self, name, own, value, assign):
        own.materialize(value.shape)
        self._load_one(name, own, value, assign)


class LazyLinear(LazyModuleMixin, Linear):
    """Linear whose in_features is the last size of its first input. Raises as Linear."""

    cls_to_become = Linear

    def __init__(self, out_features, bias=True, device=None, dtype=None):
        super().__init__(0, out_features, False, device, dtype)
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        if bias:
            self.bias = UninitializedParameter(device=device, dtype=dtype)

    def reset_parameters(self):
        """Draw new initial weights, once there are any."""
        if self.in_features:
            super().reset_parameters()

    def initialize_parameters(self, input):
        """Take the number of features from the input."""
        if not self.has_uninitialized_params():  # a state was loaded
            self.in_features = self.weight.shape[1]
            return
        self._input(input, range(1, 100), "have at least 1 dimension (..., features)")
        self.in_features = input.shape[-1]
        self.weight.materialize((self.out_features, self.in_features))
        if self.bias is not None:
            self.bias.materialize((self.out_features,))
        self.reset_parameters()

    def _sizes(self):
        return {"weight": (self.out_features, None), "bias": (self.out_features,)}


class _LazyConv(LazyModuleMixin):
    """What the lazy convolutions share: the channels are those of the first input."""

    def _wait(self, device, dtype, bias):
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        if bias:
            self.bias = UninitializedParameter(device=device, dtype=dtype)

    def reset_parameters(self):
        """Draw new initial weights, once there are any."""
        if self.in_channels:
            super().reset_parameters()

    def initialize_parameters(self, input, *args, **kwargs):
        """Take the number of channels from the input."""
        rank = self.rank
        if not self.has_uninitialized_params():  # a state was loaded
            self.in_channels = self.weight.shape[0] if self.transposed else self.weight.shape[1] * self.groups
            return
        self._input(input, (rank + 1, rank + 2), f"have {rank + 2} dimensions (a batch) or {rank + 1}")
        channels = input.shape[-rank - 1]
        if not channels or channels % self.groups:
            fault = f"the {channels} channels of the input are no multiple of groups={self.groups}"
            raise errors.ShapeError(errors.compose(type(self).__name__, fault, "", path()))
        self.in_channels = channels
        first = (channels, self.out_channels) if self.transposed else (self.out_channels, channels)
        self.weight.materialize((first[0], first[1] // self.groups, *self.kernel_size))
        if self.bias is not None:
            self.bias.materialize((self.out_channels,))
        self.reset_parameters()

    def _sizes(self):
        o, g = self.out_channels, self.groups
        return {"weight": (*((None, o // g) if self.transposed else (o, None)), *self.kernel_size), "bias": (o,)}


def _conv(plain):
    class Lazy(_LazyConv, plain):
        cls_to_become = plain

        def __init__(self, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True,
                     padding_mode="zeros", device=None, dtype=None):  # fmt: skip
            super().__init__(
                0, out_channels, kernel_size, stride, padding, dilation, groups, False, padding_mode, device, dtype
            )
            self._wait(device, dtype, bias)

    return _named(Lazy, plain, "in_channels is the number of channels")


def _conv_transpose(plain):
    class Lazy(_LazyConv, plain):
        cls_to_become = plain

        def __init__(self, out_channels, kernel_size, stride=1, padding=0, output_padding=0, groups=1, bias=True, dilation=1,
                     padding_mode="zeros", device=None, dtype=None):  # fmt: skip
            super().__init__(0, out_channels, kernel_size, stride, padding, output_padding, groups, False, dilation,
                             padding_mode, device, dtype)  # fmt: skip
            self._wait(device, dtype, bias)

    return _named(Lazy, plain, "in_channels is the number of channels")


def _norm(plain):
    class Lazy(LazyModuleMixin, plain):
        cls_to_become = plain

        def __init__(self, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True, device=None, dtype=None, *,
                     bias=True):  # fmt: skip
            Normalization.__init__(self, 0, eps, momentum, False, False, device, dtype, False)
            self.affine, self.track_running_stats = affine, track_running_stats
            where = {"device": device, "dtype": dtype}
            if affine:
                self.weight = UninitializedParameter(**where)
                if bias:
                    self.bias = UninitializedParameter(**where)
            if track_running_stats:
                self.running_mean, self.running_var = UninitializedBuffer(**where), UninitializedBuffer(**where)
                self.num_batches_tracked = tensor(0, device=device)

        def reset_parameters(self):
            """Weight 1, bias 0, no running statistics, once there are any."""
            if self.num_features:
                super().reset_parameters()

        def initialize_parameters(self, input):
            """Take the number of channels from the input."""
            known = next((v for v in (self.weight, self.running_mean) if v is not None), None)
            if known is not None and not self.has_uninitialized_params():  # a state was loaded
                self.num_features = known.shape[0]
                return
            ranks = [len(s.split(", ")) for s in self.shapes]
            self._input(input, ranks, f"be {' or '.join(f'({s})' for s in self.shapes)}")
            batched = self.shapes[ranks.index(input.ndim)].startswith("N")
            self.num_features = input.shape[1 if batched else 0]
            for value in (self.weight, self.bias, self.running_mean, self.running_var):
                if value is not None:
                    value.materialize((self.num_features,))
            self.reset_parameters()

        def _sizes(self):
            return dict.fromkeys(("weight", "bias", "running_mean", "running_var"), (None,))

    return _named(Lazy, plain, "num_features is the number of channels")


def _named(cls, plain, what):
    cls.__name__ = cls.__qualname__ = f"Lazy{plain.__name__}"
    cls.__doc__ = f"{plain.__name__} whose {what} of its first input. Raises as {plain.__name__}."
    return cls


LazyConv1d, LazyConv2d, LazyConv3d = _conv(Conv1d), _conv(Conv2d), _conv(Conv3d)
LazyConvTranspose1d, LazyConvTranspose2d = _conv_transpose(ConvTranspose1d), _conv_transpose(ConvTranspose2d)
LazyConvTranspose3d = _conv_transpose(ConvTranspose3d)
LazyBatchNorm1d, LazyBatchNorm2d, LazyBatchNorm3d = _norm(BatchNorm1d), _norm(BatchNorm2d), _norm(BatchNorm3d)
LazyInstanceNorm1d, LazyInstanceNorm2d = _norm(InstanceNorm1d), _norm(InstanceNorm2d)
LazyInstanceNorm3d = _norm(InstanceNorm3d)
