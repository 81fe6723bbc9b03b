"""The operations that test_amp_table.py compares under autocast, as functions of either library: (lib, lib.nn.functional, Given)."""

import numpy as np


class Given:
    """Makes the same arguments for both libraries. `g(2, 3)` is float32 and `g.low(2, 3)` of autocast's dtype; both are leaves."""

    def __init__(self, lib, name):
        self.lib, self.dtype, self.leaves = lib, getattr(lib, name), []
        self.rng = np.random.default_rng(3)

    def leaf(self, values, dtype):
        x = self.lib.tensor(values.astype("float32")).to(dtype).requires_grad_()
        self.leaves.append(x)
        return x

    def __call__(self, *shape):
        return self.leaf(self.rng.normal(size=shape), self.lib.float32)

    def low(self, *shape):
        return self.leaf(self.rng.normal(size=shape), self.dtype)

    def pos(self, *shape):
        """low, in 0.2..0.8"""
        return self.leaf(self.rng.uniform(0.2, 0.8, size=shape), self.dtype)

    def spd(self, n):
        """low, symmetric, positive definite, with eigenvalues well apart"""
        a = self.rng.normal(size=(n, n)) / 4
        return self.leaf(a @ a.T + np.diag(np.arange(1, n + 1)), self.dtype)

    def square(self, n):
        """low, far from singular"""
        return self.leaf(self.rng.normal(size=(n, n)) / 4 + np.diag(np.arange(1, n + 1)), self.dtype)

    def classes(self, *shape):
        return self.lib.tensor(self.rng.integers(0, 3, size=shape))

    def signs(self, *shape):
        return self.lib.tensor(self.rng.integers(0, 2, size=shape).astype("float32") * 2 - 1)


def layer(g, make, *inputs, then=lambda out: out):
    """A layer of nn with the weights of a normal distribution, called."""
    m = make(g.lib.nn)
    for p in m.parameters():
        p.data = g(*p.shape).detach() / 3
        g.leaves[-1] = p
    return then(m(*inputs))


def flat(out):
    """(output, (h, c)) of an LSTM as one tuple."""
    return out[0], *out[1]


UNARY = """exp log log2 log10 log1p expm1 sqrt rsqrt reciprocal sin cos tan asin acos atan sinh cosh tanh sigmoid abs neg erf
    erfc erfinv square lgamma digamma relu sinc logit floor sign"""
ACTIVATIONS = """relu gelu silu mish softplus elu selu celu hardtanh hardswish hardsigmoid leaky_relu logsigmoid relu6 softsign
    tanhshrink hardshrink softshrink glu"""

