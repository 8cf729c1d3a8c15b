"""Knowing the best epoch, and when to stop."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any

from ..errors import ConfigError


class EarlyStopping:
    """Stops a training when `monitor` has not improved by more than min_delta for `patience` epochs.

    monitor:  a name in the history: "val_loss", "val_accuracy", "loss".
    maximize: whether more is better; None: it is when the name contains "accuracy".
    patience: None never stops and still knows the best epoch.
    """

    def __init__(
        self, patience: int | None = 5, min_delta: float = 0.0, monitor: str = "val_loss", *, maximize: bool | None = None
    ) -> None:
        if patience is not None and patience < 1:
            raise ConfigError(f"EarlyStopping: patience is {patience}; wants 1 or more")
        if not min_delta >= 0:
            raise ConfigError(f"EarlyStopping: min_delta is {min_delta}; wants 0 or more")
        self.patience, self.min_delta, self.monitor = patience, min_delta, monitor
        self.maximize = "accuracy" in monitor if maximize is None else maximize
        self.best: float | None = None
        self.best_epoch = 0
        self.waited = 0

    def update(self, record: Mapping[str, float]) -> bool:
        """Takes an epoch's record; True when it is the best so far. NaN is never better."""
        if self.monitor not in record:
            raise ConfigError(f"EarlyStopping: monitors {self.monitor!r}; the history has {', '.join(record)}")
        value = record[self.monitor]
        gain = inf if self.best is None else value - self.best if self.maximize else self.best - value
        if value == value and gain > self.min_delta:
            self.best, self.best_epoch, self.waited = value, int(record["epoch"]), 0
            return True
        self.waited += 1
        return False

    @property
    def stopped(self) -> bool:
        """True when patience has run out."""
        return self.patience is not None and self.waited >= self.patience

    def state_dict(self) -> dict[str, Any]:
        """What a resumed training needs to go on counting."""
        return {"monitor": self.monitor, "best": self.best, "best_epoch": self.best_epoch, "waited": self.waited}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes over the counts of the same monitor; another monitor starts anew."""
        if state.get("monitor") == self.monitor:
            self.best, self.best_epoch, self.waited = state["best"], state["best_epoch"], state["waited"]
