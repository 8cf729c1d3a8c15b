"""From samples of a formula back to the formula: train, refine, prune, fix, train on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...device import Device
from ...errors import ConfigError
from .config import KanConfig
from .explaining import Explanation, check_options, explain
from .full_batch import FullBatch, loss_of, scale_splines
from .losses import KanLoss
from .network import KanNetwork

Show = Callable[[str, float], None]
"""Called after each training with what it was and the root mean square error that it left."""
GRIDS = (3, 10, 20)
SMALL = 0.1
"""Splines begin so much smaller than a network's own: near the smooth base, from where more trainings find the formula."""
GOOD = 0.995
"""R² of a first training from which it is worth going on at once, without trying another seed."""
PAIRS = 20


@dataclass(frozen=True)
class Target:
    """A formula to be found: f of points [n, in] in the cube from -1 to 1, and the network that can hold it."""

    text: str
    function: Callable[[np.ndarray], np.ndarray]
    widths: tuple[int, ...]


TARGETS = {
    "norm": Target("sqrt(x_1² + x_2²)", lambda x: np.hypot(x[:, 0], x[:, 1]), (2, 1, 1)),
    "gaussian": Target("exp(-x_1² - x_2²)", lambda x: np.exp(-(x**2).sum(axis=1)), (2, 1, 1)),
    "exp-sin": Target("exp(sin(π·x_1) + x_2²)", lambda x: np.exp(np.sin(np.pi * x[:, 0]) + x[:, 1] ** 2), (2, 1, 1)),
    "bell": Target("1/(1 + 2·x_1² + x_2²)", lambda x: 1 / (1 + 2 * x[:, 0] ** 2 + x[:, 1] ** 2), (2, 1, 1)),
}
"""What `gpucore run kan symbolic` can be asked for, by name."""


@dataclass(frozen=True)
class Found:
    """The network as it is in the end, its samples, the error after each training, and what was found."""

    network: KanNetwork
    x: np.ndarray
    y: np.ndarray
    rmse: dict[str, float]
    explanation: Explanation


def discover(
    target: Target, device: Device, *, seed: int = 0, samples: int = 1000, iterations: int = 100, tries: int = 5,
    prune: float = 3e-2, threshold: float = 0.99, digits: int = 3, show: Show | None = None,
    before: Callable[[KanNetwork, np.ndarray], Any] | None = None,
) -> Found:  # fmt: skip
    """Trains on samples of a target, from up to `tries` seeds, refines the best, and explains it.

    before: called with the network and the inputs when the splines are trained, before anything is pruned or fixed.
    """
    for name, value in (("samples", samples), ("iterations", iterations), ("tries", tries)):
        if not isinstance(value, int) or value < 1:
            raise ConfigError(f"kan symbolic: {name} is {value!r}; wants a whole number of 1 or more")
    if not isinstance(seed, int) or seed < 0:
        raise ConfigError(f"kan symbolic: seed is {seed!r}; wants a whole number of 0 or more")
    check_options("kan symbolic", prune, threshold, digits=digits)
    x = np.random.default_rng(seed).uniform(-1, 1, (samples, target.widths[0])).astype(np.float32)
    y = target.function(x.astype(np.float64)).astype(np.float32).reshape(-1, 1)
    rmse: dict[str, float] = {}

    def note(what: str, loss: float) -> None:
        rmse[what] = float(np.sqrt(loss))
        if show is not None:
            show(what, rmse[what])

    network = _first(target, device, seed, x, y, iterations, tries, note)
    for size in GRIDS[1:]:
        network.refine(size)
        network.update_grid(x)
        note(f"grid {size}", train_all(network, x, y, iterations))
    if before is not None:
        before(network, x)

    def go_on() -> None:
        fixed = any(layer.symbolic is not None for layer in network.layers)
        note("with functions" if fixed else "pruned", train_all(network, x, y, 2 * iterations))

    explanation = explain(network, x, y, prune=prune, threshold=threshold, digits=digits, train=go_on)
    return Found(network, x, y, rmse, explanation)


def _first(target: Target, device: Device, seed: int, x: np.ndarray, y: np.ndarray, iterations: int, tries: int, note: Show) -> KanNetwork:
    """The best network on the coarsest grid, of the first good seed or of all."""
    best: KanNetwork | None = None
    least = np.inf
    first, *hidden, last = target.widths
    for k in range(tries):
        config = KanConfig(first, tuple(hidden), last, grid_size=GRIDS[0], base="silu", seed=seed + k)
        network = KanNetwork(config, device=device)
        scale_splines(network, SMALL)
        network.update_grid(x)
        for part in (iterations // 2, iterations - iterations // 2):
            loss = train_all(network, x, y, max(1, part))
            network.update_grid(x)
        note(f"grid {GRIDS[0]}, seed {seed + k}", loss)
        if loss < least:
            best, least = network, loss
        if least < (1 - GOOD) * float(y.var()):
            break
    assert best is not None
    return best


def train_all(network: KanNetwork, x: np.ndarray, y: np.ndarray, iterations: int) -> float:
    """L-BFGS on the mean square error of all samples at once; the loss that it leaves."""
    given = [network.device.tensor(values) for values in (x, y)]
    return FullBatch(network, loss_of(KanLoss("mse")), given, history=PAIRS).run(iterations)
