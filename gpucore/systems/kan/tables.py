"""A table of one's own: split, scaled, fitted by a network, judged on rows that the training never saw, explained."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Any

import numpy as np

from ...data import ArrayDataset, Standardiser
from ...device import Device
from ...errors import ConfigError, ShapeError
from .config import LEAST_STD, KanConfig
from .explaining import Explanation, check_options, explain, r2_of_targets
from .formula import check_digits
from .full_batch import FullBatch, scale_splines
from .inputs import finite_as, host_numbers
from .losses import KanLoss
from .network import KanNetwork
from .prediction import predict

Show = Callable[[str, int, int, float, float], None]
"""Called during a training with what it is, the iterations done and allowed, and R² of the training and the validation rows."""
PART = 20
"""Iterations between two looks at the validation rows."""
PATIENCE = 5
"""So many looks without a better one end a training."""
WARM = 4
"""Before so many of the first parts the grids follow the hidden values, which move most then."""
HELD = 0.15
"""The share of the training rows that decides when to stop; none is held back of fewer than LEAST_ROWS."""
LEAST_ROWS = 40
SMALL = 0.1
"""Splines begin so much smaller than a network's own: near the smooth base."""
SHAPES: tuple[tuple[int, ...], ...] = ((), (1,), (1,), (3,))
"""Hidden widths that are tried, from the simplest: a sum of functions, one function of a sum (twice: it may get stuck), three of them."""
NEAR = 1.5
"""The simplest is taken whose validation error is at most so many times the least, or CLOSE (a share of the variance) above it."""
CLOSE = 1e-3
EXACT = 1e-4
"""An error, as a share of the variance, with which no larger network is tried."""


@dataclass(frozen=True)
class TableSettings:
    """How a table is fitted.

    hidden:     widths between inputs and targets; None tries some (SHAPES) and takes the simplest that is about as good as the best.
    test:       the share of the rows that is kept for judging.
    iterations: of L-BFGS, at most; it stops where the validation rows, a part of the training rows, get no better.
    sparsity:   weight of the edges' activity (the KAN paper's λ): more makes more edges idle, to be pruned.
    prune, threshold: scores below which edges go, and R² from which an edge becomes a function. seed: of split and weights.
    """

    hidden: tuple[int, ...] | None = None
    grid_size: int = 5
    degree: int = 3
    test: float = 0.2
    iterations: int = 400
    sparsity: float = 1e-3
    prune: float = 3e-2
    threshold: float = 0.98
    seed: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.iterations, int) or self.iterations < 1:
            raise ConfigError(f"TableSettings: iterations is {self.iterations!r}; wants a whole number of 1 or more")
        if not 0 < self.test < 1:
            raise ConfigError(f"TableSettings: test is {self.test!r}; wants a share between 0 and 1")
        if not isinstance(self.seed, int) or self.seed < 0:
            raise ConfigError(f"TableSettings: seed is {self.seed!r}; wants a whole number of 0 or more")
        check_options("TableSettings", self.prune, self.threshold)


@dataclass(frozen=True)
class TableFit:
    """A network of splines over the rows of a table, in the units of the table, and how it was judged.

    r2_train, r2_test: 1 - Σ(t - y)² / Σ(t - mean t)² of each target; `linear` is that of a linear model on the test rows.
    NaN for a target without spread.
    """

    network: KanNetwork
    train: ArrayDataset
    test: ArrayDataset
    r2_train: tuple[float, ...]
    r2_test: tuple[float, ...]
    linear: tuple[float, ...]


@dataclass(frozen=True)
class TableFormula:
    """The pruned network with functions on its edges, its formulas in the units of the table, and R² on the test rows."""

    network: KanNetwork
    explanation: Explanation
    expressions: tuple[Any, ...]
    r2_test: tuple[float, ...]


