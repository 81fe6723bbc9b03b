"""Lessons shipped ready to open: small computations whose backward pass shows one idea each. `lesson(name)` gives the Explanation."""

from dataclasses import dataclass
from pathlib import Path

from tensorlite import errors
from tensorlite.backend import dtypes
from tensorlite.creation import tensor
from tensorlite.explainer.builder import explain
from tensorlite.explainer.explanation import Explanation
from tensorlite.explainer.expression import Reader
from tensorlite.modes import enable_grad
from tensorlite.tensor import Tensor


@dataclass(frozen=True)
class Lesson:
    """A computation as lines of code, in texts of two languages."""

    inputs: tuple  # (name, numbers, whether it requires grad)
    lines: tuple
    title: tuple  # English, Chinese
    intro: tuple
    wrong_order: bool = False


def _scalars(**values):
    return tuple((name, value, True) for name, value in values.items())


TOKENS = ((1.0, 0.2), (-0.4, 0.9), (0.6, -0.5), (0.3, 0.8), (-0.7, 0.1), (0.5, 0.5))  # six tokens of two numbers
W_Q, W_K, W_V = ((0.9, -0.3), (0.4, 0.8)), ((0.7, 0.5), (-0.2, 1.0)), ((1.0, 0.3), (-0.5, 0.6))

LESSONS = {
    "neuron": Lesson(
        _scalars(x1=2.0, w1=-3.0, x2=0.5, w2=1.0, b=6.2),
        ("u = x1 * w1", "v = x2 * w2", "s = u + v", "n = s + b", "L = tanh(n)"),
        ("one neuron", "一个神经元"),
        (
            "Five numbers go in, one comes out. Walking back, each operation multiplies what comes from above by its own slope.",
            "五个数进去，一个数出来。往回走时，每个运算把上游的梯度乘以自己的斜率。",
        ),
    ),
    "fan-out": Lesson(
        _scalars(a=2.0, b=3.0),
        ("p = a * b", "L = p + a"),
        ("used twice: a·b + a", "用了两次：a·b + a"),
        (
            "a is used twice, so two shares arrive, and its gradient is their sum.",
            "a 用了两次，所以有两份梯度到达，它的梯度是两份之和。",
        ),
    ),
    "why-order-matters": Lesson(
        _scalars(a=3.0),
        ("b = a + a", "c = b + b"),
        ("why order matters", "为什么顺序重要"),
        (
            "b may hand on only when both of its shares are in. The button shows what comes out when it does not wait.",
            "b 必须等两份梯度都到齐才能往下传。按钮演示不等会得到什么。",
        ),
        True,
    ),
    "broadcast": Lesson(
        (("X", ((1.0, -2.0, 0.5), (0.0, 1.5, -1.0)), True), ("b", (0.5, 1.0, -0.5), True)),
        ("Y = X + b", "Z = Y * Y", "L = sum(Z)"),
        ("broadcasting backwards", "广播的反向"),
        (
            "b is added to every row. What was repeated on the way forward is summed on the way back.",
            "b 加到每一行。前向时重复的，反向时求和。",
        ),
    ),
    "softmax": Lesson(
        (("z", (2.0, 1.0, -1.0), True), ("y", (0.0, 1.0, 0.0), False)),
        ("p = softmax(z, dim=0)", "l = log(p)", "m = y * l", "s = sum(m)", "L = -s"),
        ("softmax and cross-entropy: p − y", "softmax 与交叉熵：p − y"),
        (
            "Three scores, the right answer is the second. Watch what is left on z in the end: just p − y.",
            "三个分数，正确答案是第二个。看最后留在 z 上的是什么：正是 p − y。",
        ),
    ),
    "attention": Lesson(
        (("X", TOKENS, True), ("Wq", W_Q, True), ("Wk", W_K, True), ("Wv", W_V, True)),
        ("x3 = X[2:3]", "q = x3 @ Wq", "K = X @ Wk", "V = X @ Wv", "e = (q @ K.T) / 2 ** 0.5", "alpha = softmax(e, dim=1)",
         "z = alpha @ V", "L = sum(z * z)"),
        ("one attention head, six tokens, position 3", "一个注意力头：六个词元，位置 3"),
        (
            "Position 3 asks (q), six tokens answer (K), the weights alpha mix what they have to say (V). "
            "Then all of it is walked back.",
            "位置 3 提问（q），六个词元回答（K），权重 alpha 把它们的内容（V）混合。然后整个往回走一遍。",
        ),
    ),
    "rnn": Lesson(
        _scalars(w=0.6, u=1.0, x1=1.0, h0=0.0),
        ("p1 = u * x1", "r1 = w * h0", "a1 = p1 + r1", "h1 = tanh(a1)", "a2 = w * h1", "h2 = tanh(a2)", "a3 = w * h2",
         "h3 = tanh(a3)", "a4 = w * h3", "h4 = tanh(a4)"),
        ("a recurrent net over 4 steps", "四步循环网络"),
        (
            "One number comes in at the first step. Going back, each step multiplies by w (1 − h²), less than 1: the gradient fades.",
            "第一步输入一个数。往回走，每一步都乘以 w (1 − h²)，小于 1：梯度逐渐消失。",
        ),
    ),
}  # fmt: skip


