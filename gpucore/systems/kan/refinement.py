"""From a coarse grid to fine ones: trainings that refine, from several seeds, of which the best go on.

A coarse grid finds the shape of the functions, with few parameters and a smooth loss; each finer one starts where the
one before it ended, and lowers the error with the fourth power of the cells' width (for cubic splines). Which shape is
found depends on the first weights, so a race begins several networks and goes on with those of the least loss.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import inf
from typing import Any, NamedTuple, Protocol

import numpy as np

from ...device import Device
from ...errors import ConfigError
from ...kernel import ceil_div
from ...kernels.spline import MAX_GRID, MIN_GRID
from ...optim.base import check_range
from ...train import TrainingDivergedError
from .config import KanConfig
from .full_batch import MARGIN, PAIRS, FullBatch, scale_splines
from .network import KanNetwork


class Problem(Protocol):
    """What a race needs to know: a network's configuration, what is minimised, and how the result is measured."""

    @property
    def config(self) -> KanConfig:
        """The network; its grid size and seed are those of the race."""
        ...

    @property
    def samples(self) -> np.ndarray:
        """[n, in]: the points that the grids are fitted to."""
        ...

    def tensors(self, network: KanNetwork) -> list[Any]:
        """What the objective takes beside the network, on its device."""
        ...

    def objective(self, network: KanNetwork, *tensors: Any) -> Any:
        """The loss, a scalar."""
        ...

    def errors(self, network: KanNetwork) -> dict[str, float]:
        """What the network is judged by, by name; the first counts against the lines."""
        ...


