"""`tl.nn.utils.prune`: elements of a parameter set to 0 by a mask, weight = weight_orig * weight_mask before each call."""

import numbers
from collections.abc import Iterable

from tensorlite import errors
from tensorlite.creation import ones_like, zeros_like
from tensorlite.modes import no_grad
from tensorlite.nn.utils.convert_parameters import parameters_to_vector
from tensorlite.nn.utils.recomputed import Computed
from tensorlite.ops.norms import vector_norm
from tensorlite.random import rand, rand_like
from tensorlite.tensor import Tensor

__all__ = [
    "BasePruningMethod", "CustomFromMask", "Identity", "L1Unstructured", "LnStructured", "PruningContainer", "RandomStructured",
    "RandomUnstructured", "custom_from_mask", "global_unstructured", "identity", "is_pruned", "l1_unstructured", "ln_structured",
    "random_structured", "random_unstructured", "remove",
]  # fmt: skip


class BasePruningMethod:
    """Base class: a subclass gives PRUNING_TYPE and compute_mask(t, default_mask), 1 where an element stays and 0 else.

    PRUNING_TYPE, where a tensor is pruned again: "unstructured": compute_mask gets the elements that are left, as a vector;
    "structured": the slices along self.dim that are left; "global": everything.

    Example:
        >>> import tensorlite as tl
        >>> from tensorlite.nn.utils import prune
        >>> class Negative(prune.BasePruningMethod):
        ...     PRUNING_TYPE = "unstructured"
        ...     def compute_mask(self, t, default_mask):
        ...         return default_mask * (t > 0)
        >>> layer = tl.nn.Linear(3, 2)
        >>> _ = Negative.apply(layer, "weight")
        >>> bool((layer.weight >= 0).all())
        True
    """

    PRUNING_TYPE = "unstructured"
    _tensor_name = ""

    def __call__(self, module, inputs):
        self._put(module)

    def _put(self, module):
        value = self.apply_mask(module)
        value.__class__ = Computed
        setattr(module, self._tensor_name, value)

    def compute_mask(self, t, default_mask) -> Tensor:
        """The mask for the values (or importances) t; what default_mask has struck out already should stay so."""
        raise NotImplementedError(f"{type(self).__name__} defines no compute_mask")

    def apply_mask(self, module) -> Tensor:
        """The pruned tensor of the module: original times mask."""
        name = self._tensor_name
        if not name:
            raise errors.TensorliteError(f"prune: {type(self).__name__} was not applied to a module yet")
        original = getattr(module, f"{name}_orig")
        return getattr(module, f"{name}_mask").to(original.dtype) * original

    def prune(self, t, default_mask=None, importance_scores=None) -> Tensor:
        """t with the elements struck out that have the least importance (by default |t|); no module is involved."""
        scores = t if importance_scores is None else importance_scores
        if scores.shape != t.shape:
            raise errors.ShapeError(f"prune: importance_scores must be {tuple(t.shape)}, not {tuple(scores.shape)}")
        mask = ones_like(t) if default_mask is None else default_mask
        return t * self.compute_mask(scores, mask)

    @classmethod
    def apply(cls, module, name, *args, importance_scores=None, **kwargs):
        """Prune module.<name> by cls(*args, **kwargs), on top of what was pruned before; returns the method.

        The parameter becomes <name>_orig, the mask the buffer <name>_mask, and <name> an attribute computed before each call.

        Raises:
            ArgumentError: no such parameter, an impossible amount. ShapeError: importance_scores of another shape.
        """
        method, before = cls(*args, **kwargs), _found(module, name)
        method._tensor_name = name
        tensor = getattr(module, f"{name}_orig") if before else module._parameters.get(name)
        if tensor is None:
            raise errors.ArgumentError(f"prune: {type(module).__name__} has no parameter {name!r}")
        scores = importance_scores
        if scores is not None and scores.shape != tensor.shape:
            raise errors.ShapeError(
                f"prune: importance_scores must have the shape of {name!r} of {type(module).__name__}, "
                f"{tuple(tensor.shape)}, not {tuple(scores.shape)}"
            )
        if before:
            key, first = before
            method = PruningContainer(*first, method) if isinstance(first, PruningContainer) else _both(first, method)
        with no_grad():
            if scores is None:
                scores = (method.apply_mask(module) if before else tensor).detach()
            mask = getattr(module, f"{name}_mask").clone() if before else ones_like(tensor.detach())
            mask = method.compute_mask(scores, default_mask=mask)
        if before:
            del module._forward_pre_hooks[key]
            delattr(module, f"{name}_mask")
            delattr(module, name)
        else:
            module.register_parameter(f"{name}_orig", tensor)
            del module._parameters[name]
        module.register_buffer(f"{name}_mask", mask)
        method._put(module)
        module.register_forward_pre_hook(method)
        return method

    def remove(self, module) -> None:
        """Make the pruned tensor a parameter again, with its zeros."""
        name = self._tensor_name
        with no_grad():
            value = self.apply_mask(module).detach()
        original = getattr(module, f"{name}_orig")
        if name in module.__dict__:
            delattr(module, name)
        original.data = value  # the same Parameter: optimizers that know it go on
        for k in ("orig", "mask"):
            delattr(module, f"{name}_{k}")
        module.register_parameter(name, original)