def lesson(name: str, lang: str = "en") -> Explanation:
    """The Explanation of one lesson.

    Raises:
        ArgumentError: an unknown name.

    Example:
        >>> from tensorlite.explainer.lessons import lesson
        >>> lesson("fan-out").gradients["a"].values
        (4.0,)
    """
    if name not in LESSONS:
        raise errors.ArgumentError(f"lesson: there is no {name!r}; there are {', '.join(LESSONS)}")
    found = LESSONS[name]
    given = {n: tensor(_lists(v), dtype=dtypes.float64, requires_grad=g) for n, v, g in found.inputs}
    place = 1 if lang == "zh" else 0
    return formula("\n".join(found.lines), given, lang=lang, title=found.title[place], intro=found.intro[place],
                   wrong_order=found.wrong_order)  # fmt: skip


def write_all(folder, lang: str = "en") -> dict:
    """All lessons as pages in one folder, each with links to the others. Returns name -> path."""
    paths, place = {name: Path(folder) / f"{name}.html" for name in LESSONS}, 1 if lang == "zh" else 0
    for name, path in paths.items():
        found = lesson(name, lang)
        found.links = [(f"{n}.html", other.title[place], n == name) for n, other in LESSONS.items()]
        found.save(path)
    return paths


def formula(text: str, given: dict, **options) -> Explanation:
    """The Explanation of a formula, or of lines of them (see expression.py). given: name -> Tensor."""
    reader, names = Reader(given), {}

    def compute():
        with enable_grad():
            out = reader.run(text)
        names.update({n: t for n, t in reader.names.items() if isinstance(t, Tensor)})
        if out.numel() != 1:
            raise errors.ArgumentError(
                f"expression: the result has shape {tuple(out.shape)}, and the walk back starts from one number; "
                "make one of it, with sum(...) or mean(...)"
            )
        unused = [n for n in given if n not in reader.read]
        if unused:
            raise errors.ArgumentError(f"expression: {', '.join(unused)} is given, but the formula does not use it")
        return out

    lines = text.strip().splitlines()
    if len(lines) <= 1:
        return explain(compute, params=names, code=(), **options)
    tensors = [(n, t.tolist(), ", requires_grad=True" if t.requires_grad else "") for n, t in given.items()]
    head = [f"{n} = tl.tensor({values}{grad})" for n, values, grad in tensors]
    last = lines[-1].partition("=")[0].strip()
    leaves = {t.node: k for k, t in enumerate(given.values()) if t.node is not None}

    def line_of(node):
        return leaves[node] if node in leaves else reader.line_of.get(node, -1 - len(head)) + len(head)

    return explain(compute, params=names, code=([*head, *lines, f"{last}.backward()"], line_of, None), **options)


def _lists(v):
    return [_lists(e) for e in v] if isinstance(v, tuple) else v
