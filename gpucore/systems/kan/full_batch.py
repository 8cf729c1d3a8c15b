"""Training on all data at once by L-BFGS: what regression and differential equations want, where accuracy counts."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from ...array import Array
from ...autograd import GradientTape, no_grad
from ...errors import ConfigError
from ...optim import LBFGS
from ...pipeline import Pipeline
from ...train import EarlyStopping, History, Silent, TrainingDivergedError, accuracy
from ...train.progress import choose
from .inputs import check_in_grid
from .losses import KanLoss, LossFunction
from .memory import ITEM
from .training import as_loss, checked_batch

if TYPE_CHECKING:
    from .network import KanNetwork

Objective = Callable[..., Any]
"""(network, *tensors) to a scalar, a function of the parameters and these tensors alone."""
Metric = Callable[[Any, Any], Any]
ITERATIONS = 20
"""Iterations of one epoch."""
PAIRS = 50
"""Pairs that L-BFGS keeps. Splines couple neighbours: with 10 it needs several times as many iterations for the same error."""
MARGIN = 0.05
"""By this share of their range grids reach further than the samples: other points meet the same functions a little outside."""
OTHER_VECTORS = 6
"""Vectors of L-BFGS beside the two of every pair."""
ENDS = ("gradient", "change", "line search")
"""How L-BFGS ends where no step is better: the rest of a training would change nothing."""


class FullBatch:
    """Minimises objective(network, *tensors) over the network's trained parameters by L-BFGS.

    Loss and gradients are one recorded submission. When the network's grids have moved, recording and optimizer begin
    anew by themselves. A loss that is NaN or infinite is never accepted: see `LBFGS`.

    history: pairs kept; lr: the first step that each line search tries.
    """

    def __init__(self, network: KanNetwork, objective: Objective, tensors: Sequence[Any], *, history: int = PAIRS, lr: float = 1.0) -> None:
        self.network, self.objective, self.tensors = network, objective, list(tensors)
        self._options: dict[str, Any] = dict(history=history, lr=lr, tolerance_grad=0.0, tolerance_change=0.0)
        self.iterations = self.evaluations = 0
        self.trace: list[tuple[int, float]] = []
        """(iterations so far, loss) after each call of `run`."""
        self.status = ""
        """Why the last call of `run` ended: see LBFGS."""
        self._begin()

    def _begin(self) -> None:
        network, objective, trained = self.network, self.objective, self.network.parameters()
        if not trained:
            raise ConfigError("FullBatch: the network has no parameters to train; wants at least one that is not frozen")
        self._changes, self._optimizer = network.changes, LBFGS(trained, **self._options)

        def loss_and_gradients(*tensors: Any) -> list[Any]:
            with GradientTape() as tape:
                value = objective(network, *tensors)
            return [value, *tape.gradient(value, trained)]

        self._evaluate = Pipeline(loss_and_gradients)

    @property
    def dispatches(self) -> int:
        """Kernel launches of one evaluation of loss and gradients; 0 before the first, and on the NumPy device."""
        return self._evaluate.dispatches

    @property
    def converged(self) -> bool:
        """Whether the last call of `run` ended because no step was better."""
        return self.status in ENDS

    def run(self, iterations: int) -> float:
        """Goes on for up to so many iterations and returns the loss, which is no higher than before.

        Raises TrainingDivergedError, and nothing is changed, when the loss or its gradient is not finite at the start.
        """
        if self._changes != self.network.changes:
            self._begin()
        optimizer = self._optimizer
        optimizer.max_iterations = iterations
        before = optimizer.iterations, optimizer.evaluations
        loss = optimizer.step(lambda: self._evaluate(*self.tensors))
        self.status = optimizer.status
        self.iterations += optimizer.iterations - before[0]
        self.evaluations += optimizer.evaluations - before[1]
        if not isfinite(loss) or self.status == "not finite":
            raise TrainingDivergedError(f"KanNetwork.fit: the loss is {loss} or has a gradient that is not finite; nothing was changed")
        self.trace.append((self.iterations, loss))
        return loss


def fit_lbfgs(
    network: KanNetwork, x: Any, y: Any, *, epochs: int, iterations: int = ITERATIONS, loss: str | LossFunction | KanLoss = "mse",
    lr: float = 1.0, history: int = PAIRS, mask: Any = None, grid_updates: int = 0, margin: float = MARGIN, validation: Any = None,
    metrics: Mapping[str, Metric] | None = None, early_stopping: EarlyStopping | None = None, progress: bool | Silent = False,
) -> History:  # fmt: skip
    """Trains on all of x [n, in] and y at once by L-BFGS; an epoch is so many iterations. Returns the history.

    grid_updates: before each of the first so many epochs the grids are fitted to what the layers get from x, reaching
                  `margin` of its range further; the hidden values move most while a training begins.
    history:      pairs that L-BFGS keeps. validation: (x, y) or (x, y, mask); its loss is that of the data alone.
    metrics:      {name: (output, target) -> scalar} of the validation; None: accuracy for classes without a mask.
    It ends early where no step is better, which in float32 is where the loss changes by roundings only. Records have
    iterations as `step`, and `evaluations` of the loss, since the beginning. Everything is checked first. Raises
    TrainingDivergedError, nothing changed, when the loss is not finite at the start; later no such step is accepted.
    """
    loss = as_loss(loss)
    for name, value, least in (
        ("epochs", epochs, 0),
        ("iterations", iterations, 1),
        ("grid_updates", grid_updates, 0),
        ("history", history, 1),
    ):
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
            raise ConfigError(f"KanNetwork.fit: {name} is {value!r}; wants a whole number of {least} or more")
    if y is None:
        raise ConfigError("KanNetwork.fit: lbfgs wants all data at once, as x and y; got x alone")
    vectors = (2 * history + OTHER_VECTORS) * ITEM * network.parameter_count()
    batch = checked_batch(network, loss, x, y, mask, optimizer=False, extra=vectors, who="KanNetwork.fit")
    if not grid_updates and not isinstance(x, Array):
        check_in_grid("KanNetwork.fit", network, np.asarray(x))
    held = None if validation is None else _held(network, loss, validation)
    if metrics is None:
        metrics = {"accuracy": accuracy} if loss.classes and held is not None and len(held) == 2 else {}
    stopping = early_stopping or EarlyStopping(None, monitor="loss")
    if stopping.monitor.startswith("val_") and held is None:
        raise ConfigError(f"KanNetwork.fit: early stopping monitors {stopping.monitor!r}; give validation=")
    network._steps = None  # its optimizer is another
    run = FullBatch(network, loss_of(loss), batch, history=history, lr=lr)
    found, display = History(), choose(progress)
    try:
        for epoch in range(1, epochs + 1):
            display.start(epoch, epochs, 1)
            if epoch <= grid_updates:
                network.update_grid(batch[0], margin=margin)
            record = _epoch(run, iterations, epoch)
            record |= {} if held is None else _evaluate(network, loss, held, metrics)
            found.add(record)
            stopping.update(record)
            display.step(record["loss"])
            display.end(record, epochs)
            if stopping.stopped or (run.converged and epoch >= grid_updates):
                break
    finally:
        display.close()
        network.eval()
    return found


def scale_splines(network: KanNetwork, factor: float) -> None:
    """Multiplies all coefficients: with little ones a training begins near the smooth base, from where more seeds find the shape."""
    for layer in network.layers:
        layer.coefficients.assign(layer.coefficients.numpy() * np.asarray(factor, network.dtype.host))


def loss_of(loss: KanLoss) -> Objective:
    """(network, x, y, mask) to the whole loss."""
    return lambda network, x, y, mask=None: loss.of_network(network, x, y, mask)


def _epoch(run: FullBatch, iterations: int, epoch: int) -> dict[str, float]:
    start, before = time.perf_counter(), run.evaluations
    run.network.train()
    value = run.run(iterations)
    seconds = time.perf_counter() - start
    rate = (run.evaluations - before) * run.tensors[0].shape[0] / seconds
    counts = {"epoch": float(epoch), "step": float(run.iterations), "evaluations": float(run.evaluations)}
    return counts | {"loss": value, "seconds": seconds, "samples_per_second": rate}


def _evaluate(network: KanNetwork, loss: KanLoss, held: Sequence[Any], metrics: Mapping[str, Metric]) -> dict[str, float]:
    network.eval()
    with no_grad():
        output = network(held[0])
        found = {"val_loss": float(loss.data(output, *held[1:]).item())}
        return found | {f"val_{name}": float(metric(output, held[1]).item()) for name, metric in metrics.items()}


def _held(network: KanNetwork, loss: KanLoss, given: Any) -> list[Any]:
    if not isinstance(given, tuple | list) or len(given) not in (2, 3):
        raise ConfigError("KanNetwork.fit: with lbfgs, validation wants (x, y) or (x, y, mask)")
    return checked_batch(network, loss, *given, optimizer=False, who="KanNetwork.fit, validation")