def _found(module, name):
    """(key, hook) of the pruning of a tensor, or None."""
    for key, (hook, *_) in (module._forward_pre_hooks or {}).items():
        if isinstance(hook, BasePruningMethod) and hook._tensor_name == name:
            return key, hook
    return None


def _both(first, second):
    container = PruningContainer(first)
    container.add_pruning_method(second)
    return container


class PruningContainer(BasePruningMethod):
    """Several prunings of one tensor, one on top of the other; made where a tensor is pruned again."""

    def __init__(self, *args):
        self._pruning_methods = ()
        for method in args:
            self._tensor_name = self._tensor_name or getattr(method, "_tensor_name", "")
            self.add_pruning_method(method)

    def add_pruning_method(self, method) -> None:
        """Add one that is of the same tensor."""
        if not isinstance(method, BasePruningMethod):
            raise errors.DTypeError(f"PruningContainer: a BasePruningMethod is needed, not {type(method).__name__}")
        if method._tensor_name != self._tensor_name:
            raise errors.ArgumentError(
                f"PruningContainer: it prunes {self._tensor_name!r}, the method to be added {method._tensor_name!r}"
            )
        self._pruning_methods += (method,)

    def __len__(self):
        return len(self._pruning_methods)

    def __iter__(self):
        return iter(self._pruning_methods)

    def __getitem__(self, idx):
        return self._pruning_methods[idx]

    def compute_mask(self, t, default_mask):
        """The mask so far, with that of the last method on what it has left."""
        method, mask = self._pruning_methods[-1], default_mask.to(t.dtype).clone()
        if method.PRUNING_TYPE == "unstructured":
            key = default_mask == 1
        elif method.PRUNING_TYPE == "structured":
            dim = _dim(t, method.dim)
            left = default_mask.movedim(dim, 0).reshape(t.shape[dim], -1).sum(1) != 0
            key = tuple(left if d == dim else slice(None) for d in range(t.ndim))
        elif method.PRUNING_TYPE == "global":
            key = ...
        else:
            raise errors.ArgumentError(
                f"prune: PRUNING_TYPE of {type(method).__name__} must be 'unstructured', 'structured' or 'global', "
                f"not {method.PRUNING_TYPE!r}"
            )
        mask[key] = method.compute_mask(t[key], default_mask=default_mask[key]).to(mask.dtype)
        return mask


# ---------------------------------------------------------------- how many
def _amount(name, amount):
    """Refuse what is neither a share nor a number."""
    if isinstance(amount, bool) or not isinstance(amount, numbers.Real):
        raise errors.DTypeError(f"{name}: amount must be an int or a float, not {type(amount).__name__}")
    if amount < 0 or (not isinstance(amount, numbers.Integral) and amount > 1):
        raise errors.ArgumentError(f"{name}: amount must be a share in [0, 1] or a number of at least 0, not {amount}")
    return amount


def _how_many(method, n):
    """How many of n are to go."""
    amount = method.amount
    if not isinstance(amount, numbers.Integral):
        return round(amount * n)
    if amount > n:
        raise errors.ArgumentError(f"{type(method).__name__}: amount={amount} is more than the {n} there are to prune")
    return amount


