"""Learning classes: from samples to a trained network and what it says of others."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial

import numpy as np

from ... import ops
from ...data import ArrayDataset
from ...device import Device
from ...errors import ConfigError
from ...optim import WarmupCosineLR
from ...train import EarlyStopping, History, Silent
from .config import KanConfig
from .fitting import fit
from .network import KanNetwork
from .prediction import predict

EVALUATED = 1000
"""Samples per batch when nothing is learned."""


@dataclass(frozen=True)
class Classified:
    """A trained classifier: probabilities [n, classes] of the test samples, the share whose largest is right, the history."""

    network: KanNetwork
    history: History
    probabilities: np.ndarray
    accuracy: float


def classify(
    config: KanConfig, train: ArrayDataset, test: ArrayDataset, *, device: Device, epochs: int, batch_size: int = 64,
    optimizer: str = "adam", lr: float = 2e-3, weight_decay: float = 0.0, out: str | os.PathLike[str] | None = None,
    resume: bool = False, display: Silent | None = None, seed: int = 0,
) -> Classified:  # fmt: skip
    """Trains a new network by cross-entropy on samples [n, input_dim] with class numbers [n], measuring on `test` after each epoch.

    The learning rate rises over the first tenth of the steps and falls along a cosine. out: gets checkpoints; resume: go
    on from the last one there. The result is that of the last epoch, so that nothing is chosen by the test samples.
    """
    if epochs < 1 or batch_size < 1:
        raise ConfigError(f"classify: epochs is {epochs} and batch_size {batch_size}; wants 1 or more of each")
    network = KanNetwork(config, device=device)
    steps = -(-len(train) // batch_size) * epochs
    history = fit(
        network, train.x, train.y, epochs=epochs, batch_size=batch_size, loss="cross_entropy", optimizer=optimizer, lr=lr,
        schedule=WarmupCosineLR(lr, steps // 10, steps), weight_decay=weight_decay, validation=(test.x, test.y),
        early_stopping=EarlyStopping(None, monitor="val_loss"), checkpoint_dir=out, resume=resume, progress=display or Silent(), seed=seed,
    )  # fmt: skip
    probabilities = predict(network, test.x, rows=EVALUATED, then=partial(ops.softmax, axis=-1))
    return Classified(network, history, probabilities, float((probabilities.argmax(axis=1) == test.y).mean()))
