"""Learning-rate schedules: functions of the step, written to an optimizer by `apply`."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, isfinite, pi
from typing import TYPE_CHECKING

from ..errors import ConfigError

if TYPE_CHECKING:
    from .base import Optimizer


class Schedule:
    """A learning rate for each step, counted from 0: `schedule(step)`."""

    def __call__(self, step: int) -> float:
        """The learning rate of a step."""
        raise NotImplementedError

    def apply(self, optimizer: Optimizer, step: int) -> float:
        """Sets the optimizer's learning rate to that of `step`, outside any recording; returns it."""
        optimizer.lr = rate = self(step)
        return rate

    def _expect(self, ok: bool, name: str, wants: str) -> None:
        if not ok:
            raise ConfigError(f"{type(self).__name__}: {name} is {getattr(self, name)!r}; wants {wants}")

    def _rate(self, name: str) -> None:
        value = getattr(self, name)
        self._expect(isinstance(value, int | float) and isfinite(value) and value >= 0, name, "a number of 0 or more")

    def _steps(self, name: str, low: int) -> None:
        value = getattr(self, name)
        self._expect(isinstance(value, int) and value >= low, name, f"a whole number of {low} or more")


def _position(who: str, step: int) -> int:
    if step < 0:
        raise ConfigError(f"{who}: step is {step}; wants 0 or more")
    return step


@dataclass(frozen=True)
class StepLR(Schedule):
    """base_lr · gamma^⌊step / every⌋."""

    base_lr: float
    every: int
    gamma: float = 0.1

    def __post_init__(self) -> None:
        self._rate("base_lr")
        self._steps("every", 1)
        self._rate("gamma")

    def __call__(self, step: int) -> float:
        """The learning rate of a step."""
        return self.base_lr * float(self.gamma ** (_position("StepLR", step) // self.every))


@dataclass(frozen=True)
class CosineLR(Schedule):
    """min_lr + (base_lr - min_lr)·(1 + cos(π·step/total)) / 2, and min_lr from `total` on (Loshchilov & Hutter 2017)."""

    base_lr: float
    total: int
    min_lr: float = 0.0

    def __post_init__(self) -> None:
        self._rate("base_lr")
        self._steps("total", 1)
        self._rate("min_lr")

    def __call__(self, step: int) -> float:
        """The learning rate of a step."""
        done = min(1.0, _position("CosineLR", step) / self.total)
        return self.min_lr + (self.base_lr - self.min_lr) * (1 + cos(pi * done)) / 2


@dataclass(frozen=True)
class WarmupCosineLR(Schedule):
    """base_lr·(step + 1)/warmup for the first `warmup` steps, then a cosine down to min_lr at `total`."""

    base_lr: float
    warmup: int
    total: int
    min_lr: float = 0.0

    def __post_init__(self) -> None:
        self._rate("base_lr")
        self._steps("warmup", 0)
        self._steps("total", 1)
        self._expect(self.warmup < self.total, "warmup", f"fewer steps than the total {self.total}")
        self._rate("min_lr")

    def __call__(self, step: int) -> float:
        """The learning rate of a step."""
        if _position("WarmupCosineLR", step) < self.warmup:
            return self.base_lr * (step + 1) / self.warmup
        return CosineLR(self.base_lr, self.total - self.warmup, self.min_lr)(step - self.warmup)
