"""nn.utils.prune against PyTorch: masks, names of the state, pruning again, training, removing; what is drawn by chance; refusals."""

import copy
import pickle

import numpy as np
import pytest
from numeric import host

import tensorlite as tl
from tensorlite import errors, nn
from tensorlite.nn.utils import prune

MASK = np.array([[1, 0, 1, 1], [0, 1, 1, 1], [1, 1, 1, 0]])
SCORES = np.random.default_rng(5).normal(size=(3, 4))
STEPS = {  # what is done to a Linear(4, 3), in turn
    "l1": [lambda p, m, t: p.l1_unstructured(m, "weight", 0.3)],
    "l1, a number": [lambda p, m, t: p.l1_unstructured(m, "weight", 5), lambda p, m, t: p.l1_unstructured(m, "bias", 1)],
    "l1, nothing": [lambda p, m, t: p.l1_unstructured(m, "weight", 0)],
    "by importance": [lambda p, m, t: p.l1_unstructured(m, "weight", 0.5, importance_scores=t(SCORES))],
    "l1 three times": [lambda p, m, t: p.l1_unstructured(m, "weight", 0.34)] * 3,
    "l2 rows": [lambda p, m, t: p.ln_structured(m, "weight", 1, 2, 0)],
    "columns": [lambda p, m, t: p.ln_structured(m, "weight", 0.5, float("inf"), -1)],
    "rows, then columns, then elements": [
        lambda p, m, t: p.ln_structured(m, "weight", 1, n=1, dim=0),
        lambda p, m, t: p.ln_structured(m, "weight", amount=0.3, n=2, dim=1, importance_scores=t(SCORES)),
        lambda p, m, t: p.l1_unstructured(m, "weight", 2),
    ],
    "a mask": [lambda p, m, t: p.custom_from_mask(m, "weight", t(MASK))],
    "elements, then a mask": [
        lambda p, m, t: p.l1_unstructured(m, name="weight", amount=2),
        lambda p, m, t: p.custom_from_mask(m, name="weight", mask=t(MASK)),
    ],
    "identity": [lambda p, m, t: p.identity(m, "bias")],
    "global": [lambda p, m, t: p.global_unstructured([(m, "weight"), (m, "bias")], p.L1Unstructured, amount=6)],
    "global, again, by importance": [
        lambda p, m, t: p.l1_unstructured(m, "weight", 0.25),
        lambda p, m, t: p.global_unstructured(
            ((m, "weight"), (m, "bias")), p.L1Unstructured, {(m, "weight"): t(SCORES)}, amount=0.4
        ),
    ],
}  # fmt: skip


def layer(lib):
    module, draw = lib.nn.Linear(4, 3).double(), np.random.default_rng(0)
    module.weight.data, module.bias.data = lib.tensor(draw.normal(size=(3, 4))), lib.tensor(draw.normal(size=3))
    return module


@pytest.mark.parametrize("name", STEPS)
def test_it_agrees_with_pytorch(device, name):
    torch = pytest.importorskip("torch")
    pytest.importorskip("torch.nn.utils.prune")
    x = np.random.default_rng(1).normal(size=(5, 4))

    def run(lib):
        module, p, seen = layer(lib), lib.nn.utils.prune, []
        values = lambda: [list(module.state_dict()), *module.state_dict().values()]  # noqa: E731
        for step in STEPS[name]:
            step(p, module, lib.tensor)
            seen += [*values(), module.weight.detach(), module.bias.detach(), p.is_pruned(lib.nn.Sequential(module))]
            hooks = module._forward_pre_hooks.values()
            hooks = [h[0] if lib is tl else h for h in hooks]
            seen += [
                [(type(h).__name__, [type(s).__name__ for s in getattr(h, "_pruning_methods", ())]) for h in hooks]
            ]
        opt = lib.optim.SGD(module.parameters(), lr=0.1)
        for _ in range(3):
            opt.zero_grad()
            (module(lib.tensor(x)) ** 2).sum().backward()
            seen += [q.grad.clone() for q in module.parameters()]
            opt.step()
        first = dict(module.named_parameters())
        for key in ("weight", "bias"):
            if f"{key}_orig" in first:
                assert p.remove(module, key) is module and getattr(module, key) is first[f"{key}_orig"]
        assert not p.is_pruned(module)
        return [*seen, *values(), module(lib.tensor(x)).detach()]

    for a, b in zip(run(tl), run(torch), strict=True):
        if isinstance(b, torch.Tensor):
            np.testing.assert_allclose(host(a), b.numpy(), rtol=1e-10, atol=1e-12)
        else:
            assert a == b


