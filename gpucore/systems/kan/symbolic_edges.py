"""The edges of a layer that are functions instead of splines, on the device."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from ... import ops
from ...device import Device
from ...errors import ShapeError
from ...nn import Module, Parameter
from .library import LIBRARY, edge_value

KINDS = tuple(LIBRARY)

Functions = dict[tuple[int, int], tuple[str, tuple[float, ...]]]
"""{(input, output): (name of the function, (a, b, c, d))} of a layer's edges that are functions."""


class SymbolicEdge(NamedTuple):
    """Which function of the library goes from input i to output j of a layer."""

    i: int
    j: int
    name: str


class SymbolicEdges(Module):
    """y_j = Σ c·f(a·x_i + b) + d over the edges (i, j, f) to output j: [n, in] to [n, out].

    kinds, a buffer [edges, 3], tells states of different edges apart: input, output, place of the function in the library.
    affine [4, edges] holds the rows a, b, c and d, trained like any other parameter. The edges are sorted by function, so
    that all of one function are computed together. Finite inputs give finite outputs; NaN stays NaN.
    """

    def __init__(self, edges: Sequence[SymbolicEdge], affine: np.ndarray, outputs: int, device: Device, dtype: Any) -> None:
        order = sorted(range(len(edges)), key=lambda k: (edges[k].name, edges[k].j, edges[k].i))
        if affine.shape != (4, len(edges)):
            raise ShapeError(f"SymbolicEdges: affine has shape {affine.shape}; wants (4, {len(edges)})")
        self.edges = tuple(edges[k] for k in order)
        self.outputs = outputs
        self.affine = Parameter(device.tensor(np.ascontiguousarray(affine[:, order], np.float64), dtype), "affine")
        kinds = [(e.i, e.j, KINDS.index(e.name)) for e in self.edges]
        self.kinds = device.tensor(np.array(kinds, np.int32), name="kinds")
        self._columns = device.tensor(np.array([e.i for e in self.edges], np.int32))
        places = np.zeros((len(edges), outputs))
        places[np.arange(len(edges)), [e.j for e in self.edges]] = 1
        self._places = device.tensor(places, dtype)

    def options(self) -> str:
        """The functions."""
        return ", ".join(f"{e.i} to {e.j}: {e.name}" for e in self.edges)

    def forward(self, x: Any) -> Any:
        """[n, in] to [n, out]."""
        columns = ops.take(x, self._columns, axis=1)
        parts, start = [], 0
        for name, group in groupby(e.name for e in self.edges):
            stop = start + len(list(group))
            a, b, c, d = (self.affine[row, start:stop] for row in range(4))
            parts.append(edge_value(LIBRARY[name], columns[:, start:stop], a, b, c, d))
            start = stop
        return ops.matmul(ops.concat(parts, axis=1), self._places)

    def functions(self) -> Functions:
        """The edges with their present numbers; waits for the device."""
        values = self.affine.numpy().astype(np.float64)
        return {(e.i, e.j): (e.name, tuple(map(float, values[:, k]))) for k, e in enumerate(self.edges)}

    def assign(self, functions: Functions) -> None:
        """Other numbers for the same edges."""
        rows = [functions[e.i, e.j][1] for e in self.edges]
        self.affine.assign(np.ascontiguousarray(np.array(rows, np.float64).T.astype(self.affine.dtype.host)))
