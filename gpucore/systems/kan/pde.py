"""Differential equations: losses of a network's derivatives at points, which training lowers until the equation holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Any

from ... import ops
from ...errors import ConfigError
from .derivatives import Jet
from .network import KanNetwork

Equation = Callable[[Jet], Any]
"""A differential operator: a Jet of n points to [n, ...]."""


def laplacian(jet: Jet) -> Any:
    """Δu = Σ_i ∂²u/∂x_i²: [n, out]."""
    return ops.sum(jet.second, axis=2)


def pde_residual(network: KanNetwork, x: Any, equation: Equation, source: Any = None) -> Any:
    """equation(u)(x) - source at points x [n, in], which is 0 where the network u solves it; on a tape, with its gradients.

    equation: what it makes of the network's Jet: `laplacian`, or for ut = k·uxx with t as the second input
              `lambda j: j.first[:, :, 1] - k * j.second[:, :, 0]`. source: of the shape that it gives, or None for 0.
    """
    value = equation(network.jet(x))
    return value if source is None else value - source


@dataclass(frozen=True)
class PdeLoss:
    """interior·mean r² + boundary·mean (u - g)²: of the residual r inside, and of the values on the boundary.

    Second derivatives of a wave grow with the square of its frequency, so the residual wants the lesser weight. Weights of
    0 leave a part out. ConfigError for weights that are negative or not finite, or both 0.
    """

    equation: Equation
    interior: float = 0.01
    boundary: float = 1.0

    def __post_init__(self) -> None:
        weights = self.interior, self.boundary
        if not all(isinstance(w, int | float) and isfinite(w) and w >= 0 for w in weights) or weights == (0, 0):
            raise ConfigError(f"PdeLoss: the weights are {weights}; wants finite numbers of 0 or more, one of them positive")

    def __call__(self, network: KanNetwork, x: Any, source: Any, edge: Any, values: Any) -> Any:
        """A scalar; x [n, in] inside with the equation's source, edge [m, in] on the boundary with the values g [m, out] there."""
        parts = []
        if self.interior:
            r = pde_residual(network, x, self.equation, source)
            parts.append(ops.mean(r * r) * self.interior)
        if self.boundary:
            parts.append(ops.mse_loss(network(edge), values) * self.boundary)
        return sum(parts[1:], parts[0])
