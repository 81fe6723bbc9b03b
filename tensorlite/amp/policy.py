"""Which operation computes in which precision under autocast, and how its tensors are cast. The switches are in casting.py.

Casting reaches operations in two ways. Those that are one op each (matmul, conv, linear, ...) meet a Tap, which stands where a
running vmap stands (mode.vmap), and so costs nothing where there is none. Functions made of several ops (losses, padding,
linear algebra, ...) ask `mode.casts`, which is False outside of autocast, and by their own name.
"""

import threading

from tensorlite.backend import dtypes, get_default_device
from tensorlite.errors import ArgumentError, DTypeError
from tensorlite.inplace import Target
from tensorlite.op import registry
from tensorlite.tensor import Tensor, mode

_LOSSES = """mse_loss l1_loss smooth_l1_loss huber_loss kl_div poisson_nll_loss nll_loss cross_entropy hinge_embedding_loss
    margin_ranking_loss soft_margin_loss multi_margin_loss multilabel_margin_loss cosine_embedding_loss triplet_margin_loss
    binary_cross_entropy_with_logits ctc_loss"""
_LINALG = """linalg.cholesky linalg.cond linalg.det linalg.eigh linalg.inv linalg.inv_ex linalg.lstsq linalg.matrix_rank
    linalg.pinv linalg.qr linalg.slogdet linalg.solve linalg.solve_triangular linalg.svd linalg.svdvals cholesky_inverse
    cholesky_solve triangular_solve"""

# PyTorch's lists, by our names. All others compute in the dtypes they get, the widest where these differ.
LOW = {
    "cpu": """matmul linear einsum conv conv_transpose attention rnn_steps lstm_steps gru_steps addmm addbmm baddbmm prelu
    linalg.vecdot""",
    "cuda": """matmul linear einsum einsum_alone conv conv_transpose attention rnn_steps lstm_steps gru_steps addmm addmv addr
    addbmm baddbmm mv prelu linalg.vecdot""",
}
FULL = {
    "cpu": f"""prod trace quantile nanquantile cdist binary_cross_entropy avg_pool3d adaptive_avg_pool3d max_pool3d
    adaptive_max_pool3d max_unpool1d max_unpool2d max_unpool3d reflection_pad1d reflection_pad2d replication_pad1d
    replication_pad2d replication_pad3d grid_sample {_LOSSES} {_LINALG}""",
    "cuda": f"""prod cdist pdist dist renorm cosine_similarity {_LOSSES} {_LINALG}
    acos asin cosh erfinv exp expm1 log log10 log2 log1p pow reciprocal rsqrt sinh tan softmax log_softmax logsumexp
    layer_norm group_norm norm cumsum cumprod sum""",
}
WIDEST = ("index_copy",)


class _Settings(threading.local):
    """What holds in one thread beside mode.casts."""

    def __init__(self):
        self.dtypes, self.caches, self.cache, self.depth = {}, True, {}, 0


settings = _Settings()


class Casts:
    """What stands in mode.casts inside of autocast: for each kind of device a dict, name of an operation -> its dtype."""

    def __init__(self, kinds):
        self.kinds = kinds  # kind -> the dtype of matrix products
        self.tables = {kind: _table(kind, dtype) for kind, dtype in kinds.items()}

    def to(self, name, *xs):
        """xs, the tensors among them as the operation of that name takes them."""
        return tuple([self.one(name, x) for x in xs])

    def one(self, name, x):
        """x as the operation of that name takes it."""
        dtype = self.tables.get(x.device.type, {}).get(name) if isinstance(x, Tensor) else None
        return x if dtype is None else _cast(x, dtype)

    def alike(self, name, *xs):
        """xs in the widest of their dtypes, if the operation of that name is one that does so."""
        if name not in WIDEST or any(not isinstance(x, Tensor) or x.device.type not in self.tables for x in xs):
            return xs
        widest = dtypes.result_type(*[x.array for x in xs])
        return tuple([x if x.dtype is widest or not x.dtype.is_floating_point else _cast(x, widest) for x in xs])

    @staticmethod
    def tap(outer):
        """What stands in mode.vmap around (a vmap in) `outer`."""
        return Tap(outer)

    def call(self, name, function, *args, **kwargs):
        """function(*args), the tensors cast as the operation of that name takes them, and autocast switched off inside."""
        args, kwargs = [self.one(name, x) for x in args], {k: self.one(name, x) for k, x in kwargs.items()}
        before, mode.casts = mode.casts, False
        try:
            return function(*args, **kwargs)
        finally:
            mode.casts = before


_tables = {}  # (kind, dtype) -> {name: dtype}


def _table(kind, dtype):
    known = _tables.get((kind, dtype))
    if known is None:
        column = "cpu" if kind == "cpu" else "cuda"
        full = dict.fromkeys(FULL[column].split(), dtypes.float32)
        known = _tables[kind, dtype] = {**dict.fromkeys(LOW[column].split(), dtype), **full}
    return known


def eligible(x, dtype):
    """Whether autocast changes x for an operation in that dtype: not what is no tensor of float32 or less."""
    old = x.dtype
    return old.is_floating_point and old is not dtype and old.itemsize < 8


def _cast(x, dtype):
    if not eligible(x, dtype):
        return x
    if x.batched is None and settings.caches and x.node is not None and x.is_leaf and x.dtype is dtypes.float32:
        cache, key = settings.cache, (id(x), mode.grad, dtype)  # a weight is cast once
        found = cache.get(key)
        if found is None or found[0] is not x or found[1] != x.version.count:
            found = cache[key] = x, x.version.count, registry["cast"].apply(x, dtype=dtype)
        return found[2]
    return registry["cast"].apply(x, dtype=dtype)


