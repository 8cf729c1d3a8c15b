"""Training: games are played and remembered, the network learns from what is drawn of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from math import isfinite, nan
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ....device import Device
from ....errors import FormatError
from ....train import Checkpoint, History, TrainingDivergedError
from . import boards as b
from .agent import DqnAgent
from .environment import Game2048
from .players import Scores, agent_player, evaluate, greedy_player, random_moves, random_player
from .replay import Replay, Transitions
from .settings import Settings

GAMES, EXPLORING, MEMORY, TURNING, EVALUATION, TEST = range(6)
"""The streams of random numbers, each its own: the last part of a seed."""
REPORTS = 50
"""Records in the history of a training."""
LATEST = 100
"""Games whose mean score a record tells."""
SECONDS = 2.0
"""How long the speed of collecting is measured."""
COUNTS = ("step", "moves", "best_step", "best_score", "seconds")
"""What a training counts, as named in its files."""

Show = Callable[[int, dict[str, float]], None]
"""Told the step after each one, and the latest record."""


@dataclass
class Episodes:
    """Finished games in their order: the training step in which each ended, its points, largest exponent and moves."""

    steps: list[int] = field(default_factory=list)
    scores: list[int] = field(default_factory=list)
    largest: list[int] = field(default_factory=list)
    moves: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.scores)

    def mean_score(self, last: int = LATEST) -> float:
        """Of the last games; NaN before the first."""
        return float(np.mean(self.scores[-last:])) if self.scores else nan


class Collector:
    """Plays `envs` games at once, remembers every move and begins anew what has ended."""

    def __init__(self, settings: Settings, episodes: Episodes, step: int = 0) -> None:
        self.games = Game2048(settings.envs, [settings.seed, GAMES, step])
        self.replay = Replay(settings.capacity, [settings.seed, MEMORY, step])
        self.episodes, self.moves = episodes, 0
        self._rng = np.random.default_rng([settings.seed, EXPLORING, step])

    def begin(self, agent: DqnAgent, epsilon: float) -> Callable[[], np.ndarray]:
        """Starts choosing moves, random ones with probability epsilon; what it returns waits for them.

        The device works meanwhile, so ask late. It is not asked at all when every move is random.
        """
        games = self.games
        explore, anything = self._rng.random(games.count) < epsilon, random_moves(games.legal, self._rng)
        if explore.all():
            return lambda: anything
        pending = agent.best_async(games.boards, games.slides)
        return lambda: np.where(explore, anything, pending.result())

    def make(self, moves: np.ndarray, step: int) -> None:
        """Makes the moves and takes them into the memory."""
        games, before = self.games, self.games.boards
        points = games.step(moves)
        self.replay.add(Transitions(before, moves, points, games.boards))
        self.moves += games.count
        if games.done.any():
            ended, episodes = games.finished(), self.episodes
            episodes.steps += [step] * len(ended.scores)
            for name in ("scores", "largest", "moves"):
                getattr(episodes, name).extend(getattr(ended, name).tolist())
            games.restart(games.done)


class Speed(NamedTuple):
    """Per second: games and moves while nothing is learned (games: moves by the mean length of a game); and in the
    training, learning included: steps, games finished and moves."""

    collected_episodes: float
    collected_moves: float
    steps: float
    episodes: float
    moves: float


@dataclass(frozen=True)
class Result:
    """A finished training: the agent of the best evaluation, how it, the random and the greedy player do in new games."""

    settings: Settings
    agent: DqnAgent
    scores: Scores
    random: Scores
    greedy: Scores
    history: History
    episodes: Episodes
    speed: Speed
    best_step: int
    seconds: float

    def summary(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        players = {name: getattr(self, name).as_dict() for name in ("scores", "random", "greedy")}
        done = {"device": self.agent.device.name, "seconds": self.seconds, "episodes": len(self.episodes), "best_step": self.best_step}
        ratios = {"times_random": self.scores.mean / self.random.mean, "times_greedy": self.scores.mean / self.greedy.mean}
        return done | ratios | players | {"speed": self.speed._asdict(), "settings": self.settings.to_dict()}


class Training:
    """The loop and its state; `run` does the steps that are left.

    folder: gets best.safetensors, by the evaluations, and last.safetensors after each of them. `resume` goes on from
    the latter: networks, optimizer, counts and records come back; games and memory begin anew and fill before
    learning goes on.
    """

    def __init__(self, settings: Settings, *, device: Device | None = None, folder: Path | None = None) -> None:
        self.settings, self.folder = settings, folder
        self.agent = DqnAgent(settings, device=device)
        self.history, self.episodes = History(), Episodes()
        self.step, self.best_step, self.best_score, self.seconds, self.moves = 0, 0, -1.0, 0.0, 0
        self._best: dict[str, np.ndarray] = {}
        self._evaluating = 0.0

    def run(self, show: Show | None = None) -> None:
        """Trains until the steps or the episodes are done. TrainingDivergedError when the loss is not finite."""
        s, epsilon = self.settings, self.settings.epsilon
        collector = Collector(s, self.episodes, self.step)
        turning = np.random.default_rng([s.seed, TURNING, self.step])
        began, earlier, spent, self._evaluating = time.perf_counter(), self.moves, self.seconds, 0.0
        while not self.finished():
            choosing = collector.begin(self.agent, epsilon(self.step))
            for _ in range(s.updates if len(collector.replay) >= max(1, s.warmup) else 0):
                loss = self._learn(collector.replay, turning)
                self.moves = earlier + collector.moves
                self.seconds = spent + time.perf_counter() - began - self._evaluating
                if self._due(REPORTS) or self._due(s.evaluations):
                    self._record(loss)
                if show is not None:
                    show(self.step, self.history.records[-1] if len(self.history) else {})
                if self.finished():
                    break
            collector.make(choosing(), self.step)
        if self.folder is not None:
            self.save(self.folder / "last.safetensors")

    def _learn(self, replay: Replay, turning: np.random.Generator) -> Any:
        """One step from moves that are drawn, and turned and mirrored, at random; returns the loss."""
        n = self.settings.batch
        loss = self.agent.learn(self.agent.batch(replay.sample(n), turning.integers(0, b.SYMMETRIES, n)))
        self.step += 1
        if self.step % self.settings.sync == 0:
            self.agent.sync()
        return loss

    def finished(self) -> bool:
        """Whether the steps, or the episodes if they have a limit, are done."""
        return self.step >= self.settings.steps or 0 < self.settings.episodes <= len(self.episodes)

    def _due(self, times: int) -> bool:
        """Whether something that happens so many times in a training happens after this step."""
        return self.step * times // self.settings.steps > (self.step - 1) * times // self.settings.steps

    def _record(self, loss: Any) -> None:
        """A line of the history; sets the learning rate of what follows."""
        value, s = loss.item(), self.settings
        if not isfinite(value):
            raise TrainingDivergedError(f"2048: the loss is {value} after step {self.step}; a smaller lr than {s.lr:g} may help")
        score = self._evaluate() if self._due(s.evaluations) else nan
        self.agent.optimizer.lr = s.rate(self.step)
        self.history.add({
            "step": self.step, "moves": self.moves, "episodes": len(self.episodes), "epsilon": s.epsilon(self.step), "loss": value,
            "score": self.episodes.mean_score(), "evaluation": score, "lr": s.rate(self.step), "seconds": self.seconds,
        })  # fmt: skip
        if isfinite(score) and self.folder is not None:
            self.save(self.folder / "last.safetensors")

    def _evaluate(self) -> float:
        """The mean score of games without random moves, the same ones each time; keeps the best agent."""
        began, s = time.perf_counter(), self.settings
        score = evaluate(agent_player(self.agent), s.games, [s.seed, EVALUATION]).mean
        if score > self.best_score:
            self.best_score, self.best_step, self._best = score, self.step, self.agent.network.state_dict()
            if self.folder is not None:
                self.save(self.folder / "best.safetensors")
        self._evaluating += time.perf_counter() - began
        return score

    # ---- going on later

    def save(self, path: Path) -> None:
        """Writes all but games and memory."""
        counts = {name: getattr(self, name) for name in COUNTS}
        self.agent.save(path, info=counts | {"history": self.history.to_data(), "episodes": vars(self.episodes)})

    def resume(self, path: Path) -> None:
        """Takes over what `save` wrote, and the best agent beside it; FormatError, and nothing is changed, for another file."""
        info, best = Checkpoint.load(path).info, path.with_name("best.safetensors")
        try:
            history, episodes = History.from_data(info["history"]), Episodes(**info["episodes"])
            counts = {name: type(getattr(self, name))(info[name]) for name in COUNTS}
        except (KeyError, TypeError, ValueError) as error:
            raise FormatError(f"2048: {path} holds no training ({error})") from None
        kept: dict[str, np.ndarray] = {}
        if best.exists():
            player = DqnAgent(self.settings, device=self.agent.device)
            player.restore(best)
            kept = player.network.state_dict()
        self.agent.restore(path)
        self.history, self.episodes, self._best = history, episodes, kept
        vars(self).update(counts)

    # ---- the end

    def result(self, games: int = 200) -> Result:
        """How the best agent does in new games, beside the other players."""
        s = self.settings
        if self._best:
            self.agent.network.load_state_dict(self._best)
        players = (agent_player(self.agent), random_player, greedy_player)
        own, anything, greedy = (evaluate(player, games, [s.seed, TEST]) for player in players)
        rate, spent = collection_speed(self.agent), max(self.seconds, 1e-9)
        speed = Speed(rate / own.moves, rate, self.step / spent, len(self.episodes) / spent, self.moves / spent)
        return Result(s, self.agent, own, anything, greedy, self.history, self.episodes, speed, self.best_step or self.step, self.seconds)


def collection_speed(agent: DqnAgent) -> float:
    """Moves per second of the agent when it only plays and remembers, without learning."""
    collector = Collector(agent.settings, Episodes())
    collector.make(collector.begin(agent, 0.0)(), 0)  # records
    began, before = time.perf_counter(), collector.moves
    while time.perf_counter() - began < SECONDS:
        collector.make(collector.begin(agent, 0.0)(), 0)
    return (collector.moves - before) / (time.perf_counter() - began)