def _dim(t, dim):
    if not -t.ndim <= dim < t.ndim:
        raise errors.IndexRangeError(f"prune: {errors.dim_fault(dim, t.ndim)}")
    return dim % t.ndim


def _slices(method, t):
    """(dimension, slices along it, how many of them are to go); structured pruning needs two dimensions or more."""
    if t.ndim < 2:
        raise errors.ShapeError(f"{type(method).__name__}: two dimensions or more are needed, not {errors.describe(t)}")
    dim = _dim(t, method.dim)
    return dim, t.shape[dim], _how_many(method, t.shape[dim])


def _only(t, dim, index, mask):
    """The mask where it is at index along dim, 0 elsewhere."""
    kept = zeros_like(t)
    kept[tuple(index if d == dim else slice(None) for d in range(t.ndim))] = 1
    return kept * mask.to(kept.dtype)


# ---------------------------------------------------------------- the methods
class Identity(BasePruningMethod):
    """Nothing is pruned, but the names are as if."""

    def compute_mask(self, t, default_mask):
        """default_mask."""
        return default_mask


class CustomFromMask(BasePruningMethod):
    """A given mask."""

    PRUNING_TYPE = "global"

    def __init__(self, mask):
        self.mask = mask

    def compute_mask(self, t, default_mask):
        """The given mask, without what is struck out already."""
        if self.mask.shape != default_mask.shape:
            raise errors.ShapeError(
                f"CustomFromMask: the mask must be {tuple(default_mask.shape)}, not {tuple(self.mask.shape)}"
            )
        return default_mask * self.mask.to(default_mask.device, default_mask.dtype)


class _Amount(BasePruningMethod):
    def __init__(self, amount):
        self.amount = _amount(type(self).__name__, amount)

    def compute_mask(self, t, default_mask):
        """The mask without the `amount` of the lowest rank."""
        n, mask = _how_many(self, t.numel()), default_mask.clone()
        if n:
            mask.view(-1)[self._rank(t).reshape(-1).topk(n, largest=False).indices] = 0
        return mask


class RandomUnstructured(_Amount):
    """Elements drawn by chance: a share (float) or a number (int) of them."""

    def _rank(self, t):
        return rand_like(t)


class L1Unstructured(_Amount):
    """The elements nearest to 0: a share (float) or a number (int) of them."""

    def _rank(self, t):
        return t.abs()


class RandomStructured(BasePruningMethod):
    """Slices along `dim` drawn by chance: a share (float) or a number (int) of them."""

    PRUNING_TYPE = "structured"

    def __init__(self, amount, dim=-1):
        self.amount, self.dim = _amount(type(self).__name__, amount), dim

    def compute_mask(self, t, default_mask):
        """The mask without the slices drawn."""
        dim, n, gone = _slices(self, t)
        if not gone:
            return default_mask
        return _only(t, dim, rand(n, device=t.device).topk(n - gone).indices, default_mask)


class LnStructured(BasePruningMethod):
    """The slices along `dim` whose n-norm is least: a share (float) or a number (int) of them."""

    PRUNING_TYPE = "structured"

    def __init__(self, amount, n, dim=-1):
        self.amount, self.n, self.dim = _amount(type(self).__name__, amount), n, dim

    def compute_mask(self, t, default_mask):
        """The mask without the slices of least norm."""
        dim, n, gone = _slices(self, t)
        if not gone:
            return default_mask
        order = float(self.n) if self.n in ("inf", "-inf") else 2 if self.n in ("fro", "nuc") else self.n
        norms = vector_norm(t.movedim(dim, 0).reshape(n, -1), order, dim=1)
        return _only(t, dim, norms.topk(n - gone).indices, default_mask)


# ---------------------------------------------------------------- as functions
def identity(module, name):
    """Give the parameter the names of a pruned one, with a mask of ones; returns the module."""
    Identity.apply(module, name)
    return module


def random_unstructured(module, name, amount):
    """Strike out elements of module.<name> by chance: a share (float) or a number (int). Returns the module."""
    RandomUnstructured.apply(module, name, amount)
    return module


