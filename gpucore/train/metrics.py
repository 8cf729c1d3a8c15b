"""Metrics: functions (output, target) to a scalar tensor, the mean over the batch, computed on the device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import ops

Metric = Callable[[Any, Any], Any]


def accuracy(logits: Any, labels: Any) -> Any:
    """The share of rows [batch, classes] whose largest logit is that of the label [batch]."""
    right = ops.equal(ops.argmax(logits, axis=-1), labels)
    return ops.mean(ops.astype(right, "float32"))


def default_metrics(loss: Any) -> dict[str, Metric]:
    """Accuracy for a classification (the loss is cross_entropy), else none."""
    return {"accuracy": accuracy} if loss is ops.cross_entropy else {}