PRODUCTS = {
    "matmul": lambda t, F, g: g(3, 4) @ g(4, 2),
    "matmul mixed": lambda t, F, g: g(3, 4) @ g.low(4, 2),
    "matmul low": lambda t, F, g: g.low(3, 4) @ g.low(4, 2),
    "matmul float64": lambda t, F, g: g(3, 4).double() @ g(4, 2).double(),
    "matmul vectors": lambda t, F, g: t.matmul(g(4), g(4)),
    "matmul matrix vector": lambda t, F, g: g(3, 4) @ g(4),
    "matmul batches": lambda t, F, g: g(2, 3, 4) @ g(4, 5),
    "mm": lambda t, F, g: t.mm(g(3, 4), g.low(4, 2)),
    "bmm": lambda t, F, g: t.bmm(g(2, 3, 4), g.low(2, 4, 2)),
    "mv": lambda t, F, g: t.mv(g(3, 4), g(4)),
    "mv mixed": lambda t, F, g: t.mv(g(3, 4), g.low(4)),
    "mv low": lambda t, F, g: t.mv(g.low(3, 4), g.low(4)),
    "dot": lambda t, F, g: t.dot(g(4), g(4)),
    "dot mixed": lambda t, F, g: t.dot(g(4), g.low(4)),
    "dot low": lambda t, F, g: t.dot(g.low(4), g.low(4)),
    "inner": lambda t, F, g: t.inner(g(3, 4), g(2, 4)),
    "inner vectors": lambda t, F, g: t.inner(g(4), g(4)),
    "outer": lambda t, F, g: t.outer(g(3), g(4)),
    "outer mixed": lambda t, F, g: t.outer(g(3), g.low(4)),
    "outer low": lambda t, F, g: t.outer(g.low(3), g.low(4)),
    "addmm": lambda t, F, g: t.addmm(g(3, 2), g(3, 4), g(4, 2)),
    "addmm row": lambda t, F, g: t.addmm(g(2), g(3, 4), g(4, 2), beta=0.5, alpha=2),
    "addmm mixed": lambda t, F, g: t.addmm(g.low(3, 2), g(3, 4), g.low(4, 2)),
    "addmm float64": lambda t, F, g: t.addmm(g(3, 2).double(), g(3, 4).double(), g(4, 2).double()),
    "addmv": lambda t, F, g: t.addmv(g(3), g(3, 4), g(4)),
    "addr": lambda t, F, g: t.addr(g(3, 4), g(3), g(4)),
    "baddbmm": lambda t, F, g: t.baddbmm(g(2, 3, 2), g(2, 3, 4), g(2, 4, 2)),
    "addbmm": lambda t, F, g: t.addbmm(g(3, 2), g(2, 3, 4), g(2, 4, 2)),
    "addmm method": lambda t, F, g: g(3, 2).addmm(g(3, 4), g(4, 2)),
    "einsum": lambda t, F, g: t.einsum("ij,kj->ik", g(3, 4), g(2, 4)),
    "einsum one": lambda t, F, g: t.einsum("ij->j", g(3, 4)),
    "einsum three": lambda t, F, g: t.einsum("ij,jk,kl->il", g(3, 4), g(4, 2), g(2, 3)),
    "einsum mixed": lambda t, F, g: t.einsum("bij,bjk->bik", g(2, 3, 4), g.low(2, 4, 2)),
    "einsum outer": lambda t, F, g: t.einsum("i,j->ij", g(3), g(4)),
    "einsum elementwise": lambda t, F, g: t.einsum("ij,ij->ij", g(3, 4), g(3, 4)),
    "tensordot": lambda t, F, g: t.tensordot(g(3, 4), g(4, 2), dims=1),
    "chain_matmul": lambda t, F, g: t.linalg.multi_dot([g(3, 4), g(4, 2), g(2, 5)]),
    "matrix_power": lambda t, F, g: t.linalg.matrix_power(g(3, 3), 3),
    "matrix_power low": lambda t, F, g: t.linalg.matrix_power(g.low(3, 3), 2),
    "vecdot": lambda t, F, g: t.linalg.vecdot(g(3, 4), g(3, 4)),
    "vecdot mixed": lambda t, F, g: t.linalg.vecdot(g(3, 4), g.low(3, 4)),
    "kron": lambda t, F, g: t.kron(g(2, 2), g(2, 2)),
    "kron mixed": lambda t, F, g: t.kron(g(2, 2), g.low(2, 2)),
    "cross": lambda t, F, g: t.linalg.cross(g(2, 3), g(2, 3)),
    "linear": lambda t, F, g: F.linear(g(3, 4), g(2, 4), g(2)),
    "linear mixed": lambda t, F, g: F.linear(g.low(3, 4), g(2, 4)),
    "bilinear": lambda t, F, g: F.bilinear(g(3, 4), g(3, 2), g(5, 4, 2), g(5)),
    "bilinear low": lambda t, F, g: F.bilinear(g.low(3, 4), g.low(3, 2), g.low(5, 4, 2), g.low(5)),
    "bilinear mixed": lambda t, F, g: F.bilinear(g.low(3, 4), g.low(3, 2), g(5, 4, 2), g(5)),
    "conv1d": lambda t, F, g: F.conv1d(g(2, 3, 8), g(4, 3, 3), g(4)),
    "conv2d": lambda t, F, g: F.conv2d(g(2, 3, 6, 6), g(4, 3, 3, 3), g(4)),
    "conv2d mixed": lambda t, F, g: F.conv2d(g.low(2, 3, 6, 6), g(4, 3, 3, 3)),
    "conv3d": lambda t, F, g: F.conv3d(g(1, 2, 4, 4, 4), g(3, 2, 2, 2, 2)),
    "conv_transpose1d": lambda t, F, g: F.conv_transpose1d(g(2, 3, 5), g(3, 2, 3), g(2)),
    "conv_transpose2d": lambda t, F, g: F.conv_transpose2d(g(2, 3, 4, 4), g(3, 2, 3, 3)),
    "attention": lambda t, F, g: F.scaled_dot_product_attention(g(2, 3, 4), g(2, 5, 4), g(2, 5, 4)),
    "attention mixed": lambda t, F, g: F.scaled_dot_product_attention(g(2, 3, 4), g.low(2, 5, 4), g(2, 5, 4)),
    "attention mask": lambda t, F, g: F.scaled_dot_product_attention(
        g(2, 2, 3, 4), g(2, 2, 3, 4), g(2, 2, 3, 4), attn_mask=g(3, 3).detach()
    ),
    "prelu": lambda t, F, g: F.prelu(g(3, 4), g(4)),
    "prelu mixed": lambda t, F, g: F.prelu(g.low(3, 4), g(1)),
    "prelu low": lambda t, F, g: F.prelu(g.low(3, 4), g.low(4)),
}  # fmt: skip

