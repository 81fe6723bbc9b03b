"""SparseAdam: Adam for gradients of which most rows are missing."""

from tensorlite import errors
from tensorlite.optim.optimizer import Optimizer


class SparseAdam(Optimizer):
    """Adam that updates only the rows which a sparse gradient has. tensorlite's gradients are dense, of embeddings too: the
    name is here so that a program which offers it as a choice starts; its step refuses a dense gradient, as PyTorch's does.

    Raises:
        ArgumentError: impossible options. TensorliteError (at the step): a dense gradient.

    Example:
        >>> import tensorlite as tl
        >>> tl.optim.SparseAdam([tl.nn.Parameter(tl.ones(2))], lr=0.1).defaults["lr"]
        0.1
    """

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, maximize=False):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize})

    def check(self, group):
        super().check(group)
        for name in ("lr", "eps"):
            if not group[name] > 0:
                self.refuse(name, group[name], "above 0")

    def update(self, device, p, g, state, group):
        raise errors.TensorliteError(
            "SparseAdam: it updates by sparse gradients only, and gradients are dense here; use Adam or AdamW"
        )