def test_by_chance(device):
    module = nn.Linear(40, 50)
    prune.random_unstructured(module, "weight", 0.25)
    assert (module.weight == 0).sum().item() == 500
    first = module.weight_mask.clone()
    prune.random_unstructured(module, "weight", 300)
    assert (module.weight == 0).sum().item() == 800 and tl.equal(module.weight_mask * first, module.weight_mask)
    other = nn.Linear(40, 50)
    prune.random_structured(other, "weight", amount=0.5, dim=1)
    prune.random_structured(other, "weight", amount=5, dim=1)
    gone = (other.weight_mask == 0).sum(0)
    assert sorted(gone.tolist()) == [0] * 15 + [50] * 25
    tl.manual_seed(0)
    masks = [prune.RandomUnstructured(0.5).prune(tl.ones(20)).tolist() for _ in range(2)]
    assert masks[0] != masks[1] and sum(masks[0]) == sum(masks[1]) == 10
    assert prune.LnStructured(0.5, 2, 0).prune(tl.tensor([[1.0, 2.0], [3.0, 4.0]])).tolist() == [[0, 0], [3, 4]]


def test_copies_go_on_by_themselves(device):
    module = prune.l1_unstructured(nn.Linear(4, 3), "weight", 5)
    x = tl.ones(2, 4)
    module(x)
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        prune.l1_unstructured(other, "weight", 3)
        assert tl.equal(other(x), nn.functional.linear(x, other.weight, other.bias))
        assert [(m.weight_mask == 0).sum().item() for m in (module, other)] == [5, 8]
    again = prune.identity(nn.Linear(4, 3), "weight")
    again.load_state_dict(module.state_dict())
    assert tl.equal(again(x), module(x)) and (again.weight == 0).sum().item() == 5


def pruned(m):
    return prune.l1_unstructured(m, "weight", 0.5)


@pytest.mark.parametrize("call, text, kind", [
    (lambda m: prune.l1_unstructured(m, "x", 0.5), "prune: Linear has no parameter 'x'", errors.ArgumentError),
    (lambda m: prune.l1_unstructured(m, "weight", 1.5), "L1Unstructured: amount must be a share .* not 1.5", errors.ArgumentError),
    (lambda m: prune.random_unstructured(m, "weight", -1), "number of at least 0, not -1", errors.ArgumentError),
    (lambda m: prune.l1_unstructured(m, "weight", 100), "amount=100 is more than the 12 there are", errors.ArgumentError),
    (lambda m: prune.l1_unstructured(pruned(m), "weight", 7), "amount=7 is more than the 6 there are", errors.ArgumentError),
    (lambda m: prune.ln_structured(m, "weight", "a", 2, 0), "amount must be an int or a float, not str", errors.DTypeError),
    (lambda m: prune.ln_structured(m, "bias", 0.5, 2, 0), r"two dimensions or more .* \(3,\)", errors.ShapeError),
    (lambda m: prune.ln_structured(m, "weight", 0.5, 2, 7), "dim 7 is out of range", errors.IndexRangeError),
    (lambda m: prune.random_structured(pruned(m), "weight", 0.5, 2), "dim 2 is out of range", errors.IndexRangeError),
    (lambda m: prune.l1_unstructured(m, "weight", 0.5, tl.ones(2)), r"\(3, 4\), not \(2,\)", errors.ShapeError),
    (lambda m: prune.custom_from_mask(m, "weight", tl.ones(2)), r"the mask must be \(3, 4\), not \(2,\)", errors.ShapeError),
    (lambda m: prune.remove(m, "weight"), "prune.remove: 'weight' of Linear is not pruned", errors.ArgumentError),
    (lambda m: prune.global_unstructured(m, prune.L1Unstructured, amount=1), "an iterable of", errors.DTypeError),
    (lambda m: prune.global_unstructured([(m, "weight")], prune.L1Unstructured, tl.ones(1), amount=1), "must be a dict",
     errors.DTypeError),
    (lambda m: prune.global_unstructured([(m, "weight")], prune.LnStructured, amount=1, n=2), "LnStructured is structured",
     errors.DTypeError),
    (lambda m: prune.PruningContainer(3), "a BasePruningMethod is needed, not int", errors.DTypeError),
    (lambda m: prune.Identity().apply_mask(m), "Identity was not applied to a module", errors.TensorliteError),
])  # fmt: skip
def test_refused_and_the_module_works_on(call, text, kind):
    module = nn.Linear(4, 3)
    with pytest.raises(kind, match=text):
        call(module)
    module(tl.ones(1, 4))
    assert prune.is_pruned(module) == (list(module.state_dict()) == ["bias", "weight_orig", "weight_mask"])