def l1_unstructured(module, name, amount, importance_scores=None):
    """Strike out the elements of module.<name> nearest to 0 (or of the least importance); returns the module.

    amount: a share (float) or a number (int). The parameter is <name>_orig from now on, the mask the buffer <name>_mask, and
    <name> their product, computed before each call. Pruning again goes on with what is left.

    Raises:
        ArgumentError: no such parameter, an impossible amount. ShapeError: importance_scores of another shape.

    Example:
        >>> import tensorlite as tl
        >>> layer = tl.nn.utils.prune.l1_unstructured(tl.nn.Linear(4, 3), "weight", amount=0.5)
        >>> (layer.weight == 0).sum().item(), list(layer.state_dict())
        (6, ['bias', 'weight_orig', 'weight_mask'])
    """
    L1Unstructured.apply(module, name, amount=amount, importance_scores=importance_scores)
    return module


def random_structured(module, name, amount, dim):
    """Strike out slices of module.<name> along dim by chance: a share (float) or a number (int). Returns the module."""
    RandomStructured.apply(module, name, amount, dim)
    return module


def ln_structured(module, name, amount, n, dim, importance_scores=None):
    """Strike out the slices of module.<name> along dim of the least n-norm; returns the module. See l1_unstructured."""
    LnStructured.apply(module, name, amount, n, dim, importance_scores=importance_scores)
    return module


def custom_from_mask(module, name, mask):
    """Strike out the elements of module.<name> where the mask is 0; returns the module."""
    CustomFromMask.apply(module, name, mask)
    return module


def global_unstructured(parameters, pruning_method, importance_scores=None, **kwargs) -> None:
    """Prune several parameters, [(module, name), ...], as if they were one: those with the least elements lose most.

    pruning_method: an unstructured one, made with **kwargs. importance_scores: {(module, name): scores}.

    Raises:
        DTypeError: not an iterable, not a dict, a method that is not unstructured.

    Example:
        >>> import tensorlite as tl
        >>> from tensorlite.nn.utils import prune
        >>> net = tl.nn.Sequential(tl.nn.Linear(10, 4), tl.nn.Linear(4, 1))
        >>> prune.global_unstructured([(net[0], "weight"), (net[1], "weight")], prune.L1Unstructured, amount=10)
        >>> sum((m.weight == 0).sum().item() for m in net)
        10
    """
    if not isinstance(parameters, Iterable):
        raise errors.DTypeError("global_unstructured: parameters must be an iterable of (module, name)")
    if not isinstance(importance_scores, (dict, type(None))):
        raise errors.DTypeError("global_unstructured: importance_scores must be a dict {(module, name): scores}")
    parameters, scores = list(parameters), importance_scores or {}
    method = pruning_method(**kwargs)
    if method.PRUNING_TYPE != "unstructured":
        raise errors.DTypeError(
            f"global_unstructured: an unstructured method is needed, {pruning_method.__name__} is {method.PRUNING_TYPE}"
        )
    tensors = [getattr(module, name).detach() for module, name in parameters]
    with no_grad():
        values = parameters_to_vector([scores.get(p, t) for p, t in zip(parameters, tensors, strict=True)])
        before = [
            ones_like(t) if _found(module, name) is None else getattr(module, f"{name}_mask")
            for (module, name), t in zip(parameters, tensors, strict=True)
        ]
        mask = PruningContainer(method).compute_mask(values, parameters_to_vector(before))
    for (module, name), t, part in zip(parameters, tensors, mask.split([t.numel() for t in tensors]), strict=True):
        custom_from_mask(module, name, part.reshape(t.shape))


def remove(module, name):
    """Make the pruned tensor a parameter again, with its zeros and without mask; returns the module.

    Raises:
        ArgumentError: it is not pruned.
    """
    found = _found(module, name)
    if found is None:
        raise errors.ArgumentError(f"prune.remove: {name!r} of {type(module).__name__} is not pruned")
    key, method = found
    method.remove(module)
    del module._forward_pre_hooks[key]
    return module


def is_pruned(module) -> bool:
    """Whether the module, or one inside of it, has a pruned tensor."""
    return any(
        isinstance(hook, BasePruningMethod)
        for m in module.modules()
        for hook, *_ in (m._forward_pre_hooks or {}).values()
    )
