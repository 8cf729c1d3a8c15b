"""Per-step numbers that stay on the device and come to the host in pieces, without stopping the steps."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..errors import GpucoreError

if TYPE_CHECKING:
    from ..device.transfer import Readback
    from ..tensor import Tensor

EVERY = 32
"""Steps in one piece: how often a read is started."""
AHEAD = 2
"""Pieces on their way at most. Waiting for the oldest beyond that also keeps the host from queueing work, and the
uploads that belong to it, without end."""


class TrainingDivergedError(GpucoreError, ArithmeticError):
    """The loss of a step is NaN or infinite."""


class ScalarLog:
    """Scalars of each step, weighted by the step's samples: `add` copies them on the device, `finish` gives their means.

    columns:    scalars per step.
    first_step: the number of the first step in messages; None: numbers that are not finite are no error.
    """

    def __init__(self, columns: int, first_step: int | None = None) -> None:
        self._columns, self._first_step = columns, first_step
        self._ring: Tensor | None = None
        self._used = 0
        self._on_the_way: deque[tuple[Readback, int]] = deque()
        self._pieces: list[np.ndarray] = []
        self._weights: list[int] = []

    def add(self, scalars: Sequence[Tensor], weight: int) -> None:
        """Notes one step's scalars and its number of samples; every EVERY steps a read is started."""
        if self._ring is None:
            self._ring = scalars[0].device.zeros((EVERY, self._columns), scalars[0].dtype, name="step log")
        for column, scalar in enumerate(scalars):
            self._ring.view(scalar.shape, self._used * self._columns + column).assign(scalar)
        self._weights.append(weight)
        self._used += 1
        if self._used == EVERY:
            self._send()

    def _send(self) -> None:
        if self._used and self._ring is not None:
            self._on_the_way.append((self._ring.read_async(), self._used))
            self._used = 0
        while self._on_the_way and (len(self._on_the_way) > AHEAD or self._on_the_way[0][0].ready()):
            self._take()

    def _take(self) -> None:
        readback, count = self._on_the_way.popleft()
        piece = readback.result()[:count].astype(np.float64)
        if self._first_step is not None and not np.isfinite(piece[:, 0]).all():
            row = int(np.argmin(np.isfinite(piece[:, 0])))
            step = self._first_step + sum(len(p) for p in self._pieces) + row
            raise TrainingDivergedError(
                f"Trainer: the loss of step {step} is {piece[row, 0]}; wants a finite one: lower the learning rate or clip the gradients"
            )
        self._pieces.append(piece)

    @property
    def latest(self) -> float | None:
        """The first scalar of the last step that has arrived; None before any has."""
        return float(self._pieces[-1][-1, 0]) if self._pieces else None

    def finish(self) -> np.ndarray:
        """The weighted mean of each column over all steps; waits for what is on its way."""
        self._send()
        while self._on_the_way:
            self._take()
        if not self._weights:
            return np.full(self._columns, np.nan)
        return np.average(np.concatenate(self._pieces), axis=0, weights=self._weights)