ELEMENTWISE = {
    "add mixed": lambda t, F, g: g(3, 4) + g.low(3, 4),
    "add low": lambda t, F, g: g.low(3, 4) + g.low(3, 4),
    "sub mixed": lambda t, F, g: g.low(3, 4) - g(4),
    "mul mixed": lambda t, F, g: g(3, 4) * g.low(4),
    "div mixed": lambda t, F, g: g(3, 4) / g.pos(4),
    "mul number": lambda t, F, g: g.low(3, 4) * 2.5 + 1,
    "add 0-d": lambda t, F, g: g.low(3, 4) + g().sum(),
    "mul float64": lambda t, F, g: g.low(3, 4) * g(3, 4).double(),
    "maximum mixed": lambda t, F, g: t.maximum(g(3, 4), g.low(3, 4)),
    "where mixed": lambda t, F, g: t.where(g(3, 4) > 0, g(3, 4), g.low(3, 4)),
    "lerp": lambda t, F, g: t.lerp(g.low(3, 4), g.low(3, 4), 0.3),
    "addcmul": lambda t, F, g: t.addcmul(g.low(3, 4), g.low(3, 4), g.low(3, 4)),
    "addcdiv": lambda t, F, g: t.addcdiv(g.low(3, 4), g.low(3, 4), g.pos(3, 4)),
    "pow": lambda t, F, g: g.pos(3, 4) ** 3,
    "pow tensor": lambda t, F, g: g.pos(3, 4) ** g(3, 4),
    "number pow": lambda t, F, g: 2.0 ** g.low(3, 4),
    "atan2": lambda t, F, g: t.atan2(g.pos(3, 4), g.pos(3, 4)),
    "logaddexp": lambda t, F, g: t.logaddexp(g.low(3, 4), g.low(3, 4)),
    "clamp": lambda t, F, g: g.low(3, 4).clamp(-1, 1),
    "in place": lambda t, F, g: (g(3, 4) * 1).mul_(g.low(3, 4)),
    **{name: lambda t, F, g, name=name: getattr(t, name)(g.pos(3, 4)) for name in UNARY.split()},
    **{name: lambda t, F, g, name=name: getattr(F, name)(g.low(3, 4)) for name in ACTIVATIONS.split()},
    **{f"{name} of float32": lambda t, F, g, name=name: getattr(F, name)(g(3, 4)) for name in ("relu", "gelu", "silu")},
}

