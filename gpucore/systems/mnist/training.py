"""Training a classifier, and everything that a run leaves in its folder."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ... import ops, optim
from ...autograd import no_grad
from ...data import ArrayDataset, Batches, write_atomic
from ...device import Device
from ...errors import ConfigError
from ...optim import Optimizer
from ...pipeline import Pipeline
from ...train import EarlyStopping, History, Silent, Trainer, train_step
from .images import Images
from .models import Classifier, make_model

RATES = {
    "mlp": {"sgd": 0.2, "momentum": 0.02, "nesterov": 0.02, "adam": 1e-3, "adamw": 1e-3},
    "lenet": {"sgd": 0.05, "momentum": 0.015, "nesterov": 0.015, "adam": 1e-3, "adamw": 1e-3},
}
"""The learning rate by model and optimizer, unless one is given.

LeNet's rise from 0 over the first tenth of the training (the warm-up schedule): a training that starts at full speed
overshoots, rounding differences then grow tenfold every few steps, and even NumPy's own float32 and float64 curves
part by percents within fifty. Warmed up, the curves of two devices stay together through the first hundred steps.
"""
OPTIMIZERS = tuple(RATES["mlp"])
SCHEDULES = ("constant", "cosine", "warmup", "step")
EVALUATED = 1000
"""Images per batch when nothing is learned."""


@dataclass(frozen=True)
class Settings:
    """What a training is made of; the seed decides the first weights and the order of the images.

    schedule: constant; cosine down to 0 at the end; warmup (a tenth of the steps up, then cosine); step (a tenth of
    the rate for the last third).
    """

    model: str = "lenet"
    optimizer: str = "momentum"
    lr: float | None = None
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: str = "warmup"
    batch: int = 128
    epochs: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        if self.model not in RATES:
            raise ConfigError(f"mnist: model is {self.model!r}; wants one of {', '.join(RATES)}")
        if self.optimizer not in OPTIMIZERS:
            raise ConfigError(f"mnist: optimizer is {self.optimizer!r}; wants one of {', '.join(OPTIMIZERS)}")
        if self.schedule not in SCHEDULES:
            raise ConfigError(f"mnist: schedule is {self.schedule!r}; wants one of {', '.join(SCHEDULES)}")
        if self.epochs < 1:
            raise ConfigError(f"mnist: epochs is {self.epochs}; wants 1 or more")

    @property
    def rate(self) -> float:
        """The learning rate: the one given, else the optimizer's usual one."""
        return RATES[self.model][self.optimizer] if self.lr is None else self.lr


