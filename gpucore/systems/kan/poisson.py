"""The example of a differential equation: Δu = f on the square [-1, 1]², u = 0 on its boundary, solved by a small network."""

from __future__ import annotations

from typing import Any

import numpy as np

from .config import KanConfig
from .network import KanNetwork
from .pde import PdeLoss, laplacian
from .prediction import predict

LINES = {5: 5e-3, 10: 2e-3, 20: 5e-4}
"""By grid size, the greatest squared L2 error that is accepted."""
SIDE = 51
"""Points along a side of the square on which the equation is asked for."""
MEASURED = 101
"""The same for the mesh on which errors are measured, which also has points between those of the training."""


class Poisson:
    """f = -2π²·sin(πx)·sin(πy), whose solution is u = sin(πx)·sin(πy), by a network [2, 2, 1].

    Two hidden values are enough: with a = sin πx + sin πy and b = sin πx - sin πy, u = (a² - b²)/4.
    weight: of the residual beside the boundary's, see PdeLoss.
    """

    def __init__(self, *, side: int = SIDE, seed: int = 0, base: str | None = None, degree: int = 3, weight: float = 0.01) -> None:
        self.config = KanConfig.preset("poisson", degree=degree, base=base, seed=seed)
        self.loss = PdeLoss(laplacian, interior=weight)
        self.samples = mesh(side)
        on_edge = (np.abs(self.samples) == 1).any(axis=1)
        self.inside, self.edge = self.samples[~on_edge], self.samples[on_edge]

    def tensors(self, network: KanNetwork) -> list[Any]:
        """Points inside, the source there, points on the boundary, zeros."""
        values = self.inside, source(self.inside), self.edge, np.zeros((len(self.edge), 1))
        return [network.device.tensor(v, network.dtype) for v in values]

    def objective(self, network: KanNetwork, *tensors: Any) -> Any:
        """The loss of the residual and of the boundary."""
        return self.loss(network, *tensors)

    def errors(self, network: KanNetwork) -> dict[str, float]:
        """∫ (network - u)² over the square, and the greatest |network - u|, on a mesh finer than that of the training."""
        miss = self.predict(network) - solution(mesh(MEASURED)).reshape(MEASURED, MEASURED)
        return {"squared L2": integral(miss**2), "largest": float(np.abs(miss).max())}

    def predict(self, network: KanNetwork, side: int = MEASURED) -> np.ndarray:
        """The network's values on a mesh, [side, side] in float64, x along the first axis."""
        return predict(network, mesh(side)).reshape(side, side)


def mesh(side: int) -> np.ndarray:
    """[side², 2]: the points of an even mesh over the square, ends included, y the faster."""
    t = np.linspace(-1, 1, side)
    return np.stack(np.meshgrid(t, t, indexing="ij"), axis=-1).reshape(-1, 2).astype(np.float32)


def solution(x: np.ndarray) -> np.ndarray:
    """u [n, 1] in float64."""
    u: np.ndarray = np.prod(np.sin(np.pi * x.astype(np.float64)), axis=1, keepdims=True)
    return u


def source(x: np.ndarray) -> np.ndarray:
    """f = Δu = -2π²·u."""
    return -2 * np.pi**2 * solution(x)


def integral(values: np.ndarray) -> float:
    """∫ over the square of values on a mesh [side, side], by the trapezoidal rule."""
    weights = np.full(len(values), 2.0 / (len(values) - 1))
    weights[[0, -1]] /= 2
    return float(weights @ values @ weights)
