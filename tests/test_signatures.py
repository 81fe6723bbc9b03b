"""Arguments of layers, functions, optimizers, schedules and loaders: names, order, kinds and defaults are PyTorch's.

Whatever stands on both sides under one name is compared; optional keywords of ours beside them are no difference. The few
differences that are meant are listed with their reason.
"""

import ast
import importlib
import inspect
import re

import pytest

torch = pytest.importorskip("torch")

ROOMS = [
    "nn",
    "nn.functional",
    "nn.init",
    "nn.utils",
    "nn.utils.rnn",
    "nn.utils.parametrizations",
    "nn.utils.parametrize",
    "nn.utils.fusion",
    "nn.utils.prune",
    "nn.utils.stateless",
]
ROOMS += [
    "optim",
    "optim.lr_scheduler",
    "optim.swa_utils",
    "amp",
    "utils.data",
    "utils.data.distributed",
    "utils.checkpoint",
]
METHODS = [  # classes whose methods are compared too
    "nn.Module", "nn.Sequential", "nn.ModuleList", "nn.ModuleDict", "nn.ParameterList", "nn.ParameterDict",
    "nn.MultiheadAttention", "nn.Transformer", "nn.TransformerEncoder", "nn.TransformerEncoderLayer", "nn.TransformerDecoder",
    "nn.TransformerDecoderLayer", "nn.LSTM", "nn.GRU", "nn.RNN", "nn.Embedding", "nn.EmbeddingBag", "optim.Optimizer", "optim.LBFGS",
    "optim.lr_scheduler.LRScheduler", "optim.lr_scheduler.ReduceLROnPlateau", "optim.swa_utils.AveragedModel", "amp.GradScaler",
    "utils.data.DataLoader", "utils.data.Dataset", "utils.data.Subset", "utils.data.DistributedSampler",
]  # fmt: skip
DIFFERENT = {  # name: why
    "utils.data.random_split": "generator=None is the default generator, which PyTorch names itself",
}
OPEN = {  # still to be made alike; whoever does it drops the line
}


def found(library, path):
    """library.path, modules imported on the way; None where there is none."""
    thing = importlib.import_module(library)
    for depth, part in enumerate(parts := path.split("."), 1):
        try:
            thing = getattr(thing, part, None) or importlib.import_module(".".join([library, *parts[:depth]]))
        except ImportError:
            return None
    return thing


def as_text(default):
    """A default to compare: functions by name, 20 like 20.0."""
    if type(default) in (int, float):
        return repr(float(default))
    return getattr(default, "__name__", repr(default))


def parameters(thing, name):
    """[(name, default as text)] by position and {name: default} by keyword only; None where nobody can tell.

    For PyTorch's compiled functions they are read from the first line of the help text, `linear(input, weight, bias=None)`.
    """
    try:
        found = inspect.signature(thing.__init__ if inspect.isclass(thing) else thing)
        found = list(found.parameters.values())
    except (ValueError, TypeError):
        found = described(thing, name)
    if found is None:
        return None
    shown = lambda p: "needed" if p.default is p.empty else as_text(p.default)  # noqa: E731
    plain = [p for p in found if p.name != "self"]
    by_position = [(p.name, shown(p)) for p in plain if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    others = {
        "*" * (1 if p.kind is p.VAR_POSITIONAL else 2) for p in plain if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    }
    return by_position, {p.name: shown(p) for p in plain if p.kind is p.KEYWORD_ONLY}, others


def described(thing, name):
    match = re.search(rf"^\s*{name}\(([^()]*?(?:\(\)[^()]*?)*)\)\s*(?:->|$)", thing.__doc__ or "", re.M)
    if not match:
        return None
    text = re.sub(r"\bTensor\b|\bint\b", "None", match[1]) if "=" not in match[1] else match[1]
    try:
        node = ast.parse(f"def f({text}): pass").body[0]
    except SyntaxError:
        return None
    scope = {}
    exec(compile(ast.Module([node], []), "signature", "exec"), {"torch": torch}, scope)
    return list(inspect.signature(scope["f"]).parameters.values())


def pairs():
    """(path, ours, PyTorch's) of all public classes and functions that both have, and of the methods of METHODS."""
    for room in ROOMS:
        ours, theirs = found("tensorlite", room), found("torch", room)
        for name in sorted(dir(ours)) if ours is not None else ():
            a, b = getattr(ours, name, None), getattr(theirs, name, None)
            if not name.startswith("_") and callable(a) and callable(b) and not inspect.ismodule(a):
                yield f"{room}.{name}", a, b
    for path in METHODS:
        ours, theirs = found("tensorlite", path), found("torch", path)
        for name in sorted(vars(ours)) if ours is not None else ():
            a, b = getattr(ours, name, None), getattr(theirs, name, None)
            if not name.startswith("_") and inspect.isroutine(a) and inspect.isroutine(b):
                yield f"{path}.{name}", a, b


def difference(path, ours, theirs):
    """What differs, as text; "" if nothing."""
    name = path.rpartition(".")[2]
    theirs = (
        getattr(torch.nn.functional, f"{name}_with_indices", theirs) if path.startswith("nn.functional.") else theirs
    )
    a, b = parameters(ours, name), parameters(theirs, name)
    if a is None or b is None:
        return ""
    more = {
        name for name, default in a[1].items() if name not in b[1] and default != "needed"
    }  # no PyTorch call is changed
    if (a[0], {k: v for k, v in a[1].items() if k not in more}, a[2]) == b:
        return ""
    if b[0] == [] and b[1] == {} and b[2] == {"*", "**"}:  # a wrapper that takes whatever comes
        return ""
    return f"{path}:\n    ours     {a}\n    PyTorch  {b}"


COMPARED = {}
for _path, _ours, _theirs in pairs():
    COMPARED.setdefault(_path.rpartition(".")[0], []).append((_path, _ours, _theirs))


@pytest.mark.parametrize("room", COMPARED)
def test_arguments_are_pytorchs(room):
    faults = {path: text for path, a, b in COMPARED[room] if (text := difference(path, a, b))}
    unexpected = [text for path, text in faults.items() if path not in {**DIFFERENT, **OPEN}]
    assert not unexpected, "\n" + "\n".join(unexpected)
    stale = {path for path in DIFFERENT if path.rpartition(".")[0] == room} - faults.keys()
    assert not stale, f"no longer different: {stale}"


def test_the_comparison_sees_differences():
    def relu(input, inplace=True):
        """Default changed."""

    class Linear:
        def __init__(self, out_features, in_features, bias=True, device=None, dtype=None):
            """Order changed."""

    assert sum(map(len, COMPARED.values())) > 250 and "nn.functional" in COMPARED and "utils.data" in COMPARED
    assert "('inplace', 'True')" in difference("nn.functional.relu", relu, torch.nn.functional.relu)
    assert difference("nn.Linear", Linear, torch.nn.Linear)
    assert not difference("nn.Linear", torch.nn.Linear, torch.nn.Linear)
    for path, _, theirs in COMPARED["nn.functional"]:  # compiled functions too are read
        assert parameters(theirs, path.rpartition(".")[2]) is not None, path
