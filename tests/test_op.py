"""The machinery of op.py itself: an operation with several results, and what a node keeps."""

import pytest

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


ONE_INPUT = {
    "neither input nor output, one extra": lambda x: x.reshape(4),
    "an argument": lambda x: x.permute(1, 0),
    "the output": lambda x: x.logsumexp(0),
    "extras and an argument": lambda x: x.mean(0),
    "the input": lambda x: x.prod(0),
    "nothing": lambda x: x.clone(),
}


@pytest.mark.parametrize("compute", ONE_INPUT.values(), ids=ONE_INPUT)
def test_of_one_input_a_node_keeps_what_the_rule_names_and_no_more(compute):
    x = tl.rand(2, 2, requires_grad=True) + 1
    node = compute(x).node
    op, n = node.op, 2 + len(node.op.extras)
    for place, needed in enumerate(op.kept((True,))):
        if needed:
            name = next(name for name, at in op.places.items() if at == place)
            value = node.saved[place]
            assert value is not None or node.args[name] is None, name
            if name in op.arguments:
                assert value is node.args[name]
        elif place < n:
            assert node.saved[place] is None
    kept = op.kept((True,))
    assert [v is not None for v in node.versions] == (list(kept[: 1 + kept[1]]) if any(kept[:2]) else [])
