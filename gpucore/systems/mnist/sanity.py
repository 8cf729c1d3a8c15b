"""Learning one batch by heart: what forward, loss, gradients and optimizer must be able to do together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ... import ops
from ...device import Device
from ...errors import ConfigError
from ...pipeline import Pipeline
from ...train import Silent, train_step
from .images import Images
from .models import make_model
from .training import Settings, make_optimizer, predict

GOAL = 0.01
"""The loss at which a batch counts as learned by heart."""
EVERY = 10
"""Steps between two looks at the loss."""


@dataclass(frozen=True)
class Sanity:
    """What came of it: `losses` of the steps taken, the accuracy on the batch, and whether loss and accuracy are there."""

    losses: np.ndarray
    accuracy: float
    passed: bool

    def sentence(self) -> str:
        """The verdict."""
        first, last = self.losses[0], self.losses[-1]
        reached = f"loss {first:.4f} -> {last:.2g} in {len(self.losses)} steps, accuracy {self.accuracy:.1%}"
        return reached if self.passed else f"{reached}; wants a loss below {GOAL} and 100 %"


def overfit(device: Device, images: Images, settings: Settings, *, steps: int = 300, display: Silent | None = None) -> Sanity:
    """Trains on the first batch alone until its loss is below GOAL and every image of it is right, or `steps` are over."""
    if steps < 1:
        raise ConfigError(f"mnist sanity: steps is {steps}; wants 1 or more")
    batch = images.train.subset(slice(settings.batch))
    model = make_model(settings.model, device, settings.seed)
    step = Pipeline(train_step(model, make_optimizer(model, settings), ops.cross_entropy))
    x, y = device.tensor(batch.x), device.tensor(batch.y)
    pending: list[Any] = []
    for count in range(1, steps + 1):
        pending.append(step(x, y).read_async())
        if count % EVERY == 0 and float(pending[-1].result()) < GOAL:
            break
        if display is not None:
            display.step(float(pending[-EVERY].result()) if count >= EVERY else None)
    losses = np.array([float(readback.result()) for readback in pending])
    accuracy = float((predict(model, batch).argmax(axis=1) == batch.y).mean())
    return Sanity(losses, accuracy, bool(losses[-1] < GOAL and accuracy == 1.0))
