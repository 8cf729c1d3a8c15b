"""The Bellman target and the maximum over legal moves, as operations on tensors."""

from __future__ import annotations

from typing import Any

from .... import ops

NEVER = -1e30
"""What a move that is not legal counts as in a maximum."""


def best_move(values: Any, legal: Any) -> Any:
    """[n] int32: the legal move of the largest value [n, 4], the first on ties; legal [n, 4] is 1 or 0."""
    return ops.argmax(_legal_alone(values, legal), axis=1)


def bellman_target(rewards: Any, next_values: Any, next_legal: Any, gamma: float) -> Any:
    """[n]: r + γ · max over the legal moves a' of Q(s', a'). Without a legal move s' is terminal, and its value 0.

    rewards [n]; next_values and next_legal (1 or 0) [n, 4]. Mnih et al., "Human-level control through deep
    reinforcement learning", 2015.
    """
    return _discounted(rewards, ops.max(_legal_alone(next_values, next_legal), axis=1), next_legal, gamma)


def double_target(rewards: Any, next_values: Any, choosing: Any, next_legal: Any, gamma: float) -> Any:
    """The same with the value of the legal move that another network's values `choosing` [n, 4] put first.

    A maximum over noisy values is too high; this one is not (van Hasselt, Guez and Silver, arXiv 1509.06461).
    """
    picked = ops.one_hot(best_move(choosing, next_legal), num_classes=next_values.shape[1])
    chosen = ops.sum(next_values * ops.astype(picked, next_values.dtype), axis=1)
    return _discounted(rewards, chosen, next_legal, gamma)


def _legal_alone(values: Any, legal: Any) -> Any:
    return ops.where(ops.greater(legal, 0), values, NEVER)


def _discounted(rewards: Any, values: Any, legal: Any, gamma: float) -> Any:
    goes_on = ops.greater(ops.max(legal, axis=1), 0)
    return rewards + ops.where(goes_on, values, 0.0) * gamma
