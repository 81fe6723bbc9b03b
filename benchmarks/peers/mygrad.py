"""MyGrad: tensors over NumPy with `backward()`, memory guarding off (its documented setting for speed).

MyGrad has no erf, so the exact GELU is an operation of one's own, as its documentation shows; fused like MyGrad's own
softmax_crossentropy. The optimizers are plain NumPy on the tensors' arrays.
"""

import math

import mygrad as mg
import numpy as np
from mygrad.nnet.activations import relu, softmax
from mygrad.nnet.losses import softmax_crossentropy
from mygrad.operation_base import Operation
from scipy.special import erf

from benchmarks import elementwise, gpt, mlp
from benchmarks.peers.numpy_optim import SGD, AdamW

mg.turn_memory_guarding_off()


class GELU(Operation):
    """x times the normal distribution function at x."""

    def __call__(self, x):
        self.variables = (x,)
        self.below = 0.5 * (1 + erf(x.data * math.sqrt(0.5)))
        return x.data * self.below

    def backward_var(self, grad, index, **kwargs):
        x = self.variables[0].data
        return grad * (self.below + x * np.exp(-0.5 * x * x) * (1 / math.sqrt(2 * math.pi)))


def gelu(x):
    return mg.execute_op(GELU, x)


def build(name):
    """(step, check values: the first loss, and of W1s the norm of its gradient)."""
    return {"W1s": lambda: train_gpt(gpt.SIZES["W1s"]), "W2": train_mlp, "W4": chain}[name]()


def layer_norm(x, w):
    x = x - mg.mean(x, -1, keepdims=True)
    return x / mg.sqrt(mg.mean(x * x, -1, keepdims=True) + 1e-5) * w


def gpt_loss(p, x, y, layers, heads, hidden):
    n, t = x.shape
    h = p["wte.weight"][x] + p["wpe.weight"]
    for i in range(layers):
        name = f"blocks.{i}."
        qkv = mg.matmul(layer_norm(h, p[name + "ln1.weight"]), p[name + "attn.qkv.weight"].T)
        qkv = qkv.reshape(n, t, 3, heads, -1).transpose(2, 0, 3, 1, 4)
        q, k, v = qkv[0], qkv[1], qkv[2]
        scores = mg.matmul(q, mg.swapaxes(k, -1, -2)) * (q.shape[-1] ** -0.5) + hidden
        a = mg.matmul(softmax(scores), v).transpose(0, 2, 1, 3).reshape(n, t, -1)
        h = h + mg.matmul(a, p[name + "attn.proj.weight"].T)
        a = gelu(mg.matmul(layer_norm(h, p[name + "ln2.weight"]), p[name + "mlp.fc.weight"].T))
        h = h + mg.matmul(a, p[name + "mlp.proj.weight"].T)
    logits = mg.matmul(layer_norm(h, p["ln_f.weight"]), p["wte.weight"].T)
    return softmax_crossentropy(logits.reshape(n * t, -1), y.reshape(-1))


def train_gpt(size):
    values, x, y = gpt.data(size)
    p = {k: mg.tensor(v) for k, v in values.items()}
    optimizer = AdamW({k: v.data for k, v in p.items()})
    t = x.shape[1]
    hidden = np.where(np.tril(np.ones((t, t), bool)), 0, -np.inf).astype(np.float32)

    def step():
        loss = gpt_loss(p, x, y, size["layers"], size["heads"], hidden)
        loss.backward()
        return loss.item(), optimizer.step({k: v.grad for k, v in p.items()})

    return step, [*step()]


def train_mlp():
    values, x, t = mlp.data()
    p = [mg.tensor(v) for v in values]
    optimizer = SGD([v.data for v in p])

    def step():
        h = x
        for i in range(0, len(p), 2):
            h = mg.matmul(h, p[i].T) + p[i + 1]
            h = relu(h) if i < len(p) - 2 else h
        loss = softmax_crossentropy(h, t)
        loss.backward()
        optimizer.step([v.grad for v in p])
        return loss.item()

    return step, [step()]


def chain():
    x, y = (mg.tensor(a) for a in elementwise.data())

    def step():
        z = x
        for _ in range(elementwise.OPS // 4):
            z = z * y
            z = z + x
            z = mg.tanh(z)
            z = z - y
        z = z.sum()
        z.backward()
        return z

    return step, [step().item(), float(x.grad.sum()), float(y.grad.sum())]
