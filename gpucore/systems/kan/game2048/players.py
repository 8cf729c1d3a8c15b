"""Who plays: an agent, the greedy player and the random player; and how well they do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from . import boards as b
from .agent import DqnAgent
from .environment import Finished, Game2048

Player = Callable[[Game2048, np.random.Generator], np.ndarray]
"""Legal moves [count] for the games as they are."""


def random_moves(legal: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """[n]: a legal move (legal [n, 4]) for each board, each as likely as another; 0 where none is legal."""
    moves: np.ndarray = (rng.random(legal.shape) * legal).argmax(axis=1)
    return moves


def random_player(games: Game2048, rng: np.random.Generator) -> np.ndarray:
    """Any legal move."""
    return random_moves(games.legal, rng)


def greedy_player(games: Game2048, rng: np.random.Generator) -> np.ndarray:
    """The legal move of the most points now, any of them on ties."""
    points = np.where(games.legal, games.slides.points + rng.random(games.legal.shape), -1.0)
    moves: np.ndarray = points.argmax(axis=1)
    return moves


def agent_player(agent: DqnAgent) -> Player:
    """The legal move of the agent's largest Q."""
    return lambda games, rng: agent.best(games.boards, games.slides)


class Scores(NamedTuple):
    """Mean and median points, the exponents of the largest tiles, and the moves of finished games."""

    mean: float
    median: float
    largest: np.ndarray
    moves: float

    def share(self, exponent: int) -> float:
        """The part of the games that reached this tile."""
        return float((self.largest >= exponent).mean())

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; tiles as counts by their number."""
        tiles = {str(1 << int(e)): int(n) for e, n in zip(*np.unique(self.largest, return_counts=True), strict=True)}
        return {"mean": self.mean, "median": self.median, "moves": self.moves, "games": len(self.largest), "largest_tiles": tiles}


def evaluate(player: Player, games: int, seed: int | list[int]) -> Scores:
    """Plays so many games side by side to their ends."""
    playing, rng = Game2048(games, seed), np.random.default_rng(seed)
    while not playing.done.all():
        playing.step(player(playing, rng))
    found: Finished = playing.finished()
    return Scores(float(found.scores.mean()), float(np.median(found.scores)), found.largest, float(found.moves.mean()))


def sample_game(player: Player, seed: int | list[int], *, every: int = 100) -> list[str]:
    """One game as text: the board after every so many moves, and the last one."""
    game, rng, told = Game2048(1, seed), np.random.default_rng(seed), []
    while not game.done[0]:
        game.step(player(game, rng))
        if game.moves[0] % every == 0 or game.done[0]:
            told.append(f"move {game.moves[0]}, score {game.scores[0]:,}\n{b.show(game.boards[0])}")
    return told
