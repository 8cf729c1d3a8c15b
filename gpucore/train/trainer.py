"""The training loop."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sized
from pathlib import Path
from typing import Any

from ..autograd import GradientTape, no_grad
from ..device import Device
from ..errors import ConfigError, DeviceMismatchError, FormatError
from ..nn import Module
from ..pipeline import Pipeline
from .checkpoint import Checkpoint
from .early_stopping import EarlyStopping
from .history import History
from .metrics import Metric, default_metrics
from .progress import Silent, choose
from .scalars import ScalarLog

Loss = Callable[[Any, Any], Any]
Batches = Iterable[tuple[Any, Any]]


class Trainer:
    """Trains a model: each step is one recorded submission, and no step waits for a number.

    loss:     (output, target) to a scalar, the mean over the batch: `gc.ops.cross_entropy`. When it has a method
              `of_model(model, x, target)`, training takes that instead: a loss that looks at more than the output.
    schedule: step (from 0) to learning rate; None leaves the optimizer's alone.
    metrics:  {name: (output, target) -> scalar}, for validation; None means accuracy for cross_entropy, else none.
    Freeze parameters before making the optimizer and the trainer: what they train is settled then.
    """

    def __init__(
        self, model: Module, optimizer: Any, loss: Loss, *, schedule: Callable[[int], float] | None = None,
        metrics: Mapping[str, Metric] | None = None, device: Device | None = None,
    ) -> None:  # fmt: skip
        self.model, self.optimizer, self.loss, self.schedule = model, optimizer, loss, schedule
        self.metrics = default_metrics(loss) if metrics is None else dict(metrics)
        self.device = model.device if device is None else device
        if self.device is not model.device:
            raise DeviceMismatchError(
                f"Trainer: the model is on {model.device.name!r} and device is {self.device.name!r}; move it with model.to(device)"
            )
        known = {id(p) for p in optimizer.params}
        unknown = [name for name, p in model.named_parameters().items() if not p.frozen and id(p) not in known]
        if unknown:
            raise ConfigError(f"Trainer: the optimizer does not have {unknown[0]} of the model; make it from model.parameters()")
        self.history = History()
        self.epoch = self.step = 0
        self._train = Pipeline(train_step(model, optimizer, loss))
        self._evaluate = Pipeline(evaluation_step(model, loss, list(self.metrics.values())))

    def fit(
        self, train_batches: Batches, *, epochs: int, validation: Batches | None = None, early_stopping: EarlyStopping | None = None,
        checkpoint_dir: str | os.PathLike[str] | None = None, progress: bool | Silent = True, resume: bool = False,
    ) -> History:  # fmt: skip
        """Trains until `epochs` epochs are done in all, those before a resume included, and returns the history.

        checkpoint_dir: gets last.safetensors after every epoch and best.safetensors after the best.
        resume:         go on from last.safetensors there; on the same device the numbers are those of a training
                        that was never interrupted, bit for bit.
        progress:       True shows a bar in a terminal with rich, else a line per epoch.
        Raises TrainingDivergedError, naming the step, when a loss is not finite; FormatError when there is nothing
        that can be resumed.
        """
        stopping = early_stopping or EarlyStopping(None, monitor="loss" if validation is None else "val_loss")
        if stopping.monitor.startswith("val_") and validation is None:
            raise ConfigError(f"Trainer.fit: early stopping monitors {stopping.monitor!r}; give validation=")
        folder = None if checkpoint_dir is None else Path(checkpoint_dir)
        if resume:
            if folder is None:
                raise ConfigError("Trainer.fit: resume=True wants checkpoint_dir=, the folder with last.safetensors")
            self.resume(folder / "last.safetensors", stopping)
        display = choose(progress)
        try:
            while self.epoch < epochs and not stopping.stopped:
                record = self._run_epoch(train_batches, validation, epochs, display)
                improved = stopping.update(record)
                self.history.add(record)
                if folder is not None:
                    self._save(folder, stopping, improved)
                display.end(record, epochs)
        finally:
            display.close()
            self.model.eval()
        return self.history

    def evaluate(self, batches: Batches) -> dict[str, float]:
        """Loss and metrics over all batches, weighted by their samples, in evaluation mode."""
        self.model.eval()
        if hasattr(batches, "epoch"):
            batches.epoch = 0  # the same order each time, so that rounding is the same as well
        log = ScalarLog(1 + len(self.metrics))
        for x, y in batches:
            log.add(self._evaluate(x, y), x.shape[0])
        return dict(zip(("loss", *self.metrics), map(float, log.finish()), strict=True))

    def resume(self, path: str | os.PathLike[str], early_stopping: EarlyStopping | None = None) -> None:
        """Takes over a checkpoint: model, optimizer, generators, epoch, step, history. FormatError changes nothing."""
        checkpoint = Checkpoint.load(path)
        info = checkpoint.info
        try:
            epoch, step, history = int(info["epoch"]), int(info["step"]), History.from_data(info["history"])
            stopping = dict(info["early_stopping"])
        except (KeyError, TypeError, ValueError) as error:
            raise FormatError(f"checkpoint: {path} is not one of a Trainer ({error})") from None
        checkpoint.restore(self.model, self.optimizer)
        self.epoch, self.step, self.history = epoch, step, history
        if early_stopping is not None:
            early_stopping.load_state_dict(stopping)

    # ---- one epoch

    def _run_epoch(self, batches: Batches, validation: Batches | None, epochs: int, display: Silent) -> dict[str, float]:
        start = time.perf_counter()
        display.start(self.epoch + 1, epochs, len(batches) if isinstance(batches, Sized) else None)
        loss, samples = self._train_epoch(batches, display)
        seconds = time.perf_counter() - start
        self.epoch += 1
        record = {"epoch": float(self.epoch), "step": float(self.step), "loss": loss}
        if validation is not None:
            record |= {f"val_{name}": value for name, value in self.evaluate(validation).items()}
        return record | {"lr": float(self.optimizer.lr), "seconds": seconds, "samples_per_second": samples / seconds}

    def _train_epoch(self, batches: Batches, display: Silent) -> tuple[float, int]:
        """(mean loss, samples) of one pass over the batches."""
        if hasattr(batches, "epoch"):
            batches.epoch = self.epoch  # the shuffle is set by the epoch's number
        self.model.train()
        log, samples = ScalarLog(1, first_step=self.step), 0
        for x, y in batches:
            if self.schedule is not None:
                self._set_lr(self.schedule(self.step))
            log.add([self._train(x, y)], x.shape[0])
            self.step += 1
            samples += x.shape[0]
            display.step(log.latest)
        if not samples:
            raise ConfigError("Trainer.fit: the epoch had no batches")
        return float(log.finish()[0]), samples

    def _set_lr(self, lr: float) -> None:
        if lr != self.optimizer.lr:
            self.optimizer.lr = lr

    def _save(self, folder: Path, stopping: EarlyStopping, improved: bool) -> None:
        info = {"epoch": self.epoch, "step": self.step, "history": self.history.to_data(), "early_stopping": stopping.state_dict()}
        names = ["last.safetensors", "best.safetensors"] if improved else ["last.safetensors"]
        Checkpoint.of(self.model, self.optimizer, info).save(*(folder / name for name in names))


def train_step(model: Module, optimizer: Any, loss: Loss) -> Callable[[Any, Any], Any]:
    """The function of one step: forward, loss, gradients, update; it returns the loss."""
    trained = [(i, p) for i, p in enumerate(optimizer.params) if not getattr(p, "frozen", False)]
    of_model = getattr(loss, "of_model", None)

    def step(x: Any, y: Any) -> Any:
        with GradientTape() as tape:
            value = loss(model(x), y) if of_model is None else of_model(model, x, y)
        grads: list[Any] = [None] * len(optimizer.params)
        for (i, _), g in zip(trained, tape.gradient(value, [p for _, p in trained]), strict=True):
            grads[i] = g
        optimizer.step(grads)
        return value

    return step


def evaluation_step(model: Module, loss: Loss, metrics: list[Metric]) -> Callable[[Any, Any], list[Any]]:
    """The function of one batch of an evaluation: [loss, *metrics]."""

    def step(x: Any, y: Any) -> list[Any]:
        with no_grad():
            output = model(x)
            return [loss(output, y), *[metric(output, y) for metric in metrics]]

    return step
