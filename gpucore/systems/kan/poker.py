"""An example of a loss of one's own: the outputs of a network that plays poker, as [21, 64, 64, 24] does.

The 24 targets of a position are the probabilities of 8 actions, the values of these actions, and a mask with 1 for the
actions that the rules allow. The 24 outputs are 8 logits of the probabilities, 8 values, and 8 logits of the mask:

    loss = policy + value_weight·value + legal_weight·legal

    network = kan.KanNetwork(kan.KanConfig.preset("arkan"))
    network.train_step(x, targets, loss=kan.PokerLoss())
    shares = kan.action_probabilities(network(x), legal)
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Any

from ... import ops
from ...errors import ConfigError, ShapeError
from .losses import LOSSES, KanLoss

ACTIONS = 8
POLICIES = ("cross_entropy", "bce")
VALUES = ("huber", "mse", "mae")
FORBIDDEN = -1e30
"""The logit of an action that is not allowed: its share is exactly 0."""


@dataclass(frozen=True)
class PokerLoss:
    """A loss function (output [n, 24], target [n, 24], mask) → scalar for `train_step`, `fit` and `KanLoss`.

    policy: "cross_entropy", -Σ p·ln q over the allowed actions, q the softmax of their logits, the mean over positions that
            allow any; or "bce", the mean of -p·ln σ - (1-p)·ln(1-σ) over all allowed actions, each on its own.
    value:  the mean over all allowed actions, of huber (see delta), mse or mae.
    legal:  bce of the last 8 outputs and the mask; with legal_weight 0 they are not trained.
    A mask of the targets' shape takes single entries out of each part, or with numbers between weights them; for the cross-entropy
    that is p's share of the sum. Where an action is not allowed, targets may hold anything. ConfigError for other settings.
    """

    policy: str = "cross_entropy"
    value: str = "huber"
    value_weight: float = 1.0
    legal_weight: float = 0.0
    delta: float = 1.0

    def __post_init__(self) -> None:
        if self.policy not in POLICIES or self.value not in VALUES:
            wanted = f"{', '.join(POLICIES)} and {', '.join(VALUES)}"
            raise ConfigError(f"PokerLoss: policy is {self.policy!r} and value {self.value!r}; wants one of {wanted}")
        for name in ("value_weight", "legal_weight", "delta"):
            number = getattr(self, name)
            if not (isinstance(number, int | float) and isfinite(number) and number >= 0) or (name == "delta" and number == 0):
                raise ConfigError(f"PokerLoss: {name} is {number!r}; wants a number of 0 or more{', not 0' if name == 'delta' else ''}")

    def __call__(self, output: Any, target: Any, mask: Any = None) -> Any:
        """The combined loss."""
        logits, values, legality = split(output, "output")
        shares, worths, legal = split(target, "target")
        weights = (None,) * 3 if mask is None else split(mask, "mask")
        value = KanLoss(self.value, delta=self.delta).data(values, worths, _both(legal, weights[1]))
        total = self._policy(logits, shares, _both(legal, weights[0])) + value * self.value_weight
        return total + LOSSES["bce_logits"](legality, legal, weights[2]) * self.legal_weight if self.legal_weight else total

    def _policy(self, logits: Any, shares: Any, counted: Any) -> Any:
        if self.policy == "bce":
            return LOSSES["bce_logits"](logits, shares, counted)
        allowed = ops.greater(counted, 0)
        surprise = ops.where(allowed, -ops.log_softmax(ops.where(allowed, logits, FORBIDDEN), axis=-1), 0.0)
        positions = ops.sum(ops.max(ops.astype(allowed, logits.dtype), axis=-1))
        return ops.sum(surprise * ops.where(allowed, shares, 0.0) * counted) / ops.maximum(positions, 1.0)


def split(table: Any, name: str = "table") -> tuple[Any, Any, Any]:
    """(probabilities, values, mask), [n, 8] each, of a table [n, 24]."""
    if table.ndim != 2 or table.shape[1] != 3 * ACTIONS:
        raise ShapeError(f"PokerLoss: {name} has shape {table.shape}; wants [n, {3 * ACTIONS}]")
    return table[:, :ACTIONS], table[:, ACTIONS : 2 * ACTIONS], table[:, 2 * ACTIONS :]


def action_probabilities(output: Any, legal: Any) -> Any:
    """[n, 8]: the softmax of an output's logits over the actions that are allowed; 0 for the others, and where none is."""
    allowed = ops.greater(legal, 0)
    return ops.where(allowed, ops.softmax(ops.where(allowed, split(output, "output")[0], FORBIDDEN), axis=-1), 0.0)


def _both(legal: Any, weights: Any) -> Any:
    allowed = ops.astype(ops.greater(legal, 0), legal.dtype)
    return allowed if weights is None else allowed * weights
