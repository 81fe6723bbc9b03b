"""`tl.nn.utils.parametrizations`: weight_norm, spectral_norm, orthogonal; and the arithmetic that the older hooks share."""

import functools

from tensorlite import errors
from tensorlite.backend import dtypes
from tensorlite.creation import eye, zeros_like
from tensorlite.modes import no_grad
from tensorlite.nn.conv import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from tensorlite.nn.functional.normalization import normalize
from tensorlite.nn.module import Module
from tensorlite.nn.utils.parametrize import register_parametrization
from tensorlite.ops.decompositions import linalg_qr
from tensorlite.ops.linalg import solve, solve_triangular
from tensorlite.ops.matrix_functions import matrix_exp
from tensorlite.ops.shape import cat
from tensorlite.random import randn
from tensorlite.tensor import Tensor

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]


def _tensor(what, module, name):
    tensor = getattr(module, name, None)
    if not isinstance(tensor, Tensor):
        raise errors.ArgumentError(f"{what}: {type(module).__name__} has no parameter or buffer {name!r}")
    return tensor


# ---------------------------------------------------------------- weight norm
def norm_except_dim(v, dim) -> Tensor:
    """The 2-norms of v over all dimensions but `dim`, which stay with size 1; the norm of all of v for dim None or -1."""
    if dim is None or dim == -1:
        return v.norm()
    shape = [1] * v.ndim
    shape[dim] = v.shape[dim]
    return v.transpose(0, dim).reshape(v.shape[dim], -1).norm(2, 1).reshape(shape)


def scaled(g, v, dim) -> Tensor:
    """g v / |v|, the norms taken over all dimensions but `dim`."""
    return v * (g / norm_except_dim(v, dim))


class _WeightNorm(Module):
    def __init__(self, dim=0):
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g, weight_v):
        return scaled(weight_g, weight_v, self.dim)

    def right_inverse(self, weight):
        return norm_except_dim(weight, self.dim), weight


def _old_keys(name, module, state_dict, prefix, *rest):
    """States of the older weight_norm load too."""
    old = f"{prefix}{name}_g", f"{prefix}{name}_v"
    if all(key in state_dict for key in old):
        for i, key in enumerate(old):
            state_dict[f"{prefix}parametrizations.{name}.original{i}"] = state_dict.pop(key)


def weight_norm(module, name="weight", dim=0) -> Module:
    """w = g v / |v|: length and direction of a weight as parameters of their own (Salimans and Kingma 2016).

    The norm is taken over all dimensions but `dim`, of everything for dim=None. g is parametrizations.weight.original0, v
    original1. States of the older nn.utils.weight_norm load.

    Raises:
        ArgumentError: the module has no such parameter.

    Example:
        >>> import tensorlite as tl
        >>> layer = tl.nn.utils.parametrizations.weight_norm(tl.nn.Linear(20, 40))
        >>> layer.parametrizations.weight.original0.shape, layer.parametrizations.weight.original1.shape
        ((40, 1), (40, 20))
    """
    register_parametrization(module, name, _WeightNorm(dim), unsafe=True)
    module.register_load_state_dict_pre_hook(functools.partial(_old_keys, name))
    return module


# ---------------------------------------------------------------- spectral norm
def usual_dim(module, dim) -> int:
    """The dimension of a weight that counts outputs."""
    if dim is not None:
        return dim
    return 1 if isinstance(module, (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)) else 0


def as_matrix(weight, dim) -> Tensor:
    """weight as a matrix, with a row for each index of `dim`."""
    weight = weight.movedim(dim, 0)
    return weight.reshape(weight.shape[0], -1)


def unit(like, n, eps) -> Tensor:
    """A random vector of length 1, of n elements."""
    return normalize(randn(n, dtype=like.dtype, device=like.device), dim=0, eps=eps)


def check_iterations(n) -> None:
    """Refuse less than one power iteration."""
    if n <= 0:
        raise errors.ArgumentError(f"spectral_norm: n_power_iterations must be at least 1, not {n}")


