"""2048 boards as 64-bit numbers: moves by row tables, symmetries by bit operations, many boards at once.

A cell holds the exponent of its tile, 0 for none, in four bits; cell (row, column) is at bit 16·row + 4·column. So a row
is 16 bits, and one table of 65,536 entries knows what becomes of every row. 32768 = 2^15 is the largest tile: two of
them do not merge.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

SIDE, CELLS = 4, 16
LEFT, UP, RIGHT, DOWN = range(4)
MOVES = 4
NAMES = ("left", "up", "right", "down")
"""The moves; a quarter turn of the board clockwise makes each the next one."""
LARGEST = 15
"""The exponent beyond which tiles do not merge."""
SYMMETRIES = 8
SHIFTS = np.arange(0, 64, 4, dtype=np.uint64)


class Slides(NamedTuple):
    """What each move makes of boards: boards [n, 4], points [n, 4] and which moves are legal [n, 4]."""

    boards: np.ndarray
    points: np.ndarray
    legal: np.ndarray


# ---- cells


def to_cells(boards: np.ndarray) -> np.ndarray:
    """[n] boards to [n, 16] exponents, row by row, uint8."""
    halves = np.ascontiguousarray(boards, "<u8").view(np.uint8).reshape(-1, 8)
    cells = np.empty((len(halves), 8, 2), np.uint8)
    cells[..., 0], cells[..., 1] = halves & 15, halves >> 4
    return cells.reshape(-1, CELLS)


def from_cells(cells: np.ndarray) -> np.ndarray:
    """[n, 16] exponents, or [n, 4, 4], to [n] boards."""
    wide = np.asarray(cells, np.uint64).reshape(len(cells), CELLS)
    boards: np.ndarray = np.bitwise_or.reduce(wide << SHIFTS, axis=1)
    return boards


# ---- moves


@cache
def row_tables() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(row after left, its points, row after right, its points) for every row of 16 bits; points are those of merged tiles."""
    rows = np.arange(1 << 16, dtype=np.uint16)
    cells = np.stack([(rows >> (4 * c)) & 15 for c in range(SIDE)], axis=1).astype(np.int64)
    left, points = _slide(cells)
    right, right_points = _slide(cells[:, ::-1])
    return _pack(left), points, _pack(right[:, ::-1]), right_points


def _slide(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows [n, 4] moved to column 0, and the points [n] of it: two equal neighbours become one, and each tile merges once."""
    tiles = _squeezed(cells)
    points = np.zeros(len(tiles), np.int32)
    for c in range(SIDE - 1):
        merging = (tiles[:, c] > 0) & (tiles[:, c] == tiles[:, c + 1]) & (tiles[:, c] < LARGEST)
        tiles[merging, c] += 1
        tiles[merging, c + 1] = 0  # an empty place, which the next round cannot merge
        points[merging] += 1 << tiles[merging, c]
    return _squeezed(tiles), points


def _squeezed(cells: np.ndarray) -> np.ndarray:
    """Rows with their empty places moved to the end, the order of the tiles kept."""
    return np.take_along_axis(cells, np.argsort(cells == 0, axis=1, kind="stable"), axis=1)


def _pack(cells: np.ndarray) -> np.ndarray:
    packed: np.ndarray = np.bitwise_or.reduce(cells << np.arange(0, 16, 4), axis=1).astype(np.uint16)
    return packed


def slides(boards: np.ndarray) -> Slides:
    """All four moves of boards [n] without the new tile; a move is legal when it changes the board."""
    left, left_points, right, right_points = row_tables()
    turned = transpose(boards)
    moved, points = np.empty((len(boards), MOVES), np.uint64), np.empty((len(boards), MOVES), np.int32)
    for source, (to_left, to_right) in ((boards, (LEFT, RIGHT)), (turned, (UP, DOWN))):
        rows = np.ascontiguousarray(source, "<u8").view("<u2").reshape(-1, SIDE)
        for to, table, gains in ((to_left, left, left_points), (to_right, right, right_points)):
            moved[:, to] = table[rows].view(np.uint64)[:, 0]
            points[:, to] = gains[rows].sum(axis=1)
    for to in (UP, DOWN):
        moved[:, to] = transpose(moved[:, to])
    return Slides(moved, points, moved != boards[:, None])


# ---- symmetries


def transpose(x: np.ndarray) -> np.ndarray:
    """Boards [n] with rows and columns exchanged."""
    u = np.uint64
    a = (x & u(0xF0F00F0FF0F00F0F)) | ((x & u(0x0000F0F00000F0F0)) << u(12)) | ((x & u(0x0F0F00000F0F0000)) >> u(12))
    b: np.ndarray = (a & u(0xFF00FF0000FF00FF)) | ((a & u(0x00FF00FF00000000)) >> u(24)) | ((a & u(0x00000000FF00FF00)) << u(24))
    return b


def mirror(x: np.ndarray) -> np.ndarray:
    """Boards [n] with left and right exchanged."""
    u = np.uint64
    pairs = ((x & u(0x00FF00FF00FF00FF)) << u(8)) | ((x >> u(8)) & u(0x00FF00FF00FF00FF))
    flipped: np.ndarray = ((pairs & u(0x0F0F0F0F0F0F0F0F)) << u(4)) | ((pairs >> u(4)) & u(0x0F0F0F0F0F0F0F0F))
    return flipped


def flip(x: np.ndarray) -> np.ndarray:
    """Boards [n] with top and bottom exchanged."""
    u = np.uint64
    halves = (x << u(32)) | (x >> u(32))
    flipped: np.ndarray = ((halves & u(0x0000FFFF0000FFFF)) << u(16)) | ((halves >> u(16)) & u(0x0000FFFF0000FFFF))
    return flipped


def symmetric(boards: np.ndarray, which: np.ndarray) -> np.ndarray:
    """Boards [n], each under one of the 8 symmetries of the square: bit 0 mirrors, then bit 1 flips, then bit 2 transposes."""
    found = np.where(which & 1, mirror(boards), boards)
    found = np.where(which & 2, flip(found), found)
    return np.where(which & 4, transpose(found), found)


def _moved_moves() -> np.ndarray:
    table = np.tile(np.arange(MOVES), (SYMMETRIES, 1))
    for which in range(SYMMETRIES):
        steps = ((1, (RIGHT, UP, LEFT, DOWN)), (2, (LEFT, DOWN, RIGHT, UP)), (4, (UP, LEFT, DOWN, RIGHT)))
        for bit, exchanged in steps:
            if which & bit:
                table[which] = np.array(exchanged)[table[which]]
    return table


MOVE_OF = _moved_moves()
"""[8, 4]: the move that does on a symmetric board what this one does on the board itself."""


def show(board: int | np.uint64) -> str:
    """The board as four lines of tiles."""
    cells = to_cells(np.array([board], np.uint64)).reshape(SIDE, SIDE)
    return "\n".join("".join(f"{(1 << int(e)) if e else '.':>7}" for e in row) for row in cells)
