"""The machinery of op.py itself: an operation with several results."""

import tensorlite as tl
from tensorlite.op import Op, registry


def test_several_results_meet_in_one_node():
    """`pick`: each result hands its gradient to the one node of the op; results that are not used count as zeros."""

    class Both(Op):
        name, formula, local = "both_for_test", "x y, x + y", ("", "")
        outputs = 2

        def forward(b, x, y):
            return x * y, x + y

        rules = (lambda m, g, y: g[0] * y + g[1], lambda m, g, x: g[0] * x + g[1])

    try:
        x, y = (tl.tensor([2.0, 3.0], requires_grad=True), tl.tensor([5.0, 7.0], requires_grad=True))
        product, total = Both.apply(x, y)
        (product.sum() * 10 + total.sum()).backward()
        assert x.grad.tolist() == [51.0, 71.0] and y.grad.tolist() == [21.0, 31.0]
        product, _ = Both.apply(x, y)
        (g,) = tl.autograd.grad(product.sum(), x, create_graph=True)
        assert g.tolist() == [5.0, 7.0]
        assert tl.autograd.grad(g.sum(), y)[0].tolist() == [1.0, 1.0]
    finally:
        del registry["both_for_test"]