class _SpectralNorm(Module):
    def __init__(self, weight, n_power_iterations=1, dim=0, eps=1e-12):
        super().__init__()
        if not -weight.ndim <= dim < weight.ndim:
            raise errors.IndexRangeError(f"spectral_norm: {errors.dim_fault(dim, weight.ndim)}")
        check_iterations(n_power_iterations)
        self.dim, self.eps, self.n_power_iterations = dim % weight.ndim, eps, n_power_iterations
        if weight.ndim > 1:
            with no_grad():
                W = as_matrix(weight, self.dim)
                for name, n in (("_u", W.shape[0]), ("_v", W.shape[1])):
                    self.register_buffer(name, unit(weight, n, eps))
                self._iterate(W, 15)

    @no_grad()
    def _iterate(self, W, n):
        for _ in range(n):
            self._u.copy_(normalize(W.mv(self._v), dim=0, eps=self.eps))
            self._v.copy_(normalize(W.T.mv(self._u), dim=0, eps=self.eps))

    def forward(self, weight):
        if weight.ndim == 1:
            return normalize(weight, dim=0, eps=self.eps)
        W = as_matrix(weight, self.dim)
        if self.training:
            self._iterate(W, self.n_power_iterations)
        return weight / self._u.clone().dot(W.mv(self._v.clone()))

    def right_inverse(self, value):
        return value


def spectral_norm(module, name="weight", n_power_iterations=1, eps=1e-12, dim=None) -> Module:
    """w = v / sigma(v), where sigma is the largest singular value of v as a matrix (Miyato et al. 2018).

    sigma = u^T V v by power iteration: u = V v / |V v|, v = V^T u / |V^T u|, n_power_iterations times at each use in training;
    u and v are the buffers parametrizations.weight.0._u and _v. dim: the dimension of the matrix's rows, by default that of the
    outputs.

    Raises:
        ArgumentError: the module has no such parameter; n_power_iterations below 1.

    Example:
        >>> import tensorlite as tl
        >>> layer = tl.nn.utils.parametrizations.spectral_norm(tl.nn.Linear(20, 40))
        >>> bool((tl.linalg.matrix_norm(layer.weight, 2) - 1).abs() < 0.1)
        True
    """
    weight = _tensor("spectral_norm", module, name)
    made = _SpectralNorm(weight, n_power_iterations, usual_dim(module, dim), eps)
    return register_parametrization(module, name, made)


# ---------------------------------------------------------------- orthogonal
MAPS = ("matrix_exp", "cayley", "householder")


def reflections(A) -> Tensor:
    """(..., n, k): the first columns of H_1 ... H_k, H_i = I - 2 v v^T / |v|^2, v column i of A below the diagonal, 1 on it.

    By H_1 ... H_k = I - V M^-1 V^T with M the upper triangle of V^T V, its diagonal halved (Schreiber and Van Loan 1989).
    """
    n, k = A.shape[-2:]
    E = eye(n, k, dtype=A.dtype, device=A.device)
    V = A.tril(-1) + E
    S = V.mT @ V
    M = S.triu(1) + 0.5 * S * eye(k, dtype=A.dtype, device=A.device)
    return E - V @ solve_triangular(M, V[..., :k, :].mT, upper=True)


def to_reflections(Q) -> Tensor:
    """A with reflections(A) diag(A) = Q, for orthonormal columns: signs on the diagonal, vectors below it (above, R of Q R)."""
    R, out = Q.clone(), zeros_like(Q)
    for i in range(Q.shape[-1]):
        x = R[..., i:, i]
        alpha, rest = x[..., 0].clone(), x[..., 1:].norm(2, -1)
        plain = rest == 0  # nothing to reflect
        beta = (alpha * alpha + rest * rest).sqrt().copysign(-alpha)
        beta = alpha.where(plain, beta)
        v = x / (alpha - beta).masked_fill(plain, 1).unsqueeze(-1)
        v[..., 0] = 1
        tau = (1 - alpha / beta).masked_fill(plain, 0).unsqueeze(-1).unsqueeze(-1)
        out[..., i:, i] = v.masked_fill(plain.unsqueeze(-1), 0)
        out[..., i, i] = beta.sign() * (1 - 2 * plain.to(Q.dtype))
        v = v.unsqueeze(-1)
        R[..., i:, i:] -= tau * (v @ (v.mT @ R[..., i:, i:]))
    return out + R.triu(1)


