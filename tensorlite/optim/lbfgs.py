"""L-BFGS (Nocedal 1980; Nocedal and Wright 2006, algorithm 7.4), with a line search for the strong Wolfe conditions."""

from tensorlite import errors
from tensorlite.modes import enable_grad, no_grad
from tensorlite.optim.optimizer import Optimizer, plain
from tensorlite.optim.wolfe import strong_wolfe
from tensorlite.tensor import Tensor, wrap


class LBFGS(Optimizer):
    """Minimises by the last `history_size` changes of position s and gradient y; all parameters as one vector x:

        d = -H g, where H is built from gamma I, gamma = s.y / y.y, by the pairs (s, y)      (the two-loop recursion)
        x = x + t d;  t = lr, at the very first min(1, 1 / |g|_1) lr; or by line_search_fn="strong_wolfe"

    step(closure) does up to max_iter of these and max_eval (1.25 max_iter) calls of closure, which clears the gradients,
    computes the loss, calls backward and returns the loss. It ends when max |g| <= tolerance_grad, or when t d or the loss
    change by less than tolerance_change. One parameter group only.

    Example:
        >>> import tensorlite as tl
        >>> x = tl.nn.Parameter(tl.tensor([3.0, -2.0]))
        >>> opt = tl.optim.LBFGS([x], line_search_fn="strong_wolfe")
        >>> def closure():
        ...     opt.zero_grad()
        ...     loss = ((x - tl.tensor([1.0, 2.0])) ** 2).sum()
        ...     loss.backward()
        ...     return loss
        >>> loss = opt.step(closure); [round(v, 4) for v in x.tolist()]
        [1.0, 2.0]
    """

    shaped = False

    def __init__(self, params, lr=1, max_iter=20, max_eval=None, tolerance_grad=1e-7, tolerance_change=1e-9,
                 history_size=100, line_search_fn=None):  # fmt: skip
        max_eval = max_iter * 5 // 4 if max_eval is None else max_eval
        super().__init__(params, {"lr": lr, "max_iter": max_iter, "max_eval": max_eval, "tolerance_grad": tolerance_grad,
                                  "tolerance_change": tolerance_change, "history_size": history_size,
                                  "line_search_fn": line_search_fn})  # fmt: skip
        self._params = self.param_groups[0]["params"]

    def check(self, group):
        super().check(group)
        if self.param_groups:
            raise errors.ArgumentError("LBFGS: one parameter group only; all parameters are one vector to it")
        if group["line_search_fn"] not in (None, "strong_wolfe"):
            self.refuse("line_search_fn", repr(group["line_search_fn"]), "None or 'strong_wolfe'")

    def step(self, closure):
        """Up to max_iter iterations; gives the loss before the first."""
        group, p = plain(self.param_groups[0]), self._params[0]

        def evaluate():
            with enable_grad():
                loss = closure()
            return loss, float(loss), self._gather()

        with no_grad():
            first, loss, g = evaluate()
            state = self.state[p]
            state.setdefault("n_iter", 0)
            state["func_evals"] = state.get("func_evals", 0) + 1
            if not float(abs(g).max()) <= group["tolerance_grad"]:
                memory = _unwrap(state)
                self._iterate(evaluate, loss, g, group, memory)
                state.update(_wrap(memory, p.device))
        return first

    def _iterate(self, evaluate, loss, g, group, s):
        lr, tolerance, evals = group["lr"], group["tolerance_change"], 1
        for i in range(1, group["max_iter"] + 1):
            s["n_iter"] += 1
            d = s["d"] = self._direction(g, group["history_size"], s)
            s["prev_flat_grad"], s["prev_loss"] = g.copy(), loss
            t = s["t"] = min(1.0, 1.0 / float(abs(g).sum())) * lr if s["n_iter"] == 1 else lr
            slope = float(g @ d)
            if slope > -tolerance:
                return
            calls = 0
            if group["line_search_fn"] is not None:
                start = [q.array.copy() for q in self._params]

                def along(t, d=d, start=start):
                    self._move(t, d)
                    _, loss, g = evaluate()
                    for q, a in zip(self._params, start, strict=True):
                        q.array[...] = a
                    return loss, g

                loss, g, t, calls = strong_wolfe(along, t, d, loss, g, slope, group["max_eval"] - evals)
                s["t"] = t
                self._move(t, d)
            else:
                self._move(t, d)
                if i != group["max_iter"]:
                    _, loss, g = evaluate()
                    calls = 1
            evals += calls
            s["func_evals"] += calls
            if (
                i == group["max_iter"]
                or evals >= group["max_eval"]
                or float(abs(g).max()) <= group["tolerance_grad"]
                or float(abs(d * t).max()) <= tolerance
                or abs(loss - s["prev_loss"]) < tolerance
            ):
                return

    @staticmethod
    def _direction(g, history, s):
        """-H g, after the pair (s, y) of the last iteration has been added to the memory."""
        if s["n_iter"] == 1:
            s.update(old_dirs=[], old_stps=[], ro=[], H_diag=1.0)
            return -g
        y, move = g - s["prev_flat_grad"], s["d"] * s["t"]
        ys = float(y @ move)
        if ys > 1e-10:
            for name, value in (("old_dirs", y), ("old_stps", move), ("ro", 1.0 / ys)):
                s[name] = [*s[name], value][-history:]
            s["H_diag"] = ys / float(y @ y)
        q, shares = -g, []
        pairs = list(zip(s["old_dirs"], s["old_stps"], s["ro"], strict=True))
        for y, move, ro in reversed(pairs):
            shares.append(float(move @ q) * ro)
            q = q - shares[-1] * y
        q = q * s["H_diag"]
        for (y, move, ro), share in zip(pairs, reversed(shares), strict=True):
            q = q + (share - float(y @ q) * ro) * move
        return q

    def _gather(self):
        """All gradients as one vector; zeros where there is none."""
        xp = self._params[0].device.backend.xp
        arrays = [xp.zeros(p.shape, p.dtype) if p.grad is None else p.grad.array for p in self._params]
        return xp.concatenate([xp.asarray(a).reshape(-1) for a in arrays])

    def _move(self, t, d):
        """x = x + t d."""
        start = 0
        for p in self._params:
            n = p.array.size
            p.array = p.array if p.array.ndim else p.device.backend.as_array(p.array)
            p.array += t * d[start : start + n].reshape(p.shape)
            p.version.bump("LBFGS.step")
            start += n


def _unwrap(value):
    """Tensors as raw arrays, also in dicts and lists."""
    if isinstance(value, dict):
        return {k: _unwrap(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_unwrap(v) for v in value]
    return value.array if isinstance(value, Tensor) else value


def _wrap(value, device):
    """Raw arrays as tensors, also in dicts and lists."""
    if isinstance(value, dict):
        return {k: _wrap(v, device) for k, v in value.items()}
    if isinstance(value, list):
        return [_wrap(v, device) for v in value]
    return wrap(value, device) if hasattr(value, "shape") else value
