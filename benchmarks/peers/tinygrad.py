"""tinygrad: its own functions and optimizers, and one TinyJit around the whole step. Its CPU device needs clang.

It is not asked for W4, a chain of a thousand operations, which it had not compiled after four minutes.
"""

from tinygrad import Context, Tensor, TinyJit, nn

from benchmarks import gpt, mlp


def build(name):
    """(step, check values: the first loss, and of W1s the norm of its gradient)."""
    return {"W1s": lambda: train_gpt(gpt.SIZES["W1s"]), "W2": train_mlp}[name]()


def training(update):
    """(step, check values) of a function that trains once and returns tensors."""
    run = TinyJit(update)

    def step():
        with Context(TRAINING=1):
            return [t.item() for t in run()]

    first = step()
    step(), step()  # it records in the second call, and compiles
    return step, first


# ---------------------------------------------------------------- W1s
def layer_norm(x, w):
    return x.layernorm(eps=1e-5) * w


def gelu(x):
    return x * 0.5 * (1 + (x * 0.7071067811865476).erf())


def gpt_loss(p, x, y, layers, heads):
    n, t = x.shape
    h = p["wte.weight"][x] + p["wpe.weight"]
    for i in range(layers):
        name = f"blocks.{i}."
        qkv = layer_norm(h, p[name + "ln1.weight"]) @ p[name + "attn.qkv.weight"].T
        q, k, v = (a.reshape(n, t, heads, -1).transpose(1, 2) for a in qkv.chunk(3, -1))
        a = q.scaled_dot_product_attention(k, v, is_causal=True).transpose(1, 2).reshape(n, t, -1)
        h = h + a @ p[name + "attn.proj.weight"].T
        a = layer_norm(h, p[name + "ln2.weight"]) @ p[name + "mlp.fc.weight"].T
        h = h + gelu(a) @ p[name + "mlp.proj.weight"].T
    return (layer_norm(h, p["ln_f.weight"]) @ p["wte.weight"].T).sparse_categorical_crossentropy(y)


def train_gpt(size):
    values, x, y = gpt.data(size)
    p = {k: Tensor(v) for k, v in values.items()}
    x, y = Tensor(x), Tensor(y)
    optimizers = [nn.optim.AdamW([a for a in p.values() if (a.ndim > 1) == matrices], lr=gpt.LR, b1=gpt.BETAS[0],
                                 b2=gpt.BETAS[1], eps=1e-8, weight_decay=gpt.DECAY if matrices else 0.0)
                  for matrices in (True, False)]  # fmt: skip
    optimizer = nn.optim.OptimizerGroup(*optimizers)

    def update():
        optimizer.zero_grad()
        loss = gpt_loss(p, x, y, size["layers"], size["heads"]).backward()
        norm = sum((a.grad.square().sum() for a in p.values()), Tensor(0.0)).sqrt()
        Tensor.realize(loss, norm, *[a.grad for a in p.values()])  # before the step changes what they are made of
        shrink = (gpt.CLIP / (norm + 1e-6)).minimum(1.0)
        for a in p.values():
            a.grad = a.grad * shrink
        optimizer.step()
        return loss, norm

    return training(update)


# ---------------------------------------------------------------- W2
def train_mlp():
    values, x, t = mlp.data()
    p, x, t = [Tensor(v) for v in values], Tensor(x), Tensor(t)
    optimizer = nn.optim.SGD(p, lr=mlp.LR, momentum=mlp.MOMENTUM)

    def update():
        optimizer.zero_grad()
        h = x
        for i in range(0, len(p), 2):
            h = h @ p[i].T + p[i + 1]
            h = h.relu() if i < len(p) - 2 else h
        loss = h.sparse_categorical_crossentropy(t).backward()
        Tensor.realize(loss, *[a.grad for a in p])  # before the step changes what they are made of
        optimizer.step()
        return (loss,)

    return training(update)
