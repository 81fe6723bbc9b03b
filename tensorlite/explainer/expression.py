"""Reads formulas such as `tanh(x1*w1 + x2*w2 + b)` into tensors: a whitelist of Python's grammar, nothing is evaluated by Python.

Allowed: numbers, names, + - * / ** @, unary minus, calls of the functions below (also as methods), `x[0]`, `x[:, 1:3]`, `x.T`, lists
of numbers, and lines `name = formula`.
"""

import ast

from tensorlite import errors
from tensorlite.creation import tensor
from tensorlite.op import registry
from tensorlite.ops import (
    elementwise,
    extreme,
    functions,
    fused,
    index,
    join,
    loss,
    matmul,
    reduce,
    select,
    shape,
    special,
    statistics,
)
from tensorlite.tensor import Tensor

ROOMS = (elementwise, functions, fused, reduce, shape, matmul, join, loss, special, extreme, index, select, statistics)
FUNCTIONS = """
    abs acos asin atan cat clamp cos cosh cross_entropy erf exp gelu log log1p log_softmax logsumexp matmul max
    maximum mean min minimum neg norm permute prod relu reshape rsqrt sigmoid sin sinh softmax sqrt square stack
    std sum tan tanh transpose unsqueeze var
""".split()  # noqa: SIM905
BINARY = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.Div: "div",
    ast.Pow: "pow",
    ast.MatMult: "matmul",
}
MOST = 2000  # characters
DEEPEST = 50


def known_functions() -> dict:
    """name -> function, of those that a formula may call."""
    found = {}
    for name in FUNCTIONS:
        for room in ROOMS:
            function = getattr(room, name, None)
            if callable(function):
                found[name] = function
                break
    return found


