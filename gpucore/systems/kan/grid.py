"""Uniform grids: the knots of a layer, and moving a spline from one grid to another without changing it.

A uniform grid is one interval in equal cells, the same for every edge of a layer: a kernel finds the cell of a point by one
multiplication and shares it among all outputs. `adaptive` has grids whose knots are each input's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from ... import ops
from ...device import device as open_device
from ...errors import ConfigError
from ...kernels.spline import check_grid

if TYPE_CHECKING:
    from .adaptive import AnyGrid

RIDGE = 1e-10
"""Weight, relative to the largest, that keeps a coefficient near 0 which no point asks for."""


@dataclass(frozen=True)
class Grid:
    """`size` cells of equal width from `low` to `high` for splines of a degree; the ends are held as float32 numbers."""

    degree: int
    size: int
    low: float
    high: float

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            object.__setattr__(self, name, float(np.float32(getattr(self, name))))
        check_grid("Grid", self.degree, self.size, self.range)

    @property
    def range(self) -> tuple[float, float]:
        """(low, high)."""
        return self.low, self.high

    @property
    def ends(self) -> tuple[float, float]:
        """The low and the high end of every input."""
        return self.low, self.high

    @property
    def basis(self) -> int:
        """The number of functions, size + degree."""
        return self.size + self.degree

    @property
    def width(self) -> float:
        """The width of a cell."""
        return (self.high - self.low) / self.size

    def of_input(self, i: int) -> Grid:
        """The grid of one input: this."""
        return self

    def edges(self, inputs: int) -> np.ndarray:
        """[inputs, size + 1]: where cells meet, float64."""
        return np.broadcast_to(np.linspace(self.low, self.high, self.size + 1), (inputs, self.size + 1))

    def refined(self, size: int) -> Grid:
        """The same range in `size` cells."""
        return Grid(self.degree, size, self.low, self.high)

    def steepness(self, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For coefficients [out, in, basis]: a bound [out, in] of the slopes, max |c_k - c_{k-1}| / width, and of the jumps, 0."""
        slopes = np.abs(np.diff(c, axis=2)).max(axis=2) / self.width
        return slopes, np.zeros_like(slopes)

    def functions(self, x: np.ndarray) -> np.ndarray:
        """[..., basis]: every function at points x, in float64 on the host."""
        cpu = open_device("cpu")
        points = cpu.tensor(np.asarray(x, np.float64), "float64")
        return ops.spline_basis(points, degree=self.degree, grid_size=self.size, grid_range=self.range).numpy()


@lru_cache(maxsize=32)
def transfer_matrix(old: Grid, new: Grid) -> np.ndarray:
    """[new.basis, old.basis]: T·c are the coefficients on `new` of the spline c on `old`; not to be changed.

    The least ∫ (new - old)² over the new range, in float64: between two knots of either grid both are polynomials, so
    Gauss-Legendre points there make the integral exact, every function is seen, and the problem is well conditioned.
    Where the new grid has the old knots among its own, the function stays the same but for rounding. Outside its range
    the old spline is constant, as its clamped input makes it.
    """
    knots = [np.linspace(g.low, g.high, g.size + 1) for g in (old, new)]
    edges = np.unique(np.clip(np.concatenate(knots), new.low, new.high))
    nodes, weights = np.polynomial.legendre.leggauss(new.degree + 1)
    widths = np.diff(edges)[:, None]
    points = (edges[:-1, None] + widths * (nodes + 1) / 2).reshape(-1)
    roots = np.sqrt(widths * weights).reshape(-1, 1)
    return least_squares(roots * new.functions(points), roots * old.functions(points))


def least_squares(functions: np.ndarray, values: np.ndarray) -> np.ndarray:
    """c [basis, m] with the least |functions·c - values|; [points, basis] and [points, m], float64.

    Functions that are 0 at all points get the ridge RIDGE, which makes their coefficients 0; no other is changed.
    """
    seen = (functions * functions).sum(axis=0)
    lonely = np.flatnonzero(seen <= RIDGE * seen.max(initial=0.0))
    if len(lonely):
        rows = np.zeros((len(lonely), functions.shape[1]))
        rows[np.arange(len(lonely)), lonely] = np.sqrt(RIDGE) * max(1.0, np.sqrt(seen.max(initial=0.0)))
        functions = np.concatenate([functions, rows])
        values = np.concatenate([values, np.zeros((len(lonely), values.shape[1]))])
    fitted: np.ndarray = np.linalg.lstsq(functions, values, rcond=None)[0]
    return fitted


def refit(coefficients: np.ndarray, old: Grid, new: Grid) -> np.ndarray:
    """Coefficients [out, in, old.basis] as [out, in, new.basis] of the same functions, in float64."""
    if old == new:
        return coefficients.astype(np.float64)
    moved: np.ndarray = coefficients.astype(np.float64) @ transfer_matrix(old, new).T
    return moved


def fitted_range(values: np.ndarray, old: AnyGrid, margin: float) -> Grid:
    """A grid of as many cells over all values, each end moved out by `margin` of the range.

    Values that are all the same get the old width around them.
    """
    low, high = float(values.min()), float(values.max())
    if not (isfinite(low) and isfinite(high)):
        raise ConfigError("update_grid: a layer has inputs that are not finite; wants finite samples and parameters")
    spread = high - low
    if spread <= 1e-6 * max(1.0, abs(low), abs(high)) or spread / old.size <= 2e-6:
        half = (old.high - old.low) / 2
        return Grid(old.degree, old.size, (low + high) / 2 - half, (low + high) / 2 + half)
    return Grid(old.degree, old.size, low - margin * spread, high + margin * spread)
