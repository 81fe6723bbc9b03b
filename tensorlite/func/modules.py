"""Modules as functions of their parameters: functional_call, stack_module_state."""

from tensorlite.errors import ArgumentError
from tensorlite.ops.shape import stack
from tensorlite.tensor import Tensor


def functional_call(module, parameter_and_buffer_dicts, args=None, kwargs=None, *, tie_weights=True, strict=False):
    """module(*args, **kwargs) with the given tensors in the places of its parameters and buffers; the module is unchanged.

    parameter_and_buffer_dicts: a dict of path -> tensor as from named_parameters(), or a tuple of such dicts. What it does
    not name stays. A tensor that the module computes (the `weight` of a parametrized layer) is replaced by the given one as it
    is, with its gradient, for every parametrization (PyTorch leads it through right_inverse, and loses its gradient).
    tie_weights: a tensor that stands in the module under several names is replaced under all of them.
    strict: every parameter and buffer must be named.

    Raises:
        ArgumentError: a name the module does not have, or (strict) one that is missing.

    Example:
        >>> import tensorlite as tl
        >>> net = tl.nn.Linear(3, 1)
        >>> params = dict(net.named_parameters())
        >>> loss = lambda p, x: tl.func.functional_call(net, p, (x,)).sum()
        >>> sorted(tl.func.grad(loss)(params, tl.ones(2, 3)))
        ['bias', 'weight']
    """
    given = _merged(parameter_and_buffer_dicts)
    args = () if args is None else args if isinstance(args, tuple) else (args,)
    places, known = {}, {}  # id of a tensor -> its (store, name) places; path -> (store, name, tensor)
    for path, part in module.named_modules(remove_duplicate=False):
        for store in (part._parameters, part._buffers):
            for name, value in store.items():
                if value is not None:
                    known[f"{path}.{name}" if path else name] = (store, name, value)
                    places.setdefault(id(value), []).append((store, name))
    strange, computed = [], []  # names that are none; (attributes, name, tensor) of tensors that a module computes
    for path in [k for k in given if k not in known]:
        part, name = _owner(module, path)
        if part is None:
            strange.append(path)
        else:
            computed.append((part.__dict__, name, given.pop(path)))
    named = {id(known[k][2]) for k in given if k in known}
    missing = [k for k, (_, _, v) in known.items() if k not in given and not (tie_weights and id(v) in named)]
    if strange or (strict and missing):
        parts = [f"the module has no {', '.join(strange)}"] if strange else []
        parts += [f"missing: {', '.join(missing)}"] if strict and missing else []
        raise ArgumentError(f"functional_call of {type(module).__name__}: {'; '.join(parts)}")
    swaps = []
    for path, tensor in given.items():
        store, name, old = known[path]
        where = places[id(old)] if tie_weights else [(store, name)]
        swaps += [(s, n, old, tensor) for s, n in where if not any(s is s2 and n == n2 for s2, n2, *_ in swaps)]
    kept = [(store, name, store[name]) for store, name, _ in computed if name in store]
    before = [(store, dict(store)) for store in {id(s): s for s, *_ in swaps}.values()]
    try:
        for store, name, _, tensor in swaps:
            store[name] = tensor
        for store, name, tensor in computed:  # what stands in the module's own dict hides its __getattr__
            store[name] = tensor
        return module(*args, **(kwargs or {}))
    finally:
        for store, values in before:
            store.update(values)
        for store, name, _ in computed:
            store.pop(name, None)
        for store, name, value in kept:
            store[name] = value


def _owner(module, path):
    """(the module, the name) of the tensor at a path; (None, "") if there is none."""
    *parts, name = path.split(".")
    for part in parts:
        module = getattr(module, "_modules", {}).get(part)
    found = None if module is None or not name else getattr(module, name, None)
    return (module, name) if isinstance(found, Tensor) else (None, "")


def _merged(dicts):
    if isinstance(dicts, dict):
        return dict(dicts)
    if not isinstance(dicts, (tuple, list)) or not all(isinstance(d, dict) for d in dicts):
        raise ArgumentError("functional_call: a dict of name -> tensor is needed, or a tuple of such dicts")
    merged = {}
    for d in dicts:
        twice = sorted(set(d) & set(merged))
        if twice:
            raise ArgumentError(f"functional_call: {', '.join(twice)} is given in several of the dicts")
        merged.update(d)
    return merged


def stack_module_state(models):
    """(parameters, buffers): those of modules of one kind stacked, name -> (number of models, ...), for vmap over the models.

    The stacked parameters are new leaves that require grad where the models' do.
    """
    models = list(models)
    if not models:
        raise ArgumentError("stack_module_state: at least one model is needed")
    if any(type(m) is not type(models[0]) or m.training != models[0].training for m in models):
        raise ArgumentError("stack_module_state: all models must be of one class, all training or all not")
    params, buffers = {}, {}
    for made, columns in (
        (params, [dict(m.named_parameters()) for m in models]),
        (buffers, [dict(m.named_buffers()) for m in models]),
    ):
        for name, first in columns[0].items():
            made[name] = stack([c[name].detach() for c in columns]).requires_grad_(first.requires_grad)
    return params, buffers
