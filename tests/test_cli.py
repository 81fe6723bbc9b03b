"""The command line: training end to end, resuming bit for bit, stopping by Ctrl-C, and the smaller commands."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tensorlite as tl
from tensorlite.cli import main
from tensorlite.models.tokenizers import CharTokenizer
from tensorlite.models.training import Run, TrainConfig, load_model, read_text

SMALL = ["--layers", "1", "--heads", "2", "--dim", "16", "--block", "16", "--batch", "4", "--eval-batches", "2"]


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("the quick brown fox jumps over the lazy dog. " * 60, encoding="utf-8")
    return str(path)


def run(*args, code=0):
    assert main([str(a) for a in args]) == code


def losses(folder):
    state = tl.load(folder / "checkpoint.tl")
    return [v for _, v in state["history"]["train"]], [v for _, v in state["history"]["val"]]


def test_train_leaves_a_whole_run_folder(tmp_path, text, capsys):
    out = tmp_path / "run"
    run("train", "--text", text, "--steps", 30, "--eval-every", 10, "--out", out, *SMALL)
    shown = capsys.readouterr().out
    assert "gradient check: worst relative error" in shown
    assert (
        len(re.findall(r"^step +\d+/30  loss \d\.\d{4}  val \d\.\d{4}  [\d,]+ tokens/s  \d+:\d\d left$", shown, re.M))
        == 3
    )
    names = ("graph", "loss", "schedule", "gradients", "updates", "attention", "head", "positions")
    pictures = {f"{name}.svg" for name in names}
    assert {p.name for p in out.iterdir()} == {"checkpoint.tl", "config.json", "sample.txt", *pictures}
    assert all((out / name).read_text().rstrip().endswith("</svg>") for name in pictures)
    config = json.loads((out / "config.json").read_text())
    assert config["config"]["steps"] == 30 and config["result"]["val_loss"] > 0
    assert (out / "graph.svg").read_text().rstrip().endswith("</svg>")
    assert (out / "loss.svg").read_text().startswith("<svg")
    assert len((out / "sample.txt").read_text()) == 501
    train, val = losses(out)
    assert len(train) == 30 and len(val) == 3
    assert train[-1] < train[0] - 0.3, "it learns"
    run("generate", out, "--prompt", "the ", "--tokens", 20, "--seed", 1)
    first = capsys.readouterr().out
    run("generate", out, "--prompt", "the ", "--tokens", 20, "--seed", 1)
    assert capsys.readouterr().out == first and first.startswith("the ") and len(first) == 25


def test_attention_weights_are_those_of_the_model():
    from tensorlite.cli.train import attention_weights
    from tensorlite.models import GPT, GPTConfig

    tl.manual_seed(0)
    model = GPT(GPTConfig(vocab_size=11, block_size=8, layers=2, heads=2, dim=8, dropout=0.5)).double()
    ids, seen = tl.randint(0, 11, (1, 6)), []
    hooks = [
        b.attn.register_forward_hook(lambda m, inputs, out: seen.append((m, inputs[0], out))) for b in model.blocks
    ]
    weights = attention_weights(model, ids)
    assert model.training and len(weights) == 2
    for (attn, x, out), w in zip(seen, weights, strict=True):
        assert w.shape == (2, 6, 6) and not w.triu(1).any() and tl.allclose(w.sum(-1), tl.ones(2, 6, dtype=tl.float64))
        v = attn.qkv(x)[0, :, 16:].view(6, 2, 4).transpose(0, 1)
        assert tl.allclose(attn.proj((w @ v).transpose(0, 1).reshape(6, 8)), out[0])
    for hook in hooks:
        hook.remove()
    before = len(seen)
    attention_weights(model, ids)
    assert len(seen) == before and not any(b.attn.qkv._forward_hooks for b in model.blocks)


@pytest.mark.parametrize("dropout", ["0", "0.2"])
def test_resuming_gives_the_same_losses_bit_for_bit(tmp_path, text, dropout):
    args = ["--text", text, "--eval-every", 5, "--dropout", dropout, "--no-check", *SMALL]
    run("train", *args, "--steps", 14, "--out", tmp_path / "whole")
    config = TrainConfig(text=text, steps=14, layers=1, heads=2, dim=16, block=16, batch=4, eval_batches=2, eval_every=5,
                         dropout=float(dropout))  # fmt: skip
    part = Run(config)
    assert not part.train(should_stop=lambda: part.step == 7)
    (tmp_path / "part").mkdir()
    part.save(tmp_path / "part" / "checkpoint.tl")
    run("train", "--resume", tmp_path / "part")
    assert losses(tmp_path / "part") == losses(tmp_path / "whole")
    a, b = (tl.load(tmp_path / n / "checkpoint.tl")["model"] for n in ("part", "whole"))
    assert all((a[k] == b[k]).all() for k in b)


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path, text):
    out = tmp_path / "run"
    command = [sys.executable, "-m", "tensorlite", "train", "--text", text, "--steps", "1000000", "--eval-every", "20",
               "--out", str(out), "--no-check", *SMALL]  # fmt: skip
    root = Path(__file__).parent.parent
    env = {**os.environ, "PYTHONPATH": str(root)}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=env
    )
    try:
        for _ in range(600):
            if (out / "checkpoint.tl").exists() or process.poll() is not None:
                break
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        shown, wrong = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, wrong
    assert f"tensorlite train --resume {out}" in shown and "Traceback" not in wrong
    step = tl.load(out / "checkpoint.tl")["step"]
    run("train", "--resume", out, "--steps", step + 3)
    assert tl.load(out / "checkpoint.tl")["step"] == step + 3


def test_errors_are_one_line(tmp_path, text, capsys):
    cases = [
        (["train", "--text", tmp_path / "none.txt"], "none.txt cannot be read: No such file"),
        (["train", "--text", text, "--heads", 3, "--dim", 16], "dim 16 must be a multiple of heads 3"),
        (["train", "--text", text, "--steps", -1], "needs steps >= 0"),
        (["train", "--text", text, "--device", "tpu"], "unknown device 'tpu'; known devices: cpu, cuda"),
        (["train", "--resume", tmp_path], "holds no checkpoint.tl"),
        (["generate", tmp_path], "holds no checkpoint.tl"),
        (["gradcheck", "nothing"], "unknown operation 'nothing'; known: abs, ac"),
    ]
    for args, wanted in cases:
        run(*args, code=1)
        wrong = capsys.readouterr().err
        assert wanted in wrong and wrong.count("\n") == 1, wrong


def test_resume_refuses_what_would_change_the_run(tmp_path, text, capsys):
    out = tmp_path / "run"
    run("train", "--text", text, "--steps", 2, "--out", out, "--no-check", *SMALL)
    run("train", "--resume", out, "--dim", 32, code=1)
    assert "--dim cannot be changed" in capsys.readouterr().err
    run("train", "--text", text, "--out", out, *SMALL, code=1)
    assert "holds a run already" in capsys.readouterr().err
    other = tmp_path / "other.txt"
    other.write_text("something else altogether. " * 100)
    run("train", "--resume", out, "--text", other, code=1)
    assert "trained on another text" in capsys.readouterr().err


def test_gradcheck_command(capsys):
    run("gradcheck", "tanh", "layer_norm", "attention", "matmul")
    shown = capsys.readouterr().out
    assert "all right" in shown and "1 - out" not in shown and "tanh x" in shown


def test_gradcheck_command_finds_a_wrong_rule(monkeypatch, capsys):
    from tensorlite.op import registry

    op = registry["sin"]
    wrong = ((lambda m, g, x: g * m.sin(x), 0, (0,)),)
    monkeypatch.setattr(op, "way", (*op.way[:3], wrong))
    run("gradcheck", "sin", code=1)
    assert "WRONG" in capsys.readouterr().out


def test_every_operation_has_inputs_for_the_command():
    from tensorlite.cli.samples import checked
    from tensorlite.op import registry

    for name in registry:
        assert "no inputs are known" not in checked(name)[2], name


def test_info_and_graph(tmp_path, capsys):
    run("info")
    shown = capsys.readouterr().out
    assert "tensorlite" in shown and "numpy" in shown and "blas" in shown and "cuda" in shown
    run("graph", "--layers", 3, "--dim", 16, "--heads", 2, "--block", 8, "--batch", 2, "--out", tmp_path / "g.svg")
    assert "<svg" in (tmp_path / "g.svg").read_text()


def test_tokenizer_and_text():
    t = CharTokenizer.train("hello")
    assert t.decode(t.encode("hole")) == "hole" and len(t) == 4
    with pytest.raises(tl.errors.ArgumentError, match="character 'x' is not in the vocabulary of 4"):
        t.encode("hex")
    assert len(read_text()) > 100_000


def test_loading_a_model_needs_no_text(tmp_path, text):
    run("train", "--text", text, "--steps", 1, "--out", tmp_path / "run", "--no-check", *SMALL)
    os.unlink(text)
    model, tokenizer = load_model(tmp_path / "run" / "checkpoint.tl")
    assert not model.training and len(tokenizer) == 28
