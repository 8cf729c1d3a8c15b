"""A recording: the commands of one run of a function, replayed as one submission."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..array import Array
from ..memory import Arena, Storage

if TYPE_CHECKING:
    from .gpu import GpuDevice


class Recording:
    """Commands with what they touch: `arena` is memory inside the recording, `held` keeps memory outside it alive."""

    def __init__(self, device: GpuDevice, arena: Arena) -> None:
        self._device, self.arena = device, arena
        self.commands: list[tuple[Any, ...]] = []
        self.held: dict[int, Storage] = {}
        self.written: set[int] = set()

    def add(self, command: tuple[Any, ...], arrays: Sequence[Array | None]) -> None:
        """Records one command on these arrays."""
        self.commands.append(command)
        for t in arrays:
            if t is not None and t.storage.owner is not self.arena:
                self.held[id(t.storage)] = t.storage
        prepared = command[7] if command[0] is not None else None
        if prepared is not None:
            changed = [arrays[i] for i in prepared.mutated]
            self.written.update(id(t.storage) for t in changed if t is not None)
        elif arrays:
            self.written.add(id(arrays[-1].storage))  # type: ignore[union-attr]

    @property
    def dispatches(self) -> int:
        """Kernel launches in one replay."""
        return sum(c[0] is not None for c in self.commands)

    def replay(self, inputs: Sequence[tuple[Array, Array]], outputs: Sequence[tuple[Array, Array]]) -> None:
        """Submits everything at once, with (source, target) copies of the inputs before and of the outputs after."""
        items = [_copy(a, b) for a, b in inputs if a.size]
        items += self.commands
        items += [_copy(a, b) for a, b in outputs if a.size]
        self._device.submit_recorded(items)


def _copy(a: Array, b: Array) -> tuple[Any, ...]:
    start, end = a.offset * a.dtype.itemsize, b.offset * b.dtype.itemsize
    return (None, a.storage.block.buffer, start, b.storage.block.buffer, end, -(-a.nbytes // 4) * 4)