@dataclass(frozen=True)
class Result:
    """A finished training: the last epoch's accuracy on the test images, from 0 to 1, and what it took."""

    settings: Settings
    device: str
    data: str
    accuracy: float
    loss: float
    steps: int
    seconds: float
    steps_per_second: float
    history: History
    probabilities: np.ndarray
    model: Classifier

    def summary(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        numbers = {name: getattr(self, name) for name in ("device", "data", "accuracy", "loss", "steps", "seconds", "steps_per_second")}
        return numbers | {"settings": asdict(self.settings) | {"lr": self.settings.rate}, "history": self.history.to_data()}


def make_optimizer(model: Classifier, settings: Settings) -> Optimizer:
    """The optimizer that the settings name, over the model's parameters."""
    options: dict[str, Any] = dict(lr=settings.rate, weight_decay=settings.weight_decay)
    params = model.parameters()
    if settings.optimizer == "adam":
        return optim.Adam(params, **options)
    if settings.optimizer == "adamw":
        return optim.AdamW(params, **options)
    momentum = 0.0 if settings.optimizer == "sgd" else settings.momentum
    return optim.SGD(params, momentum=momentum, nesterov=settings.optimizer == "nesterov", **options)


def make_schedule(settings: Settings, steps: int) -> optim.Schedule | None:
    """The learning rate over `steps` steps; None for a constant one."""
    if settings.schedule == "cosine":
        return optim.CosineLR(settings.rate, steps)
    if settings.schedule == "warmup":
        return optim.WarmupCosineLR(settings.rate, steps // 10, steps)
    if settings.schedule == "step":
        return optim.StepLR(settings.rate, -(-2 * steps // 3))
    return None


def train(
    device: Device, images: Images, settings: Settings, *, out: Path | None = None, resume: bool = False, display: Silent | None = None
) -> Result:
    """Trains on the training images and measures on the test images after every epoch.

    out: gets the checkpoints last.safetensors and best.safetensors (by the test loss). resume: go on from the last one
    until `epochs` are done in all. The result is that of the last epoch, so that nothing is chosen by the test images.
    """
    model = make_model(settings.model, device, settings.seed)
    batches = Batches(images.train, settings.batch, seed=settings.seed, device=device)
    trainer = Trainer(
        model, make_optimizer(model, settings), ops.cross_entropy, schedule=make_schedule(settings, len(batches) * settings.epochs)
    )
    test = Batches(images.test, EVALUATED, shuffle=False, device=device)
    stopping = EarlyStopping(None, monitor="val_loss")
    history = trainer.fit(
        batches, epochs=settings.epochs, validation=test, early_stopping=stopping, checkpoint_dir=out, progress=display or Silent(),
        resume=resume,
    )  # fmt: skip
    probabilities = predict(model, images.test)
    seconds = sum(history["seconds"])
    return Result(
        settings, device.name, str(images), float((probabilities.argmax(axis=1) == images.test.y).mean()), history["val_loss"][-1],
        trainer.step, seconds, trainer.step / seconds, history, probabilities, model,
    )  # fmt: skip


def predict(model: Classifier, data: ArrayDataset) -> np.ndarray:
    """[n, 10]: the probability of each digit for every image."""
    model.eval()

    def probabilities(x: Any) -> Any:
        with no_grad():
            return ops.softmax(model(x), axis=-1)

    forward = Pipeline(probabilities)
    pending = [forward(x).read_async() for x, _ in Batches(data, EVALUATED, shuffle=False, device=model.device)]
    return np.concatenate([readback.result() for readback in pending])


def loss_curve(device: Device, images: Images, settings: Settings, steps: int, display: Silent | None = None) -> np.ndarray:
    """The loss of each of the first `steps` steps of a training, from the same first weights and images on any device."""
    model = make_model(settings.model, device, settings.seed)
    optimizer = make_optimizer(model, settings)
    step = Pipeline(train_step(model, optimizer, ops.cross_entropy))
    batches = Batches(images.train, settings.batch, seed=settings.seed, device=device, drop_last=True)
    schedule = make_schedule(settings, len(batches) * settings.epochs)
    losses: list[Any] = []
    while len(losses) < steps:
        for x, y in batches:
            if schedule is not None:
                schedule.apply(optimizer, len(losses))
            losses.append(step(x, y).read_async())
            if display is not None:
                display.step(float(losses[-8].result()) if len(losses) >= 8 else None)
            if len(losses) == steps:
                break
    return np.array([float(readback.result()) for readback in losses])


def write_results(result: Result, images: Images, out: Path) -> list[Path]:
    """Writes history, summary, predictions and, where matplotlib is there, the pictures; returns the files."""
    from . import pictures

    files = [out / name for name in ("history.csv", "history.json", "result.json", "predictions.csv")]
    result.history.to_csv(files[0])
    result.history.to_json(files[1])
    write_atomic(files[2], json.dumps(result.summary(), indent=1).encode())
    write_atomic(files[3], _predictions(images.test.y, result.probabilities).encode())
    if pictures.can_draw():
        files += pictures.draw_all(result, images, out)
    return files


def _predictions(labels: np.ndarray, probabilities: np.ndarray) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", "label", "predicted", *[f"p{digit}" for digit in range(probabilities.shape[1])]])
    for i, (label, row) in enumerate(zip(labels, probabilities, strict=True)):
        writer.writerow([i, label, row.argmax(), *[f"{p:.6g}" for p in row]])
    return text.getvalue()
