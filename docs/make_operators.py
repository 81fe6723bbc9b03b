"""Writes docs/operators.md from the registry: every operation, its formula, its derivatives, its line of code.

`python3 dev.py docs` writes it anew; a test compares.
"""

import inspect
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import tensorlite as tl  # noqa: E402
from tensorlite.methods import IN_PLACE, METHODS  # noqa: E402
from tensorlite.op import registry  # noqa: E402

HEAD = """# The operators

Generated from the code by `docs/make_operators.py` (`python3 dev.py docs`).

Each operation is one class: its formula, its local derivatives, forward, and one rule for each input. `out` is the result, `g` the
gradient that comes in; a rule multiplies the local derivative with `g`. "fused" marks an operation with a fast backward by hand,
beside `plain`, the same written with the others, from which its higher derivatives come. The functions you call (`tl.name`,
`x.name`, in place `x.name_`) are listed below the operations of their family; many are composed of several operations.
Where PyTorch has `out=`, `tl.name(..., out=x)` puts the result into the memory of `x`, without a gradient.
"""


def cell(text):
    """Text for a cell of a Markdown table."""
    return str(text).replace("|", "\\|").replace("\n", " ")


def place(thing):
    """A link to the line where a class or function stands."""
    thing = inspect.unwrap(thing)
    file = Path(inspect.getsourcefile(thing)).resolve().relative_to(ROOT).as_posix()
    line = inspect.getsourcelines(thing)[1]
    return f"[{file.rsplit('/', 1)[1]}:{line}](../{file}#L{line})"


def derivatives(op):
    """The local derivatives, each with the name of its input."""
    if op.rules is None and not op.fused and not op.variadic:
        return "none"
    if not op.inputs or len(op.local) != len(op.inputs):
        return "; ".join(f"`{text}`" for text in op.local)
    if len(op.inputs) == 1:
        return f"`{op.local[0]}`"
    return "; ".join(f"{name}: `{text}`" for name, text in zip(op.inputs, op.local, strict=True) if text)


def operations(module):
    """The table of the operations of one file."""
    lines = ["| operation | formula | derivative | code |", "| --- | --- | --- | --- |"]
    for op in (op for op in registry.values() if op.__module__ == module):
        kind = " (fused)" if op.fused else ""
        lines.append(f"| {op.name}{kind} | `{cell(op.formula)}` | {cell(derivatives(op))} | {place(op)} |")
    return lines


def first_sentence(function):
    """The first paragraph of a docstring, on one line."""
    return " ".join(inspect.cleandoc(function.__doc__ or "").split("\n\n")[0].split())


def functions(module):
    """The list of the public functions of one file."""
    names = getattr(sys.modules[module], "__all__", ())
    family = next((m for m in METHODS if m.__name__ == module), None)
    methods, in_place, lines = set(METHODS.get(family, "").split()), set(IN_PLACE.split()), []
    for name in sorted(n for n in names if hasattr(tl, n)):
        function = getattr(tl, name)
        where = f"`tl.{name}`" + (f", `x.{name}`" if name in methods else "")
        where += f", `x.{name}_`" if name in in_place else ""
        said = first_sentence(function) if callable(function) else ""
        made = (
            f" = `{function.__name__}`" if getattr(function, "__name__", name) != name else f"`{signature(function)}`"
        )
        lines.append(f"| {where} | {cell(made)} | {cell(said) if '=' not in made[:3] else ''} |")
    return ["| function | arguments | what it gives |", "| --- | --- | --- |", *lines] if lines else []


def signature(function):
    """The parameters as written, without annotations."""
    found = inspect.signature(
        getattr(function, "__wrapped__", function)
    )  # without out=, which the head of the page tells of
    bare = [p.replace(annotation=p.empty) for p in found.parameters.values() if p.kind != p.VAR_KEYWORD]
    return str(found.replace(parameters=bare, return_annotation=found.empty))


def page():
    """The text of docs/operators.md."""
    modules = sorted({op.__module__ for op in registry.values() if op.__module__.startswith("tensorlite.")} | {
        m.__name__ for m in METHODS}, key=lambda m: (not m.startswith("tensorlite.ops."), m))  # fmt: skip
    parts = [HEAD]
    for module in modules:
        about = first_sentence(sys.modules[module])
        parts.append(f"## {module.removeprefix('tensorlite.').removeprefix('ops.')}\n\n{about}\n")
        table = operations(module)
        if len(table) > 2:
            parts.append("\n".join(table) + "\n")
        listed = functions(module)
        if listed:
            parts.append("\n".join(listed) + "\n")
    return "\n".join(parts)


FILES = {"docs/operators.md": page}


if __name__ == "__main__":
    for file, make in FILES.items():
        (ROOT / file).write_text(make(), encoding="utf-8", newline="\n")
        print("wrote", file)
