"""The lessons, the restricted reader of formulas, and the commands `tensorlite lesson` and `tensorlite explain`."""

import re

import pytest

import tensorlite as tl
from tensorlite.explainer.expression import FUNCTIONS, known_functions
from tensorlite.explainer.lessons import LESSONS, formula, lesson


def test_wrong_order_gives_the_wrong_number():
    e = lesson("why-order-matters")
    last = {e.variables[s.target].name: s for s in e.wrong if s.kind == "share"}
    assert last["a"].after.values == (2.0,) and e.gradients["a"].values == (4.0,)
    assert e.nudges[0].measured == pytest.approx(0.04)
    assert [s.late for s in e.wrong if s.kind == "share"] == [False, False, False, True]
    assert [s.hasty for s in e.wrong if s.kind == "share"] == [True, False, False, False]


@pytest.mark.parametrize("name", LESSONS)
def test_lessons(name):
    e = lesson(name)
    assert e.title and e.intro and e.nudges and e.descent
    zh = lesson(name, "zh")
    assert zh.title != e.title
    assert e.variables == zh.variables and [s.share for s in e.steps] == [s.share for s in zh.steps]
    for s in e.steps:
        if s.kind == "compute":
            assert (
                e.code[e.variables[s.source].line].split(" = ")[0] in e.variables[s.source].name
                or e.variables[s.source].line > 0
            )
    if name == "softmax":
        p = next(v for v in e.variables if v.name == "p").value.values
        y = next(v for v in e.variables if v.name == "y").value.values
        assert e.gradients["z"].values == pytest.approx([a - b for a, b in zip(p, y)])
    if name == "rnn":
        slopes = [abs(e.gradients[f"h{k}"].values[0]) for k in (3, 2, 1, 0)]
        assert slopes == sorted(slopes, reverse=True)


WRONG = {
    "__import__('os').system('x')": "no function '__import__'",
    "x.__class__": "not allowed",
    "(lambda: x)()": "no function",
    "[x for x in x]": "not allowed",
    "x if x else x": "not allowed",
    "'a' * 3": "no number",
    "x[y]": "'y' has no value",
    "open('f')": "no function 'open'",
    "import os": "a line must be",
    "x +": "not a formula",
    "9**9**9**9": "cannot be computed",
    "2": "the result is no tensor",
    "x.tanh(*x)": "not allowed",
    "-" * 300 + "x": "nested more than|not a formula",
    "x" + "+x" * 2000: "is the most",
    "x.data": "not allowed",
    "tanh(1, 2, 3)": "tanh",
    "": "an empty formula",
    "# x": "an empty formula",
    "x * y + z": r"'y' and 'z' have no value; give y=NUMBER z=NUMBER \(given: x\)",
    "x + y": "'y' has no value; give y=NUMBER",
    "y = 2 * y": "'y' has no value",
    "stack([x, x])": r"the result has shape \(2,\).* with sum",
    "x.tanh().__globals__": "not allowed",
}


@pytest.mark.parametrize("text", WRONG)
def test_expressions_are_restricted(text):
    with pytest.raises(tl.errors.TensorliteError, match=WRONG[text]):
        formula(text, {"x": tl.tensor(2.0, requires_grad=True)})


RIGHT = {
    "tanh(x*y + 1) ** 2": lambda x, y: (x * y + 1).tanh() ** 2,
    "-x / y - 2 * sigmoid(x)": lambda x, y: -x / y - 2 * x.sigmoid(),
    "a = x * y\nb = a + x\nrelu(b).exp()": lambda x, y: (x * y + x).relu().exp(),
}


@pytest.mark.parametrize("text", RIGHT)
def test_expressions_are_right(text):
    x, y = (tl.tensor(v, dtype=tl.float64, requires_grad=True) for v in (0.7, -0.4))
    e = formula(text, {"x": x, "y": y})
    RIGHT[text](x, y).backward()
    assert e.gradients["x"].values[0] == pytest.approx(x.grad.item())
    assert e.gradients["y"].values[0] == pytest.approx(y.grad.item())


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_lessons_in_one_folder_lead_to_each_other(lang, tmp_path, monkeypatch, capsys):
    from tensorlite.cli import main

    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr("tempfile.mkdtemp", lambda prefix: str(tmp_path))
    assert main(["lesson", "rnn", "--lang", lang]) == 0
    assert opened == [(tmp_path / "rnn.html").as_uri()] and "rnn.html" in capsys.readouterr().err
    assert {p.name for p in tmp_path.iterdir()} == {f"{name}.html" for name in LESSONS}
    for name in LESSONS:
        html = (tmp_path / f"{name}.html").read_text(encoding="utf-8")
        assert re.findall(r'<a href="([^"]+)"', html) == [f"{n}.html" for n in LESSONS]
        assert re.findall(r'<a href="([^"]+)" aria-current', html) == [f"{name}.html"]
        assert len(html.encode()) <= 100_000
    assert "<a " not in lesson("rnn", lang).html()


def test_every_function_of_a_formula_is_there():
    assert sorted(known_functions()) == sorted(FUNCTIONS)
    x = tl.tensor([0.5, -2.0], dtype=tl.float64, requires_grad=True)
    assert formula("clamp(x, -1, 1).sum() + x.var()", {"x": x}).gradients["x"].values == pytest.approx((1 + 2.5, -2.5))


def test_commands(tmp_path, capsys):
    from tensorlite.cli import main

    assert main(["lesson", "--list"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in LESSONS)
    page = tmp_path / "neuron.html"
    assert main(["lesson", "neuron", "--out", str(page)]) == 0 and page.read_text(encoding="utf-8").startswith(
        "<!doctype"
    )
    values = ["x1=2", "w1=-3", "x2=0.5", "w2=1", "b=6.2"]
    capsys.readouterr()
    assert main(["explain", "tanh(x1*w1 + x2*w2 + b)", *values, "--text"]) == 0
    assert "x1.grad:  0 + -1.904 = -1.904" in capsys.readouterr().out
    assert main(["explain", "x", "x"]) == 1 and "NAME=VALUE" in capsys.readouterr().err
    assert main(["explain", "x*2", "x=__import__"]) == 1 and "a number is needed" in capsys.readouterr().err
    assert main(["explain", "x*2", "x=1", "y=2"]) == 1 and "y is given, but" in capsys.readouterr().err
    assert main(["explain", "x*2", "x=1", "x=2"]) == 1 and "already" in capsys.readouterr().err
    assert main(["explain", ""]) == 1 and "an empty formula" in capsys.readouterr().err
    assert main(["lesson", "nothing"]) == 1 and "there are neuron" in capsys.readouterr().err
    assert (
        main(
            [
                "explain",
                "sum(X @ w)",
                "X=[[1, 2], [3, 4]]",
                "w=[1, -1]",
                "--out",
                str(tmp_path / "a.txt"),
                "--lang",
                "zh",
            ]
        )
        == 0
    )
    assert "份额" in (tmp_path / "a.txt").read_text(encoding="utf-8")