class Tap:
    """Stands in mode.vmap while something is cast: meets each operation. `outer`: the vmap around it."""

    holds = False  # no tensors of its own

    def __init__(self, outer):
        self.outer, self.depth = outer, 0 if outer is None else outer.depth

    def meet(self, op, inputs, args):
        """The result of an op whose inputs are to be cast; else what the vmap around this says."""
        casts = mode.casts
        if not casts or (new := _changed(casts, op, inputs, args)) is None:
            return None if self.outer is None else self.outer.meet(op, inputs, args)
        mode.vmap = self.outer
        try:
            out = op.apply(*new, **args)
            if op.name == "gru_steps" and new[1] is not inputs[1] and inputs[1].device.type == "cpu":
                out = tuple(
                    [registry["cast"].apply(v, dtype=inputs[1].dtype) for v in out]
                )  # (1 - z) n + z h, h as it was
            return out
        finally:
            mode.vmap = self

    def __getattr__(self, name):  # each, getitem, setitem, shared, random: not for autocast
        if name in ("each", "getitem", "setitem", "shared", "random"):
            return getattr(self.outer, name) if self.outer is not None else lambda *_: None
        raise AttributeError(name)


def _changed(casts, op, inputs, args):
    """The inputs of an op as autocast wants them; None where it leaves them as they are."""
    name = op.name
    if name == "einsum" and not _contracts(inputs, args["equation"]):
        name = "einsum_alone"
    if not any(name in table for table in casts.tables.values()) or any(isinstance(x, Target) for x in inputs):
        return None
    new = [casts.one(name, x) for x in inputs]
    return new if any(x is not y for x, y in zip(new, inputs, strict=True)) else None


def _contracts(inputs, equation):
    """Whether an einsum is a matrix product: two operands and a sum over what they share."""
    terms, out = equation.split("->")
    left, _, right = terms.partition(",")
    return isinstance(inputs[1], Tensor) and any(c in right and c not in out for c in left)


# ---------------------------------------------------------------- the state
def switch(kind, dtype) -> None:
    """From here on autocast casts to dtype on that kind of device; None: not at all."""
    kinds = {k: v for k, v in mode.casts.kinds.items() if k != kind} if mode.casts else {}
    if dtype is not None:
        kinds[kind] = dtype
    mode.casts = Casts(kinds) if kinds else False
    if kinds and not isinstance(mode.vmap, Tap):
        mode.vmap = Tap(mode.vmap)


def checked_kind(name, device_type):
    """The kind of device, as "cuda" of "cuda:0". Raises ArgumentError for one that autocast does not know."""
    kind = device_type.split(":")[0] if isinstance(device_type, str) else device_type
    if not isinstance(kind, str) or not is_autocast_available(kind):
        raise ArgumentError(f"{name}: device_type must be 'cpu' or 'cuda', not {device_type!r}")
    return kind


def checked_dtype(name, dtype):
    """bfloat16 or float16. Raises DTypeError."""
    dtype = dtypes.as_dtype(dtype)
    if dtype.name not in ("bfloat16", "float16"):
        raise DTypeError(f"{name}: dtype must be bfloat16 or float16, not {dtype.name}")
    return dtype


def is_autocast_available(device_type: str) -> bool:
    """Whether autocast knows the kind of device."""
    return device_type in ("cpu", "cuda") or device_type == get_default_device().type


def is_autocast_enabled(device_type=None) -> bool:
    """Whether this thread is inside autocast for that kind of device; without one, for "cuda", as in PyTorch.

    Example:
        >>> import tensorlite as tl
        >>> with tl.autocast("cpu", dtype=tl.float16):
        ...     print(tl.is_autocast_enabled("cpu"), tl.is_autocast_enabled())
        True False
    """
    kind = checked_kind("is_autocast_enabled", "cuda" if device_type is None else device_type)
    return bool(mode.casts) and kind in mode.casts.kinds


def get_autocast_dtype(device_type):
    """The dtype that matrix products have inside autocast for that kind of device: bfloat16 on the CPU, float16 on a GPU,
    unless autocast or set_autocast_dtype says otherwise."""
    kind = checked_kind("get_autocast_dtype", device_type)
    found = settings.dtypes.get(kind)
    return found if found is not None else dtypes.bfloat16() if kind == "cpu" else dtypes.float16


def set_autocast_enabled(device_type, enabled=None) -> None:
    """Switch autocast on or off in this thread, without a context; set_autocast_enabled(True) alone means "cuda"."""
    if enabled is None:
        device_type, enabled = "cuda", device_type
    kind = checked_kind("set_autocast_enabled", device_type)
    switch(kind, get_autocast_dtype(kind) if enabled else None)


def set_autocast_dtype(device_type, dtype) -> None:
    """Choose the dtype of matrix products inside autocast for that kind of device, where autocast itself is given none.

    Raises:
        DTypeError: dtype is neither bfloat16 nor float16.
    """
    kind = checked_kind("set_autocast_dtype", device_type)
    settings.dtypes[kind] = dtype = checked_dtype("set_autocast_dtype", dtype)
    if is_autocast_enabled(kind):
        switch(kind, dtype)


def is_autocast_cache_enabled() -> bool:
    """Whether each weight is cast once, and not at every use."""
    return settings.caches


def set_autocast_cache_enabled(enabled) -> None:
    """Whether each weight is cast once, and not at every use."""
    settings.caches = bool(enabled)


def clear_autocast_cache() -> None:
    """Forget the weights that were cast; the outermost autocast does so at its end."""
    settings.cache.clear()
