"""Containers and Bilinear beside PyTorch's: the same methods give the same names, in the same order."""

import pytest
from numeric import host

import tensorlite as tl
from tensorlite import nn
from tensorlite.errors import ArgumentError, DTypeError, IndexRangeError, ShapeError, TensorliteError

torch = pytest.importorskip("torch")


def sequential(n):
    m = n.Sequential(n.Linear(1, 2), n.Tanh(), n.Linear(2, 3))
    m.insert(1, n.Linear(2, 2)).append(n.Linear(3, 3)).extend([n.Linear(3, 4)])
    del m[2]
    m += n.Sequential(n.Linear(4, 4))
    return m + m[1:3]


def named(n):
    m = n.Sequential(dict_of(a=n.Linear(1, 2), b=n.Linear(2, 2), c=n.Linear(2, 3)))
    del m[0]
    return m[:2]


def dict_of(**kw):
    from collections import OrderedDict

    return OrderedDict(kw)


def parameter_list(n):
    t = torch if n is torch.nn else tl
    p = n.ParameterList([t.zeros(2), n.Parameter(t.zeros(3))])
    p += [t.zeros(4)]
    p.append(t.zeros(5)).extend(p[1:3])
    p[0] = t.zeros(7)
    return p


def parameter_dict(n):
    t = torch if n is torch.nn else tl
    p = n.ParameterDict({"b": t.zeros(2), "a": t.zeros(3)})
    p.update({"c": t.zeros(4)})
    p["d"] = t.zeros(5)
    p.pop("a")
    p.setdefault("e", t.zeros(6))
    p.popitem()
    q = p | n.ParameterDict({"z": t.zeros(1)})
    q |= {"y": t.zeros(9)}
    del q["b"]
    return q


def module_dict(n):
    m = n.ModuleDict({"x": n.Linear(1, 2), "y": n.Linear(2, 2)})
    m["z"] = n.Linear(3, 3)
    m.pop("x")
    m.update([("w", n.Linear(1, 1))])
    return m


CASES = [sequential, named, parameter_list, parameter_dict, module_dict, lambda n: n.Sequential(n.Linear(1, 1)) * 2,
         lambda n: n.ModuleList([n.Linear(1, 2)]) + [n.Linear(2, 1)], lambda n: n.Bilinear(2, 3, 4)]  # fmt: skip


@pytest.mark.parametrize("make", CASES)
def test_same_names_and_shapes(make):
    ours, theirs = make(nn), make(torch.nn)
    assert [(k, tuple(v.shape)) for k, v in ours.state_dict().items()] == [
        (k, tuple(v.shape)) for k, v in theirs.state_dict().items()
    ]
    assert len([*ours.parameters()]) == len([*theirs.parameters()])
    ours.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})
    for k, v in theirs.state_dict().items():
        assert (ours.state_dict()[k].numpy() == v.numpy()).all()


def test_bilinear_equals_pytorch(device):
    theirs = torch.nn.Bilinear(2, 3, 4, dtype=torch.float64)
    ours = nn.Bilinear(2, 3, 4, dtype=tl.float64)
    ours.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})
    a, b = torch.randn(5, 6, 2, dtype=torch.float64), torch.randn(5, 6, 3, dtype=torch.float64)
    x = tl.tensor(a.numpy(), requires_grad=True)
    y, want = ours(x, tl.tensor(b.numpy())), theirs(a.requires_grad_(), b)
    (y * y).sum().backward(), (want * want).sum().backward()
    for got, expected in [
        (y, want),
        (x.grad, a.grad),
        (ours.weight.grad, theirs.weight.grad),
        (ours.bias.grad, theirs.bias.grad),
    ]:
        assert abs(host(got) - expected.detach().numpy()).max() < 1e-9
    assert repr(ours) == repr(theirs)


REFUSED = [
    (lambda: nn.Bilinear(0, 3, 4), ArgumentError, "got in1=0, in2=3, out=4"),
    (lambda: nn.Sequential(nn.Bilinear(2, 3, 4))[0](tl.ones(1, 5), tl.ones(1, 3)), ShapeError, r"input1 has 5 .* expects 2"),
    (lambda: nn.Bilinear(2, 3, 4)(tl.ones(1, 2), tl.ones(2, 3)), ShapeError, r"input1 \(1, 2\) and input2 \(2, 3\) differ"),
    (lambda: nn.ParameterList([tl.zeros(1)])[1], IndexRangeError, "index 1 is out of range, it has 1"),
    (lambda: nn.ParameterList()(1), TensorliteError, "not called"),
    (lambda: nn.ParameterDict({"a": tl.zeros(1)})["b"], KeyError, "no 'b'; it has a"),
    (lambda: nn.ParameterDict({"keys": tl.zeros(1)}), ArgumentError, "'keys' is taken"),
    (lambda: nn.ModuleDict({"a": nn.Tanh()})["b"], KeyError, "no 'b'; it has a"),
    (lambda: nn.Sequential() + [nn.Tanh()], DTypeError, "not list"),
    (lambda: nn.Sequential(nn.Tanh()) * 0, ArgumentError, "1 time or more, not 0"),
]  # fmt: skip


@pytest.mark.parametrize("call, kind, text", REFUSED)
def test_refusals(call, kind, text):
    with pytest.raises(kind, match=text):
        call()


def test_text_of_parameter_containers_equals_pytorchs():
    torch = pytest.importorskip("torch")

    def texts(t):
        listed = t.nn.ParameterList([t.zeros(2), t.ones(2, 3), t.tensor(1.0), 5, None])
        named = t.nn.ParameterDict({"a": t.zeros(2), "b": t.ones(2, 3).double(), "c": 4, "d": t.nn.Linear(1, 1)})
        inner = t.nn.ModuleDict({"p": t.nn.ParameterList([t.zeros(2)]), "q": t.nn.ParameterDict({"a": t.zeros(1)})})
        return [repr(m) for m in (listed, named, inner, t.nn.ParameterList(), t.nn.ParameterDict())]

    assert [text.replace("tensorlite.", "torch.") for text in texts(tl)] == texts(torch)
