"""The golden file error_texts.md: for each family of operations the faults people make most, and word for word what they are told.

`.venv/bin/python tests/test_error_texts.py` writes the texts anew for the calls that stand in the file; read what has changed.
A new call is added to the file by hand, as a line "- `call`".
"""

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import tensorlite as tl

FILE = Path(__file__).with_name("error_texts.md")
FAMILIES = ("elementwise", "comparison", "selection", "reductions", "scans and sorting", "shape", "indexing", "in place",
            "products", "linear algebra", "convolution and pooling", "layers and losses", "creation", "random",
            "gradients", "dtypes and devices")  # fmt: skip


def entries():
    """(family, call, text) of each entry of the file."""
    family, found = "", []
    lines = FILE.read_text(encoding="utf-8").splitlines()
    for i, line in enumerate(lines):
        if line.startswith("## "):
            family = line[3:]
        elif match := re.fullmatch(r"- `(.*)`", line):
            below = lines[i + 1] if i + 1 < len(lines) else ""
            found.append((family, match[1], below.strip() if below.startswith("  ") else ""))
    return found


def told(call):
    """What the user sees: the type of the error and its text."""
    import numpy as np

    try:
        result = eval(
            call, {"tl": tl, "F": tl.nn.functional, "nn": tl.nn, "np": np, "linalg": getattr(tl, "linalg", None)}
        )
    except Exception as e:
        return f"{type(e).__name__}: {' '.join(str(e).split())}", e
    return f"no error: {type(result).__name__}", None


@pytest.mark.parametrize(("family", "call", "text"), entries(), ids=[c for _, c, _ in entries()])
def test_text(family, call, text):
    said, error = told(call)
    assert said.replace("cpu, cuda, fake", "cpu, cuda") == text  # the stand-in is known to tests only
    assert type(error).__module__ == "tensorlite.errors"
    foreign = r"(?<!from_)\bnumpy\b(?!:|\()|cupy|ufunc|<lambda>|ndarray|\baxis\b"
    assert not re.search(foreign, str(error)), "in our words"
    assert 20 < len(str(error)) < 400


def test_each_family_has_its_three_faults():
    count = {f: sum(f == family for family, _, _ in entries()) for f in FAMILIES}
    assert {f for f, _, _ in entries()} == set(FAMILIES)
    assert min(count.values()) >= 3, count


def write():
    """The file with its calls as they are and the texts of today."""
    lines = []
    for line in FILE.read_text(encoding="utf-8").splitlines():
        if line.startswith("  "):
            continue
        lines.append(line)
        if match := re.fullmatch(r"- `(.*)`", line):
            lines.append(f"  {told(match[1])[0]}")
    FILE.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write()