class TableTraining:
    """Fits a network to x [n, in] and y [n, targets]; `fit` gives the splines, `formula` then the functions.

    Inputs and targets are scaled to mean 0 and deviation 1 by what the training rows say; networks that are given out
    take and give the units of the table. ConfigError for too few rows, and for columns without spread as targets.
    """

    def __init__(self, x: Any, y: Any, settings: TableSettings | None = None, *, device: Device, show: Show | None = None) -> None:
        self.settings, self.device, self.show = settings or TableSettings(), device, show
        data = _checked_rows(x, y)
        if len(data) < 10:
            raise ConfigError(f"fit_table: the table has {len(data)} rows; wants at least 10")
        self.train, self.test = data.split(1 - self.settings.test, self.settings.seed)
        still = np.flatnonzero(np.ptp(self.train.y, axis=0) == 0)
        if len(still):
            raise ConfigError(
                f"fit_table: target {still[0] + 1} is {self.train.y[0, still[0]]:g} in every training row; wants one that varies"
            )
        self.scale = Standardiser().fit(self.train.y)
        small = np.flatnonzero(self.scale.transform(self.train.y).std(axis=0) < 0.5)
        if len(small):
            raise ConfigError(f"fit_table: target {small[0] + 1} varies by no more than roundings of 1; wants other units")
        self.fitted, self.held = self._hold_back()
        self.tried: list[tuple[KanNetwork, float]] = []
        """The networks that `fit` trained, with their mean square error on the validation rows as a share of the variance."""

    def _hold_back(self) -> tuple[ArrayDataset, ArrayDataset]:
        """(rows that are fitted, rows that decide when to stop), targets scaled; the same rows where there are few."""
        scaled = ArrayDataset(self.train.x, self.scale.transform(self.train.y))
        return (scaled, scaled) if len(scaled) < LEAST_ROWS else scaled.split(1 - HELD, self.settings.seed + 1)

    def _begin(self, hidden: tuple[int, ...], seed: int) -> KanNetwork:
        s, inputs = self.settings, self.train.x.shape[1]
        config = KanConfig(inputs, hidden, self.train.y.shape[1], grid_size=s.grid_size, degree=s.degree, base="silu", seed=seed)
        network = KanNetwork(config.standardized(self.train.x), device=self.device)
        scale_splines(network, SMALL)
        return network

    # ---- the two results

    def fit(self) -> TableFit:
        """Trains the splines of each shape, with the edges' activity held down, and takes the simplest that is good."""
        loss = KanLoss("mse", activation_l1=self.settings.sparsity)
        for k, hidden in enumerate(SHAPES if self.settings.hidden is None else (self.settings.hidden,)):
            network = self._begin(hidden, self.settings.seed + k)
            error = self._improve(network, f"splines {list(network.config.widths)}", loss, warm=WARM)
            self.tried.append((network, error))
            if error <= EXACT:
                break
        least = min(error for _, error in self.tried)
        self.network = next(network for network, error in self.tried if error <= max(NEAR * least, least + CLOSE))
        network = self._in_units()
        r2_train, r2_test = (r2_of(network, rows) for rows in (self.train, self.test))
        return TableFit(network, self.train, self.test, r2_train, r2_test, linear_r2(self.train, self.test))

    def formula(self, names: Sequence[str] | None = None, digits: int | None = 4) -> TableFormula:
        """Prunes what `fit` trained, puts functions on its edges, trains on, and reads the formula, to so many significant digits.

        names: of the inputs, different ones. ConfigError before `fit`.
        """
        s = self.settings
        if not self.tried:
            raise ConfigError("fit_table: there is no network yet; call fit() before formula()")
        check_digits("fit_table", significant=digits)

        def go_on() -> None:
            fixed = any(layer.symbolic is not None for layer in self.network.layers)
            self._improve(self.network, "with functions" if fixed else "pruned", KanLoss("mse"))

        found = explain(self.network, self.fitted.x, self.fitted.y, prune=s.prune, threshold=s.threshold, names=names, train=go_on)
        network = self._in_units()
        expressions = () if found.note else network.formula(significant=digits, splines=True, names=names)
        return TableFormula(network, found, expressions, r2_of(network, self.test))

    # ---- training

    def _improve(self, network: KanNetwork, what: str, loss: KanLoss, warm: int = 0) -> float:
        """Trains until the validation rows get no better, goes back to where they were best, and returns their error there."""
        data = [self.device.tensor(part) for part in (self.fitted.x, self.fitted.y)]
        network.check_room("fit_table", len(self.fitted), training=True, more=partial(loss.working_bytes, network))
        run = FullBatch(network, lambda model, x, y: loss.of_network(model, x, y), data)
        least, best, since = _error(network, self.held), network.state_dict(), 0
        limit = self.settings.iterations
        for k in range(-(-limit // PART)):
            if k < warm:
                network.update_grid(self.fitted.x)
            run.run(min(PART, limit - k * PART))
            error = _error(network, self.held)
            since = 0 if error < least else since + 1
            if error < least or k < warm:  # what came before has other grids
                least, best = error, network.state_dict()
            if self.show is not None:
                self.show(what, min(limit, (k + 1) * PART), limit, 1 - _error(network, self.fitted), 1 - error)
            if k >= warm and (since >= PATIENCE or run.converged):
                break
        network.load_state_dict(best)
        return least

    def _in_units(self) -> KanNetwork:
        """A copy of the network that answers in the units of the table."""
        network = copy.deepcopy(self.network)
        state = self.scale.state_dict()
        network.scale_output(state["std"], state["mean"])
        return network


def _checked_rows(x: Any, y: Any) -> ArrayDataset:
    """x [n, in] and y [n] or [n, targets] as float32, which must hold them; ConfigError for inputs that a network would see as constant."""
    x, y = (finite_as("fit_table", name, host_numbers("fit_table", name, v), np.float32) for name, v in (("x", x), ("y", y)))
    if x.ndim != 2 or not x.shape[1]:
        raise ShapeError(f"fit_table: x has shape {x.shape}; wants [rows, inputs]")
    spread = x.std(axis=0, dtype=np.float64)
    still = np.flatnonzero((np.ptp(x, axis=0) > 0) & (spread <= LEAST_STD))
    if len(still):
        raise ConfigError(
            f"fit_table: input {still[0] + 1} varies by {spread[still[0]]:.1e} alone; wants more than {LEAST_STD:g}, in other units"
        )
    return ArrayDataset(x, y.reshape(len(y), -1))


def _error(network: KanNetwork, rows: ArrayDataset) -> float:
    """The mean square error of scaled targets, a share of their variance; inf when it is not finite."""
    error = float(np.mean((predict(network, rows.x) - rows.y.astype(np.float64)) ** 2))
    return error if np.isfinite(error) else inf


def r2_of(network: KanNetwork, rows: ArrayDataset) -> tuple[float, ...]:
    """R² of each target over these rows."""
    return r2_of_targets(predict(network, rows.x), rows.y)


def linear_r2(train: ArrayDataset, test: ArrayDataset) -> tuple[float, ...]:
    """R² on the test rows of the linear model with the least squares on the training rows: what a network has to beat."""
    scale = Standardiser().fit(train.x)
    a, b = (np.hstack([scale.transform(rows.x).astype(np.float64), np.ones((len(rows), 1))]) for rows in (train, test))
    weights = np.linalg.lstsq(a, train.y.astype(np.float64), rcond=None)[0]
    return r2_of_targets(b @ weights, test.y)
