"""Gradients packed into one flat tensor, six per dispatch; those of large parameters are read where they lie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..kernel import ceil_div
from ..kernels import optim as K
from .flat import RANGE, FlatParameters
from .update import PARTIALS, Part, Update, aligned, counters, quads

DIRECT = 1 << 21
"""Elements from which on a parameter has an update of its own, which reads the gradient where it lies: packing it with the
others would take longer than one more dispatch."""
DIRECT_ON = {"software": 1 << 14}
"""The same for kinds of device where it differs."""


class Piece(NamedTuple):
    """What one dispatch updates: a stretch of the flat tensors. Its gradient is packed (param None), or lies in that of a
    parameter from `offset` on.
    """

    start: int
    size: int
    param: int | None
    offset: int


class Batch(NamedTuple):
    """Parameters (by their numbers) whose gradients one dispatch packs into `size` elements from `start` on."""

    params: list[int]
    start: int
    size: int


def order(params: Sequence[Any]) -> tuple[list[int], list[int]]:
    """The parameters whose gradients are packed, then the large ones, each the start of a dispatch."""
    least = DIRECT_ON.get(params[0].device.kind, DIRECT)
    direct = [i for i, p in enumerate(params) if p.size >= least and p.size % 4 == 0]
    return [*(i for i in range(len(params)) if i not in direct), *direct], direct


class PackedGradients:
    """The gradient of each piece of flat parameters as one flat tensor; sums of squares are taken on the way, if `measured`.

    pieces: what the updates work on. counts: the step counters of each. partials: what adds up to the square of the norm.
    """

    order = staticmethod(order)

    def __init__(self, flat: FlatParameters, *, measured: bool = False) -> None:
        self.flat, self.measured = flat, measured
        direct = order(flat.params)[1]
        packed = [i for i in flat.order if i not in direct]
        self.size = sum(flat.spans[i] for i in packed)
        self.batches, self.pieces = self._batches(packed), self._pieces(direct)
        self.counts = [counters(flat.device, self.blocks(p.size)) for p in self.pieces]
        self._packed = flat.device.zeros((self.size,), flat.dtype, name="gradients")
        shares, end = [], 0
        for size in [*[b.size for b in self.batches], *[p.size for p in self.pieces if p.param is not None]]:
            count = quads(self.shares(size) if measured else 1)
            shares.append((end, count))
            end += aligned(count)
        self.partials = flat.device.zeros((end,), flat.dtype, name="gradient square sums")
        self._shares = [self.partials.view((count,), start) for start, count in shares]

    def blocks(self, size: int) -> int:
        """Workgroups that update a piece of this size."""
        return K.blocks_of(size, self.flat.device.kind)

    def shares(self, size: int) -> int:
        """How many partial sums a stretch of this size gets."""
        return max(1, min(ceil_div(size, K.STRETCH), round(PARTIALS * size / self.flat.size)))

    def _pieces(self, direct: Sequence[int]) -> list[Piece]:
        stretches = [(0, self.size, None), *[(self.flat.offsets[i], self.flat.params[i].size, i) for i in direct]]
        found = [
            Piece(start + offset, min(RANGE, whole - offset), param, offset)
            for start, whole, param in stretches for offset in range(0, whole, RANGE)
        ]  # fmt: skip
        return found or [Piece(0, 0, None, 0)]

    def _batches(self, packed: Sequence[int]) -> list[Batch]:
        spans, found = self.flat.spans, list[Batch]()
        for i in packed:
            if found and len(found[-1].params) < K.SOURCES and found[-1].size + spans[i] <= RANGE:
                last = found[-1]
                found[-1] = Batch([*last.params, i], last.start, last.size + spans[i])
            else:
                found.append(Batch([i], self.flat.offsets[i], spans[i]))
        return found

    def take(self, grads: Sequence[Any]) -> list[Any]:
        """The gradient of each piece: packed, or where it lies."""
        flat, shares = self.flat, iter(self._shares)
        for batch in self.batches:
            target = self._packed.view((batch.size,), batch.start)
            spans = tuple(flat.spans[i] for i in batch.params)
            K.pack(target, next(shares), *[grads[i] for i in batch.params], spans=spans, squares=self.measured)
        found = []
        for piece in self.pieces:
            if piece.param is None:
                found.append(self._packed.view((piece.size,), piece.start))
                continue
            whole = grads[piece.param]
            gradient = flat.device.zeros((piece.size,), flat.dtype) if whole is None else whole.view((piece.size,), piece.offset)
            share = next(shares)
            if self.measured:
                K.square_sums(gradient, share)
            found.append(gradient)
        return found

    def update(self, number: int, gradient: Any, update: Update, flats: Sequence[Any], part: Part, options: dict[str, Any]) -> None:
        """Launches the update of a piece with its gradient, one of those that `take` gave."""
        counts = self.counts[number] if self.pieces[number].size else self.counts[number].view((0,))
        update.one(*flats, gradient, counts, *part, **update.settings, **options)
