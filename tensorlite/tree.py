"""Trees: tensors (or anything) in nested dicts, lists and tuples, taken apart and put together again."""


def flatten(tree):
    """(leaves, skeleton): all that is no dict, list or tuple, in order, and the same tree with numbers in their places.

    Example:
        >>> flatten({"a": 1.5, "b": (None, [2.5])})
        ([1.5, None, 2.5], {'a': 0, 'b': (1, [2])})
    """
    leaves = []

    def take(leaf):
        leaves.append(leaf)
        return len(leaves) - 1

    return leaves, transform(take, tree)


def unflatten(leaves, skeleton):
    """The tree again, with `leaves` where the skeleton has their numbers."""
    return transform(lambda i: leaves[i], skeleton)


def is_node(tree) -> bool:
    """Whether `tree` is a dict, a list or a tuple (shapes are leaves)."""
    return isinstance(tree, (dict, list)) or (isinstance(tree, tuple) and type(tree).__name__ != "Size")


def transform(function, tree):
    """The same tree with `function(leaf)` for every leaf; types (OrderedDict, named tuples) are kept."""
    if not is_node(tree):
        return function(tree)
    if isinstance(tree, dict):
        pairs = [(key, transform(function, value)) for key, value in tree.items()]
        return dict(pairs) if type(tree) is dict else type(tree)(pairs)
    parts = [transform(function, value) for value in tree]
    if isinstance(tree, tuple):
        return type(tree)(*parts) if hasattr(tree, "_fields") else tuple(parts)
    return parts


def leaves_of(tree):
    """The leaves alone."""
    return flatten(tree)[0]


def spread(prefix, tree):
    """`prefix` (a value, or a tree that ends sooner than `tree`) as one value for each leaf of `tree`; None if it does not fit."""
    if not is_node(prefix):
        return [prefix] * len(leaves_of(tree))
    if not is_node(tree) or isinstance(prefix, dict) != isinstance(tree, dict) or len(prefix) != len(tree):
        return None
    found = []
    for key in prefix if isinstance(prefix, dict) else range(len(prefix)):
        if isinstance(prefix, dict) and key not in tree:
            return None
    for key in tree if isinstance(tree, dict) else range(len(tree)):
        part = spread(prefix[key], tree[key])
        if part is None:
            return None
        found += part
    return found
