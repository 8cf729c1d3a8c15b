"""Grids with knots of their own for every input, placed where its samples lie, and moving splines to and from them.

As in pykan, knots lie between uniform ones and the quantiles of the samples: where samples crowd, cells are narrow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ... import ops
from ...device import device as open_device
from ...errors import ConfigError, FormatError
from ...kernels.spline import MAX_DEGREE, MAX_GRID, MIN_GRID
from ...kernels.spline_knots import NARROW
from . import grid as uniform
from .grid import Grid, least_squares

LEAST_SHARE = 1e-3
"""A fitted cell keeps this share of the width it would have on a uniform grid, wherever samples are alike."""
LEAST_STEPS = 16
"""A fitted cell is wider than so many float32 steps of its ends, and than four times what a kernel takes for no cell."""
MOST = 1e30
"""Knots lie so near to zero, as the ends of uniform grids do."""


@dataclass(frozen=True, eq=False)
class AdaptiveGrid:
    """Knots [in, G + 2p + 1] for splines of a degree p, a row per input: p before its range, G + 1 over it, p after it.

    Held as float32 numbers. They never decrease; where they meet, splines are less smooth. ConfigError for others.
    """

    degree: int
    knots: np.ndarray

    def __post_init__(self) -> None:
        given = np.asarray(self.knots)
        if not 1 <= self.degree <= MAX_DEGREE:
            raise ConfigError(f"AdaptiveGrid: degree {self.degree} is not one of 1 to {MAX_DEGREE}")
        if given.ndim != 2 or given.dtype.kind not in "fiu" or not len(given):
            raise ConfigError(f"AdaptiveGrid: knots are {given.dtype} of shape {given.shape}; wants numbers [inputs, knots]")
        cells = given.shape[1] - 2 * self.degree - 1
        if not MIN_GRID <= cells <= MAX_GRID:
            raise ConfigError(f"AdaptiveGrid: {given.shape[1]} knots make {cells} cells; wants {MIN_GRID} to {MAX_GRID}")
        if not (np.isfinite(given) & (np.abs(given) <= MOST)).all():
            raise ConfigError(f"AdaptiveGrid: the knots are not all finite; wants numbers within {MOST:g} of zero")
        knots = np.array(given, np.float32)
        steps = np.diff(knots, axis=1)
        if (steps < 0).any():
            raise ConfigError(f"AdaptiveGrid: the knots of input {np.argwhere(steps < 0)[0][0]} decrease; wants a row in order")
        empty = (steps[:, self.degree : self.degree + cells] <= NARROW).all(axis=1)
        if empty.any():
            raise ConfigError(f"AdaptiveGrid: input {np.argmax(empty)} has no cell wider than {NARROW:g}; wants a range")
        knots.flags.writeable = False
        object.__setattr__(self, "knots", knots)

    @property
    def inputs(self) -> int:
        """The number of rows."""
        return len(self.knots)

    @property
    def size(self) -> int:
        """The number of cells, G."""
        return int(self.knots.shape[1]) - 2 * self.degree - 1

    @property
    def basis(self) -> int:
        """The number of functions, size + degree."""
        return self.size + self.degree

    @property
    def ends(self) -> tuple[np.ndarray, np.ndarray]:
        """The low and the high ends, [in] each."""
        return self.knots[:, self.degree], self.knots[:, -self.degree - 1]

    @property
    def low(self) -> float:
        """The least of the low ends."""
        return float(self.ends[0].min())

    @property
    def high(self) -> float:
        """The largest of the high ends."""
        return float(self.ends[1].max())

    @property
    def range(self) -> tuple[float, float]:
        """(low, high): what all ranges lie in."""
        return self.low, self.high

    def of_input(self, i: int) -> AdaptiveGrid:
        """The grid of one input alone."""
        return AdaptiveGrid(self.degree, self.knots[i : i + 1])

    def edges(self, inputs: int) -> np.ndarray:
        """[inputs, G + 1]: where cells meet, float64."""
        return self.knots[:, self.degree : self.degree + self.size + 1].astype(np.float64)

    def functions(self, x: np.ndarray) -> np.ndarray:
        """[..., in, basis]: every function at points x [..., in]; or [n, basis] for x [n] and one input. In float64 on the host."""
        points = np.asarray(x, np.float64)
        line = points.ndim == 1 and self.inputs == 1
        cpu = open_device("cpu")
        given = cpu.tensor(points[:, None] if line else points, "float64")
        found = ops.knot_basis(given, cpu.tensor(self.knots, "float32"), degree=self.degree).numpy()
        return found[:, 0] if line else found

    def steepness(self, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For coefficients [out, in, basis]: a bound [out, in] of the slopes, and the sum of the jumps where knots meet.

        The derivative has the coefficients p·(c_k - c_{k-1}) / (t_{k+p} - t_k), which bound it.
        """
        spans = (self.knots[:, self.degree + 1 : -1].astype(np.float64) - self.knots[:, 1 : -self.degree - 1]) / self.degree
        steps, wide = np.abs(np.diff(c, axis=2)), spans * self.degree > NARROW
        slopes = np.where(wide, steps / np.where(wide, spans, 1.0), 0.0).max(axis=2)
        return slopes, np.where(wide, 0.0, steps).sum(axis=2)

    def refined(self, size: int) -> AdaptiveGrid:
        """The same ranges in `size` cells: new knots share every old cell evenly, so multiples of the present size keep all knots."""
        old, at = self.edges(self.inputs), np.linspace(0, self.size, size + 1)
        return _over(self.degree, np.stack([np.interp(at, np.arange(self.size + 1), row) for row in old]))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, AdaptiveGrid):
            return NotImplemented
        return self.degree == other.degree and np.array_equal(self.knots, other.knots)

    def __hash__(self) -> int:
        return hash((self.degree, self.knots.shape, self.knots.tobytes()))

    def __repr__(self) -> str:
        return f"AdaptiveGrid(degree={self.degree}, size={self.size}, inputs={self.inputs}, range=({self.low:g}, {self.high:g}))"


