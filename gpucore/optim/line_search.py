"""A line search for the strong Wolfe conditions, on numbers alone."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite, sqrt
from typing import Any, NamedTuple

GROWTH = (1.1, 10.0)
"""Least and greatest extrapolation, in lengths of the last bracket (4 is usual; 10 finds the scale of a first step sooner)."""
MARGIN = 0.1
"""A trial keeps this share of a bracket away from both its ends; after a trial that is not finite it goes only so far."""
MOST_TRIALS = 25


class Trial(NamedTuple):
    """One point of φ(α) = f(x + α·d): the step α, the loss φ(α), the slope φ'(α); `seen` is the caller's own."""

    step: float
    loss: float
    slope: float
    seen: Any = None

    @property
    def finite(self) -> bool:
        """True when both numbers can be used."""
        return isfinite(self.loss) and isfinite(self.slope)


class Found(NamedTuple):
    """The end of a search: the trial to go to, None when none was better than the start; whether it fulfils the conditions."""

    trial: Trial | None
    wolfe: bool


def cubic_minimum(a: Trial, b: Trial) -> float | None:
    """The local minimizer of the cubic through the losses and slopes of two trials (Nocedal & Wright, 3.59); None without one.

    b - (b-a)·(φ'b + d2 - d1) / (φ'b - φ'a + 2·d2);  d1 = φ'a + φ'b - 3·(φa-φb)/(a-b);  d2 = sign(b-a)·√(d1² - φ'a·φ'b).
    """
    width = b.step - a.step
    if not (a.finite and b.finite) or width == 0:
        return None
    d1 = a.slope + b.slope - 3 * (b.loss - a.loss) / width
    square = d1 * d1 - a.slope * b.slope
    if not square >= 0:
        return None
    d2 = sqrt(square) if width > 0 else -sqrt(square)
    below = b.slope - a.slope + 2 * d2
    if below == 0:
        return None
    return b.step - width * (b.slope + d2 - d1) / below


class StrongWolfe:
    """Finds α with φ(α) ≤ φ(0) + c1·α·φ'(0) and |φ'(α)| ≤ c2·|φ'(0)|: Nocedal & Wright 2006, algorithms 3.5 and 3.6.

    evaluate:   step to Trial.
    resolution: relative rounding error of a loss; a bracket in which the loss cannot change by more is not divided further.
    trials:     how many points may be looked at.
    A loss or slope that is NaN or infinite counts as one that is too high, and the step shrinks.
    """

    def __init__(
        self, evaluate: Callable[[float], Trial], start: Trial, *, c1: float, c2: float, resolution: float, trials: int = MOST_TRIALS
    ) -> None:
        self.evaluate, self.start, self.c1, self.c2 = evaluate, start, c1, c2
        self.resolution, self.left = resolution, trials
        self.best: Trial | None = None

    def search(self, first: Trial) -> Found:
        """From a first trial, which was evaluated already, brackets a step that fulfils the conditions and closes in on it."""
        self.left -= 1
        self._note(first)
        before, now = self.start, first
        while True:
            if self._too_high(now) or (before is not self.start and now.loss >= before.loss):
                return self._zoom(before, now)
            if self._flat(now):
                return Found(now, True)
            if now.slope >= 0:
                return self._zoom(now, before)
            if self.left <= 0:
                return Found(self.best, False)
            before, now = now, self._try(self._further(before, now))

    def _zoom(self, low: Trial, high: Trial) -> Found:
        """low is the best point that decreases enough; the slope there points to high, and a good step lies between."""
        while self.left > 0 and self._divisible(low, high):
            now = self._try(self._between(low, high))
            if self._too_high(now) or now.loss >= low.loss:
                high = now
                continue
            if self._flat(now):
                return Found(now, True)
            if now.slope * (high.step - low.step) >= 0:
                high = low
            low = now
        return Found(self.best, False)

    def _divisible(self, low: Trial, high: Trial) -> bool:
        middle = (low.step + high.step) / 2
        change = abs(low.slope * (high.step - low.step))
        return middle not in (low.step, high.step) and change > self.resolution * abs(self.start.loss)

    def _try(self, step: float) -> Trial:
        self.left -= 1
        trial = self.evaluate(step)
        self._note(trial)
        return trial

    def _note(self, trial: Trial) -> None:
        least = self.start.loss if self.best is None else self.best.loss
        if trial.finite and trial.loss < least:
            self.best = trial

    def _too_high(self, trial: Trial) -> bool:
        return not trial.finite or trial.loss > self.start.loss + self.c1 * trial.step * self.start.slope

    def _flat(self, trial: Trial) -> bool:
        return abs(trial.slope) <= -self.c2 * self.start.slope

    @staticmethod
    def _further(before: Trial, now: Trial) -> float:
        """A longer step: where the cubic has its minimum, within limits."""
        width = now.step - before.step
        low, high = now.step + (GROWTH[0] - 1) * width, now.step + (GROWTH[1] - 1) * width
        guess = cubic_minimum(before, now)
        if guess is None or guess <= now.step:
            return high
        return min(max(guess, low), high)

    @staticmethod
    def _between(low: Trial, high: Trial) -> float:
        """A step inside the bracket: where the cubic has its minimum, away from the ends; a short one next to what is not finite."""
        width = high.step - low.step
        if not high.finite:
            return low.step + MARGIN * width
        guess = cubic_minimum(low, high)
        share = 0.5 if guess is None else (guess - low.step) / width
        return low.step + min(max(share, MARGIN), 1 - MARGIN) * width
