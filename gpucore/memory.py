"""The memory of a GPU device: a limit, a pool of buffers by size, and what is counted about them."""

from __future__ import annotations

import re
import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .errors import ConfigError, OutOfVramError

_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
_PLAUSIBLE = range(2**26, 2**40)


def format_bytes(n: float) -> str:
    """A size for people: 1.50 GiB."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(n) < 1024 or unit == "GiB":
            return f"{int(n)} B" if unit == "B" else f"{n:.2f} {unit}"
        n /= 1024
    raise AssertionError("unreachable")


@dataclass(frozen=True)
class VramLimit:
    """A limit on device memory: bytes, "512MiB", "8GiB", "30%" of what the adapter has, or None for no limit.

    A percentage needs a believable total. Drivers often report none, or an absurd maximum; then it is refused
    (ConfigError) and bytes are wanted instead.
    """

    spec: int | float | str | None = None

    def resolve(self, total: int | None) -> int | None:
        """The limit in bytes; `total` is the adapter's memory in bytes where it is known."""
        spec = self.spec
        if spec is None:
            return None
        if isinstance(spec, (int, float)) and not isinstance(spec, bool):
            return self._positive(int(spec))
        if not isinstance(spec, str):
            raise ConfigError(f"vram_limit: got {spec!r}; wants bytes, '8GiB', '30%' or None")
        text = spec.strip().lower().replace(" ", "")
        if match := re.fullmatch(r"(\d+(?:\.\d+)?)%", text):
            return self._percent(float(match[1]), total)
        if (match := re.fullmatch(r"(\d+(?:\.\d+)?)([a-z]*)", text)) and match[2] in _UNITS:
            return self._positive(int(float(match[1]) * _UNITS[match[2]]))
        raise ConfigError(f"vram_limit: cannot read {spec!r}; wants bytes, '8GiB', '30%' or None")

    def _positive(self, size: int) -> int:
        if size <= 0:
            raise ConfigError(f"vram_limit: {self.spec!r} is not a positive size")
        return size

    def _percent(self, percent: float, total: int | None) -> int:
        if not 0 < percent <= 100:
            raise ConfigError(f"vram_limit: {self.spec!r} is outside 0% to 100%")
        if total is None or total not in _PLAUSIBLE:
            said = "no total" if total is None else f"{format_bytes(total)}"
            raise ConfigError(
                f"vram_limit: {self.spec!r} means nothing here, the driver reports {said} of memory; give bytes, as in '8GiB'"
            )
        return int(total * percent / 100)


@dataclass(frozen=True)
class MemoryStats:
    """A device's memory in bytes, and how many buffers.

    in_use: held by living tensors. pooled: kept for reuse. staging: transfer buffers. peak: the largest in_use.
    allocations: buffers ever created; reused: requests served from the pool; live: buffers held by tensors now.
    """

    in_use: int = 0
    peak: int = 0
    pooled: int = 0
    staging: int = 0
    limit: int | None = None
    allocations: int = 0
    reused: int = 0
    live: int = 0

    def __str__(self) -> str:
        limit = "none" if self.limit is None else format_bytes(self.limit)
        return (
            f"in use {format_bytes(self.in_use)} in {self.live} buffers (peak {format_bytes(self.peak)}), "
            f"pooled {format_bytes(self.pooled)}, staging {format_bytes(self.staging)}, limit {limit}, "
            f"{self.allocations} allocations, {self.reused} reused"
        )


class Block:
    """One GPU buffer. `epoch` is the batch of commands that last used it, `groups` the bind groups that hold it."""

    __slots__ = ("buffer", "epoch", "groups", "serial", "size")

    def __init__(self, buffer: Any, size: int, serial: int) -> None:
        self.buffer, self.size, self.serial = buffer, size, serial
        self.epoch = -1
        self.groups: set[Any] = set()


class Storage:
    """A tensor's hold on a block: when the last tensor that shares it is gone, the block goes back to its owner.

    Work still queued on the block is safe: a device runs its commands in order, so whoever gets the block next
    writes it after that work has read it.
    """

    __slots__ = ("__weakref__", "block", "nbytes", "owner", "used")

    def __init__(self, block: Block, owner: MemoryPool | Arena, nbytes: int, used: int) -> None:
        self.block, self.owner, self.nbytes = block, owner, nbytes
        self.used = used
        """Bytes of the elements; what follows up to `nbytes` pads them to whole vec4s, and kernels may write it."""

    def __del__(self) -> None:
        self.owner.release(self.block)


