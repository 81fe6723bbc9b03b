"""A reader of pickles that runs nothing: containers and numbers are built, names are looked up in a given table.

A pickle is a program for a small stack machine. Its words are taken apart by the standard library's `pickletools.genops`,
which executes none, and carried out here one by one. Python's own Unpickler is not used: it would import and call what
a file names, and reserve as much memory as a file claims.
"""

import collections
import pickletools

from tensorlite import errors

_CONSTANTS = {  # words that push their own argument
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}
_SINGLE = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_LEAVES = (type(None), bool, int, float, str, bytes)
_KEY_PARTS = 1000  # values within one dict key; hashing a deep or endlessly shared tuple would crash or never end


class Name:
    """A global name in a pickle that is known: `make(*arguments)` is called when the pickle asks for a call of it."""

    def __init__(self, name, make=None):
        self.name, self.make = name, make


class Part:
    """Something that only serves to build other things and must not be in the result; `fill(state)` is its BUILD."""

    def fill(self, state):
        raise ValueError(f"contents for {self}")


def load(file, find, persistent, classes=()):
    """The object that the pickle at the position of `file` describes; reads up to its end and no further.

    find(name) gives the Name, or the value, for "module.attribute", or raises; persistent(id) gives what an id stands for.
    Objects of `classes`, which `find` made, take attributes. Raises FileError for a call of anything that is no Name
    with a `make`, and other exceptions for a pickle that makes no sense.
    """
    stack, marks, memo = [], [], {}

    def since_mark():
        start = marks.pop()
        items = stack[start:]
        del stack[start:]
        return items

    for word, arg, _ in pickletools.genops(file):
        name = word.name
        if name in _CONSTANTS:
            stack.append(bytes(arg) if isinstance(arg, bytearray) else arg)
        elif name in _SINGLE:
            stack.append(_SINGLE[name])
        elif name in ("PROTO", "FRAME"):
            pass
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            memo[arg] = stack[-1]
        elif name == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(memo[arg])
        elif name == "MARK":
            marks.append(len(stack))
        elif name == "POP":
            stack.pop()
        elif name == "POP_MARK":
            since_mark()
        elif name == "DUP":
            stack.append(stack[-1])
        elif name in ("EMPTY_LIST", "EMPTY_DICT", "EMPTY_TUPLE", "EMPTY_SET"):
            stack.append({"L": list, "D": dict, "T": tuple, "S": set}[name[6]]())
        elif name == "LIST":
            stack.append(since_mark())
        elif name == "TUPLE":
            stack.append(tuple(since_mark()))
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            n = int(name[-1])
            stack[-n:] = [tuple(_last(stack, n))]
        elif name == "DICT":
            stack.append(_put({}, since_mark()))
        elif name == "APPEND":
            value = stack.pop()
            _a(list, stack[-1]).append(value)
        elif name == "APPENDS":
            items = since_mark()
            _a(list, stack[-1]).extend(items)
        elif name == "SETITEM":
            items = _last(stack, 2)
            del stack[-2:]
            _put(stack[-1], items)
        elif name == "SETITEMS":
            items = since_mark()
            _put(stack[-1], items)
        elif name == "ADDITEMS":
            items = since_mark()
            _a(set, stack[-1]).update(map(key, items))
        elif name == "FROZENSET":
            stack.append(frozenset(map(key, since_mark())))
        elif name == "GLOBAL":
            stack.append(find(arg.replace(" ", ".")))
        elif name == "STACK_GLOBAL":
            module, attribute = (_a(str, v) for v in _last(stack, 2))
            stack[-2:] = [find(f"{module}.{attribute}")]
        elif name in ("REDUCE", "NEWOBJ"):
            function, arguments = _last(stack, 2)
            stack[-2:] = [_call(function, _a(tuple, arguments))]
        elif name == "BUILD":
            state = stack.pop()
            _build(stack[-1], state, classes)
        elif name == "BINPERSID":
            stack.append(persistent(stack.pop()))
        elif name == "STOP":
            (result,) = stack
            return _finished(result, classes)
        else:
            raise ValueError(f"the word {name} in its pickle")
    raise EOFError("its pickle ends too soon")


def _last(stack, n):
    if len(stack) < n:
        raise ValueError("its pickle takes more than it has")
    return stack[-n:]


def _a(kind, value):
    """The value, if it is just of this type."""
    if type(value) is not kind:
        raise ValueError(f"a {type(value).__name__} where a {kind.__name__} must be")
    return value


def key(value):
    """The value, if it can be a dict key: a number, text, or a small tuple of these."""
    todo, seen = [value], 0
    while todo:
        v = todo.pop()
        seen += 1
        if type(v) in (tuple, frozenset):
            todo.extend(v)
        elif type(v) not in _LEAVES and getattr(v, "__hash__", None) is None:
            raise ValueError(f"a {type(v).__name__} as a key")
        if seen + len(todo) > _KEY_PARTS:
            raise ValueError("a key of too many parts")
    return value


def _put(target, items):
    if type(target) not in (dict, collections.OrderedDict, collections.Counter) or len(items) % 2:
        raise ValueError(f"items for a {type(target).__name__}")
    for k, v in zip(items[::2], items[1::2]):
        dict.__setitem__(target, key(k), v) if type(target) is collections.Counter else target.__setitem__(key(k), v)
    return target


def _call(function, arguments):
    if type(function) is not Name or function.make is None:
        what = function.name if isinstance(function, Name) else f"a {type(function).__name__}"
        raise errors.FileError(f"it asks for a call of {what}: refused, no file is allowed to run code")
    return function.make(*arguments)


def _build(target, state, classes):
    """Contents for an object made before. Of an OrderedDict's attributes only the `_metadata` of a state_dict is kept."""
    if isinstance(target, Part):
        target.fill(state)
    elif type(target) is collections.OrderedDict and type(state) is dict:
        if "_metadata" in state:
            target._metadata = state["_metadata"]
    elif type(target) in classes and type(state) is dict:
        vars(target).update({_a(str, k): v for k, v in state.items()})
    else:
        raise ValueError(f"contents for a {type(target).__name__}")


def _finished(result, classes):
    """The result, after a look whether a Name or a Part is left in it: those are no values."""
    todo, seen = [result], set()
    while todo:
        v = todo.pop()
        if type(v) in _LEAVES or id(v) in seen:
            continue
        seen.add(id(v))
        if isinstance(v, (Name, Part)):
            what = v.name if isinstance(v, Name) else v
            raise errors.FileError(f"it contains {what} as a value: refused, only tensors and containers are read")
        if isinstance(v, dict):
            todo.extend(v.keys())
            todo.extend(v.values())
            todo.extend(getattr(v, "__dict__", {}).values())
        elif isinstance(v, (list, tuple, set, frozenset)):
            todo.extend(v)
        elif type(v) in classes:
            todo.extend(vars(v).values())
    return result