ROWS = {
    "softmax": lambda t, F, g: F.softmax(g.low(3, 4), -1),
    "softmax float32": lambda t, F, g: F.softmax(g(3, 4), -1),
    "softmax dtype": lambda t, F, g: F.softmax(g.low(3, 4), -1, dtype=t.float32),
    "log_softmax": lambda t, F, g: F.log_softmax(g.low(3, 4), -1),
    "softmin": lambda t, F, g: F.softmin(g.low(3, 4), -1),
    "logsumexp": lambda t, F, g: t.logsumexp(g.low(3, 4), -1),
    "cumsum": lambda t, F, g: g.low(3, 4).cumsum(1),
    "cumprod": lambda t, F, g: g.low(3, 4).cumprod(1),
    "sum": lambda t, F, g: g.low(3, 4).sum(),
    "sum dim": lambda t, F, g: g.low(3, 4).sum(1),
    "mean": lambda t, F, g: g.low(3, 4).mean(),
    "prod": lambda t, F, g: g.low(3, 4).prod(),
    "prod dim": lambda t, F, g: g.low(3, 4).prod(1),
    "prod dtype": lambda t, F, g: g.low(3, 4).prod(1, dtype=t.float64),
    "prod float32": lambda t, F, g: g(3, 4).prod(),
    "var": lambda t, F, g: g.low(3, 4).var(1),
    "std": lambda t, F, g: g.low(3, 4).std(),
    "var_mean": lambda t, F, g: t.var_mean(g.low(3, 4)),
    "amax": lambda t, F, g: g.low(3, 4).amax(1),
    "max": lambda t, F, g: g.low(3, 4).max(1)[0],
    "median": lambda t, F, g: g.low(3, 5).median(),
    "quantile": lambda t, F, g: t.quantile(g.low(3, 4), 0.3),
    "quantile dim": lambda t, F, g: t.quantile(g.low(3, 4), 0.3, dim=1),
    "quantile float32": lambda t, F, g: t.quantile(g(3, 4), 0.3),
    "nanquantile": lambda t, F, g: t.nanquantile(g.low(3, 4), 0.3),
    "trace": lambda t, F, g: t.trace(g.low(3, 3)),
    "trace float32": lambda t, F, g: t.trace(g(3, 3)),
    "sort": lambda t, F, g: g.low(3, 4).sort(1)[0],
    "topk": lambda t, F, g: g.low(3, 4).topk(2, 1)[0],
    "norm": lambda t, F, g: g.low(3, 4).norm(),
    "norm 1": lambda t, F, g: g.low(3, 4).norm(p=1, dim=1),
    "vector_norm": lambda t, F, g: t.linalg.vector_norm(g.low(3, 4), 3),
    "matrix_norm": lambda t, F, g: t.linalg.matrix_norm(g.low(3, 4)),
    "matrix_norm nuc": lambda t, F, g: t.linalg.matrix_norm(g.square(3), "nuc"),
    "linalg norm 2": lambda t, F, g: t.linalg.norm(g.square(3), 2),
    "normalize": lambda t, F, g: F.normalize(g.low(3, 4), dim=1),
    "layer_norm": lambda t, F, g: F.layer_norm(g.low(3, 4), (4,), g.low(4), g.low(4)),
    "layer_norm mixed": lambda t, F, g: F.layer_norm(g.low(3, 4), (4,), g(4), g(4)),
    "layer_norm float32": lambda t, F, g: F.layer_norm(g(3, 4), (4,), g(4), g(4)),
    "layer_norm bare": lambda t, F, g: F.layer_norm(g.low(3, 4), (4,)),
    "rms_norm": lambda t, F, g: F.rms_norm(g.low(3, 4), (4,), g.low(4)),
    "rms_norm mixed": lambda t, F, g: F.rms_norm(g.low(3, 4), (4,), g(4)),
    "group_norm": lambda t, F, g: F.group_norm(g.low(2, 4, 3), 2, g.low(4), g.low(4)),
    "group_norm mixed": lambda t, F, g: F.group_norm(g.low(2, 4, 3), 2, g(4), g(4)),
    "batch_norm": lambda t, F, g: F.batch_norm(g.low(5, 4), t.zeros(4), t.ones(4), g(4), g(4), training=True),
    "batch_norm bare": lambda t, F, g: F.batch_norm(g.low(5, 4), None, None, training=True),
    "instance_norm": lambda t, F, g: F.instance_norm(g.low(2, 3, 5), weight=g(3), bias=g(3)),
    "instance_norm bare": lambda t, F, g: F.instance_norm(g.low(2, 3, 5)),
    "local_response_norm": lambda t, F, g: F.local_response_norm(g.low(2, 4, 5), 2),
    "cdist": lambda t, F, g: t.cdist(g.low(3, 4), g.low(2, 4)),
    "cdist mixed": lambda t, F, g: t.cdist(g.low(3, 4), g(2, 4)),
    "pdist float32": lambda t, F, g: F.pdist(g(3, 4)),
    "pairwise_distance": lambda t, F, g: F.pairwise_distance(g.low(3, 4), g.low(3, 4)),
    "cosine_similarity": lambda t, F, g: F.cosine_similarity(g.low(3, 4), g.low(3, 4)),
    "cosine_similarity mixed": lambda t, F, g: F.cosine_similarity(g.low(3, 4), g(3, 4)),
    "dist": lambda t, F, g: t.dist(g.low(3, 4), g.low(3, 4)),
    "renorm": lambda t, F, g: t.renorm(g.low(3, 4), 2, 0, 1.0),
    "cov": lambda t, F, g: t.cov(g.low(3, 4)),
    "corrcoef": lambda t, F, g: t.corrcoef(g.low(3, 4)),
}

