"""Makes the pictures of the documentation again: `python docs/make_images.py`. The same files each time, on every machine."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # from a bare checkout, not installed

import tensorlite as tl

HERE = Path(__file__).resolve().parent / "images"


def neuron() -> str:
    """One neuron: o = tanh(x1 w1 + x2 w2 + b), every value and every gradient."""
    named = {"x1": 2.0, "w1": -3.0, "x2": 0.5, "w2": 1.0, "b": 6.0}
    x1, w1, x2, w2, b = (tl.tensor(v, requires_grad=True) for v in named.values())
    left, right = x1 * w1, x2 * w2
    total = left + right
    v = total + b
    o = v.tanh()
    for result in (left, right, total, v, o):
        result.retain_grad()
    o.backward(retain_graph=True)
    params = dict(zip(named, (x1, w1, x2, w2, b), strict=True))
    return tl.draw_graph({"o": o}, params=params, direction="LR").svg("own")


if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    for make in (neuron,):
        (HERE / f"{make.__name__}.svg").write_text(make(), encoding="utf-8", newline="\n")
        print(HERE / f"{make.__name__}.svg")