AnyGrid = Grid | AdaptiveGrid


def _over(degree: int, edges: np.ndarray) -> AdaptiveGrid:
    """The grid with these cells, and p more on either side, as wide as its mean cell."""
    width = (edges[:, -1:] - edges[:, :1]) / (edges.shape[1] - 1)
    away = np.arange(1, degree + 1)
    knots = np.concatenate([edges[:, :1] - away[::-1] * width, edges, edges[:, -1:] + away * width], axis=1)
    return AdaptiveGrid(degree, np.maximum.accumulate(knots.astype(np.float32), axis=1))


def fitted_knots(values: np.ndarray, old: AnyGrid, margin: float, adaptive: float) -> AdaptiveGrid:
    """A grid of as many cells for every input of values [n, in], from its least to its largest, moved out by `margin` of that.

    Inner knots are (1 - adaptive)·uniform + adaptive·quantiles, as near to it as LEAST_SHARE and float32 allow. An input whose
    values are all the same gets uniform knots, in its old width around them.
    """
    if not np.isfinite(values).all():
        raise ConfigError("update_grid: a layer has inputs that are not finite; wants finite samples and parameters")
    size, shares = old.size, np.linspace(0, 1, old.size + 1)
    quantiles = np.quantile(values.astype(np.float64), shares, axis=0).T
    low, high = quantiles[:, 0], quantiles[:, -1]
    reach = np.maximum(np.abs(low), np.abs(high))
    least = np.maximum(4 * NARROW, LEAST_STEPS * float(np.finfo(np.float32).eps) * reach)
    flat = (high - low) <= np.maximum(size * least, 1e-6 * np.maximum(1, reach))
    half = np.maximum((np.asarray(old.ends[1], np.float64) - old.ends[0]) / 2, size * least)
    out = np.where(flat, half - (high - low) / 2, margin * (high - low))
    low, high = low - out, high + out
    width = (high - low) / size
    even = np.where(flat, 1.0, np.clip(np.maximum(1 - adaptive, np.maximum(LEAST_SHARE, least / width)), 0, 1))[:, None]
    straight = low[:, None] + shares * (high - low)[:, None]
    quantiles[:, 0], quantiles[:, -1] = low, high
    return _over(old.degree, even * straight + (1 - even) * quantiles)


def refit(coefficients: np.ndarray, old: AnyGrid, new: AnyGrid) -> np.ndarray:
    """Coefficients [out, in, old.basis] as [out, in, new.basis] of the nearest functions on another grid, in float64.

    The least integral of (new - old)² over the new range, in which every new cell counts the same, whatever its width: cells
    are narrow where samples are many. Functions on knots that meet, which are zero, get 0. See `grid.transfer_matrix`.
    """
    if isinstance(old, Grid) and isinstance(new, Grid):
        return uniform.refit(coefficients, old, new)
    if old == new:
        return coefficients.astype(np.float64)
    outputs, inputs, _ = coefficients.shape
    before, after = old.edges(inputs), new.edges(inputs)
    moved = np.empty((outputs, inputs, new.basis))
    for i in range(inputs):
        points, roots = _integral(before[i], after[i], new.degree)
        values = old.of_input(i).functions(points) @ coefficients[:, i].astype(np.float64).T
        moved[:, i] = least_squares(roots * new.of_input(i).functions(points), roots * values).T
    return moved


def grid_in_state(who: str, old: AnyGrid, inputs: int, grid_range: Any, knots: Any) -> AnyGrid:
    """The grid of a saved layer with as many cells as the present one: of its knots, or of its range where it has none.

    FormatError for knots of another shape, and for what makes no grid.
    """
    try:
        if knots is None:
            low, high = (float(v) for v in np.asarray(grid_range, np.float64).reshape(2))
            return Grid(old.degree, old.size, low, high)
        shape = (inputs, old.size + 2 * old.degree + 1)
        if np.shape(knots) != shape:
            raise FormatError(f"{who} has knots of shape {np.shape(knots)}; wants {shape}")
        return AdaptiveGrid(old.degree, np.asarray(knots))
    except (ConfigError, TypeError, ValueError) as error:
        raise FormatError(f"{who} has no grid that can be used: {error}") from None


def _integral(old: np.ndarray, new: np.ndarray, degree: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre points [n] between all knots of both over the new range, and the roots [n, 1] of their weights, a cell counting 1."""
    edges = np.unique(np.clip(np.concatenate([old, new]), new[0], new[-1]))
    cells = np.clip(np.searchsorted(new, (edges[:-1] + edges[1:]) / 2, side="right") - 1, 0, len(new) - 2)
    whole = np.diff(new)[cells]
    kept = whole > NARROW
    widths, starts = np.diff(edges)[kept, None], edges[:-1][kept, None]
    nodes, weights = np.polynomial.legendre.leggauss(degree + 1)
    points = starts + widths * (nodes + 1) / 2
    return points.reshape(-1), np.sqrt(widths / whole[kept, None] * weights).reshape(-1, 1)
