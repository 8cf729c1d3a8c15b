"""Showing a training while it runs: a bar in a terminal that has rich, else one line per epoch."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, TextIO


class Silent:
    """Shows nothing; also the methods that the others have."""

    def start(self, epoch: int, epochs: int, batches: int | None) -> None:
        """An epoch (from 1) begins."""

    def step(self, loss: float | None) -> None:
        """A step is queued; `loss` is the latest that has arrived from the device."""

    def end(self, record: Mapping[str, float], epochs: int) -> None:
        """An epoch is over."""

    def close(self) -> None:
        """The training is over."""


class Lines(Silent):
    """One line per epoch."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream

    def end(self, record: Mapping[str, float], epochs: int) -> None:
        """Prints the epoch's record."""
        print(describe(record, epochs), file=self._stream or sys.stdout, flush=True)


class Bar(Lines):
    """A bar over the batches of each epoch, and its line when it is over. Needs rich."""

    def __init__(self) -> None:
        super().__init__()
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._bar: Any = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[loss]}"), TimeRemainingColumn(),
            transient=True,
        )  # fmt: skip
        self._task: Any = None
        self._bar.start()

    def start(self, epoch: int, epochs: int, batches: int | None) -> None:
        """Begins a bar."""
        self._task = self._bar.add_task(f"epoch {epoch}/{epochs}", total=batches, loss="")

    def step(self, loss: float | None) -> None:
        """Moves the bar."""
        self._bar.update(self._task, advance=1, loss="" if loss is None else f"loss {loss:.4f}")

    def end(self, record: Mapping[str, float], epochs: int) -> None:
        """Replaces the bar by the epoch's line."""
        self._bar.remove_task(self._task)
        self._bar.console.print(describe(record, epochs), highlight=False)

    def close(self) -> None:
        """Clears the screen of bars."""
        self._bar.stop()


def describe(record: Mapping[str, float], epochs: int) -> str:
    """An epoch's record in one line."""
    shown = [
        f"{name} {value:.4f}" for name, value in record.items() if name not in ("epoch", "step", "lr", "seconds", "samples_per_second")
    ]
    return f"epoch {int(record['epoch'])}/{epochs}  {'  '.join(shown)}  {record['seconds']:.1f} s"


def choose(progress: bool | Silent) -> Silent:
    """The display for `progress`: one that was given, none for False, a bar where it can be drawn, else lines."""
    if isinstance(progress, Silent):
        return progress
    if not progress:
        return Silent()
    if sys.stdout.isatty():
        try:
            return Bar()
        except ImportError:
            pass
    return Lines()