PLACES = {
    "cat": lambda t, F, g: t.cat([g(3, 4), g.low(2, 4)]),
    "cat low": lambda t, F, g: t.cat([g.low(3, 4), g.low(2, 4)]),
    "stack": lambda t, F, g: t.stack([g(3, 4), g.low(3, 4)]),
    "stack float64": lambda t, F, g: t.stack([g(3).double(), g.low(3)]),
    "hstack": lambda t, F, g: t.hstack([g(3, 4), g.low(3, 2)]),
    "index_copy": lambda t, F, g: g(3, 4).index_copy(0, t.tensor([0, 2]), g.low(2, 4)),
    "index_copy low": lambda t, F, g: g.low(3, 4).index_copy(0, t.tensor([0, 2]), g(2, 4)),
    "gather": lambda t, F, g: g.low(3, 4).gather(1, t.tensor([[0], [1], [2]])),
    "embedding": lambda t, F, g: F.embedding(g.classes(5), g(3, 4)),
    "embedding_bag": lambda t, F, g: F.embedding_bag(g.classes(2, 3), g(3, 4)),
    "one row": lambda t, F, g: g.low(3, 4)[1],
    "pad constant": lambda t, F, g: F.pad(g.low(2, 3, 4), (1, 1)),
    **{
        f"pad {mode} {n}d": lambda t, F, g, mode=mode, n=n: F.pad(g.low(2, 3, *[4] * n), (1, 2) * n, mode=mode)
        for mode in ("reflect", "replicate", "circular")
        for n in (1, 2, 3)
    },
    "max_pool1d": lambda t, F, g: F.max_pool1d(g.low(2, 3, 6), 2),
    "max_pool2d": lambda t, F, g: F.max_pool2d(g.low(2, 3, 6, 6), 2),
    "max_pool3d": lambda t, F, g: F.max_pool3d(g.low(1, 2, 4, 4, 4), 2),
    "max_unpool2d": lambda t, F, g: F.max_unpool2d(*F.max_pool2d(g.low(2, 3, 6, 6), 2, return_indices=True), 2),
    "max_unpool1d": lambda t, F, g: F.max_unpool1d(*F.max_pool1d(g.low(2, 3, 6), 2, return_indices=True), 2),
    "avg_pool1d": lambda t, F, g: F.avg_pool1d(g.low(2, 3, 6), 2),
    "avg_pool2d": lambda t, F, g: F.avg_pool2d(g.low(2, 3, 6, 6), 2),
    "avg_pool3d": lambda t, F, g: F.avg_pool3d(g.low(1, 2, 4, 4, 4), 2),
    "lp_pool2d": lambda t, F, g: F.lp_pool2d(g.pos(2, 3, 6, 6), 2, 2),
    "adaptive_avg_pool1d": lambda t, F, g: F.adaptive_avg_pool1d(g.low(2, 3, 6), 2),
    "adaptive_avg_pool2d": lambda t, F, g: F.adaptive_avg_pool2d(g.low(2, 3, 6, 6), 2),
    "adaptive_avg_pool3d": lambda t, F, g: F.adaptive_avg_pool3d(g.low(1, 2, 4, 4, 4), 2),
    "adaptive_max_pool2d": lambda t, F, g: F.adaptive_max_pool2d(g.low(2, 3, 6, 6), 2),
    "adaptive_max_pool3d": lambda t, F, g: F.adaptive_max_pool3d(g.low(1, 2, 4, 4, 4), 2),
    "interpolate nearest": lambda t, F, g: F.interpolate(g.low(2, 3, 4, 4), scale_factor=2),
    "interpolate linear": lambda t, F, g: F.interpolate(g.low(2, 3, 4), scale_factor=2, mode="linear"),
    "interpolate bilinear": lambda t, F, g: F.interpolate(g.low(2, 3, 4, 4), scale_factor=2, mode="bilinear"),
    "interpolate bicubic": lambda t, F, g: F.interpolate(g.low(2, 3, 4, 4), scale_factor=2, mode="bicubic"),
    "interpolate trilinear": lambda t, F, g: F.interpolate(g.low(1, 2, 3, 3, 3), scale_factor=2, mode="trilinear"),
    "interpolate area": lambda t, F, g: F.interpolate(g.low(2, 3, 4, 4), size=(2, 2), mode="area"),
    "unfold": lambda t, F, g: F.unfold(g.low(2, 3, 4, 4), 2),
    "fold": lambda t, F, g: F.fold(g.low(2, 12, 9), (4, 4), 2),
    "pixel_shuffle": lambda t, F, g: F.pixel_shuffle(g.low(2, 4, 3, 3), 2),
}

