"""Regression of known functions, by name: what is fitted, by which network, on which grids, and what must be reached."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ... import ops
from ...errors import ConfigError
from .config import KanConfig
from .network import KanNetwork
from .prediction import predict

Function = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class FunctionCase:
    """A function f of points in a cube, and the network that learns it from samples.

    function:  [n, in] in float64 to [n].
    lines:     by grid size, the greatest root mean square error on test points that is accepted; where there is none, any is.
    published: by grid size, the same error as others have published it; `source` says who.
    """

    name: str
    formula: str
    function: Function
    widths: tuple[int, ...]
    grids: tuple[int, ...]
    train: int = 1000
    test: int = 1000
    span: tuple[float, float] = (-1.0, 1.0)
    lines: Mapping[int, float] = field(default_factory=dict)
    published: Mapping[int, float] = field(default_factory=dict)
    source: str = ""


class Regression:
    """A case with its samples drawn: uniform in the cube, training and test points from streams of their own.

    base: whether edges have a SiLU beside their spline, as in the KAN paper. It carries the gradient where a spline has
    none, outside its grid, which keeps trainings from getting stuck.
    """

    def __init__(self, case: FunctionCase, *, seed: int = 0, base: str | None = "silu", degree: int = 3) -> None:
        self.case = case
        first, *hidden, last = case.widths
        self.config = KanConfig(
            first, tuple(hidden), last, grid_size=case.grids[0], degree=degree, grid_range=case.span, base=base, seed=seed
        )
        self.train, self.test = (self._draw(n, [seed, stream]) for stream, n in enumerate((case.train, case.test)))

    def _draw(self, n: int, seed: list[int]) -> tuple[np.ndarray, np.ndarray]:
        x = np.random.default_rng(seed).uniform(*self.case.span, (n, self.case.widths[0])).astype(np.float32)
        return x, self.case.function(x.astype(np.float64)).reshape(n, 1)

    @property
    def samples(self) -> np.ndarray:
        """The training points."""
        return self.train[0]

    def tensors(self, network: KanNetwork) -> list[Any]:
        """Points and targets of the training."""
        return [network.device.tensor(values, network.dtype) for values in self.train]

    def objective(self, network: KanNetwork, x: Any, y: Any) -> Any:
        """The mean square error."""
        return ops.mse_loss(network(x), y)

    def errors(self, network: KanNetwork) -> dict[str, float]:
        """Root mean square errors on test and training points, summed in float64."""
        return {name: rmse(predict(network, x), y) for name, (x, y) in (("test", self.test), ("train", self.train))}


def rmse(got: np.ndarray, wanted: np.ndarray) -> float:
    """√ mean (got - wanted)²."""
    return float(np.sqrt(np.mean((got - wanted) ** 2)))


def _waves(x: np.ndarray) -> np.ndarray:
    squares = x * x
    sines = np.sin(np.pi * (squares[:, 0] + squares[:, 1])) + np.sin(np.pi * (squares[:, 2] + squares[:, 3]))
    return np.exp(sines / 2)  # type: ignore[no-any-return]


CASES = {
    case.name: case
    for case in (
        FunctionCase(
            "exp-sin", "exp(sin(πx) + y²)", lambda x: np.exp(np.sin(np.pi * x[:, 0]) + x[:, 1] ** 2), (2, 1, 1), (3, 10, 20, 50, 100),
            lines={3: 2e-2, 10: 1e-3, 20: 1.5e-4, 50: 1e-4, 100: 2e-4},
            published={3: 1.4e-2, 10: 5.1e-4, 20: 6.4e-5, 50: 3.5e-5}, source="pykan, float32",
        ),
        FunctionCase(
            "exp-sin4", "exp((sin(π(a² + b²)) + sin(π(c² + d²)))/2)", _waves, (4, 2, 1, 1), (3, 5, 10, 20, 50), train=3000,
            lines={3: 2.76e-2, 5: 9.9e-3, 10: 3.3e-3, 20: 1.14e-3, 50: 1.14e-4},
            published={3: 9.2e-3, 5: 3.3e-3, 10: 1.1e-3, 20: 3.8e-4, 50: 3.8e-5}, source="published",
        ),
        FunctionCase(
            "sinusoid", "sin(πx)", lambda x: np.sin(np.pi * x[:, 0]), (1, 1), (5, 10, 20), train=200, lines={10: 3.162e-3, 20: 3.162e-3},
        ),
        FunctionCase("product", "x·y", lambda x: x[:, 0] * x[:, 1], (2, 2, 1), (3, 5, 10)),
        FunctionCase("norm", "√(x² + y²)", lambda x: np.hypot(x[:, 0], x[:, 1]), (2, 1, 1), (3, 5, 10, 20)),
    )
}  # fmt: skip
"""The cases by name. Lines of exp-sin4 are three times the published errors; that of the sinusoid is a mean square of 1e-5."""


def case_named(name: str) -> FunctionCase:
    """A case of CASES; ConfigError for another name."""
    if name not in CASES:
        raise ConfigError(f"kan function: name is {name!r}; wants one of {', '.join(CASES)}")
    return CASES[name]
