"""Whole trainings: data in, history out, through the Trainer."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Set
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import ops
from ...array import Array
from ...data import ArrayDataset, Batches
from ...errors import ConfigError
from ...optim import LBFGS, Optimizer
from ...train import EarlyStopping, History, Silent, Trainer, accuracy
from .full_batch import fit_lbfgs
from .inputs import check_in_grid, check_width, finite_as, host_numbers, host_targets
from .losses import KanLoss, LossFunction
from .optimizers import make_optimizer
from .training import as_loss

if TYPE_CHECKING:
    from .network import KanNetwork

Metric = Callable[[Any, Any], Any]
BATCH = 64
"""Samples of a batch, unless told otherwise."""
RESIDENT_BYTES = 64 << 20
"""Data of up to so many bytes are kept on the device; every adapter binds twice that to a kernel."""


def fit(
    network: KanNetwork, x: Any, y: Any = None, *, epochs: int, batch_size: int | None = None,
    loss: str | LossFunction | KanLoss = "mse", optimizer: str | Optimizer = "adam", lr: float | None = None,
    schedule: Callable[[int], float] | None = None, mask: Any = None,
    max_grad_norm: float | None = None, weight_decay: float = 0.0, validation: Any = None, metrics: Mapping[str, Metric] | None = None,
    early_stopping: EarlyStopping | None = None, checkpoint_dir: str | os.PathLike[str] | None = None, resume: bool = False,
    progress: bool | Silent = False, seed: int = 0, resident: bool | None = None, grid_updates: int = 0,
) -> History:  # fmt: skip
    """Trains a network on host arrays x [n, in] and y, or on batches (x, y) of tensors given as x; returns the history.

    optimizer:  a name of OPTIMIZERS or an Optimizer, in batches of `batch_size` (64); or "lbfgs", which takes all data
                at once, 20 iterations an epoch, and is the most accurate for regression: see `fit_lbfgs`, also for
                grid_updates, which only it has.
    mask:       weights of the loss, of y's shape; for arrays only. validation: (x, y), or (x, y, mask), or batches;
                without a mask of its own it counts in full.
    resident:   keep the data on the device and gather batches there; None: when they take at most 64 MiB.
    The measures of a KanLoss belong to the training loss alone: the validation loss is that of the data. Other settings:
    see `make_optimizer`, `Trainer` and `Trainer.fit`; lr and schedule as there. Data are checked first, and nothing is
    changed when they are wrong. ConfigError when no value of x lies inside the first grid.
    """
    if optimizer == "lbfgs" or isinstance(optimizer, LBFGS):
        foreign = dict(
            batch_size=batch_size, schedule=schedule, max_grad_norm=max_grad_norm, weight_decay=weight_decay or None,
            checkpoint_dir=checkpoint_dir, resume=resume or None, resident=resident,
        )  # fmt: skip
        _refuse(optimizer, foreign)
        return fit_lbfgs(
            network, x, y, epochs=epochs, loss=loss, lr=1.0 if lr is None else lr, mask=mask, grid_updates=grid_updates,
            validation=validation, metrics=metrics, early_stopping=early_stopping, progress=progress,
        )  # fmt: skip
    if grid_updates:
        raise ConfigError("KanNetwork.fit: grid_updates goes with optimizer='lbfgs'; call network.update_grid(x) between trainings")
    if network.dtype.name != "float32":
        raise ConfigError(f"KanNetwork.fit: the network is {network.dtype} and batches are float32; use train_step")
    batch_size = BATCH if batch_size is None else batch_size
    for name, value, least in (("epochs", epochs, 0), ("batch_size", batch_size, 1), ("seed", seed, 0)):
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
            raise ConfigError(f"KanNetwork.fit: {name} is {value!r}; wants a whole number of {least} or more")
    loss = as_loss(loss)
    feed = Feeding(network, loss, batch_size, seed, resident)
    batches = feed.batches("KanNetwork.fit", x, y, mask, shuffle=True)
    held = None if validation is None else feed.validation(validation)
    if not isinstance(optimizer, Optimizer):
        optimizer = make_optimizer(network, optimizer, lr=lr, max_grad_norm=max_grad_norm, weight_decay=weight_decay)
    elif lr is not None or max_grad_norm is not None or weight_decay:
        raise ConfigError("KanNetwork.fit: lr, max_grad_norm and weight_decay belong to the optimizer that was given; set them there")
    if metrics is None:
        metrics = {"accuracy": accuracy} if loss.classes and not feed.masked else {}
    network._steps = None  # its optimizer is another
    wrapped = {name: feed.metric(metric) for name, metric in metrics.items()}
    trainer = Trainer(network, optimizer, feed.loss(), schedule=schedule, metrics=wrapped)
    return trainer.fit(
        batches,
        epochs=epochs,
        validation=held,
        early_stopping=early_stopping,
        checkpoint_dir=checkpoint_dir,
        progress=progress,
        resume=resume,
    )


def _refuse(optimizer: str | Optimizer, foreign: Mapping[str, Any]) -> None:
    """ConfigError for what full-batch L-BFGS does not take."""
    if not isinstance(optimizer, str):
        raise ConfigError("KanNetwork.fit: got an LBFGS; give optimizer='lbfgs', which makes one over all data")
    given = [name for name, value in foreign.items() if value is not None]
    if given:
        raise ConfigError(f"KanNetwork.fit: lbfgs takes all data at once and has no {given[0]}; leave it out")


class Feeding:
    """Turns what `fit` was given into batches. With a mask, targets and mask travel side by side as one tensor."""

    def __init__(self, network: KanNetwork, loss: KanLoss, batch_size: int, seed: int, resident: bool | None) -> None:
        self.network, self.kan_loss, self.batch_size, self.seed, self.resident = network, loss, batch_size, seed, resident
        self.masked = False

    def batches(self, who: str, x: Any, y: Any, mask: Any, *, shuffle: bool) -> Any:
        """Batches of arrays, checked; batches that were given as x pass through."""
        if y is None:
            if mask is not None:
                raise ConfigError(f"{who}: mask comes with arrays x and y; with batches, put it into the loss")
            if isinstance(x, np.ndarray | Array) or not hasattr(x, "__iter__"):
                raise ConfigError(f"{who}: got x without y; wants both, or batches (x, y)")
            return x
        x = host_numbers(who, "x", x)
        check_width(who, x.shape, self.network.config.input_dim)
        held = finite_as(who, "x", x, np.float32)
        check_in_grid(who, self.network, x)
        targets = self._targets(who, y, len(x), mask)
        more = partial(self.kan_loss.working_bytes, self.network) if shuffle else None
        self.network.check_room(who, min(len(x), self.batch_size), training=shuffle, more=more)
        data = ArrayDataset(held, targets)
        resident = max(data.x.nbytes, data.y.nbytes) <= RESIDENT_BYTES if self.resident is None else self.resident
        return Batches(data, self.batch_size, shuffle=shuffle, seed=self.seed, device=self.network.device, resident=resident)

    def validation(self, given: Any) -> Any:
        """Batches in their order, of arrays or as they are."""
        if isinstance(given, np.ndarray | Array | str | Mapping | Set) or not hasattr(given, "__iter__"):
            raise ConfigError(f"KanNetwork.fit: validation is a {type(given).__name__}; wants (x, y), (x, y, mask) or batches")
        if not isinstance(given, tuple | list):
            return given
        if len(given) not in (2, 3):
            raise ConfigError(f"KanNetwork.fit: validation has {len(given)} parts; wants (x, y), (x, y, mask) or batches")
        x, y, mask = (*given, None)[:3]
        if self.masked and mask is None:
            mask = np.ones(np.shape(y), np.float32)
        if mask is not None and not self.masked:
            raise ConfigError("KanNetwork.fit: validation has a mask and the training data have none; give mask= as well")
        return self.batches("KanNetwork.fit, validation", x, y, mask, shuffle=False)

    def _targets(self, who: str, y: Any, n: int, mask: Any) -> np.ndarray:
        """Checked targets: [n, out] floats or [n] classes; with a mask [n, 2·out] or [n, 2] floats."""
        y, weights = host_targets(who, y, n, self.network.config.output_dim, classes=self.kan_loss.classes, mask=mask)
        if weights is None:
            return y if self.kan_loss.classes else finite_as(who, "y", y, np.float32)
        self.masked = True
        return np.concatenate([finite_as(who, "y", y, np.float32).reshape(n, -1), weights.reshape(n, -1)], axis=1)

    # ---- as the Trainer wants them

    def parts(self, y: Any) -> tuple[Any, Any]:
        """(target, mask or None) of a batch."""
        if not self.masked:
            return y, None
        if self.kan_loss.classes:
            return ops.astype(y[:, 0], "int32"), y[:, 1]
        half = y.shape[1] // 2
        return y[:, :half], y[:, half:]

    def loss(self) -> TrainingLoss:
        """What the Trainer gets as its loss."""
        return TrainingLoss(self)

    def metric(self, metric: Metric) -> Metric:
        """A metric that gets the targets alone."""
        return lambda output, y: metric(output, self.parts(y)[0])


class TrainingLoss:
    """The loss of the data for validation, and for training the whole one, with the measures of a KanLoss."""

    def __init__(self, feed: Feeding) -> None:
        self.feed = feed

    def __call__(self, output: Any, y: Any) -> Any:
        """Of an output alone."""
        return self.feed.kan_loss.data(output, *self.feed.parts(y))

    def of_model(self, network: KanNetwork, x: Any, y: Any) -> Any:
        """Of the network at x."""
        return self.feed.kan_loss.of_network(network, x, *self.feed.parts(y))
