"""Many games of 2048 at once, in NumPy."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ....errors import ConfigError, ShapeError
from . import boards as b

FOUR = 0.1
"""How often a new tile is a 4 instead of a 2."""


class Finished(NamedTuple):
    """Games that have ended: their scores, the exponents of their largest tiles and how many moves they had, [k] each."""

    scores: np.ndarray
    largest: np.ndarray
    moves: np.ndarray


class Game2048:
    """`count` games side by side, all from one seed.

    boards: [count] uint64, see `boards`; scores: points so far; slides: what each move would do, and which are legal;
    done: games without a legal move. A game that is done stays until `restart`.
    """

    def __init__(self, count: int, seed: int | list[int] = 0) -> None:
        if count < 1:
            raise ConfigError(f"Game2048: count is {count}; wants 1 or more")
        self.count, self._rng = count, np.random.default_rng(seed)
        self.boards = np.zeros(count, np.uint64)
        self.scores, self.moves = np.zeros(count, np.int64), np.zeros(count, np.int64)
        self.slides = b.slides(self.boards)
        self.done: np.ndarray = np.zeros(count, bool)
        self.restart(np.ones(count, bool))

    @property
    def legal(self) -> np.ndarray:
        """[count, 4]: which moves change the board."""
        return self.slides.legal

    def step(self, moves: np.ndarray) -> np.ndarray:
        """Makes one move in every game, spawns a tile and returns the points [count] of the move.

        moves [count], 0 to 3: left, up, right, down; those of games that are done are not looked at and do nothing.
        ConfigError, and nothing is changed, for a move that is not legal.
        """
        moves, every = np.asarray(moves), np.arange(self.count)
        if moves.shape != (self.count,) or moves.dtype.kind not in "iu":
            raise ShapeError(f"Game2048.step: moves have shape {moves.shape} and type {moves.dtype}; wants {self.count} whole numbers")
        playing = ~self.done
        bad = playing & ((moves < 0) | (moves >= b.MOVES))
        chosen = np.where(playing & ~bad, moves, 0)
        bad |= playing & ~self.slides.legal[every, chosen]
        if bad.any():
            at = int(np.flatnonzero(bad)[0])
            allowed = ", ".join(b.NAMES[m] for m in np.flatnonzero(self.slides.legal[at]))
            raise ConfigError(f"Game2048.step: move {moves[at]} of game {at} is not legal; wants one of {allowed}")
        points = np.where(playing, self.slides.points[every, chosen], 0)
        self.boards = np.where(playing, self._spawned(self.slides.boards[every, chosen]), self.boards)
        self.scores += points
        self.moves += playing
        self._look()
        return points

    def restart(self, which: np.ndarray) -> None:
        """Begins the games in the mask [count] anew, with two tiles each."""
        at = np.flatnonzero(which)
        if len(at):
            self.boards[at] = self._spawned(self._spawned(np.zeros(len(at), np.uint64)))
            self.scores[at], self.moves[at] = 0, 0
            self._look()

    def finished(self) -> Finished:
        """The games that are done."""
        at = np.flatnonzero(self.done)
        return Finished(self.scores[at], b.to_cells(self.boards[at]).max(axis=1, initial=0), self.moves[at])

    def _look(self) -> None:
        self.slides = b.slides(self.boards)
        self.done = ~np.any(self.slides.legal, axis=1)

    def _spawned(self, boards: np.ndarray) -> np.ndarray:
        """Boards with one more tile on an empty cell, each cell as likely as another: a 2, or one time in ten a 4."""
        empty = b.to_cells(boards) == 0
        rank = np.cumsum(empty, axis=1, dtype=np.uint8)
        draws = self._rng.random((2, len(boards)))
        wanted = (draws[0] * rank[:, -1]).astype(np.uint8) + 1
        cell = (rank == wanted[:, None]).argmax(axis=1)  # the first place where the count of empty cells reaches it
        tile = np.where(draws[1] < FOUR, 2, 1).astype(np.uint64)
        return np.where(rank[:, -1] > 0, boards | (tile << b.SHIFTS[cell]), boards)