@dataclass(frozen=True)
class Schedule:
    """How long a network is trained on each grid.

    scale:                 first coefficients are multiplied by this where edges have a base, so that the smooth base leads: more
                           seeds then find the right shape.
    warm, warm_iterations: so often the first grid is fitted to the hidden values, each time followed by so many iterations.
    iterations:            on each grid after that, at most. They are run in parts of `part`; where one lowers the loss by
                           less than the share `least`, the grid has given what it can.
    """

    scale: float = 0.1
    warm: int = 2
    warm_iterations: int = 30
    iterations: int = 300
    part: int = 50
    least: float = 0.02
    history: int = PAIRS
    margin: float = MARGIN

    def __post_init__(self) -> None:
        for name in ("warm", "warm_iterations", "iterations", "part", "history"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ConfigError(f"Schedule: {name} is {value!r}; wants a whole number of 1 or more")
        for name in ("scale", "least", "margin"):
            check_range("Schedule", name, getattr(self, name), low=0.0)


class Stage(NamedTuple):
    """One grid of one network: the loss that was reached, the errors by name, and what it took."""

    grid_size: int
    loss: float
    errors: dict[str, float]
    iterations: int
    evaluations: int
    seconds: float
    status: str


@dataclass
class Attempt:
    """A network of a seed, its latest loss and its stages; `failed` says why it ended, if it did not for a lack of promise."""

    seed: int
    network: KanNetwork
    loss: float = inf
    stages: list[Stage] = field(default_factory=list)
    failed: str = ""
    spent: tuple[int, int, float] = (0, 0, 0.0)
    """Iterations, evaluations and seconds since the latest stage: those of the beginning count with the first."""

    trace: list[tuple[int, float]] = field(default_factory=list)
    """(iterations so far, loss) along the whole training."""

    def follow(self, run: FullBatch) -> None:
        """Goes on with the trace by that of a training."""
        done = self.trace[-1][0] if self.trace else 0
        self.trace += [(done + iterations, loss) for iterations, loss in run.trace]

    def guard(self, work: Callable[[], float]) -> bool:
        """Does the work and takes its loss; false when that is not finite, which ends this attempt and nothing else."""
        try:
            self.loss = work()
        except TrainingDivergedError as error:
            self.failed, self.loss = str(error), inf
        return not self.failed


Show = Callable[[Attempt], None]


def begin(problem: Problem, device: Device, seed: int, grid_size: int, schedule: Schedule, dtype: Any = "float32") -> Attempt:
    """A network of a seed after short trainings, whose grids follow the hidden values: outside its grid a spline has no gradient."""
    config = replace(problem.config, grid_size=grid_size, seed=seed)
    network = KanNetwork(config, device=device, dtype=dtype)
    if config.base is not None:
        scale_splines(network, schedule.scale)
    run = FullBatch(network, problem.objective, problem.tensors(network), history=schedule.history)

    def warm_up() -> float:
        loss = inf
        for _ in range(schedule.warm):
            network.update_grid(problem.samples, margin=schedule.margin)
            loss = run.run(schedule.warm_iterations)
        return loss

    start, attempt = time.perf_counter(), Attempt(seed, network)
    attempt.guard(warm_up)
    attempt.follow(run)
    attempt.spent = run.iterations, run.evaluations, time.perf_counter() - start
    return attempt


def go_on(problem: Problem, attempt: Attempt, grid_size: int, schedule: Schedule) -> bool:
    """Trains an attempt on a grid, its present one or a finer, and appends the stage; false when that failed."""
    start, network = time.perf_counter(), attempt.network
    if grid_size != network.layers[0].grid.size:
        network.refine(grid_size)
    network.update_grid(problem.samples, margin=schedule.margin)
    run = FullBatch(network, problem.objective, problem.tensors(network), history=schedule.history)
    if attempt.guard(lambda: _until_done(run, schedule)):
        attempt.follow(run)
        errors = problem.errors(network)
        spent = run.iterations, run.evaluations, time.perf_counter() - start
        iterations, evaluations, seconds = (a + b for a, b in zip(attempt.spent, spent, strict=True))
        attempt.stages.append(Stage(grid_size, attempt.loss, errors, int(iterations), int(evaluations), seconds, run.status))
        attempt.spent = (0, 0, 0.0)
    return not attempt.failed


def _until_done(run: FullBatch, schedule: Schedule) -> float:
    loss, left = inf, schedule.iterations
    while left > 0:
        before, loss = loss, run.run(min(schedule.part, left))
        left -= schedule.part
        if run.converged or before - loss < schedule.least * before < inf:
            break
    return loss


def race(
    problem: Problem, device: Device, seeds: Sequence[int], grids: Sequence[int], *, keep: int | None = 2,
    schedule: Schedule | None = None, show: Show | None = None, dtype: Any = "float32",
) -> list[Attempt]:  # fmt: skip
    """Begins a network of each seed; the better half trains on the first grid, and the best `keep` of it on the others.

    keep: None trains all to the end. What counts is the training loss alone. Returns all attempts, the best first: those
    that went furthest, by their last loss. `show` is called when an attempt has begun and after each of its stages.
    ConfigError for no seeds, or grids that do not grow; TrainingDivergedError when every network failed.
    """
    schedule = schedule or Schedule()
    if not seeds or (keep is not None and keep < 1):
        raise ConfigError(f"race: got {len(seeds)} seeds, of which {keep} go on; wants 1 or more of both")
    if not grids or any(b <= a for a, b in pairwise(grids)) or grids[0] < MIN_GRID or grids[-1] > MAX_GRID:
        raise ConfigError(f"race: grids are {list(grids)}; wants growing numbers of cells, {MIN_GRID} to {MAX_GRID}")
    show = show or (lambda attempt: None)
    attempts = []
    for seed in seeds:
        attempts.append(begin(problem, device, seed, grids[0], schedule, dtype))
        show(attempts[-1])
    keep = len(seeds) if keep is None else keep
    running = _best(attempts, max(keep, ceil_div(len(seeds), 2)))
    for size in grids:
        for attempt in running:
            if go_on(problem, attempt, size, schedule):
                show(attempt)
        running = _best(running, keep)
    return sorted(attempts, key=lambda a: (-len(a.stages), a.loss))


def _best(attempts: list[Attempt], count: int) -> list[Attempt]:
    """The attempts of the least loss, those that failed left out."""
    found = sorted((a for a in attempts if not a.failed), key=lambda a: a.loss)
    if not found:
        raise TrainingDivergedError(f"race: no network is left; seed {attempts[0].seed}: {attempts[0].failed}")
    return found[:count]
