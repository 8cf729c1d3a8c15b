"""Moving bytes between host and device: a ring of upload buffers, a pool of readback buffers, the Readback."""

from __future__ import annotations

import asyncio
import os
import time
from collections import defaultdict
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np

from ..dtypes import DType, from_storage
from ..errors import DeviceLostError
from ..memory import MemoryPool
from . import native as n

CHUNK = 32 << 20
"""The largest upload buffer; longer arrays go through several."""
MOST_IN_FLIGHT = 16
"""Upload buffers under way before the host waits for the device."""
SPIN = 200e-6
"""Seconds that a blocking readback asks again and again before it sleeps: to be woken costs about 20 µs."""
DIRECT = 64 << 10
"""Arrays up to this size go through the queue's own write, which costs less than a mapping."""


PARALLEL = 8 << 20
"""Readbacks from this size on are copied out by several threads."""
WORKERS = min(4, (os.cpu_count() or 1) // 2)


@cache
def _copiers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(WORKERS, "gpucore-copy")


def copied(raw: np.ndarray) -> np.ndarray:
    """A copy of flat bytes. First touches of fresh memory cost more than the copy itself, and threads share them."""
    target = np.empty_like(raw)
    if raw.size < PARALLEL or WORKERS < 2:
        target[:] = raw
        return target
    step = -(-raw.size // (4 * WORKERS))
    parts = [slice(at, at + step) for at in range(0, raw.size, step)]
    list(_copiers().map(lambda part: np.copyto(target[part], raw[part]), parts))
    return target


def _bucket(nbytes: int) -> int:
    return 1 << max(12, (nbytes - 1).bit_length())


def transfer_size(nbytes: int, *, reading: bool = False) -> int:
    """The bytes of the transfer buffer through which so many pass at a time, to the device or from it."""
    if reading:
        return _bucket(nbytes)
    return 0 if nbytes <= DIRECT else _bucket(min(nbytes, CHUNK))


class Readback:
    """The values of a tensor on their way to the host.

    ready() asks without blocking; result(timeout) waits; `await readback` waits without blocking the event loop.
    The values are copied out exactly once; later calls give the same array. Work that the device does meanwhile
    does not change them.
    """

    def __init__(
        self, poll: Callable[[bool], str | None], finish: Callable[[], np.ndarray], discard: Callable[[], None], spin: float = 0.0
    ) -> None:
        self._poll, self._finish, self._discard, self._spin = poll, finish, discard, spin
        self._arrived = False
        self._error: BaseException | None = None
        self._value: np.ndarray | None = None

    @classmethod
    def resolved(cls, value: np.ndarray) -> Readback:
        """One that already holds its value (the NumPy device's)."""
        readback = cls(lambda wait: None, lambda: value, lambda: None)
        readback._arrived = True
        return readback

    def arrived(self, error: str | None) -> None:
        """Called once by the transfer when the bytes can be read, or with what went wrong."""
        if error is not None:
            self._error = DeviceLostError(f"reading a tensor back failed, the device is lost: {error}")
        self._arrived = True

    def ready(self) -> bool:
        """True when `result()` would not block."""
        if not self._arrived:
            self._wait(False)
        return self._arrived

    def _wait(self, wait: bool) -> None:
        lost = self._poll(wait)
        if lost is not None and not self._arrived:
            self.arrived(lost)

    def result(self, timeout: float | None = None) -> np.ndarray:
        """The values; TimeoutError after `timeout` seconds, DeviceLostError when the device went away."""
        if timeout is None:
            end = time.perf_counter() + self._spin
            while not self._arrived:
                self._wait(time.perf_counter() >= end)
        else:
            end = time.perf_counter() + timeout
            while not self.ready():
                if time.perf_counter() >= end:
                    raise TimeoutError(f"the tensor was not ready within {timeout} s")
                time.sleep(20e-6)
        return self._take()

    def _take(self) -> np.ndarray:
        if self._error is not None:
            raise self._error
        if self._value is None:
            self._value = self._finish()
            self._finish = self._poll = lambda *_: None  # type: ignore[assignment]
        return self._value

    def __del__(self) -> None:
        if self._value is None:
            self._discard()

    def __await__(self) -> Generator[Any, None, np.ndarray]:
        pause = 0.0
        while not self.ready():
            yield from asyncio.sleep(pause).__await__()
            pause = min(1e-3, pause + 20e-6)
        return self._take()


class Staging:
    """The transfer buffers of one device, counted against its memory limit and reused by size."""

    def __init__(self, native: n.Native, pool: MemoryPool, spin: float = 0.0) -> None:
        self._native, self._pool, self._spin = native, pool, spin
        self._uploads: dict[int, list[Any]] = defaultdict(list)  # mapped for writing, free
        self._in_flight = 0
        self._downloads: dict[int, list[Any]] = defaultdict(list)  # unmapped, free
        self._used: list[tuple[Any, int]] = []  # written, waiting for their copies to be submitted

    def _create(self, size: int, usage: int, mapped: bool) -> Any:
        self._pool.reserve(size, size, lambda: f"a transfer buffer of {size} bytes")
        buffer = self._native.create_buffer(size, usage, mapped=mapped)
        self._pool.staging += size
        return buffer

    def upload(self, target: Any, offset: int, data: np.ndarray, push: Callable[[tuple[Any, ...]], None]) -> None:
        """Writes bytes into upload buffers and pushes their copies; `data` is flat uint8, padded to 4 bytes."""
        for start in range(0, data.size, CHUNK):
            part = data[start : start + CHUNK]
            size = _bucket(part.size)
            buffer = self._take_upload(size)
            self._native.mapped_array(buffer, size, write=True)[: part.size] = part
            self._native.unmap(buffer)
            self._used.append((buffer, size))
            push((None, buffer, 0, target, offset + start, part.size))

    def _take_upload(self, size: int) -> Any:
        free = self._uploads[size]
        if not free and self._in_flight:
            # A host that uploads faster than the device works waits here instead of filling memory with copies.
            self._native.poll(wait=self._in_flight >= MOST_IN_FLIGHT)
        if free:
            return free.pop()
        return self._create(size, n.MAP_WRITE | n.COPY_SRC, True)

    def submitted(self) -> None:
        """After a submission: asks for the upload buffers in it to be mapped again."""
        for buffer, size in self._used:
            self._in_flight += 1
            self._native.map_buffer(buffer, 2, size, lambda error, b=buffer, s=size: self._remapped(b, s, error))
        self._used.clear()

    def _remapped(self, buffer: Any, size: int, error: str | None) -> None:
        self._in_flight -= 1
        if error is None:
            self._uploads[size].append(buffer)

    def take_download(self, nbytes: int) -> tuple[Any, int]:
        """A readback buffer of at least `nbytes`, and its size."""
        size = _bucket(nbytes)
        free = self._downloads[size]
        return (free.pop() if free else self._create(size, n.MAP_READ | n.COPY_DST, False)), size

    def readback(self, buffer: Any, size: int, nbytes: int, index: int, shape: tuple[int, ...], dtype: DType) -> Readback:
        """The Readback of `nbytes` that submission `index` copies into `buffer`."""

        def finish() -> np.ndarray:
            raw = self._native.mapped_array(buffer, size, write=False)[:nbytes]
            values = from_storage(copied(raw).view(dtype.storage), dtype).reshape(shape)
            self._native.unmap(buffer)
            self._downloads[size].append(buffer)
            return values

        def poll(wait: bool) -> str | None:
            if not self._native.lost:
                self._native.poll(index, wait=wait)
            return self._native.lost

        def discard() -> None:
            self._pool.staging -= size  # nobody took the values: the buffer goes with the readback

        readback = Readback(poll, finish, discard, self._spin)
        self._native.map_buffer(buffer, 1, size, readback.arrived)
        return readback

    def trim(self) -> None:
        """Drops every free transfer buffer."""
        for kind in (self._uploads, self._downloads):
            for size, buffers in kind.items():
                self._pool.staging -= size * len(buffers)
                buffers.clear()
