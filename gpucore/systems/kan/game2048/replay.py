"""The replay memory: a ring of the latest moves, drawn from uniformly."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ....errors import ConfigError, ShapeError


class Transitions(NamedTuple):
    """n moves: board before [n], move [n], its points [n], and the board after it with the new tile [n].

    A board after which has no legal move ended its game; what is legal follows from the board and is not kept.
    """

    boards: np.ndarray
    moves: np.ndarray
    points: np.ndarray
    next_boards: np.ndarray


class Replay:
    """The latest `capacity` moves, 21 bytes each on the host; more overwrite the oldest."""

    def __init__(self, capacity: int, seed: int | list[int] = 0) -> None:
        if capacity < 1:
            raise ConfigError(f"Replay: capacity is {capacity}; wants 1 or more")
        self.capacity, self._size, self._at = capacity, 0, 0
        self._rng = np.random.default_rng(seed)
        kinds = (np.uint64, np.uint8, np.int32, np.uint64)
        self._held = Transitions(*[np.zeros(capacity, kind) for kind in kinds])

    def __len__(self) -> int:
        return self._size

    def add(self, new: Transitions) -> None:
        """Takes moves in, in their order; of more than fit, the last ones."""
        if len({len(values) for values in new}) != 1:
            raise ShapeError(f"Replay.add: the parts have {', '.join(str(len(values)) for values in new)} rows; wants as many in each")
        new = Transitions(*[values[-self.capacity :] for values in new])
        places = (self._at + np.arange(len(new.moves))) % self.capacity
        for held, values in zip(self._held, new, strict=True):
            held[places] = values
        self._at = (self._at + len(places)) % self.capacity
        self._size = min(self.capacity, self._size + len(places))

    def sample(self, n: int) -> Transitions:
        """n moves, each as likely as another, with replacement. ConfigError when there are none."""
        if not self._size:
            raise ConfigError("Replay.sample: the memory is empty; add moves first")
        places = self._rng.integers(0, self._size, n)
        return Transitions(*[held[places] for held in self._held])
