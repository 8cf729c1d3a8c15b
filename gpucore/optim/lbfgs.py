"""L-BFGS."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import inf, isfinite
from typing import Any

import numpy as np

from ..array import Array
from ..errors import ConfigError, ShapeError
from .base import Optimizer, check_range, checked_state
from .flat_history import FlatHistory, Observed
from .line_search import MOST_TRIALS, StrongWolfe, Trial
from .packed import PackedGradients

GRADIENT, CHANGE, ITERATIONS, EVALUATIONS = "gradient", "change", "iterations", "evaluations"
LINE_SEARCH, NOT_FINITE = "line search", "not finite"
NOISE = 10
"""Roundings of the loss: where a direction promised less, -gᵀd, and no step along it was better, the loss has converged."""


class LBFGS(Optimizer):
    """L-BFGS: θ += α·d with d = -H·g, H the BFGS approximation of the inverse Hessian from the last pairs (s, y).

    H is built from γ·I, γ = sᵀy / yᵀy, by H ← (I - ρ·s·yᵀ)·H·(I - ρ·y·sᵀ) + ρ·s·sᵀ with ρ = 1 / yᵀs, s the displacement and y the
    change of the gradient of each of the last `history` steps (Nocedal & Wright 2006, algorithms 7.4 and 7.5). α fulfils
    the strong Wolfe conditions f(θ + α·d) ≤ f(θ) + c1·α·gᵀd and |∇f(θ + α·d)ᵀd| ≤ c2·|gᵀd| (algorithms 3.5 and 3.6).

        evaluate = gc.Pipeline(loss_and_gradients)  # of the batch; returns [loss, *gradients]
        loss = optimizer.step(lambda: evaluate(x, y))

    The vectors stay on the device. The two-loop recursion runs on the host over their scalar products, in float64 (vector-free
    L-BFGS: Chen, Wang & Zhou 2014); each evaluation of the loss costs one readback, and d is one linear combination.

    lr:               the first α that is tried; before there are pairs it is min(1, 1/‖g‖₁)·lr. 0 changes nothing.
    history:          pairs kept; the memory is 2·history + 6 times that of the parameters.
    tolerance_grad:   stop where max|g| is no greater.
    tolerance_change: stop where max|s| is no greater, or the loss fell by no more than this times its size.
    max_iterations:   steps along a direction in one call of `step`; max_evaluations: calls of the closure in one,
                      2·max_iterations + 10 by default.

    Pairs with yᵀs ≤ ε·‖y‖·‖s‖ are left out (ε: the rounding of the dtype). Where d is no descent, or no step along it is better, the
    pairs are forgotten and d is -g. A loss or gradient that is NaN or infinite makes the step shorter. The parameters are
    never left where the loss is higher than it was. In float32 a search ends where the loss changes by roundings only.
    """

    def __init__(
        self, params: Sequence[Any], lr: float = 1.0, *, history: int = 10, tolerance_grad: float = 1e-7, tolerance_change: float = 1e-9,
        max_iterations: int = 20, max_evaluations: int | None = None, c1: float = 1e-4, c2: float = 0.9,
    ) -> None:  # fmt: skip
        self.tolerance_grad = check_range("LBFGS", "tolerance_grad", tolerance_grad, 0.0)
        self.tolerance_change = check_range("LBFGS", "tolerance_change", tolerance_change, 0.0)
        self.history, self.max_iterations = _whole("history", history), _whole("max_iterations", max_iterations)
        self.max_evaluations = None if max_evaluations is None else _whole("max_evaluations", max_evaluations)
        if not 0 < c1 < c2 < 1:
            raise ConfigError(f"LBFGS: c1 is {c1} and c2 {c2}; wants 0 < c1 < c2 < 1")
        self.c1, self.c2 = float(c1), float(c2)
        super().__init__(params, lr, PackedGradients.order)
        self._gradients = PackedGradients(self._flat)
        self._resolution = float(np.finfo(self._flat.dtype.host).eps)
        self._slots = self.history + 1  # one to spare, for the pair of a trial
        self._vectors = FlatHistory(self._flat, self._gradients.pieces, self._slots)
        self._gram = np.zeros((self._vectors.rows,) * 2)
        self._order: list[int] = []  # slots of the pairs, from the oldest to the newest
        self._row = 0  # which of the two gradient rows is that of the origin
        self._allowed = 0
        self.status = ""
        """Why the last call of `step` ended: "gradient" or "change" (converged), "iterations", "evaluations", "line search" (no step
        was better, even along -g), "not finite" (the loss or its gradient, where the call began)."""
        self.iterations = 0
        """Steps along a direction since the optimizer was made."""
        self.evaluations = 0
        """Calls of a closure since the optimizer was made."""

    @property
    def steps(self) -> int:
        """The same as `iterations`."""
        return self.iterations

    # ---- the step

    def step(self, closure: Callable[[], Any]) -> float:  # type: ignore[override]
        """Runs up to max_iterations iterations and returns the loss at the parameters that it leaves.

        closure: takes nothing and returns (loss, gradients) for the present parameters, in their order, None for zeros; what a
            Pipeline returns, (loss, gradient, gradient, ...), will do. It must be a function of the parameters alone: the same
            batch, no dropout. An error in it leaves the parameters as they were.
        ShapeError for the wrong number or shape of gradients. `status` says why it ended.
        """
        if not callable(closure):
            raise ConfigError(f"LBFGS.step: got {type(closure).__name__}; wants a function that returns (loss, gradients)")
        self._allowed = 2 * self.max_iterations + 10 if self.max_evaluations is None else self.max_evaluations
        self._vectors.keep()
        here = self._evaluate(closure)
        if not (isfinite(here.loss) and isfinite(here.g_sum)):
            self.status = NOT_FINITE
            return here.loss
        self._turn(here)
        for _ in range(self.max_iterations):
            if here.g_max <= self.tolerance_grad:
                self.status = GRADIENT
                return here.loss
            if self._allowed <= 0:
                self.status = EVALUATIONS
                return here.loss
            there = self._advance(closure, here)
            if there is None:
                return here.loss
            before, here = here, there
            least = self.tolerance_change * max(abs(before.loss), abs(here.loss))
            if before.loss - here.loss <= least or here.s_max <= self.tolerance_change:
                self.status = CHANGE
                return here.loss
        self.status = GRADIENT if here.g_max <= self.tolerance_grad else ITERATIONS
        return here.loss

    def _evaluate(self, closure: Callable[[], Any]) -> Observed:
        """The loss and the scalar products at the present parameters; the gradient goes into the row that is not the origin's."""
        loss, grads = _parted(closure())
        self._check_grads(grads)
        if not isinstance(loss, Array) or loss.size != 1:
            raise ShapeError(
                f"LBFGS.step: the closure's loss is {getattr(loss, 'shape', type(loss).__name__)}; wants a tensor of one element"
            )
        self._allowed -= 1
        self.evaluations += 1
        return self._vectors.observe(loss, self._gradients.take([grads[i] for i in self._trained]), self._spare(), 1 - self._row)

    def _advance(self, closure: Callable[[], Any], here: Observed) -> Observed | None:
        """One iteration; None, and the parameters are the origin, when no step is better: `status` says so."""
        if self.lr == 0:
            self.status = CHANGE
            return None
        promised = inf
        while True:
            coefficients, slope = self._direction()
            scale = 1.0 if self._order else min(1.0, 1.0 / here.g_sum)
            there = None
            if slope < 0:
                promised = min(promised, -slope * scale)
                try:
                    there = self._search(closure, here, scale * self.lr, coefficients, slope)
                except BaseException:
                    self._vectors.restore()
                    raise
            if there is not None:
                self._accept(there)
                return there
            self._vectors.restore()
            if self._allowed <= 0:
                self.status = EVALUATIONS
                return None
            if not self._order:
                self.status = CHANGE if promised <= NOISE * self._resolution * abs(here.loss) else LINE_SEARCH
                return None
            self._order.clear()

    def _search(self, closure: Callable[[], Any], here: Observed, first: float, coefficients: np.ndarray, slope: float) -> Observed | None:
        """The line search along a direction; the parameters are then where the result was observed, if there is one."""
        self._vectors.aim(coefficients)
        latest = 0.0

        def evaluate(step: float) -> Trial:
            nonlocal latest
            latest = step
            self._vectors.move(step)
            seen = self._evaluate(closure)
            along = float(seen.dots[2 * self._slots + 1 - self._row, 3]) if isfinite(seen.g_sum) else np.nan
            return Trial(step, seen.loss, along, seen)

        trial = evaluate(first)
        measured = float(trial.seen.dots[2 * self._slots + self._row, 3])  # of the direction as it was rounded
        if not measured < 0:
            return None
        trials = min(MOST_TRIALS, self._allowed + 1)
        options: dict[str, Any] = dict(c1=self.c1, c2=self.c2, resolution=self._resolution, trials=trials)
        found = StrongWolfe(evaluate, Trial(0.0, here.loss, measured), **options).search(trial).trial
        if found is not None and found.step != latest:
            found = evaluate(found.step)
        return found.seen if found is not None and found.finite and found.loss <= here.loss else None

    # ---- scalar products on the host

    def _spare(self) -> int:
        """The slot of the next pair."""
        return next(i for i in range(self._slots) if i not in self._order)

    def _turn(self, seen: Observed) -> None:
        """The gradient just observed becomes that of the origin."""
        self._row = 1 - self._row
        self._put(2 * self._slots + self._row, seen.dots[:, 2])

    def _put(self, row: int, products: np.ndarray) -> None:
        self._gram[row, :] = self._gram[:, row] = products

    def _accept(self, seen: Observed) -> None:
        """The present parameters become the origin; their pair is kept where it has curvature."""
        slot = self._spare()
        self._put(slot, seen.dots[:, 0])
        self._put(self._slots + slot, seen.dots[:, 1])
        self._turn(seen)
        self._vectors.keep()
        self.iterations += 1
        ss, sy, yy = seen.dots[slot, 0], seen.dots[slot, 1], seen.dots[self._slots + slot, 1]
        if sy > self._resolution * np.sqrt(ss) * np.sqrt(yy) and isfinite(yy):
            self._order = [*self._order, slot][-self.history :]

    def _direction(self) -> tuple[np.ndarray, float]:
        """(coefficients of -H·g over the rows, the slope gᵀd that they give): the two-loop recursion over the Gram matrix."""
        gram, slots, gradient = self._gram, self._slots, 2 * self._slots + self._row
        live = [*self._order, *(slots + i for i in self._order), gradient]
        delta = np.zeros(self._vectors.rows)
        delta[gradient] = -1.0
        if self._order:
            alphas = {}
            for i in reversed(self._order):
                alphas[i] = delta[live] @ gram[live, i] / gram[i, slots + i]
                delta[slots + i] -= alphas[i]
            newest = self._order[-1]
            delta *= gram[newest, slots + newest] / gram[slots + newest, slots + newest]
            for i in self._order:
                delta[i] += alphas[i] - delta[live] @ gram[live, slots + i] / gram[i, slots + i]
        slope = float(delta[live] @ gram[live, gradient])
        return delta, slope if np.isfinite(delta).all() else np.nan

    # ---- state

    def state_dict(self) -> dict[str, np.ndarray]:
        """Everything that the next step depends on, as host arrays.

        "lr", "iterations", "evaluations"; "order" [history], the slots of the pairs from the oldest to the newest, then -1;
        "gram" [2·slots, 2·slots], their scalar products; "s.<parameter>" and "y.<parameter>" [slots, *shape], slots = history + 1.
        """
        unused = [i for i in range(self._slots) if i not in self._order]
        pairs = self._vectors.pairs()
        gram = self._gram[: 2 * self._slots, : 2 * self._slots].copy()
        for row in (*unused, *(self._slots + i for i in unused)):
            pairs[row], gram[row, :], gram[:, row] = 0, 0, 0
        order = np.full(self.history, -1, np.int32)
        order[: len(self._order)] = self._order
        state = {name: np.array([getattr(self, name)]) for name in ("lr", "iterations", "evaluations")} | {"order": order, "gram": gram}
        for k, name in enumerate("sy"):
            rows = [self._flat.split(pairs[k * self._slots + i]) for i in range(self._slots)]
            state |= {f"{name}.{i}": np.stack([row[j] for row in rows]) for j, i in enumerate(self._trained)}
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes up what `state_dict` gave; the steps then go on as they would have, bit for bit on the same device.

        ConfigError, and nothing is changed, when an entry is missing, foreign, misshapen or makes no sense.
        """
        who = "LBFGS.load_state_dict"
        shapes: dict[str, tuple[int, ...]] = dict.fromkeys(("lr", "iterations", "evaluations"), (1,))
        shapes |= {"order": (self.history,), "gram": (2 * self._slots,) * 2}
        shapes |= {f"{name}.{i}": (self._slots, *self.params[i].shape) for name in "sy" for i in self._trained}
        arrays = checked_state(who, state, shapes)
        order = [int(i) for i in arrays["order"] if i >= 0]
        if len({*order}) != len(order) or any(i >= self._slots for i in order):
            raise ConfigError(f"{who}: order is {arrays['order'].tolist()}; wants different slots below {self._slots}")
        if not np.isfinite(arrays["gram"]).all():
            raise ConfigError(f"{who}: gram holds NaN or infinities; wants finite numbers")
        lr = check_range(who, "lr", float(arrays["lr"][0]), 0.0)
        rows = [[arrays[f"{name}.{i}"][k] for i in self._trained] for name in "sy" for k in range(self._slots)]
        self._vectors.assign_pairs(np.stack([self._flat.join(row) for row in rows]))
        self._order, self.lr = order, lr
        self._gram[: 2 * self._slots, : 2 * self._slots] = arrays["gram"]
        self.iterations, self.evaluations = (int(arrays[name][0]) for name in ("iterations", "evaluations"))


def _whole(name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigError(f"LBFGS: {name} is {value!r}; wants a whole number of 1 or more")
    return value


def _parted(result: Any) -> tuple[Any, list[Any]]:
    """(loss, gradients) of what a closure returned."""
    if not isinstance(result, tuple | list) or len(result) < 2:
        raise ConfigError(f"LBFGS.step: the closure returned {type(result).__name__}; wants (loss, gradients)")
    loss, *rest = result
    return loss, list(rest[0]) if len(rest) == 1 and isinstance(rest[0], tuple | list) else rest