def _orthonormal(A):
    """Q of A = Q R with a positive diagonal of R."""
    Q, R = linalg_qr(A)
    return Q * R.diagonal(dim1=-2, dim2=-1).sign().unsqueeze(-2)


class _Orthogonal(Module):
    def __init__(self, weight, orthogonal_map, use_trivialization=True):
        super().__init__()
        self.shape, self.orthogonal_map, self.trivial = tuple(weight.shape), orthogonal_map, use_trivialization
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, X):
        wide = X.shape[-2] < X.shape[-1]
        X = X.mT if wide else X
        n, k = X.shape[-2:]
        if self.orthogonal_map == "householder":
            Q = reflections(X) * X.diagonal(dim1=-2, dim2=-1).detach().trunc().unsqueeze(-2)
        else:
            X = X.tril()
            X = cat([X, X.new_zeros((*X.shape[:-1], n - k))], -1) if n != k else X
            A = X - X.mT
            if self.orthogonal_map == "matrix_exp":
                Q = matrix_exp(A)
            else:
                one = eye(n, dtype=A.dtype, device=A.device)
                Q = solve(one - 0.5 * A, one + 0.5 * A)
            Q = Q[..., :k]
        if self.trivial:
            Q = self.base @ Q
        return Q.mT if wide else Q

    @no_grad()
    def right_inverse(self, value):
        if tuple(value.shape) != self.shape:
            raise errors.ShapeError(f"orthogonal: the shape must be {self.shape}, not {tuple(value.shape)}")
        wide = value.shape[-2] < value.shape[-1]
        Q = value.mT if wide else value
        n, k = Q.shape[-2:]
        if not self.trivial:
            if self.orthogonal_map != "householder":
                raise NotImplementedError(
                    f"orthogonal: nothing can be assigned with the map {self.orthogonal_map} and use_trivialization=False"
                )
            A = to_reflections(Q)
            return A.mT if wide else A
        if n != k:  # complete it to a square
            Q = _orthonormal(cat([Q, randn(*Q.shape[:-1], n - k, dtype=Q.dtype, device=Q.device)], -1))
        else:
            error = (Q.mT @ Q - eye(k, dtype=Q.dtype, device=Q.device)).abs().max().item() if Q.numel() else 0.0
            Q = Q.clone() if error <= 10 * n * dtypes.finfo(Q.dtype).eps else _orthonormal(Q)
        self.base = Q
        out = zeros_like(value)
        out.diagonal(dim1=-2, dim2=-1).fill_(-1.0)  # reflections(0) diag(-1) is I, and so are the other maps of it
        return out


def orthogonal(module, name="weight", orthogonal_map=None, *, use_trivialization=True) -> Module:
    """A weight with orthonormal columns (rows, where it is wider than high), also in batches: Q^T Q = I.

    orthogonal_map, from the lower triangle X of the original: "matrix_exp": exp(X - X^T); "cayley":
    (I - A/2)^-1 (I + A/2), A = X - X^T; "householder": the product of reflections along the columns. By default the first for
    square weights, else the last. use_trivialization: multiplied by a fixed orthogonal `base` from the left, so that any
    orthogonal weight can be assigned (Lezcano-Casado 2019).

    Raises:
        ArgumentError: no such parameter, or an unknown map. ShapeError: fewer than 2 dimensions.

    Example:
        >>> import tensorlite as tl
        >>> layer = tl.nn.utils.parametrizations.orthogonal(tl.nn.Linear(3, 5))
        >>> Q = layer.weight
        >>> bool((Q.T @ Q - tl.eye(3)).abs().max() < 1e-5)
        True
    """
    weight = _tensor("orthogonal", module, name)
    if weight.ndim < 2:
        raise errors.ShapeError(f"orthogonal: a matrix or a batch of matrices is needed, not {errors.describe(weight)}")
    if orthogonal_map is None:
        orthogonal_map = "matrix_exp" if weight.shape[-2] == weight.shape[-1] else "householder"
    if orthogonal_map not in MAPS:
        raise errors.ArgumentError(
            f"orthogonal: orthogonal_map must be one of {', '.join(map(repr, MAPS))}, not {orthogonal_map!r}"
        )
    return register_parametrization(module, name, _Orthogonal(weight, orthogonal_map, use_trivialization), unsafe=True)
