"""The command `tensorlite` and its subcommands. Arguments are read here, the work is in the files beside."""

import argparse
import sys

from tensorlite.errors import TensorliteError


def _parser():
    p = argparse.ArgumentParser(prog="tensorlite", description="A deep-learning engine to read: train, look, check.")
    commands = p.add_subparsers(dest="command", required=True, metavar="command")

    t = commands.add_parser(
        "train",
        help="train a character GPT on text, with checks, pictures and a sample",
        description="Train a character GPT on text. The run folder gets a checkpoint, config.json, sample.txt and pictures: "
        "graph, loss, schedule (rates and clipped norms), gradients (by layer), updates (by weight), attention (all heads), "
        "head (one of them), positions.",
    )
    t.add_argument(
        "--text", default=None, metavar="FILE", help="UTF-8 text (default: Python's own language documentation)"
    )
    t.add_argument("--out", default=None, metavar="DIR", help="run folder (default: runs/ and the time)")
    t.add_argument(
        "--resume", nargs="?", const="", default=None, metavar="DIR", help="go on with a run (default: the newest)"
    )
    t.add_argument("--device", default=None, help="cpu, cuda, cuda:1, ...")
    whole = (("steps", "training steps"), ("layers", "blocks"), ("heads", "attention heads"), ("dim", "features"),
             ("block", "longest sequence"), ("batch", "sequences in a batch"), ("warmup", "steps of rising learning rate"),
             ("eval-every", "steps between validations"), ("eval-batches", "batches in a validation"),
             ("seed", "start of all random numbers"))  # fmt: skip
    for name, text in whole:
        t.add_argument(f"--{name}", type=int, default=None, help=text)
    for name, text in (("lr", "highest learning rate"), ("dropout", "dropout"), ("weight-decay", "weight decay")):
        t.add_argument(f"--{name}", type=float, default=None, help=text)
    t.add_argument("--no-check", action="store_true", help="leave the gradient check out")

    g = commands.add_parser("generate", help="write text with a trained model")
    g.add_argument("run", nargs="?", default=None, help="run folder or checkpoint (default: the newest run)")
    g.add_argument("--prompt", default=None, help="text to go on from (default: the start of a line)")
    g.add_argument("--tokens", type=int, default=500, help="characters to write")
    g.add_argument("--temperature", type=float, default=0.8, help="0: always the most likely character")
    g.add_argument("--top-k", type=int, default=None, help="draw from the k most likely only")
    g.add_argument("--seed", type=int, default=None, help="start of the random numbers")
    g.add_argument("--device", default="cpu", help="cpu, cuda, ...")

    c = commands.add_parser("gradcheck", help="check the derivatives of every operation against finite differences")
    c.add_argument("ops", nargs="*", help="names of operations (default: all)")
    c.add_argument("--device", default="cpu", help="cpu, cuda, ...")

    commands.add_parser("info", help="versions, devices, BLAS and threads")

    d = commands.add_parser("graph", help="draw the computation graph of a GPT")
    d.add_argument(
        "--out", default="graph.svg", help="file to write: .svg, .dot, .txt, or with `dot` installed .png, .pdf"
    )
    for name, value in (("layers", 4), ("heads", 4), ("dim", 128), ("block", 64), ("batch", 12)):
        d.add_argument(f"--{name}", type=int, default=value)

    e = commands.add_parser("explain", help="walk back through a formula, step by step")
    e.add_argument("formula", help='such as "tanh(x1*w1 + x2*w2 + b)"')
    e.add_argument("values", nargs="*", metavar="NAME=VALUE", help="a number, or a list as [1, 2], for each name")
    n = commands.add_parser("lesson", help="open a lesson on backprop")
    n.add_argument("name", nargs="?", default=None, help="its name (see --list)")
    n.add_argument("--list", action="store_true", help="the lessons there are")
    for q in (e, n):
        q.add_argument(
            "--out", default=None, metavar="FILE", help="write a page (.html) or text (.txt), and do not open it"
        )
        q.add_argument("--text", action="store_true", help="print all steps instead of opening the page")
        q.add_argument("--lang", default="en", choices=("en", "zh"), help="English or Chinese")
    return p


def main(argv=None) -> int:
    """Run one command; returns the exit status. Errors of tensorlite are one line on stderr and status 1."""
    args = _parser().parse_args(argv)
    try:
        if args.command == "train":
            from tensorlite.cli.train import train

            return train(args)
        if args.command in ("explain", "lesson"):
            from tensorlite.cli import learn

            return getattr(learn, args.command)(args)
        from tensorlite.cli import tools

        return getattr(tools, args.command)(args)
    except TensorliteError as e:
        print(f"tensorlite {args.command}: {e}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        sys.stderr.close()
        return 141
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
