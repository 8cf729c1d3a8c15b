"""Losses by name, each also with a mask, the regularisation of coefficients and activations, and R².

A masked loss is Σ m·l / Σ m over the loss l of every element (or sample, for classes); without a mask, the mean of l.
Where the mask is 0 the target may hold anything, NaN too; a mask of zeros gives 0. Masks hold weights of 0 or more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import isfinite
from typing import Any

from ... import ops
from ...errors import ConfigError, ShapeError
from .activations import edge_l1, entropy, working_bytes

LossFunction = Callable[[Any, Any, Any], Any]
"""(output, target, mask or None) to a scalar."""
TINY = 1e-24
"""Below this a mean square counts as this in rmse, whose slope at 0 is infinite."""
LEAST_PROBABILITY = 1e-7
"""Probabilities are kept so far from 0 and 1."""
LEAST_SHARE = 1e-30
"""Shares below this count as this in the logarithm of an entropy."""


# ---- the loss of each element


def _square(p: Any, t: Any) -> Any:
    e = p - t
    return e * e


def _huber(p: Any, t: Any, *, delta: float) -> Any:
    a = ops.abs(p - t)
    q = ops.minimum(a, delta)
    return q * (a - q * 0.5)


def _bce_logits(x: Any, t: Any) -> Any:
    return ops.softplus(x) - x * t


def _bce(p: Any, t: Any) -> Any:
    p = ops.clip(p, min=LEAST_PROBABILITY, max=1 - LEAST_PROBABILITY)
    return -(t * ops.log(p) + (1 - t) * ops.log(1 - p))


def _class(logits: Any, labels: Any) -> Any:
    picked = ops.astype(ops.one_hot(labels, num_classes=logits.shape[-1]), logits.dtype)
    return -ops.sum(ops.log_softmax(logits, axis=-1) * picked, axis=-1)


def _masked(each: Callable[[Any, Any], Any], output: Any, target: Any, mask: Any) -> Any:
    counted = ops.greater(mask, 0)
    empty = 0 if target.dtype.is_float else ops.zeros_like(target)
    losses = each(output, ops.where(counted, target, empty))
    return ops.sum(ops.where(counted, losses, 0.0) * mask) / ops.maximum(ops.sum(mask), TINY)


def _root(mean_square: Any) -> Any:
    return ops.sqrt(ops.maximum(mean_square, TINY))


@dataclass(frozen=True)
class _Loss:
    """each: (output, target) to the loss of every element; whole: the mean of them by one operation, where there is one."""

    each: Callable[[Any, Any], Any]
    whole: Callable[[Any, Any], Any] | None = None
    root: bool = False

    def __call__(self, output: Any, target: Any, mask: Any = None) -> Any:
        if mask is not None:
            value = _masked(self.each, output, target, mask)
        else:
            value = self.whole(output, target) if self.whole else ops.mean(self.each(output, target))
        return _root(value) if self.root else value


LOSSES: dict[str, _Loss] = {
    "mse": _Loss(_square, ops.mse_loss),
    "rmse": _Loss(_square, ops.mse_loss, root=True),
    "mae": _Loss(lambda p, t: ops.abs(p - t), ops.l1_loss),
    "huber": _Loss(partial(_huber, delta=1.0), ops.huber_loss),
    "bce_logits": _Loss(_bce_logits, ops.binary_cross_entropy_with_logits),
    "bce": _Loss(_bce),
    "cross_entropy": _Loss(_class, ops.cross_entropy),
}
"""mse: e²; rmse: the root of its mean; mae: |e|; huber: e²/2 up to |e| = 1 and |e| - 1/2 beyond; bce_logits: -t·ln σ(x)
- (1-t)·ln(1-σ(x)); bce: the same of probabilities, kept 1e-7 from 0 and 1; cross_entropy: of logits and int32 classes."""


@dataclass(frozen=True)
class KanLoss:
    """A loss of LOSSES, or a function (output, target, mask) of one's own, plus weighted measures, summed over the layers.

    Of the coefficients c of a layer:
    l1:      weight of (1/n) Σ |c|, over the n coefficients of a layer.
    entropy: weight of -Σ p ln p with p = c² / Σ c² over a layer: low when few coefficients carry it.
    smooth:  weight of the mean of (c_{k+1} - 2·c_k + c_{k-1})² over all neighbours k of all edges.

    Of what its edges do on the samples (the KAN paper's λ·μ₁ and λ·μ₂; see `activations`), where samples that the mask hides
    whole do not count:
    activation_l1:      weight of Σ |φ_ji|₁ over the edges.
    activation_entropy: weight of -Σ q ln q with q = |φ_ji|₁ / Σ |φ|₁: low when few edges do it.

    delta: where huber changes from a parabola to lines. A function gets targets [n, out] and as mask None or weights of that
    shape. ConfigError for a loss that has no name here.
    """

    loss: str | LossFunction = "mse"
    l1: float = 0.0
    entropy: float = 0.0
    smooth: float = 0.0
    delta: float = 1.0
    activation_l1: float = 0.0
    activation_entropy: float = 0.0

    def __post_init__(self) -> None:
        if not callable(self.loss) and not (isinstance(self.loss, str) and self.loss in LOSSES):
            raise ConfigError(f"KanLoss: loss is {self.loss!r}; wants one of {', '.join(LOSSES)}, or a function (output, target, mask)")
        for name in ("l1", "entropy", "smooth", "delta", "activation_l1", "activation_entropy"):
            value = getattr(self, name)
            if not (isinstance(value, int | float) and isfinite(value) and value >= 0) or (name == "delta" and value == 0):
                raise ConfigError(
                    f"KanLoss: {name} is {value!r}; wants a {'positive number' if name == 'delta' else 'number of 0 or more'}"
                )

    @property
    def classes(self) -> bool:
        """Whether targets are class numbers."""
        return self.loss == "cross_entropy"

    @property
    def watches(self) -> bool:
        """Whether it measures activations, and so wants what every layer gets."""
        return bool(self.activation_l1 or self.activation_entropy)

    def data(self, output: Any, target: Any, mask: Any = None) -> Any:
        """The loss without the measures: a scalar."""
        if callable(self.loss):
            value = self.loss(output, target, mask)
            if getattr(value, "shape", None) != ():
                raise ShapeError(
                    f"KanLoss: the loss function gave {getattr(value, 'shape', type(value).__name__)}; wants a scalar, shape ()"
                )
            return value
        if self.loss == "huber" and self.delta != 1:
            return _Loss(partial(_huber, delta=self.delta), partial(ops.huber_loss, delta=self.delta))(output, target, mask)
        return LOSSES[self.loss](output, target, mask)

    def of_coefficients(self, coefficients: Any) -> Any:
        """The weighted measures of one layer's coefficients [out, in, G + p]: a scalar, or None when all weights are 0."""
        parts = [(self.l1, l1_sparsity), (self.entropy, coefficient_entropy), (self.smooth, roughness)]
        terms = [measure(coefficients) * weight for weight, measure in parts if weight]
        return sum(terms[1:], terms[0]) if terms else None

    def of_activations(self, layer: Any, x: Any, mask: Any = None) -> Any:
        """The weighted measures of a layer's edges on what it gets, [n, in]: a scalar; `watches` says whether there are any."""
        sizes = edge_l1(layer, x, None if mask is None else _counted(mask))
        parts = [(self.activation_l1, ops.sum), (self.activation_entropy, entropy)]
        terms = [measure(sizes) * weight for weight, measure in parts if weight]
        return sum(terms[1:], terms[0])

    def of_network(self, network: Any, x: Any, target: Any, mask: Any = None) -> Any:
        """The whole loss of a network at x [n, in]: a scalar."""
        if not self.watches:
            return self(network, network(x), target, mask)
        *inputs, output = network.layer_inputs(x)
        value = self(network, output, target, mask)
        for layer, z in zip(network.layers, inputs, strict=True):
            value = value + self.of_activations(layer, z, mask)
        return value

    def __call__(self, network: Any, output: Any, target: Any, mask: Any = None) -> Any:
        """The loss of a network's output with the measures of its coefficients, those of activations left out: a scalar."""
        value = self.data(output, target, mask)
        for layer in network.layers:
            term = self.of_coefficients(layer.splines()[0])
            value = value if term is None else value + term
        return value

    def working_bytes(self, network: Any, n: int) -> int:
        """What measuring activations takes besides the training itself, in bytes, for n samples."""
        each = [working_bytes(layer.inputs, layer.outputs, layer.grid.basis, n) for layer in network.layers]
        return max(each) if self.watches else 0


def _counted(mask: Any) -> Any:
    """[n]: 1 for samples of which the mask [n] or [n, out] shows anything, else 0."""
    seen = ops.astype(ops.greater(mask, 0), mask.dtype)
    return seen if seen.ndim == 1 else ops.max(seen, axis=1)


def l1_sparsity(c: Any) -> Any:
    """(1/n) Σ |c|."""
    return ops.mean(ops.abs(c))


def coefficient_entropy(c: Any) -> Any:
    """-Σ p ln p with p = c² / Σ c², from 0 (one coefficient is all) to ln n (all are equal)."""
    squares = c * c
    p = squares / ops.maximum(ops.sum(squares), LEAST_SHARE)
    return -ops.sum(p * ops.log(ops.maximum(p, LEAST_SHARE)))


def roughness(c: Any) -> Any:
    """The mean of (c_{k+1} - 2·c_k + c_{k-1})² along the last axis."""
    bend = c[..., 2:] - c[..., 1:-1] * 2.0 + c[..., :-2]
    return ops.mean(bend * bend)


def r2(output: Any, target: Any) -> Any:
    """R² = 1 - Σ (t - y)² / Σ (t - mean t)² over all elements of [n, m], each column about its own mean: a scalar.

    1 for a perfect answer, 0 for that of the mean, below 0 for worse; for targets without variation -inf, or NaN
    when they are met. As a metric of a Trainer it is the mean over its batches: give it one whole batch.
    """
    rest, spread = target - output, target - ops.mean(target, axis=0, keepdims=True)
    return 1.0 - ops.sum(rest * rest) / ops.sum(spread * spread)
