"""No library: forward, backward and update written out by hand in NumPy, on the same kernels as tensorlite's own.

What is left between these figures and tensorlite's is what modules, recording and the walk back cost: the floor of the engine.
"""

import numpy as np

from benchmarks import elementwise, generation, gpt, mlp
from tensorlite.backend import Device

b = Device("cpu").backend


def build(name):
    """(step, check values: the first loss, and of W1 and W1s the norm of its gradient)."""
    made = {"W2": train_mlp, "W4": chain, "W6": write}
    return made[name]() if name in made else train_gpt(gpt.SIZES[name])


# ---------------------------------------------------------------- W1, W1s
class GPT:
    """The model of gpt.py: `forward` keeps what `backward` needs in a list, block after block."""

    def __init__(self, size):
        self.p, self.x, self.y = gpt.data(size)
        self.dim, self.heads, self.layers = size["dim"], size["heads"], size["layers"]
        self.grads = {k: np.zeros_like(v) for k, v in self.p.items()}
        self.m, self.v = ({k: np.zeros_like(a) for k, a in self.p.items()} for _ in range(2))
        self.count = 0

    def split(self, qkv, n, t):
        """(n t, 3 dim) -> three views (n, heads, t, dim / heads)."""
        return qkv.reshape(n, t, 3, self.heads, -1).transpose(2, 0, 3, 1, 4)

    def forward(self):
        p, (n, t), kept = self.p, self.x.shape, []
        h = (p["wte.weight"][self.x] + p["wpe.weight"][:t]).reshape(n * t, -1)
        for i in range(self.layers):
            name = f"blocks.{i}."
            a, *norm1 = b.layer_norm(h, p[name + "ln1.weight"], None, 1e-5)
            q, k, v = self.split(b.matmul(a, p[name + "attn.qkv.weight"].T), n, t)
            o, lse = b.attention(q, k, v, None, True, q.shape[-1] ** -0.5, None)
            joined = o.transpose(0, 2, 1, 3).reshape(n * t, -1)
            h1 = b.matmul(joined, p[name + "attn.proj.weight"].T)
            h1 += h
            c, *norm2 = b.layer_norm(h1, p[name + "ln2.weight"], None, 1e-5)
            u = b.matmul(c, p[name + "mlp.fc.weight"].T)
            e, slope = b.gelu(u, "none", True)
            h2 = b.matmul(e, p[name + "mlp.proj.weight"].T)
            h2 += h1
            kept.append((h, norm1, a, q, k, v, o, lse, joined, h1, norm2, c, u, e, slope))
            h = h2
        f, *norm = b.layer_norm(h, p["ln_f.weight"], None, 1e-5)
        logits = b.matmul(f, p["wte.weight"].T)
        loss, lse = b.cross_entropy(logits, self.y.reshape(-1), None, 0.0)
        return float(loss.mean()), (kept, h, norm, f, logits, lse)

    def backward(self, kept, h, norm, f, logits, lse):
        p, grads, (n, t), targets = self.p, self.grads, self.x.shape, self.y.reshape(-1)
        share = np.full(len(targets), 1 / len(targets), np.float32)
        g = b.cross_entropy_backward(share, logits, targets, None, 0.0, lse)
        b.matmul(g.T, f, out=grads["wte.weight"])
        g = b.matmul(g, p["wte.weight"])
        only = (True, True, False)  # no biases
        g, grads["ln_f.weight"], _ = b.layer_norm_backward(g, h, p["ln_f.weight"], *norm, only)
        for i in reversed(range(self.layers)):
            h, norm1, a, q, k, v, o, lse, joined, h1, norm2, c, u, e, slope = kept.pop()
            name = f"blocks.{i}."
            b.matmul(g.T, e, out=grads[name + "mlp.proj.weight"])
            gu = b.gelu_backward(b.matmul(g, p[name + "mlp.proj.weight"]), u, slope, "none")
            b.matmul(gu.T, c, out=grads[name + "mlp.fc.weight"])
            gc = b.matmul(gu, p[name + "mlp.fc.weight"])
            gh, grads[name + "ln2.weight"], _ = b.layer_norm_backward(gc, h1, p[name + "ln2.weight"], *norm2, only)
            g += gh
            b.matmul(g.T, joined, out=grads[name + "attn.proj.weight"])
            go = b.matmul(g, p[name + "attn.proj.weight"]).reshape(n, t, self.heads, -1).transpose(0, 2, 1, 3)
            scale = q.shape[-1] ** -0.5
            parts = b.attention_backward(go, q, k, v, None, True, scale, None, o, lse, (True, True, True, False))
            gqkv = np.empty((n, t, 3, self.heads, self.dim // self.heads), np.float32)
            for j, part in enumerate(parts[:3]):
                gqkv[:, :, j] = part.transpose(0, 2, 1, 3)
            gqkv = gqkv.reshape(n * t, -1)
            b.matmul(gqkv.T, a, out=grads[name + "attn.qkv.weight"])
            ga = b.matmul(gqkv, p[name + "attn.qkv.weight"])
            gh, grads[name + "ln1.weight"], _ = b.layer_norm_backward(ga, h, p[name + "ln1.weight"], *norm1, only)
            g += gh
        grads["wte.weight"] += b.embedding_backward(g, self.x.reshape(-1), gpt.VOCABULARY)
        np.sum(g.reshape(n, t, -1), axis=0, out=grads["wpe.weight"])

    def step(self):
        loss, kept = self.forward()
        self.backward(*kept)
        norm = float(b.clip_by_norm(list(self.grads.values()), gpt.CLIP))
        self.count += 1
        for k, p in self.p.items():
            b.adamw_step(p, self.grads[k], self.m[k], self.v[k], lr=gpt.LR, beta1=gpt.BETAS[0], beta2=gpt.BETAS[1],
                         eps=1e-8, weight_decay=gpt.DECAY if p.ndim > 1 else 0.0, step=self.count)  # fmt: skip
        return loss, norm


def train_gpt(size):
    model = GPT(size)
    return model.step, [*model.step()]


# ---------------------------------------------------------------- W2
def train_mlp():
    """Weights, gradients and velocities lie in one array each, so that the update is four calls."""
    values, x, t = mlp.data()
    ends = np.cumsum([p.size for p in values])
    flat, grad, velocity, work = (np.zeros(ends[-1], np.float32) for _ in range(4))
    parts = [[a[e - v.size : e].reshape(v.shape) for v, e in zip(values, ends, strict=True)] for a in (flat, grad)]
    for part, v in zip(parts[0], values, strict=True):
        part[...] = v
    (weights, biases), (g_weights, g_biases) = ((part[0::2], part[1::2]) for part in parts)
    rows, last = np.arange(len(x)), len(weights) - 1

    def step():
        hidden = [x]
        for i, (w, bias) in enumerate(zip(weights, biases, strict=True)):
            h = b.matmul(hidden[-1], w.T)
            h += bias
            hidden.append(np.maximum(h, 0, out=h) if i < last else h)
        loss, lse = b.cross_entropy(h, t, None, 0.0)
        g = np.exp(h - lse[:, None])
        g[rows, t] -= 1
        g /= len(x)
        for i in range(last, -1, -1):
            np.matmul(g.T, hidden[i], out=g_weights[i])
            np.sum(g, axis=0, out=g_biases[i])
            if i:
                g = b.matmul(g, weights[i])
                g *= hidden[i] > 0
        np.multiply(velocity, mlp.MOMENTUM, out=velocity)
        np.add(velocity, grad, out=velocity)
        np.multiply(velocity, mlp.LR, out=work)
        np.subtract(flat, work, out=flat)
        return float(loss.mean())

    return step, [step()]


# ---------------------------------------------------------------- W4
def chain():
    x, y = elementwise.data()

    def step():
        z, kept = x, []
        for _ in range(elementwise.OPS // 4):
            u = z * y
            w = np.tanh(u + x)
            kept.append((z, w))
            z = w - y
        g = np.ones_like(z)
        gx, gy = np.zeros_like(x), np.zeros_like(y)
        for z_in, w in reversed(kept):
            gy -= g
            g = g * (1 - w * w)
            gx += g
            gy += g * z_in
            g = g * y
        gx += g
        return z.sum(), gx, gy

    z, gx, gy = step()
    return step, [float(z), float(gx.sum()), float(gy.sum())]


# ---------------------------------------------------------------- W6
def write():
    size = gpt.SIZES["W1"]
    start, p = generation.data()
    dim, heads, layers = size["dim"], size["heads"], size["layers"]
    cache = np.zeros((layers, 2, heads, size["block"], dim // heads), np.float32)

    def logits(idx, used):
        h, end = p["wte.weight"][idx] + p["wpe.weight"][used : used + len(idx)], used + len(idx)
        for i in range(layers):
            name = f"blocks.{i}."
            a, _, _ = b.layer_norm(h, p[name + "ln1.weight"], None, 1e-5)
            q, k, v = (
                b.matmul(a, p[name + "attn.qkv.weight"].T).reshape(-1, 3, heads, dim // heads).transpose(1, 2, 0, 3)
            )
            cache[i, 0, :, used:end], cache[i, 1, :, used:end] = k, v
            seen = cache[i, :, :, :end]
            o, _ = b.attention(q, seen[0], seen[1], None, len(idx) > 1, q.shape[-1] ** -0.5, None)
            h = h + b.matmul(o.transpose(1, 0, 2).reshape(-1, dim), p[name + "attn.proj.weight"].T)
            a, _, _ = b.layer_norm(h, p[name + "ln2.weight"], None, 1e-5)
            a, _ = b.gelu(b.matmul(a, p[name + "mlp.fc.weight"].T), "none", False)
            h = h + b.matmul(a, p[name + "mlp.proj.weight"].T)
        a, _, _ = b.layer_norm(h[-1:], p["ln_f.weight"], None, 1e-5)
        return b.matmul(a, p["wte.weight"].T)

    def step():
        text, new, used = list(start[0]), start[0], 0
        for _ in range(generation.TOKENS):
            out = logits(new, used)
            used, new = used + len(new), out.argmax(-1)
            text.append(int(new[0]))
        return text

    return step, step()
