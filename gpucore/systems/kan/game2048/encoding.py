"""What the network sees of a board: the exponents of its 16 cells, and the 24 differences between neighbours.

On a grid with a knot at every whole number a spline of the first layer is a function of the tile itself, and one of a
difference has a place for "equal, so these two merge", which would take products to find from the cells.
"""

from __future__ import annotations

import numpy as np

from . import boards as b

CELLS = b.CELLS
REACH = 6
"""The grid is (-REACH, REACH) with a cell per whole number; exponents are centred, so that 0 to 12 (4096) have their own."""


def neighbours() -> list[tuple[int, int]]:
    """The 24 pairs of cells that touch, in a row or in a column."""
    places = np.arange(CELLS).reshape(b.SIDE, b.SIDE)
    rows = [(int(i), int(j)) for i, j in zip(places[:, :-1].ravel(), places[:, 1:].ravel(), strict=True)]
    return rows + [(int(i), int(j)) for i, j in zip(places[:-1].ravel(), places[1:].ravel(), strict=True)]


PAIRS = neighbours()
INPUTS = CELLS + len(PAIRS)


def _combination() -> np.ndarray:
    matrix = np.zeros((CELLS, INPUTS), np.float32)
    matrix[np.arange(CELLS), np.arange(CELLS)] = 1
    for k, (i, j) in enumerate(PAIRS, CELLS):
        matrix[i, k], matrix[j, k] = 1, -1
    return matrix


COMBINATION = _combination()


def encode(boards: np.ndarray) -> np.ndarray:
    """[n] boards to [n, 40] float32: exponents, then differences of neighbours."""
    features: np.ndarray = b.to_cells(boards).astype(np.float32) @ COMBINATION
    return features
