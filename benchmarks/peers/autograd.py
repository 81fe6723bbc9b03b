"""autograd (HIPS): NumPy code, and `value_and_grad` of it; the optimizers are plain NumPy."""

import autograd.numpy as np
from autograd import value_and_grad
from autograd.scipy.special import erf

from benchmarks import elementwise, gpt, mlp
from benchmarks.peers.numpy_optim import SGD, AdamW


def build(name):
    """(step, check values: the first loss, and of W1s the norm of its gradient)."""
    return {"W1s": lambda: train_gpt(gpt.SIZES["W1s"]), "W2": train_mlp, "W4": chain}[name]()


def log_softmax(x):
    x = x - np.max(x, -1, keepdims=True)
    return x - np.log(np.sum(np.exp(x), -1, keepdims=True))


def softmax(x):
    e = np.exp(x - np.max(x, -1, keepdims=True))
    return e / np.sum(e, -1, keepdims=True)


def cross_entropy(logits, targets):
    return -np.mean(log_softmax(logits)[np.arange(len(targets)), targets])


def layer_norm(x, w):
    x = x - np.mean(x, -1, keepdims=True)
    return x / np.sqrt(np.mean(x * x, -1, keepdims=True) + 1e-5) * w


def gelu(x):
    return 0.5 * x * (1 + erf(x * 0.7071067811865476))


def gpt_loss(p, x, y, layers, heads, hidden):
    n, t = x.shape
    h = p["wte.weight"][x] + p["wpe.weight"]
    for i in range(layers):
        name = f"blocks.{i}."
        qkv = np.dot(layer_norm(h, p[name + "ln1.weight"]), p[name + "attn.qkv.weight"].T)
        qkv = np.transpose(np.reshape(qkv, (n, t, 3, heads, -1)), (2, 0, 3, 1, 4))
        q, k, v = qkv[0], qkv[1], qkv[2]
        scores = np.matmul(q, np.swapaxes(k, -1, -2)) * (q.shape[-1] ** -0.5) + hidden
        a = np.reshape(np.transpose(np.matmul(softmax(scores), v), (0, 2, 1, 3)), (n, t, -1))
        h = h + np.dot(a, p[name + "attn.proj.weight"].T)
        a = gelu(np.dot(layer_norm(h, p[name + "ln2.weight"]), p[name + "mlp.fc.weight"].T))
        h = h + np.dot(a, p[name + "mlp.proj.weight"].T)
    logits = np.dot(layer_norm(h, p["ln_f.weight"]), p["wte.weight"].T)
    return cross_entropy(np.reshape(logits, (n * t, -1)), np.reshape(y, -1))


def train_gpt(size):
    p, x, y = gpt.data(size)
    optimizer, run = AdamW(p), value_and_grad(gpt_loss)
    t = x.shape[1]
    hidden = np.where(np.tril(np.ones((t, t), bool)), 0, -np.inf).astype(np.float32)

    def step():
        loss, grads = run(p, x, y, size["layers"], size["heads"], hidden)
        return float(loss), optimizer.step(grads)

    return step, [*step()]


def train_mlp():
    p, x, t = mlp.data()

    def loss_of(p):
        h = x
        for i in range(0, len(p), 2):
            h = np.dot(h, p[i].T) + p[i + 1]
            h = np.maximum(h, 0) if i < len(p) - 2 else h
        return cross_entropy(h, t)

    optimizer, run = SGD(p), value_and_grad(loss_of)

    def step():
        loss, grads = run(p)
        optimizer.step(grads)
        return float(loss)

    return step, [step()]


def chain():
    x, y = elementwise.data()

    def total(xy):
        x, y = xy
        z = x
        for _ in range(elementwise.OPS // 4):
            z = z * y
            z = z + x
            z = np.tanh(z)
            z = z - y
        return np.sum(z)

    run = value_and_grad(total)

    def step():
        return run((x, y))

    z, (gx, gy) = step()
    return step, [float(z), float(gx.sum()), float(gy.sum())]
