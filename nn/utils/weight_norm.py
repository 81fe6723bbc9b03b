"""The older weight_norm and spectral_norm, which compute the weight by a hook before each call; those of parametrizations.py
are for new programs. State keys: weight_g, weight_v; weight_orig, weight_u, weight_v."""

from tensorlite.modes import no_grad
from tensorlite.nn.functional.normalization import normalize
from tensorlite.nn.module import Module
from tensorlite.nn.parameter import Parameter
from tensorlite.nn.utils.parametrizations import (
    as_matrix,
    check_iterations,
    norm_except_dim,
    scaled,
    unit,
    usual_dim,
)
from tensorlite.nn.utils.recomputed import Recompute, drop


class WeightNorm(Recompute):
    """The hook of weight_norm."""

    what = "weight_norm"

    def __init__(self, name, dim):
        super().__init__(name)
        self.dim = -1 if dim is None else dim

    def compute(self, module):
        """g v / |v|."""
        return scaled(getattr(module, f"{self.name}_g"), getattr(module, f"{self.name}_v"), self.dim)


def weight_norm(module, name="weight", dim=0) -> Module:
    """w = g v / |v| (Salimans and Kingma 2016), by parameters weight_g and weight_v. Returns the module.

    The norm is taken over all dimensions but `dim`, of everything for dim=None. `weight` is an attribute that a hook computes
    before each call. nn.utils.parametrizations.weight_norm does the same without one.

    Raises:
        ArgumentError: no such parameter. TensorliteError: it has one already.

    Example:
        >>> import tensorlite as tl
        >>> layer = tl.nn.utils.weight_norm(tl.nn.Linear(20, 40))
        >>> [(name, tuple(p.shape)) for name, p in layer.named_parameters()]
        [('bias', (40,)), ('weight_g', (40, 1)), ('weight_v', (40, 20))]
    """
    hook = WeightNorm(name, dim)
    weight = hook.take(module)
    module.register_parameter(f"{name}_g", Parameter(norm_except_dim(weight.detach(), hook.dim)))
    module.register_parameter(f"{name}_v", Parameter(weight.detach()))
    hook.put(module)
    module.register_forward_pre_hook(hook)
    return module


def remove_weight_norm(module, name="weight") -> Module:
    """Make the weight a parameter again, of the value it has; returns the module.

    Raises:
        ArgumentError: there is no weight_norm for `name`.
    """
    hook = drop(module, WeightNorm, name)
    with no_grad():
        weight = hook.compute(module)
    delattr(module, f"{name}_g")
    delattr(module, f"{name}_v")
    module.register_parameter(name, Parameter(weight.detach()))
    return module


class SpectralNorm(Recompute):
    """The hook of spectral_norm."""

    what = "spectral_norm"

    def __init__(self, name, n_power_iterations, dim, eps):
        super().__init__(name)
        check_iterations(n_power_iterations)
        self.n_power_iterations, self.dim, self.eps = n_power_iterations, dim, eps

    def compute(self, module, iterate=None):
        """weight_orig / sigma; `iterate` (in training unless told otherwise) moves u and v towards the singular vectors."""
        weight, u, v = (getattr(module, f"{self.name}_{k}") for k in ("orig", "u", "v"))
        W = as_matrix(weight, self.dim)
        if module.training if iterate is None else iterate:
            with no_grad():
                for _ in range(self.n_power_iterations):
                    v.copy_(normalize(W.T.mv(u), dim=0, eps=self.eps))
                    u.copy_(normalize(W.mv(v), dim=0, eps=self.eps))
            u, v = u.clone(), v.clone()  # the next call changes the buffers
        return weight / u.dot(W.mv(v))


def _versions(module, state_dict, prefix, local_metadata):
    """PyTorch's note of how the state is kept."""
    names = [h.name for h, *_ in (module._forward_pre_hooks or {}).values() if isinstance(h, SpectralNorm)]
    local_metadata["spectral_norm"] = {f"{name}.version": 1 for name in names}


def spectral_norm(module, name="weight", n_power_iterations=1, eps=1e-12, dim=None) -> Module:
    """w = weight_orig / sigma, sigma its largest singular value as a matrix (Miyato et al. 2018). Returns the module.

    sigma = u^T W v by power iteration: v = W^T u / |W^T u|, u = W v / |W v|, n_power_iterations times before each call in
    training, none in evaluation; u and v are the buffers weight_u, weight_v. dim: the dimension of the matrix's rows, by default
    that of the outputs. nn.utils.parametrizations.spectral_norm does the same without a hook.

    Raises:
        ArgumentError: no such parameter; n_power_iterations below 1. TensorliteError: it has one already.

    Example:
        >>> import tensorlite as tl
        >>> layer = tl.nn.utils.spectral_norm(tl.nn.Linear(20, 40))
        >>> list(layer.state_dict())
        ['bias', 'weight_orig', 'weight_u', 'weight_v']
    """
    hook = SpectralNorm(name, n_power_iterations, usual_dim(module, dim), eps)
    weight = hook.take(module)
    with no_grad():
        rows, columns = as_matrix(weight, hook.dim).shape
        u, v = unit(weight, rows, eps), unit(weight, columns, eps)
    module.register_parameter(f"{name}_orig", weight)
    setattr(module, name, weight.detach())
    module.register_buffer(f"{name}_u", u)
    module.register_buffer(f"{name}_v", v)
    module.register_forward_pre_hook(hook)
    module.register_state_dict_post_hook(_versions)
    return module


def remove_spectral_norm(module, name="weight") -> Module:
    """Make the weight a parameter again, of the value it has; returns the module.

    Raises:
        ArgumentError: there is no spectral_norm for `name`.
    """
    hook = drop(module, SpectralNorm, name)
    with no_grad():
        weight = hook.compute(module, iterate=False)
    for k in ("orig", "u", "v"):
        delattr(module, f"{name}_{k}")
    for key, how in list((module._state_hooks or {}).items()):
        if how is _versions:
            del module._state_hooks[key]
            break
    module.register_parameter(name, Parameter(weight.detach()))
    return module