def bucket_size(nbytes: int) -> int:
    """The size of the buffer that serves a request: powers of two to 1 MiB, then eighths of a power of two.

    At least 256 bytes; never more than 12.5 % over the request above 1 MiB.
    """
    if nbytes <= 256:
        return 256
    power = 1 << (nbytes - 1).bit_length()
    if power <= 2**20:
        return power
    step = power // 16
    return -(-nbytes // step) * step


class MemoryPool:
    """Buffers of one device, counted against the limit, kept by size when they are free.

    `staging` counts the transfer buffers; `on_pressure` is called to free those that lie idle when room is short.
    """

    def __init__(self, create: Callable[[int], Any], destroy: Callable[[Block], None], limit: int | None, max_buffer: int) -> None:
        self._create, self._destroy, self.limit, self._max_buffer = create, destroy, limit, max_buffer
        self._free: dict[int, list[Block]] = defaultdict(list)
        # Blocks in use are held here too: when a tensor dies in a reference cycle, the collector finalises all that
        # only the cycle reaches, and a buffer finalised so would come back to the pool dead.
        self._out: dict[int, Block] = {}
        self._lock = threading.RLock()
        self._in_use = self._peak = self._pooled = 0
        self._allocations = self._reused = 0
        self.staging = 0
        self.on_pressure: Callable[[], None] = lambda: None

    def acquire(self, nbytes: int, what: Callable[[], str]) -> Block:
        """A block of at least `nbytes`; `what` names the tensor for the error. OutOfVramError before allocating."""
        size = self.size_for(nbytes)
        with self._lock:
            free = self._free.get(size)
            if free:
                block = free.pop()
                self._pooled -= size
                self._reused += 1
            else:
                block = self._allocate(size, nbytes, what)
            self._in_use += size
            self._out[block.serial] = block
            self._peak = max(self._peak, self._in_use)
        return block

    def size_for(self, nbytes: int) -> int:
        """The size of the buffer that serves a request: its bucket, cut at what the adapter allows."""
        return max(nbytes, min(bucket_size(nbytes), self._max_buffer // 4 * 4))

    def _allocate(self, size: int, nbytes: int, what: Callable[[], str]) -> Block:
        if nbytes > self._max_buffer:
            raise OutOfVramError(
                f"{what()} needs {format_bytes(nbytes)}, more than the {format_bytes(self._max_buffer)} "
                "that this adapter allows in one buffer"
            )
        self.reserve(size, nbytes, what)
        try:
            buffer = self._create(size)
        except OutOfVramError:
            self.trim()
            try:
                buffer = self._create(size)
            except OutOfVramError as error:
                raise OutOfVramError(
                    f"{what()} needs {format_bytes(nbytes)}: the driver refused it with {format_bytes(self._in_use)} in use"
                ) from error
        self._allocations += 1
        return Block(buffer, size, self._allocations)

    def reserve(self, size: int, nbytes: int, what: Callable[[], str]) -> None:
        """Makes room for `size` more bytes under the limit by trimming the pool, or raises OutOfVramError."""
        if self.limit is None:
            return
        with self._lock:
            over = self._in_use + self._pooled + self.staging + size - self.limit
            if over > 0:
                self.trim(over)
            if self._in_use + self._pooled + self.staging + size > self.limit:
                self.on_pressure()
            if self._in_use + self._pooled + self.staging + size > self.limit:
                raise OutOfVramError(
                    f"{what()} needs {format_bytes(nbytes)}, {format_bytes(self._in_use + self.staging)} of the "
                    f"{format_bytes(self.limit)} limit is in use; free tensors or raise vram_limit"
                )

    def release(self, block: Block) -> None:
        """Takes a block back for reuse."""
        with self._lock:
            self._in_use -= block.size
            del self._out[block.serial]
            self._pooled += block.size
            self._free[block.size].append(block)

    def trim(self, nbytes: int | None = None) -> int:
        """Destroys free buffers, the largest first, until `nbytes` are freed (all without it); returns what was."""
        freed = 0
        with self._lock:
            for size in sorted(self._free, reverse=True):
                blocks = self._free[size]
                while blocks and (nbytes is None or freed < nbytes):
                    self._destroy(blocks.pop())
                    freed += size
            self._pooled -= freed
        return freed

    def reset_peak(self) -> None:
        """Starts the measurement of the peak anew."""
        self._peak = self._in_use

    def stats(self) -> MemoryStats:
        """The counts now."""
        return MemoryStats(
            self._in_use, self._peak, self._pooled, self.staging, self.limit, self._allocations, self._reused, len(self._out)
        )


class Arena:
    """The memory of one recording: blocks taken from the pool and reused inside the recording alone.

    A replay writes the same blocks again, so none goes back to the pool while the recording lives.
    """

    def __init__(self, pool: MemoryPool) -> None:
        self._pool = pool
        self._free: dict[int, list[Block]] = defaultdict(list)
        self._held: list[Block] = []

    def acquire(self, nbytes: int, what: Callable[[], str]) -> Block:
        """A block freed earlier in this recording, or a new one from the pool."""
        free = self._free[self._pool.size_for(nbytes)]
        if free:
            return free.pop()
        block = self._pool.acquire(nbytes, what)
        self._held.append(block)
        return block

    def release(self, block: Block) -> None:
        """Takes a block back for the rest of the recording."""
        self._free[block.size].append(block)

    @property
    def nbytes(self) -> int:
        """Bytes that the recording holds."""
        return sum(b.size for b in self._held)

    def __del__(self) -> None:
        for block in self._held:
            self._pool.release(block)
