"""JAX: a pure function of the parameters, `value_and_grad` of it, and one `jit` around the whole training step."""

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import elementwise, gpt, mlp


def build(name):
    """(step, check values: the first loss, and of W1s the norm of its gradient)."""
    return {"W1s": lambda: train_gpt(gpt.SIZES["W1s"]), "W2": train_mlp, "W4": chain}[name]()


# ---------------------------------------------------------------- W1s
def layer_norm(x, w):
    mean = x.mean(-1, keepdims=True)
    return (x - mean) * jax.lax.rsqrt(((x - mean) ** 2).mean(-1, keepdims=True) + 1e-5) * w


def cross_entropy(logits, targets):
    chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), targets[..., None], -1)
    return -chosen.mean()


def gpt_loss(p, x, y, layers, heads):
    n, t = x.shape
    h = p["wte.weight"][x] + p["wpe.weight"]
    for i in range(layers):
        name = f"blocks.{i}."
        qkv = layer_norm(h, p[name + "ln1.weight"]) @ p[name + "attn.qkv.weight"].T
        q, k, v = (a.reshape(n, t, heads, -1) for a in jnp.split(qkv, 3, -1))
        a = jax.nn.dot_product_attention(q, k, v, is_causal=True).reshape(n, t, -1)
        h = h + a @ p[name + "attn.proj.weight"].T
        a = layer_norm(h, p[name + "ln2.weight"]) @ p[name + "mlp.fc.weight"].T
        h = h + jax.nn.gelu(a, approximate=False) @ p[name + "mlp.proj.weight"].T
    return cross_entropy(layer_norm(h, p["ln_f.weight"]) @ p["wte.weight"].T, y)


def adamw(p, g, m, v, count):
    b1, b2 = gpt.BETAS
    m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
    update = m / (1 - b1**count) / (jnp.sqrt(v / (1 - b2**count)) + 1e-8)
    return p - gpt.LR * (update + (gpt.DECAY if p.ndim > 1 else 0.0) * p), m, v


def train_gpt(size):
    values, x, y = gpt.data(size)
    p = {k: jnp.asarray(v) for k, v in values.items()}
    m, v = jax.tree.map(jnp.zeros_like, p), jax.tree.map(jnp.zeros_like, p)
    x, y, count = jnp.asarray(x), jnp.asarray(y), 0

    @jax.jit
    def update(p, m, v, count):
        loss, g = jax.value_and_grad(gpt_loss)(p, x, y, size["layers"], size["heads"])
        norm = jnp.sqrt(sum((a * a).sum() for a in jax.tree.leaves(g)))
        shrink = jnp.minimum(1.0, gpt.CLIP / (norm + 1e-6))
        new = {k: adamw(p[k], g[k] * shrink, m[k], v[k], count) for k in p}
        return *({k: a[i] for k, a in new.items()} for i in range(3)), loss, norm

    def step():
        nonlocal p, m, v, count
        count += 1
        p, m, v, loss, norm = update(p, m, v, float(count))
        return float(loss), float(norm)

    return step, [*step()]


# ---------------------------------------------------------------- W2, W4
def train_mlp():
    values, x, t = mlp.data()
    p = [jnp.asarray(v) for v in values]
    moments = [jnp.zeros_like(v) for v in p]
    x, t = jnp.asarray(x), jnp.asarray(t)

    def loss_of(p):
        h = x
        for i in range(0, len(p), 2):
            h = h @ p[i].T + p[i + 1]
            h = jax.nn.relu(h) if i < len(p) - 2 else h
        return cross_entropy(h, t)

    @jax.jit
    def update(p, moments):
        loss, g = jax.value_and_grad(loss_of)(p)
        moments = [mlp.MOMENTUM * m + d for m, d in zip(moments, g)]
        return [a - mlp.LR * m for a, m in zip(p, moments)], moments, loss

    def step():
        nonlocal p, moments
        p, moments, loss = update(p, moments)
        return loss.block_until_ready()

    return step, [float(step())]


def chain():
    x, y = (jnp.asarray(a) for a in elementwise.data())

    def total(x, y):
        z = x
        for _ in range(elementwise.OPS // 4):
            z = z * y
            z = z + x
            z = jnp.tanh(z)
            z = z - y
        return z.sum()

    run = jax.jit(jax.value_and_grad(total, (0, 1)))

    def step():
        return jax.block_until_ready(run(x, y))

    z, (gx, gy) = step()
    return step, [float(z), float(np.sum(gx)), float(np.sum(gy))]