LOSSES = {
    f"{name} {reduction} {kind}": lambda t, F, g, f=f, reduction=reduction, kind=kind: f(
        F, g, g.low if kind == "low" else g, reduction
    )
    for name, f in {
        "mse_loss": lambda F, g, x, r: F.mse_loss(x(3, 4), g.low(3, 4), reduction=r),
        "l1_loss": lambda F, g, x, r: F.l1_loss(x(3, 4), g.low(3, 4), reduction=r),
        "smooth_l1_loss": lambda F, g, x, r: F.smooth_l1_loss(x(3, 4), g.low(3, 4), reduction=r),
        "huber_loss": lambda F, g, x, r: F.huber_loss(x(3, 4), g.low(3, 4), reduction=r),
        "kl_div": lambda F, g, x, r: F.kl_div(x(3, 4), g.pos(3, 4), reduction=r),
        "kl_div log": lambda F, g, x, r: F.kl_div(x(3, 4), g.low(3, 4), reduction=r, log_target=True),
        "poisson_nll_loss": lambda F, g, x, r: F.poisson_nll_loss(x(3, 4), g.pos(3, 4), reduction=r),
        "gaussian_nll_loss": lambda F, g, x, r: F.gaussian_nll_loss(x(3, 4), g.low(3, 4), g.pos(3, 4), reduction=r),
        "nll_loss": lambda F, g, x, r: F.nll_loss(x(4, 3), g.classes(4), reduction=r),
        "nll_loss weight": lambda F, g, x, r: F.nll_loss(x(4, 3), g.classes(4), g.pos(3).detach(), reduction=r),
        "nll_loss 2d": lambda F, g, x, r: F.nll_loss(x(2, 3, 4, 4), g.classes(2, 4, 4), reduction=r),
        "cross_entropy": lambda F, g, x, r: F.cross_entropy(x(4, 3), g.classes(4), reduction=r),
        "cross_entropy weight": lambda F, g, x, r: F.cross_entropy(
            x(4, 3), g.classes(4), g.pos(3).detach().float(), reduction=r
        ),
        "cross_entropy smooth": lambda F, g, x, r: F.cross_entropy(
            x(4, 3), g.classes(4), reduction=r, label_smoothing=0.1
        ),
        "cross_entropy soft": lambda F, g, x, r: F.cross_entropy(x(4, 3), g.pos(4, 3), reduction=r),
        "cross_entropy soft float32": lambda F, g, x, r: F.cross_entropy(x(4, 3), g(4, 3), reduction=r),
        "binary_cross_entropy": lambda F, g, x, r: F.binary_cross_entropy(g.pos(3, 4), g.pos(3, 4), reduction=r),
        "binary_cross_entropy_with_logits": lambda F, g, x, r: F.binary_cross_entropy_with_logits(
            x(3, 4), g.pos(3, 4), reduction=r
        ),
        "soft_margin_loss": lambda F, g, x, r: F.soft_margin_loss(x(3, 4), g.signs(3, 4), reduction=r),
        "hinge_embedding_loss": lambda F, g, x, r: F.hinge_embedding_loss(x(3, 4), g.signs(3, 4), reduction=r),
        "margin_ranking_loss": lambda F, g, x, r: F.margin_ranking_loss(x(4), g.low(4), g.signs(4), 0.1, reduction=r),
        "multi_margin_loss": lambda F, g, x, r: F.multi_margin_loss(x(4, 3), g.classes(4), reduction=r),
        "multilabel_margin_loss": lambda F, g, x, r: F.multilabel_margin_loss(
            x(2, 3), g.lib.tensor([[0, 2, -1], [1, -1, 0]]), reduction=r
        ),
        "multilabel_soft_margin_loss": lambda F, g, x, r: F.multilabel_soft_margin_loss(
            x(3, 4), g.pos(3, 4), reduction=r
        ),
        "cosine_embedding_loss": lambda F, g, x, r: F.cosine_embedding_loss(
            x(3, 4), g.low(3, 4), g.signs(3), reduction=r
        ),
        "triplet_margin_loss": lambda F, g, x, r: F.triplet_margin_loss(x(3, 4), g.low(3, 4), g.low(3, 4), reduction=r),
        "triplet_margin_with_distance_loss": lambda F, g, x, r: F.triplet_margin_with_distance_loss(
            x(3, 4), g.low(3, 4), g.low(3, 4), reduction=r
        ),
        "ctc_loss": lambda F, g, x, r: F.ctc_loss(
            F.log_softmax(x(5, 2, 3), -1), g.lib.tensor([[1, 2], [2, 1]]), (5, 5), (2, 2), reduction=r
        ),
    }.items()
    for reduction in ("none", "mean")
    for kind in ("low", "float32")
}

