"""A training on the terminal: a line per epoch under a head, and a bar while one runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TextIO

from ..train import Silent
from .output import Progress

COLUMNS = {
    "epoch": ("epoch", ".0f"),
    "loss": ("train loss", ".4g"),
    "val_loss": ("test loss", ".4g"),
    "val_accuracy": ("test accuracy", ".2%"),
    "val_r2": ("test R²", ".5f"),
    "lr": ("learning rate", ".4g"),
    "seconds": ("seconds", ".1f"),
    "samples_per_second": ("samples/s", ",.0f"),
}
"""What a record may hold, in the order of the columns: the column's head and its format."""


class EpochTable(Silent):
    """A line per epoch under a head, and a bar while one runs; the columns are those that the first record has."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._bar: Progress | None = None
        self._done = 0
        self._columns: list[tuple[str, int, str]] = []

    def __enter__(self) -> EpochTable:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def start(self, epoch: int, epochs: int, batches: int | None) -> None:
        """An epoch begins."""
        label = f"epoch {epoch}/{epochs}" if epochs > 1 else "steps"
        self._bar, self._done = Progress(self._stream, batches or 1, label), 0

    def step(self, loss: float | None) -> None:
        """Moves the bar."""
        self._done += 1
        if self._bar is not None:
            self._bar.show(self._done, "" if loss is None else f"loss {loss:.4g}")

    def end(self, record: Mapping[str, float], epochs: int) -> None:
        """Prints the epoch's line in place of the bar."""
        self.close()
        if not self._columns:
            self._columns = [(name, max(9, len(head)), form) for name, (head, form) in COLUMNS.items() if name in record]
            print("   ".join(COLUMNS[name][0].rjust(width) for name, width, _ in self._columns), file=self._stream)
        print("   ".join(format(record[name], form).rjust(width) for name, width, form in self._columns), file=self._stream, flush=True)

    def close(self) -> None:
        """Removes the bar."""
        if self._bar is not None:
            self._bar.clear()