class Reader:
    """Computes formulas with the given names. `line_of` tells for each node the line it was computed in."""

    def __init__(self, names: dict):
        self.names, self.functions = dict(names), known_functions()
        self.line_of, self.line = {}, 0

    def run(self, text: str):
        """The value of the last line; earlier lines name theirs."""
        if len(text) > MOST:
            raise errors.ArgumentError(f"expression: {len(text)} characters, and {MOST} is the most")
        try:
            tree = ast.parse(text.strip(), mode="exec")
        except (SyntaxError, ValueError, RecursionError, MemoryError) as e:
            raise errors.ArgumentError(
                f"expression: not a formula: {getattr(e, 'msg', e)} in {text.strip()!r}"
            ) from None
        if not tree.body:
            raise errors.ArgumentError("expression: an empty formula; write one such as tanh(w*x + b)")
        self._all_given(tree)
        value = None
        for statement in tree.body:
            self.line = statement.lineno - 1
            if (
                isinstance(statement, ast.Assign)
                and len(statement.targets) == 1
                and isinstance(statement.targets[0], ast.Name)
            ):
                value = self.value(statement.value, 0)
                self.names[statement.targets[0].id] = value
            elif isinstance(statement, ast.Expr):
                value = self.value(statement.value, 0)
            else:
                raise errors.ArgumentError(
                    f"expression: a line must be a formula or `name = formula`, not {ast.unparse(statement)!r}"
                )
        if not isinstance(value, Tensor):
            raise errors.ArgumentError("expression: the result is no tensor; it must use one of the given names")
        return value

    def _all_given(self, tree):
        """Refuse names without a value, all at once."""
        names = [n for n in ast.walk(tree) if isinstance(n, ast.Name)]
        names.sort(key=lambda n: (n.lineno, n.col_offset))
        called = {id(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}
        made = {n.id for n in names if isinstance(n.ctx, ast.Store)}
        self.read = {n.id for n in names if id(n) not in called}
        without = [
            n for n in dict.fromkeys(n.id for n in names if id(n) not in called) if n not in {*self.names, *made}
        ]
        if without:
            words = " and ".join(filter(None, [", ".join(map(repr, without[:-1])), repr(without[-1])]))
            has = "has" if len(without) == 1 else "have"
            give = " ".join(f"{n}=NUMBER" for n in without)
            have = ", ".join(self.names) or "none"
            raise errors.ArgumentError(f"expression: {words} {has} no value; give {give} (given: {have})")

    def _note(self, value):
        if isinstance(value, Tensor) and value.node is not None:
            stack = [value.node]
            while stack:
                node = stack.pop()
                if node.op is not None and node not in self.line_of:
                    self.line_of[node] = self.line
                    stack += [p for p in node.parents if p is not None]
        return value

    def value(self, node, depth):
        """What a part of the formula is."""
        if depth > DEEPEST:
            raise errors.ArgumentError(f"expression: nested more than {DEEPEST} deep")
        method = getattr(self, f"_{type(node).__name__.lower()}", None)
        if method is None:
            raise errors.ArgumentError(f"expression: {ast.unparse(node)!r} is not allowed; numbers, names, + - * / ** @, "
                                       f"and {', '.join(sorted(self.functions))} are")  # fmt: skip
        return self._note(method(node, depth + 1))

    def _constant(self, node, depth):
        if isinstance(node.value, (int, float)) or node.value is None:
            return node.value
        raise errors.ArgumentError(f"expression: {node.value!r} is no number")

    def _name(self, node, depth):
        if node.id not in self.names:
            have = ", ".join(self.names) or "none"
            raise errors.ArgumentError(f"expression: {node.id!r} has no value; give {node.id}=NUMBER (given: {have})")
        return self.names[node.id]

    def _list(self, node, depth):
        return [self.value(e, depth) for e in node.elts]

    def _tuple(self, node, depth):
        return tuple(self._list(node, depth))

    def _unaryop(self, node, depth):
        x = self.value(node.operand, depth)
        if isinstance(node.op, ast.UAdd):
            return x
        if not isinstance(node.op, ast.USub):
            raise errors.ArgumentError(f"expression: {ast.unparse(node)!r} is not allowed")
        return registry["neg"].apply(x) if isinstance(x, Tensor) else -x

    def _binop(self, node, depth):
        name = BINARY.get(type(node.op))
        if name is None:
            raise errors.ArgumentError(f"expression: the operator in {ast.unparse(node)!r} is not allowed")
        x, y = self.value(node.left, depth), self.value(node.right, depth)
        if not isinstance(x, Tensor) and not isinstance(y, Tensor):
            return self._plain(name, x, y, node)
        return matmul.matmul(x, y) if name == "matmul" else registry[name].apply(x, y)

    @staticmethod
    def _plain(name, x, y, node):
        """Arithmetic of two numbers; powers of large ones are refused, which would take for ever."""
        if not all(isinstance(v, (int, float)) for v in (x, y)) or (name == "pow" and (abs(x) > 1e6 or abs(y) > 100)):
            raise errors.ArgumentError(f"expression: {ast.unparse(node)!r} cannot be computed")
        try:
            return {"add": lambda: x + y, "sub": lambda: x - y, "mul": lambda: x * y, "div": lambda: x / y,
                    "pow": lambda: float(x) ** y}[name]()  # fmt: skip
        except (ArithmeticError, KeyError, TypeError) as e:
            raise errors.ArgumentError(f"expression: {ast.unparse(node)!r}: {e}") from None

    def _call(self, node, depth):
        if isinstance(node.func, ast.Name):
            name, first = node.func.id, []
        elif isinstance(node.func, ast.Attribute):
            name, first = node.func.attr, [self.value(node.func.value, depth)]
        else:
            name, first = "", []
        if name not in self.functions:
            raise errors.ArgumentError(
                f"expression: there is no function {name or ast.unparse(node.func)!r}; there are {', '.join(sorted(self.functions))}"
            )
        if any(isinstance(a, ast.Starred) for a in node.args) or any(k.arg is None for k in node.keywords):
            raise errors.ArgumentError("expression: * and ** in calls are not allowed")
        inputs = first + [self.value(a, depth) for a in node.args]
        options = {k.arg: self.value(k.value, depth) for k in node.keywords}
        try:
            return self.functions[name](*inputs, **options)
        except TypeError as e:
            raise errors.ArgumentError(f"expression: {ast.unparse(node)}: {e}") from None

    def _attribute(self, node, depth):
        x = self.value(node.value, depth)
        if node.attr != "T" or not isinstance(x, Tensor):
            raise errors.ArgumentError(f"expression: .{node.attr} is not allowed; .T is, and functions as methods")
        return registry["permute"].apply(x, dims=tuple(reversed(range(x.ndim))))

    def _subscript(self, node, depth):
        x = self.value(node.value, depth)
        if not isinstance(x, Tensor):
            raise errors.ArgumentError(f"expression: {ast.unparse(node)!r}: only tensors have elements")
        return x[self.value(node.slice, depth)]

    def _slice(self, node, depth):
        return slice(*[None if v is None else self.value(v, depth) for v in (node.lower, node.upper, node.step)])


def read_number(name: str, text: str, dtype=None):
    """A tensor from `2`, `-1.5` or `[[1, 2], [3, 4]]`; it requires grad."""
    try:
        value = ast.literal_eval(text)
        return tensor(value, dtype=dtype, requires_grad=True)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError, errors.TensorliteError):
        raise errors.ArgumentError(f"{name}={text}: a number is needed, or a list of numbers as [1, 2]") from None
