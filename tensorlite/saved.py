"""tl.autograd.graph: what the graph keeps for backward, seen and replaced by hooks; memory moved away until it is needed.

Nothing here costs anything while no hooks are on: they stand in `mode.watcher`, and see a node after its operation has
recorded it.
"""

import threading

from tensorlite import errors
from tensorlite.modes import no_grad
from tensorlite.op import Pick
from tensorlite.tensor import Node, Tensor, Watcher, mode, wrap

__all__ = ["Node", "disable_saved_tensors_hooks", "increment_version", "save_on_cpu", "saved_tensors_hooks"]


class _Refused(threading.local):
    text = None  # why hooks are refused in this thread


_refused = _Refused()


class saved_tensors_hooks:
    """Inside, every array that an operation saves for backward goes through `pack_hook(tensor)`; what that returns is kept
    instead, and `unpack_hook(kept)` gives the tensor back when backward needs it. The innermost pair counts.

    The tensor is detached and shares memory with what is saved: pack must not change it. Values that do not depend on
    requires_grad tensors are not saved and not seen.

    Example:
        >>> import tensorlite as tl
        >>> x = tl.tensor([1.0, 2.0], requires_grad=True)
        >>> with tl.autograd.graph.saved_tensors_hooks(lambda t: t.tolist(), lambda kept: tl.tensor(kept)):
        ...     y = (x * x).sum()
        >>> y.backward()
        >>> x.grad
        tensor([2., 4.])
    """

    def __init__(self, pack_hook, unpack_hook):
        self.pack_hook, self.unpack_hook = pack_hook, unpack_hook

    def __enter__(self):
        if _refused.text is not None:
            raise errors.GraphError(_refused.text)
        self._entered = (*getattr(self, "_entered", ()), mode.watcher)
        mode.watcher = Packer(self, mode.watcher)
        return self

    def __exit__(self, *_):
        *rest, mode.watcher = self._entered
        self._entered = tuple(rest)


class Packer(Watcher):
    """Stands in `mode.watcher` for a pair of hooks. An outer pair comes after it, and finds the node packed."""

    def __init__(self, pair, under):
        super().__init__(under)
        self.pair = pair

    def forward(self, op, inputs, result):
        """Called by the engine after each operation: pack what its node saved."""
        node = result.node
        if node is not None and node.op is Pick:
            node = node.parents[0]
        if node is not None and node.op is op and node.packed is None and node.saved:
            node.packed = _Packed(self.pair, node)
        super().forward(op, inputs, result)


class _Packed:
    """The saved values of one node as the pack hook left them."""

    def __init__(self, pair, node):
        self.pair = pair
        self.user = node.saved[0] if hasattr(node.op, "function") else None  # the ctx of a user's Function
        watcher, mode.watcher = mode.watcher, None
        try:
            with no_grad():
                if self.user is None:
                    self.kept = self._pack(node.saved, node.device)
                else:
                    self.slots = [s for s in (*self.user._saved, *self.user._results.values()) if s is not None]
                    self.kept = [self._pack(s.array, s.device) for s in self.slots]
        finally:
            mode.watcher = watcher
        self.close(node)

    def _pack(self, value, device):
        if isinstance(value, (tuple, list)):
            return [self._pack(v, device) for v in value]
        if hasattr(value, "dtype") and hasattr(value, "shape"):
            t = wrap(value, device)
            return _Kept(self.pair.pack_hook(t), value.shape, value.dtype, device)
        return value

    def _unpack(self, value):
        if isinstance(value, list):
            return tuple([self._unpack(v) for v in value])
        return value.array(self.pair.unpack_hook) if isinstance(value, _Kept) else value

    def open(self, node):
        """Put the values back for a walk."""
        if self.user is None:
            node.saved = self._unpack(self.kept)
        else:
            for slot, kept in zip(self.slots, self.kept, strict=True):
                slot.array = self._unpack(kept)
            node.saved = (self.user,)

    def close(self, node):
        """Let the values go again."""
        node.saved = None
        if self.user is not None:
            for slot in self.slots:
                slot.array = None


class _Kept:
    """What a pack hook returned for one array."""

    def __init__(self, value, shape, dtype, device):
        self.value, self.shape, self.dtype, self.device = value, shape, dtype, device

    def array(self, unpack_hook):
        """The array again, by the unpack hook; checked."""
        with no_grad():
            t = unpack_hook(self.value)
        if not isinstance(t, Tensor) or t.array.shape != self.shape or t.array.dtype != self.dtype:
            raise errors.GraphError(
                f"saved_tensors_hooks: the unpack hook must return a {self.dtype} tensor of shape {tuple(self.shape)}, as was "
                f"saved; it returned {errors.describe(t)}"
            )
        return (t if t.device is self.device else t.to(self.device)).array


class save_on_cpu(saved_tensors_hooks):
    """Inside, what operations save for backward is moved to the CPU, and back to its device when backward needs it.

    pin_memory and device_type are accepted as PyTorch's; memory is not pinned.
    """

    def __init__(self, pin_memory=False, device_type="cuda"):
        super().__init__(lambda t: (t.device, t.cpu()), lambda kept: kept[1].to(kept[0]))


class disable_saved_tensors_hooks:
    """Inside, saved_tensors_hooks (and checkpoint, which is built on them) are refused with `error_message`."""

    def __init__(self, error_message):
        self.text = error_message

    def __enter__(self):
        self.before, _refused.text = _refused.text, self.text
        return self

    def __exit__(self, *_):
        _refused.text = self.before


def increment_version(tensor) -> None:
    """Note that the memory of a tensor (or of several) was changed in place by code the engine does not see."""
    for t in (tensor,) if isinstance(tensor, Tensor) else tensor:
        t.version.bump("increment_version")