LINALG = {
    "inv": lambda t, F, g: t.linalg.inv(g.square(3)),
    "inverse": lambda t, F, g: t.inverse(g.square(3)),
    "inv_ex": lambda t, F, g: t.linalg.inv_ex(g.square(3)),
    "pinv": lambda t, F, g: t.linalg.pinv(g.square(3)),
    "pinverse": lambda t, F, g: t.pinverse(g.square(3)),
    "det": lambda t, F, g: t.linalg.det(g.square(3)),
    "slogdet": lambda t, F, g: t.linalg.slogdet(g.square(3)),
    "logdet": lambda t, F, g: t.logdet(g.square(3)),
    "solve": lambda t, F, g: t.linalg.solve(g.square(3), g.low(3, 2)),
    "solve mixed": lambda t, F, g: t.linalg.solve(g.square(3), g(3, 2)),
    "solve_triangular": lambda t, F, g: t.linalg.solve_triangular(g.square(3), g.low(3, 2), upper=True),
    "triangular_solve": lambda t, F, g: t.triangular_solve(g.low(3, 2), g.square(3)),
    "lstsq": lambda t, F, g: t.linalg.lstsq(g.square(3), g.low(3, 2))[0],
    "cholesky": lambda t, F, g: t.linalg.cholesky(g.spd(3)),
    "old cholesky": lambda t, F, g: t.cholesky(g.spd(3)),
    "cholesky_ex": lambda t, F, g: t.linalg.cholesky_ex(g.spd(3)),
    "cholesky_solve": lambda t, F, g: t.cholesky_solve(g.low(3, 2), g.square(3).tril()),
    "cholesky_inverse": lambda t, F, g: t.cholesky_inverse(g.square(3).tril()),
    "qr": lambda t, F, g: t.linalg.qr(g.square(3)),
    "old qr": lambda t, F, g: t.qr(g.square(3)),
    "svd values": lambda t, F, g: t.linalg.svd(g.square(3))[1],
    "old svd values": lambda t, F, g: t.svd(g.square(3))[1],
    "svdvals": lambda t, F, g: t.linalg.svdvals(g.square(3)),
    "eigh values": lambda t, F, g: t.linalg.eigh(g.spd(3))[0],
    "eigvalsh": lambda t, F, g: t.linalg.eigvalsh(g.spd(3)),
    "matrix_exp float32": lambda t, F, g: t.linalg.matrix_exp(g(3, 3)),
    "cond": lambda t, F, g: t.linalg.cond(g.square(3)),
    "matrix_rank": lambda t, F, g: t.linalg.matrix_rank(g.square(3)),
    "tensorinv": lambda t, F, g: t.linalg.tensorinv(g.square(4).reshape(2, 2, 4)),
    "tensorsolve": lambda t, F, g: t.linalg.tensorsolve(g.square(4).reshape(2, 2, 4), g.low(2, 2)),
    "inv float32": lambda t, F, g: t.linalg.inv(g.square(3).float()),
    "inv float64": lambda t, F, g: t.linalg.inv(g.square(3).double()),
}

