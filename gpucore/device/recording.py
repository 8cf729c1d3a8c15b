"""A recording: the commands of one run of a function, replayed as one submission."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import ref

from ..array import Array
from ..memory import Arena, Block, Storage

if TYPE_CHECKING:
    from ..dtypes import DType
    from .gpu import GpuDevice
    from .prepared import Prepared


class Place:
    """Where a command binds memory; looks like an array to the device, and keeps no storage of the recording alive."""

    __slots__ = ("dtype", "offset", "storage")

    def __init__(self, storage: Storage | _Block, offset: int, dtype: DType) -> None:
        self.storage, self.offset, self.dtype = storage, offset, dtype


class _Block:
    __slots__ = ("block",)

    def __init__(self, block: Block) -> None:
        self.block = block


class _Use(NamedTuple):
    """A command's index, its launch, and per binding the storage (weakly) and the place; None for a missing input."""

    at: int
    prepared: Prepared | None
    bound: list[tuple[Any, Place] | None]


class Recording:
    """Commands with what they touch: `arena` is memory inside the recording, `held` keeps memory outside it alive."""

    def __init__(self, device: GpuDevice, arena: Arena) -> None:
        self._device, self.arena = device, arena
        self.commands: list[tuple[Any, ...]] = []
        self.held: dict[int, Storage] = {}
        self.written: set[int] = set()
        self._uses: list[_Use] = []
        self._direct: dict[int, list[int]] = {}  # id(storage) -> the uses to bind anew; absent: it is copied

    def add(self, command: tuple[Any, ...], arrays: Sequence[Array | None]) -> None:
        """Records one command on these arrays."""
        prepared = command[7] if command[0] is not None else None
        bound = [None if t is None else (ref(t.storage), Place(_Block(t.storage.block), t.offset, t.dtype)) for t in arrays]
        self._uses.append(_Use(len(self.commands), prepared, bound))
        self.commands.append(command)
        for t in arrays:
            if t is not None and t.storage.owner is not self.arena:
                self.held[id(t.storage)] = t.storage
        if prepared is not None:
            changed = [arrays[i] for i in prepared.mutated]
            self.written.update(id(t.storage) for t in changed if t is not None)
        elif arrays:
            self.written.add(id(arrays[-1].storage))  # type: ignore[union-attr]

    def seal(self, inputs: Sequence[Array], outputs: Sequence[Array]) -> None:
        """Ends the recording; from here on these inputs and outputs may be bound to the caller's memory instead.

        One is bound where only kernels touch it and its memory is its own; the others are copied at each replay.
        """
        ends = [t.storage for t in (*inputs, *outputs)]
        for t, own in [*((t, True) for t in inputs), *((t, t.storage.owner is self.arena) for t in outputs)]:
            whole = t.offset == 0 and t.storage.nbytes == max(16, -(-t.nbytes // 16) * 16)
            uses = [i for i, use in enumerate(self._uses) if any(b is not None and b[0]() is t.storage for b in use.bound)]
            kernels_only = all(self._uses[i].prepared is not None for i in uses)
            if own and whole and kernels_only and sum(s is t.storage for s in ends) == 1:
                self._direct[id(t.storage)] = uses

    @property
    def dispatches(self) -> int:
        """Kernel launches in one replay."""
        return sum(c[0] is not None for c in self.commands)

    def replay(self, inputs: Sequence[tuple[Array, Array]], outputs: Sequence[tuple[Array, Array]]) -> None:
        """Submits everything at once on (given, recorded) inputs and (recorded, fresh) outputs.

        What can be is bound in place of the recorded memory; other inputs are copied before, other outputs after.
        """
        bound: dict[int, Storage] = {}
        before = [_copy(given, held) for given, held in inputs if given.size and not self._stands_for(given, held, bound)]
        after = [_copy(held, fresh) for held, fresh in outputs if held.size and not self._stands_for(fresh, held, bound)]
        items = [*before, *(self._on(bound) if bound else self.commands), *after]
        self._device.submit_recorded(items)

    def _stands_for(self, outer: Array, held: Array, bound: dict[int, Storage]) -> bool:
        """Notes that the caller's memory is bound in place of the recorded one, where it can be."""
        storage = outer.storage
        if id(held.storage) not in self._direct or outer.offset or id(storage) in self.written:
            return False
        bound[id(held.storage)] = storage
        return True

    def _on(self, bound: dict[int, Storage]) -> list[tuple[Any, ...]]:
        """The commands with other memory bound; bind groups come from the device's cache where it was bound before."""
        items = list(self.commands)
        for i in {i for key in bound for i in self._direct[key]}:
            use = self._uses[i]
            places: list[Any] = []
            for b in use.bound:
                storage = None if b is None else b[0]()
                other = None if storage is None else bound.get(id(storage))
                places.append(b and (b[1] if other is None else Place(other, b[1].offset, b[1].dtype)))
            items[use.at] = self._device.command(use.prepared, places)  # type: ignore[arg-type]
        return items


def _copy(a: Array, b: Array) -> tuple[Any, ...]:
    start, end = a.offset * a.dtype.itemsize, b.offset * b.dtype.itemsize
    return (None, a.storage.block.buffer, start, b.storage.block.buffer, end, -(-a.nbytes // 4) * 4)
