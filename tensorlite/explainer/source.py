"""The user's own lines of code for the page: which line computed each node, read from the source where it is to be had."""

import ast
import linecache
import textwrap

MOST = 40  # lines


def own_lines(nodes, name_of, frame):
    """(lines, function from a node to its place in them, the place of the line that asked), or None where there is no source.

    A node that was watched knows its line. Else it is the line `name = ...` with its name; a part of a longer formula belongs
    to the line of what uses it.
    """
    file = next((n.where.rpartition(":")[0] for n in nodes if n.where), frame.f_code.co_filename)
    text = linecache.getlines(file)
    if not text:
        return None
    line_of, assigned = {}, {}
    if not any(n.where for n in nodes):
        try:
            tree = ast.parse("".join(text))
        except (SyntaxError, ValueError, RecursionError):
            return None
        first, last = _scope(tree, frame.f_lineno)
        for s in ast.walk(tree):
            if isinstance(s, (ast.Assign, ast.AnnAssign, ast.AugAssign)) and first <= s.lineno <= min(
                last, frame.f_lineno
            ):
                for target in s.targets if isinstance(s, ast.Assign) else [s.target]:
                    for name in ast.walk(target):
                        if isinstance(name, ast.Name):
                            assigned[name.id] = s.lineno  # the last one before the call holds
    for node in nodes:
        own, _, line = (node.where or "").rpartition(":")
        if own == file:
            line_of[node] = int(line)
        elif name_of.get(node) in assigned:
            line_of[node] = assigned[name_of[node]]
    for node in reversed(nodes):  # newest first: users before what they use
        if node in line_of and node.op is not None:
            for p in node.parents:
                if p is not None and p.op is not None:
                    line_of.setdefault(p, line_of[node])
    ops = [n for n in nodes if n.op is not None]
    if not all(n in line_of for n in ops):
        return None
    ask = frame.f_lineno if file == frame.f_code.co_filename else None
    wanted = sorted({*line_of.values(), *([ask] if ask else [])})
    if wanted[-1] - wanted[0] >= MOST:
        if ask is None or wanted[-1] != ask or len(wanted) < 2 or wanted[-2] - wanted[0] >= MOST:
            return None
        ask = None  # the call is far away
        wanted.pop()
    start = wanted[0]
    lines = textwrap.dedent("".join(text[start - 1 : wanted[-1]])).rstrip("\n").split("\n")
    if ask is None:
        lines.append("backward()")
    return lines, (lambda node: line_of.get(node, start - 1) - start), (ask - start if ask else len(lines) - 1)


def _scope(tree, line):
    """(first, last) line of the function around a line, or of the whole file."""
    found = (1, 10**9)
    for s in ast.walk(tree):
        if (
            isinstance(s, (ast.FunctionDef, ast.AsyncFunctionDef))
            and s.lineno <= line <= s.end_lineno
            and s.lineno > found[0]
        ):
            found = (s.lineno, s.end_lineno)
    return found
