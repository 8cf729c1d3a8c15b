"""Losses: the operations. Each gives a scalar of shape (), the mean over its elements or samples."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from ..array import Array
from ..autograd import Backward, differentiable, is_one, is_recording
from ..kernels import loss as K
from . import elementwise, norm, reduce

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["binary_cross_entropy_with_logits", "cross_entropy", "huber_loss", "l1_loss", "mse_loss"]


@differentiable
def cross_entropy(logits: Any, labels: Any) -> tuple[Any, Backward]:
    """mean over n of ln Σ e^(logits_n) - logits_n[labels_n].

    logits: [N, C]; labels: int32 [N]. Loss and gradient come from one kernel. Labels are on the device and cannot be
    checked before it runs: one outside 0..C-1 makes the loss and that row's gradient NaN.
    """
    losses, gradient = K.cross_entropy(logits, labels)
    kept = [gradient]
    return reduce.mean(losses), lambda g: (lambda: _cross_entropy_gradient(logits, labels, g, kept=kept), None)


def _from_kept(kept: list[Any], g: Any) -> Any:
    """g times the gradient that the forward kernel left in `kept`, or None when it is gone.

    For the gradient that a tape starts with it is handed out as it is, and then the caller's, who may change it.
    """
    if not kept:
        return None
    return kept.pop() if is_one(g) else elementwise.multiply(kept[0], g)


@differentiable
def _cross_entropy_gradient(logits: Any, labels: Any, g: Any, *, kept: list[Any]) -> tuple[Any, Backward]:
    """g·(softmax(logits) - onehot(labels)) / N; see `_from_kept`."""

    def by_logits(u: Any) -> Any:
        p = norm.softmax(logits, axis=-1)
        weighted = elementwise.multiply(p, u)
        inner = reduce.sum(weighted, axis=-1, keepdims=True)
        centred = elementwise.subtract(weighted, elementwise.multiply(p, inner))
        return elementwise.multiply(centred, elementwise.multiply(g, 1 / logits.shape[0]))

    def by_g(u: Any) -> Any:
        return reduce.sum(elementwise.multiply(u, _cross_entropy_gradient(logits, labels, elementwise.ones_like(g), kept=kept)))

    result = _from_kept(kept, g)
    if result is None:
        result = elementwise.multiply(K.cross_entropy(logits, labels)[1], g)
    return result, lambda u: (lambda: by_logits(u), None, lambda: by_g(u))


def mse_loss(pred: Array, target: Array) -> Tensor:
    """mean (pred - target)²; the shapes must be equal, nothing broadcasts."""
    return _loss(pred, target, kind="mse")


def l1_loss(pred: Array, target: Array) -> Tensor:
    """mean |pred - target|, with gradient 0 where they are equal; the shapes must be equal."""
    return _loss(pred, target, kind="l1")


def huber_loss(pred: Array, target: Array, *, delta: float = 1.0) -> Tensor:
    """mean of e²/2 where |e| ≤ delta, else delta·(|e| - delta/2), with e = pred - target (Huber 1964).

    The shapes must be equal. ConfigError unless delta is positive.
    """
    return _loss(pred, target, kind="huber", delta=float(delta))


def binary_cross_entropy_with_logits(logits: Array, targets: Array) -> Tensor:
    """mean of -t·ln σ(x) - (1 - t)·ln(1 - σ(x)) = max(x, 0) - x·t + ln(1 + e^-|x|), for targets t in [0, 1].

    The shapes must be equal. Differentiable in the targets as well: the derivative by t is -x.
    """
    return _loss(logits, targets, kind="bce")


def _loss(pred: Array, target: Array, *, kind: str, delta: float = 1.0) -> Tensor:
    """The mean; while a tape watches, its derivative comes from the same kernel."""
    return _pointwise(pred, target, kind=kind, delta=delta, with_slope=is_recording())  # type: ignore[no-any-return]


@differentiable
def _pointwise(pred: Any, target: Any, *, kind: str, delta: float, with_slope: bool) -> tuple[Any, Backward]:
    parts, known = K.pointwise_loss(pred, target, kind=kind, delta=delta, with_slope=with_slope)
    slope = partial(_slope, pred, target, kind=kind, delta=delta, kept=[known] if with_slope else [])

    def by_target(g: Any) -> Any:
        return _bce_by_target(pred, g) if kind == "bce" else elementwise.negative(slope(g))

    total = parts.view(()) if parts.size == 1 else reduce.sum(parts)
    return total, lambda g: (lambda: slope(g), lambda: by_target(g))


def _bce_by_target(pred: Any, g: Any) -> Any:
    return elementwise.multiply(pred, elementwise.multiply(g, -1 / max(pred.size, 1)))


@differentiable
def _slope(pred: Any, target: Any, g: Any, *, kind: str, delta: float, kept: list[Any]) -> tuple[Any, Backward]:
    """g·(first derivative of the mean loss by pred); see `_from_kept`."""
    options = dict(kind=kind, delta=delta)

    def backward(u: Any) -> Any:
        def by_pred() -> Any:
            return elementwise.multiply(u, _curvature(pred, target, g, **options))

        def by_target() -> Any:
            if kind == "bce":  # the slope is σ(x) - t
                return elementwise.multiply(u, elementwise.multiply(g, -1 / max(pred.size, 1)))
            return elementwise.negative(by_pred())

        def by_g() -> Any:
            return reduce.sum(elementwise.multiply(u, _slope(pred, target, elementwise.ones_like(g), kept=kept, **options)))

        return by_pred, by_target, by_g

    result = _from_kept(kept, g)
    return (K.pointwise_loss_derivative(pred, target, g, order=1, **options) if result is None else result), backward


@differentiable
def _curvature(pred: Any, target: Any, g: Any, **options: Any) -> tuple[Any, Backward]:
    """g·(second derivative of the mean loss by pred); a third is not offered."""
    return K.pointwise_loss_derivative(pred, target, g, order=2, **options), None
