"""tl.func: functions that turn functions into derivatives (transforms.py) and into functions of many examples (vmap.py)."""

from tensorlite.func.modules import functional_call, stack_module_state
from tensorlite.func.transforms import grad, grad_and_value, hessian, jacfwd, jacrev, jvp, linearize, vjp
from tensorlite.func.vmap import vmap

__all__ = [
    "functional_call",
    "grad",
    "grad_and_value",
    "hessian",
    "jacfwd",
    "jacrev",
    "jvp",
    "linearize",
    "stack_module_state",
    "vjp",
    "vmap",
]
