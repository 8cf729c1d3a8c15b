"""What a training on 2048 is made of, checked before anything begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from math import isfinite
from typing import Any

import numpy as np

from ....errors import ConfigError
from .. import KanConfig
from .encoding import CELLS, INPUTS, REACH

HEADS = {"afterstates": 1, "moves": 4}
"""Outputs of the network by head, see `DqnAgent`."""
REWARDS = ("root", "points")
"""What a move is rewarded with: the square root of its points, or the points themselves."""


@dataclass(frozen=True)
class Epsilon:
    """The share of random moves: from `start` down to `end` along a line over the first `steps` steps, then `end`."""

    start: float
    end: float
    steps: int

    def __call__(self, step: int) -> float:
        """At a step, from 0."""
        done = min(1.0, step / self.steps) if self.steps else 1.0
        return self.start + (self.end - self.start) * done


@dataclass(frozen=True)
class Settings:
    """A training; the seed decides everything that is random in it.

    head, hidden, degree: of the network, see `DqnAgent` and `network_config`.
    reward:   root or points; a merge into 1024 is rare and worth 256 of 4, and by its root the values differ less and learn faster.
    gamma:    what the next move's value counts. unit: the root, or the points, that count as 1; None: 10 and 64.
    lr:       Adam's learning rate; falls to a tenth along a line. double: the target's move chosen by the network that learns.
    envs:     games side by side. batch: moves per training step. updates: training steps after each move of all games.
    capacity: moves in the replay memory; warmup: how many there must be before learning begins.
    steps:    training steps. episodes: or as many finished games, whichever comes first; 0 for no such limit.
    sync:     training steps after which the target network takes over the values of the one that learns.
    epsilon_*: see `Epsilon`; epsilon_share is the part of `steps` over which it falls.
    evaluations, games: how often the agent plays without random moves, spread over the training, and how many games each time.
    """

    head: str = "afterstates"
    hidden: tuple[int, ...] = (32,)
    degree: int = 3
    reward: str = "root"
    gamma: float = 0.99
    unit: float | None = None
    lr: float = 3e-3
    double: bool = False
    envs: int = 64
    batch: int = 128
    updates: int = 1
    capacity: int = 100_000
    warmup: int = 2_000
    steps: int = 6_000
    episodes: int = 0
    sync: int = 100
    epsilon_start: float = 1.0
    epsilon_end: float = 0.0
    epsilon_share: float = 0.1
    evaluations: int = 10
    games: int = 50
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "hidden", tuple(self.hidden))
        for name, known in (("head", HEADS), ("reward", REWARDS)):
            self._expect(name, f"one of {', '.join(known)}", getattr(self, name) in known)
        for name in ("envs", "batch", "updates", "capacity", "steps", "sync", "evaluations", "games"):
            self._expect(name, "1 or more", getattr(self, name) >= 1)
        for name in ("warmup", "episodes", "seed"):
            self._expect(name, "0 or more", getattr(self, name) >= 0)
        self._expect("lr", "a positive number", isfinite(self.lr) and self.lr > 0)
        self._expect("unit", "a positive number", self.unit is None or (isfinite(self.unit) and self.unit > 0))
        for name in ("gamma", "epsilon_start", "epsilon_end", "epsilon_share"):
            self._expect(name, "a number from 0 to 1", 0 <= getattr(self, name) <= 1)
        self._expect("warmup", f"at most the capacity of {self.capacity}", self.warmup <= self.capacity)

    def _expect(self, name: str, wanted: str, met: bool) -> None:
        if not met:
            raise ConfigError(f"2048: {name} is {getattr(self, name)!r}; wants {wanted}")

    @property
    def epsilon(self) -> Epsilon:
        """The schedule of random moves over the training steps."""
        return Epsilon(self.epsilon_start, self.epsilon_end, round(self.epsilon_share * self.steps))

    def rewards(self, points: np.ndarray) -> np.ndarray:
        """What moves are worth at once, float32, for their points."""
        root = self.reward == "root"
        values: np.ndarray = np.sqrt(points, dtype=np.float32) if root else points.astype(np.float32)
        return values / np.float32(self.unit or (10 if root else 64))

    def rate(self, step: int) -> float:
        """The learning rate at a step, from 0."""
        return self.lr * (1 - 0.9 * min(1.0, step / self.steps))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self) | {"hidden": list(self.hidden)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Settings:
        """The opposite of `to_dict`; ConfigError for names that are unknown and values of a wrong kind."""
        known = {f.name for f in fields(cls)}
        if not isinstance(values, Mapping) or set(values) - known:
            raise ConfigError(f"2048: settings are {values!r}; wants some of {', '.join(sorted(known))}")
        try:
            return cls(**values)
        except TypeError as error:
            raise ConfigError(f"2048: settings hold a value of a wrong kind ({error})") from None


def network_config(settings: Settings) -> KanConfig:
    """The network over encoded boards: as many outputs as the head wants, a knot at every whole exponent."""
    mean = (float(REACH),) * CELLS + (0.0,) * (INPUTS - CELLS)
    ends = (-float(REACH), float(REACH))
    return KanConfig(INPUTS, settings.hidden, HEADS[settings.head], 2 * REACH, settings.degree, ends, mean=mean, seed=settings.seed)