LAYERS = {
    "Linear": lambda t, F, g: layer(g, lambda nn: nn.Linear(4, 3), g(2, 4)),
    "Conv2d": lambda t, F, g: layer(g, lambda nn: nn.Conv2d(2, 3, 3), g(2, 2, 5, 5)),
    "Conv2d circular": lambda t, F, g: layer(g, lambda nn: nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular"), g(2, 2, 5, 5)),
    "ConvTranspose2d": lambda t, F, g: layer(g, lambda nn: nn.ConvTranspose2d(2, 3, 3), g(2, 2, 5, 5)),
    "RNN": lambda t, F, g: layer(g, lambda nn: nn.RNN(3, 4), g(5, 2, 3)),
    "LSTM": lambda t, F, g: layer(g, lambda nn: nn.LSTM(3, 4), g(5, 2, 3), then=flat),
    "LSTM layers": lambda t, F, g: layer(g, lambda nn: nn.LSTM(3, 4, num_layers=2, bidirectional=True), g(5, 2, 3), then=flat),
    "LSTM low": lambda t, F, g: layer(g, lambda nn: nn.LSTM(3, 4), g.low(5, 2, 3), then=flat),
    "LSTM state": lambda t, F, g: layer(g, lambda nn: nn.LSTM(3, 4), g(5, 2, 3), (g(1, 2, 4), g(1, 2, 4)), then=flat),
    "GRU": lambda t, F, g: layer(g, lambda nn: nn.GRU(3, 4), g(5, 2, 3)),
    "LSTMCell": lambda t, F, g: layer(g, lambda nn: nn.LSTMCell(3, 4), g(2, 3)),
    "LSTMCell state": lambda t, F, g: layer(g, lambda nn: nn.LSTMCell(3, 4), g(2, 3), (g(2, 4), g(2, 4))),
    "GRU low": lambda t, F, g: layer(g, lambda nn: nn.GRU(3, 4), g.low(5, 2, 3)),
    "GRU layers": lambda t, F, g: layer(g, lambda nn: nn.GRU(3, 4, num_layers=2, bidirectional=True), g(5, 2, 3)),
    "RNN low": lambda t, F, g: layer(g, lambda nn: nn.RNN(3, 4), g.low(5, 2, 3)),
    "GRUCell": lambda t, F, g: layer(g, lambda nn: nn.GRUCell(3, 4), g(2, 3)),
    "GRUCell state": lambda t, F, g: layer(g, lambda nn: nn.GRUCell(3, 4), g(2, 3), g(2, 4)),
    "RNNCell": lambda t, F, g: layer(g, lambda nn: nn.RNNCell(3, 4), g(2, 3)),
    "MultiheadAttention": lambda t, F, g: layer(g, lambda nn: nn.MultiheadAttention(4, 2), *[g(3, 2, 4)] * 3),
    "MultiheadAttention lean": lambda t, F, g: layer(g, lambda nn: nn.MultiheadAttention(4, 2), *[g(3, 2, 4)] * 3, then=lambda out: out[0]),
    "TransformerEncoderLayer": lambda t, F, g: layer(g, lambda nn: nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0), g(3, 2, 4)),
    "PReLU": lambda t, F, g: layer(g, lambda nn: nn.Sequential(nn.Linear(4, 3), nn.PReLU()), g(2, 4)),
    "LayerNorm after Linear": lambda t, F, g: layer(g, lambda nn: nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3)), g(2, 4)),
    "BatchNorm2d after Conv2d": lambda t, F, g: layer(g, lambda nn: nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)), g(2, 2, 5, 5)),
    "Bilinear": lambda t, F, g: layer(g, lambda nn: nn.Bilinear(4, 3, 2), g(2, 4), g(2, 3)),
    "Embedding and Linear": lambda t, F, g: layer(g, lambda nn: nn.Sequential(nn.Embedding(3, 4), nn.Linear(4, 2)), g.classes(5)),
}  # fmt: skip

TABLES = {
    "products": PRODUCTS, "elementwise": ELEMENTWISE, "rows": ROWS, "places": PLACES, "losses": LOSSES, "linalg": LINALG,
    "layers": LAYERS,
}  # fmt: skip
