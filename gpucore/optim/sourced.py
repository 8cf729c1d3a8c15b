"""Gradients that an update reads where they lie, up to 24 of them in one dispatch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..kernel import ceil_div
from ..kernels import optim as K
from ..kernels import optim_many as M
from .flat import RANGE, FlatParameters
from .update import PARTIALS, Part, Update, aligned, counters, quads


class Source(NamedTuple):
    """A parameter, or a part of one that no dispatch could bind whole: `size` elements from `offset` on."""

    param: int
    offset: int
    size: int


class Piece(NamedTuple):
    """What one dispatch updates: a stretch of the flat tensors with the sources of its gradient.

    table: what each workgroup does (see gpucore.kernels.optim_many). shares and sums: the table of the sums of squares and
    where they go, if they are wanted.
    """

    start: int
    size: int
    sources: list[Source]
    table: Any
    shares: Any
    sums: Any


def _groups(params: Sequence[Any]) -> list[list[Source]]:
    """The sources of each dispatch, in the order of the parameters."""
    found: list[list[Source]] = []
    room = 0
    for i, p in enumerate(params):
        for offset in range(0, p.size, RANGE):
            size = min(RANGE, p.size - offset)
            if not found or len(found[-1]) == M.SOURCES or aligned(size) > room:
                found.append([])
                room = RANGE
            found[-1].append(Source(i, offset, size))
            room -= aligned(size)
    return found


def _rows(group: Sequence[Source], chunk: int) -> np.ndarray:
    """The table of these sources in stretches of `chunk` elements."""
    return M.stretches([s.size for s in group], chunk)


def _shares(group: Sequence[Source], chunk: int) -> np.ndarray:
    """The same for sums of squares, filled up with empty stretches."""
    rows = _rows(group, chunk)
    return np.pad(rows, ((0, quads(len(rows)) - len(rows)), (0, 0)))


def order(params: Sequence[Any]) -> tuple[range, list[int]]:
    """The parameters as they come; a dispatch begins where 24 have been taken, or as many as one can bind."""
    return range(len(params)), [group[0].param for group in _groups(params)]


def granted(device: Any) -> bool:
    """Whether a device binds enough buffers to a kernel and gains by it.

    A software driver runs every case of the choice among the sources with all lanes, which costs more than packing; the NumPy
    device binds nothing.
    """
    limits: dict[str, int] = device.info.limits
    return device.kind != "software" and limits.get("max_storage_buffers", 0) >= M.BUFFERS


class SourcedGradients:
    """The gradients of flat parameters where they lie; sums of their squares are taken if `measured`.

    pieces: what the updates work on. counts: the step counters of each. partials: what adds up to the square of the norm.
    """

    order = staticmethod(order)

    def __init__(self, flat: FlatParameters, *, measured: bool = False) -> None:
        self.flat, self.measured = flat, measured
        groups = _groups(flat.params)
        least = 4 * K.STRETCH  # four vectors for each lane
        self._longest = ceil_div(ceil_div(flat.size, PARTIALS), least) * least  # PARTIALS in all, or one per parameter
        shares = [_shares(group, self._longest) for group in groups]
        starts = np.cumsum([0, *(aligned(len(rows)) for rows in shares)]).tolist()
        self.partials = flat.device.zeros((max(1, starts[-1]) if measured else 1,), flat.dtype, name="gradient square sums")
        self.pieces: list[Piece] = []
        for group, rows, first in zip(groups, shares, starts[:-1], strict=True):
            self._add(group, rows, first)
        self.counts = [counters(flat.device, p.table.shape[0]) for p in self.pieces] or [counters(flat.device, 0)]

    def _add(self, group: list[Source], shares: np.ndarray, first: int) -> None:
        device = self.flat.device
        start = self.flat.offsets[group[0].param] + group[0].offset
        table = _rows(group, M.CHUNK)
        sums = (None, None)
        if self.measured:
            sums = (device.tensor(shares, name="shares of gradients"), self.partials.view((len(shares),), first))
        size = sum(aligned(s.size) for s in group)
        self.pieces.append(Piece(start, size, group, device.tensor(table, name="stretches of gradients"), *sums))

    def take(self, grads: Sequence[Any]) -> list[list[Any]]:
        """The sources of each piece, None where a gradient is missing."""
        found = []
        for piece in self.pieces:
            sources = [self._view(grads[s.param], s) for s in piece.sources]
            if self.measured:
                M.square_sums_many(piece.sums, piece.shares, *sources, most=self._longest)
            found.append(sources)
        return found

    def _view(self, whole: Any, source: Source) -> Any:
        if whole is None or whole.size == source.size:
            return whole
        return whole.view((source.size,), source.offset)

    def update(self, number: int, gradient: list[Any], update: Update, flats: Sequence[Any], part: Part, options: dict[str, Any]) -> None:
        """Launches the update of a piece with its gradient, one of those that `take` gave."""
        table = self.pieces[number].table
        update.many(*flats, self.counts[number], part.lr, table, part.partials, part.decay, *gradient, **update.settings, **options)
