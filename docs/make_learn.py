"""Runs the chapters of docs/learn and so makes their pictures again: `python docs/make_learn.py [chapter ...]`.

A chapter's code is all there is: each runs in an interpreter of its own, in the folder of the chapters, and saves its pictures. The
bytes are the same each time.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LEARN = ROOT / "docs" / "learn"


def chapters(folder=LEARN):
    """The files, in their order."""
    return sorted(folder.glob("[0-9][0-9]-*.md"))


def code(chapter: Path) -> list:
    """The Python blocks of a chapter."""
    return re.findall(r"^```python\n(.*?)^```$", chapter.read_text(encoding="utf-8"), re.S | re.M)


def promised(blocks) -> list:
    """What the chapter says is printed: the comments behind print(...) at the start of a line."""
    return re.findall(r"^print\(.*\)  # (.+)$", "\n".join(blocks), re.M)


def shown(chapter: Path) -> list:
    """The blocks of output that a chapter shows, each a list of lines."""
    blocks = re.findall(r"^```text\n(.*?)^```$", chapter.read_text(encoding="utf-8"), re.S | re.M)
    return [block.splitlines() for block in blocks]


def unlike(printed: str, blocks: list) -> list:
    """The blocks that were not printed, line by line one below the other."""
    lines = printed.splitlines()
    return [b for b in blocks if not any(lines[i : i + len(b)] == b for i in range(len(lines)))]


def run(chapter: Path, folder: Path) -> str:
    """Run a chapter in a folder (its pictures go to folder/images); returns what it printed."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n" + "\n".join(code(chapter))
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, encoding="utf-8")
    if done.returncode:
        raise SystemExit(f"{chapter.name} failed:\n{done.stderr}")
    return done.stdout


def missing(printed: str, said: list) -> list:
    """The promised lines that were not printed, in this order."""
    lines, left = iter(printed.splitlines()), []
    for want in said:
        if not any(line == want for line in lines):
            left.append(want)
    return left


if __name__ == "__main__":
    names = sys.argv[1:]
    for chapter in chapters():
        if not names or any(chapter.name.startswith(n) for n in names):
            printed = run(chapter, LEARN)
            left = missing(printed, promised(code(chapter))) + unlike(printed, shown(chapter))
            print(chapter.name, f"does not print {left}" if left else "")
